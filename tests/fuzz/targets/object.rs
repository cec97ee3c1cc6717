//! Objects in CBOR: what is read is written again as the same bytes, so that an object has one id.
#![no_main]

use lab_schema::object::links;
use lab_schema::{Aliases, Attestation, Evaluation, Kind, Object, Recipe, Run, Signature, Tree};

fn one<O: Object + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    let decoded = O::decode(bytes);
    assert_eq!(links(O::KIND, bytes).is_ok(), decoded.is_ok());
    match decoded {
        Ok(object) => {
            assert_eq!(object.encode(), bytes);
            assert_eq!(
                object.id().into(),
                lab_schema::ObjectId::new(O::KIND, O::KIND.digest(bytes))
            );
        }
        // Errors are shown to people.
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((kind, bytes)) = data.split_first() else { return };
    match Kind::ALL[usize::from(*kind) % Kind::ALL.len()] {
        Kind::Blob => {}
        Kind::Tree => one::<Tree>(bytes),
        Kind::Recipe => one::<Recipe>(bytes),
        Kind::Run => one::<Run>(bytes),
        Kind::Attestation => one::<Attestation>(bytes),
        Kind::Signature => one::<Signature>(bytes),
        Kind::Evaluation => one::<Evaluation>(bytes),
        Kind::Aliases => one::<Aliases>(bytes),
    }
});
