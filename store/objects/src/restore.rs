//! File contents out of a store into files, over all cores.
//!
//! Small files are taken in the order in which they lie in the packs, so that a block that several
//! share is decoded once. Of a large file, blocks are decoded ahead by several threads, and hashed
//! and written in order by one. The hash of the whole is what decides: chunks are not hashed one by
//! one, unless the whole is wrong; then the slow way finds out which, and looks for another copy.
//!
//! A large file may come with something in it, from a process that was killed. Chunks that are in
//! their places there, by their hashes, are not decoded and not written; all else is, and what is
//! beyond the end goes. The hash of the whole is over what was read there and what was written.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Seek, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use lab_schema::{BlobHasher, BlobId};

use crate::atomic::step;
use crate::backend::PackId;
use crate::error::{At, ObjectsError, Result};
use crate::frame::{FrameKey, FrameKind};
use crate::list::Part;
use crate::pipeline::MAX_WORKERS;
use crate::progress::Progress;
use crate::read::Walk;
use crate::store::Store;

/// A file that is to be written.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) path: PathBuf,
    pub(crate) id: BlobId,
    /// What the tree says; another size is refused before anything is written.
    pub(crate) size: u64,
    pub(crate) executable: bool,
}

/// Makes a file, by its path and whether it is executable, has it filled, and puts it in its place.
/// Only one that can be read may have something in it.
pub(crate) type Make<'a> =
    &'a (dyn Fn(&Wanted, &mut dyn FnMut(File, &Path) -> Result<u64>) -> Result<u64> + Sync);

/// Writes files; returns the sum of their bytes. The first error ends it.
pub(crate) fn restore(
    store: &Store,
    files: &[Wanted],
    make: Make<'_>,
    progress: &dyn Progress,
) -> Result<u64> {
    let (mut small, mut large) = (Vec::new(), Vec::new());
    let mut packs = HashMap::new();
    for (number, file) in files.iter().enumerate() {
        let keys: Vec<FrameKey> = FrameKey::of_object(file.id.into()).collect();
        if store.size(file.id)?.is_some_and(|size| size != file.size) {
            let why = "it has another size than its tree says";
            return Err(ObjectsError::Damaged { what: file.id.to_string(), why });
        }
        match store.places(&keys)?.first() {
            None => return Err(ObjectsError::Missing { id: file.id.into() }),
            Some(place) if place.record.key.kind == FrameKind::List => large.push(file),
            Some(place) => {
                let pack = packs.len() as u32;
                let pack = *packs.entry(place.pack).or_insert(pack);
                small.push([pack, place.record.block, place.record.start, number as u32]);
            }
        }
    }
    small.sort_unstable();
    let groups: Vec<&[Order]> = small.chunk_by(|a, b| a[..2] == b[..2]).collect();
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let done = Mutex::new(Ok(0));
    let work = || {
        while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed))
            && !stop.load(Ordering::Relaxed)
        {
            let written = group.iter().try_fold(0, |sum, [.., number]| {
                let file = &files[*number as usize];
                let mut fill = |file_: File, path: &Path| plain(store, file.id, file_, path);
                let bytes = make(file, &mut fill)?;
                progress.advance(bytes);
                Ok(sum + bytes)
            });
            add_up(&done, written, &stop);
        }
    };
    std::thread::scope(|scope| {
        (1..cores().min(groups.len())).for_each(|_| drop(scope.spawn(work)));
        work();
    });
    for file in large {
        if !stop.load(Ordering::Relaxed) {
            let mut fill = |mut out: File, path: &Path| {
                if let Some(bytes) = ahead(store, file.id, &out, path, progress)? {
                    return Ok(bytes);
                }
                // Something is damaged, or has moved: once more, with a look at every part.
                out.set_len(0).and_then(|()| out.rewind()).at("write", path)?;
                plain(store, file.id, out, path)
            };
            add_up(&done, make(file, &mut fill), &stop);
        }
    }
    done.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Where a file lies, by the numbers of the pack and the block, and the place in the block; and which
/// file it is. There may be millions.
type Order = [u32; 4];

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(MAX_WORKERS)
}

fn add_up(done: &Mutex<Result<u64>>, more: Result<u64>, stop: &AtomicBool) {
    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
    match (&mut *done, more) {
        (Ok(sum), Ok(more)) => *sum += more,
        (Ok(_), Err(error)) => {
            stop.store(true, Ordering::Relaxed);
            *done = Err(error);
        }
        // The first error is the one to tell.
        (Err(_), _) => {}
    }
}

/// Copies with a look at every part.
fn plain(store: &Store, id: BlobId, file: File, path: &Path) -> Result<u64> {
    let mut out = Out { file, path, failed: None };
    let copied = store.copy(id, &mut out);
    out.failed.take().map_or(copied, Err)
}

/// A file; keeps an error together with the path.
struct Out<'a> {
    file: File,
    path: &'a Path,
    failed: Option<ObjectsError>,
}

impl Write for Out<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes);
        if let Err(error) = &written
            && error.kind() != std::io::ErrorKind::Interrupted
        {
            let (verb, path, source) = ("write", self.path.to_owned(), error.kind().into());
            self.failed = Some(ObjectsError::Io { verb, path, source });
        }
        written
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// The chunks of a blob, a run of them at a time.
struct Feed<'a> {
    store: &'a Store,
    walk: Walk,
    /// The first of the next run, and the block that it lies in.
    next: Option<(Option<Block>, Part)>,
    /// Number of the next run, and where it starts in the file.
    number: usize,
    at: u64,
}

/// Chunks of a blob that follow each other, and lie in one block.
struct Run {
    number: usize,
    at: u64,
    bytes: u64,
    parts: Vec<Part>,
}

/// A block by its pack and number.
type Block = (PackId, u32);

/// Most chunks in a run.
const RUN: usize = 64;

impl Feed<'_> {
    fn part(&mut self) -> Result<Option<(Option<Block>, Part)>> {
        let Some(part) = self.walk.next(&mut 0)? else { return Ok(None) };
        let catalog = self.store.catalog();
        let place = FrameKey::of_chunk(part.digest).iter().find_map(|key| catalog.first(key));
        Ok(Some((place.map(|place| (place.pack, place.record.block)), part)))
    }

    /// The next run; none at the end.
    fn run(&mut self) -> Result<Option<Run>> {
        let first = match self.next.take() {
            Some(first) => first,
            None => match self.part()? {
                Some(first) => first,
                None => return Ok(None),
            },
        };
        let mut parts = vec![first.1];
        while parts.len() < RUN
            && let Some(next) = self.part()?
        {
            if first.0.is_none() || next.0 != first.0 {
                self.next = Some(next);
                break;
            }
            parts.push(next.1);
        }
        let bytes = parts.iter().map(|part| part.bytes).sum();
        let run = Run { number: self.number, at: self.at, bytes, parts };
        self.number += 1;
        self.at += bytes;
        Ok(Some(run))
    }
}

/// What was decoded ahead of the writing.
struct Ahead<'a> {
    feed: Mutex<Feed<'a>>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// By number; none for what could not be read.
    ready: BTreeMap<usize, Option<Ready>>,
    written: usize,
    /// Threads that may still add something.
    decoders: usize,
    stop: bool,
}

/// The bytes of a run.
struct Ready {
    bytes: Vec<u8>,
    /// Whether the file has them already.
    there: bool,
}

impl Ahead<'_> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

/// Copies a large blob with several threads; none if what was found is not it.
fn ahead(
    store: &Store,
    id: BlobId,
    out: &File,
    path: &Path,
    progress: &dyn Progress,
) -> Result<Option<u64>> {
    let Some(walk) = store.walk(id)? else { return Ok(None) };
    let there = Left { file: out, bytes: out.metadata().at("inspect", path)?.len() };
    let threads = cores();
    let shared = Ahead {
        feed: Mutex::new(Feed { store, walk, next: None, number: 0, at: 0 }),
        state: Mutex::new(State { decoders: threads, ..State::default() }),
        changed: Condvar::new(),
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let _done = Done(&shared);
                decode(store, &shared, 4 * threads, &there);
            });
        }
        let written = write((store, id), &shared, &there, path, progress);
        shared.state().stop = true;
        shared.changed.notify_all();
        written
    })
}

/// Tells that a thread has ended, however it did.
struct Done<'a>(&'a Ahead<'a>);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.state().decoders -= 1;
        self.0.changed.notify_all();
    }
}

/// A file, and how much was in it before it was written to.
struct Left<'a> {
    file: &'a File,
    bytes: u64,
}

impl Left<'_> {
    /// The bytes of a run, if they are in their place.
    fn read(&self, run: &Run) -> Option<Vec<u8>> {
        if run.at + run.bytes > self.bytes {
            return None;
        }
        let mut bytes = vec![0; usize::try_from(run.bytes).ok()?];
        // What the disk cannot give back is written anew.
        self.file.read_exact_at(&mut bytes, run.at).ok()?;
        let mut rest = &bytes[..];
        for part in &run.parts {
            let (chunk, more) = rest.split_at_checked(part.bytes as usize)?;
            if !FrameKey::new(FrameKind::Chunk, part.digest).fits(chunk) {
                return None;
            }
            rest = more;
        }
        Some(bytes)
    }
}

/// Decodes runs that are not there yet, at most `window` ahead of the writing.
fn decode(store: &Store, shared: &Ahead<'_>, window: usize, left: &Left<'_>) {
    loop {
        let run = shared.feed.lock().unwrap_or_else(PoisonError::into_inner).run();
        // What cannot be read here is looked for again the slow way, which says why.
        let Ok(Some(run)) = run else { return };
        let mut state = shared.state();
        while run.number >= state.written + window && !state.stop {
            state = shared.wait(state);
        }
        if state.stop {
            return;
        }
        drop(state);
        if let Some(bytes) = left.read(&run) {
            shared.state().ready.insert(run.number, Some(Ready { bytes, there: true }));
            shared.changed.notify_all();
            continue;
        }
        let read = run.parts.iter().try_fold(Vec::new(), |mut bytes, part| {
            let chunk = store.fetch_chunk_unverified(part.digest).ok()?;
            if chunk.len() as u64 != part.bytes {
                return None;
            }
            if bytes.is_empty() && run.parts.len() == 1 {
                return Some(chunk);
            }
            bytes.reserve_exact((run.bytes as usize).saturating_sub(bytes.len()));
            bytes.extend_from_slice(&chunk);
            Some(bytes)
        });
        let read = read.map(|bytes| Ready { bytes, there: false });
        shared.state().ready.insert(run.number, read);
        shared.changed.notify_all();
    }
}

fn write(
    (store, id): (&Store, BlobId),
    shared: &Ahead<'_>,
    left: &Left<'_>,
    path: &Path,
    progress: &dyn Progress,
) -> Result<Option<u64>> {
    let (mut hasher, mut sum) = (BlobHasher::new(), 0);
    for number in 0.. {
        let mut state = shared.state();
        let run = loop {
            match state.ready.remove(&number) {
                Some(run) => break run,
                // Nobody is left who could bring more.
                None if state.decoders == 0 => {
                    if sum < left.bytes {
                        left.file.set_len(sum).at("write", path)?;
                    }
                    return Ok((hasher.finish() == id).then_some(sum));
                }
                None => state = shared.wait(state),
            }
        };
        state.written = number + 1;
        drop(state);
        shared.changed.notify_all();
        let Some(Ready { bytes, there }) = run else { return Ok(None) };
        hasher.update(&bytes);
        if !there {
            step(|| left.file.write_all_at(&bytes, sum)).at("write", path)?;
        }
        progress.advance(bytes.len() as u64);
        sum += bytes.len() as u64;
        store.blocks().give_back(bytes);
    }
    Ok(None)
}
