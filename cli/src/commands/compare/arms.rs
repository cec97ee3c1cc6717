//! The sets of runs that somebody wants to compare: what was typed, which runs that means, and what each of
//! them reached.

use std::collections::BTreeSet;

use lab_lineage::{Lineage, Node};
use lab_objects::{Names, Store};
use lab_replay::variables;
use lab_schema::{Executor, Name, ObjectId, Recipe, Run, RunId};

use super::super::pattern;
use crate::failure::{Failure, Outcome};
use crate::resolve::resolve;
use crate::ui::{count, plain, shortened};

/// Most runs of an arm.
pub(super) const MOST: usize = 1000;
/// Most failed runs that are looked at for the seeds that crashed, the newest first.
const FAILED: usize = 200;

/// Longest label, in characters.
const LABEL: usize = 24;

/// A set of runs.
pub(super) struct Arm {
    /// As it was typed, without `@seeds`.
    pub(super) label: String,
    /// What was recorded, in the order of their names.
    pub(super) runs: Vec<Member>,
}

/// One of them.
pub(super) struct Member {
    pub(super) id: RunId,
    /// The name that led to it, or the reference.
    pub(super) name: String,
    /// What it reached; none if it crashed, or left no such number.
    pub(super) score: Option<f64>,
}

impl Arm {
    /// What it is called in a line.
    pub(super) fn shown(&self) -> String {
        shortened(&plain(&self.label), LABEL)
    }

    pub(super) fn ids(&self) -> Vec<RunId> {
        self.runs.iter().map(|run| run.id).collect()
    }

    pub(super) fn scores(&self) -> Vec<f64> {
        self.runs.iter().filter_map(|run| run.score).collect()
    }
}

/// The runs that were meant: `NAME@seeds`, names with stars, references with commas between them.
pub(super) fn arm(store: &Store, lineage: &Lineage, typed: &str) -> Outcome<Arm> {
    let (mut runs, mut seen) = (Vec::new(), BTreeSet::new());
    for part in typed.split(',').map(str::trim) {
        for name in meant(&store.names(), part)? {
            let resolved = resolve(store, &name);
            let id = resolved.map_err(|failure| with_seeds(store, &name, failure))?.run(lineage)?;
            if seen.insert(id) {
                runs.push(Member { id, name, score: None });
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
fn with_seeds(store: &Store, name: &str, failure: Failure) -> Failure {
    let seeds = format!("{name}@seeds");
    match meant(&store.names(), &seeds) {
        Ok(found) => failure.hint(format!("`{seeds}` are {}", count(found.len() as u64, "run"))),
        Err(_) => failure,
    }
}

/// The references that a part of what was typed stands for.
fn meant(names: &Names<'_>, part: &str) -> Outcome<Vec<String>> {
    let wanted: Box<dyn Fn(&str) -> bool> = if let Some(base) = part.strip_suffix("@seeds") {
        base.parse::<Name>()?;
        let start = format!("{base}.seed");
        Box::new(move |name| {
            let rest = name.strip_prefix(&start);
            rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
        })
    } else if part.contains(['*', '?']) {
        Box::new(move |name| pattern::matches(part, name))
    } else {
        return Ok(vec![part.to_owned()]);
    };
    let is_run = |target: Option<ObjectId>| matches!(target, Some(ObjectId::Run(_)));
    let all: Vec<String> = names
        .list()?
        .into_iter()
        .filter(|(_, moved)| is_run(moved.target))
        .map(|(name, _)| name.to_string())
        .collect();
    let fits: BTreeSet<&String> = all.iter().filter(|name| wanted(name)).collect();
    // A star also finds the stages that a run consists of: of `base.seed1` and `base.seed1.train` the first is meant.
    let is_stage = |name: &str| {
        name.rsplit_once('.').is_some_and(|(whole, _)| fits.contains(&whole.to_owned()))
    };
    let mut found: Vec<String> =
        fits.iter().filter(|name| !is_stage(name)).map(|name| (*name).clone()).collect();
    found.sort_by_key(|name| natural(name));
    if found.is_empty() {
        let failure = Failure::not_found(format!("no run is called '{part}'"));
        return Err(match part.strip_suffix("@seeds") {
            Some(base) => failure.hint(format!(
                "`lab run ... --name {base} --seeds 1..10` makes {base}.seed1 to {base}.seed10"
            )),
            None => failure.hint("`lab ls` lists the names"),
        });
    }
    Ok(found)
}

/// So that `seed10` comes after `seed9`.
fn natural(name: &str) -> (String, u64) {
    let head = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (head.to_owned(), name[head.len()..].parse().unwrap_or(0))
}

/// Reads what every run reached by this metric.
pub(super) fn score(store: &Store, arm: &mut Arm, metric: &str) -> Outcome {
    for member in &mut arm.runs {
        let run: Run = store.load(member.id)?;
        let succeeded = run.outcome.status.is_success();
        let value = run.outcome.metrics.get(metric).map(|value| value.get());
        member.score = value.filter(|_| succeeded);
    }
    Ok(())
}

/// The one number that every run has.
pub(super) fn only_metric(store: &Store, all: &[Arm]) -> Outcome<String> {
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

/// Says which numbers there are instead.
pub(super) fn no_such_metric(store: &Store, all: &[Arm], metric: &str) -> Outcome<Failure> {
    let failure = Failure::not_found(format!("no run has a number called '{metric}'"));
    let there: Vec<String> = metrics(store, all)?.into_iter().collect();
    Ok(match there.is_empty() {
        true => failure,
        false => failure.hint(format!("they have {}", there.join(", "))),
    })
}

/// Adds the runs that failed and differ from those of the arm in nothing but the seed: a seed that crashed says
/// something of the method. One that was tried again and succeeded is there already.
pub(super) fn add_crashed(store: &Store, lineage: &Lineage, arms: &mut [Arm]) -> Outcome {
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
            tried.insert(seeds(store, lineage, first, run.id)?.unwrap_or_default());
        }
        for id in failed.iter().filter(|id| !present.contains(id)) {
            for stage in &stages {
                if !alike(store, *stage, *id)? {
                    continue;
                }
                let Some(own) = seeds(store, lineage, *stage, *id)? else { continue };
                if tried.insert(own) {
                    let name = id.short().to_string();
                    arm.runs.push(Member { id: *id, name, score: None });
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
type Seeds = Vec<(String, Option<String>)>;

/// In which seeds a run differs from another; none if it differs in anything else.
fn seeds(store: &Store, lineage: &Lineage, of: RunId, run: RunId) -> Outcome<Option<Seeds>> {
    let found = variables(store, lineage, of, run)?;
    let causes: Vec<_> = found.into_iter().filter(|v| !v.layer.is_consequence()).collect();
    if causes.iter().any(|v| v.layer != lab_replay::Layer::Seed) {
        return Ok(None);
    }
    Ok(Some(causes.into_iter().map(|v| (v.what, v.after)).collect()))
}

/// How many recorded runs have such a number and stand on all the data that these two do; none if they share none.
pub(super) fn looks(lineage: &Lineage, [a, b]: [RunId; 2], metric: &str) -> Outcome<Option<usize>> {
    let data = |run: RunId| -> Outcome<BTreeSet<Node>> {
        let mut found = BTreeSet::new();
        for node in lineage.ancestors(Node::Run(run))? {
            if let Node::Content(content) = node
                && lineage.producers(content)?.is_empty()
            {
                let inputs = lineage.consumers(content)?;
                if inputs.iter().any(|read| !matches!(read.role, lab_lineage::Role::Code)) {
                    found.insert(node);
                }
            }
        }
        Ok(found)
    };
    let mut counted: Option<BTreeSet<RunId>> = None;
    for node in data(a)?.intersection(&data(b)?) {
        let below = lineage.descendants(*node)?.into_iter().filter_map(|node| match node {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_their_numbers() {
        let mut names = ["a.seed10", "a.seed9", "a", "a.seed100"];
        names.sort_by_key(|name| natural(name));
        assert_eq!(names, ["a", "a.seed9", "a.seed10", "a.seed100"]);
    }
}
