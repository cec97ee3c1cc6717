//! Which run made what another run read.
//!
//! What the run itself has of it goes first, as far as it can be: whoever is named there has to have left
//! what was read. Where it has nothing, the content tells.
//!
//! Small files are often the same: a description of a model that all trainings share, an empty list.
//! Seen alone, such a file has many makers. Seen beside what else a run read, most of its files come
//! from few runs, and those made the small ones too; of several that fit as well, the last that began
//! before the run left what lay there.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use lab_objects::Store;
use lab_schema::{ContentId, Recipe, RunId, Tree};

use crate::error::Answer;
use crate::links;
use crate::made::Making;
use crate::number;
use crate::question::{Asking, Found, Role, role};

/// Most runs that left the same content of which one is chosen.
const MANY: usize = 1000;

/// Something that a run read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// As what the run read it.
    pub role: Role,
    /// What it read.
    pub content: ContentId,
    /// Who made it, or things in it, the earliest first; nobody if no recorded run did, or this one alone.
    pub makers: Vec<RunId>,
}

/// A content and the name that it had for who read it.
type Part = (String, ContentId);

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
#[derive(Clone, Copy)]
struct Reader {
    started_ms: u64,
    /// The run and the number of who ran it; none of a run that is being written down: whatever else is
    /// recorded was there before it.
    run: Option<(RunId, i64)>,
}

impl Asking<'_> {
    /// What a run read and who made each, by role.
    pub(crate) fn origins(&self, run: RunId) -> Answer<Vec<Origin>> {
        let Some(number) = number::taken(self.db, run.into())? else { return Ok(Vec::new()) };
        let Found { recipe, started_ms, who, .. } = self.found(number)?;
        let told = self.told(number)?;
        let (mut origins, mut guessed, mut parts) = (Vec::new(), Vec::new(), Vec::new());
        for link in links::of(self.db, recipe)? {
            let (role, content) = (role(&self.text(link.word)?)?, link.content);
            let mut makers = Vec::new();
            if role != Role::Code {
                for (number, maker) in told.get(&link.word).into_iter().flatten() {
                    if self.did_leave(*number, content)? {
                        makers.push(*maker);
                    }
                }
                if makers.is_empty() {
                    guessed.push(origins.len());
                    parts.push((role.to_string(), content));
                }
            }
            origins.push(Origin { role, content, makers });
        }
        let reader = Reader { started_ms, run: Some((run, who)) };
        for (place, maker) in guessed.into_iter().zip(self.guess(&parts, Some(reader))?) {
            origins[place].makers.extend(maker);
        }
        origins.sort_unstable();
        Ok(origins)
    }

    /// Who made what a run read, as the run has it: by the name under which it read it, the runs that are here,
    /// the earliest first.
    fn told(&self, run: i64) -> Answer<HashMap<i64, Vec<(i64, RunId)>>> {
        let sql = "SELECT word, maker FROM maker WHERE run = ?1";
        let mut told: HashMap<i64, BTreeMap<(u64, RunId), i64>> = HashMap::new();
        for (word, maker) in self.rows(sql, [run], |row| Ok((row.get(0)?, row.get(1)?)))? {
            if number::is_taken(self.db, maker)? {
                let Found { run, started_ms, .. } = self.found(maker)?;
                told.entry(word).or_default().insert((started_ms, run), maker);
            }
        }
        let sorted = |makers: BTreeMap<(u64, RunId), i64>| {
            makers.into_iter().map(|((_, run), number)| (number, run)).collect()
        };
        Ok(told.into_iter().map(|(word, makers)| (word, sorted(makers))).collect())
    }

    /// The run, and those that [it came from](Asking::origins), causes before effects, and else the earlier first;
    /// code has none. Where copies make the lineage circular, the circle is cut.
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

    /// What a run and those before it read and nobody made, code aside.
    pub(crate) fn sources(&self, run: RunId) -> Answer<BTreeSet<ContentId>> {
        let mut sources = BTreeSet::new();
        for run in self.chain(run)? {
            let mut read = self.origins(run)?;
            read.retain(|origin| origin.makers.is_empty() && origin.role != Role::Code);
            sources.extend(read.into_iter().map(|origin| origin.content));
        }
        Ok(sources)
    }

    /// The runs that made the inputs of a run, the latest first.
    fn causes(&self, run: RunId) -> Answer<Vec<RunId>> {
        let makers: BTreeSet<RunId> =
            self.origins(run)?.into_iter().flat_map(|origin| origin.makers).collect();
        let mut causes = Vec::with_capacity(makers.len());
        for maker in makers {
            if let Some(number) = number::taken(self.db, maker.into())? {
                causes.push((Reverse(self.found(number)?.started_ms), maker));
            }
        }
        causes.sort_unstable();
        Ok(causes.into_iter().map(|(_, maker)| maker).collect())
    }

    /// Who made contents that lay beside each other, seen without a reader.
    pub(crate) fn makers(&self, contents: &[Part]) -> Answer<Vec<Option<RunId>>> {
        self.guess(contents, None)
    }

    /// Who made what a run read that began then and is about to be written down. A folder that nobody left as
    /// such is gone through.
    pub(crate) fn makers_now(
        &self,
        store: &Store,
        recipe: &Recipe,
        started_ms: u64,
    ) -> Answer<BTreeMap<String, BTreeSet<RunId>>> {
        let (mut parts, mut owners) = (Vec::new(), Vec::new());
        for (name, content) in recipe.reads() {
            let mut open = vec![(name.clone(), content)];
            while let Some((path, content)) = open.pop() {
                match content {
                    ContentId::Tree(tree) if self.makings(content)?.is_empty() => {
                        let tree: Tree = store.load(tree)?;
                        open.extend(tree.entries().iter().filter_map(|entry| {
                            Some((format!("{path}/{}", entry.name), entry.node.content()?))
                        }));
                    }
                    _ => {
                        parts.push((path, content));
                        owners.push(name.clone());
                    }
                }
            }
        }
        let mut makers: BTreeMap<String, BTreeSet<RunId>> = BTreeMap::new();
        let reader = Reader { started_ms, run: None };
        for (name, maker) in owners.into_iter().zip(self.guess(&parts, Some(reader))?) {
            if let Some(maker) = maker {
                makers.entry(name).or_default().insert(maker);
            }
        }
        Ok(makers)
    }

    /// Who made each of these, by what lies beside it.
    fn guess(&self, parts: &[Part], reader: Option<Reader>) -> Answer<Vec<Option<RunId>>> {
        let (mut all, mut most) = (Vec::new(), HashMap::<RunId, usize>::new());
        for (name, content) in parts {
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
            let Some(Reader { started_ms, run }) = reader else {
                if !left.had_it {
                    late.push(left);
                }
                continue;
            };
            let is_itself = run.is_some_and(|(run, _)| run == left.run);
            let began_before = left.started_ms < *started_ms
                || left.started_ms == *started_ms
                    && (!left.had_it || run.is_none_or(|(run, _)| left.run < run));
            let is_other = run.is_none_or(|(_, who)| who != left.who);
            if is_itself {
            } else if began_before {
                if !left.had_it || fits(&left) == 2 {
                    early.push(left);
                }
            } else if is_other && !left.had_it {
                late.push(left);
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
