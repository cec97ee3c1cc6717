//! The product of two matrices.
//!
//! Each output is a sum over k in a fixed order: a chain of fused multiply-adds over 256
//! successive k, from +0.0, ascending; the chains' results are added, ascending, to the first.
//! Tiles, packing and threads split the outputs and never a chain. The last chain stops at k's
//! end: padding it with zeros would turn a -0.0 into +0.0.

use std::ops::Range;

use super::fma::{Fma, Kernel};

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
pub(super) struct Product<'a> {
    pub(super) a: View<'a>,
    pub(super) rows: Range<usize>,
    pub(super) b: &'a Panels,
    pub(super) out: &'a mut [f32],
}

impl Kernel for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn run<F: Fma>(self) {
        let Product { a, rows, b, out } = self;
        for top in rows.clone().step_by(ROWS) {
            let height = ROWS.min(rows.end - top);
            let strip = a.transposed().pack_cols::<ROWS>(top);
            for (panel, left) in b.panels.iter().zip((0..).step_by(COLS)) {
                let width = COLS.min(b.cols - left);
                let tile = tile::<F>(&strip, panel);
                for (i, row) in tile[..height].iter().enumerate() {
                    let start = (top - rows.start + i) * b.cols + left;
                    out[start..start + width].copy_from_slice(&row[..width]);
                }
            }
        }
    }
}

#[inline(always)]
fn tile<F: Fma>(a: &[[f32; ROWS]], b: &[[f32; COLS]]) -> [[f32; COLS]; ROWS] {
    let mut total = [[0.0; COLS]; ROWS];
    for (n, (a, b)) in a.chunks(CHUNK).zip(b.chunks(CHUNK)).enumerate() {
        let mut chain = [[0.0; COLS]; ROWS];
        for (a, b) in a.iter().zip(b) {
            for i in 0..ROWS {
                for j in 0..COLS {
                    chain[i][j] = F::fma(a[i], b[j], chain[i][j]);
                }
            }
        }
        if n == 0 {
            total = chain;
        } else {
            for (total, chain) in total.iter_mut().flatten().zip(chain.iter().flatten()) {
                *total += chain;
            }
        }
    }
    total
}
