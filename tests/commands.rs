//! Running commands: what is recorded, what they can see, and what verify says.
#![allow(clippy::unwrap_used, missing_docs)]

mod kit;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use kit::{Place, said};

#[test]
fn a_command_sees_its_named_inputs_and_nothing_else() {
    let place = Place::registry();
    place.write("data/in.txt", "hello\n");
    place.write("secret.txt", "not named\n");
    place
        .lab([
            "run",
            "--name",
            "base",
            "-i",
            "in.txt=data/in.txt",
            "-o",
            "out.txt",
            "--",
            "sh",
            "-c",
            "ls > out.txt; cat in.txt >> out.txt; dd if=/dev/zero of=/dev/null bs=64M count=1",
        ])
        .succeeds()
        .says("out.txt");
    assert_eq!(place.lab(["cat", "base:out.txt"]).succeeds().out, "in.txt\nout.txt\nhello\n");
    let shown = place.lab(["show", "base", "--json"]).succeeds().json();
    assert_eq!(shown["status"], "succeeded");
    assert_eq!(shown["recipe_body"]["argv"][0], "sh");
    let peak = shown["peak_memory_bytes"].as_u64().unwrap();
    assert!(
        (64_000_000..200_000_000).contains(&peak),
        "dd with a block of 64 MiB used {peak} bytes"
    );
    assert!(shown["host"]["cpus"].as_u64().unwrap() >= 1);
    assert_eq!(shown["who"], "ana");
    place.lab(["verify", "base"]).succeeds().says("identical").says("1 of 1 output");
    place.lab(["log"]).succeeds().says("verified once");
    place.lab(["get", "base", "back"]).succeeds();
    assert_eq!(place.read("back/out.txt"), b"in.txt\nout.txt\nhello\n");
}

#[test]
fn a_command_that_reads_the_clock_diverges() {
    let place = Place::registry();
    place
        .lab(["run", "--name", "clock", "-o", "now", "--", "sh", "-c", "date +%s%N > now"])
        .succeeds();
    let said = place.lab(["verify", "clock"]).exits(1).says("diverged").says("now").says("likely");
    assert!(said.out.contains("another result each time"), "{}", said.out);
    place.lab(["log"]).succeeds().says("diverged once");
}

#[test]
fn an_interpreter_that_is_gone_is_in_the_record() {
    let place = Place::registry();
    place.write("bin/myinterp", "#!/bin/sh\nexec sh \"$@\"\n");
    fs::set_permissions(place.at("bin/myinterp"), fs::Permissions::from_mode(0o755)).unwrap();
    let program = place.at("bin/myinterp").display().to_string();
    let run = ["run", "-o", "x", "--name", "base", "--", &program, "-c", "echo 1 > x"];
    place.lab(run).succeeds();
    let apart =
        ["run", "--apart", "-o", "x", "--name", "apart", "--", &program, "-c", "echo 1 > x"];
    place.lab(apart).succeeds();
    for name in ["base", "apart"] {
        place.lab(["verify", name]).succeeds().says("identical");
    }
    fs::remove_dir_all(place.at("bin")).unwrap();
    // What was watched has its interpreter in its record; without a box it is missed.
    for name in ["base", "apart"] {
        if kit::allows_boxes() {
            place.lab(["verify", name]).succeeds().says("identical").says(", sealed");
        } else {
            place.lab(["verify", name]).exits(1).says("failed").says("myinterp");
        }
    }
    // At recording time it is an error, and nothing is recorded.
    let runs = place.lab(["log", "--json"]).succeeds().json().as_array().unwrap().len();
    place.lab(["run", "--", "no-such-program"]).exits(3).complains("no-such-program");
    assert_eq!(place.lab(["log", "--json"]).succeeds().json().as_array().unwrap().len(), runs);
}

#[test]
fn failure_is_recorded_and_does_not_take_the_name() {
    let place = Place::registry();
    place.lab(["run", "--name", "base", "-o", "x", "--", "sh", "-c", "echo 1 > x"]).succeeds();
    let good = place.id("base");
    place
        .lab(["run", "--name", "base", "-o", "x", "--", "sh", "-c", "echo oops >&2; exit 3"])
        .exits(1)
        .complains("exited with 3");
    place
        .lab(["run", "--name", "base", "-o", "y", "--", "true"])
        .exits(1)
        .complains("did not leave y");
    place
        .lab(["run", "--name", "base", "--time-limit", "300ms", "--", "sleep", "20"])
        .exits(1)
        .complains("limit");
    place
        .lab(["run", "--name", "base", "--", "sh", "-c", "kill -9 $$"])
        .exits(1)
        .complains("signal 9");
    assert_eq!(place.id("base"), good);
    let log = place.lab(["log"]).succeeds().says("exited with 3");
    assert_eq!(log.out.lines().count(), 5);
}

#[test]
fn without_declared_outputs_everything_written_is_kept() {
    let place = Place::registry();
    place.write("in.txt", "a\n");
    place
        .lab([
            "run",
            "--name",
            "base",
            "-i",
            "in.txt",
            "--",
            "sh",
            "-c",
            "mkdir d; echo 1 > d/x; echo 2 > y",
        ])
        .succeeds();
    let listed = place.lab(["ls", "base"]).succeeds().says("d/x").says("y");
    assert!(!listed.out.contains("in.txt"), "{}", listed.out);
    // With declared outputs the others are named.
    place
        .lab(["run", "-o", "y", "--", "sh", "-c", "echo 1 > x; echo 2 > y"])
        .succeeds()
        .complains("x");
}

#[test]
fn tolerances_make_close_results_equivalent() {
    let place = Place::registry();
    // Differs in the 9th digit with every run.
    let script = "printf '{\"accuracy\": 0.9722%04d}' $(( $(date +%N | sed 's/^0*//') % 9999 )) > metrics.json";
    place
        .lab([
            "run",
            "--name",
            "loose",
            "-o",
            "metrics.json",
            "--tolerance",
            "metrics.json=1e-2",
            "--",
            "sh",
            "-c",
            script,
        ])
        .succeeds()
        .says("accuracy");
    place.lab(["verify", "loose"]).succeeds().says("equivalent").says("accuracy").says("tolerance");
    place
        .lab(["run", "--name", "strict", "-o", "metrics.json", "--", "sh", "-c", script])
        .succeeds();
    place.lab(["verify", "strict"]).exits(1).says("diverged").says("accuracy");
    place.lab(["run", "--tolerance", "other.json=1", "-o", "x", "--", "true"]).exits(2);
}

#[test]
fn code_is_captured_as_it_is_committed_or_not() {
    let place = Place::registry();
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=ana", "-c", "user.email=a@example.org"]).args(args);
        said(command.current_dir(place.path()).env("HOME", place.path())).succeeds()
    };
    git(&["init", "-q", "-b", "main"]);
    place.write("train.sh", "echo committed > out\n");
    place.write(".gitignore", "ignored.sh\n");
    git(&["add", "train.sh", ".gitignore"]);
    git(&["commit", "-qm", "first"]);
    place
        .lab(["run", "--apart", "--name", "clean", "-o", "out", "--", "sh", "train.sh"])
        .succeeds()
        .says("clean commit");
    place.write("train.sh", ". ./untracked.sh\n");
    place.write("untracked.sh", "echo edited > out; ls > list\n");
    place.write("ignored.sh", "no\n");
    place
        .lab([
            "run", "--apart", "--name", "dirty", "-o", "out", "-o", "list", "--", "sh", "train.sh",
        ])
        .succeeds()
        .says("2 files not committed");
    assert_eq!(place.lab(["cat", "dirty:out"]).succeeds().out, "edited\n");
    let list = place.lab(["cat", "dirty:list"]).succeeds().out;
    assert!(list.contains("untracked.sh") && !list.contains("ignored.sh"), "{list}");
    let shown = place.lab(["show", "dirty", "--json"]).succeeds().json();
    assert_eq!(shown["git"]["branch"], "main");
    assert_eq!(shown["git"]["dirty"], serde_json::json!(["train.sh", "untracked.sh"]));
    // The code is gone from the work tree; the record still has it.
    fs::remove_file(place.at("untracked.sh")).unwrap();
    git(&["checkout", "-q", "train.sh"]);
    place.lab(["verify", "dirty"]).succeeds().says("identical");
    let diff = place.lab(["diff", "clean", "dirty"]).exits(1).says("train.sh").says("untracked.sh");
    assert!(diff.out.find("train.sh") < diff.out.find("consequence"), "{}", diff.out);
}

#[test]
fn the_environment_is_recorded_by_choice_and_secrets_are_refused() {
    let place = Place::registry();
    let script = "env | sort > env";
    let run = |args: &[&str]| {
        let mut command = place.command();
        command
            .env("SECRET_TOKEN", "hunter2")
            .env("UNRELATED", "x")
            .env("OMP_NUM_THREADS", "2")
            .env("LC_ALL", "C");
        said(
            command
                .args(["run", "--name", "base", "-o", "env"])
                .args(args)
                .args(["--", "sh", "-c", script]),
        )
    };
    run(&["--env", "COLOUR=red"]).succeeds();
    let seen = place.lab(["cat", "base:env"]).succeeds().out;
    assert!(seen.contains("OMP_NUM_THREADS=2") && seen.contains("COLOUR=red"), "{seen}");
    assert!(!seen.contains("hunter2") && !seen.contains("UNRELATED"), "{seen}");
    run(&["--env", "SECRET_TOKEN"]).exits(4).complains("looks like a secret");
    run(&["--env", "NOT_SET_ANYWHERE"]).exits(2).complains("not set");
    // Nor is the value in any record: what a run shows is all that it holds.
    let shown = place.lab(["show", "base", "--json"]).succeeds().out;
    assert!(!shown.contains("hunter2") && shown.contains("OMP_NUM_THREADS"), "{shown}");
}

/// The bytes that a terminal would be steered by never reach it.
#[test]
fn hostile_names_are_printed_escaped() {
    let place = Place::registry();
    place.write("data/\u{1b}[2J evil\nname", "x");
    place.lab(["add", "data", "--name", "data"]).succeeds();
    let listed = place.lab(["ls", "data"]).succeeds();
    assert!(!listed.out.contains('\u{1b}') && listed.out.lines().count() == 1, "{:?}", listed.out);
}

#[test]
fn interrupting_a_run_stops_the_command_and_records_nothing() {
    let place = Place::registry();
    let mut command = place.command();
    command.args([
        "run",
        "-o",
        "x",
        "--",
        "sh",
        "-c",
        "echo $$ > /proc/self/fd/1; exec sleep 61.25",
    ]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    // Not INT: whoever starts the tests in the background has it ignored.
    said(Command::new("kill").args(["-TERM", &child.id().to_string()])).succeeds();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143), "128 and the number of TERM");
    let pid = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(!pid.is_empty(), "the command had not started");
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "the command outlived lab");
    assert_eq!(place.lab(["log", "--json"]).succeeds().json(), serde_json::json!([]));
    place.lab(["check"]).succeeds();
}

/// Another run left the same bytes first; what is named through a run is of that run.
#[test]
fn an_output_named_through_its_run_is_of_that_run() {
    let place = Place::registry();
    let run = |name: &str, script: &str| {
        place
            .lab(["run", "--name", name, "-o", "a", "-o", "q", "--", "sh", "-c", script])
            .succeeds();
    };
    run("first", "echo same > a; echo steady > q");
    run("second", "echo same > a; date +%s%N > q");
    assert_eq!(place.id("first:a"), place.id("second:a"));
    place.lab(["verify", "first:a"]).succeeds();
    place.lab(["verify", "second:a"]).exits(1).says("diverged").says("second");
    place.lab(["diff", "first:a", "second:a"]).exits(1);
    let second = place.id("second");
    place.lab(["why", "second:a"]).succeeds().says(&second[..12]).says("also left by run");
    place.lab(["graph", "second:a"]).succeeds().says(&second[..12]);
}

#[test]
fn a_script_given_as_an_input_can_be_executed() {
    let place = Place::registry();
    place.write("go.sh", "#!/bin/sh\necho gone > out\n");
    fs::set_permissions(place.at("go.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    place.lab(["run", "--name", "go", "-i", "go.sh", "-o", "out", "--", "./go.sh"]).succeeds();
    assert_eq!(place.lab(["cat", "go:out"]).succeeds().out, "gone\n");
}

#[test]
fn a_name_that_hides_a_file_is_said_to() {
    let place = Place::registry();
    place.write("data.csv", "old");
    place.lab(["add", "data.csv", "--name", "data.csv"]).succeeds();
    place.write("data.csv", "new");
    let run = |input: &str| {
        place
            .lab(["run", "--name", "copy", "-i", input, "-o", "out", "--", "cp", "data.csv", "out"])
            .succeeds()
    };
    run("data.csv").complains("./data.csv means the file");
    assert_eq!(place.lab(["cat", "copy:out"]).succeeds().out, "old");
    run("./data.csv");
    assert_eq!(place.lab(["cat", "copy:out"]).succeeds().out, "new");
}

#[test]
fn secrets_beside_the_code_are_not_recorded() {
    let place = Place::registry();
    said(Command::new("git").args(["init", "-q"]).current_dir(place.path())).succeeds();
    place.write(".env", "TOKEN=hunter2");
    place.write("train.sh", "ls -a > out");
    place
        .lab(["run", "--apart", "--name", "base", "-o", "out", "--", "sh", "train.sh"])
        .succeeds()
        .complains(".env");
    let seen = place.lab(["cat", "base:out"]).succeeds().out;
    assert!(seen.contains("train.sh") && !seen.contains(".env"), "{seen}");
    let shown = place.lab(["show", "base", "--json"]).succeeds().json();
    let code = shown["recipe_body"]["code"].as_str().unwrap().to_owned();
    place.lab(["cat", &format!("{code}/.env")]).exits(3);
}

/// What a killed `lab` leaves of a run, the next run removes.
#[test]
fn the_folder_of_a_killed_run_is_swept() {
    let place = Place::registry();
    let mut command = place.command();
    command.args(["run", "-o", "x", "--", "sleep", "7.125"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    child.kill().unwrap();
    child.wait().unwrap();
    let left = || fs::read_dir(place.at(".lab/scratch")).unwrap().count();
    assert_eq!(left(), 1);
    place.lab(["run", "-o", "x", "--", "sh", "-c", "echo 1 > x"]).succeeds();
    assert_eq!(left(), 0);
}
