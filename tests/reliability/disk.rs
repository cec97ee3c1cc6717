//! What a disk may show after a power cut, told from the log of the shim.
//!
//! The rules are harsher than any one file system. Bytes that no fsync of their file has followed
//! may be absent, half there, zeros, or there. A name that was made, moved or removed without an
//! fsync of its folder since may or may not be so, each on its own and in any order; an fsync of
//! the file does not help its name. A rename happens entirely or not at all, and the fsync that
//! counts is that of the folder it leads to. Whatever was synced is there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use crate::reliability::Dice;

/// How many of the latest changes are lost, or kept, alone.
const RECENT: usize = 8;

/// What a name in a folder leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    File(usize),
    Folder(usize),
    Link(String),
}

type Place = (usize, String);

#[derive(Clone, Debug)]
enum Change {
    Set { at: Place, node: Node },
    Remove { at: Place },
    Move { from: Place, to: Place, node: Node },
    Write { file: usize, at: usize, bytes: Vec<u8> },
    Cut { file: usize, len: usize },
}

#[derive(Clone, Debug)]
enum Step {
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
struct Image {
    folders: Vec<BTreeMap<String, Node>>,
    files: Vec<Vec<(usize, Fate)>>,
}

/// A folder before, and every change since.
pub struct Recording {
    start: Image,
    /// The bytes of the files that were there before; later ones start empty.
    bytes: Vec<Vec<u8>>,
    steps: Vec<Step>,
    /// The whole of it, as it was at the end.
    end: Image,
}

/// One thing that the disk may show.
#[derive(Clone)]
pub struct State {
    cut: usize,
    fates: BTreeMap<usize, Fate>,
    /// How many commands had ended before the cut.
    pub done: usize,
}

impl Image {
    fn apply(&mut self, step: usize, change: &Change, fate: Fate) {
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
    fn visit(&self, see: &mut impl FnMut(&Path, &Node)) {
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

    fn digest(&self) -> u64 {
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
struct Reader<'a> {
    root: &'a Path,
    now: Image,
    bytes: Vec<Vec<u8>>,
    inodes: HashMap<u64, usize>,
    steps: Vec<Step>,
}

impl Reader<'_> {
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

impl Recording {
    /// Looks at the folder, lets `work` change it and write a log of this, and reads the log.
    pub fn of(root: &Path, work: impl FnOnce() -> Vec<u8>) -> Recording {
        let mut reader = Reader {
            root,
            now: Image::default(),
            bytes: Vec::new(),
            inodes: HashMap::new(),
            steps: Vec::new(),
        };
        let top = reader.new_folder();
        reader.take_in(root, top);
        let start = reader.now.clone();
        let log = work();
        let mut rest = log.as_slice();
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
            reader.line(&words, bytes);
        }
        assert!(rest.is_empty(), "the log ends within a line");
        Recording { start, bytes: reader.bytes, steps: reader.steps, end: reader.now }
    }

    fn bytes(&self, file: usize, history: &[(usize, Fate)]) -> Vec<u8> {
        let mut all = self.bytes[file].clone();
        for (step, fate) in history {
            match &self.steps[*step] {
                Step::Change(Change::Cut { len, .. }) => all.resize(*len, 0),
                Step::Change(Change::Write { at, bytes, .. }) => {
                    let len = if *fate == Fate::Half { bytes.len() / 2 } else { bytes.len() };
                    all.resize(all.len().max(at + len), 0);
                    if *fate != Fate::Zeros {
                        all[*at..at + len].copy_from_slice(&bytes[..len]);
                    }
                }
                other => panic!("{other:?} changes no bytes"),
            }
        }
        all
    }

    fn write_image(&self, image: &Image, root: &Path) {
        fs::create_dir_all(root).unwrap();
        image.visit(&mut |path, node| match node {
            Node::Folder(_) => fs::create_dir(root.join(path)).unwrap(),
            Node::Link(target) => symlink(target, root.join(path)).unwrap(),
            Node::File(file) => {
                fs::write(root.join(path), self.bytes(*file, &image.files[*file])).unwrap();
            }
        });
    }

    /// Writes what the log says that there is at the end.
    pub fn write_end(&self, folder: &Path) {
        self.write_image(&self.end, folder);
    }

    pub fn len(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step, Step::Change(_))).count()
    }

    /// The changes before `cut` that nothing has made durable.
    fn pending(&self, cut: usize) -> Vec<usize> {
        let mut pending: Vec<usize> = Vec::new();
        for (number, step) in self.steps[..cut].iter().enumerate() {
            let Step::Change(_) = step else {
                pending.retain(|i| match (&self.steps[*i], step) {
                    (_, Step::SyncAll) => false,
                    (Step::Change(change), Step::SyncFile(synced)) => !matches!(
                        change,
                        Change::Write { file, .. } | Change::Cut { file, .. } if file == synced
                    ),
                    (Step::Change(change), Step::SyncFolder(synced)) => !matches!(
                        change,
                        Change::Set { at, .. } | Change::Remove { at }
                            | Change::Move { to: at, .. } if at.0 == *synced
                    ),
                    _ => true,
                });
                continue;
            };
            pending.push(number);
        }
        pending
    }

    fn image(&self, state: &State) -> Image {
        // Numbers of files and folders are those of the end; names lead to them one by one.
        let mut image = self.start.clone();
        image.folders.resize(self.end.folders.len(), BTreeMap::new());
        image.files.resize(self.end.files.len(), Vec::new());
        for (number, step) in self.steps[..state.cut].iter().enumerate() {
            let fate = state.fates.get(&number).copied().unwrap_or(Fate::There);
            if let Step::Change(change) = step
                && fate != Fate::Absent
            {
                image.apply(number, change, fate);
            }
        }
        image
    }

    /// Writes what the disk shows in this state.
    pub fn write(&self, state: &State, folder: &Path) {
        self.write_image(&self.image(state), folder);
    }

    /// What was lost in this state, for messages.
    pub fn describe(&self, state: &State) -> String {
        let lost =
            state.fates.iter().filter(|(_, fate)| **fate != Fate::There).map(
                |(i, fate)| match &self.steps[*i] {
                    Step::Change(Change::Write { file, at, bytes }) => {
                        format!("{fate:?} of {} bytes at {at} of file {file}", bytes.len())
                    }
                    other => format!("{fate:?}: {other:?}"),
                },
            );
        let last = match state.cut.checked_sub(1).map(|i| &self.steps[i]) {
            Some(Step::Change(Change::Write { file, .. })) => format!("a write to file {file}"),
            last => format!("{last:?}"),
        };
        format!(
            "power cut after step {} ({last}), lost: {:#?}",
            state.cut,
            lost.collect::<Vec<_>>()
        )
    }

    /// The states at every point of the log, each once: nothing lost, everything, each change alone
    /// lost or kept, and `rolls` times a random choice.
    pub fn states(&self, rolls: u64, dice: &mut Dice) -> Vec<State> {
        let (mut states, mut seen, mut done) = (Vec::new(), BTreeSet::new(), 0);
        for cut in 0..=self.steps.len() {
            if cut > 0 && matches!(self.steps[cut - 1], Step::Done) {
                done += 1;
            }
            let pending = self.pending(cut);
            for fates in self.fates(&pending, rolls, dice) {
                let state = State { cut, fates, done };
                if seen.insert((self.image(&state).digest(), done)) {
                    states.push(state);
                }
            }
        }
        states
    }

    fn fates(&self, pending: &[usize], rolls: u64, dice: &mut Dice) -> Vec<BTreeMap<usize, Fate>> {
        use Fate::{Absent, Half, There, Zeros};
        let all = |fate: Fate| pending.iter().map(|i| (*i, fate)).collect::<BTreeMap<_, _>>();
        let of = |i: usize| match self.steps[i] {
            Step::Change(Change::Write { .. }) => [There, Absent, Half, Zeros].as_slice(),
            _ => &[There, Absent],
        };
        let mut found = vec![all(There), all(Absent)];
        // One that is older was the only one lost, or kept, at an earlier point.
        for i in pending.iter().rev().take(RECENT) {
            for fate in of(*i) {
                for others in [There, Absent] {
                    let mut fates = all(others);
                    fates.insert(*i, *fate);
                    found.push(fates);
                }
            }
        }
        if !pending.is_empty() {
            for _ in 0..rolls {
                let roll = |i: &usize| (*i, of(*i)[dice.below(of(*i).len() as u64) as usize]);
                found.push(pending.iter().map(roll).collect());
            }
        }
        found
    }
}
