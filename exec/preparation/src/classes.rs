//! The distinct words of a column, in an order that the rows' order does not decide.
//!
//! By value if all are integers, so that 9 comes before 10; else by bytes. Words that are the
//! same integer, such as `1` and `01`, stay apart, by bytes.

use std::collections::BTreeMap;

use crate::error::{PreparationError, Result};
use crate::table::Column;

/// Most distinct words of a column that become classes, groups or categories.
pub(crate) const MAX_WORDS: usize = 1 << 16;

/// The words of some rows.
pub(crate) struct Words {
    /// The distinct ones, in order.
    pub(crate) distinct: Vec<String>,
    /// For each of the rows an index into `distinct`.
    pub(crate) codes: Vec<usize>,
}

/// Reads the words of `rows`, all of which need one; refuses more than `limit` distinct ones.
pub(crate) fn words(column: &Column, rows: &[usize], limit: usize) -> Result<Words> {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut codes = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(word) = column.word(*row)? else {
            return Err(column.cell(*row, String::new(), "is missing, and every row needs one"));
        };
        let code = match places.get(word.as_ref()) {
            Some(code) => *code,
            None if places.len() == limit => {
                let (found, limit) = (limit as u64 + 1, limit as u64);
                return Err(PreparationError::TooLarge { what: "distinct words", found, limit });
            }
            None => {
                places.insert(word.into_owned(), places.len());
                places.len() - 1
            }
        };
        codes.push(code);
    }
    let sorted = sorted(places.into_iter().collect());
    let mut place = vec![0; sorted.len()];
    for (to, (_, from)) in sorted.iter().enumerate() {
        place[*from] = to;
    }
    Ok(Words {
        distinct: sorted.into_iter().map(|(word, _)| word).collect(),
        codes: codes.into_iter().map(|code| place[code]).collect(),
    })
}

/// In the order of the module's words; they come sorted by bytes.
fn sorted(words: Vec<(String, usize)>) -> Vec<(String, usize)> {
    let integer = |word: &(String, usize)| Some((word.0.parse::<i64>().ok()?, word.clone()));
    match words.iter().map(integer).collect::<Option<Vec<_>>>() {
        Some(mut integers) => {
            integers.sort();
            integers.into_iter().map(|(_, word)| word).collect()
        }
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Cells;

    fn column(words: &[&str]) -> Column {
        let values = words.iter().map(|w| w.to_string()).collect();
        let codes = (0..words.len() as u32).collect();
        Column { name: "c".into(), cells: Cells::Text { values, codes } }
    }

    #[test]
    fn integers_come_by_value_and_words_by_bytes() {
        let found = words(&column(&["10", "9", "-3", "09"]), &[0, 1, 2, 3], 9).unwrap();
        assert_eq!(found.distinct, ["-3", "09", "9", "10"]);
        assert_eq!(found.codes, [3, 2, 0, 1]);
        let found = words(&column(&["10", "9", "b", "Z"]), &[0, 1, 2, 3], 9).unwrap();
        assert_eq!(found.distinct, ["10", "9", "Z", "b"]);
    }

    #[test]
    fn too_many_words_are_refused() {
        assert!(words(&column(&["a", "b", "c"]), &[0, 1, 2], 3).is_ok());
        let error = words(&column(&["a", "b", "c"]), &[0, 1, 2], 2).err().unwrap().to_string();
        assert_eq!(error, "distinct words: 3 are too many, the limit is 2");
    }
}
