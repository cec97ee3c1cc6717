use super::*;
use crate::table::{Cells, Column};

fn table(labels: &[u32]) -> Table {
    let mut values: Vec<String> = Vec::new();
    let codes = labels
        .iter()
        .map(|label| {
            let word = label.to_string();
            let known = values.iter().position(|v| *v == word);
            known.unwrap_or_else(|| {
                values.push(word);
                values.len() - 1
            }) as u32
        })
        .collect();
    let columns = vec![Column { name: "k".into(), cells: Cells::Text { values, codes } }];
    Table { columns, rows: labels.len() }
}

fn cut(labels: &[u32], by: By, test: f64, validation: f64, seed: u64) -> Result<Parts> {
    let table = table(labels);
    split(&table, &table.all_rows(), &Shares { by, test, validation, seed })
}

fn folded(labels: &[u32], by: By, count: usize, fold: usize, validation: f64) -> Result<Parts> {
    let table = table(labels);
    super::fold(&table, &table.all_rows(), &Folds { by, count, fold, validation, seed: 5 })
}

fn k() -> String {
    "k".into()
}

fn all(parts: &Parts) -> Vec<usize> {
    let mut all = [&parts.train[..], &parts.validation, &parts.test].concat();
    all.sort();
    all
}

/// The draws of lab-tensor's split, repeated here as it stands there.
fn existing(labels: &[u32], classes: usize, share: f64, stratify: bool, seed: u64) -> Vec<usize> {
    let groups: Vec<Vec<usize>> = match stratify {
        true => {
            let of = |c| (0..labels.len()).filter(|r| labels[*r] as usize == c).collect();
            (0..classes).map(of).collect()
        }
        false => vec![(0..labels.len()).collect()],
    };
    let wanted = (share * labels.len() as f64).round() as usize;
    let exact = |g: &Vec<usize>| share * g.len() as f64;
    let mut quotas: Vec<usize> =
        groups.iter().map(|g| (exact(g) as usize).min(g.len() - 1)).collect();
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.sort_by(|a, b| exact(&groups[*b]).fract().total_cmp(&exact(&groups[*a]).fract()));
    let mut lacking = wanted.saturating_sub(quotas.iter().sum());
    for g in order {
        if lacking > 0 && quotas[g] + 1 < groups[g].len() {
            quotas[g] += 1;
            lacking -= 1;
        }
    }
    let mut test = Vec::new();
    for (lane, mut group) in groups.into_iter().enumerate() {
        Draws::new(seed, "split").shuffle(lane as u32, &mut group);
        test.extend_from_slice(&group[..quotas[lane]]);
    }
    test.sort();
    test
}

#[test]
fn two_parts_have_the_bits_of_the_existing_split() {
    for (n, classes, share) in [(100, 2, 0.2), (97, 5, 0.33), (1000, 12, 0.071), (6, 2, 0.8)] {
        let labels: Vec<u32> = (0..n).map(|i| (i * i + i / 3) % classes).collect();
        let present = labels.iter().collect::<std::collections::BTreeSet<_>>();
        let dense: Vec<u32> =
            labels.iter().map(|l| present.iter().position(|p| *p == l).unwrap() as u32).collect();
        for seed in 0..4 {
            for (by, stratify) in [(By::Classes(k()), true), (By::Rows, false)] {
                let parts = cut(&labels, by, share, 0.0, seed).unwrap();
                let expected = existing(&dense, present.len(), share, stratify, seed);
                assert_eq!(parts.test, expected);
                assert_eq!(all(&parts), (0..n as usize).collect::<Vec<_>>());
            }
        }
    }
}

/// Frozen: no later version may move these rows. Keys, rows and folds were computed by other code
/// (Python, from the documented formulas).
#[test]
fn parts_stay_as_they_were_first_drawn() {
    let labels: Vec<u32> = (0..20).map(|i| i % 3).collect();
    let parts = cut(&labels, By::Classes(k()), 0.25, 0.2, 7).unwrap();
    assert_eq!((parts.test, parts.validation), (vec![3, 4, 6, 17, 19], vec![5, 7, 9, 15]));
    let keys: Vec<u32> = (0..20).collect();
    assert_eq!(cut(&keys, By::Key(k()), 0.25, 0.0, 7).unwrap().test, [1, 2, 5, 11, 19]);
    assert_eq!(cut(&labels, By::Rows, 0.25, 0.0, 7).unwrap().test, [4, 6, 7, 15, 18]);
    assert_eq!(folded(&labels, By::Rows, 4, 1, 0.0).unwrap().test, [2, 9, 15, 16, 19]);
}

#[test]
fn three_parts_share_every_class() {
    let labels: Vec<u32> = (0..1000).map(|i| u32::from(i % 10 == 0)).collect();
    let parts = cut(&labels, By::Classes(k()), 0.2, 0.1, 1).unwrap();
    let rare = |rows: &[usize]| rows.iter().filter(|r| labels[**r] == 1).count();
    assert_eq!((parts.train.len(), parts.validation.len(), parts.test.len()), (700, 100, 200));
    assert_eq!((rare(&parts.train), rare(&parts.validation), rare(&parts.test)), (70, 10, 20));
    assert_eq!(all(&parts), (0..1000).collect::<Vec<_>>());
    let without = cut(&labels, By::Classes(k()), 0.2, 0.0, 1).unwrap();
    assert_eq!(without.test, parts.test);
    assert_ne!(cut(&labels, By::Classes(k()), 0.2, 0.1, 2).unwrap().test, parts.test);
}

#[test]
fn no_group_is_in_two_parts() {
    let labels: Vec<u32> = (0..500).map(|i| i % 61).collect();
    for seed in 0..20 {
        let parts = cut(&labels, By::Groups(k()), 0.3, 0.2, seed).unwrap();
        let groups = |rows: &[usize]| -> std::collections::BTreeSet<u32> {
            rows.iter().map(|r| labels[*r]).collect()
        };
        let (a, b, c) = (groups(&parts.train), groups(&parts.validation), groups(&parts.test));
        assert!(a.is_disjoint(&b) && b.is_disjoint(&c) && a.is_disjoint(&c));
        assert!((150..159).contains(&parts.test.len()), "{}", parts.test.len());
        assert!((100..109).contains(&parts.validation.len()));
        assert_eq!(all(&parts).len(), 500);
    }
}

#[test]
fn groups_that_fit_are_enough() {
    let labels: Vec<u32> = (0..100).map(|i| i / 2).collect();
    let parts = cut(&labels, By::Groups(k()), 0.3, 0.2, 1).unwrap();
    assert_eq!((parts.test.len(), parts.validation.len()), (30, 20));
    let without = cut(&labels, By::Groups(k()), 0.3, 0.0, 1).unwrap();
    assert_eq!(without.test, parts.test);
}

#[test]
fn a_keys_part_never_changes() {
    let labels: Vec<u32> = (0..3000).collect();
    let few = cut(&labels[..1000], By::Key(k()), 0.2, 0.1, 3).unwrap();
    let many = cut(&labels, By::Key(k()), 0.2, 0.1, 3).unwrap();
    let start = |rows: &[usize]| rows.iter().copied().filter(|r| *r < 1000).collect::<Vec<_>>();
    assert_eq!(few.test, start(&many.test));
    assert_eq!(few.validation, start(&many.validation));
    // 600 and 300 expected; five standard deviations are 110 and 82.
    assert!(many.test.len().abs_diff(600) < 110, "{}", many.test.len());
    assert!(many.validation.len().abs_diff(300) < 82, "{}", many.validation.len());
    assert_eq!(cut(&labels, By::Key(k()), 0.2, 0.0, 3).unwrap().test, many.test);
    assert_ne!(cut(&labels, By::Key(k()), 0.2, 0.1, 4).unwrap().test, many.test);
}

#[test]
fn each_row_is_tested_in_one_fold() {
    let labels: Vec<u32> = (0..103).map(|i| i % 7 % 5).collect();
    for by in [By::Rows, By::Classes(k())] {
        let mut seen = Vec::new();
        for fold in 0..5 {
            let parts = folded(&labels, by.clone(), 5, fold, 0.1).unwrap();
            assert!([20, 21].contains(&parts.test.len()), "{}", parts.test.len());
            assert_eq!((parts.validation.len(), all(&parts).len()), (10, 103));
            if by != By::Rows {
                for class in 0..5 {
                    let whole = labels.iter().filter(|l| **l == class).count();
                    let here = parts.test.iter().filter(|r| labels[**r] == class).count();
                    assert!(here == whole / 5 || here == whole.div_ceil(5));
                }
            }
            seen.extend(parts.test);
        }
        seen.sort();
        assert_eq!(seen, (0..103).collect::<Vec<_>>());
    }
}

#[test]
fn folds_keep_groups_whole_and_balanced() {
    let labels: Vec<u32> = (0..300).map(|i| (i * i) % 37).collect();
    let mut seen = Vec::new();
    for fold in 0..4 {
        let parts = folded(&labels, By::Groups(k()), 4, fold, 0.2).unwrap();
        let test = |group: u32| parts.test.iter().any(|r| labels[*r] == group);
        assert!(parts.train.iter().chain(&parts.validation).all(|r| !test(labels[*r])));
        assert!(
            parts.validation.iter().all(|r| parts.train.iter().all(|t| labels[*t] != labels[*r]))
        );
        assert!((60..=90).contains(&parts.test.len()), "{}", parts.test.len());
        seen.extend(parts.test);
    }
    seen.sort();
    assert_eq!(seen, (0..300).collect::<Vec<_>>());
}

#[test]
fn what_cannot_be_split_is_refused_in_words() {
    let said = |result: Result<Parts>| result.unwrap_err().to_string();
    let two = [0, 0, 0, 1, 1];
    for (message, expected) in [
        (said(cut(&two, By::Rows, 0.05, 0.0, 1)), "5 rows leave none for test"),
        (said(cut(&two, By::Rows, 0.95, 0.0, 1)), "5 rows leave none for training"),
        (said(cut(&[], By::Rows, 0.5, 0.0, 1)), "0 rows leave none for test"),
        (said(cut(&two, By::Rows, 0.5, 0.01, 1)), "5 rows leave none for validation"),
        (said(cut(&two, By::Rows, 0.5, 0.5, 1)), "a share that leaves rows for training"),
        (said(cut(&two, By::Rows, f64::NAN, 0.0, 1)), "a share above 0 and below 1"),
        (said(cut(&two, By::Rows, 0.5, -0.1, 1)), "a share from 0 to below 1"),
        (
            said(cut(&two, By::Classes(k()), 0.4, 0.2, 1)),
            "too few rows of class '1': 2, where 3 are needed",
        ),
        (said(cut(&two, By::Classes("q".into()), 0.4, 0.0, 1)), "there is no column q"),
        (said(cut(&[3; 9], By::Groups(k()), 0.4, 0.0, 1)), "9 rows leave none for training"),
        (said(cut(&[3; 9], By::Key(k()), 0.4, 0.0, 1)), "9 rows leave none for"),
        (said(folded(&two, By::Rows, 6, 0, 0.0)), "6 folds need as many rows, but there are 5"),
        (said(folded(&two, By::Groups(k()), 3, 0, 0.0)), "3 folds need as many groups"),
        (
            said(folded(&two, By::Classes(k()), 3, 0, 0.0)),
            "too few rows of class '1': 2, where 3 are needed",
        ),
        (said(folded(&two, By::Rows, 1, 0, 0.0)), "count is 1: at least 2"),
        (said(folded(&two, By::Rows, 2, 2, 0.0)), "fold is 2: a number below"),
        (said(folded(&two, By::Key(k()), 2, 0, 0.0)), "by is a key: rows, classes or groups"),
    ] {
        assert!(message.contains(expected), "{message}");
    }
    let mut gap = table(&two);
    let Cells::Text { codes, .. } = &mut gap.columns[0].cells else { panic!() };
    codes[3] = crate::table::MISSING;
    for by in [By::Classes(k()), By::Groups(k()), By::Key(k())] {
        let shares = Shares { by, test: 0.4, validation: 0.0, seed: 1 };
        let message = split(&gap, &gap.all_rows(), &shares).unwrap_err().to_string();
        assert_eq!(message, "row 3, column k: '' is missing, and every row needs one");
    }
    let shares = Shares { by: By::Rows, test: 0.4, validation: 0.0, seed: 1 };
    assert!(split(&gap, &[0, 2, 2, 3], &shares).is_err() && split(&gap, &[0, 5], &shares).is_err());
}
