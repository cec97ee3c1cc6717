//! Two text files: the first line and column that differ.
//!
//! Lines are split into fields at commas, tabs, blanks and the punctuation around numbers in logs,
//! so that a declared tolerance reaches the numbers of a CSV or log file: two lines are close if
//! they differ in nothing but numbers, each within the tolerance. Read line by line; a file with a
//! line of more than a mebibyte is not text for this purpose.

use lab_schema::Tolerance;

use crate::compare::bytes::END;
use crate::compare::found::{Found, Tally, allows};
use crate::compare::json::ulps;
use crate::compare::source::{Source, Window};
use crate::error::Result;

/// Bytes looked at to tell text from anything else.
const PROBE_BYTES: u64 = 8 << 10;

/// Longest line, without its end.
const MAX_LINE_BYTES: usize = 1 << 20;

/// Whether a file starts like text: UTF-8 without NUL. An empty file does.
pub(crate) fn is_text(source: &dyn Source) -> Result<bool> {
    let start = source.read(0, source.len().min(PROBE_BYTES))?;
    let valid = match std::str::from_utf8(&start) {
        Ok(_) => true,
        // A character may be cut off at the end of what was looked at.
        Err(e) => e.error_len().is_none() && source.len() > PROBE_BYTES,
    };
    Ok(valid && !start.contains(&0))
}

/// What a comparison of lines gave.
pub(crate) enum Lines {
    /// The difference to report, if any line differs.
    Compared(Option<Found>),
    /// A line is too long; compare bytes instead.
    TooLong,
}

/// Compares line by line.
pub(crate) fn compare(
    expected: &dyn Source,
    actual: &dyn Source,
    tolerance: Option<Tolerance>,
) -> Result<Lines> {
    let (mut a, mut b) = (Reader::new(expected), Reader::new(actual));
    let mut tally = Tally::default();
    for number in 1_u64.. {
        let (x, y) = (a.next()?, b.next()?);
        let (x, y) = match (x, y) {
            (Next::TooLong, _) | (_, Next::TooLong) => return Ok(Lines::TooLong),
            (Next::End, Next::End) => break,
            (Next::Line(x), Next::Line(y)) => (Some(x), Some(y)),
            (Next::Line(x), Next::End) => (Some(x), None),
            (Next::End, Next::Line(y)) => (None, Some(y)),
        };
        tally.count(1, u64::from(x != y));
        match (x, y) {
            (Some(x), Some(y)) if x == y => {}
            (Some(x), Some(y)) => line(&mut tally, number, &x, &y, tolerance),
            (x, y) => {
                let show = |l: Option<String>| l.unwrap_or_else(|| END.to_owned());
                tally.offer(false, || Found::new(format!("line {number}"), &show(x), &show(y)));
            }
        }
    }
    Ok(Lines::Compared(tally.finish()))
}

/// Offers what differs between two lines.
fn line(tally: &mut Tally, number: u64, x: &str, y: &str, tolerance: Option<Tolerance>) {
    let place = |column: usize| format!("line {number}, column {column}");
    let (a, b): (Vec<&str>, Vec<&str>) = (fields(x).collect(), fields(y).collect());
    let same_form =
        a.len() == b.len() && a.iter().zip(&b).all(|(p, q)| p == q || !(mark(p) || mark(q)));
    if !same_form {
        let common = x.chars().zip(y.chars()).take_while(|(p, q)| p == q).count();
        let rest = |l: &str| match l.chars().skip(common).collect::<String>() {
            rest if rest.is_empty() => "end of line".to_owned(),
            rest => rest,
        };
        return tally.offer(false, || Found::new(place(common + 1), &rest(x), &rest(y)));
    }
    let mut column = 1;
    for (p, q) in a.into_iter().zip(b) {
        if p != q {
            let numbers = number_in(p).zip(number_in(q));
            let tolerated = numbers.is_some_and(|(p, q)| allows(tolerance, p, q));
            tally.offer(tolerated, || Found {
                ulps: numbers.and_then(|(p, q)| ulps(p, q)).filter(|_| p.contains(['.', 'e'])),
                ..Found::new(place(column), p, q)
            });
        }
        column += p.chars().count();
    }
}

/// Splits a line into fields and the single marks between them.
fn fields(line: &str) -> impl Iterator<Item = &str> {
    line.split_inclusive(is_mark).flat_map(|piece| {
        let end = piece.char_indices().last().filter(|(_, c)| is_mark(*c)).map(|(i, _)| i);
        let (field, mark) = piece.split_at(end.unwrap_or(piece.len()));
        [field, mark].into_iter().filter(|part| !part.is_empty())
    })
}

fn is_mark(c: char) -> bool {
    ",;:|=\t \"'()[]{}\r".contains(c)
}

fn mark(field: &str) -> bool {
    field.starts_with(is_mark)
}

/// The number that a field spells; words such as `inf` and `nan` are words.
fn number_in(field: &str) -> Option<f64> {
    let plain = field.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    plain.then(|| field.parse().ok()).flatten()
}

/// The next line of a reader.
enum Next {
    Line(String),
    End,
    TooLong,
}

/// Reads lines. What is not UTF-8 becomes an escape, so that different bytes stay different.
struct Reader<'a> {
    window: Window<'a>,
    offset: u64,
}

impl<'a> Reader<'a> {
    fn new(source: &'a dyn Source) -> Reader<'a> {
        Reader { window: Window::new(source), offset: 0 }
    }

    fn next(&mut self) -> Result<Next> {
        let mut line = Vec::new();
        if self.offset >= self.window.len() {
            return Ok(Next::End);
        }
        loop {
            let piece = self.window.take(self.offset, Window::STEP)?;
            let end = piece.iter().position(|b| *b == b'\n');
            line.extend_from_slice(&piece[..end.unwrap_or(piece.len())]);
            self.offset += end.map_or(piece.len(), |end| end + 1) as u64;
            if line.len() > MAX_LINE_BYTES {
                return Ok(Next::TooLong);
            }
            if end.is_some() {
                return Ok(Next::Line(decode(line)));
            }
            if self.offset >= self.window.len() {
                // A last line without an end is not the same as one with it.
                line.extend_from_slice(NO_NEWLINE.as_bytes());
                return Ok(Next::Line(decode(line)));
            }
        }
    }
}

/// Marks the last line of a file that does not end in a newline.
const NO_NEWLINE: &str = " (no newline at the end)";

fn decode(line: Vec<u8>) -> String {
    String::from_utf8(line).unwrap_or_else(|e| e.as_bytes().escape_ascii().to_string())
}
