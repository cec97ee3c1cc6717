//! Files that are heard while they are stored.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use lab_objects::{
    Filed, Hearing, Memory, ObjectsError, Silent, StatCache, Store, Witness, add_files,
};
use lab_schema::BlobId;

/// What was heard of each file; whole ones are those whose end was heard.
type Heard = BTreeMap<usize, (Vec<u8>, bool)>;

#[derive(Default)]
struct Notes(Mutex<Heard>);

struct Ear(Arc<Notes>, usize);

impl Witness for Notes {
    fn open(self: Arc<Self>, number: usize) -> Box<dyn Hearing> {
        let before = self.0.lock().unwrap().insert(number, (Vec::new(), false));
        assert!(before.is_none(), "file {number} was opened twice");
        Box::new(Ear(self, number))
    }
}

impl Hearing for Ear {
    fn hear(&mut self, bytes: &[u8]) {
        self.0.0.lock().unwrap().get_mut(&self.1).unwrap().0.extend_from_slice(bytes);
    }

    fn end(self: Box<Self>) {
        self.0.0.lock().unwrap().get_mut(&self.1).unwrap().1 = true;
    }
}

fn store() -> Store {
    Store::create(Arc::new(Memory::new())).unwrap()
}

fn file(
    store: &Store,
    paths: &[PathBuf],
    cache: Option<&mut StatCache>,
) -> (lab_objects::Result<Vec<Filed>>, Heard) {
    let (notes, mut writer) = (Arc::new(Notes::default()), store.writer());
    let witness = Arc::clone(&notes) as Arc<dyn Witness>;
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let filed = add_files(&mut writer, &paths, cache, witness, &Silent);
    if filed.is_ok() {
        writer.finish().unwrap();
    }
    (filed, std::mem::take(&mut *notes.0.lock().unwrap()))
}

#[test]
fn every_byte_of_every_file_is_heard_under_its_number() {
    let dir = tempfile::tempdir().unwrap();
    // None, few, and more than are read at a time.
    let sizes =
        (0..700).map(|n| n % 50 * 17).chain([(1 << 20) - 1, 1 << 20, (1 << 20) + 1, 9 << 20]);
    let contents: Vec<Vec<u8>> = sizes
        .enumerate()
        .map(|(n, size)| (0..size).map(|at| (at * 31 + n * 7 + at / 251) as u8).collect())
        .collect();
    let path = |n: usize| dir.path().join(n.to_string());
    let paths: Vec<PathBuf> = (0..contents.len()).map(path).collect();
    for (path, bytes) in paths.iter().zip(&contents) {
        fs::write(path, bytes).unwrap();
    }
    let store = store();
    let (filed, heard) = file(&store, &paths, None);
    let filed = filed.unwrap();
    for (n, bytes) in contents.iter().enumerate() {
        assert_eq!(filed[n].id, BlobId::of(bytes), "{n}");
        assert_eq!((filed[n].bytes, filed[n].executable), (bytes.len() as u64, false));
        assert!(heard[&n] == (bytes.clone(), true), "{n}: heard {} bytes", heard[&n].0.len());
        assert_eq!(store.read_blob(filed[n].id, 10 << 20).unwrap(), *bytes);
    }
    assert_eq!(heard.len(), contents.len());
}

#[test]
fn what_the_cache_knows_is_not_read_and_links_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    fs::write(&a, "one").unwrap();
    fs::write(&b, vec![7; 3 << 20]).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(250));
    let (store, at) = (store(), dir.path().join("cache"));
    let mut cache = StatCache::open(&at);
    let (first, heard) = file(&store, &[a.clone(), b.clone()], Some(&mut cache));
    assert_eq!(heard.len(), 2);
    cache.save().unwrap();
    let mut cache = StatCache::open(&at);
    let (again, heard) = file(&store, &[a.clone(), b.clone()], Some(&mut cache));
    assert_eq!((first.unwrap(), 0), (again.unwrap(), heard.len()));
    // What is known and not in the store is read all the same.
    let (_, heard) = file(&self::store(), &[a.clone(), b], Some(&mut cache));
    assert_eq!(heard.len(), 2);

    let link = dir.path().join("link");
    symlink(&a, &link).unwrap();
    for (bad, what) in [(link, "symbolic link"), (dir.path().to_owned(), "folder")] {
        let (refused, _) = file(&store, &[a.clone(), bad], None);
        let is_named =
            |e| matches!(e, ObjectsError::Unsupported { what: said, .. } if said == what);
        assert!(refused.is_err_and(is_named), "{what}");
    }
    let (refused, _) = file(&store, &[dir.path().join("absent")], None);
    assert!(refused.is_err());
    assert_eq!(file(&store, &[], None).0.unwrap(), []);
}
