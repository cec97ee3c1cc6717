//! Each run a point, a row for each arm; below it the mean and its interval.

use super::{EDGE, ROWS, axis, drawable, heading, reach, room};
use crate::colour::ARMS;
use crate::scale::{Scale, extremes};
use crate::svg::{Canvas, Drawing, SMALL, TEXT};
use crate::text::{count, more, shortened};

/// Most points of an arm; of more, as many of them, spread evenly over their order.
const POINTS: usize = 1000;
/// Rows in which points lie that would cover one another.
const LEVELS: usize = 9;
/// Distance of points that touch, in pixels.
const APART: f64 = 9.0;

/// The runs of an arm.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arm {
    /// What it is called.
    pub name: String,
    /// What is said of it beside its name, such as `6 runs  0.951 ± 0.004`.
    pub words: String,
    /// What each run reached; what is not finite is not drawn.
    pub scores: Vec<f64>,
    /// Their mean.
    pub mean: Option<f64>,
    /// Between what the true mean is, in all but 5 % of the cases.
    pub interval: Option<[f64; 2]>,
}

/// Draws arms, `width` CSS pixels wide, along an axis that is called `name`.
pub fn strips(arms: &[Arm], name: &str, width: f64) -> Drawing {
    let width = width.clamp(200.0, 2000.0);
    let mut canvas = Canvas::new();
    let drawn = &arms[..arms.len().min(ROWS)];
    let (left, right) = (EDGE, width - EDGE);
    let scale = Scale::new(span(drawn), (left, right));
    let mut rows = Canvas::new();
    let (mut y, mut bands) = (6.0, Vec::new());
    for (n, arm) in drawn.iter().enumerate() {
        y = heading(&mut rows, (0.0, width), y + TEXT, Some(n), &arm.name, &arm.words);
        let top = y + 8.0;
        y = row(&mut rows, &scale, arm, n, top);
        bands.push((top, y - 4.0));
    }
    let bottom =
        axis(&mut canvas, &scale, (left, right), (&bands, y), (scale.ticks(room(width)), name));
    canvas.append(rows);
    let mut height = bottom;
    if drawn.len() < arms.len() {
        let rest = more(arms.len() - drawn.len(), "arm");
        canvas.text((0.0, height + SMALL), "small dim", &rest);
        height += SMALL + 6.0;
    }
    let said: Vec<String> = drawn.iter().map(told).collect();
    canvas.done((width, height), &format!("{name} of every run"), &said.join(". "))
}

/// What the axis spans: all runs, and as much of the intervals as does not press them together.
fn span(arms: &[Arm]) -> Option<(f64, f64)> {
    let (low, high) = extremes(arms.iter().flat_map(|arm| arm.scores.iter().copied()))?;
    let ends = arms.iter().filter_map(|arm| drawable(arm.interval)).flatten();
    let means = arms.iter().filter_map(|arm| arm.mean);
    let (least, most) = extremes(ends.chain(means).chain([low, high]))?;
    let air = high - low;
    if !(air > 0.0 && air.is_finite()) {
        return Some((least, most));
    }
    Some((least.max(low - air), most.min(high + air)))
}

fn row(canvas: &mut Canvas, scale: &Scale, arm: &Arm, n: usize, y: f64) -> f64 {
    let places = swarm(scale, &arm.scores);
    let above = places.iter().map(|(_, level)| -level).max().unwrap_or(0).max(0);
    let below = places.iter().map(|(_, level)| *level).max().unwrap_or(0).max(0);
    let middle = y + 6.0 + f64::from(above) * APART;
    for (x, level) in &places {
        canvas.mark((*x, middle + f64::from(*level) * APART), n);
    }
    let at = middle + f64::from(below) * APART + 15.0;
    if let Some(interval) = drawable(arm.interval) {
        reach(canvas, scale, interval, at, n);
    }
    if let Some(mean) = arm.mean.filter(|mean| mean.is_finite()) {
        let x = scale.at(mean);
        let class = format!("mean a{}", n % ARMS);
        canvas.line((x, at - 7.0), (x, at + 7.0), &class);
    }
    at + 18.0
}

/// Where the points lie: along the axis, and in which row so that they do not cover one another, as long as there are rows.
fn swarm(scale: &Scale, scores: &[f64]) -> Vec<(f64, i32)> {
    let mut places: Vec<f64> =
        scores.iter().filter(|score| score.is_finite()).map(|score| scale.at(*score)).collect();
    places.sort_by(f64::total_cmp);
    if places.len() > POINTS {
        let last = places.len() - 1;
        places = (0..POINTS).map(|n| places[n * last / (POINTS - 1)]).collect();
    }
    // 0, 1, -1, 2, -2, ...
    let levels = (0..LEVELS as i32).map(|n| if n % 2 == 1 { (n + 1) / 2 } else { -n / 2 });
    let mut ends: Vec<(i32, f64)> = levels.map(|level| (level, f64::MIN)).collect();
    let mut found = Vec::with_capacity(places.len());
    for x in places {
        let free = ends.iter().position(|(_, end)| x - end >= APART).unwrap_or(0);
        ends[free].1 = x;
        found.push((x, ends[free].0));
    }
    found
}

/// An arm in words, for who cannot see it.
fn told(arm: &Arm) -> String {
    let finite = arm.scores.iter().filter(|score| score.is_finite()).count();
    let mut text = format!("{}: {}", shortened(&arm.name, 100), count(finite, "run"));
    if let Some((low, high)) = extremes(arm.scores.iter().copied()) {
        text.push_str(&format!(", from {} to {}", rounded(low), rounded(high)));
    }
    if let Some(mean) = arm.mean.filter(|mean| mean.is_finite()) {
        text.push_str(&format!(", mean {}", rounded(mean)));
    }
    if let Some([low, high]) = drawable(arm.interval) {
        text.push_str(&format!(", 95 % interval {} to {}", rounded(low), rounded(high)));
    }
    text
}

/// A number to be read out.
pub(super) fn rounded(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e6).contains(&size) {
        format!("{value:.3e}")
    } else {
        format!("{value:.4}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arm(scores: &[f64]) -> Arm {
        Arm { name: "a".into(), scores: scores.to_vec(), ..Arm::default() }
    }

    #[test]
    fn odd_scores_are_drawn_or_left_out() {
        let odd: [&[f64]; 8] = [
            &[],
            &[0.5],
            &[0.5; 300],
            &[f64::NAN, f64::INFINITY, 1.0],
            &[f64::NAN],
            &[1e308, -1e308],
            &[f64::MAX, f64::MAX],
            &[0.0, 5e-324],
        ];
        for scores in odd {
            let arms = [
                Arm {
                    mean: Some(scores.iter().sum()),
                    interval: Some([f64::NEG_INFINITY, f64::NAN]),
                    ..arm(scores)
                },
                arm(scores),
            ];
            let drawing = strips(&arms, "loss", 700.0);
            let file = drawing.file();
            assert!(!file.contains("NaN") && !file.contains("inf\""), "{file}");
            assert!(file.len() < 100_000 && drawing.height() < 1000.0);
        }
    }

    #[test]
    fn what_is_no_number_is_no_point() {
        let scale = Scale::new(Some((0.0, 1.0)), (0.0, 100.0));
        assert_eq!(swarm(&scale, &[f64::NAN, 0.5, f64::INFINITY, f64::NEG_INFINITY]), [(50.0, 0)]);
    }

    #[test]
    fn many_are_bounded() {
        let scores: Vec<f64> = (0..1_000_000).map(f64::from).collect();
        let drawing = strips(&[arm(&scores)], "x", 700.0);
        assert!(drawing.file().len() < 200_000);
        let arms: Vec<Arm> = (0..10_000).map(|n| arm(&[f64::from(n)])).collect();
        let file = strips(&arms, "x", 700.0).file();
        assert!(file.len() < 100_000 && file.contains("and 9960 more arms"));
    }

    #[test]
    fn points_do_not_cover_one_another() {
        let scale = Scale::new(Some((0.0, 1.0)), (0.0, 600.0));
        let places = swarm(&scale, &[0.5, 0.5, 0.5, 0.501, 0.9]);
        for (n, (x, level)) in places.iter().enumerate() {
            let apart = |(other, row): &(f64, i32)| row != level || (x - other).abs() >= APART;
            assert!(places[n + 1..].iter().all(apart), "{places:?}");
        }
    }
}
