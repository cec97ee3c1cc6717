//! Takes out of the index what no pack holds any more.

use std::collections::BTreeSet;

use lab_schema::{ContentId, Kind, ObjectId};
use rusqlite::{Connection, params};

use crate::error::Answer;
use crate::intake::is_wanted;
use crate::key;
use crate::links::{self, Way};
use crate::number;

/// Forgets packs, and what only they held. Returns how many objects were known and are not any more.
pub(crate) fn forget(db: &Connection, packs: &BTreeSet<i64>) -> Answer<u64> {
    let mut rows_gone: Vec<(i64, i64)> = Vec::new();
    {
        let mut query = db.prepare_cached("SELECT object, pack FROM held")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let pack = row.get(1)?;
            if packs.contains(&pack) {
                rows_gone.push((row.get(0)?, pack));
            }
        }
    }
    for (object, pack) in &rows_gone {
        let sql = "DELETE FROM held WHERE object = ?1 AND pack = ?2";
        db.prepare_cached(sql)?.execute([object, pack])?;
    }
    for pack in packs {
        db.prepare_cached("DELETE FROM pack WHERE number = ?1")?.execute([pack])?;
    }
    let suspects: BTreeSet<i64> = rows_gone.into_iter().map(|(object, _)| object).collect();
    let mut forgotten = 0;
    for object in suspects {
        let sql = "SELECT COUNT(*) FROM held WHERE object = ?1";
        let packs: i64 = db.prepare_cached(sql)?.query_row([object], |row| row.get(0))?;
        if packs == 0 && number::is_taken(db, object)? {
            forget_object(db, object)?;
            forgotten += 1;
        }
    }
    for sql in [
        "DELETE FROM metric WHERE (SELECT taken FROM object WHERE number = run) IS NOT 1",
        "DELETE FROM maker WHERE (SELECT taken FROM object WHERE number = run) IS NOT 1",
        "DELETE FROM param WHERE (SELECT taken FROM object WHERE number = owner) IS NOT 1",
    ] {
        db.prepare_cached(sql)?.execute([])?;
    }
    forget_unwanted(db)?;
    forget_unmentioned(db)?;
    Ok(forgotten)
}

/// Takes out what lies in trees that no run left or read any more, as if they had not been opened.
fn forget_unwanted(db: &Connection) -> Answer<()> {
    let sql = "SELECT number FROM object WHERE kind = ?1 AND taken";
    let mut open: Vec<i64> = db
        .prepare_cached(sql)?
        .query_map([key::kind(Kind::Tree)], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    while let Some(number) = open.pop() {
        let ObjectId::Tree(tree) = number::object(db, number)? else { continue };
        if number::is_taken(db, number)? && !is_wanted(db, tree)? {
            let inside = links::of(db, number)?;
            forget_object(db, number)?;
            // What only this one held is not wanted any more either.
            for link in inside.iter().filter(|link| matches!(link.content, ContentId::Tree(_))) {
                open.extend(number::find(db, link.content.into())?);
            }
        }
    }
    Ok(())
}

/// Takes out the tables of an object but for metrics, parameters and makers, which are taken out all at once.
fn forget_object(db: &Connection, object: i64) -> Answer<()> {
    let (way, table) = match number::object(db, object)?.kind() {
        Kind::Recipe => (Some(Way::Reads), None),
        Kind::Run => (Some(Way::Makes), Some("DELETE FROM run WHERE object = ?1")),
        Kind::Tree => (Some(Way::Holds), None),
        Kind::Attestation => (None, Some("DELETE FROM attestation WHERE object = ?1")),
        Kind::Signature => (None, Some("DELETE FROM signature WHERE object = ?1")),
        Kind::Blob | Kind::Aliases | Kind::Evaluation => (None, None),
    };
    if let Some(way) = way {
        links::remove(db, way, object)?;
    }
    if let Some(sql) = table {
        db.prepare_cached(sql)?.execute([object])?;
    }
    db.prepare_cached("UPDATE object SET taken = 0 WHERE number = ?1")?.execute([object])?;
    Ok(())
}

/// Takes out the numbers of objects that no pack holds and that nothing is of.
fn forget_unmentioned(db: &Connection) -> Answer<()> {
    let sql = "SELECT number FROM object WHERE taken = 0
               AND NOT EXISTS (SELECT 1 FROM held WHERE object = number)
               AND NOT EXISTS (SELECT 1 FROM run WHERE recipe = number)
               AND NOT EXISTS (SELECT 1 FROM attestation WHERE run = number)
               AND NOT EXISTS (SELECT 1 FROM signature WHERE of = number)
               AND number NOT IN (SELECT maker FROM maker)";
    let numbers: Vec<i64> = db
        .prepare_cached(sql)?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for object in numbers {
        let head = key::head(number::object(db, object)?.digest());
        let row = params![head, object];
        db.prepare_cached("DELETE FROM head WHERE head = ?1 AND object = ?2")?.execute(row)?;
        db.prepare_cached("DELETE FROM object WHERE number = ?1")?.execute([object])?;
    }
    Ok(())
}
