//! Zip archives, as far as npz files need them, read from the directory at their end.
//!
//! (PKWARE's APPNOTE.TXT describes the format.) Read are members that are stored or deflated.
//! Strict where other readers differ from each other: the directory must stand right before the
//! end, members must not overlap, names must be unique and the same in both places, sizes and
//! checksums must hold. Refused: encryption, several disks, zip64 (an archive of 4 GiB).

use std::collections::BTreeSet;
use std::io::Read;

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

use crate::array::MAX_ARRAY_BYTES;
use crate::error::{DataError, Result};

const FILE: &str = "the npz file";
const END_BYTES: usize = 22;
const ENTRY_BYTES: usize = 46;
const LOCAL_BYTES: usize = 30;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
const ENCRYPTED: u16 = 1;

/// A member that the directory names.
pub(crate) struct Member {
    pub(crate) name: String,
    method: u16,
    checksum: u32,
    packed: usize,
    size: u64,
    /// Where its local header begins.
    start: usize,
}

/// The members of an archive, in the order in which they lie in it.
pub(crate) fn members(bytes: &[u8]) -> Result<Vec<Member>> {
    let (count, mut at, end) = directory(bytes)?;
    let mut members = Vec::new();
    let mut names = BTreeSet::new();
    let first = at;
    for _ in 0..count {
        let (member, next) = entry(&bytes[..end], at)?;
        if !names.insert(member.name.clone()) {
            return Err(malformed(format!("the member '{}' twice", member.name.escape_debug())));
        }
        members.push(member);
        at = next;
    }
    if at != end {
        return Err(malformed("its directory is longer than its members need".into()));
    }
    let total = members.iter().try_fold(0u64, |sum, member| sum.checked_add(member.size));
    if total.is_none_or(|total| total > MAX_ARRAY_BYTES) {
        return Err(DataError::TooLarge { what: "bytes of all arrays", limit: MAX_ARRAY_BYTES });
    }
    members.sort_by_key(|member| member.start);
    let starts = members.iter().skip(1).map(|member| member.start).chain([first]);
    for (member, limit) in members.iter().zip(starts) {
        if data(bytes, member)?.1 > limit {
            return Err(malformed(format!("the member '{}' overlaps", member.name.escape_debug())));
        }
    }
    Ok(members)
}

/// The bytes of a member, unpacked.
pub(crate) fn unpack(bytes: &[u8], member: &Member) -> Result<Vec<u8>> {
    let refuse = |why: String| malformed(format!("member '{}' {why}", member.name.escape_debug()));
    let (start, end) = data(bytes, member)?;
    let packed = &bytes[start..end];
    let mut plain = Vec::new();
    match member.method {
        STORED => plain.extend_from_slice(packed),
        _ => {
            let mut decoder = DeflateDecoder::new(packed);
            let read = decoder.by_ref().take(member.size + 1).read_to_end(&mut plain);
            read.map_err(|error| refuse(format!("is damaged: {error}")))?;
            if decoder.total_in() != packed.len() as u64 {
                return Err(refuse("has bytes after its end".into()));
            }
        }
    }
    if plain.len() as u64 != member.size {
        return Err(refuse(format!("has not the {} bytes that it announces", member.size)));
    }
    let mut checksum = Crc::new();
    checksum.update(&plain);
    match checksum.sum() == member.checksum {
        true => Ok(plain),
        false => Err(refuse("is damaged: its checksum is wrong".into())),
    }
}

/// How many members there are, and where the directory begins and ends.
fn directory(bytes: &[u8]) -> Result<(usize, usize, usize)> {
    let last = bytes.len().checked_sub(END_BYTES);
    let first = bytes.len().saturating_sub(END_BYTES + usize::from(u16::MAX));
    let is_end = |at: &usize| {
        let comment = number(bytes, at + 20, 2).unwrap_or(0) as usize;
        bytes[*at..].starts_with(b"PK\x05\x06") && at + END_BYTES + comment == bytes.len()
    };
    let found = last.and_then(|last| (first..=last).rev().find(is_end));
    let Some(end) = found else {
        return Err(malformed("it is no zip archive, or is cut off: it has no end record".into()));
    };
    let field = |offset, width| part(bytes, end + offset, width, "the end record");
    let (disk, other, here) = (field(4, 2)?, field(6, 2)?, field(8, 2)?);
    let (all, length, start) = (field(10, 2)?, field(12, 4)?, field(16, 4)?);
    if all == 0xffff || length == u64::from(u32::MAX) || start == u64::from(u32::MAX) {
        return Err(unsupported("zip64 records", "an archive of less than 4 GiB"));
    }
    if (disk, other, here) != (0, 0, all) {
        return Err(unsupported("several parts", "a single file"));
    }
    match start + length == end as u64 {
        true => Ok((all as usize, start as usize, end)),
        false => Err(malformed("its directory does not stand before its end record".into())),
    }
}

/// The entry of the directory that begins at `at`, and where the next one begins.
fn entry(bytes: &[u8], at: usize) -> Result<(Member, usize)> {
    let what = "an entry of the directory";
    let field = |offset, width| part(bytes, at + offset, width, what);
    if field(0, 4)? != 0x0201_4b50 {
        return Err(malformed("an entry of its directory has another signature".into()));
    }
    let lengths = [field(28, 2)?, field(30, 2)?, field(32, 2)?].map(|length| length as usize);
    let next = at + ENTRY_BYTES + lengths.iter().sum::<usize>();
    let Some(name) = bytes.get(at + ENTRY_BYTES..at + ENTRY_BYTES + lengths[0]) else {
        return Err(cut_off(what, lengths[0], bytes.len().saturating_sub(at + ENTRY_BYTES)));
    };
    let name = str::from_utf8(name).map_err(|_| malformed("a name is not UTF-8".into()))?;
    let member = Member {
        name: name.to_owned(),
        method: field(10, 2)? as u16,
        checksum: field(16, 4)? as u32,
        packed: field(20, 4)? as usize,
        size: field(24, 4)?,
        start: field(42, 4)? as usize,
    };
    if field(8, 2)? as u16 & ENCRYPTED != 0 {
        return Err(unsupported("encrypted members", "one without a password"));
    }
    if member.method != STORED && member.method != DEFLATED {
        return Err(unsupported("members of another compression", "stored or deflated"));
    }
    if member.method == STORED && member.packed as u64 != member.size {
        return Err(malformed(format!("member '{}' has two sizes", name.escape_debug())));
    }
    Ok((member, next))
}

/// Where the packed bytes of a member begin and end.
fn data(bytes: &[u8], member: &Member) -> Result<(usize, usize)> {
    let name = member.name.escape_debug();
    let field = |offset, width| part(bytes, member.start + offset, width, "the header of a member");
    if field(0, 4)? != 0x0403_4b50 {
        return Err(malformed(format!("member '{name}' does not begin where the directory says")));
    }
    let length = field(26, 2)? as usize;
    let start = member.start + LOCAL_BYTES + length + field(28, 2)? as usize;
    let local = bytes.get(member.start + LOCAL_BYTES..member.start + LOCAL_BYTES + length);
    if local != Some(member.name.as_bytes()) {
        return Err(malformed(format!("member '{name}' has another name in its header")));
    }
    let end = start + member.packed;
    match end <= bytes.len() {
        true => Ok((start, end)),
        false => Err(cut_off(
            &format!("member '{name}'"),
            member.packed,
            bytes.len().saturating_sub(start),
        )),
    }
}

/// A number of at most 4 bytes, little endian.
fn number(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let part = bytes.get(at..at + width)?;
    Some(part.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn part(bytes: &[u8], at: usize, width: usize, what: &str) -> Result<u64> {
    number(bytes, at, width).ok_or_else(|| cut_off(what, width, bytes.len().saturating_sub(at)))
}

fn cut_off(what: &str, needs: usize, found: usize) -> DataError {
    let (needs, found) = (needs as u64, found as u64);
    DataError::CutOff { file: FILE.into(), what: what.to_owned(), needs, found }
}

fn malformed(why: String) -> DataError {
    DataError::Malformed { file: FILE.into(), why }
}

fn unsupported(what: &str, needed: &'static str) -> DataError {
    DataError::Unsupported { file: FILE.into(), what: what.to_owned(), needed }
}
