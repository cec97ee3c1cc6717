//! Which contents an object names, and which objects name a content.
//!
//! The names of contents are random and hardly ever repeat, so they take nearly all of the index. Each
//! stands once, in the list of whoever names it; to find it, only its [head](key::head) stands
//! beside, and the lists that it leads to are read. A long list is kept in parts, so that one that
//! names many contents is not read again for each of them.
//!
//! A link in a list is `word * 2 + 1` for a tree or `word * 2` for a blob, seven bits to a byte, the
//! low ones first, the last byte without its high bit; then the 32 bytes of the digest.

use lab_schema::{BlobId, ContentId, Digest, TreeId};
use rusqlite::{Connection, params};

use crate::error::{Answer, Fault};
use crate::key;

/// Links in one part of a list: some kilobyte.
const PART: usize = 32;

/// Parts that a list can have, as the schema has it too: half a milliard links. Who has more has
/// the rest in no list.
const PARTS: i64 = 1 << 24;

/// A content and what it is called there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Link {
    pub(crate) word: i64,
    pub(crate) content: ContentId,
}

/// Where a head leads back from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// To recipes.
    Reads,
    /// To runs.
    Makes,
    /// To trees.
    Holds,
}

impl Way {
    fn look(self) -> &'static str {
        match self {
            Way::Reads => LOOK_READS,
            Way::Makes => LOOK_MAKES,
            Way::Holds => LOOK_HOLDS,
        }
    }

    fn insert(self) -> &'static str {
        match self {
            Way::Reads => "INSERT OR IGNORE INTO reads VALUES (?1, ?2, ?3)",
            Way::Makes => "INSERT OR IGNORE INTO makes VALUES (?1, ?2, ?3)",
            Way::Holds => "INSERT OR IGNORE INTO holds VALUES (?1, ?2, ?3)",
        }
    }

    fn delete(self) -> &'static str {
        match self {
            Way::Reads => "DELETE FROM reads WHERE head = ?1 AND owner = ?2 AND part = ?3",
            Way::Makes => "DELETE FROM makes WHERE head = ?1 AND owner = ?2 AND part = ?3",
            Way::Holds => "DELETE FROM holds WHERE head = ?1 AND owner = ?2 AND part = ?3",
        }
    }
}

const LOOK_READS: &str = "SELECT owner, list FROM reads CROSS JOIN links
    WHERE head = ?1 AND place = owner * 16777216 + part";
const LOOK_MAKES: &str = "SELECT owner, list FROM makes CROSS JOIN links
    WHERE head = ?1 AND place = owner * 16777216 + part";
const LOOK_HOLDS: &str = "SELECT owner, list FROM holds CROSS JOIN links
    WHERE head = ?1 AND place = owner * 16777216 + part";

/// A head that leads back to a part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Back {
    head: i32,
    owner: i64,
    part: i64,
}

/// Writes the list of an object; what leads back to it is added to `back`, for [`write_back`].
pub(crate) fn write(
    db: &Connection,
    owner: i64,
    links: &[Link],
    back: &mut Vec<Back>,
) -> Answer<()> {
    for (part, links) in (0..PARTS).zip(links.chunks(PART)) {
        let mut list = Vec::with_capacity(links.len() * 34);
        for Link { word, content } in links {
            let digest = content.digest();
            let is_tree = matches!(content, ContentId::Tree(_));
            let mut rest = (word.unsigned_abs() << 1) | u64::from(is_tree);
            while rest >= 0x80 {
                list.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            list.push(rest as u8);
            list.extend_from_slice(digest.as_bytes());
            back.push(Back { head: key::head(digest), owner, part });
        }
        let place = owner.saturating_mul(PARTS) + part;
        db.prepare_cached("INSERT INTO links VALUES (?1, ?2)")?.execute(params![place, list])?;
    }
    Ok(())
}

/// Writes what leads back, in order: pages that are filled one after the other are full, and each
/// is written once.
pub(crate) fn write_back(db: &Connection, way: Way, back: &mut Vec<Back>) -> Answer<()> {
    back.sort_unstable();
    let mut insert = db.prepare_cached(way.insert())?;
    for Back { head, owner, part } in back.drain(..) {
        insert.execute(params![head, owner, part])?;
    }
    Ok(())
}

/// Removes the list of an object and what leads back to it.
pub(crate) fn remove(db: &Connection, way: Way, owner: i64) -> Answer<()> {
    for (part, links) in parts(db, owner)? {
        for link in links {
            db.prepare_cached(way.delete())?.execute(params![
                key::head(link.content.digest()),
                owner,
                part
            ])?;
        }
    }
    let sql = "DELETE FROM links WHERE place BETWEEN ?1 AND ?2";
    db.prepare_cached(sql)?.execute(places(owner))?;
    Ok(())
}

/// What an object names, in the order in which it was written.
pub(crate) fn of(db: &Connection, owner: i64) -> Answer<Vec<Link>> {
    Ok(parts(db, owner)?.into_iter().flat_map(|(_, links)| links).collect())
}

fn parts(db: &Connection, owner: i64) -> Answer<Vec<(i64, Vec<Link>)>> {
    let sql = "SELECT place, list FROM links WHERE place BETWEEN ?1 AND ?2 ORDER BY place";
    let mut query = db.prepare_cached(sql)?;
    let mut rows = query.query(places(owner))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((row.get::<_, i64>(0)? % PARTS, read(blob(row, 1)?)?));
    }
    Ok(found)
}

/// The first place and the last that parts of an object's list can have.
fn places(owner: i64) -> [i64; 2] {
    let first = owner.saturating_mul(PARTS);
    [first, first.saturating_add(PARTS - 1)]
}

/// Who names a content, and what it is called there; an object that names it twice comes twice.
pub(crate) fn back(db: &Connection, way: Way, content: ContentId) -> Answer<Vec<(i64, i64)>> {
    let mut found = Vec::new();
    each_back(db, way, content, |owner, word| {
        found.push((owner, word));
        true
    })?;
    Ok(found)
}

/// Whether anything names a content.
pub(crate) fn leads_back(db: &Connection, way: Way, content: ContentId) -> Answer<bool> {
    let mut found = false;
    each_back(db, way, content, |_, _| {
        found = true;
        false
    })?;
    Ok(found)
}

/// Tells each who names a content, until it is told to end.
fn each_back(
    db: &Connection,
    way: Way,
    content: ContentId,
    mut tell: impl FnMut(i64, i64) -> bool,
) -> Answer<()> {
    let mut query = db.prepare_cached(way.look())?;
    let mut rows = query.query([key::head(content.digest())])?;
    while let Some(row) = rows.next()? {
        let owner = row.get(0)?;
        for link in read(blob(row, 1)?)? {
            if link.content == content && !tell(owner, link.word) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// A list as it was written.
fn read(mut list: &[u8]) -> Answer<Vec<Link>> {
    let impossible = || Fault::Impossible("list of contents");
    let mut links = Vec::with_capacity(list.len() / 33);
    while !list.is_empty() {
        let (mut number, mut shift) = (0u64, 0);
        loop {
            let (byte, rest) = list.split_first().ok_or_else(impossible)?;
            list = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
            shift += 7;
            if shift > 56 {
                return Err(impossible());
            }
        }
        let (digest, rest) = list.split_first_chunk::<32>().ok_or_else(impossible)?;
        list = rest;
        let digest = Digest::from_bytes(*digest);
        let content = match number & 1 {
            0 => ContentId::Blob(BlobId::from_digest(digest)),
            _ => ContentId::Tree(TreeId::from_digest(digest)),
        };
        links.push(Link { word: (number >> 1) as i64, content });
    }
    Ok(links)
}

/// A column of bytes.
pub(crate) fn blob<'r>(row: &'r rusqlite::Row<'_>, column: usize) -> Answer<&'r [u8]> {
    row.get_ref(column)?.as_blob().map_err(|_| Fault::Impossible("column"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_it_was_written_and_nothing_else_is() {
        let lineage = crate::Lineage::in_memory().unwrap();
        let db = &lineage.connection;
        let link = |n: i64| {
            let digest = BlobId::of(&n.to_le_bytes()).digest();
            let content = if n % 3 == 0 {
                TreeId::from_digest(digest).into()
            } else {
                BlobId::from_digest(digest).into()
            };
            Link { word: n * n * n, content }
        };
        let links: Vec<Link> = (0..200).map(link).collect();
        let mut heads = Vec::new();
        write(db, 7, &links, &mut heads).unwrap();
        write_back(db, Way::Makes, &mut heads).unwrap();
        assert_eq!(of(db, 7).unwrap(), links);
        assert_eq!(of(db, 8).unwrap(), []);
        for link in &links {
            assert_eq!(back(db, Way::Makes, link.content).unwrap(), [(7, link.word)]);
            assert!(!leads_back(db, Way::Reads, link.content).unwrap());
        }
        remove(db, Way::Makes, 7).unwrap();
        assert!(!leads_back(db, Way::Makes, links[0].content).unwrap());
        let left: i64 = db.query_row("SELECT COUNT(*) FROM makes", [], |row| row.get(0)).unwrap();
        assert_eq!(left, 0);

        assert!(read(&[0; 32]).is_err() && read(&[0x80; 43]).is_err() && read(&[0x80]).is_err());
        assert_eq!(read(&[0; 33]).unwrap().len(), 1);
    }

    /// Ids that begin alike are told apart, also a blob and a tree of one digest.
    #[test]
    fn one_head_is_not_one_content() {
        let lineage = crate::Lineage::in_memory().unwrap();
        let db = &lineage.connection;
        let digest = |last: u8| {
            let mut bytes = [9; 32];
            bytes[31] = last;
            Digest::from_bytes(bytes)
        };
        let all: [ContentId; 3] = [
            BlobId::from_digest(digest(1)).into(),
            BlobId::from_digest(digest(2)).into(),
            TreeId::from_digest(digest(1)).into(),
        ];
        let mut heads = Vec::new();
        for (owner, content) in (1..).zip(all) {
            write(db, owner, &[Link { word: 5, content }], &mut heads).unwrap();
        }
        write_back(db, Way::Holds, &mut heads).unwrap();
        for (owner, content) in (1..).zip(all) {
            assert_eq!(back(db, Way::Holds, content).unwrap(), [(owner, 5)]);
        }
    }
}
