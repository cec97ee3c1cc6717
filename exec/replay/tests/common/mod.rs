//! A store in memory with recorded runs, for tests.

#![allow(clippy::unwrap_used, dead_code)]

use std::collections::BTreeMap;
use std::sync::Arc;

use lab_lineage::Lineage;
use lab_objects::{Memory, Silent, Store};
use lab_process::Echo;
use lab_replay::{Bench, execute, record};
use lab_schema::recipe::Parts;
use lab_schema::{
    Command, Completeness, ContentId, Executor, Host, Limits, Object, Outcome, Output, Recipe, Run,
    RunId, Slot, Status, Tensor, Tolerance,
};

/// A store, its lineage and a scratch folder.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) lineage: Lineage,
    pub(crate) scratch: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> World {
        World {
            store: Store::create(Arc::new(Memory::new())).unwrap(),
            lineage: Lineage::in_memory().unwrap(),
            scratch: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn bench(&self) -> Bench<'_> {
        Bench {
            store: &self.store,
            lineage: &self.lineage,
            scratch: self.scratch.path(),
            who: "tester",
            progress: &Silent,
            echo: Echo::Quiet,
            twice: true,
        }
    }

    pub(crate) fn refresh(&mut self) {
        self.lineage.refresh(&self.store).unwrap();
    }

    pub(crate) fn blob(&self, bytes: &[u8]) -> ContentId {
        let mut writer = self.store.writer();
        let id = writer.put_bytes(bytes).unwrap();
        writer.finish().unwrap();
        id.into()
    }

    pub(crate) fn put<O: Object>(&self, object: &O) -> O::Id {
        let mut writer = self.store.writer();
        let id = writer.put(object).unwrap();
        writer.finish().unwrap();
        id
    }

    /// Executes a recipe and records it.
    pub(crate) fn run(&mut self, recipe: &Recipe) -> (RunId, Run) {
        let execution = execute(&self.bench(), recipe).unwrap();
        let recorded = record(
            self.bench().store,
            self.bench().lineage,
            self.bench().who,
            recipe,
            execution.outcome,
            None,
        )
        .unwrap();
        self.refresh();
        recorded
    }

    /// Writes down a run that never was.
    pub(crate) fn forge(
        &mut self,
        recipe: &Recipe,
        outputs: &[(&str, ContentId)],
        started_ms: u64,
    ) -> RunId {
        let mut outcome = outcome(started_ms);
        outcome.outputs = outputs.iter().map(|(name, id)| (slot(name), *id)).collect();
        let run = Run {
            recipe: self.put(recipe),
            outcome,
            host: host(),
            git: None,
            parent: None,
            makers: BTreeMap::new(),
            who: "x".into(),
        };
        let id = self.put(&run);
        self.refresh();
        id
    }
}

pub(crate) fn slot(text: &str) -> Slot {
    Slot::new(text).unwrap()
}

pub(crate) fn outcome(started_ms: u64) -> Outcome {
    Outcome {
        status: Status::Exited(0),
        outputs: BTreeMap::new(),
        metrics: BTreeMap::new(),
        logs: BTreeMap::new(),
        completeness: Completeness::Declared,
        params: BTreeMap::new(),
        observed: None,
        unrecorded_variables: Vec::new(),
        started_ms,
        duration_ms: 5,
        peak_memory_bytes: None,
    }
}

pub(crate) fn host() -> Host {
    Host {
        os: "linux".into(),
        kernel: "6.1.0".into(),
        arch: "x86_64".into(),
        cpu: "Example".into(),
        cpu_features: vec!["avx2".into()],
        cpus: 2,
        memory_bytes: 1 << 30,
        lab: "0.1.0".into(),
    }
}

/// A recipe that runs a line of shell on inputs.
pub(crate) fn shell(line: &str, inputs: &[(&str, ContentId)]) -> Recipe {
    parts(&["/bin/sh", "-c", line], inputs, None)
}

pub(crate) fn command(argv: &[&str], inputs: &[(&str, ContentId)]) -> Recipe {
    parts(argv, inputs, None)
}

pub(crate) fn tolerant(line: &str, output: &str, tolerance: Tolerance) -> Recipe {
    parts(&["/bin/sh", "-c", line], &[], Some((output, tolerance)))
}

fn parts(argv: &[&str], inputs: &[(&str, ContentId)], output: Option<(&str, Tolerance)>) -> Recipe {
    let executor = Executor::Command(Command {
        argv: argv.iter().map(|a| (*a).to_owned()).collect(),
        directory: None,
        variables: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
        place: None,
    });
    let outputs = output.map(|(name, t)| (slot(name), Output { tolerance: Some(t) }));
    Recipe::new(Parts {
        executor,
        inputs: inputs.iter().map(|(name, id)| (slot(name), *id)).collect(),
        outside: BTreeMap::new(),
        code: None,
        environment: None,
        params: BTreeMap::new(),
        seed: None,
        outputs: outputs.into_iter().collect(),
        limits: Limits::default(),
    })
    .unwrap()
}

/// A stage of a tensor program that is not meant to be executed.
pub(crate) fn stage(
    name: &str,
    inputs: &[(&str, ContentId)],
    params: &[(&str, i64)],
    seed: u64,
) -> Recipe {
    Recipe::new(Parts {
        executor: Executor::Tensor(Tensor { engine: "none".into(), stage: name.into() }),
        inputs: inputs.iter().map(|(name, id)| (slot(name), *id)).collect(),
        outside: BTreeMap::new(),
        code: None,
        environment: None,
        params: params.iter().map(|(k, v)| ((*k).to_owned(), lab_schema::Value::Int(*v))).collect(),
        seed: Some(seed),
        outputs: BTreeMap::new(),
        limits: Limits::default(),
    })
    .unwrap()
}

/// A safetensors file with one tensor `w` of `f32`.
pub(crate) fn weights(values: &[f32]) -> Vec<u8> {
    let header = format!(
        r#"{{"w":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{}]}}}}"#,
        values.len(),
        4 * values.len()
    );
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    file
}
