//! Two contents: the same, or the first place where they differ.
//!
//! Equal ids are equal bytes. Otherwise the bytes, not the file's name, say what is inside:
//! tensors (safetensors, NumPy, PyTorch's checkpoints) by element, JSON by key, images (PNG) by pixel,
//! text by line, directories and archives (zip) by path, all else by byte. A file that only pretends to be one of these is compared as bytes; nothing that
//! a file holds can make this fail, and no more than a few blocks of it are in memory, except JSON
//! up to a limit. There is never "no difference" between contents whose ids differ.

pub(crate) mod found;
pub(crate) mod source;
pub(crate) mod bytes;
pub(crate) mod element;
pub(crate) mod tensors;
mod json;
pub(crate) mod safetensors;
pub(crate) mod npy;
pub(crate) mod text;
pub(crate) mod pixels;
pub(crate) mod members;
mod pickle;
pub(crate) mod checkpoint;
pub(crate) mod archive;
mod directory;
#[cfg(test)]
pub(crate) mod tests;

use lab_objects::Store;
use lab_schema::{ContentId, Difference, Slot, Tolerance};

use crate::error::Result;
use found::Found;
pub(crate) use found::shown;
use source::{Blob, Source};

/// How the content `actual` of an output differs from `expected`; none if they are identical.
///
/// Reports the first place that `tolerance` does not cover, or, if it covers all of them, the
/// first place, marked as tolerated. Both contents must be in the store.
pub fn compare(
    store: &Store,
    slot: &Slot,
    expected: ContentId,
    actual: ContentId,
    tolerance: Option<Tolerance>,
) -> Result<Option<Difference>> {
    if expected == actual {
        return Ok(None);
    }
    let found = contents(store, expected, actual, tolerance)?;
    Ok(found.map(|found| found.into_difference(slot.clone())))
}

fn contents(
    store: &Store,
    expected: ContentId,
    actual: ContentId,
    tolerance: Option<Tolerance>,
) -> Result<Option<Found>> {
    let blank =
        |expected: &str, actual: &str| Found { at: None, ..Found::new("", expected, actual) };
    match (expected, actual) {
        (ContentId::Blob(a), ContentId::Blob(b)) => {
            files(&Blob::open(store, a)?, &Blob::open(store, b)?, tolerance)
        }
        (ContentId::Tree(a), ContentId::Tree(b)) => {
            directory::compare(store, a, b, &|a, b| contents(store, a, b, tolerance))
        }
        (ContentId::Blob(_), ContentId::Tree(_)) => Ok(Some(blank("a file", "a directory"))),
        (ContentId::Tree(_), ContentId::Blob(_)) => Ok(Some(blank("a directory", "a file"))),
    }
}

/// The difference to report between two files; none only if all bytes are equal.
fn files(a: &dyn Source, b: &dyn Source, tolerance: Option<Tolerance>) -> Result<Option<Found>> {
    if let (Some(x), Some(y)) = (members::parse(a)?, members::parse(b)?) {
        // An archive in an archive is a file like others.
        return archive::compare((a, &x), (b, &y), tolerance, &|a, b| single(a, b, tolerance));
    }
    single(a, b, tolerance)
}

/// The same for files that hold no others.
fn single(a: &dyn Source, b: &dyn Source, tolerance: Option<Tolerance>) -> Result<Option<Found>> {
    if let (Some(x), Some(y)) = (pixels::parse(a)?, pixels::parse(b)?) {
        return pixels::compare((a, &x), (b, &y), tolerance);
    }
    if let (Some(x), Some(y)) = (npy::parse(a)?, npy::parse(b)?) {
        return npy::compare((a, &x), (b, &y), tolerance);
    }
    if let (Some(x), Some(y)) = (safetensors::parse(a)?, safetensors::parse(b)?) {
        return safetensors::compare((a, &x), (b, &y), tolerance);
    }
    if let Some((x, y)) = json::parse_both(a, b)? {
        return json::compare((a, &x), (b, &y), tolerance);
    }
    if text::is_text(a)?
        && text::is_text(b)?
        && let text::Lines::Compared(Some(found)) = text::compare(a, b, tolerance)?
    {
        return Ok(Some(found));
    }
    bytes::compare(a, b)
}
