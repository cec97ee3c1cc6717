//! Real files of four writers, against the rows that pyarrow reads from them (`make.py`).
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

use lab_data::Written;
use lab_parquet::{File, Rows};

fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files")
}

/// A cell as the lines have it, with floats by their bits.
fn told(cell: Written<'_>) -> Cell {
    let (sort, text) = match cell {
        Written::Missing => return None,
        Written::Number(text) => ("number", text.to_owned()),
        Written::Json(text) => ("json", text.to_owned()),
        Written::Word(word) => match std::str::from_utf8(word) {
            Ok(word) => ("word", word.to_owned()),
            Err(_) => ("bytes", word.iter().map(|byte| format!("{byte:02x}")).collect()),
        },
    };
    Some((sort.to_owned(), text))
}

/// Whether two texts of numbers are the same; what pyarrow says of 32 bits is marked.
fn same(expected: &str, found: &str) -> bool {
    match expected.strip_prefix("single ") {
        Some(single) => {
            let of = |text: &str| text.parse::<f64>().unwrap() as f32;
            of(single).to_bits() == of(found).to_bits()
        }
        None if expected.contains(['.', 'e', 'N', 'i']) => {
            let bits = |text: &str| text.parse::<f64>().unwrap().to_bits();
            bits(expected) == bits(found)
        }
        None => expected == found,
    }
}

/// The sort and the text of a cell that is there.
type Cell = Option<(String, String)>;

fn rows(bytes: Vec<u8>, wide: bool) -> Result<Vec<Vec<Cell>>, String> {
    let source = bytes.as_slice();
    let file = File::open(&source).map_err(|error| error.to_string())?;
    let wide = |_: &str| wide;
    let mut rows = Rows::new(&file, &source, &wide);
    let mut all = Vec::new();
    while rows.advance().map_err(|error| error.to_string())?.is_some() {
        all.push((0..rows.names().len()).map(|at| told(rows.cell(at))).collect());
        assert!(all.len() <= 1 << 20, "a damaged file has no end");
    }
    Ok(all)
}

#[test]
fn every_cell_is_what_pyarrow_reads() {
    let mut seen = 0;
    for entry in fs::read_dir(files()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "jsonl") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let mut lines = text.lines();
        let names: Vec<String> = serde_json::from_str(lines.next().unwrap()).unwrap();
        let bytes = fs::read(path.with_extension("parquet")).unwrap();
        let source = bytes.as_slice();
        let file = File::open(&source).unwrap();
        assert_eq!(file.names().collect::<Vec<_>>(), names, "{name}");
        for wide in [false, true] {
            let found = rows(bytes.clone(), wide).unwrap_or_else(|why| panic!("{name}: {why}"));
            let mut count = 0;
            for (row, line) in found.iter().zip(text.lines().skip(1)) {
                let expected: Vec<Option<(String, String)>> = serde_json::from_str(line).unwrap();
                count += 1;
                for ((column, expected), found) in names.iter().zip(expected).zip(row) {
                    let at = format!("{name}, row {count}, column {column}");
                    match (&expected, found) {
                        (Some((a, x)), Some((b, y))) if a == "number" && b == "number" => {
                            assert!(same(x, y), "{at}: {x} {y}");
                        }
                        // Digits of 64 bits in JSON are not what the lines have.
                        (Some(_), Some(_)) if wide && column == "vector" => {}
                        _ => assert_eq!(expected.as_ref(), found.as_ref(), "{at}"),
                    }
                    seen += 1;
                }
            }
            assert_eq!((found.len(), count), (lines.clone().count(), found.len()), "{name}");
            assert_eq!(file.rows(), count as u64);
        }
    }
    assert!(seen > 10_000, "{seen}");
}

/// Columns that nobody wants are neither read nor looked at, so that damage in them keeps from nothing.
#[test]
fn some_columns_are_read_alone() {
    let bytes = fs::read(files().join("pages2.parquet")).unwrap();
    let (file, all) = (File::open(&bytes.as_slice()).unwrap(), rows(bytes.clone(), false).unwrap());
    let mut damaged = bytes.clone();
    // The pages of the first column.
    damaged[4..60].fill(0xff);
    assert!(rows(damaged.clone(), false).is_err());
    let source = damaged.as_slice();
    let mut some =
        Rows::new(&file, &source, &|_| false).only(&|name| name == "word" || name == "uuid");
    for row in &all {
        assert!(some.advance().unwrap().is_some());
        for (at, cell) in row.iter().enumerate() {
            let wanted = ["word", "uuid"].contains(&some.names()[at].as_str());
            assert_eq!(told(some.cell(at)), cell.clone().filter(|_| wanted));
        }
    }
    assert_eq!(some.advance().unwrap(), None);
}

#[test]
fn what_is_not_read_is_said() {
    for (name, what) in [("lz4", "the codec LZ4"), ("brotli", "the codec Brotli")] {
        let why = rows(fs::read(files().join(name).with_extension("parquet")).unwrap(), false);
        assert_eq!(why.unwrap_err(), format!("column 'id', row 1: {what} is not read here"));
    }
    assert!(rows(b"PAR1".to_vec(), false).unwrap_err().contains("too short"));
    assert!(
        rows(b"PAR1\xff\xff\xff\0PAR1".to_vec(), false)
            .unwrap_err()
            .contains("longer than the file")
    );
    assert!(rows(b"PARE....PARE".to_vec(), false).unwrap_err().contains("encrypted"));
    assert!(rows(b"PAR1\0\0\0\0\0\0\0\0".to_vec(), false).unwrap_err().contains("cut off"));
}

/// Files that are damaged in one byte, or cut off, end in words or in rows: no panic, no endless work.
#[test]
fn damage_ends_in_words() {
    for name in ["dictionary", "pages2", "delta", "deep", "polars", "zstd"] {
        let bytes = fs::read(files().join(name).with_extension("parquet")).unwrap();
        let mut refused = 0;
        let mut state = 7_u64;
        for step in 0..400 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let mut damaged = bytes.clone();
            let at = (state >> 33) as usize % damaged.len();
            damaged[at] = damaged[at].wrapping_add(1 + (state >> 25) as u8 % 255);
            if step % 4 == 0 {
                damaged.truncate(at);
            }
            refused += usize::from(rows(damaged, false).is_err());
        }
        assert!(refused > 100, "{name}: {refused}");
    }
}
