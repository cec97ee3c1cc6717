//! How small and how fast the codecs for floats are, on this machine.
//!
//! `codecs` measures made-up weights; `codecs TYPE FILE [BASE]` the bytes of a file (f16, bf16, f32, f64, other),
//! with BASE as the difference to another of the same length. Each line gives the share of the bytes
//! that is left and gigabytes of raw bytes per CPU second, the best of some passes over chunks of 1 MiB.
//! zstd level 1 on the same bytes stands beside it: compare with that, not with another machine.
#![allow(clippy::print_stdout)]

use std::time::Instant;

use lab_encoding::float::Element;
use lab_encoding::planes;

const CHUNK: usize = 1 << 20;
const PASSES: usize = 7;

/// Nanoseconds of this thread on a CPU; of the wall clock where the system does not tell.
fn cpu_ns(start: Instant) -> u64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    told.and_then(|text| text.split(' ').next()?.parse().ok())
        .unwrap_or_else(|| start.elapsed().as_nanos() as u64)
}

/// Bytes that are left of the chunks, and seconds for packing and unpacking, the best of some passes.
fn measure(
    chunks: &[(&[u8], &[u8])],
    mut pack: impl FnMut(&[u8], &[u8], &mut Vec<u8>) -> bool,
    mut unpack: impl FnMut(&[u8], &[u8], &mut [u8]),
) -> (usize, f64, f64) {
    let start = Instant::now();
    let (mut size, mut packing, mut unpacking) = (0, f64::MAX, f64::MAX);
    let mut stored = Vec::with_capacity(2 * CHUNK);
    let mut out = vec![0; CHUNK];
    for _ in 0..PASSES {
        let (mut pack_ns, mut unpack_ns) = (0, 0);
        size = 0;
        for &(raw, base) in chunks {
            stored.clear();
            let t0 = cpu_ns(start);
            let packed = pack(raw, base, &mut stored);
            let t1 = cpu_ns(start);
            pack_ns += t1 - t0;
            size += if packed { stored.len() } else { raw.len() };
            if packed {
                let out = &mut out[..raw.len()];
                let t0 = cpu_ns(start);
                unpack(&stored, base, out);
                unpack_ns += cpu_ns(start) - t0;
                assert!(out == raw, "what came back differs");
            }
        }
        packing = packing.min(pack_ns as f64 / 1e9);
        unpacking = unpacking.min(unpack_ns as f64 / 1e9);
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
