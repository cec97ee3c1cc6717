//! References: what a person types to mean an object.
//!
//! ```text
//! reference = base [ ":" output ] [ "/" path ]
//! base      = name | name "@v" number | prefix | alias
//! alias     = scheme ":" digits [ ".dir" ]
//! ```
//!
//! An alias is a digest of another tool, such as `md5:d41d8cd9`; what looks like one is one, and not the
//! output of a run that is named as a scheme is.
//! A word such as `cafe` can be a name and a hash prefix; whoever resolves it tries the name
//! first. After a `:` everything is one slash-separated path, whose first part is the name of an
//! output (which may itself hold slashes) and whose rest leads inside it.

use std::fmt;
use std::str::FromStr;

use crate::alias::AliasPrefix;
use crate::error::SchemaError;
use crate::hash::IdPrefix;
use crate::name::{FileName, Name, Slot};

/// A parsed reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// What it starts from.
    pub base: Base,
    /// After a `:`: an output's name, possibly followed by a path inside it.
    pub output: Option<Slot>,
    /// Without a `:`, the path inside a tree.
    pub path: Vec<FileName>,
}

/// The first part of a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// A name.
    Name(Name),
    /// A hash prefix that cannot be a name.
    Prefix(IdPrefix),
    /// A word that can be either; the name goes first.
    NameOrPrefix(Name, IdPrefix),
    /// What the name pointed at after its n-th move, counted from 1.
    Version(Name, u64),
    /// The start of a digest under which another tool knew it.
    Alias(AliasPrefix),
}

impl FromStr for Reference {
    type Err = SchemaError;

    fn from_str(text: &str) -> Result<Self, SchemaError> {
        let bad = |why| SchemaError::BadReference { text: text.to_owned(), why };
        let (alias, text) = match AliasPrefix::split(text) {
            Some((alias, rest)) => (Some(alias), rest),
            None => (None, text),
        };
        let (base, output, path) = match (text.find(':'), text.find('/')) {
            (Some(colon), slash) if slash.is_none_or(|s| colon < s) => {
                let rest = text[colon + 1..].trim_end_matches('/');
                if rest.is_empty() {
                    return Err(bad("an output's name must follow the ':'"));
                }
                (&text[..colon], Some(Slot::new(rest)?), Vec::new())
            }
            (_, Some(slash)) => {
                let path = text[slash + 1..].trim_end_matches('/');
                let parts = path.split('/').filter(|_| !path.is_empty());
                (&text[..slash], None, parts.map(FileName::new).collect::<Result<_, _>>()?)
            }
            (_, None) => (text, None, Vec::new()),
        };
        let base = match alias {
            Some(alias) => Base::Alias(alias),
            None => base.parse()?,
        };
        Ok(Reference { base, output, path })
    }
}

impl FromStr for Base {
    type Err = SchemaError;

    fn from_str(text: &str) -> Result<Self, SchemaError> {
        let bad = |why| SchemaError::BadReference { text: text.to_owned(), why };
        if let Some((alias, "")) = AliasPrefix::split(text) {
            return Ok(Base::Alias(alias));
        }
        if let Some((name, version)) = text.split_once('@') {
            let number = version.strip_prefix('v').and_then(|n| n.parse().ok()).filter(|n| *n > 0);
            let number =
                number.ok_or_else(|| bad("'@' is followed by v and a number, as in 'base@v3'"))?;
            return Ok(Base::Version(Name::new(name)?, number));
        }
        match (Name::new(text), text.parse::<IdPrefix>()) {
            (Ok(name), Ok(prefix)) => Ok(Base::NameOrPrefix(name, prefix)),
            (Ok(name), Err(_)) => Ok(Base::Name(name)),
            (Err(_), Ok(prefix)) => Ok(Base::Prefix(prefix)),
            (Err(error), Err(_)) => Err(error),
        }
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Base::Name(name) | Base::NameOrPrefix(name, _) => write!(f, "{name}"),
            Base::Prefix(prefix) => write!(f, "{prefix}"),
            Base::Version(name, version) => write!(f, "{name}@v{version}"),
            Base::Alias(alias) => write!(f, "{alias}"),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.base)?;
        if let Some(output) = &self.output {
            write!(f, ":{output}")?;
        }
        self.path.iter().try_for_each(|part| write!(f, "/{part}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar() {
        let parse = |t: &str| t.parse::<Reference>();
        assert!(matches!(parse("mnist").unwrap().base, Base::Name(_)));
        assert!(matches!(parse("cafe").unwrap().base, Base::NameOrPrefix(..)));
        assert!(matches!(parse(&"a".repeat(64)).unwrap().base, Base::Prefix(_)));
        assert!(matches!(parse("base@v3").unwrap().base, Base::Version(_, 3)));
        let inside = parse("mnist/train/0.png").unwrap();
        assert_eq!(inside.path.len(), 2);
        let output = parse("base:out/model.bin").unwrap();
        assert_eq!(output.output.unwrap().as_str(), "out/model.bin");
        assert_eq!(parse("mnist/").unwrap().path.len(), 0);
        let alias = parse("md5:CAFE.dir/train/0.png").unwrap();
        assert!(matches!(alias.base, Base::Alias(_)) && alias.path.len() == 2);
        let alias = parse("mlflow:cafe:model/MLmodel").unwrap();
        assert_eq!(alias.output.unwrap().as_str(), "model/MLmodel");
        assert!(matches!(parse("md5:out/model.bin").unwrap().base, Base::Name(_)));
        assert!(matches!("sha256:cafe".parse(), Ok(Base::Alias(_))));
        assert!("sha256:cafe/x".parse::<Base>().is_err());
        // A ':' behind a '/' belongs to a file's name.
        assert_eq!(parse("mnist/a:b").unwrap().path[0].as_bytes(), b"a:b");
        for bad in
            ["", ":x", "a:", "a/../b", "a//b", "base@3", "base@v0", "base@", "a b", "a:/b", "a\n"]
        {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
        for text in
            ["mnist", "base@v3", "base:out/model.bin", "mnist/train/0.png", "md5:cafe/0.png"]
        {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }
}
