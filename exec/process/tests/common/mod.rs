//! A store in memory, a scratch folder, and short ways to write recipes.
#![allow(dead_code, reason = "each test file uses a part")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use lab_objects::{Memory, Silent, Store, add, get};
use lab_process::{Echo, Execution, Job, Plain, ProcessError, Watcher, execute};
use lab_schema::recipe::Parts;
use lab_schema::{
    Command, ContentId, Executor, Limits, Log, Object, Output, Recipe, Slot, Status, Tree,
};
use tempfile::TempDir;

pub(crate) struct Bench {
    pub(crate) store: Store,
    pub(crate) scratch: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Bench {
        let store = Store::create(Arc::new(Memory::new())).unwrap();
        Bench { store, scratch: tempfile::tempdir().unwrap() }
    }

    /// Stores a file.
    pub(crate) fn file(&self, text: &str) -> ContentId {
        let mut writer = self.store.writer();
        let id = writer.put_bytes(text.as_bytes()).unwrap();
        writer.finish().unwrap();
        id.into()
    }

    /// Stores a folder that `make` fills.
    pub(crate) fn folder(&self, make: impl Fn(&Path)) -> ContentId {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path());
        let mut writer = self.store.writer();
        let added = add(&mut writer, dir.path(), &Silent).unwrap();
        writer.finish().unwrap();
        added.content
    }

    pub(crate) fn text(&self, content: ContentId) -> String {
        let ContentId::Blob(id) = content else { panic!("a folder: {content}") };
        String::from_utf8(self.store.read_blob(id, 1 << 30).unwrap()).unwrap()
    }

    /// Lays an output out and gives the folder that holds it, at `it`.
    pub(crate) fn fetch(&self, content: ContentId) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("it");
        get(&self.store, content, &to, &Default::default(), &Silent).unwrap();
        dir
    }

    pub(crate) fn run_with(
        &self,
        recipe: &Recipe,
        watcher: &dyn Watcher,
    ) -> Result<Execution, ProcessError> {
        let scratch = self.scratch.path();
        let (store, echo, cache) = (&self.store, Echo::Quiet, None);
        execute(&Job { store, recipe, scratch, echo, watcher, cache, guardian: None, probe: None })
    }

    /// Runs, and holds that nothing is left in the scratch folder.
    pub(crate) fn run(&self, recipe: &Recipe) -> Result<Execution, ProcessError> {
        let result = self.run_with(recipe, &Plain);
        let left: Vec<_> = self.scratch.path().read_dir().unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
        result
    }

    /// Runs a shell script.
    pub(crate) fn sh(&self, script: &str) -> Execution {
        self.run(&sh(script).recipe()).unwrap()
    }

    pub(crate) fn stdout(&self, execution: &Execution) -> String {
        self.text(execution.outcome.logs[&Log::Stdout].into())
    }

    pub(crate) fn stderr(&self, execution: &Execution) -> String {
        self.text(execution.outcome.logs[&Log::Stderr].into())
    }

    pub(crate) fn output(&self, execution: &Execution, name: &str) -> String {
        self.text(execution.outcome.outputs[&slot(name)])
    }
}

/// A recipe in the making.
pub(crate) struct Draft(pub(crate) Parts);

pub(crate) fn argv(words: &[&str]) -> Draft {
    Draft(Parts {
        executor: Executor::Command(Command {
            argv: words.iter().map(ToString::to_string).collect(),
            directory: None,
            variables: BTreeMap::from([("PATH".to_owned(), "/usr/bin:/bin".to_owned())]),
            place: None,
        }),
        inputs: BTreeMap::new(),
        outside: BTreeMap::new(),
        code: None,
        environment: None,
        params: BTreeMap::new(),
        seed: None,
        outputs: BTreeMap::new(),
        limits: Limits::default(),
    })
}

pub(crate) fn sh(script: &str) -> Draft {
    argv(&["sh", "-c", script])
}

impl Draft {
    pub(crate) fn command(mut self, change: impl FnOnce(&mut Command)) -> Draft {
        let Executor::Command(command) = &mut self.0.executor else { panic!("no command") };
        change(command);
        self
    }

    pub(crate) fn input(mut self, name: &str, content: ContentId) -> Draft {
        self.0.inputs.insert(slot(name), content);
        self
    }

    pub(crate) fn output(mut self, name: &str) -> Draft {
        self.0.outputs.insert(slot(name), Output::default());
        self
    }

    pub(crate) fn code(mut self, content: ContentId) -> Draft {
        let ContentId::Tree(id) = content else { panic!("not a folder") };
        self.0.code = Some(id);
        self
    }

    pub(crate) fn limits(mut self, wall_ms: Option<u64>, memory_bytes: Option<u64>) -> Draft {
        self.0.limits = Limits { wall_ms, memory_bytes };
        self
    }

    pub(crate) fn recipe(self) -> Recipe {
        Recipe::new(self.0).unwrap()
    }
}

pub(crate) fn slot(text: &str) -> Slot {
    Slot::new(text).unwrap()
}

pub(crate) fn outputs(execution: &Execution) -> Vec<&str> {
    execution.outcome.outputs.keys().map(Slot::as_str).collect()
}

pub(crate) fn status(execution: &Execution) -> &Status {
    &execution.outcome.status
}

/// The paths of all files in a stored tree, with `*` for executables and `@` for links.
pub(crate) fn tree_paths(store: &Store, tree: lab_schema::TreeId) -> Vec<String> {
    use lab_schema::tree::Node;
    let mut paths = Vec::new();
    let tree: Tree = store.load(tree).unwrap();
    assert_eq!(Tree::decode(&tree.encode()), Ok(tree.clone()));
    for entry in tree.entries() {
        let name = &entry.name;
        match &entry.node {
            Node::File { executable, .. } => {
                paths.push(format!("{name}{}", if *executable { "*" } else { "" }));
            }
            Node::Link { .. } => paths.push(format!("{name}@")),
            Node::Directory { id, .. } => {
                paths.extend(tree_paths(store, *id).iter().map(|p| format!("{name}/{p}")));
            }
        }
    }
    paths
}
