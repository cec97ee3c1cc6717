//! What in a closure is what: outputs, inputs, code, environment, record; and what of it is asked for.
//!
//! The record always belongs to what is asked for: runs, recipes, attestations and directories, what
//! a run was seen to touch and what it printed. So who came from what, and what lies where, is known
//! everywhere and needs no special case; only contents of files can be left out.
//!
//! A file that is two things, an input of a run and an output of its ancestor, counts as what it is to
//! the latest run, there in the order above, of those that are asked for. It is left out only if it is
//! not asked for as anything.

use std::collections::{BTreeSet, HashMap, HashSet};

use lab_objects::Store;
use lab_schema::tree::Node;
use lab_schema::{BlobId, ContentId, ObjectId, Recipe, Run, RunId, Tree, TreeId};

use crate::closure::Walk;
use crate::error::Result;
use crate::index::Lineage;

/// What something is to the run that needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// What it left, or what was asked for by itself.
    Outputs,
    /// What it read, code and environment aside.
    Inputs,
    /// The code.
    Code,
    /// Programs and libraries.
    Environment,
    /// The objects themselves, what was seen and what was printed.
    Record,
}

impl Part {
    /// All of them, in the order in which something that is several counts.
    pub const ALL: [Part; 5] =
        [Part::Outputs, Part::Inputs, Part::Code, Part::Environment, Part::Record];

    /// The part in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Part::Outputs => "outputs",
            Part::Inputs => "inputs",
            Part::Code => "code",
            Part::Environment => "environment",
            Part::Record => "record",
        }
    }
}

/// What can be asked for alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Only {
    /// What the runs left.
    Outputs,
    /// Weights among what they left and read.
    Weights,
    /// Their code.
    Code,
    /// The record and nothing else.
    Record,
}

/// What of a closure is asked for; all of it by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// These alone; everything if there are none.
    pub only: BTreeSet<Only>,
    /// No environments.
    pub no_environment: bool,
    /// Contents of so many generations of ancestors: with 0, of the runs that were asked for. By default
    /// of all, and of none where something is asked for alone.
    pub depth: Option<u32>,
}

impl Choice {
    /// Whether nothing is left out.
    pub fn is_everything(&self) -> bool {
        *self == Choice::default()
    }

    fn depth(&self) -> u32 {
        self.depth.unwrap_or(if self.only.is_empty() { u32::MAX } else { 0 })
    }

    /// Whether something that is this in so many generations is asked for.
    fn asks(&self, part: Part, generation: u32) -> Asked {
        let asks = |only| self.only.is_empty() || self.only.contains(&only);
        let whole = match part {
            Part::Record => return Asked::Yes,
            Part::Environment if self.no_environment => false,
            _ if generation > self.depth() => return Asked::No,
            Part::Outputs => asks(Only::Outputs),
            Part::Inputs | Part::Environment => self.only.is_empty(),
            Part::Code => asks(Only::Code),
        };
        let has_weights = matches!(part, Part::Outputs | Part::Inputs);
        match whole {
            true => Asked::Yes,
            false if has_weights && self.only.contains(&Only::Weights) => Asked::IfWeights,
            false => Asked::No,
        }
    }
}

/// How much something is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    No,
    IfWeights,
    Yes,
}

/// A closure, sorted.
#[derive(Clone, Debug, Default)]
pub struct Sorted {
    parts: HashMap<BlobId, Part>,
    left: HashSet<BlobId>,
}

impl Sorted {
    /// What an object of the closure is.
    pub fn part(&self, id: ObjectId) -> Part {
        match id {
            ObjectId::Blob(blob) => self.parts.get(&blob).copied().unwrap_or(Part::Record),
            _ => Part::Record,
        }
    }

    /// Whether it was not asked for.
    pub fn is_left(&self, id: ObjectId) -> bool {
        matches!(id, ObjectId::Blob(blob) if self.left.contains(&blob))
    }
}

/// Sorts what `roots` need, all of which is in the store. `lineage` is that of the store, and fresh;
/// `weights` are contents whose names say that they are.
pub fn sort(
    store: &Store,
    lineage: &Lineage,
    roots: &[ObjectId],
    weights: &HashSet<ContentId>,
    choice: &Choice,
) -> Result<Sorted> {
    let walk = Walk::new(store, lineage);
    let mut generations: HashMap<RunId, u32> = HashMap::new();
    let mut uses: Vec<Use> = Vec::new();
    for root in roots {
        push(&mut uses, root.content().into_iter(), Part::Outputs, 0, choice);
        if let ObjectId::Recipe(id) = *root {
            recipe_uses(&walk.must_load(id, None)?, 0, choice, &mut uses);
        }
        for past in walk.runs(*root)? {
            let known = generations.entry(past.run).or_insert(past.generation);
            *known = past.generation.min(*known);
        }
    }
    for (id, generation) in generations {
        let run: Run = walk.must_load(id, None)?;
        let recipe: Recipe = walk.must_load(run.recipe, Some(id.into()))?;
        let outputs = run.outcome.outputs.values().copied();
        push(&mut uses, outputs, Part::Outputs, generation, choice);
        recipe_uses(&recipe, generation, choice, &mut uses);
        let said = run.outcome.logs.values().copied().chain(run.outcome.observed);
        push(&mut uses, said.map(ContentId::Blob), Part::Record, generation, choice);
    }
    for usage in uses.iter_mut().filter(|usage| weights.contains(&usage.content)) {
        if usage.asked == Asked::IfWeights {
            usage.asked = Asked::Yes;
        }
    }
    uses.sort_by_key(|usage| (usage.generation, usage.part, usage.content));
    let mut sorting = Sorting { store, seen: HashMap::new(), blobs: HashMap::new() };
    for usage in &uses {
        sorting.usage(usage)?;
    }
    sorting.finish()
}

/// Some content, and what it is.
struct Use {
    content: ContentId,
    part: Part,
    generation: u32,
    asked: Asked,
}

fn push(
    uses: &mut Vec<Use>,
    contents: impl Iterator<Item = ContentId>,
    part: Part,
    generation: u32,
    choice: &Choice,
) {
    let asked = choice.asks(part, generation);
    uses.extend(contents.map(|content| Use { content, part, generation, asked }));
}

fn recipe_uses(recipe: &Recipe, generation: u32, choice: &Choice, uses: &mut Vec<Use>) {
    let trees = |tree: Option<TreeId>| tree.map(ContentId::Tree).into_iter();
    let read = recipe.reads().map(|(_, content)| content);
    push(uses, read, Part::Inputs, generation, choice);
    push(uses, trees(recipe.code()), Part::Code, generation, choice);
    push(uses, trees(recipe.environment()), Part::Environment, generation, choice);
}

/// A file that was come by.
struct Seen {
    part: Part,
    asked: Asked,
    /// Whether it is to be looked into, if it has to be weights to be asked for.
    is_likely: bool,
}

/// A smaller file among many inputs is not looked into: there may be millions, and to look into one is to
/// fetch it.
const WORTH_A_LOOK: u64 = 128 << 10;

struct Sorting<'a> {
    store: &'a Store,
    /// Directories that were looked through, for what was asked most.
    seen: HashMap<TreeId, Asked>,
    blobs: HashMap<BlobId, Seen>,
}

impl Sorting<'_> {
    fn usage(&mut self, usage: &Use) -> Result<()> {
        let Use { content, part, asked, .. } = *usage;
        match content {
            ContentId::Blob(blob) => {
                self.blob(blob, part, asked, true);
                Ok(())
            }
            ContentId::Tree(tree) => self.tree(tree, part, asked),
        }
    }

    /// Level by level, so that directories of a level are asked for together.
    fn tree(&mut self, tree: TreeId, part: Part, asked: Asked) -> Result<()> {
        let mut level = vec![tree];
        while !level.is_empty() {
            level.retain(|tree| {
                let is_new = self.seen.get(tree).is_none_or(|seen| *seen < asked);
                if is_new {
                    self.seen.insert(*tree, asked);
                }
                is_new
            });
            self.store.warm(&level.iter().map(|tree| (*tree).into()).collect::<Vec<_>>())?;
            let mut below = Vec::new();
            for tree in level {
                for entry in self.store.load::<Tree>(tree)?.entries() {
                    match &entry.node {
                        Node::File { id, size, .. } => {
                            let likely = part == Part::Outputs
                                || *size > WORTH_A_LOOK
                                || is_named_so(entry.name.as_bytes());
                            self.blob(*id, part, asked, likely);
                        }
                        Node::Directory { id, .. } => below.push(*id),
                        Node::Link { .. } => {}
                    }
                }
            }
            level = below;
        }
        Ok(())
    }

    fn blob(&mut self, blob: BlobId, part: Part, asked: Asked, is_likely: bool) {
        let seen = self.blobs.entry(blob).or_insert(Seen { part, asked, is_likely });
        if seen.asked < asked {
            // It comes as this.
            (seen.part, seen.asked) = (part, asked);
        }
        seen.is_likely |= is_likely;
    }

    fn finish(self) -> Result<Sorted> {
        let candidates = self.blobs.iter().filter(|(_, s)| s.asked == Asked::IfWeights);
        let likely = candidates.filter(|(_, seen)| seen.is_likely);
        let mut likely: Vec<BlobId> = likely.map(|(blob, _)| *blob).collect();
        likely.sort_unstable();
        let weights: HashSet<BlobId> = self.store.weights_among(&likely)?.into_iter().collect();
        let mut sorted = Sorted::default();
        for (blob, seen) in self.blobs {
            let is_left = match seen.asked {
                Asked::Yes => false,
                Asked::No => true,
                Asked::IfWeights => !weights.contains(&blob),
            };
            if is_left {
                sorted.left.insert(blob);
            }
            sorted.parts.insert(blob, seen.part);
        }
        Ok(sorted)
    }
}

/// Whether a file is called as weights are.
fn is_named_so(name: &[u8]) -> bool {
    let known = ["safetensors", "gguf", "pt", "pth", "ckpt", "npz", "bin"];
    let ending = name.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    known.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(ending))
}
