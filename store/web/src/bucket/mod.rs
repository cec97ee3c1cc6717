//! A store in a bucket: what S3, Google Cloud Storage, Azure and whatever speaks as they do keep.
//!
//! The files are those of a folder, under the same paths ([`Key::path`]). A bucket replaces a file as a whole
//! or not at all, and what it has acknowledged is durable. Names move under a condition, where the store
//! looks at conditions (`conditions.rs`), else under a lock (`tickets.rs`). Nothing is ever collected
//! here: a bucket has no leases, so that nobody could know who is at work.

mod trouble;
mod carrier;
mod asking;
mod pending;
mod upload;
mod tickets;
mod conditions;
mod profile;
mod cloud;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use lab_objects::{Backend, Key, Listings, ObjectsError, Result, Room};
use object_store::ObjectStore;

pub use self::cloud::{BucketError, SCHEMES, connect};
pub use self::tickets::Limits;

use self::asking::Asking;
use self::pending::{Before, Pending};
use self::tickets::{Door, Kept};
use self::trouble::Trouble;
use crate::runtime::wait;
use crate::web::{Patience, Told};

/// Questions that are under way at a time.
const AT_ONCE: usize = 16;
/// Most files of a room that are listed: their keys take some 100 MB.
const MAX_LISTED: usize = 1 << 20;

/// Keeps files in a bucket.
#[derive(Debug)]
pub struct Bucket {
    asking: Arc<Asking>,
    limits: Limits,
    /// Whether the store looks at conditions, once that is known.
    conditions: Mutex<Option<bool>>,
    pending: Mutex<Pending>,
    seen: Listings,
}

/// What a bucket is, and how to deal with it.
pub struct Terms {
    /// What speaks to it.
    pub store: Arc<dyn ObjectStore>,
    /// Where it is, for people.
    pub location: String,
    /// What comes before every path in it; may be empty.
    pub prefix: String,
    /// Where the keys come from, for people who are told that they do not fit.
    pub keys: String,
    /// Whether it is known to look at conditions; if not, that is tried.
    pub conditional: bool,
    /// How often to try, and how long to wait for an answer.
    pub patience: Patience,
    /// How long to wait for others.
    pub limits: Limits,
    /// Hears when something is tried again.
    pub told: Told,
}

impl fmt::Debug for Terms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Terms({})", self.location)
    }
}

impl Bucket {
    /// The bucket on these terms. Asks nothing yet.
    pub fn new(terms: Terms) -> Bucket {
        let place = (terms.location, terms.prefix, terms.keys);
        let asking = Asking::new(terms.store, place, terms.patience, terms.told);
        let conditions = Mutex::new(terms.conditional.then_some(true));
        let (asking, limits) = (Arc::new(asking), terms.limits);
        Bucket { asking, limits, conditions, pending: Mutex::default(), seen: Listings::default() }
    }

    /// Whether there is nothing at all under its prefix.
    pub fn is_vacant(&self) -> Result<bool> {
        self.ask("list", "", self.asking.is_empty())
    }

    /// Waits for an answer.
    fn ask<T>(
        &self,
        verb: &'static str,
        file: &str,
        asked: impl Future<Output = std::result::Result<T, Trouble>>,
    ) -> Result<T> {
        ask(&self.asking, verb, file, asked)
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        // A pack is added when its thread runs.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the store looks at conditions.
    fn are_conditions_kept(&self) -> Result<bool> {
        let mut known = self.conditions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = *known {
            return Ok(kept);
        }
        let file = format!("locks/probe-{}", lab_objects::unique());
        let kept = self.ask("put", &file, async {
            conditions::are_kept(&self.asking, &self.asking.path(&file)?).await
        })?;
        *known = Some(kept);
        Ok(kept)
    }
}

fn refused(verb: &'static str, key: &Key, why: &'static str) -> ObjectsError {
    ObjectsError::RefusedKey { verb, key: key.to_string(), why }
}

/// Waits for an answer, outside of the threads that carry it.
fn ask<T>(
    asking: &Asking,
    verb: &'static str,
    file: &str,
    asked: impl Future<Output = std::result::Result<T, Trouble>>,
) -> Result<T> {
    let stuck = |e: io::Error| Err(Trouble::Refused(e.kind(), e.to_string()));
    wait(asked).unwrap_or_else(stuck).map_err(|trouble| asking.error(verb, file, trouble))
}

/// Puts a file that is written once: if it is there with other bytes, that is refused. Those who put the
/// same file at the same time put the same bytes, since packs are called by what they hold.
fn publish(asking: &Asking, key: &Key, bytes: &Bytes, mut before: Before) -> Result<()> {
    let file = key.path();
    let same = ask(asking, "publish", &file, async {
        let path = asking.path(&file)?;
        let same = match asking.head(&path).await? {
            None => None,
            Some((len, _)) if len != bytes.len() as u64 => Some(false),
            Some(_) => asking.get(&path, key.max_bytes()).await?.map(|(there, _)| there == *bytes),
        };
        if same.is_none() {
            upload::upload(asking, &path, bytes, &mut before).await?;
        }
        before.is_there().await?;
        Ok(same)
    })?;
    match same {
        Some(false) => Err(refused("publish", key, "it exists with other bytes")),
        _ => Ok(()),
    }
}

impl Backend for Bucket {
    fn location(&self) -> String {
        self.asking.location.clone()
    }

    fn is_complete(&self) -> bool {
        // Only folders keep notes of what was left out.
        true
    }

    fn is_far(&self) -> bool {
        true
    }

    fn read(&self, key: &Key) -> Result<Option<Vec<u8>>> {
        let file = key.path();
        let read = self.ask("read", &file, async {
            self.asking.get(&self.asking.path(&file)?, key.max_bytes()).await
        })?;
        Ok(read.map(|(bytes, _)| bytes))
    }

    fn read_range(&self, key: &Key, offset: u64, len: u64) -> Result<Option<Vec<u8>>> {
        let file = key.path();
        self.ask("read", &file, async {
            self.asking.range(&self.asking.path(&file)?, offset, len).await
        })
    }

    fn read_ranges(&self, ranges: &[(Key, u64, u64)]) -> Result<Vec<Option<Vec<u8>>>> {
        let parts = stream::iter(ranges).map(|(key, offset, len)| async move {
            let file = key.path();
            let read = async { self.asking.range(&self.asking.path(&file)?, *offset, *len).await };
            read.await.map_err(|trouble| self.asking.error("read", &file, trouble))
        });
        wait(parts.buffered(AT_ONCE).try_collect()).unwrap_or_else(|e| {
            Err(self.asking.error("read", "", Trouble::Refused(e.kind(), e.to_string())))
        })
    }

    fn publish(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        if key.room() == Room::Names {
            return Err(refused("publish", key, "a name moves by compare-and-swap"));
        }
        self.seen.forget();
        publish(&self.asking, key, &Bytes::copy_from_slice(bytes), Before::default())
    }

    /// Packs are on their way while the next is made.
    fn publish_soon(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        if key.room() != Room::Packs {
            self.settle()?;
            return self.publish(key, bytes);
        }
        self.seen.forget();
        let (asking, key) = (Arc::clone(&self.asking), key.clone());
        let bytes = Bytes::copy_from_slice(bytes);
        self.pending().send(move |before| publish(&asking, &key, &bytes, before))
    }

    fn settle(&self) -> Result<()> {
        let settled = self.pending().settle();
        self.seen.forget();
        settled
    }

    fn mend(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        if !matches!(key, Key::Pack(_)) {
            return Err(refused("mend", key, "it cannot be made again"));
        }
        self.seen.forget();
        let file = key.path();
        self.ask("mend", &file, async {
            let path = self.asking.path(&file)?;
            let bytes = Bytes::copy_from_slice(bytes);
            upload::upload(&self.asking, &path, &bytes, &mut Before::default()).await
        })
    }

    fn swap(&self, key: &Key, expected: Option<&[u8]>, new: &[u8]) -> Result<bool> {
        let Key::Name(name) = key else {
            return Err(refused("swap", key, "it is written once"));
        };
        self.seen.forget();
        let (file, most_bytes) = (key.path(), key.max_bytes());
        let path = self.asking.path(&file);
        let path = path.map_err(|trouble| self.asking.error("move", &file, trouble))?;
        if self.are_conditions_kept()? {
            return self.ask("move", &file, async {
                conditions::swap(&self.asking, &path, most_bytes, expected, new).await
            });
        }
        let folder = format!("locks/name-{name}");
        let door =
            Door { asking: &self.asking, limits: self.limits, file: path, folder, most_bytes };
        let stuck = |e: io::Error| Err(Trouble::Refused(e.kind(), e.to_string()).into());
        match wait(door.swap(expected, new)).unwrap_or_else(stuck) {
            Ok(swapped) => Ok(swapped),
            Err(Kept::Locked(error)) => Err(error),
            Err(Kept::Trouble(trouble)) => Err(self.asking.error("move", &file, trouble)),
        }
    }

    fn list(&self, room: Room) -> Result<Vec<(Key, u64)>> {
        if room == Room::Root {
            // What else lies at the root may be anybody's, and any number.
            let file = Key::Format.path();
            let there = self
                .ask("list", &file, async { self.asking.head(&self.asking.path(&file)?).await })?;
            return Ok(there.map(|(bytes, _)| (Key::Format, bytes)).into_iter().collect());
        }
        if let Some(files) = self.seen.recall(room) {
            return Ok(files);
        }
        let at = Instant::now();
        let listed =
            self.ask("list", room.folder(), self.asking.list(room.folder(), MAX_LISTED))?;
        let key = |there: asking::Listed| Some((room.file(&there.name)?, there.bytes));
        let mut found: Vec<(Key, u64)> = listed.into_iter().filter_map(key).collect();
        found.sort();
        found.dedup_by(|a, b| a.0 == b.0);
        self.seen.note(room, at, found.clone());
        Ok(found)
    }

    fn look_again(&self) {
        self.seen.forget();
    }

    fn remove(&self, key: &Key) -> Result<bool> {
        if *key == Key::Format {
            return Err(refused("remove", key, "a store cannot lose its format"));
        }
        self.seen.forget();
        let file = key.path();
        self.ask("remove", &file, async {
            let path = self.asking.path(&file)?;
            let there = self.asking.head(&path).await?.is_some();
            if there {
                self.asking.delete(&path).await?;
            }
            Ok(there)
        })
    }

    fn published(&self, key: &Key) -> Result<Option<SystemTime>> {
        let file = key.path();
        let there = self
            .ask("inspect", &file, async { self.asking.head(&self.asking.path(&file)?).await })?;
        Ok(there.map(|(_, when)| when))
    }
}
