//! The log of the shim, read: every change to a folder as a step, told by numbers of files and
//! folders, so that a step means the same whatever the names before it have become.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a name in a folder leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    File(usize),
    Folder(usize),
    Link(String),
}

pub type Place = (usize, String);

#[derive(Clone, Debug)]
pub enum Change {
    Set { at: Place, node: Node },
    Remove { at: Place },
    Move { from: Place, to: Place, node: Node },
    Write { file: usize, at: usize, bytes: Vec<u8> },
    Cut { file: usize, len: usize },
}

#[derive(Clone, Debug)]
pub enum Step {
    Change(Change),
    SyncFile(usize),
    SyncFolder(usize),
    SyncAll,
    /// A command has ended and said that it is done.
    Done,
}

/// What became of a change that was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    There,
    Absent,
    Half,
    Zeros,
}

/// Folders and files as numbers, so that names can change. Of a file it is known by which steps it
/// came to its bytes; they are put together when they are asked for.
#[derive(Clone, Default)]
pub struct Image {
    pub folders: Vec<BTreeMap<String, Node>>,
    pub files: Vec<Vec<(usize, Fate)>>,
}

impl Image {
    pub fn apply(&mut self, step: usize, change: &Change, fate: Fate) {
        match change {
            Change::Set { at, node } => {
                self.folders[at.0].insert(at.1.clone(), node.clone());
            }
            Change::Remove { at } => {
                self.folders[at.0].remove(&at.1);
            }
            Change::Move { from, to, node } => {
                if self.folders[from.0].get(&from.1) == Some(node) {
                    self.folders[from.0].remove(&from.1);
                }
                self.folders[to.0].insert(to.1.clone(), node.clone());
            }
            Change::Cut { file, len } => {
                if *len == 0 {
                    self.files[*file].clear();
                }
                self.files[*file].push((step, fate));
            }
            Change::Write { file, .. } => self.files[*file].push((step, fate)),
        }
    }

    /// Calls `see` with each path, and what is there: bytes of a file, the target of a link.
    pub fn visit(&self, see: &mut impl FnMut(&Path, &Node)) {
        let mut todo = vec![(0, PathBuf::new())];
        while let Some((folder, path)) = todo.pop() {
            for (name, node) in &self.folders[folder] {
                let path = path.join(name);
                see(&path, node);
                if let Node::Folder(inner) = node {
                    todo.push((*inner, path));
                }
            }
        }
    }

    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.visit(&mut |path, node| {
            path.hash(&mut hasher);
            match node {
                Node::Folder(_) => 0.hash(&mut hasher),
                Node::Link(target) => target.hash(&mut hasher),
                Node::File(file) => (file, &self.files[*file]).hash(&mut hasher),
            }
        });
        hasher.finish()
    }
}

/// Reads a log, following what its names lead to as it goes.
pub struct Reader<'a> {
    root: &'a Path,
    pub now: Image,
    /// The bytes of the files that were there before; later ones start empty.
    pub bytes: Vec<Vec<u8>>,
    inodes: HashMap<u64, usize>,
    pub steps: Vec<Step>,
}

impl Reader<'_> {
    /// Takes in the folder as it is before the log begins.
    pub fn of(root: &Path) -> Reader<'_> {
        let mut reader = Reader {
            root,
            now: Image::default(),
            bytes: Vec::new(),
            inodes: HashMap::new(),
            steps: Vec::new(),
        };
        let top = reader.new_folder();
        reader.take_in(root, top);
        reader
    }

    pub fn read(&mut self, log: &[u8]) {
        let mut rest = log;
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            let line = std::str::from_utf8(&rest[..end]).unwrap();
            rest = &rest[end + 1..];
            let words: Vec<&str> = line.split('\t').collect();
            let mut bytes: &[u8] = &[];
            if words[0] == "write" {
                let len: usize = words[3].parse().unwrap();
                bytes = &rest[..len];
                rest = &rest[len + 1..];
            }
            self.line(&words, bytes);
        }
        assert!(rest.is_empty(), "the log ends within a line");
    }

    fn take_in(&mut self, folder: &Path, number: usize) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let (path, meta) = (entry.path(), entry.metadata().unwrap());
            let node = if meta.is_dir() {
                let inner = self.new_folder();
                self.take_in(&path, inner);
                Node::Folder(inner)
            } else if meta.is_symlink() {
                Node::Link(fs::read_link(&path).unwrap().to_str().unwrap().to_owned())
            } else {
                // The second name of a file that has two leads to the same file.
                let known = self.inodes.get(&meta.ino()).copied();
                let file = known.unwrap_or_else(|| self.new_file(meta.ino()));
                self.bytes[file] = fs::read(&path).unwrap();
                Node::File(file)
            };
            let name = entry.file_name().into_string().unwrap();
            self.now.folders[number].insert(name, node);
        }
    }

    fn new_folder(&mut self) -> usize {
        self.now.folders.push(BTreeMap::new());
        self.now.folders.len() - 1
    }

    fn new_file(&mut self, inode: u64) -> usize {
        self.now.files.push(Vec::new());
        self.bytes.push(Vec::new());
        self.inodes.insert(inode, self.now.files.len() - 1);
        self.now.files.len() - 1
    }

    fn folder(&self, path: &Path) -> usize {
        let relative = path.strip_prefix(self.root).unwrap();
        relative.components().fold(0, |folder, part| {
            match &self.now.folders[folder][part.as_os_str().to_str().unwrap()] {
                Node::Folder(inner) => *inner,
                other => panic!("{path:?} goes through {other:?}"),
            }
        })
    }

    fn at(&self, path: &str) -> Place {
        let path = Path::new(path);
        let name = path.file_name().unwrap().to_str().unwrap();
        (self.folder(path.parent().unwrap()), name.to_owned())
    }

    fn change(&mut self, change: Change) {
        self.now.apply(self.steps.len(), &change, Fate::There);
        self.steps.push(Step::Change(change));
    }

    fn set(&mut self, path: &str, node: Node) {
        let at = self.at(path);
        self.change(Change::Set { at, node });
    }

    fn line(&mut self, words: &[&str], bytes: &[u8]) {
        let number = |word: &str| word.parse::<u64>().unwrap();
        let file = |reader: &Self, word: &str| reader.inodes[&number(word)];
        match *words {
            ["create", inode, path] => {
                let made = self.new_file(number(inode));
                self.set(path, Node::File(made));
            }
            ["unnamed", inode] => {
                self.new_file(number(inode));
            }
            ["write", inode, at, _] => {
                let (file, at) = (file(self, inode), number(at) as usize);
                self.change(Change::Write { file, at, bytes: bytes.to_owned() });
            }
            ["cut", inode, len] => {
                let (file, len) = (file(self, inode), number(len) as usize);
                self.change(Change::Cut { file, len });
            }
            ["sync", inode] => self.steps.push(Step::SyncFile(file(self, inode))),
            ["syncfolder", path] => {
                self.steps.push(Step::SyncFolder(self.folder(Path::new(path))));
            }
            ["syncall"] => self.steps.push(Step::SyncAll),
            ["mkdir", path] => {
                let made = self.new_folder();
                self.set(path, Node::Folder(made));
            }
            ["link", inode, path] => self.set(path, Node::File(file(self, inode))),
            ["symlink", target, path] => self.set(path, Node::Link(target.to_owned())),
            ["unlink", path] => {
                let at = self.at(path);
                self.change(Change::Remove { at });
            }
            ["rename", from, to] => {
                let (from, to) = (self.at(from), self.at(to));
                let node = self.now.folders[from.0][&from.1].clone();
                self.change(Change::Move { from, to, node });
            }
            ["done"] => self.steps.push(Step::Done),
            _ => panic!("the log has a line that is not known: {words:?}"),
        }
    }
}
