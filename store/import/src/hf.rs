//! The cache folder of Hugging Face's hub: files lie under what the hub called them (the id of git's blob, or
//! for large files their SHA-256), and a snapshot of a commit is a folder of links to them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lab_schema::{Alias, Scheme};

use crate::error::{ImportError, Result};
use crate::files::{is_folder, list, parts_below, read_text, walk};
use crate::found::{Artifact, Fault, Found, Shape, Source, Tool, relative};
use crate::names::{Names, digest, start_of};

/// A ref holds the id of a commit.
const MAX_REF_BYTES: u64 = 1024;

/// Whether a folder is a cache, or one repository of a cache.
pub(crate) fn is_here(top: &Path) -> bool {
    kind(top).is_some() && top.join("snapshots").is_dir()
        || list(top)
            .is_ok_and(|all| all.iter().any(|f| kind(f).is_some() && f.join("snapshots").is_dir()))
}

/// What a folder of the cache is of: its kind, and `org/name`.
fn kind(folder: &Path) -> Option<(&'static str, String)> {
    let name = folder.file_name()?.to_str()?;
    ["models", "datasets", "spaces"].into_iter().find_map(|kind| {
        let rest = name.strip_prefix(kind)?.strip_prefix("--").filter(|rest| !rest.is_empty())?;
        Some((kind, rest.replace("--", "/")))
    })
}

/// The snapshots of all repositories, or of one.
pub(crate) fn find(top: &Path) -> Result<Found> {
    let mut found = Found::new(Tool::HuggingFace);
    let mut names = Names::default();
    let repositories = if kind(top).is_some() { vec![top.to_owned()] } else { list(top)? };
    for folder in repositories {
        if kind(&folder).is_some() && !is_folder(&folder) {
            found.left_out.push(format!("{}: it is a link", relative(top, &folder)));
        } else if let Some((kind, title)) =
            kind(&folder).filter(|_| is_folder(&folder.join("snapshots")))
        {
            repository(&folder, kind, &title, &mut found, &mut names)?;
        }
    }
    if found.is_empty() {
        let wanted = "cache folder of Hugging Face: it holds no snapshots";
        return Err(ImportError::NotFound { path: top.to_owned(), wanted });
    }
    Ok(found)
}

fn repository(
    folder: &Path,
    kind: &str,
    title: &str,
    found: &mut Found,
    names: &mut Names,
) -> Result<()> {
    let mut refs: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, meta) in walk(&folder.join("refs"), |_| true)? {
        if meta.is_file() {
            let commit = read_text(&path, MAX_REF_BYTES)?.trim().to_owned();
            refs.entry(commit).or_default().push(relative(&folder.join("refs"), &path));
        }
    }
    let snapshots = folder.join("snapshots");
    for snapshot in list(&snapshots)? {
        let commit = relative(&snapshots, &snapshot);
        if !is_folder(&snapshot) {
            found.left_out.push(format!("{title}: {commit} is no folder"));
            continue;
        }
        let mut artifact = Artifact {
            names: Vec::new(),
            origin: format!("{title}@{commit}"),
            is_model: kind == "models",
            shape: Shape::Folder(Vec::new()),
            known_as: digest(Scheme::Git, &commit).into_iter().collect(),
            must_be_whole: true,
            faults: Vec::new(),
        };
        let mut files = Vec::new();
        for (path, meta) in walk(&snapshot, |_| true)? {
            match source(folder, &path, &meta) {
                Ok(new) => files.push((parts_below(&snapshot, &path)?, found.source(new))),
                Err((why, is_damage)) => {
                    let what = format!("{}/{}", artifact.origin, relative(&snapshot, &path));
                    artifact.faults.push(Fault { what, why, is_damage });
                }
            }
        }
        if files.is_empty() && artifact.faults.is_empty() {
            found.left_out.push(format!("{}, of which nothing was downloaded", artifact.origin));
            continue;
        }
        artifact.shape = Shape::Folder(files);
        let mut called = refs.get(&commit).cloned().unwrap_or_default();
        called.sort_by_key(|name| name != "main");
        for name in called {
            let text = if name == "main" { title.to_owned() } else { format!("{title}.{name}") };
            artifact.names.push(names.take(&text, kind));
        }
        if artifact.names.is_empty() {
            let start = artifact.known_as.first().map_or(commit.clone(), start_of);
            artifact.names.push(names.take(&format!("{title}.{start}"), kind));
        }
        found.artifacts.push(artifact);
    }
    Ok(())
}

/// A file of a snapshot; or what is wrong with it, and whether that is more than its absence. A link is
/// followed to a file of this cache and nowhere else.
fn source(
    folder: &Path,
    path: &Path,
    meta: &fs::Metadata,
) -> std::result::Result<Source, (String, bool)> {
    if meta.is_file() {
        // Where links cannot be made the hub's library copies; nothing says what is in such a file.
        let bytes = Some(meta.len());
        let (claim, unix, in_use, executable) = (None, false, false, Some(false));
        return Ok(Source { path: path.to_owned(), claim, bytes, unix, in_use, executable });
    }
    if !meta.is_symlink() {
        return Err(("it is neither a file nor a link".to_owned(), true));
    }
    let escapes = || ("its link leads out of the cache".to_owned(), true);
    let target = fs::read_link(path).map_err(|error| (error.to_string(), true))?;
    let blob = plain(&path.parent().unwrap_or(path).join(target)).ok_or_else(escapes)?;
    if blob.parent() != Some(&folder.join("blobs")) {
        return Err(escapes());
    }
    let name = blob.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let real = match fs::canonicalize(&blob) {
        Ok(real) => real,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err((format!("blob {name} is not in the cache"), false));
        }
        Err(error) => return Err((error.to_string(), true)),
    };
    // Files that several repositories share lie beside them.
    let shared = folder.parent().map(|cache| cache.join("blobs"));
    if real != blob && !shared.is_some_and(|shared| real.starts_with(shared)) {
        return Err(escapes());
    }
    let meta = fs::symlink_metadata(&real).map_err(|error| (error.to_string(), true))?;
    if !meta.is_file() {
        return Err((format!("blob {name} is no file"), true));
    }
    Ok(Source {
        path: real,
        claim: claim(&name),
        bytes: Some(meta.len()),
        unix: false,
        in_use: false,
        executable: Some(false),
    })
}

/// The digest that a blob is called by; none where the hub called it otherwise.
fn claim(name: &str) -> Option<Alias> {
    digest(Scheme::Git, name).or_else(|| digest(Scheme::Sha256, name))
}

/// A path without `.` and `..`, by its words alone; none if it leads above the root.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                if !plain.pop() {
                    return None;
                }
            }
            std::path::Component::CurDir => {}
            part => plain.push(part),
        }
    }
    Some(plain)
}
