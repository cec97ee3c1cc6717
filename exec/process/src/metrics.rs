//! Numbers that a computation reports: those in its `metrics.json`.
//!
//! Nested objects give keys joined by `.`; text, lists, true, false and null are no metrics.
//! Python writes `NaN` and `Infinity`, which JSON lacks: such a value is left out, the rest of
//! the file counts. A file that cannot be read costs its metrics and gives a note, not the run.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use lab_schema::Number;
use serde_json::Value;

/// The name of the file.
pub(crate) const FILE_NAME: &str = "metrics.json";

/// Most bytes of it.
const MAX_BYTES: u64 = 1 << 20;

/// Most metrics of one run.
pub(crate) const MAX_METRICS: usize = 300;

/// Longest key in bytes.
const MAX_KEY_BYTES: usize = 200;

/// The metrics in the file at `path`, or why there are none.
pub(crate) fn read(path: &Path) -> Result<BTreeMap<String, Number>, String> {
    let mut bytes = Vec::new();
    let file = File::open(path).and_then(|f| f.take(MAX_BYTES + 1).read_to_end(&mut bytes));
    file.map_err(|e| e.to_string())?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("it is larger than {MAX_BYTES} bytes"));
    }
    parse(bytes)
}

fn parse(mut bytes: Vec<u8>) -> Result<BTreeMap<String, Number>, String> {
    drop_non_finite(&mut bytes);
    let value: Value = serde_json::from_slice(&bytes).map_err(|e| e.to_string())?;
    let Value::Object(_) = value else { return Err("it is not an object".to_owned()) };
    let mut metrics = BTreeMap::new();
    collect(&value, "", &mut metrics);
    Ok(metrics)
}

/// The parser bounds the depth of its values to 128, and so this recursion.
fn collect(value: &Value, key: &str, metrics: &mut BTreeMap<String, Number>) {
    match value {
        Value::Number(number) => {
            let number = number.as_f64().and_then(|n| Number::new(n).ok());
            if let Some(number) = number.filter(|_| key.len() <= MAX_KEY_BYTES) {
                metrics.insert(key.to_owned(), number);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let dot = if key.is_empty() { "" } else { "." };
                collect(field, &format!("{key}{dot}{name}"), metrics);
            }
        }
        _ => {}
    }
}

/// Turns `NaN`, `Infinity` and `-Infinity` outside of strings into empty strings, in place.
fn drop_non_finite(bytes: &mut [u8]) {
    const WORDS: [(&[u8], &[u8]); 3] =
        [(b"NaN", br#""" "#), (b"-Infinity", br#"""       "#), (b"Infinity", br#"""      "#)];
    let (mut at, mut in_string) = (0, false);
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if in_string => at += 1,
            b'"' => in_string = !in_string,
            _ if !in_string => {
                if let Some((word, other)) = WORDS.iter().find(|(w, _)| bytes[at..].starts_with(w))
                {
                    bytes[at..at + word.len()].copy_from_slice(other);
                    at += word.len() - 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(text: &str) -> Vec<(String, f64)> {
        parse(text.into()).unwrap().into_iter().map(|(k, n)| (k, n.get())).collect()
    }

    #[test]
    fn numbers_are_found_at_any_depth() {
        let text =
            r#"{"acc": 0.5, "n": 3, "ok": true, "name": "x", "per": {"a": {"b": -1}}, "l": [1]}"#;
        let expected = [("acc", 0.5), ("n", 3.0), ("per.a.b", -1.0)];
        assert_eq!(metrics(text), expected.map(|(k, n)| (k.to_owned(), n)));
    }

    #[test]
    fn what_python_writes_for_non_finite_numbers_is_left_out() {
        let text =
            r#"{"a": NaN, "b": -Infinity, "c": Infinity, "NaN \" Infinity": 1, "d":1e999,"e":2}"#;
        // A number too large for a float is no JSON number to the parser.
        assert!(parse(text.into()).is_err());
        let text = text.replace(r#""d":1e999,"#, "");
        let expected = [("NaN \" Infinity", 1.0), ("e", 2.0)];
        assert_eq!(metrics(&text), expected.map(|(k, n)| (k.to_owned(), n)));
    }

    #[test]
    fn hostile_files_are_errors_not_panics() {
        let deep = "{\"a\":".repeat(100_000);
        for bad in ["", "{", "[1]", "3", "nul", "\"", "{\"a\": NaNNaN}", "\\", &deep] {
            assert!(parse(bad.into()).is_err(), "{}", &bad[..bad.len().min(20)]);
        }
        let long = format!("{{\"{}\": 1, \"b\": 2}}", "k".repeat(1000));
        assert_eq!(metrics(&long), [("b".to_owned(), 2.0)]);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        assert!(read(&path).is_err());
        std::fs::write(&path, vec![b' '; 2 << 20]).unwrap();
        assert!(read(&path).unwrap_err().contains("larger"));
    }
}
