//! The questions in SQL, and what their rows mean.
//!
//! What each answer is to whoever asks stands in `query.rs`. Here is how it is found: the order of
//! joins is spelled out (`CROSS`), because SQLite, which knows nothing of the sizes of these tables,
//! would at times read all outputs of all runs to find one.

use std::collections::BTreeSet;

use lab_schema::{
    AttestationId, ContentId, Digest, Number, ObjectId, RecipeId, RunId, SignatureId, Signed, Slot,
};
use rusqlite::{Connection, Params, Row, params};

use crate::error::Fault;
use crate::graph::{Edges, Node};
use crate::key;

/// What a question gives.
pub(crate) type Answer<T> = std::result::Result<T, Fault>;

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

/// Runs that left content ?1 within a folder. Contents lie in trees, which lie in trees.
const INSIDE: &str = "
    WITH RECURSIVE above (content) AS (
        SELECT tree FROM entry WHERE child = ?1
        UNION
        SELECT entry.tree FROM above CROSS JOIN entry ON entry.child = above.content
    )
    SELECT run.id, makes.slot, run.success, run.started_ms
    FROM above CROSS JOIN makes CROSS JOIN run
    WHERE makes.content = above.content AND run.id = makes.run";

/// Runs that left content ?1 itself.
const EXACT: &str = "
    SELECT run.id, makes.slot, run.success, run.started_ms
    FROM makes CROSS JOIN run WHERE makes.content = ?1 AND run.id = makes.run";

/// Contents within the folders that run ?1 left which some recipe reads.
const READ_INSIDE: &str = "
    WITH RECURSIVE below (content) AS (
        SELECT entry.child FROM makes CROSS JOIN entry
        WHERE makes.run = ?1 AND entry.tree = makes.content
        UNION
        SELECT entry.child FROM below CROSS JOIN entry ON entry.tree = below.content
    )
    SELECT content FROM below
    WHERE EXISTS (SELECT 1 FROM reads WHERE reads.content = below.content)";

/// What keeps a run from being the origin of content ?1: it had it already.
const NOT_READ: &str = "
    NOT EXISTS (SELECT 1 FROM reads WHERE reads.recipe = run.recipe AND reads.content = ?1)";

impl Asking<'_> {
    pub(crate) fn runs(&self) -> Answer<Vec<RunRow>> {
        let sql =
            "SELECT id, recipe, started_ms, success, complete FROM run ORDER BY started_ms, id";
        self.rows(sql, [], run_row)
    }

    pub(crate) fn latest(&self, count: usize) -> Answer<Vec<RunRow>> {
        let sql = "SELECT id, recipe, started_ms, success, complete FROM run
                   ORDER BY started_ms DESC, id DESC LIMIT ?1";
        self.rows(sql, [i64::try_from(count).unwrap_or(i64::MAX)], run_row)
    }

    pub(crate) fn count_runs(&self) -> Answer<u64> {
        let counted = self.rows("SELECT COUNT(*) FROM run", [], |row| Ok(row.get::<_, i64>(0)?))?;
        Ok(counted.first().map_or(0, |count| count.unsigned_abs()))
    }

    pub(crate) fn producers(&self, content: ContentId) -> Answer<Vec<Production>> {
        let mut found = Vec::new();
        for (from, inside) in [(EXACT, false), (INSIDE, true)] {
            let sql = format!("{from} ORDER BY run.started_ms, run.id, makes.slot");
            found.extend(self.rows(&sql, [&key::content(content)[..]], |row| {
                let output = key::to_slot(&row.get::<_, String>(1)?)?;
                Ok(Production { run: RunId::from_digest(digest(row, 0)?), output, inside })
            })?);
        }
        Ok(found)
    }

    pub(crate) fn producer_for(&self, content: ContentId) -> Answer<Option<RunId>> {
        let mut best: Option<(bool, bool, u64, RunId)> = None;
        for (from, inside) in [(EXACT, false), (INSIDE, true)] {
            let sql = format!("{from} AND {NOT_READ}");
            let found = self.rows(&sql, [&key::content(content)[..]], |row| {
                let run = RunId::from_digest(digest(row, 0)?);
                Ok((!row.get::<_, bool>(2)?, inside, key::to_time(row.get(3)?)?, run))
            })?;
            best = best.into_iter().chain(found).min();
            if matches!(best, Some((false, ..))) {
                break;
            }
        }
        Ok(best.map(|(_, _, _, run)| run))
    }

    pub(crate) fn consumers(&self, content: ContentId) -> Answer<Vec<Consumption>> {
        let sql = "SELECT run.id, reads.slot
                   FROM reads CROSS JOIN run ON run.recipe = reads.recipe
                   WHERE reads.content = ?1
                   ORDER BY run.started_ms, run.id, reads.slot";
        self.rows(sql, [&key::content(content)[..]], |row| {
            Ok(Consumption { run: RunId::from_digest(digest(row, 0)?), role: role(row, 1)? })
        })
    }

    pub(crate) fn runs_of(&self, recipe: RecipeId) -> Answer<Vec<RunId>> {
        let sql = "SELECT id FROM run WHERE recipe = ?1 ORDER BY started_ms, id";
        self.rows(sql, [recipe.digest().as_bytes()], |row| Ok(RunId::from_digest(digest(row, 0)?)))
    }

    pub(crate) fn attestations_of(&self, run: RunId) -> Answer<Vec<AttestationId>> {
        let sql = "SELECT id FROM attestation WHERE run = ?1 ORDER BY started_ms, id";
        self.rows(sql, [run.digest().as_bytes()], |row| {
            Ok(AttestationId::from_digest(digest(row, 0)?))
        })
    }

    pub(crate) fn signatures_of(&self, of: Signed) -> Answer<Vec<SignatureId>> {
        let sql = "SELECT id FROM signature WHERE kind = ?1 AND object = ?2 ORDER BY signed_ms, id";
        let (kind, digest_of) = (key::kind(ObjectId::from(of).kind()), ObjectId::from(of).digest());
        self.rows(sql, params![kind, digest_of.as_bytes()], |row| {
            Ok(SignatureId::from_digest(digest(row, 0)?))
        })
    }

    pub(crate) fn run_inputs(&self, run: RunId) -> Answer<Vec<(Role, ContentId)>> {
        let sql = "SELECT reads.slot, reads.content
                   FROM run JOIN reads ON reads.recipe = run.recipe WHERE run.id = ?1";
        let mut found =
            self.rows(sql, [run.digest().as_bytes()], |row| Ok((role(row, 0)?, content(row, 1)?)))?;
        found.sort_unstable();
        Ok(found)
    }

    pub(crate) fn run_outputs(&self, run: RunId) -> Answer<Vec<(Slot, ContentId)>> {
        let sql = "SELECT slot, content FROM makes WHERE run = ?1 ORDER BY slot";
        self.rows(sql, [run.digest().as_bytes()], |row| {
            Ok((key::to_slot(&row.get::<_, String>(0)?)?, content(row, 1)?))
        })
    }

    pub(crate) fn metric(&self, name: &str) -> Answer<Vec<(RunId, Number)>> {
        let sql = "SELECT run.id, metric.value FROM metric JOIN run ON run.id = metric.run
                   WHERE metric.key = ?1 ORDER BY run.started_ms, run.id";
        self.rows(sql, [name], |row| {
            let value = Number::new(row.get(1)?).map_err(|_| Fault::Impossible("metric"))?;
            Ok((RunId::from_digest(digest(row, 0)?), value))
        })
    }

    pub(crate) fn with_param(&self, name: &str, values: &[String]) -> Answer<BTreeSet<RunId>> {
        let sql = "SELECT run.id FROM param JOIN run ON run.id = param.owner
                   WHERE param.key = ?1 AND param.value = ?2
                   UNION
                   SELECT run.id FROM param JOIN run ON run.recipe = param.owner
                   WHERE param.key = ?1 AND param.value = ?2";
        let mut found = BTreeSet::new();
        for value in values {
            let read = |row: &Row<'_>| Ok(RunId::from_digest(digest(row, 0)?));
            found.extend(self.rows(sql, [name, value.as_str()], read)?);
        }
        Ok(found)
    }

    /// The rows of a query, each read by `read`.
    fn rows<T>(
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

impl Edges for Asking<'_> {
    type Error = Fault;

    fn causes(&self, node: Node) -> Answer<Vec<Node>> {
        match node {
            Node::Content(content) => {
                Ok(self.producer_for(content)?.into_iter().map(Node::Run).collect())
            }
            Node::Run(run) => {
                Ok(self.run_inputs(run)?.into_iter().map(|(_, c)| Node::Content(c)).collect())
            }
        }
    }

    fn effects(&self, node: Node) -> Answer<Vec<Node>> {
        let run = match node {
            Node::Content(content) => {
                return Ok(self.consumers(content)?.iter().map(|c| Node::Run(c.run)).collect());
            }
            Node::Run(run) => run,
        };
        let mut left: Vec<ContentId> =
            self.run_outputs(run)?.into_iter().map(|(_, content)| content).collect();
        if left.iter().any(|content| matches!(content, ContentId::Tree(_))) {
            left.extend(self.rows(READ_INSIDE, [run.digest().as_bytes()], |row| content(row, 0))?);
        }
        left.sort_unstable();
        left.dedup();
        // What it read before it left it, it did not make.
        let had = self.run_inputs(run)?;
        left.retain(|content| had.iter().all(|(_, input)| input != content));
        Ok(left.into_iter().map(Node::Content).collect())
    }
}

fn blob<'r>(row: &'r Row<'_>, column: usize) -> Answer<&'r [u8]> {
    row.get_ref(column)?.as_blob().map_err(|_| Fault::Impossible("column"))
}

fn run_row(row: &Row<'_>) -> Answer<RunRow> {
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

fn content(row: &Row<'_>, column: usize) -> Answer<ContentId> {
    key::to_content(blob(row, column)?)
}

fn role(row: &Row<'_>, column: usize) -> Answer<Role> {
    match row.get::<_, String>(column)?.as_str() {
        "" => Ok(Role::Code),
        text => match text.strip_prefix('/') {
            Some(path) => key::to_slot(path).map(Role::Outside),
            None => key::to_slot(text).map(Role::Input),
        },
    }
}
