//! What differs inside two contents, in words: a line, or a block of rows.

mod table;
mod weights;
mod folder;

use lab_replay::{BytesChange, ImageChange, Inside, TextChange};

use super::plain;
use crate::ui::{self, DIM, count, paint};

/// Longest name, and longest value of a cell, in characters.
const NAME: usize = 60;
const VALUE: usize = 40;
/// Names in a list.
const NAMES: usize = 6;
/// Tensors, and files of a folder, that have a row of their own.
const ROWS: usize = 12;
/// Lines of a diff that are shown without being asked for.
const LINES: usize = 30;

/// A row of a block: what it is about, and what is said of it.
pub(super) type Row = (&'static str, String);

/// What differs, in one line.
pub(super) fn line(inside: &Inside) -> String {
    match inside {
        Inside::Equal => "the same".to_owned(),
        Inside::Sorts { before, after } => {
            format!("{} → {}", plain(before, 0, VALUE), plain(after, 0, VALUE))
        }
        Inside::Table(change) => joined(table::line(change)),
        Inside::Weights(change) => joined(weights::line(change)),
        Inside::Image(change) => image(change),
        Inside::Folder(change) => joined(folder::line_of(change)),
        Inside::Text(change) => joined(text_line(change)),
        Inside::Bytes(change) => bytes(change),
        _ => "they differ".to_owned(),
    }
}

/// What differs, in rows; with `patch` all lines of texts that were kept.
pub(super) fn block(inside: &Inside, patch: bool) -> Vec<Row> {
    match inside {
        Inside::Table(change) => table::block(change),
        Inside::Weights(change) => weights::block(change),
        Inside::Folder(change) => folder::block(change, patch),
        Inside::Text(change) => {
            let mut rows = vec![("text", joined(text_line(change)))];
            let shown = if patch { usize::MAX } else { LINES };
            rows.extend(hunks(change, shown));
            rows
        }
        Inside::Image(change) => vec![("image", image(change))],
        Inside::Bytes(change) => vec![("bytes", bytes(change))],
        other => vec![("contents", line(other))],
    }
}

fn joined(parts: Vec<String>) -> String {
    if parts.is_empty() {
        "the same inside, written otherwise".to_owned()
    } else {
        parts.join("; ")
    }
}

/// A name in quotes, without control characters.
fn quoted(name: &str) -> String {
    format!("'{}'", plain(name, 0, NAME))
}

/// The first of some names, and how many more there are.
fn names<'a>(all: impl ExactSizeIterator<Item = &'a String>) -> String {
    let more = all.len().saturating_sub(NAMES);
    let mut text: Vec<String> = all.take(NAMES).map(|name| quoted(name)).collect();
    if more > 0 {
        text.push(format!("{more} more"));
    }
    text.join(", ")
}

fn share(part: u64, all: u64) -> String {
    let share = if all > 0 { 100.0 * part as f64 / all as f64 } else { 0.0 };
    // Not all, if it is not all.
    match part < all && share > 99.9 || part > 0 && share < 0.1 {
        true => format!("{share:.4} %"),
        false => format!("{share:.1} %"),
    }
}

/// A number whose digits are in groups of three.
fn digits(n: u64) -> String {
    count(n, "").trim_end_matches('s').trim_end().to_owned()
}

fn image(change: &ImageChange) -> String {
    let forms =
        || format!("{} → {}", plain(&change.before, 0, NAME), plain(&change.after, 0, NAME));
    match change.pixels {
        None => forms(),
        Some(_) if change.differ == 0 => {
            "all pixels the same, only what describes them differs".to_owned()
        }
        Some(pixels) => format!(
            "{} of {} differ, by up to {}",
            digits(change.differ),
            count(pixels, "pixel"),
            change.largest
        ),
    }
}

fn text_line(change: &TextChange) -> Vec<String> {
    let mut parts = vec![format!("+{} −{} lines", digits(change.added), digits(change.removed))];
    if change.blanks_only {
        parts.push("only blanks or line ends".to_owned());
    }
    if !change.touched.is_empty() {
        let more = change.touched.len().saturating_sub(NAMES);
        let mut text: Vec<String> =
            change.touched.iter().take(NAMES).map(|name| plain(name, 0, NAME)).collect();
        if more > 0 {
            text.push(format!("{more} more"));
        }
        parts.push(format!("functions touched: {}", text.join(", ")));
    }
    parts.extend(change.why.as_ref().map(|why| plain(why, 0, 4 * VALUE)));
    parts
}

/// The lines of a unified diff, as far as `most` goes.
pub(super) fn hunks(change: &TextChange, most: usize) -> Vec<Row> {
    let mut out = Vec::new();
    let all: usize = change.hunks.iter().map(|hunk| hunk.lines.len()).sum();
    let mut left = most;
    for hunk in change.hunks.iter().take_while(|_| most > 0) {
        if left == 0 {
            break;
        }
        let head = format!(
            "@@ -{},{} +{},{} @@",
            hunk.before, hunk.before_lines, hunk.after, hunk.after_lines
        );
        out.push(("", paint(DIM, head)));
        for text in hunk.lines.iter().take(left) {
            let style = match text.as_bytes().first() {
                Some(b'+') => ui::GOOD,
                Some(b'-') => ui::BAD,
                _ => anstyle::Style::new(),
            };
            out.push(("", paint(style, ui::plain(text))));
        }
        left -= hunk.lines.len().min(left);
    }
    let more = (all.saturating_sub(most)) as u64 + change.left_out;
    if more > 0 {
        let hint = if all > most { ", `-p` shows more" } else { "" };
        out.push(("", paint(DIM, format!("{} more{hint}", count(more, "line")))));
    }
    out
}

fn bytes(change: &BytesChange) -> String {
    let size = match change.before == change.after {
        true => ui::bytes(change.after),
        false => format!("{} → {}", ui::bytes(change.before), ui::bytes(change.after)),
    };
    let mut text = format!(
        "{size}, the first difference at byte {}, {:.1} % of bytes the same",
        digits(change.first),
        100.0 * change.equal
    );
    if let Some(why) = &change.why {
        text.push_str(&format!("   ({})", plain(why, 0, 4 * VALUE)));
    }
    text
}
