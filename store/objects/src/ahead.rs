//! What workers will want of a store that is far away, read before they ask for it.
//!
//! How many questions are under way at a time follows the way: one more whenever a worker has to wait
//! although answers come quickly, half as many when they come slowly. What was read and not yet taken is
//! bounded, and so is memory.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::backend::Key;
use crate::error::Result;
use crate::store::Store;

/// Most questions under way. With the answers that wait to be taken they hold twice as many groups in memory.
const WIDEST: usize = 6;
/// An answer that takes less leaves room for others on the same way.
const QUICK: Duration = Duration::from_secs(1);
/// One that takes more was crowded.
const SLOW: Duration = Duration::from_secs(4);

/// Ranges of packs that are read together.
pub(crate) type Ranges = Vec<(Key, u64, u64)>;
/// What lies in them.
pub(crate) type Found = Result<Vec<Option<Vec<u8>>>>;

/// Reads groups of ranges in their order, some ahead of whoever takes them.
pub(crate) struct Ahead(Arc<Shared>);

struct Shared {
    from: Store,
    state: Mutex<State>,
    turned: Condvar,
}

struct State {
    groups: Vec<Group>,
    /// No group before it is waiting to be read.
    next: usize,
    /// How many were taken.
    taken: usize,
    /// Questions that may be under way, and threads that ask them.
    width: usize,
    readers: usize,
    /// How long the last answer took.
    last: Option<Duration>,
    closed: bool,
}

enum Group {
    Waiting(Ranges),
    UnderWay,
    Read(Found),
    Taken,
}

impl Ahead {
    /// Reads these groups of a store. Nothing is read before the first is taken, and nothing ahead where the
    /// way is short.
    pub(crate) fn new(from: &Store, groups: impl IntoIterator<Item = Ranges>) -> Ahead {
        let groups = groups.into_iter().map(Group::Waiting).collect();
        let (next, taken, width, readers) = (0, 0, usize::from(from.backend().is_far()), 0);
        let state = State { groups, next, taken, width, readers, last: None, closed: false };
        let state = Mutex::new(state);
        Ahead(Arc::new(Shared { from: from.clone(), state, turned: Condvar::new() }))
    }

    /// What lies in the n-th group; each can be taken once.
    pub(crate) fn take(&self, n: usize) -> Found {
        let shared = &self.0;
        let mut state = shared.lock();
        state.taken += 1;
        if let Group::Waiting(ranges) = &mut state.groups[n] {
            // Nobody is at it: who needs it reads it.
            let ranges = std::mem::take(ranges);
            state.groups[n] = Group::Taken;
            shared.send_readers(&mut state);
            shared.turned.notify_all();
            drop(state);
            return shared.read(&ranges);
        }
        let waits = matches!(state.groups[n], Group::UnderWay);
        if waits && state.width < WIDEST && state.last.is_some_and(|took| took < QUICK) {
            state.width += 1;
        }
        shared.send_readers(&mut state);
        shared.turned.notify_all();
        loop {
            match std::mem::replace(&mut state.groups[n], Group::Taken) {
                Group::Read(found) => return found,
                other => state.groups[n] = other,
            }
            state = shared.turned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Ahead {
    /// Readers end with what they are at.
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.turned.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A reader that panics in a read leaves nothing half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads, and learns of the way.
    fn read(&self, ranges: &Ranges) -> Found {
        let start = Instant::now();
        let found = self.from.backend().read_ranges(ranges);
        let mut state = self.lock();
        let took = start.elapsed();
        state.last = Some(took);
        if took > SLOW && state.width > 1 {
            state.width /= 2;
        }
        found
    }

    /// As many readers as there may be questions, while there is something to read.
    fn send_readers(self: &Arc<Self>, state: &mut State) {
        while state.readers < state.width && state.next < state.groups.len() {
            let shared = Arc::clone(self);
            let reader = std::thread::Builder::new().name(String::from("lab-ahead"));
            if reader.spawn(move || shared.read_on()).is_err() {
                // Whoever needs something reads it.
                return;
            }
            state.readers += 1;
        }
    }

    /// A reader's life.
    fn read_on(&self) {
        let mut state = self.lock();
        loop {
            while matches!(state.groups.get(state.next), Some(group) if !matches!(group, Group::Waiting(_)))
            {
                state.next += 1;
            }
            let at = state.next;
            if state.closed || at == state.groups.len() || state.readers > state.width {
                state.readers -= 1;
                return;
            }
            let may = at < state.taken + 2 * state.width;
            match &mut state.groups[at] {
                Group::Waiting(ranges) if may => {
                    let ranges = std::mem::take(ranges);
                    state.groups[at] = Group::UnderWay;
                    drop(state);
                    let mut answer = Answer { shared: self, at, found: None };
                    answer.found = Some(self.read(&ranges));
                    drop(answer);
                    state = self.lock();
                }
                _ => state = self.turned.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

/// Puts what was read where it is waited for, or, if the reader panicked, that nothing was.
struct Answer<'a> {
    shared: &'a Shared,
    at: usize,
    found: Option<Found>,
}

impl Drop for Answer<'_> {
    fn drop(&mut self) {
        let found = self.found.take().unwrap_or_else(|| {
            let source = std::io::Error::other("a thread that read for others ended");
            Err(crate::error::ObjectsError::Stream { verb: "read ahead", source })
        });
        self.shared.lock().groups[self.at] = Group::Read(found);
        self.shared.turned.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use lab_schema::BlobId;

    use super::*;
    use crate::backend::{Backend, PackId, Room};
    use crate::error::ObjectsError;
    use crate::memory::Memory;

    /// Answers with the place that was asked for, after a while.
    #[derive(Debug)]
    struct Slow {
        inner: Memory,
        far: bool,
        takes: Duration,
        now: AtomicUsize,
        most: AtomicUsize,
        asked: AtomicUsize,
    }

    impl Backend for Slow {
        fn location(&self) -> String {
            self.inner.location()
        }
        fn is_far(&self) -> bool {
            self.far
        }
        fn read(&self, key: &Key) -> Result<Option<Vec<u8>>> {
            self.inner.read(key)
        }
        fn read_range(&self, key: &Key, offset: u64, _: u64) -> Result<Option<Vec<u8>>> {
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            self.asked.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(self.takes);
            self.now.fetch_sub(1, Ordering::SeqCst);
            match offset {
                299 => Err(ObjectsError::Damaged { what: key.to_string(), why: "it is the last" }),
                _ => Ok(Some(offset.to_le_bytes().to_vec())),
            }
        }
        fn publish(&self, key: &Key, bytes: &[u8]) -> Result<()> {
            self.inner.publish(key, bytes)
        }
        fn settle(&self) -> Result<()> {
            Ok(())
        }
        fn mend(&self, key: &Key, bytes: &[u8]) -> Result<()> {
            self.inner.mend(key, bytes)
        }
        fn swap(&self, key: &Key, expected: Option<&[u8]>, new: &[u8]) -> Result<bool> {
            self.inner.swap(key, expected, new)
        }
        fn list(&self, room: Room) -> Result<Vec<(Key, u64)>> {
            self.inner.list(room)
        }
        fn remove(&self, key: &Key) -> Result<bool> {
            self.inner.remove(key)
        }
    }

    fn ahead(far: bool, takes: u64, groups: u64) -> (Arc<Slow>, Ahead) {
        let (now, most, asked) = Default::default();
        let takes = Duration::from_millis(takes);
        let slow = Arc::new(Slow { inner: Memory::new(), far, takes, now, most, asked });
        let store = Store::create(slow.clone()).unwrap();
        let pack = Key::Pack(PackId::from_digest(BlobId::of(b"pack").digest()));
        let ahead = Ahead::new(&store, (0..groups).map(|n| vec![(pack.clone(), n, 8)]));
        (slow, ahead)
    }

    fn is_found(ahead: &Ahead, n: usize) {
        let found = ahead.take(n).unwrap();
        assert_eq!(found, [Some((n as u64).to_le_bytes().to_vec())]);
    }

    #[test]
    fn everybody_gets_what_belongs_to_them() {
        let (slow, ahead) = ahead(true, 1, 300);
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    loop {
                        match next.fetch_add(1, Ordering::SeqCst) {
                            299 => {
                                assert!(ahead.take(299).unwrap_err().to_string().contains("last"))
                            }
                            n if n < 300 => is_found(&ahead, n),
                            _ => return,
                        }
                    }
                });
            }
        });
        assert_eq!(slow.asked.load(Ordering::SeqCst), 300, "nothing is asked for twice");
    }

    #[test]
    fn more_questions_are_under_way_while_that_helps() {
        let (slow, quick) = ahead(true, 20, 60);
        (0..60).for_each(|n| is_found(&quick, n));
        let most = slow.most.load(Ordering::SeqCst);
        assert!((WIDEST - 1..=WIDEST + 1).contains(&most), "{most}");
        let (slow, crowded) = ahead(true, 1_100, 4);
        (0..4).for_each(|n| is_found(&crowded, n));
        assert!(slow.most.load(Ordering::SeqCst) <= 2);
    }

    #[test]
    fn no_more_is_read_than_has_room() {
        let (slow, ahead) = ahead(true, 1, 200);
        (0..20).for_each(|n| is_found(&ahead, n));
        std::thread::sleep(Duration::from_millis(100));
        let asked = slow.asked.load(Ordering::SeqCst);
        assert!((21..=20 + 2 * WIDEST).contains(&asked), "{asked}");
        drop(ahead);
        std::thread::sleep(Duration::from_millis(20));
        assert!(slow.asked.load(Ordering::SeqCst) <= asked + WIDEST, "readers go on");
    }

    #[test]
    fn where_the_way_is_short_nothing_is_read_ahead() {
        let (slow, ahead) = ahead(false, 1, 20);
        (0..5).for_each(|n| is_found(&ahead, n));
        assert_eq!(slow.asked.load(Ordering::SeqCst), 5);
        assert_eq!(slow.most.load(Ordering::SeqCst), 1);
    }
}
