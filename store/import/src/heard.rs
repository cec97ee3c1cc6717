//! Whether files have the digests that they are called by: heard while they are stored, or read for that alone.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use lab_objects::{Hearing, Store, Witness};
use lab_schema::{Alias, BlobId, Subject};

use crate::digest::Check;
use crate::error::{At, Result};
use crate::found::Source;

/// What one file turned out to be.
pub(crate) type Verdict = std::result::Result<(), Alias>;

/// Hears whether files have the digests that they are called by.
pub(crate) struct Claims {
    claims: Vec<(Option<Alias>, bool, u64)>,
    /// None: not read.
    heard: Mutex<Vec<Option<Verdict>>>,
}

impl Claims {
    /// Of these files.
    pub(crate) fn new(sources: &[&Source]) -> Claims {
        let claim = |source: &&Source| (source.claim, source.unix, source.bytes.unwrap_or(0));
        let claims = sources.iter().map(claim).collect();
        Claims { claims, heard: Mutex::new(vec![None; sources.len()]) }
    }

    /// What was heard so far, file by file; none where one was not read.
    pub(crate) fn take(&self) -> Vec<Option<Verdict>> {
        std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Witness for Claims {
    fn open(self: Arc<Self>, number: usize) -> Box<dyn Hearing> {
        let (claim, unix, bytes) = self.claims[number];
        let check = claim.map(|claim| Check::new(claim, bytes, unix));
        Box::new(Ear { claims: self, number, check })
    }
}

struct Ear {
    claims: Arc<Claims>,
    number: usize,
    check: Option<Check>,
}

impl Hearing for Ear {
    fn hear(&mut self, bytes: &[u8]) {
        if let Some(check) = &mut self.check {
            check.hear(bytes);
        }
    }

    fn end(self: Box<Self>) {
        let verdict = self.check.map_or(Ok(()), Check::end);
        let mut heard = self.claims.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard[self.number] = Some(verdict);
    }
}

/// Which blobs are known by which digests, by all imports before.
pub(crate) fn known_digests(store: &Store) -> Result<HashMap<Alias, BlobId>> {
    let mut known = HashMap::new();
    for (_, aliases) in store.aliases()? {
        // A table that cannot be read has nothing to say; a check finds it.
        let Ok(lines) = store.read_aliases(aliases.table) else { continue };
        known.extend(lines.into_iter().filter_map(|(alias, subject)| match subject {
            Subject::Blob(id) => Some((alias, id)),
            _ => None,
        }));
    }
    Ok(known)
}

/// Whether a file that is not to be stored has the digest that it should have.
pub(crate) fn check(source: &Source, claim: Alias) -> Result<Verdict> {
    let path = &source.path;
    let mut file = File::open(path).at("open", path)?;
    let bytes = file.metadata().at("inspect", path)?.len();
    let mut heard = Heard(Check::new(claim, bytes, source.unix));
    io::copy(&mut file, &mut heard).at("read", path)?;
    Ok(heard.0.end())
}

struct Heard(Check);

impl io::Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.hear(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
