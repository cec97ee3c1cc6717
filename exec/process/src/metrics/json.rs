//! One JSON object: `metrics.json`, or a line of `metrics.jsonl`.
//!
//! Nested objects give keys joined by `.`; text, lists, true, false and null are no metrics.
//! Python writes `NaN` and `Infinity`, which JSON lacks: such a value is left out, the rest of
//! the file counts.

use std::io::Read;

use serde_json::Value;

use super::numbers::{MAX_KEY_BYTES, Numbers};

/// Most bytes of a file that is one object.
const MAX_BYTES: u64 = 1 << 20;

/// Reads a file that is one object.
pub(super) fn read(input: impl Read, numbers: &mut Numbers) -> Result<(), String> {
    let mut bytes = Vec::new();
    input.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("it is larger than {MAX_BYTES} bytes"));
    }
    object(&mut bytes, numbers)
}

/// The numbers of one object. The bytes are changed on the way.
pub(super) fn object(bytes: &mut [u8], numbers: &mut Numbers) -> Result<(), String> {
    drop_non_finite(bytes);
    let value: Value = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    let Value::Object(_) = value else { return Err("it is not an object".to_owned()) };
    collect(&value, "", numbers);
    Ok(())
}

/// The parser bounds the depth of its values to 128, and so this recursion.
fn collect(value: &Value, key: &str, numbers: &mut Numbers) {
    match value {
        Value::Number(number) => numbers.set(key, number.as_f64().unwrap_or(f64::NAN)),
        // What is left of a `NaN`.
        Value::String(text) if text.is_empty() => numbers.set(key, f64::NAN),
        Value::Object(fields) => {
            for (name, field) in fields {
                let dot = if key.is_empty() { "" } else { "." };
                // A longer one is no metric's, nor are those below it.
                if key.len() + dot.len() + name.len() <= MAX_KEY_BYTES {
                    collect(field, &format!("{key}{dot}{name}"), numbers);
                }
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

    fn parse(text: &str) -> Result<Vec<(String, f64)>, String> {
        let mut numbers = Numbers::default();
        read(text.as_bytes(), &mut numbers)?;
        Ok(numbers.finish().0.into_iter().map(|(k, n)| (k, n.get())).collect())
    }

    fn metrics(text: &str) -> Vec<(String, f64)> {
        parse(text).unwrap()
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
        assert!(parse(text).is_err());
        let text = text.replace(r#""d":1e999,"#, "");
        let expected = [("NaN \" Infinity", 1.0), ("e", 2.0)];
        assert_eq!(metrics(&text), expected.map(|(k, n)| (k.to_owned(), n)));
    }

    #[test]
    fn hostile_files_are_errors_not_panics() {
        let deep = "{\"a\":".repeat(100_000);
        for bad in ["", "{", "[1]", "3", "nul", "\"", "{\"a\": NaNNaN}", "\\", &deep] {
            assert!(parse(bad).is_err(), "{}", &bad[..bad.len().min(20)]);
        }
        let long = format!("{{\"{}\": 1, \"b\": 2}}", "k".repeat(1000));
        assert_eq!(metrics(&long), [("b".to_owned(), 2.0)]);
        assert!(parse(&" ".repeat(2 << 20)).unwrap_err().contains("larger"));
    }
}
