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
use crate::judge::{Judged, judge};
use crate::model::{Description, Model};
use crate::settings::Settings;
use crate::task::{METRICS, MODEL, PREDICTIONS, PREPARED, TEST_ROWS, WEIGHTS, slot};
use crate::tensors::Tensors;

/// Runs the stage.
pub(crate) fn evaluate(
    inputs: Inputs<'_>,
    settings: &Settings<'_>,
    kernels: Kernels,
) -> Result<Product> {
    let prepared: Prepared = inputs.json(PREPARED)?;
    let description: Description = inputs.json(MODEL)?;
    let examples = Examples::read(inputs, TEST_ROWS, &prepared)?;
    if examples.len() == 0 {
        return Err(TensorError::TooFewRows("the test part is empty".into()));
    }
    let context = match prepared.target {
        Target::Next { .. } => description.input.first().copied().unwrap_or(0),
        _ => 0,
    };
    let signal = examples.signal(&prepared, context)?;
    if description.signal(&slot(MODEL))? != signal
        || description.outputs != prepared.target.outputs()
    {
        let why = format!(
            "it takes {:?} and gives {} outputs, the test part has {signal} and {}",
            description.input,
            description.outputs,
            prepared.target.outputs()
        );
        return Err(TensorError::BadInput { slot: slot(MODEL), why });
    }
    let model = Model::read(&description, &slot(MODEL), &slot(WEIGHTS), &inputs.bytes(WEIGHTS)?)?;
    let judged = judge(&model, &examples, &prepared.target, context, kernels)?;
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
    "bits_per_character" => |t, _, j: &Judged| foretold("bits_per_character", t, || {
        metrics::bits_per_character(&j.losses, j.losses.len() as u64)
    }),
    "brier" => |t, e, j| probable("brier", t, e, j, metrics::brier_score),
    "calibration_error" => |t, e, j| probable("calibration_error", t, e, j, metrics::expected_calibration_error),
    "confusion" => confusion,
    "log_loss" => |t, e, j| probable("log_loss", t, e, j, metrics::log_loss),
    "loss" => |_: &Target, _: &Examples, j: &Judged| Ok(Measured::Number(j.loss)),
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

/// Labels and predictions of classes or tokens.
fn labels(
    name: &str,
    target: &Target,
    examples: &Examples,
    judged: &Judged,
) -> Result<(Vec<u32>, Vec<u32>)> {
    match (target, examples) {
        (Target::Class { classes, .. }, Examples::Rows { y: Targets::Classes(y), .. }) => {
            let predicted = judged.outputs.chunks(classes.len()).map(|s| greatest(s) as u32);
            Ok((y.clone(), predicted.collect()))
        }
        _ => Err(no_meaning(name, target)),
    }
}

/// The class with the greatest score, the first of equals.
fn greatest(scores: &[f64]) -> usize {
    let better = |best: usize, n: usize| if scores[n] > scores[best] { n } else { best };
    (0..scores.len()).fold(0, better)
}

fn counted(
    name: &str,
    target: &Target,
    examples: &Examples,
    judged: &Judged,
    of: impl FnOnce(&ClassCounts) -> f64,
) -> Result<Measured> {
    if let (Target::Next { .. }, Examples::Text(_), "accuracy") = (target, examples, name) {
        return Ok(Measured::Number(text_accuracy(examples, judged)));
    }
    let (labels, predicted) = labels(name, target, examples, judged)?;
    let counts = ClassCounts::new(&labels, &predicted, target.outputs()).map_err(measured)?;
    Ok(Measured::Number(of(&counts)))
}

/// The share of tokens that were foretold.
fn text_accuracy(examples: &Examples, judged: &Judged) -> f64 {
    let Examples::Text(tokens) = examples else { return 0.0 };
    // Judged are all tokens but the first, one after the other.
    let right = tokens.iter().skip(1).zip(&judged.outputs).filter(|(t, p)| **t == **p as u32);
    right.count() as f64 / judged.outputs.len() as f64
}

fn confusion(target: &Target, examples: &Examples, judged: &Judged) -> Result<Measured> {
    let (labels, predicted) = labels("confusion", target, examples, judged)?;
    metrics::confusion_matrix(&labels, &predicted, target.outputs())
        .map(Measured::Confusion)
        .map_err(measured)
}

/// Softmax in f64, row by row, ascending; exp is libm's.
fn probabilities(scores: &[f64], classes: usize) -> Vec<f64> {
    let row = |row: &[f64]| {
        let greatest = row.iter().fold(f64::NEG_INFINITY, |g, s| s.max(g));
        let all: Vec<f64> = row.iter().map(|s| libm::exp(s - greatest)).collect();
        let total: f64 = all.iter().sum();
        all.into_iter().map(move |p| p / total).collect::<Vec<f64>>()
    };
    scores.chunks(classes).flat_map(row).collect()
}

fn probable(
    name: &str,
    target: &Target,
    examples: &Examples,
    judged: &Judged,
    of: impl FnOnce(&[u32], &[f64], usize) -> metrics::Result<f64>,
) -> Result<Measured> {
    let (labels, _) = labels(name, target, examples, judged)?;
    let all = probabilities(&judged.outputs, target.outputs());
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

/// `row,label,predicted`, in the order of the test rows; `row` is the index in the table. Of a
/// text: what was foretold of each token.
fn predictions(
    inputs: Inputs<'_>,
    prepared: &Prepared,
    examples: &Examples,
    judged: &Judged,
) -> Result<Vec<u8>> {
    let slot = slot(TEST_ROWS);
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut write = |record: [&str; 3]| writer.write_record(record).expect("memory takes it");
    write(["row", "label", "predicted"]);
    match (&prepared.target, examples) {
        (Target::Next { tokens }, Examples::Text(text)) => {
            let pairs = text.iter().skip(1).zip(&judged.outputs);
            for (n, (token, predicted)) in pairs.enumerate() {
                let shown = |id: usize| tokens[id].as_str();
                write([&(n + 1).to_string(), shown(*token as usize), shown(*predicted as usize)]);
            }
        }
        (target, Examples::Rows { y, .. }) => {
            let mut tensors = Tensors::read(&slot, &inputs.bytes(TEST_ROWS)?)?;
            let origins = tensors.integers("row", Some(examples.len()))?;
            match (y, target) {
                (Targets::Classes(y), Target::Class { classes, .. }) => {
                    let predicted = judged.outputs.chunks(classes.len()).map(greatest);
                    for ((origin, label), predicted) in origins.iter().zip(y).zip(predicted) {
                        let class = |n: usize| classes[n].as_str();
                        write([&origin.to_string(), class(*label as usize), class(predicted)]);
                    }
                }
                (Targets::Numbers { exact, .. }, Target::Number { .. }) => {
                    for ((origin, y), predicted) in origins.iter().zip(exact).zip(&judged.outputs) {
                        write([&origin.to_string(), &y.to_string(), &predicted.to_string()]);
                    }
                }
                _ => {}
            }
        }
        _ => {}
    }
    Ok(writer.into_inner().expect("memory takes it"))
}
