//! A small world to index: a store in memory and short ways to put real objects into it.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use lab_lineage::{Filter, Lineage, Node, Result};
use lab_objects::{Backend, Key, Memory, PackId, Room, Store};
use lab_schema::recipe::Parts;
use lab_schema::tree::Node as TreeNode;
use lab_schema::{
    Attestation, AttestationId, BlobId, Command, Completeness, ContentId, Entry, Executor,
    FileName, Host, Limits, Number, Object, Outcome, Recipe, RecipeId, Run, RunId, Signature,
    SignatureId, Signed, Slot, Status, Tree, TreeId, Value, Verdict,
};

/// A store whose backend the tests can reach into.
pub struct World {
    pub backend: Arc<Rotten>,
    pub store: Store,
}

/// A backend in memory, of which one pack's frames can come back with a flipped bit.
#[derive(Debug, Default)]
pub struct Rotten {
    memory: Memory,
    pub pack: Mutex<Option<PackId>>,
}

impl Backend for Rotten {
    fn location(&self) -> String {
        "rotten".into()
    }
    fn read(&self, key: &Key) -> lab_objects::Result<Option<Vec<u8>>> {
        self.memory.read(key)
    }
    fn read_range(&self, key: &Key, at: u64, len: u64) -> lab_objects::Result<Option<Vec<u8>>> {
        let mut bytes = self.memory.read_range(key, at, len)?;
        if self.pack.lock().unwrap().is_some_and(|pack| *key == Key::Pack(pack))
            && let Some(first) = bytes.as_mut().and_then(|bytes| bytes.first_mut())
        {
            *first ^= 1;
        }
        Ok(bytes)
    }
    fn publish(&self, key: &Key, bytes: &[u8]) -> lab_objects::Result<()> {
        self.memory.publish(key, bytes)
    }
    fn settle(&self) -> lab_objects::Result<()> {
        self.memory.settle()
    }
    fn mend(&self, key: &Key, bytes: &[u8]) -> lab_objects::Result<()> {
        self.memory.mend(key, bytes)
    }
    fn swap(&self, key: &Key, old: Option<&[u8]>, new: &[u8]) -> lab_objects::Result<bool> {
        self.memory.swap(key, old, new)
    }
    fn list(&self, room: Room) -> lab_objects::Result<Vec<(Key, u64)>> {
        self.memory.list(room)
    }
    fn remove(&self, key: &Key) -> lab_objects::Result<bool> {
        self.memory.remove(key)
    }
}

/// What a run is made of; the rest is filled in.
pub struct Story<'a> {
    pub argv: &'a str,
    pub inputs: &'a [(&'a str, ContentId)],
    pub code: Option<TreeId>,
    pub outputs: &'a [(&'a str, ContentId)],
    pub started_ms: u64,
    pub status: Status,
}

impl Default for Story<'_> {
    fn default() -> Self {
        let (inputs, outputs): (&[_], &[_]) = (&[], &[]);
        let status = Status::Exited(0);
        Story { argv: "make", inputs, code: None, outputs, started_ms: 1, status }
    }
}

impl World {
    pub fn new() -> World {
        let backend = Arc::new(Rotten::default());
        World { store: Store::create(backend.clone()).unwrap(), backend }
    }

    /// The same files through a store that has cached nothing.
    pub fn reopen(&mut self) {
        self.store = Store::open(self.backend.clone()).unwrap();
    }

    pub fn blob(&self, text: &str) -> ContentId {
        let mut writer = self.store.writer();
        let id = writer.put_bytes(text.as_bytes()).unwrap();
        writer.finish().unwrap();
        id.into()
    }

    pub fn put<O: Object>(&self, object: &O) -> O::Id {
        let mut writer = self.store.writer();
        let id = writer.put(object).unwrap();
        writer.finish().unwrap();
        id
    }

    pub fn tree(&self, entries: &[(&str, ContentId)]) -> TreeId {
        self.put(&tree(entries))
    }

    pub fn run(&self, story: Story<'_>) -> RunId {
        let recipe = recipe(&story);
        self.put(&recipe);
        self.put(&run(&story, recipe.id()))
    }

    pub fn attest(&self, run: RunId, started_ms: u64) -> AttestationId {
        self.put(&Attestation {
            run,
            verdict: Verdict::Identical,
            outputs: BTreeMap::new(),
            differences: Vec::new(),
            sealed: true,
            host: host(),
            who: "grace".into(),
            started_ms,
            duration_ms: 1,
        })
    }

    /// What looks like a signature; none holds.
    pub fn sign(&self, of: Signed, signed_ms: u64) -> SignatureId {
        let mut sshsig = b"SSHSIG\0\0\0\x01".to_vec();
        let namespace = of.namespace().as_bytes();
        for part in [&b"\0\0\0\x03key"[..], namespace, b"", b"sha512", b"\0\0\0\x03how"] {
            sshsig.extend((part.len() as u32).to_be_bytes());
            sshsig.extend(part);
        }
        self.put(&Signature::new(of, signed_ms, sshsig).unwrap())
    }

    pub fn lineage(&self) -> Lineage {
        let mut lineage = Lineage::in_memory().unwrap();
        lineage.refresh(&self.store).unwrap();
        lineage
    }
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

pub fn tree(entries: &[(&str, ContentId)]) -> Tree {
    let entry = |(name, content): &(&str, ContentId)| Entry {
        name: FileName::new(*name).unwrap(),
        node: match content {
            ContentId::Blob(id) => TreeNode::File { id: *id, size: 1, executable: false },
            ContentId::Tree(id) => TreeNode::Directory { id: *id, size: 1 },
        },
    };
    Tree::new(entries.iter().map(entry).collect()).unwrap()
}

pub fn recipe(story: &Story<'_>) -> Recipe {
    let command = Command {
        argv: vec![story.argv.into()],
        directory: None,
        variables: BTreeMap::new(),
        place: None,
    };
    Recipe::new(Parts {
        executor: Executor::Command(command),
        inputs: story.inputs.iter().map(|(s, c)| (slot(s), *c)).collect(),
        outside: BTreeMap::new(),
        code: story.code,
        environment: None,
        params: BTreeMap::from([("rate".into(), Value::Int(3))]),
        seed: None,
        outputs: BTreeMap::new(),
        limits: Limits::default(),
    })
    .unwrap()
}

pub fn run(story: &Story<'_>, recipe: RecipeId) -> Run {
    let accuracy = Number::new(story.started_ms as f64 / 2.0).unwrap();
    Run {
        recipe,
        outcome: Outcome {
            status: story.status.clone(),
            outputs: story.outputs.iter().map(|(s, c)| (slot(s), *c)).collect(),
            metrics: BTreeMap::from([("accuracy".into(), accuracy)]),
            logs: BTreeMap::new(),
            completeness: Completeness::Complete,
            params: BTreeMap::from([("batch".into(), Value::Int(16))]),
            observed: None,
            unrecorded_variables: Vec::new(),
            started_ms: story.started_ms,
            duration_ms: 1,
            peak_memory_bytes: None,
        },
        host: host(),
        git: None,
        parent: None,
        makers: BTreeMap::new(),
        who: "ada".into(),
    }
}

/// Every answer that an index can give about these nodes, as text to compare.
pub fn try_answers(lineage: &Lineage, contents: &[ContentId]) -> Result<String> {
    let runs = lineage.runs()?;
    let mut all = format!("{runs:#?}\n{:?}\n", lineage.metric("accuracy")?);
    for (name, value) in [("rate", "3"), ("batch", "16")] {
        let params = vec![(name.to_owned(), value.to_owned())];
        let filter = Filter { params, who: Some("ada".into()), ..Filter::default() };
        all.push_str(&format!("{name} {:?}\n", lineage.find(&filter, 3)?));
    }
    all.push_str(&format!("{:?}\n", lineage.tally()?));
    for run in &runs {
        all += &format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}\n",
            lineage.run_inputs(run.id)?,
            lineage.origins(run.id)?,
            lineage.run_outputs(run.id)?,
            lineage.runs_of(run.recipe)?,
            lineage.attestations_of(run.id)?,
            lineage.signatures_of(Signed::Run(run.id))?,
            lineage.ancestors(run.id.into())?,
            lineage.descendants(run.id.into())?,
        );
    }
    for content in contents {
        all += &format!(
            "{:?} {:?} {:?} {:?} {:?}\n",
            lineage.producers(*content)?,
            lineage.producer_for(*content)?,
            lineage.consumers(*content)?,
            lineage.ancestors(Node::Content(*content))?,
            lineage.descendants(Node::Content(*content))?,
        );
    }
    Ok(all)
}

/// [`try_answers`] of an index that has nothing wrong with it.
pub fn answers(lineage: &Lineage, contents: &[ContentId]) -> String {
    try_answers(lineage, contents).unwrap()
}

/// A blob id that no store has.
pub fn nowhere(text: &str) -> ContentId {
    BlobId::of(text.as_bytes()).into()
}
