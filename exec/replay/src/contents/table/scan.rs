//! One table, read once: what its columns hold, and a hash of every row.
//!
//! Cells are told apart by value where that is sure: `1.50` and `1.5` are one number, `12:00:00` and
//! `12:00:00.0` one time, an empty field and `NA` one lack; `007` and `7` are two, and so are long integers
//! that a float would make equal. Hashes
//! are keyed anew in every process, so that no file can be made whose rows collide.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash, RandomState};

use lab_data::Written;
use serde::Serialize;

use crate::compare::source::Source;
use crate::contents::stream::{Failed, Told, parsed};
use crate::contents::table::source::{Form, Ranges, TableSource};
use crate::contents::table::times::time;
use crate::error::Result;

/// Most rows of a table; they take about 60 bytes each in memory.
pub(crate) const MAX_ROWS: usize = 10_000_000;
/// Most cells; some minutes of work.
const MAX_CELLS: u64 = 1 << 31;
/// Columns that may be keys, and rows of which each is asked whether it has a value twice.
const KEYS: usize = 64;
const KEY_ROWS: usize = 1000;
/// Most digits of an integer that every float tells apart.
const SURE_DIGITS: usize = 15;

/// A table and how it is written.
#[derive(Clone, Copy)]
pub(crate) struct Side<'a> {
    pub(crate) source: &'a dyn Source,
    pub(crate) form: Form<'a>,
    /// Whether its cells are told as those of a CSV file: only one of the two is one.
    pub(crate) fields: bool,
}

/// Two keyed hashes, for 128 bits.
pub(crate) struct Hasher(RandomState, RandomState);

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Values {
    /// Missing, all of them.
    Nothing,
    /// Whole numbers.
    Integers,
    /// Numbers.
    Numbers,
    /// Words, some of which may look like numbers.
    Words,
    /// Booleans, lists or objects of JSON.
    Json,
}

/// What a column holds.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) missing: u64,
    integers: u64,
    numbers: u64,
    words: u64,
    json: u64,
    /// Sum of the hashes of its values, whatever their order.
    pub(crate) values: u128,
    /// The same of how they are written.
    pub(crate) written: u128,
    /// Whether it numbers the rows from 0 or 1 on.
    pub(crate) numbering: bool,
    first: i64,
    /// The first value, and whether there is another.
    one: Option<u128>,
    varies: bool,
    /// Of a column that may be a key: its first values; none once one stands twice.
    seen: Option<HashSet<u64>>,
}

/// What was read of a table.
pub(crate) struct Scan {
    pub(crate) columns: Vec<Column>,
    /// For each row the sum of the hashes of its cells.
    pub(crate) rows: Vec<u128>,
}

/// Which columns count, and what they are called: all by their own name, or some.
pub(crate) enum Choice<'a> {
    All,
    /// These, by their names in this table, with what they are called here.
    These(&'a HashMap<String, String>),
}

impl Hasher {
    pub(crate) fn new() -> Hasher {
        Hasher(RandomState::new(), RandomState::new())
    }

    fn both(&self, value: impl Hash) -> u128 {
        u128::from(self.0.hash_one(&value)) << 64 | u128::from(self.1.hash_one(&value))
    }

    /// By what the hashes of a column's cells are multiplied, so that they can be summed over a row
    /// (multilinear hashing: Lemire and Kaser, "Strongly universal string hashing is fast", 2014).
    pub(crate) fn factor(&self, name: &str) -> u128 {
        self.both(name) | 1
    }

    /// A cell's value, whatever its column.
    pub(crate) fn cell(&self, cell: Written<'_>) -> u128 {
        match cell {
            // So that a column that comes late changes no row before it.
            Written::Missing => 0,
            Written::Number(text) => match sure(text) {
                Some(bits) => self.both((1_u8, bits)),
                None => self.both((2_u8, text)),
            },
            Written::Word(word) => match time(word) {
                Some(time) => self.both((5_u8, time)),
                None => self.both((3_u8, word)),
            },
            Written::Json(text) => self.both((4_u8, text)),
        }
    }
}

/// The bits of a number, if no other number that is written otherwise has the same.
fn sure(text: &str) -> Option<u64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let padded = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    let whole = digits.bytes().all(|byte| byte.is_ascii_digit());
    if padded || digits.starts_with('+') || (whole && digits.len() > SURE_DIGITS) {
        return None;
    }
    // Both zeros are one.
    text.parse::<f64>().ok().map(|number| (number + 0.0).to_bits())
}

impl Column {
    fn new(name: &str, before: u64, place: usize) -> Column {
        Column {
            name: name.to_owned(),
            missing: before,
            integers: 0,
            numbers: 0,
            words: 0,
            json: 0,
            values: 0,
            written: 0,
            numbering: before == 0,
            first: 0,
            one: None,
            varies: false,
            seen: (place < KEYS && before == 0).then(HashSet::new),
        }
    }

    fn add(&mut self, row: usize, cell: Written<'_>, hash: u128, hasher: &Hasher) {
        self.values = self.values.wrapping_add(hash);
        self.varies |= *self.one.get_or_insert(hash) != hash;
        let raw: &[u8] = match cell {
            Written::Missing => &[],
            Written::Number(text) | Written::Json(text) => text.as_bytes(),
            Written::Word(word) => word,
        };
        self.written = self.written.wrapping_add(u128::from(hasher.1.hash_one(raw)));
        match cell {
            Written::Missing => self.missing += 1,
            Written::Number(text) => match text.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
                true => self.integers += 1,
                false => self.numbers += 1,
            },
            Written::Word(_) => self.words += 1,
            Written::Json(_) => self.json += 1,
        }
        if self.numbering {
            self.numbering = match cell {
                Written::Number(text) => self.numbers_row(row, text),
                _ => false,
            };
        }
        let late = self.seen.as_ref().is_some_and(|seen| seen.len() < KEY_ROWS);
        if matches!(cell, Written::Missing) || late && !self.is_new(hash) {
            self.seen = None;
        }
    }

    fn is_new(&mut self, hash: u128) -> bool {
        self.seen.as_mut().is_none_or(|seen| seen.insert(low(hash)))
    }

    fn numbers_row(&mut self, row: usize, text: &str) -> bool {
        let Ok(number) = text.parse::<i64>() else { return false };
        if row == 0 {
            self.first = number;
        }
        let expected = i64::try_from(row).ok().and_then(|row| row.checked_add(self.first));
        matches!(self.first, 0 | 1) && expected == Some(number)
    }

    /// What its values are.
    pub(crate) fn sort(&self) -> Values {
        match (self.words, self.json, self.numbers, self.integers) {
            (1.., ..) => Values::Words,
            (_, 1.., ..) => Values::Json,
            (_, _, 1.., _) => Values::Numbers,
            (.., 1..) => Values::Integers,
            _ => Values::Nothing,
        }
    }

    /// Whether it holds so much that another with the same values is the same column: neither nothing
    /// nor one value throughout.
    pub(crate) fn is_telling(&self) -> bool {
        self.varies
    }

    /// Whether none of its first values is missing or stands twice.
    pub(crate) fn may_be_key(&self) -> bool {
        self.seen.is_some()
    }
}

/// The part of a hash that is kept of a cell.
pub(crate) fn low(hash: u128) -> u64 {
    hash as u64
}

impl Side<'_> {
    /// Reads every row: `each` is given its index, where it stands, and the rows, of which only these
    /// columns may be there. The error says in words what is wrong with the table.
    pub(crate) fn each(
        &self,
        only: &dyn Fn(&str) -> bool,
        mut each: impl FnMut(usize, u64, &TableSource<'_>),
    ) -> Result<Told<()>> {
        let failed = Failed::default();
        let ranges = Ranges::new(self.source, &failed);
        let read = || -> Told<()> {
            let mut rows = TableSource::new(&ranges, self.form, self.fields, only)?;
            let (mut row, mut cells) = (0, 0_u64);
            while let Some(line) = rows.advance()? {
                if row == MAX_ROWS {
                    return Err(format!("rows of the table: the limit is {MAX_ROWS}"));
                }
                cells += rows.names().len() as u64;
                if cells > MAX_CELLS {
                    return Err(format!("cells of the table: the limit is {MAX_CELLS}"));
                }
                each(row, line, &rows);
                row += 1;
            }
            Ok(())
        };
        parsed(&failed, read)
    }

    /// Reads what the columns hold and a hash of every row.
    pub(crate) fn scan(&self, hasher: &Hasher, choice: &Choice<'_>) -> Result<Told<Scan>> {
        let mut scan = Scan { columns: Vec::new(), rows: Vec::new() };
        // Of each column; none of those that do not count.
        let mut factors: Vec<Option<u128>> = Vec::new();
        let counts = |name: &str| match choice {
            Choice::All => true,
            Choice::These(chosen) => chosen.contains_key(name),
        };
        let read = self.each(&counts, |row, _, rows| {
            for (place, name) in rows.names().iter().enumerate().skip(factors.len()) {
                factors.push(match choice {
                    Choice::All => Some(hasher.factor(name)),
                    Choice::These(chosen) => chosen.get(name).map(|name| hasher.factor(name)),
                });
                scan.columns.push(Column::new(name, row as u64, place));
            }
            let mut sum = 0_u128;
            for (place, (factor, column)) in factors.iter().zip(&mut scan.columns).enumerate() {
                let Some(factor) = factor else { continue };
                let cell = rows.cell(place);
                let hash = hasher.cell(cell);
                sum = sum.wrapping_add(hash.wrapping_mul(*factor));
                column.add(row, cell, hash, hasher);
            }
            scan.rows.push(sum);
        })?;
        if read.is_ok() && factors.is_empty() {
            // A table without a row has its names all the same.
            let failed = Failed::default();
            let ranges = Ranges::new(self.source, &failed);
            if let Ok(rows) = TableSource::new(&ranges, self.form, self.fields, &|_| true) {
                let columns = rows.names().iter().enumerate();
                scan.columns = columns.map(|(at, name)| Column::new(name, 0, at)).collect();
            }
        }
        Ok(read.map(|()| scan))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_apart_by_value_where_that_is_sure() {
        for (one, other) in [("1.50", "1.5"), ("1", "1.0"), ("-0", "0"), ("1e3", "1000")] {
            assert_eq!(sure(one), sure(other), "{one} {other}");
            assert!(sure(one).is_some());
        }
        for text in ["007", "12345678901234567", "+5", "00.5"] {
            assert_eq!(sure(text), None, "{text}");
        }
        assert_ne!(sure("0.1"), sure("0.10000000000000002"));
    }
}
