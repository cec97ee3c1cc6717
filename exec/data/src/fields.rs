//! The fields of a CSV row (RFC 4180), with a delimiter of choice.
//!
//! A field that begins with a quote ends with one; a doubled quote in it is one quote, and
//! delimiters and line ends in it are text. A quote inside a field that does not begin with one
//! is a character like others. Blanks around fields do not count. Refused: text after a closing
//! quote, a quote that is never closed, a carriage return inside a row (a file with the line ends
//! of old would otherwise be one row).

/// What is wrong with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    TextAfterQuote,
    CarriageReturn,
}

impl Flaw {
    pub(crate) fn why(self) -> &'static str {
        match self {
            Flaw::TextAfterQuote => "text stands after a closing quote",
            Flaw::CarriageReturn => "a carriage return stands inside a row",
        }
    }
}

/// The fields of one row, in buffers that serve for the next one too.
pub(crate) struct Fields {
    delimiter: u8,
    text: Vec<u8>,
    ends: Vec<usize>,
    quoted: bool,
    /// Whether blanks around fields count.
    exact: bool,
}

impl Fields {
    pub(crate) fn new(delimiter: u8) -> Self {
        Fields { delimiter, text: Vec::new(), ends: Vec::new(), quoted: false, exact: false }
    }

    /// Fields around which blanks count, as RFC 4180 has it: a column of tokens tells ` the` from `the`.
    pub(crate) fn exact(delimiter: u8) -> Self {
        Fields { exact: true, ..Fields::new(delimiter) }
    }

    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.quoted = false;
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Without the blanks around it, unless they count.
    pub(crate) fn get(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        let text = &self.text[start..self.ends[index]];
        if self.exact { text } else { text.trim_ascii() }
    }

    /// Takes the next line of the row, `end` being its line end; false if a quote is still open.
    pub(crate) fn take(&mut self, line: &[u8], end: &[u8]) -> Result<bool, Flaw> {
        let mut rest = line;
        loop {
            if !self.quoted {
                rest = self.blanks(rest);
                match rest.strip_prefix(b"\"") {
                    Some(inside) => (self.quoted, rest) = (true, inside),
                    None => {
                        let length = rest.iter().position(|byte| *byte == self.delimiter);
                        let (field, more) = rest.split_at(length.unwrap_or(rest.len()));
                        if field.contains(&b'\r') {
                            return Err(Flaw::CarriageReturn);
                        }
                        self.text.extend_from_slice(field);
                        rest = more;
                    }
                }
            }
            if self.quoted {
                let Some(after) = self.inside_quotes(rest) else {
                    self.text.extend_from_slice(end);
                    return Ok(false);
                };
                rest = self.blanks(after);
                self.quoted = false;
            }
            self.ends.push(self.text.len());
            match rest.split_first() {
                None => return Ok(true),
                Some((byte, more)) if *byte == self.delimiter => rest = more,
                Some(_) => return Err(Flaw::TextAfterQuote),
            }
        }
    }

    /// What follows the closing quote; none if it is not in this line.
    fn inside_quotes<'a>(&mut self, mut rest: &'a [u8]) -> Option<&'a [u8]> {
        loop {
            let Some(quote) = rest.iter().position(|byte| *byte == b'"') else {
                self.text.extend_from_slice(rest);
                return None;
            };
            self.text.extend_from_slice(&rest[..quote]);
            rest = &rest[quote + 1..];
            match rest.strip_prefix(b"\"") {
                Some(more) => {
                    self.text.push(b'"');
                    rest = more;
                }
                None => return Some(rest),
            }
        }
    }

    /// What follows the blanks; a tab that is the delimiter is none.
    fn blanks<'a>(&self, rest: &'a [u8]) -> &'a [u8] {
        if self.exact {
            return rest;
        }
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t') && *byte != self.delimiter;
        let count = rest.iter().take_while(|byte| blank(byte)).count();
        &rest[count..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(line: &str, delimiter: u8) -> Result<(bool, Vec<String>), Flaw> {
        let mut fields = Fields::new(delimiter);
        let whole = fields.take(line.as_bytes(), b"\n")?;
        let all = (0..fields.len()).map(|i| String::from_utf8_lossy(fields.get(i)).into_owned());
        Ok((whole, all.collect()))
    }

    #[test]
    fn quotes_protect_what_is_in_them() {
        let cases: [(&str, &[&str]); 9] = [
            ("a,b", &["a", "b"]),
            ("a,", &["a", ""]),
            (",", &["", ""]),
            (r#""a,b",c"#, &["a,b", "c"]),
            (r#""say ""so""",x"#, &[r#"say "so""#, "x"]),
            (r#" "a" , b c "#, &["a", "b c"]),
            (r#"5" pipe,"""#, &[r#"5" pipe"#, ""]),
            (r#""",x"#, &["", "x"]),
            (r#"" 7 ",x"#, &["7", "x"]),
        ];
        for (line, expected) in cases {
            let (_, found) = fields(line, b',').unwrap();
            assert_eq!(found, expected, "{line}");
        }
        assert_eq!(fields("a\t\t b ", b'\t').unwrap().1, ["a", "", "b"]);
    }

    #[test]
    fn blanks_count_where_they_are_asked_for() {
        let mut fields = Fields::exact(b',');
        assert_eq!(fields.take(b" , the,\"\t \",x ,\"a\"\"b\"", b"\n"), Ok(true));
        let all: Vec<&[u8]> = (0..fields.len()).map(|at| fields.get(at)).collect();
        assert_eq!(all, [&b" "[..], b" the", b"\t ", b"x ", br#"a"b"#]);
        fields.clear();
        assert_eq!(fields.take(br#""a" ,b"#, b"\n"), Err(Flaw::TextAfterQuote));
    }

    #[test]
    fn quotes_may_span_lines() {
        let mut fields = Fields::new(b',');
        assert_eq!(fields.take(br#"1,"a"#, b"\r\n"), Ok(false));
        assert_eq!(fields.take(b",", b"\n"), Ok(false));
        assert_eq!(fields.take(br#"b",2"#, b"\n"), Ok(true));
        assert_eq!((fields.len(), fields.get(1)), (3, &b"a\r\n,\nb"[..]));
        fields.clear();
        assert_eq!(fields.take(b"x", b"\n"), Ok(true));
        assert_eq!((fields.len(), fields.get(0)), (1, &b"x"[..]));
    }

    #[test]
    fn flaws_are_found() {
        assert_eq!(fields(r#""a"b,c"#, b','), Err(Flaw::TextAfterQuote));
        assert_eq!(fields(r#"x,"a" "b""#, b','), Err(Flaw::TextAfterQuote));
        assert_eq!(fields("1\r2,3", b','), Err(Flaw::CarriageReturn));
        assert_eq!(fields(r#""open"#, b',').unwrap(), (false, vec![]));
    }
}
