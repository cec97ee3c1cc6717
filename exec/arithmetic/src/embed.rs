//! Rows of a table, by number: embeddings.
//!
//! The gradient of a row sums over the places that took it, ascending: chains of 256 places, added
//! ascending, as in a product with ones.

use crate::kernels::Kernels;
use crate::product::CHUNK;
use crate::threads::split;

impl Kernels {
    /// The rows `ids` of a table `width` wide, one after the other. Ids are below its rows.
    pub fn embed(&self, table: &[f32], width: usize, ids: &[u32], out: &mut [f32]) {
        assert_eq!(ids.len() * width, out.len(), "a row per id");
        split(self, out, width.max(1), width, 1, |first, out| {
            for (out, id) in out.chunks_exact_mut(width).zip(&ids[first..]) {
                out.copy_from_slice(&table[*id as usize * width..][..width]);
            }
        });
    }

    /// The gradient of [`Kernels::embed`] in the table, of which `out` is as large.
    pub fn embed_gradient(&self, ids: &[u32], width: usize, upstream: &[f32], out: &mut [f32]) {
        assert_eq!(ids.len() * width, upstream.len(), "a row per id");
        let rows = out.len() / width.max(1);
        let (starts, places) = places(ids, rows);
        let work = width * (ids.len() / rows.max(1) + 1);
        split(self, out, width.max(1), work, 1, |first, out| {
            let mut chain = vec![0.0; width];
            for (n, out) in out.chunks_exact_mut(width).enumerate() {
                out.fill(0.0);
                let row = first + n;
                let places = &places[starts[row]..starts[row + 1]];
                for (n, places) in places.chunks(CHUNK).enumerate() {
                    chain.fill(0.0);
                    for place in places {
                        let g = &upstream[*place as usize * width..][..width];
                        chain.iter_mut().zip(g).for_each(|(sum, g)| *sum += g);
                    }
                    for (out, chain) in out.iter_mut().zip(&chain) {
                        *out = if n == 0 { *chain } else { *out + chain };
                    }
                }
            }
        });
    }
}

/// The places sorted by id, ascending among equals, and where each id's places start.
fn places(ids: &[u32], rows: usize) -> (Vec<usize>, Vec<u32>) {
    let mut starts = vec![0usize; rows + 1];
    for id in ids {
        starts[*id as usize + 1] += 1;
    }
    for row in 0..rows {
        starts[row + 1] += starts[row];
    }
    let mut next = starts.clone();
    let mut places = vec![0u32; ids.len()];
    for (place, id) in ids.iter().enumerate() {
        places[next[*id as usize]] = place as u32;
        next[*id as usize] += 1;
    }
    (starts, places)
}
