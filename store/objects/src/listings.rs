//! What a far store listed a moment ago.
//!
//! A command looks at the packs of a store several times, to be told of what others did meanwhile.
//! Where the way is long, one look serves for a moment. Who looks for something that is not among what
//! was seen [looks again](crate::Backend::look_again) before it is said to be lacking; who only wants to know
//! what need not be sent may be wrong about what came during that moment, and sends it in vain.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::backend::{Key, Room};

/// How long a moment is.
const MOMENT: Duration = Duration::from_secs(2);

/// The files of a room and their sizes in bytes, sorted by key.
type Files = Vec<(Key, u64)>;

/// What a far store listed a moment ago.
#[derive(Debug, Default)]
pub struct Listings {
    rooms: Mutex<BTreeMap<Room, (Instant, Files)>>,
}

impl Listings {
    fn rooms(&self) -> MutexGuard<'_, BTreeMap<Room, (Instant, Files)>> {
        // It is changed in one step.
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The files of a room, if they were listed a moment ago.
    pub fn recall(&self, room: Room) -> Option<Files> {
        let rooms = self.rooms();
        let (at, files) = rooms.get(&room)?;
        (at.elapsed() < MOMENT).then(|| files.clone())
    }

    /// Notes what was listed; `at` is when it was asked for.
    pub fn note(&self, room: Room, at: Instant, files: Files) {
        self.rooms().insert(room, (at, files));
    }

    /// What was seen counts no more.
    pub fn forget(&self) {
        self.rooms().clear();
    }
}
