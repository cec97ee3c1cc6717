//! The same program gives the same bits: here, on every machine, on any number of threads.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::num::NonZeroUsize;

use common::{DIGITS, DIGITS_CSV, id, put, run, store};
use lab_arithmetic::{Kernels, Path};
use lab_tensor::Program;

/// What `digits.toml` leaves. If one of these changes, so must `lab_tensor::ENGINE`.
const GOLDEN: [(&str, &str, &str); 8] = [
    (
        "prepare",
        "train.safetensors",
        "3384b1a91a0fa63b9f942cceac7607b2328cd248bafa5a32bbd198925a52b5ec",
    ),
    (
        "prepare",
        "test.safetensors",
        "4581b9015e5d4abe5edd23f537cc007da690a86f0491b756f1c9cb078c845a06",
    ),
    ("prepare", "prepare.json", "bfb8aa13dcb31f9062b9163594350f0038cb93cbaf0eda1bcfbc2171099d89bc"),
    (
        "train",
        "model.safetensors",
        "f6ee582def980c2e041559196600a058ac9abc4d4161f15d5b2851b820fc902d",
    ),
    ("train", "history.json", "c7bceba1e33911af7cbda9e0be3ec6e04170f1da0141c590b8da3b291c24c6e0"),
    ("train", "steps.csv", "5b5ee3ac03476c59acb87dafd8fe136a25f47122683cf6092a4d369ab34c3255"),
    (
        "evaluate",
        "metrics.json",
        "e58caa8db062211f6e012d1a10b54752f5e8ab8c7195128be9399e9c8fff81fc",
    ),
    (
        "evaluate",
        "predictions.csv",
        "96e33e08d9fb83e259825ac453f8bb552c48864eeed9dedd7c4eceb790f802dd",
    ),
];

fn kernels(path: Path, threads: usize) -> Option<Kernels> {
    Kernels::new(path, NonZeroUsize::new(threads).unwrap())
}

#[test]
fn the_digits_program_leaves_these_bytes_for_ever() {
    let store = store();
    let input = put(&store, DIGITS_CSV);
    let program = Program::parse(DIGITS).unwrap();
    let runs = run(&store, &program, input, Kernels::detect()).unwrap();
    let found: Vec<_> = GOLDEN.iter().map(|(s, o, _)| (*s, *o, id(&runs, s, o))).collect();
    let expected: Vec<_> = GOLDEN.iter().map(|(s, o, id)| (*s, *o, (*id).to_owned())).collect();
    assert_eq!(found, expected, "{found:#?}");
    let accuracy = runs["evaluate"].1.metrics["accuracy"].get();
    assert!(accuracy >= 0.97, "{accuracy}");
}

// proves A-10
#[test]
fn neither_threads_nor_instruction_sets_show() {
    let store = store();
    let input = put(&store, DIGITS_CSV);
    let mut program = Program::parse(DIGITS).unwrap();
    // Batches this large are split over threads.
    for (key, value) in [("train.epochs", "2"), ("train.batch", "1200"), ("train.hidden", "[512]")]
    {
        program.set(key, value).unwrap();
    }
    let with = |kernels| {
        let runs = run(&store, &program, input, kernels).unwrap();
        GOLDEN.map(|(stage, output, _)| id(&runs, stage, output))
    };
    let expected = with(Kernels::detect());
    for path in Path::ALL {
        for threads in [1, 2, 3, 7] {
            let Some(kernels) = kernels(path, threads) else { continue };
            if path == Path::Generic && threads != 3 {
                continue; // It is slow, and its threads are tried with the kernels.
            }
            assert_eq!(with(kernels), expected, "{kernels:?}");
        }
    }
}

#[test]
fn every_seed_learns_the_digits() {
    let store = store();
    let input = put(&store, DIGITS_CSV);
    let mut models = Vec::new();
    for seed in 1..=10 {
        let mut program = Program::parse(DIGITS).unwrap();
        program.set("seed", &seed.to_string()).unwrap();
        let runs = run(&store, &program, input, Kernels::detect()).unwrap();
        let metrics = &runs["evaluate"].1.metrics;
        assert!(metrics["accuracy"].get() >= 0.97, "seed {seed}: {metrics:?}");
        models.push(id(&runs, "train", "model.safetensors"));
    }
    models.sort();
    models.dedup();
    assert_eq!(models.len(), 10);
}
