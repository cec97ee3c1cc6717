//! `lab diff`

use std::path::PathBuf;

use lab_replay::{Layer, Variable, variables};
use serde_json::json;

use super::{describe, page};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::resolve::resolve;
use crate::ui::{self, DIM, GOOD, HASH, NAME, paint};

/// List every variable that differs between two runs, the likeliest cause first
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// A run, or what it made
    #[arg(value_name = "A")]
    before: String,
    /// Another
    #[arg(value_name = "B")]
    after: String,
    /// Write it as a page to this file, which must not be there yet; to standard output, if it is '-'
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let registry = context.registry()?;
    let lineage = registry.lineage()?;
    let one = resolve(&registry.store, &args.before)?.run(&lineage)?;
    let other = resolve(&registry.store, &args.after)?.run(&lineage)?;
    let found = variables(&registry.store, &lineage, one, other)?;
    if let Some(path) = &args.html {
        let sides = [(args.before.as_str(), one), (&args.after, other)];
        return page::difference(context, &registry, path, sides, &found);
    }
    let width = found.iter().map(|v| v.what.chars().count()).max().unwrap_or(0).min(40);
    let mut consequences = false;
    for variable in &found {
        if variable.layer.is_consequence() && !consequences {
            consequences = true;
            context.ui.line(paint(DIM, "as a consequence"));
        }
        context.ui.line(row(variable, width));
    }
    if found.is_empty() {
        let same =
            if one == other { "the same run" } else { "two runs that differ in nothing recorded" };
        context.ui.line(format!("{}  {same}", paint(GOOD, "equal")));
    }
    context.ui.answer(&json!({
        "before": one.to_string(), "after": other.to_string(),
        "differs": found.iter().map(|v| json!({
            "layer": v.layer.word(), "what": v.what, "before": v.before, "after": v.after, "delta": v.delta,
            "at": v.at.map(|run| run.to_string()), "consequence": v.layer.is_consequence(),
        })).collect::<Vec<_>>(),
    }));
    if found.is_empty() { Ok(()) } else { Err(Failure::no()) }
}

fn row(variable: &Variable, width: usize) -> String {
    let (before, after) = both(variable);
    // Names of parameters, options and peers come from somebody else's record.
    let what = plain(&variable.what, 0, MAX_NAME);
    let delta = variable
        .delta
        .map(|d| format!("   ({}{})", if d > 0.0 { "+" } else { "" }, describe::number(d)))
        .unwrap_or_default();
    let at = variable
        .at
        .map(|run| format!("   {}", paint(DIM, format!("in {}", paint(HASH, run.short())))))
        .unwrap_or_default();
    format!(
        "  {:<11}  {}  {} → {}{delta}{at}",
        variable.layer.word(),
        ui::pad(NAME, &what, width),
        before,
        after
    )
}

/// Longest value that is shown whole, in characters.
const WIDTH: usize = 60;

/// Longest name that is shown whole, in characters.
const MAX_NAME: usize = 200;

/// Both values, hashes by their first digits, numbers rounded, long ones where they part.
fn both(variable: &Variable) -> (String, String) {
    let absent = || "absent".to_owned();
    let (before, after) = match (&variable.before, &variable.after) {
        (Some(before), Some(after)) => (before, after),
        (before, after) => {
            let show = |v: &Option<String>| {
                v.as_deref().map_or_else(absent, |v| shown(v, variable.layer, 0))
            };
            return (show(before), show(after));
        }
    };
    let same = before.chars().zip(after.chars()).take_while(|(a, b)| a == b).count();
    let long = before.chars().count().max(after.chars().count()) > WIDTH;
    let from = if long { same.saturating_sub(WIDTH / 3) } else { 0 };
    (shown(before, variable.layer, from), shown(after, variable.layer, from))
}

/// A value by itself.
pub(super) fn value(value: &str, layer: Layer) -> String {
    shown(value, layer, 0)
}

/// A value from its `from`-th character on, as far as there is room, without control characters.
fn shown(value: &str, layer: Layer, from: usize) -> String {
    if value.len() == 64 && value.bytes().all(|b| b.is_ascii_hexdigit()) {
        return value[..12].to_owned();
    }
    if layer == Layer::Metric
        && let Ok(number) = value.parse()
    {
        return describe::number(number);
    }
    plain(value, from, WIDTH)
}

/// At most `most` characters from the `from`-th on, so that printing them steers no terminal.
fn plain(text: &str, from: usize, most: usize) -> String {
    let mut out = if from > 0 { "…".to_owned() } else { String::new() };
    for c in text.chars().skip(from).take(most) {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    if text.chars().count() > from + most { out + "…" } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_shown_where_they_part() {
        let start = "true; ".repeat(40);
        let variable = |before: &str, after: &str| Variable {
            layer: Layer::Argument,
            what: "argument 3".into(),
            before: Some(before.into()),
            after: Some(after.into()),
            delta: None,
            at: None,
        };
        let (before, after) = both(&variable(&format!("{start}a"), &format!("{start}b")));
        assert!(before.ends_with("true; a") && after.ends_with("true; b"), "{before} {after}");
        assert!(before.starts_with('…') && before.chars().count() < WIDTH);
        assert_eq!(both(&variable("é\n", "e")), ("é\\n".to_owned(), "e".to_owned()));
        let hostile = Variable { what: "\u{1b}[2J".repeat(500), ..variable("a", "b") };
        let told = row(&hostile, 10);
        assert!(!told.contains("\u{1b}[2J") && told.len() < 3000, "{told:?}");
    }
}
