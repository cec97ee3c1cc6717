//! What a watched command read, stored and named.
//!
//! A file counts as it was when the command first met it: one that the command changed later was
//! copied before, and one that somebody else changed meanwhile makes the record incomplete.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use lab_objects::{Silent, StatCache, Writer, add_cached};
use lab_schema::observed::{How, Listed, ListedKind, Observed, Ran, Seeded, Seen};
use lab_schema::tree::Node;
use lab_schema::{BlobId, ContentId, Slot, TreeId, Value};
use lab_trace::{Fact, Stamp, Thing, Trace};

use crate::error::{ProcessError, Result};
use crate::folder::{Folder, Occupied};
use crate::grouped::{File as DataFile, group};
use crate::inherited;
use crate::note::Note;
use crate::params::params_of_config;
use crate::snapshot::hash;
use crate::sorts::{Sort, Sorter, is_code_name};

/// A file that was only looked at is stored up to this size, so that a program that compares the
/// time of a source with that of its cache finds the source.
const MAX_EXAMINED_BYTES: u64 = 1 << 20;

/// Devices and files that give random bytes. Who reads them takes entropy, as who asks the system.
const RANDOM: [&str; 3] = ["/dev/random", "/dev/urandom", "/proc/sys/kernel/random/uuid"];

/// What lies here is shared by processes, and gone with the machine's memory.
const SHARED_MEMORY: &str = "/dev/shm";

/// Larger files hold data.
const MAX_SETTINGS_BYTES: u64 = 256 << 10;

/// How the names of files of settings end.
const SETTINGS: [&str; 4] = ["toml", "yaml", "yml", "json"];

/// Most bytes that are kept of a file that the system makes up.
const MAX_SYSTEM_BYTES: u64 = 64 << 10;

/// What a command read.
pub(crate) struct Reads {
    pub(crate) inputs: BTreeMap<Slot, ContentId>,
    pub(crate) outside: BTreeMap<Slot, ContentId>,
    pub(crate) code: Option<TreeId>,
    pub(crate) environment: Option<TreeId>,
    pub(crate) observed: BlobId,
    pub(crate) summary: Summary,
    /// Parameters in the files of settings among the code and data.
    pub(crate) params: BTreeMap<String, Value>,
    pub(crate) notes: Vec<Note>,
    /// What could not be stored as it was read.
    pub(crate) gaps: Vec<String>,
}

/// How much of each sort was read.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Summary {
    /// Data files of the project.
    pub data: u64,
    /// Data files elsewhere.
    pub outside: Vec<PathBuf>,
    /// Files of code, relative to the top of the project.
    pub code: Vec<PathBuf>,
    /// Files of programs, libraries and the system.
    pub environment: u64,
}

/// Stores what was read, and describes it. `directory` is where the command was started.
pub(crate) fn store(
    writer: &mut Writer,
    cache: &mut StatCache,
    trace: &Trace,
    sorter: &Sorter<'_>,
    directory: &Path,
    seeds: BTreeSet<Seeded>,
) -> Result<Reads> {
    let mut keep = Keep { writer, cache, gaps: BTreeSet::new() };
    let (mut code, mut environment) = (Folder::default(), Folder::default());
    let (mut data, mut outside) = (BTreeMap::new(), BTreeMap::new());
    let mut summary = Summary::default();
    let mut observed = Observed { seeds, ..described(trace, sorter) };
    let mut notes = Vec::new();
    let mut params = BTreeMap::new();
    for (path, thing) in &trace.things {
        let Some(first) = thing.first else { continue };
        if !first.is_file() {
            keep.gaps.extend(stream(path, thing, &first));
            continue;
        }
        let sort = sorter.sort(path, Some(thing));
        match sort {
            Sort::Ignored if thing.read && path.starts_with(SHARED_MEMORY) => {
                let what = format!("it read '{}', which no box gives back", path.display());
                keep.gaps.insert(what);
                continue;
            }
            Sort::System | Sort::Ignored => continue,
            Sort::Secret => {
                if thing.read {
                    observed.secrets.extend(keep.secret(path, thing));
                    notes.push(Note::SecretRead(path.clone()));
                }
                continue;
            }
            // An interpreter that has a cache of a module only looks at its source.
            Sort::Data | Sort::Outside if !thing.read && !is_code_name(path) => continue,
            _ if !thing.read && (thing.written || first.size > MAX_EXAMINED_BYTES) => continue,
            _ => {}
        }
        let Some(file) = keep.file(path, thing, &first)? else { continue };
        if thing.read && matches!(sort, Sort::Code | Sort::Data | Sort::Outside) {
            params.extend(settings(path, thing, &first));
        }
        let node = || Node::File { id: file.id, size: file.size, executable: file.executable };
        match sort {
            Sort::Data => {
                summary.data += 1;
                data.insert(path.clone(), file);
            }
            Sort::Outside => {
                summary.outside.push(path.clone());
                outside.insert(path.clone(), file);
            }
            Sort::Code => {
                let inside = path.strip_prefix(sorter.project).unwrap_or(path);
                summary.code.push(inside.to_owned());
                keep.place(&mut code, sorter.project, path, node());
            }
            _ => {
                summary.environment += 1;
                keep.place(&mut environment, Path::new("/"), path, node());
            }
        }
    }
    for (path, target) in &trace.links {
        let target = target.as_os_str().as_bytes().to_vec();
        match sorter.sort(path, None) {
            Sort::Code => keep.place(&mut code, sorter.project, path, Node::Link { target }),
            Sort::Environment => {
                keep.place(&mut environment, Path::new("/"), path, Node::Link { target });
            }
            _ => {}
        }
    }
    // Data above the folder of the command has no name as an input; by its absolute path it has.
    let (inside, above): (BTreeMap<_, _>, _) =
        data.into_iter().partition(|(path, _)| path.starts_with(directory));
    outside.extend(above);
    let (inputs, left) = group(keep.writer, inside, directory)?;
    for (path, file) in &left {
        keep.place(&mut code, sorter.project, path, file.node());
    }
    notes.extend(not_inputs(left, sorter.project, "code"));
    let (outside, left) = group(keep.writer, outside, Path::new("/"))?;
    for (path, file) in &left {
        keep.place(&mut environment, Path::new("/"), path, file.node());
    }
    notes.extend(not_inputs(left, sorter.project, "environment"));
    let Keep { writer, gaps, .. } = keep;
    let mut tree = |folder: Folder, filled: bool| -> Result<Option<TreeId>> {
        Ok(if filled { Some(folder.put(writer)?.0) } else { None })
    };
    let has_code = !code.is_empty();
    let code = tree(code, has_code)?;
    let environment = tree(environment, true)?;
    let observed = writer.put_bytes(&observed.to_bytes())?;
    let gaps = gaps.into_iter().collect();
    Ok(Reads { inputs, outside, code, environment, observed, summary, params, notes, gaps })
}

/// What is to be said of data that no name can be given to.
fn not_inputs(left: Vec<(PathBuf, DataFile)>, project: &Path, with: &'static str) -> Option<Note> {
    let shown = |path: PathBuf| path.strip_prefix(project).map(Path::to_owned).unwrap_or(path);
    let paths: Vec<PathBuf> = left.into_iter().map(|(path, _)| shown(path)).collect();
    (!paths.is_empty()).then_some(Note::NotAnInput { paths, with })
}

/// The parameters in a file of settings; none if it is none, or cannot be read as one: what it
/// holds is recorded all the same.
fn settings(path: &Path, thing: &Thing, first: &Stamp) -> BTreeMap<String, Value> {
    if thing.executed || first.size > MAX_SETTINGS_BYTES {
        return BTreeMap::new();
    }
    let is_settings = |end: &OsStr| SETTINGS.iter().any(|s| end == *s);
    if !path.extension().is_some_and(is_settings) {
        return BTreeMap::new();
    }
    let bytes = fs::read(thing.kept.as_deref().unwrap_or(path)).unwrap_or_default();
    params_of_config(path, &bytes).and_then(Result::ok).unwrap_or_default()
}

struct Keep<'a> {
    writer: &'a mut Writer,
    cache: &'a mut StatCache,
    gaps: BTreeSet<String>,
}

impl Keep<'_> {
    /// Stores a file as it was when it was met; none, and a gap, if it is not that any more.
    fn file(&mut self, path: &Path, thing: &Thing, first: &Stamp) -> Result<Option<DataFile>> {
        let executable = first.mode & 0o100 != 0;
        let size = first.size;
        if let Some(kept) = &thing.kept {
            let id = self.add(kept, false)?;
            return Ok(id.map(|id| DataFile { id, size, executable }));
        }
        if !thing.written
            && is_still(path, thing)
            && let Some(id) = self.add(path, true)?
            && is_still(path, thing)
        {
            return Ok(Some(DataFile { id, size, executable }));
        }
        if thing.read {
            self.changed(path);
        }
        Ok(None)
    }

    fn changed(&mut self, path: &Path) {
        let what = format!("'{}' is not what it was when it was read", path.display());
        self.gaps.insert(what);
    }

    /// The id of a file's bytes, which are stored; none if it cannot be read any more.
    fn add(&mut self, path: &Path, known: bool) -> Result<Option<BlobId>> {
        let cache = known.then_some(&mut *self.cache);
        match add_cached(self.writer, path, cache, &Silent) {
            Ok(added) => match added.content {
                ContentId::Blob(id) => Ok(Some(id)),
                ContentId::Tree(_) => Ok(None),
            },
            Err(e) if is_about(&e, path) => Ok(None),
            Err(e) => Err(ProcessError::Objects(e)),
        }
    }

    fn secret(&mut self, path: &Path, thing: &Thing) -> Option<(Vec<u8>, BlobId)> {
        let name = path.as_os_str().as_bytes().to_vec();
        match (hash(thing.kept.as_deref().unwrap_or(path)), &thing.kept) {
            (Ok(id), Some(_)) => return Some((name, id)),
            (Ok(id), None) if !thing.written && is_still(path, thing) => return Some((name, id)),
            (Ok(_), None) => self.changed(path),
            (Err(e), _) => drop(self.gaps.insert(e.to_string())),
        }
        None
    }

    fn place(&mut self, folder: &mut Folder, top: &Path, path: &Path, node: Node) {
        let placed = path.strip_prefix(top).map_err(|_| Occupied);
        if placed.and_then(|inside| folder.insert(inside, node)).is_err() {
            let what = format!("'{}' was both a file and a folder", path.display());
            self.gaps.insert(what);
        }
    }
}

/// Whether a file that the command did not write to is still as it was met.
fn is_still(path: &Path, thing: &Thing) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| thing.is_still(&Stamp::new(&meta)))
}

/// What the record lacks if this was read: what comes out of it is nowhere kept.
fn stream(path: &Path, thing: &Thing, first: &Stamp) -> Option<String> {
    const PIPE: u32 = 0o010_000;
    const DISK: u32 = 0o060_000;
    let is_stream = matches!(first.mode & 0o170_000, PIPE | DISK);
    let what = || format!("it read from '{}', which is no regular file", path.display());
    (thing.read && is_stream).then(what)
}

/// What the trace says beside contents.
fn described(trace: &Trace, sorter: &Sorter<'_>) -> Observed {
    let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
    let counts =
        |path: &Path, thing| !matches!(sorter.sort(path, thing), Sort::System | Sort::Ignored);
    let taken = trace.entropy.iter().map(|(program, count)| (bytes(program), *count));
    let system = inherited::facts();
    let mut observed = Observed { entropy: taken.collect(), system, ..Observed::default() };
    for (path, thing) in &trace.things {
        let Some(first) = thing.first else { continue };
        if thing.read && RANDOM.iter().any(|device| path == Path::new(device)) {
            observed.entropy.insert(bytes(path), 1);
            continue;
        }
        if sorter.sort(path, Some(thing)) == Sort::System && thing.read {
            if let Some(text) = system_file(path) {
                observed.system.insert(bytes(path), text);
            }
        } else if counts(path, Some(thing)) {
            let how = match (thing.executed, thing.read) {
                (true, _) => How::Executed,
                (_, true) => How::Read,
                _ if thing.written => How::Overwritten,
                _ => How::Examined,
            };
            let (seconds, nanos) = first.modified;
            let modified = (seconds, u32::try_from(nanos).unwrap_or(0));
            let seen = Seen { mode: first.mode, size: first.size, modified, how };
            observed.things.insert(bytes(path), seen);
        }
    }
    let links = trace.links.iter().filter(|(path, _)| counts(path, None));
    observed.links = links.map(|(path, target)| (bytes(path), bytes(target))).collect();
    let absent = trace.absent.iter().filter(|path| counts(path, None));
    observed.absent = absent.map(|path| bytes(path)).collect();
    let listed = trace.listed.iter().filter(|(path, _)| counts(path, None));
    observed.listed = listed
        .map(|(folder, all)| {
            // Our own folders are there because of us, not because of the project.
            let others = all.iter().filter(|l| !sorter.is_ours(&folder.join(&l.name)));
            (bytes(folder), others.map(listing).collect())
        })
        .collect();
    let ran = |p: &lab_trace::Program| Ran { path: bytes(&p.path), argv: p.argv.clone() };
    observed.programs = trace.programs.iter().map(ran).collect();
    observed.peers = trace.peers.iter().map(|peer| peer.clone().into_bytes()).collect();
    let fact = |fact: &Fact| match fact {
        Fact::Affinity => "processors",
        Fact::Name => "host name and kernel",
        Fact::Memory => "memory",
        Fact::SharedMemory => "shared memory",
        _ => "other",
    };
    observed.asked = trace.facts.iter().map(|(f, count)| (fact(f).to_owned(), *count)).collect();
    observed
}

fn listing(listed: &lab_trace::Listed) -> Listed {
    let kind = match listed.kind {
        Some(kind) if kind.is_file() => ListedKind::File,
        Some(kind) if kind.is_dir() => ListedKind::Folder,
        Some(kind) if kind.is_symlink() => ListedKind::Link,
        _ => ListedKind::Other,
    };
    Listed { name: listed.name.as_bytes().to_vec(), kind }
}

/// What a file of `/proc` or `/sys` says now; none for those about processes, which speak of
/// whoever asks.
pub(crate) fn system_file(path: &Path) -> Option<Vec<u8>> {
    let of_process = |name: &[u8]| name.iter().all(u8::is_ascii_digit) || name.ends_with(b"self");
    let mut parts = path.iter().skip(1).map(OsStrExt::as_bytes);
    if parts.next() == Some(b"proc") && parts.next().is_none_or(of_process) {
        return None;
    }
    let mut text = Vec::new();
    let read: io::Result<usize> =
        File::open(path).and_then(|file| file.take(MAX_SYSTEM_BYTES).read_to_end(&mut text));
    read.is_ok().then_some(text)
}

/// Whether an error of the store is about a file outside of it: one that went away or cannot be
/// read.
fn is_about(error: &lab_objects::ObjectsError, path: &Path) -> bool {
    use lab_objects::ObjectsError::{Changed, Io};
    matches!(error, Io { path: at, .. } | Changed { path: at } if at == path)
}
