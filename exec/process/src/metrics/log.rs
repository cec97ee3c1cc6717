//! A log of JSON objects, one a line: the last value of each key counts.

use std::io::{Read, Seek};

use super::json;
use super::lines::{Lines, only_the_end};
use super::numbers::Numbers;

/// Reads the log, or its last `limit` bytes.
pub(super) fn read(
    input: impl Read + Seek,
    limit: u64,
    numbers: &mut Numbers,
) -> Result<(), String> {
    let mut lines = Lines::new(input);
    if lines.keep_end(limit).map_err(|e| e.to_string())? {
        numbers.complain(|| only_the_end(limit));
    }
    while let Some(line) = lines.next().map_err(|e| e.to_string())? {
        if line.too_long {
            numbers.complain(|| line.left_out("it is too long"));
        } else if let Err(why) = json::object(line.bytes, numbers) {
            numbers.complain(|| line.left_out(&why));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn parse(text: &str, limit: u64) -> (Vec<(String, f64)>, Vec<String>) {
        let mut numbers = Numbers::default();
        read(Cursor::new(text), limit, &mut numbers).unwrap();
        let (metrics, said) = numbers.finish();
        (metrics.into_iter().map(|(k, n)| (k, n.get())).collect(), said)
    }

    fn owned(pairs: &[(&str, f64)]) -> Vec<(String, f64)> {
        pairs.iter().map(|(k, n)| ((*k).to_owned(), *n)).collect()
    }

    #[test]
    fn the_last_value_of_each_key_counts() {
        let text = "{\"step\": 1, \"loss\": 0.5}\n\n{\"step\": 2, \"eval\": {\"acc\": 0.9}}\r\n\
                    {\"step\": 3, \"loss\": 0.25}";
        let expected = [("eval.acc", 0.9), ("loss", 0.25), ("step", 3.0)];
        assert_eq!(parse(text, 1 << 20), (owned(&expected), Vec::new()));
    }

    #[test]
    fn a_cut_last_line_and_bad_lines_are_named_and_the_rest_counts() {
        let (metrics, said) = parse("{\"a\": 1}\n{\"a\": 2, \"b\"", 1 << 20);
        assert_eq!(metrics, owned(&[("a", 1.0)]));
        assert_eq!(said, ["its last line is cut off"]);
        let (metrics, said) = parse("{\"a\": 1}\nepoch 2\n[3]\n{\"a\": 4}\n", 1 << 20);
        assert_eq!(metrics, owned(&[("a", 4.0)]));
        assert!(said[0].starts_with("line 2 was left out: "), "{said:?}");
        assert!(said[0].ends_with("(and 1 more)"), "{said:?}");
        let long = format!("{{\"a\": 1, \"b\": \"{}\"}}\n{{\"c\": 2}}\n", "x".repeat(1 << 20));
        let (metrics, said) = parse(&long, 1 << 30);
        assert_eq!(metrics, owned(&[("c", 2.0)]));
        assert_eq!(said, ["line 1 was left out: it is too long"]);
    }

    #[test]
    fn a_value_that_ends_as_no_number_is_not_silently_the_one_before() {
        let (metrics, said) = parse("{\"a\": 1, \"b\": 1}\n{\"a\": NaN}\n{\"b\": 2}\n", 1 << 20);
        assert_eq!(metrics, owned(&[("a", 1.0), ("b", 2.0)]));
        assert_eq!(said, ["the last value of 'a' is not finite: the last finite one is kept"]);
        let (_, said) = parse("{\"a\": 1}\n{\"a\": Infinity}\n{\"a\": 3}\n", 1 << 20);
        assert!(said.is_empty(), "{said:?}");
    }

    #[test]
    fn of_a_long_log_the_end_counts() {
        let text = "{\"a\": 1}\n".repeat(1000) + "{\"a\": 2, \"b\": 3}\n{\"a\": 4}\n";
        let (metrics, said) = parse(&text, 30);
        assert_eq!(metrics, owned(&[("a", 4.0), ("b", 3.0)]));
        assert_eq!(said, ["only its last 0 MiB were read"]);
    }

    #[test]
    fn keys_that_never_end_do_not_fill_memory() {
        let text: String = (0..10_000).map(|i| format!("{{\"k{i}\": {i}}}\n")).collect();
        let (metrics, said) = parse(&text, 1 << 30);
        assert_eq!(metrics.len(), 300);
        assert_eq!(said, ["only 300 numbers are kept"]);
    }
}
