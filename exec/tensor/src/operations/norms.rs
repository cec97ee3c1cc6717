//! Normalisation over a row, and over a batch.

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{Result, bail};
use lab_arithmetic::{Kernels, Moments};

use super::dense::vector;
use super::{Back, Gradients, Input, Operation};

/// Layer normalisation over the last axis: x, gain, shift.
pub(crate) struct LayerNorm {
    pub(crate) kernels: Kernels,
    pub(crate) eps: f32,
}

/// Batch normalisation of the last axis: x, gain, shift.
pub(crate) struct BatchNorm {
    pub(crate) kernels: Kernels,
    pub(crate) eps: f32,
    /// The moments to go by; none: those of the batch, which are left here.
    pub(crate) given: Option<Moments>,
    pub(crate) seen: Arc<Mutex<Option<Moments>>>,
}

fn affine<'a>(inputs: &[Input<'a>]) -> Result<(&'a [f32], &'a [f32], &'a [f32])> {
    let [x, gain, shift] = inputs else { bail!("a normalisation takes three tensors") };
    let width = x.rows().1;
    Ok((x.floats()?, vector(gain, width, "a gain")?, vector(shift, width, "a shift")?))
}

impl Operation for LayerNorm {
    const NAME: &'static str = "layer_norm";

    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<f32>, Vec<usize>)> {
        let (x, gain, shift) = affine(inputs)?;
        let mut result = vec![0.0; x.len()];
        self.kernels.layer_norm(x, gain, shift, self.eps, &mut result);
        Ok((result, inputs[0].shape.to_vec()))
    }

    fn backward(&self, inputs: &[Input<'_>], back: Back<'_>) -> Result<Gradients> {
        let (x, gain, _) = affine(inputs)?;
        let (dx, d_gain, d_shift) =
            self.kernels.layer_norm_gradient(x, gain, back.upstream, self.eps);
        Ok(vec![Some(dx), Some(d_gain), Some(d_shift)])
    }
}

impl Operation for BatchNorm {
    const NAME: &'static str = "batch_norm";

    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<f32>, Vec<usize>)> {
        let (x, gain, shift) = affine(inputs)?;
        let moments = match &self.given {
            Some(given) if given.mean.len() != gain.len() => {
                bail!("moments of {} channels for {}", given.mean.len(), gain.len())
            }
            Some(given) => given.clone(),
            None => self.kernels.moments(x, gain.len()),
        };
        let mut result = vec![0.0; x.len()];
        self.kernels.batch_norm(x, &moments, gain, shift, self.eps, &mut result);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(moments);
        Ok((result, inputs[0].shape.to_vec()))
    }

    fn backward(&self, inputs: &[Input<'_>], back: Back<'_>) -> Result<Gradients> {
        let (x, gain, _) = affine(inputs)?;
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (None, Some(moments)) = (&self.given, seen.as_ref()) else {
            bail!("given moments are for judging, not for learning")
        };
        let (dx, d_gain, d_shift) =
            self.kernels.batch_norm_gradient(x, moments, gain, back.upstream, self.eps);
        Ok(vec![Some(dx), Some(d_gain), Some(d_shift)])
    }
}
