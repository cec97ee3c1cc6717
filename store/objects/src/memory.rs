//! A store in memory, for tests: stricter than a disk.
//!
//! It refuses what a folder would let pass and a well-behaved store never does: a file before the
//! format, a pack under a wrong id or with an impossible table of contents, a name
//! that is published instead of swapped.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::backend::{Backend, Key, Room};
use crate::error::{ObjectsError, Result};
use crate::lease::{Lease, Living};
use crate::pack::{FOOTER_BYTES, check_tail, tail_len};

/// Keeps files in memory.
#[derive(Debug, Default)]
pub struct Memory {
    files: Mutex<BTreeMap<Key, Vec<u8>>>,
    published: Mutex<BTreeMap<Key, SystemTime>>,
    leases: Arc<Mutex<BTreeMap<u64, SystemTime>>>,
}

impl Memory {
    /// With no files.
    pub fn new() -> Memory {
        Memory::default()
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<Key, Vec<u8>>> {
        // No operation leaves the map half changed.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note_time(&self, key: &Key) {
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        published.insert(key.clone(), SystemTime::now());
    }
}

/// A lease that is one of several in a map.
struct Held(u64, Arc<Mutex<BTreeMap<u64, SystemTime>>>);

impl Drop for Held {
    fn drop(&mut self) {
        self.1.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

fn refused(verb: &'static str, key: &Key, why: &'static str) -> ObjectsError {
    ObjectsError::RefusedKey { verb, key: key.to_string(), why }
}

/// The rule that publishing would break.
fn objection(
    files: &BTreeMap<Key, Vec<u8>>,
    key: &Key,
    bytes: &[u8],
) -> std::result::Result<(), &'static str> {
    if *key != Key::Format && !files.contains_key(&Key::Format) {
        return Err("the format comes first");
    }
    match key {
        Key::Format | Key::Condemned(_) => {}
        Key::Name(_) => return Err("a name moves by compare-and-swap"),
        Key::Pack(id) => {
            let footer = bytes.len().checked_sub(FOOTER_BYTES).ok_or("it is too short")?;
            let len = tail_len(&bytes[footer..], bytes.len() as u64)? as usize;
            check_tail(*id, &bytes[bytes.len() - len..], bytes.len() as u64)?;
        }
    }
    Ok(())
}

impl Backend for Memory {
    fn location(&self) -> String {
        "memory".into()
    }

    fn is_complete(&self) -> bool {
        true
    }

    fn read(&self, key: &Key) -> Result<Option<Vec<u8>>> {
        Ok(self.files().get(key).cloned())
    }

    fn read_range(&self, key: &Key, offset: u64, len: u64) -> Result<Option<Vec<u8>>> {
        Ok(self.files().get(key).map(|bytes| {
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            let len = usize::try_from(len).unwrap_or(usize::MAX).min(bytes.len() - start);
            bytes[start..start + len].to_vec()
        }))
    }

    fn publish(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        let mut files = self.files();
        objection(&files, key, bytes).map_err(|why| refused("publish", key, why))?;
        if files.get(key).is_some_and(|there| there != bytes) {
            return Err(refused("publish", key, "it exists with other bytes"));
        }
        if files.insert(key.clone(), bytes.to_vec()).is_none() {
            self.note_time(key);
        }
        Ok(())
    }

    fn settle(&self) -> Result<()> {
        Ok(())
    }

    fn mend(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        let mut files = self.files();
        if matches!(key, Key::Format | Key::Condemned(_)) {
            return Err(refused("mend", key, "it cannot be made again"));
        }
        objection(&files, key, bytes).map_err(|why| refused("mend", key, why))?;
        files.insert(key.clone(), bytes.to_vec());
        self.note_time(key);
        Ok(())
    }

    fn swap(&self, key: &Key, expected: Option<&[u8]>, new: &[u8]) -> Result<bool> {
        let mut files = self.files();
        if key.room() != Room::Names {
            return Err(refused("swap", key, "it is written once"));
        }
        if files.get(key).map(Vec::as_slice) != expected {
            return Ok(false);
        }
        files.insert(key.clone(), new.to_vec());
        Ok(true)
    }

    fn list(&self, room: Room) -> Result<Vec<(Key, u64)>> {
        let files = self.files();
        let here = files.iter().filter(|(key, _)| key.room() == room);
        Ok(here.map(|(key, bytes)| (key.clone(), bytes.len() as u64)).collect())
    }

    fn remove(&self, key: &Key) -> Result<bool> {
        if *key == Key::Format {
            return Err(refused("remove", key, "a store cannot lose its format"));
        }
        Ok(self.files().remove(key).is_some())
    }

    fn lease(&self) -> Result<Lease> {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        let number = leases.last_key_value().map_or(0, |(last, _)| last + 1);
        leases.insert(number, SystemTime::now());
        Ok(Lease::new(Held(number, Arc::clone(&self.leases))))
    }

    fn leases(&self, _sweep: bool) -> Result<Vec<Living>> {
        let leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        let living = |since: &SystemTime| Living { since: *since, holder: "this process".into() };
        Ok(leases.values().map(living).collect())
    }

    fn exclude(&self) -> Result<(Lease, SystemTime)> {
        Ok((Lease::default(), SystemTime::now()))
    }

    fn published(&self, key: &Key) -> Result<Option<SystemTime>> {
        let published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(published.get(key).copied())
    }
}
