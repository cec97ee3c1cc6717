//! Programs: what a person writes, in TOML, and the recipes that come of it.
//!
//! A program has up to three stages, `prepare`, `train` and `evaluate`, each a recipe of its own,
//! so that programs which agree on a stage share its results. A recipe holds the settings of its
//! own stage, every default written out, and of other stages nothing but the hashes of what they
//! left. Unknown keys are refused: a misspelt setting must not silently be a default.

use std::collections::BTreeMap;

use lab_schema::recipe::Parts;
use lab_schema::{ContentId, Executor, Limits, Output, Recipe, Slot, Tensor, Value};

use crate::error::{Result, TensorError};
use crate::settings::{nearest, with_defaults};
use crate::task::{ENGINE, Task};
use crate::toml_value::{self, Line};

/// A tensor program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    name: Option<String>,
    seed: u64,
    inputs: BTreeMap<Slot, String>,
    table: Option<Slot>,
    stages: BTreeMap<Task, BTreeMap<String, Value>>,
}

/// A stage of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    task: Task,
    seed: u64,
    table: Slot,
    given: BTreeMap<String, Value>,
}

/// What a stage reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageInput {
    /// Its name in the recipe.
    pub slot: Slot,
    /// Where it comes from.
    pub from: Source,
}

/// Where a stage's input comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An entry of [`Program::inputs`].
    Program(Slot),
    /// An output of an earlier stage.
    Stage {
        /// The stage's name.
        stage: &'static str,
        /// The output's name.
        output: Slot,
    },
}

impl Program {
    /// Reads a program. Errors name the key, its line, and the key that may have been meant.
    pub fn parse(text: &str) -> Result<Program> {
        let (values, tables) = toml_value::document(text)?;
        let mut program = Program {
            name: None,
            seed: 0,
            inputs: BTreeMap::new(),
            table: None,
            stages: BTreeMap::new(),
        };
        for line in values {
            program.assign(None, &line.key, line.value, Some(line.line))?;
        }
        for (Line { key, line, .. }, children) in tables {
            match Task::from_name(&key) {
                Some(task) => drop(program.stages.insert(task, BTreeMap::new())),
                None if key == "inputs" => {}
                None => return Err(unknown(key, Some(line), SECTIONS.into_iter())),
            }
            for child in children {
                program.assign(Some(&key), &child.key, child.value, Some(child.line))?;
            }
        }
        program.check()?;
        Ok(program)
    }

    /// Changes one setting, such as `train.lr`, to `value`, in TOML syntax.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let mut changed = self.clone();
        let (section, name) = match key.split_once('.') {
            Some((section, name)) => (Some(section), name),
            None => (None, key),
        };
        let absent = |s: &str| Task::from_name(s).is_some_and(|t| !self.stages.contains_key(&t));
        if let Some(section) = section.filter(|s| absent(s)) {
            return Err(TensorError::MissingKey(format!("the section [{section}]")));
        }
        changed.assign(section, name, toml_value::parse(key, value)?, None)?;
        changed.check()?;
        *self = changed;
        Ok(())
    }

    /// What the person calls it. Not part of any recipe.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The inputs: for each, the reference that stands in the file.
    pub fn inputs(&self) -> &BTreeMap<Slot, String> {
        &self.inputs
    }

    /// The stages, in the order of execution.
    pub fn stages(&self) -> Vec<Stage> {
        let stage = |(task, given): (&Task, &BTreeMap<String, Value>)| {
            let table = self.table.clone()?;
            Some(Stage { task: *task, seed: self.seed, table, given: given.clone() })
        };
        self.stages.iter().filter_map(stage).collect()
    }

    fn assign(
        &mut self,
        section: Option<&str>,
        key: &str,
        value: Value,
        line: Option<usize>,
    ) -> Result<()> {
        let full = section.map_or_else(|| key.to_owned(), |s| format!("{s}.{key}"));
        let shown = value.to_string();
        let bad = |expected: String| TensorError::BadValue {
            key: full.clone(),
            value: shown.clone(),
            line,
            expected,
        };
        match (section, section.and_then(Task::from_name), key, value) {
            (None, _, "name", Value::Text(name)) => self.name = Some(name),
            (None, _, "name", _) => return Err(bad("text".into())),
            (None, _, "seed", Value::Int(seed)) if seed >= 0 => self.seed = seed as u64,
            (None, _, "seed", _) => return Err(bad("an integer of at least 0".into())),
            (Some("inputs"), _, key, Value::Text(reference)) => {
                self.inputs.insert(Slot::new(key)?, reference);
            }
            (Some("inputs"), ..) => return Err(bad("a reference, as text".into())),
            (Some(_), Some(Task::Prepare), "table", Value::Text(input)) => {
                self.table = Some(Slot::new(input)?);
            }
            (Some(_), Some(Task::Prepare), "table", _) => {
                return Err(bad("the name of an entry of [inputs]".into()));
            }
            (Some(_), Some(task), key, value) => {
                let Some(setting) = task.settings().iter().find(|s| s.name == key) else {
                    let known = task.settings().iter().map(|s| s.name);
                    let known: Vec<_> =
                        known.chain((task == Task::Prepare).then_some("table")).collect();
                    return Err(unknown_in(task.name(), key, line, &known));
                };
                let value = setting.accept(&value).map_err(bad)?;
                self.stages.entry(task).or_default().insert(key.to_owned(), value);
            }
            (Some(section), None, key, _) => {
                let known = SECTIONS.into_iter().filter(|s| *s != "name" && *s != "seed");
                return Err(match nearest(section, known) {
                    Some(near) => {
                        unknown(full, line, [format!("{near}.{key}").as_str()].into_iter())
                    }
                    None => unknown(full, line, std::iter::empty()),
                });
            }
            (None, _, key, _) => return Err(unknown(key.to_owned(), line, SECTIONS.into_iter())),
        }
        Ok(())
    }

    /// What no single line can get wrong.
    fn check(&self) -> Result<()> {
        let lacks = |what: &str| TensorError::MissingKey(what.to_owned());
        if !self.stages.contains_key(&Task::Prepare) {
            return Err(lacks("the section [prepare]"));
        }
        if self.stages.contains_key(&Task::Evaluate) && !self.stages.contains_key(&Task::Train) {
            return Err(lacks("the section [train], which [evaluate] needs"));
        }
        let table = self.table.as_ref().ok_or_else(|| lacks("prepare.table"))?;
        if !self.inputs.contains_key(table) {
            return Err(TensorError::NoSuchInput { name: table.clone() });
        }
        for stage in self.stages() {
            stage.params()?;
        }
        Ok(())
    }
}

const SECTIONS: [&str; 6] = ["name", "seed", "inputs", "prepare", "train", "evaluate"];

fn unknown<'a>(
    key: String,
    line: Option<usize>,
    known: impl Iterator<Item = &'a str>,
) -> TensorError {
    let nearest = nearest(&key, known).map(str::to_owned);
    TensorError::UnknownKey { key, line, nearest }
}

fn unknown_in(section: &str, key: &str, line: Option<usize>, known: &[&str]) -> TensorError {
    let nearest = nearest(key, known.iter().copied()).map(|near| format!("{section}.{near}"));
    TensorError::UnknownKey { key: format!("{section}.{key}"), line, nearest }
}

impl Stage {
    /// `prepare`, `train` or `evaluate`.
    pub fn name(&self) -> &'static str {
        self.task.name()
    }

    /// What it reads.
    pub fn inputs(&self) -> Vec<StageInput> {
        let input = |(slot, stage): (Slot, Option<Task>)| {
            let from = match stage {
                Some(task) => Source::Stage { stage: task.name(), output: slot.clone() },
                None => Source::Program(self.table.clone()),
            };
            StageInput { slot, from }
        };
        self.task.inputs().into_iter().map(input).collect()
    }

    /// The recipe on these inputs, which are those of [`Stage::inputs`] by slot.
    pub fn recipe(&self, inputs: BTreeMap<Slot, ContentId>) -> Result<Recipe> {
        self.task.check_inputs(&inputs)?;
        let tensor = Tensor { engine: ENGINE.to_owned(), stage: self.name().to_owned() };
        let outputs = self.task.outputs().into_iter().map(|slot| (slot, Output::default()));
        Ok(Recipe::new(Parts {
            executor: Executor::Tensor(tensor),
            inputs,
            outside: BTreeMap::new(),
            code: None,
            environment: None,
            params: self.params()?,
            // Each purpose has a seed of its own among the parameters.
            seed: None,
            outputs: outputs.collect(),
            limits: Limits::default(),
        })?)
    }

    fn params(&self) -> Result<BTreeMap<String, Value>> {
        with_defaults(self.name(), self.task.settings(), &self.given, self.seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "seed = 3\n[inputs]\ndigits = \"digits\"\n[prepare]\ntable = \"digits\"\n\
        label = -1\nscale = { divide = 16 }\n[train]\nlr = 1\n[evaluate]\n";

    fn program() -> Program {
        Program::parse(TEXT).unwrap()
    }

    fn recipes(program: &Program) -> Vec<Recipe> {
        let content = ContentId::Blob(lab_schema::BlobId::from_digest(
            lab_schema::Digest::from_bytes([7; 32]),
        ));
        let recipe = |stage: Stage| {
            let inputs = stage.inputs().into_iter().map(|i| (i.slot, content)).collect();
            stage.recipe(inputs).unwrap()
        };
        program.stages().into_iter().map(recipe).collect()
    }

    #[test]
    fn every_default_is_written_out() {
        let recipes = recipes(&program());
        let show = |r: &Recipe| Value::Map(r.params().clone()).to_string();
        assert_eq!(
            show(&recipes[0]),
            "{ header = false, ignore = [], label = -1, missing = \"error\", \
             scale = { divide = 16.0 }, split_seed = 3, stratify = true, test = 0.2 }"
        );
        assert_eq!(
            show(&recipes[1]),
            "{ activation = \"relu\", batch = 32, beta1 = 0.9, beta2 = 0.999, epochs = 20, \
             eps = 1e-8, hidden = [128], init_seed = 3, lr = 1.0, model = \"mlp\", \
             optimizer = \"adamw\", schedule = \"constant\", shuffle_seed = 3, weight_decay = 0.0 }"
        );
        assert_eq!(show(&recipes[2]), "{ metrics = [\"accuracy\", \"loss\"] }");
    }

    #[test]
    fn a_stage_depends_on_its_own_settings_alone() {
        let before = recipes(&program());
        for (key, value, changed) in [
            ("train.lr", "0.5", 1),
            ("train.shuffle_seed", "2", 1),
            ("train.optimizer", "sgd", 1),
            ("prepare.test", "0.3", 0),
            ("prepare.split_seed", "2", 0),
            ("evaluate.metrics", "['loss']", 2),
        ] {
            let mut program = program();
            program.set(key, value).unwrap();
            let after = recipes(&program);
            for stage in 0..3 {
                assert_eq!(before[stage] == after[stage], stage != changed, "{key}, stage {stage}");
            }
        }
        // A value set to what it is by default is the same recipe, and so is another name.
        let mut program = program();
        program.set("train.epochs", "20").unwrap();
        program.set("train.lr", "1.0").unwrap();
        program.set("name", "other").unwrap();
        assert_eq!(before, recipes(&program));
    }

    #[test]
    fn the_seed_is_the_default_of_all_seeds() {
        let mut program = program();
        program.set("seed", "9").unwrap();
        program.set("train.shuffle_seed", "2").unwrap();
        let recipes = recipes(&program);
        assert_eq!(recipes[0].params()["split_seed"], Value::Int(9));
        assert_eq!(recipes[1].params()["init_seed"], Value::Int(9));
        assert_eq!(recipes[1].params()["shuffle_seed"], Value::Int(2));
    }

    #[test]
    fn wrong_programs_are_refused_in_words() {
        let with = |from: &str, to: &str| {
            Program::parse(&TEXT.replacen(from, to, 1)).unwrap_err().to_string()
        };
        let cases = [
            (("lr = 1", "lrr = 1"), "unknown key 'train.lrr' in line 9; did you mean 'train.lr'?"),
            (("[train]", "[trian]"), "unknown key 'trian' in line 8; did you mean 'train'?"),
            (("seed", "sede"), "unknown key 'sede' in line 1; did you mean 'seed'?"),
            (
                ("lr = 1", "lr = -1"),
                "train.lr = -1 in line 9: a number from 0.0 to 1000000.0 is needed",
            ),
            (("lr = 1", "lr = nan"), "lr = nan in line 9: a finite number is needed"),
            (
                ("lr = 1", "momentum = 0.5"),
                "train.momentum has no meaning with optimizer = \"adamw\"",
            ),
            (("label = -1\n", ""), "the program lacks prepare.label"),
            (("table = \"digits\"\n", ""), "the program lacks prepare.table"),
            (
                ("table = \"digits\"", "table = \"x\""),
                "prepare.table is 'x', but [inputs] has no such entry",
            ),
            (
                ("[train]\nlr = 1\n", ""),
                "the program lacks the section [train], which [evaluate] needs",
            ),
            (
                ("16", "0"),
                "prepare.scale = { divide = 0 } in line 7: none, minmax, standard or { divide = NUMBER } is needed",
            ),
            (
                ("seed = 3", "seed = "),
                "the program is not valid TOML in line 1: string values must be quoted, expected literal string",
            ),
        ];
        for ((from, to), expected) in cases {
            assert_eq!(with(from, to), expected);
        }
        for text in ["", "[", "x", "[[prepare]]", "a.b.c = 1", "prepare = 1", "[inputs]\na = 1"] {
            assert!(Program::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_refused_change_changes_nothing() {
        let mut program = program();
        for (key, value) in [
            ("train.lr", "fast"),
            ("train.lr", "1\nseed = 2"),
            ("train.learning_rate", "1"),
            ("trian.lr", "1"),
            ("inputs.digits", "3"),
            ("prepare.table", "other"),
            ("", ""),
            ("train.", "1"),
        ] {
            assert!(program.set(key, value).is_err(), "{key} = {value}");
        }
        assert_eq!(program, super::Program::parse(TEXT).unwrap());
        assert_eq!(
            program.set("trian.lr", "1").unwrap_err().to_string(),
            "unknown key 'trian.lr'; did you mean 'train.lr'?"
        );
    }
}
