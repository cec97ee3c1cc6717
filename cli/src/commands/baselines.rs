//! `lab baselines`

use lab_tensor::{BASELINES, Baseline};
use serde_json::json;

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::resolve::closest;
use crate::ui::{NAME, pad, write_or_leave};

/// List the standard baselines, or print one to save, change and run
///
/// `lab run baseline:mlp -i data=REF` runs one as it is.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The baseline to print
    name: Option<String>,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    // Who types `list` wants the list; no baseline has that name.
    let Some(name) = args.name.as_ref().filter(|name| *name != "list") else {
        let width = BASELINES.iter().map(|b| b.name.len()).max().unwrap_or(0);
        for baseline in BASELINES {
            context.ui.line(format!("{}  {}", pad(NAME, baseline.name, width), baseline.summary()));
        }
        let all = BASELINES.map(|b| json!({ "name": b.name, "summary": b.summary() }));
        context.ui.answer(&json!(all));
        context
            .ui
            .hint("`lab baselines mlp` prints one, `lab run baseline:mlp -i data=REF` runs it");
        return Ok(());
    };
    let baseline = find(name)?;
    if context.ui.json {
        context.ui.answer(&json!({ "name": baseline.name, "program": baseline.text }));
    } else {
        write_or_leave(&mut std::io::stdout().lock(), baseline.text.as_bytes());
    }
    Ok(())
}

/// The baseline of this name.
pub(super) fn find(name: &str) -> Outcome<Baseline> {
    Baseline::find(name).ok_or_else(|| {
        let failure = Failure::not_found(format!("there is no baseline '{name}'"));
        match closest(name, BASELINES.iter().map(|baseline| baseline.name)) {
            Some(near) => failure.hint(format!("did you mean `{near}`?")),
            None => failure.hint("`lab baselines` lists them"),
        }
    })
}
