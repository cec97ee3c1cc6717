//! Captures the code of a project as a tree: the files as they are on disk now.
//!
//! Not the commit, since what runs is what is on disk, with every edit that was never committed.
//! In a git work tree that is all of git's files; elsewhere nobody says which files are code, so
//! only those that the command line names are taken, and a note says so. `.git` and `.lab` are
//! never part of it, nor are large files that git does not track: those are data.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use lab_objects::Writer;
use lab_schema::tree::Node;
use lab_schema::{Git, Slot, TreeId};

use crate::error::{At, ProcessError, Result};
use crate::folder::{Folder, Occupied};
use crate::git::{self, Tracked, is_private};
use crate::note::Note;
use crate::secrets::is_secret_file;

/// A file that git does not track is taken for code only up to this size.
pub const MAX_UNTRACKED_BYTES: u64 = 64 << 20;

/// The code of a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    /// The files; none if there was nothing to capture.
    pub tree: Option<TreeId>,
    /// Where in the tree the folder of the command is; none at its top.
    pub directory: Option<Slot>,
    /// The state of the repository, if there is one.
    pub git: Option<Git>,
    /// What was left out, and why.
    pub notes: Vec<Note>,
}

/// Captures the code that a command started in `directory` would run.
pub fn capture_code(writer: &mut Writer, directory: &Path, argv: &[String]) -> Result<Captured> {
    let directory = directory.canonicalize().at("find", directory)?;
    let mut capture = Capture {
        writer,
        top: directory.clone(),
        root: Folder::default(),
        notes: Vec::new(),
        last_parent: (PathBuf::new(), true),
    };
    match git::find(&directory)? {
        Ok(project) => {
            let slot = slot_below(&project.below, &directory)?;
            capture.top.clone_from(&project.top);
            let git = project.state()?;
            for (path, tracked) in project.files(&mut capture.notes)? {
                capture.take(&path, tracked)?;
            }
            let (tree, notes) = capture.finish()?;
            Ok(Captured { tree: Some(tree), directory: slot, git: Some(git), notes })
        }
        Err(why) => {
            let captured = named_files(&directory, argv);
            for path in &captured {
                capture.take(path, Tracked::No)?;
            }
            capture.notes.push(Note::NotInGit { why, captured: captured.clone() });
            let (tree, notes) = capture.finish()?;
            let tree = (!captured.is_empty()).then_some(tree);
            Ok(Captured { tree, directory: None, git: None, notes })
        }
    }
}

fn slot_below(below: &Path, directory: &Path) -> Result<Option<Slot>> {
    if below.as_os_str().is_empty() {
        return Ok(None);
    }
    let bad = |source| ProcessError::BadDirectory { path: directory.to_owned(), source };
    Slot::new(below.to_string_lossy()).map(Some).map_err(bad)
}

/// The regular files below `directory` that arguments name by relative paths, also as
/// `--option=path`.
fn named_files(directory: &Path, argv: &[String]) -> Vec<PathBuf> {
    // A program without a `/` is searched in PATH, not here.
    let program = argv.iter().take(1).filter(|word| word.contains('/'));
    let values = argv.iter().skip(1).filter_map(|word| Some(word.split_once('=')?.1));
    let words = program.chain(argv.iter().skip(1)).map(String::as_str).chain(values);
    let mut files: Vec<PathBuf> = words
        .filter_map(plain_relative)
        .filter(|path| !path.iter().any(is_private) && stays_inside(directory, path))
        .collect();
    files.sort();
    files.dedup();
    files
}

/// The path without `.` components; none if it is absolute, empty or leads upwards.
fn plain_relative(word: &str) -> Option<PathBuf> {
    let mut path = PathBuf::new();
    for component in Path::new(word).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            _ => return None,
        }
    }
    (!path.as_os_str().is_empty()).then_some(path)
}

/// Whether the path is a regular file that is reached without following any link.
fn stays_inside(directory: &Path, path: &Path) -> bool {
    let full = directory.join(path);
    full.symlink_metadata().is_ok_and(|meta| meta.is_file())
        && full.canonicalize().is_ok_and(|real| real == full)
}

/// A capture under way.
struct Capture<'a> {
    writer: &'a mut Writer,
    top: PathBuf,
    root: Folder,
    notes: Vec<Note>,
    /// The folder that was last looked at, and whether it is one that no link leads to. Files
    /// come sorted, so most are in the folder of the one before.
    last_parent: (PathBuf, bool),
}

impl Capture<'_> {
    /// Stores the file or link at `path`, unless it is gone.
    fn take(&mut self, path: &Path, tracked: Tracked) -> Result<()> {
        let full = self.top.join(path);
        // A tracked path may have become something else: its folder a file or a link.
        if !self.parents_are_folders(path)? {
            return Ok(());
        }
        let Some(meta) = if_exists(full.symlink_metadata()).at("inspect", &full)? else {
            return Ok(());
        };
        if is_secret_file(path) {
            self.notes.push(Note::SecretFile(path.to_owned()));
            return Ok(());
        }
        let node = if meta.is_symlink() {
            let target = full.read_link().at("read the link", &full)?;
            Node::Link { target: target.as_os_str().as_bytes().to_vec() }
        } else if meta.is_file() {
            if tracked == Tracked::No && meta.len() > MAX_UNTRACKED_BYTES {
                self.notes.push(Note::LargeFile { path: path.to_owned(), bytes: meta.len() });
                return Ok(());
            }
            self.store(&full)?
        } else if meta.is_dir() {
            // Its files, if they are the project's, are listed one by one.
            return Ok(());
        } else {
            self.notes.push(Note::SpecialFile(path.to_owned()));
            return Ok(());
        };
        // A file and a folder under one name: one has replaced the other while we looked.
        self.root.insert(path, node).map_err(|Occupied| ProcessError::Changing(full))
    }

    fn store(&mut self, full: &Path) -> Result<Node> {
        let mut file = File::open(full).at("open", full)?;
        let before = file.metadata().at("inspect", full)?;
        let (id, size) = self.writer.put_blob(&mut file)?;
        let after = file.metadata().at("inspect", full)?;
        let modified = (before.modified().ok(), after.modified().ok());
        if size != after.len() || modified.0 != modified.1 {
            return Err(ProcessError::Changing(full.to_owned()));
        }
        let executable = before.permissions().mode() & 0o100 != 0;
        Ok(Node::File { id, size, executable })
    }

    fn parents_are_folders(&mut self, path: &Path) -> Result<bool> {
        let Some(parent) = path.parent() else { return Ok(true) };
        if self.last_parent.0 != parent {
            self.last_parent = (parent.to_owned(), self.all_are_folders(path)?);
        }
        Ok(self.last_parent.1)
    }

    fn all_are_folders(&self, path: &Path) -> Result<bool> {
        for parent in path.ancestors().skip(1).filter(|p| !p.as_os_str().is_empty()) {
            let full = self.top.join(parent);
            let meta = if_exists(full.symlink_metadata()).at("inspect", &full)?;
            if meta.is_none_or(|meta| !meta.is_dir()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn finish(mut self) -> Result<(TreeId, Vec<Note>)> {
        let (id, _) = std::mem::take(&mut self.root).put(self.writer)?;
        Ok((id, self.notes))
    }
}

/// None where nothing is.
fn if_exists<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(e) => Err(e),
    }
}
