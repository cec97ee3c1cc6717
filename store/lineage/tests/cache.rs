//! The index is a cache: whatever happens to it, or to parts of the store, the answers stay right.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use common::{Story, World, answers, recipe, run, try_answers};
use lab_lineage::{Lineage, Unread};
use lab_objects::{Backend, Key, Memory, PackId, Room, Store};
use lab_schema::{ContentId, Number, Object, Signed};

/// A history with folders, code, attestations and a run that has its makers; and the contents in it.
fn history(world: &World) -> Vec<ContentId> {
    let (raw, clean, model) = (world.blob("raw"), world.blob("clean"), world.blob("model"));
    let code = world.tree(&[("train.py", world.blob("code"))]);
    let deep = world.tree(&[("clean", clean)]);
    let folder = world.tree(&[("deep", deep.into())]);
    let prepare = world.run(Story {
        argv: "prepare",
        inputs: &[("raw", raw)],
        outputs: &[("out", folder.into())],
        ..Story::default()
    });
    for started_ms in 2..6 {
        let run = world.run(Story {
            argv: "train",
            inputs: &[("data", clean)],
            code: Some(code),
            outputs: &[("model", model)],
            started_ms,
            ..Story::default()
        });
        let attested = world.attest(run, started_ms);
        world.sign(Signed::Run(run), started_ms);
        world.sign(Signed::Attestation(attested), started_ms);
    }
    // A run that has who made what it read, of a folder that nobody left.
    let read = world.tree(&[("clean", clean), ("raw", raw)]);
    let story = Story { argv: "use", inputs: &[("all", read.into())], ..Story::default() };
    let recipe = recipe(&story);
    world.put(&recipe);
    let mut told = run(&story, recipe.id());
    told.makers = [("all".to_owned(), [prepare].into())].into();
    world.put(&told);
    vec![raw, clean, model, code.into(), deep.into(), folder.into(), read.into()]
}

fn open(path: &Path, store: &Store) -> Lineage {
    let mut lineage = Lineage::open(path).unwrap();
    lineage.refresh(store).unwrap();
    lineage
}

#[test]
fn an_index_that_is_held_answers_as_it_was() {
    let world = World::new();
    let contents = history(&world);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.db");
    let asked = open(&path, &world.store);
    let before = answers(&asked, &contents);
    let raw = world.blob("raw");
    let held = asked.hold().unwrap();
    let within = asked.hold().unwrap();
    assert_eq!(answers(&asked, &contents), before);
    drop(within);
    let run = world.run(Story { argv: "late", inputs: &[("raw", raw)], ..Story::default() });
    let (store, elsewhere) = (&world.store, &path);
    std::thread::scope(|scope| {
        // It waits until the index is let go.
        let writer = scope.spawn(move || answers(&open(elsewhere, store), &[]));
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert!(!writer.is_finished());
        assert_eq!(answers(&asked, &contents), before);
        drop(held);
        assert!(writer.join().unwrap().contains(&run.to_string()));
    });
    assert_ne!(answers(&asked, &contents), before, "nothing is held any more");
    assert!(asked.runs().unwrap().iter().any(|row| row.id == run));
}

#[test]
fn deleting_the_index_changes_no_answer() {
    let world = World::new();
    let contents = history(&world);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.db");
    let first = answers(&open(&path, &world.store), &contents);
    assert!(first.contains("inside: true"));

    let kept = Lineage::open(&path).unwrap();
    assert_eq!(kept.path(), Some(&*path));
    assert_eq!(answers(&kept, &contents), first, "it is kept without a refresh");
    drop(kept);

    fs::remove_file(&path).unwrap();
    assert_ne!(answers(&Lineage::open(&path).unwrap(), &contents), first);
    assert_eq!(answers(&open(&path, &world.store), &contents), first);
    assert_eq!(answers(&world.lineage(), &contents), first);
}

#[test]
fn something_else_in_its_place_is_replaced() {
    let world = World::new();
    let contents = history(&world);
    let expected = answers(&world.lineage(), &contents);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.db");

    let mut good = Vec::new();
    let other_version = |path: &Path| {
        let db = rusqlite::Connection::open(path).unwrap();
        db.execute_batch(
            "CREATE TABLE run (id TEXT); CREATE VIEW reads AS SELECT id FROM run;
             INSERT INTO run VALUES ('x'); PRAGMA user_version = 7;",
        )
        .unwrap();
    };
    for case in ["absent", "garbage", "long garbage", "empty", "cut", "other version", "torn"] {
        let _ = fs::remove_file(&path);
        match case {
            "garbage" => fs::write(&path, b"this is not a database").unwrap(),
            "long garbage" => fs::write(&path, vec![0xa5; 100_000]).unwrap(),
            "empty" => fs::write(&path, b"").unwrap(),
            "cut" => fs::write(&path, &good[..good.len() / 2]).unwrap(),
            "other version" => other_version(&path),
            "torn" => {
                let mut torn = good.clone();
                torn[4096..].fill(0x5a);
                fs::write(&path, torn).unwrap();
            }
            _ => {}
        }
        let lineage = open(&path, &world.store);
        assert_eq!(answers(&lineage, &contents), expected, "{case}");
        assert_eq!(lineage.path(), Some(&*path), "{case}: the file is used again");
        drop(lineage);
        assert_eq!(answers(&Lineage::open(&path).unwrap(), &contents), expected, "{case}");
        good = fs::read(&path).unwrap();
    }
}

/// Each page in turn is overwritten. Whoever stumbles over it may fail once; the next one does not.
#[test]
fn a_damaged_page_is_an_obstacle_once() {
    let world = World::new();
    let contents = history(&world);
    let expected = answers(&world.lineage(), &contents);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.db");
    drop(open(&path, &world.store));
    let good = fs::read(&path).unwrap();
    let (mut stumbled, mut page) = (0, 4096);
    while page < good.len() {
        let mut bad = good.clone();
        bad[page..page + 4096].fill(0x5a);
        fs::write(&path, &bad).unwrap();
        stumbled += usize::from(try_answers(&open(&path, &world.store), &contents).is_err());
        assert_eq!(answers(&open(&path, &world.store), &contents), expected, "page at {page}");
        page += 4096;
    }
    assert!(stumbled > 0, "no page was needed");
}

#[test]
fn a_place_that_cannot_be_written_is_no_obstacle() {
    let world = World::new();
    let contents = history(&world);
    let expected = answers(&world.lineage(), &contents);
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("absent/index.db"), folder.path().to_owned()] {
        let lineage = open(&path, &world.store);
        assert_eq!(answers(&lineage, &contents), expected);
        assert_eq!(lineage.path(), None);
    }
}

/// What a link in the index's place leads to is not ours to empty; a folder above may be a link.
#[test]
fn a_link_in_its_place_is_left_alone() {
    let world = World::new();
    let contents = history(&world);
    let folder = tempfile::tempdir().unwrap();
    let [letter, path, real, link] =
        ["letter", "index.db", "real", "link"].map(|file_name| folder.path().join(file_name));
    fs::write(&letter, "dear all, this is no database").unwrap();
    std::os::unix::fs::symlink(&letter, &path).unwrap();
    let lineage = open(&path, &world.store);
    assert_eq!(lineage.path(), None);
    assert_eq!(answers(&lineage, &contents), answers(&world.lineage(), &contents));
    assert_eq!(fs::read(&letter).unwrap(), b"dear all, this is no database");

    fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    assert!(open(&link.join("index.db"), &world.store).path().is_some());
    assert!(real.join("index.db").exists());
}

#[test]
fn an_index_of_another_store_is_corrected() {
    let (one, two) = (World::new(), World::new());
    let contents = history(&one);
    two.run(Story { argv: "elsewhere", ..Story::default() });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.db");
    open(&path, &two.store);
    assert_eq!(answers(&open(&path, &one.store), &contents), answers(&one.lineage(), &contents));
}

#[test]
fn growth_is_taken_in_once() {
    let world = World::new();
    let mut lineage = world.lineage();
    let run = world.run(Story::default());
    let refreshed = lineage.refresh(&world.store).unwrap();
    assert_eq!((refreshed.taken_in, refreshed.forgotten), (2, 0));
    assert_eq!(lineage.refresh(&world.store).unwrap().taken_in, 0);
    // The same recipe in a second pack is not new.
    world.put(&common::recipe(&Story::default()));
    world.attest(run, 1);
    assert_eq!(lineage.refresh(&world.store).unwrap().taken_in, 1);
}

/// Objects arrive in any order; what holds a folder may be known long before it.
#[test]
fn the_order_of_arrival_changes_no_answer() {
    let whole = World::new();
    let contents = history(&whole);
    let expected = answers(&whole.lineage(), &contents);
    let mut packs = whole.backend.list(Room::Packs).unwrap();
    for round in 0..6 {
        let third = packs.len() / 3 + round;
        packs.rotate_left(third);
        if round % 2 == 1 {
            packs.reverse();
        }
        let backend = Arc::new(Memory::new());
        let store = Store::create(backend.clone()).unwrap();
        let mut lineage = Lineage::in_memory().unwrap();
        for (pack, _) in &packs {
            copy(&*whole.backend, &*backend, pack);
            lineage.refresh(&store).unwrap();
        }
        assert_eq!(answers(&lineage, &contents), expected, "round {round}");
    }
}

fn copy(from: &dyn Backend, to: &dyn Backend, pack: &Key) {
    to.publish(pack, &from.read(pack).unwrap().unwrap()).unwrap();
}

fn remove(backend: &dyn Backend, pack: &Key) {
    assert!(backend.remove(pack).unwrap());
}

/// The rows of every table but the dictionary of words.
fn rows(path: &Path) -> Vec<(String, i64)> {
    let db = rusqlite::Connection::open(path).unwrap();
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'word'";
    let tables: Vec<String> = db
        .prepare(sql)
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let count = |table: String| {
        let sql = format!("SELECT COUNT(*) FROM {table}");
        (table, db.query_row(&sql, [], |row| row.get(0)).unwrap())
    };
    tables.into_iter().map(count).collect()
}

/// Takes packs away one by one: the grown index says what a new one would, and nothing of them is left;
/// then it all comes back.
#[test]
fn packs_that_are_gone_are_forgotten() {
    for turn in 0..4 {
        forget_packs(turn);
    }
}

fn forget_packs(turn: usize) {
    let mut world = World::new();
    let contents = history(&world);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.db");
    let mut lineage = open(&path, &world.store);
    let full = rows(&path);
    assert!(full.iter().any(|(table, count)| table == "holds" && *count > 0), "{full:?}");
    let (all, expected) = (Arc::new(Memory::new()), answers(&lineage, &contents));
    Store::create(all.clone()).unwrap();
    let mut packs = world.backend.list(Room::Packs).unwrap();
    let quarter = packs.len() * turn / 4;
    packs.rotate_left(quarter);
    if turn % 2 == 1 {
        packs.reverse();
    }
    for (pack, _) in &packs {
        copy(&*world.backend, &*all, pack);
        remove(&*world.backend, pack);
        world.reopen();
        lineage.refresh(&world.store).unwrap();
        assert_eq!(answers(&lineage, &contents), answers(&world.lineage(), &contents));
    }
    assert_eq!(lineage.runs().unwrap(), []);
    for (table, count) in rows(&path) {
        assert_eq!(count, 0, "{table}");
    }
    for (pack, _) in packs.iter().rev() {
        copy(&*all, &*world.backend, pack);
        world.reopen();
        lineage.refresh(&world.store).unwrap();
    }
    assert_eq!(answers(&lineage, &contents), expected);
    assert_eq!(rows(&path), full);
}

/// A repack moves everything into one pack: the same answers, nothing forgotten.
#[test]
fn what_another_pack_holds_stays() {
    let mut world = World::new();
    let contents = history(&world);
    let mut lineage = world.lineage();
    let expected = answers(&lineage, &contents);
    let old = world.backend.list(Room::Packs).unwrap();
    let mut writer = world.store.writer();
    for kind in lab_schema::Kind::ALL {
        for id in world.store.list(kind).unwrap() {
            let mut bytes = world.store.open_object(id).unwrap().unwrap();
            writer.put_verified(id, &mut bytes).unwrap();
        }
    }
    let packed = writer.finish();
    packed.unwrap();
    let grown = world.backend.list(Room::Packs).unwrap().len() > old.len();
    if grown {
        old.iter().for_each(|(pack, _)| remove(&*world.backend, pack));
        world.reopen();
    }
    let refreshed = lineage.refresh(&world.store).unwrap();
    assert_eq!((refreshed.taken_in, refreshed.forgotten), (0, 0));
    assert_eq!(answers(&lineage, &contents), expected);
}

#[test]
fn processes_that_refresh_at_once_agree() {
    let world = World::new();
    let contents = history(&world);
    let expected = answers(&world.lineage(), &contents);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.db");
    fs::write(&path, vec![0xa5; 5_000]).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let lineage = open(&path, &world.store);
                    assert_eq!(lineage.runs().unwrap().len(), 6);
                }
            });
        }
    });
    assert_eq!(answers(&Lineage::open(&path).unwrap(), &contents), expected);
}

/// One object is damaged: it is named, the rest is known; once repaired, all is.
#[test]
fn a_damaged_object_does_not_hide_the_others() {
    let world = World::new();
    let contents = history(&world);
    let expected = answers(&world.lineage(), &contents);
    let victim = world.run(Story { argv: "victim", ..Story::default() });
    let recipe = common::recipe(&Story { argv: "victim", ..Story::default() });
    let holds = |pack: &PackId| world.store.pack_objects(*pack).unwrap() == [victim.into()];
    let pack = world.store.packs().unwrap().into_iter().find(holds);
    *world.backend.pack.lock().unwrap() = pack;
    assert!(pack.is_some());

    let mut lineage = Lineage::in_memory().unwrap();
    for _ in 0..2 {
        let refreshed = lineage.refresh(&world.store).unwrap();
        let what: Vec<Unread> = refreshed.skipped.iter().map(|s| s.what).collect();
        assert_eq!(what, [Unread::Object(victim.into())]);
        assert!(!refreshed.skipped[0].why.is_empty());
        assert_eq!(answers(&lineage, &contents), expected);
    }
    *world.backend.pack.lock().unwrap() = None;
    let refreshed = lineage.refresh(&world.store).unwrap();
    assert_eq!((refreshed.taken_in, refreshed.skipped.len()), (1, 0));
    assert_eq!(lineage.runs_of(recipe.id()).unwrap(), [victim]);
}

/// Ten contents that nobody else left, two metrics and two parameters: less than a kilobyte for each run,
/// at once or in a hundred pieces.
#[test]
fn a_run_takes_less_than_a_kilobyte() {
    const RUNS: u64 = 5_000;
    for pieces in [1, 100] {
        let world = World::new();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index.db");
        let data = common::nowhere("data");
        for piece in 0..pieces {
            let mut writer = world.store.writer();
            for n in (0..RUNS).filter(|n| n % pieces == piece) {
                let slots: Vec<String> = (0..10).map(|i| format!("out{i}.bin")).collect();
                let outputs: Vec<(&str, ContentId)> = slots
                    .iter()
                    .map(|slot| (slot.as_str(), common::nowhere(&format!("{n} {slot}"))))
                    .collect();
                let before = common::nowhere(&format!("{} out0.bin", n.saturating_sub(1)));
                let story = Story {
                    argv: &n.to_string(),
                    inputs: &[("data.csv", data), ("before", before)],
                    outputs: &outputs,
                    started_ms: 1_795_000_000_000 + n,
                    ..Story::default()
                };
                let recipe = common::recipe(&story);
                writer.put(&recipe).unwrap();
                let mut run = common::run(&story, recipe.id());
                run.outcome.metrics.insert("loss".into(), Number::new(n as f64 / 7.0).unwrap());
                writer.put(&run).unwrap();
            }
            writer.finish().unwrap();
            open(&path, &world.store);
        }
        let lineage = Lineage::open(&path).unwrap();
        assert_eq!(lineage.count_runs().unwrap(), RUNS);
        assert_eq!(lineage.consumers(data).unwrap().len() as u64, RUNS);
        let bytes = fs::metadata(&path).unwrap().len();
        assert!(bytes < 1_000 * RUNS, "{} bytes a run in {pieces} pieces", bytes / RUNS);
    }
}
