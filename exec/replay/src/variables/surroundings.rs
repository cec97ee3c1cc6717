//! What differs around two commands: environment, place, and what they were seen to touch.

use lab_objects::{Store, find_in_tree};
use lab_process::facts_of_place;
use lab_schema::observed::Observed;
use lab_schema::tree::Node;
use lab_schema::{Command, Executor, FileName, Place, Recipe, Run, TreeId};

use crate::bench::observations;
use crate::error::Result;
use crate::variables::code::{self, Alone, Changed};
use crate::variables::environment::{Part, grouped, versions};
use crate::variables::recipe::maps;
use crate::variables::seen::{self, Side, relative, roots};
use crate::variables::variable::Layer;

/// Everything that differs between two runs with their recipes.
pub(crate) fn differences(
    store: &Store,
    (x, p): (&Run, &Recipe),
    (y, q): (&Run, &Recipe),
) -> Result<Vec<Part>> {
    let (Executor::Command(a), Executor::Command(b)) = (p.executor(), q.executor()) else {
        return Ok(Vec::new());
    };
    let mut parts = places(a.place.as_ref(), b.place.as_ref());
    let load = |run: &Run| -> Result<Option<Observed>> {
        run.outcome.observed.map(|id| observations(store, id)).transpose()
    };
    let (one, other) = (load(x)?, load(y)?);
    let nothing = Observed::default();
    let one_side = Side::new(one.as_ref().unwrap_or(&nothing), x, a);
    let other_side = Side::new(other.as_ref().unwrap_or(&nothing), y, b);
    // One that nobody watched has no environment: nothing is known, so nothing is said.
    if let (Some(then), Some(now)) = (p.environment(), q.environment())
        && then != now
    {
        let of = |side: &Side<'_>| versions(&side.observed.listed, &|path: &[u8]| side.name(path));
        match environments(store, (then, a), (now, b))? {
            Some(changed) => parts.extend(grouped(changed, &of(&one_side), &of(&other_side))),
            None => parts.push(whole(Some(then), Some(now))),
        }
    }
    if one.is_some() && other.is_some() {
        parts.extend(seen::differences(&one_side, &other_side));
    }
    Ok(parts)
}

/// Environments of which the store lacks a part.
fn whole(before: Option<TreeId>, after: Option<TreeId>) -> Part {
    let show = |id: Option<TreeId>| id.map(|id| id.to_string());
    let what = "environment".to_owned();
    Part { layer: Layer::System, what, before: show(before), after: show(after) }
}

fn places(a: Option<&Place>, b: Option<&Place>) -> Vec<Part> {
    let (Some(a), Some(b)) = (a, b) else { return Vec::new() };
    let mut parts = Vec::new();
    maps(&facts_of_place(a), &facts_of_place(b), &mut |what, before, after| {
        let what = if what == "folder" { "project folder" } else { what };
        let layer = if what == "processors" { Layer::Threads } else { Layer::Place };
        parts.push(Part { layer, what: what.to_owned(), before, after });
    });
    parts
}

/// The paths at which two environments differ, as they are told. What lies in the project or the
/// home folder is compared with what lies in the other's.
fn environments(
    store: &Store,
    (then, a): (TreeId, &Command),
    (now, b): (TreeId, &Command),
) -> Result<Option<Vec<Changed>>> {
    let Some(mut changed) = code::differences(store, Some(then), Some(now), Alone::Files)? else {
        return Ok(None);
    };
    let (ours, theirs) = (roots(a), roots(b));
    let mut beside = Vec::new();
    for (one, label) in &ours {
        let Some((other, _)) = theirs.iter().find(|(_, other)| other == label) else { continue };
        if one == other {
            continue;
        }
        let meets = |path: &str, root: &str| {
            let path = format!("/{path}");
            let below = |a: &str, b: &str| {
                a.strip_prefix(b).is_some_and(|r| r.is_empty() || r.starts_with('/'))
            };
            below(&path, root) || below(root, &path)
        };
        changed.retain(|c| !meets(&c.path, one) && !meets(&c.path, other));
        let (x, y) = (folder(store, then, one)?, folder(store, now, other)?);
        match (x, y) {
            (Some(x), Some(y)) if x != y => {
                let Some(mut inside) = code::differences(store, Some(x), Some(y), Alone::Files)?
                else {
                    return Ok(None);
                };
                // A project in the home folder is compared on its own.
                let deeper =
                    |root: &String, top: &String| root != top && root.starts_with(top.as_str());
                let own = |path: &str| {
                    let at = |top: &String, all: &[(String, &str)]| {
                        let path = format!("{}/{path}", top.trim_start_matches('/'));
                        all.iter().any(|(root, _)| deeper(root, top) && meets(&path, root))
                    };
                    at(one, &ours) || at(other, &theirs)
                };
                inside.retain(|c| !own(&c.path));
                let told = |c: Changed| Changed { path: format!("{label}{}", c.path), ..c };
                beside.extend(inside.into_iter().map(told));
            }
            (None, None) | (Some(_), Some(_)) => {}
            (x, y) => beside.push(Changed {
                path: format!("{label}."),
                before: x.map(|id| id.to_string()),
                after: y.map(|id| id.to_string()),
            }),
        }
    }
    let told = |c: Changed| {
        let path = relative(&ours, format!("/{}", c.path).as_bytes());
        Changed { path, ..c }
    };
    let mut all: Vec<Changed> = changed.into_iter().map(told).collect();
    all.extend(beside);
    Ok(Some(all))
}

/// The folder at an absolute path of a tree.
fn folder(store: &Store, tree: TreeId, path: &str) -> Result<Option<TreeId>> {
    let parts = path.split('/').filter(|part| !part.is_empty()).map(FileName::new);
    let Ok(parts) = parts.collect::<std::result::Result<Vec<FileName>, _>>() else {
        return Ok(None);
    };
    Ok(match find_in_tree(store, tree, &parts)? {
        Some(Node::Directory { id, .. }) => Some(id),
        _ => None,
    })
}
