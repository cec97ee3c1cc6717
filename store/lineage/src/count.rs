//! How many there are.

use lab_schema::ContentId;
use rusqlite::Row;

use crate::error::{Answer, Fault};
use crate::links::{self, Way};
use crate::question::Asking;

/// Recipes from which on all runs are gone through once, instead of looking up those of each.
const MANY: usize = 1000;

/// How many runs there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All of them.
    pub runs: u64,
    /// Those that did not do what their recipes say.
    pub failed: u64,
    /// Those that somebody did again with a verdict that holds.
    pub verified: u64,
}

impl Asking<'_> {
    pub(crate) fn count_runs(&self) -> Answer<u64> {
        let counted = self.rows("SELECT COUNT(*) FROM run", [], |row| Ok(row.get::<_, i64>(0)?))?;
        Ok(counted.first().map_or(0, |count| count.unsigned_abs()))
    }

    /// How many runs read one of these as such.
    pub(crate) fn count_consumers(
        &self,
        contents: impl IntoIterator<Item = ContentId>,
    ) -> Answer<u64> {
        let mut recipes: Vec<i64> = Vec::new();
        for content in contents {
            let back = links::back(self.db, Way::Reads, content)?;
            recipes.extend(back.into_iter().map(|(recipe, _)| recipe));
        }
        recipes.sort_unstable();
        recipes.dedup();
        if recipes.len() > MANY {
            let all = self.rows("SELECT recipe FROM run", [], |row| Ok(row.get::<_, i64>(0)?))?;
            let reads = |recipe: &i64| recipes.binary_search(recipe).is_ok();
            return Ok(all.iter().filter(|recipe| reads(recipe)).count() as u64);
        }
        let mut query = self.db.prepare_cached("SELECT COUNT(*) FROM run WHERE recipe = ?1")?;
        let mut count = 0;
        for recipe in recipes {
            count += query.query_row([recipe], |row| row.get::<_, i64>(0))?.unsigned_abs();
        }
        Ok(count)
    }

    pub(crate) fn tally(&self) -> Answer<Tally> {
        let sql = "SELECT (SELECT COUNT(*) FROM run),
                          (SELECT COUNT(*) FROM run WHERE NOT success),
                          (SELECT COUNT(DISTINCT attestation.run)
                           FROM attestation CROSS JOIN run ON run.object = attestation.run
                           WHERE holds)";
        let count =
            |row: &Row<'_>, column| Ok::<_, Fault>(row.get::<_, i64>(column)?.unsigned_abs());
        let found = self.rows(sql, [], |row| {
            Ok(Tally { runs: count(row, 0)?, failed: count(row, 1)?, verified: count(row, 2)? })
        })?;
        found.into_iter().next().ok_or(Fault::Impossible("count"))
    }
}
