//! Measures kernels: megabytes of raw bytes per CPU second, and ratios to yardsticks.
//!
//! CPU seconds, and not those of a clock on the wall, since others use the machine. Repetitions are the
//! outer loop and kernels the inner one, so that each meets the same drift; a ratio is taken within a
//! repetition, and of all of them the median is told. Without `--bench` among the arguments, as when
//! `cargo test --benches` runs it, everything is done once and little: that it works is all it says.
#![allow(clippy::print_stdout, dead_code, unreachable_pub)]

use rustix::time::{ClockId, clock_gettime};

/// Repetitions of which the median is told.
const REPETITIONS: usize = 7;
/// A repetition goes on for at least so many CPU seconds, as the clock is coarse.
const AT_LEAST: f64 = 0.05;

/// Something that is measured.
pub struct Kernel<'a> {
    name: String,
    bytes: usize,
    stored: Option<usize>,
    yardstick: Option<String>,
    run: Box<dyn FnMut() + 'a>,
}

impl<'a> Kernel<'a> {
    /// A kernel whose `run` goes through so many bytes.
    pub fn new(name: impl Into<String>, bytes: usize, run: impl FnMut() + 'a) -> Kernel<'a> {
        Kernel { name: name.into(), bytes, stored: None, yardstick: None, run: Box::new(run) }
    }

    /// With so many bytes left of them.
    pub fn stored(mut self, bytes: usize) -> Kernel<'a> {
        self.stored = Some(bytes);
        self
    }

    /// Beside another of the same list.
    pub fn beside(mut self, yardstick: impl Into<String>) -> Kernel<'a> {
        self.yardstick = Some(yardstick.into());
        self
    }
}

/// The arguments that are not for the harness; none that cargo adds.
pub fn arguments() -> Vec<String> {
    std::env::args().skip(1).filter(|arg| arg != "--bench").collect()
}

/// Whether it is to be measured, and not only tried.
pub fn in_earnest() -> bool {
    std::env::args().any(|arg| arg == "--bench")
}

/// User and system seconds of all threads of this process so far.
pub fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Measures all of them in turn, and prints a line for each.
pub fn bench(mut kernels: Vec<Kernel<'_>>) {
    let (repetitions, at_least) = if in_earnest() { (REPETITIONS, AT_LEAST) } else { (1, 0.0) };
    let mut speeds = vec![Vec::new(); kernels.len()];
    for _ in 0..repetitions {
        for (kernel, speeds) in kernels.iter_mut().zip(&mut speeds) {
            let (start, mut times) = (cpu_seconds(), 0);
            let used = loop {
                (kernel.run)();
                times += 1;
                let used = cpu_seconds() - start;
                if used >= at_least {
                    break used;
                }
            };
            speeds.push(kernel.bytes as f64 * f64::from(times) / 1e6 / used.max(1e-9));
        }
    }
    println!("{:38} {:>8} {:>15} {:>8}  times", "", "MB/CPU s", "lowest-highest", "stored");
    for (kernel, own) in kernels.iter().zip(&speeds) {
        let share = |bytes| format!("{:.4}", bytes as f64 / kernel.bytes as f64);
        let beside = kernel.yardstick.as_ref().map(|yardstick| {
            let at = kernels.iter().position(|other| other.name == *yardstick);
            let other = &speeds[at.expect("the yardstick is in the list")];
            let ratios = own.iter().zip(other).map(|(own, other)| own / other).collect();
            format!("{:5.2} of {yardstick}", median(ratios))
        });
        let span = format!("{:.0}-{:.0}", lowest(own), own.iter().fold(0.0, |a, b| b.max(a)));
        println!(
            "{:38} {:8.0} {span:>15} {:>8}  {}",
            kernel.name,
            median(own.clone()),
            kernel.stored.map(share).unwrap_or_default(),
            beside.unwrap_or_default()
        );
    }
}

fn lowest(speeds: &[f64]) -> f64 {
    speeds.iter().fold(f64::MAX, |a, b| a.min(*b))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Numbers that are the same in every run.
pub struct Noise(pub u64);

impl Noise {
    /// Between 0 and 1.
    pub fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Of mean 0 and deviation 1.
    pub fn normal(&mut self) -> f64 {
        let (u, v) = (self.uniform().max(1e-300), self.uniform());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

/// Lines of JSON with a number, words as frequent as those of prose, and a label.
pub fn text(bytes: usize) -> Vec<u8> {
    let mut noise = Noise(11);
    let word = |noise: &mut Noise| -> String {
        let letters = 2 + (noise.uniform() * 9.0) as usize;
        (0..letters).map(|_| char::from(b'a' + (noise.uniform().powi(2) * 26.0) as u8)).collect()
    };
    let words: Vec<String> = (0..20_000).map(|_| word(&mut noise)).collect();
    let mut text = String::with_capacity(bytes + 400);
    let mut number = 0;
    while text.len() < bytes {
        number += 1;
        text += &format!("{{\"id\":{number},\"score\":{:.6},\"text\":\"", noise.normal());
        for _ in 0..30 {
            // The rank of a word is what makes it rare.
            let rank = (20_000f64.powf(noise.uniform()) - 1.0) as usize;
            text += &words[rank];
            text.push(' ');
        }
        text += &format!("\",\"label\":\"{}\"}}\n", words[(noise.uniform() * 10.0) as usize]);
    }
    let mut text = text.into_bytes();
    text.truncate(bytes);
    text
}

/// A matrix of normal weights whose rows have scales of their own, and the same one moved a little.
pub fn weights(rows: usize, columns: usize, step: f64) -> (Vec<f32>, Vec<f32>) {
    let mut noise = Noise(7);
    let (mut base, mut tuned) = (Vec::new(), Vec::new());
    for _ in 0..rows {
        let scale = 0.02 * (0.2 * noise.normal()).exp();
        for _ in 0..columns {
            let weight = scale * noise.normal();
            base.push(weight as f32);
            tuned.push((weight + 0.02 * step * noise.normal()) as f32);
        }
    }
    (base, tuned)
}

/// Their bytes.
pub fn f32_bytes(weights: &[f32]) -> Vec<u8> {
    weights.iter().flat_map(|w| w.to_le_bytes()).collect()
}

/// Rounded to the nearest even upper half.
pub fn bf16_bytes(weights: &[f32]) -> Vec<u8> {
    let round = |w: &f32| {
        let bits = w.to_bits();
        ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
    };
    weights.iter().flat_map(|w| round(w).to_le_bytes()).collect()
}
