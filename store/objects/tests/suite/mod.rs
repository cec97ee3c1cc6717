//! One suite for every backend, wherever it is: the tests of another crate name this file by its path. What
//! is tried here and there is a line of `conforms!` at the end of a test file.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub, missing_docs)]

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use lab_objects::{
    Backend, Expected, Key, Memory, Move, NameKind, ObjectsError, PackId, Room, Silent, Store,
    check,
};
use lab_schema::tree::Node;
use lab_schema::{BlobId, Digest, Entry, FileName, Kind, Name, ObjectId, Tree};

const FORMAT: &[u8] = b"lab store 2\n";
/// More than goes in one message, in one answer and in one list of ranges.
const LARGE: usize = 9 << 20;
/// Who move one name at once, and how often each of them does.
const MOVERS: [u64; 2] = [8, 10];

/// A place that is tried.
pub struct Tried<'a> {
    /// The first who has come there.
    backend: Arc<dyn Backend>,
    /// Somebody else who comes.
    other: Box<dyn Fn() -> Arc<dyn Backend> + Sync + 'a>,
    whose: Whose,
    /// What lives as long: a server.
    _held: Option<Box<dyn Any>>,
}

/// Who decides what becomes of the files there.
enum Whose {
    /// Who comes: the place does as it is told.
    Own,
    /// A program, whose files are in this. It believes nothing, removes nothing, and may have made the store
    /// before anybody asks for it.
    Guarded(Arc<Memory>),
    /// Nobody: what lies in this is handed out, and nothing is taken.
    Nobodys(Arc<Memory>),
}

/// A place that does as it is told.
pub fn own<'a, B: Backend + 'static>(come: impl Fn() -> Arc<B> + Sync + 'a) -> Tried<'a> {
    let other = Box::new(move || -> Arc<dyn Backend> { come() });
    Tried { backend: other(), other, whose: Whose::Own, _held: None }
}

/// A place where a program looks after the files in `behind`.
pub fn guarded<'a, B: Backend + 'static>(
    behind: &Arc<Memory>,
    come: impl Fn() -> Arc<B> + Sync + 'a,
    held: Option<Box<dyn Any>>,
) -> Tried<'a> {
    let other = Box::new(move || -> Arc<dyn Backend> { come() });
    let whose = Whose::Guarded(Arc::clone(behind));
    Tried { backend: other(), other, whose, _held: held }
}

/// A place that hands out the files in `behind` and takes none: of the suite it passes what reads.
pub fn fixed<'a, B: Backend + 'static>(
    behind: &Arc<Memory>,
    come: impl Fn() -> Arc<B> + Sync + 'a,
) -> Tried<'a> {
    Tried { whose: Whose::Nobodys(Arc::clone(behind)), ..own(come) }
}

impl Tried<'_> {
    fn behind(&self) -> Option<&Memory> {
        match &self.whose {
            Whose::Own => None,
            Whose::Guarded(behind) | Whose::Nobodys(behind) => Some(behind),
        }
    }

    /// Where files can be put.
    fn inlet(&self) -> &dyn Backend {
        match &self.whose {
            Whose::Own | Whose::Guarded(_) => &*self.backend,
            Whose::Nobodys(behind) => &**behind,
        }
    }

    /// It is against a rule; a program tells which one in its own words.
    fn refused<T: std::fmt::Debug>(&self, result: lab_objects::Result<T>) -> String {
        use std::io::ErrorKind::{InvalidData, PermissionDenied};
        let error = result.unwrap_err();
        let ruled = match &error {
            ObjectsError::RefusedKey { .. } => true,
            ObjectsError::NotTaken { .. } => self.behind().is_some(),
            ObjectsError::Io { source, .. } => {
                self.behind().is_some() && [InvalidData, PermissionDenied].contains(&source.kind())
            }
            _ => false,
        };
        assert!(ruled, "{error:?}");
        error.to_string()
    }

    /// There is a file of this kind, and it holds this.
    fn holds(&self, key: &Key, bytes: &[u8]) {
        assert!(self.backend.read(key).unwrap().unwrap() == bytes);
        assert!((self.other)().read(key).unwrap().unwrap() == bytes);
        if let Some(behind) = self.behind() {
            assert!(behind.read(key).unwrap().unwrap() == bytes);
        }
    }
}

fn name(text: &str) -> Key {
    Key::Name(Name::new(text).unwrap())
}

fn noise(len: usize) -> Vec<u8> {
    let block = |n: u64| *BlobId::of(&n.to_le_bytes()).digest().as_bytes();
    (0..len as u64 / 32 + 1).flat_map(block).take(len).collect()
}

/// A real pack, made by a store in memory, and what it holds.
struct Packed {
    key: Key,
    bytes: Vec<u8>,
    blob: ObjectId,
}

fn pack(content: &[u8]) -> Packed {
    let memory = Arc::new(Memory::new());
    let store = Store::create(memory.clone()).unwrap();
    let mut writer = store.writer();
    let id = writer.put_bytes(content).unwrap();
    let node = Node::File { id, size: content.len() as u64, executable: false };
    let entry = Entry { name: FileName::new("content").unwrap(), node };
    writer.put(&Tree::new(vec![entry]).unwrap()).unwrap();
    writer.finish().unwrap();
    let key = Key::Pack(store.packs().unwrap()[0]);
    let bytes = memory.read(&key).unwrap().unwrap();
    Packed { key, bytes, blob: id.into() }
}

/// The journal of a name with one more move of it, as a store writes it that has what the name goes to.
fn journal(of: &Key, before: Option<&[u8]>, to: &Packed, who: &str, when_ms: u64) -> Vec<u8> {
    let Key::Name(name) = of else { panic!("a name") };
    let memory = Arc::new(Memory::new());
    let store = Store::create(memory.clone()).unwrap();
    memory.publish(&to.key, &to.bytes).unwrap();
    let expected = match before {
        None => Expected::Absent,
        Some(before) => {
            assert!(memory.swap(of, None, before).unwrap());
            Expected::Target(to.blob)
        }
    };
    let (target, who, why) = (Some(to.blob), who.to_owned(), "a test".to_owned());
    let m = Move { target, kind: NameKind::Dataset, when_ms, who, why };
    store.names().set(name, expected, m).unwrap();
    memory.read(of).unwrap().unwrap()
}

// proves L-02
pub fn files_are_written_once(tried: &Tried<'_>) {
    let (backend, Packed { key, bytes, .. }) = (&*tried.backend, pack(&noise(1000)));
    let mark = match &key {
        Key::Pack(id) => Key::Condemned(*id),
        _ => panic!("a pack"),
    };
    assert_eq!(backend.read(&key).unwrap(), None);
    assert_eq!(backend.read_range(&key, 0, 10).unwrap(), None);
    backend.publish(&Key::Format, FORMAT).unwrap();
    backend.publish(&Key::Format, FORMAT).unwrap();
    tried.refused(backend.publish(&Key::Format, b"lab store 3\n"));
    tried.refused(backend.mend(&Key::Format, b"lab store 3\n"));
    tried.holds(&Key::Format, FORMAT);
    assert!(backend.is_complete());
    if tried.behind().is_some() {
        // Whatever bit of it is wrong.
        for at in (0..bytes.len()).step_by(11) {
            let mut wrong = bytes.clone();
            wrong[at] ^= 1 << (at % 8);
            tried.refused(backend.publish(&key, &wrong));
            tried.refused(backend.mend(&key, &wrong));
        }
        assert_eq!(backend.read(&key).unwrap(), None);
    }
    assert_eq!(backend.list(Room::Packs).unwrap(), []);
    backend.publish(&key, &bytes).unwrap();
    assert_eq!(backend.list(Room::Packs).unwrap().len(), 1);
    for wrong in [&b"other"[..], b"", &bytes[1..], &bytes[..bytes.len() - 1], &bytes.repeat(2)] {
        tried.refused(backend.publish(&key, wrong));
    }
    tried.holds(&key, &bytes);
    (tried.other)().publish(&key, &bytes).unwrap();
    backend.mend(&key, &bytes).unwrap();
    tried.refused(backend.mend(&name("a"), b"x"));
    tried.refused(backend.swap(&key, Some(&bytes), b"x"));
    tried.refused(backend.swap(&Key::Format, Some(FORMAT), b"x"));
    tried.refused(backend.swap(&mark, None, b""));
    tried.holds(&key, &bytes);
    tried.refused(backend.remove(&Key::Format));
    assert_eq!(backend.list(Room::Packs).unwrap(), [(key.clone(), bytes.len() as u64)]);
    match tried.behind() {
        None => {
            backend.publish(&mark, b"").unwrap();
            assert_eq!(backend.list(Room::Condemned).unwrap(), [(mark.clone(), 0)]);
            for gone in [&mark, &key] {
                assert!(backend.remove(gone).unwrap());
                assert!(!backend.remove(gone).unwrap());
                assert_eq!(backend.list(gone.room()).unwrap(), []);
                assert_eq!(backend.read(gone).unwrap(), None);
            }
        }
        Some(behind) => {
            tried.refused(backend.publish(&mark, b""));
            behind.publish(&mark, b"").unwrap();
            for stays in [&mark, &key] {
                tried.refused(backend.remove(stays));
                backend.look_again();
                assert_eq!(backend.list(stays.room()).unwrap().len(), 1);
            }
            tried.holds(&key, &bytes);
        }
    }
    assert_eq!(backend.list(Room::Root).unwrap(), [(Key::Format, FORMAT.len() as u64)]);
}

pub fn what_is_damaged_is_put_right(tried: &Tried<'_>) {
    let (backend, Packed { key, bytes, .. }) = (&*tried.backend, pack(&noise(1000)));
    backend.publish(&Key::Format, FORMAT).unwrap();
    backend.publish(&key, &bytes).unwrap();
    let mut damaged = bytes.clone();
    damaged[20] ^= 1;
    match tried.behind() {
        None => {
            backend.mend(&key, &damaged).unwrap();
            tried.refused(backend.publish(&key, &bytes));
        }
        Some(behind) => {
            tried.refused(backend.mend(&key, &damaged));
            // It knows whose bytes are right.
            behind.mend(&key, &damaged).unwrap();
            tried.holds(&key, &damaged);
            backend.publish(&key, &bytes).unwrap();
            tried.holds(&key, &bytes);
            behind.mend(&key, &damaged).unwrap();
        }
    }
    tried.holds(&key, &damaged);
    backend.mend(&key, &bytes).unwrap();
    tried.holds(&key, &bytes);
    // What is gone altogether is put back as well.
    let owner: &dyn Backend = tried.behind().map_or(backend, |behind| behind);
    assert!(owner.remove(&key).unwrap());
    assert_eq!(backend.read(&key).unwrap(), None);
    backend.mend(&key, &bytes).unwrap();
    tried.holds(&key, &bytes);
}

pub fn what_is_read_in_parts_is_what_is_there(tried: &Tried<'_>) {
    let backend = &*tried.backend;
    let (Packed { key, bytes, .. }, small) = (pack(&noise(LARGE)), pack(b"small"));
    let (at, absent) = (name("n"), Key::Pack(PackId::from_digest(Digest::from_bytes([7; 32]))));
    let moved = journal(&at, None, &small, "ada", 1);
    let mut memory = b"from before".to_vec();
    assert_eq!(backend.read_once(&key, 0, 1 << 20, &mut memory).unwrap(), None);
    tried.inlet().publish(&Key::Format, FORMAT).unwrap();
    tried.inlet().publish(&key, &bytes).unwrap();
    tried.inlet().publish(&small.key, &small.bytes).unwrap();
    assert!(tried.inlet().swap(&at, None, &moved).unwrap());
    tried.holds(&key, &bytes);

    let len = bytes.len();
    for offset in [0, 1, 511, 4095, 4096, 4097, 300_000, len - 300_000, len - 1, len, len + 1] {
        for many in [0, 1, 5_000, 256 << 10, (256 << 10) + 1, 1 << 20, (4 << 20) + 1, len * 9] {
            let range = backend.read_once(&key, offset as u64, many as u64, &mut memory);
            let expected = &bytes[offset.min(len)..(offset + many).min(len)];
            assert!(memory[range.unwrap().unwrap()] == *expected, "{many} from {offset}");
        }
    }
    let beyond = backend.read_once(&key, u64::MAX - 9, u64::MAX, &mut memory).unwrap().unwrap();
    assert!(beyond.is_empty());
    assert!(memory.len() <= len + 8192, "{}", memory.len());

    let there: BTreeMap<&Key, &[u8]> =
        [(&key, &bytes[..]), (&small.key, &small.bytes), (&at, &moved), (&Key::Format, FORMAT)]
            .into();
    let expected = |(key, from, many): &(Key, u64, u64)| {
        there.get(key).map(|bytes| {
            let cut = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
            bytes[cut(*from)..cut(from.saturating_add(*many))].to_vec()
        })
    };
    let len = len as u64;
    let mut ranges: Vec<(Key, u64, u64)> = Vec::new();
    for key in [&key, &absent, &small.key, &at, &name("absent"), &Key::Format] {
        for (from, many) in [
            (0, 1),
            (3, 4),
            (7, 0),
            (0, u64::MAX),
            (5, len),
            (len - 2, 9),
            (len, 5),
            (u64::MAX / 2, 9),
            (u64::MAX, u64::MAX),
            (3, 4 << 20),
            (3, (4 << 20) + 1),
            (5 << 20, 6 << 20),
            (9, 8 << 20),
        ] {
            ranges.push((key.clone(), from, many));
        }
    }
    for range in &ranges {
        let (key, from, many) = range;
        let found = backend.read_range(key, *from, *many).unwrap();
        assert!(found == expected(range), "{range:?}");
    }
    // Many at once: near each other and far, the same twice, one over another, backwards.
    for n in 0..600u64 {
        let from = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40 & 0xff_ffff;
        let key = if n % 17 == 0 { &absent } else { &key };
        ranges.push((key.clone(), from, n * n % 40_000));
        ranges.push((key.clone(), 200_000 + n, 7));
    }
    ranges.extend((0..9).map(|n| (key.clone(), n << 20, 1 << 20)));
    ranges.reverse();
    let found = backend.read_ranges(&ranges).unwrap();
    assert_eq!(found.len(), ranges.len());
    for (range, found) in ranges.iter().zip(found) {
        assert!(found == expected(range), "{range:?}");
    }
    assert_eq!(backend.read_ranges(&[]).unwrap(), [] as [Option<Vec<u8>>; 0]);
}

pub fn what_is_published_soon_is_there_once_it_is_settled(tried: &Tried<'_>) {
    let backend = &*tried.backend;
    backend.publish(&Key::Format, FORMAT).unwrap();
    let packs: Vec<Packed> = (1..6).map(|n| pack(&noise(n * 700_000))).collect();
    // To be remembered.
    assert_eq!(backend.list(Room::Packs).unwrap(), []);
    for Packed { key, bytes, .. } in &packs {
        backend.publish_soon(key, bytes).unwrap();
    }
    backend.settle().unwrap();
    let mut all: Vec<(Key, u64)> =
        packs.iter().map(|p| (p.key.clone(), p.bytes.len() as u64)).collect();
    all.sort();
    assert_eq!(backend.list(Room::Packs).unwrap(), all);
    for Packed { key, bytes, .. } in &packs {
        tried.holds(key, bytes);
        backend.publish_soon(key, bytes).unwrap();
    }
    backend.settle().unwrap();
    // What somebody else publishes shows to who looks again.
    let more = pack(b"more");
    (tried.other)().publish(&more.key, &more.bytes).unwrap();
    backend.look_again();
    assert_eq!(backend.list(Room::Packs).unwrap().len(), packs.len() + 1);
    // That one could not be published is told at the latest when it is settled, once; and what comes
    // after it, which may stand on it, is not there without it.
    let (wrong, after) = (pack(b"wrong"), pack(b"after"));
    if tried.behind().is_some() {
        let mut bytes = wrong.bytes.clone();
        bytes[20] ^= 1;
        let sent = backend.publish_soon(&wrong.key, &bytes);
        let followed = backend.publish_soon(&after.key, &after.bytes);
        let told = sent.and(followed).and(backend.settle());
        tried.refused(told);
        let _ = backend.settle();
        assert_eq!(backend.read(&wrong.key).unwrap(), None);
        assert_eq!(backend.read(&after.key).unwrap(), None);
    }
    for Packed { key, bytes, .. } in [&wrong, &after] {
        backend.publish_soon(key, bytes).unwrap();
    }
    backend.settle().unwrap();
    tried.holds(&wrong.key, &wrong.bytes);
    tried.holds(&after.key, &after.bytes);
}

// proves L-20
pub fn names_move_by_compare_and_swap(tried: &Tried<'_>) {
    let (backend, to, elsewhere) = (&*tried.backend, pack(b"there"), pack(b"elsewhere"));
    backend.publish(&Key::Format, FORMAT).unwrap();
    backend.publish(&to.key, &to.bytes).unwrap();
    let (a, z) = (name("a"), name("Z"));
    let one = journal(&a, None, &to, "ada", 1);
    let two = journal(&a, Some(&one), &to, "ada", 2);
    let other_two = journal(&a, Some(&one), &to, "bo", 2);
    let three = journal(&a, Some(&two), &to, "ada", 3);
    tried.refused(backend.publish(&a, &one));
    assert!(!backend.swap(&a, Some(&one), &two).unwrap());
    assert!(!backend.swap(&a, Some(b""), &one).unwrap());
    assert_eq!(backend.read(&a).unwrap(), None);
    assert!(backend.swap(&a, None, &one).unwrap());
    let wrong = |now: &[u8], next: &[u8], more: &[&[u8]]| {
        let cut = &now[..now.len() - 1];
        let longer = [now, b"\n"].concat();
        let mut flipped = now.to_vec();
        flipped[9] ^= 1;
        let always = [None, Some(&b""[..]), Some(b"x"), Some(cut), Some(&longer), Some(&flipped)];
        for expected in always.into_iter().chain(more.iter().copied().map(Some)) {
            assert!(!backend.swap(&a, expected, next).unwrap(), "{expected:?}");
            tried.holds(&a, now);
        }
    };
    wrong(&one, &two, &[&two, &three]);
    assert!(backend.swap(&a, Some(&one), &two).unwrap());
    wrong(&two, &three, &[&one, &other_two]);
    assert!(!backend.swap(&a, Some(&one), &other_two).unwrap());
    assert!(backend.swap(&z, None, &journal(&z, None, &to, "ada", 1)).unwrap());
    match tried.behind() {
        None => {
            // It is whatever it is told.
            assert!(backend.swap(&name("b"), None, b"").unwrap());
            assert!(backend.swap(&name("b"), Some(b""), b"22").unwrap());
            assert!(backend.remove(&name("b")).unwrap());
        }
        Some(_) => {
            let astray = journal(&a, None, &elsewhere, "ada", 1);
            let behind_it = journal(&z, None, &to, "ada", 1);
            for (wrong, why) in [
                (&b""[..], "cut off"),
                (b"x\n", "not a move"),
                (&three[..three.len() - 1], "cut off"),
                (&one, "would be lost"),
                (&other_two, "would be lost"),
                (&behind_it, "checksum"),
            ] {
                let told = tried.refused(backend.swap(&a, Some(&two), wrong));
                assert!(told.contains(why), "{told}");
                tried.holds(&a, &two);
            }
            let told = tried.refused(backend.swap(&name("b"), None, &astray));
            assert!(told.contains("checksum"), "{told}");
            let astray = journal(&name("b"), None, &elsewhere, "ada", 1);
            let told = tried.refused(backend.swap(&name("b"), None, &astray));
            assert!(told.contains("not in the store"), "{told}");
            assert_eq!(backend.read(&name("b")).unwrap(), None);
        }
    }
    assert_eq!(
        backend.list(Room::Names).unwrap(),
        [(z, journal(&name("Z"), None, &to, "ada", 1).len() as u64), (a.clone(), two.len() as u64)]
    );
    assert!(backend.swap(&a, Some(&two), &three).unwrap());
    tried.holds(&a, &three);
    assert_eq!(backend.read_range(&a, 5, 9).unwrap().unwrap(), three[5..14]);
    many_move_a_name(tried, &to);
}

/// By two ways at once. Each move of each of them is noted, in the order in which it made them.
fn many_move_a_name(tried: &Tried<'_>, to: &Packed) {
    let [movers, moves] = MOVERS;
    let (n, other) = (name("n"), (tried.other)());
    std::thread::scope(|scope| {
        for mover in 0..movers {
            let backend = if mover % 2 == 0 { &tried.backend } else { &other };
            let n = &n;
            scope.spawn(move || {
                let who = format!("mover {mover}");
                for when in 1..=moves {
                    loop {
                        let there = backend.read(n).unwrap();
                        let new = journal(n, there.as_deref(), to, &who, when);
                        if backend.swap(n, there.as_deref(), &new).unwrap() {
                            break;
                        }
                    }
                }
            });
        }
    });
    let store = Store::open(Arc::clone(&tried.backend)).unwrap();
    let noted = store.names().journal(&Name::new("n").unwrap()).unwrap();
    assert_eq!(noted.len() as u64, movers * moves);
    for mover in 0..movers {
        let who = format!("mover {mover}");
        let theirs: Vec<u64> = noted.iter().filter(|m| m.who == who).map(|m| m.when_ms).collect();
        assert_eq!(theirs, (1..=moves).collect::<Vec<u64>>(), "{who}");
    }
}

pub fn a_store_works_on_it(tried: &Tried<'_>) {
    let backend = &tried.backend;
    let opened = Store::open(Arc::clone(backend));
    let is_made = tried.behind().is_some() && opened.is_ok();
    assert!(is_made || matches!(opened, Err(ObjectsError::NotAStore { .. })), "{opened:?}");
    let store = Store::create(Arc::clone(backend)).unwrap();
    let lease = store.lease().unwrap();
    if let Some(behind) = tried.behind() {
        assert_eq!(behind.leases(false).unwrap().len(), 1);
    }
    let large: Vec<u8> =
        (0..3_000_000u32).flat_map(|n| (n.wrapping_mul(n) >> 7).to_le_bytes()).collect();
    let mut writer = store.writer();
    let small = writer.put_bytes(b"").unwrap();
    let (id, size) = writer.put_blob(&mut large.as_slice()).unwrap();
    assert_eq!((id, size), (BlobId::of(&large), large.len() as u64));
    // proves L-03: nothing is visible before it is published.
    assert!(!store.has(id).unwrap());
    writer.finish().unwrap();
    drop(lease);
    let elsewhere = (tried.other)();
    let other = Store::open(Arc::clone(&elsewhere)).unwrap();
    for store in [&store, &other] {
        assert_eq!(store.read_blob(id, u64::MAX).unwrap(), large);
        assert_eq!(store.read_blob(small, 0).unwrap(), b"");
        assert_eq!(store.list(Kind::Blob).unwrap().len(), 2);
    }
    let names = store.names();
    let (who, why) = (String::from("ada"), String::from("a test"));
    let m = Move { target: Some(id.into()), kind: NameKind::Dataset, when_ms: 5, who, why };
    let n = Name::new("data").unwrap();
    names.set(&n, Expected::Absent, m.clone()).unwrap();
    assert_eq!(names.get(&n).unwrap(), Some(m.clone()));
    elsewhere.look_again();
    assert_eq!(other.names().list().unwrap(), [(n.clone(), m.clone())]);
    match names.set(&n, Expected::Target(small.into()), m.clone()) {
        Err(ObjectsError::NameMoved { now, by, when_ms, .. }) => {
            assert_eq!((now, by.as_str(), when_ms), (Some(id.into()), "ada", 5));
        }
        other => panic!("{other:?}"),
    }
    let gone = Move { target: None, when_ms: 6, ..m.clone() };
    names.set(&n, Expected::Target(id.into()), gone.clone()).unwrap();
    assert_eq!(names.get(&n).unwrap(), None);
    assert_eq!(names.version(&n, 1).unwrap(), Some(m.clone()));
    assert_eq!(names.version(&n, 2).unwrap(), Some(gone));
    assert_eq!(names.version(&n, 0).unwrap().or(names.version(&n, 3).unwrap()), None);
    assert!(names.list().unwrap().is_empty());
    let dangling = Move { target: Some(BlobId::of(b"absent").into()), ..m };
    let refused = names.set(&n, Expected::Absent, dangling);
    assert!(matches!(refused, Err(ObjectsError::Missing { .. })));
    let report = check(&other, true, &Silent).unwrap();
    assert_eq!((report.findings, report.packs, report.objects), (vec![], 1, 2));
}

/// Everything above in one place, which is a [`suite::Tried`](Tried); new each time.
#[macro_export]
macro_rules! conforms {
    ($name:ident, $folder:ident => $tried:expr) => {
        mod $name {
            use super::*;

            #[test]
            fn files() {
                let $folder = tempfile::tempdir().unwrap();
                suite::files_are_written_once(&$tried);
            }

            #[test]
            fn damage() {
                let $folder = tempfile::tempdir().unwrap();
                suite::what_is_damaged_is_put_right(&$tried);
            }

            #[test]
            fn parts() {
                let $folder = tempfile::tempdir().unwrap();
                suite::what_is_read_in_parts_is_what_is_there(&$tried);
            }

            #[test]
            fn soon() {
                let $folder = tempfile::tempdir().unwrap();
                suite::what_is_published_soon_is_there_once_it_is_settled(&$tried);
            }

            #[test]
            fn names() {
                let $folder = tempfile::tempdir().unwrap();
                suite::names_move_by_compare_and_swap(&$tried);
            }

            #[test]
            fn store() {
                let $folder = tempfile::tempdir().unwrap();
                suite::a_store_works_on_it(&$tried);
            }
        }
    };
}
