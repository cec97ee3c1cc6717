//! How the answers are found.
//!
//! What each answer is to whoever asks stands in `query.rs`. Rows lead from number to number; ids and
//! words are put in at the end. The order of joins is spelled out (`CROSS`), because SQLite, which knows
//! nothing of the sizes of these tables, would at times read all runs to find one.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt;

use lab_schema::{
    AttestationId, ContentId, Digest, Number, ObjectId, RecipeId, RunId, SignatureId, Signed, Slot,
};
use rusqlite::{Connection, Params, Row};

use crate::error::{Answer, Fault};
use crate::key;
use crate::links::{self, Way, blob};
use crate::number;

/// Asks one state of the index.
pub(crate) struct Asking<'a>(pub(crate) &'a Connection);

/// A run in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRow {
    /// The run.
    pub id: RunId,
    /// What it executed.
    pub recipe: RecipeId,
    /// Its start, in milliseconds since 1970-01-01T00:00:00Z.
    pub started_ms: u64,
    /// Whether it did what its recipe says.
    pub success: bool,
    /// Whether its record names everything that it read.
    pub complete: bool,
}

/// A run that left a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Production {
    /// The run.
    pub run: RunId,
    /// The output that is the content, or that holds it.
    pub output: Slot,
    /// Whether the content lies inside the output, which is a folder, and is not all of it.
    pub inside: bool,
}

/// A run that read a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consumption {
    /// The run.
    pub run: RunId,
    /// As what it read the content.
    pub role: Role,
}

/// As what a run reads a content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// As the input of this name.
    Input(Slot),
    /// As data outside the project, at this absolute path without the first `/`.
    Outside(Slot),
    /// As the project's files.
    Code,
}

/// That a run left something, in the order in which it is told.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Making {
    /// Whether it lay inside an output.
    pub(crate) inside: bool,
    pub(crate) started_ms: u64,
    pub(crate) run: RunId,
    pub(crate) output: Slot,
    /// Whether the run read it too, as such or inside a folder.
    pub(crate) had_it: bool,
    pub(crate) success: bool,
    /// The number of the name of who ran it.
    pub(crate) who: i64,
}

/// What is known of a run that left or read something.
struct Found {
    run: RunId,
    recipe: i64,
    started_ms: u64,
    success: bool,
    who: i64,
}

impl fmt::Display for Role {
    /// The name of the input; a path outside the project with its first `/`; nothing for the code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Role::Input(slot) => write!(f, "{slot}"),
            Role::Outside(path) => write!(f, "/{path}"),
            Role::Code => Ok(()),
        }
    }
}

impl Asking<'_> {
    pub(crate) fn runs(&self) -> Answer<Vec<RunRow>> {
        let sql = "SELECT object.id, recipe.id, started_ms, success, complete
                   FROM run CROSS JOIN object ON object.number = run.object
                   CROSS JOIN object AS recipe ON recipe.number = run.recipe
                   ORDER BY started_ms, object.id";
        self.rows(sql, [], run_row)
    }

    pub(crate) fn latest(&self, count: usize) -> Answer<Vec<RunRow>> {
        let sql = "SELECT object.id, recipe.id, started_ms, success, complete
                   FROM run CROSS JOIN object ON object.number = run.object
                   CROSS JOIN object AS recipe ON recipe.number = run.recipe
                   ORDER BY started_ms DESC, object.id DESC LIMIT ?1";
        self.rows(sql, [i64::try_from(count).unwrap_or(i64::MAX)], run_row)
    }

    pub(crate) fn producers(&self, content: ContentId) -> Answer<Vec<Production>> {
        let all = self.makings(content)?.into_iter();
        Ok(all.map(|m| Production { run: m.run, output: m.output, inside: m.inside }).collect())
    }

    /// The runs that left a content, in the order of [`Asking::producers`].
    pub(crate) fn makings(&self, content: ContentId) -> Answer<Vec<Making>> {
        let exact = self.left(content)?;
        let mut inside = Vec::new();
        let above = self.above(content)?;
        for tree in &above {
            inside.extend(self.left(*tree)?);
        }
        let mut had: HashSet<ContentId> = above.into_iter().collect();
        had.insert(content);
        let mut found = Vec::new();
        for (all, inside) in [(exact, false), (inside, true)] {
            for (Found { run, recipe, started_ms, success, who }, word) in all {
                let read = links::of(self.0, recipe)?;
                let had_it = read.iter().any(|link| had.contains(&link.content));
                let output = self.slot(word)?;
                found.push(Making { inside, started_ms, run, output, had_it, success, who });
            }
        }
        found.sort_unstable();
        Ok(found)
    }

    pub(crate) fn producer_for(&self, content: ContentId) -> Answer<Option<RunId>> {
        let mut best = None;
        self.choose(&mut best, content, content, false)?;
        if !matches!(best, Some((false, ..))) {
            for tree in self.above(content)? {
                self.choose(&mut best, content, tree, true)?;
            }
        }
        Ok(best.map(|(_, _, _, run)| run))
    }

    /// Puts the best of those that left `found` in the place of `best`, if it is better; of those
    /// that did not have `content` already.
    fn choose(
        &self,
        best: &mut Option<(bool, bool, u64, RunId)>,
        content: ContentId,
        found: ContentId,
        inside: bool,
    ) -> Answer<()> {
        for (run, _) in self.left(found)? {
            let one = (!run.success, inside, run.started_ms, run.run);
            let is_better = best.is_none_or(|best| one < best);
            if is_better && !self.does_read(run.recipe, content)? {
                *best = Some(one);
            }
        }
        Ok(())
    }

    fn does_read(&self, recipe: i64, content: ContentId) -> Answer<bool> {
        Ok(links::of(self.0, recipe)?.iter().any(|link| link.content == content))
    }

    /// The runs that left a content itself, and as what.
    fn left(&self, content: ContentId) -> Answer<Vec<(Found, i64)>> {
        let mut found = Vec::new();
        for (run, word) in links::back(self.0, Way::Makes, content)? {
            found.push((self.found(run)?, word));
        }
        Ok(found)
    }

    fn found(&self, run: i64) -> Answer<Found> {
        let sql = "SELECT object.id, recipe, started_ms, success, who
                   FROM run CROSS JOIN object ON object.number = run.object
                   WHERE run.object = ?1";
        let found = self.rows(sql, [run], |row| {
            Ok(Found {
                run: RunId::from_digest(digest(row, 0)?),
                recipe: row.get(1)?,
                started_ms: key::to_time(row.get(2)?)?,
                success: row.get(3)?,
                who: row.get(4)?,
            })
        })?;
        found.into_iter().next().ok_or(Fault::Impossible("run"))
    }

    /// The trees that hold a content, and those that hold these.
    fn above(&self, content: ContentId) -> Answer<Vec<ContentId>> {
        let (mut all, mut seen, mut open) = (Vec::new(), HashSet::new(), vec![content]);
        while let Some(content) = open.pop() {
            for (tree, _) in links::back(self.0, Way::Holds, content)? {
                if seen.insert(tree) {
                    let tree = number::object(self.0, tree)?.content();
                    let tree = tree.ok_or(Fault::Impossible("tree"))?;
                    all.push(tree);
                    open.push(tree);
                }
            }
        }
        Ok(all)
    }

    pub(crate) fn consumers(&self, content: ContentId) -> Answer<Vec<Consumption>> {
        let sql = "SELECT object.id, started_ms
                   FROM run CROSS JOIN object ON object.number = run.object
                   WHERE run.recipe = ?1";
        let (mut found, mut words) = (Vec::new(), HashMap::new());
        for (recipe, word) in links::back(self.0, Way::Reads, content)? {
            let runs = self.rows(sql, [recipe], |row| {
                Ok((key::to_time(row.get(1)?)?, RunId::from_digest(digest(row, 0)?)))
            })?;
            if let Entry::Vacant(vacant) = words.entry(word) {
                vacant.insert(self.text(word)?);
            }
            found.extend(runs.into_iter().map(|(started_ms, run)| (started_ms, run, word)));
        }
        found.sort_by(|(a, x, v), (b, y, w)| (a, x, words.get(v)).cmp(&(b, y, words.get(w))));
        let read = |(_, run, word)| {
            let text: &String = words.get(&word).ok_or(Fault::Impossible("word"))?;
            Ok(Consumption { run, role: role(text)? })
        };
        found.into_iter().map(read).collect()
    }

    pub(crate) fn runs_of(&self, recipe: RecipeId) -> Answer<Vec<RunId>> {
        let sql = "SELECT object.id FROM run CROSS JOIN object ON object.number = run.object
                   WHERE recipe = ?1 ORDER BY started_ms, object.id";
        Ok(self.ids(sql, recipe.into())?.into_iter().map(RunId::from_digest).collect())
    }

    pub(crate) fn attestations_of(&self, run: RunId) -> Answer<Vec<AttestationId>> {
        let sql = "SELECT object.id
                   FROM attestation CROSS JOIN object ON object.number = attestation.object
                   WHERE run = ?1 ORDER BY started_ms, object.id";
        Ok(self.ids(sql, run.into())?.into_iter().map(AttestationId::from_digest).collect())
    }

    pub(crate) fn signatures_of(&self, of: Signed) -> Answer<Vec<SignatureId>> {
        let sql = "SELECT object.id
                   FROM signature CROSS JOIN object ON object.number = signature.object
                   WHERE of = ?1 ORDER BY signed_ms, object.id";
        Ok(self.ids(sql, of.into())?.into_iter().map(SignatureId::from_digest).collect())
    }

    /// The ids that a query finds by the number of an object; none if it has none.
    fn ids(&self, sql: &str, of: ObjectId) -> Answer<Vec<Digest>> {
        match number::find(self.0, of)? {
            Some(number) => self.rows(sql, [number], |row| digest(row, 0)),
            None => Ok(Vec::new()),
        }
    }

    pub(crate) fn run_inputs(&self, run: RunId) -> Answer<Vec<(Role, ContentId)>> {
        let mut found = self
            .reads(run)?
            .into_iter()
            .map(|link| Ok((role(&self.text(link.word)?)?, link.content)))
            .collect::<Answer<Vec<_>>>()?;
        found.sort_unstable();
        Ok(found)
    }

    /// When a run began and the number of who ran it, if it is known.
    pub(crate) fn start_of(&self, run: RunId) -> Answer<Option<(u64, i64)>> {
        let Some(number) = number::taken(self.0, run.into())? else { return Ok(None) };
        let Found { started_ms, who, .. } = self.found(number)?;
        Ok(Some((started_ms, who)))
    }

    /// What the recipe of a run reads.
    pub(crate) fn reads(&self, run: RunId) -> Answer<Vec<links::Link>> {
        match number::taken(self.0, run.into())? {
            Some(number) => links::of(self.0, self.found(number)?.recipe),
            None => Ok(Vec::new()),
        }
    }

    pub(crate) fn run_outputs(&self, run: RunId) -> Answer<Vec<(Slot, ContentId)>> {
        let Some(number) = number::taken(self.0, run.into())? else { return Ok(Vec::new()) };
        let mut found = links::of(self.0, number)?
            .into_iter()
            .map(|link| Ok((self.slot(link.word)?, link.content)))
            .collect::<Answer<Vec<_>>>()?;
        found.sort_unstable();
        Ok(found)
    }

    pub(crate) fn metric(&self, name: &str) -> Answer<Vec<(RunId, Number)>> {
        let Some(name) = number::find_word(self.0, name)? else { return Ok(Vec::new()) };
        let sql = "SELECT object.id, metric.value
                   FROM metric CROSS JOIN run ON run.object = metric.run
                   CROSS JOIN object ON object.number = metric.run
                   WHERE metric.name = ?1 ORDER BY run.started_ms, object.id";
        self.rows(sql, [name], |row| {
            let value = Number::new(row.get(1)?).map_err(|_| Fault::Impossible("metric"))?;
            Ok((RunId::from_digest(digest(row, 0)?), value))
        })
    }

    fn text(&self, word: i64) -> Answer<String> {
        number::text(self.0, word)
    }

    fn slot(&self, word: i64) -> Answer<Slot> {
        key::to_slot(&self.text(word)?)
    }

    /// The rows of a query, each read by `read`.
    pub(crate) fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl Fn(&Row<'_>) -> Answer<T>,
    ) -> Answer<Vec<T>> {
        let mut query = self.0.prepare_cached(sql)?;
        let mut rows = query.query(params)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read(row)?);
        }
        Ok(found)
    }
}

pub(crate) fn run_row(row: &Row<'_>) -> Answer<RunRow> {
    Ok(RunRow {
        id: RunId::from_digest(digest(row, 0)?),
        recipe: RecipeId::from_digest(digest(row, 1)?),
        started_ms: key::to_time(row.get(2)?)?,
        success: row.get(3)?,
        complete: row.get(4)?,
    })
}

fn digest(row: &Row<'_>, column: usize) -> Answer<Digest> {
    key::to_digest(blob(row, column)?)
}

fn role(text: &str) -> Answer<Role> {
    match text {
        "" => Ok(Role::Code),
        text => match text.strip_prefix('/') {
            Some(path) => key::to_slot(path).map(Role::Outside),
            None => key::to_slot(text).map(Role::Input),
        },
    }
}
