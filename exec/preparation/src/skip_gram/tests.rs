use super::*;

fn plan(window: usize, subsample: Option<f64>, negatives: usize) -> PairPlan {
    PairPlan { window, subsample, negatives, seed: 3 }
}

#[test]
fn neighbours_by_hand() {
    let tokens = [5, 6, 7, 8];
    let frequencies = Frequencies::fit(&tokens, 9).unwrap();
    let pairs = plan(2, None, 0).pairs(&tokens, &frequencies, 0).unwrap();
    assert_eq!(pairs.centres, [5, 5, 6, 6, 6, 7, 7, 7, 8, 8]);
    assert_eq!(pairs.contexts, [6, 7, 5, 7, 8, 5, 6, 8, 6, 7]);
    let all = plan(usize::MAX, None, 0).pairs(&tokens, &frequencies, 0).unwrap();
    assert_eq!(all.centres.len(), 12);
    assert_eq!(plan(1, None, 2).pairs(&[], &frequencies, 0).unwrap(), Pairs::default());
}

#[test]
fn pairs_are_counted_without_being_listed() {
    let tokens: Vec<u32> = (0..40).map(|i| i * i % 7).collect();
    let frequencies = Frequencies::fit(&tokens, 7).unwrap();
    for length in 0..tokens.len() {
        for (window, subsample) in [(1, None), (2, None), (5, Some(0.05)), (usize::MAX, None)] {
            let plan = plan(window, subsample, 0);
            let listed = plan.pairs(&tokens[..length], &frequencies, 3).unwrap().centres.len();
            let counted = plan.count(&tokens[..length], &frequencies, 3).unwrap();
            assert_eq!(counted, listed as u64, "{length} {window}");
        }
    }
    assert!(plan(0, None, 0).count(&tokens, &frequencies, 0).is_err());
    assert!(plan(1, None, 0).count(&[9], &frequencies, 0).is_err());
}

#[test]
fn frequent_words_are_left_out_by_their_chance() {
    // Word 0 has 9 of 10 places: f = 0.9, t = 0.1; kept with (3 + 1) / 9.
    let tokens: Vec<u32> = (0..20_000).map(|i| u32::from(i % 10 == 0)).collect();
    let frequencies = Frequencies::fit(&tokens, 2).unwrap();
    let plan = plan(1, Some(0.1), 0);
    let kept = plan.sampled(&tokens, &frequencies, 0);
    let ones = kept.iter().filter(|id| **id == 1).count();
    // 8,000 expected; five standard deviations are 333.
    assert!((kept.len() - ones).abs_diff(8000) < 333, "{}", kept.len());
    assert_eq!(ones, 2000);
    assert_ne!(plan.sampled(&tokens, &frequencies, 1), kept);
    // A position's draw does not depend on what stands elsewhere.
    assert_eq!(
        plan.sampled(&tokens[..10_000], &frequencies, 0),
        kept[..plan.sampled(&tokens[..10_000], &frequencies, 0).len()]
    );
}

#[test]
fn negatives_come_by_weight_and_are_never_the_neighbour() {
    // Counts 16, 81, 256, 0, 1: to the power of 3/4 they are 8, 27, 64, 0, 1.
    let counts = vec![16, 81, 256, 0, 1];
    let frequencies = Frequencies::try_from(counts).unwrap();
    assert_eq!(frequencies.before, [0, 8, 35, 99, 99, 100].map(|n| n * 1024));
    let draws = Draws::new(1, "pairs/negatives");
    for context in [0u32, 1, 2, 4] {
        let weights = [8.0, 27.0, 64.0, 0.0, 1.0];
        let others = 100.0 - weights[context as usize];
        let mut seen = [0u32; 5];
        for index in 0..20_000 {
            seen[frequencies.negative(context, &draws, 0, index) as usize] += 1;
        }
        for id in 0..5 {
            let share = if id == context as usize { 0.0 } else { weights[id] / others };
            let deviation = f64::sqrt(20_000.0 * share * (1.0 - share));
            let off = (f64::from(seen[id]) - 20_000.0 * share).abs();
            assert!(off <= 5.0 * deviation, "{context} {seen:?}");
        }
    }
}

#[test]
fn seed_and_epoch_decide() {
    let tokens: Vec<u32> = (0..200).map(|i| i * i % 17).collect();
    let frequencies = Frequencies::fit(&tokens, 17).unwrap();
    let of = |seed, epoch| {
        let plan = PairPlan { seed, ..plan(2, Some(0.01), 5) };
        plan.pairs(&tokens, &frequencies, epoch).unwrap()
    };
    assert_eq!(of(1, 1), of(1, 1));
    assert!(of(1, 1) != of(2, 1) && of(1, 1) != of(1, 2));
    assert_eq!(of(1, 1).negatives.len(), of(1, 1).centres.len() * 5);
    let text = serde_json::to_string(&frequencies).unwrap();
    assert_eq!(serde_json::from_str::<Frequencies>(&text).unwrap(), frequencies);
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let tokens = [0, 1, 0];
    let two = Frequencies::fit(&tokens, 3).unwrap();
    let one = Frequencies::fit(&[0], 1).unwrap();
    assert!(plan(0, None, 0).pairs(&tokens, &two, 0).is_err());
    assert!(plan(1, Some(f64::NAN), 0).pairs(&tokens, &two, 0).is_err());
    assert!(plan(1, Some(0.0), 0).pairs(&tokens, &two, 0).is_err());
    assert!(plan(1, None, 1).pairs(&[0], &one, 0).is_err());
    assert!(plan(1, None, usize::MAX).pairs(&tokens, &two, 0).is_err());
    assert!(plan(1, None, 1).pairs(&[0, 2], &two, 0).is_err());
    assert!(plan(1, None, 1).pairs(&[0, 9], &two, 0).is_err());
    assert!(Frequencies::fit(&[3], 3).is_err() && Frequencies::fit(&[], 3).is_err());
    assert!(Frequencies::fit(&[], usize::MAX).is_err());
    assert!(serde_json::from_str::<Frequencies>("[18446744073709551615,1]").is_err());
}
