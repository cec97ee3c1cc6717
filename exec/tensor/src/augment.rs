//! Images as learning sees them: cropped and mirrored by chance, anew in each epoch.
//!
//! What happens to an image follows from the shuffle seed, the epoch and its row in the training
//! part, so that neither the batch nor an interruption changes it. What is judged stays as it is.

use lab_preparation::augment::{Augmentation, Crop};
use lab_preparation::images::{FittedPixels, Shape};
use lab_schema::Value;

use crate::error::{Result, TensorError};
use crate::files::Prepared;
use crate::settings::Settings;
use crate::tensor::Tensor;

/// What may happen to images.
pub(crate) struct Augment {
    how: Augmentation,
    shape: Shape,
    /// What a pixel of 0 has become.
    outside: Vec<f32>,
    seed: u64,
}

impl Augment {
    /// What the settings of `train` ask for; none if nothing.
    pub(crate) fn of(
        settings: &Settings<'_>,
        prepared: &Prepared,
        seed: u64,
    ) -> Result<Option<Augment>> {
        let (crop, flip) = (settings.on("crop"), settings.on("flip"));
        let Some(name) = crop.map(|_| "crop").or(flip.map(|_| "flip")) else { return Ok(None) };
        let none = || {
            let other = "examples that are no images".to_owned();
            TensorError::Idle { key: format!("train.{name}"), other }
        };
        let &[height, width, channels] = prepared.sizes.as_slice() else { return Err(none()) };
        let fitted: FittedPixels =
            serde_json::from_value(prepared.fitted.clone()).map_err(|_| none())?;
        let shape = Shape { height, width, channels };
        let window = |padding: usize| {
            let least = height.min(width);
            match padding < least {
                true => Ok(Crop { padding, height, width }),
                false => Err(TensorError::BadValue {
                    key: "train.crop".into(),
                    value: padding.to_string(),
                    line: None,
                    expected: format!(
                        "less than {least} pixels, since the images have {height} x {width},"
                    ),
                }),
            }
        };
        let crop = match crop {
            Some(Value::Int(padding)) => Some(window(*padding as usize)?),
            _ => None,
        };
        let how = Augmentation { crop, flip: flip.is_some(), shift: 0 };
        how.shape(shape)?;
        Ok(Some(Augment { how, shape, outside: fitted.zeros(channels)?, seed }))
    }

    /// The images of a batch, which are those of these rows, as the epoch sees them.
    pub(crate) fn seen(
        &self,
        images: &Tensor,
        rows: &[usize],
        epoch: u32,
    ) -> candle_core::Result<Tensor> {
        let values = images.values()?;
        let mut seen = Vec::with_capacity(values.len());
        for (image, row) in values.chunks((values.len() / rows.len().max(1)).max(1)).zip(rows) {
            let image = (image, self.shape);
            let changed = self.how.apply(image, &self.outside, self.seed, epoch, *row as u64);
            seen.extend(changed.map_err(candle_core::Error::wrap)?);
        }
        Tensor::new(seen, images.shape())
    }
}

#[cfg(test)]
mod tests {
    use lab_arithmetic::{Stream, philox};
    use lab_preparation::Draws;

    use super::*;

    const SHAPE: Shape = Shape { height: 4, width: 5, channels: 2 };
    const SIZE: usize = 40;

    fn augment(crop: Option<usize>, flip: bool) -> Augment {
        let crop = crop.map(|padding| Crop { padding, height: 4, width: 5 });
        let how = Augmentation { crop, flip, shift: 0 };
        Augment { how, shape: SHAPE, outside: vec![-1.0, -2.0], seed: 5 }
    }

    /// Images whose values count up through all of them.
    fn images(rows: &[usize]) -> Tensor {
        let image = |row: &usize| (0..SIZE).map(|i| (row * SIZE + i) as f32).collect::<Vec<_>>();
        Tensor::new(rows.iter().flat_map(image).collect(), &[rows.len(), 4, 5, 2]).unwrap()
    }

    /// `below` as docs/arithmetic.md says.
    fn below(purpose: &str, epoch: u32, index: u64, bound: u64) -> u64 {
        let Stream { key, purpose: [_, stream] } = Draws::new(5, purpose).stream(epoch);
        let [low, high, ..] = philox([index as u32, (index >> 32) as u32, epoch, stream], key);
        let draw = u128::from(u64::from(high) << 32 | u64::from(low));
        ((draw * u128::from(bound)) >> 64) as u64
    }

    // proves A-87
    #[test]
    fn seed_epoch_and_row_say_what_happens_to_an_image() {
        let rows: Vec<usize> = (0..40).collect();
        for (crop, flip) in [(Some(2), true), (Some(1), false), (None, true)] {
            for epoch in [1, 2, 9] {
                let seen = augment(crop, flip).seen(&images(&rows), &rows, epoch).unwrap();
                let seen = seen.values().unwrap();
                for (row, seen) in rows.iter().zip(seen.chunks(SIZE)) {
                    let c = crop.unwrap_or(0) as i64;
                    let at = |side: u64| match crop {
                        Some(c) => {
                            let index = 2 * *row as u64 + side;
                            below("augment/crop", epoch, index, 2 * c as u64 + 1) as i64
                        }
                        None => 0,
                    };
                    let mirrored = flip && below("augment/flip", epoch, *row as u64, 2) == 1;
                    for (i, value) in seen.iter().enumerate() {
                        let (y, x, channel) = (i / 10, i / 2 % 5, i % 2);
                        let x = if mirrored { 4 - x } else { x };
                        let (y, x) = (y as i64 + at(0) - c, x as i64 + at(1) - c);
                        let inside = (0..4).contains(&y) && (0..5).contains(&x);
                        let expected = match inside {
                            true => (*row * SIZE + (y * 10 + x * 2) as usize + channel) as f32,
                            false => [-1.0, -2.0][channel],
                        };
                        assert_eq!(*value, expected, "row {row}, epoch {epoch}, value {i}");
                    }
                }
            }
        }
    }

    // proves A-87
    #[test]
    fn neither_the_batch_nor_the_place_in_it_shows() {
        let augment = augment(Some(2), true);
        let of = |rows: &[usize]| augment.seen(&images(rows), rows, 3).unwrap().values().unwrap();
        let all = of(&[7, 1, 30, 4]);
        assert_eq!(all, [of(&[7, 1]), of(&[30]), of(&[4])].concat());
        let turned = of(&[4, 30, 1, 7]);
        assert!(turned.chunks(SIZE).rev().eq(all.chunks(SIZE)));
        assert_ne!(all, images(&[7, 1, 30, 4]).values().unwrap());
    }
}
