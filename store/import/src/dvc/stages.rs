//! Stages: what `dvc repro` ran, what it read and left.

use std::collections::BTreeMap;
use std::path::Path;

use lab_schema::{Number, Slot, Status, Value};

use super::{MAX_TEXT_BYTES, Project, join};
use crate::error::Result;
use crate::files::read_text;
use crate::found::{Fault, Part, Record, relative};
use crate::yaml::{self, Node};

impl Project<'_> {
    /// What a `dvc.lock` pins: the outputs of its stages, and the stages themselves.
    pub(super) fn locked(&mut self, path: &Path) -> Result<()> {
        let text = read_text(path, MAX_TEXT_BYTES)?;
        let node = yaml::parse(&text).map_err(|why| Self::bad(path, why))?;
        let folder = relative(self.top, path.parent().unwrap_or(self.top));
        // The first format had no head.
        let stages = if node.text("schema").is_some() {
            node.get("stages").map_or(&[][..], Node::entries)
        } else {
            node.entries()
        };
        // Outputs first: what one stage leaves, another one reads.
        for (stage, body) in stages {
            for node in body.list("outs") {
                match self.out(Some(&folder), node) {
                    Ok(out) => drop(self.artifact(path, &out)?),
                    Err(why) => {
                        self.found.left_out.push(format!("an output of stage '{stage}': {why}"))
                    }
                }
            }
        }
        for (stage, body) in stages {
            self.stage(path, &folder, stage, body)?;
        }
        Ok(())
    }

    fn stage(&mut self, path: &Path, folder: &str, stage: &str, body: &Node) -> Result<()> {
        let command = match body.get("cmd") {
            Some(Node::Text(command, _)) => command.clone(),
            Some(Node::List(lines)) => lines
                .iter()
                .filter_map(|line| match line {
                    Node::Text(line, _) => Some(line.as_str()),
                    _ => None,
                })
                .collect::<Vec<_>>()
                .join(" && "),
            _ => {
                self.found.left_out.push(format!("stage '{stage}', which has no command"));
                return Ok(());
            }
        };
        let (mut faults, mut lacks) = (Vec::new(), Vec::new());
        let outputs = self.parts(path, folder, body.list("outs"), &mut faults)?;
        let mut absent = Vec::new();
        let inputs = self.parts(path, folder, body.list("deps"), &mut absent)?;
        for Fault { what, .. } in absent {
            lacks.push(format!("its input {what} is not here"));
        }
        let directory =
            Some(folder).filter(|f| !["", "."].contains(f)).map(Slot::new).transpose()?;
        let origin = match &directory {
            Some(directory) => format!("{directory}/{stage}"),
            None => stage.to_owned(),
        };
        let first = "imported from DVC, which notes neither the machine nor the time nor what else was read";
        let lacks = std::iter::once(first.to_owned()).chain(lacks).collect::<Vec<_>>().join("; ");
        self.found.records.push(Record {
            name: self.names.take(&origin, "stage"),
            origin: format!("stage {origin}"),
            argv: ["/bin/sh", "-c", &command].map(str::to_owned).to_vec(),
            directory,
            inputs,
            outputs,
            params: params(body.get("params")),
            notes: BTreeMap::new(),
            metrics: BTreeMap::new(),
            status: Status::Exited(0),
            started_ms: 0,
            duration_ms: 0,
            git: None,
            who: None,
            known_as: None,
            lacks,
            faults,
        });
        Ok(())
    }

    /// What a stage read or left, under the paths that its command uses; what is missing is noted.
    fn parts(
        &mut self,
        path: &Path,
        folder: &str,
        nodes: &[Node],
        faults: &mut Vec<Fault>,
    ) -> Result<BTreeMap<Slot, Part>> {
        let mut parts = BTreeMap::new();
        for node in nodes {
            let shown = node.text("path").unwrap_or("?").to_owned();
            let mut lacking = |why: String| {
                faults.push(Fault { what: shown.clone(), why, is_damage: false });
            };
            let slot = join("", &shown).map(Slot::new);
            let (Some(Ok(slot)), Ok(out)) = (slot, self.out(Some(folder), node)) else {
                lacking("it lies elsewhere".to_owned());
                continue;
            };
            match self.part(path, &out)? {
                Ok(part) => drop(parts.insert(slot, part)),
                Err(fault) => lacking(fault.why),
            }
        }
        Ok(parts)
    }
}

/// Parameters by the files that they stand in; those of `params.yaml` need no file's name in front.
fn params(node: Option<&Node>) -> BTreeMap<String, Value> {
    let mut params = BTreeMap::new();
    for (file, values) in node.map_or(&[][..], Node::entries) {
        for (key, node) in values.entries() {
            let Some(value) = value(node) else { continue };
            let plain = file == "params.yaml";
            params.insert(if plain { key.clone() } else { format!("{file}:{key}") }, value);
        }
    }
    params
}

/// A value as YAML 1.2 types it; none for null and what is not finite.
fn value(node: &Node) -> Option<Value> {
    Some(match node {
        Node::Text(text, false) => Value::Text(text.clone()),
        Node::Text(text, true) => match text.as_str() {
            "" | "~" | "null" => return None,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            text => typed(text)?,
        },
        Node::List(items) => Value::List(items.iter().filter_map(value).collect()),
        Node::Map(entries) => Value::Map(
            entries.iter().filter_map(|(key, node)| Some((key.clone(), value(node)?))).collect(),
        ),
    })
}

/// A number, or text; none for a number that is not finite.
pub(crate) fn typed(text: &str) -> Option<Value> {
    if let Ok(number) = text.parse::<i64>() {
        return Some(Value::Int(number));
    }
    let is_number = text.bytes().any(|byte| byte.is_ascii_digit());
    match text.parse::<f64>() {
        Ok(number) if is_number => Number::new(number).ok().map(Value::Float),
        _ => Some(Value::Text(text.to_owned())),
    }
}
