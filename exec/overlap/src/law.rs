//! Distributions of counts, number by number.
//!
//! Chances are built up from the most likely count outwards, each from its neighbour, as far as
//! they are above 1e-30 of the largest, and divided by their sum. So they have all their digits, and
//! no function of a library enters. A chance below that is 0.

/// What is smaller than the largest by this factor is 0.
const LEAST: f64 = 1e-30;

/// The chances of counts in a row; of all others it is 0.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Law {
    first: u64,
    chances: Vec<f64>,
}

impl Law {
    /// Of a count that is always 0.
    pub(crate) fn none() -> Law {
        Law { first: 0, chances: vec![1.0] }
    }

    /// Of successes in `draws` draws that succeed with the chance `p`.
    pub(crate) fn binomial(draws: u64, p: f64) -> Law {
        if p <= 0.0 || p >= 1.0 {
            let first = if p <= 0.0 { 0 } else { draws };
            return Law { first, chances: vec![1.0] };
        }
        let mode = (((draws + 1) as f64 * p).floor() as u64).min(draws);
        let odds = p / (1.0 - p);
        let up = |k: u64| (draws - k) as f64 / (k + 1) as f64 * odds;
        Law::around(mode, 1, (0, draws), up)
    }

    /// Of pairs that are drawn in part, if `drawn` of all members of `pairs` pairs are (Levene,
    /// "On a matching problem arising in genetics", 1949): b of these, u wholly drawn and v not at
    /// all have the chance 2^b G! / (b! u! v!) / C(2G, K), with K = 2u + b. Two more of them change
    /// it by 4uv / ((b+1)(b+2)); b is even if K is.
    pub(crate) fn levene(pairs: u64, drawn: u64) -> Law {
        let most = drawn.min(2 * pairs - drawn);
        let least = most % 2;
        let up = |b: u64| {
            let whole = ((drawn - b) / 2) as f64;
            let untouched = ((2 * pairs - drawn - b) / 2) as f64;
            4.0 * whole * untouched / ((b + 1) as f64 * (b + 2) as f64)
        };
        // The ratio falls with b: the largest chance is where it sinks below 1.
        let (mut low, mut high) = (0, (most - least) / 2);
        while low < high {
            let middle = low + (high - low) / 2;
            if up(least + 2 * middle) > 1.0 { low = middle + 1 } else { high = middle }
        }
        Law::around(least + 2 * low, 2, (least, most), up)
    }

    /// Chances that grow from one count to the next but `step - 1` by the factor `up`, around the
    /// largest.
    fn around(mode: u64, step: u64, (least, most): (u64, u64), up: impl Fn(u64) -> f64) -> Law {
        let (mut below, mut chance, mut count) = (Vec::new(), 1.0, mode);
        while count >= least + step && chance > LEAST {
            count -= step;
            chance /= up(count);
            below.push(chance);
        }
        let first = count;
        let mut chances = Vec::new();
        let mut push = |chance: f64| {
            chances.push(chance);
            (1..step).for_each(|_| chances.push(0.0));
        };
        below.into_iter().rev().for_each(&mut push);
        (chance, count) = (1.0, mode);
        push(chance);
        while count + step <= most && chance > LEAST {
            chance *= up(count);
            count += step;
            push(chance);
        }
        Law { first, chances }.whole()
    }

    /// Divided by their sum, smallest first so that no digits are lost.
    fn whole(mut self) -> Law {
        let mut sorted = self.chances.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let sum: f64 = sorted.iter().sum();
        self.chances.iter_mut().for_each(|chance| *chance /= sum);
        self
    }

    /// Of the sum of two counts that know nothing of each other.
    pub(crate) fn plus(&self, other: &Law) -> Law {
        let mut chances = vec![0.0; self.chances.len() + other.chances.len() - 1];
        for (place, chance) in self.chances.iter().enumerate() {
            let sums = chances[place..].iter_mut().zip(&other.chances);
            sums.for_each(|(sum, other)| *sum += chance * other);
        }
        let largest = chances.iter().copied().fold(0.0, f64::max);
        let kept = |chance: &f64| *chance > LEAST * largest;
        let start = chances.iter().position(kept).unwrap_or(0);
        let end = chances.iter().rposition(kept).map_or(chances.len(), |last| last + 1);
        let first = self.first + other.first + start as u64;
        Law { first, chances: chances[start..end].to_vec() }.whole()
    }

    /// The chance of this count or a larger one.
    pub(crate) fn at_least(&self, count: u64) -> f64 {
        let start = usize::try_from(count.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let upper = self.chances.get(start..).unwrap_or_default();
        // Smallest first, as far as the tail is one.
        upper.iter().rev().sum::<f64>().min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64, what: &str) {
        let off = (found - expected).abs();
        assert!(off < 1e-12 * expected + 1e-29, "{what}: {found} {expected}");
    }

    #[test]
    fn binomials_are_counted() {
        for draws in 0..12u32 {
            for p in [0.1, 0.32, 0.5, 0.9] {
                let law = Law::binomial(draws.into(), p);
                for k in 0..=draws + 1 {
                    let chance = |bits: u32| {
                        let hits = bits.count_ones() as i32;
                        f64::powi(p, hits) * f64::powi(1.0 - p, draws as i32 - hits)
                    };
                    let all = (0..1u32 << draws).filter(|bits| bits.count_ones() >= k);
                    close(
                        law.at_least(k.into()),
                        all.map(chance).sum(),
                        &format!("{draws} {p} {k}"),
                    );
                }
            }
        }
    }

    #[test]
    fn the_ends_and_many() {
        assert_eq!(
            (Law::binomial(5, 0.0).at_least(1), Law::binomial(5, 1.0).at_least(5)),
            (0.0, 1.0)
        );
        assert_eq!(Law::none().at_least(0), 1.0);
        // A tail of ten million throws, twice: half lies on either side of the median.
        let many = Law::binomial(10_000_001, 0.5);
        close(many.at_least(5_000_001), 0.5, "half");
        // 0.5 to the power of 60, and what is too small.
        close(Law::binomial(60, 0.5).at_least(60), 0.5f64.powi(60), "sixty");
        assert_eq!(Law::binomial(10_000, 0.5).at_least(9_000), 0.0);
        assert_eq!(Law::levene(1 << 20, 3).at_least(4), 0.0);
        for drawn in [0, 1, 2, 19, 20] {
            let law = Law::levene(10, drawn);
            close(law.at_least(drawn.min(20 - drawn) % 2), 1.0, "all");
        }
    }

    #[test]
    fn sums_are_sums() {
        let sum = Law::binomial(30, 0.3).plus(&Law::binomial(50, 0.3));
        let law = Law::binomial(80, 0.3);
        for k in 0..=80 {
            close(sum.at_least(k), law.at_least(k), &k.to_string());
        }
        assert_eq!(law.plus(&Law::none()).first, law.first);
    }
}
