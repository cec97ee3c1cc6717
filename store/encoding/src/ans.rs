//! A coder of symbols that are mostly the same: asymmetric numeral systems, in the variant with ranges.
//!
//! A Huffman code spends at least one bit on a symbol; differences between a model and its fine-tune
//! need a fraction of that. Here a symbol costs what its frequency says, to within the 1/4096 that
//! frequencies are counted in. Each symbol comes with a context that both sides know, and each
//! context has frequencies of its own. Eight states take turns, so that the processor need not wait.
//! The decoder refuses frequencies that do not add up, and missing or left-over words.

use crate::Parsed;

/// Frequencies of a context add up to this power of two.
const SCALE: u32 = 12;
const SLOTS: usize = 1 << SCALE;
/// Contexts that may be told apart.
pub(crate) const CONTEXTS: usize = 16;
/// States that take turns.
const STATES: usize = 8;
/// Bytes behind the last word, so that one can always be read.
const PADDING: usize = 4;
/// A state holds at least this; 32 bits are handed over when it would grow beyond 63.
const LEAST: u64 = 1 << 31;

/// How often each symbol occurs in each context.
pub(crate) struct Counts(Vec<[u32; 256]>);

impl Counts {
    /// Counts `symbols`, whose `contexts` (as many) are below [`CONTEXTS`].
    pub(crate) fn of(symbols: &[u8], contexts: &[u8]) -> Counts {
        let mut counts = vec![[0u32; 256]; 2 * CONTEXTS];
        let (even, odd) = counts.split_at_mut(CONTEXTS);
        let mut pairs = symbols.chunks_exact(2).zip(contexts.chunks_exact(2));
        for (symbols, contexts) in &mut pairs {
            even[contexts[0] as usize % CONTEXTS][symbols[0] as usize] += 1;
            odd[contexts[1] as usize % CONTEXTS][symbols[1] as usize] += 1;
        }
        if symbols.len() % 2 == 1
            && let (Some(&symbol), Some(&context)) = (symbols.last(), contexts.last())
        {
            even[context as usize % CONTEXTS][symbol as usize] += 1;
        }
        for (sum, more) in even.iter_mut().zip(odd) {
            for (sum, more) in sum.iter_mut().zip(more) {
                *sum += *more;
            }
        }
        counts.truncate(CONTEXTS);
        Counts(counts)
    }

    /// All in the first context.
    fn alone(counts: &[u32; 256]) -> Counts {
        let mut all = vec![[0; 256]; CONTEXTS];
        all[0] = *counts;
        Counts(all)
    }

    /// Bytes that [`Encoder::encode`] will write, estimated.
    pub(crate) fn cost(&self) -> usize {
        let mut bits = 0.0;
        for counts in &self.0 {
            let total: f64 = counts.iter().map(|&c| f64::from(c)).sum();
            for count in counts.iter().filter(|&&c| c > 0).map(|&c| f64::from(c)) {
                // Twelve bits of header, and what the rounding of rare symbols costs.
                bits += 12.0 + count * (total / count).log2().min(SCALE.into());
            }
        }
        (bits / 8.0) as usize + STATES * 8 + CONTEXTS
    }
}

/// Frequencies that add up to [`SLOTS`], none of them zero for a symbol that occurs.
fn scale(counts: &[u32; 256]) -> [u16; 256] {
    let total: u64 = counts.iter().map(|&c| u64::from(c)).sum();
    let mut scaled = [0u16; 256];
    let mut left = SLOTS as i64;
    for (slot, &count) in scaled.iter_mut().zip(counts).filter(|(_, c)| **c > 0) {
        *slot = ((u64::from(count) * SLOTS as u64 + total / 2) / total).max(1) as u16;
        left -= i64::from(*slot);
    }
    // What rounding left over goes to the most frequent, what it took too much comes from them.
    while left != 0 {
        let Some(largest) = scaled.iter_mut().max_by_key(|f| **f) else { break };
        let step = if left > 0 { left } else { left.max(-i64::from(*largest / 2)) };
        *largest = (i64::from(*largest) + step) as u16;
        left -= step;
    }
    scaled
}

/// A context's frequencies, one or two bytes each; zeros as one and their number. They end when
/// they add up.
fn write_frequencies(frequencies: &[u16; 256], out: &mut Vec<u8>) {
    let (mut left, mut at) = (SLOTS, 0);
    while left > 0 && at < 256 {
        let frequency = frequencies[at];
        if frequency == 0 {
            let zeros = frequencies[at..].iter().take_while(|f| **f == 0).count();
            out.extend_from_slice(&[0, (zeros - 1) as u8]);
            at += zeros;
            continue;
        }
        if frequency >= 128 {
            out.push((frequency >> 7) as u8 | 128);
        }
        out.push(frequency as u8 & 127);
        left -= frequency as usize;
        at += 1;
    }
}

/// Reads what [`write_frequencies`] wrote; gives the rest of the bytes.
fn read_frequencies<'a>(mut stored: &'a [u8], out: &mut [u16; 256]) -> Parsed<&'a [u8]> {
    let mut byte = || {
        let (&first, rest) = stored.split_first().ok_or("frequencies are cut off")?;
        stored = rest;
        Parsed::Ok(usize::from(first))
    };
    let (mut left, mut at) = (SLOTS, 0);
    while left > 0 {
        let first = byte()?;
        if first == 0 {
            at += byte()? + 1;
            continue;
        }
        let frequency = if first >= 128 { (first & 127) << 7 | byte()? & 127 } else { first };
        if frequency == 0 || frequency > left {
            return Err("frequencies do not add up");
        }
        *out.get_mut(at).ok_or("frequencies of more than 256 symbols")? = frequency as u16;
        left -= frequency;
        at += 1;
    }
    Ok(stored)
}

/// What the writer does for one symbol: division by its frequency, as a multiplication.
#[derive(Clone, Copy, Default)]
struct Step {
    reciprocal: u64,
    frequency: u16,
    bias: u16,
    shift: u8,
}

impl Step {
    fn new(start: u32, frequency: u32) -> Step {
        if frequency == 1 {
            // The quotient comes out one too small, which the bias makes up for.
            let bias = (start + SLOTS as u32 - 1) as u16;
            return Step { reciprocal: u64::MAX, frequency: 1, bias, shift: 0 };
        }
        let shift = 32 - (frequency - 1).leading_zeros();
        let power = 1u128 << (shift + 63);
        let reciprocal = power.div_ceil(u128::from(frequency)) as u64;
        Step {
            reciprocal,
            frequency: frequency as u16,
            bias: start as u16,
            shift: (shift - 1) as u8,
        }
    }
}

/// Writes symbols; keeps its tables between planes.
pub(crate) struct Encoder {
    steps: Vec<[Step; 256]>,
    words: Vec<u8>,
    none: Vec<u8>,
}

impl Encoder {
    pub(crate) fn new() -> Encoder {
        Encoder {
            steps: vec![[Step::default(); 256]; CONTEXTS],
            words: Vec::new(),
            none: Vec::new(),
        }
    }

    /// Appends `symbols` without contexts.
    pub(crate) fn encode_alone(&mut self, symbols: &[u8], counts: &[u32; 256], out: &mut Vec<u8>) {
        let mut none = std::mem::take(&mut self.none);
        none.resize(symbols.len().max(none.len()), 0);
        self.encode(symbols, &none[..symbols.len()], &Counts::alone(counts), out);
        self.none = none;
    }

    /// Appends `symbols` in their `contexts`, of which `counts` tells.
    pub(crate) fn encode(
        &mut self,
        symbols: &[u8],
        contexts: &[u8],
        counts: &Counts,
        out: &mut Vec<u8>,
    ) {
        let mut used = 0u16;
        for (context, counts) in counts.0.iter().enumerate() {
            used |= u16::from(counts.iter().any(|&c| c > 0)) << context;
        }
        out.extend_from_slice(&used.to_le_bytes());
        for (context, steps) in self.steps.iter_mut().enumerate() {
            if used >> context & 1 == 1 {
                let frequencies = scale(&counts.0[context]);
                write_frequencies(&frequencies, out);
                let mut start = 0;
                for (step, &frequency) in steps.iter_mut().zip(&frequencies) {
                    if frequency > 0 {
                        *step = Step::new(start, frequency.into());
                        start += u32::from(frequency);
                    }
                }
            }
        }
        let Some(steps) = self.steps.first_chunk::<CONTEXTS>() else { return };
        // A symbol takes at most SCALE bits; words are written from the end, as the states run backwards.
        self.words.resize((symbols.len() * 3 / 2 + 64).max(self.words.len()), 0);
        let words = self.words.as_mut_slice();
        let mut at = words.len();
        let mut states = [LEAST; STATES];
        let whole = symbols.len() / STATES * STATES;
        let tail = symbols[whole..].iter().zip(&contexts[whole..]).enumerate();
        for (place, (&symbol, &context)) in tail.rev() {
            let step = &steps[context as usize % CONTEXTS][symbol as usize];
            put(&mut states[place], step, words, &mut at);
        }
        let groups = symbols[..whole].chunks_exact(STATES).zip(contexts.chunks_exact(STATES));
        for (symbols, contexts) in groups.rev() {
            for place in (0..STATES).rev() {
                let steps = &steps[contexts[place] as usize % CONTEXTS];
                put(&mut states[place], &steps[symbols[place] as usize], words, &mut at);
            }
        }
        for state in states {
            out.extend_from_slice(&state.to_le_bytes());
        }
        out.extend_from_slice(&self.words[at..]);
        out.extend_from_slice(&[0; PADDING]);
    }
}

/// Takes a symbol into a state.
#[inline(always)]
fn put(state: &mut u64, step: &Step, words: &mut [u8], at: &mut usize) {
    let mut x = *state;
    if x >> (63 - SCALE) >= u64::from(step.frequency) {
        *at -= 4;
        words[*at..*at + 4].copy_from_slice(&(x as u32).to_le_bytes());
        x >>= 32;
    }
    let quotient = ((u128::from(x) * u128::from(step.reciprocal)) >> 64) as u64 >> step.shift;
    *state = x + u64::from(step.bias) + quotient * (SLOTS as u64 - u64::from(step.frequency));
}

/// Reads symbols; keeps its tables between planes.
pub(crate) struct Decoder {
    /// By context and the lower bits of a state: the symbol, its frequency less one, and the
    /// place in its range.
    tables: Vec<u32>,
    none: Vec<u8>,
}

impl Decoder {
    pub(crate) fn new() -> Decoder {
        Decoder { tables: vec![0; CONTEXTS * SLOTS], none: Vec::new() }
    }

    /// Fills `symbols`, which have no contexts, from exactly all of `stored`.
    pub(crate) fn decode_alone(&mut self, stored: &[u8], symbols: &mut [u8]) -> Parsed<()> {
        let mut none = std::mem::take(&mut self.none);
        none.resize(symbols.len().max(none.len()), 0);
        let done = self.decode(stored, &none[..symbols.len()], symbols);
        self.none = none;
        done
    }

    /// Fills `symbols` from exactly all of `stored`; there are as many `contexts`.
    pub(crate) fn decode(
        &mut self,
        stored: &[u8],
        contexts: &[u8],
        symbols: &mut [u8],
    ) -> Parsed<()> {
        let (used, mut rest) = stored.split_first_chunk::<2>().ok_or("contexts are cut off")?;
        let used = u16::from_le_bytes(*used);
        for context in (0..CONTEXTS).filter(|c| used >> c & 1 == 1) {
            let mut frequencies = [0u16; 256];
            rest = read_frequencies(rest, &mut frequencies)?;
            let mut slots = self.tables[context * SLOTS..][..SLOTS].iter_mut();
            for (symbol, &frequency) in frequencies.iter().enumerate().filter(|(_, f)| **f > 0) {
                let frequency = u32::from(frequency);
                let entry = symbol as u32 | (frequency - 1) << 8;
                for (place, slot) in (0..frequency).zip(&mut slots) {
                    *slot = entry | place << 20;
                }
            }
        }
        // The tables of the others are those of an earlier plane.
        let named =
            contexts.iter().fold(0u16, |named, c| named | 1 << (usize::from(*c) % CONTEXTS));
        if named & !used != 0 {
            return Err("a context has no frequencies");
        }
        let Some(tables) = self.tables.first_chunk::<{ CONTEXTS * SLOTS }>() else {
            return Err("no table");
        };
        let (states, words) =
            rest.split_first_chunk::<{ 8 * STATES }>().ok_or("states are cut off")?;
        let mut from = states.chunks_exact(8);
        let mut states = [LEAST; STATES];
        for (state, bytes) in states.iter_mut().zip(&mut from) {
            *state = bytes.iter().rev().fold(0, |state, &byte| state << 8 | u64::from(byte));
        }
        let whole = symbols.len() / STATES * STATES;
        let (groups, tail) = symbols.split_at_mut(whole);
        let (mut at, cut) = (0, "symbols are cut off");
        let groups = groups.chunks_exact_mut(STATES).zip(contexts.chunks_exact(STATES));
        for (symbols, contexts) in groups {
            // One check a group: no group takes more than a word a state.
            if let Some(words) = words[at..].first_chunk::<{ 4 * STATES }>() {
                let mut taken = 0;
                for place in 0..STATES {
                    let (state, context) = (&mut states[place], contexts[place]);
                    symbols[place] = take(state, context, tables, words, &mut taken).unwrap_or(0);
                }
                at += taken;
                continue;
            }
            for place in 0..STATES {
                let (state, context) = (&mut states[place], contexts[place]);
                symbols[place] = take(state, context, tables, words, &mut at).ok_or(cut)?;
            }
        }
        for ((symbol, &context), state) in tail.iter_mut().zip(&contexts[whole..]).zip(&mut states)
        {
            *symbol = take(state, context, tables, words, &mut at).ok_or(cut)?;
        }
        // All words read and every state back where the writer began: a strong check that all is well.
        if at + PADDING != words.len() || states != [LEAST; STATES] {
            return Err("symbols do not end where they should");
        }
        Ok(())
    }
}

/// Takes a symbol out of a state; nothing if there are no more words.
#[inline(always)]
fn take(
    state: &mut u64,
    context: u8,
    tables: &[u32; CONTEXTS * SLOTS],
    words: &[u8],
    at: &mut usize,
) -> Option<u8> {
    let x = *state;
    let entry = tables[((context as usize % CONTEXTS) << SCALE) | (x as usize % SLOTS)];
    let frequency = u64::from(entry >> 8 & 0xfff) + 1;
    let x = frequency.wrapping_mul(x >> SCALE).wrapping_add(u64::from(entry >> 20));
    // Always read, and used when the state is low: that is hard to foresee, so no branch.
    let word = u64::from(u32::from_le_bytes(*words.get(*at..)?.first_chunk()?));
    let low = x < LEAST;
    *at += usize::from(low) * 4;
    *state = if low { x << 32 | word } else { x };
    Some(entry as u8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_an_earlier_plane_left_is_not_used() {
        let (symbols, contexts) = ([3u8; 4000], [0u8; 4000]);
        let counts = Counts::of(&symbols, &contexts);
        let mut stored = Vec::new();
        Encoder::new().encode(&symbols, &contexts, &counts, &mut stored);
        // It says that the frequencies are those of another context.
        let mut forged = stored.clone();
        forged[..2].copy_from_slice(&2u16.to_le_bytes());
        let (mut decoder, mut out) = (Decoder::new(), [0; 4000]);
        for earlier in [false, true] {
            if earlier {
                decoder.decode(&stored, &contexts, &mut out).unwrap();
            }
            assert!(decoder.decode(&forged, &contexts, &mut out).is_err(), "{earlier}");
            assert!(decoder.decode_alone(&forged, &mut out).is_err(), "{earlier}");
        }
    }

    fn round_trip(symbols: &[u8], contexts: &[u8]) -> usize {
        let counts = Counts::of(symbols, contexts);
        let mut stored = Vec::new();
        Encoder::new().encode(symbols, contexts, &counts, &mut stored);
        let mut out = vec![0xaa; symbols.len()];
        Decoder::new().decode(&stored, contexts, &mut out).unwrap();
        assert!(out == symbols);
        stored.len()
    }

    #[test]
    fn what_is_nearly_always_the_same_takes_a_fraction_of_a_bit() {
        let symbols: Vec<u8> = (0..100_000).map(|at| u8::from(at % 100 == 7)).collect();
        // The entropy of one in a hundred is 0.0808 bits.
        let size = round_trip(&symbols, &vec![0; symbols.len()]);
        assert!((1010..1120).contains(&size), "{size}");
        let contexts: Vec<u8> = symbols.iter().map(|s| s * 9).collect();
        assert!(round_trip(&symbols, &contexts) < 100);
    }

    #[test]
    fn frequencies_add_up_however_lopsided_the_counts() {
        let mut all = [1u32; 256];
        let mut one = [0u32; 256];
        one[255] = 3;
        let mut lopsided = [1u32; 256];
        lopsided[0] = 1 << 20;
        all[9] = 2;
        for counts in [all, one, lopsided] {
            let scaled = scale(&counts);
            assert_eq!(scaled.iter().map(|&f| usize::from(f)).sum::<usize>(), SLOTS);
            assert!(scaled.iter().zip(&counts).all(|(&f, &c)| (f > 0) == (c > 0)));
            let mut stored = Vec::new();
            write_frequencies(&scaled, &mut stored);
            let mut back = [0; 256];
            assert_eq!(read_frequencies(&stored, &mut back), Ok(&[][..]));
            assert_eq!(back, scaled);
        }
    }

    proptest! {
        #[test]
        fn any_symbols_come_back(
            pairs in prop::collection::vec((any::<u8>(), 0u8..16), 0..2000), mask: u8,
        ) {
            let (symbols, contexts): (Vec<u8>, Vec<u8>) =
                pairs.into_iter().map(|(s, c)| (s & mask, c)).unzip();
            round_trip(&symbols, &contexts);
        }

        #[test]
        fn damage_is_found_or_gives_other_symbols(
            symbols in prop::collection::vec(0u8..9, 100..2000),
            at: prop::sample::Index, byte: u8, cut: Option<prop::sample::Index>,
        ) {
            let contexts: Vec<u8> = (0..symbols.len()).map(|at| (at % 3) as u8).collect();
            let mut stored = Vec::new();
            Encoder::new().encode(&symbols, &contexts, &Counts::of(&symbols, &contexts), &mut stored);
            let at = at.index(stored.len());
            stored[at] = byte;
            if let Some(cut) = cut {
                stored.truncate(cut.index(stored.len()));
            }
            let _ = Decoder::new().decode(&stored, &contexts, &mut vec![0; symbols.len()]);
        }
    }
}
