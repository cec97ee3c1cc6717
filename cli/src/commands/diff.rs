//! `lab diff`

use lab_replay::{Layer, Variable, variables};
use serde_json::json;

use super::describe;
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
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let registry = context.registry()?;
    let lineage = registry.lineage()?;
    let one = resolve(&registry.store, &args.before)?.run(&lineage)?;
    let other = resolve(&registry.store, &args.after)?.run(&lineage)?;
    let found = variables(&registry.store, &lineage, one, other)?;
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
    let show = |value: &Option<String>| {
        value.as_deref().map_or_else(|| "absent".to_owned(), |v| shortened(v, variable.layer))
    };
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
        ui::pad(NAME, &variable.what, width),
        show(&variable.before),
        show(&variable.after)
    )
}

/// Hashes by their first digits, long values by their start.
fn shortened(value: &str, layer: Layer) -> String {
    if value.len() == 64 && value.bytes().all(|b| b.is_ascii_hexdigit()) {
        return value[..12].to_owned();
    }
    if layer == Layer::Metric
        && let Ok(number) = value.parse()
    {
        return describe::number(number);
    }
    let visible: String = value
        .chars()
        .take(60)
        .flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect();
    if value.chars().count() > 60 { format!("{visible}…") } else { visible }
}
