//! A store at the other end of a connection does what every backend does, as far as who is there lets it.
#![allow(clippy::unwrap_used)]

#[path = "../../objects/tests/suite/mod.rs"]
mod suite;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use lab_objects::Memory;
use wire::{Way, Wire};

fn over(ways: Vec<Way>) -> suite::Tried<'static> {
    let behind = Arc::new(Memory::new());
    let there = Arc::clone(&behind);
    let come = move || {
        let mut wire = Wire::new(&there, &ways);
        // An answer that is lost is waited for.
        wire.patience.silence = Duration::from_secs(1);
        Arc::new(wire.far().unwrap())
    };
    suite::guarded(&behind, come, None)
}

conforms!(clear, _at => over(Vec::new()));
conforms!(ragged, _at => over(wire::ragged()));
conforms!(mangled, _at => over(wire::mangled()));
