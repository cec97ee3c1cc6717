//! `docs/cli.md` is what `--help` prints. `UPDATE_DOCS=1` writes it.
#![allow(clippy::unwrap_used, missing_docs)]

mod kit;

use std::fmt::Write;
use std::fs;

use kit::{Place, top};

#[test]
fn the_reference_is_what_help_prints() {
    let place = Place::empty();
    let mut page =
        String::from("# Commands\n\nThis page is what `--help` prints; a test compares them.\n");
    let overview = place.lab(["--help"]).succeeds().out;
    write!(page, "\n```text\n{overview}```\n").unwrap();
    let commands: Vec<&str> = overview
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .collect();
    assert!(commands.len() >= 20, "{commands:?}");
    for command in commands {
        let help = place.lab([command, "--help"]).succeeds().out;
        write!(page, "\n## lab {command}\n\n```text\n{help}```\n").unwrap();
    }
    let page: String = page.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    let path = top().join("docs/cli.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/cli.md is not what --help prints: UPDATE_DOCS=1 cargo test -p lab --test reference"
    );
}

/// Each command's JSON can be parsed, and completions exist for the usual shells.
#[test]
fn every_listing_has_json_and_every_shell_completions() {
    let place = Place::digits();
    place.lab(["run", "--name", "base", "-o", "x", "--", "sh", "-c", "echo 1 > x"]).succeeds();
    place.lab(["remote", "add", "origin", "share"]).succeeds();
    for command in [
        &["init"][..],
        &["add", "digits.csv.gz"],
        &["get", "digits", "copy"],
        &["ls"],
        &["ls", "base"],
        &["show", "base"],
        &["show", "digits"],
        &["log"],
        &["log", "base"],
        &["why", "base"],
        &["why", "digits"],
        &["graph"],
        &["graph", "base"],
        &["status"],
        &["verify", "base"],
        &["diff", "base", "base"],
        &["name", "other", "base"],
        &["remote"],
        &["push"],
        &["pull"],
        &["clone", "share", "--into", "colleague"],
        &["check"],
    ] {
        let said = place.lab(command.iter().copied().chain(["--json"])).succeeds();
        assert!(!said.json().is_null(), "{command:?}");
        assert_eq!(said.err, "", "{command:?} talks beside its JSON");
    }
    for shell in ["bash", "zsh", "fish"] {
        place.lab(["completions", shell]).succeeds().says("verify");
    }
    place.lab(["graph", "base", "--dot"]).succeeds().says("digraph");
}
