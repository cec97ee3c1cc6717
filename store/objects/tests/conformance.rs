//! The backends of this crate do what backends do; a new one is a line.
#![allow(clippy::unwrap_used)]

mod suite;

use lab_objects::{Folder, Memory};

conforms!(folder, folder => Folder::create(folder.path()).unwrap());
conforms!(memory, _folder => Memory::new());
