//! One optimiser step on a parameter, element by element.
//!
//! Each line below is one rounding per operation, in the order in which it is written. What does
//! not depend on the element (bias corrections, the rate of a step) is computed once, in f64,
//! by products and quotients only.

use super::fma::{Fma, Kernel};

/// Stochastic gradient descent with momentum, and decay added to the gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// Step size.
    pub lr: f32,
    /// Share of the previous step that is kept.
    pub momentum: f32,
    /// Added to the gradient, times the parameter.
    pub decay: f32,
}

/// Adam with decoupled weight decay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Step size.
    pub lr: f32,
    /// Share of the first moment that is kept.
    pub beta1: f32,
    /// Share of the second moment that is kept.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub eps: f32,
    /// What a parameter is multiplied by before the step: `1 - lr * decay`.
    pub keep: f32,
    /// `1 - beta1^t` at step t.
    pub correction1: f32,
    /// `1 - beta2^t` at step t.
    pub correction2: f32,
}

pub(super) struct SgdStep<'a> {
    pub(super) rule: Sgd,
    pub(super) parameter: &'a mut [f32],
    pub(super) gradient: &'a [f32],
    pub(super) velocity: &'a mut [f32],
}

impl Kernel for SgdStep<'_> {
    type Output = ();

    #[inline(always)]
    fn run<F: Fma>(self) {
        let Sgd { lr, momentum, decay } = self.rule;
        let slots = self.parameter.iter_mut().zip(self.gradient).zip(self.velocity);
        for ((p, g), v) in slots {
            let decayed = F::fma(decay, *p, *g);
            *v = F::fma(momentum, *v, decayed);
            *p = F::fma(-lr, *v, *p);
        }
    }
}

pub(super) struct AdamWStep<'a> {
    pub(super) rule: AdamW,
    pub(super) parameter: &'a mut [f32],
    pub(super) gradient: &'a [f32],
    pub(super) first: &'a mut [f32],
    pub(super) second: &'a mut [f32],
}

impl Kernel for AdamWStep<'_> {
    type Output = ();

    #[inline(always)]
    fn run<F: Fma>(self) {
        let AdamW { lr, beta1, beta2, eps, keep, correction1, correction2 } = self.rule;
        let (new1, new2) = (1.0 - beta1, 1.0 - beta2);
        let moments = self.first.iter_mut().zip(self.second);
        for ((p, g), (m, v)) in self.parameter.iter_mut().zip(self.gradient).zip(moments) {
            *m = F::fma(beta1, *m, new1 * g);
            *v = F::fma(beta2, *v, (new2 * g) * g);
            let step = (*m / correction1) / ((*v / correction2).sqrt() + eps);
            *p = F::fma(-lr, step, *p * keep);
        }
    }
}
