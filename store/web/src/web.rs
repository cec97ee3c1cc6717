//! A store behind `lab serve`, or on a web server that only hands out files.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use lab_objects::{
    Backend, INVENTORY, Key, Lease, Listings, MAX_INVENTORY, ObjectsError, PackBytes, PackId, Room,
    TOLD, has_moved, journal_digest, parse_inventory,
};
use reqwest::{Method, StatusCode, Url};
use tokio::task::JoinHandle;

use crate::ask::{Answer, Asker, COMPLETE, Failure, Question, SERVES};
pub use crate::ask::{Patience, Told};
use crate::credentials::{is_here, known, places, split};
use crate::error::{Result, WebError};
use crate::ranges::{Unread, read_ranges};
use crate::runtime::{spawn, wait};

/// A store that is reached by HTTP.
pub struct Web {
    asker: Arc<Asker>,
    /// Whether it takes anything.
    serves: bool,
    /// Whether it says that nothing was left out there.
    complete: bool,
    seen: Listings,
    /// What it said in the beginning that it is, which is not asked for twice.
    format: Mutex<Option<Vec<u8>>>,
    /// The pack that was sent last, if it is not known yet what became of it.
    pending: Mutex<Option<Pending>>,
}

/// A pack that was sent.
struct Pending {
    id: PackId,
    question: Question,
    answer: JoinHandle<Result<Answer, Failure>>,
}

impl fmt::Debug for Web {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Web({})", self.asker.shown)
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each is changed in one step.
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Web {
    /// Reaches a store by its URL; if `make` is set, makes one there if there is none. Says whether it was
    /// made. `told` hears when something has to be asked again.
    pub fn connect(
        location: &str,
        make: bool,
        patience: Patience,
        told: Told,
    ) -> Result<(Web, bool)> {
        let bad = |_| WebError::BadLocation("it is not a URL");
        let (mut url, said) = split(location.parse::<Url>().map_err(bad)?);
        let host = url.host_str().ok_or(WebError::BadLocation("it has no host"))?.to_owned();
        if url.query().is_some() || url.fragment().is_some() {
            return Err(WebError::BadLocation("a store has no '?' or '#' in its URL"));
        }
        let shown = url.as_str().trim_end_matches('/').to_owned();
        url.set_path(&format!("{}/", url.path().trim_end_matches('/')));
        let is_secret = url.scheme() == "https" || is_here(&host);
        // What nobody typed goes nowhere unencrypted: the location may be of others.
        if said.is_some() && !is_secret {
            told(&format!("{shown}: the token goes there unencrypted; https would keep it secret"));
        }
        let credentials = said.or_else(|| known(&host).filter(|_| is_secret));
        let asker = wait(async { Asker::new(url, shown, credentials, patience, told) });
        let asker = asker.map_err(|error| error.to_string()).flatten();
        let asker = asker.map_err(WebError::Unreachable)?;
        Web::greet(asker, &host, make)
    }

    fn greet(mut asker: Asker, host: &str, make: bool) -> Result<(Web, bool)> {
        let format = Question::get(Key::Format.path(), Key::Format.max_bytes());
        let mut answer = Web::first(&asker, &format)?;
        let serves = answer.headers.contains_key(SERVES);
        if !serves && answer.status == StatusCode::NOT_FOUND {
            // Where somebody works in the folder, the store lies in it.
            asker = asker.below(".lab/");
            answer = Web::first(&asker, &format)?;
        }
        let made = match answer.status {
            StatusCode::OK if answer.body.starts_with(b"lab store ") => false,
            StatusCode::NOT_FOUND if serves && make => true,
            StatusCode::OK | StatusCode::NOT_FOUND => return Err(WebError::NotAStore),
            status => return Err(WebError::of_answer(status, answer.trouble(), &places(host))),
        };
        let complete = serves && (made || answer.headers.contains_key(COMPLETE));
        let format = Mutex::new((!made).then_some(answer.body));
        let (asker, seen, pending) = (Arc::new(asker), Listings::default(), Mutex::default());
        Ok((Web { asker, serves, complete, seen, format, pending }, made))
    }

    fn first(asker: &Asker, question: &Question) -> Result<Answer> {
        let answer = wait(asker.ask(question, true));
        let answer = answer.map_err(|error| WebError::Unreachable(error.to_string()))?;
        answer.map_err(|failure| match failure {
            Failure::Broken { why, .. } => WebError::Unreachable(why),
            // A page that is longer than the format of a store.
            Failure::Final { .. } => WebError::NotAStore,
        })
    }

    fn error(&self, verb: &'static str, kind: io::ErrorKind, why: String) -> ObjectsError {
        let path = self.asker.shown.clone().into();
        ObjectsError::Io { verb, path, source: io::Error::new(kind, why) }
    }

    fn failed(&self, verb: &'static str, failure: Failure) -> ObjectsError {
        match failure {
            Failure::Broken { why, .. } => self.error(verb, io::ErrorKind::ConnectionAborted, why),
            Failure::Final { kind, why } => self.error(verb, kind, why),
        }
    }

    /// What an answer that is no success means.
    fn refusal(&self, verb: &'static str, answer: &Answer) -> ObjectsError {
        if answer.status == StatusCode::FORBIDDEN {
            let (place, why) = (self.asker.shown.clone(), answer.trouble());
            return ObjectsError::NotTaken { verb, place, why };
        }
        let kind = match answer.status.as_u16() {
            401 | 409 | 424 => io::ErrorKind::PermissionDenied,
            404 | 410 => io::ErrorKind::NotFound,
            413 => io::ErrorKind::FileTooLarge,
            507 => io::ErrorKind::StorageFull,
            _ => io::ErrorKind::InvalidData,
        };
        self.error(verb, kind, answer.trouble())
    }

    fn ask(&self, verb: &'static str, question: &Question) -> lab_objects::Result<Answer> {
        let answer = wait(self.asker.ask(question, false))
            .map_err(|error| self.error(verb, error.kind(), error.to_string()))?;
        let answer = answer.map_err(|failure| self.failed(verb, failure))?;
        self.answered(verb, question, answer)
    }

    /// That something was done counts only if the server itself says so, and nobody on the way.
    fn answered(
        &self,
        verb: &'static str,
        question: &Question,
        answer: Answer,
    ) -> lab_objects::Result<Answer> {
        if question.method == Method::GET || answer.headers.contains_key(SERVES) {
            return Ok(answer);
        }
        let why = format!("somebody on the way answers ({})", answer.status.as_u16());
        Err(self.error(verb, io::ErrorKind::InvalidData, why))
    }

    /// Asks for what is to be done; anything but a success is an error.
    fn demand(&self, verb: &'static str, question: &Question) -> lab_objects::Result<Answer> {
        let answer = self.ask(verb, question)?;
        match answer.status.is_success() {
            true => Ok(answer),
            false => Err(self.refusal(verb, &answer)),
        }
    }

    fn takes(&self, verb: &'static str, key: &Key) -> lab_objects::Result<()> {
        let why = match key {
            _ if !self.serves => "a plain web server hands out files and takes none",
            Key::Condemned(_) => "it is for who collects there",
            _ => return Ok(()),
        };
        Err(ObjectsError::RefusedKey { verb, key: key.to_string(), why })
    }

    /// What became of a pack that was sent.
    fn confirm(&self, pending: Option<Pending>) -> lab_objects::Result<()> {
        let Some(Pending { question, answer, .. }) = pending else { return Ok(()) };
        let answer = wait(answer)
            .and_then(|joined| joined.map_err(io::Error::other))
            .map_err(|error| self.error("publish", io::ErrorKind::Other, error.to_string()))?;
        let answer = answer.map_err(|failure| self.failed("publish", failure))?;
        let answer = self.answered("publish", &question, answer)?;
        if answer.status == StatusCode::FAILED_DEPENDENCY {
            // The one before was not on its way yet when this came; now it is there.
            return self.demand("publish", &question).map(drop);
        }
        match answer.status.is_success() {
            true => Ok(()),
            false => Err(self.refusal("publish", &answer)),
        }
    }

    fn sent(
        &self,
        id: PackId,
        bytes: &[u8],
        after: Option<PackId>,
    ) -> lab_objects::Result<Pending> {
        let mut question = pack_question(&Key::Pack(id), bytes, "");
        if let Some(before) = after {
            question = question.with("lab-after", &before.to_string());
        }
        let (asker, asked) = (Arc::clone(&self.asker), question.clone());
        let answer = spawn(async move { asker.ask(&asked, false).await })
            .map_err(|error| self.error("publish", error.kind(), error.to_string()))?;
        Ok(Pending { id, question, answer })
    }

    fn files(&self, room: Room) -> lab_objects::Result<Vec<(Key, u64)>> {
        if let Some(files) = self.seen.recall(room) {
            return Ok(files);
        }
        let at = Instant::now();
        let answer = self.ask("list", &Question::get(INVENTORY, MAX_INVENTORY))?;
        if answer.status == StatusCode::NOT_FOUND {
            let why = "it does not say what is there; `lab serve PATH --static`, once, where the store lies \
                makes an inventory of it";
            return Err(self.error("list", io::ErrorKind::NotFound, why.to_owned()));
        }
        if !answer.status.is_success() {
            return Err(self.refusal("list", &answer));
        }
        let all = parse_inventory(&answer.body)?;
        let of = |room| all.iter().filter(move |(key, _)| key.room() == room).cloned().collect();
        for told in TOLD {
            self.seen.note(told, at, of(told));
        }
        Ok(of(room))
    }
}

fn pack_question(key: &Key, bytes: &[u8], query: &str) -> Question {
    Question::send(Method::PUT, key.path() + query, Bytes::from_owner(PackBytes::copied(bytes)))
}

impl Backend for Web {
    fn location(&self) -> String {
        self.asker.shown.clone()
    }

    fn is_far(&self) -> bool {
        true
    }

    fn is_complete(&self) -> bool {
        self.complete
    }

    fn read(&self, key: &Key) -> lab_objects::Result<Option<Vec<u8>>> {
        if *key == Key::Format
            && let Some(format) = lock(&self.format).take()
        {
            return Ok(Some(format));
        }
        let answer = self.ask("read", &Question::get(key.path(), key.max_bytes()))?;
        match answer.status {
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(None),
            status if status.is_success() => Ok(Some(answer.body)),
            _ => Err(self.refusal("read", &answer)),
        }
    }

    fn read_range(&self, key: &Key, at: u64, len: u64) -> lab_objects::Result<Option<Vec<u8>>> {
        let all = self.read_ranges(&[(key.clone(), at, len)])?;
        Ok(all.into_iter().next().flatten())
    }

    fn read_ranges(&self, ranges: &[(Key, u64, u64)]) -> lab_objects::Result<Vec<Option<Vec<u8>>>> {
        let found = wait(read_ranges(&self.asker, ranges, self.serves))
            .map_err(|error| self.error("read", error.kind(), error.to_string()))?;
        found.map_err(|unread| match unread {
            Unread::Failed(failure) => self.failed("read", failure),
            Unread::Refused(answer) => self.refusal("read", &answer),
        })
    }

    fn publish(&self, key: &Key, bytes: &[u8]) -> lab_objects::Result<()> {
        if key.room() == Room::Names {
            let why = "a name moves by compare-and-swap";
            return Err(ObjectsError::RefusedKey { verb: "publish", key: key.to_string(), why });
        }
        self.takes("publish", key)?;
        self.seen.forget();
        let answer = self.ask("publish", &pack_question(key, bytes, ""))?;
        match answer.status {
            status if status.is_success() => Ok(()),
            StatusCode::CONFLICT => Err(ObjectsError::RefusedKey {
                verb: "publish",
                key: key.to_string(),
                why: "it exists with other bytes",
            }),
            _ => Err(self.refusal("publish", &answer)),
        }
    }

    /// While the server looks through one pack, the next is on its way.
    fn publish_soon(&self, key: &Key, bytes: &[u8]) -> lab_objects::Result<()> {
        let Key::Pack(id) = key else { return self.publish(key, bytes) };
        self.takes("publish", key)?;
        self.seen.forget();
        let mut pending = lock(&self.pending);
        let before = pending.take();
        let sent = self.sent(*id, bytes, before.as_ref().map(|before| before.id))?;
        match self.confirm(before) {
            Ok(()) => *pending = Some(sent),
            Err(error) => {
                // It may stand on what is not there.
                sent.answer.abort();
                return Err(error);
            }
        }
        Ok(())
    }

    fn settle(&self) -> lab_objects::Result<()> {
        let pending = lock(&self.pending).take();
        // What others published the server makes durable itself before a name moves.
        self.confirm(pending)
    }

    fn mend(&self, key: &Key, bytes: &[u8]) -> lab_objects::Result<()> {
        self.takes("mend", key)?;
        if !matches!(key, Key::Pack(_)) {
            let (key, why) = (key.to_string(), "it cannot be made again");
            return Err(ObjectsError::RefusedKey { verb: "mend", key, why });
        }
        self.seen.forget();
        self.demand("mend", &pack_question(key, bytes, "?mend")).map(drop)
    }

    fn swap(&self, key: &Key, expected: Option<&[u8]>, new: &[u8]) -> lab_objects::Result<bool> {
        self.takes("move", key)?;
        if key.room() != Room::Names {
            let (key, why) = (key.to_string(), "it is written once");
            return Err(ObjectsError::RefusedKey { verb: "swap", key, why });
        }
        self.seen.forget();
        let question = Question::send(Method::PUT, key.path(), Bytes::copy_from_slice(new));
        let question = match expected {
            None => question.with("if-none-match", "*"),
            Some(journal) => question.with("if-match", &format!("\"{}\"", journal_digest(journal))),
        };
        let answer = self.ask("move", &question)?;
        match answer.status {
            status if status.is_success() => Ok(true),
            // It may have been asked before, and the answer lost.
            StatusCode::PRECONDITION_FAILED => Ok(has_moved(self.read(key)?.as_deref(), new)),
            _ => Err(self.refusal("move", &answer)),
        }
    }

    fn list(&self, room: Room) -> lab_objects::Result<Vec<(Key, u64)>> {
        if room == Room::Root {
            let format = self.read(&Key::Format)?;
            return Ok(format.map(|bytes| (Key::Format, bytes.len() as u64)).into_iter().collect());
        }
        self.files(room)
    }

    fn look_again(&self) {
        self.seen.forget();
    }

    fn remove(&self, key: &Key) -> lab_objects::Result<bool> {
        let why = "nothing is removed by HTTP";
        Err(ObjectsError::RefusedKey { verb: "remove", key: key.to_string(), why })
    }

    fn lease(&self) -> lab_objects::Result<Lease> {
        if !self.serves {
            let (key, why) = (self.location(), "a plain web server hands out files and takes none");
            return Err(ObjectsError::RefusedKey { verb: "push to", key, why });
        }
        self.demand("lease", &Question::send(Method::POST, "leases", Bytes::new()))?;
        Ok(Lease::new(Leave(Arc::clone(&self.asker))))
    }
}

/// Ends a lease.
struct Leave(Arc<Asker>);

impl Drop for Leave {
    fn drop(&mut self) {
        let leave = Question::send(Method::DELETE, "leases", Bytes::new());
        // It ends by itself a while later otherwise; nobody waits for that.
        let goodbye = self.0.ask(&leave, true);
        let _ = wait(async { tokio::time::timeout(Duration::from_secs(2), goodbye).await.is_ok() });
    }
}
