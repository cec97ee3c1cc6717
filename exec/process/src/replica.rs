//! The file system that a record describes, laid out in a folder: what a command finds at `/` when
//! it is done again.
//!
//! All of it comes from somebody else's record. Nothing is written outside the folder: wherever a
//! path is to be made or changed, no folder on the way may be a link.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lab_objects::{GetOptions, Silent, Store, get};
use lab_schema::observed::{How, Listed, ListedKind, Observed};
use lab_schema::{Command, ContentId, Place, Recipe};

use crate::error::{At, ProcessError, Result};
use crate::execute::APART;
use crate::layout::MODIFIED;

/// Folders that every program may rely on.
const STANDARD: [&str; 4] = ["proc", "sys", "dev", "tmp"];

/// A link that leads nowhere, for one that was listed and never followed.
const NOWHERE: &str = "/nonexistent";

/// What was laid out.
pub(crate) struct Replica {
    /// Becomes `/`.
    pub(crate) root: PathBuf,
    /// Files that stand in for those that the system makes up: where, and what they say.
    pub(crate) system: Vec<(PathBuf, PathBuf)>,
    /// Where the command starts, from `/`.
    pub(crate) directory: PathBuf,
}

impl Replica {
    /// Lays out a recipe and what was observed in the folder `at`, which does not exist yet.
    pub(crate) fn new(
        store: &Store,
        recipe: &Recipe,
        command: &Command,
        place: &Place,
        observed: &Observed,
        at: &Path,
    ) -> Result<Replica> {
        fs::create_dir(at).at("create the folder", at)?;
        let root = at.join("root");
        let mut builder = Builder { root, plain: HashSet::new() };
        match recipe.environment() {
            Some(tree) => builder.get(store, tree.into(), Path::new("/"))?,
            None => builder.folder(Path::new("/"))?,
        }
        let project = PathBuf::from(&place.project);
        if let Some(tree) = recipe.code() {
            builder.get(store, tree.into(), &project)?;
        }
        let below = command.directory.as_ref().map_or("", |slot| slot.as_str());
        let directory = project.join(below);
        for (slot, content) in recipe.inputs() {
            builder.get(store, *content, &directory.join(slot.as_str()))?;
        }
        for (slot, content) in recipe.outside() {
            builder.get(store, *content, &Path::new("/").join(slot.as_str()))?;
        }
        if place.project == APART {
            builder.age(&project)?;
        }
        builder.fill(observed)?;
        for folder in STANDARD {
            builder.folder(&Path::new("/").join(folder))?;
        }
        let home = command.variables.get("HOME").map(Path::new).filter(|home| home.is_absolute());
        for folder in [Some(directory.as_path()), home].into_iter().flatten() {
            builder.folder(folder)?;
        }
        let system = builder.system(observed, &at.join("system"))?;
        builder.dress(observed)?;
        let tmp = builder.root.join("tmp");
        if tmp.is_dir() {
            fs::set_permissions(&tmp, Permissions::from_mode(0o1777)).at("protect", &tmp)?;
        }
        Ok(Replica { root: builder.root, system, directory })
    }
}

struct Builder {
    root: PathBuf,
    /// Folders that are known to be folders, and all on the way to them.
    plain: HashSet<PathBuf>,
}

impl Builder {
    /// The place of an absolute path of the record. An error if a link is on the way to it.
    fn place(&mut self, path: &Path) -> Result<PathBuf> {
        let Some(parent) = path.parent() else { return Ok(self.root.clone()) };
        let name = path.file_name().ok_or_else(|| misplaced(path))?;
        Ok(self.real_folder(parent, path)?.join(name))
    }

    fn real_folder(&mut self, folder: &Path, whose: &Path) -> Result<PathBuf> {
        let inside = folder.strip_prefix("/").map_err(|_| misplaced(whose))?;
        let full = self.root.join(inside);
        if self.plain.contains(&full) {
            return Ok(full);
        }
        let mut at = self.root.clone();
        for name in inside.iter() {
            if name == ".." {
                return Err(misplaced(whose));
            }
            at.push(name);
            match at.symlink_metadata() {
                Ok(meta) if meta.is_dir() => {}
                Ok(_) => return Err(misplaced(whose)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(full),
                Err(e) => return Err(e).at("inspect", &at),
            }
        }
        self.plain.insert(full.clone());
        Ok(full)
    }

    fn get(&mut self, store: &Store, content: ContentId, path: &Path) -> Result<()> {
        let to = self.place(path)?;
        get(store, content, &to, &GetOptions::default(), &Silent)?;
        Ok(())
    }

    /// Gives every file in a folder the time that it had when it was laid out for the recording.
    fn age(&mut self, folder: &Path) -> Result<()> {
        let Ok(seconds) = i64::try_from(MODIFIED.as_secs()) else { return Ok(()) };
        let mut folders = vec![self.place(folder)?];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries {
                let path = entry.at("list", &folder)?.path();
                let meta = path.symlink_metadata().at("inspect", &path)?;
                if meta.is_dir() {
                    folders.push(path);
                } else if meta.is_file() {
                    set_time(&path, (seconds, 0), false)?;
                }
            }
        }
        Ok(())
    }

    /// Makes a folder where nothing is, and those above it.
    fn folder(&mut self, path: &Path) -> Result<()> {
        let to = self.place(path)?;
        match to.symlink_metadata() {
            // A link, to wherever it leads in the record; or a file, and then that is how it was.
            Ok(_) => Ok(()),
            Err(_) => fs::create_dir_all(&to).at("create the folder", &to),
        }
    }

    /// Where something is to be, if nothing is there and something can be.
    fn vacant(&mut self, path: &Path) -> Result<Option<PathBuf>> {
        // What lies below a link of the record is at the place that the link leads to as well.
        let Ok(to) = self.place(path) else { return Ok(None) };
        if to.symlink_metadata().is_ok() {
            return Ok(None);
        }
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).at("create the folder", parent)?;
        }
        Ok(Some(to))
    }

    /// What was looked at and not read stands there empty, with its size; what was only listed too.
    /// Nobody may open either: a program that does reads what the recording did not.
    fn fill(&mut self, observed: &Observed) -> Result<()> {
        for (path, seen) in &observed.things {
            let Some(to) = self.vacant(path_of(path))? else { continue };
            match seen.mode & FORMAT {
                FOLDER => fs::create_dir(&to).at("create the folder", &to)?,
                FILE if !observed.secrets.contains_key(path) => {
                    let file = File::create_new(&to).at("create", &to)?;
                    // A size that no file system holds is nobody's real file.
                    file.set_len(seen.size).at("give its size to", &to)?;
                    // What was overwritten can be: the command will not look at it before.
                    if seen.how != How::Overwritten {
                        close(&to)?;
                    }
                }
                _ => {}
            }
        }
        for (path, target) in &observed.links {
            if let Some(to) = self.vacant(path_of(path))? {
                symlink(OsStr::from_bytes(target), &to).at("link", &to)?;
            }
        }
        for (folder, all) in &observed.listed {
            for Listed { name, kind } in all {
                let path = path_of(folder).join(OsStr::from_bytes(name));
                if observed.secrets.contains_key(path.as_os_str().as_bytes()) {
                    continue;
                }
                let Some(to) = self.vacant(&path)? else { continue };
                match kind {
                    ListedKind::Folder => fs::create_dir(&to).at("create the folder", &to)?,
                    ListedKind::Link => symlink(NOWHERE, &to).at("link", &to)?,
                    ListedKind::File | ListedKind::Other => {
                        File::create_new(&to).at("create", &to)?;
                        close(&to)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Files of `/sys` become plain files; those of `/proc` are put over it when it is there.
    fn system(&mut self, observed: &Observed, at: &Path) -> Result<Vec<(PathBuf, PathBuf)>> {
        fs::create_dir(at).at("create the folder", at)?;
        let mut over = Vec::new();
        for (number, (path, text)) in observed.system.iter().enumerate() {
            let path = path_of(path);
            if path.starts_with("/proc") {
                let file = at.join(number.to_string());
                fs::write(&file, text).at("write", &file)?;
                over.push((path.to_owned(), file));
            } else if path.starts_with("/sys")
                && let Some(to) = self.vacant(path)?
            {
                fs::write(&to, text).at("write", &to)?;
            }
        }
        Ok(over)
    }

    /// Gives everything its time and permissions, what is deepest first.
    fn dress(&mut self, observed: &Observed) -> Result<()> {
        let things: BTreeMap<&Path, _> =
            observed.things.iter().map(|(path, seen)| (path_of(path), seen)).collect();
        for (path, seen) in things.into_iter().rev() {
            let Ok(to) = self.place(path) else { continue };
            let Ok(meta) = to.symlink_metadata() else { continue };
            if meta.mode_format() != seen.mode & FORMAT || !(meta.is_file() || meta.is_dir()) {
                continue;
            }
            if meta.is_file() && meta.permissions().mode() & 0o777 == 0 {
                set_time(&to, seen.modified, true)?;
                continue;
            }
            set_time(&to, seen.modified, false)?;
            // No setuid bits: whoever made the record is not to be trusted with them.
            let mode = seen.mode & 0o777 | if meta.is_dir() { 0o700 } else { 0o400 };
            fs::set_permissions(&to, Permissions::from_mode(mode)).at("protect", &to)?;
        }
        Ok(())
    }
}

const FORMAT: u32 = 0o170_000;
const FILE: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;

trait Format {
    fn mode_format(&self) -> u32;
}

impl Format for fs::Metadata {
    fn mode_format(&self) -> u32 {
        self.permissions().mode() & FORMAT
    }
}

fn path_of(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

fn misplaced(path: &Path) -> ProcessError {
    ProcessError::Misplaced(path.to_owned())
}

/// Takes all permissions away.
fn close(path: &Path) -> Result<()> {
    fs::set_permissions(path, Permissions::from_mode(0o000)).at("protect", path)
}

fn set_time(path: &Path, (seconds, nanos): (i64, u32), closed: bool) -> Result<()> {
    let since = Duration::new(seconds.unsigned_abs(), nanos);
    let time = match seconds {
        0.. => UNIX_EPOCH.checked_add(since),
        _ => UNIX_EPOCH.checked_sub(since),
    };
    let Some(time) = time else { return Ok(()) };
    if closed {
        fs::set_permissions(path, Permissions::from_mode(0o400)).at("open", path)?;
    }
    let set = |time: SystemTime| {
        let file = File::open(path)?;
        file.set_times(FileTimes::new().set_modified(time).set_accessed(time))
    };
    // A time that the file system cannot hold is no reason not to go on.
    let done = set(time);
    if closed {
        close(path)?;
    }
    match done {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Err(e).at("set the time of", path),
        _ => Ok(()),
    }
}
