//! Any sequence of commands, against a simple model: what was reported as stored reads back equal,
//! and what a name points at is never lost, whatever crashes, is dropped, or is collected between.
//!
//! A store in memory stands under the commands, through a backend that can be told to stop after a
//! number of steps: every operation then fails, as for a process that is gone, and the store is
//! opened anew. `PROPTEST_CASES` makes it more than the few sequences of a default run.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, SystemTime};

use lab_objects::{
    Backend, Collector, Expected, Finding, Folder, GetOptions, Key, Lease, Living, Memory, Move,
    NameKind, ObjectsError, Result, Room, Silent, Store, Writer, add, check, get,
};
use lab_schema::tree::Node;
use lab_schema::{BlobId, Name, Object, ObjectId, Tree};
use proptest::prelude::*;

/// Under a store: stops when told to, and shows one byte other than it is.
#[derive(Debug)]
struct Frail {
    under: Arc<dyn Backend>,
    /// Steps that are left before it stops.
    left: AtomicU64,
    /// Whether the step at which it stops is still done.
    done: bool,
    rot: Mutex<Option<(Key, u64)>>,
}

impl Frail {
    fn new(under: &Arc<dyn Backend>, left: u64, done: bool) -> Frail {
        Frail { under: Arc::clone(under), left: left.into(), done, rot: Mutex::default() }
    }

    fn stopped(&self) -> ObjectsError {
        let source = std::io::ErrorKind::BrokenPipe.into();
        ObjectsError::Io { verb: "reach", path: self.under.location().into(), source }
    }

    /// Reads something, unless it has stopped.
    fn look<T>(&self, action: impl FnOnce(&dyn Backend) -> Result<T>) -> Result<T> {
        match self.left.load(Ordering::SeqCst) {
            0 => Err(self.stopped()),
            _ => action(&*self.under),
        }
    }

    /// Changes something, unless it has stopped.
    fn step<T>(&self, action: impl FnOnce(&dyn Backend) -> Result<T>) -> Result<T> {
        let less = |left: u64| left.checked_sub(1);
        match self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less) {
            Err(_) => Err(self.stopped()),
            Ok(1) => {
                if self.done {
                    action(&*self.under)?;
                }
                Err(self.stopped())
            }
            Ok(_) => action(&*self.under),
        }
    }

    fn spoil(&self, key: &Key, from: u64, bytes: &mut [u8]) {
        if let Some((bad, at)) = &*self.rot.lock().unwrap()
            && bad == key
            && let Some(byte) = at.checked_sub(from).and_then(|at| bytes.get_mut(at as usize))
        {
            *byte ^= 0x10;
        }
    }
}

impl Backend for Frail {
    fn location(&self) -> String {
        self.under.location()
    }
    fn read(&self, key: &Key) -> Result<Option<Vec<u8>>> {
        let mut bytes = self.look(|under| under.read(key))?;
        bytes.iter_mut().for_each(|bytes| self.spoil(key, 0, bytes));
        Ok(bytes)
    }
    fn read_range(&self, key: &Key, at: u64, len: u64) -> Result<Option<Vec<u8>>> {
        let mut bytes = self.look(|under| under.read_range(key, at, len))?;
        bytes.iter_mut().for_each(|bytes| self.spoil(key, at, bytes));
        Ok(bytes)
    }
    fn publish(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        self.step(|under| under.publish(key, bytes))
    }
    fn settle(&self) -> Result<()> {
        self.step(|under| under.settle())
    }
    fn mend(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        self.step(|under| under.mend(key, bytes))
    }
    fn swap(&self, key: &Key, old: Option<&[u8]>, new: &[u8]) -> Result<bool> {
        self.step(|under| under.swap(key, old, new))
    }
    fn list(&self, room: Room) -> Result<Vec<(Key, u64)>> {
        self.look(|under| under.list(room))
    }
    fn remove(&self, key: &Key) -> Result<bool> {
        self.step(|under| under.remove(key))
    }
    fn lease(&self) -> Result<Lease> {
        self.look(|under| under.lease())
    }
    fn leases(&self, sweep: bool) -> Result<Vec<Living>> {
        self.look(|under| under.leases(sweep))
    }
    fn exclude(&self) -> Result<(Lease, SystemTime)> {
        self.look(|under| under.exclude())
    }
    fn published(&self, key: &Key) -> Result<Option<SystemTime>> {
        self.look(|under| under.published(key))
    }
}

/// How a command ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Well,
    /// Without the call that makes everything durable.
    Dropped,
    /// The process is gone at this step, which is done or not.
    Crash(u8, bool),
}

#[derive(Clone, Debug)]
enum Op {
    /// Puts things, and collects in between if so wished.
    Put(Vec<u8>, bool, End),
    /// Adds a folder of such files.
    Add(Vec<u8>, End),
    /// Two writers at once: the second one ends, and the first one does if so wished.
    Overlap(Vec<u8>, Vec<u8>, bool),
    Name(u8, prop::sample::Index, End),
    Unname(u8, End),
    Collect(End),
    Reopen,
    Range(prop::sample::Index, u32, u32),
    Get(prop::sample::Index),
    Rot(prop::sample::Index, prop::sample::Index),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let things = || prop::collection::vec(0..THINGS, 1..5);
    let crash = || (1..12u8, any::<bool>()).prop_map(|(at, done)| End::Crash(at, done));
    let end = move || prop_oneof![3 => Just(End::Well), 1 => Just(End::Dropped), 2 => crash()];
    let ends = move || prop_oneof![3 => Just(End::Well), 1 => crash()];
    let which = any::<prop::sample::Index>;
    let op = prop_oneof![
        5 => (things(), prop::bool::weighted(0.2), end()).prop_map(|(t, gc, e)| Op::Put(t, gc, e)),
        3 => (things(), end()).prop_map(|(t, e)| Op::Add(t, e)),
        1 => (things(), things(), any::<bool>()).prop_map(|(a, b, c)| Op::Overlap(a, b, c)),
        5 => (0..3u8, which(), ends()).prop_map(|(n, w, e)| Op::Name(n, w, e)),
        1 => (0..3u8, ends()).prop_map(|(n, e)| Op::Unname(n, e)),
        5 => ends().prop_map(Op::Collect),
        1 => Just(Op::Reopen),
        1 => (which(), any::<u32>(), any::<u32>()).prop_map(|(w, a, b)| Op::Range(w, a, b)),
        1 => which().prop_map(Op::Get),
        1 => (which(), which()).prop_map(|(p, at)| Op::Rot(p, at)),
    ];
    prop::collection::vec(op, 1..24)
}

/// Number of different contents.
const THINGS: u8 = 14;

fn noise(seed: u64, len: usize) -> impl Iterator<Item = u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    (0..len).map(move |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    })
}

/// Weights; those of another number are those of number 0, moved.
fn weights(number: u32) -> Vec<u8> {
    let count = 60_000usize;
    let header = format!(
        r#"{{"a":{{"dtype":"F32","shape":[{count}],"data_offsets":[0,{0}]}},"b":{{"dtype":"F32","shape":[{count}],"data_offsets":[{0},{1}]}}}}"#,
        4 * count,
        8 * count
    );
    let mut bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    for n in 0..2 * count as u32 {
        let base = (n.wrapping_mul(2_654_435_761) >> 8) as f32 / 1e9 - 0.008;
        bytes.extend_from_slice(&(base * (1.0 + number as f32 * 1e-3)).to_le_bytes());
    }
    bytes
}

/// Small texts, files that share most of their chunks, files of no structure, and weights.
static CONTENTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let text = |n: u64| format!("a text, number {n}; ").repeat(n as usize * 7).into_bytes();
    let long: Vec<u8> = noise(1, 700_000).map(|b| b & 0x1f).collect();
    let mut edited = long.clone();
    edited.splice(300_000..300_000, text(3));
    let mut all: Vec<Vec<u8>> = vec![Vec::new()];
    all.extend((1..7).map(text));
    all.extend([long, edited, noise(2, 131_072).collect(), noise(3, 400_000).collect()]);
    all.extend((0..3).map(weights));
    assert_eq!(all.len(), usize::from(THINGS));
    all
});

/// The number of the weights that others are differences to.
const BASE: usize = THINGS as usize - 3;

fn content(thing: u8) -> &'static [u8] {
    &CONTENTS[usize::from(thing)]
}

/// What has to be there, and what may be.
#[derive(Default)]
struct Model {
    sure: BTreeMap<ObjectId, Vec<u8>>,
    maybe: BTreeMap<ObjectId, Vec<u8>>,
    names: BTreeMap<Name, ObjectId>,
}

impl Model {
    fn put(&mut self, id: ObjectId, bytes: Vec<u8>, sure: bool) {
        if sure {
            self.maybe.remove(&id);
            self.sure.insert(id, bytes);
        } else if !self.sure.contains_key(&id) {
            self.maybe.insert(id, bytes);
        }
    }

    fn bytes(&self, id: &ObjectId) -> &Vec<u8> {
        self.sure.get(id).or_else(|| self.maybe.get(id)).unwrap()
    }

    /// An object and all that it points at.
    fn closure(&self, id: ObjectId) -> Vec<ObjectId> {
        let links = lab_schema::object::links(id.kind(), self.bytes(&id)).unwrap();
        std::iter::once(id).chain(links.into_iter().flat_map(|id| self.closure(id))).collect()
    }

    fn reached(&self) -> BTreeSet<ObjectId> {
        self.names.values().flat_map(|id| self.closure(*id)).collect()
    }

    fn all(&self) -> Vec<ObjectId> {
        self.sure.keys().chain(self.maybe.keys()).copied().collect()
    }

    /// A collector was here: what no name reaches may be gone.
    fn collected(&mut self) {
        let reached = self.reached();
        let (sure, gone) = std::mem::take(&mut self.sure)
            .into_iter()
            .partition::<BTreeMap<_, _>, _>(|(id, _)| reached.contains(id));
        self.sure = sure;
        self.maybe.extend(gone);
    }
}

struct World {
    under: Arc<dyn Backend>,
    backend: Arc<Frail>,
    store: Store,
    model: Model,
    /// Whether there may be several copies of a thing.
    copied: bool,
    /// The same, and of what nobody needs a part may be gone.
    collected: bool,
    folder: tempfile::TempDir,
}

fn name(n: u8) -> Name {
    Name::new(format!("name{n}")).unwrap()
}

fn a_move(target: Option<ObjectId>) -> Move {
    Move { target, kind: NameKind::Dataset, when_ms: 1, who: "ada".into(), why: String::new() }
}

fn put(writer: &mut Writer, things: &[u8]) -> Result<()> {
    for thing in things {
        if usize::from(*thing) > BASE {
            writer.set_bases(&[BlobId::of(&CONTENTS[BASE]).into()]);
        }
        assert_eq!(writer.put_bytes(content(*thing))?, BlobId::of(content(*thing)));
    }
    Ok(())
}

fn collect(store: &Store, keep: &BTreeSet<ObjectId>) -> Result<()> {
    let mut collector = Collector::begin(store, Duration::ZERO)?;
    collector.keep(&keep.iter().copied().collect::<Vec<_>>())?;
    let plan = collector.plan()?;
    collector.carry_out(&plan, &Silent).map(drop)
}

impl World {
    fn new(on_disk: bool) -> World {
        let folder = tempfile::tempdir().unwrap();
        let under: Arc<dyn Backend> = if on_disk {
            Arc::new(Folder::create(&folder.path().join("store")).unwrap())
        } else {
            Arc::new(Memory::new())
        };
        let backend = Arc::new(Frail::new(&under, u64::MAX, false));
        let store = Store::create(backend.clone()).unwrap();
        let model = Model::default();
        World { under, backend, store, model, copied: false, collected: false, folder }
    }

    fn open(&mut self, left: u64, done: bool) {
        self.backend = Arc::new(Frail::new(&self.under, left, done));
        self.store = Store::open(self.backend.clone()).unwrap();
    }

    /// Does what a process does, up to its end; none if it did not get there.
    fn command<T>(&mut self, end: End, action: impl FnOnce(&Store) -> Result<T>) -> Option<T> {
        if let End::Crash(at, done) = end {
            self.open(at.into(), done);
        }
        let lease = self.store.lease();
        let result = lease.and_then(|lease| action(&self.store).map(|found| (found, lease)));
        let stopped = self.backend.left.load(Ordering::SeqCst) == 0;
        if let End::Crash(..) = end {
            self.open(u64::MAX, false);
        }
        match result {
            Ok((found, _)) => Some(found),
            Err(error) => {
                assert!(stopped, "{error}");
                None
            }
        }
    }

    fn run(&mut self, op: &Op) {
        match op {
            Op::Put(things, between, end) => {
                let (first, second) = things.split_at(things.len() / 2);
                let reached = self.model.reached();
                let ended = self.command(*end, |store| {
                    let mut writer = store.writer();
                    put(&mut writer, first)?;
                    if *between {
                        collect(&store.clone(), &reached)?;
                    }
                    put(&mut writer, second)?;
                    if matches!(end, End::Dropped) { Ok(()) } else { writer.finish() }
                });
                if *between {
                    self.collected = true;
                    self.model.collected();
                }
                let sure = ended.is_some() && !matches!(end, End::Dropped);
                self.noted(things, sure);
            }
            Op::Add(things, end) => self.add(things, *end),
            Op::Overlap(one, other, both) => {
                let (mut first, mut second) = (self.store.writer(), self.store.writer());
                put(&mut first, one).unwrap();
                put(&mut second, other).unwrap();
                put(&mut second, one).unwrap();
                second.finish().unwrap();
                self.copied = true;
                if *both {
                    put(&mut first, other).unwrap();
                    first.finish().unwrap();
                }
                self.noted(one, true);
                self.noted(other, true);
            }
            Op::Name(n, which, end) => {
                let all = self.model.all();
                if !all.is_empty() {
                    self.name(*n, *which.get(&all), *end);
                }
            }
            Op::Unname(n, end) => {
                let m = a_move(None);
                self.command(*end, |store| store.names().set(&name(*n), Expected::Anything, m));
                if self.store.names().get(&name(*n)).unwrap().is_none() {
                    self.model.names.remove(&name(*n));
                } else {
                    assert!(matches!(end, End::Crash(..)));
                }
            }
            Op::Collect(end) => {
                let reached = self.model.reached();
                self.command(*end, |store| collect(store, &reached));
                self.collected = true;
                self.model.collected();
            }
            Op::Reopen => self.open(u64::MAX, false),
            Op::Range(which, from, len) => self.range(which, *from, *len),
            Op::Get(which) => self.get(which),
            Op::Rot(which, at) => self.rot(which, at),
        }
    }

    fn noted(&mut self, things: &[u8], sure: bool) {
        for thing in things {
            let bytes = content(*thing);
            self.model.put(BlobId::of(bytes).into(), bytes.to_vec(), sure);
        }
    }

    fn add(&mut self, things: &[u8], end: End) {
        let path = self.folder.path().join("work");
        fs::create_dir_all(path.join("inner")).unwrap();
        for (n, thing) in things.iter().enumerate() {
            let within = if n % 2 == 0 { path.clone() } else { path.join("inner") };
            fs::write(within.join(format!("file{n}")), content(*thing)).unwrap();
        }
        // What it will be is worked out by a store of its own.
        let other = Store::create(Arc::new(Memory::new())).unwrap();
        let mut writer = other.writer();
        let content = add(&mut writer, &path, &Silent).unwrap().content;
        writer.finish().unwrap();
        let ended = self.command(end, |store| {
            let mut writer = store.writer();
            let found = add(&mut writer, &path, &Silent)?.content;
            assert_eq!(found, content);
            if matches!(end, End::Dropped) { Ok(()) } else { writer.finish() }
        });
        fs::remove_dir_all(&path).unwrap();
        let sure = ended.is_some() && !matches!(end, End::Dropped);
        self.noted(things, sure);
        for kind in [lab_schema::Kind::Tree, lab_schema::Kind::Blob] {
            for id in other.list(kind).unwrap() {
                let mut bytes = Vec::new();
                other.copy(id, &mut bytes).unwrap();
                self.model.put(id, bytes, sure);
            }
        }
    }

    fn name(&mut self, n: u8, id: ObjectId, end: End) {
        let closure = self.model.closure(id);
        let sure = closure.iter().all(|id| self.model.sure.contains_key(id));
        let before = self.store.names().get(&name(n)).unwrap().and_then(|m| m.target);
        assert_eq!(before, self.model.names.get(&name(n)).copied());
        self.command(end, |store| {
            match store.names().set(&name(n), Expected::Anything, a_move(Some(id))) {
                // It was never stored, or may have been collected.
                Err(ObjectsError::Missing { .. } | ObjectsError::Damaged { .. }) if !sure => Ok(()),
                set => set,
            }
        });
        let now = self.store.names().get(&name(n)).unwrap().and_then(|m| m.target);
        if now == Some(id) {
            self.model.names.insert(name(n), id);
            // Whatever it points at has to stay from here on.
            for id in closure {
                let bytes = self.model.bytes(&id).clone();
                self.model.put(id, bytes, true);
            }
        } else {
            assert_eq!(now, before, "a name points at what nobody set");
            assert!(!sure || matches!(end, End::Crash(..)), "a name was not set");
        }
    }

    fn range(&self, which: &prop::sample::Index, from: u32, len: u32) {
        let blobs = self.model.sure.iter().filter_map(|(id, bytes)| match id {
            ObjectId::Blob(id) => Some((*id, bytes)),
            _ => None,
        });
        let blobs: Vec<_> = blobs.collect();
        if blobs.is_empty() {
            return;
        }
        let (id, bytes) = which.get(&blobs);
        let start = from as usize % (bytes.len() + 1);
        let end = start + len as usize % (bytes.len() - start + 1);
        let read = self.store.read_range(*id, start as u64..end as u64).unwrap();
        assert!(read == bytes[start..end], "{start}..{end} of {id}");
        let beyond = self.store.read_range(*id, 0..bytes.len() as u64 + 1);
        assert!(matches!(beyond, Err(ObjectsError::OutOfRange { .. })));
    }

    fn get(&self, which: &prop::sample::Index) {
        let contents: Vec<_> = self.model.sure.keys().filter_map(|id| id.content()).collect();
        if contents.is_empty() {
            return;
        }
        let (content, to) = (*which.get(&contents), self.folder.path().join("to"));
        if !contents.len().is_multiple_of(2) && matches!(content, lab_schema::ContentId::Tree(_)) {
            fs::create_dir(&to).unwrap();
        }
        get(&self.store, content, &to, &GetOptions::default(), &Silent).unwrap();
        let other = Store::create(Arc::new(Memory::new())).unwrap();
        assert_eq!(add(&mut other.writer(), &to, &Silent).unwrap().content, content);
        if to.is_dir() { fs::remove_dir_all(&to) } else { fs::remove_file(&to) }.unwrap();
    }

    /// A byte goes bad: nothing wrong is read, and a check finds it, unless nothing is lost.
    fn rot(&mut self, which: &prop::sample::Index, at: &prop::sample::Index) {
        let packs = self.under.list(Room::Packs).unwrap();
        if packs.is_empty() {
            return;
        }
        let (key, bytes) = which.get(&packs);
        self.open(u64::MAX, false);
        *self.backend.rot.lock().unwrap() = Some((key.clone(), at.index(*bytes as usize) as u64));
        let found = check(&self.store, true, &Silent).unwrap().findings;
        assert!(self.collected || self.copied || !found.is_empty(), "a byte of {key} is bad");
        for (id, bytes) in &self.model.sure {
            match self.read(*id) {
                Ok(read) => assert!(read == *bytes, "{id}"),
                Err(ObjectsError::Damaged { .. } | ObjectsError::Missing { .. }) => {
                    assert!(!found.is_empty(), "{id} is lost, and the check found nothing");
                }
                Err(error) => panic!("{id}: {error}"),
            }
        }
        self.open(u64::MAX, false);
    }

    fn read(&self, id: ObjectId) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.store.copy(id, &mut bytes).map(|_| bytes)
    }

    /// All that the model says.
    fn verify(&self, full: bool) {
        for (id, bytes) in &self.model.sure {
            let read = self.read(*id).unwrap_or_else(|error| panic!("{id} is lost: {error}"));
            assert!(read == *bytes, "{id}");
        }
        for (id, bytes) in &self.model.maybe {
            match self.read(*id) {
                Ok(read) => assert!(read == *bytes, "{id}"),
                Err(ObjectsError::Damaged { .. } | ObjectsError::Missing { .. }) => {}
                Err(error) => panic!("{id}: {error}"),
            }
        }
        let names = self.store.names().list().unwrap();
        let found: BTreeMap<Name, ObjectId> =
            names.into_iter().map(|(name, m)| (name, m.target.unwrap())).collect();
        assert_eq!(found, self.model.names);
        for finding in check(&self.store, full, &Silent).unwrap().findings {
            // What nobody needs may be gone in part.
            let of_no_use = match &finding {
                Finding::Object { id, .. } => !self.model.sure.contains_key(id),
                Finding::Lacking { needed_by, .. } => !self.model.sure.contains_key(needed_by),
                _ => false,
            };
            assert!(self.collected && of_no_use, "{finding}");
        }
    }
}

/// What the folders that are added become, so that the model and the store agree on trees.
#[test]
fn the_model_follows_trees() {
    let mut world = World::new(false);
    world.add(&[1, 2, 8], End::Well);
    let trees = world.model.sure.iter().filter(|(id, _)| id.kind() == lab_schema::Kind::Tree);
    let root = trees.max_by_key(|(_, bytes)| bytes.len()).unwrap();
    let entries = Tree::decode(root.1).unwrap();
    assert!(entries.entries().iter().any(|e| matches!(e.node, Node::Directory { .. })));
    assert_eq!(world.model.closure(*root.0).len(), 5);
}

fn config() -> ProptestConfig {
    let asked = ProptestConfig::default();
    // The default of the library takes minutes.
    let cases = if asked.cases == 256 { 24 } else { asked.cases };
    ProptestConfig { cases, failure_persistence: None, max_shrink_iters: 300, ..asked }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nothing_is_lost_whatever_happens(on_disk in prop::bool::weighted(0.2), ops in ops()) {
        let mut world = World::new(on_disk);
        for op in &ops {
            world.run(op);
            world.verify(matches!(op, Op::Reopen | Op::Collect(_)));
        }
        world.open(u64::MAX, false);
        world.verify(true);
    }
}

/// A blob whose list cannot be followed any more, put twice by one writer: found by the test above.
#[test]
fn a_list_that_cannot_be_followed_gets_one_other() {
    let put = |things: &[u8], between| Op::Put(things.to_vec(), between, End::Well);
    let mut world = World::new(false);
    for op in [put(&[13], false), put(&[13, 13], true)] {
        world.run(&op);
        world.verify(false);
    }
    world.open(u64::MAX, false);
    world.verify(true);
}

/// A collector that broke off, and one that went on, left a directory without its file: no name may
/// point there. Found by the test above.
#[test]
fn a_name_does_not_go_to_what_is_no_more_whole() {
    let mut world = World::new(false);
    for op in [
        Op::Add(vec![3], End::Well),
        Op::Put(vec![9], false, End::Well),
        Op::Add(vec![8], End::Well),
        Op::Collect(End::Crash(4, false)),
        Op::Put(vec![0], true, End::Well),
    ] {
        world.run(&op);
        world.verify(false);
    }
    for id in world.model.all() {
        world.name(0, id, End::Well);
        world.verify(false);
    }
    world.open(u64::MAX, false);
    world.verify(true);
}
