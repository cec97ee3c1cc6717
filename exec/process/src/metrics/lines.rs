//! The lines of a file that may be larger than memory, each of bounded length.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

/// Longest line in bytes, without its end.
pub(super) const MAX_LINE_BYTES: usize = 1 << 20;

/// Reads line by line.
pub(super) struct Lines<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    read: u64,
}

/// One line.
pub(super) struct Line<'a> {
    /// Counted from 1, from where reading began.
    pub(super) number: u64,
    /// Its bytes without the end of the line; only the first if it is too long.
    pub(super) bytes: &'a mut [u8],
    /// Whether it lacks its end, as the last line of a file may.
    pub(super) open: bool,
    /// Whether it is longer than [`MAX_LINE_BYTES`].
    pub(super) too_long: bool,
}

impl<R: Read + Seek> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Lines { input: BufReader::new(input), line: Vec::new(), read: 0 }
    }

    /// Passes over all but the last `limit` bytes of what is left, up to the start of a line, and
    /// says whether anything was passed over. What counts in a log is its end.
    pub(super) fn keep_end(&mut self, limit: u64) -> io::Result<bool> {
        let here = self.input.stream_position()?;
        let end = self.input.seek(SeekFrom::End(0))?;
        let start = end.saturating_sub(limit);
        if start <= here {
            self.input.seek(SeekFrom::Start(here))?;
            return Ok(false);
        }
        // One byte earlier, so that a line that begins right there is not lost.
        self.input.seek(SeekFrom::Start(start - 1))?;
        self.input.skip_until(b'\n')?;
        Ok(true)
    }

    /// The next line that is not blank.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            self.line.clear();
            let most = MAX_LINE_BYTES as u64 + 1;
            if self.input.by_ref().take(most).read_until(b'\n', &mut self.line)? == 0 {
                return Ok(None);
            }
            self.read += 1;
            let ended = self.line.pop_if(|end| *end == b'\n').is_some();
            let too_long = self.line.len() > MAX_LINE_BYTES;
            let open = !ended && !too_long;
            if too_long {
                self.input.skip_until(b'\n')?;
            }
            self.line.pop_if(|end| *end == b'\r' && !open);
            if !self.line.trim_ascii().is_empty() {
                return Ok(Some(Line { number: self.read, bytes: &mut self.line, open, too_long }));
            }
        }
    }
}

impl Line<'_> {
    /// Why a line is left out.
    pub(super) fn left_out(&self, why: &str) -> String {
        if self.open {
            return "its last line is cut off".to_owned();
        }
        format!("line {} was left out: {why}", self.number)
    }
}

/// That a file was too large to be read as a whole.
pub(super) fn only_the_end(limit: u64) -> String {
    format!("only its last {} MiB were read", limit >> 20)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn all(text: &[u8], keep: Option<u64>) -> Vec<(String, bool)> {
        let mut lines = Lines::new(Cursor::new(text.to_vec()));
        if let Some(keep) = keep {
            lines.keep_end(keep).unwrap();
        }
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            let text = String::from_utf8_lossy(line.bytes).into_owned();
            all.push((if line.too_long { "long".to_owned() } else { text }, line.open));
        }
        all
    }

    #[test]
    fn lines_are_told_apart() {
        let read = all(b"a\r\n\n \nb\nc\r", None);
        assert_eq!(read.iter().map(|l| l.0.as_str()).collect::<Vec<_>>(), ["a", "b", "c\r"]);
        assert_eq!(read.iter().map(|l| l.1).collect::<Vec<_>>(), [false, false, true]);
        assert!(all(b"", None).is_empty());
    }

    #[test]
    fn a_long_line_is_passed_over() {
        let longest = "x".repeat(MAX_LINE_BYTES);
        let text = format!("{longest}\n{longest}x\nb\n{longest}{longest}");
        let read = all(text.as_bytes(), None);
        assert_eq!(read[0].0.len(), MAX_LINE_BYTES);
        assert_eq!(
            read[1..].iter().map(|l| l.0.as_str()).collect::<Vec<_>>(),
            ["long", "b", "long"]
        );
    }

    #[test]
    fn the_end_begins_with_a_whole_line() {
        let text = b"aa\nbb\ncc\n";
        let kept = |keep| all(text, Some(keep)).into_iter().map(|l| l.0).collect::<Vec<_>>();
        assert_eq!(kept(9), ["aa", "bb", "cc"]);
        assert_eq!(kept(8), ["bb", "cc"]);
        assert_eq!(kept(6), ["bb", "cc"]);
        assert_eq!(kept(5), ["cc"]);
        assert_eq!(kept(2), [""; 0]);
        let mut lines = Lines::new(Cursor::new(text.to_vec()));
        lines.next().unwrap();
        assert!(!lines.keep_end(6).unwrap());
        assert_eq!(lines.next().unwrap().unwrap().bytes, b"bb");
        assert!(lines.keep_end(1).unwrap());
        assert!(lines.next().unwrap().is_none());
    }
}
