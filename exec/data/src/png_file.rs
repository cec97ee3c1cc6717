//! PNG: grey, colour and palettes, of 1 to 16 bits, interlaced or not.
//!
//! 16 bits become 8, to nearest. Transparency has no meaning without a background that nobody
//! named, so a pixel that is not opaque is refused. So are animations, wrong checksums, a file
//! that is cut off and one that goes on. Colour profiles and gamma are not applied.

use std::io::Cursor;

use png::{BitDepth, ColorType, DecodeOptions, Decoder, Limits, Transformations};

use crate::error::{DataError, Result};
use crate::picture::{Frame, channels};

/// How PNG files begin.
pub(crate) const MAGIC: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Where the header says of what kind the picture is; the lowest bit stands for a palette.
const PALETTE_FLAG_AT: usize = 25;
/// What the decoder may take for itself beside the pixels.
const DECODER_BYTES: usize = 64 << 20;

/// The size of a picture, whose file is whole.
pub(crate) fn frame(bytes: &[u8], path: &str) -> Result<Frame> {
    let file = file(path);
    let mut at = MAGIC.len();
    let mut colours = 0;
    loop {
        let kind = chunk(bytes, at, &file)?;
        let length = length(bytes, at);
        if at == MAGIC.len() && (kind != b"IHDR" || length != 13) {
            return Err(DataError::Malformed { file, why: "it does not begin with IHDR".into() });
        }
        if kind == b"acTL" {
            let needed = "a single one";
            return Err(DataError::Unsupported { file, what: "several frames".into(), needed });
        }
        if kind == b"PLTE" {
            colours = length;
        }
        // The decoder takes neither length as it is: it panics or passes over the chunk.
        let palette = bytes[PALETTE_FLAG_AT] & 1 == 1;
        if colours % 3 != 0 || colours > 768 || palette && kind == b"tRNS" && length * 3 > colours {
            let why = format!("the chunk {} of {length} bytes", kind.escape_ascii());
            return Err(DataError::Malformed { file, why });
        }
        at += length + 12;
        if kind == b"IEND" {
            break;
        }
    }
    if at != bytes.len() {
        return Err(DataError::Trailing { file, end: at as u64 });
    }
    let side = |at: usize| u64::from(u32::from_be_bytes([0, 1, 2, 3].map(|i| bytes[at + i])));
    Frame::new(side(20), side(16), &file)
}

/// The type of the chunk that begins at `at` and is whole.
fn chunk<'a>(bytes: &'a [u8], at: usize, file: &str) -> Result<&'a [u8]> {
    let cut_off = |what: String, needs: usize| DataError::CutOff {
        file: file.to_owned(),
        what,
        needs: needs as u64,
        found: bytes.len().saturating_sub(at) as u64,
    };
    let Some(kind) = bytes.get(at + 4..at + 8) else {
        return Err(cut_off("the head of a chunk".into(), 8));
    };
    // Length, type and checksum are 12 bytes.
    let needs = length(bytes, at) + 12;
    match bytes.len() - at >= needs {
        true => Ok(kind),
        false => Err(cut_off(format!("the chunk {}", kind.escape_ascii()), needs)),
    }
}

/// The length of the chunk whose head is at `at`.
fn length(bytes: &[u8], at: usize) -> usize {
    u32::from_be_bytes([0, 1, 2, 3].map(|i| bytes[at + i])) as usize
}

/// The samples of a picture with this frame, in so many channels.
pub(crate) fn decode(bytes: &[u8], path: &str, frame: Frame, to: usize) -> Result<Vec<u8>> {
    let invalid = |error: png::DecodingError| DataError::Malformed {
        file: file(path),
        why: error.to_string(),
    };
    let mut options = DecodeOptions::default();
    options.set_ignore_checksums(false);
    options.set_skip_ancillary_crc_failures(false);
    options.set_ignore_text_chunk(true);
    options.set_ignore_iccp_chunk(true);
    let mut decoder = Decoder::new_with_options(Cursor::new(bytes), options);
    decoder.set_limits(Limits { bytes: DECODER_BYTES });
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(invalid)?;
    let (color, depth) = reader.output_color_type();
    let from = color.samples();
    let width = if depth == BitDepth::Sixteen { 2 } else { 1 };
    let mut raw = vec![0; frame.pixels() * from * width];
    reader.next_frame(&mut raw).map_err(invalid)?;
    reader.finish().map_err(invalid)?;
    let alpha = matches!(color, ColorType::GrayscaleAlpha | ColorType::Rgba);
    if alpha {
        raw = opaque(raw, from * width, width, path, frame)?;
    }
    let samples = if width == 2 { reduced(&raw) } else { raw };
    Ok(channels(samples, from - usize::from(alpha), to))
}

/// The pixels without their alpha, which is the last sample of each.
fn opaque(raw: Vec<u8>, pixel: usize, width: usize, path: &str, frame: Frame) -> Result<Vec<u8>> {
    let mut kept = Vec::with_capacity(raw.len() / pixel * (pixel - width));
    for (index, samples) in raw.chunks_exact(pixel).enumerate() {
        let (colour, alpha) = samples.split_at(pixel - width);
        if alpha.iter().any(|byte| *byte != 255) {
            let (row, column) = (index / frame.width, index % frame.width);
            return Err(DataError::Transparent { path: path.to_owned(), row, column });
        }
        kept.extend_from_slice(colour);
    }
    Ok(kept)
}

/// v / 65535 in units of 1/255, to nearest; it is never halfway.
fn reduced(raw: &[u8]) -> Vec<u8> {
    let reduce = |sample: &[u8; 2]| {
        let wide = u32::from(u16::from_be_bytes(*sample));
        ((wide * 255 + 32_767) / 65_535) as u8
    };
    raw.as_chunks::<2>().0.iter().map(reduce).collect()
}

fn file(path: &str) -> String {
    format!("image '{}'", path.escape_debug())
}
