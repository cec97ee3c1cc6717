//! Promise 2 under a power cut: whatever was not synced may be lost, in any combination, and the
//! store is sound, has all that was reported, and goes on.
//!
//! Commands run once, with every change to the disk written down. From this the states are built
//! that a disk may show after a cut at any point (`reliability/disk.rs`), and each is tried.
#![allow(clippy::unwrap_used, missing_docs)]

mod kit;
mod reliability;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use kit::{Place, said};
use reliability::disk::{Recording, State};
use reliability::sample::{
    collects, copy, demand, difference, fill, full_check, has_bases, holds, remove, sound,
};
use reliability::{Dice, each, figure, in_memory, shim, times};

/// Weights that differ little from those of the other data sets.
const TUNED: &str = "three/weights.safetensors";

/// A command, and what it changes: `name` leads to a data set from then on, or to nothing.
struct Act {
    args: Vec<String>,
    name: Option<(&'static str, Option<&'static str>)>,
}

fn act(args: &[&str], name: Option<(&'static str, Option<&'static str>)>) -> Act {
    Act { args: args.iter().map(|arg| (*arg).to_owned()).collect(), name }
}

/// The names that lead somewhere after so many commands.
fn names(acts: &[Act], done: usize) -> BTreeMap<&'static str, &'static str> {
    let mut names = BTreeMap::new();
    for (name, data) in acts[..done.min(acts.len())].iter().filter_map(|act| act.name) {
        match data {
            Some(data) => names.insert(name, data),
            None => names.remove(name),
        };
    }
    names
}

/// Data sets that stay where they are, so that whatever remembers them by inode and time can.
fn data() -> Place {
    in_memory();
    let place = Place::empty();
    for (seed, name) in ["one", "two", "three"].iter().enumerate() {
        fill(&place.at(name), seed as u64, false);
    }
    // Older than any clock's step, so that a cache may rely on their times.
    std::thread::sleep(Duration::from_millis(1100));
    place
}

/// Runs commands in `disk` below `place`, and writes down what they change; lines that begin with
/// `without` are left out.
fn recording(place: &Place, acts: &[Act], without: Option<&str>) -> Recording {
    let disk = place.at("disk");
    let log = place.at("log");
    let recording = Recording::of(&disk, || {
        for act in acts {
            let mut command = place.command();
            command.current_dir(&disk).args(&act.args);
            shim::record(&mut command, &disk, &log);
            said(&mut command).succeeds();
            let mut text = fs::read(&log).unwrap_or_default();
            text.extend(b"done\n");
            fs::write(&log, text).unwrap();
        }
        let mut text = fs::read(&log).unwrap();
        if let Some(word) = without {
            let starts = |at: usize| at == 0 || text[at - 1] == b'\n';
            let found = |at: &usize| starts(*at) && text[*at..].starts_with(word.as_bytes());
            let places: Vec<usize> = (0..text.len()).filter(found).collect();
            assert!(places.len() > 3, "nothing is synced");
            for at in places.into_iter().rev() {
                let len = text[at..].iter().position(|b| *b == b'\n').unwrap() + 1;
                text.drain(at..at + len);
            }
        }
        text
    });
    // Nothing that changes the disk was missed: the log leads to what is there.
    recording.write_end(&place.at("replayed"));
    assert_eq!(difference(&disk, &place.at("replayed")), None);
    recording
}

/// Tries the states of a recording, on all cores: all of them, or `short` that lie evenly.
fn try_states(
    what: &str,
    recording: &Recording,
    short: u64,
    judge: impl Fn(&Place, &State, &str) + Sync,
) {
    let all = recording.states(times(1, 8), &mut Dice(1));
    let most = usize::try_from(times(short, u64::MAX)).unwrap();
    assert!(all.len() > 200, "only {} states: does the log say all?", all.len());
    let stride = all.len().div_ceil(most);
    let states: Vec<State> = all.iter().step_by(stride).cloned().collect();
    each(&states, |state| {
        let place = Place::empty();
        recording.write(state, &place.path());
        judge(&place, state, &recording.describe(state));
    });
    let (changes, tried, all) = (recording.len(), states.len(), all.len());
    figure(&format!("power cuts in {what}: {changes} changes, {tried} of {all} states tried"));
}

/// Names of a registry after a cut while the command after `done` ran: each as before or as after.
fn judge_names(place: &Place, folder: &str, acts: &[Act], done: usize, data: &Path, when: &str) {
    let (before, after) = (names(acts, done), names(acts, done + 1));
    for name in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let wanted = [before.get(name), after.get(name)];
        let copy = place.at(folder).join("copy");
        let said = place.lab_in(folder, ["get", name, "copy"]);
        if said.code == 3 && wanted.contains(&None) {
            continue;
        }
        demand(said.code == 0, when, &said);
        let right = wanted.iter().flatten().any(|set| difference(&data.join(set), &copy).is_none());
        assert!(right, "{when}: {name} is neither what it was nor what it was to be");
        remove(&copy);
    }
}

/// After the cut all data sets are added, known ones and new ones.
fn goes_on(place: &Place, data: &Path, when: &str) {
    let said = place.lab(["add", data.to_str().unwrap(), "--name", "again"]);
    demand(said.code == 0, when, &said);
    holds(place, ".", "again", data, when);
    sound(place, ".", when);
}

/// The life of a registry, from its making on.
#[test]
fn a_power_cut_loses_nothing_that_was_reported() {
    let data = data();
    let at = |name: &str| data.at(name).to_str().unwrap().to_owned();
    let mut acts = vec![
        act(&["init"], None),
        act(&["add", &at("one"), "--name", "a"], Some(("a", Some("one")))),
        act(&["add", &at("two"), "--name", "b"], Some(("b", Some("two")))),
        act(&["name", "c", "a"], Some(("c", Some("one")))),
        act(&["add", &at("three"), "--name", "a"], Some(("a", Some("three")))),
        act(&["add", &at("two")], None),
        act(&["name", "--delete", "b"], Some(("b", None))),
        act(&["status"], None),
    ];
    if has_bases() {
        let args = ["add", &at(TUNED), "--base", "c/weights.safetensors", "--name", "tuned"];
        acts.push(act(&args, Some(("tuned", Some(TUNED)))));
    }
    if collects() {
        // A pack of which a part stays.
        let all = data.path().to_str().unwrap().to_owned();
        acts.push(act(&["add", &all, "--name", "all"], Some(("all", Some("")))));
        acts.push(act(&["name", "d", "all/three"], Some(("d", Some("three")))));
        acts.push(act(&["name", "--delete", "all"], Some(("all", None))));
        acts.push(act(&["gc", "--grace", "0s", "--history", "0s"], None));
        acts.push(act(&["add", &at("two"), "--name", "b"], Some(("b", Some("two")))));
    }
    let place = Place::empty();
    fs::create_dir(place.at("disk")).unwrap();
    let recording = recording(&place, &acts, None);
    try_states("init, add, name and gc", &recording, 250, |place, state, when| {
        if state.done == 0 {
            // The making was cut off: it can be made again, or it is there.
            let again = place.lab(["init"]);
            demand(again.code == 0 || place.lab(["ls"]).code == 0, when, &again);
        }
        sound(place, ".", when);
        judge_names(place, ".", &acts, state.done, &data.path(), when);
        goes_on(place, &data.path(), when);
    });
}

/// Both ends of a push stand on disks that lose power.
#[test]
fn a_power_cut_during_a_push_loses_nothing_at_either_end() {
    let data = data();
    let at = |name: &str| data.at(name).to_str().unwrap().to_owned();
    let place = Place::empty();
    let disk = place.at("disk");
    fs::create_dir(&disk).unwrap();
    place.lab_in("disk", ["init"]).succeeds();
    for (name, set) in [("a", "one"), ("b", "two")] {
        place.lab_in("disk", ["add", &at(set), "--name", name]).succeeds();
    }
    let acts = [
        act(&["push", "./share", "a"], Some(("a", Some("one")))),
        act(&["push", "./share"], Some(("b", Some("two")))),
        act(&["name", "a", "b"], None),
        act(&["push", "./share"], Some(("a", Some("two")))),
    ];
    let recording = recording(&place, &acts, None);
    try_states("push", &recording, 150, |place, state, when| {
        sound(place, ".", when);
        holds(place, ".", "b", &data.at("two"), when);
        if state.done > 0 {
            let clone = place.lab(["clone", "./share", "--into", "clone"]);
            demand(clone.code == 0, when, &clone);
            judge_names(place, "clone", &acts, state.done, &data.path(), when);
        }
        // It was cut off within: pushing again ends it.
        let own = place.lab(["cat", "a/own.csv"]).out.into_bytes();
        let set = if own == fs::read(data.at("one/own.csv")).unwrap() { "one" } else { "two" };
        let push = place.lab(["push", "./share"]);
        demand(push.code == 0, when, &push);
        let clone = place.lab(["clone", "./share", "--into", "last"]);
        demand(clone.code == 0, when, &clone);
        holds(place, "last", "a", &data.at(set), when);
        holds(place, "last", "b", &data.at("two"), when);
        sound(place, "last", when);
    });
}

/// Were the model too kind, the two suites above would say nothing: it finds the mistakes that
/// programs make.
#[test]
fn the_model_finds_what_was_not_synced() {
    let shown = |log: &str| -> BTreeSet<Option<Vec<u8>>> {
        let place = Place::empty();
        let root = place.at("disk");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("target"), "old").unwrap();
        let log = log.replace("ROOT", root.to_str().unwrap());
        let recording = Recording::of(&root, || log.into_bytes());
        let states = recording.states(20, &mut Dice(3));
        let ended = states.iter().filter(|state| state.done == 1);
        ended
            .enumerate()
            .map(|(number, state)| {
                let folder = place.at(format!("state-{number}"));
                recording.write(state, &folder);
                fs::read(folder.join("target")).ok()
            })
            .collect()
    };
    let [old, new] = ["old", "newer"].map(|text| Some(text.as_bytes().to_vec()));
    let made = "create\t1\tROOT/temp\nwrite\t1\t0\t5\nnewer\n";
    let moved = "rename\tROOT/temp\tROOT/target\n";
    let right = format!("{made}sync\t1\n{moved}syncfolder\tROOT\ndone\n");
    assert_eq!(shown(&right), [new.clone()].into());
    let folder_forgotten = format!("{made}sync\t1\n{moved}done\n");
    assert_eq!(shown(&folder_forgotten), [old, new.clone()].into());
    let file_forgotten = format!("{made}{moved}syncfolder\tROOT\ndone\n");
    let bad = shown(&file_forgotten);
    for bytes in [b"".as_slice(), b"ne", &[0; 5]] {
        assert!(bad.contains(&Some(bytes.to_vec())), "{bytes:?} is not among {bad:?}");
    }
    let removed = "unlink\tROOT/target\nsyncfolder\tROOT\ndone\n";
    assert_eq!(shown(removed), [None].into());
    // A folder that is synced and whose own name is not.
    let lost = "mkdir\tROOT/in\nrename\tROOT/target\tROOT/in/target\nsyncfolder\tROOT/in\ndone\n";
    assert!(shown(lost).contains(&None));
}

/// Did `lab` not sync, the suites above would fail.
#[test]
fn a_store_without_syncs_is_found() {
    let data = data();
    for without in ["sync\t", "syncfolder\t"] {
        let one = data.at("one").to_str().unwrap().to_owned();
        let acts = [
            act(&["init"], None),
            act(&["add", &one, "--name", "a"], None),
            act(&["name", "b", "a"], None),
        ];
        let place = Place::empty();
        fs::create_dir(place.at("disk")).unwrap();
        let recording = recording(&place, &acts, Some(without));
        let states = recording.states(5, &mut Dice(4));
        let lost = states.iter().filter(|state| state.done >= 2).any(|state| {
            let place = Place::empty();
            recording.write(state, &place.path());
            place.lab(full_check()).code != 0 || place.lab(["get", "a"]).code != 0
        });
        assert!(lost, "without lines that begin with {without:?} nothing is lost");
    }
}

/// `copy` is what the other suites make their registries with; it has to be exact.
#[test]
fn a_copied_data_set_is_the_same() {
    let place = Place::empty();
    fill(&place.at("from"), 1, true);
    copy(&place.at("from"), &place.at("to"));
    assert_eq!(difference(&place.at("from"), &place.at("to")), None);
    fs::write(place.at("to/empty"), "x").unwrap();
    assert!(difference(&place.at("from"), &place.at("to")).unwrap().contains("'empty'"));
}
