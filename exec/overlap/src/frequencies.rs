//! Images by their low frequencies: what stays when they are encoded anew, resized or brightened.
//!
//! Of the two-dimensional cosine transform (DCT-II) of the brightness the lowest 12 x 12
//! coefficients are kept, without the first, which is the mean. They are those of the image, not of
//! a small copy: an image of another size has nearly the same. Divided by their length they are a
//! vector that contrast does not change either, and the product of two of them is the correlation
//! of the two images without their fine detail (by Parseval's theorem). It is kept in integers, so
//! that a product is exact.
//!
//! A hash of 63 bits says of the lowest 8 x 8, without the first, which are above their median
//! (Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010).
//!
//! Memory: 296 bytes an image.

use std::f64::consts::PI;

/// How many frequencies are kept in each direction.
const KEPT: usize = 12;
/// How many of them the hash looks at.
const HASHED: usize = 8;
/// The bits of a hash.
pub(crate) const BITS: u32 = 63;
/// By how many places neighbouring bits of a hash are apart; 63 has no factor in common with it.
const SPREAD: usize = 25;
/// What a coefficient of 1 is kept as; the sum of all products then is below 2^29.
const UNIT: f64 = 16_384.0;
/// Less than this part of the brightest value is no structure: one of 255 levels.
const LEAST_PART: f32 = 0.004;

/// The low frequencies of an image.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Frequencies {
    /// Bit by bit whether a coefficient is above the median.
    pub(crate) hash: u64,
    /// In units of 1/16384; the first, which is the mean, is 0.
    coefficients: [i16; KEPT * KEPT],
}

impl Frequencies {
    /// The correlation with another image, from -1 to 1.
    pub(crate) fn correlation(&self, other: &Frequencies) -> f64 {
        let pairs = self.coefficients.iter().zip(&other.coefficients);
        let sum: i32 = pairs.map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
        f64::from(sum) / (UNIT * UNIT)
    }
}

/// The cosines for one side of an image, for each pixel one for each frequency.
type Cosines = Vec<[f32; KEPT]>;

/// For `length` pixels, each of which is taken from `moved` pixels further on; beyond the edge the
/// pixels at the edge repeat.
fn cosines(length: usize, moved: isize) -> Cosines {
    let mut all = vec![[0f64; KEPT]; length];
    for pixel in 0..length {
        let from = pixel.saturating_add_signed(moved).min(length - 1);
        for (frequency, sum) in (0..).zip(&mut all[from]) {
            // Orthonormal for any length, but for a factor that all coefficients share.
            let scale = if frequency == 0 { 0.5f64.sqrt() } else { 1.0 };
            let angle = (pixel as f64 + 0.5) * f64::from(frequency) * PI / length as f64;
            *sum += scale * libm::cos(angle);
        }
    }
    all.into_iter().map(|row| row.map(|value| value as f32)).collect()
}

/// Transforms images of one size.
pub(crate) struct Transform {
    height: usize,
    width: usize,
    down: Vec<Cosines>,
    across: Vec<Cosines>,
}

/// By how many pixels an image is moved; staying comes first.
const MOVES: [isize; 3] = [0, -1, 1];

impl Transform {
    /// For images of this size, 12 x 12 at least; moved in all directions if `moved`.
    pub(crate) fn new(height: usize, width: usize, moved: bool) -> Transform {
        let moves = if moved { &MOVES[..] } else { &MOVES[..1] };
        let all = |length| moves.iter().map(|by| cosines(length, *by)).collect();
        Transform { height, width, down: all(height), across: all(width) }
    }

    /// The low frequencies of an image with this brightness, row by row; first as it is, then
    /// moved. Nothing if it has no structure.
    pub(crate) fn of(&self, pixels: &[f32]) -> Vec<Frequencies> {
        let brightest = pixels.iter().fold(0f32, |most, pixel| most.max(pixel.abs()));
        let mut all = Vec::with_capacity(self.down.len() * self.across.len());
        for down in &self.down {
            let lines = self.lines(down, pixels);
            for across in &self.across {
                let mut coefficients = [0f32; KEPT * KEPT];
                let rows = coefficients.as_chunks_mut::<KEPT>().0;
                for (line, row) in lines.chunks_exact(self.width).zip(rows) {
                    for (value, cosines) in line.iter().zip(across) {
                        let sums = row.iter_mut().zip(cosines);
                        sums.for_each(|(sum, cosine)| *sum += value * cosine);
                    }
                }
                let least = LEAST_PART * brightest * (self.height * self.width) as f32;
                all.extend(kept(coefficients, least));
            }
        }
        all
    }

    /// For each frequency the sum of all rows of pixels, each times its cosine.
    fn lines(&self, down: &Cosines, pixels: &[f32]) -> Vec<f32> {
        let mut lines = vec![0f32; KEPT * self.width];
        for (row, cosines) in pixels.chunks_exact(self.width).zip(down) {
            for (line, cosine) in lines.chunks_exact_mut(self.width).zip(cosines) {
                line.iter_mut().zip(row).for_each(|(sum, pixel)| *sum += cosine * pixel);
            }
        }
        lines
    }
}

/// Coefficients as they are kept, if they are `least` together.
fn kept(mut coefficients: [f32; KEPT * KEPT], least: f32) -> Option<Frequencies> {
    coefficients[0] = 0.0;
    let square: f64 = coefficients.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
    let length = square.sqrt();
    // A wave of the amplitude a has a coefficient of a / 2 times the pixels; NaN is no structure.
    if length.is_nan() || length <= f64::from(least) / 2.0 || !length.is_finite() {
        return None;
    }
    // Neighbours are alike: the order puts them far apart, so that parts of the hash differ more.
    let place = |bit: usize| 1 + bit * SPREAD % BITS as usize;
    let hashed: [f32; BITS as usize] = std::array::from_fn(|bit| {
        let place = place(bit);
        coefficients[place / HASHED * KEPT + place % HASHED]
    });
    let mut sorted = hashed;
    sorted.sort_unstable_by(f32::total_cmp);
    let median = sorted[sorted.len() / 2];
    let hash = hashed.iter().fold(0, |hash, value| hash << 1 | u64::from(*value > median));
    let unit = |value: f32| (f64::from(value) / length * UNIT).round() as i16;
    Some(Frequencies { hash, coefficients: coefficients.map(unit) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(height: usize, width: usize, seed: f64) -> Vec<f32> {
        let pixel = |index: usize| {
            let (y, x) =
                ((index / width) as f64 / height as f64, (index % width) as f64 / width as f64);
            let wave = (7.0 * x + seed).sin() + (5.0 * y * (1.0 + x) + 2.0 * seed).cos();
            (100.0 + 40.0 * wave) as f32
        };
        (0..height * width).map(pixel).collect()
    }

    fn of(pixels: &[f32], height: usize, width: usize) -> Frequencies {
        Transform::new(height, width, false).of(pixels).remove(0)
    }

    #[test]
    fn light_and_size_do_not_count() {
        let own = of(&picture(40, 60, 1.0), 40, 60);
        assert!((own.correlation(&own) - 1.0).abs() < 1e-3);
        let bright: Vec<f32> = picture(40, 60, 1.0).iter().map(|x| 1.3 * x + 20.0).collect();
        let larger = picture(80, 120, 1.0);
        for other in [of(&bright, 40, 60), of(&larger, 80, 120)] {
            assert!(own.correlation(&other) > 0.999, "{}", own.correlation(&other));
            assert!((own.hash ^ other.hash).count_ones() <= 4);
        }
        let different = of(&picture(40, 60, 2.0), 40, 60);
        assert!(own.correlation(&different) < 0.9, "{}", own.correlation(&different));
    }

    #[test]
    fn moved_images_are_among_the_moved() {
        let (height, width) = (30, 30);
        let image = picture(height, width, 1.0);
        let moved = |y: usize, x: usize| image[y.saturating_sub(1) * width + (x + 1).min(29)];
        let moved: Vec<f32> = (0..900).map(|index| moved(index / width, index % width)).collect();
        let all = Transform::new(height, width, true).of(&image);
        let target = of(&moved, height, width);
        let best = all.iter().map(|own| own.correlation(&target)).fold(0.0, f64::max);
        assert_eq!(all.len(), 9);
        assert!(best > 0.9999 && best > all[0].correlation(&target), "{best}");
    }

    #[test]
    fn what_is_flat_has_no_frequencies() {
        let transform = Transform::new(20, 20, true);
        assert!(transform.of(&[0.0; 400]).is_empty());
        assert!(transform.of(&[200.0; 400]).is_empty());
        let noisy: Vec<f32> = (0..400).map(|i| 200.0 + (i % 2) as f32 / 2.0).collect();
        assert!(transform.of(&noisy).is_empty());
        assert!(transform.of(&[f32::MAX; 400]).is_empty());
    }
}
