//! Lays out what a command runs on: the code tree, and the inputs over it.
//!
//! An input takes the place of whatever the code has at its path. Nothing is ever written
//! through a link that the code holds: where an input needs a folder and the code has a link or
//! a file, the folder replaces it. All files get one fixed modification time, so that no result
//! depends on when they were laid out and any write shows; input files are read-only (their
//! folders are not: a file made beside an input is an output, not a change of the input).

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use lab_objects::{GetOptions, Silent, Store, find_in_tree, get};
use lab_schema::tree::Node;
use lab_schema::{BlobId, Command, ContentId, FileName, Recipe, Slot};

use crate::error::{At, ProcessError, Result};

/// The modification time of every file that is laid out: 2000-01-01T00:00:00Z. Not zero, which
/// some tools take for "unknown" and zip archives cannot hold.
pub(crate) const MODIFIED: Duration = Duration::from_secs(946_684_800);

/// What was laid out.
pub(crate) struct Layout<'a> {
    store: &'a Store,
    recipe: &'a Recipe,
    /// The top of the code tree, absolute and without links.
    pub(crate) work: PathBuf,
    /// Where in it the command starts; inputs and outputs are relative to that.
    pub(crate) below: PathBuf,
}

impl<'a> Layout<'a> {
    /// Lays out a recipe at `work`, which does not exist yet.
    pub(crate) fn new(
        store: &'a Store,
        recipe: &'a Recipe,
        command: &Command,
        work: &Path,
    ) -> Result<Layout<'a>> {
        match recipe.code() {
            Some(tree) => place(store, tree.into(), work)?,
            None => fs::create_dir(work).at("create the folder", work)?,
        }
        let work = work.canonicalize().at("find", work)?;
        let below = start(&work, command.directory.as_ref())?;
        let layout = Layout { store, recipe, work, below };
        let directory = layout.directory();
        for (slot, content) in recipe.inputs() {
            make_way(&directory, slot)?;
            place(store, *content, &directory.join(slot.as_str()))?;
        }
        layout.normalise()?;
        Ok(layout)
    }

    /// The folder in which the command starts, absolute.
    pub(crate) fn directory(&self) -> PathBuf {
        self.work.join(&self.below)
    }

    /// The blob that was laid out at `path`, relative to the work tree; none if none was.
    pub(crate) fn original(&self, path: &Path) -> Result<Option<BlobId>> {
        if let Ok(inside) = path.strip_prefix(&self.below) {
            for (slot, content) in self.recipe.inputs() {
                if let Ok(rest) = inside.strip_prefix(slot.as_str()) {
                    return self.blob_in(*content, rest);
                }
            }
        }
        match self.recipe.code() {
            Some(code) => self.blob_in(code.into(), path),
            None => Ok(None),
        }
    }

    fn blob_in(&self, content: ContentId, path: &Path) -> Result<Option<BlobId>> {
        let names: Result<Vec<_>, _> = path.iter().map(|c| FileName::new(c.as_bytes())).collect();
        match (content, names) {
            (ContentId::Blob(id), Ok(names)) => Ok(names.is_empty().then_some(id)),
            (ContentId::Tree(tree), Ok(names)) if !names.is_empty() => {
                match find_in_tree(self.store, tree, &names)? {
                    Some(Node::File { id, .. }) => Ok(Some(id)),
                    _ => Ok(None),
                }
            }
            _ => Ok(None),
        }
    }

    /// Gives every file the fixed time, and takes the right to write from those of inputs.
    fn normalise(&self) -> Result<()> {
        let time = SystemTime::UNIX_EPOCH + MODIFIED;
        let directory = self.directory();
        let inputs: BTreeSet<PathBuf> =
            self.recipe.inputs().keys().map(|slot| directory.join(slot.as_str())).collect();
        let mut folders = vec![(self.work.clone(), false)];
        while let Some((folder, read_only)) = folders.pop() {
            for entry in fs::read_dir(&folder).at("list", &folder)? {
                let path = entry.at("list", &folder)?.path();
                let meta = path.symlink_metadata().at("inspect", &path)?;
                let read_only = read_only || inputs.contains(&path);
                if meta.is_dir() {
                    folders.push((path, read_only));
                } else if meta.is_file() {
                    let file = File::open(&path).at("open", &path)?;
                    file.set_modified(time).at("set the time of", &path)?;
                    if read_only {
                        // A single file has no executable bit of its own, only a directory's
                        // entry has: what can be executed may be.
                        let program = if is_program(&path)? { 0o111 } else { 0 };
                        let mode = (meta.permissions().mode() | program) & 0o555;
                        let mode = Permissions::from_mode(mode);
                        file.set_permissions(mode).at("protect", &path)?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether the file starts as scripts and programs do.
fn is_program(path: &Path) -> Result<bool> {
    let mut start = Vec::new();
    File::open(path).at("open", path)?.take(4).read_to_end(&mut start).at("read", path)?;
    Ok(start.starts_with(b"#!") || start == b"\x7fELF")
}

fn place(store: &Store, content: ContentId, to: &Path) -> Result<()> {
    get(store, content, to, &GetOptions::default(), &Silent)?;
    Ok(())
}

/// The folder to start in, relative to `work`; made if the code has no file in it.
fn start(work: &Path, directory: Option<&Slot>) -> Result<PathBuf> {
    let Some(slot) = directory else { return Ok(PathBuf::new()) };
    let outside = || ProcessError::DirectoryOutside { directory: slot.to_string() };
    let mut path = work.to_owned();
    for component in slot.as_str().split('/') {
        path.push(component);
        match path.symlink_metadata() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                fs::create_dir(&path).at("create the folder", &path)?;
            }
            Err(e) => return Err(e).at("inspect", &path),
            Ok(_) => path = path.canonicalize().at("find", &path)?,
        }
        // Looked at after every step, so that nothing is made outside.
        path.strip_prefix(work).map_err(|_| outside())?;
        if !path.is_dir() {
            return Err(io::Error::from(io::ErrorKind::NotADirectory)).at("start in", &path);
        }
    }
    path.strip_prefix(work).map(Path::to_owned).map_err(|_| outside())
}

/// Makes the folders above an input's path, and removes what is at it.
fn make_way(directory: &Path, slot: &Slot) -> Result<()> {
    let mut path = directory.to_owned();
    let mut components = slot.as_str().split('/').peekable();
    while let Some(component) = components.next() {
        path.push(component);
        let is_last = components.peek().is_none();
        let there = match path.symlink_metadata() {
            Ok(meta) => Some(meta),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(e).at("inspect", &path),
        };
        match there {
            Some(meta) if meta.is_dir() && !is_last => continue,
            Some(meta) if meta.is_dir() => {
                fs::remove_dir_all(&path).at("make way for the input at", &path)?;
            }
            Some(_) => fs::remove_file(&path).at("make way for the input at", &path)?,
            None => {}
        }
        if !is_last {
            fs::create_dir(&path).at("create the folder", &path)?;
        }
    }
    Ok(())
}
