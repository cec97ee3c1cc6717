//! Where a recipe has a parameter, and the recipe with another value of it.

use std::collections::BTreeMap;

use lab_schema::{Executor, Number, Recipe, Value};

/// A recipe with this value, and the value that it had; none if it has no such parameter. Why, if it cannot have
/// that value.
pub(super) fn set(
    recipe: &Recipe,
    name: &str,
    value: &str,
) -> Result<Option<(Recipe, Option<String>)>, String> {
    let Some(name) = of_stage(recipe, name) else { return Ok(None) };
    let mut parts = recipe.to_parts();
    let mut before = None;
    if name == "seed" {
        before = seeds(&mut parts.params, &mut parts.seed, value)?;
    }
    if let Some(there) = parts.params.get_mut(name) {
        before = Some(there.to_string());
        *there = typed(there, name, value)?;
    }
    if let Executor::Command(command) = &mut parts.executor {
        if let Some(old) = option(&mut command.argv, name, value)? {
            before = before.or(Some(old));
        } else if let Some(old) = command.variables.get_mut(name) {
            before = before.or_else(|| Some(old.clone()));
            value.clone_into(old);
        } else if let Some(declared) = recipe.params().get(name) {
            // A step's parameter stands in its command line as a word, without a name.
            word(&mut command.argv, &declared.to_string(), name, value)?;
        }
    }
    let Some(before) = before else { return Ok(None) };
    let recipe = Recipe::new(parts).map_err(|error| error.to_string())?;
    Ok(Some((recipe, Some(before))))
}

/// The name without the stage in front of it; none if that is another one.
fn of_stage<'a>(recipe: &Recipe, name: &'a str) -> Option<&'a str> {
    let Executor::Tensor(tensor) = recipe.executor() else { return Some(name) };
    match name.split_once('.') {
        Some((stage, rest)) => (stage == tensor.stage).then_some(rest),
        None => Some(name),
    }
}

/// The seed of a tensor program is that of all its seeds: who wants one of them alone names that one.
fn seeds(
    params: &mut BTreeMap<String, Value>,
    seed: &mut Option<u64>,
    value: &str,
) -> Result<Option<String>, String> {
    let number =
        || value.parse::<u32>().map_err(|_| format!("'{value}' is no seed: a number is meant"));
    let mut before = None;
    if let Some(seed) = seed {
        before = Some(seed.to_string());
        *seed = number()?.into();
    }
    for (name, there) in params.iter_mut().filter(|(name, _)| name.ends_with("_seed")) {
        if let Value::Int(old) = there {
            before = before.or_else(|| Some(format!("{name} {old}")));
            *there = Value::Int(number()?.into());
        }
    }
    Ok(before)
}

/// A value of the same type as the one that stands there.
fn typed(there: &Value, name: &str, value: &str) -> Result<Value, String> {
    let bad = |what: &str| format!("'{value}' is no value of '{name}': {what} is meant");
    Ok(match there {
        Value::Bool(_) => Value::Bool(value.parse().map_err(|_| bad("true or false"))?),
        Value::Int(_) => Value::Int(value.parse().map_err(|_| bad("a whole number"))?),
        Value::Float(_) => {
            let number = value.parse().ok().and_then(|number| Number::new(number).ok());
            Value::Float(number.ok_or_else(|| bad("a number"))?)
        }
        Value::Text(_) => Value::Text(value.trim_matches('"').to_owned()),
        Value::List(_) | Value::Map(_) => {
            return Err(format!("'{name}' is a list: it can be changed in the program alone"));
        }
    })
}

/// Replaces the value of an option, and returns the old one: `--lr 0.1`, `--lr=0.1`, `-lr 0.1`, `lr=0.1`. Why, if it
/// has no value, or several.
fn option(argv: &mut [String], name: &str, value: &str) -> Result<Option<String>, String> {
    let same = |word: &str| {
        let plain = |text: &str| text.replace('_', "-");
        !word.is_empty()
            && plain(word.trim_start_matches('-')) == plain(name.trim_start_matches('-'))
    };
    let is_it = |word: &String| match word.split_once('=') {
        Some((key, _)) => same(key),
        None => word.starts_with('-') && same(word),
    };
    let found: Vec<usize> = (1..argv.len()).filter(|at| is_it(&argv[*at])).collect();
    let at = match found[..] {
        [] => return Ok(None),
        [at] => at,
        _ => return Err(format!("its command line has '{name}' {} times", found.len())),
    };
    if let Some((key, old)) = argv[at].split_once('=') {
        let (key, old) = (key.to_owned(), old.to_owned());
        argv[at] = format!("{key}={value}");
        return Ok(Some(old));
    }
    let is_value = |word: &&mut String| !word.starts_with('-') || word.parse::<f64>().is_ok();
    match argv.get_mut(at + 1).filter(is_value) {
        Some(old) => Ok(Some(std::mem::replace(old, value.to_owned()))),
        None => Err(format!("'{name}' is an option without a value in its command line")),
    }
}

/// Replaces the one word that is this value.
fn word(argv: &mut [String], old: &str, name: &str, value: &str) -> Result<(), String> {
    let mut same = argv.iter_mut().skip(1).filter(|word| *word == old);
    match (same.next(), same.next()) {
        (Some(word), None) => {
            value.clone_into(word);
            Ok(())
        }
        _ => Err(format!(
            "'{name}' is a parameter, and it is not clear where its command line has it"
        )),
    }
}

/// What a recipe has that could be set.
pub(super) fn names(recipe: &Recipe) -> Vec<String> {
    let mut all: Vec<String> = match recipe.executor() {
        Executor::Tensor(tensor) => {
            recipe.params().keys().map(|name| format!("{}.{name}", tensor.stage)).collect()
        }
        Executor::Command(command) => {
            let words = command.argv.iter().skip(1);
            let key = |word: &String| match word.split_once('=') {
                Some((key, _)) => Some(key.to_owned()),
                None => word.starts_with('-').then(|| word.clone()),
            };
            let options = words.filter_map(key).map(|key| key.trim_start_matches('-').to_owned());
            recipe.params().keys().cloned().chain(options).collect()
        }
    };
    all.retain(|name| !name.is_empty());
    all
}

/// The parameters that were found in a run's command line, as the changed one has them.
pub(super) fn told(params: &mut BTreeMap<String, Value>, before: &Recipe, after: &Recipe) {
    let argv = |recipe: &Recipe| match recipe.executor() {
        Executor::Command(command) => command.argv.clone(),
        Executor::Tensor(_) => Vec::new(),
    };
    let (before, after) = (argv(before), argv(after));
    if before == after {
        return;
    }
    let old = lab_process::params_of_arguments(&before);
    params.retain(|name, value| old.get(name) != Some(value));
    params.extend(lab_process::params_of_arguments(&after));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn options_are_found_as_people_write_them() {
        for (before, after) in [
            (
                &["python", "train.py", "--lr", "0.1"][..],
                &["python", "train.py", "--lr", "0.3"][..],
            ),
            (&["python", "train.py", "--lr=0.1"], &["python", "train.py", "--lr=0.3"]),
            (&["python", "train.py", "lr=0.1"], &["python", "train.py", "lr=0.3"]),
            (
                &["python", "train.py", "-lr", "-0.1", "-x"],
                &["python", "train.py", "-lr", "0.3", "-x"],
            ),
        ] {
            let mut words = argv(before);
            let old = option(&mut words, "lr", "0.3").unwrap().unwrap();
            assert_eq!(old.trim_start_matches('-'), "0.1", "{before:?}");
            assert_eq!(words, argv(after));
        }
        let mut words = argv(&["lr", "x", "--lrs", "1", "lr"]);
        assert_eq!(option(&mut words, "lr", "2"), Ok(None));
        for unclear in [
            &["x", "--lr", "1", "--lr", "2"][..],
            &["x", "--lr=1", "lr=2"],
            &["x", "--lr", "--seed", "1"],
            &["x", "--lr"],
        ] {
            assert!(option(&mut argv(unclear), "lr", "7").is_err(), "{unclear:?}");
        }
        let mut words = argv(&["x", "--learning-rate", "1"]);
        assert_eq!(option(&mut words, "learning_rate", "2"), Ok(Some("1".to_owned())));
    }

    #[test]
    fn a_value_keeps_its_type() {
        let typed = |there: Value, value: &str| typed(&there, "x", value);
        assert_eq!(typed(Value::Int(1), "2"), Ok(Value::Int(2)));
        assert!(typed(Value::Int(1), "2.5").is_err());
        assert_eq!(
            typed(Value::Float(Number::new(1.0).unwrap()), "2"),
            Ok(Value::Float(Number::new(2.0).unwrap()))
        );
        assert!(typed(Value::Float(Number::new(1.0).unwrap()), "inf").is_err());
        assert_eq!(typed(Value::Text("a".into()), "\"b\""), Ok(Value::Text("b".into())));
        assert!(
            typed(Value::Bool(true), "1").is_err() && typed(Value::List(Vec::new()), "1").is_err()
        );
    }

    #[test]
    fn a_word_is_replaced_only_where_it_is_clear() {
        let mut words = argv(&["sh", "train.sh", "0.1", "3"]);
        assert_eq!(word(&mut words, "0.1", "lr", "0.3"), Ok(()));
        assert_eq!(words, argv(&["sh", "train.sh", "0.3", "3"]));
        let mut words = argv(&["sh", "train.sh", "3", "3"]);
        assert!(word(&mut words, "3", "epochs", "4").is_err());
    }
}
