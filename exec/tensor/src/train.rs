//! Stage `train`: fits a model to the training examples.
//!
//! The last batch of an epoch may be smaller and counts by its rows. With a validation part, each
//! epoch is judged by it, and training stops once it has not become better for `patience` epochs;
//! the weights of the best epoch are kept. The test part is not among the inputs of this stage.

use std::ops::ControlFlow;

use lab_arithmetic::Kernels;
use lab_objects::{Progress, Store};
use lab_schema::{Number, Value};
use serde::{Deserialize, Serialize};

use crate::augment::Augment;
use crate::checkpoint::Checkpoints;
use crate::error::{Result, TensorError};
use crate::examples::Examples;
use crate::files::{Inputs, Prepared, Product, Target, to_json};
use crate::fitted::Fitted;
use crate::history::History;
use crate::kept::{self, Kept};
use crate::memory;
use crate::model::{Description, Model};
use crate::presets;
use crate::settings::Settings;
use crate::stage_settings::is_fitted;
use crate::task::{
    CHECKPOINTS, HISTORY, MODEL, PREPARED, STEPS, TRAIN_ROWS, VALIDATION_ROWS, WEIGHTS, slot,
};
use crate::tensors::Arrays;
use crate::training::{Material, Saved, Training};

/// Runs the stage.
pub(crate) fn train(
    inputs: Inputs<'_>,
    settings: &Settings<'_>,
    kernels: Kernels,
    progress: &dyn Progress,
    checkpoints: &mut Checkpoints,
) -> Result<Product> {
    if let Some(fitted) = fitted(inputs, settings)? {
        return Ok(fitted);
    }
    begin(inputs, settings, kernels, |mut training, description| {
        let every = match settings.on("checkpoint_every") {
            Some(Value::Int(every)) => *every as u64,
            _ => 0,
        };
        let mut kept = resume(inputs.store, &mut training, checkpoints)?;
        let total = training.total();
        let trained = training.advance(total, &mut |training| {
            let is_kept = kept.last().is_some_and(|kept: &Kept| kept.step == training.step);
            if every > 0 && training.step > 0 && training.step.is_multiple_of(every) && !is_kept {
                kept.push(kept::keep(inputs.store, training, &kept)?);
            }
            if checkpoints.are_due() {
                interrupt(training, &kept, checkpoints);
            }
            progress.step(&training.told(), training.step, total);
            Ok(ControlFlow::Continue(()))
        });
        progress.end();
        trained?;
        let mut product = product(training, description)?;
        if every > 0 {
            product.stored.insert(CHECKPOINTS, kept::directory(inputs.store, &kept)?);
        }
        Ok(product)
    })
}

/// What a model that is done after one pass leaves; none if the settings ask for another.
fn fitted(inputs: Inputs<'_>, settings: &Settings<'_>) -> Result<Option<Product>> {
    if !is_fitted(settings.text("model")?) {
        return Ok(None);
    }
    let prepared: Prepared = inputs.json(PREPARED)?;
    let examples = Examples::read(inputs, TRAIN_ROWS, &prepared)?;
    if examples.len() == 0 {
        return Err(nothing());
    }
    let fitted = Fitted::fit(settings, &prepared, &examples)?;
    Ok(fitted.map(|fitted| fitted.product(to_json(&History::default()))))
}

fn nothing() -> TensorError {
    TensorError::TooFewRows("there is nothing to learn from".into())
}

/// Gives `go` the training that the settings and inputs are, before its first step.
pub(crate) fn begin<T>(
    inputs: Inputs<'_>,
    settings: &Settings<'_>,
    kernels: Kernels,
    go: impl FnOnce(Training<'_>, &Description) -> Result<T>,
) -> Result<T> {
    let prepared: Prepared = inputs.json(PREPARED)?;
    let examples = Examples::read(inputs, TRAIN_ROWS, &prepared)?;
    let validation = Examples::read(inputs, VALIDATION_ROWS, &prepared)?;
    if examples.len() == 0 {
        return Err(nothing());
    }
    if settings.int("patience")? > 0 && validation.len() == 0 {
        return Err(TensorError::MissingKey(
            "a validation part, by which train.patience decides (see prepare.validation)".into(),
        ));
    }
    let outputs = prepared.target.outputs();
    let pairs = examples.pairing(settings, outputs)?;
    let examples = examples.paired(pairs.as_ref())?;
    let validation = validation.paired(pairs.as_ref())?;
    let context = context(settings, &prepared.target)?;
    examples.check_context(context)?;
    let signal = examples.signal(&prepared, context)?;
    let layers = presets::layers(settings, signal)?;
    let description = Description { pairs, ..Description::new(signal, layers, outputs) };
    let model = Model::new(&description, settings.int("init_seed")?, &slot(PREPARED))?;
    let batch = settings.int("batch")? as usize;
    memory::check(model.learning_bytes(batch.min(examples.places(context))))?;
    let augment = Augment::of(settings, &prepared, settings.int("shuffle_seed")?)?;
    let material = Material {
        target: &prepared.target,
        examples: &examples,
        augment: augment.as_ref(),
        validation: (validation.len() > 0).then_some(&validation),
        context,
    };
    go(Training::new(kernels, settings, material, model)?, &description)
}

/// What training has come to.
pub(crate) fn product(training: Training<'_>, description: &Description) -> Result<Product> {
    let (model, history, steps) = training.finish()?;
    let mut product = Product::default();
    // Those of the epoch whose weights are kept.
    let kept = history.best.unwrap_or(history.epochs.len() as u64);
    if let Some(kept) = history.epochs.iter().find(|epoch| epoch.epoch == kept) {
        product.metrics.insert("train_loss".into(), Number::new(kept.loss)?);
        if let Some(accuracy) = kept.accuracy {
            product.metrics.insert("train_accuracy".into(), Number::new(accuracy)?);
        }
        if let Some(loss) = kept.validation {
            product.metrics.insert("validation_loss".into(), Number::new(loss)?);
        }
    }
    product.files.insert(WEIGHTS, model.write());
    product.files.insert(MODEL, to_json(description));
    product.files.insert(HISTORY, to_json(&history));
    product.files.insert(STEPS, steps);
    Ok(product)
}

/// The length of a text's windows; rows have none, and pairs one token.
fn context(settings: &Settings<'_>, target: &Target) -> Result<usize> {
    match target {
        Target::Next { .. } if settings.text("model")? == "skip_gram" => Ok(1),
        Target::Next { .. } => match settings.int("context") {
            Ok(context) => Ok(context as usize),
            Err(_) => Err(TensorError::BadModel(format!(
                "train.model = {} does not take texts: lstm, gru, transformer and layers do",
                settings.value("model")?
            ))),
        },
        _ => Ok(0),
    }
}

/// What is kept of a training that may be interrupted, beside its tensors and losses.
#[derive(Serialize, Deserialize)]
struct Interrupted {
    saved: Saved,
    history: History,
    kept: Vec<Kept>,
}

/// Under this name the losses of all steps stand among the tensors.
const LOSSES: &str = "losses";

/// Keeps what the training has reached, in case that it is interrupted.
fn interrupt(training: &Training<'_>, kept: &[Kept], checkpoints: &mut Checkpoints) {
    let (saved, mut arrays) = training.save();
    let losses = training.losses.clone();
    arrays.insert(LOSSES.to_owned(), (vec![losses.len()], losses));
    let history = training.history.clone();
    checkpoints.write(&Interrupted { saved, history, kept: kept.to_vec() }, &arrays);
}

/// Takes up what an interrupted training has reached, if there is one; what it has put into the
/// store must still be there.
fn resume(
    store: &Store,
    training: &mut Training<'_>,
    checkpoints: &Checkpoints,
) -> Result<Vec<Kept>> {
    let found: Option<(Interrupted, Arrays)> = checkpoints.read(&slot(WEIGHTS));
    let Some((Interrupted { saved, history, kept }, mut arrays)) = found else {
        return Ok(Vec::new());
    };
    for kept in &kept {
        if !kept::is_there(store, kept)? {
            return Ok(Vec::new());
        }
    }
    let Some((_, losses)) = arrays.remove(LOSSES) else { return Ok(Vec::new()) };
    if losses.len() as u64 != saved.step || training.restore(&saved, arrays).is_none() {
        return Ok(Vec::new());
    }
    (training.losses, training.history) = (losses, history);
    Ok(kept)
}
