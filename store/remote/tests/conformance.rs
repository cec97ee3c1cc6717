//! A store at the other end of a connection does what every backend does, as far as who is there lets it.
#![allow(clippy::unwrap_used)]

#[path = "../../objects/tests/suite/mod.rs"]
mod suite;
mod wire;

use std::sync::Arc;

use lab_objects::Memory;
use wire::{Way, Wire};

fn over(ways: Vec<Way>) -> suite::Tried<'static> {
    let behind = Arc::new(Memory::new());
    let there = Arc::clone(&behind);
    suite::guarded(&behind, move || Arc::new(Wire::new(&there, &ways).far().unwrap()), None)
}

conforms!(clear, _at => over(Vec::new()));
conforms!(ragged, _at => over(wire::ragged()));
