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

    pub(crate) fn form(&self) -> String {
        format!("{} x {}, {:?} of {} bits", self.width, self.height, self.color, self.depth as u8)
    }

    /// Pixels, how many of them differ, and the largest difference of two samples; none if the images
    /// have another size or form.
    pub(crate) fn differing(&self, other: &Image) -> Option<(u64, u64, u16)> {
        if self.form() != other.form() {
            return None;
        }
        let size = self.size();
        let (mut all, mut differ, mut largest) = (0, 0, 0);
        for (p, q) in self.bytes.chunks_exact(size).zip(other.bytes.chunks_exact(size)) {
            all += 1;
            if p != q {
                differ += 1;
                let steps = self.samples(p).zip(other.samples(q)).map(|(p, q)| p.abs_diff(q));
                largest = largest.max(steps.max().unwrap_or(0));
            }
        }
        Some((all, differ, largest))
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

/// Whether the palette and its transparency have lengths that the decoder takes: at others it
/// panics (png 0.18).
fn palette_is_sound(file: &[u8]) -> bool {
    let mut at = MAGIC.len();
    let mut colours = 0;
    while let Some(head) = file.get(at..at + 8) {
        let (length, kind) = head.split_at(4);
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
        if kind == b"PLTE" {
            colours = length;
        }
        let unsound = kind == b"tRNS" && colours > 0 && length * 3 > colours;
        if colours % 3 != 0 || colours > 768 || unsound {
            return false;
        }
        let Some(next) = at.checked_add(length).and_then(|at| at.checked_add(12)) else {
            return false;
        };
        at = next;
    }
    true
}

fn decode(file: &[u8]) -> Option<Image> {
    if !palette_is_sound(file) {
        return None;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let body = [kind.as_slice(), data].concat();
        let mut crc = !0u32;
        for byte in &body {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
            }
        }
        let length = (data.len() as u32).to_be_bytes();
        [length.as_slice(), &body, &(!crc).to_be_bytes()].concat()
    }

    #[test]
    fn a_palette_of_an_impossible_length_is_no_image_and_no_panic() {
        let header = [0, 0, 0, 1, 0, 0, 0, 1, 8, 3, 0, 0, 0];
        // A deflated row of one pixel: filter 0, colour 0.
        let pixel = [0x78, 0x01, 0x01, 0x02, 0x00, 0xfd, 0xff, 0, 0, 0x00, 0x02, 0x00, 0x01];
        let file = |palette: usize, alpha: usize| {
            let mut file = MAGIC.to_vec();
            file.extend(chunk(b"IHDR", &header));
            file.extend(chunk(b"PLTE", &vec![7; palette]));
            file.extend(chunk(b"tRNS", &vec![9; alpha]));
            file.extend(chunk(b"IDAT", &pixel));
            file.extend(chunk(b"IEND", &[]));
            file
        };
        let image = decode(&file(3, 1)).unwrap();
        assert_eq!((image.width, image.bytes), (1, vec![7, 7, 7, 9]));
        for (palette, alpha) in [(4, 1), (771, 1), (3, 2), (1, 0)] {
            assert!(decode(&file(palette, alpha)).is_none(), "{palette}, {alpha}");
        }
    }
}
