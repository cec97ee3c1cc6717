//! Ctrl-C and SIGKILL of the process that runs a command.
//!
//! The signals go to a second instance of this test program, which runs the ignored test below.
#![allow(clippy::unwrap_used)]
#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Bench, sh};
use lab_process::{Echo, Job, Plain, ProcessError, execute};

const FOLDER: &str = "LAB_TEST_FOLDER";

#[test]
#[ignore = "started by the other tests of this file"]
fn victim() {
    let folder = std::env::var_os(FOLDER).unwrap();
    let folder = Path::new(&folder);
    let bench = Bench::new();
    let script = fs::read_to_string(folder.join("script")).unwrap();
    let recipe = sh(&script).recipe();
    let scratch = folder.join("scratch");
    let job = Job {
        store: &bench.store,
        recipe: &recipe,
        scratch: &scratch,
        echo: Echo::Quiet,
        watcher: &Plain,
        cache: None,
        guardian: None,
        probe: None,
    };
    let said = match execute(&job) {
        Err(ProcessError::Interrupted { signal }) => format!("interrupted {signal}"),
        other => format!("{other:?}"),
    };
    fs::write(folder.join("said"), said).unwrap();
}

/// Starts the victim with a script that writes its process id to `$1/pid`, and waits for that.
fn start(folder: &Path, script: &str) -> (Child, String) {
    let script = script.replace("$1", folder.to_str().unwrap());
    fs::write(folder.join("script"), script).unwrap();
    // Whoever starts the tests in the background has SIGINT ignored, and that is inherited.
    let victim = Command::new("env")
        .arg("--default-signal=INT,HUP,TERM")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "victim", "--ignored"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid =
        wait_for(|| fs::read_to_string(folder.join("pid")).ok().filter(|s| s.ends_with('\n')));
    (victim, pid.trim().to_owned())
}

fn wait_for<T>(mut ready: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(Instant::now() < until, "nothing happened");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn signal(name: &str, victim: &Child) {
    let done = Command::new("kill").args([name, &victim.id().to_string()]).status().unwrap();
    assert!(done.success());
}

fn is_gone(pid: &str) -> Option<()> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z')).then_some(())
}

#[test]
fn ctrl_c_ends_the_command_and_leaves_nothing() {
    for (name, number) in [("-INT", 2), ("-TERM", 15), ("-HUP", 1)] {
        let dir = tempfile::tempdir().unwrap();
        // A helper that does not care is ended too.
        let (mut victim, pid) =
            start(dir.path(), "(trap '' INT HUP TERM; sleep 101) & echo $! > $1/pid; sleep 100");
        signal(name, &victim);
        victim.wait().unwrap();
        assert_eq!(
            fs::read_to_string(dir.path().join("said")).unwrap(),
            format!("interrupted {number}")
        );
        wait_for(|| is_gone(&pid));
        assert_eq!(fs::read_dir(dir.path().join("scratch")).unwrap().count(), 0);
    }
}

#[test]
fn the_command_hears_ctrl_c_once_and_may_clean_up() {
    let dir = tempfile::tempdir().unwrap();
    let script = "trap 'echo heard >> $1/heard' INT; echo $$ > $1/pid
                  while [ ! -e $1/heard ]; do sleep 0.05; done; sleep 0.5; echo end >> $1/heard";
    let (mut victim, _) = start(dir.path(), script);
    signal("-INT", &victim);
    victim.wait().unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("heard")).unwrap(), "heard\nend\n");
    assert_eq!(fs::read_to_string(dir.path().join("said")).unwrap(), "interrupted 2");
}

#[test]
fn a_second_ctrl_c_kills() {
    let dir = tempfile::tempdir().unwrap();
    let script = "trap 'echo heard > $1/heard' INT; echo $$ > $1/pid; while :; do sleep 0.05; done";
    let (mut victim, pid) = start(dir.path(), script);
    signal("-INT", &victim);
    wait_for(|| dir.path().join("heard").exists().then_some(()));
    let before = Instant::now();
    signal("-INT", &victim);
    victim.wait().unwrap();
    wait_for(|| is_gone(&pid));
    assert!(before.elapsed() < Duration::from_secs(4));
}

#[test]
fn sigkill_takes_the_command_along() {
    let dir = tempfile::tempdir().unwrap();
    let (mut victim, pid) = start(dir.path(), "echo $$ > $1/pid; exec sleep 100");
    signal("-KILL", &victim);
    victim.wait().unwrap();
    wait_for(|| is_gone(&pid));
}
