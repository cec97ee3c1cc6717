//! How often a difference is claimed that is none: a short version of the example
//! `false_positives`, to see that it stays so.
#![allow(clippy::unwrap_used, missing_docs)]

mod kit;

use kit::{Draws, Scores, Setting, simulate};
use lab_statistics::{paired_bootstrap, sign_flip};

/// 5.5 %, and four standard deviations of a share of 5 % of so many.
fn bound(repetitions: usize) -> f64 {
    0.055 + 4.0 * (0.05 * 0.95 / repetitions as f64).sqrt()
}

#[test]
fn few_differences_are_claimed_that_are_none() {
    for scores in Scores::ALL {
        let sizes = [(4, 4), (5, 5), (6, 6), (8, 8), (10, 10), (4, 7), (5, 10), (15, 15)];
        for (n, m) in sizes {
            let repetitions = if n < 15 { 2_000 } else { 400 };
            let setting = Setting { scores, n, m, spread: 1.0, gain: 0.0 };
            let shares = simulate(&setting, repetitions, 1, false);
            assert!(shares.ours <= bound(repetitions), "{setting:?}: {shares:?}");
            // A test that never finds anything would also pass.
            assert!(shares.ours >= 0.015, "{setting:?}: {shares:?}");
        }
    }
}

/// The bound is one that a worse test breaks.
#[test]
fn the_bootstrap_over_runs_would_be_seen() {
    let setting = Setting { scores: Scores::Normal, n: 5, m: 5, spread: 1.0, gain: 0.0 };
    let shares = simulate(&setting, 1_000, 1, true);
    assert!(shares.bootstrap > bound(1_000), "{shares:?}");
}

#[test]
fn differences_are_found_and_intervals_hold_them() {
    for (n, least) in [(6, 0.25), (10, 0.45), (15, 0.70)] {
        let setting = Setting { scores: Scores::Normal, n, m: n, spread: 1.0, gain: 1.0 };
        let shares = simulate(&setting, 1_000, 2, false);
        assert!(shares.ours > least, "{setting:?}: {shares:?}");
        assert!(shares.interval > 0.93 && shares.superiority > 0.93, "{setting:?}: {shares:?}");
    }
}

#[test]
fn flips_hold_their_level_and_gain_by_correlation() {
    let repetitions = 3_000;
    let mut draws = Draws::new(3);
    let mut found = |common: f64, gain: f64, pairs: usize| {
        let mut count = 0;
        for _ in 0..repetitions {
            let mut arms = (Vec::new(), Vec::new());
            for _ in 0..pairs {
                let luck = common.sqrt() * draws.normal();
                let mut own = || (1.0 - common).sqrt() * draws.normal();
                arms.0.push(gain + luck + own());
                arms.1.push(luck + own());
            }
            count += u32::from(sign_flip(&arms.0, &arms.1).unwrap().p <= 0.05);
        }
        f64::from(count) / repetitions as f64
    };
    for pairs in [6, 8, 10] {
        assert!(found(0.6, 0.0, pairs) <= bound(repetitions), "{pairs}");
    }
    // Peers measured 0.45 and 0.23 of 8 pairs, for a gain of 0.7 deviations.
    let (with, without) = (found(0.6, 0.7, 8), found(0.0, 0.7, 8));
    assert!((with - 0.45).abs() < 0.05 && (without - 0.23).abs() < 0.05, "{with} {without}");
}

/// Of 30 examples the studentised interval holds the truth about as often as it says; of skewed
/// differences the percentile interval does not.
#[test]
fn few_examples_are_better_studentised() {
    let mut draws = Draws::new(4);
    let repetitions = 400;
    let (mut percentile, mut studentised) = (0, 0);
    for _ in 0..repetitions {
        let a: Vec<f64> = (0..15).map(|_| draws.normal().exp()).collect();
        let b = vec![0.0; 15];
        let found = paired_bootstrap(&a, &b, 0.05).unwrap();
        let truth = 0.5_f64.exp();
        let holds = |ends: lab_statistics::Interval| ends.low <= truth && truth <= ends.high;
        percentile += u32::from(holds(found.percentile));
        studentised += u32::from(holds(found.studentised.unwrap()));
    }
    let [percentile, studentised] =
        [percentile, studentised].map(|count| f64::from(count) / f64::from(repetitions));
    assert!(studentised > 0.88 && percentile < studentised - 0.05, "{percentile} {studentised}");
}
