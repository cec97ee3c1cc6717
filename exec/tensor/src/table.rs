//! Tables: CSV, plain or gzipped (told by content), read as a stream into numbers and labels.
//!
//! Refuses what would become a silent change of the data: ragged rows, text in a column of
//! numbers, missing values unless the program says what to do with them, numbers that are not
//! finite. Errors name the line and the column.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::rc::Rc;

use lab_schema::{Slot, Value};

use crate::error::{Result, TensorError};

const MAX_COLUMNS: u64 = 1 << 16;
const MAX_ROWS: u64 = 1 << 26;
const MAX_CELLS: u64 = 1 << 27;
const MAX_ROW_BYTES: u64 = 16 << 20;
const MAX_CLASSES: usize = 1 << 16;
const MAX_LABEL_CHARS: usize = 256;

/// What stands for a value that is not known.
const MISSING: [&str; 8] = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "?"];

/// How a table is to be read.
pub(crate) struct Form<'a> {
    pub(crate) header: bool,
    pub(crate) label: &'a Value,
    pub(crate) ignore: &'a [Value],
    pub(crate) missing: Missing,
}

/// What to do with a row that lacks a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Refuse,
    Drop,
    /// Keep it, with NaN for the value.
    Mark,
}

/// A table of numbers with a label in each row.
#[derive(Debug)]
pub(crate) struct Table {
    /// Names of the columns of numbers; their indices, from 0, without a header.
    pub(crate) columns: Vec<String>,
    pub(crate) label_column: String,
    /// Row after row.
    pub(crate) values: Vec<f64>,
    /// Index into `classes`, per row.
    pub(crate) labels: Vec<u32>,
    /// For each row its index in the file, from 0, the header not counted.
    pub(crate) origins: Vec<u64>,
    /// Distinct labels: by value if all are integers, else by bytes.
    pub(crate) classes: Vec<String>,
    /// Rows left out because a value is missing.
    pub(crate) dropped: u64,
}

impl Table {
    /// Reads the table in `source`, which is the input `slot`.
    pub(crate) fn read(slot: &Slot, mut source: impl Read, form: &Form<'_>) -> Result<Table> {
        let read_error = |source| TensorError::Read { slot: slot.clone(), source };
        let mut magic = Vec::new();
        source.by_ref().take(2).read_to_end(&mut magic).map_err(read_error)?;
        let gzipped = magic == [0x1f, 0x8b];
        let source = Cursor::new(magic).chain(source);
        let plain: Box<dyn Read + '_> = match gzipped {
            true => Box::new(flate2::read::MultiGzDecoder::new(source)),
            false => Box::new(source),
        };
        let since_row = Rc::new(Cell::new(0));
        let metered = Metered { source: plain, since_row: since_row.clone() };
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).trim(csv::Trim::All).from_reader(metered);
        let mut builder: Option<Builder> = None;
        let mut record = csv::ByteRecord::new();
        while reader.read_byte_record(&mut record).map_err(|e| csv_error(slot, e))? {
            since_row.set(0);
            match &mut builder {
                Some(builder) => builder.row(&record, form.missing)?,
                None => {
                    let mut first = Builder::new(&record, form)?;
                    if !form.header {
                        first.row(&record, form.missing)?;
                    }
                    builder = Some(first);
                }
            }
        }
        let builder =
            builder.ok_or_else(|| TensorError::TooFewRows("the table is empty".into()))?;
        Ok(builder.finish())
    }
}

/// Stops a row that never ends, such as a decompression bomb.
struct Metered<R> {
    source: R,
    since_row: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(buffer)?;
        self.since_row.set(self.since_row.get() + n as u64);
        if self.since_row.get() > MAX_ROW_BYTES {
            let limit = format!("a row of the table is longer than {MAX_ROW_BYTES} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, limit));
        }
        Ok(n)
    }
}

fn csv_error(slot: &Slot, error: csv::Error) -> TensorError {
    match error.into_kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => TensorError::Ragged {
            line: pos.map_or(0, |p| p.line()),
            expected: expected_len,
            found: len,
        },
        csv::ErrorKind::Io(source) => TensorError::Read { slot: slot.clone(), source },
        other => TensorError::Read {
            slot: slot.clone(),
            source: io::Error::new(io::ErrorKind::InvalidData, format!("{other:?}")),
        },
    }
}

struct Builder {
    names: Vec<String>,
    label: usize,
    /// Columns of numbers.
    kept: Vec<usize>,
    classes: BTreeMap<String, u32>,
    rows_read: u64,
    values: Vec<f64>,
    labels: Vec<u32>,
    origins: Vec<u64>,
    dropped: u64,
}

impl Builder {
    fn new(first: &csv::ByteRecord, form: &Form<'_>) -> Result<Builder> {
        if first.len() as u64 > MAX_COLUMNS {
            return Err(TensorError::TooLarge { what: "columns of the table", limit: MAX_COLUMNS });
        }
        let names: Vec<String> = match form.header {
            true => first.iter().map(|n| String::from_utf8_lossy(n).into_owned()).collect(),
            false => (0..first.len()).map(|i| i.to_string()).collect(),
        };
        let column = |key, value| find_column(key, value, &names, form.header);
        let label = column("prepare.label", form.label)?;
        let ignored = form.ignore.iter().map(|value| column("prepare.ignore", value));
        let ignored = ignored.collect::<Result<Vec<usize>>>()?;
        let kept: Vec<usize> =
            (0..names.len()).filter(|i| *i != label && !ignored.contains(i)).collect();
        if kept.is_empty() {
            let column = "all that is left".to_owned();
            return Err(TensorError::NoColumn { key: "prepare.label", column, names });
        }
        Ok(Builder {
            names,
            label,
            kept,
            classes: BTreeMap::new(),
            rows_read: 0,
            values: Vec::new(),
            labels: Vec::new(),
            origins: Vec::new(),
            dropped: 0,
        })
    }

    fn row(&mut self, record: &csv::ByteRecord, missing: Missing) -> Result<()> {
        let origin = self.rows_read;
        self.rows_read += 1;
        if self.rows_read > MAX_ROWS {
            return Err(TensorError::TooLarge { what: "rows of the table", limit: MAX_ROWS });
        }
        if (self.values.len() + self.kept.len()) as u64 > MAX_CELLS {
            return Err(TensorError::TooLarge { what: "cells of the table", limit: MAX_CELLS });
        }
        let start = self.values.len();
        for n in 0..self.kept.len() {
            let index = self.kept[n];
            match self.number(record, index)? {
                Some(value) => self.values.push(value),
                None if missing == Missing::Mark => self.values.push(f64::NAN),
                None if missing == Missing::Drop => return self.drop_row(start),
                None => return Err(self.cell(record, index, "missing (see prepare.missing)")),
            }
        }
        let Ok(label) = str::from_utf8(&record[self.label]) else {
            return Err(self.cell(record, self.label, "not UTF-8"));
        };
        if MISSING.contains(&label) {
            if missing == Missing::Drop {
                return self.drop_row(start);
            }
            return Err(self.cell(record, self.label, "no label"));
        }
        if label.chars().count() > MAX_LABEL_CHARS {
            return Err(self.cell(record, self.label, "too long for a label"));
        }
        let next = self.classes.len() as u32;
        let label = *self.classes.entry(label.to_owned()).or_insert(next);
        if self.classes.len() > MAX_CLASSES {
            let limit = MAX_CLASSES as u64;
            return Err(TensorError::TooLarge { what: "distinct labels", limit });
        }
        self.labels.push(label);
        self.origins.push(origin);
        Ok(())
    }

    fn drop_row(&mut self, start: usize) -> Result<()> {
        self.values.truncate(start);
        self.dropped += 1;
        Ok(())
    }

    fn number(&self, record: &csv::ByteRecord, index: usize) -> Result<Option<f64>> {
        let text =
            str::from_utf8(&record[index]).map_err(|_| self.cell(record, index, "not UTF-8"))?;
        if MISSING.contains(&text) {
            return Ok(None);
        }
        let value: f64 = text.parse().map_err(|_| self.cell(record, index, "not a number"))?;
        match value.is_finite() && (value as f32).is_finite() {
            true => Ok(Some(value)),
            false => Err(self.cell(record, index, "not finite")),
        }
    }

    fn cell(&self, record: &csv::ByteRecord, index: usize, why: &'static str) -> TensorError {
        TensorError::Cell {
            line: record.position().map_or(0, csv::Position::line),
            column: self.names[index].clone(),
            text: String::from_utf8_lossy(&record[index]).chars().take(40).collect(),
            why,
        }
    }

    fn finish(self) -> Table {
        let mut classes: Vec<(String, u32)> = self.classes.into_iter().collect();
        if let Some(mut numbers) = integers(&classes) {
            numbers.sort();
            classes = numbers.into_iter().map(|(_, class)| class).collect();
        }
        let mut place = vec![0; classes.len()];
        for (to, (_, from)) in classes.iter().enumerate() {
            place[*from as usize] = to as u32;
        }
        Table {
            columns: self.kept.iter().map(|i| self.names[*i].clone()).collect(),
            label_column: self.names[self.label].clone(),
            values: self.values,
            labels: self.labels.into_iter().map(|label| place[label as usize]).collect(),
            origins: self.origins,
            classes: classes.into_iter().map(|(name, _)| name).collect(),
            dropped: self.dropped,
        }
    }
}

fn integers(classes: &[(String, u32)]) -> Option<Vec<(i64, (String, u32))>> {
    classes.iter().map(|class| Some((class.0.parse().ok()?, class.clone()))).collect()
}

/// By name, which needs a header, or by index; negative ones count from the end.
fn find_column(key: &'static str, value: &Value, names: &[String], header: bool) -> Result<usize> {
    let found = match value {
        Value::Int(index) if *index < 0 => names.len().checked_sub(index.unsigned_abs() as usize),
        Value::Int(index) => Some(*index as usize).filter(|i| *i < names.len()),
        Value::Text(name) if header => names.iter().position(|n| n == name),
        _ => None,
    };
    let column = value.to_string();
    found.ok_or_else(|| TensorError::NoColumn { key, column, names: names.to_vec() })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn read(bytes: &[u8], label: Value, missing: Missing) -> Result<Table> {
        let header = matches!(label, Value::Text(_));
        let form = Form { header, label: &label, ignore: &[], missing };
        Table::read(&Slot::new("table").unwrap(), bytes, &form)
    }

    fn error(text: &str) -> String {
        read(text.as_bytes(), Value::Int(-1), Missing::Refuse).unwrap_err().to_string()
    }

    #[test]
    fn a_table_is_the_same_plain_and_gzipped() {
        let text = b"a,b,kind\n1,2.5,10\n -3 ,4e2,9\n";
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(text).unwrap();
        for bytes in [text.to_vec(), gz.finish().unwrap()] {
            let table = read(&bytes, Value::Text("kind".into()), Missing::Refuse).unwrap();
            assert_eq!(table.columns, ["a", "b"]);
            assert_eq!(table.values, [1.0, 2.5, -3.0, 400.0]);
            // Integers are classes in their own order, not in that of their digits.
            assert_eq!((table.classes, table.labels), (vec!["9".into(), "10".into()], vec![1, 0]));
        }
    }

    #[test]
    fn bad_cells_are_named() {
        assert_eq!(
            error("1,x\n2,y,3\n"),
            "line 2 of the table has 3 fields, the lines before it 2"
        );
        assert_eq!(
            error("1,2,x\n1,two,y\n"),
            "line 2 of the table, column 1: 'two' is not a number"
        );
        assert_eq!(
            error("1,2,x\n1,,y\n"),
            "line 2 of the table, column 1: '' is missing (see prepare.missing)"
        );
        assert_eq!(error("1,inf,x\n"), "line 1 of the table, column 1: 'inf' is not finite");
        assert_eq!(error("1,1e39,x\n"), "line 1 of the table, column 1: '1e39' is not finite");
        assert_eq!(error("1,2,NA\n"), "line 1 of the table, column 2: 'NA' is no label");
        assert_eq!(error(""), "too few rows: the table is empty");
        let too_far = read(b"1,2\n", Value::Int(-3), Missing::Refuse).unwrap_err();
        assert_eq!(too_far.to_string(), "prepare.label is -3, but the table has the columns 0, 1");
        assert!(read(b"\x1f\x8bnot gzip", Value::Int(0), Missing::Refuse).is_err());
        assert!(read(b"\xff\xfe,1\n", Value::Int(1), Missing::Refuse).is_err());
    }

    #[test]
    fn missing_values_are_dropped_or_marked() {
        let text = b"1,NA,x\n2,3,y\n4,5,x\n";
        let dropped = read(text, Value::Int(-1), Missing::Drop).unwrap();
        assert_eq!((dropped.dropped, dropped.origins.as_slice()), (1, &[1, 2][..]));
        assert_eq!(dropped.values, [2.0, 3.0, 4.0, 5.0]);
        let marked = read(text, Value::Int(-1), Missing::Mark).unwrap();
        assert!(marked.values[1].is_nan() && marked.labels.len() == 3);
    }

    #[test]
    fn a_row_without_end_is_stopped() {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gz.write_all(&vec![b'1'; 40 << 20]).unwrap();
        let error = read(&gz.finish().unwrap(), Value::Int(-1), Missing::Refuse).unwrap_err();
        let TensorError::Read { source, .. } = error else { panic!("{error}") };
        assert!(source.to_string().contains("longer than"), "{source}");
    }
}
