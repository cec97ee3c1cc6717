//! `lab token`

use std::path::PathBuf;
use std::time::Duration;

use lab_schema::Name;
use lab_serve::{Access, Tokens};
use serde_json::json;

use super::serve::House;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::times::duration;
use crate::ui::{self, NAME, paint};

/// Say who may do what with the stores that `lab serve` serves
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
    /// The settings, if `lab serve` is given some; `tokens.toml` lies beside them
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    /// Make a token and print it, once: only a hash of it is kept
    Add {
        /// What is served
        path: String,
        /// The store that it is for; `*` is all of them. Left out where there is one
        store: Option<String>,
        /// To write too
        #[arg(long)]
        write: bool,
        /// How long it holds, as in 90d [default: until it is revoked]
        #[arg(long, value_name = "TIME", value_parser = duration)]
        expires: Option<Duration>,
        /// Who or what it is for
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
    },
    /// List the tokens, without their secrets
    List {
        /// What is served
        path: String,
    },
    /// Give a token a new secret and print it
    Rotate {
        /// What is served
        path: String,
        /// The token, by the first digits after `lab_`
        id: String,
        /// How long the old secret still holds, as in 1d
        #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
        keep: Duration,
    },
    /// End a token, at once
    Revoke {
        /// What is served
        path: String,
        /// The token, by the first digits after `lab_`
        id: String,
    },
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let house = |path: &str| House::of(context, path, args.config.as_deref());
    match &args.action {
        Action::Add { path, store, write, expires, note } => {
            let house = house(path)?;
            let space = match (store.as_deref(), house.many) {
                (None, false) => "",
                (Some("*"), _) => "*",
                (Some(name), true) => {
                    Name::new(name)?;
                    name
                }
                (Some(name), false) => {
                    return Err(Failure::usage(format!(
                        "{path} is one store; it has none called '{name}'"
                    ))
                    .hint(format!("`lab token add {path}` makes a token for it")));
                }
                (None, true) => {
                    return Err(Failure::usage("for which store?").hint(format!(
                        "`lab token add {path} NAME`; NAME is `*` for all of them"
                    )));
                }
            };
            let access = if *write { Access::Write } else { Access::Read };
            let token = Tokens::at(&house.tokens).add(space, access, note, *expires)?;
            tell(context, &token);
        }
        Action::List { path } => {
            let tokens = Tokens::at(&house(path)?.tokens).list()?;
            for token in &tokens {
                let expires = token.expires.map_or_else(String::new, |at| {
                    format!("  until {}", ui::iso(at.saturating_mul(1000)))
                });
                context.ui.line(format!(
                    "{}  {:<5}  {}{expires}  {}",
                    paint(NAME, &token.id),
                    word(token.access),
                    if token.space.is_empty() { "the store" } else { &token.space },
                    token.note.escape_debug(),
                ));
            }
            if tokens.is_empty() {
                context.ui.hint(format!("no tokens; `lab token add {path}` makes one"));
            }
            let listed: Vec<_> = tokens
                .iter()
                .map(|token| {
                    json!({
                        "id": token.id, "store": token.space, "access": word(token.access),
                        "created": ui::iso(token.created.saturating_mul(1000)),
                        "expires": token.expires.map(|at| ui::iso(at.saturating_mul(1000))), "note": token.note,
                    })
                })
                .collect();
            context.ui.answer(&json!(listed));
        }
        Action::Rotate { path, id, keep } => {
            let token = Tokens::at(&house(path)?.tokens).rotate(plain(id), *keep)?;
            tell(context, &token);
        }
        Action::Revoke { path, id } => {
            Tokens::at(&house(path)?.tokens).revoke(plain(id))?;
            context.ui.line(format!("{}  revoked", paint(NAME, plain(id))));
            context.ui.answer(&json!({ "revoked": plain(id) }));
        }
    }
    Ok(())
}

/// The id in what somebody typed, who may have copied more than that.
fn plain(id: &str) -> &str {
    let id = id.strip_prefix("lab_").unwrap_or(id);
    id.split('_').next().unwrap_or(id)
}

fn word(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Write => "write",
    }
}

fn tell(context: &Context, token: &str) {
    context.ui.line(token);
    context.ui.answer(&json!({ "token": token }));
    context.ui.hint(
        "it is shown this once; who uses it puts it into ~/.netrc: `machine HOST login me password TOKEN`",
    );
}
