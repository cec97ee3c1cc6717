//! In which order nodes stand within their layers, so that few arrows cross.

/// How often all layers are gone through.
const SWEEPS: usize = 12;

/// Orders the items of every layer by the mean place of their neighbours, down and up again, and keeps the order with the
/// fewest crossings. `links` join items of a layer and the next.
pub(super) fn order(layers: &mut Vec<Vec<usize>>, links: &[(usize, usize)], items: usize) {
    let (mut above, mut below) = (vec![Vec::new(); items], vec![Vec::new(); items]);
    for (from, to) in links {
        below[*from].push(*to);
        above[*to].push(*from);
    }
    let mut place = vec![0.0; items];
    let note = |layers: &[Vec<usize>], place: &mut Vec<f64>| {
        for layer in layers {
            layer.iter().zip(0_u32..).for_each(|(item, n)| place[*item] = f64::from(n));
        }
    };
    note(layers, &mut place);
    let mut best = (crossings(layers, &below, &place), layers.clone());
    for sweep in 0..SWEEPS {
        if best.0 == 0 {
            break;
        }
        let down = sweep % 2 == 0;
        let around = if down { &above } else { &below };
        let mut numbers: Vec<usize> = (0..layers.len()).collect();
        if !down {
            numbers.reverse();
        }
        for number in numbers {
            let mean = |item: &usize| match around[*item].len() {
                0 => place[*item],
                many => around[*item].iter().map(|other| place[*other]).sum::<f64>() / many as f64,
            };
            let mut keyed: Vec<(f64, usize)> =
                layers[number].iter().map(|item| (mean(item), *item)).collect();
            keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
            layers[number] = keyed.into_iter().map(|(_, item)| item).collect();
            layers[number].iter().zip(0_u32..).for_each(|(item, n)| place[*item] = f64::from(n));
        }
        let found = crossings(layers, &below, &place);
        if found < best.0 {
            best = (found, layers.clone());
        }
    }
    *layers = best.1;
}

/// How many pairs of links cross.
fn crossings(layers: &[Vec<usize>], below: &[Vec<usize>], place: &[f64]) -> usize {
    let mut found = 0;
    for pair in layers.windows(2) {
        let mut ends = Vec::new();
        for item in &pair[0] {
            let mut own: Vec<usize> = below[*item].iter().map(|to| place[*to] as usize).collect();
            own.sort_unstable();
            ends.extend(own);
        }
        // Inversions, counted with a tree of partial sums (Fenwick 1994).
        let mut sums = vec![0_usize; pair[1].len() + 1];
        for (seen, end) in ends.iter().enumerate() {
            let (mut at, mut no_farther) = (end + 1, 0);
            while at > 0 {
                no_farther += sums[at];
                at &= at - 1;
            }
            found += seen - no_farther;
            at = end + 1;
            while at < sums.len() {
                sums[at] += 1;
                at += at & at.wrapping_neg();
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_that_need_not_cross_do_not() {
        let mut layers = vec![vec![0, 1, 2], vec![3, 4, 5]];
        let links = [(0, 5), (1, 4), (2, 3)];
        order(&mut layers, &links, 6);
        let place = |layer: &[usize], item| layer.iter().position(|other| *other == item).unwrap();
        assert!(links.windows(2).all(|pair| {
            (place(&layers[0], pair[0].0) < place(&layers[0], pair[1].0))
                == (place(&layers[1], pair[0].1) < place(&layers[1], pair[1].1))
        }));
    }

    #[test]
    fn crossings_are_counted_as_by_hand() {
        let below = vec![vec![4, 3], vec![3, 2], vec![], vec![], vec![]];
        let place = [0.0, 1.0, 0.0, 1.0, 2.0];
        // 0 to 4 crosses 1 to 3 and 1 to 2; 0 to 3 crosses 1 to 2.
        assert_eq!(crossings(&[vec![0, 1], vec![2, 3, 4]], &below, &place), 3);
    }
}
