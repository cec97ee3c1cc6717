//! Settings: what they accept, what they are by default, and when they mean nothing.
//!
//! One table per stage serves the program that a person writes and the recipe that arrives from
//! a stranger: both pass through [`Setting::accept`]. Integers where a float is needed become
//! floats, so that `lr = 1` and `lr = 1.0` are one recipe.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use lab_schema::{Number, Value};

use crate::error::{Result, TensorError};
use crate::layers::Layer;
use crate::toml_value;

/// One setting of a stage.
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) default: Default,
    /// The setting beside it, and its values, without which it does nothing.
    pub(crate) only: Option<(&'static str, &'static [&'static str])>,
    /// The input of the stage beside which it does nothing.
    pub(crate) unless: Option<&'static str>,
}

/// What a setting accepts.
pub(crate) enum Kind {
    Bool,
    Int(RangeInclusive<i64>),
    /// From the first to the last, both included.
    Float(f64, f64),
    Choice(&'static [&'static str]),
    Choices(&'static [&'static str]),
    Widths,
    Column,
    /// A column, or no text for none.
    MaybeColumn,
    /// Columns, or "auto".
    MaybeColumns,
    Columns,
    /// True, false or "auto".
    MaybeBool,
    Scale,
    Layers,
    /// Height and width, or an empty list for none.
    Size,
}

/// What a setting is where a program leaves it out.
pub(crate) enum Default {
    Required,
    /// The program's seed.
    Seed,
    /// In TOML.
    Is(&'static str),
    /// In TOML, and not written into recipes: the setting came later than they did, and so what was
    /// run without it is still what is run without it.
    Off(&'static str),
}

pub(crate) const SEEDS: Kind = Kind::Int(0..=i64::MAX);
/// Widest layer, and most classes.
pub(crate) const MAX_WIDTH: i64 = 1 << 16;
const MAX_LAYERS: usize = 64;
/// Most rows or columns of a resized image.
const MAX_SIDE: i64 = 1 << 12;

pub(crate) const fn key(name: &'static str, kind: Kind, default: Default) -> Setting {
    Setting { name, kind, default, only: None, unless: None }
}

/// A setting that came later: recipes hold it where it is not this.
pub(crate) const fn later_of(
    only: (&'static str, &'static [&'static str]),
    name: &'static str,
    kind: Kind,
    off: &'static str,
) -> Setting {
    Setting { name, kind, default: Default::Off(off), only: Some(only), unless: None }
}

pub(crate) const fn key_of(
    only: (&'static str, &'static [&'static str]),
    name: &'static str,
    kind: Kind,
    default: &'static str,
) -> Setting {
    Setting { name, kind, default: Default::Is(default), only: Some(only), unless: None }
}

/// What a stage is told: settings, and which inputs it has beside those that earlier stages leave.
#[derive(Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) settings: &'a BTreeMap<String, Value>,
    pub(crate) inputs: &'a [&'a str],
}

impl Setting {
    /// No setting beside this input.
    pub(crate) const fn unless(mut self, input: &'static str) -> Setting {
        self.unless = Some(input);
        self
    }

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
            (Kind::Layers, value) => {
                let layers = Layer::list(&toml_value::to_json(value))
                    .map_err(|why| format!("a list of layers ({why})"))?;
                return toml_value::from_json(&layers).ok_or_else(|| self.expected());
            }
            (Kind::Column, value) => is_column(value),
            (Kind::MaybeColumn, value) => {
                is_column(value) || matches!(value, Value::Text(text) if text.is_empty())
            }
            (Kind::MaybeBool | Kind::MaybeColumns, Value::Text(text)) => text == "auto",
            (Kind::MaybeBool, Value::Bool(_)) => true,
            (Kind::Columns | Kind::MaybeColumns, Value::List(items)) => items.iter().all(is_column),
            (Kind::Size, Value::List(items)) => {
                let fits = |v: &Value| matches!(v, Value::Int(n) if (1..=MAX_SIDE).contains(n));
                matches!(items.len(), 0 | 2) && items.iter().all(fits)
            }
            (Kind::Scale, Value::Text(text)) => {
                ["none", "minmax", "robust", "standard"].contains(&text.as_str())
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
            Kind::Layers => "a list of layers".into(),
            Kind::Column => "a column's name, or its index (-1 is the last)".into(),
            Kind::MaybeColumn => "a column's name or index, or \"\" for none".into(),
            Kind::MaybeBool => "true, false or \"auto\"".into(),
            Kind::MaybeColumns => "a list of columns' names or indices, or \"auto\"".into(),
            Kind::Columns => "a list of columns' names or indices".into(),
            Kind::Size => format!("[height, width], each 1 to {MAX_SIDE}, or [] for none"),
            Kind::Scale => "none, minmax, standard, robust or { divide = NUMBER }".into(),
        }
    }

    /// Whether this value means the same as no value, and so stands in no recipe.
    fn is_off(&self, value: &Value) -> bool {
        match self.default {
            Default::Off(text) => toml_value::parse(self.name, text).is_ok_and(|off| off == *value),
            _ => false,
        }
    }

    /// Whether the setting does something beside these.
    fn applies(&self, settings: &[Setting], told: Told<'_>) -> bool {
        if self.unless.is_some_and(|input| told.inputs.contains(&input)) {
            return false;
        }
        let Some((key, values)) = self.only else { return true };
        let Some(other) = settings.iter().find(|s| s.name == key) else { return false };
        if !other.applies(settings, told) {
            return false;
        }
        match told.settings.get(key) {
            Some(Value::Text(chosen)) => values.contains(&chosen.as_str()),
            _ => values.contains(&default_word(settings, key)),
        }
    }

    /// The setting with its value, or the input, beside which it does nothing.
    fn why(&self, stage: &str, settings: &[Setting], told: Told<'_>) -> String {
        if let Some(input) = self.unless.filter(|input| told.inputs.contains(input)) {
            return format!("{stage}.{input}");
        }
        let only = self.only.map_or("", |(only, _)| only);
        match settings.iter().find(|s| s.name == only) {
            // What does nothing itself is no reason.
            Some(other) if !other.applies(settings, told) => other.why(stage, settings, told),
            _ => match told.settings.get(only) {
                Some(chosen) => format!("{only} = {chosen}"),
                None => format!("{only} = \"{}\"", default_word(settings, only)),
            },
        }
    }
}

/// The word that a setting is by default.
pub(crate) fn default_word(settings: &[Setting], key: &str) -> &'static str {
    match settings.iter().find(|s| s.name == key).map(|s| &s.default) {
        Some(Default::Is(text)) => text.trim_matches('\''),
        _ => "",
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

/// The settings among those given that mean nothing beside the others.
pub(crate) fn idle(settings: &'static [Setting], told: Told<'_>) -> Vec<&'static str> {
    let idle = |s: &&Setting| told.settings.contains_key(s.name) && !s.applies(settings, told);
    settings.iter().filter(idle).map(|setting| setting.name).collect()
}

/// What was given, and every default besides.
pub(crate) fn with_defaults(
    stage: &'static str,
    settings: &[Setting],
    told: Told<'_>,
    seed: u64,
) -> Result<BTreeMap<String, Value>> {
    let given = told.settings;
    let mut all = BTreeMap::new();
    for setting in settings {
        let key = || format!("{stage}.{}", setting.name);
        let value = match (given.get(setting.name), &setting.default) {
            (Some(_), _) if !setting.applies(settings, told) => {
                return Err(TensorError::Idle {
                    key: key(),
                    other: setting.why(stage, settings, told),
                });
            }
            (Some(value), _) if setting.is_off(value) => continue,
            (Some(value), _) => value.clone(),
            (None, Default::Off(_)) => continue,
            (None, _) if !setting.applies(settings, told) => continue,
            (None, Default::Required) => return Err(TensorError::MissingKey(key())),
            (None, Default::Seed) => Value::Int(seed as i64),
            (None, Default::Is(text)) => crate::toml_value::parse(&key(), text)?,
        };
        all.insert(setting.name.to_owned(), value);
    }
    Ok(all)
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
        inputs: &[&str],
    ) -> Result<Self> {
        let told = Told { settings: params, inputs };
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
            if setting.accept(value).map_err(bad)? != *value || setting.is_off(value) {
                return Err(bad("its canonical form".to_owned()));
            }
        }
        if with_defaults(stage, settings, told, 0)?.len() != params.len() {
            let lacks = |s: &&Setting| {
                let needed = s.applies(settings, told) && !matches!(s.default, Default::Off(_));
                needed && !params.contains_key(s.name)
            };
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

    /// The value of a setting that may be off; none if it is.
    pub(crate) fn on(&self, name: &str) -> Option<&'a Value> {
        self.params.get(name)
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
