//! Seeds that generators of random numbers were given, as the programs told.

use std::collections::{BTreeMap, BTreeSet};

use lab_schema::observed::Observed;

/// How many are shown.
const FEW: usize = 4;

/// Generators that were given other seeds: what, then and now.
pub(super) fn rows(a: &Observed, b: &Observed) -> Vec<(String, Option<String>, Option<String>)> {
    let (x, y) = (by_generator(a), by_generator(b));
    // Who told nothing at all may not have been asked.
    if x.is_empty() || y.is_empty() {
        return Vec::new();
    }
    let names: BTreeSet<&String> = x.keys().chain(y.keys()).collect();
    let differ = names.into_iter().filter(|name| x.get(*name) != y.get(*name));
    let row = |name: &String| {
        let (p, q) = (x.get(name), y.get(name));
        (format!("seed of {name}"), p.map(|p| shown(p, q)), q.map(|q| shown(q, p)))
    };
    differ.map(row).collect()
}

fn by_generator(observed: &Observed) -> BTreeMap<String, BTreeSet<String>> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut all = BTreeMap::<_, BTreeSet<_>>::new();
    for seeded in &observed.seeds {
        all.entry(text(&seeded.what)).or_default().insert(text(&seeded.value));
    }
    all
}

/// The first of them, those first that the other does not have.
fn shown(seeds: &BTreeSet<String>, other: Option<&BTreeSet<String>>) -> String {
    let is_own = |seed: &&String| !other.is_some_and(|other| other.contains(*seed));
    let mut few: Vec<&str> = seeds.iter().filter(is_own).map(String::as_str).take(FEW).collect();
    if few.is_empty() {
        few = seeds.iter().map(String::as_str).take(FEW).collect();
    }
    few.join(", ") + if seeds.len() > few.len() { ", …" } else { "" }
}
