//! `lab vary`

use lab_process::Echo;
use lab_replay::{Bench, Effect, Factor, Varied, vary};
use serde_json::{Value, json};

use super::{describe, verify};
use crate::bars::Bars;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::resolve::{closest, resolve};
use crate::ui::{self, BAD, DIM, GOOD, HASH, NAME, pad, paint};

/// What a result depends on that is not the same twice.
const CHANCE: &str = "chance";

/// Do a run again with one thing changed at a time, and say on which of them its result depends
///
/// Tried are the seed of hashes, the order of listings, threads, processors, instructions, time zone, locale, host name,
/// user, home folder, path, addresses of memory, permissions of new files, the system's random bytes and the time of day,
/// each in a sealed box. Exit code 1: the result depends on something.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// A run, or something that a run made
    #[arg(value_name = "REF")]
    reference: String,
    /// Only these, as in hash-seed,listing [default: all]
    #[arg(long, value_name = "FACTOR", value_delimiter = ',')]
    only: Vec<String>,
    /// Show what the command prints
    #[arg(long)]
    show_output: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let factors = factors(&args.only)?;
    let registry = context.registry_to_write()?;
    let lineage = registry.lineage()?;
    let scratch = registry.scratch()?;
    let who = registry.who();
    let id = resolve(&registry.store, &args.reference)?.run(&lineage)?;
    registry.store.rescue(&[id.into()])?;
    let bars = Bars::new(context.ui);
    let echo = if args.show_output && !context.ui.json { Echo::Through } else { Echo::Quiet };
    let bench = Bench {
        store: &registry.store,
        lineage: &lineage,
        scratch: &scratch,
        who: &who,
        progress: &bars,
        echo,
        twice: false,
    };
    context.ui.line(format!("{}  {}", paint(HASH, id.short()), paint(NAME, &args.reference)));
    let done = vary(&bench, id, &factors, &mut |varied| {
        bars.suspend(|| context.ui.line(row(varied)));
    })?;
    drop(bars);
    context.ui.answer(&json!({
        "run": id.to_string(),
        "varied": done.iter().map(answer).collect::<Vec<_>>(),
    }));
    // What counts was changed after the last time that nothing was: then it was steady, or that is all.
    let last = done.iter().rposition(|v| v.factor.is_none()).unwrap_or(0);
    let steady = done.get(last).is_some_and(|v| v.effect == Effect::None);
    let counts = |v: &&Varied| v.matters() && (v.factor.is_some() || !steady);
    let matter = done[last.min(done.len())..].iter().filter(counts);
    let mut matter: Vec<&str> = matter.map(|v| v.factor.map_or(CHANCE, Factor::word)).collect();
    if matter.is_empty() && done.iter().any(Varied::matters) {
        matter.push(CHANCE);
    }
    if matter.is_empty() {
        let tried = done.iter().filter(|v| v.factor.is_some() && v.effect == Effect::None).count();
        context.ui.line(match tried {
            1 => "  it does not depend on the one that was changed".to_owned(),
            _ => format!("  it depends on none of the {tried} that were changed"),
        });
        return Ok(());
    }
    context.ui.line(format!("  it depends on {}", paint(BAD, matter.join(", "))));
    if matter == [CHANCE] {
        context.ui.hint(match steady {
            true => "with random bytes and the time pinned it gives the same twice: `lab run --level 3` records it so",
            false => "what else it depends on cannot be told before it gives the same twice; where random bytes and the time are pinned and it still does not, threads or processes race, or it hangs on addresses of memory, numbers of processes or the processor's own counter",
        });
    }
    Err(Failure::no())
}

/// The factors of these names; all if there are none.
fn factors(names: &[String]) -> Outcome<Vec<Factor>> {
    let known = Factor::ALL.map(Factor::word);
    let find = |name: &String| {
        Factor::named(name).ok_or_else(|| {
            let failure = Failure::usage(format!("there is no factor '{name}'"));
            match closest(name, known.into_iter()) {
                Some(near) => failure.hint(format!("did you mean `{near}`?")),
                None => failure.hint(format!("there are {}", known.join(", "))),
            }
        })
    };
    match names.is_empty() {
        true => Ok(Factor::ALL.to_vec()),
        false => names.iter().map(find).collect(),
    }
}

fn row(varied: &Varied) -> String {
    let width = Factor::ALL.iter().map(|f| f.word().len()).max().unwrap_or(0);
    let name = pad(NAME, varied.factor.map_or("nothing", Factor::word), width);
    let how = paint(DIM, ui::shortened(&varied.how, 70));
    match &varied.effect {
        Effect::None => format!("  {name}  {}     {how}", paint(GOOD, "same")),
        Effect::Differs(all) => {
            let more = match all.len() {
                0 | 1 => String::new(),
                n => format!(", and {} more", ui::count(n as u64 - 1, "output")),
            };
            let first = all.first().map(|d| verify::evidence(d, 0)).unwrap_or_default();
            format!("  {name}  {}  {how}   {first}{more}", paint(BAD, "differs"))
        }
        Effect::Fails(why) => format!("  {name}  {}    {how}   {why}", paint(BAD, "fails")),
        Effect::Untried(why) => format!("  {name}  {}  {why}", paint(DIM, "untried")),
    }
}

fn answer(varied: &Varied) -> Value {
    let (word, why, differences) = match &varied.effect {
        Effect::None => ("same", None, &[][..]),
        Effect::Differs(all) => ("differs", None, &all[..]),
        Effect::Fails(why) => ("fails", Some(why), &[][..]),
        Effect::Untried(why) => ("untried", Some(why), &[][..]),
    };
    json!({
        "factor": varied.factor.map(Factor::word), "changed": varied.how, "effect": word, "why": why,
        "differences": differences.iter().map(describe::difference_json).collect::<Vec<_>>(),
    })
}
