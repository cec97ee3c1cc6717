//! Which process a thread belongs to, and its place in the tree of processes: the same each time that
//! the same programs run, unlike its number.

use std::collections::HashMap;
use std::fs;

use crate::chance::Key;

/// A process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) key: Key,
    /// How many words of four bytes it has drawn.
    pub(crate) drawn: u64,
    /// How many devices of random bytes it has opened.
    pub(crate) devices: u64,
    /// By how much its time of day has gone on, in nanoseconds.
    pub(crate) passed: u64,
    /// How often it has read it.
    pub(crate) reads: u64,
    /// Its image is new, and was not changed yet.
    pub(crate) fresh: bool,
    /// How many children it has had.
    children: u64,
    /// Those whose time has not come back to it.
    young: Vec<i32>,
}

/// The processes that are watched.
#[derive(Debug)]
pub(crate) struct Family {
    seed: u64,
    processes: HashMap<i32, Process>,
    /// Of which process a thread is. Numbers are used again, so this is forgotten when a task is made.
    threads: HashMap<i32, i32>,
    /// How many were met whose parent was not: the first one, and those whose parent ended before.
    strangers: u64,
}

impl Family {
    pub(crate) fn new(seed: u64) -> Family {
        let (processes, threads) = (HashMap::new(), HashMap::new());
        Family { seed, processes, threads, strangers: 0 }
    }

    /// The process of a thread; none if it has ended.
    pub(crate) fn of(&mut self, thread: i32) -> Option<(i32, &mut Process)> {
        let process = match self.threads.get(&thread) {
            Some(process) => *process,
            None => {
                let [process, parent] = status(thread, ["Tgid:", "PPid:"])?;
                self.threads.insert(thread, process);
                if !self.processes.contains_key(&process) {
                    self.meet(process, parent);
                }
                process
            }
        };
        self.processes.get_mut(&process).map(|known| (process, known))
    }

    /// A thread is about to make a task: a process, or one more thread.
    pub(crate) fn grows(&mut self, thread: i32, is_process: bool) {
        if is_process && let Some((parent, _)) = self.of(thread) {
            // Those that it has made and that have not been met keep their place.
            for child in children(parent) {
                if !self.processes.contains_key(&child) {
                    self.meet(child, parent);
                }
            }
            if let Some(parent) = self.processes.get_mut(&parent) {
                parent.children += 1;
            }
        }
        self.threads.clear();
    }

    /// A process is met for the first time. Its time goes on from that of its parent.
    fn meet(&mut self, process: i32, parent: i32) {
        self.settle(parent);
        let mut met = Process::new(self.key(parent));
        if let Some(parent) = self.processes.get_mut(&parent) {
            (met.passed, met.reads) = (parent.passed, parent.reads);
            parent.young.push(process);
        }
        self.processes.insert(process, met);
    }

    /// The time of children that have ended has passed for their parent as well.
    pub(crate) fn settle(&mut self, process: i32) {
        let Some(known) = self.processes.get_mut(&process) else { return };
        let (ended, young) = std::mem::take(&mut known.young).into_iter().partition(has_ended);
        known.young = young;
        let ended: Vec<i32> = ended;
        for child in ended {
            self.settle(child);
            let Some((passed, reads)) = self.processes.get(&child).map(|c| (c.passed, c.reads))
            else {
                continue;
            };
            if let Some(known) = self.processes.get_mut(&process) {
                known.passed = known.passed.max(passed);
                known.reads = known.reads.max(reads);
            }
        }
    }

    /// The key of a child that is met for the first time: it is the one that was made last.
    fn key(&mut self, parent: i32) -> Key {
        match self.processes.get(&parent) {
            Some(parent) => parent.key.child(parent.children),
            None => {
                self.strangers += 1;
                Key::new(self.seed).child(u64::MAX / 2 + self.strangers)
            }
        }
    }
}

impl Process {
    fn new(key: Key) -> Process {
        let young = Vec::new();
        Process { key, drawn: 0, devices: 0, passed: 0, reads: 0, fresh: false, children: 0, young }
    }
}

fn has_ended(process: &i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    matches!(state, None | Some('Z' | 'X'))
}

/// Numbers from the status of a thread.
fn status<const N: usize>(thread: i32, names: [&str; N]) -> Option<[i32; N]> {
    let text = fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    let number = |name| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse().ok()
    };
    let mut all = [0; N];
    for (value, name) in all.iter_mut().zip(names) {
        *value = number(name)?;
    }
    Some(all)
}

/// The children that a process has, oldest first; none where the kernel does not tell.
fn children(process: i32) -> Vec<i32> {
    let mut all = Vec::new();
    let Ok(tasks) = fs::read_dir(format!("/proc/{process}/task")) else { return all };
    for task in tasks.flatten() {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        all.extend(text.split_whitespace().filter_map(|n| n.parse::<i32>().ok()));
    }
    all
}
