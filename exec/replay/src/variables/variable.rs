//! One thing that differs between two runs, and how likely it is to change a result.

use lab_schema::RunId;

use crate::suspects::THREADS;

/// One thing that differs between two runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// Of which sort it is.
    pub layer: Layer,
    /// What differs, as its owner calls it: `shuffle_seed`, `input train.csv`, `--lr`.
    pub what: String,
    /// Its value in the first run (of an object, the full id); none if it is not there.
    pub before: Option<String>,
    /// Its value in the second run; none if it is not there.
    pub after: Option<String>,
    /// For a metric that both have: by how much it grew.
    pub delta: Option<f64>,
    /// If it entered further back: the ancestor of the second run in which it did.
    pub at: Option<RunId>,
}

/// The sorts of variables, the likeliest to change a result first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// What was read.
    Data,
    /// How data is divided.
    Split,
    /// A parameter.
    Parameter,
    /// A word of the command line.
    Argument,
    /// A seed.
    Seed,
    /// A file of the project.
    Code,
    /// Which arithmetic computes.
    Engine,
    /// A package of the environment.
    Package,
    /// In which order a folder was listed.
    Order,
    /// An environment variable, a limit.
    Environment,
    /// A library or file of the system.
    System,
    /// How many threads share the work.
    Threads,
    /// The machine.
    Hardware,
    /// Where, and as whom: it differs between any two people, and seldom matters.
    Place,
    /// Something that was there in one run only: a file, a name in a folder, a link, a peer.
    Found,
    /// Who may do what with a file.
    Mode,
    /// When a file was last written to.
    Time,
    /// Nothing recorded: one recipe gave two results.
    Chance,
    /// What describes a run and does not enter it: git state, version of lab.
    Record,
    /// A consequence: an input that differs because of what differs in the run that made it.
    Carried,
    /// A consequence: what a program told of itself, which follows from what it was and read.
    Told,
    /// A consequence: what was there in both runs, and only one read.
    Unread,
    /// A consequence: how it ended.
    Status,
    /// A consequence: a number in the outputs.
    Metric,
    /// A consequence: an output.
    Output,
}

impl Layer {
    /// Whether it follows from other variables and explains nothing.
    pub fn is_consequence(self) -> bool {
        self >= Layer::Carried
    }

    /// The layer in one word.
    pub fn word(self) -> &'static str {
        match self {
            Layer::Data => "data",
            Layer::Split => "split",
            Layer::Parameter => "parameter",
            Layer::Seed => "seed",
            Layer::Argument => "argument",
            Layer::Code => "code",
            Layer::Engine => "engine",
            Layer::Package => "package",
            Layer::Order => "order",
            Layer::Environment => "environment",
            Layer::System => "system",
            Layer::Place => "place",
            Layer::Found => "found",
            Layer::Mode => "permissions",
            Layer::Time => "time",
            Layer::Hardware => "hardware",
            Layer::Threads => "threads",
            Layer::Chance => "chance",
            Layer::Record => "record",
            Layer::Carried => "carried",
            Layer::Told => "told",
            Layer::Unread => "read",
            Layer::Status => "status",
            Layer::Metric => "metric",
            Layer::Output => "output",
        }
    }

    /// The layer of a parameter or option with this name.
    pub(crate) fn of_name(name: &str, otherwise: Layer) -> Layer {
        let name = name.to_ascii_lowercase();
        let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
        let word = |words: &[&str]| {
            name.split(|c: char| !c.is_alphanumeric()).any(|part| words.contains(&part))
        };
        if has(&["seed", "random_state"]) {
            Layer::Seed
        } else if has(&["split", "stratif", "holdout", "test_size", "val_size"])
            || word(&["fold", "folds", "kfold"])
        {
            Layer::Split
        } else if word(&["threads", "workers", "jobs"]) {
            Layer::Threads
        } else {
            otherwise
        }
    }

    /// The layer of an environment variable.
    pub(crate) fn of_environment(name: &str) -> Layer {
        if THREADS.contains(&name) { Layer::Threads } else { Layer::Environment }
    }
}

/// Beginnings of the names of environment variables that numerical libraries read.
const NUMERIC: [&str; 20] = [
    "PYTHONHASHSEED",
    "OMP_",
    "MKL_",
    "OPENBLAS_",
    "NUMEXPR_",
    "RAYON_",
    "CUDA",
    "CUBLAS_",
    "CUDNN_",
    "NVIDIA_",
    "NCCL_",
    "XLA_",
    "JAX_",
    "TF_",
    "TORCH_",
    "PYTORCH_",
    "ATEN_",
    "ONEDNN_",
    "DNNL_",
    "NPY_",
];

impl Variable {
    /// Whether it describes the surroundings of a run, which are told once, not for every run
    /// further back.
    pub(crate) fn is_surroundings(&self) -> bool {
        let layers = [
            Layer::Package,
            Layer::Order,
            Layer::Environment,
            Layer::System,
            Layer::Place,
            Layer::Found,
            Layer::Mode,
            Layer::Hardware,
            Layer::Threads,
            Layer::Time,
            Layer::Record,
        ];
        layers.contains(&self.layer)
    }

    /// Sorts the likeliest cause first and consequences last.
    pub(crate) fn rank(&self) -> (Layer, bool, bool) {
        let numeric = NUMERIC.iter().any(|start| self.what.starts_with(start));
        (self.layer, !numeric, self.at.is_some())
    }
}
