//! A store in a folder: on a disk, or one that several hosts share.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use lab_encoding::weights::Source;

use crate::atomic::{self, Lock};
use crate::backend::{Backend, Key, Room};
use crate::error::{At, ObjectsError, Result};
use crate::held::Held;
use crate::inventory::{INVENTORY, inventory};
use crate::layout::Layout;
use crate::lease::{Lease, Living};
use crate::promise::Promises;
use crate::source::{Random, read_past_cache};

/// How long to wait for somebody who moves the same name.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// From so many bytes on it pays to read past the page cache, which is left to the files that are made of
/// them. Blocks of floats have so many, the shared ones of text have not.
const MANY: u64 = 256 << 10;

/// Keeps files in a folder.
#[derive(Debug)]
pub struct Folder {
    layout: Layout,
    swept: Once,
    /// Whether the folders themselves are certain to be there after a power cut.
    rooted: Once,
    /// Whether packs came or went that an inventory does not tell of yet.
    untold: AtomicBool,
}

impl Folder {
    fn new(layout: Layout) -> Folder {
        let (swept, rooted) = (Once::new(), Once::new());
        Folder { layout, swept, rooted, untold: AtomicBool::new(false) }
    }

    /// The folder of a new store. Makes it if it is absent; leaves other files in it alone.
    pub fn create(path: &Path) -> Result<Folder> {
        let folder = Folder::new(Layout::new(path));
        for part in folder.layout.folders() {
            atomic::create_folder(&part)?;
        }
        Ok(folder)
    }

    /// Whether nothing is at `path` but, at most, a folder without anything that somebody kept: it
    /// may hold what a process left that died while it made a store.
    pub fn is_vacant(path: &Path) -> Result<bool> {
        let layout = Layout::new(path);
        let list = |folder: &Path| match fs::read_dir(folder) {
            Ok(entries) => {
                let paths = entries.map(|entry| entry.map(|e| e.path()));
                paths.collect::<io::Result<Vec<PathBuf>>>().at("list", folder).map(Some)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Some(Vec::new())),
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => Ok(None),
            Err(e) => Err(e).at("list", folder),
        };
        let Some(there) = list(path)? else { return Ok(false) };
        for folder in there {
            let kept = !layout.folders().contains(&folder)
                || folder != layout.temporary() && list(&folder)?.is_none_or(|f| !f.is_empty());
            if kept {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The folder of a store that exists.
    pub fn open(path: &Path) -> Result<Folder> {
        let layout = Layout::new(path);
        let format = layout.file(&Key::Format);
        match fs::metadata(&format) {
            Ok(meta) if meta.is_file() => Ok(Folder::new(layout)),
            Err(e) if !is_absent(&e) => Err(e).at("open", &format),
            _ => Err(ObjectsError::NotAStore { path: path.to_owned() }),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.layout.root()
    }

    /// Keeps an [inventory](crate::inventory()) from now on, so that a web server can hand the store
    /// out without knowing what it is.
    pub fn keep_inventory(&self) -> Result<()> {
        atomic::create_folder(&self.layout.locks())?;
        let _held = Lock::take(&self.layout.inventory_lock(), LOCK_TIMEOUT)?;
        self.tell("")
    }

    /// Held by who writes the inventory, until what it tells of is so; none if none is kept.
    fn telling(&self) -> Result<Option<Lock>> {
        if !self.path().join(INVENTORY).is_file() {
            return Ok(None);
        }
        Lock::take(&self.layout.inventory_lock(), LOCK_TIMEOUT).map(Some)
    }

    /// Writes the inventory, and `more` lines behind it.
    fn tell(&self, more: &str) -> Result<()> {
        // Before the look at what is there, so that what comes during it is told of the next time.
        self.untold.store(false, Ordering::SeqCst);
        let told = inventory(self).and_then(|text| {
            let path = self.path().join(INVENTORY);
            atomic::replace(&path, |out| write!(out, "{text}{more}"))
        });
        if told.is_err() {
            self.untold.store(true, Ordering::SeqCst);
        }
        told
    }

    fn write(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        let (temporary, target) = (self.layout.temporary(), self.layout.file(key));
        if let Some(parent) = target.parent() {
            atomic::create_folder(parent)?;
        }
        atomic::create_folder(&temporary)?;
        // Sweeping is a courtesy: a failure there must not fail this write.
        self.swept.call_once(|| drop(atomic::sweep(&temporary)));
        atomic::write(&temporary, &target, bytes)?;
        // Only now: who lists the packs at this moment may have missed it.
        self.untold.fetch_or(key.room() != Room::Names, Ordering::SeqCst);
        Ok(())
    }

    /// Whether the file has exactly these bytes; none if it is absent.
    fn equals(&self, key: &Key, bytes: &[u8]) -> Result<Option<bool>> {
        let path = self.layout.file(key);
        match fs::metadata(&path) {
            Ok(meta) if meta.len() != bytes.len() as u64 => Ok(Some(false)),
            Ok(_) => Ok(self.read(key)?.map(|there| there == bytes)),
            Err(e) if is_absent(&e) => Ok(None),
            Err(e) => Err(e).at("inspect", &path),
        }
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn optional<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(e) if is_absent(&e) => Ok(None),
        result => result.map(Some),
    }
}

impl Backend for Folder {
    fn location(&self) -> String {
        self.path().display().to_string()
    }

    fn is_complete(&self) -> bool {
        match optional(fs::read_dir(Promises::folder(self.path()))) {
            Ok(notes) => notes.is_none_or(|mut notes| notes.next().is_none()),
            Err(_) => false,
        }
    }

    fn read(&self, key: &Key) -> Result<Option<Vec<u8>>> {
        let path = self.layout.file(key);
        let damaged = |why| ObjectsError::Damaged { what: key.to_string(), why };
        let Some(there) = optional(fs::metadata(&path)).at("inspect", &path)? else {
            return Ok(None);
        };
        if !there.is_file() {
            return Err(damaged("it is not a file"));
        }
        let Some(file) = optional(File::open(&path)).at("open", &path)? else { return Ok(None) };
        let mut bytes = Vec::with_capacity(there.len().min(key.max_bytes()) as usize);
        file.take(key.max_bytes() + 1).read_to_end(&mut bytes).at("read", &path)?;
        if bytes.len() as u64 > key.max_bytes() {
            return Err(damaged("it is larger than such a file can be"));
        }
        Ok(Some(bytes))
    }

    fn read_range(&self, key: &Key, offset: u64, len: u64) -> Result<Option<Vec<u8>>> {
        let path = self.layout.file(key);
        let Some(file) = optional(File::open(&path)).at("open", &path)? else { return Ok(None) };
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        Random(&file).read_at(offset, len).at("read", &path).map(Some)
    }

    fn read_once(
        &self,
        key: &Key,
        offset: u64,
        len: u64,
        memory: &mut Vec<u8>,
    ) -> Result<Option<Range<usize>>> {
        if len >= MANY {
            let path = self.layout.file(key);
            let read = read_past_cache(&path, offset, len, memory);
            match optional(read).at("read", &path)? {
                None => return Ok(None),
                Some(None) => {}
                Some(range) => return Ok(range),
            }
        }
        let Some(bytes) = self.read_range(key, offset, len)? else { return Ok(None) };
        *memory = bytes;
        Ok(Some(0..memory.len()))
    }

    fn publish(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        let refused = |why| ObjectsError::RefusedKey { verb: "publish", key: key.to_string(), why };
        if key.room() == Room::Names {
            return Err(refused("a name moves by compare-and-swap"));
        }
        let file = self.layout.file(key);
        let mut folders = file.ancestors().skip(1).take_while(|f| f.starts_with(self.path()));
        let own = folders.next();
        match self.equals(key, bytes)? {
            Some(false) => return Err(refused("it exists with other bytes")),
            // Whoever else put the file there may not have come to this.
            Some(true) => own.map_or(Ok(()), atomic::sync_folder)?,
            None => self.write(key, bytes)?,
        }
        // Nor whoever made the folder; once is enough, since none is ever removed.
        if !self.rooted.is_completed() {
            folders.try_for_each(atomic::sync_folder)?;
            self.rooted.call_once(|| {});
        }
        Ok(())
    }

    fn settle(&self) -> Result<()> {
        if self.untold.load(Ordering::SeqCst)
            && let Some(_held) = self.telling()?
        {
            self.tell("")?;
        }
        atomic::sync_folder(&self.layout.room(Room::Packs))?;
        atomic::sync_folder(self.path())
    }

    fn mend(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        if !matches!(key, Key::Pack(_)) {
            let (key, why) = (key.to_string(), "it cannot be made again");
            return Err(ObjectsError::RefusedKey { verb: "mend", key, why });
        }
        self.write(key, bytes)
    }

    fn swap(&self, key: &Key, expected: Option<&[u8]>, new: &[u8]) -> Result<bool> {
        let Key::Name(name) = key else {
            let (key, why) = (key.to_string(), "it is written once");
            return Err(ObjectsError::RefusedKey { verb: "swap", key, why });
        };
        let lock = self.layout.lock(name);
        if let Some(parent) = lock.parent() {
            atomic::create_folder(parent)?;
        }
        let _held = Lock::take(&lock, LOCK_TIMEOUT)?;
        if self.read(key)?.as_deref() != expected {
            return Ok(false);
        }
        // First the inventory, so that a move of which nothing was said is no move.
        let telling = self.telling()?;
        if telling.is_some() && (expected.is_none() || self.untold.load(Ordering::SeqCst)) {
            let name = format!("{} {}\n", key.path(), new.len());
            self.tell(if expected.is_none() { &name } else { "" })?;
        }
        self.write(key, new)?;
        Ok(true)
    }

    fn list(&self, room: Room) -> Result<Vec<(Key, u64)>> {
        let mut found = Vec::new();
        let folder = self.layout.room(room);
        let entries = optional(fs::read_dir(&folder)).at("list", &folder)?;
        for entry in entries.into_iter().flatten() {
            let entry = entry.at("list", &folder)?;
            let Ok(file_name) = entry.file_name().into_string() else { continue };
            if let Some(key) = room.file(&file_name) {
                let path = entry.path();
                let meta = optional(fs::metadata(&path)).at("inspect", &path)?;
                found.extend(meta.filter(|m| m.is_file()).map(|m| (key, m.len())));
            }
        }
        found.sort();
        Ok(found)
    }

    fn remove(&self, key: &Key) -> Result<bool> {
        if *key == Key::Format {
            let (key, why) = (key.to_string(), "a store cannot lose its format");
            return Err(ObjectsError::RefusedKey { verb: "remove", key, why });
        }
        let removed = atomic::remove(&self.layout.file(key));
        self.untold.fetch_or(key.room() != Room::Names, Ordering::SeqCst);
        removed
    }

    fn lease(&self) -> Result<Lease> {
        let locks = self.layout.locks();
        atomic::create_folder(&locks)?;
        Ok(Lease::new(Held::new(&locks)?))
    }

    fn leases(&self, sweep: bool) -> Result<Vec<Living>> {
        let locks = self.layout.locks();
        let all = if locks.is_dir() { Held::all(&locks, sweep)? } else { Vec::new() };
        Ok(all.into_iter().map(|(since, holder)| Living { since, holder }).collect())
    }

    fn exclude(&self) -> Result<(Lease, SystemTime)> {
        let path = self.layout.collector();
        atomic::create_folder(&self.layout.locks())?;
        let lock = Lock::take(&path, LOCK_TIMEOUT)?;
        let now = lock.taken().at("inspect", &path)?;
        Ok((Lease::new(lock), now))
    }

    fn published(&self, key: &Key) -> Result<Option<SystemTime>> {
        let path = self.layout.file(key);
        let when = fs::metadata(&path).and_then(|there| there.modified());
        optional(when).at("inspect", &path)
    }
}
