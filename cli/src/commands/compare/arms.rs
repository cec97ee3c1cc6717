//! The sets of runs that somebody wants to compare: what was typed, which runs that means, and what each of
//! them reached.

use std::collections::{BTreeMap, BTreeSet};

use lab_lineage::{Lineage, Node};
use lab_objects::{Names, Store};
use lab_replay::{Layer, variables};
use lab_schema::{ContentId, Executor, Name, ObjectId, Recipe, RecipeId, Run, RunId, Slot};

use super::super::pattern;
use crate::failure::{Failure, Outcome};
use crate::resolve::{names_of, resolve};
use crate::ui::{count, plain, shortened};

/// Most runs of an arm.
pub(in crate::commands) const MOST: usize = 1000;
/// Most failed runs that are looked at for the seeds that crashed, the newest first.
const FAILED: usize = 200;

/// Longest label, in characters.
const LABEL: usize = 24;

/// A set of runs.
pub(in crate::commands) struct Arm {
    /// As it was typed, without `@seeds`.
    pub(in crate::commands) label: String,
    /// What was recorded, in the order of their names.
    pub(in crate::commands) runs: Vec<Member>,
}

/// One of them.
pub(in crate::commands) struct Member {
    pub(in crate::commands) id: RunId,
    /// The name that led to it, or the reference.
    pub(in crate::commands) name: String,
    /// What it reached; none if it crashed, or left no such number.
    pub(in crate::commands) score: Option<f64>,
    /// What was done, and what came of it; none if it crashed.
    result: Option<Made>,
}

/// A recipe and the outputs that it left.
type Made = (RecipeId, BTreeMap<Slot, ContentId>);

impl Member {
    /// Whether it is the same run, or the same done again to the same end.
    pub(in crate::commands) fn is_one_with(&self, other: &Member) -> bool {
        self.id == other.id || self.result.is_some() && self.result == other.result
    }
}

impl Arm {
    /// What it is called in a line.
    pub(in crate::commands) fn shown(&self) -> String {
        shortened(&plain(&self.label), LABEL)
    }

    pub(in crate::commands) fn ids(&self) -> Vec<RunId> {
        self.runs.iter().map(|run| run.id).collect()
    }

    pub(in crate::commands) fn scores(&self) -> Vec<f64> {
        self.runs.iter().filter_map(|run| run.score).collect()
    }
}

/// The runs that were meant: `NAME@seeds`, names with stars, references with commas between them.
pub(in crate::commands) fn arm(store: &Store, lineage: &Lineage, typed: &str) -> Outcome<Arm> {
    let (mut runs, mut seen) = (Vec::new(), BTreeSet::new());
    for part in typed.split(',').map(str::trim) {
        for name in meant(&store.names(), lineage, part)? {
            let resolved = resolve(store, &name);
            let id = resolved
                .map_err(|failure| with_seeds(store, lineage, &name, failure))?
                .run(lineage)?;
            if seen.insert(id) {
                runs.push(Member { id, name, score: None, result: None });
            }
        }
    }
    if runs.len() > MOST {
        let many = runs.len();
        return Err(Failure::usage(format!("'{typed}' are {many} runs: at most {MOST} per arm")));
    }
    Ok(Arm { label: typed.trim_end_matches("@seeds").to_owned(), runs })
}

/// Of a name that only its seeds have, it says how they are called.
pub(in crate::commands) fn with_seeds(
    store: &Store,
    lineage: &Lineage,
    name: &str,
    failure: Failure,
) -> Failure {
    let seeds = format!("{name}@seeds");
    match meant(&store.names(), lineage, &seeds) {
        Ok(found) => failure.hint(format!("`{seeds}` are {}", count(found.len() as u64, "run"))),
        Err(_) => failure,
    }
}

/// The references that a part of what was typed stands for.
pub(in crate::commands) fn meant(
    names: &Names<'_>,
    lineage: &Lineage,
    part: &str,
) -> Outcome<Vec<String>> {
    Ok(meant_of(names, lineage, part)?.0)
}

/// The same, and the names that fit a pattern and are of stages of these.
pub(in crate::commands) fn meant_of(
    names: &Names<'_>,
    lineage: &Lineage,
    part: &str,
) -> Outcome<(Vec<String>, Vec<String>)> {
    let Some(wanted) = pattern::set(part)? else { return Ok((vec![part.to_owned()], Vec::new())) };
    let mut fits: BTreeMap<String, RunId> = BTreeMap::new();
    for (name, moved) in names.list()? {
        if let Some(ObjectId::Run(run)) = moved.target
            && wanted(name.as_str())
        {
            fits.insert(name.to_string(), run);
        }
    }
    // A star also finds the stages that a run consists of: of `base.seed1` and `base.seed1.train` the first is meant.
    let (mut found, mut stages) = (Vec::new(), Vec::new());
    for (name, run) in &fits {
        let whole = name.rsplit_once('.').and_then(|(whole, _)| fits.get(whole));
        let is_stage = match whole {
            Some(whole) => lineage.ancestors(Node::Run(*whole))?.contains(&Node::Run(*run)),
            None => false,
        };
        if is_stage { &mut stages } else { &mut found }.push(name.clone());
    }
    if found.is_empty() {
        return Err(pattern::none(part, "no run"));
    }
    found.sort_by_key(|name| pattern::natural(name));
    stages.sort_by_key(|name| pattern::natural(name));
    Ok((found, stages))
}

/// A run that came to its end without this number is no crash, and nothing is known of it.
pub(in crate::commands) fn all_have(all: &[Arm], metric: &str) -> Outcome {
    let lacks = |run: &&Member| run.result.is_some() && run.score.is_none();
    match all.iter().flat_map(|arm| &arm.runs).find(lacks) {
        Some(run) => {
            let what = format!("{} has no number called '{metric}'", run.name);
            Err(Failure::not_found(what).hint(
                "name the runs that have one, with commas between them, or another `--metric`",
            ))
        }
        None => Ok(()),
    }
}

/// Runs that are one and the same count once: a recipe that was done again to the same end, and seeds that change
/// nothing at all. Says what it left out.
pub(in crate::commands) fn count_once(all: &mut [Arm]) -> Vec<String> {
    let mut notes = Vec::new();
    for arm in all {
        let before = arm.runs.len();
        let mut distinct: Vec<Member> = Vec::new();
        for run in arm.runs.drain(..) {
            if !distinct.iter().any(|other| other.is_one_with(&run)) {
                distinct.push(run);
            }
        }
        arm.runs = distinct;
        let outputs = |run: &Member| run.result.as_ref().map(|made| made.1.clone());
        let first = arm.runs.first().and_then(outputs).filter(|outputs| !outputs.is_empty());
        // Two may leave the same number by chance.
        if arm.runs.len() > 2 && first.is_some() && arm.runs.iter().all(|run| outputs(run) == first)
        {
            arm.runs.truncate(1);
        }
        if arm.runs.len() < before {
            let (left, runs) = (arm.runs.len(), count(before as u64, "run"));
            notes.push(format!(
                "of the {runs} of {} only {left} can be counted: the others left the same bytes",
                arm.shown()
            ));
        }
    }
    notes
}

/// Reads what every run reached by this metric.
pub(in crate::commands) fn score(store: &Store, arm: &mut Arm, metric: &str) -> Outcome {
    for member in &mut arm.runs {
        let run: Run = store.load(member.id)?;
        if run.outcome.status.is_success() {
            member.score = run.outcome.metrics.get(metric).map(|value| value.get());
            member.result = Some((run.recipe, run.outcome.outputs));
        }
    }
    Ok(())
}

/// The one number that every run has.
pub(in crate::commands) fn only_metric(store: &Store, all: &[Arm]) -> Outcome<String> {
    let mut common = metrics(store, all)?.into_iter();
    match (common.next(), common.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(Failure::usage("the runs have no number in common").hint(
            "`lab show RUN` lists what a run reached; `--metric NAME` compares those that have it",
        )),
        (Some(one), Some(two)) => {
            let all: Vec<String> = [one, two].into_iter().chain(common).collect();
            Err(Failure::usage(format!("which number? The runs have {}", all.join(", ")))
                .hint(format!("name one, as in `--metric {}`", all[0])))
        }
    }
}

/// The numbers that all runs that succeeded have.
fn metrics(store: &Store, all: &[Arm]) -> Outcome<BTreeSet<String>> {
    let mut common: Option<BTreeSet<String>> = None;
    for member in all.iter().flat_map(|arm| &arm.runs) {
        let run: Run = store.load(member.id)?;
        if run.outcome.status.is_success() {
            let own: BTreeSet<String> = run.outcome.metrics.into_keys().collect();
            common = Some(match common {
                None => own,
                Some(common) => common.intersection(&own).cloned().collect(),
            });
        }
    }
    Ok(common.unwrap_or_default())
}

/// Says which numbers there are instead, and who measured this one of what the first run left.
pub(in crate::commands) fn no_such_metric(
    store: &Store,
    lineage: &Lineage,
    all: &[Arm],
    metric: &str,
) -> Outcome<Failure> {
    let failure = Failure::not_found(format!("no run has a number called '{metric}'"));
    if let Some(first) = all.iter().flat_map(|arm| &arm.runs).next() {
        for (_, content) in lineage.run_outputs(first.id)? {
            for reader in lineage.consumers(content)? {
                if store.load::<Run>(reader.run)?.outcome.metrics.contains_key(metric) {
                    let names = names_of(store, reader.run.into())?;
                    let called = names
                        .first()
                        .map_or_else(|| format!("run {}", reader.run.short()), Name::to_string);
                    return Ok(failure.hint(format!(
                        "{called} measured it of what {} left: runs like that can be compared",
                        first.name
                    )));
                }
            }
        }
    }
    let there: Vec<String> = metrics(store, all)?.into_iter().collect();
    Ok(match there.is_empty() {
        true => failure,
        false => failure.hint(format!("they have {}", there.join(", "))),
    })
}

/// Adds the runs that failed and differ from those of the arm in nothing but the seed: a seed that crashed says
/// something of the method. One that was tried again and succeeded is there already.
pub(in crate::commands) fn add_crashed(
    store: &Store,
    lineage: &Lineage,
    arms: &mut [Arm],
) -> Outcome {
    let all = lineage.runs()?;
    let failed: Vec<RunId> =
        all.iter().rev().filter(|row| !row.success).take(FAILED).map(|row| row.id).collect();
    for arm in arms {
        let Some(first) = arm.runs.first().map(|run| run.id) else { continue };
        // It may have crashed in an earlier stage.
        let mut stages = vec![first];
        stages.extend(lineage.ancestors(Node::Run(first))?.into_iter().filter_map(
            |node| match node {
                Node::Run(run) => Some(run),
                Node::Content(_) => None,
            },
        ));
        let present: BTreeSet<RunId> = arm.ids().into_iter().collect();
        let mut tried = BTreeSet::new();
        for run in &arm.runs {
            tried.insert(seeds(store, lineage, first, run.id, false)?.unwrap_or_default());
        }
        for id in failed.iter().filter(|id| !present.contains(id)) {
            for stage in &stages {
                if !alike(store, *stage, *id)? {
                    continue;
                }
                let Some(own) = seeds(store, lineage, *stage, *id, true)? else { continue };
                if tried.insert(own) {
                    let name = id.short().to_string();
                    arm.runs.push(Member { id: *id, name, score: None, result: None });
                }
                break;
            }
        }
    }
    Ok(())
}

/// Whether two runs could be of one method: the same program, or the same stage.
fn alike(store: &Store, a: RunId, b: RunId) -> Outcome<bool> {
    let recipe = |id: RunId| -> Outcome<Recipe> {
        let run: Run = store.load(id)?;
        Ok(store.load(run.recipe)?)
    };
    Ok(match (recipe(a)?.executor(), recipe(b)?.executor()) {
        (Executor::Command(a), Executor::Command(b)) => {
            a.argv.iter().take(2).eq(b.argv.iter().take(2))
        }
        (Executor::Tensor(a), Executor::Tensor(b)) => a.stage == b.stage,
        _ => false,
    })
}

/// Seeds by their names.
type Seeds = BTreeSet<(String, Option<String>)>;

/// In which seeds a run, which may have crashed, differs from another; none if it differs in anything else.
fn seeds(
    store: &Store,
    lineage: &Lineage,
    of: RunId,
    run: RunId,
    crashed: bool,
) -> Outcome<Option<Seeds>> {
    // What a run that crashed did not come to is not there, and that is no difference.
    let not_reached = [
        Layer::Data,
        Layer::Code,
        Layer::Package,
        Layer::System,
        Layer::Found,
        Layer::Order,
        Layer::Seed,
    ];
    let beside = [Layer::Place, Layer::Time, Layer::Chance, Layer::Record];
    let mut causes = variables(store, lineage, of, run)?;
    causes.retain(|v| {
        let is_lacking = crashed && v.after.is_none() && not_reached.contains(&v.layer);
        !v.layer.is_consequence() && !beside.contains(&v.layer) && !is_lacking
    });
    if causes.iter().any(|v| v.layer != Layer::Seed) {
        return Ok(None);
    }
    // A stage by itself calls its seeds by shorter names than what stands on it.
    let short = |what: &str| what.rsplit('.').next().unwrap_or(what).to_owned();
    Ok(Some(causes.into_iter().map(|v| (short(&v.what), v.after)).collect()))
}

/// How many recorded runs have such a number and stand on all the data that these two do; none if they share none.
pub(in crate::commands) fn looks(
    lineage: &Lineage,
    [a, b]: [RunId; 2],
    metric: &str,
) -> Outcome<Option<usize>> {
    let mut counted: Option<BTreeSet<RunId>> = None;
    for data in lineage.sources(a)?.intersection(&lineage.sources(b)?) {
        let below =
            lineage.descendants(Node::Content(*data))?.into_iter().filter_map(|node| match node {
                Node::Run(run) => Some(run),
                Node::Content(_) => None,
            });
        let below: BTreeSet<RunId> = below.collect();
        counted = Some(match counted {
            None => below,
            Some(before) => before.intersection(&below).copied().collect(),
        });
    }
    let Some(counted) = counted else { return Ok(None) };
    let having = lineage.metric(metric)?;
    Ok(Some(having.into_iter().filter(|(run, _)| counted.contains(run)).count()))
}
