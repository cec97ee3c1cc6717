//! Tensor programs that are done again: sealed by nature, and identical to the bit.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::{World, slot};
use lab_replay::{Layer, Sort, execute, record, variables, verify, verify_deep};
use lab_schema::{ContentId, Executor, Recipe, Run, RunId, Tensor, Verdict};
use lab_tensor::{Program, Source};

fn table() -> String {
    (0..120).map(|i| format!("{i},{},{}\n", i * i % 7, i % 3)).collect()
}

/// Runs every stage and returns the runs, in order.
fn run_all(world: &mut World, changes: &[(&str, &str)]) -> Vec<(RunId, Run)> {
    let text = include_str!("../../../cli/data/digits.toml");
    let mut program = Program::parse(text).unwrap();
    let small = [("train.epochs", "2"), ("train.hidden", "[4]")];
    for (key, value) in small.iter().chain(changes) {
        program.set(key, value).unwrap();
    }
    let table = world.blob(table().as_bytes());
    let mut made: BTreeMap<&str, Run> = BTreeMap::new();
    let mut runs = Vec::new();
    for stage in program.stages() {
        let content = |from| match from {
            Source::Program(_) => table,
            Source::Stage { stage, output } => made[stage].outcome.outputs[&output],
        };
        let inputs = stage.inputs().into_iter().map(|i| (i.slot, content(i.from))).collect();
        let recipe = stage.recipe(inputs).unwrap();
        let outcome = execute(&world.bench(), &recipe).unwrap().outcome;
        let (id, run) = record(
            world.bench().store,
            world.bench().lineage,
            world.bench().who,
            &recipe,
            outcome,
            None,
        )
        .unwrap();
        made.insert(stage.name(), run.clone());
        runs.push((id, run));
    }
    world.refresh();
    runs
}

#[test]
fn a_whole_program_is_identical_and_sealed() {
    let mut world = World::new();
    let runs = run_all(&mut world, &[]);
    let (last, _) = runs.last().unwrap();
    let done = verify_deep(&world.bench(), *last, &mut BTreeMap::new()).unwrap();
    let expected: Vec<RunId> = runs.iter().map(|(id, _)| *id).collect();
    assert_eq!(done.iter().map(|v| v.run).collect::<Vec<_>>(), expected);
    for verification in done {
        assert_eq!(verification.attestation.verdict, Verdict::Identical);
        assert!(verification.attestation.sealed);
    }
}

#[test]
fn a_weight_changed_by_one_ulp_is_found() {
    let mut world = World::new();
    let runs = run_all(&mut world, &[]);
    let (_, mut train) = runs.into_iter().find(|(_, r)| is_stage(&world, r, "train")).unwrap();
    let model = slot("model.safetensors");
    let content = train.outcome.outputs[&model];
    let ContentId::Blob(blob) = content else { panic!("weights are a file") };
    let mut bytes = world.store.read_blob(blob, 1 << 20).unwrap();
    // The last element of the file; its lowest bit is one unit in the last place.
    let at = bytes.len() - 4;
    bytes[at] ^= 1;
    train.outcome.outputs.insert(model, world.blob(&bytes));
    let forged = world.put(&train);
    world.refresh();
    let seen = verify(&world.bench(), forged).unwrap();
    assert_eq!(seen.attestation.verdict, Verdict::Diverged);
    let difference = &seen.attestation.differences[0];
    assert_eq!(difference.ulps, Some(1));
    assert!(difference.at.as_ref().is_some_and(|at| at.ends_with(']')), "{difference:?}");
    assert!(seen.repeat.is_none() && seen.suspects[0].sort == Sort::Record);
}

#[test]
fn a_seed_of_the_training_is_named_from_the_evaluation() {
    let mut world = World::new();
    let one = run_all(&mut world, &[]);
    let two = run_all(&mut world, &[("train.shuffle_seed", "99")]);
    let train = two.iter().find(|(_, r)| is_stage(&world, r, "train")).unwrap().0;
    let (a, b) = (one.last().unwrap().0, two.last().unwrap().0);
    let found = variables(&world.store, &world.lineage, a, b).unwrap();
    let first = &found[0];
    assert_eq!((first.what.as_str(), first.layer), ("train.shuffle_seed", Layer::Seed));
    assert_eq!((first.after.as_deref(), first.at), (Some("99"), Some(train)));
    assert!(found[1..].iter().all(|v| v.layer.is_consequence()), "{found:#?}");
}

#[test]
fn another_engine_cannot_be_repeated_here() {
    let mut world = World::new();
    let (_, run) = run_all(&mut world, &[]).remove(0);
    let mut parts = world.store.load::<Recipe>(run.recipe).unwrap().to_parts();
    let tensor = Tensor { engine: "of-tomorrow".into(), stage: "prepare".into() };
    parts.executor = Executor::Tensor(tensor);
    let recipe = Recipe::new(parts).unwrap();
    let outputs: Vec<(String, ContentId)> =
        run.outcome.outputs.iter().map(|(s, c)| (s.to_string(), *c)).collect();
    let outputs: Vec<(&str, ContentId)> = outputs.iter().map(|(s, c)| (s.as_str(), *c)).collect();
    let id = world.forge(&recipe, &outputs, 1);
    let found = verify(&world.bench(), id).unwrap().attestation;
    assert!(matches!(&found.verdict, Verdict::Failed(why) if why.contains("of-tomorrow")));
}

fn is_stage(world: &World, run: &Run, stage: &str) -> bool {
    let recipe: Recipe = world.store.load(run.recipe).unwrap();
    matches!(recipe.executor(), Executor::Tensor(tensor) if tensor.stage == stage)
}
