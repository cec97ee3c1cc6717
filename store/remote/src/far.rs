//! The near side of a connection: a store that lies at its other end.
//!
//! A connection that breaks or goes silent is made anew, with growing pauses, and the question asked
//! again: every question may be asked twice. What the far side says is bounded by what was asked for;
//! whether it is true is for the store above to find out.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use lab_objects::{Backend, Key, Lease, Listings, ObjectsError, Room, has_moved, journal_digest};

use crate::error::{On, RemoteError, Side};
use crate::link::{Dial, Failure, Link, Patience, Reply, upload};
use crate::wire::{Answer, KINDS, Question, Trouble, VERSION};

/// Ranges that are asked for at a time.
const WINDOW: usize = 32;
/// Hears in words what happens to a connection.
pub type Told = Box<dyn Fn(&str) + Send>;

/// A store at the other end of a connection.
pub struct Far {
    dial: Box<dyn Dial>,
    patience: Patience,
    state: Mutex<State>,
    /// Held by who makes a connection.
    dialling: Mutex<()>,
    /// The pack that was sent last, if it is not known yet what became of it.
    pending: Mutex<Option<Pending>>,
    seen: Listings,
}

/// A pack that was sent.
struct Pending {
    link: Arc<Link>,
    answers: Receiver<io::Result<Answer>>,
    key: Key,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct State {
    link: Option<Arc<Link>>,
    /// Whether nothing was left out there.
    complete: bool,
    /// Whether the far side is to know that somebody is at work.
    leased: bool,
    /// Told when a connection is made anew.
    told: Option<Told>,
}

impl fmt::Debug for Far {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Far({})", self.dial.location())
    }
}

impl Far {
    /// Connects to a store; if `make` is set, makes one there if there is none. Says whether it was
    /// made. `told` hears when a connection that broke is made anew.
    pub fn connect(
        dial: Box<dyn Dial>,
        patience: Patience,
        make: bool,
        told: Told,
    ) -> crate::error::Result<(Far, bool)> {
        let state = State { told: Some(told), ..State::default() };
        let far = Far {
            dial,
            patience,
            state: Mutex::new(state),
            dialling: Mutex::default(),
            pending: Mutex::default(),
            seen: Listings::default(),
        };
        // The first time nobody waits: what is wrong is most likely wrong for good.
        let path = || far.dial.location().into();
        match far.greet(make) {
            Ok(made) => Ok((far, made)),
            Err(Failure::Told(Trouble::NoStore, _)) => Err(RemoteError::NotAStore { path: path() }),
            Err(Failure::Told(Trouble::InTheWay, _)) => Err(RemoteError::InTheWay { path: path() }),
            Err(Failure::Broken(why)) => {
                Err(RemoteError::Unreachable { location: far.dial.location(), why })
            }
            Err(failure) => Err(far.error("open", failure)).on(Side::Remote),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // It is changed as a whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a connection, and says hello.
    fn greet(&self, make: bool) -> Result<bool, Failure> {
        let ends = self.dial.dial().map_err(|error| Failure::Broken(error.to_string()))?;
        let link = Link::new(ends, self.patience.silence);
        let answers = link.ask(&[Question::Hello { version: VERSION, make }])?;
        let (made, complete) = loop {
            match link.next(&answers, self.patience.silence)? {
                Answer::Busy => {}
                Answer::Welcome { version: VERSION, made, complete, .. } => break (made, complete),
                Answer::Failed(trouble, text) => return Err(Failure::Told(trouble, text)),
                _ => return Err(Failure::Broken("it does not greet as lab does".to_owned())),
            }
        };
        if self.state().leased {
            let answers = link.ask(&[Question::Lease])?;
            link.collect(&answers, 0, self.patience.silence)?.done()?;
        }
        let mut state = self.state();
        (state.link, state.complete) = (Some(Arc::new(link)), complete);
        Ok(made)
    }

    /// The connection; a new one if the last broke.
    fn link(&self) -> Result<Arc<Link>, Failure> {
        // Of many who lost one at once the first makes another, and the others take that.
        let _alone = self.dialling.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = &self.state().link {
            return Ok(Arc::clone(link));
        }
        self.greet(false)?;
        let state = self.state();
        state.link.clone().ok_or_else(|| Failure::Broken("it broke at once".to_owned()))
    }

    /// Asks with a connection that works; again with a new one if it breaks.
    fn with_link<T>(&self, ask: &mut dyn FnMut(&Link) -> Result<T, Failure>) -> Result<T, Failure> {
        let mut pause = self.patience.pause;
        for attempt in 0.. {
            let asked = self.link().and_then(|link| {
                ask(&link).inspect_err(|failure| {
                    if let Failure::Broken(_) = failure {
                        self.give_up(&link);
                    }
                })
            });
            let Err(Failure::Broken(why)) = asked else { return asked };
            if attempt == self.patience.tries {
                return Err(Failure::Broken(why));
            }
            if let Some(told) = &self.state().told {
                told(&format!("{}: {why}; trying again", self.dial.location()));
            }
            // Of many clients that lose a server at once not all shall come back at once.
            let draw = RandomState::new().build_hasher().finish();
            std::thread::sleep(pause.mul_f64(0.5 + draw as f64 / u64::MAX as f64));
            pause *= 2;
        }
        unreachable!("it returns with the last attempt")
    }

    fn ask(&self, questions: &[Question], limit: u64) -> Result<Reply, Failure> {
        self.with_link(&mut |link| {
            let answers = link.ask(questions)?;
            link.collect(&answers, limit, self.patience.silence)
        })
    }

    /// As the store above knows errors.
    fn error(&self, verb: &'static str, failure: Failure) -> ObjectsError {
        let path = self.dial.location().into();
        let (kind, text) = match failure {
            Failure::Broken(why) => (io::ErrorKind::ConnectionAborted, why),
            Failure::Told(Trouble::System(kind), text) => {
                (*KINDS.get(usize::from(kind)).unwrap_or(&io::ErrorKind::Other), text)
            }
            Failure::Told(Trouble::Refused, why) => {
                let place = self.dial.location();
                return ObjectsError::NotTaken { verb, place, why };
            }
            Failure::Told(_, text) => (io::ErrorKind::InvalidData, text),
        };
        ObjectsError::Io { verb, path, source: io::Error::new(kind, text) }
    }

    fn pending(&self) -> MutexGuard<'_, Option<Pending>> {
        // It is taken and set as a whole.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a pack without waiting for what becomes of it; none if the connection is no good. After
    /// another one it goes by the same connection, where the far side keeps their order.
    fn send(&self, before: Option<&Pending>, key: &Key, bytes: &[u8]) -> Option<Pending> {
        let link = match before {
            Some(before) => Arc::clone(&before.link),
            None => self.link().ok()?,
        };
        let answers = link.ask(&publishing(key, bytes, false)).ok()?;
        Some(Pending { link, answers, key: key.clone(), bytes: bytes.to_vec() })
    }

    /// What became of a pack that was sent; it is sent again if the connection broke.
    fn confirm(&self, pending: Option<Pending>) -> lab_objects::Result<()> {
        let Some(Pending { link, answers, key, bytes }) = pending else { return Ok(()) };
        let answer = link.collect(&answers, 0, self.patience.silence);
        match answer.and_then(Reply::done) {
            Ok(()) => Ok(()),
            Err(Failure::Broken(_)) => {
                self.give_up(&link);
                self.put(&key, &bytes, false)
            }
            Err(failure) => {
                // The far side takes no more packs on this one, since they may stand on that.
                self.give_up(&link);
                Err(self.error("publish", failure))
            }
        }
    }

    /// This connection is of no more use.
    fn give_up(&self, link: &Arc<Link>) {
        let mut state = self.state();
        if state.link.as_ref().is_some_and(|now| Arc::ptr_eq(now, link)) {
            state.link = None;
        }
    }

    fn put(&self, key: &Key, bytes: &[u8], mend: bool) -> lab_objects::Result<()> {
        self.seen.forget();
        let verb = if mend { "mend" } else { "publish" };
        match self.ask(&publishing(key, bytes, mend), 0).and_then(Reply::done) {
            Ok(()) => Ok(()),
            Err(failure) => {
                // As above.
                self.state().link = None;
                Err(self.error(verb, failure))
            }
        }
    }
}

fn publishing(key: &Key, bytes: &[u8], mend: bool) -> Vec<Question> {
    upload(Question::Publish { key: key.clone(), bytes: bytes.len() as u64, mend }, bytes)
}

impl Backend for Far {
    fn location(&self) -> String {
        self.dial.location()
    }

    fn is_far(&self) -> bool {
        true
    }

    fn is_complete(&self) -> bool {
        self.state().complete
    }

    fn read(&self, key: &Key) -> lab_objects::Result<Option<Vec<u8>>> {
        match self.ask(&[Question::Read(key.clone())], key.max_bytes()) {
            Ok(Reply::Bytes(bytes)) => Ok(Some(bytes)),
            Ok(Reply::Absent | Reply::No) => Ok(None),
            Err(failure) => Err(self.error("read", failure)),
        }
    }

    fn read_range(&self, key: &Key, at: u64, len: u64) -> lab_objects::Result<Option<Vec<u8>>> {
        let all = self.read_ranges(&[(key.clone(), at, len)])?;
        Ok(all.into_iter().next().flatten())
    }

    fn read_ranges(&self, ranges: &[(Key, u64, u64)]) -> lab_objects::Result<Vec<Option<Vec<u8>>>> {
        let mut found: Vec<Option<Vec<u8>>> = Vec::with_capacity(ranges.len());
        let all = self.with_link(&mut |link| {
            // What came before a connection broke need not come again.
            while found.len() < ranges.len() {
                let window = &ranges[found.len()..ranges.len().min(found.len() + WINDOW)];
                let mut asked = Vec::with_capacity(window.len());
                for (key, at, len) in window {
                    asked.push(link.ask(&[Question::Range(key.clone(), *at, *len)])?);
                }
                for (answers, (_, _, len)) in asked.iter().zip(window) {
                    found.push(match link.collect(answers, *len, self.patience.silence)? {
                        Reply::Bytes(bytes) => Some(bytes),
                        Reply::Absent | Reply::No => None,
                    });
                }
            }
            Ok(())
        });
        match all {
            Ok(()) => Ok(found),
            Err(failure) => Err(self.error("read", failure)),
        }
    }

    fn publish(&self, key: &Key, bytes: &[u8]) -> lab_objects::Result<()> {
        self.put(key, bytes, false)
    }

    /// While the far side looks through one pack, the next is on its way.
    fn publish_soon(&self, key: &Key, bytes: &[u8]) -> lab_objects::Result<()> {
        self.seen.forget();
        let mut pending = self.pending();
        let before = pending.take();
        let sent = self.send(before.as_ref(), key, bytes);
        self.confirm(before)?;
        match sent {
            Some(sent) => *pending = Some(sent),
            None => self.put(key, bytes, false)?,
        }
        Ok(())
    }

    fn settle(&self) -> lab_objects::Result<()> {
        let pending = self.pending().take();
        self.confirm(pending)?;
        let settled = self.ask(&[Question::Settle], 0).and_then(Reply::done);
        settled.map_err(|failure| self.error("settle", failure))
    }

    fn mend(&self, key: &Key, bytes: &[u8]) -> lab_objects::Result<()> {
        self.put(key, bytes, true)
    }

    fn swap(&self, key: &Key, expected: Option<&[u8]>, new: &[u8]) -> lab_objects::Result<bool> {
        self.seen.forget();
        let digest = expected.map(journal_digest);
        let first = Question::Swap { key: key.clone(), expected: digest, bytes: new.len() as u64 };
        match self.ask(&upload(first, new), 0) {
            Ok(Reply::Bytes(_)) => Ok(true),
            // It may have been asked twice, because the first answer was lost.
            Ok(Reply::No | Reply::Absent) => Ok(has_moved(self.read(key)?.as_deref(), new)),
            Err(failure) => Err(self.error("move", failure)),
        }
    }

    fn list(&self, room: Room) -> lab_objects::Result<Vec<(Key, u64)>> {
        if let Some(files) = self.seen.recall(room) {
            return Ok(files);
        }
        let at = Instant::now();
        let listed = self.with_link(&mut |link| link.list(room, self.patience.silence));
        let mut found = listed.map_err(|failure| self.error("list", failure))?;
        if found.iter().any(|(key, _)| key.room() != room) {
            let text = "it lists files of another room".to_owned();
            return Err(self.error("list", Failure::Told(Trouble::Nonsense, text)));
        }
        found.sort();
        self.seen.note(room, at, found.clone());
        Ok(found)
    }

    fn look_again(&self) {
        self.seen.forget();
    }

    fn remove(&self, key: &Key) -> lab_objects::Result<bool> {
        let (key, why) = (key.to_string(), "only the far side itself removes anything there");
        Err(ObjectsError::RefusedKey { verb: "remove", key, why })
    }

    fn lease(&self) -> lab_objects::Result<Lease> {
        self.state().leased = true;
        let leased = self.ask(&[Question::Lease], 0).and_then(Reply::done);
        // It ends with the connection.
        leased.map(|()| Lease::default()).map_err(|failure| self.error("lease", failure))
    }
}
