//! Images that are nearly equal: encoded anew, resized, brighter, or moved by a pixel.
//!
//! Near does not mean of one class. Those whose hashes differ in at most [`MAX_BITS`] = 4 bits are
//! looked at, and are near if the correlation of their low frequencies is at least
//! [`CORRELATION`] = 0.997. Both were chosen on MNIST's test images, the hardest case there is:
//! handwritten ones differ little. Among all pairs of these 10,000, each also moved by a pixel, no
//! two reach 0.9961, while of 2,000 that were encoded as JPEG of quality 50, 99 % reach 0.9978; at
//! other contrast 0.9980; resized to 32 x 32 pixels 0.9982, to 24 x 24 0.9968.
//!
//! Hashes are cut into five parts. Two that differ in four bits are equal in one of these, so that
//! images are compared with those alone that share a part (Norouzi, Punjani, Fleet, "Fast search in
//! Hamming space with multi-index hashing", 2012); with at most [`REACH`] of them, those of the
//! closest hashes in numerical order, which bounds the work where thousands look alike. Images with
//! a side of 256 or more are not moved, as a pixel is little there; with one below [`MIN_SIDE`], or
//! without structure, they are compared for equality alone. Colours do not count.
//! Pictures that lost much, such as JPEG of a quality far below 50, are not found.
//!
//! Memory: 304 bytes an image, and 16 in each of five lists.

use crate::examples::Arrays;
use crate::frequencies::{BITS, Frequencies, Transform};

/// The least correlation of low frequencies.
pub const CORRELATION: f64 = 0.997;
/// The most bits in which the hashes differ.
pub const MAX_BITS: u32 = 4;
/// The shortest side of an image that is looked at.
pub const MIN_SIDE: usize = 16;
/// With how many others that share a part of its hash an image is compared.
pub(crate) const REACH: usize = 4096;
const MOST_MOVED: usize = 256;
const PARTS: u32 = MAX_BITS + 1;
const PART_BITS: u32 = BITS.div_ceil(PARTS);

/// The images with these places that have a part of their hash in common, sorted.
struct Part {
    shift: u32,
    /// Hashes, turned so that the part comes first, and which image has them.
    sorted: Vec<(u64, u32)>,
}

impl Part {
    fn new(number: u32, images: &[(u32, Frequencies)]) -> Part {
        let mut part = Part { shift: number * PART_BITS, sorted: Vec::new() };
        part.sorted = images.iter().map(|(_, image)| part.turned(image.hash)).zip(0..).collect();
        part.sorted.sort_unstable();
        part
    }

    fn turned(&self, hash: u64) -> u64 {
        hash.rotate_right(self.shift).reverse_bits()
    }

    /// Those whose hash is equal in this part, and differs in few bits besides.
    fn close(&self, hash: u64) -> impl Iterator<Item = u32> {
        let turned = self.turned(hash);
        let close = move |(other, _): &&(u64, u32)| (other ^ turned).count_ones() <= MAX_BITS;
        self.around(turned).iter().filter(close).map(|(_, image)| *image)
    }

    /// Those whose hash is equal in this part; of too many the closest in order.
    fn around(&self, turned: u64) -> &[(u64, u32)] {
        let part = |hash: u64| hash >> (u64::BITS - PART_BITS);
        let start = self.sorted.partition_point(|(other, _)| part(*other) < part(turned));
        let end = self.sorted.partition_point(|(other, _)| part(*other) <= part(turned));
        let bucket = &self.sorted[start..end];
        if bucket.len() <= REACH {
            return bucket;
        }
        let own = bucket.partition_point(|(other, _)| *other < turned);
        let first = own.saturating_sub(REACH / 2).min(bucket.len() - REACH);
        &bucket[first..first + REACH]
    }
}

/// How the images of a set are transformed; nothing if they are none or too small.
fn transform(arrays: &Arrays, moved: bool) -> Option<Transform> {
    let (height, width, _) = arrays.frame()?;
    let moved = moved && height.max(width) < MOST_MOVED;
    (height.min(width) >= MIN_SIDE).then(|| Transform::new(height, width, moved))
}

/// The brightness of an image, by the weights of ITU-R BT.601.
fn brightness(arrays: &Arrays, index: usize) -> Vec<f32> {
    let values = arrays.floats(index);
    match arrays.frame() {
        Some((.., 3)) => {
            let grey = |[red, green, blue]: &[f32; 3]| 0.299 * red + 0.587 * green + 0.114 * blue;
            values.as_chunks::<3>().0.iter().map(grey).collect()
        }
        _ => values,
    }
}

/// Tells `near` of pairs of `count` images, by index, and their correlation; the same pair may be
/// told several times. `image` says where an image lies.
pub(crate) fn near_images(
    count: usize,
    sets: [&Arrays; 2],
    image: impl Fn(usize) -> (usize, usize),
    mut near: impl FnMut(usize, usize, f64),
) {
    let still = sets.map(|set| transform(set, false));
    let moving = sets.map(|set| transform(set, true));
    let of = |transforms: &[Option<Transform>; 2], index: usize| {
        let (set, place) = image(index);
        let transform = transforms[set].as_ref();
        transform.map_or_else(Vec::new, |by| by.of(&brightness(sets[set], place)))
    };
    let still = (0..)
        .zip(0..count)
        .filter_map(|(place, index)| Some((place, of(&still, index).into_iter().next()?)));
    let images: Vec<(u32, Frequencies)> = still.collect();
    let parts: Vec<Part> = (0..PARTS).map(|number| Part::new(number, &images)).collect();
    for (item, (place, _)) in (0u32..).zip(&images) {
        for (step, moved) in of(&moving, *place as usize).iter().enumerate() {
            for found in parts.iter().flat_map(|part| part.close(moved.hash)) {
                // Unmoved, each pair is looked at from one side.
                if found == item || step == 0 && found > item {
                    continue;
                }
                let (other, still) = &images[found as usize];
                let correlation = still.correlation(moved);
                if correlation >= CORRELATION {
                    near(*other as usize, *place as usize, correlation.min(1.0));
                }
            }
        }
    }
}
