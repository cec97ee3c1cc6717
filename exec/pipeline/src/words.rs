//! Parameters into the words of a command: `{lr}` becomes `0.1`.
//!
//! Only the names of declared parameters are replaced; `${HOME}` and `{print $1}` stay as they are.

use std::collections::{BTreeMap, BTreeSet};

use lab_schema::Value;

/// A word with its parameters filled in; `used` learns which.
pub(crate) fn fill(
    word: &str,
    params: &BTreeMap<String, Value>,
    used: &mut BTreeSet<String>,
) -> String {
    let (mut out, mut rest) = (String::new(), word);
    while let Some(start) = rest.find('{') {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let name = from[1..].split_once('}').map(|(name, _)| name);
        match name.and_then(|name| Some((name, params.get(name)?))) {
            // The shell's own variables have a dollar sign in front.
            Some((name, value)) if !before.ends_with('$') => {
                out.push_str(&text(value));
                used.insert(name.to_owned());
                rest = &from[name.len() + 2..];
            }
            _ => {
                out.push('{');
                rest = &from[1..];
            }
        }
    }
    out + rest
}

/// A value as it stands in a command.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        other => other.to_string(),
    }
}
