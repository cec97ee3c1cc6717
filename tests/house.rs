//! The house: that the floors hold, that modules stand in order, that every tagged sentence of
//! the specifications has a test, and that nothing was forgotten.
#![allow(clippy::unwrap_used, missing_docs)]

mod kit;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use kit::{files, top};
use regex::Regex;

/// Each room with its floor: it may use rooms of lower floors, and nothing else of ours.
const FLOORS: [(&str, &str, u32); 24] = [
    ("schema", "lab-schema", 0),
    ("exec/arithmetic", "lab-arithmetic", 0),
    ("exec/data", "lab-data", 0),
    ("exec/metrics", "lab-metrics", 0),
    ("exec/statistics", "lab-statistics", 0),
    ("exec/page", "lab-page", 0),
    ("exec/preparation", "lab-preparation", 1),
    ("store/encoding", "lab-encoding", 1),
    ("store/objects", "lab-objects", 2),
    ("exec/parquet", "lab-parquet", 2),
    ("exec/overlap", "lab-overlap", 3),
    ("store/import", "lab-import", 3),
    ("store/lineage", "lab-lineage", 3),
    ("store/web", "lab-web", 3),
    ("store/remote", "lab-remote", 4),
    ("store/serve", "lab-serve", 5),
    ("store/trust", "lab-trust", 5),
    ("exec/trace", "lab-trace", 1),
    ("exec/seal", "lab-seal", 1),
    ("exec/pipeline", "lab-pipeline", 1),
    ("exec/process", "lab-process", 4),
    ("exec/tensor", "lab-tensor", 4),
    ("exec/replay", "lab-replay", 5),
    ("cli", "lab", 6),
];

fn manifest(room: &str) -> toml::Table {
    fs::read_to_string(top().join(room).join("Cargo.toml")).unwrap().parse().unwrap()
}

#[test]
fn rooms_use_only_lower_floors() {
    for (room, _, floor) in FLOORS {
        let manifest = manifest(room);
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(table) = manifest.get(section).and_then(|t| t.as_table()) else { continue };
            for used in table.keys().filter(|k| k.starts_with("lab")) {
                let below = FLOORS.iter().find(|(_, name, _)| name == used).unwrap().2;
                assert!(below < floor, "{room} (floor {floor}) uses {used} (floor {below})");
            }
        }
    }
}

#[test]
fn every_room_has_a_floor_and_the_shared_lints() {
    let workspace = manifest(".");
    let members: Vec<&str> = workspace["workspace"]["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m.as_str().unwrap())
        .collect();
    assert_eq!(members, FLOORS.map(|(room, _, _)| room));
    for room in members {
        let manifest = manifest(room);
        assert_eq!(manifest["lints"]["workspace"].as_bool(), Some(true), "{room}");
        assert_eq!(manifest["package"]["license"]["workspace"].as_bool(), Some(true), "{room}");
    }
}

/// The heavy dependencies have one home each; `deny.toml` says the same of transitive use.
#[test]
fn heavy_dependencies_have_one_home() {
    let homes = [
        ("blake3", "schema"),
        ("serde_cbor", "schema"),
        ("zstd", "store/encoding"),
        ("rusqlite", "store/lineage"),
        ("git2", "exec/process"),
        ("md-5", "store/import"),
        ("sha1", "store/import"),
        ("sha2", "store/import"),
        ("candle-core", "exec/tensor"),
        ("ssh-key", "store/trust"),
        ("clap", "cli"),
        ("indicatif", "cli"),
    ];
    for (room, _, _) in FLOORS {
        let manifest = manifest(room);
        for (dependency, home) in homes {
            if manifest["dependencies"].get(dependency).is_some() {
                assert_eq!(room, home, "{dependency} lives in {home}");
            }
        }
    }
    let codec = top().join("schema/src/codec.rs");
    for file in files(&top().join("schema/src"), &[".rs"]) {
        if file != codec {
            let text = fs::read_to_string(&file).unwrap();
            assert!(
                !text.contains("serde_cbor"),
                "only codec.rs names the CBOR crate, not {}",
                file.display()
            );
        }
    }
}

/// The modules that a file declares, in order.
fn declared(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| {
            let line =
                line.strip_prefix("pub(crate) ").or(line.strip_prefix("pub ")).unwrap_or(line);
            line.strip_prefix("mod ")?.strip_suffix(';')
        })
        .collect()
}

/// Inside a crate, `mod` lines stand in dependency order: no module uses one below it.
#[test]
fn modules_use_only_those_declared_above_them() {
    for (room, _, _) in FLOORS {
        let source = top().join(room).join("src");
        let root =
            ["lib.rs", "main.rs"].map(|f| source.join(f)).into_iter().find(|f| f.exists()).unwrap();
        let text = fs::read_to_string(root).unwrap();
        let order = declared(&text);
        for (place, module) in order.iter().enumerate() {
            let mut parts = vec![source.join(format!("{module}.rs"))];
            if source.join(module).is_dir() {
                parts.extend(files(&source.join(module), &[".rs"]));
            }
            for file in parts.into_iter().filter(|f| f.exists()) {
                let text = fs::read_to_string(&file).unwrap();
                // What tests use does not count: they may look at anything.
                let text = text.split("#[cfg(test)]").next().unwrap();
                for below in &order[place + 1..] {
                    let names = [format!("crate::{below}::"), format!("crate::{below};")];
                    let used =
                        code(text).any(|line| names.iter().any(|n| line.contains(n.as_str())));
                    assert!(!used, "{} uses {below}, which is declared below it", file.display());
                }
            }
        }
    }
}

/// The lines of a file that are not comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

/// A file does one thing. Longer ones are named here with the reason.
#[test]
fn source_files_are_short() {
    let long: BTreeMap<&str, &str> = BTreeMap::new();
    for (room, _, _) in FLOORS {
        for file in files(&top().join(room).join("src"), &[".rs"]) {
            let text = fs::read_to_string(&file).unwrap();
            let lines = text.split("#[cfg(test)]").next().unwrap().lines().count();
            let name = file.strip_prefix(top()).unwrap().to_string_lossy().into_owned();
            assert!(
                lines <= 400 || long.contains_key(name.as_str()),
                "{name} has {lines} lines without its tests"
            );
        }
    }
}

/// Tags such as `F-01` in a specification, and those that tests claim to prove.
#[test]
fn every_tagged_sentence_is_proved() {
    let proves = Regex::new(r"// proves ([A-Z]-\d\d(?:, [A-Z]-\d\d)*)").unwrap();
    let tag = Regex::new(r"[A-Z]-\d\d").unwrap();
    let mut proofs: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for file in files(&top(), &[".rs"]) {
        for list in proves.find_iter(&fs::read_to_string(&file).unwrap()) {
            for tag in tag.find_iter(list.as_str()) {
                proofs.entry(tag.as_str().to_owned()).or_default().push(file.clone());
            }
        }
    }
    let tagged = Regex::new(r"\[([A-Z]-\d\d)\]").unwrap();
    let mut known = BTreeSet::new();
    for page in ["format.md", "layout.md", "arithmetic.md"] {
        let text = fs::read_to_string(top().join("docs").join(page)).unwrap();
        let before = known.len();
        for tag in tagged.captures_iter(&text) {
            assert!(known.insert(tag[1].to_owned()), "{page}: {} stands twice", &tag[1]);
            assert!(
                proofs.contains_key(&tag[1]),
                "{page}: no test says that it proves {}",
                &tag[1]
            );
        }
        assert!(known.len() > before + 10, "{page} has lost its tags");
    }
    for (tag, files) in proofs {
        assert!(known.contains(&tag), "{} proves {tag}, which no page has", files[0].display());
    }
}

/// A test file that no manifest names would never run.
#[test]
fn no_test_file_is_forgotten() {
    let manifest = manifest("cli");
    let named: BTreeSet<String> = manifest["test"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["path"].as_str().unwrap().trim_start_matches("../tests/").to_owned())
        .collect();
    let there: BTreeSet<String> = fs::read_dir(top().join("tests"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".rs"))
        .collect();
    assert_eq!(named, there);
}

/// A module that no `mod` line names would never be compiled.
#[test]
fn no_module_is_forgotten() {
    for (room, _, _) in FLOORS {
        let source = top().join(room).join("src");
        let all = files(&source, &[".rs"]);
        let declarations: Vec<(PathBuf, String)> =
            all.iter().map(|f| (f.clone(), fs::read_to_string(f).unwrap())).collect();
        for file in &all {
            let name = file.file_stem().unwrap().to_string_lossy().into_owned();
            if ["lib", "main"].contains(&name.as_str()) {
                continue;
            }
            let module = if name == "mod" { parent_name(file) } else { name };
            let needle = format!("mod {module};");
            assert!(
                declarations.iter().any(|(_, text)| text.contains(&needle)),
                "{} is not compiled",
                file.display()
            );
        }
    }
}

fn parent_name(file: &Path) -> String {
    file.parent().unwrap().file_name().unwrap().to_string_lossy().into_owned()
}
