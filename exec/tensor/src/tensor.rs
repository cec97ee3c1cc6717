//! Tensors on which only operations with fixed bits can be done, and the way back through them.
//!
//! Candle stores the tensors and runs our operations; of its own arithmetic nothing takes part, and
//! nothing of it is within reach: the tensor inside is private to this module. The graph is kept
//! here. Tensors are numbered as they are made, and the way back visits them by falling number; so
//! the gradients of a tensor that is used more than once are added last use first, whatever the
//! graph looks like.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{Device, Result};
use lab_arithmetic::{Function, Kernels, Moments, Stream};

use crate::operations::{
    Add, AddBias, Apply, Attend, Backward, BatchNorm, Convolve, CrossEntropy, Dropout, Embed, Gru,
    LayerNorm, Linear, Lstm, MaxPool, MeanPool, MeanSquares, Operation, Reshape, Way, forward,
};

/// Numbers in a shape, and how they came about.
#[derive(Clone)]
pub(crate) struct Tensor(Arc<Node>);

struct Node {
    number: u64,
    value: candle_core::Tensor,
    /// Whether a gradient in it is asked for.
    learned: bool,
    /// What it was made by and of; none for what comes from outside, and where nothing is learned.
    made: Option<(Arc<dyn Backward>, Vec<Tensor>)>,
}

/// The gradients of a loss in the tensors that are learned, by their numbers.
pub(crate) struct Gradients(BTreeMap<u64, Vec<f32>>);

impl Gradients {
    /// The gradient in a parameter; zeros if the loss does not depend on it.
    pub(crate) fn take(&mut self, parameter: &Tensor) -> Vec<f32> {
        let zeros = || vec![0.0; parameter.0.value.elem_count()];
        self.0.remove(&parameter.0.number).unwrap_or_else(zeros)
    }
}

impl Tensor {
    fn outside(value: candle_core::Tensor, learned: bool) -> Self {
        Self::numbered(value, learned, None)
    }

    fn numbered(
        value: candle_core::Tensor,
        learned: bool,
        made: Option<(Arc<dyn Backward>, Vec<Tensor>)>,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Tensor(Arc::new(Node { number, value, learned, made }))
    }

    pub(crate) fn new(values: Vec<f32>, shape: &[usize]) -> Result<Self> {
        let value = candle_core::Tensor::from_vec(values, shape, &Device::Cpu)?;
        Ok(Self::outside(value, false))
    }

    /// A tensor that is learned.
    pub(crate) fn parameter(values: Vec<f32>, shape: &[usize]) -> Result<Self> {
        let value = candle_core::Tensor::from_vec(values, shape, &Device::Cpu)?;
        Ok(Self::outside(value, true))
    }

    /// Labels or ids.
    pub(crate) fn ids(ids: Vec<u32>, shape: &[usize]) -> Result<Self> {
        let value = candle_core::Tensor::from_vec(ids, shape, &Device::Cpu)?;
        Ok(Self::outside(value, false))
    }

    pub(crate) fn shape(&self) -> &[usize] {
        self.0.value.dims()
    }

    /// The numbers, row after row.
    pub(crate) fn values(&self) -> Result<Vec<f32>> {
        self.0.value.flatten_all()?.to_vec1()
    }

    /// The labels or ids, row after row.
    pub(crate) fn all_ids(&self) -> Result<Vec<u32>> {
        self.0.value.flatten_all()?.to_vec1()
    }

    /// The number that a loss is.
    pub(crate) fn scalar(&self) -> Result<f32> {
        self.0.value.to_scalar()
    }

    /// The gradients of this loss.
    pub(crate) fn backward(&self, kernels: Kernels) -> Result<Gradients> {
        let mut open = BTreeMap::from([(self.0.number, self.clone())]);
        let mut gradients = BTreeMap::from([(self.0.number, vec![1.0])]);
        while let Some((number, tensor)) = open.pop_last() {
            let Some((operation, inputs)) = &tensor.0.made else { continue };
            let Some(upstream) = gradients.remove(&number) else { continue };
            let values: Vec<&candle_core::Tensor> = inputs.iter().map(|i| &i.0.value).collect();
            let wanted: Vec<bool> = inputs.iter().map(|input| input.0.learned).collect();
            let way = Way { upstream: &upstream, wanted: &wanted };
            let made = operation.backward(&values, &tensor.0.value, way)?;
            for (input, gradient) in inputs.iter().zip(made) {
                let Some(gradient) = gradient.filter(|_| input.0.learned) else { continue };
                match gradients.get_mut(&input.0.number) {
                    Some(sum) => kernels.accumulate(sum, &gradient),
                    None => drop(gradients.insert(input.0.number, gradient)),
                }
                open.insert(input.0.number, input.clone());
            }
        }
        Ok(Gradients(gradients))
    }

    fn with<O: Operation>(&self, operation: O, others: &[&Tensor]) -> Result<Tensor> {
        let inputs: Vec<&Tensor> = [self].into_iter().chain(others.iter().copied()).collect();
        let values: Vec<&candle_core::Tensor> = inputs.iter().map(|t| &t.0.value).collect();
        let (value, back) = forward(operation, &values)?;
        let learned = inputs.iter().any(|input| input.0.learned);
        let made = learned.then(|| (back, inputs.into_iter().cloned().collect()));
        Ok(Self::numbered(value, learned, made))
    }

    /// The same numbers in another shape.
    pub(crate) fn reshape(&self, shape: &[usize]) -> Result<Tensor> {
        if !self.0.learned {
            return Ok(Self::outside(self.0.value.reshape(shape)?, false));
        }
        self.with(Reshape(shape.to_vec()), &[])
    }

    /// Element by element, of equal shapes.
    pub(crate) fn add(&self, k: Kernels, other: &Tensor) -> Result<Tensor> {
        self.with(Add(k), &[other])
    }

    /// `self Wᵀ + b` over the last axis.
    pub(crate) fn linear(&self, k: Kernels, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
        self.with(Linear(k), &[weight, bias])
    }

    pub(crate) fn add_bias(&self, k: Kernels, bias: &Tensor) -> Result<Tensor> {
        self.with(AddBias(k), &[bias])
    }

    pub(crate) fn apply(&self, kernels: Kernels, function: Function) -> Result<Tensor> {
        self.with(Apply { kernels, function }, &[])
    }

    pub(crate) fn dropout(&self, kernels: Kernels, stream: Stream, rate: f32) -> Result<Tensor> {
        self.with(Dropout { kernels, stream, rate }, &[])
    }

    pub(crate) fn layer_norm(
        &self,
        kernels: Kernels,
        gain: &Tensor,
        shift: &Tensor,
        eps: f32,
    ) -> Result<Tensor> {
        self.with(LayerNorm { kernels, eps }, &[gain, shift])
    }

    /// By the given moments, or by those of this batch, which come back.
    pub(crate) fn batch_norm(
        &self,
        kernels: Kernels,
        gain: &Tensor,
        shift: &Tensor,
        given: Option<Moments>,
        eps: f32,
    ) -> Result<(Tensor, Option<Moments>)> {
        let seen = Arc::new(Mutex::new(None));
        let operation = BatchNorm { kernels, eps, given, seen: seen.clone() };
        let result = self.with(operation, &[gain, shift])?;
        let moments = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok((result, moments))
    }

    pub(crate) fn convolve(
        &self,
        kernels: Kernels,
        weights: &Tensor,
        stride: usize,
        padding: usize,
    ) -> Result<Tensor> {
        self.with(Convolve { kernels, stride, padding }, &[weights])
    }

    pub(crate) fn max_pool(
        &self,
        kernels: Kernels,
        size: [usize; 2],
        stride: usize,
    ) -> Result<Tensor> {
        self.with(MaxPool { kernels, size, stride }, &[])
    }

    pub(crate) fn mean_pool(
        &self,
        kernels: Kernels,
        size: [usize; 2],
        stride: usize,
    ) -> Result<Tensor> {
        self.with(MeanPool { kernels, size, stride }, &[])
    }

    /// The rows of this table that the ids name.
    pub(crate) fn embed(&self, k: Kernels, ids: &Tensor) -> Result<Tensor> {
        self.with(Embed(k), &[ids])
    }

    pub(crate) fn attend(&self, kernels: Kernels, heads: usize, causal: bool) -> Result<Tensor> {
        self.with(Attend { kernels, heads, causal }, &[])
    }

    pub(crate) fn lstm(&self, k: Kernels, u: &Tensor) -> Result<Tensor> {
        self.with(Lstm::new(k), &[u])
    }

    pub(crate) fn gru(&self, k: Kernels, u: &Tensor, bias: &Tensor) -> Result<Tensor> {
        self.with(Gru::new(k), &[u, bias])
    }

    pub(crate) fn cross_entropy(&self, k: Kernels, labels: &Tensor) -> Result<Tensor> {
        self.with(CrossEntropy(k), &[labels])
    }

    pub(crate) fn mean_squares(&self, k: Kernels, targets: &Tensor) -> Result<Tensor> {
        self.with(MeanSquares(k), &[targets])
    }
}
