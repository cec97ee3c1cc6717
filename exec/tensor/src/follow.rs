//! Follows the record of a training, to see where another computation parts from it.
//!
//! The losses of all steps, the digests of states and the checkpoints are the record. A training
//! can be followed from its first step or from any checkpoint, and stops where it has parted.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use lab_arithmetic::Kernels;
use lab_objects::{Progress, Store};
use lab_schema::{ContentId, Recipe, Slot, TreeId};

use crate::error::{Result, TensorError};
use crate::files::{Inputs, Product, to_value};
use crate::history::{Epoch, History, State, Step, from_csv, to_csv};
use crate::kept;
use crate::settings::Settings;
use crate::task::{CHECKPOINTS, HISTORY, STEPS, Task, WEIGHTS, slot};
use crate::tensors::{Arrays, Tensors};
use crate::trace::{self, Note};
use crate::train::{begin, product};
use crate::training::{Saved, Training};

/// Where two computations of one training part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The first step that differs, from 1.
    pub step: u64,
    /// The last step before it after which the weights are known to have been the same; 0, if only
    /// those of the beginning are.
    pub since: u64,
    /// How many steps are recorded.
    pub steps: u64,
    /// What differs: `loss`, `weights`, `validation loss`, `steps`, or `state`, which is all else
    /// that a step depends on.
    pub what: &'static str,
    /// What is recorded.
    pub expected: String,
    /// What came of doing it again.
    pub actual: String,
    /// Tensors that differ, by name, as far as that was noted.
    pub tensors: Vec<String>,
    /// After which step they do.
    pub noted: u64,
}

/// Some steps of a training that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Steps before it.
    pub from: u64,
    /// Steps at its end.
    pub to: u64,
}

/// Takes a line for each operation; may stop the following.
pub type Trace<'a> = &'a mut dyn FnMut(&str) -> ControlFlow<()>;

/// A training's record, to be followed.
pub struct Follow<'a> {
    store: &'a Store,
    recipe: &'a Recipe,
    noted: Noted,
    checkpoints: Vec<(u64, TreeId)>,
    weights: Arrays,
}

/// Where the record of one training parts from that of another, by their outputs; none if neither
/// the steps nor the weights differ, or if these are no outputs of a training.
pub fn divergence(
    store: &Store,
    expected: &BTreeMap<Slot, ContentId>,
    actual: &BTreeMap<Slot, ContentId>,
) -> Result<Option<Divergence>> {
    let is_training = |outputs: &BTreeMap<Slot, ContentId>| outputs.contains_key(&slot(STEPS));
    if !is_training(expected) || !is_training(actual) {
        return Ok(None);
    }
    let (a, b) = (Noted::read(store, expected)?, Noted::read(store, actual)?);
    if let Some(found) = a.parts_from(&b, 0) {
        return Ok(Some(found));
    }
    let (x, y) = (weights(store, expected)?, weights(store, actual)?);
    Ok(a.parts_in_weights(a.steps.len() as u64, &x, &y))
}

/// What a training has noted.
struct Noted {
    steps: Vec<Step>,
    history: History,
}

impl Noted {
    fn read(store: &Store, outputs: &BTreeMap<Slot, ContentId>) -> Result<Noted> {
        let inputs = Inputs { store, contents: outputs };
        let steps = from_csv(&inputs.bytes(STEPS)?).ok_or_else(|| TensorError::BadInput {
            slot: slot(STEPS),
            why: "it does not list losses step by step".to_owned(),
        })?;
        Ok(Noted { steps, history: inputs.json(HISTORY)? })
    }

    /// What `training` has noted since it was taken up.
    fn of(training: &Training<'_>) -> Noted {
        let csv = to_csv(&training.losses, |_| 1, |_| 0.0);
        let steps = from_csv(&csv).unwrap_or_default();
        Noted { steps, history: training.history.clone() }
    }

    /// Where `other`, which begins after `start` steps, parts from this record.
    fn parts_from(&self, other: &Noted, start: u64) -> Option<Divergence> {
        let same = |a: &Step, b: &Step| a.loss == b.loss;
        let rest = self.steps.get(start as usize..).unwrap_or_default();
        let pairs = rest.iter().zip(&other.steps);
        let loss = pairs.clone().position(|(a, b)| !same(a, b)).map(|at| {
            let (a, b) = (rest[at].loss.clone(), other.steps[at].loss.clone());
            self.divergence(start + at as u64 + 1, "loss", (a, b))
        });
        let state = other.history.states.iter().find_map(|state| {
            let recorded = self.history.states.iter().find(|s| s.step == state.step)?;
            (recorded.digest != state.digest).then_some((recorded, state))
        });
        let epoch = other.history.epochs.iter().find_map(|epoch| {
            let recorded = self.history.epochs.iter().find(|e| e.epoch == epoch.epoch)?;
            (recorded.validation != epoch.validation).then_some((recorded, epoch))
        });
        let mut all: Vec<Divergence> = loss.into_iter().collect();
        if let Some((recorded, state)) = state {
            let digests = (recorded.digest[..8].to_owned(), state.digest[..8].to_owned());
            all.push(self.divergence(state.step, "weights", digests));
        }
        if let Some((recorded, epoch)) = epoch {
            let shown = |e: &Epoch| e.validation.map_or("none".to_owned(), |v| v.to_string());
            let last = self.steps.partition_point(|step| step.epoch <= epoch.epoch);
            let losses = (shown(recorded), shown(epoch));
            all.push(self.divergence(last as u64, "validation loss", losses));
        }
        let mut first = all.into_iter().min_by_key(|found| found.step)?;
        let equal = |state: &&State| {
            let recorded = self.history.states.iter().find(|s| s.step == state.step);
            state.step < first.step && recorded.is_some_and(|s| s.digest == state.digest)
        };
        let since = other.history.states.iter().filter(equal).map(|state| state.step).max();
        first.since = since.unwrap_or(start);
        if let Some((recorded, state)) = state {
            first.tensors = recorded.differing(state, &self.history.tensors);
            first.noted = state.step;
        }
        Some(first)
    }

    /// The tensors that differ after `step` steps.
    fn parts_in_weights(&self, step: u64, a: &Arrays, b: &Arrays) -> Option<Divergence> {
        let bits = |arrays: &Arrays, name: &String| -> Option<(Vec<usize>, Vec<u32>)> {
            let (shape, values) = arrays.get(name)?;
            Some((shape.clone(), values.iter().map(|value| value.to_bits()).collect()))
        };
        let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| bits(a, name) != bits(b, name));
        let first = *names.first()?;
        let shown = |arrays: &Arrays| match arrays.get(first) {
            Some((_, values)) => trace::digest(values)[..8].to_owned(),
            None => "absent".to_owned(),
        };
        let mut found = self.divergence(step, "weights", (shown(a), shown(b)));
        found.tensors = names.into_iter().cloned().collect();
        found.noted = step;
        Some(found)
    }

    fn divergence(
        &self,
        step: u64,
        what: &'static str,
        (expected, actual): (String, String),
    ) -> Divergence {
        let steps = self.steps.len() as u64;
        let tensors = Vec::new();
        Divergence { step, since: 0, steps, what, expected, actual, tensors, noted: step }
    }
}

fn weights(store: &Store, outputs: &BTreeMap<Slot, ContentId>) -> Result<Arrays> {
    let bytes = Inputs { store, contents: outputs }.bytes(WEIGHTS)?;
    Tensors::read(&slot(WEIGHTS), &bytes)?.all_floats()
}

impl<'a> Follow<'a> {
    /// The training that this recipe is, as recorded in these outputs.
    pub fn new(
        store: &'a Store,
        recipe: &'a Recipe,
        outputs: &BTreeMap<Slot, ContentId>,
    ) -> Result<Self> {
        let noted = Noted::read(store, outputs)?;
        let mut checkpoints = match outputs.get(&slot(CHECKPOINTS)) {
            Some(content) => kept::list(store, *content)?,
            None => Vec::new(),
        };
        checkpoints.retain(|(step, _)| (1..noted.steps.len() as u64).contains(step));
        Ok(Follow { store, recipe, noted, checkpoints, weights: weights(store, outputs)? })
    }

    /// How many steps are recorded.
    pub fn steps(&self) -> u64 {
        self.noted.steps.len() as u64
    }

    /// The segments between checkpoints, from the first step to the last; one, if there are none.
    pub fn segments(&self) -> Vec<Segment> {
        let ends = self.checkpoints.iter().map(|(step, _)| *step).chain([self.steps()]);
        let mut from = 0;
        let segment = |to| Segment { from: std::mem::replace(&mut from, to), to };
        ends.map(segment).collect()
    }

    /// Does a segment again, from the last checkpoint before it or else from the beginning, and says
    /// where that parts from the record. A trace takes a line for each operation of the segment.
    pub fn redo(
        &self,
        segment: Segment,
        progress: &dyn Progress,
        trace: Option<Trace<'_>>,
    ) -> Result<Option<Divergence>> {
        self.redo_on(Kernels::detect(), segment, progress, trace)
    }

    /// Like [`Follow::redo`], on given kernels.
    pub fn redo_on(
        &self,
        kernels: Kernels,
        segment: Segment,
        progress: &dyn Progress,
        trace: Option<Trace<'_>>,
    ) -> Result<Option<Divergence>> {
        let settings =
            Settings::check(Task::Train.name(), Task::Train.settings(), self.recipe.params(), &[])?;
        let inputs = Inputs { store: self.store, contents: self.recipe.inputs() };
        begin(inputs, &settings, kernels, |mut training, description| {
            let start = self.take_up(&mut training, segment.from)?;
            let every = settings.int("state_every")?;
            let followed = self.follow(&mut training, segment, every, progress, trace);
            progress.end();
            followed?;
            if let Some(found) = self.noted.parts_from(&Noted::of(&training), start) {
                return Ok(Some(found));
            }
            match segment.to < self.steps() {
                true => self.at_checkpoint(&training),
                false => self.at_end(training, description),
            }
        })
    }

    /// Brings the training to the last checkpoint that has no more than so many steps.
    fn take_up(&self, training: &mut Training<'_>, from: u64) -> Result<u64> {
        let Some((step, tree)) = self.checkpoints.iter().rfind(|(step, _)| *step <= from) else {
            return Ok(0);
        };
        let (saved, arrays) = kept::read(self.store, *tree)?;
        match saved.step == *step && training.restore(&saved, arrays).is_some() {
            true => Ok(*step),
            false => Err(TensorError::BadInput {
                slot: slot(CHECKPOINTS),
                why: format!("step {step} is no checkpoint of this training"),
            }),
        }
    }

    /// Trains to the end of the segment, or until that has parted from the record.
    fn follow(
        &self,
        training: &mut Training<'_>,
        segment: Segment,
        state_every: u64,
        progress: &dyn Progress,
        trace: Option<Trace<'_>>,
    ) -> Result<()> {
        let mut parted = false;
        let steps = self.steps();
        let mut look = |training: &mut Training<'_>| {
            progress.step(&training.told(), training.step, steps);
            let step = training.step;
            let loss = training.losses.last().map(f32::to_string);
            let recorded = step.checked_sub(1).and_then(|at| self.noted.steps.get(at as usize));
            parted |= loss.is_some_and(|loss| recorded.is_none_or(|step| step.loss != loss));
            let state = training.history.states.last().filter(|state| state.step == step);
            let recorded = self.noted.history.states.iter().find(|state| state.step == step);
            let other = state.zip(recorded).is_some_and(|(a, b)| a.digest != b.digest);
            // Which tensors differ is noted with the next state.
            Ok(match other || parted && (state_every == 0 || state.is_some()) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })
        };
        // After the last recorded step training should end by itself.
        let to = if segment.to < steps { segment.to } else { steps + 1 };
        let Some(trace) = trace else {
            training.advance(to, &mut look)?;
            return look(training).map(drop);
        };
        training.advance(segment.from, &mut look)?;
        if look(training)?.is_break() {
            return Ok(());
        }
        let mut on = |_: &mut Training<'_>| Ok(ControlFlow::Continue(()));
        while training.step < to {
            let step = training.step + 1;
            let (advanced, notes) = trace::recording(|| training.advance(step, &mut on));
            advanced?;
            let line = |n: &Note| format!("{step} {} {:?} {}", n.what, n.shape, n.digest);
            if training.step < step || notes.iter().any(|note| trace(&line(note)).is_break()) {
                break;
            }
        }
        Ok(())
    }

    /// Compares all that the steps to come depend on with the checkpoint at this step, if there is
    /// one.
    fn at_checkpoint(&self, training: &Training<'_>) -> Result<Option<Divergence>> {
        let here = self.checkpoints.iter().find(|(step, _)| *step == training.step);
        let Some((step, tree)) = here else { return Ok(None) };
        let ((saved, recorded), (mine, arrays)) = (kept::read(self.store, *tree)?, training.save());
        if let Some(found) = self.noted.parts_in_weights(*step, &recorded, &arrays) {
            return Ok(Some(found));
        }
        let shown = |saved: &Saved| to_value(saved).to_string();
        let differ = || self.noted.divergence(*step, "state", (shown(&saved), shown(&mine)));
        Ok((saved != mine).then(differ))
    }

    /// Compares the weights that training ends with.
    fn at_end(
        &self,
        training: Training<'_>,
        description: &crate::model::Description,
    ) -> Result<Option<Divergence>> {
        let (mine, steps) = (training.step, self.steps());
        if mine != steps {
            let shown = |steps: u64, all: bool| {
                if all { steps.to_string() } else { format!("more than {steps}") }
            };
            let counts = (shown(steps, true), shown(mine.min(steps), mine < steps));
            return Ok(Some(self.noted.divergence(mine.min(steps), "steps", counts)));
        }
        let Product { files, .. } = product(training, description)?;
        let bytes = files.get(WEIGHTS).map(Vec::as_slice).unwrap_or_default();
        let arrays = Tensors::read(&slot(WEIGHTS), bytes)?.all_floats()?;
        Ok(self.noted.parts_in_weights(steps, &self.weights, &arrays))
    }
}
