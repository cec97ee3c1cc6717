//! Executes programs against a store in memory.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use lab_arithmetic::Kernels;
use lab_objects::{Memory, Progress, Silent, Store};
use lab_schema::{ContentId, Outcome, Recipe};
use lab_tensor::{Baseline, Program, Result, Source, StageInput, execute, execute_on};

/// The program that everybody reads first.
pub const DIGITS: &str = include_str!("../../../../cli/data/digits.toml");
/// Its data.
pub const DIGITS_CSV: &[u8] = include_bytes!("../../../../cli/data/digits.csv.gz");

/// Recipe and outcome of each stage, by name.
pub type Runs = BTreeMap<&'static str, (Recipe, Outcome)>;

pub fn store() -> Store {
    Store::create(Arc::new(Memory::new())).unwrap()
}

pub fn put(store: &Store, bytes: &[u8]) -> ContentId {
    let mut writer = store.writer();
    let id = writer.put_bytes(bytes).unwrap();
    writer.finish().unwrap();
    id.into()
}

/// A file of the real data in the repository.
pub fn data(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../tests/data/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Executes every stage of `program`, whose inputs are all `input`.
pub fn run(store: &Store, program: &Program, input: ContentId, kernels: Kernels) -> Result<Runs> {
    let inputs = program.inputs().keys().map(|slot| (slot.to_string(), input)).collect();
    run_on(store, program, &inputs, kernels)
}

/// Executes every stage of `program` on these inputs.
pub fn run_on(
    store: &Store,
    program: &Program,
    inputs: &BTreeMap<String, ContentId>,
    kernels: Kernels,
) -> Result<Runs> {
    let mut runs = Runs::new();
    for stage in program.stages() {
        let content = |from: Source| match from {
            Source::Program(slot) => inputs[slot.as_str()],
            Source::Stage { stage, output } => runs[stage].1.outputs[&output],
        };
        let inputs = stage.inputs().into_iter().map(|i| (i.slot, content(i.from))).collect();
        let recipe = stage.recipe(inputs)?;
        let outcome = execute_on(kernels, store, &recipe, &Silent)?;
        assert!(recipe.outputs().keys().eq(outcome.outputs.keys()), "{}", stage.name());
        runs.insert(stage.name(), (recipe, outcome));
    }
    Ok(runs)
}

/// The id of an output, in hexadecimal.
pub fn id(runs: &Runs, stage: &str, output: &str) -> String {
    runs[stage].1.outputs[&output.parse().unwrap()].to_string()
}

/// A baseline with other settings.
pub fn program(baseline: &str, changes: &[(&str, &str)]) -> Program {
    let mut program = Program::parse(Baseline::find(baseline).unwrap().text).unwrap();
    for (key, value) in changes {
        program.set(key, value).unwrap();
    }
    program
}

/// Kills the training at a step, as far as a process can do that to itself.
pub struct Killer {
    pub after: u64,
}

impl Progress for Killer {
    fn step(&self, _: &str, done: u64, _: u64) {
        assert!(done < self.after, "killed");
    }

    fn end(&self) {}
}

/// The recipe of stage `train`, on data that stage `prepare` has made.
pub fn training(store: &Store, program: &Program, input: ContentId) -> Recipe {
    let stages = program.stages();
    let inputs = stages[0].inputs().into_iter().map(|i| (i.slot, input)).collect();
    let made = execute(store, &stages[0].recipe(inputs).unwrap(), &Silent).unwrap().outputs;
    let input = |i: StageInput| match &i.from {
        Source::Stage { output, .. } => (i.slot, made[output]),
        Source::Program(_) => panic!("training reads what was prepared"),
    };
    let inputs: BTreeMap<_, _> = stages[1].inputs().into_iter().map(input).collect();
    stages[1].recipe(inputs).unwrap()
}
