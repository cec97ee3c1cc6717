//! Runs that are done again: honest ones, forged ones, and ones that cannot be repeated.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use common::{World, command, outcome, shell, slot, tolerant, weights};
use lab_replay::{Repeat, ReplayError, Sort, cached, verify, verify_deep};
use lab_schema::{
    BlobId, Completeness, ContentId, Number, Object, Run, RunId, Status, Tolerance, Verdict,
};

#[test]
fn the_same_again_is_identical() {
    let mut world = World::new();
    let data = world.blob(b"1\n2\n3\n");
    let (run, _) = world.run(&shell("wc -l < data.txt > n.txt", &[("data.txt", data)]));
    let seen = verify(&world.bench(), run).unwrap();
    assert_eq!(seen.attestation.verdict, Verdict::Identical);
    assert!(seen.attestation.outputs.contains_key(&slot("n.txt")));
    assert!(!seen.attestation.sealed && seen.suspects.is_empty() && seen.repeat.is_none());
    assert_eq!(
        world.store.load(seen.id).map(|a: lab_schema::Attestation| a.id()).unwrap(),
        seen.id
    );
    world.refresh();
    assert_eq!(world.lineage.attestations_of(run).unwrap(), [seen.id]);
}

#[test]
fn a_forged_weight_is_named() {
    let mut world = World::new();
    let honest = world.blob(&weights(&[1.0, 0.25, -3.0]));
    let recipe = shell("cp in.safetensors out.safetensors", &[("in.safetensors", honest)]);
    let forged = [1.0, f32::from_bits(0.25_f32.to_bits() + 1), -3.0];
    let forged = world.blob(&weights(&forged));
    let run = world.forge(&recipe, &[("out.safetensors", forged)], 1);
    let seen = verify(&world.bench(), run).unwrap();
    assert_eq!(seen.attestation.verdict, Verdict::Diverged);
    let [difference] = seen.attestation.differences.as_slice() else { panic!("one difference") };
    assert_eq!(difference.at.as_deref(), Some("w[1]"));
    assert_eq!((difference.expected.as_str(), difference.actual.as_str()), ("0.25000003", "0.25"));
    assert_eq!((difference.ulps, difference.tolerated), (Some(1), false));
    // It does not hang on chance: the second re-execution gave what the first gave.
    assert_eq!(seen.repeat, Some(Repeat::Same));
    assert_ne!(seen.suspects[0].sort, Sort::Chance);
}

#[test]
fn within_the_declared_tolerance_it_is_equivalent() {
    let mut world = World::new();
    let number = |n| Number::new(n).unwrap();
    let tolerance = Tolerance { absolute: number(0.01), relative: number(0.0) };
    let recipe = tolerant("echo '{\"accuracy\": 0.97}' > m.json", "m.json", tolerance);
    let near = world.blob(b"{\"accuracy\": 0.975}\n");
    let far = world.blob(b"{\"accuracy\": 0.99}\n");
    let near = world.forge(&recipe, &[("m.json", near)], 1);
    let far = world.forge(&recipe, &[("m.json", far)], 2);
    let near = verify(&world.bench(), near).unwrap().attestation;
    assert_eq!(near.verdict, Verdict::Equivalent);
    assert_eq!(near.differences[0].at.as_deref(), Some("accuracy"));
    assert_eq!(verify(&world.bench(), far).unwrap().attestation.verdict, Verdict::Diverged);
}

#[test]
fn outputs_too_many_or_too_few() {
    let mut world = World::new();
    let a = world.blob(b"a\n");
    let recipe = shell("echo a > a; echo b > b", &[]);
    let run = world.forge(&recipe, &[("a", a), ("c", a)], 1);
    let found = verify(&world.bench(), run).unwrap().attestation;
    assert_eq!(found.verdict, Verdict::Diverged);
    let places: Vec<(&str, &str, &str)> = found
        .differences
        .iter()
        .map(|d| (d.output.as_str(), d.expected.as_str(), d.actual.as_str()))
        .collect();
    let b = BlobId::of(b"b\n").short();
    let a = a.short();
    assert_eq!(places, [("b", "no such output", b.as_str()), ("c", &a, "no such output")]);
}

#[test]
fn a_clock_in_the_recipe_is_told_from_another_machine() {
    let mut world = World::new();
    let (run, _) = world.run(&shell("date +%s%N > t.txt", &[]));
    let seen = verify(&world.bench(), run).unwrap();
    assert_eq!(seen.attestation.verdict, Verdict::Diverged);
    assert!(matches!(&seen.repeat, Some(Repeat::Different(d)) if d.output == slot("t.txt")));
    assert_eq!(seen.suspects[0].sort, Sort::EachTime);
    assert_eq!(seen.suspects[1].sort, Sort::Chance);
    let once = lab_replay::Bench { twice: false, ..world.bench() };
    assert_eq!(verify(&once, run).unwrap().repeat, None);
}

#[test]
fn what_cannot_be_started_failed() {
    let mut world = World::new();
    let out = world.blob(b"x");
    let run = world.forge(&command(&["no-such-interpreter", "a.py"], &[]), &[("o", out)], 1);
    let Verdict::Failed(why) = verify(&world.bench(), run).unwrap().attestation.verdict else {
        panic!("it cannot run")
    };
    assert!(why.contains("no-such-interpreter"), "{why}");

    let absent = ContentId::Blob(BlobId::of(b"never stored"));
    let there = world.blob(b"there");
    let run = world.forge(&shell("cp a o", &[("a", there), ("b/c", absent)]), &[("o", there)], 2);
    let Verdict::Failed(why) = verify(&world.bench(), run).unwrap().attestation.verdict else {
        panic!("an input is missing")
    };
    assert!(why.contains("input 'b/c'") && why.contains(&absent.short()), "{why}");
    assert!(!why.contains("'a'"), "{why}");

    let absent = RunId::from_digest(BlobId::of(b"no run").digest());
    assert!(matches!(verify(&world.bench(), absent), Err(ReplayError::Missing { .. })));
}

#[test]
fn failures_are_compared_too() {
    let mut world = World::new();
    // It failed, and fails in the same way again: the record holds.
    let (run, recorded) = world.run(&shell("echo half > o; echo no >&2; exit 3", &[]));
    assert_eq!(recorded.outcome.status, Status::Exited(3));
    assert_eq!(verify(&world.bench(), run).unwrap().attestation.verdict, Verdict::Identical);

    // It is said to have succeeded, and does not.
    let recipe = shell("echo 'no luck' >&2; exit 4", &[]);
    let out = world.blob(b"x");
    let run = world.forge(&recipe, &[("o", out)], 1);
    let found = verify(&world.bench(), run).unwrap().attestation;
    assert_eq!(found.verdict, Verdict::Failed("exited with 4: no luck".into()));

    // It is said to have failed, and does not.
    let recipe = shell("true", &[]);
    let mut outcome = outcome(1);
    outcome.status = Status::Signalled(9);
    let run = Run {
        recipe: recipe.id(),
        outcome,
        host: common::host(),
        git: None,
        parent: None,
        makers: std::collections::BTreeMap::new(),
        who: "x".into(),
    };
    world.put(&recipe);
    let found = verify(&world.bench(), world.put(&run)).unwrap().attestation;
    assert_eq!(found.verdict, Verdict::Diverged);
    assert_eq!(found.differences[0].expected, "ended by signal 9");
}

#[test]
fn an_incomplete_record_cannot_be_verified() {
    let world = World::new();
    let recipe = world.put(&shell("true", &[]));
    let mut outcome = outcome(1);
    outcome.completeness = Completeness::Incomplete("it used the network".into());
    let run = Run {
        recipe,
        outcome,
        host: common::host(),
        git: None,
        parent: None,
        makers: std::collections::BTreeMap::new(),
        who: "x".into(),
    };
    let found = verify(&world.bench(), world.put(&run)).unwrap().attestation;
    assert_eq!(found.verdict, Verdict::Unverifiable("it used the network".into()));
}

#[test]
fn deep_goes_through_the_ancestry_and_stops() {
    let mut world = World::new();
    let raw = world.blob(b"3\n1\n2\n");
    let (sort, sorted) = world.run(&shell("sort raw > sorted", &[("raw", raw)]));
    let sorted = sorted.outcome.outputs[&slot("sorted")];
    let (head, first) = world.run(&shell("head -n 1 sorted > first", &[("sorted", sorted)]));
    let first = first.outcome.outputs[&slot("first")];
    let both = [("first", first), ("sorted", sorted)];
    let (last, _) = world.run(&shell("cat first sorted > all", &both));
    assert_eq!(world.lineage.chain(last).unwrap(), [sort, head, last]);
    let done = verify_deep(&world.bench(), last, &mut BTreeMap::new()).unwrap();
    assert_eq!(done.iter().map(|v| v.run).collect::<Vec<_>>(), [sort, head, last]);
    assert!(done.iter().all(|v| v.attestation.verdict == Verdict::Identical));

    // The same with a lie at the root: what comes after it is not even tried.
    let lie = world.blob(b"9\n");
    let root = world.forge(&shell("sort -r raw > sorted", &[("raw", raw)]), &[("sorted", lie)], 1);
    let (leaf, _) = world.run(&shell("cat sorted > copy; echo >> copy", &[("sorted", lie)]));
    let done = verify_deep(&world.bench(), leaf, &mut BTreeMap::new()).unwrap();
    assert_eq!(done.iter().map(|v| v.run).collect::<Vec<_>>(), [root]);
    // By itself, from its recorded input, the leaf holds.
    assert!(verify(&world.bench(), leaf).unwrap().attestation.verdict.holds());
}

#[test]
fn only_a_complete_and_present_success_is_reused() {
    let mut world = World::new();
    let recipe = shell("echo a > a", &[]);
    let (_, recorded) = world.run(&recipe);
    let cached = |world: &World| cached(&world.store, &world.lineage, recipe.id()).unwrap();
    assert_eq!(cached(&world), None, "nobody watched what it read");
    let mut complete = |started_ms: u64, outputs, status| {
        let mut outcome = outcome(started_ms);
        outcome.completeness = Completeness::Complete;
        (outcome.outputs, outcome.status) = (outputs, status);
        let run = Run {
            recipe: recipe.id(),
            outcome,
            host: common::host(),
            git: None,
            parent: None,
            makers: std::collections::BTreeMap::new(),
            who: "x".into(),
        };
        let id = world.put(&run);
        world.refresh();
        id
    };
    let gone = [(slot("a"), ContentId::Blob(BlobId::of(b"collected")))].into();
    complete(1, gone, Status::Exited(0));
    complete(2, recorded.outcome.outputs.clone(), Status::Exited(1));
    let good = complete(3, recorded.outcome.outputs.clone(), Status::Exited(0));
    complete(4, recorded.outcome.outputs.clone(), Status::Exited(0));
    assert_eq!(cached(&world), Some(good));
}
