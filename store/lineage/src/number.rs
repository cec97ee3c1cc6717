//! Small numbers in place of ids and words, which stand in full once.

use lab_schema::ObjectId;
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::{Answer, Fault};
use crate::key;

/// The number of an object.
pub(crate) fn find(db: &Connection, id: ObjectId) -> Answer<Option<i64>> {
    let sql = "SELECT object.number FROM head CROSS JOIN object
               WHERE head.head = ?1 AND object.number = head.object
               AND object.kind = ?2 AND object.id = ?3";
    let digest = id.digest();
    let row = params![key::head(digest), key::kind(id.kind()), digest.as_bytes()];
    Ok(db.prepare_cached(sql)?.query_row(row, |row| row.get(0)).optional()?)
}

/// A new number for an object that has none. Whoever gives it has to write its head too.
pub(crate) fn give(db: &Connection, id: ObjectId) -> Answer<i64> {
    let digest = id.digest();
    let row = params![key::kind(id.kind()), digest.as_bytes()];
    db.prepare_cached("INSERT INTO object (kind, id, taken) VALUES (?1, ?2, 0)")?.execute(row)?;
    Ok(db.last_insert_rowid())
}

/// Makes an object that has a number be found by its id.
pub(crate) fn write_head(db: &Connection, head: i32, number: i64) -> Answer<()> {
    db.prepare_cached("INSERT INTO head VALUES (?1, ?2)")?.execute(params![head, number])?;
    Ok(())
}

/// The number of an object, which is given one if it has none.
pub(crate) fn of(db: &Connection, id: ObjectId) -> Answer<i64> {
    if let Some(number) = find(db, id)? {
        return Ok(number);
    }
    let number = give(db, id)?;
    write_head(db, key::head(id.digest()), number)?;
    Ok(number)
}

/// The object that has a number.
pub(crate) fn object(db: &Connection, number: i64) -> Answer<ObjectId> {
    let mut query = db.prepare_cached("SELECT kind, id FROM object WHERE number = ?1")?;
    let mut rows = query.query([number])?;
    let Some(row) = rows.next()? else { return Err(Fault::Impossible("number")) };
    let id = row.get_ref(1)?.as_blob().map_err(|_| Fault::Impossible("column"))?;
    key::to_object(row.get(0)?, id)
}

/// The number of an object whose tables were filled, if they were.
pub(crate) fn taken(db: &Connection, id: ObjectId) -> Answer<Option<i64>> {
    match find(db, id)? {
        Some(number) if is_taken(db, number)? => Ok(Some(number)),
        _ => Ok(None),
    }
}

/// Whether the tables of an object were filled.
pub(crate) fn is_taken(db: &Connection, number: i64) -> Answer<bool> {
    let mut query = db.prepare_cached("SELECT taken FROM object WHERE number = ?1")?;
    Ok(query.query_row([number], |row| row.get(0)).optional()?.unwrap_or(false))
}

/// The number of a word, if anything is called so.
pub(crate) fn find_word(db: &Connection, text: &str) -> Answer<Option<i64>> {
    let mut query = db.prepare_cached("SELECT number FROM word WHERE text = ?1")?;
    Ok(query.query_row([text], |row| row.get(0)).optional()?)
}

/// The number of a word, which is given one if it has none.
pub(crate) fn word(db: &Connection, text: &str) -> Answer<i64> {
    if let Some(number) = find_word(db, text)? {
        return Ok(number);
    }
    db.prepare_cached("INSERT INTO word (text) VALUES (?1)")?.execute([text])?;
    Ok(db.last_insert_rowid())
}

/// The word that has a number.
pub(crate) fn text(db: &Connection, number: i64) -> Answer<String> {
    let mut query = db.prepare_cached("SELECT text FROM word WHERE number = ?1")?;
    query.query_row([number], |row| row.get(0)).optional()?.ok_or(Fault::Impossible("word"))
}
