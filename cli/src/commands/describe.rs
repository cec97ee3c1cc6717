//! One line about an object, for several commands.

use lab_objects::{NameKind, ObjectsError, Store};
use lab_process::Standing;
use lab_schema::{ContentId, Difference, Executor, ObjectId, Recipe, Run, RunId, Status, Tree};
use serde_json::{Value, json};

use crate::failure::Outcome;
use crate::ui;

/// Size in bytes of a file, or of all files in a directory; none if it is missing.
pub(super) fn size(store: &Store, content: ContentId) -> Result<Option<u64>, ObjectsError> {
    match content {
        ContentId::Blob(id) => store.size(id),
        ContentId::Tree(id) => Ok(store.get::<Tree>(id)?.map(|tree| tree.total_bytes())),
    }
}

/// The same in words; what is missing or damaged is said, and hides nothing else.
pub(super) fn sized(store: &Store, content: ContentId) -> Outcome<String> {
    Ok(match readable(size(store, content))? {
        Ok(Some(size)) => ui::bytes(size),
        Ok(None) => "missing".to_owned(),
        Err(_) => "damaged".to_owned(),
    })
}

/// What was read; of what is damaged or missing, what is wrong with it: all else can still be told.
pub(super) fn readable<T>(got: Result<T, ObjectsError>) -> Outcome<Result<T, String>> {
    match got {
        Ok(value) => Ok(Ok(value)),
        Err(
            error @ (ObjectsError::Damaged { .. }
            | ObjectsError::Corrupt { .. }
            | ObjectsError::Missing { .. }
            | ObjectsError::Schema(_)),
        ) => Ok(Err(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// What a recipe does, in a few words: the command line, or the stage.
pub(super) fn action(recipe: &Recipe) -> String {
    match recipe.executor() {
        Executor::Command(command) => command_line(&command.argv),
        Executor::Tensor(tensor) => format!("{} ({})", tensor.stage, tensor.engine),
    }
}

/// An argument list as one would type it in a shell.
pub(super) fn command_line(argv: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%^".contains(c);
    let quote = |arg: &String| {
        if !arg.is_empty() && arg.chars().all(plain) {
            arg.clone()
        } else {
            let quoted = arg.replace('\'', r"'\''");
            let visible = |c: char| {
                if c.is_control() { c.escape_default().to_string() } else { c.to_string() }
            };
            format!("'{}'", quoted.chars().map(visible).collect::<String>())
        }
    };
    argv.iter().map(quote).collect::<Vec<_>>().join(" ")
}

/// How a run ended, in words.
pub(super) fn status(status: &Status) -> String {
    match status {
        Status::Exited(0) => "succeeded".to_owned(),
        Status::Exited(code) => format!("exited with {code}"),
        Status::Signalled(signal) => format!("was ended by signal {signal}"),
        Status::TimedOut(ms) => format!("was stopped after its limit of {}", ui::duration(*ms)),
        Status::Missing(slots) => {
            let slots: Vec<&str> = slots.iter().map(|s| s.as_str()).collect();
            format!("did not leave {}", slots.join(", "))
        }
    }
}

/// The first few metrics of a run: `accuracy 0.9722, loss 0.0812`.
pub(super) fn metrics(run: &Run) -> String {
    let all = &run.outcome.metrics;
    let shown = all.iter().take(3).map(|(key, value)| format!("{key} {}", number(value.get())));
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if all.len() > 3 {
        text.push_str(&format!(", and {} more", all.len() - 3));
    }
    text
}

/// A metric for people: four significant digits unless it is a whole number.
pub(super) fn number(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e9 {
        return format!("{value}");
    }
    let magnitude = value.abs().log10().floor();
    if (-4.0..6.0).contains(&magnitude) {
        let digits = (3.0 - magnitude).max(0.0) as usize;
        format!("{value:.digits$}")
    } else {
        format!("{value:.3e}")
    }
}

/// Why a recorded run stands for running again.
pub(super) fn standing(standing: &Standing) -> String {
    let mut parts = vec![format!("{} as they were", ui::count(standing.files, "file"))];
    if standing.absent > 0 {
        parts.push(format!("{} still nowhere", standing.absent));
    }
    if standing.listed > 0 {
        parts.push(format!("{} unchanged", ui::count(standing.listed, "listing")));
    }
    parts.join(", ")
}

/// The kind that a name gets when the user does not say.
pub(super) fn guess_kind(path: &str) -> NameKind {
    let extension = path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    match extension.as_str() {
        "safetensors" | "gguf" | "pt" | "pth" | "ckpt" | "onnx" => NameKind::Weights,
        "py" | "rs" | "sh" | "r" | "jl" | "ipynb" | "c" | "cpp" | "cu" => NameKind::Code,
        _ => NameKind::Dataset,
    }
}

/// A run for programs.
pub(super) fn run_json(id: RunId, run: &Run) -> Value {
    let outcome = &run.outcome;
    let outputs: serde_json::Map<String, Value> = outcome
        .outputs
        .iter()
        .map(|(slot, content)| (slot.to_string(), content_json(*content)))
        .collect();
    let metrics: serde_json::Map<String, Value> =
        outcome.metrics.iter().map(|(key, value)| (key.clone(), json!(value.get()))).collect();
    json!({
        "run": id.to_string(),
        "recipe": run.recipe.to_string(),
        "status": status(&outcome.status),
        "success": outcome.status.is_success(),
        "outputs": outputs,
        "metrics": metrics,
        "params": outcome.params,
        "started": ui::iso(outcome.started_ms),
        "duration_ms": outcome.duration_ms,
        "peak_memory_bytes": outcome.peak_memory_bytes,
        "complete": outcome.completeness == lab_schema::Completeness::Complete,
        "observed": outcome.observed.map(|id| id.to_string()),
        "who": run.who,
        "parent": run.parent.map(|id| id.to_string()),
        "host": {
            "os": run.host.os, "kernel": run.host.kernel, "arch": run.host.arch, "cpu": run.host.cpu,
            "cpu_features": run.host.cpu_features, "cpus": run.host.cpus,
            "memory_bytes": run.host.memory_bytes, "lab": run.host.lab,
        },
        "git": run.git.as_ref().map(|git| json!({
            "commit": git.commit, "branch": git.branch, "dirty": git.dirty,
        })),
    })
}

/// Content for programs.
pub(super) fn content_json(content: ContentId) -> Value {
    let id: ObjectId = content.into();
    json!({ "id": content.to_string(), "kind": id.kind().as_str() })
}

/// A difference for programs.
pub(super) fn difference_json(d: &Difference) -> Value {
    json!({
        "output": d.output, "at": d.at, "expected": d.expected, "actual": d.actual, "ulps": d.ulps,
        "share": d.share.map(|n| n.get()), "relative_l2": d.relative_l2.map(|n| n.get()), "tolerated": d.tolerated,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.972_222, "0.9722"),
            (1.0, "1"),
            (360.0, "360"),
            (0.081_234, "0.08123"),
            (12.345_6, "12.35"),
            (1.5e-9, "1.500e-9"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn command_lines_can_be_pasted_and_cannot_steer_a_terminal() {
        let argv = ["sh", "-c", "echo 'a b' > out", "", "\x1b[2J"].map(str::to_owned);
        assert_eq!(command_line(&argv), r"sh -c 'echo '\''a b'\'' > out' '' '\u{1b}[2J'");
    }
}
