//! Differences with their intervals, against zero and the margin.

use super::strip::rounded;
use super::{EDGE, ROWS, axis, drawable, heading, reach, room};
use crate::scale::{Scale, extremes};
use crate::svg::{Canvas, Drawing, SMALL, TEXT};
use crate::text::{more, shortened};

/// By how much an arm differs from the one that it is compared with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gap {
    /// The name of the arm.
    pub name: String,
    /// What is said beside it, such as `+0.012  (+0.004 … +0.020)`.
    pub words: String,
    /// The difference of the means.
    pub difference: f64,
    /// Between what the true one is.
    pub interval: Option<[f64; 2]>,
    /// Which arm it is, counted from 0, for its colour and shape.
    pub arm: usize,
}

/// Draws differences, `width` CSS pixels wide. `sides` says what it means to lie left and right of zero; within `margin`
/// of zero a difference does not matter.
pub fn differences(
    gaps: &[Gap],
    name: &str,
    sides: [&str; 2],
    margin: Option<f64>,
    width: f64,
) -> Drawing {
    let width = width.clamp(200.0, 2000.0);
    let drawn = &gaps[..gaps.len().min(ROWS)];
    let margin = margin.filter(|margin| *margin > 0.0 && margin.is_finite());
    let intervals = drawn.iter().filter_map(|gap| drawable(gap.interval)).flatten();
    let margins = margin.into_iter().flat_map(|margin| [-margin, margin]);
    let middle = drawn.iter().map(|gap| gap.difference);
    let found = extremes(intervals.chain(margins).chain(middle).chain([0.0]));
    let (left, right) = (EDGE, width - EDGE);
    let scale = Scale::new(found, (left, right));
    let zero = scale.at(0.0);

    let mut rows = Canvas::new();
    let (mut y, mut bands) = (24.0, Vec::new());
    for gap in drawn {
        let top = heading(&mut rows, (0.0, width), y + TEXT, Some(gap.arm), &gap.name, &gap.words);
        y = top + 22.0;
        bands.push((top + 8.0, y + 14.0));
        if let Some(interval) = drawable(gap.interval) {
            reach(&mut rows, &scale, interval, y, gap.arm);
        }
        if gap.difference.is_finite() {
            rows.mark((scale.at(gap.difference), y), gap.arm);
        }
        y += 20.0;
    }
    let mut canvas = Canvas::new();
    if let Some(margin) = margin {
        let (from, to) = (scale.at(-margin), scale.at(margin));
        for (top, bottom) in &bands {
            canvas.rectangle((from, *top), (to - from, bottom - top), 0.0, "margin");
        }
    }
    let mut height =
        axis(&mut canvas, &scale, (left, right), (&bands, y), (scale.ticks(room(width)), name));
    bands.iter().for_each(|(top, bottom)| canvas.line((zero, *top), (zero, *bottom), "zero"));
    let half = width / 2.0 - 8.0;
    let [worse, better] = [format!("← {}", sides[0]), format!("{} →", sides[1])];
    canvas.text_within((0.0, 14.0), "small dim", &worse, (SMALL, half));
    canvas.text_within((width, 14.0), "small dim end", &better, (SMALL, half));
    canvas.append(rows);
    let rest = gaps.len() - drawn.len();
    for note in [
        margin.map(|margin| format!("shaded: differences below the margin of {margin}")),
        (rest > 0).then(|| more(rest, "arm")),
    ]
    .into_iter()
    .flatten()
    {
        canvas.text_within((0.0, height + SMALL), "small dim", &note, (SMALL, width));
        height += SMALL + 6.0;
    }
    let said: Vec<String> = drawn.iter().map(told).collect();
    canvas.done((width, height), &format!("difference in {name}, against zero"), &said.join(". "))
}

fn told(gap: &Gap) -> String {
    let name = shortened(&gap.name, 100);
    let interval = match drawable(gap.interval) {
        Some([low, high]) => format!(", 95 % interval {} to {}", rounded(low), rounded(high)),
        None => String::new(),
    };
    format!("{name}: {}{interval}", rounded(gap.difference))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_differences_are_drawn_or_left_out() {
        for difference in [0.0, 1.0, -1e308, f64::NAN, f64::INFINITY, f64::MAX] {
            for interval in [
                None,
                Some([-1.0, 1.0]),
                Some([f64::MIN, f64::MAX]),
                Some([f64::NAN, 1.0]),
                Some([2.0, 1.0]),
            ] {
                for margin in [None, Some(0.1), Some(f64::NAN), Some(-1.0), Some(f64::MAX)] {
                    let gap = Gap { name: "b".into(), difference, interval, ..Gap::default() };
                    let file = differences(&[gap], "x", ["worse", "better"], margin, 320.0).file();
                    assert!(!file.contains("=\"NaN") && !file.contains("=\"inf"), "{file}");
                    assert!(file.len() < 20_000);
                }
            }
        }
    }

    #[test]
    fn zero_is_always_there() {
        let gap =
            Gap { name: "b".into(), difference: 5.0, interval: Some([4.0, 6.0]), ..Gap::default() };
        let file = differences(&[gap], "x", ["worse", "better"], None, 700.0).file();
        assert!(file.contains("class=\"zero\"") && file.contains(">0</text>"), "{file}");
        assert!(differences(&[], "x", ["", ""], None, 700.0).height() > 0.0);
    }
}
