//! Is everything still here, and still right?
//!
//! A quick check looks at the structure: that each pack ends as it should, that every structured object is whole, that what it points at is here, that every chunk of
//! every large blob is recorded, that every name is legible and points at something. A full check
//! reads every byte besides.
//!
//! Nothing is changed, nothing printed; what cannot be read at all (a permission, a disk that
//! reports errors) ends the check with that error.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use lab_schema::{Digest, Kind, Name, ObjectId};

use crate::backend::{Key, PackId, Room};
use crate::catalog::{PackState, Place};
use crate::error::{ObjectsError, Result};
use crate::frame::{FrameKey, FrameKind};
use crate::list::Parts;
use crate::pack::{self, Record};
use crate::pipeline::MAX_WORKERS;
use crate::progress::Progress;
use crate::read;
use crate::store::{Store, describe};

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Packs looked at.
    pub packs: u64,
    /// Objects looked at.
    pub objects: u64,
    /// Bytes of the packs.
    pub bytes: u64,
    /// What is wrong, each thing once; empty if the store is sound.
    pub findings: Vec<Finding>,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Finding {
    /// A pack does not hold what was written to it.
    Pack {
        /// The pack.
        pack: PackId,
        /// What is wrong with it.
        why: String,
    },
    /// One copy of something in a pack is damaged.
    Frame {
        /// The pack.
        pack: PackId,
        /// What is damaged.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// An object cannot be read.
    Object {
        /// The object.
        id: ObjectId,
        /// What is wrong with it.
        why: String,
    },
    /// An object points at one that is not here.
    Lacking {
        /// What is missing.
        id: ObjectId,
        /// Who needs it.
        needed_by: ObjectId,
    },
    /// A name cannot be read, or points at an object that is not here.
    Name {
        /// The name.
        name: Name,
        /// What is wrong with it.
        why: String,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Pack { pack, why } => write!(f, "pack {pack}: {why}"),
            Finding::Frame { pack, what, why } => write!(f, "{what} in pack {pack}: {why}"),
            Finding::Object { id, why } => write!(f, "{id}: {why}"),
            Finding::Lacking { id, needed_by } => {
                write!(f, "{id}: missing, and needed by {needed_by}")
            }
            Finding::Name { name, why } => write!(f, "name {name}: {why}"),
        }
    }
}

/// Checks a store: quick looks at structure, links and names, full at every byte.
pub fn check(store: &Store, full: bool, progress: &dyn Progress) -> Result<Report> {
    store.refresh()?;
    let packs = store.backend().list(Room::Packs)?;
    let bytes = packs.iter().map(|(_, bytes)| bytes).sum();
    let report = Report { packs: packs.len() as u64, bytes, ..Report::default() };
    let mut checker = Checker { store, full, progress, report, seen: HashSet::new() };
    progress.begin("check", Some(bytes));
    let done = checker.all(&packs);
    progress.end();
    done?;
    Ok(checker.report)
}

struct Checker<'a> {
    store: &'a Store,
    full: bool,
    progress: &'a dyn Progress,
    report: Report,
    seen: HashSet<Finding>,
}

impl Checker<'_> {
    fn all(&mut self, packs: &[(Key, u64)]) -> Result<()> {
        self.packs(packs)?;
        for kind in Kind::ALL {
            for id in self.store.list(kind)? {
                self.report.objects += 1;
                self.object(id)?;
            }
        }
        for (key, _) in self.store.backend().list(Room::Names)? {
            if let Key::Name(name) = key {
                self.name(name)?;
            }
        }
        Ok(())
    }

    fn found(&mut self, finding: Finding) {
        if self.seen.insert(finding.clone()) {
            self.report.findings.push(finding);
        }
    }

    /// Looks at packs, several at a time.
    fn packs(&mut self, packs: &[(Key, u64)]) -> Result<()> {
        let (next, found) = (AtomicUsize::new(0), Mutex::new((Vec::new(), Ok(()))));
        let (store, full, progress) = (self.store, self.full, self.progress);
        let work = || {
            while let Some((key, bytes)) = packs.get(next.fetch_add(1, Ordering::Relaxed)) {
                let Key::Pack(id) = key else { continue };
                let looked = look_at(store, *id, *bytes, full);
                progress.advance(*bytes);
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                match looked {
                    Ok(findings) => found.0.extend(findings),
                    Err(error) => {
                        next.store(packs.len(), Ordering::Relaxed);
                        found.1 = Err(error);
                    }
                }
            }
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            (1..cores.min(MAX_WORKERS).min(packs.len())).for_each(|_| drop(scope.spawn(work)));
            work();
        });
        let (findings, done) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        done?;
        findings.into_iter().for_each(|finding| self.found(finding));
        Ok(())
    }

    /// Turns damage into a finding; other errors end the check.
    fn sound<T>(&mut self, id: ObjectId, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(e @ (ObjectsError::Damaged { .. } | ObjectsError::Schema(_))) => {
                self.found(Finding::Object { id, why: e.to_string() });
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    fn object(&mut self, id: ObjectId) -> Result<()> {
        let keys: Vec<FrameKey> = FrameKey::of_object(id).collect();
        let is_single = |place: &Place| place.record.key.kind == FrameKind::Blob;
        if id.kind() == Kind::Blob && self.store.places(&keys)?.iter().any(is_single) && !self.full
        {
            return Ok(());
        }
        let fetched = self.store.fetch(&keys);
        let Some(Some((key, bytes))) = self.sound(id, fetched)? else { return Ok(()) };
        if key.kind == FrameKind::List {
            return self.large_blob(id, &bytes);
        }
        let links = lab_schema::object::links(id.kind(), &bytes).map_err(ObjectsError::from);
        for link in self.sound(id, links)?.unwrap_or_default() {
            if !FrameKey::of_object(link).any(|key| self.store.catalog().knows(&key)) {
                self.found(Finding::Lacking { id: link, needed_by: id });
            }
        }
        Ok(())
    }

    fn large_blob(&mut self, id: ObjectId, list: &[u8]) -> Result<()> {
        if self.full {
            let copied = self.store.copy(id, &mut std::io::sink());
            return self.sound(id, copied).map(drop);
        }
        let listed = read::list(id, list).and_then(|(_, parts)| self.chunks(&parts));
        if let Some(Some(chunk)) = self.sound(id, listed)? {
            let why = format!("its chunk {} is in no pack", chunk.short());
            self.found(Finding::Object { id, why });
        }
        Ok(())
    }

    /// The first chunk that is not recorded anywhere.
    fn chunks(&self, parts: &Parts) -> Result<Option<Digest>> {
        for part in &parts.parts {
            let lacking = if parts.level == 0 {
                let catalog = self.store.catalog();
                let known = FrameKey::of_chunk(part.digest).iter().any(|key| catalog.knows(key));
                (!known).then_some(part.digest)
            } else {
                self.chunks(&read::node(self.store, *part, parts.level)?)?
            };
            if lacking.is_some() {
                return Ok(lacking);
            }
        }
        Ok(None)
    }

    fn name(&mut self, name: Name) -> Result<()> {
        let why = match self.store.names().get(&name) {
            Ok(None) => return Ok(()),
            Ok(Some(last)) => match last.target {
                Some(id) if !self.store.has(id)? => format!("it points at {id}, which is missing"),
                _ => return Ok(()),
            },
            Err(ObjectsError::Damaged { why, .. }) => why.into(),
            Err(e) => return Err(e),
        };
        self.found(Finding::Name { name, why });
        Ok(())
    }
}

/// What is wrong with a pack: its table of contents, and, in full, every block.
fn look_at(store: &Store, pack: PackId, bytes: u64, full: bool) -> Result<Vec<Finding>> {
    let state = store.catalog().packs().get(&pack).cloned();
    let broken = |why: &str| Ok(vec![Finding::Pack { pack, why: why.into() }]);
    if let Some(PackState::Broken(why)) = state {
        return broken(why);
    }
    let tail = match store.read_tail(pack, bytes)? {
        None => return Ok(Vec::new()),
        Some(Err(why)) => return broken(why),
        Some(Ok(tail)) => tail,
    };
    if !full {
        return Ok(Vec::new());
    }
    let Some(whole) = store.backend().read(&Key::Pack(pack))? else { return Ok(Vec::new()) };
    let mut findings = Vec::new();
    if !pack::has_header(&whole) {
        findings.push(Finding::Pack { pack, why: "it does not begin as a pack does".into() });
    }
    let mut frames: Vec<Record> = tail.frames.iter().collect();
    frames.sort_unstable_by_key(|record| record.block);
    for group in frames.chunk_by(|a, b| a.block == b.block) {
        let block = tail.blocks[group[0].block as usize];
        let range = block.offset as usize..block.offset as usize + block.stored as usize;
        let stored = whole.get(range).unwrap_or_default();
        let decoded = store.decode_block(&block, stored)?;
        for record in group {
            let (start, end) = (record.start as usize, (record.start + record.bytes) as usize);
            let why = match &decoded {
                Ok(raw) if record.key.fits(&raw[start..end]) => continue,
                Ok(_) => "its bytes have another hash",
                Err(why) => why,
            };
            store.catalog_mut().condemn(&Place { pack, record: *record, block });
            // If it has been stored again elsewhere, nothing is lost, and reads find that copy.
            if !matches!(store.fetch(&[record.key]), Ok(Some(_))) {
                let (what, why) = (describe(&record.key), why.into());
                findings.push(Finding::Frame { pack, what, why });
            }
        }
    }
    Ok(findings)
}
