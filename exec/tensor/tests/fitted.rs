//! Nearest neighbours and naive Bayes through whole programs: what scikit-learn finds on the same
//! rows, and what is refused.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::num::NonZeroUsize;

use common::{DIGITS, DIGITS_CSV, Runs, data, put, run, store};
use lab_arithmetic::{Kernels, Path};
use lab_objects::{Silent, Store};
use lab_schema::{ContentId, Recipe, Slot, Value};
use lab_tensor::{Program, Result, execute};
use serde_json::{Value as Json, json};

fn program(changes: &[(&str, &str)]) -> Program {
    let mut program = Program::parse(DIGITS).unwrap();
    program.set_all(changes).unwrap();
    program
}

fn on(store: &Store, bytes: &[u8], changes: &[(&str, &str)]) -> Result<Runs> {
    run(store, &program(changes), put(store, bytes), Kernels::detect())
}

fn bytes(store: &Store, runs: &Runs, stage: &str, output: &str) -> Vec<u8> {
    let ContentId::Blob(id) = runs[stage].1.outputs[&output.parse().unwrap()] else { panic!() };
    store.read_blob(id, 1 << 26).unwrap()
}

fn json(store: &Store, runs: &Runs, stage: &str, output: &str) -> Json {
    serde_json::from_slice(&bytes(store, runs, stage, output)).unwrap()
}

const NEIGHBOURS: (&str, &str) = ("train.model", "neighbours");
const BAYES: (&str, &str) = ("train.model", "bayes");
const MULTINOMIAL: (&str, &str) = ("train.likelihood", "multinomial");
const PLAIN: (&str, &str) = ("prepare.scale", "none");
const ALL: (&str, &str) = (
    "evaluate.metrics",
    "['accuracy', 'auc', 'balanced_accuracy', 'brier', 'calibration_error', 'confusion', \
     'log_loss', 'loss', 'macro_f1', 'micro_f1', 'weighted_f1']",
);

/// scikit-learn 1.9.1 on what stage `prepare` leaves: `KNeighborsClassifier(5)`, `GaussianNB()` and
/// `MultinomialNB()`.
#[test]
fn programs_reach_what_scikit_learn_reaches() {
    let penguins = [
        ("prepare.header", "true"),
        ("prepare.label", "species"),
        ("prepare.categories", "['island', 'sex']"),
        ("prepare.missing", "median"),
    ];
    let table = data("penguins.csv");
    for (table, with, changes, accuracy, log_loss) in [
        (DIGITS_CSV, &[PLAIN][..], &[NEIGHBOURS][..], 0.9832869080779945, 0.034812362307677466),
        (DIGITS_CSV, &[PLAIN], &[BAYES], 0.8579387186629527, 2.8902105187838365),
        (DIGITS_CSV, &[PLAIN], &[BAYES, MULTINOMIAL], 0.9164345403899722, 1.797975805938618),
        (
            &table,
            &penguins,
            &[NEIGHBOURS, ("prepare.scale", "standard")],
            0.9710144927536232,
            0.5495225630055903,
        ),
        (&table, &penguins, &[BAYES, PLAIN], 0.855072463768116, 0.8492483396561405),
    ] {
        let store = store();
        let runs = on(&store, table, &[with, changes, &[ALL]].concat()).unwrap();
        let metrics = &runs["evaluate"].1.metrics;
        assert_eq!(metrics["accuracy"].get(), accuracy, "{changes:?}");
        let off = metrics["log_loss"].get() - log_loss;
        assert!(off.abs() < 1e-12, "{changes:?} {}", metrics["log_loss"].get());
    }
}

#[test]
fn what_they_leave_is_what_other_models_leave() {
    let store = store();
    let runs = on(&store, DIGITS_CSV, &[NEIGHBOURS, ("train.k", "3"), PLAIN]).unwrap();
    let (recipe, outcome) = &runs["train"];
    let outputs: Vec<String> = outcome.outputs.keys().map(ToString::to_string).collect();
    assert_eq!(outputs, ["history.json", "model.json", "model.safetensors"]);
    assert_eq!(
        Value::Map(recipe.params().clone()).to_string(),
        "{ k = 3, model = \"neighbours\" }"
    );
    assert_eq!(
        json(&store, &runs, "train", "model.json"),
        json!({
            "input": [64], "form": "features", "layers": [], "outputs": 10, "fitted": "neighbours"
        })
    );
    assert_eq!(
        json(&store, &runs, "train", "history.json"),
        json!({ "epochs": [], "tensors": [], "states": [] })
    );
    let file = bytes(&store, &runs, "train", "model.safetensors");
    let header: Json = serde_json::from_slice(
        &file[8..8 + u64::from_le_bytes(file[..8].try_into().unwrap()) as usize],
    )
    .unwrap();
    let form = |name: &str| (header[name]["dtype"].clone(), header[name]["shape"].clone());
    assert_eq!(form("features"), (json!("F32"), json!([1438, 64])));
    assert_eq!(form("labels"), (json!("F64"), json!([1438])));
    assert_eq!(form("k"), (json!("F64"), json!([1])));

    let params = |changes: &[(&str, &str)]| {
        let stage = program(changes).stages().remove(1);
        let inputs = stage.inputs().into_iter().map(|i| (i.slot, put(&store, b"x"))).collect();
        Value::Map(stage.recipe(inputs).unwrap().params().clone()).to_string()
    };
    assert_eq!(params(&[BAYES]), "{ likelihood = \"gaussian\", model = \"bayes\" }");
    assert_eq!(
        params(&[BAYES, MULTINOMIAL, PLAIN]),
        "{ likelihood = \"multinomial\", model = \"bayes\", smoothing = 1.0 }"
    );
}

#[test]
fn images_are_rows_of_pixels() {
    let shape = ("prepare.shape", "[8, 8, 1]");
    for model in [&[NEIGHBOURS][..], &[BAYES], &[BAYES, MULTINOMIAL]] {
        let store = store();
        let rows = on(&store, DIGITS_CSV, &[model, &[PLAIN]].concat()).unwrap();
        let images = on(&store, DIGITS_CSV, &[model, &[PLAIN, shape]].concat()).unwrap();
        assert_eq!(json(&store, &images, "train", "model.json")["form"], "image");
        assert_eq!(rows["evaluate"].1.outputs, images["evaluate"].1.outputs);
    }
}

#[test]
fn a_label_without_a_neighbour_has_no_loss_and_costs_no_other_metric() {
    let store = store();
    let runs = on(&store, DIGITS_CSV, &[NEIGHBOURS, ("train.k", "1"), PLAIN, ALL]).unwrap();
    let metrics = json(&store, &runs, "evaluate", "metrics.json");
    assert!(metrics["loss"].is_null() && !runs["evaluate"].1.metrics.contains_key("loss"));
    let why = metrics["unavailable"].as_object().unwrap();
    assert_eq!(why.keys().collect::<Vec<_>>(), ["loss"]);
    let why = why["loss"].as_str().unwrap();
    assert!(
        why.starts_with("the loss in row ") && why.ends_with("is inf: a finite number is needed")
    );
    // One of k votes is all or nothing: each mistake costs 52 ln 2, as scikit-learn clips it.
    let metric = |name: &str| metrics[name].as_f64().unwrap();
    let wrong = 1.0 - metric("accuracy");
    assert!((metric("log_loss") - wrong * 52.0 * std::f64::consts::LN_2).abs() < 1e-12);
    assert!((metric("brier") - 2.0 * wrong).abs() < 1e-12);

    // Where every label has a neighbour, the loss is what it is of other models.
    let runs = on(&store, DIGITS_CSV, &[NEIGHBOURS, ("train.k", "200"), PLAIN, ALL]).unwrap();
    let metrics = &runs["evaluate"].1.metrics;
    assert!((metrics["loss"].get() - metrics["log_loss"].get()).abs() < 1e-12, "{metrics:?}");
    assert_eq!(metrics.len(), 10);
}

#[test]
fn metrics_left_out_are_those_that_there_always_are() {
    let metrics = |changes: &[(&str, &str)]| {
        let mut program = Program::parse(&DIGITS.replace("metrics =", "# metrics =")).unwrap();
        program.set_all(changes).unwrap();
        let store = store();
        let runs = run(&store, &program, put(&store, DIGITS_CSV), Kernels::detect()).unwrap();
        runs["evaluate"].1.metrics.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(metrics(&[BAYES]), ["accuracy", "log_loss"]);
    assert_eq!(metrics(&[("train.epochs", "1")]), ["accuracy", "loss"]);
}

#[test]
fn a_number_is_the_mean_of_the_neighbours_in_its_own_unit() {
    // The nearest of an even row are its odd neighbours; as f32, scaled, none of these comes back.
    let table: String = (0..200u64)
        .map(|i| format!("{},{}\n", i / 2 * 100 + i % 2, 20_000_000 + i / 2 * 2))
        .collect();
    let store = store();
    let changes = [
        NEIGHBOURS,
        ("train.k", "1"),
        PLAIN,
        ("prepare.target", "number"),
        ("prepare.stratify", "false"),
        ("prepare.test", "0.1"),
        ("evaluate.metrics", "['loss', 'mae', 'median_absolute_error', 'mse', 'r2', 'rmse']"),
    ];
    let runs = on(&store, table.as_bytes(), &changes).unwrap();
    let predictions =
        String::from_utf8(bytes(&store, &runs, "evaluate", "predictions.csv")).unwrap();
    let right = predictions.lines().skip(1).filter(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        fields[1] == fields[2]
    });
    // All but those whose other half is in the test part as well.
    assert!(right.count() >= 12, "{predictions}");
    let metrics = &runs["evaluate"].1.metrics;
    assert_eq!(metrics.len(), 6, "{metrics:?}");
    assert_eq!(metrics["median_absolute_error"].get(), 0.0);
    let model = json(&store, &runs, "train", "model.json");
    assert_eq!((&model["fitted"], &model["outputs"]), (&json!("neighbours"), &json!(1)));

    // The loss is that of scaled numbers, as of other models.
    let runs = on(&store, table.as_bytes(), &[&changes[..], &[("train.k", "6")]].concat()).unwrap();
    let scale = json(&store, &runs, "prepare", "prepare.json")["target"]["scale"].as_f64().unwrap();
    let metrics = &runs["evaluate"].1.metrics;
    let expected = metrics["mse"].get() / (scale * scale);
    assert!(expected > 0.0 && (metrics["loss"].get() / expected - 1.0).abs() < 1e-12);
}

#[test]
fn no_number_of_threads_shows() {
    let outputs = |threads: usize| {
        let kernels = Kernels::new(Path::Generic, NonZeroUsize::new(threads).unwrap()).unwrap();
        let store = store();
        let runs = run(&store, &program(&[NEIGHBOURS, PLAIN]), put(&store, DIGITS_CSV), kernels);
        runs.unwrap()["evaluate"].1.outputs.clone()
    };
    let alone = outputs(1);
    for threads in [2, 3, 7] {
        assert_eq!(outputs(threads), alone, "{threads}");
    }
}

#[test]
fn what_means_nothing_is_refused_before_the_first_stage() {
    let refused = |changes: &[(&str, &str)]| {
        Program::parse(DIGITS).unwrap().set_all(changes).unwrap_err().to_string()
    };
    for setting in [
        "activation = \"relu\"",
        "batch = 32",
        "beta1 = 0.9",
        "beta2 = 0.999",
        "clip = 1.0",
        "dropout = 0.1",
        "epochs = 3",
        "eps = 1e-8",
        "hidden = []",
        "init_seed = 1",
        "lr = 0.1",
        "momentum = 0.9",
        "optimizer = \"sgd\"",
        "patience = 2",
        "schedule = \"linear\"",
        "shuffle_seed = 1",
        "state_every = 1",
        "warmup = 0.1",
        "weight_decay = 0.1",
        "width = 8",
    ] {
        let (key, value) = setting.split_once(" = ").unwrap();
        let key = format!("train.{key}");
        for model in ["bayes", "neighbours"] {
            let found = refused(&[("train.model", model), (&key, value)]);
            assert_eq!(found, format!("{key} has no meaning with model = \"{model}\""));
        }
    }
    for (changes, expected) in [
        (&[("train.k", "3")][..], "train.k has no meaning with model = \"mlp\""),
        (&[BAYES, ("train.k", "3")], "train.k has no meaning with model = \"bayes\""),
        (&[MULTINOMIAL], "train.likelihood has no meaning with model = \"mlp\""),
        (
            &[NEIGHBOURS, ("train.smoothing", "1")],
            "train.smoothing has no meaning with model = \"neighbours\"",
        ),
        (
            &[BAYES, ("train.smoothing", "1")],
            "train.smoothing has no meaning with likelihood = \"gaussian\"",
        ),
        (&[NEIGHBOURS, ("train.k", "0")], "train.k = 0: an integer from 1 to 4096 is needed"),
        (&[NEIGHBOURS, ("train.k", "4097")], "train.k = 4097: an integer from 1 to 4096 is needed"),
        (
            &[BAYES, ("train.likelihood", "poisson")],
            "train.likelihood = \"poisson\": one of gaussian, multinomial is needed",
        ),
        (
            &[BAYES, MULTINOMIAL, ("train.smoothing", "0")],
            "train.smoothing = 0: a number from 1e-10 to 10000000000.0 is needed",
        ),
        (
            &[BAYES, MULTINOMIAL, ("prepare.scale", "standard")],
            "train.likelihood = \"multinomial\" has no meaning with scale = \"standard\"",
        ),
        (
            &[BAYES, ("prepare.target", "number")],
            "train.model = \"bayes\" has no meaning with a number to foretell",
        ),
        (
            &[("train.model", "neighbors")],
            "train.model = \"neighbors\": one of bayes, gru, layers, lenet, linear, lstm, mlp, \
             neighbours, resnet, skip_gram, transformer is needed",
        ),
    ] {
        assert_eq!(refused(changes), expected);
    }
    let text = "[inputs]\ntext = \"t\"\n[prepare]\nform = \"text\"\ntext = \"text\"\n[train]\n";
    for model in ["bayes", "neighbours"] {
        let error = Program::parse(&format!("{text}model = \"{model}\"")).unwrap_err().to_string();
        assert_eq!(error, format!("train.model = \"{model}\" has no meaning with form = \"text\""));
    }
    // What the program says of the model before goes with it.
    program(&[NEIGHBOURS]).set_all(&[("train.model", "mlp"), ("train.lr", "0.1")]).unwrap();
}

#[test]
fn rows_that_do_not_do_are_refused_in_words() {
    let refused = |table: &str, changes: &[(&str, &str)]| {
        let error = on(&store(), table.as_bytes(), changes).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(error.to_string(), "the model does not take these rows");
        source
    };
    let rows: String = (0..20).map(|i| format!("{},{}\n", i % 7, i % 2)).collect();
    assert_eq!(
        refused(&rows, &[NEIGHBOURS, ("train.k", "17")]),
        "k = 17: a number from 1 to 16 is needed (16 rows to learn from)"
    );
    let equal: String = (0..20).map(|i| format!("3,{}\n", i % 2)).collect();
    assert_eq!(
        refused(&equal, &[BAYES, PLAIN]),
        "all 16 rows are equal: Gaussian naive Bayes needs a column that varies"
    );
    let below = rows.replace('6', "-6");
    let found = refused(&below, &[BAYES, MULTINOMIAL, PLAIN]);
    assert!(found.ends_with("is -6: multinomial naive Bayes needs counts, 0 or more"), "{found}");
}

/// The error of the stage `evaluate` with one of its inputs changed.
fn evaluated(store: &Store, recipe: &Recipe, name: &str, content: ContentId) -> String {
    let mut parts = recipe.to_parts();
    parts.inputs.insert(Slot::new(name).unwrap(), content);
    execute(store, &Recipe::new(parts).unwrap(), &Silent).unwrap_err().to_string()
}

#[test]
fn files_of_strangers_are_checked() {
    let store = store();
    let models: Vec<Runs> = [
        &[NEIGHBOURS, PLAIN][..],
        &[BAYES, PLAIN],
        &[BAYES, MULTINOMIAL, PLAIN],
        &[PLAIN, ("train.epochs", "1"), ("train.hidden", "[]")],
    ]
    .iter()
    .map(|changes| on(&store, DIGITS_CSV, changes).unwrap())
    .collect();
    for (n, runs) in models.iter().enumerate() {
        let recipe = &runs["evaluate"].0;
        for (m, other) in models.iter().enumerate().filter(|(m, _)| *m != n) {
            let weights = other["train"].1.outputs[&"model.safetensors".parse().unwrap()];
            let found = evaluated(&store, recipe, "model.safetensors", weights);
            assert!(
                found.starts_with("'model.safetensors' is not what an earlier stage leaves"),
                "{n} {m} {found}"
            );
        }
        let mut description = json(&store, runs, "train", "model.json");
        description["fitted"] = json!("neighbors");
        let content = put(&store, description.to_string().as_bytes());
        let found = evaluated(&store, recipe, "model.json", content);
        assert!(found.contains("unknown variant `neighbors`"), "{found}");
        description["fitted"] = json!("neighbours");
        description["layers"] = json!(["relu"]);
        let content = put(
            &store,
            description.to_string().replace("[\"relu\"]", "[{\"layer\":\"relu\"}]").as_bytes(),
        );
        let found = evaluated(&store, recipe, "model.json", content);
        assert_eq!(
            found,
            "'model.json' is not what an earlier stage leaves: it is fitted, and has layers as well"
        );
    }
    // Fewer classes than the test part has, and other features.
    let few: String =
        (0..40).map(|i| format!("{}{}\n", format!("{i},").repeat(64), i % 2)).collect();
    let narrow: String = (0..400).map(|i| format!("{},{}\n", i % 7, i % 10)).collect();
    for (table, expected) in [
        (few, "it has other classes than the test part"),
        (narrow, "the model does not take these rows"),
    ] {
        for (n, changes) in
            [&[NEIGHBOURS, PLAIN][..], &[BAYES, PLAIN], &[BAYES, MULTINOMIAL, PLAIN]]
                .iter()
                .enumerate()
        {
            let other = on(&store, table.as_bytes(), changes).unwrap();
            let weights = other["train"].1.outputs[&"model.safetensors".parse().unwrap()];
            let recipe = &models[n]["evaluate"].0;
            let found = evaluated(&store, recipe, "model.safetensors", weights);
            assert!(found.ends_with(expected), "{n} {found}");
        }
    }
}
