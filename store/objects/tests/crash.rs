//! A process dies, or the disk is full, at every step in turn: what it reported as stored is
//! there, and the store is sound.
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use lab_objects::{Expected, Folder, Move, NameKind, Silent, Store, check};
use lab_schema::{BlobId, Name, ObjectId};

const STORE: &str = "LAB_TEST_STORE";

fn content(round: u64) -> Vec<u8> {
    format!("what round {round} stores ").repeat(1000).into_bytes()
}

/// The process that dies: makes a store, puts things and moves a name, and prints what it has
/// been told is stored.
#[test]
#[ignore = "run by the other tests in a process of its own"]
fn child() {
    let Some(root) = std::env::var_os(STORE) else { return };
    let mut told = std::io::stdout().lock();
    let mut work = || -> lab_objects::Result<()> {
        let store = Store::create(Arc::new(Folder::create(Path::new(&root))?))?;
        for round in 0..3 {
            let mut writer = store.writer();
            let id = writer.put_bytes(&content(round))?;
            writer.finish()?;
            writeln!(told, "stored {round}").unwrap();
            let (who, why, kind) = ("ada".into(), String::new(), NameKind::Dataset);
            let m = Move { target: Some(id.into()), kind, when_ms: round, who, why };
            store.names().set(&Name::new("n").unwrap(), Expected::Anything, m)?;
            writeln!(told, "named {round}").unwrap();
        }
        Ok(())
    };
    match work() {
        Ok(()) => writeln!(told, "done").unwrap(),
        Err(e) => writeln!(told, "failed: {e}").unwrap(),
    }
}

fn run_child(root: &Path, hook: &str, step: u64) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(STORE, root)
        .env(hook, step.to_string())
        .stderr(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// What the child was told is stored is there; whatever else is there is sound.
fn everything_told_holds(root: &Path, told: &str) {
    let told_stored = (0..3).filter(|n| told.contains(&format!("stored {n}"))).count() as u64;
    let told_named = (0..3).filter(|n| told.contains(&format!("named {n}"))).count() as u64;
    let Ok(folder) = Folder::open(root) else {
        assert_eq!(told_stored, 0);
        return;
    };
    let store = Store::open(Arc::new(folder)).unwrap();
    for round in 0..told_stored {
        let bytes = content(round);
        assert!(store.read_blob(BlobId::of(&bytes), 1 << 20).unwrap() == bytes);
    }
    let journal = store.names().journal(&Name::new("n").unwrap()).unwrap();
    assert!((told_named..=told_named + 1).contains(&(journal.len() as u64)));
    assert_eq!(check(&store, true, &Silent).unwrap().findings, []);
    // The next process goes on as if nothing had been.
    let mut writer = store.writer();
    let id = writer.put_bytes(b"afterwards").unwrap();
    writer.finish().unwrap();
    let (who, why, kind) = ("bob".into(), String::new(), NameKind::Code);
    let m = Move { target: Some(ObjectId::from(id)), kind, when_ms: 9, who, why };
    store.names().set(&Name::new("n").unwrap(), Expected::Anything, m).unwrap();
    assert_eq!(check(&store, true, &Silent).unwrap().findings, []);
}

fn at_every_step(hook: &str, ended: impl Fn(&str) -> bool) {
    for step in 1.. {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("store");
        let told = run_child(&root, hook, step);
        everything_told_holds(&root, &told);
        if ended(&told) {
            assert!(step > 40, "only {step} steps were tried: {told}");
            return;
        }
    }
}

// proves L-23
#[test]
fn a_process_may_die_at_any_step() {
    at_every_step("LAB_CRASH_AT", |told| told.contains("done"));
}

// proves L-24
#[test]
fn a_disk_may_be_full_at_any_step() {
    at_every_step("LAB_FAIL_AT", |told| {
        assert!(told.contains("done") || told.contains("failed: cannot "), "{told}");
        told.contains("done")
    });
}

/// Another process may have renamed a pack into its place and died before it synced the folder:
/// who relies on that pack syncs the folder, or says that it cannot.
#[test]
fn what_others_published_is_made_durable_before_it_is_relied_on() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    assert!(run_child(&root, "LAB_CRASH_AT", 0).contains("done"));
    let told = run_child(&root, "LAB_FAIL_AT", 1);
    assert!(told.contains("failed: cannot sync folder") && !told.contains("stored"), "{told}");
    let store = Store::open(Arc::new(Folder::open(&root).unwrap())).unwrap();
    assert!(store.packs().unwrap().len() == 3);
}
