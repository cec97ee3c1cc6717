//! GGUF: metadata, a table of tensors, the tensors; versions 2 and 3, little-endian.
//!
//! Metadata is passed over, value by value, for the one entry that matters here, the alignment.
//! A tensor's length follows from its shape and the block size of its type; where the type is
//! not known for certain, the tensor reaches to the next one. Quantised blocks are plain bytes to
//! an encoding. What overruns the file or the limit of a header is refused.

use super::region::{Layout, MAX_REGIONS, Region};
use super::source::{Cursor, Input, Step, Stop};
use crate::float::Element;

/// What a GGUF file begins with.
pub(super) const MAGIC: &[u8] = b"GGUF";
/// The longest name or key; the format allows keys of 65,535 bytes.
const MAX_NAME: u64 = 65_535;
/// Arrays of arrays: no tool writes them, so a few levels are plenty.
const MAX_DEPTH: u32 = 4;
const MAX_DIMENSIONS: u32 = 8;
const MAX_ALIGNMENT: u32 = 1 << 24;
const STRING: u32 = 8;
const ARRAY: u32 = 9;

/// A line of the table of tensors.
struct Tensor {
    name: String,
    element: Element,
    /// Bytes of its data; none if the type is not known.
    len: Option<u64>,
    /// From the beginning of the data.
    offset: u64,
}

/// Where the tensors lie.
pub(super) fn layout(input: &mut Input<'_>) -> Step<Layout> {
    let mut cursor = Cursor::new(input);
    if cursor.take(4)? != MAGIC || !matches!(cursor.u32()?, 2 | 3) {
        return Err(Stop::Unfit);
    }
    let (tensors, entries) = (cursor.u64()?, cursor.u64()?);
    if tensors > MAX_REGIONS as u64 {
        return Err(Stop::Unfit);
    }
    let alignment = metadata(&mut cursor, entries)?;
    let mut table = Vec::new();
    for _ in 0..tensors {
        table.push(tensor(&mut cursor)?);
    }
    let data = cursor.position().next_multiple_of(u64::from(alignment));
    place(table, data, input.size())
}

/// Passes over the metadata; the alignment of the tensors' data.
fn metadata(cursor: &mut Cursor<'_, '_>, entries: u64) -> Step<u32> {
    let mut alignment = 32;
    for _ in 0..entries {
        let len = name_len(cursor)?;
        let aligns = cursor.take(len)? == b"general.alignment";
        let kind = cursor.u32()?;
        if aligns {
            let number = if kind == 4 { cursor.u32()? } else { 0 };
            if !number.is_power_of_two() || number > MAX_ALIGNMENT {
                return Err(Stop::Unfit);
            }
            alignment = number;
        } else {
            skip(cursor, kind, MAX_DEPTH)?;
        }
    }
    Ok(alignment)
}

fn name_len(cursor: &mut Cursor<'_, '_>) -> Step<u64> {
    let len = cursor.u64()?;
    if len > MAX_NAME { Err(Stop::Unfit) } else { Ok(len) }
}

/// Passes over one value of the metadata. Each step moves forward, so the limit of a header also
/// bounds the work.
fn skip(cursor: &mut Cursor<'_, '_>, kind: u32, depth: u32) -> Step<()> {
    match kind {
        STRING => {
            let len = cursor.u64()?;
            cursor.skip(len)
        }
        ARRAY => {
            let depth = depth.checked_sub(1).ok_or(Stop::Unfit)?;
            let (kind, count) = (cursor.u32()?, cursor.u64()?);
            if kind != STRING && kind != ARRAY {
                let len = width(kind)?.checked_mul(count).ok_or(Stop::Unfit)?;
                return cursor.skip(len);
            }
            (0..count).try_for_each(|_| skip(cursor, kind, depth))
        }
        _ => cursor.skip(width(kind)?),
    }
}

/// Bytes of a value of fixed size.
fn width(kind: u32) -> Step<u64> {
    match kind {
        0 | 1 | 7 => Ok(1),
        2 | 3 => Ok(2),
        4..=6 => Ok(4),
        10..=12 => Ok(8),
        _ => Err(Stop::Unfit),
    }
}

fn tensor(cursor: &mut Cursor<'_, '_>) -> Step<Tensor> {
    let len = name_len(cursor)?;
    let name = String::from_utf8(cursor.take(len)?.to_vec()).map_err(|_| Stop::Unfit)?;
    let dimensions = cursor.u32()?;
    if dimensions > MAX_DIMENSIONS {
        return Err(Stop::Unfit);
    }
    let mut shape = Vec::new();
    for _ in 0..dimensions {
        shape.push(cursor.u64()?);
    }
    let (element, block) = kind(cursor.u32()?);
    let len = block.map(|(elements, bytes)| data_len(&shape, elements, bytes)).transpose()?;
    Ok(Tensor { name, element, len, offset: cursor.u64()? })
}

/// Bytes of a tensor in blocks: a row is a whole number of them.
fn data_len(shape: &[u64], elements: u64, bytes: u64) -> Step<u64> {
    if shape.contains(&0) {
        return Ok(0);
    }
    let (row, rows) = shape.split_first().unwrap_or((&1, &[]));
    if row % elements != 0 {
        return Err(Stop::Unfit);
    }
    let row = (row / elements).checked_mul(bytes).ok_or(Stop::Unfit)?;
    rows.iter().try_fold(row, |len, n| len.checked_mul(*n)).ok_or(Stop::Unfit)
}

/// What a type is to an encoding, and the elements and bytes of its blocks. Left out are types
/// whose block has changed over time or whose number is still new.
fn kind(number: u32) -> (Element, Option<(u64, u64)>) {
    let (element, elements, bytes) = match number {
        0 => (Element::F32, 1, 4),
        1 => (Element::F16, 1, 2),
        28 => (Element::F64, 1, 8),
        30 => (Element::BF16, 1, 2),
        2 => (Element::Other, 32, 18),    // Q4_0
        3 => (Element::Other, 32, 20),    // Q4_1
        6 => (Element::Other, 32, 22),    // Q5_0
        7 => (Element::Other, 32, 24),    // Q5_1
        8 => (Element::Other, 32, 34),    // Q8_0
        10 => (Element::Other, 256, 84),  // Q2_K
        11 => (Element::Other, 256, 110), // Q3_K
        12 => (Element::Other, 256, 144), // Q4_K
        13 => (Element::Other, 256, 176), // Q5_K
        14 => (Element::Other, 256, 210), // Q6_K
        15 => (Element::Other, 256, 292), // Q8_K
        16 => (Element::Other, 256, 66),  // IQ2_XXS
        17 => (Element::Other, 256, 74),  // IQ2_XS
        18 => (Element::Other, 256, 98),  // IQ3_XXS
        19 => (Element::Other, 256, 50),  // IQ1_S
        20 => (Element::Other, 32, 18),   // IQ4_NL
        21 => (Element::Other, 256, 110), // IQ3_S
        22 => (Element::Other, 256, 82),  // IQ2_S
        23 => (Element::Other, 256, 136), // IQ4_XS
        24 => (Element::Other, 1, 1),     // I8
        25 => (Element::Other, 1, 2),     // I16
        26 => (Element::Other, 1, 4),     // I32
        27 => (Element::Other, 1, 8),     // I64
        29 => (Element::Other, 256, 56),  // IQ1_M
        34 => (Element::Other, 256, 54),  // TQ1_0
        35 => (Element::Other, 256, 66),  // TQ2_0
        39 => (Element::Other, 32, 17),   // MXFP4
        _ => return (Element::Other, None),
    };
    (element, Some((elements, bytes)))
}

/// Turns the table into regions: `data` is where the data begins, `size` where the file ends.
fn place(mut table: Vec<Tensor>, data: u64, size: u64) -> Step<Layout> {
    table.sort_by_key(|tensor| tensor.offset);
    let mut regions = Vec::with_capacity(table.len());
    let mut next = size;
    for tensor in table.into_iter().rev() {
        let start = data.checked_add(tensor.offset).ok_or(Stop::Unfit)?;
        let end = match tensor.len {
            Some(len) => start.checked_add(len).ok_or(Stop::Unfit)?,
            None => next,
        };
        regions.push(Region { name: tensor.name, start, end, element: tensor.element });
        next = start;
    }
    Layout::new(regions, size)
}
