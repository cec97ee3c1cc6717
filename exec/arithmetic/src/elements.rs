//! Functions of each element, and what a gradient becomes on its way back through them.

use crate::functions::{exp, gelu, gelu_slope, log, sigmoid, tanh};
use crate::kernels::Kernels;
use crate::path::{Fma, Kernel, dispatch};
use crate::threads::split;

/// A function of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// `e^x`.
    Exp,
    /// The natural logarithm.
    Log,
    /// The hyperbolic tangent.
    Tanh,
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// The gaussian error linear unit, in its tanh form.
    Gelu,
    /// `x sigmoid(x)`.
    Silu,
    /// +0.0 where x <= 0, else x; what is not a number stays that.
    Relu,
}

impl Function {
    /// All of them.
    pub const ALL: [Function; 7] = [
        Function::Exp,
        Function::Log,
        Function::Tanh,
        Function::Sigmoid,
        Function::Gelu,
        Function::Silu,
        Function::Relu,
    ];

    /// What one value counts for in multiply-adds.
    fn work(self) -> usize {
        if self == Function::Relu { 1 } else { 24 }
    }
}

/// A function with its slope, told apart when compiled so that each loop becomes vectors.
trait Curve {
    fn value<F: Fma>(x: f32) -> f32;

    /// The slope in x, where the value is y.
    fn slope<F: Fma>(x: f32, y: f32) -> f32;
}

macro_rules! curve {
    ($name:ident, $fma:ident, |$x:ident| $value:expr, |$x2:ident, $y:ident| $slope:expr) => {
        struct $name;

        impl Curve for $name {
            #[inline(always)]
            fn value<$fma: Fma>($x: f32) -> f32 {
                $value
            }

            #[inline(always)]
            fn slope<$fma: Fma>($x2: f32, $y: f32) -> f32 {
                $slope
            }
        }
    };
}

curve!(Exp, F, |x| exp::<F>(x), |_x, y| y);
curve!(Log, F, |x| log::<F>(x), |x, _y| 1.0 / x);
curve!(Tanh, F, |x| tanh::<F>(x), |_x, y| F::fma(-y, y, 1.0));
curve!(Sigmoid, F, |x| sigmoid::<F>(x), |_x, y| y * (1.0 - y));
curve!(Gelu, F, |x| gelu::<F>(x), |x, _y| gelu_slope::<F>(x));
curve!(Silu, F, |x| x * sigmoid::<F>(x), |x, y| {
    let s = sigmoid::<F>(x);
    F::fma(y, 1.0 - s, s)
});
curve!(Relu, F, |x| if x <= 0.0 { 0.0 } else { x }, |x, _y| if x <= 0.0 { 0.0 } else { 1.0 });

struct Values<'a, C> {
    x: &'a [f32],
    out: &'a mut [f32],
    curve: std::marker::PhantomData<C>,
}

impl<C: Curve> Kernel for Values<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run<F: Fma>(self) {
        for (out, x) in self.out.iter_mut().zip(self.x) {
            *out = C::value::<F>(*x);
        }
    }
}

struct Gradients<'a, C> {
    x: &'a [f32],
    y: &'a [f32],
    upstream: &'a [f32],
    out: &'a mut [f32],
    curve: std::marker::PhantomData<C>,
}

impl<C: Curve> Kernel for Gradients<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run<F: Fma>(self) {
        let points = self.x.iter().zip(self.y).zip(self.upstream);
        for (out, ((x, y), g)) in self.out.iter_mut().zip(points) {
            *out = g * C::slope::<F>(*x, *y);
        }
    }
}

/// Calls `$call` with the type that stands for a function.
macro_rules! with_curve {
    ($function:expr, $call:ident($($argument:expr),*)) => {
        match $function {
            Function::Exp => $call::<Exp>($($argument),*),
            Function::Log => $call::<Log>($($argument),*),
            Function::Tanh => $call::<Tanh>($($argument),*),
            Function::Sigmoid => $call::<Sigmoid>($($argument),*),
            Function::Gelu => $call::<Gelu>($($argument),*),
            Function::Silu => $call::<Silu>($($argument),*),
            Function::Relu => $call::<Relu>($($argument),*),
        }
    };
}

impl Kernels {
    /// `out = function(x)`, each element.
    pub fn apply(&self, function: Function, x: &[f32], out: &mut [f32]) {
        assert_eq!(x.len(), out.len(), "as many values as results");
        split(self, out, 1, function.work(), 64, |first, out| {
            with_curve!(function, values(self, &x[first..][..out.len()], out));
        });
    }

    /// `out = upstream * slope`, each element, where `y = function(x)`.
    pub fn apply_gradient(
        &self,
        function: Function,
        x: &[f32],
        y: &[f32],
        upstream: &[f32],
        out: &mut [f32],
    ) {
        assert_eq!((x.len(), y.len()), (y.len(), upstream.len()), "as many values as gradients");
        assert_eq!(x.len(), out.len(), "as many values as results");
        split(self, out, 1, function.work(), 64, |first, out| {
            let part = first..first + out.len();
            let (x, y) = (&x[part.clone()], &y[part.clone()]);
            with_curve!(function, gradients(self, x, y, &upstream[part], out));
        });
    }

    /// `sum + more`, each element, in `sum`.
    pub fn accumulate(&self, sum: &mut [f32], more: &[f32]) {
        assert_eq!(sum.len(), more.len(), "equal lengths");
        split(self, sum, 1, 1, 64, |first, sum| {
            for (sum, more) in sum.iter_mut().zip(&more[first..]) {
                *sum += more;
            }
        });
    }

    /// `out = x + bias`, the bias added to each row.
    pub fn add_bias(&self, x: &[f32], bias: &[f32], out: &mut [f32]) {
        assert_eq!(x.len(), out.len(), "as many values as results");
        if bias.is_empty() {
            return;
        }
        split(self, out, bias.len(), bias.len(), 1, |first, out| {
            let rows = x[first * bias.len()..].chunks_exact(bias.len());
            for (out, x) in out.chunks_exact_mut(bias.len()).zip(rows) {
                for ((out, x), bias) in out.iter_mut().zip(x).zip(bias) {
                    *out = x + bias;
                }
            }
        });
    }
}

fn values<C: Curve>(kernels: &Kernels, x: &[f32], out: &mut [f32]) {
    dispatch(kernels.path(), Values::<C> { x, out, curve: std::marker::PhantomData });
}

fn gradients<C: Curve>(kernels: &Kernels, x: &[f32], y: &[f32], g: &[f32], out: &mut [f32]) {
    let curve = std::marker::PhantomData;
    dispatch(kernels.path(), Gradients::<C> { x, y, upstream: g, out, curve });
}
