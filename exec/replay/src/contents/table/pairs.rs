//! Which rows of one table are which rows of another.
//!
//! First by content, as multisets: a row that stands twice needs two partners. What is left has no
//! partner that is the same, and is paired by a key where there is one, or else by where it stands
//! between rows that are the same.

use std::collections::HashMap;

use crate::contents::order::increasing;

/// Rows with a partner of the same content, and those without.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Matched {
    /// How many rows of each have one.
    pub(crate) same: u64,
    /// Rows of the first that have none, ascending.
    pub(crate) left_a: Vec<u32>,
    /// Rows of the second that have none, ascending.
    pub(crate) left_b: Vec<u32>,
    /// Pairs in an order that both share, as many as can be; without the rows that both start or end
    /// with.
    pub(crate) anchors: Vec<(u32, u32)>,
    /// Rows that had to be taken out for the others to stand in one order; none if that cannot be told,
    /// since rows are too much alike.
    pub(crate) moved: Option<u64>,
    /// Rows that both start with, and that both end with.
    pub(crate) ends: (usize, usize),
}

/// Pairs rows by content.
pub(crate) fn by_content(a: &[u128], b: &[u128]) -> Matched {
    let start = a.iter().zip(b).take_while(|(p, q)| p == q).count();
    let rest = a.len().min(b.len()) - start;
    let end = a.iter().rev().zip(b.iter().rev()).take(rest).take_while(|(p, q)| p == q).count();
    let mut found = Matched { ends: (start, end), ..Matched::default() };
    found.same = (start + end) as u64;
    let sorted = |rows: &[u128]| -> Vec<u32> {
        let mut order: Vec<u32> = (start as u32..(rows.len() - end) as u32).collect();
        order.sort_unstable_by_key(|row| (rows[*row as usize], *row));
        order
    };
    let (x, y) = (sorted(a), sorted(b));
    let mut pairs: Vec<(u32, u32)> = Vec::new();
    let mut alike = 0_u64;
    let mut unequal = Vec::new();
    let (mut i, mut j) = (0, 0);
    let run = |order: &[u32], rows: &[u128], from: usize, value: u128| -> usize {
        order[from..].iter().take_while(|row| rows[**row as usize] == value).count()
    };
    while i < x.len() || j < y.len() {
        let next = [x.get(i).map(|row| a[*row as usize]), y.get(j).map(|row| b[*row as usize])];
        let Some(value) = next.into_iter().flatten().min() else { break };
        let (p, q) = (run(&x, a, i, value), run(&y, b, j, value));
        let both = p.min(q);
        found.same += both as u64;
        if p == q {
            pairs.extend(x[i..i + p].iter().copied().zip(y[j..j + q].iter().copied()));
        } else {
            // Which of those that are alike came or went, nobody can say.
            alike += both as u64;
            unequal.push((i..i + p, j..j + q));
        }
        (i, j) = (i + p, j + q);
    }
    pairs.sort_unstable();
    let places: Vec<u32> = pairs.iter().map(|(_, row)| *row).collect();
    let kept = increasing(&places);
    let moved = (pairs.len() - kept.len()) as u64;
    found.moved = (!pairs.is_empty() || alike == 0).then_some(moved);
    found.anchors = kept.into_iter().map(|at| pairs[at as usize]).collect();
    for (p, q) in unequal {
        let (one, other) = apart(&x[p], &y[q], &found.anchors);
        found.left_a.extend(one);
        found.left_b.extend(other);
    }
    found.left_a.sort_unstable();
    found.left_b.sort_unstable();
    found
}

/// Of rows that are all alike, more of them on one side, those that go without: as few as can be of those
/// that stand between the same two anchors as one of the other side.
fn apart(x: &[u32], y: &[u32], anchors: &[(u32, u32)]) -> (Vec<u32>, Vec<u32>) {
    let before = |row: u32| anchors.partition_point(|(one, _)| *one < row);
    let after = |row: u32| anchors.partition_point(|(_, other)| *other < row);
    let (mut one, mut other) = (Vec::new(), Vec::new());
    let (mut p, mut q) = (x.iter().peekable(), y.iter().peekable());
    loop {
        match (p.peek().map(|row| before(**row)), q.peek().map(|row| after(**row))) {
            (None, None) => break,
            (Some(gap), Some(there)) if gap == there => {
                p.next();
                q.next();
            }
            (Some(gap), there) if there.is_none_or(|there| gap < there) => one.extend(p.next()),
            _ => other.extend(q.next()),
        }
    }
    // Each of the others has a partner that stands elsewhere.
    let elsewhere = one.len().min(other.len());
    let keep = |rows: Vec<u32>| rows.into_iter().skip(elsewhere).collect();
    (keep(one), keep(other))
}

/// Pairs of what is left that have the same key, ascending by the first. No key stands twice.
pub(crate) fn by_key(matched: &Matched, a: &[u64], b: &[u64]) -> Vec<(u32, u32)> {
    let there: HashMap<u64, u32> =
        matched.left_b.iter().map(|row| (b[*row as usize], *row)).collect();
    let partner = |row: &u32| Some((*row, *there.get(&a[*row as usize])?));
    matched.left_a.iter().filter_map(partner).collect()
}

/// Pairs of what is left that stand at the same place between two rows that are the same.
///
/// None if most rows stand elsewhere: then a place says nothing.
pub(crate) fn by_place(matched: &Matched, rows: (usize, usize)) -> Vec<(u32, u32)> {
    let others = matched.anchors.len() as u64;
    if matched.moved.is_some_and(|moved| moved > others) {
        return Vec::new();
    }
    let mut pairs = Vec::new();
    let (mut x, mut y) = (matched.left_a.iter().peekable(), matched.left_b.iter().peekable());
    let ends = std::iter::once((rows.0 as u32, rows.1 as u32));
    for (p, q) in matched.anchors.iter().copied().chain(ends) {
        let mut gap = (Vec::new(), Vec::new());
        while let Some(row) = x.next_if(|row| **row < p) {
            gap.0.push(*row);
        }
        while let Some(row) = y.next_if(|row| **row < q) {
            gap.1.push(*row);
        }
        pairs.extend(gap.0.into_iter().zip(gap.1));
    }
    pairs
}

/// Whether no value stands twice.
pub(crate) fn distinct(values: &[u64]) -> bool {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).all(|pair| pair[0] != pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(a: &str, b: &str) -> Matched {
        let rows = |text: &str| text.chars().map(u128::from).collect::<Vec<_>>();
        by_content(&rows(a), &rows(b))
    }

    #[test]
    fn rows_are_paired_as_multisets() {
        let found = matched("abc", "abc");
        assert_eq!((found.same, found.moved, found.ends), (3, Some(0), (3, 0)));
        let found = matched("aab", "ab");
        assert_eq!((found.same, found.left_a.len(), found.left_b.len()), (2, 1, 0));
        // Of rows that are alike, the one goes that stands where none is.
        assert_eq!(matched("1x2x3x4", "1x23x4").left_a, [3]);
        assert_eq!(matched("1x23x4", "1x2x3x4").left_b, [3]);
        let found = matched("abcd", "xbyd");
        assert_eq!((found.left_a, found.left_b), (vec![0, 2], vec![0, 2]));
        let found = matched("", "ab");
        assert_eq!((found.same, found.left_b), (0, vec![0, 1]));
    }

    #[test]
    fn an_order_that_changed_is_told_and_a_row_that_went_is_no_such_change() {
        assert_eq!(matched("abcdef", "fedcba").moved, Some(5));
        assert_eq!(matched("abcdef", "bcdefa").moved, Some(1));
        assert_eq!(matched("abcdef", "adef").moved, Some(0));
        // One of two equal rows went: the other did not move for that.
        assert_eq!(matched("axbxc", "abxc").moved, Some(0));
        assert_eq!(matched("axbxc", "axbc").moved, Some(0));
        // All that is the same is alike.
        assert_eq!(matched("zaax", "yaaaw").moved, None);
    }

    #[test]
    fn what_is_left_is_paired_by_key_or_by_place() {
        let found = matched("aXbYc", "aPbQRc");
        assert_eq!(by_place(&found, (5, 6)), [(1, 1), (3, 3)]);
        let keys = |text: &str| text.bytes().map(u64::from).collect::<Vec<_>>();
        assert_eq!(by_key(&found, &keys("01234"), &keys("030124")), [(1, 3), (3, 1)]);
        // In an order that is another altogether, a place says nothing.
        let found = matched("Xabcdef", "fedcbaY");
        assert_eq!(by_place(&found, (7, 7)), []);
        assert!(distinct(&[3, 1, 2]) && !distinct(&[3, 1, 3]));
    }
}
