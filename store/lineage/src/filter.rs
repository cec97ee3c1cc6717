//! Runs that are asked for by what is known of them.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::ops::{Bound, RangeBounds};

use crate::error::{Answer, Result};
use crate::index::Lineage;
use crate::key;
use crate::number;
use crate::question::{Asking, RunRow, run_row};

/// From where to where a number lies.
pub type Span = (Bound<f64>, Bound<f64>);

/// What a run has to fit; any run fits nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Parameters that it has, given to it or found in its words and files: the name, and the value as
    /// it is printed, or as a text or number that reads so.
    pub params: Vec<(String, String)>,
    /// Numbers that it reached, by their names.
    pub metrics: Vec<(String, Span)>,
    /// Who ran it.
    pub who: Option<String>,
    /// When it began at the earliest, in milliseconds since 1970-01-01T00:00:00Z.
    pub since_ms: Option<u64>,
}

impl Lineage {
    /// The names of all parameters that some run or recipe has.
    pub fn parameters(&self) -> Result<Vec<String>> {
        self.names_in("param")
    }

    /// The names of all numbers that some run reached.
    pub fn metrics(&self) -> Result<Vec<String>> {
        self.names_in("metric")
    }

    /// From name to name, past all that have the same one: there are few names of many.
    fn names_in(&self, table: &str) -> Result<Vec<String>> {
        let sql = format!(
            "WITH RECURSIVE found (name) AS (
                 SELECT MIN(name) FROM {table}
                 UNION ALL
                 SELECT (SELECT MIN(name) FROM {table} WHERE name > found.name)
                 FROM found WHERE found.name IS NOT NULL)
             SELECT text FROM found CROSS JOIN word ON word.number = found.name ORDER BY text"
        );
        let names = Asking::new(&self.connection).rows(&sql, [], |row| Ok(row.get(0)?));
        names.map_err(|fault| self.failed(fault))
    }
}

impl Asking<'_> {
    pub(crate) fn find(&self, filter: &Filter, limit: usize) -> Answer<(Vec<RunRow>, u64)> {
        let none = Ok((Vec::new(), 0));
        let mut sets: Vec<HashSet<i64>> = Vec::new();
        for (name, value) in &filter.params {
            sets.push(self.with_param(name, value)?);
        }
        for (name, range) in &filter.metrics {
            sets.push(self.with_metric(name, *range)?);
        }
        let who = match &filter.who {
            Some(who) => match number::find_word(self.db, who)? {
                Some(who) => Some(who),
                None => return none,
            },
            None => None,
        };
        let since = filter.since_ms.map_or(i64::MIN, key::time);
        let sql = "SELECT started_ms, object, who FROM run WHERE started_ms >= ?1";
        let all: Vec<(i64, i64, i64)> =
            self.rows(sql, [since], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let mut fit: Vec<(i64, i64)> = all
            .into_iter()
            .filter(|(_, run, by)| {
                who.is_none_or(|who| who == *by) && sets.iter().all(|set| set.contains(run))
            })
            .map(|(started_ms, run, _)| (started_ms, run))
            .collect();
        let number = fit.len() as u64;
        fit.sort_unstable_by(|a, b| b.cmp(a));
        // Which of several that began at once come first, their ids say, and these are not known yet.
        if let Some((last, _)) = limit.checked_sub(1).and_then(|last| fit.get(last)).copied() {
            fit.truncate(fit.partition_point(|(started_ms, _)| *started_ms >= last));
        }
        let sql = "SELECT object.id, recipe.id, started_ms, success, complete
                   FROM run CROSS JOIN object ON object.number = run.object
                   CROSS JOIN object AS recipe ON recipe.number = run.recipe
                   WHERE run.object = ?1";
        let mut found = Vec::new();
        for (_, run) in fit {
            found.extend(self.rows(sql, [run], run_row)?);
        }
        found.sort_by_key(|row| Reverse((row.started_ms, row.id)));
        found.truncate(limit);
        Ok((found, number))
    }

    fn with_param(&self, name: &str, value: &str) -> Answer<HashSet<i64>> {
        let Some(name) = number::find_word(self.db, name)? else { return Ok(HashSet::new()) };
        let mut values = vec![value.to_owned(), format!("{value:?}")];
        values.extend(value.parse::<f64>().ok().map(|number| format!("{number:?}")));
        let sql = "SELECT run.object FROM param CROSS JOIN run ON run.object = param.owner
                   WHERE param.name = ?1 AND param.value = ?2
                   UNION ALL
                   SELECT run.object FROM param CROSS JOIN run ON run.recipe = param.owner
                   WHERE param.name = ?1 AND param.value = ?2";
        let mut found = HashSet::new();
        for value in values {
            found.extend(
                self.rows(sql, rusqlite::params![name, value], |row| Ok(row.get::<_, i64>(0)?))?,
            );
        }
        Ok(found)
    }

    fn with_metric(&self, name: &str, range: Span) -> Answer<HashSet<i64>> {
        let Some(name) = number::find_word(self.db, name)? else { return Ok(HashSet::new()) };
        let sql = "SELECT run, value FROM metric WHERE name = ?1";
        let all: Vec<(i64, f64)> = self.rows(sql, [name], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let fits = all.into_iter().filter(|(_, value)| range.contains(value));
        Ok(fits.map(|(run, _)| run).collect())
    }
}
