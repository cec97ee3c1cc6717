//! A page as a file: whole or not at all, and never over what is there unless that was asked for.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::commands::get::refuse_registry;
use crate::context::Context;
use crate::failure::{Exit, Failure, Outcome, io_failure};
use crate::ui::{self, NAME, paint};
use crate::wiring::Registry;

/// Where a page goes.
#[derive(clap::Args, Debug)]
pub(in crate::commands) struct Target {
    /// Write it to this file; to standard output, if it is '-'
    #[arg(short, long, value_name = "FILE")]
    pub(in crate::commands) output: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long, requires = "output")]
    pub(in crate::commands) force: bool,
    /// Whether there is such a flag.
    #[arg(skip = true)]
    pub(in crate::commands) can_be_forced: bool,
}

/// Writes a page where it was meant to go, and says so; for programs where that is and how many bytes it has. `what` it
/// is stands in the line that says so.
pub(in crate::commands) fn written(
    context: &Context,
    registry: &Registry,
    target: &Target,
    (what, text): (&str, &str),
) -> Outcome<Value> {
    let shown = match &target.output {
        Some(path) if path.as_os_str() != "-" => path,
        _ if context.ui.json => {
            return Err(Failure::usage("--json says what was written where")
                .hint("name the file: `-o FILE`"));
        }
        _ => {
            ui::write_or_leave(&mut io::stdout().lock(), text.as_bytes());
            return Ok(Value::Null);
        }
    };
    let hint = match target.can_be_forced {
        true => "`--force` replaces it",
        false => "name another file, or remove it",
    };
    let path = context.path(shown);
    refuse_registry(registry, &path)?;
    let mut beside = path.clone().into_os_string();
    beside.push(format!(".{}", std::process::id()));
    let beside = PathBuf::from(beside);
    let mut file =
        fs::File::create_new(&beside).map_err(|error| io_failure("write", &path, &error))?;
    let mut write = || -> io::Result<()> {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        if target.force {
            return fs::rename(&beside, &path);
        }
        // A link is made only where nothing is, which no rename promises; some file systems know no links.
        match fs::hard_link(&beside, &path) {
            Ok(()) => fs::remove_file(&beside),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            Err(_) if path.symlink_metadata().is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => fs::rename(&beside, &path),
        }
    };
    write().map_err(|error| {
        // What was begun is of no use; why it failed is what matters.
        let _ = fs::remove_file(&beside);
        match error.kind() {
            io::ErrorKind::AlreadyExists => {
                Failure::new(Exit::Refused, format!("{} is there already", shown.display()))
                    .hint(hint)
            }
            _ => io_failure("write", &path, &error),
        }
    })?;
    let bytes = text.len() as u64;
    context.ui.line(format!("{}  {what}, {}", paint(NAME, shown.display()), ui::bytes(bytes)));
    Ok(json!({ "path": path.to_string_lossy(), "bytes": bytes }))
}
