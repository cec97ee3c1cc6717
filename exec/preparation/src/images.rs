//! Pixels of 8 bits become numbers around 0 or from 0 to 1.
//!
//! Means and deviations of channels are fitted to the training images in exact integers, with one
//! division each; applied, a pixel has one of 256 values per channel, so each is rounded once.
//! Refuses shapes that the pixels do not fill, before anything is allocated.

use serde::{Deserialize, Serialize};

use crate::error::{PreparationError, Result};

/// Most values in a set of images.
const MAX_PIXELS: u64 = 1 << 30;
/// Most rows, columns or channels of an image.
pub(crate) const MAX_SIDE: usize = 1 << 16;

/// The shape of one image: height, width and channels, from 1 to 65,536 each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Rows of pixels.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
    /// Values of a pixel, such as 1 for grey or 3 for red, green and blue.
    pub channels: usize,
}

impl Shape {
    /// Values of `images` images; refuses empty and huge ones, also if there is no image.
    pub(crate) fn values(&self, images: usize) -> Result<usize> {
        let sides = [self.height, self.width, self.channels];
        if !sides.iter().all(|side| (1..=MAX_SIDE).contains(side)) {
            let value = format!("{} x {} x {}", self.height, self.width, self.channels);
            let needed = "1 to 65536 rows, columns and channels";
            return Err(PreparationError::Option { option: "shape", value, needed });
        }
        let size: u64 = sides.iter().map(|side| *side as u64).product();
        let found = size.saturating_mul(images as u64).max(size);
        match found <= MAX_PIXELS {
            true => Ok(size as usize * images),
            false => {
                let (what, limit) = ("values of the images", MAX_PIXELS);
                Err(PreparationError::TooLarge { what, found, limit })
            }
        }
    }

    /// Refuses values that are not those of `images` images.
    pub(crate) fn check(&self, images: usize, found: usize) -> Result<()> {
        match self.values(images)? {
            needed if needed == found => Ok(()),
            needed => {
                let needed = needed as u64;
                Err(PreparationError::Shape { what: "images", found, needed })
            }
        }
    }
}

/// Images of one shape: `[count, height, width, channels]`, the last the fastest.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    count: usize,
    shape: Shape,
    pixels: &'a [u8],
}

impl<'a> Images<'a> {
    /// Refuses pixels that do not fill the shape, and more than 2^30 of them.
    pub fn new(count: usize, shape: Shape, pixels: &'a [u8]) -> Result<Images<'a>> {
        shape.check(count, pixels.len())?;
        Ok(Images { count, shape, pixels })
    }

    /// The pixels of one image; the index is below the count.
    fn image(&self, index: usize) -> &'a [u8] {
        let size = self.pixels.len() / self.count;
        &self.pixels[index * size..][..size]
    }

    fn check_rows(&self, rows: &[usize]) -> Result<()> {
        match rows.iter().find(|row| **row >= self.count) {
            Some(row) => Err(PreparationError::Rows { row: *row, why: "the images end before it" }),
            None => Ok(()),
        }
    }
}

/// How pixels become numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PixelPlan {
    /// x / 255.
    Divide,
    /// (x - mean) / deviation, per channel, of the population of the training images' pixels.
    Normalize,
}

/// A fitted [`PixelPlan`]. Means and deviations are in steps of a pixel, 0 to 255.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FittedPixels {
    /// x / 255.
    Divide,
    /// (x - mean) / deviation.
    Normalize {
        /// Of each channel: the sum, divided by the count.
        means: Vec<f64>,
        /// Of each channel: sqrt(count * sum of squares - sum^2) / count; 1 if that is 0.
        deviations: Vec<f64>,
    },
}

impl PixelPlan {
    /// Fits to the images in `rows`, the training images.
    ///
    /// # Errors
    /// No image, or one that is not there.
    pub fn fit(&self, images: &Images<'_>, rows: &[usize]) -> Result<FittedPixels> {
        images.check_rows(rows)?;
        if rows.is_empty() {
            return Err(PreparationError::NoValue { column: "of pixels".into() });
        }
        if *self == PixelPlan::Divide {
            return Ok(FittedPixels::Divide);
        }
        let channels = images.shape.channels;
        let mut sums = vec![(0u128, 0u128); channels];
        for row in rows {
            for pixel in images.image(*row).chunks_exact(channels) {
                for ((sum, squares), x) in sums.iter_mut().zip(pixel) {
                    *sum += u128::from(*x);
                    *squares += u128::from(*x) * u128::from(*x);
                }
            }
        }
        let count = rows.len() as u128 * (images.shape.height * images.shape.width) as u128;
        let deviation = |(sum, squares): &(u128, u128)| match count * squares - sum * sum {
            0 => 1.0,
            spread => (spread as f64).sqrt() / count as f64,
        };
        Ok(FittedPixels::Normalize {
            means: sums.iter().map(|(sum, _)| *sum as f64 / count as f64).collect(),
            deviations: sums.iter().map(deviation).collect(),
        })
    }
}

impl FittedPixels {
    /// The numbers of the images in `rows`, in their order: `[rows, height, width, channels]`.
    ///
    /// # Errors
    /// An image that is not there, other channels than were fitted, a number that is not finite.
    pub fn apply(&self, images: &Images<'_>, rows: &[usize]) -> Result<Vec<f32>> {
        images.check_rows(rows)?;
        let channels = images.shape.channels;
        let values = self.values(channels)?;
        let mut numbers = Vec::with_capacity(images.shape.values(rows.len())?);
        for row in rows {
            for pixel in images.image(*row).chunks_exact(channels) {
                for (values, x) in values.iter().zip(pixel) {
                    numbers.push(values[usize::from(*x)]);
                }
            }
        }
        Ok(numbers)
    }

    /// For each channel what stands for a pixel of 0, such as outside of the image.
    pub fn zeros(&self, channels: usize) -> Result<Vec<f32>> {
        Ok(self.values(channels)?.iter().map(|values| values[0]).collect())
    }

    fn values(&self, channels: usize) -> Result<Vec<[f32; 256]>> {
        if channels > MAX_SIDE {
            let (found, limit) = (channels as u64, MAX_SIDE as u64);
            return Err(PreparationError::TooLarge { what: "channels", found, limit });
        }
        let bad = |why| Err(PreparationError::Fitted { what: "pixels".into(), why });
        let (means, deviations) = match self {
            FittedPixels::Divide => {
                let value = |x: usize| (x as f64 / 255.0) as f32;
                return Ok(vec![std::array::from_fn(value); channels]);
            }
            FittedPixels::Normalize { means, deviations } => (means, deviations),
        };
        if means.len() != channels || deviations.len() != channels {
            return bad("it has other channels than the images");
        }
        let mut values = Vec::with_capacity(channels);
        for (mean, deviation) in means.iter().zip(deviations) {
            let value = |x: usize| ((x as f64 - mean) / deviation) as f32;
            let channel: [f32; 256] = std::array::from_fn(value);
            if !channel.iter().all(|value| value.is_finite()) {
                return bad("a pixel would not be finite");
            }
            values.push(channel);
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { height: 1, width: 2, channels: 2 };
    const PIXELS: [u8; 12] = [0, 10, 4, 10, 8, 10, 4, 10, 255, 1, 255, 2];

    #[test]
    fn channels_by_hand() {
        let images = Images::new(3, SHAPE, &PIXELS).unwrap();
        let fitted = PixelPlan::Normalize.fit(&images, &[0, 1]).unwrap();
        let expected =
            FittedPixels::Normalize { means: vec![4.0, 10.0], deviations: vec![8f64.sqrt(), 1.0] };
        assert_eq!(fitted, expected);
        let numbers = fitted.apply(&images, &[2, 0]).unwrap();
        assert_eq!(numbers.len(), 8);
        assert_eq!(numbers[..2], [(251.0 / 8f64.sqrt()) as f32, -9.0]);
        assert_eq!(numbers[4], (-4.0 / 8f64.sqrt()) as f32);
        assert_eq!(fitted.zeros(2).unwrap(), [numbers[4], -10.0]);
        let read = serde_json::from_str::<FittedPixels>(&serde_json::to_string(&fitted).unwrap());
        assert_eq!(read.unwrap(), fitted);
        assert_eq!(
            PixelPlan::Divide.fit(&images, &[0]).unwrap().apply(&images, &[2]).unwrap()[0],
            1.0
        );
    }

    #[test]
    fn test_images_change_nothing_that_is_fitted() {
        let mut changed = PIXELS;
        changed[8..].fill(77);
        let fit = |pixels: &[u8]| {
            PixelPlan::Normalize.fit(&Images::new(3, SHAPE, pixels).unwrap(), &[0, 1]).unwrap()
        };
        assert_eq!(fit(&changed), fit(&PIXELS));
        changed[0] = 1;
        assert_ne!(fit(&changed), fit(&PIXELS));
    }

    #[test]
    fn hostile_shapes_and_states_are_refused() {
        let new = |count, shape| Images::new(count, shape, &PIXELS).map(drop);
        let error = new(4, SHAPE).unwrap_err().to_string();
        assert_eq!(error, "images: 12 values are there, 16 are needed");
        for shape in [
            Shape { height: usize::MAX, ..SHAPE },
            Shape { height: 1 << 40, width: 1 << 40, channels: 1 << 40 },
            Shape { channels: 0, ..SHAPE },
        ] {
            assert!(new(3, shape).is_err() && new(0, shape).is_err());
        }
        let images = Images::new(3, SHAPE, &PIXELS).unwrap();
        assert!(PixelPlan::Divide.fit(&images, &[3]).is_err());
        assert!(PixelPlan::Normalize.fit(&images, &[]).is_err());
        assert!(FittedPixels::Divide.zeros(usize::MAX).is_err());
        for (means, deviations) in
            [(vec![0.0], vec![1.0]), (vec![0.0; 2], vec![1.0, 0.0]), (vec![0.0; 2], vec![1.0; 3])]
        {
            assert!(FittedPixels::Normalize { means, deviations }.apply(&images, &[0]).is_err());
        }
    }
}
