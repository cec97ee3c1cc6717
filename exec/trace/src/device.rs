//! Files that stand in for those of the system that give random bytes.

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::RngCore;

/// The devices that give them.
const DEVICES: [&[u8]; 2] = [b"/dev/urandom", b"/dev/random"];
/// A file that gives a number drawn at random, in the form of RFC 9562.
const UUID: &[u8] = b"/proc/sys/kernel/random/uuid";
/// How many bytes are made at a time.
const PART: usize = 1 << 16;

/// Whether what is at this path gives random bytes.
pub(crate) fn is_random(path: &[u8]) -> bool {
    path == UUID || DEVICES.contains(&path)
}

/// A file that gives those of `stream`.
pub(crate) fn file(path: &[u8], stream: ChaCha20Rng) -> io::Result<OwnedFd> {
    if path == UUID { uuid(stream) } else { endless(stream) }
}

/// A stream of random bytes that ends when nobody reads it any more.
fn endless(mut stream: ChaCha20Rng) -> io::Result<OwnedFd> {
    let (theirs, mut ours) = UnixStream::pair()?;
    let feed = move || {
        let mut bytes = vec![0; PART];
        loop {
            stream.fill_bytes(&mut bytes);
            if ours.write_all(&bytes).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("entropy".to_owned()).spawn(feed)?;
    Ok(theirs.into())
}

/// A file that holds one number.
fn uuid(mut stream: ChaCha20Rng) -> io::Result<OwnedFd> {
    let mut bytes = [0; 16];
    stream.fill_bytes(&mut bytes);
    // Version 4, variant 1.
    (bytes[6], bytes[8]) = (bytes[6] & 0x0f | 0x40, bytes[8] & 0x3f | 0x80);
    let mut text = String::new();
    for (i, byte) in bytes.iter().enumerate() {
        text.push_str(if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" });
        text.push_str(&format!("{byte:02x}"));
    }
    let (theirs, mut ours) = UnixStream::pair()?;
    ours.write_all((text + "\n").as_bytes())?;
    Ok(theirs.into())
}
