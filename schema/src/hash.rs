//! Digests and typed ids.
//!
//! An id is 32 bytes. [`std::fmt::Display`] is always the full 64 hexadecimal digits, so that
//! what is printed can be parsed again; [`Digest::short`] is for people; the start of an id is a
//! type of its own, [`IdPrefix`], so that it is never taken for an id.

use std::fmt;
use std::str::FromStr;

use crate::error::SchemaError;

/// 32 bytes of BLAKE3.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Number of hexadecimal digits in [`Digest::short`].
    pub const SHORT_DIGITS: usize = 12;

    /// The digest with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Digest(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// BLAKE3 in key-derivation mode, which keeps the kinds of object apart: equal bytes under
    /// two contexts have unrelated digests.
    pub fn derive(context: &str, bytes: &[u8]) -> Self {
        Digest(blake3::Hasher::new_derive_key(context).update(bytes).finalize().into())
    }

    /// The first 12 hexadecimal digits, for people.
    pub fn short(&self) -> String {
        hex(&self.0[..Self::SHORT_DIGITS / 2])
    }
}

/// Lower-case hexadecimal digits of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)] as char, DIGITS[usize::from(b & 15)] as char])
        .collect()
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = SchemaError;

    /// Accepts exactly 64 hexadecimal digits of either case.
    fn from_str(text: &str) -> Result<Self, SchemaError> {
        let bad = || SchemaError::BadId(text.to_owned());
        if text.len() != 64 {
            return Err(bad());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let high = (pair[0] as char).to_digit(16).ok_or_else(bad)?;
            let low = (pair[1] as char).to_digit(16).ok_or_else(bad)?;
            *byte = (high * 16 + low) as u8;
        }
        Ok(Digest(bytes))
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl serde::de::Visitor<'_> for Bytes {
            type Value = Digest;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a byte string of 32 bytes")
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Digest, E> {
                let bytes = bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))?;
                Ok(Digest(bytes))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// Defines an id type: a [`Digest`] that knows what it is the id of.
macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(Digest);

        impl $name {
            /// The id with this digest. Nothing is checked: the caller has hashed, or will.
            pub const fn from_digest(digest: Digest) -> Self {
                $name(digest)
            }

            /// The digest without its type.
            pub const fn digest(&self) -> Digest {
                self.0
            }

            /// The first 12 hexadecimal digits, for people.
            pub fn short(&self) -> String {
                self.0.short()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = SchemaError;
            fn from_str(text: &str) -> Result<Self, SchemaError> {
                text.parse().map($name)
            }
        }
    };
}

id_type!(
    /// Names a file's bytes: their plain BLAKE3, as `b3sum` prints it.
    BlobId
);
id_type!(
    /// Names a [`Tree`](crate::Tree).
    TreeId
);
id_type!(
    /// Names a [`Recipe`](crate::Recipe); equal recipes have equal ids, so it is the cache key.
    RecipeId
);
id_type!(
    /// Names a [`Run`](crate::Run).
    RunId
);
id_type!(
    /// Names an [`Attestation`](crate::Attestation).
    AttestationId
);
id_type!(
    /// Names a [`Signature`](crate::Signature).
    SignatureId
);
id_type!(
    /// Names an [`Aliases`](crate::Aliases).
    AliasesId
);
id_type!(
    /// Names an [`Evaluation`](crate::Evaluation).
    EvaluationId
);

impl BlobId {
    /// The id of a blob with these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        BlobId(Digest(blake3::hash(bytes).into()))
    }
}

/// Computes an id from bytes that arrive in pieces.
#[derive(Clone, Default)]
pub struct BlobHasher(blake3::Hasher);

impl BlobHasher {
    /// A hasher for a blob that has no bytes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A hasher for an object of the kind with this context (see [`Digest::derive`]).
    pub fn with_context(context: &str) -> Self {
        BlobHasher(blake3::Hasher::new_derive_key(context))
    }

    /// Appends bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes so far.
    pub fn digest(&self) -> Digest {
        Digest(self.0.finalize().into())
    }

    /// The id of the blob that consists of all bytes so far.
    pub fn finish(&self) -> BlobId {
        BlobId(self.digest())
    }
}

impl fmt::Debug for BlobHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlobHasher")
    }
}

/// The first hexadecimal digits of an id, as people type them: 4 to 64 of them.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct IdPrefix(String);

impl IdPrefix {
    /// Fewest digits accepted; fewer would be ambiguous in any real registry.
    pub const MIN_DIGITS: usize = 4;

    /// Whether `digest` starts with these digits.
    pub fn matches(&self, digest: &Digest) -> bool {
        (self.lowest()..=self.highest()).contains(digest)
    }

    /// The smallest digest with this prefix.
    pub fn lowest(&self) -> Digest {
        self.fill('0')
    }

    /// The largest digest with this prefix.
    pub fn highest(&self) -> Digest {
        self.fill('f')
    }

    /// The digits, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn fill(&self, digit: char) -> Digest {
        let mut text = self.0.clone();
        text.extend(std::iter::repeat_n(digit, 64 - self.0.len()));
        text.parse().expect("a prefix consists of hexadecimal digits")
    }
}

impl fmt::Display for IdPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for IdPrefix {
    type Err = SchemaError;
    fn from_str(text: &str) -> Result<Self, SchemaError> {
        let fits = (Self::MIN_DIGITS..=64).contains(&text.len());
        if !fits || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(SchemaError::BadPrefix(text.to_owned()));
        }
        Ok(IdPrefix(text.to_ascii_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves F-01: the empty input's BLAKE3 is published in the BLAKE3 test vectors.
    #[test]
    fn blob_id_is_plain_blake3() {
        let empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(BlobId::of(b"").to_string(), empty);
        let mut pieces = BlobHasher::new();
        pieces.update(b"hand");
        pieces.update(b"written");
        assert_eq!(pieces.finish(), BlobId::of(b"handwritten"));
    }

    #[test]
    fn ids_print_and_parse_in_full() {
        let id = BlobId::of(b"x");
        assert_eq!(id.to_string().parse::<BlobId>(), Ok(id));
        assert_eq!(id.to_string().to_uppercase().parse::<BlobId>(), Ok(id));
        assert!(id.short().parse::<BlobId>().is_err());
        assert!("é".repeat(32).parse::<Digest>().is_err());
    }

    #[test]
    fn prefixes_match_by_digit_not_by_byte() {
        let id = BlobId::of(b"x").digest();
        let text = id.to_string();
        for digits in 4..=64 {
            assert!(text[..digits].parse::<IdPrefix>().unwrap().matches(&id));
        }
        let other = if &text[4..5] == "0" { "1" } else { "0" };
        let near = format!("{}{other}", &text[..4]);
        assert!(!near.parse::<IdPrefix>().unwrap().matches(&id));
        for bad in ["", "abc", "wxyz", "abcd ", &"a".repeat(65)] {
            assert!(bad.parse::<IdPrefix>().is_err(), "{bad:?}");
        }
    }
}
