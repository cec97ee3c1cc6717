//! What DVC, git-lfs, Hugging Face's hub and MLflow keep, into a store; with what they called it.
//!
//! [`find`] looks at a folder and says what is there; nothing is written. [`Import`] stores it: every file that
//! has a digest for a name is seen to have it while it is read, and what does not is not believed. The digests
//! become [`Aliases`](lab_schema::Aliases), so that the old hash finds the file.
//!
//! What is read was written by others: every list is bounded, every path stays below its folder, links are
//! followed within a cache alone.
//!
//! The modules stand in dependency order; none uses one that is declared below it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod digest;
mod found;
mod files;
mod yaml;
mod names;
mod dvc;
mod lfs;
mod hf;
mod mlflow;
mod look;
mod tree;
mod heard;
mod bring;

pub use bring::{Brought, Import, Made};
pub use digest::Verifier;
pub use error::{ImportError, Result};
pub use found::{
    Artifact, Fault, Found, Part, Record, Shape, Source, SourceNumber, Tool, UnknownTool,
};
pub use look::{find, recognise};
pub use mlflow::HISTORY;
