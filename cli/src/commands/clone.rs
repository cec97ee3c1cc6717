//! `lab clone`

use std::path::{Path, PathBuf};

use lab_remote::{clone, open, pull};

use super::exchange;
use crate::bars::Bars;
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::wiring::Registry;

/// Make a registry here with what a remote has
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The remote: a folder, `HOST:PATH`, or in a bucket `s3://BUCKET/PREFIX`
    #[arg(value_name = "PATH")]
    location: String,
    /// The folder to make [default: the remote's last part]
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Only these names or hashes
    #[arg(long, value_name = "REF", num_args = 1..)]
    only: Vec<String>,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let location = context.location(&args.location);
    // Before anything is made here: is there something to clone?
    let remote = open(&location, exchange::told(context))?;
    let what = exchange::bases(&args.only)?;
    let shown = match &args.directory {
        Some(directory) => directory.clone(),
        None => last_part(&args.location)?,
    };
    let root = context.path(&shown);
    if root.exists() && root.read_dir().map_or(true, |mut entries| entries.next().is_some()) {
        return Err(Failure::new(
            Exit::Refused,
            format!("{} exists and is not an empty folder", shown.display()),
        )
        .hint(
            "choose another: `lab clone PATH DIR`; or `lab pull PATH` inside an existing registry",
        ));
    }
    let existed = root.exists();
    let mut registry = Registry::create(&root)?;
    let result = fetch(context, &mut registry, &location, &remote, &what);
    if result.is_err() && !existed {
        // Nothing half made: the folder is ours alone.
        let _ = std::fs::remove_dir_all(&root);
    } else if result.is_err() {
        let _ = std::fs::remove_dir_all(root.join(".lab"));
    }
    result?;
    context.ui.hint(format!("`cd {}`, then `lab ls`", shown.display()));
    Ok(())
}

fn fetch(
    context: &Context,
    registry: &mut Registry,
    location: &str,
    remote: &lab_objects::Store,
    what: &[lab_schema::Base],
) -> Outcome {
    let _lease = registry.store.lease()?;
    registry.keep_ends(remote);
    let who = registry.who();
    let options = exchange::options(context, &who, false, false);
    let bars = Bars::new(context.ui);
    let start = context.now_ms();
    let done = if what.is_empty() {
        exchange::warn_of_damaged(context, remote)?;
        clone(&registry.store, remote, options, &bars)?
    } else {
        pull(&registry.store, remote, what, options, &bars)?
    };
    drop(bars);
    registry.config.remotes.insert(exchange::DEFAULT.to_owned(), lab_remote::shown(location));
    registry.config.write(&registry.folder)?;
    exchange::tell(context, "from", location, &done, false, context.now_ms() - start);
    Ok(())
}

fn last_part(location: &str) -> Outcome<PathBuf> {
    let path = Path::new(location.trim_end_matches('/'));
    let name = path.file_name().filter(|name| *name != ".lab");
    let name = name.or_else(|| path.parent().and_then(Path::file_name));
    name.map(PathBuf::from).ok_or_else(|| {
        Failure::usage(format!("what shall the copy of '{location}' be called?"))
            .hint("`lab clone PATH DIR` says so")
    })
}
