//! A watcher other than ours: the seam is real.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::sync::Mutex;
use std::time::Duration;

use common::{Bench, argv, status};
use lab_process::{Ended, Exit, Launch, Note, ProcessError, Watcher};
use lab_schema::{Completeness, Status};

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
