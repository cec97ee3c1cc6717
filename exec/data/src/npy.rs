//! npy: one array of numpy, versions 1 to 3 of the format, plain or gzipped.
//!
//! The magic number `\x93NUMPY`, two bytes of version, the length of the header (16 bits, from
//! version 2 on 32), the header, the values. numpy.lib.format describes it. Numbers of both byte
//! orders and arrays of both memory orders are read; the file must end where the values end.

use std::io::Read;

use crate::array::{Array, count, lengths};
use crate::bytes::Pieces;
use crate::error::{DataError, Result};
use crate::npy_header::Header;
use crate::source::gunzipped;

/// A shape of 64 lengths needs less than a tenth of it.
const MAX_HEADER_BYTES: u64 = 1 << 16;

/// Reads the array in an npy file.
///
/// # Errors
/// [`DataError`] for another magic number, version, header or type (booleans, integers of up to 64
/// bits and floats of 16, 32 and 64 bits are read), a file that is cut off or goes on, an infinity,
/// more than 2^28 values.
pub fn npy(bytes: &[u8]) -> Result<Array> {
    read(Pieces::new(gunzipped(bytes), "the npy file"))
}

/// Reads a whole npy file.
pub(crate) fn read(mut pieces: Pieces<impl Read>) -> Result<Array> {
    let header = header(&mut pieces)?;
    let Some((element, order)) = header.element() else {
        return Err(DataError::Unsupported {
            file: pieces.file().to_owned(),
            what: format!("values of the type '{}'", header.descr.escape_debug()),
            needed: "b1, u1 to u8, i1 to i8, f2, f4 or f8, with a byte order",
        });
    };
    let shape = lengths(&header.shape);
    let bytes = count(&header.shape, pieces.file())? * element.width();
    let bytes = pieces.take(bytes, &format!("the data of shape {shape:?}"))?;
    let mut values = element.values(bytes, order, pieces.file())?;
    if header.fortran {
        values = values.into_row_major(&shape);
    }
    pieces.end()?;
    Ok(Array { shape, values })
}

fn header(pieces: &mut Pieces<impl Read>) -> Result<Header> {
    if pieces.fixed("the magic number")? != *b"\x93NUMPY" {
        return Err(pieces.malformed("it does not begin with \\x93NUMPY"));
    }
    let [major, minor] = pieces.fixed("the version")?;
    let length = match (major, minor) {
        (1, 0) => u16::from_le_bytes(pieces.fixed("the length of the header")?).into(),
        (2 | 3, 0) => u32::from_le_bytes(pieces.fixed("the length of the header")?).into(),
        _ => {
            return Err(DataError::Unsupported {
                file: pieces.file().to_owned(),
                what: format!("version {major}.{minor}"),
                needed: "1.0, 2.0 or 3.0",
            });
        }
    };
    if length > MAX_HEADER_BYTES {
        return Err(DataError::TooLarge {
            what: "bytes of an npy header",
            limit: MAX_HEADER_BYTES,
        });
    }
    let text = pieces.take(length, "the header")?;
    // Latin-1 before version 3, but what is read here is ASCII anyway.
    let text = str::from_utf8(&text).map_err(|_| pieces.malformed("its header is not text"))?;
    Header::read(text).map_err(|why| pieces.malformed(format!("its header has {why}")))
}
