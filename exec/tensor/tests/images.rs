//! Images before they are learned from: brought to one size, cropped and mirrored by chance.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::collections::BTreeMap;

use common::{Runs, put, run_on, store};
use lab_arithmetic::Kernels;
use lab_data::Values;
use lab_objects::{Silent, Store, add};
use lab_schema::{ContentId, Value};
use lab_tensor::{Program, Result};

/// Grey PNG files: 1 x 2 (height x width) with 0 and 100, 2 x 1 with 40 and 80, 2 x 4 with 0, 10, ..., 70.
const WIDE: &[u8] = b"\x89PNG\x0d\x0a\x1a\x0a\x00\x00\x00\x0dIHDR\x00\x00\x00\x02\x00\x00\x00\x01\x08\x00\x00\x00\x00\xd1I V\
    \x00\x00\x00\x0bIDATx\xdac`H\x01\x00\x00g\x00e\x19\x06/g\x00\x00\x00\x00IEND\xaeB`\x82";
const TALL: &[u8] = b"\x89PNG\x0d\x0a\x1a\x0a\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x02\x08\x00\x00\x00\x00\xbc\xea\xe9\xfb\
    \x00\x00\x00\x0cIDATx\xdac\xd0`\x08\x00\x00\x00\xcc\x00y\xf9\xb5\x17\x10\x00\x00\x00\x00IEND\xaeB`\x82";
const LARGE: &[u8] = b"\x89PNG\x0d\x0a\x1a\x0a\x00\x00\x00\x0dIHDR\x00\x00\x00\x04\x00\x00\x00\x02\x08\x00\x00\x00\x00Z\xc3\x22\xbf\
    \x00\x00\x00\x12IDATx\xdac`\xe0\x12\x91c\xd00\xb2q\x03\x00\x03\x8e\x01\x19\xcb?\x0cR\x00\x00\x00\x00IEND\xaeB`\x82";

const PREPARE: &str = r#"
[inputs]
images = "images"
[prepare]
form = "images"
images = "images"
colours = "grey"
stratify = false
"#;

const LABELLED: &str = r#"
[inputs]
images = "images"
labels = "labels"
[prepare]
form = "images"
images = "images"
labels = "labels"
stratify = false
"#;

fn program(text: &str, changes: &[(&str, &str)]) -> Program {
    let mut program = Program::parse(text).unwrap();
    program.set_all(changes).unwrap();
    program
}

/// A folder with these files.
fn folder(store: &Store, files: &[(&str, &[u8])]) -> ContentId {
    let folder = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let mut writer = store.writer();
    let added = add(&mut writer, folder.path(), &Silent).unwrap();
    writer.finish().unwrap();
    added.content
}

fn on(store: &Store, program: &Program, inputs: &[(&str, ContentId)]) -> Result<Runs> {
    let inputs: BTreeMap<String, ContentId> =
        inputs.iter().map(|(name, content)| ((*name).to_owned(), *content)).collect();
    run_on(store, program, &inputs, Kernels::detect())
}

fn bytes(store: &Store, runs: &Runs, stage: &str, output: &str) -> Vec<u8> {
    let ContentId::Blob(id) = runs[stage].1.outputs[&output.parse().unwrap()] else { panic!() };
    store.read_blob(id, 1 << 26).unwrap()
}

/// The pixels of every row, by row, as bytes.
fn pixels(store: &Store, runs: &Runs) -> BTreeMap<i64, Vec<u8>> {
    let mut all = BTreeMap::new();
    for part in ["train", "validation", "test"] {
        let file = bytes(store, runs, "prepare", &format!("{part}.safetensors"));
        let arrays = lab_data::safetensors(&file).unwrap();
        let (Values::F32(x), Values::I64(rows)) = (&arrays["x"].values, &arrays["row"].values)
        else {
            panic!()
        };
        for (row, x) in rows.iter().zip(x.chunks(x.len().max(1) / rows.len().max(1))) {
            all.insert(*row, x.iter().map(|x| (x * 255.0).round() as u8).collect());
        }
    }
    all
}

#[test]
fn pictures_of_any_size_in_a_folder_become_one_size() {
    let store = store();
    let files = [("a/1.png", WIDE), ("a/2.png", TALL), ("b/1.png", LARGE), ("b/2.png", WIDE)];
    let files = folder(&store, &files);
    let error = on(&store, &program(PREPARE, &[]), &[("images", files)]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "'images': image 'a/2.png' is 2 x 1, but 'a/1.png' is 1 x 2 (height x width): all must \
         have the same size (see prepare.resize)"
    );
    let resized = program(PREPARE, &[("prepare.resize", "[1, 2]")]);
    let runs = on(&store, &resized, &[("images", files)]).unwrap();
    // By hand: half-pixel centres, along the width first; of four columns places 1/2 and 5/2.
    let expected = [[0, 100], [60, 60], [25, 45], [0, 100]].map(Vec::from);
    assert_eq!(pixels(&store, &runs).into_values().collect::<Vec<_>>(), expected);
    let prepared: serde_json::Value =
        serde_json::from_slice(&bytes(&store, &runs, "prepare", "prepare.json")).unwrap();
    assert_eq!(prepared["sizes"], serde_json::json!([1, 2, 1]));
    let params = runs["prepare"].0.params();
    assert_eq!(params["resize"], Value::List(vec![Value::Int(1), Value::Int(2)]));
}

/// An IDX file of bytes.
fn idx(shape: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, shape.len() as u8];
    shape.iter().for_each(|side| bytes.extend(side.to_be_bytes()));
    bytes.extend(values);
    bytes
}

#[test]
fn images_in_arrays_are_resized_each_for_itself() {
    let store = store();
    let all: Vec<u8> = [[10, 20, 30, 40], [0, 0, 255, 255], [7; 4], [1, 2, 1, 2]].concat();
    let labels = put(&store, &idx(&[4], &[0, 1, 0, 1]));
    let images = put(&store, &idx(&[4, 2, 2], &all));
    let inputs = [("images", images), ("labels", labels)];
    let with = |resize: &str| {
        let program = program(LABELLED, &[("prepare.resize", resize)]);
        on(&store, &program, &inputs).unwrap()
    };
    let one = with("[1, 1]");
    // Means of four: 25, 127.5, 7, 1.5; halves go up.
    assert_eq!(pixels(&store, &one).into_values().collect::<Vec<_>>(), [[25], [128], [7], [2]]);
    let same = with("[2, 2]");
    let plain = on(&store, &program(LABELLED, &[]), &inputs).unwrap();
    assert_eq!(same["prepare"].1.outputs, plain["prepare"].1.outputs);
    // Recipes from before there was such a setting are those of today without it.
    assert_eq!(with("[]")["prepare"].0, plain["prepare"].0);
    assert!(!plain["prepare"].0.params().contains_key("resize"));
    // The mean and deviation are those of what is learned from.
    let text = LABELLED.replace("stratify", "pixels = \"normalize\"\nresize = [1, 1]\nstratify");
    let runs = on(&store, &program(&text, &[]), &inputs).unwrap();
    let prepared: serde_json::Value =
        serde_json::from_slice(&bytes(&store, &runs, "prepare", "prepare.json")).unwrap();
    let known = prepared["fitted"]["normalize"]["means"][0].as_f64().unwrap() * 3.0;
    let sums = [25 + 128 + 7, 25 + 128 + 2, 25 + 7 + 2, 128 + 7 + 2].map(f64::from);
    assert!(sums.iter().any(|sum| (sum - known).abs() < 1e-9), "{known}");
}

#[test]
fn sizes_that_mean_nothing_are_refused() {
    let error = |text: &str, value: &str| {
        let mut program = Program::parse(text).unwrap();
        program.set("prepare.resize", value).unwrap_err().to_string()
    };
    for value in ["[0, 1]", "[8]", "[8, 8, 1]", "[8, 4097]", "8", "'8x8'", "[8.0, 8.0]", "[-1, 8]"]
    {
        let expected = ": [height, width], each 1 to 4096, or [] for none is needed";
        assert!(error(LABELLED, value).ends_with(expected), "{}", error(LABELLED, value));
    }
    assert_eq!(
        error(common::DIGITS, "[8, 8]"),
        "prepare.resize has no meaning with form = \"table\""
    );
    // So many pixels that no memory is asked for them.
    let store = store();
    let labels = put(&store, &idx(&[65], &[0; 65]));
    let images = put(&store, &idx(&[65, 1, 1], &[0; 65]));
    let huge = program(LABELLED, &[("prepare.resize", "[4096, 4096]")]);
    let error = on(&store, &huge, &[("images", images), ("labels", labels)]).unwrap_err();
    assert!(error.to_string().contains("values of the images"), "{error}");
}

#[test]
fn a_recipe_that_says_what_is_off_is_not_canonical() {
    use lab_schema::{Object, Recipe};
    let store = store();
    let labels = put(&store, &idx(&[4], &[0, 1, 0, 1]));
    let images = put(&store, &idx(&[4, 1, 1], &[0; 4]));
    let inputs = [("images", images), ("labels", labels)];
    let runs = on(&store, &program(LABELLED, &[]), &inputs).unwrap();
    let mut parts = runs["prepare"].0.to_parts();
    parts.params.insert("resize".into(), Value::List(Vec::new()));
    let recipe = Recipe::new(parts).unwrap();
    assert_ne!(recipe.id(), runs["prepare"].0.id());
    let error = lab_tensor::execute(&store, &recipe, &Silent).unwrap_err();
    assert_eq!(error.to_string(), "prepare.resize = []: its canonical form is needed");
}

const LEARNED: &str = r#"
[inputs]
images = "images"
labels = "labels"
[prepare]
form = "images"
images = "images"
labels = "labels"
validation = 0.2
[train]
model = "linear"
batch = 8
epochs = 3
[evaluate]
"#;

/// Images with a bright column, whose place is the class.
fn columns(store: &Store) -> [(&'static str, ContentId); 2] {
    let image = |n: usize| (0..36).map(move |i| if i % 6 == n % 6 { 200 + n as u8 } else { 9 });
    let all: Vec<u8> = (0..48).flat_map(image).collect();
    let labels: Vec<u8> = (0..48).map(|n| n % 6).collect();
    [("images", put(store, &idx(&[48, 6, 6], &all))), ("labels", put(store, &idx(&[48], &labels)))]
}

#[test]
fn what_is_judged_is_never_cropped_or_mirrored() {
    let store = store();
    let inputs = columns(&store);
    let with = |changes: &[(&str, &str)]| {
        let still = [&[("train.lr", "0.0")], changes].concat();
        on(&store, &program(LEARNED, &still), &inputs).unwrap()
    };
    let (plain, changed) = (with(&[]), with(&[("train.crop", "2"), ("train.flip", "true")]));
    // Nothing was learned: what differs is what was seen.
    assert_eq!(changed["evaluate"].1.outputs, plain["evaluate"].1.outputs);
    let metric = |runs: &Runs, name: &str| runs["train"].1.metrics[name].get();
    assert_eq!(metric(&changed, "validation_loss"), metric(&plain, "validation_loss"));
    assert_ne!(metric(&changed, "train_loss"), metric(&plain, "train_loss"));
    let history = |runs: &Runs| -> Vec<f64> {
        let file = bytes(&store, runs, "train", "history.json");
        let history: serde_json::Value = serde_json::from_slice(&file).unwrap();
        let epochs = history["epochs"].as_array().unwrap();
        epochs.iter().map(|epoch| epoch["loss"].as_f64().unwrap()).collect()
    };
    // Each epoch sees other images; without it only the order of sums is another.
    let [first, second, _] = history(&changed)[..] else { panic!() };
    assert!((first - second).abs() > 1e-3, "{first} and {second}");
    let [first, second, _] = history(&plain)[..] else { panic!() };
    assert!((first - second).abs() < 1e-5, "{first} and {second}");
}

#[test]
fn only_what_is_asked_for_happens_and_stands_in_the_recipe() {
    let store = store();
    let inputs = columns(&store);
    let weights = |changes: &[(&str, &str)]| {
        let runs = on(&store, &program(LEARNED, changes), &inputs).unwrap();
        let params = runs["train"].0.params();
        let keys = ["crop", "flip"].map(|key| params.contains_key(key));
        (common::id(&runs, "train", "model.safetensors"), keys)
    };
    let plain = weights(&[]);
    assert_eq!(plain.1, [false; 2]);
    assert_eq!(weights(&[("train.crop", "0"), ("train.flip", "false")]), plain);
    let all = [
        weights(&[("train.crop", "1")]),
        weights(&[("train.crop", "2")]),
        weights(&[("train.flip", "true")]),
        weights(&[("train.flip", "true"), ("train.crop", "1")]),
        weights(&[("train.flip", "true"), ("train.shuffle_seed", "7")]),
    ];
    let mut distinct: Vec<_> = all.iter().map(|(id, _)| id).chain([&plain.0]).collect();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), 6);
    assert_eq!(
        all.map(|(_, keys)| keys)[..4],
        [[true, false], [true, false], [false, true], [true, true]]
    );
}

#[test]
fn crops_and_mirrors_are_for_images() {
    let set = |text: &str, changes: &[(&str, &str)]| {
        Program::parse(text).unwrap().set_all(changes).unwrap_err().to_string()
    };
    for (key, value) in [("train.crop", "1"), ("train.flip", "true")] {
        let expected = format!("{key} has no meaning with form = \"table\"");
        assert_eq!(set(common::DIGITS, &[(key, value)]), expected);
        // Images in a table have been scaled column by column: there is no pixel of 0 for all.
        assert_eq!(set(common::DIGITS, &[("prepare.shape", "[8, 8, 1]"), (key, value)]), expected);
    }
    let text = lab_tensor::Baseline::find("char-gru").unwrap().text;
    assert_eq!(
        set(text, &[("train.flip", "true")]),
        "train.flip has no meaning with model = \"gru\""
    );
    assert_eq!(
        set(LEARNED, &[("train.crop", "-1")]),
        "train.crop = -1: an integer from 0 to 256 is needed"
    );
    let store = store();
    let inputs = columns(&store);
    let error = |value: &str| {
        let program = program(LEARNED, &[("train.crop", value)]);
        on(&store, &program, &inputs).unwrap_err().to_string()
    };
    assert_eq!(
        error("6"),
        "train.crop = 6: less than 6 pixels, since the images have 6 x 6, is needed"
    );
    on(&store, &program(LEARNED, &[("train.crop", "5")]), &inputs).unwrap();
}

/// A recipe of a stranger, who asks for crops of what stage `prepare` has made of a table.
#[test]
fn rows_of_a_table_are_not_cropped_for_a_stranger_either() {
    use lab_schema::Recipe;
    let store = store();
    let digits = put(&store, common::DIGITS_CSV);
    for shape in ["[]", "[8, 8, 1]"] {
        let changes = [("prepare.shape", shape), ("train.epochs", "1"), ("train.hidden", "[4]")];
        let program = program(common::DIGITS, &changes);
        let runs = on(&store, &program, &[("digits", digits)]).unwrap();
        let mut parts = runs["train"].0.to_parts();
        parts.params.insert("flip".into(), Value::Bool(true));
        let recipe = Recipe::new(parts).unwrap();
        let error = lab_tensor::execute(&store, &recipe, &Silent).unwrap_err();
        assert_eq!(error.to_string(), "train.flip has no meaning with examples that are no images");
    }
}
