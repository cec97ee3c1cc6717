//! Parts of what belongs to a run: what comes and what is left, that what is left can be had when it is
//! needed, and that nothing of it is ever taken for lost, for whole, or for something else.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Read};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{
    Faulty, Mood, POLITE, base, blob, everything, host, lineage, memory, name, pipeline, put, run,
    set, slot, target,
};
use lab_lineage::{Choice, Only, Part, Policy, collect};
use lab_objects::{
    Backend, Folder, GetOptions, Key, Memory, ObjectsError, Offline, Promises, Report, Silent,
    Store, Unkept, check, get,
};
use lab_remote::{
    Dial, Ends, Exchange, Far, Fetcher, Heard, Held, Opened, Patience, RemoteError, Result,
    Selection, Side, answer, plan_pull, plan_pull_part, plan_push, pull_part, push,
};
use lab_schema::recipe::Parts;
use lab_schema::tree::Node;
use lab_schema::{
    BlobId, Command, Completeness, ContentId, Entry, Executor, FileName, Kind, Limits, Log,
    ObjectId, Outcome, Recipe, Run, RunId, Status, Tree, TreeId,
};

/// Stores by their locations.
type Places = Arc<Mutex<HashMap<String, Store>>>;

/// A registry: a store in a folder, what was left out of it, and where it fetches from.
struct Registry {
    folder: tempfile::TempDir,
    store: Store,
    heard: Arc<Mutex<Vec<Heard>>>,
    opened: Arc<AtomicU32>,
}

impl Registry {
    fn new(places: &Places) -> Registry {
        Registry::reopened(tempfile::tempdir().unwrap(), places)
    }

    /// As another process finds it.
    fn again(self, places: &Places) -> Registry {
        drop(self.store);
        Registry::reopened(self.folder, places)
    }

    fn reopened(folder: tempfile::TempDir, places: &Places) -> Registry {
        let store = Store::create(Arc::new(Folder::create(folder.path()).unwrap())).unwrap();
        let promises = Arc::new(Promises::of(folder.path()));
        let (heard, opened): (Arc<Mutex<Vec<Heard>>>, Arc<AtomicU32>) = Default::default();
        let (hears, opens, known) = (heard.clone(), opened.clone(), places.clone());
        let fetcher = Fetcher::new(
            &store,
            promises.clone(),
            Box::new(move |location| {
                opens.fetch_add(1, Ordering::Relaxed);
                let found = known.lock().unwrap().get(location).cloned();
                found.ok_or_else(|| RemoteError::Unreachable {
                    location: location.to_owned(),
                    why: "nobody is there".to_owned(),
                })
            }),
            Box::new(move |what| hears.lock().unwrap().push(what)),
            Box::new(Silent),
        );
        let store = store.with_promises(promises, Arc::new(fetcher));
        Registry { folder, store, heard, opened }
    }

    fn offline(&self) -> Store {
        let promises = Arc::new(Promises::of(self.folder.path()));
        self.store.alone().with_promises(promises.clone(), Arc::new(Offline(promises)))
    }

    fn pull(&self, remote: &Store, what: &str, choice: &Choice) -> Result<Exchange> {
        let selection = Selection { choice, from: "there" };
        pull_part(&self.store, remote, &[base(what)], selection, POLITE, &Silent)
    }

    fn fetched(&self) -> u64 {
        let heard = self.heard.lock().unwrap();
        let objects = |heard: &Heard| match heard {
            Heard::Fetched { transfer, .. } => transfer.objects,
            _ => 0,
        };
        heard.iter().map(objects).sum()
    }
}

fn places(all: &[(&str, &Store)]) -> Places {
    let all = all.iter().map(|(location, store)| ((*location).to_owned(), (*store).clone()));
    Arc::new(Mutex::new(all.collect()))
}

fn only(parts: &[Only]) -> Choice {
    Choice { only: parts.iter().copied().collect(), ..Choice::default() }
}

fn deep(depth: u32) -> Choice {
    Choice { depth: Some(depth), ..Choice::default() }
}

fn report(store: &Store) -> Report {
    let report = check(store, true, &Silent).unwrap();
    assert_eq!(report.findings, []);
    report
}

/// A directory.
fn tree(store: &Store, entries: &[(&str, ContentId)]) -> TreeId {
    let entry = |(name, content): &(&str, ContentId)| {
        let node = match *content {
            ContentId::Blob(id) => {
                let size = store.size(id).unwrap().unwrap();
                Node::File { id, size, executable: false }
            }
            ContentId::Tree(id) => {
                let size = store.load::<Tree>(id).unwrap().total_bytes();
                Node::Directory { id, size }
            }
        };
        Entry { name: FileName::new(*name).unwrap(), node }
    };
    put(store, &Tree::new(entries.iter().map(entry).collect()).unwrap())
}

/// What a run is to be made of, each file told by its text.
struct Made {
    run: RunId,
    by_part: BTreeMap<&'static str, BlobId>,
}

/// A run with everything that a run can have.
fn full(store: &Store, label: &str, inputs: &[ContentId], output: ContentId) -> Made {
    let text = |what: &str| blob(store, &format!("{what} of {label}"));
    let (code, environment) = (text("code"), text("environment"));
    let (log, observed) = (text("log"), text("observed"));
    let inside = |file: BlobId| tree(store, &[("lib", tree(store, &[("f", file.into())]).into())]);
    let recipe = Recipe::new(Parts {
        executor: Executor::Command(Command {
            argv: vec![label.into()],
            directory: None,
            variables: BTreeMap::new(),
            place: None,
        }),
        inputs: inputs.iter().enumerate().map(|(n, c)| (slot(&format!("in{n}")), *c)).collect(),
        outside: BTreeMap::new(),
        code: Some(inside(code)),
        environment: Some(inside(environment)),
        params: BTreeMap::new(),
        seed: None,
        outputs: BTreeMap::new(),
        limits: Limits::default(),
    })
    .unwrap();
    let outcome = Outcome {
        status: Status::Exited(0),
        outputs: BTreeMap::from([(slot("out"), output)]),
        metrics: BTreeMap::new(),
        logs: BTreeMap::from([(Log::Stdout, log)]),
        completeness: Completeness::Complete,
        params: BTreeMap::new(),
        observed: Some(observed),
        unrecorded_variables: Vec::new(),
        started_ms: 1,
        duration_ms: 1,
        peak_memory_bytes: None,
    };
    let recipe = put(store, &recipe);
    let run = put(
        store,
        &Run {
            recipe,
            outcome,
            host: host(),
            git: None,
            parent: None,
            makers: BTreeMap::new(),
            who: "ada".into(),
        },
    );
    let by_part = BTreeMap::from([
        ("code", code),
        ("environment", environment),
        ("log", log),
        ("observed", observed),
    ]);
    Made { run, by_part }
}

/// Weights with one tensor, as safetensors.
fn weights(seed: u8) -> Vec<u8> {
    let header = br#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
    [&(header.len() as u64).to_le_bytes()[..], header, &[seed; 8]].concat()
}

fn bytes(store: &Store, bytes: &[u8]) -> BlobId {
    let mut writer = store.writer();
    let id = writer.put_bytes(bytes).unwrap();
    writer.finish().unwrap();
    id
}

/// Raw data, prepared, trained on from other weights.
struct Chain {
    store: Store,
    raw: BlobId,
    clean: BlobId,
    start: BlobId,
    model: BlobId,
    notes: BlobId,
    prepare: Made,
    train: Made,
}

fn chain() -> Chain {
    let store = memory();
    let (raw, clean) = (blob(&store, "raw"), blob(&store, "clean"));
    let (start, model) = (bytes(&store, &weights(1)), bytes(&store, &weights(2)));
    let notes = blob(&store, "notes");
    let prepare = full(&store, "prepare", &[raw.into()], clean.into());
    // Only its name says that it is weights: it is small, and in a directory.
    let read = tree(&store, &[("start.safetensors", start.into())]);
    let made = tree(&store, &[("model", model.into()), ("notes.txt", notes.into())]);
    let train = full(&store, "train", &[clean.into(), read.into()], made.into());
    set(&store, "base", train.run);
    set(&store, "raw", raw);
    Chain { store, raw, clean, start, model, notes, prepare, train }
}

impl Chain {
    /// Every file, by name.
    fn files(&self) -> BTreeMap<String, BlobId> {
        let own = [
            ("raw", self.raw),
            ("clean", self.clean),
            ("start", self.start),
            ("model", self.model),
            ("notes", self.notes),
        ];
        let own = own.into_iter().map(|(name, id)| (name.to_owned(), id));
        let of = |label: &'static str, made: &Made| {
            made.by_part.clone().into_iter().map(move |(part, id)| (format!("{label}.{part}"), id))
        };
        own.chain(of("prepare", &self.prepare)).chain(of("train", &self.train)).collect()
    }
}

#[test]
fn what_is_asked_for_comes_and_the_rest_is_promised() {
    let chain = chain();
    let record = ["prepare.log", "prepare.observed", "train.log", "train.observed"];
    let cases: [(Choice, &[&str]); 9] = [
        (only(&[Only::Record]), &[]),
        (only(&[Only::Outputs]), &["model", "notes"]),
        (only(&[Only::Code]), &["train.code"]),
        (only(&[Only::Weights]), &["model", "start"]),
        (only(&[Only::Weights, Only::Code]), &["model", "start", "train.code"]),
        (
            Choice { depth: Some(1), ..only(&[Only::Outputs]) },
            // What the ancestor left is an input of the run as well.
            &["model", "notes", "clean"],
        ),
        (deep(0), &["model", "notes", "clean", "start", "train.code", "train.environment"]),
        (
            Choice { no_environment: true, ..deep(0) },
            &["model", "notes", "clean", "start", "train.code"],
        ),
        (
            Choice { no_environment: true, ..Choice::default() },
            &["model", "notes", "clean", "start", "raw", "train.code", "prepare.code"],
        ),
    ];
    let all = everything(&chain.store);
    for (choice, expected) in cases {
        let there = places(&[("there", &chain.store)]);
        let here = Registry::new(&there);
        let done = here.pull(&chain.store, "base", &choice).unwrap();
        let files = chain.files();
        let expected: BTreeSet<&str> = expected.iter().copied().chain(record).collect();
        let come = |(name, id): (&String, &BlobId)| {
            here.store.has(*id).unwrap().then(|| name.as_str().to_owned())
        };
        let came: BTreeSet<String> = files.iter().filter_map(come).collect();
        assert_eq!(
            came.iter().map(String::as_str).collect::<BTreeSet<_>>(),
            expected,
            "{choice:?}"
        );
        // Whatever is no file came in any case.
        let structured = |id: &ObjectId| id.kind() != Kind::Blob;
        let upper: Vec<ObjectId> = all.iter().copied().filter(structured).collect();
        assert_eq!(here.store.lacking(&upper).unwrap(), []);
        assert_eq!(target(&here.store, "base"), Some(chain.train.run.into()));
        // The rest is promised, is no damage, and is no reason not to collect.
        let left = files.len() - expected.len();
        assert_eq!(done.left.objects, left as u64);
        assert_eq!(report(&here.store).promised.len(), left);
        let before = everything(&here.store);
        let policy = Policy { grace: Duration::ZERO, history: Duration::ZERO };
        for _ in 0..3 {
            collect(&here.store, &mut lineage(&here.store), policy, &Silent).unwrap();
        }
        assert_eq!(everything(&here.store), before);
        // Another process finds the same, and gets each.
        let here = here.again(&there);
        assert_eq!(report(&here.store).promised.len(), left);
        for (name, id) in &files {
            let read = here.store.read_blob(*id, 1 << 20).unwrap();
            assert_eq!(BlobId::of(&read), *id, "{name}");
        }
        assert_eq!(
            (here.fetched(), here.opened.load(Ordering::Relaxed)),
            (left as u64, u32::from(left > 0))
        );
        let here = here.again(&there);
        assert_eq!(report(&here.store).promised.len(), 0);
        let promised = here.folder.path().join("promised");
        assert!(!promised.exists() || promised.read_dir().unwrap().next().is_none());
    }
}

#[test]
fn a_later_pull_of_everything_completes_it() {
    let chain = chain();
    let there = places(&[]);
    let here = Registry::new(&there);
    here.pull(&chain.store, "base", &only(&[Only::Record])).unwrap();
    here.pull(&chain.store, "base", &only(&[Only::Outputs])).unwrap();
    assert_eq!(report(&here.store).promised.len(), chain.files().len() - 6);
    let done = here.pull(&chain.store, "base", &Choice::default()).unwrap();
    assert_eq!(done.left.objects, 0);
    assert_eq!(everything(&here.store), everything(&chain.store));
    assert_eq!(here.opened.load(Ordering::Relaxed), 0);
    // Lost from now on is lost: it is promised no more.
    let here = here.again(&there);
    assert_eq!(here.store.promised(chain.raw).unwrap(), None);
    assert_eq!(report(&here.store).promised.len(), 0);
}

/// A name that points at a file itself may point at one that was left.
#[test]
fn a_name_may_point_at_what_was_left() {
    let chain = chain();
    let there = places(&[("there", &chain.store)]);
    let here = Registry::new(&there);
    here.pull(&chain.store, "raw", &only(&[Only::Code])).unwrap();
    assert_eq!(target(&here.store, "raw"), Some(chain.raw.into()));
    assert!(!here.store.has(chain.raw).unwrap());
    assert_eq!(here.store.size(chain.raw).unwrap(), Some(3));
    assert_eq!(report(&here.store).promised.len(), 1);
    let policy = Policy { grace: Duration::ZERO, history: Duration::ZERO };
    collect(&here.store, &mut lineage(&here.store), policy, &Silent).unwrap();
    assert_eq!(here.store.read_blob(chain.raw, 10).unwrap(), b"raw");
    // To what nobody promised, none may.
    let nowhere = BlobId::of(b"nowhere");
    let moved = here.store.names().get(&name("raw")).unwrap().unwrap();
    let moved = lab_objects::Move { target: Some(nowhere.into()), ..moved };
    let set = here.store.names().set(&name("raw"), lab_objects::Expected::Anything, moved);
    assert!(matches!(set, Err(ObjectsError::Missing { .. })));
}

#[test]
fn files_are_fetched_together() {
    let source = memory();
    let entries: Vec<(String, ContentId)> = (0..40)
        .map(|n| (format!("{n}.png"), blob(&source, &format!("image {n}")).into()))
        .collect();
    let entries: Vec<(&str, ContentId)> = entries.iter().map(|(n, c)| (n.as_str(), *c)).collect();
    let images = tree(&source, &entries);
    set(&source, "images", images);
    let there = places(&[("there", &source)]);
    let here = Registry::new(&there);
    here.pull(&source, "images", &only(&[Only::Record])).unwrap();
    assert_eq!(report(&here.store).promised.len(), 40);
    let out = tempfile::tempdir().unwrap();
    let to = out.path().join("images");
    let failed = get(&here.offline(), images.into(), &to, &GetOptions::default(), &Silent);
    let Err(ObjectsError::Promised { why: Unkept::Offline, from, .. }) = failed else {
        panic!("{failed:?}")
    };
    assert_eq!(from, "there");
    assert_eq!(out.path().read_dir().unwrap().count(), 0, "something half done was left");
    get(&here.store, images.into(), &to, &GetOptions::default(), &Silent).unwrap();
    let heard = here.heard.lock().unwrap();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(matches!(&heard[0], Heard::Fetched { transfer, .. } if transfer.objects == 40));
}

#[test]
fn what_does_not_come_is_said_and_nothing_wrong_is_kept() {
    let chain = chain();
    let wrong = Faulty::new();
    let faulty = common::store(wrong.clone());
    let model = blob(&faulty, "model, quite another");
    let whole = chain.store.read_blob(chain.model, 100).unwrap();
    let model_there = bytes(&faulty, &whole);
    assert_eq!(model_there, chain.model);
    let (lost, other) = (memory(), memory());
    blob(&other, "clean");
    let there = places(&[]);
    let here = Registry::new(&there);
    here.pull(&chain.store, "base", &only(&[Only::Record])).unwrap();
    let read = |id: BlobId| here.store.read_blob(id, 1 << 20);
    // Nobody answers.
    let Err(ObjectsError::Promised { id, bytes, from, why: Unkept::Unreachable(_) }) =
        read(chain.clean)
    else {
        panic!()
    };
    assert_eq!((id, bytes, from.as_str()), (chain.clean.into(), 5, "there"));
    // It has lost it.
    there.lock().unwrap().insert("there".into(), lost);
    assert!(matches!(read(chain.clean), Err(ObjectsError::Promised { why: Unkept::Gone, .. })));
    // It hands out something else.
    there.lock().unwrap().insert("there".into(), faulty.clone());
    wrong.damages(chain.model.into(), &faulty);
    let here = here.again(&there);
    let failed = here.store.read_blob(chain.model, 100);
    assert!(
        matches!(failed, Err(ObjectsError::Promised { why: Unkept::Wrong(_), .. })),
        "{failed:?}"
    );
    assert!(!here.store.has(chain.model).unwrap() && !here.store.has(model).unwrap());
    assert_eq!(report(&here.store).promised.len(), chain.files().len() - 4);
    // Somebody else has promised it too.
    let selection = Selection { choice: &only(&[Only::Record]), from: "elsewhere" };
    pull_part(&here.store, &chain.store, &[base("base")], selection, POLITE, &Silent).unwrap();
    there.lock().unwrap().insert("elsewhere".into(), other);
    assert_eq!(here.store.read_blob(chain.clean, 10).unwrap(), b"clean");
    // The last that promised it does not have it, the first has.
    there.lock().unwrap().insert("there".into(), chain.store.clone());
    assert_eq!(here.store.read_blob(chain.notes, 10).unwrap(), b"notes");
    there.lock().unwrap().insert("there".into(), faulty.clone());
    there.lock().unwrap().insert("elsewhere".into(), chain.store.clone());
    let here = here.again(&there);
    assert_eq!(here.store.read_blob(chain.model, 100).unwrap(), whole);
}

/// Whenever it breaks off, what is here is sound, and the same again finishes it.
#[test]
fn a_partial_pull_that_breaks_off_anywhere_goes_on() {
    let mut done = false;
    for calls in 0.. {
        let backend = Faulty::new();
        let remote = common::store(backend.clone());
        let p = pipeline(&remote);
        set(&remote, "base", p.train);
        let there = places(&[("there", &remote)]);
        let here = Registry::new(&there);
        backend.becomes(Mood::GoneAfter(calls));
        let first = here.pull(&remote, "base", &only(&[Only::Outputs]));
        backend.becomes(Mood::Well);
        let broken = first.is_err();
        let here = here.again(&there);
        report(&here.store);
        let policy = Policy { grace: Duration::ZERO, history: Duration::ZERO };
        collect(&here.store, &mut lineage(&here.store), policy, &Silent).unwrap();
        here.pull(&remote, "base", &only(&[Only::Outputs])).unwrap();
        assert_eq!(target(&here.store, "base"), Some(p.train.into()));
        let left = report(&here.store).promised.len();
        assert!(left > 0);
        assert_eq!(here.store.read_blob(p.clean, 10).unwrap(), b"clean");
        if !broken {
            done = true;
            break;
        }
    }
    assert!(done);
}

#[test]
fn a_name_that_moves_on_the_remote_does_not_matter() {
    let chain = chain();
    let there = places(&[("there", &chain.store)]);
    let here = Registry::new(&there);
    here.pull(&chain.store, "base", &only(&[Only::Record])).unwrap();
    set(&chain.store, "base", chain.prepare.run);
    assert_eq!(here.store.read_blob(chain.notes, 10).unwrap(), b"notes");
    assert_eq!(target(&here.store, "base"), Some(chain.train.run.into()));
}

#[test]
fn a_push_of_a_part_hands_on_the_whole_or_nothing() {
    let chain = chain();
    let there = places(&[]);
    let here = Registry::new(&there);
    here.pull(&chain.store, "base", &only(&[Only::Outputs])).unwrap();
    let left = report(&here.store).promised.len() as u64;
    let send = |third: &Store| {
        push(&here.store, &lineage(&here.store), third, &[base("base")], POLITE, &Silent)
    };
    // Nobody has the rest: the name does not go, and nor does anything that lacks something.
    let third = memory();
    let failed = send(&third);
    assert!(
        matches!(&failed, Err(RemoteError::Store { side: Side::Local, source })
            if matches!(**source, ObjectsError::Promised { .. })),
        "{failed:?}"
    );
    assert_eq!((target(&third, "base"), report(&third).objects), (None, 0));
    // To the one that has it, it need not go.
    assert_eq!(send(&chain.store).unwrap().transfer.objects, 0);
    assert_eq!(here.opened.load(Ordering::Relaxed), 1);
    // Fetched first.
    there.lock().unwrap().insert("there".into(), chain.store.clone());
    let known = lineage(&here.store);
    let planned = plan_push(&here.store, &known, &third, &[base("base")], POLITE).unwrap();
    assert_eq!((planned.first.objects, here.fetched()), (left, 0));
    send(&third).unwrap();
    assert_eq!(here.fetched(), left);
    assert_eq!(everything(&third), everything(&chain.store));
    assert_eq!(target(&third, "base"), Some(chain.train.run.into()));
    report(&third);
}

/// A store that has only been promised something is no source of it.
#[test]
fn a_pull_from_a_part_says_what_is_lacking() {
    let chain = chain();
    let there = places(&[]);
    let here = Registry::new(&there);
    here.pull(&chain.store, "base", &only(&[Only::Record])).unwrap();
    let third = Registry::new(&there);
    let failed = third.pull(&here.store.alone(), "base", &Choice::default());
    assert!(matches!(failed, Err(RemoteError::Missing { side: Side::Remote, .. })), "{failed:?}");
    assert_eq!(target(&third.store, "base"), None);
}

#[test]
fn a_store_without_promises_takes_no_parts() {
    let chain = chain();
    let plain = memory();
    let selection = Selection { choice: &only(&[Only::Record]), from: "there" };
    let failed = pull_part(&plain, &chain.store, &[base("base")], selection, POLITE, &Silent);
    assert!(failed.is_err());
    assert_eq!((everything(&plain), target(&plain, "base")), (vec![], None));
}

#[test]
fn several_fetch_at_once_and_a_collector_runs() {
    let chain = chain();
    let there = places(&[("there", &chain.store)]);
    let here = Registry::new(&there);
    here.pull(&chain.store, "base", &only(&[Only::Record])).unwrap();
    let files: Vec<BlobId> = chain.files().into_values().collect();
    std::thread::scope(|scope| {
        for turn in 0..4 {
            // Each a process of its own, as far as the store can tell.
            let (folder, there, files) = (here.folder.path(), &there, &files);
            scope.spawn(move || {
                let store = Store::open(Arc::new(Folder::open(folder).unwrap())).unwrap();
                let promises = Arc::new(Promises::of(folder));
                let known = there.clone();
                let opens = move |at: &str| Ok(known.lock().unwrap()[at].clone());
                let (hears, progress) = (Box::new(|_| {}), Box::new(Silent));
                let fetcher =
                    Fetcher::new(&store, promises.clone(), Box::new(opens), hears, progress);
                let store = store.with_promises(promises, Arc::new(fetcher));
                for n in 0..files.len() {
                    let id = files[(n * 5 + turn) % files.len()];
                    assert_eq!(BlobId::of(&store.read_blob(id, 1 << 20).unwrap()), id);
                }
            });
        }
        let policy = Policy { grace: Duration::ZERO, history: Duration::ZERO };
        for _ in 0..20 {
            let store = here.offline();
            collect(&store, &mut lineage(&store), policy, &Silent).unwrap();
        }
    });
    let here = here.again(&there);
    assert_eq!(report(&here.store).promised.len(), 0);
    assert_eq!(here.store.lacking(&everything(&chain.store)).unwrap(), []);
}

/// A connection to a server in this process, whose bytes are counted.
#[derive(Debug)]
struct Line {
    backend: Arc<Memory>,
    back: Arc<AtomicU64>,
}

struct Counting(UnixStream, Arc<AtomicU64>);

impl Read for Counting {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        self.1.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

struct Wire(UnixStream);

impl Held for Wire {
    fn cut(&mut self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.cut();
    }
}

impl Dial for Line {
    fn dial(&self) -> io::Result<Ends> {
        let (near, far) = UnixStream::pair()?;
        let backend = Arc::clone(&self.backend);
        std::thread::spawn(move || {
            let open = move |_| -> Result<Opened> {
                let store = Store::open(backend.clone()).unwrap();
                Ok(Opened { store, backend: backend.clone(), made: false, guard: None })
            };
            let from = far.try_clone().unwrap();
            let _ = answer(&mut &from, far, &open);
        });
        Ok(Ends {
            from: Box::new(Counting(near.try_clone()?, self.back.clone())),
            to: Box::new(near.try_clone()?),
            held: Box::new(Wire(near)),
        })
    }

    fn location(&self) -> String {
        "line".into()
    }
}

fn far(backend: &Arc<Memory>) -> (Store, Arc<AtomicU64>) {
    let back = Arc::new(AtomicU64::new(0));
    let line = Line { backend: backend.clone(), back: back.clone() };
    let patience =
        Patience { silence: Duration::from_secs(20), tries: 1, pause: Duration::from_millis(1) };
    let (far, _) = Far::connect(Box::new(line), patience, false, Box::new(|_| {})).unwrap();
    (Store::open(Arc::new(far)).unwrap(), back)
}

/// Bytes that no encoding makes smaller.
fn noise(seed: u32, len: usize) -> Vec<u8> {
    let mut state = u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..len).map(|_| next()).collect()
}

#[test]
fn a_part_of_a_large_file_moves_its_chunks_and_no_more() {
    let backend = Arc::new(Memory::new());
    let source = Store::create(backend.clone()).unwrap();
    let len = 300_000_000;
    let (large, seen) = {
        let all = noise(1, len);
        (bytes(&source, &all), all[250_000_000..250_001_024].to_vec())
    };
    set(&source, "large", large);
    let (remote, back) = far(&backend);
    let there = places(&[("there", &remote)]);
    let here = Registry::new(&there);
    here.pull(&remote, "large", &only(&[Only::Record])).unwrap();
    assert_eq!(here.store.size(large).unwrap(), Some(len as u64));
    // All that a command needs that does nothing but this, with a connection of its own.
    let (remote, fresh) = far(&backend);
    there.lock().unwrap().insert("there".into(), remote);
    let read = here.store.read_range(large, 250_000_000..250_001_024).unwrap();
    assert!(read == seen);
    let moved = fresh.load(Ordering::Relaxed);
    assert!((1024..1_500_000).contains(&moved), "{moved} bytes");
    assert!(back.load(Ordering::Relaxed) < 2_000_000);
    // Nothing is kept that could be taken for all of it.
    assert!(!here.store.has(large).unwrap());
    assert_eq!(here.store.lacking(&[large.into()]).unwrap(), [large.into()]);
    assert_eq!(report(&here.store).promised.len(), 1);
    for beyond in [len as u64..len as u64 + 1, u64::MAX - 1..u64::MAX] {
        let failed = here.store.read_range(large, beyond);
        assert!(matches!(failed, Err(ObjectsError::OutOfRange { .. })), "{failed:?}");
    }
    let heard = here.heard.clone();
    drop(here);
    let heard = heard.lock().unwrap();
    assert!(matches!(heard[..], [Heard::Read { bytes: 1024, .. }]), "{heard:?}");
}

/// Counts how often the way is taken.
#[derive(Debug)]
struct Ways(Arc<Memory>, AtomicU32);

impl Ways {
    fn took(&self) -> &Memory {
        self.1.fetch_add(1, Ordering::Relaxed);
        &self.0
    }
}

impl Backend for Ways {
    fn location(&self) -> String {
        "ways".into()
    }
    fn is_far(&self) -> bool {
        true
    }
    fn read(&self, key: &Key) -> lab_objects::Result<Option<Vec<u8>>> {
        self.took().read(key)
    }
    fn read_range(&self, key: &Key, at: u64, len: u64) -> lab_objects::Result<Option<Vec<u8>>> {
        self.took().read_range(key, at, len)
    }
    fn read_ranges(&self, all: &[(Key, u64, u64)]) -> lab_objects::Result<Vec<Option<Vec<u8>>>> {
        self.took().read_ranges(all)
    }
    fn publish(&self, key: &Key, bytes: &[u8]) -> lab_objects::Result<()> {
        self.took().publish(key, bytes)
    }
    fn settle(&self) -> lab_objects::Result<()> {
        self.took().settle()
    }
    fn mend(&self, key: &Key, bytes: &[u8]) -> lab_objects::Result<()> {
        self.took().mend(key, bytes)
    }
    fn swap(&self, key: &Key, old: Option<&[u8]>, new: &[u8]) -> lab_objects::Result<bool> {
        self.took().swap(key, old, new)
    }
    fn list(&self, room: lab_objects::Room) -> lab_objects::Result<Vec<(Key, u64)>> {
        self.took().list(room)
    }
    fn remove(&self, key: &Key) -> lab_objects::Result<bool> {
        self.took().remove(key)
    }
}

/// However many runs and files there are, and however large.
#[test]
fn what_would_come_is_said_in_a_few_ways_and_without_fetching_it() {
    let ways = |files: u32| {
        let backend = Arc::new(Memory::new());
        let source = Store::create(backend.clone()).unwrap();
        let inputs: Vec<(String, ContentId)> = (0..files)
            .map(|n| {
                let text = noise(n + 1, 300_000);
                (format!("{n}.bin"), bytes(&source, &text).into())
            })
            .collect();
        let inputs: Vec<(&str, ContentId)> = inputs.iter().map(|(n, c)| (n.as_str(), *c)).collect();
        let read = tree(&source, &inputs);
        let last = (0..files).fold(blob(&source, "first"), |before, n| {
            let after = blob(&source, &format!("after {n}"));
            run(&source, &format!("step {n}"), before.into(), after.into());
            after
        });
        let made = full(
            &source,
            "end",
            &[read.into(), last.into()],
            bytes(&source, &noise(0, 200_000)).into(),
        );
        set(&source, "base", made.run);
        let counted = Arc::new(Ways(backend, AtomicU32::new(0)));
        let remote = Store::open(counted.clone()).unwrap();
        let here = Registry::new(&places(&[]));
        counted.1.store(0, Ordering::Relaxed);
        let choice = only(&[Only::Outputs, Only::Weights]);
        for choice in [&Choice::default(), &choice] {
            let selection = Selection { choice, from: "there" };
            let asked = [base("base")];
            let planned =
                plan_pull_part(&here.store, &remote, &asked, selection, POLITE, &Silent).unwrap();
            assert_eq!(everything(&here.store), []);
            assert_eq!(report(&here.store).promised.len(), 0);
            let sum =
                |of: fn(&lab_remote::Group) -> u64| planned.groups.iter().map(of).sum::<u64>();
            assert_eq!(sum(|group| group.objects), planned.transfer.objects);
            assert_eq!(sum(|group| group.bytes), planned.transfer.bytes);
            let outputs = planned.groups.iter().find(|group| group.part == Part::Outputs).unwrap();
            assert!(outputs.stored >= 200_000 && outputs.stored < 220_000, "{outputs:?}");
            let fresh = Registry::new(&places(&[]));
            let done =
                pull_part(&fresh.store, &remote, &asked, selection, POLITE, &Silent).unwrap();
            assert_eq!(done.transfer, planned.transfer);
            assert_eq!(done.left, planned.left);
        }
        counted.1.store(0, Ordering::Relaxed);
        let selection = Selection { choice: &Choice::default(), from: "there" };
        let asked = [base("base")];
        let remote = Store::open(counted.clone()).unwrap();
        plan_pull_part(&here.store, &remote, &asked, selection, POLITE, &Silent).unwrap();
        counted.1.load(Ordering::Relaxed)
    };
    let (few, many) = (ways(2), ways(30));
    assert!(many <= few + 12 && many < 40, "{few}, {many}");
}

#[test]
fn chunks_of_a_part_are_asked_for_together() {
    let backend = Arc::new(Memory::new());
    let source = Store::create(backend.clone()).unwrap();
    let all = noise(1, 40 << 20);
    let large = bytes(&source, &all);
    set(&source, "large", large);
    let counted = Arc::new(Ways(backend, AtomicU32::new(0)));
    let remote = Store::open(counted.clone()).unwrap();
    let here = Registry::new(&places(&[("there", &remote)]));
    here.pull(&remote, "large", &only(&[Only::Record])).unwrap();
    counted.1.store(0, Ordering::Relaxed);
    let read = here.store.read_range(large, 5_000_000..21_000_000).unwrap();
    assert!(read == all[5_000_000..21_000_000]);
    let ways = counted.1.load(Ordering::Relaxed);
    // Some two hundred chunks.
    assert!(ways < 16, "{ways}");
    // A tensor: what says where it lies, and its chunks.
    let header = format!(
        r#"{{"a":{{"dtype":"U8","shape":[9000000],"data_offsets":[0,9000000]}},"b":{{"dtype":"U8","shape":[3000000],"data_offsets":[9000000,12000000]}},"c":{{"dtype":"U8","shape":[1000],"data_offsets":[12000000,{}]}}}}"#,
        12_001_000
    );
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    let data = file.len();
    file.extend_from_slice(&noise(2, 12_001_000));
    let model = bytes(&source, &file);
    set(&source, "model", model);
    let remote = Store::open(counted.clone()).unwrap();
    let here = Registry::new(&places(&[("there", &remote)]));
    here.pull(&remote, "model", &only(&[Only::Record])).unwrap();
    counted.1.store(0, Ordering::Relaxed);
    let tensors = here.store.tensors(model).unwrap().unwrap();
    let b = tensors.iter().find(|tensor| tensor.region.name == "b").unwrap();
    let read = here.store.read_range(model, b.region.start..b.region.end).unwrap();
    assert!(read == file[data + 9_000_000..data + 12_000_000]);
    let ways = counted.1.load(Ordering::Relaxed);
    assert!(ways < 16, "{ways}");
}

/// It lies in a block with others, and nobody needs to fetch that.
#[test]
fn the_file_without_bytes_brings_no_neighbours() {
    let source = memory();
    let mut writer = source.writer();
    for n in 0..20 {
        writer.put_bytes(&noise(n, 5000)).unwrap();
    }
    let empty = writer.put_bytes(&[]).unwrap();
    writer.finish().unwrap();
    set(&source, "base", tree(&source, &[("stderr", empty.into())]));
    let here = Registry::new(&places(&[]));
    let planned = plan_pull(&here.store, &source, &[base("base")], POLITE, &Silent).unwrap();
    let done = here.pull(&source, "base", &Choice::default()).unwrap();
    assert_eq!((planned.transfer.stored, done.transfer.stored, done.transfer.objects), (0, 0, 2));
    assert_eq!(here.store.read_blob(empty, 0).unwrap(), b"");
    assert_eq!(report(&here.store).promised.len(), 0);
}
