//! One step: a command with parameters.

use std::collections::{BTreeMap, BTreeSet};

use lab_schema::{Limits, Name, Number, Output, Slot, Value};

use crate::error::{PipelineError, Result};
use crate::words::fill;

/// The parameter that is the seed of a recipe.
const SEED: &str = "seed";

/// A command with parameters, and what is known of it beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name, and that of its result.
    pub name: Name,
    /// Program and arguments, parameters in braces.
    pub words: Vec<String>,
    /// Where it is started, from the folder of `lab.toml`.
    pub directory: Option<Slot>,
    /// The parameters that its words name.
    pub params: BTreeMap<String, Value>,
    /// What it must leave; empty: whatever it makes.
    pub outputs: BTreeMap<Slot, Output>,
    /// Environment variables with the values that it gets.
    pub variables: BTreeMap<String, String>,
    /// Steps that come before it, whatever it reads.
    pub after: BTreeSet<Name>,
    /// Bounds.
    pub limits: Limits,
    /// Patterns of names whose coming and going in folders that it lists does not matter.
    pub ignore: Vec<String>,
}

impl Step {
    /// The command with its parameters filled in.
    pub fn argv(&self) -> Vec<String> {
        let mut used = BTreeSet::new();
        self.words.iter().map(|word| fill(word, &self.params, &mut used)).collect()
    }

    /// Whether its words name this parameter.
    pub fn uses(&self, key: &str) -> bool {
        Step::used(&self.words, &self.params).contains(key)
    }

    /// The names that occur in the words, of those in `params`.
    pub(crate) fn used(words: &[String], params: &BTreeMap<String, Value>) -> BTreeSet<String> {
        let mut used = BTreeSet::new();
        for word in words {
            fill(word, params, &mut used);
        }
        used
    }

    /// The seed, if a parameter says so.
    pub fn seed(&self) -> Option<u64> {
        match self.params.get(SEED) {
            Some(Value::Int(seed)) => u64::try_from(*seed).ok(),
            _ => None,
        }
    }

    /// Gives a parameter a value, whether it had one or not, as text that is read as TOML where it can be.
    pub fn give(&mut self, key: &str, text: &str) -> Result<()> {
        let at = format!("parameter '{key}'");
        self.params.insert(key.to_owned(), read_value(text, &at)?);
        Ok(())
    }

    /// Gives a parameter that it has another value, as text that is read as TOML where it can be.
    /// Where a float was, an integer becomes one.
    pub fn set(&mut self, key: &str, text: &str) -> Result<()> {
        let at = || format!("parameter '{key}' of step '{}'", self.name);
        let Some(old) = self.params.get(key) else {
            let known: Vec<&str> = self.params.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let at = format!("step '{}'", self.name);
            return Err(PipelineError::Unknown { at, word: key.to_owned(), known });
        };
        let new = match (old, read_value(text, &at())?) {
            (Value::Float(_), Value::Int(whole)) => {
                // A parameter that is written `1` for `1.0` has few digits.
                #[allow(clippy::cast_precision_loss)]
                let number = Number::new(whole as f64);
                Value::Float(number.map_err(|e| PipelineError::schema(at(), &e))?)
            }
            (Value::Text(_), new @ (Value::Int(_) | Value::Float(_) | Value::Bool(_))) => {
                drop(new);
                Value::Text(text.to_owned())
            }
            (_, new) => new,
        };
        let is_number = |v: &Value| matches!(v, Value::Int(_) | Value::Float(_));
        if is_number(old) && !is_number(&new) {
            return Err(PipelineError::bad(at(), format!("'{text}' is no number, as {old} is")));
        }
        self.params.insert(key.to_owned(), new);
        Ok(())
    }
}

/// A text as a value of TOML, or as itself.
fn read_value(text: &str, at: &str) -> Result<Value> {
    let read = toml::from_str::<toml::Table>(&format!("v = {text}"));
    match read.ok().filter(|table| table.len() == 1).and_then(|mut table| table.remove("v")) {
        Some(value) => value_of(value, at),
        None => Ok(Value::Text(text.to_owned())),
    }
}

/// A value of TOML as a parameter.
pub(crate) fn value_of(value: toml::Value, at: &str) -> Result<Value> {
    Ok(match value {
        toml::Value::Boolean(value) => Value::Bool(value),
        toml::Value::Integer(value) => Value::Int(value),
        toml::Value::Float(value) => {
            Value::Float(Number::new(value).map_err(|e| PipelineError::schema(at, &e))?)
        }
        toml::Value::String(value) => Value::Text(value),
        toml::Value::Datetime(value) => Value::Text(value.to_string()),
        toml::Value::Array(items) => {
            Value::List(items.into_iter().map(|item| value_of(item, at)).collect::<Result<_>>()?)
        }
        toml::Value::Table(_) => {
            return Err(PipelineError::bad(at, "a table cannot be a part of a command"));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(words: &[&str], params: &[(&str, Value)]) -> Step {
        Step {
            name: Name::new("train").unwrap(),
            words: words.iter().map(|w| (*w).to_owned()).collect(),
            directory: None,
            params: params.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect(),
            outputs: BTreeMap::new(),
            variables: BTreeMap::new(),
            after: BTreeSet::new(),
            limits: Limits::default(),
            ignore: vec![],
        }
    }

    fn float(x: f64) -> Value {
        Value::Float(Number::new(x).unwrap())
    }

    #[test]
    fn only_parameters_are_filled_in() {
        let words = ["--lr={lr}", "${lr}", "{print $1}", "{lr}{lr}", "{other}", "{", "a{lr"];
        let step = step(&words, &[("lr", float(0.1))]);
        let filled = ["--lr=0.1", "${lr}", "{print $1}", "0.10.1", "{other}", "{", "a{lr"];
        assert_eq!(step.argv(), filled);
    }

    #[test]
    fn what_is_set_keeps_its_type() {
        let params =
            [("lr", float(0.1)), ("n", Value::Int(3)), ("model", Value::Text("small".into()))];
        let mut step = step(&["{lr} {n} {model}"], &params);
        step.set("lr", "1").unwrap();
        step.set("n", "4").unwrap();
        step.set("model", "12").unwrap();
        assert_eq!(step.argv(), ["1.0 4 12"]);
        step.set("model", "big one").unwrap();
        assert_eq!(step.argv(), ["1.0 4 big one"]);
        for (key, value) in [("lr", "fast"), ("n", "true"), ("lr", "nan"), ("lx", "1")] {
            assert!(step.set(key, value).is_err(), "{key}={value}");
        }
    }

    #[test]
    fn a_seed_is_a_whole_number_and_not_negative() {
        assert_eq!(step(&["{seed}"], &[("seed", Value::Int(7))]).seed(), Some(7));
        assert_eq!(step(&["{seed}"], &[("seed", Value::Int(-7))]).seed(), None);
        assert_eq!(step(&["{seed}"], &[("seed", float(7.0))]).seed(), None);
    }
}
