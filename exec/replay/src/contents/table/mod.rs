//! Two tables: which columns and rows came, went or changed, and whether the order did.
//!
//! Each table is read up to four times and never held: a row is 16 bytes of hash. The order of rows is a
//! variable that nobody writes down and that changes what a training gives, so it is always told. A
//! column that only numbers the rows is left out of the comparison, since one row that goes would change
//! it in all rows below.

mod source;
mod times;
mod scan;
mod pairs;
mod keys;
mod cells;
pub(crate) mod form;

use std::collections::{BTreeSet, HashMap};

use lab_data::{CsvForm, TableForm};
use lab_parquet::File;
use serde::Serialize;

use crate::compare::source::Source;
use crate::contents::stream::{Failed, Told, parsed};
use crate::error::Result;
use cells::Look;
pub use cells::{ColumnCells, Example, ExampleCell};
use keys::{candidates, paired};
pub use scan::Values;
use scan::{Choice, Column, Hasher, Scan, Side};
pub use source::Counted;
use source::{Form, Ranges, said};

/// What differs between two tables.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TableChange {
    /// Rows of the first, its header not counted.
    pub before_rows: u64,
    /// Rows of the second.
    pub after_rows: u64,
    /// What differs in the columns.
    pub columns: ColumnsChange,
    /// What differs in the rows, by the columns that both have.
    pub rows: RowsChange,
    /// In which columns rows changed, and how many of them, most first.
    pub cells: Vec<ColumnCells>,
    /// In how many of the changed rows cells were compared.
    pub looked_at: u64,
    /// A few rows that changed, went and came, in this order.
    pub examples: Vec<Example>,
    /// What the places of these count, in the first and in the second.
    pub counted: (Counted, Counted),
    /// What differs in how they are written, in words.
    pub form: Vec<String>,
}

/// What differs in the columns of two tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ColumnsChange {
    /// Columns that both have.
    pub both: u64,
    /// Those that only the second has.
    pub added: Vec<String>,
    /// Those that only the first has.
    pub removed: Vec<String>,
    /// Those that hold the same values under another name: the old and the new one.
    pub renamed: Vec<(String, String)>,
    /// Those whose values are of another sort.
    pub retyped: Vec<Retyped>,
    /// Those that hold the same values in which some are written otherwise, such as `1.0` for `1`.
    pub rewritten: Vec<String>,
    /// Those that number the rows, and were left out of the comparison.
    pub numbering: Vec<String>,
    /// Whether columns that both have stand in another order.
    pub reordered: bool,
}

/// A column whose values are of another sort.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Retyped {
    /// Its name.
    pub column: String,
    /// What its values were.
    pub before: Values,
    /// What they are.
    pub after: Values,
}

/// What differs in the rows of two tables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RowsChange {
    /// Rows of each that the other has too.
    pub same: u64,
    /// Rows of the second without a partner.
    pub added: u64,
    /// Rows of the first without a partner.
    pub removed: u64,
    /// Rows with a partner that differs.
    pub changed: u64,
    /// How many of the rows that are the same would have to be moved for the order to be the same; none
    /// if that cannot be told.
    pub moved: Option<u64>,
    /// How rows that differ were paired.
    pub by: Paired,
}

/// How rows that differ were paired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Paired {
    /// None were.
    Not,
    /// By a column that holds no value twice.
    Key(String),
    /// By where they stand between rows that are the same.
    Place,
}

/// What differs between two files whose bytes do, as tables. None: they are none; an error says why one
/// that seemed to be a table cannot be read as one.
pub(crate) fn change(
    a: &dyn Source,
    b: &dyn Source,
    name: &str,
) -> Result<Option<Told<TableChange>>> {
    let (x, y) = match (packed(a)?, packed(b)?) {
        (Ok(x), Ok(y)) => (x, y),
        (Err(why), _) | (_, Err(why)) => return Ok(Some(Err(why))),
    };
    let beside = |text: &dyn Source, file: &File| {
        form::beside(text, name, &file.names().collect::<Vec<_>>())
    };
    let forms = match (&x, &y) {
        (None, None) => form::forms(a, b, name)?.map(|(x, y)| (Form::Text(x), Form::Text(y))),
        (Some(x), Some(y)) => Some((Form::Parquet(x, Some(y)), Form::Parquet(y, Some(x)))),
        (Some(x), None) => beside(b, x)?.map(|text| (Form::Parquet(x, None), Form::Text(text))),
        (None, Some(y)) => beside(a, y)?.map(|text| (Form::Text(text), Form::Parquet(y, None))),
    };
    let Some((x, y)) = forms else { return Ok(None) };
    let fields = (x.format() == "CSV") != (y.format() == "CSV");
    let side = |source, form| Side { source, form, fields };
    Ok(Some(compare((side(a, x), side(b, y)))?))
}

/// What a Parquet file says of itself; none of another file.
fn packed(source: &dyn Source) -> Result<Told<Option<File>>> {
    if !is_parquet(source)? {
        return Ok(Ok(None));
    }
    let failed = Failed::default();
    let ranges = Ranges::new(source, &failed);
    parsed(&failed, || File::open(&ranges).map(Some).map_err(|error| said(&error)))
}

/// Whether a source begins as Parquet tables do.
pub(crate) fn is_parquet(source: &dyn Source) -> Result<bool> {
    Ok(source.len() >= 4 && lab_parquet::is_parquet(&source.read(0, 4)?))
}

fn compare((a, b): (Side<'_>, Side<'_>)) -> Result<Told<TableChange>> {
    let hasher = Hasher::new();
    let (mut x, mut y) = match (a.scan(&hasher, &Choice::All)?, b.scan(&hasher, &Choice::All)?) {
        (Ok(x), Ok(y)) => (x, y),
        (Err(why), _) | (_, Err(why)) => return Ok(Err(why)),
    };
    let mut form = Vec::new();
    let names = names((&a, &x), (&b, &y), &mut form);
    let shared = Shared::new(&x, &y, &names);
    let rows = (x.rows.len(), y.rows.len());
    if !shared.is_all((&x, &y)) {
        // What was held makes room for what is read now.
        (x.rows, y.rows) = (Vec::new(), Vec::new());
        let (one, other) = shared.chosen();
        match (a.scan(&hasher, &Choice::These(&one))?, b.scan(&hasher, &Choice::These(&other))?) {
            (Ok(p), Ok(q)) => (x.rows, y.rows) = (p.rows, q.rows),
            (Err(why), _) | (_, Err(why)) => return Ok(Err(why)),
        }
    }
    let matched = pairs::by_content(&x.rows, &y.rows);
    let columns = shared.compared;
    let candidates = candidates(&x, &y, &columns);
    (x.rows, y.rows) = (Vec::new(), Vec::new());
    let (pairs, by) = match paired((&a, &b), &hasher, &matched, rows, candidates)? {
        Ok(found) => found,
        Err(why) => return Ok(Err(why)),
    };
    let removed = without(&matched.left_a, pairs.iter().map(|(row, _)| *row).collect());
    let added = without(&matched.left_b, pairs.iter().map(|(_, row)| *row).collect());
    let key = match &by {
        Paired::Key(name) => columns.iter().position(|(_, column)| column == name),
        _ => None,
    };
    let counted = (a.form.counted(), b.form.counted());
    let look = Look {
        sides: (a, b),
        hasher: &hasher,
        columns: &columns,
        pairs: &pairs,
        removed: &removed,
        added: &added,
        key,
    };
    let any = pairs.len() + removed.len() + added.len() > 0;
    let seen = match if any { look.look()? } else { Ok(cells::Seen::default()) } {
        Ok(seen) => seen,
        Err(why) => return Ok(Err(why)),
    };
    let rows_change = RowsChange {
        same: matched.same,
        added: added.len() as u64,
        removed: removed.len() as u64,
        changed: pairs.len() as u64,
        moved: matched.moved,
        by,
    };
    Ok(Ok(TableChange {
        before_rows: rows.0 as u64,
        after_rows: rows.1 as u64,
        columns: shared.change,
        rows: rows_change,
        cells: seen.columns,
        looked_at: seen.pairs,
        examples: [seen.changed, seen.removed, seen.added].concat(),
        counted,
        form,
    }))
}

/// The names of the second table's columns, in the first table's words: they differ where only one of
/// the tables names its columns. What differs in the form is put into `form`.
fn names(
    (a, x): (&Side<'_>, &Scan),
    (b, y): (&Side<'_>, &Scan),
    form: &mut Vec<String>,
) -> Vec<String> {
    let own = || y.columns.iter().map(|column| column.name.clone()).collect();
    if a.form.format() != b.form.format() {
        form.push(format!("{} → {}", a.form.format(), b.form.format()));
    }
    if let (Form::Parquet(one, Some(other)), Form::Parquet(..)) = (a.form, b.form) {
        for column in other.names().filter(|name| one.names().any(|own| own == *name)) {
            if one.is_single(column) != other.is_single(column) {
                form.push(format!(
                    "column '{}' has floats of another width",
                    column.escape_debug()
                ));
            }
        }
    }
    if let (Form::Text(TableForm::Csv(one)), Form::Text(TableForm::Csv(other))) = (a.form, b.form)
        && one.delimiter != other.delimiter
    {
        let quoted = |form: CsvForm| format!("'{}'", char::from(form.delimiter).escape_default());
        form.push(format!("delimiter {} → {}", quoted(one), quoted(other)));
    }
    if a.form.is_named() == b.form.is_named() {
        return own();
    }
    form.push(format!(
        "only the {} names its columns",
        if a.form.is_named() { "first" } else { "second" }
    ));
    match x.columns.len() == y.columns.len() {
        true => x.columns.iter().map(|column| column.name.clone()).collect(),
        false => own(),
    }
}

/// The columns of two tables, put beside each other.
struct Shared {
    change: ColumnsChange,
    /// Those whose cells are compared, by their names in each.
    compared: Vec<(String, String)>,
}

impl Shared {
    /// `names` are those of the second table, in the first table's words.
    fn new(x: &Scan, y: &Scan, names: &[String]) -> Shared {
        let theirs: HashMap<&str, usize> = names.iter().map(String::as_str).zip(0..).collect();
        let mut change = ColumnsChange::default();
        let mut both: Vec<(&Column, &Column)> = Vec::new();
        let mut order = Vec::new();
        let mut gone: Vec<&Column> = Vec::new();
        for column in &x.columns {
            match theirs.get(column.name.as_str()) {
                Some(place) => {
                    both.push((column, &y.columns[*place]));
                    order.push(*place);
                }
                None => gone.push(column),
            }
        }
        change.reordered = !order.is_sorted();
        let known: BTreeSet<usize> = order.into_iter().collect();
        // By what they hold; of several that hold the same, the first.
        let mut came: Vec<&Column> = Vec::new();
        let mut by_values: HashMap<u128, Vec<&Column>> = HashMap::new();
        for (place, column) in y.columns.iter().enumerate() {
            if !known.contains(&place) {
                came.push(column);
                by_values.entry(column.values).or_default().insert(0, column);
            }
        }
        let mut renamed: BTreeSet<&str> = BTreeSet::new();
        for column in gone {
            let same = by_values.get_mut(&column.values).filter(|_| column.is_telling());
            match same.and_then(Vec::pop).filter(|other| other.missing == column.missing) {
                Some(other) => {
                    change.renamed.push((column.name.clone(), other.name.clone()));
                    renamed.insert(&other.name);
                    both.push((column, other));
                }
                None => change.removed.push(column.name.clone()),
            }
        }
        let added = came.iter().filter(|column| !renamed.contains(column.name.as_str()));
        change.added = added.map(|column| column.name.clone()).collect();
        change.both = both.len() as u64;
        let mut compared = Vec::new();
        for (p, q) in &both {
            let (before, after) = (p.sort(), q.sort());
            let known = before != Values::Nothing && after != Values::Nothing;
            if before != after && known {
                change.retyped.push(Retyped { column: q.name.clone(), before, after });
            }
            if p.values == q.values && p.written != q.written {
                change.rewritten.push(q.name.clone());
            }
            if p.numbering && q.numbering && x.rows.len().max(y.rows.len()) > 1 {
                change.numbering.push(q.name.clone());
            } else {
                compared.push((p.name.clone(), q.name.clone()));
            }
        }
        if compared.is_empty() {
            // A table that holds nothing else.
            change.numbering.clear();
            compared = both.iter().map(|(p, q)| (p.name.clone(), q.name.clone())).collect();
        }
        Shared { change, compared }
    }

    /// Whether what counts are all columns of both, under their own names.
    fn is_all(&self, (x, y): (&Scan, &Scan)) -> bool {
        let count = self.compared.len();
        let own = self.compared.iter().all(|(before, after)| before == after);
        own && count == x.columns.len() && count == y.columns.len()
    }

    /// For each table what counts, with what it is called: as in the first.
    fn chosen(&self) -> (HashMap<String, String>, HashMap<String, String>) {
        let first = self.compared.iter().map(|(before, _)| (before.clone(), before.clone()));
        let second = self.compared.iter().map(|(before, after)| (after.clone(), before.clone()));
        (first.collect(), second.collect())
    }
}

/// What of `all`, which ascends, is not in `some`.
fn without(all: &[u32], mut some: Vec<u32>) -> Vec<u32> {
    some.sort_unstable();
    all.iter().copied().filter(|row| some.binary_search(row).is_err()).collect()
}
