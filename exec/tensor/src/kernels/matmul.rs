//! The product of two matrices.
//!
//! Each output is a sum over k in a fixed order: a chain of fused multiply-adds over 256
//! successive k, from +0.0, ascending; the chains' results are added, ascending, to the first.
//! Tiles, packing and threads split the outputs and never a chain. The last chain stops at k's
//! end: padding it with zeros would turn a -0.0 into +0.0.

use std::ops::Range;

use super::fma::{Fma, Kernel, Path, dispatch};

/// Products per chain.
pub const CHUNK: usize = 256;
/// Rows of a tile: with 16 columns, the accumulators of a tile just fit 16 vector registers.
pub(super) const ROWS: usize = 6;
/// Columns of a tile.
pub(super) const COLS: usize = 16;

/// A matrix in a slice, with any distance between its rows and between its columns.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a> View<'a> {
    /// A view of `data`; none if an element would lie outside.
    pub fn new(
        data: &'a [f32],
        (rows, cols): (usize, usize),
        (row_stride, col_stride): (usize, usize),
    ) -> Option<Self> {
        if rows > 0 && cols > 0 {
            let last_row = (rows - 1).checked_mul(row_stride)?;
            let last = (cols - 1).checked_mul(col_stride)?.checked_add(last_row)?;
            data.get(last)?;
        }
        Some(View { data, rows, cols, row_stride, col_stride })
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    fn at(&self, row: usize, col: usize) -> f32 {
        self.data[row * self.row_stride + col * self.col_stride]
    }

    /// `N` columns from `first` on, row by row; columns beyond the last are zero.
    fn pack_cols<const N: usize>(&self, first: usize) -> Vec<[f32; N]> {
        let width = N.min(self.cols - first);
        let row = |row| {
            let mut packed = [0.0; N];
            for (j, slot) in packed[..width].iter_mut().enumerate() {
                *slot = self.at(row, first + j);
            }
            packed
        };
        (0..self.rows).map(row).collect()
    }

    fn transposed(self) -> View<'a> {
        View {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }
}

/// The right factor, cut into panels of [`COLS`] columns that lie in memory as they are read.
pub(super) struct Panels {
    cols: usize,
    panels: Vec<Vec<[f32; COLS]>>,
}

impl Panels {
    pub(super) fn pack(b: View<'_>) -> Panels {
        let panels = (0..b.cols).step_by(COLS).map(|first| b.pack_cols(first)).collect();
        Panels { cols: b.cols, panels }
    }
}

/// Some rows of the product; `out` holds these rows and nothing else.
pub(super) fn product(path: Path, a: View<'_>, rows: Range<usize>, b: &Panels, out: &mut [f32]) {
    for top in rows.clone().step_by(ROWS) {
        let height = ROWS.min(rows.end - top);
        let strip = a.transposed().pack_cols::<ROWS>(top);
        for (panel, left) in b.panels.iter().zip((0..).step_by(COLS)) {
            let width = COLS.min(b.cols - left);
            let tile = dispatch(path, Tile { a: &strip, b: panel });
            for (i, row) in tile[..height].iter().enumerate() {
                let start = (top - rows.start + i) * b.cols + left;
                out[start..start + width].copy_from_slice(&row[..width]);
            }
        }
    }
}

/// [`ROWS`] x [`COLS`] outputs. Dispatched by itself: alone in its function, the compiler keeps
/// the accumulators in registers.
struct Tile<'a> {
    a: &'a [[f32; ROWS]],
    b: &'a [[f32; COLS]],
}

impl Kernel for Tile<'_> {
    type Output = [[f32; COLS]; ROWS];

    #[inline(always)]
    fn run<F: Fma>(self) -> Self::Output {
        let mut total = [[0.0; COLS]; ROWS];
        for (n, (a, b)) in self.a.chunks(CHUNK).zip(self.b.chunks(CHUNK)).enumerate() {
            let chain = chain::<F>(a, b);
            if n == 0 {
                total = chain;
                continue;
            }
            for (total, chain) in total.iter_mut().flatten().zip(chain.iter().flatten()) {
                *total += chain;
            }
        }
        total
    }
}

#[inline(always)]
fn chain<F: Fma>(a: &[[f32; ROWS]], b: &[[f32; COLS]]) -> [[f32; COLS]; ROWS] {
    let [mut c0, mut c1, mut c2, mut c3, mut c4, mut c5] = [[0.0; COLS]; ROWS];
    for (a, b) in a.iter().zip(b) {
        row::<F>(a[0], b, &mut c0);
        row::<F>(a[1], b, &mut c1);
        row::<F>(a[2], b, &mut c2);
        row::<F>(a[3], b, &mut c3);
        row::<F>(a[4], b, &mut c4);
        row::<F>(a[5], b, &mut c5);
    }
    [c0, c1, c2, c3, c4, c5]
}

#[inline(always)]
fn row<F: Fma>(a: f32, b: &[f32; COLS], chain: &mut [f32; COLS]) {
    for (chain, b) in chain.iter_mut().zip(b) {
        *chain = F::fma(a, *b, *chain);
    }
}
