//! Stage `evaluate`: judges a model by the test rows.
//!
//! Counts are integers and ratios f64, so that no order enters. Each row's prediction is kept:
//! two models can then be compared row by row.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use lab_schema::{Number, Value};
use serde_json::json;

use crate::error::{Result, TensorError};
use crate::files::{Inputs, Prepared, Product, to_json};
use crate::kernels::{Kernels, argmax};
use crate::model::{Model, Shape};
use crate::ops::Ops;
use crate::settings::Settings;
use crate::task::{METRICS, MODEL, PREDICTIONS, PREPARED, TEST_ROWS, WEIGHTS, slot};
use crate::tensors::Tensors;
use crate::train::Examples;

/// Rows per forward pass; bounds memory, and no score depends on it.
const ROWS_AT_ONCE: usize = 1024;

/// Runs the stage.
pub(crate) fn evaluate(
    inputs: Inputs<'_>,
    settings: &Settings<'_>,
    kernels: Kernels,
) -> Result<Product> {
    let prepared: Prepared = inputs.json(PREPARED)?;
    let shape: Shape = inputs.json(MODEL)?;
    let classes = prepared.classes.len();
    let examples = Examples::read(inputs, TEST_ROWS, classes)?;
    if (shape.sizes.first(), shape.sizes.last()) != (Some(&examples.features), Some(&classes)) {
        let why = format!(
            "its sizes are {:?}, the test rows have {} features and {classes} classes",
            shape.sizes, examples.features
        );
        return Err(TensorError::BadInput { slot: slot(MODEL), why });
    }
    let model = Model::read(&shape, &slot(WEIGHTS), &inputs.bytes(WEIGHTS)?)?;
    let scores = scores(&model, &examples, kernels)?;
    let loss = kernels.cross_entropy(&scores, classes, &examples.y);
    let predicted: Vec<usize> = scores.chunks(classes).map(argmax).collect();
    let mut confusion = vec![vec![0u64; classes]; classes];
    for (label, predicted) in examples.y.iter().zip(&predicted) {
        confusion[*label as usize][*predicted] += 1;
    }
    let mut product = metrics(settings, &prepared, &confusion, f64::from(loss))?;
    let predictions = predictions(inputs, &prepared, &examples, &predicted)?;
    product.files.insert(PREDICTIONS, predictions);
    Ok(product)
}

fn scores(model: &Model, examples: &Examples, kernels: Kernels) -> Result<Vec<f32>> {
    let variables = model.variables()?;
    let mut scores = Vec::new();
    for x in examples.x.chunks(ROWS_AT_ONCE * examples.features) {
        let rows = x.len() / examples.features;
        let x = Tensor::from_slice(x, (rows, examples.features), &Device::Cpu);
        let part = model.scores(Ops(kernels), &variables, &x.map_err(operation)?)?;
        let part: Vec<f32> = part.flatten_all().and_then(|t| t.to_vec1()).map_err(operation)?;
        scores.extend(part);
    }
    Ok(scores)
}

fn metrics(
    settings: &Settings<'_>,
    prepared: &Prepared,
    confusion: &[Vec<u64>],
    loss: f64,
) -> Result<Product> {
    let rows: u64 = confusion.iter().flatten().sum();
    let right: u64 = (0..confusion.len()).map(|i| confusion[i][i]).sum();
    let mut product = Product::default();
    let mut file = BTreeMap::from([("rows", json!(rows))]);
    for metric in settings.list("metrics")? {
        let Value::Text(metric) = metric else { continue };
        let (name, number) = match metric.as_str() {
            "accuracy" => ("accuracy", right as f64 / rows as f64),
            "loss" => ("loss", loss),
            "macro_f1" => ("macro_f1", macro_f1(confusion)),
            _ => {
                // Row: the label; column: the prediction.
                file.insert("classes", json!(prepared.classes));
                file.insert("confusion", json!(confusion));
                continue;
            }
        };
        let number = Number::new(number).map_err(|_| TensorError::BadInput {
            slot: slot(WEIGHTS),
            why: format!("with these weights {name} is not finite"),
        })?;
        file.insert(name, json!(number.get()));
        product.metrics.insert(name.to_owned(), number);
    }
    product.files.insert(METRICS, to_json(&file));
    Ok(product)
}

/// The mean over classes of 2 hits / (labelled + predicted); 0 for a class without either.
fn macro_f1(confusion: &[Vec<u64>]) -> f64 {
    let f1 = |class: usize| {
        let labelled: u64 = confusion[class].iter().sum();
        let predicted: u64 = confusion.iter().map(|row| row[class]).sum();
        match labelled + predicted {
            0 => 0.0,
            both => 2.0 * confusion[class][class] as f64 / both as f64,
        }
    };
    (0..confusion.len()).map(f1).sum::<f64>() / confusion.len() as f64
}

/// `row,label,predicted`, in the order of the test rows; `row` is the index in the table.
fn predictions(
    inputs: Inputs<'_>,
    prepared: &Prepared,
    examples: &Examples,
    predicted: &[usize],
) -> Result<Vec<u8>> {
    let slot = slot(TEST_ROWS);
    let mut tensors = Tensors::read(&slot, &inputs.bytes(TEST_ROWS)?)?;
    let origins = tensors.take("row", DType::I64, &[Some(predicted.len())])?;
    let origins: Vec<i64> = origins.to_vec1().map_err(operation)?;
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut write = |record: [&str; 3]| writer.write_record(record).expect("memory takes it");
    write(["row", "label", "predicted"]);
    for ((origin, label), predicted) in origins.iter().zip(&examples.y).zip(predicted) {
        let class = |n: usize| prepared.classes[n].as_str();
        write([&origin.to_string(), class(*label as usize), class(*predicted)]);
    }
    Ok(writer.into_inner().expect("memory takes it"))
}

fn operation(source: candle_core::Error) -> TensorError {
    TensorError::Operation { what: "the evaluation", source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macro_f1_is_the_mean_over_classes() {
        // Class 0: 2 of 2 found, one false alarm: f1 = 4/5. Class 1: 1 of 2 found: f1 = 2/3.
        let f1 = macro_f1(&[vec![2, 0, 0], vec![1, 1, 0], vec![0, 0, 0]]);
        assert!((f1 - (0.8 + 2.0 / 3.0) / 3.0).abs() < 1e-15, "{f1}");
    }
}
