//! Where a large file is cut. Weights are cut at the boundaries of their tensors, and tensors of
//! floats every MiB, so that tensors that did not change are found again. All else is cut by its
//! content: an insertion moves only the cuts near it.
//!
//! A rolling gear hash runs over the bytes: `h = (h << 1) + GEAR[byte]`. The first 16 KiB of a
//! chunk hold no cut. Up to 64 KiB a cut needs 18 zero bits at the top of `h`, then only 14, which
//! pulls sizes towards 64 KiB; at 256 KiB it is cut in any case. These numbers and the table are
//! frozen: changing them would lose the sharing with everything stored before. Ids never depend on
//! them.

use std::collections::HashMap;
use std::sync::LazyLock;

use lab_encoding::float::Element;
use lab_encoding::weights::Layout;
use lab_schema::Digest;

/// No chunk is larger, in bytes; those of floats have this size.
pub(crate) const MAX: usize = 1 << 20;

/// A file of at most so many bytes is one frame.
pub(crate) const SMALL: usize = 128 << 10;

/// Within so many bytes from the start of a chunk it is not cut by its content.
const MIN: usize = 16 << 10;
/// Where the condition for a cut by content relaxes, in bytes.
const TARGET: usize = 64 << 10;
/// No chunk that is cut by its content is larger, in bytes.
const MAX_BY_CONTENT: usize = 256 << 10;

const STRICT: u64 = !0 << (64 - 18);
const LOOSE: u64 = !0 << (64 - 14);

/// The first 8 bytes, little-endian, of the derived BLAKE3 of each byte value.
static GEAR: LazyLock<[u64; 256]> = LazyLock::new(|| {
    std::array::from_fn(|byte| {
        let digest = Digest::derive("lab 2026-11-24 gear table 1", &[byte as u8]);
        let mut first = [0; 8];
        first.copy_from_slice(&digest.as_bytes()[..8]);
        u64::from_le_bytes(first)
    })
});

/// Length of the first chunk of `bytes`, which hold at least [`MAX_BY_CONTENT`] bytes or all there
/// is to be cut.
fn cut(bytes: &[u8]) -> usize {
    let gear = &*GEAR;
    let end = bytes.len().min(MAX_BY_CONTENT);
    let relaxed = end.min(TARGET);
    let mut hash = 0u64;
    let mut at = MIN.min(end);
    for (limit, mask) in [(relaxed, STRICT), (end, LOOSE)] {
        // Four at a time: the sums of one step do not wait for each other, only for the last step.
        let (fours, rest) = bytes[at..limit].as_chunks::<4>();
        for &[a, b, c, d] in fours {
            let one = gear[usize::from(a)];
            let two = (one << 1).wrapping_add(gear[usize::from(b)]);
            let three = (two << 1).wrapping_add(gear[usize::from(c)]);
            let four = (three << 1).wrapping_add(gear[usize::from(d)]);
            let sums = [
                (hash << 1).wrapping_add(one),
                (hash << 2).wrapping_add(two),
                (hash << 3).wrapping_add(three),
                (hash << 4).wrapping_add(four),
            ];
            if sums.iter().any(|sum| sum & mask == 0) {
                let first = sums.iter().position(|sum| sum & mask == 0).unwrap_or_default();
                return at + first + 1;
            }
            hash = sums[3];
            at += 4;
        }
        for byte in rest {
            hash = (hash << 1).wrapping_add(gear[usize::from(*byte)]);
            at += 1;
            if hash & mask == 0 {
                return at;
            }
        }
    }
    end
}

/// Bytes that the hash looks back on.
const SEEN: usize = 64;

/// The hash of the last bytes of `bytes`, if there are enough.
fn hash_at_end(bytes: &[u8]) -> Option<u64> {
    let seen = bytes.last_chunk::<SEEN>()?;
    Some(seen.iter().fold(0u64, |h, byte| (h << 1).wrapping_add(GEAR[usize::from(*byte)])))
}

/// Whether the chunk at the start of `bytes` may end after `len` of them: so it looks from the last bytes
/// there. Whether there was a cut before is not looked at.
fn may_end(bytes: &[u8], len: usize) -> bool {
    (MIN + SEEN..MAX_BY_CONTENT).contains(&len)
        && bytes.get(..len).and_then(hash_at_end).is_some_and(|hash| hash & LOOSE == 0)
}

/// Gives the bytes of a chunk of the earlier version, if it can be read.
pub(crate) type Fetch<'a> = Box<dyn Fn(Digest) -> Option<std::sync::Arc<[u8]>> + 'a>;

/// The chunks of an earlier version of a file. Where the new version is like it, its chunks are, and
/// looking at their ends is enough; where it differs, the earlier chunk is what the new one may be
/// like.
///
/// The cuts are then those that the file would have without it, but for those beside an edit: where
/// the end of an earlier chunk comes within reach again, there is a cut, so that the next chunk is
/// an earlier one. By its content alone the file would come back into step some chunks later.
pub(crate) struct Earlier<'a> {
    /// Their lengths in bytes.
    chunks: Vec<(usize, Digest)>,
    /// Where each ends.
    ends: Vec<u64>,
    /// Which have a length.
    lengths: HashMap<usize, Vec<usize>>,
    fetch: Fetch<'a>,
    /// The hash at the end of some, and which they are.
    known: HashMap<u64, usize>,
    /// Which have been looked at for that.
    looked: Vec<bool>,
    /// The first that was not met again.
    next: usize,
    /// How many of the new version were cut since the last that was met.
    lost: usize,
    /// Where the new version has been cut so far.
    at: u64,
    /// By how much what was met last has moved towards the end.
    moved: i64,
    /// Where it may go on if it does not there.
    guess: Option<usize>,
}

impl<'a> Earlier<'a> {
    /// Chunks that may have been skipped since the last one that was met.
    const AHEAD: usize = 8;
    /// The same, where their ends are looked for in the new version: some megabyte.
    const FAR: usize = 16;
    /// After so many new chunks no end is looked for any more: it is another file.
    const LOST: usize = 256;
    /// An end that is at most so many bytes from where it was expected is the same end: small edits
    /// in every chunk add up, but not within one.
    const SLACK: u64 = 4 << 10;

    /// With chunks of these lengths.
    pub(crate) fn new(chunks: Vec<(usize, Digest)>, fetch: Fetch<'a>) -> Earlier<'a> {
        let mut end = 0u64;
        let ends = chunks
            .iter()
            .map(|(len, _)| (end = u64::wrapping_add(end, *len as u64), end).1)
            .collect();
        let mut lengths = HashMap::<usize, Vec<usize>>::new();
        for (at, (len, _)) in chunks.iter().enumerate() {
            lengths.entry(*len).or_default().push(at);
        }
        Earlier {
            ends,
            lengths,
            fetch,
            known: HashMap::new(),
            looked: vec![false; chunks.len()],
            next: 0,
            lost: 0,
            at: 0,
            moved: 0,
            guess: None,
            chunks,
        }
    }

    /// Length of the first chunk of `bytes`, and the earlier ones that it may be, or be like.
    fn cut(&mut self, bytes: &[u8]) -> (usize, [Option<Digest>; 2]) {
        let near = self.next..(self.next + Self::AHEAD).min(self.chunks.len());
        let guess = self.guess.take();
        for at in near.chain(guess) {
            let Some((len, digest)) = self.chunks.get(at).copied() else { continue };
            if may_end(bytes, len) {
                self.meet(at, len);
                return (len, [Some(digest), None]);
            }
        }
        let len = cut(bytes);
        let next = self.chunks.get(self.next);
        let like = next.map(|(_, digest)| *digest);
        let is_next = next.is_some_and(|(earlier, _)| *earlier == len);
        let expected = if is_next { Some(self.next) } else { self.expected(len) };
        if let Some(at) = expected {
            self.meet(at, len);
            return (len, [like, None]);
        }
        if let Some((len, at)) = self.found(bytes, len) {
            let ends = self.chunks[at].1;
            self.meet(at, len);
            return (len, [like, Some(ends).filter(|ends| like != Some(*ends))]);
        }
        self.at += len as u64;
        self.lost += 1;
        self.guess = self.of_length(len).map(|at| at + 1);
        (len, [like, None])
    }

    /// A chunk that was just so long: the next one, or the last one before.
    fn of_length(&self, len: usize) -> Option<usize> {
        let all = self.lengths.get(&len)?;
        let above = all.partition_point(|at| *at < self.next);
        all.get(above).or(all.get(above.wrapping_sub(1))).copied()
    }

    /// The new version, after `len` more bytes, has come to the end of this chunk.
    fn meet(&mut self, at: usize, len: usize) {
        self.at += len as u64;
        self.next = at + 1;
        self.lost = 0;
        // A forged list may claim anything.
        self.moved = (self.at as i64).wrapping_sub(self.ends[at] as i64);
    }

    /// Where in the earlier version this place is, if nothing has moved since the last that was met.
    fn place(&self, at: u64) -> u64 {
        u64::try_from((at as i64).wrapping_sub(self.moved)).unwrap_or(0)
    }

    /// The chunk whose end is expected about `len` bytes from here. Something new may come to an end
    /// there by chance, too.
    fn expected(&self, len: usize) -> Option<usize> {
        if self.lost > 0 {
            return None;
        }
        let end = self.place(self.at + len as u64);
        let above = self.ends.partition_point(|e| *e < end);
        let near = above.saturating_sub(1)..(above + 1).min(self.ends.len());
        let known = self.next..self.next + Self::AHEAD;
        near.filter(|at| known.contains(at) && self.ends[*at].abs_diff(end) <= Self::SLACK)
            .min_by_key(|at| self.ends[*at].abs_diff(end))
    }

    /// The first place in `bytes` that looks like the end of an earlier chunk, and which, if there is
    /// one up to `len`, or so close behind it that no chunk can end there if there is a cut at `len`.
    fn found(&mut self, bytes: &[u8], len: usize) -> Option<(usize, usize)> {
        if self.lost >= Self::LOST {
            return None;
        }
        // After what was met last, and where what was written over ends.
        let there = self.ends.partition_point(|e| *e < self.place(self.at));
        for first in [self.next, there] {
            for at in first..(first + Self::FAR).min(self.chunks.len()) {
                if !std::mem::replace(&mut self.looked[at], true)
                    && let Some(chunk) = (self.fetch)(self.chunks[at].1)
                    && let Some(hash) = hash_at_end(&chunk)
                    // One that was cut for its length alone may end like many places.
                    && hash & LOOSE == 0
                {
                    self.known.insert(hash, at);
                }
            }
        }
        let limit = (len + MIN).min(MAX_BY_CONTENT).min(bytes.len());
        let mut hash = hash_at_end(&bytes[..MIN.min(limit)])?;
        for (at, byte) in bytes.iter().enumerate().take(limit).skip(MIN) {
            hash = (hash << 1).wrapping_add(GEAR[usize::from(*byte)]);
            if hash & LOOSE == 0
                && let Some(earlier) = self.known.get(&hash)
            {
                return Some((at + 1, *earlier));
            }
        }
        None
    }
}

impl std::fmt::Debug for Earlier<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Earlier({} of {} chunks met)", self.next, self.chunks.len())
    }
}

/// A piece of a file: how long it is, what it holds, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cut {
    pub(crate) bytes: usize,
    pub(crate) element: Element,
    /// The tensor that it belongs to, by its number in the layout, and where in the tensor it
    /// starts.
    pub(crate) tensor: Option<(usize, u64)>,
    /// Chunks of an earlier version that it may be like: one of them at its start, both at its end.
    pub(crate) like: [Option<Digest>; 2],
}

/// Finds the cuts of a file from its start to its end.
#[derive(Debug, Default)]
pub(crate) struct Cutter<'a> {
    layout: Option<&'a Layout>,
    earlier: Option<Earlier<'a>>,
    /// The region that comes next or that is being cut.
    region: usize,
    at: u64,
}

/// What is to be cut next: up to where, and what it holds.
struct Stretch {
    end: u64,
    element: Element,
    /// The tensor and where it starts.
    tensor: Option<(usize, u64)>,
}

impl<'a> Cutter<'a> {
    /// For a file with this layout, if it has one, or of which this was an earlier version.
    pub(crate) fn new(layout: Option<&'a Layout>, earlier: Option<Earlier<'a>>) -> Cutter<'a> {
        Cutter { layout, earlier, region: 0, at: 0 }
    }

    /// The stretch that begins here.
    fn stretch(&mut self) -> Stretch {
        let regions = self.layout.map_or(&[][..], |layout| &layout.regions);
        while regions.get(self.region).is_some_and(|r| r.end <= self.at) {
            self.region += 1;
        }
        match regions.get(self.region) {
            None => Stretch { end: u64::MAX, element: Element::Other, tensor: None },
            Some(r) if self.at < r.start => {
                Stretch { end: r.start, element: Element::Other, tensor: None }
            }
            Some(r) => {
                Stretch { end: r.end, element: r.element, tensor: Some((self.region, r.start)) }
            }
        }
    }

    /// How many bytes from here it is best to look at together, at most `room`: so many that no piece
    /// is cut in two.
    pub(crate) fn reach(&mut self, room: usize) -> usize {
        let here = self.stretch();
        if here.element == Element::Other {
            return room;
        }
        let left = usize::try_from(here.end - self.at).unwrap_or(usize::MAX);
        if left <= room { left } else { room - room % MAX }
    }

    /// The piece that begins here, of the `rest` that has been read; none if more has to be read.
    /// `ended` says that nothing follows.
    pub(crate) fn next(&mut self, rest: &[u8], ended: bool) -> Option<Cut> {
        if rest.is_empty() {
            return None;
        }
        let Stretch { end, element, tensor } = self.stretch();
        let left = usize::try_from(end - self.at).unwrap_or(usize::MAX);
        let most = if element == Element::Other { MAX_BY_CONTENT } else { MAX };
        let known = rest.len().min(left);
        if known < most.min(left) && !ended {
            return None;
        }
        let window = &rest[..known];
        let (bytes, like) = match &mut self.earlier {
            _ if element != Element::Other => (known.min(MAX), [None; 2]),
            Some(earlier) => earlier.cut(window),
            None => (cut(window), [None; 2]),
        };
        let tensor = tensor.map(|(number, start)| (number, self.at - start));
        self.at += bytes as u64;
        Some(Cut { bytes, element, tensor, like })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;

    use lab_encoding::weights::Region;
    use lab_schema::BlobId;
    use proptest::prelude::*;

    use super::*;

    /// Bytes without structure, from a seed.
    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut state = seed.wrapping_mul(2).wrapping_add(1);
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 56) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    fn pieces<'a>(
        bytes: &[u8],
        layout: Option<&'a Layout>,
        earlier: Option<Earlier<'a>>,
    ) -> Vec<Cut> {
        let mut cutter = Cutter::new(layout, earlier);
        let (mut cuts, mut at, mut read) = (Vec::new(), 0, 0);
        while at < bytes.len() {
            // A bit more is known each time, as when a file is read.
            match cutter.next(&bytes[at..read], read == bytes.len()) {
                Some(cut) => {
                    at += cut.bytes;
                    cuts.push(cut);
                }
                None => read = (read + 300_000).min(bytes.len()),
            }
        }
        cuts
    }

    fn chunks(bytes: &[u8]) -> Vec<&[u8]> {
        let mut at = 0;
        let cuts = pieces(bytes, None, None);
        cuts.iter().map(|cut| (&bytes[at..at + cut.bytes], at += cut.bytes).0).collect()
    }

    // proves L-10: the table and the cuts that follow from it, for ever.
    #[test]
    fn the_parameters_are_frozen() {
        let table: Vec<u8> = GEAR.iter().flat_map(|g| g.to_le_bytes()).collect();
        let noise = noise(1, 600 << 10);
        let cuts: Vec<usize> = chunks(&noise).iter().map(|c| c.len()).collect();
        assert_eq!(BlobId::of(&table).short(), "cb12ef7be565");
        let frozen = [36020, 86122, 77527, 34212, 122668, 66030, 78712, 78278, 34831];
        assert_eq!(cuts, frozen);
    }

    #[test]
    fn the_target_is_met_on_average() {
        let noise = noise(2, 64 << 20);
        let mean = (64 << 20) / chunks(&noise).len();
        assert!((64 << 10..90 << 10).contains(&mean), "{mean}");
    }

    #[test]
    fn weights_are_cut_at_tensors_and_floats_every_mebibyte() {
        let region = |start, end, element| Region { name: "t".into(), start, end, element };
        let layout = Layout {
            regions: vec![
                region(100, 200, Element::F32),
                region(200, 200 + (5 << 19), Element::BF16),
                region(3 << 20, (3 << 20) + 50, Element::Other),
            ],
        };
        let bytes = vec![0; (3 << 20) + 60];
        let cuts = pieces(&bytes, Some(&layout), None);
        let cut = |bytes, element, tensor| Cut { bytes, element, tensor, like: [None; 2] };
        let mut expected = vec![
            cut(100, Element::Other, None),
            cut(100, Element::F32, Some((0, 0))),
            cut(1 << 20, Element::BF16, Some((1, 0))),
            cut(1 << 20, Element::BF16, Some((1, 1 << 20))),
            cut(1 << 19, Element::BF16, Some((1, 2 << 20))),
        ];
        let gap = (3 << 20) - 200 - (5 << 19);
        expected.push(cut(256 << 10, Element::Other, None));
        expected.push(cut(gap - (256 << 10), Element::Other, None));
        expected.push(cut(50, Element::Other, Some((2, 0))));
        expected.push(cut(10, Element::Other, None));
        assert_eq!(cuts, expected);
    }

    /// What an earlier version with these bytes lets a later one expect.
    fn known(bytes: &[u8]) -> Earlier<'_> {
        let all = chunks(bytes).into_iter().map(|c| (BlobId::of(c).digest(), c));
        let all: HashMap<Digest, &[u8]> = all.collect();
        let list = chunks(bytes).iter().map(|c| (c.len(), BlobId::of(c).digest())).collect();
        Earlier::new(list, Box::new(move |digest| all.get(&digest).map(|c| Arc::from(*c))))
    }

    #[test]
    fn around_an_edit_the_earlier_chunks_are_met_again() {
        let before = noise(3, 16 << 20);
        let stored: HashSet<Digest> = known(&before).chunks.iter().map(|c| c.1).collect();
        // What is done, where, bytes taken out and put in.
        let mut edits = vec![
            ("nothing", 0, 0, 0),
            ("a byte at the start", 0, 0, 1),
            ("much taken out", 5 << 20, 4 << 20, 0),
            ("much is new", 5 << 20, 4 << 20, 4 << 20),
            ("the end", (16 << 20) - 5, 5, 7),
        ];
        for at in (1 << 20..15 << 20).step_by(777_777) {
            edits.push(("a byte in the middle", at, 1, 1));
            edits.push(("much put in", at, 0, 2 << 20));
            edits.push(("a bit taken out", at, 700_000, 0));
            edits.push(("a bit of it is new", at, 600_000, 500_000));
        }
        for (what, at, taken, put) in edits {
            let mut after = before.clone();
            after.splice(at..at + taken, noise(9, put));
            let cuts = pieces(&after, None, Some(known(&before)));
            let (mut start, mut fresh, mut expected) = (0, 0, 0);
            for cut in &cuts {
                let digest = BlobId::of(&after[start..start + cut.bytes]).digest();
                if stored.contains(&digest) {
                    expected += usize::from(cut.like == [Some(digest), None]);
                } else {
                    fresh += cut.bytes;
                    // All that is new is beside the edit.
                    let reach = at.saturating_sub(MAX_BY_CONTENT)..at + put + MAX_BY_CONTENT;
                    let far = what == "much taken out";
                    assert!(far || start >= reach.start, "{what} at {at}: {start}");
                    assert!(far || start + cut.bytes <= reach.end, "{what} at {at}: {start}");
                }
                start += cut.bytes;
            }
            assert!(fresh <= put + (600 << 10), "{what} at {at}: {fresh}");
            // Nearly all are those that were expected, so that nothing was looked at but their ends.
            assert!(expected + 8 >= cuts.len() - put / TARGET, "{what} at {at}: {expected}");
            // Once more, and nothing is new.
            let lengths: Vec<usize> = cuts.iter().map(|c| c.bytes).collect();
            let mut at = 0;
            let mut digests = |len: usize| (BlobId::of(&after[at..at + len]).digest(), at += len).0;
            let list = lengths.iter().map(|len| (*len, digests(*len))).collect();
            let again = pieces(&after, None, Some(Earlier::new(list, Box::new(|_| None))));
            assert!(again.iter().map(|c| c.bytes).eq(lengths), "{what} at {at}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn whatever_was_earlier_chunks_are_the_file_and_within_bounds(
            seed: u64, len in 0usize..3 << 20,
            lengths in prop::collection::vec(0usize..400 << 10, 0..60), run in 0usize..1 << 20,
        ) {
            let mut bytes = noise(seed, len);
            let from = len / 3;
            bytes[from..(from + run).min(len)].fill(7);
            let digest = BlobId::of(b"earlier").digest();
            let mut earlier: Vec<_> = lengths.into_iter().map(|len| (len, digest)).collect();
            let Earlier { chunks, fetch, .. } = known(&bytes[len / 2..]);
            earlier.extend(chunks);
            let cuts = pieces(&bytes, None, Some(Earlier::new(earlier, fetch)));
            prop_assert_eq!(cuts.iter().map(|c| c.bytes).sum::<usize>(), len);
            let inner = cuts.split_last().map_or(&[][..], |(_, inner)| inner);
            prop_assert!(inner.iter().all(|c| (MIN..=MAX_BY_CONTENT).contains(&c.bytes)));
        }

        // proves L-11
        #[test]
        fn chunks_are_the_file_and_within_bounds(seed: u64, len in 0usize..6 << 20, run in 0usize..3 << 20) {
            let mut bytes = noise(seed, len);
            let from = len / 3;
            let to = (from + run).min(len);
            bytes[from..to].fill(7);
            let all = chunks(&bytes);
            prop_assert_eq!(all.concat(), &bytes[..]);
            let inner = all.split_last().map_or(&[][..], |(_, inner)| inner);
            prop_assert!(inner.iter().all(|c| (MIN..=MAX_BY_CONTENT).contains(&c.len())));
            prop_assert!(all.iter().all(|c| (1..=MAX_BY_CONTENT).contains(&c.len())));
        }

        #[test]
        fn an_insertion_moves_only_the_cuts_near_it(seed: u64, at in 0usize..8 << 20, len in 1usize..1000) {
            let before = noise(seed, 8 << 20);
            let mut after = before.clone();
            after.splice(at..at, noise(!seed, len));
            let old: HashSet<&[u8]> = chunks(&before).into_iter().collect();
            let fresh: usize = chunks(&after).iter().filter(|c| !old.contains(*c)).map(|c| c.len()).sum();
            prop_assert!(fresh <= 1 << 20, "{} of {} bytes are new", fresh, after.len());
        }
    }
}
