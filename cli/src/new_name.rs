//! Names that somebody gives. One that reads as the start of an id would hide what has that id, so none is made;
//! those that are there already, or come from elsewhere, can be used, moved and deleted as ever.

use lab_objects::{ObjectsError, Store};
use lab_schema::{IdPrefix, Name};

use crate::failure::{Failure, Outcome};

/// Fewest hexadecimal digits that are taken for an id.
const DIGITS: usize = 8;

/// The name that was typed, if it may be made, or is there already.
pub(crate) fn new_name(store: &Store, typed: &str) -> Outcome<Name> {
    let name = Name::new(typed)?;
    let Ok(prefix) = typed.parse::<IdPrefix>() else { return Ok(name) };
    if typed.len() < DIGITS {
        return Ok(name);
    }
    // Also one that was deleted can be brought back.
    let is_there = match store.names().journal(&name) {
        Err(ObjectsError::Damaged { .. }) => true,
        journal => !journal?.is_empty(),
    };
    // As long as nothing here is called so, a number may be a day.
    let is_day = typed.bytes().all(|b| b.is_ascii_digit()) && store.find(&prefix)?.is_empty();
    if is_there || is_day {
        return Ok(name);
    }
    let what = format!(
        "'{name}' cannot be a new name: it reads as the start of an id, and would hide what has it"
    );
    Err(Failure::usage(what).hint(format!("something else in it is enough, as in run-{name}")))
}
