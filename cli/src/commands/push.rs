//! `lab push`

use lab_remote::{Gate, folder_of, open, open_or_create, plan_push, push};

use super::exchange;
use crate::bars::Bars;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::resolve::resolve;
use crate::trust::policy_of;

/// Give a remote a result and all that it came from; only what it lacks travels
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// A remote's name, or a path
    #[arg(value_name = "REMOTE", default_value = exchange::DEFAULT)]
    remote: String,
    /// Names, NAME@seeds, patterns such as 'base*', or hashes [default: all names]
    #[arg(value_name = "REF")]
    what: Vec<String>,
    /// Send everything, also what the remote has, and let it store again what is damaged there
    #[arg(long)]
    repair: bool,
    #[command(flatten)]
    pace: exchange::Pace,
    /// Only say what would move
    #[arg(long)]
    dry_run: bool,
    /// Move a name there even if somebody else has moved it meanwhile
    #[arg(short, long)]
    force: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    args.pace.keep();
    let registry = context.registry()?;
    let location = exchange::location(context, &registry, &args.remote)?;
    let mut typed = args.what.clone();
    if typed.is_empty() {
        exchange::warn_of_damaged(context, &registry.store)?;
        typed =
            registry.store.names().list()?.into_iter().map(|(name, _)| name.to_string()).collect();
    }
    if typed.is_empty() {
        return Err(Failure::not_found("there is no name to push")
            .hint("`lab add PATH --name NAME` makes one"));
    }
    let what = exchange::bases(&registry.store.names(), &typed)?;
    // Before anything is made there: is there something to push?
    for base in what.iter().filter(|_| !args.what.is_empty()) {
        resolve(&registry.store, &base.to_string())?;
    }
    let lineage = registry.lineage()?;
    let who = registry.who();
    // A store on another machine looks itself.
    let policy = match folder_of(&location)? {
        Some(folder) => policy_of(&folder)?,
        None => None,
    };
    let gate = policy.as_ref().map(|policy| policy as &dyn Gate);
    let options = exchange::options(context, &who, gate, args.force, args.repair);
    let bars = Bars::new(context.ui);
    let start = context.now_ms();
    let done = if args.dry_run {
        let remote = open(&location, exchange::told(context))?;
        registry.keep_ends(&remote);
        plan_push(&registry.store, &lineage, &remote, &what, options)?
    } else {
        let (remote, created) = open_or_create(&location, exchange::told(context))?;
        if created {
            context.ui.note(format!("made a store in {}", lab_remote::shown(&location)));
        }
        registry.keep_ends(&remote);
        let _lease = remote.lease()?;
        push(&registry.store, &lineage, &remote, &what, options, &bars)?
    };
    drop(bars);
    exchange::tell(context, "to", &location, &done, args.dry_run, context.now_ms() - start);
    Ok(())
}
