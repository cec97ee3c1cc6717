//! Trees and blobs out of a store, into the work tree.
//!
//! First everything that has to be done is listed, and refused where something different is in
//! the way; then it is done. A new target is made under a temporary name beside it and renamed.
//! In a folder that exists, each file is made beside its place and renamed over it, and so is a single
//! file. What a process that was killed, or that found the disk full, left of a large file or of a
//! folder is gone on with.
//!
//! Nothing is written through a symbolic link: links in the way are refused or, with `force`,
//! replaced, and the links of a tree are made after all its files, so that even on a file system
//! that ignores case none of its entries can lead out. (Somebody who changes the target while it
//! is being written is not defended against.) Folders are never replaced by files. A tree that
//! holds a folder or link called `.lab` is refused: it would write into the registry there.

use std::collections::{BTreeSet, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use lab_schema::tree::Node;
use lab_schema::{BlobId, ContentId, Digest, FileName, ObjectId, Tree, TreeId};

use crate::atomic;
use crate::error::{At, ObjectsError, Result};
use crate::partial::{self, LARGE};
use crate::place::{Fill, Way, in_place, inspect, large, make_folder, small};
use crate::progress::Progress;
use crate::raw::{self, RawCache};
use crate::restore::{Wanted, restore};
use crate::scan::{MAX_DEPTH, REGISTRY};
use crate::sibling::Sibling;
use crate::store::Store;

/// Most entries in one target, so that a tree that names itself many times over ends.
const MAX_ENTRIES: usize = 10_000_000;

/// How to get.
#[derive(Clone, Copy, Debug, Default)]
pub struct GetOptions<'a> {
    /// Replace files and links that exist and differ.
    pub force: bool,
    /// Where files lie as they are, to be cloned or linked.
    pub raw: Option<&'a RawCache>,
}

/// What was got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Got {
    /// Files and links written.
    pub files: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Files and links that were there already, just like this.
    pub unchanged: u64,
}

struct Plan<'a> {
    store: &'a Store,
    force: bool,
    unchanged: u64,
    /// Parents first.
    folders: Vec<PathBuf>,
    files: Vec<Wanted>,
    /// With what they say.
    links: Vec<(PathBuf, Vec<u8>)>,
    bytes: u64,
    /// Whether something has a name like that of a partial file, and could be mistaken for one.
    clashes: bool,
}

/// Writes content to `to`, and nowhere else; without `force`, refuses where something different
/// is there. Makes the folders above `to` where they are absent.
pub fn get(
    store: &Store,
    content: ContentId,
    to: &Path,
    options: &GetOptions<'_>,
    progress: &dyn Progress,
) -> Result<Got> {
    let mut plan = Plan {
        store,
        force: options.force,
        unchanged: 0,
        folders: Vec::new(),
        files: Vec::new(),
        links: Vec::new(),
        bytes: 0,
        clashes: false,
    };
    let there = inspect(to)?;
    let fresh = there.is_none();
    let target = target_path(to)?;
    let mut sibling = Sibling::of_work(&target, work(content, &target));
    let is_tree = matches!(content, ContentId::Tree(_));
    let way = match (fresh && is_tree, sibling.is_taken_over()) {
        (false, _) => Way::Merge,
        (true, false) => Way::Fresh,
        (true, true) => Way::GoOn,
    };
    // A new folder is planned under its temporary name.
    let root = if way == Way::Merge { to.to_owned() } else { sibling.path().to_owned() };
    plan.force |= way == Way::GoOn;
    match content {
        ContentId::Blob(id) => {
            let size = store.size(id)?.ok_or(ObjectsError::Missing { id: id.into() })?;
            plan.file(&root, way != Way::Fresh, id, size, None)?;
        }
        ContentId::Tree(id) => plan.folder(&root, way != Way::Fresh, id, 1)?,
    }
    let blobs: Vec<BlobId> = plan.files.iter().map(|file| file.id).collect();
    store.bring(&blobs)?;
    if fresh && let Some(parent) = to.parent().filter(|p| !p.as_os_str().is_empty()) {
        atomic::create_folder(parent)?;
    }
    if way == Way::Fresh {
        sibling.make_folder()?;
        plan.folders.remove(0);
    }
    let bytes = plan.bytes;
    progress.begin("get", Some(bytes));
    let done = plan.execute(way, options, progress);
    progress.end();
    match &done {
        Ok(_) if way != Way::Merge => sibling.place(to)?,
        Err(error) if bytes > LARGE && is_full(error) => sibling.leave(),
        _ => {}
    }
    done
}

/// Whether all that is lacking is room.
fn is_full(error: &ObjectsError) -> bool {
    let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
    matches!(error, ObjectsError::Io { source, .. } if full.contains(&source.kind()))
}

/// Tells what is got into which target from all else that may be got into the same folder.
fn work(content: ContentId, target: &Path) -> u64 {
    let digest = ObjectId::from(content).digest();
    let target = target.file_name().unwrap_or_default().as_bytes();
    let word = Digest::derive("lab 2026-11-25 get", &[digest.as_bytes(), target].concat());
    let mut first = [0; 8];
    first.copy_from_slice(&word.as_bytes()[..8]);
    u64::from_le_bytes(first)
}

/// The target with a file name, so that something can be made beside it.
fn target_path(to: &Path) -> Result<PathBuf> {
    if to.file_name().is_some() {
        return Ok(to.to_owned());
    }
    fs::canonicalize(to).at("resolve", to)
}

impl Plan<'_> {
    fn refuse<T>(path: &Path) -> Result<T> {
        Err(ObjectsError::Refused { path: path.to_owned() })
    }

    /// Refuses a tree that has too many entries.
    fn bounded(&self, path: &Path) -> Result<()> {
        if self.folders.len() + self.files.len() + self.links.len() >= MAX_ENTRIES {
            return Err(ObjectsError::TooMany { path: path.to_owned(), limit: MAX_ENTRIES });
        }
        Ok(())
    }

    /// `may_exist` is false where the folder above is new.
    fn folder(&mut self, path: &Path, may_exist: bool, id: TreeId, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(ObjectsError::TooDeep { path: path.to_owned(), limit: MAX_DEPTH });
        }
        let there = if may_exist { inspect(path)? } else { None };
        let merge = match there {
            Some(meta) if meta.is_dir() => true,
            Some(_) if !self.force => return Self::refuse(path),
            _ => false,
        };
        self.bounded(path)?;
        self.folders.push(path.to_owned());
        for entry in self.store.load::<Tree>(id)?.entries() {
            let path = path.join(OsStr::from_bytes(entry.name.as_bytes()));
            self.clashes |= partial::is_like_one(entry.name.as_bytes());
            let is_file = matches!(entry.node, Node::File { .. });
            if !is_file && entry.name.as_bytes().eq_ignore_ascii_case(REGISTRY.as_bytes()) {
                return Err(ObjectsError::Registry { path });
            }
            match &entry.node {
                Node::Directory { id, .. } => self.folder(&path, merge, *id, depth + 1)?,
                Node::File { id, size, executable } => {
                    self.file(&path, merge, *id, *size, Some(*executable))?;
                }
                Node::Link { target } => self.link(&path, merge, target)?,
            }
        }
        Ok(())
    }

    fn file(
        &mut self,
        path: &Path,
        may_exist: bool,
        id: BlobId,
        size: u64,
        executable: Option<bool>,
    ) -> Result<()> {
        if may_exist && let Some(meta) = inspect(path)? {
            let is_executable = meta.permissions().mode() & 0o100 != 0;
            let alike = meta.is_file()
                && meta.len() == size
                && executable.is_none_or(|wanted| wanted == is_executable);
            if alike && raw::holds(path, id)? {
                self.unchanged += 1;
                return Ok(());
            }
            if !self.force || meta.is_dir() {
                return Self::refuse(path);
            }
        }
        self.bytes = self.bytes.saturating_add(size);
        let executable = executable.unwrap_or(false);
        self.bounded(path)?;
        self.files.push(Wanted { path: path.to_owned(), id, size, executable });
        Ok(())
    }

    fn link(&mut self, path: &Path, may_exist: bool, target: &[u8]) -> Result<()> {
        if may_exist && let Some(meta) = inspect(path)? {
            if meta.is_symlink() {
                let there = fs::read_link(path).at("read link", path)?;
                if there.into_os_string().into_vec() == target {
                    self.unchanged += 1;
                    return Ok(());
                }
            }
            if !self.force || meta.is_dir() {
                return Self::refuse(path);
            }
        }
        self.bounded(path)?;
        self.links.push((path.to_owned(), target.to_vec()));
        Ok(())
    }

    /// The names under which large files are made.
    fn partials(&self) -> HashSet<OsString> {
        let large = self.files.iter().filter(|file| file.size > LARGE);
        large.map(|file| partial::name_of(file.id, file.executable)).collect()
    }

    /// Removes what nobody took up in folders that others write to as well.
    fn sweep(&self) {
        let wanted = self.partials();
        let folders: BTreeSet<&Path> =
            self.files.iter().filter_map(|file| file.path.parent()).collect();
        for folder in folders {
            let here = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            partial::sweep(here, &wanted);
        }
    }

    /// Does what was planned.
    fn execute(self, way: Way, options: &GetOptions<'_>, progress: &dyn Progress) -> Result<Got> {
        for path in &self.folders {
            make_folder(path, way)?;
        }
        if way == Way::Merge {
            self.sweep();
        }
        let make = |wanted: &Wanted, fill: Fill<'_>| {
            if wanted.size > LARGE && !self.clashes {
                large(wanted, way, options.raw, fill)
            } else {
                small(wanted, way, options.raw, fill)
            }
        };
        let bytes = restore(self.store, &self.files, &make, progress)?;
        for (path, target) in &self.links {
            let target = Path::new(OsStr::from_bytes(target));
            in_place(path, way, |path| atomic::new_link(target, path))?;
        }
        let files = (self.files.len() + self.links.len()) as u64;
        Ok(Got { files, bytes, unchanged: self.unchanged })
    }
}

/// The node at `path` inside a tree; none if there is nothing. Follows no links.
pub fn find_in_tree(store: &Store, tree: TreeId, path: &[FileName]) -> Result<Option<Node>> {
    let mut tree = store.load::<Tree>(tree).map(|t| (tree, t))?;
    let Some((last, parents)) = path.split_last() else {
        return Ok(Some(Node::Directory { id: tree.0, size: tree.1.total_bytes() }));
    };
    for name in parents {
        match tree.1.get(name.as_bytes()).map(|e| &e.node) {
            Some(Node::Directory { id, .. }) => tree = (*id, store.load(*id)?),
            _ => return Ok(None),
        }
    }
    Ok(tree.1.get(last.as_bytes()).map(|e| e.node.clone()))
}
