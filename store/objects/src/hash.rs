//! The id of a file that is not to be stored.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::SystemTime;

use lab_schema::{BlobHasher, BlobId};

use crate::error::{At, ObjectsError, Result};
use crate::stat::{Identity, StatCache};

/// The id of the bytes of the regular file at `path`, which is read only if `cache` does not know
/// it. Links are followed.
///
/// # Errors
///
/// [`ObjectsError::Changed`] if somebody writes to it meanwhile.
pub fn hash_cached(path: &Path, cache: &mut StatCache) -> Result<BlobId> {
    let read = SystemTime::now();
    let identity = Identity::of(&path.metadata().at("inspect", path)?);
    if let Some(id) = cache.get(&identity) {
        return Ok(id);
    }
    let mut file = File::open(path).at("open", path)?;
    let mut hasher = BlobHasher::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer).at("read", path)? {
            0 => break,
            got => {
                hasher.update(&buffer[..got]);
            }
        }
    }
    if Identity::of(&file.metadata().at("inspect", path)?) != identity {
        return Err(ObjectsError::Changed { path: path.to_owned() });
    }
    let id = hasher.finish();
    cache.put(identity, id, read);
    Ok(id)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_the_cache_knows_is_not_read_and_what_changed_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let mut cache = StatCache::open(&dir.path().join("cache"));
        fs::write(&path, b"one").unwrap();
        assert_eq!(hash_cached(&path, &mut cache).unwrap(), BlobId::of(b"one"));
        // Told a lie about the very same file, it believes the cache.
        let identity = Identity::of(&path.metadata().unwrap());
        std::thread::sleep(std::time::Duration::from_millis(250));
        cache.put(identity, BlobId::of(b"lie"), SystemTime::now());
        cache.save().unwrap();
        let mut cache = StatCache::open(&dir.path().join("cache"));
        assert_eq!(hash_cached(&path, &mut cache).unwrap(), BlobId::of(b"lie"));
        fs::write(&path, b"two").unwrap();
        assert_eq!(hash_cached(&path, &mut cache).unwrap(), BlobId::of(b"two"));
        assert!(hash_cached(&dir.path().join("absent"), &mut cache).is_err());
    }
}
