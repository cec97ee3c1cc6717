//! What was left out of a store on purpose, and who has it.
//!
//! A pull of a part brings every record whole (runs, recipes, attestations, directories) and leaves
//! the contents of some files where they are. What was left is *promised*: it is noted, before
//! anything is pulled, in a file of `promised/` beside the store, with its size and the place that has it.
//! So what is promised is told from what is lost, and can be fetched when somebody needs it.
//!
//! ```text
//! file  = "lab promise 1" LF "from " location LF line ... checksum LF
//! line  = id of a blob SPACE bytes LF          sorted by id, none twice
//! ```
//!
//! The checksum covers all before it and is the name of the file: a file that was changed or cut off
//! promises nothing, and what it promised counts as lost until it is pulled again. Something that has
//! come is promised no more, so that its loss is noticed later.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lab_schema::{BlobId, Digest};

use crate::atomic;
use crate::error::{At, ObjectsError, Result, Unkept};

const HEAD: &str = "lab promise 1\nfrom ";
/// A larger file is none: it would promise fifty million files.
const MAX_BYTES: u64 = 4 << 30;

/// Brings what is promised.
pub trait Bring: Send + Sync + fmt::Debug {
    /// Stores these blobs, which are promised and not here; they are durable on return. Fails with
    /// [`ObjectsError::Promised`] for one that does not come.
    fn bring(&self, blobs: &[BlobId]) -> Result<()>;

    /// Bytes of a promised blob of so many bytes, of which `range` is a part, without storing any of
    /// it. Each chunk is verified, the whole is not.
    fn read_range(&self, blob: BlobId, range: Range<u64>) -> Result<Vec<u8>>;
}

/// Brings nothing: fetching is switched off.
#[derive(Debug)]
pub struct Offline(pub Arc<Promises>);

impl Bring for Offline {
    fn bring(&self, blobs: &[BlobId]) -> Result<()> {
        blobs.first().map_or(Ok(()), |blob| Err(self.0.unkept(*blob, Unkept::Offline)))
    }

    fn read_range(&self, blob: BlobId, _: Range<u64>) -> Result<Vec<u8>> {
        Err(self.0.unkept(blob, Unkept::Offline))
    }
}

/// A file that says what a place has.
#[derive(Debug)]
struct Promise {
    name: String,
    from: String,
    /// With their sizes, sorted.
    blobs: Vec<(BlobId, u64)>,
}

/// What was left out of a store. Read when it is first asked for.
#[derive(Debug)]
pub struct Promises {
    /// `promised/` in the store's folder, and where files are on their way to it.
    folder: PathBuf,
    temporary: PathBuf,
    read: Mutex<Option<Vec<Promise>>>,
}

impl Promises {
    /// Where they are noted.
    pub(crate) fn folder(root: &Path) -> PathBuf {
        root.join("promised")
    }

    /// Those of the store in `root`.
    pub fn of(root: &Path) -> Promises {
        let (folder, temporary) = (Promises::folder(root), root.join("tmp"));
        Promises { folder, temporary, read: Mutex::default() }
    }

    /// Notes that `from` has these blobs, with their sizes in bytes. Durable on return.
    pub fn add(&self, from: &str, blobs: &[(BlobId, u64)]) -> Result<()> {
        if blobs.is_empty() {
            return Ok(());
        }
        let mut read = self.read()?;
        let promise = self.write(from, blobs.to_vec())?;
        let all = read.get_or_insert_default();
        all.retain(|other| other.name != promise.name);
        all.push(promise);
        Ok(())
    }

    /// Notes that these have come: what they are worth is no longer that somebody else has them.
    pub fn came(&self, blobs: &[BlobId]) -> Result<()> {
        let mut read = self.read()?;
        let mut sorted = blobs.to_vec();
        sorted.sort_unstable();
        // What is on disk counts, should any of this fail.
        let before = read.take().unwrap_or_default();
        let mut all = Vec::new();
        for promise in before {
            let came = |blob: &(BlobId, u64)| sorted.binary_search(&blob.0).is_ok();
            if !promise.blobs.iter().any(came) {
                all.push(promise);
                continue;
            }
            let left: Vec<_> = promise.blobs.iter().filter(|blob| !came(blob)).copied().collect();
            // The new file first: whoever dies between the two has promised too much.
            if !left.is_empty() {
                all.push(self.write(&promise.from, left)?);
            }
            atomic::remove(&self.folder.join(&promise.name))?;
        }
        *read = Some(all);
        Ok(())
    }

    /// The size in bytes of a blob that is promised; none if it is not.
    pub fn size(&self, blob: BlobId) -> Result<Option<u64>> {
        let read = self.read()?;
        Ok(read.iter().flatten().find_map(|promise| promise.size(blob)))
    }

    /// Who promised a blob, the last first.
    pub fn places(&self, blob: BlobId) -> Result<Vec<String>> {
        let read = self.read()?;
        let places = read.iter().flatten().rev().filter(|promise| promise.size(blob).is_some());
        let mut all: Vec<String> = Vec::new();
        for promise in places {
            if !all.contains(&promise.from) {
                all.push(promise.from.clone());
            }
        }
        Ok(all)
    }

    /// The error for a promised blob that did not come.
    pub fn unkept(&self, blob: BlobId, why: Unkept) -> ObjectsError {
        let told = || Ok::<_, ObjectsError>((self.places(blob)?, self.size(blob)?));
        match told() {
            Ok((places, bytes)) => ObjectsError::Promised {
                id: blob.into(),
                bytes: bytes.unwrap_or(0),
                from: places.first().map_or_else(String::new, |place| shown(place)),
                why,
            },
            Err(error) => error,
        }
    }

    /// Files here that promise nothing, since they are damaged.
    pub fn damaged(&self) -> Result<Vec<PathBuf>> {
        let good: Vec<String> = self.read()?.iter().flatten().map(|p| p.name.clone()).collect();
        let bad = |name: &String| !good.contains(name);
        Ok(self.listed()?.into_iter().filter(bad).map(|name| self.folder.join(name)).collect())
    }

    fn listed(&self) -> Result<Vec<String>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.at("list", &self.folder)?,
        };
        let mut files = Vec::new();
        for entry in entries {
            let entry = entry.at("list", &self.folder)?;
            if let Ok(name) = entry.file_name().into_string()
                && name.parse::<Digest>().is_ok()
            {
                let path = entry.path();
                let when = match fs::metadata(&path) {
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    meta => meta.and_then(|meta| meta.modified()).at("inspect", &path)?,
                };
                files.push((when, name));
            }
        }
        files.sort();
        Ok(files.into_iter().map(|(_, name)| name).collect())
    }

    fn read(&self) -> Result<MutexGuard<'_, Option<Vec<Promise>>>> {
        // It is replaced as a whole.
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.is_none() {
            let mut all = Vec::new();
            for name in self.listed()? {
                let path = self.folder.join(&name);
                let text = match fs::metadata(&path) {
                    Ok(meta) if meta.len() > MAX_BYTES => continue,
                    _ => fs::read_to_string(&path),
                };
                match text {
                    Ok(text) => all.extend(Promise::parse(&name, &text)),
                    // Somebody has just replaced it; or it is no text, and so promises nothing.
                    Err(e) if [ErrorKind::NotFound, ErrorKind::InvalidData].contains(&e.kind()) => {
                    }
                    Err(error) => return Err(error).at("read", &path),
                }
            }
            *read = Some(all);
        }
        Ok(read)
    }

    fn write(&self, from: &str, mut blobs: Vec<(BlobId, u64)>) -> Result<Promise> {
        blobs.sort_unstable();
        blobs.dedup_by_key(|(blob, _)| *blob);
        let promise = Promise { name: String::new(), from: from.to_owned(), blobs };
        let (name, text) = promise.text();
        atomic::create_folder(&self.folder)?;
        atomic::create_folder(&self.temporary)?;
        atomic::write(&self.temporary, &self.folder.join(&name), text.as_bytes())?;
        Ok(Promise { name, ..promise })
    }
}

/// A location without what nobody else needs to know: what a URL says before the host and after a
/// question mark may be a secret.
pub fn shown(location: &str) -> String {
    let Some((scheme, rest)) = location.split_once("://") else { return location.to_owned() };
    let (rest, secret) = rest.split_once('?').map_or((rest, ""), |(rest, _)| (rest, "?…"));
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = match host.rsplit_once('@') {
        // The name of an account on a host is none.
        Some((user, host)) if scheme.eq_ignore_ascii_case("ssh") => {
            format!("{}@{host}", user.split(':').next().unwrap_or_default())
        }
        Some((_, host)) => format!("…@{host}"),
        None => host.to_owned(),
    };
    format!("{scheme}://{host}{path}{secret}")
}

fn checksum(text: &str) -> String {
    Digest::derive("lab 2026-11-30 store promise", text.as_bytes()).to_string()
}

impl Promise {
    fn size(&self, blob: BlobId) -> Option<u64> {
        let at = self.blobs.binary_search_by_key(&blob, |(blob, _)| *blob).ok()?;
        Some(self.blobs[at].1)
    }

    /// The name and the text of its file.
    fn text(&self) -> (String, String) {
        // A location on one line, whatever is in it.
        let from = self.from.replace('\\', "\\\\").replace('\n', "\\n");
        let mut text = format!("{HEAD}{from}\n");
        for (blob, bytes) in &self.blobs {
            text.push_str(&format!("{blob} {bytes}\n"));
        }
        let checksum = checksum(&text);
        text.push_str(&checksum);
        text.push('\n');
        (checksum, text)
    }

    /// None: it is not what was written under this name.
    fn parse(name: &str, text: &str) -> Option<Promise> {
        let body = text.strip_suffix('\n')?.strip_suffix(name)?;
        if checksum(body) != name {
            return None;
        }
        let (from, lines) = body.strip_prefix(HEAD)?.split_once('\n')?;
        let mut parts = from.split("\\\\").map(|part| part.replace("\\n", "\n"));
        let first = parts.next().unwrap_or_default();
        let from = parts.fold(first, |all, part| all + "\\" + &part);
        let line = |line: &str| {
            let (blob, bytes) = line.split_once(' ')?;
            Some((blob.parse().ok()?, bytes.parse().ok()?))
        };
        let blobs: Vec<(BlobId, u64)> = lines.lines().map(line).collect::<Option<_>>()?;
        let sorted = blobs.is_sorted_by(|a, b| a.0 < b.0);
        sorted.then(|| Promise { name: name.to_owned(), from, blobs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(text: &str) -> BlobId {
        BlobId::of(text.as_bytes())
    }

    #[test]
    fn what_is_promised_is_found_until_it_has_come() {
        let folder = tempfile::tempdir().unwrap();
        let here = || Promises::of(folder.path());
        assert_eq!(here().size(blob("a")).unwrap(), None);
        let promises = here();
        promises.add("one", &[(blob("b"), 2), (blob("a"), 1)]).unwrap();
        promises.add("t\\no\n", &[(blob("a"), 1), (blob("c"), 3)]).unwrap();
        for promises in [promises, here()] {
            assert_eq!(promises.size(blob("b")).unwrap(), Some(2));
            assert_eq!(promises.places(blob("c")).unwrap(), ["t\\no\n"]);
            assert_eq!(promises.places(blob("a")).unwrap().len(), 2);
            assert_eq!(promises.size(blob("d")).unwrap(), None);
        }
        let promises = here();
        promises.came(&[blob("a"), blob("b"), blob("x")]).unwrap();
        for promises in [promises, here()] {
            assert_eq!(promises.size(blob("a")).unwrap(), None);
            assert_eq!(promises.size(blob("c")).unwrap(), Some(3));
        }
        here().came(&[blob("c")]).unwrap();
        assert_eq!(fs::read_dir(folder.path().join("promised")).unwrap().count(), 0);
        // The same once more.
        here().add("one", &[(blob("a"), 1)]).unwrap();
        assert_eq!(here().size(blob("a")).unwrap(), Some(1));
    }

    #[test]
    fn secrets_are_not_shown() {
        for (location, text) in [
            ("/srv/a@b?c", "/srv/a@b?c"),
            ("ssh://me@host/x", "ssh://me@host/x"),
            ("ssh://me:word@host/x", "ssh://me@host/x"),
            ("https://me:word@host/x?token=1", "https://…@host/x?…"),
            ("https://host?word", "https://host?…"),
            ("s3://bucket/a@b", "s3://bucket/a@b"),
        ] {
            assert_eq!(shown(location), text);
        }
    }

    // proves L-38
    #[test]
    fn a_promise_in_which_anything_is_changed_promises_nothing() {
        let folder = tempfile::tempdir().unwrap();
        Promises::of(folder.path()).add("one", &[(blob("a"), 1), (blob("b"), 20)]).unwrap();
        let path = fs::read_dir(folder.path().join("promised")).unwrap().next().unwrap();
        let path = path.unwrap().path();
        let text = fs::read(&path).unwrap();
        for at in 0..text.len() {
            let mut changed = text.clone();
            changed[at] ^= 1;
            let cut = text[..at].to_vec();
            for other in [changed, cut] {
                fs::write(&path, other).unwrap();
                let promises = Promises::of(folder.path());
                assert_eq!(promises.size(blob("a")).unwrap(), None, "{at}");
                assert_eq!(promises.damaged().unwrap(), std::slice::from_ref(&path));
            }
        }
        fs::write(&path, &text).unwrap();
        assert_eq!(Promises::of(folder.path()).size(blob("a")).unwrap(), Some(1));
    }
}
