//! The product of two matrices.
//!
//! Each output is a sum over k in a fixed order: a chain of fused multiply-adds over 256
//! successive k, from +0.0, ascending; the chains' results are added, ascending, to the first.
//! Tiles, packing and threads split the outputs and never a chain. A chain stops at k's end:
//! going on with zeros would turn a -0.0 into +0.0.
//!
//! One block of 256 k at a time: the right factor lies packed in panels as wide as a tile, the
//! left one is packed in strips as high as a tile, as many as the second-level cache holds.

use crate::kernels::Kernels;
use crate::path::Path;
use crate::scratch::{self, Scratch};
use crate::threads::split;
use crate::vector::Vector;
#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::float32x4_t;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256, __m512};

/// Products per chain.
pub const CHUNK: usize = 256;
/// Rows of the left factor that are packed at a time, about.
const BLOCK_ROWS: usize = 168;

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

    /// A matrix whose rows lie one behind the other; none if the slice is not as long as that.
    pub fn of(data: &'a [f32], rows: usize, cols: usize) -> Option<Self> {
        let fits = rows.checked_mul(cols) == Some(data.len());
        fits.then_some(View { data, rows, cols, row_stride: cols, col_stride: 1 })
    }

    /// Rows and columns exchanged.
    pub fn transposed(self) -> View<'a> {
        View {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Packs the rows `row..row + depth` of `N` columns from `first` on, row by row; columns
    /// beyond the last are zero.
    #[inline(always)]
    fn pack<const N: usize>(&self, row: usize, depth: usize, first: usize, out: &mut [f32]) {
        let width = N.min(self.cols - first);
        let start = row * self.row_stride + first * self.col_stride;
        let out = out[..depth * N].chunks_exact_mut(N);
        if self.col_stride == 1 && width == N {
            for (k, packed) in out.enumerate() {
                packed.copy_from_slice(&self.data[start + k * self.row_stride..][..N]);
            }
        } else if self.row_stride == 1 && width == N {
            let columns: [&[f32]; N] =
                std::array::from_fn(|j| &self.data[start + j * self.col_stride..][..depth]);
            for (k, packed) in out.enumerate() {
                for (slot, column) in packed.iter_mut().zip(&columns) {
                    *slot = column[k];
                }
            }
        } else {
            for (k, packed) in out.enumerate() {
                let row = start + k * self.row_stride;
                for (j, slot) in packed.iter_mut().enumerate() {
                    *slot = if j < width { self.data[row + j * self.col_stride] } else { 0.0 };
                }
            }
        }
    }
}

/// The right factor of products, packed as tiles read it; for several products with it.
#[derive(Clone, Debug)]
pub struct Packed {
    path: Path,
    rows: usize,
    cols: usize,
    /// For each block of [`CHUNK`] rows its panels, each row by row.
    data: Scratch,
}

impl Kernels {
    /// Packs a right factor.
    pub fn pack(&self, b: View<'_>) -> Packed {
        match self.path() {
            #[cfg(target_arch = "x86_64")]
            Path::Avx512 => pack::<32>(self, b),
            #[cfg(target_arch = "x86_64")]
            Path::Avx2 => pack::<16>(self, b),
            #[cfg(target_arch = "aarch64")]
            Path::Neon => pack::<12>(self, b),
            _ => pack::<4>(self, b),
        }
    }

    /// `out = a * b`, row after row; `out` has a's rows and b's columns.
    pub fn matmul(&self, a: View<'_>, b: View<'_>, out: &mut [f32]) {
        self.matmul_add(a, b, false, out);
    }

    /// Like [`Kernels::matmul`]; with `add`, the chains are added to what `out` holds.
    pub(crate) fn matmul_add(&self, a: View<'_>, b: View<'_>, add: bool, out: &mut [f32]) {
        let packed = self.pack(b);
        self.multiply(a, &packed, add, out);
    }

    /// Like [`Kernels::matmul`], with a right factor that [`Kernels::pack`] has packed.
    pub fn matmul_packed(&self, a: View<'_>, b: &Packed, out: &mut [f32]) {
        self.multiply(a, b, false, out);
    }

    fn multiply(&self, a: View<'_>, b: &Packed, add: bool, out: &mut [f32]) {
        assert_eq!((a.cols, a.rows * b.cols), (b.rows, out.len()), "shapes of a product");
        assert_eq!(self.path(), b.path, "packed for another path");
        match self.path() {
            #[cfg(target_arch = "x86_64")]
            Path::Avx512 => product::<Avx512, 8, 32>(self, a, b, add, out),
            #[cfg(target_arch = "x86_64")]
            Path::Avx2 => product::<Avx2, 6, 16>(self, a, b, add, out),
            #[cfg(target_arch = "aarch64")]
            Path::Neon => product::<Neon, 8, 12>(self, a, b, add, out),
            _ => product::<Generic, 4, 4>(self, a, b, add, out),
        }
    }
}

fn pack<const COLS: usize>(kernels: &Kernels, b: View<'_>) -> Packed {
    let panels = b.cols.div_ceil(COLS);
    let mut data = scratch::take(b.rows * panels * COLS);
    for (n, slab) in data.chunks_mut((CHUNK * panels * COLS).max(1)).enumerate() {
        let depth = CHUNK.min(b.rows - n * CHUNK);
        let width = depth * COLS;
        split(kernels, slab, width, width * 4, 1, |first, out| {
            for (panel, out) in out.chunks_mut(width).enumerate() {
                b.pack::<COLS>(n * CHUNK, depth, (first + panel) * COLS, out);
            }
        });
    }
    Packed { path: kernels.path(), rows: b.rows, cols: b.cols, data }
}

/// The tile of a path.
trait Tile<const ROWS: usize, const COLS: usize> {
    /// The chains of `ROWS` by `COLS` outputs, whose distance in `out` is `stride`: stored, or
    /// added to what is there. `a` is packed by `ROWS`, `b` by `COLS`.
    fn chain(a: &[f32], b: &[f32], add: bool, out: &mut [f32], stride: usize);
}

fn product<T: Tile<ROWS, COLS>, const ROWS: usize, const COLS: usize>(
    kernels: &Kernels,
    a: View<'_>,
    b: &Packed,
    add: bool,
    out: &mut [f32],
) {
    if a.cols == 0 && !add {
        return out.fill(0.0);
    }
    split(kernels, out, b.cols, a.cols * b.cols, ROWS, |first, out| {
        rows::<T, ROWS, COLS>(a, first, b, add, out);
    });
}

/// The rows of the product from `first` on; `out` holds these and nothing else.
fn rows<T: Tile<ROWS, COLS>, const ROWS: usize, const COLS: usize>(
    a: View<'_>,
    first: usize,
    b: &Packed,
    add: bool,
    out: &mut [f32],
) {
    let panels = b.cols.div_ceil(COLS);
    let height = out.len() / b.cols;
    let block = (BLOCK_ROWS / ROWS * ROWS).min(height.next_multiple_of(ROWS));
    let mut strips = scratch::take(block * CHUNK.min(a.cols));
    let by_column = a.transposed();
    for from in (0..a.cols).step_by(CHUNK) {
        let depth = CHUNK.min(a.cols - from);
        let slab = &b.data[from * panels * COLS..][..depth * panels * COLS];
        for top in (0..height).step_by(block) {
            let bottom = height.min(top + block);
            for (row, strip) in (top..bottom).step_by(ROWS).zip(strips.chunks_mut(depth * ROWS)) {
                by_column.pack::<ROWS>(from, depth, first + row, strip);
            }
            for (panel, b_panel) in slab.chunks_exact(depth * COLS).enumerate() {
                let left = panel * COLS;
                let strips = strips.chunks_exact(depth * ROWS);
                for (row, strip) in (top..bottom).step_by(ROWS).zip(strips) {
                    let whole = row + ROWS <= height && left + COLS <= b.cols;
                    let out = &mut out[row * b.cols + left..];
                    if whole {
                        T::chain(strip, b_panel, add || from > 0, out, b.cols);
                    } else {
                        let size = (ROWS.min(height - row), COLS.min(b.cols - left));
                        edge::<T, ROWS, COLS>(strip, b_panel, add || from > 0, out, b.cols, size);
                    }
                }
            }
        }
    }
}

/// A tile that reaches beyond the last row or column.
fn edge<T: Tile<ROWS, COLS>, const ROWS: usize, const COLS: usize>(
    a: &[f32],
    b: &[f32],
    add: bool,
    out: &mut [f32],
    stride: usize,
    (height, width): (usize, usize),
) {
    let mut tile = [[0.0; COLS]; ROWS];
    T::chain(a, b, false, tile.as_flattened_mut(), COLS);
    for (row, chains) in tile[..height].iter().enumerate() {
        let out = &mut out[row * stride..][..width];
        for (out, chain) in out.iter_mut().zip(chains) {
            *out = if add { *out + chain } else { *chain };
        }
    }
}

/// `ROWS` by `WIDE` vectors of outputs, which stay in registers over the whole chain.
#[inline(always)]
fn tile<V: Vector, const ROWS: usize, const WIDE: usize>(
    a: &[f32],
    b: &[f32],
    add: bool,
    out: &mut [f32],
    stride: usize,
) {
    let mut chains = [[V::splat(0.0); WIDE]; ROWS];
    for (a, b) in a.chunks_exact(ROWS).zip(b.chunks_exact(WIDE * V::LANES)) {
        let b: [V; WIDE] = std::array::from_fn(|j| V::load(&b[j * V::LANES..]));
        for i in 0..ROWS {
            let factor = V::splat(a[i]);
            for j in 0..WIDE {
                chains[i][j] = b[j].fma(factor, chains[i][j]);
            }
        }
    }
    for (i, chains) in chains.iter().enumerate() {
        let out = &mut out[i * stride..][..WIDE * V::LANES];
        for (j, chain) in chains.iter().enumerate() {
            let out = &mut out[j * V::LANES..];
            let sum = if add { V::load(out).add(*chain) } else { *chain };
            sum.store(out);
        }
    }
}

/// A tile of one path: the function above, compiled for that processor.
macro_rules! tile {
    ($(#[$features:meta])? $name:ident: $vector:ty, $rows:literal x $wide:literal) => {
        struct $name;

        impl Tile<$rows, { $wide * <$vector as Vector>::LANES }> for $name {
            #[inline(always)]
            fn chain(a: &[f32], b: &[f32], add: bool, out: &mut [f32], stride: usize) {
                $(#[$features])?
                #[inline(never)]
                fn compiled(a: &[f32], b: &[f32], add: bool, out: &mut [f32], stride: usize) {
                    tile::<$vector, $rows, $wide>(a, b, add, out, stride);
                }
                #[allow(unused_unsafe, reason = "not unsafe without features")]
                #[expect(unsafe_code, reason = "`Kernels` holds a path only if the processor has it")]
                unsafe {
                    compiled(a, b, add, out, stride)
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
tile!(#[target_feature(enable = "avx512f,avx2,fma")] Avx512: __m512, 8 x 2);
#[cfg(target_arch = "x86_64")]
tile!(#[target_feature(enable = "avx2,fma")] Avx2: __m256, 6 x 2);
#[cfg(target_arch = "aarch64")]
tile!(Neon: float32x4_t, 8 x 3);
tile!(Generic: f32, 4 x 4);
