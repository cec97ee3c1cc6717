//! `lab diff`

mod inside;
mod tell;

use std::path::PathBuf;

use lab_replay::{Inside, Layer, Variable, variables};
use lab_schema::{ContentId, RunId};
use serde_json::{Value, json};

use super::{describe, page};
use crate::at_hand::resolve_at_hand;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::resolve::Resolved;
use crate::ui::{self, DIM, GOOD, HASH, NAME, paint};
use crate::wiring::Registry;

/// List every variable that differs between two runs, the likeliest cause first; and what differs
/// inside two files or directories
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// A run, what it made, or any file or directory; or the path of a file here
    #[arg(value_name = "A")]
    before: String,
    /// Another
    #[arg(value_name = "B")]
    after: String,
    /// Write it as a page to this file, which must not be there yet; to standard output, if it is '-'
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Show the lines that differ in code and other text
    #[arg(short, long)]
    patch: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let registry = context.registry()?;
    let lineage = registry.lineage()?;
    let one = resolve_at_hand(context, &registry, &args.before)?;
    let other = resolve_at_hand(context, &registry, &args.after)?;
    let contents = one.id.content().zip(other.id.content());
    let runs = match (one.maker(&lineage)?, other.maker(&lineage)?, contents) {
        (Some(one), Some(other), _) => Some((one, other)),
        (_, _, Some(_)) => None,
        _ => Some((one.run(&lineage)?, other.run(&lineage)?)),
    };
    if args.html.is_some() && runs.is_none() {
        return Err(Failure::usage("a page tells what differs between two runs")
            .hint("no recorded run made these; without `--html` it is told what differs inside"));
    }
    let (mut differs, mut told) = (false, Vec::new());
    if let Some((one, other)) = runs {
        let found = variables(&registry.store, &lineage, one, other)?;
        if let Some(path) = &args.html {
            let sides = [(args.before.as_str(), one), (&args.after, other)];
            return page::difference(context, &registry, path, sides, &found);
        }
        differs = !found.is_empty();
        told = rows(context, &registry, &found, args.patch);
        // Of two things that one run made the run says nothing.
        if found.is_empty() && contents.is_none_or(|(a, b)| a == b) {
            let same = match one == other {
                true => "the same run",
                false => "two runs that differ in nothing recorded",
            };
            context.ui.line(format!("{}  {same}", paint(GOOD, "equal")));
        }
    }
    let within = match contents {
        Some((a, b)) if a != b => {
            differs = true;
            Some(made(context, &registry, (&one, a), (&other, b), runs, args.patch)?)
        }
        Some(_) if runs.is_none() => {
            context.ui.line(format!("{}  the same content", paint(GOOD, "equal")));
            Some(Inside::Equal)
        }
        _ => None,
    };
    let (before, after) = match (runs, contents) {
        (Some((a, b)), _) => (a.to_string(), b.to_string()),
        (None, Some((a, b))) => (a.to_string(), b.to_string()),
        (None, None) => (String::new(), String::new()),
    };
    context.ui.answer(&json!({
        "before": before, "after": after, "differs": told,
        "contents": within.map(|within| json!({
            "before": contents.map(|(id, _)| id.to_string()),
            "after": contents.map(|(_, id)| id.to_string()),
            "inside": within,
        })),
    }));
    if differs { Err(Failure::no()) } else { Ok(()) }
}

/// Says what differs between two runs, with what differs inside; the rows for programs.
fn rows(context: &Context, registry: &Registry, found: &[Variable], patch: bool) -> Vec<Value> {
    let width = found.iter().map(|v| v.what.chars().count()).max().unwrap_or(0).min(40);
    let mut look = inside::Look::new(&registry.store);
    let mut consequences = false;
    let mut told = Vec::new();
    for variable in found {
        if variable.layer.is_consequence() && !consequences {
            consequences = true;
            context.ui.line(paint(DIM, "as a consequence"));
        }
        context.ui.line(row(variable, width));
        let within = look.inside(variable);
        for line in within.iter().flat_map(|within| within.lines(variable.layer, patch)) {
            context.ui.line(format!("  {:<11}  {line}", ""));
        }
        let v = variable;
        told.push(json!({
            "layer": v.layer.word(), "what": v.what, "before": v.before, "after": v.after, "delta": v.delta,
            "at": v.at.map(|run| run.to_string()), "consequence": v.layer.is_consequence(),
            "inside": within.as_ref().and_then(inside::Within::inside),
            "not_looked_into": within.as_ref().and_then(inside::Within::why),
        }));
    }
    told
}

/// Says what differs inside two contents.
fn made(
    context: &Context,
    registry: &Registry,
    (one, a): (&Resolved, ContentId),
    (other, b): (&Resolved, ContentId),
    runs: Option<(RunId, RunId)>,
    patch: bool,
) -> Outcome<Inside> {
    let name = other.leaf.as_deref().or(one.leaf.as_deref()).unwrap_or_default();
    let inside = lab_replay::inside(&registry.store, a, b, name)?;
    let ids = format!("{} → {}", paint(HASH, a.short()), paint(HASH, b.short()));
    let heading = match runs {
        Some((one, other)) if one == other => "inside what one run made",
        Some(_) => "inside what they made",
        None => "inside",
    };
    context.ui.line(format!("{}  {ids}", paint(DIM, heading)));
    for (what, said) in tell::block(&inside, patch) {
        context.ui.line(format!("  {what:<11}  {said}"));
    }
    Ok(inside)
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
    let from = parting(before, after, WIDTH);
    (shown(before, variable.layer, from), shown(after, variable.layer, from))
}

/// From which character on two texts are shown in `width` characters, so that it can be seen where they
/// part.
fn parting(before: &str, after: &str, width: usize) -> usize {
    let same = before.chars().zip(after.chars()).take_while(|(a, b)| a == b).count();
    let long = before.chars().count().max(after.chars().count()) > width;
    if long { same.saturating_sub(width / 3) } else { 0 }
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
