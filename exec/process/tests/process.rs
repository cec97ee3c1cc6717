//! How a command is started, bounded and ended.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{Bench, argv, outputs, sh, status};
use lab_process::{Note, PASSED_THROUGH, ProcessError};
use lab_schema::{Completeness, Executor, Status, Tensor};

#[test]
fn arguments_arrive_as_they_are() {
    let bench = Bench::new();
    let odd = ["a b", "", "new\nline", "*", "$HOME", "\"'\\", "é", "-x", "--"];
    let words = [&["sh", "-c", "for a; do printf '[%s]' \"$a\"; done", "name"], &odd[..]].concat();
    let execution = bench.run(&argv(&words).recipe()).unwrap();
    let expected: String = odd.iter().map(|a| format!("[{a}]")).collect();
    assert_eq!(bench.stdout(&execution), expected);
    assert_eq!(execution.outcome.completeness, Completeness::Declared);
    assert!(execution.outcome.started_ms > 1_600_000_000_000);
}

#[test]
fn the_environment_is_what_the_recipe_says_and_little_else() {
    let bench = Bench::new();
    let recipe = argv(&["env"]).command(|c| {
        c.variables.insert("MINE".into(), "a b\nc".into());
        c.variables.insert("HOME".into(), "/from/recipe".into());
    });
    let execution = bench.run(&recipe.recipe()).unwrap();
    let stdout = bench.stdout(&execution);
    assert!(stdout.contains("MINE=a b\nc\n") && stdout.contains("HOME=/from/recipe\n"));
    let mut names: Vec<&str> =
        stdout.lines().filter_map(|l| l.split_once('=')).map(|(name, _)| name).collect();
    names.sort_unstable();
    let mut expected: Vec<&str> = PASSED_THROUGH
        .into_iter()
        .filter(|name| std::env::var_os(name).is_some() && *name != "HOME")
        .chain(["TMPDIR"])
        .collect();
    expected.sort_unstable();
    assert_eq!(execution.outcome.unrecorded_variables, expected);
    expected.extend(["MINE", "PATH", "HOME"]);
    expected.sort_unstable();
    assert_eq!(names, expected);
}

#[test]
fn the_temporary_folder_is_private_and_gone_afterwards() {
    let bench = Bench::new();
    let execution = bench.sh("echo x > $TMPDIR/f && ls $TMPDIR && echo $TMPDIR >&2");
    assert_eq!(bench.stdout(&execution), "f\n");
    let tmp = bench.stderr(&execution);
    assert!(Path::new(tmp.trim()).starts_with(bench.scratch.path().canonicalize().unwrap()));
    assert!(!Path::new(tmp.trim()).exists());
    assert!(outputs(&execution).is_empty());
}

#[test]
#[cfg(target_os = "linux")]
fn standard_input_is_empty_and_no_other_file_is_open() {
    use std::os::fd::AsRawFd;
    let bench = Bench::new();
    let file = tempfile::tempfile().unwrap();
    // As if `lab` had been started with `3<file`: a copy that survives exec.
    #[expect(unsafe_code, reason = "std opens nothing that survives exec")]
    // SAFETY: dup takes and returns numbers.
    let leaked = unsafe { libc::dup(file.as_raw_fd()) };
    assert!(leaked > 2);
    let execution = bench.sh("cat; ls /proc/self/fd | wc -l");
    // 0, 1, 2 and the listing itself.
    assert_eq!(bench.stdout(&execution).trim(), "4");
}

#[test]
fn exit_codes_and_signals_are_told_apart() {
    let bench = Bench::new();
    assert_eq!(*status(&bench.run(&argv(&["true"]).recipe()).unwrap()), Status::Exited(0));
    assert_eq!(*status(&bench.run(&argv(&["false"]).recipe()).unwrap()), Status::Exited(1));
    assert_eq!(*status(&bench.sh("exit 77")), Status::Exited(77));
    assert_eq!(*status(&bench.sh("kill -TERM $$")), Status::Signalled(15));
    assert_eq!(*status(&bench.sh("kill -KILL $$")), Status::Signalled(9));
}

#[test]
fn a_failed_command_keeps_its_logs_and_what_it_left() {
    let bench = Bench::new();
    let execution = bench.sh("echo out; echo err >&2; echo part > partial; exit 3");
    assert_eq!(*status(&execution), Status::Exited(3));
    assert_eq!(bench.stdout(&execution), "out\n");
    assert_eq!(bench.stderr(&execution), "err\n");
    assert_eq!(bench.output(&execution, "partial"), "part\n");
}

#[test]
fn a_time_limit_ends_even_what_ignores_sigterm() {
    let bench = Bench::new();
    let polite = sh("sleep 60; sleep 60").limits(Some(200), None).recipe();
    let before = Instant::now();
    let execution = bench.run(&polite).unwrap();
    assert_eq!(*status(&execution), Status::TimedOut(200));
    assert!(before.elapsed() < Duration::from_secs(4), "{:?}", before.elapsed());

    let stubborn = sh("trap '' TERM; echo started; while :; do sleep 1; done");
    let before = Instant::now();
    let execution = bench.run(&stubborn.limits(Some(200), None).recipe()).unwrap();
    assert_eq!(*status(&execution), Status::TimedOut(200));
    assert_eq!(bench.stdout(&execution), "started\n");
    let took = before.elapsed();
    assert!(took > Duration::from_secs(5) && took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn time_to_clean_up_is_given_at_a_time_limit() {
    let bench = Bench::new();
    let script = "trap 'echo saved > checkpoint; exit 0' TERM; while :; do sleep 0.05; done";
    let execution = bench.run(&sh(script).limits(Some(300), None).recipe()).unwrap();
    assert_eq!(*status(&execution), Status::TimedOut(300));
    assert_eq!(bench.output(&execution, "checkpoint"), "saved\n");
}

#[test]
fn what_outlives_the_command_is_stopped_and_named() {
    let bench = Bench::new();
    let before = Instant::now();
    let execution = bench.sh("sleep 100 & echo $!");
    assert!(before.elapsed() < Duration::from_secs(10));
    assert_eq!(*status(&execution), Status::Exited(0));
    assert_eq!(execution.notes, [Note::LeftBehind(vec!["sleep".to_owned()])]);
    let pid = bench.stdout(&execution);
    assert!(!is_running(pid.trim()));
}

#[test]
#[cfg(target_os = "linux")]
fn a_daemon_in_a_session_of_its_own_is_found_too() {
    let bench = Bench::new();
    let execution = bench.sh("setsid sh -c 'echo $$; exec sleep 100' & sleep 0.2");
    assert_eq!(execution.notes, [Note::LeftBehind(vec!["sleep".to_owned()])]);
    assert!(!is_running(bench.stdout(&execution).trim()));
}

#[test]
fn helpers_that_end_by_themselves_are_awaited() {
    let bench = Bench::new();
    let execution = bench.sh("(sleep 0.1; echo late; echo late > file) &");
    assert!(execution.notes.is_empty(), "{:?}", execution.notes);
    assert_eq!(bench.stdout(&execution), "late\n");
    assert_eq!(bench.output(&execution, "file"), "late\n");
}

fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[test]
#[cfg(target_os = "linux")]
fn memory_is_bounded_and_measured() {
    let bench = Bench::new();
    let big = "head -c 400000000 /dev/zero | tail -c 400000000 | wc -c";
    let bounded = sh(big).limits(None, Some(64 << 20)).recipe();
    assert_ne!(bench.stdout(&bench.run(&bounded).unwrap()).trim(), "400000000");
    let limits = bench.run(&sh("ulimit -v; ulimit -c; umask").limits(None, Some(1 << 30)).recipe());
    assert_eq!(bench.stdout(&limits.unwrap()), "1048576\n0\n0022\n");

    let free = bench.run(&sh(big).recipe()).unwrap();
    assert_eq!(bench.stdout(&free).trim(), "400000000");
    assert!(free.outcome.peak_memory_bytes.unwrap() > 300_000_000);
}

#[test]
fn a_program_that_cannot_be_run_is_named() {
    let bench = Bench::new();
    let said = |draft: common::Draft| bench.run(&draft.recipe()).unwrap_err().to_string();
    let error = said(argv(&["no-such-program"]));
    assert_eq!(error, "no program 'no-such-program' in the PATH of the recipe ('/usr/bin:/bin')");
    assert_eq!(said(argv(&["./absent"])), "no program './absent' where the command starts");
    let code = bench.folder(|dir| {
        std::fs::write(dir.join("plain.sh"), "echo hi\n").unwrap();
        std::fs::write(dir.join("script"), "#!/opt/none/python9\n").unwrap();
        executable(&dir.join("script"));
    });
    assert!(said(argv(&["./plain.sh"]).code(code)).contains("not executable"));
    let error = said(argv(&["./script"]).code(code));
    assert!(error.contains("'./script'") && error.contains("'/opt/none/python9'"), "{error}");
}

#[test]
fn a_script_of_the_project_sees_the_name_it_was_called_by() {
    let bench = Bench::new();
    let code = bench.folder(|dir| {
        std::fs::create_dir(dir.join("bin")).unwrap();
        std::fs::write(dir.join("bin/tool"), "#!/bin/sh\necho \"$0 $1\"\n").unwrap();
        executable(&dir.join("bin/tool"));
    });
    let execution = bench.run(&argv(&["bin/tool", "x"]).code(code).recipe()).unwrap();
    assert_eq!(bench.stdout(&execution), "bin/tool x\n");
    let searched = argv(&["tool", "y"]).code(code).command(|c| {
        c.variables.insert("PATH".into(), "bin:/usr/bin:/bin".into());
    });
    let execution = bench.run(&searched.recipe()).unwrap();
    assert_eq!(bench.stdout(&execution), "bin/tool y\n");
}

fn executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn too_long_a_command_line_is_an_error() {
    let bench = Bench::new();
    let long = "x".repeat(3 << 20);
    let error = bench.run(&argv(&["true", &long]).recipe()).unwrap_err();
    assert!(matches!(error, ProcessError::Start { .. }), "{error}");
}

#[test]
fn a_log_is_cut_where_it_becomes_unreasonable() {
    let bench = Bench::new();
    let execution = bench.sh("head -c 70000000 /dev/zero; echo end >&2");
    assert_eq!(*status(&execution), Status::Exited(0));
    let cut = Note::LogCut { stream: "stdout", bytes: 70_000_000, kept: 64 << 20 };
    assert_eq!(execution.notes, [cut]);
    assert!(
        bench
            .stdout(&execution)
            .ends_with("[lab: cut here: 67108864 of 70000000 bytes were kept]\n")
    );
    assert_eq!(bench.stderr(&execution), "end\n");
}

#[test]
fn closing_the_streams_early_does_not_end_the_run() {
    let bench = Bench::new();
    let execution = bench.sh("exec >&- 2>&-; sleep 0.3; echo done > file");
    assert_eq!(bench.output(&execution, "file"), "done\n");
    assert!(execution.outcome.duration_ms >= 300);
}

#[test]
fn a_tensor_recipe_is_refused() {
    let bench = Bench::new();
    let mut draft = argv(&["true"]);
    draft.0.executor = Executor::Tensor(Tensor { engine: "e".into(), stage: "s".into() });
    assert!(matches!(
        bench.run_with(&draft.recipe(), &lab_process::Plain),
        Err(ProcessError::NotACommand)
    ));
}

#[test]
fn a_scratch_that_cannot_be_made_is_named() {
    let bench = Bench::new();
    let file = bench.scratch.path().join("file");
    std::fs::write(&file, "").unwrap();
    let recipe = argv(&["true"]).recipe();
    let job = lab_process::Job {
        store: &bench.store,
        recipe: &recipe,
        scratch: &file.join("inner"),
        echo: lab_process::Echo::Quiet,
        watcher: &lab_process::Plain,
        cache: None,
        guardian: None,
        probe: None,
    };
    let error = lab_process::execute(&job).unwrap_err().to_string();
    assert!(error.contains(&file.display().to_string()), "{error}");
}
