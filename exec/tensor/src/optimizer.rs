//! Optimisers: what a gradient does to a parameter, and the state kept in between.

use crate::error::Result;
use crate::kernels::{AdamW, Kernels, Sgd};
use crate::model::Model;
use crate::settings::Settings;

/// An optimiser with its state.
pub(crate) struct Optimizer {
    kernels: Kernels,
    rule: Rule,
    lr: f64,
    decay: f64,
    /// Total number of steps if the rate falls linearly to zero.
    falling: Option<u64>,
    steps: u64,
    /// Per parameter: velocity, or first and second moment.
    state: Vec<[Vec<f32>; 2]>,
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
        let zeros = |n: usize| vec![0.0; n];
        let second =
            |n: usize| if matches!(rule, Rule::Sgd { .. }) { Vec::new() } else { zeros(n) };
        let sizes = model.parameters.iter().map(|p| p.values.len());
        Ok(Optimizer {
            kernels,
            lr: settings.float("lr")?,
            decay: settings.float("weight_decay")?,
            falling: (settings.text("schedule")? == "linear").then_some(steps),
            steps: 0,
            state: sizes.map(|n| [zeros(n), second(n)]).collect(),
            rule,
        })
    }

    /// One step: `gradients` in the order of the model's parameters.
    pub(crate) fn step(&mut self, model: &mut Model, gradients: &[Vec<f32>]) {
        let left = self.falling.map_or(1.0, |total| (total - self.steps) as f64 / total as f64);
        let lr = self.lr * left;
        self.steps += 1;
        if let Rule::AdamW { beta1, beta2, power1, power2, .. } = &mut self.rule {
            *power1 *= *beta1;
            *power2 *= *beta2;
        }
        let slots = model.parameters.iter_mut().zip(gradients).zip(&mut self.state);
        for ((parameter, gradient), [first, second]) in slots {
            let values = &mut parameter.values;
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
}
