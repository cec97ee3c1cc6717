//! How far tensors moved, in words.

use lab_replay::{Moved, WeightsChange};

use super::{NAME, NAMES, ROWS, Row, VALUE, digits, names, quoted, share};
use crate::commands::describe::number;
use crate::commands::diff::{parting, plain};
use crate::ui::{DIM, count, paint};

pub(super) fn line(change: &WeightsChange) -> Vec<String> {
    let mut parts = Vec::new();
    let changed = change.changed.len() as u64 + change.left_out;
    if changed > 0 {
        let all = changed + change.equal;
        let moved = change.total.relative_l2.filter(|l2| *l2 > 0.0);
        let by = moved.map(|l2| format!(", by {} of their norm", number(l2)));
        parts.push(format!(
            "{} of {} changed{}",
            digits(changed),
            count(all, "tensor"),
            by.unwrap_or_default()
        ));
    }
    let counts = [
        (change.added.len(), "added"),
        (change.removed.len(), "removed"),
        (change.renamed.len(), "renamed"),
        (change.reshaped.len(), "of another shape"),
    ];
    for (n, what) in counts.into_iter().filter(|(n, _)| *n > 0) {
        parts.push(format!("{} {what}", digits(n as u64)));
    }
    if !change.beside.is_empty() {
        parts.push(format!("beside them: {}", names(keys(change).iter())));
    }
    if change.unread > 0 {
        parts.push(format!("{} not read", digits(change.unread)));
    }
    parts
}

fn keys(change: &WeightsChange) -> Vec<String> {
    change.beside.iter().map(|beside| beside.key.clone()).collect()
}

fn moved(moved: &Moved) -> String {
    let relative = match moved.relative_l2 {
        Some(relative) => format!("relative L2 {}", number(relative)),
        None => format!("L2 {}", number(moved.l2)),
    };
    let mut text = format!(
        "{relative}, largest change {}, {} of elements the same",
        number(moved.largest),
        share(moved.equal, moved.elements)
    );
    if moved.not_finite > 0 {
        text.push_str(&format!(", {} infinite or no number", digits(moved.not_finite)));
    }
    text
}

pub(super) fn block(change: &WeightsChange) -> Vec<Row> {
    let size = match change.before == change.after {
        true => count(change.after, "tensor"),
        false => format!("{} → {}", digits(change.before), count(change.after, "tensor")),
    };
    let mut out = vec![("weights", format!("{size}, {} the same", digits(change.equal)))];
    if !change.changed.is_empty() {
        let all = count(change.total.elements, "element");
        out.push(("all", format!("{}   ({all})", moved(&change.total))));
    }
    for tensor in change.changed.iter().take(ROWS) {
        let form = match tensor.before == tensor.after {
            true => tensor.before.clone(),
            false => {
                format!("{} → {}", plain(&tensor.before, 0, NAME), plain(&tensor.after, 0, NAME))
            }
        };
        let form = paint(DIM, plain(&form, 0, 2 * NAME));
        out.push(("changed", format!("{} {form}  {}", quoted(&tensor.name), moved(&tensor.moved))));
    }
    let more = (change.changed.len().saturating_sub(ROWS)) as u64 + change.left_out;
    if more > 0 {
        out.push(("", format!("{} more changed, each by less", digits(more))));
    }
    for (name, before, after) in change.reshaped.iter().take(ROWS) {
        let forms = format!("{} → {}", plain(before, 0, NAME), plain(after, 0, NAME));
        out.push(("shape", format!("{} {forms}", quoted(name))));
    }
    let sorts = [("added", &change.added), ("removed", &change.removed)];
    for (what, tensors) in sorts.into_iter().filter(|(_, tensors)| !tensors.is_empty()) {
        out.push((
            what,
            names(tensors.iter().map(|(name, _)| name).collect::<Vec<_>>().into_iter()),
        ));
    }
    if !change.renamed.is_empty() {
        let pair =
            |(old, new): &(String, String)| format!("{} is now {}", quoted(old), quoted(new));
        let mut text: Vec<String> = change.renamed.iter().take(NAMES).map(pair).collect();
        if change.renamed.len() > NAMES {
            text.push(format!("{} more", change.renamed.len() - NAMES));
        }
        out.push(("renamed", text.join(", ")));
    }
    for beside in change.beside.iter().take(ROWS) {
        let text = |text: &Option<String>, from: usize| {
            text.as_deref().map_or_else(|| "absent".to_owned(), |text| plain(text, from, VALUE))
        };
        let (p, q) = (beside.before.as_deref(), beside.after.as_deref());
        let from = parting(p.unwrap_or_default(), q.unwrap_or_default(), VALUE);
        let (before, after) = (text(&beside.before, from), text(&beside.after, from));
        out.push(("beside", format!("{} {before} → {after}", quoted(&beside.key))));
    }
    if change.beside.len() > ROWS {
        out.push(("", format!("{} more beside", change.beside.len() - ROWS)));
    }
    if change.unread > 0 {
        out.push((
            "unread",
            format!("{}: the file names its bytes too often", count(change.unread, "tensor")),
        ));
    }
    out
}
