//! Whether a command that was watched would find again what it found: then it need not run again.
//!
//! Everything that its record names is looked at anew: the command and its surroundings, the
//! content of every file, where nothing was, what was listed and in which order. What the run itself
//! made does not count, nor what other steps of the project make, but for their content where it was
//! read. Times do not count where the content is known; where a file was only looked at and is in
//! nobody's record, its size and time do.
//!
//! What is in no record is not looked at either: what was said over the network, which therefore
//! never holds, and the clock.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use lab_objects::{ObjectsError, StatCache, Store, hash_cached};
use lab_schema::observed::{How, Listed, ListedKind, Observed, Seen};
use lab_schema::tree::Node;
use lab_schema::{BlobId, Command, ContentId, Executor, Host, Recipe, Run, Tree};

use crate::byproducts::is_byproduct;
use crate::change::{Change, Standing, changed, gone, relisted};
use crate::error::{ProcessError, Result};
use crate::host::host;
use crate::inherited;
use crate::program;
use crate::reads::system_file;
use crate::snapshot::hash;
use crate::surroundings::facts_of_place;

/// Files of the system's own making that say how much of the machine there is. All others say how
/// it is doing at the moment.
const CAPACITY: [&str; 3] = ["/sys/devices/system/cpu/", "/sys/fs/cgroup/", "/proc/sys/"];

/// A command that is about to run, and what does not count.
pub struct Intent<'a> {
    /// The command and its place.
    pub command: &'a Command,
    /// The recipe that it would have before it runs: parameters, seed, outputs, bounds.
    pub declared: &'a Recipe,
    /// Where it would be started.
    pub directory: &'a Path,
    /// The registry, and what else is ours.
    pub ours: &'a [PathBuf],
    /// What the project's steps make: files and folders.
    pub made: &'a BTreeSet<PathBuf>,
    /// Whether a name in a folder does not matter.
    pub ignored: &'a dyn Fn(&OsStr) -> bool,
}

/// Compares the world with a record; stops at `limit` changes.
pub fn standing(
    store: &Store,
    cache: &mut StatCache,
    intent: &Intent<'_>,
    (run, recipe, observed): (&Run, &Recipe, &Observed),
    limit: usize,
) -> Result<Standing> {
    let mut made = intent.made.clone();
    made.extend(run.outcome.outputs.keys().map(|slot| intent.directory.join(slot.as_str())));
    let found = Standing::default();
    let mut look = Look { store, cache, intent, made, known: BTreeSet::new(), found, limit };
    look.asked(recipe);
    look.program(observed);
    look.machine(&run.host, observed);
    look.contents(recipe)?;
    look.observed(observed)?;
    look.found.changes.truncate(limit);
    Ok(look.found)
}

struct Look<'a> {
    store: &'a Store,
    cache: &'a mut StatCache,
    intent: &'a Intent<'a>,
    made: BTreeSet<PathBuf>,
    /// Files whose content is recorded.
    known: BTreeSet<PathBuf>,
    found: Standing,
    limit: usize,
}

impl Look<'_> {
    fn is_enough(&self) -> bool {
        self.found.changes.len() >= self.limit
    }

    fn change(&mut self, what: impl Into<String>, how: impl Into<String>) {
        self.found.changes.push(Change::new(what, how));
    }

    /// A path for people, from where the command starts.
    fn name(&self, path: &Path) -> String {
        let project = Path::new(self.intent.command.place.as_ref().map_or("/", |p| &p.project));
        let inside = path.strip_prefix(self.intent.directory).ok();
        let inside = inside.or_else(|| path.strip_prefix(project).ok());
        let path = match inside {
            Some(inside) if inside.as_os_str().is_empty() => Path::new("."),
            inside => inside.unwrap_or(path),
        };
        format!("'{}'", path.to_string_lossy().escape_debug())
    }

    /// What is asked for, before anything is read.
    fn asked(&mut self, recipe: &Recipe) {
        let Executor::Command(then) = recipe.executor() else {
            return self.change("the record", "is not that of a command");
        };
        let now = self.intent.command;
        let declared = self.intent.declared;
        let text = |map: &BTreeMap<String, lab_schema::Value>| -> BTreeMap<String, String> {
            map.iter().map(|(key, value)| (key.clone(), value.to_string())).collect()
        };
        self.maps("parameter", &text(recipe.params()), &text(declared.params()));
        if recipe.params() == declared.params() && then.argv != now.argv {
            self.change("the command", "is another one");
        }
        if then.directory != now.directory {
            self.change("the folder that it starts in", "is another one");
        }
        self.maps("variable", &then.variables, &now.variables);
        if recipe.outputs() != declared.outputs() {
            self.change("what it is to leave", "is declared otherwise");
        }
        if recipe.limits() != declared.limits() {
            self.change("its limits", "are others");
        }
        match (&then.place, &now.place) {
            (Some(then), Some(now)) => {
                self.maps("the project's", &facts_of_place(then), &facts_of_place(now));
            }
            _ => self.change("the record", "does not say where it ran"),
        }
    }

    fn maps(
        &mut self,
        sort: &str,
        then: &BTreeMap<String, String>,
        now: &BTreeMap<String, String>,
    ) {
        let names: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
        for name in names.into_iter().filter(|name| then.get(*name) != now.get(*name)) {
            let how = changed(then.get(name), now.get(name));
            self.change(format!("{sort} {}", name.escape_debug()), how);
        }
    }

    /// The program itself was searched before anybody watched: another one may come first now.
    fn program(&mut self, observed: &Observed) {
        let word = self.intent.command.argv.first().map_or("", String::as_str);
        let path = self.intent.command.variables.get("PATH").map(OsStr::new);
        let found = program::find(word, self.intent.directory, path).ok();
        let real = found.and_then(|found| self.intent.directory.join(found).canonicalize().ok());
        let ran = |real: &PathBuf| {
            let seen = observed.things.get(real.as_os_str().as_bytes());
            seen.is_some_and(|seen| seen.how == How::Executed)
        };
        if !real.as_ref().is_some_and(ran) {
            self.change(format!("the program '{}'", word.escape_debug()), "is another one now");
        }
    }

    /// What of the machine is known to change results.
    fn machine(&mut self, then: &Host, observed: &Observed) {
        let now = host();
        if (&then.arch, &then.cpu, &then.cpu_features) != (&now.arch, &now.cpu, &now.cpu_features) {
            let how = format!("was {} and is {}", then.cpu, now.cpu);
            self.change("the processor", how.escape_debug().to_string());
        }
        if then.kernel != now.kernel && observed.asked.contains_key("host name and kernel") {
            let how = format!("was {} and is {}, and it asked for that", then.kernel, now.kernel);
            self.change("the kernel", how.escape_debug().to_string());
        }
        for peer in &observed.peers {
            let peer = String::from_utf8_lossy(peer).escape_debug().to_string();
            self.change(format!("what {peer} said"), "is in no record");
        }
    }

    /// The content of all that was read.
    fn contents(&mut self, recipe: &Recipe) -> Result<()> {
        let directory = self.intent.directory;
        let inputs = recipe.inputs().iter().map(|(slot, id)| (directory.join(slot.as_str()), *id));
        let outside = recipe.outside().iter();
        let outside = outside.map(|(slot, id)| (Path::new("/").join(slot.as_str()), *id));
        for (path, content) in inputs.chain(outside).collect::<Vec<_>>() {
            match content {
                ContentId::Blob(id) => self.file(&path, id, None)?,
                ContentId::Tree(_) => self.tree(&path, content)?,
            }
        }
        let project = self.intent.command.place.as_ref().map_or("/", |place| &place.project);
        let trees = [(project, recipe.code()), ("/", recipe.environment())];
        for (top, tree) in trees {
            if let Some(tree) = tree {
                self.tree(Path::new(top), tree.into())?;
            }
        }
        Ok(())
    }

    fn tree(&mut self, top: &Path, content: ContentId) -> Result<()> {
        let mut todo = vec![(top.to_owned(), content)];
        while let Some((path, content)) = todo.pop() {
            if self.is_enough() {
                return Ok(());
            }
            let ContentId::Tree(id) = content else { continue };
            let Some(tree) = self.store.get::<Tree>(id).map_err(ProcessError::Objects)? else {
                self.change(
                    self.name(&path),
                    "is recorded, and its record is not in this registry",
                );
                return Ok(());
            };
            for entry in tree.entries() {
                let path = path.join(OsStr::from_bytes(entry.name.as_bytes()));
                match &entry.node {
                    Node::File { id, executable, .. } => {
                        self.file(&path, *id, Some(*executable))?
                    }
                    Node::Directory { id, .. } => todo.push((path, (*id).into())),
                    Node::Link { target } => self.link(&path, target),
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, id: BlobId, executable: Option<bool>) -> Result<()> {
        if self.is_enough() || !self.known.insert(path.to_owned()) {
            return Ok(());
        }
        let meta = match fs::symlink_metadata(path) {
            Ok(meta) if meta.is_file() => meta,
            Ok(_) => {
                self.change(self.name(path), "is no regular file any more");
                return Ok(());
            }
            Err(error) => {
                self.change(self.name(path), gone(&error));
                return Ok(());
            }
        };
        match hash_cached(path, self.cache) {
            Ok(now) if now == id => {
                if executable.is_some_and(|then| then != (meta.mode() & 0o100 != 0)) {
                    self.change(self.name(path), "has other permissions");
                } else {
                    self.found.files += 1;
                }
            }
            Ok(_) => self.change(self.name(path), "changed"),
            Err(ObjectsError::Io { source, .. }) => self.change(self.name(path), gone(&source)),
            Err(ObjectsError::Changed { .. }) => {
                self.change(self.name(path), "is being written to")
            }
            Err(error) => return Err(ProcessError::Objects(error)),
        }
        Ok(())
    }

    fn link(&mut self, path: &Path, target: &[u8]) {
        match fs::read_link(path) {
            Ok(now) if now.as_os_str().as_bytes() == target => {}
            Ok(_) => self.change(self.name(path), "is a link to something else"),
            Err(_) => self.change(self.name(path), "is not the link any more that it was"),
        }
    }

    /// What a record holds beside contents.
    fn observed(&mut self, observed: &Observed) -> Result<()> {
        for (path, target) in &observed.links {
            let path = place(path);
            if !self.is_beside(path) {
                self.link(path, target);
            }
        }
        for (path, seen) in &observed.things {
            let path = place(path);
            if !self.is_beside(path) && !self.known.contains(path) {
                self.thing(path, seen);
            }
        }
        for path in &observed.absent {
            let path = place(path);
            match fs::symlink_metadata(path) {
                Err(_) => self.found.absent += 1,
                Ok(_) if self.is_beside(path) => self.found.absent += 1,
                Ok(_) => self.change(self.name(path), "is there now, and was not"),
            }
        }
        for (folder, names) in &observed.listed {
            self.listing(place(folder), names);
        }
        for (path, text) in &observed.system {
            let path = place(path);
            let counts = CAPACITY
                .iter()
                .any(|start| path.as_os_str().as_bytes().starts_with(start.as_bytes()));
            if counts && system_file(path).is_some_and(|now| now != *text) {
                self.change(self.name(path), "says something else");
            }
        }
        let (then, now) = (inherited::told(&observed.system), inherited::told(&inherited::facts()));
        self.maps("the", &then, &now);
        for (path, id) in &observed.secrets {
            let path = place(path);
            match hash(path) {
                Ok(now) if now == *id => self.found.files += 1,
                Ok(_) => self.change(self.name(path), "changed"),
                Err(_) => self.change(self.name(path), "cannot be read any more"),
            }
        }
        Ok(())
    }

    /// A file or folder whose content nobody knows.
    fn thing(&mut self, path: &Path, seen: &Seen) {
        const KIND: u32 = 0o170_000;
        let meta = match fs::metadata(path) {
            Ok(meta) => meta,
            Err(error) => return self.change(self.name(path), gone(&error)),
        };
        if meta.mode() & KIND != seen.mode & KIND {
            return self.change(self.name(path), "is of another kind");
        }
        let time = (meta.mtime(), u32::try_from(meta.mtime_nsec()).unwrap_or(0));
        if meta.is_file() && seen.how != How::Overwritten {
            match (meta.size() == seen.size, time == seen.modified) {
                (false, _) => self.change(self.name(path), "has another size"),
                (_, false) => self.change(self.name(path), "was written to since"),
                _ => self.found.files += 1,
            }
        }
    }

    fn listing(&mut self, folder: &Path, then: &[Listed]) {
        let now: io::Result<Vec<Listed>> = fs::read_dir(folder).and_then(|entries| {
            let listed = |entry: fs::DirEntry| {
                let kind = entry.file_type()?;
                let kind = match () {
                    () if kind.is_file() => ListedKind::File,
                    () if kind.is_dir() => ListedKind::Folder,
                    () if kind.is_symlink() => ListedKind::Link,
                    () => ListedKind::Other,
                };
                Ok(Listed { name: entry.file_name().as_bytes().to_vec(), kind })
            };
            entries.map(|entry| listed(entry?)).collect()
        });
        let now = match now {
            Ok(now) => now,
            Err(error) => return self.change(self.name(folder), gone(&error)),
        };
        let counts = |l: &&Listed| {
            let name = OsStr::from_bytes(&l.name);
            !self.is_beside(&folder.join(name)) && !(self.intent.ignored)(name)
        };
        let then: Vec<&Listed> = then.iter().filter(counts).collect();
        let now: Vec<&Listed> = now.iter().filter(counts).collect();
        if then == now {
            self.found.listed += 1;
            return;
        }
        let (how, entry) = relisted(&then, &now);
        let what = self.name(folder);
        self.found.changes.push(Change { what, how, entry });
    }

    /// Whether what is at a path comes from the run, from another step, from tools or from us.
    fn is_beside(&self, path: &Path) -> bool {
        let project = Path::new(self.intent.command.place.as_ref().map_or("/", |p| &p.project));
        let inside = path.strip_prefix(project);
        self.intent.ours.iter().any(|ours| path.starts_with(ours))
            || inside.is_ok_and(|inside| !inside.as_os_str().is_empty() && is_byproduct(inside))
            || path.ancestors().any(|above| self.made.contains(above))
            // A folder that is there because of what was made in it.
            || (path.starts_with(self.intent.directory)
                && path != self.intent.directory
                && self.made.range(path.to_owned()..).next().is_some_and(|m| m.starts_with(path)))
    }
}

fn place(path: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(path))
}
