//! `lab pull`

use lab_objects::NameKind;
use lab_remote::{open, plan_pull, pull};

use super::{exchange, name};
use crate::bars::Bars;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::project::locked;

/// Fetch a result and all that it came from; every byte is verified before it is kept
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// A remote's name, or a path
    #[arg(value_name = "REMOTE", default_value = exchange::DEFAULT)]
    remote: String,
    /// Names or hashes [default: what lab.lock pins, or else all names there]
    #[arg(value_name = "REF")]
    what: Vec<String>,
    /// Fetch everything, also what is here, and store again what is damaged here
    #[arg(long)]
    repair: bool,
    /// Only say what would move
    #[arg(long)]
    dry_run: bool,
    /// Move a name here even if it points at something that the remote never had
    #[arg(short, long)]
    force: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let registry = match args.dry_run {
        true => context.registry()?,
        false => context.registry_to_write()?,
    };
    let location = registry.remote(&args.remote)?;
    let remote = open(&location, exchange::told(context))?;
    registry.keep_ends(&remote);
    let mut typed = args.what.clone();
    let lock = match typed.is_empty() {
        true => locked(context, &registry)?.filter(|lock| !lock.steps.is_empty()),
        false => None,
    };
    if let Some(lock) = &lock {
        typed = lock.steps.values().map(|pinned| pinned.run.to_string()).collect();
    } else if typed.is_empty() {
        exchange::warn_of_damaged(context, &remote)?;
        typed = remote.names().list()?.into_iter().map(|(name, _)| name.to_string()).collect();
    }
    if typed.is_empty() {
        return Err(Failure::not_found(format!("{} has no names", lab_remote::shown(&location)))
            .hint("fetch by hash: `lab pull REMOTE HASH`"));
    }
    let what = exchange::bases(&typed)?;
    let who = registry.who();
    let options = exchange::options(context, &who, args.force, args.repair);
    let bars = Bars::new(context.ui);
    let start = context.now_ms();
    let done = if args.dry_run {
        plan_pull(&registry.store, &remote, &what, options, &bars)?
    } else {
        pull(&registry.store, &remote, &what, options, &bars)?
    };
    drop(bars);
    for (name, pinned) in lock.iter().flat_map(|lock| &lock.steps) {
        let is_free = registry.store.names().get(name)?.is_none_or(|m| m.target.is_none());
        if is_free && !args.dry_run {
            let why = "lab pull, by lab.lock";
            name::point(context, &registry, name, pinned.run.into(), NameKind::Result, why)?;
        }
    }
    exchange::tell(context, "from", &location, &done, args.dry_run, context.now_ms() - start);
    if let Some(first) = lock.iter().flat_map(|lock| lock.steps.keys()).next() {
        context.ui.hint(format!(
            "these are the results that lab.lock pins: `lab get {first} .` writes those of a step here"
        ));
    }
    Ok(())
}
