//! Images as training sees them: cropped, mirrored and shifted by chance.
//!
//! What happens to an image is a function of the seed, the epoch and the image's index alone, so
//! neither the batch, the order nor the number of threads changes it. Refuses crops that do not
//! fit, before anything is allocated.

use serde::{Deserialize, Serialize};

use crate::error::{PreparationError, Result};
use crate::images::{MAX_SIDE, Shape};
use crate::rng::Draws;

/// What may happen to a training image, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// A window of the image.
    pub crop: Option<Crop>,
    /// Whether half of the images are mirrored, left to right.
    pub flip: bool,
    /// Most pixels by which the image is moved, up or down and left or right; 0 for none.
    pub shift: usize,
}

/// A window of the image, which has a border first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crop {
    /// Pixels added on every side.
    pub padding: usize,
    /// Height of the window.
    pub height: usize,
    /// Width of the window.
    pub width: usize,
}

/// What happens to one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    /// The first row and column of the window, in the image without its border.
    down: i64,
    across: i64,
    flip: bool,
}

impl Augmentation {
    /// The shape of images of `shape` afterwards.
    ///
    /// # Errors
    /// A window that is empty or larger than the image with its border, a shift or a border of
    /// more than 65,536 pixels.
    pub fn shape(&self, shape: Shape) -> Result<Shape> {
        let bad =
            |option, value: String, needed| Err(PreparationError::Option { option, value, needed });
        shape.values(1)?;
        if self.shift > MAX_SIDE {
            return bad("shift", self.shift.to_string(), "at most 65536");
        }
        let Some(Crop { padding, height, width }) = self.crop else { return Ok(shape) };
        if padding > MAX_SIDE {
            return bad("padding", padding.to_string(), "at most 65536");
        }
        let fits = |window: usize, side: usize| (1..=side + 2 * padding).contains(&window);
        match fits(height, shape.height) && fits(width, shape.width) {
            true => Ok(Shape { height, width, ..shape }),
            false => bad("crop", format!("{height} x {width}"), "a window inside the image"),
        }
    }

    /// Image `index` as epoch `epoch` sees it.
    ///
    /// The window's first row and column are even draws by the purpose `augment/crop`, at the
    /// indices 2 * `index` and 2 * `index` + 1 of the lane `epoch`; alike the shift, by
    /// `augment/shift`; mirrored is what draws 1 of 2 by `augment/flip` at `index`. The window of
    /// the mirrored image is that which was drawn, mirrored; the shift moves what is seen then, so
    /// that the image's own pixels beyond the window come in.
    /// `outside` stands for each channel's pixel beyond the image: what a pixel of 0 has become
    /// ([`crate::images::FittedPixels::zeros`]).
    ///
    /// # Errors
    /// Those of [`Augmentation::shape`]; pixels that do not fill the shape.
    pub fn apply<T: Copy>(
        &self,
        (image, shape): (&[T], Shape),
        outside: &[T],
        seed: u64,
        epoch: u32,
        index: u64,
    ) -> Result<Vec<T>> {
        let window = self.shape(shape)?;
        shape.check(1, image.len())?;
        if outside.len() != shape.channels {
            let (found, needed) = (outside.len(), shape.channels as u64);
            return Err(PreparationError::Shape { what: "pixel outside", found, needed });
        }
        let change = self.change(shape, window, seed, epoch, index);
        let mut seen = Vec::with_capacity(window.values(1)?);
        for y in 0..window.height as i64 {
            for x in 0..window.width as i64 {
                let pixel = change.source(y, x, window.width as i64);
                seen.extend_from_slice(at(image, shape, pixel).unwrap_or(outside));
            }
        }
        Ok(seen)
    }

    fn change(&self, from: Shape, to: Shape, seed: u64, epoch: u32, index: u64) -> Change {
        let index_of = |side: u64| index.wrapping_mul(2).wrapping_add(side);
        let draws = |purpose: &str| Draws::new(seed, purpose);
        let (mut down, mut across) = (0, 0);
        if let Some(crop) = self.crop {
            let draws = draws("augment/crop");
            let place = |side, from: usize, to: usize| {
                let places = (from + 2 * crop.padding - to) as u64 + 1;
                draws.below(epoch, index_of(side), places) as i64 - crop.padding as i64
            };
            down = place(0, from.height, to.height);
            across = place(1, from.width, to.width);
        }
        let flip = self.flip && draws("augment/flip").below(epoch, index, 2) == 1;
        if self.shift > 0 {
            let draws = draws("augment/shift");
            let moved = |side| {
                let places = 2 * self.shift as u64 + 1;
                draws.below(epoch, index_of(side), places) as i64 - self.shift as i64
            };
            down -= moved(0);
            // What is seen moves to the right, also if it is mirrored.
            across -= if flip { -moved(1) } else { moved(1) };
        }
        Change { down, across, flip }
    }
}

impl Change {
    /// The image's pixel that is seen at row `y` and column `x` of a window of this width.
    fn source(&self, y: i64, x: i64, width: i64) -> (i64, i64) {
        let x = if self.flip { width - 1 - x } else { x };
        (y + self.down, x + self.across)
    }
}

fn at<T>(image: &[T], shape: Shape, (y, x): (i64, i64)) -> Option<&[T]> {
    let y = usize::try_from(y).ok().filter(|y| *y < shape.height)?;
    let x = usize::try_from(x).ok().filter(|x| *x < shape.width)?;
    Some(&image[(y * shape.width + x) * shape.channels..][..shape.channels])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const SHAPE: Shape = Shape { height: 3, width: 4, channels: 2 };

    fn image() -> Vec<u8> {
        (1..=24).collect()
    }

    fn seen(augmentation: &Augmentation, epoch: u32, index: u64) -> Vec<u8> {
        augmentation.apply((&image(), SHAPE), &[0, 99], 7, epoch, index).unwrap()
    }

    /// How often each outcome comes in 3,000 images.
    fn outcomes(augmentation: &Augmentation) -> BTreeMap<Vec<u8>, u32> {
        let mut outcomes = BTreeMap::new();
        (0..3000).for_each(|i| *outcomes.entry(seen(augmentation, 1, i)).or_default() += 1);
        outcomes
    }

    fn crop(padding: usize, height: usize, width: usize) -> Augmentation {
        Augmentation { crop: Some(Crop { padding, height, width }), ..Augmentation::default() }
    }

    #[test]
    fn nothing_happens_unless_it_is_asked_for() {
        assert_eq!(seen(&Augmentation::default(), 3, 5), image());
        assert_eq!(seen(&crop(0, 3, 4), 3, 5), image());
    }

    #[test]
    fn half_of_the_images_are_mirrored() {
        let flip = Augmentation { flip: true, ..Augmentation::default() };
        let outcomes = outcomes(&flip);
        let mirror = |row: &[u8]| row.chunks(2).rev().collect::<Vec<_>>().concat();
        let mirrored: Vec<u8> = image().chunks(8).flat_map(mirror).collect();
        assert_eq!(mirrored[..8], [7, 8, 5, 6, 3, 4, 1, 2]);
        assert_eq!(outcomes.len(), 2);
        // 1,500 expected; five standard deviations are 137.
        assert!(outcomes[&mirrored].abs_diff(1500) < 137 && outcomes.contains_key(&image()));
    }

    #[test]
    fn every_window_is_equally_likely() {
        let found = outcomes(&crop(1, 3, 4));
        // Nine places, 333 each expected; five standard deviations are 86.
        assert_eq!(found.len(), 9);
        assert!(found.values().all(|n| n.abs_diff(333) < 86), "{found:?}");
        // The upper left one: a row and a column of the border.
        let corner =
            [[0, 99].repeat(4), vec![0, 99, 1, 2, 3, 4, 5, 6], vec![0, 99, 9, 10, 11, 12, 13, 14]];
        assert!(found.contains_key(&corner.concat()));
        let small = outcomes(&crop(0, 1, 3));
        assert_eq!(small.len(), 6);
        assert!(small.contains_key(&vec![11, 12, 13, 14, 15, 16]));
    }

    #[test]
    fn a_shift_is_a_crop_with_a_border() {
        let shift = Augmentation { shift: 1, ..Augmentation::default() };
        let keys = |outcomes: BTreeMap<Vec<u8>, u32>| outcomes.into_keys().collect::<Vec<_>>();
        assert_eq!(keys(outcomes(&shift)), keys(outcomes(&crop(1, 3, 4))));
    }

    #[test]
    fn mirrored_images_are_shifted_like_others() {
        let flip = Augmentation { flip: true, ..Augmentation::default() };
        let shift = Augmentation { shift: 2, ..Augmentation::default() };
        let both = Augmentation { flip: true, shift: 2, ..Augmentation::default() };
        for index in 0..100 {
            let mirrored = seen(&flip, 1, index);
            let expected = shift.apply((&mirrored, SHAPE), &[0, 99], 7, 1, index).unwrap();
            assert_eq!(seen(&both, 1, index), expected);
        }
    }

    #[test]
    fn seed_epoch_and_index_decide_and_nothing_else() {
        let all = Augmentation { flip: true, shift: 1, ..crop(4, 3, 4) };
        let of = |seed, epoch, index| {
            all.apply((&image(), SHAPE), &[0, 99], seed, epoch, index).unwrap()
        };
        assert_eq!(of(1, 2, 3), of(1, 2, 3));
        let differ = |other: &dyn Fn(u64) -> Vec<u8>| (0..20).any(|i| other(i) != of(1, 2, i));
        assert!(
            differ(&|i| of(2, 2, i)) && differ(&|i| of(1, 3, i)) && differ(&|i| of(1, 2, i + 1))
        );
        // Whether an image is mirrored does not depend on how it is cropped.
        let flip = Augmentation { flip: true, ..Augmentation::default() };
        for index in 0..50 {
            let change = |a: &Augmentation| a.change(SHAPE, SHAPE, 1, 2, index).flip;
            assert_eq!(change(&flip), change(&all));
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for wrong in [crop(0, 4, 4), crop(0, 0, 1), crop(1, 3, 7), crop(usize::MAX, 1, 1)] {
            assert!(wrong.apply((&image(), SHAPE), &[0, 0], 1, 1, 1).is_err());
        }
        let far = Augmentation { shift: usize::MAX, ..Augmentation::default() };
        assert!(far.shape(SHAPE).is_err());
        let none = Augmentation::default();
        assert!(none.apply((&image()[1..], SHAPE), &[0, 0], 1, 1, 1).is_err());
        assert!(none.apply((&image(), SHAPE), &[0], 1, 1, 1).is_err());
        assert!(crop(1, 5, 6).apply((&image(), SHAPE), &[0, 0], 1, 1, u64::MAX).is_ok());
    }
}
