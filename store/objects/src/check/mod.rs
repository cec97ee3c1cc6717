//! Is everything still here, and still right?
//!
//! A quick check looks at the structure: that each pack ends as it should, that every structured
//! object is whole, that what it points at is here, that every chunk of every large blob and
//! whatever it is stored as a difference to is recorded, that every name is legible and points at
//! something. A full check reads every byte of every pack besides; if there is time without limit,
//! it puts every large blob together as well, and compares the hash of the whole.
//!
//! Damage is followed to the objects that are lost by it. Nothing is changed, nothing printed; what
//! cannot be read at all (a permission, a disk that reports errors) ends the check with that error.

mod finding;
mod log;
mod packs;
mod damage;

use std::collections::HashSet;
use std::time::Instant;

use lab_schema::{Digest, Kind, Name, ObjectId};

pub use self::finding::{Finding, Report};
pub use self::log::CheckLog;
pub(crate) use self::packs::{alike, unfit};

use self::damage::Damage;
use self::log::Chosen;
use self::packs::{Found, Look};
use crate::backend::{Key, PackId, Room};
use crate::error::{ObjectsError, Result};
use crate::frame::{FrameKey, FrameKind};
use crate::list::Parts;
use crate::progress::Progress;
use crate::read;
use crate::store::{Store, describe};

/// How to check.
#[derive(Debug, Default)]
pub struct CheckOptions<'a> {
    /// Read every byte.
    pub full: bool,
    /// Begin with no pack after this; the first is read in any case.
    pub until: Option<Instant>,
    /// Where to note which packs were read. With a limit of time, those that the log lists as
    /// read in the round under way are left out.
    pub log: Option<&'a mut CheckLog>,
}

/// Checks a store: quick looks at structure, links and names, full at every byte.
pub fn check(store: &Store, full: bool, progress: &dyn Progress) -> Result<Report> {
    check_with(store, CheckOptions { full, ..CheckOptions::default() }, progress)
}

/// Checks a store with more to choose from. Structure, links and names are looked at in any case.
pub fn check_with(
    store: &Store,
    options: CheckOptions<'_>,
    progress: &dyn Progress,
) -> Result<Report> {
    let CheckOptions { full, until, mut log } = options;
    store.refresh()?;
    let listed = store.backend().list(Room::Packs)?;
    let all: Vec<(PackId, u64)> = listed
        .into_iter()
        .filter_map(|(key, bytes)| if let Key::Pack(id) = key { Some((id, bytes)) } else { None })
        .collect();
    let bytes = all.iter().map(|(_, bytes)| bytes).sum();
    let chosen = match &mut log {
        Some(log) if full => log.begin(&all, until.is_none()),
        _ => Chosen { left: all.clone(), damaged: Vec::new() },
    };
    progress.begin(
        "check",
        Some(chosen.left.iter().chain(&chosen.damaged).map(|(_, bytes)| bytes).sum()),
    );
    let report = Report { packs: all.len() as u64, bytes, ..Report::default() };
    let whole = full && until.is_none();
    let mut checker = Checker {
        store,
        whole,
        report,
        damage: Damage::default(),
        seen: HashSet::new(),
        lost: HashSet::new(),
    };
    let look = |until| Look { store, full, until, progress };
    let mut read = || {
        let mut found = look(until).at_all(&chosen.left, log.as_deref_mut())?;
        let unread = chosen.left.len() as u64 - found.looked;
        // There are few, and what is lost by them is to be told again.
        found.take_in(look(None).at_all(&chosen.damaged, log.as_deref_mut())?);
        found.sort();
        Ok((found, unread))
    };
    let done = read().and_then(|(found, unread)| {
        if full {
            checker.report.read = found.looked;
            checker.report.unread = unread;
        }
        checker.all(found)
    });
    progress.end();
    done?;
    Ok(checker.report)
}

struct Checker<'a> {
    store: &'a Store,
    /// Whether large blobs are put together.
    whole: bool,
    report: Report,
    damage: Damage,
    seen: HashSet<Finding>,
    lost: HashSet<ObjectId>,
}

impl Checker<'_> {
    fn all(&mut self, found: Found) -> Result<()> {
        self.report.damaged_packs = found.damaged;
        self.damage = Damage::spread(self.store);
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
        // Who needs a damaged frame is known only now; but causes are told before what they lead to.
        let mut findings = found.packs;
        for bad in found.frames {
            let objects = self.damage.objects(bad.key.digest);
            let (what, why) = (describe(&bad.key), bad.why.into());
            findings.push(Finding::Frame { pack: bad.pack, what, why, objects });
        }
        findings.append(&mut self.report.findings);
        self.report.findings = findings;
        Ok(())
    }

    fn found(&mut self, finding: Finding) {
        if self.seen.insert(finding.clone()) {
            self.report.findings.push(finding);
        }
    }

    fn lose(&mut self, id: ObjectId) {
        if self.lost.insert(id) {
            self.report.lost.push(id);
        }
    }

    fn damaged(&mut self, id: ObjectId, why: String) {
        self.damage.lose(id.digest(), id);
        self.found(Finding::Object { id, why });
        self.lose(id);
    }

    /// Turns damage into a finding; other errors end the check.
    fn sound<T>(&mut self, id: ObjectId, result: Result<T>) -> Result<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(e @ (ObjectsError::Damaged { .. } | ObjectsError::Schema(_))) => {
                self.damaged(id, e.to_string());
                Ok(None)
            }
            Err(e) => Err(e),
        }
    }

    fn object(&mut self, id: ObjectId) -> Result<()> {
        let keys: Vec<FrameKey> = FrameKey::of_object(id).collect();
        let single = FrameKey::new(FrameKind::Blob, id.digest());
        if id.kind() == Kind::Blob && self.store.catalog().knows(&single) {
            let recorded = self.store.catalog().holds(&single);
            if recorded || damage::has(self.store, &[single])? {
                return Ok(());
            }
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
                self.lose(link);
            }
        }
        Ok(())
    }

    fn large_blob(&mut self, id: ObjectId, list: &[u8]) -> Result<()> {
        let listed = read::list(id, list);
        let Some((_, parts)) = self.sound(id, listed)? else { return Ok(()) };
        let (first, lost) = self.chunks(id, &parts, &mut HashSet::new())?;
        if let Some(why) = first {
            let more = if lost > 1 { format!(" (and {} more)", lost - 1) } else { String::new() };
            self.damaged(id, why + &more);
        } else if self.whole {
            let copied = self.store.copy(id, &mut std::io::sink());
            self.sound(id, copied)?;
        }
        Ok(())
    }

    /// What is wrong with the first part that cannot be read, and how many there are. Nodes that were
    /// `seen` are passed over: a few can claim any number of chunks.
    fn chunks(
        &mut self,
        id: ObjectId,
        parts: &Parts,
        seen: &mut HashSet<Digest>,
    ) -> Result<(Option<String>, u64)> {
        let (mut first, mut lost) = (None, 0);
        for part in &parts.parts {
            if parts.level == 0 {
                if !self.damage.has_chunk(self.store, part.digest)? {
                    self.damage.lose(part.digest, id);
                    lost += 1;
                    first = first.or_else(|| Some(self.damage.why(self.store, part.digest)));
                }
                continue;
            }
            if !seen.insert(part.digest) {
                continue;
            }
            match read::node(self.store, *part, parts.level) {
                Ok(below) => {
                    let (why, below) = self.chunks(id, &below, seen)?;
                    lost += below;
                    first = first.or(why);
                }
                Err(error @ ObjectsError::Damaged { .. }) => {
                    self.damage.lose(part.digest, id);
                    lost += 1;
                    first = first.or_else(|| Some(error.to_string()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok((first, lost))
    }

    fn name(&mut self, name: Name) -> Result<()> {
        let why = match self.store.names().get(&name) {
            Ok(None) => return Ok(()),
            Ok(Some(last)) => match last.target {
                Some(id) if !self.store.has(id)? => {
                    self.lose(id);
                    format!("it points at {id}, which is missing")
                }
                _ => return Ok(()),
            },
            Err(ObjectsError::Damaged { why, .. }) => why.into(),
            Err(e) => return Err(e),
        };
        self.found(Finding::Name { name, why });
        Ok(())
    }
}
