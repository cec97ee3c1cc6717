//! A connection: questions are numbered, so that many can be under way; answers come in the order of the
//! questions. One that goes silent is cut.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lab_objects::{Key, Room};

use crate::message::{Incoming, Outgoing, PART};
use crate::wire::{Answer, Question, Trouble, entries};

/// Answers that wait to be looked at, for each question.
const WAITING: usize = 8;
/// Most files of a room that are listed: their keys take some 100 MB.
const MAX_LISTED: usize = 1 << 20;
/// So many hundredths of a second the far side may take to say why it has hung up.
const PARTING: u32 = 20;

/// Makes connections.
pub trait Dial: Send + Sync + fmt::Debug {
    /// A new connection.
    fn dial(&self) -> io::Result<Ends>;

    /// Where it leads, for people.
    fn location(&self) -> String;
}

/// A connection.
pub struct Ends {
    /// What comes from the far side.
    pub from: Box<dyn Read + Send>,
    /// What goes there.
    pub to: Box<dyn Write + Send>,
    /// What keeps it up, and can say why it ended.
    pub held: Box<dyn Held>,
}

/// What keeps a connection up until it is dropped.
pub trait Held: Send {
    /// Why it ended, if that is known: asked when it has.
    fn why(&mut self) -> Option<String> {
        None
    }

    /// Ends it now, so that whoever waits on either end of it is set free.
    fn cut(&mut self);
}

/// How long to wait, and how often to try.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Without a sign of life for so long a connection counts as dead.
    pub silence: Duration,
    /// How often a connection that broke is made anew before that is given up.
    pub tries: u32,
    /// The first pause between two attempts; each is twice as long as the one before.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let (silence, pause) = (Duration::from_secs(60), Duration::from_millis(250));
        Patience { silence, tries: 5, pause }
    }
}

/// Why a question has no answer.
pub(crate) enum Failure {
    /// The connection is no good any more: why.
    Broken(String),
    /// The far side could not do it.
    Told(Trouble, String),
}

/// What a question came to.
pub(crate) enum Reply {
    Bytes(Vec<u8>),
    No,
    Absent,
}

impl Reply {
    /// It was done, if that is what was said.
    pub(crate) fn done(self) -> Result<(), Failure> {
        match self {
            Reply::Bytes(_) => Ok(()),
            Reply::No | Reply::Absent => {
                Err(Failure::Told(Trouble::Nonsense, "it answers something else".to_owned()))
            }
        }
    }
}

/// A question, and the bytes that it announces.
pub(crate) fn upload(first: Question, bytes: &[u8]) -> Vec<Question> {
    let parts = bytes.chunks(PART).map(|part| Question::Part(part.to_vec()));
    [first].into_iter().chain(parts).collect()
}

/// A connection, and who waits for what.
pub(crate) struct Link {
    to: Mutex<Writing>,
    waiting: Arc<Mutex<Waiting>>,
    held: Arc<Mutex<Box<dyn Held>>>,
    /// Since when a message is being written.
    writing: Arc<Mutex<Option<Instant>>>,
}

struct Writing {
    to: Outgoing,
    next: u32,
}

#[derive(Default)]
struct Waiting {
    open: HashMap<u32, SyncSender<io::Result<Answer>>>,
    /// Why nothing comes any more.
    ended: Option<String>,
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Cuts a connection on which a message cannot get through.
fn watch(
    held: &Arc<Mutex<Box<dyn Held>>>,
    writing: &Arc<Mutex<Option<Instant>>>,
    silence: Duration,
) {
    let (held, writing) = (Arc::downgrade(held), Arc::clone(writing));
    let nap = (silence / 8).clamp(Duration::from_millis(5), Duration::from_secs(1));
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(nap);
            let Some(held) = held.upgrade() else { return };
            let stuck = lock(&writing).is_some_and(|since| since.elapsed() > silence);
            if stuck {
                return lock(&held).cut();
            }
        }
    });
}

impl Link {
    /// Over these ends.
    pub(crate) fn new(ends: Ends, silence: Duration) -> Link {
        let held = Arc::new(Mutex::new(ends.held));
        let writing = Arc::new(Mutex::new(None));
        watch(&held, &writing, silence);
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let (mut from, theirs) = (Incoming::new(ends.from), Arc::clone(&waiting));
        std::thread::spawn(move || {
            let why = loop {
                match from.read() {
                    Ok(Some(message)) => {
                        let number = message.number;
                        let answer = Answer::parse(message);
                        let ends = matches!(
                            answer,
                            Err(_)
                                | Ok(Answer::Done { .. }
                                    | Answer::Absent
                                    | Answer::Failed(..)
                                    | Answer::Welcome { .. })
                        );
                        let asked = {
                            let mut waiting = lock(&theirs);
                            match ends {
                                true => waiting.open.remove(&number),
                                false => waiting.open.get(&number).cloned(),
                            }
                        };
                        // Nobody may wait any more for the answer to a question that failed.
                        if let Some(asked) = asked {
                            let _ = asked.send(answer);
                        }
                    }
                    Ok(None) => break "the far side has hung up".to_owned(),
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                        break "it broke off".to_owned();
                    }
                    Err(error) => break error.to_string(),
                }
            };
            let mut waiting = lock(&theirs);
            waiting.ended = Some(why);
            waiting.open.clear();
        });
        let to = Mutex::new(Writing { to: Outgoing::new(ends.to), next: 1 });
        Link { to, waiting, held, writing }
    }

    /// Sends messages that are one question.
    pub(crate) fn ask(
        &self,
        questions: &[Question],
    ) -> Result<Receiver<io::Result<Answer>>, Failure> {
        let (tell, told) = sync_channel(WAITING);
        let mut writing = lock(&self.to);
        let number = writing.next;
        writing.next = number.wrapping_add(1);
        {
            let mut waiting = lock(&self.waiting);
            if waiting.ended.is_none() {
                waiting.open.insert(number, tell);
            }
        }
        let sent = questions.iter().try_for_each(|question| {
            *lock(&self.writing) = Some(Instant::now());
            writing.to.write(&question.message(number))
        });
        let sent = sent.and_then(|()| writing.to.flush());
        *lock(&self.writing) = None;
        drop(writing);
        match sent {
            Ok(()) => Ok(told),
            Err(error) => Err(self.broken(self.ended().unwrap_or_else(|| error.to_string()))),
        }
    }

    /// Why nothing comes any more. Who finds that nothing can be sent may know it a moment earlier.
    fn ended(&self) -> Option<String> {
        for _ in 0..PARTING {
            let ended = lock(&self.waiting).ended.clone();
            if ended.is_some() {
                return ended;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    /// The next answer to a question.
    pub(crate) fn next(
        &self,
        answers: &Receiver<io::Result<Answer>>,
        silence: Duration,
    ) -> Result<Answer, Failure> {
        match answers.recv_timeout(silence) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.broken(error.to_string())),
            Err(RecvTimeoutError::Timeout) => {
                Err(self.broken(format!("nothing came for {} s", silence.as_secs_f64())))
            }
            Err(RecvTimeoutError::Disconnected) => {
                let ended = lock(&self.waiting).ended.clone();
                Err(self.broken(ended.unwrap_or_else(|| "it broke off".to_owned())))
            }
        }
    }

    /// The answer to a question: at most `limit` bytes.
    pub(crate) fn collect(
        &self,
        answers: &Receiver<io::Result<Answer>>,
        limit: u64,
        silence: Duration,
    ) -> Result<Reply, Failure> {
        let mut bytes = Vec::new();
        loop {
            match self.next(answers, silence)? {
                Answer::Busy => {}
                Answer::Data(part) if bytes.len() as u64 + part.len() as u64 <= limit => {
                    bytes.extend(part);
                }
                Answer::Data(_) => {
                    return Err(Failure::Broken("more came than was asked for".to_owned()));
                }
                Answer::Done { no: false } => return Ok(Reply::Bytes(bytes)),
                Answer::Done { no: true } => return Ok(Reply::No),
                Answer::Absent => return Ok(Reply::Absent),
                Answer::Failed(trouble, text) => return Err(Failure::Told(trouble, text)),
                Answer::Welcome { .. } => {
                    return Err(Failure::Broken("it greets twice".to_owned()));
                }
            }
        }
    }

    /// The files of a room, in whatever order they come.
    pub(crate) fn list(&self, room: Room, silence: Duration) -> Result<Vec<(Key, u64)>, Failure> {
        let answers = self.ask(&[Question::List(room)])?;
        let mut found = Vec::new();
        loop {
            match self.next(&answers, silence)? {
                Answer::Busy => {}
                Answer::Data(part) => {
                    found.extend(entries(&part).map_err(|e| Failure::Broken(e.to_string()))?);
                    if found.len() > MAX_LISTED {
                        let text = format!("it lists more than {MAX_LISTED} files");
                        return Err(Failure::Told(Trouble::Nonsense, text));
                    }
                }
                Answer::Done { .. } => return Ok(found),
                Answer::Failed(trouble, text) => return Err(Failure::Told(trouble, text)),
                _ => return Err(Failure::Broken("it answers something else".to_owned())),
            }
        }
    }

    fn broken(&self, what: String) -> Failure {
        Failure::Broken(lock(&self.held).why().unwrap_or(what))
    }
}
