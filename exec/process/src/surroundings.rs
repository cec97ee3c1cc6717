//! What a command finds around it: variables, user, processors.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use lab_schema::{Command, Completeness, Place};
use lab_trace::Trace;

use crate::processors;
use crate::sorts::Sorter;
use crate::told::{ENTROPY, EPOCH, TIME};
use crate::variables::PASSED_THROUGH;

/// Variables that say who and where a person is. A command that runs where its files lie finds
/// them by these, so that here their values belong to the recipe.
const OWN: [&str; 8] = [
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
];

/// Variables that name the folder of an installation.
const INSTALLATION: [&str; 2] = ["VIRTUAL_ENV", "CONDA_PREFIX"];

/// What is pinned from level 1 on, unless the person set it: seeds of hashes that nobody means to
/// be random, and a workspace with which cuBLAS gives the same bits each time.
const PINS: [(&str, &str); 2] = [("PYTHONHASHSEED", "0"), ("CUBLAS_WORKSPACE_CONFIG", ":4096:8")];

/// With these the usual numerical libraries use the same instructions on every x86-64 processor that
/// has AVX2, whatever else it has.
const PORTABLE: [(&str, &str); 5] = [
    ("ATEN_CPU_CAPABILITY", "avx2"),
    ("DNNL_MAX_CPU_ISA", "AVX2"),
    ("MKL_CBWR", "AVX2,STRICT"),
    ("ONEDNN_MAX_CPU_ISA", "AVX2"),
    ("OPENBLAS_CORETYPE", "Haswell"),
];

/// With these they use as many threads as they are told, and not fewer when they see fit.
const TOLD: [(&str, &str); 2] = [("MKL_DYNAMIC", "FALSE"), ("OMP_DYNAMIC", "FALSE")];

/// Variables that say how many threads to use.
const THREADS: [&str; 5] = [
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "RAYON_NUM_THREADS",
];

/// The permissions that new files do not get: the same for everybody.
const UMASK: u32 = 0o022;

/// How much chance is taken out of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    /// None: it is only recorded.
    Record,
    /// Seeds of hash functions and workspaces of libraries are pinned.
    #[default]
    Pin,
    /// And the random bytes that the system gives.
    Entropy,
    /// And the time of day.
    Time,
}

/// The environment of a command.
pub(crate) struct Surroundings {
    pub(crate) variables: BTreeMap<OsString, OsString>,
    /// Names of those whose values the recipe does not hold, sorted.
    pub(crate) unrecorded: Vec<String>,
}

impl Surroundings {
    /// The recipe's variables, those of `ours` that are passed through, and `TMPDIR`.
    pub(crate) fn new(
        command: &Command,
        ours: impl Iterator<Item = (OsString, OsString)>,
        tmp: &Path,
    ) -> Surroundings {
        let passed = ours.filter(|(name, _)| PASSED_THROUGH.iter().any(|p| name == *p));
        let mut variables: BTreeMap<OsString, OsString> = passed.collect();
        variables.insert("TMPDIR".into(), tmp.into());
        variables.retain(|name, _| !command.variables.keys().any(|key| name == key.as_str()));
        let names = variables.keys().map(|name| name.to_string_lossy().into_owned());
        let unrecorded = names.collect();
        let recorded = command.variables.iter().map(|(name, value)| (name.into(), value.into()));
        variables.extend(recorded);
        Surroundings { variables, unrecorded }
    }

    /// Says what is what for a command that touched this.
    pub(crate) fn sorter<'a>(
        &self,
        project: &'a Path,
        ours: &'a [&'a Path],
        trace: &Trace,
    ) -> Sorter<'a> {
        let environments: Vec<&OsStr> =
            INSTALLATION.iter().filter_map(|name| self.get(name)).collect();
        Sorter::new(project, ours, trace, self.get("HOME"), &environments)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str)
    }
}

/// Recorded variables, with those that say who and where a person is, and the pins of a level. What
/// is set already stays: at the levels that pin them, that holds for `LAB_ENTROPY`, `LAB_TIME` and
/// `SOURCE_DATE_EPOCH` (reproducible-builds.org) of `ours`, too.
pub fn with_own_variables(
    mut variables: BTreeMap<String, String>,
    level: Level,
    ours: impl Iterator<Item = (OsString, OsString)>,
) -> BTreeMap<String, String> {
    let mut wanted = OWN.to_vec();
    if level >= Level::Entropy {
        wanted.push(ENTROPY);
    }
    if level >= Level::Time {
        wanted.extend([TIME, EPOCH]);
    }
    for (name, value) in ours {
        let Some(name) = name.to_str().filter(|name| wanted.contains(name)) else { continue };
        if let Some(value) = value.to_str() {
            variables.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    let mut pin = |name: &str, value: &str| {
        variables.entry(name.to_owned()).or_insert_with(|| value.to_owned()).clone()
    };
    if level >= Level::Pin {
        PINS.iter().for_each(|(name, value)| drop(pin(name, value)));
    }
    if level >= Level::Entropy {
        pin(ENTROPY, "0");
    }
    if level >= Level::Time {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let epoch = pin(EPOCH, &now.to_string());
        pin(TIME, &epoch);
    }
    variables
}

/// Recorded variables, with those that keep numerical libraries to instructions that other machines
/// have too, and to the number of threads that they would use here. What is set already stays.
pub fn with_portable_variables(
    mut variables: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get()).to_string();
    let instructions = PORTABLE.iter().filter(|_| cfg!(target_arch = "x86_64"));
    let fixed = instructions.chain(&TOLD).map(|(name, value)| (*name, (*value).to_owned()));
    let threads = THREADS.iter().map(|name| (*name, threads.clone()));
    for (name, value) in fixed.chain(threads) {
        variables.entry(name.to_owned()).or_insert(value);
    }
    variables
}

/// What is found missing when reads are stored counts like what was missed while it ran.
pub(crate) fn lacking(completeness: Completeness, gaps: &[String]) -> Completeness {
    let Some(first) = gaps.first() else { return completeness };
    let mut text = match completeness {
        Completeness::Incomplete(why) => format!("{why}; {first}"),
        _ => first.clone(),
    };
    if gaps.len() > 1 {
        text.push_str(&format!("; and {} more", gaps.len() - 1));
    }
    Completeness::Incomplete(text)
}

/// What a place consists of, by name.
pub fn facts_of_place(place: &Place) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("folder".to_owned(), place.project.clone()),
        ("user".to_owned(), place.user.to_string()),
        ("group".to_owned(), place.group.to_string()),
        ("umask".to_owned(), format!("{:03o}", place.umask)),
        ("processors".to_owned(), place.cpus.to_string()),
    ])
}

/// Who we are and on how many processors; none if the project's path is not text.
pub(crate) fn place(project: &Path) -> Option<Place> {
    let project = project.to_str()?.to_owned();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let id = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        // Real, effective, saved, file system: what it may do goes by the second.
        line.split_whitespace().nth(1)?.parse().ok()
    };
    Some(Place {
        project,
        user: id("Uid:")?,
        group: id("Gid:")?,
        umask: UMASK,
        cpus: processors::count(),
    })
}
