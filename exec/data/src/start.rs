//! How a table begins: what stands in its first rows, before anybody has said how to read it.
//!
//! Looked at are at most 1,000 rows, as far as they lie in the first 16 MiB. Given are counts; what
//! follows from them is the caller's to decide. A row that cannot be read ends the look, since
//! whoever reads the table will say what is wrong with it, and in which line.

use std::collections::{BTreeSet, HashMap};
use std::io::Read;

use crate::csv::{Rows, UNCLOSED, is_missing};
use crate::error::{DataError, Result};
use crate::json::Object;
use crate::lines::{FILE, Lines, MAX_ROW_BYTES};
use crate::source::gunzipped;

/// The most rows that are looked at.
const MOST_ROWS: usize = 1000;
/// What may stand between fields, if nobody says it.
const DELIMITERS: [u8; 4] = *b",;|\t";

/// The first bytes of a table, which is plain or gzipped.
pub struct Start {
    bytes: Vec<u8>,
    /// Whether these are all.
    whole: bool,
}

/// What a cell is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// It stands for a value that is not known.
    Missing,
    /// Or one that is written with a comma for the point, which no reader takes: it is not a word
    /// for that. Of JSON a boolean too.
    Number,
    /// Anything else; of JSON text that looks like a number too.
    Word,
}

/// The cells of a column, by what they are taken for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// How many are numbers.
    pub numbers: usize,
    /// How many are words.
    pub words: usize,
    distinct: BTreeSet<Vec<u8>>,
}

/// The first rows of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glance {
    /// The first row, or the keys of the first object.
    pub first: Vec<(String, Look)>,
    /// Rows below it.
    pub rows: usize,
    below: Vec<Seen>,
}

impl Seen {
    fn add(&mut self, cell: &[u8], look: Look) {
        match look {
            Look::Missing => {}
            Look::Number => self.numbers += 1,
            Look::Word => {
                self.words += 1;
                if !self.distinct.contains(cell) {
                    self.distinct.insert(cell.to_vec());
                }
            }
        }
    }

    /// How many words are different.
    pub fn distinct(&self) -> usize {
        self.distinct.len()
    }
}

impl Glance {
    fn new(first: Vec<(String, Look)>) -> Glance {
        let below = vec![Seen::default(); first.len()];
        Glance { first, rows: 0, below }
    }

    /// What stands below the first row.
    pub fn below(&self) -> &[Seen] {
        &self.below
    }

    /// What stands in the columns, with the first row unless it is a header.
    pub fn columns(&self, header: bool) -> Vec<Seen> {
        let mut all = self.below.clone();
        if !header {
            for (seen, (cell, look)) in all.iter_mut().zip(&self.first) {
                seen.add(cell.as_bytes(), *look);
            }
        }
        all
    }
}

impl Start {
    /// Reads the start of a table.
    ///
    /// # Errors
    /// Bytes that cannot be read, such as damaged gzip data.
    pub fn read(source: impl Read) -> Result<Start> {
        let mut bytes = Vec::new();
        let read = gunzipped(source).take(MAX_ROW_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|source| DataError::Read { file: FILE.into(), source })?;
        let whole = bytes.len() as u64 <= MAX_ROW_BYTES;
        if !whole {
            // Without the line that is cut off.
            let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            bytes.truncate(end);
        }
        Ok(Start { bytes, whole })
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.whole && self.bytes.iter().all(|byte| matches!(byte, b'\n' | b'\r'))
    }

    /// Those of `,`, `;`, `|` and tab that cut the first rows of a CSV file into equally many
    /// fields, more than one; if there is none, those that cut the first row.
    pub fn delimiters(&self) -> Vec<u8> {
        let cuts = DELIMITERS.map(|delimiter| (delimiter, self.cut(delimiter)));
        let with = |even: bool| {
            let cuts = cuts.iter().filter(move |(_, (fields, same))| *fields > 1 && *same >= even);
            cuts.map(|(delimiter, _)| *delimiter).collect::<Vec<u8>>()
        };
        match with(true) {
            none if none.is_empty() => with(false),
            some => some,
        }
    }

    /// Those of them that do so, in all of the first rows.
    pub fn even_delimiters(&self) -> Vec<u8> {
        let even = |delimiter: &u8| matches!(self.cut(*delimiter), (2.., true));
        DELIMITERS.into_iter().filter(even).collect()
    }

    /// The fields of the first row, and whether the others have as many.
    fn cut(&self, delimiter: u8) -> (usize, bool) {
        let mut rows = Rows::new(self.bytes.as_slice(), delimiter);
        let mut first = None;
        for _ in 0..MOST_ROWS {
            match rows.next() {
                Ok(None) => break,
                Ok(Some(_)) if first.is_none_or(|fields| fields == rows.fields.len()) => {
                    first = Some(rows.fields.len());
                }
                // A quote may be closed beyond the start.
                Err(DataError::Row { why, .. }) if !self.whole && why == UNCLOSED => break,
                Ok(Some(_)) | Err(_) => return (first.unwrap_or(0), false),
            }
        }
        (first.unwrap_or(0), true)
    }

    /// The first rows of a CSV file; none if it has no row, or none that can be read.
    pub fn csv(&self, delimiter: u8) -> Option<Glance> {
        let mut rows = Rows::new(self.bytes.as_slice(), delimiter);
        rows.next().ok()??;
        let cell = |bytes: &[u8]| {
            let look = match str::from_utf8(bytes) {
                Ok(text) if is_missing(text) => Look::Missing,
                Ok(text) if text.replacen(',', ".", 1).parse::<f64>().is_ok() => Look::Number,
                _ => Look::Word,
            };
            (String::from_utf8_lossy(bytes).into_owned(), look)
        };
        let columns = rows.fields.len();
        let mut glance = Glance::new((0..columns).map(|at| cell(rows.fields.get(at))).collect());
        while glance.rows + 1 < MOST_ROWS
            && matches!(rows.next(), Ok(Some(_)))
            && rows.fields.len() == columns
        {
            glance.rows += 1;
            for (at, seen) in glance.below.iter_mut().enumerate() {
                let bytes = rows.fields.get(at);
                seen.add(bytes, cell(bytes).1);
            }
        }
        Some(glance)
    }

    /// The first objects of JSON lines; none if there is none. All count as below their keys.
    pub fn jsonl(&self) -> Option<Glance> {
        let mut lines = Lines::new(self.bytes.as_slice());
        let mut line = Vec::new();
        let mut glance = None;
        let mut places = HashMap::new();
        for _ in 0..MOST_ROWS {
            line.clear();
            while line.trim_ascii().is_empty() {
                if !matches!(lines.append(&mut line), Ok(true)) {
                    return glance;
                }
            }
            let object =
                str::from_utf8(&line).ok().and_then(|text| serde_json::from_str(text).ok());
            let Some(Object(entries)) = object else { break };
            let glance = glance.get_or_insert_with(|| {
                let keys = || entries.iter().map(|(key, _)| key.clone());
                places = keys().zip(0..).collect::<HashMap<String, usize>>();
                Glance::new(keys().map(|key| (key, Look::Word)).collect())
            });
            glance.rows += 1;
            for (key, value) in entries {
                let text = value.get().as_bytes();
                let look = match text.first() {
                    Some(b'n') => Look::Missing,
                    Some(b'"' | b'[' | b'{') => Look::Word,
                    _ => Look::Number,
                };
                if let Some(place) = places.get(&key) {
                    glance.below[*place].add(text, look);
                }
            }
        }
        glance
    }
}
