//! The numbers of SciPy and statsmodels, on many scores (`scipy.py` makes them): to 1e-9 wherever
//! theirs do not depend on draws, and to what draws allow where they do.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Instant;

use lab_statistics::{
    Arrangements, Design, Estimate, Interval, Statistic, StatisticsError, Summary, corrected_t,
    correlation, holm, mcnemar, paired_bootstrap, permutation, permutation_of, runs_per_arm,
    sign_flip, superiority,
};
use serde_json::Value;

fn cases(kind: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("scipy.json")).unwrap();
    let cases = all[kind].as_array().unwrap().clone();
    assert!(cases.len() >= 10, "{kind}");
    cases
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn number(case: &Value, key: &str) -> usize {
    case[key].as_u64().unwrap() as usize
}

/// Asserts that a number is the expected one, within 1e-9 of its size.
#[track_caller]
fn close(found: f64, expected: f64, what: &str) {
    let error = (found - expected).abs();
    assert!(error <= 1e-9 * expected.abs(), "{what}: {found}, not {expected}");
}

/// Asserts that an interval is the expected one, within 1e-9 of the larger end.
#[track_caller]
fn close_ends(found: Interval, expected: &Value, what: &str) {
    let expected = numbers(expected);
    let size = expected[0].abs().max(expected[1].abs());
    for (found, expected) in [(found.low, expected[0]), (found.high, expected[1])] {
        assert!((found - expected).abs() <= 1e-9 * size, "{what}: {found}, not {expected}");
    }
}

/// Asserts that two shares, of so many draws each, differ by no more than chance does: five
/// standard deviations, which happens once in a million.
#[track_caller]
fn by_chance(found: f64, expected: f64, draws: f64, what: &str) {
    let deviation = (2.0 * expected * (1.0 - expected) / draws).sqrt();
    assert!((found - expected).abs() <= 5.0 * deviation, "{what}: {found}, not {expected}");
}

fn arms(case: &Value) -> (Vec<f64>, Vec<f64>) {
    (numbers(&case["a"]), numbers(&case["b"]))
}

#[test]
fn welch_agrees() {
    let mut seen = 0;
    for case in cases("arms") {
        let (name, (a, b)) = (case["name"].as_str().unwrap(), arms(&case));
        let estimate = Estimate::welch(&a, &b);
        if case.get("t").is_none() {
            assert!(matches!(estimate, Err(StatisticsError::NoSpread(_))), "{name}");
            continue;
        }
        let estimate = estimate.unwrap();
        seen += 1;
        // Of a difference that is rounding, SciPy's t is too.
        let t = case["t"].as_f64().unwrap();
        assert!((estimate.t() - t).abs() <= 1e-9 * t.abs().max(1e-3), "{name}: {}", estimate.t());
        close(estimate.p(), case["p"].as_f64().unwrap(), name);
        close(estimate.design().degrees(), case["degrees"].as_f64().unwrap(), name);
        for level in [0.05, 0.1, 0.01] {
            let interval = estimate.interval(level).unwrap();
            close_ends(interval, &case[format!("interval_{level}")], name);
        }
        for (margin, p) in numbers(&case["margins"]).iter().zip(numbers(&case["equivalence"])) {
            close(estimate.equivalence(*margin).unwrap(), p, name);
        }
    }
    assert!(seen >= 90, "{seen}");
}

/// What the rows of a board show.
#[test]
fn summaries_agree() {
    for case in cases("summary") {
        let (name, scores) = (case["name"].as_str().unwrap(), numbers(&case["scores"]));
        let summary = Summary::of(&scores);
        close(summary.mean.unwrap(), case["mean"].as_f64().unwrap(), name);
        close(summary.deviation.unwrap(), case["deviation"].as_f64().unwrap(), name);
        for level in [0.5, 0.8, 0.9, 0.95, 0.99, 0.999] {
            let interval = summary.interval(level).unwrap();
            close_ends(interval, &case[format!("interval_{level}")], name);
            // The middle of the interval hides its width where scores are far from zero.
            let expected = numbers(&case[format!("interval_{level}")]);
            let wide = expected[1] - expected[0];
            let off = (interval.high - interval.low) - wide;
            assert!(off.abs() <= 1e-9 * wide, "{name} {level}: {off}");
        }
    }
}

#[test]
fn pairs_agree() {
    let (mut seen, mut correlated) = (0, 0);
    for case in cases("arms") {
        let (name, (a, b)) = (case["name"].as_str().unwrap(), arms(&case));
        if let Some(p) = case.get("paired_p") {
            seen += 1;
            let estimate = Estimate::paired(&a, &b).unwrap();
            close(estimate.t(), case["paired_t"].as_f64().unwrap(), name);
            close(estimate.p(), p.as_f64().unwrap(), name);
            close_ends(estimate.interval(0.05).unwrap(), &case["paired_interval"], name);
        }
        if let Some(p) = case.get("sign_flip") {
            let test = sign_flip(&a, &b).unwrap();
            close(test.p, p.as_f64().unwrap(), name);
            assert_eq!(test.arrangements, Arrangements::Every(1 << a.len()));
        }
        if let Some(r) = case.get("r") {
            correlated += 1;
            let found = correlation(&a, &b, 0.05).unwrap();
            close(found.r, r.as_f64().unwrap(), name);
            close_ends(found.interval.unwrap(), &case["r_interval"], name);
        }
    }
    assert!(seen >= 50 && correlated >= 40, "{seen} {correlated}");
}

#[test]
fn permutations_agree() {
    let (mut means, mut studentised) = (0, 0);
    for case in cases("arms") {
        let (name, (a, b)) = (case["name"].as_str().unwrap(), arms(&case));
        let every = Arrangements::Every(case["arrangements"].as_u64().unwrap());
        if let Some(p) = case.get("permutation") {
            means += 1;
            let test = permutation_of(&a, &b, Statistic::MeanDifference).unwrap();
            close(test.p, p.as_f64().unwrap(), name);
            assert_eq!(test.arrangements, every, "{name}");
        }
        if let Some(p) = case.get("studentised") {
            studentised += 1;
            let test = permutation(&a, &b).unwrap();
            close(test.p, p.as_f64().unwrap(), name);
            let expected = (Statistic::Studentised, every);
            assert_eq!((test.statistic, test.arrangements), expected, "{name}");
        }
    }
    assert!(means >= 70 && studentised >= 20, "{means} {studentised}");
}

/// Scores with few digits, whose sums are ties in decimals and not in binary fractions.
#[test]
fn decimals_are_ties() {
    for case in cases("decimals") {
        let (a, b) = arms(&case);
        let test = permutation_of(&a, &b, Statistic::MeanDifference).unwrap();
        close(test.p, case["permutation"].as_f64().unwrap(), &case.to_string());
        let test = permutation(&a, &b).unwrap();
        close(test.p, case["studentised"].as_f64().unwrap(), &case.to_string());
        if let Some(p) = case["sign_flip"].as_f64() {
            close(sign_flip(&a, &b).unwrap().p, p, &case.to_string());
        }
    }
}

/// Whole scores, more than SciPy can go through.
#[test]
fn counts_agree() {
    for case in cases("counted") {
        let (a, b) = arms(&case);
        if let Some(p) = case["permutation"].as_f64() {
            let test = permutation_of(&a, &b, Statistic::MeanDifference).unwrap();
            close(test.p, p, &case.to_string());
            assert!(matches!(test.arrangements, Arrangements::Every(n) if n >= 184_756));
        }
        if let Some(p) = case["sign_flip"].as_f64() {
            close(sign_flip(&a, &b).unwrap().p, p, &case.to_string());
        }
    }
}

#[test]
fn draws_agree() {
    for case in cases("drawn") {
        let (a, b) = arms(&case);
        let what = format!("{} and {}", a.len(), b.len());
        let test = permutation(&a, &b).unwrap();
        assert_eq!(test.arrangements, Arrangements::Drawn(199_999), "{what}");
        by_chance(test.p, case["p"].as_f64().unwrap(), 100_000.0, &what);
        if let Some(p) = case["sign_flip"].as_f64() {
            let p = (sign_flip(&a, &b).unwrap().p, p);
            by_chance(p.0, p.1, 100_000.0, &format!("{what}, pairs"));
        }
    }
}

#[test]
fn superiority_agrees() {
    for case in cases("arms") {
        let (name, (a, b)) = (case["name"].as_str().unwrap(), arms(&case));
        let found = superiority(&a, &b, 0.05).unwrap();
        assert_eq!(found.probability, case["superiority"].as_f64().unwrap(), "{name}");
        close_ends(found.interval, &case["superiority_interval"], name);
    }
}

#[test]
fn power_agrees() {
    for case in cases("power") {
        let (n, m) = (number(&case, "n"), number(&case, "m"));
        let (level, wanted) = (case["level"].as_f64().unwrap(), case["wanted"].as_f64().unwrap());
        let design = Design::pooled(n, m, 1.0).unwrap();
        let effect = design.minimum_detectable(level, wanted).unwrap();
        close(effect, case["effect"].as_f64().unwrap(), &case.to_string());
        let power = design.power(-effect / 2.0, level).unwrap();
        close(power, case["power_at_half"].as_f64().unwrap(), &case.to_string());
    }
}

#[test]
fn numbers_of_runs_agree() {
    for case in cases("runs") {
        let [effect, level, wanted] =
            ["effect", "level", "wanted"].map(|key| case[key].as_f64().unwrap());
        let runs = runs_per_arm(effect * 1e-3, (1e-3, 1e-3), level, wanted).unwrap();
        assert_eq!(runs, number(&case, "runs"), "{case}");
    }
}

#[test]
fn adjustments_agree() {
    for case in cases("adjusted") {
        for (found, expected) in
            holm(&numbers(&case["p"])).unwrap().into_iter().zip(numbers(&case["holm"]))
        {
            close(found, expected, &case.to_string());
        }
    }
}

#[test]
fn mcnemar_agrees() {
    for case in cases("discordant") {
        let test = mcnemar(number(&case, "b") as u64, number(&case, "c") as u64).unwrap();
        close(test.exact, case["exact"].as_f64().unwrap(), &case.to_string());
        close(test.mid, case["mid"].as_f64().unwrap(), &case.to_string());
    }
}

#[test]
fn folds_agree() {
    for case in cases("folds") {
        let differences = numbers(&case["differences"]);
        let found = corrected_t(&differences, number(&case, "train"), number(&case, "test"));
        let found = found.unwrap();
        close(found.t(), case["t"].as_f64().unwrap(), &case.to_string());
        close(found.p(), case["p"].as_f64().unwrap(), &case.to_string());
        close_ends(found.interval(0.05).unwrap(), &case["interval"], &case.to_string());
    }
}

/// Ends from draws agree within a tenth of the distance to the middle.
#[test]
fn bootstrap_agrees() {
    let near = |found: Interval, expected: &[f64], what: &str| {
        let reach = (expected[1] - expected[0]) / 2.0;
        for (found, expected) in [(found.low, expected[0]), (found.high, expected[1])] {
            assert!((found - expected).abs() < 0.1 * reach, "{what}: {found}, not {expected}");
        }
    };
    for case in cases("bootstrap") {
        let (name, (a, b)) = (case["name"].as_str().unwrap(), arms(&case));
        let found = paired_bootstrap(&a, &b, 0.05).unwrap();
        close(found.difference, case["difference"].as_f64().unwrap(), name);
        near(found.percentile, &numbers(&case["percentile"]), name);
        match case["studentised"].is_null() {
            true => assert_eq!(found.studentised, None, "{name}"),
            false => near(found.studentised.unwrap(), &numbers(&case["studentised"]), name),
        }
    }
}

/// Not a measurement, which the example makes: that nothing takes a hundred times as long.
#[test]
fn nothing_takes_long() {
    let started = Instant::now();
    let many: Vec<f64> = (0..10_000).map(|k| f64::from(k % 97)).collect();
    permutation(&many, &many[1..]).unwrap();
    permutation(&many[..20], &many[30..50]).unwrap();
    permutation(&many[..8], &many[20..40]).unwrap();
    permutation(&many[..2], &many[..3_000]).unwrap();
    sign_flip(&many, &many[..].iter().map(|x| x * x).collect::<Vec<f64>>()).unwrap();
    superiority(&many, &many, 0.05).unwrap();
    mcnemar(1_000_000_000, 1_000_010_000).unwrap();
    runs_per_arm(2e-3, (1e-2, 2e-2), 0.0005, 0.999).unwrap();
    let constant = Estimate::welch(&[1.0, 2.0], &many[..1]).unwrap_err();
    assert!(matches!(constant, StatisticsError::TooFew { .. }));
    Design::welch((2, 1.0), (2, 0.0)).unwrap().minimum_detectable(0.0005, 0.999).unwrap();
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}
