//! Fills a registry with a long history, to measure commands on:
//! `lab init DIR; cargo run --release -p lab-lineage --example many_runs -- DIR/.lab 100000`.
//!
//! Runs stand in chains of ten; each reads what the one before left and a data set that all share, and leaves ten
//! contents that nobody else left (of which the store has the ids alone). Every hundredth has a name, and the data
//! set is called `data`.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::collections::BTreeMap;
use std::sync::Arc;

use lab_objects::{Expected, Folder, Move, NameKind, Store};
use lab_schema::recipe::Parts;
use lab_schema::{
    BlobId, Command, Completeness, ContentId, Executor, Host, Limits, Number, Object, Outcome,
    Recipe, Run, Slot, Status, Tree, Value,
};

const LEFT: u64 = 10;
const CHAIN: u64 = 10;

fn slot(text: &str) -> Slot {
    Slot::new(text).unwrap()
}

fn left(run: u64, file: u64) -> ContentId {
    BlobId::of(format!("{run} {file}").as_bytes()).into()
}

fn host() -> Host {
    Host {
        os: "linux".into(),
        kernel: "6.1".into(),
        arch: "x86_64".into(),
        cpu: "a processor".into(),
        cpu_features: vec!["avx2".into()],
        cpus: 8,
        memory_bytes: 1 << 34,
        lab: "0.1.0".into(),
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let folder = std::path::PathBuf::from(args.next().unwrap());
    let runs: u64 = args.next().unwrap().parse().unwrap();
    let store = Store::open(Arc::new(Folder::open(&folder).unwrap())).unwrap();
    let mut writer = store.writer();
    let data = writer.put_bytes(b"x,y\n1,2\n").unwrap();
    let code = writer.put(&Tree::default()).unwrap();
    let mut names = vec![("data".to_owned(), lab_schema::ObjectId::from(data))];
    for n in 0..runs {
        let mut inputs = BTreeMap::from([(slot("data.csv"), data.into())]);
        if n % CHAIN != 0 {
            inputs.insert(slot("before.bin"), left(n - 1, 0));
        }
        let number = |value: f64| Value::Float(Number::new(value).unwrap());
        let recipe = Recipe::new(Parts {
            executor: Executor::Command(Command {
                argv: ["python", "train.py", "--step", &(n % CHAIN).to_string()]
                    .map(str::to_owned)
                    .into(),
                directory: None,
                variables: BTreeMap::new(),
                place: None,
            }),
            inputs,
            outside: BTreeMap::new(),
            code: Some(code),
            environment: None,
            params: BTreeMap::from([
                ("lr".to_owned(), number(0.1 / (1 + n % 7) as f64)),
                ("seed".to_owned(), Value::Int((n / CHAIN) as i64)),
            ]),
            seed: None,
            outputs: BTreeMap::new(),
            limits: Limits::default(),
        })
        .unwrap();
        let outputs = (0..LEFT).map(|file| (slot(&format!("out{file}.bin")), left(n, file)));
        let accuracy = 0.5 + (n * 7919 % 5000) as f64 / 10_000.0;
        let run = Run {
            recipe: writer.put(&recipe).unwrap(),
            outcome: Outcome {
                status: Status::Exited(0),
                outputs: outputs.collect(),
                metrics: BTreeMap::from([
                    ("accuracy".to_owned(), Number::new(accuracy).unwrap()),
                    ("loss".to_owned(), Number::new(1.0 - accuracy).unwrap()),
                ]),
                params: BTreeMap::new(),
                logs: BTreeMap::new(),
                completeness: Completeness::Complete,
                observed: None,
                unrecorded_variables: Vec::new(),
                started_ms: 1_795_000_000_000 + n * 1000,
                duration_ms: 900,
                peak_memory_bytes: None,
            },
            host: host(),
            git: None,
            parent: None,
            who: if n % 3 == 0 { "ana" } else { "ben" }.into(),
        };
        let id = writer.put(&run).unwrap();
        assert_eq!(id, run.id());
        if n % 100 == 99 {
            names.push((format!("run{n}"), id.into()));
        }
    }
    writer.finish().unwrap();
    for (name, target) in names {
        let kind = if name == "data" { NameKind::Dataset } else { NameKind::Result };
        let moved =
            Move { target: Some(target), kind, when_ms: 1, who: "ana".into(), why: String::new() };
        store
            .names()
            .set(&lab_schema::Name::new(name).unwrap(), Expected::Anything, moved)
            .unwrap();
    }
    println!("{runs} runs, {} contents", runs * LEFT);
}
