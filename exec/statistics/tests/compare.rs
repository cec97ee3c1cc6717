//! What the comparison says by default, and what it refuses to say.
#![allow(clippy::unwrap_used, missing_docs)]

mod kit;

use kit::Draws;
use lab_statistics::{
    Arm, Arrangements, Comparison, Design, Options, PairKey, Pairing, Run, Side, Statistic,
    StatisticsError, Verdict, compare, compare_several, holm, permutation, runs_per_arm, sign_flip,
};

fn arm(scores: &[f64]) -> Arm {
    Arm::of(&scores.iter().map(|score| Some(*score)).collect::<Vec<_>>())
}

/// Runs with the seeds 0, 1, 2, ...
fn seeded(scores: &[Option<f64>]) -> Arm {
    let key = |seed: usize| PairKey { seed: seed.to_string(), split: "a".to_owned() };
    let run = |(seed, score): (usize, &Option<f64>)| Run { key: Some(key(seed)), score: *score };
    Arm { runs: scores.iter().enumerate().map(run).collect() }
}

fn paired() -> Options {
    Options { paired: true, ..Options::default() }
}

fn of(a: &[f64], b: &[f64]) -> Comparison {
    compare(&arm(a), &arm(b), &Options::default()).unwrap()
}

const LOW: [f64; 6] = [0.90, 0.91, 0.92, 0.93, 0.94, 0.95];
const HIGH: [f64; 6] = [0.965, 0.97, 0.975, 0.98, 0.985, 0.99];

#[test]
fn from_four_runs_there_is_a_verdict() {
    for n in 0..=6 {
        let found = of(&HIGH[..n], &LOW[..n]);
        let view = &found.completed;
        assert_eq!(found.counted, None);
        match n {
            0..4 => assert_eq!(found.verdict, Verdict::NotPossible),
            _ => assert_eq!(found.verdict, Verdict::Better(Side::A)),
        }
        // All else is shown as soon as there is anything to show.
        assert_eq!(view.a.mean.is_some(), n > 0);
        assert_eq!(view.test.is_some(), n > 1);
        assert_eq!(view.estimate.is_some() && view.interval.is_some(), n > 1);
        assert_eq!(view.superiority.is_some(), n > 1);
        // Nothing can be found with 3 runs per arm, so there is no difference that would be.
        assert_eq!(view.detectable.is_some(), n > 3);
    }
    // Four on one side are not enough.
    assert_eq!(of(&HIGH, &LOW[..3]).verdict, Verdict::NotPossible);
    assert_eq!(of(&HIGH[..5], &LOW).completed.test.unwrap().statistic, Statistic::Studentised);
}

/// Runs that do not vary say nothing of the next one, but the test stands.
#[test]
fn constant_arms_have_no_interval() {
    let view = of(&[0.9; 5], &[0.8; 5]).completed;
    assert_eq!((view.estimate, view.interval, view.detectable), (None, None, None));
    assert_eq!((view.p, view.verdict), (Some(2.0 / 252.0), Verdict::Better(Side::A)));
    assert_eq!(of(&[0.9; 5], &[0.9; 6]).verdict, Verdict::NotShown);
}

#[test]
fn what_is_lower_can_be_better() {
    let options = Options { higher_is_better: false, ..Options::default() };
    let found = compare(&arm(&LOW), &arm(&HIGH), &options).unwrap();
    assert_eq!(found.verdict, Verdict::Better(Side::A));
    assert_eq!(found.completed.superiority.unwrap().probability, 1.0);
    let found = compare(&arm(&HIGH), &arm(&LOW), &options).unwrap();
    assert_eq!(found.verdict, Verdict::Better(Side::B));
    assert_eq!(of(&LOW, &HIGH).verdict, Verdict::Better(Side::B));
}

#[test]
fn nothing_is_within_a_margin_that_nobody_stated() {
    let (a, b) = ([1.0, 2.0, 3.0, 4.0, 5.0], [1.1, 2.1, 2.9, 4.1, 4.9]);
    assert_eq!(of(&a, &b).verdict, Verdict::NotShown);
    assert_eq!(of(&a, &b).completed.equivalence, None);
    let within = |a: &[f64], b: &[f64], margin: f64| {
        let options = Options { margin: Some(margin), ..Options::default() };
        compare(&arm(a), &arm(b), &options).unwrap().verdict
    };
    assert_eq!(within(&a, &b, 1.0), Verdict::NotShown);
    assert_eq!(within(&a, &b, 3.0), Verdict::WithinMargin);
    // Both at once: a difference, and a small one.
    assert_eq!(within(&HIGH, &LOW, 0.2), Verdict::BetterWithinMargin(Side::A));
    assert_eq!(within(&HIGH, &LOW, 0.05), Verdict::Better(Side::A));
    assert_eq!(within(&HIGH[..3], &LOW[..3], 0.2), Verdict::NotPossible);
}

#[test]
fn crashes_are_counted_with_and_without() {
    let some = |scores: &[f64], crashes: usize| {
        let mut scores: Vec<Option<f64>> = scores.iter().map(|score| Some(*score)).collect();
        scores.extend(vec![None; crashes]);
        Arm::of(&scores)
    };
    // The better method crashes in half of its runs.
    let found = compare(&some(&HIGH, 6), &some(&LOW, 0), &Options::default()).unwrap();
    assert_eq!(found.crashed, (6, 0));
    assert_eq!(found.completed.verdict, Verdict::Better(Side::A));
    let counted = found.counted.unwrap();
    assert_eq!((counted.a.runs, counted.b.runs), (12, 6));
    // The worst of either arm: 0.90 of B.
    let worst = [HIGH.to_vec(), vec![0.90; 6]].concat();
    assert_eq!(counted.test, Some(permutation(&worst, &LOW).unwrap()));
    assert_eq!(counted.verdict, Verdict::NotShown);
    assert_eq!(found.verdict, Verdict::DependsOnCrashes);
    // The worse one crashes: all the clearer.
    let found = compare(&some(&HIGH, 0), &some(&LOW, 2), &Options::default()).unwrap();
    assert_eq!(found.verdict, Verdict::Better(Side::A));
    // A loss: the worst is the highest.
    let options = Options { higher_is_better: false, ..Options::default() };
    let found = compare(&some(&HIGH, 0), &some(&LOW, 1), &options).unwrap();
    assert_eq!(found.counted.unwrap().b.mean, Some((LOW.iter().sum::<f64>() + 0.99) / 7.0));
    // All of one arm, and all of both.
    let found = compare(&some(&HIGH, 0), &some(&[], 6), &Options::default()).unwrap();
    assert_eq!(found.completed.verdict, Verdict::NotPossible);
    assert_eq!(found.counted.unwrap().verdict, Verdict::Better(Side::A));
    assert_eq!(found.verdict, Verdict::DependsOnCrashes);
    let found = compare(&some(&[], 6), &some(&[], 6), &Options::default()).unwrap();
    assert_eq!((found.counted, found.verdict), (None, Verdict::NotPossible));
}

#[test]
fn runs_are_paired_if_all_of_them_can_be() {
    let (a, b) = (HIGH.map(Some), LOW.map(Some));
    let asked = |a: &Arm, b: &Arm| compare(a, b, &paired()).unwrap();
    let found = asked(&seeded(&a), &seeded(&b));
    let Pairing::Paired { correlation: Some(correlation) } = found.pairing else {
        panic!("{found:?}")
    };
    assert!(correlation.r > 0.999, "{correlation:?}");
    assert_eq!(found.completed.test, Some(sign_flip(&HIGH, &LOW).unwrap()));
    assert!(found.completed.paired && found.completed.estimate.unwrap().design().degrees() == 5.0);
    assert_eq!(found.verdict, Verdict::Better(Side::A));
    // The order of runs does not matter, their keys do.
    let mut turned = seeded(&b);
    turned.runs.reverse();
    assert_eq!(asked(&seeded(&a), &turned), found);
    // Not asked, without keys, with another seed, too few.
    let unpaired = Some(permutation(&HIGH, &LOW).unwrap());
    let plain = compare(&seeded(&a), &seeded(&b), &Options::default()).unwrap();
    assert_eq!((plain.pairing, plain.completed.test), (Pairing::NotAsked, unpaired));
    let plain = asked(&Arm::of(&a), &seeded(&b));
    assert_eq!((plain.pairing, plain.completed.test), (Pairing::NoKeys, unpaired));
    let mut other = seeded(&b);
    other.runs[2].key.as_mut().unwrap().split = "b".to_owned();
    let plain = asked(&seeded(&a), &other);
    assert_eq!(plain.pairing, Pairing::Unmatched { only_a: 1, only_b: 1 });
    assert_eq!(plain.completed.test, unpaired);
    let few = asked(&seeded(&a[..5]), &seeded(&b[..5]));
    assert_eq!(few.pairing, Pairing::TooFew { pairs: 5 });
    assert_eq!(few.verdict, Verdict::Better(Side::A));
    // One run given twice is no pair, and no second run.
    let mut twice = seeded(&a);
    twice.runs.push(twice.runs[0].clone());
    let error = compare(&seeded(&a), &twice, &paired()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "two runs of B have the seed '0' and the split 'a': pairs need one of each"
    );
}

#[test]
fn pairs_in_which_one_crashed_count_too() {
    let mut a: Vec<Option<f64>> = HIGH.map(Some).to_vec();
    let mut b: Vec<Option<f64>> = LOW.map(Some).to_vec();
    a.extend([Some(0.97), None]);
    b.extend([None, Some(0.93)]);
    let found = compare(&seeded(&a), &seeded(&b), &paired()).unwrap();
    assert_eq!(found.crashed, (1, 1));
    assert_eq!(found.completed.test, Some(sign_flip(&HIGH, &LOW).unwrap()));
    let counted = found.counted.unwrap();
    let imputed = |arm: &[Option<f64>]| -> Vec<f64> {
        arm.iter().map(|score| score.unwrap_or(0.90)).collect()
    };
    assert_eq!(counted.test, Some(sign_flip(&imputed(&a), &imputed(&b)).unwrap()));
    // With one pair less they are no longer enough, and what completed is no longer paired.
    a[0] = None;
    let found = compare(&seeded(&a), &seeded(&b), &paired()).unwrap();
    assert!(!found.completed.paired && found.counted.unwrap().paired);
    assert_eq!((found.completed.a.runs, found.completed.b.runs), (6, 7));
}

#[test]
fn several_arms_are_adjusted() {
    let base = arm(&LOW);
    let shifted = |by: f64| arm(&LOW.map(|score| score + by));
    let mut arms: Vec<Arm> = [0.035, 0.034, 0.0].map(shifted).to_vec();
    arms.push(arm(&HIGH[..2]));
    let options = Options { margin: Some(0.02), ..Options::default() };
    let alone: Vec<Comparison> =
        arms.iter().map(|arm| compare(&base, arm, &options).unwrap()).collect();
    let found = compare_several(&base, &arms, &options).unwrap();
    let p = |all: &[Comparison]| -> Vec<f64> {
        all[..3].iter().map(|one| one.completed.p.unwrap()).collect()
    };
    assert_eq!(p(&found), holm(&p(&alone)).unwrap());
    let within = |all: &[Comparison]| -> Vec<f64> {
        all[..3].iter().map(|one| one.completed.equivalence.unwrap()).collect()
    };
    assert_eq!(within(&found), holm(&within(&alone)).unwrap());
    // The two runs of the last are too few to count.
    assert_eq!(found[3], alone[3]);
    // The test itself stays what it was.
    assert_eq!(found[0].completed.test, alone[0].completed.test);

    // One alone is found; beside 4 others it is not.
    let (near, far) = (shifted(0.027), shifted(0.0));
    let one = compare(&base, &near, &options).unwrap();
    assert_eq!(one.verdict.better(), Some(Side::B), "{one:?}");
    let five = [vec![near], vec![far; 4]].concat();
    let found = compare_several(&base, &five, &options).unwrap();
    assert_eq!(found[0].verdict.better(), None, "{:?}", found[0]);
    assert_eq!(compare_several(&base, &[], &options), Ok(vec![]));
}

/// An arm without a crash takes part in the family of all runs with what it has.
#[test]
fn several_arms_of_which_some_crashed() {
    let base = arm(&LOW);
    let mut crashed = HIGH.map(Some).to_vec();
    crashed[5] = None;
    let arms = [Arm::of(&crashed), arm(&HIGH)];
    let alone: Vec<Comparison> =
        arms.iter().map(|arm| compare(&base, arm, &Options::default()).unwrap()).collect();
    let found = compare_several(&base, &arms, &Options::default()).unwrap();
    let raw = [alone[0].counted.as_ref().unwrap().p.unwrap(), alone[1].completed.p.unwrap()];
    assert_eq!(found[0].counted.as_ref().unwrap().p, Some(holm(&raw).unwrap()[0]));
    let raw = [&alone[0], &alone[1]].map(|one| one.completed.p.unwrap());
    let adjusted = holm(&raw).unwrap();
    assert_eq!(found[0].completed.p, Some(adjusted[0]));
    assert_eq!(found[1].completed.p, Some(adjusted[1]));
}

#[test]
fn the_detectable_difference_is_asked_at_the_level_there_is() {
    let view = of(&[1.0, 2.0, 3.0, 4.0], &[1.5, 2.5, 3.5, 4.5]).completed;
    let design = view.estimate.unwrap().design();
    // 70 arrangements in 35 pairs: at 5 % one pair may be called extreme.
    let expected = design.minimum_detectable(2.0 / 70.0, 0.8).unwrap();
    assert_eq!(view.detectable, Some(expected));
    assert!(expected > design.minimum_detectable(0.05, 0.8).unwrap());
    assert!((design.power(expected, 2.0 / 70.0).unwrap() - 0.8).abs() < 1e-12);
}

#[test]
fn more_runs_find_less() {
    let few = runs_per_arm(1.0, (1.0, 1.0), 0.05, 0.8).unwrap();
    assert_eq!(few, 17);
    let design = |n| Design::welch((n, 1.0), (n, 1.0)).unwrap();
    assert!(design(17).power(1.0, 0.05).unwrap() >= 0.8);
    assert!(design(16).power(1.0, 0.05).unwrap() < 0.8);
    assert_eq!(runs_per_arm(1e9, (1.0, 1.0), 0.05, 0.8), Ok(2));
    let error = runs_per_arm(1e-9, (1.0, 1.0), 0.05, 0.8).unwrap_err();
    assert_eq!(error, StatisticsError::OutOfReach { effect: 1e-9, limit: 10_000 });
    // With one arm that does not vary, half as many more than for one sample.
    assert!(runs_per_arm(1.0, (1.0, 0.0), 0.05, 0.8).unwrap() < few);
    for bad in [(0.0, 0.0), (-1.0, 1.0), (f64::NAN, 1.0), (1.0, f64::INFINITY)] {
        assert!(runs_per_arm(1.0, bad, 0.05, 0.8).is_err(), "{bad:?}");
        assert!(Design::welch((4, bad.0), (4, bad.1)).is_err(), "{bad:?}");
    }
    assert!(Design::pooled(1, 4, 1.0).is_err() && Design::paired(4, 0.0).is_err());
    let paired = Design::paired(9, 3.0).unwrap();
    assert_eq!((paired.standard_error(), paired.degrees()), (1.0, 8.0));
}

#[test]
fn demands_out_of_range_are_refused() {
    let plain = Options::default();
    for options in [
        Options { level: 0.0, ..plain },
        Options { level: 0.9, ..plain },
        Options { level: f64::NAN, ..plain },
        Options { power: 1.0, ..plain },
        Options { power: 0.1, ..plain },
        Options { margin: Some(0.0), ..plain },
        Options { margin: Some(f64::INFINITY), ..plain },
    ] {
        let error = compare(&arm(&HIGH), &arm(&LOW), &options).unwrap_err();
        assert!(matches!(error, StatisticsError::Range { .. }), "{options:?}: {error}");
    }
    let error = compare(&arm(&HIGH), &arm(&[f64::NAN]), &plain).unwrap_err();
    assert!(matches!(error, StatisticsError::NotFinite { .. }), "{error}");
    let many = Arm::of(&vec![None; 10_001]);
    assert!(compare(&many, &arm(&LOW), &plain).is_err());
}

/// Whatever comes, there is a verdict or an error in words, and what is said holds together.
#[test]
fn nothing_panics() {
    const SCORES: [Option<f64>; 10] = [
        None,
        Some(0.0),
        Some(1.0),
        Some(-1.0),
        Some(2.0),
        Some(0.9),
        Some(0.91),
        Some(1e300),
        Some(-1e300),
        Some(5e-324),
    ];
    let mut draws = Draws::new(1);
    let mut verdicts = [0; 4];
    for _ in 0..1_500 {
        let most = 5 + draws.below(SCORES.len() - 4);
        let mut list = || -> Vec<Option<f64>> {
            let count = draws.below(11);
            (0..count).map(|_| SCORES[draws.below(most)]).collect()
        };
        let (a, b) = (seeded(&list()), seeded(&list()));
        let options = Options {
            higher_is_better: draws.below(2) == 0,
            paired: draws.below(2) == 0,
            margin: (draws.below(2) == 0).then_some(2.5),
            ..Options::default()
        };
        let (Ok(one), Ok(other)) = (compare(&a, &b, &options), compare(&b, &a, &options)) else {
            verdicts[0] += 1;
            continue;
        };
        let swapped = |verdict: Verdict| match verdict {
            Verdict::Better(Side::A) => Verdict::Better(Side::B),
            Verdict::Better(Side::B) => Verdict::Better(Side::A),
            Verdict::BetterWithinMargin(Side::A) => Verdict::BetterWithinMargin(Side::B),
            Verdict::BetterWithinMargin(Side::B) => Verdict::BetterWithinMargin(Side::A),
            verdict => verdict,
        };
        assert_eq!(one.verdict, swapped(other.verdict), "{a:?} {b:?} {options:?}");
        assert_eq!(
            one.counted.is_some(),
            one.crashed != (0, 0) && one.completed.a.runs + one.completed.b.runs > 0
        );
        let view = &one.completed;
        if let Some(side) = view.verdict.better() {
            let higher = view.a.mean > view.b.mean;
            assert_eq!(side == Side::A, higher == options.higher_is_better);
            assert!(view.p.unwrap() <= 0.05 && view.a.runs.min(view.b.runs) >= 4);
            assert!(matches!(view.test.unwrap().arrangements, Arrangements::Every(_)));
        }
        verdicts[match one.verdict {
            Verdict::NotPossible => 1,
            Verdict::NotShown | Verdict::DependsOnCrashes => 2,
            _ => 3,
        }] += 1;
    }
    assert!(verdicts[1..].iter().all(|count| *count > 30), "{verdicts:?}");
}
