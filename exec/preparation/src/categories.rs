//! A column of words as features: one-hot, ordinal, or ids by frequency.
//!
//! Categories are those of the training rows, sorted by bytes; an integer is its decimal digits.
//! A word that they lack is refused, or has a place of its own that tells nothing about it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::classes::MAX_WORDS;
use crate::error::{PreparationError, Result};
use crate::table::Column;

/// What to do where a word is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingWord {
    /// Nothing may be missing.
    Refuse,
    /// The row is left out.
    Drop,
    /// This word stands for it.
    Word(String),
}

/// What to do with a word that the training rows lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unknown {
    /// It is an error.
    Refuse,
    /// One-hot: all features are 0. Frequency: the id after the last one.
    Accept,
}

/// How words become numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Encoding {
    /// A feature per category, sorted by bytes: 1 for the word's own, 0 for the others.
    OneHot {
        /// What to do with other words.
        unknown: Unknown,
    },
    /// The word's place in this list, from 0; other words are refused.
    Ordinal {
        /// The words, in order.
        order: Vec<String>,
    },
    /// The word's place, from 0, by frequency in the training rows, the most frequent first;
    /// words of equal frequency by bytes.
    Frequency {
        /// What to do with other words.
        unknown: Unknown,
    },
}

/// How a column of words becomes features.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WordPlan {
    /// What to do where a word is missing.
    pub missing: MissingWord,
    /// How words become numbers.
    pub encoding: Encoding,
}

/// A fitted [`WordPlan`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FittedWords {
    /// What stands for a missing word.
    pub missing: MissingWord,
    /// Whether there is a feature per category, or one with the category's place.
    pub one_hot: bool,
    /// The categories, in order.
    pub categories: Vec<String>,
    /// What to do with other words.
    pub unknown: Unknown,
}

/// The word of a row, or what stands for it.
fn filled<'a>(missing: &'a MissingWord, column: &'a Column, row: usize) -> Result<Cow<'a, str>> {
    match (column.word(row)?, missing) {
        (Some(word), _) => Ok(word),
        (None, MissingWord::Word(word)) => Ok(Cow::Borrowed(word)),
        (None, _) => Err(column.cell(row, String::new(), "is missing (see prepare.missing)")),
    }
}

impl WordPlan {
    /// Fits to the column's words in these rows.
    pub(crate) fn fit(&self, column: &Column, rows: &[usize]) -> Result<FittedWords> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for row in rows {
            let word = filled(&self.missing, column, *row)?;
            match counts.get_mut(word.as_ref()) {
                Some(count) => *count += 1,
                None => drop(counts.insert(word.into_owned(), 1)),
            }
            too_many(counts.len())?;
        }
        if counts.is_empty() {
            return Err(PreparationError::NoValue { column: column.name.clone() });
        }
        let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
        let (one_hot, unknown, categories) = match &self.encoding {
            Encoding::OneHot { unknown } => (true, *unknown, None),
            Encoding::Ordinal { order } => (false, Unknown::Refuse, Some(order.clone())),
            Encoding::Frequency { unknown } => {
                // Stable: equal ones stay sorted by bytes.
                counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
                (false, *unknown, None)
            }
        };
        let words = || counts.into_iter().map(|(word, _)| word).collect();
        let categories = categories.unwrap_or_else(words);
        let fitted = FittedWords { missing: self.missing.clone(), one_hot, categories, unknown };
        let places = fitted.places(&column.name)?;
        // An order that lacks a training word is found here, not only when it is applied.
        rows.iter().try_for_each(|row| fitted.place(&places, column, *row).map(drop))?;
        Ok(fitted)
    }
}

fn too_many(found: usize) -> Result<()> {
    match found > MAX_WORDS {
        true => {
            let (found, limit) = (found as u64, MAX_WORDS as u64);
            Err(PreparationError::TooLarge { what: "categories", found, limit })
        }
        false => Ok(()),
    }
}

impl FittedWords {
    /// The names of the features: `COLUMN=CATEGORY` if one-hot, else the column's.
    pub(crate) fn names(&self, column: &str) -> Vec<String> {
        match self.one_hot {
            true => self.categories.iter().map(|word| format!("{column}={word}")).collect(),
            false => vec![column.to_owned()],
        }
    }

    /// The place of each category; refuses one that is there twice.
    pub(crate) fn places(&self, column: &str) -> Result<BTreeMap<&str, usize>> {
        too_many(self.categories.len())?;
        let mut places = BTreeMap::new();
        for (place, word) in self.categories.iter().enumerate() {
            if places.insert(word.as_str(), place).is_some() {
                let (what, why) = (format!("column {column}"), "a category is there twice");
                return Err(PreparationError::Fitted { what, why });
            }
        }
        Ok(places)
    }

    /// The place of a row's word; none if it is unknown, and accepted.
    fn place(
        &self,
        places: &BTreeMap<&str, usize>,
        column: &Column,
        row: usize,
    ) -> Result<Option<usize>> {
        let word = filled(&self.missing, column, row)?;
        match (places.get(word.as_ref()), self.unknown) {
            (Some(place), _) => Ok(Some(*place)),
            (None, Unknown::Accept) => Ok(None),
            (None, Unknown::Refuse) => {
                Err(column.cell(row, word.into_owned(), "is none of the fitted categories"))
            }
        }
    }

    /// Writes the features of a row, all of which are 0, as many as there are names.
    pub(crate) fn write(
        &self,
        places: &BTreeMap<&str, usize>,
        column: &Column,
        row: usize,
        features: &mut [f32],
    ) -> Result<()> {
        let place = self.place(places, column, row)?;
        match (self.one_hot, place) {
            (true, Some(place)) => features[place] = 1.0,
            (true, None) => (),
            // At most MAX_WORDS: exact in f32.
            (false, place) => features[0] = place.unwrap_or(self.categories.len()) as f32,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{Cells, MISSING};

    /// c, a, b, b, c, missing.
    fn column() -> Column {
        let values = ["c", "a", "b"].map(String::from).to_vec();
        let cells = Cells::Text { values, codes: vec![0, 1, 2, 2, 0, MISSING] };
        Column { name: "w".into(), cells }
    }

    fn ids(encoding: Encoding, train: &[usize], rows: &[usize]) -> Result<Vec<f32>> {
        let missing = MissingWord::Word("none".into());
        let fitted = WordPlan { missing, encoding }.fit(&column(), train)?;
        let places = fitted.places("w")?;
        let mut ids = vec![0.0; rows.len()];
        for (row, id) in rows.iter().zip(ids.chunks_mut(1)) {
            fitted.write(&places, &column(), *row, id)?;
        }
        Ok(ids)
    }

    #[test]
    fn ordinal_is_the_place_in_the_order() {
        let order = |words: &[&str]| Encoding::Ordinal {
            order: words.iter().map(|word| word.to_string()).collect(),
        };
        let all = ["c", "none", "b", "a"];
        assert_eq!(ids(order(&all), &[0, 1], &[0, 1, 2, 5]).unwrap(), [0.0, 3.0, 2.0, 1.0]);
        let error = ids(order(&["c", "a"]), &[0, 1], &[1, 3]).unwrap_err().to_string();
        assert_eq!(error, "row 3, column w: 'b' is none of the fitted categories");
    }

    #[test]
    fn frequent_words_have_low_ids() {
        let frequency = |unknown| Encoding::Frequency { unknown };
        // b and c twice each, then a once; equal ones by bytes.
        let found = ids(frequency(Unknown::Accept), &[0, 1, 2, 3, 4], &[0, 1, 2, 5]).unwrap();
        assert_eq!(found, [1.0, 2.0, 0.0, 3.0]);
        assert!(ids(frequency(Unknown::Refuse), &[0, 1], &[2]).is_err());
        assert!(ids(frequency(Unknown::Accept), &[], &[2]).is_err());
    }

    #[test]
    fn too_many_categories_are_refused() {
        let values: Vec<String> = (0..=MAX_WORDS).map(|i| i.to_string()).collect();
        let codes = (0..values.len() as u32).collect();
        let column = Column { name: "w".into(), cells: Cells::Text { values, codes } };
        let encoding = Encoding::OneHot { unknown: Unknown::Refuse };
        let plan = WordPlan { missing: MissingWord::Refuse, encoding };
        let rows: Vec<usize> = (0..=MAX_WORDS).collect();
        assert!(plan.fit(&column, &rows[1..]).is_ok());
        let error = plan.fit(&column, &rows).unwrap_err().to_string();
        assert_eq!(error, "categories: 65537 are too many, the limit is 65536");
    }
}
