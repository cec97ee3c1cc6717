//! The stores behind a server, by name. A server of one store has one space, whose name is empty.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lab_objects::{Lease, PackId, Room};
use lab_remote::{Opened, RemoteError};
use tokio::sync::Notify;

/// How long a lease holds after it was last heard of.
const LEASE: Duration = Duration::from_secs(15 * 60);
/// Leases at a time in one space.
const LEASES: usize = 1000;
/// How long a pack waits for the one before it.
const TURN: Duration = Duration::from_secs(120);
/// How long a sum of bytes is believed.
const SUM: Duration = Duration::from_secs(60);

/// Opens the store of a space, or makes it if it is told to and there is none.
pub type Open = dyn Fn(&str, bool) -> lab_remote::Result<Opened> + Send + Sync;

/// The stores behind a server.
pub(crate) struct Spaces {
    open: Box<Open>,
    spaces: Mutex<HashMap<String, Arc<Space>>>,
}

/// A store that is served.
pub(crate) struct Space {
    pub(crate) opened: Opened,
    leases: Mutex<HashMap<String, (Lease, Instant)>>,
    /// Packs that are on their way in, perhaps several times at once, and how far they are.
    coming: Mutex<Vec<(PackId, Stage, u64)>>,
    moved: Notify,
    sum: Mutex<Sum>,
}

/// The bytes of all packs.
#[derive(Default)]
struct Sum {
    stored: u64,
    /// Of packs that are about to be stored.
    promised: u64,
    /// When what is stored was summed up.
    at: Option<Instant>,
}

/// How far a pack is that is on its way in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// Its bytes come.
    Arriving,
    /// All its bytes are here, and looked through.
    Arrived,
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each is changed in one step.
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Spaces {
    pub(crate) fn new(open: Box<Open>) -> Spaces {
        Spaces { open, spaces: Mutex::default() }
    }

    /// The store of a space; makes it if `make` is set and there is none, and says whether it did.
    pub(crate) fn space(&self, name: &str, make: bool) -> Result<(Arc<Space>, bool), RemoteError> {
        if let Some(space) = lock(&self.spaces).get(name) {
            return Ok((Arc::clone(space), false));
        }
        let opened = (self.open)(name, make)?;
        let made = opened.made;
        let space = Space {
            opened,
            leases: Mutex::default(),
            coming: Mutex::default(),
            moved: Notify::new(),
            sum: Mutex::default(),
        };
        // Of two who opened it at once the first one's is everybody's.
        let mut spaces = lock(&self.spaces);
        let space = spaces.entry(name.to_owned()).or_insert_with(|| Arc::new(space));
        Ok((Arc::clone(space), made))
    }

    /// Lets go of leases of which nothing was heard for long.
    pub(crate) fn sweep(&self) {
        for space in lock(&self.spaces).values() {
            lock(&space.leases).retain(|_, (_, heard)| heard.elapsed() < LEASE);
        }
    }
}

impl Space {
    /// Tells collectors that the client of this session is at work; says whether there was room.
    pub(crate) fn lease(&self, session: &str) -> lab_objects::Result<bool> {
        if self.heard(session) {
            return Ok(true);
        }
        let lease = self.opened.store.lease()?;
        let mut leases = lock(&self.leases);
        let room = leases.len() < LEASES;
        if room {
            leases.insert(session.to_owned(), (lease, Instant::now()));
        }
        Ok(room)
    }

    /// The client of this session is still there; says whether it has a lease.
    pub(crate) fn heard(&self, session: &str) -> bool {
        match lock(&self.leases).get_mut(session) {
            Some((_, heard)) => {
                *heard = Instant::now();
                true
            }
            None => false,
        }
    }

    /// The client of this session is done.
    pub(crate) fn leave(&self, session: &str) {
        lock(&self.leases).remove(session);
    }

    /// A pack is on its way in until this is dropped.
    pub(crate) fn comes(self: &Arc<Self>, pack: PackId) -> Coming {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        lock(&self.coming).push((pack, Stage::Arriving, number));
        Coming { space: Arc::clone(self), number }
    }

    /// Waits until a pack is no more at this stage of its way in, or an earlier one.
    pub(crate) async fn passed(&self, pack: PackId, stage: Stage) {
        let until = tokio::time::Instant::now() + TURN;
        loop {
            // Before the look, so that what comes after it is noticed.
            let moved = self.moved.notified();
            let is_there =
                lock(&self.coming).iter().any(|(id, now, _)| *id == pack && *now <= stage);
            if !is_there || tokio::time::timeout_at(until, moved).await.is_err() {
                return;
            }
        }
    }

    /// Sets room for so many bytes aside; none if they go beyond the quota.
    pub(crate) fn set_aside(
        self: &Arc<Self>,
        quota: Option<u64>,
        bytes: u64,
    ) -> lab_objects::Result<Option<Aside>> {
        let mut sum = lock(&self.sum);
        if let Some(quota) = quota {
            if sum.at.is_none_or(|at| at.elapsed() > SUM) {
                let packs = self.opened.backend.list(Room::Packs)?;
                sum.stored = packs.iter().map(|(_, bytes)| bytes).sum();
                sum.at = Some(Instant::now());
            }
            if sum.stored.saturating_add(sum.promised).saturating_add(bytes) > quota {
                return Ok(None);
            }
        }
        sum.promised = sum.promised.saturating_add(bytes);
        Ok(Some(Aside { space: Arc::clone(self), bytes, stored: 0 }))
    }
}

/// Room that is set aside until this is dropped.
pub(crate) struct Aside {
    space: Arc<Space>,
    bytes: u64,
    stored: u64,
}

impl Aside {
    /// It was used.
    pub(crate) fn stored(mut self) {
        self.stored = self.bytes;
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        let mut sum = lock(&self.space.sum);
        sum.promised = sum.promised.saturating_sub(self.bytes);
        sum.stored = sum.stored.saturating_add(self.stored);
    }
}

/// A pack on its way in.
pub(crate) struct Coming {
    space: Arc<Space>,
    number: u64,
}

impl Coming {
    /// All its bytes are here.
    pub(crate) fn arrived(&self) {
        for (_, stage, number) in lock(&self.space.coming).iter_mut() {
            if *number == self.number {
                *stage = Stage::Arrived;
            }
        }
        self.space.moved.notify_waiters();
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        lock(&self.space.coming).retain(|(_, _, number)| *number != self.number);
        self.space.moved.notify_waiters();
    }
}
