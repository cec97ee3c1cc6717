//! Models that no gradient leads to: nearest neighbours and naive Bayes, those of [`lab_metrics`].
//!
//! They learn in one pass over the training part and say of each row the logarithms of its classes'
//! probabilities, or a number, in f64. What a file of weights has is what was counted or kept; it
//! is read as strictly as it comes from a stranger.

use std::num::NonZeroUsize;

use lab_data::Values;
use lab_metrics::{
    Array, Features, GaussianNaiveBayes, KnnClassifier, KnnRegressor, MetricsError,
    MultinomialNaiveBayes, Numbers,
};
use lab_schema::Slot;

use crate::error::{Result, TensorError};
use crate::examples::{Examples, Targets};
use crate::files::{Prepared, Product, Target, to_json};
use crate::judge::Judged;
use crate::model::{Description, Method};
use crate::settings::Settings;
use crate::task::{HISTORY, MODEL, WEIGHTS, slot};
use crate::tensors::{self, Data};

/// A fitted model.
enum Kind {
    Classes(KnnClassifier),
    Numbers(KnnRegressor),
    Gaussian(GaussianNaiveBayes),
    Multinomial(MultinomialNaiveBayes),
}

/// A fitted model, and what its arrays mean.
pub(crate) struct Fitted {
    kind: Kind,
    description: Description,
}

impl Fitted {
    /// Fits the model that the settings ask for; none if it is one that learns by gradients.
    pub(crate) fn fit(
        settings: &Settings<'_>,
        prepared: &Prepared,
        examples: &Examples,
    ) -> Result<Option<Fitted>> {
        let model = settings.text("model")?;
        let method = match model {
            "neighbours" => Method::Neighbours,
            "bayes" if settings.text("likelihood")? == "multinomial" => Method::MultinomialBayes,
            "bayes" => Method::GaussianBayes,
            _ => return Ok(None),
        };
        let Some((x, y)) = rows(examples) else {
            let why = format!("train.model = \"{model}\" does not take texts");
            return Err(TensorError::BadModel(why));
        };
        let (x, outputs) = (x?, prepared.target.outputs());
        let kind = match (method, y) {
            (Method::Neighbours, Targets::Classes(y)) => {
                let k = settings.int("k")? as usize;
                Kind::Classes(KnnClassifier::fit(x, y, outputs, k).map_err(TensorError::Rows)?)
            }
            (Method::Neighbours, Targets::Numbers { exact, .. }) => {
                let k = settings.int("k")? as usize;
                Kind::Numbers(KnnRegressor::fit(x, exact, k).map_err(TensorError::Rows)?)
            }
            (Method::GaussianBayes, Targets::Classes(y)) => {
                let fitted = GaussianNaiveBayes::fit(x, y, outputs);
                Kind::Gaussian(fitted.map_err(TensorError::Rows)?)
            }
            (Method::MultinomialBayes, Targets::Classes(y)) => {
                let smoothing = settings.float("smoothing")?;
                let fitted = MultinomialNaiveBayes::fit(x, y, outputs, smoothing);
                Kind::Multinomial(fitted.map_err(TensorError::Rows)?)
            }
            (_, Targets::Numbers { .. }) => {
                let why = format!("train.model = \"{model}\" tells classes apart, no numbers");
                return Err(TensorError::BadModel(why));
            }
        };
        let signal = examples.signal(prepared, 0)?;
        let description =
            Description { fitted: Some(method), ..Description::new(signal, Vec::new(), outputs) };
        Ok(Some(Fitted { kind, description }))
    }

    /// What the stage leaves of it. No epoch was needed.
    pub(crate) fn product(&self, history: Vec<u8>) -> Product {
        let arrays = match &self.kind {
            Kind::Classes(model) => model.to_arrays(),
            Kind::Numbers(model) => model.to_arrays(),
            Kind::Gaussian(model) => model.to_arrays(),
            Kind::Multinomial(model) => model.to_arrays(),
        };
        let entries: Vec<_> = arrays.iter().map(entry).collect();
        let mut product = Product::default();
        product.files.insert(WEIGHTS, tensors::write(&entries));
        product.files.insert(MODEL, to_json(&self.description));
        product.files.insert(HISTORY, history);
        product
    }

    /// The model that a file holds; none if the description is of one that has layers.
    pub(crate) fn read(
        description: &Description,
        target: &Target,
        bytes: &[u8],
    ) -> Result<Option<Fitted>> {
        let Some(method) = description.fitted else { return Ok(None) };
        let bad = |slot: Slot, why: String| TensorError::BadInput { slot, why };
        if !description.layers.is_empty() {
            return Err(bad(slot(MODEL), "it is fitted, and has layers as well".into()));
        }
        let weights = |error: MetricsError| bad(slot(WEIGHTS), error.to_string());
        let arrays = arrays(bytes).map_err(|why| bad(slot(WEIGHTS), why))?;
        let kind = match (method, target) {
            (Method::Neighbours, Target::Class { .. }) => {
                Kind::Classes(KnnClassifier::from_arrays(arrays).map_err(weights)?)
            }
            (Method::Neighbours, Target::Number { .. }) => {
                Kind::Numbers(KnnRegressor::from_arrays(arrays).map_err(weights)?)
            }
            (Method::GaussianBayes, Target::Class { .. }) => {
                Kind::Gaussian(GaussianNaiveBayes::from_arrays(arrays).map_err(weights)?)
            }
            (Method::MultinomialBayes, Target::Class { .. }) => {
                Kind::Multinomial(MultinomialNaiveBayes::from_arrays(arrays).map_err(weights)?)
            }
            _ => return Err(bad(slot(MODEL), "it does not foretell what was prepared".into())),
        };
        Ok(Some(Fitted { kind, description: description.clone() }))
    }

    /// What it says of examples. A class without any probability has the score minus infinity,
    /// and its rows that loss.
    pub(crate) fn judge(
        &self,
        examples: &Examples,
        target: &Target,
        threads: NonZeroUsize,
    ) -> Result<Judged> {
        let none = || TensorError::BadInput {
            slot: slot(WEIGHTS),
            why: "it has other classes than the test part".into(),
        };
        let (x, y) = rows(examples).ok_or_else(none)?;
        let outputs = self.outputs(x?, threads).map_err(TensorError::Rows)?;
        let losses: Vec<f64> = match (y, target) {
            (Targets::Classes(y), Target::Class { classes, .. }) => {
                if outputs.len() != y.len() * classes.len() {
                    return Err(none());
                }
                let rows = outputs.chunks(classes.len()).zip(y);
                rows.map(|(scores, label)| 0.0 - scores[*label as usize]).collect()
            }
            (Targets::Numbers { exact, .. }, Target::Number { scale, .. }) => {
                let distances = outputs.iter().zip(exact).map(|(x, y)| (x - y) / scale);
                distances.map(|distance| distance * distance).collect()
            }
            _ => return Err(none()),
        };
        let loss = losses.iter().sum::<f64>() / losses.len() as f64;
        Ok(Judged { loss, losses, outputs })
    }

    /// Outputs row after row, each thread those of some rows.
    fn outputs(
        &self,
        x: Features<'_>,
        threads: NonZeroUsize,
    ) -> std::result::Result<Vec<f64>, MetricsError> {
        let of = |x: Features<'_>| match &self.kind {
            Kind::Classes(model) => model.predict_log_probabilities(x),
            Kind::Numbers(model) => model.predict(x),
            Kind::Gaussian(model) => model.predict_log_probabilities(x),
            Kind::Multinomial(model) => model.predict_log_probabilities(x),
        };
        // Naive Bayes is quick.
        if matches!(self.kind, Kind::Gaussian(_) | Kind::Multinomial(_)) {
            return of(x);
        }
        let parts = x.parts(x.rows().div_ceil(threads.get()).max(ROWS_PER_THREAD));
        std::thread::scope(|scope| {
            let parts: Vec<_> = parts.map(|part| scope.spawn(move || of(part))).collect();
            let mut outputs = Vec::new();
            for part in parts {
                match part.join() {
                    Ok(part) => outputs.extend(part?),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Ok(outputs)
        })
    }
}

/// An array as it is written.
fn entry(array: &Array) -> (&str, &[usize], Data<'_>) {
    let data = match &array.numbers {
        Numbers::F32(numbers) => Data::F32(numbers),
        Numbers::F64(numbers) => Data::F64(numbers),
    };
    (&array.name, &array.shape, data)
}

/// Fewer are not worth a thread.
const ROWS_PER_THREAD: usize = 64;

/// Features and targets of rows; none of a text.
fn rows(examples: &Examples) -> Option<(Result<Features<'_>>, &Targets)> {
    let Examples::Rows { x, shape, y } = examples else { return None };
    let features = Features::new(x, shape.iter().product()).map_err(TensorError::Rows);
    Some((features, y))
}

/// The arrays in a file.
fn arrays(bytes: &[u8]) -> std::result::Result<Vec<Array>, String> {
    let array = |(name, array): (String, lab_data::Array)| match array.values {
        Values::F32(values) => {
            Ok(Array { name, shape: array.shape, numbers: Numbers::F32(values) })
        }
        Values::F64(values) => {
            Ok(Array { name, shape: array.shape, numbers: Numbers::F64(values) })
        }
        _ => Err(format!("'{}' are no floats", name.escape_debug())),
    };
    lab_data::safetensors(bytes).map_err(|e| e.to_string())?.into_iter().map(array).collect()
}
