//! `lab check`

use lab_objects::check;
use serde_json::json;

use crate::bars::Bars;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::ui::{self, BAD, GOOD, paint};

/// Read everything back and see whether it is what was stored
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Only structure, links and names, not every byte
    #[arg(long)]
    fast: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let registry = context.registry()?;
    let bars = Bars::new(context.ui);
    let report = check(&registry.store, !args.fast, &bars)?;
    drop(bars);
    let depth = if args.fast { "structure read, not every byte" } else { "every byte read" };
    let size = format!(
        "{} in {}, {}",
        ui::count(report.objects, "object"),
        ui::count(report.packs, "pack"),
        ui::bytes(report.bytes)
    );
    for finding in &report.findings {
        context.ui.line(format!("{}  {finding}", paint(BAD, "damaged")));
    }
    let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    context.ui.answer(&json!({
        "sound": findings.is_empty(), "packs": report.packs, "objects": report.objects,
        "bytes": report.bytes, "every_byte": !args.fast, "findings": findings,
    }));
    if findings.is_empty() {
        context.ui.line(format!("{}  {size}; {depth}", paint(GOOD, "sound")));
        return Ok(());
    }
    context.ui.line(format!(
        "{}  {}; {size}; {depth}",
        paint(BAD, "not sound"),
        ui::count(findings.len() as u64, "finding")
    ));
    context.ui.hint("`lab add --repair PATH` stores files again that the work tree still has; `lab pull --repair` fetches them from a remote that has them");
    Err(Failure::no())
}
