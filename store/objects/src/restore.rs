//! File contents out of a store into files, over all cores.
//!
//! Small files are taken in the order in which they lie in the packs, so that a block that several
//! share is decoded once. Of a large file, blocks are decoded ahead by several threads, and hashed
//! and written in order by one. The hash of the whole is what decides: chunks are not hashed one by
//! one, unless the whole is wrong; then the slow way finds out which, and looks for another copy.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use lab_schema::{BlobHasher, BlobId};

use crate::backend::PackId;
use crate::catalog::Place;
use crate::error::{At, ObjectsError, Result};
use crate::frame::{FrameKey, FrameKind};
use crate::list::Part;
use crate::pipeline::MAX_WORKERS;
use crate::progress::Progress;
use crate::store::Store;

/// A file that is to be written.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) path: PathBuf,
    pub(crate) id: BlobId,
    pub(crate) executable: bool,
}

/// Makes a file, by its path and whether it is executable, has it filled, and puts it in its place.
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
    for file in files {
        let keys: Vec<FrameKey> = FrameKey::of_object(file.id.into()).collect();
        match store.places(&keys)?.first() {
            None => return Err(ObjectsError::Missing { id: file.id.into() }),
            Some(place) if place.record.key.kind == FrameKind::List => large.push(file),
            Some(place) => small.push((order(place), file)),
        }
    }
    small.sort_unstable_by_key(|(order, _)| *order);
    let groups: Vec<&[(Order, &Wanted)]> =
        small.chunk_by(|a, b| (a.0.0, a.0.1) == (b.0.0, b.0.1)).collect();
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let done = Mutex::new(Ok(0));
    let work = || {
        while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed))
            && !stop.load(Ordering::Relaxed)
        {
            let written = group.iter().try_fold(0, |sum, (_, file)| {
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
                if let Some(bytes) = ahead(store, file.id, &mut out, path, progress)? {
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

/// Where something lies: pack, block, place in the block.
type Order = (PackId, u32, u32);

fn order(place: &Place) -> Order {
    (place.pack, place.record.block, place.record.start)
}

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

/// Parts that lie behind each other in one block.
type Run<'a> = &'a [(Option<(PackId, u32)>, Part)];

/// What was decoded ahead of the writing.
struct Ahead {
    ready: Mutex<BTreeMap<usize, Option<Vec<u8>>>>,
    changed: Condvar,
    next: AtomicUsize,
    written: AtomicUsize,
    stop: AtomicBool,
}

/// Copies a large blob with several threads; none if what was found is not it.
fn ahead(
    store: &Store,
    id: BlobId,
    out: &mut File,
    path: &Path,
    progress: &dyn Progress,
) -> Result<Option<u64>> {
    let Some(parts) = store.chunk_list(id)? else { return Ok(None) };
    let mut placed = Vec::with_capacity(parts.len());
    for part in parts {
        let catalog = store.catalog();
        let place = FrameKey::of_chunk(part.digest).iter().find_map(|k| catalog.first(k));
        placed.push((place.map(|place| (place.pack, place.record.block)), part));
    }
    let runs: Vec<Run<'_>> = placed.chunk_by(|a, b| a.0.is_some() && a.0 == b.0).collect();
    let window = 4 * cores();
    let shared = Ahead {
        ready: Mutex::default(),
        changed: Condvar::new(),
        next: AtomicUsize::new(0),
        written: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
    };
    std::thread::scope(|scope| {
        for _ in 0..cores() {
            scope.spawn(|| decode(store, &runs, &shared, window));
        }
        let written = write(id, &runs, &shared, out, path, progress);
        shared.stop.store(true, Ordering::Relaxed);
        // Taken, so that nobody is between looking and waiting.
        drop(shared.ready.lock().unwrap_or_else(PoisonError::into_inner));
        shared.changed.notify_all();
        written
    })
}

/// Decodes runs, at most `window` ahead of the writing.
fn decode(store: &Store, runs: &[Run<'_>], shared: &Ahead, window: usize) {
    loop {
        let number = shared.next.fetch_add(1, Ordering::Relaxed);
        let Some(run) = runs.get(number) else { return };
        let mut ready = shared.ready.lock().unwrap_or_else(PoisonError::into_inner);
        while number >= shared.written.load(Ordering::Relaxed) + window
            && !shared.stop.load(Ordering::Relaxed)
        {
            ready = shared.changed.wait(ready).unwrap_or_else(PoisonError::into_inner);
        }
        drop(ready);
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        // What cannot be read here is looked for again the slow way, which says why.
        let read = run.iter().try_fold(Vec::new(), |mut bytes, (_, part)| {
            let chunk = store.fetch_chunk_unverified(part.digest).ok()?;
            if chunk.len() as u64 != part.bytes {
                return None;
            }
            if bytes.is_empty() {
                return Some(chunk);
            }
            bytes.extend_from_slice(&chunk);
            Some(bytes)
        });
        shared.ready.lock().unwrap_or_else(PoisonError::into_inner).insert(number, read);
        shared.changed.notify_all();
    }
}

fn write(
    id: BlobId,
    runs: &[Run<'_>],
    shared: &Ahead,
    out: &mut File,
    path: &Path,
    progress: &dyn Progress,
) -> Result<Option<u64>> {
    let (mut hasher, mut sum) = (BlobHasher::new(), 0);
    for number in 0..runs.len() {
        let mut ready = shared.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = loop {
            match ready.remove(&number) {
                Some(bytes) => break bytes,
                None => {
                    ready = shared.changed.wait(ready).unwrap_or_else(PoisonError::into_inner);
                }
            }
        };
        shared.written.store(number + 1, Ordering::Relaxed);
        drop(ready);
        shared.changed.notify_all();
        let Some(bytes) = bytes else { return Ok(None) };
        hasher.update(&bytes);
        out.write_all(&bytes).at("write", path)?;
        progress.advance(bytes.len() as u64);
        sum += bytes.len() as u64;
    }
    Ok((hasher.finish() == id).then_some(sum))
}
