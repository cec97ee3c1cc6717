//! What stands in the same order in two sequences.

/// Positions of a longest strictly increasing subsequence of `values`, ascending (patience sorting:
/// Fredman, "On computing the length of longest increasing subsequences", 1975).
pub(crate) fn increasing(values: &[u32]) -> Vec<u32> {
    // For each length the position of the least value that ends a subsequence of it.
    let mut ends: Vec<u32> = Vec::new();
    let mut before: Vec<u32> = vec![u32::MAX; values.len()];
    let at = |position: u32| values[position as usize];
    for (position, value) in (0_u32..).zip(values) {
        let length = ends.partition_point(|end| at(*end) < *value);
        if let Some(shorter) = length.checked_sub(1) {
            before[position as usize] = ends[shorter];
        }
        match ends.get_mut(length) {
            Some(end) => *end = position,
            None => ends.push(position),
        }
    }
    let mut found = Vec::with_capacity(ends.len());
    let mut next = ends.last().copied();
    while let Some(position) = next.filter(|position| *position != u32::MAX) {
        found.push(position);
        next = before.get(position as usize).copied();
    }
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_is_found() {
        assert!(increasing(&[]).is_empty());
        assert_eq!(increasing(&[5, 4, 3]).len(), 1);
        assert_eq!(increasing(&[0, 1, 2]), [0, 1, 2]);
        assert_eq!(increasing(&[3, 0, 1, 4, 2]).len(), 3);
        // Against all subsequences.
        for mut seed in 1..200_u32 {
            let values: Vec<u32> = (0..8)
                .map(|_| {
                    seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    seed >> 28
                })
                .collect();
            let rises = |chosen: &Vec<u32>| chosen.windows(2).all(|w| w[0] < w[1]);
            let chosen = |mask: u32| -> Vec<u32> {
                (0..8).filter(|i| mask >> i & 1 == 1).map(|i| values[i as usize]).collect()
            };
            let most = (0..256).map(chosen).filter(rises).map(|c| c.len()).max().unwrap();
            let found: Vec<u32> = increasing(&values).iter().map(|i| values[*i as usize]).collect();
            assert!(rises(&found), "{values:?} {found:?}");
            assert_eq!(found.len(), most, "{values:?}");
        }
    }
}
