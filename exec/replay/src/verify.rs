//! Do a run again and say how it compares.
//!
//! Every run is judged by itself: it is given the *recorded* inputs, even where an earlier run,
//! done again, would give others. What a re-execution leaves goes into the store, because only
//! there can the first differing element be shown; nothing links to it (an attestation holds its
//! hashes as evidence), so a later collection takes what differs, and what is equal was there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use lab_objects::ObjectsError;
use lab_process::{Beyond, Execution, Laid, Note, ProcessError};
use lab_schema::{
    Attestation, AttestationId, BlobId, Completeness, ContentId, Difference, Executor, Host, Log,
    Outcome, Recipe, Run, RunId, Slot, Status, Verdict,
};
use lab_tensor::{Divergence, TensorError};

use crate::bench::{Again, Bench, again, observations};
use crate::compare::{compare, shown};
use crate::error::{ReplayError, Result};
use crate::presence::{absent, bring};
use crate::suspects::{Sort, Suspect, reached, suspects};

/// What came of doing a run again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// The run.
    pub run: RunId,
    /// The attestation's id; it is in the store.
    pub id: AttestationId,
    /// The verdict and its evidence.
    pub attestation: Attestation,
    /// Where the run was recorded.
    pub recorded: Host,
    /// If it diverged: what may be behind it, likeliest first.
    pub suspects: Vec<Suspect>,
    /// If it is a training and diverged: the first step that did.
    pub first_step: Option<Divergence>,
    /// If it diverged and was executed a second time: how the two re-executions compare.
    pub repeat: Option<Repeat>,
    /// Why it was not sealed, where its record would have allowed it, and what can be done.
    pub unsealed: Option<(String, String)>,
    /// What a person should know of the re-execution.
    pub notes: Vec<Note>,
}

/// How two re-executions of a run compare with each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// They left the same.
    Same,
    /// They differ too: the recipe gives another result each time. The first place where they do.
    Different(Difference),
    /// The second could not be executed: why.
    Failed(String),
}

/// Does `run` again from its recorded inputs, puts an attestation into the store, and returns it.
///
/// That it could not be repeated is a verdict. Errors are a store that fails, a run that is not
/// there, and an interruption by the person.
pub fn verify(bench: &Bench<'_>, id: RunId) -> Result<Verification> {
    let run: Run = bench.store.get(id)?.ok_or(ReplayError::Missing { id: id.into() })?;
    let judged = match obstacle(bench, &run)? {
        Err(verdict) => Judged::without(verdict),
        Ok(recipe) => judge(bench, &run, &recipe)?,
    };
    let attestation = Attestation {
        run: id,
        verdict: judged.verdict,
        outputs: judged.outcome.as_ref().map(|o| o.outputs.clone()).unwrap_or_default(),
        differences: judged.differences,
        sealed: judged.sealed,
        host: lab_process::host(),
        who: bench.who.to_owned(),
        started_ms: judged.outcome.as_ref().map_or_else(now_ms, |o| o.started_ms),
        duration_ms: judged.outcome.as_ref().map_or(0, |o| o.duration_ms),
    };
    let mut writer = bench.store.writer();
    let attestation_id = writer.put(&attestation)?;
    writer.finish()?;
    Ok(Verification {
        run: id,
        id: attestation_id,
        attestation,
        recorded: run.host,
        suspects: judged.suspects,
        first_step: judged.first_step,
        repeat: judged.repeat,
        unsealed: judged.unsealed,
        notes: judged.notes,
    })
}

/// Does `run` and every run that its inputs came from again, causes first, and stops at the first
/// that does not hold: that is the last one returned. Those that are `known` to hold, or not to, are
/// not done once more.
pub fn verify_deep(
    bench: &Bench<'_>,
    run: RunId,
    known: &mut BTreeMap<RunId, bool>,
) -> Result<Vec<Verification>> {
    let mut done = Vec::new();
    for id in bench.lineage.chain(run)? {
        let holds = match known.get(&id) {
            Some(holds) => *holds,
            None => {
                let verification = verify(bench, id)?;
                let holds = verification.attestation.verdict.holds();
                done.push(verification);
                known.insert(id, holds);
                holds
            }
        };
        if !holds {
            break;
        }
    }
    Ok(done)
}

/// A verdict and what led to it.
struct Judged {
    verdict: Verdict,
    outcome: Option<Outcome>,
    differences: Vec<Difference>,
    sealed: bool,
    unsealed: Option<(String, String)>,
    notes: Vec<Note>,
    suspects: Vec<Suspect>,
    first_step: Option<Divergence>,
    repeat: Option<Repeat>,
}

impl Judged {
    /// A verdict without an execution.
    fn without(verdict: Verdict) -> Judged {
        Judged {
            verdict,
            outcome: None,
            differences: Vec::new(),
            sealed: false,
            unsealed: None,
            notes: Vec::new(),
            suspects: Vec::new(),
            first_step: None,
            repeat: None,
        }
    }
}

/// The recipe, or the verdict if something stands in the way of executing it.
pub(crate) fn obstacle(bench: &Bench<'_>, run: &Run) -> Result<Result<Recipe, Verdict>> {
    if let Completeness::Incomplete(why) = &run.outcome.completeness {
        return Ok(Err(Verdict::Unverifiable(why.clone())));
    }
    let Some(recipe) = bench.store.get::<Recipe>(run.recipe)? else {
        let why = format!("its recipe {} is not in the store", run.recipe.short());
        return Ok(Err(Verdict::Failed(why)));
    };
    let inputs = recipe.reads().map(|(slot, id)| (format!("input '{slot}'"), id));
    let code = recipe.code().map(|id| ("code".to_owned(), ContentId::Tree(id)));
    let environment =
        recipe.environment().map(|id| ("environment".to_owned(), ContentId::Tree(id)));
    let observed = run.outcome.observed.map(|id| ("what was observed".to_owned(), id.into()));
    let (mut lacking, mut needed) = (Vec::new(), Vec::new());
    for (what, content) in inputs.chain(code).chain(environment).chain(observed) {
        needed.push(content);
        if let Some(part) = absent(bench.store, content, 1)?.first() {
            let inside = match part.content() == Some(content) {
                true => String::new(),
                false => format!(" (of {})", content.short()),
            };
            lacking.push(format!("{what}: {} {}{inside}", part.kind(), part.short()));
        }
    }
    if lacking.is_empty() {
        bring(bench.store, needed)?;
    }
    Ok(match lacking.is_empty() {
        true => Ok(recipe),
        false => Err(Verdict::Failed(format!("not in the store: {}", lacking.join(", ")))),
    })
}

fn judge(bench: &Bench<'_>, run: &Run, recipe: &Recipe) -> Result<Judged> {
    let mut laid = None;
    let Again { execution, sealed, unsealed } = match again(bench, run, recipe, &mut laid, false) {
        Ok(again) => again,
        Err(error) => {
            let sealed = matches!(recipe.executor(), Executor::Tensor(_));
            let verdict = Verdict::Failed(cannot_start(error)?);
            return Ok(Judged { sealed, ..Judged::without(verdict) });
        }
    };
    let Execution { outcome, notes, .. } = execution;
    let differences = differences(bench, recipe, &run.outcome, &outcome)?;
    let same_end = run.outcome.status == outcome.status;
    let verdict = if same_end && differences.is_empty() {
        Verdict::Identical
    } else if same_end && differences.iter().all(|d| d.tolerated) {
        Verdict::Equivalent
    } else if run.outcome.status.is_success() && !outcome.status.is_success() {
        Verdict::Failed(failure(bench, &outcome)?)
    } else {
        Verdict::Diverged
    };
    let mut judged = Judged {
        differences,
        sealed,
        unsealed,
        notes,
        outcome: Some(outcome.clone()),
        ..Judged::without(verdict)
    };
    if judged.verdict == Verdict::Diverged {
        judged.first_step = first_step(bench, &run.outcome, &outcome)?;
        let observed = run.outcome.observed.map(|id| observations(bench.store, id)).transpose()?;
        judged.suspects = suspects(run, &lab_process::host(), recipe, observed.as_ref(), sealed);
        if bench.twice && matches!(recipe.executor(), Executor::Command(_)) {
            let (repeat, beyond) = repeat(bench, run, recipe, &outcome, &mut laid)?;
            weigh(&mut judged.suspects, &repeat);
            judged.suspects.splice(0..0, reached(&beyond));
            judged.repeat = Some(repeat);
        }
    } else if matches!(judged.verdict, Verdict::Failed(_)) && bench.twice && sealed {
        // What it lacks may be the reason.
        let (_, beyond) = repeat(bench, run, recipe, &outcome, &mut laid)?;
        judged.suspects = reached(&beyond);
    }
    Ok(judged)
}

/// The first step of a training that differs. Where its record cannot be read, or is no longer
/// there, the differences have to do.
fn first_step(
    bench: &Bench<'_>,
    expected: &Outcome,
    actual: &Outcome,
) -> Result<Option<Divergence>> {
    for content in expected.outputs.values() {
        if !absent(bench.store, *content, 1)?.is_empty() {
            return Ok(None);
        }
    }
    match lab_tensor::divergence(bench.store, &expected.outputs, &actual.outputs) {
        Err(TensorError::BadInput { .. }) => Ok(None),
        found => Ok(found?),
    }
}

/// Why an execution did not come to an outcome; the error itself if that says nothing about the
/// run: the store failed, a disk is full, or the person interrupted it.
pub(crate) fn cannot_start(error: ReplayError) -> Result<String> {
    match &error {
        ReplayError::Process(
            ProcessError::NoProgram { .. }
            | ProcessError::NotExecutable { .. }
            | ProcessError::NoInterpreter { .. }
            | ProcessError::Start { .. }
            | ProcessError::Misplaced(_)
            | ProcessError::CannotAnswer(_)
            | ProcessError::BadPin { .. }
            | ProcessError::DirectoryOutside { .. },
        ) => Ok(error.to_string()),
        ReplayError::Tensor(TensorError::Objects(_)) => Err(error),
        // A store that fails while an input is read; any other reason lies in the input itself.
        ReplayError::Tensor(TensorError::Read { source, .. })
            if source.get_ref().is_some_and(|e| e.is::<ObjectsError>()) =>
        {
            Err(error)
        }
        ReplayError::Tensor(_) | ReplayError::Observations { .. } => Ok(error.to_string()),
        _ => Err(error),
    }
}

/// For every output in which two outcomes differ, the first place; and their status.
pub(crate) fn differences(
    bench: &Bench<'_>,
    recipe: &Recipe,
    expected: &Outcome,
    actual: &Outcome,
) -> Result<Vec<Difference>> {
    let mut found = Vec::new();
    if expected.status != actual.status {
        let slot = Slot::new("exit status").expect("it is a plain name");
        found.push(plain(slot, ended(&expected.status), ended(&actual.status)));
    }
    let slots: BTreeSet<&Slot> = expected.outputs.keys().chain(actual.outputs.keys()).collect();
    for slot in slots {
        let tolerance = recipe.outputs().get(slot).and_then(|output| output.tolerance);
        match (expected.outputs.get(slot), actual.outputs.get(slot)) {
            (Some(a), Some(b)) if a == b => {}
            (Some(a), Some(b)) if absent(bench.store, *a, 1)?.is_empty() => {
                found.extend(compare(bench.store, slot, *a, *b, tolerance)?);
            }
            (a, b) => {
                let show = |id: Option<&ContentId>| {
                    id.map_or_else(|| "no such output".to_owned(), |id| id.short())
                };
                found.push(plain(slot.clone(), show(a), show(b)));
            }
        }
    }
    Ok(found)
}

/// A difference without an inside.
pub(crate) fn plain(output: Slot, expected: String, actual: String) -> Difference {
    Difference {
        output,
        at: None,
        expected,
        actual,
        ulps: None,
        share: None,
        relative_l2: None,
        tolerated: false,
    }
}

fn ended(status: &Status) -> String {
    match status {
        Status::Exited(code) => format!("exited with {code}"),
        Status::Signalled(signal) => format!("ended by signal {signal}"),
        Status::TimedOut(ms) => format!("stopped after {ms} ms"),
        Status::Missing(slots) => {
            let slots: Vec<&str> = slots.iter().map(Slot::as_str).collect();
            format!("did not leave {}", slots.join(", "))
        }
    }
}

/// How a re-execution failed, with the last line that it complained in.
pub(crate) fn failure(bench: &Bench<'_>, outcome: &Outcome) -> Result<String> {
    let ended = ended(&outcome.status);
    let said = match outcome.logs.get(&Log::Stderr) {
        Some(log) => last_line(bench, *log)?,
        None => None,
    };
    Ok(said.map_or(ended.clone(), |said| format!("{ended}: {said}")))
}

fn last_line(bench: &Bench<'_>, log: BlobId) -> Result<Option<String>> {
    let len = bench.store.size(log)?.unwrap_or(0);
    let end = bench.store.read_range(log, len.saturating_sub(4096)..len)?;
    let text = String::from_utf8_lossy(&end);
    Ok(text.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(shown))
}

/// Executes once more, under watch, and compares with the first re-execution.
fn repeat(
    bench: &Bench<'_>,
    run: &Run,
    recipe: &Recipe,
    first: &Outcome,
    laid: &mut Option<Laid>,
) -> Result<(Repeat, Beyond)> {
    let watched = lab_process::can_watch_in_box().is_ok();
    let (second, beyond) = match again(bench, run, recipe, laid, watched) {
        Ok(again) => (again.execution.outcome, again.execution.beyond),
        Err(error) => return Ok((Repeat::Failed(cannot_start(error)?), Beyond::default())),
    };
    let differences = differences(bench, recipe, first, &second)?;
    let repeat = match differences.into_iter().next() {
        None => Repeat::Same,
        Some(difference) => Repeat::Different(difference),
    };
    Ok((repeat, beyond))
}

/// Puts the suspects in the order that a second re-execution suggests.
fn weigh(suspects: &mut Vec<Suspect>, repeat: &Repeat) {
    match repeat {
        Repeat::Different(_) => {
            let sentence = "it gives another result each time, on this machine too".to_owned();
            suspects.push(Suspect { sort: Sort::EachTime, sentence });
            let rank = |s: &Suspect| match s.sort {
                Sort::Beyond => 0,
                Sort::EachTime => 1,
                Sort::Chance => 2,
                Sort::Record => 3,
                Sort::Machine => 4,
            };
            suspects.sort_by_key(rank);
        }
        // What is the same twice does not hang on chance, except a clock that moves slowly.
        Repeat::Same => suspects.sort_by_key(|s| (s.sort == Sort::Chance, s.sort)),
        Repeat::Failed(_) => {}
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}
