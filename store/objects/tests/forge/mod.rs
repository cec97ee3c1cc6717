//! Stores as somebody writes them who wants to be believed: any tables, under checksums that are
//! right, since anybody can compute those. The bytes are those that `docs/layout.md` specifies.
//!
//! Shared by the tests of hostile stores and by the fuzz targets.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use lab_objects::{Backend, Key, PackId, Result, Room, Store};
use lab_schema::{BlobId, Digest};

/// The numbers of the kinds of frame.
pub const BLOB: u8 = 0;
pub const CHUNK: u8 = 1;
pub const LIST: u8 = 2;
pub const NODE: u8 = 3;
pub const TREE: u8 = 4;

/// The numbers of the encodings.
pub const RAW: u8 = 0;
pub const ZSTD: u8 = 1;
pub const PLANES: u8 = 2;
pub const DELTA: u8 = 3;
pub const PATCH: u8 = 4;

/// A block as its pack describes it.
#[derive(Clone, Debug)]
pub struct Block {
    pub stored: Vec<u8>,
    /// What the record says of `stored`, if that is not its length.
    pub stored_len: Option<u32>,
    pub bytes: u32,
    pub encoding: u8,
    pub depth: u8,
    pub base: Option<Digest>,
}

impl Block {
    /// A block that is as it says.
    pub fn raw(bytes: &[u8]) -> Block {
        Block::encoded(RAW, bytes, bytes.len() as u32)
    }

    /// A block that claims to decode to so many bytes.
    pub fn encoded(encoding: u8, stored: &[u8], bytes: u32) -> Block {
        Block { stored: stored.to_vec(), stored_len: None, bytes, encoding, depth: 0, base: None }
    }

    /// A block that claims to stand on `base`, which takes one delta less.
    pub fn delta(stored: &[u8], bytes: u32, base: Digest, depth: u8) -> Block {
        Block { depth, base: Some(base), ..Block::encoded(DELTA, stored, bytes) }
    }
}

/// A frame as its pack describes it.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    pub kind: u8,
    pub digest: Digest,
    pub block: u32,
    pub start: u32,
    pub bytes: u32,
}

/// The pack of these blocks and frames, and its name. Frames are sorted; nothing else is put right.
pub fn pack(blocks: &[Block], frames: &[Frame]) -> (PackId, Vec<u8>) {
    let (mut body, mut tables) = (b"LABPACK\x02".to_vec(), Vec::new());
    for block in blocks {
        body.extend_from_slice(&block.stored);
        let stored = block.stored_len.unwrap_or(block.stored.len() as u32);
        for number in [stored, block.bytes, crc32fast::hash(&block.stored)] {
            tables.extend_from_slice(&number.to_le_bytes());
        }
        tables.extend_from_slice(&[block.encoding, block.depth]);
    }
    let bases: Vec<Digest> = blocks.iter().filter_map(|block| block.base).collect();
    bases.iter().for_each(|base| tables.extend_from_slice(base.as_bytes()));
    let mut frames = frames.to_vec();
    frames.sort_by_key(|frame| (frame.kind, frame.digest));
    for frame in &frames {
        tables.push(frame.kind);
        tables.extend_from_slice(frame.digest.as_bytes());
        for number in [frame.block, frame.start, frame.bytes] {
            tables.extend_from_slice(&number.to_le_bytes());
        }
    }
    seal(body, tables, [blocks.len(), bases.len(), frames.len()].map(|count| count as u32))
}

/// A pack of this body and these tables, with a footer that claims such counts.
pub fn seal(body: Vec<u8>, tables: Vec<u8>, counts: [u32; 3]) -> (PackId, Vec<u8>) {
    let mut tables = tables;
    counts.iter().for_each(|count| tables.extend_from_slice(&count.to_le_bytes()));
    let checksum = Digest::derive("lab 2026-11-25 store pack tail", &tables);
    let bytes = [&body[..], &tables, checksum.as_bytes(), b"LABTAIL\x02"].concat();
    (PackId::from_digest(checksum), bytes)
}

/// A pack in which each of these lies as it is, in a block of its own.
pub fn plain_pack(contents: &[(u8, Digest, &[u8])]) -> (PackId, Vec<u8>) {
    let blocks: Vec<Block> = contents.iter().map(|(_, _, bytes)| Block::raw(bytes)).collect();
    let frames: Vec<Frame> = (0..)
        .zip(contents)
        .map(|(block, (kind, digest, bytes))| Frame {
            kind: *kind,
            digest: *digest,
            block,
            start: 0,
            bytes: bytes.len() as u32,
        })
        .collect();
    pack(&blocks, &frames)
}

/// The digest of a chunk or small file.
pub fn digest(bytes: &[u8]) -> Digest {
    BlobId::of(bytes).digest()
}

/// The body of a list or node.
pub fn parts(level: u8, parts: &[(Digest, u64)]) -> Vec<u8> {
    let entry =
        |(digest, bytes): &(Digest, u64)| [&digest.as_bytes()[..], &bytes.to_le_bytes()].concat();
    [&[level][..], &parts.iter().flat_map(entry).collect::<Vec<u8>>()].concat()
}

/// The frame of a list that says it is `blob`, of `size` bytes.
pub fn list(blob: Digest, size: u64, body: &[u8]) -> Vec<u8> {
    let rest = [&size.to_le_bytes()[..], body].concat();
    let covered = [&blob.as_bytes()[..], &rest].concat();
    let checksum = Digest::derive("lab 2026-11-24 store list", &covered);
    [&checksum.as_bytes()[..], &rest].concat()
}

/// The key of a node with this body.
pub fn node(body: &[u8]) -> Digest {
    Digest::derive("lab 2026-11-24 store list node", body)
}

/// The journal of `name` with these fields in its lines.
pub fn journal(name: &str, lines: &[&str]) -> String {
    let (mut text, mut before) = (String::new(), String::new());
    for fields in lines {
        let covered = format!("{name}\n{before}\n{fields}");
        let digest = Digest::derive("lab 2026-11-24 store move", covered.as_bytes());
        before = digest.to_string()[..16].to_owned();
        text.push_str(&format!("{fields}\t{before}\n"));
    }
    text
}

/// Files that nobody checks when they are put.
#[derive(Debug, Default)]
pub struct Files {
    files: Mutex<BTreeMap<Key, Vec<u8>>>,
}

impl Files {
    fn files(&self) -> MutexGuard<'_, BTreeMap<Key, Vec<u8>>> {
        self.files.lock().expect("nobody panics while holding it")
    }

    /// Puts a file, whatever it is.
    pub fn put(&self, key: Key, bytes: Vec<u8>) {
        self.files().insert(key, bytes);
    }
}

/// A store with these packs in it.
pub fn store(packs: impl IntoIterator<Item = (PackId, Vec<u8>)>) -> (Store, Arc<Files>) {
    let files = Arc::new(Files::default());
    files.put(Key::Format, b"lab store 2\n".to_vec());
    packs.into_iter().for_each(|(id, bytes)| files.put(Key::Pack(id), bytes));
    (Store::open(files.clone()).expect("the format is right"), files)
}

impl Backend for Files {
    fn location(&self) -> String {
        "forged".into()
    }

    fn read(&self, key: &Key) -> Result<Option<Vec<u8>>> {
        Ok(self.files().get(key).cloned())
    }

    fn read_range(&self, key: &Key, offset: u64, len: u64) -> Result<Option<Vec<u8>>> {
        Ok(self.files().get(key).map(|bytes| {
            let start = offset.min(bytes.len() as u64) as usize;
            let end = offset.saturating_add(len).min(bytes.len() as u64) as usize;
            bytes[start..end].to_vec()
        }))
    }

    fn publish(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        self.put(key.clone(), bytes.to_vec());
        Ok(())
    }

    fn settle(&self) -> Result<()> {
        Ok(())
    }

    fn mend(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        self.publish(key, bytes)
    }

    fn swap(&self, key: &Key, expected: Option<&[u8]>, new: &[u8]) -> Result<bool> {
        let mut files = self.files();
        let fits = files.get(key).map(Vec::as_slice) == expected;
        if fits {
            files.insert(key.clone(), new.to_vec());
        }
        Ok(fits)
    }

    fn list(&self, room: Room) -> Result<Vec<(Key, u64)>> {
        let files = self.files();
        let here = files.iter().filter(|(key, _)| key.room() == room);
        Ok(here.map(|(key, bytes)| (key.clone(), bytes.len() as u64)).collect())
    }

    fn remove(&self, key: &Key) -> Result<bool> {
        Ok(self.files().remove(key).is_some())
    }
}
