//! Somebody vouches for a run or an attestation, with an SSH key.
//!
//! An object's id covers its bytes, so that a signature cannot stand in what it signs: it is an object
//! of its own, which points there. The signature itself is what `ssh-keygen -Y sign` writes, without
//! the armour. Here it is only taken apart and bounded; whether it holds is for those to say who know
//! keys. What nobody signed with is kept as well: keys of kinds to come must not be lost on the way.
//!
//! ```text
//! message   = "lab " kind " " id " signed " milliseconds LF
//! namespace = "lab-run" | "lab-attestation"
//! sshsig    = "SSHSIG" | version u32 | key | namespace | reserved | hash | signature
//! ```
//!
//! The last five are strings of SSH: a length (u32, big-endian), then that many bytes.

use serde::{Deserialize, Serialize};

use crate::error::SchemaError;
use crate::hash::{AttestationId, RunId};
use crate::kind::Kind;

/// Most bytes of what `ssh-keygen` wrote: several times what the largest key makes.
pub const MAX_SSHSIG_BYTES: usize = 64 << 10;

/// What is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Signed {
    /// That this was run, and that this came of it.
    Run(RunId),
    /// That it was done again, and how it compared.
    Attestation(AttestationId),
}

impl Signed {
    /// What the key signs for: who may sign runs need not be believed about attestations.
    pub const fn namespace(&self) -> &'static str {
        match self {
            Signed::Run(_) => "lab-run",
            Signed::Attestation(_) => "lab-attestation",
        }
    }

    /// The bytes that are signed: at which time, since a key is good for a time.
    pub fn message(&self, signed_ms: u64) -> String {
        match self {
            Signed::Run(id) => format!("lab run {id} signed {signed_ms}\n"),
            Signed::Attestation(id) => format!("lab attestation {id} signed {signed_ms}\n"),
        }
    }
}

/// One key's signature of one run or attestation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Signature {
    of: Signed,
    signed_ms: u64,
    sshsig: SshSig,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    of: Signed,
    signed_ms: u64,
    sshsig: SshSig,
}

impl Signature {
    /// A signature of `of`, said to be made at `signed_ms` (milliseconds since 1970-01-01T00:00:00Z):
    /// the bytes inside the armour of `ssh-keygen -Y sign`. Refuses what is not built as such, or
    /// was made for another namespace; whether it holds is not looked at.
    pub fn new(of: Signed, signed_ms: u64, sshsig: Vec<u8>) -> Result<Signature, SchemaError> {
        Wire { of, signed_ms, sshsig: SshSig(sshsig) }.try_into()
    }

    /// What is signed.
    pub fn of(&self) -> Signed {
        self.of
    }

    /// When, as whoever signed says, in milliseconds since 1970-01-01T00:00:00Z.
    pub fn signed_ms(&self) -> u64 {
        self.signed_ms
    }

    /// The bytes that were signed.
    pub fn message(&self) -> String {
        self.of.message(self.signed_ms)
    }

    /// What `ssh-keygen` wrote, without its armour.
    pub fn sshsig(&self) -> &[u8] {
        &self.sshsig.0
    }

    /// The same, taken apart.
    pub fn parts(&self) -> Parts<'_> {
        Parts::of(&self.sshsig.0).expect("it was taken apart when it was built")
    }
}

impl From<Signature> for Wire {
    fn from(Signature { of, signed_ms, sshsig }: Signature) -> Wire {
        Wire { of, signed_ms, sshsig }
    }
}

impl TryFrom<Wire> for Signature {
    type Error = SchemaError;

    fn try_from(Wire { of, signed_ms, sshsig }: Wire) -> Result<Signature, SchemaError> {
        let invalid = |why| SchemaError::Invalid { kind: Kind::Signature, why };
        let parts = Parts::of(&sshsig.0).map_err(invalid)?;
        if parts.namespace != of.namespace() {
            return Err(invalid("it was made for another namespace"));
        }
        Ok(Signature { of, signed_ms, sshsig })
    }
}

/// The parts of what `ssh-keygen -Y sign` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The public key, as SSH encodes it: first its kind, which is [`Parts::key_kind`].
    pub key: &'a [u8],
    /// The kind of key: `ssh-ed25519`, …
    pub key_kind: &'a str,
    /// What the signature is for.
    pub namespace: &'a str,
    /// The hash of the message that is signed: `sha256` or `sha512`.
    pub hash: &'a str,
    /// How it is signed: `ssh-ed25519`, `rsa-sha2-512`, …
    pub method: &'a str,
    /// What signing gave, as SSH encodes it for this method.
    pub signature: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Takes bytes apart; says what is wrong with them if they are something else.
    pub fn of(bytes: &'a [u8]) -> Result<Parts<'a>, &'static str> {
        if bytes.len() > MAX_SSHSIG_BYTES {
            return Err("it has more than 65536 bytes");
        }
        let rest = bytes.strip_prefix(b"SSHSIG").ok_or("it does not begin with SSHSIG")?;
        let rest = rest.strip_prefix(&1u32.to_be_bytes()).ok_or("it is not of version 1")?;
        let (key, rest) = string(rest)?;
        let (namespace, rest) = word(rest)?;
        let (reserved, rest) = string(rest)?;
        let (hash, rest) = word(rest)?;
        let (signature, rest) = string(rest)?;
        // It is not signed, so that anybody could put anything here.
        if !reserved.is_empty() || !rest.is_empty() {
            return Err("it holds something besides a signature");
        }
        let (key_kind, _) = word(key)?;
        let (method, signature) = word(signature)?;
        Ok(Parts { key, key_kind, namespace, hash, method, signature })
    }
}

/// A string of SSH, and what follows it.
fn string(bytes: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    let (len, rest) = bytes.split_first_chunk().ok_or("it is cut off")?;
    let len = usize::try_from(u32::from_be_bytes(*len)).map_err(|_| "it is cut off")?;
    rest.split_at_checked(len).ok_or("it is cut off")
}

/// A string that names something: it is shown to people.
fn word(bytes: &[u8]) -> Result<(&str, &[u8]), &'static str> {
    let (word, rest) = string(bytes)?;
    let is_word = (1..=64).contains(&word.len()) && word.iter().all(u8::is_ascii_graphic);
    match std::str::from_utf8(word) {
        Ok(word) if is_word => Ok((word, rest)),
        _ => Err("it holds a name that is not 1 to 64 visible characters"),
    }
}

/// A byte string that is bounded before anything is looked for in it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SshSig(Vec<u8>);

impl Serialize for SshSig {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for SshSig {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl serde::de::Visitor<'_> for Bytes {
            type Value = SshSig;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "a byte string of at most {MAX_SSHSIG_BYTES} bytes")
            }
            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<SshSig, E> {
                if bytes.len() > MAX_SSHSIG_BYTES {
                    return Err(E::invalid_length(bytes.len(), &self));
                }
                Ok(SshSig(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}
