//! What differs between two runs, over all layers, likeliest cause first.
//!
//! Equal things are not mentioned. Where two runs read different inputs that runs made, the
//! difference is followed back to these, and shown where it *enters*: two evaluations of two
//! models differ in the learning rate of the training, not in a hash. Only where there is nothing
//! further back is an input itself the difference.

mod variable;
mod words;
mod recipe;
mod code;
mod installed;
mod environment;
mod seeds;
mod seen;
mod surroundings;

use std::collections::{BTreeMap, BTreeSet};

use lab_lineage::{Lineage, Origin};
use lab_objects::Store;
use lab_schema::{ContentId, Executor, Git, Host, Object, Recipe, Run, RunId, Slot, Status};

use crate::bench::observations;
use crate::error::{ReplayError, Result};
use code::Alone;
pub use variable::{Layer, Variable};

/// Everything that differs between the runs `a` and `b`, the likeliest cause first, consequences
/// last. Both runs and their recipes must be in the store, and the lineage be refreshed.
pub fn variables(store: &Store, lineage: &Lineage, a: RunId, b: RunId) -> Result<Vec<Variable>> {
    let mut walk = Walk { store, lineage, found: Vec::new(), seen: BTreeSet::new(), todo: vec![] };
    if a != b {
        walk.todo.push((a, b, None));
    }
    while let Some((a, b, at)) = walk.todo.pop() {
        if walk.seen.insert((a, b)) {
            walk.runs(a, b, at)?;
        }
    }
    let mut found = walk.found;
    found.sort_by(|a, b| a.rank().cmp(&b.rank()).then_with(|| a.what.cmp(&b.what)));
    // A file that came and was read is told once, by its content.
    let read: BTreeSet<String> = found
        .iter()
        .filter(|v| matches!(v.layer, Layer::Data | Layer::Code | Layer::Split))
        .map(|v| v.what.strip_prefix("input ").unwrap_or(&v.what).to_owned())
        .collect();
    found.retain(|v| v.layer != Layer::Found || !read.contains(&v.what));
    let mut told = BTreeSet::new();
    found.retain(|v| {
        !v.is_surroundings()
            || told.insert((v.layer, v.what.clone(), v.before.clone(), v.after.clone()))
    });
    Ok(found)
}

struct Walk<'a> {
    store: &'a Store,
    lineage: &'a Lineage,
    found: Vec<Variable>,
    seen: BTreeSet<(RunId, RunId)>,
    /// Pairs of runs still to be compared, and where that is if it is further back.
    todo: Vec<(RunId, RunId, Option<RunId>)>,
}

impl Walk<'_> {
    fn runs(&mut self, a: RunId, b: RunId, at: Option<RunId>) -> Result<()> {
        let (x, y) = (self.load::<Run>(a)?, self.load::<Run>(b)?);
        let (p, q) = (self.load::<Recipe>(x.recipe)?, self.load::<Recipe>(y.recipe)?);
        let stage = match q.executor() {
            Executor::Tensor(tensor) if at.is_some() => format!("{}.", tensor.stage),
            _ => String::new(),
        };
        recipe::differences(&p, &q, &mut |layer, what, before, after| {
            let named = what.starts_with(&stage) || !is_named(layer);
            let what = if named { what.to_owned() } else { format!("{stage}{what}") };
            self.found.push(Variable { layer, what, before, after, delta: None, at });
        });
        self.inputs((a, b), (&x, &p), (&y, &q), at)?;
        self.code(&p, &q, at)?;
        self.surroundings(&x, &y, at);
        let same = x.outcome.outputs == y.outcome.outputs && x.outcome.status == y.outcome.status;
        for part in surroundings::differences(self.store, (&x, &p), (&y, &q))? {
            // A file that was written again as it was explains nothing where nothing came of it.
            if same && part.layer == Layer::Time {
                continue;
            }
            self.add(part.layer, &part.what, part.before, part.after, at);
        }
        if x.recipe == y.recipe && x.outcome.outputs != y.outcome.outputs {
            let what = format!("{stage}one recipe gave two results{}", self.drawn(&x)?);
            let (before, after) = (Some(a.to_string()), Some(b.to_string()));
            self.add(Layer::Chance, &what, before, after, at);
        }
        if at.is_none() {
            self.record(&x, &y);
            self.consequences(&x, &y);
        }
        Ok(())
    }

    fn load<O: Object>(&self, id: O::Id) -> Result<O> {
        self.store.get(id)?.ok_or_else(|| ReplayError::Missing { id: id.into() })
    }

    fn add(
        &mut self,
        layer: Layer,
        what: &str,
        before: Option<String>,
        after: Option<String>,
        at: Option<RunId>,
    ) {
        let what = what.to_owned();
        self.found.push(Variable { layer, what, before, after, delta: None, at });
    }

    /// Inputs that differ: those that runs made are followed back. One that was there in both and
    /// that only one read follows from something else.
    fn inputs(
        &mut self,
        ids: (RunId, RunId),
        (x, p): (&Run, &Recipe),
        (y, q): (&Run, &Recipe),
        at: Option<RunId>,
    ) -> Result<()> {
        let (a, b): (BTreeMap<String, ContentId>, BTreeMap<String, ContentId>) =
            (p.reads().collect(), q.reads().collect());
        let alone =
            a.keys().chain(b.keys()).any(|slot| a.contains_key(slot) != b.contains_key(slot));
        let seen = match alone {
            true => (self.there(x, p)?, self.there(y, q)?),
            false => Default::default(),
        };
        let made = match a == b {
            true => Default::default(),
            false => (self.makers(ids.0)?, self.makers(ids.1)?),
        };
        let slots: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        for slot in slots.into_iter().filter(|slot| a.get(*slot) != b.get(*slot)) {
            let (x, y) = (a.get(slot), b.get(slot));
            let mut layer = match Layer::of_name(slot, Layer::Data) {
                Layer::Split => Layer::Split,
                _ => Layer::Data,
            };
            let of =
                |made: &BTreeMap<String, Vec<RunId>>| made.get(slot).cloned().unwrap_or_default();
            let pairs = self.counterparts(of(&made.0), of(&made.1))?;
            if !pairs.is_empty() {
                layer = Layer::Carried;
                self.todo.extend(pairs.into_iter().map(|(p, q)| (p, q, Some(q))));
            }
            let unread = match (x, y) {
                (None, Some(_)) => seen.0.contains(slot),
                (Some(_), None) => seen.1.contains(slot),
                _ => false,
            };
            if unread {
                layer = Layer::Unread;
            }
            let show = |id: Option<&ContentId>| {
                id.map(ToString::to_string).or_else(|| unread.then(|| "not read".to_owned()))
            };
            self.add(layer, &format!("input {slot}"), show(x), show(y), at);
        }
        Ok(())
    }

    /// Who made what a run read, by the names that inputs have.
    fn makers(&self, run: RunId) -> Result<BTreeMap<String, Vec<RunId>>> {
        let made = |origin: Origin| (origin.role.to_string(), origin.makers);
        Ok(self.lineage.origins(run)?.into_iter().map(made).collect())
    }

    /// The makers that differ, each with the one in its place: by when they began, where there are as many.
    fn counterparts(&self, a: Vec<RunId>, b: Vec<RunId>) -> Result<Vec<(RunId, RunId)>> {
        let only = |of: &[RunId], other: &[RunId]| -> Result<Vec<RunId>> {
            let mut found = Vec::new();
            for run in of.iter().filter(|run| !other.contains(run)) {
                found.push((self.load::<Run>(*run)?.outcome.started_ms, *run));
            }
            found.sort_unstable();
            Ok(found.into_iter().map(|(_, run)| run).collect())
        };
        let (x, y) = (only(&a, &b)?, only(&b, &a)?);
        Ok(if x.len() == y.len() { x.into_iter().zip(y).collect() } else { Vec::new() })
    }

    /// What a run looked at or saw in a listing, by the names that inputs have.
    fn there(&self, run: &Run, recipe: &Recipe) -> Result<BTreeSet<String>> {
        let (Some(observed), Executor::Command(command)) =
            (run.outcome.observed, recipe.executor())
        else {
            return Ok(BTreeSet::new());
        };
        Ok(seen::there(&observations(self.store, observed)?, command))
    }

    fn code(&mut self, p: &Recipe, q: &Recipe, at: Option<RunId>) -> Result<()> {
        if p.code() == q.code() {
            return Ok(());
        }
        if let Some(changed) = code::differences(self.store, p.code(), q.code(), Alone::Whole)? {
            for c in changed {
                self.add(Layer::Code, &c.path, c.before, c.after, at);
            }
            return Ok(());
        }
        let show = |r: &Recipe| r.code().map(|id| id.to_string());
        self.add(Layer::Code, "code", show(p), show(q), at);
        Ok(())
    }

    /// Who drew random bytes in a run, and what it reached, in brackets.
    fn drawn(&self, run: &Run) -> Result<String> {
        let Some(observed) = run.outcome.observed else { return Ok(String::new()) };
        let observed = observations(self.store, observed)?;
        let name = |path: &Vec<u8>| {
            let path = String::from_utf8_lossy(path);
            path.rsplit('/').next().unwrap_or(&path).to_owned()
        };
        let names: BTreeSet<String> = observed.entropy.keys().map(name).collect();
        let names: Vec<String> = names.into_iter().take(3).collect();
        let mut said = Vec::new();
        let peers = observed.peers.iter().take(3).map(|peer| String::from_utf8_lossy(peer));
        let peers: Vec<_> = peers.collect();
        if !peers.is_empty() {
            said.push(format!("{} was reached", peers.join(", ")));
        }
        if !names.is_empty() {
            said.push(format!("random bytes were taken by {}", names.join(", ")));
        }
        Ok(if said.is_empty() { String::new() } else { format!(" ({})", said.join("; ")) })
    }

    /// The machine, and variables whose values nobody wrote down.
    fn surroundings(&mut self, x: &Run, y: &Run, at: Option<RunId>) {
        recipe::maps(&machine(&x.host), &machine(&y.host), &mut |what, before, after| {
            let layer = if what == "processors" { Layer::Threads } else { Layer::Hardware };
            let what = what.to_owned();
            self.found.push(Variable { layer, what, before, after, delta: None, at });
        });
        let (a, b) = (features(&x.host, &y.host), features(&y.host, &x.host));
        if a != b {
            self.add(Layer::Hardware, "processor features", a, b, at);
        }
        let names = |run: &Run| -> BTreeMap<String, String> {
            let names = run.outcome.unrecorded_variables.iter();
            names.map(|n| (n.clone(), "set, value not recorded".to_owned())).collect()
        };
        recipe::maps(&names(x), &names(y), &mut |what, before, after| {
            let layer = Layer::of_environment(what);
            let what = what.to_owned();
            self.found.push(Variable { layer, what, before, after, delta: None, at });
        });
    }

    fn record(&mut self, x: &Run, y: &Run) {
        let record = |run: &Run| -> BTreeMap<String, String> {
            let mut out = BTreeMap::from([("lab".to_owned(), run.host.lab.clone())]);
            out.extend(run.git.as_ref().map(git).into_iter().flatten());
            out
        };
        recipe::maps(&record(x), &record(y), &mut |what, before, after| {
            let (layer, what) = (Layer::Record, what.to_owned());
            self.found.push(Variable { layer, what, before, after, delta: None, at: None });
        });
    }

    fn consequences(&mut self, x: &Run, y: &Run) {
        let (a, b) = (&x.outcome, &y.outcome);
        if a.status != b.status {
            let (before, after) = (ended(&a.status), ended(&b.status));
            self.add(Layer::Status, "status", Some(before), Some(after), None);
        }
        let metrics: BTreeSet<&String> = a.metrics.keys().chain(b.metrics.keys()).collect();
        for name in metrics.into_iter().filter(|n| a.metrics.get(*n) != b.metrics.get(*n)) {
            let (p, q) = (a.metrics.get(name), b.metrics.get(name));
            self.found.push(Variable {
                layer: Layer::Metric,
                what: name.clone(),
                before: p.map(ToString::to_string),
                after: q.map(ToString::to_string),
                delta: p.zip(q).map(|(p, q)| q.get() - p.get()),
                at: None,
            });
        }
        let outputs = |o: &lab_schema::Outcome| -> BTreeMap<String, String> {
            o.outputs.iter().map(|(slot, id)| (slot.to_string(), id.to_string())).collect()
        };
        recipe::maps(&outputs(a), &outputs(b), &mut |what, before, after| {
            let (layer, what) = (Layer::Output, what.to_owned());
            self.found.push(Variable { layer, what, before, after, delta: None, at: None });
        });
    }
}

/// How a run ended.
fn ended(status: &Status) -> String {
    match status {
        Status::Exited(0) => "succeeded".to_owned(),
        Status::Exited(code) => format!("exited with {code}"),
        Status::Signalled(signal) => format!("ended by signal {signal}"),
        Status::TimedOut(ms) => format!("stopped after {ms} ms"),
        Status::Missing(slots) => {
            let slots: Vec<&str> = slots.iter().map(Slot::as_str).collect();
            format!("did not leave {}", slots.join(", "))
        }
    }
}

/// Whether things of this layer are named within a stage, and not by the world.
fn is_named(layer: Layer) -> bool {
    matches!(layer, Layer::Parameter | Layer::Split | Layer::Seed | Layer::Engine)
}

fn machine(host: &Host) -> BTreeMap<String, String> {
    let known = |text: &str| if text.is_empty() { "unknown".to_owned() } else { text.to_owned() };
    BTreeMap::from([
        ("architecture".to_owned(), host.arch.clone()),
        ("kernel".to_owned(), known(&host.kernel)),
        ("memory bytes".to_owned(), host.memory_bytes.to_string()),
        ("processor".to_owned(), known(&host.cpu)),
        ("processors".to_owned(), host.cpus.to_string()),
        ("system".to_owned(), host.os.clone()),
    ])
}

/// The extensions that `a` has and `b` lacks.
fn features(a: &Host, b: &Host) -> Option<String> {
    let only: Vec<&str> =
        a.cpu_features.iter().filter(|f| !b.cpu_features.contains(f)).map(String::as_str).collect();
    (!only.is_empty()).then(|| only.join(" "))
}

fn git(git: &Git) -> Vec<(String, String)> {
    let named = |key: &str, value: &Option<String>| {
        value.as_ref().map(|value| (format!("git {key}"), value.clone()))
    };
    let dirty = match git.dirty.len() {
        0 => None,
        1 => Some(("git uncommitted".to_owned(), "1 path".to_owned())),
        n => Some(("git uncommitted".to_owned(), format!("{n} paths"))),
    };
    [named("commit", &git.commit), named("branch", &git.branch), dirty]
        .into_iter()
        .flatten()
        .collect()
}
