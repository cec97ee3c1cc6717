//! Examples: rows of a table, texts, or arrays of numbers such as images.
//!
//! They are counted from 0 in the order of their file. A label that lies in a file of its own is no
//! example: that ten thousand labels are among sixty thousand says nothing.

use lab_data::{Array, Images, Values, Written};
use lab_schema::{BlobHasher, Digest};

use crate::decimal::canonical;
use crate::error::{OverlapError, Result};
use crate::strings::Strings;

/// The most examples of a set.
pub const MAX_EXAMPLES: usize = 1 << 24;

/// A set of examples of one sort.
#[derive(Clone, Debug, PartialEq)]
pub enum Examples {
    /// Rows of a table.
    Rows(Rows),
    /// Texts.
    Texts(Texts),
    /// Images, or other arrays of one shape.
    Arrays(Arrays),
}

impl Examples {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Examples::Rows(rows) => rows.len(),
            Examples::Texts(texts) => texts.len(),
            Examples::Arrays(arrays) => arrays.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What they are, in words.
    pub fn sort(&self) -> String {
        match self {
            Examples::Rows(rows) => format!("rows of {} columns", rows.columns.len()),
            Examples::Texts(_) => "texts".to_owned(),
            Examples::Arrays(arrays) => format!("arrays of shape {:?}", arrays.shape),
        }
    }
}

/// Rows of a table, cell by cell: numbers in one form, missing cells equal to each other, whatever the
/// format.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    columns: Vec<String>,
    cells: Strings,
}

impl Rows {
    /// A table without rows. `columns` are their names.
    pub fn new(columns: Vec<String>) -> Rows {
        Rows { columns, cells: Strings::default() }
    }

    /// Adds a row: for each column what is written in it, none where missing.
    ///
    /// # Errors
    /// Another number of cells than of columns; more than 2^24 rows, 2^27 cells, 4 GiB of text.
    pub fn push(&mut self, cells: &[Option<&str>]) -> Result<()> {
        room(self.len())?;
        if cells.is_empty() || cells.len() != self.columns.len() {
            let (expected, found) = (self.columns.len() as u64, cells.len() as u64);
            let line = self.len() as u64 + 1;
            return Err(lab_data::DataError::Ragged { line, expected, found }.into());
        }
        // The first letter keeps numbers, texts and what is missing apart.
        cells.iter().try_for_each(|cell| match cell.map(str::trim) {
            // An empty word is what CSV has for nothing.
            None => self.cells.push(&["-"]),
            Some(text) if Written::field(text.as_bytes()) == Written::Missing => {
                self.cells.push(&["-"])
            }
            Some(text) => match canonical(text) {
                Some(number) => self.cells.push(&["n", &number]),
                None => self.cells.push(&["t", text]),
            },
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.cells.len().checked_div(self.columns.len()).unwrap_or(0)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The digest of the cells of these columns, in this order.
    pub(crate) fn digest(&self, row: usize, columns: &[usize]) -> Digest {
        let mut hasher = BlobHasher::new();
        for column in columns {
            let cell = self.cells.get(row * self.columns.len() + column).as_bytes();
            hasher.update(&(cell.len() as u64).to_le_bytes());
            hasher.update(cell);
        }
        hasher.digest()
    }
}

/// Texts, without the blanks around them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts(Strings);

impl Texts {
    /// No texts.
    pub fn new() -> Texts {
        Texts::default()
    }

    /// Adds a text.
    ///
    /// # Errors
    /// More than 2^24 texts, 4 GiB in all.
    pub fn push(&mut self, text: &str) -> Result<()> {
        room(self.len())?;
        self.0.push(&[text.trim()])
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text with this index.
    pub(crate) fn get(&self, index: usize) -> &str {
        self.0.get(index)
    }

    pub(crate) fn digest(&self, index: usize) -> Digest {
        let mut hasher = BlobHasher::new();
        hasher.update(self.get(index).as_bytes());
        hasher.digest()
    }
}

/// Arrays of one shape. Of two dimensions (height, width) or three (and 1 or 3 channels) they are
/// images.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrays {
    shape: Vec<usize>,
    count: usize,
    values: Values,
}

impl Arrays {
    /// The examples along the first dimension of an array.
    ///
    /// # Errors
    /// An array of less than two dimensions, or whose examples have a single value, which are
    /// labels; values that do not fill the shape; more than 2^24 examples.
    pub fn new(name: &str, array: Array) -> Result<Arrays> {
        let Array { shape, values } = array;
        let [count, shape @ ..] = shape.as_slice() else { return Err(labels(name, &[])) };
        let each = shape.iter().try_fold(1usize, |product, length| product.checked_mul(*length));
        let each = each.filter(|each| each.checked_mul(*count) == Some(values.len()));
        match each {
            Some(each) if each > 1 => {}
            _ => return Err(labels(name, shape)),
        }
        if *count > MAX_EXAMPLES {
            return Err(OverlapError::TooLarge { what: EXAMPLES, limit: MAX_EXAMPLES as u64 });
        }
        Ok(Arrays { shape: shape.to_vec(), count: *count, values })
    }

    /// Images, with or without colour, in the order of their paths; their classes do not count.
    ///
    /// # Errors
    /// As [`Arrays::new`].
    pub fn of_images(name: &str, images: Images) -> Result<Arrays> {
        let Images { height, width, channels, pixels, paths, .. } = images;
        let shape = vec![paths.len(), height, width, channels];
        Arrays::new(name, Array { shape, values: Values::U8(pixels) })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Of one example.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// How many values an example has.
    pub(crate) fn each(&self) -> usize {
        self.shape.iter().product()
    }

    /// The digest of an example's values as numbers: of what type the file has them does not
    /// count.
    pub(crate) fn digest(&self, index: usize) -> Digest {
        let mut bytes = Vec::with_capacity(8 * self.each());
        let mut raw = |bits: u64| bytes.extend(bits.to_le_bytes());
        let range = index * self.each()..(index + 1) * self.each();
        match &self.values {
            Values::U8(values) => values[range].iter().for_each(|x| raw(bits((*x).into()))),
            Values::I32(values) => values[range].iter().for_each(|x| raw(bits((*x).into()))),
            Values::F32(values) => values[range].iter().for_each(|x| raw(bits((*x).into()))),
            Values::F64(values) => values[range].iter().for_each(|x| raw(bits(*x))),
            Values::I64(values) => values[range].iter().for_each(|x| match exact(*x) {
                Some(value) => raw(bits(value)),
                None => [LARGE, x.cast_unsigned()].into_iter().for_each(&mut raw),
            }),
        }
        let mut hasher = BlobHasher::new();
        hasher.update(&bytes);
        hasher.digest()
    }

    /// Height, width and channels, if these are images.
    pub(crate) fn frame(&self) -> Option<(usize, usize, usize)> {
        match self.shape[..] {
            [height, width] => Some((height, width, 1)),
            [height, width, channels @ (1 | 3)] => Some((height, width, channels)),
            _ => None,
        }
    }

    /// The values of an example, missing ones as 0.
    pub(crate) fn floats(&self, index: usize) -> Vec<f32> {
        let range = index * self.each()..(index + 1) * self.each();
        let known = |value: f32| if value.is_finite() { value } else { 0.0 };
        match &self.values {
            Values::U8(values) => values[range].iter().map(|value| f32::from(*value)).collect(),
            Values::I32(values) => values[range].iter().map(|value| *value as f32).collect(),
            Values::I64(values) => values[range].iter().map(|value| *value as f32).collect(),
            Values::F32(values) => values[range].iter().map(|value| known(*value)).collect(),
            Values::F64(values) => values[range].iter().map(|value| known(*value as f32)).collect(),
        }
    }
}

/// Announces an integer that no float is: a pattern of bits that no number has, nor a missing one.
const LARGE: u64 = 0x7ff8_0000_0000_0001;

/// One pattern for both zeros, and one for all that is missing.
fn bits(value: f64) -> u64 {
    match value {
        0.0 => 0,
        missing if missing.is_nan() => lab_data::MISSING_F64.to_bits(),
        number => number.to_bits(),
    }
}

/// The float that is this integer, if there is one below 2^53.
fn exact(value: i64) -> Option<f64> {
    (value.unsigned_abs() <= 1 << 53).then_some(value as f64)
}

const EXAMPLES: &str = "examples of a set";

fn room(count: usize) -> Result<()> {
    match count < MAX_EXAMPLES {
        true => Ok(()),
        false => Err(OverlapError::TooLarge { what: EXAMPLES, limit: MAX_EXAMPLES as u64 }),
    }
}

fn labels(name: &str, shape: &[usize]) -> OverlapError {
    OverlapError::NoExamples {
        name: name.to_owned(),
        what: match shape.iter().all(|length| *length == 1) {
            true => "single numbers, which are labels and no examples".to_owned(),
            false => format!("examples of shape {shape:?}"),
        },
        needed: "an array of examples with two values or more each is needed",
    }
}
