//! What differs between two recipes, except their inputs and code.
//!
//! Everything becomes a map of names to text first: parameters by their dotted keys, a command
//! line by its options. Then each layer is the same comparison of two maps. A seed that is a parameter
//! too is told once, as a seed.

use std::collections::{BTreeMap, BTreeSet};

use lab_schema::{Executor, Recipe, Value};

use crate::variables::variable::Layer;
use crate::variables::words::{Changed, Params, complete, options};

/// The parameter of a command that is its seed.
const SEED: &str = "seed";

/// Takes in what differs: layer, name, value before, value after.
pub(crate) type Sink<'a> = dyn FnMut(Layer, &str, Option<String>, Option<String>) + 'a;

/// Takes in a key that differs: its name, value before, value after.
pub(crate) type Keys<'a> = dyn FnMut(&str, Option<String>, Option<String>) + 'a;

/// Names everything that differs, in no particular order.
pub(crate) fn differences(a: &Recipe, b: &Recipe, sink: &mut Sink<'_>) {
    let (mut p, mut q) = (a.params().clone(), b.params().clone());
    if let (Executor::Command(x), Executor::Command(y)) = (a.executor(), b.executor()) {
        let (x, y) = (options(&x.argv), options(&y.argv));
        complete((&mut p, &x), (&mut q, &y));
        arguments(&x, &y, &Changed::new((&p, &x), (&q, &y)), sink);
    }
    let (mut x, mut y) = (flat(&p), flat(&q));
    let seed = |r: &Recipe, flat: &BTreeMap<String, String>| {
        r.seed().map(|seed| seed.to_string()).or_else(|| flat.get(SEED).cloned())
    };
    if a.seed().is_some() || b.seed().is_some() {
        let (before, after) = (seed(a, &x), seed(b, &y));
        x.remove(SEED);
        y.remove(SEED);
        if before != after {
            sink(Layer::Seed, SEED, before, after);
        }
    }
    maps(&x, &y, &mut |name, before, after| {
        sink(Layer::of_name(name, Layer::Parameter), name, before, after);
    });
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

/// The words of two commands, without what their parameters put into them.
fn arguments(
    x: &BTreeMap<String, String>,
    y: &BTreeMap<String, String>,
    changed: &Changed<'_>,
    sink: &mut Sink<'_>,
) {
    maps(x, y, &mut |name, before, after| {
        let explained = match (&before, &after) {
            (Some(before), Some(after)) => changed.explain(name, before, after),
            _ => false,
        };
        if !explained {
            sink(Layer::of_name(name, Layer::Argument), name, before, after);
        }
    });
}

fn executors(a: &Recipe, b: &Recipe, sink: &mut Sink<'_>) {
    match (a.executor(), b.executor()) {
        (Executor::Command(x), Executor::Command(y)) => {
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
fn flat(params: &Params) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let mut todo: Vec<(String, &Value)> = params.iter().map(|(k, v)| (k.clone(), v)).collect();
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
