//! Which arrangements of the scores of two arms are as extreme as the observed one, and the ways
//! of going through them: one by one, or some drawn at random.

use crate::generator::Generator;

/// The scores of both arms about their mean, the smaller arm first.
pub(crate) struct Pooled {
    pub(crate) values: Vec<f64>,
    /// The size of the smaller arm, and of the other.
    sizes: (f64, f64),
    /// The sums of the values and of their squares.
    totals: (f64, f64),
    /// What may be rounding in a mean.
    rounding: f64,
}

/// Sums of the values in the smaller arm, and of their squares.
type Sums = (f64, f64);

impl Pooled {
    pub(crate) fn new(small: &[f64], large: &[f64], rounding: f64) -> Self {
        let mut values = [small, large].concat();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        values.iter_mut().for_each(|value| *value -= mean);
        let totals = (values.iter().sum(), values.iter().map(|value| value * value).sum());
        Self { values, sizes: (small.len() as f64, large.len() as f64), totals, rounding }
    }

    pub(crate) fn small(&self) -> usize {
        self.sizes.0 as usize
    }

    fn observed(&self) -> Sums {
        let arm = &self.values[..self.small()];
        (arm.iter().sum(), arm.iter().map(|value| value * value).sum())
    }

    /// The difference of the means.
    fn difference(&self, sum: f64) -> f64 {
        sum / self.sizes.0 - (self.totals.0 - sum) / self.sizes.1
    }

    /// The variance of that difference, each arm with its own; never below 0.
    fn variance(&self, (sum, squares): Sums) -> f64 {
        let ((k, l), rest) = (self.sizes, (self.totals.0 - sum, self.totals.1 - squares));
        let small = (squares - sum * sum / k) / (k * (k - 1.0));
        let large = (rest.1 - rest.0 * rest.0 / l) / (l * (l - 1.0));
        small.max(0.0) + large.max(0.0)
    }

    /// The sums of the smaller arm below and above which the mean difference is as extreme as
    /// observed, rounding on the side of extreme; none if all are.
    pub(crate) fn mean_bounds(&self) -> Option<(f64, f64)> {
        let reach = self.difference(self.observed().0).abs() - self.rounding;
        let sum_of = |difference: f64| {
            (difference + self.totals.0 / self.sizes.1) / (1.0 / self.sizes.0 + 1.0 / self.sizes.1)
        };
        (reach > 0.0).then(|| (sum_of(-reach), sum_of(reach)))
    }

    /// Whether an arrangement has a Welch's t as extreme as the observed one, rounding on the side
    /// of extreme. Written as d^2 v0 >= d0^2 v, so that arms which are both constant, and a t that
    /// is infinite, need no case of their own.
    pub(crate) fn studentised(&self) -> impl Fn(Sums) -> bool {
        let near = self.rounding;
        let observed = self.observed();
        let difference = self.difference(observed.0).abs();
        // What rounding adds to a variance that is 0, and to one of that root.
        let lost = near * self.totals.1 / (self.sizes.0 * (self.sizes.0 - 1.0));
        let v0 = self.variance(observed);
        let (factor, slope, slack) = if difference <= near {
            (0.0, 0.0, 0.0)
        } else if v0 <= 4.0 * lost {
            (0.0, 1.0, 4.0 * lost)
        } else {
            // Of a variance v, rounding of the scores changes 2 sqrt(v) times as much as of a mean;
            // 2 sqrt(v) is at most v / root + root.
            let (root, square) = (v0.sqrt(), difference * difference);
            let slope = square * (1.0 - near / root).max(0.0);
            (v0 + 2.0 * near * root + lost, slope, square * (near * root + lost))
        };
        move |sums| {
            let reach = self.difference(sums.0).abs() + 2.0 * near;
            reach * reach * factor + slack >= slope * self.variance(sums)
        }
    }

    /// How many of all arrangements are as extreme as that says.
    pub(crate) fn every(&self, extreme: &impl Fn(Sums) -> bool) -> u64 {
        walk(&self.values, self.small(), (0.0, 0.0), extreme)
    }

    /// How many of so many arrangements, drawn at random, are as extreme as that says.
    pub(crate) fn drawn(&self, draws: u64, extreme: &impl Fn(Sums) -> bool) -> u64 {
        let mut generator = Generator::seeded_by(&self.values);
        let mut values = self.values.clone();
        let mut hits = 0;
        for _ in 0..draws {
            // The first steps of a shuffle (Fisher and Yates), from wherever the last one ended.
            let (mut sum, mut squares) = (0.0, 0.0);
            for place in 0..self.small() {
                let other = place + generator.below(values.len() - place);
                values.swap(place, other);
                let value = values[place];
                sum += value;
                squares += value * value;
            }
            hits += u64::from(extreme((sum, squares)));
        }
        hits
    }
}

/// Goes through all choices of that many of the values, each added to the sums so far. At most a
/// dozen calls deep, since deeper ones have more choices than anybody goes through.
fn walk(values: &[f64], choose: usize, sums: Sums, extreme: &impl Fn(Sums) -> bool) -> u64 {
    let with = |value: f64| (sums.0 + value, sums.1 + value * value);
    if choose == 1 {
        return values.iter().map(|value| u64::from(extreme(with(*value)))).sum();
    }
    (0..=values.len() - choose)
        .map(|first| walk(&values[first + 1..], choose - 1, with(values[first]), extreme))
        .sum()
}
