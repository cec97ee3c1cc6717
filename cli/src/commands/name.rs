//! `lab name`

use lab_objects::{Expected, Move, NameKind, ObjectsError};
use lab_schema::{Name, ObjectId};
use serde_json::json;

use super::{describe, ls};
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::new_name::new_name;
use crate::resolve::resolve;
use crate::ui::{HASH, NAME, paint};
use crate::wiring::Registry;

/// Point a name at something, or list the names
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// The name
    name: Option<String>,
    /// What it shall point at
    #[arg(value_name = "REF", requires = "name")]
    target: Option<String>,
    /// What the name is for [default: kept, or guessed]
    #[arg(short, long, value_name = "KIND")]
    kind: Option<NameKind>,
    /// Delete the name; what it pointed at stays, and so does its history
    #[arg(short, long, requires = "name", conflicts_with_all = ["target", "kind"])]
    delete: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let registry = match args.delete || args.target.is_some() {
        true => context.registry_to_write()?,
        false => context.registry()?,
    };
    let Some(typed) = &args.name else { return ls::names(context, &registry) };
    let name = Name::new(typed.as_str())?;
    if args.delete {
        return delete(context, &registry, &name);
    }
    let Some(target) = &args.target else {
        return Err(Failure::usage(format!("what shall '{name}' point at?"))
            .hint(format!("`lab name {name} REF` moves it, `lab log {name}` shows its history")));
    };
    let name = new_name(&registry.store, typed)?;
    let resolved = resolve(&registry.store, target)?;
    let before = now(&registry, &name)?;
    let kind = args.kind.or(before.as_ref().map(|m| m.kind)).unwrap_or_else(|| match resolved.id {
        ObjectId::Run(_) => NameKind::Result,
        _ => describe::guess_kind(resolved.leaf.as_deref().unwrap_or_default()),
    });
    point(context, &registry, &name, resolved.id, kind, &format!("lab name {name} {target}"))?;
    let id = resolved.id;
    context.ui.line(format!("{}  {}  {kind}", paint(HASH, id.short()), paint(NAME, &name)));
    context.ui.answer(&json!({
        "name": name, "id": id.digest().to_string(), "object": id.kind().as_str(), "kind": kind.to_string(),
    }));
    Ok(())
}

/// Where a name points; none also if its journal is damaged, which setting it mends.
fn now(registry: &Registry, name: &Name) -> Outcome<Option<Move>> {
    match registry.store.names().get(name) {
        Err(ObjectsError::Damaged { .. }) => Ok(None),
        now => Ok(now?),
    }
}

/// Moves `name` to `target`, unless it is there already.
pub(super) fn point(
    context: &Context,
    registry: &Registry,
    name: &Name,
    target: ObjectId,
    kind: NameKind,
    why: &str,
) -> Outcome {
    let names = registry.store.names();
    if now(registry, name)?.is_some_and(|m| m.target == Some(target) && m.kind == kind) {
        return Ok(());
    }
    let (when_ms, who) = (context.now_ms(), registry.who());
    let moved = Move { target: Some(target), kind, when_ms, who, why: why.to_owned() };
    Ok(names.set(name, Expected::Anything, moved)?)
}

fn delete(context: &Context, registry: &Registry, name: &Name) -> Outcome {
    let names = registry.store.names();
    let resolved = resolve(&registry.store, name.as_str())?;
    let (Some(before), Some(_)) = (names.get(name)?, &resolved.name) else {
        return Err(
            Failure::not_found(format!("no name '{name}'")).hint("`lab ls` lists the names")
        );
    };
    let versions = names.journal(name)?.len();
    let (when_ms, who) = (context.now_ms(), registry.who());
    let why = format!("lab name --delete {name}");
    names.set(
        name,
        Expected::Target(resolved.id),
        Move { target: None, kind: before.kind, when_ms, who, why },
    )?;
    context.ui.line(format!(
        "{}  {}  deleted",
        paint(HASH, resolved.id.short()),
        paint(NAME, name)
    ));
    context.ui.hint(format!("`lab name {name} {name}@v{versions}` brings it back"));
    context
        .ui
        .answer(&json!({ "name": name, "deleted": true, "was": resolved.id.digest().to_string() }));
    Ok(())
}
