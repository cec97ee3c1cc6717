//! Tables and text that were edited: what is added is about what was changed, it comes back, and what it stands on
//! is kept.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lab_objects::{
    Collector, Folder, GetOptions, Silent, StatCache, Store, add, add_cached, check, get,
};
use lab_schema::{BlobId, ContentId};

/// Rows that do not repeat each other.
fn rows(from: u64, count: u64) -> Vec<String> {
    let row = |n: u64| {
        let digest = BlobId::of(&n.to_le_bytes()).digest().to_string();
        format!("{n},{},{}\n", &digest[..40], n % 10)
    };
    (from..from + count).map(row).collect()
}

struct Bench {
    folder: tempfile::TempDir,
    store: Store,
}

impl Bench {
    fn new() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let backend = Folder::create(&folder.path().join("store")).unwrap();
        Bench { store: Store::create(Arc::new(backend)).unwrap(), folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Bytes in packs.
    fn stored(&self) -> u64 {
        let packs = fs::read_dir(self.path("store/packs")).unwrap();
        packs.map(|pack| pack.unwrap().metadata().unwrap().len()).sum()
    }

    fn write(&self, rows: &[String]) {
        fs::create_dir_all(self.path("data/sub")).unwrap();
        fs::write(self.path("data/sub/table.csv"), rows.concat()).unwrap();
    }

    /// Adds the folder, and tells how much that took.
    fn add(&self, bases: &[ContentId], cached: bool) -> (ContentId, u64) {
        let before = self.stored();
        let mut writer = self.store.writer();
        writer.set_bases(bases);
        let mut cache = cached.then(|| StatCache::open(&self.path("stat")));
        let added = match &mut cache {
            None => add(&mut writer, &self.path("data"), &Silent).unwrap(),
            cache => add_cached(&mut writer, &self.path("data"), cache.as_mut(), &Silent).unwrap(),
        };
        writer.finish().unwrap();
        cache.map_or(Ok(()), StatCache::save).unwrap();
        (added.content, self.stored() - before)
    }

    fn comes_back(&self, content: ContentId, rows: &[String]) {
        let to = self.path("out");
        let options = GetOptions { force: false, raw: None };
        get(&self.store, content, &to, &options, &Silent).unwrap();
        assert!(fs::read(to.join("sub/table.csv")).unwrap() == rows.concat().into_bytes());
        fs::remove_dir_all(to).unwrap();
    }

    fn reopened(&self) -> Store {
        Store::open(Arc::new(Folder::open(&self.path("store")).unwrap())).unwrap()
    }

    fn sound(&self) {
        let report = check(&self.store, true, &Silent).unwrap();
        assert!(report.findings.is_empty(), "{:?}", report.findings);
    }
}

/// One row in a thousand has another label.
fn relabelled(rows: &[String]) -> Vec<String> {
    let relabel = |(n, row): (usize, &String)| match n % 1000 {
        500 => format!("{}X\n", row.trim_end()),
        _ => row.clone(),
    };
    rows.iter().enumerate().map(relabel).collect()
}

#[test]
fn rows_that_were_edited_all_over_take_little_more_than_themselves() {
    let first = rows(0, 150_000);
    let second = relabelled(&first);
    for how in ["what was read at the path", "a base", "neither"] {
        let bench = Bench::new();
        bench.write(&first);
        let cached = how == "what was read at the path";
        let (before, whole) = bench.add(&[], cached);
        bench.write(&second);
        let bases = if how == "a base" { vec![before] } else { Vec::new() };
        let (after, more) = bench.add(&bases, cached);
        assert_ne!(before, after);
        match how {
            // Every chunk was touched, and only cutting helps.
            "neither" => assert!(more > whole / 2, "{more} of {whole}"),
            _ => assert!(more < whole / 50, "{how}: {more} of {whole}"),
        }
        bench.comes_back(before, &first);
        bench.comes_back(after, &second);
        bench.sound();
    }
}

#[test]
fn versions_after_versions_stay_readable_and_so_does_each_without_the_others() {
    let bench = Bench::new();
    let mut versions = vec![rows(0, 20_000)];
    for n in 1..14 {
        let mut next = relabelled(&versions[n - 1]);
        next.splice(n * 700..n * 700 + 3, rows(n as u64 * 1_000_000, 5));
        versions.push(next);
    }
    let mut ids = Vec::new();
    for version in &versions {
        bench.write(version);
        ids.push(bench.add(&[], true).0);
    }
    for (id, version) in ids.iter().zip(&versions) {
        bench.comes_back(*id, version);
    }
    // What the last one stands on stays, and nothing else.
    let mut collector = Collector::begin(&bench.store, Duration::ZERO).unwrap();
    collector.keep(&[ids[13].into()]).unwrap();
    let plan = collector.plan().unwrap();
    collector.carry_out(&plan, &Silent).unwrap();
    bench.comes_back(ids[13], &versions[13]);
    bench.sound();
}

#[test]
fn a_change_that_lost_what_it_stands_on_is_no_damage_and_is_not_relied_on() {
    let bench = Bench::new();
    let first = rows(0, 20_000);
    bench.write(&first);
    let (before, _) = bench.add(&[], false);
    let second = relabelled(&first);
    bench.write(&second);
    // Much noise comes after it: the changes lie in its first pack, lists and trees in its last.
    let noise = noise(36 << 20);
    fs::create_dir(bench.path("data/then")).unwrap();
    fs::write(bench.path("data/then/noise"), &noise).unwrap();
    bench.add(&[before], false);
    for _ in 0..2 {
        let mut collector = Collector::begin(&bench.store, Duration::ZERO).unwrap();
        collector.keep(&[BlobId::of(&noise).into()]).unwrap();
        let plan = collector.plan().unwrap();
        collector.carry_out(&plan, &Silent).unwrap();
    }
    let bench = Bench { store: bench.reopened(), ..bench };
    bench.sound();
    // Another process has not seen what the check has.
    let bench = Bench { store: bench.reopened(), ..bench };
    fs::remove_dir_all(bench.path("data/then")).unwrap();
    let (again, _) = bench.add(&[], false);
    bench.comes_back(again, &second);
    bench.sound();
}

/// Some bytes that do not compress, to fill packs with.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}
