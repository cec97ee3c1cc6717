//! What tensors can do: operations on slices, each with its gradient.
//!
//! An [`Operation`] checks shapes and calls kernels. [`forward`] runs one as candle's custom
//! operation, so that it is candle's tensors that go in and come out; candle never computes.
//! [`backward`] runs the way back, which [`crate::tensor`] walks.

mod dense;
mod images;
mod losses;
mod norms;
mod sequences;

use std::sync::Arc;

use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail,
};

pub(crate) use dense::{Add, AddBias, Apply, Dropout, Linear, Reshape};
pub(crate) use images::{Convolve, MaxPool, MeanPool};
pub(crate) use losses::{CrossEntropy, MeanSquares};
pub(crate) use norms::{BatchNorm, LayerNorm};
pub(crate) use sequences::{Attend, Embed, Gru, Lstm};

/// An argument of an operation: numbers, or whole numbers such as labels and ids, row after row.
#[derive(Clone, Copy)]
pub(crate) struct Input<'a> {
    pub(crate) shape: &'a [usize],
    data: Data<'a>,
}

#[derive(Clone, Copy)]
enum Data<'a> {
    Floats(&'a [f32]),
    Ids(&'a [u32]),
}

/// What a backward pass knows.
pub(crate) struct Back<'a> {
    pub(crate) result: &'a [f32],
    /// The gradient of the loss in the result.
    pub(crate) upstream: &'a [f32],
    /// For each input whether its gradient is asked for.
    pub(crate) wanted: &'a [bool],
}

/// The gradients in the inputs, where they are wanted.
pub(crate) type Gradients = Vec<Option<Vec<f32>>>;

/// A function of some tensors.
pub(crate) trait Operation: Send + Sync + 'static {
    /// Its name in errors.
    const NAME: &'static str;

    /// The result and its shape.
    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<f32>, Vec<usize>)>;

    /// The gradients. The inputs are those of a forward pass that went well.
    fn backward(&self, inputs: &[Input<'_>], back: Back<'_>) -> Result<Gradients>;
}

impl<'a> Input<'a> {
    fn new(storage: &'a CpuStorage, layout: &'a Layout) -> Result<Self> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("a contiguous tensor is needed, not strides {:?}", layout.stride())
        };
        let data = match storage {
            CpuStorage::F32(values) => values.get(start..end).map(Data::Floats),
            CpuStorage::U32(values) => values.get(start..end).map(Data::Ids),
            _ => bail!("tensors hold f32 or u32 and nothing else"),
        };
        match data {
            Some(data) => Ok(Input { shape: layout.dims(), data }),
            None => bail!("a tensor reaches beyond its storage"),
        }
    }

    /// The numbers.
    pub(crate) fn floats(&self) -> Result<&'a [f32]> {
        match self.data {
            Data::Floats(values) => Ok(values),
            Data::Ids(_) => bail!("numbers are needed, not ids"),
        }
    }

    /// The ids, each below `bound`; `what` names them in the error.
    pub(crate) fn ids(&self, bound: usize, what: &str) -> Result<&'a [u32]> {
        let Data::Ids(ids) = self.data else { bail!("ids are needed, not numbers") };
        match ids.iter().position(|id| *id as usize >= bound) {
            Some(at) => bail!("{what} {} at place {at} is not below {bound}", ids[at]),
            None => Ok(ids),
        }
    }

    /// Rows of the last axis, and its length.
    pub(crate) fn rows(&self) -> (usize, usize) {
        match self.shape {
            [rows @ .., width] => (rows.iter().product(), *width),
            [] => (1, 1),
        }
    }
}

/// The shape with another last axis.
pub(crate) fn with_last(shape: &[usize], last: usize) -> Vec<usize> {
    let mut shape = shape.to_vec();
    match shape.last_mut() {
        Some(width) => *width = last,
        None => shape.push(last),
    }
    shape
}

/// What the way back needs of an operation.
pub(crate) trait Backward: Send + Sync {
    /// The gradients in the inputs, from the result and the gradient in it.
    fn backward(&self, inputs: &[&Tensor], result: &Tensor, back: Way<'_>) -> Result<Gradients>;
}

/// The gradient in a result, and which inputs' gradients are asked for.
pub(crate) struct Way<'a> {
    pub(crate) upstream: &'a [f32],
    pub(crate) wanted: &'a [bool],
}

impl<O: Operation> Backward for Custom<O> {
    fn backward(&self, inputs: &[&Tensor], result: &Tensor, way: Way<'_>) -> Result<Gradients> {
        let all: Vec<&Tensor> = inputs.iter().copied().chain([result]).collect();
        with_inputs(&all, &[], &mut |all| {
            let (inputs, result) = all.split_at(inputs.len());
            let Way { upstream, wanted } = way;
            self.0.backward(inputs, Back { result: result[0].floats()?, upstream, wanted })
        })
    }
}

/// Applies an operation to one, two or three tensors; what comes back knows the way back.
pub(crate) fn forward<O: Operation>(
    operation: O,
    inputs: &[&Tensor],
) -> Result<(Tensor, Arc<dyn Backward>)> {
    let custom = Arc::new(Custom(operation));
    let result = match inputs {
        [a] => a.apply_op1_no_bwd(custom.as_ref()),
        [a, b] => a.apply_op2_no_bwd(b, custom.as_ref()),
        [a, b, c] => a.apply_op3_no_bwd(b, c, custom.as_ref()),
        _ => bail!("{} takes {} tensors", O::NAME, inputs.len()),
    };
    Ok((result?, custom))
}

/// An operation as candle has them.
struct Custom<O>(O);

impl<O: Operation> Custom<O> {
    fn forward(&self, inputs: &[(&CpuStorage, &Layout)]) -> Result<(CpuStorage, Shape)> {
        let inputs: Result<Vec<_>> = inputs.iter().map(|(s, l)| Input::new(s, l)).collect();
        let (values, shape) = self.0.forward(&inputs?)?;
        Ok((CpuStorage::F32(values), shape.into()))
    }
}

/// Calls `run` with the numbers of all these tensors, whose storages stay locked meanwhile.
fn with_inputs(
    tensors: &[&Tensor],
    inputs: &[Input<'_>],
    run: &mut dyn FnMut(&[Input<'_>]) -> Result<Gradients>,
) -> Result<Gradients> {
    let Some((first, rest)) = tensors.split_first() else { return run(inputs) };
    let (storage, layout) = first.storage_and_layout();
    let candle_core::Storage::Cpu(storage) = &*storage else { bail!("a tensor is not here") };
    let mut inputs: Vec<Input<'_>> = inputs.to_vec();
    inputs.push(Input::new(storage, layout)?);
    with_inputs(rest, &inputs, run)
}

impl<O: Operation> CustomOp1 for Custom<O> {
    fn name(&self) -> &'static str {
        O::NAME
    }

    fn cpu_fwd(&self, s: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        self.forward(&[(s, l)])
    }
}

impl<O: Operation> CustomOp2 for Custom<O> {
    fn name(&self) -> &'static str {
        O::NAME
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward(&[(s1, l1), (s2, l2)])
    }
}

impl<O: Operation> CustomOp3 for Custom<O> {
    fn name(&self) -> &'static str {
        O::NAME
    }

    fn cpu_fwd(
        &self,
        s1: &CpuStorage,
        l1: &Layout,
        s2: &CpuStorage,
        l2: &Layout,
        s3: &CpuStorage,
        l3: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward(&[(s1, l1), (s2, l2), (s3, l3)])
    }
}
