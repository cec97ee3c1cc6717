//! A directory.

use std::fmt;

use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::content::ContentId;
use crate::error::SchemaError;
use crate::hash::{BlobId, Digest, TreeId};
use crate::kind::Kind;
use crate::name::FileName;

/// Most entries of a directory. With names of eleven bytes, fewer fill an object.
pub const MAX_ENTRIES: usize = 5 << 20;
/// Entries for which memory is asked without having seen any.
const FIRST_ENTRIES: usize = 1 << 10;
/// Longest target of a link in bytes.
const MAX_TARGET: usize = 4095;

/// A directory: entries sorted by the bytes of their names, no name twice.
///
/// Keeps what a result can depend on (names, bytes, executability, link targets) and nothing
/// else: no owner, no times, no other permission bits.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Tree(Vec<Entry>);

/// One entry of a [`Tree`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "Wire")]
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
        if entries.len() > MAX_ENTRIES {
            return Err(invalid("it has more than 5242880 entries"));
        }
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

fn invalid(why: &'static str) -> SchemaError {
    SchemaError::Invalid { kind: Kind::Tree, why }
}

/// Entry by entry, in no more room than they take: a directory may have millions.
impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Tree;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of entries")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
                let announced = items.size_hint().unwrap_or(0);
                if announced > MAX_ENTRIES {
                    return Err(A::Error::custom(invalid("it has more than 5242880 entries")));
                }
                let mut entries: Vec<Entry> = Vec::with_capacity(announced.min(FIRST_ENTRIES));
                while let Some(entry) = items.next_element::<Entry>()? {
                    if entries.last().is_some_and(|last| last.name >= entry.name) {
                        let unsorted = SchemaError::Unsorted(entry.name.to_string());
                        return Err(A::Error::custom(unsorted));
                    }
                    if entries.len() == entries.capacity() {
                        let more = items.size_hint().unwrap_or(0).min(entries.len());
                        entries.reserve_exact(more + 1);
                    }
                    entries.push(entry);
                }
                Tree::try_from(entries).map_err(A::Error::custom)
            }
        }
        deserializer.deserialize_seq(Entries)
    }
}

/// An entry as it is encoded: `[name, "file" | "exec" | "dir", size, id]` or `[name, "link", target]`.
#[derive(Serialize)]
#[serde(untagged)]
enum Wire {
    Content(FileName, WireKind, u64, Digest),
    Link(FileName, WireKind, Target),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WireKind {
    File,
    Exec,
    Dir,
    Link,
}

/// A link's target, which CBOR keeps as a byte string (serde would make an array of it).
struct Target(Vec<u8>);

impl Serialize for Target {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Target;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a byte string")
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Target, E> {
                if bytes.is_empty() || bytes.len() > MAX_TARGET || bytes.contains(&0) {
                    let why = "a link's target is 1 to 4095 bytes without NUL";
                    return Err(E::custom(invalid(why)));
                }
                Ok(Target(bytes.to_vec()))
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
            Node::Link { target } => Wire::Link(name, WireKind::Link, Target(target)),
        }
    }
}

/// Element by element: whatever else stands in an entry's place is not kept before it is refused.
impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts;
        impl<'de> Visitor<'de> for Parts {
            type Value = Entry;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an entry, [name, file|exec|dir, size, id] or [name, link, target]")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Entry, A::Error> {
                let name = next(&mut items, 0)?;
                let node = match next(&mut items, 1)? {
                    WireKind::Link => Node::Link { target: next::<Target, _>(&mut items, 2)?.0 },
                    kind => {
                        let (size, digest) = (next(&mut items, 2)?, next(&mut items, 3)?);
                        match kind {
                            WireKind::Dir => {
                                Node::Directory { id: TreeId::from_digest(digest), size }
                            }
                            file => {
                                let executable = matches!(file, WireKind::Exec);
                                Node::File { id: BlobId::from_digest(digest), size, executable }
                            }
                        }
                    }
                };
                Ok(Entry { name, node })
            }
        }
        fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(
            items: &mut A,
            number: usize,
        ) -> Result<T, A::Error> {
            items.next_element()?.ok_or_else(|| A::Error::invalid_length(number, &Parts))
        }
        deserializer.deserialize_tuple(4, Parts)
    }
}
