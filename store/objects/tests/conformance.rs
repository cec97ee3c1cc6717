//! The backends of this crate do what backends do; a new one is a line.
#![allow(clippy::unwrap_used)]

mod suite;

use std::sync::Arc;

use lab_objects::{Folder, Memory};

conforms!(folder, at => suite::own(|| Arc::new(Folder::create(at.path()).unwrap())));
conforms!(memory, _at => {
    let memory = Arc::new(Memory::new());
    suite::own(move || Arc::clone(&memory))
});
