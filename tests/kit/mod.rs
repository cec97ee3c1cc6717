//! The harness: a hermetic folder, the real `lab` binary, and what it said.
#![allow(clippy::unwrap_used, dead_code, missing_docs, unreachable_pub)]

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A folder of a test's own, removed at its end.
pub struct Place {
    folder: tempfile::TempDir,
}

/// What a command said and how it ended.
#[derive(Debug)]
pub struct Said {
    pub command: String,
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Place {
    /// An empty folder.
    pub fn empty() -> Place {
        Place { folder: tempfile::Builder::new().prefix("lab-test-").tempdir().unwrap() }
    }

    /// A folder with an empty registry in it.
    pub fn registry() -> Place {
        let place = Place::empty();
        place.lab(["init"]).succeeds();
        place
    }

    /// A folder with the digits and their program, added as `digits`.
    pub fn digits() -> Place {
        let place = Place::registry();
        place.write("digits.csv.gz", include_bytes!("../../cli/data/digits.csv.gz"));
        place.write("digits.toml", include_bytes!("../../cli/data/digits.toml"));
        place.lab(["add", "digits.csv.gz", "--name", "digits"]).succeeds();
        place
    }

    pub fn path(&self) -> PathBuf {
        // Canonical, so that messages with paths can be compared.
        self.folder.path().canonicalize().unwrap()
    }

    pub fn at(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.path().join(relative)
    }

    pub fn write(&self, relative: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
        let path = self.at(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub fn read(&self, relative: impl AsRef<Path>) -> Vec<u8> {
        fs::read(self.at(relative)).unwrap()
    }

    /// Runs `lab` with these arguments in this folder.
    #[must_use = "demand an exit code"]
    pub fn lab<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Said {
        self.lab_in(".", args)
    }

    /// Runs `lab` in a folder below.
    #[must_use = "demand an exit code"]
    pub fn lab_in<A: AsRef<OsStr>>(&self, folder: &str, args: impl IntoIterator<Item = A>) -> Said {
        let mut command = self.command();
        command.current_dir(self.at(folder)).args(args);
        said(&mut command)
    }

    /// `lab`, hermetic, not started yet.
    pub fn command(&self) -> Command {
        let mut command = Command::new(lab());
        command
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("LAB_USER", "ana")
            .stdin(Stdio::null());
        // How calls are looked at, so that all tests can be run with another way.
        command.envs(std::env::var_os("LAB_TRACER").map(|way| ("LAB_TRACER", way)));
        command
    }

    /// The hash that a name or other reference stands for.
    pub fn id(&self, reference: &str) -> String {
        let shown = self.lab(["show", "--json", reference]).succeeds().json();
        shown["id"].as_str().unwrap().to_owned()
    }
}

/// The binary under test.
pub fn lab() -> &'static str {
    env!("CARGO_BIN_EXE_lab")
}

/// Runs a command to its end.
#[must_use = "demand an exit code"]
pub fn said(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    let shown = format!("{command:?}");
    Said {
        command: shown,
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Said {
    /// Demands exit code 0.
    pub fn succeeds(self) -> Said {
        self.exits(0)
    }

    /// Demands an exit code.
    pub fn exits(self, code: i32) -> Said {
        assert_eq!(
            self.code, code,
            "{}\n--- stdout\n{}--- stderr\n{}",
            self.command, self.out, self.err
        );
        assert!(!self.err.contains("panicked"), "{}\n{}", self.command, self.err);
        self
    }

    /// Demands that the answer holds `text`.
    pub fn says(self, text: &str) -> Said {
        assert!(
            self.out.contains(text),
            "{} does not say {text:?}:\n{}\n{}",
            self.command,
            self.out,
            self.err
        );
        self
    }

    /// Demands that the errors, notes and hints hold `text`.
    pub fn complains(self, text: &str) -> Said {
        assert!(
            self.err.contains(text),
            "{} does not complain {text:?}:\n{}",
            self.command,
            self.err
        );
        self
    }

    /// The answer of a `--json` command.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|e| panic!("{}: {e}\n{}", self.command, self.out))
    }
}

/// The top of the source tree.
pub fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every file below `folder` with one of these endings, sorted; build outputs left out.
pub fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && name != ".git" {
                    todo.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Whether commands can be done again in sealed boxes here; asked of `lab` itself.
pub fn allows_boxes() -> bool {
    static ALLOWED: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *ALLOWED.get_or_init(|| {
        let place = Place::registry();
        place.lab(["run", "--name", "probe", "--", "sh", "-c", "echo x > x"]).succeeds();
        place.lab(["verify", "probe"]).succeeds().out.contains(", sealed")
    })
}
