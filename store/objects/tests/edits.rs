//! Tables and text that were edited: what is added is about what was changed, it comes back, and what it stands on
//! is kept.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lab_objects::{
    Collector, Folder, GetOptions, Silent, StatCache, Store, add, add_cached, check, get,
};
use lab_schema::{BlobId, ContentId, ObjectId, Tree};

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

    /// Everything that this is made of.
    fn all_of(&self, content: ContentId) -> Vec<ObjectId> {
        let mut all = vec![content.into()];
        if let ContentId::Tree(tree) = content {
            let tree: Tree = self.store.get(tree).unwrap().unwrap();
            let below = tree.entries().iter().filter_map(|entry| entry.node.content());
            all.extend(below.flat_map(|content| self.all_of(content)));
        }
        all
    }

    fn collect(&self, keep: &[ObjectId]) {
        let mut collector = Collector::begin(&self.store, Duration::ZERO).unwrap();
        collector.keep(keep).unwrap();
        let plan = collector.plan().unwrap();
        collector.carry_out(&plan, &Silent).unwrap();
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
fn rows_put_in_and_taken_out_take_little_more_than_what_is_new() {
    let (first, new) = (rows(0, 150_000), rows(1_000_000, 32_000));
    let mut second = first.clone();
    for (n, run) in new.chunks(8_000).enumerate().rev() {
        let at = 20_000 + n * 30_000;
        second.splice(at..at, run.to_vec());
        second.drain(at - 10_000..at - 1_000);
    }
    let alone = Bench::new();
    alone.write(&new);
    let (_, least) = alone.add(&[], false);
    let bench = Bench::new();
    bench.write(&first);
    bench.add(&[], true);
    bench.write(&second);
    let (after, more) = bench.add(&[], true);
    // Beside the eight edits parts of chunks are written again.
    assert!(more < least + least / 4, "{more}, and {least} alone");
    bench.comes_back(after, &second);
    bench.sound();
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
    for _ in 0..2 {
        bench.collect(&bench.all_of(ids[13]));
        bench.comes_back(ids[13], &versions[13]);
    }
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
    let noise = noise(1, 36 << 20);
    fs::create_dir(bench.path("data/then")).unwrap();
    fs::write(bench.path("data/then/noise"), &noise).unwrap();
    bench.add(&[before], false);
    for _ in 0..2 {
        bench.collect(&[BlobId::of(&noise).into()]);
    }
    let bench = bench.anew();
    bench.sound();
    // Another process has not seen what the check has.
    let bench = bench.anew();
    fs::remove_dir_all(bench.path("data/then")).unwrap();
    let (again, _) = bench.add(&[], false);
    bench.comes_back(again, &second);
    bench.sound();
}

/// Rows were put in here and there: beside these the file is cut in another way if the earlier one is known.
fn longer(rows: &[String]) -> Vec<String> {
    let mut longer = rows.to_vec();
    for n in (0..12).rev() {
        let at = n * rows.len() / 12 + 1_000;
        longer.splice(at..at, self::rows(1_000_000 * (n as u64 + 1), 700));
    }
    longer
}

impl Bench {
    fn packs(&self) -> BTreeSet<PathBuf> {
        let packs = fs::read_dir(self.path("store/packs")).unwrap();
        packs.map(|pack| pack.unwrap().path()).collect()
    }

    /// As another process sees it.
    fn anew(self) -> Bench {
        Bench { store: self.reopened(), ..self }
    }

    /// A table that was cut beside an earlier version of it, and after it so much noise that its
    /// chunks lie in another pack than its list. Also the new packs.
    fn with_a_longer_table() -> (Bench, Vec<String>, Vec<u8>, Vec<PathBuf>) {
        let bench = Bench::new();
        let first = rows(0, 60_000);
        bench.write(&first);
        let (before, _) = bench.add(&[], false);
        let old = bench.packs();
        let (second, noise) = (longer(&first), noise(1, 36 << 20));
        bench.write(&second);
        fs::create_dir(bench.path("data/then")).unwrap();
        fs::write(bench.path("data/then/noise"), &noise).unwrap();
        bench.add(&[before], false);
        let new: Vec<PathBuf> = bench.packs().difference(&old).cloned().collect();
        assert_eq!(new.len(), 2);
        (bench, second, noise, new)
    }
}

#[test]
fn a_file_that_was_cut_in_another_way_is_put_right_by_adding_it_again() {
    for which in 0..2 {
        for gone in [true, false] {
            let (bench, second, _, packs) = Bench::with_a_longer_table();
            if gone {
                fs::remove_file(&packs[which]).unwrap();
            } else {
                let mut bytes = fs::read(&packs[which]).unwrap();
                // The list of contents at its end is spared.
                let end = bytes.len().min(1 << 20) - (64 << 10);
                bytes[100..end].iter_mut().step_by(10_000).for_each(|byte| *byte ^= 1);
                fs::set_permissions(&packs[which], fs::Permissions::from_mode(0o600)).unwrap();
                fs::write(&packs[which], bytes).unwrap();
            }
            let bench = bench.anew();
            let mut writer = bench.store.writer();
            if !gone {
                writer.trust_nothing();
            }
            let again = add(&mut writer, &bench.path("data"), &Silent).unwrap().content;
            writer.finish().unwrap();
            let bench = bench.anew();
            bench.comes_back(again, &second);
            let report = check(&bench.store, true, &Silent).unwrap();
            assert!(report.lost.is_empty(), "{which} {gone}: {:?}", report.findings);
        }
    }
}

#[test]
fn a_file_whose_chunks_were_about_to_go_stays_once_it_is_added_again() {
    let (bench, second, noise, _) = Bench::with_a_longer_table();
    let noise = BlobId::of(&noise).into();
    bench.collect(&[noise]);
    let bench = bench.anew();
    fs::remove_dir_all(bench.path("data/then")).unwrap();
    let (again, _) = bench.add(&[], false);
    let bench = bench.anew();
    for _ in 0..3 {
        bench.collect(&[&[noise], &bench.all_of(again)[..]].concat());
        bench.comes_back(again, &second);
        bench.sound();
    }
}

#[test]
fn two_who_cut_a_file_in_different_ways_at_once_both_have_it() {
    let first = rows(0, 60_000);
    let second = longer(&first);
    let bench = Bench::new();
    bench.write(&first);
    let (before, _) = bench.add(&[], false);
    bench.write(&second);
    let mut trees = Vec::new();
    let mut writers = Vec::new();
    for bases in [&[before][..], &[]] {
        let store = bench.reopened();
        let mut writer = store.writer();
        writer.set_bases(bases);
        trees.push(add(&mut writer, &bench.path("data"), &Silent).unwrap().content);
        writers.push(writer);
    }
    assert_eq!(trees[0], trees[1]);
    writers.into_iter().for_each(|writer| writer.finish().unwrap());
    let bench = bench.anew();
    for _ in 0..3 {
        bench.collect(&bench.all_of(trees[0]));
        bench.comes_back(trees[0], &second);
        bench.sound();
    }
}

// proves L-35
#[test]
fn of_two_lists_the_one_that_lost_nothing_counts() {
    let first = rows(0, 60_000);
    let second = longer(&first);
    for which in 0..2 {
        let bench = Bench::new();
        bench.write(&first);
        let (before, _) = bench.add(&[], false);
        bench.write(&second);
        fs::create_dir(bench.path("data/then")).unwrap();
        let (mut writers, mut chunks, mut contents) = (Vec::new(), Vec::new(), Vec::new());
        for bases in [&[before][..], &[]] {
            let mut writer = bench.reopened().writer();
            writer.set_bases(bases);
            // From now on it sees nothing of the other.
            writer.put_bytes(b"begun").unwrap();
            writers.push(writer);
        }
        for (seed, writer) in (2..).zip(&mut writers) {
            // The chunks of each lie in another pack than its list.
            fs::write(bench.path("data/then/noise"), noise(seed, 36 << 20)).unwrap();
            let old = bench.packs();
            contents.push(add(writer, &bench.path("data"), &Silent).unwrap().content);
            // That pack is published as soon as it is full.
            let published = || bench.packs().difference(&old).next().cloned();
            let tries = std::iter::repeat_with(|| {
                std::thread::sleep(Duration::from_millis(1));
                published()
            });
            chunks.push(tries.take(20_000).flatten().next().unwrap());
        }
        writers.into_iter().for_each(|writer| writer.finish().unwrap());
        fs::remove_file(&chunks[which]).unwrap();
        let bench = bench.anew();
        bench.comes_back(contents[1 - which], &second);
        // Noise was lost with it.
        let mut writer = bench.store.writer();
        writer.put_bytes(&noise(2 + which as u64, 36 << 20)).unwrap();
        writer.finish().unwrap();
        for _ in 0..3 {
            bench.sound();
            bench.collect(&bench.all_of(contents[which]));
            bench.comes_back(contents[which], &second);
        }
        bench.anew().comes_back(contents[which], &second);
    }
}

#[test]
fn a_list_that_lost_its_nodes_gets_another_beside_it() {
    let first = rows(0, 600_000);
    let mut second = first.clone();
    second.splice(580_000..580_000, rows(1_000_000, 700));
    let bench = Bench::new();
    bench.write(&first);
    let (before, _) = bench.add(&[], false);
    let old = bench.packs();
    bench.write(&second);
    let (after, more) = bench.add(&[before], false);
    assert!(more < 300_000, "{more}");
    old.iter().for_each(|pack| fs::remove_file(pack).unwrap());
    let bench = bench.anew();
    let (again, _) = bench.add(&[], false);
    assert_eq!(again, after);
    let bench = bench.anew();
    bench.comes_back(again, &second);
    assert!(check(&bench.store, true, &Silent).unwrap().lost.len() <= 3);
    for _ in 0..3 {
        bench.collect(&bench.all_of(again));
        bench.comes_back(again, &second);
    }
    bench.sound();
}

/// Some bytes that do not compress, to fill packs with.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}
