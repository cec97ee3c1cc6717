//! Mutable pointers with a journal of every move.
//!
//! One text file per name, one line per move, changed only by compare-and-swap. A line is the
//! target (`-` when the name was deleted), the kind, the time in milliseconds, who, and why,
//! separated by tabs; tabs, line breaks and backslashes inside are escaped.

use std::fmt;
use std::str::FromStr;

use lab_schema::{Digest, Kind, Name, ObjectId};

use crate::backend::{Key, Room};
use crate::error::{ObjectsError, Result};
use crate::store::Store;

/// What a name is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NameKind {
    /// Data.
    Dataset,
    /// Source code.
    Code,
    /// A model.
    Weights,
    /// What a run made.
    Result,
    /// What a run needs around it.
    Environment,
}

impl NameKind {
    /// Every kind.
    pub const ALL: [NameKind; 5] = [
        NameKind::Dataset,
        NameKind::Code,
        NameKind::Weights,
        NameKind::Result,
        NameKind::Environment,
    ];

    /// The kind in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            NameKind::Dataset => "dataset",
            NameKind::Code => "code",
            NameKind::Weights => "weights",
            NameKind::Result => "result",
            NameKind::Environment => "environment",
        }
    }
}

impl fmt::Display for NameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for NameKind {
    type Err = BadNameKind;
    fn from_str(text: &str) -> std::result::Result<NameKind, BadNameKind> {
        let found = NameKind::ALL.into_iter().find(|k| k.as_str() == text);
        found.ok_or_else(|| BadNameKind(text.to_owned()))
    }
}

/// The text is not a [`NameKind`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{}' is not a kind of name: dataset, code, weights, result or environment", .0.escape_debug())]
pub struct BadNameKind(pub String);

/// One move of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Where it points from then on; none: it was deleted.
    pub target: Option<ObjectId>,
    /// What the name is for.
    pub kind: NameKind,
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    pub when_ms: u64,
    /// Who moved it.
    pub who: String,
    /// Why.
    pub why: String,
}

/// What a name must point at for a move to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whatever.
    Anything,
    /// The name is absent or deleted.
    Absent,
    /// The name points at this.
    Target(ObjectId),
}

/// The names of a store.
#[derive(Debug)]
pub struct Names<'a> {
    store: &'a Store,
}

impl Store {
    /// The names of this store.
    pub fn names(&self) -> Names<'_> {
        Names { store: self }
    }
}

impl Names<'_> {
    /// Where the name points, and how that came; none if it was never set, or deleted.
    pub fn get(&self, name: &Name) -> Result<Option<Move>> {
        Ok(self.journal(name)?.pop().filter(|m| m.target.is_some()))
    }

    /// The n-th move, counted from 1.
    pub fn version(&self, name: &Name, n: u64) -> Result<Option<Move>> {
        let at = n.checked_sub(1).and_then(|n| usize::try_from(n).ok());
        Ok(at
            .and_then(|at| self.journal(name).map(|j| j.get(at).cloned()).transpose())
            .transpose()?)
    }

    /// Every move, oldest first.
    pub fn journal(&self, name: &Name) -> Result<Vec<Move>> {
        let bytes = self.store.inner.backend.read(&Key::Name(name.clone()))?;
        bytes.map_or(Ok(Vec::new()), |bytes| parse(name, &bytes))
    }

    /// The names that point somewhere, sorted.
    pub fn list(&self) -> Result<Vec<(Name, Move)>> {
        let mut found = Vec::new();
        for (key, _) in self.store.inner.backend.list(Room::Names)? {
            if let Key::Name(name) = key
                && let Some(last) = self.get(&name)?
            {
                found.push((name, last));
            }
        }
        Ok(found)
    }

    /// Moves the name, if it points where the caller thinks.
    pub fn set(&self, name: &Name, expected: Expected, m: Move) -> Result<()> {
        if let Some(id) = m.target
            && !self.store.has(id)?
        {
            return Err(ObjectsError::Missing { id });
        }
        let key = Key::Name(name.clone());
        loop {
            let before = self.store.inner.backend.read(&key)?;
            let journal = before.as_deref().map_or(Ok(Vec::new()), |bytes| parse(name, bytes))?;
            let now = journal.last().and_then(|last| last.target);
            let fits = match expected {
                Expected::Anything => true,
                Expected::Absent => now.is_none(),
                Expected::Target(id) => now == Some(id),
            };
            if !fits {
                let (by, when_ms) =
                    journal.last().map_or_else(Default::default, |l| (l.who.clone(), l.when_ms));
                return Err(ObjectsError::NameMoved { name: name.clone(), now, by, when_ms });
            }
            let mut after = before.clone().unwrap_or_default();
            after.extend_from_slice(line(&m).as_bytes());
            if self.store.inner.backend.swap(&key, before.as_deref(), &after)? {
                return Ok(());
            }
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}

fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next()? {
                '\\' => '\\',
                't' => '\t',
                'n' => '\n',
                'r' => '\r',
                _ => return None,
            },
            c => c,
        });
    }
    Some(plain)
}

fn line(m: &Move) -> String {
    let target = m.target.map_or_else(|| "-".to_owned(), |id| id.to_string());
    format!("{target}\t{}\t{}\t{}\t{}\n", m.kind, m.when_ms, escape(&m.who), escape(&m.why))
}

fn parse(name: &Name, bytes: &[u8]) -> Result<Vec<Move>> {
    let damaged = |why| ObjectsError::Damaged { what: format!("name {name}"), why };
    let text = std::str::from_utf8(bytes).map_err(|_| damaged("it is not text"))?;
    let lines = text.strip_suffix('\n').ok_or_else(|| damaged("its last line is cut off"))?;
    lines
        .split('\n')
        .map(|l| parse_line(l).ok_or_else(|| damaged("a line is not a move")))
        .collect()
}

fn parse_line(line: &str) -> Option<Move> {
    let mut fields = line.split('\t');
    let mut next = || fields.next();
    let target = match next()? {
        "-" => None,
        id => {
            let (kind, digest) = id.split_once(' ')?;
            Some(ObjectId::new(kind.parse::<Kind>().ok()?, digest.parse::<Digest>().ok()?))
        }
    };
    let (kind, when_ms) = (next()?.parse().ok()?, next()?.parse().ok()?);
    let (who, why) = (unescape(next()?)?, unescape(next()?)?);
    next().is_none().then_some(Move { target, kind, when_ms, who, why })
}
