//! The rows nearest to other rows, by brute force in blocks.
//!
//! A tile of training rows is turned on its side once and serves a block of queries: its lanes are
//! summed side by side, each in ascending order of features, so the speed of vectors costs no bit.
//! Memory beside the answer is one tile and the neighbours of one block.

use crate::error::{MetricsError, Result};
use crate::features::Features;

/// Most neighbours of a row; bounds what is kept per block.
pub(crate) const MAX_NEIGHBOURS: usize = 1 << 12;
/// Queries per block.
const BLOCK: usize = 256;
/// Training rows per tile.
const LANES: usize = 16;

/// Rows to search, and how many neighbours to find.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Neighbours {
    pub(crate) features: Vec<f32>,
    pub(crate) columns: usize,
    pub(crate) k: usize,
}

/// A training row and the square of its distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Neighbour {
    squared: f64,
    pub(crate) row: usize,
}

impl Neighbours {
    pub(crate) fn new(features: Features<'_>, k: usize) -> Result<Neighbours> {
        let (rows, limit) = (features.rows(), features.rows().min(MAX_NEIGHBOURS));
        if k == 0 || k > limit {
            return Err(MetricsError::Neighbours { k, limit, rows });
        }
        Ok(Neighbours { features: features.values().to_vec(), columns: features.columns(), k })
    }

    /// Calls `found` for each query in order, with its k neighbours, nearest first and of equally
    /// near ones the lowest row first.
    pub(crate) fn each(
        &self,
        queries: Features<'_>,
        mut found: impl FnMut(&[Neighbour]) -> Result<()>,
    ) -> Result<()> {
        queries.fit_for(self.columns)?;
        let mut tile = vec![[0.0; LANES]; self.columns];
        let mut nearest: Vec<Vec<Neighbour>> = vec![Vec::new(); BLOCK.min(queries.rows())];
        for block in queries.values().chunks(BLOCK * self.columns) {
            nearest.iter_mut().for_each(Vec::clear);
            for (at, rows) in self.features.chunks(LANES * self.columns).enumerate() {
                turn(rows, self.columns, &mut tile);
                let lanes = rows.len() / self.columns;
                for (query, nearest) in block.chunks_exact(self.columns).zip(&mut nearest) {
                    let squared = squared_distances(query, &tile);
                    for (lane, squared) in squared.into_iter().take(lanes).enumerate() {
                        offer(nearest, self.k, Neighbour { squared, row: at * LANES + lane });
                    }
                }
            }
            let queries = block.len() / self.columns;
            nearest.iter().take(queries).try_for_each(|nearest| found(nearest))?;
        }
        Ok(())
    }
}

/// Column by column what `rows` has row by row. Lanes past the last row keep old numbers.
fn turn(rows: &[f32], columns: usize, tile: &mut [[f64; LANES]]) {
    for (lane, row) in rows.chunks_exact(columns).enumerate() {
        for (value, lanes) in row.iter().zip(tile.iter_mut()) {
            lanes[lane] = f64::from(*value);
        }
    }
}

fn squared_distances(query: &[f32], tile: &[[f64; LANES]]) -> [f64; LANES] {
    let mut sums = [0.0; LANES];
    for (value, lanes) in query.iter().zip(tile) {
        let value = f64::from(*value);
        for (sum, other) in sums.iter_mut().zip(lanes) {
            let difference = value - other;
            *sum += difference * difference;
        }
    }
    sums
}

/// Rows come in ascending order, so one that is as near as those before it stands behind them.
fn offer(nearest: &mut Vec<Neighbour>, k: usize, new: Neighbour) {
    if nearest.len() == k {
        if nearest.last().is_some_and(|last| last.squared <= new.squared) {
            return;
        }
        nearest.pop();
    }
    let place = nearest.partition_point(|old| old.squared <= new.squared);
    nearest.insert(place, new);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every distance, then a stable sort.
    fn plainly(train: &[f32], query: &[f32], k: usize) -> Vec<Neighbour> {
        let squared = |row: &[f32]| {
            let difference = |(a, b): (&f32, &f32)| f64::from(*a) - f64::from(*b);
            query.iter().zip(row).map(difference).map(|d| d * d).fold(0.0, |sum, d| sum + d)
        };
        let rows = train.chunks_exact(query.len()).map(squared).enumerate();
        let mut all: Vec<_> = rows.map(|(row, squared)| Neighbour { squared, row }).collect();
        all.sort_by(|a, b| a.squared.total_cmp(&b.squared));
        all.truncate(k);
        all
    }

    fn numbers(count: usize, seed: u64, spread: u64) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            ((state >> 33) % spread) as f32 / 7.0 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn blocks_find_what_a_sort_finds() {
        // Few distinct numbers: most distances are there several times.
        for (rows, queries, columns, spread) in
            [(1, 1, 1, 3), (15, 3, 2, 3), (16, 256, 1, 4), (17, 257, 3, 2), (100, 600, 5, 1 << 20)]
        {
            let train = numbers(rows * columns, 1, spread);
            let query = numbers(queries * columns, 2, spread);
            for k in [1, 2, rows / 2, rows].into_iter().filter(|k| (1..=rows).contains(k)) {
                let found = Neighbours::new(Features::new(&train, columns).unwrap(), k).unwrap();
                let mut expected = query.chunks_exact(columns).map(|q| plainly(&train, q, k));
                let check = |nearest: &[Neighbour]| {
                    assert_eq!(Some(nearest.to_vec()), expected.next(), "{rows} {columns} {k}");
                    Ok(())
                };
                found.each(Features::new(&query, columns).unwrap(), check).unwrap();
                assert!(expected.next().is_none());
            }
        }
    }

    #[test]
    fn the_largest_numbers_have_a_distance() {
        let train = [f32::MAX, f32::MAX, f32::MIN, f32::MIN];
        let neighbours = Neighbours::new(Features::new(&train, 2).unwrap(), 2).unwrap();
        let check = |nearest: &[Neighbour]| {
            assert_eq!(nearest[0], Neighbour { squared: 0.0, row: 1 });
            assert!(nearest[1].squared.is_finite());
            Ok(())
        };
        neighbours.each(Features::new(&[f32::MIN, f32::MIN], 2).unwrap(), check).unwrap();
    }

    #[test]
    fn impossible_neighbours_are_refused() {
        let features = Features::new(&[1.0, 2.0, 3.0], 1).unwrap();
        for k in [0, 4, usize::MAX] {
            let limit = Err(MetricsError::Neighbours { k, limit: 3, rows: 3 });
            assert_eq!(Neighbours::new(features, k), limit);
        }
        let many = vec![0.0; 5000];
        let error = Neighbours::new(Features::new(&many, 1).unwrap(), 4097).unwrap_err();
        assert_eq!(
            error.to_string(),
            "k = 4097: a number from 1 to 4096 is needed (5000 rows to learn from)"
        );
        let found = Neighbours::new(features, 1).unwrap();
        let error = found.each(Features::new(&[1.0, 2.0], 2).unwrap(), |_| Ok(())).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the rows have 2 columns, those that the model has learned from 1"
        );
    }
}
