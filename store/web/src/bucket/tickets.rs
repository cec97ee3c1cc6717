//! A lock on a name, made of nothing but puts, listings and removals, for buckets that know no
//! conditions.
//!
//! Who wants to move a name puts a ticket of its own into the name's folder and lists the folder. It may
//! enter when its ticket is the only one; else all but the first (by the tickets' random names) withdraw,
//! and come again when nobody has a ticket. **Two are never inside at once:** whoever enters has listed after its own ticket was
//! put, and nobody else's was there. So anybody else's ticket came after that listing began, hence its
//! listing, which begins later still, shows the ticket of who is inside.
//!
//! A ticket whose owner died is removed by whoever finds that it is [`Limits::dead`] old, both times told
//! by the store: that of the finder's own ticket, put a moment ago, and that of the other. **Nobody who
//! lives is overtaken so:** an owner moves the name only within [`Limits::hold`] since *before* it put its
//! ticket, by a clock of its own that never jumps, and gives a request no longer than that again.
//!
//! A request that was not answered may still be carried out later, and then it would undo what others did
//! meanwhile. So after one the ticket is left where it is, and others wait until it counts as dead.
//!
//! What is assumed of the store: a listing shows every file whose put was answered before the listing was
//! asked for, unless it was removed; and of what may go wrong with time, that it takes less than
//! `dead - 2 * hold` in all: by how much the clocks of its machines differ, how long after it was sent a
//! request that got no answer is carried out, and how long a client is stopped or asleep between its look
//! at the clock and its request. Nothing is assumed of what the clocks of clients show.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use lab_objects::{ObjectsError, host};
use object_store::PutMode;
use object_store::path::Path;

use super::asking::{Asking, Listed};
use super::trouble::Trouble;

/// Most tickets for one name.
const MOST: usize = 10_000;
/// Most bytes of a ticket that are read.
const TICKET_BYTES: u64 = 1 << 10;

/// How long what may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long to wait for others before giving up.
    pub wait: Duration,
    /// How long after its ticket a name may be moved, and how long that may take.
    pub hold: Duration,
    /// From when on a ticket is somebody's who died. More than twice `hold`.
    pub dead: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let [wait, hold, dead] = [10, 15, 60].map(Duration::from_secs);
        Limits { wait, hold, dead }
    }
}

/// Why a name did not move.
pub(crate) enum Kept {
    Trouble(Trouble),
    Locked(ObjectsError),
}

impl From<Trouble> for Kept {
    fn from(trouble: Trouble) -> Kept {
        Kept::Trouble(trouble)
    }
}

/// What became of one attempt under the lock.
enum Inside {
    Moved,
    /// It is not what was expected.
    Differs,
    /// There is no time left.
    Late,
}

/// A name's file, and the folder of its tickets.
pub(crate) struct Door<'a> {
    pub(crate) asking: &'a Asking,
    pub(crate) limits: Limits,
    pub(crate) file: Path,
    /// From the store's root.
    pub(crate) folder: String,
    pub(crate) most_bytes: u64,
}

/// A ticket that was put.
struct Ticket {
    name: String,
    path: Path,
    /// Since before it was put.
    since: Instant,
    /// Whether something that was asked under it may still be under way.
    stray: bool,
}

impl Door<'_> {
    /// Replaces the name's file if it holds `expected`; says whether it did.
    pub(crate) async fn swap(&self, expected: Option<&[u8]>, new: &[u8]) -> Result<bool, Kept> {
        let begun = Instant::now();
        // A request of ours that broke may have got there.
        let mut sent = false;
        for attempt in 0.. {
            let mut ticket = self.enter(begun).await?;
            let inside = self.inside(&mut ticket, expected, new, &mut sent).await;
            if !ticket.stray {
                // What cannot be removed now counts as dead in a while.
                let _ = self.asking.delete(&ticket.path).await;
            }
            match inside? {
                Inside::Moved => return Ok(true),
                Inside::Differs => return Ok(false),
                Inside::Late if attempt >= self.asking.patience.tries => break,
                Inside::Late => {}
            }
        }
        Err(Trouble::broken("it takes too long to move the name").into())
    }

    async fn inside(
        &self,
        ticket: &mut Ticket,
        expected: Option<&[u8]>,
        new: &[u8],
        sent: &mut bool,
    ) -> Result<Inside, Trouble> {
        for attempt in 0.. {
            let now = self.asking.get(&self.file, self.most_bytes).await?;
            let now = now.as_ref().map(|(bytes, _)| bytes.as_slice());
            if now != expected {
                // Journals only grow, so that ours is still to be seen when somebody has gone on from it.
                let ours = *sent && now.is_some_and(|bytes| bytes.starts_with(new));
                return Ok(if ours { Inside::Moved } else { Inside::Differs });
            }
            if ticket.since.elapsed() >= self.limits.hold {
                return Ok(Inside::Late);
            }
            let bytes = Bytes::copy_from_slice(new);
            let put = self.asking.put_once(&self.file, bytes, PutMode::Overwrite);
            match tokio::time::timeout(self.limits.hold, put).await {
                Ok(Ok(())) => return Ok(Inside::Moved),
                Ok(Err(trouble @ Trouble::Broken { answered: true, .. })) => {
                    *sent = true;
                    if !self.asking.again(attempt, &trouble).await {
                        return Err(trouble);
                    }
                }
                Ok(Err(trouble @ Trouble::Broken { .. })) => {
                    (*sent, ticket.stray) = (true, true);
                    if !self.asking.again(attempt, &trouble).await {
                        return Err(trouble);
                    }
                }
                Ok(Err(trouble)) => return Err(trouble),
                Err(_) => (*sent, ticket.stray) = (true, true),
            }
        }
        unreachable!("it returns with the last attempt")
    }

    /// Waits until nobody else is inside, and nobody else can enter.
    async fn enter(&self, begun: Instant) -> Result<Ticket, Kept> {
        loop {
            let ticket = self.put().await?;
            let entered = self.is_alone(&ticket, begun).await;
            match entered {
                Ok(true) => return Ok(ticket),
                Ok(false) => self.withdraw(&ticket).await,
                Err(kept) => {
                    self.withdraw(&ticket).await;
                    return Err(kept);
                }
            }
            self.look_first().await?;
        }
    }

    /// Waits until nobody has a ticket. Those who wait without one are in nobody's way; but how old a
    /// ticket is can be told only beside one's own, so this is not for long.
    async fn look_first(&self) -> Result<(), Trouble> {
        let since = Instant::now();
        for attempt in 0.. {
            self.asking.rest(attempt.min(2)).await;
            let free = self.asking.list(&self.folder, MOST).await?.is_empty();
            if free || since.elapsed() >= self.limits.hold / 4 {
                break;
            }
        }
        Ok(())
    }

    async fn withdraw(&self, ticket: &Ticket) {
        // What cannot be removed now counts as dead in a while.
        let _ = self.asking.delete(&ticket.path).await;
    }

    async fn put(&self) -> Result<Ticket, Trouble> {
        let since = Instant::now();
        let word = || RandomState::new().build_hasher().finish();
        let name = format!("{:016x}{:016x}", word(), word());
        let path = self.asking.path(&format!("{}/{name}", self.folder))?;
        let text = format!("process {} on {}\n", std::process::id(), host());
        self.asking.put(&path, text.into()).await?;
        Ok(Ticket { name, path, since, stray: false })
    }

    /// Whether a ticket is the only one; false if others go first.
    async fn is_alone(&self, ticket: &Ticket, begun: Instant) -> Result<bool, Kept> {
        for attempt in 0.. {
            let listed = self.asking.list(&self.folder, MOST).await?;
            // It counted as dead, or the listing is not what is assumed of it.
            let Some(mine) = listed.iter().find(|there| there.name == ticket.name) else {
                return Ok(false);
            };
            let (dead, living): (Vec<&Listed>, Vec<&Listed>) = listed
                .iter()
                .filter(|there| there.name != ticket.name)
                .partition(|there| age(there.when, mine.when) > self.limits.dead);
            for there in dead {
                self.asking.delete(&self.ticket(there)?).await?;
            }
            let Some(first) = living.iter().min_by_key(|there| &there.name) else {
                return Ok(true);
            };
            if begun.elapsed() >= self.limits.wait {
                return Err(Kept::Locked(self.locked(first, mine.when).await?));
            }
            // Of those that wait the first stays, so that one gets in. It does not wait for long, since
            // its own ticket tells the time.
            if first.name < ticket.name || ticket.since.elapsed() >= self.limits.hold / 2 {
                return Ok(false);
            }
            self.asking.rest(attempt.min(2)).await;
        }
        unreachable!("it returns when it has waited long enough")
    }

    fn ticket(&self, there: &Listed) -> Result<Path, Trouble> {
        self.asking.path(&format!("{}/{}", self.folder, there.name))
    }

    /// Who is in the way.
    async fn locked(&self, by: &Listed, now: SystemTime) -> Result<ObjectsError, Trouble> {
        let path = self.ticket(by)?;
        let text = self.asking.get(&path, TICKET_BYTES).await?.map(|(bytes, _)| bytes);
        let text =
            String::from_utf8_lossy(&text.unwrap_or_default()).trim().escape_debug().to_string();
        let (since, dead) = (age(by.when, now).as_secs(), self.limits.dead.as_secs());
        let holder = if text.is_empty() { "somebody".to_owned() } else { text };
        let holder = format!("{holder} for {since} s; after {dead} s it counts as dead");
        let path = format!("{}/{}", self.asking.location, self.folder).into();
        Ok(ObjectsError::Locked { path, holder })
    }
}

/// How old something is at a time.
fn age(since: SystemTime, now: SystemTime) -> Duration {
    now.duration_since(since).unwrap_or_default()
}
