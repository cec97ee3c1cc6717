//! What sort of thing a path is, for a command that ran in a project: data, code, environment.
//!
//! Judged by place and name alone, first match first. What a person forgets is data that lies
//! elsewhere; so only what is known to be part of an installation counts as environment, and
//! everything else outside the project is data.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use lab_trace::{Thing, Trace};

use crate::byproducts::is_byproduct;
use crate::git::is_private;
use crate::secrets::is_secret_file;

/// What sort of thing a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// A file of the project that is no code.
    Data,
    /// A file elsewhere that belongs to no installation.
    Outside,
    /// The project's own program text and settings.
    Code,
    /// Programs, libraries and system files.
    Environment,
    /// Made up by the system at each look: `/proc`, `/sys`.
    System,
    /// Never stored.
    Secret,
    /// Of no account: devices, caches of interpreters, the run's own scratch folder, the registry.
    Ignored,
}

/// Folders at the top of the file system that installations fill.
const INSTALLED: [&str; 16] = [
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/bin",
    "/sbin",
    "/etc",
    "/opt",
    "/nix",
    "/gnu",
    "/snap",
    "/run",
    "/var/lib",
    "/var/cache",
    "/boot",
];

/// Names of folders that installations fill, wherever they lie.
const INSTALLATIONS: [&str; 14] = [
    "site-packages",
    "dist-packages",
    "node_modules",
    "miniconda3",
    "anaconda3",
    "miniforge3",
    "mambaforge",
    ".conda",
    ".pyenv",
    ".rustup",
    ".cargo",
    ".julia",
    ".virtualenvs",
    ".nvm",
];

/// How the names of code end.
const CODE: [&str; 44] = [
    "py", "pyi", "pyx", "ipynb", "sh", "bash", "zsh", "r", "rmd", "qmd", "jl", "m", "lua", "pl",
    "pm", "rb", "js", "mjs", "cjs", "ts", "go", "rs", "c", "h", "cc", "cpp", "cxx", "hpp", "cu",
    "cuh", "f90", "java", "scala", "kt", "hs", "ml", "sql", "toml", "yaml", "yml", "ini", "cfg",
    "mk", "cmake",
];

/// Names of code without such an end.
const CODE_NAMES: [&str; 8] = [
    "Makefile",
    "makefile",
    "GNUmakefile",
    "Dockerfile",
    "Snakefile",
    "Justfile",
    "justfile",
    "Rakefile",
];

/// A command's surroundings, as far as they decide what is what.
pub(crate) struct Sorter<'a> {
    /// The top of the project.
    pub(crate) project: &'a Path,
    /// Folders of ours: the run's scratch folder and the registry.
    ours: &'a [&'a Path],
    /// Where installations lie that were met: virtual environments, interpreters.
    prefixes: BTreeSet<PathBuf>,
    home: Option<PathBuf>,
}

impl<'a> Sorter<'a> {
    /// For a command that touched this, with this home folder and these virtual environments.
    pub(crate) fn new(
        project: &'a Path,
        ours: &'a [&'a Path],
        trace: &Trace,
        home: Option<&OsStr>,
        environments: &[&OsStr],
    ) -> Sorter<'a> {
        let home = home.map(PathBuf::from).filter(|home| home.is_absolute());
        let is_prefix = |path: &Path| {
            path.parent().is_some() && !project.starts_with(path) && Some(path) != home.as_deref()
        };
        // `P/bin/python` says that P is an installation, and so does `P/pyvenv.cfg`.
        let programs = trace.programs.iter().filter_map(|program| {
            let folder = program.path.parent()?;
            (folder.file_name()? == "bin").then(|| folder.parent()).flatten()
        });
        let marks = trace.things.keys().filter(|path| path.ends_with("pyvenv.cfg"));
        let named = environments.iter().map(Path::new).filter(|path| path.is_absolute());
        let prefixes = programs.chain(marks.filter_map(|path| path.parent())).chain(named);
        let prefixes = prefixes.filter(|path| is_prefix(path)).map(Path::to_owned).collect();
        Sorter { project, ours, prefixes, home }
    }

    /// What is at `path`; `thing` says what was done with it, if it is no link.
    pub(crate) fn sort(&self, path: &Path, thing: Option<&Thing>) -> Sort {
        if path.starts_with("/proc") || path.starts_with("/sys") {
            return Sort::System;
        }
        if path.starts_with("/dev") || self.is_ours(path) {
            return Sort::Ignored;
        }
        if self.is_installed(path) {
            return if is_system_secret(path) { Sort::Secret } else { Sort::Environment };
        }
        if is_secret_file(path) {
            return Sort::Secret;
        }
        let Ok(inside) = path.strip_prefix(self.project) else {
            return match self.is_setting(path) {
                true => Sort::Environment,
                false if is_byproduct(path) => Sort::Ignored,
                false => Sort::Outside,
            };
        };
        if is_byproduct(inside) {
            return Sort::Ignored;
        }
        let is_file = thing.and_then(|thing| thing.first).is_none_or(|first| first.is_file());
        let is_code = !is_file
            || inside.iter().any(is_private)
            || thing.is_none_or(|thing| thing.executed)
            || is_library(inside)
            || is_code_name(inside);
        if is_code { Sort::Code } else { Sort::Data }
    }

    /// Whether it belongs to the run or the registry, and not to the project.
    pub(crate) fn is_ours(&self, path: &Path) -> bool {
        self.ours.iter().any(|ours| path.starts_with(ours))
    }

    fn is_installed(&self, path: &Path) -> bool {
        if self.prefixes.iter().any(|prefix| path.starts_with(prefix)) {
            return true;
        }
        let named = path.iter().any(|name| INSTALLATIONS.iter().any(|i| name == *i));
        if path.starts_with(self.project) {
            // A project may lie in /opt; what is in it is its own all the same.
            return path
                .strip_prefix(self.project)
                .is_ok_and(|inside| inside.iter().any(|n| INSTALLATIONS.iter().any(|i| n == *i)));
        }
        named
            || INSTALLED.iter().any(|top| path.starts_with(top))
            || is_library(path)
            || path.parent().is_none()
    }

    /// A hidden file or folder of the home folder, but for caches, in which data lies.
    fn is_setting(&self, path: &Path) -> bool {
        let Some(inside) = self.home.as_ref().and_then(|home| path.strip_prefix(home).ok()) else {
            return false;
        };
        let first = inside.iter().next().map_or(&b""[..], OsStr::as_bytes);
        first.is_empty() || first.starts_with(b".") && first != b".cache"
    }
}

/// Shared libraries lie anywhere.
fn is_library(path: &Path) -> bool {
    let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    name.ends_with(".so") || name.contains(".so.")
}

/// Those files of the system that only an administrator may read.
fn is_system_secret(path: &Path) -> bool {
    let secrets = ["/etc/shadow", "/etc/gshadow", "/etc/ssl/private", "/etc/sudoers"];
    let keys = path.starts_with("/etc/ssh")
        && path.iter().next_back().is_some_and(|name| {
            let name = name.to_string_lossy();
            name.starts_with("ssh_host_") && !name.ends_with(".pub")
        });
    keys || secrets.iter().any(|secret| path.starts_with(secret))
}

/// Whether a name is that of program text or settings.
pub(crate) fn is_code_name(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    let end = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    CODE_NAMES.iter().any(|n| name == *n) || end.is_some_and(|end| CODE.contains(&end.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab_trace::Stamp;

    fn thing(executed: bool) -> Thing {
        let first = Stamp {
            inode: (0, 0),
            mode: 0o100_644,
            size: 1,
            modified: (0, 0),
            changed: (0, 0),
            names: 1,
        };
        let (written, gone, altered) = (false, false, false);
        Thing { first: Some(first), read: true, executed, written, gone, altered, kept: None }
    }

    #[test]
    fn places_and_names_tell_what_is_what() {
        let mut trace = Trace::default();
        trace.things.insert("/home/a/p/env/pyvenv.cfg".into(), thing(false));
        trace.programs.push(lab_trace::Program {
            process: 1,
            path: "/apps/python/bin/python3".into(),
            argv: vec![],
        });
        let ours = [Path::new("/home/a/p/.lab"), Path::new("/home/a/p/.lab/scratch/1")];
        let home = OsStr::new("/home/a");
        let sorter =
            Sorter::new(Path::new("/home/a/p"), &ours, &trace, Some(home), &[OsStr::new("/venv")]);
        for (path, sort) in [
            ("/home/a/p/train.py", Sort::Code),
            ("/home/a/p/conf/base.YAML", Sort::Code),
            ("/home/a/p/Makefile", Sort::Code),
            ("/home/a/p/data/train.csv", Sort::Data),
            ("/home/a/p/model", Sort::Data),
            ("/home/a/p/build/libfast.so", Sort::Code),
            ("/home/a/q/__pycache__/x.pyc", Sort::Ignored),
            ("/home/a/p/.env", Sort::Secret),
            ("/home/a/p/__pycache__/x.pyc", Sort::Ignored),
            ("/home/a/p/.lab/format", Sort::Ignored),
            ("/home/a/p/env/lib/python3.11/os.py", Sort::Environment),
            ("/home/a/p/.venv/lib/python3.11/site-packages/numpy/__init__.py", Sort::Environment),
            ("/home/a/refs/stop.txt", Sort::Outside),
            ("/home/a/.cache/hub/model.bin", Sort::Outside),
            ("/home/a/.config/matplotlib/matplotlibrc", Sort::Environment),
            ("/home/a/.ssh/id_rsa", Sort::Secret),
            ("/data/x.csv", Sort::Outside),
            ("/tmp/x", Sort::Outside),
            ("/usr/lib/x86_64-linux-gnu/libc.so.6", Sort::Environment),
            ("/etc/passwd", Sort::Environment),
            ("/etc/shadow", Sort::Secret),
            ("/etc/ssl/certs/ca.pem", Sort::Environment),
            ("/apps/python/lib/os.py", Sort::Environment),
            ("/venv/lib/os.py", Sort::Environment),
            ("/data/libfast.so.1", Sort::Environment),
            ("/proc/cpuinfo", Sort::System),
            ("/dev/null", Sort::Ignored),
            ("/", Sort::Environment),
        ] {
            assert_eq!(sorter.sort(Path::new(path), Some(&thing(false))), sort, "{path}");
        }
        let program = Path::new("/home/a/p/a.out");
        assert_eq!(sorter.sort(program, Some(&thing(true))), Sort::Code);
        // A project that lies where installations do is no installation.
        let sorter = Sorter::new(Path::new("/opt/p"), &ours, &trace, None, &[]);
        assert_eq!(sorter.sort(Path::new("/opt/p/data.csv"), Some(&thing(false))), Sort::Data);
        assert_eq!(
            sorter.sort(Path::new("/opt/q/data.csv"), Some(&thing(false))),
            Sort::Environment
        );
    }
}
