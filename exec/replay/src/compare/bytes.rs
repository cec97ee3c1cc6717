//! Two files of which nothing is known: the first byte that differs.

use lab_schema::{Tolerance, hash::hex};

use crate::compare::found::{Found, Tally};
use crate::compare::source::{Source, Window};
use crate::error::Result;

/// What stands where one file has ended.
pub(crate) const END: &str = "end of file";

/// How two files differ as bytes.
pub(crate) struct Measured {
    /// Bytes of the longer one.
    pub(crate) all: u64,
    /// Places at which they differ; those that only one has differ.
    pub(crate) different: u64,
    /// The first of them.
    pub(crate) first: Option<u64>,
}

/// Compares all bytes.
pub(crate) fn measure(a: &dyn Source, b: &dyn Source) -> Result<Measured> {
    let (mut a, mut b) = (Window::new(a), Window::new(b));
    let common = a.len().min(b.len());
    let all = a.len().max(b.len());
    let (mut different, mut first) = (all - common, None);
    let mut offset = 0;
    while offset < common {
        let (x, y) = (a.take(offset, common - offset)?, b.take(offset, common - offset)?);
        let step = x.len().min(y.len());
        if x[..step] != y[..step] {
            let pairs = || x.iter().zip(y).enumerate().filter(|(_, (x, y))| x != y);
            different += pairs().count() as u64;
            first = first.or_else(|| pairs().next().map(|(i, _)| offset + i as u64));
        }
        offset += step as u64;
    }
    Ok(Measured { all, different, first: first.or((common < all).then_some(common)) })
}

/// The first differing byte; none if all bytes are equal.
pub(crate) fn compare(expected: &dyn Source, actual: &dyn Source) -> Result<Option<Found>> {
    let Measured { all, different, first } = measure(expected, actual)?;
    let Some(first) = first else { return Ok(None) };
    let at = |source: &dyn Source| -> Result<String> {
        let read = if first < source.len() { source.read(first, 1)? } else { Vec::new() };
        Ok(read.first().map_or_else(|| END.to_owned(), |b| byte(*b)))
    };
    let mut tally = Tally::default();
    tally.count(all, different);
    let (x, y) = (at(expected)?, at(actual)?);
    tally.offer(false, || Found::new(format!("byte {first}"), &x, &y));
    Ok(tally.finish())
}

/// Two files that hold equal values in other bytes. A declared tolerance is about values, so it
/// covers that.
pub(crate) fn same_values(
    expected: &dyn Source,
    actual: &dyn Source,
    tolerance: Option<Tolerance>,
) -> Result<Option<Found>> {
    let found = compare(expected, actual)?;
    Ok(found.map(|found| Found {
        at: found.at.map(|at| format!("{at} (all values are equal)")),
        tolerated: tolerance.is_some(),
        ..found
    }))
}

fn byte(byte: u8) -> String {
    format!("0x{}", hex(&[byte]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(a: &[u8], b: &[u8]) -> Option<Found> {
        compare(&a, &b).unwrap()
    }

    #[test]
    fn the_first_byte_and_the_share() {
        assert_eq!(run(b"same", b"same"), None);
        let found = run(b"abcd", b"abXY").unwrap();
        assert_eq!((found.at.as_deref(), found.share), (Some("byte 2"), Some(0.5)));
        assert_eq!((found.expected.as_str(), found.actual.as_str()), ("0x63", "0x58"));
        let found = run(b"abcd", b"ab").unwrap();
        assert_eq!((found.at.as_deref(), found.actual.as_str()), (Some("byte 2"), END));
        assert_eq!(run(b"", b"x").unwrap().share, Some(1.0));
    }

    #[test]
    fn across_blocks() {
        let a = vec![0; 5 << 20];
        let mut b = a.clone();
        b[(4 << 20) + 1] = 9;
        assert_eq!(run(&a, &b).unwrap().at.as_deref(), Some("byte 4194305"));
    }
}
