//! What is seen of real programs, and that nothing is missed.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::collections::BTreeSet;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Condvar, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lab_trace::{Answers, Trace, Watching, can_answer, probe, spawn};

/// Watched where it lies.
fn watching(spool: &tempfile::TempDir) -> Watching<'_> {
    Watching { spool: spool.path(), inside: false }
}

/// Runs a script in `folder` under watch.
fn shell(folder: &Path, script: &str) -> Trace {
    let spool = tempfile::tempdir().unwrap();
    let mut command = Command::new("/bin/sh");
    command.args(["-ec", script]).current_dir(folder).stdin(Stdio::null());
    let (mut child, watch) =
        spawn(&mut command, Some(&watching(&spool)), &Answers::default()).unwrap();
    let status = child.wait().unwrap();
    let mut trace = watch.finish();
    assert!(status.success(), "{script}: {status}");
    // What was kept is looked at here, as its folder goes.
    for thing in trace.things.values_mut() {
        if let Some(kept) = &thing.kept {
            thing.kept = Some(fs::read_to_string(kept).unwrap().into());
        }
    }
    trace
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap();
    (dir, path)
}

/// The paths below `top` that `wanted` says, relative and in order.
fn below<'a>(top: &Path, paths: impl Iterator<Item = &'a Path>) -> Vec<String> {
    let inside = paths.filter_map(|path| path.strip_prefix(top).ok());
    inside.map(|path| path.to_string_lossy().into_owned()).collect()
}

fn reads(top: &Path, trace: &Trace) -> Vec<String> {
    below(top, trace.read_files().map(|(path, _)| path))
}

#[test]
fn what_goes_in_and_what_comes_out() {
    let (_dir, top) = folder();
    fs::write(top.join("data"), "1\n").unwrap();
    fs::write(top.join("looked-at"), "").unwrap();
    fs::create_dir(top.join("many")).unwrap();
    for name in ["b", "a"] {
        fs::write(top.join("many").join(name), name).unwrap();
    }
    let script = "cat data > middle; cat middle > out; test -e looked-at; test ! -e missing; \
                  ls many >/dev/null; mv middle moved; rm moved; mkdir new; echo x > new/file";
    let trace = shell(&top, script);
    assert!(trace.gaps.is_empty(), "{:?}", trace.gaps);
    assert_eq!(reads(&top, &trace), ["data"]);
    assert_eq!(below(&top, trace.written()), ["new", "new/file", "out"]);
    assert!(trace.absent.contains(&top.join("missing")));
    let looked_at = &trace.things[&top.join("looked-at")];
    assert!(!looked_at.read && !looked_at.written && looked_at.first.is_some());
    let listed = &trace.listed[&top.join("many")];
    let mut names: Vec<_> = listed.iter().map(|l| l.name.to_str().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["a", "b"]);
    assert!(listed.iter().all(|l| l.kind.unwrap().is_file()));
    let programs: Vec<_> = trace.programs.iter().map(|p| p.argv[0].clone()).collect();
    for name in ["/bin/sh", "cat", "ls", "mv", "rm", "mkdir"] {
        assert!(programs.contains(&name.into()), "{name} is not among {programs:?}");
    }
    let loader = trace
        .things
        .iter()
        .any(|(path, thing)| thing.executed && path.to_string_lossy().contains("ld-linux"));
    assert!(loader, "the loader, which no call opens, was executed");
}

#[test]
fn what_is_read_and_then_changed_is_kept() {
    for (what, script) in [
        ("emptied", "cat f >/dev/null; echo new > f"),
        ("appended to", "echo new >> f"),
        ("edited in place", "printf X | dd of=f conv=notrunc 2>/dev/null"),
        ("replaced", "cat f >/dev/null; echo new > g; mv g f"),
        ("removed", "cat f >/dev/null; rm f"),
        ("moved", "mv f g"),
        ("shortened", "truncate -s 1 f"),
    ] {
        let (_dir, top) = folder();
        fs::write(top.join("f"), "before").unwrap();
        let trace = shell(&top, script);
        let thing = &trace.things[&top.join("f")];
        assert_eq!(thing.kept, Some("before".into()), "{what}");
        assert!(thing.read, "{what}");
        assert_eq!(trace.gaps.len(), 0, "{what}: {:?}", trace.gaps);
    }
}

#[test]
fn what_is_only_overwritten_was_no_input() {
    let (_dir, top) = folder();
    fs::write(top.join("f"), "before").unwrap();
    let trace = shell(&top, "echo new > f; cat f > g");
    assert_eq!(reads(&top, &trace), [""; 0]);
    assert_eq!(below(&top, trace.written()), ["f", "g"]);
    assert_eq!(trace.things[&top.join("f")].kept, None);
}

#[test]
fn links_are_named_and_followed() {
    let (_dir, top) = folder();
    fs::create_dir(top.join("real")).unwrap();
    fs::write(top.join("real/file"), "x").unwrap();
    std::os::unix::fs::symlink("real", top.join("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", top.join("dangling")).unwrap();
    let trace = shell(&top, "cat link/file; test ! -e dangling");
    assert_eq!(reads(&top, &trace), ["real/file"]);
    assert_eq!(trace.links[&top.join("link")], PathBuf::from("real"));
    assert!(trace.absent.contains(&top.join("nowhere")));
}

#[test]
fn a_script_brings_its_interpreter() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, top) = folder();
    fs::write(top.join("run"), "#!/bin/sh\nexit 0\n").unwrap();
    fs::set_permissions(top.join("run"), fs::Permissions::from_mode(0o755)).unwrap();
    let trace = shell(&top, "./run");
    assert_eq!(reads(&top, &trace), ["run"]);
    assert!(trace.things[&top.join("run")].executed);
}

#[test]
fn a_daemon_that_outlives_its_parent_is_watched_to_its_end() {
    let (_dir, top) = folder();
    fs::write(top.join("late"), "x").unwrap();
    let trace = shell(&top, "(sleep 0.3; cat late) >/dev/null 2>&1 &");
    assert_eq!(reads(&top, &trace), ["late"]);
}

#[test]
fn names_need_not_be_text() {
    use std::os::unix::ffi::OsStringExt;
    let (_dir, top) = folder();
    let name = std::ffi::OsString::from_vec(b"caf\xe9".to_vec());
    fs::write(top.join(&name), "x").unwrap();
    let trace = shell(&top, "cat caf*");
    assert!(trace.things[&top.join(&name)].read);
}

#[test]
fn a_command_that_cannot_start_leaves_nothing() {
    let spool = tempfile::tempdir().unwrap();
    let mut command = Command::new("/nonexistent/program");
    assert!(spawn(&mut command, Some(&watching(&spool)), &Answers::default()).is_err());
}

#[test]
fn watching_that_is_cut_short_says_so() {
    let spool = tempfile::tempdir().unwrap();
    let mut command = Command::new("/bin/sleep");
    let (mut child, watch) =
        spawn(command.arg("30"), Some(&watching(&spool)), &Answers::default()).unwrap();
    let trace = watch.stop();
    assert_eq!(trace.gaps.len(), 1, "{:?}", trace.gaps);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Not a test: what a nested watcher finds.
#[test]
#[ignore = "run by another test"]
fn watch_within() {
    // As a debugger it can, but not answer for the kernel.
    probe().unwrap();
    assert_eq!(can_answer().unwrap_err().raw_os_error(), Some(16), "EBUSY");
}

#[test]
fn it_is_known_whether_watching_is_possible() {
    probe().unwrap();
    let spool = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "watch_within"]).stdout(Stdio::null());
    let (mut child, watch) =
        spawn(&mut command, Some(&watching(&spool)), &Answers::default()).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(watch.finish().gaps.is_empty());
}

/// Not a test: what the next one runs under watch.
#[test]
#[ignore = "run by another test"]
fn reach_out() {
    let Ok(address) = std::env::var("REACH") else { return };
    std::net::TcpStream::connect(address).unwrap();
    std::os::unix::net::UnixStream::connect("/none/socket").unwrap_err();
    let own = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    std::net::TcpStream::connect(own.local_addr().unwrap()).unwrap();
    // The seeds of hash maps come from the system.
    std::hint::black_box(std::hash::RandomState::new());
}

#[test]
fn who_was_reached_is_named_and_who_is_not_there_is_not() {
    let spool = tempfile::tempdir().unwrap();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "reach_out"]).env("REACH", &address);
    command.stdout(Stdio::null());
    let (mut child, watch) =
        spawn(&mut command, Some(&watching(&spool)), &Answers::default()).unwrap();
    assert!(child.wait().unwrap().success());
    let trace = watch.finish();
    assert_eq!(trace.peers.iter().collect::<Vec<_>>(), [&address]);
    assert!(trace.entropy[&std::env::current_exe().unwrap()] > 0);
    assert!(trace.absent.contains(Path::new("/none")));
}

/// Runs a shell script with answers; gives what it printed, and what could not be answered.
fn answered(script: &str, answers: Answers) -> (String, BTreeSet<String>) {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]).stdout(Stdio::piped()).stdin(Stdio::null());
    let (child, watch) = spawn(&mut command, None, &answers).unwrap();
    let output = child.wait_with_output().unwrap();
    let trace = watch.finish();
    assert!(output.status.success(), "{script}: {output:?}");
    assert!(trace.things.is_empty(), "nothing is to be written down");
    (String::from_utf8_lossy(&output.stdout).into_owned(), trace.gaps)
}

/// The same, where everything could be answered.
fn told(script: &str, answers: Answers) -> String {
    let (said, gaps) = answered(script, answers);
    assert!(gaps.is_empty(), "{gaps:?}");
    said
}

#[test]
fn a_command_is_told_how_many_processors_it_may_use() {
    for count in [1, 2, 3, 24, 100] {
        let answers = Answers { processors: Some(count), ..Answers::default() };
        assert_eq!(told("nproc", answers).trim(), count.to_string());
    }
    // Who has chosen some of them has these, and so have those that it starts.
    let answers = Answers { processors: Some(8), ..Answers::default() };
    if Command::new("taskset").arg("--version").output().is_ok() {
        assert_eq!(told("taskset -c 5,7 nproc; nproc", answers), "2\n8\n");
        assert_eq!(told("taskset -c 6 sh -c 'nproc; (nproc)'", answers), "1\n1\n");
        assert_eq!(told("taskset -c 9 nproc 2>/dev/null || echo none", answers), "none\n");
    }
}

#[test]
fn random_bytes_are_the_same_for_the_same_seed() {
    // By a call, and by both devices; in processes that draw at the same time, in any order.
    let draw = "mktemp -u XXXXXXXXXXXX; head -c 16 /dev/urandom | od -An -tx1; \
                head -c 16 </dev/random | od -An -tx1";
    let shuffle = |name, delay| format!("(sleep 0.0{delay}; shuf -i 1-1000000 -n 3 >{name})");
    let folder = tempfile::tempdir().unwrap();
    let with = |seed, [a, b, c]: [u32; 3]| {
        let parts = [shuffle("a", a), shuffle("b", b), shuffle("c", c)].join(" & ");
        let script = format!("cd '{}'; {draw}; {parts} & wait; cat a b c", folder.path().display());
        told(&script, Answers { entropy: Some(seed), ..Answers::default() })
    };
    let first = with(1, [5, 3, 1]);
    assert_eq!(first.lines().count(), 12, "{first}");
    assert_eq!(first, with(1, [1, 3, 5]), "it hangs on who draws first");
    assert_ne!(first, with(2, [5, 3, 1]));
    let mut lines: Vec<&str> = first.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), 12, "two processes, or two draws, got the same: {first}");
}

#[test]
#[ignore = "run by another test"]
fn drawer() {
    // Each thread draws the seed of its hash maps.
    let draw = || std::thread::spawn(|| RandomState::new().hash_one(0)).join().unwrap();
    println!("drew {} {}", draw(), draw());
}

#[test]
fn one_process_does_not_draw_the_same_twice() {
    let answers = Answers { entropy: Some(3), ..Answers::default() };
    let devices = "exec 3</dev/urandom 4</dev/urandom; head -c 8 <&3 | od; head -c 8 <&4 | od";
    let said = told(devices, answers);
    let lines: Vec<&str> = said.lines().filter(|line| line.len() > 8).collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert_ne!(lines[0], lines[1]);
    let ourselves = std::env::current_exe().unwrap();
    let script = format!("'{}' --ignored --exact drawer --nocapture", ourselves.display());
    let said = told(&script, answers);
    let drew = said.lines().find_map(|line| line.strip_prefix("drew ")).unwrap();
    let (one, other) = drew.split_once(' ').unwrap();
    assert_ne!(one, other);
    assert!(told(&script, answers).contains(drew));
}

#[test]
fn a_draw_of_any_size_is_answered() {
    let script = "od -An -tx1 -N 300000 /dev/urandom | sha256sum; shuf -i 1-200000 | sha256sum";
    let answers = Answers { entropy: Some(5), ..Answers::default() };
    assert_eq!(told(script, answers), told(script, answers));
}

#[test]
fn the_time_of_day_is_the_one_that_is_told() {
    let answers = Answers { time: Some(1_000_000_000), ..Answers::default() };
    // `date` reads the clock without a call unless its image is changed.
    let said = told("date -u +%Y-%m-%dT%H:%M:%S; date +%s.%N", answers);
    // Time goes on from one process to the next.
    assert_eq!(said, "2001-09-09T01:46:40\n1000000000.000002000\n");
    // Other clocks go on, so that who waits does not wait for ever.
    assert_eq!(told("timeout 0.1 sleep 5 || echo ended", answers), "ended\n");
}

#[test]
fn who_waits_for_a_time_gets_there() {
    let answers = Answers { time: Some(1_000_000_000), ..Answers::default() };
    let ourselves = std::env::current_exe().unwrap();
    let waiter = format!("'{}' --ignored --exact waiter --nocapture", ourselves.display());
    let loops = [
        // By the time of processes that have ended, which sleep, or do nothing but ask.
        "e=$(( $(date +%s)+2 )); while [ $(date +%s) -lt $e ]; do sleep 0.2; done; echo done",
        "e=$(( $(date +%s)+2 )); while [ $(date +%s) -lt $e ]; do :; done; echo done",
        // By means that are no sleep.
        waiter.as_str(),
    ];
    for script in loops {
        let began = Instant::now();
        assert!(told(script, answers).contains("done"), "{script}");
        assert!(began.elapsed() < Duration::from_secs(20), "{script}: {:?}", began.elapsed());
    }
}

#[test]
#[ignore = "run by another test"]
fn waiter() {
    let (lock, condition) = (Mutex::new(()), Condvar::new());
    let until = SystemTime::now() + Duration::from_millis(500);
    while SystemTime::now() < until {
        drop(condition.wait_timeout(lock.lock().unwrap(), Duration::from_millis(20)).unwrap());
    }
    println!("done");
}

#[test]
#[ignore = "run by another test"]
fn sleeper() {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let (start, before) = (Instant::now(), now());
    sleep(Duration::from_millis(300));
    println!("slept {:?} {:?}", before, now() - before);
    assert!(start.elapsed() >= Duration::from_millis(300), "the clock to wait by stood still");
}

#[test]
fn who_sleeps_finds_that_time_has_passed() {
    let answers = Answers { time: Some(1_000_000_000), ..Answers::default() };
    let ourselves = std::env::current_exe().unwrap();
    let script = format!("'{}' --ignored --exact sleeper --nocapture", ourselves.display());
    let said = told(&script, answers);
    let line = said.lines().find_map(|line| line.strip_prefix("slept ")).unwrap();
    assert!(line.starts_with("1000000000.0") && line.ends_with(" 300.001ms"), "{said}");
}
