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
use crate::trace;

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
            for (place, (input, gradient)) in inputs.iter().zip(made).enumerate() {
                let Some(gradient) = gradient.filter(|_| input.0.learned) else { continue };
                trace::backward(number, place, input.shape(), &gradient);
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
        let result = Self::numbered(value, learned, made);
        trace::forward(result.0.number, O::NAME, result.shape(), || result.values())?;
        Ok(result)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn kernels() -> Kernels {
        Kernels::detect()
    }

    fn parameter(values: &[f32], shape: &[usize]) -> Tensor {
        Tensor::parameter(values.to_vec(), shape).unwrap()
    }

    fn outside(values: &[f32], shape: &[usize]) -> Tensor {
        Tensor::new(values.to_vec(), shape).unwrap()
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    // proves A-78: in the order (g3 + g2) + g1 of three uses, and the loss begins with 1.0.
    #[test]
    fn gradients_are_added_from_the_last_use_on() {
        let tiny = 2f32.powi(-24);
        let gradient = |factors: [f32; 3]| {
            let x = parameter(&[1.0], &[1, 1]);
            let bias = outside(&[0.0], &[1]);
            let made = factors
                .map(|factor| x.linear(kernels(), &outside(&[factor], &[1, 1]), &bias).unwrap());
            let sum = made[0].add(kernels(), &made[1]).unwrap().add(kernels(), &made[2]).unwrap();
            // With a distance of 0.5 the gradient in the sum is 0.5 * (2.0 * 1.0 / 1.0) = 1.0.
            let target = outside(&[sum.values().unwrap()[0] - 0.5], &[1, 1]);
            let loss = sum.mean_squares(kernels(), &target).unwrap();
            loss.backward(kernels()).unwrap().take(&x)[0]
        };
        // The factor of 1 is the last use: what follows is lost, one by one.
        assert_eq!(gradient([tiny, tiny, 1.0]), 1.0);
        // It is the first use: the other two are added before.
        assert_eq!(gradient([1.0, tiny, tiny]), 1.0 + 2.0 * tiny);
    }

    // proves A-77: what the loss does not reach has the gradient +0.0.
    #[test]
    fn what_the_loss_does_not_reach_has_no_gradient() {
        let (x, other) = (parameter(&[2.0], &[1, 1]), parameter(&[3.0, 4.0], &[2]));
        let loss = x.mean_squares(kernels(), &outside(&[1.0], &[1, 1])).unwrap();
        let mut gradients = loss.backward(kernels()).unwrap();
        assert_eq!(gradients.take(&x), [2.0]);
        assert_eq!(bits(&gradients.take(&other)), [0, 0]);
    }

    // proves A-49
    #[test]
    fn sums_and_shapes_pass_gradients_on() {
        let (a, b) = (parameter(&[1.0, -0.0], &[1, 2]), parameter(&[0.1, 0.0], &[2, 1]));
        let sum = a.add(kernels(), &b.reshape(&[1, 2]).unwrap()).unwrap();
        assert_eq!(bits(&sum.values().unwrap()), bits(&[1.0 + 0.1, 0.0]));
        let loss = sum.mean_squares(kernels(), &outside(&[0.3, 7.0], &[1, 2])).unwrap();
        let mut gradients = loss.backward(kernels()).unwrap();
        let expected = [((1.0 + 0.1) - 0.3) * (2.0 / 2.0), (0.0 - 7.0) * (2.0 / 2.0)];
        assert_eq!(bits(&gradients.take(&a)), bits(&expected));
        assert_eq!(bits(&gradients.take(&b)), bits(&expected));
        // The same tensor twice: it gets both.
        let twice = a.add(kernels(), &a).unwrap();
        let loss = twice.mean_squares(kernels(), &outside(&[1.0, 1.0], &[1, 2])).unwrap();
        assert_eq!(loss.backward(kernels()).unwrap().take(&a), [2.0, -2.0]);
    }

    /// Some numbers that need all bits.
    fn some(n: usize, seed: u32) -> Vec<f32> {
        lab_arithmetic::battery::activations(n, seed)
    }

    // proves A-56
    #[test]
    fn mean_squares() {
        let n = 70;
        let (x, target) = (some(n, 1), some(n, 2));
        let d: Vec<f32> = x.iter().zip(&target).map(|(x, target)| x - target).collect();
        let results = parameter(&x, &[n, 1]);
        let loss = results.mean_squares(kernels(), &outside(&target, &[n, 1])).unwrap();
        let expected = kernels().dot(&d, &d) / 70.0;
        assert_eq!(loss.scalar().unwrap().to_bits(), expected.to_bits());
        let gradient = loss.backward(kernels()).unwrap().take(&results);
        let expected: Vec<f32> = d.iter().map(|d| d * ((2.0 * 1.0) / 70.0)).collect();
        assert_eq!(bits(&gradient), bits(&expected));
    }

    /// Parts of 256, each from +0.0 on, added ascending.
    fn chain(pairs: &[(f32, f32)]) -> f32 {
        let part = |part: &[(f32, f32)]| part.iter().fold(0.0f32, |s, (a, b)| a.mul_add(*b, s));
        pairs.chunks(256).map(part).reduce(|t, s| t + s).unwrap_or(0.0)
    }

    // proves A-47
    #[test]
    fn linear_layers() {
        let (rows, from, to) = (300, 270, 3);
        let (x, w, b) = (some(rows * from, 3), some(to * from, 4), some(to, 5));
        let target = some(rows * to, 6);
        let [x_in, w_in, b_in] =
            [(&x, &[rows, from][..]), (&w, &[to, from]), (&b, &[to])].map(|(v, s)| parameter(v, s));
        let y = x_in.linear(kernels(), &w_in, &b_in).unwrap();
        let mut expected = Vec::new();
        for (i, o) in (0..rows * to).map(|n| (n / to, n % to)) {
            let pairs: Vec<_> = (0..from).map(|k| (x[i * from + k], w[o * from + k])).collect();
            expected.push(chain(&pairs) + b[o]);
        }
        assert_eq!(bits(&y.values().unwrap()), bits(&expected));
        let loss = y.mean_squares(kernels(), &outside(&target, &[rows, to])).unwrap();
        let factor = 2.0 / (rows * to) as f32;
        let g: Vec<f32> = expected.iter().zip(&target).map(|(y, t)| (y - t) * factor).collect();
        let mut gradients = loss.backward(kernels()).unwrap();
        let mut dx = Vec::new();
        for (i, k) in (0..rows * from).map(|n| (n / from, n % from)) {
            let pairs: Vec<_> = (0..to).map(|o| (g[i * to + o], w[o * from + k])).collect();
            dx.push(chain(&pairs));
        }
        let mut dw = Vec::new();
        for (o, k) in (0..to * from).map(|n| (n / from, n % from)) {
            let pairs: Vec<_> = (0..rows).map(|i| (g[i * to + o], x[i * from + k])).collect();
            dw.push(chain(&pairs));
        }
        let db: Vec<f32> = (0..to)
            .map(|o| chain(&(0..rows).map(|i| (1.0, g[i * to + o])).collect::<Vec<_>>()))
            .collect();
        assert_eq!(bits(&gradients.take(&x_in)), bits(&dx));
        assert_eq!(bits(&gradients.take(&w_in)), bits(&dw));
        assert_eq!(bits(&gradients.take(&b_in)), bits(&db));
    }
}
