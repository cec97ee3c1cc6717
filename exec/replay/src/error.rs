//! The ways in which doing it again can go wrong before there is a verdict.
//!
//! That a computation could not be repeated, or gave something else, is a verdict and no error.
//! Errors are what stands in the way of giving any verdict: a store that cannot be read, an object
//! that is not there.

use lab_schema::{BlobId, ObjectId, RunId, SchemaError};

/// What stands in the way of a verdict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The store failed.
    #[error(transparent)]
    Objects(#[from] lab_objects::ObjectsError),
    /// The lineage index failed.
    #[error(transparent)]
    Lineage(#[from] lab_lineage::LineageError),
    /// A command could not be executed.
    #[error(transparent)]
    Process(#[from] lab_process::ProcessError),
    /// A tensor program could not be executed.
    #[error(transparent)]
    Tensor(#[from] lab_tensor::TensorError),
    /// An object is not valid.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The store does not have an object.
    #[error("the store does not have {id}")]
    Missing {
        /// The absent object.
        id: ObjectId,
    },
    /// Nothing around the run can be changed.
    #[error("{id} cannot be varied: {why}")]
    Fixed {
        /// The run.
        id: RunId,
        /// Why not.
        why: String,
    },
    /// A result cannot be done with something changed.
    #[error("{} cannot be forked: {why}", .id.short())]
    NotForked {
        /// The run.
        id: RunId,
        /// Why not.
        why: String,
    },
    /// A model cannot be evaluated as a run evaluated another.
    #[error("the evaluation that {} shows cannot be done: {why}", .id.short())]
    NotEvaluated {
        /// The example.
        id: RunId,
        /// Why not.
        why: String,
    },
    /// The steps of the run cannot be done again one by one.
    #[error("{id} cannot be followed step by step: {why}")]
    NotFollowed {
        /// The run.
        id: RunId,
        /// Why not.
        why: String,
    },
    /// What a run was seen to touch cannot be read.
    #[error("what was observed, blob {id}, cannot be read: {why}")]
    Observations {
        /// The blob.
        id: BlobId,
        /// What is wrong with it.
        why: String,
    },
    /// The store gave another number of bytes than the blob has.
    #[error("blob {id}: {found} bytes at offset {offset} where {expected} were expected")]
    ShortRead {
        /// The blob.
        id: BlobId,
        /// Where it was read.
        offset: u64,
        /// How many bytes were asked for.
        expected: u64,
        /// How many came.
        found: u64,
    },
    /// Directories nest deeper than any file system allows.
    #[error("tree {id} nests more than {limit} directories")]
    TooDeep {
        /// The outermost directory that was too deep.
        id: ObjectId,
        /// The most that is followed.
        limit: usize,
    },
}

/// A result of this crate.
pub type Result<T, E = ReplayError> = std::result::Result<T, E>;
