//! Who went through an evaluation: the runs that have its protocol, what each reached, how strong a claim that
//! is, and whether the model's making had a look at what it is tested on.

use std::collections::{BTreeMap, BTreeSet};

use lab_lineage::{Lineage, Role};
use lab_objects::Store;
use lab_schema::{
    Attestation, Completeness, ContentId, Evaluation, Executor, Object, ObjectId, Recipe, RecipeId,
    Run, RunId, Tree,
};

use crate::error::{ReplayError, Result};
use crate::plan::plan;

/// Most inputs of the example by which runs are looked for.
const WAYS: usize = 32;
/// Most files of a directory that are looked at for what training read.
const MAX_FILES: usize = 1 << 20;

/// How strong a claim is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// Somebody says so: the record is not complete.
    Reported,
    /// The record names all that went in.
    Recorded,
    /// Whoever recorded it did it again and got the same.
    VerifiedByAuthor,
    /// Somebody else did.
    VerifiedByAnother,
    /// On another processor too.
    VerifiedElsewhere,
}

impl Claim {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Claim::Reported => "reported",
            Claim::Recorded => "recorded",
            Claim::VerifiedByAuthor => "verified by its author",
            Claim::VerifiedByAnother => "verified by another",
            Claim::VerifiedElsewhere => "verified on other hardware",
        }
    }
}

/// Something that training read, and that the evaluation reads too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shared {
    /// What the evaluation calls it.
    pub tested: String,
    /// The run that read it.
    pub by: RunId,
    /// What that run calls it.
    pub read: String,
}

/// A model that was evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The evaluation's run.
    pub run: RunId,
    /// What it reached; none if it failed, or left no such number.
    pub score: Option<f64>,
    /// The model.
    pub model: ContentId,
    /// The run that made the model; none if it was brought along.
    pub maker: Option<RunId>,
    /// How strong a claim this is: as strong as the weaker one of the evaluation's and of the making's.
    pub claim: Claim,
    /// Runs, of these two, that somebody did again and got something else.
    pub disputed: Vec<RunId>,
    /// What the model's making read of what it is tested on.
    pub shared: Vec<Shared>,
}

/// All entries, by start and then by id; a model that was evaluated several times counts once. `lineage` is
/// that of `store`, and fresh.
pub fn entries(store: &Store, lineage: &Lineage, evaluation: &Evaluation) -> Result<Vec<Entry>> {
    let example: Run = load(store, evaluation.run())?;
    let recipe: Recipe = load(store, example.recipe)?;
    let hole = evaluation.hole();
    let Some(protocol) = evaluation.protocol(&recipe).map(|protocol| protocol.id()) else {
        let (id, why) = (evaluation.run(), format!("it reads nothing as '{hole}'"));
        return Err(ReplayError::NotEvaluated { id, why });
    };
    let mut tested = Tested::default();
    for (slot, content) in recipe.reads().filter(|(slot, _)| slot != hole.as_str()) {
        for blob in files(store, content)? {
            tested.0.entry(blob).or_insert_with(|| slot.clone());
        }
    }
    let (mut found, mut seen): (Vec<Entry>, BTreeMap<RecipeId, usize>) = Default::default();
    for id in candidates(lineage, evaluation.run(), &recipe, hole.as_str())? {
        let run: Run = load(store, id)?;
        let recipe: Recipe = load(store, run.recipe)?;
        let Some(model) = recipe.inputs().get(hole).copied() else { continue };
        if evaluation.protocol(&recipe).map(|protocol| protocol.id()) != Some(protocol) {
            continue;
        }
        let entry = entry(store, lineage, evaluation, (id, &run), model, &mut tested)?;
        match seen.get(&run.recipe).map(|at| &mut found[*at]) {
            // One that came to an end goes before one that did not, and else the first.
            Some(first) if first.score.is_none() && entry.score.is_some() => *first = entry,
            Some(first) => {
                if entry.score.is_some() && entry.score != first.score {
                    first.disputed.push(id);
                }
                first.claim = first.claim.max(entry.claim);
            }
            None => {
                seen.insert(run.recipe, found.len());
                found.push(entry);
            }
        }
    }
    Ok(found)
}

/// Runs that read what few others read of what the example reads: all runs of the evaluation are among them.
fn candidates(
    lineage: &Lineage,
    example: RunId,
    recipe: &Recipe,
    hole: &str,
) -> Result<Vec<RunId>> {
    let reads = recipe.reads().filter(|(slot, _)| slot != hole).map(|(_, content)| content);
    let mut fewest: Option<Vec<RunId>> = None;
    for content in reads.chain(recipe.code().map(ContentId::Tree)).take(WAYS) {
        let mut runs = Vec::new();
        for consumption in lineage.consumers(content)? {
            if !runs.contains(&consumption.run) {
                runs.push(consumption.run);
            }
        }
        if fewest.as_ref().is_none_or(|fewest| runs.len() < fewest.len()) {
            fewest = Some(runs);
        }
    }
    Ok(fewest.unwrap_or_else(|| vec![example]))
}

fn entry(
    store: &Store,
    lineage: &Lineage,
    evaluation: &Evaluation,
    (id, run): (RunId, &Run),
    model: ContentId,
    tested: &mut Tested,
) -> Result<Entry> {
    let maker = lineage.producer_for(model)?.filter(|maker| *maker != id);
    let (mut claim, mut disputed, mut shared) = (None::<Claim>, Vec::new(), BTreeSet::new());
    let mut chain = vec![id];
    if let Some(maker) = maker {
        chain.extend(plan(lineage, maker, true)?);
    }
    for (n, at) in chain.iter().enumerate() {
        let run: Run = load(store, *at)?;
        // The evaluation itself, and the run that made the model; what came before that is not claimed.
        if n == 0 || Some(*at) == maker {
            let (own, is_disputed) = claim_of(store, lineage, *at, &run)?;
            claim = Some(claim.map_or(own, |claim| claim.min(own)));
            disputed.extend(is_disputed.then_some(*at));
        }
        if n > 0 {
            shared.extend(tested.read_by(store, lineage, *at, &run)?);
        }
    }
    // Nobody knows how a model came about that was brought along.
    let most = if maker.is_some() { Claim::VerifiedElsewhere } else { Claim::Recorded };
    let is_over = run.outcome.status.is_success();
    let score = run.outcome.metrics.get(evaluation.metric()).filter(|_| is_over);
    Ok(Entry {
        run: id,
        score: score.map(|score| score.get()),
        model,
        maker,
        claim: claim.unwrap_or(Claim::Reported).min(most),
        disputed,
        shared: shared.into_iter().collect(),
    })
}

/// How strong a run's own record is, and whether somebody got something else.
fn claim_of(store: &Store, lineage: &Lineage, id: RunId, run: &Run) -> Result<(Claim, bool)> {
    if run.outcome.completeness != Completeness::Complete {
        return Ok((Claim::Reported, false));
    }
    let (mut claim, mut is_disputed) = (Claim::Recorded, false);
    for attestation in lineage.attestations_of(id)? {
        let attestation: Attestation = load(store, attestation)?;
        if !attestation.verdict.holds() {
            is_disputed |= attestation.verdict == lab_schema::Verdict::Diverged;
            continue;
        }
        let is_elsewhere =
            (&attestation.host.arch, &attestation.host.cpu) != (&run.host.arch, &run.host.cpu);
        claim = claim.max(match attestation.who == run.who {
            _ if is_elsewhere => Claim::VerifiedElsewhere,
            true => Claim::VerifiedByAuthor,
            false => Claim::VerifiedByAnother,
        });
    }
    Ok((claim, is_disputed))
}

/// The files that the evaluation reads beside the model, and what it calls them.
#[derive(Default)]
struct Tested(BTreeMap<ObjectId, String>, BTreeMap<ContentId, Option<String>>);

impl Tested {
    /// What a run read of them. The tensor engine keeps the rows that it tests on away from training by
    /// itself.
    fn read_by(
        &mut self,
        store: &Store,
        lineage: &Lineage,
        id: RunId,
        run: &Run,
    ) -> Result<Vec<Shared>> {
        let recipe: Recipe = load(store, run.recipe)?;
        if matches!(recipe.executor(), Executor::Tensor(_)) {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        for (role, content) in lineage.run_inputs(id)? {
            let read = match role {
                Role::Input(slot) => slot.to_string(),
                Role::Outside(slot) => format!("/{slot}"),
                Role::Code => continue,
            };
            let Tested(tested, known) = self;
            let shared = match known.get(&content) {
                Some(shared) => shared.clone(),
                None => {
                    let files = files(store, content)?;
                    let shared = files.into_iter().find_map(|file| tested.get(&file)).cloned();
                    known.insert(content, shared.clone());
                    shared
                }
            };
            found.extend(shared.map(|tested| Shared { tested, by: id, read }));
        }
        Ok(found)
    }
}

/// The files in a content, but for those with nothing in them.
fn files(store: &Store, content: ContentId) -> Result<BTreeSet<ObjectId>> {
    let empty = lab_schema::BlobId::of(b"");
    let (mut found, mut seen, mut todo) = (BTreeSet::new(), BTreeSet::new(), vec![content]);
    while let Some(content) = todo.pop() {
        match content {
            ContentId::Blob(blob) if blob == empty => {}
            ContentId::Blob(blob) => drop(found.insert(blob.into())),
            ContentId::Tree(tree) if seen.insert(tree) => {
                let tree: Tree = load(store, tree)?;
                todo.extend(tree.entries().iter().filter_map(|entry| entry.node.content()));
            }
            ContentId::Tree(_) => {}
        }
        if found.len() > MAX_FILES {
            break;
        }
    }
    Ok(found)
}

fn load<O: Object>(store: &Store, id: O::Id) -> Result<O> {
    store.get(id)?.ok_or(ReplayError::Missing { id: id.into() })
}
