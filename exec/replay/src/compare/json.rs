//! Two JSON files: the first key whose value differs, numbers by value.
//!
//! The whole text is held in memory, so files over [`MAX_BYTES`] are compared as lines of text
//! instead. An object with a key twice means different things to different readers; it is not
//! parsed at all. Numbers differ if their values do: `1` and `1.0` and `1e0` are equal here.

use std::collections::BTreeMap;
use std::fmt;

use lab_schema::Tolerance;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::compare::bytes;
use crate::compare::element::{Class, Dtype, Float};
use crate::compare::found::{Found, Tally, allows};
use crate::compare::source::Source;
use crate::error::Result;

/// Largest file that is compared by value. In memory a value takes up to 16 times its text.
pub(crate) const MAX_BYTES: u64 = 16 << 20;

/// What stands where one side has nothing.
pub(crate) const ABSENT: &str = "absent";

/// A JSON value; keys in the order of the file, each once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Natural(u64),
    Negative(i64),
    Float(f64),
    Text(String),
    List(Vec<Json>),
    Map(Vec<(String, Json)>),
}

impl Json {
    /// The number, if it is a natural one.
    pub(crate) fn natural(&self) -> Option<u64> {
        match self {
            Json::Natural(n) => Some(*n),
            _ => None,
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Json::Natural(n) => Some(*n as f64),
            Json::Negative(n) => Some(*n as f64),
            Json::Float(n) => Some(*n),
            _ => None,
        }
    }

    /// Number of leaves; an empty list or map is one.
    fn leaves(&self) -> u64 {
        match self {
            Json::List(items) => items.iter().map(Json::leaves).sum::<u64>().max(1),
            Json::Map(items) => items.iter().map(|(_, v)| v.leaves()).sum::<u64>().max(1),
            _ => 1,
        }
    }
}

impl fmt::Display for Json {
    /// Scalars as they are written; lists and maps by their size.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Json::Null => f.write_str("null"),
            Json::Bool(v) => write!(f, "{v}"),
            Json::Natural(v) => write!(f, "{v}"),
            Json::Negative(v) => write!(f, "{v}"),
            Json::Float(v) => write!(f, "{v:?}"),
            Json::Text(v) => write!(f, "{v:?}"),
            Json::List(items) => write!(f, "a list of {}", items.len()),
            Json::Map(items) => write!(f, "an object with {} keys", items.len()),
        }
    }
}

/// Reads a text; none if it is not JSON, nests deeper than 128, or has a key twice.
pub(crate) fn parse(text: &[u8]) -> Option<Json> {
    serde_json::from_slice(text).ok()
}

/// The two values, if both files are JSON objects or lists of bearable size.
pub(crate) fn parse_both(a: &dyn Source, b: &dyn Source) -> Result<Option<(Json, Json)>> {
    let read = |source: &dyn Source| -> Result<Option<Json>> {
        if source.len() > MAX_BYTES {
            return Ok(None);
        }
        let start = source.read(0, source.len().min(4096))?;
        match start.iter().find(|b| !b.is_ascii_whitespace()) {
            Some(b'{' | b'[') => Ok(parse(&source.read(0, source.len())?)),
            _ => Ok(None),
        }
    };
    let Some(a) = read(a)? else { return Ok(None) };
    Ok(read(b)?.map(|b| (a, b)))
}

/// The difference to report between two JSON files whose bytes differ.
pub(crate) fn compare(
    (expected, a): (&dyn Source, &Json),
    (actual, b): (&dyn Source, &Json),
    tolerance: Option<Tolerance>,
) -> Result<Option<Found>> {
    let mut walk = Walk { tally: Tally::default(), path: Vec::new(), tolerance };
    walk.values(a, b);
    match walk.tally.finish() {
        Some(found) => Ok(Some(found)),
        None => bytes::same_values(expected, actual, tolerance),
    }
}

/// One step of a path.
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

struct Walk<'a> {
    tally: Tally,
    path: Vec<Step<'a>>,
    tolerance: Option<Tolerance>,
}

impl<'a> Walk<'a> {
    fn values(&mut self, a: &'a Json, b: &'a Json) {
        match (a, b) {
            (Json::List(x), Json::List(y)) => {
                for i in 0..x.len().max(y.len()) {
                    self.step(Step::Index(i), x.get(i), y.get(i));
                }
                self.count_if_empty(x.is_empty() && y.is_empty());
            }
            (Json::Map(x), Json::Map(y)) => {
                let there: BTreeMap<&str, &Json> = y.iter().map(|(k, v)| (k.as_str(), v)).collect();
                for (key, value) in x {
                    self.step(Step::Key(key), Some(value), there.get(key.as_str()).copied());
                }
                let known: std::collections::BTreeSet<&str> =
                    x.iter().map(|(k, _)| k.as_str()).collect();
                for (key, value) in y.iter().filter(|(k, _)| !known.contains(k.as_str())) {
                    self.step(Step::Key(key), None, Some(value));
                }
                self.count_if_empty(x.is_empty() && y.is_empty());
            }
            _ => self.leaf(a, b),
        }
    }

    fn count_if_empty(&mut self, empty: bool) {
        self.tally.count(u64::from(empty), 0);
    }

    fn step(&mut self, step: Step<'a>, a: Option<&'a Json>, b: Option<&'a Json>) {
        self.path.push(step);
        match (a, b) {
            (Some(a), Some(b)) => self.values(a, b),
            (a, b) => {
                let leaves = a.or(b).map_or(0, Json::leaves);
                self.tally.count(leaves, leaves);
                let show = |v: Option<&Json>| v.map_or_else(|| ABSENT.into(), Json::to_string);
                let path = &self.path;
                self.tally.offer(false, || Found::new(place(path), &show(a), &show(b)));
            }
        }
        self.path.pop();
    }

    fn leaf(&mut self, a: &Json, b: &Json) {
        let all = a.leaves().max(b.leaves());
        let numbers = a.number().zip(b.number());
        let same = match (a, b, numbers) {
            (Json::Float(_), _, Some((x, y))) | (_, Json::Float(_), Some((x, y))) => {
                x.to_bits() == y.to_bits() || (x == y && x != 0.0)
            }
            _ => a == b,
        };
        self.tally.count(all, if same { 0 } else { all });
        if same {
            return;
        }
        let tolerated = numbers.is_some_and(|(x, y)| allows(self.tolerance, x, y));
        let is_float = matches!(a, Json::Float(_)) || matches!(b, Json::Float(_));
        let path = &self.path;
        self.tally.offer(tolerated, || Found {
            ulps: numbers.filter(|_| is_float).and_then(|(x, y)| ulps(x, y)),
            ..Found::new(place(path), &a.to_string(), &b.to_string())
        });
    }
}

/// The distance of two numbers as 64-bit floats.
pub(crate) fn ulps(x: f64, y: f64) -> Option<u64> {
    let f64s =
        Dtype { name: String::new(), size: 8, class: Class::Float(Float::F64), big_endian: false };
    f64s.ulps(&x.to_le_bytes(), &y.to_le_bytes())
}

/// `a.b[3]`; keys that would read as something else are quoted: `a["b.c"]`.
fn place(path: &[Step<'_>]) -> String {
    let mut out = String::new();
    for step in path {
        match step {
            Step::Index(i) => out.push_str(&format!("[{i}]")),
            Step::Key(key) if !key.is_empty() && !key.contains(['.', '[', ']', '"', ' ']) => {
                out.push_str(if out.is_empty() { "" } else { "." });
                out.push_str(key);
            }
            Step::Key(key) => out.push_str(&format!("[{key:?}]")),
        }
    }
    out
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }
    fn visit_bool<E: Error>(self, v: bool) -> Result<Json, E> {
        Ok(Json::Bool(v))
    }
    fn visit_u64<E: Error>(self, v: u64) -> Result<Json, E> {
        Ok(Json::Natural(v))
    }
    fn visit_i64<E: Error>(self, v: i64) -> Result<Json, E> {
        Ok(u64::try_from(v).map_or(Json::Negative(v), Json::Natural))
    }
    fn visit_f64<E: Error>(self, v: f64) -> Result<Json, E> {
        Ok(Json::Float(v))
    }
    fn visit_str<E: Error>(self, v: &str) -> Result<Json, E> {
        Ok(Json::Text(v.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut items: Vec<(String, Json)> = Vec::new();
        let mut keys = std::collections::HashSet::new();
        while let Some((key, value)) = map.next_entry::<String, Json>()? {
            if !keys.insert(key.clone()) {
                return Err(A::Error::custom("a key stands twice"));
            }
            items.push((key, value));
        }
        Ok(Json::Map(items))
    }
}
