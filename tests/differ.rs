//! What `lab diff` promises of watched runs: the variable comes first and nothing false stands above
//! it, two runs that differ in nothing differ in nothing, and a stranger's record neither floods nor
//! steers a terminal.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]
#![cfg(target_os = "linux")]

mod kit;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use kit::Place;
use serde_json::Value;

/// Whether a program is there; says so where it is not.
fn has(program: &str) -> bool {
    let mut asked = Command::new(program);
    asked.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    let there = asked.status().is_ok_and(|status| status.success());
    if !there {
        println!("skipped: no {program} here");
    }
    there
}

fn run(place: &Place, name: &str, script: &str) {
    // Not `sh`: where that is dash, a signal at the wrong moment makes it look for a program further
    // on in the path, in one run in a hundred.
    place.lab(["run", "--name", name, "--", "bash", "-c", script]).succeeds();
}

/// The rows of a difference: layer and name.
fn rows(place: &Place) -> Vec<(String, String)> {
    let said = place.lab(["diff", "a", "b", "--json"]);
    let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
    let json = said.json();
    let all = json["differs"].as_array().unwrap().iter();
    all.map(|row| (text(row, "layer"), text(row, "what"))).collect()
}

/// Runs the script before and after a change, and demands what is told first.
fn first(place: &Place, script: &str, change: impl FnOnce(), layer: &str, what: &str) {
    run(place, "a", script);
    // So that a file that is written again has another time.
    sleep(Duration::from_millis(20));
    change();
    run(place, "b", script);
    let rows = rows(place);
    let (found, name) = rows.first().expect("nothing differs");
    assert!(found == layer && name.contains(what), "{layer} {what} does not come first: {rows:?}");
}

/// Demands that the script, run twice, differs in nothing.
fn silent(place: &Place, script: &str) {
    run(place, "a", script);
    run(place, "b", script);
    place.lab(["diff", "a", "b"]).succeeds().says("differ in nothing recorded");
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

// ---- twins -----------------------------------------------------------------------------------

#[test]
fn a_python_program_run_twice_differs_in_nothing() {
    if !has("python3") {
        return;
    }
    let place = Place::registry();
    place.write("helper.py", "NAMES = ('x', 'y')\n");
    place.write("data/1.txt", "1\n");
    place.write("data/2.txt", "2\n");
    // Caches of modules, temporary files, processes, what the system says of itself, and an output
    // in the folder that is listed.
    let program = "import glob, helper, json, os, tempfile\n\
                   from multiprocessing import get_context\n\
                   if __name__ == '__main__':\n\
                   \x20   names = sorted(glob.glob('*') and os.listdir('data'))\n\
                   \x20   with tempfile.TemporaryDirectory() as folder:\n\
                   \x20       open(os.path.join(folder, 'x'), 'w').write(str(os.listdir(folder)))\n\
                   \x20   with get_context('spawn').Pool(2) as pool: sums = pool.map(abs, range(9))\n\
                   \x20   open('/proc/self/status').read(), open('/proc/meminfo').read()\n\
                   \x20   os.stat('/tmp'), os.stat('.'), os.path.exists('conf.json')\n\
                   \x20   json.dump([names, sums, helper.NAMES], open('out.json', 'w'))\n";
    place.write("train.py", program);
    silent(&place, "python3 train.py");
}

#[test]
fn a_pipeline_run_twice_differs_in_nothing() {
    let place = Place::registry();
    for n in [3, 1, 2] {
        place.write(format!("data/{n}"), format!("{n}\n"));
    }
    silent(
        &place,
        "t=$(mktemp -d); find data -type f | sort | xargs cat | sort -n | uniq -c > $t/x; ls $t .
         mv $t/x counts; rm -r $t; mkdir -p out/deep; cp counts out/deep/counts; ls -la out > /dev/null",
    );
}

#[test]
fn what_make_builds_twice_differs_in_nothing() {
    if !has("make") {
        return;
    }
    let place = Place::registry();
    place.write("Makefile", "all: b\nb: a\n\tsort a > b\na: words\n\ttr a-z A-Z < words > a\n");
    place.write("words", "x\nc\n");
    silent(&place, "make -B");
}

#[test]
fn what_a_run_leaves_beside_its_declared_output_is_no_difference() {
    let place = Place::registry();
    place.write("data", "x\n");
    for name in ["a", "b"] {
        let script = "ls . > /dev/null; cat data > result; echo done > train.log";
        let words = ["run", "-o", "result", "--name", name, "--", "sh", "-c", script];
        place.lab(words).succeeds();
    }
    place.lab(["diff", "a", "b"]).succeeds().says("differ in nothing recorded");
}

// ---- causes ----------------------------------------------------------------------------------

#[test]
fn a_secret_that_changed_is_no_chance() {
    let place = Place::registry();
    place.write(".env", "MODE=1\n");
    let change = || place.write(".env", "MODE=2\n");
    first(&place, ". ./.env; echo $MODE > out", change, "data", "secret .env");
}

#[test]
fn a_config_that_appeared_is_named() {
    let place = Place::registry();
    let script = "if [ -e conf ]; then echo tuned; else echo plain; fi > out";
    first(&place, script, || place.write("conf", ""), "found", "conf");
}

#[test]
fn a_link_that_points_elsewhere_and_its_data_come_first() {
    let place = Place::registry();
    place.write("v1/x", "1\n");
    place.write("v2/x", "2\n");
    symlink("v1", place.at("now")).unwrap();
    run(&place, "a", "cat now/x > out");
    fs::remove_file(place.at("now")).unwrap();
    symlink("v2", place.at("now")).unwrap();
    run(&place, "b", "cat now/x > out");
    let rows = rows(&place);
    let causes: Vec<&str> = rows.iter().map(|(_, what)| what.as_str()).collect();
    assert!(causes[0].contains("v1/x") || causes[0].contains("now"), "{rows:?}");
    assert!(causes.iter().any(|what| what.contains("now")), "{rows:?}");
}

#[test]
fn permissions_that_changed_are_named() {
    let place = Place::registry();
    place.write("part", "x\n");
    mode(&place.at("part"), 0o644);
    let change = || mode(&place.at("part"), 0o600);
    first(&place, "stat -c %a part > out", change, "permissions", "permissions of part");
}

#[test]
fn the_time_of_a_file_is_a_cause_where_it_was_looked_at_and_results_differ() {
    let place = Place::registry();
    place.write("old", "x\n");
    let change = || place.write("old", "x\n");
    first(&place, "stat -c %y old > out", change, "time", "time of old");
    // Where nothing came of it, it is none.
    let place = Place::registry();
    place.write("old", "x\n");
    run(&place, "a", "stat old > /dev/null; echo x > out");
    sleep(Duration::from_millis(20));
    place.write("old", "x\n");
    run(&place, "b", "stat old > /dev/null; echo x > out");
    assert_eq!(rows(&place), []);
}

#[test]
fn the_same_work_in_another_folder_differs_in_the_folder_alone() {
    let place = Place::empty();
    place.lab(["init"]).succeeds();
    for (folder, name) in [("one", "a"), ("two/deep", "b")] {
        for n in 1..4 {
            place.write(format!("{folder}/data/{n}"), n.to_string());
        }
        place.write(format!("{folder}/work.sh"), "cat data/* > out; ls . > names\n");
        let git = Command::new("git").args(["init", "-q"]).current_dir(place.at(folder)).status();
        if !git.is_ok_and(|status| status.success()) {
            println!("skipped: no git here");
            return;
        }
        place.lab_in(folder, ["run", "--name", name, "--", "sh", "work.sh"]).succeeds();
    }
    let rows = rows(&place);
    assert_eq!(rows, [("place".to_owned(), "project folder".to_owned())]);
}

#[test]
fn programs_that_draw_are_named_where_one_recipe_gives_two_results() {
    if !has("shuf") {
        return;
    }
    let place = Place::registry();
    let script = "seq 100000 | shuf -n 3 > out";
    first(&place, script, || {}, "chance", "shuf");
}

/// A virtual environment with one package, as an installer would leave it.
fn environment(place: &Place, top: &str, version: &str) {
    let site = format!("{top}/lib/python3.9/site-packages");
    place.write(format!("{top}/pyvenv.cfg"), format!("home = {top}\n"));
    place.write(format!("{site}/scaling/__init__.py"), format!("SCALE = '{version}'\n"));
    place.write(format!("{site}/scaling/more.py"), "X = 1\n");
    place.write(format!("{site}/scaling-{version}.dist-info/METADATA"), "Name: scaling\n");
    place.write(format!("{site}/steady.py"), "Y = 1\n");
}

#[test]
fn a_package_of_an_environment_elsewhere_is_named_with_its_versions() {
    if !has("python3") {
        return;
    }
    let place = Place::registry();
    let elsewhere = Place::empty();
    environment(&elsewhere, "one", "1.0");
    environment(&elsewhere, "two", "1.1");
    let now = elsewhere.at("now");
    symlink(elsewhere.at("one"), &now).unwrap();
    let program = format!(
        "import os, sys\n\
         top = os.path.realpath('{}')\n\
         open(top + '/pyvenv.cfg').read()\n\
         sys.path.insert(0, top + '/lib/python3.9/site-packages')\n\
         import scaling, scaling.more, steady\n\
         open('out', 'w').write(scaling.SCALE)\n",
        now.display()
    );
    place.write("train.py", program);
    let change = || {
        fs::remove_file(&now).unwrap();
        symlink(elsewhere.at("two"), &now).unwrap();
    };
    first(&place, "python3 train.py", change, "package", "package scaling");
    place.lab(["diff", "a", "b"]).exits(1).says("1.0 → 1.1");
    let steady = rows(&place).into_iter().find(|(_, what)| what.contains("steady"));
    assert_eq!(steady, None);
}

// ---- strangers -------------------------------------------------------------------------------

#[test]
fn names_of_a_stranger_steer_no_terminal() {
    let place = Place::registry();
    for (name, value) in [("a", "1"), ("b", "2")] {
        let words = ["run", "--name", name, "--", "sh", "-c", "echo > out", "x"];
        let option = format!("--\u{1b}[31m\rred={value}");
        place.lab(words.into_iter().chain([option.as_str()])).succeeds();
    }
    let said = place.lab(["diff", "a", "b"]).exits(1);
    // Sequences are left out where nobody looks at a terminal anyway; that they are shown as text
    // says that they never were any.
    assert!(said.out.contains("\\u{1b}[31m\\rred"), "{:?}", said.out);
    assert!(!said.out.contains(['\u{1b}', '\r']), "{:?}", said.out);
}
