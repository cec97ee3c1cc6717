//! Area under the ROC curve: how often a row of a class is ranked above a row without it.
//!
//! By ranks, in integers, so that the score is one correctly rounded division. Refuses labels of
//! one class alone, for which scikit-learn returns NaN.

use crate::checks;
use crate::error::{MetricsError, Result};
use crate::probabilities::Probabilities;
use crate::sum::mean;

/// ROC AUC of two classes: the share of pairs of a row labelled 1 and a row labelled 0 in which
/// the first has the higher score; equal scores count half.
///
/// One of `scores`, any finite numbers, per label, 0 or 1. By the Mann-Whitney statistic, ties
/// sharing their mean rank: (sum of the ranks of the P rows labelled 1 - P (P + 1) / 2) / (P N).
/// Source: Hanley and McNeil, "The meaning and use of the area under a receiver operating
/// characteristic (ROC) curve" (1982); scikit-learn user guide, "Receiver operating characteristic
/// (ROC)".
///
/// # Errors
/// No rows, lengths that differ, labels other than 0 and 1 or only one of them, scores that are
/// not finite.
pub fn roc_auc(labels: &[u32], scores: &[f64]) -> Result<f64> {
    checks::lengths(("scores", scores.len()), ("labels", labels.len()), 1)?;
    checks::below("label", labels, 2)?;
    checks::finite("score", scores)?;
    let ranked = scores.iter().zip(labels).map(|(score, label)| (*score, *label == 1));
    area(1, ranked.collect())
}

/// ROC AUC of each class against all others, averaged over the classes with equal weight.
///
/// `probabilities` are row-major, `labels.len()` rows of `classes`; every class must be the label
/// of some row, and not of all. Source: scikit-learn user guide, "Receiver operating
/// characteristic (ROC)", multi-class, one-vs-rest, macro.
///
/// # Errors
/// No rows, lengths that differ, labels out of range, rows that are no distribution, a class
/// that no row or every row has.
pub fn roc_auc_one_versus_rest(
    labels: &[u32],
    probabilities: &[f64],
    classes: usize,
) -> Result<f64> {
    let rows = Probabilities::check(labels, probabilities, classes)?;
    let area_of = |class: usize| {
        area(class as u32, rows.rows().map(|(label, p)| (p[class], label == class)).collect())
    };
    let areas = (0..classes).map(area_of).collect::<Result<Vec<f64>>>()?;
    Ok(mean(areas.into_iter()))
}

/// The area of finite scores, each with whether its row has the class.
fn area(class: u32, mut ranked: Vec<(f64, bool)>) -> Result<f64> {
    let rows = ranked.len();
    let with = ranked.iter().filter(|(_, has)| *has).count();
    if with == 0 || with == rows {
        return Err(MetricsError::OneSided { class, found: with, rows });
    }
    ranked.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    // Twice the ranks, so that a mean of two neighbours is an integer too.
    let mut twice_ranks = 0u128;
    let mut before = 0u128;
    // By ==, so that 0 and -0, which lie side by side, are a tie.
    for tie in ranked.chunk_by(|a, b| a.0 == b.0) {
        let first_and_last = 2 * before + tie.len() as u128 + 1;
        twice_ranks += tie.iter().filter(|(_, has)| *has).count() as u128 * first_and_last;
        before += tie.len() as u128;
    }
    let (with, without) = (with as u128, (rows - with) as u128);
    Ok((twice_ranks - with * (with + 1)) as f64 / (2 * with * without) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_counted() {
        assert_eq!(roc_auc(&[0, 0, 1, 1], &[0.1, 0.4, 0.35, 0.8]), Ok(0.75));
        assert_eq!(roc_auc(&[0, 1], &[-3.0, 7e9]), Ok(1.0));
        assert_eq!(roc_auc(&[1, 0], &[-3.0, 7e9]), Ok(0.0));
        assert_eq!(roc_auc(&[1, 0, 1, 0, 1], &[0.5; 5]), Ok(0.5));
        assert_eq!(roc_auc(&[1, 0], &[-0.0, 0.0]), Ok(0.5));
    }

    #[test]
    fn every_pair_agrees_with_the_definition() {
        let labels: Vec<u32> = (0..60).map(|i| u32::from(i * 7 % 5 < 2)).collect();
        let scores: Vec<f64> = (0..60).map(|i| f64::from(i * 31 % 17)).collect();
        let (mut halves, mut pairs) = (0, 0);
        for one in (0..60).filter(|i| labels[*i] == 1) {
            for zero in (0..60).filter(|i| labels[*i] == 0) {
                pairs += 1;
                halves += i32::from(scores[one] > scores[zero]);
                halves += i32::from(scores[one] >= scores[zero]);
            }
        }
        assert_eq!(roc_auc(&labels, &scores), Ok(f64::from(halves) / f64::from(2 * pairs)));
    }

    #[test]
    fn one_side_alone_has_no_area() {
        assert_eq!(
            roc_auc(&[1, 1], &[0.1, 0.2]).unwrap_err().to_string(),
            "2 of 2 rows have class 1: ROC AUC needs rows with it and rows without it"
        );
        let p = [0.2, 0.3, 0.5, 0.5, 0.3, 0.2];
        assert_eq!(
            roc_auc_one_versus_rest(&[0, 2], &p, 3),
            Err(MetricsError::OneSided { class: 1, found: 0, rows: 2 })
        );
        assert!(roc_auc(&[0, 2], &[0.1, 0.2]).is_err());
        assert!(roc_auc(&[0, 1], &[0.1, f64::INFINITY]).is_err());
        assert!(roc_auc(&[0, 1], &[0.1]).is_err());
        assert!(roc_auc(&[], &[]).is_err());
    }
}
