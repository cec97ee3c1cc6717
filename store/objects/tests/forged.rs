//! Stores that somebody forged, with every checksum right: nothing that they claim is believed, no
//! work or memory grows without bound, and `get` refuses before a byte is written.
#![allow(clippy::unwrap_used)]

mod forge;

use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use forge::{BLOB, Block, CHUNK, Frame, LIST, NODE, TREE, digest};
use lab_encoding::plain;
use lab_objects::{
    Finding, GetOptions, Memory, ObjectsError, PackId, Report, Silent, Store, check, get,
};
use lab_schema::codec::MAX_OBJECT_BYTES;
use lab_schema::tree::Node;
use lab_schema::{BlobId, ContentId, Digest, Entry, FileName, Kind, Object, Tree, TreeId};

/// Does something that must not take long: hostile numbers would make it take years.
fn soon<T: Send + 'static>(what: &str, action: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, waiting) = mpsc::channel();
    let thread = std::thread::spawn(move || done.send(action()));
    match waiting.recv_timeout(Duration::from_secs(60)) {
        Ok(result) => {
            thread.join().unwrap().unwrap();
            result
        }
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{what} does not end"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(thread.join().unwrap_err())
        }
    }
}

fn compressed(raw: &[u8]) -> Vec<u8> {
    plain::Coder::new().unwrap().encode(raw).unwrap().unwrap().to_vec()
}

fn checked(store: &Store) -> Report {
    let store = store.clone();
    soon("a full check", move || check(&store, true, &Silent).unwrap())
}

/// The pack is refused as a whole, and what is in it is not here.
fn refused(packs: [(PackId, Vec<u8>); 1]) -> String {
    let (store, _) = forge::store(packs);
    let findings = checked(&store).findings;
    assert!(Kind::ALL.into_iter().all(|kind| store.list(kind).unwrap().is_empty()));
    match &findings[..] {
        [Finding::Pack { why, .. }] => why.clone(),
        other => panic!("{other:?}"),
    }
}

fn frame(kind: u8, digest: Digest, bytes: u32) -> Frame {
    Frame { kind, digest, block: 0, start: 0, bytes }
}

fn damaged<T: std::fmt::Debug>(result: lab_objects::Result<T>) {
    assert!(matches!(result, Err(ObjectsError::Damaged { .. })), "{result:?}");
}

#[test]
fn bombs_are_refused_by_what_they_claim() {
    let stored = compressed(&vec![0; 64 << 20]);
    assert!(stored.len() < 10_000);
    let id = digest(b"a bomb");
    // By its own word it is too large for a chunk, and for a block that several share.
    let block = Block::encoded(forge::ZSTD, &stored, 64 << 20);
    let why = refused([forge::pack(std::slice::from_ref(&block), &[frame(BLOB, id, 64 << 20)])]);
    assert_eq!(why, "it holds a frame with impossible lengths");
    let why = refused([forge::pack(&[block], &[frame(BLOB, id, 10)])]);
    assert_eq!(why, "it holds a block that is too large for what lies in it");
    let beyond = Block::encoded(forge::ZSTD, &stored, u32::MAX);
    let why = refused([forge::pack(&[beyond], &[frame(TREE, id, u32::MAX)])]);
    assert_eq!(why, "it holds a frame with impossible lengths");

    // It claims to be small: no more is decoded than was claimed.
    let modest = Block::encoded(forge::ZSTD, &stored, 100_000);
    let (store, _) = forge::store([forge::pack(&[modest], &[frame(BLOB, id, 100_000)])]);
    damaged(store.read_blob(BlobId::from_digest(id), u64::MAX));
    assert!(!checked(&store).findings.is_empty());
}

#[test]
fn what_is_no_tree_is_refused_however_long_or_deep() {
    // The shortest elements that an array can have.
    let mut bytes = [&[0x83, 0x64][..], b"tree", &[1, 0x9a]].concat();
    let count = 1u32 << 20;
    bytes.extend_from_slice(&count.to_be_bytes());
    bytes.resize(bytes.len() + count as usize, 0);
    assert!((bytes.len() as u64) < MAX_OBJECT_BYTES);
    let deep = vec![0x81; 1 << 20];
    for bytes in [bytes, deep] {
        let (id, len) = (Kind::Tree.digest(&bytes), bytes.len() as u32);
        let block = Block::encoded(forge::ZSTD, &compressed(&bytes), len);
        let (store, _) = forge::store([forge::pack(&[block], &[frame(TREE, id, len)])]);
        let loaded = store.load::<Tree>(TreeId::from_digest(id));
        assert!(matches!(loaded, Err(ObjectsError::Schema(_))), "{loaded:?}");
        assert!(matches!(&checked(&store).findings[..], [Finding::Object { .. }]));
    }
}

#[test]
fn absurd_numbers_in_a_table_are_refused() {
    let bytes = b"some bytes";
    let (good, id) = (Block::raw(bytes), digest(bytes));
    let whole = frame(BLOB, id, 10);
    assert_eq!(
        checked(&forge::store([forge::pack(std::slice::from_ref(&good), &[whole])]).0).findings,
        []
    );
    let block = |change: &dyn Fn(&mut Block)| {
        let mut block = good.clone();
        change(&mut block);
        (vec![block], vec![whole])
    };
    let frames = |frames: &[Frame]| (vec![good.clone()], frames.to_vec());
    let bad = [
        block(&|b| b.stored_len = Some(u32::MAX)),
        block(&|b| b.stored_len = Some(9)),
        block(&|b| b.bytes = 3),
        block(&|b| b.encoding = 4),
        block(&|b| b.depth = 1),
        block(&|b| (b.encoding, b.depth) = (forge::DELTA, 1)),
        block(&|b| (b.encoding, b.base) = (forge::DELTA, Some(id))),
        block(&|b| (b.encoding, b.depth, b.base) = (forge::DELTA, 9, Some(id))),
        block(&|b| b.base = Some(id)),
        frames(&[Frame { start: u32::MAX, ..whole }]),
        frames(&[Frame { start: 1, ..whole }]),
        frames(&[Frame { bytes: u32::MAX, ..whole }]),
        frames(&[Frame { block: 1, ..whole }]),
        frames(&[Frame { kind: 11, ..whole }]),
        frames(&[whole, whole]),
        frames(&[]),
    ];
    for (blocks, frames) in bad {
        let why = refused([forge::pack(&blocks, &frames)]);
        assert!(why.starts_with("it"), "{why}");
    }
    for counts in [[u32::MAX; 3], [0, u32::MAX, 0], [0, 0, 1 << 20], [1 << 20, 1 << 20, 1 << 20]] {
        refused([forge::seal(b"LABPACK\x02".to_vec(), Vec::new(), counts)]);
    }
    // A file without a header, and one that is nothing but a footer, are as empty as they say.
    refused([forge::seal(Vec::new(), Vec::new(), [0; 3])]);
}

/// A delta whose planes are nonsense, or that would be one if anybody could read its base.
fn a_delta(base: Digest, depth: u8) -> Block {
    Block::delta(&[3, 0, 8, 0, 0], 4000, base, depth)
}

// proves L-27
#[test]
fn a_ring_of_deltas_ends() {
    let [a, b] = [digest(b"a"), digest(b"b")];
    for (depth_a, depth_b) in [(1, 1), (1, 2), (2, 1), (8, 8), (7, 8)] {
        let blocks = [a_delta(b, depth_a), a_delta(a, depth_b)];
        let frames = [frame(BLOB, a, 4000), Frame { block: 1, ..frame(BLOB, b, 4000) }];
        let (store, _) = forge::store([forge::pack(&blocks, &frames)]);
        for id in [a, b] {
            damaged(store.read_blob(BlobId::from_digest(id), u64::MAX));
        }
        // Each once, though it is both a frame that is damaged and a blob that cannot be read.
        assert_eq!(checked(&store).findings.len(), 2);
    }
    // It stands on itself.
    let (store, _) = forge::store([forge::pack(&[a_delta(a, 8)], &[frame(BLOB, a, 4000)])]);
    damaged(store.read_blob(BlobId::from_digest(a), u64::MAX));
}

/// Many copies of each chunk of a chain, none of them sound: all copies of each base would be tried
/// for each copy of what stands on it.
#[test]
fn many_copies_of_a_broken_chain_are_not_all_combined() {
    let ids: Vec<Digest> = (0..9u8).map(|n| digest(&[n])).collect();
    let packs = (0..8u8).map(|copy| {
        let (mut blocks, mut frames) = (Vec::new(), Vec::new());
        for depth in 1..9u8 {
            let (base, block) = (ids[usize::from(depth) - 1], blocks.len() as u32);
            blocks.push(a_delta(base, depth));
            let id = ids[usize::from(depth)];
            frames.push(Frame { block, ..frame(BLOB, id, 4000) });
        }
        // What all stand on is itself not what it should be, and no two packs are equal.
        let block = blocks.len() as u32;
        blocks.push(Block::raw(&[copy; 4000]));
        frames.push(Frame { block, ..frame(BLOB, ids[0], 4000) });
        forge::pack(&blocks, &frames)
    });
    let (store, _) = forge::store(packs);
    let (top, reading) = (BlobId::from_digest(ids[8]), store.clone());
    damaged(soon("a read", move || reading.read_blob(top, u64::MAX)));
    assert!(!checked(&store).findings.is_empty());
}

/// Many copies of each chunk of a chain whose end is nowhere: what is added is stored again.
#[test]
fn many_copies_of_a_lost_chain_are_not_all_combined() {
    let ids: Vec<Digest> = (0..9u8).map(|n| digest(&[n])).collect();
    let packs = (0..40u8).map(|copy| {
        let mut blocks = vec![Block::raw(&[copy, 0])];
        let mut frames = vec![frame(CHUNK, digest(&[copy, 0]), 2)];
        for depth in 1..9u8 {
            let block = blocks.len() as u32;
            blocks.push(a_delta(ids[usize::from(depth) - 1], depth));
            frames.push(Frame { block, ..frame(BLOB, ids[usize::from(depth)], 4000) });
        }
        forge::pack(&blocks, &frames)
    });
    let (store, _) = forge::store(packs);
    let adding = store.clone();
    let added = soon("an addition", move || {
        let mut writer = adding.writer();
        let id = writer.put_bytes(&[8]).unwrap();
        writer.finish().unwrap();
        id
    });
    assert_eq!(store.read_blob(added, u64::MAX).unwrap(), [8]);
}

/// Many frames over the same bytes: a small pack could stand for years of hashing.
#[test]
fn frames_that_overlap_are_refused() {
    let frames: Vec<Frame> = (0..200u8).map(|n| frame(CHUNK, digest(&[n]), 4000)).collect();
    let (store, _) = forge::store([forge::pack(&[Block::raw(&[7; 4000])], &frames)]);
    let said: Vec<String> = checked(&store).findings.iter().map(ToString::to_string).collect();
    assert!(said.len() == 1 && said[0].ends_with("it holds frames that overlap"), "{said:?}");
}

#[test]
fn a_sound_copy_is_found_behind_forged_ones() {
    let bytes = b"the right bytes";
    let (id, lie) = (digest(bytes), b"the wrong bytes");
    let mut packs: Vec<_> = (0..20u8)
        .map(|n| forge::plain_pack(&[(BLOB, id, lie), (CHUNK, digest(&[n]), &[n])]))
        .collect();
    packs.push(forge::plain_pack(&[(BLOB, id, bytes)]));
    let (store, _) = forge::store(packs);
    assert_eq!(store.read_blob(BlobId::from_digest(id), 99).unwrap(), bytes);
}

#[test]
fn lists_that_lie_are_refused() {
    let chunk = vec![7; 5000];
    let (part, blob) = ((digest(&chunk), 5000), digest(b"a blob"));
    let node = forge::parts(0, &[part]);
    let huge = (digest(b"huge"), u64::MAX / 2 + 1);
    for body in [
        // A list that is its own chunk, and its own node.
        forge::parts(0, &[(blob, 5000)]),
        forge::parts(1, &[(blob, 5000)]),
        // Lengths that are not those of the chunk, and a whole that is another.
        forge::parts(0, &[(part.0, 4999)]),
        forge::parts(0, &[(part.0, 5001)]),
        forge::parts(0, &[part]),
        // A node where a chunk belongs, a chunk where a node belongs, a level too many.
        forge::parts(0, &[(forge::node(&node), 5000)]),
        forge::parts(1, &[part]),
        forge::parts(2, &[(forge::node(&node), 5000)]),
        forge::parts(4, &[(forge::node(&node), 5000)]),
        forge::parts(1, &[huge, huge]),
        forge::parts(0, &[(part.0, 0)]),
        forge::parts(0, &[]),
        vec![],
    ] {
        let count = (body.len().saturating_sub(1)) / 40;
        let sizes = (0..count).map(|n| {
            let at = 1 + n * 40 + 32;
            u64::from_le_bytes(body[at..at + 8].try_into().unwrap())
        });
        let size = sizes.fold(0, u64::wrapping_add);
        let list = forge::list(blob, size, &body);
        let (store, _) = forge::store([forge::plain_pack(&[
            (LIST, blob, &list),
            (NODE, forge::node(&node), &node),
            (CHUNK, part.0, &chunk),
        ])]);
        let id = BlobId::from_digest(blob);
        damaged(store.copy(id, &mut std::io::sink()));
        assert_eq!(checked(&store).findings.len(), 1, "{body:?}");
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("to");
        get(&store, id.into(), &to, &GetOptions::default(), &Silent).unwrap_err();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

/// A few nodes that say that a blob has 2^48 chunks.
fn endless() -> (Store, BlobId) {
    let chunk = [0];
    let (blob, mut part) = (digest(b"endless"), (digest(&chunk), 1));
    let mut nodes: Vec<(Digest, Vec<u8>)> = Vec::new();
    for level in 0..3 {
        let body = forge::parts(level, &vec![part; 4096]);
        part = (forge::node(&body), part.1 * 4096);
        nodes.push((part.0, body));
    }
    let list = forge::list(blob, part.1 * 4096, &forge::parts(3, &vec![part; 4096]));
    let mut contents = vec![(LIST, blob, &list[..]), (CHUNK, digest(&chunk), &chunk[..])];
    contents.extend(nodes.iter().map(|(digest, body)| (NODE, *digest, &body[..])));
    (forge::store([forge::plain_pack(&contents)]).0, BlobId::from_digest(blob))
}

#[test]
fn a_list_that_repeats_itself_is_looked_at_once() {
    let (store, id) = endless();
    assert_eq!(store.size(id).unwrap(), Some(1 << 48));
    let quick = store.clone();
    soon("a quick check", move || check(&quick, false, &Silent).unwrap());
    // Nor is it hashed, which would take days; the check says so.
    let report = checked(&store);
    assert_eq!((report.findings, report.unhashed), (vec![], vec![id.into()]));
    let (reading, at) = (store.clone(), 1 << 47);
    let middle = soon("a read", move || reading.read_range(id, at..at + 10).unwrap());
    assert_eq!(middle, [0; 10]);
    // As a base it is of no use.
    let basing = store.clone();
    soon("a base", move || write_on(&basing, id.into()));
    assert!(matches!(store.read_blob(id, 1 << 30), Err(ObjectsError::TooLarge { .. })));
}

/// One chunk of a mebibyte, so often that the list claims so many bytes (a multiple of a gigabyte).
fn zeros(gigabytes: usize, blob: Digest) -> Vec<(PackId, Vec<u8>)> {
    let chunk = vec![0; 1 << 20];
    let body = forge::parts(0, &[(digest(&chunk), 1 << 20); 1024]);
    let node = forge::node(&body);
    let top = forge::parts(1, &vec![(node, 1 << 30); gigabytes]);
    let list = forge::list(blob, (gigabytes as u64) << 30, &top);
    vec![forge::plain_pack(&[
        (LIST, blob, &list),
        (NODE, node, &body),
        (CHUNK, digest(&chunk), &chunk),
    ])]
}

/// What can be hashed is: repeating oneself is no crime, and no excuse.
#[test]
fn a_file_that_repeats_one_chunk_is_hashed_as_long_as_there_is_time_for_it() {
    let mut hasher = lab_schema::BlobHasher::new();
    (0..1024).for_each(|_| hasher.update(&[0; 1 << 20]));
    let report = checked(&forge::store(zeros(1, hasher.digest())).0);
    assert_eq!((report.findings, report.unhashed), (vec![], vec![]));
    let report = checked(&forge::store(zeros(1, digest(b"another"))).0);
    assert!(matches!(&report.findings[..], [Finding::Object { why, .. }] if why.contains("whole")));
    let report = checked(&forge::store(zeros(2048, digest(b"a long one"))).0);
    assert_eq!((report.findings.len(), report.unhashed.len()), (0, 1));
}

/// A node that is passed over the second time must be what it was the first time.
#[test]
fn parts_with_two_lengths_are_damage() {
    let chunk = vec![7; 5000];
    let (body, blob) = (forge::parts(0, &[(digest(&chunk), 5000)]), digest(b"a blob"));
    let node = forge::node(&body);
    for (level, part) in [(0, digest(&chunk)), (1, node)] {
        for lengths in [[5000, 1 << 19], [1 << 19, 5000], [1 << 19, 1 << 19]] {
            let list = forge::parts(level, &lengths.map(|bytes| (part, bytes)));
            let list = forge::list(blob, lengths.iter().sum(), &list);
            let (store, _) = forge::store([forge::plain_pack(&[
                (LIST, blob, &list),
                (NODE, node, &body),
                (CHUNK, digest(&chunk), &chunk),
            ])]);
            // A quick check sees it too.
            let findings = check(&store, false, &Silent).unwrap().findings;
            assert!(matches!(&findings[..], [Finding::Object { .. }]), "{findings:?}");
        }
    }
}

/// A tree says how large its files are: a list that says otherwise is not followed.
#[test]
fn a_file_of_another_size_than_its_tree_says_is_not_written() {
    let (store, id) = endless();
    let node = Node::File { id, size: 7, executable: false };
    let tree = tree_of(&store, vec![("file", node)]);
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("to");
    let got = soon("a get", move || get(&store, tree.into(), &to, &GetOptions::default(), &Silent));
    damaged(got);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Puts weights that may stand on what is in `base`.
fn write_on(store: &Store, base: ContentId) {
    let tensors = [0; 1 << 20];
    let head = br#"{"t":{"dtype":"F32","shape":[262144],"data_offsets":[0,1048576]}}"#;
    let file = [&(head.len() as u64).to_le_bytes()[..], head, &tensors].concat();
    let mut writer = store.writer();
    writer.set_bases(&[base]);
    writer.put_bytes(&file).unwrap();
    writer.finish().unwrap();
}

fn entry(name: &str, node: Node) -> Entry {
    Entry { name: FileName::new(name).unwrap(), node }
}

fn tree_of(store: &Store, entries: Vec<(&str, Node)>) -> TreeId {
    let entries = entries.into_iter().map(|(name, node)| entry(name, node)).collect();
    let mut writer = store.writer();
    let id = writer.put(&Tree::new(entries).unwrap()).unwrap();
    writer.finish().unwrap();
    id
}

/// Trees of two entries each, both the tree before: 2^60 files, if one counts.
#[test]
fn a_tree_that_repeats_itself_is_looked_at_once() {
    let store = Store::create(std::sync::Arc::new(Memory::new())).unwrap();
    let mut writer = store.writer();
    let mut id = writer.put(&Tree::default()).unwrap();
    for _ in 0..60 {
        let node = Node::Directory { id, size: 1 << 40 };
        let entries = vec![entry("a", node.clone()), entry("b", node)];
        id = writer.put(&Tree::new(entries).unwrap()).unwrap();
    }
    writer.finish().unwrap();
    assert_eq!(checked(&store).findings, []);
    let basing = store.clone();
    soon("a base", move || write_on(&basing, id.into()));
}

#[test]
fn a_tower_of_ten_thousand_folders_is_refused() {
    let store = Store::create(std::sync::Arc::new(Memory::new())).unwrap();
    let mut writer = store.writer();
    let mut id = writer.put(&Tree::default()).unwrap();
    for _ in 0..10_000 {
        id = writer
            .put(&Tree::new(vec![entry("d", Node::Directory { id, size: 0 })]).unwrap())
            .unwrap();
    }
    writer.finish().unwrap();
    assert_eq!(checked(&store).findings, []);
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("to");
    let got = get(&store, id.into(), &to, &GetOptions::default(), &Silent);
    assert!(matches!(got, Err(ObjectsError::TooDeep { .. })), "{got:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// The bytes of a tree of one file called `xx` (and another one, if there is a second), with other
/// names in their places.
fn renamed(names: &[&[u8]]) -> Vec<u8> {
    let id = BlobId::of(b"contents");
    let file = |n: usize| {
        let node = Node::File { id, size: 8, executable: false };
        entry(["pp", "qq"][n], node)
    };
    let mut bytes = Tree::new((0..names.len()).map(file).collect()).unwrap().encode();
    for (n, name) in names.iter().enumerate() {
        let before = [&[0x42][..], ["pp", "qq"][n].as_bytes()].concat();
        let at = bytes.windows(3).position(|window| window == before).unwrap();
        let head = match name.len() {
            len @ 0..24 => vec![0x40 | len as u8],
            len @ 24..256 => vec![0x58, len as u8],
            len => [&[0x59][..], &(len as u16).to_be_bytes()].concat(),
        };
        bytes.splice(at..at + 3, [&head, *name].concat());
    }
    bytes
}

fn listing(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(listing(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}

#[test]
fn names_that_lead_out_are_refused_before_a_byte_is_written() {
    let long = [b'n'; 256];
    let bad: &[&[&[u8]]] = &[
        &[b".."],
        &[b"."],
        &[b""],
        &[b"/"],
        &[b"a/b"],
        &[b"../up"],
        &[b"/etc/passwd"],
        &[b"..\0"],
        &[b"nul\0"],
        &[&long],
        // Twice, and in a wrong order.
        &[b"a", b"a"],
        &[b"b", b"a"],
    ];
    assert!(
        Tree::decode(&renamed(&[b"fine"])).is_ok() && Tree::decode(&renamed(&[b"a", b"b"])).is_ok()
    );
    for names in bad {
        let bytes = renamed(names);
        let id = Kind::Tree.digest(&bytes);
        let blob = (BLOB, digest(b"contents"), &b"contents"[..]);
        // By itself, and somewhere inside.
        let (store, _) = forge::store([forge::plain_pack(&[(TREE, id, &bytes), blob])]);
        let directory = Node::Directory { id: TreeId::from_digest(id), size: 8 };
        let file = Node::File { id: BlobId::of(b"contents"), size: 8, executable: false };
        let outer = tree_of(&store, vec![("a file", file), ("inner", directory)]);
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("work/there")).unwrap();
        let before = listing(folder.path());
        for tree in [TreeId::from_digest(id), outer] {
            for (to, force) in [("new", false), ("there", false), ("there", true)] {
                let to = folder.path().join("work").join(to);
                let options = GetOptions { force, ..GetOptions::default() };
                let got = get(&store, ContentId::Tree(tree), &to, &options, &Silent);
                assert!(matches!(got, Err(ObjectsError::Schema(_))), "{names:?}: {got:?}");
                assert_eq!(listing(folder.path()), before);
            }
        }
        let mut writer = store.writer();
        writer.put_verified(TreeId::from_digest(id).into(), &mut &bytes[..]).unwrap_err();
        assert!(checked(&store).findings.iter().any(|f| matches!(f, Finding::Object { .. })));
    }
}

/// One tree lays a link that leads out; the next has a folder or file in its place.
#[test]
fn nothing_is_written_through_a_link_that_was_got_before() {
    let store = Store::create(std::sync::Arc::new(Memory::new())).unwrap();
    let mut writer = store.writer();
    let id = writer.put_bytes(b"contents").unwrap();
    writer.finish().unwrap();
    let file = Node::File { id, size: 8, executable: false };
    let root = tempfile::tempdir().unwrap();
    let outside = root.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "mine").unwrap();
    let inner = tree_of(&store, vec![("file", file.clone())]);
    let seconds = [("x", Node::Directory { id: inner, size: 8 }), ("x", file)];
    for (target, second) in ["../outside", "/", "../outside/file"].into_iter().zip([
        seconds[0].clone(),
        seconds[0].clone(),
        seconds[1].clone(),
    ]) {
        let to = root.path().join("to");
        let link = Node::Link { target: target.as_bytes().to_vec() };
        let first = tree_of(&store, vec![("x", link)]);
        get(&store, first.into(), &to, &GetOptions::default(), &Silent).unwrap();
        assert_eq!(fs::read_link(to.join("x")).unwrap(), Path::new(target));
        let second = tree_of(&store, vec![second]);
        let got = get(&store, second.into(), &to, &GetOptions::default(), &Silent);
        assert!(matches!(got, Err(ObjectsError::Refused { .. })), "{got:?}");
        let options = GetOptions { force: true, ..GetOptions::default() };
        get(&store, second.into(), &to, &options, &Silent).unwrap();
        assert!(!to.join("x").is_symlink());
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
        assert_eq!(fs::read(outside.join("file")).unwrap(), b"mine");
        fs::remove_dir_all(&to).unwrap();
    }
}

/// Each line has a right checksum; what it says is no move.
#[test]
fn forged_journals_are_damaged_and_stand_in_nobodys_way() {
    let id = BlobId::of(b"").to_string();
    let (store, files) = forge::store([]);
    let name = |text: &str| lab_schema::Name::new(text).unwrap();
    let lines = [
        format!("blob {id}\tcode\t1\tada"),
        format!("blob {id}\tcode\t1\tada\twhy\tmore"),
        format!("blob {id}\tcode\t99999999999999999999\tada\twhy"),
        format!("blob {id}\tcode\t-1\tada\twhy"),
        format!("blob {id}\tspell\t1\tada\twhy"),
        format!("blob {id}\tcode\t1\tada\t\\x"),
        format!("ghost {id}\tcode\t1\tada\twhy"),
        format!("blob ../{}\tcode\t1\tada\twhy", &id[3..]),
        "-\tcode".to_owned(),
        String::new(),
    ];
    for line in &lines {
        let journal = forge::journal("n", &[line]);
        files.put(lab_objects::Key::Name(name("n")), journal.into_bytes());
        damaged(store.names().get(&name("n")));
        assert_eq!(store.names().list().unwrap(), []);
        assert!(matches!(&checked(&store).findings[..], [Finding::Name { .. }]), "{line}");
    }
    // A right line of another name.
    let line = format!("blob {id}\tcode\t1\tada\twhy");
    let journal = forge::journal("other", &[&line]);
    files.put(lab_objects::Key::Name(name("n")), journal.clone().into_bytes());
    files.put(lab_objects::Key::Name(name("other")), journal.into_bytes());
    damaged(store.names().get(&name("n")));
    assert_eq!(store.names().list().unwrap().len(), 1);
}
