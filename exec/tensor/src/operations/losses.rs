//! What training makes small: scalars.

use candle_core::{Result, bail};
use lab_arithmetic::Kernels;

use super::{Back, Gradients, Input, Operation};

/// The mean cross-entropy of rows of scores and their labels, in nats.
pub(crate) struct CrossEntropy(pub(crate) Kernels);

/// The mean of `(x - target)^2` over all elements.
pub(crate) struct MeanSquares(pub(crate) Kernels);

impl CrossEntropy {
    fn parts<'a>(inputs: &[Input<'a>]) -> Result<(&'a [f32], usize, &'a [u32])> {
        let [scores, labels] = inputs else { bail!("cross_entropy takes two tensors") };
        let (rows, classes) = scores.rows();
        if rows == 0 || classes == 0 || labels.rows() != (1, rows) && labels.shape != [rows] {
            bail!("labels of shape {:?} for scores of shape {:?}", labels.shape, scores.shape);
        }
        Ok((scores.floats()?, classes, labels.ids(classes, "label")?))
    }
}

impl Operation for CrossEntropy {
    const NAME: &'static str = "cross_entropy";

    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<f32>, Vec<usize>)> {
        let (scores, classes, labels) = Self::parts(inputs)?;
        Ok((vec![self.0.cross_entropy(scores, classes, labels)], vec![]))
    }

    fn backward(&self, inputs: &[Input<'_>], back: Back<'_>) -> Result<Gradients> {
        let (scores, classes, labels) = Self::parts(inputs)?;
        let mut gradient = vec![0.0; scores.len()];
        self.0.cross_entropy_gradient(scores, classes, labels, back.upstream[0], &mut gradient);
        Ok(vec![Some(gradient), None])
    }
}

impl MeanSquares {
    /// `x - target`.
    fn distances(inputs: &[Input<'_>]) -> Result<Vec<f32>> {
        let [x, target] = inputs else { bail!("mean_squares takes two tensors") };
        if x.shape != target.shape || x.floats()?.is_empty() {
            bail!("targets of shape {:?} for results of shape {:?}", target.shape, x.shape);
        }
        Ok(x.floats()?.iter().zip(target.floats()?).map(|(x, target)| x - target).collect())
    }
}

impl Operation for MeanSquares {
    const NAME: &'static str = "mean_squares";

    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<f32>, Vec<usize>)> {
        let distances = Self::distances(inputs)?;
        Ok((vec![self.0.dot(&distances, &distances) / distances.len() as f32], vec![]))
    }

    /// `(x - target) * (2 upstream / n)`.
    fn backward(&self, inputs: &[Input<'_>], back: Back<'_>) -> Result<Gradients> {
        let mut gradient = Self::distances(inputs)?;
        let factor = 2.0 * back.upstream[0] / gradient.len() as f32;
        self.0.scale(&mut gradient, factor);
        Ok(vec![Some(gradient), None])
    }
}
