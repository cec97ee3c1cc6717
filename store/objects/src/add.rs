//! Files and folders into a store.
//!
//! Keeps bytes, whether a file is executable, links as they are written, empty folders, and names
//! of any bytes. Skips folders and links called `.lab`, which are registries. Follows no link but the
//! path it was given. Refuses sockets, pipes and devices, files that change while they are read,
//! and folders nested too deep.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

use lab_schema::tree::Node;
use lab_schema::{BlobId, ContentId, Entry, FileName, Tree, TreeId};

use crate::error::{At, ObjectsError, Result};
use crate::progress::Progress;
use crate::writer::Writer;

/// Most folders inside each other.
pub(crate) const MAX_DEPTH: usize = 1000;

/// The folder of a registry, which is not part of the data around it.
pub(crate) const REGISTRY: &str = ".lab";

/// What was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// Its id.
    pub content: ContentId,
    /// Number of files in it.
    pub files: u64,
    /// The sum of their sizes in bytes.
    pub bytes: u64,
}

/// Stores the file or folder at `path`; it is durable once the writer is finished.
pub fn add(writer: &mut Writer, path: &Path, progress: &dyn Progress) -> Result<Added> {
    let meta = fs::metadata(path).at("inspect", path)?;
    progress.begin("add", meta.is_file().then_some(meta.len()));
    let mut walk = Walk { writer, progress, files: 0, bytes: 0 };
    let content = if meta.is_dir() {
        walk.folder(path, 1).map(|(id, _)| ContentId::Tree(id))
    } else {
        walk.file(path, &meta).map(|(id, _)| ContentId::Blob(id))
    };
    progress.end();
    Ok(Added { content: content?, files: walk.files, bytes: walk.bytes })
}

struct Walk<'a> {
    writer: &'a mut Writer,
    progress: &'a dyn Progress,
    files: u64,
    bytes: u64,
}

impl Walk<'_> {
    fn folder(&mut self, path: &Path, depth: usize) -> Result<(TreeId, u64)> {
        if depth > MAX_DEPTH {
            return Err(ObjectsError::TooDeep { path: path.to_owned(), limit: MAX_DEPTH });
        }
        let mut entries = Vec::new();
        for entry in fs::read_dir(path).at("list", path)? {
            let entry = entry.at("list", path)?;
            let path = entry.path();
            let meta = fs::symlink_metadata(&path).at("inspect", &path)?;
            if !meta.is_file() && entry.file_name() == REGISTRY {
                continue;
            }
            let node = self.node(&path, &meta, depth)?;
            entries.push(Entry { name: FileName::new(entry.file_name().into_vec())?, node });
        }
        let tree = Tree::new(entries)?;
        Ok((self.writer.put(&tree)?, tree.total_bytes()))
    }

    fn node(&mut self, path: &Path, meta: &Metadata, depth: usize) -> Result<Node> {
        if meta.is_dir() {
            let (id, size) = self.folder(path, depth + 1)?;
            return Ok(Node::Directory { id, size });
        }
        if meta.is_symlink() {
            let target = fs::read_link(path).at("read link", path)?;
            return Ok(Node::Link { target: target.into_os_string().into_vec() });
        }
        let (id, size) = self.file(path, meta)?;
        Ok(Node::File { id, size, executable: meta.permissions().mode() & 0o100 != 0 })
    }

    /// Stores a file that was inspected before; whatever differs from that inspection when it
    /// has been read is a change.
    fn file(&mut self, path: &Path, before: &Metadata) -> Result<(BlobId, u64)> {
        if let Some(what) = unsupported(before) {
            return Err(ObjectsError::Unsupported { path: path.to_owned(), what });
        }
        let mut file = File::open(path).at("open", path)?;
        let changed = || ObjectsError::Changed { path: path.to_owned() };
        if identity(&file.metadata().at("inspect", path)?) != identity(before) {
            return Err(changed());
        }
        let mut source = Watched { file: &mut file, progress: self.progress };
        let (id, size) = self.writer.put_blob(&mut source).map_err(|error| match error {
            ObjectsError::Stream { source, .. } => {
                ObjectsError::Io { verb: "read", path: path.to_owned(), source }
            }
            error => error,
        })?;
        let after = file.metadata().at("inspect", path)?;
        if identity(&after) != identity(before) || size != before.len() {
            return Err(changed());
        }
        self.files += 1;
        self.bytes += size;
        Ok((id, size))
    }
}

/// What a file that is neither regular, folder nor link is.
fn unsupported(meta: &Metadata) -> Option<&'static str> {
    let kind = meta.file_type();
    match () {
        () if kind.is_file() => None,
        () if kind.is_socket() => Some("socket"),
        () if kind.is_fifo() => Some("pipe"),
        () if kind.is_block_device() || kind.is_char_device() => Some("device"),
        () => Some("special file"),
    }
}

/// What changes when a file is written to or another one takes its place.
fn identity(meta: &Metadata) -> (u64, u64, u64, i64, i64) {
    (meta.dev(), meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec())
}

struct Watched<'a> {
    file: &'a mut File,
    progress: &'a dyn Progress,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.progress.advance(n as u64);
        Ok(n)
    }
}
