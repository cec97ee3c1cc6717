//! What a recipe reads and a run makes: a file or a directory.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::hash::{BlobId, Digest, TreeId};

/// The id of a blob or of a tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContentId {
    /// A file's bytes.
    Blob(BlobId),
    /// A directory.
    Tree(TreeId),
}

impl ContentId {
    /// The digest without its type.
    pub const fn digest(&self) -> Digest {
        match self {
            ContentId::Blob(id) => id.digest(),
            ContentId::Tree(id) => id.digest(),
        }
    }

    /// The first 12 hexadecimal digits, for people.
    pub fn short(&self) -> String {
        self.digest().short()
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.digest(), f)
    }
}

impl From<BlobId> for ContentId {
    fn from(id: BlobId) -> Self {
        ContentId::Blob(id)
    }
}

impl From<TreeId> for ContentId {
    fn from(id: TreeId) -> Self {
        ContentId::Tree(id)
    }
}
