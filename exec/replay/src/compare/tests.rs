//! Files of every format, with one thing changed; and files that are made to break a reader.

use lab_schema::{Number, Tolerance};
use proptest::prelude::*;

use super::files;
use super::found::Found;

mod archives;

fn diff(a: &[u8], b: &[u8], tolerance: Option<Tolerance>) -> Option<Found> {
    files(&a, &b, tolerance).unwrap()
}

fn tolerance(absolute: f64, relative: f64) -> Option<Tolerance> {
    let number = |n| Number::new(n).unwrap();
    Some(Tolerance { absolute: number(absolute), relative: number(relative) })
}

/// A safetensors file of tensors `(name, dtype, shape, bytes)`, in the order given.
pub(crate) fn safetensors(metadata: &str, tensors: &[(&str, &str, &[u64], Vec<u8>)]) -> Vec<u8> {
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    if !metadata.is_empty() {
        entries.push(format!(r#""__metadata__":{{"note":"{metadata}"}}"#));
    }
    for (name, dtype, shape, bytes) in tensors {
        let (from, to) = (data.len(), data.len() + bytes.len());
        entries.push(format!(
            r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{from},{to}]}}"#
        ));
        data.extend_from_slice(bytes);
    }
    let header = format!("{{{}}}", entries.join(","));
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend_from_slice(&data);
    file
}

pub(crate) fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn weights(values: &[f32; 6]) -> Vec<u8> {
    let bias = ("fc1.bias", "F32", &[2_u64][..], f32s(&[1.0, 2.0]));
    safetensors("", &[("fc1.weight", "F32", &[2, 3], f32s(values)), bias])
}

pub(crate) fn npy(descr: &str, fortran: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header =
        format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend_from_slice(&(header.len() as u16).to_le_bytes());
    file.extend_from_slice(header.as_bytes());
    file.extend_from_slice(data);
    file
}

fn at(found: &Found) -> &str {
    found.at.as_deref().unwrap_or("")
}

#[test]
fn one_weight_off_by_one_ulp() {
    let next = f32::from_bits(0.25_f32.to_bits() + 1);
    let a = weights(&[0.0, 1.0, 2.0, 3.0, 0.25, 5.0]);
    let b = weights(&[0.0, 1.0, 2.0, 3.0, next, 5.0]);
    let found = diff(&a, &b, None).unwrap();
    assert_eq!(at(&found), "fc1.weight[1, 1]");
    assert_eq!((found.expected.as_str(), found.actual.as_str()), ("0.25", "0.25000003"));
    assert_eq!((found.ulps, found.share, found.tolerated), (Some(1), Some(1.0 / 8.0), false));
    let l2 = f64::from(next - 0.25) / (1.0 + 4.0 + 9.0 + 0.0625 + 25.0 + 1.0 + 4.0_f64).sqrt();
    assert!((found.relative_l2.unwrap() / l2 - 1.0).abs() < 1e-12);
    assert!(diff(&a, &b, tolerance(0.0, 1e-6)).unwrap().tolerated);
    assert!(!diff(&a, &b, tolerance(0.0, 1e-8)).unwrap().tolerated);
    assert_eq!(diff(&a, &a, None), None);
}

#[test]
fn the_element_beyond_the_tolerance_is_named_not_the_first() {
    let a = weights(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
    let b = weights(&[1.0, 1.000001, 1.0, 1.0, 1.0, 1.5]);
    assert_eq!(at(&diff(&a, &b, None).unwrap()), "fc1.weight[0, 1]");
    let found = diff(&a, &b, tolerance(1e-3, 0.0)).unwrap();
    assert_eq!((at(&found), found.tolerated), ("fc1.weight[1, 2]", false));
}

#[test]
fn names_decide_the_order_not_offsets() {
    let file = |b: f32, a: f32| {
        safetensors("", &[("b", "F32", &[1], f32s(&[b])), ("a", "F32", &[1], f32s(&[a]))])
    };
    assert_eq!(at(&diff(&file(1.0, 1.0), &file(2.0, 2.0), None).unwrap()), "a[0]");
    // The same tensors in another order of the file: nothing differs but the layout.
    let turned =
        safetensors("", &[("a", "F32", &[1], f32s(&[1.0])), ("b", "F32", &[1], f32s(&[1.0]))]);
    let found = diff(&file(1.0, 1.0), &turned, None).unwrap();
    assert!(at(&found).ends_with("(all values are equal)") && !found.tolerated);
    assert!(diff(&file(1.0, 1.0), &turned, tolerance(0.0, 0.0)).unwrap().tolerated);
}

#[test]
fn missing_tensors_other_types_other_shapes_other_notes() {
    let x = ("x", "F32", &[2_u64][..], f32s(&[1.0, 2.0]));
    let one = safetensors("", std::slice::from_ref(&x));
    let two = safetensors("", &[x.clone(), ("y", "I32", &[1], vec![0; 4])]);
    let found = diff(&one, &two, tolerance(9.0, 9.0)).unwrap();
    assert_eq!((at(&found), found.expected.as_str()), ("y", "no such tensor"));
    assert_eq!((found.actual.as_str(), found.tolerated), ("I32[1]", false));
    let shape = safetensors("", &[("x", "F32", &[1, 2], f32s(&[1.0, 2.0]))]);
    assert_eq!(diff(&one, &shape, None).unwrap().actual, "F32[1, 2]");
    let dtype = safetensors("", &[("x", "I32", &[2], f32s(&[1.0, 2.0]))]);
    assert_eq!(diff(&one, &dtype, None).unwrap().actual, "I32[2]");
    let note = safetensors("other", &[x]);
    let found = diff(&one, &note, tolerance(9.0, 9.0)).unwrap();
    assert_eq!((at(&found), found.tolerated), ("__metadata__.note", false));
}

#[test]
fn zeros_and_nans_differ_by_bits() {
    let with = |bits: u32| safetensors("", &[("x", "F32", &[], bits.to_le_bytes().to_vec())]);
    let nan = 0x7fc0_0000;
    assert_eq!(diff(&with(nan), &with(nan), None), None);
    let found = diff(&with(nan), &with(nan | 1), tolerance(1.0, 1.0)).unwrap();
    assert_eq!((at(&found), found.ulps, found.tolerated), ("x", None, false));
    let found = diff(&with(0), &with(1 << 31), tolerance(0.0, 0.0)).unwrap();
    assert_eq!((found.expected.as_str(), found.actual.as_str()), ("0.0", "-0.0"));
    assert!(found.tolerated);
}

#[test]
fn every_dtype_and_many_blocks() {
    for (dtype, size) in [
        ("F64", 8),
        ("F32", 4),
        ("F16", 2),
        ("BF16", 2),
        ("I64", 8),
        ("I32", 4),
        ("I16", 2),
        ("I8", 1),
        ("U64", 8),
        ("U32", 4),
        ("U16", 2),
        ("U8", 1),
        ("BOOL", 1),
        ("F8_E4M3", 1),
        ("C64", 8),
    ] {
        let data = vec![0; size * 3];
        let mut other = data.clone();
        other[size * 2] = 1;
        let file = |data: Vec<u8>| safetensors("", &[("t", dtype, &[3], data)]);
        let found = diff(&file(data), &file(other), None).unwrap();
        assert_eq!((at(&found), found.share), ("t[2]", Some(1.0 / 3.0)), "{dtype}");
    }
    let large = vec![0.5_f32; 3 << 20];
    let mut other = large.clone();
    other[(2 << 20) + 12_345] = 0.75;
    let file = |v: &[f32]| safetensors("", &[("t", "F32", &[3 << 10, 1 << 10], f32s(v))]);
    let found = diff(&file(&large), &file(&other), None).unwrap();
    assert_eq!(at(&found), format!("t[{}, {}]", 2048 + 12, 12_345 - 12 * 1024));
}

#[test]
fn a_broken_header_is_compared_as_bytes() {
    let good = weights(&[0.0; 6]);
    let mut cases = Vec::new();
    for len in [u64::MAX, 1 << 40, good.len() as u64, 0, 1] {
        let mut bad = good.clone();
        bad[..8].copy_from_slice(&len.to_le_bytes());
        cases.push(bad);
    }
    let tensor = |shape: &str, offsets: &str| {
        let header =
            format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#);
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend_from_slice(header.as_bytes());
        file.extend_from_slice(&[0; 8]);
        file
    };
    let max = u64::MAX;
    for (shape, offsets) in [
        ("[2]".to_owned(), "[8,0]".to_owned()),
        ("[2]".into(), format!("[{max},{max}]")),
        ("[2]".into(), "[0,4]".into()),
        ("[1]".into(), "[4,8]".into()),
        (format!("[{max},{max}]"), "[0,8]".into()),
        ("[-1]".into(), "[0,8]".into()),
        (format!("[{}2]", "1,".repeat(100)), "[0,8]".into()),
    ] {
        cases.push(tensor(&shape, &offsets));
    }
    for bad in cases {
        let mut other = bad.clone();
        *other.last_mut().unwrap() ^= 1;
        let found = diff(&bad, &other, None).unwrap();
        assert_eq!(at(&found), format!("byte {}", bad.len() - 1));
    }
}

#[test]
fn numpy_arrays() {
    let file = |v: &[f32]| npy("<f4", "False", "(2, 2)", &f32s(v));
    let found = diff(&file(&[1.0, 2.0, 3.0, 4.0]), &file(&[1.0, 2.0, 3.5, 4.0]), None).unwrap();
    assert_eq!((at(&found), found.actual.as_str()), ("[1, 0]", "3.5"));
    let turned = |v: &[f32]| npy("<f4", "True", "(2, 2)", &f32s(v));
    let found = diff(&turned(&[1.0, 2.0, 3.0, 4.0]), &turned(&[1.0, 2.0, 3.5, 4.0]), None);
    assert_eq!(at(&found.unwrap()), "[0, 1]");
    let big = |v: f64| npy(">f8", "False", "()", &v.to_be_bytes());
    let found = diff(&big(0.1), &big(0.2), None).unwrap();
    assert_eq!((found.at.as_deref(), found.expected.as_str()), (None, "0.1"));
    let other = npy("<i8", "False", "(1,)", &[0; 8]);
    assert_eq!(diff(&big(0.1), &other, None).unwrap().actual, "<i8[1]");
    let structured = npy("|O", "False", "(1,)", &[0; 8]);
    assert!(at(&diff(&structured, &other, None).unwrap()).starts_with("byte "));
}

#[test]
fn json_by_key_and_value() {
    let a = br#"{"accuracy": 0.9722, "per_class": [{"f1": 0.5}, {"f1": 1}], "n": 3}"#;
    let b =
        br#"{"accuracy": 0.9722, "per_class": [{"f1": 0.5}, {"f1": 1.0000000000000002}], "n": 3}"#;
    let found = diff(a, b, None).unwrap();
    assert_eq!((at(&found), found.ulps), ("per_class[1].f1", Some(1)));
    assert_eq!((found.share, found.tolerated), (Some(0.25), false));
    assert!(diff(a, b, tolerance(1e-9, 0.0)).unwrap().tolerated);
    // 0.1 and its neighbour, which a careless parser would read as equal.
    let found = diff(b"[0.1]", b"[0.10000000000000002]", None).unwrap();
    assert_eq!((at(&found), found.ulps), ("[0]", Some(1)));
    let found = diff(br#"{"a.b": 1, "c": 2}"#, br#"{"c": 2}"#, None).unwrap();
    assert_eq!((at(&found), found.actual.as_str()), ("[\"a.b\"]", "absent"));
    let found = diff(br#"{"a": 1}"#, br#"{"a": 1, "b": [1, 2]}"#, None).unwrap();
    assert_eq!((at(&found), found.actual.as_str()), ("b", "a list of 2"));
    assert_eq!(found.share, Some(2.0 / 3.0));
    // Equal values, other bytes: still a difference, and covered by any tolerance.
    let found = diff(br#"{"a": 1, "b": 2}"#, br#"{"b": 2, "a": 1.0}"#, tolerance(0.0, 0.0));
    assert!(found.unwrap().tolerated);
    // Two keys that are one: no reading is right, so lines are compared.
    let found = diff(br#"{"a": 1, "a": 2}"#, br#"{"a": 2, "a": 2}"#, None).unwrap();
    assert_eq!(at(&found), "line 1, column 7");
    // Deeper than any recursion may go.
    let (deep, other) = ("[".repeat(200_000), format!("{}1", "[".repeat(199_999)));
    assert!(diff(deep.as_bytes(), other.as_bytes(), None).is_some());
}

#[test]
fn text_by_line_and_column() {
    let found = diff(b"epoch,loss\n1,0.50\n2,0.25\n", b"epoch,loss\n1,0.50\n2,0.26\n", None);
    let found = found.unwrap();
    assert_eq!((at(&found), found.expected.as_str()), ("line 3, column 3", "0.25"));
    assert_eq!(found.share, Some(1.0 / 3.0));
    assert!(found.ulps.is_some());
    let close = |a: &str, b: &str| {
        diff(a.as_bytes(), b.as_bytes(), tolerance(0.01, 0.0)).unwrap().tolerated
    };
    assert!(close("1,0.50\n2,0.250\n", "1,0.50\n2,0.251\n"));
    assert!(close("loss=0.250 (0.1)", "loss=0.251 (0.1)"));
    assert!(!close("a,0.5\n", "b,0.5\n"));
    assert!(!close("0.5,0.5\n", "0.5;0.5\n"));
    assert!(!close("0.5\n", "0.5\n0.5\n"));
    assert!(!close("1.0\n", "nan\n"));
    let found = diff(b"a\nb\n", b"a\n", None).unwrap();
    assert_eq!((at(&found), found.actual.as_str()), ("line 2", "end of file"));
    let found = diff(b"a\n", b"a", None).unwrap();
    assert_eq!((at(&found), found.expected.as_str()), ("line 1, column 2", "end of line"));
    // Lines that are printed alike are still not the same bytes.
    assert!(diff(b"a (no newline at the end)\n", b"a", None).is_some());
    // A line that is too long for memory to be wasted on.
    let long = vec![b'x'; 2 << 20];
    let mut other = long.clone();
    other[1 << 20] = b'y';
    assert_eq!(at(&diff(&long, &other, None).unwrap()), "byte 1048576");
}

#[test]
fn hostile_names_cannot_steer_a_terminal() {
    let file = |v: f32| safetensors("", &[("\\u001b[2J", "F32", &[1], f32s(&[v]))]);
    let found = diff(&file(1.0), &file(2.0), None).unwrap();
    assert_eq!(at(&found), "\\u{1b}[2J[0]");
}

fn any_file() -> impl Strategy<Value = Vec<u8>> {
    let start = prop_oneof![
        Just(Vec::new()),
        Just(weights(&[1.0; 6])),
        Just(npy("<f4", "False", "(2, 2)", &[0; 16])),
        Just(br#"{"a": [1, 2.5, {"b": null}], "c": "text"}"#.to_vec()),
        Just(b"a,b\n1,2\n".to_vec()),
    ];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    (start, changes, any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 0..64))
        .prop_map(|(mut file, changes, cut, tail)| {
            if !file.is_empty() {
                for (at, byte) in changes {
                    let at = at.index(file.len());
                    file[at] = byte;
                }
                if tail.len() % 2 == 0 {
                    file.truncate(cut.index(file.len() + 1));
                }
            }
            if tail.len() % 3 == 0 { file } else { [file, tail].concat() }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    // Whatever two files hold, comparing them gives an answer, and "identical" only for equal bytes.
    #[test]
    fn any_two_files_compare(a in any_file(), b in any_file(), tolerant: bool) {
        let tolerance = if tolerant { tolerance(1.0, 1.0) } else { None };
        let found = diff(&a, &b, tolerance);
        prop_assert_eq!(found.is_none(), a == b);
        prop_assert!(tolerant || found.is_none_or(|f| !f.tolerated));
    }
}
