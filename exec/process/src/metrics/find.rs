//! Finds the files with metrics among the outputs.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::byproducts::is_byproduct;

/// How deep below an output folder files are looked for: `runs/name/part/` is as deep as tools go.
const MAX_DEPTH: usize = 8;

/// Most entries of folders that are looked at.
const MAX_ENTRIES: usize = 20_000;

/// Most files with metrics.
const MAX_FILES: usize = 100;

/// How numbers are written down. Of two that give the same key, the one that stands first here
/// wins: what a program says at its end counts more than what it logs on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Format {
    /// One JSON object.
    Object,
    /// A table with a header.
    Table,
    /// JSON objects, one a line.
    Log,
    /// TensorBoard's.
    Events,
}

/// The format of a file with metrics; none if the name is not that of one.
///
/// Only names that mean nothing else: `metrics.*` is the convention of this program and others
/// (Lightning's logger writes `metrics.csv`), two are Hugging Face's Trainer's, and `progress.csv`
/// is that of reinforcement learning's loggers. A `results.json` or `scores.json` may hold
/// anything, one entry for each example among it.
pub(crate) fn format_of(name: &OsStr) -> Option<Format> {
    match name.to_str()? {
        "metrics.json" | "all_results.json" | "eval_results.json" => Some(Format::Object),
        "metrics.csv" | "progress.csv" => Some(Format::Table),
        "metrics.jsonl" | "metrics.ndjson" => Some(Format::Log),
        name if name.starts_with("events.out.tfevents.") => Some(Format::Events),
        _ => None,
    }
}

/// A file with metrics.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source {
    pub(super) format: Format,
    /// Folders above it: what lies higher comes first.
    depth: usize,
    /// Relative to the folder of the command.
    pub(super) path: PathBuf,
}

/// The files with metrics among the outputs, each with whether it is a folder, in the order in
/// which they count; and what was not looked at, with the reason.
pub(super) fn sources(
    directory: &Path,
    outputs: &[(PathBuf, bool)],
) -> (Vec<Source>, Vec<(PathBuf, String)>) {
    let (mut found, mut left_out) = (Vec::new(), Vec::new());
    let mut entries = 0;
    for (path, is_folder) in outputs {
        if *is_folder {
            let whole = walk(directory, path, &mut entries, &mut found);
            if !whole {
                let why = "it is too large to be searched for metrics as a whole".to_owned();
                left_out.push((path.clone(), why));
            }
        } else {
            found.extend(source(path.clone()));
        }
    }
    found.sort();
    if let Some(source) = found.get(MAX_FILES) {
        let why = format!("of {} files with metrics only {MAX_FILES} are read", found.len());
        left_out.push((source.path.clone(), why));
        found.truncate(MAX_FILES);
    }
    (found, left_out)
}

fn source(path: PathBuf) -> Option<Source> {
    let format = format_of(path.file_name()?)?;
    Some(Source { format, depth: path.iter().count(), path })
}

/// Looks through a folder, level by level, and follows no link. Whether all of it was seen.
fn walk(directory: &Path, top: &Path, entries: &mut usize, found: &mut Vec<Source>) -> bool {
    let mut folders = VecDeque::from([(top.to_owned(), 0)]);
    let mut whole = true;
    while let Some((folder, depth)) = folders.pop_front() {
        // What cannot be listed holds no output either.
        let Ok(listing) = fs::read_dir(directory.join(&folder)) else { continue };
        for entry in listing.flatten() {
            *entries += 1;
            if *entries > MAX_ENTRIES {
                return false;
            }
            let path = folder.join(entry.file_name());
            match entry.file_type() {
                Ok(kind) if kind.is_file() => found.extend(source(path)),
                Ok(kind) if kind.is_dir() && !is_byproduct(&path) => {
                    whole &= depth < MAX_DEPTH;
                    if depth < MAX_DEPTH {
                        folders.push_back((path, depth + 1));
                    }
                }
                _ => {}
            }
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, path: &str) {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }

    fn found(dir: &Path, outputs: &[(&str, bool)]) -> (Vec<String>, usize) {
        let outputs: Vec<_> = outputs.iter().map(|(path, is)| (path.into(), *is)).collect();
        let (found, left_out) = sources(dir, &outputs);
        let path = |source: Source| source.path.to_str().unwrap().to_owned();
        (found.into_iter().map(path).collect(), left_out.len())
    }

    #[test]
    fn names_say_what_files_are() {
        let format = |name: &str| format_of(name.as_ref());
        assert_eq!(format("metrics.ndjson"), Some(Format::Log));
        assert_eq!(format("events.out.tfevents.17.host.1.0"), Some(Format::Events));
        for other in ["results.json", "Metrics.json", "metrics.json.bak", "events.out", "csv", ""] {
            assert_eq!(format(other), None, "{other}");
        }
    }

    #[test]
    fn files_are_found_in_the_order_in_which_they_count() {
        let dir = tempfile::tempdir().unwrap();
        let files = [
            "out/runs/a/events.out.tfevents.1",
            "out/a/b/metrics.json",
            "out/metrics.jsonl",
            "out/metrics.csv",
            "out/z/metrics.json",
            "out/__pycache__/metrics.json",
            "out/x.json",
        ];
        for file in files {
            write(dir.path(), file);
        }
        std::os::unix::fs::symlink("metrics.csv", dir.path().join("out/progress.csv")).unwrap();
        std::os::unix::fs::symlink(".", dir.path().join("out/loop")).unwrap();
        let expected = [
            "metrics.json",
            "out/z/metrics.json",
            "out/a/b/metrics.json",
            "out/metrics.csv",
            "out/metrics.jsonl",
            "out/runs/a/events.out.tfevents.1",
        ];
        let outputs = [("out", true), ("metrics.json", false), ("model.pt", false), ("gone", true)];
        assert_eq!(found(dir.path(), &outputs), (expected.map(str::to_owned).into(), 0));
    }

    #[test]
    fn what_is_looked_at_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let deep = "d/".repeat(MAX_DEPTH);
        write(dir.path(), &format!("o/{deep}metrics.json"));
        assert_eq!(found(dir.path(), &[("o", true)]).1, 0);
        write(dir.path(), &format!("o/{deep}d/metrics.csv"));
        let (files, left_out) = found(dir.path(), &[("o", true)]);
        assert_eq!((files.len(), left_out), (1, 1));
        for i in 0..=MAX_FILES {
            write(dir.path(), &format!("many/{i}/metrics.json"));
        }
        let (files, left_out) = found(dir.path(), &[("many", true)]);
        assert_eq!((files.len(), left_out), (MAX_FILES, 1));
    }
}
