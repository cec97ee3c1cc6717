//! A training under way: step by step, and all that the steps to come depend on.
//!
//! It can be stopped before any step, kept, and taken up again to the same bits; and it can be
//! taken up from what somebody else has kept, to see whether the way from there is theirs.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use lab_arithmetic::{Kernels, argmax};
use lab_preparation::Draws;
use lab_schema::Digest;
use serde::{Deserialize, Serialize};

use crate::augment::Augment;
use crate::error::{Result, TensorError};
use crate::examples::{Examples, Targets};
use crate::files::Target;
use crate::history::{Epoch, History, State, to_csv};
use crate::judge::judge;
use crate::model::{Model, Pass};
use crate::optimizer::{Optimizer, Steps};
use crate::settings::Settings;
use crate::tensor::Tensor;
use crate::tensors::Arrays;
use crate::trace;

/// What a training learns by.
#[derive(Clone, Copy)]
pub(crate) struct Material<'a> {
    pub(crate) target: &'a Target,
    pub(crate) examples: &'a Examples,
    /// What happens to images each time that they are learned from.
    pub(crate) augment: Option<&'a Augment>,
    pub(crate) validation: Option<&'a Examples>,
    /// The length of a text's windows.
    pub(crate) context: usize,
}

/// A training under way.
pub(crate) struct Training<'a> {
    kernels: Kernels,
    material: Material<'a>,
    plan: Plan,
    pub(crate) model: Model,
    optimizer: Optimizer,
    shuffle: Draws,
    dropout: Draws,
    /// Steps done.
    pub(crate) step: u64,
    /// The step at which it was taken up again, if it was.
    resumed: Option<u64>,
    so_far: SoFar,
    best: Option<Best>,
    state: Digest,
    pub(crate) history: History,
    /// The loss of each step.
    pub(crate) losses: Vec<f32>,
}

/// How long training goes on.
struct Plan {
    batch: usize,
    /// Steps at the end of each epoch.
    ends: Vec<u64>,
    patience: u64,
    state_every: u64,
}

impl Plan {
    /// The epoch of the step that comes after so many, from 1.
    fn epoch_after(&self, steps: u64) -> u64 {
        self.ends.partition_point(|end| *end <= steps) as u64 + 1
    }

    /// Steps before an epoch.
    fn start(&self, epoch: u64) -> u64 {
        let before = (epoch as usize).checked_sub(2).and_then(|at| self.ends.get(at));
        before.copied().unwrap_or(0)
    }
}

/// What the batches of the epoch that is under way came to.
#[derive(Clone, Copy, Debug, Default)]
struct SoFar {
    loss: f64,
    right: usize,
    rows: usize,
}

/// The epoch that was best by the validation part.
struct Best {
    loss: f64,
    epoch: u64,
    model: Model,
}

/// What is kept of a training beside its tensors. Numbers that are not whole stand as their bits.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Saved {
    /// Steps done.
    pub(crate) step: u64,
    /// The digest of the state that was noted last.
    state: String,
    /// Of the epoch that is under way: the sum of losses, and predictions that were right.
    epoch: (u64, usize),
    /// The best epoch so far: its loss on the validation part, and its number.
    best: Option<(u64, u64)>,
    optimizer: Steps,
}

/// What a step saw.
struct Seen {
    loss: f32,
    right: usize,
}

impl<'a> Training<'a> {
    /// Before the first step.
    pub(crate) fn new(
        kernels: Kernels,
        settings: &Settings<'_>,
        material: Material<'a>,
        model: Model,
    ) -> Result<Self> {
        let batch = settings.int("batch")? as usize;
        let ends = material.examples.ends(settings.int("epochs")?, batch, material.context)?;
        let total = ends.last().copied().unwrap_or(0);
        let seed = settings.int("shuffle_seed")?;
        let (patience, state_every) = (settings.int("patience")?, settings.int("state_every")?);
        Ok(Training {
            kernels,
            material,
            plan: Plan { batch, ends, patience, state_every },
            optimizer: Optimizer::new(kernels, settings, &model, total)?,
            shuffle: Draws::new(seed, "shuffle"),
            dropout: Draws::new(seed, "dropout"),
            step: 0,
            resumed: None,
            so_far: SoFar::default(),
            best: None,
            state: State::start(),
            history: History {
                tensors: model.weights.keys().cloned().collect(),
                ..History::default()
            },
            losses: Vec::new(),
            model,
        })
    }

    /// The epoch of the step that comes next, from 1.
    fn epoch(&self) -> u64 {
        self.plan.epoch_after(self.step)
    }

    /// All steps, if none is spared.
    pub(crate) fn total(&self) -> u64 {
        self.plan.ends.last().copied().unwrap_or(0)
    }

    /// Whether the validation part has had enough.
    fn is_patient(&self) -> bool {
        let Some(best) = self.best.as_ref().filter(|_| self.plan.patience > 0) else { return true };
        self.epoch() - 1 - best.epoch < self.plan.patience
    }

    /// Trains on until `until` steps are done, or training ends. `each` is asked before every
    /// step, and may stop it there.
    pub(crate) fn advance(
        &mut self,
        until: u64,
        each: &mut dyn FnMut(&mut Self) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        while self.step < self.total() && self.is_patient() {
            let epoch = self.epoch();
            let Material { examples, context, .. } = self.material;
            let batch = self.plan.batch;
            let batches = examples.epoch(self.shuffle, epoch as u32, batch, context)?;
            let done = self.step - self.plan.start(epoch);
            for places in batches.iter().skip(done as usize) {
                if self.step >= until || each(self)?.is_break() {
                    return Ok(());
                }
                let seen = self.learn(places)?;
                self.losses.push(seen.loss);
                self.so_far.loss += f64::from(seen.loss) * places.len() as f64;
                self.so_far.right += seen.right;
                self.so_far.rows += places.len();
            }
            self.end_epoch(epoch)?;
        }
        Ok(())
    }

    fn end_epoch(&mut self, epoch: u64) -> Result<()> {
        let SoFar { loss, right, rows } = std::mem::take(&mut self.so_far);
        let predictions = rows * self.material.context.max(1);
        let classes = !matches!(self.material.target, Target::Number { .. });
        let validation = self.material.validation.map(|part| self.judged(part)).transpose()?;
        if validation.is_some_and(|loss| !loss.is_finite()) {
            return Err(self.not_finite(None));
        }
        self.history.epochs.push(Epoch {
            epoch,
            loss: loss / rows as f64,
            accuracy: classes.then_some(right as f64 / predictions as f64),
            validation,
        });
        if let Some(loss) = validation.filter(|v| self.best.as_ref().is_none_or(|b| *v < b.loss)) {
            self.best = Some(Best { loss, epoch, model: self.model.clone() });
        }
        Ok(())
    }

    /// The end: with patience the weights are those of the best epoch.
    pub(crate) fn finish(mut self) -> Result<(Model, History, Vec<u8>)> {
        if let Some(Best { epoch, model, .. }) = self.best.take_if(|_| self.plan.patience > 0) {
            self.history.best = Some(epoch);
            self.model = model;
        }
        if !finite(&self.model) {
            return Err(self.not_finite(None));
        }
        let steps = to_csv(
            &self.losses,
            |step| self.plan.epoch_after(step),
            |step| self.optimizer.rate(step),
        );
        Ok((self.model, self.history, steps))
    }

    /// How it stands, in words.
    pub(crate) fn told(&self) -> String {
        let told = self.history.epochs.last().map_or(String::new(), |last| {
            let judged = last.validation.map_or(String::new(), |v| format!(", validation {v:.4}"));
            format!(", loss {:.4}{judged}", last.loss)
        });
        let resumed =
            self.resumed.map_or(String::new(), |step| format!(", resumed at step {step}"));
        format!("train epoch {} of {}{told}{resumed}", self.epoch(), self.plan.ends.len())
    }

    /// All that the steps to come depend on; of the past nothing.
    pub(crate) fn save(&self) -> (Saved, Arrays) {
        let mut arrays = Arrays::new();
        self.model.save("weights", &mut arrays);
        if let Some(best) = &self.best {
            best.model.save("best", &mut arrays);
        }
        let saved = Saved {
            step: self.step,
            state: self.state.to_string(),
            epoch: (self.so_far.loss.to_bits(), self.so_far.right),
            best: self.best.as_ref().map(|best| (best.loss.to_bits(), best.epoch)),
            optimizer: self.optimizer.save(&mut arrays),
        };
        (saved, arrays)
    }

    /// Takes up what [`Training::save`] has left; none, and nothing changed, if it is not of this
    /// training.
    pub(crate) fn restore(&mut self, saved: &Saved, mut arrays: Arrays) -> Option<()> {
        let mut model = self.model.clone();
        model.restore("weights", &mut arrays)?;
        let best = match saved.best {
            Some((loss, epoch)) if epoch < self.plan.epoch_after(saved.step) => {
                let mut model = model.clone();
                model.restore("best", &mut arrays)?;
                Some(Best { loss: f64::from_bits(loss), epoch, model })
            }
            Some(_) => return None,
            None => None,
        };
        let state = saved.state.parse().ok()?;
        let (loss, right) = saved.epoch;
        // All batches of an epoch but the last are full.
        let epoch = self.plan.epoch_after(saved.step);
        let rows = (saved.step - self.plan.start(epoch)) as usize * self.plan.batch;
        if saved.step >= self.total()
            || saved.optimizer.steps != saved.step
            || right > rows * self.material.context.max(1)
        {
            return None;
        }
        self.optimizer.restore(&saved.optimizer, &mut arrays)?;
        self.so_far = SoFar { loss: f64::from_bits(loss), right, rows };
        (self.model, self.best, self.state, self.step) = (model, best, state, saved.step);
        self.resumed = Some(saved.step);
        Some(())
    }

    fn judged(&self, part: &Examples) -> Result<f64> {
        let Material { target, context, .. } = self.material;
        judge(&self.model, part, target, context, self.kernels).map(|judged| judged.loss)
    }

    /// One step.
    fn learn(&mut self, places: &[usize]) -> Result<Seen> {
        let Material { target, examples, augment, context, .. } = self.material;
        let epoch = self.epoch() as u32;
        self.step += 1;
        let (x, y) = examples.batch(places, context, self.model.time_first()).map_err(operation)?;
        let x = match augment {
            Some(augment) => augment.seen(&x, places, epoch).map_err(operation)?,
            None => x,
        };
        let variables = self.model.variables(true)?;
        let pass = Pass {
            kernels: self.kernels,
            variables: &variables,
            learning: Some((self.dropout, self.step as u32)),
            seen: Default::default(),
        };
        let forward = || -> Result<_> {
            let outputs = self.model.outputs(&pass, &x)?;
            trace::layer("loss");
            let loss = Targets::loss(self.kernels, target, &outputs, &y).map_err(operation)?;
            Ok((outputs, loss))
        };
        let (outputs, loss) = forward()?;
        let value = loss.scalar().map_err(operation)?;
        if !value.is_finite() {
            // Once more, to see where it begins.
            let (_, notes) = trace::recording(forward);
            let first = notes.iter().find(|note| !note.finite).map(|note| note.what.clone());
            return Err(self.not_finite(first));
        }
        let mut gradients = loss.backward(self.kernels).map_err(operation)?;
        let learned = |name: &String| self.model.weights.get(name).is_some_and(|w| !w.fixed);
        let mut all = BTreeMap::new();
        for (name, parameter) in variables.0.iter().filter(|(name, _)| learned(name)) {
            all.insert(name.clone(), gradients.take(parameter));
        }
        let right = self.right(&outputs, &y)?;
        self.model.remember(pass);
        for (name, gradient) in &all {
            trace::parameter("gradient of", name, &[gradient.len()], gradient);
        }
        self.optimizer.step(&mut self.model, all);
        for (name, weights) in &self.model.weights {
            trace::parameter("step of", name, &weights.shape, &weights.values);
        }
        self.note_state();
        Ok(Seen { loss: value, right })
    }

    /// How many of the outputs' greatest are the labels.
    fn right(&self, outputs: &Tensor, y: &Tensor) -> Result<usize> {
        let classes = match self.material.target {
            Target::Number { .. } => return Ok(0),
            target => target.outputs(),
        };
        let scores = outputs.values().map_err(operation)?;
        let labels = y.all_ids().map_err(operation)?;
        let rows = scores.chunks_exact(classes).zip(labels);
        Ok(rows.filter(|(scores, label)| argmax(scores) == *label as usize).count())
    }

    fn note_state(&mut self) {
        let every = self.plan.state_every;
        // A digest of what is no number would depend on the machine; the loss of the next step
        // will say what is wrong.
        if every == 0 || !self.step.is_multiple_of(every) || !finite(&self.model) {
            return;
        }
        let (state, digest) = State::new(self.state, self.step, self.model.weights.iter());
        self.state = digest;
        self.history.states.push(state);
    }

    /// That the step which was taken last led nowhere, and in which tensor that shows first:
    /// weights, or else the result of an operation.
    fn not_finite(&self, operation: Option<String>) -> TensorError {
        let is_bad = |values: &[f32]| values.iter().any(|value| !value.is_finite());
        let bad = self.model.weights.iter().find(|(_, weights)| is_bad(&weights.values));
        let step = self.step;
        let epoch = self.plan.epoch_after(step.saturating_sub(1));
        let tensor = bad.map(|(name, _)| name.clone()).or(operation);
        let tensor = tensor.unwrap_or_else(|| "the loss on the validation part".to_owned());
        TensorError::NotFinite { epoch, step, tensor }
    }
}

fn finite(model: &Model) -> bool {
    model.weights.values().flat_map(|w| &w.values).all(|value| value.is_finite())
}

fn operation(source: candle_core::Error) -> TensorError {
    TensorError::Operation { what: "a training step", source: Box::new(source) }
}
