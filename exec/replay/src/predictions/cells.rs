//! Cells of predictions, labels and ids, so that they can be compared by value where that is meant.
//!
//! `1` and `1.0` are one label, and so are `1` and the string `"1"` of a JSON line. Among words it is the text
//! that counts: `007`, ` 7` and `7` are three tokens, and `NA` and `?` are words like others; among numbers
//! the first three are one, and the last two are none.

use std::collections::HashMap;

use lab_data::{TableRows, Written};

use crate::contents::stream::Told;

/// Most bytes of different words, in both files together.
const MAX_WORD_BYTES: usize = 256 << 20;
/// Most digits of a whole number that a float tells from its neighbours.
const SURE_DIGITS: usize = 15;
/// Most characters of a cell that are shown.
const SHOWN: usize = 40;

/// What stands in a cell; words by their number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cell {
    /// A number, plainly written.
    Number(f64),
    /// A number with blanks around it, zeros before it or a plus: among words another word.
    Padded(f64, u32),
    /// A word, or a whole number of so many digits that it can only be a name.
    Word(u32),
    /// What stands for an unknown value among numbers, or for infinity: among words a word.
    Mark(u32),
    /// Nothing.
    Missing,
}

/// A value that can be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Number(u64),
    Word(u32),
}

impl Cell {
    /// What a file of numbers holds.
    pub(crate) fn of(number: f64, words: &mut Words) -> Told<Cell> {
        match number.is_finite() {
            true => Ok(Cell::Number(number + 0.0)),
            false => Ok(Cell::Mark(words.number(number.to_string().as_bytes())?)),
        }
    }

    /// The same of whole numbers, which may have more digits than a float.
    pub(crate) fn whole(number: i64, words: &mut Words) -> Told<Cell> {
        Cell::text(number.to_string().as_bytes(), words)
    }

    /// A cell of the row that was read last.
    pub(crate) fn read(rows: &TableRows<'_>, column: usize, words: &mut Words) -> Told<Cell> {
        match rows.cell(column) {
            Written::Missing => match rows.field(column) {
                Some(text) if !text.is_empty() => Ok(Cell::Mark(words.number(text)?)),
                _ => Ok(Cell::Missing),
            },
            Written::Number(text) => Cell::text(text.as_bytes(), words),
            Written::Word(text) => Cell::text(text, words),
            Written::Json(text @ ("true" | "false")) => Cell::text(text.as_bytes(), words),
            Written::Json(_) => Err("a list or an object is no label".to_owned()),
        }
    }

    fn text(text: &[u8], words: &mut Words) -> Told<Cell> {
        let plain = text.trim_ascii();
        let number = str::from_utf8(plain).ok().and_then(|plain| plain.parse::<f64>().ok());
        let Some(number) = number else { return Ok(Cell::Word(words.number(text)?)) };
        if !number.is_finite() {
            return Ok(Cell::Mark(words.number(text)?));
        }
        let digits = plain.strip_prefix(b"-").unwrap_or(plain);
        let whole = digits.iter().all(u8::is_ascii_digit);
        if whole && digits.len() > SURE_DIGITS {
            return Ok(Cell::Word(words.number(text)?));
        }
        let zeros = digits.len() > 1 && digits.starts_with(b"0") && !digits.starts_with(b"0.");
        match plain.len() < text.len() || zeros || digits.starts_with(b"+") {
            true => Ok(Cell::Padded(number + 0.0, words.number(text)?)),
            // Both zeros are one.
            false => Ok(Cell::Number(number + 0.0)),
        }
    }

    /// The number, if it is one.
    pub(crate) fn value(self) -> Option<f64> {
        match self {
            Cell::Number(number) | Cell::Padded(number, _) => Some(number),
            Cell::Word(_) | Cell::Mark(_) | Cell::Missing => None,
        }
    }

    /// Whether it can be nothing but a word.
    pub(crate) fn is_word(self) -> bool {
        matches!(self, Cell::Word(_))
    }

    /// What it is among words; none if there is nothing.
    pub(crate) fn key(self) -> Option<Key> {
        match self {
            Cell::Number(number) => Some(Key::Number(number.to_bits())),
            Cell::Padded(_, word) | Cell::Word(word) | Cell::Mark(word) => Some(Key::Word(word)),
            Cell::Missing => None,
        }
    }

    /// The cell, for a person.
    pub(crate) fn shown(self, words: &Words) -> String {
        match self {
            Cell::Number(number) => number.to_string(),
            Cell::Padded(_, word) | Cell::Word(word) | Cell::Mark(word) => {
                let text = words.text(word);
                let start: String = text.chars().take(SHOWN).collect();
                let more = if start.len() < text.len() { "…" } else { "" };
                format!("'{}{more}'", start.escape_debug())
            }
            Cell::Missing => "nothing".to_owned(),
        }
    }
}

/// The different words of both files.
#[derive(Default)]
pub(crate) struct Words {
    numbers: HashMap<Box<[u8]>, u32>,
    bytes: usize,
}

impl Words {
    fn number(&mut self, text: &[u8]) -> Told<u32> {
        if let Some(number) = self.numbers.get(text) {
            return Ok(*number);
        }
        self.bytes += text.len();
        if self.bytes > MAX_WORD_BYTES {
            return Err(format!("its different words have more than {} MiB", MAX_WORD_BYTES >> 20));
        }
        let number = self.numbers.len() as u32;
        self.numbers.insert(text.into(), number);
        Ok(number)
    }

    /// For messages: it goes through all of them.
    fn text(&self, number: u32) -> String {
        let found = self.numbers.iter().find(|(_, other)| **other == number);
        found.map(|(text, _)| String::from_utf8_lossy(text).into_owned()).unwrap_or_default()
    }
}
