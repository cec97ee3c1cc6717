//! The object model: what `lab` keeps, and the one byte string that each value has.
//!
//! ```text
//!   Name ──points at──▶ Blob | Tree | Run | Evaluation
//!
//!   Recipe  what to compute (imperative)      inputs ▶ Blob | Tree     code, environment ▶ Tree
//!   Run     what happened (past tense)        recipe ▶ Recipe          outputs ▶ Blob | Tree
//!   Attestation  somebody did a run again     run ▶ Run                outputs ▶ Blob | Tree
//!   Signature  somebody vouches for it        of ▶ Run | Attestation
//!   Aliases   digests of other tools        of ▶ Blob | Tree | Run  table ▶ Blob
//!   Evaluation  what models are measured by   run ▶ Run, but for one input
//!   Tree    a directory                       entries ▶ Blob | Tree
//!   Blob    a file's bytes; its id is what `b3sum` prints
//! ```
//!
//! This crate is pure: no files, no clock, no network, no threads. The bytes are specified in
//! `docs/format.md`; each tagged sentence there has a test that carries the same tag.
//!
//! The modules stand in dependency order; none uses one that is declared below it.

pub mod kind;
pub mod error;
pub mod hash;
pub mod name;
pub mod value;
mod failure;
mod float;
mod reader;
pub mod codec;
pub mod content;
pub mod tree;
pub mod recipe;
pub mod host;
pub mod observed;
pub mod run;
pub mod attestation;
pub mod signature;
pub mod alias;
pub mod evaluation;
pub mod object;
pub mod reference;

pub use alias::{Alias, AliasPrefix, Aliases, Scheme, Subject};
pub use attestation::{Attestation, Difference, Verdict};
pub use content::ContentId;
pub use error::SchemaError;
pub use evaluation::Evaluation;
pub use hash::{
    AliasesId, AttestationId, BlobHasher, BlobId, Digest, EvaluationId, IdPrefix, RecipeId, RunId,
    SignatureId, TreeId,
};
pub use host::Host;
pub use kind::Kind;
pub use name::{FileName, Name, Slot};
pub use object::{Object, ObjectId};
pub use observed::Observed;
pub use recipe::{Command, Executor, Limits, Output, Place, Recipe, Tensor, Tolerance};
pub use reference::{Base, Reference};
pub use run::{Completeness, Git, Log, Outcome, Run, Status};
pub use signature::{Signature, Signed};
pub use tree::{Entry, Tree};
pub use value::{Number, Value};
