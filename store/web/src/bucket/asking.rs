//! The few things that a bucket is asked, each again if that may help.
//!
//! Whatever is asked here can be asked twice: what is read, listed or removed, and puts of the same bytes.
//! What must not be done twice ([`Asking::put_once`]) is for the callers to look after.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::StreamExt;
use lab_objects::ObjectsError;
use object_store::path::Path;
use object_store::{
    GetOptions, GetRange, GetResult, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    UpdateVersion,
};

use crate::runtime::keep_pace;

use super::trouble::{Trouble, shown, torn};
use crate::web::{Patience, Told};

/// A connection slower than this counts as stuck.
const LEAST_BYTES_PER_S: u64 = 64 << 10;
/// Room for the first bytes of what is read; more is made when they come.
const AT_FIRST: u64 = 4 << 20;

/// Whom to ask, and how.
pub(crate) struct Asking {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Where it is, for people: with the prefix.
    pub(crate) location: String,
    /// What comes before every key; empty or without a slash at its end.
    pub(crate) prefix: String,
    /// Where the keys come from, for people.
    pub(crate) keys: String,
    pub(crate) patience: Patience,
    told: Mutex<Told>,
    /// Whether anything was ever answered: what does not answer the first time is most likely misspelt.
    reached: AtomicBool,
}

impl fmt::Debug for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The store itself may show more than it should.
        write!(f, "Bucket({})", self.location)
    }
}

/// A file in a listing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) when: SystemTime,
}

impl Asking {
    pub(crate) fn new(
        store: Arc<dyn ObjectStore>,
        (location, prefix, keys): (String, String, String),
        patience: Patience,
        told: Told,
    ) -> Asking {
        let (told, reached) = (Mutex::new(told), AtomicBool::new(false));
        Asking { store, location, prefix, keys, patience, told, reached }
    }

    /// The path of a file, from the bucket's root.
    pub(crate) fn path(&self, file: &str) -> Result<Path, Trouble> {
        let whole = match (self.prefix.as_str(), file) {
            ("", file) => file.to_owned(),
            (prefix, "") => prefix.to_owned(),
            (prefix, file) => format!("{prefix}/{file}"),
        };
        Path::parse(whole)
            .map_err(|e| Trouble::Refused(ErrorKind::InvalidInput, shown(&e.to_string())))
    }

    /// As the store above knows errors.
    pub(crate) fn error(&self, verb: &'static str, file: &str, trouble: Trouble) -> ObjectsError {
        let location = &self.location;
        let path =
            if file.is_empty() { location.into() } else { format!("{location}/{file}").into() };
        let (kind, why) = match trouble {
            Trouble::TooLarge => {
                let why = "it is larger than such a file can be";
                return ObjectsError::Damaged { what: format!("{location}/{file}"), why };
            }
            Trouble::Absent => (ErrorKind::NotFound, "it is not there".to_owned()),
            Trouble::Condition => (ErrorKind::Other, "it keeps changing".to_owned()),
            Trouble::Unknown => {
                (ErrorKind::Unsupported, "this store does not know how to do that".to_owned())
            }
            Trouble::Broken { why, .. } => (ErrorKind::ConnectionAborted, why),
            Trouble::Refused(ErrorKind::PermissionDenied, why) if !self.keys.is_empty() => {
                (ErrorKind::PermissionDenied, format!("{why}; {}", self.keys))
            }
            Trouble::Refused(kind, why) => (kind, why),
        };
        ObjectsError::Io { verb, path, source: io::Error::new(kind, why) }
    }

    /// Says what happens, to whoever listens.
    fn say(&self, text: &str) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)(text);
    }

    /// A pause before the n-th attempt after the first. Of many clients that lose a store at once not all
    /// shall come back at once.
    pub(crate) async fn rest(&self, attempt: u32) {
        let draw = RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64;
        let pause = self.patience.pause.saturating_mul(1 << attempt.min(7));
        tokio::time::sleep(pause.mul_f64(0.5 + draw)).await;
    }

    /// Whether to ask again, after a pause that is said aloud.
    pub(crate) async fn again(&self, attempt: u32, trouble: &Trouble) -> bool {
        let Trouble::Broken { answered, why } = trouble else { return false };
        let hopeless = !answered && !self.reached.load(Ordering::Relaxed);
        if attempt >= self.patience.tries || hopeless {
            return false;
        }
        self.say(&format!("{}: {why}; trying again", self.location));
        self.rest(attempt).await;
        true
    }

    /// What a question comes to; a question that is stuck is given up.
    pub(crate) async fn once<T>(
        &self,
        bytes: u64,
        asked: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        let limit = self.patience.silence + Duration::from_secs(bytes / LEAST_BYTES_PER_S);
        let answer = tokio::time::timeout(limit, asked).await.unwrap_or_else(|_| {
            Err(Trouble::broken(format!("nothing came for {} s", limit.as_secs_f64())))
        });
        if !matches!(answer, Err(Trouble::Broken { answered: false, .. })) {
            self.reached.store(true, Ordering::Relaxed);
        }
        answer
    }

    /// Asks until there is an answer, or no hope of one.
    async fn until<T, F: Future<Output = Result<T, Trouble>>>(
        &self,
        bytes: u64,
        ask: impl Fn() -> F,
    ) -> Result<T, Trouble> {
        for attempt in 0.. {
            match self.once(bytes, ask()).await {
                Err(trouble) if self.again(attempt, &trouble).await => {}
                answer => return answer,
            }
        }
        unreachable!("it returns with the last attempt")
    }

    /// A whole file of at most `limit` bytes, and which version of it; none if it is absent.
    pub(crate) async fn get(
        &self,
        path: &Path,
        limit: u64,
    ) -> Result<Option<(Vec<u8>, UpdateVersion)>, Trouble> {
        let ask = || async {
            let got = self.store.get(path).await?;
            let version =
                UpdateVersion { e_tag: got.meta.e_tag.clone(), version: got.meta.version.clone() };
            if got.meta.size > limit {
                return Err(Trouble::TooLarge);
            }
            Ok((self.body(got).await?, version))
        };
        optional(self.until(limit, ask).await)
    }

    /// A part of a file, or as much of it as there is; none if the file is absent.
    pub(crate) async fn range(
        &self,
        path: &Path,
        offset: u64,
        bytes: u64,
    ) -> Result<Option<Vec<u8>>, Trouble> {
        let range = offset..offset.saturating_add(bytes);
        let ask = || async {
            if range.is_empty() {
                return self.store.head(path).await.map(|_| Vec::new()).map_err(Trouble::from);
            }
            let wanted = Some(GetRange::Bounded(range.clone()));
            let got = self.store.get_opts(path, GetOptions { range: wanted, ..Default::default() });
            match got.await {
                Ok(got) if is_inside(&got.range, &range) => self.body(got).await,
                Ok(_) => Err(torn("it sent another part than was asked for")),
                Err(error) => {
                    let trouble = Trouble::from(error);
                    let asked = matches!(
                        trouble,
                        Trouble::Absent | Trouble::Broken { answered: false, .. }
                    );
                    // A part that begins after the end is refused, each time in other words.
                    if !asked && self.store.head(path).await?.size <= offset {
                        return Ok(Vec::new());
                    }
                    Err(trouble)
                }
            }
        };
        optional(self.until(bytes, ask).await)
    }

    /// The bytes that come, which are as many as were announced.
    async fn body(&self, got: GetResult) -> Result<Vec<u8>, Trouble> {
        let expected = got.range.end.saturating_sub(got.range.start);
        let mut bytes = Vec::with_capacity(expected.min(AT_FIRST) as usize);
        let mut stream = got.into_stream();
        loop {
            let next = tokio::time::timeout(self.patience.silence, stream.next()).await;
            let silent = |_| torn("it went silent");
            let Some(part) = next.map_err(silent)? else { break };
            let part = part.map_err(|e| match Trouble::from(e) {
                Trouble::Broken { why, .. } => torn(why),
                trouble => trouble,
            })?;
            if (bytes.len() + part.len()) as u64 > expected {
                return Err(torn("more came than was announced"));
            }
            bytes.extend_from_slice(&part);
            keep_pace(part.len() as u64).await;
        }
        if (bytes.len() as u64) < expected {
            let why = format!("it broke off after {} of {expected} bytes", bytes.len());
            return Err(torn(why));
        }
        Ok(bytes)
    }

    /// Size and time of a file; none if it is absent.
    pub(crate) async fn head(&self, path: &Path) -> Result<Option<(u64, SystemTime)>, Trouble> {
        let ask = || async {
            let there = self.store.head(path).await?;
            Ok((there.size, there.last_modified.into()))
        };
        optional(self.until(0, ask).await)
    }

    /// Puts a file, once. If it breaks, it is not known whether it was done.
    pub(crate) async fn put_once(
        &self,
        path: &Path,
        bytes: Bytes,
        mode: PutMode,
    ) -> Result<(), Trouble> {
        let len = bytes.len() as u64;
        let put = async {
            let options = PutOptions { mode, ..Default::default() };
            self.store.put_opts(path, bytes.into(), options).await.map(drop).map_err(Trouble::from)
        };
        self.once(len, put).await
    }

    /// Puts a file, in the place of whatever is there.
    pub(crate) async fn put(&self, path: &Path, bytes: Bytes) -> Result<(), Trouble> {
        for attempt in 0.. {
            match self.put_once(path, bytes.clone(), PutMode::Overwrite).await {
                Err(trouble) if self.again(attempt, &trouble).await => {}
                answer => return answer,
            }
        }
        unreachable!("it returns with the last attempt")
    }

    /// Removes a file, if it is there.
    pub(crate) async fn delete(&self, path: &Path) -> Result<(), Trouble> {
        let ask = || async { self.store.delete(path).await.map_err(Trouble::from) };
        optional(self.until(0, ask).await).map(drop)
    }

    /// The files of a folder, not those below it, sorted. There may be at most `most` below it.
    pub(crate) async fn list(&self, folder: &str, most: usize) -> Result<Vec<Listed>, Trouble> {
        let path = self.path(folder)?;
        let head = format!("{path}/");
        for attempt in 0.. {
            match self.list_once(&path, &head, most).await {
                Err(trouble) if self.again(attempt, &trouble).await => {}
                answer => return answer,
            }
        }
        unreachable!("it returns with the last attempt")
    }

    async fn list_once(
        &self,
        path: &Path,
        head: &str,
        most: usize,
    ) -> Result<Vec<Listed>, Trouble> {
        let (mut found, mut seen) = (Vec::new(), 0);
        let mut stream = self.store.list(Some(path));
        while let Some(there) = self.once(0, async { Ok(stream.next().await) }).await? {
            let there = there?;
            seen += 1;
            if seen > most {
                let why = format!("it lists more than {most} files");
                return Err(Trouble::Refused(ErrorKind::InvalidData, why));
            }
            let name = there.location.as_ref().strip_prefix(head);
            let Some(name) = name.filter(|name| !name.contains('/')) else { continue };
            let (name, when) = (name.to_owned(), there.last_modified.into());
            found.push(Listed { name, bytes: there.size, when });
        }
        found.sort();
        Ok(found)
    }

    /// Whether anything at all is there.
    pub(crate) async fn is_empty(&self) -> Result<bool, Trouble> {
        let path = self.path("")?;
        let ask = || async {
            let prefix = (!self.prefix.is_empty()).then_some(&path);
            self.store.list(prefix).next().await.transpose().map_err(Trouble::from)
        };
        Ok(self.until(0, ask).await?.is_none())
    }
}

fn is_inside(inner: &Range<u64>, outer: &Range<u64>) -> bool {
    inner.start == outer.start && inner.end <= outer.end
}

/// What is not there is none.
fn optional<T>(answer: Result<T, Trouble>) -> Result<Option<T>, Trouble> {
    match answer {
        Err(Trouble::Absent) => Ok(None),
        answer => answer.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;
    use crate::runtime::wait;

    #[test]
    fn listings_have_an_end() {
        let store = Arc::new(InMemory::new());
        let place = ("memory".to_owned(), String::new(), String::new());
        let asking = Asking::new(store, place, Patience::default(), Box::new(|_| {}));
        let listed = wait(async {
            for name in ["a", "b", "c/d"] {
                asking.put(&Path::from(format!("names/{name}")), "x".into()).await.unwrap();
            }
            (asking.list("names", 3).await, asking.list("names", 2).await)
        });
        let (all, some) = listed.unwrap();
        let names: Vec<String> = all.unwrap().into_iter().map(|there| there.name).collect();
        assert_eq!(names, ["a", "b"]);
        assert!(matches!(some, Err(Trouble::Refused(ErrorKind::InvalidData, _))));
    }
}
