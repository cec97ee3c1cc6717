//! Scores as they might come, and how often a method finds a difference in them: for the example,
//! which measures it, and for the test that watches over it.
#![allow(missing_docs, dead_code, unreachable_pub)]

use lab_statistics::{Estimate, Interval, Superiority, permutation, superiority};

/// Draws that are not those of the crate.
pub struct Draws(u64);

impl Draws {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_f491_4f6c_dd1d) | 1)
    }

    /// xorshift64* (Marsaglia 2003; Vigna 2016).
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Above 0 and at most 1.
    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// Box and Muller 1958.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }
}

/// How scores vary from seed to seed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scores {
    Normal,
    /// Lognormal, with a deviation of 1 in the logarithm.
    Skewed,
    /// Normal, but 15 % of the seeds fail and end ten deviations lower.
    Failing,
}

impl Scores {
    pub const ALL: [Scores; 3] = [Scores::Normal, Scores::Skewed, Scores::Failing];

    fn one(self, draws: &mut Draws) -> f64 {
        match self {
            Scores::Normal => draws.normal(),
            Scores::Skewed => draws.normal().exp(),
            Scores::Failing => draws.normal() - if draws.uniform() <= 0.15 { 10.0 } else { 0.0 },
        }
    }

    pub fn mean(self) -> f64 {
        match self {
            Scores::Normal => 0.0,
            Scores::Skewed => 0.5_f64.exp(),
            Scores::Failing => -1.5,
        }
    }

    pub fn deviation(self) -> f64 {
        match self {
            Scores::Normal => 1.0,
            Scores::Skewed => ((1_f64.exp() - 1.0) * 1_f64.exp()).sqrt(),
            Scores::Failing => (1.0 + 100.0 * 0.15 * 0.85_f64).sqrt(),
        }
    }
}

/// Two arms.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub scores: Scores,
    pub n: usize,
    pub m: usize,
    /// How many times as far the scores of A lie from their mean.
    pub spread: f64,
    /// By how many deviations of B the mean of A is higher.
    pub gain: f64,
}

impl Setting {
    pub fn arms(&self, draws: &mut Draws) -> (Vec<f64>, Vec<f64>) {
        let mean = self.scores.mean();
        let of_a = |draws: &mut Draws| {
            (self.scores.one(draws) - mean) * self.spread + self.gain * self.scores.deviation()
        };
        let a = (0..self.n).map(|_| of_a(draws)).collect();
        (a, (0..self.m).map(|_| self.scores.one(draws) - mean).collect())
    }

    /// The true P(A > B), of so many pairs if it is not plain.
    pub fn superiority(&self, pairs: usize) -> f64 {
        if self.gain == 0.0 && self.spread == 1.0 {
            return 0.5;
        }
        let mut draws = Draws::new(99);
        let one = Setting { n: 1, m: 1, ..*self };
        let above = (0..pairs).filter(|_| {
            let (a, b) = one.arms(&mut draws);
            a[0] > b[0]
        });
        above.count() as f64 / pairs as f64
    }
}

/// Whether the percentile bootstrap over runs finds a difference at 5 %, with 1,000 draws.
pub fn bootstrap_finds(a: &[f64], b: &[f64], draws: &mut Draws) -> bool {
    let mut mean = |arm: &[f64]| {
        let sum: f64 = (0..arm.len()).map(|_| arm[draws.below(arm.len())]).sum();
        sum / arm.len() as f64
    };
    let mut below = 0;
    let mut above = 0;
    for _ in 0..1_000 {
        let difference = mean(a) - mean(b);
        below += u32::from(difference <= 0.0);
        above += u32::from(difference >= 0.0);
    }
    below < 25 || above < 25
}

/// In which share of the repetitions something was so.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shares {
    /// The default test finds a difference at 5 %.
    pub ours: f64,
    /// Welch's t test does.
    pub welch: f64,
    /// The percentile bootstrap does.
    pub bootstrap: f64,
    /// The default and Welch's test both do.
    pub both: f64,
    /// Welch's 95 % interval holds the true difference.
    pub interval: f64,
    /// The 95 % interval of P(A > B) holds the true one.
    pub superiority: f64,
}

pub fn simulate(setting: &Setting, repetitions: usize, seed: u64, bootstrap: bool) -> Shares {
    // The bootstrap draws for itself, so that the scores are the same with and without it.
    let (mut draws, mut again) = (Draws::new(seed), Draws::new(seed + 1_000_000));
    let truth = setting.gain * setting.scores.deviation();
    let probability = setting.superiority(400_000);
    let mut counts = [0_u32; 6];
    for _ in 0..repetitions {
        let (a, b) = setting.arms(&mut draws);
        let test = permutation(&a, &b).expect("a test");
        let estimate = Estimate::welch(&a, &b).expect("an estimate");
        let Superiority { interval, .. } = superiority(&a, &b, 0.05).expect("a probability");
        let (ours, welch) = (test.p <= 0.05, estimate.p() <= 0.05);
        let holds = |ends: Interval, truth: f64| ends.low <= truth && truth <= ends.high;
        let answers = [
            ours,
            welch,
            bootstrap && bootstrap_finds(&a, &b, &mut again),
            ours && welch,
            holds(estimate.interval(0.05).expect("an interval"), truth),
            holds(interval, probability),
        ];
        counts.iter_mut().zip(answers).for_each(|(count, is)| *count += u32::from(is));
    }
    let [ours, welch, bootstrap, both, interval, superiority] =
        counts.map(|count| f64::from(count) / repetitions as f64);
    Shares { ours, welch, bootstrap, both, interval, superiority }
}
