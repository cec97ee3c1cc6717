//! Files and folders into a store.
//!
//! Keeps bytes, whether a file is executable, links as they are written, empty folders, and names
//! of any bytes. Skips folders and links called `.lab`, which are registries. Follows no link but the
//! path it was given. Refuses sockets, pipes and devices, files that change while they are read,
//! and folders nested too deep.
//!
//! Small files are read by the writer's workers, many at a time; large ones here. A folder becomes a
//! tree once all that is in it has an id. What the stat cache says did not change is not read.

use std::collections::VecDeque;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use lab_encoding::float::Element;
use lab_schema::tree::Node;
use lab_schema::{BlobId, ContentId, FileName, Tree, TreeId};

use crate::chunk::SMALL;
use crate::error::{At, ObjectsError, Result};
use crate::frame::FrameKind;
use crate::pack::Encoded;
use crate::pipeline::{Loaded, Piece, Reply};
use crate::progress::Progress;
use crate::read::layout;
use crate::scan::{Entry, Scan, Step};
use crate::source::Random;
use crate::stat::{Identity, StatCache};
use crate::writer::{BATCH, Writer};

mod files;

pub use files::{Filed, Hearing, Witness, add_files};
use files::{Watched, unsupported};

/// Most small files that are read together.
const TOGETHER: usize = 256;

/// What was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// Its id.
    pub content: ContentId,
    /// Number of files in it.
    pub files: u64,
    /// The sum of their sizes in bytes.
    pub bytes: u64,
    /// Number of the files that did not have to be read.
    pub unchanged: u64,
}

/// Stores the file or folder at `path`; it is durable once the writer is finished.
pub fn add(writer: &mut Writer, path: &Path, progress: &dyn Progress) -> Result<Added> {
    add_cached(writer, path, None, progress)
}

/// The same; files that `cache` knows are not read.
pub fn add_cached(
    writer: &mut Writer,
    path: &Path,
    cache: Option<&mut StatCache>,
    progress: &dyn Progress,
) -> Result<Added> {
    let meta = fs::metadata(path).at("inspect", path)?;
    progress.begin("add", meta.is_file().then_some(meta.len()));
    let mut walk = Walk::new(path, writer, cache, progress);
    let content = walk.whole(path, &meta);
    progress.end();
    let Sum { files, bytes, unchanged } = walk.sum;
    Ok(Added { content: content?, files, bytes, unchanged })
}

#[derive(Default)]
struct Sum {
    files: u64,
    bytes: u64,
    unchanged: u64,
}

struct Walk<'a> {
    /// What is added.
    top: &'a Path,
    writer: &'a mut Writer,
    cache: Option<&'a mut StatCache>,
    progress: &'a dyn Progress,
    /// The folders that are not complete yet; none where one was.
    folders: Vec<Option<Folder>>,
    /// Small files that are to be read together.
    small: Vec<Small>,
    small_bytes: u64,
    under_way: VecDeque<(Reply, Vec<Small>, SystemTime)>,
    root: Option<TreeId>,
    sum: Sum,
    /// Hears what is read.
    witness: Option<Arc<dyn Witness>>,
}

struct Folder {
    entries: Vec<(FileName, Option<Node>)>,
    /// How many entries have no node yet, and one more while the folder is being listed.
    open: usize,
    /// The folder that it is in, and its place there.
    parent: Option<Slot>,
}

/// A place in a folder.
type Slot = (usize, usize);

/// A small file that is to be read.
#[derive(Clone)]
struct Small {
    path: PathBuf,
    identity: Identity,
    size: u64,
    executable: bool,
    slot: Slot,
}

impl<'a> Walk<'a> {
    fn new(
        top: &'a Path,
        writer: &'a mut Writer,
        cache: Option<&'a mut StatCache>,
        progress: &'a dyn Progress,
    ) -> Walk<'a> {
        Walk {
            top,
            writer,
            cache,
            progress,
            folders: Vec::new(),
            small: Vec::new(),
            small_bytes: 0,
            under_way: VecDeque::new(),
            root: None,
            sum: Sum::default(),
            witness: None,
        }
    }

    fn whole(&mut self, path: &Path, meta: &Metadata) -> Result<ContentId> {
        if !meta.is_dir() {
            return self.file(path, meta, 0).map(|(id, _)| ContentId::Blob(id));
        }
        std::thread::scope(|scope| self.tree(Scan::of(path, scope)?))?;
        self.take_in_all()?;
        Ok(ContentId::Tree(self.root.expect("the root is complete once all in it is")))
    }

    /// Waits for all small files.
    fn take_in_all(&mut self) -> Result<()> {
        self.read_small()?;
        while let Some((reply, files, read)) = self.under_way.pop_front() {
            self.writer.loaded(&reply)?;
            self.take_in(&reply, files, read)?;
        }
        Ok(())
    }

    fn tree(&mut self, steps: Scan) -> Result<()> {
        // Those that were entered.
        let mut entered = vec![self.enter(None)];
        for step in steps {
            let Some(number) = entered.last().copied() else { break };
            match step? {
                Step::Leave => {
                    entered.pop();
                    self.complete(number)?;
                }
                Step::Entry(Entry { name, path, meta }) => {
                    let open = self.open_folder(number);
                    let slot = (number, open.entries.len());
                    open.entries.push((FileName::new(name.into_vec())?, None));
                    open.open += 1;
                    if meta.is_dir() {
                        entered.push(self.enter(Some(slot)));
                    } else {
                        self.node(path, &meta, slot)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn enter(&mut self, parent: Option<Slot>) -> usize {
        self.folders.push(Some(Folder { entries: Vec::new(), open: 1, parent }));
        self.folders.len() - 1
    }

    fn open_folder(&mut self, number: usize) -> &mut Folder {
        self.folders[number].as_mut().expect("a folder stays until all in it is known")
    }

    fn node(&mut self, path: PathBuf, meta: &Metadata, slot: Slot) -> Result<()> {
        if meta.is_symlink() {
            let target = fs::read_link(&path).at("read link", &path)?;
            return self.fill(slot, Node::Link { target: target.into_os_string().into_vec() });
        }
        let executable = meta.permissions().mode() & 0o100 != 0;
        if meta.is_file() && meta.len() <= SMALL as u64 {
            let (identity, size) = (Identity::of(meta), meta.len());
            if let Some(id) = self.known(&identity, size)? {
                return self.fill(slot, Node::File { id, size, executable });
            }
            self.small.push(Small { path, identity, size, executable, slot });
            self.small_bytes += size;
            // Half a batch each, so that several workers have something to do.
            if self.small.len() == TOGETHER || self.small_bytes >= BATCH as u64 / 2 {
                self.read_small()?;
            }
            return Ok(());
        }
        let (id, size) = self.file(&path, meta, slot.1)?;
        self.fill(slot, Node::File { id, size, executable })
    }

    /// What the cache says that the file holds, if the store has it.
    fn known(&mut self, identity: &Identity, size: u64) -> Result<Option<BlobId>> {
        let Some(id) = self.cache.as_ref().and_then(|cache| cache.get(identity)) else {
            return Ok(None);
        };
        if !self.writer.relies_on(id)? {
            return Ok(None);
        }
        self.count(size);
        self.sum.unchanged += 1;
        Ok(Some(id))
    }

    fn count(&mut self, size: u64) {
        self.sum.files += 1;
        self.sum.bytes += size;
        self.progress.advance(size);
    }

    /// Has the small files read that have come together, and takes in what has been read.
    fn read_small(&mut self) -> Result<()> {
        if self.small.is_empty() {
            return Ok(());
        }
        let files = std::mem::take(&mut self.small);
        self.small_bytes = 0;
        let (read, wanted, witness) = (SystemTime::now(), files.clone(), self.witness.clone());
        let load = move |bytes: &mut Vec<u8>| load(&wanted, witness.as_ref(), bytes);
        let reply = self.writer.put_loaded(Box::new(load))?;
        self.under_way.push_back((reply, files, read));
        while let Some((reply, ..)) = self.under_way.front()
            && reply.get().is_some()
            && let Some((reply, files, read)) = self.under_way.pop_front()
        {
            self.take_in(&reply, files, read)?;
        }
        Ok(())
    }

    fn take_in(&mut self, reply: &Reply, files: Vec<Small>, read: SystemTime) -> Result<()> {
        let parts = reply.get().expect("the reply was waited for");
        for (file, part) in files.into_iter().zip(parts) {
            let id = BlobId::from_digest(part.digest);
            let Small { identity, size, executable, slot, .. } = file;
            if let Some(cache) = &mut self.cache {
                cache.put(identity, id, read);
            }
            self.count(size);
            self.fill(slot, Node::File { id, size, executable })?;
        }
        Ok(())
    }

    /// Notes what is at a place in a folder.
    fn fill(&mut self, slot: Slot, node: Node) -> Result<()> {
        self.open_folder(slot.0).entries[slot.1].1 = Some(node);
        self.complete(slot.0)
    }

    /// One thing less is open in a folder; if it was the last, the folder becomes a tree, and so on
    /// upwards.
    fn complete(&mut self, number: usize) -> Result<()> {
        let mut number = number;
        loop {
            let folder = self.open_folder(number);
            folder.open -= 1;
            if folder.open > 0 {
                return Ok(());
            }
            let Some(Folder { entries, parent, .. }) = self.folders[number].take() else {
                return Ok(());
            };
            // Numbers are used again, so that memory is that of the folders under way.
            while self.folders.last().is_some_and(Option::is_none) {
                self.folders.pop();
            }
            let entries = entries.into_iter().map(|(name, node)| {
                let node = node.expect("nothing in the folder is open");
                lab_schema::Entry { name, node }
            });
            let tree = Tree::new(entries.collect())?;
            let (id, size) = (self.writer.put(&tree)?, tree.total_bytes());
            let Some((above, place)) = parent else {
                self.root = Some(id);
                return Ok(());
            };
            self.open_folder(above).entries[place].1 = Some(Node::Directory { id, size });
            number = above;
        }
    }

    /// Stores a file that was inspected before; whatever differs from that inspection when it
    /// has been read is a change.
    fn file(&mut self, path: &Path, before: &Metadata, number: usize) -> Result<(BlobId, u64)> {
        if let Some(what) = unsupported(before) {
            return Err(ObjectsError::Unsupported { path: path.to_owned(), what });
        }
        let (identity, read) = (Identity::of(before), SystemTime::now());
        if let Some(id) = self.known(&identity, before.len())? {
            return Ok((id, before.len()));
        }
        let file = File::open(path).at("open", path)?;
        let changed = || ObjectsError::Changed { path: path.to_owned() };
        if Identity::of(&file.metadata().at("inspect", path)?) != identity {
            return Err(changed());
        }
        let at = |error| match error {
            ObjectsError::Stream { source, .. } => {
                ObjectsError::Io { verb: "read", path: path.to_owned(), source }
            }
            error => error,
        };
        let layout = layout(&mut Random(&file), before.len()).map_err(at)?;
        let earlier = match self.cache.as_ref().and_then(|cache| cache.last_at(path)) {
            Some(id) => Some(id),
            None => self.writer.namesake(path.strip_prefix(self.top).unwrap_or(path))?,
        };
        let hearing = self.witness.clone().map(|witness| witness.open(number));
        let mut source = Watched { file: &file, progress: self.progress, hearing };
        let put = self.writer.put_version(&mut source, layout.as_ref(), earlier);
        let (id, size) = put.map_err(at)?;
        if Identity::of(&file.metadata().at("inspect", path)?) != identity || size != before.len() {
            return Err(changed());
        }
        if let Some(hearing) = source.hearing {
            hearing.end();
        }
        self.sum.files += 1;
        self.sum.bytes += size;
        if let Some(cache) = &mut self.cache {
            cache.put(identity, id, read);
            cache.put_at(path, id);
        }
        Ok((id, size))
    }
}

/// Reads small files that were inspected before, in a worker's thread.
fn load(
    files: &[Small],
    witness: Option<&Arc<dyn Witness>>,
    bytes: &mut Vec<u8>,
) -> Result<Loaded> {
    let mut pieces = Vec::with_capacity(files.len());
    for Small { path, identity, size, slot, .. } in files {
        let start = bytes.len();
        let file = File::open(path).at("open", path)?;
        // One byte more would tell that it has grown.
        bytes.reserve(*size as usize + 1);
        (&file).take(size + 1).read_to_end(bytes).at("read", path)?;
        let after = file.metadata().at("inspect", path)?;
        if Identity::of(&after) != *identity || (bytes.len() - start) as u64 != *size {
            return Err(ObjectsError::Changed { path: path.clone() });
        }
        if let Some(witness) = witness {
            let mut hearing = Arc::clone(witness).open(slot.1);
            hearing.hear(&bytes[start..]);
            hearing.end();
        }
        pieces.push(Piece {
            kind: FrameKind::Blob,
            range: start..bytes.len(),
            element: Element::Other,
            digest: None,
            bases: [None; 2],
        });
    }
    Ok(Loaded { pieces, ready: Encoded::default() })
}
