//! Texts as sets of shingles: what stands in a window of five characters, moved along the text.
//!
//! Before that, ASCII capitals become small, and all that is neither an ASCII letter or digit nor
//! beyond ASCII becomes a blank, of which one stands between words: layout and punctuation change
//! more often than words. Broder, "On the resemblance and containment of documents" (1997), calls
//! the share of shingles that two texts have in common, of those that either has, their
//! resemblance; it is also called Jaccard's.

/// Characters of a window.
const WINDOW: usize = 5;

/// Writes the plain form of a text into `plain`.
fn simplify(text: &str, plain: &mut String) {
    plain.clear();
    for character in text.chars() {
        match character {
            word if word.is_ascii_alphanumeric() => plain.push(word.to_ascii_lowercase()),
            far if !far.is_ascii() => plain.push(far),
            _ if plain.is_empty() || plain.ends_with(' ') => {}
            _ => plain.push(' '),
        }
    }
    plain.truncate(plain.trim_end().len());
}

/// The shingles of texts, in buffers that serve for all.
#[derive(Default)]
pub(crate) struct Shingles {
    plain: String,
    set: Vec<u64>,
}

impl Shingles {
    /// Takes a text apart. Its shingles are hashed to 64 bits, ascending, each once.
    pub(crate) fn of(&mut self, text: &str) -> &[u64] {
        simplify(text, &mut self.plain);
        self.set.clear();
        let bytes = self.plain.as_bytes();
        let ends = self.plain.char_indices().map(|(at, _)| at).skip(WINDOW).chain([bytes.len()]);
        let starts = self.plain.char_indices().map(|(at, _)| at);
        self.set.extend(starts.zip(ends).map(|(start, end)| hash(&bytes[start..end])));
        self.set.sort_unstable();
        self.set.dedup();
        &self.set
    }

    /// The shingles of the text that was taken apart last.
    pub(crate) fn set(&self) -> &[u64] {
        &self.set
    }
}

/// The last step of Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014),
/// with Stafford's constants ("variant 13"): each bit of the input changes half of the output's.
pub(crate) fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

/// At most 20 bytes, eight at a time.
fn hash(bytes: &[u8]) -> u64 {
    let mut hash = bytes.len() as u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = mixed(hash ^ u64::from_le_bytes(word));
    }
    hash
}

/// The resemblance of two sets, each ascending; 0 if both are empty.
pub(crate) fn resemblance(a: &[u64], b: &[u64]) -> f64 {
    let (mut i, mut j, mut common) = (0, 0, 0usize);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        common += usize::from(x == y);
        i += usize::from(x <= y);
        j += usize::from(y <= x);
    }
    let all = a.len() + b.len() - common;
    if all == 0 { 0.0 } else { common as f64 / all as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_does_not_count() {
        let [mut a, mut b] = [Shingles::default(), Shingles::default()];
        assert_eq!(a.of("To be, or not  to BE?"), b.of("  to be or\n\tnot to be\u{21}"));
        assert_eq!(a.of("To be, or not to be").len(), 13);
        assert_eq!((a.of("").len(), a.of("a").len(), a.of("äöüß?").len()), (0, 1, 1));
        assert_eq!(
            (a.of("äöüßé").len(), a.of("äöüßéx").len(), a.of("aaaaaaaaaa").len()),
            (1, 2, 1)
        );
    }

    #[test]
    fn resemblance_is_a_share() {
        let cases: [(&[u64], &[u64], f64); 5] = [
            (&[1, 2, 3], &[1, 2, 3], 1.0),
            (&[1, 2, 3], &[4], 0.0),
            (&[1, 2, 3, 4], &[3, 4, 5, 6], 2.0 / 6.0),
            (&[], &[1], 0.0),
            (&[], &[], 0.0),
        ];
        for (a, b, expected) in cases {
            assert_eq!((resemblance(a, b), resemblance(b, a)), (expected, expected));
        }
    }
}
