//! Files as they are, beside the packs: a bounded cache, so that the same contents in many work
//! trees take their room once.
//!
//! Where the file system can share the blocks of files (reflinks: btrfs, xfs), a file that is
//! got a second time is cloned from here, and what is written is cloned into here. Where somebody
//! asks for links, files are hard links of the read-only ones here. What lies here is hashed when
//! it is used: somebody may have written to it through a link.
//!
//! The cache can be removed at any time, and gives way when the disk has no room for what is got.
//! Otherwise what was not used for longest goes first.

use std::fs::{self, File, FileTimes, Metadata, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use lab_schema::{BlobHasher, BlobId};
#[cfg(target_os = "linux")]
use rustix::io::Errno;

use crate::atomic;
use crate::error::{At, Result};
use crate::restore::Wanted;
use crate::sibling::Sibling;

/// Smaller files are not worth a clone.
const WORTH_IT: u64 = 64 << 10;
/// Bytes that are read and hashed at once.
const AT_ONCE: u64 = 256 << 10;

/// A bounded cache of files as they are.
#[derive(Debug)]
pub struct RawCache {
    folder: PathBuf,
    limit_bytes: u64,
    /// Whether files become hard links of those in the cache.
    link: bool,
    /// Whether the file system was seen not to share blocks.
    no_clones: AtomicBool,
}

impl RawCache {
    /// The cache in `folder`, which is made when it is needed. With `link`, files that are got become
    /// read-only hard links.
    pub fn new(folder: &Path, limit_bytes: u64, link: bool) -> RawCache {
        RawCache { folder: folder.to_owned(), limit_bytes, link, no_clones: AtomicBool::new(false) }
    }

    fn entry(&self, wanted: &Wanted) -> PathBuf {
        let digits = wanted.id.to_string();
        let suffix = if wanted.executable { ".x" } else { "" };
        self.folder.join(&digits[..2]).join(format!("{digits}{suffix}"))
    }

    /// Makes `path` out of the cache; none if it does not have the contents or cannot share them.
    pub(crate) fn provide(&self, wanted: &Wanted, path: &Path) -> Result<Option<u64>> {
        let provided = self.share(wanted, path)?;
        if provided.is_none() && wanted.size >= WORTH_IT {
            self.make_room(wanted.size, path);
        }
        Ok(provided)
    }

    fn share(&self, wanted: &Wanted, path: &Path) -> Result<Option<u64>> {
        if !self.link && (wanted.size < WORTH_IT || self.no_clones.load(Ordering::Relaxed)) {
            return Ok(None);
        }
        let entry = self.entry(wanted);
        let Ok(there) = fs::symlink_metadata(&entry) else { return Ok(None) };
        // A link has the permissions of all its links, and somebody may have changed them.
        let as_made = there.is_file()
            && there.len() == wanted.size
            && (!self.link || there.mode() & 0o777 == mode(wanted.executable));
        if !as_made {
            let _ = fs::remove_file(&entry);
            return Ok(None);
        }
        let Ok(file) = File::open(&entry) else { return Ok(None) };
        let made = if self.link {
            fs::hard_link(&entry, path).is_ok()
        } else {
            let cloned = self.clone(&file, &atomic::new_file(path, wanted.executable)?);
            if !cloned {
                fs::remove_file(path).at("remove", path)?;
            }
            cloned
        };
        if !made {
            return Ok(None);
        }
        // Only now, so that what somebody writes to it between the look and the clone is seen. (The
        // clone is not what is read: its pages are in no cache yet.) A file that cannot be read is
        // as bad as a wrong one; the store has the bytes.
        if hash(&file).is_ok_and(|id| id == wanted.id) {
            // The time of use. Not that of modification, which belongs to all who have links.
            let _ = file.set_times(FileTimes::new().set_accessed(SystemTime::now()));
            return Ok(Some(wanted.size));
        }
        // It is made again, if it can be; their link keeps what they wrote.
        let _ = fs::remove_file(&entry);
        fs::remove_file(path).at("remove", path)?;
        Ok(None)
    }

    /// Gives way where the disk has no room for so many bytes at `path`: a file that was got and
    /// removed lives on here, so that removing more of them would make no room.
    fn make_room(&self, bytes: u64, path: &Path) {
        let Some(folder) = path.parent() else { return };
        let same_disk = match (fs::metadata(folder), fs::metadata(&self.folder)) {
            (Ok(target), Ok(cache)) => target.dev() == cache.dev(),
            _ => false,
        };
        if same_disk
            && let Ok(disk) = rustix::fs::statvfs(folder)
            && disk.f_bavail.saturating_mul(disk.f_frsize) <= bytes
        {
            for (_, meta, path) in self.list().unwrap_or_default() {
                // Links have their bytes elsewhere too.
                if meta.nlink() == 1 {
                    let _ = fs::remove_file(path);
                }
            }
        }
    }

    /// Takes in what was just written to `path`. With links the file there becomes one; `Ok` also
    /// where the file system can do neither.
    pub(crate) fn keep(&self, wanted: &Wanted, path: &Path) -> Result<()> {
        let entry = self.entry(wanted);
        if !self.link {
            let meta = fs::symlink_metadata(path).at("inspect", path)?;
            if self.no_clones.load(Ordering::Relaxed) || meta.len() < WORTH_IT || entry.exists() {
                return Ok(());
            }
            atomic::create_folder(entry.parent().unwrap_or(&self.folder))?;
            let source = File::open(path).at("open", path)?;
            let sibling = Sibling::of(&entry);
            let copy = atomic::new_file(sibling.path(), wanted.executable)?;
            if self.clone(&source, &copy) {
                read_only(sibling.path(), wanted.executable)?;
                sibling.place(&entry)?;
            }
            return Ok(());
        }
        atomic::create_folder(entry.parent().unwrap_or(&self.folder))?;
        read_only(path, wanted.executable)?;
        // Somebody was faster, or it is another file system: then the file stands for itself.
        let _ = fs::hard_link(path, &entry);
        Ok(())
    }

    fn clone(&self, from: &File, to: &File) -> bool {
        #[cfg(target_os = "linux")]
        let (cloned, full) = match rustix::fs::ioctl_ficlone(to, from) {
            Ok(()) => (true, false),
            Err(error) => (false, matches!(error, Errno::NOSPC | Errno::DQUOT)),
        };
        #[cfg(not(target_os = "linux"))]
        let (cloned, full) = {
            let _ = (from, to);
            (false, false)
        };
        if !cloned && !full {
            self.no_clones.store(true, Ordering::Relaxed);
        }
        cloned
    }

    /// All files with the times of their last use.
    fn list(&self) -> Result<Vec<(SystemTime, Metadata, PathBuf)>> {
        let mut files = Vec::new();
        let Ok(folders) = fs::read_dir(&self.folder) else { return Ok(files) };
        for folder in folders {
            let folder = folder.at("list", &self.folder)?.path();
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries {
                let path = entry.at("list", &folder)?.path();
                if let Ok(meta) = fs::symlink_metadata(&path)
                    && meta.is_file()
                {
                    let times = [meta.accessed(), meta.modified()].into_iter().flatten();
                    files.push((times.max().unwrap_or(SystemTime::UNIX_EPOCH), meta, path));
                }
            }
        }
        Ok(files)
    }

    /// Removes what was not used for longest until the rest fits. Who was faster is not disturbed.
    pub fn trim(&self) -> Result<()> {
        let mut files = self.list()?;
        files.sort_by_key(|(used, ..)| std::cmp::Reverse(*used));
        let mut room = self.limit_bytes;
        for (_, meta, path) in files {
            match room.checked_sub((meta.blocks() * 512).max(4096)) {
                Some(rest) => room = rest,
                None => drop(atomic::remove(&path)?),
            }
        }
        Ok(())
    }
}

fn mode(executable: bool) -> u32 {
    if executable { 0o555 } else { 0o444 }
}

fn read_only(path: &Path, executable: bool) -> Result<()> {
    let permissions = Permissions::from_mode(mode(executable));
    fs::set_permissions(path, permissions).at("make read-only", path)
}

/// The id of a file's contents, from where it stands.
fn hash(mut file: &File) -> io::Result<BlobId> {
    let length = file.metadata()?.len().clamp(1, AT_ONCE);
    let (mut hasher, mut buffer) = (BlobHasher::new(), vec![0; length as usize]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(length) => hasher.update(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether a file holds the contents of this id.
pub(crate) fn holds(path: &Path, id: BlobId) -> Result<bool> {
    let file = File::open(path).at("open", path)?;
    Ok(hash(&file).at("read", path)? == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_link_that_was_made_writable_or_executable_is_not_handed_on() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let cache = RawCache::new(&at("raw"), 1 << 30, true);
        fs::write(at("one"), "contents").unwrap();
        let id = hash(&File::open(at("one")).unwrap()).unwrap();
        let wanted = Wanted { path: at("one"), id, size: 8, executable: false };
        cache.keep(&wanted, &at("one")).unwrap();
        for mode in [0o644, 0o555] {
            let before = fs::metadata(at("one")).unwrap().modified().unwrap();
            assert_eq!(cache.provide(&wanted, &at("two")).unwrap(), Some(8));
            // Whoever has a link keeps its time.
            assert_eq!(fs::metadata(at("two")).unwrap().modified().unwrap(), before);
            fs::remove_file(at("two")).unwrap();
            set_mode(&at("one"), mode);
            assert_eq!(cache.provide(&wanted, &at("two")).unwrap(), None);
            fs::write(at("two"), "contents").unwrap();
            cache.keep(&wanted, &at("two")).unwrap();
            assert_eq!(fs::metadata(at("one")).unwrap().mode() & 0o777, mode);
            fs::rename(at("two"), at("one")).unwrap();
        }
    }

    #[test]
    fn what_is_no_file_or_cannot_be_the_contents_is_removed_unread() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let cache = RawCache::new(&at("raw"), 1 << 30, true);
        fs::write(at("one"), "contents").unwrap();
        let id = hash(&File::open(at("one")).unwrap()).unwrap();
        let wanted = Wanted { path: at("one"), id, size: 8, executable: false };
        let entry = cache.entry(&wanted);
        fs::create_dir_all(entry.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(at("one"), &entry).unwrap();
        assert_eq!(cache.provide(&wanted, &at("two")).unwrap(), None);
        assert!(fs::symlink_metadata(&entry).is_err() && at("one").exists());
        fs::write(&entry, "content").unwrap();
        set_mode(&entry, 0o444);
        assert_eq!(cache.provide(&wanted, &at("two")).unwrap(), None);
        assert!(!entry.exists() && !at("two").exists());
    }
}
