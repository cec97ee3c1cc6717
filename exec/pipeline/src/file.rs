//! `lab.toml`: the steps of a project.
//!
//! ```toml
//! [remotes]
//! origin = "ssh://host/srv/labs/digits"              # a folder counts from where this file lies
//!
//! [params]
//! lr = 0.1
//!
//! [[step]]
//! name = "prepare"
//! run = "python prepare.py < raw.csv > clean.csv"    # a text goes to the shell,
//!
//! [[step]]
//! name = "train"
//! run = ["python", "train.py", "--lr", "{lr}"]       # words are taken as they are
//! outputs = ["model.bin", "metrics.json"]
//! tolerance = { "metrics.json" = 1e-6 }
//! ```

use std::collections::{BTreeMap, BTreeSet};

use lab_schema::{Limits, Name, Number, Output, Slot, Tolerance, Value};
use serde::Deserialize;

use crate::amount::{bytes, milliseconds};
use crate::error::{PipelineError, Result};
use crate::step::{Step, value_of};

/// Most steps in a file.
pub const MAX_STEPS: usize = 1000;

/// What understands a command that is written as one text. It ends at the first line that fails.
const SHELL: [&str; 2] = ["sh", "-ec"];

/// The steps, in the order in which they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// Each with a name of its own.
    pub steps: Vec<Step>,
    /// Whether numerical libraries are to keep to what other machines have too.
    pub portable: bool,
    /// How much chance is taken out of each step: 0 nothing, 1 seeds of hash functions and the like, 2 also
    /// the system's random bytes.
    pub level: u8,
    /// Whether Python programs tell which seeds they give to their generators.
    pub probe: bool,
    /// Where the results are kept that everybody shares: locations, by name.
    pub remotes: BTreeMap<String, String>,
}

impl Default for Pipeline {
    fn default() -> Pipeline {
        let (steps, remotes) = (Vec::new(), BTreeMap::new());
        Pipeline { steps, portable: false, level: 1, probe: true, remotes }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    portable: bool,
    level: Option<u8>,
    probe: Option<bool>,
    #[serde(default)]
    remotes: BTreeMap<String, String>,
    #[serde(default)]
    params: toml::Table,
    #[serde(default)]
    step: Vec<Declared>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    name: String,
    run: Run,
    directory: Option<String>,
    #[serde(default)]
    params: toml::Table,
    #[serde(default)]
    outputs: Vec<String>,
    #[serde(default)]
    tolerance: BTreeMap<String, f64>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    after: Vec<String>,
    #[serde(default)]
    ignore: Vec<String>,
    time_limit: Option<String>,
    memory_limit: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a text for the shell, or a list of words")]
enum Run {
    Shell(String),
    Words(Vec<String>),
}

impl Pipeline {
    /// Reads a file; says what is wrong in it, and where.
    pub fn parse(text: &str) -> Result<Pipeline> {
        let file: File = toml::from_str(text).map_err(|e| PipelineError::Syntax(e.to_string()))?;
        if file.step.len() > MAX_STEPS {
            return Err(PipelineError::bad("the file", format!("more than {MAX_STEPS} steps")));
        }
        let shared = params(file.params, "[params]")?;
        let (mut steps, mut used) = (Vec::<Step>::new(), BTreeSet::new());
        for declared in file.step {
            let step = step(declared, &shared, &mut used)?;
            if steps.iter().any(|other| other.name == step.name) {
                return Err(PipelineError::bad(
                    format!("step '{}'", step.name),
                    "there are two of that name",
                ));
            }
            steps.push(step);
        }
        if let Some(idle) = shared.keys().find(|key| !used.contains(*key)) {
            let why = format!("no step uses it: write {{{idle}}} where its value belongs");
            return Err(PipelineError::bad(format!("parameter '{idle}'"), why));
        }
        let (level, probe) = (file.level.unwrap_or(1), file.probe.unwrap_or(true));
        if level > 2 {
            let why = "0, 1 and 2 are known; a time of day for a step is set by `env = { LAB_TIME = \"…\" }`, in seconds since 1970";
            return Err(PipelineError::bad(format!("level {level}"), why));
        }
        for (name, location) in &file.remotes {
            remote(name, location)?;
        }
        let (portable, remotes) = (file.portable, file.remotes);
        let pipeline = Pipeline { steps, portable, level, probe, remotes };
        for step in &pipeline.steps {
            if let Some(other) = step.after.iter().find(|other| pipeline.get(other).is_none()) {
                return Err(pipeline.unknown(format!("step '{}', after", step.name), other));
            }
        }
        Ok(pipeline)
    }

    /// The step of this name.
    pub fn get(&self, name: &Name) -> Option<&Step> {
        self.steps.iter().find(|step| step.name == *name)
    }

    /// Changes parameters: `lr=0.3` in every step that has it, `train.lr=0.3` in one.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let whole = self.steps.iter().any(|step| step.params.contains_key(key));
        if whole {
            let having = self.steps.iter_mut().filter(|step| step.params.contains_key(key));
            return having.into_iter().try_for_each(|step| step.set(key, value));
        }
        // A name may hold dots itself.
        let split = self.steps.iter_mut().find_map(|step| {
            let rest = key.strip_prefix(step.name.as_str())?.strip_prefix('.')?.to_owned();
            Some((step, rest))
        });
        match split {
            Some((step, key)) => step.set(&key, value),
            None => {
                let all = self.steps.iter().flat_map(|step| step.params.keys().map(String::as_str));
                let all: BTreeSet<&str> = all.collect();
                let known: Vec<&str> = all.into_iter().collect();
                let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                let at = "parameters of the steps".to_owned();
                Err(PipelineError::Unknown { at, word: key.to_owned(), known })
            }
        }
    }

    /// That there is no such step.
    pub fn unknown(&self, at: impl Into<String>, name: &Name) -> PipelineError {
        let known: Vec<&str> = self.steps.iter().map(|step| step.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        PipelineError::Unknown { at: at.into(), word: name.to_string(), known }
    }
}

/// Refuses what is no name and no location. The file is for everybody, so that nobody's secrets may be in
/// it: of a URL, what stands before the host or after a question mark could be one.
fn remote(name: &str, location: &str) -> Result<()> {
    let at = format!("[remotes], '{}'", name.escape_debug());
    Name::new(name).map_err(|error| PipelineError::schema(at.as_str(), &error))?;
    let host = location.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or(rest));
    let why = if location.trim().is_empty() || location.chars().any(char::is_control) {
        "its location is empty or holds control characters"
    } else if host.is_some_and(|host| host.contains('@')) {
        "its URL names a user, or holds a secret: leave out what stands before the '@'; who needs it adds a remote of their own with `lab remote add`"
    } else if host.is_some() && location.contains('?') {
        "its URL has a question mark: what follows may be a secret"
    } else {
        return Ok(());
    };
    Err(PipelineError::bad(at, why))
}

fn params(table: toml::Table, at: &str) -> Result<BTreeMap<String, Value>> {
    let mut params = BTreeMap::new();
    for (key, value) in table {
        if key.is_empty() || key.contains(['{', '}', '=', '.']) || key.chars().any(char::is_control)
        {
            let why = format!("'{}' cannot be the name of a parameter", key.escape_debug());
            return Err(PipelineError::bad(at, why));
        }
        let value = value_of(value, &format!("{at}, {key}"))?;
        params.insert(key, value);
    }
    Ok(params)
}

fn step(
    declared: Declared,
    shared: &BTreeMap<String, Value>,
    used: &mut BTreeSet<String>,
) -> Result<Step> {
    let at = format!("step '{}'", declared.name.escape_debug());
    let bad = |why: String| PipelineError::bad(at.as_str(), why);
    let schema = |error| PipelineError::schema(at.as_str(), &error);
    let name = Name::new(declared.name.as_str()).map_err(schema)?;
    let words = match declared.run {
        Run::Shell(text) if text.trim().is_empty() => return Err(bad("nothing to run".into())),
        Run::Shell(text) => SHELL.iter().map(|w| (*w).to_owned()).chain([text]).collect(),
        Run::Words(words) => words,
    };
    if words.first().is_none_or(String::is_empty) {
        return Err(bad("nothing to run".into()));
    }
    let own = params(declared.params, &at)?;
    let mut all = shared.clone();
    all.extend(own.clone());
    let named = Step::used(&words, &all);
    if let Some(idle) = own.keys().find(|key| !named.contains(*key)) {
        return Err(bad(format!(
            "the command does not use '{idle}': write {{{idle}}} where its value belongs"
        )));
    }
    used.extend(named.iter().filter(|key| !own.contains_key(*key)).cloned());
    all.retain(|key, _| named.contains(key));
    let slot = |text: &String| Slot::new(text.trim_end_matches('/')).map_err(schema);
    let mut outputs = BTreeMap::new();
    for output in &declared.outputs {
        outputs.insert(slot(output)?, Output::default());
    }
    for (path, relative) in &declared.tolerance {
        let number = |x| Number::new(x).ok().filter(|n| n.get() >= 0.0);
        let relative = number(*relative)
            .ok_or_else(|| bad(format!("a tolerance of {relative} for '{path}'")))?;
        let absolute = Number::new(0.0).map_err(schema)?;
        let output = outputs.get_mut(&slot(path)?).ok_or_else(|| {
            bad(format!("a tolerance for '{path}', which is not among its outputs"))
        })?;
        output.tolerance = Some(Tolerance { absolute, relative });
    }
    let names = declared.after.into_iter().map(|name| Name::new(name).map_err(schema));
    let amount = |key: &str, text: &Option<String>, read: fn(&str) -> Result<u64, String>| {
        let read = text.as_deref().map(read).transpose();
        read.map_err(|why| bad(format!("{key}: {why}")))
    };
    let limits = Limits {
        wall_ms: amount("time_limit", &declared.time_limit, milliseconds)?,
        memory_bytes: amount("memory_limit", &declared.memory_limit, bytes)?,
    };
    Ok(Step {
        limits,
        name,
        words,
        directory: declared.directory.as_ref().filter(|d| *d != ".").map(slot).transpose()?,
        params: all,
        outputs,
        variables: declared.env,
        after: names.collect::<Result<_>>()?,
        ignore: declared.ignore,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        [params]
        lr = 0.1
        seed = 1

        [[step]]
        name = "prepare"
        run = "tr a b < raw > clean; echo ${seed}"

        [[step]]
        name = "train"
        run = ["python", "train.py", "--lr", "{lr}", "--seed={seed}", "{depth}"]
        params = { depth = 3, lr = 0.5 }
        outputs = ["model.bin", "logs/"]
        tolerance = { "model.bin" = 1e-6 }
        after = ["prepare"]
        env = { OMP_NUM_THREADS = "1" }
    "#;

    #[test]
    fn a_file_is_read() {
        // [params] lr is used by nobody: the step has its own.
        let error = Pipeline::parse(TEXT).unwrap_err().to_string();
        assert!(error.contains("'lr'") && error.contains("no step uses it"), "{error}");
        let mut pipeline = Pipeline::parse(&TEXT.replacen("lr = 0.1\n", "", 1)).unwrap();
        let [prepare, train] = &pipeline.steps[..] else { panic!("{pipeline:?}") };
        assert_eq!(prepare.argv()[..2], ["sh", "-ec"]);
        assert!(prepare.params.is_empty());
        assert_eq!(train.argv()[2..], ["--lr", "0.5", "--seed=1", "3"]);
        assert_eq!(train.seed(), Some(1));
        assert_eq!(
            train.outputs.keys().map(Slot::as_str).collect::<Vec<_>>(),
            ["logs", "model.bin"]
        );
        pipeline.set("lr", "0.25").unwrap();
        pipeline.set("train.seed", "9").unwrap();
        assert_eq!(pipeline.steps[1].argv()[2..], ["--lr", "0.25", "--seed=9", "3"]);
        assert!(pipeline.set("prepare.lr", "1").is_err());
        let error = pipeline.set("batch", "1").unwrap_err().to_string();
        assert!(error.contains("depth, lr, seed"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_said_and_where() {
        let cases = [
            ("x = 1", "x"),
            ("[[step]]\nname = 'a'", "run"),
            ("[[step]]\nname = 'a'\nrun = 7", "shell"),
            ("[[step]]\nname = 'a'\nrun = ' '", "nothing to run"),
            ("[[step]]\nname = 'a'\nrun = []", "nothing to run"),
            ("[[step]]\nname = '../a'\nrun = 'x'", "../a"),
            ("[[step]]\nname = 'a'\nrun = 'x'\n[[step]]\nname = 'a'\nrun = 'x'", "two"),
            ("[[step]]\nname = 'a'\nrun = 'x'\nafter = ['b']", "'b'"),
            ("[[step]]\nname = 'a'\nrun = 'x'\noutputs = ['../b']", "../b"),
            ("[[step]]\nname = 'a'\nrun = 'x'\ndirectory = '/etc'", "/etc"),
            ("[[step]]\nname = 'a'\nrun = 'x'\nparams = { k = 1 }", "{k}"),
            ("[[step]]\nname = 'a'\nrun = '{k}'\nparams = { k = nan }", "k"),
            ("[[step]]\nname = 'a'\nrun = 'x'\ntolerance = { o = 1.0 }", "'o'"),
            ("[[step]]\nname = 'a'\nrun = 'x'\noutputs = ['o']\ntolerance = { o = -1.0 }", "-1"),
            ("[[step]]\nname = 'a'\nrun = 'x'\ntime_limit = 'soon'", "time_limit: a number"),
            ("[[step]]\nname = 'a'\nrun = 'x'\nmemory_limit = '0'", "memory_limit"),
            ("[remotes]\norigin = ''", "empty"),
            ("[remotes]\norigin = 7", "string"),
            ("[remotes]\n'a b' = '/x'", "a b"),
            ("[remotes]\norigin = 'https://me:word@host/x'", "before the '@'"),
            ("[remotes]\norigin = 'ssh://me@host/x'", "before the '@'"),
            ("[remotes]\norigin = 'https://host/x?token=1'", "question mark"),
            ("level = 3", "LAB_TIME"),
            ("level = -1", "level"),
            ("[[step]\n", "TOML"),
        ];
        for (text, part) in cases {
            let error = Pipeline::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert_eq!(Pipeline::parse("").unwrap(), Pipeline::default());
        assert!(Pipeline::parse("portable = true").unwrap().portable);
        assert_eq!(Pipeline::parse("level = 2").unwrap().level, 2);
        assert!(!Pipeline::parse("probe = false").unwrap().probe);
        let shared = "[remotes]\norigin = 's3://b/a@b'\nnear = '../a?b'\nbox = 'me@host:labs'";
        assert_eq!(Pipeline::parse(shared).unwrap().remotes.len(), 3);
    }
}
