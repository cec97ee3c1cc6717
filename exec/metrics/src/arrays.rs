//! Fitted models as named arrays, and back.
//!
//! What is stored is what was counted or averaged, never a logarithm of it, so every number is
//! finite. Stored models come from anywhere: reading one refuses arrays that are missing, unknown,
//! there twice or of another form, and each model refuses numbers that no fit could have left.

use std::collections::BTreeMap;

use crate::error::{MetricsError, Result};

/// A named array, row-major; one tensor of a safetensors file.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// What it is to the model.
    pub name: String,
    /// Its dimensions; their product is the number of numbers.
    pub shape: Vec<usize>,
    /// What it holds.
    pub numbers: Numbers,
}

/// The numbers of an array.
#[derive(Clone, Debug, PartialEq)]
pub enum Numbers {
    /// Single precision: features, as they were given.
    F32(Vec<f32>),
    /// Double precision: everything else, counts and classes as integers.
    F64(Vec<f64>),
}

impl Numbers {
    fn kind_and_count(&self) -> (&'static str, usize) {
        match self {
            Numbers::F32(numbers) => ("f32", numbers.len()),
            Numbers::F64(numbers) => ("f64", numbers.len()),
        }
    }
}

impl Array {
    pub(crate) fn f32(name: &str, shape: &[usize], numbers: Vec<f32>) -> Array {
        Array { name: name.to_owned(), shape: shape.to_vec(), numbers: Numbers::F32(numbers) }
    }

    pub(crate) fn f64(name: &str, shape: &[usize], numbers: Vec<f64>) -> Array {
        Array { name: name.to_owned(), shape: shape.to_vec(), numbers: Numbers::F64(numbers) }
    }

    /// Its type and shape in words.
    fn form(&self) -> String {
        let (kind, count) = self.numbers.kind_and_count();
        format!("{count} numbers of type {kind} in the shape {:?}", self.shape)
    }

    fn has_shape(&self, shape: &[Option<usize>]) -> bool {
        let (_, count) = self.numbers.kind_and_count();
        let product = self.shape.iter().try_fold(1usize, |product, n| product.checked_mul(*n));
        let fits = |(found, needed): (&usize, &Option<usize>)| needed.is_none_or(|n| n == *found);
        product == Some(count)
            && self.shape.len() == shape.len()
            && self.shape.iter().zip(shape).all(fits)
    }
}

/// The arrays of a stored model, taken out one by one.
pub(crate) struct Reader(BTreeMap<String, Array>);

impl Reader {
    pub(crate) fn new(arrays: Vec<Array>) -> Result<Reader> {
        let mut named = BTreeMap::new();
        for array in arrays {
            if let Some(array) = named.insert(array.name.clone(), array) {
                return Err(MetricsError::ExtraArray { name: array.name, why: "there twice" });
            }
        }
        Ok(Reader(named))
    }

    /// An f32 array of two dimensions: its columns and its numbers.
    pub(crate) fn table_f32(&mut self, name: &'static str) -> Result<(usize, Vec<f32>)> {
        let array = self.take(name, &[None, None], "f32")?;
        match array.numbers {
            Numbers::F32(numbers) => Ok((array.shape[1], numbers)),
            Numbers::F64(_) => Err(form_error(name, &array, &[None, None], "f32")),
        }
    }

    /// An f64 array of that shape, any length where it says none, each number accepted.
    pub(crate) fn f64(
        &mut self,
        name: &'static str,
        shape: &[Option<usize>],
        accepted: &Accepted,
    ) -> Result<(Vec<usize>, Vec<f64>)> {
        let array = self.take(name, shape, "f64")?;
        let Numbers::F64(numbers) = array.numbers else {
            return Err(form_error(name, &array, shape, "f64"));
        };
        match numbers.iter().position(|number| !accepted.accepts(*number)) {
            None => Ok((array.shape, numbers)),
            Some(index) => {
                let (value, needed) = (numbers[index], accepted.to_string());
                Err(MetricsError::ArrayNumber { name, index, value, needed })
            }
        }
    }

    /// The only number of an f64 array.
    pub(crate) fn number(&mut self, name: &'static str, accepted: &Accepted) -> Result<f64> {
        self.f64(name, &[Some(1)], accepted).map(|(_, numbers)| numbers[0])
    }

    /// Whether all arrays were taken.
    pub(crate) fn finish(mut self) -> Result<()> {
        match self.0.pop_first() {
            None => Ok(()),
            Some((name, _)) => {
                Err(MetricsError::ExtraArray { name, why: "none of this kind of model" })
            }
        }
    }

    fn take(
        &mut self,
        name: &'static str,
        shape: &[Option<usize>],
        kind: &'static str,
    ) -> Result<Array> {
        let array = self.0.remove(name).ok_or(MetricsError::MissingArray(name))?;
        match array.has_shape(shape) {
            true => Ok(array),
            false => Err(form_error(name, &array, shape, kind)),
        }
    }
}

fn form_error(
    name: &'static str,
    array: &Array,
    shape: &[Option<usize>],
    kind: &'static str,
) -> MetricsError {
    let dimension = |n: &Option<usize>| n.map_or("any".to_owned(), |n| n.to_string());
    let shape: Vec<String> = shape.iter().map(dimension).collect();
    let needed = format!("{kind} in the shape [{}]", shape.join(", "));
    MetricsError::ArrayForm { name, found: array.form(), needed }
}

/// The numbers that an array may hold.
pub(crate) enum Accepted {
    /// Whole numbers from the first to the last.
    Integers(f64, f64),
    /// Numbers from the first to the last.
    Numbers(f64, f64),
}

impl Accepted {
    /// NaN is in no range.
    fn accepts(&self, number: f64) -> bool {
        match self {
            Accepted::Integers(first, last) => {
                (*first..=*last).contains(&number) && number.fract() == 0.0
            }
            Accepted::Numbers(first, last) => (*first..=*last).contains(&number),
        }
    }
}

impl std::fmt::Display for Accepted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Accepted::Integers(first, last) => write!(f, "an integer from {first} to {last}"),
            Accepted::Numbers(first, last) => write!(f, "a number from {first:e} to {last:e}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: Accepted = Accepted::Integers(0.0, 9.0);

    fn error<T: std::fmt::Debug>(result: Result<T>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn arrays_of_another_form_are_refused() {
        let reader = |shape: &[usize], numbers: Vec<f64>| {
            Reader::new(vec![Array::f64("rows", shape, numbers)]).unwrap()
        };
        let two = &[Some(2)];
        assert!(reader(&[2], vec![0.0, 9.0]).f64("rows", two, &COUNT).is_ok());
        assert_eq!(
            error(reader(&[3], vec![0.0; 3]).f64("rows", two, &COUNT)),
            "the array 'rows' is 3 numbers of type f64 in the shape [3]: f64 in the shape [2] is \
             needed"
        );
        // A shape that says other than what is there, also when its product overflows.
        assert!(reader(&[2], vec![0.0; 3]).f64("rows", two, &COUNT).is_err());
        let any = &[None, None];
        assert!(reader(&[1 << 63, 2], vec![]).f64("rows", any, &COUNT).is_err());
        assert!(reader(&[2], vec![0.0; 2]).f64("rows", any, &COUNT).is_err());
        assert_eq!(
            error(reader(&[1, 2], vec![0.0; 2]).table_f32("rows")),
            "the array 'rows' is 2 numbers of type f64 in the shape [1, 2]: f32 in the shape \
             [any, any] is needed"
        );
    }

    #[test]
    fn numbers_that_do_not_fit_are_named() {
        for bad in [-1.0, 10.0, 0.5, f64::NAN, f64::INFINITY] {
            let array = Array::f64("rows", &[2], vec![0.0, bad]);
            let found = Reader::new(vec![array]).unwrap().f64("rows", &[None], &COUNT);
            let text = format!("number 1 of the array 'rows' is {bad}: an integer from 0 to 9");
            assert_eq!(error(found), format!("{text} is needed"));
        }
    }

    #[test]
    fn every_array_is_there_once() {
        let array = || Array::f64("rows", &[1], vec![1.0]);
        assert_eq!(
            error(Reader::new(vec![array(), array()]).map(|_| ())),
            "the model has the array 'rows', which is there twice"
        );
        assert_eq!(
            error(Reader::new(vec![]).unwrap().number("rows", &COUNT)),
            "the model lacks the array 'rows'"
        );
        assert_eq!(
            error(Reader::new(vec![array()]).unwrap().finish()),
            "the model has the array 'rows', which is none of this kind of model"
        );
    }
}
