//! Who went through an evaluation: the runs that have its protocol, what each reached, how strong a claim that
//! is, and whether the model's making had a look at what it is tested on.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use lab_lineage::{Lineage, Role};
use lab_objects::Store;
use lab_schema::{
    Attestation, Completeness, ContentId, Evaluation, Executor, Object, Recipe, RecipeId, Run,
    RunId, Slot,
};

use crate::error::{ReplayError, Result};
use crate::tested::{Shared, Tested};

/// Most inputs of the example by which runs are looked for.
const WAYS: usize = 32;

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

/// A model that was evaluated.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The evaluation's run.
    pub run: RunId,
    /// What it reached; none if it failed, or left no such number.
    pub score: Option<f64>,
    /// The model: its files, as the evaluation calls them.
    pub model: BTreeMap<Slot, ContentId>,
    /// The runs that made the model; none of them stands on another.
    pub makers: Vec<RunId>,
    /// Whether each of its files was made by a run, and none was brought along.
    pub is_made: bool,
    /// How strong a claim this is: as strong as the weakest one, of the evaluation's run and of the makers.
    pub claim: Claim,
    /// Runs, of these, that somebody did again and got something else, or that got something else themselves.
    pub disputed: Vec<RunId>,
    /// What the model's making read of what it is tested on.
    pub shared: Vec<Shared>,
}

/// All entries, by start and then by id; a model that was evaluated several times counts once. `lineage` is
/// that of `store`, and fresh.
pub fn entries(store: &Store, lineage: &Lineage, evaluation: &Evaluation) -> Result<Vec<Entry>> {
    let _held = lineage.hold()?;
    let example: Run = load(store, evaluation.run())?;
    let recipe: Recipe = load(store, example.recipe)?;
    let Some(protocol) = evaluation.protocol(&recipe).map(|protocol| protocol.id()) else {
        let (id, why) = (evaluation.run(), "it does not read its model".to_owned());
        return Err(ReplayError::NotEvaluated { id, why });
    };
    let reads: Vec<(String, ContentId)> = recipe
        .reads()
        .filter(|(slot, _)| evaluation.model().iter().all(|model| model.as_str() != slot))
        .collect();
    let mut tested = Tested::new(store, lineage, evaluation.run(), &reads)?;
    tested.by_engine = matches!(recipe.executor(), Executor::Tensor(_));
    let (mut found, mut seen): (Vec<Entry>, BTreeMap<RecipeId, usize>) = Default::default();
    for id in candidates(lineage, &recipe, &reads)? {
        let run: Run = load(store, id)?;
        let recipe: Recipe = load(store, run.recipe)?;
        let Some(model) = evaluation.model_of(&recipe) else { continue };
        if evaluation.protocol(&recipe).map(|protocol| protocol.id()) != Some(protocol) {
            continue;
        }
        let entry = entry(store, lineage, evaluation, (id, &run), model, &mut tested)?;
        match seen.get(&run.recipe).map(|at| &mut found[*at]) {
            Some(best) => best.beside(entry),
            None => {
                seen.insert(run.recipe, found.len());
                found.push(entry);
            }
        }
    }
    Ok(found)
}

impl Entry {
    /// Of two runs of one model the one with a score counts, then the stronger claim, then the first. A claim is for
    /// the score that it was made of.
    fn beside(&mut self, mut other: Entry) {
        let worth = |entry: &Entry| (entry.score.is_some(), entry.claim);
        if worth(&other) > worth(self) {
            std::mem::swap(self, &mut other);
        }
        if other.score.is_some() && other.score != self.score {
            self.disputed.push(other.run);
        }
    }
}

/// Runs that read what few others read of what the example reads: all runs of the evaluation are among them.
fn candidates(
    lineage: &Lineage,
    recipe: &Recipe,
    reads: &[(String, ContentId)],
) -> Result<Vec<RunId>> {
    let reads = reads.iter().map(|(_, content)| *content);
    let mut fewest: Option<(u64, ContentId)> = None;
    for content in reads.chain(recipe.code().map(ContentId::Tree)).take(WAYS) {
        let count = lineage.count_consumers(content)?;
        if fewest.is_none_or(|(fewest, _)| count < fewest) {
            fewest = Some((count, content));
        }
    }
    match fewest {
        Some((_, content)) => {
            let mut seen = HashSet::new();
            let all = lineage.consumers(content)?.into_iter().map(|consumption| consumption.run);
            Ok(all.filter(|run| seen.insert(*run)).collect())
        }
        // It reads nothing but the model.
        None => Ok(lineage.runs()?.into_iter().map(|row| row.id).collect()),
    }
}

fn entry(
    store: &Store,
    lineage: &Lineage,
    evaluation: &Evaluation,
    (id, run): (RunId, &Run),
    model: BTreeMap<Slot, ContentId>,
    tested: &mut Tested,
) -> Result<Entry> {
    let Made { makers, is_made, before } = makers_of(lineage, &model, id)?;
    let (mut claim, mut disputed, mut shared) = (None::<Claim>, Vec::new(), BTreeSet::new());
    // The evaluation itself, and the runs that made the model; what came before these is not claimed.
    for at in [id].iter().chain(&makers) {
        let (own, is_disputed) = claim_of(store, lineage, *at, &load(store, *at)?)?;
        claim = Some(claim.map_or(own, |claim| claim.min(own)));
        disputed.extend(is_disputed.then_some(*at));
    }
    for at in &before {
        shared.extend(tested.read_by(store, lineage, *at)?);
    }
    shared.extend(tested.split_elsewhere(lineage, &before)?);
    // Nobody knows how came about what was brought along.
    let most = if is_made { Claim::VerifiedElsewhere } else { Claim::Recorded };
    let is_over = run.outcome.status.is_success();
    let score = run.outcome.metrics.get(evaluation.metric()).filter(|_| is_over);
    Ok(Entry {
        run: id,
        score: score.map(|score| score.get()),
        model,
        makers,
        is_made,
        claim: claim.unwrap_or(Claim::Reported).min(most),
        disputed,
        shared: shared.into_iter().collect(),
    })
}

/// How a model came about.
struct Made {
    /// The runs that made its files, but for those on which others of them stand.
    makers: Vec<RunId>,
    /// Whether each file was made by one.
    is_made: bool,
    /// These runs and all before them, causes first.
    before: Vec<RunId>,
}

/// How a model came about. What the evaluation itself left does not count.
fn makers_of(lineage: &Lineage, model: &BTreeMap<Slot, ContentId>, but: RunId) -> Result<Made> {
    let of_model: Vec<Vec<RunId>> = lineage
        .origins(but)?
        .into_iter()
        .filter(|origin| matches!(&origin.role, Role::Input(slot) if model.contains_key(slot)))
        .map(|origin| origin.makers)
        .collect();
    let is_made = of_model.iter().all(|makers| !makers.is_empty());
    let all: BTreeSet<RunId> = of_model.into_iter().flatten().collect();
    let (mut makers, mut before, mut seen) = (all.clone(), Vec::new(), HashSet::new());
    for maker in &all {
        for run in lineage.chain(*maker)? {
            if run != *maker {
                makers.remove(&run);
            }
            if seen.insert(run) {
                before.push(run);
            }
        }
    }
    Ok(Made { makers: makers.into_iter().collect(), is_made, before })
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

fn load<O: Object>(store: &Store, id: O::Id) -> Result<O> {
    store.get(id)?.ok_or(ReplayError::Missing { id: id.into() })
}
