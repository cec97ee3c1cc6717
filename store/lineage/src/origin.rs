//! Which run made what another run read.
//!
//! Small files are often the same: a description of a model that all trainings share, an empty list.
//! Seen alone, such a file has many makers. Seen beside what else a run read, most of its files come
//! from few runs, and those made the small ones too; of several that fit as well, the last that began
//! before the run left what lay there.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use lab_schema::{ContentId, RunId};

use crate::error::Answer;
use crate::question::{Asking, Making, Role};

/// Most runs that left the same content of which one is chosen.
const MANY: usize = 1000;

/// Something that a run read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// As what the run read it.
    pub role: Role,
    /// What it read.
    pub content: ContentId,
    /// Who made it; none if no recorded run did, or this one alone.
    pub maker: Option<RunId>,
}

/// A run that may have made something.
#[derive(Clone, Copy)]
struct Candidate {
    run: RunId,
    /// How well it fits by itself: two if it called the content so, else one.
    fits: usize,
    /// Of those that fit as well the greatest is taken: one that did not have it before, that succeeded, that
    /// began last.
    order: (bool, bool, u64, RunId),
}

/// The run that read something.
struct Reader {
    run: RunId,
    started_ms: u64,
    who: i64,
}

impl Asking<'_> {
    /// What a run read and who made each, by role.
    pub(crate) fn origins(&self, run: RunId) -> Answer<Vec<Origin>> {
        let inputs = self.run_inputs(run)?;
        let is_code = |role: &Role| *role == Role::Code;
        let contents: Vec<(String, ContentId)> = inputs
            .iter()
            .filter(|(role, _)| !is_code(role))
            .map(|(role, content)| (role.to_string(), *content))
            .collect();
        let mut makers = self.makers(&contents, Some(run))?.into_iter();
        let origin = |(role, content)| {
            let maker = if is_code(&role) { None } else { makers.next().flatten() };
            Origin { role, content, maker }
        };
        Ok(inputs.into_iter().map(origin).collect())
    }

    /// The run, and those that [it came from](Asking::origins), causes before effects; code has none. Where
    /// copies make the lineage circular, the circle is cut.
    pub(crate) fn chain(&self, run: RunId) -> Answer<Vec<RunId>> {
        let (mut order, mut seen) = (Vec::new(), HashSet::from([run]));
        // Depth first, with a stack of its own: a chain of runs may be longer than a thread's stack.
        let mut open = vec![(run, self.causes(run)?)];
        while let Some((at, pending)) = open.last_mut() {
            match pending.pop() {
                Some(cause) if seen.insert(cause) => open.push((cause, self.causes(cause)?)),
                Some(_) => {}
                None => {
                    order.push(*at);
                    open.pop();
                }
            }
        }
        Ok(order)
    }

    /// The runs that made the inputs of a run, those of the last slot first.
    fn causes(&self, run: RunId) -> Answer<Vec<RunId>> {
        Ok(self.origins(run)?.into_iter().rev().filter_map(|origin| origin.maker).collect())
    }

    pub(crate) fn makers(
        &self,
        contents: &[(String, ContentId)],
        reader: Option<RunId>,
    ) -> Answer<Vec<Option<RunId>>> {
        let reader = match reader {
            Some(run) => {
                self.start_of(run)?.map(|(started_ms, who)| Reader { run, started_ms, who })
            }
            None => None,
        };
        let (mut all, mut most) = (Vec::new(), BTreeMap::<RunId, usize>::new());
        for (name, content) in contents {
            let usual = match reader {
                Some(_) => None,
                None => self.producer_for(*content)?,
            };
            let candidates = match (&reader, usual) {
                (None, None) => Vec::new(),
                _ => self.candidates((name, *content), reader.as_ref())?,
            };
            for Candidate { run, fits, .. } in &candidates {
                *most.entry(*run).or_default() += fits;
            }
            all.push((usual, candidates));
        }
        let best = |(usual, candidates): (Option<RunId>, Vec<Candidate>)| {
            let count = |run: &RunId| most.get(run).copied().unwrap_or(0);
            let best = candidates.iter().map(|c| count(&c.run)).max().unwrap_or(0);
            let usual = usual.filter(|usual| count(usual) == best);
            // What lies there was left by whoever left it last.
            let last = candidates.into_iter().filter(|c| count(&c.run) == best);
            usual.or_else(|| last.max_by_key(|c| c.order).map(|c| c.run))
        };
        Ok(all.into_iter().map(best).collect())
    }

    /// Who may have made something for the `reader`: runs that began before it. If none did, those of other
    /// people, whose clocks may be ahead. A run that had the content itself passed it on, and counts if it did so
    /// under the name by which it was read, and began before the reader: so a way back over such runs ends.
    fn candidates(
        &self,
        (name, content): (&str, ContentId),
        reader: Option<&Reader>,
    ) -> Answer<Vec<Candidate>> {
        let fits = |left: &Making| 1 + usize::from(left.output.as_str() == name);
        let (mut early, mut late) = (Vec::new(), Vec::new());
        for left in self.makings(content)? {
            match reader {
                Some(Reader { run, .. }) if left.run == *run => {}
                Some(Reader { run, started_ms, .. })
                    if (left.started_ms, left.run) < (*started_ms, *run)
                        || left.started_ms == *started_ms && !left.had_it =>
                {
                    if !left.had_it || fits(&left) == 2 {
                        early.push(left);
                    }
                }
                Some(Reader { who, .. }) if left.had_it || left.who == *who => {}
                _ if left.had_it => {}
                _ => late.push(left),
            }
        }
        let (all, began_before) = if early.is_empty() { (late, false) } else { (early, true) };
        let mut found: BTreeMap<RunId, Candidate> = BTreeMap::new();
        for left in all {
            // Of those that began too late the first is the likeliest.
            let at = if began_before { left.started_ms } else { u64::MAX - left.started_ms };
            let order = (!left.had_it, left.success, at, left.run);
            let one = Candidate { run: left.run, fits: fits(&left), order };
            let known = found.entry(left.run).or_insert(one);
            known.fits = known.fits.max(one.fits);
        }
        let mut found: Vec<Candidate> = found.into_values().collect();
        if found.len() > MANY {
            found.sort_unstable_by_key(|candidate| Reverse(candidate.order));
            found.truncate(MANY);
        }
        Ok(found)
    }
}
