//! The header of an npy file: a Python dictionary with three keys, and nothing else of Python.
//!
//! `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`: the keys in any order, each
//! once; strings in single or double quotes; blanks anywhere between. Structured types, whose
//! `descr` is a list, are not read, nor are text and pickled objects.

use crate::elements::{Element, Order};

/// What the header says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// For example `<f4`.
    pub(crate) descr: String,
    pub(crate) fortran: bool,
    pub(crate) shape: Vec<u64>,
}

impl Header {
    /// Reads the header, or says what is needed.
    pub(crate) fn read(text: &str) -> Result<Header, String> {
        let mut parser = Parser { rest: text };
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        parser.expect("{")?;
        while !parser.accept("}") {
            let key = parser.string()?;
            parser.expect(":")?;
            let again = match key.as_str() {
                "descr" => descr.replace(parser.string()?).is_some(),
                "fortran_order" => fortran.replace(parser.boolean()?).is_some(),
                "shape" => shape.replace(parser.tuple()?).is_some(),
                _ => return Err(format!("an unknown key '{}'", key.escape_debug())),
            };
            if again {
                return Err(format!("the key '{key}' twice"));
            }
            if !parser.accept(",") {
                parser.expect("}")?;
                break;
            }
        }
        if !parser.rest.trim_ascii().is_empty() {
            return Err(parser.found("the end of the header"));
        }
        match (descr, fortran, shape) {
            (Some(descr), Some(fortran), Some(shape)) => Ok(Header { descr, fortran, shape }),
            (None, ..) => Err("no key 'descr'".into()),
            (_, None, _) => Err("no key 'fortran_order'".into()),
            (.., None) => Err("no key 'shape'".into()),
        }
    }

    /// How the values are written; none if they are not numbers that are read here.
    pub(crate) fn element(&self) -> Option<(Element, Order)> {
        let element = match self.descr.get(1..)? {
            "b1" => Element::Bool,
            "u1" => Element::U8,
            "i1" => Element::I8,
            "u2" => Element::U16,
            "i2" => Element::I16,
            "u4" => Element::U32,
            "i4" => Element::I32,
            "u8" => Element::U64,
            "i8" => Element::I64,
            "f2" => Element::F16,
            "f4" => Element::F32,
            "f8" => Element::F64,
            _ => return None,
        };
        match self.descr.as_bytes()[0] {
            b'<' => Some((element, Order::Little)),
            b'>' => Some((element, Order::Big)),
            b'|' if element.width() == 1 => Some((element, Order::Little)),
            _ => None,
        }
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn accept(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_ascii_start().strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        match self.accept(token) {
            true => Ok(()),
            false => Err(self.found(&format!("'{token}'"))),
        }
    }

    fn found(&self, needed: &str) -> String {
        let found: String = self.rest.trim_ascii().chars().take(40).collect();
        format!("'{}' where {needed} is needed", found.escape_debug())
    }

    /// Takes as many characters as are wanted.
    fn word(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest.trim_ascii_start();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        let (word, rest) = rest.split_at(end);
        self.rest = rest;
        word
    }

    fn string(&mut self) -> Result<String, String> {
        let quote = match (self.accept("'"), self.accept("\"")) {
            (true, false) => '\'',
            (false, true) => '"',
            // An empty string followed by another one is no string either.
            _ => return Err(self.found("a string")),
        };
        match self.rest.split_once(quote) {
            Some((string, rest)) if !string.contains('\\') => {
                self.rest = rest;
                Ok(string.to_owned())
            }
            _ => Err(self.found("the end of a string")),
        }
    }

    fn boolean(&mut self) -> Result<bool, String> {
        let before = self.rest;
        match self.word(|c| c.is_ascii_alphabetic()) {
            "True" => Ok(true),
            "False" => Ok(false),
            _ => {
                self.rest = before;
                Err(self.found("True or False"))
            }
        }
    }

    fn tuple(&mut self) -> Result<Vec<u64>, String> {
        let mut lengths = Vec::new();
        self.expect("(")?;
        while !self.accept(")") {
            let before = self.rest;
            let length = self.word(|c| c.is_ascii_digit()).parse();
            let Ok(length) = length else {
                self.rest = before;
                return Err(self.found("a length"));
            };
            // As Python 2 wrote long integers.
            self.accept("L");
            lengths.push(length);
            if !self.accept(",") {
                // `(3)` is a number in Python, not a tuple.
                if lengths.len() == 1 {
                    return Err(self.found("','"));
                }
                self.expect(")")?;
                break;
            }
        }
        Ok(lengths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> Result<(String, bool, Vec<u64>), String> {
        Header::read(text).map(|header| (header.descr, header.fortran, header.shape))
    }

    #[test]
    fn headers_of_numpy_are_read() {
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }      \n";
        assert_eq!(header(text), Ok(("<f4".into(), false, vec![3, 4])));
        let text = r#"{"shape":(),"fortran_order":True,"descr":"|u1"}"#;
        assert_eq!(header(text), Ok(("|u1".into(), true, vec![])));
        let text = "{'descr': '>i8', 'fortran_order': False, 'shape': (7L,)}";
        assert_eq!(header(text), Ok((">i8".into(), false, vec![7])));
    }

    #[test]
    fn other_headers_are_refused() {
        let refused = |text: &str, why: &str| {
            let error = header(text).unwrap_err();
            assert!(error.contains(why), "{error}");
        };
        refused("", "'{' is needed");
        refused("{'descr': '<f4', 'shape': ()}", "no key 'fortran_order'");
        refused("{'descr': '<f4', 'descr': '<f4'}", "the key 'descr' twice");
        refused("{'descr': [('a', '<f4')]}", "a string is needed");
        refused("{'shape': (3)}", "',' is needed");
        refused("{'shape': (-3,)}", "a length is needed");
        refused("{'shape': (99999999999999999999,)}", "a length is needed");
        refused("{'fortran_order': None}", "True or False");
        refused("{'other': 1}", "unknown key");
        refused("{} x", "the end of the header");
        refused("{'descr", "the end of a string");
        refused("{'descr': '<f4' 'shape'", "'}' is needed");
    }

    #[test]
    fn elements_need_an_order() {
        let element =
            |descr: &str| Header { descr: descr.into(), fortran: false, shape: vec![] }.element();
        assert_eq!(element("<f4"), Some((Element::F32, Order::Little)));
        assert_eq!(element(">i2"), Some((Element::I16, Order::Big)));
        assert_eq!(element("|b1"), Some((Element::Bool, Order::Little)));
        for other in ["", "f4", "|f4", "=f4", "<f16", "<c8", "|S4", "<U1", "|O", "é4"] {
            assert_eq!(element(other), None, "{other}");
        }
    }
}
