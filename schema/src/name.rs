//! Validated names: of registry entries, of directory entries, of inputs and outputs.
//!
//! Each type can only be built through its constructor, so whoever holds one need not check
//! again. None of them can lead out of a folder.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::SchemaError;

/// A name in a registry, such as `mnist` or `base.train`.
///
/// ASCII letters, digits, `.`, `_` and `-`; starts with a letter or digit; at most 100 bytes;
/// does not end in `.`; is not 64 hexadecimal digits, which would hide an id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// Longest name in bytes.
    pub const MAX_BYTES: usize = 100;

    /// Validates `text`.
    pub fn new(text: impl Into<String>) -> Result<Self, SchemaError> {
        let name = text.into();
        let why = if name.is_empty() {
            "it is empty"
        } else if name.len() > Self::MAX_BYTES {
            "it is longer than 100 bytes"
        } else if name.chars().any(char::is_control) {
            "it holds a control character"
        } else if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
            "only ASCII letters, digits, '.', '_' and '-' are allowed"
        } else if !name.as_bytes()[0].is_ascii_alphanumeric() {
            "it must start with a letter or a digit"
        } else if name.ends_with('.') {
            "it must not end in '.'"
        } else if name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit()) {
            "it looks like an id"
        } else {
            return Ok(Name(name));
        };
        Err(SchemaError::BadName { name, why })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of one directory entry, in bytes, as Unix has them.
///
/// Not empty, not `.` or `..`, no `/`, no NUL, at most 255 bytes. Need not be UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName(Vec<u8>);

impl FileName {
    /// Longest name in bytes: the limit of every common file system.
    pub const MAX_BYTES: usize = 255;

    /// Validates `bytes`.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, SchemaError> {
        let bytes = bytes.into();
        let why = if bytes.is_empty() {
            "it is empty"
        } else if bytes.len() > Self::MAX_BYTES {
            "it is longer than 255 bytes"
        } else if bytes == b"." || bytes == b".." {
            "it would lead out of its directory"
        } else if bytes.contains(&b'/') {
            "it holds a '/'"
        } else if bytes.contains(&0) {
            "it holds a NUL byte"
        } else {
            return Ok(FileName(bytes));
        };
        let shown = &bytes[..bytes.len().min(Self::MAX_BYTES)];
        Err(SchemaError::BadFileName { name: String::from_utf8_lossy(shown).into_owned(), why })
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for FileName {
    /// The name as text; control characters are escaped and bytes that are not UTF-8 replaced,
    /// so that printing it cannot steer a terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in String::from_utf8_lossy(&self.0).chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        Ok(())
    }
}

impl Serialize for FileName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for FileName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl serde::de::Visitor<'_> for Bytes {
            type Value = FileName;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a file name as a byte string")
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<FileName, E> {
                // One byte too many is enough to be refused by.
                let bytes = &bytes[..bytes.len().min(FileName::MAX_BYTES + 1)];
                FileName::new(bytes).map_err(E::custom)
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// Names an input or output of a recipe; at the same time the relative path at which a command
/// finds or leaves it, such as `data/train.csv`.
///
/// UTF-8, components separated by `/`, each a valid [`FileName`] without control characters,
/// `:` or leading or trailing space; at most 1,024 bytes. Relative, and never upwards.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slot(String);

impl Slot {
    /// Longest slot in bytes.
    pub const MAX_BYTES: usize = 1024;

    /// Validates `text`.
    pub fn new(text: impl Into<String>) -> Result<Self, SchemaError> {
        let slot = text.into();
        let component_is_bad = |c: &str| FileName::new(c).is_err() || c.trim() != c;
        let why = if slot.is_empty() {
            "it is empty"
        } else if slot.len() > Self::MAX_BYTES {
            "it is longer than 1024 bytes"
        } else if slot.starts_with('/') {
            "it must be a relative path"
        } else if slot.chars().any(char::is_control) {
            "it holds a control character"
        } else if slot.contains(':') {
            "it holds a ':'"
        } else if slot.split('/').any(component_is_bad) {
            "every component of the path must be a plain file name"
        } else {
            return Ok(Slot(slot));
        };
        Err(SchemaError::BadSlot { slot, why })
    }

    /// The text, a relative path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether one of the two is a folder above the other, or both are equal: they cannot both
    /// be files.
    pub fn overlaps(&self, other: &Slot) -> bool {
        let (mut a, mut b) = (self.0.split('/'), other.0.split('/'));
        loop {
            match (a.next(), b.next()) {
                (Some(x), Some(y)) if x == y => {}
                (Some(_), Some(_)) => return false,
                _ => return true,
            }
        }
    }
}

macro_rules! text_type {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
        impl FromStr for $name {
            type Err = SchemaError;
            fn from_str(text: &str) -> Result<Self, SchemaError> {
                $name::new(text)
            }
        }
        impl TryFrom<String> for $name {
            type Error = SchemaError;
            fn try_from(text: String) -> Result<Self, SchemaError> {
                $name::new(text)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}

text_type!(Name);
text_type!(Slot);

impl fmt::Debug for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{self}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for good in ["a", "mnist", "base.train", "7b", "v1.2_x-y", "cafe", &"n".repeat(100)] {
            assert!(Name::new(good).is_ok(), "{good}");
        }
        let id = "0".repeat(64);
        let long = "n".repeat(101);
        for bad in
            ["", ".", "..", "a/b", "a b", "-x", ".x", "x.", "é", "a\nb", "a:b", "a@b", &id, &long]
        {
            assert!(Name::new(bad).is_err(), "{bad:?}");
        }
    }

    // proves F-12
    #[test]
    fn file_names_cannot_escape() {
        for bad in [&b""[..], b".", b"..", b"a/b", b"a\0b", &[b'x'; 256]] {
            assert!(FileName::new(bad).is_err(), "{bad:?}");
        }
        for good in
            [&b"..."[..], b"a b", b"\xff\xfe", "naïve é.txt".as_bytes(), b"a\nb", &[b'x'; 255]]
        {
            assert!(FileName::new(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn printing_a_file_name_cannot_steer_a_terminal() {
        let name = FileName::new(&b"a\x1b[2Jb\n\xff"[..]).unwrap();
        assert_eq!(name.to_string(), "a\\u{1b}[2Jb\\n\u{fffd}");
    }

    // proves F-22
    #[test]
    fn slots_stay_inside() {
        for good in ["a", "out/model.safetensors", "a b/é", "..."] {
            assert!(Slot::new(good).is_ok(), "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", "../a", "a/../b", "./a", "a\n", "a:b", " a", "a/ b"] {
            assert!(Slot::new(bad).is_err(), "{bad:?}");
        }
        let slot = |s: &str| Slot::new(s).unwrap();
        assert!(slot("a/b").overlaps(&slot("a")) && slot("a").overlaps(&slot("a/b")));
        assert!(!slot("a/b").overlaps(&slot("a/c")) && !slot("ab").overlaps(&slot("a")));
    }
}
