//! What differs between two runs, and where it enters.

#![allow(clippy::unwrap_used)]

mod common;

use common::{World, command, outcome, slot, stage};
use lab_replay::{Layer, Variable, variables};
use lab_schema::recipe::Parts;
use lab_schema::{Entry, FileName, Number, Recipe, Run, Tree, tree::Node};

fn lines(found: &[Variable]) -> Vec<String> {
    let show = |v: &Option<String>| v.clone().unwrap_or_else(|| "-".into());
    found
        .iter()
        .map(|v| format!("{} {} {} > {}", v.layer.word(), v.what, show(&v.before), show(&v.after)))
        .collect()
}

#[test]
fn a_difference_is_shown_where_it_enters() {
    let mut world = World::new();
    let data = world.blob(b"data");
    let (m1, m2) = (world.blob(b"model 1"), world.blob(b"model 2"));
    let (s1, s2) = (world.blob(b"score 1"), world.blob(b"score 2"));
    let train = |n| stage("train", &[("data", data)], &[("shuffle_seed", n), ("epochs", 3)], 7);
    let evaluate = |m| stage("evaluate", &[("model", m), ("data", data)], &[], 7);
    world.forge(&train(1), &[("model", m1)], 1);
    let t2 = world.forge(&train(2), &[("model", m2)], 2);
    let a = world.forge(&evaluate(m1), &[("score", s1)], 3);
    let b = world.forge(&evaluate(m2), &[("score", s2)], 4);
    let found = variables(&world.store, &world.lineage, a, b).unwrap();
    assert_eq!(
        lines(&found),
        [
            "seed train.shuffle_seed 1 > 2".to_owned(),
            format!("carried input model {} > {}", m1, m2),
            format!("output score {} > {}", s1, s2),
        ]
    );
    assert_eq!((found[0].at, found[1].at), (Some(t2), None));
    assert!(!found[0].layer.is_consequence() && found[1].layer.is_consequence());
    assert_eq!(variables(&world.store, &world.lineage, a, a).unwrap(), []);
}

#[test]
fn data_that_nothing_made_is_itself_the_difference() {
    let mut world = World::new();
    let (d1, d2) = (world.blob(b"1"), world.blob(b"2"));
    let out = world.blob(b"out");
    let run = |world: &mut World, d, t| {
        world.forge(&stage("train", &[("data", d)], &[("lr", 1)], 1), &[("m", out)], t)
    };
    let (a, b) = (run(&mut world, d1, 1), run(&mut world, d2, 2));
    let found = variables(&world.store, &world.lineage, a, b).unwrap();
    assert_eq!(lines(&found), [format!("data input data {} > {}", d1, d2)]);
}

#[test]
fn one_recipe_with_two_results_is_chance() {
    let mut world = World::new();
    let (x, y) = (world.blob(b"x"), world.blob(b"y"));
    let recipe = stage("train", &[], &[], 1);
    let (a, b) = (world.forge(&recipe, &[("m", x)], 1), world.forge(&recipe, &[("m", y)], 2));
    let found = variables(&world.store, &world.lineage, a, b).unwrap();
    assert_eq!(found.iter().map(|v| v.layer).collect::<Vec<_>>(), [Layer::Chance, Layer::Output]);
}

#[test]
fn every_layer_in_its_place() {
    let mut world = World::new();
    let data = world.blob(b"data");
    let tree = |world: &World, files: &[(&str, &[u8])]| {
        let entry = |(name, bytes): &(&str, &[u8])| {
            let lab_schema::ContentId::Blob(id) = world.blob(bytes) else { unreachable!() };
            let node = Node::File { id, size: bytes.len() as u64, executable: false };
            Entry { name: FileName::new(*name).unwrap(), node }
        };
        world.put(&Tree::new(files.iter().map(entry).collect()).unwrap())
    };
    let code = tree(&world, &[("train.py", b"1"), ("gone.py", b"g"), ("same.py", b"s")]);
    let other = tree(&world, &[("train.py", b"2"), ("new.py", b"n"), ("same.py", b"s")]);
    let with = |argv: &[&str], code, threads: &str, home: &str, split: &str| {
        let mut parts: Parts = command(argv, &[("data", data)]).to_parts();
        let lab_schema::Executor::Command(command) = &mut parts.executor else { unreachable!() };
        command.variables.insert("OMP_NUM_THREADS".into(), threads.into());
        command.variables.insert("LANG".into(), home.into());
        command.variables.insert("CUBLAS_WORKSPACE_CONFIG".into(), home.into());
        parts.code = Some(code);
        parts.params.insert("split".into(), lab_schema::Value::Text(split.into()));
        Recipe::new(parts).unwrap()
    };
    let argv = ["python", "train.py", "--lr", "0.1", "--seed=1"];
    let p = with(&argv, code, "1", "C", "a");
    let q = with(&["python", "train.py", "--lr", "0.3", "--seed=2"], other, "2", "de", "b");
    let number = |n| Number::new(n).unwrap();
    let run = |world: &World, recipe: &Recipe, accuracy, cpus, file: &[u8]| {
        let mut outcome = outcome(1);
        outcome.metrics.insert("accuracy".into(), number(accuracy));
        outcome.outputs.insert(slot("model"), world.blob(file));
        let host = lab_schema::Host { cpus, kernel: format!("6.{cpus}"), ..common::host() };
        let run = Run {
            recipe: world.put(recipe),
            outcome,
            host,
            git: None,
            parent: None,
            makers: std::collections::BTreeMap::new(),
            who: "x".into(),
        };
        world.put(&run)
    };
    let a = run(&world, &p, 0.5, 2, b"m");
    let b = run(&world, &q, 0.75, 4, b"n");
    world.refresh();
    let found = variables(&world.store, &world.lineage, a, b).unwrap();
    let order: Vec<&str> = found.iter().map(|v| v.what.as_str()).collect();
    assert_eq!(
        order,
        [
            "split",
            "--lr",
            "--seed",
            "gone.py",
            "new.py",
            "train.py",
            "CUBLAS_WORKSPACE_CONFIG",
            "LANG",
            "OMP_NUM_THREADS",
            "processors",
            "kernel",
            "accuracy",
            "model",
        ]
    );
    let accuracy = found.iter().find(|v| v.what == "accuracy").unwrap();
    assert_eq!(accuracy.delta, Some(0.25));
    let gone = found.iter().find(|v| v.what == "gone.py").unwrap();
    assert!(gone.before.is_some() && gone.after.is_none());
}

/// Folders that hold one folder twice, many times over: more paths than any memory has room for.
#[test]
fn a_tree_of_repeated_folders_is_given_up_on() {
    let mut world = World::new();
    let data = world.blob(b"data");
    let nest = |world: &World, leaf: &[u8]| {
        let lab_schema::ContentId::Blob(id) = world.blob(leaf) else { unreachable!() };
        let entry = |name: &str, node| Entry { name: FileName::new(name).unwrap(), node };
        let node = Node::File { id, size: leaf.len() as u64, executable: false };
        let mut tree = world.put(&Tree::new(vec![entry("leaf", node)]).unwrap());
        for _ in 0..60 {
            let node = Node::Directory { id: tree, size: 0 };
            let entries = vec![entry("a", node.clone()), entry("b", node)];
            tree = world.put(&Tree::new(entries).unwrap());
        }
        tree
    };
    let (one, other) = (nest(&world, b"1"), nest(&world, b"2"));
    let out = world.blob(b"out");
    let with = |code, environment| {
        let mut parts: Parts = command(&["x"], &[("data", data)]).to_parts();
        (parts.code, parts.environment) = (code, environment);
        Recipe::new(parts).unwrap()
    };
    let a = world.forge(&with(Some(one), Some(one)), &[("m", out)], 1);
    for (code, environment, layer) in
        [(Some(other), Some(one), Layer::Code), (Some(one), Some(other), Layer::System)]
    {
        let b = world.forge(&with(code, environment), &[("m", out)], 2);
        let found = variables(&world.store, &world.lineage, a, b).unwrap();
        assert!(found.iter().any(|v| v.layer == layer), "{layer:?}");
        assert!(found.len() <= 200_001, "{}", found.len());
    }
}
