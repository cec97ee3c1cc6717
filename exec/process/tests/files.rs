//! What a command finds, and what of what it leaves is kept.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use common::{Bench, argv, outputs, sh, slot, status};
use lab_process::{Note, ProcessError};
use lab_schema::Status;

#[test]
fn code_and_inputs_are_there_and_nothing_else() {
    let bench = Bench::new();
    let code = bench.folder(|dir| {
        fs::create_dir_all(dir.join("sub")).unwrap();
        fs::write(dir.join("sub/main.sh"), "code").unwrap();
        fs::write(dir.join("sub/old"), "from the code").unwrap();
        fs::write(dir.join("top"), "t").unwrap();
    });
    let data = bench.folder(|dir| fs::write(dir.join("a.csv"), "1,2").unwrap());
    let recipe = sh("cd .. && find . -type f | sort; cat sub/old sub/in/data/a.csv")
        .code(code)
        .command(|c| c.directory = Some(slot("sub")))
        .input("in/data", data)
        .input("old", bench.file("from the input "))
        .recipe();
    let execution = bench.run(&recipe).unwrap();
    assert_eq!(
        bench.stdout(&execution),
        "./sub/in/data/a.csv\n./sub/main.sh\n./sub/old\n./top\nfrom the input 1,2"
    );
    assert!(outputs(&execution).is_empty() && execution.notes.is_empty());
}

#[test]
fn an_undeclared_file_of_the_host_folder_is_absent() {
    let bench = Bench::new();
    fs::write(bench.scratch.path().join("secret.csv"), "x").unwrap();
    let recipe = sh("cat secret.csv").recipe();
    let execution = bench.run_with(&recipe, &lab_process::Plain).unwrap();
    assert_eq!(*status(&execution), Status::Exited(1));
    assert!(bench.stderr(&execution).contains("secret.csv"));
}

#[test]
fn inputs_are_read_only_and_all_times_are_fixed() {
    let bench = Bench::new();
    let tool = bench.folder(|dir| {
        use std::os::unix::fs::PermissionsExt;
        fs::write(dir.join("run"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(dir.join("run"), fs::Permissions::from_mode(0o755)).unwrap();
    });
    let recipe = sh("stat -c '%a %Y' in code tool/run")
        .code(bench.folder(|dir| fs::write(dir.join("code"), "c").unwrap()))
        .input("in", bench.file("i"))
        .input("tool", tool)
        .recipe();
    let execution = bench.run(&recipe).unwrap();
    assert_eq!(bench.stdout(&execution), "444 946684800\n644 946684800\n555 946684800\n");
}

#[test]
fn an_input_never_goes_through_a_link_of_the_code() {
    let bench = Bench::new();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("x"), "precious").unwrap();
    let code = bench.folder(|dir| {
        symlink(outside.path(), dir.join("data")).unwrap();
        symlink(outside.path().join("x"), dir.join("single")).unwrap();
        fs::write(dir.join("file"), "").unwrap();
        fs::create_dir(dir.join("folder")).unwrap();
        fs::write(dir.join("folder/old"), "").unwrap();
    });
    let recipe = sh("cat data/x single file/y folder")
        .code(code)
        .input("data/x", bench.file("1"))
        .input("single", bench.file("2"))
        .input("file/y", bench.file("3"))
        .input("folder", bench.file("4"))
        .recipe();
    let execution = bench.run(&recipe).unwrap();
    assert_eq!(bench.stdout(&execution), "1234");
    assert_eq!(fs::read_to_string(outside.path().join("x")).unwrap(), "precious");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn a_start_folder_may_be_empty_but_not_outside() {
    let bench = Bench::new();
    let code = bench.folder(|dir| symlink("/", dir.join("root")).unwrap());
    let start = |name: &str| {
        let recipe =
            sh("pwd; echo x > made").code(code).command(|c| c.directory = Some(slot(name)));
        bench.run(&recipe.recipe())
    };
    let execution = start("not/in/git").unwrap();
    assert!(bench.stdout(&execution).ends_with("/work/not/in/git\n"));
    assert_eq!(outputs(&execution), ["made"]);
    for outside in ["root", "root/tmp", "root/no-such-folder-anywhere"] {
        let error = start(outside).unwrap_err();
        assert!(matches!(error, ProcessError::DirectoryOutside { .. }), "{error}");
    }
    assert!(!PathBuf::from("/no-such-folder-anywhere").exists());
}

#[test]
fn without_declared_outputs_everything_new_or_changed_is_one() {
    let bench = Bench::new();
    let code = bench.folder(|dir| {
        for name in ["kept", "same", "edited", "swapped", "deleted", "touched"] {
            fs::write(dir.join(name), "12345").unwrap();
        }
    });
    let execution = bench
        .run(
            &sh("printf 12345 > same; printf 54321 > edited; touch touched; rm deleted
                 printf 99999 > t && mv t swapped; touch -d @946684800 edited
                 mkdir -p out/deep empty; echo x > out/deep/new
                 mkdir __pycache__; echo x > __pycache__/m.pyc")
            .code(code)
            .recipe(),
        )
        .unwrap();
    assert_eq!(*status(&execution), Status::Exited(0), "{}", bench.stderr(&execution));
    assert_eq!(outputs(&execution), ["edited", "out/deep/new", "swapped"]);
    assert_eq!(bench.output(&execution, "edited"), "54321");
    assert!(execution.notes.is_empty() && execution.undeclared.is_empty());
}

#[test]
fn declared_outputs_are_taken_and_others_named() {
    let bench = Bench::new();
    let recipe = sh("mkdir -p model log; echo w > model/weights; ln -s weights model/latest
                     echo r > result; echo l > log/l; echo o > ./other")
    .output("model")
    .output("result")
    .recipe();
    let execution = bench.run(&recipe).unwrap();
    assert_eq!(outputs(&execution), ["model", "result"]);
    assert_eq!(execution.undeclared, [slot("log/l"), slot("other")]);
    let model = bench.fetch(execution.outcome.outputs[&slot("model")]);
    let link = model.path().join("it/latest");
    assert_eq!(fs::read_link(&link).unwrap(), PathBuf::from("weights"));
    assert_eq!(fs::read_to_string(link).unwrap(), "w\n");
}

#[test]
fn an_output_that_is_not_made_is_missing_even_if_an_old_one_is_there() {
    let bench = Bench::new();
    let code = bench.folder(|dir| {
        fs::write(dir.join("old"), "from last week").unwrap();
        fs::create_dir(dir.join("dir")).unwrap();
        fs::write(dir.join("dir/f"), "from last week").unwrap();
        fs::write(dir.join("again"), "same").unwrap();
    });
    let recipe = sh("printf same > again; ln -s nowhere dangling; mkdir empty; mkfifo pipe")
        .code(code)
        .output("old")
        .output("dir")
        .output("again")
        .output("new")
        .output("dangling")
        .output("empty")
        .output("pipe")
        .recipe();
    let execution = bench.run(&recipe).unwrap();
    let missing = ["dangling", "dir", "new", "old", "pipe"].map(slot);
    assert_eq!(*status(&execution), Status::Missing(missing.to_vec()));
    assert_eq!(outputs(&execution), ["again", "empty"]);
    let noted = execution.notes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for name in ["'old'", "'dir'", "'pipe'"] {
        assert!(noted.contains(name), "{noted}");
    }
    // A failure is a failure first.
    let execution = bench.run(&sh("exit 4").output("new").recipe()).unwrap();
    assert_eq!(*status(&execution), Status::Exited(4));
}

#[test]
fn what_cannot_be_an_output_is_named_not_passed_over() {
    let bench = Bench::new();
    let recipe = sh(r#"echo 1 > "$(printf 'bad\377')"; echo 2 > 'a:b'; echo 3 > "$(printf 'x\ny')"
                       echo 4 > ../above; ln -s /etc/passwd stolen; ln -s none dangling
                       ln -s good link; mkfifo pipe; echo 5 > good"#)
    .command(|c| c.directory = Some(slot("in")))
    .recipe();
    let execution = bench.run(&recipe).unwrap();
    assert_eq!(outputs(&execution), ["good", "link"]);
    let noted: Vec<String> = execution.notes.iter().map(ToString::to_string).collect();
    assert_eq!(noted.len(), 7, "{noted:?}");
    for part in ["bad\u{fffd}", "a:b", "x\\ny", "above", "stolen", "dangling", "pipe"] {
        assert!(noted.iter().any(|note| note.contains(part)), "{part}: {noted:?}");
    }
}

#[test]
fn any_name_will_do_inside_a_declared_folder() {
    let bench = Bench::new();
    let execution = bench.run(&sh("mkdir o; echo 1 > 'o/a:b'").output("o").recipe()).unwrap();
    assert!(execution.notes.is_empty(), "{:?}", execution.notes);
    assert_eq!(outputs(&execution), ["o"]);
}

#[test]
fn metrics_are_read_from_outputs() {
    let bench = Bench::new();
    let json = r#"{"accuracy": 0.75, "per_class": {"cat": 1, "dog": NaN}, "name": "x"}"#;
    let metrics = |execution: &lab_process::Execution| -> Vec<(String, f64)> {
        execution.outcome.metrics.iter().map(|(k, n)| (k.clone(), n.get())).collect()
    };
    let one = [("accuracy".to_owned(), 0.75), ("per_class.cat".to_owned(), 1.0)];
    let execution = bench.sh(&format!("mkdir out; echo '{json}' > out/metrics.json"));
    assert_eq!(metrics(&execution), one);
    let folder = sh(&format!("mkdir out; echo '{json}' > out/metrics.json")).output("out");
    assert_eq!(metrics(&bench.run(&folder.recipe()).unwrap()), one);

    let two =
        bench.sh("echo '{\"a\":1}' > metrics.json; mkdir e; echo '{\"a\":2}' > e/metrics.json");
    assert_eq!(metrics(&two), [("a".to_owned(), 1.0), ("e.a".to_owned(), 2.0)]);

    let broken = bench.sh("echo '{' > metrics.json");
    assert!(broken.outcome.metrics.is_empty());
    assert!(matches!(&broken.notes[..], [Note::Metrics { .. }]));
    let many: String = (0..400).map(|i| format!("\"k{i}\":{i},")).collect();
    let many = bench.sh(&format!("echo '{{{many}\"z\":1}}' > metrics.json"));
    assert_eq!(many.outcome.metrics.len(), 300);
    assert!(matches!(&many.notes[..], [Note::Metrics { .. }]));
}

#[test]
fn metrics_are_found_in_logs_tables_and_folders() {
    let bench = Bench::new();
    let metrics = |execution: &lab_process::Execution| -> Vec<(String, f64)> {
        execution.outcome.metrics.iter().map(|(k, n)| (k.clone(), n.get())).collect()
    };
    let command = "mkdir -p out/logs/version_0; cd out; \
                   printf '{\"loss\": 0.5}\\n{\"loss\": 0.25, \"n\": 2}\\n{\"lo' > metrics.jsonl; \
                   printf 'epoch,acc,loss\\n0,0.5,\\n1,0.75,9\\n' > logs/version_0/metrics.csv";
    let expected = [
        ("logs.version_0.acc", 0.75),
        ("logs.version_0.epoch", 1.0),
        ("logs.version_0.loss", 9.0),
        ("loss", 0.25),
        ("n", 2.0),
    ]
    .map(|(k, n)| (k.to_owned(), n));
    for execution in [bench.run(&sh(command).output("out").recipe()).unwrap(), bench.sh(command)] {
        assert_eq!(metrics(&execution), expected);
        let note = execution.notes.iter().map(Note::to_string).collect::<Vec<_>>();
        assert_eq!(note, ["metrics in 'out/metrics.jsonl': its last line is cut off"]);
    }
}

#[test]
fn folders_without_the_right_to_write_are_removed_too() {
    let bench = Bench::new();
    let execution = bench.sh("mkdir -p a/b; echo x > a/b/c; chmod 555 a/b a");
    assert_eq!(outputs(&execution), ["a/b/c"]);
}

#[test]
fn a_missing_input_is_an_error_and_leaves_nothing() {
    let bench = Bench::new();
    let absent = lab_schema::BlobId::of(b"never stored");
    let error = bench.run(&argv(&["true"]).input("in", absent.into()).recipe()).unwrap_err();
    assert!(matches!(error, ProcessError::Objects(_)), "{error}");
    assert!(error.to_string().contains(&absent.short()), "{error}");
}
