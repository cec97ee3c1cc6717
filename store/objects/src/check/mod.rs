//! Is everything still here, and still right?
//!
//! A quick check looks at the structure: that each pack ends as it should, that every structured
//! object is whole, that what it points at is here, that every chunk of every large blob and
//! whatever it is stored as a difference to is recorded, that every name is legible and points at
//! something. A full check reads every byte of every pack besides; if there is time without limit,
//! it puts every large blob together as well, and compares the hash of the whole.
//!
//! A list may name one node any number of times, so that a few hundred kilobytes claim to be more
//! than anybody can hash. Each node and chunk is looked at once. What repeats inside of blobs is
//! hashed up to [`REPEATED_BYTES`] in a check, or a multiple of what the store holds; a blob that
//! asks for more is named in the report as not put together, and is no damage: it may be a file
//! of zeros, which reading it proves.
//!
//! Damage is followed to the objects that are lost by it. Nothing is changed, nothing printed; what
//! cannot be read at all (a permission, a disk that reports errors) ends the check with that error.

mod finding;
mod log;
mod packs;
mod damage;

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use lab_schema::{Digest, Kind, Name, ObjectId};

pub use self::finding::{Finding, Report};
pub use self::log::CheckLog;
pub(crate) use self::packs::{alike, unfit};

use self::damage::Damage;
use self::log::Chosen;
use self::packs::{Found, Look};
use crate::backend::{Key, PackId, Room};
use crate::block::BASE_LOST;
use crate::error::{ObjectsError, Result};
use crate::frame::{FrameKey, FrameKind};
use crate::list::Parts;
use crate::listed;
use crate::progress::Progress;
use crate::store::{Store, describe};

/// Bytes of repeated parts that are hashed in one check at least: a quarter of an
/// hour at a gigabyte a second.
const REPEATED_BYTES: u64 = 1 << 40;
/// The same, as a multiple of the bytes of all packs.
const REPEATED_TIMES: u64 = 16;

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
        repeated: REPEATED_BYTES.max(bytes.saturating_mul(REPEATED_TIMES)),
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
    /// Bytes of repeated parts that may still be hashed.
    repeated: u64,
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
        // Objects that are such a frame themselves: that it is damaged says the same of them.
        let mut told = HashSet::new();
        for bad in found.frames {
            let objects = self.damage.objects(bad.key.digest);
            // A collector removes what a difference stands on where nobody needs the difference, which
            // may stay behind in a pack that is needed. Nobody relies on it from then on.
            if bad.why == BASE_LOST && bad.key.kind == FrameKind::Chunk && objects.is_empty() {
                continue;
            }
            let is_it = |id: &&ObjectId| FrameKey::of_object(**id).any(|key| key == bad.key);
            told.extend(objects.iter().filter(is_it).copied());
            let (what, why) = (describe(&bad.key), bad.why.into());
            findings.push(Finding::Frame { pack: bad.pack, what, why, objects });
        }
        let says_more = |f: &Finding| !matches!(f, Finding::Object { id, .. } if told.contains(id));
        findings.extend(self.report.findings.drain(..).filter(says_more));
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
            // Of several the one that is read.
            let best = self.store.best_list(id, bytes)?;
            return self.large_blob(id, &best);
        }
        let links = lab_schema::object::links(id.kind(), &bytes).map_err(ObjectsError::from);
        for link in self.sound(id, links)?.unwrap_or_default() {
            if !FrameKey::of_object(link).any(|key| self.store.catalog().knows(&key))
                && !self.is_promised(link)?
            {
                self.found(Finding::Lacking { id: link, needed_by: id });
                self.lose(link);
            }
        }
        Ok(())
    }

    /// Whether what is not here was left out.
    fn is_promised(&mut self, id: ObjectId) -> Result<bool> {
        let Some(bytes) = self.store.promised(id)? else { return Ok(false) };
        self.report.promised.insert(id, bytes);
        Ok(true)
    }

    fn large_blob(&mut self, id: ObjectId, list: &[u8]) -> Result<()> {
        let listed = listed::list(id, list);
        let Some((_, parts)) = self.sound(id, listed)? else { return Ok(()) };
        let mut walked = Walked::default();
        self.parts(id, &parts, &mut walked)?;
        if let Some(why) = walked.first {
            let more = match walked.lost - 1 {
                0 => String::new(),
                more => format!(" (and {more} more)"),
            };
            self.damaged(id, why + &more);
        } else if self.whole {
            match self.repeated.checked_sub(walked.repeated) {
                None => self.report.unhashed.push(id),
                Some(rest) => {
                    self.repeated = rest;
                    let copied = self.store.copy(id, &mut std::io::sink());
                    self.sound(id, copied)?;
                }
            }
        }
        Ok(())
    }

    /// Looks at the parts of a list or node, and below them; at each node once.
    fn parts(&mut self, id: ObjectId, parts: &Parts, walked: &mut Walked) -> Result<()> {
        let mut chunks = HashMap::new();
        for part in &parts.parts {
            let seen = match parts.level {
                0 => chunks.insert(part.digest, (part.bytes, 0)),
                level => walked.nodes.insert(part.digest, (part.bytes, level)),
            };
            if let Some(seen) = seen {
                walked.repeated = walked.repeated.saturating_add(part.bytes);
                if seen != (part.bytes, parts.level) {
                    walked.bad("it names a part of it with two lengths".into());
                }
                continue;
            }
            if parts.level == 0 {
                if !self.damage.has_chunk(self.store, part.digest)? {
                    self.damage.lose(part.digest, id);
                    walked.bad(self.damage.why(self.store, part.digest));
                } else if !self.damage.is_long(self.store, part.digest, part.bytes) {
                    let chunk = part.digest.short();
                    walked.bad(format!("its chunk {chunk} has another length than its list says"));
                }
                continue;
            }
            match listed::node(self.store, *part, parts.level) {
                Ok(below) => self.parts(id, &below, walked)?,
                Err(error @ ObjectsError::Damaged { .. }) => {
                    self.damage.lose(part.digest, id);
                    walked.bad(error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn name(&mut self, name: Name) -> Result<()> {
        let why = match self.store.names().get(&name) {
            Ok(None) => return Ok(()),
            Ok(Some(last)) => match last.target {
                Some(id) if !self.store.has(id)? && !self.is_promised(id)? => {
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

/// What was seen in the parts of a large blob.
#[derive(Default)]
struct Walked {
    /// Length and level of the nodes.
    nodes: HashMap<Digest, (u64, u8)>,
    /// Bytes under parts that had been seen.
    repeated: u64,
    /// What is wrong with the first part that cannot be read.
    first: Option<String>,
    /// How many cannot be read.
    lost: u64,
}

impl Walked {
    fn bad(&mut self, why: String) {
        self.lost += 1;
        self.first.get_or_insert(why);
    }
}
