//! Data for tests: the shared files, and tables from CSV.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::io::Read;

use lab_preparation::{Cells, Column, MISSING, Table};

pub fn data(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data");
    if let Ok(text) = std::fs::read_to_string(format!("{folder}/{name}")) {
        return text;
    }
    let packed = std::fs::File::open(format!("{folder}/{name}.gz")).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    text
}

pub fn fixture(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    std::fs::read_to_string(format!("{folder}/{name}")).unwrap()
}

/// Reads CSV in which no field holds a comma or a line end.
pub fn table(name: &str) -> Table {
    let text = data(name);
    let mut lines =
        text.lines().map(|line| line.split(',').map(|f| f.trim_matches('"')).collect::<Vec<_>>());
    let names = lines.next().unwrap();
    let rows: Vec<Vec<&str>> = lines.collect();
    let column = |(place, name): (usize, &&str)| {
        let fields: Vec<&str> = rows.iter().map(|row| row[place]).collect();
        Column { name: (*name).to_owned(), cells: cells(&fields) }
    };
    Table { columns: names.iter().enumerate().map(column).collect(), rows: rows.len() }
}

fn cells(fields: &[&str]) -> Cells {
    let missing = |field: &str| matches!(field, "" | "NA");
    if fields.iter().all(|field| missing(field) || field.parse::<f64>().is_ok()) {
        return Cells::Numbers(fields.iter().map(|f| f.parse().unwrap_or(f64::NAN)).collect());
    }
    let mut values: Vec<String> = Vec::new();
    let code = |field: &&str| match values.iter().position(|value| value == field) {
        _ if missing(field) => MISSING,
        Some(code) => code as u32,
        None => {
            values.push((*field).to_owned());
            values.len() as u32 - 1
        }
    };
    let codes = fields.iter().map(code).collect();
    Cells::Text { values, codes }
}
