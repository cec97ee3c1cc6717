//! `lab pull`

use std::path::PathBuf;

use lab_objects::NameKind;
use lab_remote::{Gate, Selection, open, plan_pull_part, pull_part};

use super::{exchange, name};
use crate::bars::Bars;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::project::{self, locked};
use crate::trust::policy_here;
use crate::wiring::Registry;

/// Fetch a result and all that it came from; every byte is verified before it is kept
///
/// In a project that has no registry yet one is made, beside its lab.toml or lab.lock.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// A remote's name, or a path
    #[arg(value_name = "REMOTE", default_value = exchange::DEFAULT)]
    remote: String,
    /// Names there, NAME@seeds, patterns such as 'base*', or hashes [default: what lab.lock pins, or else all names there]
    #[arg(value_name = "REF")]
    what: Vec<String>,
    #[command(flatten)]
    parts: exchange::Parts,
    /// Fetch everything, also what is here, and store again what is damaged here
    #[arg(long, conflicts_with_all = ["only", "no_env", "depth"])]
    repair: bool,
    #[command(flatten)]
    pace: exchange::Pace,
    /// Only say what would move
    #[arg(long)]
    dry_run: bool,
    /// Move a name here even if it points at something that the remote never had
    #[arg(short, long)]
    force: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    args.pace.keep();
    let (mut registry, made) = registry(context, args)?;
    let done = fetch(context, args, &registry);
    // What has come of a pull that broke off need not come again; without it nothing half made stays.
    if let Some(made) = made {
        if done.is_err() && registry.store.packs()?.is_empty() {
            let _ = std::fs::remove_dir_all(made);
        } else {
            context.ui.note(format!("made a registry in {}", context.shown(&made)));
            let remembered = remember(context, args, &mut registry);
            // What went wrong first is what is told.
            return done.and(remembered);
        }
    }
    done
}

/// A registry that was made by a pull has its remote from there, as after `lab clone`, unless the project
/// names it.
fn remember(context: &Context, args: &Args, registry: &mut Registry) -> Outcome {
    if exchange::location(context, registry, exchange::DEFAULT).is_ok() {
        return Ok(());
    }
    let location = exchange::location(context, registry, &args.remote)?;
    registry.config.remotes.insert(exchange::DEFAULT.to_owned(), lab_remote::shown(&location));
    registry.config.write(&registry.folder)
}

/// The registry, and its folder if it was made just now.
fn registry(context: &Context, args: &Args) -> Outcome<(Registry, Option<PathBuf>)> {
    let found = match args.dry_run {
        true => context.registry(),
        false => context.registry_to_write(),
    };
    let absent = match found {
        Err(failure) if failure.is_not_found() => failure,
        found => return Ok((found?, None)),
    };
    let Some(root) = project::root(context) else { return Err(absent) };
    if args.dry_run {
        return Ok((Registry::in_memory(&root)?, None));
    }
    let mut registry = Registry::create(&root)?.fetching(context.ui, context.online);
    registry.lease = registry.store.lease()?;
    let folder = registry.folder.clone();
    Ok((registry, Some(folder)))
}

fn fetch(context: &Context, args: &Args, registry: &Registry) -> Outcome {
    let location = exchange::location(context, registry, &args.remote)?;
    let remote = open(&location, exchange::told(context))?;
    if !args.dry_run {
        registry.keep_ends(&remote);
    }
    let mut typed = args.what.clone();
    let lock = match typed.is_empty() {
        true => locked(context, registry)?.filter(|lock| !lock.steps.is_empty()),
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
    let what = exchange::bases(&remote.names(), &typed)?;
    let who = registry.who();
    let policy = policy_here(registry)?;
    let gate = policy.as_ref().map(|policy| policy as &dyn Gate);
    let options = exchange::options(context, &who, gate, args.force, args.repair);
    let bars = Bars::new(context.ui);
    let start = context.now_ms();
    let kept = lab_remote::shown(&location);
    let selection = Selection { choice: &args.parts.choice(), from: &kept };
    let act = if args.dry_run { plan_pull_part } else { pull_part };
    let done = act(&registry.store, &remote, &what, selection, options, &bars)?;
    drop(bars);
    for (name, pinned) in lock.iter().flat_map(|lock| &lock.steps) {
        let is_free = registry.store.names().get(name)?.is_none_or(|m| m.target.is_none());
        if is_free && !args.dry_run {
            let why = "lab pull, by lab.lock";
            name::point(context, registry, name, pinned.run.into(), NameKind::Result, why)?;
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
