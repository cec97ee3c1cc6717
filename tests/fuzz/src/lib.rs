//! What the fuzz targets share: bytes turned into hostile stores, and everything that a store
//! promises about whatever is in it.
//!
//! A fuzzer cannot guess a checksum, so the checksums are computed here, as an attacker would; what
//! they cover is the fuzzer's. What is forged is small, so that a slow run is a finding.

#[path = "../../../store/objects/tests/forge/mod.rs"]
pub mod forge;
pub mod said;
pub mod served;
mod taken;
pub mod wire;

use std::io::{self, Write};

use lab_encoding::plain;
use lab_objects::{ObjectsError, PackId, Silent, Store, check, find_in_tree};
use lab_schema::{BlobId, Digest, FileName, Kind, ObjectId, Tree, TreeId};

pub use taken::Taken;

/// Most bytes that are read of one object.
const MOST: usize = 4 << 20;

/// Bytes that something is a change to, since a fuzzer's own would be too few.
pub fn earlier(len: u16, seed: u8) -> Vec<u8> {
    (0..len).map(|n| (n as u8).wrapping_mul(seed) ^ (n >> 8) as u8).collect()
}

/// What a forged store has so far, for what is forged next to point at.
#[derive(Default)]
struct Pool(Vec<(Digest, u64)>);

impl Pool {
    fn take(&self, input: &mut Taken<'_>) -> (Digest, u64) {
        let at = usize::from(input.u8());
        match self.0.len() {
            0 => (forge::digest(&[at as u8]), at as u64),
            len => self.0[at % len],
        }
    }
}

/// The packs that these bytes describe: blocks of every encoding, lists, nodes and trees that point
/// at each other, and here and there a number that is a lie.
pub fn packs(data: &[u8]) -> Vec<(PackId, Vec<u8>)> {
    let (mut input, mut pool, mut packs) = (Taken(data), Pool::default(), Vec::new());
    while !input.is_empty() && packs.len() < 4 {
        let (mut blocks, mut frames) = (Vec::new(), Vec::new());
        while !input.is_empty() && blocks.len() < 64 {
            let order = input.u8();
            if order == 0xff {
                break;
            }
            let (kind, digest, block) = part(order, &mut input, &pool);
            pool.0.push((digest, u64::from(block.bytes)));
            let number = blocks.len() as u32;
            let bytes = block.bytes;
            frames.push(forge::Frame { kind, digest, block: number, start: 0, bytes });
            blocks.push(block);
            if order & 0x80 != 0 {
                lie(&mut input, &mut blocks, &mut frames, &pool);
            }
        }
        packs.push(forge::pack(&blocks, &frames));
    }
    packs
}

/// A block with one frame.
fn part(order: u8, input: &mut Taken<'_>, pool: &Pool) -> (u8, Digest, forge::Block) {
    match order % 8 {
        0 => {
            let bytes = input.short();
            (forge::BLOB, forge::digest(bytes), forge::Block::raw(bytes))
        }
        1 => {
            let bytes = input.short().repeat(1 + usize::from(input.u8()));
            let stored = plain::Coder::new().expect("there is memory");
            let mut stored = stored;
            let stored = stored.encode(&bytes).expect("it compresses").map(<[u8]>::to_vec);
            let block = match stored {
                Some(stored) => forge::Block::encoded(forge::ZSTD, &stored, bytes.len() as u32),
                None => forge::Block::raw(&bytes),
            };
            (forge::CHUNK, forge::digest(&bytes), block)
        }
        2 => {
            let (encoding, bytes) = (1 + input.u8() % 2, u32::from(input.u16()));
            let stored = input.short();
            (forge::CHUNK, forge::digest(stored), forge::Block::encoded(encoding, stored, bytes))
        }
        3 => {
            let (base, len) = pool.take(input);
            let (depth, stored) = (input.u8(), input.short());
            let mut block = forge::Block::delta(stored, len as u32, base, depth % 16 % 9);
            if depth & 0x10 != 0 {
                block.encoding = forge::PATCH;
            }
            (forge::CHUNK, forge::digest(stored), block)
        }
        order @ (4 | 5) => {
            let level = input.u8() % 5;
            let parts: Vec<(Digest, u64)> =
                (0..input.u8() % 32).map(|_| pool.take(input)).collect();
            let size = parts.iter().map(|part| part.1).fold(0, u64::wrapping_add);
            let size = if input.u8() == 0 { input.u64() } else { size };
            let body = forge::parts(level, &parts);
            if order == 4 {
                return (forge::NODE, forge::node(&body), forge::Block::raw(&body));
            }
            let blob = pool.take(input).0;
            let frame = forge::list(blob, size, &body);
            (forge::LIST, blob, forge::Block::raw(&frame))
        }
        6 => {
            let kind = Kind::ALL[usize::from(input.u8()) % Kind::ALL.len()];
            let bytes = input.short();
            let code = [forge::BLOB, forge::TREE, 5, 6, 7][kind as usize];
            (code, kind.digest(bytes), forge::Block::raw(bytes))
        }
        _ => {
            let name = FileName::new(input.short()).unwrap_or_else(|_| FileName::new("x").unwrap());
            let (digest, size) = pool.take(input);
            let node = match input.u8() % 3 {
                0 => lab_schema::tree::Node::Directory { id: TreeId::from_digest(digest), size },
                1 => lab_schema::tree::Node::Link { target: b"/etc".to_vec() },
                _ => {
                    let id = BlobId::from_digest(digest);
                    lab_schema::tree::Node::File { id, size, executable: false }
                }
            };
            let tree = Tree::new(vec![lab_schema::Entry { name, node }]).expect("one entry");
            let bytes = lab_schema::Object::encode(&tree);
            (forge::TREE, Kind::Tree.digest(&bytes), forge::Block::raw(&bytes))
        }
    }
}

/// Puts one number wrong.
fn lie(
    input: &mut Taken<'_>,
    blocks: &mut [forge::Block],
    frames: &mut Vec<forge::Frame>,
    pool: &Pool,
) {
    let (Some(block), Some(frame)) = (blocks.last_mut(), frames.last_mut()) else { return };
    match input.u8() % 10 {
        0 => frame.start = input.u32(),
        1 => frame.bytes = input.u32(),
        2 => frame.block = input.u32() % 70,
        3 => frame.kind = input.u8(),
        4 => frame.digest = pool.take(input).0,
        5 => block.bytes = input.u32(),
        6 => block.depth = input.u8(),
        7 => block.encoding = input.u8(),
        8 => block.stored_len = Some(input.u32()),
        _ => {
            let copy = *frame;
            frames.push(forge::Frame { digest: pool.take(input).0, kind: input.u8() % 8, ..copy });
        }
    }
}

/// Takes a bounded number of bytes.
struct Sink(Vec<u8>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MOST {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads all that there is in a store, in every way. Whatever it holds: no read gives wrong bytes,
/// and a full check without a finding means that all of it can be read.
pub fn exercise(store: &Store) {
    let sound = match check(store, true, &Silent) {
        Ok(report) => report.findings.is_empty(),
        Err(error) => panic!("a check ended with {error}"),
    };
    check(store, false, &Silent).expect("it has just been possible");
    for kind in Kind::ALL {
        for id in store.list(kind).expect("it has just been possible") {
            let read = read(store, id);
            assert!(read || !sound, "{id} cannot be read, and the check found nothing");
        }
    }
    for pack in store.packs().expect("it has just been possible") {
        let _ = store.pack_objects(pack);
    }
}

/// Whether the object could be read; what is read is right.
fn read(store: &Store, id: ObjectId) -> bool {
    let mut sink = Sink(Vec::new());
    let copied = store.copy(id, &mut sink);
    let size = store.size(id);
    let whole = match copied {
        Ok(bytes) => {
            assert_eq!(id.kind().digest(&sink.0), id.digest(), "wrong bytes were read");
            assert_eq!(bytes, sink.0.len() as u64);
            true
        }
        Err(ObjectsError::Stream { .. }) => true,
        Err(_) => false,
    };
    match id {
        ObjectId::Blob(blob) => {
            let bytes = size.ok().flatten().unwrap_or(0);
            let (start, end) = (bytes / 3, (bytes / 3).saturating_add(1 << 16).min(bytes));
            let range = store.read_range(blob, start..end);
            if whole && bytes == sink.0.len() as u64 {
                let right = &sink.0[start as usize..end as usize];
                assert_eq!(range.expect("the whole was read"), right);
            }
            let _ = store.layout(blob);
            let _ = store.read_blob(blob, MOST as u64);
        }
        ObjectId::Tree(tree) => {
            let path = [FileName::new("x").expect("a name"), FileName::new("y").expect("a name")];
            let _ = find_in_tree(store, tree, &path);
        }
        _ => {}
    }
    whole
}
