//! Which cells of paired rows differ, and a few rows to look at.

use std::collections::{BTreeMap, HashMap};

use lab_data::Written;
use serde::Serialize;

use crate::contents::stream::Told;
use crate::contents::table::scan::{Hasher, Side, low};
use crate::contents::table::source::TableSource;
use crate::error::Result;

/// Most cells of the first table whose hashes are held: 128 MiB.
const MAX_CELLS: usize = 1 << 24;
/// Rows of each sort that are shown, cells of one row, and characters of a cell.
const EXAMPLES: usize = 4;
const EXAMPLE_CELLS: usize = 6;
const EXAMPLE_CHARS: usize = 200;

/// A row that changed, came or went.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Example {
    /// Where it stands in the first file, from 1: its line, or its row (`counted` says which).
    pub before_at: Option<u64>,
    /// Where it stands in the second.
    pub after_at: Option<u64>,
    /// The key by which the two were paired: the column and its value.
    pub key: Option<(String, String)>,
    /// Cells: those that changed, or the first ones.
    pub cells: Vec<ExampleCell>,
    /// How many cells were left out.
    pub more: u64,
}

/// A cell of an example. A missing value is none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExampleCell {
    /// Its column.
    pub column: String,
    /// What it held, shortened.
    pub before: Option<String>,
    /// What it holds.
    pub after: Option<String>,
}

/// How many cells of a column changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnCells {
    /// The column, as the second table calls it.
    pub column: String,
    /// How many of its cells differ.
    pub cells: u64,
}

/// What to look for.
pub(crate) struct Look<'a> {
    pub(crate) sides: (Side<'a>, Side<'a>),
    pub(crate) hasher: &'a Hasher,
    /// The columns that both have, by their names in each.
    pub(crate) columns: &'a [(String, String)],
    /// Pairs of rows, ascending by the first.
    pub(crate) pairs: &'a [(u32, u32)],
    /// Rows that have no partner.
    pub(crate) removed: &'a [u32],
    pub(crate) added: &'a [u32],
    /// The key's index among the columns.
    pub(crate) key: Option<usize>,
}

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Most first.
    pub(crate) columns: Vec<ColumnCells>,
    /// How many pairs were looked at.
    pub(crate) pairs: u64,
    pub(crate) changed: Vec<Example>,
    pub(crate) removed: Vec<Example>,
    pub(crate) added: Vec<Example>,
}

/// The text of one row's cells, with its line.
type Row = (u64, Vec<Option<String>>);

impl Look<'_> {
    /// Reads both tables once more.
    pub(crate) fn look(&self) -> Result<Told<Seen>> {
        let width = self.columns.len().max(1);
        let pairs = &self.pairs[..self.pairs.len().min(MAX_CELLS / width)];
        let mut hashes: Vec<u64> = Vec::with_capacity(pairs.len() * self.columns.len());
        let mut before: Vec<Row> = Vec::new();
        let mut seen = Seen { pairs: pairs.len() as u64, ..Seen::default() };
        let mut places = Places::new(self.columns.iter().map(|(name, _)| name));
        let wanted = places.wanted.clone();
        let mut next = 0;
        let read = self.sides.0.each(&|name| wanted.contains_key(name), |row, line, rows| {
            places.find(rows);
            if self.removed.iter().take(EXAMPLES).any(|one| *one as usize == row) {
                let cells = self.alone(&places.texts(rows), true);
                seen.removed.push(Example { before_at: Some(line), ..cells });
            }
            if pairs.get(next).is_some_and(|(one, _)| *one as usize == row) {
                next += 1;
                hashes.extend(places.cells(rows).map(|cell| low(self.hasher.cell(cell))));
                if before.len() < EXAMPLES {
                    before.push((line, places.texts(rows)));
                }
            }
        })?;
        if let Err(why) = read {
            return Ok(Err(why));
        }
        let mut order: Vec<u32> = (0..pairs.len() as u32).collect();
        order.sort_unstable_by_key(|pair| pairs[*pair as usize].1);
        let mut counts = vec![0_u64; self.columns.len()];
        let mut examples: BTreeMap<usize, Example> = BTreeMap::new();
        let mut places = Places::new(self.columns.iter().map(|(_, name)| name));
        let wanted = places.wanted.clone();
        let mut next = 0;
        let read = self.sides.1.each(&|name| wanted.contains_key(name), |row, line, rows| {
            places.find(rows);
            if self.added.iter().take(EXAMPLES).any(|one| *one as usize == row) {
                let cells = self.alone(&places.texts(rows), false);
                seen.added.push(Example { after_at: Some(line), ..cells });
            }
            let Some(pair) = order.get(next).map(|pair| *pair as usize) else { return };
            if pairs[pair].1 as usize != row {
                return;
            }
            next += 1;
            let were = &hashes[pair * self.columns.len()..];
            let now = places.cells(rows).map(|cell| low(self.hasher.cell(cell)));
            let differ: Vec<bool> = now.zip(were).map(|(now, was)| now != *was).collect();
            counts.iter_mut().zip(&differ).for_each(|(count, differ)| *count += u64::from(*differ));
            if let Some(then) = before.get(pair) {
                let now = (line, places.texts(rows));
                examples.insert(pair, self.both(then, &now, &differ));
            }
        })?;
        let named = self.columns.iter().zip(counts).filter(|(_, cells)| *cells > 0);
        seen.columns = named
            .map(|((_, column), cells)| ColumnCells { column: column.clone(), cells })
            .collect();
        seen.columns.sort_by_key(|column| std::cmp::Reverse(column.cells));
        seen.changed = examples.into_values().collect();
        Ok(read.map(|()| seen))
    }

    fn alone(&self, texts: &[Option<String>], before: bool) -> Example {
        let cell = |((_, column), text): (&(String, String), &Option<String>)| {
            let (text, none) = (text.clone(), None);
            let (before, after) = if before { (text, none) } else { (none, text) };
            ExampleCell { column: column.clone(), before, after }
        };
        let cells = self.columns.iter().zip(texts).take(EXAMPLE_CELLS).map(cell).collect();
        let more = self.columns.len().saturating_sub(EXAMPLE_CELLS) as u64;
        Example { before_at: None, after_at: None, key: None, cells, more }
    }

    fn both(&self, before: &Row, after: &Row, differ: &[bool]) -> Example {
        let key = self
            .key
            .and_then(|at| Some((self.columns.get(at)?.1.clone(), after.1.get(at)?.clone()?)));
        let mut changed = (0..self.columns.len()).filter(|at| differ.get(*at) == Some(&true));
        let cell = |at: usize| ExampleCell {
            column: self.columns[at].1.clone(),
            before: before.1[at].clone(),
            after: after.1[at].clone(),
        };
        let cells = changed.by_ref().take(EXAMPLE_CELLS).map(cell).collect();
        let (before_at, after_at) = (Some(before.0), Some(after.0));
        Example { before_at, after_at, key, cells, more: changed.count() as u64 }
    }
}

/// Where columns stand in a table whose columns may still come.
struct Places {
    wanted: HashMap<String, usize>,
    places: Vec<Option<usize>>,
    known: usize,
}

impl Places {
    fn new<'a>(names: impl Iterator<Item = &'a String>) -> Places {
        let wanted: HashMap<String, usize> = names.cloned().zip(0..).collect();
        Places { places: vec![None; wanted.len()], wanted, known: 0 }
    }

    fn find(&mut self, rows: &TableSource<'_>) {
        for (place, name) in rows.names().iter().enumerate().skip(self.known) {
            if let Some(column) = self.wanted.get(name) {
                self.places[*column] = Some(place);
            }
        }
        self.known = rows.names().len();
    }

    fn cells<'a>(&'a self, rows: &'a TableSource<'_>) -> impl Iterator<Item = Written<'a>> {
        self.places.iter().map(|place| place.map_or(Written::Missing, |place| rows.cell(place)))
    }

    fn texts(&self, rows: &TableSource<'_>) -> Vec<Option<String>> {
        self.cells(rows).map(text).collect()
    }
}

/// What a cell holds, shortened in the middle, so that texts that differ at their end do so here.
fn text(cell: Written<'_>) -> Option<String> {
    let text = match cell {
        Written::Missing => return None,
        Written::Number(text) | Written::Json(text) => text.into(),
        Written::Word(word) => String::from_utf8_lossy(word),
    };
    let count = text.chars().count();
    if count <= EXAMPLE_CHARS {
        return Some(text.into_owned());
    }
    let half = EXAMPLE_CHARS / 2;
    let (start, end) = (text.chars().take(half), text.chars().skip(count - half));
    Some(start.chain(['…']).chain(end).collect())
}
