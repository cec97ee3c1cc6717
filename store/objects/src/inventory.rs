//! The inventory of a store: all its files and their sizes in bytes, as one text.
//!
//! ```text
//! lab inventory 1
//! <path> SP <bytes> LF ...
//! ```
//!
//! A web server that only hands out files cannot say what it has. Where a folder holds a file of the
//! name `inventory`, whoever publishes there keeps it up to date. It is a hint like any listing: what it
//! names may be gone, and what came since is not in it.

use std::fmt::Write as _;

use crate::backend::{Backend, Key, Room};
use crate::error::{ObjectsError, Result};

/// The name of the file, in the store's root.
pub const INVENTORY: &str = "inventory";
/// Most bytes that an inventory may have: a million packs.
pub const MAX_INVENTORY: u64 = 128 << 20;
/// Its first line.
const FIRST: &str = "lab inventory 1";

/// The rooms of which it tells, marks first: a pack that is listed after them is not taken for one that
/// stays because its mark, which goes after it, has gone meanwhile.
pub const TOLD: [Room; 3] = [Room::Condemned, Room::Packs, Room::Names];

/// What the store behind `backend` has.
pub fn inventory(backend: &dyn Backend) -> Result<String> {
    let mut text = format!("{FIRST}\n");
    for room in TOLD {
        for (key, bytes) in backend.list(room)? {
            // Writing to a text does not fail.
            let _ = writeln!(text, "{} {bytes}", key.path());
        }
    }
    Ok(text)
}

/// The files of an inventory, sorted. A line that names no file of a store is one of a newer lab, and
/// passed over; what is not an inventory is refused.
pub fn parse_inventory(text: &[u8]) -> Result<Vec<(Key, u64)>> {
    let damaged = |why| ObjectsError::Damaged { what: "the inventory".to_owned(), why };
    let text = std::str::from_utf8(text).map_err(|_| damaged("it is not text"))?;
    let rest = text.strip_prefix(FIRST).and_then(|rest| rest.strip_prefix('\n'));
    let rest = rest.ok_or_else(|| damaged("it does not begin as an inventory does"))?;
    if !rest.is_empty() && !rest.ends_with('\n') {
        return Err(damaged("it is cut off"));
    }
    let mut found = Vec::new();
    for line in rest.lines() {
        let (path, bytes) = line.rsplit_once(' ').ok_or_else(|| damaged("a line has no size"))?;
        let bytes = bytes.parse().map_err(|_| damaged("a size is not a number"))?;
        let Some((folder, file)) = path.split_once('/') else { continue };
        let room = TOLD.into_iter().find(|room| room.folder() == folder);
        found.extend(room.and_then(|room| room.file(file)).map(|key| (key, bytes)));
    }
    found.sort();
    if found.windows(2).any(|two| two[0].0 == two[1].0) {
        return Err(damaged("it names a file twice"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;
    use lab_schema::Name;

    #[test]
    fn an_inventory_is_what_the_rooms_hold() {
        let memory = Memory::new();
        memory.publish(&Key::Format, b"lab store 2\n").unwrap();
        let name = Key::Name(Name::new("a.b").unwrap());
        assert!(memory.swap(&name, None, b"123").unwrap());
        let mark = Room::Condemned.file(&"0a".repeat(32)).unwrap();
        memory.publish(&mark, b"").unwrap();
        let text = inventory(&memory).unwrap();
        assert_eq!(
            text,
            format!("lab inventory 1\ncondemned/{} 0\nnames/a.b 3\n", "0a".repeat(32))
        );
        assert_eq!(parse_inventory(text.as_bytes()).unwrap(), [(name, 3), (mark, 0)]);
    }

    #[test]
    fn what_is_no_inventory_is_refused_and_what_is_newer_passed_over() {
        for wrong in [
            "",
            "lab inventory 2\n",
            "<html>",
            "lab inventory 1\npacks/x",
            "lab inventory 1\nnames/a\n",
            "lab inventory 1\nnames/a -1\n",
            "lab inventory 1\nnames/a 1\nnames/a 1\n",
        ] {
            assert!(parse_inventory(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(parse_inventory(b"lab inventory 1\nnames/\xff 1\n").is_err());
        let newer = b"lab inventory 1\nrooms/x 1\nnames/../x 1\nnames/a 1\nformat 12\n";
        assert_eq!(parse_inventory(newer).unwrap().len(), 1);
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_strange(lines in "((names/[a-z]{1,3}|packs/x|\\PC{0,9}) [0-9]{0,21}\n?){0,6}") {
            if let Ok(found) = parse_inventory(format!("{FIRST}\n{lines}").as_bytes()) {
                proptest::prop_assert!(found.windows(2).all(|two| two[0].0 < two[1].0));
            }
        }
    }
}
