//! Pictures: what PNG and JPEG have in common once they are decoded.
//!
//! Samples are bytes, channels one (grey) or three (red, green, blue). Grey becomes colour by
//! repetition, colour grey by the weights of ITU-R BT.601 in 16-bit fixed point, as Pillow does.

use crate::error::{DataError, Result};

/// The most pixels of one picture.
const MAX_PIXELS: u64 = 1 << 24;

/// What a file says of itself before it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) height: usize,
    pub(crate) width: usize,
}

impl Frame {
    /// Refuses sizes that are 0 or beyond what a decoder may take memory for.
    pub(crate) fn new(height: u64, width: u64, file: &str) -> Result<Frame> {
        if height == 0 || width == 0 {
            let why = format!("its size is {height} x {width}");
            return Err(DataError::Malformed { file: file.to_owned(), why });
        }
        match height.checked_mul(width) {
            Some(pixels) if pixels <= MAX_PIXELS => {
                Ok(Frame { height: height as usize, width: width as usize })
            }
            _ => Err(DataError::TooLarge { what: "pixels of an image", limit: MAX_PIXELS }),
        }
    }

    pub(crate) fn pixels(self) -> usize {
        self.height * self.width
    }
}

/// Samples of `from` channels, as samples of `to`; both are 1 or 3.
pub(crate) fn channels(samples: Vec<u8>, from: usize, to: usize) -> Vec<u8> {
    match (from, to) {
        (1, 3) => samples.iter().flat_map(|grey| [*grey; 3]).collect(),
        (3, 1) => samples.as_chunks::<3>().0.iter().map(|colour| luma(*colour)).collect(),
        _ => samples,
    }
}

/// 0.299 red, 0.587 green and 0.114 blue, in units of 2^-16, to nearest.
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let [red, green, blue] = [red, green, blue].map(u32::from);
    ((19_595 * red + 38_470 * green + 7_471 * blue + 32_768) >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_stays_grey() {
        for grey in 0..=255 {
            let colour = channels(vec![grey], 1, 3);
            assert_eq!(channels(colour, 3, 1), [grey]);
        }
    }

    #[test]
    fn sizes_are_bounded() {
        assert!(Frame::new(4096, 4096, "x").is_ok());
        for (height, width) in [(0, 1), (1, 0), (4097, 4096), (1 << 32, 1 << 32)] {
            assert!(Frame::new(height, width, "x").is_err());
        }
    }
}
