//! `lab init`

use std::path::PathBuf;

use serde_json::json;

use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::wiring::Registry;

/// Make a registry in a folder
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The folder; made if it does not exist [default: this one]
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let root = match &args.directory {
        Some(directory) => context.path(directory),
        None => context.directory.clone(),
    };
    let shown = match &args.directory {
        Some(directory) => directory.join(".lab"),
        None => PathBuf::from(".lab"),
    };
    let existed = root.join(".lab").join("format").exists();
    if existed {
        let registry = Registry::open(root.join(".lab"))?;
        let names = registry.store.names().list()?.len();
        context.ui.line(format!(
            "Registry in {} was here already ({names} names). Nothing changed.",
            shown.display()
        ));
    } else {
        if root.ends_with(".lab")
            || root.ancestors().any(|a| a.join("packs").is_dir() && a.join("format").is_file())
        {
            return Err(Failure::new(
                Exit::Refused,
                format!("{} belongs to a store", root.display()),
            )
            .hint("make the registry beside it"));
        }
        let registry = Registry::create(&root)?;
        let names = registry.store.names().list()?.len();
        let found = match names {
            0 => "empty".to_owned(),
            n => format!(
                "{n} names found: its file 'format' was missing and is back; see `lab check`"
            ),
        };
        context.ui.line(format!("Registry in {} ({found}). Store format 2.", shown.display()));
    }
    context.ui.answer(&json!({ "registry": root.join(".lab").to_string_lossy(), "created": !existed, "format": 1 }));
    Ok(())
}
