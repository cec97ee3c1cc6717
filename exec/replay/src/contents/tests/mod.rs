//! Contents with something changed inside, and contents that are made to mislead.

use proptest::prelude::*;

use super::*;

mod others;
mod tables;

fn of(a: impl AsRef<[u8]>, b: impl AsRef<[u8]>, name: &str) -> Inside {
    files(&a.as_ref(), &b.as_ref(), name).unwrap()
}

fn gzipped(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    use std::io::Write;
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(bytes.as_ref()).unwrap();
    gz.finish().unwrap()
}

#[test]
fn texts_are_told_by_lines_also_where_they_are_compressed() {
    let (a, b) = ("some words\nand more\n", "some words\nand others\n");
    let Inside::Text(plain) = of(a, b, "") else { panic!() };
    assert_eq!((plain.added, plain.removed), (1, 1));
    assert_eq!(of(gzipped(a), b, ""), Inside::Text(plain.clone()));
    assert_eq!(of(gzipped(a), gzipped(b), "x.txt.gz"), Inside::Text(plain));
    let Inside::Bytes(same) = of(gzipped(a), a, "") else { panic!() };
    assert!(same.why.unwrap().contains("compressed in another way"));
    let damaged = &gzipped(a)[..20];
    let Inside::Bytes(bytes) = of(damaged, b, "") else { panic!() };
    assert!(bytes.why.unwrap().contains("damaged"));
}

#[test]
fn what_would_not_fit_into_memory_is_refused_and_not_cut() {
    let packed = gzipped([7; 1000]);
    assert_eq!(stream::plain(&packed.as_slice(), 1000).unwrap().unwrap().len(), 1000);
    assert!(stream::plain(&packed.as_slice(), 999).unwrap().is_err());
}

#[test]
fn what_cannot_be_parsed_is_told_by_its_bytes_with_the_reason() {
    let file = |fill: u8| [b"PAR1".as_slice(), &[fill; 20], b"PAR1"].concat();
    let Inside::Bytes(bytes) = of(file(1), file(2), "x.parquet") else { panic!() };
    assert_eq!((bytes.before, bytes.after, bytes.first), (28, 28, 4));
    assert!((bytes.equal - 8.0 / 28.0).abs() < 1e-12);
    assert!(bytes.why.unwrap().contains("the Parquet file is damaged"));
    let Inside::Bytes(bytes) = of([0, 1, 2], [0, 1], "") else { panic!() };
    assert_eq!((bytes.first, bytes.why), (2, None));
}

/// Files that begin like one of the formats, with anything behind.
fn any_file() -> impl Strategy<Value = Vec<u8>> {
    let start = prop_oneof![
        Just(b"".to_vec()),
        Just(b"id,a\n1,2\n".to_vec()),
        Just(b"{\"a\":1}\n{\"a\":2}\n".to_vec()),
        Just(gzipped(b"id,a\n1,2\n")),
        Just(b"\x93NUMPY\x01\x00".to_vec()),
        Just(b"\x10\0\0\0\0\0\0\0{\"a\":".to_vec()),
        Just(b"\x89PNG\r\n\x1a\n".to_vec()),
        Just(b"\xff\xd8\xff".to_vec()),
        Just(b"PK\x03\x04".to_vec()),
        Just(b"PAR1\x15\0\x15".to_vec()),
    ];
    let rest = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        "[ -~\n\r,;\"]{0,200}".prop_map(String::into_bytes),
        "([0-9]{1,2},[a-c]\n){0,40}".prop_map(String::into_bytes),
    ];
    (start, rest).prop_map(|(start, rest)| [start, rest].concat())
}

proptest! {
    #[test]
    fn no_file_is_trouble(a in any_file(), b in any_file(), name in "(|t\\.csv|x\\.py|y\\.jsonl\\.gz)") {
        if a != b {
            // Without an error, and with something to say that programs can read.
            let said = serde_json::to_value(of(&a, &b, &name)).unwrap();
            prop_assert!(said["kind"].is_string());
        }
        if let Inside::Table(change) = of(&a, &b, &name) {
            let (rows, before, after) = (&change.rows, change.before_rows, change.after_rows);
            prop_assert_eq!(rows.same + rows.removed + rows.changed, before);
            prop_assert_eq!(rows.same + rows.added + rows.changed, after);
        }
    }
}
