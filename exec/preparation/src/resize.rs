//! Images of another size, bilinear, by half-pixel centres, without antialias.
//!
//! Place i of n output pixels lies at s = (i + 1/2) * m / n - 1/2 of m input pixels, held within
//! 0 to m - 1. With a = floor(s), b = min(a + 1, m - 1) and t = s - a the value is
//! `x[a] * (1 - t) + x[b] * t`, along the width first, then along the height, in f64, rounded to
//! f32 once. This is torch's `interpolate(mode="bilinear", align_corners=False)`.
//!
//! Of pixels of 8 bits that f32 is rounded to the nearest byte, halves up: resized pictures are
//! pictures, and what is fitted to them is fitted to bytes.

use crate::error::Result;
use crate::images::Shape;

/// The two input pixels around an output pixel, and the weight of the second.
struct Between {
    first: usize,
    second: usize,
    part: f64,
}

/// Resizes `images` images of `shape` to `height` and `width`.
///
/// # Errors
/// Values that do not fill the shape, an empty or a huge one.
pub fn resize(
    values: &[f32],
    images: usize,
    shape: Shape,
    height: usize,
    width: usize,
) -> Result<Vec<f32>> {
    shape.check(images, values.len())?;
    let channels = shape.channels;
    let count = Shape { height, width, channels }.values(images)?;
    let (rows, columns) = (places(shape.height, height), places(shape.width, width));
    let mut resized = Vec::with_capacity(count);
    for image in values.chunks_exact(shape.values(1)?) {
        let row = |y: usize| &image[y * shape.width * channels..][..shape.width * channels];
        for down in &rows {
            let (upper, lower) = (row(down.first), row(down.second));
            for across in &columns {
                for channel in 0..channels {
                    let along = |row: &[f32]| {
                        let x = |place: usize| f64::from(row[place * channels + channel]);
                        mix(x(across.first), x(across.second), across.part)
                    };
                    resized.push(mix(along(upper), along(lower), down.part) as f32);
                }
            }
        }
    }
    Ok(resized)
}

/// Resizes `images` images of bytes to `height` and `width`; one at a time, so that the numbers in
/// between take little memory.
///
/// # Errors
/// As [`resize`].
pub fn resize_pixels(
    pixels: &[u8],
    images: usize,
    shape: Shape,
    height: usize,
    width: usize,
) -> Result<Vec<u8>> {
    shape.check(images, pixels.len())?;
    let count = Shape { height, width, ..shape }.values(images)?;
    let mut resized = Vec::with_capacity(count);
    for image in pixels.chunks_exact(shape.values(1)?) {
        let image: Vec<f32> = image.iter().map(|pixel| f32::from(*pixel)).collect();
        let image = resize(&image, 1, shape, height, width)?;
        // Within 0 to 255, as a mean of pixels is; the sum is exact in f64.
        resized.extend(image.iter().map(|value| (f64::from(*value) + 0.5).floor() as u8));
    }
    Ok(resized)
}

fn mix(first: f64, second: f64, part: f64) -> f64 {
    first * (1.0 - part) + second * part
}

fn places(from: usize, to: usize) -> Vec<Between> {
    let last = from - 1;
    let place = |i: usize| {
        let place = (i as f64 + 0.5) * from as f64 / to as f64 - 0.5;
        let place = if place < 0.0 { 0.0 } else { place };
        let first = (place.floor() as usize).min(last);
        let part = if first == last { 0.0 } else { place - first as f64 };
        Between { first, second: (first + 1).min(last), part }
    };
    (0..to).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_cases_by_hand() {
        let line = Shape { height: 1, width: 2, channels: 1 };
        // Places -1/4, 1/4, 3/4, 5/4 of two pixels.
        let wide = resize(&[0.0, 4.0], 1, line, 1, 4).unwrap();
        assert_eq!(wide, [0.0, 1.0, 3.0, 4.0]);
        let tall = resize(&[0.0, 4.0], 1, Shape { height: 2, width: 1, channels: 1 }, 4, 1);
        assert_eq!(tall.unwrap(), [0.0, 1.0, 3.0, 4.0]);
        assert_eq!(resize(&[0.0, 4.0], 1, line, 1, 1).unwrap(), [2.0]);
        let two = Shape { height: 1, width: 2, channels: 2 };
        let same = [1.0, -5.0, 2.0, -6.0, 3.0, -7.0, 4.0, -8.0];
        assert_eq!(resize(&same, 2, two, 1, 2).unwrap(), same);
        assert_eq!(resize(&same, 2, two, 1, 1).unwrap(), [1.5, -5.5, 3.5, -7.5]);
    }

    #[test]
    fn bytes_are_rounded_to_the_nearest() {
        let line = Shape { height: 1, width: 2, channels: 1 };
        // 0.25, 0.75 and, of 1 and 2, the middle: up. The second image is for itself.
        let resized =
            |pixels: &[u8], width| resize_pixels(pixels, pixels.len() / 2, line, 1, width);
        assert_eq!(resized(&[0, 1, 7, 255], 4).unwrap(), [0, 0, 1, 1, 7, 69, 193, 255]);
        assert_eq!(resized(&[1, 2, 254, 255], 1).unwrap(), [2, 255]);
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(resized(&all, 2).unwrap(), all);
    }

    #[test]
    fn hostile_sizes_are_refused() {
        let shape = Shape { height: 1, width: 2, channels: 1 };
        assert!(resize(&[0.0, 1.0], 1, shape, 0, 1).is_err());
        assert!(resize(&[0.0, 1.0], 1, shape, usize::MAX, 2).is_err());
        assert!(resize(&[0.0], 1, shape, 1, 1).is_err());
        assert!(resize(&[], 0, shape, usize::MAX, usize::MAX).is_err());
        assert_eq!(resize(&[], 0, shape, 3, 3).unwrap(), Vec::<f32>::new());
        assert!(resize_pixels(&[0, 1], 1, shape, 0, 1).is_err());
        assert!(resize_pixels(&[0, 1], 1, shape, 1 << 16, 1 << 16).is_err());
        assert!(resize_pixels(&[0], 1, shape, 1, 1).is_err());
    }
}
