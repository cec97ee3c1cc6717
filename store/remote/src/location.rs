//! From what a person types to a store.
//!
//! A location is a path or a `file://` URL. The store is in the folder itself (a bare store, as
//! remotes are) or, where somebody works in the folder, in `.lab` inside it. The kinds of
//! remote that are to come are recognised and refused by name, so that `ssh://…` is
//! never taken for a folder of that name.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lab_objects::{Folder, ObjectsError, Store};

use crate::error::{On, RemoteError, Result, Side};

/// Where the store is in a folder that somebody works in.
const INSIDE: &str = ".lab";

/// Opens the store at a location: a path or a `file://` URL.
pub fn open(location: &str) -> Result<Store> {
    let path = to_path(location)?;
    let found = find(&path)?.ok_or(RemoteError::NotAStore { path })?;
    open_folder(&found)
}

/// Opens the store at a location, or makes a bare one there if nothing or an empty folder is
/// there. Says whether it was made.
pub fn open_or_create(location: &str) -> Result<(Store, bool)> {
    let path = to_path(location)?;
    if let Some(found) = find(&path)? {
        return Ok((open_folder(&found)?, false));
    }
    if !Folder::is_vacant(&path).on(Side::Remote)? {
        return Err(RemoteError::InTheWay { path });
    }
    let made = Folder::create(&path).and_then(|folder| Store::create(Arc::new(folder)));
    Ok((made.on(Side::Remote)?, true))
}

fn open_folder(path: &Path) -> Result<Store> {
    match Folder::open(path).and_then(|folder| Store::open(Arc::new(folder))) {
        Err(ObjectsError::NotAStore { .. }) => {
            Err(RemoteError::NotAStore { path: path.to_owned() })
        }
        opened => opened.on(Side::Remote),
    }
}

/// The folder of the store at a path, if there is one.
fn find(path: &Path) -> Result<Option<PathBuf>> {
    for folder in [path.join(INSIDE), path.to_owned()] {
        match Folder::open(&folder) {
            Ok(_) => return Ok(Some(folder)),
            Err(ObjectsError::NotAStore { .. }) => {}
            Err(ObjectsError::Io { source, .. }) if is_absent(&source) => {}
            Err(error) => return Err(error).on(Side::Remote),
        }
    }
    Ok(None)
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// The path that a location means.
fn to_path(location: &str) -> Result<PathBuf> {
    let bad = |why| RemoteError::BadLocation { location: location.to_owned(), why };
    let unsupported = |scheme: &str| RemoteError::Unsupported {
        scheme: scheme.to_ascii_lowercase(),
        location: location.to_owned(),
    };
    if location.is_empty() {
        return Err(bad("it is empty"));
    }
    if location.contains('\0') {
        return Err(bad("it holds a NUL byte"));
    }
    if let Some((scheme, rest)) = location.split_once("://")
        && is_scheme(scheme)
    {
        if !scheme.eq_ignore_ascii_case("file") {
            return Err(unsupported(scheme));
        }
        let path = rest.strip_prefix("localhost").unwrap_or(rest);
        if !path.starts_with('/') {
            return Err(bad("a file URL has three slashes and then an absolute path"));
        }
        let bytes = percent_decoded(path).ok_or_else(|| bad("a '%' is followed by two digits"))?;
        if bytes.contains(&0) {
            return Err(bad("it holds a NUL byte"));
        }
        return Ok(OsString::from_vec(bytes).into());
    }
    // `host:path`, as scp and git have it; unless it is there under that very name.
    let head = location.split('/').next().unwrap_or_default();
    if head.contains(':') && !Path::new(location).exists() {
        return Err(unsupported("ssh"));
    }
    Ok(location.into())
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut plain = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            plain.push(byte);
            continue;
        }
        let mut digit = || (bytes.next()? as char).to_digit(16);
        plain.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn paths_and_file_urls_are_places() {
        for (location, path) in [
            ("a/b", "a/b"),
            ("/a b", "/a b"),
            ("./x:y", "./x:y"),
            ("file:///a/b", "/a/b"),
            ("FILE://localhost/a%20b%C3%A9", "/a bé"),
        ] {
            assert_eq!(to_path(location).unwrap(), Path::new(path), "{location}");
        }
    }

    #[test]
    fn remotes_to_come_are_refused_by_name() {
        for (location, name) in [
            ("ssh://host/x", "ssh"),
            ("http://host/x", "http"),
            ("HTTPS://host/x", "https"),
            ("s3://bucket/x", "s3"),
            ("gopher://x", "gopher"),
            ("me@host:x", "ssh"),
            ("host:x/y", "ssh"),
        ] {
            match open(location) {
                Err(RemoteError::Unsupported { scheme, .. }) => assert_eq!(scheme, name),
                other => panic!("{location}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_location_says_why() {
        for bad in ["", "file://a/b", "file://", "file:///%zz", "file:///%4", "file:///%00", "a\0"]
        {
            assert!(matches!(to_path(bad), Err(RemoteError::BadLocation { .. })), "{bad:?}");
        }
    }

    #[test]
    fn stores_are_found_made_and_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        assert!(matches!(open(&at("absent")), Err(RemoteError::NotAStore { .. })));
        assert!(!folder.path().join("absent").exists());

        assert!(open_or_create(&at("new")).unwrap().1);
        assert!(!open_or_create(&at("new")).unwrap().1);
        open(&format!("file://{}", at("new"))).unwrap();

        fs::create_dir(at("empty")).unwrap();
        assert!(matches!(open(&at("empty")), Err(RemoteError::NotAStore { .. })));
        assert!(open_or_create(&at("empty")).unwrap().1);

        // As a process leaves it that dies while it makes a store.
        fs::create_dir_all(at("begun/packs")).unwrap();
        fs::create_dir_all(at("begun/tmp")).unwrap();
        fs::write(at("begun/tmp/1-0123456789abcdef"), b"lab").unwrap();
        assert!(open_or_create(&at("begun")).unwrap().1);
        fs::remove_file(at("begun/format")).unwrap();
        fs::write(at("begun/names/mnist"), b"x").unwrap();
        assert!(matches!(open_or_create(&at("begun")), Err(RemoteError::InTheWay { .. })));

        fs::create_dir(at("work")).unwrap();
        fs::write(at("work/train.py"), b"pass").unwrap();
        assert!(matches!(open_or_create(&at("work")), Err(RemoteError::InTheWay { .. })));
        let inside = Folder::create(Path::new(&at("work/.lab"))).unwrap();
        Store::create(Arc::new(inside)).unwrap();
        open(&at("work")).unwrap();
        assert!(!open_or_create(&at("work")).unwrap().1);

        fs::write(at("file"), b"x").unwrap();
        assert!(matches!(open(&at("file")), Err(RemoteError::NotAStore { .. })));
        assert!(matches!(open_or_create(&at("file")), Err(RemoteError::InTheWay { .. })));
        assert!(matches!(open_or_create(&at("file/x")), Err(RemoteError::InTheWay { .. })));
    }
}
