//! Stage `evaluate`: judges a model by the test part.
//!
//! Metrics are those of [`lab_metrics`], in f64. What was predicted of each row is kept: two
//! models can then be compared row by row.

use std::collections::BTreeMap;

use lab_arithmetic::{Kernels, argmax};
use lab_metrics as metrics;
use lab_metrics::{Average, ClassCounts};
use lab_schema::{Number, Value};
use serde_json::json;

use crate::error::{Result, TensorError};
use crate::examples::{Examples, Targets};
use crate::files::{Inputs, Prepared, Product, Target, to_json};
use crate::model::{Description, Model, Pass};
use crate::settings::Settings;
use crate::task::{METRICS, MODEL, PREDICTIONS, PREPARED, TEST_ROWS, WEIGHTS, slot};
use crate::tensors::Tensors;

/// Numbers that go through the model at a time, about; bounds memory, and no output depends on it.
const NUMBERS_AT_ONCE: usize = 1 << 20;

/// What a model says of some examples.
pub(crate) struct Judged {
    /// Mean cross-entropy, or mean squared distance.
    pub(crate) loss: f64,
    /// Per row or prediction its cross-entropy or squared distance.
    pub(crate) losses: Vec<f64>,
    /// Outputs, row after row; for a text only each prediction.
    pub(crate) outputs: Vec<f32>,
}

/// What `model` says of `examples`.
///
/// A text is cut into windows that overlap by half: of each but the first only the second half is
/// judged, so that every token is foretold from at least half a window.
pub(crate) fn judge(
    model: &Model,
    examples: &Examples,
    target: &Target,
    context: usize,
    kernels: Kernels,
) -> Result<Judged> {
    let variables = model.variables(false)?;
    let pass = Pass { kernels, variables: &variables, learning: None, seen: Default::default() };
    let mut judged = Judged { loss: 0.0, losses: Vec::new(), outputs: Vec::new() };
    for (places, window, from) in passes(examples, context) {
        let (x, y) = examples.batch(&places, window, model.time_first()).map_err(operation)?;
        let outputs = model.outputs(&pass, &x)?;
        let values = outputs.values().map_err(operation)?;
        match target {
            Target::Number { .. } => {
                let y = y.values().map_err(operation)?;
                let squares = values.iter().zip(y).map(|(x, y)| {
                    let distance = f64::from(*x) - f64::from(y);
                    distance * distance
                });
                judged.losses.extend(squares);
                judged.outputs.extend(values);
            }
            _ => {
                let classes = target.outputs();
                let labels = y.all_ids().map_err(operation)?;
                let mut losses = vec![0.0; labels.len()];
                kernels.cross_entropies(&values, classes, &labels, &mut losses);
                // Row by row, so that a text's predictions come in the order of the text.
                let (rows, steps) = (places.len(), window.max(1));
                for (row, step) in (0..rows).flat_map(|row| (from..steps).map(move |s| (row, s))) {
                    let at = match model.time_first() {
                        true => step * rows + row,
                        false => row * steps + step,
                    };
                    let scores = &values[at * classes..][..classes];
                    judged.losses.push(f64::from(losses[at]));
                    if predicts(target) {
                        judged.outputs.push(argmax(scores) as f32);
                    } else {
                        judged.outputs.extend(scores);
                    }
                }
            }
        }
    }
    judged.loss = judged.losses.iter().sum::<f64>() / judged.losses.len() as f64;
    Ok(judged)
}

/// Of a text the outputs are too many to keep: only what is foretold.
fn predicts(target: &Target) -> bool {
    matches!(target, Target::Next { .. })
}

/// Batches to judge: places, the length of their windows, and the first place that is judged.
fn passes(examples: &Examples, context: usize) -> Vec<(Vec<usize>, usize, usize)> {
    match examples {
        Examples::Rows { shape, .. } => {
            let rows = (NUMBERS_AT_ONCE / shape.iter().product::<usize>().max(1)).clamp(1, 1024);
            let all: Vec<usize> = (0..examples.len()).collect();
            all.chunks(rows).map(|places| (places.to_vec(), 0, 0)).collect()
        }
        Examples::Text(_) => {
            let last = examples.len();
            let window = context.min(last);
            let half = (window / 2).max(1);
            let starts: Vec<usize> =
                (half..).step_by(half).take_while(|s| s + window <= last).collect();
            let first = (vec![0], window, 0);
            let rows = (NUMBERS_AT_ONCE / (window * 256).max(1)).clamp(1, 64);
            let rest = starts.chunks(rows).map(|places| (places.to_vec(), window, window - half));
            // What is left at the end is judged in a window that ends there.
            let judged = starts.last().map_or(window, |start| start + window);
            let end =
                (last > judged).then(|| (vec![last - window], window, window + judged - last));
            [first].into_iter().chain(rest).chain(end).collect()
        }
    }
}

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
    for metric in settings.list("metrics")? {
        let Value::Text(name) = metric else { continue };
        let Some(measure) = MEASURES.iter().find(|m| m.name == name) else { continue };
        match (measure.of)(&prepared.target, &examples, &judged)? {
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
            let predicted = judged.outputs.chunks(classes.len()).map(|s| argmax(s) as u32);
            Ok((y.clone(), predicted.collect()))
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
fn probabilities(scores: &[f32], classes: usize) -> Vec<f64> {
    let row = |row: &[f32]| {
        let greatest = row.iter().fold(f64::NEG_INFINITY, |g, s| f64::from(*s).max(g));
        let all: Vec<f64> = row.iter().map(|s| libm::exp(f64::from(*s) - greatest)).collect();
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
    let (Target::Number { shift, scale, .. }, Examples::Rows { y: Targets::Numbers(y), .. }) =
        (target, examples)
    else {
        return Err(no_meaning(name, target));
    };
    let back = |values: &[f32]| -> Vec<f64> {
        values.iter().map(|v| f64::from(*v) * scale + shift).collect()
    };
    of(&back(y), &back(&judged.outputs)).map(Measured::Number).map_err(measured)
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
                    let predicted = judged.outputs.chunks(classes.len()).map(argmax);
                    for ((origin, label), predicted) in origins.iter().zip(y).zip(predicted) {
                        let class = |n: usize| classes[n].as_str();
                        write([&origin.to_string(), class(*label as usize), class(predicted)]);
                    }
                }
                (Targets::Numbers(y), Target::Number { shift, scale, .. }) => {
                    let back = |v: f32| (f64::from(v) * scale + shift).to_string();
                    for ((origin, y), predicted) in origins.iter().zip(y).zip(&judged.outputs) {
                        write([&origin.to_string(), &back(*y), &back(*predicted)]);
                    }
                }
                _ => {}
            }
        }
        _ => {}
    }
    Ok(writer.into_inner().expect("memory takes it"))
}

fn operation(source: candle_core::Error) -> TensorError {
    TensorError::Operation { what: "the evaluation", source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use lab_arithmetic::battery::activations;

    use super::*;
    use crate::layers::Layer;
    use crate::network::Signal;

    fn model(layers: serde_json::Value, input: Signal, outputs: usize) -> Model {
        let description = Description::new(input, Layer::list(&layers).unwrap(), outputs);
        Model::new(&description, 3, &slot(MODEL)).unwrap()
    }

    /// What a model that is a linear layer gives for a row; its sums here have one part.
    fn scores(model: &Model, row: &[f32]) -> Vec<f32> {
        let (weight, bias) = (&model.weights["head.weight"], &model.weights["head.bias"]);
        let one = |(w, bias): (&[f32], &f32)| {
            row.iter().zip(w).fold(0.0f32, |s, (x, w)| x.mul_add(*w, s)) + bias
        };
        weight.values.chunks(row.len()).zip(&bias.values).map(one).collect()
    }

    fn bits(values: &[f64]) -> Vec<u64> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    fn check(judged: &Judged, losses: &[f64]) {
        assert_eq!(bits(&judged.losses), bits(losses));
        let mean = losses.iter().fold(0.0, |sum, loss| sum + loss) / losses.len() as f64;
        assert_eq!(judged.loss.to_bits(), mean.to_bits());
    }

    // proves A-81: also over more rows than go through a model at a time.
    #[test]
    fn rows_are_judged_one_by_one_in_f64() {
        let (rows, kernels) = (2500, Kernels::detect());
        let (x, y) = (activations(3 * rows, 1), activations(rows, 2));
        let number = Target::Number { column: "y".into(), log: false, shift: 0.0, scale: 1.0 };
        let regression = model(json!([]), Signal::Features(3), 1);
        let squares: Vec<f64> = x
            .chunks(3)
            .zip(&y)
            .map(|(row, y)| f64::from(scores(&regression, row)[0]) - f64::from(*y))
            .map(|distance| distance * distance)
            .collect();
        let y = Targets::Numbers(y);
        let examples = Examples::Rows { x: x.clone(), shape: vec![3], y };
        check(&judge(&regression, &examples, &number, 0, kernels).unwrap(), &squares);

        let classes = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        let class = Target::Class { column: "y".into(), classes };
        let classifier = model(json!([]), Signal::Features(3), 4);
        let labels: Vec<u32> = (0..rows as u32).map(|n| n * n % 4).collect();
        let loss = |(row, label): (&[f32], &u32)| {
            f64::from(kernels.cross_entropy(&scores(&classifier, row), 4, &[*label]))
        };
        let losses: Vec<f64> = x.chunks(3).zip(&labels).map(loss).collect();
        let examples = Examples::Rows { x, shape: vec![3], y: Targets::Classes(labels) };
        check(&judge(&classifier, &examples, &class, 0, kernels).unwrap(), &losses);
    }

    // proves
    #[test]
    fn texts_are_judged_token_by_token() {
        let kernels = Kernels::detect();
        let text: Vec<u32> = (0..38u32).map(|n| n * n % 5).collect();
        let target = Target::Next { tokens: (0..5).map(|n| n.to_string()).collect() };
        let model = model(
            json!([{ "layer": "embed", "width": 3 }]),
            Signal::Ids { length: 8, kinds: 5 },
            5,
        );
        let table = &model.weights["embed1.weight"].values;
        // Without layers that look back, each token alone foretells the next.
        let loss = |pair: &[u32]| {
            let scores = scores(&model, &table[3 * pair[0] as usize..][..3]);
            f64::from(kernels.cross_entropy(&scores, 5, &[pair[1]]))
        };
        let losses: Vec<f64> = text.windows(2).map(loss).collect();
        for context in [8, 100] {
            let examples = Examples::Text(text.clone());
            check(&judge(&model, &examples, &target, context, kernels).unwrap(), &losses);
        }
    }

    // proves A-82
    #[test]
    fn windows_of_a_text_overlap_by_half() {
        for (n, context) in (1..60).flat_map(|n| (1..12).map(move |context| (n, context))) {
            let w = context.min(n);
            let h = (w / 2).max(1);
            // Where each window begins, and the predictions of the text that count in it.
            let mut plain = vec![(0, 0..w)];
            for start in (h..n).step_by(h).take_while(|start| start + w <= n) {
                plain.push((start, start + w - h..start + w));
            }
            let judged = plain.last().unwrap().1.end;
            if judged < n {
                plain.push((n - w, judged..n));
            }
            let all: Vec<usize> = plain.iter().flat_map(|(_, judged)| judged.clone()).collect();
            assert_eq!(all, (0..n).collect::<Vec<_>>());
            let mut found = Vec::new();
            for (places, window, from) in passes(&Examples::Text(vec![0; n + 1]), context) {
                assert_eq!(window, w);
                found.extend(places.iter().map(|start| (*start, start + from..start + window)));
            }
            assert_eq!(found, plain, "{n} predictions, context {context}");
        }
    }
}
