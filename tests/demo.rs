//! `lab demo` does what the README says.
#![allow(clippy::unwrap_used, missing_docs)]

mod kit;

use std::time::Instant;

use kit::Place;

#[test]
fn the_demo_runs_through_and_says_what_is_so() {
    let place = Place::empty();
    let start = Instant::now();
    let said = place.lab(["demo"]).succeeds();
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
    for line in [
        "$ lab add digits.csv.gz --name digits",
        "$ lab verify base --deep",
        "identical",
        "shuffle_seed",
        "less than chance alone",
    ] {
        assert!(said.out.contains(line), "the demo does not show {line:?}:\n{}", said.out);
    }
    assert_eq!(said.out.matches("identical").count(), 3);
    // Everything is left behind and sound.
    for folder in ["lab-demo/mine", "lab-demo/colleague", "lab-demo/share"] {
        place.lab_in(folder, ["check"]).succeeds().says("sound");
    }
    place.lab(["demo"]).exits(4).complains("not an empty folder");
    let summary = place.lab(["demo", "again", "--json"]).succeeds().json();
    let number = |key: &str| summary[key].as_f64().unwrap();
    assert!(number("accuracy") >= 0.97);
    assert!((number("shuffled") - number("accuracy")).abs() < number("spread"));
}
