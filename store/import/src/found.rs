//! What was found to be imported, before anything is: which files make up what, what each is called where it
//! comes from, and what is not there.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use lab_schema::{Alias, FileName, Number, Slot, Status, Value};

/// From what can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// A project of DVC.
    Dvc,
    /// A git repository with git-lfs.
    Lfs,
    /// The cache folder of Hugging Face.
    HuggingFace,
    /// Folders of runs of MLflow.
    Mlflow,
}

impl Tool {
    /// Every one, in the order in which a folder is looked at.
    pub const ALL: [Tool; 4] = [Tool::Dvc, Tool::HuggingFace, Tool::Mlflow, Tool::Lfs];

    /// It in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Tool::Dvc => "dvc",
            Tool::Lfs => "lfs",
            Tool::HuggingFace => "hf",
            Tool::Mlflow => "mlflow",
        }
    }

    /// What a folder of it is called.
    pub const fn title(self) -> &'static str {
        match self {
            Tool::Dvc => "DVC project",
            Tool::Lfs => "git-lfs repository",
            Tool::HuggingFace => "Hugging Face cache folder",
            Tool::Mlflow => "MLflow run folder",
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Tool {
    type Err = UnknownTool;
    fn from_str(text: &str) -> Result<Tool, UnknownTool> {
        let found = Tool::ALL.into_iter().find(|tool| tool.as_str() == text);
        found.ok_or_else(|| UnknownTool(text.to_owned()))
    }
}

/// The text is not a [`Tool`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nothing can be imported from '{}': dvc, lfs, hf or mlflow", .0.escape_debug())]
pub struct UnknownTool(pub String);

/// A file that is to be read, once, whatever uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// The digest that it must have; none if nothing says.
    pub claim: Option<Alias>,
    /// Its size, where something says.
    pub bytes: Option<u64>,
    /// Whether the digest may be that of the text with the line ends of Unix: DVC before its version 3.
    pub unix: bool,
    /// Whether it lies where people work, so that another digest means that somebody changed it, and not
    /// that it is damaged.
    pub in_use: bool,
    /// Whether it is executable; none: as its permissions say.
    pub executable: Option<bool>,
}

/// The number of a [`Source`].
pub type SourceNumber = usize;

/// A file or directory as it shall be in the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// The names that it gets: suggestions, from what it is called there.
    pub names: Vec<String>,
    /// What it is called there.
    pub origin: String,
    /// Whether it is a model, and not data.
    pub is_model: bool,
    /// What it consists of.
    pub shape: Shape,
    /// By what it is known as a whole; what a digest of a list, a commit or a number says cannot be seen
    /// by the bytes.
    pub known_as: Vec<Alias>,
    /// Whether it is nothing without all of its files.
    pub must_be_whole: bool,
    /// What is lacking.
    pub faults: Vec<Fault>,
}

/// What an [`Artifact`] consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A file.
    File(SourceNumber),
    /// A directory: its files by their paths.
    Folder(Vec<(Vec<FileName>, SourceNumber)>),
    /// A directory as it lies there.
    AsItIs(PathBuf),
}

/// One file that cannot be had as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What it would be.
    pub what: String,
    /// What is wrong.
    pub why: String,
    /// Whether it is there and wrong, and not just absent.
    pub is_damage: bool,
}

/// An execution that another tool recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The name that it gets.
    pub name: String,
    /// What it is called there.
    pub origin: String,
    /// The command line.
    pub argv: Vec<String>,
    /// Where it was started, seen from the top of the project.
    pub directory: Option<Slot>,
    /// What it read.
    pub inputs: BTreeMap<Slot, Part>,
    /// What it left.
    pub outputs: BTreeMap<Slot, Part>,
    /// Parameters.
    pub params: BTreeMap<String, Value>,
    /// What people noted.
    pub notes: BTreeMap<String, Value>,
    /// Metrics.
    pub metrics: BTreeMap<String, Number>,
    /// How it ended.
    pub status: Status,
    /// Start, in milliseconds since 1970-01-01T00:00:00Z; 0 if nobody says.
    pub started_ms: u64,
    /// How long it took.
    pub duration_ms: u64,
    /// The commit and the branch of its code.
    pub git: Option<(String, Option<String>)>,
    /// Who ran it; none if nobody says.
    pub who: Option<String>,
    /// By what it is known.
    pub known_as: Option<Alias>,
    /// What the record does not say.
    pub lacks: String,
    /// Files without which it is nothing.
    pub faults: Vec<Fault>,
}

/// What a [`Record`] read or left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// One of the artifacts, by its number.
    Artifact(usize),
    /// A file.
    File(SourceNumber),
    /// Bytes that were put together from what was found.
    Bytes(Vec<u8>),
}

/// All that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// From what.
    pub tool: Tool,
    /// The files.
    pub sources: Vec<Source>,
    /// What they make up.
    pub artifacts: Vec<Artifact>,
    /// What was run, each after those whose outputs it reads, as far as the tool tells.
    pub records: Vec<Record>,
    /// What is there and is not imported, and why.
    pub left_out: Vec<String>,
    /// The same file is one source.
    numbers: HashMap<(PathBuf, Option<Alias>), SourceNumber>,
}

impl Found {
    pub(crate) fn new(tool: Tool) -> Found {
        Found {
            tool,
            sources: Vec::new(),
            artifacts: Vec::new(),
            records: Vec::new(),
            left_out: Vec::new(),
            numbers: HashMap::new(),
        }
    }

    /// The number of a source, which is added if it is new.
    pub(crate) fn source(&mut self, source: Source) -> SourceNumber {
        let key = (source.path.clone(), source.claim);
        *self.numbers.entry(key).or_insert_with(|| {
            self.sources.push(source);
            self.sources.len() - 1
        })
    }

    /// That is all: what was only there to find the same file again goes.
    pub(crate) fn complete(mut self) -> Found {
        self.numbers = HashMap::new();
        self
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.artifacts.is_empty() && self.records.is_empty()
    }

    /// Bytes of all files, as far as they say or can be asked.
    pub fn bytes(&self) -> u64 {
        self.sources.iter().filter_map(|source| source.bytes).sum()
    }
}

/// Relative to `top`, for people and for records: never an absolute path of this machine.
pub(crate) fn relative(top: &Path, path: &Path) -> String {
    path.strip_prefix(top).unwrap_or(path).to_string_lossy().into_owned()
}
