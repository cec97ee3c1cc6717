//! Stores that are reached by HTTP: behind `lab serve`, on a web server that only hands out files, in a
//! bucket.
//!
//! Each is a [`Backend`](lab_objects::Backend), with the layout that a folder has
//! (`docs/layout.md`). Nothing above knows that it is one.

mod runtime;
mod error;
mod credentials;
mod ask;
mod ranges;
mod web;

pub use credentials::{has_secret, shown};
pub use error::{Result, WebError};
pub use web::{Patience, Told, Web};
