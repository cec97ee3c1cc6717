//! How long a long history takes. Ignored by default: run it with
//! `cargo test --release -p lab-lineage --test speed -- --ignored --nocapture`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::time::Instant;

use common::{Story, World, nowhere};
use lab_lineage::Lineage;
use lab_schema::{ContentId, Object};

/// A chain of runs, each reading what the one before left, plus a common input and code.
#[test]
#[ignore = "a measurement"]
fn ten_thousand_runs() {
    const RUNS: u64 = 10_000;
    let world = World::new();
    let (common, code) = (world.blob("common"), world.tree(&[("f", world.blob("f"))]));
    let step = |n: u64| nowhere(&format!("step {n}"));
    let mut writer = world.store.writer();
    for n in 0..RUNS {
        let tree = common::tree(&[("a", nowhere(&format!("inside {n}")))]);
        let story = Story {
            inputs: &[("in", step(n)), ("common", common)],
            code: Some(code),
            outputs: &[("out", step(n + 1)), ("folder", ContentId::Tree(tree.id()))],
            started_ms: n,
            ..Story::default()
        };
        let recipe = common::recipe(&story);
        writer.put(&tree).unwrap();
        writer.put(&recipe).unwrap();
        writer.put(&common::run(&story, recipe.id())).unwrap();
    }
    writer.finish().unwrap();

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index.db");
    let start = Instant::now();
    let mut lineage = Lineage::open(&path).unwrap();
    let refreshed = lineage.refresh(&world.store).unwrap();
    println!("first refresh, {} objects: {:?}", refreshed.taken_in, start.elapsed());
    assert_eq!(refreshed.taken_in, 3 * RUNS);
    println!("index.db: {} KiB", std::fs::metadata(&path).unwrap().len() / 1024);

    let start = Instant::now();
    lineage.refresh(&world.store).unwrap();
    println!("refresh with nothing new: {:?}", start.elapsed());
    world.run(Story { argv: "one more", ..Story::default() });
    let start = Instant::now();
    assert_eq!(lineage.refresh(&world.store).unwrap().taken_in, 2);
    println!("refresh with one new run: {:?}", start.elapsed());

    let start = Instant::now();
    let opened = Lineage::open(&path).unwrap();
    println!("open: {:?}", start.elapsed());
    let start = Instant::now();
    assert_eq!(opened.runs().unwrap().len() as u64, RUNS + 1);
    println!("runs: {:?}", start.elapsed());
    let start = Instant::now();
    let up = opened.ancestors(step(RUNS).into()).unwrap();
    println!("ancestors of the last, {} nodes: {:?}", up.len(), start.elapsed());
    assert_eq!(up.len() as u64, 2 * RUNS + 2);
    let start = Instant::now();
    let down = opened.descendants(step(0).into()).unwrap();
    println!("descendants of the first, {} nodes: {:?}", down.len(), start.elapsed());
    let start = Instant::now();
    assert_eq!(opened.producers(nowhere("inside 77")).unwrap().len(), 1);
    println!("producers of a file in a folder: {:?}", start.elapsed());
}
