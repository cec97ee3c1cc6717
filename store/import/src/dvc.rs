//! A project of DVC: `.dvc` files and `dvc.lock` say which files are data and what their MD5 is; the cache
//! holds them under it. A directory is a list, in JSON, under the MD5 of the list.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use lab_schema::{Alias, FileName, Scheme};
use serde::Deserialize;

use crate::digest::has;
use crate::error::{ImportError, Result};
use crate::files::{parts, read, read_text, walk};
use crate::found::{Artifact, Fault, Found, Part, Shape, Source, Tool, relative};
use crate::names::{Names, digest};
use crate::yaml::{self, Node};

mod others;
mod stages;

pub(crate) use stages::typed;

/// Largest file that DVC writes for people.
const MAX_TEXT_BYTES: u64 = 64 << 20;
/// Largest list of a directory: some five million files.
const MAX_LIST_BYTES: u64 = 512 << 20;

/// Whether a folder is the top of a project.
pub(crate) fn is_here(top: &Path) -> bool {
    top.join(".dvc").is_dir()
}

/// What a project declares. With `all`, also the rest of its cache.
pub(crate) fn find(top: &Path, all: bool) -> Result<Found> {
    let mut project = Project {
        top,
        cache: cache_of(top)?,
        found: Found::new(Tool::Dvc),
        names: Names::default(),
        known: HashMap::new(),
    };
    let skipped = |path: &Path| {
        path.file_name().is_some_and(|name| [".git", ".dvc", ".lab"].iter().any(|n| name == *n))
    };
    let mut locks = Vec::new();
    for (path, meta) in walk(top, |folder| !skipped(folder))? {
        if !meta.is_file() {
            continue;
        }
        if path.file_name().is_some_and(|name| name == "dvc.lock") {
            locks.push(path);
        } else if path.extension().is_some_and(|e| e == "dvc") {
            project.tracked(&path)?;
        }
    }
    for path in locks {
        project.locked(&path)?;
    }
    if all {
        project.others()?;
    }
    Ok(project.found)
}

/// Where the cache is: as the configuration says.
fn cache_of(top: &Path) -> Result<PathBuf> {
    let folder = top.join(".dvc");
    let mut cache = folder.join("cache");
    for file in ["config", "config.local"] {
        let path = folder.join(file);
        if !path.exists() {
            continue;
        }
        let mut section = String::new();
        for line in read_text(&path, MAX_TEXT_BYTES)?.lines().map(str::trim) {
            if line.starts_with('[') {
                line.trim_matches(['[', ']']).clone_into(&mut section);
            } else if let Some((key, value)) = line.split_once('=')
                && section == "cache"
                && key.trim() == "dir"
            {
                cache = folder.join(value.trim());
            }
        }
    }
    // It may well lie on another disk.
    Ok(cache.canonicalize().unwrap_or(cache))
}

struct Project<'a> {
    top: &'a Path,
    cache: PathBuf,
    found: Found,
    names: Names,
    /// Artifacts by their paths and digests, so that stages find what they read and left.
    known: HashMap<(String, Alias), usize>,
}

/// A file or directory that a `.dvc` file or a lock speaks of.
#[derive(Clone, Debug)]
struct Out {
    /// From the top of the project.
    path: String,
    digest: Alias,
    is_folder: bool,
    bytes: Option<u64>,
    /// Whether DVC before its version 3 made the digest.
    is_old: bool,
    executable: bool,
    /// The files of a directory, where they stand beside it and not in a list of their own.
    files: Option<Vec<(String, String)>>,
}

/// An entry of a list.
#[derive(Deserialize)]
struct Entry {
    md5: String,
    relpath: String,
}

impl Project<'_> {
    fn bad(path: &Path, why: impl Into<String>) -> ImportError {
        ImportError::Bad { path: path.to_owned(), why: why.into() }
    }

    /// What a `.dvc` file tracks.
    fn tracked(&mut self, path: &Path) -> Result<()> {
        let text = read_text(path, MAX_TEXT_BYTES)?;
        let node = yaml::parse(&text).map_err(|why| Self::bad(path, why))?;
        let shown = relative(self.top, path);
        let folder = relative(self.top, path.parent().unwrap_or(self.top));
        let folder = join(&folder, node.text("wdir").unwrap_or("."));
        for out in node.list("outs") {
            match self.out(folder.as_deref(), out) {
                Ok(out) => drop(self.artifact(path, &out)?),
                Err(why) => self.found.left_out.push(format!("an entry of {shown}: {why}")),
            }
        }
        if !node.list("deps").is_empty() {
            self.found.left_out.push(format!("where {shown} was fetched from, as it says itself"));
        }
        Ok(())
    }

    /// An entry, or why it cannot be imported.
    fn out(&self, folder: Option<&str>, node: &Node) -> std::result::Result<Out, String> {
        let path = node.text("path").ok_or("it names no path")?;
        if path.contains("://") || path.starts_with('/') {
            return Err(format!("'{}' lies outside the project", path.escape_debug()));
        }
        let path = folder
            .and_then(|folder| join(folder, path))
            .filter(|path| path != ".")
            .ok_or_else(|| format!("'{}' lies outside the project", path.escape_debug()))?;
        parts(&path)?;
        let files = node.get("files").map(|_| {
            let file = |entry: &Node| {
                let text = |key| entry.text(key).map(str::to_owned);
                Some((text("relpath")?, text("md5")?))
            };
            node.list("files").iter().map(file).collect::<Option<Vec<_>>>()
        });
        let files = match files {
            Some(None) => return Err(format!("'{path}': a file in it has no md5")),
            Some(Some(files)) => Some(files),
            None => None,
        };
        let Some(md5) = node.text("md5") else {
            return Err(format!("'{path}' has no md5: it was never committed, or lies elsewhere"));
        };
        let (digits, is_folder) = match md5.strip_suffix(".dir") {
            Some(digits) => (digits, true),
            None => (md5, false),
        };
        let digest = digest(Scheme::Md5, digits)
            .ok_or_else(|| format!("'{path}': '{}' is no md5", md5.escape_debug()))?;
        Ok(Out {
            path,
            digest,
            is_folder,
            bytes: node.number("size").filter(|_| !is_folder),
            is_old: node.text("hash") != Some("md5"),
            executable: node.text("isexec") == Some("true"),
            files,
        })
    }

    /// Where the cache has a digest, and its size; none if it has not.
    fn cached(&self, digest: Alias, is_list: bool, is_old: bool) -> Option<(PathBuf, u64)> {
        let text = digest.to_string();
        let digits = text.strip_prefix("md5:")?;
        let name = format!("{}{}", &digits[2..], if is_list { ".dir" } else { "" });
        let below = Path::new(&digits[..2]).join(name);
        let mut places = [self.cache.join("files/md5").join(&below), self.cache.join(&below)];
        if is_old {
            places.reverse();
        }
        places.into_iter().find_map(regular)
    }

    /// The file with this digest: the cache's, or what lies at `path` in the project, if it turns out to
    /// have it; or what is missing.
    fn file(&mut self, path: &str, out: &Out, digest: Alias) -> std::result::Result<usize, Fault> {
        let cached = self.cached(digest, false, out.is_old);
        let in_use = cached.is_none();
        let found = cached.or_else(|| regular(self.top.join(path)));
        // What says how large it should be is believed to say that it is another file.
        let told = out.bytes.filter(|_| !out.is_folder && !out.is_old);
        match found {
            Some((path, bytes)) if !in_use || told.is_none_or(|told| told == bytes) => {
                Ok(self.found.source(Source {
                    path,
                    claim: Some(digest),
                    bytes: Some(bytes),
                    unix: out.is_old,
                    in_use,
                    executable: Some(out.executable),
                }))
            }
            _ => Err(Fault {
                what: path.to_owned(),
                why: format!("{digest} is not in the cache"),
                is_damage: false,
            }),
        }
    }

    /// Adds what an entry declares, once; its number.
    fn artifact(&mut self, declared_in: &Path, out: &Out) -> Result<usize> {
        if let Some(number) = self.known.get(&(out.path.clone(), out.digest)) {
            return Ok(*number);
        }
        let mut artifact = Artifact {
            names: vec![self.names.take(&out.path, &start(out.digest))],
            origin: out.path.clone(),
            is_model: false,
            shape: Shape::Folder(Vec::new()),
            known_as: Vec::new(),
            must_be_whole: true,
            faults: Vec::new(),
        };
        if out.is_folder {
            artifact.known_as.push(out.digest);
            self.folder(declared_in, out, &mut artifact)?;
        } else {
            match self.file(&out.path, out, out.digest) {
                Ok(number) => artifact.shape = Shape::File(number),
                Err(fault) => artifact.faults.push(fault),
            }
        }
        self.found.artifacts.push(artifact);
        let number = self.found.artifacts.len() - 1;
        self.known.insert((out.path.clone(), out.digest), number);
        Ok(number)
    }

    /// The files of a directory.
    fn folder(&mut self, declared_in: &Path, out: &Out, artifact: &mut Artifact) -> Result<()> {
        let (entries, at) = match (&out.files, self.cached(out.digest, true, out.is_old)) {
            (Some(files), _) => (files.clone(), declared_in.to_owned()),
            (None, Some((path, _))) => {
                let bytes = read(&path, MAX_LIST_BYTES)?;
                if let Err(other) = has(out.digest, &bytes) {
                    let what = relative(self.top, &path);
                    let why = format!("damaged: the list of {} has {other}", out.path);
                    artifact.faults.push(Fault { what, why, is_damage: true });
                    return Ok(());
                }
                let entries: Vec<Entry> = serde_json::from_slice(&bytes).map_err(|error| {
                    Self::bad(&path, format!("it is no list of a directory: {error}"))
                })?;
                (entries.into_iter().map(|e| (e.relpath, e.md5)).collect(), path)
            }
            (None, None) => {
                let what = out.path.clone();
                let why = format!("its list, {}.dir, is not in the cache", out.digest);
                artifact.faults.push(Fault { what, why, is_damage: false });
                return Ok(());
            }
        };
        let mut files: Vec<(Vec<FileName>, usize)> = Vec::with_capacity(entries.len());
        for (path, md5) in entries {
            let parts = parts(&path).map_err(|why| Self::bad(&at, why))?;
            let digest = digest(Scheme::Md5, &md5)
                .ok_or_else(|| Self::bad(&at, format!("'{}' is no md5", md5.escape_debug())))?;
            match self.file(&format!("{}/{path}", out.path), out, digest) {
                Ok(number) => files.push((parts, number)),
                Err(fault) => artifact.faults.push(fault),
            }
        }
        artifact.shape = Shape::Folder(files);
        Ok(())
    }

    /// What a stage read or left, or what is missing of it.
    fn part(&mut self, declared_in: &Path, out: &Out) -> Result<std::result::Result<Part, Fault>> {
        if !out.is_folder && !self.known.contains_key(&(out.path.clone(), out.digest)) {
            return Ok(self.file(&out.path, out, out.digest).map(Part::File));
        }
        let number = self.artifact(declared_in, out)?;
        let fault = self.found.artifacts[number].faults.first().cloned();
        Ok(fault.map_or(Ok(Part::Artifact(number)), Err))
    }
}

/// A path below a folder, both from the top, without `.` and `..`; none if it leads out.
fn join(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
}

fn start(digest: Alias) -> String {
    crate::names::start_of(&digest)
}

/// A regular file with its size.
fn regular(path: PathBuf) -> Option<(PathBuf, u64)> {
    let meta = fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file)?;
    Some((path, meta.len()))
}
