//! Images in the PNG format, by pixel. What else such a file holds (who made it, and when) counts only
//! where all pixels are equal.

use std::io::Cursor;

use lab_schema::Tolerance;
use png::{BitDepth, ColorType, Decoder, Limits, Transformations};

use crate::compare::bytes;
use crate::compare::found::{Found, Tally, allows};
use crate::compare::source::Source;
use crate::error::Result;

const MAGIC: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Largest file that is read, and most bytes of its pixels.
const MAX_FILE_BYTES: u64 = 128 << 20;
const MAX_PIXEL_BYTES: usize = 512 << 20;

/// An image.
#[derive(Debug)]
pub(crate) struct Image {
    width: u32,
    height: u32,
    color: ColorType,
    depth: BitDepth,
    /// Row after row; samples of 16 bits have the higher byte first.
    bytes: Vec<u8>,
}

impl Image {
    /// Bytes of a pixel. Palettes and samples of less than a byte have been expanded.
    fn size(&self) -> usize {
        let wide = if self.depth == BitDepth::Sixteen { 2 } else { 1 };
        self.color.samples() * wide
    }

    fn form(&self) -> String {
        format!("{} x {}, {:?} of {} bits", self.width, self.height, self.color, self.depth as u8)
    }

    fn samples<'a>(&self, pixel: &'a [u8]) -> impl Iterator<Item = u16> + use<'a> {
        let wide = pixel.len() / self.color.samples();
        pixel.chunks_exact(wide).map(|s| s.iter().fold(0, |n, b| n << 8 | u16::from(*b)))
    }

    fn text(&self, pixel: &[u8]) -> String {
        let samples: Vec<String> = self.samples(pixel).map(|s| s.to_string()).collect();
        samples.join(" ")
    }
}

/// The image; none if the file is not in this format, is cut off, too large, or moves.
pub(crate) fn parse(source: &dyn Source) -> Result<Option<Image>> {
    let len = source.len();
    if !(8..=MAX_FILE_BYTES).contains(&len) || source.read(0, 8)? != MAGIC {
        return Ok(None);
    }
    let bytes = source.read(0, len)?;
    Ok(decode(&bytes))
}

fn decode(file: &[u8]) -> Option<Image> {
    let mut decoder =
        Decoder::new_with_limits(Cursor::new(file), Limits { bytes: MAX_PIXEL_BYTES });
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info().ok()?;
    let len = reader.output_buffer_size().filter(|len| *len <= MAX_PIXEL_BYTES)?;
    if reader.info().animation_control.is_some() {
        return None;
    }
    let mut bytes = vec![0; len];
    let frame = reader.next_frame(&mut bytes).ok()?;
    bytes.truncate(frame.buffer_size());
    let (color, depth) = (frame.color_type, frame.bit_depth);
    Some(Image { width: frame.width, height: frame.height, color, depth, bytes })
}

/// The difference to report between two images whose files differ.
pub(crate) fn compare(
    (expected, a): (&dyn Source, &Image),
    (actual, b): (&dyn Source, &Image),
    tolerance: Option<Tolerance>,
) -> Result<Option<Found>> {
    let (x, y) = (a.form(), b.form());
    if x != y {
        return Ok(Some(Found { at: None, ..Found::new("", &x, &y) }));
    }
    let size = a.size();
    let mut tally = Tally::default();
    let mut all = 0;
    for (i, (p, q)) in a.bytes.chunks_exact(size).zip(b.bytes.chunks_exact(size)).enumerate() {
        all += 1;
        if p == q {
            continue;
        }
        tally.count(0, 1);
        let tolerated = a
            .samples(p)
            .zip(b.samples(q))
            .all(|(p, q)| p == q || allows(tolerance, p.into(), q.into()));
        let (column, row) = (i as u64 % u64::from(a.width), i as u64 / u64::from(a.width));
        tally.offer(tolerated, || {
            Found::new(format!("column {column}, row {row}"), &a.text(p), &b.text(q))
        });
    }
    tally.count(all, 0);
    match tally.finish() {
        None => bytes::same_values(expected, actual, tolerance),
        found => Ok(found),
    }
}
