//! Files that are cut off at every byte, and files with random damage.
//!
//! No reader may panic, nor take much more memory than a file could rightly need. One test, so
//! that the peak of the process's address space is that of the readers.
#![allow(clippy::unwrap_used)]

use std::io::Write;

use lab_data::{CsvForm, DataError, Role, csv, idx, images, jsonl, npy, npz, safetensors};

type Outcome = Result<(), DataError>;

/// A file, what reads it, and the ends at which what is left is a whole file too.
struct Case {
    name: &'static str,
    bytes: Vec<u8>,
    read: fn(&[u8]) -> Outcome,
    benign: fn(&[u8]) -> bool,
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

fn roles(names: &[String]) -> Result<Vec<Role>, DataError> {
    let role = |name: &String| if name.contains('t') { Role::Text } else { Role::Number };
    Ok(names.iter().map(role).collect())
}

fn read_csv(bytes: &[u8]) -> Outcome {
    csv(bytes, CsvForm { header: true, delimiter: b',' }, roles).map(drop)
}

fn read_jsonl(bytes: &[u8]) -> Outcome {
    jsonl(bytes, roles).map(drop)
}

fn read_image(bytes: &[u8]) -> Outcome {
    images([("a/b".to_owned(), bytes.to_vec())].into_iter(), None, 3).map(drop)
}

const CSV: &str = "n,text,m\n1.5,\"a, \"\"b\"\"\",3\n-2e5,c,NA\n7,\"two\nlines\",9\n";
const JSONL: &str =
    "{\"n\": 1.5, \"text\": \"a\\u00e9\", \"m\": null}\n{\"m\": true, \"n\": -2e5}\n";

/// Rows have no number that says how many there are: a table that ends after a whole row, or
/// inside an unquoted last field, is a table. Of gzipped ones no end but the last will do.
fn ends_in_a_row(part: &[u8]) -> bool {
    let (mut quoted, mut commas, mut rows, mut length) = (false, 0, 0, 0);
    for byte in part {
        length += 1;
        match byte {
            b'"' => quoted = !quoted,
            b',' if !quoted => commas += 1,
            b'\n' if !quoted => (commas, rows, length) = (0, rows + 1, 0),
            _ => {}
        }
    }
    let header = rows == 0 && length > 0;
    !quoted && (header || commas == 2 || rows > 0 && length == 0)
}

fn ends_in_an_object(part: &[u8]) -> bool {
    part.ends_with(b"}") || part.ends_with(b"\n") && part.len() > 2
}

fn cases() -> Vec<Case> {
    let never = |_: &[u8]| false;
    let idx_file = [&[0, 0, 0x0d, 2, 0, 0, 0, 3, 0, 0, 0, 2][..], &[0x3f; 24]].concat();
    let whole = |name, bytes, read| Case { name, bytes, read, benign: never };
    let read_idx: fn(&[u8]) -> Outcome = |bytes| idx(bytes).map(drop);
    let mut cases = vec![
        Case { name: "csv", bytes: CSV.into(), read: read_csv, benign: ends_in_a_row },
        Case { name: "jsonl", bytes: JSONL.into(), read: read_jsonl, benign: ends_in_an_object },
        // One byte is not yet gzip data, but the name of a column.
        Case { benign: |part| part.len() == 1, ..whole("csv.gz", gzip(CSV.as_bytes()), read_csv) },
        whole("jsonl.gz", gzip(JSONL.as_bytes()), read_jsonl),
        whole("idx.gz", gzip(&idx_file), read_idx),
        whole("idx", idx_file, read_idx),
        whole("npy.gz", gzip(&fixture("little_f2.npy")), |bytes| npy(bytes).map(drop)),
    ];
    for name in ["little_f2.npy", "big_i8.npy", "fortran.npy", "version3.npy", "halves.npy"] {
        cases.push(whole(name, fixture(name), |bytes| npy(bytes).map(drop)));
    }
    for name in ["stored.npz", "deflated.npz"] {
        cases.push(whole(name, fixture(name), |bytes| npz(bytes).map(drop)));
    }
    for name in ["numpy.safetensors", "bfloat.safetensors"] {
        cases.push(whole(name, fixture(name), |bytes| safetensors(bytes).map(drop)));
    }
    for name in [
        "colour.png",
        "grey.png",
        "palette.png",
        "bits.png",
        "opaque.png",
        "deep.png",
        "colour_444.jpg",
        "colour_420.jpg",
        "progressive.jpg",
        "restarts.jpg",
        "grey.jpg",
    ] {
        cases.push(whole(name, fixture(name), read_image));
    }
    cases
}

/// Whatever the file, cut at whatever byte, is refused, unless what is left is a whole file.
fn cut_at_every_byte(case: &Case) {
    assert!((case.read)(&case.bytes).is_ok(), "{}", case.name);
    for end in 0..case.bytes.len() {
        let part = &case.bytes[..end];
        let read = (case.read)(part);
        assert!(read.is_err() || (case.benign)(part), "{} cut at {end}", case.name);
    }
}

/// SplitMix64.
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ bits >> 31) % bound as u64) as usize
    }
}

fn mutate(bytes: &mut Vec<u8>, draws: &mut Draws) {
    for _ in 0..=draws.below(4) {
        let at = draws.below(bytes.len().max(1)).min(bytes.len().saturating_sub(1));
        // The heads of files are where the lengths are.
        let at = if draws.below(2) == 0 { at.min(draws.below(64)) } else { at };
        if bytes.is_empty() {
            return;
        }
        match draws.below(7) {
            0 => bytes[at] ^= 1 << draws.below(8),
            1 => bytes[at] = draws.below(256) as u8,
            2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][draws.below(5)],
            3 => bytes.truncate(at),
            4 => drop(bytes.remove(at)),
            5 => bytes.insert(at, draws.below(256) as u8),
            _ => {
                let part = bytes[at..(at + draws.below(32)).min(bytes.len())].to_vec();
                let to = draws.below(bytes.len());
                bytes.splice(to..to, part);
            }
        }
    }
}

/// PNG checksums would stop nearly every mutation, so they are made right again.
fn repair_png(bytes: &mut [u8]) {
    let mut at = 8;
    while at + 12 <= bytes.len() {
        let length = u32::from_be_bytes([0, 1, 2, 3].map(|i| bytes[at + i])) as usize;
        if bytes.len() - at < length + 12 {
            return;
        }
        let mut checksum = flate2::Crc::new();
        checksum.update(&bytes[at + 4..at + 8 + length]);
        bytes[at + 8 + length..at + 12 + length].copy_from_slice(&checksum.sum().to_be_bytes());
        at += length + 12;
    }
}

fn damage_at_random(case: &Case, times: u64) -> usize {
    let mut read = 0;
    for seed in 0..times {
        let mut bytes = case.bytes.clone();
        mutate(&mut bytes, &mut Draws(seed));
        if case.name.ends_with(".png") {
            repair_png(&mut bytes);
        }
        read += usize::from((case.read)(&bytes).is_ok());
    }
    read
}

/// The peak of this process's address space, in KiB; none where the system does not say.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmPeak:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// A PNG of one pixel whose data unpack to 256 MiB.
fn png_bomb() -> Vec<u8> {
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    (0..256).for_each(|_| packed.write_all(&vec![0; 1 << 20]).unwrap());
    let png = fixture("grey.png");
    let mut header = png[16..29].to_vec();
    header[..8].copy_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
    let mut bomb = png[..8].to_vec();
    for (kind, data) in [(b"IHDR", header), (b"IDAT", packed.finish().unwrap()), (b"IEND", vec![])]
    {
        bomb.extend((data.len() as u32).to_be_bytes());
        bomb.extend(kind);
        bomb.extend(data);
        bomb.extend([0; 4]);
    }
    repair_png(&mut bomb);
    bomb
}

#[test]
fn no_file_brings_a_reader_down() {
    let cases = cases();
    cases.iter().for_each(cut_at_every_byte);
    let before = peak();
    for case in &cases {
        let read = damage_at_random(case, TIMES);
        assert!(read < TIMES as usize, "{}", case.name);
        bounded(before, case.name);
    }
    let _ = read_image(&png_bomb());
    bounded(before, "a bomb");
    // The measure itself: what is too much is seen.
    let much = std::hint::black_box(vec![1u8; 2 * MOST_KIB as usize * 1024]);
    assert!(before.zip(peak()).is_none_or(|(before, after)| after - before > MOST_KIB));
    drop(much);
}

const TIMES: u64 = 5000;

/// An image of 2^24 pixels is the largest thing that a small file can announce and get memory
/// for: with a 16-bit alpha 128 MiB, and as much again for the decoder's own.
const MOST_KIB: u64 = 256 << 10;

fn bounded(before: Option<u64>, name: &str) {
    if let (Some(before), Some(after)) = (before, peak()) {
        assert!(after - before < MOST_KIB, "{name}: {} KiB", after - before);
    }
}
