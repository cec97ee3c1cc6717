//! How two tables are written, if they are tables.
//!
//! A text is one if its first rows have equally many fields, more than one, or are JSON objects.

use lab_data::{CsvForm, Glance, Look, Start, TableForm};

use crate::compare::source::Source;
use crate::contents::stream::{Failed, Stream, parsed};
use crate::error::Result;

/// Endings of tables.
const TABLES: [&str; 5] = [".csv", ".tsv", ".tab", ".jsonl", ".ndjson"];
/// Endings of texts that are none, however even their lines are.
const OTHERS: [&str; 22] = [
    ".py", ".pyi", ".ipynb", ".r", ".jl", ".rs", ".c", ".h", ".cc", ".cpp", ".cu", ".js", ".ts",
    ".sh", ".md", ".rst", ".tex", ".html", ".json", ".toml", ".yaml", ".yml",
];
/// Rows below the first that a text must have to be taken for a table if it has no number.
const MANY_ROWS: usize = 8;

/// How two files are written as tables. None: they are none.
pub(crate) fn forms(
    a: &dyn Source,
    b: &dyn Source,
    name: &str,
) -> Result<Option<(TableForm, TableForm)>> {
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    let named = ends(&TABLES);
    if ends(&OTHERS) {
        return Ok(None);
    }
    let (Some(x), Some(y)) = (start(a)?, start(b)?) else { return Ok(None) };
    let objects = |start: &Start| start.jsonl().is_some_and(|glance| glance.rows > 1 || named);
    if objects(&x) && objects(&y) {
        return Ok(Some((TableForm::Jsonl, TableForm::Jsonl)));
    }
    let Some((p, q)) = delimiters(&x, &y, named) else { return Ok(None) };
    let (Some(one), Some(other)) = (x.csv(p), y.csv(q)) else { return Ok(None) };
    let even = |glance: &Glance| glance.rows >= MANY_ROWS || numbers(glance) > 0;
    if !(named || even(&one) && even(&other)) {
        return Ok(None);
    }
    let (first, second) = (header(&one), header(&other));
    // What one does not tell the other does; and a row of words that both begin with is one of names.
    let words =
        |glance: &Glance| glance.first.iter().map(|(cell, _)| cell.clone()).collect::<Vec<_>>();
    let shared = distinct(&one)
        && distinct(&other)
        && words(&one).iter().any(|word| words(&other).contains(word));
    let header = |own: Option<bool>, others: Option<bool>| own.or(others).unwrap_or(shared);
    let form = |header, delimiter| TableForm::Csv(CsvForm { header, delimiter });
    Ok(Some((form(header(first, second), p), form(header(second, first), q))))
}

fn start(source: &dyn Source) -> Result<Option<Start>> {
    let failed = Failed::default();
    let found = parsed(&failed, || Start::read(Stream::new(source, &failed)))?;
    Ok(found.ok().filter(|start| !start.is_empty()))
}

/// What stands between the fields of each: the same, if it can be; of several what gives most columns
/// of numbers.
fn delimiters(x: &Start, y: &Start, named: bool) -> Option<(u8, u8)> {
    let all = |start: &Start| if named { start.delimiters() } else { start.even_delimiters() };
    let (p, q) = (all(x), all(y));
    let best = |start: &Start, among: &[u8]| {
        let score = |delimiter: &&u8| {
            let glance = start.csv(**delimiter);
            glance.map_or(0, |glance| 1000 * numbers(&glance) / glance.first.len().max(1))
        };
        // The first of those that are as good.
        among.iter().rev().max_by_key(score).copied()
    };
    let both: Vec<u8> = p.iter().copied().filter(|delimiter| q.contains(delimiter)).collect();
    match best(x, &both) {
        Some(delimiter) => Some((delimiter, delimiter)),
        None => Some((best(x, &p)?, best(y, &q)?)),
    }
}

/// How many columns hold numbers and no words.
fn numbers(glance: &Glance) -> usize {
    glance.below().iter().filter(|seen| seen.numbers > 0 && seen.words == 0).count()
}

/// Whether the first row names the columns; none if it does not tell.
fn header(glance: &Glance) -> Option<bool> {
    let above = glance.first.iter().zip(glance.below());
    let named = above
        .filter(|((_, look), below)| {
            *look == Look::Word && below.numbers > 0 && below.numbers >= 9 * below.words
        })
        .count();
    let number = glance.first.iter().any(|(_, look)| *look == Look::Number);
    match (named > 0, number) {
        (true, _) => Some(true),
        (false, true) => Some(false),
        (false, false) if !distinct(glance) => Some(false),
        (false, false) => None,
    }
}

/// Whether no word stands twice in the first row.
fn distinct(glance: &Glance) -> bool {
    let mut words: Vec<&str> = glance.first.iter().map(|(cell, _)| cell.as_str()).collect();
    words.sort_unstable();
    words.windows(2).all(|pair| pair[0] != pair[1])
}
