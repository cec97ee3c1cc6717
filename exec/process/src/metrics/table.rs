//! A table with a header: `metrics.csv`.
//!
//! One row gives its values; of several, as a training loop writes one for each epoch, each
//! column gives its last value, since loops leave cells empty that a row does not concern. A
//! column with text in it is no metric. A table of two columns that are called `metric` (or
//! `name`, or `key`) and `value` gives one metric a row.
//!
//! Cells are parted by commas and may stand in quotes; a cell with a line break is not read.

use std::io::{Read, Seek};

use super::lines::{Lines, only_the_end};
use super::numbers::Numbers;

/// Most columns.
const MAX_COLUMNS: usize = 4096;

/// What the first column of a table of names and values is called.
const NAMES: [&str; 3] = ["metric", "name", "key"];

/// What a cell is worth.
enum Cell {
    Empty,
    Number(f64),
    Text,
}

/// What is known of a column.
#[derive(Clone, Default)]
struct Column {
    finite: Option<f64>,
    /// Whether the last number was not finite.
    lapsed: bool,
    has_text: bool,
}

/// Reads the table: its header, and its last `limit` bytes.
pub(super) fn read(
    input: impl Read + Seek,
    limit: u64,
    numbers: &mut Numbers,
) -> Result<(), String> {
    let mut lines = Lines::new(input);
    let Some(line) = lines.next().map_err(|e| e.to_string())? else { return Ok(()) };
    let text = std::str::from_utf8(line.bytes).ok().filter(|_| !line.too_long);
    let header = text.and_then(|text| cells(text.trim_start_matches('\u{feff}')));
    let header = header.ok_or("its first line is not the header of a table")?;
    if header.len() > MAX_COLUMNS {
        return Err(format!("it has more than {MAX_COLUMNS} columns"));
    }
    if lines.keep_end(limit).map_err(|e| e.to_string())? {
        numbers.complain(|| only_the_end(limit));
    }
    let is = |at: usize, words: &[&str]| words.iter().any(|w| header[at].eq_ignore_ascii_case(w));
    let by_name = header.len() == 2 && is(0, &NAMES) && is(1, &["value"]);
    let mut columns = vec![Column::default(); header.len()];
    while let Some(line) = lines.next().map_err(|e| e.to_string())? {
        let text = String::from_utf8_lossy(line.bytes);
        match cells(&text).filter(|_| !line.too_long) {
            None => numbers.complain(|| line.left_out("it is too long, or a quote is not closed")),
            Some(row) if row.len() != header.len() => {
                numbers.complain(|| line.left_out("it has not as many cells as the header"));
            }
            Some(row) if by_name => {
                if let Cell::Number(number) = worth(&row[1]) {
                    numbers.set(&row[0], number);
                }
            }
            Some(row) => row.iter().zip(&mut columns).for_each(|(cell, column)| column.take(cell)),
        }
    }
    // A column without a name is the index that some libraries write.
    for (name, column) in header.iter().zip(columns).filter(|(name, _)| !name.is_empty()) {
        if let Some(number) = column.finite.filter(|_| !column.has_text) {
            numbers.set(name, number);
            if column.lapsed {
                numbers.set(name, f64::NAN);
            }
        }
    }
    Ok(())
}

impl Column {
    fn take(&mut self, cell: &str) {
        match worth(cell) {
            Cell::Empty => {}
            Cell::Text => self.has_text = true,
            Cell::Number(number) => {
                self.lapsed = !number.is_finite();
                if !self.lapsed {
                    self.finite = Some(number);
                }
            }
        }
    }
}

fn worth(cell: &str) -> Cell {
    match cell.parse() {
        _ if cell.is_empty() => Cell::Empty,
        Ok(number) => Cell::Number(number),
        Err(_) => Cell::Text,
    }
}

/// The cells of a line, without the spaces around them; none if a quote is not closed.
fn cells(line: &str) -> Option<Vec<String>> {
    let mut cells = Vec::new();
    let mut rest = line;
    loop {
        let start = rest.trim_start();
        let (cell, after) = match start.strip_prefix('"') {
            Some(inside) => quoted(inside)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].trim().to_owned(), &rest[end..])
            }
        };
        cells.push(cell);
        match after.strip_prefix(',') {
            Some(after) => rest = after,
            None => return Some(cells),
        }
    }
}

/// The text up to the closing quote, and what follows from the next comma on.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut cell = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"')?;
        cell.push_str(part);
        match after.strip_prefix('"') {
            // Two quotes stand for one.
            Some(after) => {
                cell.push('"');
                rest = after;
            }
            None => {
                let end = after.find(',').unwrap_or(after.len());
                return after[..end].trim().is_empty().then(|| (cell, &after[end..]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    type Metrics = Vec<(String, f64)>;

    fn parse(text: &[u8]) -> Result<(Metrics, Vec<String>), String> {
        let mut numbers = Numbers::default();
        read(Cursor::new(text), 1 << 20, &mut numbers)?;
        let (metrics, said) = numbers.finish();
        Ok((metrics.into_iter().map(|(k, n)| (k, n.get())).collect(), said))
    }

    fn metrics(text: &str) -> Vec<(String, f64)> {
        let (metrics, said) = parse(text.as_bytes()).unwrap();
        assert!(said.is_empty(), "{said:?}");
        metrics
    }

    fn owned(pairs: &[(&str, f64)]) -> Vec<(String, f64)> {
        pairs.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect()
    }

    #[test]
    fn one_row_gives_its_values() {
        let text = "\u{feff}acc, \"loss, \"\"mean\"\"\" ,model,n\r\n0.5,1e-3,7b,3\r\n";
        assert_eq!(metrics(text), owned(&[("acc", 0.5), ("loss, \"mean\"", 1e-3), ("n", 3.0)]));
        assert_eq!(metrics("a\n1"), owned(&[("a", 1.0)]));
        for nothing in ["", "\n", "a,b\n", "a,b"] {
            assert!(metrics(nothing).is_empty(), "{nothing:?}");
        }
    }

    #[test]
    fn of_several_rows_the_last_value_of_each_column_counts() {
        let text = ",epoch,train,val,tag\n0,0,0.9,,1\n1,1,0.5,0.7,x\n2,2,0.4,,3\n";
        assert_eq!(metrics(text), owned(&[("epoch", 2.0), ("train", 0.4), ("val", 0.7)]));
        let (metrics, said) = parse(b"a,b\n1,1\nnan,2\n").unwrap();
        assert_eq!(metrics, owned(&[("a", 1.0), ("b", 2.0)]));
        assert_eq!(said, ["the last value of 'a' is not finite: the last finite one is kept"]);
    }

    #[test]
    fn names_and_values() {
        let text = "Metric,Value\nacc,0.5\nmodel,7b\nf1,inf\nloss,2\nacc,0.75\n";
        assert_eq!(parse(text.as_bytes()).unwrap().0, owned(&[("acc", 0.75), ("loss", 2.0)]));
        // Other tables have columns like any.
        assert_eq!(metrics("name,value,n\nx,1,2\n"), owned(&[("n", 2.0), ("value", 1.0)]));
        assert_eq!(
            metrics("step,value\n1,0.5\n2,0.25\n"),
            owned(&[("step", 2.0), ("value", 0.25)])
        );
    }

    #[test]
    fn rows_that_do_not_fit_are_named() {
        let (metrics, said) = parse(b"a,b\n1,2\n3\n4,5,6\n7,\"8\n").unwrap();
        assert_eq!(metrics, owned(&[("a", 1.0), ("b", 2.0)]));
        let why = "line 3 was left out: it has not as many cells as the header (and 2 more)";
        assert_eq!(said, [why]);
        let (metrics, said) = parse(b"a,b\n1,2\n3").unwrap();
        assert_eq!((metrics.len(), &said[..]), (2, &["its last line is cut off".to_owned()][..]));
    }

    #[test]
    fn hostile_tables_are_errors_not_panics() {
        let commas = vec![b','; 1 << 19];
        for bad in [&b"\xff\xfe,\n"[..], b"\"a", b"\"a\"b,c\n", &commas, &[b'x'; 2 << 20]] {
            assert!(parse(bad).is_err());
        }
        let (metrics, said) = parse(b"a,\0\n1,2\n\xff,\"\"\"\n\0,\0\n").unwrap();
        assert_eq!(metrics, []);
        assert_eq!(said.len(), 1);
        let long = format!("a,{}\n1,2\n", "k".repeat(201));
        assert_eq!(parse(long.as_bytes()).unwrap().0, owned(&[("a", 1.0)]));
        let mut numbers = Numbers::default();
        let long = format!("a,b\n{}9,8\n", "1,2\n".repeat(100));
        read(Cursor::new(long), 40, &mut numbers).unwrap();
        let (metrics, said) = numbers.finish();
        assert_eq!(metrics.values().map(|n| n.get()).collect::<Vec<_>>(), [9.0, 8.0]);
        assert_eq!(said, ["only its last 0 MiB were read"]);
    }
}
