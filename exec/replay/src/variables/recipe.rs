//! What differs between two recipes, except their inputs and code.
//!
//! Everything becomes a map of names to text first: parameters by their dotted keys, a command
//! line by its options. Then each layer is the same comparison of two maps.

use std::collections::{BTreeMap, BTreeSet};

use lab_schema::{Executor, Recipe, Value};

use crate::variables::variable::Layer;

/// Takes in what differs: layer, name, value before, value after.
pub(crate) type Sink<'a> = dyn FnMut(Layer, &str, Option<String>, Option<String>) + 'a;

/// Takes in a key that differs: its name, value before, value after.
pub(crate) type Keys<'a> = dyn FnMut(&str, Option<String>, Option<String>) + 'a;

/// Names everything that differs, in no particular order.
pub(crate) fn differences(a: &Recipe, b: &Recipe, sink: &mut Sink<'_>) {
    let (x, y) = (flat(a), flat(b));
    maps(&x, &y, &mut |name, before, after| {
        sink(Layer::of_name(name, Layer::Parameter), name, before, after);
    });
    let seed = |r: &Recipe| r.seed().map(|s| s.to_string());
    if a.seed() != b.seed() {
        sink(Layer::Seed, "seed", seed(a), seed(b));
    }
    executors(a, b, sink);
    let limits = |r: &Recipe| {
        let limits = r.limits();
        let pairs =
            [("limit wall_ms", limits.wall_ms), ("limit memory_bytes", limits.memory_bytes)];
        pairs.into_iter().filter_map(|(k, v)| Some((k.to_owned(), v?.to_string()))).collect()
    };
    maps(&limits(a), &limits(b), &mut |name, before, after| {
        sink(Layer::Environment, name, before, after);
    });
    let outputs = |r: &Recipe| -> BTreeMap<String, String> {
        let form = |o: &lab_schema::Output| match o.tolerance {
            None => "exact".to_owned(),
            Some(t) => format!("within {} + {} relative", t.absolute, t.relative),
        };
        r.outputs().iter().map(|(k, o)| (format!("declared output {k}"), form(o))).collect()
    };
    maps(&outputs(a), &outputs(b), &mut |name, before, after| {
        sink(Layer::Record, name, before, after);
    });
}

/// Names every key of two maps whose values differ.
pub(crate) fn maps(
    a: &BTreeMap<String, String>,
    b: &BTreeMap<String, String>,
    sink: &mut Keys<'_>,
) {
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    for key in keys.into_iter().filter(|key| a.get(*key) != b.get(*key)) {
        sink(key, a.get(key).cloned(), b.get(key).cloned());
    }
}

fn executors(a: &Recipe, b: &Recipe, sink: &mut Sink<'_>) {
    match (a.executor(), b.executor()) {
        (Executor::Command(x), Executor::Command(y)) => {
            maps(&options(&x.argv), &options(&y.argv), &mut |name, before, after| {
                sink(Layer::of_name(name, Layer::Argument), name, before, after);
            });
            if x.directory != y.directory {
                let show = |d: &Option<lab_schema::Slot>| d.as_ref().map(ToString::to_string);
                sink(Layer::Environment, "directory", show(&x.directory), show(&y.directory));
            }
            maps(&x.variables, &y.variables, &mut |name, before, after| {
                sink(Layer::of_environment(name), name, before, after);
            });
        }
        (Executor::Tensor(x), Executor::Tensor(y)) => {
            if x.engine != y.engine {
                sink(Layer::Engine, "engine", Some(x.engine.clone()), Some(y.engine.clone()));
            }
            if x.stage != y.stage {
                sink(Layer::Parameter, "stage", Some(x.stage.clone()), Some(y.stage.clone()));
            }
        }
        (x, y) => {
            let word = |e: &Executor| match e {
                Executor::Command(command) => command.argv.join(" "),
                Executor::Tensor(tensor) => format!("{}, stage {}", tensor.engine, tensor.stage),
            };
            sink(Layer::Engine, "executor", Some(word(x)), Some(word(y)));
        }
    }
}

/// Parameters with their full names, `optimizer.lr`. Lists stay whole.
fn flat(recipe: &Recipe) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let mut todo: Vec<(String, &Value)> =
        recipe.params().iter().map(|(k, v)| (k.clone(), v)).collect();
    while let Some((name, value)) = todo.pop() {
        match value {
            Value::Map(items) if !items.is_empty() => {
                todo.extend(items.iter().map(|(k, v)| (format!("{name}.{k}"), v)));
            }
            value => {
                out.insert(name, value.to_string());
            }
        }
    }
    out
}

/// A command line as options with values; other words by their number. A word that follows an
/// option is taken as its value: where that is wrong it is wrong on both sides.
fn options(argv: &[String]) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let mut put = |name: &str, value: &str| {
        let mut key = name.to_owned();
        for n in 2.. {
            if !out.contains_key(&key) {
                break;
            }
            key = format!("{name} ({n})");
        }
        out.insert(key, value.to_owned());
    };
    let is_option =
        |word: &str| word.starts_with('-') && word.len() > 1 && word.parse::<f64>().is_err();
    let mut words = argv.iter().map(String::as_str).enumerate().peekable();
    while let Some((i, word)) = words.next() {
        if i == 0 {
            put("program", word);
        } else if !is_option(word) {
            put(&format!("argument {i}"), word);
        } else if let Some((name, value)) = word.split_once('=') {
            put(name, value);
        } else {
            let value = words.next_if(|(_, next)| !is_option(next));
            put(word, value.map_or("given", |(_, value)| value));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_and_values() {
        let argv: Vec<String> = "python train.py --lr 0.1 --seed=1 -x -0.5 --fast -v"
            .split(' ')
            .map(Into::into)
            .collect();
        let found = options(&argv);
        let expected = [
            ("--fast", "given"),
            ("--lr", "0.1"),
            ("--seed", "1"),
            ("-v", "given"),
            ("-x", "-0.5"),
            ("argument 1", "train.py"),
            ("program", "python"),
        ];
        let found: Vec<(&str, &str)> =
            found.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(found, expected);
        let twice: Vec<String> = ["p", "-i", "a", "-i", "b"].map(Into::into).to_vec();
        assert_eq!(options(&twice).get("-i (2)").map(String::as_str), Some("b"));
    }
}
