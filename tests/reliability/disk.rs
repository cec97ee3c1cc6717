//! What a disk may show after a power cut, told from the log of the shim.
//!
//! The rules are harsher than any one file system. Bytes that no fsync of their file has followed
//! may be absent, half there, zeros, or there. A name that was made, moved or removed without an
//! fsync of its folder since may or may not be so, each on its own and in any order; an fsync of
//! the file does not help its name. A rename happens entirely or not at all, and the fsync that
//! counts is that of the folder it leads to. Whatever was synced is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::reliability::Dice;
use crate::reliability::log::{Change, Fate, Image, Node, Reader, Step};

/// How many of the latest changes are lost, or kept, alone.
const RECENT: usize = 8;

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

impl Recording {
    /// Looks at the folder, lets `work` change it and write a log of this, and reads the log.
    pub fn of(root: &Path, work: impl FnOnce() -> Vec<u8>) -> Recording {
        let mut reader = Reader::of(root);
        let start = reader.now.clone();
        reader.read(&work());
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
