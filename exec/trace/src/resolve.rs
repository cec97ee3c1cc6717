//! From the path that a process gives to the file that it means, and the links on the way.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Most links that the kernel follows for one path.
const MAX_LINKS: usize = 40;

/// Where a path leads.
#[derive(Debug)]
pub(crate) enum Found {
    /// To this; the path has no links in it any more.
    There(PathBuf, Metadata),
    /// To nothing. The path is that of the place in which it would be.
    Nothing(PathBuf),
    /// It cannot be said: no permission, or a ring of links. The call fails as well.
    Unknown,
}

/// Resolves paths, and remembers folders and links.
#[derive(Default)]
pub(crate) struct Resolver {
    /// Folders as given, and where they are.
    folders: HashMap<OsString, PathBuf>,
    /// Every link that was followed, and what it holds.
    pub(crate) links: BTreeMap<PathBuf, PathBuf>,
    /// Where the processes made something, and no link of others had been seen.
    own: HashSet<PathBuf>,
    /// Whether the processes have a root of their own.
    inside: bool,
    /// That root, once it is known; and where we find it.
    root: Option<(File, PathBuf)>,
}

impl Resolver {
    pub(crate) fn new(inside: bool) -> Resolver {
        Resolver { inside, ..Resolver::default() }
    }

    /// If the root is another one: paths start at that of the first thread, whatever becomes of it.
    pub(crate) fn enter(&mut self, thread: i32) -> io::Result<()> {
        if !self.inside || self.root.is_some() {
            return Ok(());
        }
        let root = File::open(format!("/proc/{thread}/root"))?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", root.as_raw_fd()));
        self.root = Some((root, path));
        Ok(())
    }

    /// The processes made something at a path: a link there is no longer one of others.
    pub(crate) fn made(&mut self, path: &Path) {
        if !self.links.contains_key(path) {
            self.own.insert(path.to_owned());
        }
    }

    /// The links that were there, and not made by the processes.
    pub(crate) fn links_of_others(self) -> BTreeMap<PathBuf, PathBuf> {
        let Resolver { mut links, own, .. } = self;
        links.retain(|path, _| !own.contains(path));
        links
    }

    /// Where we find what is at `path`, an absolute path without links but for a last one.
    pub(crate) fn seen_by_us<'a>(&self, path: &'a Path) -> Cow<'a, Path> {
        match &self.root {
            None => path.into(),
            Some((_, root)) => root.join(path.strip_prefix("/").unwrap_or(path)).into(),
        }
    }

    /// Forgets what it remembers of folders: one was moved or a link was made or removed.
    pub(crate) fn forget(&mut self) {
        self.folders.clear();
    }

    /// What is at `path`, which is absolute; `follow`: also if it is a link itself.
    pub(crate) fn find(&mut self, path: &Path, follow: bool) -> Found {
        let mut at = PathBuf::from("/");
        // What is still to be walked, the next component last.
        let mut open: Vec<Vec<u8>> = Vec::new();
        let push = |open: &mut Vec<Vec<u8>>, path: &[u8]| {
            let parts = path.split(|b| *b == b'/').filter(|p| !p.is_empty() && *p != b".");
            open.extend(parts.rev().map(<[u8]>::to_vec));
        };
        let known = path.parent().and_then(|parent| self.folders.get(parent.as_os_str()));
        // A path that ends in ".." or "." has no name of its own.
        match (known, path.file_name()) {
            (Some(folder), Some(name)) if !path.as_os_str().as_bytes().ends_with(b"/.") => {
                at.clone_from(folder);
                open.push(name.as_bytes().to_vec());
            }
            _ => push(&mut open, path.as_os_str().as_bytes()),
        }
        let must_be_folder = path.as_os_str().as_bytes().ends_with(b"/");
        let (mut followed, mut meta) = (0, None);
        while let Some(name) = open.pop() {
            if name == b".." {
                at.pop();
                meta = None;
                continue;
            }
            let here = at.join(OsStr::from_bytes(&name));
            let found = match self.seen_by_us(&here).symlink_metadata() {
                Ok(found) => found,
                Err(e) => {
                    let absent = matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR));
                    // Of several components that are not there, the first says it all.
                    return if absent { Found::Nothing(here) } else { Found::Unknown };
                }
            };
            if found.is_symlink() && (follow || must_be_folder || !open.is_empty()) {
                followed += 1;
                let Ok(target) = self.seen_by_us(&here).read_link() else { return Found::Unknown };
                if followed > MAX_LINKS {
                    return Found::Unknown;
                }
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                push(&mut open, target.as_os_str().as_bytes());
                self.links.entry(here).or_insert(target);
                meta = None;
                continue;
            }
            at = here;
            meta = Some(found);
        }
        let meta = match meta {
            Some(meta) => meta,
            None => match self.seen_by_us(&at).symlink_metadata() {
                Ok(meta) => meta,
                Err(_) => return Found::Unknown,
            },
        };
        if let (Some(given), Some(parent), 0) = (path.parent(), at.parent(), followed)
            && at.file_name() == path.file_name()
            && !self.folders.contains_key(given.as_os_str())
        {
            self.folders.insert(given.into(), parent.to_owned());
        }
        Found::There(at, meta)
    }
}

/// `path` seen from `folder`.
pub(crate) fn absolute(folder: &Path, path: Vec<u8>) -> PathBuf {
    folder.join(PathBuf::from(OsString::from_vec(path)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_are_followed_as_the_system_does() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        fs::create_dir_all(top.join("a/b")).unwrap();
        fs::write(top.join("a/b/file"), "x").unwrap();
        symlink("a", top.join("l")).unwrap();
        symlink(top.join("a/b"), top.join("abs")).unwrap();
        symlink("../b/file", top.join("a/b/up")).unwrap();
        symlink("ring", top.join("ring")).unwrap();
        symlink("nowhere", top.join("dangling")).unwrap();
        let mut resolver = Resolver::default();
        for path in ["a/b/file", "l/b/file", "abs/file", "a/b/up", "l/b/../b/./up", "abs/../b/file"]
        {
            // Twice: the second time from memory.
            for _ in 0..2 {
                match resolver.find(&top.join(path), true) {
                    Found::There(real, meta) => {
                        assert_eq!(real, top.join(path).canonicalize().unwrap(), "{path}");
                        assert!(meta.is_file());
                    }
                    other => panic!("{path}: {other:?}"),
                }
            }
        }
        let links: Vec<_> = resolver.links.keys().map(|l| l.strip_prefix(&top).unwrap()).collect();
        assert_eq!(links, [Path::new("a/b/up"), Path::new("abs"), Path::new("l")]);
        assert!(matches!(resolver.find(&top.join("ring"), true), Found::Unknown));
        match resolver.find(&top.join("dangling"), true) {
            Found::Nothing(at) => assert_eq!(at, top.join("nowhere")),
            other => panic!("{other:?}"),
        }
        match resolver.find(&top.join("l"), false) {
            Found::There(at, meta) => assert!(at == top.join("l") && meta.is_symlink()),
            other => panic!("{other:?}"),
        }
        match resolver.find(&top.join("none/below"), true) {
            Found::Nothing(at) => assert_eq!(at, top.join("none")),
            other => panic!("{other:?}"),
        }
    }
}
