//! Names for what has another kind of name where it comes from.

use std::collections::BTreeSet;

use lab_schema::{Alias, BlobId, Name, Scheme};

/// The nearest name to a path or title: what no name may hold becomes `-`, folders `.`; what is too long is
/// cut, and told apart by a hash.
pub(crate) fn name_for(text: &str) -> String {
    let plain = |c: char| match c {
        '/' => '.',
        c if c.is_ascii_alphanumeric() || "._-".contains(c) => c,
        _ => '-',
    };
    let name: String = text.chars().map(plain).collect();
    let name = name.trim_start_matches(['.', '_', '-']).trim_end_matches('.');
    let digest = || BlobId::of(text.as_bytes()).short();
    if name.is_empty() {
        return format!("imported-{}", digest());
    }
    if name.len() > Name::MAX_BYTES || Name::new(name).is_err() {
        let room = Name::MAX_BYTES - digest().len() - 1;
        return format!("{}-{}", &name[..name.len().min(room)], digest());
    }
    name.to_owned()
}

/// Names that are given out once each.
#[derive(Default)]
pub(crate) struct Names(BTreeSet<String>);

impl Names {
    /// The name for this, or, if something else has it, one with something behind.
    pub(crate) fn take(&mut self, text: &str, or_with: &str) -> String {
        let first = name_for(text);
        if self.0.insert(first.clone()) {
            return first;
        }
        let candidates = std::iter::once(format!("{text}.{or_with}"))
            .chain((2u64..).map(|n| format!("{text}.{or_with}.{n}")));
        for candidate in candidates {
            let name = name_for(&candidate);
            if self.0.insert(name.clone()) {
                return name;
            }
        }
        unreachable!("there are more numbers than names")
    }
}

/// The first digits of a digest, for names.
pub(crate) fn start_of(alias: &Alias) -> String {
    let text = alias.to_string();
    text.split_once(':').map_or("", |(_, digits)| &digits[..12]).to_owned()
}

/// A digest in hexadecimal, as tools write it.
pub(crate) fn digest(scheme: Scheme, digits: &str) -> Option<Alias> {
    Alias::from_hex(scheme, digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_has_a_name() {
        for (text, name) in [
            ("data/raw.csv", "data.raw.csv"),
            ("../up/x", "up.x"),
            ("my run/1", "my-run.1"),
            ("naïve.", "na-ve"),
            (".hidden", "hidden"),
        ] {
            assert_eq!(name_for(text), name);
        }
        let odd = ["", "...", "///", "😀", &"x".repeat(300), &"a".repeat(64), &"é".repeat(200)];
        for text in odd {
            assert!(Name::new(name_for(text)).is_ok(), "{text:?}: {}", name_for(text));
        }
        assert_ne!(name_for(&format!("{}1", "x".repeat(200))), name_for(&"x".repeat(201)));
    }

    #[test]
    fn two_things_have_two_names() {
        let mut names = Names::default();
        assert_eq!(names.take("a/b", "dvc"), "a.b");
        assert_eq!(names.take("a.b", "dvc"), "a.b.dvc");
        assert_eq!(names.take("a.b", "dvc"), "a.b.dvc.2");
    }
}
