//! Ids as the index writes them, and back.
//!
//! A digest is a BLOB of 32 bytes; a kind is its place in [`Kind::ALL`]. Reading refuses everything
//! else: the index is a file, and a file can be damaged.

use lab_schema::{Digest, Kind, ObjectId, Slot};

use crate::error::Fault;

/// The kind of what is written to the table of damaged things when it is a whole pack.
pub(crate) const PACK: i64 = 255;

/// The first four bytes of a digest, in the order of digests but for the sign. Who makes two ids with
/// one head makes them slower to find, and nothing else: they are compared in full.
pub(crate) fn head(digest: Digest) -> i32 {
    let [a, b, c, d, ..] = *digest.as_bytes();
    i32::from_be_bytes([a, b, c, d])
}

/// A digest as it was written.
pub(crate) fn to_digest(bytes: &[u8]) -> Result<Digest, Fault> {
    bytes.try_into().map(Digest::from_bytes).map_err(|_| Fault::Impossible("id"))
}

/// A slot as it was written.
pub(crate) fn to_slot(text: &str) -> Result<Slot, Fault> {
    Slot::new(text).map_err(|_| Fault::Impossible("slot"))
}

/// A kind as it is written.
pub(crate) fn kind(kind: Kind) -> i64 {
    match kind {
        Kind::Blob => 0,
        Kind::Tree => 1,
        Kind::Recipe => 2,
        Kind::Run => 3,
        Kind::Attestation => 4,
        Kind::Signature => 5,
        Kind::Aliases => 6,
        Kind::Evaluation => 7,
    }
}

/// An object's id as it was written.
pub(crate) fn to_object(number: i64, bytes: &[u8]) -> Result<ObjectId, Fault> {
    let found = Kind::ALL.into_iter().find(|k| kind(*k) == number);
    Ok(ObjectId::new(found.ok_or(Fault::Impossible("kind"))?, to_digest(bytes)?))
}

/// A time in milliseconds as it is written: SQLite's integers are signed, so times that no
/// calendar reaches are all the last one.
pub(crate) fn time(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// A time in milliseconds as it was written.
pub(crate) fn to_time(ms: i64) -> Result<u64, Fault> {
    u64::try_from(ms).map_err(|_| Fault::Impossible("time"))
}

#[cfg(test)]
mod tests {
    use lab_schema::BlobId;

    use super::*;

    #[test]
    fn what_is_written_is_read_and_the_rest_refused() {
        let digest = BlobId::of(b"x").digest();
        for kind_of in Kind::ALL {
            let id = ObjectId::new(kind_of, digest);
            assert_eq!(to_object(kind(kind_of), digest.as_bytes()).unwrap(), id);
        }
        assert!(to_digest(&[0; 33]).is_err() && to_digest(b"").is_err());
        assert!(to_object(PACK, digest.as_bytes()).is_err() && to_time(-1).is_err());
        assert_eq!(time(u64::MAX), i64::MAX);
    }
}
