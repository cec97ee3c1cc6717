//! Whether a signature was made by the key that it names, over the words that it should be over.
//!
//! The bytes that a key signs: `"SSHSIG" | namespace | reserved (empty) | hash | hash(message)`, strings
//! of SSH. A security key (`sk-…`) signs a hash of these among other things, as FIDO has it.

use std::borrow::Cow;

use base64ct::{Base64Unpadded, Encoding};
use lab_schema::Signature;
use ring::digest;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use ssh_key::PublicKey;
use ssh_key::public::{EcdsaPublicKey, KeyData, RsaPublicKey};

/// Whether a signature is by the key that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holds {
    /// It is.
    Yes,
    /// It is not, or by a method that nobody should rely on: why.
    No(&'static str),
    /// It cannot be told here: why.
    Unknown(String),
}

/// RSA keys with fewer bits are not relied on.
const MIN_RSA_BITS: usize = 2048;
/// Nor can keys with more be checked here.
const MAX_RSA_BITS: usize = 8192;
/// The bit of a security key's flags that says that somebody touched it.
const TOUCHED: u8 = 1;

/// A key as `ssh-keygen -l` names it: `SHA256:` and 43 characters.
pub fn fingerprint(key: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, key);
    format!("SHA256:{}", Base64Unpadded::encode_string(hash.as_ref()))
}

/// Whether a signature is by the key that it names. Whose key that is, is another question.
pub fn holds(signature: &Signature) -> Holds {
    let parts = signature.parts();
    let hash = match parts.hash {
        "sha256" => &digest::SHA256,
        "sha512" => &digest::SHA512,
        hash => return Holds::Unknown(format!("hashes of kind '{hash}'")),
    };
    let signed = to_be_signed(parts.namespace, parts.hash, hash, &signature.message());
    let unknown = || Holds::Unknown(format!("keys of kind '{}'", parts.key_kind));
    let Ok(key) = PublicKey::from_bytes(parts.key) else {
        // A kind that is known, and the rest is not of it.
        let known = ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384"];
        return match known.contains(&parts.key_kind) {
            true => Holds::No("its key is damaged"),
            false => unknown(),
        };
    };
    let made = Made { method: parts.method, bytes: parts.signature };
    match key.key_data() {
        KeyData::Ed25519(key) => made.by("ssh-ed25519", |m| {
            let (raw, rest) = string(m)?;
            rest.is_empty().then(|| verified(&ED25519, &key.0, &signed, raw))
        }),
        KeyData::Ecdsa(key @ EcdsaPublicKey::NistP256(_)) => made.by("ecdsa-sha2-nistp256", |m| {
            let (raw, rest) = string(m)?;
            let raw = fixed(raw, 32)?;
            let key = key.as_sec1_bytes();
            rest.is_empty().then(|| verified(&ECDSA_P256_SHA256_FIXED, key, &signed, &raw))
        }),
        KeyData::Ecdsa(key @ EcdsaPublicKey::NistP384(_)) => made.by("ecdsa-sha2-nistp384", |m| {
            let (raw, rest) = string(m)?;
            let raw = fixed(raw, 48)?;
            let key = key.as_sec1_bytes();
            rest.is_empty().then(|| verified(&ECDSA_P384_SHA384_FIXED, key, &signed, &raw))
        }),
        KeyData::Rsa(key) => rsa(key, &made, &signed),
        KeyData::SkEd25519(key) => made.by("sk-ssh-ed25519@openssh.com", |m| {
            let (raw, trailer) = string(m)?;
            let signed = touched(key.application(), trailer, &signed)?;
            Some(verified(&ED25519, &key.public_key().0, &signed, raw))
        }),
        KeyData::SkEcdsaSha2NistP256(key) => made.by("sk-ecdsa-sha2-nistp256@openssh.com", |m| {
            let (raw, trailer) = string(m)?;
            let raw = fixed(raw, 32)?;
            let signed = touched(key.application(), trailer, &signed)?;
            let key = key.ec_point().as_bytes();
            Some(verified(&ECDSA_P256_SHA256_FIXED, key, &signed, &raw))
        }),
        _ => unknown(),
    }
}

/// The bytes that a key signs for a message.
pub(crate) fn to_be_signed(
    namespace: &str,
    hash_name: &str,
    hash: &'static digest::Algorithm,
    message: &str,
) -> Vec<u8> {
    let mut bytes = b"SSHSIG".to_vec();
    let hashed = digest::digest(hash, message.as_bytes());
    for part in [namespace.as_bytes(), b"", hash_name.as_bytes(), hashed.as_ref()] {
        put_string(&mut bytes, part);
    }
    bytes
}

/// Appends a string of SSH. What is put here is short.
pub(crate) fn put_string(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend((part.len() as u32).to_be_bytes());
    bytes.extend(part);
}

/// What a key made.
struct Made<'a> {
    method: &'a str,
    bytes: &'a [u8],
}

impl Made<'_> {
    /// Checks it by the one method that a kind of key has; none from `check` if it is not built so.
    fn by(&self, method: &str, check: impl Fn(&[u8]) -> Option<bool>) -> Holds {
        if self.method != method {
            return Holds::No("it was made by a method that its key does not have");
        }
        match check(self.bytes) {
            Some(true) => Holds::Yes,
            Some(false) => Holds::No("it is not by this key, or not of this"),
            None => Holds::No("it is damaged"),
        }
    }
}

fn verified(
    by: &'static dyn VerificationAlgorithm,
    key: &[u8],
    signed: &[u8],
    signature: &[u8],
) -> bool {
    UnparsedPublicKey::new(by, key).verify(signed, signature).is_ok()
}

fn rsa(key: &RsaPublicKey, made: &Made<'_>, signed: &[u8]) -> Holds {
    let (Some(n), Some(e)) = (key.n.as_positive_bytes(), key.e.as_positive_bytes()) else {
        return Holds::No("its key is damaged");
    };
    let bits = n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize);
    let by = match made.method {
        "rsa-sha2-512" => &RSA_PKCS1_2048_8192_SHA512,
        "rsa-sha2-256" => &RSA_PKCS1_2048_8192_SHA256,
        "ssh-rsa" => return Holds::No("it is made with SHA-1, which is broken"),
        _ => return Holds::No("it was made by a method that its key does not have"),
    };
    if bits < MIN_RSA_BITS {
        return Holds::No("its RSA key has fewer than 2048 bits");
    }
    if bits > MAX_RSA_BITS {
        return Holds::Unknown("RSA keys of more than 8192 bits".to_owned());
    }
    made.by(made.method, |m| {
        let (raw, rest) = string(m)?;
        // As a number it may have lost zeros in front.
        let zeros = n.len().checked_sub(raw.len())?;
        let raw: Cow<'_, [u8]> = match zeros {
            0 => raw.into(),
            zeros => [&vec![0; zeros], raw].concat().into(),
        };
        let is_good = RsaPublicKeyComponents { n, e }.verify(by, signed, &raw).is_ok();
        rest.is_empty().then_some(is_good)
    })
}

/// What a security key signs; none if the rest of its signature is not what it must be, or says that
/// nobody touched the key.
fn touched(application: &str, trailer: &[u8], signed: &[u8]) -> Option<Vec<u8>> {
    let [flags, counter @ ..]: &[u8; 5] = trailer.try_into().ok()?;
    if flags & TOUCHED == 0 {
        return None;
    }
    let application = digest::digest(&digest::SHA256, application.as_bytes());
    let signed = digest::digest(&digest::SHA256, signed);
    Some([application.as_ref(), &[*flags], counter, signed.as_ref()].concat())
}

/// The two numbers of a signature on a curve, of `len` bytes each.
fn fixed(bytes: &[u8], len: usize) -> Option<Vec<u8>> {
    let (r, rest) = string(bytes)?;
    let (s, rest) = string(rest)?;
    let mut both = Vec::with_capacity(2 * len);
    for number in [r, s] {
        // A zero in front keeps a number positive; that of a negative one is refused.
        let number = match number {
            [0, rest @ ..] => rest,
            [first, ..] if *first >= 0x80 => return None,
            number => number,
        };
        both.resize(both.len() + len.checked_sub(number.len())?, 0);
        both.extend(number);
    }
    rest.is_empty().then_some(both)
}

/// A string of SSH, and what follows it.
pub(crate) fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*len)).ok()?)
}
