//! Fills a registry with a long history, to measure commands on:
//! `lab init DIR; cargo run --release -p lab-lineage --example many_runs -- DIR/.lab 100000`.
//!
//! Runs stand in chains of ten; each reads what the one before left and a data set that all share, and leaves ten
//! contents that nobody else left (of which the store has the ids alone). Every hundredth has a name, and the data
//! set is called `data`. A hundred chains end in a run that scores them all alike: `score0` to `score99`, for a board.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::collections::BTreeMap;
use std::sync::Arc;

use lab_objects::{Expected, Folder, Move, NameKind, Store, Writer};
use lab_schema::recipe::Parts;
use lab_schema::tree::{Entry, Node};
use lab_schema::{
    BlobId, Command, Completeness, ContentId, Executor, FileName, Host, Limits, Number, Outcome,
    Recipe, Run, RunId, Slot, Status, Tree, TreeId, Value,
};

const LEFT: u64 = 10;
const CHAIN: u64 = 10;
const SCORED: u64 = 100;

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

/// A step: what it is called, reads and was run with, and its code.
struct Step<'a> {
    argv: &'a [&'a str],
    inputs: BTreeMap<Slot, ContentId>,
    params: BTreeMap<String, Value>,
    code: TreeId,
    started_ms: u64,
    who: &'a str,
    outputs: BTreeMap<Slot, ContentId>,
    /// The input that another run made, and that run.
    maker: Option<(&'a str, RunId)>,
    accuracy: f64,
}

fn put(writer: &mut Writer, step: Step<'_>) -> RunId {
    let recipe = Recipe::new(Parts {
        executor: Executor::Command(Command {
            argv: step.argv.iter().map(|word| (*word).to_owned()).collect(),
            directory: None,
            variables: BTreeMap::new(),
            place: None,
        }),
        inputs: step.inputs,
        outside: BTreeMap::new(),
        code: Some(step.code),
        environment: None,
        params: step.params,
        seed: None,
        outputs: BTreeMap::new(),
        limits: Limits::default(),
    });
    let number = |value: f64| Number::new(value).unwrap();
    let run = Run {
        recipe: writer.put(&recipe.unwrap()).unwrap(),
        outcome: Outcome {
            status: Status::Exited(0),
            outputs: step.outputs,
            metrics: BTreeMap::from([
                ("accuracy".to_owned(), number(step.accuracy)),
                ("loss".to_owned(), number(1.0 - step.accuracy)),
            ]),
            params: BTreeMap::new(),
            logs: BTreeMap::new(),
            completeness: Completeness::Complete,
            observed: None,
            unrecorded_variables: Vec::new(),
            started_ms: step.started_ms,
            duration_ms: 900,
            peak_memory_bytes: None,
        },
        host: host(),
        git: None,
        parent: None,
        makers: step.maker.map(|(name, run)| (name.to_owned(), [run].into())).into_iter().collect(),
        who: step.who.into(),
    };
    writer.put(&run).unwrap()
}

fn file(name: &str, id: BlobId) -> Entry {
    Entry {
        name: FileName::new(name).unwrap(),
        node: Node::File { id, size: 8, executable: false },
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let folder = std::path::PathBuf::from(args.next().unwrap());
    let runs: u64 = args.next().unwrap().parse().unwrap();
    let store = Store::open(Arc::new(Folder::open(&folder).unwrap())).unwrap();
    let mut writer = store.writer();
    let data = writer.put_bytes(b"x,y\n1,2\n").unwrap();
    let test = writer.put_bytes(b"x,y\n3,4\n").unwrap();
    let score = writer.put_bytes(b"score()\n").unwrap();
    let code = writer.put(&Tree::default()).unwrap();
    let scoring = writer.put(&Tree::new(vec![file("score.py", score)]).unwrap()).unwrap();
    let mut names = vec![("data".to_owned(), lab_schema::ObjectId::from(data))];
    let accuracy = |n: u64| 0.5 + (n * 7919 % 5000) as f64 / 10_000.0;
    let mut all: Vec<RunId> = Vec::new();
    for n in 0..runs {
        let maker = all.last().filter(|_| n % CHAIN != 0).map(|run| ("before.bin", *run));
        let mut inputs = BTreeMap::from([(slot("data.csv"), data.into())]);
        if n % CHAIN != 0 {
            inputs.insert(slot("before.bin"), left(n - 1, 0));
        }
        let lr = Number::new(0.1 / (1 + n % 7) as f64).unwrap();
        let outputs = (0..LEFT).map(|file| (slot(&format!("out{file}.bin")), left(n, file)));
        let step = Step {
            argv: &["python", "train.py", "--step", &(n % CHAIN).to_string()],
            inputs,
            params: BTreeMap::from([
                ("lr".to_owned(), Value::Float(lr)),
                ("seed".to_owned(), Value::Int((n / CHAIN) as i64)),
            ]),
            code,
            started_ms: 1_795_000_000_000 + n * 1000,
            who: if n % 3 == 0 { "ana" } else { "ben" },
            outputs: outputs.collect(),
            maker,
            accuracy: accuracy(n),
        };
        let id = put(&mut writer, step);
        all.push(id);
        if n % 100 == 99 {
            names.push((format!("run{n}"), id.into()));
        }
    }
    for n in 0..SCORED.min(runs / CHAIN) {
        let last = n * (runs / SCORED / CHAIN).max(1) * CHAIN + CHAIN - 1;
        let step = Step {
            argv: &["python", "score.py"],
            inputs: BTreeMap::from([
                (slot("model.bin"), left(last, 0)),
                (slot("test.csv"), test.into()),
            ]),
            params: BTreeMap::new(),
            code: scoring,
            started_ms: 1_795_000_000_000 + (runs + n) * 1000,
            who: "ana",
            outputs: BTreeMap::from([(slot("metrics.json"), left(runs + n, 0))]),
            maker: Some(("model.bin", all[last as usize])),
            accuracy: accuracy(last),
        };
        names.push((format!("score{n}"), put(&mut writer, step).into()));
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
