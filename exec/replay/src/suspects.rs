//! What may be behind a difference, likeliest first, one sentence each.
//!
//! A suspect is a fact of the two machines or of the record that is known to change results; it is
//! not proof. Nothing is suspected that the record rules out: a tensor program reads no clock,
//! and threads whose number is recorded are not suspected.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use lab_process::{Beyond, ENTROPY, TIME};
use lab_schema::observed::{Listed, Observed};
use lab_schema::{Command, Completeness, Executor, Host, Recipe, Run};

/// Variables that fix the number of threads of numerical libraries.
pub(crate) const THREADS: [&str; 5] = [
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
];

/// Something that may be behind a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// Of which sort it is.
    pub sort: Sort,
    /// The suspicion in one sentence.
    pub sentence: String,
}

/// The sorts of suspects, in the order in which they are named if nothing else is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sort {
    /// It looked for what is in no record.
    Beyond,
    /// It gives another result each time.
    EachTime,
    /// The machine or the engine is another.
    Machine,
    /// Chance may enter: clock, entropy, the order of hashes.
    Chance,
    /// The record leaves something open.
    Record,
}

/// What differs between where a run was recorded and where it is repeated, and what in its record
/// leaves room for a difference. `sealed`: it was repeated in a box, which gives back the order of
/// listings.
pub fn suspects(
    recording: &Run,
    replaying: &Host,
    recipe: &Recipe,
    observed: Option<&Observed>,
    sealed: bool,
) -> Vec<Suspect> {
    let mut found = Vec::new();
    match recipe.executor() {
        Executor::Command(command) => {
            machine(&mut found, &recording.host, replaying, command, sealed);
            if let Some(observed) = observed.filter(|_| !sealed) {
                orders(&mut found, observed, command);
            }
            match observed {
                Some(observed) => drawn(&mut found, observed, command),
                None => unwatched(&mut found, command, recipe),
            }
            hashes(&mut found, command);
            open(&mut found, recording);
        }
        // The engine gives the same bits on every machine, and reads nothing but its inputs.
        Executor::Tensor(_) => found.push(suspect(
            Sort::Record,
            "a tensor program gives the same bits on every machine: either the recorded outputs \
             are not what it gave, or a processor or memory is faulty",
        )),
    }
    let (then, now) = (&recording.host.lab, &replaying.lab);
    if then != now {
        let sentence = format!("it was recorded by lab {then} and repeated by lab {now}");
        found.push(suspect(Sort::Record, sentence));
    }
    found.sort_by_key(|s| s.sort);
    found
}

/// What a command that was done again looked for beyond its record.
pub(crate) fn reached(beyond: &Beyond) -> Vec<Suspect> {
    let mut found = Vec::new();
    if !beyond.opened.is_empty() {
        let sentence = format!(
            "it opened {}, which was only looked at or listed when it was recorded: nobody kept the bytes",
            list(&beyond.opened)
        );
        found.push(suspect(Sort::Beyond, sentence));
    }
    if !beyond.missed.is_empty() {
        let sentence =
            format!("it looked for {}, of which the record says nothing", list(&beyond.missed));
        found.push(suspect(Sort::Beyond, sentence));
    }
    found
}

/// The first few paths; what was looked for in several folders, such as a program, once.
fn list(paths: &[PathBuf]) -> String {
    let mut names: Vec<(&OsStr, Vec<&Path>)> = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default();
        match names.iter_mut().find(|(known, _)| *known == name) {
            Some((_, places)) => places.push(path),
            None => names.push((name, vec![path])),
        }
    }
    let shown = names.iter().take(3).map(|(name, places)| match places[..] {
        [path] => path.to_string_lossy().escape_debug().to_string(),
        _ => format!("{} in {} folders", name.to_string_lossy().escape_debug(), places.len()),
    });
    let text = shown.collect::<Vec<_>>().join(", ");
    if names.len() > 3 { format!("{text} and {} more", names.len() - 3) } else { text }
}

fn suspect(sort: Sort, sentence: impl Into<String>) -> Suspect {
    Suspect { sort, sentence: sentence.into() }
}

fn machine(found: &mut Vec<Suspect>, then: &Host, now: &Host, command: &Command, sealed: bool) {
    hardware(found, then, now);
    let pinned = THREADS.iter().any(|name| command.variables.contains_key(*name));
    // In its box a command has, or is told, the recorded number.
    let can_tell = then.cpus <= now.cpus || lab_process::can_watch_in_box().is_ok();
    let told = sealed && command.place.is_some() && can_tell;
    if then.cpus != now.cpus && !pinned && !told {
        found.push(suspect(
            Sort::Machine,
            format!(
                "it was recorded on {} and repeated on {}, and no variable fixes the number of \
                 threads: sums that are split over threads are added in another order",
                processors(then.cpus),
                processors(now.cpus)
            ),
        ));
    }
    if (&then.os, &then.kernel) != (&now.os, &now.kernel) {
        found.push(suspect(
            Sort::Machine,
            format!(
                "the system was {} {} and is {} {}; its libraries may be others too",
                then.os, then.kernel, now.os, now.kernel
            ),
        ));
    }
}

fn hardware(found: &mut Vec<Suspect>, then: &Host, now: &Host) {
    if then.arch != now.arch {
        found.push(suspect(
            Sort::Machine,
            format!("the architecture was {} and is {}", then.arch, now.arch),
        ));
        return;
    }
    let only = |a: &Host, b: &Host| -> Vec<String> {
        a.cpu_features.iter().filter(|f| !b.cpu_features.contains(f)).cloned().collect()
    };
    let (lost, gained) = (only(then, now), only(now, then));
    if !lost.is_empty() || !gained.is_empty() {
        let part = |verb: &str, features: &[String]| match features {
            [] => String::new(),
            some => format!(" {verb} {}", some.join(", ")),
        };
        found.push(suspect(
            Sort::Machine,
            format!(
                "the processor{}{}: numerical libraries choose their kernels by that",
                part("lacks", &lost),
                part(if lost.is_empty() { "also has" } else { "and also has" }, &gained)
            ),
        ));
    } else if then.cpu != now.cpu {
        found.push(suspect(
            Sort::Machine,
            format!("the processor was {} and is {}", known(&then.cpu), known(&now.cpu)),
        ));
    }
}

/// What a watched command took from chance, unless its level pinned that. The clock is read in ways
/// that nobody sees.
fn drawn(found: &mut Vec<Suspect>, observed: &Observed, command: &Command) {
    let pinned = |name| command.variables.contains_key(name);
    let program = |path: &[u8]| {
        let path = String::from_utf8_lossy(path);
        path.rsplit('/').next().unwrap_or(&path).escape_debug().to_string()
    };
    let mut all: Vec<(&Vec<u8>, &u64)> = observed.entropy.iter().collect();
    all.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let names: Vec<String> = all.iter().take(3).map(|(path, _)| program(path)).collect();
    if !names.is_empty() && !pinned(ENTROPY) {
        let sentence = format!(
            "random bytes were taken from the system (by {}): seed it, or pin them with \
             `lab run --level 2`",
            names.join(", ")
        );
        found.push(suspect(Sort::Chance, sentence));
    }
    if !pinned(TIME) {
        let clock = "it may read the clock: reading it cannot be seen; `lab run --level 3` pins it";
        found.push(suspect(Sort::Chance, clock));
    }
}

/// Folders of data that were listed, in an order that the file system chooses. Those of
/// installations are listed by every interpreter, to find a name in.
fn orders(found: &mut Vec<Suspect>, observed: &Observed, command: &Command) {
    let Some(place) = &command.place else { return };
    let below = |path: &[u8]| {
        let inside = path.strip_prefix(place.project.trim_end_matches('/').as_bytes())?;
        let inside = match inside.strip_prefix(b"/") {
            Some(inside) => inside,
            None if inside.is_empty() => b".",
            None => return None,
        };
        Some(String::from_utf8_lossy(inside).escape_debug().to_string())
    };
    // Where modules lie an interpreter looks for their names.
    let is_modules = |names: &[Listed]| names.iter().any(|l| l.name.ends_with(b".py"));
    let counts = |names: &[Listed]| names.len() > 1 && !is_modules(names);
    let listed = observed.listed.iter().filter(|(_, names)| counts(names));
    let folders: Vec<String> = listed.filter_map(|(path, _)| below(path)).take(4).collect();
    let more = if folders.len() > 3 { " and others" } else { "" };
    if !folders.is_empty() {
        let folders = folders.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
        let sentence = format!(
            "it listed {folders}{more}, and outside of a box a listing has the order that this file \
             system gives, not the recorded one"
        );
        found.push(suspect(Sort::Chance, sentence));
    }
}

fn unwatched(found: &mut Vec<Suspect>, command: &Command, recipe: &Recipe) {
    let seeded = recipe.seed().is_some() || command.argv.iter().any(|a| a.contains("seed"));
    let entropy = if seeded {
        "nobody watched whether it reads the clock or the system's entropy"
    } else {
        "no seed is recorded, and nobody watched whether it reads the clock or the system's entropy"
    };
    found.push(suspect(Sort::Chance, entropy));
}

fn hashes(found: &mut Vec<Suspect>, command: &Command) {
    let program = command.argv.first().map_or("", |p| p.rsplit('/').next().unwrap_or(p));
    let fixed = command.variables.get("PYTHONHASHSEED").is_some_and(|v| v != "random");
    if program.starts_with("python") && !fixed {
        found.push(suspect(
            Sort::Chance,
            "PYTHONHASHSEED is not set, so Python's sets of text have another order each time",
        ));
    }
}

fn open(found: &mut Vec<Suspect>, recording: &Run) {
    match &recording.outcome.completeness {
        Completeness::Complete => {}
        Completeness::Declared => found.push(suspect(
            Sort::Record,
            "the record names what was declared; programs, libraries and other files that it \
             read may have changed since",
        )),
        Completeness::Incomplete(why) => {
            found.push(suspect(Sort::Record, format!("the record is incomplete: {why}")));
        }
    }
    let names = &recording.outcome.unrecorded_variables;
    if !names.is_empty() {
        let shown: Vec<&str> = names.iter().take(5).map(String::as_str).collect();
        let more = names.len() - shown.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        found.push(suspect(
            Sort::Record,
            format!("it could see variables without recorded values: {}{more}", shown.join(", ")),
        ));
    }
}

fn processors(n: u32) -> String {
    if n == 1 { "1 processor".to_owned() } else { format!("{n} processors") }
}

fn known(cpu: &str) -> &str {
    if cpu.is_empty() { "unknown" } else { cpu }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lab_schema::recipe::Parts;
    use lab_schema::{Limits, Outcome, RecipeId, Status};

    use super::*;

    fn here() -> Host {
        Host {
            os: "linux".into(),
            kernel: "6".into(),
            arch: "x86_64".into(),
            cpu: "A".into(),
            cpu_features: vec!["avx2".into()],
            cpus: 2,
            memory_bytes: 0,
            lab: "0.1.0".into(),
        }
    }

    fn python(variables: &[(&str, &str)]) -> Recipe {
        let variables = variables.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        let argv = vec!["/usr/bin/python3".into(), "a.py".into()];
        Recipe::new(Parts {
            executor: Executor::Command(Command { argv, directory: None, variables, place: None }),
            inputs: BTreeMap::new(),
            outside: BTreeMap::new(),
            code: None,
            environment: None,
            params: BTreeMap::new(),
            seed: None,
            outputs: BTreeMap::new(),
            limits: Limits::default(),
        })
        .unwrap()
    }

    fn on(host: Host, completeness: Completeness, recipe: &Recipe) -> Vec<Suspect> {
        watched(host, completeness, recipe, None, false)
    }

    fn watched(
        host: Host,
        completeness: Completeness,
        recipe: &Recipe,
        observed: Option<&Observed>,
        sealed: bool,
    ) -> Vec<Suspect> {
        let outcome = Outcome {
            status: Status::Exited(0),
            outputs: BTreeMap::new(),
            metrics: BTreeMap::new(),
            logs: BTreeMap::new(),
            completeness,
            params: BTreeMap::new(),
            observed: None,
            unrecorded_variables: vec!["HOME".into()],
            started_ms: 0,
            duration_ms: 0,
            peak_memory_bytes: None,
        };
        let recipe_id = RecipeId::from_digest(lab_schema::BlobId::of(b"").digest());
        let run = Run {
            recipe: recipe_id,
            outcome,
            host,
            git: None,
            parent: None,
            makers: BTreeMap::new(),
            who: String::new(),
        };
        suspects(&run, &here(), recipe, observed, sealed)
    }

    fn text(found: &[Suspect]) -> String {
        found.iter().map(|s| s.sentence.as_str()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn another_machine_comes_first_and_is_described() {
        let host = Host { cpu_features: vec!["avx512f".into()], cpus: 8, ..here() };
        let found = on(host.clone(), Completeness::Declared, &python(&[]));
        assert_eq!(
            found.iter().map(|s| s.sort).collect::<Vec<_>>(),
            [Sort::Machine, Sort::Machine, Sort::Chance, Sort::Chance, Sort::Record, Sort::Record]
        );
        let all = text(&found);
        assert!(all.contains("the processor lacks avx512f and also has avx2"), "{all}");
        assert!(all.contains("8 processors and repeated on 2 processors"), "{all}");
        assert!(all.contains("PYTHONHASHSEED") && all.contains("HOME"), "{all}");
    }

    #[test]
    fn what_was_watched_is_named() {
        let mut observed = Observed::default();
        observed.entropy.insert(b"/usr/bin/shuf".to_vec(), 2);
        observed.entropy.insert(b"/usr/bin/python3".to_vec(), 7);
        let mut found = Vec::new();
        let command = |variables: &[(&str, &str)]| match python(variables).executor() {
            Executor::Command(command) => command.clone(),
            Executor::Tensor(_) => unreachable!(),
        };
        drawn(&mut found, &observed, &command(&[]));
        let drew = "random bytes were taken from the system (by python3, shuf): seed it";
        assert!(found[0].sentence.starts_with(drew), "{}", text(&found));
        assert!(found[1].sentence.starts_with("it may read the clock"), "{}", text(&found));
        assert!(!text(&found).contains("nobody watched"));
        found.clear();
        drawn(&mut found, &Observed::default(), &command(&[]));
        assert!(!text(&found).contains("random bytes"));
        found.clear();
        drawn(&mut found, &observed, &command(&[(ENTROPY, "0")]));
        assert!(text(&found).contains("clock") && !text(&found).contains("random bytes"));
        found.clear();
        drawn(&mut found, &observed, &command(&[(ENTROPY, "0"), (TIME, "5")]));
        assert_eq!(found, []);
    }

    #[test]
    fn an_order_that_could_not_be_given_is_suspected() {
        use lab_schema::Place;
        use lab_schema::observed::ListedKind;
        let place = Place { project: "/p".into(), user: 1, group: 1, umask: 0, cpus: 2 };
        let mut parts = python(&[("PYTHONHASHSEED", "0")]).to_parts();
        let Executor::Command(command) = &mut parts.executor else { unreachable!() };
        command.place = Some(place);
        let recipe = Recipe::new(parts).unwrap();
        let mut observed = Observed::default();
        let listed = |name: &str| Listed { name: name.into(), kind: ListedKind::File };
        let two = || vec![listed("x"), listed("y")];
        for folder in ["/p/data\x1b", "/usr/lib", "/pile"] {
            observed.listed.insert(folder.into(), two());
        }
        observed.listed.insert(b"/p/one".to_vec(), vec![listed("x")]);
        observed.listed.insert(b"/p/lib".to_vec(), vec![listed("m.py"), listed("n.py")]);
        let said = |sealed| {
            text(&watched(here(), Completeness::Complete, &recipe, Some(&observed), sealed))
        };
        assert!(said(false).contains("it listed data\\u{1b}, and"), "{}", said(false));
        assert!(!said(true).contains("listed"), "{}", said(true));
    }

    #[test]
    fn what_is_recorded_is_not_suspected() {
        let recipe = python(&[("OMP_NUM_THREADS", "1"), ("PYTHONHASHSEED", "0")]);
        let all = text(&on(Host { cpus: 8, ..here() }, Completeness::Complete, &recipe));
        assert!(!all.contains("threads") && !all.contains("PYTHONHASHSEED"), "{all}");
        assert!(!all.contains("may have changed since"), "{all}");
    }
}
