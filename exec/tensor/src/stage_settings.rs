//! The settings of each stage: which there are, what they accept, what they are by default.

use std::collections::BTreeMap;

use lab_schema::Value;

use crate::error::{Result, TensorError};
use crate::settings::Default::{Is, Required, Seed};
use crate::settings::{Kind, MAX_WIDTH, SEEDS, Setting, key, key_of, later_of};

const TABLES: (&str, &[&str]) = ("form", &["table"]);
const IMAGES: (&str, &[&str]) = ("form", &["images"]);
const TEXTS: (&str, &[&str]) = ("form", &["text"]);
const ROWS: (&str, &[&str]) = ("form", &["images", "table"]);

/// Merges of byte pairs, which are not fitted then.
pub(crate) const MERGES: &str = "merges";

/// The keys that name inputs (`table`, `images`, `labels`, `text`, `merges`) are not among them: they
/// are no parameters.
pub(crate) static PREPARE: [Setting; 26] = [
    key_of(TABLES, "categories", Kind::MaybeColumns, "'auto'"),
    key_of(IMAGES, "colours", Kind::Choice(&["colour", "grey"]), "'colour'"),
    key_of(TABLES, "delimiter", Kind::Choice(&[",", ";", "|", "\t", "auto"]), "'auto'"),
    key_of(ROWS, "fold", Kind::Int(0..=1 << 20), "0"),
    key_of(ROWS, "folds", Kind::Int(0..=1 << 20), "0"),
    key("form", Kind::Choice(&["images", "table", "text"]), Is("'table'")),
    key_of(TABLES, "format", Kind::Choice(&["csv", "jsonl"]), "'csv'"),
    key_of(TABLES, "group", Kind::MaybeColumn, "''"),
    key_of(TABLES, "header", Kind::MaybeBool, "'auto'"),
    key_of(TABLES, "ignore", Kind::Columns, "[]"),
    key_of(TABLES, "key", Kind::MaybeColumn, "''"),
    Setting {
        name: "label",
        kind: Kind::Column,
        default: Required,
        only: Some(TABLES),
        unless: None,
    },
    key_of(TABLES, "missing", Kind::Choice(&["error", "drop", "mean", "median"]), "'error'"),
    key_of(IMAGES, "pixels", Kind::Choice(&["divide", "normalize"]), "'divide'"),
    later_of(IMAGES, "resize", Kind::Size, "[]"),
    key_of(TABLES, "scale", Kind::Scale, "'none'"),
    key_of(TABLES, "shape", Kind::Widths, "[]"),
    Setting { name: "split_seed", kind: SEEDS, default: Seed, only: Some(ROWS), unless: None },
    key_of(ROWS, "stratify", Kind::Bool, "true"),
    key_of(TABLES, "target", Kind::Choice(&["class", "number"]), "'class'"),
    key_of(("target", &["number"]), "target_log", Kind::Bool, "false"),
    key("test", Kind::Float(0.001, 0.999), Is("0.2")),
    key_of(
        TEXTS,
        "tokens",
        Kind::Choice(&["bytes", "characters", "pairs", "words"]),
        "'characters'",
    ),
    key_of(("tokens", &["characters"]), "unknown", Kind::Choice(&["error", "reserve"]), "'error'"),
    key("validation", Kind::Float(0.0, 0.9), Is("0.0")),
    key_of(("tokens", &["pairs", "words"]), "vocabulary", Kind::Int(256..=1 << 16), "1024")
        .unless(MERGES),
];

const ADAMW: (&str, &[&str]) = ("optimizer", &["adamw"]);
const SGD: (&str, &[&str]) = ("optimizer", &["sgd"]);
const MODELS: &[&str] = &[
    "bayes",
    "gru",
    "layers",
    "lenet",
    "linear",
    "lstm",
    "mlp",
    "neighbours",
    "resnet",
    "skip_gram",
    "transformer",
];
/// The models that learn by gradients.
const LEARNED: (&str, &[&str]) = (
    "model",
    &["gru", "layers", "lenet", "linear", "lstm", "mlp", "resnet", "skip_gram", "transformer"],
);

/// Whether a model is done after one pass over the examples, without steps.
pub(crate) fn is_fitted(model: &str) -> bool {
    !LEARNED.1.contains(&model)
}

const PAIRED: (&str, &[&str]) = ("model", &["skip_gram"]);

pub(crate) static TRAIN: [Setting; 33] = [
    key_of(("model", &["mlp"]), "activation", Kind::Choice(ACTIVATIONS), "'relu'"),
    key_of(LEARNED, "batch", Kind::Int(1..=1 << 20), "32"),
    key_of(ADAMW, "beta1", Kind::Float(0.0, 0.999_999), "0.9"),
    key_of(ADAMW, "beta2", Kind::Float(0.0, 0.999_999), "0.999"),
    later_of(LEARNED, "checkpoint_every", Kind::Int(0..=1 << 30), "0"),
    key_of(LEARNED, "clip", Kind::Float(0.0, 1e6), "0.0"),
    key_of(("model", SEQUENCES), "context", Kind::Int(2..=1 << 14), "128"),
    later_of(("model", OF_IMAGES), "crop", Kind::Int(0..=256), "0"),
    key_of(("model", DEEP), "depth", Kind::Int(1..=64), "2"),
    key_of(("model", DROPPED), "dropout", Kind::Float(0.0, 0.95), "0.0"),
    key_of(LEARNED, "epochs", Kind::Int(1..=1_000_000), "20"),
    key_of(ADAMW, "eps", Kind::Float(1e-30, 1.0), "1e-8"),
    later_of(("model", OF_IMAGES), "flip", Kind::Bool, "false"),
    key_of(("model", &["transformer"]), "heads", Kind::Int(1..=256), "4"),
    key_of(("model", &["mlp"]), "hidden", Kind::Widths, "[128]"),
    Setting { name: "init_seed", kind: SEEDS, default: Seed, only: Some(LEARNED), unless: None },
    key_of(("model", &["neighbours"]), "k", Kind::Int(1..=1 << 12), "5"),
    key_of(("model", &["layers"]), "layers", Kind::Layers, "[]"),
    key_of(("model", &["bayes"]), "likelihood", Kind::Choice(LIKELIHOODS), "'gaussian'"),
    key_of(LEARNED, "lr", Kind::Float(0.0, 1e6), "0.001"),
    key("model", Kind::Choice(MODELS), Is("'mlp'")),
    key_of(SGD, "momentum", Kind::Float(0.0, 0.999_999), "0.9"),
    key_of(LEARNED, "optimizer", Kind::Choice(&["adamw", "sgd"]), "'adamw'"),
    key_of(LEARNED, "patience", Kind::Int(0..=1_000_000), "0"),
    key_of(LEARNED, "schedule", Kind::Choice(&["constant", "cosine", "linear"]), "'constant'"),
    Setting { name: "shuffle_seed", kind: SEEDS, default: Seed, only: Some(LEARNED), unless: None },
    key_of(("likelihood", &["multinomial"]), "smoothing", Kind::Float(1e-10, 1e10), "1.0"),
    key_of(LEARNED, "state_every", Kind::Int(0..=1 << 30), "100"),
    key_of(PAIRED, "subsample", Kind::Float(0.0, 1.0), "0.001"),
    key_of(LEARNED, "warmup", Kind::Float(0.0, 0.9), "0.0"),
    key_of(LEARNED, "weight_decay", Kind::Float(0.0, 1e6), "0.0"),
    key_of(("model", WIDE), "width", Kind::Int(1..=MAX_WIDTH), "32"),
    key_of(PAIRED, "window", Kind::Int(1..=100), "5"),
];

const LIKELIHOODS: &[&str] = &["gaussian", "multinomial"];
const ACTIVATIONS: &[&str] = &["gelu", "relu", "silu", "tanh"];
const SEQUENCES: &[&str] = &["gru", "layers", "lstm", "transformer"];
const OF_IMAGES: &[&str] = &["layers", "lenet", "linear", "mlp", "resnet"];
const DEEP: &[&str] = &["gru", "lstm", "resnet", "transformer"];
const WIDE: &[&str] = &["gru", "lenet", "lstm", "resnet", "skip_gram", "transformer"];
const DROPPED: &[&str] = &["gru", "lenet", "lstm", "mlp", "resnet", "transformer"];

const METRICS: &[&str] = &[
    "accuracy",
    "auc",
    "balanced_accuracy",
    "bits_per_character",
    "brier",
    "calibration_error",
    "confusion",
    "log_loss",
    "loss",
    "macro_f1",
    "mae",
    "median_absolute_error",
    "micro_f1",
    "mse",
    "perplexity",
    "r2",
    "rmse",
    "weighted_f1",
];

/// What a program foretells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    Class,
    Number,
    Text,
}

impl Aim {
    /// What a program foretells whose stage `prepare` has these settings.
    pub(crate) fn of(prepare: &BTreeMap<String, Value>) -> Aim {
        let is = |key, word: &str| prepare.get(key) == Some(&Value::Text(word.to_owned()));
        match () {
            () if is("form", "text") => Aim::Text,
            () if is("target", "number") => Aim::Number,
            () => Aim::Class,
        }
    }

    /// The metrics that mean something.
    pub(crate) fn metrics(self) -> &'static [&'static str] {
        match self {
            Aim::Class => &[
                "accuracy",
                "auc",
                "balanced_accuracy",
                "brier",
                "calibration_error",
                "confusion",
                "log_loss",
                "loss",
                "macro_f1",
                "micro_f1",
                "weighted_f1",
            ],
            Aim::Number => &["loss", "mae", "median_absolute_error", "mse", "r2", "rmse"],
            Aim::Text => &["accuracy", "bits_per_character", "loss", "perplexity"],
        }
    }

    /// The metrics where a program names none. The loss by which a model has learned nothing is
    /// none of them: nearest neighbours often give a label no probability, and then it is infinite.
    pub(crate) fn usual_metrics(self, model: &str) -> &'static [&'static str] {
        match self {
            Aim::Class if !LEARNED.1.contains(&model) => &["accuracy", "log_loss"],
            Aim::Class => &["accuracy", "loss"],
            Aim::Number => &["mae", "r2"],
            Aim::Text => &["loss", "perplexity"],
        }
    }

    /// In words.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Aim::Class => "classes to tell apart",
            Aim::Number => "a number to foretell",
            Aim::Text => "a text",
        }
    }
}

/// The forms of data that a model takes; any, if it is not said.
fn forms(model: &str) -> &'static [&'static str] {
    match model {
        "lenet" | "resnet" => &["images", "table"],
        "gru" | "lstm" | "skip_gram" | "transformer" => &["text"],
        "bayes" | "linear" | "mlp" | "neighbours" => &["images", "table"],
        _ => &["images", "table", "text"],
    }
}

/// What makes a metric of a text idle that asks how long its tokens are: these are words, or are not
/// judged once each.
pub(crate) fn tokens_only(
    metric: &str,
    prepare: Option<&BTreeMap<String, Value>>,
    train: Option<&BTreeMap<String, Value>>,
) -> Option<String> {
    let reasons = [(prepare, "tokens", "words"), (train, "model", "skip_gram")];
    let is = |(params, key, value): &(Option<&BTreeMap<String, Value>>, &str, &str)| {
        params.is_some_and(|params| word(params, key) == *value)
    };
    let found = reasons.into_iter().find(is).filter(|_| metric == "bits_per_character");
    found.map(|(_, key, value)| format!("{key} = \"{value}\""))
}

/// Refuses settings of `prepare` that make of the data what the model of `train` cannot take.
pub(crate) fn check_data(
    prepare: &BTreeMap<String, Value>,
    train: &BTreeMap<String, Value>,
) -> Result<()> {
    let idle = |(key, value): (&str, &str), other: String| {
        Err(TensorError::Idle { key: format!("train.{key} = \"{value}\""), other })
    };
    let (form, model) = (word(prepare, "form"), word(train, "model"));
    if !forms(model).contains(&form) {
        return idle(("model", model), format!("form = \"{form}\""));
    }
    if model == "bayes" && Aim::of(prepare) == Aim::Number {
        return idle(("model", model), Aim::Number.name().to_owned());
    }
    let changed = ["crop", "flip"].into_iter().find(|key| train.contains_key(*key));
    if let Some(key) = changed.filter(|_| form != "images") {
        let (key, other) = (format!("train.{key}"), format!("form = \"{form}\""));
        return Err(TensorError::Idle { key, other });
    }
    // Around zero, where counts are none.
    let centred = [("scale", "robust"), ("scale", "standard"), ("pixels", "normalize")];
    match centred.into_iter().find(|(key, value)| word(prepare, key) == *value) {
        Some((key, value)) if word(train, "likelihood") == "multinomial" => {
            idle(("likelihood", "multinomial"), format!("{key} = \"{value}\""))
        }
        _ => Ok(()),
    }
}

/// A setting that is a word.
pub(crate) fn word<'a>(params: &'a BTreeMap<String, Value>, key: &str) -> &'a str {
    match params.get(key) {
        Some(Value::Text(word)) => word,
        _ => "",
    }
}

pub(crate) static EVALUATE: [Setting; 1] =
    [key("metrics", Kind::Choices(METRICS), Is("['accuracy', 'loss']"))];
