//! A directory.

use serde::{Deserialize, Serialize};

use crate::content::ContentId;
use crate::error::SchemaError;
use crate::hash::{BlobId, TreeId};
use crate::name::FileName;

/// A directory: entries sorted by the bytes of their names, no name twice.
///
/// Keeps what a result can depend on (names, bytes, executability, link targets) and nothing
/// else: no owner, no times, no other permission bits.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<Entry>", into = "Vec<Entry>")]
pub struct Tree(Vec<Entry>);

/// One entry of a [`Tree`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Entry {
    /// The entry's name.
    pub name: FileName,
    /// What it is.
    pub node: Node,
}

/// What an [`Entry`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A regular file.
    File {
        /// Its bytes.
        id: BlobId,
        /// Their number.
        size: u64,
        /// Whether its owner may execute it.
        executable: bool,
    },
    /// A symbolic link; the target is kept as it is written, not followed.
    Link {
        /// Where it points: 1 to 4,095 bytes, no NUL.
        target: Vec<u8>,
    },
    /// A directory.
    Directory {
        /// Its entries.
        id: TreeId,
        /// The sum of the sizes of all files below it.
        size: u64,
    },
}

impl Tree {
    /// A directory with these entries, in any order. Refuses equal names.
    pub fn new(mut entries: Vec<Entry>) -> Result<Self, SchemaError> {
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Self::try_from(entries)
    }

    /// The entries, sorted by name.
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// The entry called `name`.
    pub fn get(&self, name: &[u8]) -> Option<&Entry> {
        let at = self.0.binary_search_by(|e| e.name.as_bytes().cmp(name)).ok()?;
        self.0.get(at)
    }

    /// The sum of the sizes of all files below; saturates.
    pub fn total_bytes(&self) -> u64 {
        self.0.iter().fold(0, |sum, e| sum.saturating_add(e.node.size()))
    }
}

impl Node {
    /// Bytes of the file, or of all files below the directory; 0 for a link.
    pub const fn size(&self) -> u64 {
        match self {
            Node::File { size, .. } | Node::Directory { size, .. } => *size,
            Node::Link { .. } => 0,
        }
    }

    /// What the entry's bytes are stored under; a link has no content of its own.
    pub const fn content(&self) -> Option<ContentId> {
        match self {
            Node::File { id, .. } => Some(ContentId::Blob(*id)),
            Node::Directory { id, .. } => Some(ContentId::Tree(*id)),
            Node::Link { .. } => None,
        }
    }
}

impl TryFrom<Vec<Entry>> for Tree {
    type Error = SchemaError;
    fn try_from(entries: Vec<Entry>) -> Result<Self, SchemaError> {
        match entries.windows(2).find(|pair| pair[0].name >= pair[1].name) {
            Some(pair) => Err(SchemaError::Unsorted(pair[1].name.to_string())),
            None => Ok(Tree(entries)),
        }
    }
}

impl From<Tree> for Vec<Entry> {
    fn from(tree: Tree) -> Vec<Entry> {
        tree.0
    }
}

/// An entry as it is encoded: `[name, "file" | "exec" | "dir", size, id]` or `[name, "link", target]`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Wire {
    Content(FileName, WireKind, u64, crate::hash::Digest),
    Link(FileName, WireKind, ByteString),
}

#[derive(Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum WireKind {
    File,
    Exec,
    Dir,
    Link,
}

/// Bytes that CBOR keeps as a byte string (serde would make an array of numbers of them).
struct ByteString(Vec<u8>);

impl Serialize for ByteString {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for ByteString {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl serde::de::Visitor<'_> for Bytes {
            type Value = ByteString;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a byte string")
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<ByteString, E> {
                Ok(ByteString(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

impl From<Entry> for Wire {
    fn from(entry: Entry) -> Wire {
        let name = entry.name;
        match entry.node {
            Node::File { id, size, executable } => {
                let kind = if executable { WireKind::Exec } else { WireKind::File };
                Wire::Content(name, kind, size, id.digest())
            }
            Node::Directory { id, size } => Wire::Content(name, WireKind::Dir, size, id.digest()),
            Node::Link { target } => Wire::Link(name, WireKind::Link, ByteString(target)),
        }
    }
}

impl TryFrom<Wire> for Entry {
    type Error = SchemaError;
    fn try_from(wire: Wire) -> Result<Entry, SchemaError> {
        let invalid = |why| SchemaError::Invalid { kind: crate::kind::Kind::Tree, why };
        let file = |digest, size, executable| Node::File {
            id: BlobId::from_digest(digest),
            size,
            executable,
        };
        let (name, node) = match wire {
            Wire::Content(name, WireKind::File, size, digest) => (name, file(digest, size, false)),
            Wire::Content(name, WireKind::Exec, size, digest) => (name, file(digest, size, true)),
            Wire::Content(name, WireKind::Dir, size, digest) => {
                (name, Node::Directory { id: TreeId::from_digest(digest), size })
            }
            Wire::Link(name, WireKind::Link, ByteString(target)) => {
                if target.is_empty() || target.len() > 4095 || target.contains(&0) {
                    return Err(invalid("a link's target is 1 to 4095 bytes without NUL"));
                }
                (name, Node::Link { target })
            }
            _ => {
                return Err(invalid(
                    "an entry is [name, file|exec|dir, size, id] or [name, link, target]",
                ));
            }
        };
        Ok(Entry { name, node })
    }
}
