//! Folders in and out: what is preserved, what is refused, and that nothing is written elsewhere.
#![allow(clippy::unwrap_used)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lab_objects::{
    Added, Folder, GetOptions, Got, Memory, ObjectsError, Silent, Store, add, find_in_tree, get,
};
use lab_schema::tree::Node;
use lab_schema::{BlobId, ContentId, Entry, FileName, Tree, TreeId};

fn memory() -> Store {
    Store::create(Arc::new(Memory::new())).unwrap()
}

fn add_to(store: &Store, path: &Path) -> lab_objects::Result<Added> {
    let mut writer = store.writer();
    let added = add(&mut writer, path, &Silent)?;
    writer.finish()?;
    Ok(added)
}

fn get_from(store: &Store, content: ContentId, to: &Path, force: bool) -> lab_objects::Result<Got> {
    get(store, content, to, &GetOptions { force, raw: None }, &Silent)
}

fn tree_id(content: ContentId) -> TreeId {
    match content {
        ContentId::Tree(id) => id,
        ContentId::Blob(id) => panic!("blob {id}"),
    }
}

/// A folder with one of everything.
fn sample(root: &Path) -> PathBuf {
    let folder = root.join("sample");
    fs::create_dir_all(folder.join("a folder/empty")).unwrap();
    fs::create_dir_all(folder.join(".lab/packs")).unwrap();
    fs::create_dir_all(folder.join("a folder/.lab")).unwrap();
    fs::write(folder.join(".lab/format"), "skipped").unwrap();
    fs::write(folder.join("plain"), "bytes").unwrap();
    fs::write(folder.join("naïve é.txt"), "").unwrap();
    fs::write(folder.join(OsStr::from_bytes(b"not \xff utf-8")), [0u8, 255]).unwrap();
    fs::write(folder.join("a folder/run.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(folder.join("a folder/run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("../plain", folder.join("a folder/link")).unwrap();
    symlink(OsStr::from_bytes(b"/nowhere/\xfe"), folder.join("dangling")).unwrap();
    folder
}

/// Every path below a folder with what is there.
fn listing(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(folder).unwrap().to_owned();
        if meta.is_dir() {
            found.push(format!("{name:?} folder"));
            found.extend(listing(&path).into_iter().map(|inner| format!("{name:?}/{inner}")));
        } else if meta.is_symlink() {
            found.push(format!("{name:?} -> {:?}", fs::read_link(&path).unwrap()));
        } else {
            let executable = meta.permissions().mode() & 0o100 != 0;
            found.push(format!("{name:?} {executable} {:?}", fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn everything_that_matters_is_preserved() {
    let root = tempfile::tempdir().unwrap();
    let folder = sample(root.path());
    let store = memory();
    let added = add_to(&store, &folder).unwrap();
    assert_eq!((added.files, added.bytes), (4, 17));
    let copy = root.path().join("new/copy");
    let got = get_from(&store, added.content, &copy, false).unwrap();
    assert_eq!(got, Got { files: 6, bytes: 17, unchanged: 0 });
    fs::remove_dir_all(folder.join(".lab")).unwrap();
    fs::remove_dir_all(folder.join("a folder/.lab")).unwrap();
    assert_eq!(listing(&copy), listing(&folder));
    assert_eq!(add_to(&store, &copy).unwrap().content, added.content);
    let again = get_from(&store, added.content, &copy, false).unwrap();
    assert_eq!(again, Got { files: 0, bytes: 0, unchanged: 6 });
    assert_eq!(fs::read_dir(root.path().join("new")).unwrap().count(), 1);
}

#[test]
fn a_file_is_added_and_got_by_itself() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "abc").unwrap();
    let link = root.path().join("link");
    symlink("file", &link).unwrap();
    let store = memory();
    for path in [&file, &link] {
        let added = add_to(&store, path).unwrap();
        assert_eq!(
            added,
            Added { content: BlobId::of(b"abc").into(), files: 1, bytes: 3, unchanged: 0 }
        );
    }
    let to = root.path().join("to");
    let content = BlobId::of(b"abc").into();
    assert_eq!(get_from(&store, content, &to, false).unwrap().files, 1);
    assert_eq!(get_from(&store, content, &to, false).unwrap().unchanged, 1);
    fs::write(&to, "abd").unwrap();
    assert!(matches!(get_from(&store, content, &to, false), Err(ObjectsError::Refused { .. })));
    assert_eq!(fs::read(&to).unwrap(), b"abd");
    get_from(&store, content, &to, true).unwrap();
    assert_eq!(fs::read(&to).unwrap(), b"abc");
    let folder = root.path().join("folder");
    fs::create_dir(&folder).unwrap();
    assert!(matches!(get_from(&store, content, &folder, true), Err(ObjectsError::Refused { .. })));
}

#[test]
fn different_files_are_refused_before_anything_is_written() {
    let root = tempfile::tempdir().unwrap();
    let folder = sample(root.path());
    let store = memory();
    let content = add_to(&store, &folder).unwrap().content;
    let to = root.path().join("to");
    fs::create_dir(&to).unwrap();
    fs::write(to.join("plain"), "other").unwrap();
    fs::write(to.join("mine"), "stays").unwrap();
    let before = listing(&to);
    match get_from(&store, content, &to, false) {
        Err(ObjectsError::Refused { path }) => assert_eq!(path, to.join("plain")),
        other => panic!("{other:?}"),
    }
    assert_eq!(listing(&to), before);
    get_from(&store, content, &to, true).unwrap();
    assert_eq!(fs::read(to.join("plain")).unwrap(), b"bytes");
    assert_eq!(fs::read(to.join("mine")).unwrap(), b"stays");
}

#[test]
fn nothing_is_written_through_a_link() {
    let root = tempfile::tempdir().unwrap();
    let folder = sample(root.path());
    let store = memory();
    let content = add_to(&store, &folder).unwrap().content;
    let outside = root.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("plain"), "outside").unwrap();
    let before = listing(&outside);
    for (name, target) in [("a folder", &outside), ("plain", &outside.join("plain"))] {
        let to = root.path().join("to");
        fs::create_dir(&to).unwrap();
        symlink(target, to.join(name)).unwrap();
        let refused = get_from(&store, content, &to, false);
        assert!(matches!(refused, Err(ObjectsError::Refused { .. })), "{refused:?}");
        get_from(&store, content, &to, true).unwrap();
        assert!(!fs::symlink_metadata(to.join(name)).unwrap().is_symlink());
        assert_eq!(listing(&outside), before);
        fs::remove_dir_all(&to).unwrap();
    }
    let to = root.path().join("top");
    symlink(&outside, &to).unwrap();
    assert!(matches!(get_from(&store, content, &to, false), Err(ObjectsError::Refused { .. })));
    get_from(&store, content, &to, true).unwrap();
    assert_eq!(listing(&outside), before);
    assert!(to.join("a folder/run.sh").is_file());
}

#[test]
fn a_failed_get_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let store = memory();
    let mut writer = store.writer();
    let there = writer.put_bytes(b"there").unwrap();
    let file = |id, size| Node::File { id, size, executable: false };
    let entry = |name: &str, node| Entry { name: FileName::new(name).unwrap(), node };
    let absent = BlobId::of(b"absent");
    let tree = Tree::new(vec![entry("a", file(there, 5)), entry("b", file(absent, 6))]).unwrap();
    let id = writer.put(&tree).unwrap();
    writer.finish().unwrap();
    let to = root.path().join("to");
    let failed = get_from(&store, id.into(), &to, false);
    assert!(matches!(failed, Err(ObjectsError::Missing { .. })), "{failed:?}");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn a_tower_of_folders_is_refused_both_ways() {
    let root = tempfile::tempdir().unwrap();
    let store = memory();
    let mut writer = store.writer();
    let mut id = writer.put(&Tree::default()).unwrap();
    for _ in 0..1001 {
        let node = Node::Directory { id, size: 0 };
        let name = FileName::new("d").unwrap();
        id = writer.put(&Tree::new(vec![Entry { name, node }]).unwrap()).unwrap();
    }
    writer.finish().unwrap();
    let failed = get_from(&store, id.into(), &root.path().join("to"), false);
    assert!(matches!(failed, Err(ObjectsError::TooDeep { .. })), "{failed:?}");
    let deep = root.path().join("d/".repeat(1002));
    fs::create_dir_all(&deep).unwrap();
    let failed = add_to(&store, root.path());
    assert!(matches!(failed, Err(ObjectsError::TooDeep { .. })), "{failed:?}");
}

#[test]
fn what_is_no_file_is_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    let socket = root.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let refused = add_to(&memory(), root.path()).unwrap_err().to_string();
    assert_eq!(refused, format!("{} is a socket, which cannot be stored", socket.display()));
    let refused = add_to(&memory(), Path::new("/dev/null")).unwrap_err().to_string();
    assert_eq!(refused, "/dev/null is a device, which cannot be stored");
    let absent = add_to(&memory(), &root.path().join("absent")).unwrap_err();
    assert!(matches!(absent, ObjectsError::Io { verb: "inspect", .. }));
}

#[test]
fn paths_lead_into_trees() {
    let root = tempfile::tempdir().unwrap();
    let folder = sample(root.path());
    let store = memory();
    let tree = tree_id(add_to(&store, &folder).unwrap().content);
    let find = |path: &[&str]| {
        let path: Vec<FileName> = path.iter().map(|p| FileName::new(*p).unwrap()).collect();
        find_in_tree(&store, tree, &path).unwrap()
    };
    assert_eq!(find(&[]), Some(Node::Directory { id: tree, size: 17 }));
    assert_eq!(find(&["plain"]).unwrap().size(), 5);
    assert!(matches!(find(&["a folder", "run.sh"]), Some(Node::File { executable: true, .. })));
    assert_eq!(find(&["a folder", "link", "x"]), None);
    assert_eq!(find(&["plain", "x"]).or(find(&["absent"])), None);
}

#[test]
fn ten_thousand_files_make_one_pack() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("many");
    for n in 0..10_000 {
        let inner = folder.join(format!("{}", n / 500));
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join(format!("{n}.txt")), format!("file number {n}\n").repeat(20)).unwrap();
    }
    let backend = Arc::new(Folder::create(&root.path().join("store")).unwrap());
    let store = Store::create(backend).unwrap();
    let added = add_to(&store, &folder).unwrap();
    assert_eq!(added.files, 10_000);
    assert_eq!(store.packs().unwrap().len(), 1);
    let to = root.path().join("to");
    assert_eq!(get_from(&store, added.content, &to, false).unwrap().files, 10_000);
    assert_eq!(add_to(&store, &to).unwrap().content, added.content);
}

/// A tree with a registry in it would add to the names of the one that it is written into.
#[test]
fn no_tree_reaches_into_a_registry() {
    let root = tempfile::tempdir().unwrap();
    let store = memory();
    let mut writer = store.writer();
    let id = writer.put_bytes(b"a forged journal").unwrap();
    let node = Node::File { id, size: 16, executable: false };
    let one = |name: &str, node| Entry { name: FileName::new(name).unwrap(), node };
    let names = Tree::new(vec![one("mnist", node)]).unwrap();
    let directory = |id| Node::Directory { id, size: 16 };
    let registry = Tree::new(vec![one("names", directory(writer.put(&names).unwrap()))]).unwrap();
    let registry = writer.put(&registry).unwrap();
    let mut hostile = Vec::new();
    for (name, node) in [
        (".lab", directory(registry)),
        (".LAB", directory(registry)),
        (".lab", Node::Link { target: b"elsewhere".to_vec() }),
    ] {
        hostile.push(writer.put(&Tree::new(vec![one(name, node)]).unwrap()).unwrap());
    }
    writer.finish().unwrap();
    let work = root.path().join("work");
    fs::create_dir_all(work.join(".lab/names")).unwrap();
    for (tree, force) in hostile.into_iter().flat_map(|tree| [(tree, false), (tree, true)]) {
        for to in [&work, &root.path().join("new")] {
            let refused = get_from(&store, tree.into(), to, force).unwrap_err();
            assert!(matches!(refused, ObjectsError::Registry { .. }), "{refused}");
        }
    }
    assert!(!work.join(".lab/names/mnist").exists() && !root.path().join("new").exists());

    // What cannot be got is not added either.
    symlink("elsewhere", root.path().join(".lab")).unwrap();
    let added = add_to(&store, root.path()).unwrap();
    let tree = store.load::<Tree>(tree_id(added.content)).unwrap();
    assert_eq!(tree.entries().len(), 1);
}
