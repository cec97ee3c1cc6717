//! What a training notes on its way, exactly: losses, epochs, and digests of the weights.
//!
//! All of it follows from the recipe, so two records of one recipe that differ anywhere differ in
//! their computation, and these files say from which step on and in which tensor.

use lab_schema::Digest;
use serde::{Deserialize, Serialize};

use crate::model::Weights;

/// The context of the digests of states.
const STATE: &str = "lab 2026-11-30 state of training";
/// The context of the digests of tensors.
const TENSOR: &str = "lab 2026-11-30 tensor of a state";
/// Hexadecimal digits that a state has of each tensor: enough to tell which one differs, once the
/// digest has told that one does.
const SHORT: usize = 8;
/// The columns of `steps.csv`.
const HEADER: &str = "step,epoch,loss,lr";

/// `history.json`: how training went.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct History {
    pub(crate) epochs: Vec<Epoch>,
    /// The names of the weights, in the order that they have in [`State::tensors`].
    pub(crate) tensors: Vec<String>,
    pub(crate) states: Vec<State>,
    /// The epoch whose weights were kept, if there is a validation part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) best: Option<u64>,
}

/// An epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Epoch {
    pub(crate) epoch: u64,
    /// Mean over the rows, each before the step that its batch led to.
    pub(crate) loss: f64,
    /// The share of rows that were right, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) accuracy: Option<f64>,
    /// The loss on the validation part after the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) validation: Option<f64>,
}

/// The weights after a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) step: u64,
    /// Of all weights and of the state before: equal digests, equal ways.
    pub(crate) digest: String,
    /// The beginning of each tensor's own digest.
    pub(crate) tensors: String,
}

impl State {
    /// The state after `step` with these weights, by name; and its digest, for the next one.
    pub(crate) fn new<'a>(
        before: Digest,
        step: u64,
        weights: impl Iterator<Item = (&'a String, &'a Weights)>,
    ) -> (State, Digest) {
        let mut bytes = before.as_bytes().to_vec();
        let mut tensors = Vec::new();
        for (name, weights) in weights {
            let digest = of_tensor(name, &weights.shape, &weights.values);
            bytes.extend(digest.as_bytes());
            tensors.push(digest.to_string()[..SHORT].to_owned());
        }
        let digest = Digest::derive(STATE, &bytes);
        (State { step, digest: digest.to_string(), tensors: tensors.join(" ") }, digest)
    }

    /// What stands before the first step.
    pub(crate) fn start() -> Digest {
        Digest::derive(STATE, &[])
    }

    /// The tensors, of these names, that differ from another state's.
    pub(crate) fn differing(&self, other: &State, names: &[String]) -> Vec<String> {
        let pairs = self.tensors.split(' ').zip(other.tensors.split(' '));
        let differing = names.iter().zip(pairs).filter(|(_, (a, b))| a != b);
        differing.map(|(name, _)| name.clone()).collect()
    }
}

/// The digest of a tensor: name, shape, numbers, each preceded by its length where that varies.
fn of_tensor(name: &str, shape: &[usize], values: &[f32]) -> Digest {
    let mut bytes = (name.len() as u64).to_le_bytes().to_vec();
    bytes.extend(name.as_bytes());
    bytes.extend((shape.len() as u64).to_le_bytes());
    shape.iter().for_each(|size| bytes.extend((*size as u64).to_le_bytes()));
    values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
    Digest::derive(TENSOR, &bytes)
}

/// `steps.csv`: a line for each step with its loss, in the shortest form that reads back the same,
/// its epoch, and its rate. Both are asked for by the steps before.
pub(crate) fn to_csv(
    losses: &[f32],
    epoch: impl Fn(u64) -> u64,
    rate: impl Fn(u64) -> f64,
) -> Vec<u8> {
    let mut text = format!("{HEADER}\n");
    for (step, loss) in (0u64..).zip(losses) {
        text.push_str(&format!("{},{},{loss},{}\n", step + 1, epoch(step), rate(step)));
    }
    text.into_bytes()
}

/// A step as `steps.csv` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) epoch: u64,
    /// As it is written.
    pub(crate) loss: String,
}

/// The steps that stand in a `steps.csv`; none if it is no such file.
pub(crate) fn from_csv(csv: &[u8]) -> Option<Vec<Step>> {
    let mut lines = std::str::from_utf8(csv).ok()?.lines();
    if lines.next() != Some(HEADER) {
        return None;
    }
    let mut steps = Vec::new();
    for (step, line) in (1usize..).zip(lines) {
        let mut cells = line.split(',');
        if cells.next()?.parse() != Ok(step) {
            return None;
        }
        steps.push(Step { epoch: cells.next()?.parse().ok()?, loss: cells.next()?.to_owned() });
    }
    Some(steps)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn steps_are_read_as_they_were_written() {
        let losses = [1.5, 0.1, f32::MIN_POSITIVE, 3.0e30, 2.0];
        let csv = to_csv(&losses, |step| step / 2 + 1, |step| 0.1 / (step + 1) as f64);
        let text = std::str::from_utf8(&csv).unwrap();
        assert_eq!(
            text.lines().nth(3),
            Some("3,2,0.000000000000000000000000000000000000011754944,0.03333333333333333")
        );
        let steps = from_csv(&csv).unwrap();
        assert_eq!(steps.iter().map(|step| step.epoch).collect::<Vec<_>>(), [1, 1, 2, 2, 3]);
        assert!(steps.iter().zip(losses).all(|(step, loss)| step.loss.parse() == Ok(loss)));
        assert_eq!(from_csv(b"step,epoch,loss,lr\n"), Some(vec![]));
        for bad in
            ["", "step,loss\n", "step,epoch,loss,lr\n2,1,0.5,0.1\n", "step,epoch,loss,lr\n1,1\n"]
        {
            assert_eq!(from_csv(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn a_state_says_which_tensors_differ() {
        let tensor = |values: &[f32]| Weights {
            shape: vec![values.len()],
            values: values.to_vec(),
            fixed: false,
        };
        let state = |before: Digest, b: &[f32]| {
            let weights =
                BTreeMap::from([("a".to_owned(), tensor(&[1.0])), ("b".to_owned(), tensor(b))]);
            State::new(before, 7, weights.iter())
        };
        let names = ["a".to_owned(), "b".to_owned()];
        let start = State::start();
        let (one, digest) = state(start, &[0.0, 2.0]);
        assert_eq!(state(start, &[0.0, 2.0]), (one.clone(), digest));
        let (other, _) = state(start, &[-0.0, 2.0]);
        assert_ne!(other.digest, one.digest);
        assert_eq!(one.differing(&other, &names), ["b"]);
        // The same weights after another past.
        let (later, _) = state(digest, &[0.0, 2.0]);
        assert_ne!(later.digest, one.digest);
        assert_eq!(one.differing(&later, &names), [""; 0]);
    }
}
