//! A zoo of broken stores: whatever is done to a file of a store, a check finds it, and nothing
//! that is read is wrong.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lab_objects::{
    Expected, Finding, Folder, Move, NameKind, ObjectsError, Report, Silent, Store, add, check,
};
use lab_schema::{Kind, Name, ObjectId};

fn open(root: &Path) -> lab_objects::Result<Store> {
    Store::open(Arc::new(Folder::open(root)?))
}

/// A store with small files, a large one, a tree and a name, in two packs.
fn build(root: &Path) -> Vec<(ObjectId, Vec<u8>)> {
    let folder = root.join("data");
    fs::create_dir_all(&folder).unwrap();
    let large: Vec<u8> =
        (0..400_000u32).flat_map(|n| (n.wrapping_mul(n) >> 5).to_le_bytes()).collect();
    fs::write(folder.join("large"), large).unwrap();
    fs::write(folder.join("small"), "a small file that compresses ".repeat(20)).unwrap();
    let store = Store::create(Arc::new(Folder::create(&root.join("store")).unwrap())).unwrap();
    for extra in ["first", "second"] {
        fs::write(folder.join("extra"), extra).unwrap();
        let mut writer = store.writer();
        let content = add(&mut writer, &folder, &Silent).unwrap().content;
        writer.finish().unwrap();
        let target = Some(content.into());
        let (who, why) = ("ada".into(), extra.into());
        let m = Move { target, kind: NameKind::Dataset, when_ms: 1, who, why };
        store.names().set(&Name::new("data").unwrap(), Expected::Anything, m).unwrap();
    }
    assert_eq!(check(&store, true, &Silent).unwrap().findings, []);
    assert_eq!(store.packs().unwrap().len(), 2);
    let objects = Kind::ALL.into_iter().flat_map(|kind| store.list(kind).unwrap());
    let read = |id: ObjectId| {
        let mut bytes = Vec::new();
        store.copy(id, &mut bytes).unwrap();
        (id, bytes)
    };
    objects.map(read).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Every object is either read right or not at all; says how many were read.
fn nothing_wrong_is_read(root: &Path, objects: &[(ObjectId, Vec<u8>)]) -> usize {
    let Ok(store) = open(root) else { return 0 };
    let mut read = 0;
    for (id, right) in objects {
        let mut bytes = Vec::new();
        match store.copy(*id, &mut bytes) {
            Ok(_) => {
                assert!(bytes == *right, "{id} was read wrong");
                read += 1;
            }
            Err(ObjectsError::Damaged { .. } | ObjectsError::Missing { .. }) => {
                assert!(bytes.len() < right.len() && right.starts_with(&bytes));
            }
            Err(e) => panic!("{id}: {e}"),
        }
    }
    read
}

/// What a check says: a report, or that it is not a store.
fn checked(root: &Path, full: bool) -> Option<Report> {
    match open(root).and_then(|store| check(&store, full, &Silent)) {
        Ok(report) => Some(report),
        Err(
            ObjectsError::NotAStore { .. }
            | ObjectsError::Newer { .. }
            | ObjectsError::Older { .. },
        ) => None,
        Err(e) => panic!("{e}"),
    }
}

fn is_derived(path: &Path) -> bool {
    path.parent().unwrap().ends_with("locks")
}

// proves L-17
#[test]
fn every_kind_of_damage_is_found_and_nothing_wrong_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let objects = build(folder.path());
    let root = folder.path().join("store");
    for path in files(&root) {
        let right = fs::read(&path).unwrap();
        let mut bad = Vec::new();
        for n in 0..24usize {
            let mut flipped = right.clone();
            let at = (n * 7919 + n * right.len() / 24) % right.len();
            flipped[at] ^= 1 << (n % 8);
            bad.push(Some(flipped));
            bad.push(Some(right[..n * right.len() / 24].to_vec()));
        }
        bad.push(None);
        bad.push(Some([&right[..], b"x"].concat()));
        // A journal that was cut between two moves is the journal of an earlier time.
        if path.ends_with("names/data") {
            let lines = right.split_inclusive(|b| *b == b'\n').next().unwrap().len();
            bad.retain(|b| b.as_ref().is_some_and(|b| !b.is_empty() && b.len() != lines));
        }
        for bad in bad {
            match &bad {
                Some(bytes) => fs::write(&path, bytes).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let report = checked(&root, true);
            let what = format!("{} {:?}", path.display(), bad.as_ref().map(Vec::len));
            let read = nothing_wrong_is_read(&root, &objects);
            if is_derived(&path) {
                assert_eq!(read, objects.len(), "{what}");
                assert_eq!(report.unwrap().findings, [], "{what}");
            } else {
                assert!(report.is_none_or(|r| !r.findings.is_empty()), "{what}");
            }
        }
        fs::write(&path, &right).unwrap();
    }
    assert_eq!(checked(&root, true).unwrap().findings, []);
}

#[test]
fn a_quick_check_finds_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    build(folder.path());
    let root = folder.path().join("store");
    for path in files(&root).into_iter().filter(|p| p.extension().is_some_and(|e| e == "pack")) {
        let right = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(!checked(&root, false).unwrap().findings.is_empty());
        fs::write(&path, &right[..right.len() / 2]).unwrap();
        let findings = checked(&root, false).unwrap().findings;
        assert!(matches!(&findings[0], Finding::Pack { why, .. } if why.contains("cut off")));
        fs::write(&path, &right).unwrap();
    }
    assert_eq!(checked(&root, false).unwrap().findings, []);
}

// proves L-22
#[test]
fn storing_the_same_again_repairs() {
    let folder = tempfile::tempdir().unwrap();
    let objects = build(folder.path());
    let root = folder.path().join("store");
    let packs = files(&root).into_iter().filter(|p| p.extension().is_some_and(|e| e == "pack"));
    for (n, path) in packs.enumerate() {
        let mut bytes = fs::read(&path).unwrap();
        let at = if n == 0 { 20 } else { bytes.len() - 3 };
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
    let store = open(&root).unwrap();
    assert!(!check(&store, true, &Silent).unwrap().findings.is_empty());
    let mut writer = store.writer();
    for (id, bytes) in &objects {
        writer.put_verified(*id, &mut bytes.as_slice()).unwrap();
    }
    writer.finish().unwrap();
    assert_eq!(nothing_wrong_is_read(&root, &objects), objects.len());
}
