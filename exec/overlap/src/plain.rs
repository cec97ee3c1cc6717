//! Plain text, cut into examples at its lines or paragraphs.

use std::io::{BufRead, BufReader, Read};

use lab_data::{DataError, gunzipped};

use crate::error::Result;
use crate::examples::Texts;

/// The most bytes of a line or paragraph.
const MAX_BYTES: u64 = 16 << 20;
const FILE: &str = "the text";
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Where plain text is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unit {
    /// Each line that is not blank is an example.
    #[default]
    Line,
    /// Lines up to the next blank line are.
    Paragraph,
}

/// Reads text, plain or gzipped. No more is taken into memory than a unit needs.
pub(crate) fn plain(source: impl Read, unit: Unit) -> Result<Texts> {
    let mut source = BufReader::with_capacity(1 << 16, gunzipped(source));
    let mut texts = Texts::new();
    let mut paragraph = String::new();
    let mut line = Vec::new();
    for number in 1u64.. {
        line.clear();
        let room = MAX_BYTES.saturating_sub(paragraph.len() as u64) + 1;
        let read = source.by_ref().take(room).read_until(b'\n', &mut line);
        let read = read.map_err(|source| DataError::Read { file: FILE.into(), source })?;
        if read as u64 == room {
            return Err(DataError::LongRow { line: number, limit: MAX_BYTES }.into());
        }
        let text = str::from_utf8(&line).map_err(|_| {
            let why = format!("line {number} is not UTF-8");
            DataError::Malformed { file: FILE.into(), why }
        })?;
        let text = if number == 1 { text.trim_start_matches(BYTE_ORDER_MARK) } else { text };
        let ends = text.trim().is_empty();
        if !ends {
            paragraph.push_str(text);
        }
        if (ends || unit == Unit::Line) && !paragraph.is_empty() {
            texts.push(&paragraph)?;
            paragraph.clear();
        }
        if read == 0 {
            break;
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &[u8], unit: Unit) -> Vec<String> {
        let texts = plain(text, unit).unwrap();
        (0..texts.len()).map(|index| texts.get(index).to_owned()).collect()
    }

    #[test]
    fn lines_and_paragraphs() {
        let text = "\u{feff}one\r\ntwo \n\n  \n\nthree\n four".as_bytes();
        assert_eq!(cut(text, Unit::Line), ["one", "two", "three", "four"]);
        assert_eq!(cut(text, Unit::Paragraph), ["one\r\ntwo", "three\n four"]);
        assert!(cut(b"\n \n", Unit::Line).is_empty() && cut(b"", Unit::Paragraph).is_empty());
    }

    #[test]
    fn long_ones_are_refused() {
        let long = vec![b'a'; MAX_BYTES as usize + 1];
        assert_eq!(cut(&long[1..], Unit::Line).len(), 1);
        assert!(plain(&long[..], Unit::Line).is_err());
        let lines = b"aaaaaaa\n".repeat(1 << 21);
        assert!(plain(&lines[..], Unit::Line).is_ok());
        assert_eq!(cut(&lines, Unit::Paragraph).len(), 1);
        assert!(plain(&[&lines[..], b"b"].concat()[..], Unit::Paragraph).is_err());
        let error = plain(&b"a\n\xff\n"[..], Unit::Line).unwrap_err().to_string();
        assert_eq!(error, "the text: line 2 is not UTF-8");
    }
}
