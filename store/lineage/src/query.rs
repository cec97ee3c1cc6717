//! The questions that the index answers, each about what the last refresh saw.
//!
//! A file is produced by the runs that left it, and also by those that left a folder with
//! it somewhere inside. Where one cause has to be named among several, for a history or for what
//! a transfer takes along, [`Lineage::producer_for`] chooses it, always the same way.

use std::collections::BTreeMap;

use lab_schema::{AttestationId, ContentId, Number, RecipeId, RunId, Slot};
use rusqlite::{Params, Row};

use crate::error::{Fault, Result};
use crate::graph::{self, Edges, Node};
use crate::index::Lineage;
use crate::key;

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
    /// The numbers found in its outputs.
    pub metrics: BTreeMap<String, Number>,
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
    /// As the project's files.
    Code,
}

/// Runs that left content ?1 within a folder. Contents lie in trees, which lie in trees.
const INSIDE: &str = "
    WITH RECURSIVE above (content) AS (
        SELECT tree FROM entry WHERE child = ?1
        UNION
        SELECT entry.tree FROM entry JOIN above ON entry.child = above.content
    )
    SELECT run.id, makes.slot
    FROM above JOIN makes ON makes.content = above.content JOIN run ON run.id = makes.run";

/// Runs that left content ?1 itself.
const EXACT: &str = "
    SELECT run.id, makes.slot
    FROM makes JOIN run ON run.id = makes.run WHERE makes.content = ?1";

/// What keeps a run from being the origin of content ?1: it had it already.
const NOT_READ: &str = "
    NOT EXISTS (SELECT 1 FROM reads WHERE reads.recipe = run.recipe AND reads.content = ?1)";

impl Lineage {
    /// Every run, by start and then by id.
    pub fn runs(&self) -> Result<Vec<RunRow>> {
        let sql = "SELECT id, recipe, started_ms, success, complete FROM run ORDER BY 3, 1";
        let mut runs = self.rows(sql, [], |row| {
            Ok(RunRow {
                id: RunId::from_digest(digest(row, 0)?),
                recipe: RecipeId::from_digest(digest(row, 1)?),
                started_ms: key::to_time(row.get(2)?)?,
                success: row.get(3)?,
                complete: row.get(4)?,
                metrics: BTreeMap::new(),
            })
        })?;
        let places: BTreeMap<RunId, usize> = runs.iter().map(|r| r.id).zip(0..).collect();
        let metrics = self.rows("SELECT run, key, value FROM metric", [], |row| {
            let value = Number::new(row.get(2)?).map_err(|_| Fault::Impossible("metric"))?;
            Ok((RunId::from_digest(digest(row, 0)?), row.get(1)?, value))
        })?;
        for (run, name, value) in metrics {
            if let Some(place) = places.get(&run) {
                runs[*place].metrics.insert(name, value);
            }
        }
        Ok(runs)
    }

    /// The runs that left `content`: first those whose output it is, then those that have it
    /// inside one; each by start, run and output.
    pub fn producers(&self, content: ContentId) -> Result<Vec<Production>> {
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

    /// The one run that counts as the origin of `content`. A run that succeeded goes before one
    /// that failed, one whose output it is before one that has it inside an output, the earlier
    /// before the later, the smaller id before the greater. Runs that read the content themselves
    /// do not count: they passed it on.
    pub fn producer_for(&self, content: ContentId) -> Result<Option<RunId>> {
        for success in [1, 0] {
            for from in [EXACT, INSIDE] {
                let filter = if from == EXACT { "AND" } else { "WHERE" };
                let sql = format!(
                    "{from} {filter} run.success = {success} AND {NOT_READ} \
                     ORDER BY run.started_ms, run.id LIMIT 1"
                );
                let run = self.rows(&sql, [&key::content(content)[..]], |row| {
                    Ok(RunId::from_digest(digest(row, 0)?))
                })?;
                if !run.is_empty() {
                    return Ok(run.first().copied());
                }
            }
        }
        Ok(None)
    }

    /// The runs that read `content` as such, by start, run and role.
    pub fn consumers(&self, content: ContentId) -> Result<Vec<Consumption>> {
        let sql = "SELECT run.id, reads.slot
                   FROM reads JOIN run ON run.recipe = reads.recipe WHERE reads.content = ?1
                   ORDER BY run.started_ms, run.id, reads.slot";
        self.rows(sql, [&key::content(content)[..]], |row| {
            Ok(Consumption { run: RunId::from_digest(digest(row, 0)?), role: role(row, 1)? })
        })
    }

    /// The runs of a recipe, by start and then by id.
    pub fn runs_of(&self, recipe: RecipeId) -> Result<Vec<RunId>> {
        let sql = "SELECT id FROM run WHERE recipe = ?1 ORDER BY started_ms, id";
        self.rows(sql, [recipe.digest().as_bytes()], |row| Ok(RunId::from_digest(digest(row, 0)?)))
    }

    /// What was attested of a run, by start and then by id.
    pub fn attestations_of(&self, run: RunId) -> Result<Vec<AttestationId>> {
        let sql = "SELECT id FROM attestation WHERE run = ?1 ORDER BY started_ms, id";
        self.rows(sql, [run.digest().as_bytes()], |row| {
            Ok(AttestationId::from_digest(digest(row, 0)?))
        })
    }

    /// What a run read, its code included, by role; empty if the index does not know its recipe.
    pub fn run_inputs(&self, run: RunId) -> Result<Vec<(Role, ContentId)>> {
        let sql = "SELECT reads.slot, reads.content
                   FROM run JOIN reads ON reads.recipe = run.recipe WHERE run.id = ?1";
        let mut found =
            self.rows(sql, [run.digest().as_bytes()], |row| Ok((role(row, 0)?, content(row, 1)?)))?;
        found.sort_unstable();
        Ok(found)
    }

    /// What a run left, by name.
    pub fn run_outputs(&self, run: RunId) -> Result<Vec<(Slot, ContentId)>> {
        let sql = "SELECT slot, content FROM makes WHERE run = ?1 ORDER BY slot";
        self.rows(sql, [run.digest().as_bytes()], |row| {
            Ok((key::to_slot(&row.get::<_, String>(0)?)?, content(row, 1)?))
        })
    }

    /// Every run that has the metric `name`, with its value, by start and then by id.
    pub fn metric(&self, name: &str) -> Result<Vec<(RunId, Number)>> {
        let sql = "SELECT run.id, metric.value FROM metric JOIN run ON run.id = metric.run
                   WHERE metric.key = ?1 ORDER BY run.started_ms, run.id";
        self.rows(sql, [name], |row| {
            let value = Number::new(row.get(1)?).map_err(|_| Fault::Impossible("metric"))?;
            Ok((RunId::from_digest(digest(row, 0)?), value))
        })
    }

    /// Everything that a node came from, causes before effects, the nearest cause last. Of several
    /// runs that left the same content only [the one that counts](Lineage::producer_for).
    pub fn ancestors(&self, of: Node) -> Result<Vec<Node>> {
        graph::ancestors(self, of)
    }

    /// Everything that came from a node, causes before effects, the nearest effect first. Inside
    /// the folders that a run left, only what some recipe reads counts as an effect.
    pub fn descendants(&self, of: Node) -> Result<Vec<Node>> {
        graph::descendants(self, of)
    }

    /// The rows of a query, each read by `read`.
    fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl Fn(&Row<'_>) -> std::result::Result<T, Fault>,
    ) -> Result<Vec<T>> {
        let all = || {
            let mut query = self.connection.prepare_cached(sql)?;
            let mut rows = query.query(params)?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(read(row)?);
            }
            Ok(found)
        };
        all().map_err(|fault| self.failed(fault))
    }
}

impl Edges for Lineage {
    type Error = crate::error::LineageError;

    fn causes(&self, node: Node) -> Result<Vec<Node>> {
        match node {
            Node::Content(content) => {
                Ok(self.producer_for(content)?.into_iter().map(Node::Run).collect())
            }
            Node::Run(run) => {
                Ok(self.run_inputs(run)?.into_iter().map(|(_, c)| Node::Content(c)).collect())
            }
        }
    }

    fn effects(&self, node: Node) -> Result<Vec<Node>> {
        let run = match node {
            Node::Content(content) => {
                return Ok(self.consumers(content)?.iter().map(|c| Node::Run(c.run)).collect());
            }
            Node::Run(run) => run,
        };
        let sql = "
            WITH RECURSIVE below (content, inside) AS (
                SELECT content, 0 FROM makes WHERE run = ?1
                UNION
                SELECT entry.child, 1 FROM entry JOIN below ON entry.tree = below.content
            )
            SELECT DISTINCT content FROM below
            WHERE (NOT inside OR EXISTS (SELECT 1 FROM reads WHERE reads.content = below.content))
              AND NOT EXISTS (SELECT 1 FROM run JOIN reads ON reads.recipe = run.recipe
                              WHERE run.id = ?1 AND reads.content = below.content)
            ORDER BY content";
        self.rows(sql, [run.digest().as_bytes()], |row| Ok(Node::Content(content(row, 0)?)))
    }
}

fn blob<'r>(row: &'r Row<'_>, column: usize) -> std::result::Result<&'r [u8], Fault> {
    row.get_ref(column)?.as_blob().map_err(|_| Fault::Impossible("column"))
}

fn digest(row: &Row<'_>, column: usize) -> std::result::Result<lab_schema::Digest, Fault> {
    key::to_digest(blob(row, column)?)
}

fn content(row: &Row<'_>, column: usize) -> std::result::Result<ContentId, Fault> {
    key::to_content(blob(row, column)?)
}

fn role(row: &Row<'_>, column: usize) -> std::result::Result<Role, Fault> {
    match row.get::<_, String>(column)?.as_str() {
        "" => Ok(Role::Code),
        slot => key::to_slot(slot).map(Role::Input),
    }
}
