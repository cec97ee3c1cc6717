//! A root with a few programs of the machine in it, copied with the libraries they need, and boxes
//! made of it.
#![allow(dead_code, unreachable_pub, reason = "each test file uses some of it")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use lab_seal::{Seal, probe, seal};

const TOOLS: [&str; 15] = [
    "sh", "cat", "ls", "id", "hostname", "sleep", "rm", "mkdir", "env", "mount", "setsid", "grep",
    "chmod", "touch", "unshare",
];

/// What the machine does not allow.
static OBSTACLE: LazyLock<Option<String>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    probe(dir.path()).unwrap().err().map(|obstacle| format!("{obstacle}; {}", obstacle.hint()))
});

/// A folder with a root in it that holds a few programs.
pub struct Bench {
    pub dir: tempfile::TempDir,
}

impl Drop for Bench {
    fn drop(&mut self) {
        // The overlay leaves a folder that nobody may look into, and so nobody could remove.
        let inner = self.dir.path().join("work/work");
        let _ = fs::set_permissions(inner, fs::Permissions::from_mode(0o700));
    }
}

impl Bench {
    /// None, with the reason printed, where the machine allows no boxes.
    pub fn new() -> Option<Bench> {
        Bench::in_folder(&std::env::temp_dir())
    }

    pub fn in_folder(folder: &Path) -> Option<Bench> {
        if let Some(obstacle) = &*OBSTACLE {
            unless(obstacle);
            return None;
        }
        let bench = Bench { dir: tempfile::tempdir_in(folder).unwrap() };
        fs::create_dir(bench.root()).unwrap();
        for tool in TOOLS {
            let found = ["/bin", "/usr/bin"].iter().map(|d| Path::new(d).join(tool));
            let tool = found.into_iter().find(|p| p.exists()).unwrap();
            bench.bring(&tool);
        }
        bench.bring(&std::env::current_exe().unwrap());
        for folder in ["tmp", "etc", "work", "sys"] {
            fs::create_dir_all(bench.root().join(folder)).unwrap();
        }
        fs::write(bench.root().join("work/data"), "recorded\n").unwrap();
        Some(bench)
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    pub fn upper(&self) -> PathBuf {
        self.seal().upper()
    }

    /// Copies a program and what it is linked with to the same paths.
    fn bring(&self, program: &Path) {
        let linked = Command::new("ldd").arg(program).output().unwrap();
        let linked = String::from_utf8(linked.stdout).unwrap();
        let libraries = linked.split_whitespace().filter(|word| word.starts_with('/'));
        for path in libraries.map(Path::new).chain([program]) {
            let to = self.root().join(path.strip_prefix("/").unwrap());
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            // Not the mode: as a plain user, a program of root's may be setuid and unreadable.
            fs::copy(path, &to).unwrap();
            fs::set_permissions(to, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    /// A box with the same root, in another folder: each box needs its own.
    pub fn afresh(&self) -> Bench {
        let next = Bench { dir: tempfile::tempdir_in(self.dir.path().parent().unwrap()).unwrap() };
        let from = self.root();
        let copied = Command::new("cp").arg("-a").arg(from).arg(next.root()).status().unwrap();
        assert!(copied.success());
        next
    }

    pub fn seal(&self) -> Seal<'_> {
        Seal {
            base: self.dir.path(),
            user: (4242, 4343),
            host_name: "box",
            directory: Path::new("/work"),
            over: &[],
            devices: &[],
            listings: &[],
            tasks: 1000,
        }
    }

    pub fn command(&self, program: &str, words: &[&str]) -> Command {
        self.command_in(&self.seal(), program, words)
    }

    pub fn command_in(&self, made: &Seal<'_>, program: &str, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(words).env_clear().env("PATH", "/usr/bin:/bin");
        seal(&mut command, made).unwrap();
        command
    }

    pub fn shell(&self, script: &str) -> Output {
        self.command("sh", &["-c", script]).output().unwrap()
    }

    pub fn says(&self, script: &str) -> String {
        self.says_in(&self.seal(), script)
    }

    pub fn says_in(&self, made: &Seal<'_>, script: &str) -> String {
        let output = self.command_in(made, "sh", &["-c", script]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {text}{errors}");
        text
    }
}

/// Says why nothing was tried.
pub fn unless(reason: &str) {
    // Not by a macro, whose words are kept back where a test passes.
    std::io::stderr().write_all(format!("skipped: {reason}\n").as_bytes()).unwrap();
}

/// Runs one of the ignored functions of a test program in a box, and wants it to pass.
pub fn inside(bench: &Bench, name: &str, given: &str) {
    let program = std::env::current_exe().unwrap();
    let mut command = bench.command(program.to_str().unwrap(), &["--ignored", "--exact", name]);
    passed(&command.env("GIVEN", given).output().unwrap());
}

pub fn passed(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{errors}");
}

/// What a function that runs elsewhere was given; none if it is run by itself.
pub fn given() -> Option<String> {
    std::env::var("GIVEN").ok()
}

/// Whether any process of the machine has this in its environment.
pub fn lives(mark: &str) -> bool {
    let has = |entry: std::io::Result<fs::DirEntry>| {
        let environment = fs::read(entry.unwrap().path().join("environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(mark)
    };
    fs::read_dir("/proc").unwrap().any(has)
}

pub fn soon(what: impl Fn() -> bool) -> bool {
    let started = Instant::now();
    while !what() {
        if started.elapsed() > Duration::from_secs(10) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

/// What is in a folder: paths, contents, modes and times, sorted. Of folders, the paths.
pub fn listing(top: &Path) -> Vec<(PathBuf, Vec<u8>, u32, i64)> {
    let (mut all, mut folders) = (Vec::new(), vec![top.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            if meta.is_dir() {
                folders.push(path.clone());
                all.push((path, Vec::new(), 0, 0));
            } else {
                let bytes = fs::read(&path).unwrap_or_default();
                all.push((path, bytes, meta.mode(), meta.mtime_nsec() ^ meta.mtime()));
            }
        }
    }
    all.sort();
    all
}
