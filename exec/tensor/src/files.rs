//! The JSON that stages leave, and the inputs that they read.
//!
//! JSON is written with its keys in a fixed order and each float in the shortest form that reads
//! back the same, so equal values are equal bytes.

use std::collections::BTreeMap;
use std::io::Read;

use lab_objects::{ObjectsError, Store};
use lab_schema::tree::Node;
use lab_schema::{BlobId, ContentId, Number, Slot, Tree};
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
    /// What is in the store already.
    pub(crate) stored: BTreeMap<&'static str, ContentId>,
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

    /// Its bytes as a stream.
    pub(crate) fn open(&self, name: &str) -> Result<impl Read + '_> {
        let id = self.blob(name)?;
        match self.store.open_object(id)? {
            Some(source) => Ok(source),
            None => Err(ObjectsError::Missing { id: id.into() }.into()),
        }
    }

    /// All its bytes, unpacked if they are gzipped.
    pub(crate) fn unpacked(&self, name: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        lab_data::gunzipped(self.open(name)?)
            .take(MAX_FILE_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| TensorError::Read { slot: slot(name), source })?;
        match bytes.len() as u64 > MAX_FILE_BYTES {
            true => {
                let what = "bytes of an unpacked input";
                Err(TensorError::TooLarge { what, limit: MAX_FILE_BYTES })
            }
            false => Ok(bytes),
        }
    }

    /// The files of the directory called `name`, by path, in the order of their paths.
    pub(crate) fn files(&self, name: &str) -> Result<Vec<(String, Vec<u8>)>> {
        let Some(ContentId::Tree(root)) = self.contents.get(&slot(name)) else {
            return Err(TensorError::MissingKey(format!("the folder '{name}'")));
        };
        let (mut files, mut total) = (Vec::new(), 0u64);
        let mut folders = vec![(String::new(), *root)];
        while let Some((path, id)) = folders.pop() {
            let tree: Tree = self.store.load(id)?;
            for entry in tree.entries() {
                let path = format!("{path}{}", String::from_utf8_lossy(entry.name.as_bytes()));
                match &entry.node {
                    Node::Directory { id, .. } => folders.push((format!("{path}/"), *id)),
                    Node::File { id, size, .. } => {
                        total = total.saturating_add(*size);
                        if total > MAX_FILE_BYTES {
                            let what = "bytes of the files in a folder";
                            return Err(TensorError::TooLarge { what, limit: MAX_FILE_BYTES });
                        }
                        files.push((path, self.store.read_blob(*id, MAX_FILE_BYTES)?));
                    }
                    _ => {}
                }
            }
        }
        files.sort();
        Ok(files)
    }

    /// The value that it is the JSON of.
    pub(crate) fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let bytes = self.store.read_blob(self.blob(name)?, MAX_JSON_BYTES)?;
        serde_json::from_slice(&bytes)
            .map_err(|e| TensorError::BadInput { slot: slot(name), why: e.to_string() })
    }
}

/// A plain struct as JSON.
pub(crate) fn to_value(value: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(value).expect("plain structs are JSON")
}

/// Indented JSON with a final newline.
pub(crate) fn to_json(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("plain structs are JSON");
    bytes.push(b'\n');
    bytes
}

/// `prepare.json`: what the examples of the parts mean.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prepared {
    /// The shape of one example; of a text nothing.
    pub(crate) sizes: Vec<usize>,
    pub(crate) target: Target,
    /// Names of a table's features.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) features: Vec<String>,
    /// What was found out about a table, where its settings leave it open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) found: Option<Found>,
    /// What was fitted to the training part, and so how new rows would be prepared.
    pub(crate) fitted: serde_json::Value,
    pub(crate) rows: Rows,
    /// A digest of which rows are for testing: equal digests, equal splits.
    pub(crate) split: String,
}

/// How a table is written, as far as its settings leave it open. One that has nothing but numbers
/// between commas says nothing, as if its settings had said so.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Found {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) delimiter: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) header: Option<bool>,
    /// The columns of words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) categories: Option<Vec<String>>,
}

impl Found {
    pub(crate) fn is_plain(&self) -> bool {
        self.delimiter.as_deref().is_none_or(|delimiter| delimiter == ",")
            && self.header != Some(true)
            && self.categories.as_ref().is_none_or(Vec::is_empty)
    }
}

/// What is to be foretold.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Target {
    /// Which of some classes.
    Class {
        /// The column that they stand in.
        column: String,
        /// Labels, in the order of their numbers.
        classes: Vec<String>,
    },
    /// A number; `(y - shift) / scale` is what is learned.
    Number {
        /// The column that it stands in.
        column: String,
        /// Whether y is the natural logarithm of what stands there.
        log: bool,
        shift: f64,
        scale: f64,
    },
    /// The next token of a text.
    Next {
        /// The tokens, in the order of their numbers.
        tokens: Vec<String>,
    },
}

impl Target {
    /// Numbers that a model gives for each example.
    pub(crate) fn outputs(&self) -> usize {
        match self {
            Target::Class { classes, .. } => classes.len(),
            Target::Number { .. } => 1,
            Target::Next { tokens } => tokens.len(),
        }
    }

    /// The names of classes.
    pub(crate) fn classes(&self) -> &[String] {
        match self {
            Target::Class { classes, .. } => classes,
            _ => &[],
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rows {
    pub(crate) train: usize,
    pub(crate) validation: usize,
    pub(crate) test: usize,
    /// Left out because a value was missing.
    pub(crate) dropped: u64,
}
