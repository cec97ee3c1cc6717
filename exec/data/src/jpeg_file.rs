//! JPEG: grey or colour, baseline or progressive, by a decoder that is the same everywhere.
//!
//! The standard leaves the last bit of a pixel to the decoder, so the decoder is part of what a
//! recorded result means: one pinned version, scalar integer arithmetic only, and a golden value
//! in the tests. Its pixels differ from Pillow's by a few units at most. The orientation that a
//! camera notes and colour profiles are not applied.

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::error::{DataError, Result};
use crate::jpeg_segments::JpegFrame;
use crate::picture::channels;

/// A progressive file has about ten; each costs a walk over all pixels.
const MAX_SCANS: usize = 64;

/// The samples of a picture with this frame, in so many channels.
pub(crate) fn decode(bytes: &[u8], path: &str, jpeg: JpegFrame, to: usize) -> Result<Vec<u8>> {
    let malformed = |why| {
        let file = format!("image '{}'", path.escape_debug());
        DataError::Malformed { file, why }
    };
    let space = if jpeg.channels == 1 { ColorSpace::Luma } else { ColorSpace::RGB };
    // Also if another crate of the same build turns the decoder's vector code on.
    let options = DecoderOptions::default()
        .set_use_unsafe(false)
        .set_strict_mode(true)
        .set_max_height(jpeg.frame.height)
        .set_max_width(jpeg.frame.width)
        .jpeg_set_max_scans(MAX_SCANS)
        .jpeg_set_out_colorspace(space);
    let decoded = JpegDecoder::new_with_options(ZCursor::new(bytes), options).decode();
    let samples = decoded.map_err(|error| malformed(error.to_string()))?;
    match samples.len() == jpeg.frame.pixels() * jpeg.channels {
        true => Ok(channels(samples, jpeg.channels, to)),
        false => Err(malformed("it has not as many samples as its frame announces".into())),
    }
}
