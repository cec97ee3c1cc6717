//! The rows of a file, one after the other.

use lab_data::Written;

use crate::cursor::{Budget, Cursor};
use crate::error::{Fault, ParquetError, Parsed, Result, damaged};
use crate::footer::{File, Source};
use crate::nested::{Assembly, MAX_ROW};
use crate::schema::{Field, Shape};
use crate::text::{Sort, text};

/// Most bytes of the texts of all cells together: a dictionary can make a great deal of a few bytes.
const MAX_TEXT: u64 = 16 << 30;

/// The rows of a file, one after the other.
pub struct Rows<'a> {
    file: &'a File,
    names: Vec<String>,
    /// Columns whose floats are written as those of 64 bits.
    wide: Vec<bool>,
    /// Columns that are read.
    read: Vec<bool>,
    cursors: Vec<Cursor<'a>>,
    budget: Budget,
    /// The group that is read, and how many of its rows are left.
    group: usize,
    left: u64,
    row: u64,
    /// The texts of the row that was read last, and where that of each column lies.
    text: Vec<u8>,
    cells: Vec<Option<(Sort, usize, usize)>>,
    bytes: u64,
}

impl<'a> Rows<'a> {
    /// The rows of `file`, which was read from `source`. 32-bit floats are written with the fewest digits
    /// that tell them from each other; in the columns for which `wide` holds, with those that tell them
    /// from all of 64 bits.
    pub fn new(file: &'a File, source: &'a dyn Source, wide: &dyn Fn(&str) -> bool) -> Rows<'a> {
        let names: Vec<String> = file.names().map(str::to_owned).collect();
        Rows {
            file,
            wide: names.iter().map(|name| wide(name)).collect(),
            read: vec![true; names.len()],
            cells: vec![None; names.len()],
            names,
            cursors: file.schema.leaves.iter().map(|leaf| Cursor::new(source, leaf)).collect(),
            budget: Budget::default(),
            group: 0,
            left: 0,
            row: 0,
            text: Vec::new(),
            bytes: 0,
        }
    }

    /// The same rows, of which only the columns with these names are read: all other cells are missing.
    #[must_use]
    pub fn only(mut self, named: &dyn Fn(&str) -> bool) -> Rows<'a> {
        self.read = self.names.iter().map(|name| named(name)).collect();
        self
    }

    /// The names of the columns.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Reads the next row; its number, from 1, or none after the last.
    ///
    /// # Errors
    /// [`ParquetError`]: a column that is damaged, has another number of rows than its group, or an
    /// encoding or codec that is not read; a page of more than 512 MiB, a row of more than 64 MiB of
    /// text, pages of all columns together of more than 1 GiB, 16 GiB of text.
    pub fn advance(&mut self) -> Result<Option<u64>> {
        while self.left == 0 {
            let Some(group) = self.file.groups.get(self.group) else { return Ok(None) };
            for (field, _) in
                self.file.schema.fields.iter().zip(&self.read).filter(|(_, read)| **read)
            {
                for leaf in field.leaves.clone() {
                    self.cursors[leaf].open(group.chunks[leaf], &mut self.budget);
                }
            }
            (self.group, self.left) = (self.group + 1, group.rows);
            if self.left == 0 {
                self.at_end()?;
            }
        }
        self.text.clear();
        let file = self.file;
        for (at, field) in file.schema.fields.iter().enumerate() {
            if self.read[at] {
                self.cells[at] = self.cell_of(at, field).map_err(|fault| self.wrong(fault, at))?;
            }
        }
        self.bytes += self.text.len() as u64;
        if self.bytes > MAX_TEXT {
            return Err(ParquetError::TooLarge { what: "bytes of text", limit: MAX_TEXT });
        }
        self.left -= 1;
        self.row += 1;
        if self.left == 0 {
            self.at_end()?;
        }
        Ok(Some(self.row))
    }

    /// A cell of the row that was read last.
    pub fn cell(&self, column: usize) -> Written<'_> {
        let Some(Some((sort, start, end))) = self.cells.get(column) else {
            return Written::Missing;
        };
        let bytes = &self.text[*start..*end];
        match (sort, std::str::from_utf8(bytes)) {
            (Sort::Number, Ok(text)) => Written::Number(text),
            (Sort::Json, Ok(text)) => Written::Json(text),
            _ => Written::Word(bytes),
        }
    }

    fn cell_of(&mut self, at: usize, field: &Field) -> Parsed<Option<(Sort, usize, usize)>> {
        let start = self.text.len();
        let wide = self.wide[at];
        let leaf = field.leaves.start;
        let sort = if matches!(field.shape, Shape::Leaf) && field.repeated == 0 {
            let cursor = &mut self.cursors[leaf];
            let Some(levels) = cursor.peek(&mut self.budget)? else {
                return damaged("it has fewer rows than it says");
            };
            let there = levels.defined == field.defined;
            let sort = match there {
                true => {
                    let value = cursor.value()?;
                    Some(text(value, &self.file.schema.leaves[leaf], wide, &mut self.text))
                }
                false => None,
            };
            cursor.pass();
            sort
        } else {
            let mut assembly = Assembly {
                cursors: &mut self.cursors,
                leaves: &self.file.schema.leaves,
                budget: &mut self.budget,
                wide,
                out: &mut self.text,
            };
            assembly.row(field)?.then_some(Sort::Json)
        };
        if self.text.len() > MAX_ROW {
            return Err(Fault::TooLarge("bytes of a row", MAX_ROW as u64));
        }
        Ok(sort.map(|sort| (sort, start, self.text.len())))
    }

    /// Makes sure that no column of the group has anything left.
    fn at_end(&mut self) -> Result<()> {
        let fields = self.file.schema.fields.iter().enumerate();
        for (at, field) in fields.filter(|(at, _)| self.read[*at]) {
            for leaf in field.leaves.clone() {
                match self.cursors[leaf].peek(&mut self.budget) {
                    Ok(None) => {}
                    Ok(Some(_)) => {
                        let fault = Fault::Damaged("it has more rows than it says");
                        return Err(self.wrong(fault, at));
                    }
                    Err(fault) => return Err(self.wrong(fault, at)),
                }
            }
        }
        Ok(())
    }

    fn wrong(&self, fault: Fault, column: usize) -> ParquetError {
        let row = self.row + 1;
        fault.at(|| format!("column '{}', row {row}", self.names[column].escape_debug()))
    }
}
