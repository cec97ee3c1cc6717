//! safetensors, .npy and GGUF.

use lab_encoding::float::Element::{BF16, F16, F32, F64, Other};

use super::make;
use super::{elements, find, tensors};

#[test]
fn safetensors_in_the_order_of_the_file() {
    // The second of the header lies first; one is empty; the name of one is escaped; spaces pad
    // the header to a multiple of eight, and one stands where JSON allows it.
    let header = concat!(
        r#"{"__metadata__":{"format":"pt","a\"b":"{[\\"},"#,
        r#""b":{"dtype":"F16","shape":[2,2],"data_offsets":[12,20]},"#,
        r#""a\u00e9\n" : {"shape":[3],"dtype":"F32","data_offsets":[0, 12]},"#,
        r#""none":{"dtype":"F64","shape":[0,18446744073709551615],"data_offsets":[12,12]},"#,
        r#""scalar":{"dtype":"F64","shape":[],"data_offsets":[20,28]}}       "#
    );
    let data: Vec<u8> = (0..28).collect();
    let file = make::safetensors(header, &data);
    let expected = [
        ("a\u{e9}\n".to_owned(), F32, &data[..12]),
        ("b".to_owned(), F16, &data[12..20]),
        ("scalar".to_owned(), F64, &data[20..]),
    ];
    assert_eq!(tensors(&file), expected);
}

#[test]
fn safetensors_of_every_dtype() {
    let kinds = [
        ("F64", 8, F64),
        ("F32", 4, F32),
        ("F16", 2, F16),
        ("BF16", 2, BF16),
        ("C64", 8, F32),
        ("I64", 8, Other),
        ("U64", 8, Other),
        ("I32", 4, Other),
        ("U32", 4, Other),
        ("I16", 2, Other),
        ("U16", 2, Other),
        ("I8", 1, Other),
        ("U8", 1, Other),
        ("BOOL", 1, Other),
        ("F8_E4M3", 1, Other),
        ("F8_E5M2", 1, Other),
    ];
    for (dtype, width, element) in kinds {
        let header = |len: usize| {
            format!(r#"{{"t":{{"dtype":"{dtype}","shape":[5],"data_offsets":[0,{len}]}}}}"#)
        };
        let file = make::safetensors(&header(5 * width), &[7; 40]);
        assert_eq!(elements(&file), [("t".to_owned(), element)]);
        let file = make::safetensors(&header(5 * width - 1), &[7; 40]);
        assert_eq!(find(&file), None, "{dtype} of a wrong length");
    }
    // One that is not known yet is taken at its word.
    let header = r#"{"t":{"dtype":"F4","shape":[6],"data_offsets":[0,3]}}"#;
    assert_eq!(elements(&make::safetensors(header, &[1; 3])), [("t".to_owned(), Other)]);
}

#[test]
fn safetensors_without_tensors() {
    for header in ["{}", r#"{"__metadata__":{}}"#, "{ }   "] {
        assert!(find(&make::safetensors(header, b"")).unwrap().regions.is_empty());
    }
}

#[test]
fn safetensors_that_make_no_sense() {
    let deep = format!(r#"{{"t":{}"#, "[".repeat(100_000));
    let dimensions =
        format!(r#"{{"t":{{"dtype":"U8","shape":[{}1],"data_offsets":[0,1]}}}}"#, "1,".repeat(64));
    let cases = [
        // Overlapping, reversed, outside, beyond all numbers.
        r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}}"#,
        r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#,
        r#"{"t":{"dtype":"F9","shape":[4],"data_offsets":[4,0]}}"#,
        r#"{"t":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}}"#,
        r#"{"t":{"dtype":"F9","shape":[9],"data_offsets":[0,18446744073709551615]}}"#,
        r#"{"t":{"dtype":"F9","shape":[9],"data_offsets":[0,18446744073709551616]}}"#,
        r#"{"t":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,0]}}"#,
        r#"{"t":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}}"#,
        // Twice the same key.
        r#"{"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"t":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#,
        r#"{"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\u0074":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#,
        r#"{"t":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#,
        r#"{"__metadata__":{},"__metadata__":{}}"#,
        // Not what a tensor is.
        r#"{"t":{"dtype":"U8","shape":[1]}}"#,
        r#"{"t":{"dtype":"U8","data_offsets":[0,1]}}"#,
        r#"{"t":{"shape":[1],"data_offsets":[0,1]}}"#,
        r#"{"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"more":"x"}}"#,
        r#"{"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}}"#,
        r#"{"t":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}"#,
        r#"{"t":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}"#,
        r#"{"t":{"dtype":8,"shape":[1],"data_offsets":[0,1]}}"#,
        r#"{"t":[]}"#,
        r#"{"t":null}"#,
        r#"{"__metadata__":{"a":1}}"#,
        r#"{"__metadata__":[]}"#,
        // Not JSON.
        r#"{"t""#,
        r#"{"t"#,
        "{,}",
        "{}x",
        "{}{}",
        r#"{"__metadata__":{},}"#,
        "{\"__metadata__\":{\"a\":\"\n\"}}",
        r#"{"\ud800":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#,
        &deep,
        &dimensions,
    ];
    for header in cases {
        assert_eq!(find(&make::safetensors(header, &[0; 8])), None, "{header:.200}");
    }
    let mut latin = make::safetensors(r#"{"__metadata__":{"a":"b"}}"#, b"");
    assert!(find(&latin).is_some());
    latin[26] = 0xe9;
    assert_eq!(find(&latin), None, "not UTF-8");
}

#[test]
fn safetensors_of_many_tensors() {
    let file = make::many(10_000);
    let found = find(&file).unwrap().regions;
    assert_eq!((found.len(), found[9_999].name.as_str()), (10_000, "layers.9999.w"));
    assert_eq!(found[9_999].end, file.len() as u64);
    // One more than may be, at two bytes of data for each name that differs.
    let empty = |n: usize| format!(r#""{n:x}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#);
    let header =
        |tensors: usize| format!("{{{}}}", (0..tensors).map(empty).collect::<Vec<_>>().join(","));
    assert!(find(&make::safetensors(&header(1_000_000), b"")).is_some());
    assert_eq!(find(&make::safetensors(&header(1_000_001), b"")), None);
}

#[test]
fn npy_of_every_version_and_kind() {
    let kinds = [
        ("'<f4'", 4, F32),
        ("'<f2'", 2, F16),
        ("'<f8'", 8, F64),
        ("'<c8'", 8, F32),
        ("'<c16'", 16, F64),
        ("'>f4'", 4, Other),
        ("'|u1'", 1, Other),
        ("'<i8'", 8, Other),
        ("'|b1'", 1, Other),
        ("'|V2'", 2, Other),
        ("'<U3'", 12, Other),
        ("'|S5'", 5, Other),
        ("'<M8[ns]'", 8, Other),
    ];
    let data: Vec<u8> = (0..=255).collect();
    for (descr, width, element) in kinds {
        for version in 1..=3 {
            let dictionary = format!(
                "{{'descr': {descr}, 'fortran_order': True, 'shape': (2, 3), }}          \n"
            );
            let file = make::npy(version, &dictionary, &data[..6 * width]);
            let expected = [(String::new(), element, &data[..6 * width])];
            assert_eq!(tensors(&file), expected, "{descr}");
            // Arrays may follow each other in one file; one cut short is none.
            let file = make::npy(version, &dictionary, &data[..6 * width + 1]);
            assert_eq!(tensors(&file), expected);
            let file = make::npy(version, &dictionary, &data[..6 * width - 1]);
            assert_eq!(find(&file), None);
        }
    }
    assert_eq!(
        find(&make::npy(4, "{'descr': '<f4', 'fortran_order': False, 'shape': ()}", &data)),
        None
    );
}

#[test]
fn npy_of_other_shapes_and_types() {
    let npy = |descr: &str, shape: &str, data: &[u8]| {
        let dictionary = format!("{{'shape': {shape}, 'fortran_order': False, 'descr': {descr}}}");
        make::npy(1, &dictionary, data)
    };
    let lens = |file: Vec<u8>| -> Vec<usize> { tensors(&file).iter().map(|t| t.2.len()).collect() };
    assert_eq!(lens(npy("'<f8'", "()", &[1; 8])), [8]);
    assert_eq!(lens(npy("'<f8'", "(2L,)", &[1; 16])), [16]);
    assert_eq!(lens(npy("'<f8'", "(0, 5)", b"")), [0; 0]);
    // Pickled objects and structures: all that is there.
    assert_eq!(lens(npy("'|O'", "(2,)", &[1; 99])), [99]);
    let nested = "[('a', '<f4'), ('b]', [('c', '<i2', (2,))])]";
    assert_eq!(lens(npy(nested, "(2,)", &[1; 31])), [31]);
    let long = format!("[{}]", "('field', '<f4'), ".repeat(2_000));
    let dictionary = format!("{{'descr': {long}, 'fortran_order': False, 'shape': (1,)}}");
    assert_eq!(lens(make::npy(2, &dictionary, &[1; 8_000])), [8_000]);
    for (descr, shape) in [
        ("'<f4'", "(4294967296, 4294967296, 4294967296)"),
        ("'<f4'", "(4611686018427387904,)"),
        ("'<f9999999999999999999'", "(1"),
        ("'<f4'", "(-1,)"),
        ("'<f4'", "5"),
        ("'<f4", "(1,)"),
        ("[('a', '<f4')", "(1,)"),
        ("]", "(1,)"),
        ("", "(1,)"),
    ] {
        assert_eq!(find(&npy(descr, shape, &[1; 64])), None, "{descr} {shape}");
    }
    let huge = [b"\x93NUMPY\x02\0".as_slice(), &u32::MAX.to_le_bytes(), &[b' '; 64]].concat();
    assert_eq!(find(&huge), None);
}

#[test]
fn gguf_of_both_versions() {
    let metadata = [
        make::entry("general.architecture", 8, &make::string("llama")),
        make::entry("a.number", 10, &7u64.to_le_bytes()),
        make::entry("a.truth", 7, &[1]),
        make::entry(
            "tokens",
            9,
            &make::array(8, 2, &[make::string("a"), make::string("")].concat()),
        ),
        make::entry("types", 9, &make::array(3, 3, &[0; 6])),
        make::entry("nested", 9, &make::array(9, 1, &make::array(0, 2, &[1, 2]))),
    ];
    let table: [make::Line; 6] = [
        ("floats", &[4, 2], 0, 192),
        ("halves", &[8], 1, 0),
        ("brain", &[3], 30, 32),
        ("unknown", &[256], 777, 64),
        ("quantised", &[64, 1, 1], 8, 96),
        ("double", &[], 28, 224),
    ];
    let data: Vec<u8> = (0..232).collect();
    for version in [2, 3] {
        let file = make::gguf_with(make::gguf(version, &metadata, &table), 32, &data);
        let expected = [
            ("halves".to_owned(), F16, &data[..16]),
            ("brain".to_owned(), BF16, &data[32..38]),
            ("unknown".to_owned(), Other, &data[64..96]),
            ("quantised".to_owned(), Other, &data[96..164]),
            ("floats".to_owned(), F32, &data[192..224]),
            ("double".to_owned(), F64, &data[224..]),
        ];
        assert_eq!(tensors(&file), expected);
        assert_eq!(find(&file[..file.len() - 1]), None, "cut short");
    }
    for version in [0, 1, 4, 3 << 24] {
        let file = make::gguf_with(make::gguf(version, &metadata, &table), 32, &data);
        assert_eq!(find(&file), None, "version {version:#x}");
    }
}

#[test]
fn gguf_of_other_alignments() {
    let table: [make::Line; 2] = [("a", &[1], 0, 0), ("b", &[5], 999, 1024)];
    let data: Vec<u8> = (0..1100u32).map(|n| n as u8).collect();
    for (alignment, fits) in
        [(1u32, true), (8, true), (1024, true), (0, false), (24, false), (1 << 31, false)]
    {
        let metadata = [make::entry("general.alignment", 4, &alignment.to_le_bytes())];
        let header = make::gguf(3, &metadata, &table);
        let file = make::gguf_with(header, if fits { alignment as usize } else { 32 }, &data);
        if fits {
            let expected = [
                ("a".to_owned(), F32, &data[..4]),
                // Of a type that is not known, the last reaches to the end.
                ("b".to_owned(), Other, &data[1024..]),
            ];
            assert_eq!(tensors(&file), expected);
        } else {
            assert_eq!(find(&file), None, "{alignment}");
        }
    }
}

#[test]
fn gguf_that_makes_no_sense() {
    let good: make::Line = ("a", &[32], 8, 0);
    let deep = (0..9).fold(make::array(0, 0, &[]), |inner, _| make::array(9, 1, &inner));
    let huge = u64::MAX.to_le_bytes();
    let metadata = [
        make::entry("deep", 9, &deep),
        make::entry("long", 8, &huge),
        make::entry("many", 9, &make::array(8, u64::MAX, &[0; 64])),
        make::entry("wide", 9, &make::array(10, u64::MAX / 2, &[0; 64])),
        make::entry("odd", 13, &[0; 8]),
        make::entry("general.alignment", 10, &32u64.to_le_bytes()),
        [&huge[..], &[0; 64]].concat(),
    ];
    for entry in metadata {
        let file =
            make::gguf_with(make::gguf(3, std::slice::from_ref(&entry), &[good]), 32, &[0; 34]);
        assert_eq!(find(&file), None, "{entry:?}");
    }
    let tables: [&[make::Line]; 8] = [
        &[("a", &[31], 8, 0)],
        &[("a", &[64], 8, 0)],
        &[("a", &[32], 8, u64::MAX)],
        &[("a", &[32, 1 << 40, 1 << 40], 8, 0)],
        &[("a", &[u64::MAX], 0, 0)],
        &[("a", &[1; 9], 0, 0)],
        &[good, ("b", &[1], 0, 32)],
        &[("a", &[1], 0, 0), ("a", &[1], 0, 4)],
    ];
    for table in tables {
        let file = make::gguf_with(make::gguf(3, &[], table), 32, &[0; 34]);
        assert_eq!(find(&file), None, "{table:?}");
    }
    // Counts that no file could hold.
    for place in [8, 16] {
        let mut file = make::gguf_with(make::gguf(3, &[], &[good]), 32, &[0; 34]);
        assert!(find(&file).is_some());
        file[place..place + 8].copy_from_slice(&huge);
        assert_eq!(find(&file), None);
    }
}
