//! What later runs of a chain read of what earlier ones leave now.

use std::collections::{BTreeMap, BTreeSet};

use lab_lineage::{Origin, Role};
use lab_objects::{Store, Writer};
use lab_schema::tree::Node;
use lab_schema::{ContentId, Entry, Recipe, RunId, Slot, Tree, TreeId};

use super::{MAX_FILES, load};
use crate::bench::{Bench, Makers};
use crate::error::Result;

/// What a run left that was done with something changed, and what it leaves now.
pub(super) struct Redone {
    /// The run that did it.
    pub(super) id: RunId,
    pub(super) old: BTreeMap<Slot, ContentId>,
    pub(super) now: BTreeMap<Slot, ContentId>,
}

/// Runs of the chain that were done with something changed.
pub(super) type All = BTreeMap<RunId, Redone>;

/// Why it cannot be done, in words.
type Refused<T> = std::result::Result<T, String>;

/// A recipe of the chain with what earlier runs leave now in the place of what they left, and who made what it
/// reads. Which of several files with the same bytes an input is, its path says.
pub(super) fn carried(
    bench: &Bench<'_>,
    (id, before): (RunId, &Recipe),
    forked: Recipe,
    redone: &All,
) -> Result<Refused<(Recipe, Makers)>> {
    let origins = bench.lineage.origins(id)?;
    let mut makers = Makers::new();
    let mut parts = forked.to_parts();
    for Origin { role, content, makers: made } in &origins {
        match role {
            Role::Code => continue,
            // What somebody has put in its place stays.
            Role::Input(slot) if parts.inputs.get(slot) != Some(content) => continue,
            Role::Input(slot) => {
                match now(bench.store, (id, before), (slot, *content), made, redone)? {
                    Ok(now) => drop(parts.inputs.insert(slot.clone(), now)),
                    Err(why) => return Ok(Err(why)),
                }
            }
            Role::Outside(_) => {}
        }
        let made = made.iter().map(|maker| redone.get(maker).map_or(*maker, |redone| redone.id));
        let made: BTreeSet<RunId> = made.collect();
        if !made.is_empty() {
            makers.insert(role.to_string(), made);
        }
    }
    // What is read by another way than as an input cannot be replaced.
    let short = id.short();
    for Redone { old, now, .. } in redone.values() {
        for (slot, content) in old.iter().filter(|(slot, content)| now.get(*slot) != Some(*content))
        {
            if before.outside().values().any(|read| read == content) {
                return Ok(Err(format!("{short} read {slot} from outside of its project")));
            }
            let Some(code) = before.code() else { continue };
            if at_path(bench.store, ContentId::Tree(code), slot.as_str())? == Some(*content) {
                return Ok(Err(format!("{short} read {slot} as code")));
            }
        }
    }
    Ok(Recipe::new(parts).map(|recipe| (recipe, makers)).map_err(|error| error.to_string()))
}

/// What an input is now.
fn now(
    store: &Store,
    (id, recipe): (RunId, &Recipe),
    (slot, content): (&Slot, ContentId),
    makers: &[RunId],
    all: &All,
) -> Result<Refused<ContentId>> {
    let redone: Vec<&Redone> = makers.iter().filter_map(|maker| all.get(maker)).collect();
    let taken: Vec<&str> = recipe.inputs().keys().map(Slot::as_str).collect();
    let reader = Reader { store, short: id.short(), taken };
    for redone in &redone {
        match reader.replaced(redone, slot.as_str(), content)? {
            Ok(None) => {}
            Ok(Some(now)) => return Ok(Ok(now)),
            Err(why) => return Ok(Err(why)),
        }
    }
    match content {
        // A folder that nobody left as such: of its files some came from one, some from another.
        ContentId::Tree(tree) if !redone.is_empty() => {
            let mut writer = store.writer();
            let now = reader.rebuilt(&mut writer, &redone, slot.as_str(), tree)?;
            writer.finish()?;
            Ok(now.map(|(id, _)| ContentId::Tree(id)))
        }
        _ => Ok(Ok(content)),
    }
}

/// The run that reads.
struct Reader<'a> {
    store: &'a Store,
    /// Its id, for messages.
    short: String,
    /// The names of its inputs.
    taken: Vec<&'a str>,
}

impl Reader<'_> {
    /// What a run leaves now in the place of what was read as `path`; none if it did not leave that.
    fn replaced(
        &self,
        redone: &Redone,
        path: &str,
        content: ContentId,
    ) -> Result<Refused<Option<ContentId>>> {
        let Reader { store, short, taken } = self;
        let places = places(store, &redone.old, content)?;
        let own = places.iter().find(|place| place.as_str() == path);
        // Another input with the same bytes may be the one that was left there.
        let others: Vec<&String> =
            places.iter().filter(|place| !taken.contains(&place.as_str())).collect();
        let place = match (own, &others[..]) {
            (Some(place), _) => place,
            (None, []) => return Ok(Ok(None)),
            (None, [one]) => *one,
            (None, [first, rest @ ..]) => {
                let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
                let mut same = others.iter().filter(|place| name(place) == name(path));
                match (same.next(), same.next()) {
                    (Some(one), None) => *one,
                    _ => {
                        let now = at(store, &redone.now, first)?;
                        for place in rest {
                            if at(store, &redone.now, place)? != now {
                                return Ok(Err(format!(
                                    "it is not clear which file {short} read as {path}"
                                )));
                            }
                        }
                        *first
                    }
                }
            }
        };
        Ok(match at(store, &redone.now, place)? {
            Some(now) => Ok(Some(now)),
            None => Err(format!("{short} read {place}, which is not left any more")),
        })
    }

    /// A folder with what is left now in the place of what lay in it, and its size in bytes.
    fn rebuilt(
        &self,
        writer: &mut Writer,
        redone: &[&Redone],
        path: &str,
        tree: TreeId,
    ) -> Result<Refused<(TreeId, u64)>> {
        let tree: Tree = load(self.store, tree)?;
        let mut entries = Vec::with_capacity(tree.entries().len());
        for Entry { name, node } in tree.entries() {
            let path = format!("{path}/{name}");
            let node = match self.node(writer, redone, &path, node)? {
                Ok(node) => node,
                Err(why) => return Ok(Err(why)),
            };
            entries.push(Entry { name: name.clone(), node });
        }
        match Tree::new(entries) {
            Ok(tree) => Ok(Ok((writer.put(&tree)?, tree.total_bytes()))),
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    fn node(
        &self,
        writer: &mut Writer,
        redone: &[&Redone],
        path: &str,
        node: &Node,
    ) -> Result<Refused<Node>> {
        let Some(content) = node.content() else { return Ok(Ok(node.clone())) };
        for redone in redone {
            // A folder that one of them left as such is taken as it is.
            let place = at(self.store, &redone.old, path)?;
            let found = match (place == Some(content), content) {
                (true, _) => at(self.store, &redone.now, path)?.map_or_else(
                    || Err(format!("{} read {path}, which is not left any more", self.short)),
                    |now| Ok(Some(now)),
                ),
                (false, ContentId::Blob(_)) => self.replaced(redone, path, content)?,
                (false, ContentId::Tree(_)) => Ok(None),
            };
            match found {
                Err(why) => return Ok(Err(why)),
                Ok(None) => {}
                Ok(Some(now)) => return self.in_place_of(node, now, path),
            }
        }
        match node {
            Node::Directory { id, .. } => match self.rebuilt(writer, redone, path, *id)? {
                Ok((id, size)) => Ok(Ok(Node::Directory { id, size })),
                Err(why) => Ok(Err(why)),
            },
            node => Ok(Ok(node.clone())),
        }
    }

    /// A node with another content of the same sort.
    fn in_place_of(&self, node: &Node, now: ContentId, path: &str) -> Result<Refused<Node>> {
        Ok(match (node, now) {
            (Node::File { executable, .. }, ContentId::Blob(id)) => {
                let size = self.store.size(id)?.unwrap_or(0);
                Ok(Node::File { id, size, executable: *executable })
            }
            (Node::Directory { .. }, ContentId::Tree(id)) => {
                Ok(Node::Directory { id, size: load::<Tree>(self.store, id)?.total_bytes() })
            }
            _ => Err(format!(
                "{} read {path}, which was a file and is a folder now, or the other way round",
                self.short
            )),
        })
    }
}

/// Where among outputs, and in the folders among them, a content lies.
fn places(
    store: &Store,
    outputs: &BTreeMap<Slot, ContentId>,
    wanted: ContentId,
) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut todo: Vec<(String, ContentId)> =
        outputs.iter().map(|(slot, content)| (slot.to_string(), *content)).collect();
    let mut looked = 0;
    while let Some((path, content)) = todo.pop() {
        looked += 1;
        if content == wanted {
            found.push(path);
        } else if let ContentId::Tree(tree) = content
            && looked < MAX_FILES
        {
            let tree: Tree = load(store, tree)?;
            todo.extend(tree.entries().iter().filter_map(|entry| {
                Some((format!("{path}/{}", entry.name), entry.node.content()?))
            }));
        }
    }
    found.sort();
    Ok(found)
}

/// What lies at this path among outputs.
fn at(store: &Store, outputs: &BTreeMap<Slot, ContentId>, path: &str) -> Result<Option<ContentId>> {
    for (slot, content) in outputs {
        match path.strip_prefix(slot.as_str()) {
            Some("") => return Ok(Some(*content)),
            Some(rest) if rest.starts_with('/') => return at_path(store, *content, &rest[1..]),
            _ => {}
        }
    }
    Ok(None)
}

/// What lies at a path in a folder.
fn at_path(store: &Store, mut content: ContentId, path: &str) -> Result<Option<ContentId>> {
    for part in path.split('/') {
        let ContentId::Tree(tree) = content else { return Ok(None) };
        let tree: Tree = load(store, tree)?;
        let entry = tree.entries().iter().find(|entry| entry.name.to_string() == part);
        match entry.and_then(|entry| entry.node.content()) {
            Some(inside) => content = inside,
            None => return Ok(None),
        }
    }
    Ok(Some(content))
}
