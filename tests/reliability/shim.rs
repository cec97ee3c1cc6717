//! The C shim, built once per process and put before the C library of a command.
//!
//! A fault is tried at the first call that writes, at the second, and so on, until a command ends
//! without having been hit. With several threads the n-th call is not the same one each time;
//! every number is tried all the same, and each hit is counted by what it was.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::kit::said;

/// What happens at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An error; at the fsync of a new file its bytes are gone too.
    InputOutput,
    NoSpace,
    /// Half is written, and this is reported.
    Short,
    /// Half is written, and all is reported.
    Lie,
    KillBefore,
    KillAfter,
    /// Half is written, and the process dies.
    KillHalfway,
}

impl Fault {
    pub fn kills(self) -> bool {
        matches!(self, Fault::KillBefore | Fault::KillAfter | Fault::KillHalfway)
    }
}

fn library() -> &'static Path {
    static LIBRARY: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, library) = LIBRARY.get_or_init(|| {
        let folder = tempfile::Builder::new().prefix("lab-shim-").tempdir().unwrap();
        let [source, header, library] =
            ["shim.c", "shim.h", "shim.so"].map(|name| folder.path().join(name));
        std::fs::write(&source, include_str!("shim.c")).unwrap();
        std::fs::write(&header, include_str!("shim.h")).unwrap();
        let mut command = Command::new("cc");
        command.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-o"]);
        let built = said(command.arg(&library).arg(&source).args(["-ldl", "-lpthread"]));
        assert_eq!(built.code, 0, "the shim was not built:\n{}", built.err);
        (folder, library)
    });
    library
}

/// Lets `fault` happen at the `number`-th call that writes below `root`; `hit` receives which one
/// it was.
pub fn strike(command: &mut Command, root: &Path, fault: Fault, number: u64, hit: &Path) {
    let (at, how, word) = match fault {
        Fault::InputOutput => ("SHIM_FAIL_AT", "SHIM_ERROR", "EIO"),
        Fault::NoSpace => ("SHIM_FAIL_AT", "SHIM_ERROR", "ENOSPC"),
        Fault::Short => ("SHIM_FAIL_AT", "SHIM_ERROR", "SHORT"),
        Fault::Lie => ("SHIM_FAIL_AT", "SHIM_ERROR", "LIE"),
        Fault::KillBefore => ("SHIM_KILL_AT", "SHIM_KILL", "BEFORE"),
        Fault::KillAfter => ("SHIM_KILL_AT", "SHIM_KILL", "AFTER"),
        Fault::KillHalfway => ("SHIM_KILL_AT", "SHIM_KILL", "HALF"),
    };
    command
        .env("LD_PRELOAD", library())
        .env("SHIM_ROOT", root)
        .env("SHIM_HIT", hit)
        .env(at, number.to_string())
        .env(how, word);
}

/// Writes down in `log` whatever the command changes below `root`.
pub fn record(command: &mut Command, root: &Path, log: &Path) {
    command.env("LD_PRELOAD", library()).env("SHIM_ROOT", root).env("SHIM_LOG", log);
}

/// Which calls were hit, and how often.
#[derive(Default)]
pub struct Hits(pub BTreeMap<String, u64>);

impl Hits {
    /// Takes in what a hit file says; `None` if nothing was hit.
    pub fn take(&mut self, hit: &Path) -> Option<String> {
        let text = std::fs::read_to_string(hit).ok()?;
        std::fs::remove_file(hit).unwrap();
        let name = text.split(' ').next().unwrap().to_owned();
        *self.0.entry(name).or_default() += 1;
        Some(text.trim_end().to_owned())
    }

    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

impl std::fmt::Display for Hits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let each: Vec<String> = self.0.iter().map(|(name, n)| format!("{name} {n}")).collect();
        write!(f, "{} ({})", self.total(), each.join(", "))
    }
}
