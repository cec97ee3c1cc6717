//! One value, one byte string: round trips, and what the decoder must refuse.
#![allow(clippy::unwrap_used, missing_docs)]

mod samples;

use lab_schema::recipe::Parts;
use lab_schema::tree::Node;
use lab_schema::{
    Aliases, Attestation, AttestationId, BlobId, Entry, Evaluation, FileName, Kind, Object, Recipe,
    Run, SchemaError, Signature, Signed, Tree, TreeId, Value,
};
use proptest::prelude::*;

/// Decodes as `kind`, encodes again, and gives the bytes back; None if refused.
fn round(kind: Kind, bytes: &[u8]) -> Option<Vec<u8>> {
    match kind {
        Kind::Blob => None,
        Kind::Tree => Tree::decode(bytes).ok().map(|o| o.encode()),
        Kind::Recipe => Recipe::decode(bytes).ok().map(|o| o.encode()),
        Kind::Run => Run::decode(bytes).ok().map(|o| o.encode()),
        Kind::Attestation => Attestation::decode(bytes).ok().map(|o| o.encode()),
        Kind::Signature => Signature::decode(bytes).ok().map(|o| o.encode()),
        Kind::Evaluation => Evaluation::decode(bytes).ok().map(|o| o.encode()),
        Kind::Aliases => Aliases::decode(bytes).ok().map(|o| o.encode()),
    }
}

fn sample_bytes() -> Vec<(Kind, Vec<u8>)> {
    vec![
        (Kind::Tree, samples::tree().encode()),
        (Kind::Recipe, samples::recipe().encode()),
        (Kind::Recipe, samples::placed_recipe().encode()),
        (Kind::Recipe, samples::smallest_recipe().encode()),
        (Kind::Run, samples::run().encode()),
        (Kind::Run, samples::watched_run().encode()),
        (Kind::Attestation, samples::attestation().encode()),
        (Kind::Signature, samples::signature().encode()),
        (Kind::Evaluation, samples::evaluation().encode()),
        (Kind::Aliases, samples::aliases().encode()),
    ]
}

#[test]
fn samples_round_trip() {
    assert_eq!(Tree::decode(&samples::tree().encode()), Ok(samples::tree()));
    assert_eq!(Recipe::decode(&samples::recipe().encode()), Ok(samples::recipe()));
    assert_eq!(Run::decode(&samples::run().encode()), Ok(samples::run()));
    assert_eq!(Attestation::decode(&samples::attestation().encode()), Ok(samples::attestation()));
    assert_eq!(Signature::decode(&samples::signature().encode()), Ok(samples::signature()));
    assert_eq!(Evaluation::decode(&samples::evaluation().encode()), Ok(samples::evaluation()));
    assert_eq!(Aliases::decode(&samples::aliases().encode()), Ok(samples::aliases()));
}

// proves F-04: every single-byte change of every sample is refused, or is another value whose
// only encoding it is.
#[test]
fn every_changed_byte_is_refused_or_decodes_to_itself() {
    for (kind, bytes) in sample_bytes() {
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                if let Some(again) = round(kind, &changed) {
                    assert_eq!(again, changed, "{kind}, byte {at}, bit {bit}");
                }
            }
        }
    }
}

// proves F-05: cut short or with bytes behind, nothing decodes.
#[test]
fn truncated_and_extended_bytes_are_refused() {
    for (kind, bytes) in sample_bytes() {
        for len in 0..bytes.len() {
            assert_eq!(round(kind, &bytes[..len]), None, "{kind} cut to {len}");
        }
        assert_eq!(round(kind, &[&bytes[..], b"\0"].concat()), None);
    }
}

// proves F-06: the encodings that CBOR allows beside the canonical one.
#[test]
fn other_encodings_of_the_same_value_are_refused() {
    let empty = Tree::default().encode();
    assert_eq!(empty, b"\x83\x64tree\x01\x80");
    for (what, other) in [
        ("long array head", &b"\x98\x03\x64tree\x01\x80"[..]),
        ("indefinite array", b"\x9f\x64tree\x01\x80\xff"),
        ("long version", b"\x83\x64tree\x18\x01\x80"),
        ("long text head", b"\x83\x78\x04tree\x01\x80"),
        ("indefinite body", b"\x83\x64tree\x01\x9f\xff"),
        ("tagged", b"\xd9\xd9\xf7\x83\x64tree\x01\x80"),
    ] {
        assert!(Tree::decode(other).is_err(), "{what}");
    }
    // A map with two keys swapped, and one with a key that no version 1 has.
    let bytes = samples::smallest_recipe().encode();
    let at = |needle: &[u8]| bytes.windows(needle.len()).position(|w| w == needle).unwrap();
    let (limits, params) = (at(b"\x66limits\xa0"), at(b"\x66params\xa0"));
    let mut swapped = bytes.clone();
    swapped[limits..limits + 8].copy_from_slice(b"\x66params\xa0");
    swapped[params..params + 8].copy_from_slice(b"\x66limits\xa0");
    assert_eq!(Recipe::decode(&swapped), Err(SchemaError::NotCanonical(Kind::Recipe)));
    let mut unknown = bytes.clone();
    unknown[limits + 1..limits + 7].copy_from_slice(b"limitz");
    assert!(matches!(Recipe::decode(&unknown), Err(SchemaError::Malformed { .. })));
}

// proves F-07
#[test]
fn a_newer_version_is_named_as_such() {
    let newer = b"\x83\x64tree\x02\xa1\x61x\x01";
    let error = Tree::decode(newer).unwrap_err();
    assert_eq!(error, SchemaError::Newer { kind: Kind::Tree, version: 2 });
    assert_eq!(error.to_string(), "this tree has version 2: it was made by a newer lab");
    assert!(matches!(Tree::decode(b"\x83\x64tree\x00\x80"), Err(SchemaError::Malformed { .. })));
}

// proves F-03: equal bodies under two kinds have unrelated ids, and neither decodes as the other.
#[test]
fn kinds_are_kept_apart() {
    let bytes = samples::tree().encode();
    assert_ne!(Kind::Tree.digest(&bytes), Kind::Run.digest(&bytes));
    assert_ne!(Kind::Tree.digest(&bytes), BlobId::of(&bytes).digest());
    assert!(matches!(Run::decode(&bytes), Err(SchemaError::Malformed { .. })));
}

// proves F-09: a hostile head that announces more than there is must not allocate it.
#[test]
fn absurd_lengths_and_depths_are_refused() {
    for head in [
        &b"\x83\x64tree\x01\x9b\xff\xff\xff\xff\xff\xff\xff\xff"[..],
        b"\x83\x64tree\x01\x5b\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x83\x7b\xff\xff\xff\xff\xff\xff\xff\xff",
    ] {
        assert!(Tree::decode(head).is_err());
    }
    let deep = [b"\x83\x64tree\x01".to_vec(), vec![0x81; 100_000]].concat();
    assert!(Tree::decode(&deep).is_err());
}

// proves F-10, F-11
#[test]
fn trees_are_sorted_and_names_are_distinct() {
    let entry = |name: &str| Entry {
        name: FileName::new(name).unwrap(),
        node: Node::File { id: BlobId::of(b""), size: 0, executable: false },
    };
    let tree = Tree::new(vec![entry("b"), entry("a"), entry("B"), entry("a.b")]).unwrap();
    let names: Vec<_> = tree.entries().iter().map(|e| e.name.as_bytes()).collect();
    assert_eq!(names, [&b"B"[..], b"a", b"a.b", b"b"]);
    assert!(tree.get(b"a.b").is_some() && tree.get(b"c").is_none());
    assert!(Tree::new(vec![entry("a"), entry("a")]).is_err());
    // The same, forged in the bytes.
    let mut bytes = Tree::new(vec![entry("a"), entry("b")]).unwrap().encode();
    let at = bytes.windows(2).position(|w| w == b"\x41b").unwrap();
    bytes[at + 1] = b'a';
    assert!(matches!(Tree::decode(&bytes), Err(SchemaError::Malformed { .. })));
}

// proves F-13
#[test]
fn link_targets_are_bounded() {
    let link = |target: &[u8]| {
        let node = Node::Link { target: target.to_vec() };
        Tree::new(vec![Entry { name: FileName::new("l").unwrap(), node }]).unwrap()
    };
    assert!(Tree::decode(&link(b"../elsewhere").encode()).is_ok());
    for bad in [&b""[..], b"a\0b", &[b'x'; 4096]] {
        assert!(Tree::decode(&link(bad).encode()).is_err());
    }
}

// proves F-20, F-21
#[test]
fn impossible_recipes_cannot_be_built() {
    use lab_schema::recipe::Parts;
    use lab_schema::{Executor, Output, Tensor};
    let good = || samples::recipe().to_parts();
    let refused = |parts: Parts| assert!(Recipe::new(parts).is_err());
    assert!(Recipe::new(good()).is_ok());
    let with_command = |change: fn(&mut lab_schema::Command)| {
        let mut parts = good();
        let Executor::Command(command) = &mut parts.executor else { unreachable!() };
        change(command);
        parts
    };
    refused(with_command(|c| c.argv.clear()));
    refused(with_command(|c| c.argv[0].clear()));
    refused(with_command(|c| c.argv.push("a\0b".into())));
    refused(with_command(|c| c.variables = [("A=B".into(), String::new())].into()));
    refused(with_command(|c| c.variables = [(String::new(), String::new())].into()));
    let placed = |change: fn(&mut lab_schema::Place)| {
        let mut parts = samples::placed_recipe().to_parts();
        let Executor::Command(command) = &mut parts.executor else { unreachable!() };
        change(command.place.as_mut().unwrap());
        parts
    };
    assert!(Recipe::new(placed(|p| p.project = "/".into())).is_ok());
    refused(placed(|p| p.project = String::new()));
    refused(placed(|p| p.project = "home".into()));
    refused(placed(|p| p.project = "/home/../etc".into()));
    refused(placed(|p| p.project = "/home/".into()));
    refused(placed(|p| p.project = "/ho\0me".into()));
    refused(placed(|p| p.umask = 0o1000));
    refused(placed(|p| p.cpus = 0));
    let tensor = || samples::smallest_recipe().to_parts();
    refused(Parts { environment: Some(samples::tree().id()), ..tensor() });
    refused(Parts { outside: samples::placed_recipe().outside().clone(), ..tensor() });
    let blob = samples::blob().into();
    let inside = |a: &str, b: &str| [(samples::slot(a), blob), (samples::slot(b), blob)].into();
    refused(Parts { inputs: inside("data", "data/x/y"), ..good() });
    refused(Parts { inputs: inside("data-x", "data-x/y"), ..good() });
    refused(Parts { outside: inside("data", "data/x/y"), ..good() });
    assert!(Recipe::new(Parts { inputs: inside("data", "data-x/y"), ..good() }).is_ok());
    let outputs = ["o", "o/p"].map(|s| (samples::slot(s), Output::default()));
    refused(Parts { outputs: outputs.into(), ..good() });
    let tensor = |e: &str, s: &str| Executor::Tensor(Tensor { engine: e.into(), stage: s.into() });
    refused(Parts { executor: tensor("e", "s"), ..good() }); // it has code
    refused(Parts { executor: tensor("", "s"), code: None, ..good() });
    assert!(Recipe::new(Parts { executor: tensor("e", "s"), code: None, ..good() }).is_ok());
}

/// The parts of what ssh-keygen writes, to put together again otherwise.
fn sshsig(parts: [&[u8]; 5]) -> Vec<u8> {
    let mut bytes = b"SSHSIG\0\0\0\x01".to_vec();
    for part in parts {
        bytes.extend((part.len() as u32).to_be_bytes());
        bytes.extend(part);
    }
    bytes
}

// proves F-32
#[test]
fn impossible_signatures_cannot_be_built() {
    let run = Signed::Run(samples::run().id());
    let of_run = |bytes: Vec<u8>| Signature::new(run, 0, bytes);
    let (key, made) = (b"\0\0\0\x03new\x01\x02", b"\0\0\0\x03odd\x03");
    let good = [&key[..], b"lab-run", b"", b"sha3", made];
    // Of a kind of key that nobody knows: it is kept.
    let kept = of_run(sshsig(good)).unwrap();
    assert_eq!((kept.parts().key_kind, kept.parts().method), ("new", "odd"));
    assert_eq!((kept.parts().key, kept.parts().signature), (&key[..], &[3][..]));
    assert_eq!(kept.parts().hash, "sha3");

    let with = |place: usize, part: &'static [u8]| {
        let mut parts = good;
        parts[place] = part;
        sshsig(parts)
    };
    for (what, bytes) in [
        ("nothing", Vec::new()),
        ("another beginning", [b"X", &sshsig(good)[1..]].concat()),
        ("version 2", [b"SSHSIG\0\0\0\x02", &sshsig(good)[10..]].concat()),
        ("something behind", [&sshsig(good)[..], b"\0"].concat()),
        ("an empty key", with(0, b"")),
        ("a key cut off", with(0, b"\0\0\0\x04new")),
        ("a key that claims 4 GiB", with(0, b"\xff\xff\xff\xffnew")),
        ("a kind that a terminal obeys", with(0, b"\0\0\0\x04\x1b[2J")),
        ("a kind with a space", with(0, b"\0\0\0\x03a b")),
        ("git's namespace", with(1, b"git")),
        ("that of attestations", with(1, b"lab-attestation")),
        ("no namespace", with(1, b"")),
        ("something in reserve", with(2, b"x")),
        ("a hash that is no word", with(3, b"sha\n")),
        ("no signature", with(4, b"")),
        ("no method", with(4, b"\0\0\0\0")),
    ] {
        assert!(of_run(bytes).is_err(), "{what}");
    }
    for len in 0..sshsig(good).len() {
        assert!(of_run(sshsig(good)[..len].to_vec()).is_err(), "cut to {len}");
    }
    // For a run and for an attestation other words are signed, and other namespaces.
    let attestation = Signed::Attestation(AttestationId::from_digest(samples::run().id().digest()));
    assert!(Signature::new(attestation, 0, sshsig(good)).is_err());
    assert!(Signature::new(attestation, 0, with(1, b"lab-attestation")).is_ok());
    assert_ne!(run.message(0), attestation.message(0));
    // Bounded: as many bytes as may be, and one more. Neither here nor in the bytes of an object.
    let filled = |len: usize| {
        let made = [&made[..], &vec![7; len - sshsig(good).len()]].concat();
        sshsig([key, b"lab-run", b"", b"sha3", &made])
    };
    let most = lab_schema::signature::MAX_SSHSIG_BYTES;
    let largest = of_run(filled(most)).unwrap().encode();
    assert!(Signature::decode(&largest).is_ok());
    assert!(of_run(filled(most + 1)).is_err());
    let at = largest.windows(5).position(|w| w == b"\x5a\0\x01\0\0").unwrap();
    let larger =
        [&largest[..at], b"\x5a\0\x01\0\x01", &filled(most + 1), &largest[at + 5 + most..]]
            .concat();
    assert!(matches!(Signature::decode(&larger), Err(SchemaError::Malformed { .. })));
}

// proves F-33: the words, letter by letter.
#[test]
fn what_is_signed_are_these_words() {
    let id = "9bf540456eeeddf4a4429258d27378fa2e09f1c8ec061792b256c4466e51c9fc";
    let signature = samples::signature();
    assert_eq!(signature.message(), format!("lab run {id} signed 1795000200000\n"));
    let of = Signed::Attestation(id.parse().unwrap());
    assert_eq!(of.message(7), format!("lab attestation {id} signed 7\n"));
    assert_eq!((signature.of().namespace(), of.namespace()), ("lab-run", "lab-attestation"));
    assert_eq!(signature.parts().namespace, "lab-run");
}

#[test]
fn tolerances_are_per_element_and_do_not_cover_what_is_not_a_number() {
    let number = |x| lab_schema::Number::new(x).unwrap();
    let t = lab_schema::Tolerance { absolute: number(0.1), relative: number(0.5) };
    assert!(
        t.allows(1.0, 1.5) && !t.allows(1.0, 1.7) && t.allows(-2.0, -1.0) && t.allows(0.0, 0.1)
    );
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    assert!(
        t.allows(inf, inf) && !t.allows(inf, 1.0) && !t.allows(1.0, inf) && !t.allows(inf, -inf)
    );
    assert!(!t.allows(nan, nan) && !t.allows(nan, 1.0) && !t.allows(1.0, nan));
}

// proves F-31: what each kind points at.
#[test]
fn links_name_everything_below() {
    use lab_schema::ObjectId;
    let has = |links: Vec<ObjectId>, id: ObjectId| assert!(links.contains(&id), "{id}");
    has(samples::tree().links(), samples::blob().into());
    has(samples::tree().links(), Tree::default().id().into());
    assert_eq!(samples::tree().links().len(), 3); // not the link
    has(samples::recipe().links(), samples::tree().id().into());
    assert_eq!(samples::recipe().links().len(), 3); // two inputs and the code
    // Two inputs, one from outside, the code and the environment.
    assert_eq!(samples::placed_recipe().links().len(), 5);
    has(samples::run().links(), samples::recipe().id().into());
    assert_eq!(samples::run().links().len(), 4); // recipe, one output, two logs
    assert_eq!(samples::watched_run().links().len(), 5); // and what was observed
    assert_eq!(samples::attestation().links(), [samples::run().id().into()]);
    assert_eq!(samples::signature().links(), [samples::run().id().into()]);
    let of = Signed::Attestation(samples::attestation().id());
    assert_eq!(ObjectId::from(of), samples::attestation().id().into());
}

fn arbitrary_entry() -> impl Strategy<Value = Entry> {
    let name = prop::collection::vec(any::<u8>(), 1..12)
        .prop_filter_map("a valid file name", |bytes| FileName::new(bytes).ok());
    let digest = any::<[u8; 32]>().prop_map(lab_schema::Digest::from_bytes);
    let node = prop_oneof![
        (digest.clone(), any::<u64>(), any::<bool>()).prop_map(|(d, size, executable)| {
            Node::File { id: BlobId::from_digest(d), size, executable }
        }),
        (digest, any::<u64>())
            .prop_map(|(d, size)| Node::Directory { id: TreeId::from_digest(d), size }),
        prop::collection::vec(1u8.., 1..40).prop_map(|target| Node::Link { target }),
    ];
    (name, node).prop_map(|(name, node)| Entry { name, node })
}

proptest! {
    #[test]
    fn any_tree_round_trips(entries in prop::collection::vec(arbitrary_entry(), 0..30)) {
        if let Ok(tree) = Tree::new(entries) {
            let bytes = tree.encode();
            prop_assert_eq!(Tree::decode(&bytes), Ok(tree));
        }
    }

    // proves F-04, for changes of several bytes at any place.
    #[test]
    fn any_mutation_is_refused_or_decodes_to_itself(
        sample in 0usize..8, edits in prop::collection::vec((any::<u16>(), any::<u8>()), 1..6),
    ) {
        let (kind, mut bytes) = sample_bytes().swap_remove(sample);
        for (at, byte) in edits {
            let at = usize::from(at) % bytes.len();
            bytes[at] = byte;
        }
        if let Some(again) = round(kind, &bytes) {
            prop_assert_eq!(again, bytes);
        }
    }

    #[test]
    fn any_bytes_are_refused_or_decode_to_themselves(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for kind in Kind::ALL {
            if let Some(again) = round(kind, &bytes) {
                prop_assert_eq!(&again, &bytes);
            }
        }
    }
}

// proves F-36
#[test]
fn a_metric_has_a_name_that_can_be_printed() {
    let evaluation = |metric: &str| {
        let model = [samples::slot("model")].into();
        Evaluation::new(samples::run().id(), model, metric.to_owned(), true)
    };
    assert!(Evaluation::new(samples::run().id(), [].into(), "a".into(), true).is_err());
    for good in ["a", "top-5 accuracy", "ma\u{df}", &"x".repeat(200)] {
        assert_eq!(evaluation(good).unwrap().metric(), good);
    }
    for bad in ["", "\u{1b}[2J", "a\nb", &"x".repeat(201), &"\u{df}".repeat(101)] {
        assert!(evaluation(bad).is_err(), "{bad:?}");
    }
}

// proves F-37
#[test]
fn runs_that_differ_in_the_hole_alone_are_of_one_evaluation() {
    let recipe = samples::recipe();
    let evaluation = samples::evaluation();
    let protocol = evaluation.protocol(&recipe).unwrap().id();
    let mut model = evaluation.model_of(&recipe).unwrap();
    assert_eq!(evaluation.filled(&recipe, &model), Some(recipe.clone()));
    for content in model.values_mut() {
        *content = BlobId::of(b"another model").into();
    }
    let other = evaluation.filled(&recipe, &model).unwrap();
    assert_ne!(other.id(), recipe.id());
    assert_eq!(evaluation.model_of(&other), Some(model.clone()));
    assert_eq!(evaluation.filled(&recipe, &model.into_iter().skip(1).collect()), None);
    assert_eq!(evaluation.protocol(&other).unwrap().id(), protocol);

    let changes: [&dyn Fn(&mut Parts); 5] = [
        &|parts| parts.code = None,
        &|parts| parts.seed = Some(parts.seed.unwrap_or(0) + 1),
        &|parts| {
            parts.params.insert("lr".into(), Value::Bool(true));
        },
        &|parts| parts.limits.wall_ms = Some(1),
        &|parts| {
            parts.inputs.insert(samples::slot("another"), samples::blob().into());
        },
    ];
    for (n, change) in changes.iter().enumerate() {
        let mut parts = recipe.to_parts();
        change(&mut parts);
        let changed = Recipe::new(parts).unwrap();
        assert_ne!(evaluation.protocol(&changed).unwrap().id(), protocol, "{n}");
    }
    let mut parts = recipe.to_parts();
    parts.inputs.clear();
    let without = Recipe::new(parts).unwrap();
    assert_eq!((evaluation.protocol(&without), evaluation.model_of(&without)), (None, None));
}
