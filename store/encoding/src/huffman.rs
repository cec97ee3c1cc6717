//! A Huffman coder for one plane of bytes.
//!
//! Exponents of weights have some thirty values in use and two to three bits of entropy. Codes of at
//! most [`LIMIT`] bits let the reader look up to seven symbols up at once, and four streams side by
//! side keep the processor busy. The decoder refuses codes that are not complete, streams that are
//! too short or too long, and never reads or writes outside what it was given.

use crate::Parsed;
use crate::prefix::{LIMIT, Lengths, SLOTS};

/// Streams side by side; each holds a quarter of the symbols.
const STREAMS: usize = 4;
/// Most symbols that one look-up yields.
const BURST: usize = 7;
/// Look-ups between two refills: five codes of eleven bits fit the 56 bits that a refill grants.
const ROUNDS: usize = 5;
/// Symbols between two flushes: as many codes as fit beside seven bits that wait.
const UNROLLED: usize = 4;

/// What two bytes can be.
const PAIRS: usize = 1 << 16;
/// Codes of pairs are worked out where that is at most one for so many symbols of the plane.
const PER_PAIR: usize = 16;

/// Writes planes; keeps its memory between them.
#[derive(Default)]
pub(crate) struct Encoder {
    scratch: Vec<u8>,
    /// By two neighbours, the first in the lower byte. Only those of symbols that have a code are
    /// set; the others are never looked up.
    pairs: Vec<u64>,
}

/// A code in the highest bits, its length in the lowest byte: what [`Writer::put`] takes.
fn entry(code: u32, length: u32) -> u64 {
    u64::from(code) << (64 - length) | u64::from(length)
}

/// Bits on their way to a stream: the last ones stand highest, and what is below the `held` ones
/// does not count. So a flush need not move them.
#[derive(Default)]
struct Writer {
    bits: u64,
    held: u64,
    at: usize,
}

impl Writer {
    #[inline(always)]
    fn put(&mut self, entry: u64) {
        self.bits = (self.bits >> (entry & 63)) | entry;
        // Only the lowest byte is looked at, and it does not overflow between flushes.
        self.held = self.held.wrapping_add(entry);
    }

    /// Hands over whole bytes; fewer than eight bits stay.
    #[inline(always)]
    fn flush(&mut self, out: &mut [u8]) {
        let held = self.held & 63;
        let bits = self.bits >> (64u64.wrapping_sub(held) & 63);
        out[self.at..self.at + 8].copy_from_slice(&bits.to_le_bytes());
        self.at += (held >> 3) as usize;
        self.held = held & 7;
    }

    /// The rest of a stream; gives its length.
    fn finish(mut self, part: &[u8], table: &[u64; 256], out: &mut [u8]) -> usize {
        for symbols in part.chunks(UNROLLED) {
            for &symbol in symbols {
                self.put(table[symbol as usize]);
            }
            self.flush(out);
        }
        self.at + usize::from(self.held > 0)
    }
}

impl Encoder {
    /// Appends `plane`, whose bytes all have a code in `lengths`.
    pub(crate) fn encode(&mut self, plane: &[u8], lengths: &Lengths, out: &mut Vec<u8>) {
        lengths.write(out);
        let codes = lengths.codes();
        let used: Vec<usize> = (0..256).filter(|&symbol| lengths.0[symbol] > 0).collect();
        let mut table = [0; 256];
        for &symbol in &used {
            table[symbol] = entry(codes[symbol], lengths.0[symbol].into());
        }
        let mut pairs = None;
        if used.len() * used.len() <= plane.len() / PER_PAIR {
            self.pairs.resize(PAIRS, 0);
            for &second in &used {
                for &first in &used {
                    let length = u32::from(lengths.0[first]);
                    let code = codes[first] | codes[second] << length;
                    let length = length + u32::from(lengths.0[second]);
                    self.pairs[second << 8 | first] = entry(code, length);
                }
            }
            pairs = self.pairs.first_chunk::<PAIRS>();
        }
        let quarter = plane.len().div_ceil(STREAMS);
        let room = quarter * LIMIT / 8 + 16;
        self.scratch.resize((room * STREAMS).max(self.scratch.len()), 0);
        let mut sizes = [0; STREAMS];
        let mut regions = self.scratch.chunks_exact_mut(room);
        let mut parts = plane.chunks(quarter.max(1));
        for sizes in sizes.chunks_exact_mut(2) {
            let (Some(a), Some(b)) = (regions.next(), regions.next()) else { break };
            let two = [parts.next().unwrap_or_default(), parts.next().unwrap_or_default()];
            let put = |writer: &mut Writer, symbols: [u8; UNROLLED]| {
                for symbol in symbols {
                    writer.put(table[usize::from(symbol)]);
                }
            };
            let both = match pairs {
                None => write_two(two, &table, put, [a, b]),
                Some(pairs) => {
                    let put = |writer: &mut Writer, [a, b, c, d]: [u8; UNROLLED]| {
                        writer.put(pairs[usize::from(u16::from_le_bytes([a, b]))]);
                        writer.put(pairs[usize::from(u16::from_le_bytes([c, d]))]);
                    };
                    write_two(two, &table, put, [a, b])
                }
            };
            sizes.copy_from_slice(&both);
        }
        for size in &sizes[..STREAMS - 1] {
            out.extend_from_slice(&(*size as u32).to_le_bytes());
        }
        for (region, size) in self.scratch.chunks_exact(room).zip(sizes) {
            out.extend_from_slice(&region[..size]);
        }
    }
}

/// Two streams at once, so that one's look-ups fill the other's waits. `put` is for the bulk of them.
#[inline(always)]
fn write_two(
    parts: [&[u8]; 2],
    table: &[u64; 256],
    put: impl Fn(&mut Writer, [u8; UNROLLED]),
    outs: [&mut [u8]; 2],
) -> [usize; 2] {
    let ([pa, pb], [a, b]) = (parts, outs);
    let (mut wa, mut wb) = (Writer::default(), Writer::default());
    let whole = pb.len() / UNROLLED * UNROLLED;
    let (groups_a, groups_b) = (pa[..whole].as_chunks().0, pb[..whole].as_chunks().0);
    for (x, y) in groups_a.iter().zip(groups_b) {
        put(&mut wa, *x);
        put(&mut wb, *y);
        wa.flush(a);
        wb.flush(b);
    }
    [wa.finish(&pa[whole..], table, a), wb.finish(&pb[whole..], table, b)]
}

/// Reads planes; keeps its tables between them.
pub(crate) struct Decoder {
    /// By the next eleven bits: a symbol, and the length of its code in the upper byte.
    single: Vec<u16>,
    /// By the number of bits that are known and those bits: up to seven symbols, and in the top
    /// byte how many (upper half) and how many bits they take (lower half).
    bursts: Vec<u64>,
}

/// A stream that is being read.
#[derive(Default)]
struct Reader<'a> {
    stream: &'a [u8],
    at: usize,
    bits: u64,
    held: u32,
    done: usize,
}

impl Reader<'_> {
    /// At least 56 bits; eight bytes must be left.
    #[inline(always)]
    fn refill(&mut self) {
        let mut word = [0; 8];
        word.copy_from_slice(&self.stream[self.at..self.at + 8]);
        self.bits |= u64::from_le_bytes(word) << self.held;
        self.at += ((63 - self.held) >> 3) as usize;
        self.held |= 56;
    }

    /// As many symbols as the next bits name.
    #[inline(always)]
    fn burst(&mut self, table: &[u64; SLOTS], out: &mut [u8]) {
        let entry = table[self.bits as usize % SLOTS];
        out[self.done..self.done + 8].copy_from_slice(&entry.to_le_bytes());
        let used = (entry >> 56) as u32;
        self.bits >>= used & 15;
        self.held -= used & 15;
        self.done += (used >> 4) as usize;
    }

    /// Rounds that can be made without looking at either end.
    fn safe_rounds(&self, out: &[u8]) -> usize {
        let room = (out.len() - self.done).saturating_sub(8) / (ROUNDS * BURST);
        let input = (self.stream.len() - self.at).saturating_sub(8) / 8;
        room.min(input)
    }

    /// One symbol after the other, to the exact end of both.
    fn finish(&mut self, single: &[u16], out: &mut [u8]) -> Parsed<()> {
        // A refill may have put bits of the next byte above those it counts.
        self.bits &= (1u64 << self.held) - 1;
        for slot in &mut out[self.done..] {
            while self.held <= 48 && self.at < self.stream.len() {
                self.bits |= u64::from(self.stream[self.at]) << self.held;
                self.at += 1;
                self.held += 8;
            }
            let entry = single[self.bits as usize % SLOTS];
            let length = u32::from(entry >> 8);
            if length > self.held {
                return Err("a Huffman stream is cut off");
            }
            *slot = entry as u8;
            self.bits >>= length;
            self.held -= length;
        }
        if self.at != self.stream.len() || self.held >= 8 {
            return Err("a Huffman stream goes on after its last symbol");
        }
        Ok(())
    }
}

impl Decoder {
    pub(crate) fn new() -> Decoder {
        Decoder { single: vec![0; SLOTS], bursts: vec![0; 2 * SLOTS] }
    }

    fn build(&mut self, lengths: &Lengths) {
        let codes = lengths.codes();
        for symbol in (0..256).filter(|&s| lengths.0[s] > 0) {
            let length = lengths.0[symbol];
            for slot in (codes[symbol] as usize..SLOTS).step_by(1 << length) {
                self.single[slot] = symbol as u16 | u16::from(length) << 8;
            }
        }
        // What some bits say is their first symbol and then what the fewer bits behind it say.
        self.bursts[1] = 0;
        for known in 1..=LIMIT {
            for bits in 0..1usize << known {
                let first = self.single[bits];
                let length = (first >> 8) as usize;
                self.bursts[(1 << known) + bits] = if length > known {
                    0
                } else {
                    let rest = self.bursts[(1 << (known - length)) + (bits >> length)];
                    if (rest >> 60) as usize == BURST {
                        self.walk(bits, known)
                    } else {
                        extend(first, rest)
                    }
                };
            }
        }
    }

    /// The first symbols of bits that say more than one look-up can yield.
    fn walk(&self, bits: usize, known: usize) -> u64 {
        let (mut entry, mut at) = (0u64, 0);
        for place in 0..BURST {
            let next = self.single[bits >> at];
            let length = (next >> 8) as usize;
            if at + length > known {
                break;
            }
            at += length;
            entry |= u64::from(next & 255) << (8 * place);
            entry = entry << 8 >> 8 | ((place as u64 + 1) << 4 | at as u64) << 56;
        }
        entry
    }

    /// Fills `plane` from exactly all of `stored`.
    pub(crate) fn decode(&mut self, stored: &[u8], plane: &mut [u8]) -> Parsed<()> {
        let (lengths, rest) = Lengths::read(stored)?;
        let (sizes, mut rest) =
            rest.split_first_chunk::<12>().ok_or("a Huffman plane is cut off")?;
        let mut readers: [Reader; STREAMS] = Default::default();
        for (at, reader) in readers.iter_mut().enumerate() {
            reader.stream = rest;
            if let Some(size) = sizes.chunks_exact(4).nth(at) {
                let size = u32::from_le_bytes([size[0], size[1], size[2], size[3]]) as usize;
                (reader.stream, rest) =
                    rest.split_at_checked(size).ok_or("a Huffman stream is cut off")?;
            }
        }
        self.build(&lengths);
        let quarter = plane.len().div_ceil(STREAMS);
        let mut outs: [&mut [u8]; STREAMS] = Default::default();
        for (out, part) in outs.iter_mut().zip(plane.chunks_mut(quarter.max(1))) {
            *out = part;
        }
        let table = self.bursts[SLOTS..].first_chunk::<SLOTS>().ok_or("no table")?;
        loop {
            let rounds =
                readers.iter().zip(&outs).map(|(r, out)| r.safe_rounds(out)).min().unwrap_or(0);
            if rounds == 0 {
                break;
            }
            read(&mut readers, table, &mut outs, rounds);
        }
        for (reader, out) in readers.iter_mut().zip(outs) {
            reader.finish(&self.single, out)?;
        }
        Ok(())
    }
}

/// One more symbol in front of a burst that has room for it.
fn extend(first: u16, rest: u64) -> u64 {
    let (count, bits) = ((rest >> 60) + 1, (rest >> 56 & 15) + u64::from(first >> 8));
    u64::from(first & 255) | (rest << 16 >> 8) | (count << 4 | bits) << 56
}

/// The fast part: all streams in step, no end in sight.
fn read(
    readers: &mut [Reader; STREAMS],
    table: &[u64; SLOTS],
    outs: &mut [&mut [u8]; STREAMS],
    rounds: usize,
) {
    let [mut a, mut b, mut c, mut d] = std::mem::take(readers);
    let [oa, ob, oc, od] = outs;
    for _ in 0..rounds {
        a.refill();
        b.refill();
        c.refill();
        d.refill();
        for _ in 0..ROUNDS {
            a.burst(table, oa);
            b.burst(table, ob);
            c.burst(table, oc);
            d.burst(table, od);
        }
    }
    *readers = [a, b, c, d];
}
