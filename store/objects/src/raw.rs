//! Files as they are, beside the packs: a bounded cache, so that the same contents in many work
//! trees take their room once.
//!
//! Where the file system can share the blocks of files (reflinks: btrfs, xfs), a file that is
//! got a second time is cloned from here, and what is written is cloned into here. Where somebody
//! asks for links, files are hard links of the read-only ones here. What lies here is hashed before
//! it is used: somebody may have written to it through a link.
//!
//! The cache can be removed at any time. What was not used for longest goes first.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use lab_schema::{BlobHasher, BlobId};

use crate::atomic;
use crate::error::{At, Result};
use crate::restore::Wanted;
use crate::sibling::Sibling;

/// Smaller files are not worth a clone.
const WORTH_IT: u64 = 64 << 10;

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
        let entry = self.entry(wanted);
        if !self.link && self.no_clones.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let Ok(mut file) = File::open(&entry) else { return Ok(None) };
        let meta = file.metadata().at("inspect", &entry)?;
        let mut hasher = BlobHasher::new();
        let size = io::copy(&mut file, &mut Hashing(&mut hasher)).at("read", &entry)?;
        if !meta.is_file() || hasher.finish() != wanted.id {
            // Somebody wrote to it. It is made again, if it can be; their link keeps what they wrote.
            let _ = fs::remove_file(&entry);
            return Ok(None);
        }
        // The time of use; a file of somebody else's keeps its own.
        let _ = file.set_modified(SystemTime::now());
        if self.link {
            return Ok(fs::hard_link(&entry, path).is_ok().then_some(size));
        }
        let out = atomic::new_file(path, wanted.executable)?;
        if self.clone(&file, &out) {
            return Ok(Some(size));
        }
        fs::remove_file(path).at("remove", path)?;
        Ok(None)
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
        let cloned = rustix::fs::ioctl_ficlone(to, from).is_ok();
        #[cfg(not(target_os = "linux"))]
        let cloned = {
            let _ = (from, to);
            false
        };
        if !cloned {
            self.no_clones.store(true, Ordering::Relaxed);
        }
        cloned
    }

    /// Removes what was not used for longest until the rest fits. Who was faster is not disturbed.
    pub fn trim(&self) -> Result<()> {
        let mut files = Vec::new();
        let Ok(folders) = fs::read_dir(&self.folder) else { return Ok(()) };
        for folder in folders {
            let folder = folder.at("list", &self.folder)?.path();
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries {
                let path = entry.at("list", &folder)?.path();
                if let Ok(meta) = fs::symlink_metadata(&path)
                    && meta.is_file()
                {
                    files.push((meta.modified().unwrap_or(SystemTime::UNIX_EPOCH), meta, path));
                }
            }
        }
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

fn read_only(path: &Path, executable: bool) -> Result<()> {
    let mode = if executable { 0o555 } else { 0o444 };
    fs::set_permissions(path, Permissions::from_mode(mode)).at("make read-only", path)
}

/// Hashes what is written to it.
struct Hashing<'a>(&'a mut BlobHasher);

impl io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether a file holds the contents of this id.
pub(crate) fn holds(path: &Path, id: BlobId) -> Result<bool> {
    let mut file = File::open(path).at("open", path)?;
    let mut hasher = BlobHasher::new();
    io::copy(&mut file, &mut Hashing(&mut hasher)).at("read", path)?;
    Ok(hasher.finish() == id)
}
