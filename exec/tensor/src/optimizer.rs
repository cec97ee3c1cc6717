//! Optimisers: what a gradient does to a parameter, and the state kept in between.

use std::collections::BTreeMap;

use lab_arithmetic::{AdamW, Kernels, Sgd};
use serde::{Deserialize, Serialize};

use crate::checkpoint::Arrays;
use crate::error::Result;
use crate::model::Model;
use crate::settings::Settings;

/// An optimiser with its state.
pub(crate) struct Optimizer {
    kernels: Kernels,
    rule: Rule,
    schedule: Schedule,
    decay: f64,
    /// The longest gradient that is taken as it is; 0: any.
    clip: f32,
    steps: u64,
    /// Per learned parameter: velocity, or first and second moment.
    state: BTreeMap<String, [Vec<f32>; 2]>,
}

/// How far an optimiser is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Steps {
    steps: u64,
    /// The bits of AdamW's betas to the number of steps.
    powers: [u64; 2],
}

enum Rule {
    Sgd {
        momentum: f64,
    },
    /// `power1` and `power2` are the betas to the number of steps, by repeated products.
    AdamW {
        beta1: f64,
        beta2: f64,
        eps: f64,
        power1: f64,
        power2: f64,
    },
}

/// The rate of each step.
struct Schedule {
    lr: f64,
    shape: Shape,
    /// Steps in all, and at first while the rate rises from zero.
    total: u64,
    warmup: u64,
}

enum Shape {
    Constant,
    Linear,
    Cosine,
}

impl Schedule {
    /// The rate of step `step`, which counts from 0: it rises linearly, then stays, or falls to
    /// zero linearly or as (1 + cos) / 2 over what is left. The cosine is libm's, which is the
    /// same on every machine.
    fn rate(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.lr * (step + 1) as f64 / self.warmup as f64;
        }
        let left = (self.total - step) as f64 / (self.total - self.warmup) as f64;
        match self.shape {
            Shape::Constant => self.lr,
            Shape::Linear => self.lr * left,
            Shape::Cosine => self.lr * (1.0 - libm::cos(std::f64::consts::PI * left)) / 2.0,
        }
    }
}

impl Optimizer {
    /// As the settings say, for training that takes `steps` steps.
    pub(crate) fn new(
        kernels: Kernels,
        settings: &Settings<'_>,
        model: &Model,
        steps: u64,
    ) -> Result<Self> {
        let rule = match settings.text("optimizer")? {
            "sgd" => Rule::Sgd { momentum: settings.float("momentum")? },
            _ => Rule::AdamW {
                beta1: settings.float("beta1")?,
                beta2: settings.float("beta2")?,
                eps: settings.float("eps")?,
                power1: 1.0,
                power2: 1.0,
            },
        };
        let shape = match settings.text("schedule")? {
            "linear" => Shape::Linear,
            "cosine" => Shape::Cosine,
            _ => Shape::Constant,
        };
        let warmup = (settings.float("warmup")? * steps as f64) as u64;
        let second = |n: usize| if matches!(rule, Rule::Sgd { .. }) { 0 } else { n };
        let learned = model.weights.iter().filter(|(_, weights)| !weights.fixed);
        let state = learned.map(|(name, weights)| {
            let n = weights.values.len();
            (name.clone(), [vec![0.0; n], vec![0.0; second(n)]])
        });
        Ok(Optimizer {
            kernels,
            schedule: Schedule { lr: settings.float("lr")?, shape, total: steps, warmup },
            decay: settings.float("weight_decay")?,
            clip: settings.float("clip")? as f32,
            steps: 0,
            state: state.collect(),
            rule,
        })
    }

    /// What steps have left, under names that begin with `moments/`.
    pub(crate) fn save(&self, arrays: &mut Arrays) -> Steps {
        for (name, moments) in &self.state {
            for (n, values) in moments.iter().enumerate() {
                arrays.insert(format!("moments/{n}/{name}"), (vec![values.len()], values.clone()));
            }
        }
        let powers = match self.rule {
            Rule::AdamW { power1, power2, .. } => [power1, power2],
            Rule::Sgd { .. } => [1.0, 1.0],
        };
        Steps { steps: self.steps, powers: powers.map(f64::to_bits) }
    }

    /// Takes up what [`Optimizer::save`] has left; none if it is not of this model.
    pub(crate) fn restore(&mut self, steps: &Steps, arrays: &mut Arrays) -> Option<()> {
        for (name, moments) in &mut self.state {
            for (n, values) in moments.iter_mut().enumerate() {
                let (_, saved) = arrays.remove(&format!("moments/{n}/{name}"))?;
                if saved.len() != values.len() {
                    return None;
                }
                *values = saved;
            }
        }
        self.steps = steps.steps;
        if let Rule::AdamW { power1, power2, .. } = &mut self.rule {
            [*power1, *power2] = steps.powers.map(f64::from_bits);
        }
        Some(())
    }

    /// One step, parameters in the order of their names.
    pub(crate) fn step(&mut self, model: &mut Model, mut gradients: BTreeMap<String, Vec<f32>>) {
        let lr = self.schedule.rate(self.steps);
        self.steps += 1;
        if let Rule::AdamW { beta1, beta2, power1, power2, .. } = &mut self.rule {
            *power1 *= *beta1;
            *power2 *= *beta2;
        }
        self.shorten(&mut gradients);
        for (name, gradient) in &gradients {
            let (Some(weights), Some([first, second])) =
                (model.weights.get_mut(name), self.state.get_mut(name))
            else {
                continue;
            };
            let values = &mut weights.values;
            match self.rule {
                Rule::Sgd { momentum } => {
                    let momentum = momentum as f32;
                    let rule = Sgd { lr: lr as f32, momentum, decay: self.decay as f32 };
                    self.kernels.sgd(rule, values, gradient, first);
                }
                Rule::AdamW { beta1, beta2, eps, power1, power2 } => {
                    let rule = AdamW {
                        lr: lr as f32,
                        beta1: beta1 as f32,
                        beta2: beta2 as f32,
                        eps: eps as f32,
                        keep: (1.0 - lr * self.decay) as f32,
                        correction1: (1.0 - power1) as f32,
                        correction2: (1.0 - power2) as f32,
                    };
                    self.kernels.adamw(rule, values, gradient, first, second);
                }
            }
        }
    }

    /// Scales all gradients together so that their length is at most `clip`.
    fn shorten(&self, gradients: &mut BTreeMap<String, Vec<f32>>) {
        if self.clip == 0.0 {
            return;
        }
        let parts: Vec<&[f32]> = gradients.values().map(Vec::as_slice).collect();
        let norm = self.kernels.norm(&parts);
        if norm > self.clip {
            for gradient in gradients.values_mut() {
                self.kernels.scale(gradient, self.clip / norm);
            }
        }
    }
}
