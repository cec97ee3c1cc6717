//! Weights in the safetensors format: 8 bytes of header length, a JSON header, the elements.
//!
//! The header comes from strangers, so it is bounded before it is read, and every offset is
//! checked: tensors fill the rest of the file without a hole and without overlap, and each has as
//! many bytes as its shape says. A file that breaks a rule is not one of these, and is compared as
//! bytes.

use std::collections::BTreeMap;

use lab_schema::Tolerance;

use crate::compare::bytes;
use crate::compare::element::{Class, Dtype, Float};
use crate::compare::found::Found;
use crate::compare::json::{self, Json};
use crate::compare::source::Source;
use crate::compare::tensors::{self, MAX_RANK, Tensor};
use crate::error::Result;

/// Longest header that is read. Real ones need about 100 bytes for each tensor.
const MAX_HEADER_BYTES: u64 = 16 << 20;

/// The key that holds free text instead of a tensor.
const METADATA: &str = "__metadata__";

/// What a header says.
#[derive(Debug)]
pub(crate) struct Header {
    tensors: Vec<Tensor>,
    metadata: BTreeMap<String, String>,
}

impl Header {
    /// The tensors and the texts beside them.
    pub(crate) fn into_parts(self) -> (Vec<Tensor>, BTreeMap<String, String>) {
        (self.tensors, self.metadata)
    }
}

/// The header; none if the file is not in this format.
pub(crate) fn parse(source: &dyn Source) -> Result<Option<Header>> {
    if source.len() < 8 + 2 {
        return Ok(None);
    }
    let len = source.read(0, 8)?.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b));
    if len > MAX_HEADER_BYTES || len > source.len() - 8 {
        return Ok(None);
    }
    let text = source.read(8, len)?;
    if text.first() != Some(&b'{') {
        return Ok(None);
    }
    Ok(json::parse(&text).and_then(|header| interpret(header, 8 + len, source.len())))
}

fn interpret(header: Json, start: u64, end: u64) -> Option<Header> {
    let Json::Map(entries) = header else { return None };
    let (mut tensors, mut metadata) = (Vec::with_capacity(entries.len()), BTreeMap::new());
    for (name, entry) in entries {
        let Json::Map(fields) = entry else { return None };
        if name == METADATA {
            for (key, value) in fields {
                let Json::Text(value) = value else { return None };
                metadata.insert(key, value);
            }
        } else {
            tensors.push(tensor(name, fields, start, end)?);
        }
    }
    tensors.sort_by_key(|t| (t.offset, t.len));
    let mut next = start;
    for tensor in &tensors {
        if tensor.offset != next {
            return None;
        }
        next += tensor.len;
    }
    (next == end).then_some(Header { tensors, metadata })
}

fn tensor(name: String, fields: Vec<(String, Json)>, start: u64, end: u64) -> Option<Tensor> {
    let (mut dtype, mut shape, mut offsets) = (None, None, None);
    for (key, value) in fields {
        match (key.as_str(), value) {
            ("dtype", Json::Text(text)) => dtype = Some(text),
            ("shape", Json::List(items)) => shape = Some(naturals(&items)?),
            ("data_offsets", Json::List(items)) => offsets = Some(naturals(&items)?),
            _ => return None,
        }
    }
    let (dtype, shape, offsets) = (dtype?, shape?, offsets?);
    let [from, to]: [u64; 2] = offsets.try_into().ok()?;
    let (offset, until) = (start.checked_add(from)?, start.checked_add(to)?);
    if from > to || until > end || shape.len() > MAX_RANK {
        return None;
    }
    let len = to - from;
    let dtype = known(&dtype).or_else(|| opaque(dtype, &shape, len))?;
    let (_, bytes) = tensors::extent(&shape, dtype.size)?;
    (bytes == len).then_some(Tensor { name, dtype, shape, fortran: false, offset, len })
}

fn naturals(items: &[Json]) -> Option<Vec<u64>> {
    items.iter().map(Json::natural).collect()
}

/// An element type by its name.
pub(crate) fn known(name: &str) -> Option<Dtype> {
    let (size, class) = match name {
        "F64" => (8, Class::Float(Float::F64)),
        "F32" => (4, Class::Float(Float::F32)),
        "F16" => (2, Class::Float(Float::F16)),
        "BF16" => (2, Class::Float(Float::BF16)),
        "I64" => (8, Class::Signed),
        "I32" => (4, Class::Signed),
        "I16" => (2, Class::Signed),
        "I8" => (1, Class::Signed),
        "U64" => (8, Class::Unsigned),
        "U32" => (4, Class::Unsigned),
        "U16" => (2, Class::Unsigned),
        "U8" => (1, Class::Unsigned),
        "BOOL" => (1, Class::Bool),
        _ => return None,
    };
    Some(Dtype { name: name.to_owned(), size, class, big_endian: false })
}

/// A type that is not known, whose elements are whole bytes.
fn opaque(name: String, shape: &[u64], len: u64) -> Option<Dtype> {
    let (elements, _) = tensors::extent(shape, 1)?;
    let size = len.checked_div(elements).unwrap_or(1);
    (1..=16).contains(&size).then_some(Dtype {
        name,
        size,
        class: Class::Opaque,
        big_endian: false,
    })
}

/// The difference to report between two files in this format whose bytes differ.
pub(crate) fn compare(
    (expected, a): (&dyn Source, &Header),
    (actual, b): (&dyn Source, &Header),
    tolerance: Option<Tolerance>,
) -> Result<Option<Found>> {
    let (of_tensors, of_text) = (
        tensors::compare((expected, &a.tensors), (actual, &b.tensors), tolerance)?,
        metadata(a, b),
    );
    match (of_tensors, of_text) {
        // Text is beyond any tolerance, so it is the news if all tensors are close enough.
        (Some(found), Some(text)) if found.tolerated => Ok(Some(text)),
        (Some(found), _) => Ok(Some(found)),
        (None, Some(text)) => Ok(Some(text)),
        (None, None) => bytes::same_values(expected, actual, tolerance),
    }
}

fn metadata(a: &Header, b: &Header) -> Option<Found> {
    let keys = a.metadata.keys().chain(b.metadata.keys());
    let key = keys.filter(|key| a.metadata.get(*key) != b.metadata.get(*key)).min()?;
    let show = |h: &Header| {
        h.metadata.get(key).map_or_else(|| json::ABSENT.to_owned(), |text| format!("{text:?}"))
    };
    Some(Found::new(format!("{METADATA}.{key}"), &show(a), &show(b)))
}
