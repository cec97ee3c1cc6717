//! Where the tensors of a file lie: the answer that all readers of headers give.
//!
//! A layout can be made in one way only, and what comes out is sorted, inside the file and free
//! of overlaps, empty regions and names that stand twice. A header that claims otherwise is
//! refused as a whole: it is not what its maker's own tools write.

use super::source::{Step, Stop};
use crate::float::Element;

/// The most tensors that a file may have.
pub(super) const MAX_REGIONS: usize = 1_000_000;

/// One tensor's bytes in a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Region {
    /// The tensor's name. In a PyTorch checkpoint the path of the member without the leading
    /// folder, in an .npz the name of the member, in an .npy nothing.
    pub name: String,
    /// Bytes from the beginning of the file to the tensor's first byte.
    pub start: u64,
    /// Bytes from the beginning of the file to just after the tensor.
    pub end: u64,
    /// What the tensor is made of: a whole number of these.
    pub element: Element,
}

/// A tensor with what its file says of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tensor {
    /// Its bytes.
    pub region: Region,
    /// The type of its elements, in the words of the file: `F32`, `BF16`, …
    pub dtype: String,
    /// Its extent in each dimension, outermost first.
    pub shape: Vec<u64>,
}

/// Where the tensors of a file lie; between them are headers and padding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Sorted by start, never overlapping, inside the file, never empty, no name twice.
    pub regions: Vec<Region>,
}

impl Layout {
    /// Sorts and checks what a header claims of a file of `size` bytes; drops empty tensors.
    pub(super) fn new(mut regions: Vec<Region>, size: u64) -> Step<Layout> {
        if regions.len() > MAX_REGIONS || !names_differ(&regions) {
            return Err(Stop::Unfit);
        }
        if regions.iter().any(|r| r.start > r.end || r.end > size) {
            return Err(Stop::Unfit);
        }
        regions.retain(|r| r.start < r.end);
        regions.sort_unstable_by_key(|r| r.start);
        for region in &mut regions {
            if (region.end - region.start) % region.element.width() as u64 != 0 {
                region.element = Element::Other;
            }
        }
        if regions.windows(2).any(|two| two[0].end > two[1].start) {
            return Err(Stop::Unfit);
        }
        Ok(Layout { regions })
    }
}

fn names_differ(regions: &[Region]) -> bool {
    let mut names: Vec<&str> = regions.iter().map(|r| r.name.as_str()).collect();
    names.sort_unstable();
    names.windows(2).all(|two| two[0] != two[1])
}

/// Bytes of a tensor of this shape, `bits` for each element; none if absurd or not whole bytes.
pub(super) fn bytes_of(shape: &[u64], bits: u64) -> Option<u64> {
    // A dimension of nothing makes all of it nothing, however large the others are.
    if shape.contains(&0) {
        return Some(0);
    }
    let elements = shape.iter().try_fold(1u64, |product, n| product.checked_mul(*n))?;
    let bits = elements.checked_mul(bits)?;
    (bits % 8 == 0).then_some(bits / 8)
}
