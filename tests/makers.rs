//! Who made what a run read, and what came of a run: as it is written down, and not by equal bytes.
#![allow(clippy::unwrap_used, missing_docs)]

mod kit;

use kit::{Place, allows_boxes};

/// Leaves 150 files; the number on its command line is in each.
const MAKE: &str = "mkdir -p out; for i in $(seq 150); do echo $((i * $1)) > out/$i.txt; done";
/// Reads 120 of them: more than are told one by one.
const USE: &str = "cat out/??.txt out/1[0-2]?.txt > sum.txt";

fn make(place: &Place, name: &str, factor: &str) {
    place.write("make.sh", MAKE);
    place.lab(["run", "--name", name, "--", "sh", "make.sh", factor]).succeeds();
}

fn sum(place: &Place, name: &str) {
    place.write("use.sh", USE);
    place.lab(["run", "--name", name, "--", "sh", "use.sh"]).succeeds();
}

/// What of a folder was read is a tree that no run left: all the same it came from somewhere.
#[test]
fn many_files_of_a_folder_have_the_maker_that_they_have() {
    if !allows_boxes() {
        return;
    }
    let place = Place::registry();
    make(&place, "make", "3");
    sum(&place, "sum");
    let (make_id, sum_id) = (place.id("make"), place.id("sum"));
    place.lab(["why", "sum"]).succeeds().says(&format!("made by run {}  make", &make_id[..12]));
    place.lab(["graph", "sum"]).succeeds().says("make  run");
    let down = place.lab(["graph", "--down", "make"]).succeeds().says("sum  run").says("sum.txt");
    // What is alike is not drawn 150 times.
    let down = down.says("and 117 more read as well").says("and 27 more that nobody read");
    assert!(down.out.lines().count() < 20, "{}", down.out);
    place.lab(["graph", "--down", "make:out/33.txt"]).succeeds().says("sum  run");
    let unread = place.lab(["graph", "--down", "make:out/5.txt"]).succeeds();
    assert!(!unread.out.contains("sum"), "{}", unread.out);
    place.lab(["verify", "--deep", "sum"]).succeeds().says("make").says("sum");

    // Another factor is where the difference comes in.
    make(&place, "make2", "4");
    sum(&place, "sum2");
    let differs = place.lab(["diff", "sum", "sum2", "--json"]).exits(1).json();
    let differs = differs["differs"].as_array().unwrap();
    let words = differs.iter().find(|v| v["consequence"] == false).unwrap();
    assert_eq!(words["after"], "4", "{differs:#?}");
    assert!(differs.iter().any(|v| v["what"] == "input out" && v["consequence"] == true));

    // It goes where the sum goes, and nothing else does.
    let remote = place.at("remote").display().to_string();
    place.lab(["remote", "add", "there", &remote]).succeeds();
    place.lab(["push", "there", "sum"]).succeeds();
    place.lab(["clone", &remote, "--into", "copy"]).succeeds();
    place.lab_in("copy", ["why", "sum"]).succeeds().says(&make_id[..12]);
    place.lab_in("copy", ["show", &make_id[..12]]).succeeds();
    place.lab_in("copy", ["show", &place.id("make2")[..12]]).exits(3);
    place.lab_in("copy", ["verify", &sum_id[..12]]).succeeds().says("identical");
}

/// What a fork changes in the first step is in the folder that the second one reads.
#[test]
fn a_fork_carries_on_what_lies_in_a_folder() {
    if !allows_boxes() {
        return;
    }
    let place = Place::registry();
    let script = MAKE.replace("$1", "$2");
    place.write("make.sh", script);
    // One file of the folder is nobody's.
    place.write("out/100.txt", "raw\n");
    place.lab(["run", "--name", "make", "--", "sh", "make.sh", "--factor", "3"]).succeeds();
    place.write("out/10raw.txt", "raw\n");
    place.write("use.sh", format!("{USE} out/10raw.txt"));
    place.lab(["run", "--name", "sum", "--", "sh", "use.sh"]).succeeds();
    place
        .lab(["fork", "sum", "--set", "factor=5", "--name", "five"])
        .succeeds()
        .says("forked from sum");
    let lines = |reference: &str| {
        let text = place.lab(["cat", reference]).succeeds().out;
        text.lines().map(|line| line.parse().unwrap_or(-1)).collect::<Vec<i64>>()
    };
    let (three, five) = (lines("sum:sum.txt"), lines("five:sum.txt"));
    assert_eq!(three.len(), 121);
    assert_eq!(three.iter().filter(|n| **n == -1).count(), 1, "the file that nobody made");
    let expected: Vec<i64> = three.iter().map(|n| if *n == -1 { -1 } else { n / 3 * 5 }).collect();
    assert_eq!(five, expected);
    place.lab(["why", "five"]).succeeds().says("--factor 5");
    place.lab(["verify", "--deep", "five"]).succeeds();
}

/// Of two that left the same bytes it is the one that was typed, also for whoever pulls it.
#[test]
fn what_was_typed_stands_in_the_record() {
    let place = Place::registry();
    place.write("a.txt", "a\n");
    for name in ["one", "two"] {
        let script = format!("cp a.txt b.txt; : {name}");
        place.lab(["run", "--name", name, "-i", "a.txt", "--", "sh", "-c", &script]).succeeds();
    }
    let (one, two) = (place.id("one"), place.id("two"));
    for (name, input, script) in [
        ("of-one", "x=one:b.txt", "cat x; : 1"),
        ("of-two", "x=two:b.txt", "cat x; : 2"),
        ("as-one", "x=of-one:x", "cat x; : 3"),
    ] {
        place.lab(["run", "--name", name, "-i", input, "--", "sh", "-c", script]).succeeds();
    }
    for (name, maker) in [("of-one", &one), ("of-two", &two), ("as-one", &one)] {
        let told = place.lab(["why", name, "--json"]).succeeds().json();
        assert_eq!(told["inputs"][0]["made_by"], maker.as_str(), "{name}");
    }
    let down = place.lab(["graph", "--down", "one"]).succeeds();
    assert!(down.out.contains("of-one") && !down.out.contains("of-two"), "{}", down.out);
    let remote = place.at("remote").display().to_string();
    place.lab(["remote", "add", "there", &remote]).succeeds();
    place.lab(["push", "there", "of-one"]).succeeds();
    place.lab(["clone", &remote, "--into", "copy"]).succeeds();
    let told = place.lab_in("copy", ["why", "of-one", "--json"]).succeeds().json();
    assert_eq!(told["inputs"][0]["made_by"], one.as_str());
    place.lab_in("copy", ["show", &two[..12]]).exits(3);
}

#[test]
fn what_nobody_made_tells_how_it_came_and_who_read_it() {
    let place = Place::registry();
    place.write("data/a.csv", "x\n1\n");
    place.write("data/b.csv", "x\n2\n");
    place.lab(["add", "data", "--name", "data"]).succeeds();
    place.lab(["add", "data/a.csv", "--name", "gone"]).succeeds();
    place.lab(["name", "--delete", "gone"]).succeeds();
    place.lab(["run", "--name", "use", "-i", "data", "--", "cat", "data/a.csv"]).succeeds();
    place.lab(["run", "--name", "one", "--", "cat", "data/b.csv"]).succeeds();
    // By a name that is not there any more; by the folder that holds it.
    place
        .lab(["why", "data/a.csv"])
        .succeeds()
        .says("gone@v1")
        .says("deleted since")
        .says("read by 1 run");
    place.lab(["why", "data/b.csv"]).succeeds().says("lies in data@v1").says("read by 2 runs");
    place.lab(["why", "data"]).succeeds().says("data@v1").says("read by 2 runs");
    place.lab(["graph", "--down", "data"]).succeeds().says("use  run").says("one  run");
    // Of several names the one that was typed.
    place.lab(["name", "zz", "data"]).succeeds();
    place.lab(["why", "zz"]).succeeds().says("zz@v1");
    let failed = place.lab(["run", "--json", "--", "sh", "-c", "exit 3"]).exits(1).json();
    let failed = failed["run"].as_str().unwrap();
    place.lab(["why", failed]).succeeds().says("exited with 3");
    place.lab(["graph", failed]).succeeds().says("exited with 3");
}

/// What stands on something that has moved on has too, through steps that have no name.
#[test]
fn what_stands_on_what_has_moved_on_is_stale() {
    let place = Place::registry();
    let stale = || {
        let status = place.lab(["status", "--json"]).succeeds().json();
        let all = status["stale"].as_array().unwrap().iter().map(|s| {
            let by = s["by"].as_str().map(|by| format!(" by {}", &by[..3])).unwrap_or_default();
            let text = |key: &str| s[key].as_str().unwrap().to_owned();
            format!("{} {}@v{}{by}", text("name"), text("input"), s["read"])
        });
        all.collect::<Vec<String>>()
    };
    let run = |name: &[&str], input: &str, script: &str| {
        let told = place
            .lab([&["run", "--json"], name, &["-i", input, "--", "sh", "-c", script]].concat());
        told.succeeds().json()["run"].as_str().unwrap().to_owned()
    };
    place.write("data.csv", "1\n");
    place.lab(["add", "data.csv", "--name", "data"]).succeeds();
    run(&["--name", "prep"], "x=data", "cat x > clean");
    let between = run(&[], "x=prep:clean", "cat x x > twice");
    let between = format!("x={}:twice", &between[..16]);
    run(&["--name", "train"], &between, "cat x x > model");
    assert_eq!(stale(), [""; 0]);
    // The first step is done otherwise, and comes to something else.
    run(&["--name", "prep"], "x=data", "cat x x > clean");
    assert_eq!(stale(), ["train prep@v1 by run"]);
    // The same again by another script is as good.
    run(&["--name", "prep"], "x=data", "cat < x > clean");
    assert_eq!(stale(), [""; 0]);
    place.write("data.csv", "2\n");
    place.lab(["add", "data.csv", "--name", "data"]).succeeds();
    assert_eq!(stale(), ["prep data@v1", "train data@v1 by run"]);
    place
        .lab(["status"])
        .succeeds()
        .says("train stands on run")
        .says("which read data@v1, which is at v2 now");
    place.write("data.csv", "1\n");
    place.lab(["add", "data.csv", "--name", "data"]).succeeds();
    assert_eq!(stale(), [""; 0]);
}

/// Files of a folder that has a name, read one by one, or so many that they are told as a folder of their own.
#[test]
fn who_read_a_file_of_a_folder_stands_on_the_folder() {
    if !allows_boxes() {
        return;
    }
    let place = Place::registry();
    for n in 0..150 {
        place.write(format!("data/{n}.txt"), format!("{n}\n"));
    }
    place.write("data/same.txt", "7\n");
    place.lab(["add", "data", "--name", "numbers"]).succeeds();
    let run = |name: &str, words: &str| {
        place.lab(["run", "--name", name, "--", "sh", "-c", words]).succeeds();
    };
    run("few", "cat data/1.txt data/2.txt data/3.txt > few.txt");
    run("seven", "cat data/7.txt > seven.txt");
    run("many", "cat data/*.txt > many.txt");
    run("sum", "cat few.txt many.txt > sum.txt");
    let why = place.lab(["why", "few"]).succeeds();
    why.says("data/1.txt  in numbers@v1 (dataset)").says("data/3.txt  in numbers@v1");
    place.lab(["why", "many"]).succeeds().says("data  numbers@v1 (dataset)");
    place
        .lab(["why", "sum"])
        .succeeds()
        .says("few read data/1.txt, data/2.txt and data/3.txt of numbers@v1 and left few.txt");
    let stale = || {
        let status = place.lab(["status", "--json"]).succeeds().json();
        let all = status["stale"].as_array().unwrap().iter();
        all.map(|s| s["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(stale(), [""; 0]);
    // Another file is another version, which is nothing to those that did not read it.
    place.write("data/9.txt", "another\n");
    place.lab(["add", "data", "--name", "numbers"]).succeeds();
    assert_eq!(stale(), ["many", "sum"]);
    // One that moved is still there, and so is one of two that are equal.
    std::fs::rename(place.at("data/1.txt"), place.at("data/one.txt")).unwrap();
    std::fs::remove_file(place.at("data/7.txt")).unwrap();
    place.lab(["add", "data", "--name", "numbers"]).succeeds();
    assert_eq!(stale(), ["many", "sum"]);
    place.write("data/2.txt", "two\n");
    place.lab(["add", "data", "--name", "numbers"]).succeeds();
    assert_eq!(stale(), ["few", "many", "sum"]);
    place.lab(["status"]).succeeds().says("few read numbers@v3, which is at v4 now");

    // Many from one place are not told one by one, and the earliest step comes first.
    run("most", "cat data/1?.txt > most.txt");
    let why = place.lab(["why", "most"]).succeeds();
    let why = why.says("and 5 more  in numbers@v4 (dataset)");
    assert_eq!(why.out.matches("  from   ").count(), 6, "{}", why.out);
}

/// A file that lies here is asked about as it lies here.
#[test]
fn a_path_stands_for_what_lies_there() {
    let place = Place::registry();
    place.write("data.txt", "1\n");
    for name in ["first", "second"] {
        place.lab(["run", "--name", name, "--", "sh", "-c", "cat data.txt > out.txt"]).succeeds();
    }
    let why = place.lab(["why", "out.txt"]).succeeds();
    why.says("out.txt was made by run").says("(second,").says("also left by run");
    place.lab(["graph", "out.txt"]).succeeds().says("second  run");
    place.lab(["show", "./out.txt"]).succeeds().says("blob");
    place.lab(["why", "data.txt"]).succeeds().says("made by no recorded run");
    place.write("out.txt", "2\n");
    place.write("folder/x.txt", "3\n");
    let changed = place.lab(["why", "out.txt"]).exits(3);
    changed.complains("the registry does not have what is in 'out.txt'");
    place.lab(["why", "folder"]).exits(3).complains("'folder' is a folder here");
    place.lab(["why", "gone.txt"]).exits(3).complains("no name or hash 'gone.txt'");
    // A name comes before a path.
    place.lab(["name", "folder", "first"]).succeeds();
    place.lab(["why", "folder"]).succeeds().says("This is run");
    // A change of a file here is told by its content.
    place.write("mine.txt", "1\n2\n");
    place.lab(["add", "mine.txt"]).succeeds();
    place.lab(["diff", "first:out.txt", "mine.txt"]).exits(1).says("+1 −0 lines");
}
