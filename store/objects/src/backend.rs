//! The seam under a store: files in rooms.
//!
//! Everything above is the same for a folder, for memory and for a bucket. Absence is
//! `Ok(None)`. Files are write-once, except names, which move by compare-and-swap.

use std::fmt;
use std::ops::Range;
use std::time::SystemTime;

use lab_schema::{Digest, Name};

use crate::error::{ObjectsError, Result};
use crate::lease::{Lease, Living};

/// Where a store keeps its files.
pub trait Backend: Send + Sync + fmt::Debug {
    /// Where it is, for people.
    fn location(&self) -> String;

    /// Whether a question has a long way to go.
    fn is_far(&self) -> bool {
        false
    }

    /// Whether it is known that nothing was [left out](crate::Promises) of what its names lead to.
    fn is_complete(&self) -> bool {
        false
    }

    /// The whole file; none if it is absent. Refuses one larger than [`Key::max_bytes`].
    fn read(&self, key: &Key) -> Result<Option<Vec<u8>>>;

    /// `len` bytes from `offset`, or as many as there are; none if the file is absent.
    fn read_range(&self, key: &Key, offset: u64, len: u64) -> Result<Option<Vec<u8>>>;

    /// Many ranges at once, each of a file as [`Backend::read_range`] has it. Where a question has a
    /// long way to go, they go together.
    fn read_ranges(&self, ranges: &[(Key, u64, u64)]) -> Result<Vec<Option<Vec<u8>>>> {
        ranges.iter().map(|(key, offset, len)| self.read_range(key, *offset, *len)).collect()
    }

    /// [`Backend::read_range`] for what is not likely to be read again soon, into memory that may have been used before;
    /// returns where in it the bytes lie.
    fn read_once(
        &self,
        key: &Key,
        offset: u64,
        len: u64,
        memory: &mut Vec<u8>,
    ) -> Result<Option<Range<usize>>> {
        let Some(bytes) = self.read_range(key, offset, len)? else { return Ok(None) };
        *memory = bytes;
        Ok(Some(0..memory.len()))
    }

    /// Writes a file once, atomically; it is durable on return. Equal bytes again are fine,
    /// others are refused, and so are names.
    fn publish(&self, key: &Key, bytes: &[u8]) -> Result<()>;

    /// The same for who publishes more: it may be durable only when the next one or
    /// [`Backend::settle`] returns, which then tell what became of it. What is published comes in this
    /// order.
    fn publish_soon(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        self.publish(key, bytes)
    }

    /// Makes durable what other processes have published, who may have died on the way; for who
    /// relies on it.
    fn settle(&self) -> Result<()>;

    /// Puts a pack in the place of whatever is there under its key, atomically: on an
    /// error what was there stays. For damage only; `bytes` are what belongs there.
    fn mend(&self, key: &Key, bytes: &[u8]) -> Result<()>;

    /// Replaces a name's file if it holds `expected` (none: is absent); says whether it did.
    fn swap(&self, key: &Key, expected: Option<&[u8]>, new: &[u8]) -> Result<bool>;

    /// The files of a room with their sizes in bytes, sorted by key.
    fn list(&self, room: Room) -> Result<Vec<(Key, u64)>>;

    /// What was listed a moment ago counts no more: who asks next wants to know what is there now. For
    /// backends that remember a listing, since the way is long.
    fn look_again(&self) {}

    /// Removes a file other than the format; says whether it was there.
    fn remove(&self, key: &Key) -> Result<bool>;

    /// Tells collectors that somebody is at work here, until it is dropped or its process ends. A
    /// backend that has no [collector](Backend::exclude) need not do anything.
    fn lease(&self) -> Result<Lease> {
        Ok(Lease::default())
    }

    /// The leases that somebody holds. Removes those that nobody does, if `sweep` is set.
    fn leases(&self, sweep: bool) -> Result<Vec<Living>> {
        let _ = sweep;
        Ok(Vec::new())
    }

    /// Keeps other collectors out, and tells the time by the clock of [`Backend::published`]. Unless
    /// a backend says otherwise it cannot be collected.
    fn exclude(&self) -> Result<(Lease, SystemTime)> {
        let (key, why) = (self.location(), "this kind of store has no collector");
        Err(ObjectsError::RefusedKey { verb: "collect", key, why })
    }

    /// When a file was published, by the clock of whatever keeps it; none if it is absent.
    fn published(&self, key: &Key) -> Result<Option<SystemTime>> {
        let _ = key;
        Ok(None)
    }
}

/// A group of files with one purpose.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Room {
    /// What makes it a store: the format.
    Root,
    /// Objects.
    Packs,
    /// Mutable pointers.
    Names,
    /// Marks on packs that are to be removed.
    Condemned,
}

/// A file of a store.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Key {
    /// The statement of the format.
    Format,
    /// A pack.
    Pack(PackId),
    /// The journal of a name.
    Name(Name),
    /// The mark on a pack that is to be removed: an empty file, whose age counts.
    Condemned(PackId),
}

impl Key {
    /// The room it is in.
    pub const fn room(&self) -> Room {
        match self {
            Key::Format => Room::Root,
            Key::Pack(_) => Room::Packs,
            Key::Name(_) => Room::Names,
            Key::Condemned(_) => Room::Condemned,
        }
    }
}

impl Key {
    /// Most bytes that the file can have; a larger one is not what it claims to be, and not read.
    pub const fn max_bytes(&self) -> u64 {
        match self {
            Key::Format | Key::Condemned(_) => 1 << 10,
            // 32 MiB and one frame of 256 MiB beyond, and the tail.
            Key::Pack(_) => 512 << 20,
            Key::Name(_) => 64 << 20,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Format => f.write_str("format"),
            Key::Pack(id) => write!(f, "pack {id}"),
            Key::Name(name) => write!(f, "name {name}"),
            Key::Condemned(id) => write!(f, "mark on pack {id}"),
        }
    }
}

/// Names a pack: the BLAKE3 of its table of contents, which holds a checksum of every block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackId(Digest);

impl PackId {
    /// The id with this digest.
    pub const fn from_digest(digest: Digest) -> Self {
        PackId(digest)
    }

    /// The digest without its type.
    pub const fn digest(&self) -> Digest {
        self.0
    }
}

impl fmt::Display for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PackId({})", self.0)
    }
}
