//! What is in a folder and all below it, listed and inspected by a thread of its own ahead of who
//! stores it: an unchanged tree costs little beyond that, and the two halves take as long as each other.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, Scope};
use std::vec::IntoIter;

use crate::error::{At, ObjectsError, Result};

/// Most folders inside each other.
pub(crate) const MAX_DEPTH: usize = 1000;

/// The folder of a registry, which is not part of the data around it.
pub(crate) const REGISTRY: &str = ".lab";

/// Steps that are handed over together, and how many such batches may wait.
const BATCH: usize = 128;
const WAITING: usize = 16;

/// The thread goes as deep as folders do.
const STACK: usize = 8 << 20;

/// A step of the scan, depth first.
#[expect(clippy::large_enum_variant, reason = "almost every step is an entry")]
pub(crate) enum Step {
    /// Something in the folder that was entered last. A folder is entered with this.
    Entry(Entry),
    /// That folder has nothing more.
    Leave,
}

/// Something in a folder.
pub(crate) struct Entry {
    pub(crate) name: OsString,
    pub(crate) path: PathBuf,
    /// Of itself, if it is a link.
    pub(crate) meta: Metadata,
}

/// The steps through a folder.
pub(crate) struct Scan {
    batches: Receiver<Vec<Result<Step>>>,
    batch: IntoIter<Result<Step>>,
}

impl Scan {
    /// Starts at a folder. Dropping the scan ends its thread.
    pub(crate) fn of<'scope>(
        folder: &'scope Path,
        scope: &'scope Scope<'scope, '_>,
    ) -> Result<Scan> {
        let (sender, batches) = sync_channel(WAITING);
        let mut scanner = Scanner { sender, batch: Vec::new() };
        let run = move || {
            // Whoever went away does not want to know.
            let _gone = scanner.whole(folder);
        };
        Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, run)
            .at("start a thread for", folder)?;
        Ok(Scan { batches, batch: Vec::new().into_iter() })
    }
}

impl Iterator for Scan {
    type Item = Result<Step>;

    fn next(&mut self) -> Option<Result<Step>> {
        loop {
            if let Some(step) = self.batch.next() {
                return Some(step);
            }
            self.batch = self.batches.recv().ok()?.into_iter();
        }
    }
}

struct Scanner {
    sender: SyncSender<Vec<Result<Step>>>,
    batch: Vec<Result<Step>>,
}

/// Why a scan ends early.
enum Stop {
    Gone,
    Failed(ObjectsError),
}

impl From<ObjectsError> for Stop {
    fn from(error: ObjectsError) -> Stop {
        Stop::Failed(error)
    }
}

impl Scanner {
    fn whole(&mut self, path: &Path) -> std::result::Result<(), Stop> {
        if let Err(Stop::Failed(error)) = self.folder(path, 1) {
            self.push(Err(error))?;
        }
        self.flush()
    }

    fn folder(&mut self, path: &Path, depth: usize) -> std::result::Result<(), Stop> {
        if depth > MAX_DEPTH {
            return Err(ObjectsError::TooDeep { path: path.to_owned(), limit: MAX_DEPTH }.into());
        }
        let listed = fs::read_dir(path).at("list", path)?;
        let mut listed: Vec<fs::DirEntry> = listed.collect::<io::Result<_>>().at("list", path)?;
        // Files of one kind lie together, since they compress better so.
        listed.sort_by_cached_key(|entry| {
            let name = entry.file_name();
            let name = name.as_bytes();
            let kind = name.iter().rposition(|b| *b == b'.').map(|dot| name[dot..].to_vec());
            (kind, name.to_vec())
        });
        for entry in listed {
            let path = entry.path();
            // Does not follow links, and costs one look-up in the folder.
            let meta = entry.metadata().at("inspect", &path)?;
            let name = entry.file_name();
            if !meta.is_file() && name == REGISTRY {
                continue;
            }
            let below = meta.is_dir().then(|| path.clone());
            self.push(Ok(Step::Entry(Entry { name, path, meta })))?;
            if let Some(below) = below {
                self.folder(&below, depth + 1)?;
            }
        }
        self.push(Ok(Step::Leave))
    }

    fn push(&mut self, step: Result<Step>) -> std::result::Result<(), Stop> {
        self.batch.push(step);
        if self.batch.len() == BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> std::result::Result<(), Stop> {
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        self.sender.send(batch).map_err(|_| Stop::Gone)
    }
}
