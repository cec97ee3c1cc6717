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
pub(crate) type Open = dyn Fn(&str, bool) -> lab_remote::Result<Opened> + Send + Sync;

/// The stores behind a server.
pub(crate) struct Spaces {
    open: Box<Open>,
    spaces: Mutex<HashMap<String, Arc<Space>>>,
}

/// A store that is served.
pub(crate) struct Space {
    pub(crate) opened: Opened,
    leases: Mutex<HashMap<String, (Lease, Instant)>>,
    /// Packs that are on their way in, and how far they are.
    coming: Mutex<HashMap<PackId, Stage>>,
    moved: Notify,
    bytes: AtomicU64,
    summed: Mutex<Option<Instant>>,
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
            bytes: AtomicU64::new(0),
            summed: Mutex::default(),
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
        lock(&self.coming).insert(pack, Stage::Arriving);
        Coming { space: Arc::clone(self), pack }
    }

    /// Waits until a pack is no more at this stage of its way in, or an earlier one.
    pub(crate) async fn passed(&self, pack: PackId, stage: Stage) {
        let until = tokio::time::Instant::now() + TURN;
        loop {
            // Before the look, so that what comes after it is noticed.
            let moved = self.moved.notified();
            let is_there = lock(&self.coming).get(&pack).is_some_and(|now| *now <= stage);
            if !is_there || tokio::time::timeout_at(until, moved).await.is_err() {
                return;
            }
        }
    }

    /// Whether so many more bytes go beyond the quota.
    pub(crate) fn is_full(&self, quota: Option<u64>, more: u64) -> lab_objects::Result<bool> {
        let Some(quota) = quota else { return Ok(false) };
        let mut summed = lock(&self.summed);
        if summed.is_none_or(|at| at.elapsed() > SUM) {
            let packs = self.opened.backend.list(Room::Packs)?;
            self.bytes.store(packs.iter().map(|(_, bytes)| bytes).sum(), Ordering::Relaxed);
            *summed = Some(Instant::now());
        }
        Ok(self.bytes.load(Ordering::Relaxed).saturating_add(more) > quota)
    }

    /// So many bytes were stored.
    pub(crate) fn grew(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// A pack on its way in.
pub(crate) struct Coming {
    space: Arc<Space>,
    pack: PackId,
}

impl Coming {
    /// All its bytes are here.
    pub(crate) fn arrived(&self) {
        lock(&self.space.coming).insert(self.pack, Stage::Arrived);
        self.space.moved.notify_waiters();
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        lock(&self.space.coming).remove(&self.pack);
        self.space.moved.notify_waiters();
    }
}
