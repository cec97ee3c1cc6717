//! Random bytes that are the same each time: a key for each process, from one seed.
//!
//! The key of a process is made from that of its parent and its place among the children of that
//! parent, so that it does not hang on which of two processes happens to draw first. Bytes are
//! those of ChaCha20 (RFC 8439, with 64 bits each for counter and stream), because records are to
//! give the same bytes for ever.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// What the streams of a key are for. Children have the numbers from 0.
const DRAWS: u64 = u64::MAX;
const START: u64 = u64::MAX - 1;
/// Devices have the numbers from here down.
const DEVICES: u64 = u64::MAX - 2;

/// From which all random bytes of a process and its descendants are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key([u8; 32]);

impl Key {
    /// That of the first process.
    pub(crate) fn new(seed: u64) -> Key {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        Key(key)
    }

    /// That of a child, by its number among the children of its parent.
    pub(crate) fn child(&self, number: u64) -> Key {
        let mut key = [0; 32];
        self.stream(number).fill_bytes(&mut key);
        Key(key)
    }

    /// What the process draws after so many words of four bytes.
    pub(crate) fn draws(&self, drawn: u64) -> ChaCha20Rng {
        let mut stream = self.stream(DRAWS);
        stream.set_word_pos(drawn.into());
        stream
    }

    /// The bytes that the kernel gives to a program when it starts (`AT_RANDOM`).
    pub(crate) fn at_start(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.stream(START).fill_bytes(&mut bytes);
        bytes
    }

    /// What it reads from a device of random bytes that it opens, by how many it has opened.
    pub(crate) fn device(&self, number: u64) -> ChaCha20Rng {
        self.stream(DEVICES - number)
    }

    fn stream(&self, number: u64) -> ChaCha20Rng {
        let mut stream = ChaCha20Rng::from_seed(self.0);
        stream.set_stream(number);
        stream
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(mut stream: ChaCha20Rng) -> [u8; 8] {
        let mut bytes = [0; 8];
        stream.fill_bytes(&mut bytes);
        bytes
    }

    #[test]
    fn the_bytes_are_those_of_the_cipher() {
        // RFC 8439, A.1, test vector 1: key, nonce and counter are zero.
        let zero = Key([0; 32]).stream(0);
        assert_eq!(first(zero), [0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90]);
    }

    #[test]
    fn no_two_streams_are_one() {
        let key = Key::new(7);
        let streams = [
            key.draws(0),
            key.draws(2),
            key.device(0),
            key.device(1),
            key.child(0).draws(0),
            key.child(1).draws(0),
            key.child(0).child(0).draws(0),
            Key::new(8).draws(0),
        ];
        let mut all: Vec<[u8; 8]> = streams.into_iter().map(first).collect();
        all.push(key.at_start()[..8].try_into().unwrap());
        all.sort_unstable();
        let before = all.len();
        all.dedup();
        assert_eq!(all.len(), before);
        assert_eq!(first(key.draws(0)), first(Key::new(7).draws(0)));
    }
}
