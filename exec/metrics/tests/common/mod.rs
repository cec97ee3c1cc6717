//! The reference numbers and the digits, for the tests that compare with them.
//!
//! Both are files beside this one: the numbers are scikit-learn's (`fixtures/reference.py` writes
//! them), the digits are those of the demo.

use std::io::Read;
use std::sync::LazyLock;

use lab_metrics::Features;
use serde_json::Value;

static REFERENCE: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../fixtures/reference.json")).unwrap());

/// What `reference.py` wrote.
pub(crate) fn reference() -> &'static Value {
    &REFERENCE
}

pub(crate) fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

pub(crate) fn whole(list: &Value) -> Vec<u32> {
    list.as_array().unwrap().iter().map(|x| x.as_u64().unwrap() as u32).collect()
}

/// The handwritten digits; every fourth row is for testing.
pub(crate) struct Digits {
    train: Vec<f32>,
    test: Vec<f32>,
    pub(crate) train_labels: Vec<u32>,
}

impl Digits {
    pub(crate) fn train(&self) -> Features<'_> {
        Features::new(&self.train, 64).unwrap()
    }

    pub(crate) fn test(&self) -> Features<'_> {
        Features::new(&self.test, 64).unwrap()
    }
}

pub(crate) fn digits() -> Digits {
    let bytes = include_bytes!("../../../../cli/data/digits.csv.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    let mut digits = Digits { train: vec![], test: vec![], train_labels: vec![] };
    for (row, line) in text.lines().enumerate() {
        let cells: Vec<u32> = line.split(',').map(|cell| cell.parse().unwrap()).collect();
        let (label, pixels) = cells.split_last().unwrap();
        let pixels = pixels.iter().map(|pixel| *pixel as f32);
        match row % 4 {
            3 => digits.test.extend(pixels),
            _ => {
                digits.train.extend(pixels);
                digits.train_labels.push(*label);
            }
        }
    }
    digits
}
