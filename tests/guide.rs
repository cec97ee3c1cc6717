//! The sessions of the guide and of the stories, run as they stand. `UPDATE_DOCS=1` writes what comes out into them.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod kit;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use kit::{Place, said, top};
use regex::Regex;

#[test]
fn the_sessions_of_the_guide_are_true() {
    let place = Place::empty();
    place.write("work/digits.csv.gz", include_bytes!("../cli/data/digits.csv.gz"));
    place.write("work/digits.toml", include_bytes!("../cli/data/digits.toml"));
    place.write("work/lab.toml", example("lab.toml"));
    // A project of DVC, as that lays it out.
    place.write("old/.dvc/config", "");
    let (digest, labels) = ("7405ee2baca70650d2d721f77ce7ec14", "label,digit\n0,zero\n1,one\n");
    place.write(format!("old/.dvc/cache/files/md5/{}/{}", &digest[..2], &digest[2..]), labels);
    place.write(
        "old/labels.csv.dvc",
        format!("outs:\n- md5: {digest}\n  size: 25\n  hash: md5\n  path: labels.csv\n"),
    );
    is_true("docs/guide.md", &Sessions { place: &place, shown: "/home/ana", here: "work" });
}

#[test]
fn the_stories_are_true() {
    let place = Place::empty();
    for folder in ["digits", "brightness", "board"] {
        let data = format!("ana/{folder}/digits.csv.gz");
        place.write(data, include_bytes!("../cli/data/digits.csv.gz"));
    }
    place.write("ana/digits/digits.toml", include_bytes!("../cli/data/digits.toml"));
    place.write("ana/brightness/mean.sh", example("mean.sh"));
    place.write("ana/board/train.sh", example("train.sh"));
    place.write("ana/board/score.sh", example("score.sh"));
    place.write("ben/few.sh", example("few.sh"));
    fs::create_dir(place.at("share")).unwrap();
    is_true("docs/stories.md", &Sessions { place: &place, shown: "/home", here: "ana/digits" });
}

/// Where the sessions of a page are typed.
struct Sessions<'a> {
    place: &'a Place,
    /// What the page calls that place.
    shown: &'a str,
    /// Where in it they begin.
    here: &'a str,
}

fn example(name: &str) -> Vec<u8> {
    fs::read(top().join("docs/examples").join(name)).unwrap()
}

/// Types what a page shows, and compares what comes out.
fn is_true(page: &str, sessions: &Sessions<'_>) {
    if !kit::allows_boxes() {
        // Then it says `not sealed`, and why: true, and no guide.
        return println!("skipped: this machine allows no sealed boxes");
    }
    let path = top().join(page);
    let text = fs::read_to_string(&path).unwrap();
    let mut here = sessions.place.at(sessions.here);
    let (mut written, mut inside, mut commands) = (String::new(), false, 0);
    for line in text.lines() {
        let command = line.strip_prefix("$ ").filter(|_| inside);
        if line.starts_with("```") {
            inside = line == "```console";
        }
        if let Some(command) = command {
            commands += 1;
            let (output, folder) = sessions.type_in(&here, command);
            here = folder;
            written.push_str(&format!("$ {command}\n{}", sessions.as_shown(&output)));
        } else if !inside || line.starts_with("```") {
            written.push_str(line);
            written.push('\n');
        }
    }
    assert!(commands > 20, "{page} has lost its sessions");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &written).unwrap();
    }
    let (expected, found) = (normal(&fs::read_to_string(&path).unwrap()), normal(&written));
    for (number, (expected, found)) in expected.lines().zip(found.lines()).enumerate() {
        assert_eq!(expected, found, "{page}, line {}", number + 1);
    }
    assert_eq!(
        expected.lines().count(),
        found.lines().count(),
        "{page} shows more, or less, than comes out"
    );
}

impl Sessions<'_> {
    /// Types a command in a folder; gives what a terminal would show, and the folder afterwards. Under `/home`
    /// whoever's folder it is is logged in.
    fn type_in(&self, here: &Path, command: &str) -> (String, PathBuf) {
        let bin = PathBuf::from(kit::lab()).parent().unwrap().to_owned();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let top = self.place.path().display().to_string();
        let command = command.replace(&format!("{}/", self.shown), &format!("{top}/"));
        let script = format!("{{ {command}\n}} 2>&1; pwd > '{}'", self.place.at("pwd").display());
        let user = match self.shown.rsplit_once('/') {
            Some(("/home", user)) => user.to_owned(),
            _ => {
                let inside = here.strip_prefix(self.place.path()).unwrap();
                inside.iter().next().unwrap().to_str().unwrap().to_owned()
            }
        };
        let mut shell = Command::new("bash");
        shell
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.place.path())
            .env("LAB_USER", user)
            .env("LC_ALL", "C");
        let output = said(shell.current_dir(here).args(["-c", &script]));
        let folder = fs::read_to_string(self.place.at("pwd")).unwrap();
        (output.out, PathBuf::from(folder.trim_end()))
    }

    /// What the page shows: without the test's own folder in paths.
    fn as_shown(&self, output: &str) -> String {
        output
            .replace(&self.place.path().display().to_string(), self.shown)
            .lines()
            .map(|l| format!("{}\n", l.trim_end()))
            .collect()
    }
}

/// What has to be equal: hashes of runs, times and durations are left out, as is the shape of the
/// space around them.
fn normal(text: &str) -> String {
    let rules = [
        (r"\b[0-9a-f]{64}\b", "ID"),
        (r"\b[0-9a-f]{12}\b", "HASH"),
        (r"\b\d+(\.\d+)? (s|min \d+ s)\b", "TIME"),
        (r"\b(just now|\d+ (second|minute)s? ago)", "AGO"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "WHEN"),
        // A hundred rows drawn at random.
        (r"(few +(accuracy )?)0\.\d{4}", "${1}SCORE"),
        (r"\d+ cores?, [a-z0-9_, ]+", "MACHINE, "),
        // Systems are put together differently, and what runs on them comes along.
        (r"\b\d+ objects, \d+(\.\d+)? [KM]B new( \(\d+ objects already there\))?", "OBJECTS new"),
        // A record takes some bytes more or less, as its times have more or fewer digits.
        (r"\b\d+(\.\d+)? [KM]?B (would move|on the way)", "BYTES $2"),
        // So does a report, which shows hashes, times and durations.
        (r"(a report on \d+ runs?), \d+(\.\d+)? KB", "$1, BYTES"),
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
