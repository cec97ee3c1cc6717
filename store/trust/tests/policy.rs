//! What a store lets in, by signatures that are in it.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::sync::Arc;

use common::{folder, key, key_named, public, run_of, sign};
use lab_lineage::Lineage;
use lab_objects::{Memory, Store};
use lab_remote::Gate;
use lab_schema::{AttestationId, BlobId, Digest, Object, ObjectId, Signature, Signed};
use lab_trust::{Allowed, Policy};

const DAY_MS: u64 = 86_400_000;
/// 2026-01-01T00:00:00Z.
const NEW_YEAR_MS: u64 = 1_767_225_600_000;

fn put(store: &Store, signature: &Signature) -> ObjectId {
    let mut writer = store.writer();
    let id = writer.put(signature).unwrap();
    writer.finish().unwrap();
    id.into()
}

#[test]
fn only_what_an_allowed_signer_signed_comes_in() {
    let Some(folder) = folder() else { return };
    let (ana, eve) = (key(folder.path(), "ed25519"), key_named(folder.path(), "ed25519", "eve"));
    let store = Store::create(Arc::new(Memory::new())).unwrap();
    let line = |options: &str| format!("ana {options} {}\n", public(&ana));
    let refuses = |lines: &str, now_ms: fn() -> u64, id: ObjectId| {
        let mut lineage = Lineage::in_memory().unwrap();
        lineage.refresh(&store).unwrap();
        let policy = Policy { allowed: Allowed::parse(lines.as_bytes()), now_ms };
        policy.refuses(&store, &lineage, id).unwrap().is_some()
    };
    let late: fn() -> u64 = || NEW_YEAR_MS + 100 * DAY_MS;
    let refused = |id: ObjectId| refuses(&line(""), late, id);
    let (run, other) = (run_of(1), run_of(2));
    let attested = Signed::Attestation(AttestationId::from_digest(Digest::from_bytes([1; 32])));

    assert!(refused(run.into()) && refused(attested.into()));
    // By somebody else; by Ana for another run; one that does not hold. None helps.
    let by_eve = put(&store, &sign(&eve, run, NEW_YEAR_MS));
    let of_other = sign(&ana, other, NEW_YEAR_MS);
    put(&store, &of_other);
    let moved = Signature::new(run, NEW_YEAR_MS, of_other.sshsig().to_vec()).unwrap();
    let moved = put(&store, &moved);
    assert!(refused(run.into()) && !refused(other.into()));
    // A signature brings what it is of.
    assert!(refused(by_eve) && refused(moved) && !refused(of_other.id().into()));

    put(&store, &sign(&ana, run, NEW_YEAR_MS));
    assert!(!refused(run.into()) && refused(attested.into()));
    let run = ObjectId::from(run);
    assert!(refuses("", late, run));
    assert!(refuses(&line("valid-before=\"20251231Z\""), late, run));
    assert!(!refuses(&line("valid-before=\"20260102Z\""), late, run));
    assert!(refuses(&line("namespaces=\"lab-attestation\""), late, run));
    assert!(refuses(&line("cert-authority"), late, run));
    // Dated ahead: it is a time to come that the key is good for.
    assert!(!refuses(&line("valid-after=\"20251231Z\""), late, run));
    assert!(refuses(&line("valid-after=\"20251231Z\""), || NEW_YEAR_MS - 9 * DAY_MS, run));
    // What says nothing needs no signature.
    assert!(!refused(BlobId::of(b"x").into()));
}
