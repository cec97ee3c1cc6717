//! Two folders: which files came, went, changed or stand elsewhere, and what changed inside the first of
//! them.

use std::collections::BTreeMap;

use lab_objects::Store;
use lab_schema::{BlobId, TreeId, tree::Node};
use serde::Serialize;

use crate::compare::shown;
use crate::compare::source::Blob;
use crate::contents::Inside;
use crate::contents::pictures::{self, ImageChange};
use crate::error::{ReplayError, Result};
use crate::trees::{self, Alone, Changed};

/// Most paths and folders that are looked at.
const MAX_PATHS: usize = 1_000_000;
/// Paths of each sort that are named.
const NAMED: usize = 20;
/// Files that are looked into, and most bytes of these on both sides.
const LOOKED_INTO: usize = 20;
const MAX_BYTES: u64 = 8 << 30;
/// Images whose pixels are compared.
const IMAGES: u64 = 2000;

/// Endings of images.
const ENDINGS: [&str; 9] =
    [".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm"];

/// What differs between two folders.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FolderChange {
    /// Files that only the second has.
    pub added: Files,
    /// Files that only the first has.
    pub removed: Files,
    /// Files that both have at one path, and that differ; with their size in the second.
    pub changed: Files,
    /// Files that have the same content under another path: the old and the new one; the first ones.
    pub moved: Vec<(String, String)>,
    /// How many of those there are.
    pub moved_files: u64,
    /// What was seen of images.
    pub images: Option<ImagesChange>,
    /// Changed files that were looked into.
    pub inside: Vec<FileChange>,
    /// Changed files that were not.
    pub not_looked_into: u64,
    /// Whether there are more paths than were looked at.
    pub more: bool,
}

/// Some files of a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Files {
    /// How many.
    pub files: u64,
    /// Their bytes together.
    pub bytes: u64,
    /// The first paths.
    pub first: Vec<String>,
}

/// A file that both folders have, and that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FileChange {
    /// Its path.
    pub path: String,
    /// What differs inside; none if it cannot be read here.
    pub inside: Option<Inside>,
    /// Why not, in words.
    pub why: Option<String>,
}

/// What was seen of the images among the files, which are told by the endings of their names.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ImagesChange {
    /// Images that only the second folder has.
    pub added: u64,
    /// Those that only the first has.
    pub removed: u64,
    /// Those that differ.
    pub changed: u64,
    /// How many of these were compared by pixel; all pixel counts are of these.
    pub compared: u64,
    /// Of those: whose pixels are all the same.
    pub same_pixels: u64,
    /// Of those: whose size or form differs.
    pub other_form: u64,
    /// Pixels of the others.
    pub pixels: u64,
    /// How many of them differ.
    pub differ: u64,
    /// The largest difference of two samples.
    pub largest: u16,
}

impl Files {
    fn add(&mut self, path: &str, bytes: u64) {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.first.len() < NAMED {
            self.first.push(path.to_owned());
        }
    }
}

/// Looks into two files: their ids, and their path.
pub(crate) type Look<'a> = dyn Fn(BlobId, BlobId, &str) -> Result<Inside> + 'a;

/// What differs between two folders.
pub(crate) fn change(store: &Store, a: TreeId, b: TreeId, look: &Look<'_>) -> Result<FolderChange> {
    let paths = trees::changed(store, Some(a), Some(b), Alone::Files, MAX_PATHS)?;
    let paths = paths.ok_or(ReplayError::Missing { id: a.into() })?;
    let mut found = FolderChange { more: paths.more, ..FolderChange::default() };
    let (moved, changed) = moved(paths.changed);
    found.moved_files = moved.len() as u64;
    found.moved = moved.into_iter().take(NAMED).collect();
    let mut images = ImagesChange::default();
    let mut both = Vec::new();
    for Changed { path, before, after } in &changed {
        let image = is_image(path);
        match (before, after) {
            (None, Some(node)) => {
                found.added.add(path, node.size());
                images.added += u64::from(image);
            }
            (Some(node), None) => {
                found.removed.add(path, node.size());
                images.removed += u64::from(image);
            }
            (Some(then), Some(now)) => {
                found.changed.add(path, now.size());
                images.changed += u64::from(image);
                both.push((path, then, now, image));
            }
            (None, None) => {}
        }
    }
    let mut left = MAX_BYTES;
    for (path, then, now, image) in both {
        match (then, now) {
            (Node::File { id: a, .. }, Node::File { id: b, .. }) if a != b => {
                let bytes = then.size().saturating_add(now.size());
                let Some(rest) = left.checked_sub(bytes) else {
                    found.not_looked_into += 1;
                    continue;
                };
                if image && images.compared < IMAGES {
                    left = rest;
                    if let Some(change) = pixels(store, *a, *b)? {
                        images.add(&change);
                        continue;
                    }
                }
                if found.inside.len() < LOOKED_INTO {
                    left = rest;
                    found.inside.push(file(path, look(*a, *b, path))?);
                } else {
                    found.not_looked_into += 1;
                }
            }
            _ if found.inside.len() < LOOKED_INTO => {
                let (before, after) = (sort(then), sort(now));
                let inside = Some(Inside::Sorts { before, after });
                found.inside.push(FileChange { path: path.clone(), inside, why: None });
            }
            _ => found.not_looked_into += 1,
        }
    }
    let any = images.added + images.removed + images.changed > 0;
    found.images = any.then_some(images);
    Ok(found)
}

/// A file that cannot be read does not keep the others from being told.
fn file(path: &str, inside: Result<Inside>) -> Result<FileChange> {
    let path = path.to_owned();
    match inside {
        Ok(inside) => Ok(FileChange { path, inside: Some(inside), why: None }),
        Err(error @ (ReplayError::Objects(_) | ReplayError::Missing { .. })) => {
            Ok(FileChange { path, inside: None, why: Some(error.to_string()) })
        }
        Err(error) => Err(error),
    }
}

/// What differs between two images; none if they cannot be read, or are no images after all.
fn pixels(store: &Store, a: BlobId, b: BlobId) -> Result<Option<ImageChange>> {
    let read = |id: BlobId| match Blob::open(store, id).and_then(|blob| pictures::parse(&blob)) {
        // Whoever looks into the file says so.
        Err(ReplayError::Objects(_) | ReplayError::Missing { .. }) => Ok(None),
        read => read,
    };
    Ok(match (read(a)?, read(b)?) {
        (Some(x), Some(y)) => pictures::change(&x, &y),
        _ => None,
    })
}

impl ImagesChange {
    fn add(&mut self, change: &ImageChange) {
        self.compared += 1;
        match change.pixels {
            None => self.other_form += 1,
            Some(pixels) => {
                self.pixels += pixels;
                self.differ += change.differ;
                self.same_pixels += u64::from(change.differ == 0);
                self.largest = self.largest.max(change.largest);
            }
        }
    }
}

fn is_image(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    ENDINGS.iter().any(|ending| path.ends_with(ending))
}

/// Takes out what stands elsewhere with the same content: of several, in the order of paths. Empty files
/// are all the same and have not moved.
fn moved(changed: Vec<Changed>) -> (Vec<(String, String)>, Vec<Changed>) {
    let content = |node: &Option<Node>| match node {
        Some(Node::File { id, size: 1.., .. }) => Some(*id),
        _ => None,
    };
    let mut came: BTreeMap<BlobId, Vec<usize>> = BTreeMap::new();
    for (at, change) in changed.iter().enumerate().rev() {
        if let (None, Some(id)) = (&change.before, content(&change.after)) {
            came.entry(id).or_default().push(at);
        }
    }
    let mut partner: BTreeMap<usize, usize> = BTreeMap::new();
    for (at, change) in changed.iter().enumerate() {
        if let (Some(id), None) = (content(&change.before), &change.after)
            && let Some(to) = came.get_mut(&id).and_then(Vec::pop)
        {
            partner.insert(at, to);
        }
    }
    let moved = partner
        .iter()
        .map(|(from, to)| (changed[*from].path.clone(), changed[*to].path.clone()))
        .collect();
    let gone: std::collections::BTreeSet<usize> =
        partner.into_iter().flat_map(|(from, to)| [from, to]).collect();
    let rest = changed.into_iter().enumerate().filter(|(at, _)| !gone.contains(at));
    (moved, rest.map(|(_, change)| change).collect())
}

fn sort(node: &Node) -> String {
    match node {
        Node::Directory { .. } => "a directory".to_owned(),
        Node::File { executable: true, .. } => "an executable file".to_owned(),
        Node::File { .. } => "a file".to_owned(),
        Node::Link { target } => {
            format!("a link to '{}'", shown(&String::from_utf8_lossy(target)))
        }
    }
}
