//! Elements as little-endian integers of fixed width, so that loops over them are vectorised.
//!
//! Words are split into planes, byte by byte from the top, after a rotation that makes a float's exponent
//! one byte of its own and puts the sign with the noise. Plain loops over fixed widths: the
//! compiler turns them into packs and unpacks.

/// An unsigned integer as wide as an element.
pub(crate) trait Word: Copy + 'static {
    /// Bytes of it.
    const WIDTH: usize;
    /// Bits to rotate to the left, so that the first plane is the exponent.
    const TURN: u32;
    /// From exactly [`Word::WIDTH`] bytes.
    fn read(bytes: &[u8]) -> Self;
    /// Into exactly [`Word::WIDTH`] bytes.
    fn write(self, bytes: &mut [u8]);
    /// Sets `planes` (one after the other, the highest byte first) to the turned words of `raw`.
    fn split(raw: &[u8], planes: &mut [u8]);
    /// The inverse of [`Word::split`], from one slice a plane.
    fn merge(planes: &[&[u8]], raw: &mut [u8]);
}

/// Words that are split at a time: they stay in the first cache while each plane is taken out.
const BLOCK: usize = 2048;

macro_rules! word {
    ($type:ty, $turn:expr, [$($plane:tt)+]) => {
        impl Word for $type {
            const WIDTH: usize = size_of::<$type>();
            const TURN: u32 = $turn;

            #[inline(always)]
            fn read(bytes: &[u8]) -> Self {
                let mut array = [0; size_of::<$type>()];
                array.copy_from_slice(bytes);
                <$type>::from_le_bytes(array)
            }

            #[inline(always)]
            fn write(self, bytes: &mut [u8]) {
                bytes.copy_from_slice(&self.to_le_bytes());
            }

            fn split(raw: &[u8], planes: &mut [u8]) {
                let count = raw.len() / Self::WIDTH;
                for (at, block) in raw.chunks(BLOCK * Self::WIDTH).enumerate() {
                    for (index, plane) in planes.chunks_exact_mut(count.max(1)).enumerate() {
                        let shift = 8 * (Self::WIDTH - 1 - index);
                        let words = block.chunks_exact(Self::WIDTH);
                        for (word, byte) in words.zip(&mut plane[at * BLOCK..]) {
                            *byte = (Self::read(word).rotate_left(Self::TURN) >> shift) as u8;
                        }
                    }
                }
            }

            fn merge(planes: &[&[u8]], raw: &mut [u8]) {
                let count = raw.len() / Self::WIDTH;
                let &[$($plane),+] = planes else { return };
                $(let $plane = &$plane[..count];)+
                for (at, word) in raw.chunks_exact_mut(Self::WIDTH).enumerate() {
                    <$type>::from_be_bytes([$($plane[at]),+]).rotate_right(Self::TURN).write(word);
                }
            }
        }
    };
}

word!(u8, 0, [a]);
word!(u16, 1, [a b]);
word!(u32, 1, [a b c d]);
// The eleven bits of a double's exponent do not fit a byte: its lower eight do, the nearly constant
// upper three go with the sign.
word!(u64, 4, [a b c d e f g h]);

/// Bytes for the tests of the modules above.
#[cfg(test)]
pub(crate) mod samples {
    use crate::float::Element;

    pub(crate) const ELEMENTS: [Element; 5] =
        [Element::F16, Element::BF16, Element::F32, Element::F64, Element::Other];

    /// Bytes of many kinds: noise, constants, few values, floats of every width, runs.
    pub(crate) fn content(kind: u8, length: usize, seed: u64) -> Vec<u8> {
        let mut state = seed;
        let mut next = move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed ^ (mixed >> 27)
        };
        let mut normal = {
            let mut next = next;
            move || (0..12).map(|_| (next() % 4096) as f64 / 4096.0).sum::<f64>() * 0.02 - 0.12
        };
        let mut out = Vec::new();
        while out.len() < length {
            match kind {
                0 => out.extend_from_slice(&next().to_le_bytes()),
                1 => out.push(seed as u8),
                2 => out.push((next() % 3) as u8),
                3 => out.extend_from_slice(&(normal() as f32).to_le_bytes()),
                4 => out.extend_from_slice(&(normal() as f32).to_le_bytes()[2..]),
                5 => out.extend_from_slice(&normal().to_le_bytes()),
                6 => out.extend_from_slice(&(f32::NAN.to_bits() | next() as u32).to_le_bytes()),
                7 => out.push(if next() % 50 == 0 { next() as u8 } else { 0 }),
                _ => out.extend(std::iter::repeat_n(next() as u8, next() as usize % 300)),
            }
        }
        out.truncate(length);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn<W: Word>(raw: &[u8]) {
        let mut planes = vec![0; raw.len()];
        W::split(raw, &mut planes);
        let count = raw.len() / W::WIDTH;
        let slices: Vec<&[u8]> = planes.chunks_exact(count).collect();
        let mut back = vec![0; raw.len()];
        W::merge(&slices, &mut back);
        assert!(back == raw);
    }

    #[test]
    fn planes_merge_into_what_was_split() {
        for words in [1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK] {
            turn::<u8>(&samples::content(0, words, 1));
            turn::<u16>(&samples::content(0, words * 2, 2));
            turn::<u32>(&samples::content(0, words * 4, 3));
            turn::<u64>(&samples::content(0, words * 8, 4));
        }
    }

    #[test]
    fn the_first_plane_is_the_exponent() {
        let mut planes = [0; 4];
        u32::split(&(-1.5f32).to_le_bytes(), &mut planes);
        assert_eq!(planes, [127, 0x80, 0, 1]);
    }
}
