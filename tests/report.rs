//! Pages: what is written, where, and that it says what `lab compare` says.
#![allow(clippy::unwrap_used, missing_docs)]

mod kit;

use std::fs;

use kit::Place;

/// Two methods with the same seeds, of which the second is trained for longer.
fn trained(seeds: &str) -> Place {
    let place = Place::digits();
    for (name, set) in [("base", "train.epochs=1"), ("mine", "train.epochs=4")] {
        place
            .lab(["run", "digits.toml", "--name", name, "--seeds", seeds, "--set", set])
            .succeeds();
    }
    place
}

fn text(place: &Place, file: &str) -> String {
    String::from_utf8(place.read(file)).unwrap()
}

/// The words of a page, without its tags.
fn words(html: &str) -> String {
    let after =
        |part: &str| part.split_once('>').map_or(String::new(), |(_, text)| text.to_owned());
    let body = html.split_once("<body>").unwrap().1;
    body.split('<').map(after).collect::<String>().replace('\u{a0}', " ")
}

#[test]
fn a_report_says_what_compare_says_and_how_to_do_it_again() {
    let place = trained("1..6");
    place.lab(["verify", "base.seed1"]).succeeds();
    let mut ben = place.command();
    ben.env("LAB_USER", "ben").args(["verify", "mine.seed2"]);
    kit::said(&mut ben).succeeds();
    let report = ["report", "base@seeds", "mine@seeds", "-m", "accuracy"];
    let said = place.lab([&report[..], &["-o", "page.html", "--json"]].concat()).succeeds().json();
    assert_eq!(said["path"].as_str().unwrap(), place.at("page.html").to_str().unwrap());
    assert_eq!(said["bytes"].as_u64().unwrap(), place.read("page.html").len() as u64);
    assert_eq!(said["comparable"], true);
    assert_eq!(said["verdicts"][0], "mine is better");
    let html = text(&place, "page.html");
    let told = words(&html);
    let compared =
        place.lab(["compare", "base@seeds", "mine@seeds", "-m", "accuracy"]).succeeds().out;
    let shown = compared.lines().find(|line| line.contains("difference ")).unwrap();
    for part in shown.trim().split(", ") {
        let number = part.trim_start_matches("difference ").replace("95 % interval ", "");
        assert!(told.contains(&number), "{number}: {told}");
    }
    for part in [
        "Does mine do better than base in accuracy?",
        "mine is better",
        "only epochs differs (1 → 4)",
        "12 recorded runs have looked at this data",
        "identical, by ben",
        "never verified",
        "train.lr 0.003",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    // Every run by its full hash, and the data.
    for name in ["base.seed1", "mine.seed6", "digits"] {
        assert!(told.contains(&place.id(name)), "{name}");
    }
    assert!(told.contains(&format!("lab verify {}", place.id("base.seed3"))));
    // Nothing is loaded, nothing runs, and nothing tells where it was written.
    for outside in ["<script", "http:", "https:", "src=", "url(", "@import"] {
        assert!(!html.contains(outside), "{outside}");
    }
    assert!(!html.contains(place.path().to_str().unwrap()));
    // The same records give the same page.
    let again = place.lab([&report[..], &["-o", "-"]].concat()).succeeds();
    assert_eq!(again.out, html);
}

#[test]
fn a_report_on_what_cannot_be_compared_says_so_first_and_gives_no_verdict() {
    let place = trained("1..4");
    let scaled = ["--set", "train.epochs=4", "--set", "prepare.scale=\"none\""];
    place
        .lab([&["run", "digits.toml", "--name", "scaled", "--seeds", "1..4"], &scaled[..]].concat())
        .succeeds();
    let report = |more: &[&str]| place.lab([&["report", "-m", "accuracy"], more].concat());
    // The page is written all the same, and the exit code is that of `lab compare`.
    report(&["mine@seeds", "scaled@seeds", "-o", "page.html"])
        .exits(1)
        .says("page.html")
        .complains("not comparable");
    let json = ["mine@seeds", "scaled@seeds", "-o", "again.html", "--json"];
    assert_eq!(report(&json).exits(1).json()["comparable"], false);
    assert_eq!(place.read("again.html"), place.read("page.html"));
    place.lab(["compare", "mine@seeds", "scaled@seeds", "-m", "accuracy"]).exits(1);
    let told = words(&text(&place, "page.html"));
    let (first, rest) = told.split_once("Every run").unwrap();
    assert!(first.contains("Not comparable") && first.contains("prepare.scale"), "{first}");
    assert!(!told.contains("is better") && !told.contains(" p = "), "{told}");
    assert!(rest.contains("confounder"));
    // What was argued not to matter is told.
    report(&["mine@seeds", "scaled@seeds", "--allow", "parameter:scale", "-o", "allowed.html"])
        .succeeds();
    let told = words(&text(&place, "allowed.html"));
    assert!(told.contains("allowed") && told.contains("--allow parameter:scale"), "{told}");
    // Too few, one alone, and several.
    report(&["base.seed1,base.seed2", "mine.seed1,mine.seed2", "-o", "few.html"]).succeeds();
    let told = words(&text(&place, "few.html"));
    assert!(told.contains("No verdict possible with 2 runs each"), "{told}");
    report(&["mine@seeds", "-o", "one.html"]).succeeds();
    let told = words(&text(&place, "one.html"));
    assert!(
        told.contains("mine in accuracy")
            && !told.contains("verdict")
            && !told.contains("What differs"),
        "{told}"
    );
    report(&["base.seed1", "-o", "single.html"]).succeeds();
    report(&["base@seeds", "mine@seeds", "-o", "three.html", "--title", "A <b>title</b>"])
        .succeeds();
    assert!(text(&place, "three.html").contains("<h1>A &lt;b&gt;title&lt;/b&gt;</h1>"));
}

#[test]
fn a_page_is_written_whole_and_over_nothing() {
    let place = trained("1..2");
    let report =
        |more: &[&str]| place.lab([&["report", "base@seeds", "-m", "accuracy"], more].concat());
    place.write("there.html", "mine");
    report(&["-o", "there.html"]).exits(4).complains("is there already").complains("--force");
    assert_eq!(place.read("there.html"), b"mine");
    report(&["-o", "there.html", "--force"]).succeeds().says("there.html");
    assert!(text(&place, "there.html").ends_with("</html>\n"));
    std::os::unix::fs::symlink("nowhere", place.at("link.html")).unwrap();
    report(&["-o", "link.html"]).exits(4);
    report(&["-o", "none/page.html"]).exits(3);
    report(&["-o", ".lab/page.html"]).exits(4);
    report(&[]).exits(2).complains("-o page.html");
    report(&["-o", "-", "--json"]).exits(2);
    let left: Vec<String> = fs::read_dir(place.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("there.html.") || name.starts_with("link.html."))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    // What compare refuses, report does.
    place.lab(["report", "base@seeds", "-o", "x.html"]).exits(2).complains("which number?");
    place.lab(["report", "base@seeds", "x*", "-m", "loss", "-o", "x.html"]).exits(3);
    assert!(!place.at("x.html").exists());
}

#[test]
fn the_lineage_is_drawn_with_what_came_of_doing_it_again() {
    let place = trained("1..2");
    place.lab(["verify", "base.seed1", "--deep"]).succeeds();
    let drawn = place.lab(["graph", "base.seed1", "--svg"]).succeeds().out;
    for part in [
        "<svg xmlns=",
        "base.seed1</text>",
        ">digits</text>",
        "identical</text>",
        "prefers-color-scheme",
        "metrics.json",
    ] {
        assert!(drawn.contains(part), "{part}");
    }
    assert!(!drawn.contains("never verified"));
    let said = place.lab(["graph", "--svg", "-o", "all.svg", "--json"]).succeeds().json();
    assert!(
        said["nodes"].as_u64().unwrap() > 10 && said["path"].as_str().unwrap().ends_with("all.svg")
    );
    assert!(text(&place, "all.svg").contains("never verified"));
    place.lab(["graph", "--svg", "-o", "all.svg"]).exits(4);
    place
        .lab(["graph", "digits", "--down", "--svg", "-o", "down.svg"])
        .succeeds()
        .says("lineage of");
    place.lab(["graph", "-o", "x.svg"]).exits(2).complains("--svg");
    place.lab(["graph", "--dot"]).succeeds().says("identical").says("never verified");
}

#[test]
fn what_differs_is_a_page_too() {
    let place = trained("1..2");
    place.lab(["diff", "base.seed1", "mine.seed2", "--html", "page.html"]).exits(1);
    let told = words(&text(&place, "page.html"));
    for part in ["What differs between base.seed1 and mine.seed2", "train.epochs", "What follows"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    place.lab(["diff", "base.seed1", "mine.seed2", "--html", "page.html"]).exits(4);
    place.lab(["diff", "base.seed1", "base.seed1", "--html", "same.html"]).succeeds();
    assert!(words(&text(&place, "same.html")).contains("The same run"));
}
