//! Which rows are for learning and which for judging.
//!
//! Drawn from the split seed alone: neither other settings nor other draws move a row. Stratified
//! by default: each class has its share of the test rows, the fractions given to the classes with
//! the largest remainders.

use crate::error::{Result, TensorError};
use crate::rng::Draws;

/// Row indices, both ascending.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Split {
    pub(crate) train: Vec<usize>,
    pub(crate) test: Vec<usize>,
}

/// Splits rows with these labels, each below `classes.len()`.
pub(crate) fn split(
    labels: &[u32],
    classes: &[String],
    share: f64,
    stratify: bool,
    seed: u64,
) -> Result<Split> {
    if let [class] = classes {
        return Err(TensorError::OneClass { class: class.clone(), rows: labels.len() });
    }
    let wanted = (share * labels.len() as f64).round() as usize;
    if wanted == 0 || wanted >= labels.len() {
        let why = format!("{} rows cannot be split with prepare.test = {share}", labels.len());
        return Err(TensorError::TooFewRows(why));
    }
    let groups: Vec<Vec<usize>> = match stratify {
        true => by_class(labels, classes)?,
        false => vec![(0..labels.len()).collect()],
    };
    let draws = Draws::new(seed, "split");
    let sizes: Vec<usize> = groups.iter().map(Vec::len).collect();
    let quotas = quotas(&sizes, share, wanted);
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (lane, (mut group, quota)) in groups.into_iter().zip(quotas).enumerate() {
        draws.shuffle(lane as u32, &mut group);
        test.extend_from_slice(&group[..quota]);
        train.extend_from_slice(&group[quota..]);
    }
    train.sort_unstable();
    test.sort_unstable();
    match test.len() {
        0 => Err(TensorError::TooFewRows("every class is too small to be split".into())),
        _ => Ok(Split { train, test }),
    }
}

fn by_class(labels: &[u32], classes: &[String]) -> Result<Vec<Vec<usize>>> {
    let mut groups = vec![Vec::new(); classes.len()];
    for (row, label) in labels.iter().enumerate() {
        groups[*label as usize].push(row);
    }
    if let Some((class, _)) = classes.iter().zip(&groups).find(|(_, group)| group.len() < 2) {
        let why = format!(
            "class '{}' has one row, which cannot be in both parts (see prepare.stratify)",
            class.escape_debug()
        );
        return Err(TensorError::TooFewRows(why));
    }
    Ok(groups)
}

/// Test rows per group: its share rounded down, then one more for the largest remainders until
/// `wanted` is reached. Every group keeps a row to learn from.
fn quotas(sizes: &[usize], share: f64, wanted: usize) -> Vec<usize> {
    let exact = |size: &usize| share * *size as f64;
    let mut quotas: Vec<usize> =
        sizes.iter().map(|size| (exact(size) as usize).min(size - 1)).collect();
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    // Stable: of equal remainders the first class goes first.
    order.sort_by(|a, b| exact(&sizes[*b]).fract().total_cmp(&exact(&sizes[*a]).fract()));
    let mut lacking = wanted.saturating_sub(quotas.iter().sum());
    for group in order {
        if lacking > 0 && quotas[group] + 1 < sizes[group] {
            quotas[group] += 1;
            lacking -= 1;
        }
    }
    quotas
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classes(n: usize) -> Vec<String> {
        (0..n).map(|i| i.to_string()).collect()
    }

    #[test]
    fn stratified_parts_have_the_classes_shares() {
        let labels: Vec<u32> = (0..1000).map(|i| u32::from(i % 10 == 0)).collect();
        let Split { train, test } = split(&labels, &classes(2), 0.2, true, 1).unwrap();
        assert_eq!((train.len(), test.len()), (800, 200));
        assert_eq!(test.iter().filter(|r| labels[**r] == 1).count(), 20);
        let mut all = [train, test].concat();
        all.sort();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn the_seed_decides() {
        let labels: Vec<u32> = (0..50).map(|i| i % 2).collect();
        let with = |seed| split(&labels, &classes(2), 0.3, true, seed).unwrap();
        assert_eq!(with(1), with(1));
        assert_ne!(with(1), with(2));
        assert_eq!(split(&labels, &classes(2), 0.3, false, 1).unwrap().test.len(), 15);
    }

    #[test]
    fn too_little_data_is_refused() {
        assert!(matches!(
            split(&[0; 9], &classes(1), 0.2, true, 1),
            Err(TensorError::OneClass { rows: 9, .. })
        ));
        for (labels, share) in
            [(&[0, 1, 1][..], 0.4), (&[0, 1], 0.2), (&[], 0.5), (&[0, 0, 1, 1], 0.999)]
        {
            let error = split(labels, &classes(2), share, true, 1).unwrap_err();
            assert!(matches!(error, TensorError::TooFewRows(_)), "{error}");
        }
        // Nearly all of two small classes: one row of each is still there to learn from.
        let Split { train, .. } = split(&[0, 0, 0, 1, 1, 1], &classes(2), 0.8, true, 1).unwrap();
        assert_eq!(train.len(), 2);
    }
}
