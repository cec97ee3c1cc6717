//! Stage `train`: fits a model to the training examples.
//!
//! The last batch of an epoch may be smaller and counts by its rows. With a validation part, each
//! epoch is judged by it, and training stops once it has not become better for `patience` epochs;
//! the weights of the best epoch are kept. The test part is not among the inputs of this stage.
//! Every `state_every` steps a digest of all weights is chained to the one before, so that a run
//! that went another way can be followed to the step where it did.

use std::collections::BTreeMap;

use lab_arithmetic::{Kernels, argmax};
use lab_objects::Progress;
use lab_preparation::Draws;
use lab_schema::{Digest, Number};
use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoints;
use crate::error::{Result, TensorError};
use crate::examples::{Examples, Targets};
use crate::files::{Inputs, Prepared, Product, Target, to_json};
use crate::judge::judge;
use crate::memory;
use crate::model::{Description, Model, Pass};
use crate::optimizer::{Optimizer, Steps};
use crate::presets;
use crate::settings::Settings;
use crate::task::{HISTORY, MODEL, PREPARED, TRAIN_ROWS, VALIDATION_ROWS, WEIGHTS, slot};
use crate::tensor::Tensor;
use crate::tensors::Arrays;

/// `history.json`: how training went.
#[derive(Debug, Default, Serialize, Deserialize)]
struct History {
    epochs: Vec<Epoch>,
    states: Vec<State>,
    /// The epoch whose weights were kept, if there is a validation part.
    #[serde(skip_serializing_if = "Option::is_none")]
    best: Option<u64>,
}

/// An epoch.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Epoch {
    epoch: u64,
    /// Mean over the rows, each before the step that its batch led to.
    loss: f64,
    /// The share of rows that were right, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy: Option<f64>,
    /// The loss on the validation part after the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    validation: Option<f64>,
}

/// The weights after a step.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    step: u64,
    digest: String,
}

/// A training under way.
struct Training<'a> {
    settings: &'a Settings<'a>,
    kernels: Kernels,
    target: &'a Target,
    examples: &'a Examples,
    validation: Option<&'a Examples>,
    context: usize,
    model: Model,
    optimizer: Optimizer,
    dropout: Draws,
    step: u64,
    state: Digest,
    history: History,
}

/// Runs the stage.
pub(crate) fn train(
    inputs: Inputs<'_>,
    settings: &Settings<'_>,
    kernels: Kernels,
    progress: &dyn Progress,
    checkpoints: &mut Checkpoints,
) -> Result<Product> {
    let prepared: Prepared = inputs.json(PREPARED)?;
    let examples = Examples::read(inputs, TRAIN_ROWS, &prepared)?;
    let validation = Examples::read(inputs, VALIDATION_ROWS, &prepared)?;
    if examples.len() == 0 {
        return Err(TensorError::TooFewRows("there is nothing to learn from".into()));
    }
    if settings.int("patience")? > 0 && validation.len() == 0 {
        return Err(TensorError::MissingKey(
            "a validation part, by which train.patience decides (see prepare.validation)".into(),
        ));
    }
    let context = context(settings, &prepared.target)?;
    examples.check_context(context)?;
    let signal = examples.signal(&prepared, context)?;
    let layers = presets::layers(settings, signal)?;
    let description = Description::new(signal, layers, prepared.target.outputs());
    let model = Model::new(&description, settings.int("init_seed")?, &slot(PREPARED))?;
    let batch = settings.int("batch")? as usize;
    memory::check(model.learning_bytes(batch.min(examples.places(context))))?;
    let steps = settings.int("epochs")? * examples.batches(batch, context) as u64;
    let seed = settings.int("shuffle_seed")?;
    let training = Training {
        optimizer: Optimizer::new(kernels, settings, &model, steps)?,
        settings,
        kernels,
        target: &prepared.target,
        validation: (validation.len() > 0).then_some(&validation),
        examples: &examples,
        context,
        model,
        dropout: Draws::new(seed, "dropout"),
        step: 0,
        state: Digest::derive(STATE, &[]),
        history: History::default(),
    };
    let trained = training.run(batch, Draws::new(seed, "shuffle"), progress, checkpoints);
    progress.end();
    let (model, history) = trained?;
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
    product.files.insert(MODEL, to_json(&description));
    product.files.insert(HISTORY, to_json(&history));
    Ok(product)
}

/// The context of the digests of states.
const STATE: &str = "lab 2026-11-30 state of training";

/// The length of a text's windows; rows have none.
fn context(settings: &Settings<'_>, target: &Target) -> Result<usize> {
    match target {
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

/// How far training is: which epoch, how many of its batches are done, and what they came to.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Reached {
    epoch: u64,
    batches: usize,
    #[serde(skip)]
    loss: f64,
    right: usize,
    rows: usize,
}

impl Default for Reached {
    fn default() -> Self {
        Reached { epoch: 1, batches: 0, loss: 0.0, right: 0, rows: 0 }
    }
}

/// The epoch that was best by the validation part.
struct Best {
    loss: f64,
    epoch: u64,
    model: Model,
}

/// What is kept of a training that may be interrupted. Numbers that are not whole, as their bits.
#[derive(Serialize, Deserialize)]
struct Saved<H> {
    reached: Reached,
    loss: u64,
    step: u64,
    state: [u8; 32],
    history: H,
    best: Option<(u64, u64)>,
    optimizer: Steps,
}

/// What a step saw.
struct Seen {
    loss: f64,
    right: usize,
}

impl Training<'_> {
    fn run(
        mut self,
        batch: usize,
        shuffle: Draws,
        progress: &dyn Progress,
        checkpoints: &mut Checkpoints,
    ) -> Result<(Model, History)> {
        let (epochs, patience) = (self.settings.int("epochs")?, self.settings.int("patience")?);
        let total = epochs * self.examples.batches(batch, self.context) as u64;
        let saved = checkpoints.read(&slot(WEIGHTS));
        let restored = saved.and_then(|(saved, arrays)| self.restore(saved, arrays));
        let (mut reached, mut best) = restored.unwrap_or_default();
        for epoch in reached.epoch..=epochs {
            let batches = self.examples.epoch(shuffle, epoch as u32, batch, self.context);
            for (n, places) in batches.iter().enumerate().skip(reached.batches) {
                if checkpoints.are_due() {
                    let here = Reached { epoch, batches: n, ..reached };
                    let (saved, arrays) = self.save(here, best.as_ref());
                    checkpoints.write(&saved, &arrays);
                }
                let told = self.history.epochs.last().map_or(String::new(), |last| {
                    let judged =
                        last.validation.map_or(String::new(), |v| format!(", validation {v:.4}"));
                    format!(", loss {:.4}{judged}", last.loss)
                });
                progress.step(&format!("train epoch {epoch} of {epochs}{told}"), self.step, total);
                let Some(seen) = self.learn(places)? else {
                    return Err(TensorError::NotFinite { epoch, step: self.step });
                };
                reached.loss += seen.loss * places.len() as f64;
                reached.right += seen.right;
                reached.rows += places.len();
            }
            let Reached { loss, right, rows, .. } = std::mem::take(&mut reached);
            let predictions = rows * self.context.max(1);
            let classes = !matches!(self.target, Target::Number { .. });
            let validation = match self.validation {
                Some(part) => Some(self.judged(part)?),
                None => None,
            };
            if validation.is_some_and(|loss| !loss.is_finite()) {
                return Err(TensorError::NotFinite { epoch, step: self.step });
            }
            self.history.epochs.push(Epoch {
                epoch,
                loss: loss / rows as f64,
                accuracy: classes.then_some(right as f64 / predictions as f64),
                validation,
            });
            let Some(validation) = validation else { continue };
            if best.as_ref().is_none_or(|best| validation < best.loss) {
                best = Some(Best { loss: validation, epoch, model: self.model.clone() });
            }
            let since = best.as_ref().map_or(0, |best| epoch - best.epoch);
            if patience > 0 && since >= patience {
                break;
            }
        }
        if let Some(Best { epoch, model, .. }) = best.take_if(|_| patience > 0) {
            self.history.best = Some(epoch);
            self.model = model;
        }
        match finite(&self.model) {
            true => Ok((self.model, self.history)),
            false => Err(TensorError::NotFinite { epoch: epochs, step: self.step }),
        }
    }

    /// All that the steps to come depend on.
    fn save(&self, reached: Reached, best: Option<&Best>) -> (Saved<&History>, Arrays) {
        let mut arrays = Arrays::new();
        self.model.save("weights", &mut arrays);
        if let Some(best) = best {
            best.model.save("best", &mut arrays);
        }
        let saved = Saved {
            reached,
            loss: reached.loss.to_bits(),
            step: self.step,
            state: *self.state.as_bytes(),
            history: &self.history,
            best: best.map(|best| (best.loss.to_bits(), best.epoch)),
            optimizer: self.optimizer.save(&mut arrays),
        };
        (saved, arrays)
    }

    /// Takes up what [`Training::save`] has left; none, and nothing changed, if it is not of this
    /// model.
    fn restore(
        &mut self,
        saved: Saved<History>,
        mut arrays: Arrays,
    ) -> Option<(Reached, Option<Best>)> {
        let mut model = self.model.clone();
        model.restore("weights", &mut arrays)?;
        let best = match saved.best {
            Some((loss, epoch)) => {
                let mut model = model.clone();
                model.restore("best", &mut arrays)?;
                Some(Best { loss: f64::from_bits(loss), epoch, model })
            }
            None => None,
        };
        self.optimizer.restore(&saved.optimizer, &mut arrays)?;
        self.model = model;
        self.step = saved.step;
        self.state = Digest::from_bytes(saved.state);
        self.history = saved.history;
        Some((Reached { loss: f64::from_bits(saved.loss), ..saved.reached }, best))
    }

    fn judged(&self, part: &Examples) -> Result<f64> {
        judge(&self.model, part, self.target, self.context, self.kernels).map(|judged| judged.loss)
    }

    /// One step; none if the loss is not finite.
    fn learn(&mut self, places: &[usize]) -> Result<Option<Seen>> {
        self.step += 1;
        let (x, y) = self
            .examples
            .batch(places, self.context, self.model.time_first())
            .map_err(operation)?;
        let variables = self.model.variables(true)?;
        let pass = Pass {
            kernels: self.kernels,
            variables: &variables,
            learning: Some((self.dropout, self.step as u32)),
            seen: Default::default(),
        };
        let outputs = self.model.outputs(&pass, &x)?;
        let loss = Targets::loss(self.kernels, self.target, &outputs, &y).map_err(operation)?;
        let value = loss.scalar().map_err(operation)?;
        if !value.is_finite() {
            return Ok(None);
        }
        let mut gradients = loss.backward(self.kernels).map_err(operation)?;
        let learned = |name: &String| self.model.weights.get(name).is_some_and(|w| !w.fixed);
        let mut all = BTreeMap::new();
        for (name, parameter) in variables.0.iter().filter(|(name, _)| learned(name)) {
            all.insert(name.clone(), gradients.take(parameter));
        }
        let right = self.right(&outputs, &y)?;
        self.model.remember(pass);
        self.optimizer.step(&mut self.model, all);
        self.note_state()?;
        Ok(Some(Seen { loss: f64::from(value), right }))
    }

    /// How many of the outputs' greatest are the labels.
    fn right(&self, outputs: &Tensor, y: &Tensor) -> Result<usize> {
        let classes = match self.target {
            Target::Number { .. } => return Ok(0),
            target => target.outputs(),
        };
        let scores = outputs.values().map_err(operation)?;
        let labels = y.all_ids().map_err(operation)?;
        let rows = scores.chunks_exact(classes).zip(labels);
        Ok(rows.filter(|(scores, label)| argmax(scores) == *label as usize).count())
    }

    fn note_state(&mut self) -> Result<()> {
        let every = self.settings.int("state_every")?;
        if every == 0 || !self.step.is_multiple_of(every) {
            return Ok(());
        }
        // A digest of what is no number would depend on the machine; the loss of the next step
        // will say what is wrong.
        if !finite(&self.model) {
            return Ok(());
        }
        let mut bytes = self.state.as_bytes().to_vec();
        bytes.extend(self.model.write());
        self.state = Digest::derive(STATE, &bytes);
        self.history.states.push(State { step: self.step, digest: self.state.to_string() });
        Ok(())
    }
}

fn finite(model: &Model) -> bool {
    model.weights.values().flat_map(|w| &w.values).all(|value| value.is_finite())
}

fn operation(source: candle_core::Error) -> TensorError {
    TensorError::Operation { what: "a training step", source: Box::new(source) }
}
