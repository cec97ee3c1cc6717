//! What is in a work tree at one moment, and what differs at another.
//!
//! A file counts as touched if its size, inode, modification or change time differ; the layout
//! gave all files an old modification time, so that a write cannot hide in the clock's grain.
//! Whether its content differs is another question, answered by hashing, and only for files that
//! were touched and kept their size.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use lab_schema::{BlobHasher, BlobId};

use crate::error::{At, Result};

/// Everything below a folder, by relative path.
pub(crate) struct Snapshot(BTreeMap<PathBuf, Stamp>);

/// What is at a path, as far as looking at its metadata tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stamp {
    /// A folder; what is in it has stamps of its own.
    Folder,
    /// A regular file.
    File { size: u64, inode: (u64, u64), modified: (i64, i64), changed: (i64, i64), mode: u32 },
    /// A symbolic link and its target.
    Link(PathBuf),
    /// A socket, pipe or device.
    Special,
}

impl Snapshot {
    /// Looks at everything below `top`; follows no link.
    pub(crate) fn take(top: &Path) -> Result<Snapshot> {
        let mut stamps = BTreeMap::new();
        let mut folders = vec![PathBuf::new()];
        while let Some(folder) = folders.pop() {
            let full = top.join(&folder);
            for entry in fs::read_dir(&full).at("list", &full)? {
                let name = entry.at("list", &full)?.file_name();
                let (path, full) = (folder.join(&name), full.join(&name));
                let meta = match full.symlink_metadata() {
                    // It was there a moment ago: a file that is being removed is not there.
                    Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                    other => other.at("inspect", &full)?,
                };
                if meta.is_dir() {
                    folders.push(path.clone());
                }
                let stamp = Stamp::new(&full, &meta)?;
                stamps.insert(path, stamp);
            }
        }
        Ok(Snapshot(stamps))
    }

    /// What is at `path`.
    pub(crate) fn get(&self, path: &Path) -> Option<&Stamp> {
        self.0.get(path)
    }

    /// The paths at which something is that was not there `before` in the same form, sorted.
    pub(crate) fn touched_since(&self, before: &Snapshot) -> Vec<&Path> {
        let differs = |(path, stamp): &(&PathBuf, &Stamp)| before.0.get(*path) != Some(*stamp);
        self.0.iter().filter(differs).map(|(path, _)| path.as_path()).collect()
    }

    /// Whether anything at or below `path` was made, changed or removed since `before`.
    pub(crate) fn differs_at(&self, before: &Snapshot, path: &Path) -> bool {
        let at = |s: &Snapshot| -> Vec<(PathBuf, Stamp)> {
            let from = s.0.range(path.to_owned()..);
            let below = from.take_while(|(p, _)| p.starts_with(path));
            below.map(|(p, stamp)| (p.clone(), stamp.clone())).collect()
        };
        at(self) != at(before)
    }
}

impl Stamp {
    fn new(path: &Path, meta: &Metadata) -> Result<Stamp> {
        if meta.is_dir() {
            return Ok(Stamp::Folder);
        }
        if meta.is_symlink() {
            return Ok(Stamp::Link(path.read_link().at("read the link", path)?));
        }
        if !meta.is_file() {
            return Ok(Stamp::Special);
        }
        Ok(Stamp::File {
            size: meta.size(),
            inode: (meta.dev(), meta.ino()),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
            mode: meta.mode(),
        })
    }

    /// Whether it is a folder.
    pub(crate) fn is_folder(&self) -> bool {
        *self == Stamp::Folder
    }

    /// Whether it is a symbolic link.
    pub(crate) fn is_link(&self) -> bool {
        matches!(self, Stamp::Link(_))
    }

    /// The size, if it is a file.
    pub(crate) fn file_size(&self) -> Option<u64> {
        match self {
            Stamp::File { size, .. } => Some(*size),
            _ => None,
        }
    }
}

/// The id of a file's bytes.
pub(crate) fn hash(path: &Path) -> Result<BlobId> {
    let mut file = File::open(path).at("open", path)?;
    let mut hasher = BlobHasher::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer).at("read", path)? {
            0 => return Ok(hasher.finish()),
            got => hasher.update(&buffer[..got]),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_change_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        for name in ["same", "grown", "rewritten", "replaced", "gone"] {
            write(name, "12345");
            let file = File::open(dir.path().join(name)).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        }
        fs::create_dir(dir.path().join("folder")).unwrap();
        let before = Snapshot::take(dir.path()).unwrap();
        write("grown", "123456");
        write("rewritten", "54321");
        write("tmp", "54321");
        fs::rename(dir.path().join("tmp"), dir.path().join("replaced")).unwrap();
        fs::remove_file(dir.path().join("gone")).unwrap();
        write("folder/new", "x");
        std::os::unix::fs::symlink("nowhere", dir.path().join("link")).unwrap();
        let after = Snapshot::take(dir.path()).unwrap();
        let touched: Vec<_> =
            after.touched_since(&before).iter().map(|p| p.to_str().unwrap()).collect();
        assert_eq!(touched, ["folder/new", "grown", "link", "replaced", "rewritten"]);
        for (path, differs) in [("folder", true), ("gone", true), ("same", false), ("none", false)]
        {
            assert_eq!(after.differs_at(&before, Path::new(path)), differs, "{path}");
        }
    }

    #[test]
    fn hashing_a_file_is_hashing_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        fs::write(&path, vec![7; 600_000]).unwrap();
        assert_eq!(hash(&path).unwrap(), BlobId::of(&vec![7; 600_000]));
        assert!(hash(dir.path()).is_err());
    }
}
