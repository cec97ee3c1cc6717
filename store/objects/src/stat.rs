//! What files were when they were last read, so that a file that did not change is not read again.
//!
//! A file is taken for unchanged if its device, inode, size, and the times at which its contents and
//! its inode changed (mtime, ctime) are those under which it was read. A file that was written to
//! shortly before it was read could change once more without any of these moving; such an entry
//! is never kept (git calls it racily clean). "Shortly" is measured by the clock of the file
//! system, as far as it can be known: see [`StatCache::save`].
//!
//! The cache is a file of this machine's: it can be removed at any time, and one that is damaged is
//! an empty one. That the contents are in the store is for the caller to ask.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lab_schema::{BlobId, Digest};

use crate::atomic;
use crate::error::{At, Result};

const HEADER: &[u8; 8] = b"LABSTAT\x01";
const RECORD_BYTES: usize = 80;
/// Most files that are remembered: 120 MB.
const MOST: usize = 1_500_000;

/// In the place of a device: the record is of a path, by its hash, in the place of an inode. That
/// another path may have the same does no harm.
const PATH: u64 = u64::MAX;

/// How long a file must have been left alone before it was read, where its clock is known and
/// fine. Kernels move it on every 10 ms or faster.
const FINE: Duration = Duration::from_millis(100);
/// The same where the clock seems to count seconds, or two of them.
const COARSE: Duration = Duration::from_millis(2100);
/// The same on another file system than the cache's, whose clock may be another host's.
const FOREIGN: Duration = Duration::from_secs(60);

/// Identifies a file, and what changes when it is written to or another one takes its place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    /// Seconds and nanoseconds.
    modified: (i64, u32),
    changed: (i64, u32),
}

impl Identity {
    /// Of what was inspected.
    pub(crate) fn of(meta: &Metadata) -> Identity {
        Identity {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.len(),
            modified: (meta.mtime(), meta.mtime_nsec() as u32),
            changed: (meta.ctime(), meta.ctime_nsec() as u32),
        }
    }

    fn encode(&self, id: &BlobId) -> [u8; RECORD_BYTES] {
        let mut record = [0; RECORD_BYTES];
        // Big-endian in front, so that records sort as bytes.
        record[..8].copy_from_slice(&self.device.to_be_bytes());
        record[8..16].copy_from_slice(&self.inode.to_be_bytes());
        record[16..24].copy_from_slice(&self.size.to_le_bytes());
        for (at, (seconds, nanos)) in [(24, self.modified), (36, self.changed)] {
            record[at..at + 8].copy_from_slice(&seconds.to_le_bytes());
            record[at + 8..at + 12].copy_from_slice(&nanos.to_le_bytes());
        }
        record[48..].copy_from_slice(id.digest().as_bytes());
        record
    }

    /// Whether nobody had touched the file for some time when it was read at `read`, by the clock of
    /// the file system, which is `ahead` of ours.
    fn had_settled(&self, read: SystemTime, ahead: Option<i128>) -> bool {
        let latest = self.modified.max(self.changed);
        let latest_nanos = i128::from(latest.0) * 1_000_000_000 + i128::from(latest.1);
        let read_nanos = read.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as i128);
        let margin = match ahead {
            None => FOREIGN,
            Some(_) if latest.1 == 0 => COARSE,
            Some(_) => FINE,
        };
        latest_nanos + (margin.as_nanos() as i128) < read_nanos + ahead.unwrap_or(0)
    }
}

/// Remembers which contents files had.
#[derive(Debug)]
pub struct StatCache {
    path: PathBuf,
    /// Sorted records.
    old: Vec<u8>,
    /// What was read since, and when its reading began.
    new: HashMap<(u64, u64), (Identity, BlobId, SystemTime)>,
}

impl StatCache {
    /// The cache in the file at `path`; an empty one if it is absent or damaged.
    pub fn open(path: &Path) -> StatCache {
        let limit = MOST * RECORD_BYTES + 64;
        let fits = fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() <= limit as u64);
        let bytes = if fits { fs::read(path).unwrap_or_default() } else { Vec::new() };
        let old = records(bytes).unwrap_or_default();
        StatCache { path: path.to_owned(), old, new: HashMap::new() }
    }

    fn find(&self, device: u64, inode: u64) -> Option<&[u8]> {
        let count = self.old.len() / RECORD_BYTES;
        let mut key = [0; 16];
        key[..8].copy_from_slice(&device.to_be_bytes());
        key[8..].copy_from_slice(&inode.to_be_bytes());
        let record = |at: usize| &self.old[at * RECORD_BYTES..][..RECORD_BYTES];
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low.midpoint(high);
            if record(middle)[..16] < key[..] { low = middle + 1 } else { high = middle }
        }
        (low < count && record(low)[..16] == key[..]).then(|| record(low))
    }

    /// What the file held when it was last read, if it has not changed since.
    pub(crate) fn get(&self, identity: &Identity) -> Option<BlobId> {
        let record = self.find(identity.device, identity.inode)?;
        let mut digest = [0; 32];
        digest.copy_from_slice(&record[48..]);
        let id = BlobId::from_digest(Digest::from_bytes(digest));
        (identity.encode(&id) == record).then_some(id)
    }

    /// What was last read at a path, whatever is there now: what a later version may be like.
    pub(crate) fn last_at(&self, path: &Path) -> Option<BlobId> {
        let record = self.find(PATH, path_key(path)?)?;
        let mut digest = [0; 32];
        digest.copy_from_slice(&record[48..]);
        Some(BlobId::from_digest(Digest::from_bytes(digest)))
    }

    /// Remembers what was read at a path.
    pub(crate) fn put_at(&mut self, path: &Path, id: BlobId) {
        if let Some(inode) = path_key(path) {
            let (modified, changed) = ((0, 0), (0, 0));
            let path = Identity { device: PATH, inode, size: 0, modified, changed };
            self.put(path, id, SystemTime::now());
        }
    }

    /// Remembers what a file held whose reading began at `read`.
    pub(crate) fn put(&mut self, identity: Identity, id: BlobId, read: SystemTime) {
        if self.new.len() < MOST {
            self.new.insert((identity.device, identity.inode), (identity, id, read));
        }
    }

    /// Writes the cache back, without what may yet change unseen. The clock of the cache's own file
    /// system is compared with ours; that of another one is taken to be a minute off at most.
    pub fn save(self) -> Result<()> {
        if self.new.is_empty() {
            return Ok(());
        }
        let parent = self.path.parent().filter(|p| !p.as_os_str().is_empty());
        let folder = parent.unwrap_or(Path::new("."));
        atomic::create_folder(folder)?;
        let (device, ahead) = clock(folder)?;
        let mut fresh: Vec<[u8; RECORD_BYTES]> = self
            .new
            .values()
            .filter(|(identity, _, read)| {
                identity.had_settled(*read, (identity.device == device).then_some(ahead))
            })
            .map(|(identity, id, _)| identity.encode(id))
            .collect();
        fresh.sort_unstable();
        let mut room = MOST - fresh.len().min(MOST);
        let replaced = |record: &[u8]| {
            let word = |at: usize| {
                let mut word = [0; 8];
                word.copy_from_slice(&record[at..at + 8]);
                u64::from_be_bytes(word)
            };
            self.new.contains_key(&(word(0), word(8)))
        };
        let mut bytes = HEADER.to_vec();
        let mut fresh = fresh.iter().peekable();
        for record in self.old.chunks_exact(RECORD_BYTES).filter(|r| !replaced(r)) {
            while let Some(new) = fresh.next_if(|new| new[..16] < record[..16]) {
                bytes.extend_from_slice(new);
            }
            if room > 0 {
                room -= 1;
                bytes.extend_from_slice(record);
            }
        }
        fresh.for_each(|new| bytes.extend_from_slice(new));
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        atomic::replace(&self.path, &bytes)
    }
}

/// The records of a cache file; none if it is not whole.
fn records(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let body = bytes.len().checked_sub(4).filter(|len| *len >= HEADER.len())?;
    let whole = bytes.starts_with(HEADER)
        && (body - HEADER.len()).is_multiple_of(RECORD_BYTES)
        && crc32fast::hash(&bytes[..body]).to_le_bytes() == bytes[body..];
    bytes.truncate(body);
    bytes.drain(..HEADER.len());
    (whole && bytes.chunks_exact(RECORD_BYTES).is_sorted_by(|a, b| a[..16] < b[..16]))
        .then_some(bytes)
}

/// Stands for a path; none where the current folder is not known.
fn path_key(path: &Path) -> Option<u64> {
    let absolute = std::path::absolute(path).ok()?;
    let digest = BlobId::of(absolute.as_os_str().as_bytes()).digest();
    digest.as_bytes().first_chunk().map(|first| u64::from_le_bytes(*first))
}

/// The device of a folder, and how many nanoseconds its clock is ahead of ours.
fn clock(folder: &Path) -> Result<(u64, i128)> {
    let probe = || -> io::Result<(u64, i128)> {
        let path = folder.join(format!("clock-{}", std::process::id()));
        let before = SystemTime::now();
        fs::write(&path, b"")?;
        let meta = fs::metadata(&path);
        fs::remove_file(&path)?;
        let meta = meta?;
        let there = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
        let here = before.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as i128);
        // A clock that lags by a tick is the same clock.
        let ahead = there - here;
        Ok((meta.dev(), if ahead < 0 { ahead } else { 0 }))
    };
    probe().at("read the clock of", folder)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn at(path: &Path) -> Identity {
        Identity::of(&fs::symlink_metadata(path).unwrap())
    }

    #[test]
    fn what_did_not_change_is_known_and_what_changed_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let [file, other, cache] = ["a", "b", "cache/stat"].map(|n| folder.path().join(n));
        fs::write(&file, "one").unwrap();
        fs::write(&other, "two").unwrap();
        std::thread::sleep(FINE * 2);
        let id = BlobId::of(b"one");
        let mut open = StatCache::open(&cache);
        open.put(at(&file), id, SystemTime::now());
        open.save().unwrap();
        let mut open = StatCache::open(&cache);
        assert_eq!((open.get(&at(&file)), open.get(&at(&other))), (Some(id), None));
        open.put(at(&other), BlobId::of(b"two"), SystemTime::now());
        open.save().unwrap();
        let open = StatCache::open(&cache);
        assert_eq!(open.get(&at(&other)), Some(BlobId::of(b"two")));
        assert_eq!(open.get(&at(&file)), Some(id));
        // Same size, and a modification time that was put back: the inode's own time tells.
        let modified = fs::metadata(&file).unwrap().modified().unwrap();
        fs::write(&file, "ONE").unwrap();
        File::options().write(true).open(&file).unwrap().set_modified(modified).unwrap();
        assert_eq!(open.get(&at(&file)), None);
    }

    #[test]
    fn what_was_just_written_is_not_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let [file, cache] = ["a", "stat"].map(|n| folder.path().join(n));
        let mut open = StatCache::open(&cache);
        fs::write(&file, "one").unwrap();
        open.put(at(&file), BlobId::of(b"one"), SystemTime::now());
        open.save().unwrap();
        assert_eq!(StatCache::open(&cache).get(&at(&file)), None);
    }

    #[test]
    fn clocks_that_are_not_known_get_a_minute() {
        let now = SystemTime::now();
        let seconds = now.duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
        let written = |ago: i64, nanos: u32| Identity {
            device: 1,
            inode: 1,
            size: 1,
            modified: (seconds - ago, nanos),
            changed: (seconds - ago, nanos),
        };
        assert!(written(3, 5).had_settled(now, Some(0)));
        assert!(written(4, 0).had_settled(now, Some(0)));
        assert!(!written(1, 0).had_settled(now, Some(0)));
        assert!(!written(30, 5).had_settled(now, None));
        assert!(written(90, 5).had_settled(now, None));
        // A server whose clock is behind by an hour has seen this file change just now.
        assert!(!written(3600, 5).had_settled(now, Some(-3601 * 1_000_000_000)));
    }

    #[test]
    fn a_damaged_cache_is_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let [file, cache] = ["a", "stat"].map(|n| folder.path().join(n));
        fs::write(&file, "one").unwrap();
        std::thread::sleep(FINE * 2);
        let mut open = StatCache::open(&cache);
        open.put(at(&file), BlobId::of(b"one"), SystemTime::now());
        open.save().unwrap();
        let whole = fs::read(&cache).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut bad = whole.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(records(bad), None, "bit {bit}");
        }
        for cut in 0..whole.len() {
            assert_eq!(records(whole[..cut].to_vec()), None, "cut {cut}");
        }
    }
}
