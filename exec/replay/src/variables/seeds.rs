//! Seeds that generators of random numbers were given, and what else the programs told.
//!
//! The settings of an optimiser, a loader or an estimator, flags, orders and modes follow from code, parameters,
//! arguments, variables, seeds and the machine, all of which are recorded: they are told last, so that they neither
//! hide these nor keep runs from being compared.

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
    // Where it was told first, in the second run if it did so there.
    let mut places = BTreeMap::new();
    for told in b.seeds.iter().chain(&a.seeds) {
        places.entry(key(told)).or_insert_with(|| text(&told.place));
    }
    let names: BTreeSet<&Key> = x.keys().chain(y.keys()).collect();
    let differ = names.into_iter().filter(|key| x.get(*key) != y.get(*key));
    let row = |key: &Key| {
        let (p, q) = (x.get(key), y.get(key));
        let asked =
            |all: &BTreeMap<Key, _>| all.keys().any(|(k, _)| k.is_some() == key.0.is_some());
        // Who told nothing of this sort may not have been asked, and one that was killed not at its end.
        let at_end = matches!(key.0, Some("flag" | "threads" | "order" | "mode" | "unseeded"));
        if !asked(&x) || !asked(&y) || at_end && (p.is_none() || q.is_none()) {
            return None;
        }
        let (layer, what) = match key.0 {
            None => (Layer::Seed, format!("seed of {}", key.1)),
            Some("flag" | "threads") => (Layer::Told, key.1.clone()),
            Some("order") => (Layer::Told, format!("order of {}", key.1)),
            Some(kind) => (Layer::Told, format!("{kind} {}", key.1)),
        };
        let (before, after) = match (p.and_then(only), q.and_then(only)) {
            (Some(p), Some(q)) if layer == Layer::Told => (settings(p, q), settings(q, p)),
            _ => (p.map(|p| shown(p, q)), q.map(|q| shown(q, p))),
        };
        let place = places.get(key).filter(|place| layer == Layer::Told && !place.is_empty());
        let what = what + &place.map(|place| format!(" ({place})")).unwrap_or_default();
        Some((layer, (what, before, after)))
    };
    differ.filter_map(row).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn key(told: &Seeded) -> Key {
    let (kind, name) = told.kind();
    (kind, text(name))
}

fn by_name(observed: &Observed) -> BTreeMap<Key, BTreeSet<String>> {
    let mut all = BTreeMap::<_, BTreeSet<_>>::new();
    for told in &observed.seeds {
        all.entry(key(told)).or_default().insert(text(&told.value));
    }
    all
}

fn only(values: &BTreeSet<String>) -> Option<&str> {
    if values.len() == 1 { values.first().map(String::as_str) } else { None }
}

/// The settings of the one that the other does not have just so.
fn settings(one: &str, other: &str) -> Option<String> {
    let others: BTreeSet<&str> = other.split("; ").collect();
    let own: Vec<&str> = one.split("; ").filter(|part| !others.contains(part)).collect();
    (!own.is_empty()).then(|| own.join("; "))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(told: &[(&str, &str, &str)]) -> Observed {
        let own = |text: &str| text.as_bytes().to_vec();
        let one = |(what, value, place): &(&str, &str, &str)| Seeded {
            what: own(what),
            value: own(value),
            place: own(place),
        };
        Observed { seeds: told.iter().map(one).collect(), ..Observed::default() }
    }

    fn row(layer: Layer, what: &str, before: &str, after: &str) -> Row {
        (layer, (what.to_owned(), Some(before.to_owned()), Some(after.to_owned())))
    }

    #[test]
    fn seeds_are_causes_and_settings_are_consequences() {
        let of = |lr: &str, flag: &str, threads: &str, seed: &str| {
            let lr = format!("lr {lr}; eps 1e-08");
            observed(&[
                ("optimiser: Adam", &lr, "train.py:12"),
                ("flag: torch deterministic algorithms", flag, ""),
                ("threads: torch threads", threads, ""),
                ("random", seed, "train.py:3"),
            ])
        };
        let (a, b) = (of("0.1", "False", "1", "7"), of("0.2", "True", "2", "8"));
        let mut found = rows(&a, &b);
        found.sort();
        let told = [
            row(Layer::Seed, "seed of random", "7", "8"),
            row(Layer::Told, "optimiser Adam (train.py:12)", "lr 0.1", "lr 0.2"),
            row(Layer::Told, "torch deterministic algorithms", "False", "True"),
            row(Layer::Told, "torch threads", "1", "2"),
        ];
        assert_eq!(found, told);
        assert!(told.map(|(layer, _)| layer.is_consequence()) == [false, true, true, true]);
        assert_eq!(rows(&a, &a), []);
    }

    #[test]
    fn who_was_not_asked_differs_in_nothing() {
        let old = observed(&[("random", "7", "")]);
        let new = observed(&[("random", "7", ""), ("loader: DataLoader", "batch_size 4", "")]);
        assert_eq!(rows(&old, &new), []);
        // A program that was killed told nothing at its end.
        let ended = observed(&[
            ("random", "7", ""),
            ("loader: DataLoader", "batch_size 4", ""),
            ("flag: torch cuDNN benchmark", "True", ""),
        ]);
        assert_eq!(rows(&new, &ended), []);
    }
}
