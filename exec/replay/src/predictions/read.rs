//! One file of predictions, read into what is compared: a table, or columns of arrays.

use lab_data::{CsvForm, DataError, TableForm, TableRows, Values};

use super::cells::{Cell, Words};
use super::columns::{Columns, Guess, guess, id, shown};
use super::pair::Side;
use crate::compare::source::Source;
use crate::contents::stream::{Failed, Stream, Told, parsed, plain};
use crate::error::Result;

/// Most bytes of an array, once it is plain.
const MAX_ARRAY_BYTES: u64 = 256 << 20;
/// Most names of columns that a message lists.
const LISTED: usize = 20;

/// How a table is written, and which of its columns count.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    form: TableForm,
    /// Whether blanks around fields count.
    exact: bool,
    pub(crate) columns: Columns,
}

/// Why a table has no columns of predictions and labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lacks {
    /// Nothing in it is called so.
    Names(String),
    /// It cannot be read, or two columns could be meant.
    Clear(String),
}

/// The columns that count: those that are asked for, a prediction and a label, or those with known names.
pub(crate) fn plan(
    source: &dyn Source,
    form: TableForm,
    asked: Option<(&str, &str)>,
) -> Result<std::result::Result<Plan, Lacks>> {
    let named = match form {
        TableForm::Csv(csv) => TableForm::Csv(CsvForm { header: true, ..csv }),
        TableForm::Jsonl => TableForm::Jsonl,
    };
    let names = match names(source, named)? {
        Ok(names) => names,
        // A row of numbers names no columns, and may have one twice.
        Err(why) if asked.is_none() => return Ok(Err(Lacks::Clear(why))),
        Err(_) => Vec::new(),
    };
    // Whoever sets blanks after commas sets them in the first row too.
    let exact = !names.iter().skip(1).any(|name| name.starts_with([' ', '\t']));
    let plan = |form, columns| Plan { form, exact, columns };
    let Some(asked) = asked else {
        return Ok(match guess(&names) {
            Guess::Clear(columns) => Ok(plan(named, columns)),
            Guess::Unclear(why) => Err(Lacks::Clear(why)),
            Guess::Nothing => Err(Lacks::Names(listed(&names))),
        });
    };
    if let Some(columns) = found(&names, asked) {
        return Ok(Ok(plan(named, columns)));
    }
    if let TableForm::Csv(CsvForm { header: false, .. }) = form {
        let indices = match self::names(source, form)? {
            Ok(indices) => indices,
            Err(why) => return Ok(Err(Lacks::Clear(why))),
        };
        return Ok(match found(&indices, asked) {
            Some(columns) => Ok(Plan { form, exact, columns: Columns { id: None, ..columns } }),
            None => {
                let many = indices.len();
                Err(Lacks::Names(format!("its columns have no names: 0 to {} are meant", many - 1)))
            }
        });
    }
    Ok(Err(Lacks::Names(listed(&names))))
}

/// The columns of these names, if all are there.
fn found(names: &[String], (prediction, label): (&str, &str)) -> Option<Columns> {
    let find = |asked: &str| names.iter().find(|name| name.trim() == asked.trim()).cloned();
    Some(Columns { prediction: find(prediction)?, label: find(label)?, id: id(names) })
}

fn listed(names: &[String]) -> String {
    let first: Vec<String> = names.iter().take(LISTED).map(|name| shown(name)).collect();
    let more = names.len() - first.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("its columns are {}{more}", first.join(", "))
}

/// The names of all columns; of JSON lines those of the first object.
fn names(source: &dyn Source, form: TableForm) -> Result<Told<Vec<String>>> {
    let failed = Failed::default();
    let names = parsed(&failed, || {
        let mut rows = TableRows::exact(Stream::new(source, &failed), form)?;
        if form == TableForm::Jsonl {
            rows.advance()?;
        }
        Ok(rows.names().to_vec())
    })?;
    Ok(names.map_err(said))
}

/// Reads the columns that count, of at most so many examples.
pub(crate) fn table(
    source: &dyn Source,
    plan: &Plan,
    most: usize,
    words: &mut Words,
) -> Result<Told<Side>> {
    let failed = Failed::default();
    parsed(&failed, || {
        let stream = Stream::new(source, &failed);
        let open = if plan.exact { TableRows::exact } else { TableRows::new };
        let mut rows = open(stream, plan.form).map_err(said)?;
        let columns = &plan.columns;
        let mut side = Side { ids: columns.id.as_ref().map(|_| Vec::new()), ..Side::default() };
        // Columns of JSON lines may come late.
        let (mut label, mut prediction, mut id) = (None, None, None);
        while let Some(line) = rows.advance().map_err(said)? {
            if side.labels.len() == most {
                return Err(too_many(most));
            }
            let mut read = |place: &mut Option<usize>, name: &str| {
                if place.is_none() {
                    // Names of which the blanks count no more.
                    *place = rows.names().iter().position(|other| other.trim() == name.trim());
                }
                let cell = place.map_or(Ok(Cell::Missing), |at| Cell::read(&rows, at, words));
                cell.map_err(|why| format!("line {line}, column {}: {why}", shown(name)))
            };
            side.labels.push(read(&mut label, &columns.label)?);
            side.predictions.push(read(&mut prediction, &columns.prediction)?);
            if let (Some(ids), Some(name)) = (&mut side.ids, &columns.id) {
                ids.push(read(&mut id, name)?);
            }
        }
        Ok(side)
    })
}

fn too_many(most: usize) -> String {
    format!("it holds more than {most} examples, which is the limit")
}

fn said(error: DataError) -> String {
    match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Numbers of an npy file, in rows of equal length.
pub(crate) struct Grid {
    pub(crate) width: usize,
    values: Values,
}

/// Reads an npy file of one or two dimensions.
pub(crate) fn grid(source: &dyn Source) -> Result<Told<Grid>> {
    let bytes = match plain(source, MAX_ARRAY_BYTES)? {
        Ok(bytes) => bytes,
        Err(why) => return Ok(Err(why)),
    };
    Ok(lab_data::npy(&bytes).map_err(said).and_then(|array| {
        let width = match array.shape[..] {
            [_] => 1,
            [_, width] if width > 0 => width,
            _ => return Err(format!("its shape {:?} is not that of columns", array.shape)),
        };
        Ok(Grid { width, values: array.values })
    }))
}

impl Grid {
    /// A column, of at most so many rows.
    pub(crate) fn column(&self, at: usize, most: usize, words: &mut Words) -> Told<Vec<Cell>> {
        let rows = self.values.len() / self.width;
        if rows > most {
            return Err(too_many(most));
        }
        let at = |row: usize| row * self.width + at;
        let cell = |row: usize| match &self.values {
            Values::U8(values) => Cell::of(f64::from(values[at(row)]), words),
            Values::I32(values) => Cell::of(f64::from(values[at(row)]), words),
            Values::I64(values) => Cell::whole(values[at(row)], words),
            Values::F32(values) => Cell::of(f64::from(values[at(row)]), words),
            Values::F64(values) => Cell::of(values[at(row)], words),
        };
        (0..rows).map(cell).collect()
    }
}
