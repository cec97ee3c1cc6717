//! Every model family on real data: the same weights on every path and number of threads, for ever.
//!
//! The programs are those of the catalogue, cut short. A hash that changes is another engine.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use common::{DIGITS_CSV, data, id, put, run_on, store};
use lab_arithmetic::{Kernels, Path};
use lab_objects::Store;
use lab_schema::ContentId;
use lab_tensor::{Baseline, Program};

/// A family: a baseline, what is changed of it, its data, and the hash of the weights.
struct Family {
    baseline: &'static str,
    data: &'static str,
    changes: &'static [(&'static str, &'static str)],
    weights: &'static str,
}

const FAMILIES: [Family; 14] = [
    Family {
        baseline: "neighbours",
        data: "penguins.csv",
        changes: &[PENGUINS[0], PENGUINS[1]],
        weights: "517c701eb06fd362d3bbfc228b2856a01e3387cc1c5227c72e1d245c1ad4d359",
    },
    Family {
        baseline: "bayes",
        data: "penguins.csv",
        changes: &[PENGUINS[0], PENGUINS[1]],
        weights: "73ba4aa931c85303a13bdd02cc75f4eebfc12384f73737838b31cafe4f9fd392",
    },
    Family {
        baseline: "bayes",
        data: "diamonds.csv.gz",
        changes: &[
            ("prepare.label", "cut"),
            ("prepare.categories", "['color', 'clarity']"),
            ("train.likelihood", "multinomial"),
        ],
        weights: "113a4f711aaa0d30e096fdce31616c09f29987b665c81b5e7d873ec824c6231b",
    },
    Family {
        baseline: "linear",
        data: "penguins.csv",
        changes: &PENGUINS,
        weights: "7dba5d5d540b8bf39cd08333f81d8cc8cd382e4c9cd89beeb561c6d6ed802b64",
    },
    Family {
        baseline: "mlp",
        data: "penguins.csv",
        changes: &[
            PENGUINS[0],
            PENGUINS[1],
            PENGUINS[2],
            ("train.dropout", "0.2"),
            ("train.activation", "gelu"),
        ],
        weights: "d7247d13228994df7330c7da81095191767484ef74dec491b2b623ba8ebe63fa",
    },
    Family {
        baseline: "mlp-regression",
        data: "diamonds.csv.gz",
        changes: &[
            ("prepare.label", "price"),
            ("prepare.target_log", "true"),
            ("prepare.categories", "['cut', 'color', 'clarity']"),
            ("train.epochs", "1"),
            ("train.hidden", "[32]"),
        ],
        weights: "e52f7557ee104898daf20cbbc7b2ed7bc01dc2df1542833cf053f16dc3e8d523",
    },
    Family {
        baseline: "lenet",
        data: "mnist",
        changes: &[("train.epochs", "1"), ("train.width", "4"), ("prepare.test", "0.95")],
        weights: "2d195fdfdca836d917dbbdc225f7b3436f6cf2848dbf80b75c94153e16642a19",
    },
    Family {
        baseline: "lenet",
        data: "mnist",
        changes: &[
            ("train.epochs", "1"),
            ("train.width", "4"),
            ("train.crop", "2"),
            ("train.flip", "true"),
            ("prepare.resize", "[20, 20]"),
            ("prepare.test", "0.95"),
        ],
        weights: "393d5de4e98b06a4c72c705b1c6e562aa914e5845e26b546438286ef96ffae11",
    },
    Family {
        baseline: "resnet",
        data: "mnist",
        changes: &[("train.epochs", "1"), ("train.width", "4"), ("prepare.test", "0.98")],
        weights: "a117c2bbee6cd897ffe57eb55cfe06836a33a86639669928c3c9ca0cbaa57823",
    },
    Family {
        baseline: "char-lstm",
        data: "names.txt.gz",
        changes: &SHORT,
        weights: "f233dd7423429d207e95d5b379d0a52f4d461b984b9ecd8a917bea3676f7ba9e",
    },
    Family {
        baseline: "char-gru",
        data: "names.txt.gz",
        changes: &SHORT,
        weights: "7778d2ae86dfc470558dc848d456f13ba64c57eead715c303b828bb23bc1883d",
    },
    Family {
        baseline: "char-transformer",
        data: "tinyshakespeare.txt.gz",
        changes: &[
            SHORT[0],
            SHORT[1],
            SHORT[3],
            ("prepare.test", "0.8"),
            ("prepare.unknown", "reserve"),
            ("train.depth", "1"),
        ],
        weights: "d64d1c8c239a960f625b5c7670239c73eb2b0668c50e140ae471bad6d669d345",
    },
    Family {
        baseline: "skip-gram",
        data: "tinyshakespeare.txt.gz",
        changes: &[
            SHORT[0],
            SHORT[1],
            SHORT[2],
            ("prepare.vocabulary", "256"),
            ("train.batch", "256"),
        ],
        weights: "8fa8e1e523bdcd39e5e0cd30e93f6e7fe4b5db8adbda65ae3ee14693f081197a",
    },
    Family {
        baseline: "layers",
        data: "digits",
        changes: &[],
        weights: "f792ca016a033d384008ae6be36022bf6b0b886efdebd2c8f4f90d290441ac4e",
    },
];

const PENGUINS: [(&str, &str); 3] = [
    ("prepare.label", "species"),
    ("prepare.categories", "['island', 'sex']"),
    ("train.epochs", "5"),
];

const SHORT: [(&str, &str); 4] = [
    ("train.epochs", "1"),
    ("train.width", "16"),
    ("prepare.test", "0.9"),
    ("train.context", "32"),
];

fn inputs(store: &Store, family: &Family) -> BTreeMap<String, ContentId> {
    let one = |name: &str, bytes: &[u8]| (name.to_owned(), put(store, bytes));
    match family.data {
        "mnist" => [("images", "images-idx3"), ("labels", "labels-idx1")]
            .map(|(slot, file)| one(slot, &data(&format!("mnist-t10k-{file}-ubyte.gz"))))
            .into(),
        "digits" => [one("data", DIGITS_CSV)].into(),
        file => ["data", "text"].map(|slot| one(slot, &data(file))).into(),
    }
}

/// Layers that no other family has.
const LAYERS: &str = r#"
[inputs]
data = "data"
[prepare]
table = "data"
label = -1
scale = "standard"
[train]
model = "layers"
layers = [
    { layer = "linear", width = 40 }, { layer = "batch_norm" }, "silu",
    { layer = "residual", layers = [{ layer = "layer_norm" }, { layer = "linear", width = 40 }, "tanh"] },
    { layer = "dropout", rate = 0.1 }, { layer = "linear", width = 20 }, "sigmoid",
]
epochs = 2
optimizer = "sgd"
lr = 0.05
clip = 0.5
"#;

fn program(family: &Family) -> Program {
    let text = Baseline::find(family.baseline).map_or(LAYERS, |baseline| baseline.text);
    let mut program = Program::parse(text).unwrap();
    for (key, value) in family.changes {
        program.set(key, value).unwrap();
    }
    program
}

fn weights(family: &Family, kernels: Kernels) -> String {
    let store = store();
    let inputs = inputs(&store, family);
    let runs = run_on(&store, &program(family), &inputs, kernels).unwrap();
    id(&runs, "train", "model.safetensors")
}

#[test]
fn every_family_leaves_these_weights_for_ever() {
    let found: Vec<_> = FAMILIES
        .iter()
        .map(|family| (family.baseline, weights(family, Kernels::detect())))
        .collect();
    let expected: Vec<_> = FAMILIES.iter().map(|f| (f.baseline, f.weights.to_owned())).collect();
    assert_eq!(found, expected, "{found:#?}");
}

#[test]
fn no_path_or_number_of_threads_shows_in_a_family() {
    for family in &FAMILIES {
        for (path, threads) in [(Path::Avx512, 2), (Path::Avx2, 1), (Path::Neon, 3)] {
            let threads = NonZeroUsize::new(threads).unwrap();
            let Some(kernels) = Kernels::new(path, threads) else { continue };
            let kernels = kernels.dividing_everything();
            assert_eq!(weights(family, kernels), family.weights, "{} {kernels:?}", family.baseline);
        }
    }
}
