//! `lab clone`

use std::path::{Path, PathBuf};

use lab_objects::Store;
use lab_remote::{RemoteError, Selection, Side, open, plan_pull_part, pull_part};
use lab_schema::Base;

use super::exchange;
use crate::bars::Bars;
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::wiring::Registry;

/// Make a registry here with what a remote has
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The remote: a folder, `HOST:PATH`, a URL, or in a bucket `s3://BUCKET/PREFIX`
    #[arg(value_name = "LOCATION")]
    location: String,
    /// Names or hashes, as for `lab pull` [default: all names there]
    #[arg(value_name = "REF")]
    what: Vec<String>,
    /// The folder to make [default: the remote's last part]
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    #[command(flatten)]
    parts: exchange::Parts,
    #[command(flatten)]
    pace: exchange::Pace,
    /// Only say what would move
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    args.pace.keep();
    let location = context.location(&args.location);
    // Before anything is made here: is there something to clone?
    let remote = open(&location, exchange::told(context))?;
    let shown = match &args.into {
        Some(directory) => directory.clone(),
        None => last_part(&args.location)?,
    };
    let what =
        exchange::bases(&remote.names(), &args.what).map_err(|failure| into(failure, args))?;
    let root = context.path(&shown);
    if root.exists() && root.read_dir().map_or(true, |mut entries| entries.next().is_some()) {
        return Err(Failure::new(
            Exit::Refused,
            format!("{} exists and is not an empty folder", shown.display()),
        )
        .hint(format!(
            "`lab clone {} --into DIR` makes another; in a registry that is there `lab pull LOCATION` brings it",
            args.location
        )));
    }
    if args.dry_run {
        let mut registry = Registry::in_memory(&root)?;
        return fetch(context, args, &mut registry, &location, &remote, what);
    }
    let existed = root.exists();
    let mut registry = Registry::create(&root)?.fetching(context.ui, context.online);
    let result = fetch(context, args, &mut registry, &location, &remote, what);
    if let Err(failure) = result {
        return Err(broken_off(&mut registry, failure, &root, existed, &location, &shown));
    }
    context.ui.hint(format!("`cd {}`, then `lab ls`", shown.display()));
    Ok(())
}

/// What has come need not come again; where nothing has, nothing stays but what somebody else put there.
fn broken_off(
    registry: &mut Registry,
    failure: Failure,
    root: &Path,
    existed: bool,
    location: &str,
    shown: &Path,
) -> Failure {
    if registry.store.packs().is_ok_and(|packs| packs.is_empty()) {
        // Best effort: what went wrong is what matters.
        let _ = std::fs::remove_dir_all(root.join(".lab"));
        if !existed {
            let _ = std::fs::remove_dir(root);
        }
        return failure;
    }
    registry.config.remotes.insert(exchange::DEFAULT.to_owned(), lab_remote::shown(location));
    match registry.config.write(&registry.folder) {
        Ok(()) => failure.hint(format!(
            "what came is kept: `lab -C {} pull` goes on from there",
            shown.display()
        )),
        Err(_) => failure,
    }
}

fn fetch(
    context: &Context,
    args: &Args,
    registry: &mut Registry,
    location: &str,
    remote: &Store,
    mut what: Vec<Base>,
) -> Outcome {
    let _lease = registry.store.lease()?;
    if !args.dry_run {
        registry.keep_ends(remote);
    }
    let who = registry.who();
    let options = exchange::options(context, &who, None, false, false);
    if what.is_empty() {
        exchange::warn_of_damaged(context, remote)?;
        what = remote.names().list()?.into_iter().map(|(name, _)| Base::Name(name)).collect();
    }
    let bars = Bars::new(context.ui);
    let start = context.now_ms();
    let kept = lab_remote::shown(location);
    let selection = Selection { choice: &args.parts.choice(), from: &kept };
    let act = if args.dry_run { plan_pull_part } else { pull_part };
    let done = act(&registry.store, remote, &what, selection, options, &bars);
    let done = done.map_err(|error| match error {
        error @ RemoteError::NotFound { side: Side::Remote, .. } => into(error.into(), args),
        error => error.into(),
    })?;
    drop(bars);
    if !args.dry_run {
        registry.config.remotes.insert(exchange::DEFAULT.to_owned(), kept);
        registry.config.write(&registry.folder)?;
    }
    exchange::tell(context, "from", location, &done, args.dry_run, context.now_ms() - start);
    Ok(())
}

/// For who expects a folder in second place, as git has it.
fn into(failure: Failure, args: &Args) -> Failure {
    match &args.what[..] {
        [one] if args.into.is_none() && !one.contains(['*', '?', '@']) => failure.hint(format!(
            "if '{one}' is the folder to make: `lab clone {} --into {one}`",
            args.location
        )),
        _ => failure,
    }
}

fn last_part(location: &str) -> Outcome<PathBuf> {
    let path = Path::new(location.trim_end_matches('/'));
    let name = path.file_name().filter(|name| *name != ".lab");
    let name = name.or_else(|| path.parent().and_then(Path::file_name));
    name.map(PathBuf::from).ok_or_else(|| {
        Failure::usage(format!("what shall the copy of '{location}' be called?"))
            .hint("`--into DIR` says so")
    })
}
