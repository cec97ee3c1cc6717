//! IDX: the format of MNIST and its relatives (yann.lecun.com/exdb/mnist), plain or gzipped.
//!
//! Two zero bytes, a byte for the type, a byte for the number of dimensions, their lengths (32
//! bits, big endian), the values (big endian, row-major). The file must end where they end.

use std::io::Read;

use crate::array::{Array, count, lengths};
use crate::bytes::Pieces;
use crate::elements::{Element, Order};
use crate::error::{DataError, Result};
use crate::source::gunzipped;

/// Reads the array in an IDX file.
///
/// # Errors
/// [`DataError`] for another magic number or type, a file that is cut off or goes on, an infinity,
/// more than 2^28 values.
pub fn idx(source: impl Read) -> Result<Array> {
    let mut pieces = Pieces::new(gunzipped(source), "the IDX file");
    let [zero, nought, kind, dimensions] = pieces.fixed("the magic number")?;
    if (zero, nought) != (0, 0) {
        return Err(pieces.malformed("it does not begin with two zero bytes"));
    }
    let element = match kind {
        0x08 => Element::U8,
        0x09 => Element::I8,
        0x0b => Element::I16,
        0x0c => Element::I32,
        0x0d => Element::F32,
        0x0e => Element::F64,
        _ => {
            return Err(DataError::Unsupported {
                file: pieces.file().to_owned(),
                what: format!("values of the type {kind:#04x}"),
                needed: "0x08 (u8), 0x09 (i8), 0x0b (i16), 0x0c (i32), 0x0d (f32) or 0x0e (f64)",
            });
        }
    };
    let mut shape = Vec::new();
    for dimension in 0..dimensions {
        let length = pieces.fixed(&format!("the length of dimension {dimension}"))?;
        shape.push(u64::from(u32::from_be_bytes(length)));
    }
    let bytes = count(&shape, pieces.file())? * element.width();
    let bytes = pieces.take(bytes, &format!("the data of shape {shape:?}"))?;
    let values = element.values(bytes, Order::Big, pieces.file())?;
    pieces.end()?;
    Ok(Array { shape: lengths(&shape), values })
}
