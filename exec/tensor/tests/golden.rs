//! The same program gives the same bits: here, on every machine, on any number of threads.

mod common;

use std::num::NonZeroUsize;

use common::{DIGITS, DIGITS_CSV, id, put, run, store};
use lab_tensor::Program;
use lab_tensor::kernels::{Kernels, Path};

/// What `digits.toml` leaves. If one of these changes, so must `lab_tensor::ENGINE`.
const GOLDEN: [(&str, &str, &str); 7] = [
    ("prepare", "train.safetensors", ""),
    ("prepare", "test.safetensors", ""),
    ("prepare", "prepare.json", ""),
    ("train", "model.safetensors", ""),
    ("train", "history.json", ""),
    ("evaluate", "metrics.json", ""),
    ("evaluate", "predictions.csv", ""),
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
            if path == Path::Software && threads != 3 {
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
        eprintln!("seed {seed} {metrics:?} {} ms", runs["train"].1.duration_ms);
        assert!(metrics["accuracy"].get() >= 0.96, "seed {seed}: {metrics:?}");
        models.push(id(&runs, "train", "model.safetensors"));
    }
    models.sort();
    models.dedup();
    assert_eq!(models.len(), 10);
}
