//! A store in memory, for tests and dry runs.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::backend::{Backend, Key, Room};
use crate::error::{ObjectsError, Result};

/// Keeps files in memory.
#[derive(Debug, Default)]
pub struct Memory {
    files: Mutex<BTreeMap<Key, Vec<u8>>>,
}

impl Memory {
    /// With no files.
    pub fn new() -> Memory {
        Memory::default()
    }

    fn files(&self) -> std::sync::MutexGuard<'_, BTreeMap<Key, Vec<u8>>> {
        self.files.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Backend for Memory {
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
        match files.get(key) {
            Some(there) if there == bytes => Ok(()),
            Some(_) => Err(ObjectsError::RefusedKey {
                verb: "publish",
                key: key.to_string(),
                why: "it exists with other bytes",
            }),
            None => {
                files.insert(key.clone(), bytes.to_vec());
                Ok(())
            }
        }
    }

    fn swap(&self, key: &Key, expected: Option<&[u8]>, new: &[u8]) -> Result<bool> {
        let mut files = self.files();
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
        Ok(self.files().remove(key).is_some())
    }
}
