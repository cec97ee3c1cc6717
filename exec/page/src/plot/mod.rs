//! Pictures of numbers.

mod strip;
mod difference;
mod curve;

pub use curve::{Curve, curves};
pub use difference::{Gap, differences};
pub use strip::{Arm, strips};

use crate::scale::Scale;
use crate::svg::{Canvas, SMALL, TEXT};
use crate::text::width;

/// Space beside the axis for what is written at its ends, in pixels.
const EDGE: f64 = 22.0;
/// Most rows of a picture.
const ROWS: usize = 40;

/// How many ticks an axis of this length has room for.
fn room(length: f64) -> usize {
    ((length / 75.0) as usize).clamp(2, 8)
}

/// An axis from left to right at a height, with lines through the bands above it, each from its top to its bottom, and a
/// word below; returns where it ends.
fn axis(
    canvas: &mut Canvas,
    scale: &Scale,
    (left, right): (f64, f64),
    (bands, at): (&[(f64, f64)], f64),
    (ticks, name): (Vec<(f64, String)>, &str),
) -> f64 {
    let mut free = f64::MIN;
    for (value, text) in ticks {
        let x = scale.at(value);
        bands.iter().for_each(|(top, bottom)| canvas.line((x, *top), (x, *bottom), "grid"));
        canvas.line((x, at), (x, at + 4.0), "axis");
        let half = width(&text) * SMALL / 2.0;
        if x - half >= free {
            canvas.text((x, at + 18.0), "small dim middle", &text);
            free = x + half + 6.0;
        }
    }
    canvas.line((left, at), (right, at), "axis");
    let middle = (left + right) / 2.0;
    canvas.text_within((middle, at + 36.0), "small dim middle", name, (SMALL, right - left));
    at + 42.0
}

/// A name and what is said of it, in one line or, where there is no room, in two; returns the base line of the last.
fn heading(
    canvas: &mut Canvas,
    (left, right): (f64, f64),
    y: f64,
    arm: Option<usize>,
    name: &str,
    words: &str,
) -> f64 {
    let mut x = left;
    if let Some(arm) = arm {
        canvas.mark((left + 5.0, y - 4.5), arm);
        x += 16.0;
    }
    let room = right - x;
    let side_by_side = (width(name) + width(words)) * TEXT + 16.0 <= room;
    canvas.text_within((x, y), "strong", name, (TEXT * 1.08, room));
    if words.is_empty() {
        return y;
    }
    if side_by_side {
        canvas.text((right, y), "dim end", words);
        return y;
    }
    canvas.text_within((x, y + 17.0), "dim", words, (TEXT, room));
    y + 17.0
}

/// What stands for an interval: a line with its ends, or with arrows where it goes on outside the picture.
fn reach(canvas: &mut Canvas, scale: &Scale, [low, high]: [f64; 2], y: f64, arm: usize) {
    let class = format!("reach a{}", arm % crate::colour::ARMS);
    let (from, to) = (scale.at(low), scale.at(high));
    canvas.line((from, y), (to, y), &class);
    for (value, x, inwards) in [(low, from, 1.0), (high, to, -1.0)] {
        if scale.holds(value) {
            canvas.line((x, y - 4.0), (x, y + 4.0), &class);
        } else {
            let tip = 5.0 * inwards;
            canvas.line((x, y), (x + tip, y - 4.0), &class);
            canvas.line((x, y), (x + tip, y + 4.0), &class);
        }
    }
}

/// An interval that can be drawn.
fn drawable(interval: Option<[f64; 2]>) -> Option<[f64; 2]> {
    interval.filter(|[low, high]| low <= high && low.is_finite() && high.is_finite())
}
