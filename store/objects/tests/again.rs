//! Doing it again: what did not change is not read, what changed is seen, what was begun is gone on
//! with, and what is there already is shared.
#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lab_objects::{
    Added, Folder, GetOptions, Got, RawCache, Silent, StatCache, Store, add_cached, get,
};
use lab_schema::ContentId;

struct Bench {
    folder: tempfile::TempDir,
    store: Store,
}

impl Bench {
    /// A store, and a folder of small files and a large one that nobody has touched for a while.
    fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let backend = Folder::create(&folder.path().join("store")).unwrap();
        let store = Store::create(Arc::new(backend)).unwrap();
        let data = folder.path().join("data");
        for n in 0..300 {
            let sub = data.join(format!("{}", n % 7));
            fs::create_dir_all(&sub).unwrap();
            fs::write(sub.join(format!("{n}.txt")), format!("file {n} ").repeat(n)).unwrap();
        }
        let large: Vec<u8> =
            (0..500_000u32).flat_map(|n| (n.wrapping_mul(n) >> 3).to_le_bytes()).collect();
        fs::write(data.join("large"), large).unwrap();
        let script = data.join("run.sh");
        fs::write(&script, "#!/bin/sh\n".repeat(10_000)).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        Bench { folder, store }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn add(&self, cached: bool) -> Added {
        let mut cache = cached.then(|| StatCache::open(&self.path("stat")));
        let mut writer = self.store.writer();
        let added = add_cached(&mut writer, &self.path("data"), cache.as_mut(), &Silent).unwrap();
        writer.finish().unwrap();
        cache.map_or(Ok(()), StatCache::save).unwrap();
        added
    }

    fn get(&self, content: ContentId, to: &str, raw: Option<&RawCache>) -> Got {
        let options = GetOptions { force: false, raw };
        get(&self.store, content, &self.path(to), &options, &Silent).unwrap()
    }
}

fn same(a: &Path, b: &Path) {
    let status = std::process::Command::new("diff").arg("-r").args([a, b]).status().unwrap();
    assert!(status.success());
}

#[test]
fn what_did_not_change_is_not_read_and_what_changed_is_seen() {
    let bench = Bench::new();
    let first = bench.add(true);
    assert_eq!((first.files, first.unchanged), (302, 0));
    let again = bench.add(true);
    assert_eq!((again.content, again.unchanged), (first.content, 302));
    // Same length, and a time that was put back.
    let victim = bench.path("data/3/24.txt");
    let before = fs::metadata(&victim).unwrap();
    let mut bytes = fs::read(&victim).unwrap();
    bytes[0] ^= 1;
    fs::write(&victim, bytes).unwrap();
    File::options()
        .write(true)
        .open(&victim)
        .unwrap()
        .set_modified(before.modified().unwrap())
        .unwrap();
    let changed = bench.add(true);
    assert_ne!(changed.content, first.content);
    assert_eq!(changed.unchanged, 301);
    assert_eq!(bench.add(false).content, changed.content);
}

/// The cache knows the file, but the store has lost it: it is read.
#[test]
fn what_the_store_does_not_have_is_read_again() {
    let bench = Bench::new();
    let first = bench.add(true);
    for entry in fs::read_dir(bench.path("store/packs")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let again = bench.add(true);
    assert_eq!((again.content, again.unchanged), (first.content, 0));
    bench.get(again.content, "out", None);
    same(&bench.path("data"), &bench.path("out"));
}

/// Files that are written to all the time, each time with the same size, while they are added: what
/// is stored is what they were at some moment, and the last state is always seen.
#[test]
fn a_file_that_changes_right_after_it_was_read_is_seen() {
    let bench = Bench::new();
    let victim = bench.path("data/3/24.txt");
    for round in 0..20u8 {
        fs::write(&victim, vec![b'a' + round; 1000]).unwrap();
        let with = bench.add(true).content;
        assert_eq!(with, bench.add(false).content, "round {round}");
    }
}

#[test]
fn what_a_killed_get_left_is_gone_on_with() {
    let bench = Bench::new();
    let content = bench.add(false).content;
    bench.get(content, "out", None);
    // As a process would have left it that was killed, half way through a file.
    let mut child = std::process::Command::new("true").spawn().unwrap();
    let gone = child.id();
    child.wait().unwrap();
    let word = {
        // The name is found by having somebody else stop: a folder in the way of the last step.
        let other = bench.path("other");
        fs::create_dir(&other).unwrap();
        let name = other.join("out");
        let watch = std::thread::spawn({
            let other = other.clone();
            move || loop {
                let found = fs::read_dir(&other).unwrap().filter_map(Result::ok).find_map(|e| {
                    e.file_name()
                        .to_str()?
                        .strip_prefix(".lab-")?
                        .split_once('-')
                        .map(|p| p.1.to_owned())
                });
                if let Some(word) = found {
                    return word;
                }
            }
        });
        let options = GetOptions { force: false, raw: None };
        get(&bench.store, content, &name, &options, &Silent).unwrap();
        let word = watch.join().unwrap();
        fs::remove_dir_all(&other).unwrap();
        word
    };
    let left = bench.path(&format!(".lab-{gone}-{word}"));
    fs::rename(bench.path("out"), &left).unwrap();
    fs::remove_dir_all(left.join("3")).unwrap();
    let large = File::options().write(true).open(left.join("large")).unwrap();
    large.set_len(1_000_000).unwrap();
    let got = bench.get(content, "out", None);
    same(&bench.path("data"), &bench.path("out"));
    assert!(!left.exists());
    let lost = fs::read_dir(bench.path("data/3")).unwrap().count() as u64 + 1;
    assert_eq!((got.files, got.unchanged), (lost, 302 - lost));
}

#[test]
fn links_share_one_read_only_copy_that_is_checked() {
    let bench = Bench::new();
    let content = bench.add(false).content;
    let raw = RawCache::new(&bench.path("raw"), 1 << 30, true);
    bench.get(content, "one", Some(&raw));
    bench.get(content, "two", Some(&raw));
    same(&bench.path("data"), &bench.path("two"));
    let [one, two] = ["one/large", "two/large"].map(|p| fs::metadata(bench.path(p)).unwrap());
    assert_eq!(one.ino(), two.ino());
    assert_eq!(one.permissions().mode() & 0o777, 0o444);
    let script = fs::metadata(bench.path("two/run.sh")).unwrap();
    assert_eq!(script.permissions().mode() & 0o777, 0o555);
    // Somebody writes to it all the same: the next one is right, and theirs stays.
    let theirs = bench.path("two/large");
    fs::set_permissions(&theirs, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&theirs, "mine").unwrap();
    bench.get(content, "three", Some(&raw));
    same(&bench.path("data"), &bench.path("three"));
    assert_eq!(fs::read(&theirs).unwrap(), b"mine");
    // The cache is bounded, and what hangs on it stays.
    RawCache::new(&bench.path("raw"), 0, true).trim().unwrap();
    let left = fs::read_dir(bench.path("raw")).unwrap();
    assert_eq!(left.map(|f| fs::read_dir(f.unwrap().path()).unwrap().count()).sum::<usize>(), 0);
    same(&bench.path("data"), &bench.path("three"));
}

/// As in a registry that can only be read.
#[test]
fn a_cache_that_cannot_be_written_is_in_nobodys_way() {
    let bench = Bench::new();
    let content = bench.add(false).content;
    fs::write(bench.path("raw"), "in the way").unwrap();
    for link in [false, true] {
        let raw = RawCache::new(&bench.path("raw/cache"), 1 << 30, link);
        let to = format!("out {link}");
        bench.get(content, &to, Some(&raw));
        raw.trim().unwrap();
        same(&bench.path("data"), &bench.path(&to));
    }
}
