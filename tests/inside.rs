//! What `lab diff` tells of the inside of two contents: data sets, weights, folders, programs, whether
//! runs made them or not.
#![allow(clippy::unwrap_used, missing_docs)]

mod kit;

use std::fs;
use std::process::Command;

use kit::{Place, top};

/// Keeps two versions of a file under the names `a` and `b`.
fn two(place: &Place, file: &str, before: impl AsRef<[u8]>, after: impl AsRef<[u8]>) {
    for (name, bytes) in [("a", before.as_ref()), ("b", after.as_ref())] {
        place.write(file, bytes);
        place.lab(["add", file, "--name", name]).succeeds();
    }
}

fn penguins() -> String {
    fs::read_to_string(top().join("tests/data/penguins.csv")).unwrap()
}

#[test]
fn two_versions_of_a_data_set_differ_by_rows_and_columns() {
    let place = Place::registry();
    let before = penguins();
    let mut rows: Vec<String> = before.lines().map(str::to_owned).collect();
    rows.remove(3);
    rows[10] = rows[10].replacen("Torgersen", "Dream", 1);
    rows.push(rows[20].clone());
    let after = rows.join("\n") + "\n";
    two(&place, "penguins.csv", &before, &after);
    let said = place.lab(["diff", "a", "b"]).exits(1).says("1 added, 1 removed, 1 changed");
    assert!(said.out.contains("Torgersen → Dream"), "{}", said.out);
    let json = place.lab(["diff", "a", "b", "--json"]).exits(1).json();
    let inside = &json["contents"]["inside"];
    assert_eq!(inside["kind"], "table");
    assert_eq!((&inside["rows"]["changed"], &inside["rows"]["moved"]), (&1.into(), &0.into()));
    assert_eq!(json["differs"].as_array().unwrap().len(), 0);
    // The other way round, and the same.
    place.lab(["diff", "b", "a"]).exits(1).says("1 added, 1 removed, 1 changed");
    place.lab(["diff", "a", "a"]).succeeds().says("equal");
    assert_eq!(
        place.lab(["diff", "a", "a", "--json"]).succeeds().json()["contents"]["inside"]["kind"],
        "equal"
    );
    // An order that changed is said to have.
    let mut lines = before.lines();
    let header = lines.next().unwrap();
    let mut turned: Vec<&str> = lines.collect();
    turned.reverse();
    place.write("penguins.csv", format!("{header}\n{}\n", turned.join("\n")));
    place.lab(["add", "penguins.csv", "--name", "turned"]).succeeds();
    place.lab(["diff", "a", "turned"]).exits(1).says("344 the same").says("differs: 34");
}

#[test]
fn an_input_that_differs_and_code_that_differs_tell_their_inside() {
    let place = Place::registry();
    let git = |words: &[&str]| {
        let done = Command::new("git")
            .args(words)
            .current_dir(place.path())
            .env("HOME", place.path())
            .output();
        assert!(done.unwrap().status.success(), "{words:?}");
    };
    git(&["init", "-q"]);
    place.write("train.sh", "cut -d, -f2 data.csv > out.csv\n");
    place.write(
        "lib.py",
        "def load():\n    return 1\n\n\nclass Model:\n    def fit(self):\n        return 2\n",
    );
    let run = |name: &str| {
        place
            .lab(["run", "--name", name, "--", "sh", "-c", "cat lib.py > /dev/null; . ./train.sh"])
            .succeeds();
    };
    place.write("data.csv", "id,price\n1,10\n2,20\n3,30\n4,40\n");
    run("a");
    place.write("data.csv", "id,price\n1,10\n2,25\n3,30\n4,40\n5,50\n");
    place.write(
        "lib.py",
        "def load():\n    return 1\n\n\nclass Model:\n    def fit(self):\n        return 3\n",
    );
    run("b");
    let said = place.lab(["diff", "a", "b"]).exits(1);
    for text in [
        "rows: 1 added, 1 changed in column 'price'; order the same",
        "+1 −1 lines; functions touched: Model.fit",
    ] {
        assert!(said.out.contains(text), "{text}: {}", said.out);
    }
    assert!(!said.out.contains("return 3"), "{}", said.out);
    place
        .lab(["diff", "a", "b", "-p"])
        .exits(1)
        .says("-        return 2")
        .says("+        return 3");
    let json = place.lab(["diff", "a", "b", "--json"]).exits(1).json();
    let rows = json["differs"].as_array().unwrap();
    let data = rows.iter().find(|row| row["what"] == "input data.csv").unwrap();
    assert_eq!(data["inside"]["rows"]["added"], 1);
    // Of two files that runs made: the variables first, and then what they made.
    let said = place.lab(["diff", "a:out.csv", "b:out.csv"]).exits(1).says("inside what they made");
    assert!(said.out.find("data.csv") < said.out.find("inside what"), "{}", said.out);
    // Where one of them was made by no run, there is only what is inside.
    place.write("other.csv", "price\n10\n20\n30\n41\n");
    place.lab(["add", "other.csv", "--name", "other"]).succeeds();
    let json = place.lab(["diff", "a:out.csv", "other", "--json"]).exits(1).json();
    assert_eq!(
        (json["differs"].as_array().unwrap().len(), json["contents"]["inside"].is_object()),
        (0, true)
    );
}

#[test]
fn two_files_of_one_run_differ_though_the_run_does_not() {
    let place = Place::registry();
    place.lab(["run", "--name", "a", "--", "sh", "-c", "echo one > x; echo two > y"]).succeeds();
    let said =
        place.lab(["diff", "a:x", "a:y"]).exits(1).says("inside what one run made").says("+two");
    assert!(!said.out.contains("equal"), "{}", said.out);
    place.lab(["diff", "a", "a"]).succeeds().says("the same run");
}

#[test]
fn folders_of_images_and_files_are_summed_up() {
    let place = Place::registry();
    for n in 0..4 {
        place.write(format!("set/{n}.txt"), format!("{n}\n"));
    }
    place.lab(["add", "set", "--name", "a"]).succeeds();
    fs::rename(place.at("set/0.txt"), place.at("set/moved.txt")).unwrap();
    fs::remove_file(place.at("set/1.txt")).unwrap();
    place.write("set/2.txt", "changed\n");
    place.write("set/new.txt", "new\n");
    place.lab(["add", "set", "--name", "b"]).succeeds();
    place
        .lab(["diff", "a", "b"])
        .exits(1)
        .says("1 added, 1 removed, 1 changed, 1 moved")
        .says("0.txt → moved.txt")
        .says("2.txt   +1 −1 lines");
    place.lab(["diff", "a/2.txt", "b"]).exits(1).says("a file → a directory");
}

#[test]
fn names_and_values_of_strangers_steer_no_terminal() {
    let place = Place::registry();
    let evil = "\u{1b}[2J\u{7}";
    let table = |value: &str| format!("id,{evil}\n1,{value}\n2,{evil}\n");
    two(&place, "t.csv", table("x"), table(&format!("y{evil}")));
    let said = place.lab(["diff", "a", "b"]).exits(1).says("\\u{1b}[2J");
    assert!(!said.out.contains(['\u{1b}', '\u{7}']), "{:?}", said.out);
    two(&place, "t.txt", "x\n", format!("{evil}\n"));
    let said = place.lab(["diff", "a", "b", "-p"]).exits(1);
    assert!(!said.out.contains(['\u{1b}', '\u{7}']), "{:?}", said.out);
}

#[test]
fn what_was_left_out_of_a_clone_is_said_to_be_absent_and_had_when_asked_for() {
    let place = Place::registry();
    for (name, value) in [("a", "1"), ("b", "2")] {
        let text = format!("id,price\n7,{value}\n8,3\n");
        place.write("set/data.csv", &text);
        place.lab(["add", "set", "--name", &format!("set{name}")]).succeeds();
        place.write("data.csv", &text);
        place.lab(["run", "--name", name, "--", "sh", "-c", "wc -c data.csv > out"]).succeeds();
    }
    place.lab(["clone", ".", "--into", "part", "--only", "record"]).succeeds();
    let part = |words: &[&str]| place.lab_in("part", [&["diff"], words].concat());
    // Runs are compared without fetching anything, also where it could be.
    for more in [&["--offline"][..], &[]] {
        let said = part(&[&["a", "b"], more].concat()).exits(1);
        assert!(said.out.contains("not looked into: it is not here"), "{}", said.out);
    }
    let refused = part(&["seta/data.csv", "setb/data.csv", "--offline"]);
    assert!(refused.code > 1 && refused.code != 70 && refused.out.is_empty(), "{refused:?}");
    refused.complains("left out here");
    part(&["seta", "setb", "--offline"]).exits(1).says("not looked into: blob");
    part(&["seta", "setb"]).exits(1).says("1 changed in column 'price'");
    part(&["seta/data.csv", "setb/data.csv"]).exits(1).says("price 1 → 2");
    part(&["a", "b", "--offline"]).exits(1).says("1 changed in column 'price'");
}
