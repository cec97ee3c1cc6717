//! Promise 2 when calls fail and processes die: at each call that writes, in each command that does.
//!
//! A shim before the C library (`reliability/shim.c`) lets the n-th call that changes the disk fail,
//! or kills the process there; this is tried for every n. Then the store is sound, has what it had,
//! shows of the new either all or nothing, and the same command goes through.
#![allow(clippy::unwrap_used, missing_docs)]

mod kit;
mod reliability;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kit::{Place, files, said};
use reliability::sample::{
    collects, copy, demand, difference, fill, full_check, has_bases, holds, sound, wrong,
};
use reliability::shim::{Fault, Hits, strike};
use reliability::{Dice, each, figure, in_memory, times};

/// A command that writes, in a registry that has `old`, data without a name, and remotes.
struct Work {
    name: &'static str,
    args: Vec<String>,
    /// How few calls that write there can be; fewer, and the shim misses some.
    least: u64,
    /// Demands that what the command does was done entirely, or (before it has said so) not at all.
    judge: fn(place: &Place, data: &Path, done: bool, when: &str),
}

/// What is called `old` in the registry.
const OLD: &str = "both/old";

/// Weights that differ little from those of the other data sets.
const WEIGHTS: &str = "new/weights.safetensors";

/// Registry and data from which each attempt starts anew.
struct Start {
    registry: Place,
    data: Place,
}

impl Start {
    fn new() -> Start {
        in_memory();
        let data = Place::empty();
        for (seed, name) in ["both/old", "both/gone", "new", "theirs"].iter().enumerate() {
            fill(&data.at(name), seed as u64, *name == "new");
        }
        let colleague = Place::registry();
        let theirs = data.at("theirs").to_str().unwrap().to_owned();
        colleague.lab(["add", &theirs, "--name", "theirs"]).succeeds();
        colleague.lab(["push", "./share"]).succeeds();
        let registry = Place::registry();
        copy(&colleague.at("share"), &registry.at("theirs"));
        let at = |name: &str| data.at(name).to_str().unwrap().to_owned();
        // One pack holds both, and half of it is there for nothing in the end.
        registry.lab(["add", &at("both"), "--name", "both"]).succeeds();
        registry.lab(["name", "old", "both/old"]).succeeds();
        registry.lab(["push", "./share", "old"]).succeeds();
        registry.lab(["name", "--delete", "both"]).succeeds();
        let script = "echo made > made";
        registry.lab(["run", "-o", "made", "--", "sh", "-c", script]).succeeds();
        for file in files(&registry.at(".lab"), &[".db", ".db-journal", ".db-wal", ".db-shm"]) {
            fs::remove_file(file).unwrap();
        }
        Start { registry, data }
    }

    fn place(&self) -> Place {
        let place = Place::empty();
        copy(&self.registry.path(), &place.path());
        place
    }

    fn works(&self) -> Vec<Work> {
        let new = self.data.at("new").to_str().unwrap().to_owned();
        let args = |args: &[&str]| args.iter().map(|arg| (*arg).to_owned()).collect();
        let mut works = vec![
            Work { name: "init", args: args(&["init", "fresh"]), least: 15, judge: made },
            Work {
                name: "add",
                args: args(&["add", &new, "--name", "new"]),
                least: 15,
                judge: added,
            },
            Work { name: "get", args: args(&["get", "old", "copy"]), least: 15, judge: got },
            Work { name: "name", args: args(&["name", "new", "old"]), least: 5, judge: named },
            Work { name: "push", args: args(&["push", "./full"]), least: 20, judge: pushed },
            Work { name: "pull", args: args(&["pull", "./theirs"]), least: 10, judge: pulled },
            // It brings the index of the lineage up to date.
            Work { name: "status", args: args(&["status"]), least: 1, judge: |_, _, _, _| {} },
        ];
        if has_bases() {
            let weights = self.data.at(WEIGHTS).to_str().unwrap().to_owned();
            let base = ["--base", "old/weights.safetensors"];
            let tune = args(&["add", &weights, base[0], base[1], "--name", "tuned"]);
            works.push(Work { name: "add --base", args: tune, least: 15, judge: tuned });
        }
        if collects() {
            let collect = args(&["gc", "--grace", "0s", "--history", "0s"]);
            works.push(Work { name: "gc", args: collect, least: 3, judge: |_, _, _, _| {} });
        }
        works
    }

    fn work(&self, name: &str) -> Option<Work> {
        self.works().into_iter().find(|work| work.name == name)
    }

    /// Demands what holds at any time, then that the command goes through, and what holds then.
    fn judge(&self, work: &Work, place: &Place, done: bool, when: &str) {
        sound(place, ".", when);
        (work.judge)(place, &self.data.path(), done, when);
        let again = place.lab(&work.args);
        demand(again.code == 0, &format!("{when}, and once more"), &again);
        (work.judge)(place, &self.data.path(), true, when);
        holds(place, ".", "old", &self.data.at(OLD), when);
        sound(place, ".", when);
    }
}

fn made(place: &Place, _: &Path, done: bool, when: &str) {
    if done {
        sound(place, "fresh", when);
    }
}

fn added(place: &Place, data: &Path, done: bool, when: &str) {
    let shown = place.lab(["show", "new"]);
    demand(shown.code == 0 || !done && shown.code == 3, when, &shown);
    if shown.code == 0 {
        holds(place, ".", "new", &data.join("new"), when);
    }
}

fn tuned(place: &Place, data: &Path, done: bool, when: &str) {
    let shown = place.lab(["show", "tuned"]);
    demand(shown.code == 0 || !done && shown.code == 3, when, &shown);
    if shown.code == 0 {
        holds(place, ".", "tuned", &data.join(WEIGHTS), when);
    }
}

fn got(place: &Place, data: &Path, done: bool, when: &str) {
    let (wanted, copy) = (data.join(OLD), place.at("copy"));
    let found = if done { difference(&wanted, &copy) } else { wrong(&wanted, &copy) };
    assert!(found.is_none() || !done && !copy.exists(), "{when}: {}", found.unwrap());
}

fn named(place: &Place, data: &Path, done: bool, when: &str) {
    let shown = place.lab(["show", "new"]);
    demand(shown.code == 0 || !done && shown.code == 3, when, &shown);
    if shown.code == 0 {
        holds(place, ".", "new", &data.join(OLD), when);
    }
}

fn pushed(place: &Place, data: &Path, done: bool, when: &str) {
    if done {
        let clone = place.lab(["clone", "./full", "--into", "clone"]);
        demand(clone.code == 0, when, &clone);
        holds(place, "clone", "old", &data.join(OLD), when);
        sound(place, "clone", when);
        fs::remove_dir_all(place.at("clone")).unwrap();
    }
}

fn pulled(place: &Place, data: &Path, done: bool, when: &str) {
    let shown = place.lab(["show", "theirs"]);
    demand(shown.code == 0 || !done && shown.code == 3, when, &shown);
    if shown.code == 0 {
        holds(place, ".", "theirs", &data.join("theirs"), when);
    }
}

/// Tries a fault at every call of a command.
fn everywhere(start: &Start, work: &Work, fault: Fault) -> Hits {
    let (mut hits, mut spared) = (Hits::default(), BTreeMap::new());
    let mut number = 0;
    loop {
        // The short form leaves out most of the many that write the index.
        number += if number < 40 { 1 } else { times(4, 1) };
        let place = start.place();
        let (root, hit) = (place.path(), place.at("hit"));
        let mut command = place.command();
        command.args(&work.args);
        strike(&mut command, &root, fault, number, &hit);
        let said = said(&mut command);
        let Some(call) = hits.take(&hit) else {
            // It ended before its n-th call: all were tried.
            demand(said.code == 0, "nothing was struck", &said);
            if !spared.is_empty() {
                figure(&format!(
                    "{}, {fault:?}: ended well in spite of it at {spared:?}",
                    work.name
                ));
            }
            return hits;
        };
        let when = format!("{} with {fault:?} at call {number}, {call}", work.name);
        match fault {
            // A signal leaves no exit code.
            _ if fault.kills() => demand(said.code == -1, &when, &said),
            // No error at all: the rest has to be written.
            Fault::Short => demand(said.code == 0, &when, &said),
            _ => {
                let told = said.code == 5 && said.err.contains("error: ");
                demand(said.code == 0 || told, &when, &said);
            }
        }
        if said.code == 0 && fault != Fault::Short {
            // What the call was for could be done without.
            let file = call.rsplit('/').next().unwrap().to_owned();
            *spared.entry(file).or_insert(0) += 1;
        }
        start.judge(work, &place, said.code == 0, &when);
        assert!(number < 3000, "{}: the calls do not end", work.name);
    }
}

fn every_call(name: &str, faults: &[Fault]) {
    let start = Start::new();
    let Some(work) = start.work(name) else { return };
    for fault in faults {
        let hits = everywhere(&start, &work, *fault);
        figure(&format!("{name}, {fault:?} at every call: {hits}"));
        let writes_only = matches!(fault, Fault::Short | Fault::KillHalfway);
        let least = if writes_only { work.least.min(1) } else { work.least };
        assert!(
            hits.total() >= least,
            "{name}: only {hits} for {fault:?}: what does the shim miss?"
        );
    }
}

const ERRORS: [Fault; 3] = [Fault::InputOutput, Fault::NoSpace, Fault::Short];
const KILLS: [Fault; 2] = [Fault::KillAfter, Fault::KillHalfway];

#[test]
fn an_error_at_every_call_of_add() {
    every_call("add", &ERRORS);
    every_call("add --base", &ERRORS);
}

#[test]
fn an_error_at_every_call_of_get() {
    every_call("get", &ERRORS);
}

#[test]
fn an_error_at_every_call_of_init_name_pull_and_status() {
    every_call("init", &ERRORS);
    every_call("name", &ERRORS);
    every_call("pull", &ERRORS);
    every_call("status", &ERRORS);
}

#[test]
fn an_error_at_every_call_of_push() {
    every_call("push", &ERRORS);
}

#[test]
fn an_error_at_every_call_of_gc() {
    every_call("gc", &ERRORS);
}

#[test]
fn a_kill_at_every_call_of_add() {
    every_call("add", &KILLS);
    every_call("add --base", &KILLS);
}

#[test]
fn a_kill_at_every_call_of_get() {
    every_call("get", &KILLS);
}

#[test]
fn a_kill_at_every_call_of_init_name_pull_and_status() {
    every_call("init", &KILLS);
    every_call("name", &KILLS);
    every_call("pull", &KILLS);
    every_call("status", &KILLS);
}

#[test]
fn a_kill_at_every_call_of_push() {
    every_call("push", &KILLS);
}

#[test]
fn a_kill_at_every_call_of_gc() {
    every_call("gc", &KILLS);
}

/// A disk that says that it wrote, and did not: nobody can prevent this loss. It is seen, and what is
/// read is right or refused.
#[test]
fn a_write_that_was_only_reported_is_found() {
    let start = Start::new();
    let work = start.work("add").unwrap();
    let (mut hits, mut found) = (Hits::default(), 0);
    for number in 1.. {
        let place = start.place();
        let hit = place.at("hit");
        let mut command = place.command();
        command.args(&work.args);
        strike(&mut command, &place.path(), Fault::Lie, number, &hit);
        let added = said(&mut command);
        let Some(call) = hits.take(&hit) else { break };
        let when = format!("a lie at call {number}, {call}");
        demand([0, 1, 5].contains(&added.code), &when, &added);
        let check = place.lab(full_check());
        let got = place.lab(["get", "new", "copy"]);
        let wrong =
            place.at("copy").exists().then(|| wrong(&start.data.at("new"), &place.at("copy")));
        assert_eq!(wrong.flatten(), None, "{when}");
        if added.code == 0 && got.code != 0 {
            demand(check.code == 1, &when, &check);
        }
        found += u64::from(check.code == 1);
        if check.code == 0 && added.code == 0 {
            holds(&place, ".", "new", &start.data.at("new"), &when);
        }
        // What was there before is not touched by it.
        holds(&place, ".", "old", &start.data.at(OLD), &when);
    }
    figure(&format!("add, half of a write silently lost: {hits}, found by check {found} times"));
    assert!(found > 1, "{found} lies were found");
}

/// SIGKILL from outside, at times that are spread over as long as the command takes.
#[test]
fn a_kill_at_any_moment() {
    let start = Start::new();
    for work in start.works() {
        let mut took: Vec<Duration> = (0..9)
            .map(|_| {
                let place = start.place();
                let before = Instant::now();
                place.lab(&work.args).succeeds();
                before.elapsed()
            })
            .collect();
        took.sort();
        let whole = took[0];
        let (rounds, mut dice, killed) = (times(15, 1000), Dice(5), AtomicU64::new(0));
        // Some come late, since no run takes as long as the other.
        let most = whole.as_nanos() as u64 * 5 / 4;
        let delays: Vec<Duration> =
            (0..rounds).map(|_| Duration::from_nanos(dice.below(most))).collect();
        each(&delays, |delay| {
            let place = start.place();
            let mut command = place.command();
            command.args(&work.args).stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = command.spawn().unwrap();
            std::thread::sleep(*delay);
            child.kill().unwrap();
            let done = child.wait().unwrap().success();
            killed.fetch_add(u64::from(!done), Ordering::Relaxed);
            start.judge(&work, &place, done, &format!("{} killed after {delay:?}", work.name));
        });
        let killed = killed.into_inner();
        figure(&format!(
            "{}, SIGKILL at {rounds} random times: {killed} before its end",
            work.name
        ));
        assert!(killed > 0, "{} was never killed", work.name);
    }
}
