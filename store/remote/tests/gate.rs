//! What a store demands of what comes to it: asked before anything moves, and again by the far side
//! where a name goes on.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use common::{POLITE, attest, base, everything, lineage, memory, name, pipeline, set, target};
use lab_lineage::{Lineage, LineageError};
use lab_objects::{Backend, Key, Memory, ObjectsError, Silent, Store};
use lab_remote::{
    Gate, Guard, Opened, Options, RemoteError, Replaced, Side, plan_push, pull, push, transfer,
};
use lab_schema::{Digest, ObjectId, RunId};

/// Takes what is listed, and runs and attestations no others.
#[derive(Debug, Default)]
struct Only {
    taken: BTreeSet<ObjectId>,
    asked: Mutex<Vec<ObjectId>>,
    broken: bool,
}

impl Only {
    fn these(taken: &[ObjectId]) -> Only {
        Only { taken: taken.iter().copied().collect(), ..Only::default() }
    }
}

impl Gate for Only {
    fn refuses(
        &self,
        store: &Store,
        lineage: &Lineage,
        id: ObjectId,
    ) -> lab_lineage::Result<Option<String>> {
        // The lineage is that of the store that has it.
        if let ObjectId::Run(run) = id {
            assert_eq!(store.has(id)?, lineage.runs()?.iter().any(|row| row.id == run), "{id}");
        }
        self.asked.lock().unwrap().push(id);
        if self.broken {
            let what = "the gate".to_owned();
            return Err(LineageError::Uncertain { what, why: "it fell".to_owned() });
        }
        let is_content = matches!(id, ObjectId::Blob(_) | ObjectId::Tree(_));
        Ok((!is_content && !self.taken.contains(&id)).then(|| "it is not on the list".to_owned()))
    }
}

fn by(gate: &Only) -> Options<'_> {
    Options { gate: Some(gate), ..POLITE }
}

#[test]
fn every_run_that_would_go_over_is_looked_at_before_anything_moves() {
    let (near, far) = (memory(), memory());
    let p = pipeline(&near);
    set(&near, "base", p.train);
    let send = |gate: &Only, what: &str| {
        push(&near, &lineage(&near), &far, &[base(what)], by(gate), &Silent)
    };
    // The run itself, and the one before it.
    for taken in [vec![], vec![p.train.into()], vec![p.prepare.into()]] {
        let gate = Only::these(&taken);
        let error = send(&gate, "base").unwrap_err();
        let RemoteError::NotTaken { side: Side::Remote, id, .. } = &error else {
            panic!("{error}")
        };
        assert!(!taken.contains(id) && [p.train.into(), p.prepare.into()].contains(id));
        assert!(error.to_string().ends_with("it is not on the list"), "{error}");
        assert!(error.to_string().starts_with("the remote does not take run "), "{error}");
        let planned = plan_push(&near, &lineage(&near), &far, &[base("base")], by(&gate));
        assert!(matches!(planned, Err(RemoteError::NotTaken { .. })));
        assert_eq!((everything(&far), target(&far, "base")), (vec![], None));
    }
    // What others attested of it comes along; by itself it is asked about.
    send(&Only::these(&[p.train.into(), p.prepare.into()]), "base").unwrap();
    assert!(far.has(p.attested).unwrap());
    set(&near, "word", p.attested);
    assert!(send(&Only::these(&[p.prepare.into()]), "word").is_err());
    // Data has no history.
    set(&near, "data", p.raw);
    send(&Only::default(), "data").unwrap();

    // The other way the near side demands it of what the far side has.
    let own = memory();
    let fetch = |gate: &Only| pull(&own, &far, &[base("base")], by(gate), &Silent);
    let error = fetch(&Only::these(&[p.train.into()])).unwrap_err();
    assert!(
        matches!(error, RemoteError::NotTaken { side: Side::Local, id, .. } if id == p.prepare.into())
    );
    assert!(error.to_string().starts_with("this store does not take run "), "{error}");
    assert_eq!(everything(&own), []);
    fetch(&Only::these(&[p.train.into(), p.prepare.into()])).unwrap();
    // A gate that cannot tell lets nothing in.
    let broken = Only { broken: true, ..Only::default() };
    assert!(matches!(fetch(&broken), Err(RemoteError::Lineage { .. })));
}

/// A store as a client of `lab serve` finds it, with a gate.
fn served(gate: Only) -> (Arc<Memory>, Opened) {
    let backend = Arc::new(Memory::new());
    let store = Store::create(backend.clone()).unwrap();
    let guard = Some(Guard { gate: Arc::new(gate), index: None });
    (backend.clone(), Opened { backend, store, made: true, guard })
}

/// The journals that a name has after each of these moves, as some client writes them.
fn journals(from: &Store, at: &str, backend: &Memory, targets: &[ObjectId]) -> Vec<Vec<u8>> {
    let read = |target: &ObjectId| {
        set(from, at, *target);
        backend.read(&Key::Name(name(at))).unwrap().unwrap()
    };
    targets.iter().map(read).collect()
}

#[test]
fn a_name_goes_on_only_to_what_is_taken_whatever_the_client_says() {
    let writing = Arc::new(Memory::new());
    let client = Store::create(writing.clone()).unwrap();
    let p = pipeline(&client);
    let more = attest(&client, p.train);
    let (there, opened) = served(Only::these(&[p.train.into(), p.attested.into()]));
    transfer(&client, &opened.store, &everything(&client), &Silent).unwrap();
    let key = Key::Name(name("base"));
    let write = |targets: &[ObjectId]| journals(&client, "base", &writing, targets);
    let refused = |before: Option<&[u8]>, after: &[u8]| {
        let refused = opened.replace(&name("base"), before, after).unwrap();
        let Replaced::Refused(why) = refused else { panic!("{refused:?}") };
        assert!(why.contains("is not taken: it is not on the list"), "{why}");
        assert_eq!(there.read(&key).unwrap().as_deref(), before, "it has not moved");
    };

    let first = write(&[p.bystander.into()]).remove(0);
    refused(None, &first);
    // A move to what is not taken, hidden under one to what is: it would be there as a version.
    let hidden = write(&[p.train.into()]).remove(0);
    refused(None, &hidden);

    let clean = Arc::new(Memory::new());
    let store = Store::create(clean.clone()).unwrap();
    transfer(&client, &store, &everything(&client), &Silent).unwrap();
    let all = [p.train.into(), p.raw.into(), p.attested.into(), p.prepare.into(), more.into()];
    let all = journals(&store, "base", &clean, &all);
    let moved =
        |before: Option<&[u8]>, after: &[u8]| opened.replace(&name("base"), before, after).unwrap();
    assert_eq!(moved(None, &all[0]), Replaced::Yes);
    // What the name was moved to before is not asked again; data is nobody's claim.
    assert_eq!(moved(Some(&all[0]), &all[1]), Replaced::Yes);
    assert_eq!(moved(Some(&all[1]), &all[2]), Replaced::Yes);
    assert_eq!(moved(Some(&all[1]), &all[2]), Replaced::Moved);
    refused(Some(&all[2]), &all[3]);
    refused(Some(&all[2]), &all[4]);
    // The rules that hold without a gate hold with one.
    let shorter = opened.replace(&name("base"), Some(&all[2]), &all[0]);
    assert!(matches!(shorter, Err(ObjectsError::RefusedKey { .. })));
    assert!(opened.replace(&name("base"), Some(&all[2]), b"nonsense").is_err());
}

#[test]
fn a_gate_that_cannot_tell_lets_no_name_on() {
    let writing = Arc::new(Memory::new());
    let client = Store::create(writing.clone()).unwrap();
    let p = pipeline(&client);
    let journal = journals(&client, "base", &writing, &[p.train.into()]).remove(0);
    let (there, opened) = served(Only { broken: true, ..Only::default() });
    transfer(&client, &opened.store, &everything(&client), &Silent).unwrap();
    let refused = opened.replace(&name("base"), None, &journal).unwrap();
    assert!(matches!(refused, Replaced::Refused(why) if why.contains("it fell")));
    assert_eq!(there.read(&Key::Name(name("base"))).unwrap(), None);
    // Nor to what is not there, of which nothing is known.
    let nothing = RunId::from_digest(Digest::from_bytes([1; 32]));
    let (_, opened) = served(Only::these(&[nothing.into(), p.train.into()]));
    assert!(matches!(
        opened.replace(&name("base"), None, &journal),
        Err(ObjectsError::Missing { .. })
    ));
}
