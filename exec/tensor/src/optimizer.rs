//! Optimisers: what a gradient does to a parameter, and the state kept in between.

use std::collections::BTreeMap;

use lab_arithmetic::{AdamW, Kernels, Sgd};
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::model::Model;
use crate::settings::Settings;
use crate::tensors::Arrays;

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
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Steps {
    pub(crate) steps: u64,
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

    /// The rate of a step, which counts from 0.
    pub(crate) fn rate(&self, step: u64) -> f64 {
        self.schedule.rate(step)
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
        let mut state = self.state.clone();
        for (name, moments) in &mut state {
            for (n, values) in moments.iter_mut().enumerate() {
                let (_, saved) = arrays.remove(&format!("moments/{n}/{name}"))?;
                if saved.len() != values.len() {
                    return None;
                }
                *values = saved;
            }
        }
        self.state = state;
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

#[cfg(test)]
mod tests {
    use lab_schema::{Number, Value};

    use super::*;
    use crate::model::Description;
    use crate::network::Signal;
    use crate::settings::{Told, with_defaults};
    use crate::stage_settings::TRAIN;
    use crate::task::slot;

    /// A model with `head.bias` [2] and `head.weight` [2, 3].
    fn model() -> Model {
        let description = Description::new(Signal::Features(3), vec![], 2);
        Model::new(&description, 5, &slot("model.json")).unwrap()
    }

    /// What the settings make of these, in a training of so many steps.
    fn optimizer(steps: u64, given: &[(&str, Value)]) -> Optimizer {
        let given = given.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let all =
            with_defaults("train", &TRAIN, Told { settings: &given, inputs: &[] }, 1).unwrap();
        let settings = Settings::check("train", &TRAIN, &all, &[]).unwrap();
        Optimizer::new(Kernels::detect(), &settings, &model(), steps).unwrap()
    }

    fn number(x: f64) -> Value {
        Value::Float(Number::new(x).unwrap())
    }

    fn word(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    fn gradients(seed: u32) -> BTreeMap<String, Vec<f32>> {
        let some = |n, seed| lab_arithmetic::battery::activations(n, seed);
        [("head.bias", some(2, seed)), ("head.weight", some(6, seed + 1))]
            .map(|(name, values)| (name.to_owned(), values))
            .into()
    }

    fn bits(model: &Model) -> Vec<u32> {
        model.weights.values().flat_map(|w| &w.values).map(|value| value.to_bits()).collect()
    }

    // proves
    #[test]
    fn adamw_has_its_scalars_from_f64() {
        let (lr, decay, beta1, beta2, eps) = (0.01f64, 0.3f64, 0.9f64, 0.99f64, 1e-7f64);
        let mut optimizer = optimizer(
            5,
            &[
                ("lr", number(lr)),
                ("weight_decay", number(decay)),
                ("beta1", number(beta1)),
                ("beta2", number(beta2)),
                ("eps", number(eps)),
            ],
        );
        let (mut learned, mut plain) = (model(), model());
        let mut state = BTreeMap::new();
        let (mut power1, mut power2) = (1.0f64, 1.0f64);
        for step in 0..5 {
            let gradients = gradients(step);
            power1 *= beta1;
            power2 *= beta2;
            let (correction1, correction2) = ((1.0 - power1) as f32, (1.0 - power2) as f32);
            let keep = (1.0 - lr * decay) as f32;
            let (b1, b2) = (beta1 as f32, beta2 as f32);
            for (name, g) in &gradients {
                let p = &mut plain.weights.get_mut(name).unwrap().values;
                for (i, (p, g)) in p.iter_mut().zip(g).enumerate() {
                    let (m, v) = state.entry((name.clone(), i)).or_insert((0.0f32, 0.0f32));
                    *m = b1.mul_add(*m, (1.0 - b1) * g);
                    *v = b2.mul_add(*v, ((1.0 - b2) * g) * g);
                    let s = (*m / correction1) / ((*v / correction2).sqrt() + eps as f32);
                    *p = (-(lr as f32)).mul_add(s, *p * keep);
                }
            }
            optimizer.step(&mut learned, gradients);
            assert_eq!(bits(&learned), bits(&plain), "step {}", step + 1);
        }
        // Powers of the rounded beta would be others.
        assert_ne!((1.0 - power1) as f32, 1.0 - 0.9f32 * 0.9 * 0.9 * 0.9 * 0.9);
    }

    // proves: also that the rate of each step is rounded once.
    #[test]
    fn sgd_goes_by_the_rate_of_each_step() {
        let rates = [("lr", number(0.1)), ("optimizer", word("sgd")), ("schedule", word("linear"))];
        let others = [("momentum", number(0.7)), ("weight_decay", number(0.01))];
        let mut optimizer = optimizer(3, &[&rates[..], &others].concat());
        let (mut learned, mut plain) = (model(), model());
        let mut velocity: BTreeMap<String, Vec<f32>> =
            gradients(0).into_iter().map(|(name, g)| (name, vec![0.0; g.len()])).collect();
        for step in 0..3 {
            let lr = (0.1 * ((3 - step) as f64 / 3.0)) as f32;
            let gradients = gradients(step);
            for (name, g) in &gradients {
                let p = &mut plain.weights.get_mut(name).unwrap().values;
                let v = velocity.get_mut(name).unwrap();
                for ((p, g), v) in p.iter_mut().zip(g).zip(v) {
                    *v = 0.7f32.mul_add(*v, 0.01f32.mul_add(*p, *g));
                    *p = (-lr).mul_add(*v, *p);
                }
            }
            optimizer.step(&mut learned, gradients);
            assert_eq!(bits(&learned), bits(&plain), "step {step}");
        }
    }

    // proves A-73
    #[test]
    fn long_gradients_are_shortened_together() {
        let kernels = Kernels::detect();
        let shorten = |clip: f64, mut gradients: BTreeMap<String, Vec<f32>>| {
            optimizer(1, &[("clip", number(clip))]).shorten(&mut gradients);
            gradients.into_values().flatten().map(f32::to_bits).collect::<Vec<u32>>()
        };
        let bits = |factor: f32| {
            let all = gradients(7).into_values().flatten();
            all.map(|g| (g * factor).to_bits()).collect::<Vec<u32>>()
        };
        let squares: Vec<f32> = gradients(7).values().map(|g| kernels.dot(g, g)).collect();
        let norm = (squares[0] + squares[1]).sqrt();
        assert_eq!(shorten(0.3, gradients(7)), bits(0.3f32 / norm));
        assert_ne!(shorten(0.3, gradients(7)), bits(1.0));
        let close = f64::from(norm) * 0.999;
        assert_eq!(shorten(close, gradients(7)), bits(close as f32 / norm));
        // Not longer, or no clip: as they are.
        assert_eq!(shorten(f64::from(norm), gradients(7)), bits(1.0));
        assert_eq!(shorten(0.0, gradients(7)), bits(1.0));
        let mut broken = gradients(7);
        broken.get_mut("head.bias").unwrap()[0] = f32::NAN;
        let untouched: Vec<u32> =
            broken.clone().into_values().flatten().map(f32::to_bits).collect();
        assert_eq!(shorten(0.3, broken), untouched);
    }

    // proves A-74
    #[test]
    fn rates_rise_and_fall_as_the_schedule_says() {
        let rates = |schedule: &str, warmup: f64, steps: u64| -> Vec<f64> {
            let given =
                [("lr", number(0.1)), ("schedule", word(schedule)), ("warmup", number(warmup))];
            let optimizer = optimizer(steps, &given);
            (0..steps).map(|step| optimizer.schedule.rate(step)).collect()
        };
        assert_eq!(rates("constant", 0.0, 3), [0.1; 3]);
        // 0.39 * 10 is cut to 3 steps.
        let rising = [0.1 * 1.0 / 3.0, 0.1 * 2.0 / 3.0, 0.1 * 3.0 / 3.0];
        let left = [7.0 / 7.0, 6.0 / 7.0, 5.0 / 7.0, 4.0 / 7.0, 3.0 / 7.0, 2.0 / 7.0, 1.0 / 7.0];
        let then = |of: &dyn Fn(f64) -> f64| -> Vec<f64> {
            rising.into_iter().chain(left.map(of)).collect()
        };
        assert_eq!(rates("constant", 0.39, 10), then(&|_| 0.1));
        assert_eq!(rates("linear", 0.39, 10), then(&|left| 0.1 * left));
        let pi = std::f64::consts::PI;
        let half = |left: f64| 0.1 * (1.0 - cosine(pi * left)) / 2.0;
        assert_eq!(rates("cosine", 0.39, 10), then(&half));
        assert_eq!(rates("cosine", 0.0, 1), [0.1]);
    }

    fn float(bits: u64) -> f64 {
        f64::from_bits(bits)
    }

    /// C(x, y) of docs/arithmetic.md.
    fn near_zero(x: f64, y: f64) -> f64 {
        let c = [
            0x3fa5_5555_5555_554c,
            0xbf56_c16c_16c1_5177,
            0x3efa_01a0_19cb_1590,
            0xbe92_7e4f_809c_52ad,
            0x3e21_ee9e_bdb4_b1c4,
            0xbda8_fae9_be88_38d4,
        ]
        .map(float);
        let z = x * x;
        let w = z * z;
        let r = z * (c[0] + z * (c[1] + z * c[2])) + w * w * (c[3] + z * (c[4] + z * c[5]));
        let h = 0.5 * z;
        let v = 1.0 - h;
        v + (((1.0 - v) - h) + (z * r - x * y))
    }

    /// S(x, y).
    fn sine(x: f64, y: f64) -> f64 {
        let s = [
            0xbfc5_5555_5555_5549,
            0x3f81_1111_1110_f8a6,
            0xbf2a_01a0_19c1_61d5,
            0x3ec7_1de3_57b1_fe7d,
            0xbe5a_e5e6_8a2b_9ceb,
            0x3de5_d93a_5acf_d57c,
        ]
        .map(float);
        let z = x * x;
        let w = z * z;
        let r = s[1] + z * (s[2] + z * s[3]) + z * w * (s[4] + z * s[5]);
        let v = z * x;
        x - ((z * (0.5 * y - v * r) - y) - v * s[0])
    }

    /// x less n times half of pi, in two parts.
    fn reduced(x: f64, n: f64, close: bool) -> (f64, f64) {
        let [p1, p1t, p2, p2t, p3, p3t] = [
            0x3ff9_21fb_5440_0000,
            0x3dd0_b461_1a62_6331,
            0x3dd0_b461_1a60_0000,
            0x3ba3_198a_2e03_7073,
            0x3ba3_198a_2e00_0000,
            0x397b_839a_2520_49c1,
        ]
        .map(float);
        let (mut r, mut w) = (x - n * p1, n * p1t);
        let mut y = r - w;
        let exponent = |x: f64| (x.to_bits() >> 52 & 0x7ff) as i32;
        for (bits, p, pt) in [(16, p2, p2t), (49, p3, p3t)] {
            if !close || exponent(x) - exponent(y) <= bits {
                break;
            }
            let t = r;
            w = n * p;
            r = t - w;
            w = n * pt - ((t - r) - w);
            y = r - w;
        }
        (y, (r - y) - w)
    }

    /// The cosine of x in [0, pi], as docs/arithmetic.md has it.
    fn cosine(x: f64) -> f64 {
        let high = (x.to_bits() >> 32) as u32;
        let close = high & 0xf_ffff == 0x9_21fb;
        match high {
            ..0x3e46_a09e => 1.0,
            0x3e46_a09e..=0x3fe9_21fb => near_zero(x, 0.0),
            0x3fe9_21fc..=0x4002_d97c => {
                let (y0, y1) = reduced(x, 1.0, close);
                -sine(y0, y1)
            }
            _ => {
                let (y0, y1) = reduced(x, 2.0, close);
                -near_zero(y0, y1)
            }
        }
    }

    // proves A-75
    #[test]
    fn the_cosine_is_the_one_that_is_written_down() {
        let pi = std::f64::consts::PI;
        let check = |x: f64| assert_eq!(libm::cos(x).to_bits(), cosine(x).to_bits(), "{x:e}");
        for total in 1..700u32 {
            (1..=total).for_each(|left| check(pi * (f64::from(left) / f64::from(total))));
        }
        for bound in [pi, 0.75 * pi, 0.5 * pi, 0.25 * pi, 1e-8, 2e-8] {
            for below in 0..2000 {
                check(float(bound.to_bits() - below));
                check(float((bound.to_bits() + below * 1_000_001).min(pi.to_bits())));
            }
        }
        check(0.0);
    }
}
