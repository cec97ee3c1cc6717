//! Which packs were read to their last byte, and when, so that a check that was ended goes on where
//! it was.
//!
//! ```text
//! lab check 1
//! round MS                          when the round began that is under way
//! PACK BYTES MS sound               for every pack that was read; or damaged
//! sum BLAKE3                        of the lines above
//! ```
//!
//! In a round every pack is read once; one that was damaged is read and reported again each time
//! besides. The file can be lost: one that is absent, damaged or of another version is an empty one.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lab_schema::Digest;

use crate::atomic;
use crate::backend::PackId;
use crate::error::{ObjectsError, Result};

const HEADER: &str = "lab check 1";
/// A file of more bytes is not read: that would be a million packs.
const MOST_BYTES: u64 = 128 << 20;
/// How often what was read is written down.
const PAUSE: Duration = Duration::from_secs(1);

/// What is known of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Noted {
    bytes: u64,
    when_ms: u64,
    sound: bool,
}

/// What is to be read.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    /// What is left of the round, in this order.
    pub(super) left: Vec<(PackId, u64)>,
    /// What was damaged when it was read last; it is read in any case.
    pub(super) damaged: Vec<(PackId, u64)>,
}

/// Remembers which packs were read, and when.
#[derive(Debug)]
pub struct CheckLog {
    path: PathBuf,
    /// When the round began, in milliseconds since 1970.
    round_ms: u64,
    packs: HashMap<PackId, Noted>,
    saved: Option<Instant>,
    /// Why it could not be written down; then it is not tried again.
    failure: Option<ObjectsError>,
}

impl CheckLog {
    /// The log in the file at `path`; an empty one if it is absent or damaged.
    pub fn open(path: &Path) -> CheckLog {
        let fits = fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() <= MOST_BYTES);
        let text = if fits { fs::read_to_string(path).unwrap_or_default() } else { String::new() };
        let (round_ms, packs) = parse(&text).unwrap_or_default();
        CheckLog { path: path.to_owned(), round_ms, packs, saved: None, failure: None }
    }

    /// Why what was read could not be written down: a store that can only be read is checked all the
    /// same.
    pub fn failure(&self) -> Option<&ObjectsError> {
        self.failure.as_ref()
    }

    /// When the round under way began, in milliseconds since 1970.
    pub fn round_ms(&self) -> u64 {
        self.round_ms
    }

    /// The packs that are to be read in this round, those first that were not read for longest. A new
    /// round begins if that is wanted, or if none is left in the old one.
    pub(super) fn begin(&mut self, packs: &[(PackId, u64)], anew: bool) -> Chosen {
        let sizes: HashMap<PackId, u64> = packs.iter().copied().collect();
        self.packs.retain(|pack, noted| sizes.get(pack) == Some(&noted.bytes));
        let in_round = |log: &CheckLog, pack: &PackId| {
            log.packs.get(pack).is_some_and(|noted| noted.when_ms >= log.round_ms)
        };
        let none_yet = self.round_ms == 0;
        if anew || none_yet || packs.iter().all(|(pack, _)| in_round(self, pack)) {
            // Later than everything that was read, whatever the clock says.
            let last = self.packs.values().map(|noted| noted.when_ms).max().unwrap_or(0);
            self.round_ms = now_ms().max(last.saturating_add(1));
        }
        let is_damaged = |pack: &PackId| self.packs.get(pack).is_some_and(|noted| !noted.sound);
        let (damaged, mut left): (Vec<_>, Vec<_>) =
            packs.iter().copied().partition(|(pack, _)| is_damaged(pack));
        left.retain(|(pack, _)| !in_round(self, pack));
        left.sort_by_key(|(pack, _)| (self.packs.get(pack).map_or(0, |n| n.when_ms), *pack));
        Chosen { left, damaged }
    }

    /// Notes that a pack was read, and whether it is sound; writes that down now and then.
    pub(super) fn note(&mut self, pack: PackId, bytes: u64, sound: bool) {
        let when_ms = now_ms().max(self.round_ms);
        self.packs.insert(pack, Noted { bytes, when_ms, sound });
        if self.saved.is_some_and(|saved| saved.elapsed() < PAUSE) {
            return;
        }
        self.save();
    }

    /// Writes down what was noted.
    pub(super) fn save(&mut self) {
        if self.failure.is_none() {
            self.failure = self.try_save().err();
        }
    }

    fn try_save(&mut self) -> Result<()> {
        let mut text = format!("{HEADER}\nround {}\n", self.round_ms);
        let mut packs: Vec<_> = self.packs.iter().collect();
        packs.sort();
        for (pack, Noted { bytes, when_ms, sound }) in packs {
            let state = if *sound { "sound" } else { "damaged" };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{pack} {bytes} {when_ms} {state}");
        }
        let sum = sum(&text);
        let _ = writeln!(text, "sum {sum}");
        if let Some(folder) = self.path.parent() {
            atomic::create_folder(folder)?;
        }
        atomic::replace(&self.path, |out| out.write_all(text.as_bytes()))?;
        self.saved = Some(Instant::now());
        Ok(())
    }
}

fn parse(text: &str) -> Option<(u64, HashMap<PackId, Noted>)> {
    let (lines, last) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    let end = lines.len() + 1;
    if last.strip_prefix("sum ")?.parse::<Digest>().ok()? != sum(&text[..end]) {
        return None;
    }
    let mut lines = lines.lines();
    if lines.next()? != HEADER {
        return None;
    }
    let round_ms = lines.next()?.strip_prefix("round ")?.parse().ok()?;
    let packs = lines.map(|line| {
        let mut words = line.split(' ');
        let pack = PackId::from_digest(words.next()?.parse().ok()?);
        let (bytes, when_ms) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some((pack, Noted { bytes, when_ms, sound: words.next()? == "sound" }))
    });
    Some((round_ms, packs.collect::<Option<_>>()?))
}

fn sum(text: &str) -> Digest {
    Digest::derive("lab 2026-11-25 check log", text.as_bytes())
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use lab_schema::BlobId;

    use super::*;

    fn pack(n: u64) -> (PackId, u64) {
        (PackId::from_digest(BlobId::of(&n.to_le_bytes()).digest()), 100 + n)
    }

    #[test]
    fn a_round_goes_on_where_it_was_and_a_damaged_log_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache").join("check");
        let all: Vec<_> = (0..4).map(pack).collect();
        let mut log = CheckLog::open(&path);
        let first = log.begin(&all, false).left;
        assert_eq!(first.len(), 4);
        assert!(log.round_ms() > 0, "the first round has a beginning");
        for (pack, bytes) in &first[..3] {
            log.note(*pack, *bytes, *pack != first[0].0);
        }
        log.save();
        let mut log = CheckLog::open(&path);
        let rest = log.begin(&all, false);
        assert_eq!((&rest.left[..], &rest.damaged[..]), (&first[3..], &first[..1]));
        // One that has another size than it had is another one.
        let mut grown = all.clone();
        let at = grown.iter().position(|p| *p == first[0]).unwrap();
        grown[at].1 += 1;
        assert_eq!(CheckLog::open(&path).begin(&grown, false).left.len(), 2);
        assert_eq!(CheckLog::open(&path).begin(&all, true).left.len(), 3);
        log.note(first[3].0, first[3].1, true);
        // All were read: a new round, and the longest unread come first.
        assert_eq!(log.begin(&all, false).left.last(), Some(&first[3]));
        log.save();
        let right = fs::read(&path).unwrap();
        for at in 0..right.len() {
            let mut bad = right.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            assert!(CheckLog::open(&path).packs.is_empty(), "{at}");
            fs::write(&path, &right[..at]).unwrap();
            assert!(CheckLog::open(&path).packs.is_empty(), "{at}");
        }
    }
}
