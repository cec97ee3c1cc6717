//! The text that `ssh-keygen` reads and writes: base64 between two lines.

use base64ct::LineEnding;
use lab_schema::signature::MAX_SSHSIG_BYTES;
use pem_rfc7468::{Decoder, Encoder};

use crate::error::{Result, TrustError};

const LABEL: &str = "SSH SIGNATURE";
/// Columns of base64 in a line.
const WIDTH: usize = 70;

/// The bytes in armour, for `ssh-keygen -Y verify`.
pub fn armoured(sshsig: &[u8]) -> String {
    // Base64, a line feed for every line, and the two lines around it.
    let mut text = vec![0; sshsig.len() * 2 + 256];
    let len = Encoder::new_wrapped(LABEL, WIDTH, LineEnding::LF, &mut text)
        .and_then(|mut encoder| {
            encoder.encode(sshsig)?;
            encoder.finish()
        })
        .expect("there is room for it");
    text.truncate(len);
    String::from_utf8(text).expect("base64 is ASCII")
}

/// The bytes in armour that `ssh-keygen -Y sign` made.
pub fn unarmoured(text: &[u8]) -> Result<Vec<u8>> {
    let bad = TrustError::BadArmour;
    if text.len() > MAX_SSHSIG_BYTES * 2 {
        return Err(bad("it is too long"));
    }
    let mut decoder = Decoder::new_wrapped(text, WIDTH)
        .map_err(|_| bad("it does not stand between the lines that begin and end one"))?;
    if decoder.type_label() != LABEL {
        return Err(bad("it is something else between two such lines"));
    }
    let mut bytes = Vec::new();
    decoder.decode_to_end(&mut bytes).map_err(|_| bad("it is not base64"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn armour_comes_off_again_whatever_the_length() {
        for len in (1..300).chain([MAX_SSHSIG_BYTES]) {
            let bytes: Vec<u8> = (0..len).map(|n| (n * 7) as u8).collect();
            let text = armoured(&bytes);
            assert_eq!(unarmoured(text.as_bytes()).unwrap(), bytes, "{len}");
            assert!(text.lines().all(|line| line.len() <= 70) && text.ends_with("-----\n"));
        }
    }

    #[test]
    fn other_armour_is_refused() {
        let good = armoured(b"SSHSIG and more");
        for bad in [
            String::new(),
            "x".to_owned(),
            good.replace("SSH SIGNATURE", "PGP SIGNATURE"),
            good.replace("BEGIN SSH", "BEGIN PGP"),
            good.replace("END SSH SIGNATURE", "END"),
            good.replace("U1N", "U%N"),
            good[..good.len() / 2].to_owned(),
            "A".repeat(MAX_SSHSIG_BYTES * 3),
        ] {
            assert!(unarmoured(bad.as_bytes()).is_err(), "{bad:.60}");
        }
    }
}
