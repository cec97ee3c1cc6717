//! Files of a stat cache: any bytes, or any records under a right checksum. Whatever the cache says,
//! what is added has the id of what is there.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use lab_fuzz::forge;
use lab_objects::{Silent, StatCache, add_cached};
use lab_schema::{BlobId, ContentId};

static FOLDER: LazyLock<std::path::PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("lab-fuzz-stat-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder can be made");
    fs::write(folder.join("file"), "contents").expect("a file can be written");
    folder
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((how, rest)) = data.split_first() else { return };
    let mut bytes = rest.to_vec();
    if how % 2 == 1 {
        bytes.splice(0..0, *b"LABSTAT\x01");
        let whole = bytes.len() - (bytes.len() - 8) % 80;
        bytes.truncate(whole);
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    }
    let path = FOLDER.join("cache");
    fs::write(&path, bytes).expect("a file can be written");
    let mut cache = StatCache::open(&path);
    let (store, _) = forge::store([]);
    let mut writer = store.writer();
    let added = add_cached(&mut writer, &FOLDER.join("file"), Some(&mut cache), &Silent);
    assert_eq!(added.expect("the file is there").content, ContentId::Blob(BlobId::of(b"contents")));
    writer.finish().expect("nothing fails");
    cache.save().expect("a file can be written");
});
