//! How a training went, in a line: its losses from the first epoch to the last; of an imported run, what was
//! logged of it.

use std::collections::BTreeMap;

use lab_import::HISTORY;
use lab_objects::Store;
use lab_schema::{ContentId, Executor, Recipe, Run, Slot};
use serde_json::Value;

use super::describe::number;
use crate::ui::{DIM, paint};

/// The longest history that is read.
const MAX_BYTES: u64 = 64 << 20;
/// Bars of a curve, at most.
const WIDTH: usize = 48;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Curves of a run that is a training of at least two epochs: what is drawn, and the curve. What
/// cannot be read is no curve: a run shows without it as well.
pub(super) fn curves(store: &Store, run: &Run) -> Vec<(&'static str, String)> {
    let Some(history) = history(store, run) else { return logged(store, run) };
    let Some(epochs) = history["epochs"].as_array().filter(|epochs| epochs.len() > 1) else {
        return Vec::new();
    };
    let series = |key: &str| epochs.iter().map(|e| e[key].as_f64()).collect::<Option<Vec<f64>>>();
    let mut curves = Vec::new();
    for (title, key) in [("loss", "loss"), ("validated", "validation")] {
        let Some(values) = series(key) else { continue };
        let (first, last) = (number(values[0]), number(values[values.len() - 1]));
        let mut text = format!("{}  {first} → {last}", draw(&values));
        if let (Some(best), "validation") = (history["best"].as_u64(), key) {
            text.push_str(&paint(DIM, format!("   best in epoch {best}")).to_string());
        }
        curves.push((title, text));
    }
    curves
}

/// Most series of an imported run that are drawn.
const MOST: usize = 8;

/// What MLflow was told of, metric by metric.
fn logged(store: &Store, run: &Run) -> Vec<(&'static str, String)> {
    let series = json_of(store, run, HISTORY);
    let Some(Value::Object(series)) = series else { return Vec::new() };
    let mut curves = Vec::new();
    for (key, points) in series {
        let values = points.as_array().into_iter().flatten();
        let values: Vec<f64> = values.filter_map(|point| point["value"].as_f64()).collect();
        if values.len() > 1 && curves.len() < MOST {
            let (first, last) = (number(values[0]), number(values[values.len() - 1]));
            let key = key.escape_debug().to_string();
            curves.push((
                "logged",
                format!("{}  {first} → {last}   {}", draw(&values), paint(DIM, key)),
            ));
        }
    }
    curves
}

/// Numbers over the steps of a run: what counts the steps, and the numbers by what they are called. Of each epoch of a training, of what MLflow was told, and of
/// the lines of a `.jsonl`. What cannot be read is no curve.
pub(super) fn series(store: &Store, run: &Run) -> (&'static str, Series) {
    let mut steps = "step";
    let mut found = Series::new();
    if let Some(history) = history(store, run) {
        steps = rows(history["epochs"].as_array().into_iter().flatten(), &mut found);
    } else if let Some(Value::Object(logged)) = json_of(store, run, HISTORY) {
        for (key, points) in logged {
            let points = points.as_array().into_iter().flatten().zip(0_u32..);
            let point = |(point, n): (&Value, u32)| {
                let step = point["step"].as_f64().unwrap_or(f64::from(n));
                Some((step, point["value"].as_f64()?))
            };
            found.insert(key, points.filter_map(point).collect());
        }
    }
    let lines = |(slot, content): (&Slot, &ContentId)| match content {
        ContentId::Blob(id) if slot.as_str().ends_with(".jsonl") => Some(*id),
        _ => None,
    };
    for id in run.outcome.outputs.iter().filter_map(lines) {
        let Ok(bytes) = store.read_blob(id, MAX_BYTES) else { continue };
        let values: Vec<Value> = bytes
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect();
        steps = rows(values.iter(), &mut found);
    }
    found.retain(|_, points| !points.is_empty());
    (steps, found)
}

/// Numbers over steps, by what they are called.
pub(super) type Series = BTreeMap<String, Vec<(f64, f64)>>;

/// What a row counts its steps by.
const STEPS: [&str; 5] = ["step", "global_step", "iteration", "epoch", "_step"];

/// Adds the numbers of rows, each at the step that its row says, or at its place; returns what the rows count by.
fn rows<'a>(rows: impl Iterator<Item = &'a Value>, found: &mut Series) -> &'static str {
    let mut counted = "row";
    for (row, n) in rows.zip(0_u32..) {
        let Some(row) = row.as_object() else { continue };
        let step = STEPS.iter().find_map(|name| Some((*name, row.get(*name)?.as_f64()?)));
        counted = step.map_or(counted, |(name, _)| name);
        let step = step.map_or(f64::from(n), |(_, step)| step);
        for (key, value) in row.iter().filter(|(key, _)| !STEPS.contains(&key.as_str())) {
            // Whoever writes a thousand names means none of them to be looked at.
            if let Some(value) = value.as_f64()
                && (found.len() < NAMES || found.contains_key(key))
            {
                found.entry(key.clone()).or_default().push((step, value));
            }
        }
    }
    counted
}

/// Most numbers of a run that are followed over its steps.
const NAMES: usize = 64;

fn history(store: &Store, run: &Run) -> Option<Value> {
    let recipe: Recipe = store.load(run.recipe).ok()?;
    let Executor::Tensor(_) = recipe.executor() else { return None };
    json_of(store, run, "history.json")
}

fn json_of(store: &Store, run: &Run, output: &str) -> Option<Value> {
    let slot = Slot::new(output).ok()?;
    let Some(ContentId::Blob(id)) = run.outcome.outputs.get(&slot) else { return None };
    serde_json::from_slice(&store.read_blob(*id, MAX_BYTES).ok()?).ok()
}

/// A bar for each value, or for the mean of some that stand side by side; by their logarithms where
/// the greatest is more than ten times the least, since otherwise only the first epochs would show.
fn draw(values: &[f64]) -> String {
    let wide = values.len().div_ceil(WIDTH);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let mut values: Vec<f64> = values.chunks(wide).map(mean).collect();
    let extremes = values
        .iter()
        .copied()
        .fold((f64::INFINITY, 0.0f64), |(least, most), value| (least.min(value), most.max(value)));
    if extremes.0 > 0.0 && extremes.1 > 10.0 * extremes.0 {
        values.iter_mut().for_each(|value| *value = value.ln());
    }
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let bar = |value: &f64| {
        // What differs by rounding alone is level.
        let level = most - least <= 1e-6 * most.abs();
        let share = if level { 0.0 } else { (value - least) / (most - least) };
        BARS[((share * 8.0) as usize).min(7)]
    };
    values.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_give_numbers_at_their_steps() {
        let mut found = BTreeMap::new();
        let text = [
            "{\"step\": 10, \"loss\": 1.5}",
            "{\"loss\": 1, \"note\": \"x\"}",
            "3",
            "{\"step\": 30, \"loss\": null}",
        ];
        let values: Vec<Value> =
            text.iter().map(|row| serde_json::from_str(row).unwrap()).collect();
        rows(values.iter(), &mut found);
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [("loss".to_owned(), vec![(10.0, 1.5), (1.0, 1.0)])]
        );
        let wide: Vec<Value> =
            (0..1000).map(|n| serde_json::json!({ format!("k{n}"): n })).collect();
        let mut found = BTreeMap::new();
        rows(wide.iter(), &mut found);
        assert_eq!(found.len(), NAMES);
    }

    #[test]
    fn curves_fall_as_their_values_do() {
        assert_eq!(draw(&[8.0, 4.0, 2.0, 0.0]), "█▅▃▁");
        assert_eq!(draw(&[1.0, 1.0]), "▁▁");
        assert_eq!(draw(&[1000.0, 100.0, 10.0, 1.0]), "█▆▃▁");
        assert_eq!(draw(&(0..1000).map(f64::from).collect::<Vec<_>>()).chars().count(), 48);
    }
}
