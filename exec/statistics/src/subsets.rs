//! How many subsets of some numbers have a sum below or above a bound, without looking at each.
//!
//! The numbers are halved, the sums of the subsets of each half are listed in order, and the two
//! lists are walked along each other (Horowitz and Sahni, "Computing Partitions with Applications
//! to the Knapsack Problem", 1974). Of 40 numbers that takes some millions of steps for the 10^11
//! subsets of 20. The lists grow by one number at a time, merged with themselves moved by it, and
//! are never sorted.

/// Two lists, each in order, as one in order: `base`, and `moved` with `by` added to each.
fn merged(base: &[f64], moved: &[f64], by: f64) -> Vec<f64> {
    let mut out = vec![0.0; base.len() + moved.len()];
    let (mut i, mut j) = (0, 0);
    while i < base.len() && j < moved.len() {
        let (left, right) = (base[i], moved[j] + by);
        // Without a branch, which would be mispredicted half of the time.
        let first = left <= right;
        out[i + j] = left.min(right);
        i += usize::from(first);
        j += usize::from(!first);
    }
    let (_, rest) = out.split_at_mut(i + j);
    let left = base[i..].iter().copied().chain(moved[j..].iter().map(|sum| sum + by));
    rest.iter_mut().zip(left).for_each(|(place, sum)| *place = sum);
    out
}

/// The sums of all subsets, in order.
fn sums(values: &[f64]) -> Vec<f64> {
    values.iter().fold(vec![0.0], |sums, value| merged(&sums, &sums, *value))
}

/// The sums of all subsets of 0, 1, 2, ... of the values, each list in order.
fn sums_by_size(values: &[f64]) -> Vec<Vec<f64>> {
    let mut lists = vec![vec![0.0]];
    for value in values {
        lists.push(Vec::new());
        for size in (1..lists.len()).rev() {
            lists[size] = merged(&lists[size], &lists[size - 1], *value);
        }
    }
    lists
}

/// How many sums of one of each are at most `low`, or at least `high`, which is more.
fn outside(left: &[f64], right: &[f64], low: f64, high: f64) -> u64 {
    let (mut below, mut up_to) = (right.len(), right.len());
    let mut count = 0;
    for sum in left {
        while below > 0 && sum + right[below - 1] > low {
            below -= 1;
        }
        while up_to > 0 && sum + right[up_to - 1] >= high {
            up_to -= 1;
        }
        count += (below + right.len() - up_to) as u64;
    }
    count
}

/// How many subsets have a sum of at most `low`, or of at least `high`, which is more.
pub(crate) fn any_size(values: &[f64], low: f64, high: f64) -> u64 {
    let (left, right) = values.split_at(values.len() / 2);
    outside(&sums(left), &sums(right), low, high)
}

/// How many subsets of `size` values have a sum of at most `low`, or of at least `high`.
pub(crate) fn of_size(values: &[f64], size: usize, low: f64, high: f64) -> u64 {
    let (left, right) = values.split_at(values.len() / 2);
    let (left, right) = (sums_by_size(left), sums_by_size(right));
    let pairs = left.iter().enumerate().filter_map(|(in_left, sums)| {
        Some(outside(sums, right.get(size.checked_sub(in_left)?)?, low, high))
    });
    pairs.sum()
}

/// How many subsets of `size` there are of `count`; none if more than `limit`.
pub(crate) fn number(count: usize, size: usize, limit: u64) -> Option<u64> {
    let mut number = 1_u128;
    for k in 0..size.min(count - size) {
        number = number * (count - k) as u128 / (k + 1) as u128;
        if number > u128::from(limit) {
            return None;
        }
    }
    Some(number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_one_by_one() {
        let values = [0.5, -1.25, 3.0, 0.5, 2.0, -0.75, 1.5];
        let all: Vec<(u32, f64)> = (0_u32..1 << 7)
            .map(|set| {
                let sum = (0..7).filter(|k| set >> k & 1 == 1).map(|k| values[k]).sum();
                (set.count_ones(), sum)
            })
            .collect();
        for (low, high) in [(-1.0, 2.0), (0.5, 0.75), (-9.0, 9.0), (1.0, 7.5), (5.0, 5.5)] {
            let count = |size: Option<u32>| {
                let outside = |x: f64| x <= low || x >= high;
                all.iter().filter(|(n, x)| size.is_none_or(|s| s == *n) && outside(*x)).count()
            };
            assert_eq!(any_size(&values, low, high), count(None) as u64);
            for size in 0..=7 {
                assert_eq!(of_size(&values, size, low, high), count(Some(size as u32)) as u64);
            }
        }
    }

    #[test]
    fn numbers_of_subsets() {
        assert_eq!(number(40, 20, u64::MAX), Some(137_846_528_820));
        assert_eq!(number(20, 10, 184_756), Some(184_756));
        assert_eq!(number(20, 10, 184_755), None);
        assert_eq!(number(20_000, 10_000, u64::MAX), None);
        assert_eq!(number(5, 5, 1), Some(1));
    }
}
