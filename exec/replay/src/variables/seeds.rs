//! Seeds that generators of random numbers were given, and what else the programs told.
//!
//! A flag and a number of threads are conditions of the arithmetic, and causes. The settings of an optimiser, a
//! loader or an estimator, orders and modes follow from code, parameters, arguments and seeds, all of which are
//! recorded: they are told last, so that they neither hide these nor keep runs from being compared.

use std::collections::{BTreeMap, BTreeSet};

use lab_schema::observed::{Observed, Seeded};

use crate::variables::variable::Layer;

/// How many are shown.
const FEW: usize = 4;

/// A sort of rows, what, then and now.
pub(super) type Row = (Layer, (String, Option<String>, Option<String>));

/// Of which kind, and of what.
type Key = (Option<&'static str>, String);

/// What was told otherwise.
pub(super) fn rows(a: &Observed, b: &Observed) -> Vec<Row> {
    let (x, y) = (by_name(a), by_name(b));
    let names: BTreeSet<&Key> = x.keys().chain(y.keys()).collect();
    let differ = names.into_iter().filter(|key| x.get(*key) != y.get(*key));
    let row = |key: &Key| {
        let (p, q) = (x.get(key), y.get(key));
        let asked = |all: &BTreeMap<Key, _>| all.keys().any(|(k, _)| k.is_some() == key.0.is_some());
        // Who told nothing of this sort may not have been asked, and one that was killed not at its end.
        let at_end = matches!(key.0, Some("flag" | "threads" | "order" | "mode" | "unseeded"));
        if !asked(&x) || !asked(&y) || at_end && (p.is_none() || q.is_none()) {
            return None;
        }
        let (layer, what) = match key.0 {
            None => (Layer::Seed, format!("seed of {}", key.1)),
            Some("flag") => (Layer::Engine, key.1.clone()),
            Some("threads") => (Layer::Threads, key.1.clone()),
            Some("order") => (Layer::Told, format!("order of {}", key.1)),
            Some(kind) => (Layer::Told, format!("{kind} {}", key.1)),
        };
        let (before, after) = match (p.and_then(only), q.and_then(only)) {
            (Some(p), Some(q)) => (Some(settings(p, q)), Some(settings(q, p))),
            _ => (p.map(|p| shown(p, q)), q.map(|q| shown(q, p))),
        };
        Some((layer, (what, before, after)))
    };
    differ.filter_map(row).collect()
}

fn by_name(observed: &Observed) -> BTreeMap<Key, BTreeSet<String>> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut all = BTreeMap::<_, BTreeSet<_>>::new();
    for told in &observed.seeds {
        let (kind, name) = Seeded::kind(told);
        all.entry((kind, text(name))).or_default().insert(text(&told.value));
    }
    all
}

fn only(values: &BTreeSet<String>) -> Option<&str> {
    if values.len() == 1 { values.first().map(String::as_str) } else { None }
}

/// The settings of the one that the other does not have just so.
fn settings(one: &str, other: &str) -> String {
    let others: BTreeSet<&str> = other.split("; ").collect();
    let own: Vec<&str> = one.split("; ").filter(|part| !others.contains(part)).collect();
    if own.is_empty() { one.to_owned() } else { own.join("; ") }
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
