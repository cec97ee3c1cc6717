//! `lab serve`

use std::io::{IsTerminal, stderr};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use lab_objects::Folder;
use lab_remote::{RemoteError, answer, open_for_client, open_for_others};
use lab_serve::{ServeError, Served, Server, Settings, Tokens};
use serde_json::json;

use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome};
use crate::ui::{self, say};

/// Let others at stores: by HTTP, or as what `ssh://` remotes run on the far side
///
/// PATH is a store, a registry, a bucket, or a folder in which each store has a folder of its own. Who may
/// do what is said by `lab token`; limits, TLS and open reading by `serve.toml` in PATH.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// What is served
    #[arg(value_name = "PATH")]
    path: String,
    /// The address and port to listen on [default: 127.0.0.1:7770]
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["stdio", "inventory"])]
    listen: Option<SocketAddr>,
    /// The settings, in place of `serve.toml` in PATH; `tokens.toml` lies beside them
    #[arg(long, value_name = "FILE", conflicts_with_all = ["stdio", "inventory"])]
    config: Option<PathBuf>,
    /// How requests are noted on standard error: text, json or none [default: text on a terminal, else json]
    #[arg(long, value_name = "FORM", value_enum, conflicts_with_all = ["stdio", "inventory"])]
    log: Option<Form>,
    /// Make an inventory in the store, kept up to date from then on, with which any web server can hand it
    /// out; and end
    #[arg(long = "static", conflicts_with = "stdio")]
    inventory: bool,
    /// Answer one client on standard input and output; `ssh://` remotes run this, people need not
    #[arg(long)]
    stdio: bool,
}

/// How requests are noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Text,
    Json,
    None,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    if args.stdio {
        let path = context.path(args.path.as_ref());
        let open = |make: bool| open_for_client(&path, make);
        return answer(&mut std::io::stdin().lock(), std::io::stdout(), &open)
            .map_err(|error| Failure::new(Exit::Io, format!("the client broke off: {error}")));
    }
    if args.inventory {
        return keep_inventory(context, args);
    }
    let house = House::of(context, &args.path, args.config.as_deref())?;
    let mut settings = Settings::read(&house.settings)?;
    settings.listen = args.listen.or(settings.listen);
    let tokens = Tokens::at(&house.tokens);
    let is_locked = tokens.list()?.is_empty();
    let opens = settings.default.anonymous_read
        || settings.spaces.values().any(|space| space.anonymous_read);
    let form = args.log.unwrap_or(if stderr().is_terminal() { Form::Text } else { Form::Json });
    let location = house.location.clone();
    let many = house.many;
    let open = move |space: &str, make: bool| {
        let at = match many {
            true => format!("{}/{space}", location.trim_end_matches('/')),
            false => location.clone(),
        };
        open_for_others(&at, make, Box::new(|text| say(text)))
    };
    let log = move |served: &Served| match form {
        Form::None => {}
        Form::Text => say(&text(served)),
        Form::Json => say(&as_json(served)),
    };
    let server = Server::listen(settings, tokens, many, Box::new(open), Box::new(log))?;
    let scheme = if server.is_secret() { "https" } else { "http" };
    let url = format!("{scheme}://{}", server.address()?);
    let of = if many { "/NAME" } else { "" };
    context.ui.line(format!("{url}{of}   {}", lab_remote::shown(&house.location)));
    context.ui.answer(
        &json!({ "url": url, "location": lab_remote::shown(&house.location), "many": many }),
    );
    if is_locked && !opens {
        context.ui.hint(format!(
            "nobody may do anything yet: `lab token add {}{} --write` makes a token",
            args.path,
            if many { " NAME" } else { "" },
        ));
    }
    if !server.is_secret() && !server.address()?.ip().is_loopback() {
        context.ui.note("tokens and data go unencrypted: [tls] in serve.toml, or a proxy before it, changes that");
    }
    if !server.serve(true)? {
        let message = "stopped in the middle of requests that took too long";
        return Err(Failure::new(Exit::No, message)
            .hint("what they had stored is sound; clients go on where they were"));
    }
    Ok(())
}

fn keep_inventory(context: &Context, args: &Args) -> Outcome {
    let path = context.path(args.path.as_ref());
    let inside = path.join(".lab");
    let folder = if inside.join("format").is_file() { inside } else { path };
    let folder = Folder::open(&folder)?;
    folder.keep_inventory()?;
    context.ui.line(format!(
        "{}  kept up to date from now on",
        folder.path().join(lab_objects::INVENTORY).display()
    ));
    context.ui.hint("let a web server hand out this folder, and `lab pull URL` reads from it");
    context.ui.answer(&json!({ "inventory": folder.path().join(lab_objects::INVENTORY) }));
    Ok(())
}

/// What is served, and the files that say how.
pub(super) struct House {
    location: String,
    /// Whether each store has a name.
    pub(super) many: bool,
    settings: PathBuf,
    pub(super) tokens: PathBuf,
}

impl House {
    /// As it is typed.
    pub(super) fn of(context: &Context, typed: &str, config: Option<&Path>) -> Outcome<House> {
        let location = context.location(typed);
        let told = Box::new(|text: &str| say(text));
        // A store by itself; or a place for many, of which there may be none yet.
        let many = match open_for_others(&location, false, told) {
            Ok(_) => false,
            Err(RemoteError::NotAStore { .. }) => true,
            Err(error) => return Err(error.into()),
        };
        let path = context.path(typed.as_ref());
        let folder = match config {
            Some(file) => context.path(file).parent().map(Path::to_owned),
            None if path.join(".lab/format").is_file() => Some(path.join(".lab")),
            None if path.is_dir() => Some(path),
            None => None,
        };
        let Some(folder) = folder else {
            let shown = lab_remote::shown(&location);
            return Err(match typed.contains("://") {
                true => Failure::usage(format!("{shown} has no place for settings and tokens"))
                    .hint("`--config FILE` names the settings; tokens.toml will lie beside them"),
                false => Failure::not_found(format!("{shown} is not there"))
                    .hint("make an empty folder to serve stores that are still to come"),
            });
        };
        let settings = config.map_or_else(|| folder.join("serve.toml"), |file| context.path(file));
        if config.is_some() && !settings.is_file() {
            return Err(Failure::not_found(format!("{} is not there", settings.display())));
        }
        Ok(House { location, many, settings, tokens: folder.join("tokens.toml") })
    }
}

/// A request in a line for people.
fn text(served: &Served) -> String {
    let from = served.from.map_or_else(|| "-".to_owned(), |from| from.to_string());
    let token = served.token.as_deref().unwrap_or("-");
    let trouble = served.trouble.as_ref().map_or_else(String::new, |text| format!("   {text}"));
    format!(
        "{}  {from} {token}  {} {}  {}  {} in, {} out, {}{trouble}",
        ui::iso(ms(served)),
        served.method,
        served.path,
        served.status,
        ui::bytes(served.bytes_in),
        ui::bytes(served.bytes_out),
        ui::duration(u64::try_from(served.took.as_millis()).unwrap_or(u64::MAX)),
    )
}

/// A request in a line for programs.
fn as_json(served: &Served) -> String {
    json!({
        "at": ui::iso(ms(served)),
        "from": served.from.map(|from| from.to_string()),
        "token": served.token,
        "method": served.method,
        "path": served.path,
        "status": served.status,
        "bytes_in": served.bytes_in,
        "bytes_out": served.bytes_out,
        "seconds": served.took.as_secs_f64(),
        "trouble": served.trouble,
    })
    .to_string()
}

fn ms(served: &Served) -> u64 {
    let since = served.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Failure {
        let message = error.to_string();
        match error {
            ServeError::BadFile { .. } | ServeError::Tls { .. } => Failure::usage(message),
            ServeError::Listen { .. } => Failure::new(Exit::Io, message)
                .hint("`--listen 127.0.0.1:0` takes a port that is free"),
            ServeError::NoToken(_) => {
                Failure::not_found(message).hint("`lab token list PATH` lists them")
            }
            _ => Failure::new(Exit::Io, message),
        }
    }
}
