//! A git repository with git-lfs: where a large file would be, git keeps a few lines with its SHA-256, and the
//! file lies in a folder of git's, under that.
//!
//! Git itself is not asked: which files of the work tree are large ones is seen by the pointers that were not
//! replaced, and by files that have the SHA-256 of an object.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use lab_schema::{Alias, FileName, Scheme};
use sha2::{Digest, Sha256};

use crate::error::{At, ImportError, Result};
use crate::files::{parts_below, read, read_text, walk};
use crate::found::{Artifact, Fault, Found, Shape, Source, Tool, relative};
use crate::names::{Names, digest};

/// No pointer is larger.
const MAX_POINTER_BYTES: u64 = 1024;

/// Whether a folder is the top of a repository that has such objects.
pub(crate) fn is_here(top: &Path) -> bool {
    objects_of(top).is_ok_and(|folder| folder.is_some_and(|folder| folder.is_dir()))
        || (top.join(".git").exists()
            && std::fs::read_to_string(top.join(".gitattributes"))
                .is_ok_and(|text| text.contains("filter=lfs")))
}

/// The large files of the work tree. With `all`, also the other objects.
pub(crate) fn find(top: &Path, all: bool) -> Result<Found> {
    let Some(folder) = objects_of(top)? else {
        let wanted = "git repository: it has no .git";
        return Err(ImportError::NotFound { path: top.to_owned(), wanted });
    };
    let objects = objects(&folder)?;
    let sizes: BTreeSet<u64> = objects.values().map(|(_, bytes)| *bytes).collect();
    let mut found = Found::new(Tool::Lfs);
    let (mut files, mut faults, mut used) = (Vec::new(), Vec::new(), BTreeSet::new());
    let skipped = |path: &Path| {
        path.join(".git").exists()
            || path.file_name().is_some_and(|name| name == ".git" || name == ".lab")
    };
    for (path, meta) in walk(top, |folder| !skipped(folder))? {
        if !meta.is_file() {
            continue;
        }
        let executable = meta.permissions().mode() & 0o100 != 0;
        let pointer = match meta.len() {
            0 | MAX_POINTER_BYTES.. => None,
            _ => pointer(&read(&path, MAX_POINTER_BYTES)?),
        };
        let claim = match pointer {
            Some(Ok((claim, bytes))) => match objects.get(&claim) {
                Some((_, there)) if *there != bytes => {
                    let why = format!("damaged: {claim} has {there} bytes, not {bytes}");
                    faults.push(Fault { what: relative(top, &path), why, is_damage: true });
                    continue;
                }
                Some(_) => claim,
                None => {
                    let why = format!("{claim} is not in .git/lfs");
                    faults.push(Fault { what: relative(top, &path), why, is_damage: false });
                    continue;
                }
            },
            Some(Err(why)) => {
                faults.push(Fault { what: relative(top, &path), why, is_damage: true });
                continue;
            }
            None if sizes.contains(&meta.len()) => match sha256(&path)? {
                claim if objects.contains_key(&claim) => claim,
                _ => continue,
            },
            None => continue,
        };
        let (object, bytes) = objects[&claim].clone();
        used.insert(claim);
        // One object may be executable at one path and not at another.
        let number = found.sources.len();
        found.sources.push(source(object, claim, bytes, executable));
        files.push((parts_below(top, &path)?, number));
    }
    let title = top.file_name().map_or("lfs".into(), |name| name.to_string_lossy());
    let mut names = Names::default();
    let mut add = |text: &str, origin: &str, files: Vec<(Vec<FileName>, usize)>, faults| {
        found.artifacts.push(Artifact {
            names: vec![names.take(text, "lfs")],
            origin: origin.to_owned(),
            is_model: false,
            shape: Shape::Folder(files),
            known_as: Vec::new(),
            must_be_whole: false,
            faults,
        });
    };
    if !files.is_empty() || !faults.is_empty() {
        add(&title, &title, files, faults);
    }
    let others: Vec<_> = objects.into_iter().filter(|(claim, _)| !used.contains(claim)).collect();
    if all && !others.is_empty() {
        let mut files = Vec::new();
        let first = found.sources.len();
        for (at, (claim, (path, bytes))) in others.into_iter().enumerate() {
            let name = claim.to_string().replace("sha256:", "");
            files.push((vec![FileName::new(name)?], first + at));
            found.sources.push(source(path, claim, bytes, false));
        }
        found.artifacts.push(Artifact {
            names: vec![names.take(&format!("{title}.others"), "lfs")],
            origin: format!("{title}, objects of other commits"),
            is_model: false,
            shape: Shape::Folder(files),
            known_as: Vec::new(),
            must_be_whole: false,
            faults: Vec::new(),
        });
    } else if !others.is_empty() {
        let count = others.len();
        found.left_out.push(format!(
            "objects that no file in the work tree has: {count} (`--all` brings them)"
        ));
    }
    Ok(found)
}

fn source(path: PathBuf, claim: Alias, bytes: u64, executable: bool) -> Source {
    let (claim, bytes, executable) = (Some(claim), Some(bytes), Some(executable));
    Source { path, claim, bytes, unix: false, in_use: false, executable }
}

/// Where a repository keeps its objects; none if it is none.
fn objects_of(top: &Path) -> Result<Option<PathBuf>> {
    let git = top.join(".git");
    if git.is_dir() {
        return Ok(Some(git.join("lfs/objects")));
    }
    if !git.is_file() {
        return Ok(None);
    }
    // A second work tree, or a submodule.
    let text = read_text(&git, MAX_POINTER_BYTES * 8)?;
    let Some(folder) = text.trim().strip_prefix("gitdir:") else { return Ok(None) };
    let folder = top.join(folder.trim());
    let common = folder.join("commondir");
    let folder = match common.is_file() {
        true => folder.join(read_text(&common, MAX_POINTER_BYTES * 8)?.trim()),
        false => folder,
    };
    Ok(Some(folder.join("lfs/objects")))
}

/// All objects with their sizes, by digest.
fn objects(folder: &Path) -> Result<BTreeMap<Alias, (PathBuf, u64)>> {
    let mut all = BTreeMap::new();
    // It may well lie on another disk.
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    for (path, meta) in walk(&folder, |_| true)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if let Some(claim) = digest(Scheme::Sha256, &name).filter(|_| meta.is_file()) {
            all.insert(claim, (path, meta.len()));
        }
    }
    Ok(all)
}

/// What a pointer says, or what is wrong with it; none if it is no pointer.
fn pointer(bytes: &[u8]) -> Option<std::result::Result<(Alias, u64), String>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.lines();
    let version = lines.next()?.strip_prefix("version https://")?;
    if !["git-lfs.github.com/spec/v1", "hawser.github.com/spec/v1"].contains(&version) {
        return None;
    }
    let values: HashMap<&str, &str> = lines.filter_map(|line| line.split_once(' ')).collect();
    let oid = values.get("oid").and_then(|oid| oid.strip_prefix("sha256:"));
    let claim = oid.and_then(|digits| digest(Scheme::Sha256, digits));
    let bytes = values.get("size").and_then(|size| size.parse().ok());
    Some(match (claim, bytes) {
        (Some(claim), Some(bytes)) => Ok((claim, bytes)),
        (None, _) => Err("damaged: its pointer has no sha256".to_owned()),
        (_, None) => Err("damaged: its pointer has no size".to_owned()),
    })
}

fn sha256(path: &Path) -> Result<Alias> {
    let (mut file, mut hasher) = (File::open(path).at("open", path)?, Sha256::new());
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer).at("read", path)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    let digest = Alias::new(Scheme::Sha256, &hasher.finalize());
    Ok(digest.expect("SHA-256 has as many bytes as its scheme says"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_told_from_other_files() {
        let oid = "9cb7487000bc86ac36ce83c4acfabe8878552be99572a6770f65ab1d048a5c48";
        let good =
            format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 11\n");
        assert_eq!(pointer(good.as_bytes()).unwrap().unwrap().1, 11);
        for (from, to) in [("size 11", "size -1"), ("size 11", ""), (oid, "abc"), ("oid", "old")] {
            assert!(pointer(good.replace(from, to).as_bytes()).unwrap().is_err(), "{to}");
        }
        for other in ["", "version 1\n", "oid sha256:0\n", "version https://example.org/\n"] {
            assert!(pointer(other.as_bytes()).is_none(), "{other}");
        }
    }
}
