//! Stores that are reached by HTTP: behind `lab serve`, on a web server that only hands out files, in a
//! bucket.
//!
//! Each is a [`Backend`](lab_objects::Backend), with the layout that a folder has
//! (`docs/layout.md`). Nothing above knows that it is one.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod runtime;
mod error;
mod credentials;
mod ask;
mod ranges;
mod web;
mod bucket;

pub use bucket::{Bucket, BucketError, Limits, SCHEMES, Terms, connect};
pub use credentials::{has_secret, shown};
pub use error::{Result, WebError};
pub use web::{Patience, Told, Web};
