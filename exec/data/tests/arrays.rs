//! IDX, npy, npz and safetensors: what numpy wrote, MNIST, and what must be refused.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::io::Write;

use lab_data::{Array, Values, idx, npy, npz, safetensors};
use serde_json::Value;

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

/// A float as Python's `float.hex` writes it.
fn unhex(text: &str) -> f64 {
    if text == "nan" {
        return f64::NAN;
    }
    let (sign, text) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
    let (digits, exponent) = text.strip_prefix("0x").unwrap().split_once('p').unwrap();
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let digits = u64::from_str_radix(&format!("{whole}{fraction}"), 16).unwrap();
    let mut exponent = exponent.parse::<i32>().unwrap() - 4 * fraction.len() as i32;
    let mut value = digits as f64;
    while exponent != 0 {
        let step = exponent.signum();
        value *= if step > 0 { 2.0 } else { 0.5 };
        exponent -= step;
    }
    sign * value
}

fn floats(expected: &Value) -> Vec<f64> {
    expected.as_array().unwrap().iter().map(|x| unhex(x.as_str().unwrap())).collect()
}

fn same(array: &Array, expected: &Value, name: &str) {
    let shape: Vec<usize> = serde_json::from_value(expected["shape"].clone()).unwrap();
    assert_eq!(array.shape, shape, "{name}");
    let expected = &expected["values"];
    let integers = || serde_json::from_value::<Vec<i64>>(expected.clone()).unwrap();
    // Bits, so that -0 is not 0; one NaN for all.
    match &array.values {
        Values::U8(found) => {
            assert_eq!(
                found.iter().map(|x| i64::from(*x)).collect::<Vec<_>>(),
                integers(),
                "{name}"
            );
        }
        Values::I32(found) => {
            assert_eq!(
                found.iter().map(|x| i64::from(*x)).collect::<Vec<_>>(),
                integers(),
                "{name}"
            );
        }
        Values::I64(found) => assert_eq!(*found, integers(), "{name}"),
        Values::F32(found) => {
            let expected: Vec<u32> =
                floats(expected).iter().map(|x| (*x as f32).to_bits()).collect();
            assert_eq!(found.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), expected, "{name}");
        }
        Values::F64(found) => {
            let expected: Vec<u64> = floats(expected).iter().map(|x| x.to_bits()).collect();
            assert_eq!(found.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), expected, "{name}");
        }
    }
}

#[test]
fn arrays_are_what_numpy_reads() {
    let expected: BTreeMap<String, Value> =
        serde_json::from_slice(&fixture("expected.json")).unwrap();
    assert!(expected.len() > 40);
    for (name, expected) in &expected {
        let (file, key) = name.split_once('/').unwrap_or((name, ""));
        for bytes in [fixture(file), gzip(&fixture(file))] {
            let array = match file.rsplit_once('.').unwrap().1 {
                "npy" => npy(&bytes).unwrap(),
                "npz" => npz(&bytes).unwrap().remove(key).unwrap(),
                _ => safetensors(&bytes).unwrap().remove(key).unwrap(),
            };
            same(&array, expected, name);
        }
    }
}

#[test]
fn types_widen_without_loss() {
    let kind = |name: &str| match npy(&fixture(name)).unwrap().values {
        Values::U8(_) => "u8",
        Values::I32(_) => "i32",
        Values::I64(_) => "i64",
        Values::F32(_) => "f32",
        Values::F64(_) => "f64",
    };
    let kinds = [("b1", "u8"), ("u1", "u8"), ("i1", "i32"), ("u2", "i32"), ("i2", "i32")];
    let kinds = kinds.into_iter().chain([("i4", "i32"), ("u4", "i64"), ("i8", "i64")]);
    for (from, to) in kinds.chain([("u8", "i64"), ("f2", "f32"), ("f4", "f32"), ("f8", "f64")]) {
        assert_eq!(kind(&format!("little_{from}.npy")), to);
    }
    assert_eq!(npy(&fixture("missing.npy")).unwrap().values.first_missing(), Some(1));
    assert_eq!(npy(&fixture("scalar.npy")).unwrap().values.first_missing(), None);
}

#[test]
fn members_of_archives_are_all_there() {
    for file in ["stored.npz", "deflated.npz"] {
        let names: Vec<String> = npz(&fixture(file)).unwrap().into_keys().collect();
        assert_eq!(names, ["images", "labels", "weights"]);
    }
    assert_eq!(safetensors(&fixture("numpy.safetensors")).unwrap().len(), 9);
}

#[test]
fn mnist_is_read() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data");
    let real = |name: &str| std::fs::read(format!("{folder}/mnist-t10k-{name}-ubyte.gz")).unwrap();
    let (images, labels) = (real("images-idx3"), real("labels-idx1"));
    let images = idx(images.as_slice()).unwrap();
    let labels = idx(labels.as_slice()).unwrap();
    assert_eq!((images.shape, labels.shape), (vec![10_000, 28, 28], vec![10_000]));
    let (Values::U8(images), Values::U8(labels)) = (images.values, labels.values) else { panic!() };
    assert_eq!(labels[..10], [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]);
    assert_eq!(images.iter().map(|x| u64::from(*x)).sum::<u64>(), MNIST_SUM);
    assert_eq!(labels.iter().map(|x| u64::from(*x)).sum::<u64>(), 44_434);
}

const MNIST_SUM: u64 = 264_923_200;

/// An IDX file of one dimension.
fn idx_file(kind: u8, length: u32, data: &[u8]) -> Vec<u8> {
    [&[0, 0, kind, 1][..], &length.to_be_bytes(), data].concat()
}

#[test]
fn idx_has_six_types() {
    let values = |kind, length, data: &[u8]| {
        let file = idx_file(kind, length, data);
        let array = idx(file.as_slice()).unwrap();
        assert_eq!(array, idx(gzip(&file).as_slice()).unwrap());
        assert_eq!(array.shape, [length as usize]);
        array.values
    };
    assert_eq!(values(8, 2, &[7, 255]), Values::U8(vec![7, 255]));
    assert_eq!(values(9, 2, &[7, 255]), Values::I32(vec![7, -1]));
    assert_eq!(values(0xb, 1, &[0xff, 0xfe]), Values::I32(vec![-2]));
    assert_eq!(values(0xc, 1, &[0, 1, 0, 2]), Values::I32(vec![65_538]));
    assert_eq!(values(0xd, 1, &1.5f32.to_be_bytes()), Values::F32(vec![1.5]));
    assert_eq!(values(0xe, 1, &(-0.1f64).to_be_bytes()), Values::F64(vec![-0.1]));
    assert_eq!(
        idx(&[0, 0, 8, 0, 9][..]).unwrap(),
        Array { shape: vec![], values: Values::U8(vec![9]) }
    );
}

#[test]
fn idx_errors_say_what_is_missing() {
    let error = |bytes: &[u8]| idx(bytes).unwrap_err().to_string();
    assert_eq!(
        error(&idx_file(8, 5, &[1, 2])),
        "the IDX file is cut off: the data of shape [5] needs 5 bytes, there are 2"
    );
    assert_eq!(
        error(&[0, 0, 8, 2, 0, 0, 0, 1, 0]),
        "the IDX file is cut off: the length of dimension 1 needs 4 bytes, there are 1"
    );
    assert_eq!(error(&idx_file(8, 1, &[1, 2])), "the IDX file has bytes after its end (at byte 9)");
    assert!(error(&idx_file(0xa, 0, &[])).contains("values of the type 0x0a"));
    assert!(error(b"PK\x03\x04").contains("two zero bytes"));
    let huge = [&[0, 0, 0xe, 3][..], &[255; 12]].concat();
    assert!(error(&huge).contains("has more than 268435456 values"));
    // It announces 2^28 bytes and brings none: no memory is taken for them.
    assert!(error(&idx_file(8, 1 << 28, &[])).contains("there are 0"));
}

/// An npy file of version 1.
fn npy_file(header: &str, data: &[u8]) -> Vec<u8> {
    let length = (header.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
}

#[test]
fn npy_errors_say_what_is_wrong() {
    let error = |header: &str, data: &[u8]| npy(&npy_file(header, data)).unwrap_err().to_string();
    let plain = |descr: &str, shape: &str| {
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}")
    };
    assert_eq!(
        error(&plain("<f4", "(2,)"), &[0; 7]),
        "the npy file is cut off: the data of shape [2] needs 8 bytes, there are 7"
    );
    assert_eq!(
        error(&plain("|O", "(2,)"), &[]),
        "the npy file has values of the type '|O': b1, u1 to u8, i1 to i8, f2, f4 or f8, with a \
         byte order is needed"
    );
    assert!(error(&plain("|u1", "(1,)"), &[1, 2]).contains("after its end"));
    assert!(error(&plain("<f4", "(1, 4294967296, 4294967296)"), &[]).contains("has more than"));
    assert!(error(&plain("<f4", "(0, 18446744073709551615, 2)"), &[]).contains("has more than"));
    assert!(error(&plain("|b1", "(1,)"), &[2]).contains("boolean"));
    assert!(error(&plain("<f8", "(1,)"), &f64::INFINITY.to_le_bytes()).contains("inf"));
    assert!(error("{'descr': '<f4'}", &[]).contains("its header has no key 'fortran_order'"));
    let mut future = npy_file(&plain("|u1", "()"), &[1]);
    future[6] = 4;
    assert!(npy(&future).unwrap_err().to_string().contains("version 4.0"));
    let long = [&b"\x93NUMPY\x02\x00"[..], &[255; 4]].concat();
    assert!(npy(&long).unwrap_err().to_string().contains("the limit is 65536"));
}

/// Sets bytes in a copy of the stored archive, `offset` from the last directory entry's start.
fn tampered(file: &str, signature: &[u8], offset: usize, bytes: &[u8]) -> String {
    let mut archive = fixture(file);
    let at = archive.windows(4).rposition(|window| window == signature).unwrap() + offset;
    archive[at..at + bytes.len()].copy_from_slice(bytes);
    npz(&archive).unwrap_err().to_string()
}

#[test]
fn archives_that_lie_are_refused() {
    let entry = |offset, bytes: &[u8]| tampered("deflated.npz", b"PK\x01\x02", offset, bytes);
    assert!(entry(8, &[1]).contains("encrypted"));
    assert!(entry(10, &[12]).contains("another compression"));
    assert!(entry(16, &[0; 4]).contains("checksum"));
    assert!(entry(24, &[1, 0, 0, 0]).contains("bytes"));
    assert!(entry(24, &[255, 255, 255, 127]).contains("bytes of all arrays"));
    assert!(entry(46, b"x").contains("another name"));
    assert!(entry(42, &[0; 4]).contains("overlaps"));
    let end = |offset, bytes: &[u8]| tampered("stored.npz", b"PK\x05\x06", offset, bytes);
    assert!(end(16, &[0; 4]).contains("does not stand before"));
    assert!(end(8, &[9, 0, 9, 0]).contains("an entry of the directory needs"));
    assert!(end(8, &[2, 0, 2, 0]).contains("longer"));
    assert!(end(8, &[255; 4]).contains("zip64"));
    let plain = fixture("stored.npz");
    assert!(npz(&[&b"x"[..], &plain].concat()).unwrap_err().to_string().contains("stand before"));
    assert!(npz(&[&plain[..], b"x"].concat()).is_err());
    let error = npz(b"x").unwrap_err().to_string();
    assert_eq!(error, "the npz file: it is no zip archive, or is cut off: it has no end record");
}

/// An archive of members whose packed bytes are given as they are.
fn zip(members: &[(&str, u16, &[u8], &[u8])]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, method, packed, plain) in members {
        let mut checksum = flate2::Crc::new();
        checksum.update(plain);
        let mut common =
            [20u16.to_le_bytes(), [0, 0], method.to_le_bytes(), [0, 0], [0, 0]].concat();
        for number in [checksum.sum(), packed.len() as u32, plain.len() as u32] {
            common.extend(number.to_le_bytes());
        }
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        directory.extend([b"PK\x01\x02\x14\x00", &common[..], &[0; 10]].concat());
        directory.extend((archive.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        archive.extend([b"PK\x03\x04", &common[..], name.as_bytes(), packed].concat());
    }
    let [count, length, start] = [members.len(), directory.len(), archive.len()];
    archive.extend(directory);
    let counts = [(count as u16).to_le_bytes(), (count as u16).to_le_bytes()].concat();
    let places = [(length as u32).to_le_bytes(), (start as u32).to_le_bytes()].concat();
    archive.extend([b"PK\x05\x06\0\0\0\0", &counts[..], &places, &[0; 2]].concat());
    archive
}

#[test]
fn members_are_what_they_announce() {
    let plain = fixture("scalar.npy");
    let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    deflate.write_all(&plain).unwrap();
    let packed = deflate.finish().unwrap();
    let found =
        npz(&zip(&[("b.npy", 8, &packed, &plain), ("a/x.npy", 0, &plain, &plain)])).unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), ["a/x", "b"]);
    assert_eq!(found["b"], npy(&plain).unwrap());
    assert_eq!(npz(&zip(&[])).unwrap().len(), 0);

    let error = |members: &[_]| npz(&zip(members)).unwrap_err().to_string();
    let more = [&packed[..], b"x"].concat();
    assert!(error(&[("a.npy", 8, &more, &plain)]).contains("'a.npy' has bytes after its end"));
    let cut = &packed[..packed.len() - 1];
    assert!(error(&[("a.npy", 8, cut, &plain)]).contains("member 'a.npy'"));
    let longer = [&plain[..], b"x"].concat();
    assert!(error(&[("a.npy", 8, &packed, &longer)]).contains("bytes that it announces"));
    assert!(error(&[("a.npy", 8, &packed, &plain[1..])]).contains("bytes"));
    assert!(error(&[("a.npy", 0, &longer, &longer)]).contains("has bytes after its end"));
    assert!(error(&[("a.txt", 0, &plain, &plain)]).contains("a name that ends in .npy"));
    assert!(error(&[("a.npy", 0, &plain[..], &plain[..]); 2]).contains("the member 'a.npy' twice"));
}

fn tensors(header: &str, data: &[u8]) -> Result<BTreeMap<String, Array>, String> {
    let length = (header.len() as u64).to_le_bytes();
    safetensors(&[&length, header.as_bytes(), data].concat()).map_err(|error| error.to_string())
}

#[test]
fn safetensors_cover_their_data() {
    let one =
        |offsets: &str| format!(r#"{{"a":{{"dtype":"U8","shape":[2],"data_offsets":{offsets}}}}}"#);
    assert_eq!(tensors(&one("[0,2]"), &[1, 2]).unwrap()["a"].values, Values::U8(vec![1, 2]));
    assert_eq!(tensors("{}", &[]).unwrap().len(), 0);
    let error = |header: &str, data: &[u8]| tensors(header, data).unwrap_err();
    assert_eq!(
        error(&one("[0,2]"), &[1]),
        "the safetensors file is cut off: tensor 'a' needs 2 bytes, there are 1"
    );
    assert!(error(&one("[0,2]"), &[1, 2, 3]).contains("after its end"));
    assert!(error(&one("[1,3]"), &[1, 2, 3]).contains("the bytes 1 to 3, not 0 to 2"));
    assert!(error(&one("[0,3]"), &[1, 2, 3]).contains("the bytes 0 to 3, not 0 to 2"));
    assert!(error(&one("[2,0]"), &[1, 2, 3]).contains("the bytes 2 to 0"));
    let two = r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},
                  "b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#;
    assert!(error(two, &[1, 2]).contains("'b'"));
    assert!(error(&two.replace("\"b\"", "\"a\""), &[1, 2]).contains("twice"));
    assert!(error(&one("[0,2]").replace("U8", "F8_E4M3"), &[1, 2]).contains("type F8_E4M3"));
    assert!(error(&one("[0,2]").replace("2]", "-2]"), &[1, 2]).contains("tensor 'a'"));
    assert!(error(&one("[0,2]").replace("dtype", "type"), &[1, 2]).contains("unknown field"));
    let overflow = one("[0,2]").replace("\"shape\":[2]", "\"shape\":[4294967296,4294967296]");
    assert!(error(&overflow, &[1, 2]).contains("has more than"));
    assert!(error("{} {}", &[]).contains("not valid"));
    assert!(safetensors(&[255; 20]).unwrap_err().to_string().contains("the limit is 16777216"));
    assert!(safetensors(&[3]).unwrap_err().to_string().contains("needs 8 bytes, there are 1"));
}
