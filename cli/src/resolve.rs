//! What a person typed, to an object: names first, then hash prefixes, or the digest of another tool; then
//! outputs and paths.

use std::collections::BTreeMap;

use lab_lineage::Lineage;
use lab_objects::{Names, Store, find_in_tree};
use lab_schema::tree::Node;
use lab_schema::{
    Base, BlobId, ContentId, FileName, IdPrefix, Kind, Name, ObjectId, Recipe, Reference, Run,
    RunId, Scheme, Slot, Tree, TreeId,
};

use crate::failure::{Exit, Failure, Outcome};
use crate::known_as;
use crate::ui;

/// An object that a reference means.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    /// The object.
    pub id: ObjectId,
    /// The reference, as it was typed.
    pub typed: String,
    /// The name that it starts from, if it starts from one.
    pub name: Option<Name>,
    /// The last part of what was typed that could serve as a file's name.
    pub leaf: Option<String>,
    /// Whether it is a file that its owner may execute.
    pub executable: bool,
    /// The run whose output it was named as, or lies in: that one, whoever else made the same.
    pub output_of: Option<RunId>,
    /// The run as whose input it was named or in which it lies, and that input.
    pub input_of: Option<(RunId, ContentId)>,
}

impl Resolved {
    /// The content, where the command needs a file or directory.
    pub(crate) fn content(&self) -> Outcome<ContentId> {
        self.id.content().ok_or_else(|| {
            let failure = Failure::usage(format!(
                "'{}' is {}, not a file or directory",
                self.typed,
                ui::a(self.id.kind())
            ));
            match self.id.kind() {
                Kind::Run => failure.hint(format!(
                    "name one of its outputs, as in `{}:OUTPUT`; `lab ls {}` lists them",
                    self.typed, self.typed
                )),
                _ => failure,
            }
        })
    }

    /// The run that was said to have made it: the one whose output it was named as, or where another had it from
    /// as whose input it was named.
    pub(crate) fn said_maker(
        &self,
        lineage: impl FnOnce() -> Outcome<Lineage>,
    ) -> Outcome<Option<RunId>> {
        match (self.output_of, self.input_of) {
            (None, Some(_)) => self.maker(&lineage()?),
            (said, _) => Ok(said),
        }
    }

    /// The run itself, the run whose output this was named as, the one that another had it from as
    /// whose input it was named, or the one that counts as the origin of this content; none if no recorded
    /// run made it.
    pub(crate) fn maker(&self, lineage: &Lineage) -> Outcome<Option<RunId>> {
        if let Some((reader, input)) = self.input_of {
            let origins = lineage.origins(reader)?;
            let makers = origins.iter().find(|o| o.content == input).map(|o| &o.makers[..]);
            return Ok(match (makers, self.id.content()) {
                (Some([one]), _) => Some(*one),
                // Of a folder that several made, the one that made this file.
                (Some(several), Some(content)) => {
                    let made = lineage.producers(content)?;
                    several.iter().copied().find(|run| made.iter().any(|made| made.run == *run))
                }
                _ => None,
            });
        }
        match (self.id, self.output_of, self.id.content()) {
            (ObjectId::Run(id), ..) | (_, Some(id), _) => Ok(Some(id)),
            (.., Some(content)) => Ok(lineage.producer_for(content)?),
            _ => Ok(None),
        }
    }

    /// The run itself, or the one that made this content.
    pub(crate) fn run(&self, lineage: &Lineage) -> Outcome<RunId> {
        self.maker(lineage)?.ok_or_else(|| {
            let what = ui::a(self.id.kind());
            Failure::not_found(format!("'{}' is {what} that no recorded run made", self.typed))
                .hint("`lab log` lists the runs; `lab why REF` tells where something comes from")
        })
    }
}

/// Resolves a reference.
pub(crate) fn resolve(store: &Store, typed: &str) -> Outcome<Resolved> {
    let reference: Reference = typed.parse()?;
    let (id, name) = resolve_base(store, &reference.base)?;
    let mut resolved = Resolved {
        id,
        typed: typed.to_owned(),
        leaf: name.as_ref().map(|n| n.to_string()),
        name,
        executable: false,
        output_of: None,
        input_of: None,
    };
    if let Some(path) = &reference.output {
        let found = find_output(store, &reference, id, path)?;
        let (output, inside) = (found.content, found.inside);
        resolved.id = output.into();
        if let ObjectId::Run(run) = id {
            match found.is_input {
                Some(input) => resolved.input_of = Some((run, input)),
                None => resolved.output_of = Some(run),
            }
        }
        walk(store, &mut resolved, &inside)?;
        resolved.leaf = path.as_str().rsplit('/').next().map(str::to_owned);
    } else if !reference.path.is_empty() {
        if let ObjectId::Run(_) = id {
            let output =
                reference.path.iter().map(ToString::to_string).collect::<Vec<_>>().join("/");
            return Err(Failure::usage(format!("'{}' is a run, not a directory", reference.base))
                .hint(format!("its outputs come after a colon: `{}:{output}`", reference.base)));
        }
        walk(store, &mut resolved, &reference.path)?;
        resolved.leaf = reference.path.last().map(ToString::to_string);
    }
    Ok(resolved)
}

fn resolve_base(store: &Store, base: &Base) -> Outcome<(ObjectId, Option<Name>)> {
    let names = store.names();
    match base {
        Base::Version(name, n) => match names.version(name, *n)? {
            Some(moved) => match moved.target {
                Some(target) => Ok((target, Some(name.clone()))),
                None => Err(Failure::not_found(format!("'{name}' was deleted in version {n}"))),
            },
            None => {
                let known = names.journal(name)?.len();
                let failure = Failure::not_found(format!("'{name}' has no version {n}"));
                Err(if known == 0 {
                    failure
                } else {
                    failure.hint(format!(
                        "its versions are v1 to v{known}; `lab log {name}` lists them"
                    ))
                })
            }
        },
        Base::Name(name) => match names.get(name)?.and_then(|m| m.target) {
            Some(target) => Ok((target, Some(name.clone()))),
            None => Err(unknown_name(&names, name)),
        },
        Base::NameOrPrefix(name, prefix) => match names.get(name)?.and_then(|m| m.target) {
            Some(target) => Ok((target, Some(name.clone()))),
            None => match by_prefix(store, prefix)? {
                Some(id) => Ok((id, None)),
                None => Err(unknown_name(&names, name)),
            },
        },
        Base::Alias(prefix) => Ok((known_as::find(store, prefix)?, None)),
        Base::Prefix(prefix) => match by_prefix(store, prefix)? {
            Some(id) => Ok((id, None)),
            None => {
                Err(Failure::not_found(format!("no object has an id that starts with {prefix}"))
                    .hint("`lab pull` brings what a remote has; `lab ls` lists the names here"))
            }
        },
    }
}

fn unknown_name(names: &Names<'_>, name: &Name) -> Failure {
    let journal = names.journal(name).unwrap_or_default();
    if let (Some(last), Some(before)) =
        (journal.last(), journal.iter().rposition(|moved| moved.target.is_some()))
    {
        let by = ui::plain(&last.who);
        return Failure::not_found(format!("'{name}' was deleted by {by}"))
            .hint(format!("`lab name {name} {name}@v{}` brings it back", before + 1))
            .hint(format!("`lab log {name}` shows where it pointed"));
    }
    let failure = Failure::not_found(format!("no name or hash '{name}'"));
    if let Ok(scheme) = name.as_str().parse::<Scheme>() {
        let most = 2 * scheme.bytes();
        return failure.hint(format!(
            "a hash of another tool is `{scheme}:` and 4 to {most} hexadecimal digits"
        ));
    }
    let Ok(known) = names.list() else { return failure };
    let there = known.iter().filter(|(_, moved)| moved.target.is_some());
    match closest(name.as_str(), there.map(|(n, _)| n.as_str())) {
        Some(near) => failure.hint(format!("did you mean `{near}`? `lab ls` lists the names")),
        None if known.is_empty() => {
            failure.hint("there are no names yet; `lab add PATH --name NAME` makes one")
        }
        None => failure.hint("`lab ls` lists the names"),
    }
}

fn by_prefix(store: &Store, prefix: &IdPrefix) -> Outcome<Option<ObjectId>> {
    let found = store.find(prefix)?;
    if found.len() < 2 {
        return Ok(found.first().copied());
    }
    let mut names = store.names().list()?;
    names.retain(|(_, moved)| moved.target.is_some_and(|t| found.contains(&t)));
    let mut failure =
        Failure::new(Exit::Usage, format!("'{prefix}' is the start of {} ids", found.len()));
    for id in found.iter().take(10) {
        let name = names.iter().find(|(_, m)| m.target == Some(*id)).map(|(n, _)| format!("  {n}"));
        failure = failure.hint(format!(
            "{} {}{}",
            &id.digest().to_string()[..20],
            id.kind(),
            name.unwrap_or_default()
        ));
    }
    if found.len() > 10 {
        failure = failure.hint(format!("… and {} more", found.len() - 10));
    }
    Err(failure.hint("type more digits"))
}

/// What `RUN:PATH` stands for.
struct Found {
    content: ContentId,
    /// The path inside it.
    inside: Vec<FileName>,
    /// The input of the run, if it did not leave this.
    is_input: Option<ContentId>,
}

/// Splits `path` into an output of the run, or else something that it read, and a path inside that.
fn find_output(store: &Store, reference: &Reference, id: ObjectId, path: &Slot) -> Outcome<Found> {
    let base = &reference.base;
    let ObjectId::Run(id) = id else {
        return Err(Failure::usage(format!(
            "'{base}' is {}: only a run has outputs",
            ui::a(id.kind())
        ))
        .hint(format!("the path inside a directory comes after a slash: `{base}/{path}`")));
    };
    let run: Run = store.load(id)?;
    let outputs = &run.outcome.outputs;
    if let Some((content, inside)) = slot_of(outputs, path)? {
        return Ok(Found { content, inside, is_input: None });
    }
    let recipe: Recipe = store.load(run.recipe)?;
    if let Some((content, inside)) = slot_of(recipe.inputs(), path)? {
        return Ok(Found { content, inside, is_input: Some(content) });
    }
    let failure = Failure::not_found(format!("run '{base}' neither left nor read '{path}'"));
    if let Some(code) = recipe.code()
        && let Ok(parts) =
            path.as_str().split('/').map(FileName::new).collect::<Result<Vec<_>, _>>()
        && let Ok(Some(_)) = find_in_tree(store, code, &parts)
    {
        let code = code.short();
        return Err(failure
            .hint(format!("it is in the code of the run: `lab cat {code}/{path}` prints it"))
            .hint(format!("`lab get {base} DIR --code` writes all of the code")));
    }
    let known: Vec<&str> = outputs.keys().map(Slot::as_str).collect();
    let read = recipe.inputs().keys().map(Slot::as_str);
    Err(match closest(path.as_str(), known.iter().copied().chain(read)) {
        Some(near) => failure.hint(format!("did you mean `{base}:{near}`?")),
        None if known.is_empty() => failure.hint("it has no outputs"),
        None => failure.hint(format!("its outputs: {}", known.join(", "))),
    })
}

/// The longest of these that `path` is or lies in, and the path inside it.
fn slot_of(
    slots: &BTreeMap<Slot, ContentId>,
    path: &Slot,
) -> Outcome<Option<(ContentId, Vec<FileName>)>> {
    let text = path.as_str();
    let ends: Vec<usize> = text.match_indices('/').map(|(at, _)| at).chain([text.len()]).collect();
    for end in ends.into_iter().rev() {
        let Ok(slot) = Slot::new(&text[..end]) else { continue };
        if let Some(content) = slots.get(&slot) {
            let parts = text[end..].split('/').filter(|part| !part.is_empty());
            let inside = parts.map(FileName::new).collect::<Result<_, _>>()?;
            return Ok(Some((*content, inside)));
        }
    }
    Ok(None)
}

fn walk(store: &Store, resolved: &mut Resolved, path: &[FileName]) -> Outcome {
    if path.is_empty() {
        return Ok(());
    }
    let ObjectId::Tree(tree) = resolved.id else {
        return Err(Failure::usage(format!(
            "'{}' leads into {}, which is not a directory",
            resolved.typed,
            ui::a(resolved.id.kind())
        )));
    };
    match find_in_tree(store, tree, path)? {
        Some(Node::File { id, executable, .. }) => {
            resolved.id = id.into();
            resolved.executable = executable;
            Ok(())
        }
        Some(Node::Directory { id, .. }) => {
            resolved.id = id.into();
            Ok(())
        }
        Some(Node::Link { target }) => Err(Failure::usage(format!(
            "'{}' is a symbolic link to '{}'",
            resolved.typed,
            String::from_utf8_lossy(&target).escape_debug()
        ))),
        None => Err(missing_path(store, resolved, tree, path)),
    }
}

fn missing_path(store: &Store, resolved: &Resolved, tree: TreeId, path: &[FileName]) -> Failure {
    let failure = Failure::not_found(format!("nothing at '{}'", resolved.typed));
    let parent = &path[..path.len() - 1];
    let folder = if parent.is_empty() {
        Some(tree)
    } else {
        match find_in_tree(store, tree, parent) {
            Ok(Some(Node::Directory { id, .. })) => Some(id),
            _ => None,
        }
    };
    let Some(Ok(folder)) = folder.map(|id| store.load::<Tree>(id)) else { return failure };
    let names: Vec<String> = folder.entries().iter().map(|e| e.name.to_string()).collect();
    match closest(&path[path.len() - 1].to_string(), names.iter().map(String::as_str)) {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure.hint("`lab ls REF` lists a directory"),
    }
}

/// The known word nearest to a misspelt one, if any is near.
pub(crate) fn closest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |word: &str| strsim::osa_distance(&typed.to_lowercase(), &word.to_lowercase());
    let best = known.map(|word| (distance(word), word)).min()?;
    (best.0 <= 1 + typed.chars().count() / 4).then_some(best.1)
}

/// What a directory entry is, in one word, with its content.
pub(crate) fn describe(node: &Node) -> (&'static str, Option<ContentId>) {
    match node {
        Node::File { executable: true, .. } => ("exec", node.content()),
        Node::File { .. } => ("file", node.content()),
        Node::Directory { .. } => ("dir", node.content()),
        Node::Link { .. } => ("link", None),
    }
}

/// The names that point at an object now.
pub(crate) fn names_of(store: &Store, id: ObjectId) -> Outcome<Vec<Name>> {
    let all = store.names().list()?;
    Ok(all.into_iter().filter(|(_, m)| m.target == Some(id)).map(|(n, _)| n).collect())
}

/// A blob's id, where one is needed.
pub(crate) fn blob(resolved: &Resolved) -> Outcome<BlobId> {
    match resolved.id {
        ObjectId::Blob(id) => Ok(id),
        other => Err(Failure::usage(format!(
            "'{}' is {}, not a file",
            resolved.typed,
            ui::a(other.kind())
        ))
        .hint(format!("`lab ls {}` lists what is in it", resolved.typed))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        let known = ["base", "mnist", "digits"];
        let near = |typed| closest(typed, known.into_iter());
        assert_eq!(near("bsae"), Some("base"));
        assert_eq!(near("Digit"), Some("digits"));
        assert_eq!(near("cifar"), None);
    }
}
