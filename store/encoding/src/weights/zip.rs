//! The members of a zip archive.
//!
//! The central directory is the truth; each local header is read only to learn how long it is.
//! zip64 is understood. Refused are archives with something before their first member or in
//! several parts, and those whose members overlap or reach into the directory: besides being
//! nonsense, overlaps would let a small file ask for endless reading.

use super::region::MAX_REGIONS;
use super::source::{Input, MAX_HEADER, Step, Stop, u16_at, u32_at, u64_at};

/// What a zip archive begins with: the header of its first member.
pub(super) const MAGIC: &[u8] = b"PK\x03\x04";
const ENTRY: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
const END64: &[u8] = b"PK\x06\x06";
const LOCATOR64: &[u8] = b"PK\x06\x07";
const HEADER_LEN: u64 = 30;
const ENTRY_LEN: usize = 46;
const END_LEN: usize = 22;
const END64_LEN: u64 = 56;
const LOCATOR64_LEN: usize = 20;
/// A 32-bit field whose value stands in the zip64 fields.
const ELSEWHERE: u64 = 0xffff_ffff;

/// The central directory of an archive.
pub(super) struct Directory {
    bytes: Vec<u8>,
    members: Vec<Member>,
}

/// One member, by what the directory says of it.
pub(super) struct Member {
    /// Where its name lies in the directory.
    name: (usize, usize),
    /// How it is compressed: 0 not at all, 8 by deflate; none if it is encrypted.
    method: Option<u16>,
    /// Bytes of its contents.
    contents: u64,
    /// Where its local header begins.
    header: u64,
    /// Bytes of its contents as they lie in the archive.
    len: u64,
    /// Where the next member or the directory begins.
    limit: u64,
}

/// Where the directory lies and how many entries it has.
struct Place {
    start: u64,
    len: u64,
    entries: u64,
}

impl Directory {
    /// Reads the directory of an archive.
    pub(super) fn read(input: &mut Input<'_>) -> Step<Directory> {
        let place = find(input)?;
        if place.entries > MAX_REGIONS as u64 || place.len > MAX_HEADER {
            return Err(Stop::Unfit);
        }
        let bytes = input.exact(place.start, place.len)?;
        let (mut members, mut at) = (Vec::new(), 0);
        for _ in 0..place.entries {
            members.push(entry(&bytes, &mut at)?);
        }
        if at != bytes.len() {
            return Err(Stop::Unfit);
        }
        limit(&mut members, place.start)?;
        Ok(Directory { bytes, members })
    }

    /// The members that lie uncompressed and have a name in UTF-8, in the order of the file.
    pub(super) fn stored(&self) -> impl Iterator<Item = (&str, &Member)> {
        self.members.iter().filter(|m| m.is_stored()).filter_map(|m| {
            let name = std::str::from_utf8(self.bytes.get(m.name.0..m.name.1)?).ok()?;
            Some((name, m))
        })
    }

    /// All members, in the order of the file.
    pub(super) fn packed(&self, input: &mut Input<'_>) -> Step<Vec<Packed>> {
        let packed = |member: &Member| {
            let (start, _) = member.data(input)?;
            let name = self.bytes.get(member.name.0..member.name.1).ok_or(Stop::Unfit)?;
            Ok(Packed {
                name: String::from_utf8_lossy(name).into_owned(),
                method: member.method,
                start,
                len: member.len,
                contents: member.contents,
            })
        };
        self.members.iter().map(packed).collect()
    }
}

/// A member of an archive, as it lies there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Its name; what is no UTF-8 in it is replaced.
    pub name: String,
    /// How it is compressed: 0 not at all, 8 by deflate; none if it is encrypted.
    pub method: Option<u16>,
    /// Where its bytes begin in the archive.
    pub start: u64,
    /// How many there are: they lie in the archive.
    pub len: u64,
    /// How many bytes its contents are said to have. Nobody has looked.
    pub contents: u64,
}

impl Member {
    fn is_stored(&self) -> bool {
        self.method == Some(0) && self.contents == self.len
    }

    /// Where the contents begin and end.
    pub(super) fn data(&self, input: &mut Input<'_>) -> Step<(u64, u64)> {
        let header = input.exact(self.header, HEADER_LEN)?;
        if !header.starts_with(MAGIC) {
            return Err(Stop::Unfit);
        }
        let more = u64::from(u16_at(&header, 26)?) + u64::from(u16_at(&header, 28)?);
        let start = self.header + HEADER_LEN + more;
        let end = start.checked_add(self.len).filter(|end| *end <= self.limit);
        Ok((start, end.ok_or(Stop::Unfit)?))
    }
}

/// Finds the directory by the record at the end of the file, before which a comment may stand.
fn find(input: &mut Input<'_>) -> Step<Place> {
    let longest = (LOCATOR64_LEN + END_LEN) as u64 + u64::from(u16::MAX);
    let from = input.size().saturating_sub(longest);
    let tail = input.exact(from, input.size() - from)?;
    let end = (0..=tail.len().saturating_sub(END_LEN))
        .rev()
        .find(|at| {
            let ends = u16_at(&tail, at + 20).map(|comment| at + END_LEN + usize::from(comment));
            tail[*at..].starts_with(END) && ends.is_ok_and(|ends| ends == tail.len())
        })
        .ok_or(Stop::Unfit)?;
    let locator = end.checked_sub(LOCATOR64_LEN).map(|at| &tail[at..end]);
    let place = match locator.filter(|locator| locator.starts_with(LOCATOR64)) {
        Some(locator) => place64(input, locator, from + (end - LOCATOR64_LEN) as u64)?,
        None => place32(&tail[end..])?,
    };
    // The directory lies before the records that lead to it.
    if place.start.checked_add(place.len).is_none_or(|ends| ends > from + end as u64) {
        return Err(Stop::Unfit);
    }
    Ok(place)
}

fn place32(record: &[u8]) -> Step<Place> {
    let entries = u16_at(record, 10)?;
    if u32_at(record, 4)? != 0 || u16_at(record, 8)? != entries {
        return Err(Stop::Unfit);
    }
    Ok(Place {
        start: u64::from(u32_at(record, 16)?),
        len: u64::from(u32_at(record, 12)?),
        entries: u64::from(entries),
    })
}

/// `at` is where the locator lies.
fn place64(input: &mut Input<'_>, locator: &[u8], at: u64) -> Step<Place> {
    let start = u64_at(locator, 8)?;
    if start.checked_add(END64_LEN).is_none_or(|ends| ends > at) {
        return Err(Stop::Unfit);
    }
    let record = input.exact(start, END64_LEN)?;
    let (parts, entries) = (u64_at(&record, 16)?, u64_at(&record, 32)?);
    if !record.starts_with(END64) || parts != 0 || u64_at(&record, 24)? != entries {
        return Err(Stop::Unfit);
    }
    Ok(Place { start: u64_at(&record, 48)?, len: u64_at(&record, 40)?, entries })
}

/// Reads the entry at this place of the directory and moves on.
fn entry(bytes: &[u8], at: &mut usize) -> Step<Member> {
    let entry = bytes.get(*at..).ok_or(Stop::Unfit)?;
    if !entry.starts_with(ENTRY) {
        return Err(Stop::Unfit);
    }
    let lens = [u16_at(entry, 28)?, u16_at(entry, 30)?, u16_at(entry, 32)?].map(usize::from);
    let [name_len, extra_len, comment_len] = lens;
    let name = (*at + ENTRY_LEN, *at + ENTRY_LEN + name_len);
    let extra = bytes.get(name.1..name.1 + extra_len).ok_or(Stop::Unfit)?;
    let mut sizes = [u32_at(entry, 24)?, u32_at(entry, 20)?, u32_at(entry, 42)?].map(u64::from);
    if sizes.contains(&ELSEWHERE) {
        widen(&mut sizes, extra)?;
    }
    let [contents, len, header] = sizes;
    let (flags, method) = (u16_at(entry, 8)?, u16_at(entry, 10)?);
    *at = name.1 + extra_len + comment_len;
    let method = Some(method).filter(|_| flags & 1 == 0);
    Ok(Member { name, method, contents, header, len, limit: 0 })
}

/// Takes the values that do not fit 32 bits from the zip64 field: those, and in this order.
fn widen(sizes: &mut [u64; 3], extra: &[u8]) -> Step<()> {
    let mut at = 0;
    while u16_at(extra, at)? != 1 {
        at += 4 + usize::from(u16_at(extra, at + 2)?);
    }
    let len = usize::from(u16_at(extra, at + 2)?);
    let field = extra.get(at + 4..at + 4 + len).ok_or(Stop::Unfit)?;
    let wide = sizes.iter_mut().filter(|size| **size == ELSEWHERE);
    wide.enumerate().try_for_each(|(place, size)| {
        *size = u64_at(field, 8 * place)?;
        Ok(())
    })
}

/// Sorts members by their place and gives each the place where it must have ended.
fn limit(members: &mut [Member], directory: u64) -> Step<()> {
    members.sort_unstable_by_key(|member| member.header);
    let mut next = directory;
    for member in members.iter_mut().rev() {
        let name_len = (member.name.1 - member.name.0) as u64;
        let least = (HEADER_LEN + name_len).checked_add(member.len);
        if least.and_then(|len| len.checked_add(member.header)).is_none_or(|end| end > next) {
            return Err(Stop::Unfit);
        }
        member.limit = next;
        next = member.header;
    }
    if next != 0 { Err(Stop::Unfit) } else { Ok(()) }
}
