//! Plain or gzipped, told by content: the first two bytes decide.
//!
//! All members of a gzip file are read, and bytes after the last one are an error, as is a file
//! that is cut off. A decompression bomb is stopped in two ways: here by the sum of plain bytes,
//! and by each reader, which takes no more than its format announces.

use std::io::{self, Cursor, Read};

use flate2::read::MultiGzDecoder;

/// How gzip files begin.
pub(crate) const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The most plain bytes of one source: 16 GiB.
const MAX_PLAIN_BYTES: u64 = 1 << 34;

/// The plain bytes of `source`, which is plain or gzipped.
///
/// Nothing is read before the first byte is asked for. Reading fails with
/// [`io::ErrorKind::InvalidData`] or [`io::ErrorKind::UnexpectedEof`] if gzip data are damaged or
/// cut off, and after 16 GiB.
pub fn gunzipped<R: Read>(source: R) -> impl Read {
    Gunzipped { state: State::Unread(source), left: MAX_PLAIN_BYTES }
}

struct Gunzipped<R> {
    state: State<R>,
    left: u64,
}

type Whole<R> = io::Chain<Cursor<Vec<u8>>, R>;

enum State<R> {
    Unread(R),
    Plain(Whole<R>),
    Gzip(Box<MultiGzDecoder<Whole<R>>>),
    Failed,
}

impl<R: Read> Read for Gunzipped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if matches!(self.state, State::Unread(_)) {
            self.open()?;
        }
        let read = match &mut self.state {
            State::Plain(source) => source.read(buffer),
            State::Gzip(source) => source.read(buffer),
            State::Unread(_) | State::Failed => Err(invalid("it could not be read before")),
        };
        let n = match read {
            Ok(n) => n,
            Err(error) => {
                // A decoder that is asked again after an error may say that the file has ended.
                if error.kind() != io::ErrorKind::Interrupted {
                    self.state = State::Failed;
                }
                return Err(error);
            }
        };
        self.left = self.left.checked_sub(n as u64).ok_or_else(|| invalid("more than 16 GiB"))?;
        Ok(n)
    }
}

impl<R: Read> Gunzipped<R> {
    fn open(&mut self) -> io::Result<()> {
        let State::Unread(mut source) = std::mem::replace(&mut self.state, State::Failed) else {
            return Ok(());
        };
        let mut magic = Vec::new();
        source.by_ref().take(2).read_to_end(&mut magic)?;
        let gzipped = magic == GZIP;
        let whole = Cursor::new(magic).chain(source);
        self.state = match gzipped {
            true => State::Gzip(Box::new(MultiGzDecoder::new(whole))),
            false => State::Plain(whole),
        };
        Ok(())
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(bytes).unwrap();
        gz.finish().unwrap()
    }

    fn plain(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        gunzipped(bytes).read_to_end(&mut plain).map(|_| plain)
    }

    #[test]
    fn content_decides() {
        for text in [&b""[..], b"x", b"\x1f", b"some words"] {
            assert_eq!(plain(text).unwrap(), text);
            assert_eq!(plain(&gzip(text)).unwrap(), text);
        }
        // Files joined are one file; gzip is taken off once.
        assert_eq!(plain(&[gzip(b"one "), gzip(b"two")].concat()).unwrap(), b"one two");
        assert_eq!(plain(&gzip(&gzip(b"x"))).unwrap(), gzip(b"x"));
    }

    #[test]
    fn damage_is_an_error() {
        let whole = gzip(b"some words, and some words");
        for end in 2..whole.len() {
            assert!(plain(&whole[..end]).is_err(), "{end}");
        }
        assert!(plain(&[&whole[..], b"more"].concat()).is_err());
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        assert!(plain(&flipped).is_err());
        let mut reader = gunzipped(&b"\x1f\x8bnot gzip"[..]);
        assert!(reader.read(&mut [0; 8]).is_err());
        assert!(reader.read(&mut [0; 8]).is_err(), "an error is not an end");
    }
}
