//! The far side of a connection: answers one client's questions about a store in a folder.
//!
//! Whoever asks is not trusted: a pack is decoded and hashed to its last frame before it counts, what
//! is not a pack or a name cannot be written, and nothing is allocated for what has not arrived.

use std::io::{self, Read, Write};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lab_lineage::LineageError;
use lab_objects::{Backend, Key, Lease, ObjectsError, Store, journal_digest};
use lab_schema::Name;

use crate::error::RemoteError;
use crate::gate::Guard;
use crate::intake::{Job, What, Work, take_in};
use crate::message::{Outgoing, PART};
use crate::wire::{Answer, KINDS, Question, Trouble, VERSION, put_entry};

/// How long work goes on before it is said that it does.
const QUIET: Duration = Duration::from_secs(10);
/// A store that was opened for a client, with what is under it.
pub struct Opened {
    /// What is under it.
    pub backend: Arc<dyn Backend>,
    /// The store.
    pub store: Store,
    /// Whether it was made just now.
    pub made: bool,
    /// What it demands of what comes under a name; nothing if none.
    pub guard: Option<Guard>,
}

/// What became of a name that a client wants to move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// It is moved.
    Yes,
    /// Somebody else has moved it meanwhile.
    Moved,
    /// It may not be: why.
    Refused(String),
}

impl Opened {
    /// Replaces the journal of a name for a client, as [`Names::replace`](lab_objects::Names::replace)
    /// does, if all that it newly points at may come in.
    pub fn replace(
        &self,
        name: &Name,
        before: Option<&[u8]>,
        after: &[u8],
    ) -> Result<Replaced, ObjectsError> {
        let names = self.store.names();
        if let Some(guard) = &self.guard {
            let targets = names.would_point_at(name, before, after)?;
            match guard.refuses(&self.store, &targets) {
                Ok(None) => {}
                Ok(Some(why)) => return Ok(Replaced::Refused(why)),
                Err(LineageError::Objects(error)) => return Err(error),
                // What cannot be looked up is not let in.
                Err(error) => return Ok(Replaced::Refused(error.to_string())),
            }
        }
        Ok(if names.replace(name, before, after)? { Replaced::Yes } else { Replaced::Moved })
    }
}

/// Answers until the client leaves. `open` opens the store, or makes it if it is told to and there is
/// none. What the client said that cannot be understood ends the connection, as an error.
///
/// While one question is worked on, the next is taken in, so that packs are looked through and written
/// while others are on their way; answers come in the order of the questions all the same.
pub fn answer(
    from: &mut dyn Read,
    to: impl Write + Send + 'static,
    open: &(dyn Fn(bool) -> crate::error::Result<Opened> + Sync),
) -> io::Result<()> {
    let to: Output = Arc::new(Mutex::new(Outgoing::new(Box::new(to))));
    let ticker = Ticker::new(&to);
    std::thread::scope(|scope| {
        // Handed over when the one before is done: two at most are held in memory.
        let (hand, handed) = sync_channel::<Job>(0);
        let worker = scope.spawn(move || {
            let mut session = Session { to, opened: None, lease: None, lacks: false };
            for Job { number, what } in handed {
                ticker.works_on(Some(number));
                let answered = session.work(number, what, open);
                ticker.works_on(None);
                answered?;
            }
            Ok(())
        });
        let taken = take_in(from, &hand);
        drop(hand);
        let worked = worker.join().unwrap_or_else(|_| Err(io::Error::other("it panicked")));
        taken.and(worked)
    })
}

type Output = Arc<Mutex<Outgoing>>;

fn lock(output: &Output) -> MutexGuard<'_, Outgoing> {
    // A writer that panicked has left half a message: the client will see that.
    output.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says now and then that work goes on, so that nobody takes it for a dead connection.
struct Ticker(Sender<Option<u32>>);

impl Ticker {
    fn new(to: &Output) -> Ticker {
        let (tell, told) = channel();
        let to = Arc::clone(to);
        std::thread::spawn(move || {
            let mut at = None;
            loop {
                match told.recv_timeout(QUIET) {
                    Ok(number) => at = number,
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {
                        let Some(number) = at else { continue };
                        let mut to = lock(&to);
                        let told = to.write(&Answer::Busy.message(number));
                        if told.and_then(|()| to.flush()).is_err() {
                            return;
                        }
                    }
                }
            }
        });
        Ticker(tell)
    }

    fn works_on(&self, number: Option<u32>) {
        // It ends only if the client is gone.
        let _ = self.0.send(number);
    }
}

struct Session {
    to: Output,
    opened: Option<Opened>,
    lease: Option<Lease>,
    /// Whether a pack could not be stored: what comes after it may stand on it, and must not be seen
    /// without it.
    lacks: bool,
}

impl Session {
    fn say(&self, number: u32, answer: &Answer) -> io::Result<()> {
        let mut to = lock(&self.to);
        to.write(&answer.message(number))?;
        to.flush()
    }

    fn done(&self, number: u32, result: Result<Answer, ObjectsError>) -> io::Result<()> {
        self.say(number, &result.unwrap_or_else(|error| failed(&error)))
    }

    fn work(
        &mut self,
        number: u32,
        work: Work,
        open: &dyn Fn(bool) -> crate::error::Result<Opened>,
    ) -> io::Result<()> {
        let nonsense = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        match (work, &self.opened) {
            (Work::Ask(question), _) => self.answer(number, question, open),
            (Work::Store(What::Publish { .. }, _), Some(_)) if self.lacks => {
                let why = "a pack before it could not be stored: connect anew";
                self.say(number, &Answer::Failed(Trouble::Refused, why.to_owned()))
            }
            (Work::Store(what, bytes), Some(opened)) => {
                let is_pack = matches!(what, What::Publish { .. } | What::Nothing);
                let done = finished(opened, what, &bytes);
                let stored = matches!(done, Ok(Answer::Done { .. }));
                self.lacks |= is_pack && !stored;
                self.done(number, done)
            }
            (Work::Store(..), None) => Err(nonsense("bytes before the greeting")),
            (Work::Refuse(why), _) => self.say(number, &Answer::Failed(Trouble::Nonsense, why)),
        }
    }

    fn answer(
        &mut self,
        number: u32,
        question: Question,
        open: &dyn Fn(bool) -> crate::error::Result<Opened>,
    ) -> io::Result<()> {
        let nonsense = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        if let Question::Hello { version, make } = question {
            let answer = match open(make) {
                _ if version != VERSION => {
                    let text = format!("this lab speaks version {VERSION} of the protocol");
                    Answer::Failed(Trouble::Newer, text)
                }
                Ok(opened) => {
                    let (location, made) = (opened.backend.location(), opened.made);
                    let complete = opened.backend.is_complete();
                    self.opened = Some(opened);
                    Answer::Welcome { version: VERSION, location, made, complete }
                }
                Err(error) => refused(&error),
            };
            return self.say(number, &answer);
        }
        let Some(Opened { backend, store, .. }) = &self.opened else {
            return Err(nonsense("a question before the greeting"));
        };
        let done = Ok(Answer::Done { no: false });
        match question {
            Question::Read(key @ Key::Pack(_)) => {
                let answered = self.ranges(number, &**backend, &key, 0, key.max_bytes())?;
                self.done(number, answered)
            }
            Question::Read(key) => {
                let answered = match backend.read(&key) {
                    Ok(Some(bytes)) => {
                        for part in bytes.chunks(PART) {
                            self.say(number, &Answer::Data(part.to_vec()))?;
                        }
                        done
                    }
                    Ok(None) => Ok(Answer::Absent),
                    Err(error) => Err(error),
                };
                self.done(number, answered)
            }
            Question::Range(key, offset, bytes) => {
                let answered = self.ranges(number, &**backend, &key, offset, bytes)?;
                self.done(number, answered)
            }
            Question::Settle => self.done(number, backend.settle().and(done)),
            Question::List(room) => match backend.list(room) {
                Ok(entries) => {
                    let mut part = Vec::new();
                    for (key, bytes) in entries {
                        put_entry(&mut part, &key, bytes);
                        if part.len() > PART / 2 {
                            self.say(number, &Answer::Data(std::mem::take(&mut part)))?;
                        }
                    }
                    self.say(number, &Answer::Data(part))?;
                    self.done(number, done)
                }
                Err(error) => self.done(number, Err(error)),
            },
            Question::Lease => {
                let lease = store.lease();
                let answered = lease.map(|lease| self.lease = Some(lease));
                self.done(number, answered.and(done))
            }
            // These come as bytes that have arrived.
            Question::Publish { .. } | Question::Swap { .. } => Ok(()),
            Question::Hello { .. } | Question::Part(_) => Ok(()),
        }
    }

    /// Hands out a part of a file, in parts.
    fn ranges(
        &self,
        number: u32,
        backend: &dyn Backend,
        key: &Key,
        offset: u64,
        bytes: u64,
    ) -> io::Result<Result<Answer, ObjectsError>> {
        let mut given = 0;
        loop {
            let len = (bytes - given).min(PART as u64);
            let part = match backend.read_range(key, offset.saturating_add(given), len) {
                Ok(Some(part)) => part,
                Ok(None) => return Ok(Ok(Answer::Absent)),
                Err(error) => return Ok(Err(error)),
            };
            given += part.len() as u64;
            let ended = (part.len() as u64) < len || given == bytes;
            if !part.is_empty() {
                self.say(number, &Answer::Data(part))?;
            }
            if ended {
                return Ok(Ok(Answer::Done { no: false }));
            }
        }
    }
}

/// Does what the bytes were for.
fn finished(opened: &Opened, what: What, bytes: &[u8]) -> Result<Answer, ObjectsError> {
    let Opened { backend, store, .. } = opened;
    match what {
        What::Nothing => {
            let text = "only packs and names can be written, and none longer than it may be";
            Ok(Answer::Failed(Trouble::Refused, text.to_owned()))
        }
        What::Publish { key: Key::Pack(id), mend } => {
            if mend {
                store.receive_instead(id, bytes)?
            } else {
                store.receive(id, bytes)?
            }
            Ok(Answer::Done { no: false })
        }
        What::Publish { key, .. } => Ok(match backend.read(&key)? {
            Some(there) if there == bytes => Answer::Done { no: false },
            _ => Answer::Failed(Trouble::Refused, "it exists with other bytes".to_owned()),
        }),
        What::Swap { key: Key::Name(name), expected } => {
            let now = backend.read(&Key::Name(name.clone()))?;
            if now.as_deref().map(journal_digest) != expected {
                return Ok(Answer::Done { no: true });
            }
            Ok(match opened.replace(&name, now.as_deref(), bytes)? {
                Replaced::Yes => Answer::Done { no: false },
                Replaced::Moved => Answer::Done { no: true },
                Replaced::Refused(why) => Answer::Failed(Trouble::Refused, why),
            })
        }
        What::Swap { .. } => Ok(Answer::Absent),
    }
}

/// What is said of a store that failed.
fn failed(error: &ObjectsError) -> Answer {
    let trouble = match error {
        ObjectsError::Io { source, .. } | ObjectsError::Stream { source, .. } => {
            let kind = KINDS.iter().position(|kind| *kind == source.kind()).unwrap_or(0);
            Trouble::System(kind as u8)
        }
        ObjectsError::Missing { .. } => Trouble::Refused,
        ObjectsError::NotAStore { .. } => Trouble::NoStore,
        ObjectsError::Newer { .. } | ObjectsError::Older { .. } => Trouble::Newer,
        ObjectsError::RefusedKey { .. }
        | ObjectsError::NotTaken { .. }
        | ObjectsError::Locked { .. } => Trouble::Refused,
        ObjectsError::Damaged { .. } | ObjectsError::Corrupt { .. } | ObjectsError::Schema(_) => {
            Trouble::Damaged
        }
        _ => Trouble::System(0),
    };
    Answer::Failed(trouble, error.to_string())
}

/// What is said of a store that could not be opened.
fn refused(error: &RemoteError) -> Answer {
    match error {
        RemoteError::NotAStore { .. } => Answer::Failed(Trouble::NoStore, error.to_string()),
        RemoteError::InTheWay { .. } => Answer::Failed(Trouble::InTheWay, error.to_string()),
        RemoteError::Store { source, .. } => failed(source),
        error => Answer::Failed(Trouble::Refused, error.to_string()),
    }
}
