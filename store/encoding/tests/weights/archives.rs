//! Zip archives: .npz and PyTorch checkpoints.

use lab_encoding::float::Element::{BF16, F16, F32, F64, Other};

use super::make::{self, Zip};
use super::{elements, find, tensors};

fn shapes() -> [Zip; 4] {
    let plain = Zip::default();
    [
        plain,
        Zip { wide: true, ..plain },
        Zip { comment: u16::MAX, align: 64, ..plain },
        Zip { wide: true, comment: 7, align: 512, ..plain },
    ]
}

#[test]
fn npz_with_several_members() {
    let (a, b) = ([1; 40], [2; 12]);
    let members = [
        ("arr_0.npy", make::vector("'<f4'", 10, &a)),
        ("notes.txt", b"not an array".to_vec()),
        ("false.npy", b"not an array either, whatever its name says".to_vec()),
        ("empty.npy", make::vector("'<f4'", 0, b"")),
        ("layer/b.npy", make::vector("'<f2'", 6, &b)),
        ("cut.npy", make::vector("'<f8'", 6, &b)),
    ];
    let members: Vec<(&str, &[u8])> = members.iter().map(|(n, d)| (*n, d.as_slice())).collect();
    for zip in shapes() {
        let file = zip.of(&members);
        let expected =
            [("arr_0.npy".to_owned(), F32, &a[..]), ("layer/b.npy".to_owned(), F16, &b[..])];
        assert_eq!(tensors(&file), expected);
        // Compressed members have no region, and an archive without regions is any archive.
        assert_eq!(find(&Zip { method: 8, ..zip }.of(&members)), None);
    }
    assert_eq!(find(&Zip::default().of(&members[1..4])), None);
    assert_eq!(find(&Zip::default().of(&[])), None);
}

#[test]
fn storages_by_the_classes_in_the_pickle() {
    let classes = [
        ("FloatStorage", F32),
        ("HalfStorage", F16),
        ("BFloat16Storage", BF16),
        ("DoubleStorage", F64),
        ("LongStorage", Other),
        ("ComplexFloatStorage", F32),
        ("UntypedStorage", Other),
    ];
    let keys = ["0", "1", "2", "3", "4", "5", "6"];
    // Each twice: two tensors may share a storage, and the second time all comes from the memo.
    let twice: Vec<(&str, &str)> = classes
        .iter()
        .map(|c| c.0)
        .zip(keys)
        .chain(classes.iter().map(|c| c.0).zip(keys))
        .collect();
    let data: Vec<Vec<u8>> = (0..7).map(|n| vec![n; 16]).collect();
    let storages: Vec<(&str, &[u8])> =
        keys.into_iter().zip(data.iter().map(Vec::as_slice)).collect();
    for pickle in [make::pickle(&twice), make::pickle4(&twice)] {
        for order in [None, Some("little")] {
            let file = make::checkpoint(&pickle, order, &storages);
            let expected: Vec<_> = (0..7)
                .map(|n| (format!("data/{}", keys[n]), classes[n].1, data[n].as_slice()))
                .collect();
            assert_eq!(tensors(&file), expected);
        }
        // Where the bytes are the other way round, no float is one.
        let file = make::checkpoint(&pickle, Some("big"), &storages);
        assert_eq!(tensors(&file).len(), 7);
        assert!(elements(&file).iter().all(|(_, element)| *element == Other));
    }
}

#[test]
fn storages_that_the_pickle_does_not_tell() {
    let float = |pickle: &[u8]| {
        let storages: [(&str, &[u8]); 2] = [("0", &[1; 16]), ("1", &[2; 15])];
        let found = elements(&make::checkpoint(pickle, None, &storages));
        assert_eq!([found[0].0.as_str(), found[1].0.as_str()], ["data/0", "data/1"]);
        assert_eq!(found[1].1, Other, "not a whole number of floats");
        found[0].1
    };
    let good = make::pickle(&[("FloatStorage", "0"), ("FloatStorage", "1")]);
    assert_eq!(float(&good), F32);
    // What stands before the damage holds.
    let cut = make::pickle(&[("FloatStorage", "0"), ("HalfStorage", "7")]);
    assert_eq!(float(&cut[..cut.len() - 40]), F32);
    assert_eq!(float(&good[..20]), Other);
    assert_eq!(float(b""), Other);
    assert_eq!(float(b"(((("), Other);
    // Two claims about one storage.
    assert_eq!(float(&make::pickle(&[("FloatStorage", "0"), ("HalfStorage", "0")])), Other);
    // A class of the same name from elsewhere.
    let text = String::from_utf8_lossy(&good).into_owned();
    assert!(text.contains("ctorch\n"));
    let foreign: Vec<u8> = good.iter().map(|b| if *b == b't' { b'T' } else { *b }).collect();
    assert_eq!(float(&foreign), Other);
    // Lengths and places that no pickle has.
    for broken in [
        &b"X\xff\xff\xff\xff"[..],
        b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff",
        b"j\xff\xff\xff\xff",
        b"p9999999999999999999999\n",
        b"t",
        b"R",
        b"s",
        b"2",
        b"q\0",
        b"\x93",
    ] {
        assert_eq!(float(&[b"\x80\x02", broken].concat()), Other);
        assert_eq!(float(&[&good[..good.len() - 1], broken].concat()), F32);
    }
    // A stack without end.
    assert_eq!(float(&[vec![b'('; 1 << 20], good].concat()), Other);
}

#[test]
fn other_folders_are_not_checkpoints() {
    let pickle = make::pickle(&[("FloatStorage", "0")]);
    let members: [(&str, &[u8]); 2] = [("a/b/data.pkl", &pickle), ("a/b/data/0", &[1; 16])];
    assert_eq!(find(&Zip::default().of(&members)), None);
    let members: [(&str, &[u8]); 3] =
        [("a/data.pkl", &pickle), ("b/data/0", &[1; 16]), ("ab/data/0", &[1; 16])];
    assert_eq!(find(&Zip::default().of(&members)), None);
}

#[test]
fn archives_that_make_no_sense() {
    let array = make::vector("'<f4'", 4, &[1; 16]);
    let good = Zip::default().of(&[("a.npy", &array), ("b.npy", &array)]);
    assert_eq!(tensors(&good).len(), 2);
    let end = good.len() - 22;
    let directory = end - 2 * (46 + 5 + 6);
    let broken = |place: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[place..place + bytes.len()].copy_from_slice(bytes);
        file
    };
    let cases = [
        ("the second header over the first", broken(directory + 57 + 42, &0u32.to_le_bytes())),
        (
            "a member longer than there is room",
            broken(directory + 20, &[0xff, 0xff, 0, 0, 0xff, 0xff, 0, 0]),
        ),
        ("a longer name in the header", broken(26, &[0xff, 0xff])),
        ("no header where one should be", broken(2, b"zz")),
        ("no first header", broken(0, b"zz")),
        ("sizes elsewhere, but nowhere", broken(directory + 20, &[0xff; 8])),
        ("another part", broken(end + 4, &[1])),
        ("fewer entries than there are", broken(end + 8, &[1, 0, 1, 0])),
        ("more entries than there are", broken(end + 8, &[3, 0, 3, 0])),
        ("a directory outside", broken(end + 16, &[0xff; 4])),
        ("a directory longer than the file", broken(end + 12, &[0xff, 0xff, 0xff, 0x7f])),
        ("a comment that is not there", broken(end + 20, &[1])),
        ("something before it", [b"#!", good.as_slice()].concat()),
        ("something behind it", [good.as_slice(), b"x"].concat()),
        ("no end", good[..end].to_vec()),
    ];
    for (what, file) in cases {
        assert_eq!(find(&file), None, "{what}");
    }
    // Encrypted or of unequal lengths: no region for this one, the other stays.
    for place in [directory + 8, directory + 24] {
        assert_eq!(tensors(&broken(place, &[good[place] ^ 1])).len(), 1);
    }
    // A member that matters to nobody, longer than its header of four extra bytes explains.
    let mut over = Zip::default().of(&[("a.txt", b"text"), ("b.npy", &array)]);
    assert_eq!(tensors(&over).len(), 1);
    let entry = over.len() - 22 - 2 * (46 + 5 + 6);
    over[entry + 20] += 5;
    over[entry + 24] += 5;
    assert_eq!(find(&over), None, "a text over an array");
    // Two members of one name.
    assert_eq!(find(&Zip::default().of(&[("a.npy", &array), ("a.npy", &array)])), None);
    let wide = Zip { wide: true, ..Zip::default() }.of(&[("a.npy", &array)]);
    let record = wide.len() - 22 - 20 - 56;
    for (place, bytes) in [
        (record, b"zz".as_slice()),
        (record + 16, &[1]),
        (record + 24, &[9]),
        (record + 48, &[0xff; 8]),
        (record + 56 + 8, &[0xff; 8]),
    ] {
        let mut file = wide.clone();
        file[place..place + bytes.len()].copy_from_slice(bytes);
        assert_eq!(find(&file), None, "at {place}");
    }
}
