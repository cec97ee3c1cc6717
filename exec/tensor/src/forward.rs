//! The operations as candle sees them, without gradients: shapes checked, then a kernel.
//!
//! Nothing here computes. Each type holds the [`Kernels`] to run on and implements candle's
//! interface for operations that come from outside; arguments of a wrong shape or type are
//! refused with both shapes in the message.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, WithDType, bail};

use crate::kernels::{Kernels, View};

/// `a b`, either of them transposed first.
#[derive(Clone, Copy)]
pub(crate) struct MatMul {
    pub(crate) kernels: Kernels,
    pub(crate) transpose_a: bool,
    pub(crate) transpose_b: bool,
}

/// `x + bias` for each row of x.
#[derive(Clone, Copy)]
pub(crate) struct AddBias(pub(crate) Kernels);

/// The sum of each column.
pub(crate) struct ColumnSums(pub(crate) Kernels);

/// A function of each element.
#[derive(Clone, Copy)]
pub(crate) struct Activate {
    pub(crate) kernels: Kernels,
    pub(crate) function: Activation,
}

/// What [`Activate`] computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    Relu,
    Tanh,
}

/// The upstream gradient through an activation; arguments: the activation's result, upstream.
pub(crate) struct ActivateGradient(pub(crate) Activate);

/// The mean cross-entropy of rows of scores and labels (i64), a scalar.
#[derive(Clone, Copy)]
pub(crate) struct CrossEntropy(pub(crate) Kernels);

/// Its gradient in the scores, times `upstream`.
pub(crate) struct CrossEntropyGradient {
    pub(crate) kernels: Kernels,
    pub(crate) upstream: f32,
}

fn slice<'a, T: WithDType>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("a contiguous tensor is needed, not strides {:?}", layout.stride())
    };
    match storage.as_slice::<T>()?.get(start..end) {
        Some(slice) => Ok(slice),
        None => bail!("a tensor reaches beyond its storage"),
    }
}

fn result(values: Vec<f32>, shape: impl Into<Shape>) -> Result<(CpuStorage, Shape)> {
    Ok((CpuStorage::F32(values), shape.into()))
}

fn matrix<'a>(storage: &'a CpuStorage, layout: &Layout, transpose: bool) -> Result<View<'a>> {
    let (rows, cols) = layout.shape().dims2()?;
    let data = storage.as_slice::<f32>()?.get(layout.start_offset()..).unwrap_or_default();
    let &[row_stride, col_stride] = layout.stride() else { bail!("a matrix has two strides") };
    let (shape, strides) = match transpose {
        false => ((rows, cols), (row_stride, col_stride)),
        true => ((cols, rows), (col_stride, row_stride)),
    };
    match View::new(data, shape, strides) {
        Some(view) => Ok(view),
        None => bail!("a matrix reaches beyond its storage"),
    }
}

impl CustomOp2 for MatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let a = matrix(a, a_layout, self.transpose_a)?;
        let b = matrix(b, b_layout, self.transpose_b)?;
        let (m, k, n) = (a.rows(), a.cols(), b.cols());
        if b.rows() != k {
            bail!("no product of {m}x{k} and {}x{n}", b.rows());
        }
        let mut out = vec![0.0; m * n];
        self.kernels.matmul(a, b, &mut out);
        result(out, (m, n))
    }
}

impl CustomOp2 for AddBias {
    fn name(&self) -> &'static str {
        "add_bias"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, cols) = x_layout.shape().dims2()?;
        let width = bias_layout.shape().dims1()?;
        if width != cols {
            bail!("a bias of {width} does not fit rows of {cols}");
        }
        let mut out = vec![0.0; rows * cols];
        self.0.add_bias(slice(x, x_layout)?, slice(bias, bias_layout)?, &mut out);
        result(out, (rows, cols))
    }
}

impl CustomOp1 for ColumnSums {
    fn name(&self) -> &'static str {
        "column_sums"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, cols) = layout.shape().dims2()?;
        let mut out = vec![0.0; cols];
        self.0.column_sums(slice(x, layout)?, &mut out);
        result(out, cols)
    }
}

impl CustomOp1 for Activate {
    fn name(&self) -> &'static str {
        "activate"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = slice(x, layout)?;
        let mut out = vec![0.0; x.len()];
        match self.function {
            Activation::Relu => self.kernels.relu(x, &mut out),
            Activation::Tanh => self.kernels.tanh(x, &mut out),
        }
        result(out, layout.shape().clone())
    }
}

impl CustomOp2 for ActivateGradient {
    fn name(&self) -> &'static str {
        "activate_gradient"
    }

    fn cpu_fwd(
        &self,
        y: &CpuStorage,
        y_layout: &Layout,
        upstream: &CpuStorage,
        layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (y, upstream) = (slice(y, y_layout)?, slice(upstream, layout)?);
        if y.len() != upstream.len() {
            bail!("{} results and {} gradients", y.len(), upstream.len());
        }
        let mut out = vec![0.0; y.len()];
        match self.0.function {
            // relu(x) > 0 exactly where x > 0.
            Activation::Relu => self.0.kernels.relu_gradient(y, upstream, &mut out),
            Activation::Tanh => self.0.kernels.tanh_gradient(y, upstream, &mut out),
        }
        result(out, layout.shape().clone())
    }
}

/// Scores, their number of classes, and as many labels as there are rows, each a class.
fn labelled<'a>(
    scores: &'a CpuStorage,
    layout: &Layout,
    labels: &'a CpuStorage,
    labels_layout: &Layout,
) -> Result<(&'a [f32], usize, &'a [i64])> {
    let (rows, classes) = layout.shape().dims2()?;
    let labels: &[i64] = slice(labels, labels_layout)?;
    if rows == 0 || classes == 0 || labels.len() != rows {
        bail!("{} labels for scores of shape {rows}x{classes}", labels.len());
    }
    if let Some(label) = labels.iter().find(|l| !(0..classes as i64).contains(*l)) {
        bail!("label {label} is not one of {classes} classes");
    }
    Ok((slice(scores, layout)?, classes, labels))
}

impl CustomOp2 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn cpu_fwd(
        &self,
        scores: &CpuStorage,
        layout: &Layout,
        labels: &CpuStorage,
        labels_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (scores, classes, labels) = labelled(scores, layout, labels, labels_layout)?;
        result(vec![self.0.cross_entropy(scores, classes, labels)], ())
    }
}

impl CustomOp2 for CrossEntropyGradient {
    fn name(&self) -> &'static str {
        "cross_entropy_gradient"
    }

    fn cpu_fwd(
        &self,
        scores: &CpuStorage,
        layout: &Layout,
        labels: &CpuStorage,
        labels_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (scores, classes, labels) = labelled(scores, layout, labels, labels_layout)?;
        let mut out = vec![0.0; scores.len()];
        self.kernels.cross_entropy_gradient(scores, classes, labels, self.upstream, &mut out);
        result(out, layout.shape().clone())
    }
}
