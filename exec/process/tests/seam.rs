//! A watcher other than ours: the seam is real.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use common::{Bench, argv, status};
use lab_process::{Echo, Ended, Exit, Launch, Note, Plain, ProcessError, Watcher};
use lab_schema::{Completeness, Limits, Status};

/// Writes down what it is asked, starts nothing, and claims what it is told to.
struct Fake {
    asked: Mutex<Vec<(Vec<String>, String)>>,
    exit: Exit,
}

impl Watcher for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn completeness(&self, ended: &Ended) -> Completeness {
        match ended.exit {
            Exit::Code(0) => Completeness::Complete,
            _ => Completeness::Incomplete("the fake saw nothing".to_owned()),
        }
    }

    fn launch(&self, launch: &Launch<'_>) -> Result<Ended, ProcessError> {
        let seen = fs::read_to_string(launch.directory.join("in")).unwrap();
        self.asked.lock().unwrap().push((launch.argv.to_vec(), seen));
        assert!(launch.program.is_absolute() && launch.scratch.is_dir());
        fs::write(launch.stdout, "faked").unwrap();
        fs::write(launch.stderr, "").unwrap();
        fs::write(launch.directory.join("out"), "made").unwrap();
        Ok(Ended {
            exit: self.exit,
            started_ms: 7,
            duration: Duration::from_millis(9),
            peak_memory_bytes: Some(11),
            notes: vec![Note::StreamHeld],
            trace: None,
        })
    }
}

#[test]
fn a_watcher_decides_how_it_went_and_how_much_that_is_worth() {
    let bench = Bench::new();
    let recipe = argv(&["sh", "x"]).input("in", bench.file("data")).recipe();
    let run = |exit| {
        let fake = Fake { asked: Mutex::default(), exit };
        let execution = bench.run_with(&recipe, &fake).unwrap();
        let asked = fake.asked.into_inner().unwrap();
        assert_eq!(asked, [(vec!["sh".to_owned(), "x".to_owned()], "data".to_owned())]);
        assert_eq!(bench.stdout(&execution), "faked");
        assert_eq!(bench.output(&execution, "out"), "made");
        assert_eq!(execution.notes, [Note::StreamHeld]);
        execution
    };
    let good = run(Exit::Code(0));
    assert_eq!(good.outcome.completeness, Completeness::Complete);
    assert_eq!((good.outcome.started_ms, good.outcome.duration_ms), (7, 9));
    assert_eq!(good.outcome.peak_memory_bytes, Some(11));
    let bad = run(Exit::Signal(6));
    assert_eq!(*status(&bad), Status::Signalled(6));
    assert!(matches!(bad.outcome.completeness, Completeness::Incomplete(_)));
}

#[test]
#[cfg(target_os = "linux")]
fn a_log_that_cannot_be_written_stops_the_command() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().to_str().unwrap();
    let launch = Launch {
        program: Path::new("/bin/sleep"),
        argv: &["sleep".to_owned(), "100".to_owned()],
        directory: dir.path(),
        variables: &BTreeMap::from([("TMPDIR".into(), dir.path().into())]),
        limits: Limits::default(),
        grace: Duration::from_secs(5),
        echo: Echo::Quiet,
        spool: dir.path(),
        stdout: &dir.path().join("no/such/folder"),
        stderr: &dir.path().join("stderr"),
        max_log_bytes: 1,
        scratch: dir.path(),
        guardian: None,
    };
    let error = Plain.launch(&launch).unwrap_err().to_string();
    assert!(error.contains("no/such/folder"), "{error}");
    let alive = |entry: fs::DirEntry| {
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(mark)
    };
    assert!(!fs::read_dir("/proc").unwrap().filter_map(Result::ok).any(alive));
}

#[test]
fn limits_of_logs_and_of_time_are_the_launchers_to_set() {
    let dir = tempfile::tempdir().unwrap();
    let script = "trap '' TERM; echo 1234; while :; do sleep 0.1; done";
    let launch = Launch {
        program: Path::new("/bin/sh"),
        argv: &["sh".to_owned(), "-c".to_owned(), script.to_owned()],
        directory: dir.path(),
        variables: &BTreeMap::from([("PATH".into(), "/bin:/usr/bin".into())]),
        limits: Limits { wall_ms: Some(150), memory_bytes: None },
        grace: Duration::from_millis(150),
        echo: Echo::Quiet,
        spool: dir.path(),
        stdout: &dir.path().join("stdout"),
        stderr: &dir.path().join("stderr"),
        max_log_bytes: 2,
        scratch: dir.path(),
        guardian: None,
    };
    let ended = Plain.launch(&launch).unwrap();
    assert_eq!(ended.exit, Exit::TimedOut);
    assert!(ended.duration >= Duration::from_millis(300));
    assert!(ended.notes.contains(&Note::LogCut { stream: "stdout", bytes: 5, kept: 2 }));
    assert_eq!(Plain.completeness(&ended), Completeness::Declared);
}
