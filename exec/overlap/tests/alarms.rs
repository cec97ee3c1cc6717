//! How often honest splits are accused, in pools of many kinds, and how often copies are found.
#![allow(clippy::unwrap_used)]

mod kit;

use kit::Draws;
use lab_overlap::{Group, Verdict, judge};

/// Of each example of a pool its value: `count` examples with values below `values`, the small
/// ones more often.
fn pool(draws: &mut Draws, count: usize, values: usize, skewed: bool) -> Vec<usize> {
    let value = |draws: &mut Draws| {
        let bound = if skewed { draws.below(values) + 1 } else { values };
        draws.below(bound)
    };
    (0..count).map(|_| value(draws)).collect()
}

/// The verdict on the examples of which `tested` says whether they are in the test part, and
/// `copies` of the test part that are in the training part besides.
fn verdict(pool: &[usize], tested: &[bool], copies: usize) -> Verdict {
    let most = pool.iter().max().unwrap();
    let mut groups = vec![Group::default(); most + 1];
    let mut left = copies;
    for (value, tested) in pool.iter().zip(tested) {
        let group = &mut groups[*value];
        group.test += usize::from(*tested);
        group.train += usize::from(!tested);
        if *tested && left > 0 {
            group.train += 1;
            left -= 1;
        }
    }
    let test = tested.iter().filter(|tested| **tested).count();
    judge(groups.into_iter(), pool.len() - test + copies, test).verdict
}

/// Pools in which half of the examples have an equal, or nearly all, or few.
const POOLS: [(usize, bool); 5] =
    [(400, false), (1_500, false), (3_000, true), (20_000, false), (200_000, true)];

const SPLITS: usize = 500;

fn accused(copies: usize, tested: impl Fn(&mut Draws, &[usize]) -> Vec<bool>) -> Vec<usize> {
    let mut draws = Draws(7);
    let accused = |(values, skewed): (usize, bool)| {
        let of = |_: &usize| {
            let pool = pool(&mut draws, 2_000, values, skewed);
            let tested = tested(&mut draws, &pool);
            verdict(&pool, &tested, copies) == Verdict::Leak
        };
        (0..SPLITS).filter(of).count()
    };
    POOLS.map(accused).to_vec()
}

fn random(share: usize) -> impl Fn(&mut Draws, &[usize]) -> Vec<bool> {
    move |draws, pool| {
        let (_, test) = draws.split(pool.len(), pool.len() * share / 100);
        let mut tested = vec![false; pool.len()];
        test.into_iter().for_each(|example| tested[example] = true);
        tested
    }
}

#[test]
fn random_splits_are_hardly_ever_accused() {
    for share in [10, 20, 50] {
        let accused = accused(0, random(share));
        // One in a thousand is promised: of 2,500 more than 9 come with a chance of 0.0003.
        let all: usize = accused.iter().sum();
        assert!(all <= 9, "{share}: {accused:?}");
    }
}

/// A test part for which rare values, or common ones, were taken three times as often.
#[test]
fn splits_of_another_mixture_are_rarely_accused() {
    let accused = accused(0, |draws, pool| {
        let most = pool.iter().max().unwrap();
        pool.iter()
            .map(|value| draws.below(100) < if value * 3 < *most { 45 } else { 15 })
            .collect()
    });
    // One in a hundred at worst: of 500 more than 12 come with a chance of 0.002.
    assert!(accused.iter().all(|count| *count <= 12), "{accused:?}");
}

/// Copies of a fifth of 400 test examples are found where few examples have an equal anyway.
#[test]
fn copies_are_found() {
    let accused = accused(80, random(20));
    assert!(accused[3..].iter().all(|count| *count > 495), "{accused:?}");
}
