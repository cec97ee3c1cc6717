//! Two images: how many pixels differ, and by how much.

use lab_data::images;
use serde::Serialize;

use crate::compare::pixels::{self, Image};
use crate::compare::source::Source;
use crate::error::Result;

/// Largest file of a compressed photograph that is decoded.
const MAX_JPEG_BYTES: u64 = 64 << 20;

/// What differs between two images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImageChange {
    /// Size and form of the first: `28 x 28, Grayscale of 8 bits`.
    pub before: String,
    /// The same of the second.
    pub after: String,
    /// Pixels of each; none if their size or form differs.
    pub pixels: Option<u64>,
    /// How many of them differ.
    pub differ: u64,
    /// The largest difference of two samples.
    pub largest: u16,
}

/// An image that can be compared.
pub(crate) enum Picture {
    Png(Image),
    Jpeg { form: String, samples: Vec<u8> },
}

/// The image in a file; none if it is none that is read.
pub(crate) fn parse(source: &dyn Source) -> Result<Option<Picture>> {
    if let Some(image) = pixels::parse(source)? {
        return Ok(Some(Picture::Png(image)));
    }
    let len = source.len();
    if !(3..=MAX_JPEG_BYTES).contains(&len) || source.read(0, 3)? != [0xff, 0xd8, 0xff] {
        return Ok(None);
    }
    // The reader asks for the folder that a class would be.
    let one = std::iter::once(("x/x".to_owned(), source.read(0, len)?));
    let Ok(read) = images(one, None, 3) else { return Ok(None) };
    let form = format!("{} x {}, JPEG", read.width, read.height);
    Ok(Some(Picture::Jpeg { form, samples: read.pixels }))
}

/// What differs between two images; none if they are of two kinds of file.
pub(crate) fn change(a: &Picture, b: &Picture) -> Option<ImageChange> {
    match (a, b) {
        (Picture::Png(x), Picture::Png(y)) => {
            let (before, after) = (x.form(), y.form());
            let differing = x.differing(y);
            let (pixels, differ, largest) = differing.unwrap_or((0, 0, 0));
            let pixels = differing.map(|_| pixels);
            Some(ImageChange { before, after, pixels, differ, largest })
        }
        (Picture::Jpeg { form: before, samples: x }, Picture::Jpeg { form: after, samples: y }) => {
            let (before, after) = (before.clone(), after.clone());
            if before != after {
                return Some(ImageChange { before, after, pixels: None, differ: 0, largest: 0 });
            }
            let ((x, _), (y, _)) = (x.as_chunks::<3>(), y.as_chunks::<3>());
            let differ = x.iter().zip(y).filter(|(p, q)| p != q).count() as u64;
            let steps = x.as_flattened().iter().zip(y.as_flattened());
            let largest = steps.map(|(p, q)| p.abs_diff(*q)).max().unwrap_or(0).into();
            Some(ImageChange { before, after, pixels: Some(x.len() as u64), differ, largest })
        }
        _ => None,
    }
}
