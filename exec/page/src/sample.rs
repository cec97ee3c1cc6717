//! Of many points as many as can be seen.

/// A point: a step, and the number there.
pub(crate) type Point = (f64, f64);

/// The points of a curve as lines without gaps, at most `most` points in all: the curve is broken where it has no number.
///
/// Where there are more, each stretch of it is stood for by its first, least, greatest and last point, which draw the
/// same lines as all of them would (Jugel et al., "M4: A Visualization-Oriented Time Series Data Aggregation", 2014).
pub(crate) fn thinned(points: &[Point], most: usize) -> Vec<Vec<Point>> {
    let mut points: Vec<Point> =
        points.iter().copied().filter(|(step, _)| step.is_finite()).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let stretches = most / 4;
    if points.len() <= most || stretches == 0 {
        points.truncate(most);
        let lines = points.split(|(_, value)| !value.is_finite());
        return lines.filter(|line| !line.is_empty()).map(<[_]>::to_vec).collect();
    }
    let mut lines = vec![Vec::new()];
    for stretch in points.chunks(points.len().div_ceil(stretches)) {
        let here = four(stretch);
        match lines.last_mut() {
            Some(line) if !here.is_empty() => line.extend(here),
            _ => lines.push(Vec::new()),
        }
    }
    lines.retain(|line| !line.is_empty());
    lines
}

/// The first, least, greatest and last of the points that have a number, in their order, each once.
fn four(stretch: &[Point]) -> Vec<Point> {
    let finite = || stretch.iter().enumerate().filter(|(_, (_, value))| value.is_finite());
    let by_value = |a: &(usize, &Point), b: &(usize, &Point)| a.1.1.total_cmp(&b.1.1);
    let found = [
        finite().next(),
        finite().min_by(by_value),
        finite().max_by(by_value),
        finite().next_back(),
    ];
    let mut found: Vec<(usize, Point)> =
        found.into_iter().flatten().map(|(place, point)| (place, *point)).collect();
    found.sort_by_key(|(place, _)| *place);
    found.dedup_by_key(|(place, _)| *place);
    found.into_iter().map(|(_, point)| point).collect()
}

/// The mean of curves that have the same steps and a number at each; none of fewer than two.
pub(crate) fn mean(curves: &[&[Point]]) -> Option<Vec<Point>> {
    let (first, rest) = curves.split_first().filter(|(_, rest)| !rest.is_empty())?;
    let many = curves.len() as f64;
    let alike = |other: &&[Point]| {
        other.len() == first.len() && other.iter().zip(*first).all(|(a, b)| a.0 == b.0)
    };
    if !rest.iter().all(alike) {
        return None;
    }
    let mean = |n: usize| -> f64 { curves.iter().map(|curve| curve[n].1 / many).sum() };
    let points: Vec<Point> = first.iter().enumerate().map(|(n, at)| (at.0, mean(n))).collect();
    points.iter().all(|(_, value)| value.is_finite()).then_some(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_points_become_few_and_keep_their_peaks() {
        let mut points: Vec<Point> =
            (0..1_000_000).map(|n| (f64::from(n), f64::from(n % 7))).collect();
        points[123_456].1 = 1e6;
        points[654_321].1 = -1e6;
        let lines = thinned(&points, 800);
        let all: Vec<Point> = lines.concat();
        assert!(lines.len() == 1 && all.len() <= 800, "{}", all.len());
        assert!(all.contains(&(123_456.0, 1e6)) && all.contains(&(654_321.0, -1e6)));
        assert_eq!((all[0], all[all.len() - 1].0), ((0.0, 0.0), 999_999.0));
        assert!(all.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn curves_break_where_there_is_no_number() {
        let points = [(3.0, 1.0), (1.0, 5.0), (2.0, f64::NAN), (4.0, 2.0), (f64::NAN, 9.0)];
        assert_eq!(thinned(&points, 10), [vec![(1.0, 5.0)], vec![(3.0, 1.0), (4.0, 2.0)]]);
        assert!(thinned(&[(0.0, f64::INFINITY)], 10).is_empty());
        assert!(thinned(&[], 10).is_empty());
        assert!(thinned(&points, 0).is_empty());
        // A long silence is a gap, also among many points.
        let silent = |n: i32| (400..600).contains(&n);
        let many: Vec<Point> =
            (0..1000).map(|n| (f64::from(n), if silent(n) { f64::NAN } else { 1.0 })).collect();
        assert_eq!(thinned(&many, 100).len(), 2);
        // Every second number is none: that is no million lines.
        let odd: Vec<Point> =
            (0..10_000).map(|n| (f64::from(n), if n % 2 == 0 { f64::NAN } else { 1.0 })).collect();
        assert!(thinned(&odd, 100).concat().len() <= 100);
    }

    #[test]
    fn means_are_of_curves_with_the_same_steps() {
        let (a, b) = ([(0.0, 1.0), (1.0, 3.0)], [(0.0, 3.0), (1.0, 5.0)]);
        assert_eq!(mean(&[&a, &b]), Some(vec![(0.0, 2.0), (1.0, 4.0)]));
        assert_eq!(mean(&[&a, &b[..1]]), None);
        assert_eq!(mean(&[&a]), None);
        assert_eq!(mean(&[]), None);
        let huge = [(0.0, 1e308), (1.0, 1e308)];
        assert_eq!(mean(&[&huge, &huge]), Some(huge.to_vec()));
        assert_eq!(mean(&[&huge, &[(0.0, f64::NAN), (1.0, 0.0)]]), None);
    }
}
