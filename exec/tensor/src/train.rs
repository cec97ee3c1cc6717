//! Stage `train`: fits a model to the training rows.
//!
//! Batches follow from the shuffle seed, the epoch and the position alone. The last batch of an
//! epoch may be smaller and counts by its rows.

use candle_core::{DType, Device, Tensor, Var};
use lab_objects::Progress;
use lab_schema::{Number, Value};
use serde::Serialize;

use crate::error::{Result, TensorError};
use crate::files::{Inputs, Prepared, Product, to_json};
use crate::kernels::{Kernels, argmax};
use crate::model::{Model, Shape};
use crate::ops::Ops;
use crate::optimizer::Optimizer;
use crate::rng::Draws;
use crate::settings::Settings;
use crate::task::{HISTORY, MODEL, PREPARED, TRAIN_ROWS, WEIGHTS, slot};
use crate::tensors::Tensors;

/// Features and class numbers of some rows.
pub(crate) struct Examples {
    pub(crate) x: Vec<f32>,
    pub(crate) y: Vec<i64>,
    pub(crate) features: usize,
}

/// One line of `history.json`.
#[derive(Clone, Copy, Debug, Serialize)]
struct Epoch {
    epoch: u64,
    /// Mean over the rows, each before the step that its batch led to.
    loss: f64,
    /// The share of rows that were right, likewise.
    accuracy: f64,
}

impl Examples {
    /// Reads the rows in the input `name`, whose labels are below `classes`.
    pub(crate) fn read(inputs: Inputs<'_>, name: &str, classes: usize) -> Result<Examples> {
        let slot = slot(name);
        let mut tensors = Tensors::read(&slot, &inputs.bytes(name)?)?;
        let x = tensors.take("x", DType::F32, &[None, None])?;
        let (rows, features) = x.dims2().map_err(operation)?;
        let y = tensors.take("y", DType::I64, &[Some(rows)])?;
        let y: Vec<i64> = y.to_vec1().map_err(operation)?;
        let bad = |why: &str| Err(TensorError::BadInput { slot: slot.clone(), why: why.into() });
        if rows == 0 || features == 0 {
            return bad("it is empty");
        }
        if !y.iter().all(|label| (0..classes as i64).contains(label)) {
            return bad("a label is none of the classes");
        }
        let x = x.flatten_all().and_then(|x| x.to_vec1()).map_err(operation)?;
        Ok(Examples { x, y, features })
    }

    /// Some rows, in this order.
    fn batch(&self, rows: &[usize]) -> Result<(Tensor, Tensor)> {
        let mut x = Vec::with_capacity(rows.len() * self.features);
        for row in rows {
            x.extend_from_slice(&self.x[row * self.features..][..self.features]);
        }
        let y: Vec<i64> = rows.iter().map(|row| self.y[*row]).collect();
        let x = Tensor::from_vec(x, (rows.len(), self.features), &Device::Cpu);
        let y = Tensor::from_vec(y, rows.len(), &Device::Cpu);
        Ok((x.map_err(operation)?, y.map_err(operation)?))
    }
}

/// Runs the stage.
pub(crate) fn train(
    inputs: Inputs<'_>,
    settings: &Settings<'_>,
    kernels: Kernels,
    progress: &dyn Progress,
) -> Result<Product> {
    let prepared: Prepared = inputs.json(PREPARED)?;
    let examples = Examples::read(inputs, TRAIN_ROWS, prepared.classes.len())?;
    let shape = shape(settings, examples.features, prepared.classes.len())?;
    let model = Model::new(&shape, settings.int("init_seed")?, &slot(PREPARED))?;
    let (model, history) = fit(model, &examples, settings, kernels, progress)?;
    let mut product = Product::default();
    if let Some(last) = history.last() {
        product.metrics.insert("train_accuracy".into(), Number::new(last.accuracy)?);
        product.metrics.insert("train_loss".into(), Number::new(last.loss)?);
    }
    product.files.insert(WEIGHTS, model.write());
    product.files.insert(MODEL, to_json(&shape));
    product.files.insert(HISTORY, to_json(&history));
    Ok(product)
}

fn shape(settings: &Settings<'_>, features: usize, classes: usize) -> Result<Shape> {
    let width = |value: &Value| match value {
        Value::Int(n) => usize::try_from(*n).ok(),
        _ => None,
    };
    let hidden = settings.list("hidden")?.iter().filter_map(width);
    Ok(Shape {
        model: settings.text("model")?.to_owned(),
        sizes: [features].into_iter().chain(hidden).chain([classes]).collect(),
        activation: settings.text("activation")?.to_owned(),
    })
}

fn fit(
    mut model: Model,
    examples: &Examples,
    settings: &Settings<'_>,
    kernels: Kernels,
    progress: &dyn Progress,
) -> Result<(Model, Vec<Epoch>)> {
    let rows = examples.y.len();
    let (epochs, batch) = (settings.int("epochs")?, settings.int("batch")? as usize);
    let steps = epochs * rows.div_ceil(batch) as u64;
    let mut optimizer = Optimizer::new(kernels, settings, &model, steps)?;
    let draws = Draws::new(settings.int("shuffle_seed")?, "shuffle");
    let mut history: Vec<Epoch> = Vec::new();
    let mut step = 0;
    for epoch in 1..=epochs {
        let loss = history.last().map(|e| format!(", loss {:.4}", e.loss)).unwrap_or_default();
        progress.step(&format!("train epoch {epoch} of {epochs}{loss}"), epoch - 1, epochs);
        let mut order: Vec<usize> = (0..rows).collect();
        draws.shuffle(epoch as u32, &mut order);
        let (mut loss, mut right) = (0.0, 0);
        for batch in order.chunks(batch) {
            step += 1;
            let seen = learn(&mut model, &mut optimizer, kernels, examples.batch(batch)?)?;
            let Some(seen) = seen else {
                progress.end();
                return Err(TensorError::NotFinite { epoch, step });
            };
            loss += seen.0 * batch.len() as f64;
            right += seen.1;
        }
        let (loss, accuracy) = (loss / rows as f64, right as f64 / rows as f64);
        history.push(Epoch { epoch, loss, accuracy });
    }
    progress.end();
    if !model.parameters.iter().flat_map(|p| &p.values).all(|v| v.is_finite()) {
        return Err(TensorError::NotFinite { epoch: epochs, step });
    }
    Ok((model, history))
}

/// One step; the batch's loss before it and how many rows were right, none if not finite.
fn learn(
    model: &mut Model,
    optimizer: &mut Optimizer,
    kernels: Kernels,
    (x, y): (Tensor, Tensor),
) -> Result<Option<(f64, usize)>> {
    let ops = Ops(kernels);
    let variables = model.variables()?;
    let scores = model.scores(ops, &variables, &x)?;
    let loss = ops.cross_entropy(&scores, &y).map_err(operation)?;
    let value: f32 = loss.to_scalar().map_err(operation)?;
    if !value.is_finite() {
        return Ok(None);
    }
    let gradients = loss.backward().map_err(operation)?;
    let gradient = |variable: &Var| {
        let gradient = match gradients.get(variable) {
            Some(gradient) => gradient.clone(),
            None => variable.zeros_like()?,
        };
        gradient.flatten_all()?.to_vec1()
    };
    let gradients: candle_core::Result<Vec<Vec<f32>>> = variables.iter().map(gradient).collect();
    optimizer.step(model, &gradients.map_err(operation)?);
    let scores = scores.to_vec2::<f32>().map_err(operation)?;
    let labels = y.to_vec1::<i64>().map_err(operation)?;
    let right = scores.iter().zip(labels).filter(|(s, l)| argmax(s) as i64 == *l).count();
    Ok(Some((f64::from(value), right)))
}

fn operation(source: candle_core::Error) -> TensorError {
    TensorError::Operation { what: "a training step", source: Box::new(source) }
}
