//! Numbers to places on an axis, whatever numbers they are.

/// How numbers lie along an axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    is_logarithmic: bool,
}

/// The least and the greatest of the numbers that are finite.
pub(crate) fn extremes(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let finite = values.into_iter().filter(|value| value.is_finite());
    finite.fold(None, |found, value| match found {
        None => Some((value, value)),
        Some((low, high)) => Some((low.min(value), high.max(value))),
    })
}

impl Scale {
    /// From the one number to the other, between two places in pixels, with some air at both ends. Of equal numbers it is
    /// the middle.
    pub(crate) fn new(found: Option<(f64, f64)>, (from, to): (f64, f64)) -> Self {
        let (low, high) = found.unwrap_or((0.0, 1.0));
        let half = high / 2.0 - low / 2.0;
        let air = match half > 0.0 {
            true => half * 0.1,
            false if low == 0.0 => 1.0,
            false => (low.abs() * 0.05).max(f64::MIN_POSITIVE),
        };
        let (low, high) = ((low - air).max(f64::MIN), (high + air).min(f64::MAX));
        Self { low, high, from, to, is_logarithmic: false }
    }

    /// The same without air, from end to end.
    pub(crate) fn tight(found: Option<(f64, f64)>, ends: (f64, f64)) -> Self {
        match found {
            Some((low, high)) if low < high => Self { low, high, ..Self::new(found, ends) },
            found => Self::new(found, ends),
        }
    }

    /// The same by logarithms, for numbers above 0.
    pub(crate) fn logarithmic((low, high): (f64, f64), ends: (f64, f64)) -> Self {
        let scale = Self::new(Some((low.log10(), high.log10())), ends);
        Self { is_logarithmic: true, ..scale }
    }

    /// Where a number lies, never outside the axis.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let value = if self.is_logarithmic { value.log10() } else { value };
        let range = self.high - self.low;
        let share = match range.is_finite() {
            true => (value - self.low) / range,
            false => (value / 4.0 - self.low / 4.0) / (self.high / 4.0 - self.low / 4.0),
        };
        let share = if share.is_nan() { 0.5 } else { share.clamp(0.0, 1.0) };
        self.from + share * (self.to - self.from)
    }

    /// Whether a number lies on the axis.
    pub(crate) fn holds(&self, value: f64) -> bool {
        let value = if self.is_logarithmic { value.log10() } else { value };
        (self.low..=self.high).contains(&value)
    }

    /// The same without what lies between whole numbers, if there are whole numbers enough: of steps there are no halves.
    pub(crate) fn whole_ticks(&self, about: usize) -> Vec<(f64, String)> {
        let (first, last) = (self.low.ceil(), self.high.floor());
        if last - first > 2.0 * about as f64 || last - first < 1.0 {
            return self.ticks(about);
        }
        let mut ticks = self.ticks(about);
        ticks.retain(|(value, _)| value.fract() == 0.0);
        if ticks.len() < 2 {
            ticks = [first, last].map(|value| (value, String::new())).to_vec();
        }
        ticks.iter_mut().for_each(|(value, text)| *text = written(*value, 1.0));
        ticks
    }

    /// Round numbers along the axis, about as many as asked for, with what is written at them.
    pub(crate) fn ticks(&self, about: usize) -> Vec<(f64, String)> {
        let about = about.clamp(2, 50);
        if self.is_logarithmic {
            return self.decades(about);
        }
        let range = self.high - self.low;
        if !range.is_finite() {
            let few = [-1e308, 0.0, 1e308].into_iter().filter(|value| self.holds(*value));
            return few.map(|value| (value, written(value, 1e308))).collect();
        }
        let raw = range / about as f64;
        let power = 10f64.powf(raw.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
        let step = steps.into_iter().find(|step| *step >= 0.7 * raw).unwrap_or(raw);
        if !(step > 0.0 && step.is_finite()) {
            return vec![(self.low, written(self.low, 1.0))];
        }
        let first = (self.low / step).ceil();
        let all = (0..2 * about).map(|n| (first + n as f64) * step);
        let mut found: Vec<(f64, String)> = Vec::new();
        for value in all.take_while(|value| *value <= self.high) {
            let text = written(value, step);
            if found.last().is_none_or(|(_, before)| *before != text) {
                found.push((value, text));
            }
        }
        found
    }

    /// Powers of ten; between them 2 and 5, if there are few.
    fn decades(&self, about: usize) -> Vec<(f64, String)> {
        let (low, high) = (self.low.ceil() as i32, self.high.floor() as i32);
        let many = usize::try_from(high.saturating_sub(low)).unwrap_or(0) + 1;
        let factors: &[f64] = if many <= 2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let stride = many.div_ceil(about);
        let powers = (low.saturating_sub(1)..=high)
            .filter(|power| many <= 2 || (power.abs_diff(low) as usize).is_multiple_of(stride));
        let values = powers.flat_map(|power| factors.iter().map(move |f| f * 10f64.powi(power)));
        let inside = values.filter(|value| value.is_finite() && *value > 0.0 && self.holds(*value));
        let found: Vec<(f64, String)> =
            inside.map(|value| (value, written(value, value))).collect();
        if found.len() < 2 {
            let ends = [10f64.powf(self.low), 10f64.powf(self.high)];
            return ends.map(|end| (end, written(end, end / 100.0))).to_vec();
        }
        found
    }
}

/// A number with the digits that a step of this size needs.
fn written(value: f64, step: f64) -> String {
    let magnitude = |value: f64| match value.abs().log10().floor() {
        power if power.is_finite() => power,
        _ => 0.0,
    };
    let (large, small) = (magnitude(value), magnitude(step * 1.000_001));
    // Rounding may have left a little where 0 is meant.
    let text = if value.abs() < step * 1e-6 {
        "0".to_owned()
    } else if large >= 6.0 || small < -5.0 {
        let digits = (large - small).clamp(0.0, 15.0) as usize;
        format!("{value:.digits$e}")
    } else {
        let digits = (-small).clamp(0.0, 12.0) as usize;
        format!("{value:.digits$}")
    };
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(low: f64, high: f64) -> Vec<String> {
        let scale = Scale::new(Some((low, high)), (0.0, 100.0));
        scale.ticks(5).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round() {
        let unit = texts(0.0, 1.0);
        assert_eq!(unit, ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(texts(0.912, 0.958), ["0.91", "0.92", "0.93", "0.94", "0.95", "0.96"]);
        assert_eq!(texts(-20.0, 20.0), ["−20", "−10", "0", "10", "20"]);
        assert_eq!(texts(1e9, 3e9), ["1.0e9", "1.5e9", "2.0e9", "2.5e9", "3.0e9"]);
    }

    #[test]
    fn steps_are_whole() {
        let texts = |low, high| -> Vec<String> {
            let scale = Scale::tight(Some((low, high)), (0.0, 100.0));
            scale.whole_ticks(5).into_iter().map(|(_, text)| text).collect()
        };
        assert_eq!(texts(1.0, 4.0), ["1", "2", "3", "4"]);
        assert_eq!(texts(1.0, 2.0), ["1", "2"]);
        assert_eq!(texts(0.0, 100.0), ["0", "20", "40", "60", "80", "100"]);
        assert_eq!(texts(0.0, 0.5), ["0", "0.1", "0.2", "0.3", "0.4", "0.5"]);
    }

    #[test]
    fn equal_and_absurd_numbers_have_a_place() {
        for (low, high) in [
            (0.0, 0.0),
            (5.0, 5.0),
            (1.0, 1.0 + f64::EPSILON),
            (5e-324, 5e-324),
            (-1e308, 1e308),
            (f64::MIN, f64::MAX),
            (f64::MAX, f64::MAX),
            (1e-300, 1e300),
        ] {
            let scale = Scale::new(Some((low, high)), (10.0, 110.0));
            for value in [low, high, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                assert!((10.0..=110.0).contains(&scale.at(value)), "{low} {high} {value}");
            }
            assert!(scale.ticks(5).len() <= 10 && scale.at(low) <= scale.at(high));
            if low == high {
                assert!((scale.at(low) - 60.0).abs() < 51.0);
            }
        }
        assert_eq!(Scale::new(Some((5.0, 5.0)), (0.0, 100.0)).at(5.0), 50.0);
        assert_eq!(Scale::new(None, (0.0, 100.0)).at(0.5), 50.0);
    }

    #[test]
    fn logarithms_have_decades() {
        let texts = |low, high| -> Vec<String> {
            let scale = Scale::logarithmic((low, high), (0.0, 1.0));
            scale.ticks(5).into_iter().map(|(_, text)| text).collect()
        };
        assert_eq!(texts(0.001, 10.0), ["0.001", "0.01", "0.1", "1", "10"]);
        assert_eq!(texts(0.02, 0.7), ["0.02", "0.05", "0.1", "0.2", "0.5"]);
        assert!(texts(1e-300, 1e300).len() <= 12);
        assert!(texts(5e-324, f64::MAX).len() <= 12);
    }

    proptest! {
        #[test]
        fn ticks_lie_on_the_axis_and_rise(a in any::<f64>(), b in any::<f64>(), about in 0usize..1000) {
            let found = extremes([a, b]);
            let scale = Scale::new(found, (0.0, 100.0));
            let ticks = scale.ticks(about);
            prop_assert!(ticks.len() <= 100);
            prop_assert!(ticks.windows(2).all(|pair| pair[0].0 <= pair[1].0));
            prop_assert!(ticks.iter().all(|(value, text)| value.is_finite() && text.len() < 30));
        }
    }
}
