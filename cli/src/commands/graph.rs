//! `lab graph`

use std::collections::{BTreeMap, HashMap, HashSet};

use lab_lineage::{Lineage, Node};
use lab_page::Picture;
use lab_schema::{Name, ObjectId, Recipe, Run, RunId};
use serde_json::json;

use super::{describe, page};
use crate::at_hand::resolve_at_hand;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::trust::Believed;
use crate::ui::{self, BAD, DIM, HASH, NAME, paint};
use crate::wiring::Registry;

/// Draw the lineage: what something came from, down to the data
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Where to start [default: every name that points at a run]
    #[arg(value_name = "REF")]
    reference: Option<String>,
    /// What came of it, instead of what it came from
    #[arg(short, long, requires = "reference")]
    down: bool,
    /// Print it for Graphviz
    #[arg(long, conflicts_with = "svg")]
    dot: bool,
    /// Draw it as a picture: data, runs and outputs, and which runs were verified
    #[arg(long)]
    svg: bool,
    #[command(flatten)]
    target: page::Target,
}

/// Nodes of a picture; with more, what is repeated is drawn once.
const NODES: usize = 300;
/// Inputs or outputs of a run from which on those that are alike are drawn a few times.
const MANY: usize = 12;
/// So many times.
const FEW: usize = 3;
/// How wide a picture should be, in CSS pixels.
const WIDTH: f64 = 1400.0;

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    if args.target.output.is_some() && !args.svg {
        return Err(Failure::usage("only a picture is written to a file").hint("add `--svg`"));
    }
    let registry = context.registry()?;
    let lineage = registry.lineage()?;
    let _held = lineage.hold()?;
    let mut names: BTreeMap<ObjectId, Vec<Name>> = BTreeMap::new();
    for (name, moved) in registry.store.names().list()? {
        if let Some(target) = moved.target {
            names.entry(target).or_default().push(name);
        }
    }
    let roots = match &args.reference {
        Some(typed) => {
            let resolved = resolve_at_hand(context, &registry, typed)?;
            // An output that was named through its run starts there, not at another run's twin.
            match (resolved.said_maker(|| registry.lineage())?, args.down) {
                (Some(run), false) => vec![(Node::Run(run), None)],
                (maker, _) => vec![(node_of(resolved.id, typed)?, maker)],
            }
        }
        None => names
            .keys()
            .filter_map(|id| match id {
                ObjectId::Run(run) => Some((Node::Run(*run), None)),
                _ => None,
            })
            .collect(),
    };
    if args.svg {
        return picture(context, (&registry, &lineage), &roots, args);
    }
    let drawing =
        Drawing { context, registry: &registry, lineage: &lineage, names: &names, down: args.down };
    if context.ui.json || args.dot {
        return drawing.edges(&roots, args.dot);
    }
    let mut seen = HashSet::new();
    for (root, maker) in &roots {
        if seen.contains(root) {
            continue;
        }
        drawing.draw((*root, *maker), &mut seen)?;
    }
    if roots.is_empty() {
        context.ui.hint("no name points at a run yet; `lab run --name NAME -- COMMAND` makes one");
    }
    Ok(())
}

fn node_of(id: ObjectId, typed: &str) -> Outcome<Node> {
    match (id, id.content()) {
        (ObjectId::Run(run), _) => Ok(Node::Run(run)),
        (_, Some(content)) => Ok(Node::Content(content)),
        (other, None) => Err(Failure::usage(format!(
            "'{typed}' is {}, which is not part of the graph",
            ui::a(other.kind())
        ))
        .hint("name a run, a file or a directory")),
    }
}

/// The lineage as a picture, with what the runs left that were asked for.
fn picture(
    context: &Context,
    (registry, lineage): (&Registry, &Lineage),
    roots: &[(Node, Option<RunId>)],
    args: &Args,
) -> Outcome {
    let believed = Believed::here(context, registry);
    let from = (&registry.store, lineage);
    let mut walk = page::walk(from, roots, args.down)?;
    if !args.down {
        let runs: Vec<Node> = roots.iter().map(|(root, _)| *root).collect();
        page::add_outputs(from, &runs, &mut walk)?;
    }
    let graph = page::graph(registry, lineage, &believed, &walk, (None, &BTreeMap::new()))?;
    let of = args.reference.as_deref().unwrap_or("every named run");
    let title = format!("What {} {of}", if args.down { "came of" } else { "leads to" });
    let drawing = lab_page::draw(&graph, &Picture { title, most: NODES, width: WIDTH });
    let what = format!("lineage of {}", ui::count(graph.nodes.len() as u64, "node"));
    let mut answer = page::written(context, registry, &args.target, (&what, &drawing.file()))?;
    answer["nodes"] = json!(graph.nodes.len());
    answer["edges"] = json!(graph.edges.len());
    context.ui.answer(&answer);
    Ok(())
}

/// A line of the drawing.
enum Drawn {
    Node(page::Next),
    /// How many more there are of what stands above, in words.
    More(String),
}

fn each(all: Vec<page::Next>) -> Vec<Drawn> {
    all.into_iter().map(Drawn::Node).collect()
}

struct Drawing<'a> {
    context: &'a Context,
    registry: &'a Registry,
    lineage: &'a Lineage,
    names: &'a BTreeMap<ObjectId, Vec<Name>>,
    down: bool,
}

impl Drawing<'_> {
    /// Draws `node` and all behind it as a tree; what was drawn before is only named again.
    /// Not recursive: a lineage can be deeper than a stack.
    fn draw(&self, (node, maker): (Node, Option<RunId>), seen: &mut HashSet<Node>) -> Outcome {
        let makers = maker.map(|maker| vec![maker]);
        let root = Drawn::Node(page::Next { label: String::new(), node, makers });
        let mut todo = vec![(root, String::new(), String::new())];
        while let Some((drawn, first, rest)) = todo.pop() {
            let page::Next { label, node, makers } = match drawn {
                Drawn::Node(next) => next,
                Drawn::More(words) => {
                    self.context.ui.line(format!("{first}{}", paint(DIM, words)));
                    continue;
                }
            };
            let label = if label.is_empty() { label } else { format!("{}  ", paint(DIM, label)) };
            if !seen.insert(node) {
                self.context.ui.line(format!(
                    "{first}{label}{}  {}",
                    paint(HASH, short(node)),
                    paint(DIM, "as above")
                ));
                continue;
            }
            self.context.ui.line(format!(
                "{first}{label}{}  {}",
                paint(HASH, short(node)),
                self.describe(node)
            ));
            let all = self.neighbours(node, makers.as_deref())?;
            let all = if matches!(node, Node::Run(_)) { self.folded(all)? } else { each(all) };
            let last = all.len();
            for (i, next) in all.into_iter().enumerate().rev() {
                let (branch, below) =
                    if i + 1 == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
                todo.push((next, format!("{rest}{branch}"), format!("{rest}{below}")));
            }
        }
        Ok(())
    }

    fn neighbours(&self, node: Node, makers: Option<&[RunId]>) -> Outcome<Vec<page::Next>> {
        page::neighbours((&self.registry.store, self.lineage), node, makers, self.down)
    }

    /// What a run read or left, without most of that which came from or went to the same runs, if that is much: a
    /// folder of pictures is one thing to whoever looks.
    fn folded(&self, all: Vec<page::Next>) -> Outcome<Vec<Drawn>> {
        if all.len() <= MANY {
            return Ok(each(all));
        }
        let mut alike: HashMap<Vec<Node>, (usize, Vec<usize>)> = HashMap::new();
        let mut drawn = Vec::new();
        for next in all {
            let behind = self.neighbours(next.node, next.makers.as_deref())?;
            let behind: Vec<Node> = behind.into_iter().map(|next| next.node).collect();
            let (more, last) = alike.entry(behind).or_default();
            if last.len() < FEW {
                last.push(drawn.len());
                drawn.push((Drawn::Node(next), None));
            } else {
                *more += 1;
            }
        }
        for (behind, (more, last)) in alike {
            let words = match (behind.is_empty(), self.down) {
                (true, true) => "that nobody read",
                (true, false) => "that no recorded run made",
                (false, true) => "read as well",
                (false, false) => "made so too",
            };
            if let (1.., Some(last)) = (more, last.last()) {
                drawn[*last].1 = Some(Drawn::More(format!("and {more} more {words}")));
            }
        }
        Ok(drawn.into_iter().flat_map(|(one, more)| std::iter::once(one).chain(more)).collect())
    }

    fn describe(&self, node: Node) -> String {
        let id: ObjectId = match node {
            Node::Run(run) => run.into(),
            Node::Content(content) => content.into(),
        };
        let names: Vec<String> =
            self.names.get(&id).into_iter().flatten().map(ToString::to_string).collect();
        let what = match node {
            Node::Run(run) => self.describe_run(run),
            Node::Content(_) => id.kind().to_string(),
        };
        if names.is_empty() { what } else { format!("{}  {what}", paint(NAME, names.join(", "))) }
    }

    fn describe_run(&self, id: RunId) -> String {
        let loaded = self.registry.store.load::<Run>(id).and_then(|run| {
            let recipe: Recipe = self.registry.store.load(run.recipe)?;
            Ok((run, recipe))
        });
        match loaded {
            Ok((run, recipe)) => {
                let metrics = match run.outcome.status.is_success() {
                    true => describe::metrics(&run),
                    false => paint(BAD, describe::status(&run.outcome.status)),
                };
                let gap = if metrics.is_empty() { "" } else { "  " };
                format!("run  {}{gap}{metrics}", ui::shortened(&describe::action(&recipe), 60))
            }
            Err(error) => format!("run  ({error})"),
        }
    }

    /// A line that says what came of doing a run again.
    fn standing(&self, id: RunId, believed: &Believed) -> Outcome<String> {
        // What the store lacks is said beside it.
        let Some(run) = self.registry.store.get::<Run>(id)? else { return Ok(String::new()) };
        let found = page::standing(self.registry, self.lineage, believed, (id, &run))?;
        Ok(format!("\n{}", found.words))
    }

    /// The edges, for programs or for Graphviz.
    fn edges(&self, roots: &[(Node, Option<RunId>)], dot: bool) -> Outcome {
        let page::Walk { nodes, edges } =
            page::walk((&self.registry.store, self.lineage), roots, self.down)?;
        if dot {
            let believed = Believed::here(self.context, self.registry);
            let quote = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            self.context.ui.line("digraph lab {\n  rankdir=LR;");
            for node in &nodes {
                let shape = if matches!(node, Node::Run(_)) { "box" } else { "ellipse" };
                let text = anstream::adapter::strip_str(&self.describe(*node)).to_string();
                let standing = match node {
                    Node::Run(run) => self.standing(*run, &believed)?,
                    Node::Content(_) => String::new(),
                };
                self.context.ui.line(format!(
                    "  \"{}\" [shape={shape}, label=\"{}\\n{}{}\"];",
                    short(*node),
                    short(*node),
                    quote(&text),
                    quote(&standing).replace('\n', "\\n")
                ));
            }
            for (from, label, to) in &edges {
                self.context.ui.line(format!(
                    "  \"{}\" -> \"{}\" [label=\"{}\"];",
                    short(*from),
                    short(*to),
                    quote(label)
                ));
            }
            self.context.ui.line("}");
        }
        let id = |node: &Node| match node {
            Node::Run(run) => json!({ "run": run.to_string() }),
            Node::Content(content) => json!({ "content": content.to_string() }),
        };
        self.context.ui.answer(&json!({
            "nodes": nodes.iter().map(id).collect::<Vec<_>>(),
            "edges": edges.iter().map(|(from, label, to)| json!({ "from": id(from), "to": id(to), "as": label })).collect::<Vec<_>>(),
        }));
        Ok(())
    }
}

fn short(node: Node) -> String {
    match node {
        Node::Run(run) => run.short(),
        Node::Content(content) => content.short(),
    }
}
