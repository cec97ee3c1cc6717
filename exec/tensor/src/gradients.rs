//! The gradients of the operations, each in terms of forward operations.
//!
//! Kept apart from them, so that either can be read, tested and replaced by itself. A gradient
//! takes the arguments, the result and the gradient of the loss in the result (`upstream`).

use candle_core::{Result, Tensor};

use crate::forward::{Activate, ActivateGradient, ColumnSums, CrossEntropyGradient, MatMul};
use crate::kernels::Kernels;

/// With A and B as they enter the product: dA = G Bᵀ and dB = Aᵀ G, transposed where they were.
pub(crate) fn matmul(
    op: &MatMul,
    a: &Tensor,
    b: &Tensor,
    upstream: &Tensor,
) -> Result<(Tensor, Tensor)> {
    let product = |a: &Tensor, transpose_a, b: &Tensor, transpose_b| {
        a.apply_op2_no_bwd(b, &MatMul { kernels: op.kernels, transpose_a, transpose_b })
    };
    let (ta, tb) = (op.transpose_a, op.transpose_b);
    let da = match ta {
        false => product(upstream, false, b, !tb)?,
        true => product(b, tb, upstream, true)?,
    };
    let db = match tb {
        false => product(a, !ta, upstream, false)?,
        true => product(upstream, true, a, ta)?,
    };
    Ok((da, db))
}

/// The rows' gradient is upstream itself; the bias gets the sum over rows.
pub(crate) fn add_bias(kernels: Kernels, upstream: &Tensor) -> Result<(Tensor, Tensor)> {
    Ok((upstream.clone(), upstream.apply_op1_no_bwd(&ColumnSums(kernels))?))
}

/// Both activations know their slope from their result.
pub(crate) fn activate(op: &Activate, result: &Tensor, upstream: &Tensor) -> Result<Tensor> {
    result.apply_op2_no_bwd(upstream, &ActivateGradient(*op))
}

/// `(softmax - one-hot) / rows`, times upstream, which is a scalar.
pub(crate) fn cross_entropy(
    kernels: Kernels,
    scores: &Tensor,
    labels: &Tensor,
    upstream: &Tensor,
) -> Result<Tensor> {
    let upstream = upstream.to_scalar()?;
    scores.apply_op2_no_bwd(labels, &CrossEntropyGradient { kernels, upstream })
}
