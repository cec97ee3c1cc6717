//! safetensors: named arrays behind a JSON header, plain or gzipped.
//!
//! (github.com/huggingface/safetensors describes the format.) The length of the header (64 bits,
//! little endian), the header, the data. The arrays must cover the data without a gap, an overlap
//! or a rest, as the format demands; names must differ. `__metadata__` is passed over.

use std::collections::BTreeMap;
use std::io::Read;

use serde::Deserialize;

use crate::array::{Array, MAX_ARRAY_BYTES, count, lengths};
use crate::bytes::Pieces;
use crate::elements::{Element, Order};
use crate::error::{DataError, Result};
use crate::json::Object;
use crate::source::gunzipped;

const MAX_HEADER_BYTES: u64 = 16 << 20;
const METADATA: &str = "__metadata__";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Info {
    dtype: String,
    shape: Vec<u64>,
    /// From the start of the data, in bytes; the second is not included.
    data_offsets: [u64; 2],
}

/// Reads the arrays in a safetensors file, by name. BOOL, integers of up to 64 bits, F16, BF16,
/// F32 and F64 are read.
///
/// # Errors
/// [`DataError`] for a header that is no valid header or longer than 16 MiB, another type, arrays
/// that do not cover the data, a file that is cut off or goes on, an infinity, more than 2^28
/// values or 2 GiB.
pub fn safetensors(bytes: &[u8]) -> Result<BTreeMap<String, Array>> {
    let mut pieces = Pieces::new(gunzipped(bytes), "the safetensors file");
    let length = u64::from_le_bytes(pieces.fixed("the length of the header")?);
    if length > MAX_HEADER_BYTES {
        let what = "bytes of a safetensors header";
        return Err(DataError::TooLarge { what, limit: MAX_HEADER_BYTES });
    }
    let header = pieces.take(length, "the header")?;
    let infos = infos(&pieces, &header)?;
    let mut arrays = BTreeMap::new();
    let mut at = 0;
    for (name, info) in infos {
        let (element, bytes) = check(&pieces, &name, &info, at)?;
        at += bytes;
        if at > MAX_ARRAY_BYTES {
            return Err(DataError::TooLarge {
                what: "bytes of all arrays",
                limit: MAX_ARRAY_BYTES,
            });
        }
        let bytes = pieces.take(bytes, &format!("tensor '{}'", name.escape_debug()))?;
        let file = format!("tensor '{}' of {}", name.escape_debug(), pieces.file());
        let values = element.values(bytes, Order::Little, &file)?;
        arrays.insert(name, Array { shape: lengths(&info.shape), values });
    }
    pieces.end()?;
    Ok(arrays)
}

/// What the header says of each array, in the order of the data.
fn infos(pieces: &Pieces<impl Read>, header: &[u8]) -> Result<Vec<(String, Info)>> {
    let text = str::from_utf8(header).map_err(|_| pieces.malformed("its header is not UTF-8"))?;
    let invalid = |error| pieces.malformed(format!("its header is not valid: {error}"));
    let object: Object = serde_json::from_str(text).map_err(invalid)?;
    let mut infos = Vec::new();
    for (name, value) in object.0 {
        if name != METADATA {
            let info: Info = serde_json::from_str(value.get()).map_err(|error| {
                pieces.malformed(format!("tensor '{}': {error}", name.escape_debug()))
            })?;
            infos.push((name, info));
        }
    }
    infos.sort_by(|a, b| (a.1.data_offsets, &a.0).cmp(&(b.1.data_offsets, &b.0)));
    Ok(infos)
}

/// The type of an array and its bytes; its data must begin at `at`.
fn check(pieces: &Pieces<impl Read>, name: &str, info: &Info, at: u64) -> Result<(Element, u64)> {
    let file = format!("tensor '{}' of {}", name.escape_debug(), pieces.file());
    let Some(element) = element(&info.dtype) else {
        let what = format!("the type {}", info.dtype.escape_debug());
        let needed = "BOOL, U8 to U64, I8 to I64, F16, BF16, F32 or F64";
        return Err(DataError::Unsupported { file, what, needed });
    };
    let bytes = count(&info.shape, &file)? * element.width();
    match info.data_offsets {
        [start, end] if start == at && end == at + bytes => Ok((element, bytes)),
        [start, end] => {
            let why = format!("it has the bytes {start} to {end}, not {at} to {}", at + bytes);
            Err(DataError::Malformed { file, why })
        }
    }
}

fn element(dtype: &str) -> Option<Element> {
    Some(match dtype {
        "BOOL" => Element::Bool,
        "U8" => Element::U8,
        "I8" => Element::I8,
        "U16" => Element::U16,
        "I16" => Element::I16,
        "U32" => Element::U32,
        "I32" => Element::I32,
        "U64" => Element::U64,
        "I64" => Element::I64,
        "F16" => Element::F16,
        "BF16" => Element::BF16,
        "F32" => Element::F32,
        "F64" => Element::F64,
        _ => return None,
    })
}
