//! Files of a list, and others who hear what is read of them.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;

use lab_schema::tree::Node;
use lab_schema::{BlobId, FileName};

use super::{Folder, Walk};
use crate::error::{At, ObjectsError, Result};
use crate::progress::Progress;
use crate::stat::StatCache;
use crate::writer::Writer;

/// Hears the bytes of files while they are read to be stored, so that who wants another digest of them
/// need not read them again.
pub trait Witness: Send + Sync {
    /// The file with this number is read from now on.
    fn open(self: Arc<Self>, number: usize) -> Box<dyn Hearing>;
}

/// What a [`Witness`] makes of one file.
pub trait Hearing {
    /// The next bytes.
    fn hear(&mut self, bytes: &[u8]);
    /// That was all, and the file did not change meanwhile.
    fn end(self: Box<Self>);
}

/// A file that was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filed {
    /// Its id.
    pub id: BlobId,
    /// Its size in bytes.
    pub bytes: u64,
    /// Whether its owner may execute it.
    pub executable: bool,
}

/// Stores each of these regular files; links are refused. `witness` hears, under their places in `paths`,
/// those that are read: all that `cache` does not know.
pub fn add_files(
    writer: &mut Writer,
    paths: &[&Path],
    cache: Option<&mut StatCache>,
    witness: Arc<dyn Witness>,
    progress: &dyn Progress,
) -> Result<Vec<Filed>> {
    let mut walk = Walk::new(Path::new(""), writer, cache, progress);
    walk.witness = Some(witness);
    // One folder that never becomes a tree, since one more is open than is ever filled.
    let name = FileName::new("file")?;
    let entries = vec![(name, None); paths.len()];
    walk.folders.push(Some(Folder { entries, open: paths.len() + 1, parent: None }));
    for (number, path) in paths.iter().enumerate() {
        let meta = fs::symlink_metadata(path).at("inspect", path)?;
        if meta.is_dir() || meta.is_symlink() {
            let what = if meta.is_dir() { "folder" } else { "symbolic link" };
            return Err(ObjectsError::Unsupported { path: path.to_path_buf(), what });
        }
        walk.node(path.to_path_buf(), &meta, (0, number))?;
    }
    walk.take_in_all()?;
    let filed = |(_, node): (FileName, Option<Node>)| match node {
        Some(Node::File { id, size, executable }) => Filed { id, bytes: size, executable },
        _ => unreachable!("every file was filled in, and as one"),
    };
    let folder = walk.folders.swap_remove(0).expect("it is not complete");
    Ok(folder.entries.into_iter().map(filed).collect())
}

/// A file that is heard while it is read.
pub(super) struct Watched<'a> {
    pub(super) file: &'a File,
    pub(super) progress: &'a dyn Progress,
    pub(super) hearing: Option<Box<dyn Hearing>>,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.progress.advance(n as u64);
        if let Some(hearing) = &mut self.hearing {
            hearing.hear(&buffer[..n]);
        }
        Ok(n)
    }
}

/// What a file that is neither regular, folder nor link is.
pub(super) fn unsupported(meta: &fs::Metadata) -> Option<&'static str> {
    let kind = meta.file_type();
    match () {
        () if kind.is_file() => None,
        () if kind.is_socket() => Some("socket"),
        () if kind.is_fifo() => Some("pipe"),
        () if kind.is_block_device() || kind.is_char_device() => Some("device"),
        () => Some("special file"),
    }
}
