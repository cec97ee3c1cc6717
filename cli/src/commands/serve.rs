//! `lab serve`

use std::path::PathBuf;

use lab_remote::{answer, open_for_client, store_in};

use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::trust::guard;

/// Let others at a store: answer the questions of one client on standard input and output
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The store's folder, or a folder with a registry in it
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// What `ssh://` remotes run on the far side; people need not
    #[arg(long, required = true)]
    stdio: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    debug_assert!(args.stdio, "the command line requires it");
    let path = context.path(&args.path);
    let open = |make: bool| {
        let mut opened = open_for_client(&path, make)?;
        if let Some(folder) = store_in(&path)? {
            opened.guard = guard(&folder);
        }
        Ok(opened)
    };
    answer(&mut std::io::stdin().lock(), std::io::stdout(), &open)
        .map_err(|error| Failure::new(Exit::Io, format!("the client broke off: {error}")))
}
