//! Other people's folders: read within bounds, and never out of them.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use lab_schema::{FileName, SchemaError};

use crate::error::{At, ImportError, Result};

/// Most entries of all folders that are looked at.
const MAX_ENTRIES: usize = 10_000_000;
/// How deep folders are followed.
const MAX_DEPTH: usize = 128;
/// Most parts of a path.
const MAX_PARTS: usize = 256;

/// The bytes of a small file; refuses larger ones before reading them.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = File::open(path).at("open", path)?;
    let meta = file.metadata().at("inspect", path)?;
    if !meta.is_file() {
        let why = "it is not a regular file".to_owned();
        return Err(ImportError::Bad { path: path.to_owned(), why });
    }
    let mut bytes = Vec::new();
    (&file).take(limit + 1).read_to_end(&mut bytes).at("read", path)?;
    if bytes.len() as u64 > limit {
        let bytes = meta.len().max(limit + 1);
        return Err(ImportError::TooLarge { path: path.to_owned(), bytes, limit });
    }
    Ok(bytes)
}

/// The same, as text.
pub(crate) fn read_text(path: &Path, limit: u64) -> Result<String> {
    String::from_utf8(read(path, limit)?).map_err(|_| ImportError::Bad {
        path: path.to_owned(),
        why: "it is not text in UTF-8".to_owned(),
    })
}

/// Whether it is a folder itself, and no link to one: who leads a link out of what is imported would have
/// anything imported.
pub(crate) fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

/// The entries of a folder, sorted; none if it is not there.
pub(crate) fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).at("list", folder),
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.at("list", folder)?.path());
        if paths.len() > MAX_ENTRIES {
            let (path, what, limit) = (folder.to_owned(), "entries", MAX_ENTRIES);
            return Err(ImportError::TooMany { path, what, limit });
        }
    }
    paths.sort();
    Ok(paths)
}

/// All files and links below a folder, sorted, with what they are; nothing below a link to one. Links are
/// not followed; folders for which `enter` is false are not entered.
pub(crate) fn walk(
    top: &Path,
    enter: impl Fn(&Path) -> bool,
) -> Result<Vec<(PathBuf, fs::Metadata)>> {
    let (mut found, mut open) = (Vec::new(), Vec::new());
    if is_folder(top) {
        open.push((top.to_owned(), 0));
    }
    while let Some((folder, depth)) = open.pop() {
        for path in list(&folder)? {
            let meta = fs::symlink_metadata(&path).at("inspect", &path)?;
            if !meta.is_dir() {
                found.push((path, meta));
            } else if depth == MAX_DEPTH {
                let why = format!("folders lie more than {MAX_DEPTH} deep");
                return Err(ImportError::Bad { path, why });
            } else if enter(&path) {
                open.push((path, depth + 1));
            }
            if found.len() + open.len() > MAX_ENTRIES {
                let (path, what, limit) = (top.to_owned(), "files", MAX_ENTRIES);
                return Err(ImportError::TooMany { path, what, limit });
            }
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

/// A relative path that stays where it is, in parts.
pub(crate) fn parts(path: &str) -> std::result::Result<Vec<FileName>, String> {
    let parts: std::result::Result<Vec<FileName>, SchemaError> =
        path.split('/').map(FileName::new).collect();
    match parts {
        Ok(parts) if parts.len() <= MAX_PARTS => Ok(parts),
        Ok(_) => Err("a path has too many parts".to_owned()),
        Err(error) => Err(format!("path '{}': {error}", path.escape_debug())),
    }
}

/// The parts of a path of this machine, below `top`.
pub(crate) fn parts_below(top: &Path, path: &Path) -> Result<Vec<FileName>> {
    use std::os::unix::ffi::OsStrExt;
    let below = path.strip_prefix(top).unwrap_or(path);
    Ok(below
        .iter()
        .map(|part| FileName::new(part.as_bytes()))
        .collect::<std::result::Result<_, _>>()?)
}
