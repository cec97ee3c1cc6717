//! One optimiser step on a parameter, element by element.
//!
//! Each line below is one rounding per operation, in the order in which it is written. What does
//! not depend on the element (bias corrections, the rate of a step) is computed once, in f64,
//! by products and quotients only.

use crate::kernels::Kernels;
use crate::path::{Fma, Kernel, dispatch};
use crate::threads::split;

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

struct SgdStep<'a> {
    rule: Sgd,
    parameter: &'a mut [f32],
    gradient: &'a [f32],
    velocity: &'a mut [f32],
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

struct AdamWStep<'a> {
    rule: AdamW,
    parameter: &'a mut [f32],
    gradient: &'a [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
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

impl Kernels {
    /// One step of momentum descent.
    pub fn sgd(&self, rule: Sgd, parameter: &mut [f32], gradient: &[f32], velocity: &mut [f32]) {
        assert_eq!((parameter.len(), gradient.len()), (gradient.len(), velocity.len()));
        dispatch(self.path(), SgdStep { rule, parameter, gradient, velocity });
    }

    /// One step of AdamW; `first` and `second` are the moments.
    pub fn adamw(
        &self,
        rule: AdamW,
        parameter: &mut [f32],
        gradient: &[f32],
        first: &mut [f32],
        second: &mut [f32],
    ) {
        assert_eq!((parameter.len(), gradient.len()), (gradient.len(), first.len()));
        assert_eq!(first.len(), second.len());
        dispatch(self.path(), AdamWStep { rule, parameter, gradient, first, second });
    }

    /// The root of the sum of squares of all numbers in `parts`: the sum, in the order of the
    /// parts, of each part's sum of squares.
    pub fn norm(&self, parts: &[&[f32]]) -> f32 {
        let squares: Vec<f32> = parts.iter().map(|part| self.dot(part, part)).collect();
        self.sum(&squares).sqrt()
    }

    /// `values * factor`, in place.
    pub fn scale(&self, values: &mut [f32], factor: f32) {
        split(self, values, 1, 1, 64, |_, values| {
            for value in values {
                *value *= factor;
            }
        });
    }
}
