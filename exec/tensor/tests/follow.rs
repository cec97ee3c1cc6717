//! A record that parts from what its recipe gives is followed to the step and the tensor.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use common::{DIGITS_CSV, Killer, program, put, store, training};
use lab_arithmetic::{Kernels, Path};
use lab_objects::{Silent, Store};
use lab_schema::tree::{Entry, Node};
use lab_schema::{ContentId, Digest, FileName, Object, Recipe, Slot, Tree};
use lab_tensor::{
    Divergence, Follow, Resuming, Segment, divergence, execute, execute_on, execute_resuming,
};

type Outputs = BTreeMap<Slot, ContentId>;

/// 34 steps an epoch, 102 in all.
const SMALL: [(&str, &str); 5] = [
    ("prepare.header", "false"),
    ("prepare.validation", "0.2"),
    ("train.hidden", "[12]"),
    ("train.dropout", "0.1"),
    ("train.epochs", "3"),
];

fn small(store: &Store, more: &[(&str, &str)]) -> Recipe {
    let input = put(store, DIGITS_CSV);
    training(store, &program("mlp", &[&SMALL[..], more].concat()), input)
}

fn slot(name: &str) -> Slot {
    name.parse().unwrap()
}

/// The outputs of a training in which, after `step` steps, a bit of a weight was not what it had
/// been.
fn flipped(store: &Store, recipe: &Recipe, step: u64) -> Outputs {
    let folder = tempfile::tempdir().unwrap();
    let resuming = Resuming { folder: folder.path(), every: Duration::ZERO };
    let killer = Killer { after: step };
    let run = || execute_resuming(store, recipe, &killer, resuming);
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    let file = folder.path().join(format!("{}.training", recipe.id()));
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.truncate(bytes.len() - 32);
    let json = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = u64::from_le_bytes(bytes[8 + json..][..8].try_into().unwrap()) as usize;
    let text = std::str::from_utf8(&bytes[16 + json..][..header]).unwrap();
    let tensors: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
    let at = tensors["weights/fc1.weight"]["data_offsets"][0].as_u64().unwrap() as usize;
    // The last bit of a number in the middle of a row.
    bytes[16 + json + header + at + 4 * 20] ^= 1;
    let digest = Digest::derive("lab 2026-11-30 interrupted training", &bytes);
    bytes.extend(digest.as_bytes());
    std::fs::write(&file, bytes).unwrap();
    execute_resuming(store, recipe, &Silent, resuming).unwrap().outputs
}

fn redo(store: &Store, recipe: &Recipe, outputs: &Outputs, segment: Segment) -> Option<Divergence> {
    let follow = Follow::new(store, recipe, outputs).unwrap();
    follow.redo(segment, &Silent, None).unwrap()
}

fn all(store: &Store, recipe: &Recipe, outputs: &Outputs) -> Segment {
    Segment { from: 0, to: Follow::new(store, recipe, outputs).unwrap().steps() }
}

#[test]
fn an_honest_record_is_followed_to_its_end() {
    let store = store();
    for (more, steps, ends) in [
        (&[("train.checkpoint_every", "40")][..], 102, &[40, 80, 102][..]),
        // At the ends of epochs; the last one is the end, and no checkpoint.
        (&[("train.checkpoint_every", "34")], 102, &[34, 68, 102]),
        (&[], 102, &[102]),
        (&[("train.checkpoint_every", "1000")], 102, &[102]),
        // It stops early, since nothing is learned.
        (
            &[("train.patience", "1"), ("train.lr", "0.0"), ("train.checkpoint_every", "50")],
            68,
            &[50, 68],
        ),
    ] {
        let recipe = small(&store, more);
        let outputs = execute(&store, &recipe, &Silent).unwrap().outputs;
        assert!(recipe.outputs().keys().eq(outputs.keys()));
        let follow = Follow::new(&store, &recipe, &outputs).unwrap();
        assert_eq!(follow.steps(), steps);
        let segments = follow.segments();
        assert_eq!(segments.iter().map(|segment| segment.to).collect::<Vec<_>>(), ends);
        assert!(segments.windows(2).all(|pair| pair[0].to == pair[1].from));
        for segment in segments.into_iter().chain([Segment { from: 0, to: steps }]) {
            // What one path has kept, every other goes on from.
            for path in [Path::Avx512, Path::Avx2, Path::Neon, Path::Generic] {
                let Some(kernels) = Kernels::new(path, NonZeroUsize::new(2).unwrap()) else {
                    continue;
                };
                let found = follow.redo_on(kernels, segment, &Silent, None).unwrap();
                assert_eq!(found, None, "{segment:?} on {path:?}");
            }
        }
        assert_eq!(divergence(&store, &outputs, &outputs).unwrap(), None);
    }
}

#[test]
fn a_flipped_bit_is_found_to_the_step() {
    let store = store();
    for (more, after) in [
        (&[("train.state_every", "10")][..], 47),
        (&[("train.state_every", "10"), ("train.checkpoint_every", "30")], 47),
        (&[("train.state_every", "0"), ("train.checkpoint_every", "30")], 61),
        (&[("train.state_every", "1")], 5),
    ] {
        let recipe = small(&store, more);
        let honest = execute(&store, &recipe, &Silent).unwrap().outputs;
        let forged = flipped(&store, &recipe, after);
        assert_ne!(forged, honest);
        let every: u64 = more[0].1.parse().unwrap();
        let found = divergence(&store, &forged, &honest).unwrap().unwrap();
        assert_eq!(found.steps, 102);
        // The last bit of one weight need not move the loss of the very next step.
        assert!((after + 1..=after + 8).contains(&found.step), "{found:?}");
        let since = (found.step - 1).checked_div(every).map_or(0, |states| states * every);
        assert_eq!(found.since, since, "{found:?}");
        let noted = if every == 0 { found.step } else { (after + 1).next_multiple_of(every) };
        assert_eq!(found.noted, noted);
        assert_eq!(found.tensors.contains(&"fc1.weight".to_owned()), every > 0, "{found:?}");
        if every == 1 {
            assert_eq!((found.what, found.step), ("weights", 6));
            // Each weight goes its own way, as long as no other has been moved by it.
            assert_eq!(found.tensors[..], ["fc1.weight"], "{found:?}");
        }
        // Doing it again finds the same.
        assert_eq!(redo(&store, &recipe, &forged, all(&store, &recipe, &forged)), Some(found));
        // Of the segments only that in which it happened is other than recorded: the next ones
        // begin with what is recorded.
        let follow = Follow::new(&store, &recipe, &forged).unwrap();
        for segment in follow.segments() {
            let found = redo(&store, &recipe, &forged, segment);
            let is_inside = (segment.from..segment.to).contains(&after);
            assert_eq!(found.is_some(), is_inside, "{segment:?}: {found:?}");
        }
    }
}

/// With a checkpoint right before the flip, and the next state after the next checkpoint.
#[test]
fn a_flip_between_states_is_seen_at_the_checkpoint() {
    let store = store();
    let recipe = small(&store, &[("train.state_every", "0"), ("train.checkpoint_every", "10")]);
    let forged = flipped(&store, &recipe, 20);
    let found = redo(&store, &recipe, &forged, Segment { from: 20, to: 30 }).unwrap();
    assert!((21..=30).contains(&found.step), "{found:?}");
    assert_eq!(redo(&store, &recipe, &forged, Segment { from: 10, to: 20 }), None);
    assert_eq!(redo(&store, &recipe, &forged, Segment { from: 30, to: 40 }), None);
}

fn with(outputs: &Outputs, name: &str, content: ContentId) -> Outputs {
    let mut outputs = outputs.clone();
    outputs.insert(slot(name), content);
    outputs
}

fn bytes(store: &Store, outputs: &Outputs, name: &str) -> Vec<u8> {
    let ContentId::Blob(id) = outputs[&slot(name)] else { panic!("{name} is a file") };
    store.read_blob(id, 1 << 24).unwrap()
}

#[test]
fn what_is_forged_afterwards_is_found_too() {
    let store = store();
    let recipe = small(&store, &[("train.checkpoint_every", "40")]);
    let outputs = execute(&store, &recipe, &Silent).unwrap().outputs;
    let found = |outputs: &Outputs| redo(&store, &recipe, outputs, all(&store, &recipe, outputs));

    // Better weights than training gave.
    let mut weights = bytes(&store, &outputs, "model.safetensors");
    *weights.last_mut().unwrap() ^= 1;
    let forged = with(&outputs, "model.safetensors", put(&store, &weights));
    let Divergence { step, what, tensors, .. } = found(&forged).unwrap();
    assert_eq!((step, what, tensors), (102, "weights", vec!["head.weight".to_owned()]));
    let same = divergence(&store, &forged, &outputs).unwrap().unwrap();
    assert_eq!((same.step, same.what), (102, "weights"));

    // A better loss on the validation part.
    let history = String::from_utf8(bytes(&store, &outputs, "history.json")).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&history).unwrap();
    json["epochs"][1]["validation"] = 0.001.into();
    let forged = with(&outputs, "history.json", put(&store, json.to_string().as_bytes()));
    let Divergence { step, what, expected, .. } = found(&forged).unwrap();
    assert_eq!((step, what, expected.as_str()), (68, "validation loss", "0.001"));

    // Fewer steps than were taken, and more.
    let steps = String::from_utf8(bytes(&store, &outputs, "steps.csv")).unwrap();
    let fewer: String = steps.lines().take(100).map(|line| format!("{line}\n")).collect();
    let forged = with(&outputs, "steps.csv", put(&store, fewer.as_bytes()));
    let Divergence { step, what, actual, .. } = found(&forged).unwrap();
    assert_eq!((step, what, actual.as_str()), (99, "steps", "more than 99"));
    let more = put(&store, (steps.clone() + "103,4,0.01,0.001\n").as_bytes());
    let Divergence { step, what, actual, .. } = found(&with(&outputs, "steps.csv", more)).unwrap();
    assert_eq!((step, what, actual.as_str()), (102, "steps", "102"));

    // Another loss.
    let line = steps.lines().nth(60).unwrap();
    let loss = line.split(',').nth(2).unwrap();
    let other = steps.replace(line, &line.replace(loss, "0.5"));
    let forged = with(&outputs, "steps.csv", put(&store, other.as_bytes()));
    let Divergence { step, what, expected, actual, .. } = found(&forged).unwrap();
    assert_eq!((step, what, expected.as_str(), actual.as_str()), (60, "loss", "0.5", loss));
}

/// Checkpoints with this in the file `name` of the one at step 40.
fn forged_checkpoint(store: &Store, outputs: &Outputs, name: &str, bytes: &[u8]) -> Outputs {
    let ContentId::Tree(root) = outputs[&slot("checkpoints")] else { panic!("a directory") };
    let ContentId::Blob(id) = put(store, bytes) else { panic!("a file") };
    let replaced = |tree: &Tree, name: &str, node: Node| {
        let mut entries: Vec<Entry> = tree.entries().to_vec();
        let name = FileName::new(name).unwrap();
        entries.retain(|entry| entry.name != name);
        entries.push(Entry { name, node });
        let mut writer = store.writer();
        let id = writer.put(&Tree::new(entries).unwrap()).unwrap();
        writer.finish().unwrap();
        id
    };
    let root: Tree = store.load(root).unwrap();
    let Node::Directory { id: of, size } = root.get(b"step-000000040").unwrap().node else {
        panic!("a directory")
    };
    let file = Node::File { id, size: bytes.len() as u64, executable: false };
    let inner = replaced(&store.load(of).unwrap(), name, file);
    let outer = replaced(&root, "step-000000040", Node::Directory { id: inner, size });
    with(outputs, "checkpoints", outer.into())
}

#[test]
fn hostile_records_are_refused_in_words() {
    let store = store();
    let recipe = small(&store, &[("train.checkpoint_every", "40")]);
    let outputs = execute(&store, &recipe, &Silent).unwrap().outputs;
    let error = |outputs: &Outputs| {
        let follow = Follow::new(&store, &recipe, outputs)?;
        follow.redo(Segment { from: 40, to: 80 }, &Silent, None)
    };
    let text = |outputs: &Outputs| error(outputs).unwrap_err().to_string();
    let junk = put(&store, b"junk");
    assert_eq!(
        text(&with(&outputs, "steps.csv", junk)),
        "'steps.csv' is not what an earlier stage leaves: it does not list losses step by step"
    );
    assert!(text(&with(&outputs, "history.json", junk)).contains("'history.json' is not"));
    assert_eq!(
        text(&with(&outputs, "checkpoints", junk)),
        "'checkpoints' is not what an earlier stage leaves: it is a file"
    );
    let no_checkpoint = "'checkpoints' is not what an earlier stage leaves: \
                         step 40 is no checkpoint of this training";
    let ContentId::Tree(root) = outputs[&slot("checkpoints")] else { panic!("a directory") };
    let root: Tree = store.load(root).unwrap();
    let Node::Directory { id, .. } = root.get(b"step-000000040").unwrap().node else {
        panic!("a directory")
    };
    let tree: Tree = store.load(id).unwrap();
    let Node::File { id, .. } = tree.get(b"state.json").unwrap().node else { panic!("a file") };
    let state = String::from_utf8(store.read_blob(id, 1 << 20).unwrap()).unwrap();
    let mut json: serde_json::Value = serde_json::from_str(&state).unwrap();
    for (key, value) in [
        ("step", serde_json::json!(u64::MAX)),
        ("step", serde_json::json!(41)),
        ("state", serde_json::json!("none")),
        ("epoch", serde_json::json!([0, u64::MAX])),
        ("best", serde_json::json!([0, 77])),
        ("optimizer", serde_json::json!({ "steps": u64::MAX, "powers": [0, 0] })),
    ] {
        let kept = json[key].clone();
        json[key] = value.clone();
        let bytes = json.to_string().into_bytes();
        let forged = forged_checkpoint(&store, &outputs, "state.json", &bytes);
        assert_eq!(text(&forged), no_checkpoint, "{key}: {value}");
        json[key] = kept;
    }
    let forged = forged_checkpoint(&store, &outputs, "state.json", b"{}");
    assert!(text(&forged).contains("state.json: missing field"), "{}", text(&forged));
    let forged = forged_checkpoint(&store, &outputs, "tensors.safetensors", b"");
    assert!(text(&forged).contains("'checkpoints' is not what"), "{}", text(&forged));
    // Honest but for one number of the state: the way to it is not the recorded one.
    json["epoch"][1] = (json["epoch"][1].as_u64().unwrap() - 1).into();
    let bytes = json.to_string().into_bytes();
    let forged = forged_checkpoint(&store, &outputs, "state.json", &bytes);
    let found = redo(&store, &recipe, &forged, Segment { from: 0, to: 40 }).unwrap();
    assert_eq!((found.step, found.what), (40, "state"));
    assert_eq!(error(&outputs).unwrap(), None);
}

fn trace(store: &Store, recipe: &Recipe, kernels: Kernels, segment: Segment) -> Vec<String> {
    let outputs = execute_on(kernels, store, recipe, &Silent).unwrap().outputs;
    let follow = Follow::new(store, recipe, &outputs).unwrap();
    let mut lines = Vec::new();
    let mut take = |line: &str| {
        lines.push(line.to_owned());
        ControlFlow::Continue(())
    };
    assert_eq!(follow.redo_on(kernels, segment, &Silent, Some(&mut take)).unwrap(), None);
    lines
}

#[test]
fn a_trace_names_each_operation_and_is_the_same_on_every_path() {
    let store = store();
    let recipe = small(&store, &[("train.checkpoint_every", "30")]);
    let segment = Segment { from: 33, to: 35 };
    let lines = trace(&store, &recipe, Kernels::detect(), segment);
    let generic = Kernels::new(Path::Generic, NonZeroUsize::MIN).unwrap();
    assert_eq!(trace(&store, &recipe, generic, segment), lines);
    let what = |line: &String| line.rsplit_once(" [").unwrap().0.to_owned();
    let of = |step: &str| -> Vec<String> {
        let step = format!("{step} ");
        lines.iter().filter_map(|l| Some(what(l).strip_prefix(&step)?.to_owned())).collect()
    };
    let plain = [
        "forward fc1 linear",
        "forward relu1 apply",
        "forward dropout1 dropout",
        "forward head linear",
        "forward loss cross_entropy",
        "backward loss cross_entropy, input 1",
        "backward head linear, input 1",
        "backward head linear, input 2",
        "backward head linear, input 3",
        "backward dropout1 dropout, input 1",
        "backward relu1 apply, input 1",
        "backward fc1 linear, input 2",
        "backward fc1 linear, input 3",
        "gradient of fc1.bias",
        "gradient of fc1.weight",
        "gradient of head.bias",
        "gradient of head.weight",
        "step of fc1.bias",
        "step of fc1.weight",
        "step of head.bias",
        "step of head.weight",
    ];
    // Step 34 is the last of its epoch: the validation part comes after it.
    assert_eq!(of("34")[..plain.len()], plain);
    assert!(of("34")[plain.len()..].iter().all(|what| what.starts_with("forward ")));
    assert_eq!(of("35"), plain);
    // Another rate of dropout: the first operation that differs is that one.
    let other = small(&store, &[("train.checkpoint_every", "30"), ("train.dropout", "0.2")]);
    let first = Segment { from: 0, to: 1 };
    let (a, b) = (
        trace(&store, &recipe, Kernels::detect(), first),
        trace(&store, &other, Kernels::detect(), first),
    );
    let differing = a.iter().zip(&b).find(|(a, b)| a != b).unwrap();
    assert_eq!(what(differing.0), "1 forward dropout1 dropout");
}
