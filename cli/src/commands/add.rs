//! `lab add`

use std::path::{Path, PathBuf};

use lab_objects::{NameKind, StatCache, add_cached};
use lab_schema::{ContentId, Name, ObjectId};
use serde_json::json;

use super::{describe, name};
use crate::bars::Bars;
use crate::context::Context;
use crate::failure::{Failure, Outcome, io_failure};
use crate::new_name::new_name;
use crate::resolve::resolve;
use crate::ui::{self, HASH, NAME, paint};
use crate::wiring::Registry;

/// Keep exact bytes of files and folders, and print their hash
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Files or folders; `b3sum` of a file prints the same hash
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Give it a name; an existing name moves, and keeps its history
    #[arg(short, long)]
    name: Option<String>,
    /// Store weights as differences to these [default: what the name pointed at so far]
    #[arg(short, long, value_name = "REF")]
    base: Vec<String>,
    /// Read every file, also those that seem not to have changed since they were last read
    #[arg(long)]
    no_cache: bool,
    /// Read back what is stored already, and store it again if it is damaged
    #[arg(long)]
    repair: bool,
    /// What the name is for [default: guessed from the file's ending]
    #[arg(short, long, value_name = "KIND", requires = "name")]
    kind: Option<NameKind>,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    if args.name.is_some() && args.paths.len() > 1 {
        return Err(Failure::usage("one name cannot point at several things")
            .hint("add them one by one, or add the folder that holds them"));
    }
    let registry = context.registry_to_write()?;
    let name = args.name.as_deref().map(|name| new_name(&registry.store, name)).transpose()?;
    let bars = Bars::new(context.ui);
    let mut writer = registry.store.writer();
    if args.repair {
        writer.trust_nothing();
    }
    writer.set_bases(&bases(&registry, args, name.as_ref())?);
    let mut cache = (!args.no_cache && !args.repair).then(|| registry.stat_cache());
    let mut added = Vec::new();
    for path in &args.paths {
        let at = context.path(path);
        if !at.exists() {
            return Err(no_such_path(path, &at));
        }
        added.push((path, add_cached(&mut writer, &at, cache.as_mut(), &bars)?));
    }
    writer.finish()?;
    drop(bars);
    if let Some(Err(error)) = cache.map(StatCache::save) {
        // Nothing is lost: the files are read again next time.
        context.ui.note(format!("which files were read could not be noted: {error}"));
    }
    let mut answers = Vec::new();
    for (path, added) in &added {
        let id: ObjectId = added.content.into();
        let mut parts = vec![paint(HASH, id.short())];
        let mut kind = None;
        if let Some(name) = &name {
            let chosen = args.kind.unwrap_or_else(|| describe::guess_kind(&path.to_string_lossy()));
            let why = format!("lab add {}", path.display());
            name::point(context, &registry, name, id, chosen, &why)?;
            parts.push(paint(NAME, name));
            parts.push(chosen.to_string());
            kind = Some(chosen.to_string());
        } else {
            parts.push(path.display().to_string());
        }
        if id.content().is_some_and(|c| matches!(c, lab_schema::ContentId::Tree(_))) {
            parts.push(ui::count(added.files, "file"));
        }
        parts.push(ui::bytes(added.bytes));
        context.ui.line(parts.join("  "));
        answers.push(json!({
            "path": path.to_string_lossy(), "id": id.digest().to_string(), "object": id.kind().as_str(),
            "files": added.files, "bytes": added.bytes, "name": name, "kind": kind,
        }));
    }
    if name.is_none() {
        let id = added.first().map(|(_, a)| a.content.short()).unwrap_or_default();
        context.ui.hint(format!("nothing points at it yet: `lab name NAME {id}` does"));
    }
    context.ui.answer(&json!(answers));
    Ok(())
}

/// What weights may be stored as differences to.
fn bases(registry: &Registry, args: &Args, name: Option<&Name>) -> Outcome<Vec<ContentId>> {
    if !args.base.is_empty() {
        let resolved = args.base.iter().map(|base| resolve(&registry.store, base)?.content());
        return resolved.collect();
    }
    let before = match name {
        Some(name) => registry.store.names().get(name)?,
        None => None,
    };
    let content = before.and_then(|last| last.target?.content());
    // A name may point at what is not here; that is no reason not to add.
    let here = |id: &ContentId| registry.store.has(*id).unwrap_or(false);
    Ok(content.filter(here).into_iter().collect())
}

fn no_such_path(typed: &Path, at: &Path) -> Failure {
    match at.symlink_metadata() {
        Ok(_) => Failure::not_found(format!("{} is a symbolic link to nothing", typed.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let failure = Failure::not_found(format!("no file or folder {}", typed.display()));
            let (Some(parent), Some(leaf)) = (at.parent(), at.file_name()) else { return failure };
            let siblings: Vec<String> = parent
                .read_dir()
                .map(|entries| {
                    entries
                        .filter_map(Result::ok)
                        .map(|e| e.file_name().to_string_lossy().into_owned())
                        .collect()
                })
                .unwrap_or_default();
            match crate::resolve::closest(
                &leaf.to_string_lossy(),
                siblings.iter().map(String::as_str),
            ) {
                Some(near) => failure
                    .hint(format!("did you mean `{}`?", typed.with_file_name(near).display())),
                None => failure,
            }
        }
        Err(error) => io_failure("read", at, &error),
    }
}
