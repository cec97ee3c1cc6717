//! How small and how fast the codecs for floats are, on this machine.
//!
//! `codecs` measures made-up weights; `codecs TYPE FILE [BASE]` the bytes of a file (f16, bf16, f32, f64, other),
//! with BASE as the difference to another of the same length. Each line gives the share of the bytes
//! that is left and gigabytes of raw bytes per second of one core, over chunks of 1 MiB.
//! zstd level 1 on the same bytes stands beside it: compare with that, not with another machine.
#![allow(clippy::print_stdout)]

use std::time::Instant;

use lab_encoding::float::Element;
use lab_encoding::{delta, planes};

const CHUNK: usize = 1 << 20;
const PASSES: usize = 7;

/// Bytes that are left of the chunks, and seconds for packing and unpacking: each chunk's best of some
/// passes, so that other work on the machine does not count.
fn measure(
    chunks: &[(&[u8], &[u8])],
    mut pack: impl FnMut(&[u8], &[u8], &mut Vec<u8>) -> bool,
    mut unpack: impl FnMut(&[u8], &[u8], &mut [u8]),
) -> (usize, f64, f64) {
    let (mut size, mut packing, mut unpacking) = (0, 0.0, 0.0);
    let mut stored = Vec::with_capacity(2 * CHUNK);
    let mut out = vec![0; CHUNK];
    for &(raw, base) in chunks {
        let (mut best, mut best_back) = (f64::MAX, f64::MAX);
        let out = &mut out[..raw.len()];
        for _ in 0..PASSES {
            stored.clear();
            let start = Instant::now();
            let packed = pack(raw, base, &mut stored);
            best = best.min(start.elapsed().as_secs_f64());
            if !packed {
                stored = raw.to_vec();
                best_back = 0.0;
                continue;
            }
            let start = Instant::now();
            unpack(&stored, base, out);
            best_back = best_back.min(start.elapsed().as_secs_f64());
            assert!(out == raw, "what came back differs");
        }
        size += stored.len();
        packing += best;
        unpacking += best_back;
    }
    (size, packing, unpacking)
}

fn report(what: &str, raw: &[u8], base: Option<&[u8]>, element: Element) {
    let chunks: Vec<(&[u8], &[u8])> =
        raw.chunks(CHUNK).zip(base.unwrap_or(raw).chunks(CHUNK)).collect();
    let line = |name: &str, (size, packing, unpacking): (usize, f64, f64)| {
        let gigabytes = raw.len() as f64 / 1e9;
        let share = size as f64 / raw.len() as f64;
        let (packing, unpacking) = (gigabytes / packing, gigabytes / unpacking);
        println!("{what:24} {name:16} {share:7.4}  {packing:5.2} GB/s  back {unpacking:5.2} GB/s");
    };
    let mut plain = zstd::bulk::Compressor::new(1).expect("a compressor");
    let mut back = zstd::bulk::Decompressor::new().expect("a decompressor");
    let zstd = measure(
        &chunks,
        |raw, _, out| plain.compress_to_buffer(raw, out).is_ok(),
        |stored, _, out| assert!(back.decompress_to_buffer(stored, out).is_ok()),
    );
    line("zstd -1", zstd);
    let mut coder = planes::Coder::new().expect("a coder");
    let found = measure(
        &chunks,
        |raw, _, out| coder.encode(raw, element, out),
        |stored, _, out| planes::decode(stored, out).expect("planes"),
    );
    line("planes", found);
    if base.is_some() {
        let found = measure(
            &chunks,
            |raw, base, out| coder.encode_delta(raw, base, element, out),
            |stored, base, out| delta::decode(stored, base, out).expect("a difference"),
        );
        line("difference", found);
    }
}

/// Numbers that are the same in every run.
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let (u, v) = (self.uniform().max(1e-300), self.uniform());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

/// A matrix of normal weights whose rows have scales of their own, and the same one moved a little.
fn weights(rows: usize, columns: usize, step: f64) -> (Vec<f32>, Vec<f32>) {
    let mut noise = Noise(7);
    let (mut base, mut tuned) = (Vec::new(), Vec::new());
    for _ in 0..rows {
        let scale = 0.02 * (0.2 * noise.normal()).exp();
        for _ in 0..columns {
            let weight = scale * noise.normal();
            base.push(weight as f32);
            tuned.push((weight + 0.02 * step * noise.normal()) as f32);
        }
    }
    (base, tuned)
}

fn f32_bytes(weights: &[f32]) -> Vec<u8> {
    weights.iter().flat_map(|w| w.to_le_bytes()).collect()
}

/// Rounded to the nearest even upper half.
fn bf16_bytes(weights: &[f32]) -> Vec<u8> {
    let round = |w: &f32| {
        let bits = w.to_bits();
        ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
    };
    weights.iter().flat_map(|w| round(w).to_le_bytes()).collect()
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [element, files @ ..] = args.as_slice() {
        let element = match element.as_str() {
            "f16" => Element::F16,
            "bf16" => Element::BF16,
            "f32" => Element::F32,
            "f64" => Element::F64,
            _ => Element::Other,
        };
        let bytes: Vec<Vec<u8>> =
            files.iter().map(|file| std::fs::read(file).expect("a file to read")).collect();
        report(&files.join(" "), &bytes[0], bytes.get(1).map(Vec::as_slice), element);
        return;
    }
    for step in [1e-3, 1e-2] {
        let (base, tuned) = weights(4096, 2048, step);
        let name = |element: &str| format!("{element}, step {step}");
        let (a, b) = (f32_bytes(&tuned), f32_bytes(&base));
        report(&name("f32"), &a, Some(&b), Element::F32);
        let (a, b) = (bf16_bytes(&tuned), bf16_bytes(&base));
        report(&name("bf16"), &a, Some(&b), Element::BF16);
    }
}
