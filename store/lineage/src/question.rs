//! How the answers are found.
//!
//! What each answer is to whoever asks stands in `query.rs`. Rows lead from number to number; ids and
//! words are put in at the end. The order of joins is spelled out (`CROSS`), because SQLite, which knows
//! nothing of the sizes of these tables, would at times read all runs to find one.

use std::cell::RefCell;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::rc::Rc;

use lab_schema::{
    AttestationId, ContentId, Digest, Number, ObjectId, RecipeId, RunId, SignatureId, Signed, Slot,
};
use rusqlite::{Connection, Params, Row};

use crate::error::{Answer, Fault};
use crate::key;
use crate::links::{self, Way, blob};
use crate::number;

/// Asks one state of the index.
pub(crate) struct Asking<'a> {
    pub(crate) db: &'a Connection,
    pub(crate) memory: Memory,
}

impl<'a> Asking<'a> {
    pub(crate) fn new(db: &'a Connection) -> Asking<'a> {
        Asking { db, memory: Memory::default() }
    }
}

/// Contents that an object names.
pub(crate) type Named = Rc<HashSet<ContentId>>;

/// What recipes and runs name, by their numbers: of many contents the same few are asked.
#[derive(Default)]
pub(crate) struct Memory(RefCell<HashMap<i64, Named>>);

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

/// What is known of a run that left or read something.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    pub(crate) run: RunId,
    pub(crate) recipe: i64,
    pub(crate) started_ms: u64,
    pub(crate) success: bool,
    /// The number of the name of who ran it.
    pub(crate) who: i64,
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

    /// A run by its number.
    pub(crate) fn found(&self, run: i64) -> Answer<Found> {
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

    pub(crate) fn consumers(&self, content: ContentId) -> Answer<Vec<Consumption>> {
        self.consumers_of([content])
    }

    /// The runs that read one of these as such, by start, run and role.
    pub(crate) fn consumers_of(
        &self,
        contents: impl IntoIterator<Item = ContentId>,
    ) -> Answer<Vec<Consumption>> {
        let sql = "SELECT object.id, started_ms
                   FROM run CROSS JOIN object ON object.number = run.object
                   WHERE run.recipe = ?1";
        let (mut found, mut roles) = (Vec::new(), HashMap::new());
        for content in contents {
            for (recipe, word) in links::back(self.db, Way::Reads, content)? {
                let runs = self.rows(sql, [recipe], |row| {
                    Ok((key::to_time(row.get(1)?)?, RunId::from_digest(digest(row, 0)?)))
                })?;
                if let Entry::Vacant(vacant) = roles.entry(word) {
                    vacant.insert(role(&self.text(word)?)?);
                }
                found.extend(runs.into_iter().map(|(started_ms, run)| (started_ms, run, word)));
            }
        }
        found.sort_by(|(a, x, v), (b, y, w)| (a, x, roles.get(v)).cmp(&(b, y, roles.get(w))));
        found.dedup();
        let read = |(_, run, word)| {
            let role: &Role = roles.get(&word).ok_or(Fault::Impossible("word"))?;
            Ok(Consumption { run, role: role.clone() })
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
        match number::find(self.db, of)? {
            Some(number) => self.rows(sql, [number], |row| digest(row, 0)),
            None => Ok(Vec::new()),
        }
    }

    /// What a recipe reads or a run left, by its number.
    pub(crate) fn named(&self, owner: i64) -> Answer<Named> {
        if let Some(known) = self.memory.0.borrow().get(&owner) {
            return Ok(Rc::clone(known));
        }
        let all = links::of(self.db, owner)?.into_iter().map(|link| link.content);
        let named = Rc::new(all.collect());
        self.memory.0.borrow_mut().insert(owner, Rc::clone(&named));
        Ok(named)
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

    /// What the recipe of a run reads.
    pub(crate) fn reads(&self, run: RunId) -> Answer<Vec<links::Link>> {
        match number::taken(self.db, run.into())? {
            Some(number) => links::of(self.db, self.found(number)?.recipe),
            None => Ok(Vec::new()),
        }
    }

    pub(crate) fn run_outputs(&self, run: RunId) -> Answer<Vec<(Slot, ContentId)>> {
        let Some(number) = number::taken(self.db, run.into())? else { return Ok(Vec::new()) };
        let mut found = links::of(self.db, number)?
            .into_iter()
            .map(|link| Ok((self.slot(link.word)?, link.content)))
            .collect::<Answer<Vec<_>>>()?;
        found.sort_unstable();
        Ok(found)
    }

    pub(crate) fn metric(&self, name: &str) -> Answer<Vec<(RunId, Number)>> {
        let Some(name) = number::find_word(self.db, name)? else { return Ok(Vec::new()) };
        let sql = "SELECT object.id, metric.value
                   FROM metric CROSS JOIN run ON run.object = metric.run
                   CROSS JOIN object ON object.number = metric.run
                   WHERE metric.name = ?1 ORDER BY run.started_ms, object.id";
        self.rows(sql, [name], |row| {
            let value = Number::new(row.get(1)?).map_err(|_| Fault::Impossible("metric"))?;
            Ok((RunId::from_digest(digest(row, 0)?), value))
        })
    }

    pub(crate) fn text(&self, word: i64) -> Answer<String> {
        number::text(self.db, word)
    }

    pub(crate) fn slot(&self, word: i64) -> Answer<Slot> {
        key::to_slot(&self.text(word)?)
    }

    /// The rows of a query, each read by `read`.
    pub(crate) fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl Fn(&Row<'_>) -> Answer<T>,
    ) -> Answer<Vec<T>> {
        let mut query = self.db.prepare_cached(sql)?;
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

pub(crate) fn digest(row: &Row<'_>, column: usize) -> Answer<Digest> {
    key::to_digest(blob(row, column)?)
}

pub(crate) fn role(text: &str) -> Answer<Role> {
    match text {
        "" => Ok(Role::Code),
        text => match text.strip_prefix('/') {
            Some(path) => key::to_slot(path).map(Role::Outside),
            None => key::to_slot(text).map(Role::Input),
        },
    }
}
