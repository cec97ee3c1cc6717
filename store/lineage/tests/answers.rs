//! What the lineage says about small histories whose answers are plain.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::ops::Bound;

use common::{Story, World, nowhere, recipe, run, slot};
use lab_lineage::{Consumption, Filter, Lineage, Node, Origin, Production, Role, Tally, closure};
use lab_schema::{ContentId, Number, Object, Recipe, RunId, Signed, Status, Value};

fn exact(run: RunId, output: &str) -> Production {
    Production { run, output: slot(output), inside: false }
}

fn inside(run: RunId, output: &str) -> Production {
    Production { run, output: slot(output), inside: true }
}

#[test]
fn a_pipeline_is_followed_in_both_directions() {
    let world = World::new();
    let (raw, clean, model) = (world.blob("raw"), world.blob("clean"), world.blob("model"));
    let code = world.tree(&[("train.py", world.blob("code"))]);
    let prepare = world.run(Story {
        argv: "prepare",
        inputs: &[("raw", raw)],
        outputs: &[("clean", clean)],
        started_ms: 10,
        ..Story::default()
    });
    let train = world.run(Story {
        argv: "train",
        inputs: &[("data", clean)],
        code: Some(code),
        outputs: &[("model", model)],
        started_ms: 20,
        ..Story::default()
    });
    let lineage = world.lineage();

    let code = ContentId::Tree(code);
    assert_eq!(lineage.producers(model).unwrap(), [exact(train, "model")]);
    assert_eq!(lineage.producers(raw).unwrap(), []);
    assert_eq!(lineage.producer_for(clean).unwrap(), Some(prepare));
    let reads = |run, role| Consumption { run, role };
    assert_eq!(lineage.consumers(clean).unwrap(), [reads(train, Role::Input(slot("data")))]);
    assert_eq!(lineage.consumers(code).unwrap(), [reads(train, Role::Code)]);
    assert_eq!(
        lineage.run_inputs(train).unwrap(),
        [(Role::Input(slot("data")), clean), (Role::Code, code)]
    );
    assert_eq!(lineage.run_outputs(train).unwrap(), [(slot("model"), model)]);

    let up = lineage.ancestors(model.into()).unwrap();
    assert_eq!(
        up,
        [raw.into(), prepare.into(), clean.into(), code.into(), train.into()] as [Node; 5]
    );
    let down = lineage.descendants(raw.into()).unwrap();
    assert_eq!(down, [prepare.into(), clean.into(), train.into(), model.into()] as [Node; 4]);
    assert_eq!(lineage.ancestors(raw.into()).unwrap(), []);
    assert_eq!(
        lineage.descendants(code.into()).unwrap(),
        [train.into(), model.into()] as [Node; 2]
    );
}

#[test]
fn runs_are_listed_by_start_with_their_metrics() {
    let world = World::new();
    let story = |started_ms, status| Story { started_ms, status, ..Story::default() };
    let late = world.run(story(30, Status::Exited(0)));
    let early = world.run(story(10, Status::Signalled(9)));
    let lineage = world.lineage();
    let runs = lineage.runs().unwrap();
    assert_eq!(runs.iter().map(|r| r.id).collect::<Vec<_>>(), [early, late]);
    assert_eq!(runs.iter().map(|r| r.success).collect::<Vec<_>>(), [false, true]);
    assert_eq!((runs[1].started_ms, runs[1].complete), (30, true));
    assert_eq!(lineage.runs_of(runs[0].recipe).unwrap(), [early, late]);
    let values: Vec<f64> =
        lineage.metric("accuracy").unwrap().iter().map(|(_, v)| v.get()).collect();
    assert_eq!(values, [5.0, 15.0]);
    assert_eq!(lineage.metric("loss").unwrap(), []);
    let latest = |count| -> Vec<_> {
        lineage.latest(count).unwrap().into_iter().map(|row| row.id).collect()
    };
    assert_eq!((latest(0), latest(1), latest(9)), (vec![], vec![late], vec![late, early]));
    assert_eq!(lineage.count_runs().unwrap(), 2);
}

#[test]
fn runs_are_found_by_parameters_that_were_given_or_found() {
    let world = World::new();
    let float = |n| Value::Float(Number::new(n).unwrap());
    let make = |argv, given: Option<Value>, seed, found: Option<Value>| {
        let story = Story { argv, ..Story::default() };
        let mut parts = recipe(&story).to_parts();
        parts.params.extend(given.map(|value| ("lr".to_owned(), value)));
        parts.seed = seed;
        let recipe = Recipe::new(parts).unwrap();
        world.put(&recipe);
        let mut made = run(&story, recipe.id());
        made.outcome.params.extend(found.map(|value| ("lr".to_owned(), value)));
        world.put(&made)
    };
    let given = make("a", Some(float(0.1)), Some(7), None);
    let found = make("b", None, None, Some(float(0.1)));
    let both = make("c", Some(float(0.2)), Some(7), Some(float(0.1)));
    let text = make("d", None, None, Some(Value::Text("0.1 \"x\"".into())));
    let lineage = world.lineage();
    let with = |name: &str, value: &str| -> BTreeSet<RunId> {
        let params = vec![(name.to_owned(), value.to_owned())];
        let (found, number) = lineage.find(&Filter { params, ..Filter::default() }, 9).unwrap();
        assert_eq!(found.len() as u64, number);
        found.into_iter().map(|row| row.id).collect()
    };
    assert_eq!(with("lr", "0.1"), [given, found, both].into());
    assert_eq!(with("lr", "0.10"), [given, found, both].into());
    assert_eq!(with("lr", "1e-1"), [given, found, both].into());
    assert_eq!(with("lr", "0.2"), [both].into());
    assert_eq!(with("lr", "0.1 \"x\""), [text].into());
    assert_eq!(with("seed", "7"), [given, both].into());
    assert_eq!((with("lr", "0.3"), with("LR", "0.1")), ([].into(), [].into()));
    assert_eq!(lineage.parameters().unwrap(), ["batch", "lr", "rate", "seed"]);
    assert_eq!(lineage.metrics().unwrap(), ["accuracy"]);
}

#[test]
fn attestations_are_found_by_their_run() {
    let world = World::new();
    let run = world.run(Story::default());
    let second = world.attest(run, 20);
    let first = world.attest(run, 10);
    let other = world.run(Story { argv: "other", ..Story::default() });
    let lineage = world.lineage();
    assert_eq!(lineage.attestations_of(run).unwrap(), [first, second]);
    assert_eq!(lineage.attestations_of(other).unwrap(), []);
}

#[test]
fn signatures_are_found_by_what_they_are_of() {
    let world = World::new();
    let run = world.run(Story::default());
    let attested = world.attest(run, 10);
    let other = world.run(Story { argv: "other", ..Story::default() });
    let (of_run, of_attested) = (Signed::Run(run), Signed::Attestation(attested));
    let second = world.sign(of_run, 20);
    let first = world.sign(of_run, 10);
    let third = world.sign(of_attested, 5);
    let lineage = world.lineage();
    assert_eq!(lineage.signatures_of(of_run).unwrap(), [first, second]);
    assert_eq!(lineage.signatures_of(of_attested).unwrap(), [third]);
    assert_eq!(lineage.signatures_of(Signed::Run(other)).unwrap(), []);
    // The same digest under another kind is something else.
    let other_kind = Signed::Attestation(lab_schema::AttestationId::from_digest(run.digest()));
    assert_eq!(lineage.signatures_of(other_kind).unwrap(), []);
}

#[test]
fn a_file_deep_inside_an_output_folder_has_its_run() {
    let world = World::new();
    let (file, other) = (world.blob("weights"), world.blob("other"));
    let deep = world.tree(&[("w.bin", file)]);
    let folder = world.tree(&[("a", deep.into()), ("b", other)]);
    let run =
        world.run(Story { outputs: &[("out", folder.into()), ("w", other)], ..Story::default() });
    let user =
        world.run(Story { argv: "use", inputs: &[("w", file)], started_ms: 9, ..Story::default() });
    let lineage = world.lineage();
    assert_eq!(lineage.producers(file).unwrap(), [inside(run, "out")]);
    assert_eq!(lineage.producers(deep.into()).unwrap(), [inside(run, "out")]);
    assert_eq!(lineage.producers(folder.into()).unwrap(), [exact(run, "out")]);
    assert_eq!(lineage.producers(other).unwrap(), [exact(run, "w"), inside(run, "out")]);
    // The history passes through the folder, in both directions.
    assert!(lineage.ancestors(user.into()).unwrap().contains(&run.into()));
    assert!(lineage.descendants(run.into()).unwrap().contains(&user.into()));
    // What nobody reads is no effect.
    assert!(!lineage.descendants(run.into()).unwrap().contains(&ContentId::Tree(deep).into()));
}

#[test]
fn empty_files_and_folders_inside_folders_connect_nothing() {
    let world = World::new();
    let (empty, none) = (world.blob(""), world.tree(&[]));
    let folder = world.tree(&[("__init__.py", empty), ("logs", none.into())]);
    world.run(Story { outputs: &[("out", folder.into())], ..Story::default() });
    let lineage = world.lineage();
    assert_eq!(lineage.producers(empty).unwrap(), []);
    assert_eq!(lineage.producers(none.into()).unwrap(), []);
}

#[test]
fn code_and_input_folders_are_not_taken_apart() {
    let world = World::new();
    let file = world.blob("file");
    let folder = world.tree(&[("f", file)]);
    let inputs = [("in", folder.into())];
    world.run(Story { inputs: &inputs, code: Some(folder), ..Story::default() });
    assert_eq!(world.lineage().producers(file).unwrap(), []);
}

#[test]
fn of_several_producers_the_same_one_is_always_chosen() {
    let world = World::new();
    let content = world.blob("content");
    let folder = world.tree(&[("c", content)]);
    let story = |argv, started_ms| Story { argv, started_ms, ..Story::default() };
    let failed = world.run(Story {
        outputs: &[("c", content)],
        status: Status::Exited(1),
        ..story("failed", 1)
    });
    assert_eq!(world.lineage().producer_for(content).unwrap(), Some(failed));
    let within = world.run(Story { outputs: &[("c", folder.into())], ..story("within", 2) });
    assert_eq!(world.lineage().producer_for(content).unwrap(), Some(within));
    let late = world.run(Story { outputs: &[("c", content)], ..story("late", 9) });
    assert_eq!(world.lineage().producer_for(content).unwrap(), Some(late));
    let early = world.run(Story { outputs: &[("c", content)], ..story("early", 8) });
    assert_eq!(world.lineage().producer_for(content).unwrap(), Some(early));
    // A run that had it already did not make it, however early it was.
    let passed = world.run(Story {
        inputs: &[("c", content)],
        outputs: &[("c", content)],
        ..story("passed", 0)
    });
    let lineage = world.lineage();
    assert_eq!(lineage.producer_for(content).unwrap(), Some(early));
    assert_eq!(
        lineage.producers(content).unwrap(),
        [
            exact(passed, "c"),
            exact(failed, "c"),
            exact(early, "c"),
            exact(late, "c"),
            inside(within, "c")
        ]
    );
    assert_eq!(lineage.producer_for(nowhere("x")).unwrap(), None);
}

/// Of runs that left the same file, whoever reads it has it from the last before it; what comes later, by the same
/// hand or from a colleague, changes nothing in what was.
#[test]
fn what_lay_there_was_left_by_the_last_run_before() {
    let world = World::new();
    let model = world.blob("model");
    let put = |argv: &str, started_ms, who: &str, inputs: &[(&str, ContentId)], left: &[_]| {
        let story = Story { argv, started_ms, inputs, outputs: left, ..Story::default() };
        let recipe = recipe(&story);
        world.put(&recipe);
        world.put(&lab_schema::Run { who: who.into(), ..run(&story, recipe.id()) })
    };
    let leaves = [("model", model)];
    put("cheats", 10, "ana", &[("test", world.blob("test"))], &leaves);
    let honest = put("honest", 20, "ana", &[], &leaves);
    let reader = put("scores", 30, "ana", &[("model", model)], &[("score", world.blob("9"))]);
    let early = put("early", 5, "ana", &[("model", model)], &[("score", world.blob("8"))]);
    let ahead = put("other", 5, "ben", &[("model", model)], &[("score", world.blob("7"))]);
    let maker = |lineage: &Lineage, run| lineage.origins(run).unwrap()[0].makers.first().copied();
    let lineage = world.lineage();
    assert_eq!(maker(&lineage, reader), Some(honest));
    assert_eq!(maker(&lineage, early), None, "nobody reads what is yet to be made");
    let first = lineage.runs().unwrap().iter().find(|row| row.started_ms == 10).unwrap().id;
    assert_eq!(maker(&lineage, ahead), Some(first), "the clock of a colleague may be behind");
    put("again", 40, "ana", &[], &leaves);
    put("again", 25, "ben", &[("model", model)], &[("copy", model)]);
    assert_eq!(maker(&world.lineage(), reader), Some(honest));
}

/// A step that had nothing to change leaves what it read.
#[test]
fn a_step_that_changes_nothing_stays_in_the_history() {
    let world = World::new();
    let same = world.blob("same");
    let step = |argv, started_ms, read, left| {
        world.run(Story {
            argv,
            started_ms,
            inputs: &[(read, same)],
            outputs: &[(left, same)],
            ..Story::default()
        })
    };
    let first = step("first", 10, "raw", "a");
    let second = step("second", 20, "a", "b");
    let last = world.run(Story {
        argv: "last",
        started_ms: 30,
        inputs: &[("a", same), ("b", same), ("raw", same)],
        outputs: &[("c", world.blob("c"))],
        ..Story::default()
    });
    let lineage = world.lineage();
    let makers: Vec<_> =
        lineage.origins(last).unwrap().into_iter().map(|o| o.makers.first().copied()).collect();
    assert_eq!(makers, [Some(first), Some(second), None]);
    assert_eq!(lineage.chain(last).unwrap(), [first, second, last]);
}

#[test]
fn how_many_read_something_is_as_many_as_are_listed() {
    let world = World::new();
    let (often, seldom) = (world.blob("often"), world.blob("seldom"));
    for n in 0..1100_u64 {
        let argv = (n / 2).to_string();
        // Each recipe is run twice, and every hundredth reads both; a few read nothing.
        let both = [("a", often), ("b", seldom)];
        let inputs = match n / 2 {
            n if n % 100 == 0 => &both[..],
            n if n % 100 == 1 => &[],
            _ => &both[..1],
        };
        let started_ms = n;
        world.run(Story { argv: &argv, inputs, started_ms, ..Story::default() });
        let argv = format!("once {n}");
        world.run(Story { argv: &argv, inputs: &both[..1], ..Story::default() });
    }
    let lineage = world.lineage();
    assert_eq!(lineage.count_consumers(often).unwrap(), 2200 - 12);
    assert_eq!(lineage.consumers(often).unwrap().len(), 2200 - 12);
    assert_eq!(lineage.count_consumers(seldom).unwrap(), 12);
    assert_eq!(lineage.consumers(seldom).unwrap().len(), 12);
    assert_eq!(lineage.count_consumers(nowhere("x")).unwrap(), 0);
}

#[test]
fn runs_are_found_by_who_ran_them_when_and_what_they_reached() {
    let world = World::new();
    let put = |started_ms: u64, who: &str, status| {
        let argv = started_ms.to_string();
        let story = Story { argv: &argv, started_ms, status, ..Story::default() };
        let recipe = recipe(&story);
        world.put(&recipe);
        // Its accuracy is half of when it began.
        world.put(&lab_schema::Run { who: who.into(), ..run(&story, recipe.id()) })
    };
    let first = put(10, "ana", Status::Exited(0));
    let second = put(20, "ben", Status::Exited(1));
    let mut third = [put(30, "ana", Status::Exited(0)), put(30, "ana", Status::Signalled(9))];
    third.sort_unstable();
    let [small, great] = third;
    world.attest(first, 1);
    world.attest(first, 2);
    let lineage = world.lineage();
    let find = |filter: Filter, limit| {
        let (found, number) = lineage.find(&filter, limit).unwrap();
        (found.into_iter().map(|row| row.id).collect::<Vec<_>>(), number)
    };
    let all = || Filter::default();
    assert_eq!(find(all(), 9), (vec![great, small, second, first], 4));
    assert_eq!(find(all(), 1), (vec![great], 4), "of equals the greater id comes first");
    assert_eq!(find(all(), 3), (vec![great, small, second], 4));
    assert_eq!(find(all(), 0), (vec![], 4));
    assert_eq!(find(Filter { since_ms: Some(20), ..all() }, 9), (vec![great, small, second], 3));
    assert_eq!(find(Filter { since_ms: Some(u64::MAX), ..all() }, 9), (vec![], 0));
    assert_eq!(find(Filter { who: Some("ben".into()), ..all() }, 9), (vec![second], 1));
    assert_eq!(find(Filter { who: Some("eve".into()), ..all() }, 9), (vec![], 0));
    let reached = |low, high| {
        let metrics = vec![("accuracy".to_owned(), (low, high))];
        find(Filter { metrics, ..Filter::default() }, 9).0
    };
    assert_eq!(reached(Bound::Excluded(10.0), Bound::Unbounded), [great, small]);
    assert_eq!(reached(Bound::Included(10.0), Bound::Excluded(15.0)), [second]);
    assert_eq!(reached(Bound::Unbounded, Bound::Included(5.0)), [first]);
    let both = Filter {
        who: Some("ana".into()),
        metrics: vec![("accuracy".into(), (Bound::Unbounded, Bound::Included(10.0)))],
        ..Filter::default()
    };
    assert_eq!(find(both, 9), (vec![first], 1));
    let other = vec![("loss".to_owned(), (Bound::Unbounded, Bound::Unbounded))];
    assert_eq!(find(Filter { metrics: other, ..all() }, 9), (vec![], 0));
    assert_eq!(lineage.metrics().unwrap(), ["accuracy"]);
    assert_eq!(lineage.tally().unwrap(), Tally { runs: 4, failed: 2, verified: 1 });
}

/// Two trainings leave the same description of a model, and weights of their own. Who read the second's weights
/// had the description from the second too, and the first is not in its history.
#[test]
fn what_lay_beside_a_file_tells_who_made_it() {
    let world = World::new();
    let same = world.blob("layers = 2");
    let train = |argv, weights, started_ms| {
        world.run(Story {
            argv,
            outputs: &[("model.json", same), ("model.bin", weights)],
            started_ms,
            ..Story::default()
        })
    };
    let (one, two) = (world.blob("one"), world.blob("two"));
    let (first, second) = (train("first", one, 1), train("second", two, 2));
    let inputs = [("model.json", same), ("model.bin", two)];
    let user = world.run(Story { argv: "use", inputs: &inputs, started_ms: 9, ..Story::default() });
    let lineage = world.lineage();
    assert_eq!(lineage.producer_for(same).unwrap(), Some(first), "seen alone it is the earliest");
    let origin = |slot_name, content| Origin {
        role: Role::Input(slot(slot_name)),
        content,
        makers: vec![second],
    };
    assert_eq!(
        lineage.origins(user).unwrap(),
        [origin("model.bin", two), origin("model.json", same)]
    );
    assert_eq!(
        lineage.ancestors(user.into()).unwrap(),
        [second.into(), two.into(), same.into()] as [Node; 3]
    );
    let closure = closure(&world.store, &lineage, &[user.into()]).unwrap();
    assert!(closure.objects.contains(&second.into()) && !closure.objects.contains(&first.into()));
    // With nothing beside it, the earliest counts; code is made by nobody.
    let code = world.tree(&[("f", same)]);
    let alone = [("a.json", same)];
    let alone = Story { argv: "alone", inputs: &alone, code: Some(code), ..Story::default() };
    let alone = world.run(alone);
    let makers: Vec<Option<RunId>> = world
        .lineage()
        .origins(alone)
        .unwrap()
        .into_iter()
        .map(|origin| origin.makers.first().copied())
        .collect();
    assert_eq!(makers, [Some(first), None]);
}

/// A run that leaves what it read is not where it had it from.
#[test]
fn nothing_comes_from_itself() {
    let world = World::new();
    let (a, b) = (world.blob("a"), world.blob("b"));
    let made = world.run(Story { argv: "make", outputs: &[("a", a)], ..Story::default() });
    let both = [("a", a), ("b", b)];
    let passed = world.run(Story {
        argv: "pass",
        inputs: &both,
        outputs: &both,
        started_ms: 2,
        ..Story::default()
    });
    let lineage = world.lineage();
    let makers = |run| -> Vec<Option<RunId>> {
        lineage
            .origins(run)
            .unwrap()
            .into_iter()
            .map(|origin| origin.makers.first().copied())
            .collect()
    };
    assert_eq!(makers(passed), [Some(made), None]);
    assert_eq!(
        lineage.ancestors(passed.into()).unwrap(),
        [made.into(), a.into(), b.into()] as [Node; 3]
    );
}

/// Two runs pass on what two others made. Each had all of it from the other, by what lay beside; but by
/// when they began only the later one can have, and the makers stay in both histories.
#[test]
fn passing_on_does_not_hide_who_made_it() {
    let world = World::new();
    let (a, b) = (world.blob("a"), world.blob("b"));
    let make = |argv, name, content| {
        world.run(Story { argv, outputs: &[(name, content)], ..Story::default() })
    };
    let (made_a, made_b) = (make("make a", "a", a), make("make b", "b", b));
    let both = [("a", a), ("b", b)];
    let pass = |argv, started_ms| {
        let (inputs, outputs) = (&both, &both);
        world.run(Story { argv, inputs, outputs, started_ms, ..Story::default() })
    };
    let (first, second) = (pass("pass", 2), pass("pass again", 3));
    let lineage = world.lineage();
    let makers = |run| -> Vec<Option<RunId>> {
        lineage
            .origins(run)
            .unwrap()
            .into_iter()
            .map(|origin| origin.makers.first().copied())
            .collect()
    };
    assert_eq!(makers(first), [Some(made_a), Some(made_b)]);
    assert_eq!(makers(second), [Some(first), Some(first)]);
    for run in [first, second] {
        let ancestors = lineage.ancestors(run.into()).unwrap();
        assert!(ancestors.contains(&made_a.into()) && ancestors.contains(&made_b.into()));
        let closure = closure(&world.store, &lineage, &[run.into()]).unwrap();
        assert!(closure.objects.contains(&made_a.into()));
    }
    let contents = both.map(|(name, content)| (name.to_owned(), content));
    assert_eq!(lineage.makers(&contents).unwrap(), [Some(made_a), Some(made_b)]);
}

#[test]
fn a_history_that_bites_its_tail_ends() {
    let world = World::new();
    let (a, b) = (world.blob("a"), world.blob("b"));
    let there = world.run(Story { inputs: &[("a", a)], outputs: &[("b", b)], ..Story::default() });
    let back = world.run(Story { inputs: &[("b", b)], outputs: &[("a", a)], ..Story::default() });
    let lineage = world.lineage();
    assert_eq!(
        lineage.ancestors(a.into()).unwrap(),
        [there.into(), b.into(), back.into()] as [Node; 3]
    );
    assert_eq!(
        lineage.descendants(a.into()).unwrap(),
        [there.into(), b.into(), back.into()] as [Node; 3]
    );
}

#[test]
fn times_that_no_calendar_reaches_are_accepted() {
    let world = World::new();
    let run = world.run(Story { started_ms: u64::MAX, ..Story::default() });
    assert_eq!(world.lineage().runs().unwrap()[0].id, run);
}

/// A run that says who made what it read.
fn told(world: &World, story: &Story<'_>, makers: &[(&str, &[RunId])]) -> RunId {
    let recipe = recipe(story);
    world.put(&recipe);
    let mut made = run(story, recipe.id());
    let all =
        |(name, runs): &(&str, &[RunId])| ((*name).to_owned(), runs.iter().copied().collect());
    made.makers = makers.iter().map(all).collect();
    world.put(&made)
}

fn makers(lineage: &Lineage, run: RunId) -> Vec<Vec<RunId>> {
    lineage.origins(run).unwrap().into_iter().map(|origin| origin.makers).collect()
}

/// What the record has of it goes before what the content says, and only if it can be.
#[test]
fn who_made_it_is_what_the_run_has_of_that() {
    let world = World::new();
    let (x, y) = (world.blob("x"), world.blob("y"));
    let make = |argv, started_ms, content| {
        let outputs = &[("x", content)];
        world.run(Story { argv, outputs, started_ms, ..Story::default() })
    };
    let (first, second, other) = (make("a", 1, x), make("b", 2, x), make("c", 3, y));
    let read = [("x", x)];
    let use_it = |argv| Story { argv, inputs: &read, started_ms: 9, ..Story::default() };
    let guessed = world.run(use_it("guess"));
    let typed = told(&world, &use_it("typed"), &[("x", &[first])]);
    let false_claim = told(&world, &use_it("false"), &[("x", &[other])]);
    let misnamed = told(&world, &use_it("misnamed"), &[("y", &[first])]);
    // A run that is not here is no maker; nor is code made.
    let gone = RunId::from_digest(ContentId::digest(&nowhere("gone")));
    let code = world.tree(&[("f", x)]);
    let with_code = Story { code: Some(code), ..use_it("gone") };
    let absent = told(&world, &with_code, &[("x", &[gone]), ("", &[first])]);
    let lineage = world.lineage();
    assert_eq!(makers(&lineage, guessed), [[second]]);
    assert_eq!(makers(&lineage, typed), [[first]]);
    assert_eq!(makers(&lineage, false_claim), [[second]]);
    assert_eq!(makers(&lineage, misnamed), [[second]]);
    assert_eq!(makers(&lineage, absent), [vec![second], vec![]]);
    assert_eq!(lineage.chain(typed).unwrap(), [first, typed]);
    // And the other way round: equal bytes are not the same thing.
    let readers = |maker| -> Vec<RunId> {
        let all = lineage.readers(&[x], maker).unwrap();
        all.into_iter().map(|one| one.run).collect()
    };
    assert_eq!(readers(Some(first)), [typed]);
    assert_eq!(readers(None).len(), 5);
    let down = lineage.descendants(first.into()).unwrap();
    assert_eq!(down, [x.into(), typed.into()] as [Node; 2]);
    assert!(!lineage.descendants(second.into()).unwrap().contains(&typed.into()));
    let closure = closure(&world.store, &lineage, &[typed.into()]).unwrap();
    assert!(closure.objects.contains(&first.into()) && !closure.objects.contains(&second.into()));
}

/// Many files of a folder are read as one input, whoever made each of them.
#[test]
fn a_folder_comes_from_those_who_made_its_files() {
    let world = World::new();
    let (a, b, c) = (world.blob("a"), world.blob("b"), world.blob("c"));
    let raw = world.blob("raw");
    let make = |argv, outputs: &[(&str, ContentId)]| {
        world.run(Story { argv, outputs, ..Story::default() })
    };
    let one = make("one", &[("out/a", a), ("out/unread", c)]);
    let deep = world.tree(&[("b", b), ("c", c)]);
    let two = make("two", &[("deep", deep.into())]);
    let stranger = make("stranger", &[("elsewhere", world.blob("elsewhere"))]);
    let inner = world.tree(&[("b", b)]);
    let folder = world.tree(&[("a", a), ("raw", raw), ("inner", inner.into())]);
    let inputs = [("out", folder.into()), ("raw", raw)];
    let story = Story { argv: "use", inputs: &inputs, started_ms: 9, ..Story::default() };

    let lineage = world.lineage();
    let read = recipe(&story);
    let now = lineage.makers_now(&world.store, &read, 9).unwrap();
    assert_eq!(now, [("out".to_owned(), [one, two].into())].into());
    // Whoever began later and was over before is a maker all the same: it is there.
    assert_eq!(lineage.makers_now(&world.store, &read, 0).unwrap(), now);

    let user = told(&world, &story, &[("out", &[one, two, stranger])]);
    let lineage = world.lineage();
    let mut both = vec![one, two];
    both.sort_unstable();
    assert_eq!(makers(&lineage, user), [both, vec![]]);
    for run in [one, two] {
        assert!(lineage.ancestors(user.into()).unwrap().contains(&run.into()));
        let down = lineage.descendants(run.into()).unwrap();
        assert!(down.contains(&user.into()) && down.contains(&ContentId::Tree(folder).into()));
    }
    assert!(!lineage.descendants(stranger.into()).unwrap().contains(&user.into()));
    let closure = closure(&world.store, &lineage, &[user.into()]).unwrap();
    assert!(closure.objects.contains(&one.into()) && closure.objects.contains(&two.into()));

    // Whoever asks for a file finds who read its folder; for a folder, who read its files.
    let runs = |content| -> Vec<RunId> {
        let all = lineage.readers(&[content], None).unwrap();
        all.into_iter().map(|one| one.run).collect()
    };
    assert_eq!(
        (runs(a), runs(inner.into()), runs(deep.into())),
        (vec![user], vec![user], vec![user])
    );
    assert_eq!(runs(c), []);
    assert_eq!(lineage.count_readers(&[a, deep.into(), c]).unwrap(), 1);
    assert_eq!(lineage.count_readers(&[c]).unwrap(), 0);
    let down = lineage.descendants(a.into()).unwrap();
    assert_eq!(down, [user.into()] as [Node; 1]);
}

/// Of several that made what lies in a folder the earliest comes first, whatever their ids.
#[test]
fn makers_come_in_the_order_in_which_they_began() {
    let world = World::new();
    let files: Vec<(String, ContentId)> =
        (0..8).map(|n| (format!("f{n}"), world.blob(&format!("file {n}")))).collect();
    let parts: Vec<RunId> = files
        .iter()
        .zip(1..)
        .map(|((name, content), started_ms)| {
            let outputs = &[(name.as_str(), *content)];
            world.run(Story { argv: "part", outputs, started_ms, ..Story::default() })
        })
        .collect();
    let entries: Vec<(&str, ContentId)> = files.iter().map(|(n, c)| (n.as_str(), *c)).collect();
    let all = world.tree(&entries).into();
    let story = Story { argv: "all", inputs: &[("all", all)], started_ms: 99, ..Story::default() };
    let last = told(&world, &story, &[("all", &parts)]);
    let lineage = world.lineage();
    assert_ne!(parts, {
        let mut sorted = parts.clone();
        sorted.sort_unstable();
        sorted
    });
    assert_eq!(makers(&lineage, last), std::slice::from_ref(&parts));
    assert_eq!(lineage.chain(last).unwrap(), [parts, vec![last]].concat());
}
