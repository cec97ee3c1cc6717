//! Stage `evaluate`: judges a model by the test part.
//!
//! Metrics are those of [`lab_metrics`], in f64. What was predicted of each row is kept: two
//! models can then be compared row by row.

use std::collections::BTreeMap;

use lab_arithmetic::Kernels;
use lab_metrics as metrics;
use lab_metrics::{Average, ClassCounts};
use lab_schema::{Number, Value};
use serde_json::json;

use crate::error::{Result, TensorError};
use crate::examples::{Examples, Targets};
use crate::files::{Inputs, Prepared, Product, Target, to_json};
use crate::fitted::Fitted;
use crate::judge::{Judged, judge};
use crate::model::{Description, Model};
use crate::predictions::predictions;
use crate::settings::Settings;
use crate::task::{METRICS, MODEL, PREDICTIONS, PREPARED, TEST_ROWS, WEIGHTS, slot};

/// Runs the stage.
pub(crate) fn evaluate(
    inputs: Inputs<'_>,
    settings: &Settings<'_>,
    kernels: Kernels,
) -> Result<Product> {
    let prepared: Prepared = inputs.json(PREPARED)?;
    let description: Description = inputs.json(MODEL)?;
    let examples = Examples::read(inputs, TEST_ROWS, &prepared)?;
    let outputs = prepared.target.outputs();
    if let Some(pairs) = description.pairs.as_ref().filter(|pairs| pairs.kinds() != outputs) {
        let why = format!("it counts {} kinds of tokens, of {outputs}", pairs.kinds());
        return Err(TensorError::BadInput { slot: slot(MODEL), why });
    }
    let examples = examples.paired(description.pairs.as_ref())?;
    if examples.len() == 0 {
        return Err(TensorError::TooFewRows("the test part is empty".into()));
    }
    let context = match prepared.target {
        Target::Next { .. } => description.input.first().copied().unwrap_or(0),
        _ => 0,
    };
    let signal = examples.signal(&prepared, context)?;
    if description.signal(&slot(MODEL))? != signal || description.outputs != outputs {
        let why = format!(
            "it takes {:?} and gives {} outputs, the test part has {signal} and {outputs}",
            description.input, description.outputs,
        );
        return Err(TensorError::BadInput { slot: slot(MODEL), why });
    }
    let (weights, target) = (inputs.bytes(WEIGHTS)?, &prepared.target);
    let judged = match Fitted::read(&description, target, &weights)? {
        Some(fitted) => fitted.judge(&examples, target, kernels.threads())?,
        None => {
            let model = Model::read(&description, &slot(MODEL), &slot(WEIGHTS), &weights)?;
            judge(&model, &examples, target, context, kernels)?
        }
    };
    let mut product = Product::default();
    let mut file = BTreeMap::from([("rows", json!(examples.len()))]);
    let mut unavailable = BTreeMap::new();
    for metric in settings.list("metrics")? {
        let Value::Text(name) = metric else { continue };
        let Some(measure) = MEASURES.iter().find(|m| m.name == name) else { continue };
        let measured = match (measure.of)(&prepared.target, &examples, &judged) {
            // The others are none the worse for it.
            Err(TensorError::Metric(why)) => {
                file.insert(measure.name, serde_json::Value::Null);
                unavailable.insert(measure.name, why.to_string());
                continue;
            }
            measured => measured?,
        };
        match measured {
            Measured::Number(number) => {
                let number = Number::new(number).map_err(|_| TensorError::BadInput {
                    slot: slot(WEIGHTS),
                    why: format!("with these weights {name} is not finite"),
                })?;
                file.insert(measure.name, json!(number.get()));
                product.metrics.insert(name.clone(), number);
            }
            Measured::Confusion(counts) => {
                // Row: the label; column: the prediction.
                file.insert("classes", json!(prepared.target.classes()));
                file.insert("confusion", json!(counts));
            }
        }
    }
    if !unavailable.is_empty() {
        file.insert("unavailable", json!(unavailable));
    }
    product.files.insert(METRICS, to_json(&file));
    product.files.insert(PREDICTIONS, predictions(inputs, &prepared, &examples, &judged)?);
    Ok(product)
}

/// What a metric comes to.
enum Measured {
    Number(f64),
    Confusion(Vec<Vec<u64>>),
}

/// A metric by its name in programs.
struct Measure {
    name: &'static str,
    of: fn(&Target, &Examples, &Judged) -> Result<Measured>,
}

macro_rules! measures {
    ($($name:literal => $of:expr),* $(,)?) => {
        [$(Measure { name: $name, of: |target, examples, judged| $of(target, examples, judged) }),*]
    };
}

static MEASURES: [Measure; 18] = measures! {
    "accuracy" => |t, e, j| counted("accuracy", t, e, j, ClassCounts::accuracy),
    "auc" => |t: &Target, e, j| probable("auc", t, e, j, auc),
    "balanced_accuracy" => |t, e, j| counted("balanced_accuracy", t, e, j, ClassCounts::balanced_accuracy),
    "bits_per_character" => |t, e: &Examples, j: &Judged| match e {
        Examples::Pairs { .. } => Err(no_meaning("bits_per_character", t)),
        _ => foretold("bits_per_character", t, || {
            metrics::bits_per_character(&j.losses, j.losses.len() as u64)
        }),
    },
    "brier" => |t, e, j| probable("brier", t, e, j, metrics::brier_score),
    "calibration_error" => |t, e, j| probable("calibration_error", t, e, j, metrics::expected_calibration_error),
    "confusion" => confusion,
    "log_loss" => |t, e, j| probable("log_loss", t, e, j, metrics::log_loss),
    "loss" => |_: &Target, _: &Examples, j: &Judged| loss(j),
    "macro_f1" => |t, e, j| counted("macro_f1", t, e, j, |c| c.f1(Average::Macro)),
    "mae" => |t, e, j| numbers("mae", t, e, j, metrics::mean_absolute_error),
    "median_absolute_error" => |t, e, j| numbers("median_absolute_error", t, e, j, metrics::median_absolute_error),
    "micro_f1" => |t, e, j| counted("micro_f1", t, e, j, |c| c.f1(Average::Micro)),
    "mse" => |t, e, j| numbers("mse", t, e, j, metrics::mean_squared_error),
    "perplexity" => |t, _, j: &Judged| foretold("perplexity", t, || metrics::perplexity(&j.losses)),
    "r2" => |t, e, j| numbers("r2", t, e, j, metrics::r2),
    "rmse" => |t, e, j| numbers("rmse", t, e, j, metrics::root_mean_squared_error),
    "weighted_f1" => |t, e, j| counted("weighted_f1", t, e, j, |c| c.f1(Average::Weighted)),
};

fn no_meaning(name: &str, target: &Target) -> TensorError {
    TensorError::Idle {
        key: format!("the metric {name}"),
        other: match target {
            Target::Class { .. } => "classes to tell apart",
            Target::Number { .. } => "a number to foretell",
            Target::Next { .. } => "a text",
        }
        .to_owned(),
    }
}

/// None if a row's label has no probability at all.
fn loss(judged: &Judged) -> Result<Measured> {
    match judged.losses.iter().position(|loss| *loss == f64::INFINITY) {
        None => Ok(Measured::Number(judged.loss)),
        Some(row) => Err(measured(metrics::MetricsError::NotFinite {
            what: "loss",
            row,
            column: None,
            value: f64::INFINITY,
        })),
    }
}

/// Labels and predictions of classes or tokens.
fn labels(
    name: &str,
    target: &Target,
    examples: &Examples,
    judged: &Judged,
) -> Result<(Vec<u32>, Vec<u32>)> {
    match (target, examples) {
        (Target::Class { classes, .. }, Examples::Rows { y: Targets::Classes(y), .. }) => {
            Ok((y.clone(), judged.classes(classes.len())))
        }
        _ => Err(no_meaning(name, target)),
    }
}

fn counted(
    name: &str,
    target: &Target,
    examples: &Examples,
    judged: &Judged,
    of: impl FnOnce(&ClassCounts) -> f64,
) -> Result<Measured> {
    if let (Target::Next { .. }, "accuracy") = (target, name) {
        return Ok(Measured::Number(text_accuracy(examples, judged)));
    }
    let (labels, predicted) = labels(name, target, examples, judged)?;
    let counts = ClassCounts::new(&labels, &predicted, target.outputs()).map_err(measured)?;
    Ok(Measured::Number(of(&counts)))
}

/// The share of tokens that were foretold.
fn text_accuracy(examples: &Examples, judged: &Judged) -> f64 {
    let right = examples.foretold().into_iter().zip(&judged.outputs);
    let right = right.filter(|(token, predicted)| *token == **predicted as u32);
    right.count() as f64 / judged.outputs.len() as f64
}

fn confusion(target: &Target, examples: &Examples, judged: &Judged) -> Result<Measured> {
    let (labels, predicted) = labels("confusion", target, examples, judged)?;
    metrics::confusion_matrix(&labels, &predicted, target.outputs())
        .map(Measured::Confusion)
        .map_err(measured)
}

fn probable(
    name: &str,
    target: &Target,
    examples: &Examples,
    judged: &Judged,
    of: impl FnOnce(&[u32], &[f64], usize) -> metrics::Result<f64>,
) -> Result<Measured> {
    let (labels, _) = labels(name, target, examples, judged)?;
    let all = judged.probabilities(target.outputs());
    of(&labels, &all, target.outputs()).map(Measured::Number).map_err(measured)
}

/// Of two classes the area of the second's probability, of more the mean of one versus the rest.
fn auc(labels: &[u32], all: &[f64], classes: usize) -> metrics::Result<f64> {
    if classes != 2 {
        return metrics::roc_auc_one_versus_rest(labels, all, classes);
    }
    let second: Vec<f64> = all.chunks(2).map(|row| row[1]).collect();
    metrics::roc_auc(labels, &second)
}

fn foretold(
    name: &str,
    target: &Target,
    of: impl FnOnce() -> metrics::Result<f64>,
) -> Result<Measured> {
    match target {
        Target::Next { .. } => of().map(Measured::Number).map_err(measured),
        _ => Err(no_meaning(name, target)),
    }
}

/// Numbers as they were before scaling.
fn numbers(
    name: &str,
    target: &Target,
    examples: &Examples,
    judged: &Judged,
    of: impl FnOnce(&[f64], &[f64]) -> metrics::Result<f64>,
) -> Result<Measured> {
    match (target, examples) {
        (Target::Number { .. }, Examples::Rows { y: Targets::Numbers { exact, .. }, .. }) => {
            of(exact, &judged.outputs).map(Measured::Number).map_err(measured)
        }
        _ => Err(no_meaning(name, target)),
    }
}

fn measured(error: metrics::MetricsError) -> TensorError {
    TensorError::Metric(error)
}
