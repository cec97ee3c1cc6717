//! Opens `index.db`, and makes it anew when it is not what it should be.
//!
//! The file is a cache, so nothing about it is ever reported as a failure. A file with another
//! format is emptied in one transaction; one that is not a database at all is reset; and where no
//! file can be kept (a read-only store, a full disk, a link, a lock that nobody releases) the index lives
//! in memory, slower and equally right.
//!
//! Several processes may use one file, also over NFS. Hence a rollback journal and not WAL, whose
//! shared memory does not exist between hosts; truncated and not deleted, since NFS turns the
//! removal of an open file into a rename. It stays synchronous: a power cut that left half a
//! transaction would give wrong answers without any error, and one refresh costs a few
//! milliseconds. Waiting for another process ends after [`PATIENCE`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, Result as SqlResult, TransactionBehavior};

use crate::error::{Fault, LineageError, Result};

/// The tables.
const SCHEMA: &str = include_str!("schema.sql");

/// The format of the tables, kept in `user_version`. Not a small number, so that the file of
/// another program is not taken for an index.
const FORMAT: i32 = 0x1ab_0007;

/// How long another process that writes to the index is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Statements kept prepared: more than there are queries.
const STATEMENTS: usize = 64;

/// Memory for pages of the index, in KiB; negative is how SQLite tells KiB from pages. Ids are
/// random, so neighbours in a history are not neighbours in the file: what does not fit is read
/// again and again.
const CACHE_KIB: i64 = -65_536;

/// Who came from what, as far as it was last [refreshed](Lineage::refresh).
#[derive(Debug)]
pub struct Lineage {
    pub(crate) connection: Connection,
    /// None: in memory.
    path: Option<PathBuf>,
}

impl Lineage {
    /// The index kept at `path`, which is made if it is absent and remade if it is unusable; in
    /// memory if no file can be kept there. It answers from its last refresh until the next.
    pub fn open(path: &Path) -> Result<Lineage> {
        match open_file(path) {
            Ok(connection) => Ok(Lineage { connection, path: Some(path.to_owned()) }),
            Err(_) => Lineage::in_memory(),
        }
    }

    /// An empty index that no file is behind.
    pub fn in_memory() -> Result<Lineage> {
        let at = |e| Fault::Sql(e).at("make", "in memory".to_owned());
        let mut connection = Connection::open_in_memory().map_err(at)?;
        settle_plans(&connection).map_err(at)?;
        make_tables(&mut connection).map_err(at)?;
        Ok(Lineage { connection, path: None })
    }

    /// Where the index is kept; none if it is in memory.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Where the index is, for people.
    pub(crate) fn place(&self) -> String {
        self.path.as_ref().map_or_else(|| "in memory".to_owned(), |p| p.display().to_string())
    }

    /// Replaces an index file that failed: by a new file if its content was the fault, else, and
    /// always the second time, by one in memory. False if it is in memory already.
    pub(crate) fn replace(&mut self, fault: &Fault, again: bool) -> Result<bool> {
        let Some(path) = self.path.clone() else { return Ok(false) };
        let remade = !again && blames_content(fault) && reset(&mut self.connection).is_ok();
        *self = if remade { Lineage::open(&path)? } else { Lineage::in_memory()? };
        Ok(true)
    }

    /// The public error of a question that failed. What it found wrong in the file is gone the next
    /// time: a file without a format is made anew by whoever opens it.
    pub(crate) fn failed(&self, fault: Fault) -> LineageError {
        if blames_content(&fault) {
            // If not even this can be written, the next question fails with the same words.
            let _ = self.connection.pragma_update(None, "user_version", 0);
        }
        fault.at("read", self.place())
    }
}

/// Whether a fault is of what the file holds, and not of where it is.
fn blames_content(fault: &Fault) -> bool {
    use rusqlite::Error;
    match fault {
        Fault::Impossible(_) => true,
        Fault::Sql(Error::SqliteFailure(error, _)) => matches!(
            error.code,
            ErrorCode::NotADatabase
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::ConstraintViolation
                | ErrorCode::TypeMismatch
                // Such as a table that is not there.
                | ErrorCode::Unknown
        ),
        Fault::Sql(
            Error::SqlInputError { .. }
            | Error::InvalidColumnType(..)
            | Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..),
        ) => true,
        Fault::Sql(_) | Fault::Objects(_) => false,
    }
}

fn open_file(path: &Path) -> SqlResult<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let mut connection = Connection::open_with_flags(direct(path), flags)?;
    connection.busy_timeout(PATIENCE)?;
    settle_plans(&connection)?;
    if prepare(&mut connection).is_err() {
        reset(&mut connection)?;
        prepare(&mut connection)?;
    }
    Ok(connection)
}

/// Keeps statements and their plans. Without the second SQLite plans a statement anew for each value, in
/// case its tables had been surveyed: more work than most of ours are.
fn settle_plans(connection: &Connection) -> SqlResult<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

/// The path without links in the folders above. A link in the file's own place is not followed:
/// whatever it leads to would be emptied.
fn direct(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (parent.canonicalize(), path.file_name()) {
        (Ok(parent), Some(file_name)) => parent.join(file_name),
        // Opening it says what is wrong with it.
        _ => path.to_owned(),
    }
}

/// Settles the journal and makes the tables if they are not there in this format.
fn prepare(connection: &mut Connection) -> SqlResult<()> {
    connection
        .pragma_update_and_check(None, "journal_mode", "TRUNCATE", |row| row.get::<_, String>(0))?;
    if format(connection)? != FORMAT {
        make_tables(connection)?;
    }
    connection.pragma_update(None, "cache_size", CACHE_KIB)
}

fn format(connection: &Connection) -> SqlResult<i32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Removes whatever tables there are and makes ours, in one transaction: another process sees
/// the old state or the new one. Leaves tables alone that are right by the time it gets the lock.
fn make_tables(connection: &mut Connection) -> SqlResult<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if format(&transaction)? != FORMAT {
        let found = "SELECT type, name FROM sqlite_master \
                     WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
        let old = transaction
            .prepare(found)?
            .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?
            .collect::<SqlResult<Vec<_>>>()?;
        for (kind, name) in old {
            let name = name.replace('"', "\"\"");
            transaction.execute_batch(&format!("DROP {kind} IF EXISTS \"{name}\""))?;
        }
        transaction.execute_batch(SCHEMA)?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
    }
    transaction.commit()
}

/// Empties a file that SQLite cannot read, without unlinking it under another process's hands.
fn reset(connection: &mut Connection) -> SqlResult<()> {
    connection.flush_prepared_statement_cache();
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_RESET_DATABASE, true)?;
    let emptied = connection.execute_batch("VACUUM");
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_RESET_DATABASE, false)?;
    emptied
}
