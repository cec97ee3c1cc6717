//! What differs between two folders, in words.

use lab_replay::{FolderChange, ImagesChange, Inside};

use super::{NAME, NAMES, ROWS, Row, VALUE, digits, hunks, line};
use crate::commands::diff::plain;
use crate::ui::{self, count};

pub(super) fn line_of(change: &FolderChange) -> Vec<String> {
    let counts = [
        (change.added.files, "added"),
        (change.removed.files, "removed"),
        (change.changed.files, "changed"),
        (change.moved_files, "moved"),
    ];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{} {what}", digits(*n)))
        .collect();
    let mut parts = vec![format!("files: {}", counts.join(", "))];
    parts.extend(change.images.as_ref().map(images));
    if let [only] = change.inside.as_slice()
        && let Some(inside) = &only.inside
    {
        parts.push(format!("in {}: {}", plain(&only.path, 0, NAME), line(inside)));
    }
    if change.more {
        parts.push("more paths than were looked at".to_owned());
    }
    parts
}

fn images(change: &ImagesChange) -> String {
    let counts =
        [(change.added, "added"), (change.removed, "removed"), (change.changed, "changed")];
    let counts =
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", digits(*n)));
    let mut text = format!("images: {}", counts.collect::<Vec<_>>().join(", "));
    if change.compared > 0 {
        let of = if change.compared < change.changed {
            format!(" of the first {}", digits(change.compared))
        } else {
            String::new()
        };
        if change.pixels > 0 {
            let pixels = format!("{} of {}", digits(change.differ), count(change.pixels, "pixel"));
            text.push_str(&format!(", {pixels}{of} differ, by up to {}", change.largest));
        }
        if change.same_pixels > 0 {
            text.push_str(&format!(", {} with all pixels the same", digits(change.same_pixels)));
        }
        if change.other_form > 0 {
            text.push_str(&format!(", {} of another size or form", digits(change.other_form)));
        }
    }
    text
}

pub(super) fn block(change: &FolderChange, patch: bool) -> Vec<Row> {
    let mut out = vec![(
        "folder",
        line_of(&FolderChange { inside: Vec::new(), images: None, ..change.clone() }).join("; "),
    )];
    out.extend(
        change.images.as_ref().map(|seen| ("images", images(seen).replacen("images: ", "", 1))),
    );
    for (old, new) in change.moved.iter().take(NAMES) {
        out.push(("moved", format!("{} → {}", plain(old, 0, NAME), plain(new, 0, NAME))));
    }
    if change.moved_files > NAMES as u64 {
        out.push(("", format!("{} more", digits(change.moved_files - NAMES as u64))));
    }
    for (what, files) in [("added", &change.added), ("removed", &change.removed)] {
        if files.files > 0 {
            let more = files.files.saturating_sub(NAMES as u64);
            let mut first: Vec<String> =
                files.first.iter().take(NAMES).map(|path| plain(path, 0, NAME)).collect();
            if more > 0 {
                first.push(format!("{} more", digits(more)));
            }
            out.push((what, format!("{}   ({})", first.join(", "), ui::bytes(files.bytes))));
        }
    }
    for file in change.inside.iter().take(if patch { usize::MAX } else { ROWS }) {
        let said = match (&file.inside, &file.why) {
            (Some(inside), _) => line(inside),
            (None, why) => format!(
                "not looked into: {}",
                plain(why.as_deref().unwrap_or_default(), 0, 4 * VALUE)
            ),
        };
        out.push(("changed", format!("{}   {said}", plain(&file.path, 0, NAME))));
        if let (true, Some(Inside::Text(text))) = (patch, &file.inside) {
            out.extend(hunks(text, usize::MAX));
        }
    }
    let more = change.not_looked_into
        + if patch { 0 } else { change.inside.len().saturating_sub(ROWS) as u64 };
    if more > 0 {
        out.push(("", format!("{} more changed", digits(more))));
    }
    out
}
