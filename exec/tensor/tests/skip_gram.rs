//! Word embeddings through whole programs: what is learned, judged and left, and what is refused.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::collections::BTreeMap;

use common::{Runs, put, run, store};
use lab_arithmetic::Kernels;
use lab_objects::{Silent, Store};
use lab_schema::{ContentId, Recipe, Slot, Value};
use lab_tensor::{Baseline, Program, Result, execute};
use serde_json::{Value as Json, json};

fn program(changes: &[(&str, &str)]) -> Program {
    let mut program = Program::parse(Baseline::find("skip-gram").unwrap().text).unwrap();
    program.set_all(changes).unwrap();
    program
}

fn on(store: &Store, text: &str, changes: &[(&str, &str)]) -> Result<Runs> {
    run(store, &program(changes), put(store, text.as_bytes()), Kernels::detect())
}

fn bytes(store: &Store, runs: &Runs, stage: &str, output: &str) -> Vec<u8> {
    let ContentId::Blob(id) = runs[stage].1.outputs[&output.parse().unwrap()] else { panic!() };
    store.read_blob(id, 1 << 26).unwrap()
}

fn json(store: &Store, runs: &Runs, stage: &str, output: &str) -> Json {
    serde_json::from_slice(&bytes(store, runs, stage, output)).unwrap()
}

/// A tensor of a safetensors file: its shape and numbers.
fn tensor(file: &[u8], name: &str) -> (Json, Vec<f32>) {
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let header: Json = serde_json::from_slice(&file[8..8 + length]).unwrap();
    let offset = |n: usize| 8 + length + header[name]["data_offsets"][n].as_u64().unwrap() as usize;
    let words = file[offset(0)..offset(1)].chunks(4);
    let values = words.map(|word| f32::from_le_bytes(word.try_into().unwrap())).collect();
    (header[name]["shape"].clone(), values)
}

/// Sentences of words that are drawn from a few: who, what they do, to what.
fn sentences(count: u64) -> String {
    let mut state = 1u64;
    let mut one_of = |words: [&'static str; 3]| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        words[(state >> 33) as usize % 3]
    };
    let mut sentence = |_| match one_of(["a", "b", "b"]) {
        "a" => format!("{} {} ", one_of(["cat", "dog", "fox"]), one_of(["runs", "eats", "hides"])),
        _ => format!("{} {} ", one_of(["oak", "elm", "yew"]), one_of(["grows", "falls", "burns"])),
    };
    (0..count).map(&mut sentence).collect()
}

const SMALL: [(&str, &str); 7] = [
    ("train.epochs", "5"),
    ("train.width", "8"),
    ("train.window", "1"),
    ("train.subsample", "0.0"),
    ("train.batch", "64"),
    ("train.lr", "0.02"),
    ("prepare.vocabulary", "256"),
];

#[test]
fn words_in_the_same_company_have_like_vectors() {
    let store = store();
    let runs = on(&store, &sentences(3000), &SMALL).unwrap();
    let prepared = json(&store, &runs, "prepare", "prepare.json");
    let tokens: Vec<&str> = prepared["target"]["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t.as_str().unwrap())
        .collect();
    // The words of the training part, and one for all others, which it lacks.
    assert_eq!((tokens.len(), tokens[12]), (13, "\u{fffd}"));
    let file = bytes(&store, &runs, "train", "model.safetensors");
    let (shape, vectors) = tensor(&file, "embed1.weight");
    assert_eq!(shape, json!([13, 8]));
    assert_eq!(tensor(&file, "head.weight").0, json!([13, 8]));
    let vector = |word: &str| {
        let at = tokens.iter().position(|token| *token == word).unwrap();
        &vectors[8 * at..][..8]
    };
    let like = |a: &str, b: &str| {
        let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f32>();
        let (a, b) = (vector(a), vector(b));
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    };
    for (group, others) in [
        (["cat", "dog", "fox"], ["oak", "elm", "yew"]),
        (["oak", "elm", "yew"], ["runs", "eats", "hides"]),
        (["runs", "eats", "hides"], ["grows", "falls", "burns"]),
    ] {
        let within = like(group[0], group[1]).min(like(group[1], group[2]));
        for other in others {
            let across = like(group[0], other);
            assert!(within > 0.8 && within > across + 0.2, "{group:?} {within}, {other} {across}");
        }
    }
    // Each word tells that beside it from the nine that are never there, so the loss is far below
    // ln 12, that of all words alike.
    let metrics = &runs["evaluate"].1.metrics;
    assert!(metrics["loss"].get() < 1.95 && metrics["loss"].get() > 1.4, "{metrics:?}");
    assert!((metrics["perplexity"].get() - metrics["loss"].get().exp()).abs() < 1e-9);
    assert!(metrics["accuracy"].get() > 0.15, "{metrics:?}");
}

#[test]
fn every_pair_of_the_test_part_is_judged_once_and_in_order() {
    let text = sentences(500);
    let store = store();
    let changes = [&SMALL[..], &[("train.window", "2"), ("train.epochs", "1")]].concat();
    let runs = on(&store, &text, &changes).unwrap();
    let table = String::from_utf8(bytes(&store, &runs, "evaluate", "predictions.csv")).unwrap();
    let mut lines = table.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let column = |name: &str| names.iter().position(|n| *n == name).unwrap();
    let (label, beside) = (column("label"), column("beside"));
    let found: Vec<(&str, &str)> = lines
        .map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            (fields[beside], fields[label])
        })
        .collect();
    let held = &text[((1.0 - 0.1) * text.len() as f64) as usize..];
    // What is left of a word that the cut went through is a word that the training part lacks.
    let known = |word: &&str| text.starts_with(word) || text.contains(&format!(" {word} "));
    let words: Vec<&str> = held.split_whitespace().filter(known).collect();
    let mut plain = Vec::new();
    for i in 0..words.len() {
        for j in i.saturating_sub(2)..(i + 3).min(words.len()) {
            if i != j {
                plain.push((words[i], words[j]));
            }
        }
    }
    assert_eq!(found, plain);
    assert_eq!(json(&store, &runs, "evaluate", "metrics.json")["rows"], plain.len());
}

#[test]
fn frequent_words_are_left_out_when_learning_and_when_judging() {
    let store = store();
    let rows = |subsample: &str| {
        let drawn =
            [("train.subsample", subsample), ("train.epochs", "1"), ("train.shuffle_seed", "7")];
        let runs = on(&store, &sentences(1000), &[&SMALL[..], &drawn].concat()).unwrap();
        let model = json(&store, &runs, "train", "model.json");
        assert_eq!(model["pairs"]["seed"], 7);
        assert_eq!(model["pairs"]["subsample"], subsample.parse::<f64>().unwrap());
        json(&store, &runs, "evaluate", "metrics.json")["rows"].as_u64().unwrap()
    };
    // Each word is a twelfth or so: with t = 0.005 it stays with sqrt(0.06) + 0.06.
    let (all, some) = (rows("0.0"), rows("0.005"));
    assert!(some < all / 2 && some > all / 6, "{some} of {all}");
}

#[test]
fn the_recipe_has_the_settings_of_pairs() {
    let stage = program(&[]).stages().remove(1);
    let store = store();
    let inputs = stage.inputs().into_iter().map(|i| (i.slot, put(&store, b"x"))).collect();
    assert_eq!(
        Value::Map(stage.recipe(inputs).unwrap().params().clone()).to_string(),
        "{ batch = 1024, beta1 = 0.9, beta2 = 0.999, clip = 0.0, epochs = 2, eps = 1e-8, \
         init_seed = 1, lr = 0.01, model = \"skip_gram\", optimizer = \"adamw\", patience = 0, \
         schedule = \"linear\", shuffle_seed = 1, state_every = 100, subsample = 0.001, \
         warmup = 0.0, weight_decay = 0.0, width = 64, window = 2 }"
    );
}

#[test]
fn every_setting_of_pairs_and_words_changes_the_result() {
    let store = store();
    let text = sentences(300) + &sentences(200).replace('e', "i");
    let model = |change: &[(&str, &str)]| {
        let changes = [&SMALL[..], &[("train.epochs", "2")], change].concat();
        let mut all = BTreeMap::new();
        all.extend(changes);
        let changes: Vec<(&str, &str)> = all.into_iter().collect();
        let runs = on(&store, &text, &changes).unwrap();
        common::id(&runs, "train", "model.safetensors")
    };
    let base = model(&[]);
    for change in [
        ("train.window", "2"),
        ("train.subsample", "0.01"),
        ("train.width", "9"),
        ("train.shuffle_seed", "2"),
        ("train.init_seed", "2"),
        ("prepare.validation", "0.2"),
    ] {
        assert_ne!(model(&[change]), base, "{change:?}");
    }
}

#[test]
fn other_tokens_have_vectors_as_well_and_words_other_models() {
    let store = store();
    let of = |text: &str| {
        let mut program = Program::parse(text).unwrap();
        program.set("seed", "2").unwrap();
        run(&store, &program, put(&store, sentences(400).as_bytes()), Kernels::detect()).unwrap()
    };
    let head = "[inputs]\ntext = \"t\"\n[prepare]\nform = \"text\"\ntext = \"text\"\n";
    let runs = of(&format!("{head}[train]\nmodel = \"skip_gram\"\nepochs = 1\n[evaluate]\n"));
    let model = json(&store, &runs, "train", "model.json");
    assert_eq!((&model["form"], &model["input"][0]), (&json!("tokens"), &json!(1)));
    assert_eq!(runs["evaluate"].1.metrics.keys().collect::<Vec<_>>(), ["loss", "perplexity"]);
    let runs = of(&format!(
        "{head}tokens = \"words\"\n[train]\nmodel = \"gru\"\nwidth = 8\ncontext = 8\nepochs = 40\n\
         lr = 0.01\n[evaluate]\n"
    ));
    // Whatever comes, it is one of three or six.
    let loss = runs["evaluate"].1.metrics["loss"].get();
    assert!(loss < 1.6, "{loss}");
}

#[test]
fn stopping_early_works_with_pairs() {
    let store = store();
    let changes = [
        &SMALL[..],
        &[("prepare.validation", "0.2"), ("train.patience", "2"), ("train.epochs", "200")],
    ];
    let runs = on(&store, &sentences(200), &changes.concat()).unwrap();
    let history = json(&store, &runs, "train", "history.json");
    let epochs = history["epochs"].as_array().unwrap().len() as u64;
    assert_eq!(epochs, history["best"].as_u64().unwrap() + 2);
}

#[test]
fn what_means_nothing_is_refused_before_the_first_stage() {
    let refused = |changes: &[(&str, &str)]| {
        let program = Program::parse(Baseline::find("skip-gram").unwrap().text).unwrap();
        program.clone().set_all(changes).unwrap_err().to_string()
    };
    for (change, expected) in [
        (("train.window", "0"), "train.window = 0: an integer from 1 to 100 is needed"),
        (("train.window", "101"), "train.window = 101: an integer from 1 to 100 is needed"),
        (("train.subsample", "-0.1"), "train.subsample = -0.1: a number from 0.0 to 1.0 is needed"),
        (("train.subsample", "2"), "train.subsample = 2: a number from 0.0 to 1.0 is needed"),
        (("train.context", "8"), "train.context has no meaning with model = \"skip_gram\""),
        (("train.depth", "1"), "train.depth has no meaning with model = \"skip_gram\""),
        (("train.dropout", "0.1"), "train.dropout has no meaning with model = \"skip_gram\""),
        (("train.k", "1"), "train.k has no meaning with model = \"skip_gram\""),
        (
            ("prepare.tokens", "word"),
            "prepare.tokens = \"word\": one of bytes, characters, pairs, words is needed",
        ),
        (
            ("prepare.vocabulary", "255"),
            "prepare.vocabulary = 255: an integer from 256 to 65536 is needed",
        ),
        (("prepare.unknown", "error"), "prepare.unknown has no meaning with tokens = \"words\""),
        (
            ("evaluate.metrics", "['bits_per_character']"),
            "the metric \"bits_per_character\" has no meaning with tokens = \"words\"",
        ),
        (("prepare.form", "images"), "the program lacks prepare.images"),
    ] {
        assert_eq!(refused(&[change]), expected);
    }
    assert_eq!(
        refused(&[("prepare.tokens", "bytes"), ("evaluate.metrics", "['bits_per_character']")]),
        "the metric \"bits_per_character\" has no meaning with model = \"skip_gram\""
    );
    for (key, model) in [("window", "gru"), ("subsample", "gru"), ("window", "transformer")] {
        let key = format!("train.{key}");
        assert_eq!(
            refused(&[("train.model", model), (&key, "1")]),
            format!("{key} has no meaning with model = \"{model}\"")
        );
    }
    let mlp = Program::parse(Baseline::find("mlp").unwrap().text).unwrap();
    assert_eq!(
        mlp.clone().set_all(&[("train.model", "skip_gram")]).unwrap_err().to_string(),
        "train.model = \"skip_gram\" has no meaning with form = \"table\""
    );
}

#[test]
fn texts_without_pairs_are_refused_in_words() {
    let refused = |text: &str| on(&store(), text, &SMALL).unwrap_err().to_string();
    assert_eq!(refused(" ... ,,, !!! --- "), "column of words has no value in the training rows");
    assert_eq!(refused("lonely ............. x"), "too few rows: there is nothing to learn from");
    // The last tenth has one word that was seen before.
    let text = "so it goes and so it goes and so it goes and so it goes.......... so";
    assert_eq!(refused(text), "too few rows: the test part is empty");
}

#[test]
fn files_of_strangers_are_checked() {
    let store = store();
    let runs =
        on(&store, &sentences(200), &[&SMALL[..], &[("train.epochs", "1")]].concat()).unwrap();
    let evaluate = |change: &dyn Fn(&mut Json)| {
        let mut model = json(&store, &runs, "train", "model.json");
        change(&mut model);
        let content = put(&store, model.to_string().as_bytes());
        let mut parts = runs["evaluate"].0.to_parts();
        parts.inputs.insert(Slot::new("model.json").unwrap(), content);
        let recipe = Recipe::new(parts).unwrap();
        match execute(&store, &recipe, &Silent) {
            Ok(outcome) => outcome.metrics["loss"].get().to_string(),
            Err(error) => error.to_string(),
        }
    };
    let same = runs["evaluate"].1.metrics["loss"].get().to_string();
    assert_eq!(evaluate(&|_| {}), same);
    let bad = "'model.json' is not what an earlier stage leaves: ";
    let fewer = evaluate(&|m| m["pairs"]["counts"] = json!([1, 2]));
    // One is what is left of the word that the cut went through.
    assert_eq!(fewer, format!("{bad}it counts 2 kinds of tokens, of 14"));
    assert!(evaluate(&|m| m["pairs"]["counts"] = json!(vec![0; 14])).starts_with(bad));
    assert!(evaluate(&|m| m["pairs"]["negatives"] = json!(5)).starts_with(bad));
    assert!(evaluate(&|m| m["pairs"]["subsample"] = json!(-1.0)).starts_with("subsample is -1"));
    assert!(evaluate(&|m| m["pairs"]["window"] = json!(0)).starts_with("window is 0"));
    assert_ne!(evaluate(&|m| m["pairs"]["window"] = json!(3)), same);
    // All pairs that there can be: no more than the part has.
    evaluate(&|m| m["pairs"]["window"] = json!(u64::MAX)).parse::<f64>().unwrap();
    assert!(evaluate(&|m| m["fitted"] = json!("neighbours")).starts_with(bad));
}
