//! What is in a zip archive, and where: the store knows how to read that. What is compressed is taken into
//! memory if it is small enough, and else compared as it lies there.

use std::io::{self, Read};

use flate2::read::DeflateDecoder;
use lab_encoding::weights::Packed;

use crate::compare::source::Source;
use crate::error::Result;

/// Largest member that is decompressed.
const MAX_MEMBER_BYTES: u64 = 256 << 20;

/// A file in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its name.
    pub(crate) name: String,
    /// Whether its bytes lie there as they are.
    pub(crate) stored: bool,
    /// Where they begin.
    pub(crate) offset: u64,
    /// How many there are.
    pub(crate) len: u64,
    /// How many they are when they are decompressed.
    pub(crate) size: u64,
    deflated: bool,
}

/// A member as a file of its own.
pub(crate) enum Part<'a> {
    /// As it lies there: from where, and how much.
    Slice(&'a dyn Source, u64, u64),
    /// Taken into memory.
    Memory(Vec<u8>),
}

impl Source for Part<'_> {
    fn len(&self) -> u64 {
        match self {
            Part::Slice(_, _, len) => *len,
            Part::Memory(bytes) => bytes.len() as u64,
        }
    }

    fn read(&self, offset: u64, len: u64) -> Result<Vec<u8>> {
        match self {
            Part::Slice(source, start, _) => source.read(start + offset, len),
            Part::Memory(bytes) => Ok(bytes[offset as usize..(offset + len) as usize].to_vec()),
        }
    }
}

/// The members; none if the file is no archive, or one that is not understood.
pub(crate) fn parse(source: &dyn Source) -> Result<Option<Vec<Member>>> {
    let mut failed = None;
    let mut read = |offset: u64, len: usize| {
        source.read(offset, len as u64).map_err(|error| {
            let told = io::Error::other(error.to_string());
            failed = Some(error);
            told
        })
    };
    let found = lab_encoding::weights::members(source.len(), &mut read);
    if let Some(error) = failed {
        return Err(error);
    }
    let member = |packed: Packed| Member {
        name: packed.name,
        stored: packed.method == Some(0) && packed.contents == packed.len,
        offset: packed.start,
        len: packed.len,
        size: packed.contents,
        deflated: packed.method == Some(8),
    };
    // Only reading can fail, and that did not.
    Ok(found.ok().flatten().map(|all| all.into_iter().map(member).collect()))
}

/// A member's bytes: decompressed, if it is not too large.
pub(crate) fn open<'a>(source: &'a dyn Source, member: &Member) -> Result<Part<'a>> {
    let raw = Part::Slice(source, member.offset, member.len);
    let small = member.size <= MAX_MEMBER_BYTES && member.len <= MAX_MEMBER_BYTES;
    if !member.deflated || !small {
        return Ok(raw);
    }
    let packed = source.read(member.offset, member.len)?;
    let mut bytes = Vec::new();
    let inflated =
        DeflateDecoder::new(packed.as_slice()).take(member.size + 1).read_to_end(&mut bytes);
    // What cannot be decompressed is compared as it lies there.
    Ok(match inflated {
        Ok(len) if len as u64 == member.size => Part::Memory(bytes),
        _ => raw,
    })
}
