//! safetensors: eight bytes with the length of a header, the header in JSON, the tensors.
//!
//! Strict where the format is: a header that lies in the file, an object of objects, each with a
//! dtype, a shape and two offsets that agree with each other, no key twice. A dtype that is not
//! known yet is taken at its offsets' word. Holes between tensors are harmless and let through.

use super::region::{Layout, MAX_REGIONS, Region, Tensor, bytes_of};
use super::scan::Scanner;
use super::source::{Input, MAX_HEADER, Step, Stop, u64_at};
use crate::float::Element;

/// Whether a file of `size` bytes may be one, from its first bytes.
pub(super) fn plausible(head: &[u8], size: u64) -> bool {
    let Some((len, rest)) = head.split_first_chunk::<8>() else { return false };
    let len = u64::from_le_bytes(*len);
    (2..=MAX_HEADER).contains(&len) && len <= size.saturating_sub(8) && rest.first() == Some(&b'{')
}

/// Where the tensors lie.
pub(super) fn layout(input: &mut Input<'_>) -> Step<Layout> {
    let regions = read(input)?.into_iter().map(|tensor| tensor.region).collect();
    Layout::new(regions, input.size())
}

/// The tensors, the empty ones too, by their places.
pub(super) fn described(input: &mut Input<'_>) -> Step<Vec<Tensor>> {
    let tensors = read(input)?;
    Layout::new(tensors.iter().map(|tensor| tensor.region.clone()).collect(), input.size())?;
    Ok(tensors)
}

fn read(input: &mut Input<'_>) -> Step<Vec<Tensor>> {
    let prefix = input.exact(0, 8)?;
    let len = u64_at(&prefix, 0)?;
    let header = input.exact(8, len)?;
    tensors(&header, 8 + len)
}

/// The tensors of a header, also the empty ones; `base` is where the data begins.
fn tensors(header: &[u8], base: u64) -> Step<Vec<Tensor>> {
    let mut scanner = Scanner::new(header);
    let (mut regions, mut metadata) = (Vec::new(), false);
    members(&mut scanner, |scanner, name| {
        if name == "__metadata__" {
            let twice = std::mem::replace(&mut metadata, true);
            return if twice { Err(Stop::Unfit) } else { strings(scanner) };
        }
        if regions.len() == MAX_REGIONS {
            return Err(Stop::Unfit);
        }
        regions.push(tensor(scanner, name, base)?);
        Ok(())
    })?;
    // Spaces may follow, to align what comes after.
    if scanner.peek().is_some() { Err(Stop::Unfit) } else { Ok(regions) }
}

/// Reads an object, handing each key to `each`, which reads the value.
fn members<'a>(
    scanner: &mut Scanner<'a>,
    mut each: impl FnMut(&mut Scanner<'a>, &str) -> Step<()>,
) -> Step<()> {
    scanner.expect(b'{')?;
    if scanner.peek() == Some(b'}') {
        return scanner.expect(b'}');
    }
    loop {
        let key = scanner.text()?;
        scanner.expect(b':')?;
        each(scanner, &key)?;
        match scanner.next()? {
            b',' => {}
            b'}' => return Ok(()),
            _ => return Err(Stop::Unfit),
        }
    }
}

/// Passes over an object of strings.
fn strings(scanner: &mut Scanner<'_>) -> Step<()> {
    members(scanner, |scanner, _| scanner.text().map(drop))
}

fn tensor(scanner: &mut Scanner<'_>, name: &str, base: u64) -> Step<Tensor> {
    let (mut dtype, mut shape, mut offsets) = (None, None, None);
    members(scanner, |scanner, key| {
        let twice = match key {
            "dtype" => dtype.replace(scanner.text()?).is_some(),
            "shape" => shape.replace(scanner.list()?).is_some(),
            "data_offsets" => offsets.replace(scanner.list()?).is_some(),
            _ => true,
        };
        if twice { Err(Stop::Unfit) } else { Ok(()) }
    })?;
    let (Some(dtype), Some(shape), Some(offsets)) = (dtype, shape, offsets) else {
        return Err(Stop::Unfit);
    };
    let &[start, end] = offsets.as_slice() else { return Err(Stop::Unfit) };
    let (element, bits) = kind(&dtype);
    let len = end.checked_sub(start).ok_or(Stop::Unfit)?;
    if bits.is_some_and(|bits| bytes_of(&shape, bits) != Some(len)) {
        return Err(Stop::Unfit);
    }
    let place = |offset: u64| base.checked_add(offset).ok_or(Stop::Unfit);
    let region = Region { name: name.to_owned(), start: place(start)?, end: place(end)?, element };
    Ok(Tensor { region, dtype: dtype.into_owned(), shape })
}

/// What a dtype is to an encoding, and its bits for each element where that is known.
fn kind(dtype: &str) -> (Element, Option<u64>) {
    match dtype {
        "F64" => (Element::F64, Some(64)),
        "F32" => (Element::F32, Some(32)),
        // A complex number is two floats side by side.
        "C64" => (Element::F32, Some(64)),
        "F16" => (Element::F16, Some(16)),
        "BF16" => (Element::BF16, Some(16)),
        "I64" | "U64" => (Element::Other, Some(64)),
        "I32" | "U32" => (Element::Other, Some(32)),
        "I16" | "U16" => (Element::Other, Some(16)),
        "I8" | "U8" | "BOOL" => (Element::Other, Some(8)),
        _ if dtype.starts_with("F8_") => (Element::Other, Some(8)),
        _ => (Element::Other, None),
    }
}
