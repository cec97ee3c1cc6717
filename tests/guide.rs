//! The guide's sessions, run as they stand. `UPDATE_DOCS=1` writes what comes out into the guide.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod kit;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use kit::{Place, said, top};
use regex::Regex;

#[test]
fn the_sessions_of_the_guide_are_true() {
    if !kit::allows_boxes() {
        // Then it says `not sealed`, and why: true, and no guide.
        return println!("skipped: this machine allows no sealed boxes");
    }
    let place = Place::empty();
    place.write("work/digits.csv.gz", include_bytes!("../cli/data/digits.csv.gz"));
    place.write("work/digits.toml", include_bytes!("../cli/data/digits.toml"));
    place.write("work/lab.toml", fs::read(top().join("docs/examples/lab.toml")).unwrap());
    // A project of DVC, as that lays it out.
    place.write("old/.dvc/config", "");
    let (digest, labels) = ("7405ee2baca70650d2d721f77ce7ec14", "label,digit\n0,zero\n1,one\n");
    place.write(format!("old/.dvc/cache/files/md5/{}/{}", &digest[..2], &digest[2..]), labels);
    place.write(
        "old/labels.csv.dvc",
        format!("outs:\n- md5: {digest}\n  size: 25\n  hash: md5\n  path: labels.csv\n"),
    );
    let page = top().join("docs/guide.md");
    let text = fs::read_to_string(&page).unwrap();
    let mut here = place.at("work");
    let (mut written, mut inside, mut commands) = (String::new(), false, 0);
    for line in text.lines() {
        let command = line.strip_prefix("$ ").filter(|_| inside);
        if line.starts_with("```") {
            inside = line == "```console";
        }
        if let Some(command) = command {
            commands += 1;
            let (output, folder) = type_in(&place, &here, command);
            here = folder;
            written.push_str(&format!("$ {command}\n{}", as_shown(&place, &output)));
        } else if !inside || line.starts_with("```") {
            written.push_str(line);
            written.push('\n');
        }
    }
    assert!(commands > 20, "the guide has lost its sessions");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&page, &written).unwrap();
    }
    let (expected, found) = (normal(&fs::read_to_string(&page).unwrap()), normal(&written));
    for (number, (expected, found)) in expected.lines().zip(found.lines()).enumerate() {
        assert_eq!(expected, found, "docs/guide.md, line {}", number + 1);
    }
    assert_eq!(
        expected.lines().count(),
        found.lines().count(),
        "docs/guide.md shows more, or less, than comes out"
    );
}

/// Types a command in a folder; gives what a terminal would show, and the folder afterwards.
fn type_in(place: &Place, here: &PathBuf, command: &str) -> (String, PathBuf) {
    let bin = PathBuf::from(kit::lab()).parent().unwrap().to_owned();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let script = format!("{{ {command}\n}} 2>&1; pwd > '{}'", place.at("pwd").display());
    let mut shell = Command::new("bash");
    shell
        .env_clear()
        .env("PATH", path)
        .env("HOME", place.path())
        .env("LAB_USER", "ana")
        .env("LC_ALL", "C");
    let output = said(shell.current_dir(here).args(["-c", &script]));
    let folder = fs::read_to_string(place.at("pwd")).unwrap();
    (output.out, PathBuf::from(folder.trim_end()))
}

/// What the guide shows: without the test's own folder in paths.
fn as_shown(place: &Place, output: &str) -> String {
    output
        .replace(&place.path().display().to_string(), "/home/ana")
        .lines()
        .map(|l| format!("{}\n", l.trim_end()))
        .collect()
}

/// What has to be equal: hashes of runs, times and durations are left out, as is the shape of the
/// space around them.
fn normal(text: &str) -> String {
    let rules = [
        (r"\b[0-9a-f]{64}\b", "ID"),
        (r"\b[0-9a-f]{12}\b", "HASH"),
        (r"\b\d+(\.\d+)? (s|min \d+ s)\b", "TIME"),
        (r"\b(just now|\d+ (second|minute)s? ago)", "AGO"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "WHEN"),
        (r"\d+ cores?, [a-z0-9_, ]+", "MACHINE, "),
        (r"\b\d+(\.\d+)? [KM]B new", "BYTES new"),
        // A record takes some bytes more or less, as its times have more or fewer digits.
        (r"\b\d+(\.\d+)? [KM]?B (would move|on the way)", "BYTES $2"),
        (r"(objects?) +\d+(\.\d+)? [KM]?B +BYTES on", "$1 BYTES BYTES on"),
        (r"linux (x86_64|aarch64)", "linux ARCH"),
        // Systems are put together differently.
        (r"environment of \d+ files", "environment of FILES"),
        (r"\d+ files as they were", "FILES as they were"),
        (r"\d+ still nowhere", "SOME still nowhere"),
        (r"random bytes were taken from the system.*", "ENTROPY"),
        // Three rows drawn at random.
        (r"(\d+,){3,}\d+", "ROW"),
        (r"byte \d+ .*", "PLACE"),
        (r"line \d+.*", "PLACE"),
        (r" +", " "),
    ];
    let mut text = text.to_owned();
    for (pattern, replacement) in rules {
        text = Regex::new(pattern).unwrap().replace_all(&text, replacement).into_owned();
    }
    text
}
