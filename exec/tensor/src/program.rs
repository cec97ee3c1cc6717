//! Programs: what a person writes, in TOML, and the recipes that come of it.
//!
//! A program has up to three stages, `prepare`, `train` and `evaluate`, each a recipe of its own,
//! so that programs which agree on a stage share its results. A recipe holds the settings of its
//! own stage, every default written out, and of other stages nothing but the hashes of what they
//! left. Unknown keys are refused: a misspelt setting must not silently be a default.

use std::collections::{BTreeMap, BTreeSet};

use lab_schema::{Number, Slot, Value};

use crate::error::{Result, TensorError};
use crate::settings::{Told, default_word, idle};
use crate::stage::Stage;
use crate::stage_settings::{Aim, check_data, tokens_only, word};
use crate::task::{IMAGES, LABELS, MERGES, TABLE, TEXT, Task};
use crate::toml_value::{self, Line};
use crate::words::nearest;

/// A tensor program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    name: Option<String>,
    seed: u64,
    inputs: BTreeMap<Slot, String>,
    /// Those inputs that [`Program::read_from`] has set.
    typed: BTreeSet<Slot>,
    /// What `prepare` reads: the name that it has there, and the entry of `inputs`.
    reads: BTreeMap<&'static str, Slot>,
    stages: BTreeMap<Task, BTreeMap<String, Value>>,
}

impl Program {
    /// Reads a program. Errors name the key, its line, and the key that may have been meant.
    pub fn parse(text: &str) -> Result<Program> {
        let (values, tables) = toml_value::document(text)?;
        let mut program = Program {
            name: None,
            seed: 0,
            inputs: BTreeMap::new(),
            typed: BTreeSet::new(),
            reads: BTreeMap::new(),
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
        self.set_all(&[(key, value)])
    }

    /// Changes several settings at once: they are checked together. What stands in the program and
    /// means nothing beside them goes: with another model its own settings are as by default.
    pub fn set_all(&mut self, settings: &[(&str, &str)]) -> Result<()> {
        let mut changed = self.clone();
        for (key, value) in settings {
            let (section, name) = match key.split_once('.') {
                Some((section, name)) => (Some(section), name),
                None => (None, *key),
            };
            let absent =
                |s: &str| Task::from_name(s).is_some_and(|t| !self.stages.contains_key(&t));
            if let Some(section) = section.filter(|s| absent(s)) {
                return Err(TensorError::MissingKey(format!("the section [{section}]")));
            }
            changed.assign(section, name, toml_value::parse(key, value)?, None)?;
        }
        let set = |task: Task, name: &str| {
            settings.iter().any(|(key, _)| *key == format!("{}.{name}", task.name()))
        };
        let pairs =
            changed.stages.get(&Task::Prepare).is_some_and(|p| word(p, "tokens") == "pairs");
        if !pairs && !set(Task::Prepare, MERGES) {
            changed.reads.remove(MERGES);
        }
        for (task, given) in &mut changed.stages {
            let inputs: Vec<&str> = match task {
                Task::Prepare => changed.reads.keys().copied().collect(),
                _ => Vec::new(),
            };
            for name in idle(task.settings(), Told { settings: given, inputs: &inputs }) {
                if !set(*task, name) {
                    given.remove(name);
                }
            }
        }
        let (before, after) = (self.aim(), changed.aim());
        if before != after
            && !set(Task::Evaluate, "metrics")
            && let Some(given) = changed.stages.get_mut(&Task::Evaluate)
        {
            given.remove("metrics");
        }
        changed.check()?;
        *self = changed;
        Ok(())
    }

    /// Lets `prepare` do without an input that it does not need.
    pub fn forget(&mut self, input: &Slot) {
        let needed = self.stages().into_iter().find(|stage| stage.task == Task::Prepare);
        let form = needed.and_then(|stage| stage.form().ok()).unwrap_or_default();
        let (_, allowed) = Task::Prepare.reads(&form);
        self.reads.retain(|key, slot| slot != input || !allowed.contains(key));
    }

    /// Reads an input, which the program has, from another place.
    pub fn read_from(&mut self, input: &str, reference: &str) -> Result<()> {
        let known = self.inputs.keys().find(|slot| slot.as_str() == input).cloned();
        let Some(slot) = known else {
            let known: Vec<&str> = self.inputs.keys().map(Slot::as_str).collect();
            return Err(TensorError::NoInput { name: input.to_owned(), known: known.join(", ") });
        };
        self.typed.insert(slot.clone());
        self.inputs.insert(slot, reference.to_owned());
        Ok(())
    }

    /// Whether [`Program::read_from`] has set this input.
    pub fn is_typed(&self, input: &Slot) -> bool {
        self.typed.contains(input)
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
            let reads = match task {
                Task::Prepare => self.reads.clone(),
                _ => BTreeMap::new(),
            };
            let mut given = given.clone();
            if *task == Task::Evaluate && !given.contains_key("metrics") {
                let usual = self.aim().usual_metrics(self.model()).iter();
                let usual = usual.map(|name| Value::Text((*name).to_owned())).collect();
                given.insert("metrics".to_owned(), Value::List(usual));
            }
            Stage { task: *task, seed: self.seed, reads, given }
        };
        self.stages.iter().map(stage).collect()
    }

    /// What it foretells.
    fn aim(&self) -> Aim {
        self.stages.get(&Task::Prepare).map_or(Aim::Class, Aim::of)
    }

    /// The model, by its name.
    fn model(&self) -> &str {
        match self.stages.get(&Task::Train).and_then(|given| given.get("model")) {
            Some(Value::Text(model)) => model,
            _ => default_word(Task::Train.settings(), "model"),
        }
    }

    /// Refuses stages that do not go together, which would show only once the first is done.
    fn check_together(&self) -> Result<()> {
        let stages = self.stages();
        let params = |task| stages.iter().find(|s| s.task == task).map(Stage::params).transpose();
        let (prepare, train) = (params(Task::Prepare)?, params(Task::Train)?);
        if let (Some(prepare), Some(train)) = (&prepare, &train) {
            check_data(prepare, train)?;
            let none = prepare
                .get("validation")
                .and_then(|v| Number::new(0.0).ok().map(|z| *v == Value::Float(z)));
            let waits = train.get("patience").is_some_and(|patience| *patience != Value::Int(0));
            if waits && none == Some(true) {
                let why = "prepare.validation, by which train.patience decides when to stop";
                return Err(TensorError::MissingKey(why.into()));
            }
        }
        let aim = self.aim();
        for stage in stages.iter().filter(|stage| stage.task == Task::Evaluate) {
            let Some(Value::List(metrics)) = stage.given.get("metrics") else { continue };
            for metric in metrics {
                let Value::Text(name) = metric else { continue };
                let other = match aim.metrics().contains(&name.as_str()) {
                    true => tokens_only(name, prepare.as_ref(), train.as_ref()),
                    false => Some(aim.name().to_owned()),
                };
                if let Some(other) = other {
                    return Err(TensorError::Idle { key: format!("the metric {metric}"), other });
                }
            }
        }
        Ok(())
    }

    fn assign(
        &mut self,
        section: Option<&str>,
        key: &str,
        value: Value,
        line: Option<usize>,
    ) -> Result<()> {
        let full = section.map_or_else(|| key.to_owned(), |s| format!("{s}.{key}"));
        let mut shown: String = value.to_string();
        if shown.chars().count() > MAX_SHOWN {
            shown = shown.chars().take(MAX_SHOWN).chain(['…']).collect();
        }
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
            (Some(_), Some(Task::Prepare), key, value) if read(key).is_some() => {
                let Value::Text(input) = value else {
                    return Err(bad("the name of an entry of [inputs]".into()));
                };
                if input.is_empty() {
                    self.reads.remove(key);
                    return Ok(());
                }
                self.reads.extend(
                    read(key).map(|key| (key, Slot::new(input))).into_iter().try_fold(
                        BTreeMap::new(),
                        |mut all, (key, slot)| {
                            all.insert(key, slot?);
                            Ok::<_, TensorError>(all)
                        },
                    )?,
                );
            }
            (Some(_), Some(task), key, value) => {
                let Some(setting) = task.settings().iter().find(|s| s.name == key) else {
                    let known = task.settings().iter().map(|s| s.name);
                    let reads = if task == Task::Prepare { &READS[..] } else { &[] };
                    let known: Vec<_> = known.chain(reads.iter().copied()).collect();
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
        for stage in self.stages() {
            let (needed, allowed) = stage.task.reads(&stage.form()?);
            if let Some(key) = needed.iter().find(|key| !stage.reads.contains_key(*key)) {
                return Err(lacks(&format!("prepare.{key}")));
            }
            let known = |key: &&&'static str| needed.contains(*key) || allowed.contains(*key);
            if let Some(key) = stage.reads.keys().find(|key| !known(key)) {
                let (key, form) = (format!("prepare.{key}"), stage.form()?);
                return Err(TensorError::Idle { key, other: format!("form = \"{form}\"") });
            }
            if stage.reads.contains_key(MERGES) && word(&stage.params()?, "tokens") != "pairs" {
                let other = format!("tokens = \"{}\"", word(&stage.params()?, "tokens"));
                return Err(TensorError::Idle { key: "prepare.merges".into(), other });
            }
            for (key, input) in &stage.reads {
                if !self.inputs.contains_key(input) {
                    return Err(TensorError::NoSuchInput { key, name: input.clone() });
                }
            }
        }
        self.check_together()
    }
}

/// The keys of `prepare` that name inputs.
const READS: [&str; 5] = [IMAGES, LABELS, MERGES, TABLE, TEXT];

fn read(key: &str) -> Option<&'static str> {
    READS.into_iter().find(|known| *known == key)
}

/// Characters of a refused value that are shown.
const MAX_SHOWN: usize = 120;

const SECTIONS: [&str; 6] = ["name", "seed", "inputs", "prepare", "train", "evaluate"];

fn unknown<'a>(
    key: String,
    line: Option<usize>,
    known: impl Iterator<Item = &'a str>,
) -> TensorError {
    let nearest = nearest(&key, known).map(str::to_owned).filter(|near| *near != key);
    TensorError::UnknownKey { key, line, nearest }
}

fn unknown_in(section: &str, key: &str, line: Option<usize>, known: &[&str]) -> TensorError {
    let nearest = nearest(key, known.iter().copied()).map(|near| format!("{section}.{near}"));
    TensorError::UnknownKey { key: format!("{section}.{key}"), line, nearest }
}

#[cfg(test)]
mod tests {
    use lab_schema::{ContentId, Recipe};

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
            "{ categories = \"auto\", delimiter = \"auto\", fold = 0, folds = 0, form = \"table\", \
             format = \"csv\", group = \"\", header = \"auto\", ignore = [], key = \"\", label = -1, \
             missing = \"error\", scale = { divide = 16.0 }, shape = [], split_seed = 3, stratify = true, \
             target = \"class\", test = 0.2, validation = 0.0 }"
        );
        assert_eq!(
            show(&recipes[1]),
            "{ activation = \"relu\", batch = 32, beta1 = 0.9, beta2 = 0.999, clip = 0.0, \
             dropout = 0.0, epochs = 20, eps = 1e-8, hidden = [128], init_seed = 3, lr = 1.0, \
             model = \"mlp\", optimizer = \"adamw\", patience = 0, schedule = \"constant\", \
             shuffle_seed = 3, state_every = 100, warmup = 0.0, weight_decay = 0.0 }"
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
                "prepare.scale = { divide = 0 } in line 7: none, minmax, standard, robust or { divide = NUMBER } is needed",
            ),
            (
                ("seed = 3", "seed = "),
                "the program is not valid TOML in line 1: string values must be quoted, expected literal string",
            ),
        ];
        for ((from, to), expected) in cases {
            assert_eq!(with(from, to), expected);
        }
        for ((from, to), expected) in [
            (
                ("lr = 1", "model = \"lstm\""),
                "train.model = \"lstm\" has no meaning with form = \"table\"",
            ),
            (
                ("lr = 1", "patience = 3"),
                "the program lacks prepare.validation, by which train.patience decides when to stop",
            ),
            (
                ("[evaluate]", "[evaluate]\nmetrics = [\"r2\"]"),
                "the metric \"r2\" has no meaning with classes to tell apart",
            ),
            (("lr = 1", "width = 3"), "train.width has no meaning with model = \"mlp\""),
            (
                ("lr = 1", "model = \"layers\"\nlayers = [\"relu\", { layer = \"liner\" }]"),
                "train.layers = [\"relu\", { layer = \"liner\" }] in line 10: a list of layers (layer 2: there is no 'liner'; did you mean 'linear'?) is needed",
            ),
        ] {
            let found = with(from, to);
            assert!(found.starts_with(expected), "{found}");
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
