//! What a watched run promises when the world is against it: its record names everything that the
//! command read, or says that it is incomplete; nothing is lost or half done.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]
#![cfg(target_os = "linux")]

mod kit;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use kit::{Place, Said, said};

/// Runs a shell script where its files lie, under a name.
#[must_use = "demand an exit code"]
fn run(place: &Place, name: &str, script: &str) -> Said {
    place.lab(["run", "--name", name, "--", "sh", "-c", script])
}

/// Whether the record says that it names everything.
fn is_complete(place: &Place, name: &str) -> bool {
    let shown = place.lab(["show", name, "--json"]).succeeds().json();
    shown["complete"].as_bool().unwrap()
}

/// Demands that the record says what it lacks, and that nobody does it again.
fn is_incomplete(place: &Place, name: &str, why: &str) {
    assert!(!is_complete(place, name), "the record of {name} claims to be complete");
    place.lab(["show", name]).succeeds().says("incomplete").says(why);
    place.lab(["verify", name]).exits(1).says("unverifiable");
}

/// Demands that doing it again gives the same, from the record alone where that is possible.
fn holds(place: &Place, name: &str) {
    let verified = place.lab(["verify", name]).succeeds().says("identical");
    if kit::allows_boxes() {
        verified.says(", sealed");
    }
}

/// The inputs of a run, as they are shown.
fn inputs(place: &Place, name: &str) -> Vec<String> {
    let shown = place.lab(["show", name]).succeeds().out;
    let lines = shown.lines().filter_map(|line| line.strip_prefix("  input "));
    lines.map(|line| line.trim().split_once("  ").unwrap().1.to_owned()).collect()
}

/// What a tree of the recipe (`code`, `environment`) has at a path.
fn in_tree(place: &Place, name: &str, tree: &str, path: &str) -> Said {
    let shown = place.lab(["show", name, "--json"]).succeeds().json();
    let id = shown["recipe_body"][tree].as_str().unwrap().to_owned();
    place.lab(["cat", &format!("{id}/{path}")])
}

/// The BLAKE3 hash of a file, as another registry computes it.
fn hash(bytes: &[u8]) -> String {
    let other = Place::registry();
    other.write("file", bytes);
    other.lab(["add", "file", "--name", "file"]).succeeds();
    other.id("file")
}

fn soon<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let until = Instant::now() + Duration::from_secs(15);
    while Instant::now() < until {
        if let Some(found) = look() {
            return Some(found);
        }
        sleep(Duration::from_millis(10));
    }
    None
}

/// A word in the environment of a command, by which its processes are found; they end with it.
struct Mark(String);

impl Mark {
    fn new() -> Mark {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        Mark(format!("WATCHED_MARK={}-{number}", std::process::id()))
    }

    /// Those that run.
    fn processes(&self) -> Vec<String> {
        let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let pids = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let marked = |pid: &String| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|b| *b == 0).any(|v| v == self.0.as_bytes())
        };
        pids.filter(|pid| pid.bytes().all(|b| b.is_ascii_digit())).filter(marked).collect()
    }

    fn all_end(&self) -> bool {
        soon(|| self.processes().is_empty().then_some(())).is_some()
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        for pid in self.processes() {
            let _ = Command::new("kill").args(["-KILL", &pid]).status();
        }
    }
}

/// `lab run` of a marked script, started.
fn start(place: &Place, mark: &Mark, script: &str) -> std::process::Child {
    let mut command = place.command();
    command.args(["run", "--env", &mark.0, "--", "sh", "-c", script]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn signal(name: &str, child: &std::process::Child) {
    said(Command::new("kill").args([name, &child.id().to_string()])).succeeds();
}

/// Demands a sound store in which runs go on and leave nothing behind.
fn goes_on(place: &Place, runs: usize) {
    place.lab(["check"]).succeeds().says("sound");
    let log = place.lab(["log", "--json"]).succeeds().json();
    assert_eq!(log.as_array().unwrap().len(), runs, "{log}");
    run(place, "next", "echo next > next").succeeds();
    assert_eq!(fs::read_dir(place.at(".lab/scratch")).unwrap().count(), 0, "scratch was left");
    holds(place, "next");
}

// ---- ends ------------------------------------------------------------------------------------

#[test]
fn a_killed_lab_takes_the_command_along() {
    let place = Place::registry();
    let mark = Mark::new();
    place.write("data", "x");
    let mut child = start(&place, &mark, "cat data; echo a > out; exec sleep 33.25");
    assert!(soon(|| place.at("out").exists().then_some(())).is_some());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(mark.all_end(), "processes outlived lab: {:?}", mark.processes());
    goes_on(&place, 0);
}

#[test]
fn a_killed_lab_takes_helpers_of_the_command_along() {
    let place = Place::registry();
    let mark = Mark::new();
    // One that sleeps, one that computes, and one in a session of its own.
    let script = "sh -c 'sleep 34.5; :' & sh -c 'while :; do :; done' & setsid sleep 35.5 &
                  echo a > out; wait";
    let mut child = start(&place, &mark, script);
    assert!(soon(|| (mark.processes().len() >= 5).then_some(())).is_some());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(mark.all_end(), "processes outlived lab: {:?}", mark.processes());
    goes_on(&place, 0);
}

#[test]
fn lab_can_be_killed_at_any_time() {
    let place = Place::registry();
    place.write("data", "x");
    for delay in [0, 20, 50, 90, 140, 200, 300, 500] {
        let mark = Mark::new();
        let mut child = start(&place, &mark, "cat data > out; for i in 1 2 3; do cp out o$i; done");
        sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(mark.all_end(), "after {delay} ms: {:?}", mark.processes());
        place.lab(["check"]).succeeds().says("sound");
    }
    run(&place, "next", "echo next > next").succeeds();
    assert_eq!(fs::read_dir(place.at(".lab/scratch")).unwrap().count(), 0);
}

#[test]
fn a_signal_to_lab_stops_the_command_and_nothing_is_recorded() {
    for (name, code) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129)] {
        let place = Place::registry();
        let mark = Mark::new();
        // Whoever starts the tests in the background has INT ignored.
        let mut command = Command::new("env");
        command.args(["--default-signal=INT,HUP", kit::lab(), "run", "--env", &mark.0]);
        command.args(["--", "sh", "-c", "setsid sleep 36.5 & echo a > out; sleep 37.5; echo b"]);
        let plain = place.command();
        let variables: Vec<_> = plain.get_envs().filter_map(|(k, v)| Some((k, v?))).collect();
        command.env_clear().envs(variables).current_dir(place.path()).stdin(Stdio::null());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        assert!(soon(|| place.at("out").exists().then_some(())).is_some());
        signal(name, &child);
        let output = child.wait_with_output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{name}: {complaint}");
        assert!(mark.all_end(), "{name}: {:?}", mark.processes());
        goes_on(&place, 0);
    }
}

#[test]
fn a_storm_of_processes_is_watched_to_its_end() {
    let place = Place::registry();
    place.write("data", "x\n");
    let script = "i=0; while [ $i -lt 500 ]; do (read l < data; echo $i $l > out.$((i % 7))) & i=$((i+1)); done
                  wait; cat out.* | wc -l > /dev/null; rm out.*; echo done > end";
    run(&place, "storm", script).succeeds();
    assert!(is_complete(&place, "storm"));
    assert_eq!(inputs(&place, "storm"), ["data"]);
    place.lab(["ls", "storm"]).succeeds().says("end");
    holds(&place, "storm");
}

#[test]
fn a_tree_of_processes_is_watched_to_its_leaves() {
    let place = Place::registry();
    place.write("data", "leaf\n");
    place.write(
        "grow.sh",
        "[ $1 = 0 ] && exec cat data > leaf.$2\nsh grow.sh $(($1-1)) ${2}l & sh grow.sh $(($1-1)) ${2}r & wait\n",
    );
    run(&place, "tree", "sh grow.sh 6 x").succeeds();
    assert!(is_complete(&place, "tree"));
    let listed = place.lab(["ls", "tree"]).succeeds().out;
    assert_eq!(listed.lines().count(), 64, "{listed}");
    holds(&place, "tree");
}

#[test]
fn daemons_are_awaited_or_stopped_and_named() {
    let place = Place::registry();
    place.write("data", "x\n");
    // Ends by itself in time.
    run(&place, "short", "setsid sh -c 'sleep 0.2; cat data > out' &").succeeds();
    let left = place.lab(["ls", "short"]).succeeds().out;
    assert!(left.contains("out"), "{left}");
    assert_eq!(inputs(&place, "short"), ["data"]);
    assert!(is_complete(&place, "short"));
    // Has to be stopped.
    let mark = Mark::new();
    let script = "setsid sh -c 'sleep 20.5; cat data > late' &";
    let args = ["run", "--name", "long", "--env", &mark.0, "--", "sh", "-c", script];
    let ran = place.lab(args).succeeds();
    if mark.processes().is_empty() {
        assert!(ran.err.contains("sleep"), "{}", ran.err);
    } else {
        // It was becoming another program in the only moment that it was looked for.
        is_incomplete(&place, "long", "ran on");
    }
    drop(mark);
    assert!(!place.at("late").exists());
    // Hides: it left the group and cleared its environment.
    let mark = Mark::new();
    let script =
        format!("setsid env -i {} PATH=\"$PATH\" sh -c 'sleep 5; cat data > hidden' & :", mark.0);
    let before = Instant::now();
    run(&place, "hidden", &script).succeeds();
    assert!(before.elapsed() < Duration::from_secs(20));
    is_incomplete(&place, "hidden", "ran on");
    drop(mark);
}

// ---- programs --------------------------------------------------------------------------------

/// Compiles a program that prints its first argument's file, and has a child print the second's;
/// whether there is a compiler.
fn compile(place: &Place, flags: &[&str]) -> bool {
    place.write(
        "prog.rs",
        r#"fn main() {
            let args: Vec<String> = std::env::args().collect();
            print!("{}", std::fs::read_to_string(&args[1]).unwrap());
            let child = std::process::Command::new("/bin/cat").arg(&args[2]).status();
            assert!(child.unwrap().success());
        }"#,
    );
    let mut command = Command::new("rustc");
    command.args(["--edition=2021", "-Cdebuginfo=0", "-o", "prog", "prog.rs"]).args(flags);
    if let Err(why) = Command::new("rustc").arg("--version").output() {
        println!("skipped: no program can be compiled here (rustc: {why})");
        return false;
    }
    said(command.current_dir(place.path())).succeeds();
    fs::remove_file(place.at("prog.rs")).unwrap();
    true
}

#[test]
fn static_programs_and_what_they_spawn_are_seen() {
    let place = Place::registry();
    if !compile(&place, &["-Ctarget-feature=+crt-static"]) {
        return;
    }
    place.write("one", "1\n");
    place.write("two", "2\n");
    place.lab(["run", "--name", "it", "--", "./prog", "one", "two"]).succeeds();
    assert_eq!(inputs(&place, "it"), ["one", "two"]);
    assert!(is_complete(&place, "it"));
    in_tree(&place, "it", "code", "prog").succeeds();
    holds(&place, "it");
}

/// A 32-bit program that does nothing but end: `exit(0)` by the old gate.
fn narrow() -> Vec<u8> {
    let code = [0xb8, 1, 0, 0, 0, 0x31, 0xdb, 0xcd, 0x80_u8];
    let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let half = |file: &mut Vec<u8>, n: u16| file.extend(n.to_le_bytes());
    let word = |file: &mut Vec<u8>, n: u32| file.extend(n.to_le_bytes());
    half(&mut file, 2); // a program
    half(&mut file, 3); // for the 386
    for n in [1, 0x0804_8054, 52, 0, 0] {
        word(&mut file, n);
    }
    for n in [52, 32, 1, 0, 0, 0] {
        half(&mut file, n);
    }
    let size = 84 + u32::try_from(code.len()).unwrap();
    for n in [1, 0, 0x0804_8000, 0x0804_8000, size, size, 5, 0x1000] {
        word(&mut file, n);
    }
    file.extend(code);
    file
}

#[test]
fn a_32_bit_program_makes_the_record_incomplete() {
    let place = Place::registry();
    place.write("old", narrow());
    fs::set_permissions(place.at("old"), fs::Permissions::from_mode(0o755)).unwrap();
    let native = Command::new(place.at("old")).status();
    if !native.as_ref().is_ok_and(std::process::ExitStatus::success) {
        println!("this machine runs no 32-bit programs ({native:?}): only the attempt is tried");
    }
    let ran = run(&place, "old", "./old; echo made > out");
    assert_eq!(ran.code, 0, "{}", ran.err);
    is_incomplete(&place, "old", "32-bit");
}

#[test]
fn what_cannot_be_started_is_said_as_ever() {
    let place = Place::registry();
    place.write("script", "#!/no/such/interpreter\n");
    place.write("plain", "#!/bin/sh\n");
    place.write("garbage", "\u{1}\u{2}\u{3}");
    for name in ["script", "garbage"] {
        fs::set_permissions(place.at(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let run = |program: &str| place.lab(["run", "--", program]);
    run("./script").exits(3).complains("/no/such/interpreter").complains("hint:");
    run("./plain").exits(4).complains("chmod +x");
    run("./nothing").exits(3).complains("./nothing");
    run("no-such-program").exits(3).complains("no-such-program").complains("hint:");
    place.write("folder/x", "");
    run("./folder").exits(4).complains("folder");
    goes_on(&place, 0);
    // As everywhere, a shell is asked to make sense of what the system cannot execute.
    run("./garbage").exits(1).complains("exited with 127");
}

#[test]
fn what_is_seen_is_the_same_by_every_way_of_watching() {
    let place = Place::registry();
    place.write("data/one", "1\n");
    place.write("data/two", "2\n");
    std::os::unix::fs::symlink("data", place.at("link")).unwrap();
    place.write("script", "#!/bin/sh\ncat link/two | sort; echo >&2 err\n");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(place.at("script"), executable).unwrap();
    // Processes side by side, a script, links, edits in place, moves, a listing, a look-up in vain, a signal,
    // a program that is not there, one that is stopped and goes on. (It gets time to become that program.)
    let command = "rm -rf out; mkdir out; (./script >out/a) & (ls link >out/b; cat data/one >out/c) & wait
                   echo 3 >>data/one; mv data/one out/one; echo 1 >data/one; cat none 2>/dev/null
                   nothing-of-the-kind 2>/dev/null; sh -c 'kill -TERM $$'; sleep 5 & sleep 0.3; kill -STOP $!; kill -CONT $!
                   kill $!; wait; trap 'echo trapped >out/t' USR1; kill -USR1 $$; exit 0";
    let ways = ["", "ptrace", "ptrace-always"];
    for way in ways {
        let mut lab = place.command();
        lab.args(["run", "--name", &format!("by{way}"), "--", "sh", "-c", command]);
        let said = kit::said(lab.env("LAB_TRACER", way)).succeeds();
        if said.err.contains("cannot be watched here") {
            return println!("skipped: this machine allows no debuggers");
        }
        assert!(is_complete(&place, &format!("by{way}")));
        let missing = |words: &[&str]| {
            let mut lab = place.command();
            kit::said(lab.env("LAB_TRACER", way).args(["run", "--"]).args(words))
        };
        missing(&["sh", "-c", "exit 7"]).exits(1).complains("exited with 7");
        missing(&["sh", "-c", "kill -KILL $$"]).exits(1).complains("signal 9");
        missing(&["nothing-of-the-kind"]).exits(3).complains("no program");
        missing(&["./data/two"]).exits(4).complains("not executable");
    }
    for way in &ways[1..] {
        place.lab(["diff", "by", &format!("by{way}")]).succeeds();
        holds(&place, &format!("by{way}"));
    }
}

#[test]
fn a_run_in_a_run_is_watched_too() {
    let place = Place::registry();
    fs::create_dir(place.at("inner")).unwrap();
    place.lab_in("inner", ["init"]).succeeds();
    let inner = "run --name in -- sh -c 'cat ../data > y'";
    let script = format!("cd inner && timeout 60 {} {inner}", kit::lab());
    place.write("data", "x\n");
    // The kernel asks the outer one, so the inner one watches as a debugger does.
    let said = run(&place, "outer", &script).succeeds();
    if said.err.contains("cannot be watched here") {
        return println!("skipped: this machine allows no debuggers");
    }
    place.lab(["check"]).succeeds().says("sound");
    place.lab_in("inner", ["check"]).succeeds().says("sound");
    place.lab_in("inner", ["show", "in"]).succeeds().says("complete").says("data");
    assert_eq!(inputs(&place, "outer").iter().filter(|input| *input == "data").count(), 1);
    // Not all that it is asked for can be had there.
    if std::env::var_os("LAB_TRACER").is_none() {
        let inner = format!("cd inner && {} run --level 2 -- true", kit::lab());
        run(&place, "pinned", &inner).exits(1).complains("cannot be pinned here");
    }
}

// ---- names -----------------------------------------------------------------------------------

/// Names that are legal, and that nobody expects.
const ODD: [&[u8]; 9] = [
    b"new\nline",
    b"co:lon",
    b"trail ",
    b" lead",
    b"-dash",
    b"\xff\xfe",
    b"tab\t.py",
    b"back\\slash",
    b"\xc3\xa4 \xe2\x82\xac",
];

#[test]
fn files_with_odd_names_are_recorded() {
    let place = Place::registry();
    let elsewhere = Place::empty();
    for name in ODD {
        let contents = [b"content of ", name, b"\n"].concat();
        place.write(OsStr::from_bytes(&[b"odd/", name].concat()), &contents);
        place.write(OsStr::from_bytes(name), &contents);
        elsewhere.write(OsStr::from_bytes(name), &contents);
    }
    let script = format!(
        "for f in odd/* ./*l* ./-* '{}'/*; do cat \"$f\"; done > result",
        elsewhere.path().display()
    );
    run(&place, "it", &script).succeeds();
    assert!(is_complete(&place, "it"));
    drop(elsewhere);
    fs::remove_dir_all(place.at("odd")).unwrap();
    holds(&place, "it");
}

#[test]
fn data_that_no_input_can_be_called_is_named_in_a_note() {
    let place = Place::registry();
    for name in ["data/a:b.csv", "data/new\nline", "data/plain.csv"] {
        place.write(name, "1\n");
    }
    let said = run(&place, "it", "cat data/* > sum").succeeds().says("3 data files");
    assert!(!said.out.contains("code file"), "{}", said.out);
    said.complains("recorded with the code: data/a:b.csv, data/new\\nline (the name of an input");
    assert_eq!(inputs(&place, "it"), ["data/plain.csv"]);
    in_tree(&place, "it", "code", "data/a:b.csv").succeeds().says("1");
    holds(&place, "it");
    let plain = run(&place, "plain", "cat data/plain.csv > sum").succeeds();
    assert!(!plain.err.contains("read as data"), "{}", plain.err);
}

#[test]
fn outputs_with_odd_names_are_named_in_notes() {
    let place = Place::registry();
    let script = "printf 1 > \"$(printf 'new\\nline')\"; printf 2 > co:lon; printf 3 > \"$(printf '\\377')\";
                  printf 4 > ' lead'; printf 5 > ./-dash; printf 6 > 'back\\slash'; printf 7 > plain";
    let said = run(&place, "it", script).succeeds();
    for name in ["new\\nline", "co:lon", "\u{fffd}", " lead"] {
        assert!(said.err.contains(name), "{name}: {}", said.err);
    }
    let listed = place.lab(["ls", "it"]).succeeds().out;
    for name in ["-dash", "back\\", "plain"] {
        assert!(listed.contains(name), "{name}: {listed}");
    }
    holds(&place, "it");
}

#[test]
fn any_name_will_do_inside_a_declared_folder() {
    let place = Place::registry();
    let script = "mkdir -p made; printf 2 > made/co:lon";
    let ran = place.lab(["run", "--name", "it", "-o", "made", "--", "sh", "-c", script]).succeeds();
    assert!(!ran.err.contains("not kept"), "{}", ran.err);
    place.lab(["get", "it", "back"]).succeeds();
    assert_eq!(place.read("back/made/co:lon"), b"2");
    holds(&place, "it");
}

#[test]
fn what_is_no_regular_file_is_no_output_and_named() {
    let place = Place::registry();
    place.write("data", "x");
    run(&place, "it", "echo y > model.1; ln -s model.1 latest; mkfifo pipe; cat data > out")
        .succeeds()
        .complains("latest")
        .complains("pipe");
    holds(&place, "it");
}

// ---- places ----------------------------------------------------------------------------------

#[test]
fn a_project_may_lie_anywhere() {
    let place = Place::empty();
    let folder = "with a space/ünï 'çødé' \"$x\"";
    place.write(format!("{folder}/data"), "x\n");
    place.lab_in(folder, ["init"]).succeeds();
    let args = ["run", "--name", "it", "--", "sh", "-c", "cat data ./data > out; pwd > where"];
    place.lab_in(folder, args).succeeds();
    let verified = place.lab_in(folder, ["verify", "it"]).succeeds().says("identical");
    assert!(!kit::allows_boxes() || verified.out.contains(", sealed"), "{}", verified.out);
}

#[test]
fn a_folder_that_nobody_may_write_to_can_be_read() {
    let place = Place::registry();
    place.write("project/data", "x\n");
    place.write("project/sub/data", "y\n");
    for folder in ["project/sub", "project"] {
        fs::set_permissions(place.at(folder), fs::Permissions::from_mode(0o555)).unwrap();
    }
    let args = ["run", "--name", "it", "--", "sh", "-c", "cat data sub/data"];
    place.lab_in("project", args).succeeds().says("y");
    fs::set_permissions(place.at("project"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(place.at("project/sub"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(inputs(&place, "it"), ["data", "sub/data"]);
    holds(&place, "it");
}

#[test]
fn a_broken_repository_is_an_error_and_not_a_clean_state() {
    for (name, bytes) in [(".git", "gitdir: /no/such/folder\n"), (".git/HEAD", "\u{1}garbage")] {
        let place = Place::registry();
        if name != ".git" {
            said(Command::new("git").args(["init", "-q"]).current_dir(place.path())).succeeds();
        }
        place.write(name, bytes);
        place.write("data", "x");
        let ran = run(&place, "it", "cat data > out");
        // Either it is said that there is none, or it is an error: never a clean commit.
        assert!(matches!(ran.code, 0 | 4 | 5), "{name}: {} {}", ran.code, ran.err);
        if ran.code == 0 {
            let shown = place.lab(["show", "it", "--json"]).succeeds().json();
            assert!(shown["git"].is_null(), "{shown}");
            holds(&place, "it");
        } else {
            assert!(!place.at("out").exists(), "{name}: it ran and is not recorded");
            assert!(ran.err.contains("hint:"), "{}", ran.err);
            place.lab(["check"]).succeeds().says("sound");
        }
    }
}

#[test]
fn installations_inside_a_project_lie_where_its_code_does() {
    let place = Place::registry();
    place.write("lib/site-packages/pkg/mod.txt", "library\n");
    place.write("a/b.sh", ". ./conf/c.sh; cat lib/site-packages/pkg/mod.txt data/d.csv > out\n");
    place.write("conf/c.sh", "set -e\n");
    place.write("data/d.csv", "1,2\n");
    place.write("data/e.so", "library\n");
    run(&place, "it", "sh a/b.sh; cat data/e.so >> out").succeeds();
    assert!(is_complete(&place, "it"));
    holds(&place, "it");
}

#[test]
fn a_folder_of_data_may_have_code_and_libraries_in_it() {
    let place = Place::registry();
    let elsewhere = Place::empty();
    for number in 0..150 {
        place.write(format!("data/{number}.csv"), format!("{number}\n"));
        elsewhere.write(format!("{number}.csv"), format!("{number}\n"));
    }
    for name in ["load.py", "fast.so"] {
        place.write(format!("data/{name}"), "code\n");
        elsewhere.write(name, "code\n");
    }
    let script = format!("cat data/* {}/* > out", elsewhere.path().display());
    run(&place, "it", &script).succeeds();
    assert!(is_complete(&place, "it"));
    drop(elsewhere);
    fs::remove_dir_all(place.at("data")).unwrap();
    holds(&place, "it");
}

#[test]
fn links_are_what_they_were() {
    let place = Place::registry();
    let elsewhere = Place::empty();
    elsewhere.write("far/data", "far\n");
    place.write("real/data", "near\n");
    symlink("real", place.at("folder")).unwrap();
    symlink(elsewhere.at("far"), place.at("out-of-here")).unwrap();
    symlink("nowhere", place.at("dangling")).unwrap();
    symlink("ring.b", place.at("ring.a")).unwrap();
    symlink("ring.a", place.at("ring.b")).unwrap();
    symlink("../real/../folder/data", place.at("real/round")).unwrap();
    fs::hard_link(place.at("real/data"), place.at("hard")).unwrap();
    let script = "cat folder/data out-of-here/data real/round hard > out
                  cat dangling ring.a 2> /dev/null || echo failed >> out
                  readlink folder out-of-here dangling ring.a >> out; ls out-of-here folder/ >> out";
    run(&place, "it", script).succeeds();
    assert!(is_complete(&place, "it"));
    drop(elsewhere);
    for name in ["real", "folder", "out-of-here", "dangling", "ring.a", "ring.b", "hard"] {
        let path = place.at(name);
        fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path)).unwrap();
    }
    holds(&place, "it");
}

#[test]
fn what_is_written_elsewhere_is_named() {
    let place = Place::registry();
    // Not below /tmp, where what is written is not meant to stay: the home folder is the test's.
    place.write("project/data", "x");
    place.lab_in("project", ["init"]).succeeds();
    let script = "cat data > ../elsewhere.csv; cat data > out";
    let args = ["run", "--name", "it", "--", "sh", "-c", script];
    let ran = place.lab_in("project", args).succeeds();
    if !place.path().starts_with("/tmp") {
        assert!(ran.err.contains("elsewhere.csv"), "{}", ran.err);
    }
    place.lab_in("project", ["verify", "it"]).succeeds().says("identical");
    // Up to the top of the project, below which the command was started.
    place.write("both/sub/data", "x");
    let args = ["run", "--", "sh", "-c", "cat data > ../above"];
    place.lab_in("both/sub", args).succeeds().complains("above");
}

// ---- changes ---------------------------------------------------------------------------------

#[test]
fn what_is_edited_in_place_went_in_as_it_was() {
    for (name, script) in [
        ("append", "echo more >> data"),
        ("sed", "sed -i s/old/new/ data"),
        ("rewrite", "cat data > copy; echo new > data; cat copy >> data; rm copy"),
        ("rename", "sed s/old/new/ data > data.tmp; mv data.tmp data"),
        ("dd", "printf NEW | dd of=data conv=notrunc 2> /dev/null"),
        ("truncate", "truncate -s 3 data"),
        ("grow", "truncate -s 4096 data"),
        // So many bytes and no more: else it may read what it has just written.
        ("tee", "head -c 9 data | tee -a data > /dev/null"),
        ("remove", "cat data > kept; rm data; cat kept kept > data"),
        ("exchange", "cp data other; mv data mid; mv other data; mv mid other; echo x >> data"),
    ] {
        let place = Place::registry();
        place.write("data", "old line\n");
        run(&place, name, script).succeeds();
        assert!(is_complete(&place, name), "{name}");
        assert_eq!(inputs(&place, name), ["data"], "{name}");
        let now = place.read("data");
        let kept = place.lab(["cat", &format!("{name}:data")]).succeeds().out;
        assert_eq!(kept.as_bytes(), now, "{name}: the output is what it became");
        let before = hash(b"old line\n");
        place.lab(["show", name]).succeeds().says(&format!("input     {}", &before[..12]));
        place.write("data", "something else\n");
        holds(&place, name);
    }
}

#[test]
fn a_folder_that_is_moved_goes_in_as_it_was() {
    let place = Place::registry();
    place.write("old/a", "1\n");
    place.write("old/deep/b", "2\n");
    run(&place, "it", "mv old new; cat new/deep/b > out; ls -R new >> out").succeeds();
    fs::remove_dir_all(place.at("new")).unwrap();
    if is_complete(&place, "it") {
        holds(&place, "it");
    } else {
        is_incomplete(&place, "it", "moved");
    }
}

/// While a script waits between its two halves, somebody else does something.
fn meanwhile(place: &Place, before: &str, after: &str, deed: impl FnOnce()) -> Said {
    let script =
        format!("{before}; echo > ready; while ! cat go 2>/dev/null; do sleep 0.02; done; {after}");
    let mut command = place.command();
    command.args(["run", "--name", "it", "--", "sh", "-c", &script]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(soon(|| place.at("ready").exists().then_some(())).is_some());
    deed();
    place.write("go", "");
    let output = child.wait_with_output().unwrap();
    Said {
        command: script,
        code: output.status.code().unwrap(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn what_somebody_else_changes_after_it_was_read_makes_the_record_incomplete() {
    let shell = |place: &Place, script: &str| {
        let mut command = Command::new("sh");
        said(command.args(["-c", script]).current_dir(place.path())).succeeds();
    };
    let deeds = [
        ("grown", "echo more >> data"),
        ("rewritten", "printf 'two\\n' > data"),
        ("rewritten with its old time", "touch -r data t; printf 'two\\n' > data; touch -r t data"),
        ("replaced", "printf 'two\\n' > new; mv new data"),
        ("removed", "rm data"),
    ];
    for (what, deed) in deeds {
        for after in ["cat data >> out", "echo mine >> data", "mv data moved", ":"] {
            let place = Place::registry();
            place.write("data", "one\n");
            sleep(Duration::from_millis(5));
            let ran = meanwhile(&place, "cat data > out", after, || shell(&place, deed));
            assert!(ran.code == 0 || what == "removed", "{what}, {after}: {}", ran.err);
            let last = place.lab(["log", "--json"]).succeeds().json();
            let id = last[0]["run"].as_str().unwrap_or_else(|| panic!("{last}")).to_owned();
            assert!(!is_complete(&place, &id), "{what}, then {after}: claims to be complete");
            let wrong = place.lab(["cat", &hash(b"two\n")]);
            let named = inputs(&place, &id);
            assert!(
                !named.contains(&"data".to_owned()),
                "{what}, then {after}: {named:?} {wrong:?}"
            );
        }
    }
}

#[test]
fn a_secret_that_somebody_else_changes_has_no_hash_in_the_record() {
    let place = Place::registry();
    place.write(".env", "TOKEN=one");
    let deed = || place.write(".env", "TOKEN=two!");
    meanwhile(&place, "cat .env > /dev/null", ":", deed).succeeds();
    assert!(!is_complete(&place, "it"));
}

#[test]
fn what_came_through_a_pipe_of_somebody_else_is_not_recorded() {
    for open in ["cat pipe > out", "exec 3<> pipe; read line <&3; echo $line > out"] {
        let place = Place::registry();
        said(Command::new("mkfifo").arg("pipe").current_dir(place.path())).succeeds();
        let path = place.at("pipe");
        let writer = std::thread::spawn(move || fs::write(path, "from outside\n"));
        run(&place, "it", open).succeeds();
        writer.join().unwrap().unwrap();
        is_incomplete(&place, "it", "pipe");
    }
}

#[test]
fn a_pipe_of_its_own_is_nobody_elses() {
    let place = Place::registry();
    place.write("data", "x\n");
    run(&place, "it", "mkfifo p; cat p > out & cat data > p; wait; rm p").succeeds();
    assert!(is_complete(&place, "it"));
    holds(&place, "it");
}

/// Not even a record that lies in wait for a verification reaches what is not in the box.
#[test]
fn links_that_a_command_makes_in_its_box_are_not_followed_out_of_it() {
    if !kit::allows_boxes() {
        return println!("skipped: this machine allows no sealed boxes");
    }
    let place = Place::empty();
    place.write("a/project/out/planted", "planted\n");
    place.write("victim/project/out/theirs", "private\n");
    place.lab_in("a/project", ["init"]).succeeds();
    let script = format!(
        "cat out/planted > out/mine
         ln -s nowhere link; rm link
         if [ $(uname -n) = lab ]; then
             cd / && rm -rf '{top}/a' && ln -s '{top}/victim' '{top}/a'
         fi",
        top = place.path().display()
    );
    let args = ["run", "--name", "it", "-o", "out", "--", "sh", "-c", &script];
    place.lab_in("a/project", args).succeeds();
    place.lab_in("a/project", ["verify", "it"]).exits(1);
    let names: Vec<_> = fs::read_dir(place.at("victim/project/out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["theirs"], "the box reached out");
    place.lab_in("a/project", ["cat", &hash(b"private\n")]).exits(3);
}

#[test]
fn links_of_a_record_are_not_followed_out_of_the_box() {
    if !kit::allows_boxes() {
        return println!("skipped: this machine allows no sealed boxes");
    }
    let place = Place::registry();
    place.write("victim/b/theirs", "private\n");
    place.write("project/real", "");
    // By its path from the top: in the box nothing is there, and beside it something is.
    symlink(place.at("victim"), place.at("project/a")).unwrap();
    // The link is read, and then a folder takes its place, with an output in it.
    let script = "readlink a > log; rm a; mkdir -p a/b; echo x > a/b/mine";
    let args = ["run", "--name", "it", "-o", "a/b", "--", "sh", "-c", script];
    place.lab_in("project", args).succeeds();
    fs::remove_dir_all(place.at("project")).unwrap();
    holds(&place, "it");
    assert_eq!(place.read("victim/b/theirs"), b"private\n");
}

#[test]
fn a_folder_that_is_made_anew_holds_nothing_of_the_old() {
    let place = Place::registry();
    place.write("out/sub/deep/old", "old\n");
    place.write("out/kept", "kept\n");
    let script = "cat out/sub/deep/old out/kept > log; rm -r out/sub; mkdir -p out/sub/deep;
                  echo new > out/sub/deep/new";
    for (name, output) in [("whole", "out"), ("part", "out/sub/deep")] {
        place.write("out/sub/deep/old", "old\n");
        place.lab(["run", "--name", name, "-o", output, "--", "sh", "-c", script]).succeeds();
        holds(&place, name);
        fs::remove_file(place.at("out/sub/deep/new")).unwrap();
    }
}

#[test]
fn folders_are_listed_in_the_recorded_order() {
    if !kit::allows_boxes() {
        return println!("skipped: this machine allows no sealed boxes");
    }
    // On a tmpfs the order is that in which files were made: no disk has both of these by chance.
    for names in ["q w e r t y u i o p", "p o i u y t r e w q"] {
        let place = Place::registry();
        let script = format!(
            "mkdir far && mount -t tmpfs none far && cd far && mkdir deep && touch {names} && cd .. && \
             '{}' run --name it -- sh -c 'ls -U far > order; cd far; touch new; ls -U | grep -v new >> ../order'",
            kit::lab()
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "--map-root-user", "sh", "-c", &script]);
        let ran = said(command.current_dir(place.path()));
        if ran.err.contains("unshare:") || ran.err.contains("mount:") {
            return println!("skipped: nothing can be mounted here ({})", ran.err.trim());
        }
        ran.succeeds();
        let order = String::from_utf8(place.read("order")).unwrap();
        assert_eq!(order.lines().count(), 22);
        // With the mount, what was listed is gone.
        assert_eq!(fs::read_dir(place.at("far")).unwrap().count(), 0);
        holds(&place, "it");
    }
}

// ---- secrets and what is only looked at -------------------------------------------------------

#[test]
fn the_bytes_of_a_secret_stay_out_of_the_store() {
    let place = Place::registry();
    let secret = "TOKEN=hunter2-correct-horse\n";
    let id = hash(secret.as_bytes());
    place.write(".env", secret);
    place.write("id_rsa", "PRIVATE KEY hunter3\n");
    let key = hash(b"PRIVATE KEY hunter3\n");
    // One is read, one is read and changed.
    run(&place, "it", "wc -c < .env > out; cat id_rsa > /dev/null; echo more >> id_rsa")
        .succeeds()
        .complains(".env")
        .complains("id_rsa")
        .complains("looks like a secret");
    for id in [&id, &key] {
        place.lab(["cat", id]).exits(3);
    }
    let changed = hash(b"PRIVATE KEY hunter3\nmore\n");
    place.lab(["cat", &changed]).exits(3);
    assert!(!is_in_store(&place, "hunter"), "a secret lies in the store");
    place.lab(["verify", "it"]).exits(1);
}

/// Whether any file of the registry holds this text; what is packed is looked at through `lab cat`.
fn is_in_store(place: &Place, text: &str) -> bool {
    let mut found = false;
    for path in kit::files(&place.at(".lab"), &[""]) {
        let bytes = fs::read(&path).unwrap();
        found |= bytes.windows(text.len()).any(|window| window == text.as_bytes());
    }
    found
}

#[test]
fn a_placeholder_is_not_read_as_if_it_were_the_file() {
    if !kit::allows_boxes() {
        return println!("skipped: this machine allows no sealed boxes");
    }
    for size in [0, 5, 3 << 20] {
        let place = Place::registry();
        place.write("looked-at", vec![b'x'; size]);
        // In the box, and only there, it opens what it only looked at before.
        let script = "if [ $(uname -n) = lab ]; then wc -c < looked-at > out || echo denied > out
                      else test -e looked-at && ls -l looked-at > /dev/null && wc -c < looked-at.none > out 2>/dev/null || echo fine > out; fi";
        run(&place, "it", script).succeeds();
        place.lab(["verify", "it"]).exits(1).says("diverged").complains("");
    }
}

// ---- sizes -----------------------------------------------------------------------------------

#[test]
fn a_folder_is_there_in_which_something_is_made() {
    let place = Place::registry();
    let elsewhere = Place::empty();
    for folder in ["made", "moved", "linked", "temporary"] {
        fs::create_dir(elsewhere.at(folder)).unwrap();
    }
    let script = "cd ELSE; echo x >made/x; mkdir made/new; echo y >made/new/y; mv made/x moved/x
                  ln -s nothing linked/l; mktemp temporary/XXXXXX >/dev/null; cat moved/x made/new/y >HERE/out";
    let here = |path: &Place| path.path().display().to_string();
    let script = script.replace("ELSE", &here(&elsewhere)).replace("HERE", &here(&place));
    run(&place, "a", &script).succeeds();
    holds(&place, "a");
}

#[test]
fn what_a_command_makes_itself_is_not_there_before() {
    let place = Place::registry();
    std::os::unix::fs::symlink("old", place.at("known")).unwrap();
    let scripts = [
        (
            "below",
            "mkdir o; test -e o/x || cp /etc/hostname o/x; ls o/none 2>/dev/null || echo 1 >out",
        ),
        ("asks", "test -d s && echo had >out || { mkdir s; test -e s/x || echo fresh >out; }"),
        (
            "link",
            "ln -s t lk; cat lk 2>/dev/null || true; rm lk; ln -s t lk; echo 1 >t; cat lk >out",
        ),
        (
            "latest",
            "mkdir o5; ln -s q o5/x.tmp; mv o5/x.tmp o5/latest; echo a >o5/q; cat o5/latest >out",
        ),
        // One that was there is.
        (
            "replaced",
            "echo 1 >old; cat known >out; rm known; ln -s new known; echo 2 >new; cat known >>out",
        ),
    ];
    for (name, script) in scripts {
        run(&place, name, &format!("set -e; {script}")).succeeds();
        holds(&place, name);
    }
}

#[test]
fn what_is_looked_for_beyond_the_record_is_named() {
    if !kit::allows_boxes() {
        return println!("skipped: this machine allows no sealed boxes");
    }
    let place = Place::registry();
    place.write("data/one", "1\n");
    place.write("data/other", "2\n");
    std::os::unix::fs::symlink("data", place.at("link")).unwrap();
    // In the box the name of the host is another one, and so is the way that it goes.
    let script = "ls link >/dev/null; mkdir made; rmdir made; if [ $(uname -n) = lab ]; then WAY; else cat data/one >out; fi";
    let verify = |name: &str, way: &str| {
        run(&place, name, &script.replace("WAY", way)).succeeds();
        place.lab(["verify", name]).exits(1)
    };
    let said =
        verify("closed", "cat link/other >out").says("failed").says("data/other, which was only");
    assert!(!said.out.contains("looked for"), "{}", said.out);
    let said =
        verify("missing", "cat more/settings 2>/dev/null >out; echo 2 >out").says("diverged");
    let said = said.says("more, of which the record says nothing");
    assert!(!said.out.contains("it opened"), "{}", said.out);
    verify("program", "tac data/one >out").says("/tac").says("of which the record says nothing");
    // What it made itself is no news, and what the record says is absent neither.
    let said = verify("none", "mkdir own; cat data/none own/none 2>/dev/null; echo 2 >out");
    assert!(
        !said.out.contains("of which the record") && !said.out.contains("it opened"),
        "{}",
        said.out
    );
}

#[test]
fn ten_thousand_files_are_one_input_and_one_output() {
    let place = Place::registry();
    for number in 0..10_000 {
        place.write(format!("many/{number}"), format!("{number}\n"));
    }
    let script = "mkdir made; cd many; for f in *; do read l < $f; echo $l > ../made/$f; done";
    place.lab(["run", "--name", "it", "-o", "made", "--", "sh", "-c", script]).succeeds();
    assert_eq!(inputs(&place, "it"), ["many"]);
    assert!(is_complete(&place, "it"));
    assert_eq!(place.lab(["cat", "it:made/9999"]).succeeds().out, "9999\n");
    holds(&place, "it");
}

#[test]
fn a_log_without_end_is_cut_and_said_to_be() {
    let place = Place::registry();
    let mut command = place.command();
    command.args([
        "run",
        "--name",
        "it",
        "--",
        "sh",
        "-c",
        "head -c 70000000 /dev/zero; echo end > out",
    ]);
    let output = command.stdout(Stdio::null()).stderr(Stdio::piped()).output().unwrap();
    assert!(output.status.success());
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains("70000000 bytes printed"), "{complaint}");
}

#[test]
fn standard_streams_may_be_closed() {
    let place = Place::registry();
    place.write("data", "x\n");
    for (name, close) in [("in", "<&-"), ("out", ">&-"), ("err", "2>&-"), ("all", "<&- >&- 2>&-")] {
        let script = format!(
            "exec {close}; exec '{}' run --name {name} -- sh -c 'cat - data > {name}.out'",
            kit::lab()
        );
        let mut command = Command::new("sh");
        let plain = place.command();
        let variables: Vec<_> = plain.get_envs().filter_map(|(k, v)| Some((k, v?))).collect();
        command.env_clear().envs(variables).current_dir(place.path()).args(["-c", &script]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{close}: {output:?}");
        assert_eq!(inputs(&place, name), ["data"], "{close}");
        holds(&place, name);
    }
}

#[test]
fn nothing_comes_in_by_an_inherited_descriptor() {
    let place = Place::registry();
    place.write("data", "x\n");
    let script = format!(
        "exec '{}' run --name it -- sh -c 'cat <&7 > out || echo none > out' 7< data",
        kit::lab()
    );
    let mut command = Command::new("sh");
    let plain = place.command();
    let variables: Vec<_> = plain.get_envs().filter_map(|(k, v)| Some((k, v?))).collect();
    command.env_clear().envs(variables).current_dir(place.path()).args(["-c", &script]);
    said(&mut command).succeeds();
    assert_eq!(place.read("out"), b"none\n");
    holds(&place, "it");
}

// ---- the disk --------------------------------------------------------------------------------

/// The n-th step that writes fails, as on a full disk.
#[test]
fn a_disk_that_is_full_in_the_middle_loses_nothing() {
    let place = Place::registry();
    place.write("first", "kept before");
    place.lab(["add", "first", "--name", "first"]).succeeds();
    let mut failed = 0;
    for step in [1, 2, 3, 5, 8, 13, 15, 16, 18, 20, 21, 1_000_000] {
        place.write("data", format!("{step}\n"));
        let mut command = place.command();
        command.args([
            "run",
            "--name",
            "it",
            "--",
            "sh",
            "-c",
            "cat data data > out; echo x >> data",
        ]);
        let ran = said(command.env("LAB_FAIL_AT", step.to_string()));
        place.lab(["check"]).succeeds().says("sound");
        assert_eq!(place.lab(["cat", "first"]).succeeds().out, "kept before");
        if ran.code == 0 {
            continue;
        }
        failed += 1;
        ran.exits(5).complains("the disk is full");
        // All or nothing, whatever it said: what the command itself left is its own.
        let named = place.lab(["cat", "it:out"]);
        if named.code != 3 {
            assert_eq!(named.succeeds().out, format!("{step}\n{step}\n"));
            assert!(is_complete(&place, "it"));
        }
    }
    assert!(failed >= 3, "only {failed} steps could fail: is the hook still there?");
    holds(&place, "it");
    assert_eq!(fs::read_dir(place.at(".lab/scratch")).unwrap().count(), 0);
}

#[test]
fn a_disk_that_is_really_full_is_said_to_be() {
    let place = Place::empty();
    place.write("big", vec![0; 0]);
    let script = format!(
        "mkdir work && mount -t tmpfs -o size=16m none work && head -c 40000000 /dev/urandom > big && cd work && '{lab}' init && \
         '{lab}' run --name a -- sh -c 'echo a > a' && '{lab}' run --name b -- sh -c 'cat ../big | wc -c > b'; code=$?; \
         '{lab}' run --name c -- sh -c 'cat ../big > c'; \
         '{lab}' check && rm c && '{lab}' verify a && '{lab}' ls && ls .lab/scratch; exit $code",
        lab = kit::lab()
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c", &script]).current_dir(place.path());
    let said = said(&mut command);
    if said.err.contains("unshare:") || said.err.contains("mount:") {
        return println!("skipped: nothing can be mounted here ({})", said.err.trim());
    }
    said.exits(5).complains("the disk is full").says("sound").says("identical");
}

// ---- from the record alone --------------------------------------------------------------------

#[test]
fn a_colleague_has_all_that_it_takes() {
    let place = Place::registry();
    let elsewhere = Place::empty();
    elsewhere.write("reference.csv", "far\n");
    place.write("project/train.sh", ". ./lib.sh; double data/in.csv > out; cat $1 >> out\n");
    place.write("project/lib.sh", "double() { cat $1 $1; }\n");
    place.write("project/data/in.csv", "near\n");
    let reference = elsewhere.at("reference.csv").display().to_string();
    let args = ["run", "--name", "it", "--", "sh", "train.sh", &reference];
    place.lab_in("project", args).succeeds();
    assert!(is_complete(&place, "it"));
    place.lab(["push", "./share"]).succeeds();
    fs::remove_dir_all(place.at("project")).unwrap();
    drop(elsewhere);
    holds(&place, "it");
    let colleague = Place::empty();
    let share = place.at("share").display().to_string();
    colleague.lab(["clone", &share, "--into", "copy"]).succeeds();
    drop(place);
    let verified = colleague.lab_in("copy", ["verify", "it"]).succeeds().says("identical");
    assert!(!kit::allows_boxes() || verified.out.contains(", sealed"), "{}", verified.out);
}

#[test]
fn bounds_come_back_or_are_said_to_be_lower() {
    let place = Place::registry();
    run(&place, "bound", "ulimit -n > bound.txt").succeeds();
    if !kit::allows_boxes() {
        return println!("skipped: this machine allows no sealed boxes");
    }
    // Another soft limit is nothing; the record's is set.
    let script = |limit: &str| {
        let mut shell = place.command();
        let lab = shell.get_program().to_owned();
        let words = format!("ulimit {limit} 200; exec \"$0\" verify bound");
        let mut command = Command::new("sh");
        command.args(["-c", &words]).arg(lab).current_dir(place.path()).env_clear();
        command.envs(shell.env("X", "").get_envs().filter_map(|(k, v)| Some((k, v?))));
        said(&mut command)
    };
    script("-Sn").succeeds().says("identical");
    let lowered = script("-n");
    match lowered.code {
        0 => drop(lowered.says("identical")),
        _ => drop(lowered.says("diverged").complains("the limit of open files was")),
    }
}

#[test]
fn what_lies_in_shared_memory_is_missing_from_the_record() {
    let shared = std::path::Path::new("/dev/shm");
    if !shared.is_dir() {
        return println!("skipped: no shared memory here");
    }
    let place = Place::registry();
    let path = shared.join(format!("lab-test-{}", std::process::id()));
    fs::write(&path, "data").unwrap();
    let said = run(&place, "shared", &format!("cat {} > out", path.display()));
    fs::remove_file(&path).unwrap();
    said.succeeds().complains("incomplete");
    is_incomplete(&place, "shared", "which no box gives back");
    // What the command makes there itself is its own business.
    run(&place, "own", &format!("echo 1 > {0}; cat {0} > out; rm {0}", path.display())).succeeds();
    holds(&place, "own");
}

#[test]
fn portable_settings_are_in_the_recipe_and_give_way() {
    let place = Place::registry();
    let script = "echo $OMP_NUM_THREADS $OMP_DYNAMIC $OPENBLAS_CORETYPE > out";
    let mut command = place.command();
    command.env("OMP_NUM_THREADS", "7");
    command.args(["run", "--portable", "--name", "p", "--", "sh", "-c", script]);
    said(&mut command).succeeds();
    let out = String::from_utf8(place.read("out")).unwrap();
    let instructions = if cfg!(target_arch = "x86_64") { " Haswell" } else { "" };
    assert_eq!(out.trim_end(), format!("7 FALSE{instructions}"));
    place.lab(["show", "p"]).succeeds().says("OMP_DYNAMIC=FALSE").says("OMP_NUM_THREADS=7");
    holds(&place, "p");
}
