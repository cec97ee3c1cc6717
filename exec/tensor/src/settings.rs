//! The settings of each stage: which there are, what they accept, what they are by default.
//!
//! One table per stage serves the program that a person writes and the recipe that arrives from
//! a stranger: both pass through [`Setting::accept`]. Integers where a float is needed become
//! floats, so that `lr = 1` and `lr = 1.0` are one recipe.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use lab_schema::{Number, Value};

use crate::error::{Result, TensorError};

/// One setting of a stage.
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    kind: Kind,
    default: Default,
    /// The optimizer without which it does nothing.
    optimizer: Option<&'static str>,
}

enum Kind {
    Bool,
    Int(RangeInclusive<i64>),
    /// From the first to the last, both included.
    Float(f64, f64),
    Choice(&'static [&'static str]),
    Choices(&'static [&'static str]),
    Widths,
    Column,
    Columns,
    Scale,
}

enum Default {
    Required,
    /// The program's seed.
    Seed,
    /// In TOML.
    Is(&'static str),
}

const SEEDS: Kind = Kind::Int(0..=i64::MAX);
/// Widest layer, and most classes.
pub(crate) const MAX_WIDTH: i64 = 1 << 16;
const MAX_LAYERS: usize = 64;

const fn key(name: &'static str, kind: Kind, default: Default) -> Setting {
    Setting { name, kind, default, optimizer: None }
}

const fn key_of(
    optimizer: &'static str,
    name: &'static str,
    kind: Kind,
    default: &'static str,
) -> Setting {
    Setting { name, kind, default: Default::Is(default), optimizer: Some(optimizer) }
}

use Default::{Is, Required, Seed};

/// `table`, which names the input, is not among them: it is no parameter.
pub(crate) static PREPARE: [Setting; 8] = [
    key("header", Kind::Bool, Is("false")),
    key("ignore", Kind::Columns, Is("[]")),
    key("label", Kind::Column, Required),
    key("missing", Kind::Choice(&["error", "drop", "mean"]), Is("'error'")),
    key("scale", Kind::Scale, Is("'none'")),
    key("split_seed", SEEDS, Seed),
    key("stratify", Kind::Bool, Is("true")),
    key("test", Kind::Float(0.001, 0.999), Is("0.2")),
];

pub(crate) static TRAIN: [Setting; 15] = [
    key("activation", Kind::Choice(&["relu", "tanh"]), Is("'relu'")),
    key("batch", Kind::Int(1..=1 << 20), Is("32")),
    key_of("adamw", "beta1", Kind::Float(0.0, 0.999_999), "0.9"),
    key_of("adamw", "beta2", Kind::Float(0.0, 0.999_999), "0.999"),
    key("epochs", Kind::Int(1..=1_000_000), Is("20")),
    key_of("adamw", "eps", Kind::Float(1e-30, 1.0), "1e-8"),
    key("hidden", Kind::Widths, Is("[128]")),
    key("init_seed", SEEDS, Seed),
    key("lr", Kind::Float(0.0, 1e6), Is("0.001")),
    key("model", Kind::Choice(&["mlp"]), Is("'mlp'")),
    key_of("sgd", "momentum", Kind::Float(0.0, 0.999_999), "0.9"),
    key("optimizer", Kind::Choice(&["adamw", "sgd"]), Is("'adamw'")),
    key("schedule", Kind::Choice(&["constant", "linear"]), Is("'constant'")),
    key("shuffle_seed", SEEDS, Seed),
    key("weight_decay", Kind::Float(0.0, 1e6), Is("0.0")),
];

const METRICS: &[&str] = &["accuracy", "confusion", "loss", "macro_f1"];

pub(crate) static EVALUATE: [Setting; 1] =
    [key("metrics", Kind::Choices(METRICS), Is("['accuracy', 'loss']"))];

impl Setting {
    /// The value in the form in which recipes hold it, or what would be accepted.
    pub(crate) fn accept(&self, value: &Value) -> std::result::Result<Value, String> {
        let fits = match (&self.kind, value) {
            (Kind::Bool, Value::Bool(_)) => true,
            (Kind::Int(range), Value::Int(n)) => range.contains(n),
            (Kind::Float(min, max), Value::Int(n)) => {
                let inside = (*min..=*max).contains(&(*n as f64));
                return float(*n as f64).filter(|_| inside).ok_or_else(|| self.expected());
            }
            (Kind::Float(min, max), Value::Float(x)) => (*min..=*max).contains(&x.get()),
            (Kind::Choice(words), Value::Text(text)) => words.contains(&text.as_str()),
            (Kind::Choices(words), Value::List(items)) => {
                return self.choices(words, items).ok_or_else(|| self.expected());
            }
            (Kind::Widths, Value::List(items)) => {
                let fits = |v: &Value| matches!(v, Value::Int(n) if (1..=MAX_WIDTH).contains(n));
                items.len() <= MAX_LAYERS && items.iter().all(fits)
            }
            (Kind::Column, value) => is_column(value),
            (Kind::Columns, Value::List(items)) => items.iter().all(is_column),
            (Kind::Scale, Value::Text(text)) => {
                ["none", "minmax", "standard"].contains(&text.as_str())
            }
            (Kind::Scale, Value::Map(map)) => {
                let by = match (map.len(), map.get("divide")) {
                    (1, Some(Value::Int(n))) => *n as f64,
                    (1, Some(Value::Float(x))) => x.get(),
                    _ => 0.0,
                };
                let by = float(by).filter(|_| by != 0.0).ok_or_else(|| self.expected())?;
                return Ok(Value::Map([("divide".to_owned(), by)].into()));
            }
            _ => false,
        };
        if fits { Ok(value.clone()) } else { Err(self.expected()) }
    }

    /// Sorted and without repetitions: the order in which metrics are named means nothing.
    fn choices(&self, words: &[&str], items: &[Value]) -> Option<Value> {
        let known = |v: &Value| matches!(v, Value::Text(t) if words.contains(&t.as_str()));
        let mut items = items.to_vec();
        items.sort();
        items.dedup();
        (!items.is_empty() && items.iter().all(known)).then_some(Value::List(items))
    }

    fn expected(&self) -> String {
        match &self.kind {
            Kind::Bool => "true or false".into(),
            Kind::Int(range) if *range.end() == i64::MAX => {
                format!("an integer of at least {}", range.start())
            }
            Kind::Int(range) => format!("an integer from {} to {}", range.start(), range.end()),
            Kind::Float(min, max) => format!("a number from {min:?} to {max:?}"),
            Kind::Choice(words) => format!("one of {}", words.join(", ")),
            Kind::Choices(words) => format!("a list of some of {}", words.join(", ")),
            Kind::Widths => format!("a list of at most {MAX_LAYERS} widths, 1 to {MAX_WIDTH}"),
            Kind::Column => "a column's name, or its index (-1 is the last)".into(),
            Kind::Columns => "a list of columns' names or indices".into(),
            Kind::Scale => "none, minmax, standard or { divide = NUMBER }".into(),
        }
    }

    /// Whether the setting does something beside these.
    fn applies(&self, given: &BTreeMap<String, Value>) -> bool {
        match (self.optimizer, given.get("optimizer")) {
            (None, _) => true,
            (Some(needed), Some(Value::Text(chosen))) => needed == chosen,
            (Some(needed), _) => needed == "adamw",
        }
    }
}

fn float(x: f64) -> Option<Value> {
    Number::new(x).ok().map(Value::Float)
}

fn is_column(value: &Value) -> bool {
    match value {
        Value::Int(index) => index.unsigned_abs() <= u64::from(u32::MAX),
        Value::Text(name) => !name.is_empty(),
        _ => false,
    }
}

/// What was given, and every default besides.
pub(crate) fn with_defaults(
    stage: &'static str,
    settings: &[Setting],
    given: &BTreeMap<String, Value>,
    seed: u64,
) -> Result<BTreeMap<String, Value>> {
    let mut all = BTreeMap::new();
    for setting in settings {
        let key = || format!("{stage}.{}", setting.name);
        let value = match (given.get(setting.name), &setting.default) {
            (Some(_), _) if !setting.applies(given) => {
                let chosen = given.get("optimizer").map(Value::to_string);
                let other = format!("optimizer = {}", chosen.as_deref().unwrap_or("\"adamw\""));
                return Err(TensorError::Idle { key: key(), other });
            }
            (Some(value), _) => value.clone(),
            (None, _) if !setting.applies(given) => continue,
            (None, Default::Required) => return Err(TensorError::MissingKey(key())),
            (None, Default::Seed) => Value::Int(seed as i64),
            (None, Default::Is(text)) => crate::toml_value::parse(&key(), text)?,
        };
        all.insert(setting.name.to_owned(), value);
    }
    Ok(all)
}

/// The known word closest to `word`, if it is close at all.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, best) = known.map(|k| (distance(word, k), k)).min()?;
    (distance <= 1 + best.len() / 3).then_some(best)
}

/// Insertions, deletions and replacements that lead from one to the other.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().take(100).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// The parameters of a recipe, checked: every setting of the stage is there, and fits.
pub(crate) struct Settings<'a> {
    stage: &'static str,
    params: &'a BTreeMap<String, Value>,
}

impl<'a> Settings<'a> {
    /// Refuses unknown parameters, missing ones and values that no program could have.
    pub(crate) fn check(
        stage: &'static str,
        settings: &[Setting],
        params: &'a BTreeMap<String, Value>,
    ) -> Result<Self> {
        let key = |name: &str| format!("{stage}.{name}");
        for (name, value) in params {
            let Some(setting) = settings.iter().find(|s| s.name == name) else {
                return Err(TensorError::UnknownKey { key: key(name), line: None, nearest: None });
            };
            let bad = |expected| TensorError::BadValue {
                key: key(name),
                value: value.to_string(),
                line: None,
                expected,
            };
            if setting.accept(value).map_err(bad)? != *value {
                return Err(bad("its canonical form".to_owned()));
            }
        }
        if with_defaults(stage, settings, params, 0)?.len() != params.len() {
            let lacks = |s: &&Setting| s.applies(params) && !params.contains_key(s.name);
            let lacking = settings.iter().find(lacks).map_or("a setting", |s| s.name);
            return Err(TensorError::MissingKey(key(lacking)));
        }
        Ok(Settings { stage, params })
    }

    fn missing(&self, name: &str) -> TensorError {
        TensorError::MissingKey(format!("{}.{name}", self.stage))
    }

    pub(crate) fn value(&self, name: &str) -> Result<&'a Value> {
        self.params.get(name).ok_or_else(|| self.missing(name))
    }

    pub(crate) fn bool(&self, name: &str) -> Result<bool> {
        match self.value(name)? {
            Value::Bool(value) => Ok(*value),
            _ => Err(self.missing(name)),
        }
    }

    pub(crate) fn int(&self, name: &str) -> Result<u64> {
        match self.value(name)? {
            Value::Int(value) => u64::try_from(*value).map_err(|_| self.missing(name)),
            _ => Err(self.missing(name)),
        }
    }

    pub(crate) fn float(&self, name: &str) -> Result<f64> {
        match self.value(name)? {
            Value::Float(value) => Ok(value.get()),
            _ => Err(self.missing(name)),
        }
    }

    pub(crate) fn text(&self, name: &str) -> Result<&'a str> {
        match self.value(name)? {
            Value::Text(value) => Ok(value),
            _ => Err(self.missing(name)),
        }
    }

    pub(crate) fn list(&self, name: &str) -> Result<&'a [Value]> {
        match self.value(name)? {
            Value::List(value) => Ok(value),
            _ => Err(self.missing(name)),
        }
    }
}
