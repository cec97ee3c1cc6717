//! What holds of any scores, whatever SciPy says of them.
#![allow(clippy::unwrap_used, missing_docs)]

mod kit;

use kit::Draws;
use lab_statistics::{
    Arrangements, Estimate, MAX_RUNS, Statistic, Test, correlation, holm, mcnemar,
    paired_bootstrap, permutation, permutation_of, sign_flip, superiority,
};

/// Arms of many kinds: normal, with ties, with outliers, nearly constant.
fn arms(draws: &mut Draws, n: usize, m: usize) -> (Vec<f64>, Vec<f64>) {
    let kind = draws.below(4);
    let mut one = |_| match kind {
        0 => draws.normal(),
        1 => draws.below(4) as f64,
        2 => draws.normal() * if draws.below(6) == 0 { 50.0 } else { 0.5 },
        _ => 0.9 + f64::from(u32::from(draws.below(5) == 0)) / 128.0,
    };
    let a = (0..n).map(&mut one).collect();
    (a, (0..m).map(&mut one).collect())
}

fn sizes(draws: &mut Draws, most: usize) -> (usize, usize) {
    (2 + draws.below(most - 1), 2 + draws.below(most - 1))
}

/// Sizes of every way to count: halves, one by one, drawn.
const WAYS: [(usize, usize); 5] = [(6, 6), (5, 9), (12, 14), (25, 25), (22, 23)];

#[test]
fn the_arms_can_change_places() {
    let mut draws = Draws::new(1);
    for (n, m) in WAYS {
        for _ in 0..10 {
            let (a, b) = arms(&mut draws, n, m);
            let test = permutation(&a, &b).unwrap();
            assert_eq!(test, permutation(&b, &a).unwrap(), "{a:?} {b:?}");
            // Nor does the order within an arm matter.
            let back: Vec<f64> = a.iter().rev().copied().collect();
            assert_eq!(test, permutation(&back, &b).unwrap(), "{a:?} {b:?}");
            let [above, below] =
                [(&a, &b), (&b, &a)].map(|(x, y)| superiority(x, y, 0.05).unwrap());
            assert!((above.probability + below.probability - 1.0).abs() < 1e-15);
            assert!((above.interval.low + below.interval.high - 1.0).abs() < 1e-12);
            if let (Ok(one), Ok(other)) = (Estimate::welch(&a, &b), Estimate::welch(&b, &a)) {
                assert!((one.difference() + other.difference()).abs() < 1e-15);
                assert!((one.p() - other.p()).abs() < 1e-12);
            }
            let c = &b[..n.min(m)];
            let test = sign_flip(&a[..c.len()], c).unwrap();
            assert_eq!(test, sign_flip(c, &a[..c.len()]).unwrap());
        }
    }
}

#[test]
fn the_order_of_pairs_does_not_matter() {
    let mut draws = Draws::new(9);
    for pairs in [7, 12, 40, 41, 70] {
        let (mut a, mut b) = arms(&mut draws, pairs, pairs);
        let test = sign_flip(&a, &b).unwrap();
        a.reverse();
        b.reverse();
        assert_eq!(test, sign_flip(&a, &b).unwrap(), "{a:?} {b:?}");
    }
}

#[test]
fn neither_unit_nor_origin_matters() {
    let mut draws = Draws::new(2);
    for (n, m) in WAYS {
        for _ in 0..10 {
            // Whole numbers, which the changes leave exact.
            let mut whole = |count| -> Vec<f64> {
                (0..count).map(|_| (draws.normal() * 1000.0).round()).collect()
            };
            let (a, b) = (whole(n), whole(m));
            let p = permutation(&a, &b).unwrap().p;
            let of_p = superiority(&a, &b, 0.05).unwrap();
            let t = Estimate::welch(&a, &b).unwrap().t();
            let pairs = n.min(m);
            let flips = sign_flip(&a[..pairs], &b[..pairs]).unwrap().p;
            for (factor, shift) in [
                (1.0, 4096.0),
                (-1.0, 0.0),
                (3.0, -70_000.0),
                (2_f64.powi(-900), 0.0),
                (2_f64.powi(900), 0.0),
            ] {
                let changed = |arm: &[f64]| -> Vec<f64> {
                    arm.iter().map(|score| score * factor + shift).collect()
                };
                let (a, b) = (changed(&a), changed(&b));
                // Drawn arrangements are others for other scores.
                let near = |found: Test, expected: f64| {
                    let error = (found.p - expected).abs();
                    match found.arrangements {
                        Arrangements::Every(_) => {
                            assert!(error < 1e-12, "{error} {factor} {shift}")
                        }
                        Arrangements::Drawn(_) => assert!(error < 0.008, "{error}"),
                    }
                };
                near(permutation(&a, &b).unwrap(), p);
                near(sign_flip(&a[..pairs], &b[..pairs]).unwrap(), flips);
                let welch = Estimate::welch(&a, &b).unwrap();
                assert!((welch.t() - t * factor.signum()).abs() < 1e-9 * t.abs().max(1.0));
                if factor > 0.0 {
                    assert_eq!(superiority(&a, &b, 0.05).unwrap(), of_p);
                }
            }
        }
    }
}

#[test]
fn exact_p_count_arrangements() {
    let mut draws = Draws::new(3);
    for _ in 0..300 {
        let (n, m) = sizes(&mut draws, 8);
        let (a, b) = arms(&mut draws, n, m);
        let mut tests = vec![permutation(&a, &b).unwrap()];
        tests.push(permutation_of(&a, &b, Statistic::MeanDifference).unwrap());
        let pairs = n.min(m);
        tests.push(sign_flip(&a[..pairs], &b[..pairs]).unwrap());
        for (test, mirrored) in tests.iter().zip([n == m, n == m, true]) {
            let Arrangements::Every(all) = test.arrangements else { panic!("{test:?}") };
            let hits = test.p * all as f64;
            let step = if mirrored { 2.0 } else { 1.0 };
            assert!((hits - hits.round()).abs() < 1e-6, "{test:?}");
            assert!(hits.round() >= step && test.p <= 1.0, "{test:?}");
            assert!((test.smallest - step / all as f64).abs() < 1e-15);
            assert!(test.p >= test.smallest - 1e-15);
            // Of arms of one size, and of signs, each arrangement has a mirror image.
            if mirrored && test.p < 1.0 {
                assert!((hits.round() / 2.0).fract() == 0.0, "{test:?}");
            }
        }
    }
}

/// If labels mean nothing, p is at most 0.05 in at most 5 % of all ways to deal the labels, exactly
/// and not on average: each way is tried.
#[test]
fn the_level_holds_over_all_labels() {
    let mut draws = Draws::new(4);
    for (n, m) in [(4, 4), (4, 5), (3, 6), (5, 5)] {
        for _ in 0..6 {
            let (a, b) = arms(&mut draws, n, m);
            let pooled = [a, b].concat();
            let (mut found, mut all) = (0, 0);
            for set in 0_u32..1 << (n + m) {
                if set.count_ones() as usize != n {
                    continue;
                }
                let of = |wanted| -> Vec<f64> {
                    let mine = |k: &usize| (set >> k & 1 == 1) == wanted;
                    (0..n + m).filter(mine).map(|k| pooled[k]).collect()
                };
                all += 1;
                found += u32::from(permutation(&of(true), &of(false)).unwrap().p <= 0.05);
            }
            assert!(f64::from(found) <= 0.05 * f64::from(all), "{found} of {all}: {pooled:?}");
        }
    }
}

/// Where the sizes are one, the studentised test is the plain one: Welch's t, computed for each
/// arrangement, gives the same p.
#[test]
fn arms_of_one_size_need_no_studentising() {
    let mut draws = Draws::new(5);
    for _ in 0..40 {
        let n = 3 + draws.below(3);
        let scores = |draws: &mut Draws, spread: f64| -> Vec<f64> {
            (0..n).map(|_| spread * draws.normal()).collect()
        };
        let (a, b) = (scores(&mut draws, 5.0), scores(&mut draws, 1.0));
        let pooled = [a.clone(), b.clone()].concat();
        let observed = Estimate::welch(&a, &b).unwrap().t().abs();
        let (mut hits, mut all) = (0_u32, 0_u32);
        for set in 0_u32..1 << (2 * n) {
            if set.count_ones() as usize == n {
                let of = |wanted| -> Vec<f64> {
                    let mine = |k: &usize| (set >> k & 1 == 1) == wanted;
                    (0..2 * n).filter(mine).map(|k| pooled[k]).collect()
                };
                let t = Estimate::welch(&of(true), &of(false)).unwrap().t().abs();
                all += 1;
                hits += u32::from(t >= observed * (1.0 - 1e-9));
            }
        }
        let p = permutation(&a, &b).unwrap().p;
        assert!((p - f64::from(hits) / f64::from(all)).abs() < 1e-12, "{a:?} {b:?}");
        assert_eq!(permutation_of(&a, &b, Statistic::Studentised).unwrap().p, p);
    }
}

/// Exact and drawn answers to the same question agree as far as draws allow.
#[test]
fn draws_say_what_counting_says() {
    let mut draws = Draws::new(6);
    for _ in 0..4 {
        let mut whole = |count: usize, shift: f64| -> Vec<f64> {
            (0..count).map(|_| (draws.normal() * 10.0 + shift).round()).collect()
        };
        // 40 pairs are counted; a 41st without a difference changes no arrangement's sum.
        let (mut a, mut b) = (whole(40, 3.0), whole(40, 0.0));
        let counted = sign_flip(&a, &b).unwrap();
        a.push(1.0);
        b.push(1.0);
        let drawn = sign_flip(&a, &b).unwrap();
        assert_eq!(counted.arrangements, Arrangements::Every(1 << 40));
        assert_eq!(drawn.arrangements, Arrangements::Drawn(199_999));
        let deviation = (counted.p * (1.0 - counted.p) / 2e5).sqrt();
        assert!((counted.p - drawn.p).abs() < 5.0 * deviation + 1e-5, "{counted:?} {drawn:?}");
    }
}

#[test]
fn equal_arms_show_nothing() {
    for scores in [vec![1.0, 2.0, 3.0, 4.0], vec![0.1; 5], vec![0.0, -0.0, 1e300, 5e-324]] {
        let test = permutation(&scores, &scores).unwrap();
        assert_eq!(test.p, 1.0, "{scores:?}");
        assert_eq!(sign_flip(&scores, &scores).unwrap().p, 1.0);
        assert_eq!(superiority(&scores, &scores, 0.05).unwrap().probability, 0.5);
    }
    let many: Vec<f64> = (0..50).map(f64::from).collect();
    assert_eq!(permutation(&many, &many).unwrap().p, 1.0);
    assert_eq!(sign_flip(&many, &many).unwrap().p, 1.0);
    // Of one mean and different sizes.
    assert_eq!(permutation(&[1.0, 3.0, 2.0, 2.0], &[0.0, 2.0, 4.0]).unwrap().p, 1.0);
}

/// Arms that are both constant: the t of the observed arrangement is infinite, as is that of its
/// mirror image, and of nothing else.
#[test]
fn an_infinite_t_is_the_most_extreme() {
    let (small, large) = ([0.1 + 0.2; 3], [0.4; 5]);
    let test = permutation(&small, &large).unwrap();
    assert_eq!((test.statistic, test.p), (Statistic::Studentised, 1.0 / 56.0));
    // One constant, one not, and an arrangement with two constant arms that was not observed.
    let test = permutation(&[1.0, 1.0, 2.0], &[1.0, 2.0, 2.0, 2.0, 2.0]).unwrap();
    let Arrangements::Every(56) = test.arrangements else { panic!("{test:?}") };
    // By hand: the smaller arm has 0, 1, 2 or 3 of the three 1s in 10, 30, 15 and 1 ways, with a t
    // of 2.4, 0.2, -1.2 (as observed) and -infinity.
    assert!((test.p - 26.0 / 56.0).abs() < 1e-12, "{test:?}");
    assert_eq!(permutation(&[1.0; 3], &[2.0; 5]).unwrap().p, 1.0 / 56.0);
}

#[test]
fn intervals_hold_what_they_are_about() {
    let mut draws = Draws::new(7);
    for _ in 0..200 {
        let (n, m) = sizes(&mut draws, 30);
        let (a, b) = arms(&mut draws, n, m);
        let wide = superiority(&a, &b, 0.01).unwrap();
        let narrow = superiority(&a, &b, 0.1).unwrap();
        let p = wide.probability;
        assert!(0.0 <= wide.interval.low && wide.interval.low <= narrow.interval.low);
        assert!(narrow.interval.low <= p && p <= narrow.interval.high);
        assert!(narrow.interval.high <= wide.interval.high && wide.interval.high <= 1.0);
        if let Ok(estimate) = Estimate::welch(&a, &b) {
            for level in [0.01, 0.05, 0.2] {
                let ends = estimate.interval(level).unwrap();
                assert!(ends.low < estimate.difference() && estimate.difference() < ends.high);
                // The interval and the test are one.
                let outside = ends.low > 0.0 || ends.high < 0.0;
                assert_eq!(outside, estimate.p() < level, "{a:?} {b:?}");
                // So are the two one-sided tests and the interval at twice the level.
                let ends = estimate.interval(2.0 * level).unwrap();
                let margin = ends.high.abs().max(ends.low.abs());
                assert!(estimate.equivalence(margin * 1.001).unwrap() < level);
                assert!(estimate.equivalence(margin * 0.999).unwrap() > level);
            }
        }
    }
}

/// Whatever comes, there is an answer or an error in words, and no panic.
#[test]
fn nothing_panics() {
    const EXTREME: [f64; 12] = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        5e-324,
        1e-200,
        1e200,
        f64::NAN,
        f64::INFINITY,
    ];
    let mut draws = Draws::new(8);
    let (mut answers, mut refused) = (0, 0);
    for _ in 0..5_000 {
        // A third of the lists has what is no number.
        let finite = if draws.below(3) == 0 { 12 } else { 10 };
        let mut list = || -> Vec<f64> {
            let count = draws.below(8);
            (0..count).map(|_| EXTREME[draws.below(finite)]).collect()
        };
        let (a, b) = (list(), list());
        let finite = a.iter().chain(&b).all(|score| score.is_finite());
        let tests = [permutation(&a, &b), sign_flip(&a, &b)];
        for test in &tests {
            match test {
                Ok(test) => {
                    assert!(finite && test.p > 0.0 && test.p <= 1.0, "{test:?} {a:?} {b:?}");
                    answers += 1;
                }
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    refused += 1;
                }
            }
        }
        for estimate in [Estimate::welch(&a, &b), Estimate::paired(&a, &b)].into_iter().flatten() {
            assert!(
                estimate.difference().is_finite() && estimate.design().degrees() >= 1.0 - 1e-12
            );
            assert!(estimate.design().standard_error() > 0.0, "{a:?} {b:?}");
            assert!((0.0..=1.0).contains(&estimate.p()), "{estimate:?}");
            if let Ok(ends) = estimate.interval(0.05) {
                assert!(ends.low <= ends.high && ends.low.is_finite() && ends.high.is_finite());
            }
        }
        if let Ok(found) = superiority(&a, &b, 0.05) {
            assert!(found.interval.low <= found.probability, "{found:?}");
            assert!(found.probability <= found.interval.high, "{found:?}");
        }
        if let Ok(found) = correlation(&a, &b, 0.05) {
            assert!((-1.0..=1.0).contains(&found.r), "{found:?}");
        }
        if let Ok(found) = paired_bootstrap(&a, &b, 0.05) {
            assert!(found.percentile.low <= found.percentile.high, "{found:?}");
        }
    }
    assert!(answers > 1_000 && refused > 1_000, "{answers} {refused}");
}

#[test]
fn too_much_is_refused_before_any_work() {
    let many = vec![0.0; MAX_RUNS + 1];
    for result in [permutation(&many, &[1.0, 2.0]), permutation(&[1.0, 2.0], &many)] {
        assert!(result.unwrap_err().to_string().ends_with("the limit is 10000"));
    }
    assert!(sign_flip(&many, &many).is_err());
    assert!(Estimate::welch(&many, &many).is_err());
    assert!(superiority(&many, &many, 0.05).is_err());
    assert!(correlation(&many, &many, 0.05).is_err());
    assert!(holm(&many).is_err());
    assert!(mcnemar(u64::MAX, u64::MAX).is_err());
    let examples = vec![0.0; 1_000_001];
    assert!(paired_bootstrap(&examples, &examples, 0.05).is_err());
}
