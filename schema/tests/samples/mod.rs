//! One object of each kind, with every optional part present; and the smallest of each kind.
#![allow(clippy::unwrap_used, dead_code, missing_docs, unreachable_pub)]

use std::collections::BTreeMap;

use lab_schema::alias::write_table;
use lab_schema::recipe::Parts;
use lab_schema::tree::Node;
use lab_schema::*;

pub fn blob() -> BlobId {
    BlobId::of(b"handwritten digits\n")
}

pub fn slot(text: &str) -> Slot {
    Slot::new(text).unwrap()
}

pub fn tree() -> Tree {
    let entry = |name: &[u8], node| Entry { name: FileName::new(name).unwrap(), node };
    Tree::new(vec![
        entry(b"digits.csv", Node::File { id: blob(), size: 19, executable: false }),
        entry(b"train.py", Node::File { id: BlobId::of(b"#!"), size: 2, executable: true }),
        entry(b"latest", Node::Link { target: b"../runs/\xff".to_vec() }),
        entry("na\u{ef}ve dir".as_bytes(), Node::Directory { id: Tree::default().id(), size: 0 }),
    ])
    .unwrap()
}

pub fn recipe() -> Recipe {
    let params = [
        ("lr".to_owned(), Value::Float(Number::new(0.1).unwrap())),
        ("epochs".to_owned(), Value::Int(20)),
        ("nested".to_owned(), Value::Map([("b".to_owned(), Value::Bool(true))].into())),
        ("hidden".to_owned(), Value::List(vec![Value::Int(-1), Value::Text("x".into())])),
    ];
    let tolerance =
        Tolerance { absolute: Number::new(0.0).unwrap(), relative: Number::new(1e-6).unwrap() };
    Recipe::new(Parts {
        executor: Executor::Command(Command {
            argv: vec!["python".into(), "train.py".into(), "--note=two words\n".into()],
            directory: Some(slot("experiments/one")),
            variables: [("PATH".to_owned(), "/usr/bin".to_owned())].into(),
            place: None,
        }),
        inputs: [(slot("data"), tree().id().into()), (slot("digits.csv"), blob().into())].into(),
        outside: BTreeMap::new(),
        code: Some(tree().id()),
        environment: None,
        params: params.into(),
        seed: Some(7),
        outputs: [
            (slot("metrics.json"), Output { tolerance: Some(tolerance) }),
            (slot("out/model.safetensors"), Output::default()),
        ]
        .into(),
        limits: Limits { wall_ms: Some(60_000), memory_bytes: Some(1 << 32) },
    })
    .unwrap()
}

/// A command that ran where its files lay.
pub fn placed_recipe() -> Recipe {
    let mut parts = recipe().to_parts();
    let Executor::Command(command) = &mut parts.executor else { unreachable!() };
    let project = "/home/someone/project".to_owned();
    command.place = Some(Place { project, user: 1000, group: 1001, umask: 0o22, cpus: 2 });
    parts.outside = [(slot("data/train.csv"), blob().into())].into();
    parts.environment = Some(tree().id());
    Recipe::new(parts).unwrap()
}

pub fn smallest_recipe() -> Recipe {
    Recipe::new(Parts {
        executor: Executor::Tensor(Tensor { engine: "e".into(), stage: "s".into() }),
        inputs: BTreeMap::new(),
        outside: BTreeMap::new(),
        code: None,
        environment: None,
        params: BTreeMap::new(),
        seed: None,
        outputs: BTreeMap::new(),
        limits: Limits::default(),
    })
    .unwrap()
}

pub fn host() -> Host {
    Host {
        os: "linux".into(),
        kernel: "6.1.0".into(),
        arch: "x86_64".into(),
        cpu: "A Processor".into(),
        cpu_features: vec!["avx2".into(), "fma".into()],
        cpus: 2,
        memory_bytes: 24 << 30,
        lab: "0.1.0".into(),
    }
}

pub fn run() -> Run {
    Run {
        recipe: recipe().id(),
        outcome: Outcome {
            status: Status::Exited(0),
            outputs: [(slot("metrics.json"), blob().into())].into(),
            metrics: [("accuracy".to_owned(), Number::new(0.9722).unwrap())].into(),
            logs: [(Log::Stdout, blob()), (Log::Stderr, BlobId::of(b""))].into(),
            completeness: Completeness::Declared,
            params: BTreeMap::new(),
            observed: None,
            unrecorded_variables: vec!["HOME".into()],
            started_ms: 1_795_000_000_000,
            duration_ms: 12_400,
            peak_memory_bytes: Some(1 << 28),
        },
        host: host(),
        git: Some(Git {
            commit: Some("4f0c2d1".into()),
            branch: Some("main".into()),
            dirty: vec!["train.py".into()],
        }),
        parent: None,
        makers: BTreeMap::new(),
        who: "ana".into(),
    }
}

/// A run that was forked from another.
pub fn forked_run() -> Run {
    Run { parent: Some(run().id()), ..run() }
}

/// A run that has who made what it read.
pub fn told_run() -> Run {
    let makers = [run().id(), watched_run().id()];
    let makers =
        [("digits".to_owned(), makers.into()), ("/data/more".to_owned(), [run().id()].into())];
    Run { makers: makers.into(), ..run() }
}

/// A run of which is known what it touched.
pub fn watched_run() -> Run {
    let mut run = run();
    run.recipe = placed_recipe().id();
    run.outcome.observed = Some(blob());
    run.outcome.params = recipe().params().clone();
    run
}

/// What the recipe measures the file that it reads by.
pub fn evaluation() -> Evaluation {
    let model = recipe().inputs().keys().cloned().collect();
    Evaluation::new(run().id(), model, "accuracy".into(), true).unwrap()
}

/// What a directory and a file in it are called elsewhere.
pub fn aliases() -> Aliases {
    let table = [
        (Alias::new(Scheme::Md5, &[0x5a; 16]).unwrap(), Subject::Tree(tree().id())),
        (Alias::new(Scheme::Sha256, &[0xa5; 32]).unwrap(), Subject::Blob(blob())),
    ];
    Aliases {
        of: Subject::Tree(tree().id()),
        from: "dvc".into(),
        origin: "data/raw".into(),
        table: BlobId::of(&write_table(&table.into())),
    }
}

pub fn attestation() -> Attestation {
    Attestation {
        run: run().id(),
        verdict: Verdict::Diverged,
        outputs: [(slot("metrics.json"), BlobId::of(b"{}").into())].into(),
        differences: vec![Difference {
            output: slot("metrics.json"),
            at: Some("accuracy".into()),
            expected: "0.9722".into(),
            actual: "0.9694".into(),
            ulps: Some(25_220_872_166_190),
            share: Some(Number::new(1.0).unwrap()),
            relative_l2: None,
            tolerated: false,
        }],
        sealed: false,
        host: host(),
        who: "ben".into(),
        started_ms: 1_795_000_100_000,
        duration_ms: 12_900,
    }
}

/// What `ssh-keygen -Y sign -n lab-run` wrote for the message of [`signature`], by a key made for this
/// and thrown away.
pub const SSHSIG: &str = "53534853494700000001000000330000000b7373682d6564323535313900000020\
    891c31f971eb2bdb824ce07a348c33f687d3141dc90cb896f2eaf55b5ce8791e000000076c61622d72756e000000\
    0000000006736861353132000000530000000b7373682d6564323535313900000040542802053442503fa43abf32\
    8f8baa86350cc82344e7f5fa691896b097a61d5425420240e78ca46871831bd5d030eb15c0c0ce8f7e45ff337ee7\
    d2931bb68403";

pub fn sshsig() -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&SSHSIG[at..at + 2], 16).unwrap();
    (0..SSHSIG.len()).step_by(2).map(byte).collect()
}

pub fn signature() -> Signature {
    Signature::new(Signed::Run(run().id()), 1_795_000_200_000, sshsig()).unwrap()
}
