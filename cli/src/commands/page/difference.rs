//! The variables that differ between two runs, as a page.

use std::path::Path;

use lab_page::{Block, Column, Inline, Page, Table, Tone};
use lab_replay::{Layer, Variable};
use lab_schema::RunId;
use serde_json::json;

use super::file::{Target, written};
use crate::commands::describe;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::ui::{count, plain};
use crate::wiring::Registry;

/// Longest value that is shown, in characters.
const LONGEST: usize = 400;

/// Writes what differs between two runs, which were typed so, to a file; the answer is no if anything does.
pub(in crate::commands) fn difference(
    context: &Context,
    registry: &Registry,
    path: &Path,
    sides: [(&str, RunId); 2],
    found: &[Variable],
) -> Outcome {
    let output = Some(path.to_owned());
    let target = Target { output, force: false, can_be_forced: false };
    let what = format!("a page on {}", count(found.len() as u64, "difference"));
    let mut answer = written(context, registry, &target, (&what, &page(sides, found).html()))?;
    let [before, after] = sides.map(|(_, run)| run.to_string());
    answer["before"] = json!(before);
    answer["after"] = json!(after);
    answer["differences"] = json!(found.len());
    context.ui.answer(&answer);
    if found.is_empty() { Ok(()) } else { Err(Failure::no()) }
}

fn page(sides: [(&str, RunId); 2], found: &[Variable]) -> Page {
    let names = sides.map(|(typed, _)| plain(typed));
    let facts = sides.map(|(typed, run)| (plain(typed), vec![Inline::code(run.to_string())]));
    let mut blocks = vec![Block::Facts(facts.to_vec())];
    let (consequences, causes): (Vec<&Variable>, Vec<&Variable>) =
        found.iter().partition(|variable| variable.layer.is_consequence());
    if found.is_empty() {
        let head = if sides[0].1 == sides[1].1 { "The same run" } else { "Nothing differs" };
        let text = "Whatever the records hold is the same in both.";
        let inner = vec![Block::Paragraph(vec![Inline::text(text)])];
        blocks.push(Block::Notice(Tone::Good, head.to_owned(), inner));
    }
    let tables = [
        (causes, "What may be the cause", "The likeliest cause of a different result first."),
        (consequences, "What follows", "Consequences of the above; they explain nothing."),
    ];
    for (list, head, words) in tables.into_iter().filter(|(list, ..)| !list.is_empty()) {
        blocks.push(Block::Heading(head.to_owned()));
        blocks.push(Block::Table(table(words, &names, &list)));
    }
    let [before, after] = names;
    let subtitle = format!("{} between two runs", count(found.len() as u64, "difference"));
    Page {
        title: format!("What differs between {before} and {after}"),
        subtitle: vec![Inline::text(subtitle)],
        blocks,
        footer: vec![
            Inline::text("Written by lab "),
            Inline::text(env!("CARGO_PKG_VERSION")),
            Inline::text("."),
        ],
    }
}

fn table(caption: &str, [before, after]: &[String; 2], list: &[&Variable]) -> Table {
    let further_back = list.iter().any(|variable| variable.at.is_some());
    let columns = [
        Column::values("what"),
        Column::values(before),
        Column::values(after),
        Column::words("layer"),
    ];
    let columns =
        columns.into_iter().chain(further_back.then(|| Column::words("in run"))).collect();
    let row = |variable: &&Variable| {
        let grown = variable.delta.map(|delta| {
            let sign = if delta > 0.0 { "+" } else { "" };
            Inline::dim(format!(" ({sign}{})", describe::number(delta)))
        });
        let side = |value: &Option<String>| match value {
            Some(value) => Inline::code(shown(value, variable.layer)),
            None => Inline::dim("absent"),
        };
        let at = variable.at.map(|run| Inline::code(run.short()));
        [
            vec![Inline::text(plain(&variable.what))],
            vec![side(&variable.before)],
            std::iter::once(side(&variable.after)).chain(grown).collect(),
            vec![Inline::text(variable.layer.word())],
        ]
        .into_iter()
        .chain(further_back.then(|| at.into_iter().collect()))
        .collect()
    };
    Table { caption: caption.to_owned(), columns, rows: list.iter().map(row).collect() }
}

/// A value; hashes by their first digits, and numbers that were reached rounded, as elsewhere.
fn shown(value: &str, layer: Layer) -> String {
    if value.len() == 64 && value.bytes().all(|b| b.is_ascii_hexdigit()) {
        return value[..12].to_owned();
    }
    match value.parse::<f64>() {
        Ok(number) if layer == Layer::Metric => describe::number(number),
        _ => crate::ui::shortened(&plain(value), LONGEST),
    }
}
