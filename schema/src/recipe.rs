//! What to compute, in the imperative. Equal recipes have equal ids: the id is the cache key.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::content::ContentId;
use crate::error::SchemaError;
use crate::hash::TreeId;
use crate::kind::Kind;
use crate::name::{FileName, Slot};
use crate::value::{Number, Value};

/// What to compute. Holds everything that the author says the result depends on, every default
/// written out, and nothing about when, where or by whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Recipe {
    executor: Executor,
    inputs: BTreeMap<Slot, ContentId>,
    outside: BTreeMap<Slot, ContentId>,
    code: Option<TreeId>,
    environment: Option<TreeId>,
    params: BTreeMap<String, Value>,
    seed: Option<u64>,
    outputs: BTreeMap<Slot, Output>,
    limits: Limits,
}

/// The parts of a [`Recipe`], before they are checked against each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Who computes: a child process or the tensor engine.
    pub executor: Executor,
    /// What it reads, under the paths (command) or names (tensor program) that it uses.
    pub inputs: BTreeMap<Slot, ContentId>,
    /// Data that it reads elsewhere in the file system: absolute paths without the first `/`.
    /// Commands only.
    pub outside: BTreeMap<Slot, ContentId>,
    /// The files of the project, laid out under the inputs. Commands only.
    pub code: Option<TreeId>,
    /// The programs, libraries and system files that it uses, as a tree whose top is `/`. Commands
    /// only.
    pub environment: Option<TreeId>,
    /// Parameters, every default included.
    pub params: BTreeMap<String, Value>,
    /// The seed of all random draws, where the executor takes one.
    pub seed: Option<u64>,
    /// What it must leave behind. Empty: whatever files it creates or changes.
    pub outputs: BTreeMap<Slot, Output>,
    /// Bounds on what it may use.
    pub limits: Limits,
}

/// Who computes a recipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Executor {
    /// A child process.
    Command(Command),
    /// The tensor engine, in process.
    Tensor(Tensor),
}

/// A command line and its surroundings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Program and arguments; at least the program, no NUL.
    pub argv: Vec<String>,
    /// Where in the code tree it is started; inputs and outputs are relative to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<Slot>,
    /// The environment variables whose values it sees.
    pub variables: BTreeMap<String, String>,
    /// Where and as whom it finds itself, if it ran where its files lie and not in a folder of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

/// Where a command finds itself. Absolute paths and numbers of users reach results, so that doing it
/// again gives it the same ones, on whatever machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The absolute path of the top of the code tree: no `.`, `..`, empty component or NUL.
    pub project: String,
    /// The number of the user that it runs as.
    pub user: u32,
    /// The number of that user's group.
    pub group: u32,
    /// The permissions that new files do not get, as `umask` has it: 0 to 0o777.
    pub umask: u32,
    /// How many processors it may use: at least one.
    pub cpus: u32,
}

impl Place {
    /// What is wrong with it.
    fn fault(&self) -> Option<&'static str> {
        let plain = |part: &str| FileName::new(part).is_ok();
        let inside = self.project.strip_prefix('/');
        if !inside.is_some_and(|path| path.is_empty() || path.split('/').all(plain)) {
            return Some("the project's place is no absolute path");
        }
        if self.umask > 0o777 || self.cpus == 0 {
            return Some("an impossible umask or number of processors");
        }
        None
    }
}

/// One stage of a tensor program; what it does is in the parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tensor {
    /// The arithmetic, by version: a change of one bit in any operation is another engine.
    pub engine: String,
    /// The stage, such as `train`.
    pub stage: String,
}

/// A declared output.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// How far a re-execution may be off and still count as `equivalent`. None: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Tolerance>,
}

/// `|actual - expected| <= absolute + relative * |expected|`, for every element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tolerance {
    /// The absolute part, not negative.
    pub absolute: Number,
    /// The relative part, not negative.
    pub relative: Number,
}

impl Tolerance {
    /// Whether `actual` is close enough to `expected`. NaN is close to nothing, infinity to itself.
    pub fn allows(&self, expected: f64, actual: f64) -> bool {
        if !expected.is_finite() {
            return actual == expected;
        }
        (actual - expected).abs() <= self.absolute.get() + self.relative.get() * expected.abs()
    }
}

/// Bounds on what a computation may use; a computation that exceeds one is stopped and fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Wall-clock time in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_ms: Option<u64>,
    /// Address space in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    executor: Executor,
    inputs: BTreeMap<Slot, ContentId>,
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "crate::codec::not_empty"
    )]
    outside: BTreeMap<Slot, ContentId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<TreeId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    environment: Option<TreeId>,
    params: BTreeMap<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    outputs: BTreeMap<Slot, Output>,
    limits: Limits,
}

impl Recipe {
    /// Checks the parts against each other: a command has a program, no path is at once a file
    /// and a folder, tolerances are not negative.
    pub fn new(parts: Parts) -> Result<Self, SchemaError> {
        let invalid = |why| Err(SchemaError::Invalid { kind: Kind::Recipe, why });
        match &parts.executor {
            Executor::Command(command) => {
                if command.argv.first().is_none_or(String::is_empty) {
                    return invalid("a command needs a program");
                }
                if command.argv.iter().any(|a| a.contains('\0')) {
                    return invalid("an argument holds a NUL byte");
                }
                let bad = |(name, value): (&String, &String)| {
                    name.is_empty() || name.contains(['=', '\0']) || value.contains('\0')
                };
                if command.variables.iter().any(bad) {
                    return invalid("an environment variable has an impossible name or value");
                }
                if let Some(why) = command.place.as_ref().and_then(Place::fault) {
                    return invalid(why);
                }
            }
            Executor::Tensor(tensor) => {
                if tensor.engine.is_empty() || tensor.stage.is_empty() {
                    return invalid("a tensor program needs an engine and a stage");
                }
                if parts.code.is_some() {
                    return invalid("a tensor program has no code tree");
                }
                if parts.environment.is_some() || !parts.outside.is_empty() {
                    return invalid("a tensor program uses nothing of the file system");
                }
            }
        }
        if nests(&parts.inputs) || nests(&parts.outside) {
            return invalid("an input lies inside another input");
        }
        if nests(&parts.outputs) {
            return invalid("an output lies inside another output");
        }
        let negative = |t: Tolerance| t.absolute.get() < 0.0 || t.relative.get() < 0.0;
        if parts.outputs.values().filter_map(|o| o.tolerance).any(negative) {
            return invalid("a tolerance is negative");
        }
        let Parts { executor, inputs, outside, code, environment, params, seed, outputs, limits } =
            parts;
        Ok(Recipe { executor, inputs, outside, code, environment, params, seed, outputs, limits })
    }

    /// The parts, to build a changed recipe from.
    pub fn to_parts(&self) -> Parts {
        let Recipe { executor, inputs, outside, code, environment, params, seed, outputs, limits } =
            self.clone();
        Parts { executor, inputs, outside, code, environment, params, seed, outputs, limits }
    }

    /// Who computes.
    pub fn executor(&self) -> &Executor {
        &self.executor
    }

    /// What is read, by name.
    pub fn inputs(&self) -> &BTreeMap<Slot, ContentId> {
        &self.inputs
    }

    /// Data from elsewhere in the file system, by absolute path without the first `/`.
    pub fn outside(&self) -> &BTreeMap<Slot, ContentId> {
        &self.outside
    }

    /// All that is read by name: inputs, and then data from elsewhere, whose names have a `/` in front.
    pub fn reads(&self) -> impl Iterator<Item = (String, ContentId)> {
        let inside = self.inputs.iter().map(|(slot, id)| (slot.to_string(), *id));
        inside.chain(self.outside.iter().map(|(slot, id)| (format!("/{slot}"), *id)))
    }

    /// The programs, libraries and system files that it uses, from `/`.
    pub fn environment(&self) -> Option<TreeId> {
        self.environment
    }

    /// The project's files.
    pub fn code(&self) -> Option<TreeId> {
        self.code
    }

    /// Parameters.
    pub fn params(&self) -> &BTreeMap<String, Value> {
        &self.params
    }

    /// The seed of all random draws.
    pub fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// Declared outputs; empty means: whatever files it creates or changes.
    pub fn outputs(&self) -> &BTreeMap<Slot, Output> {
        &self.outputs
    }

    /// Bounds.
    pub fn limits(&self) -> Limits {
        self.limits
    }
}

/// Whether one slot is a folder above another. In an order in which '/' comes before all else,
/// what lies in a folder follows it at once.
fn nests<T>(slots: &BTreeMap<Slot, T>) -> bool {
    let ordered = |slot: &&str| -> Vec<u8> {
        slot.bytes().map(|byte| if byte == b'/' { 0 } else { byte }).collect()
    };
    let mut slots: Vec<&str> = slots.keys().map(Slot::as_str).collect();
    slots.sort_by_cached_key(ordered);
    slots.windows(2).any(|pair| pair[1].strip_prefix(pair[0]).is_some_and(|r| r.starts_with('/')))
}

impl TryFrom<Wire> for Recipe {
    type Error = SchemaError;
    fn try_from(wire: Wire) -> Result<Self, SchemaError> {
        let Wire { executor, inputs, outside, code, environment, params, seed, outputs, limits } =
            wire;
        Recipe::new(Parts {
            executor,
            inputs,
            outside,
            code,
            environment,
            params,
            seed,
            outputs,
            limits,
        })
    }
}

impl From<Recipe> for Wire {
    fn from(recipe: Recipe) -> Wire {
        let Recipe { executor, inputs, outside, code, environment, params, seed, outputs, limits } =
            recipe;
        Wire { executor, inputs, outside, code, environment, params, seed, outputs, limits }
    }
}
