//! Stores with real objects in them, and a backend that can be told to fail.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use lab_lineage::Lineage;
use lab_objects::{
    Backend, Expected, Key, Memory, Move, NameKind, ObjectsError, PackId, Room, Store,
};
use lab_remote::Options;
use lab_schema::recipe::Parts;
use lab_schema::tree::Node;
use lab_schema::{
    Attestation, AttestationId, Base, BlobId, Command, Completeness, ContentId, Entry, Executor,
    FileName, Host, Limits, Log, Name, Object, ObjectId, Outcome, Recipe, Run, RunId, Signature,
    SignatureId, Signed, Slot, Status, Tree, TreeId, Verdict,
};

/// A new store in memory.
pub fn memory() -> Store {
    store(Arc::new(Memory::new()))
}

pub fn store(backend: Arc<dyn Backend>) -> Store {
    Store::create(backend).unwrap()
}

pub fn lineage(store: &Store) -> Lineage {
    let mut lineage = Lineage::in_memory().unwrap();
    lineage.refresh(store).unwrap();
    lineage
}

pub fn blob(store: &Store, text: &str) -> BlobId {
    let mut writer = store.writer();
    let id = writer.put_bytes(text.as_bytes()).unwrap();
    writer.finish().unwrap();
    id
}

pub fn put<O: Object>(store: &Store, object: &O) -> O::Id {
    let mut writer = store.writer();
    let id = writer.put(object).unwrap();
    writer.finish().unwrap();
    id
}

pub fn tree(store: &Store, entries: &[(&str, ContentId)]) -> TreeId {
    let entry = |(name, content): &(&str, ContentId)| Entry {
        name: FileName::new(*name).unwrap(),
        node: match content {
            ContentId::Blob(id) => Node::File { id: *id, size: 1, executable: false },
            ContentId::Tree(id) => Node::Directory { id: *id, size: 1 },
        },
    };
    put(store, &Tree::new(entries.iter().map(entry).collect()).unwrap())
}

pub fn slot(text: &str) -> Slot {
    Slot::new(text).unwrap()
}

pub fn host() -> Host {
    Host {
        os: "linux".into(),
        kernel: String::new(),
        arch: "x86_64".into(),
        cpu: String::new(),
        cpu_features: Vec::new(),
        cpus: 1,
        memory_bytes: 0,
        lab: "0.1.0".into(),
    }
}

/// A run of `argv` that reads `input` and leaves `output`, with code and a log.
pub fn run(store: &Store, argv: &str, input: ContentId, output: ContentId) -> RunId {
    let code = tree(store, &[("main.py", blob(store, &format!("code of {argv}")).into())]);
    let recipe = Recipe::new(Parts {
        executor: Executor::Command(Command {
            argv: vec![argv.into()],
            directory: None,
            variables: BTreeMap::new(),
            place: None,
        }),
        inputs: BTreeMap::from([(slot("in"), input)]),
        outside: BTreeMap::new(),
        code: Some(code),
        environment: None,
        params: BTreeMap::new(),
        seed: None,
        outputs: BTreeMap::new(),
        limits: Limits::default(),
    })
    .unwrap();
    let log = blob(store, &format!("log of {argv}"));
    put(
        store,
        &Run {
            recipe: put(store, &recipe),
            outcome: Outcome {
                status: Status::Exited(0),
                outputs: BTreeMap::from([(slot("out"), output)]),
                metrics: BTreeMap::new(),
                logs: BTreeMap::from([(Log::Stdout, log)]),
                completeness: Completeness::Complete,
                params: BTreeMap::new(),
                observed: None,
                unrecorded_variables: Vec::new(),
                started_ms: 1,
                duration_ms: 1,
                peak_memory_bytes: None,
            },
            host: host(),
            git: None,
            parent: None,
            makers: BTreeMap::new(),
            who: "ada".into(),
        },
    )
}

pub fn attest(store: &Store, run: RunId) -> AttestationId {
    put(
        store,
        &Attestation {
            run,
            verdict: Verdict::Identical,
            outputs: BTreeMap::new(),
            differences: Vec::new(),
            sealed: true,
            host: host(),
            who: "grace".into(),
            started_ms: 1,
            duration_ms: 1,
        },
    )
}

/// What looks like a signature; none holds.
pub fn sign(store: &Store, of: Signed) -> SignatureId {
    let mut sshsig = b"SSHSIG\0\0\0\x01".to_vec();
    let namespace = of.namespace().as_bytes();
    for part in [&b"\0\0\0\x03key"[..], namespace, b"", b"sha512", b"\0\0\0\x03how"] {
        sshsig.extend((part.len() as u32).to_be_bytes());
        sshsig.extend(part);
    }
    put(store, &Signature::new(of, 1, sshsig).unwrap())
}

/// Data, prepared, trained on, attested; plus a bystander that none of it needs.
pub struct Pipeline {
    pub raw: TreeId,
    pub clean: BlobId,
    pub model: BlobId,
    pub prepare: RunId,
    pub train: RunId,
    pub attested: AttestationId,
    pub bystander: RunId,
}

pub fn pipeline(store: &Store) -> Pipeline {
    let images = tree(store, &[("0.png", blob(store, "an image").into())]);
    let raw = tree(store, &[("images", images.into()), ("labels", blob(store, "labels").into())]);
    let (clean, model) = (blob(store, "clean"), blob(store, "model"));
    let prepared = tree(store, &[("clean", clean.into())]);
    let prepare = run(store, "prepare", raw.into(), prepared.into());
    let train = run(store, "train", clean.into(), model.into());
    let attested = attest(store, prepare);
    let bystander = run(store, "bystand", raw.into(), blob(store, "elsewhere").into());
    Pipeline { raw, clean, model, prepare, train, attested, bystander }
}

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub fn base(text: &str) -> Base {
    text.parse().unwrap()
}

pub fn set(store: &Store, at: &str, target: impl Into<ObjectId>) {
    let moved = Move {
        target: Some(target.into()),
        kind: NameKind::Result,
        when_ms: 7,
        who: "ada".into(),
        why: "because".into(),
    };
    store.names().set(&name(at), Expected::Anything, moved).unwrap();
}

pub fn target(store: &Store, at: &str) -> Option<ObjectId> {
    store.names().get(&name(at)).unwrap().and_then(|m| m.target)
}

/// Every object in a store, sorted.
pub fn everything(store: &Store) -> Vec<ObjectId> {
    lab_schema::Kind::ALL.iter().flat_map(|kind| store.list(*kind).unwrap()).collect()
}

pub const POLITE: Options<'static> =
    Options { force: false, repair: false, gate: None, who: "grace", when_ms: 99 };
pub const FORCED: Options<'static> = Options { force: true, ..POLITE };

/// How a [`Faulty`] backend fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Well,
    /// Nothing can be written.
    ReadOnly,
    /// Names cannot be written.
    NamesReadOnly,
    /// Nothing answers, after this many more calls.
    GoneAfter(u32),
}

/// A backend in memory that fails when told to.
#[derive(Debug)]
pub struct Faulty {
    memory: Memory,
    mood: Mutex<Mood>,
    /// Frames that come back with a flipped bit: of this pack, or of any; that start here.
    rotten: Mutex<Option<(Option<PackId>, Range<u64>)>>,
}

impl Faulty {
    pub fn new() -> Arc<Faulty> {
        let (mood, rotten) = (Mutex::new(Mood::Well), Mutex::new(None));
        Arc::new(Faulty { memory: Memory::new(), mood, rotten })
    }

    pub fn becomes(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Damages an object, which must be alone in its pack.
    pub fn damages(&self, id: ObjectId, store: &Store) {
        let holds = |pack: &PackId| store.pack_objects(*pack).unwrap() == [id];
        let pack = store.packs().unwrap().into_iter().find(holds).unwrap();
        *self.rotten.lock().unwrap() = Some((Some(pack), 0..u64::MAX));
    }

    /// Damages the first byte that is read of this range of a pack.
    pub fn damages_range(&self, range: Range<u64>) {
        *self.rotten.lock().unwrap() = Some((None, range));
    }

    fn answer(&self, verb: &'static str, key: &str, writes: bool) -> lab_objects::Result<()> {
        let mut mood = self.mood.lock().unwrap();
        let kind = match &mut *mood {
            Mood::Well => return Ok(()),
            Mood::ReadOnly if writes => ErrorKind::ReadOnlyFilesystem,
            Mood::NamesReadOnly if writes && key.starts_with("name ") => {
                ErrorKind::PermissionDenied
            }
            Mood::ReadOnly | Mood::NamesReadOnly => return Ok(()),
            Mood::GoneAfter(0) => ErrorKind::NotConnected,
            Mood::GoneAfter(calls) => {
                *calls -= 1;
                return Ok(());
            }
        };
        Err(ObjectsError::Io { verb, path: key.into(), source: kind.into() })
    }
}

impl Backend for Faulty {
    fn location(&self) -> String {
        "faulty".into()
    }
    fn read(&self, key: &Key) -> lab_objects::Result<Option<Vec<u8>>> {
        self.answer("read", &key.to_string(), false)?;
        self.memory.read(key)
    }
    fn read_range(&self, key: &Key, at: u64, len: u64) -> lab_objects::Result<Option<Vec<u8>>> {
        self.answer("read", &key.to_string(), false)?;
        let mut bytes = self.memory.read_range(key, at, len)?;
        let rotten = self.rotten.lock().unwrap().clone();
        if let Some((pack, range)) = rotten
            && pack.is_none_or(|pack| *key == Key::Pack(pack))
            && let first = at.max(range.start)
            && first < range.end
            && let Some(byte) = bytes.as_mut().and_then(|b| b.get_mut((first - at) as usize))
        {
            *byte ^= 1;
        }
        Ok(bytes)
    }
    fn publish(&self, key: &Key, bytes: &[u8]) -> lab_objects::Result<()> {
        self.answer("publish", &key.to_string(), true)?;
        self.memory.publish(key, bytes)
    }
    fn settle(&self) -> lab_objects::Result<()> {
        self.memory.settle()
    }
    fn mend(&self, key: &Key, bytes: &[u8]) -> lab_objects::Result<()> {
        self.answer("mend", &key.to_string(), true)?;
        self.memory.mend(key, bytes)
    }
    fn swap(&self, key: &Key, old: Option<&[u8]>, new: &[u8]) -> lab_objects::Result<bool> {
        self.answer("swap", &key.to_string(), true)?;
        self.memory.swap(key, old, new)
    }
    fn list(&self, room: Room) -> lab_objects::Result<Vec<(Key, u64)>> {
        self.answer("list", "room", false)?;
        self.memory.list(room)
    }
    fn remove(&self, key: &Key) -> lab_objects::Result<bool> {
        self.answer("remove", &key.to_string(), true)?;
        self.memory.remove(key)
    }
}
