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

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read as _, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lab_schema::{BlobId, Digest};

use crate::atomic;
use crate::error::{At, Result};

const HEADER: &[u8; 8] = b"LABSTAT\x01";
const RECORD_BYTES: usize = 80;
/// Bytes at the start of a record that say what it is of: device and inode.
const KEY: usize = 16;
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
}

/// Whether nobody had touched the file for some time when it was read, by the clock of its file
/// system; that of the one called `device` is `ahead` of ours.
fn had_settled(read: &Read, device: u64, ahead: i128) -> bool {
    let (key, when) = order(read);
    let time = |at: usize| {
        let (mut seconds, mut nanos) = ([0; 8], [0; 4]);
        seconds.copy_from_slice(&read[at..at + 8]);
        nanos.copy_from_slice(&read[at + 8..at + 12]);
        (i64::from_le_bytes(seconds), u32::from_le_bytes(nanos))
    };
    let latest = time(24).max(time(36));
    let latest_nanos = i128::from(latest.0) * 1_000_000_000 + i128::from(latest.1);
    let is_ours = key[..8] == device.to_be_bytes();
    let margin = match is_ours {
        false => FOREIGN,
        true if latest.1 == 0 => COARSE,
        true => FINE,
    };
    let read_nanos = i128::from(u64::from_be_bytes(when)) + if is_ours { ahead } else { 0 };
    latest_nanos + (margin.as_nanos() as i128) < read_nanos
}

/// Remembers which contents files had.
#[derive(Debug)]
pub struct StatCache {
    path: PathBuf,
    /// Sorted records.
    old: Vec<u8>,
    /// Records of what was read since, each followed by the time when its reading began, in a file
    /// without a name: for a million files that is more than all else that an addition remembers.
    new: Option<BufWriter<File>>,
    /// How many these are.
    count: usize,
    /// Why no more were written.
    failure: Option<io::Error>,
}

/// A record, and nanoseconds since 1970 in big-endian bytes: what comes last for a file is the latest.
type Read = [u8; RECORD_BYTES + 8];

impl StatCache {
    /// The cache in the file at `path`; an empty one if it is absent or damaged.
    pub fn open(path: &Path) -> StatCache {
        let limit = MOST * RECORD_BYTES + 64;
        let fits = fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() <= limit as u64);
        let bytes = if fits { fs::read(path).unwrap_or_default() } else { Vec::new() };
        let old = records(bytes).unwrap_or_default();
        StatCache { path: path.to_owned(), old, new: None, count: 0, failure: None }
    }

    fn find(&self, device: u64, inode: u64) -> Option<&[u8]> {
        let count = self.old.len() / RECORD_BYTES;
        let mut key = [0; KEY];
        key[..8].copy_from_slice(&device.to_be_bytes());
        key[8..].copy_from_slice(&inode.to_be_bytes());
        let record = |at: usize| &self.old[at * RECORD_BYTES..][..RECORD_BYTES];
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low.midpoint(high);
            if record(middle)[..KEY] < key[..] { low = middle + 1 } else { high = middle }
        }
        (low < count && record(low)[..KEY] == key[..]).then(|| record(low))
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
        if self.count < MOST && self.failure.is_none() {
            self.count += 1;
            self.failure = self.write(&identity.encode(&id), read).err();
        }
    }

    fn write(&mut self, record: &[u8; RECORD_BYTES], read: SystemTime) -> io::Result<()> {
        let since = read.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        let new = match &mut self.new {
            Some(new) => new,
            none => {
                none.insert(BufWriter::with_capacity(1 << 16, nameless(folder_of(&self.path))?))
            }
        };
        new.write_all(record)?;
        new.write_all(&since.to_be_bytes())
    }

    /// What was read since, sorted.
    fn take_new(&mut self) -> io::Result<Vec<Read>> {
        let Some(new) = self.new.take() else { return Ok(Vec::new()) };
        let mut file = new.into_inner()?;
        file.rewind()?;
        let mut file = BufReader::new(file);
        let mut all = Vec::with_capacity(self.count);
        for _ in 0..self.count {
            let mut read = [0; RECORD_BYTES + 8];
            file.read_exact(&mut read)?;
            all.push(read);
        }
        all.sort_unstable_by_key(order);
        Ok(all)
    }

    /// Writes the cache back, without what may yet change unseen. The clock of the cache's own file
    /// system is compared with ours; that of another one is taken to be a minute off at most.
    pub fn save(mut self) -> Result<()> {
        if let Some(error) = self.failure.take() {
            return Err(error).at("write", &self.path);
        }
        if self.count == 0 {
            return Ok(());
        }
        let new = self.take_new().at("read", &self.path)?;
        let (device, ahead) = clock(folder_of(&self.path))?;
        atomic::replace(&self.path, |out| {
            let mut checksum = crc32fast::Hasher::new();
            let mut put = |bytes: &[u8]| {
                checksum.update(bytes);
                out.write_all(bytes)
            };
            put(HEADER)?;
            let mut old = self.old.chunks_exact(RECORD_BYTES).peekable();
            let mut room = MOST - new.len();
            // What was read twice, as a file with two names is, counts as it was the last time.
            for same in new.chunk_by(|a, b| a[..KEY] == b[..KEY]) {
                let Some(latest) = same.last() else { continue };
                while let Some(record) = old.next_if(|old| old[..KEY] < latest[..KEY]) {
                    if room > 0 {
                        room -= 1;
                        put(record)?;
                    }
                }
                old.next_if(|old| old[..KEY] == latest[..KEY]);
                if had_settled(latest, device, ahead) {
                    put(&latest[..RECORD_BYTES])?;
                }
            }
            old.take(room).try_for_each(put)?;
            let checksum = checksum.finalize();
            out.write_all(&checksum.to_le_bytes())
        })
    }
}

/// By what it is a record of, and when it was read.
fn order(read: &Read) -> ([u8; KEY], [u8; 8]) {
    let (mut key, mut when) = ([0; KEY], [0; 8]);
    key.copy_from_slice(&read[..KEY]);
    when.copy_from_slice(&read[RECORD_BYTES..]);
    (key, when)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file that is gone when it is closed.
fn nameless(folder: &Path) -> io::Result<File> {
    fs::create_dir_all(folder)?;
    let path = folder.join(atomic::unique());
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

/// The records of a cache file; none if it is not whole.
fn records(mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let body = bytes.len().checked_sub(4).filter(|len| *len >= HEADER.len())?;
    let whole = bytes.starts_with(HEADER)
        && (body - HEADER.len()).is_multiple_of(RECORD_BYTES)
        && crc32fast::hash(&bytes[..body]).to_le_bytes() == bytes[body..];
    bytes.truncate(body);
    bytes.drain(..HEADER.len());
    (whole && bytes.chunks_exact(RECORD_BYTES).is_sorted_by(|a, b| a[..KEY] < b[..KEY]))
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
        let (ours, since) = (1u64, now.duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64);
        let settled = |device: u64, ago: i64, nanos: u32, ahead: i128| {
            let time = (seconds - ago, nanos);
            let file = Identity { device, inode: 1, size: 1, modified: time, changed: time };
            let mut read = [0; RECORD_BYTES + 8];
            read[..RECORD_BYTES].copy_from_slice(&file.encode(&BlobId::of(b"")));
            read[RECORD_BYTES..].copy_from_slice(&since.to_be_bytes());
            had_settled(&read, ours, ahead)
        };
        assert!(settled(ours, 3, 5, 0));
        assert!(settled(ours, 4, 0, 0));
        assert!(!settled(ours, 1, 0, 0));
        assert!(!settled(2, 30, 5, 0));
        assert!(settled(2, 90, 5, 0));
        // A server whose clock is behind by an hour has seen this file change just now.
        assert!(!settled(ours, 3600, 5, -3601 * 1_000_000_000));
    }

    #[test]
    fn what_was_read_twice_counts_as_it_was_the_last_time() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("stat");
        let file = |inode, size| Identity {
            device: 1,
            inode,
            size,
            modified: (1_000_000, 5),
            changed: (1_000_000, 5),
        };
        let (one, two) = (BlobId::of(b"one"), BlobId::of(b"two"));
        let now = SystemTime::now();
        let mut open = StatCache::open(&cache);
        for (n, size, id) in [(300, 1, one), (7, 2, one), (300, 3, two)] {
            open.put(file(n, size), id, now + Duration::from_secs(size));
        }
        open.save().unwrap();
        let mut open = StatCache::open(&cache);
        assert_eq!((open.get(&file(300, 1)), open.get(&file(300, 3))), (None, Some(two)));
        assert_eq!(open.get(&file(7, 2)), Some(one));
        // Between what was there, before it and after it, and in its place.
        for (n, id) in [(1, two), (7, two), (100, one), (400, one)] {
            open.put(file(n, 4), id, now);
        }
        open.save().unwrap();
        let open = StatCache::open(&cache);
        let there = [(1, 4, two), (7, 4, two), (100, 4, one), (300, 3, two), (400, 4, one)];
        for (n, size, id) in there {
            assert_eq!(open.get(&file(n, size)), Some(id), "{n}");
        }
        assert_eq!(open.old.len(), there.len() * RECORD_BYTES);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
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
