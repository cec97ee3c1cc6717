//! Fields that hold others, put together from their columns as JSON.

use crate::cursor::{Budget, Cursor, Levels};
use crate::error::{Fault, Parsed, damaged};
use crate::schema::{Field, Leaf, Often, Shape};
use crate::text::{Sort, text};

/// Most bytes of the text of a row.
pub(crate) const MAX_ROW: usize = 64 << 20;
const APART: &str = "the columns of one field are not of the same rows";

/// What it takes to put a field together.
pub(crate) struct Assembly<'b, 'a> {
    pub(crate) cursors: &'b mut [Cursor<'a>],
    pub(crate) leaves: &'b [Leaf],
    pub(crate) budget: &'b mut Budget,
    pub(crate) wide: bool,
    pub(crate) out: &'b mut Vec<u8>,
}

impl Assembly<'_, '_> {
    /// Appends what `field` holds in the next row; false, if it holds nothing.
    pub(crate) fn row(&mut self, field: &Field) -> Parsed<bool> {
        if self.levels(field)?.is_none_or(|levels| levels.repeated != 0) {
            return damaged("a column has fewer rows than it says");
        }
        if field.often == Often::AtMostOnce && self.is_missing(field)? {
            return self.pass(field).map(|()| false);
        }
        self.present(field)?;
        for at in field.leaves.clone() {
            let next = self.cursors[at].peek(self.budget)?;
            if next.is_some_and(|levels| levels.repeated != 0) {
                return damaged(APART);
            }
        }
        Ok(true)
    }

    /// A field that is known to be there.
    fn present(&mut self, field: &Field) -> Parsed<()> {
        match field.often {
            Often::Any => self.all(field),
            _ => self.content(field),
        }
    }

    /// The levels of the next value of the first column of a field, which are those of all as far as the
    /// field goes.
    fn levels(&mut self, field: &Field) -> Parsed<Option<Levels>> {
        self.cursors[field.leaves.start].peek(self.budget)
    }

    fn is_missing(&mut self, field: &Field) -> Parsed<bool> {
        match self.levels(field)? {
            Some(levels) => Ok(levels.defined < field.defined),
            None => damaged(APART),
        }
    }

    /// Passes what is not there: one entry of each column.
    fn pass(&mut self, field: &Field) -> Parsed<()> {
        let first = self.levels(field)?;
        for at in field.leaves.clone() {
            if self.cursors[at].peek(self.budget)? != first {
                return damaged(APART);
            }
            self.cursors[at].pass();
        }
        Ok(())
    }

    fn field(&mut self, field: &Field) -> Parsed<()> {
        if field.often == Often::AtMostOnce && self.is_missing(field)? {
            self.put(b"null")?;
            return self.pass(field);
        }
        self.present(field)
    }

    /// A field that is repeated.
    fn all(&mut self, field: &Field) -> Parsed<()> {
        let pairs = matches!(field.shape, Shape::Pairs(_));
        self.put(if pairs { b"{" } else { b"[" })?;
        if self.is_missing(field)? {
            self.pass(field)?;
        } else {
            loop {
                self.content(field)?;
                let levels = self.levels(field)?;
                let more = levels.filter(|levels| levels.repeated >= field.repeated);
                for at in field.leaves.clone() {
                    let other = self.cursors[at].peek(self.budget)?;
                    let again = other.filter(|levels| levels.repeated >= field.repeated);
                    if again.map(|levels| levels.repeated) != more.map(|levels| levels.repeated) {
                        return damaged(APART);
                    }
                }
                match more {
                    Some(levels) if levels.repeated == field.repeated => self.put(b",")?,
                    Some(_) => return damaged("an element belongs to no list"),
                    None => break,
                }
            }
        }
        self.put(if pairs { b"}" } else { b"]" })
    }

    /// What a field that is there holds.
    fn content(&mut self, field: &Field) -> Parsed<()> {
        match &field.shape {
            Shape::Leaf => self.leaf(field),
            Shape::Around(inner) => self.field(inner),
            Shape::Struct(fields) => {
                for (at, inner) in fields.iter().enumerate() {
                    self.put(if at == 0 { b"{" } else { b"," })?;
                    self.string(&inner.name)?;
                    self.put(b":")?;
                    self.field(inner)?;
                }
                self.put(b"}")
            }
            Shape::Pairs(pair) => {
                let (key, value) = &**pair;
                let start = self.out.len();
                self.field(key)?;
                // In JSON a key is a text.
                if self.out.get(start) != Some(&b'"') {
                    let key = String::from_utf8_lossy(&self.out[start..]).into_owned();
                    self.out.truncate(start);
                    self.string(&key)?;
                }
                self.put(b":")?;
                self.field(value)
            }
        }
    }

    fn leaf(&mut self, field: &Field) -> Parsed<()> {
        let at = field.leaves.start;
        if self.is_missing(field)? {
            return damaged(APART);
        }
        let start = self.out.len();
        let value = self.cursors[at].value()?;
        let sort = text(value, &self.leaves[at], self.wide, self.out);
        self.cursors[at].pass();
        if sort == Sort::Word {
            let word = self.out.split_off(start);
            match std::str::from_utf8(&word) {
                Ok(word) => self.string(word)?,
                Err(_) => {
                    self.put(b"\"0x")?;
                    for byte in word {
                        let hex = |digit: u8| char::from_digit(digit.into(), 16).unwrap_or('0');
                        self.put(&[hex(byte >> 4) as u8, hex(byte & 15) as u8])?;
                    }
                    self.put(b"\"")?;
                }
            }
        }
        self.put(b"")
    }

    fn string(&mut self, text: &str) -> Parsed<()> {
        if serde_json::to_writer(&mut *self.out, text).is_err() {
            return damaged("a text cannot be written as JSON");
        }
        self.put(b"")
    }

    fn put(&mut self, bytes: &[u8]) -> Parsed<()> {
        self.out.extend_from_slice(bytes);
        match self.out.len() {
            ..=MAX_ROW => Ok(()),
            _ => Err(Fault::TooLarge("bytes of a row", MAX_ROW as u64)),
        }
    }
}
