//! `lab verify`

use std::collections::BTreeMap;

use lab_process::Echo;
use lab_replay::{Bench, Repeat, Verification, verify, verify_deep};
use lab_schema::{Difference, Host, Recipe, Run, RunId, Signed, Slot, Verdict};
use lab_trust::Judgement;
use serde_json::{Value, json};

use super::{compare, describe, follow};
use crate::bars::Bars;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::resolve::{names_of, resolve};
use crate::trust::{self, Believed};
use crate::ui::{self, BAD, DIM, GOOD, HASH, NAME, paint};
use crate::wiring::Registry;

/// Do a run again from its record, and compare every output hash
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Runs, NAME@seeds, patterns such as 'base*', or things that runs made
    #[arg(value_name = "REF", required = true)]
    references: Vec<String>,
    /// Its whole ancestry too, data first; stops at the first run that does not hold
    #[arg(short, long)]
    deep: bool,
    /// Show what the command prints
    #[arg(long)]
    show_output: bool,
    #[command(flatten)]
    follow: follow::StepByStep,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let registry = context.registry_to_write()?;
    let lineage = registry.lineage()?;
    if args.follow.is_given() {
        return follow::run(context, &registry, &args.references, &args.follow);
    }
    let mut runs: Vec<RunId> = Vec::new();
    let mut left_out: Vec<String> = Vec::new();
    for typed in &args.references {
        let (names, stages) = compare::meant_of(&registry.store.names(), &lineage, typed)?;
        for name in names {
            let run = resolve(&registry.store, &name)?.run(&lineage)?;
            // It may have two names.
            if !runs.contains(&run) {
                runs.push(run);
            }
        }
        left_out.extend(stages);
    }
    if !left_out.is_empty() && !args.deep {
        let (few, all) = (left_out.iter().take(3), left_out.len());
        let few = few.map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = if all > 3 { format!(" and {} more", all - 3) } else { String::new() };
        context.ui.note(format!(
            "left out, as stages of what is verified: {few}{more}; `--deep` does them too"
        ));
    }
    // A run that is about to be removed is done again from what is stored again.
    registry.store.rescue(&runs.iter().map(|run| (*run).into()).collect::<Vec<_>>())?;
    let echo = if args.show_output && !context.ui.json { Echo::Through } else { Echo::Quiet };
    let (holds, answers) = verified(context, &registry, &runs, args.deep, echo)?;
    context.ui.answer(&json!(answers));
    if holds { Ok(()) } else { Err(Failure::no()) }
}

/// Does runs again and tells what came of each; whether all of them hold, and the answers.
pub(super) fn verified(
    context: &Context,
    registry: &Registry,
    runs: &[RunId],
    deep: bool,
    echo: Echo,
) -> Outcome<(bool, Vec<Value>)> {
    let lineage = registry.lineage()?;
    let scratch = registry.scratch()?;
    let who = registry.who();
    let bars = Bars::new(context.ui);
    let bench = Bench {
        store: &registry.store,
        lineage: &lineage,
        scratch: &scratch,
        who: &who,
        progress: &bars,
        echo,
        twice: true,
    };
    let (mut holds, mut answers) = (true, Vec::new());
    let believed = Believed::here(context, registry);
    // Several may stand on the same.
    let mut known = BTreeMap::new();
    for run in runs {
        let done = match deep {
            true => verify_deep(&bench, *run, &mut known)?,
            false => vec![verify(&bench, *run)?],
        };
        for verification in &done {
            holds &= verification.attestation.verdict.holds();
            let mut answer = answer(verification);
            bars.suspend(|| {
                tell(context, registry, verification)?;
                vouch(context, registry, &believed, verification, &mut answer)
            })?;
            answers.push(answer);
        }
    }
    Ok((holds, answers))
}

/// Signs the attestation, if a key is set, and tells who signed that and the run.
fn vouch(
    context: &Context,
    registry: &Registry,
    believed: &Believed,
    done: &Verification,
    answer: &mut Value,
) -> Outcome {
    let of = Signed::Attestation(done.id);
    answer["signature"] = trust::sign_recorded(context, registry, of);
    // What was signed a moment ago is in no index yet.
    let lineage = registry.lineage()?;
    let run = believed.of(registry, &lineage, Signed::Run(done.run))?;
    let this = believed.of(registry, &lineage, of)?;
    if believed.cares || !run.is_empty() {
        let words = |all: &[Judgement]| match all {
            [] => paint(DIM, "not signed"),
            all => all.iter().map(trust::painted).collect::<Vec<_>>().join(", "),
        };
        context.ui.line(format!("  {}       {}", paint(DIM, "run"), words(&run)));
        context.ui.line(format!("  {}      {}", paint(DIM, "this"), words(&this)));
    }
    answer["run_signatures"] = run.iter().map(trust::json_of).collect();
    answer["signatures"] = this.iter().map(trust::json_of).collect();
    Ok(())
}

fn tell(context: &Context, registry: &Registry, done: &Verification) -> Outcome {
    let attestation = &done.attestation;
    let run: Run = registry.store.load(done.run)?;
    let recipe: Option<Recipe> = registry.store.get(run.recipe)?;
    let names: Vec<String> =
        names_of(&registry.store, done.run.into())?.iter().map(ToString::to_string).collect();
    let label = match (names.is_empty(), &recipe) {
        (false, _) => paint(NAME, names.join(", ")),
        (true, Some(recipe)) => describe::action(recipe),
        (true, None) => String::new(),
    };
    let verdict = match attestation.verdict.holds() {
        true => paint(GOOD, &attestation.verdict),
        false => paint(BAD, &attestation.verdict),
    };
    let same = run
        .outcome
        .outputs
        .iter()
        .filter(|(slot, id)| attestation.outputs.get(*slot) == Some(*id))
        .count();
    let facts = match &attestation.verdict {
        Verdict::Failed(why) | Verdict::Unverifiable(why) => why.clone(),
        _ => format!(
            "{same} of {}, re-ran in {}, {}",
            ui::count(run.outcome.outputs.len() as u64, "output"),
            ui::duration(attestation.duration_ms),
            if attestation.sealed { "sealed" } else { "not sealed" }
        ),
    };
    context.ui.line(format!("{}  {label}   {verdict}   {facts}", paint(HASH, done.run.short())));
    let width = attestation.differences.iter().map(|d| d.output.as_str().len()).max().unwrap_or(0);
    for difference in &attestation.differences {
        context.ui.line(format!("  {}", evidence(difference, width)));
    }
    if let Some(first) = &done.first_step {
        let (label, step) = (paint(DIM, "first"), follow::divergence(first));
        context.ui.line(format!("  {label}     {step}"));
    }
    for suspect in done.suspects.iter().take(4) {
        context.ui.line(format!("  {}    {}", paint(DIM, "likely"), suspect.sentence));
    }
    match &done.repeat {
        Some(Repeat::Same) => context.ui.line(format!(
            "  {}     done twice here, with equal results: the recipe is steady on this machine",
            paint(DIM, "twice")
        )),
        Some(Repeat::Failed(why)) => context
            .ui
            .line(format!("  {}     the second time it failed: {why}", paint(DIM, "twice"))),
        Some(Repeat::Different(_)) | None => {}
    }
    for note in &done.notes {
        context.ui.note(note);
    }
    if let Some((why, remedy)) = &done.unsealed {
        context.ui.note(format!("not sealed: {why}"));
        context.ui.hint(remedy);
    }
    if !attestation.verdict.holds() && attestation.host != done.recorded {
        context.ui.line(format!(
            "  {}   {}",
            paint(DIM, "machine"),
            machines(&done.recorded, &attestation.host)
        ));
    }
    match &attestation.verdict {
        Verdict::Failed(_) => context.ui.hint(remedy(recipe.as_ref())),
        Verdict::Diverged if done.first_step.is_some() => {
            let first = done.first_step.as_ref();
            follow::hint(context, &done.run.short(), first);
        }
        Verdict::Diverged => {
            context.ui.hint(format!("`lab show {}` shows the record", done.run.short()))
        }
        _ => {}
    }
    Ok(())
}

/// What can be done about a run that could not be executed.
fn remedy(recipe: Option<&Recipe>) -> String {
    match recipe.map(Recipe::executor) {
        Some(lab_schema::Executor::Command(command)) => {
            let program = &command.argv[0];
            format!(
                "the command needs `{program}` and what it uses on this machine; what is recorded is in `lab show`"
            )
        }
        _ => "`lab pull` brings what is missing from a remote that has it".to_owned(),
    }
}

/// One difference: where, both values, and how far apart.
pub(super) fn evidence(d: &Difference, width: usize) -> String {
    let output = ui::pad(ui::NAME, d.output.as_str(), width);
    let at = d.at.as_deref().unwrap_or("");
    let mut distance = Vec::new();
    if let Some(ulps) = d.ulps {
        distance.push(ui::count(ulps, "ulp"));
    }
    if let Some(share) = d.share {
        distance.push(share_of(share.get()));
    }
    if let Some(l2) = d.relative_l2 {
        distance.push(format!("relative L2 {:.1e}", l2.get()));
    }
    if d.tolerated {
        distance.push("within the declared tolerance".to_owned());
    }
    let distance =
        if distance.is_empty() { String::new() } else { format!("   ({})", distance.join("; ")) };
    format!("{output}   {at}   {} → {}{distance}", d.expected, d.actual)
}

fn share_of(share: f64) -> String {
    let percent = share * 100.0;
    if percent >= 10.0 {
        format!("{percent:.0} % differs")
    } else {
        format!("{percent:.2} % differs")
    }
}

fn machines(recorded: &Host, here: &Host) -> String {
    let one = |host: &Host| {
        if host.os.is_empty() {
            return "an unknown machine".to_owned();
        }
        let isa = ["avx512f", "avx2", "asimd", "neon"]
            .into_iter()
            .find(|f| host.cpu_features.iter().any(|g| g == f));
        format!(
            "{}, {}{}",
            ui::count(host.cpus.into(), "core"),
            host.arch,
            isa.map(|f| format!(" {f}")).unwrap_or_default()
        )
    };
    format!("recorded on {}; here {}", one(recorded), one(here))
}

fn answer(done: &Verification) -> Value {
    let attestation = &done.attestation;
    let outputs: serde_json::Map<String, Value> = attestation
        .outputs
        .iter()
        .map(|(slot, content): (&Slot, _)| (slot.to_string(), describe::content_json(*content)))
        .collect();
    json!({
        "run": done.run.to_string(),
        "attestation": done.id.to_string(),
        "verdict": attestation.verdict.word(),
        "why": match &attestation.verdict {
            Verdict::Failed(why) | Verdict::Unverifiable(why) => Some(why),
            _ => None,
        },
        "sealed": attestation.sealed,
        "duration_ms": attestation.duration_ms,
        "outputs": outputs,
        "differences": attestation.differences.iter().map(describe::difference_json).collect::<Vec<_>>(),
        "first_step": done.first_step.as_ref().map(follow::divergence_json),
        "suspects": done.suspects.iter().map(|s| s.sentence.as_str()).collect::<Vec<_>>(),
        "steady": done.repeat.as_ref().map(|repeat| *repeat == Repeat::Same),
    })
}
