//! Classification judged by counts: accuracy, balanced accuracy, precision, recall, F1.
//!
//! One pass counts, per class, the rows that have it as label, as prediction and as both; every
//! score is a ratio of these. Memory grows with the classes; only [`confusion_matrix`] needs their
//! square. A class without labels and predictions counts nowhere: it is left out of every mean, as
//! scikit-learn does when it is not told the classes.

use crate::checks::{self, MAX_LEARNED};
use crate::error::Result;
use crate::sum::{mean, sum};

/// How the scores of the classes become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Average {
    /// Counts of all classes are added up first. With one label per row, precision, recall and F1
    /// are then all the accuracy.
    Micro,
    /// The mean over the classes that occur as label or as prediction.
    Macro,
    /// The mean over classes, each weighted by the rows that have it as label.
    Weighted,
}

/// Rows per class, from which scores follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassCounts {
    rows: u64,
    classes: Vec<Count>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    labelled: u64,
    predicted: u64,
    hits: u64,
}

/// Counts of pairs: `matrix[label][prediction]` is the number of rows with both.
///
/// `labels` and `predictions` have one class per row, each below `classes`. Source: scikit-learn
/// user guide, "Confusion matrix".
///
/// # Errors
/// No rows, lengths that differ, classes out of range, more than 2^24 cells.
pub fn confusion_matrix(
    labels: &[u32],
    predictions: &[u32],
    classes: usize,
) -> Result<Vec<Vec<u64>>> {
    check(labels, predictions, classes)?;
    checks::cells("cells of the confusion matrix", classes, classes, MAX_LEARNED)?;
    let mut matrix = vec![vec![0; classes]; classes];
    for (label, prediction) in labels.iter().zip(predictions) {
        matrix[*label as usize][*prediction as usize] += 1;
    }
    Ok(matrix)
}

fn check(labels: &[u32], predictions: &[u32], classes: usize) -> Result<()> {
    checks::classes(classes)?;
    checks::lengths(("predictions", predictions.len()), ("labels", labels.len()), 1)?;
    checks::below("label", labels, classes)?;
    checks::below("prediction", predictions, classes)
}

impl ClassCounts {
    /// Counts `labels` and `predictions`, one class per row, each below `classes`.
    ///
    /// # Errors
    /// No rows, lengths that differ, classes out of range, more than 65,536 classes.
    pub fn new(labels: &[u32], predictions: &[u32], classes: usize) -> Result<ClassCounts> {
        check(labels, predictions, classes)?;
        let mut counts = vec![Count::default(); classes];
        for (label, prediction) in labels.iter().zip(predictions) {
            counts[*label as usize].labelled += 1;
            counts[*prediction as usize].predicted += 1;
            counts[*label as usize].hits += u64::from(label == prediction);
        }
        Ok(ClassCounts { rows: labels.len() as u64, classes: counts })
    }

    /// Accuracy: rows predicted right / rows. Source: scikit-learn user guide, "Accuracy score".
    pub fn accuracy(&self) -> f64 {
        ratio(self.classes.iter().map(|c| c.hits).sum(), self.rows)
    }

    /// Balanced accuracy: the mean of hits / labelled over the classes that occur as label.
    /// Source: Brodersen et al., "The balanced accuracy and its posterior distribution" (2010);
    /// scikit-learn user guide, "Balanced accuracy score", not adjusted for chance.
    pub fn balanced_accuracy(&self) -> f64 {
        mean_over(self.classes.iter().filter(|c| c.labelled > 0), Count::recall)
    }

    /// Precision: hits / predicted; 0 for a class that is never predicted. Source: scikit-learn
    /// user guide, "Precision, recall and F-measures".
    pub fn precision(&self, average: Average) -> f64 {
        self.average(average, Count::precision)
    }

    /// Recall: hits / labelled; 0 for a class that is predicted but no row's label. Source:
    /// scikit-learn user guide, "Precision, recall and F-measures".
    pub fn recall(&self, average: Average) -> f64 {
        self.average(average, Count::recall)
    }

    /// F1: 2 hits / (labelled + predicted), the harmonic mean of precision and recall. Source:
    /// van Rijsbergen, "Information Retrieval" (1979), with alpha = 1/2; scikit-learn user guide,
    /// "Precision, recall and F-measures". The macro average is the mean of the F1, not the F1 of
    /// the means.
    pub fn f1(&self, average: Average) -> f64 {
        self.average(average, Count::f1)
    }

    fn average(&self, average: Average, score: fn(&Count) -> f64) -> f64 {
        match average {
            Average::Micro => score(&self.total()),
            Average::Macro => mean_over(self.classes.iter().filter(|c| c.occurs()), score),
            Average::Weighted => {
                let weighted = self.classes.iter().map(|c| c.labelled as f64 * score(c));
                sum(weighted) / self.rows as f64
            }
        }
    }

    fn total(&self) -> Count {
        let add = |sum: Count, c: &Count| Count {
            labelled: sum.labelled + c.labelled,
            predicted: sum.predicted + c.predicted,
            hits: sum.hits + c.hits,
        };
        self.classes.iter().fold(Count::default(), add)
    }
}

impl Count {
    fn occurs(&self) -> bool {
        self.labelled > 0 || self.predicted > 0
    }

    fn precision(&self) -> f64 {
        ratio(self.hits, self.predicted)
    }

    fn recall(&self) -> f64 {
        ratio(self.hits, self.labelled)
    }

    fn f1(&self) -> f64 {
        ratio(2 * self.hits, self.labelled + self.predicted)
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// There is a row, so a class occurs and the count is not 0.
fn mean_over<'a>(counts: impl Iterator<Item = &'a Count>, score: fn(&Count) -> f64) -> f64 {
    let scores: Vec<f64> = counts.map(score).collect();
    mean(scores.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::MetricsError;

    #[test]
    fn scores_by_hand() {
        // Class 0: 2 of 3 found. Class 1: found once, one false alarm. Class 2: only predicted.
        // Class 3: nowhere.
        let (labels, predictions) = ([0, 0, 0, 1], [0, 0, 2, 1]);
        let matrix = confusion_matrix(&labels, &predictions, 4).unwrap();
        assert_eq!(matrix, [[2, 0, 1, 0], [0, 1, 0, 0], [0; 4], [0; 4]]);
        let counts = ClassCounts::new(&labels, &predictions, 4).unwrap();
        assert_eq!(counts.accuracy(), 0.75);
        assert_eq!(counts.balanced_accuracy(), (2.0 / 3.0 + 1.0) / 2.0);
        assert_eq!(counts.precision(Average::Macro), 2.0 / 3.0);
        assert_eq!(counts.recall(Average::Macro), (2.0 / 3.0 + 1.0) / 3.0);
        assert_eq!(counts.f1(Average::Macro), (0.8 + 1.0) / 3.0);
        assert_eq!(counts.f1(Average::Micro), 0.75);
        assert_eq!(counts.f1(Average::Weighted), (3.0 * 0.8 + 1.0) / 4.0);
    }

    #[test]
    fn bad_rows_are_named() {
        let error = |labels: &[u32], predictions: &[u32], classes| {
            let error = ClassCounts::new(labels, predictions, classes).unwrap_err();
            assert_eq!(confusion_matrix(labels, predictions, classes).unwrap_err(), error);
            error.to_string()
        };
        assert_eq!(error(&[], &[], 2), "there are no labels: at least one is needed");
        assert_eq!(error(&[0], &[0], 0), "there are no classes: at least one is needed");
        assert_eq!(
            error(&[0], &[0, 1], 2),
            "there are 2 predictions, but 1 are needed for the 1 labels"
        );
        assert_eq!(
            error(&[0, 2], &[0, 1], 2),
            "the label of row 1 is 2: a class below 2 is needed"
        );
        assert_eq!(
            error(&[0, 1], &[3, 1], 2),
            "the prediction of row 0 is 3: a class below 2 is needed"
        );
        assert_eq!(
            error(&[0], &[0], 1 << 40),
            "there are 1099511627776 classes: the limit is 65536"
        );
    }

    #[test]
    fn a_matrix_that_would_not_fit_is_refused() {
        let error = confusion_matrix(&[0], &[0], 1 << 16).unwrap_err();
        assert!(matches!(error, MetricsError::TooLarge { found: 4_294_967_296, .. }), "{error}");
        // Scores need no matrix.
        assert_eq!(ClassCounts::new(&[0], &[0], 1 << 16).unwrap().f1(Average::Macro), 1.0);
    }
}
