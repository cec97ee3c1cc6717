//! Attention: each place of a sequence takes a mean of all values, weighted by how well its query
//! fits their keys (Vaswani et al., "Attention is all you need", 2017, section 3.2).
//!
//! Queries, keys and values come side by side: [sequence, place, 3 width], each cut into heads.
//! Per head: scores = (Q Kᵀ) * scale with scale = 1 / sqrt(width of a head); what must not be seen
//! has the weight +0.0 and the softmax of a row is over what it sees; result = weights V. Products
//! and softmax are those of the other modules. Weights are computed again for the gradient.

use crate::kernels::Kernels;
use crate::path::{Fma, Kernel, dispatch};
use crate::product::View;
use crate::rows::{softmax_gradient_row, softmax_row};
use crate::scratch;
use crate::threads::split;

/// The shape of an attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attention {
    /// Places of a sequence.
    pub places: usize,
    /// Floats of a query, over all heads.
    pub width: usize,
    /// Heads; they divide the width.
    pub heads: usize,
    /// Whether a place sees only itself and what is before it.
    pub causal: bool,
}

/// Scores become weights, in place.
struct Weigh<'a> {
    attention: Attention,
    scale: f32,
    row: &'a mut [f32],
    scores: &'a mut [f32],
}

impl Kernel for Weigh<'_> {
    type Output = ();

    #[inline(always)]
    fn run<F: Fma>(self) {
        let places = self.attention.places;
        for (place, scores) in self.scores.chunks_exact_mut(places).enumerate() {
            let seen = if self.attention.causal { place + 1 } else { places };
            let (seen, hidden) = scores.split_at_mut(seen);
            let row = &mut self.row[..seen.len()];
            for (row, score) in row.iter_mut().zip(&*seen) {
                *row = score * self.scale;
            }
            softmax_row::<F>(row, seen);
            hidden.fill(0.0);
        }
    }
}

/// The gradient in the weights becomes that in the scores, in place.
struct WeighGradient<'a> {
    attention: Attention,
    scale: f32,
    row: &'a mut [f32],
    weights: &'a [f32],
    upstream: &'a mut [f32],
}

impl Kernel for WeighGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<F: Fma>(self) {
        let places = self.attention.places;
        let rows = self.upstream.chunks_exact_mut(places).zip(self.weights.chunks_exact(places));
        for (place, (g, weights)) in rows.enumerate() {
            let seen = if self.attention.causal { place + 1 } else { places };
            let row = &mut self.row[..seen];
            softmax_gradient_row::<F>(&weights[..seen], &g[..seen], row);
            g[seen..].fill(0.0);
            for (g, row) in g.iter_mut().zip(row) {
                *g = *row * self.scale;
            }
        }
    }
}

impl Attention {
    /// Query, key (1) or value (2) of a head.
    fn part<'a>(&self, qkv: &'a [f32], which: usize, head: usize) -> View<'a> {
        let depth = self.width / self.heads;
        let start = which * self.width + head * depth;
        View::new(&qkv[start..], (self.places, depth), (3 * self.width, 1)).expect("shapes agree")
    }

    fn of_head<'a>(&self, rows: &'a [f32], head: usize) -> View<'a> {
        let depth = self.width / self.heads;
        View::new(&rows[head * depth..], (self.places, depth), (self.width, 1))
            .expect("shapes agree")
    }

    fn scale(&self) -> f32 {
        1.0 / ((self.width / self.heads) as f32).sqrt()
    }

    fn square<'a>(&self, weights: &'a [f32]) -> View<'a> {
        View::of(weights, self.places, self.places).expect("a square")
    }

    /// Copies what a head made to its columns of rows `stride` wide.
    fn place(&self, made: &[f32], out: &mut [f32], first: usize, stride: usize) {
        let depth = self.width / self.heads;
        for (made, out) in made.chunks_exact(depth).zip(out.chunks_mut(stride)) {
            out[first..first + depth].copy_from_slice(made);
        }
    }

    fn weights(
        &self,
        kernels: &Kernels,
        qkv: &[f32],
        head: usize,
        row: &mut [f32],
        out: &mut [f32],
    ) {
        let (q, k) = (self.part(qkv, 0, head), self.part(qkv, 1, head));
        kernels.matmul(q, k.transposed(), out);
        let (attention, scale) = (*self, self.scale());
        dispatch(kernels.path(), Weigh { attention, scale, row, scores: out });
    }

    fn work(&self) -> usize {
        self.places * self.places * self.width * 2
    }
}

impl Kernels {
    /// `out` [sequence, place, width] of `qkv` [sequence, place, 3 width].
    pub fn attention(&self, attention: Attention, qkv: &[f32], out: &mut [f32]) {
        let Attention { places, width, heads, .. } = attention;
        let alone = self.alone();
        split(self, out, places * width, attention.work(), 1, |first, out| {
            let mut row = scratch::take(places);
            let mut weights = scratch::take(places * places);
            let mut made = scratch::take(places * width / heads);
            for (n, out) in out.chunks_exact_mut(places * width).enumerate() {
                let qkv = &qkv[(first + n) * 3 * places * width..][..3 * places * width];
                for head in 0..heads {
                    attention.weights(&alone, qkv, head, &mut row, &mut weights);
                    let values = attention.part(qkv, 2, head);
                    alone.matmul(attention.square(&weights), values, &mut made);
                    attention.place(&made, out, head * width / heads, width);
                }
            }
        });
    }

    /// The gradient of [`Kernels::attention`] in `qkv`.
    pub fn attention_gradient(
        &self,
        attention: Attention,
        qkv: &[f32],
        upstream: &[f32],
        out: &mut [f32],
    ) {
        let Attention { places, width, heads, .. } = attention;
        let alone = self.alone();
        split(self, out, 3 * places * width, 3 * attention.work(), 1, |first, out| {
            let mut row = scratch::take(places);
            let mut weights = scratch::take(places * places);
            let mut inner = scratch::take(places * places);
            let mut made = scratch::take(places * width / heads);
            for (n, out) in out.chunks_exact_mut(3 * places * width).enumerate() {
                let qkv = &qkv[(first + n) * 3 * places * width..][..3 * places * width];
                let upstream = &upstream[(first + n) * places * width..][..places * width];
                for head in 0..heads {
                    let at = head * width / heads;
                    let g = attention.of_head(upstream, head);
                    attention.weights(&alone, qkv, head, &mut row, &mut weights);
                    alone.matmul(attention.square(&weights).transposed(), g, &mut made);
                    attention.place(&made, out, 2 * width + at, 3 * width);
                    let values = attention.part(qkv, 2, head);
                    alone.matmul(g, values.transposed(), &mut inner);
                    let scale = attention.scale();
                    let (row, weights) = (&mut row[..], &weights[..]);
                    let upstream = &mut inner[..];
                    dispatch(
                        alone.path(),
                        WeighGradient { attention, scale, row, weights, upstream },
                    );
                    let inner = attention.square(&inner);
                    alone.matmul(inner, attention.part(qkv, 1, head), &mut made);
                    attention.place(&made, out, at, 3 * width);
                    alone.matmul(inner.transposed(), attention.part(qkv, 0, head), &mut made);
                    attention.place(&made, out, width + at, 3 * width);
                }
            }
        });
    }
}
