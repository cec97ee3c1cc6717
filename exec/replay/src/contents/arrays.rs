//! Files of tensors, also those that have to be decompressed first: as far as they fit into memory.

use std::collections::BTreeMap;

use crate::compare::element::{Class, Dtype, Float};
use crate::compare::members::{self, Member};
use crate::compare::source::Source;
use crate::compare::tensors::{Tensor, extent};
use crate::compare::{archive, checkpoint, npy, safetensors};
use crate::contents::stream::{begins, is_gzip, plain};
use crate::error::Result;

/// Most bytes that are decompressed of one file.
const MAX_PLAIN_BYTES: u64 = 96 << 20;

/// The tensors of a file, and what stands beside them.
#[derive(Default)]
pub(crate) struct Weights {
    pub(crate) tensors: Vec<Tensor>,
    pub(crate) beside: BTreeMap<String, String>,
    /// The bytes in which the tensors lie, if that is not the file itself.
    bytes: Option<Vec<u8>>,
}

impl Weights {
    /// Where the tensors lie: `file`, or what was decompressed.
    pub(crate) fn within<'a>(
        &'a self,
        file: &'a dyn Source,
        memory: &'a mut &'a [u8],
    ) -> &'a dyn Source {
        match &self.bytes {
            Some(bytes) => {
                *memory = bytes.as_slice();
                memory
            }
            None => file,
        }
    }
}

/// The tensors of a file; none if it holds none that can be told apart.
pub(crate) fn parse(source: &dyn Source) -> Result<Option<Weights>> {
    if is_gzip(source)? {
        let begins = begins(source)?;
        if !matches!(begins[..], [0, 0, ..] | [0x93, b'N', ..] | [.., b'{']) {
            return Ok(None);
        }
        let Ok(bytes) = plain(source, MAX_PLAIN_BYTES)? else { return Ok(None) };
        let found = bare(&bytes.as_slice())?;
        return Ok(found.map(|weights| Weights { bytes: Some(bytes), ..weights }));
    }
    if let Some(found) = bare(source)? {
        return Ok(Some(found));
    }
    let Some(members) = members::parse(source)? else { return Ok(None) };
    if let Some(tensors) = archive::arrays(source, &members)? {
        return Ok(Some(Weights { tensors, ..Weights::default() }));
    }
    if let Some(found) = checkpoint::parse(source, &members)? {
        let (tensors, beside) = found.into_parts();
        return Ok(Some(Weights { tensors, beside, bytes: None }));
    }
    compressed(source, &members)
}

fn bare(source: &dyn Source) -> Result<Option<Weights>> {
    let array = match npy::parse(source)? {
        None => idx(source)?,
        array => array,
    };
    if let Some(array) = array {
        return Ok(Some(Weights { tensors: vec![array], ..Weights::default() }));
    }
    let header = safetensors::parse(source)?.map(safetensors::Header::into_parts);
    Ok(header.map(|(tensors, beside)| Weights { tensors, beside, bytes: None }))
}

/// The arrays of a `.npz` whose members are compressed.
fn compressed(source: &dyn Source, members: &[Member]) -> Result<Option<Weights>> {
    let sum = members.iter().fold(0_u64, |sum, member| sum.saturating_add(member.size));
    let named = members.iter().all(|member| member.name.ends_with(".npy"));
    if !named || members.is_empty() || sum > MAX_PLAIN_BYTES {
        return Ok(None);
    }
    let (mut tensors, mut bytes) = (Vec::new(), Vec::new());
    for member in members {
        let part = members::open(source, member)?;
        let Some(array) = npy::parse(&part)? else { return Ok(None) };
        let name = member.name.trim_end_matches(".npy").to_owned();
        let offset = bytes.len() as u64 + array.offset;
        bytes.extend(part.read(0, part.len())?);
        tensors.push(Tensor { name, offset, ..array });
    }
    Ok(Some(Weights { tensors, bytes: Some(bytes), ..Weights::default() }))
}

/// An array in the format of MNIST: two zeros, a type, the number of axes, their extents, the elements,
/// all with the most significant byte first (LeCun, "The MNIST database").
fn idx(source: &dyn Source) -> Result<Option<Tensor>> {
    let start = source.read(0, source.len().min(4 + 4 * 255))?;
    let [0, 0, sort, axes, ..] = start[..] else { return Ok(None) };
    let (name, size, class) = match sort {
        0x08 => ("U8", 1, Class::Unsigned),
        0x09 => ("I8", 1, Class::Signed),
        0x0b => ("I16", 2, Class::Signed),
        0x0c => ("I32", 4, Class::Signed),
        0x0d => ("F32", 4, Class::Float(Float::F32)),
        0x0e => ("F64", 8, Class::Float(Float::F64)),
        _ => return Ok(None),
    };
    if axes == 0 {
        return Ok(None);
    }
    let axes = usize::from(axes);
    let Some(extents) = start.get(4..4 + 4 * axes) else { return Ok(None) };
    let (parts, _) = extents.as_chunks::<4>();
    let shape: Vec<u64> = parts.iter().map(|part| u32::from_be_bytes(*part).into()).collect();
    let offset = 4 + 4 * axes as u64;
    let Some((_, len)) = extent(&shape, size) else { return Ok(None) };
    let dtype = Dtype { name: name.to_owned(), size, class, big_endian: true };
    let tensor = Tensor { name: String::new(), dtype, shape, fortran: false, offset, len };
    Ok((offset.checked_add(len) == Some(source.len())).then_some(tensor))
}
