//! From what a person types to a store.
//!
//! A location is a path, a `file://`, `ssh://`, `http://` or `https://` URL, `host:path` as scp has it, or a
//! place in a bucket. The store is in the folder itself (a bare store, as remotes are) or, where somebody
//! works in the folder, in `.lab` inside it. Other kinds are recognised and refused by name, so that
//! `ftp://…` is never taken for a folder of that name.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lab_objects::{Backend, Folder, ObjectsError, Store};
use lab_web::{Web, WebError};

use crate::answer::Opened;
use crate::bucket::{bucket, without_secrets};
use crate::error::{On, RemoteError, Result, Side};
use crate::far::{Far, Told};
use crate::link::Patience;
use crate::ssh::Ssh;

/// Where the store is in a folder that somebody works in.
const INSIDE: &str = ".lab";

/// Opens the store at a location. `told` hears when a connection that broke is made anew.
pub fn open(location: &str, told: Told) -> Result<Store> {
    open_for_others(location, false, told).map(|opened| opened.store)
}

/// Opens the store at a location, or makes a bare one there if nothing or an empty folder is
/// there. Says whether it was made.
pub fn open_or_create(location: &str, told: Told) -> Result<(Store, bool)> {
    open_for_others(location, true, told).map(|opened| (opened.store, opened.made))
}

/// The store at a location, for who answers the questions of others about it: `make` as in
/// [`open_or_create`].
pub fn open_for_others(location: &str, make: bool, told: Told) -> Result<Opened> {
    opened(place(location)?, make, told)
}

fn opened(place: Place, make: bool, told: Told) -> Result<Opened> {
    match place {
        Place::Folder(path) if make => folder_or_create(&path),
        Place::Folder(path) => match find(&path)? {
            Some(found) => open_folder(&found),
            None => Err(RemoteError::NotAStore { path }),
        },
        Place::Ssh(ssh) => {
            let (far, made) = Far::connect(Box::new(ssh), Patience::default(), make, told)?;
            behind(Arc::new(far), made)
        }
        Place::Web(url) => {
            let reached = Web::connect(&url, make, lab_web::Patience::default(), told);
            let (web, made) = reached.map_err(|error| web_error(&url, error))?;
            behind(Arc::new(web), made)
        }
        Place::Bucket(location) => bucket(&location, make, told),
    }
}

/// The folder that the store at a location lies in, if it lies in one here: beside it stand what its
/// owner has set, such as what may come in.
pub fn folder_of(location: &str) -> Result<Option<PathBuf>> {
    match place(location)? {
        Place::Folder(path) => find(&path),
        _ => Ok(None),
    }
}

/// The folder of the store at a path, if there is one: the path itself, or `.lab` in it.
pub fn store_in(path: &Path) -> Result<Option<PathBuf>> {
    find(path)
}

/// The store in a folder, for a client who asks from outside, and who is not to have other places
/// reached from here: `make` as in [`open_or_create`].
pub fn open_for_client(path: &Path, make: bool) -> Result<Opened> {
    opened(Place::Folder(path.to_owned()), make, Box::new(|_| {}))
}

/// A location as it may be shown and kept: without what is secret in it.
pub fn shown(location: &str) -> String {
    match place(location) {
        Ok(Place::Web(url)) => lab_web::shown(&url).unwrap_or(url),
        Ok(Place::Bucket(location)) => without_secrets(&location),
        _ => lab_objects::shown(location),
    }
}

/// Whether a location holds what is secret, and so must not be kept.
pub fn has_secret(location: &str) -> bool {
    matches!(place(location), Ok(Place::Web(url)) if lab_web::has_secret(&url))
}

fn web_error(url: &str, error: WebError) -> RemoteError {
    let location = lab_web::shown(url).unwrap_or_default();
    match error {
        WebError::BadLocation(why) => RemoteError::BadLocation { location, why },
        WebError::Unreachable(why) => RemoteError::Unreachable { location, why },
        WebError::NotAStore => RemoteError::NotAStore { path: location.into() },
        WebError::Refused(why) => RemoteError::Refused { location, why },
        WebError::Store(source) => {
            RemoteError::Store { side: Side::Remote, source: Box::new(source) }
        }
        error => RemoteError::Unreachable { location, why: error.to_string() },
    }
}

/// The store behind a backend, which was made just now or is there.
fn behind(backend: Arc<dyn Backend>, made: bool) -> Result<Opened> {
    let open = if made { Store::create } else { Store::open };
    let store = open(Arc::clone(&backend)).on(Side::Remote)?;
    Ok(Opened { backend, store, made, guard: None })
}

fn folder_or_create(path: &Path) -> Result<Opened> {
    if let Some(found) = find(path)? {
        return open_folder(&found);
    }
    if !Folder::is_vacant(path).on(Side::Remote)? {
        return Err(RemoteError::InTheWay { path: path.to_owned() });
    }
    let made = Folder::create(path).and_then(|folder| {
        let folder = Arc::new(folder);
        let store = Store::create(folder.clone())?;
        // So that a web server can hand it out.
        folder.keep_inventory()?;
        Ok(Opened { store, backend: folder, made: true, guard: None })
    });
    made.on(Side::Remote)
}

fn open_folder(path: &Path) -> Result<Opened> {
    let opened = Folder::open(path).and_then(|folder| {
        let backend: Arc<dyn Backend> = Arc::new(folder);
        Ok(Opened { store: Store::open(Arc::clone(&backend))?, backend, made: false, guard: None })
    });
    match opened {
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

/// A place that a location means.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
enum Place {
    Folder(PathBuf),
    Ssh(Ssh),
    /// A URL, which may hold a secret.
    Web(String),
    /// As it was typed.
    Bucket(String),
}

/// The place that a location means.
fn place(location: &str) -> Result<Place> {
    let bad = |why| RemoteError::BadLocation { location: location.to_owned(), why };
    if location.is_empty() {
        return Err(bad("it is empty"));
    }
    if location.contains('\0') {
        return Err(bad("it holds a NUL byte"));
    }
    if let Some((scheme, rest)) = location.split_once("://")
        && is_scheme(scheme)
    {
        return match scheme.to_ascii_lowercase().as_str() {
            "file" => file(rest).map(Place::Folder).map_err(bad),
            "ssh" => ssh_url(location, rest).map(Place::Ssh).map_err(bad),
            "http" | "https" => Ok(Place::Web(location.to_owned())),
            scheme if lab_web::SCHEMES.contains(&scheme) => Ok(Place::Bucket(location.to_owned())),
            scheme => Err(RemoteError::Unsupported {
                scheme: scheme.to_owned(),
                location: location.to_owned(),
            }),
        };
    }
    // `host:path`, as scp and git have it; unless it is there under that very name.
    let head = location.split('/').next().unwrap_or_default();
    if head.contains(':')
        && !Path::new(location).exists()
        && let Some((host, path)) = location.split_once(':')
    {
        return ssh(location, host, None, path).map(Place::Ssh).map_err(bad);
    }
    Ok(Place::Folder(location.into()))
}

/// The path in a `file://` URL.
fn file(rest: &str) -> Result<PathBuf, &'static str> {
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if !path.starts_with('/') {
        return Err("a file URL has three slashes and then an absolute path");
    }
    let bytes = decoded(path)?;
    Ok(OsString::from_vec(bytes).into())
}

fn decoded(text: &str) -> Result<Vec<u8>, &'static str> {
    let bytes = percent_decoded(text).ok_or("a '%' is followed by two digits")?;
    if bytes.contains(&0) { Err("it holds a NUL byte") } else { Ok(bytes) }
}

/// `[user@]host[:port]/path`; `/~/path` begins at the user's home.
fn ssh_url(location: &str, rest: &str) -> Result<Ssh, &'static str> {
    let (host, path) = rest.split_once('/').ok_or("an ssh URL has a host and then a path")?;
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !host.contains('[') || host.ends_with(']') => {
            (host, Some(port.parse().map_err(|_| "a port is a number up to 65535")?))
        }
        _ => (host, None),
    };
    let bytes = decoded(path)?;
    let path = String::from_utf8(bytes).map_err(|_| "a path on another machine is UTF-8")?;
    let path = path.strip_prefix("~/").map_or_else(|| format!("/{path}"), str::to_owned);
    ssh(location, host, port, &path)
}

fn ssh(location: &str, host: &str, port: Option<u16>, path: &str) -> Result<Ssh, &'static str> {
    // ssh would take it for an option, and run what it says.
    if host.is_empty() || host.starts_with('-') {
        return Err("it has no host");
    }
    if path.is_empty() {
        return Err("it has no path");
    }
    let path = path.strip_prefix("~/").unwrap_or(path);
    let (host, path) = (host.to_owned(), path.to_owned());
    Ok(Ssh { host, port, path, location: location.to_owned() })
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

    fn open_it(location: &str) -> Result<Store> {
        open(location, Box::new(|_| {}))
    }

    fn create(location: &str) -> Result<(Store, bool)> {
        open_or_create(location, Box::new(|_| {}))
    }

    #[test]
    fn paths_and_file_urls_are_places() {
        for (location, path) in [
            ("a/b", "a/b"),
            ("/a b", "/a b"),
            ("./x:y", "./x:y"),
            ("file:///a/b", "/a/b"),
            ("FILE://localhost/a%20b%C3%A9", "/a bé"),
        ] {
            assert_eq!(place(location).unwrap(), Place::Folder(path.into()), "{location}");
        }
    }

    #[test]
    fn remotes_to_come_are_refused_by_name() {
        for (location, name) in [("ftp://host/x", "ftp"), ("gopher://x", "gopher")] {
            match place(location) {
                Err(RemoteError::Unsupported { scheme, .. }) => assert_eq!(scheme, name),
                other => panic!("{location}: {other:?}"),
            }
        }
    }

    #[test]
    fn other_machines_are_reached_by_ssh() {
        for (location, host, port, path) in [
            ("ssh://host/x", "host", None, "/x"),
            ("SSH://me@host:2222/a%20b/c", "me@host", Some(2222), "/a b/c"),
            ("ssh://me@host/~/labs", "me@host", None, "labs"),
            ("me@host:x", "me@host", None, "x"),
            ("host:x/y:z", "host", None, "x/y:z"),
            ("host:/srv/lab", "host", None, "/srv/lab"),
            ("host:~/lab", "host", None, "lab"),
        ] {
            let (host, path, location) = (host.to_owned(), path.to_owned(), location.to_owned());
            let expected = Place::Ssh(Ssh { host, port, path, location: location.clone() });
            assert_eq!(place(&location).unwrap(), expected);
        }
    }

    #[test]
    fn buckets_are_places_and_no_secret_in_one_is_shown() {
        for location in ["s3://bucket/x", "GS://b", "az://c/d e"] {
            assert_eq!(place(location).unwrap(), Place::Bucket(location.to_owned()));
        }
        for location in
            ["s3://key:s3cret@bucket/x", "az://c/x?sig=s3cret", "s3://a@s3cret@b#s3cret"]
        {
            let Err(error @ RemoteError::BadLocation { .. }) = open_it(location) else {
                panic!("{location}");
            };
            let said = format!("{error} {error:?} {}", shown(location));
            assert!(!said.contains("s3cret"), "{said}");
        }
    }

    #[test]
    fn what_is_no_location_says_why() {
        for bad in [
            "",
            "file://a/b",
            "file://",
            "file:///%zz",
            "file:///%4",
            "file:///%00",
            "a\0",
            "ssh://host",
            "ssh:///x",
            "ssh://-oProxyCommand=touch/x",
            "-oProxyCommand=touch:x",
            "ssh://host:70000/x",
            "ssh://host/%ff",
            "ssh://host/%00",
            ":x",
            "host:",
        ] {
            assert!(matches!(place(bad), Err(RemoteError::BadLocation { .. })), "{bad:?}");
        }
    }

    #[test]
    fn stores_are_found_made_and_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        assert!(matches!(open_it(&at("absent")), Err(RemoteError::NotAStore { .. })));
        assert!(!folder.path().join("absent").exists());

        assert!(create(&at("new")).unwrap().1);
        assert!(!create(&at("new")).unwrap().1);
        open_it(&format!("file://{}", at("new"))).unwrap();

        fs::create_dir(at("empty")).unwrap();
        assert!(matches!(open_it(&at("empty")), Err(RemoteError::NotAStore { .. })));
        assert!(create(&at("empty")).unwrap().1);

        // As a process leaves it that dies while it makes a store.
        fs::create_dir_all(at("begun/packs")).unwrap();
        fs::create_dir_all(at("begun/tmp")).unwrap();
        fs::write(at("begun/tmp/1-0123456789abcdef"), b"lab").unwrap();
        assert!(create(&at("begun")).unwrap().1);
        fs::remove_file(at("begun/format")).unwrap();
        fs::write(at("begun/names/mnist"), b"x").unwrap();
        assert!(matches!(create(&at("begun")), Err(RemoteError::InTheWay { .. })));

        fs::create_dir(at("work")).unwrap();
        fs::write(at("work/train.py"), b"pass").unwrap();
        assert!(matches!(create(&at("work")), Err(RemoteError::InTheWay { .. })));
        let inside = Folder::create(Path::new(&at("work/.lab"))).unwrap();
        Store::create(Arc::new(inside)).unwrap();
        open_it(&at("work")).unwrap();
        assert!(!create(&at("work")).unwrap().1);

        fs::write(at("file"), b"x").unwrap();
        assert!(matches!(open_it(&at("file")), Err(RemoteError::NotAStore { .. })));
        assert!(matches!(create(&at("file")), Err(RemoteError::InTheWay { .. })));
        assert!(matches!(create(&at("file/x")), Err(RemoteError::InTheWay { .. })));
    }
}
