//! Layers on rows, and functions of each element.

use candle_core::{Result, bail};
use lab_arithmetic::{Function, Kernels, Stream, View};

use super::{Back, Gradients, Input, Operation, with_last};

/// `x Wᵀ + b` over the last axis; W is out by in, b has length out.
pub(crate) struct Linear(pub(crate) Kernels);

/// `x + bias` over the last axis.
pub(crate) struct AddBias(pub(crate) Kernels);

/// A function of each element.
pub(crate) struct Apply {
    pub(crate) kernels: Kernels,
    pub(crate) function: Function,
}

/// Leaves out a share of the elements.
pub(crate) struct Dropout {
    pub(crate) kernels: Kernels,
    pub(crate) stream: Stream,
    pub(crate) rate: f32,
}

/// The sum of two tensors of one shape.
pub(crate) struct Add(pub(crate) Kernels);

/// The same numbers in another shape.
pub(crate) struct Reshape(pub(crate) Vec<usize>);

/// A matrix whose shape is known to fit.
pub(super) fn matrix(values: &[f32], rows: usize, cols: usize) -> Result<View<'_>> {
    match View::of(values, rows, cols) {
        Some(view) => Ok(view),
        None => bail!("{} numbers are no matrix of {rows}x{cols}", values.len()),
    }
}

/// A vector of this length.
pub(super) fn vector<'a>(input: &Input<'a>, len: usize, what: &str) -> Result<&'a [f32]> {
    if input.shape != [len] {
        bail!("{what} of shape {:?} where [{len}] is needed", input.shape);
    }
    input.floats()
}

impl Operation for Linear {
    const NAME: &'static str = "linear";

    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<f32>, Vec<usize>)> {
        let [x, weight, bias] = inputs else { bail!("linear takes three tensors") };
        let (rows, width) = x.rows();
        let (out, fan_in) = weight.rows();
        if weight.shape.len() != 2 || fan_in != width {
            bail!("a weight of shape {:?} does not take {:?}", weight.shape, x.shape);
        }
        let bias = vector(bias, out, "a bias")?;
        let mut result = vec![0.0; rows * out];
        let weight = matrix(weight.floats()?, out, width)?;
        self.0.matmul(matrix(x.floats()?, rows, width)?, weight.transposed(), &mut result);
        for row in result.chunks_exact_mut(out.max(1)) {
            row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
        }
        Ok((result, with_last(x.shape, out)))
    }

    fn backward(&self, inputs: &[Input<'_>], back: Back<'_>) -> Result<Gradients> {
        let [x, weight, _] = inputs else { bail!("linear takes three tensors") };
        let ((rows, width), (out, _)) = (x.rows(), weight.rows());
        let g = matrix(back.upstream, rows, out)?;
        let dx = back.wanted[0].then(|| -> Result<_> {
            let mut dx = vec![0.0; rows * width];
            self.0.matmul(g, matrix(weight.floats()?, out, width)?, &mut dx);
            Ok(dx)
        });
        let mut dw = vec![0.0; out * width];
        self.0.matmul(g.transposed(), matrix(x.floats()?, rows, width)?, &mut dw);
        let mut db = vec![0.0; out];
        self.0.column_sums(back.upstream, &mut db);
        Ok(vec![dx.transpose()?, Some(dw), Some(db)])
    }
}

impl Operation for AddBias {
    const NAME: &'static str = "add_bias";

    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<f32>, Vec<usize>)> {
        let [x, bias] = inputs else { bail!("add_bias takes two tensors") };
        let bias = vector(bias, x.rows().1, "a bias")?;
        let mut result = vec![0.0; x.floats()?.len()];
        self.0.add_bias(x.floats()?, bias, &mut result);
        Ok((result, x.shape.to_vec()))
    }

    fn backward(&self, inputs: &[Input<'_>], back: Back<'_>) -> Result<Gradients> {
        let mut db = vec![0.0; inputs[1].shape[0]];
        self.0.column_sums(back.upstream, &mut db);
        Ok(vec![back.wanted[0].then(|| back.upstream.to_vec()), Some(db)])
    }
}

impl Operation for Apply {
    const NAME: &'static str = "apply";

    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<f32>, Vec<usize>)> {
        let x = inputs[0].floats()?;
        let mut result = vec![0.0; x.len()];
        self.kernels.apply(self.function, x, &mut result);
        Ok((result, inputs[0].shape.to_vec()))
    }

    fn backward(&self, inputs: &[Input<'_>], back: Back<'_>) -> Result<Gradients> {
        let x = inputs[0].floats()?;
        let mut dx = vec![0.0; x.len()];
        self.kernels.apply_gradient(self.function, x, back.result, back.upstream, &mut dx);
        Ok(vec![Some(dx)])
    }
}

impl Operation for Dropout {
    const NAME: &'static str = "dropout";

    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<f32>, Vec<usize>)> {
        let x = inputs[0].floats()?;
        let mut result = vec![0.0; x.len()];
        self.kernels.dropout(self.stream, self.rate, x, &mut result);
        Ok((result, inputs[0].shape.to_vec()))
    }

    fn backward(&self, _: &[Input<'_>], back: Back<'_>) -> Result<Gradients> {
        let mut dx = vec![0.0; back.upstream.len()];
        self.kernels.dropout(self.stream, self.rate, back.upstream, &mut dx);
        Ok(vec![Some(dx)])
    }
}

impl Operation for Add {
    const NAME: &'static str = "add";

    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<f32>, Vec<usize>)> {
        let [a, b] = inputs else { bail!("add takes two tensors") };
        if a.shape != b.shape {
            bail!("no sum of shapes {:?} and {:?}", a.shape, b.shape);
        }
        let mut result = a.floats()?.to_vec();
        self.0.accumulate(&mut result, b.floats()?);
        Ok((result, a.shape.to_vec()))
    }

    fn backward(&self, _: &[Input<'_>], back: Back<'_>) -> Result<Gradients> {
        let gradient = |wanted: &bool| wanted.then(|| back.upstream.to_vec());
        Ok(back.wanted.iter().map(gradient).collect())
    }
}

impl Operation for Reshape {
    const NAME: &'static str = "reshape";

    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<f32>, Vec<usize>)> {
        let x = inputs[0].floats()?;
        if self.0.iter().product::<usize>() != x.len() {
            bail!("{:?} cannot become {:?}", inputs[0].shape, self.0);
        }
        Ok((x.to_vec(), self.0.clone()))
    }

    fn backward(&self, _: &[Input<'_>], back: Back<'_>) -> Result<Gradients> {
        Ok(vec![Some(back.upstream.to_vec())])
    }
}
