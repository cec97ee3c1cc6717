//! `lab remote`

use lab_remote::RemoteError;
use serde_json::json;

use super::exchange;
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::project;
use crate::resolve::closest;
use crate::ui::{NAME, paint};
use crate::wiring::Registry;

/// List, add and remove other stores
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Add a store under a name
    Add {
        /// What to call it; `lab push` and `lab pull` use `origin` when none is given
        name: String,
        /// A folder, such as a mounted share; `HOST:PATH` by ssh; `https://HOST/PATH`; `s3://`, `gs://` or `az://BUCKET/PREFIX`. Made by the first push if it does not exist
        #[arg(value_name = "PATH")]
        location: String,
    },
    /// Forget a store; nothing in it is touched
    Remove {
        /// What it is called
        name: String,
    },
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let mut registry = context.registry()?;
    match &args.action {
        None => {
            for (name, location) in &registry.config.remotes {
                context.ui.line(format!("{}  {location}", paint(NAME, name)));
            }
            let declared = project::remotes(context)?;
            let others =
                declared.iter().filter(|(name, _)| !registry.config.remotes.contains_key(*name));
            for (name, location) in others {
                context.ui.line(format!("{}  {location}  (lab.toml)", paint(NAME, name)));
            }
            if registry.config.remotes.is_empty() && declared.is_empty() {
                context.ui.hint("no remotes; `lab remote add origin PATH` adds one");
            }
        }
        Some(Action::Add { name, location }) => add(context, &mut registry, name, location)?,
        Some(Action::Remove { name }) => {
            if registry.config.remotes.remove(name).is_none() {
                let failure = Failure::not_found(format!("no remote '{name}'"));
                let known = registry.config.remotes.keys().map(String::as_str);
                return Err(match closest(name, known) {
                    Some(near) => failure.hint(format!("did you mean `{near}`?")),
                    None => failure.hint("`lab remote` lists them"),
                });
            }
            registry.config.write(&registry.folder)?;
            context
                .ui
                .line(format!("{}  removed; the store itself is untouched", paint(NAME, name)));
        }
    }
    context.ui.answer(&json!(registry.config.remotes));
    Ok(())
}

fn add(context: &Context, registry: &mut Registry, name: &str, location: &str) -> Outcome {
    // The same rules as for registry names: it is typed in the same places.
    lab_schema::Name::new(name)?;
    if let Some(before) = registry.config.remotes.get(name) {
        return Err(Failure::new(Exit::Refused, format!("remote '{name}' exists: {before}"))
            .hint(format!("`lab remote remove {name}` first, or choose another name")));
    }
    if lab_remote::has_secret(location) {
        return Err(Failure::usage(
            "this location holds a secret, which would be kept in a file here",
        )
        .hint("put it into ~/.netrc: `machine HOST login me password TOKEN`")
        .hint(format!("then `lab remote add {name} {}`", lab_remote::shown(location))));
    }
    // What the shell's folder makes of a relative path must hold from every other folder too.
    let absolute = context.location(location);
    let what = match lab_remote::open(&absolute, exchange::told(context)) {
        Ok(_) => "a store is there".to_owned(),
        Err(RemoteError::NotAStore { .. }) => {
            "nothing is there yet; the first push makes a store".to_owned()
        }
        // A machine may be off for a while, or a token be on its way.
        Err(error @ (RemoteError::Unreachable { .. } | RemoteError::Refused { .. })) => {
            format!("not reached now: {error}")
        }
        Err(error) => return Err(error.into()),
    };
    if std::path::Path::new(&absolute).is_file() {
        return Err(Failure::usage(format!("{location} is a file; a remote is a folder")));
    }
    registry.config.remotes.insert(name.to_owned(), absolute.clone());
    registry.config.write(&registry.folder)?;
    context.ui.line(format!("{}  {absolute}  ({what})", paint(NAME, name)));
    Ok(())
}
