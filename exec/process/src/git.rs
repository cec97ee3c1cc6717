//! What git knows of a project: where its top is, in which state it is, which files are its own.
//!
//! Read with libgit2, so no git program is needed. Nothing is written, not even the index's
//! cache. Refuses repositories that git itself would refuse to trust, and damaged ones: a state
//! that cannot be read must not be recorded as clean.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use git2::{ErrorCode, Repository, RepositoryOpenFlags, Status, StatusOptions};
use lab_schema::Git;

use crate::byproducts::is_byproduct;
use crate::error::{ProcessError, Result};
use crate::note::{NoGit, Note};

/// How many repositories may lie inside each other.
const MAX_DEPTH: usize = 16;

/// In the mode of an index entry: the mask of the type, and the type of a submodule.
const TYPE_MASK: u32 = 0o170_000;
const SUBMODULE: u32 = 0o160_000;

/// Whether git tracks a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tracked {
    No,
    Yes,
}

/// A work tree.
pub(crate) struct Project {
    repository: Repository,
    /// Its top, absolute.
    pub(crate) top: PathBuf,
    /// Where in it we are.
    pub(crate) below: PathBuf,
}

/// The work tree around `directory`, which is absolute and without links.
pub(crate) fn find(directory: &Path) -> Result<Result<Project, NoGit>> {
    let Some(repository) = open(directory, RepositoryOpenFlags::empty())? else {
        return Ok(Err(NoGit::NoRepository));
    };
    let Some(top) = repository.workdir() else { return Ok(Err(NoGit::Bare)) };
    let top = top.canonicalize().unwrap_or_else(|_| top.to_owned());
    let Ok(below) = directory.strip_prefix(&top).map(Path::to_owned) else {
        return Ok(Err(NoGit::Inside));
    };
    if below.iter().any(is_private) {
        return Ok(Err(NoGit::Inside));
    }
    let ignored = |path: &Path| repository.is_path_ignored(path);
    if !below.as_os_str().is_empty() && ignored(&below).map_err(at("read the rules of", &top))? {
        return Ok(Err(NoGit::Ignored));
    }
    Ok(Ok(Project { repository, top, below }))
}

impl Project {
    /// The commit, the branch, and what differs from the commit.
    pub(crate) fn state(&self) -> Result<Git> {
        let (commit, branch) = self.head()?;
        let mut dirty = Vec::new();
        each_change(&self.repository, &self.top, |path, status| {
            if !status.contains(Status::WT_NEW) || !is_byproduct(path) {
                dirty.push(path.to_string_lossy().trim_end_matches('/').to_owned());
            }
        })?;
        dirty.sort();
        dirty.dedup();
        Ok(Git { commit, branch, dirty })
    }

    fn head(&self) -> Result<(Option<String>, Option<String>)> {
        let failed = || at("read the head of", &self.top);
        let short = |name: &str| name.strip_prefix("refs/heads/").unwrap_or(name).to_owned();
        match self.repository.head() {
            Ok(head) => {
                let commit = head.peel_to_commit().map_err(failed())?.id().to_string();
                let detached = self.repository.head_detached().map_err(failed())?;
                let name = String::from_utf8_lossy(head.name_bytes()).into_owned();
                Ok((Some(commit), (!detached).then(|| short(&name))))
            }
            Err(e) if e.code() == ErrorCode::UnbornBranch => {
                let head = self.repository.find_reference("HEAD").map_err(failed())?;
                let target = head.symbolic_target_bytes().map(String::from_utf8_lossy);
                Ok((None, target.map(|name| short(&name))))
            }
            Err(e) => Err(failed()(e)),
        }
    }

    /// The files that are the project's own: tracked ones, and untracked ones that no rule
    /// ignores, in it and in repositories inside it. Paths relative to the top. What is listed
    /// need not exist: a tracked file may have been deleted.
    pub(crate) fn files(&self, notes: &mut Vec<Note>) -> Result<BTreeMap<PathBuf, Tracked>> {
        let mut files = BTreeMap::new();
        list(&self.repository, &self.top, Path::new(""), MAX_DEPTH, &mut files, notes)?;
        Ok(files)
    }
}

/// Whether the component belongs to git's or our own storage.
pub(crate) fn is_private(component: &OsStr) -> bool {
    component == ".git" || component == ".lab"
}

fn list(
    repository: &Repository,
    top: &Path,
    prefix: &Path,
    depth: usize,
    files: &mut BTreeMap<PathBuf, Tracked>,
    notes: &mut Vec<Note>,
) -> Result<()> {
    let mut inner = Vec::new();
    let index = repository.index().map_err(at("read the index of", top))?;
    for entry in index.iter() {
        let path = PathBuf::from(OsStr::from_bytes(&entry.path));
        if path.iter().any(is_private) {
            continue;
        }
        if entry.mode & TYPE_MASK == SUBMODULE {
            inner.push(path);
        } else {
            files.insert(prefix.join(path), Tracked::Yes);
        }
    }
    each_change(repository, top, |path, status| {
        if !status.contains(Status::WT_NEW) || is_byproduct(path) {
            return;
        }
        // Git does not look into a repository inside the work tree that is no submodule.
        if path.as_os_str().as_bytes().ends_with(b"/") {
            inner.push(path.components().as_path().to_owned());
        } else {
            files.entry(prefix.join(path)).or_insert(Tracked::No);
        }
    })?;
    inner.sort();
    inner.dedup();
    for path in inner {
        let (top, prefix) = (top.join(&path), prefix.join(&path));
        let Some(depth) = depth.checked_sub(1) else { return Err(ProcessError::TooDeep(top)) };
        match open(&top, RepositoryOpenFlags::NO_SEARCH)? {
            Some(repository) => list(&repository, &top, &prefix, depth, files, notes)?,
            None => notes.push(Note::SubmoduleAbsent(prefix)),
        }
    }
    Ok(())
}

/// Calls `each` with every path that differs from the commit. A path that ends in `/` is a
/// repository of its own.
fn each_change(
    repository: &Repository,
    top: &Path,
    mut each: impl FnMut(&Path, Status),
) -> Result<()> {
    let mut options = StatusOptions::new();
    options.include_untracked(true).recurse_untracked_dirs(true).include_ignored(false);
    options.include_unreadable(true).update_index(false);
    let statuses =
        repository.statuses(Some(&mut options)).map_err(at("list the changes in", top))?;
    for entry in statuses.iter() {
        let path = Path::new(OsStr::from_bytes(entry.path_bytes()));
        if entry.status() != Status::CURRENT && !path.iter().any(is_private) {
            each(path, entry.status());
        }
    }
    Ok(())
}

/// Opens the repository at (or, if the flags allow it, above) a folder; none if there is none.
fn open(folder: &Path, flags: RepositoryOpenFlags) -> Result<Option<Repository>> {
    match Repository::open_ext(folder, flags, std::iter::empty::<&OsStr>()) {
        Ok(repository) => Ok(Some(repository)),
        Err(source) if source.code() == ErrorCode::Owner => {
            Err(ProcessError::RepositoryOwner { path: folder.to_owned(), source })
        }
        Err(source) if source.code() == ErrorCode::NotFound => {
            // Git passes over a `.git` that is too damaged to be one; that must not go unnoticed.
            let search = !flags.contains(RepositoryOpenFlags::NO_SEARCH);
            let depth = if search { usize::MAX } else { 1 };
            let mut folders = folder.ancestors().take(depth);
            match folders.find(|folder| folder.join(".git").symlink_metadata().is_ok()) {
                Some(damaged) => Err(at("open", damaged)(source)),
                None => Ok(None),
            }
        }
        Err(source) => Err(at("open", folder)(source)),
    }
}

fn at(verb: &'static str, path: &Path) -> impl Fn(git2::Error) -> ProcessError + use<> {
    let path = path.to_owned();
    move |source| ProcessError::Repository { verb, path: path.clone(), source }
}
