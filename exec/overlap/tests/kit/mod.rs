//! Real data, and splits of it.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::io::{Read, Write};

use lab_overlap::{Examples, Reading, examples};

/// A file of the real data in the repository, unpacked.
pub fn real(name: &str) -> Vec<u8> {
    let path = format!("{}/../../tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut bytes = Vec::new();
    lab_data::gunzipped(std::fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

pub fn read(name: &str, bytes: &[u8]) -> Examples {
    examples(name, bytes, &Reading::default()).unwrap()
}

/// Numbers that look drawn (Steele, Lea, Flood, 2014).
pub struct Draws(pub u64);

impl Draws {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ bits >> 31) % bound as u64) as usize
    }

    /// Indices in a random order, cut in two: training, and test with `test` of them.
    pub fn split(&mut self, count: usize, test: usize) -> (Vec<usize>, Vec<usize>) {
        let mut order: Vec<usize> = (0..count).collect();
        for at in (1..count).rev() {
            order.swap(at, self.below(at + 1));
        }
        let tested = order.split_off(count - test);
        (order, tested)
    }
}

/// A table with the lines of another that have these indices below its header.
pub fn rows(lines: &[&str], picked: &[usize]) -> Vec<u8> {
    let mut all = vec![lines[0]];
    all.extend(picked.iter().map(|row| lines[row + 1]));
    all.join("\n").into_bytes()
}

/// An IDX file of images of 28 x 28.
pub fn idx(images: &[Vec<u8>]) -> Vec<u8> {
    idx_of(images, 28, 28)
}

pub fn idx_of(images: &[Vec<u8>], height: usize, width: usize) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 3];
    for length in [images.len(), height, width] {
        bytes.extend(u32::try_from(length).unwrap().to_be_bytes());
    }
    images.iter().for_each(|image| bytes.extend(image));
    bytes
}

/// MNIST's test images.
pub fn digits() -> Vec<Vec<u8>> {
    real("mnist-t10k-images-idx3-ubyte.gz")[16..].chunks(784).map(<[u8]>::to_vec).collect()
}
