//! Weights: cut at their tensors, stored as planes and as differences, and back as they were.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::sync::Arc;

use lab_objects::{Backend, Folder, Memory, Room, Silent, Store, add, check};
use lab_schema::{BlobId, ContentId};

/// Numbers about as weights have them.
fn floats(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..count).map(|_| (next() + next() + next() + next()) * 0.02).collect()
}

/// A safetensors file of F32 tensors.
fn safetensors(tensors: &[(&str, Vec<f32>)]) -> Vec<u8> {
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    for (name, values) in tensors {
        let start = data.len();
        values.iter().for_each(|v| data.extend_from_slice(&v.to_le_bytes()));
        entries.push(format!(
            "\"{name}\":{{\"dtype\":\"F32\",\"shape\":[{}],\"data_offsets\":[{start},{}]}}",
            values.len(),
            data.len()
        ));
    }
    let head = format!("{{{}}}", entries.join(","));
    [&(head.len() as u64).to_le_bytes()[..], head.as_bytes(), &data].concat()
}

fn stored(backend: &dyn Backend) -> u64 {
    backend.list(Room::Packs).unwrap().iter().map(|(_, bytes)| bytes).sum()
}

/// Adds bytes as a file, with these blobs as bases; returns the id and what the store grew by.
fn put(store: &Store, backend: &dyn Backend, bytes: &[u8], bases: &[ContentId]) -> (BlobId, u64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    fs::write(&path, bytes).unwrap();
    let before = stored(backend);
    let mut writer = store.writer();
    writer.set_bases(bases);
    let added = add(&mut writer, &path, &Silent).unwrap();
    writer.finish().unwrap();
    assert_eq!(added.content, BlobId::of(bytes).into());
    assert_eq!(check(store, true, &Silent).unwrap().findings, []);
    (BlobId::of(bytes), stored(backend) - before)
}

fn new() -> (Arc<Memory>, Store) {
    let backend = Arc::new(Memory::new());
    (backend.clone(), Store::create(backend).unwrap())
}

#[test]
fn floats_take_less_room_than_bytes_and_come_back() {
    let (backend, store) = new();
    let model =
        safetensors(&[("a", floats(1, 700_000)), ("b", floats(2, 3)), ("c", floats(3, 300_001))]);
    let (id, grown) = put(&store, &*backend, &model, &[]);
    assert!(grown < model.len() as u64 * 88 / 100, "{grown} of {}", model.len());
    assert!(store.read_blob(id, u64::MAX).unwrap() == model);
    for (start, end) in [(0, 9), (100, 1 << 20), (2_800_000, 2_800_900), (4_000_000, 4_000_003)] {
        let range = store.read_range(id, start..end).unwrap();
        assert_eq!(range, model[start as usize..end as usize]);
    }
}

/// The same tensors at other places, in another order and with another header: nothing is new but
/// the tensor that is.
#[test]
fn tensors_that_did_not_change_are_found_again() {
    let (backend, store) = new();
    let [a, b, c] = [1, 2, 3].map(|seed| floats(seed, 600_000));
    put(&store, &*backend, &safetensors(&[("a", a.clone()), ("b", b)]), &[]);
    let moved = safetensors(&[("c", c.clone()), ("the.longer.name.of.a", a)]);
    let (id, grown) = put(&store, &*backend, &moved, &[]);
    let (alone, other) = new();
    let (_, encoded) = put(&other, &*alone, &safetensors(&[("c", c)]), &[]);
    assert!(grown <= encoded * 105 / 100, "{grown}, and {encoded} alone");
    assert!(store.read_blob(id, u64::MAX).unwrap() == moved);
}

#[test]
fn a_fine_tune_is_a_difference() {
    let (backend, store) = new();
    let before = floats(1, 600_000);
    let tuned = |round: u64| -> Vec<f32> {
        let step = floats(round + 10, before.len());
        before.iter().zip(step).map(|(w, s)| w + s * 0.01).collect()
    };
    let (mut base, plain) = put(&store, &*backend, &safetensors(&[("w", before.clone())]), &[]);
    let first = base;
    // A chain of more links than are allowed: it ends, and begins anew.
    for round in 1..=12 {
        let model = safetensors(&[("w", tuned(round))]);
        let (id, grown) = put(&store, &*backend, &model, &[base.into()]);
        assert!(grown < plain * 9 / 10 || round == 9, "round {round}: {grown} of {plain}");
        assert!(store.read_blob(id, u64::MAX).unwrap() == model);
        base = id;
    }
    // Several bases, of which one fits; and one that is no file of weights.
    let text = put(&store, &*backend, "no weights ".repeat(20_000).as_bytes(), &[]).0;
    let model = safetensors(&[("w", tuned(20))]);
    let (id, grown) = put(&store, &*backend, &model, &[text.into(), first.into()]);
    assert!(grown < plain * 9 / 10, "{grown} of {plain}");
    let other = Store::open(backend).unwrap();
    assert!(other.read_blob(id, u64::MAX).unwrap() == model);
}

/// A damaged base is found with all that hangs on it, and nothing wrong is read.
#[test]
fn damage_to_a_base_is_damage_to_what_stands_on_it() {
    let folder = tempfile::tempdir().unwrap();
    let backend = Arc::new(Folder::create(folder.path()).unwrap());
    let store = Store::create(backend.clone()).unwrap();
    let before = floats(1, 100_000);
    let tuned: Vec<f32> = before.iter().map(|w| w * 1.0001).collect();
    let (base, _) = put(&store, &*backend, &safetensors(&[("w", before)]), &[]);
    let pack = store.packs().unwrap()[0].to_string();
    let model = safetensors(&[("w", tuned)]);
    let (id, _) = put(&store, &*backend, &model, &[base.into()]);
    let path = folder.path().join("packs").join(format!("{pack}.pack"));
    let right = fs::read(&path).unwrap();
    let mut bad = right.clone();
    bad[200_000] ^= 1;
    fs::write(&path, &bad).unwrap();
    let store = Store::open(backend.clone()).unwrap();
    for id in [base, id] {
        store.read_blob(id, u64::MAX).unwrap_err();
    }
    let findings = check(&store, true, &Silent).unwrap().findings;
    let said: Vec<String> = findings.iter().map(ToString::to_string).collect();
    for id in [base, id] {
        assert!(said.iter().any(|f| f.contains(&id.to_string())), "{id}: {said:?}");
    }
    fs::write(&path, right).unwrap();
    let store = Store::open(backend).unwrap();
    assert!(store.read_blob(id, u64::MAX).unwrap() == model);
}

/// A broken header makes a file like any other, not an error.
#[test]
fn what_only_looks_like_weights_is_stored_all_the_same() {
    let (backend, store) = new();
    let model = safetensors(&[("a", floats(1, 200_000))]);
    for (at, byte) in [(0, 255), (8, b'['), (30, b'}'), (60, b'9')] {
        let mut odd = model.clone();
        odd[at] = byte;
        let (id, _) = put(&store, &*backend, &odd, &[]);
        assert!(store.read_blob(id, u64::MAX).unwrap() == odd);
    }
    let cut = &model[..model.len() - 5];
    let (id, _) = put(&store, &*backend, cut, &[]);
    assert!(store.read_blob(id, u64::MAX).unwrap() == cut);
}
