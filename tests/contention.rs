//! Promise 2 with many at one store: writers, readers and a collector at once lose nothing.
//!
//! Eight writers add overlapping data sets, move names of their own and one that all share, and
//! delete some, so that there is something to collect. Two readers get back what was reported and
//! compare it. At the end every byte is checked, and every name.
#![allow(clippy::unwrap_used, missing_docs)]

mod kit;
mod reliability;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use kit::{Place, Said};
use reliability::sample::{collects, demand, difference, holds, noise, sound};
use reliability::{Dice, figure, times};

const WRITERS: u64 = 8;
const READERS: u64 = 2;

/// Names that one writer keeps at a time; it deletes its oldest.
const KEPT: usize = 12;

/// What the names must lead to: the number from which a data set is made.
#[derive(Default)]
struct Known {
    /// Names that are settled: reported, and not moved or deleted since.
    names: Mutex<BTreeMap<String, u64>>,
    adds: AtomicU64,
    reads: AtomicU64,
    moved_by_others: AtomicU64,
    deleted: AtomicU64,
    collections: AtomicU64,
}

fn count(counter: &AtomicU64) -> u64 {
    counter.fetch_add(1, Ordering::Relaxed)
}

/// A data set of pieces out of one pool, so that any two share some, and of bytes of its own.
fn make(folder: &Path, number: u64) {
    fs::create_dir_all(folder.join("in")).unwrap();
    let mut dice = Dice(number);
    for i in 0..4 {
        let piece = dice.below(40);
        let len = 2_000 + piece as usize * 700;
        fs::write(folder.join(format!("in/{i}")), noise(piece, len)).unwrap();
    }
    // Longer than a chunk may be, with a shared start.
    let mut large = noise(dice.below(4) + 100, 150_000);
    large.extend(noise(number + 1000, 30_000));
    fs::write(folder.join("large"), large).unwrap();
    fs::write(folder.join("number"), number.to_string()).unwrap();
}

/// Adds data set after data set.
fn write(place: &Place, writer: u64, known: &Known, end: Instant) {
    let mut dice = Dice(writer + 77);
    let mut mine: Vec<String> = Vec::new();
    let mut round = 0;
    while Instant::now() < end {
        round += 1;
        // Some are what another writer adds too, perhaps at this moment.
        let number = if dice.below(3) == 0 { dice.below(50) } else { writer * 1_000_000 + round };
        let folder = format!("writer-{writer}-{round}");
        make(&place.at(&folder), number);
        let when = format!("writer {writer}, round {round}");
        let name = match dice.below(4) {
            0 => "shared".to_owned(),
            // A name is moved, and its old data may be collected.
            1 if !mine.is_empty() => mine[dice.below(mine.len() as u64) as usize].clone(),
            _ => format!("name-{writer}-{round}"),
        };
        known.names.lock().unwrap().remove(&name);
        let said = place.lab(["add", &folder, "--name", &name]);
        count(&known.adds);
        if name == "shared" && said.code == 4 {
            // Of two who move a name from the same place one is refused, and told so.
            count(&known.moved_by_others);
        } else {
            demand(said.code == 0, &when, &said);
        }
        if name != "shared" {
            known.names.lock().unwrap().insert(name.clone(), number);
            if !mine.contains(&name) {
                mine.push(name);
            }
        }
        if mine.len() > KEPT {
            let name = mine.remove(0);
            known.names.lock().unwrap().remove(&name);
            let said = place.lab(["name", "--delete", &name]);
            demand(said.code == 0, &when, &said);
            count(&known.deleted);
        }
        fs::remove_dir_all(place.at(&folder)).unwrap();
    }
}

/// Whether a name still leads to what it did when a reader began.
fn settled(known: &Known, name: &str, number: u64) -> bool {
    known.names.lock().unwrap().get(name) == Some(&number)
}

/// Reads back what was reported. What was moved or deleted meanwhile may be gone, not wrong.
fn read(place: &Place, reader: u64, known: &Known, end: Instant) {
    let mut dice = Dice(reader + 99);
    let (wanted, copy) = (format!("wanted-{reader}"), format!("copy-{reader}"));
    while Instant::now() < end {
        let chosen = {
            let names = known.names.lock().unwrap();
            let at = dice.below(names.len() as u64) as usize;
            names.iter().nth(at).map(|(name, number)| (name.clone(), *number))
        };
        let Some((name, number)) = chosen else {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        };
        let when = format!("reader {reader}, {name} with number {number}");
        make(&place.at(&wanted), number);
        let got = place.lab(["get", &name, &copy]);
        let cat = place.lab(["cat", &format!("{name}/number")]);
        if settled(known, &name, number) {
            demand(got.code == 0, &when, &got);
            assert_eq!(difference(&place.at(&wanted), &place.at(&copy)), None, "{when}");
            demand(cat.code == 0 && cat.out == number.to_string(), &when, &cat);
            count(&known.reads);
        } else {
            demand([0, 3].contains(&got.code), &when, &got);
        }
        for folder in [&wanted, &copy] {
            if place.at(folder).exists() {
                fs::remove_dir_all(place.at(folder)).unwrap();
            }
        }
    }
}

fn collect(place: &Place, known: &Known, end: Instant) {
    while Instant::now() < end {
        let said: Said = place.lab(["gc", "--grace", "0s", "--history", "0s"]);
        demand(said.code == 0, "the collector", &said);
        count(&known.collections);
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn writers_readers_and_a_collector_lose_nothing() {
    let place = Place::registry();
    let known = Known::default();
    let seconds = times(8, 300);
    let end = Instant::now() + Duration::from_secs(seconds);
    std::thread::scope(|scope| {
        let (place, known) = (&place, &known);
        for writer in 0..WRITERS {
            scope.spawn(move || write(place, writer, known, end));
        }
        for reader in 0..READERS {
            scope.spawn(move || read(place, reader, known, end));
        }
        if collects() {
            scope.spawn(move || collect(place, known, end));
        }
    });
    let names = known.names.into_inner().unwrap();
    sound(&place, ".", "at the end");
    for (name, number) in &names {
        let wanted = place.at("wanted");
        make(&wanted, *number);
        holds(&place, ".", name, &wanted, &format!("at the end, {name} with number {number}"));
        fs::remove_dir_all(wanted).unwrap();
    }
    // Whoever moved it last, it leads to something whole.
    place.lab(["get", "shared", "shared"]).succeeds();
    let number = place.read("shared/number");
    make(&place.at("wanted"), String::from_utf8(number).unwrap().parse().unwrap());
    assert_eq!(difference(&place.at("wanted"), &place.at("shared")), None);

    let [adds, reads, deleted, others, collections] =
        [known.adds, known.reads, known.deleted, known.moved_by_others, known.collections]
            .map(AtomicU64::into_inner);
    figure(&format!(
        "contention for {seconds} s: {adds} adds ({others} refused, since another had moved the \
         name), {deleted} names deleted, {reads} reads compared, {collections} collections; \
         {} names compared at the end",
        names.len()
    ));
    assert!(adds >= 3 * WRITERS && reads >= READERS, "too little happened to prove anything");
}
