//! What is here under the digests of other tools.
//!
//! Each [`Aliases`] is a small object, found by its kind among all that packs hold, and a table. No
//! index is kept: a store has as many as there were imports, and what is not asked for by such a digest
//! never looks. One that is damaged stands in nobody's way; who finds nothing is told of it.

use lab_schema::alias::{Alias, AliasPrefix, Aliases, Subject, find_in_table};
use lab_schema::{AliasesId, BlobId, Kind, ObjectId, SchemaError};

use crate::error::{ObjectsError, Result};
use crate::store::Store;

/// Most bytes of a table: more than two million digests.
const MAX_TABLE_BYTES: u64 = 256 << 20;

/// What another tool called an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KnownAs {
    /// The digest.
    pub alias: Alias,
    /// The object.
    pub subject: Subject,
    /// The tool: `dvc`, `lfs`, `hf`, `mlflow`.
    pub from: String,
    /// What it was called there, or what it lay in.
    pub origin: String,
}

impl Store {
    /// All that is here of what other tools called what is here, in a fixed order; one that cannot be
    /// read is left out, for `check` to find.
    pub fn aliases(&self) -> Result<Vec<(AliasesId, Aliases)>> {
        let ids = self.list(Kind::Aliases)?;
        self.warm(&ids)?;
        let mut all = Vec::new();
        for id in ids {
            let ObjectId::Aliases(id) = id else { continue };
            match self.load::<Aliases>(id) {
                Ok(aliases) => all.push((id, aliases)),
                Err(error) if is_damage(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    /// What the digests that start so belong to, sorted, each once. More than one thing if several
    /// digests start so, or if what imports said of one differs.
    pub fn find_alias(&self, prefix: &AliasPrefix) -> Result<Vec<KnownAs>> {
        let (mut found, mut unread) = (Vec::new(), None);
        let all = self.aliases()?;
        self.warm(&all.iter().map(|(_, a)| a.table.into()).collect::<Vec<_>>())?;
        for (_, Aliases { from, origin, table, .. }) in all {
            let read = self.read_blob(table, MAX_TABLE_BYTES);
            match read.and_then(|bytes| Ok(find_in_table(&bytes, prefix)?)) {
                Ok(lines) => found.extend(lines.into_iter().map(|(alias, subject)| {
                    let (from, origin) = (from.clone(), origin.clone());
                    KnownAs { alias, subject, from, origin }
                })),
                Err(error) if is_damage(&error) => unread = Some(error),
                Err(error) => return Err(error),
            }
        }
        found.sort_unstable();
        found.dedup_by(|a, b| (a.alias, a.subject) == (b.alias, b.subject));
        match unread {
            Some(error) if found.is_empty() => Err(error),
            _ => Ok(found),
        }
    }

    /// The bytes of a table of aliases.
    pub fn read_aliases(&self, table: BlobId) -> Result<Vec<(Alias, Subject)>> {
        let read = lab_schema::alias::read_table(&self.read_blob(table, MAX_TABLE_BYTES)?);
        read.map_err(|error: SchemaError| error.into())
    }
}

fn is_damage(error: &ObjectsError) -> bool {
    matches!(
        error,
        ObjectsError::Damaged { .. }
            | ObjectsError::Corrupt { .. }
            | ObjectsError::Missing { .. }
            | ObjectsError::TooLarge { .. }
            | ObjectsError::Newer { .. }
            | ObjectsError::Schema(_)
    )
}
