//! The digests of other tools: MD5, SHA-256, and SHA-1 as git uses it.
//!
//! None is trusted to name bytes here: a store finds by BLAKE3. They are computed to see whether a file is
//! what its name claims.

use std::io::{self, Write};

use lab_schema::{Alias, Scheme};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// How many bytes DVC looks at to tell text from other files.
const LOOKED_AT: usize = 512;
/// How many bytes DVC reads at a time.
const AT_ONCE: usize = 1 << 20;

/// Whether bytes have a digest.
pub(crate) struct Check {
    claim: Alias,
    hasher: Hasher,
    /// For files that DVC kept before its version 3.
    text: Option<Text>,
}

enum Hasher {
    Md5(Md5),
    Sha256(Sha256),
    Git(Sha1),
    /// A number that says nothing of bytes.
    Nothing,
}

impl Check {
    /// Whether a file of `size` bytes has the digest `claim`; with `unix`, also if it has it with the line
    /// ends of Unix, as DVC before its version 3 would have it.
    pub(crate) fn new(claim: Alias, size: u64, unix: bool) -> Check {
        let hasher = match claim.scheme() {
            Scheme::Md5 => Hasher::Md5(Md5::new()),
            Scheme::Sha256 => Hasher::Sha256(Sha256::new()),
            Scheme::Git => {
                let mut hasher = Sha1::new();
                Digest::update(&mut hasher, format!("blob {size}\0"));
                Hasher::Git(hasher)
            }
            Scheme::Mlflow => Hasher::Nothing,
        };
        let text = (unix && claim.scheme() == Scheme::Md5).then(Text::default);
        Check { claim, hasher, text }
    }

    /// The next bytes.
    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        match &mut self.hasher {
            Hasher::Md5(hasher) => Digest::update(hasher, bytes),
            Hasher::Sha256(hasher) => Digest::update(hasher, bytes),
            Hasher::Git(hasher) => Digest::update(hasher, bytes),
            Hasher::Nothing => {}
        }
        if let Some(text) = &mut self.text {
            text.hear(bytes);
        }
    }

    /// The digest that the bytes have, if it is another one.
    pub(crate) fn end(self) -> Result<(), Alias> {
        let digest = match self.hasher {
            Hasher::Md5(hasher) => hasher.finalize().to_vec(),
            Hasher::Sha256(hasher) => hasher.finalize().to_vec(),
            Hasher::Git(hasher) => hasher.finalize().to_vec(),
            Hasher::Nothing => return Ok(()),
        };
        if digest == self.claim.digest() {
            return Ok(());
        }
        match self.text.map(Text::end) {
            Some(unix) if unix == self.claim.digest() => Ok(()),
            _ => Err(Alias::new(self.claim.scheme(), &digest).unwrap_or(self.claim)),
        }
    }
}

/// MD5 as DVC made it before its version 3: of text with the line ends of Unix, where what is text is
/// asked of each MiB anew.
#[derive(Default)]
struct Text {
    hasher: Md5,
    /// What is not a whole MiB yet.
    rest: Vec<u8>,
}

impl Text {
    fn hear(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(AT_ONCE - self.rest.len()));
            self.rest.extend_from_slice(now);
            bytes = later;
            if self.rest.len() == AT_ONCE {
                self.take();
            }
        }
    }

    fn take(&mut self) {
        let is_text = is_text(&self.rest[..self.rest.len().min(LOOKED_AT)]);
        if is_text && self.rest.windows(2).any(|pair| pair == b"\r\n") {
            let mut unix = Vec::with_capacity(self.rest.len());
            let mut bytes = self.rest.iter().copied().peekable();
            while let Some(byte) = bytes.next() {
                if byte != b'\r' || bytes.peek() != Some(&b'\n') {
                    unix.push(byte);
                }
            }
            Digest::update(&mut self.hasher, &unix);
        } else {
            Digest::update(&mut self.hasher, &self.rest);
        }
        self.rest.clear();
    }

    fn end(mut self) -> Vec<u8> {
        self.take();
        self.hasher.finalize().to_vec()
    }
}

/// Whether DVC would take a file that begins so for text.
fn is_text(start: &[u8]) -> bool {
    let plain = |byte: &&u8| matches!(byte, 32..127 | b'\n' | b'\r' | b'\t' | 12 | 8);
    let others = start.len() - start.iter().filter(plain).count();
    !start.contains(&0) && others * 10 <= start.len() * 3
}

/// The digest of bytes that are at hand.
pub(crate) fn has(claim: Alias, bytes: &[u8]) -> Result<(), Alias> {
    let mut check = Check::new(claim, bytes.len() as u64, false);
    check.hear(bytes);
    check.end()
}

/// Hears what is written to it, to tell whether it has the digest that it is to have.
pub struct Verifier(Check);

impl Verifier {
    /// For a file of `size` bytes. With `unix` it may have the digest also with the line ends of Unix, as
    /// text had it in DVC before its version 3; that takes twice as long.
    pub fn new(claim: Alias, size: u64, unix: bool) -> Verifier {
        Verifier(Check::new(claim, size, unix))
    }

    /// The digest that was heard, if it is another one. Numbers that are no digests fit everything.
    pub fn end(self) -> Result<(), Alias> {
        self.0.end()
    }
}

impl Write for Verifier {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.hear(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Verifier({})", self.0.claim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(alias: &str, bytes: &[u8], unix: bool) -> bool {
        let (scheme, digits) = alias.split_once(':').unwrap();
        let claim = Alias::from_hex(scheme.parse().unwrap(), digits).unwrap();
        let mut check = Check::new(claim, bytes.len() as u64, unix);
        // In pieces of any size.
        for piece in bytes.chunks(1 + bytes.len() / 7) {
            check.hear(piece);
        }
        check.end().is_ok()
    }

    /// From `md5sum`, `sha256sum` and `git hash-object`.
    #[test]
    fn digests_are_those_of_the_tools() {
        for (alias, bytes) in [
            ("md5:d41d8cd98f00b204e9800998ecf8427e", &b""[..]),
            ("md5:900150983cd24fb0d6963f7d28e17f72", b"abc"),
            ("sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", b"abc"),
            ("git:f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f", b"abc"),
            ("git:e69de29bb2d1d6434b8b29ae775ad8c2e48c5391", b""),
        ] {
            assert!(fits(alias, bytes, false) && fits(alias, bytes, true), "{alias}");
            assert!(!fits(alias, b"abd", false) && !fits(alias, b"abd", true), "{alias}");
        }
    }

    #[test]
    fn text_may_have_the_line_ends_of_unix_and_other_files_may_not() {
        let of = |bytes: &[u8]| format!("md5:{}", lab_schema::hash::hex(&Md5::digest(bytes)));
        assert!(fits(&of(b"a\nb\n"), b"a\r\nb\r\n", true));
        assert!(!fits(&of(b"a\nb\n"), b"a\r\nb\r\n", false));
        assert!(fits(&of(b"a\r\nb\r\n"), b"a\r\nb\r\n", true));
        assert!(!fits(&of(b"a\0\nb\n"), b"a\0\r\nb\r\n", true));
        // A pair that lies across two MiB stays.
        let long = [&vec![b'x'; AT_ONCE - 1][..], b"\r\ny\r\n"].concat();
        let kept = [&vec![b'x'; AT_ONCE - 1][..], b"\r\ny\n"].concat();
        assert!(fits(&of(&kept), &long, true));
    }
}
