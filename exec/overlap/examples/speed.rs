//! How long it takes: as many images as MNIST has, and a million lines.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::io::Read;
use std::time::Instant;

use lab_overlap::{Options, Reading, examples, overlap};

fn real(name: &str) -> Vec<u8> {
    let path = format!("{}/../../tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut bytes = Vec::new();
    lab_data::gunzipped(std::fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

fn measure(what: &str, name: &str, train: &[u8], test: &[u8]) {
    let begun = Instant::now();
    let [train, test] = [train, test].map(|set| examples(name, set, &Reading::default()).unwrap());
    let read = begun.elapsed();
    let found = overlap(&train, &test, &Options::default()).unwrap();
    println!(
        "{what}: {} x {}, read {read:.1?}, all {:.1?}, peak {} MiB, {:?}",
        train.len(),
        test.len(),
        begun.elapsed(),
        peak_mib(),
        found.verdict()
    );
    println!("  equal {:?}\n  near {:?}", found.equal, found.near);
    println!("  {:?}", &found.pairs[..found.pairs.len().min(8)]);
}

fn main() {
    // 60,000 images: the test set six times, stretched and mirrored so that all are different.
    let digits = real("mnist-t10k-images-idx3-ubyte.gz");
    let test = &digits[16..];
    let mut train = vec![0, 0, 8, 3, 0, 0, 0xea, 0x60, 0, 0, 0, 28, 0, 0, 0, 28];
    for copy in 0..6 {
        for image in test.chunks(784) {
            for pixel in 0..784 {
                let (y, x) = (pixel / 28, pixel % 28);
                let (y, x) = match copy {
                    0 => (27 - y, x),
                    1 => (y, 27 - x),
                    2 => (x, y),
                    3 => (y, (x + y / 3 + 24) % 28),
                    4 => (y, (x + 32 - y / 4) % 28),
                    _ => (27 - y, 27 - x),
                };
                train.push(image[y * 28 + x]);
            }
        }
    }
    measure("images", "images-idx3-ubyte", &train, &digits);
    // A million lines of about 100 characters of drawn words.
    let words: Vec<u8> = real("names.txt.gz");
    let words: Vec<&[u8]> = words.split(|byte| *byte == b'\n').collect();
    let mut seed = 1u64;
    let mut lines = |count: usize| {
        let mut text = Vec::new();
        for _ in 0..count {
            for _ in 0..15 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                text.extend(words[(seed >> 33) as usize % words.len()]);
                text.push(b' ');
            }
            text.push(b'\n');
        }
        text
    };
    let (train, test) = (lines(1_000_000), lines(100_000));
    measure("lines", "lines.txt", &train, &test);
    let template = |from: usize, to: usize| {
        let line = |i| {
            format!("2026-11-30 service=web level=info request {i} was answered in {} ms\n", i % 97)
        };
        (from..to).map(line).collect::<String>().into_bytes()
    };
    measure("a template", "log.txt", &template(0, 1_000_000), &template(1_000_000, 1_100_000));
}
