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
use lab_seal::Listing;

use crate::error::{At, ProcessError, Result};
use crate::execute::APART;
use crate::layout::MODIFIED;

/// Folders that every program may rely on.
const STANDARD: [&str; 4] = ["proc", "sys", "dev", "tmp"];

/// A link that leads nowhere, for one that was listed and never followed.
const NOWHERE: &str = "/nonexistent";

/// Most names that are given an order: each takes memory of the kernel while the box is there.
const MAX_ORDERED: usize = 1_000_000;

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
        // A link may lead to somebody's folder.
        if tmp.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
            fs::set_permissions(&tmp, Permissions::from_mode(0o1777)).at("protect", &tmp)?;
        }
        Ok(Replica { root: builder.root, system, directory })
    }

    /// The listed folders that could be laid out, with what is there of what was listed, in that order;
    /// and how many keep the order of this disk, if not all can be given theirs.
    pub(crate) fn listings(&self, observed: &Observed) -> Result<(Vec<Listing>, Option<usize>)> {
        let mut builder = Builder { root: self.root.clone(), plain: HashSet::new() };
        let (mut found, mut count, mut over) = (Vec::new(), 0, 0);
        for (folder, all) in &observed.listed {
            let folder = path_of(folder);
            // A folder that a link leads to is listed at its own place.
            let Ok(at) = builder.real_folder(folder, folder) else { continue };
            if !at.is_dir() {
                continue;
            }
            count += all.len();
            if count > MAX_ORDERED {
                over += 1;
                continue;
            }
            let mut names = Vec::new();
            for Listed { name, .. } in all {
                let name = OsStr::from_bytes(name);
                // A name that was kept out, such as that of a secret, stays out.
                if let Ok(meta) = at.join(name).symlink_metadata() {
                    names.push((name.to_owned(), meta.is_dir()));
                }
            }
            found.push(Listing { folder: folder.to_owned(), names });
        }
        Ok((found, (over > 0).then_some(over)))
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
        // What is not there yet cannot be looked at, but climbs all the same.
        if inside.iter().any(|name| name == "..") {
            return Err(misplaced(whose));
        }
        let full = self.root.join(inside);
        if self.plain.contains(&full) {
            return Ok(full);
        }
        let mut at = self.root.clone();
        for name in inside.iter() {
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
        let mut folders = vec![self.real_folder(folder, folder)?];
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
            // What is said of a process is said of each by the system; see `inherited`.
            if path.starts_with("/proc/self") {
                continue;
            }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lab_objects::{Memory, add};
    use lab_schema::observed::Seen;
    use lab_schema::recipe::Parts;
    use lab_schema::{Executor, Limits, Slot, TreeId};

    use super::*;

    /// A store, and a folder in which everything but `at` belongs to somebody else.
    struct Bench {
        store: Store,
        folder: tempfile::TempDir,
        home: String,
        project: &'static str,
        parts: Parts,
        observed: Observed,
    }

    impl Bench {
        fn new() -> Bench {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("outside")).unwrap();
            fs::write(folder.path().join("outside/file"), "theirs").unwrap();
            let command = Command {
                argv: vec!["true".to_owned()],
                directory: None,
                variables: BTreeMap::new(),
                place: None,
            };
            let parts = Parts {
                executor: Executor::Command(command),
                inputs: BTreeMap::new(),
                outside: BTreeMap::new(),
                code: None,
                environment: None,
                params: BTreeMap::new(),
                seed: None,
                outputs: BTreeMap::new(),
                limits: Limits::default(),
            };
            Bench {
                store: Store::create(Arc::new(Memory::new())).unwrap(),
                folder,
                home: "/home/ana".to_owned(),
                project: "/home/ana/project",
                parts,
                observed: Observed::default(),
            }
        }

        fn outside(&self) -> PathBuf {
            self.folder.path().join("outside")
        }

        fn stored(&self, make: impl Fn(&Path)) -> ContentId {
            let dir = tempfile::tempdir().unwrap();
            make(dir.path());
            let mut writer = self.store.writer();
            let added = add(&mut writer, dir.path(), &Silent).unwrap();
            writer.finish().unwrap();
            added.content
        }

        fn tree(&self, make: impl Fn(&Path)) -> Option<TreeId> {
            match self.stored(make) {
                ContentId::Tree(id) => Some(id),
                ContentId::Blob(_) => None,
            }
        }

        fn see(&mut self, path: &str, mode: u32, size: u64, how: How) {
            let seen = Seen { mode, size, modified: (-1, 999_999_999), how };
            self.observed.things.insert(path.as_bytes().to_vec(), seen);
        }

        /// Lays it out, and demands that nothing happened elsewhere.
        fn lay(self) -> Result<(Replica, tempfile::TempDir)> {
            let place =
                Place { project: self.project.to_owned(), user: 1, group: 1, umask: 0, cpus: 1 };
            let command = Command {
                argv: vec!["true".to_owned()],
                directory: None,
                variables: BTreeMap::from([("HOME".to_owned(), self.home)]),
                place: Some(place.clone()),
            };
            let executor = Executor::Command(command.clone());
            let recipe = Recipe::new(Parts { executor, ..self.parts }).unwrap();
            let top = self.folder.path();
            fs::create_dir(top.join("deep")).unwrap();
            let at = top.join("deep/at");
            let before = modes(top);
            let made = Replica::new(&self.store, &recipe, &command, &place, &self.observed, &at);
            let names = |folder: &Path| {
                let mut all: Vec<_> =
                    folder.read_dir().unwrap().map(|e| e.unwrap().file_name()).collect();
                all.sort();
                all
            };
            assert_eq!(names(top), ["deep", "outside"]);
            assert_eq!(names(&top.join("deep")), ["at"]);
            assert_eq!(names(&top.join("outside")), ["file"]);
            assert_eq!(fs::read(top.join("outside/file")).unwrap(), b"theirs");
            assert_eq!(modes(top), before);
            made.map(|replica| (replica, self.folder))
        }
    }

    /// Permissions and times of what is not ours to change.
    fn modes(top: &Path) -> Vec<(u32, SystemTime)> {
        let paths = [top.to_owned(), top.join("outside"), top.join("outside/file")];
        let state = |path: &PathBuf| {
            let meta = path.metadata().unwrap();
            (meta.permissions().mode(), meta.modified().unwrap())
        };
        paths.iter().map(state).collect()
    }

    #[test]
    fn what_is_recorded_lies_where_it_was() {
        let mut bench = Bench::new();
        bench.parts.environment = bench.tree(|top| {
            fs::create_dir_all(top.join("usr/bin")).unwrap();
            fs::write(top.join("usr/bin/tool"), "tool").unwrap();
            symlink("usr/bin", top.join("bin")).unwrap();
        });
        let data = bench.stored(|top| fs::write(top.join("x"), "data").unwrap());
        bench.parts.inputs.insert(Slot::new("data").unwrap(), data);
        bench.see("/usr/bin/tool", 0o104_755, 4, How::Executed);
        bench.see("/home/ana/project/looked-at", FILE | 0o644, 7, How::Examined);
        let (replica, _folder) = bench.lay().unwrap();
        let at = |path: &str| replica.root.join(path);
        assert_eq!(fs::read(at("bin/tool")).unwrap(), b"tool");
        let mode = |path: &str| at(path).metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode("usr/bin/tool"), 0o755, "no setuid");
        assert_eq!(mode("home/ana/project/looked-at"), 0);
        assert_eq!(at("home/ana/project/looked-at").metadata().unwrap().len(), 7);
        assert_eq!(fs::read(at("home/ana/project/data/x")).unwrap(), b"data");
    }

    #[test]
    fn a_link_of_the_environment_leads_nothing_out_of_the_folder() {
        // The project, the home folder, and a folder above an outside input are links.
        for link in ["home", "home/ana", "home/ana/project", "data"] {
            for slot in ["data/set/x", "home/ana/project/x"] {
                let mut bench = Bench::new();
                let outside = bench.outside();
                bench.parts.environment = bench.tree(|top| {
                    let link = top.join(link);
                    fs::create_dir_all(link.parent().unwrap()).unwrap();
                    symlink(&outside, link).unwrap();
                });
                let blob = bench.stored(|top| fs::write(top.join("x"), "hostile").unwrap());
                bench.parts.code = bench.tree(|top| fs::write(top.join("file"), "evil").unwrap());
                bench.parts.outside.insert(Slot::new(slot).unwrap(), blob);
                bench.parts.inputs.insert(Slot::new("file").unwrap(), blob);
                bench.see("/data/file", FILE | 0o777, 3, How::Read);
                bench.see("/home/ana/file", FILE | 0o777, 3, How::Read);
                // Either it is refused, or it is laid out inside.
                drop(bench.lay());
            }
        }
    }

    #[test]
    fn a_link_in_place_of_the_project_is_not_walked_through() {
        for inputs in [false, true] {
            let mut bench = Bench::new();
            let outside = bench.outside();
            bench.project = APART;
            bench.parts.environment = bench
                .tree(|top| symlink(&outside, top.join(APART.trim_start_matches('/'))).unwrap());
            if inputs {
                let blob = bench.stored(|top| fs::write(top.join("x"), "hostile").unwrap());
                bench.parts.inputs.insert(Slot::new("file").unwrap(), blob);
            }
            drop(bench.lay());
        }
    }

    #[test]
    fn trees_that_are_laid_over_each_other_do_not_follow_links() {
        let mut bench = Bench::new();
        let outside = bench.outside();
        bench.parts.environment = bench.tree(|top| {
            let project = top.join("home/ana/project");
            fs::create_dir_all(&project).unwrap();
            symlink(&outside, project.join("sub")).unwrap();
            symlink(outside.join("file"), project.join("file")).unwrap();
        });
        bench.parts.code = bench.tree(|top| {
            fs::create_dir(top.join("sub")).unwrap();
            fs::write(top.join("sub/file"), "hostile").unwrap();
            fs::write(top.join("sub/new"), "hostile").unwrap();
            fs::write(top.join("file"), "hostile").unwrap();
        });
        assert!(bench.lay().is_err());
    }

    #[test]
    fn no_path_of_a_record_climbs_out() {
        for path in
            ["/../outside/new", "/none/../../../outside/new", "/x/../../../../outside/new", "/.."]
        {
            let mut bench = Bench::new();
            bench.see(path, FILE | 0o644, 1, How::Read);
            drop(bench.lay());
            let mut bench = Bench::new();
            bench.see(path, FOLDER | 0o755, 1, How::Read);
            drop(bench.lay());
            let mut bench = Bench::new();
            bench.observed.links.insert(path.into(), b"/".to_vec());
            drop(bench.lay());
            let mut bench = Bench::new();
            let name = b"../../../outside/new".to_vec();
            let listed = Listed { name, kind: ListedKind::File };
            bench.observed.listed.insert(path.into(), vec![listed.clone()]);
            bench.observed.listed.insert(b"/".to_vec(), vec![listed]);
            drop(bench.lay());
            let mut bench = Bench::new();
            for top in ["/sys", "/proc", ""] {
                bench.observed.system.insert(format!("{top}{path}").into(), b"x".to_vec());
                bench.observed.system.insert(format!("{top}/x/..{path}").into(), b"x".to_vec());
            }
            drop(bench.lay());
        }
    }

    /// Of all paths only this one is not looked at when a record is read.
    #[test]
    fn no_home_folder_climbs_out() {
        for home in [
            "/../../../outside/new",
            "/none/../../../../outside/new",
            "/home/../../../outside/new/x",
        ] {
            let mut bench = Bench::new();
            bench.home = home.to_owned();
            drop(bench.lay());
        }
    }

    #[test]
    fn a_link_that_was_listed_or_followed_is_not_walked_through() {
        let mut bench = Bench::new();
        let outside = bench.outside();
        let target = outside.as_os_str().as_bytes().to_vec();
        bench.observed.links.insert(b"/out".to_vec(), target.clone());
        bench.observed.links.insert(b"/sys".to_vec(), target.clone());
        bench.observed.links.insert(b"/tmp".to_vec(), target);
        bench.see("/out/file", FILE | 0o777, 99, How::Read);
        bench.see("/out/new", FILE | 0o777, 99, How::Read);
        bench.observed.system.insert(b"/sys/file".to_vec(), b"hostile".to_vec());
        let listed = Listed { name: b"new".to_vec(), kind: ListedKind::File };
        bench.observed.listed.insert(b"/out".to_vec(), vec![listed]);
        drop(bench.lay());
    }

    #[test]
    fn an_impossible_size_is_an_error_and_takes_no_room() {
        for size in [u64::MAX, i64::MAX as u64, 1 << 62] {
            let mut bench = Bench::new();
            bench.see("/home/ana/project/huge", FILE | 0o644, size, How::Examined);
            match bench.lay() {
                Ok((replica, _folder)) => {
                    use std::os::unix::fs::MetadataExt;
                    let huge = replica.root.join("home/ana/project/huge").metadata().unwrap();
                    assert!(huge.blocks() < 100);
                }
                Err(e) => assert!(e.to_string().contains("huge"), "{e}"),
            }
        }
    }

    #[test]
    fn files_of_the_system_are_beside_the_root_and_never_on_this_machine() {
        let mut bench = Bench::new();
        for path in ["/proc/cpuinfo", "/proc/sys/kernel/hostname", "/sys/devices/x", "/etc/passwd"]
        {
            bench.observed.system.insert(path.into(), b"hostile".to_vec());
        }
        let (replica, folder) = bench.lay().unwrap();
        let inside = |(_, text): &(PathBuf, PathBuf)| text.starts_with(folder.path());
        assert!(replica.system.iter().all(inside));
        let places: Vec<_> = replica.system.iter().map(|(place, _)| place.clone()).collect();
        assert_eq!(places, [Path::new("/proc/cpuinfo"), Path::new("/proc/sys/kernel/hostname")]);
        assert_eq!(fs::read(replica.root.join("sys/devices/x")).unwrap(), b"hostile");
        assert!(!replica.root.join("etc/passwd").exists());
    }

    #[test]
    fn an_order_names_only_what_is_there_and_leads_nowhere_else() {
        let mut bench = Bench::new();
        let outside = bench.outside().as_os_str().as_bytes().to_vec();
        bench.observed.links.insert(b"/out".to_vec(), outside);
        bench.observed.secrets.insert(b"/d/.env".to_vec(), lab_schema::BlobId::of(b"x"));
        let list = |names: &[&[u8]]| -> Vec<Listed> {
            let listed = |n: &&[u8]| Listed { name: n.to_vec(), kind: ListedKind::File };
            names.iter().map(listed).collect()
        };
        bench.observed.listed.insert(b"/d".to_vec(), list(&[b"z", b".env", b"a", b"m"]));
        bench.observed.listed.insert(b"/out".to_vec(), list(&[b"file"]));
        let many = vec![Listed { name: b"n".to_vec(), kind: ListedKind::File }; MAX_ORDERED];
        bench.observed.listed.insert(b"/many".to_vec(), many);
        let observed = bench.observed.clone();
        let (replica, _folder) = bench.lay().unwrap();
        let (listings, unordered) = replica.listings(&observed).unwrap();
        let names = ["z", "a", "m"].map(|name| (name.into(), false)).to_vec();
        assert_eq!(listings, [Listing { folder: "/d".into(), names }]);
        assert_eq!(unordered, Some(1));
    }

    #[test]
    fn devices_and_pipes_of_a_record_are_not_made() {
        let mut bench = Bench::new();
        for (name, mode) in [("b", 0o060_666), ("c", 0o020_666), ("p", 0o010_666), ("s", 0o140_666)]
        {
            bench.see(&format!("/home/ana/project/{name}"), mode, 0, How::Read);
        }
        let (replica, _folder) = bench.lay().unwrap();
        assert_eq!(replica.root.join("home/ana/project").read_dir().unwrap().count(), 0);
    }
}
