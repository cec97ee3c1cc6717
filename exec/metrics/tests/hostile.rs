//! Stored models from strangers: whatever the arrays hold, reading them gives a model that
//! predicts numbers, or an error. Never a panic, never NaN.
#![allow(clippy::unwrap_used, missing_docs)]

use lab_metrics::{
    Array, Features, GaussianNaiveBayes, KnnClassifier, KnnRegressor, MultinomialNaiveBayes,
    Numbers, Result,
};

const EXTREME: [f64; 14] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    2.0,
    0.5,
    3.4e38,
    -3.4e38,
    1e-130,
    1e80,
    9_007_199_254_740_992.0,
    f64::MAX,
    f64::INFINITY,
    f64::NAN,
];

/// Draws from a linear congruential generator.
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        ((self.0 >> 33) as usize) % bound
    }

    fn damage(&mut self, arrays: &mut Vec<Array>) {
        let at = self.below(arrays.len());
        let other = self.below(arrays.len());
        match self.below(10) {
            0 => drop(arrays.remove(at)),
            1 => arrays.push(arrays[at].clone()),
            2 => arrays[at].name = arrays[other].name.clone(),
            3 => arrays[at].shape = arrays[other].shape.clone(),
            4 => arrays[at].shape.push(self.below(3)),
            5 => arrays[at].shape = vec![usize::MAX, self.below(3)],
            6 => arrays[at].numbers = arrays[other].numbers.clone(),
            7 => self.shorten(&mut arrays[at]),
            _ => self.replace(&mut arrays[at]),
        }
    }

    fn shorten(&mut self, array: &mut Array) {
        let length = self.below(3);
        match &mut array.numbers {
            Numbers::F32(numbers) => numbers.truncate(length),
            Numbers::F64(numbers) => numbers.truncate(length),
        }
        array.shape = vec![length; self.below(3)];
    }

    fn replace(&mut self, array: &mut Array) {
        let value = EXTREME[self.below(EXTREME.len())];
        match &mut array.numbers {
            Numbers::F32(numbers) if !numbers.is_empty() => {
                let at = self.below(numbers.len());
                numbers[at] = value as f32;
            }
            Numbers::F64(numbers) if !numbers.is_empty() => {
                let at = self.below(numbers.len());
                numbers[at] = value;
            }
            _ => {}
        }
    }
}

/// Reads thousands of damaged copies, of which some are still models and some are not.
fn survive<M>(
    arrays: &[Array],
    read: fn(Vec<Array>) -> Result<M>,
    predict: fn(&M, Features<'_>) -> Result<Vec<f64>>,
) {
    let mut draws = Draws(1);
    let (mut models, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let mut arrays = arrays.to_vec();
        for _ in 0..=draws.below(3) {
            if !arrays.is_empty() {
                draws.damage(&mut arrays);
            }
        }
        let Ok(model) = read(arrays) else {
            refused += 1;
            continue;
        };
        models += 1;
        let rows = [0.0, 1.0, f32::MAX, f32::MAX, 0.5, 1e-45];
        for columns in [1, 2, 3] {
            if let Ok(found) = predict(&model, Features::new(&rows, columns).unwrap()) {
                assert!(found.iter().all(|x| !x.is_nan() && *x != f64::INFINITY), "{found:?}");
            }
        }
    }
    assert!(models > 100 && refused > 100, "{models} {refused}");
}

const TRAIN: [f32; 8] = [0.0, 1.0, 2.0, 0.5, 3.0, 3.0, 1.0, 0.0];

fn train() -> Features<'static> {
    Features::new(&TRAIN, 2).unwrap()
}

#[test]
fn damaged_neighbours_are_refused_or_predict() {
    let model = KnnClassifier::fit(train(), &[0, 1, 2, 1], 3, 2).unwrap();
    survive(&model.to_arrays(), KnnClassifier::from_arrays, |model, rows| {
        let classes = model.predict(rows)?;
        assert_eq!(classes.len(), rows.rows());
        model.predict_log_probabilities(rows)
    });
    let model = KnnRegressor::fit(train(), &[0.0, 1.0, 2.0, 1.0], 2).unwrap();
    survive(&model.to_arrays(), KnnRegressor::from_arrays, |model, rows| model.predict(rows));
}

#[test]
fn damaged_naive_bayes_is_refused_or_predicts() {
    let model = GaussianNaiveBayes::fit(train(), &[0, 1, 1, 0], 3).unwrap();
    survive(&model.to_arrays(), GaussianNaiveBayes::from_arrays, |model, rows| {
        let classes = model.predict(rows)?;
        assert_eq!(classes.len(), rows.rows());
        model.predict_log_probabilities(rows)
    });
    let model = MultinomialNaiveBayes::fit(train(), &[0, 1, 1, 0], 3, 1.0).unwrap();
    survive(&model.to_arrays(), MultinomialNaiveBayes::from_arrays, |model, rows| {
        let classes = model.predict(rows)?;
        assert_eq!(classes.len(), rows.rows());
        model.predict_log_probabilities(rows)
    });
}
