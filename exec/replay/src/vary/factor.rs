//! What can be changed around a recorded command, one thing at a time.

use std::collections::BTreeMap;

use lab_process::{ENTROPY, HOST_NAME, TIME};
use lab_schema::observed::Observed;
use lab_schema::recipe::Parts;
use lab_schema::{Command, Executor, Recipe, Slot};

/// Something that results can depend on though nobody means them to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Factor {
    /// The seed of Python's hashes, and so the order of its sets.
    HashSeed,
    /// The order in which folders list their names.
    Listing,
    /// How many threads numerical libraries use.
    Threads,
    /// How many processors there are.
    Processors,
    /// The time zone.
    TimeZone,
    /// The locale.
    Locale,
    /// The name of the host.
    HostName,
    /// Who runs it.
    User,
    /// Where the home folder is.
    Home,
    /// Where the project lies.
    Path,
    /// Which instructions numerical libraries use.
    Instructions,
    /// Whether addresses of memory are drawn at random.
    Addresses,
    /// Which permissions new files get.
    Umask,
    /// The random bytes that the system gives.
    Entropy,
    /// The time of day.
    Time,
}

impl Factor {
    /// All of them, in the order in which they are tried.
    pub const ALL: [Factor; 15] = [
        Factor::HashSeed,
        Factor::Listing,
        Factor::Threads,
        Factor::Processors,
        Factor::Instructions,
        Factor::TimeZone,
        Factor::Locale,
        Factor::HostName,
        Factor::User,
        Factor::Home,
        Factor::Path,
        Factor::Addresses,
        Factor::Umask,
        Factor::Entropy,
        Factor::Time,
    ];

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Factor::HashSeed => "hash-seed",
            Factor::Listing => "listing",
            Factor::Threads => "threads",
            Factor::Processors => "processors",
            Factor::TimeZone => "time-zone",
            Factor::Locale => "locale",
            Factor::HostName => "host-name",
            Factor::User => "user",
            Factor::Home => "home",
            Factor::Path => "path",
            Factor::Instructions => "instructions",
            Factor::Addresses => "addresses",
            Factor::Umask => "umask",
            Factor::Entropy => "entropy",
            Factor::Time => "time",
        }
    }

    /// The factor of this name.
    pub fn named(word: &str) -> Option<Factor> {
        Factor::ALL.into_iter().find(|factor| factor.word() == word)
    }
}

/// A record with one thing changed.
pub(crate) struct Changed {
    pub(crate) recipe: Recipe,
    pub(crate) observed: Observed,
    pub(crate) host_name: &'static str,
    /// Whether other files are found, or the same ones elsewhere.
    pub(crate) moves: bool,
    /// What was changed, in a few words.
    pub(crate) how: String,
}

/// Variables by which libraries learn how many threads to start.
const THREADS: [&str; 5] = [
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
];

/// Switches with which the usual libraries keep to AVX2, as if the processor had no more; and those
/// with which they keep to what every x86-64 has.
const AVX2: [(&str, &str); 4] = [
    ("ATEN_CPU_CAPABILITY", "avx2"),
    ("MKL_CBWR", "AVX2,STRICT"),
    ("ONEDNN_MAX_CPU_ISA", "AVX2"),
    ("OPENBLAS_CORETYPE", "Haswell"),
];
const BASE: [(&str, &str); 4] = [
    ("ATEN_CPU_CAPABILITY", "default"),
    ("MKL_CBWR", "COMPATIBLE"),
    ("ONEDNN_MAX_CPU_ISA", "SSE41"),
    ("OPENBLAS_CORETYPE", "Nehalem"),
];

/// Two times of day, in seconds since 1970 and in words: other years, months, days of the week and
/// hours.
const EARLY: (&str, &str) = ("981173106", "2001-02-03 04:05:06");
const LATE: (&str, &str) = ("1955488327", "2031-12-20 01:52:07");

/// The variable of reproducible-builds.org.
const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// A record with chance pinned, at a time of day in seconds since 1970.
pub(crate) fn pinned(recipe: &Recipe, seconds: u64) -> Option<Recipe> {
    let mut parts = recipe.to_parts();
    let Executor::Command(command) = &mut parts.executor else { return None };
    command.variables.entry(ENTROPY.to_owned()).or_insert_with(|| "0".to_owned());
    command.variables.entry(TIME.to_owned()).or_insert_with(|| seconds.to_string());
    Recipe::new(parts).ok()
}

/// The record with a factor changed; or why that cannot be done.
pub(crate) fn change(
    factor: Factor,
    recipe: &Recipe,
    observed: &Observed,
) -> Result<Changed, String> {
    let mut parts = recipe.to_parts();
    let Executor::Command(command) = &mut parts.executor else {
        return Err("it is no command".to_owned());
    };
    let mut observed = observed.clone();
    let mut host_name = HOST_NAME;
    let how = match factor {
        Factor::HashSeed => {
            let then = command.variables.get("PYTHONHASHSEED").cloned();
            let now = if then.as_deref() == Some("1") { "2" } else { "1" };
            set(command, "PYTHONHASHSEED", now)
        }
        Factor::Listing => reverse(&mut observed)?,
        Factor::Threads => {
            let then = command.variables.get(THREADS[0]).map(String::as_str);
            let now = if then == Some("1") { "2" } else { "1" };
            for name in THREADS {
                set(command, name, now);
            }
            format!("OMP_NUM_THREADS and the like: {} → {now}", then_text(recipe, THREADS[0]))
        }
        Factor::Processors => {
            let place = command.place.as_mut().ok_or("it has no place")?;
            let then = place.cpus;
            // More than this machine has it is told that there are.
            let now = if then > 1 { 1 } else { 2 };
            place.cpus = now;
            format!("{then} → {now}")
        }
        Factor::TimeZone => {
            // As POSIX has it, so that no file of the system is needed.
            let then = command.variables.get("TZ").map(String::as_str);
            set(command, "TZ", if then == Some("LAB-11") { "LAB+11" } else { "LAB-11" })
        }
        Factor::Locale => {
            let is_plain = matches!(
                command.variables.get("LC_ALL").or_else(|| command.variables.get("LANG")),
                Some(value) if value == "C" || value == "POSIX"
            );
            set(command, "LC_ALL", if is_plain { "C.UTF-8" } else { "C" })
        }
        Factor::HostName => {
            host_name = "elsewhere";
            format!("{HOST_NAME} → {host_name}")
        }
        Factor::User => {
            let place = command.place.as_mut().ok_or("it has no place")?;
            let then = place.user;
            let now = if then == 4242 { 4243 } else { 4242 };
            (place.user, place.group) = (now, now);
            for name in ["USER", "LOGNAME"] {
                if command.variables.contains_key(name) {
                    set(command, name, "somebody");
                }
            }
            format!("number {then} → {now}")
        }
        Factor::Home => set(command, "HOME", "/home/elsewhere"),
        Factor::Path => return moved(recipe, &observed),
        Factor::Instructions => {
            let is_base = BASE.iter().all(|(name, value)| {
                command.variables.get(*name).is_some_and(|then| then == value)
            });
            let switches = if is_base { AVX2 } else { BASE };
            for (name, value) in switches {
                set(command, name, value);
            }
            let (name, value) = switches[3];
            format!("{name} and the like: {} → {value}", then_text(recipe, name))
        }
        Factor::Addresses => {
            let fixed = lab_process::fix_addresses(&mut observed);
            let (then, now) = if fixed { ("drawn", "fixed") } else { ("fixed", "drawn") };
            format!("{then} → {now}")
        }
        Factor::Umask => {
            let place = command.place.as_mut().ok_or("it has no place")?;
            let then = place.umask;
            place.umask = if then == 0o077 { 0o022 } else { 0o077 };
            format!("{then:03o} → {:03o}", place.umask)
        }
        Factor::Entropy => {
            let Some(then) = command.variables.get(ENTROPY) else {
                return Err("it drew other random bytes each time, with one result".to_owned());
            };
            let now = if then == "1" { "2" } else { "1" };
            set(command, ENTROPY, now)
        }
        Factor::Time => {
            let then = command.variables.get(TIME).cloned();
            let (time, day) = if then.as_deref() == Some(EARLY.0) { LATE } else { EARLY };
            set(command, TIME, time);
            // What programs put into what they make is that time at level 3.
            if command.variables.get(EPOCH) == then.as_ref() && then.is_some() {
                set(command, EPOCH, time);
            }
            format!("{} → {day}", if then.is_some() { "as pinned" } else { "now" })
        }
    };
    let recipe = Recipe::new(parts).map_err(|error| error.to_string())?;
    let moves = factor == Factor::Home;
    Ok(Changed { recipe, observed, host_name, moves, how })
}

/// Sets a variable, and says so.
fn set(command: &mut Command, name: &str, value: &str) -> String {
    let then = command.variables.insert(name.to_owned(), value.to_owned());
    format!("{name}: {} → {value}", then.as_deref().unwrap_or("unset"))
}

fn then_text(recipe: &Recipe, name: &str) -> String {
    match recipe.executor() {
        Executor::Command(command) => command.variables.get(name).cloned(),
        Executor::Tensor(_) => None,
    }
    .unwrap_or_else(|| "unset".to_owned())
}

/// Every listing the other way round.
fn reverse(observed: &mut Observed) -> Result<String, String> {
    let mut count = 0;
    for names in observed.listed.values_mut().filter(|names| names.len() > 1) {
        names.reverse();
        count += 1;
    }
    match count {
        0 => Err("it listed no folder with more than one name".to_owned()),
        1 => Ok("the other way round in 1 folder".to_owned()),
        n => Ok(format!("the other way round in {n} folders")),
    }
}

/// The record with the project in another folder.
fn moved(recipe: &Recipe, observed: &Observed) -> Result<Changed, String> {
    let mut parts: Parts = recipe.to_parts();
    let Executor::Command(command) = &mut parts.executor else {
        return Err("it is no command".to_owned());
    };
    let place = command.place.as_mut().ok_or("it has no place")?;
    let from = place.project.trim_end_matches('/').to_owned();
    let name = from.rsplit('/').next().unwrap_or_default();
    if name.is_empty() {
        return Err("the project is all of the file system".to_owned());
    }
    let to = format!("/elsewhere/{name}");
    place.project.clone_from(&to);
    let names = |text: &String| text.contains(&from);
    if command.argv.iter().any(names) {
        return Err("the command names the folder".to_owned());
    }
    if let Some((name, _)) = command.variables.iter().find(|(_, value)| names(value)) {
        return Err(format!("{name} names the folder"));
    }
    let from = from.into_bytes();
    let shift = |path: &[u8]| -> Vec<u8> {
        match path.strip_prefix(from.as_slice()) {
            Some(rest) if rest.is_empty() || rest.starts_with(b"/") => {
                [to.as_bytes(), rest].concat()
            }
            _ => path.to_owned(),
        }
    };
    let inside: BTreeMap<Slot, _> = parts
        .outside
        .iter()
        .map(|(slot, id)| {
            let path = shift(format!("/{slot}").as_bytes());
            let text = String::from_utf8_lossy(&path[1..]).into_owned();
            Ok((Slot::new(text)?, *id))
        })
        .collect::<Result<_, lab_schema::SchemaError>>()
        .map_err(|error| error.to_string())?;
    parts.outside = inside;
    let Observed { things, links, absent, listed, system, secrets, .. } = observed.clone();
    let observed = Observed {
        things: things.into_iter().map(|(path, seen)| (shift(&path), seen)).collect(),
        links: links.into_iter().map(|(path, to)| (shift(&path), shift(&to))).collect(),
        absent: absent.iter().map(|path| shift(path)).collect(),
        listed: listed.into_iter().map(|(path, names)| (shift(&path), names)).collect(),
        secrets: secrets.into_iter().map(|(path, id)| (shift(&path), id)).collect(),
        system,
        ..observed.clone()
    };
    let recipe = Recipe::new(parts).map_err(|error| error.to_string())?;
    let how = format!("{} → {to}", String::from_utf8_lossy(&from));
    Ok(Changed { recipe, observed, host_name: HOST_NAME, moves: true, how })
}
