//! What counts as a parameter, and what its text means.

use lab_schema::{Number, Value};

use crate::variables::{holds_password, is_secret};

/// Most parameters of one command line or file, the items of lists counted one by one.
pub(super) const MAX_PARAMS: usize = 300;

/// Longest key in bytes.
pub(super) const MAX_KEY_BYTES: usize = 200;

/// Longest text in bytes.
const MAX_TEXT_BYTES: usize = 1000;

/// Whether a parameter may be kept.
pub(super) fn may_keep(key: &str, value: &Value) -> bool {
    !key.is_empty()
        && key.len() <= MAX_KEY_BYTES
        && !key.chars().any(char::is_control)
        && !is_secret(key)
        && may_keep_value(value)
}

fn may_keep_value(value: &Value) -> bool {
    match value {
        Value::Text(text) => text.len() <= MAX_TEXT_BYTES && !holds_password(text),
        Value::List(items) => items.iter().all(may_keep_value),
        _ => true,
    }
}

/// The value that a bare word stands for: an integer, a float, true or false, and else text.
///
/// Only what can be written back is a number: `007` is a name, and so are 20 digits.
pub(super) fn typed(word: &str) -> Value {
    let text = || Value::Text(word.to_owned());
    if let "true" | "True" | "TRUE" | "false" | "False" | "FALSE" = word {
        return Value::Bool(word.starts_with(['t', 'T']));
    }
    let digits = word.strip_prefix('-').unwrap_or(word);
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        let plain = digits == "0" || !digits.starts_with('0');
        return word.parse().ok().filter(|_| plain).map_or_else(text, Value::Int);
    }
    // What else the parser takes for a float is a word: `nan`, `inf`.
    let like_a_float = |b: u8| b.is_ascii_digit() || b"+-.eE".contains(&b);
    let float = word.bytes().all(like_a_float).then(|| word.parse::<f64>().ok()).flatten();
    float.and_then(|f| Number::new(f).ok()).map_or_else(text, Value::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_typed() {
        for (word, int) in [("0", 0), ("-1", -1), ("9223372036854775807", i64::MAX)] {
            assert_eq!(typed(word), Value::Int(int), "{word}");
        }
        for (word, float) in
            [("1e-3", 1e-3), (".5", 0.5), ("-2.", -2.0), ("1E+5", 1e5), ("0.0", 0.0)]
        {
            assert_eq!(typed(word), Value::Float(Number::new(float).unwrap()), "{word}");
        }
        assert_eq!(typed("True"), Value::Bool(true));
        assert_eq!(typed("false"), Value::Bool(false));
        for word in [
            "",
            "-",
            "007",
            "-0123",
            "9223372036854775808",
            "1e999",
            "nan",
            "inf",
            "1.2.3",
            "e",
            ".",
            "1_000",
            "0x10",
            "yes",
            "1\0",
            "２",
            "2026-01-01",
        ] {
            assert_eq!(typed(word), Value::Text(word.to_owned()), "{word}");
        }
    }

    #[test]
    fn secrets_and_long_things_are_not_kept() {
        let text = |text: &str| Value::Text(text.to_owned());
        assert!(may_keep("optimizer.lr", &text("x")));
        assert!(may_keep("tokenizer", &text("http://host/x")));
        for key in ["", "api_key", "hub.token", "a\nb", &"k".repeat(201)] {
            assert!(!may_keep(key, &text("x")), "{key}");
        }
        let bad = text("postgres://me:pw@host/db");
        assert!(!may_keep("db", &bad));
        assert!(!may_keep("db", &Value::List(vec![text("a"), bad])));
        assert!(!may_keep("x", &text(&"x".repeat(1001))));
    }
}
