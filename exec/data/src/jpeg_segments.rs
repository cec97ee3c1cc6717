//! The segments of a JPEG file (ITU-T T.81, annex B), walked before anything is decoded.
//!
//! A decoder fills what is missing with grey and says nothing; so the file must be whole, from
//! its first marker to its last, with nothing behind. What the decoder is not pinned down for is
//! refused here: other colours than grey and three channels, other samples than bytes, arithmetic
//! coding, lossless and hierarchical files. What is lost inside a scan cannot be seen: JPEG has no
//! checksums.

use crate::error::{DataError, Result};
use crate::picture::Frame;

/// How JPEG files begin.
pub(crate) const MAGIC: &[u8] = b"\xff\xd8\xff";

/// What a JPEG file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JpegFrame {
    pub(crate) frame: Frame,
    /// 1 or 3.
    pub(crate) channels: usize,
}

const END: u8 = 0xd9;
const SCAN: u8 = 0xda;

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    file: String,
}

/// The frame of a picture, whose file is whole.
pub(crate) fn frame(bytes: &[u8], path: &str) -> Result<JpegFrame> {
    let file = format!("image '{}'", path.escape_debug());
    let mut walk = Walk { bytes, at: 2, file };
    let mut frame = None;
    let mut scans = 0;
    loop {
        let marker = walk.marker()?;
        match marker {
            END => break,
            // Markers that stand alone have no place outside a scan.
            0x00 | 0x01 | 0xd0..=0xd8 => {
                return Err(walk.malformed(format!("the marker {marker:#04x} in a wrong place")));
            }
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let segment = walk.segment(marker)?;
                if frame.replace(walk.frame(marker, segment)?).is_some() {
                    return Err(walk.malformed("two frames".into()));
                }
            }
            SCAN => {
                walk.segment(marker)?;
                walk.scan();
                scans += 1;
            }
            _ => {
                walk.segment(marker)?;
            }
        }
    }
    if walk.at != bytes.len() {
        return Err(DataError::Trailing { file: walk.file, end: walk.at as u64 });
    }
    match frame {
        Some(frame) if scans > 0 => Ok(frame),
        _ => Err(walk.malformed("it has no frame with a scan".into())),
    }
}

impl<'a> Walk<'a> {
    /// The next marker; it may have more than one byte 0xff before it.
    fn marker(&mut self) -> Result<u8> {
        let rest = &self.bytes[self.at.min(self.bytes.len())..];
        let fill = rest.iter().take_while(|byte| **byte == 0xff).count();
        match rest.get(fill) {
            Some(marker) if fill > 0 => {
                self.at += fill + 1;
                Ok(*marker)
            }
            Some(_) => Err(self.malformed(format!("no marker at byte {}", self.at))),
            None => Err(self.cut_off("the next marker", 2, rest.len())),
        }
    }

    /// The segment after a marker, without its length.
    fn segment(&mut self, marker: u8) -> Result<&'a [u8]> {
        let what = format!("the segment {marker:#04x}");
        let rest = &self.bytes[self.at..];
        let Some((length, _)) = rest.split_first_chunk::<2>() else {
            return Err(self.cut_off(&what, 2, rest.len()));
        };
        let length = usize::from(u16::from_be_bytes(*length));
        match rest.get(2..length) {
            Some(segment) => {
                self.at += length;
                Ok(segment)
            }
            None if length < 2 => Err(self.malformed(format!("{what} has the length {length}"))),
            None => Err(self.cut_off(&what, length, rest.len())),
        }
    }

    /// Passes over coded data, up to the next marker that does not belong to them.
    fn scan(&mut self) {
        while let Some(byte) = self.bytes.get(self.at) {
            let next = self.bytes.get(self.at + 1);
            match (byte, next) {
                (0xff, Some(0x00 | 0xd0..=0xd7)) => self.at += 2,
                (0xff, Some(0xff) | None) | (0..0xff, _) => self.at += 1,
                (0xff, Some(_)) => return,
            }
        }
    }

    fn frame(&self, marker: u8, segment: &[u8]) -> Result<JpegFrame> {
        let unsupported = |what: String, needed| {
            Err(DataError::Unsupported { file: self.file.clone(), what, needed })
        };
        if !matches!(marker, 0xc0..=0xc2) {
            return unsupported(format!("the coding {marker:#04x}"), "baseline or progressive");
        }
        let [bits, h1, h0, w1, w0, channels, ..] = *segment else {
            return Err(self.cut_off("the frame", 6, segment.len()));
        };
        if bits != 8 {
            return unsupported(format!("samples of {bits} bits"), "8");
        }
        if channels != 1 && channels != 3 {
            return unsupported(format!("{channels} channels"), "1 or 3");
        }
        let side = |high: u8, low: u8| u64::from(u16::from_be_bytes([high, low]));
        let frame = Frame::new(side(h1, h0), side(w1, w0), &self.file)?;
        Ok(JpegFrame { frame, channels: channels.into() })
    }

    fn malformed(&self, why: String) -> DataError {
        DataError::Malformed { file: self.file.clone(), why }
    }

    fn cut_off(&self, what: &str, needs: usize, found: usize) -> DataError {
        DataError::CutOff {
            file: self.file.clone(),
            what: what.to_owned(),
            needs: needs as u64,
            found: found as u64,
        }
    }
}
