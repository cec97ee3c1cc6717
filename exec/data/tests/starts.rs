//! What the first rows of a table look like.
#![allow(clippy::unwrap_used)]

use std::io::Write;

use lab_data::{Glance, Look, Start};

fn start(bytes: &[u8]) -> Start {
    Start::read(bytes).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

/// Of each column how many cells are numbers, words and different words.
fn counts(glance: &Glance, header: bool) -> Vec<(usize, usize, usize)> {
    glance.columns(header).iter().map(|s| (s.numbers, s.words, s.distinct())).collect()
}

fn real(path: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn the_delimiter_cuts_all_rows_alike() {
    for (text, expected) in [
        ("a,b\n1,2\n", ","),
        ("a;b\n1,5;2\n", ";"),
        ("a|b|c\n1|2|3\n", "|"),
        ("a\tb\n1 2\t3\n", "\t"),
        // A delimiter in quotes is none.
        ("\"a;b\",c\n\"1;2\",3\n", ","),
        ("a,b\n\"two\nlines\",2\n", ","),
        ("a,b\r\n\r\n1,2\r\n", ","),
        // Both cut alike: nobody can tell.
        ("1,5;2,5\n1,6;2,7\n", ",;"),
        // None does: those that cut the first row, so that a reader can say which row is wrong.
        ("a,b\n1,2,3\n", ","),
        ("a,b;c\n1,2,3\n", ",;"),
        ("a b\n1,2\n", ""),
        ("a\n1\n", ""),
        ("\"a\n1,2\n", ""),
        ("", ""),
        ("\n\n", ""),
    ] {
        for bytes in [text.as_bytes().to_vec(), gzip(text.as_bytes())] {
            assert_eq!(start(&bytes).delimiters(), expected.as_bytes(), "{text:?}");
        }
    }
    assert!(start(b"\r\n\n").is_empty() && start(b"").is_empty() && !start(b"x").is_empty());
    assert_eq!(start(&real("tests/data/penguins.csv")).delimiters(), b",");
    assert_eq!(start(&real("cli/data/digits.csv.gz")).delimiters(), b",");
}

#[test]
fn cells_are_counted_by_what_they_look_like() {
    let text = "n,w,m\n1,a,NA\n-2.5e3,b,\n+.5,a,?\ninf,\"1,5\",x\n";
    let glance = start(text.as_bytes()).csv(b',').unwrap();
    let first = [("n", Look::Word), ("w", Look::Word), ("m", Look::Word)];
    assert!(glance.first.iter().map(|(cell, look)| (cell.as_str(), *look)).eq(first));
    assert_eq!(glance.rows, 4);
    // A comma for the point makes no word of a number.
    assert_eq!(counts(&glance, true), [(4, 0, 0), (1, 3, 2), (0, 1, 1)]);
    assert_eq!(counts(&glance, false), [(4, 1, 1), (1, 4, 3), (0, 2, 2)]);
    let glance = start(b"\xef\xbb\xbf1,,\xff\n").csv(b',').unwrap();
    let looks: Vec<Look> = glance.first.iter().map(|(_, look)| *look).collect();
    assert_eq!((looks, glance.rows), (vec![Look::Number, Look::Missing, Look::Word], 0));
    let penguins = start(&real("tests/data/penguins.csv")).csv(b',').unwrap();
    let found = counts(&penguins, true);
    assert_eq!((penguins.rows, found[0], found[1]), (344, (0, 344, 3), (0, 344, 3)));
    assert_eq!((found[2], found[6]), ((342, 0, 0), (0, 333, 2)));
    assert!(start(b"").csv(b',').is_none());
}

#[test]
fn objects_are_counted_by_their_keys() {
    let text = "{\"n\": 1, \"w\": \"1\", \"b\": true}\n\n{\"w\": null, \"n\": -2, \"x\": 3}\n{\"w\": [1]}\n";
    let glance = start(text.as_bytes()).jsonl().unwrap();
    let names: Vec<&str> = glance.first.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!((names, glance.rows), (vec!["n", "w", "b"], 3));
    assert_eq!(counts(&glance, true), [(2, 0, 0), (0, 2, 2), (1, 0, 0)]);
    assert!(start(b"\n").jsonl().is_none() && start(b"[1]\n").jsonl().is_none());
    let many = "{\"a\": 1}\n".repeat(1500) + "no object";
    assert_eq!(start(many.as_bytes()).jsonl().unwrap().rows, 1000);
}

#[test]
fn no_more_than_a_thousand_rows_are_looked_at() {
    let seen = |before: usize, last: &str| {
        let text = "1,2\n".repeat(before) + last;
        let seen = start(text.as_bytes());
        let glance = seen.csv(b',').unwrap();
        (seen.delimiters(), glance.rows, counts(&glance, false)[0])
    };
    assert_eq!(seen(999, "a,b\n"), (vec![b','], 999, (999, 1, 1)));
    assert_eq!(seen(1000, "a,b\n"), (vec![b','], 999, (1000, 0, 0)));
    assert_eq!(seen(1000, "a\n"), (vec![b','], 999, (1000, 0, 0)));
    let even = |rows: usize| {
        let text = "1,2;3\n".repeat(rows) + "1,2,3;4\n";
        start(text.as_bytes()).delimiters()
    };
    assert_eq!((even(999), even(1000)), (vec![b';'], vec![b',', b';']));
}

/// Rows of 20 kB: fewer than 1,000 lie in 16 MiB, and the last of them may be cut off.
#[test]
fn a_start_ends_where_its_bytes_end() {
    for row in [
        format!("\"{}\n{}\",1\n", "x".repeat(10_000), "y".repeat(10_000)),
        format!("{},1\n", "x".repeat(20_000)),
    ] {
        // Both cut the first row: only that a comma cuts the others, too, decides.
        let first = "p;q,1\n";
        let text = first.to_owned() + &row.repeat(1000);
        let seen = start(text.as_bytes());
        assert_eq!(seen.delimiters(), b",");
        let glance = seen.csv(b',').unwrap();
        assert_eq!(glance.rows, ((16 << 20) + 1 - first.len()) / row.len());
        assert_eq!(counts(&glance, false)[1], (glance.rows + 1, 0, 0));
    }
    // A single line without an end.
    let line = vec![b'x'; (16 << 20) + 1];
    assert!(start(&line).delimiters().is_empty() && start(&line).csv(b',').is_none());
    assert!(!start(&line).is_empty());
}

#[test]
fn damage_is_an_error_or_ends_the_look() {
    let text = "a,b\n\"1\",2\n3,\"4\n";
    for end in 0..text.len() {
        let seen = start(&text.as_bytes()[..end]);
        let rows = seen.csv(b',').map_or(0, |glance| glance.rows);
        assert!(rows <= 2 && seen.jsonl().is_none());
    }
    assert_eq!(start(text.as_bytes()).csv(b',').unwrap().rows, 1);
    assert_eq!(start(b"a,b\n1,2\n3\n4,5\n").csv(b',').unwrap().rows, 1);
    let packed = gzip(text.as_bytes());
    assert!(Start::read(&packed[..packed.len() - 1]).is_err());
}
