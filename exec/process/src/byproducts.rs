//! Files that tools leave behind and that are nobody's result.
//!
//! Interpreters and test runners write caches beside the code. Their bytes hold times and paths,
//! so that keeping them as outputs would make every run differ from every other, and keeping
//! them as code would make every recipe new. They are neither, unless git tracks them.

use std::ffi::OsStr;
use std::path::Path;

/// Names of folders that hold nothing but by-products.
const FOLDERS: [&str; 6] = [
    "__pycache__",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".ipynb_checkpoints",
    ".hypothesis",
];

/// Names of single files.
const FILES: [&str; 3] = [".DS_Store", "Thumbs.db", ".python_history"];

/// How the names of by-products end.
const ENDINGS: [&str; 3] = [".pyc", ".pyo", "~"];

/// How they start: files that a network file system keeps in place of deleted open ones.
const STARTS: [&str; 1] = [".nfs"];

/// Whether the file at this relative path is a by-product of a tool.
pub(crate) fn is_byproduct(path: &Path) -> bool {
    let Some(name) = path.file_name().map(OsStr::to_string_lossy) else { return false };
    let inside = |folder: &OsStr| FOLDERS.iter().any(|f| folder == *f);
    path.iter().any(inside)
        || FILES.iter().any(|f| name == *f)
        || ENDINGS.iter().any(|e| name.ends_with(e))
        || STARTS.iter().any(|s| name.starts_with(s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches_are_byproducts_and_results_are_not() {
        for cache in ["__pycache__/m.cpython-312.pyc", "a/__pycache__/x", "m.pyc", ".nfs0001", "x~"]
        {
            assert!(is_byproduct(Path::new(cache)), "{cache}");
        }
        for result in ["model.pt", "pycache/x", "a/nfs", "metrics.json", "pyc", ""] {
            assert!(!is_byproduct(Path::new(result)), "{result}");
        }
    }
}
