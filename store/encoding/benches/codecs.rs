//! How small and how fast the codecs are, on this machine.
//!
//! `cargo bench -p lab-encoding` measures made-up text and weights;
//! `cargo bench -p lab-encoding --bench codecs -- TYPE FILE [BASE]` the bytes of a file (f16, bf16, f32,
//! f64, other), with BASE as the difference to another of the same length. Each line gives megabytes of
//! raw bytes per CPU second, over chunks of 1 MiB (64 KiB for patches), and the share of the bytes that is left.
//! zstd level 1 on the same bytes stands beside it: compare with that, not with another machine.

mod kit;

use std::cell::RefCell;

use kit::{Kernel, bench, bf16_bytes, f32_bytes, text, weights};
use lab_encoding::float::Element;
use lab_encoding::{delta, patch, plain, planes};
use zstd::bulk::{Compressor, Decompressor};

const CHUNK: usize = 1 << 20;
/// As much as a chunk of text has on average.
const TEXT: usize = 64 << 10;

/// A kernel that encodes the chunks of `raw`, each of `len` bytes, and one that decodes them. `encode` is given a chunk, the
/// same of the base, and an empty buffer; if it says no, the chunk is stored as it is.
fn pair<'a>(
    name: &str,
    len: usize,
    raw: &'a [u8],
    base: &'a [u8],
    mut encode: impl FnMut(&[u8], &[u8], &mut Vec<u8>) -> bool + 'a,
    mut decode: impl FnMut(&[u8], &[u8], &mut [u8]) + 'a,
) -> [Kernel<'a>; 2] {
    let chunks = move || raw.chunks(len).zip(base.chunks(len));
    let mut out = vec![0; len];
    let mut stored = Vec::new();
    for (raw, base) in chunks() {
        let mut bytes = Vec::with_capacity(2 * len);
        let encoded = encode(raw, base, &mut bytes);
        if encoded {
            decode(&bytes, base, &mut out[..raw.len()]);
            assert!(&out[..raw.len()] == raw, "{name}: what came back differs");
        }
        stored.push(encoded.then_some(bytes));
    }
    let size =
        chunks().zip(&stored).map(|((raw, _), bytes)| bytes.as_ref().map_or(raw.len(), Vec::len));
    let size = size.sum();
    let mut bytes = Vec::with_capacity(2 * len);
    let encoding = Kernel::new(name, raw.len(), move || {
        for (raw, base) in chunks() {
            bytes.clear();
            encode(raw, base, &mut bytes);
        }
    });
    let decoding = Kernel::new(format!("{name}, back"), raw.len(), move || {
        for ((raw, base), stored) in chunks().zip(&stored) {
            let out = &mut out[..raw.len()];
            match stored {
                Some(stored) => decode(stored, base, out),
                None => out.copy_from_slice(raw),
            }
        }
    });
    [encoding.stored(size), decoding]
}

/// zstd with one of its own levels.
fn zstd_level<'a>(what: &str, raw: &'a [u8], level: i32) -> [Kernel<'a>; 2] {
    let mut coder = Compressor::new(level).expect("a compressor");
    let mut back = Decompressor::new().expect("a decompressor");
    pair(
        &format!("{what}: zstd -{level}"),
        CHUNK,
        raw,
        raw,
        move |raw, _, out| coder.compress_to_buffer(raw, out).is_ok(),
        move |stored, _, out| assert!(back.decompress_to_buffer(stored, out).is_ok()),
    )
}

/// What bytes of no known structure are stored with.
fn plain_coder<'a>(what: &str, raw: &'a [u8]) -> [Kernel<'a>; 2] {
    let mut coder = plain::Coder::new().expect("a coder");
    pair(
        &format!("{what}: plain"),
        CHUNK,
        raw,
        raw,
        move |raw, _, out| {
            let stored = coder.encode(raw).expect("zstd");
            stored.map(|stored| out.extend_from_slice(stored)).is_some()
        },
        |stored, _, out| plain::decode(stored, out).expect("a frame"),
    )
}

/// What an edited text is stored with: `raw` is like `base`, but for a little.
fn patches<'a>(what: &str, raw: &'a [u8], base: &'a [u8]) -> [Kernel<'a>; 2] {
    let mut coder = patch::Coder::new().expect("a coder");
    pair(
        &format!("{what}: patch"),
        TEXT,
        raw,
        base,
        move |raw, base, out| {
            let stored = coder.encode(raw, base, raw.len() / 3);
            stored.map(|stored| out.extend_from_slice(stored)).is_some()
        },
        |stored, base, out| patch::decode(stored, base, out).expect("a patch"),
    )
}

/// The codecs for floats, with zstd as their yardstick.
fn floats<'a>(
    what: &str,
    raw: &'a [u8],
    base: Option<&'a [u8]>,
    element: Element,
) -> Vec<Kernel<'a>> {
    let zstd = format!("{what}: zstd -1");
    let beside = |[there, back]: [Kernel<'a>; 2]| {
        [there.beside(&zstd), back.beside(format!("{zstd}, back"))]
    };
    let mut kernels = Vec::from(zstd_level(what, raw, 1));
    let coder = RefCell::new(planes::Coder::new().expect("a coder"));
    kernels.extend(beside(pair(
        &format!("{what}: planes"),
        CHUNK,
        raw,
        raw,
        move |raw, _, out| coder.borrow_mut().encode(raw, element, out),
        |stored, _, out| planes::decode(stored, out).expect("planes"),
    )));
    if let Some(base) = base {
        let coder = RefCell::new(planes::Coder::new().expect("a coder"));
        kernels.extend(beside(pair(
            &format!("{what}: difference"),
            CHUNK,
            raw,
            base,
            move |raw, base, out| coder.borrow_mut().encode_delta(raw, base, element, out),
            |stored, base, out| delta::decode(stored, base, out).expect("a difference"),
        )));
    }
    kernels
}

fn main() {
    let args = kit::arguments();
    if let [element, files @ ..] = args.as_slice()
        && !files.is_empty()
    {
        let element = match element.as_str() {
            "f16" => Element::F16,
            "bf16" => Element::BF16,
            "f32" => Element::F32,
            "f64" => Element::F64,
            _ => Element::Other,
        };
        let bytes: Vec<Vec<u8>> =
            files.iter().map(|file| std::fs::read(file).expect("a file to read")).collect();
        bench(floats(&files[0], &bytes[0], bytes.get(1).map(Vec::as_slice), element));
        return;
    }
    let scale = if kit::in_earnest() { 8 } else { 1 };
    let prose = text(scale * CHUNK);
    // One word in a thousand is another.
    let mut edited = prose.clone();
    edited
        .chunks_mut(6_000)
        .filter_map(|part| part.get_mut(3_000..3_006))
        .for_each(|w| w.fill(b'x'));
    let mut made = Vec::new();
    for step in [1e-3, 1e-2] {
        let (base, tuned) = weights(scale * 256, 1024, step);
        let name = |element: &str| format!("{element}, step {step}");
        made.push((name("f32"), f32_bytes(&tuned), f32_bytes(&base), Element::F32));
        made.push((name("bf16"), bf16_bytes(&tuned), bf16_bytes(&base), Element::BF16));
    }
    let mut kernels = Vec::new();
    kernels.extend(zstd_level("text", &prose, 1));
    for level in [3, 6, 9] {
        let [there, back] = zstd_level("text", &prose, level);
        kernels.extend([there.beside("text: zstd -1"), back.beside("text: zstd -1, back")]);
    }
    let [there, back] = plain_coder("text", &prose);
    kernels.extend([there.beside("text: zstd -1"), back.beside("text: zstd -1, back")]);
    let [there, back] = patches("text, edited", &edited, &prose);
    kernels.extend([there.beside("text: zstd -1"), back.beside("text: zstd -1, back")]);
    for (what, raw, base, element) in &made {
        kernels.extend(floats(what, raw, Some(base), *element));
    }
    bench(kernels);
}
