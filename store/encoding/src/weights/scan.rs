//! A scanner for the small texts in which headers describe tensors: JSON in safetensors, a
//! Python dictionary in .npy.
//!
//! Both are flat and of a fixed grammar, so this knows strings, unsigned numbers and lists of
//! them, and nothing that nests: no recursion, no tree in memory, and a key that stands twice can
//! be seen. Text without escapes is borrowed; escapes are left to serde_json.

use std::borrow::Cow;

use super::source::{Step, Stop};

/// The most dimensions that a tensor may have.
const MAX_DIMENSIONS: usize = 64;

/// A place in a text.
pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    /// At the beginning of a text.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Scanner { bytes, at: 0 }
    }

    /// The next byte that is not white space, still to be read; none at the end.
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// The next byte that is not white space.
    pub(super) fn next(&mut self) -> Step<u8> {
        let byte = self.peek().ok_or(Stop::Unfit)?;
        self.at += 1;
        Ok(byte)
    }

    /// Passes over this byte, and refuses any other.
    pub(super) fn expect(&mut self, byte: u8) -> Step<()> {
        if self.next()? == byte { Ok(()) } else { Err(Stop::Unfit) }
    }

    /// Passes over this word.
    pub(super) fn word(&mut self, word: &str) -> Step<()> {
        self.peek();
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(Stop::Unfit);
        }
        self.at += word.len();
        Ok(())
    }

    /// A string between double quotes, as JSON writes it.
    pub(super) fn text(&mut self) -> Step<Cow<'a, str>> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            match *self.bytes.get(self.at).ok_or(Stop::Unfit)? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += 1;
                }
                0..0x20 => return Err(Stop::Unfit),
                _ => {}
            }
            self.at += 1;
        }
        self.at += 1;
        if escaped {
            let quoted = &self.bytes[start - 1..self.at];
            return serde_json::from_slice(quoted).map(Cow::Owned).map_err(|_| Stop::Unfit);
        }
        let plain = &self.bytes[start..self.at - 1];
        std::str::from_utf8(plain).map(Cow::Borrowed).map_err(|_| Stop::Unfit)
    }

    /// A string between single quotes, as Python writes it; one with a backslash is refused.
    pub(super) fn quoted(&mut self) -> Step<&'a str> {
        self.expect(b'\'')?;
        let rest = &self.bytes[self.at..];
        let len = rest.iter().position(|b| *b == b'\'').ok_or(Stop::Unfit)?;
        self.at += len + 1;
        let text = std::str::from_utf8(&rest[..len]).map_err(|_| Stop::Unfit)?;
        if text.contains('\\') { Err(Stop::Unfit) } else { Ok(text) }
    }

    /// An unsigned number.
    pub(super) fn number(&mut self) -> Step<u64> {
        self.peek();
        let rest = &self.bytes[self.at..];
        let len = rest.iter().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len());
        self.at += len;
        let digits = std::str::from_utf8(&rest[..len]).map_err(|_| Stop::Unfit)?;
        digits.parse().map_err(|_| Stop::Unfit)
    }

    /// Numbers between square brackets, as JSON writes them.
    pub(super) fn list(&mut self) -> Step<Vec<u64>> {
        self.expect(b'[')?;
        let mut numbers = Vec::new();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(numbers);
        }
        loop {
            self.push(&mut numbers)?;
            match self.next()? {
                b',' => {}
                b']' => return Ok(numbers),
                _ => return Err(Stop::Unfit),
            }
        }
    }

    /// Numbers between round brackets, as Python writes them: a comma may end them, and Python 2
    /// marked long ones with an L.
    pub(super) fn tuple(&mut self) -> Step<Vec<u64>> {
        self.expect(b'(')?;
        let mut numbers = Vec::new();
        loop {
            if self.peek() == Some(b')') {
                self.at += 1;
                return Ok(numbers);
            }
            self.push(&mut numbers)?;
            if self.bytes.get(self.at) == Some(&b'L') {
                self.at += 1;
            }
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b')') => {}
                _ => return Err(Stop::Unfit),
            }
        }
    }

    fn push(&mut self, numbers: &mut Vec<u64>) -> Step<()> {
        if numbers.len() == MAX_DIMENSIONS {
            return Err(Stop::Unfit);
        }
        numbers.push(self.number()?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_as_json_reads_them() {
        let mut scanner = Scanner::new(br#" "a\u00e9\"b" "plain" "\ud800" "#);
        assert_eq!(scanner.text().unwrap(), "a\u{e9}\"b");
        assert_eq!(scanner.text().unwrap(), "plain");
        assert!(scanner.text().is_err(), "half a pair of surrogates");
        assert!(Scanner::new(b"\"open\\\"").text().is_err());
        assert!(Scanner::new(b"\"line\nbreak\"").text().is_err());
    }

    #[test]
    fn lists_end_as_their_language_says() {
        assert_eq!(Scanner::new(b"[1, 2]").list().unwrap(), [1, 2]);
        assert!(Scanner::new(b"[1, 2,]").list().is_err());
        assert!(Scanner::new(b"[-1]").list().is_err());
        assert!(Scanner::new(b"[1.0]").list().is_err());
        assert_eq!(Scanner::new(b"(3L, 4L,)").tuple().unwrap(), [3, 4]);
        assert_eq!(Scanner::new(b"()").tuple().unwrap(), Vec::<u64>::new());
        assert!(Scanner::new(b"(1 2)").tuple().is_err());
        let long = format!("[{}1]", "1,".repeat(MAX_DIMENSIONS));
        assert!(Scanner::new(long.as_bytes()).list().is_err());
        assert!(Scanner::new(b"99999999999999999999").number().is_err());
    }
}
