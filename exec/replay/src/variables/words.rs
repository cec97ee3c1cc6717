//! The words of a command line, and the parameters in them.
//!
//! A step of a pipeline, or a command that is run for many settings, has its parameters in its words: the
//! record has both. One change is one difference, so a word that differs by a parameter is not told. And a
//! command that somebody typed with `--lr 0.1` has the same parameter as one that was told `lr = 0.1`.

use std::collections::{BTreeMap, BTreeSet};

use lab_schema::Value;

/// The parameters of a recipe by their names.
pub(crate) type Params = BTreeMap<String, Value>;

/// A command line as options with values; other words by their number. A word that follows an
/// option is taken as its value: where that is wrong it is wrong on both sides.
pub(crate) fn options(argv: &[String]) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let mut put = |name: &str, value: &str| {
        let mut key = name.to_owned();
        for n in 2.. {
            if !out.contains_key(&key) {
                break;
            }
            key = format!("{name} ({n})");
        }
        out.insert(key, value.to_owned());
    };
    let is_option =
        |word: &str| word.starts_with('-') && word.len() > 1 && word.parse::<f64>().is_err();
    let mut words = argv.iter().map(String::as_str).enumerate().peekable();
    while let Some((i, word)) = words.next() {
        if i == 0 {
            put("program", word);
        } else if !is_option(word) {
            put(&format!("argument {i}"), word);
        } else if let Some((name, value)) = word.split_once('=') {
            put(name, value);
        } else {
            let value = words.next_if(|(_, next)| !is_option(next));
            put(word, value.map_or("given", |(_, value)| value));
        }
    }
    out
}

/// Adds the parameters that only one side has to the other, where its words have them.
pub(crate) fn complete(
    (a, x): (&mut Params, &BTreeMap<String, String>),
    (b, y): (&mut Params, &BTreeMap<String, String>),
) {
    let lacking = |of: &Params, other: &Params| -> Vec<(String, Value)> {
        let only = of.iter().filter(|(key, _)| !other.contains_key(*key));
        only.map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    let (for_b, for_a) = (lacking(a, b), lacking(b, a));
    for (key, value) in for_b {
        b.extend(in_words(&key, &value, x, y).map(|found| (key, found)));
    }
    for (key, value) in for_a {
        a.extend(in_words(&key, &value, y, x).map(|found| (key, found)));
    }
}

/// The value that other words have where these have the value of a parameter: behind an option of its name, or in
/// the only place where that value stands.
fn in_words(
    key: &str,
    value: &Value,
    these: &BTreeMap<String, String>,
    other: &BTreeMap<String, String>,
) -> Option<Value> {
    let text = bare(value);
    let places: Vec<&String> =
        these.iter().filter(|(_, word)| **word == text).map(|(name, _)| name).collect();
    let is_named =
        |name: &&&String| name.trim_start_matches('-').replace('-', "_") == key.replace('-', "_");
    let place = match places.iter().find(is_named) {
        Some(named) => named,
        None => match &places[..] {
            [only] => only,
            _ => return None,
        },
    };
    let found = other.get(*place)?;
    // Of the sort that it has on the other side.
    Some(match value {
        value if bare(value) == *found => value.clone(),
        Value::Int(_) => found.parse().map_or_else(|_| Value::Text(found.clone()), Value::Int),
        Value::Float(_) => number(found).unwrap_or_else(|| Value::Text(found.clone())),
        _ => Value::Text(found.clone()),
    })
}

/// Whether an option has the name of a parameter.
fn is_called(option: &str, key: &str) -> bool {
    option.starts_with('-')
        && option.trim_start_matches('-').replace('-', "_") == key.replace('-', "_")
}

fn number(text: &str) -> Option<Value> {
    lab_schema::Number::new(text.parse().ok()?).ok().map(Value::Float)
}

/// Parameters that differ between two commands, and where their words have them.
pub(crate) struct Changed<'a>(Vec<Change<'a>>);

struct Change<'a> {
    before: String,
    after: String,
    /// The option of its name, if there is one that has its value.
    option: Option<&'a String>,
}

impl<'a> Changed<'a> {
    /// What differs between `a` and `b`, whose words are `x` and `y`.
    pub(crate) fn new(
        (a, x): (&Params, &'a BTreeMap<String, String>),
        (b, y): (&Params, &BTreeMap<String, String>),
    ) -> Changed<'a> {
        let mut all = Vec::new();
        for (key, value) in a {
            let Some(other) = b.get(key) else { continue };
            let (before, after) = (bare(value), bare(other));
            if before == after || before.is_empty() || after.is_empty() {
                continue;
            }
            let is_its_own = |(name, word): &(&String, &String)| {
                is_called(name, key) && **word == before && y.get(*name) == Some(&after)
            };
            let option = x.iter().find(is_its_own).map(|(name, _)| name);
            all.push(Change { before, after, option });
        }
        Changed(all)
    }

    /// Whether a word, behind an option or in a place of this name, differs by nothing but these parameters. One
    /// that has an option of its own does not explain what another option has alone.
    pub(crate) fn explain(&self, name: &str, word: &str, other: &str) -> bool {
        let explains = |change: &&Change<'_>| {
            let is_whole = word == change.before && other == change.after;
            !is_whole || change.option.is_none_or(|own| own == name)
        };
        let changes: Vec<&Change<'_>> = self.0.iter().filter(explains).collect();
        same(word, other, &changes)
    }
}

/// Most places of two words that are looked at; what differs beyond them is told.
const MAX_PLACES: usize = 1 << 16;

/// Whether two texts are the same but for places where the one has what a parameter was and the other what it
/// is, and not as a part of another number.
fn same(word: &str, other: &str, changes: &[&Change<'_>]) -> bool {
    let (mut open, mut seen) = (vec![(word, other)], BTreeSet::new());
    while let Some((x, y)) = open.pop() {
        if x.is_empty() && y.is_empty() {
            return true;
        }
        if !seen.insert((x.len(), y.len())) || seen.len() > MAX_PLACES {
            continue;
        }
        let (mut p, mut q) = (x.chars(), y.chars());
        if let (Some(one), Some(other)) = (p.next(), q.next())
            && one == other
        {
            open.push((p.as_str(), q.as_str()));
        }
        for change in changes {
            if let (Some(p), Some(q)) =
                (x.strip_prefix(&*change.before), y.strip_prefix(&*change.after))
                && stands_alone(word, x, p)
                && stands_alone(other, y, q)
            {
                open.push((p, q));
            }
        }
    }
    false
}

/// Whether what lies in `word` between the starts of `from` and `rest`, which both reach to its end, is no part of
/// a longer number.
fn stands_alone(word: &str, from: &str, rest: &str) -> bool {
    let (head, rest) = (&word.as_bytes()[..word.len() - from.len()], rest.as_bytes());
    let text = &from.as_bytes()[..from.len() - rest.len()];
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let before = match head {
        [.., digit, b'.'] => digit.is_ascii_digit(),
        [.., digit, b'e' | b'E', b'+' | b'-'] => digit.is_ascii_digit(),
        [.., last] => last.is_ascii_digit(),
        [] => false,
    };
    let after = match rest {
        [b'.', next, ..] => next.is_ascii_digit(),
        [b'e' | b'E', b'+' | b'-', next, ..] | [b'e' | b'E', next, ..] => next.is_ascii_digit(),
        [next, ..] => next.is_ascii_digit(),
        [] => false,
    };
    !(digit(text.first()) && before || digit(text.last()) && after)
}

/// A value as it stands in a command.
fn bare(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_and_values() {
        let argv: Vec<String> = "python train.py --lr 0.1 --seed=1 -x -0.5 --fast -v"
            .split(' ')
            .map(Into::into)
            .collect();
        let found = options(&argv);
        let expected = [
            ("--fast", "given"),
            ("--lr", "0.1"),
            ("--seed", "1"),
            ("-v", "given"),
            ("-x", "-0.5"),
            ("argument 1", "train.py"),
            ("program", "python"),
        ];
        let found: Vec<(&str, &str)> =
            found.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(found, expected);
        let twice: Vec<String> = ["p", "-i", "a", "-i", "b"].map(Into::into).to_vec();
        assert_eq!(options(&twice).get("-i (2)").map(String::as_str), Some("b"));
    }

    fn params(of: &[(&str, Value)]) -> Params {
        of.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
    }

    fn words(text: &str) -> BTreeMap<String, String> {
        options(&text.split(' ').map(Into::into).collect::<Vec<_>>())
    }

    fn float(text: &str) -> Value {
        number(text).unwrap()
    }

    #[test]
    fn a_word_that_differs_by_parameters_is_explained() {
        let a = params(&[
            ("lr", float("0.1")),
            ("n", Value::Int(1)),
            ("by", Value::Text("sgd".into())),
        ]);
        let b = params(&[
            ("lr", float("0.25")),
            ("n", Value::Int(11)),
            ("by", Value::Text("adam".into())),
        ]);
        let none = BTreeMap::new();
        let changed = Changed::new((&a, &none), (&b, &none));
        let is = |x: &str, y: &str| changed.explain("-x", x, y);
        for (x, y) in [
            ("0.1", "0.25"),
            ("out-0.1-sgd.bin", "out-0.25-adam.bin"),
            ("1", "11"),
            ("model1.bin", "model11.bin"),
            ("1-1 0.1", "1-11 0.25"),
            ("train --by sgd && echo 1", "train --by adam && echo 11"),
        ] {
            assert!(is(x, y), "{x} {y}");
        }
        for (x, y) in [
            ("0.1", "0.3"),
            ("0.1 a", "0.25 b"),
            ("0.1", "0.25 "),
            ("", "0.25"),
            ("0.25", "0.1"),
            // Parts of other numbers.
            ("0.1", "0.11"),
            ("21", "211"),
            ("1.5", "11.5"),
            ("1e-1", "11e-1"),
            ("2e-1", "2e-11"),
            ("v2.1", "v2.11"),
        ] {
            assert!(!is(x, y), "{x} {y}");
        }
        // Hostile words end soon.
        let long = |of: &str| of.repeat(20_000);
        assert!(!is(&long("1 "), &format!("{}x", long("11 "))));
    }

    #[test]
    fn a_parameter_with_an_option_of_its_own_explains_no_other() {
        let (x, y) = (words("t --seed 1 --layers 1"), words("t --seed 3 --layers 3"));
        let (a, b) = (params(&[("seed", Value::Int(1))]), params(&[("seed", Value::Int(3))]));
        let changed = Changed::new((&a, &x), (&b, &y));
        assert!(changed.explain("--seed", "1", "3") && changed.explain("--out", "m1", "m3"));
        assert!(!changed.explain("--layers", "1", "3"));
        let none = BTreeMap::new();
        assert!(Changed::new((&a, &none), (&b, &none)).explain("argument 1", "1", "3"));
    }

    #[test]
    fn a_parameter_that_only_one_side_declares_is_read_from_the_words_of_the_other() {
        let (x, y) = (
            words("python train.py --lr 0.1 --seed 3"),
            words("python train.py --lr 0.5 --seed 3"),
        );
        let (mut a, mut b) = (params(&[("lr", float("0.1"))]), params(&[("seed", Value::Int(3))]));
        complete((&mut a, &x), (&mut b, &y));
        assert_eq!(a, params(&[("lr", float("0.1")), ("seed", Value::Int(3))]));
        assert_eq!(b, params(&[("lr", float("0.5")), ("seed", Value::Int(3))]));
        // By its only place; by none where there are several, or it is not there.
        let (x, y) = (words("train 7 -n 2 -k 2"), words("train 8 -n 3 -k 3"));
        let (mut a, mut b) =
            (params(&[("seed", Value::Int(7)), ("size", Value::Int(2))]), Params::new());
        complete((&mut a, &x), (&mut b, &y));
        assert_eq!(b, params(&[("seed", Value::Int(8))]));
        let (mut a, mut b) = (params(&[("max_len", Value::Int(2))]), Params::new());
        complete((&mut a, &words("t --max-len 2 -k 2")), (&mut b, &words("t --max-len 4 -k 2")));
        assert_eq!(b, params(&[("max_len", Value::Int(4))]));
        let (mut a, mut b) = (params(&[("lr", float("0.1"))]), Params::new());
        complete((&mut a, &words("t --lr 0.1")), (&mut b, &words("t")));
        assert_eq!(b, Params::new());
    }
}
