//! What belongs to an object: all of it, nothing besides, in an order that can break off.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;

use common::{attest, blob, everything, lineage, memory, pipeline, put, run, sign, tree};
use lab_lineage::{Closure, Lineage, LineageError};
use lab_objects::{Silent, Store};
use lab_remote::transfer;
use lab_schema::alias::write_table;
use lab_schema::{
    Alias, Aliases, Attestation, BlobId, ContentId, Evaluation, Kind, Object, ObjectId, Recipe,
    Run, Scheme, Signature, Signed, Subject, Tree,
};

fn closure(store: &Store, lineage: &Lineage, root: ObjectId) -> lab_lineage::Result<Closure> {
    lab_lineage::closure(store, lineage, &[root])
}

fn links(store: &Store, id: ObjectId) -> Vec<ObjectId> {
    match id {
        ObjectId::Blob(_) => Vec::new(),
        ObjectId::Tree(id) => store.load::<Tree>(id).unwrap().links(),
        ObjectId::Recipe(id) => store.load::<Recipe>(id).unwrap().links(),
        ObjectId::Run(id) => store.load::<Run>(id).unwrap().links(),
        ObjectId::Attestation(id) => store.load::<Attestation>(id).unwrap().links(),
        ObjectId::Signature(id) => store.load::<Signature>(id).unwrap().links(),
        ObjectId::Aliases(id) => store.load::<Aliases>(id).unwrap().links(),
        ObjectId::Evaluation(id) => store.load::<Evaluation>(id).unwrap().links(),
    }
}

/// Each object once, after all that it points at; the sizes add up.
fn assert_well_formed(store: &Store, closure: &Closure) {
    let mut seen = BTreeSet::new();
    for id in &closure.objects {
        for link in links(store, *id) {
            assert!(seen.contains(&link), "{link} should stand before {id}");
        }
        assert!(seen.insert(*id), "{id} stands there twice");
    }
    let sizes = closure.objects.iter().map(|id| store.size(*id).unwrap().unwrap());
    assert_eq!(closure.bytes, sizes.sum::<u64>());
}

#[test]
fn a_run_brings_its_whole_history_and_nothing_else() {
    let store = memory();
    let p = pipeline(&store);
    let found = closure(&store, &lineage(&store), p.train.into()).unwrap();
    assert_well_formed(&store, &found);

    // Everything but the bystander's own: run, recipe, output, log, code tree and code.
    let bystander = store.load::<Run>(p.bystander).unwrap();
    let code = store.load::<Recipe>(bystander.recipe).unwrap().code().unwrap();
    let mut alien: BTreeSet<ObjectId> = BTreeSet::from([p.bystander.into()]);
    alien.extend(bystander.links());
    alien.extend(links(&store, code.into()));
    alien.insert(code.into());
    let expected: BTreeSet<ObjectId> =
        everything(&store).into_iter().filter(|id| !alien.contains(id)).collect();
    assert_eq!(found.objects.iter().copied().collect::<BTreeSet<_>>(), expected);
    assert!(expected.contains(&p.attested.into()) && expected.contains(&p.prepare.into()));
}

#[test]
fn content_by_itself_brings_no_history() {
    let store = memory();
    let p = pipeline(&store);
    let known = lineage(&store);
    let of = |id: ObjectId| closure(&store, &known, id).unwrap();
    assert_eq!(of(p.model.into()).objects, [p.model.into()]);
    let raw = of(p.raw.into());
    assert_well_formed(&store, &raw);
    assert_eq!(raw.objects.len(), 4);
    assert_eq!(raw.objects.last(), Some(&p.raw.into()));
}

#[test]
fn what_something_is_called_elsewhere_goes_with_it_and_with_nothing_else() {
    let store = memory();
    let p = pipeline(&store);
    let named = |of: Subject, byte: u8| {
        let alias = Alias::new(Scheme::Md5, &[byte; 16]).unwrap();
        let bytes = write_table(&[(alias, of)].into());
        let table = blob(&store, std::str::from_utf8(&bytes).unwrap());
        let (from, origin) = ("dvc".to_owned(), byte.to_string());
        (put(&store, &Aliases { of, from, origin, table }).into(), ObjectId::from(table))
    };
    let before = closure(&store, &lineage(&store), p.train.into()).unwrap();
    let (raw, model) = (named(Subject::Tree(p.raw), 1), named(Subject::Blob(p.model), 2));
    let bystander = named(Subject::Run(p.bystander), 3);
    let known = lineage(&store);
    let set = |id: ObjectId| {
        let found = closure(&store, &known, id).unwrap();
        assert_well_formed(&store, &found);
        found.objects.into_iter().collect::<BTreeSet<_>>()
    };
    // The data that a run read has its aliases, as what it left has.
    let mut expected: BTreeSet<ObjectId> = before.objects.into_iter().collect();
    expected.extend([raw.0, raw.1, model.0, model.1]);
    assert_eq!(set(p.train.into()), expected);
    assert_eq!(set(p.model.into()), [p.model.into(), model.0, model.1].into());
    assert!(set(p.bystander.into()).contains(&bystander.0));
    // By themselves they bring what they are of.
    assert_eq!(set(model.0), [p.model.into(), model.0, model.1].into());
}

#[test]
fn recipes_and_attestations_have_a_history_too() {
    let store = memory();
    let p = pipeline(&store);
    let known = lineage(&store);
    let set = |id: ObjectId| {
        let found = closure(&store, &known, id).unwrap();
        assert_well_formed(&store, &found);
        found.objects.into_iter().collect::<BTreeSet<_>>()
    };
    assert_eq!(set(p.attested.into()), set(p.prepare.into()));
    let recipe = store.load::<Run>(p.train).unwrap().recipe;
    let of_recipe = set(recipe.into());
    assert!(of_recipe.contains(&p.prepare.into()) && of_recipe.contains(&p.attested.into()));
    assert!(!of_recipe.contains(&p.train.into()) && !of_recipe.contains(&p.model.into()));
}

#[test]
fn signatures_travel_with_what_they_are_of() {
    let store = memory();
    let p = pipeline(&store);
    let with = sign(&store, Signed::Run(p.prepare)).into();
    let vouched = sign(&store, Signed::Attestation(p.attested)).into();
    let beside: ObjectId = sign(&store, Signed::Run(p.bystander)).into();
    let known = lineage(&store);
    let set = |id: ObjectId| {
        let found = closure(&store, &known, id).unwrap();
        assert_well_formed(&store, &found);
        found.objects.into_iter().collect::<BTreeSet<_>>()
    };
    // Of the run itself, of an earlier one, of what was attested; asked for by any of them.
    let of_run = set(p.prepare.into());
    assert!(of_run.contains(&with) && of_run.contains(&vouched) && !of_run.contains(&beside));
    assert!(of_run.contains(&p.attested.into()));
    let of_later = set(p.train.into());
    assert!(of_later.contains(&with) && of_later.contains(&vouched));
    for root in [p.attested.into(), with, vouched] {
        assert_eq!(set(root), of_run);
    }
    assert!(set(p.bystander.into()).contains(&beside));
}

#[test]
fn an_evaluation_brings_its_example_and_a_fork_its_parent() {
    let store = memory();
    let p = pipeline(&store);
    let model = [common::slot("in")].into();
    let evaluation = Evaluation::new(p.train, model, "accuracy".into(), true).unwrap();
    let evaluation = common::put(&store, &evaluation);
    // Forked from a run that was attested and has a history of its own.
    let train: Run = store.load(p.train).unwrap();
    let fork = common::put(&store, &Run { parent: Some(p.train), who: "ben".into(), ..train });
    let known = lineage(&store);
    let whole = closure(&store, &known, p.train.into()).unwrap();
    for (root, more) in
        [(ObjectId::from(evaluation), evaluation.into()), (fork.into(), fork.into())]
    {
        let found = closure(&store, &known, root).unwrap();
        assert_well_formed(&store, &found);
        let mut expected: BTreeSet<ObjectId> = whole.objects.iter().copied().collect();
        expected.insert(more);
        assert_eq!(found.objects.into_iter().collect::<BTreeSet<_>>(), expected);
    }
    assert!(!whole.objects.contains(&fork.into()), "a parent does not bring its forks");
}

#[test]
fn a_history_that_bites_its_tail_is_taken_once() {
    let store = memory();
    let (a, b) = (blob(&store, "a"), blob(&store, "b"));
    let inside = tree(&store, &[("a", a.into())]);
    let there = run(&store, "there", a.into(), b.into());
    let back = run(&store, "back", b.into(), inside.into());
    attest(&store, back);
    let found = closure(&store, &lineage(&store), there.into()).unwrap();
    assert_well_formed(&store, &found);
    assert_eq!(found.objects.len(), everything(&store).len());
}

#[test]
fn what_is_missing_is_named_with_who_needs_it() {
    let whole = memory();
    let p = pipeline(&whole);
    let all = closure(&whole, &lineage(&whole), p.train.into()).unwrap().objects;
    let mut told = 0;
    for lost in &all {
        let part = memory();
        let rest: Vec<ObjectId> = all.iter().copied().filter(|id| id != lost).collect();
        transfer(&whole, &part, &rest, &Silent).unwrap();
        match closure(&part, &lineage(&part), p.train.into()) {
            Err(LineageError::Missing { id, by }) => {
                assert_eq!(id, *lost);
                assert_eq!(by.is_none(), id == p.train.into());
                told += 1;
            }
            // What only the history needs is not known to have existed.
            Ok(_) => assert!(
                [p.prepare.into(), p.attested.into()].contains(lost)
                    || *lost == store_tree(&whole, p.clean)
            ),
            Err(other) => panic!("{other}"),
        }
    }
    assert!(told > 8);
    let nowhere = BlobId::of(b"nowhere");
    let error = closure(&whole, &lineage(&whole), nowhere.into()).unwrap_err();
    assert_eq!(error.to_string(), format!("the store lacks blob {nowhere}"));
}

/// The folder that holds `file`.
fn store_tree(store: &Store, file: BlobId) -> ObjectId {
    let holds = |id: &ObjectId| links(store, *id).contains(&ContentId::Blob(file).into());
    store.list(Kind::Tree).unwrap().into_iter().find(holds).unwrap()
}
