//! The operations that programs are made of: forward and gradient joined for candle's autograd.
//!
//! [`Ops`] is the only way in which the rest of this crate computes on tensors. Candle stores
//! tensors and walks the graph; of its own arithmetic only the addition of the gradients of a
//! tensor that is used twice takes part, element by element and in graph order.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor};

use crate::forward::{Activate, Activation, AddBias, CrossEntropy, MatMul};
use crate::gradients;
use crate::kernels::Kernels;

/// The operations, on some kernels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ops(pub(crate) Kernels);

impl Ops {
    /// `x wᵀ + b`; x is rows by in, w out by in, b has length out.
    pub(crate) fn linear(&self, x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
        let product = MatMul { kernels: self.0, transpose_a: false, transpose_b: true };
        let product = x.apply_op2(weight, Differentiable(product))?;
        product.apply_op2(bias, Differentiable(AddBias(self.0)))
    }

    /// The activation of each element.
    pub(crate) fn activate(&self, x: &Tensor, function: Activation) -> Result<Tensor> {
        x.apply_op1(Differentiable(Activate { kernels: self.0, function }))
    }

    /// The mean cross-entropy, a scalar; scores are rows by classes, labels one i64 per row.
    pub(crate) fn cross_entropy(&self, scores: &Tensor, labels: &Tensor) -> Result<Tensor> {
        scores.apply_op2(labels, Differentiable(CrossEntropy(self.0)))
    }
}

/// An operation with its gradient.
struct Differentiable<Op>(Op);

impl CustomOp2 for Differentiable<MatMul> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.0.cpu_fwd(a, a_layout, b, b_layout)
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _result: &Tensor,
        upstream: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (a, b) = gradients::matmul(&self.0, a, b, upstream)?;
        Ok((Some(a), Some(b)))
    }
}

impl CustomOp2 for Differentiable<AddBias> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.0.cpu_fwd(x, x_layout, bias, bias_layout)
    }

    fn bwd(
        &self,
        _x: &Tensor,
        _bias: &Tensor,
        _result: &Tensor,
        upstream: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (x, bias) = gradients::add_bias(self.0.0, upstream)?;
        Ok((Some(x), Some(bias)))
    }
}

impl CustomOp1 for Differentiable<Activate> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.0.cpu_fwd(x, layout)
    }

    fn bwd(&self, _x: &Tensor, result: &Tensor, upstream: &Tensor) -> Result<Option<Tensor>> {
        gradients::activate(&self.0, result, upstream).map(Some)
    }
}

impl CustomOp2 for Differentiable<CrossEntropy> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn cpu_fwd(
        &self,
        scores: &CpuStorage,
        scores_layout: &Layout,
        labels: &CpuStorage,
        labels_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.0.cpu_fwd(scores, scores_layout, labels, labels_layout)
    }

    fn bwd(
        &self,
        scores: &Tensor,
        labels: &Tensor,
        _result: &Tensor,
        upstream: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        gradients::cross_entropy(self.0.0, scores, labels, upstream).map(|g| (Some(g), None))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::rng::Draws;

    const SIZES: [usize; 3] = [5, 7, 4];
    const LABELS: [i64; 6] = [0, 3, 1, 2, 3, 0];

    /// The same network in f64, straight from the definition.
    fn loss(x: &[f64], parameters: &[Vec<f64>], function: Activation) -> f64 {
        let linear = |x: &[f64], w: &[f64], b: &[f64]| -> Vec<f64> {
            let output =
                |(w, b): (&[f64], &f64)| b + w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
            w.chunks(x.len()).zip(b).map(output).collect()
        };
        let mut total = 0.0;
        for (x, label) in x.chunks(SIZES[0]).zip(LABELS) {
            let hidden = linear(x, &parameters[0], &parameters[1]);
            let hidden: Vec<f64> = match function {
                Activation::Relu => hidden.iter().map(|h| h.max(0.0)).collect(),
                Activation::Tanh => hidden.iter().map(|h| h.tanh()).collect(),
            };
            let scores = linear(&hidden, &parameters[2], &parameters[3]);
            let total_exp: f64 = scores.iter().map(|s| s.exp()).sum();
            total += total_exp.ln() - scores[label as usize];
        }
        total / LABELS.len() as f64
    }

    #[test]
    fn gradients_agree_with_finite_differences_in_f64() {
        let draws = |purpose: &str, n: usize| -> Vec<f32> {
            let draws = Draws::new(5, purpose);
            (0..n as u64).map(|i| draws.uniform(0, i) * 2.0 - 1.0).collect()
        };
        let shapes: [&[usize]; 4] = [&[7, 5], &[7], &[4, 7], &[4]];
        let ops = Ops(Kernels::detect());
        for function in [Activation::Relu, Activation::Tanh] {
            let x = draws("x", 30);
            let values: Vec<Vec<f32>> =
                shapes.iter().map(|s| draws(&format!("{s:?}"), s.iter().product())).collect();
            let var = |(v, s): (&Vec<f32>, &&[usize])| {
                Var::from_tensor(&Tensor::from_vec(v.clone(), *s, &Device::Cpu).unwrap()).unwrap()
            };
            let vars: Vec<Var> = values.iter().zip(&shapes).map(var).collect();
            let input = Var::from_vec(x.clone(), (6, 5), &Device::Cpu).unwrap();
            let labels = Tensor::new(&LABELS, &Device::Cpu).unwrap();
            let hidden = ops.linear(&input, &vars[0], &vars[1]).unwrap();
            let hidden = ops.activate(&hidden, function).unwrap();
            let scores = ops.linear(&hidden, &vars[2], &vars[3]).unwrap();
            let gradients = ops.cross_entropy(&scores, &labels).unwrap().backward().unwrap();

            let wide = |v: &Vec<f32>| v.iter().map(|v| f64::from(*v)).collect::<Vec<f64>>();
            let mut all: Vec<Vec<f64>> = vec![wide(&x)];
            all.extend(values.iter().map(wide));
            let h = 1e-5;
            for (n, var) in [&input].into_iter().chain(&vars).enumerate() {
                let gradient = gradients.get(var).unwrap().flatten_all().unwrap();
                for (i, got) in gradient.to_vec1::<f32>().unwrap().into_iter().enumerate() {
                    let at = |shift: f64| {
                        let mut moved = all.clone();
                        moved[n][i] += shift;
                        let x = moved.remove(0);
                        loss(&x, &moved, function)
                    };
                    let expected = (at(h) - at(-h)) / (2.0 * h);
                    let close = (f64::from(got) - expected).abs() < 1e-6 + 1e-4 * expected.abs();
                    assert!(close, "{function:?}, variable {n}, {i}: {got} against {expected}");
                }
            }
        }
    }

    #[test]
    fn products_with_transposed_factors_have_gradients_too() {
        let kernels = Kernels::detect();
        let value = |purpose: &str, shape: (usize, usize)| {
            let draws = Draws::new(6, purpose);
            let values = (0..(shape.0 * shape.1) as u64).map(|i| draws.uniform(0, i)).collect();
            Var::from_vec::<_, f32>(values, shape, &Device::Cpu).unwrap()
        };
        let reference = {
            let (a, b) = (value("a", (3, 4)), value("b", (4, 2)));
            (a.t().unwrap().contiguous().unwrap(), b.t().unwrap().contiguous().unwrap(), a, b)
        };
        let labels = Tensor::new(&[0i64, 1, 0], &Device::Cpu).unwrap();
        let run = |a: &Var, transpose_a, b: &Var, transpose_b| {
            let op = MatMul { kernels, transpose_a, transpose_b };
            let scores = a.apply_op2(b, Differentiable(op)).unwrap();
            let loss = Ops(kernels).cross_entropy(&scores, &labels).unwrap();
            let gradients = loss.backward().unwrap();
            let mut da = gradients.get(a).unwrap().clone();
            let mut db = gradients.get(b).unwrap().clone();
            if transpose_a {
                da = da.t().unwrap();
            }
            if transpose_b {
                db = db.t().unwrap();
            }
            (da.to_vec2::<f32>().unwrap(), db.to_vec2::<f32>().unwrap())
        };
        let (a_t, b_t, a, b) = reference;
        let (a_t, b_t) = (Var::from_tensor(&a_t).unwrap(), Var::from_tensor(&b_t).unwrap());
        let expected = run(&a, false, &b, false);
        assert_eq!(run(&a_t, true, &b, false), expected);
        assert_eq!(run(&a, false, &b_t, true), expected);
        assert_eq!(run(&a_t, true, &b_t, true), expected);
    }

    #[test]
    fn wrong_shapes_and_labels_are_refused() {
        let ops = Ops(Kernels::detect());
        let zeros = |shape: &[usize]| Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu);
        let (x, w, b) = (zeros(&[2, 3]).unwrap(), zeros(&[4, 5]).unwrap(), zeros(&[4]).unwrap());
        let error = ops.linear(&x, &w, &b).unwrap_err().to_string();
        assert!(error.contains("2x3") && error.contains("5x4"), "{error}");
        let labels = Tensor::new(&[0i64, 3], &Device::Cpu).unwrap();
        let error = ops.cross_entropy(&x, &labels).unwrap_err().to_string();
        assert!(error.contains("label 3"), "{error}");
    }
}
