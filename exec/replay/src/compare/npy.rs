//! One array in NumPy's `.npy` format: a magic string, a Python literal, the elements.
//!
//! The literal is read by a parser that knows the three keys and nothing else of Python. Arrays of
//! objects or structures, and headers of more than 64 KiB, are compared as bytes.

use lab_schema::Tolerance;

use crate::compare::bytes;
use crate::compare::element::{Class, Dtype, Float};
use crate::compare::found::Found;
use crate::compare::source::Source;
use crate::compare::tensors::{self, MAX_RANK, Tensor};
use crate::error::Result;

const MAGIC: &[u8] = b"\x93NUMPY";
const MAX_HEADER_BYTES: u64 = 64 << 10;

/// The array; none if the file is not in this format, or of a type that is not compared.
pub(crate) fn parse(source: &dyn Source) -> Result<Option<Tensor>> {
    let start = source.read(0, source.len().min(12))?;
    if !start.starts_with(MAGIC) || start.len() < 12 {
        return Ok(None);
    }
    let (at, len) = match start[6] {
        1 => (10, u64::from(u16::from_le_bytes([start[8], start[9]]))),
        2 | 3 => (12, u64::from(u32::from_le_bytes([start[8], start[9], start[10], start[11]]))),
        _ => return Ok(None),
    };
    if len > MAX_HEADER_BYTES || at + len > source.len() {
        return Ok(None);
    }
    let header = source.read(at, len)?;
    let tensor = std::str::from_utf8(&header).ok().and_then(|text| interpret(text, at + len));
    Ok(tensor.filter(|t| t.len == source.len() - t.offset))
}

/// The difference to report between two arrays whose files differ.
pub(crate) fn compare(
    (expected, a): (&dyn Source, &Tensor),
    (actual, b): (&dyn Source, &Tensor),
    tolerance: Option<Tolerance>,
) -> Result<Option<Found>> {
    let (x, y) = (std::slice::from_ref(a), std::slice::from_ref(b));
    match tensors::compare((expected, x), (actual, y), tolerance)? {
        // A file of one array needs no name for it; a scalar or another shape has no place.
        Some(found) => Ok(Some(Found { at: found.at.filter(|at| !at.is_empty()), ..found })),
        None => bytes::same_values(expected, actual, tolerance),
    }
}

fn interpret(text: &str, offset: u64) -> Option<Tensor> {
    let body = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    let descr = text_value(after(body, "descr")?)?;
    let order = after(body, "fortran_order")?;
    let fortran = order.starts_with("True");
    if !fortran && !order.starts_with("False") {
        return None;
    }
    let shape = tuple(after(body, "shape")?)?;
    let dtype = dtype(descr)?;
    let (_, len) = tensors::extent(&shape, dtype.size)?;
    // One axis has one order.
    let fortran = fortran && shape.len() > 1;
    Some(Tensor { name: String::new(), dtype, shape, fortran, offset, len })
}

/// What stands behind `'key':`.
fn after<'a>(body: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = body.split_once(&format!("'{key}'"))?;
    rest.trim_start().strip_prefix(':').map(str::trim_start)
}

fn text_value(text: &str) -> Option<&str> {
    text.strip_prefix('\'')?.split_once('\'').map(|(value, _)| value)
}

fn tuple(text: &str) -> Option<Vec<u64>> {
    let (inner, _) = text.strip_prefix('(')?.split_once(')')?;
    let items = inner.split(',').map(str::trim).filter(|item| !item.is_empty());
    let shape: Vec<u64> = items.map(|item| item.parse().ok()).collect::<Option<_>>()?;
    (shape.len() <= MAX_RANK).then_some(shape)
}

fn dtype(descr: &str) -> Option<Dtype> {
    let big_endian = match descr.chars().next()? {
        '<' | '|' | '=' => false,
        '>' => true,
        _ => return None,
    };
    let size = descr.get(2..)?.parse().ok()?;
    let class = match (descr.get(1..2)?, size) {
        ("f", 8) => Class::Float(Float::F64),
        ("f", 4) => Class::Float(Float::F32),
        ("f", 2) => Class::Float(Float::F16),
        ("i", 1 | 2 | 4 | 8) => Class::Signed,
        ("u", 1 | 2 | 4 | 8) => Class::Unsigned,
        ("b", 1) => Class::Bool,
        ("c", 8 | 16) => Class::Opaque,
        _ => return None,
    };
    Some(Dtype { name: descr.to_owned(), size, class, big_endian })
}
