//! Who went through an evaluation: the runs that have its protocol, what each reached, how strong a claim that
//! is, and whether the model's making had a look at what it is tested on.

use std::collections::{BTreeMap, BTreeSet, HashSet, btree_map};

use lab_lineage::{Lineage, Role};
use lab_objects::Store;
use lab_schema::{
    Attestation, Completeness, ContentId, Evaluation, Executor, Object, ObjectId, Recipe, RecipeId,
    Run, RunId, Slot, Tree,
};

use crate::error::{ReplayError, Result};

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
    /// What that run calls it, or what it was split off from.
    pub read: String,
    /// Whether it is the same; else it was split off from something that the model came from too, by another run.
    pub is_same: bool,
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
    let files: Vec<(String, ContentId)> =
        model.iter().map(|(slot, content)| (slot.to_string(), *content)).collect();
    let made = lineage.makers(&files, Some(but))?;
    let is_made = made.iter().all(Option::is_some);
    let all: BTreeSet<RunId> = made.into_iter().flatten().collect();
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

/// Something that the evaluation reads and a run made.
struct Split {
    /// What the evaluation calls it.
    tested: String,
    maker: RunId,
    /// The run and all before it.
    before: BTreeSet<RunId>,
    /// What these started from.
    from: BTreeSet<ContentId>,
}

/// What the evaluation reads beside the model.
#[derive(Default)]
struct Tested {
    /// Whether the tensor engine evaluates.
    by_engine: bool,
    /// Its files, and what it calls them.
    files: BTreeMap<ObjectId, String>,
    /// What of it runs made.
    made: Vec<Split>,
    /// Which of the files lie in a content that was looked at before.
    known: BTreeMap<ContentId, Option<String>>,
    /// What is known of the sources of a run.
    sources: BTreeMap<RunId, BTreeMap<ContentId, String>>,
}

impl Tested {
    fn new(
        store: &Store,
        lineage: &Lineage,
        run: RunId,
        reads: &[(String, ContentId)],
    ) -> Result<Tested> {
        let mut tested = Tested::default();
        for ((slot, content), maker) in reads.iter().zip(lineage.makers(reads, Some(run))?) {
            for blob in files(store, *content)? {
                tested.files.entry(blob).or_insert_with(|| slot.clone());
            }
            if let Some(maker) = maker {
                let before: BTreeSet<RunId> = lineage.chain(maker)?.into_iter().collect();
                let mut from = BTreeSet::new();
                for run in &before {
                    from.extend(tested.sources_of(lineage, *run)?.keys().copied());
                }
                tested.made.push(Split { tested: slot.clone(), maker, before, from });
            }
        }
        Ok(tested)
    }

    /// What a run read that no run made, and what it calls that.
    fn sources_of(&mut self, lineage: &Lineage, id: RunId) -> Result<&BTreeMap<ContentId, String>> {
        Ok(match self.sources.entry(id) {
            btree_map::Entry::Occupied(known) => known.into_mut(),
            btree_map::Entry::Vacant(free) => {
                let mut sources = BTreeMap::new();
                for (role, content) in lineage.run_inputs(id)? {
                    if let Some(read) = called(&role)
                        && lineage.producer_for(content)?.is_none()
                    {
                        sources.insert(content, read);
                    }
                }
                free.insert(sources)
            }
        })
    }

    /// What a run read of the files. Of its own splits the tensor engine keeps the rows that it tests on away from
    /// training by itself.
    fn read_by(&mut self, store: &Store, lineage: &Lineage, id: RunId) -> Result<Vec<Shared>> {
        if self.by_engine {
            let recipe: Recipe = load(store, load::<Run>(store, id)?.recipe)?;
            if matches!(recipe.executor(), Executor::Tensor(_)) {
                return Ok(Vec::new());
            }
        }
        let mut found = Vec::new();
        for (role, content) in lineage.run_inputs(id)? {
            let Some(read) = called(&role) else { continue };
            let shared = match self.known.get(&content) {
                Some(shared) => shared.clone(),
                None => {
                    let files = files(store, content)?;
                    let shared = files.into_iter().find_map(|file| self.files.get(&file)).cloned();
                    self.known.insert(content, shared.clone());
                    shared
                }
            };
            found.extend(shared.map(|tested| Shared { tested, by: id, read, is_same: true }));
        }
        Ok(found)
    }

    /// What of the evaluation was split off from something that a run of these, which made a model, started from as
    /// well: one that neither led to the split nor came after it, so that nothing kept the two apart.
    fn split_elsewhere(&mut self, lineage: &Lineage, runs: &[RunId]) -> Result<Vec<Shared>> {
        let mut found = Vec::new();
        let all = std::mem::take(&mut self.made);
        for Split { tested, maker, before, from } in &all {
            for run in runs.iter().filter(|run| !before.contains(run)) {
                let sources = self.sources_of(lineage, *run)?;
                let both = sources.iter().find(|(content, _)| from.contains(*content));
                let Some(read) = both.map(|(_, read)| read.clone()) else { continue };
                if !lineage.chain(*run)?.contains(maker) {
                    found.push(Shared { tested: tested.clone(), by: *run, read, is_same: false });
                    break;
                }
            }
        }
        self.made = all;
        Ok(found)
    }
}

/// What a run calls an input; none of code.
fn called(role: &Role) -> Option<String> {
    match role {
        Role::Input(slot) => Some(slot.to_string()),
        Role::Outside(slot) => Some(format!("/{slot}")),
        Role::Code => None,
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
