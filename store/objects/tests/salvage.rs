//! Damage is followed to all that hangs on it, a check goes on where it was, and what is done away
//! with is done away with only once everything sound in it is safe.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use lab_objects::{
    CheckLog, CheckOptions, Finding, Folder, Report, Silent, Store, add, check, check_with, salvage,
};
use lab_schema::{BlobId, ObjectId};

const STORE: &str = "LAB_TEST_SALVAGE";

fn create(root: &Path) -> Store {
    Store::create(Arc::new(Folder::create(root).unwrap())).unwrap()
}

fn open(root: &Path) -> Store {
    Store::open(Arc::new(Folder::open(root).unwrap())).unwrap()
}

fn full(store: &Store) -> Report {
    check(store, true, &Silent).unwrap()
}

fn packs(root: &Path) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![root.join("packs")]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Bytes that no encoding makes much of.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

fn text(n: u64) -> Vec<u8> {
    let line = |m: u64| format!("file {n}, line {m}: {}\n", m.wrapping_mul(n + 77) % 9973);
    (0..800).flat_map(|m| line(m).into_bytes()).collect()
}

/// A store with these blobs in a pack of their own.
fn with_pack(store: &Store, blobs: &[Vec<u8>]) -> Vec<BlobId> {
    let mut writer = store.writer();
    let ids = blobs.iter().map(|bytes| writer.put_bytes(bytes).unwrap()).collect();
    writer.finish().unwrap();
    ids
}

#[test]
fn a_flipped_bit_in_a_shared_block_loses_only_what_lies_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let texts: Vec<Vec<u8>> = (0..150).map(text).collect();
    let ids = with_pack(&create(folder.path()), &texts);
    let pack = packs(folder.path()).remove(0);
    flip(&pack, fs::metadata(&pack).unwrap().len() as usize / 3);
    let store = open(folder.path());
    let report = full(&store);
    let lost: BTreeSet<ObjectId> = report.lost.iter().copied().collect();
    assert!(!lost.is_empty() && lost.len() < ids.len() / 2, "{} lost", lost.len());
    assert_eq!(report.damaged_packs.len(), 1);
    let named: BTreeSet<ObjectId> = report
        .findings
        .iter()
        .filter_map(|f| if let Finding::Frame { objects, .. } = f { Some(objects) } else { None })
        .flatten()
        .copied()
        .collect();
    assert_eq!(named, lost);
    let at: Vec<usize> = (0..ids.len()).filter(|n| lost.contains(&ids[*n].into())).collect();
    assert_eq!(at.last().unwrap() - at[0] + 1, at.len(), "what lay together is lost together");
    for (id, bytes) in ids.iter().zip(&texts) {
        let read = store.read_blob(*id, 1 << 20);
        assert_eq!(read.ok().as_ref(), (!lost.contains(&(*id).into())).then_some(bytes));
    }
}

#[test]
fn what_lies_there_as_it_is_loses_only_the_chunk_that_was_touched() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = noise(9, 1_500_000);
    let blobs: Vec<Vec<u8>> = bytes.chunks(10_000).map(Into::into).collect();
    let ids = with_pack(&create(folder.path()), &blobs);
    let pack = packs(folder.path()).remove(0);
    flip(&pack, 700_000);
    let store = open(folder.path());
    let report = full(&store);
    assert_eq!(report.lost.len(), 1);
    let lost = ids.iter().position(|id| report.lost.contains(&(*id).into())).unwrap();
    store.mend(ids[lost].into(), &mut blobs[lost].as_slice(), None).unwrap();
    assert!(salvage(&store, &report.damaged_packs, true).unwrap()[0].kept.is_none());
    let store = open(folder.path());
    let report = full(&store);
    assert_eq!((report.findings, report.damaged_packs), (Vec::new(), Vec::new()));
    let blobs: Vec<(BlobId, Vec<u8>)> = ids.into_iter().zip(blobs).collect();
    assert_eq!(whole(&store, &blobs), blobs.len());
}

/// A safetensors file with one tensor of `count` floats.
fn weights(count: u32, change: f32) -> Vec<u8> {
    let value = |n: u32| {
        let base = ((n as f32 * 0.731).sin() + (n as f32 * 0.0137).cos()) * 0.02;
        (base * (1.0 + change * ((n % 7) as f32 - 3.0))).to_le_bytes()
    };
    let end = count * 4;
    let header =
        format!("{{\"w\":{{\"dtype\":\"F32\",\"shape\":[{count}],\"data_offsets\":[0,{end}]}}}}");
    let header = format!("{header:<128}");
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend((0..count).flat_map(value));
    bytes
}

#[test]
fn damage_to_a_base_names_all_that_hangs_on_it_and_mending_it_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    let store = create(&root);
    let (base, tuned) = (folder.path().join("base"), folder.path().join("tuned"));
    fs::write(&base, weights(500_000, 0.0)).unwrap();
    fs::write(&tuned, weights(500_000, 1e-6)).unwrap();
    let mut writer = store.writer();
    let base_id = add(&mut writer, &base, &Silent).unwrap().content;
    writer.finish().unwrap();
    let first = packs(&root).remove(0);
    let mut writer = store.writer();
    writer.set_bases(&[base_id]);
    let tuned_id = add(&mut writer, &tuned, &Silent).unwrap().content;
    writer.finish().unwrap();
    let second = packs(&root).into_iter().find(|path| *path != first).unwrap();
    let size = |path: &Path| fs::metadata(path).unwrap().len();
    assert!(size(&second) < size(&first) / 2, "{} {}", size(&second), size(&first));

    let right = fs::read(&first).unwrap();
    flip(&first, right.len() / 2);
    let store = open(&root);
    let report = full(&store);
    let both: BTreeSet<ObjectId> = [base_id.into(), tuned_id.into()].into();
    assert_eq!(report.lost.iter().copied().collect::<BTreeSet<_>>(), both);
    assert_eq!(report.damaged_packs.len(), 1);
    assert!(report.findings.iter().any(|finding| {
        let Finding::Frame { pack, objects, .. } = finding else { return false };
        first.ends_with(format!("{pack}.pack"))
            && objects.iter().copied().collect::<BTreeSet<_>>() == both
    }));
    assert!(report.findings.iter().any(|f| f.to_string().contains("is a difference to chunk")));

    let blob = BlobId::from_digest(ObjectId::from(base_id).digest());
    store.mend_from_file(blob, &base).unwrap();
    assert!(both.iter().all(|id| store.is_whole(*id).unwrap()));
    let done = salvage(&store, &report.damaged_packs, true).unwrap();
    assert!(done.len() == 1 && done[0].kept.is_none() && done[0].copied > 0);
    assert!(!first.exists());
    let report = full(&open(&root));
    assert_eq!((report.findings, report.damaged_packs), (Vec::new(), Vec::new()));

    // The pack of the base is gone altogether: that is seen without reading every byte.
    let others: Vec<PathBuf> = packs(&root).into_iter().filter(|path| *path != second).collect();
    others.iter().for_each(|path| fs::remove_file(path).unwrap());
    let report = check(&open(&root), false, &Silent).unwrap();
    assert_eq!(report.lost, [ObjectId::from(tuned_id)]);
}

#[test]
fn a_check_with_little_time_goes_on_and_reads_every_pack_once_a_round() {
    let folder = tempfile::tempdir().unwrap();
    let (root, log) = (folder.path().join("store"), folder.path().join("cache").join("check"));
    let store = create(&root);
    for n in 0..5 {
        with_pack(&store, &[noise(n, 5000)]);
    }
    let step = || {
        let store = open(&root);
        let mut log = CheckLog::open(&log);
        let until = Some(Instant::now());
        let options = CheckOptions { full: true, until, log: Some(&mut log) };
        check_with(&store, options, &Silent).unwrap()
    };
    let noted = || -> BTreeSet<String> {
        let text = fs::read_to_string(&log).unwrap();
        text.lines().filter(|l| l.split(' ').count() == 4).map(Into::into).collect()
    };
    for round in 0..2 {
        for n in 1..=5 {
            let before = if round + n > 1 { noted() } else { BTreeSet::new() };
            let report = step();
            assert_eq!((report.read, report.unread, report.packs), (1, 5 - n, 5));
            assert_eq!(report.findings, []);
            // One line is new or another than it was, and no other.
            assert_eq!(noted().difference(&before).count(), 1);
        }
        assert_eq!(noted().len(), 5);
    }
    // What is damaged is told every time from when it was found on, and stands in nobody's way.
    flip(&packs(&root)[2], 100);
    let told: Vec<(usize, u64)> =
        (0..5).map(|_| step()).map(|r| (r.findings.len(), r.unread)).collect();
    assert!(told.is_sorted_by_key(|(found, _)| *found), "{told:?}");
    assert_eq!(told.iter().map(|(_, unread)| *unread).collect::<Vec<_>>(), [4, 3, 2, 1, 0]);
    assert!(told[4].0 > 0 && !step().findings.is_empty());
    // A check without a limit reads all, and what it has read is left out of the rest of its round.
    let mut opened = CheckLog::open(&log);
    let options = CheckOptions { full: true, until: None, log: Some(&mut opened) };
    let report = check_with(&open(&root), options, &Silent).unwrap();
    assert_eq!((report.read, report.unread), (5, 0));
    // Nothing is left of that round, so that the next one begins.
    let report = step();
    assert_eq!((report.read, report.unread), (2, 3));
    assert!(!report.findings.is_empty());
}

/// A store with two packs, the first with small and large blobs of all kinds; what is in it.
fn sample(root: &Path) -> Vec<(BlobId, Vec<u8>)> {
    let store = create(root);
    let mut blobs = vec![noise(1, 300_000), noise(2, 9000)];
    blobs.extend((0..40).map(text));
    let mut ids = with_pack(&store, &blobs);
    ids.extend(with_pack(&store, &[noise(3, 9000)]));
    blobs.push(noise(3, 9000));
    ids.into_iter().zip(blobs).collect()
}

fn largest(root: &Path) -> PathBuf {
    packs(root).into_iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap()
}

fn whole(store: &Store, blobs: &[(BlobId, Vec<u8>)]) -> usize {
    blobs
        .iter()
        .filter(|(id, bytes)| store.read_blob(*id, 1 << 30).is_ok_and(|b| b == *bytes))
        .count()
}

#[test]
fn all_that_is_sound_in_a_damaged_pack_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    let blobs = sample(&root);
    let path = largest(&root);
    let right = fs::read(&path).unwrap();
    for at in [20, right.len() / 4, right.len() / 2, right.len() - 8000] {
        flip(&path, at);
        let store = open(&root);
        let report = full(&store);
        let sound = blobs.len() - report.lost.len();
        assert!(!report.lost.is_empty() && whole(&store, &blobs) == sound);
        // As long as something in it is nowhere else, it stays as it is.
        let kept = salvage(&store, &report.damaged_packs, true).unwrap();
        assert!(kept[0].kept.as_ref().unwrap().contains("damaged in it"), "{kept:?}");
        assert!(path.exists() && packs(&root).len() == 2 && whole(&store, &blobs) == sound);
        for (id, bytes) in &blobs {
            if report.lost.contains(&(*id).into()) {
                // Other bytes do not help, and do no harm.
                assert!(store.mend((*id).into(), &mut &b"other"[..], None).is_err());
                store.mend((*id).into(), &mut bytes.as_slice(), None).unwrap();
            }
        }
        let done = salvage(&store, &report.damaged_packs, true).unwrap();
        assert!(done[0].kept.is_none() && done[0].copied > 0, "{done:?}");
        assert!(!path.exists());
        for store in [store, open(&root)] {
            assert_eq!(whole(&store, &blobs), blobs.len());
            let report = full(&store);
            assert_eq!((report.findings, report.damaged_packs), (Vec::new(), Vec::new()));
        }
        packs(&root).iter().for_each(|path| fs::remove_file(path).unwrap());
        sample(&root);
        assert!(path.exists(), "packs are named by what they hold");
    }
}

#[test]
fn what_cannot_be_read_at_all_goes_only_if_nothing_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("store");
    let blobs = sample(&root);
    let path = largest(&root);
    let right = fs::read(&path).unwrap();
    // The first bytes: nothing is lost, and the pack is mended in its place.
    flip(&path, 3);
    let store = open(&root);
    let report = full(&store);
    assert!(report.lost.is_empty() && report.damaged_packs.len() == 1);
    assert!(salvage(&store, &report.damaged_packs, true).unwrap()[0].kept.is_none());
    assert!(fs::read(&path).unwrap() == right);
    assert_eq!(full(&open(&root)).findings, []);
    // The table of contents.
    flip(&path, right.len() - 30);
    let store = open(&root);
    let report = full(&store);
    assert!(matches!(&report.findings[0], Finding::Pack { .. }));
    let kept = salvage(&store, &report.damaged_packs, false).unwrap();
    assert!(kept[0].kept.is_some() && path.exists());
    for (id, bytes) in &blobs {
        store.mend((*id).into(), &mut bytes.as_slice(), None).unwrap();
    }
    salvage(&store, &report.damaged_packs, true).unwrap();
    assert_eq!(full(&open(&root)).findings, []);
    assert_eq!(whole(&open(&root), &blobs), blobs.len());
}

/// Mends the lost from the folder `right`, and clears away what is damaged.
fn put_right(root: &Path, right: &Path) {
    let store = open(root);
    let report = full(&store);
    for id in &report.lost {
        let bytes = fs::read(right.join(id.digest().to_string())).unwrap();
        store.mend(*id, &mut bytes.as_slice(), None).unwrap();
    }
    let done = salvage(&store, &report.damaged_packs, true).unwrap();
    assert!(done.iter().all(|one| one.kept.is_none()));
}

#[test]
#[ignore = "run by the next test in a process of its own"]
fn child() {
    let Some(root) = std::env::var_os(STORE) else { return };
    let root = Path::new(&root);
    put_right(root, &root.with_file_name("right"));
    writeln!(std::io::stdout(), "done").unwrap();
}

#[test]
fn who_clears_away_may_die_at_any_step() {
    let folder = tempfile::tempdir().unwrap();
    let (root, right) = (folder.path().join("store"), folder.path().join("right"));
    let blobs = sample(&root);
    fs::create_dir(&right).unwrap();
    for (id, bytes) in &blobs {
        fs::write(right.join(id.digest().to_string()), bytes).unwrap();
    }
    let path = largest(&root);
    let bytes = fs::read(&path).unwrap().len();
    flip(&path, bytes / 4);
    let files: Vec<(PathBuf, Vec<u8>)> =
        packs(&root).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    let sound = whole(&open(&root), &blobs);
    assert!(sound < blobs.len());
    for step in 1.. {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--ignored", "--nocapture"])
            .env(STORE, &root)
            .env("LAB_CRASH_AT", step.to_string())
            .stderr(Stdio::null())
            .output()
            .unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(whole(&open(&root), &blobs) >= sound, "step {step} lost something");
        put_right(&root, &right);
        let report = full(&open(&root));
        assert_eq!((report.findings, report.damaged_packs), (Vec::new(), Vec::new()), "{step}");
        assert_eq!(whole(&open(&root), &blobs), blobs.len());
        if told.contains("done") {
            assert!(step > 10, "only {step} steps were tried");
            return;
        }
        packs(&root).iter().for_each(|path| fs::remove_file(path).unwrap());
        files.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    }
}
