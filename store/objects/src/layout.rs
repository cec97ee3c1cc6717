//! Every path inside a store's folder; the only file that knows them.
//!
//! ```text
//! format                        what this folder is, and in which format
//! packs/<pack>.pack             objects, in write-once files named by what they hold
//! names/<name>                  a journal per name
//! condemned/<pack>              marks on packs that are to be removed, empty
//! locks/name-<name>             held while a name moves
//! locks/lease-<unique>          held while a command is at work
//! locks/collector               held by the one collector
//! locks/inventory               held while the inventory is written
//! inventory                     which packs and names there are, where one is kept
//! tmp/                          files on their way to one of the places above
//! ```
//!
//! Files that are not of this shape belong to somebody else, and are ignored.

use std::path::{Path, PathBuf};

use lab_schema::Name;

use crate::backend::{Key, PackId, Room};

/// The version of everything here. Version 1 was never released.
pub(crate) const FORMAT_VERSION: u64 = 2;

/// What the format file says before the version.
pub(crate) const FORMAT_WORDS: &str = "lab store ";

/// The paths of one store.
#[derive(Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The paths of the store in `root`.
    pub(crate) fn new(root: &Path) -> Layout {
        Layout { root: root.to_owned() }
    }

    /// The store's folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The folders that exist in every store.
    pub(crate) fn folders(&self) -> [PathBuf; 4] {
        ["packs", "names", "locks", "tmp"].map(|name| self.root.join(name))
    }

    /// The folder for files that are not in their place yet.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// The folder that holds a room's files.
    pub(crate) fn room(&self, room: Room) -> PathBuf {
        self.root.join(room.folder())
    }

    /// Where a file is.
    pub(crate) fn file(&self, key: &Key) -> PathBuf {
        self.root.join(key.path())
    }

    /// The folder of locks and leases.
    pub(crate) fn locks(&self) -> PathBuf {
        self.root.join("locks")
    }

    /// The lock under which a name moves.
    pub(crate) fn lock(&self, name: &Name) -> PathBuf {
        self.locks().join(format!("name-{name}"))
    }

    /// The lock under which the inventory is written.
    pub(crate) fn inventory_lock(&self) -> PathBuf {
        self.locks().join("inventory")
    }

    /// The lock that a collector holds.
    pub(crate) fn collector(&self) -> PathBuf {
        self.locks().join("collector")
    }
}

impl Room {
    /// The folder of its files, as a path from the store's root; empty for the root itself.
    pub const fn folder(self) -> &'static str {
        match self {
            Room::Root => "",
            Room::Packs => "packs",
            Room::Names => "names",
            Room::Condemned => "condemned",
        }
    }

    /// Its file that has this file name, if it is one.
    pub fn file(self, file_name: &str) -> Option<Key> {
        let pack = |extension| {
            let digits = file_name.strip_suffix(extension)?;
            let id = PackId::from_digest(digits.parse().ok()?);
            (id.to_string() == digits).then_some(id)
        };
        match self {
            Room::Root => (file_name == "format").then_some(Key::Format),
            Room::Packs => pack(".pack").map(Key::Pack),
            Room::Names => Name::new(file_name).ok().map(Key::Name),
            Room::Condemned => pack("").map(Key::Condemned),
        }
    }
}

impl Key {
    /// Its path from the store's root, wherever that is: in a folder, a bucket or behind a URL.
    pub fn path(&self) -> String {
        let folder = self.room().folder();
        match self {
            Key::Format => "format".to_owned(),
            Key::Pack(id) => format!("{folder}/{id}.pack"),
            Key::Name(name) => format!("{folder}/{name}"),
            Key::Condemned(id) => format!("{folder}/{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves L-01
    #[test]
    fn paths_and_keys_are_inverse() {
        let layout = Layout::new(Path::new("s"));
        let id = PackId::from_digest(lab_schema::BlobId::of(b"").digest());
        let hex = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        let keys = [
            (Key::Format, "s/format".to_owned()),
            (Key::Pack(id), format!("s/packs/{hex}.pack")),
            (Key::Name(Name::new("mnist.v1").unwrap()), "s/names/mnist.v1".to_owned()),
            (Key::Condemned(id), format!("s/condemned/{hex}")),
        ];
        for (key, path) in keys {
            assert_eq!(layout.file(&key), Path::new(&path));
            let file_name = Path::new(&path).file_name().unwrap().to_str().unwrap();
            assert_eq!(key.room().file(file_name), Some(key));
        }
        for other in ["config.toml", "index.db", "x.pack", &format!("{}.pack", hex.to_uppercase())]
        {
            assert_eq!(Room::Packs.file(other), None);
        }
    }
}
