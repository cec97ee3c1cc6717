//! What no tracer can see: a hook in Python that writes down which seeds generators of random numbers are
//! given, and with which settings the program learns (`probe.py`).
//!
//! The hook is found by PYTHONPATH, which for that is another one than recorded; no recipe holds ours.
//! When the run is done again in a box, there is no hook, and the result has to be the same.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use lab_schema::observed::Seeded;

use crate::error::{At, Result};

const HOOK: &str = include_str!("probe.py");
/// The name under which Python looks for it when it starts.
const NAME: &str = "sitecustomize.py";

/// Most bytes of what a process told that are read, of what all of them told, and most seeds that are
/// kept.
const MAX_PROCESS_BYTES: u64 = 4 << 20;
const MAX_BYTES: u64 = 64 << 20;
const MAX_SEEDS: usize = 100_000;

/// Puts the hook into `folder`, and lets a program with these variables find it, and tell in `answers`.
pub(crate) fn install(
    folder: &Path,
    answers: &Path,
    variables: &mut BTreeMap<OsString, OsString>,
) -> Result<()> {
    // The list of folders is divided by colons.
    if folder.as_os_str().as_bytes().contains(&b':') {
        return Ok(());
    }
    let hook = folder.join(NAME);
    if fs::read(&hook).ok().as_deref() != Some(HOOK.as_bytes()) {
        fs::create_dir_all(folder).at("create the folder", folder)?;
        // In one step, since another run may be about to read it.
        let fresh = folder.join(format!("{NAME}.{}", std::process::id()));
        fs::write(&fresh, HOOK).at("write", &fresh)?;
        fs::rename(&fresh, &hook).at("write", &hook)?;
    }
    let mut path = folder.canonicalize().at("find", folder)?.into_os_string();
    if let Some(old) = variables.get(OsStr::new("PYTHONPATH")).filter(|old| !old.is_empty()) {
        path.push(":");
        path.push(old);
    }
    variables.insert("PYTHONPATH".into(), path);
    variables.insert("LAB_PROBE".into(), answers.into());
    Ok(())
}

/// What the processes of a run told. They may have written anything there: what is no seed is left out.
pub(crate) fn told(answers: &Path) -> Result<BTreeSet<Seeded>> {
    let mut seeds = BTreeSet::new();
    let mut left = MAX_BYTES;
    for entry in fs::read_dir(answers).at("list", answers)? {
        let entry = entry.at("list", answers)?;
        if !entry.file_type().at("inspect", &entry.path())?.is_file() {
            continue;
        }
        let mut bytes = Vec::new();
        let read = |file: File| -> io::Result<usize> {
            file.take(left.min(MAX_PROCESS_BYTES)).read_to_end(&mut bytes)
        };
        let len = File::open(entry.path()).and_then(read).at("read", &entry.path())?;
        left -= len as u64;
        for line in bytes.split(|b| *b == b'\n') {
            let fields: Vec<&[u8]> = line.split(|b| *b == b'\t').collect();
            if let [what, value, place] = fields[..]
                && seeds.len() < MAX_SEEDS
            {
                let [what, value, place] = [what, value, place].map(<[u8]>::to_vec);
                seeds.insert(Seeded { what, value, place });
            }
        }
    }
    Ok(seeds)
}
