//! k-nearest neighbours: the baseline that learns by heart.
//!
//! A row is what the k training rows nearest to it are: the class that most of them have, or the
//! mean of their targets, each with equal weight. Distances are Euclidean on the features as given
//! (scale them first), computed in f64 in ascending order of features. Every tie has a rule: of
//! equally near rows the lowest counts, of equally many votes the lowest class.

use crate::arrays::{Accepted, Array, Reader};
use crate::checks::{self, MAX_CELLS, MAX_CLASSES};
use crate::error::Result;
use crate::features::Features;
use crate::neighbours::{MAX_NEIGHBOURS, Neighbour, Neighbours};
use crate::sum::mean;

const FEATURES: &str = "features";
const LABELS: &str = "labels";
const TARGETS: &str = "targets";
const CLASSES: &str = "classes";
const K: &str = "k";
const K_ACCEPTED: Accepted = Accepted::Integers(1.0, MAX_NEIGHBOURS as f64);

/// Classes by the votes of the nearest rows. Source: Cover and Hart, "Nearest neighbor pattern
/// classification" (1967); scikit-learn user guide, "Nearest Neighbors Classification".
#[derive(Clone, Debug, PartialEq)]
pub struct KnnClassifier {
    neighbours: Neighbours,
    labels: Vec<u32>,
    classes: usize,
}

impl KnnClassifier {
    /// Keeps the rows of `features` with their `labels`, each below `classes`.
    ///
    /// # Errors
    /// Lengths that differ, labels out of range, a `k` that is 0, above the rows or above 4,096.
    pub fn fit(
        features: Features<'_>,
        labels: &[u32],
        classes: usize,
        k: usize,
    ) -> Result<KnnClassifier> {
        checks::classes(classes)?;
        checks::lengths(("labels", labels.len()), ("rows of features", features.rows()), 1)?;
        checks::below("label", labels, classes)?;
        let neighbours = Neighbours::new(features, k)?;
        Ok(KnnClassifier { neighbours, labels: labels.to_vec(), classes })
    }

    /// The class of each row: the one with the most votes.
    ///
    /// # Errors
    /// Rows with other columns than those learned from.
    pub fn predict(&self, features: Features<'_>) -> Result<Vec<u32>> {
        let mut predicted = Vec::with_capacity(features.rows());
        self.each_vote(features, |votes, nearest| {
            let voted = nearest.iter().map(|neighbour| self.labels[neighbour.row]);
            let better = |best: u32, class: u32| {
                let (new, old) = (votes[class as usize], votes[best as usize]);
                if new > old || (new == old && class < best) { class } else { best }
            };
            predicted.extend(voted.reduce(better));
        })?;
        Ok(predicted)
    }

    /// ln(votes / k) of each class, row-major, one row of `classes` per row of `features`; minus
    /// infinity for a class without votes.
    ///
    /// # Errors
    /// As [`KnnClassifier::predict`], and more than 2^27 numbers.
    pub fn predict_log_probabilities(&self, features: Features<'_>) -> Result<Vec<f64>> {
        let what = "log-probabilities";
        let cells = checks::cells(what, features.rows(), self.classes, MAX_CELLS)?;
        let mut all = Vec::with_capacity(cells);
        let k = self.neighbours.k as f64;
        self.each_vote(features, |votes, _| {
            all.extend(votes.iter().map(|votes| libm::log(f64::from(*votes) / k)));
        })?;
        Ok(all)
    }

    /// Calls `voted` for each row with the votes of every class and the rows that gave them.
    fn each_vote(
        &self,
        features: Features<'_>,
        mut voted: impl FnMut(&[u32], &[Neighbour]),
    ) -> Result<()> {
        let mut votes = vec![0u32; self.classes];
        self.neighbours.each(features, |nearest| {
            nearest.iter().for_each(|n| votes[self.labels[n.row] as usize] += 1);
            voted(&votes, nearest);
            // Only what was touched: there may be many more classes than neighbours.
            nearest.iter().for_each(|n| votes[self.labels[n.row] as usize] = 0);
            Ok(())
        })
    }

    /// The model as the arrays `features` (f32, rows x columns), `labels` (rows), `classes` and
    /// `k` (one number each; f64).
    pub fn to_arrays(&self) -> Vec<Array> {
        let labels = self.labels.iter().map(|label| f64::from(*label)).collect();
        vec![
            features_array(&self.neighbours),
            Array::f64(LABELS, &[self.labels.len()], labels),
            Array::f64(CLASSES, &[1], vec![self.classes as f64]),
            k_array(&self.neighbours),
        ]
    }

    /// The model of which these are the arrays.
    ///
    /// # Errors
    /// Arrays that are missing, unknown or of another form, and what [`KnnClassifier::fit`]
    /// refuses.
    pub fn from_arrays(arrays: Vec<Array>) -> Result<KnnClassifier> {
        let mut reader = Reader::new(arrays)?;
        let (columns, values) = reader.table_f32(FEATURES)?;
        let features = Features::new(&values, columns)?;
        let most = Accepted::Integers(1.0, MAX_CLASSES as f64);
        let classes = reader.number(CLASSES, &most)? as usize;
        let accepted = Accepted::Integers(0.0, (classes - 1) as f64);
        let (_, labels) = reader.f64(LABELS, &[Some(features.rows())], &accepted)?;
        let k = reader.number(K, &K_ACCEPTED)? as usize;
        reader.finish()?;
        let labels: Vec<u32> = labels.into_iter().map(|label| label as u32).collect();
        KnnClassifier::fit(features, &labels, classes, k)
    }
}

/// Numbers by the mean of the nearest rows' targets. Source: scikit-learn user guide, "Nearest
/// Neighbors Regression".
#[derive(Clone, Debug, PartialEq)]
pub struct KnnRegressor {
    neighbours: Neighbours,
    targets: Vec<f64>,
}

impl KnnRegressor {
    /// Keeps the rows of `features` with their `targets`, which are finite.
    ///
    /// # Errors
    /// Lengths that differ, targets that are not finite, a `k` that is 0, above the rows or above
    /// 4,096.
    pub fn fit(features: Features<'_>, targets: &[f64], k: usize) -> Result<KnnRegressor> {
        checks::lengths(("targets", targets.len()), ("rows of features", features.rows()), 1)?;
        checks::finite("target", targets)?;
        let neighbours = Neighbours::new(features, k)?;
        Ok(KnnRegressor { neighbours, targets: targets.to_vec() })
    }

    /// The number of each row: the mean of its neighbours' targets, added nearest first.
    ///
    /// # Errors
    /// Rows with other columns than those learned from, a mean that overflows.
    pub fn predict(&self, features: Features<'_>) -> Result<Vec<f64>> {
        let mut predicted = Vec::with_capacity(features.rows());
        self.neighbours.each(features, |nearest| {
            let target = mean(nearest.iter().map(|n| self.targets[n.row]));
            predicted.push(checks::score("the mean of the neighbours' targets", target)?);
            Ok(())
        })?;
        Ok(predicted)
    }

    /// The model as the arrays `features` (f32, rows x columns), `targets` (rows) and `k` (one
    /// number; f64).
    pub fn to_arrays(&self) -> Vec<Array> {
        vec![
            features_array(&self.neighbours),
            Array::f64(TARGETS, &[self.targets.len()], self.targets.clone()),
            k_array(&self.neighbours),
        ]
    }

    /// The model of which these are the arrays.
    ///
    /// # Errors
    /// Arrays that are missing, unknown or of another form, and what [`KnnRegressor::fit`]
    /// refuses.
    pub fn from_arrays(arrays: Vec<Array>) -> Result<KnnRegressor> {
        let mut reader = Reader::new(arrays)?;
        let (columns, values) = reader.table_f32(FEATURES)?;
        let features = Features::new(&values, columns)?;
        let finite = Accepted::Numbers(f64::MIN, f64::MAX);
        let (_, targets) = reader.f64(TARGETS, &[Some(features.rows())], &finite)?;
        let k = reader.number(K, &K_ACCEPTED)? as usize;
        reader.finish()?;
        KnnRegressor::fit(features, &targets, k)
    }
}

fn features_array(neighbours: &Neighbours) -> Array {
    let rows = neighbours.features.len() / neighbours.columns;
    Array::f32(FEATURES, &[rows, neighbours.columns], neighbours.features.clone())
}

fn k_array(neighbours: &Neighbours) -> Array {
    Array::f64(K, &[1], vec![neighbours.k as f64])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrays::Numbers;
    use crate::error::MetricsError;

    fn table(values: &[f32]) -> Features<'_> {
        Features::new(values, 1).unwrap()
    }

    #[test]
    fn ties_have_rules() {
        let train = [0.0, 2.0, 2.0, 4.0];
        // All at distance 1 or 3 from 1: rows 0, 1, 2, then 3.
        let fit = |labels: &[u32], k| KnnClassifier::fit(table(&train), labels, 3, k).unwrap();
        assert_eq!(fit(&[2, 1, 0, 0], 1).predict(table(&[1.0])).unwrap(), [2]);
        assert_eq!(fit(&[2, 1, 0, 0], 2).predict(table(&[1.0])).unwrap(), [1]);
        assert_eq!(fit(&[2, 1, 0, 2], 4).predict(table(&[1.0])).unwrap(), [2]);
        assert_eq!(fit(&[1, 1, 0, 0], 4).predict(table(&[1.0])).unwrap(), [0]);
        let log = fit(&[2, 1, 0, 2], 4).predict_log_probabilities(table(&[1.0, 9.0])).unwrap();
        let (quarter, half) = (libm::log(0.25), libm::log(0.5));
        assert_eq!(log, [quarter, quarter, half, quarter, quarter, half]);
        let log = fit(&[2, 1, 0, 2], 1).predict_log_probabilities(table(&[1.0])).unwrap();
        assert_eq!(log, [f64::NEG_INFINITY, f64::NEG_INFINITY, 0.0]);
    }

    #[test]
    fn regression_is_the_mean_of_the_neighbours() {
        let fit = |targets: &[f64], k| KnnRegressor::fit(table(&[0.0, 2.0, 5.0]), targets, k);
        let model = fit(&[1.0, 2.0, 30.0], 2).unwrap();
        assert_eq!(model.predict(table(&[1.0, 9.0])).unwrap(), [1.5, 16.0]);
        let huge = fit(&[f64::MAX; 3], 2).unwrap();
        assert!(matches!(huge.predict(table(&[1.0])), Err(MetricsError::Overflow(_))));
        assert!(fit(&[1.0, f64::NAN, 2.0], 1).is_err() && fit(&[1.0, 2.0], 1).is_err());
    }

    #[test]
    fn models_survive_their_arrays() {
        let train = [0.0, -2.5, 2.0, f32::MAX];
        let model = KnnClassifier::fit(table(&train), &[2, 1, 0, 0], 3, 2).unwrap();
        assert_eq!(KnnClassifier::from_arrays(model.to_arrays()), Ok(model.clone()));
        let regressor = KnnRegressor::fit(table(&train), &[0.1, 1e300, -3.0, 0.0], 4).unwrap();
        assert_eq!(KnnRegressor::from_arrays(regressor.to_arrays()), Ok(regressor.clone()));
        // One is not the other.
        assert!(KnnClassifier::from_arrays(regressor.to_arrays()).is_err());
        assert!(KnnRegressor::from_arrays(model.to_arrays()).is_err());
    }

    #[test]
    fn broken_arrays_are_refused() {
        let model = KnnClassifier::fit(table(&[0.0, 1.0]), &[1, 0], 2, 2).unwrap();
        let broken = |change: fn(&mut Vec<Array>)| {
            let mut arrays = model.to_arrays();
            change(&mut arrays);
            KnnClassifier::from_arrays(arrays).unwrap_err().to_string()
        };
        assert_eq!(
            broken(|a| a[1] = Array::f64("labels", &[2], vec![1.0, 2.0])),
            "number 1 of the array 'labels' is 2: an integer from 0 to 1 is needed"
        );
        assert_eq!(
            broken(|a| a[3] = Array::f64("k", &[1], vec![3.0])),
            "k = 3: a number from 1 to 2 is needed (2 rows to learn from)"
        );
        assert_eq!(
            broken(|a| a[0] = Array::f32("features", &[2, 1], vec![0.0, f32::NAN])),
            "the feature in row 1, column 0, is NaN: a finite number is needed"
        );
        assert!(broken(|a| a[0] = Array::f32("features", &[2, 0], vec![])).contains("no columns"));
        assert!(broken(|a| a[2].numbers = Numbers::F64(vec![1e300])).contains("'classes'"));
        assert!(broken(|a| a[1].shape = vec![2, 1]).contains("'labels'"));
        assert!(broken(|a| a.truncate(3)).contains("lacks the array 'k'"));
    }

    #[test]
    fn bad_labels_are_refused() {
        let fit =
            |labels: &[u32], classes| KnnClassifier::fit(table(&[0.0, 1.0]), labels, classes, 1);
        assert!(matches!(fit(&[0, 2], 2), Err(MetricsError::Class { row: 1, .. })));
        assert!(matches!(fit(&[0], 2), Err(MetricsError::Length { .. })));
        assert!(fit(&[0, 0], 0).is_err());
    }
}
