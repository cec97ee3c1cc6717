//! A difference that was found inside one output, and how the one to report is chosen.
//!
//! A person reads one line, so one place is reported: the first that no tolerance covers, and
//! only if there is none the first at all. Everything else is summed into a share.
//!
//! Values come from files of strangers: [`shown`] escapes control characters and cuts long text,
//! so that a report cannot steer a terminal or fill a screen.

use lab_schema::{Difference, Number, Slot, Tolerance};

/// Longest text of one value in a report, in characters.
const SHOWN_CHARS: usize = 120;

/// A place where two contents differ.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    /// Where; none if the whole content is of another sort.
    pub(crate) at: Option<String>,
    /// What was recorded there.
    pub(crate) expected: String,
    /// What is there now.
    pub(crate) actual: String,
    /// For two finite floats: their distance.
    pub(crate) ulps: Option<u64>,
    /// Share of elements, keys, lines or bytes that differ.
    pub(crate) share: Option<f64>,
    /// For tensors: norm of the difference over the norm of what was recorded.
    pub(crate) relative_l2: Option<f64>,
    /// Whether the tolerance covers every difference.
    pub(crate) tolerated: bool,
}

impl Found {
    /// A difference that no tolerance covers.
    pub(crate) fn new(at: impl Into<String>, expected: &str, actual: &str) -> Found {
        let (at, expected, actual) = (Some(shown(&at.into())), shown(expected), shown(actual));
        Found { at, expected, actual, ulps: None, share: None, relative_l2: None, tolerated: false }
    }

    /// As the evidence of an attestation. Figures that are not finite are left out.
    pub(crate) fn into_difference(self, output: Slot) -> Difference {
        let number = |n: Option<f64>| n.and_then(|n| Number::new(n).ok());
        Difference {
            output,
            at: self.at,
            expected: self.expected,
            actual: self.actual,
            ulps: self.ulps,
            share: number(self.share),
            relative_l2: number(self.relative_l2),
            tolerated: self.tolerated,
        }
    }
}

/// Counts compared things and keeps the difference to report.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    all: u64,
    different: u64,
    found: Option<Found>,
}

impl Tally {
    /// Takes in `all` things that were compared, `different` of which differ.
    pub(crate) fn count(&mut self, all: u64, different: u64) {
        self.all = self.all.saturating_add(all);
        self.different = self.different.saturating_add(different);
    }

    /// Takes in a difference, in the order of the content.
    pub(crate) fn offer(&mut self, tolerated: bool, make: impl FnOnce() -> Found) {
        let better = match &self.found {
            None => true,
            Some(kept) => kept.tolerated && !tolerated,
        };
        if better {
            self.found = Some(Found { tolerated, ..make() });
        }
    }

    /// The difference to report, with the share of all things that differ.
    pub(crate) fn finish(self) -> Option<Found> {
        let share = (self.all > 0).then(|| self.different as f64 / self.all as f64);
        self.found.map(|found| Found { share, ..found })
    }
}

/// Whether `tolerance` covers the step from `expected` to `actual`; never for infinities or NaN.
pub(crate) fn allows(tolerance: Option<Tolerance>, expected: f64, actual: f64) -> bool {
    expected.is_finite()
        && actual.is_finite()
        && tolerance.is_some_and(|t| t.allows(expected, actual))
}

/// Text from a file, made safe to print and cut to a length that fits a report.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::new();
    for (i, c) in text.chars().enumerate() {
        if i == SHOWN_CHARS {
            out.push('…');
            break;
        }
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_beyond_the_tolerance_is_reported() {
        let mut tally = Tally::default();
        tally.count(4, 3);
        for (tolerated, at) in [(true, "a"), (true, "b"), (false, "c"), (false, "d")] {
            tally.offer(tolerated, || Found::new(at, "0", "1"));
        }
        let found = tally.finish().unwrap();
        assert_eq!(
            (found.at.as_deref(), found.tolerated, found.share),
            (Some("c"), false, Some(0.75))
        );
    }

    #[test]
    fn what_is_shown_is_short_and_harmless() {
        let text = shown(&format!("\x1b[2J{}", "x".repeat(10_000)));
        assert!(text.starts_with("\\u{1b}[2J") && text.chars().count() < 140);
    }

    #[test]
    fn an_infinite_value_is_close_to_nothing() {
        let one = Number::new(1.0).unwrap();
        let tolerance = Some(Tolerance { absolute: one, relative: one });
        assert!(allows(tolerance, 1.0, 2.5));
        assert!(!allows(tolerance, f64::INFINITY, 1.0));
        assert!(!allows(tolerance, 1.0, f64::NAN));
    }
}
