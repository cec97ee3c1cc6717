//! The files that are seen to be read are those that `strace -f` sees, on programs that fork,
//! start threads and load hundreds of files. Needs strace, make, a C compiler and Python, so it
//! runs only when asked for: `cargo test -p lab-trace --test strace -- --ignored`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lab_trace::{Answers, Watching, spawn};

/// Watched where it lies.
fn watching(spool: &tempfile::TempDir) -> Watching<'_> {
    Watching { spool: spool.path(), inside: false }
}

/// The regular files outside /proc, /sys and /dev that `strace` sees opened with success for
/// reading, or executed, before they are written.
fn by_strace(folder: &Path, argv: &[&str]) -> BTreeSet<PathBuf> {
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-qq", "-s", "4096", "-e", "trace=open,openat,openat2,creat,execve"]);
    command.arg("-o").arg(log.path()).args(argv).current_dir(folder).stdin(Stdio::null());
    assert!(command.stdout(Stdio::null()).status().unwrap().success());
    let (mut read, mut written) = (BTreeSet::new(), BTreeSet::new());
    for line in whole_calls(&fs::read_to_string(log.path()).unwrap()) {
        let Some((call, result)) = line.rsplit_once(" = ") else { continue };
        let path = match result.split_once('<') {
            // The descriptor that was opened, with its path: all links are followed.
            Some((_, path)) => PathBuf::from(path.trim_end_matches('>')),
            None if call.contains("execve(") && result == "0" => {
                PathBuf::from(call.split('"').nth(1).unwrap())
            }
            None => continue,
        };
        let writes = ["O_WRONLY", "O_RDWR", "creat("].iter().any(|w| call.contains(w));
        if writes {
            written.insert(path);
        } else if !written.contains(&path) {
            read.insert(path.canonicalize().unwrap_or(path));
        }
    }
    read.retain(|path| counts(path));
    read
}

/// The lines of the log, with those put together that another process's line has cut.
fn whole_calls(log: &str) -> Vec<String> {
    let (mut whole, mut open) = (Vec::new(), BTreeMap::new());
    for line in log.lines() {
        let (process, call) = line.split_once(' ').unwrap();
        if let Some(start) = call.strip_suffix("<unfinished ...>") {
            open.insert(process, start);
        } else if let Some((_, end)) = call.split_once(" resumed>") {
            whole.push(format!("{}{end}", open.remove(process).unwrap_or_default()));
        } else {
            whole.push(call.to_owned());
        }
    }
    whole
}

/// What we see: the files, and whether each was executed.
fn by_us(folder: &Path, argv: &[&str]) -> BTreeMap<PathBuf, bool> {
    let spool = tempfile::tempdir().unwrap();
    let mut command = Command::new(argv[0]);
    command.args(&argv[1..]).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
    let (mut child, watch) =
        spawn(&mut command, Some(&watching(&spool)), &Answers::default()).unwrap();
    assert!(child.wait().unwrap().success());
    let trace = watch.finish();
    assert!(trace.gaps.is_empty(), "{:?}", trace.gaps);
    let read = trace.read_files().map(|(path, thing)| (path.to_owned(), thing.executed));
    read.filter(|(path, _)| counts(path)).collect()
}

fn counts(path: &Path) -> bool {
    let special = ["/proc", "/sys", "/dev"].iter().any(|top| path.starts_with(top));
    // What is deleted while it runs cannot be asked for its kind; names of temporary files differ.
    !special && path.is_file()
}

/// Neither misses a file that the other has, but for loaders and interpreters of scripts, which
/// the kernel opens.
fn compare(folder: &Path, argv: &[&str], at_least: usize) {
    let (theirs, ours) = (by_strace(folder, argv), by_us(folder, argv));
    let missed: Vec<_> = theirs.iter().filter(|path| !ours.contains_key(*path)).collect();
    let opened = ours.iter().filter(|(_, executed)| !**executed).map(|(path, _)| path);
    let more: Vec<_> = opened.filter(|path| !theirs.contains(*path)).collect();
    assert!(missed.is_empty(), "{argv:?}: not seen: {missed:?}");
    assert!(more.is_empty(), "{argv:?}: seen, but not by strace: {more:?}");
    assert!(theirs.len() >= at_least, "{argv:?} read only {} files", theirs.len());
}

#[test]
#[ignore = "needs strace and Python"]
fn python_with_many_modules_and_processes() {
    let dir = tempfile::tempdir().unwrap();
    let script = "import json, sqlite3, email, xml.dom.minidom, unittest, concurrent.futures as c\n\
                  import multiprocessing as m\n\
                  if __name__ == '__main__':\n \
                  with c.ProcessPoolExecutor(2, m.get_context('spawn')) as p:\n  \
                  print(list(p.map(len, ['a', 'bb'])))\n";
    fs::write(dir.path().join("s.py"), script).unwrap();
    compare(dir.path(), &["python3", "-B", "s.py"], 150);
}

#[test]
#[ignore = "needs strace, make and a C compiler"]
fn a_program_that_make_builds_and_runs() {
    let dir = tempfile::tempdir().unwrap();
    let source = "#include <stdio.h>\n#include <math.h>\nint main(void) { FILE *f = fopen(\"data\", \
                  \"r\"); printf(\"%d %f\", fgetc(f), sqrt(2)); return 0; }\n";
    fs::write(dir.path().join("p.c"), source).unwrap();
    fs::write(dir.path().join("data"), "x").unwrap();
    fs::write(dir.path().join("Makefile"), "all: p\n\t./p\np: p.c\n\tcc -o p p.c -lm\n").unwrap();
    // Anew each time: what make builds once it does not build again.
    compare(dir.path(), &["sh", "-c", "rm -f p; make -s"], 25);
}

#[test]
#[ignore = "needs strace"]
fn a_pipeline_over_ten_thousand_files() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("many")).unwrap();
    for i in 0..10_000 {
        fs::write(dir.path().join(format!("many/{i:05}")), format!("{}\n", i % 97)).unwrap();
    }
    let script = "find many -type f | sort | xargs cat | sort | uniq -c > counts";
    compare(dir.path(), &["sh", "-c", script], 10_000);
}
