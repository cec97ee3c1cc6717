//! Data worth losing: small data sets with files of every kind, and whether a copy is the same.
//!
//! Two seeds give data sets that overlap, so that what one of them loses another may miss.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::kit::{Place, Said};
use crate::reliability::Dice;

/// Makes a data set: about 300 KB, or 1.6 MB with a file that is stored in several chunks.
pub fn fill(folder: &Path, seed: u64, with_large: bool) {
    fs::create_dir_all(folder.join("deep/er")).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).unwrap();
    write("shared.csv", rows(0, 2000).as_bytes());
    write("own.csv", rows(seed, 3000).as_bytes());
    write("noise", &noise(seed, 60_000));
    write("weights.safetensors", &weights(seed, 16_384));
    write("empty", b"");
    write("run.sh", format!("#!/bin/sh\necho {seed}\n").as_bytes());
    fs::set_permissions(folder.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("shared.csv", folder.join("link")).unwrap();
    for i in 0..12 {
        write(&format!("deep/er/{i}.json"), format!("{{\"seed\": {seed}, \"i\": {i}}}").as_bytes());
    }
    if with_large {
        let mut large = noise(7, 700_000);
        large.extend(rows(seed, 20_000).bytes());
        large.extend(noise(8, 400_000));
        write("large.bin", &large);
    }
}

fn rows(seed: u64, count: u64) -> String {
    let mut dice = Dice(seed);
    (0..count).map(|i| format!("{i},{},{}\n", dice.below(1000), dice.below(7))).collect()
}

pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut dice = Dice(seed ^ 0xA5A5);
    (0..len).map(|_| dice.next() as u8).collect()
}

/// A safetensors file with two tensors of floats as weights have them; most seeds differ little.
fn weights(seed: u64, count: u64) -> Vec<u8> {
    let half = count * 2;
    let header = format!(
        "{{\"a\":{{\"dtype\":\"F32\",\"shape\":[{n}],\"data_offsets\":[0,{half}]}},\
         \"b\":{{\"dtype\":\"F32\",\"shape\":[{n}],\"data_offsets\":[{half},{all}]}}}}",
        n = count / 2,
        all = count * 4
    );
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    let (mut base, mut own) = (Dice(1), Dice(seed));
    for _ in 0..count {
        let sum: f64 = (0..4).map(|_| base.below(2001) as f64 / 1000.0 - 1.0).sum();
        let moved = sum * 0.02 * (1.0 + own.below(1000) as f64 * 1e-6);
        bytes.extend((moved as f32).to_le_bytes());
    }
    bytes
}

/// What lies below a folder: relative path, and what is there.
#[derive(Debug, PartialEq, Eq)]
enum Thing {
    Folder,
    Link(PathBuf),
    File { executable: bool, bytes: Vec<u8> },
}

fn thing(path: &Path) -> Option<Thing> {
    let meta = fs::symlink_metadata(path).ok()?;
    Some(if meta.is_dir() {
        Thing::Folder
    } else if meta.is_symlink() {
        Thing::Link(fs::read_link(path).unwrap())
    } else {
        let executable = meta.permissions().mode() & 0o100 != 0;
        Thing::File { executable, bytes: fs::read(path).unwrap() }
    })
}

/// Every path below a folder, itself included, relative to it.
pub fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    let mut next = 0;
    while let Some(at) = found.get(next).map(|relative| folder.join(relative)) {
        next += 1;
        if fs::symlink_metadata(&at).is_ok_and(|m| m.is_dir()) {
            let entries = fs::read_dir(&at).unwrap().map(|e| e.unwrap().path());
            found.extend(entries.map(|p| p.strip_prefix(folder).unwrap().to_owned()));
        }
    }
    found.sort();
    found
}

/// The first path where two folders (or files) differ; a missing one counts.
pub fn difference(wanted: &Path, got: &Path) -> Option<String> {
    let (mut paths, more) = (below(wanted), below(got));
    paths.extend(more);
    paths
        .iter()
        .find(|relative| thing(&wanted.join(relative)) != thing(&got.join(relative)))
        .map(|relative| format!("{} differs at '{}'", got.display(), relative.display()))
}

/// The first path of `got` whose bytes are not those of `wanted`; what is absent does not count,
/// nor what is hidden and on its way.
pub fn wrong(wanted: &Path, got: &Path) -> Option<String> {
    let hidden = |relative: &Path| {
        relative.components().any(|part| part.as_os_str().to_string_lossy().starts_with(".lab-"))
    };
    below(got)
        .iter()
        .filter(|relative| !hidden(relative))
        .find(|relative| {
            let there = thing(&got.join(relative));
            there.is_some() && there != thing(&wanted.join(relative))
        })
        .map(|relative| format!("{} has wrong bytes at '{}'", got.display(), relative.display()))
}

/// Copies a folder with its links and modes.
pub fn copy(from: &Path, to: &Path) {
    for relative in below(from) {
        let target = to.join(&relative);
        match thing(&from.join(&relative)).unwrap() {
            Thing::Folder => fs::create_dir_all(target).unwrap(),
            Thing::Link(leads_to) => symlink(leads_to, target).unwrap(),
            Thing::File { executable, bytes } => {
                fs::write(&target, bytes).unwrap();
                if executable {
                    fs::set_permissions(target, fs::Permissions::from_mode(0o755)).unwrap();
                }
            }
        }
    }
}

/// Whether this `lab` has a command, or a command has an option.
fn knows(args: &[&str], option: &str) -> bool {
    let said = Place::empty().lab(args.iter().chain(&["--help"]));
    said.code == 0 && said.out.contains(option)
}

/// The arguments of the check that reads every byte.
pub fn full_check() -> &'static [&'static str] {
    static FULL: OnceLock<bool> = OnceLock::new();
    if *FULL.get_or_init(|| knows(&["check"], "--full")) {
        &["check", "--full"]
    } else {
        &["check"]
    }
}

/// Whether there is a collector.
pub fn collects() -> bool {
    static COLLECTS: OnceLock<bool> = OnceLock::new();
    *COLLECTS.get_or_init(|| knows(&["gc"], "--grace"))
}

/// Whether weights can be kept as the difference to others.
pub fn has_bases() -> bool {
    static BASES: OnceLock<bool> = OnceLock::new();
    *BASES.get_or_init(|| knows(&["add"], "--base"))
}

/// Removes a file, or a folder with all that is in it.
pub fn remove(path: &Path) {
    let is_folder = fs::symlink_metadata(path).unwrap().is_dir();
    if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
}

/// Demands that every byte of the registry in `folder` is sound.
pub fn sound(place: &Place, folder: &str, when: &str) {
    let said = place.lab_in(folder, full_check());
    demand(said.code == 0 && said.out.starts_with("sound"), when, &said);
}

/// Demands that `name` is there and is `wanted`, byte for byte.
pub fn holds(place: &Place, folder: &str, name: &str, wanted: &Path, when: &str) {
    let copy = format!("copy-of-{name}");
    let said = place.lab_in(folder, ["get", name, &copy]);
    demand(said.code == 0, when, &said);
    let copy = place.at(folder).join(copy);
    if let Some(difference) = difference(wanted, &copy) {
        panic!("{when}: {difference}");
    }
    remove(&copy);
}

/// Panics with all that a command said unless it was right.
pub fn demand(right: bool, when: &str, said: &Said) {
    assert!(
        right && !said.err.contains("panicked"),
        "{when}: {} ended with {}\n--- stdout\n{}--- stderr\n{}",
        said.command,
        said.code,
        said.out,
        said.err
    );
}
