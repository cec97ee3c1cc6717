//! .npy: a magic word, a version, a dictionary in Python's notation, the elements of one array.
//!
//! Versions 1 to 3. Little-endian floats are named; all else (integers, big-endian, structured,
//! pickled objects) is one region of bytes. The array may also lie inside another file, as a
//! member of an .npz.

use super::region::{Layout, Region, bytes_of};
use super::scan::Scanner;
use super::source::{Input, Step, Stop, u16_at, u32_at};
use crate::float::Element;

/// What an .npy begins with.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";
/// The longest dictionary: one of a structured type with thousands of fields still fits.
const MAX_DICTIONARY: u64 = 1 << 20;
/// What is read at first: numpy writes 128 bytes for all but structured types.
const FIRST: u64 = 256;

/// Where the array of a file lies; it has no name.
pub(super) fn layout(input: &mut Input<'_>) -> Step<Layout> {
    let size = input.size();
    Layout::new(vec![region(input, "", 0, size)?], size)
}

/// The array that lies in these bytes of a file.
pub(super) fn region(input: &mut Input<'_>, name: &str, start: u64, end: u64) -> Step<Region> {
    let mut head = input.upto(start, FIRST, end)?;
    if !head.starts_with(MAGIC) {
        return Err(Stop::Unfit);
    }
    let (from, len) = match head.get(6) {
        Some(1) => (10, u64::from(u16_at(&head, 8)?)),
        Some(2 | 3) => (12, u64::from(u32_at(&head, 8)?)),
        _ => return Err(Stop::Unfit),
    };
    let data = start.checked_add(from + len).filter(|data| *data <= end).ok_or(Stop::Unfit)?;
    if len > MAX_DICTIONARY {
        return Err(Stop::Unfit);
    }
    if (head.len() as u64) < from + len {
        head = input.exact(start, from + len)?;
    }
    let dictionary = &head[from as usize..(from + len) as usize];
    let (element, len) = array(dictionary)?;
    let stop = match len {
        Some(len) => data.checked_add(len).filter(|stop| *stop <= end).ok_or(Stop::Unfit)?,
        None => end,
    };
    Ok(Region { name: name.to_owned(), start: data, end: stop, element })
}

/// The element of an array, and how many bytes it has where that can be told.
fn array(dictionary: &[u8]) -> Step<(Element, Option<u64>)> {
    let mut scanner = Scanner::new(dictionary);
    let (mut kind, mut order, mut shape) = (None, None, None);
    scanner.expect(b'{')?;
    while scanner.peek() != Some(b'}') {
        let key = scanner.quoted()?;
        scanner.expect(b':')?;
        let twice = match key {
            "descr" => kind.replace(description(&mut scanner)?).is_some(),
            "fortran_order" => order.replace(truth(&mut scanner)?).is_some(),
            "shape" => shape.replace(scanner.tuple()?).is_some(),
            _ => true,
        };
        if twice {
            return Err(Stop::Unfit);
        }
        if scanner.peek() != Some(b'}') {
            scanner.expect(b',')?;
        }
    }
    let (Some((element, width)), Some(()), Some(shape)) = (kind, order, shape) else {
        return Err(Stop::Unfit);
    };
    let Some(width) = width else { return Ok((element, None)) };
    let bits = width.checked_mul(8).ok_or(Stop::Unfit)?;
    let len = bytes_of(&shape, bits).ok_or(Stop::Unfit)?;
    Ok((element, Some(len)))
}

/// True or False: the order of the dimensions does not matter here.
fn truth(scanner: &mut Scanner<'_>) -> Step<()> {
    scanner.word("True").or_else(|_| scanner.word("False"))
}

/// The element that a description names, and its width in bytes where that can be told.
fn description(scanner: &mut Scanner<'_>) -> Step<(Element, Option<u64>)> {
    if scanner.peek() == Some(b'\'') {
        return Ok(kind(scanner.quoted()?));
    }
    // A structured type, in brackets that nest.
    let mut depth = 0u32;
    loop {
        match scanner.peek() {
            Some(b'\'') => drop(scanner.quoted()?),
            Some(b'[' | b'(') => {
                depth += 1;
                scanner.next()?;
            }
            Some(b']' | b')') => {
                depth = depth.checked_sub(1).ok_or(Stop::Unfit)?;
                scanner.next()?;
            }
            _ => drop(scanner.next()?),
        }
        if depth == 0 {
            return Ok((Element::Other, None));
        }
    }
}

/// A description such as `<f4`: byte order, kind, bytes.
fn kind(description: &str) -> (Element, Option<u64>) {
    let element = match description {
        "<f2" => Element::F16,
        // A complex number is two floats side by side.
        "<f4" | "<c8" => Element::F32,
        "<f8" | "<c16" => Element::F64,
        _ => Element::Other,
    };
    let rest = description.trim_start_matches(['<', '>', '|', '=']);
    let width = rest.get(1..).map(|digits| digits.split('[').next().unwrap_or(digits));
    let width = width.and_then(|digits| digits.parse::<u64>().ok());
    match rest.as_bytes().first() {
        // Text is counted in code points of four bytes.
        Some(b'U') => (element, width.and_then(|w| w.checked_mul(4))),
        Some(b'b' | b'i' | b'u' | b'f' | b'c' | b'S' | b'V' | b'm' | b'M') => (element, width),
        _ => (element, None),
    }
}
