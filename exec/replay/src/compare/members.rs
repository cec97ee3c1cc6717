//! What is in a zip archive, and where.
//!
//! The directory at the end of the file is read as APPNOTE.TXT describes it, with the 64-bit fields
//! that large checkpoints need. It comes from strangers: it is bounded before it is read, and a member
//! that does not lie inside the file makes it no archive. What is compressed is taken into memory if
//! it is small enough, and else compared as it lies there.

use std::io::Read;

use flate2::read::DeflateDecoder;

use crate::compare::source::Source;
use crate::error::Result;

const FIRST: &[u8] = b"PK\x03\x04";
/// Signatures, little-endian.
const MEMBER: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const LARGE_END: u32 = 0x0606_4b50;
const LARGE_LOCATOR: u32 = 0x0706_4b50;

/// Bytes of the fixed parts.
const END_BYTES: u64 = 22;
const LARGE_END_BYTES: u64 = 56;
const LOCATOR_BYTES: u64 = 20;
const MEMBER_BYTES: usize = 46;
const LOCAL_BYTES: u64 = 30;

/// Longest directory that is read: about a million members.
const MAX_DIRECTORY_BYTES: u64 = 64 << 20;
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
    size: u64,
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
    if source.len() < END_BYTES || source.read(0, 4)? != FIRST {
        return Ok(None);
    }
    let Some((start, len)) = directory(source)? else { return Ok(None) };
    let text = source.read(start, len)?;
    let mut members = Vec::new();
    let mut rest = text.as_slice();
    while !rest.is_empty() {
        let Some((member, after)) = entry(rest) else { return Ok(None) };
        let Some(member) = placed(source, member)? else { return Ok(None) };
        members.push(member);
        rest = after;
    }
    Ok(Some(members))
}

/// Where the directory is, and how long.
fn directory(source: &dyn Source) -> Result<Option<(u64, u64)>> {
    // A comment of at most 65,535 bytes may stand behind the end.
    let from = source.len() - source.len().min(END_BYTES + 0xffff);
    let tail = source.read(from, source.len() - from)?;
    let is_end = |at: &usize| {
        let comment = short(&tail, at + 20).map(usize::from);
        word(&tail, *at) == Some(END) && comment == Some(tail.len() - at - END_BYTES as usize)
    };
    let Some(at) = (0..=tail.len() - END_BYTES as usize).rev().find(is_end) else {
        return Ok(None);
    };
    let (Some(len), Some(start)) = (word(&tail, at + 12), word(&tail, at + 16)) else {
        return Ok(None);
    };
    let (mut start, mut len) = (u64::from(start), u64::from(len));
    let end = from + at as u64;
    if (start == u64::from(u32::MAX) || len == u64::from(u32::MAX)) && end >= LOCATOR_BYTES {
        let locator = source.read(end - LOCATOR_BYTES, LOCATOR_BYTES)?;
        let at = long(&locator, 8).filter(|_| word(&locator, 0) == Some(LARGE_LOCATOR));
        let Some(at) = at.filter(|at| at.checked_add(LARGE_END_BYTES).is_some_and(|e| e <= end))
        else {
            return Ok(None);
        };
        let large = source.read(at, LARGE_END_BYTES)?;
        match (word(&large, 0), long(&large, 40), long(&large, 48)) {
            (Some(LARGE_END), Some(size), Some(offset)) => (len, start) = (size, offset),
            _ => return Ok(None),
        }
    }
    let inside = start.checked_add(len).is_some_and(|to| to <= end);
    Ok((inside && len <= MAX_DIRECTORY_BYTES).then_some((start, len)))
}

/// The first entry of a directory, whose offset is still that of the member's own header; and what
/// comes after it.
fn entry(bytes: &[u8]) -> Option<(Member, &[u8])> {
    if word(bytes, 0)? != MEMBER || short(bytes, 8)? & 1 != 0 {
        return None;
    }
    let method = short(bytes, 10)?;
    let lengths = [short(bytes, 28)?, short(bytes, 30)?, short(bytes, 32)?].map(usize::from);
    let [name, extra, comment] = lengths;
    let text = bytes.get(MEMBER_BYTES..MEMBER_BYTES + name)?;
    let mut more = bytes.get(MEMBER_BYTES + name..MEMBER_BYTES + name + extra)?;
    let mut large = Vec::new();
    while let (Some(kind), Some(len)) = (short(more, 0), short(more, 2)) {
        let field = more.get(4..4 + usize::from(len))?;
        if kind == 1 {
            large = field.chunks_exact(8).filter_map(|part| long(part, 0)).collect();
        }
        more = &more[4 + usize::from(len)..];
    }
    let mut large = large.into_iter();
    let mut wide = |field: u32| match field {
        u32::MAX => large.next(),
        _ => Some(field.into()),
    };
    let (size, len) = (wide(word(bytes, 24)?)?, wide(word(bytes, 20)?)?);
    let offset = wide(word(bytes, 42)?)?;
    let member = Member {
        name: String::from_utf8_lossy(text).into_owned(),
        stored: method == 0 && size == len,
        deflated: method == 8,
        offset,
        len,
        size,
    };
    Some((member, bytes.get(MEMBER_BYTES + name + extra + comment..)?))
}

/// The member with the offset of its bytes; none if it does not lie inside the file.
fn placed(source: &dyn Source, member: Member) -> Result<Option<Member>> {
    let fits = |at: u64, len: u64| at.checked_add(len).is_some_and(|to| to <= source.len());
    if !fits(member.offset, LOCAL_BYTES) {
        return Ok(None);
    }
    let header = source.read(member.offset, LOCAL_BYTES)?;
    let (Some(name), Some(extra)) = (short(&header, 26), short(&header, 28)) else {
        return Ok(None);
    };
    let offset = member.offset + LOCAL_BYTES + u64::from(name) + u64::from(extra);
    Ok((header.starts_with(FIRST) && fits(offset, member.len))
        .then_some(Member { offset, ..member }))
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

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
