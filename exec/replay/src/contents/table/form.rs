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
    let named = ends(name, &TABLES);
    if ends(name, &OTHERS) {
        return Ok(None);
    }
    let (Some(x), Some(y)) = (start(a)?, start(b)?) else { return Ok(None) };
    match (objects(&x, named), objects(&y, named)) {
        (Some(_), Some(_)) => return Ok(Some((TableForm::Jsonl, TableForm::Jsonl))),
        (Some(names), None) => return Ok(csv(&y, named, &names).map(|y| (TableForm::Jsonl, y))),
        (None, Some(names)) => return Ok(csv(&x, named, &names).map(|x| (x, TableForm::Jsonl))),
        (None, None) => {}
    }
    let Some((p, q)) = delimiters(&x, &y, named) else { return Ok(None) };
    let (Some(one), Some(other)) = (x.csv(p), y.csv(q)) else { return Ok(None) };
    if !(named || is_even(&one) && is_even(&other)) {
        return Ok(None);
    }
    let (first, second) = (header(&one), header(&other));
    // What one does not tell the other does; and a row of words that both begin with is one of names.
    let words: Vec<&String> = other.first.iter().map(|(cell, _)| cell).collect();
    let shared = distinct(&other) && names_any(&one, &words);
    let header = |own: Option<bool>, others: Option<bool>| own.or(others).unwrap_or(shared);
    let form = |header, delimiter| TableForm::Csv(CsvForm { header, delimiter });
    Ok(Some((form(header(first, second), p), form(header(second, first), q))))
}

/// How a text is written that is compared with a table whose columns have these names, in another format.
/// None: it is no table.
pub(crate) fn beside(source: &dyn Source, name: &str, names: &[&str]) -> Result<Option<TableForm>> {
    let named = ends(name, &TABLES);
    if ends(name, &OTHERS) {
        return Ok(None);
    }
    let Some(start) = start(source)? else { return Ok(None) };
    Ok(match objects(&start, true) {
        Some(_) => Some(TableForm::Jsonl),
        None => csv(&start, named, names),
    })
}

fn ends(name: &str, endings: &[&str]) -> bool {
    endings.iter().any(|ending| name.ends_with(ending))
}

/// The keys of the first of the JSON objects that a text consists of; none of another text.
fn objects(start: &Start, named: bool) -> Option<Vec<String>> {
    let glance = start.jsonl().filter(|glance| glance.rows > 1 || named)?;
    Some(glance.first.into_iter().map(|(key, _)| key).collect())
}

/// How a CSV file is written beside a table whose columns have these names.
fn csv(start: &Start, named: bool, names: &[impl AsRef<str>]) -> Option<TableForm> {
    let delimiters = if named { start.delimiters() } else { start.even_delimiters() };
    let delimiter = best(start, &delimiters)?;
    let glance = start.csv(delimiter)?;
    let header = header(&glance).unwrap_or_else(|| names_any(&glance, names));
    let form = TableForm::Csv(CsvForm { header, delimiter });
    (named || is_even(&glance)).then_some(form)
}

/// Whether the first rows are those of a table, though no name says so.
fn is_even(glance: &Glance) -> bool {
    glance.rows >= MANY_ROWS || numbers(glance) > 0
}

/// Whether the first row, of words that differ, has one of these names.
fn names_any(glance: &Glance, names: &[impl AsRef<str>]) -> bool {
    let known = |(cell, _): &(String, Look)| names.iter().any(|name| name.as_ref() == cell);
    distinct(glance) && glance.first.iter().any(known)
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
    let both: Vec<u8> = p.iter().copied().filter(|delimiter| q.contains(delimiter)).collect();
    match best(x, &both) {
        Some(delimiter) => Some((delimiter, delimiter)),
        None => Some((best(x, &p)?, best(y, &q)?)),
    }
}

/// Of some delimiters what gives most columns of numbers.
fn best(start: &Start, among: &[u8]) -> Option<u8> {
    let score = |delimiter: &&u8| {
        let glance = start.csv(**delimiter);
        glance.map_or(0, |glance| 1000 * numbers(&glance) / glance.first.len().max(1))
    };
    // The first of those that are as good.
    among.iter().rev().max_by_key(score).copied()
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
