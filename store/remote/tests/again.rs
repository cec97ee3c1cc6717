//! What is pushed again: what a name of the remote keeps is not gone through a second time, and all that has come
//! since goes all the same.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::sync::Arc;

use common::{
    Faulty, POLITE, attest, base, blob, everything, lineage, memory, pipeline, put, run, set, sign,
    store, tree,
};
use lab_objects::{Backend, Folder, Memory, Room, Silent, Store};
use lab_remote::{Exchange, Options, Result, push};
use lab_schema::{Aliases, BlobId, ObjectId, Signed, Subject, Tree, TreeId};

fn send(local: &Store, remote: &Store, what: &[&str], options: Options<'_>) -> Result<Exchange> {
    let what: Vec<_> = what.iter().map(|text| base(text)).collect();
    push(local, &lineage(local), remote, &what, options, &Silent)
}

/// A directory in a directory, named `data`, of which the inner one can be made unreadable.
fn nested(store: &Store) -> (TreeId, TreeId, BlobId) {
    let deep = blob(store, "deep");
    let inner = tree(store, &[("deep", deep.into())]);
    let outer = tree(store, &[("inner", inner.into())]);
    set(store, "data", outer);
    (outer, inner, deep)
}

#[test]
fn what_a_name_there_keeps_is_not_read_again() {
    let backend = Faulty::new();
    let (local, remote) = (store(backend.clone()), memory());
    let (outer, inner, _) = nested(&local);
    let result = run(&local, "train", outer.into(), blob(&local, "model").into());
    set(&local, "result", result);
    assert_eq!(send(&local, &remote, &["data", "result"], POLITE).unwrap().transfer.objects, 9);

    // As another process that finds it damaged.
    backend.damages(inner.into(), &local);
    let local = Store::open(backend).unwrap();
    for what in [&["data"][..], &["result"], &["result", "data"]] {
        let again = send(&local, &remote, what, POLITE).unwrap();
        assert_eq!(again.transfer.objects, 0, "{what:?}");
    }
    // Everything is gone through where it is not known to be there.
    for what in [[outer.to_string()], [result.to_string()]] {
        send(&local, &remote, &[&what[0]], POLITE).unwrap_err();
    }
    send(&local, &remote, &["data"], Options { repair: true, ..POLITE }).unwrap_err();
    set(&local, "also", outer);
    send(&local, &remote, &["also"], POLITE).unwrap_err();
}

#[test]
fn what_has_come_since_goes() {
    let (local, remote) = (memory(), memory());
    let made = pipeline(&local);
    set(&local, "model", made.train);
    send(&local, &remote, &["model"], POLITE).unwrap();
    let attested = attest(&local, made.train);
    let signed = sign(&local, Signed::Attestation(attested));
    let of_the_first = sign(&local, Signed::Run(made.prepare));

    let again = send(&local, &remote, &["model"], POLITE).unwrap();
    assert_eq!(again.transfer.objects, 3);
    for id in [ObjectId::from(attested), signed.into(), of_the_first.into()] {
        assert!(remote.has(id).unwrap());
    }
    assert_eq!(send(&local, &remote, &["model"], POLITE).unwrap().transfer.objects, 0);
}

#[test]
fn what_turns_out_to_have_made_it_goes_with_its_own_data() {
    let (local, remote) = (memory(), memory());
    let clean = blob(&local, "clean");
    let train = run(&local, "train", clean.into(), blob(&local, "model").into());
    set(&local, "model", train);
    send(&local, &remote, &["model"], POLITE).unwrap();

    let (raw, _, deep) = nested(&local);
    let prepare = run(&local, "prepare", raw.into(), clean.into());
    send(&local, &remote, &["model"], POLITE).unwrap();
    for id in [ObjectId::from(prepare), raw.into(), deep.into()] {
        assert!(remote.has(id).unwrap(), "{id:?}");
    }
}

#[test]
fn what_it_is_called_elsewhere_goes_however_deep_it_lies() {
    let (local, remote) = (memory(), memory());
    let (_, _, deep) = nested(&local);
    send(&local, &remote, &["data"], POLITE).unwrap();
    let table = blob(&local, "");
    let aliases =
        Aliases { of: Subject::Blob(deep), from: "dvc".into(), origin: "data".into(), table };
    let aliases = put(&local, &aliases);
    send(&local, &remote, &["data"], POLITE).unwrap();
    assert!(remote.has(aliases).unwrap());
}

#[test]
fn a_name_that_points_at_nothing_keeps_nothing() {
    let (local, backend) = (memory(), Arc::new(Memory::new()));
    nested(&local);
    let remote = store(backend.clone());
    send(&local, &remote, &["data"], POLITE).unwrap();
    for (pack, _) in backend.list(Room::Packs).unwrap() {
        backend.remove(&pack).unwrap();
    }
    // As the next one finds it.
    let remote = store(backend);
    assert_eq!(send(&local, &remote, &["data"], POLITE).unwrap().transfer.objects, 3);
    assert_eq!(everything(&remote), everything(&local));
}

#[test]
fn a_remote_of_which_something_was_left_out_is_gone_through() {
    let (local, folder) = (memory(), tempfile::tempdir().unwrap());
    let remote = Store::create(Arc::new(Folder::create(folder.path()).unwrap())).unwrap();
    let (outer, _, deep) = nested(&local);
    // As after a pull that left out what lies deep.
    put(&remote, &local.load::<Tree>(outer).unwrap());
    set(&remote, "data", outer);
    fs::create_dir(folder.path().join("promised")).unwrap();
    fs::write(folder.path().join("promised/x"), "").unwrap();
    assert!(!remote.is_complete());
    send(&local, &remote, &["data"], POLITE).unwrap();
    assert!(remote.has(deep).unwrap());

    fs::remove_file(folder.path().join("promised/x")).unwrap();
    assert!(remote.is_complete());
}

#[test]
fn what_is_lost_beside_directories_comes_again() {
    let (local, remote) = (memory(), memory());
    let made = pipeline(&local);
    set(&local, "model", made.train);
    // All but the model, which was lost, and the name that keeps it.
    let mut writer = remote.writer();
    for id in everything(&local).into_iter().filter(|id| *id != made.model.into()) {
        let mut bytes = local.open_object(id).unwrap().unwrap();
        writer.put_copy(id, &mut bytes, None).unwrap();
    }
    writer.finish().unwrap();
    set(&remote, "model", made.train);
    assert!(!remote.has(made.model).unwrap());
    assert_eq!(send(&local, &remote, &["model"], POLITE).unwrap().transfer.objects, 1);
    assert!(remote.has(made.model).unwrap());
}
