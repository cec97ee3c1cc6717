//! Folders of runs as MLflow's file store keeps them: `meta.yaml`, a file for each parameter, metric and tag,
//! and the artifacts.
//!
//! Nobody watched such a run: what it read is not known, and its record says so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lab_schema::{Number, Scheme, Slot, Status, Value};

use crate::dvc::typed;
use crate::error::{ImportError, Result};
use crate::files::{is_folder, list, read_text, walk};
use crate::found::{Artifact, Found, Part, Record, Shape, Tool, relative};
use crate::names::{Names, digest};
use crate::yaml::{self, Node};

/// Largest file of a run besides its artifacts and metrics.
const MAX_TEXT_BYTES: u64 = 1 << 20;
/// Largest history of one metric.
const MAX_METRIC_BYTES: u64 = 256 << 20;
/// Where the file of all histories lies among the outputs.
pub const HISTORY: &str = "metrics.json";

/// Whether a folder is a run, an experiment or a folder of experiments.
pub(crate) fn is_here(top: &Path) -> bool {
    top.join("meta.yaml").is_file()
        || list(top).is_ok_and(|all| all.iter().any(|f| f.join("meta.yaml").is_file()))
}

/// All runs below a folder.
pub(crate) fn find(top: &Path) -> Result<Found> {
    let mut found = Found::new(Tool::Mlflow);
    let mut names = Names::default();
    let folders = match top.join("meta.yaml").is_file() {
        true => vec![top.to_owned()],
        false => list(top)?,
    };
    for folder in folders {
        if !folder.join("meta.yaml").is_file() {
            continue;
        }
        if !is_folder(&folder) {
            found.left_out.push(format!("{}: it is a link", relative(top, &folder)));
            continue;
        }
        if is_run(&folder)? {
            let experiment = folder.parent().filter(|f| f.join("meta.yaml").is_file());
            let title = experiment.map_or(Ok(String::new()), title)?;
            run(&folder, &title, &mut found, &mut names)?;
            continue;
        }
        let title = title(&folder)?;
        for folder in list(&folder)? {
            if is_folder(&folder) && folder.join("meta.yaml").is_file() && is_run(&folder)? {
                run(&folder, &title, &mut found, &mut names)?;
            }
        }
    }
    if found.is_empty() && found.left_out.is_empty() {
        let wanted = match top.join("mlflow.db").is_file() {
            true => {
                "folder of runs of MLflow: these are in a database, mlflow.db, which is not read"
            }
            false => "folder of runs of MLflow",
        };
        return Err(ImportError::NotFound { path: top.to_owned(), wanted });
    }
    Ok(found)
}

fn meta(folder: &Path) -> Result<Node> {
    let path = folder.join("meta.yaml");
    let text = read_text(&path, MAX_TEXT_BYTES)?;
    yaml::parse(&text).map_err(|why| ImportError::Bad { path, why })
}

fn is_run(folder: &Path) -> Result<bool> {
    let meta = meta(folder)?;
    Ok(meta.get("run_id").or(meta.get("run_uuid")).is_some())
}

fn title(experiment: &Path) -> Result<String> {
    Ok(meta(experiment)?.text("name").unwrap_or_default().to_owned())
}

/// The files below a folder by their paths, which are keys that may hold slashes.
fn keyed(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let files = walk(folder, |_| true)?.into_iter().filter(|(_, meta)| meta.is_file());
    Ok(files.map(|(path, _)| (relative(folder, &path), path)).collect())
}

fn texts(folder: &Path) -> Result<BTreeMap<String, String>> {
    keyed(folder)?
        .into_iter()
        .map(|(key, path)| Ok((key, read_text(&path, MAX_TEXT_BYTES)?)))
        .collect()
}

fn run(folder: &Path, experiment: &str, found: &mut Found, names: &mut Names) -> Result<()> {
    let meta = meta(folder)?;
    let id = meta.text("run_id").or(meta.text("run_uuid")).unwrap_or_default().to_owned();
    let bad = |why: String| ImportError::Bad { path: folder.join("meta.yaml"), why };
    let named = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if named != id {
        return Err(bad(format!("it is of run '{}', and lies in '{named}'", id.escape_debug())));
    }
    let status = match meta.text("status") {
        Some("3" | "FINISHED") => Status::Exited(0),
        Some("4" | "FAILED") => Status::Exited(1),
        Some("5" | "KILLED") => Status::Signalled(15),
        other => {
            let why = match other {
                Some("1" | "RUNNING") => "it still runs, or was never ended".to_owned(),
                Some("2" | "SCHEDULED") => "it has not begun".to_owned(),
                other => format!("its status is {}", other.unwrap_or("missing").escape_debug()),
            };
            found.left_out.push(format!("run {id}: {why}"));
            return Ok(());
        }
    };
    if meta.text("lifecycle_stage") == Some("deleted") {
        found.left_out.push(format!("run {id}: it was deleted"));
        return Ok(());
    }
    let tags = texts(&folder.join("tags"))?;
    let tag = |key: &str| tags.get(key).map(|text| text.trim()).filter(|text| !text.is_empty());
    let title = tag("mlflow.runName").or(meta.text("run_name")).filter(|t| !t.is_empty());
    let origin = match experiment {
        "" => format!("run {id}"),
        experiment => format!("{experiment}/{}", title.unwrap_or(&id)),
    };
    let mut outputs = BTreeMap::new();
    let artifacts = folder.join("artifacts");
    if is_folder(&artifacts) && !list(&artifacts)?.is_empty() {
        found.artifacts.push(Artifact {
            names: Vec::new(),
            origin: format!("{origin}, artifacts"),
            is_model: false,
            shape: Shape::AsItIs(artifacts),
            known_as: Vec::new(),
            must_be_whole: true,
            faults: Vec::new(),
        });
        outputs.insert(Slot::new("artifacts")?, Part::Artifact(found.artifacts.len() - 1));
    } else if let Some(place) = meta.text("artifact_uri").filter(|uri| !uri.starts_with("file:")) {
        // A place may hold a password.
        let scheme = place.split(':').next().unwrap_or_default();
        if place.contains("://") {
            found.left_out.push(format!("artifacts of run {id}: they are elsewhere ({scheme}:)"));
        }
    }
    let (metrics, history) = metrics(&folder.join("metrics"))?;
    if let Some(history) = history {
        outputs.insert(Slot::new(HISTORY)?, Part::Bytes(history));
    }
    let (started_ms, ended_ms) = (meta.number("start_time"), meta.number("end_time"));
    let started_ms = started_ms.unwrap_or(0);
    let source = tag("mlflow.source.name").filter(|name| *name != "-" && !name.contains('\0'));
    let params: BTreeMap<String, Value> = texts(&folder.join("params"))?
        .into_iter()
        .filter_map(|(key, text)| Some((key, typed(&text)?)))
        .collect();
    // What people noted; what MLflow notes for itself stands in the record's own places.
    let notes = tags.iter().filter(|(key, _)| !key.starts_with("mlflow."));
    let notes =
        notes.map(|(key, text)| (format!("tag:{key}"), Value::Text(text.clone()))).collect();
    let command = tag("mlflow.project.entryPoint").or(source).unwrap_or("unknown");
    found.records.push(Record {
        name: names.take(title.unwrap_or(&id), &id[..id.len().min(8)]),
        origin,
        argv: vec![command.to_owned()],
        directory: None,
        inputs: BTreeMap::new(),
        outputs,
        params,
        notes,
        metrics,
        status,
        started_ms,
        duration_ms: ended_ms.unwrap_or(started_ms).saturating_sub(started_ms),
        git: tag("mlflow.source.git.commit")
            .map(|commit| (commit.to_owned(), tag("mlflow.source.git.branch").map(str::to_owned))),
        who: tag("mlflow.user").or(meta.text("user_id")).map(str::to_owned),
        known_as: digest(Scheme::Mlflow, &id),
        lacks:
            "imported from MLflow, which was told of parameters and metrics and watched nothing: \
                neither what was read, nor the environment, nor the whole command is known"
                .to_owned(),
        faults: Vec::new(),
    });
    Ok(())
}

/// The last value of each metric.
type Last = BTreeMap<String, Number>;

/// The last value of each metric, by its step, and all values of all of them as JSON; none without any.
fn metrics(folder: &Path) -> Result<(Last, Option<Vec<u8>>)> {
    let (mut last, mut all) = (BTreeMap::new(), serde_json::Map::new());
    for (key, path) in keyed(folder)? {
        let text = read_text(&path, MAX_METRIC_BYTES)?;
        let mut values: Vec<(i64, u64, f64)> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split(' ').collect();
            let parsed = match words[..] {
                [time, value] => time.parse().ok().zip(value.parse().ok()).map(|(t, v)| (0, t, v)),
                // More words came with later versions.
                [time, value, step, ..] => {
                    (|| Some((step.parse().ok()?, time.parse().ok()?, value.parse().ok()?)))()
                }
                _ => None,
            };
            let bad = || {
                let why = format!("line {} is no time, value and step", number + 1);
                ImportError::Bad { path: path.clone(), why }
            };
            values.push(parsed.ok_or_else(bad)?);
        }
        values.sort_by_key(|(step, time, _)| (*step, *time));
        if let Some(number) = values.last().and_then(|(.., value)| Number::new(*value).ok()) {
            last.insert(key.clone(), number);
        }
        let entry = |(step, time, value): &(i64, u64, f64)| {
            // JSON has no word for what is not finite.
            let value = match value.is_finite() {
                true => serde_json::json!(value),
                false => serde_json::json!(value.to_string()),
            };
            serde_json::json!({ "step": step, "value": value, "time_ms": time })
        };
        all.insert(key, values.iter().map(entry).collect());
    }
    let bytes =
        (!all.is_empty()).then(|| format!("{}\n", serde_json::Value::Object(all)).into_bytes());
    Ok((last, bytes))
}
