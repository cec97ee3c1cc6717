//! `lab.lock`: which runs the steps of a project stand for. Made for git: sorted, one fact a line.

use std::collections::BTreeMap;
use std::fmt::Write;

use lab_schema::{ContentId, Name, RunId, Slot};
use serde::Deserialize;

use crate::error::{PipelineError, Result};

/// The version of the format.
const VERSION: i64 = 1;

/// The exact results of a project's steps.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Lock {
    /// By step.
    pub steps: BTreeMap<Name, Pinned>,
}

/// The exact result of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// The run.
    pub run: RunId,
    /// What it left: a file's id is what `b3sum` prints for it.
    pub outputs: BTreeMap<Slot, ContentId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: i64,
    #[serde(default)]
    step: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    run: String,
    #[serde(default)]
    outputs: BTreeMap<String, String>,
}

impl Lock {
    /// The text of the file.
    pub fn to_text(&self) -> String {
        let mut text = String::from(
            "# Written by `lab run`: the exact results of the steps in lab.toml. Keep it in git;\n\
             # `lab pull` fetches what it names.\nversion = 1\n",
        );
        for (name, pinned) in &self.steps {
            // Writing to text cannot fail.
            let _ = write!(text, "\n[step.{}]\nrun = \"{}\"\n", quoted(name.as_str()), pinned.run);
            let _ = writeln!(text, "\n[step.{}.outputs]", quoted(name.as_str()));
            for (slot, id) in &pinned.outputs {
                let _ = writeln!(text, "{} = \"{}\"", quoted(slot.as_str()), typed(id));
            }
        }
        text
    }

    /// Reads a file; says what is wrong in it, and where.
    pub fn parse(text: &str) -> Result<Lock> {
        // The version first: what else is in it is that version's business.
        let table: toml::Table =
            text.parse().map_err(|e: toml::de::Error| PipelineError::Syntax(e.to_string()))?;
        match table.get("version").and_then(toml::Value::as_integer) {
            Some(VERSION) => {}
            Some(newer) if newer > VERSION => return Err(PipelineError::Newer(newer)),
            _ => return Err(PipelineError::bad("the file", "it names no version")),
        }
        let file: File = toml::from_str(text).map_err(|e| PipelineError::Syntax(e.to_string()))?;
        debug_assert_eq!(file.version, VERSION);
        let mut steps = BTreeMap::new();
        for (name, entry) in file.step {
            let at = format!("step '{}'", name.escape_debug());
            let schema = |error| PipelineError::schema(at.as_str(), &error);
            let run = entry.run.parse().map_err(|_| {
                PipelineError::bad(at.as_str(), "its run is no id: 64 hexadecimal digits")
            })?;
            let mut outputs = BTreeMap::new();
            for (slot, id) in &entry.outputs {
                let slot = Slot::new(slot.as_str()).map_err(schema)?;
                let content = content(id).ok_or_else(|| {
                    let why = format!("'{}' is no id of a file or folder", id.escape_debug());
                    PipelineError::bad(at.as_str(), why)
                })?;
                outputs.insert(slot, content);
            }
            steps.insert(Name::new(name.as_str()).map_err(schema)?, Pinned { run, outputs });
        }
        Ok(Lock { steps })
    }
}

/// A key of TOML: bare where that is allowed.
fn quoted(text: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !text.is_empty() && text.chars().all(is_bare) {
        true => text.to_owned(),
        false => toml::Value::from(text).to_string(),
    }
}

/// A file's id as `b3sum` prints it, a folder's after the word `tree`.
fn typed(id: &ContentId) -> String {
    match id {
        ContentId::Blob(id) => id.to_string(),
        ContentId::Tree(id) => format!("tree:{id}"),
    }
}

fn content(text: &str) -> Option<ContentId> {
    match text.strip_prefix("tree:") {
        Some(id) => id.parse().ok().map(ContentId::Tree),
        None => text.parse().ok().map(ContentId::Blob),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab_schema::{BlobId, TreeId};

    #[test]
    fn what_is_written_is_read() {
        let digest = |text: &[u8]| BlobId::of(text).digest();
        let slot = |text: &str| Slot::new(text).unwrap();
        let outputs = BTreeMap::from([
            (slot("a \"b\".csv"), ContentId::Blob(BlobId::of(b"a"))),
            (slot("logs"), ContentId::Tree(TreeId::from_digest(digest(b"t")))),
        ]);
        let run = RunId::from_digest(digest(b"r"));
        let name = |text: &str| Name::new(text).unwrap();
        let steps = BTreeMap::from([
            (name("v1.train"), Pinned { run, outputs }),
            (name("b"), Pinned { run, outputs: BTreeMap::new() }),
        ]);
        let lock = Lock { steps };
        let text = lock.to_text();
        assert_eq!(Lock::parse(&text).unwrap(), lock, "{text}");
        assert_eq!(Lock::parse(&text).unwrap().to_text(), text);
        assert_eq!(Lock::parse(&Lock::default().to_text()).unwrap(), Lock::default());
    }

    #[test]
    fn damage_is_said() {
        let id = BlobId::of(b"a").to_string();
        for (text, part) in [
            (String::new(), "version"),
            ("version = 2\nnew = 1".to_owned(), "newer"),
            ("version = 1\n[step.a]\nrun = 'x'".to_owned(), "step 'a'"),
            (format!("version = 1\n[step.a]\nrun = '{id}'\nx = 1"), "x"),
            (
                format!("version = 1\n[step.a]\nrun = '{id}'\n[step.a.outputs]\n'../x' = '{id}'"),
                "../x",
            ),
            (
                format!("version = 1\n[step.a]\nrun = '{id}'\n[step.a.outputs]\nx = 'tree:'"),
                "tree:",
            ),
            ("<<<<<<< HEAD".to_owned(), "TOML"),
        ] {
            let error = Lock::parse(&text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
