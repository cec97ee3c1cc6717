//! The lineage as a graph to be drawn: which nodes there are, and what is said of each.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use lab_lineage::{Lineage, Node, Role};
use lab_objects::{ObjectsError, Store};
use lab_page::{Graph, Kind};
use lab_schema::{ContentId, Executor, ObjectId, Recipe, Run, RunId, Tree};

use super::standing::standing;
use crate::commands::describe;
use crate::failure::Outcome;
use crate::trust::Believed;
use crate::ui::{bytes, plain, shortened};
use crate::wiring::Registry;

/// Digits of a hash in a box.
const DIGITS: usize = 8;
/// Longest text in a box, in characters.
const WIDTH: usize = 200;

/// Nodes, and how each leads to another.
pub(in crate::commands) struct Walk {
    pub(in crate::commands) nodes: Vec<Node>,
    /// From, as what, to: causes lead to effects.
    pub(in crate::commands) edges: Vec<(Node, String, Node)>,
}

/// A neighbour of a node.
pub(in crate::commands) struct Next {
    /// As what it was read or left; empty between what was made and who made it.
    pub(in crate::commands) label: String,
    pub(in crate::commands) node: Node,
    /// Who made it, where the way by which one came tells: for the run that read it, or that left it.
    pub(in crate::commands) makers: Option<Vec<RunId>>,
}

/// All that is behind some nodes, or that came of them.
pub(in crate::commands) fn walk(
    (store, lineage): (&Store, &Lineage),
    roots: &[(Node, Option<RunId>)],
    down: bool,
) -> Outcome<Walk> {
    let mut seen = HashSet::new();
    let (mut drawn, mut joined) = (HashSet::new(), HashSet::new());
    let mut todo: Vec<(Node, Option<Vec<RunId>>)> =
        roots.iter().map(|(root, maker)| (*root, maker.map(|maker| vec![maker]))).collect();
    let (mut nodes, mut edges) = (Vec::new(), Vec::new());
    while let Some((node, makers)) = todo.pop() {
        // One content can have come by two ways from two makers.
        if !seen.insert((node, makers.clone())) {
            continue;
        }
        if drawn.insert(node) {
            nodes.push(node);
        }
        for next in neighbours((store, lineage), node, makers.as_deref(), down)? {
            let (from, to) = if down { (node, next.node) } else { (next.node, node) };
            let edge = (from, next.label, to);
            if joined.insert(edge.clone()) {
                edges.push(edge);
            }
            todo.push((next.node, next.makers));
        }
    }
    Ok(Walk { nodes, edges })
}

/// The neighbours of a node that was come to by a way that tells its `makers`, or by none.
pub(in crate::commands) fn neighbours(
    (store, lineage): (&Store, &Lineage),
    node: Node,
    makers: Option<&[RunId]>,
    down: bool,
) -> Outcome<Vec<Next>> {
    let role = |role: &Role| match role {
        Role::Code => "code".to_owned(),
        role => role.to_string(),
    };
    let to = |label, node| Next { label, node, makers: None };
    Ok(match (node, down) {
        (Node::Run(run), false) => lineage
            .origins(run)?
            .into_iter()
            .map(|origin| Next {
                makers: Some(origin.makers),
                ..to(role(&origin.role), Node::Content(origin.content))
            })
            .collect(),
        (Node::Run(run), true) => lineage
            .run_outputs(run)?
            .into_iter()
            .map(|(slot, content)| Next {
                makers: Some(vec![run]),
                ..to(slot.to_string(), Node::Content(content))
            })
            .collect(),
        (Node::Content(content), false) => {
            let makers = match makers {
                Some(known) => known.to_vec(),
                None => lineage.producer_for(content)?.into_iter().collect(),
            };
            makers.into_iter().map(|run| to(String::new(), Node::Run(run))).collect()
        }
        (Node::Content(content), true) => {
            let readers = match makers {
                Some([maker]) => lineage.readers(&[content], Some(*maker))?,
                _ => lineage.readers(&all_in(store, content)?, None)?,
            };
            readers.iter().map(|one| to(role(&one.role), Node::Run(one.run))).collect()
        }
    })
}

/// A content and, if it is a folder, what lies in it as far as that is here.
pub(in crate::commands) fn all_in(
    store: &Store,
    content: ContentId,
) -> Result<Vec<ContentId>, ObjectsError> {
    let (mut all, mut seen, mut open) = (Vec::new(), HashSet::new(), vec![content]);
    while let Some(content) = open.pop() {
        if !seen.insert(content) {
            continue;
        }
        all.push(content);
        if let ContentId::Tree(tree) = content
            && let Some(tree) = store.get::<Tree>(tree)?
        {
            open.extend(tree.entries().iter().filter_map(|entry| entry.node.content()));
        }
    }
    Ok(all)
}

/// Adds what runs left, where nobody read it.
pub(in crate::commands) fn add_outputs(
    (store, lineage): (&Store, &Lineage),
    runs: &[Node],
    walk: &mut Walk,
) -> Outcome {
    let mut there: HashSet<Node> = walk.nodes.iter().copied().collect();
    for node in runs.iter().filter(|node| matches!(node, Node::Run(_))) {
        for Next { label, node: content, .. } in neighbours((store, lineage), *node, None, true)? {
            if there.insert(content) {
                walk.nodes.push(content);
                walk.edges.push((*node, label, content));
            }
        }
    }
    Ok(())
}

/// The graph of what was walked, in words. Of a run the `metric` is told, if it has it; runs that are `among` others, as
/// the seeds of an arm are, are folded with none but these.
pub(in crate::commands) fn graph(
    registry: &Registry,
    lineage: &Lineage,
    believed: &Believed,
    walk: &Walk,
    (metric, among): (Option<&str>, &BTreeMap<RunId, String>),
) -> Outcome<Graph> {
    let mut names: BTreeMap<ObjectId, Vec<String>> = BTreeMap::new();
    for (name, moved) in registry.store.names().list()? {
        if let Some(target) = moved.target {
            names.entry(target).or_default().push(name.to_string());
        }
    }
    // What content is called by those who read or made it.
    let mut slots: HashMap<Node, BTreeSet<&str>> = HashMap::new();
    for (from, label, to) in &walk.edges {
        let content = if matches!(from, Node::Content(_)) { from } else { to };
        if !label.is_empty() {
            slots.entry(*content).or_default().insert(label);
        }
    }
    let words = Words { registry, lineage, believed, names };
    let places: HashMap<Node, usize> = walk.nodes.iter().copied().zip(0..).collect();
    let mut graph = Graph::default();
    for node in &walk.nodes {
        graph.nodes.push(match node {
            Node::Run(run) => words.run(*run, metric, among)?,
            Node::Content(content) => words.content(*content, slots.get(node))?,
        });
    }
    let place = |node| places.get(node).copied();
    graph.edges =
        walk.edges.iter().filter_map(|(from, _, to)| place(from).zip(place(to))).collect();
    Ok(graph)
}

/// What nodes are described from.
struct Words<'a> {
    registry: &'a Registry,
    lineage: &'a Lineage,
    believed: &'a Believed,
    names: BTreeMap<ObjectId, Vec<String>>,
}

impl Words<'_> {
    fn run(
        &self,
        id: RunId,
        metric: Option<&str>,
        among: &BTreeMap<RunId, String>,
    ) -> Outcome<lab_page::Node> {
        let store = &self.registry.store;
        let loaded = store.load::<Run>(id).and_then(|run| {
            let recipe: Recipe = store.load(run.recipe)?;
            Ok((run, recipe))
        });
        let (run, recipe) = match loaded {
            Ok(loaded) => loaded,
            // It is drawn all the same: that something is lacking belongs to the picture.
            Err(error) => {
                let note = shortened(&plain(&error.to_string()), WIDTH);
                let title = self.title(id.into(), || "run".to_owned());
                return Ok(lab_page::Node { note, ..bare(Kind::Run, title, id.short()) });
            }
        };
        let title = self.title(id.into(), || shortened(&describe::action(&recipe), WIDTH));
        let status = &run.outcome.status;
        let all = &run.outcome.metrics;
        let asked = metric.and_then(|metric| all.get_key_value(metric));
        let metric = asked.or_else(|| all.iter().next());
        let standing = standing(self.registry, self.lineage, self.believed, (id, &run))?;
        let alike = among.get(&id).cloned().unwrap_or_else(|| alike(&recipe));
        Ok(lab_page::Node {
            note: match status.is_success() {
                true => metric_and_more(&run, metric.map(|(name, _)| name)),
                false => describe::status(status),
            },
            metric: metric
                .filter(|_| status.is_success())
                .map(|(name, value)| (plain(name), value.get(), describe::number(value.get()))),
            standing: Some((standing.tone, standing.short)),
            what: what(&recipe),
            alike,
            ..bare(Kind::Run, title, id.short())
        })
    }

    fn content(
        &self,
        content: ContentId,
        slots: Option<&BTreeSet<&str>>,
    ) -> Outcome<lab_page::Node> {
        let made = self.lineage.producer_for(content)?.is_some();
        let kind = if made { Kind::Output } else { Kind::Data };
        let slot = slots.and_then(|slots| slots.first()).copied().unwrap_or_default();
        let title = self.title(content.into(), || match slot {
            "" => ObjectId::from(content).kind().to_string(),
            slot => shortened(slot, WIDTH),
        });
        let note = match content {
            ContentId::Blob(id) => self.registry.store.size(id)?.map(bytes).unwrap_or_default(),
            ContentId::Tree(_) => "directory".to_owned(),
        };
        Ok(lab_page::Node { note, alike: slot.to_owned(), ..bare(kind, title, content.short()) })
    }

    /// The names that point at something, or what else it may be called.
    fn title(&self, id: ObjectId, otherwise: impl FnOnce() -> String) -> String {
        match self.names.get(&id) {
            Some(names) => names.join(", "),
            None => otherwise(),
        }
    }
}

/// A node of which nothing else is known.
fn bare(kind: Kind, title: String, hash: String) -> lab_page::Node {
    let hash = hash.chars().take(DIGITS).collect();
    let [note, what, alike] = [const { String::new() }; 3];
    lab_page::Node { kind, title, hash, note, metric: None, standing: None, what, alike }
}

/// A number that a run reached, and how many more there are.
fn metric_and_more(run: &Run, metric: Option<&String>) -> String {
    let all = &run.outcome.metrics;
    let Some((name, value)) = metric.and_then(|name| all.get_key_value(name)) else {
        return String::new();
    };
    let told = format!("{} {}", plain(name), describe::number(value.get()));
    if all.len() > 1 { format!("{told}, and {} more", all.len() - 1) } else { told }
}

/// What runs have in common that differ in their seeds alone.
fn alike(recipe: &Recipe) -> String {
    let is_seed = |name: &str| {
        let name = name.to_ascii_lowercase();
        name.contains("seed") || name.contains("random_state")
    };
    let code = recipe.code().map(|id| id.to_string()).unwrap_or_default();
    match recipe.executor() {
        Executor::Tensor(tensor) => {
            let params = recipe.params().iter().filter(|(name, _)| !is_seed(name));
            let params: Vec<String> =
                params.map(|(name, value)| format!("{name}={value}")).collect();
            format!("{} {} {}", tensor.stage, tensor.engine, params.join(" "))
        }
        Executor::Command(command) => {
            let mut words = Vec::new();
            let mut after_seed = false;
            for word in &command.argv {
                let own = is_seed(word) && word.starts_with('-');
                let bare = word.split('=').next().unwrap_or(word);
                words.push(if after_seed {
                    ""
                } else if own {
                    bare
                } else {
                    word.as_str()
                });
                after_seed = own && !word.contains('=');
            }
            format!("{code} {}", words.join(" "))
        }
    }
}

/// What a run does, in a word or two.
fn what(recipe: &Recipe) -> String {
    match recipe.executor() {
        Executor::Tensor(_) => describe::action(recipe),
        Executor::Command(command) => {
            let few: Vec<String> = command.argv.iter().take(2).cloned().collect();
            shortened(&describe::command_line(&few), WIDTH)
        }
    }
}
