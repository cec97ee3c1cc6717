//! A number over the steps of a training: a thin line for each run, a thick one for the mean of an arm.

use std::collections::BTreeMap;

use super::{ROWS, axis, room};
use crate::colour::ARMS;
use crate::sample::{Point, mean, thinned};
use crate::scale::{Scale, extremes};
use crate::svg::{Canvas, Drawing, Path, SMALL, TEXT};
use crate::text::{count, fitted, shortened, width as wide};

/// Most lines that are drawn.
const LINES: usize = 250;
/// Most points of a line, and of all lines together.
const POINTS: (usize, usize) = (800, 20_000);
/// Height of what is drawn, in pixels.
const HEIGHT: f64 = 220.0;

/// A number over the steps of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// Which arm the run belongs to, counted from 0.
    pub arm: usize,
    /// Steps and numbers. Where a number is not finite, the line is broken.
    pub points: Vec<(f64, f64)>,
}

/// Draws curves, `width` CSS pixels wide; `arms` names the arms, `steps` and `name` the axes. By logarithms where all
/// numbers are above 0 and the greatest is more than ten times the least, since otherwise only the first steps would show.
pub fn curves(curves: &[Curve], arms: &[String], [steps, name]: [&str; 2], width: f64) -> Drawing {
    let width = width.clamp(200.0, 2000.0);
    let mut canvas = Canvas::new();
    let values = || curves.iter().flat_map(|curve| curve.points.iter());
    let found = extremes(values().map(|point| point.1));
    let top = legend(&mut canvas, curves, arms, width) + 14.0;
    let bottom = top + HEIGHT;
    let ends = (bottom, top);
    let scale = match found {
        Some((low, high)) if low > 0.0 && high / 10.0 > low => {
            Scale::logarithmic((low, high), ends)
        }
        found => Scale::new(found, ends),
    };
    let ticks = scale.ticks(5);
    let label = ticks.iter().map(|(_, text)| wide(text) * SMALL).fold(0.0, f64::max);
    let (left, right) = (label + 12.0, width - 14.0);
    let across = Scale::tight(extremes(values().map(|point| point.0)), (left, right));
    canvas.text_within((0.0, top - 8.0), "small dim", name, (SMALL, width));
    for (value, text) in &ticks {
        let y = scale.at(*value);
        canvas.line((left, y), (right, y), "grid");
        canvas.text((left - 6.0, y + 4.0), "small dim end", text);
    }
    let mut height = axis(
        &mut canvas,
        &across,
        (left, right),
        (&[], bottom),
        (across.whole_ticks(room(width)), steps),
    );

    let drawn = &curves[..curves.len().min(LINES)];
    let most = (POINTS.1 / drawn.len().max(1)).clamp(8, POINTS.0);
    for curve in drawn {
        let class = format!("line a{}", curve.arm % ARMS);
        line(&mut canvas, &curve.points, most, (&across, &scale), &class);
    }
    let mut by_arm: BTreeMap<usize, Vec<&[Point]>> = BTreeMap::new();
    for curve in curves {
        by_arm.entry(curve.arm).or_default().push(&curve.points);
    }
    let mut with_mean = false;
    for (arm, all) in by_arm.iter().take(ROWS) {
        if let Some(points) = mean(all) {
            with_mean = true;
            line(
                &mut canvas,
                &points,
                POINTS.0,
                (&across, &scale),
                &format!("mean a{}", arm % ARMS),
            );
        }
    }
    let rest = curves.len() - drawn.len();
    let notes = [
        with_mean.then(|| "thick: the mean of an arm".to_owned()),
        (rest > 0).then(|| format!("{} of {} are drawn", drawn.len(), count(curves.len(), "run"))),
    ];
    let notes: Vec<String> = notes.into_iter().flatten().collect();
    if !notes.is_empty() {
        canvas.text_within((0.0, height + SMALL), "small dim", &notes.join("; "), (SMALL, width));
        height += SMALL + 6.0;
    }
    let said: Vec<String> =
        by_arm.iter().take(ROWS).map(|(arm, all)| told(*arm, all, arms)).collect();
    canvas.done((width, height), &format!("{name} over {steps}"), &said.join(". "))
}

/// Which line belongs to whom, where there is more than one arm; returns where that ends.
fn legend(canvas: &mut Canvas, curves: &[Curve], arms: &[String], width: f64) -> f64 {
    let (mut x, mut y) = (0.0, TEXT);
    if arms.len() < 2 {
        return y;
    }
    let there = |arm: usize| curves.iter().any(|curve| curve.arm == arm);
    for (arm, name) in arms.iter().enumerate().filter(|(arm, _)| there(*arm)).take(ROWS) {
        let name = fitted(name, (width - 30.0) / TEXT);
        let needed = 26.0 + wide(&name) * TEXT;
        if x > 0.0 && x + needed > width {
            (x, y) = (0.0, y + 20.0);
        }
        canvas.line((x, y - 4.5), (x + 18.0, y - 4.5), &format!("mean a{}", arm % ARMS));
        canvas.text((x + 24.0, y), "", &name);
        x += needed + 16.0;
    }
    y + 12.0
}

fn line(
    canvas: &mut Canvas,
    points: &[Point],
    most: usize,
    (across, up): (&Scale, &Scale),
    class: &str,
) {
    for part in thinned(points, most) {
        let places: Vec<(f64, f64)> =
            part.iter().map(|(step, value)| (across.at(*step), up.at(*value))).collect();
        let mut path = Path::default();
        match places.as_slice() {
            // A single number is a dash.
            [(x, y)] => path.to('M', &[(x - 2.0, *y), (x + 2.0, *y)]),
            [first, rest @ ..] => {
                path.to('M', &[*first]);
                path.to('L', rest);
            }
            [] => {}
        }
        canvas.path(&path, class);
    }
}

fn told(arm: usize, all: &[&[Point]], arms: &[String]) -> String {
    let name = arms.get(arm).map_or_else(String::new, |name| format!("{}: ", shortened(name, 100)));
    let ends = |at: fn(&[Point]) -> Option<&Point>| {
        extremes(all.iter().filter_map(|points| at(points).map(|point| point.1)))
    };
    let text = |found: Option<(f64, f64)>| match found {
        Some((low, high)) => {
            format!("{} to {}", super::strip::rounded(low), super::strip::rounded(high))
        }
        None => "no number".to_owned(),
    };
    let (first, last) = (text(ends(|p| p.first())), text(ends(|p| p.last())));
    format!("{name}{}, first {first}, last {last}", count(all.len(), "run"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: Vec<Point>) -> Curve {
        Curve { arm: 0, points }
    }

    #[test]
    fn odd_curves_are_drawn_or_left_out() {
        let odd: [Vec<Point>; 8] = [
            vec![],
            vec![(0.0, 1.0)],
            vec![(0.0, 1.0), (1.0, 1.0)],
            vec![(0.0, f64::NAN), (1.0, f64::INFINITY)],
            vec![(0.0, -1e308), (1.0, 1e308)],
            vec![(0.0, 5e-324), (1.0, f64::MAX)],
            vec![(f64::NAN, 1.0), (f64::INFINITY, 2.0)],
            vec![(-1e308, 0.0), (1e308, 1.0)],
        ];
        for points in odd {
            let drawing = curves(&[curve(points)], &["a".into()], ["epoch", "loss"], 320.0);
            let file = drawing.file();
            assert!(
                !file.contains("NaN") && !file.contains("inf ") && file.len() < 20_000,
                "{file}"
            );
        }
        assert!(curves(&[], &[], ["", ""], 320.0).height() > 0.0);
    }

    #[test]
    fn a_million_steps_and_a_thousand_runs_are_bounded() {
        let long = curve((0..1_000_000).map(|n| (f64::from(n), f64::from(n).sin())).collect());
        let file = curves(&[long.clone(), long], &["a".into()], ["step", "loss"], 700.0).file();
        assert!(file.len() < 100_000, "{}", file.len());
        let many: Vec<Curve> = (0..1000)
            .map(|_| curve((0..500).map(|n| (f64::from(n), f64::from(n * n % 7))).collect()))
            .collect();
        let file = curves(&many, &["a".into()], ["step", "loss"], 700.0).file();
        assert!(
            file.len() < 400_000 && file.contains("250 of 1000 runs are drawn"),
            "{}",
            file.len()
        );
    }
}
