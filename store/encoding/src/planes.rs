//! Floats as planes of bytes, each coded as it deserves.
//!
//! The exponents of weights carry two to three bits each, their mantissas are noise. So the bytes of
//! equal significance are put side by side (after a rotation that makes the exponent one byte), and
//! a look at a sample tells which planes are worth coding; the others are kept as they are, at the
//! speed of a copy. The first byte says the width, then each plane names its method, and lengths are
//! checked against the bytes that are there before anything is read. What is not at least two per
//! cent smaller is not coded at all.

use std::cell::RefCell;
use std::io;

use zstd::zstd_safe::{CCtx, CParameter, DCtx};

use crate::Parsed;
use crate::ans;
use crate::delta;
use crate::float::Element;
use crate::huffman;
use crate::prefix::{self, Counter, Counts, Lengths};
use crate::word::Word;

/// How a plane is written down.
mod method {
    /// The bytes themselves.
    pub(super) const RAW: u8 = 0;
    /// One byte that all are.
    pub(super) const CONSTANT: u8 = 1;
    /// [`crate::huffman`].
    pub(super) const HUFFMAN: u8 = 2;
    /// [`crate::ans`].
    pub(super) const ANS: u8 = 3;
    /// zstd with matches, for planes that repeat themselves.
    pub(super) const ZSTD: u8 = 4;
}

/// Bytes of a plane that are looked at before it is counted whole.
const SAMPLE: usize = 4096;
/// Neighbours that are looked at together.
const PIECE: usize = 64;
/// Bits a byte above which a plane is not worth its time.
const NOISE: f64 = 7.8;

/// Encodes chunks; keeps its memory between them.
pub struct Coder {
    /// Those that were encoded last, one after the other.
    planes: Vec<u8>,
    counter: Counter,
    huffman: huffman::Encoder,
    ans: ans::Encoder,
    delta: delta::Coder,
    zstd: CCtx<'static>,
    packed: Vec<u8>,
}

impl Coder {
    /// A coder with empty memory.
    pub fn new() -> io::Result<Coder> {
        let mut zstd = CCtx::try_create()
            .ok_or_else(|| io::Error::new(io::ErrorKind::OutOfMemory, "no memory to compress"))?;
        for parameter in [CParameter::CompressionLevel(1), CParameter::ContentSizeFlag(false)] {
            zstd.set_parameter(parameter)
                .map_err(|code| io::Error::other(zstd::zstd_safe::get_error_name(code)))?;
        }
        Ok(Coder {
            planes: Vec::new(),
            counter: Counter::default(),
            huffman: huffman::Encoder::default(),
            ans: ans::Encoder::new(),
            delta: delta::Coder::default(),
            zstd,
            packed: Vec::new(),
        })
    }

    /// Appends the coded form of `raw` to `out`. Says no, and leaves `out` as it was, when that is not
    /// at least two per cent smaller than `raw`.
    pub fn encode(&mut self, raw: &[u8], element: Element, out: &mut Vec<u8>) -> bool {
        let before = out.len();
        match element.width() {
            2 => self.split::<u16>(raw, out),
            4 => self.split::<u32>(raw, out),
            8 => self.split::<u64>(raw, out),
            _ => self.split::<u8>(raw, out),
        }
        let pays = pays(out.len() - before, raw.len());
        if !pays {
            out.truncate(before);
        }
        pays
    }

    /// Whether `stored`, which is how `raw` was just encoded, decodes to the planes that `raw` was split into. Putting
    /// these together is not tried: that would take as long again.
    pub fn is_sound(&self, stored: &[u8], raw: &[u8]) -> bool {
        let Some((&width, stored)) = stored.split_first() else { return false };
        let width @ 1..=8 = usize::from(width) else { return false };
        let count = raw.len() / width;
        let Some(split) = self.planes.get(..count * width) else { return false };
        let (_, end) = raw.split_at(split.len());
        DECODER.with_borrow_mut(|decoder| {
            let read = |found: &Planes, rest: &[u8]| {
                let planes = split.chunks_exact(count.max(1));
                rest == end && found.iter().zip(planes).all(|(found, plane)| *found == plane)
            };
            decoder.read(width, stored, split.len(), read).unwrap_or(false)
        })
    }

    /// Appends `raw` as its difference to `base`, for [`delta::decode`]. Says no, and leaves `out` as it
    /// was, when their lengths differ, or that is not at least two per cent smaller than `raw`, or
    /// not smaller than what a sample lets expect of [`Coder::encode`].
    pub fn encode_delta(
        &mut self,
        raw: &[u8],
        base: &[u8],
        element: Element,
        out: &mut Vec<u8>,
    ) -> bool {
        if raw.len() != base.len() {
            return false;
        }
        let before = out.len();
        let alone = match element.width() {
            2 => expected::<u16>(raw),
            4 => expected::<u32>(raw),
            8 => expected::<u64>(raw),
            _ => expected::<u8>(raw),
        };
        let limit = alone.min(raw.len() - raw.len() / 50);
        self.delta.encode((raw, base), element, limit, &mut self.ans, out);
        let pays = out.len() > before && pays(out.len() - before, raw.len());
        if !pays {
            out.truncate(before);
        }
        pays
    }

    fn split<W: Word>(&mut self, raw: &[u8], out: &mut Vec<u8>) {
        let count = raw.len() / W::WIDTH;
        let whole = count * W::WIDTH;
        let mut planes = std::mem::take(&mut self.planes);
        planes.resize(whole.max(planes.len()), 0);
        W::split(&raw[..whole], &mut planes[..whole]);
        out.reserve(raw.len() + 64);
        out.push(W::WIDTH as u8);
        for plane in planes[..whole].chunks_exact(count.max(1)) {
            self.plane(plane, out);
        }
        out.extend_from_slice(&raw[whole..]);
        self.planes = planes;
    }

    fn plane(&mut self, plane: &[u8], out: &mut Vec<u8>) {
        if sampled_entropy(plane) > NOISE {
            out.push(method::RAW);
            out.extend_from_slice(plane);
            return;
        }
        let counts = self.counter.count(plane);
        if counts[plane[0] as usize] as usize == plane.len() {
            out.extend_from_slice(&[method::CONSTANT, plane[0]]);
            return;
        }
        let lengths = Lengths::fit(&counts);
        let huffman = lengths.cost(&counts);
        // A Huffman code cannot spend less than a bit; where that hurts, the slower coder pays.
        let least = (entropy(&counts) * plane.len() as f64 / 8.0) as usize + 64;
        let skewed = least + least / 32 < huffman;
        let cost = if skewed { least } else { huffman }.min(plane.len());
        if repeats(plane) && self.zstd(plane, cost) {
            block(method::ZSTD, out, |out| out.extend_from_slice(&self.packed));
        } else if cost == plane.len() {
            out.push(method::RAW);
            out.extend_from_slice(plane);
        } else if skewed {
            block(method::ANS, out, |out| self.ans.encode_alone(plane, &counts, out));
        } else {
            block(method::HUFFMAN, out, |out| self.huffman.encode(plane, &lengths, out));
        }
    }

    /// Whether zstd packs `plane` into fewer bytes than `limit`.
    fn zstd(&mut self, plane: &[u8], limit: usize) -> bool {
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(plane.len()));
        self.zstd.compress2(&mut self.packed, plane).is_ok_and(|size| size < limit)
    }
}

fn pays(stored: usize, raw: usize) -> bool {
    stored < raw - raw / 50
}

/// A method, the length of what `write` appends, and that.
fn block(method: u8, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&[method, 0, 0, 0, 0]);
    let start = out.len();
    write(out);
    let size = ((out.len() - start) as u32).to_le_bytes();
    out[start - 4..start].copy_from_slice(&size);
}

/// Bits a byte, by the frequencies in `counts`.
fn entropy(counts: &Counts) -> f64 {
    let total: f64 = counts.iter().map(|&c| f64::from(c)).sum();
    let sum: f64 =
        counts.iter().filter(|&&c| c > 0).map(|&c| f64::from(c) * f64::from(c).log2()).sum();
    if total > 0.0 { total.log2() - sum / total } else { 0.0 }
}

/// The entropy of pieces all over the plane, less what a small sample makes it look smaller.
fn sampled_entropy(plane: &[u8]) -> f64 {
    if plane.len() < 4 * SAMPLE {
        return 0.0;
    }
    let step = plane.len() / (SAMPLE / PIECE);
    let mut sample = [0; SAMPLE];
    for (piece, part) in sample.chunks_exact_mut(PIECE).zip(plane.chunks_exact(step)) {
        piece.copy_from_slice(&part[..PIECE]);
    }
    corrected_entropy(&sample)
}

/// The entropy of a sample, and what its smallness hides.
fn corrected_entropy(sample: &[u8]) -> f64 {
    let counts = prefix::count(sample);
    let used = counts.iter().filter(|&&c| c > 0).count() as f64;
    entropy(&counts) + (used - 1.0) / (2.0 * sample.len() as f64 * std::f64::consts::LN_2)
}

/// Bytes that `raw` may take as planes, by a sample; its length where it is too short for one.
fn expected<W: Word>(raw: &[u8]) -> usize {
    let pieces = SAMPLE / PIECE;
    let step = raw.len() / W::WIDTH / pieces * W::WIDTH;
    if step < PIECE * W::WIDTH {
        return raw.len();
    }
    let mut sample = Vec::with_capacity(SAMPLE * W::WIDTH);
    for part in raw.chunks_exact(step).take(pieces) {
        sample.extend_from_slice(&part[..PIECE * W::WIDTH]);
    }
    let mut planes = vec![0; sample.len()];
    W::split(&sample, &mut planes);
    let bits: f64 =
        planes.chunks_exact(SAMPLE).map(|plane| corrected_entropy(plane).min(8.0)).sum();
    (bits / 8.0 / W::WIDTH as f64 * raw.len() as f64) as usize
}

/// Whether many words of the plane are like their neighbours, so that matches may save more than a
/// code for single bytes. Of every four KiB one is looked at.
fn repeats(plane: &[u8]) -> bool {
    let (mut equal, mut words) = (0, 0);
    for part in plane.chunks(SAMPLE) {
        let part = part.as_chunks::<8>().0;
        let part = &part[..part.len().min(SAMPLE / 4 / 8)];
        words += part.len();
        equal += part.iter().zip(part.iter().skip(1)).filter(|(a, b)| a == b).count();
    }
    equal * 8 > words
}

/// The planes of a chunk; there are as many as an element has bytes.
type Planes<'a> = [&'a [u8]; 8];

/// What decoding needs again and again.
struct Decoder {
    huffman: huffman::Decoder,
    ans: ans::Decoder,
    zstd: Option<DCtx<'static>>,
    planes: Vec<u8>,
}

thread_local! {
    static DECODER: RefCell<Decoder> =
        RefCell::new(Decoder { huffman: huffman::Decoder::new(), ans: ans::Decoder::new(), zstd: DCtx::try_create(), planes: Vec::new() });
}

/// Fills `out`, which has exactly the length of what was coded, from exactly all of `stored`.
pub fn decode(stored: &[u8], out: &mut [u8]) -> Parsed<()> {
    let (width, stored) = stored.split_first().ok_or("planes are empty")?;
    DECODER.with_borrow_mut(|decoder| match width {
        1 => decoder.merge::<u8>(stored, out),
        2 => decoder.merge::<u16>(stored, out),
        4 => decoder.merge::<u32>(stored, out),
        8 => decoder.merge::<u64>(stored, out),
        _ => Err("planes of an unknown width"),
    })
}

impl Decoder {
    fn merge<W: Word>(&mut self, stored: &[u8], out: &mut [u8]) -> Parsed<()> {
        let whole = out.len() / W::WIDTH * W::WIDTH;
        let (words, rest) = out.split_at_mut(whole);
        self.read(W::WIDTH, stored, whole, |planes, tail| {
            if rest.len() != tail.len() {
                return Err("planes and their length do not agree");
            }
            rest.copy_from_slice(tail);
            W::merge(&planes[..W::WIDTH], words);
            Ok(())
        })?
    }

    /// Decodes `width` planes that together hold `whole` bytes; hands them on with what follows them.
    fn read<T>(
        &mut self,
        width: usize,
        stored: &[u8],
        whole: usize,
        then: impl FnOnce(&Planes, &[u8]) -> T,
    ) -> Parsed<T> {
        let mut scratch = std::mem::take(&mut self.planes);
        scratch.resize(whole.max(scratch.len()), 0);
        let mut rest = stored;
        let mut planes: Planes = [&[]; 8];
        // What longer ones left behind them is no plane.
        let fresh = scratch[..whole].chunks_exact_mut((whole / width).max(1));
        for (place, scratch) in planes[..width].iter_mut().zip(fresh) {
            (*place, rest) = self.plane(rest, scratch)?;
        }
        let done = then(&planes, rest);
        self.planes = scratch;
        Ok(done)
    }

    /// One plane, from `stored` itself or decoded into `scratch`, and the rest of `stored`.
    fn plane<'a>(
        &mut self,
        stored: &'a [u8],
        scratch: &'a mut [u8],
    ) -> Parsed<(&'a [u8], &'a [u8])> {
        let cut = "a plane is cut off";
        let (&method, stored) = stored.split_first().ok_or(cut)?;
        match method {
            method::RAW => return stored.split_at_checked(scratch.len()).ok_or(cut),
            method::CONSTANT => {
                let (&byte, rest) = stored.split_first().ok_or(cut)?;
                scratch.fill(byte);
                return Ok((scratch, rest));
            }
            _ => {}
        }
        let (size, stored) = stored.split_first_chunk::<4>().ok_or(cut)?;
        let (coded, rest) =
            stored.split_at_checked(u32::from_le_bytes(*size) as usize).ok_or(cut)?;
        match method {
            method::HUFFMAN => self.huffman.decode(coded, scratch)?,
            method::ANS => self.ans.decode_alone(coded, scratch)?,
            method::ZSTD => {
                let zstd = self.zstd.as_mut().ok_or("no memory to decompress")?;
                let size = zstd
                    .decompress(scratch, coded)
                    .map_err(|_| "a plane's zstd frame is damaged")?;
                if size != scratch.len() {
                    return Err("a plane is shorter than the others");
                }
            }
            _ => return Err("a plane is coded in an unknown way"),
        }
        Ok((scratch, rest))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::word::samples::{ELEMENTS, content};

    fn round_trip(raw: &[u8], element: Element) -> Option<usize> {
        let mut coder = Coder::new().unwrap();
        let mut stored = b"before".to_vec();
        if !coder.encode(raw, element, &mut stored) {
            assert_eq!(stored, b"before");
            return None;
        }
        assert!(coder.is_sound(&stored[6..], raw));
        let mut out = vec![0xaa; raw.len()];
        decode(&stored[6..], &mut out).unwrap();
        assert!(out == raw);
        Some(stored.len() - 6)
    }

    #[test]
    fn weights_shrink_to_their_exponents_and_noise_is_left_alone() {
        let share = |kind, element| {
            let raw = content(kind, 1 << 20, 5);
            round_trip(&raw, element).map(|size| size as f64 / raw.len() as f64)
        };
        assert!(share(4, Element::BF16).unwrap() < 0.68);
        assert!(share(3, Element::F32).unwrap() < 0.85);
        assert!(share(5, Element::F64).unwrap() < 0.9);
        assert!(share(1, Element::F32).unwrap() < 0.001);
        for element in ELEMENTS {
            assert_eq!(share(0, element), None);
        }
    }

    #[test]
    fn every_length_comes_back() {
        for element in ELEMENTS {
            for length in
                (0..70).chain([4095, 4096, 4097, 8191, 8193, 40_000, (1 << 20) - 3, 1 << 20])
            {
                for kind in 0..9 {
                    round_trip(&content(kind, length, length as u64), element);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_content_comes_back(kind in 0u8..9, length in 0usize..50_000, seed: u64, at in 0usize..5) {
            round_trip(&content(kind, length, seed), ELEMENTS[at]);
        }

        #[test]
        fn damage_is_an_error_or_other_bytes_but_never_a_panic(
            kind in 0u8..9, length in 100usize..30_000, seed: u64, at in 0usize..5,
            hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut: Option<prop::sample::Index>,
        ) {
            let raw = content(kind, length, seed);
            let mut stored = Vec::new();
            if Coder::new().unwrap().encode(&raw, ELEMENTS[at], &mut stored) {
                for (place, byte) in hits {
                    // Headers are short: most damage shall hit one.
                    let place = place.index(stored.len()) % if byte % 2 == 0 { 64 } else { usize::MAX };
                    let place = place.min(stored.len() - 1);
                    stored[place] = byte;
                }
                if let Some(cut) = cut {
                    stored.truncate(cut.index(stored.len()));
                }
                let mut out = vec![0; length];
                let _ = decode(&stored, &mut out);
            }
        }

        #[test]
        fn random_bytes_are_no_planes(bytes in prop::collection::vec(any::<u8>(), 0..600), length in 0usize..400) {
            let _ = decode(&bytes, &mut vec![0; length]);
        }
    }

    /// Found by fuzzing: fewer bytes than an element has hold no plane, whatever was decoded before.
    #[test]
    fn what_was_decoded_before_does_not_matter() {
        let hostile = [8, 1, 25, 14, 49, 0, 65];
        let fresh = std::thread::spawn(move || decode(&hostile, &mut [])).join().unwrap();
        assert_eq!(fresh, Err("planes and their length do not agree"));
        round_trip(&content(4, 20_000, 3), Element::F64);
        let mut stored = Vec::new();
        assert!(Coder::new().unwrap().encode(&[0; 800], Element::F64, &mut stored));
        decode(&stored, &mut [1; 800]).unwrap();
        assert_eq!(decode(&hostile, &mut []), fresh);
    }

    #[test]
    fn other_planes_than_those_that_were_split_are_not_sound() {
        for (kind, element, width) in [(4, Element::BF16, 2), (3, Element::F32, 4)] {
            let (mut coder, mut stored) = (Coder::new().unwrap(), Vec::new());
            let raw = content(kind, 40_000 * width + width - 1, 3);
            assert!(coder.encode(&raw, element, &mut stored));
            assert!(coder.is_sound(&stored, &raw));
            let mut unseen = 0;
            for at in (0..200).chain((200..stored.len()).step_by(101)) {
                stored[at] ^= 1;
                unseen += usize::from(coder.is_sound(&stored, &raw));
                stored[at] ^= 1;
            }
            // Bits that fill up a byte mean nothing.
            assert!(unseen <= 8, "{unseen} of {}", stored.len());
            assert!(!coder.is_sound(&stored[..stored.len() - 1], &raw));
            assert!(!coder.is_sound(&stored, &raw[1..]));
            assert!(!coder.is_sound(&[], &raw) && !coder.is_sound(&[0], &raw));
        }
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        let raw = content(4, 20_000, 3);
        let mut stored = Vec::new();
        assert!(Coder::new().unwrap().encode(&raw, Element::BF16, &mut stored));
        let mut out = vec![0; raw.len()];
        for length in 0..stored.len() {
            assert!(decode(&stored[..length], &mut out).is_err());
        }
        assert!(decode(&stored, &mut out[2..]).is_err());
        assert!(decode(&stored, &mut vec![0; raw.len() + 1]).is_err());
    }
}
