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
