//! Remotes on other machines, by a program in the place of `ssh` that runs the far side here, in another
//! home. The real one is tried by `tests/remotes/run`.
#![allow(clippy::unwrap_used, missing_docs)]

mod kit;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use kit::{Place, Said, said};

/// A place with another home in `far`, and what stands in for ssh: `rest` comes before the far side is
/// run.
fn place(rest: &str) -> Place {
    let place = Place::digits();
    let script = format!(
        "#!/bin/sh\n{rest}\necho \"$@\" >> {log}\nfor word; do last=$word; done\ncd {far} && exec sh -c \"$last\"\n",
        log = place.at("log").display(),
        far = place.at("far").display()
    );
    fs::create_dir(place.at("far")).unwrap();
    place.write("ssh", script);
    fs::set_permissions(place.at("ssh"), fs::Permissions::from_mode(0o755)).unwrap();
    place
}

fn lab_in(place: &Place, folder: &str, args: &[&str]) -> Said {
    let mut command: Command = place.command();
    let bin = std::path::PathBuf::from(kit::lab()).parent().unwrap().to_owned();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    command.current_dir(place.at(folder)).env("LAB_SSH", place.at("ssh")).env("PATH", path);
    said(command.args(args))
}

#[test]
fn a_baseline_goes_to_another_machine_and_is_pulled_from_it() {
    let place = place("");
    let lab = |args: &[&str]| lab_in(&place, ".", args);
    lab(&["run", "digits.toml", "--name", "base", "--set", "train.epochs=1"]).succeeds();
    lab(&["remote", "add", "origin", "ana@box:labs/it's mine"])
        .succeeds()
        .says("the first push makes a store");
    lab(&["push", "origin", "base"]).succeeds().says("(new)").complains("made a store");
    lab(&["push", "origin", "base"]).succeeds().says("as it was");
    assert!(place.at("far/labs/it's mine/packs").is_dir());
    let log = String::from_utf8(place.read("log")).unwrap();
    let first = log.lines().next().unwrap();
    assert!(
        first.starts_with("-T -o ServerAliveInterval=15 -- ana@box lab serve --stdio "),
        "{first}"
    );

    let cloned = lab(&["clone", "ana@box:labs/it's mine", "--into", "copy"]).succeeds();
    assert!(cloned.out.contains("base"), "{}", cloned.out);
    lab_in(&place, "copy", &["verify", "base"]).succeeds().says("identical");
    lab_in(&place, "copy", &["check"]).succeeds().says("sound");
    // A part, and what of the rest is needed.
    let part = ["clone", "ana@box:labs/it's mine", "base", "--into", "part", "--only", "record"];
    lab(&part).succeeds().says("left there");
    lab_in(&place, "part", &["--offline", "verify", "base"]).exits(3);
    lab_in(&place, "part", &["verify", "base"])
        .succeeds()
        .says("identical")
        .complains("from ana@box:labs/it's mine");
    lab_in(&place, "copy", &["pull", "origin"]).succeeds().says("as it was");
    // By URL, with a port and a path from the root.
    let url = format!("ssh://ana@box:2222{}", place.at("far/labs/it's%20mine").display());
    lab(&["pull", &url, "base"]).succeeds().says("already there");
    let log = String::from_utf8(place.read("log")).unwrap();
    assert!(log.lines().last().unwrap().starts_with("-p 2222 -T "), "{log}");
}

#[test]
fn what_is_wrong_with_the_way_is_said() {
    let place = place("");
    let lab = |args: &[&str]| lab_in(&place, ".", args);
    let script = |text: &str| {
        place.write("ssh", format!("#!/bin/sh\n{text}\n"));
    };
    lab(&["clone", "box:nothing", "--into", "a"])
        .exits(5)
        .complains("there is no store at box:nothing");
    lab(&["clone", "-oProxyCommand=touch pwned:x", "--into", "a"]).exits(2);
    lab(&["clone", "ssh://-oProxyCommand=touch/x", "--into", "a"])
        .exits(2)
        .complains("it has no host");
    script("echo 'Permission denied (publickey).' >&2; exit 255");
    lab(&["clone", "box:x", "--into", "a"])
        .exits(5)
        .complains("Permission denied (publickey).")
        .complains("cannot reach box:x: ssh could not connect");
    script("exit 127");
    lab(&["clone", "box:x", "--into", "a"]).exits(5).complains("no `lab` on the far side's path");
    script("echo 'Welcome to box, have a nice day with us'");
    lab(&["clone", "box:x", "--into", "a"]).exits(5).complains("longer than any may be");
    script("true");
    lab(&["clone", "box:x", "--into", "a"]).exits(5).complains("hung up");
    assert!(!place.at("a").exists() && !place.at("pwned").exists() && !place.at("touch").exists());
    // A machine that is off can be added.
    lab(&["remote", "add", "later", "box:x"]).succeeds().says("not reached now");
}

/// The connection breaks in the middle, once: it is made anew, and says so.
#[test]
fn a_push_goes_on_when_the_connection_breaks() {
    let place = place("");
    let lab = |args: &[&str]| lab_in(&place, ".", args);
    lab(&["run", "digits.toml", "--name", "base", "--set", "train.epochs=1"]).succeeds();
    lab(&["push", "box:store", "base"]).succeeds();
    fs::remove_dir_all(place.at("far/store")).unwrap();
    let script = String::from_utf8(place.read("ssh")).unwrap();
    // The first connection takes 60 kB and then hangs up.
    let cut = script.replace(
        "exec sh -c \"$last\"",
        "if [ -e broke ]; then exec sh -c \"$last\"; fi; touch broke; dd bs=1 count=60000 status=none | sh -c \"$last\"",
    );
    place.write("ssh", cut);
    lab(&["push", "box:store", "base"]).succeeds().says("(new)").complains("trying again");
    lab(&["clone", "box:store", "--into", "copy"]).succeeds();
    lab_in(&place, "copy", &["verify", "base", "--deep"]).succeeds();
    lab_in(&place, "copy", &["check"]).succeeds().says("sound");
}

#[test]
fn no_more_goes_than_may() {
    let place = place("");
    let lab = |args: &[&str]| lab_in(&place, ".", args);
    let mut state = 1u64;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    })
    .take(250_000)
    .collect();
    place.write("noise", &bytes);
    lab(&["add", "noise", "--name", "noise"]).succeeds();
    let at = "box:store";
    let stored = |said: Said| -> f64 {
        let bytes = said.out.lines().find(|line| line.contains("on the way")).unwrap().to_owned();
        let text = bytes.rsplit_once("  ").unwrap().1.replace(" on the way", "");
        let (number, unit) = text.trim().split_once(' ').unwrap();
        number.parse::<f64>().unwrap() * if unit == "KB" { 1e3 } else { 1.0 }
    };
    lab(&["push", at]).succeeds();
    let size = stored(lab(&["clone", at, "--into", "x", "--dry-run"]).succeeds());
    assert!(size > 150_000.0, "{size}");
    fs::remove_dir_all(place.at("far/store")).unwrap();
    let rate = "100k";
    for args in [
        &["push", at, "--limit-rate", rate][..],
        &["clone", at, "--into", "slow", "--limit-rate", rate],
    ] {
        let start = std::time::Instant::now();
        lab(args).succeeds();
        // The last piece need not be waited for.
        let least = (size - 25_000.0) / 100_000.0;
        let took = start.elapsed().as_secs_f64();
        assert!(took >= least && took < least * 3.0 + 5.0, "{args:?}: {took} s, {least}");
    }
    lab(&["push", at, "--limit-rate", "fast"]).exits(2).complains("is no rate");
    lab(&["push", at, "--limit-rate", "1k"]).exits(2).complains("64k, which is the least");
}
