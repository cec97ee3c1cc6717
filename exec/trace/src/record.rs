//! What a process tree touched: the result of watching it.
//!
//! Paths are those of the files themselves, with all links followed; the links that led there
//! are listed on their own. Everything is in bytes as the system has it, not in text.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, DirEntry, FileType, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Most different paths that are kept; with more the record is incomplete.
pub(crate) const MAX_PATHS: usize = 4_000_000;

/// The bits of a mode that say what kind of file it is.
const FORMAT: u32 = 0o170_000;

/// How a command is watched.
#[derive(Clone, Copy, Debug)]
pub struct Watching<'a> {
    /// An empty folder for copies of files that are read and then changed.
    pub spool: &'a Path,
    /// Whether the command has a root of its own when it becomes the program: paths are then looked up in
    /// that one.
    pub inside: bool,
}

/// All that was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Files, folders and devices that exist or existed, and what was done with them.
    pub things: BTreeMap<PathBuf, Thing>,
    /// Symbolic links on the way to them, and where they lead, as written in the link.
    pub links: BTreeMap<PathBuf, PathBuf>,
    /// Paths at which something was looked for and nothing was.
    pub absent: BTreeSet<PathBuf>,
    /// Folders that were listed, with what is in them in the order of the listing.
    pub listed: BTreeMap<PathBuf, Vec<Listed>>,
    /// Programs that processes became, in order.
    pub programs: Vec<Program>,
    /// Addresses that a process reached for, other than those that one of them had taken.
    pub peers: BTreeSet<String>,
    /// How often each fact of the machine was asked for.
    pub facts: BTreeMap<Fact, u64>,
    /// How often which program took random bytes from the system.
    pub entropy: BTreeMap<PathBuf, u64>,
    /// What is missing from this record, in words; empty if it is complete.
    pub gaps: BTreeSet<String>,
}

/// A fact about the machine that a process asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Fact {
    /// On which processors it may run.
    Affinity,
    /// Host name and kernel.
    Name,
    /// How much memory there is and is free, and how long the machine is up.
    Memory,
    /// Memory, queues or semaphores that processes share by a number (System V).
    SharedMemory,
}

/// Something at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    /// What it was when it was first met; none if one of the processes made it.
    pub first: Option<Stamp>,
    /// Its content was opened for reading, or executed, before any of the processes changed it.
    pub read: bool,
    /// It was executed, or is the interpreter of what was.
    pub executed: bool,
    /// One of the processes made it or may have changed its content.
    pub written: bool,
    /// One of the processes removed or moved it, and nothing has taken its place.
    pub gone: bool,
    /// One of the processes changed its permissions, owner or times, or gave it another name.
    pub altered: bool,
    /// A copy of what it was before one of the processes changed it.
    pub kept: Option<PathBuf>,
}

/// What the system says of a file. Equal stamps mean an unchanged file, but for changes within
/// the grain of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Device and number on it.
    pub inode: (u64, u64),
    /// Kind and permissions, as in `st_mode`.
    pub mode: u32,
    /// Bytes.
    pub size: u64,
    /// Last change of content: seconds and nanoseconds since 1970.
    pub modified: (i64, i64),
    /// Last change of content or metadata.
    pub changed: (i64, i64),
    /// How many names it has (hard links).
    pub names: u64,
}

/// A name in a folder that was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The name.
    pub name: OsString,
    /// What the listing says that it is; none if it does not say.
    pub kind: Option<FileType>,
}

/// A program that a process became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The process, by its number.
    pub process: i32,
    /// The file, with all links followed.
    pub path: PathBuf,
    /// The words of its command line.
    pub argv: Vec<Vec<u8>>,
}

impl Thing {
    /// Something that was just met.
    pub(crate) fn new(first: Option<Stamp>) -> Thing {
        let (read, executed, written, gone, altered) = (false, false, false, false, false);
        Thing { first, read, executed, written, gone, altered, kept: None }
    }

    /// Whether a file that is so `now` holds what it held when it was first met, if none of the
    /// processes has written to it. A time can be set back, but for that of the last change of
    /// metadata; and that one also changes when somebody gives the file another name elsewhere.
    pub fn is_still(&self, now: &Stamp) -> bool {
        let same = |s: &Stamp| (s.inode, s.size, s.modified) == (now.inode, now.size, now.modified);
        let harmless = |s: &Stamp| self.altered || s.changed == now.changed || s.names != now.names;
        self.first.is_some_and(|first| same(&first) && harmless(&first))
    }
}

impl Listed {
    /// What is in a folder.
    pub(crate) fn all(folder: &Path) -> io::Result<Vec<Listed>> {
        let listed = |e: DirEntry| Listed { name: e.file_name(), kind: e.file_type().ok() };
        fs::read_dir(folder)?.map(|entry| entry.map(listed)).collect()
    }
}

impl Stamp {
    /// What `metadata` says.
    pub fn new(metadata: &Metadata) -> Stamp {
        Stamp {
            inode: (metadata.dev(), metadata.ino()),
            mode: metadata.mode(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            names: metadata.nlink(),
        }
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.mode & FORMAT == 0o100_000
    }

    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        self.mode & FORMAT == 0o040_000
    }
}

impl Trace {
    /// The regular files whose content came in: opened for reading or executed, and not made by
    /// one of the processes.
    pub fn read_files(&self) -> impl Iterator<Item = (&Path, &Thing)> {
        let read = |thing: &Thing| thing.read && thing.first.is_some_and(|s| s.is_file());
        self.things.iter().filter(move |(_, thing)| read(thing)).map(|(p, t)| (p.as_path(), t))
    }

    /// The paths that were made or changed and are still there.
    pub fn written(&self) -> impl Iterator<Item = &Path> {
        let left = |thing: &Thing| thing.written && !thing.gone;
        self.things.iter().filter(move |(_, thing)| left(thing)).map(|(p, _)| p.as_path())
    }

    /// Adds to what is missing.
    pub(crate) fn gap(&mut self, what: impl Into<String>) {
        self.gaps.insert(what.into());
    }
}
