//! The JSON that stages leave, and the inputs that they read.
//!
//! JSON is written with its keys in a fixed order and each float in the shortest form that reads
//! back the same, so equal values are equal bytes.

use std::collections::BTreeMap;

use lab_objects::Store;
use lab_schema::{BlobId, ContentId, Number, Slot};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Result, TensorError};
use crate::task::slot;

/// The longest file that is held in memory.
const MAX_FILE_BYTES: u64 = 4 << 30;
const MAX_JSON_BYTES: u64 = 64 << 20;

/// What a stage leaves.
#[derive(Default)]
pub(crate) struct Product {
    pub(crate) files: BTreeMap<&'static str, Vec<u8>>,
    pub(crate) metrics: BTreeMap<String, Number>,
}

/// The inputs of a stage, and the store that holds them.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub(crate) store: &'a Store,
    pub(crate) contents: &'a BTreeMap<Slot, ContentId>,
}

impl Inputs<'_> {
    /// The input called `name`, which must be a file.
    pub(crate) fn blob(&self, name: &str) -> Result<BlobId> {
        match self.contents.get(&slot(name)) {
            Some(ContentId::Blob(id)) => Ok(*id),
            Some(ContentId::Tree(_)) => Err(TensorError::Directory { slot: slot(name) }),
            None => Err(TensorError::MissingKey(format!("the input '{name}'"))),
        }
    }

    /// All its bytes.
    pub(crate) fn bytes(&self, name: &str) -> Result<Vec<u8>> {
        Ok(self.store.read_blob(self.blob(name)?, MAX_FILE_BYTES)?)
    }

    /// The value that it is the JSON of.
    pub(crate) fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let bytes = self.store.read_blob(self.blob(name)?, MAX_JSON_BYTES)?;
        serde_json::from_slice(&bytes)
            .map_err(|e| TensorError::BadInput { slot: slot(name), why: e.to_string() })
    }
}

/// Indented JSON with a final newline.
pub(crate) fn to_json(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("plain structs are JSON");
    bytes.push(b'\n');
    bytes
}

/// `prepare.json`: what the rows of the two parts mean.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prepared {
    /// Labels, in the order of their numbers.
    pub(crate) classes: Vec<String>,
    /// The column that they stand in.
    pub(crate) label: String,
    /// One per feature.
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Rows,
    /// A digest of which rows are for testing: equal digests, equal splits.
    pub(crate) split: String,
}

/// `(x - shift) / scale` is what became of a column.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) shift: f64,
    pub(crate) scale: f64,
    /// What stands for missing values, before scaling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) missing: Option<f64>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rows {
    pub(crate) train: usize,
    pub(crate) test: usize,
    /// Left out because a value was missing.
    pub(crate) dropped: u64,
}
