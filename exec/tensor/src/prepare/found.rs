//! What the settings leave open of a table: what separates its fields, whether its first line names
//! the columns, which of the columns are words.
//!
//! It is told from the first 1,000 rows (see [`Start`]), by rules that a person can do in the head, and
//! it is refused to guess: where a rule does not decide, the error names the setting that does. What
//! was found stands in `prepare.json`.

use lab_data::{Glance, Look, Seen, Start};
use lab_schema::Value;

use crate::error::{Result, TensorError};
use crate::files::{Found, Inputs};
use crate::settings::Settings;
use crate::task::TABLE;

/// The most distinct words of a column that is found to be words.
const MOST_WORDS: usize = 100;

/// How a table is written: as its settings say, or as it looks.
pub(super) struct Written {
    pub(super) delimiter: u8,
    pub(super) header: bool,
    /// The first rows of each column, if which are words is left open.
    columns: Option<Vec<Seen>>,
    rows: usize,
    /// What was found, but for the columns of words.
    found: Found,
}

impl Written {
    /// Looks at the table as far as the settings leave something open.
    pub(super) fn of(inputs: Inputs<'_>, settings: &Settings<'_>) -> Result<Written> {
        let mut written = Written {
            delimiter: b',',
            header: false,
            columns: None,
            rows: 0,
            found: Found::default(),
        };
        let jsonl = settings.text("format")? == "jsonl";
        let open = ["delimiter", "header", "categories"].into_iter();
        if open.flat_map(|key| settings.value(key)).all(|given| !is_auto(given)) {
            written.header = settings.bool("header")?;
            written.delimiter = settings.text("delimiter")?.bytes().next().unwrap_or(b',');
            return Ok(written);
        }
        let start = Start::read(inputs.open(TABLE)?)?;
        match settings.text("delimiter")? {
            AUTO if jsonl || start.is_empty() => {}
            AUTO => {
                written.delimiter = delimiter(&start)?;
                written.found.delimiter = Some(char::from(written.delimiter).to_string());
            }
            given => written.delimiter = given.bytes().next().unwrap_or(b','),
        }
        let glance = match jsonl {
            true => start.jsonl(),
            false => start.csv(written.delimiter),
        };
        match (settings.value("header")?, &glance) {
            (Value::Bool(given), _) => written.header = *given,
            (_, Some(glance)) if !jsonl => {
                written.header = header(glance, &named(settings)?)?;
                written.found.header = Some(written.header);
            }
            _ => {}
        }
        if let (true, Some(glance)) = (is_auto(settings.value("categories")?), &glance) {
            written.columns = Some(glance.columns(jsonl || written.header));
            written.rows = glance.rows + usize::from(!jsonl && !written.header);
        }
        Ok(written)
    }

    /// Whether which columns are words was left open, and this one is: nine in ten of the cells that
    /// are known are no numbers. Of any other a cell that is no number is an error.
    pub(super) fn is_words(&self, column: usize) -> bool {
        let seen = self.columns.as_ref().and_then(|columns| columns.get(column));
        seen.is_some_and(|seen| seen.words > 0 && seen.words >= 9 * seen.numbers)
    }

    /// Refuses a column of words of which the first rows have too many different ones.
    pub(super) fn check_start(&self, column: usize, name: &str) -> Result<()> {
        let seen = self.columns.as_ref().and_then(|columns| columns.get(column));
        match seen.map_or(0, Seen::distinct) {
            many if many > MOST_WORDS => Err(too_many(name, many, self.rows)),
            _ => Ok(()),
        }
    }

    /// Refuses a column of words that has too many different ones in all its rows.
    pub(super) fn check_whole(&self, name: &str, distinct: usize, rows: usize) -> Result<()> {
        let many = distinct > MOST_WORDS || 2 * distinct > rows;
        if self.columns.is_some() && many { Err(too_many(name, distinct, rows)) } else { Ok(()) }
    }

    /// What was found; none if it is a comma, no header and no words, or if nothing was left open.
    pub(super) fn found(&self, words: Vec<String>) -> Option<Found> {
        let categories = self.columns.as_ref().map(|_| words);
        let found = Found { categories, ..self.found.clone() };
        (!found.is_plain()).then_some(found)
    }
}

/// What leaves a setting open.
const AUTO: &str = "auto";

fn is_auto(value: &Value) -> bool {
    matches!(value, Value::Text(word) if word == AUTO)
}

/// The only delimiter that cuts the first rows into equally many fields.
fn delimiter(start: &Start) -> Result<u8> {
    let quoted = |delimiter: &u8| format!("'{}'", char::from(*delimiter).escape_default());
    match start.delimiters().as_slice() {
        [only] => Ok(*only),
        [] => {
            let first = start.csv(0).and_then(|glance| glance.first.into_iter().next());
            let first = shown(&first.map_or(String::new(), |(line, _)| line));
            let why = format!("none of ',', ';', '|' and tab cuts its first line, '{first}'");
            Err(TensorError::Unclear { key: "prepare.delimiter", why })
        }
        several => {
            let several: Vec<String> = several.iter().map(quoted).collect();
            let why = format!("{} can cut its first lines: say which", several.join(" and "));
            Err(TensorError::Unclear { key: "prepare.delimiter", why })
        }
    }
}

/// The columns that the settings call by a name that is no number.
fn named<'a>(settings: &Settings<'a>) -> Result<Vec<&'a str>> {
    let mut values = Vec::new();
    for key in ["label", "group", "key"] {
        values.push(settings.value(key)?);
    }
    for key in ["ignore", "categories"] {
        if let Value::List(columns) = settings.value(key)? {
            values.extend(columns);
        }
    }
    let name = |value: &&'a Value| match value {
        Value::Text(name) if name.parse::<f64>().is_err() => Some(name.as_str()),
        _ => None,
    };
    Ok(values.iter().filter_map(name).collect())
}

/// Whether the first row names the columns.
///
/// It does if a setting calls a column by one of its cells. Else it does if a word in it stands above
/// numbers, and does not if it has a number itself, or a word twice; it must not be both or neither.
fn header(glance: &Glance, named: &[&str]) -> Result<bool> {
    let unclear = |why: String| Err(TensorError::Unclear { key: "prepare.header", why });
    let first = &glance.first;
    if first.iter().any(|(cell, _)| named.contains(&cell.as_str())) {
        return Ok(true);
    }
    let above = |(cell, below): (&(String, Look), &Seen)| {
        let numbers = below.numbers > 0 && below.numbers >= 9 * below.words;
        (cell.1 == Look::Word && numbers).then(|| shown(&cell.0))
    };
    let name = first.iter().zip(glance.below()).find_map(above);
    let number = first.iter().find(|(_, look)| *look == Look::Number).map(|(cell, _)| shown(cell));
    match (name, number) {
        (Some(_), None) => Ok(true),
        (None, Some(_)) => Ok(false),
        (Some(name), Some(number)) => unclear(format!(
            "its first line has '{name}' above numbers, but also the number '{number}': say true \
             if it names the columns, else false"
        )),
        (None, None) => {
            let mut words: Vec<&str> = first
                .iter()
                .filter(|(_, look)| *look == Look::Word)
                .map(|(cell, _)| cell.as_str())
                .collect();
            let all = words.len();
            words.sort_unstable();
            words.dedup();
            if words.len() < all {
                return Ok(false);
            }
            unclear(
                "its first line has no number, and no word above numbers: say true if it names the \
                 columns, else false"
                    .to_owned(),
            )
        }
    }
}

fn too_many(name: &str, distinct: usize, rows: usize) -> TensorError {
    let name = shown(name);
    TensorError::Unclear {
        key: "prepare.categories",
        why: format!(
            "column {name} has {distinct} different words in {rows} rows: leave it out by \
             prepare.ignore, or list all columns of words in prepare.categories"
        ),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}
