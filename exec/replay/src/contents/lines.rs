//! Which lines two texts do not share.
//!
//! Found by Myers' greedy algorithm ("An O(ND) difference algorithm and its variations", 1986), which
//! gives the fewest lines, as far as a bound on steps and memory allows; beyond it, lines that stand
//! once in both texts are taken for the same, in their longest common order, and what lies between them
//! is told as exchanged. That is a difference too, of more lines than need be.

use std::collections::HashMap;
use std::ops::Range;

use crate::contents::order::increasing;

/// Most lines that are added and removed, for the fewest to be found; memory is the square of it.
const MAX_EDITS: usize = 1500;
/// Most comparisons of two lines.
const MAX_STEPS: u64 = 1 << 26;

/// Lines that were replaced by others: either may be none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    /// Lines of the first text, from 0.
    pub(crate) before: Range<usize>,
    /// Lines of the second.
    pub(crate) after: Range<usize>,
}

/// The regions in which two texts differ, in order, none touching the next; and whether they are the
/// fewest lines.
pub(crate) fn regions(a: &[&[u8]], b: &[&[u8]]) -> (Vec<Region>, bool) {
    let mut known: HashMap<&[u8], u32> = HashMap::new();
    let mut numbers = Vec::with_capacity(a.len() + b.len());
    for line in a.iter().chain(b) {
        let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
        numbers.push(*known.entry(line).or_insert(next));
    }
    drop(known);
    let (x, y) = numbers.split_at(a.len());
    let mut found = Vec::new();
    let fewest = between(x, y, (0, 0), &mut found, true);
    (joined(found), fewest)
}

/// Puts the regions between two sequences into `found`, moved by `at`.
fn between(
    x: &[u32],
    y: &[u32],
    at: (usize, usize),
    found: &mut Vec<Region>,
    anchored: bool,
) -> bool {
    let start = x.iter().zip(y).take_while(|(p, q)| p == q).count();
    let (x, y) = (&x[start..], &y[start..]);
    let end = x.iter().rev().zip(y.iter().rev()).take_while(|(p, q)| p == q).count();
    let (x, y) = (&x[..x.len() - end], &y[..y.len() - end]);
    let at = (at.0 + start, at.1 + start);
    if x.is_empty() || y.is_empty() {
        if x.len() + y.len() > 0 {
            found.push(whole(x, y, at));
        }
        return true;
    }
    if let Some(edits) = myers(x, y) {
        found.extend(edits.into_iter().map(|edit| moved(edit, at)));
        return true;
    }
    if anchored {
        let mut last = (0, 0);
        let ends = std::iter::once((x.len(), y.len()));
        for (p, q) in anchors(x, y).into_iter().chain(ends) {
            between(&x[last.0..p], &y[last.1..q], (at.0 + last.0, at.1 + last.1), found, false);
            last = (p + 1, q + 1);
        }
    } else {
        found.push(whole(x, y, at));
    }
    false
}

fn whole(x: &[u32], y: &[u32], at: (usize, usize)) -> Region {
    moved(Region { before: 0..x.len(), after: 0..y.len() }, at)
}

fn moved(region: Region, at: (usize, usize)) -> Region {
    let by = |range: Range<usize>, by: usize| range.start + by..range.end + by;
    Region { before: by(region.before, at.0), after: by(region.after, at.1) }
}

/// Regions that touch become one.
fn joined(found: Vec<Region>) -> Vec<Region> {
    let mut all: Vec<Region> = Vec::with_capacity(found.len());
    for next in found {
        match all.last_mut() {
            Some(last)
                if last.before.end == next.before.start && last.after.end == next.after.start =>
            {
                last.before.end = next.before.end;
                last.after.end = next.after.end;
            }
            _ => all.push(next),
        }
    }
    all
}

/// Pairs of positions of what stands once in both, in an order that both share.
fn anchors(x: &[u32], y: &[u32]) -> Vec<(usize, usize)> {
    let mut seen: HashMap<u32, [(u32, usize); 2]> = HashMap::new();
    for (side, sequence) in [x, y].into_iter().enumerate() {
        for (position, value) in sequence.iter().enumerate() {
            let counted = &mut seen.entry(*value).or_default()[side];
            *counted = (counted.0 + 1, position);
        }
    }
    let once = seen.values().filter(|[p, q]| p.0 == 1 && q.0 == 1);
    let mut pairs: Vec<(usize, usize)> = once.map(|[p, q]| (p.1, q.1)).collect();
    pairs.sort_unstable();
    let places: Vec<u32> = pairs.iter().map(|(_, q)| *q as u32).collect();
    increasing(&places).into_iter().map(|i| pairs[i as usize]).collect()
}

/// The fewest edits; none if that takes too much.
fn myers(x: &[u32], y: &[u32]) -> Option<Vec<Region>> {
    let (n, m) = (x.len() as isize, y.len() as isize);
    let most = MAX_EDITS.min(x.len() + y.len());
    // `reach[k]`: how far in x one comes on the diagonal k, stored from -most - 1 on.
    let middle = most + 1;
    let mut reach = vec![0_isize; 2 * most + 3];
    let mut trace: Vec<Vec<i32>> = Vec::new();
    let mut steps = 0_u64;
    for edits in 0..=most {
        let (low, high) = (middle - edits, middle + edits);
        for place in (low..=high).step_by(2) {
            let k = place as isize - middle as isize;
            let down = place == low || (place != high && reach[place - 1] < reach[place + 1]);
            let mut i = if down { reach[place + 1] } else { reach[place - 1] + 1 };
            let mut j = i - k;
            while i < n && j < m && i >= 0 && j >= 0 && x[i as usize] == y[j as usize] {
                (i, j, steps) = (i + 1, j + 1, steps + 1);
            }
            reach[place] = i;
            steps += 1;
            if i >= n && j >= m {
                trace.push(row(&reach, low, high));
                return Some(walk_back(&trace, n, m));
            }
        }
        if steps > MAX_STEPS {
            return None;
        }
        trace.push(row(&reach, low, high));
    }
    None
}

fn row(reach: &[isize], low: usize, high: usize) -> Vec<i32> {
    reach[low..=high].iter().map(|i| i32::try_from(*i).unwrap_or(i32::MAX)).collect()
}

/// The edits of the way that was found, from the end to the start and turned round.
fn walk_back(trace: &[Vec<i32>], n: isize, m: isize) -> Vec<Region> {
    let mut found = Vec::new();
    let (mut i, mut j) = (n, m);
    for edits in (1..trace.len()).rev() {
        let k = i - j;
        // The row before holds the diagonals from -(edits - 1) to edits - 1.
        let row = &trace[edits - 1];
        let get = |k: isize| -> isize {
            let place = k + edits as isize - 1;
            usize::try_from(place).ok().and_then(|p| row.get(p)).map_or(-1, |i| *i as isize)
        };
        let size = edits as isize;
        let down = k == -size || (k != size && get(k - 1) < get(k + 1));
        let (from_i, from_j) = match down {
            true => (get(k + 1), get(k + 1) - (k + 1)),
            false => (get(k - 1), get(k - 1) - (k - 1)),
        };
        let (p, q) = (from_i.max(0) as usize, from_j.max(0) as usize);
        found.push(match down {
            true => Region { before: p..p, after: q..q + 1 },
            false => Region { before: p..p + 1, after: q..q },
        });
        (i, j) = (from_i, from_j);
    }
    found.reverse();
    joined(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&[u8]> {
        text.split_terminator('\n').map(str::as_bytes).collect()
    }

    /// The second text, made of the first and the regions.
    fn applied(a: &[&[u8]], b: &[&[u8]], regions: &[Region]) -> Vec<Vec<u8>> {
        let mut out: Vec<Vec<u8>> = Vec::new();
        let mut at = 0;
        for region in regions {
            out.extend(a[at..region.before.start].iter().map(|l| l.to_vec()));
            assert_eq!(out.len(), region.after.start);
            out.extend(b[region.after.clone()].iter().map(|l| l.to_vec()));
            at = region.before.end;
        }
        out.extend(a[at..].iter().map(|l| l.to_vec()));
        out
    }

    fn edits(regions: &[Region]) -> usize {
        regions.iter().map(|r| r.before.len() + r.after.len()).sum()
    }

    /// Lines that are not in a longest common subsequence, by the textbook table.
    fn fewest(a: &[&[u8]], b: &[&[u8]]) -> usize {
        let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
        for i in 0..a.len() {
            for j in 0..b.len() {
                table[i + 1][j + 1] = match a[i] == b[j] {
                    true => table[i][j] + 1,
                    false => table[i][j + 1].max(table[i + 1][j]),
                };
            }
        }
        a.len() + b.len() - 2 * table[a.len()][b.len()]
    }

    #[test]
    fn the_fewest_lines_are_found() {
        let mut seed = 7_u32;
        let mut draw = |below: u32| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) % below
        };
        for _ in 0..500 {
            let lines = |draw: &mut dyn FnMut(u32) -> u32| -> String {
                let count = draw(12);
                (0..count).map(|_| format!("{}\n", draw(4))).collect()
            };
            let (one, other) = (lines(&mut draw), lines(&mut draw));
            let (a, b) = (split(&one), split(&other));
            let (found, exact) = regions(&a, &b);
            assert!(exact);
            assert_eq!(applied(&a, &b, &found), b.iter().map(|l| l.to_vec()).collect::<Vec<_>>());
            assert_eq!(edits(&found), fewest(&a, &b), "{one:?} {other:?} {found:?}");
        }
    }

    #[test]
    fn texts_that_share_little_end_in_time() {
        let one: String = (0..60_000).map(|i| format!("a{i}\n")).collect();
        let other: String = (0..60_000)
            .map(|i| if i % 10 == 0 { format!("a{i}\n") } else { format!("b{}\n", i % 7) })
            .collect();
        let (a, b) = (split(&one), split(&other));
        let (found, exact) = regions(&a, &b);
        assert!(!exact);
        assert_eq!(applied(&a, &b, &found), b.iter().map(|l| l.to_vec()).collect::<Vec<_>>());
        assert_eq!(edits(&found), 2 * 54_000);
    }
}
