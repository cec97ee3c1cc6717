//! Work on several threads, by parts of the output.
//!
//! A thread has outputs of its own and computes each as it would alone; no sum is ever split. So
//! the number of threads shows in no bit.

use crate::kernels::Kernels;

/// Calls `fill(first row, its part of out)` for parts of `out`, on as many threads as the work is
/// worth. `out` is `width` wide; parts are multiples of `grain` rows. `work_per_row` counts
/// multiply-adds.
pub(crate) fn split<T: Send>(
    kernels: &Kernels,
    out: &mut [T],
    width: usize,
    work_per_row: usize,
    grain: usize,
    fill: impl Fn(usize, &mut [T]) + Sync,
) {
    if out.is_empty() {
        return;
    }
    let rows = out.len() / width;
    let worth = rows.saturating_mul(work_per_row) / kernels.worth();
    let threads = kernels.threads().get().min(worth).min(rows.div_ceil(grain));
    if threads <= 1 {
        return fill(0, out);
    }
    let part = rows.div_ceil(threads).next_multiple_of(grain);
    // This thread takes the first part itself, so that only the others have to be woken.
    rayon::in_place_scope(|scope| {
        let mut parts = out.chunks_mut(part * width).enumerate();
        let first = parts.next();
        for (n, out) in parts {
            let fill = &fill;
            scope.spawn(move |_| fill(n * part, out));
        }
        if let Some((_, out)) = first {
            fill(0, out);
        }
    });
}
