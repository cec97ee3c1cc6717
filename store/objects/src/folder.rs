//! A store in a folder.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use lab_schema::Name;

use crate::backend::{Backend, Key, PackId, Room};
use crate::error::{At, ObjectsError, Result};

/// Keeps files in a folder.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// A new store's folder; makes it if it is absent.
    pub fn create(path: &Path) -> Result<Folder> {
        for part in ["packs", "names", "locks", "tmp"] {
            let part = path.join(part);
            fs::create_dir_all(&part).at("create", &part)?;
        }
        Ok(Folder { root: path.to_owned() })
    }

    /// The folder of a store.
    pub fn open(path: &Path) -> Result<Folder> {
        if !path.join("format").is_file() {
            return Err(ObjectsError::NotAStore { path: path.to_owned() });
        }
        Ok(Folder { root: path.to_owned() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.root
    }

    fn place(&self, key: &Key) -> PathBuf {
        let pack = |id: &PackId, end: &str| {
            let hex = id.to_string();
            self.root.join("packs").join(&hex[..2]).join(format!("{hex}.{end}"))
        };
        match key {
            Key::Format => self.root.join("format"),
            Key::Pack(id) => pack(id, "pack"),
            Key::Index(id) => pack(id, "idx"),
            Key::Name(name) => self.root.join("names").join(name.as_str()),
        }
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let parent = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(parent).at("create", parent)?;
        let temp = self.root.join("tmp").join(format!("{}", std::process::id()));
        let mut file = fs::File::create(&temp).at("create", &temp)?;
        file.write_all(bytes).at("write", &temp)?;
        file.sync_all().at("sync", &temp)?;
        fs::rename(&temp, path).at("rename", path)
    }
}

fn optional<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

impl Backend for Folder {
    fn read(&self, key: &Key) -> Result<Option<Vec<u8>>> {
        let path = self.place(key);
        optional(fs::read(&path)).at("read", &path)
    }

    fn read_range(&self, key: &Key, offset: u64, len: u64) -> Result<Option<Vec<u8>>> {
        let path = self.place(key);
        let Some(mut file) = optional(fs::File::open(&path)).at("open", &path)? else {
            return Ok(None);
        };
        file.seek(SeekFrom::Start(offset)).at("seek in", &path)?;
        let mut bytes = Vec::new();
        file.take(len).read_to_end(&mut bytes).at("read", &path)?;
        Ok(Some(bytes))
    }

    fn publish(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        match self.read(key)? {
            Some(there) if there == bytes => Ok(()),
            Some(_) => Err(ObjectsError::RefusedKey {
                verb: "publish",
                key: key.to_string(),
                why: "it exists with other bytes",
            }),
            None => self.write(&self.place(key), bytes),
        }
    }

    fn swap(&self, key: &Key, expected: Option<&[u8]>, new: &[u8]) -> Result<bool> {
        if self.read(key)?.as_deref() != expected {
            return Ok(false);
        }
        self.write(&self.place(key), new)?;
        Ok(true)
    }

    fn list(&self, room: Room) -> Result<Vec<(Key, u64)>> {
        let mut found = Vec::new();
        let mut folders = vec![match room {
            Room::Root => return Ok(Vec::new()),
            Room::Packs | Room::Indexes => self.root.join("packs"),
            Room::Names => self.root.join("names"),
        }];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).at("list", &folder)? {
                let entry = entry.at("list", &folder)?;
                let meta = entry.metadata().at("inspect", &entry.path())?;
                if meta.is_dir() {
                    folders.push(entry.path());
                    continue;
                }
                let file = entry.file_name().to_string_lossy().into_owned();
                let key = match room {
                    Room::Names => Name::new(file).ok().map(Key::Name),
                    _ => file.split_once('.').and_then(|(hex, end)| {
                        let id = PackId::from_digest(hex.parse().ok()?);
                        match (end, room) {
                            ("pack", Room::Packs) => Some(Key::Pack(id)),
                            ("idx", Room::Indexes) => Some(Key::Index(id)),
                            _ => None,
                        }
                    }),
                };
                found.extend(key.map(|key| (key, meta.len())));
            }
        }
        found.sort();
        Ok(found)
    }

    fn remove(&self, key: &Key) -> Result<bool> {
        let path = self.place(key);
        Ok(optional(fs::remove_file(&path)).at("remove", &path)?.is_some())
    }
}
