//! What differs between two tables, in words.

use lab_replay::{ColumnCells, Counted, Example, ExampleCell, Paired, TableChange, Values};

use super::{NAME, NAMES, Row, VALUE, digits, names, quoted};
use crate::commands::diff::{parting, plain};
use crate::ui::{DIM, count, paint};

fn columns(change: &TableChange) -> Vec<String> {
    let columns = &change.columns;
    let mut parts = Vec::new();
    if !columns.added.is_empty() {
        parts.push(format!("added {}", names(columns.added.iter())));
    }
    if !columns.removed.is_empty() {
        parts.push(format!("removed {}", names(columns.removed.iter())));
    }
    for (old, new) in columns.renamed.iter().take(NAMES) {
        parts.push(format!("{} is now {}", quoted(old), quoted(new)));
    }
    if columns.renamed.len() > NAMES {
        parts.push(format!("{} more have another name", columns.renamed.len() - NAMES));
    }
    for retyped in columns.retyped.iter().take(NAMES) {
        let (before, after) = (values(retyped.before), values(retyped.after));
        parts.push(format!("{} {before} → {after}", quoted(&retyped.column)));
    }
    if columns.retyped.len() > NAMES {
        parts.push(format!("{} more of another sort", columns.retyped.len() - NAMES));
    }
    if !columns.rewritten.is_empty() {
        let written = names(columns.rewritten.iter());
        parts.push(format!("the same values written otherwise in {written}"));
    }
    if columns.reordered {
        parts.push("in another order".to_owned());
    }
    parts
}

const fn values(values: Values) -> &'static str {
    match values {
        Values::Nothing => "nothing",
        Values::Integers => "integers",
        Values::Numbers => "numbers",
        Values::Words => "words",
        Values::Json => "JSON",
    }
}

/// `12 added, 3 removed, 5 changed`.
fn rows(change: &TableChange) -> Vec<String> {
    let counts = [
        (change.rows.added, "added"),
        (change.rows.removed, "removed"),
        (change.rows.changed, "changed"),
    ];
    counts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{} {what}", digits(*n)))
        .collect()
}

fn order(change: &TableChange) -> &'static str {
    match change.rows.moved {
        Some(0) => "order the same",
        Some(_) => "order differs",
        None => "order cannot be told, rows are too much alike",
    }
}

pub(super) fn line(change: &TableChange) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rows = rows(change).join(", ");
    if let [only] = change.cells.as_slice() {
        rows.push_str(&format!(" in column {}", quoted(&only.column)));
    } else if !change.cells.is_empty() {
        rows.push_str(&format!(" in {}", count(change.cells.len() as u64, "column")));
    }
    match rows.is_empty() {
        true if change.rows.moved == Some(0) => {}
        true => parts.push("rows: the same".to_owned()),
        false => parts.push(format!("rows: {rows}")),
    }
    let told = !rows.is_empty() || change.rows.moved != Some(0);
    if told && change.rows.same > 0 {
        parts.push(order(change).to_owned());
    }
    let columns = columns(change);
    if !columns.is_empty() {
        parts.push(format!("columns: {}", columns.join(", ")));
    }
    parts.extend(change.form.iter().cloned());
    parts
}

pub(super) fn block(change: &TableChange) -> Vec<Row> {
    let (before, after) = (change.before_rows, change.after_rows);
    let size = match before == after {
        true => count(after, "row"),
        false => format!("{} → {}", digits(before), count(after, "row")),
    };
    let both = count(change.columns.both, "column");
    let mut out = vec![("table", format!("{size}, {both} in both"))];
    for part in columns(change) {
        out.push(("columns", part));
    }
    if !change.columns.numbering.is_empty() {
        let columns = names(change.columns.numbering.iter());
        out.push(("columns", format!("{columns} numbers the rows and is left out")));
    }
    out.extend(change.form.iter().map(|form| ("form", form.clone())));
    if line(change).is_empty() {
        out.push(("form", "the same cells, with other quotes, blanks or line ends".to_owned()));
    }
    let mut parts = rows(change);
    if change.rows.same > 0 {
        parts.insert(0, format!("{} the same", digits(change.rows.same)));
    }
    let by = match &change.rows.by {
        Paired::Not => String::new(),
        Paired::Key(column) => format!("   (told by {})", quoted(column)),
        Paired::Place => "   (told by where they stand: no column is a key)".to_owned(),
    };
    out.push(("rows", format!("{}{by}", parts.join(", "))));
    if change.rows.same > 0 {
        out.push((
            "order",
            match change.rows.moved {
                Some(0) => "the same".to_owned(),
                Some(moved) => format!(
                    "differs: {} of {} rows stand elsewhere",
                    digits(moved),
                    digits(change.rows.same)
                ),
                None => "cannot be told, rows are too much alike".to_owned(),
            },
        ));
    }
    if !change.cells.is_empty() {
        let column =
            |c: &ColumnCells| format!("{} in {}", quoted(&c.column), count(c.cells, "row"));
        let mut text: Vec<String> = change.cells.iter().take(NAMES).map(column).collect();
        if change.cells.len() > NAMES {
            text.push(format!("{} more", change.cells.len() - NAMES));
        }
        let mut text = text.join(", ");
        if change.looked_at < change.rows.changed {
            text.push_str(&format!("   (of the first {})", digits(change.looked_at)));
        }
        out.push(("changed", text));
    }
    out.extend(change.examples.iter().map(|one| example(one, change.counted)));
    out
}

fn example(example: &Example, (first, second): (Counted, Counted)) -> Row {
    let at = |counted: Counted, place: u64| match counted {
        Counted::Lines => format!("line {place}"),
        Counted::Rows => format!("row {place}"),
    };
    let (what, at) = match (example.before_at, example.after_at) {
        (Some(before), Some(after)) if first != second => {
            ("", format!("{} → {}", at(first, before), at(second, after)))
        }
        (Some(before), Some(after)) if before == after => ("", at(second, after)),
        (Some(before), Some(after)) => ("", format!("{} → {after}", at(first, before))),
        (Some(before), None) => ("removed", at(first, before)),
        (_, after) => ("added", at(second, after.unwrap_or(0))),
    };
    let key = example
        .key
        .as_ref()
        .map(|(column, value)| format!(", {} {}", plain(column, 0, NAME), plain(value, 0, VALUE)));
    let both = example.before_at.is_some() && example.after_at.is_some();
    let cell = |cell: &ExampleCell| {
        let column = plain(&cell.column, 0, NAME);
        let show = |text: &Option<String>, from: usize| {
            text.as_deref().map_or_else(|| "missing".to_owned(), |text| plain(text, from, VALUE))
        };
        match both {
            true => {
                let (p, q) = (cell.before.as_deref(), cell.after.as_deref());
                let from = parting(p.unwrap_or_default(), q.unwrap_or_default(), VALUE);
                format!("{column} {} → {}", show(&cell.before, from), show(&cell.after, from))
            }
            false => {
                let value = cell.before.as_ref().or(cell.after.as_ref());
                format!("{column} {}", show(&value.cloned(), 0))
            }
        }
    };
    let mut cells: Vec<String> = example.cells.iter().map(cell).collect();
    if example.more > 0 {
        cells.push(format!("{} more", digits(example.more)));
    }
    let at = paint(DIM, format!("{at}{}:", key.unwrap_or_default()));
    (what, format!("{at} {}", cells.join(", ")))
}
