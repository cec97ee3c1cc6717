//! Files that are no examples, damaged ones, bombs, and absurd counts.
#![allow(clippy::unwrap_used)]

mod kit;

use kit::{Draws, gzip, idx, read, real};
use lab_overlap::{Examples, Options, Reading, Unit, examples, folder, overlap};

fn error(name: &str, bytes: &[u8]) -> String {
    examples(name, bytes, &Reading::default()).map(|found| found.len()).unwrap_err().to_string()
}

#[test]
fn labels_are_no_examples() {
    let labels = real("mnist-t10k-labels-idx1-ubyte.gz");
    assert_eq!(
        error("labels.gz", &gzip(&labels)),
        "'labels.gz' holds single numbers, which are labels and no examples: an array of examples \
         with two values or more each is needed"
    );
    assert!(error("y.npy", &npy("(3, 1)", &[0; 3])).contains("labels"));
    assert!(error("y.npy", &npy("()", &[0])).contains("labels"));
    assert!(error("y.npy", &npy("(3, 0)", &[])).contains("examples of shape [0]"));
}

/// An npy file of bytes.
fn npy(shape: &str, values: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), values].concat()
}

#[test]
fn absurd_counts_are_refused() {
    for shape in ["(99999999999, 2)", "(4294967295, 4294967295)", "(100000000, 2)"] {
        let error = error("a.npy", &npy(shape, &[0; 8]));
        assert!(error.contains("values") || error.contains("cut off"), "{error}");
    }
    let many = npy("(33554432, 2)", &vec![0; 1 << 26]);
    assert_eq!(error("a.npy", &many), "examples of a set: the limit is 16777216");
    let idx = [&[0, 0, 8, 3][..], &[255; 12]].concat();
    assert!(error("a", &idx).contains("more than 268435456 values"));
    let lines = "a\n".repeat((1 << 24) + 1);
    assert_eq!(error("a.txt", lines.as_bytes()), "examples of a set: the limit is 16777216");
}

#[test]
fn bombs_are_stopped() {
    // 100 MB each from 100 kB; the first is refused after 16 MiB, the second by what it says of itself.
    let line = gzip(&vec![b'a'; 100 << 20]);
    let stopped = "line 1 of the table: a row of the table is longer than 16777216 bytes";
    for name in ["a.txt", "a.csv", "a"] {
        assert_eq!(error(name, &line), stopped, "{name}");
    }
    let zeros = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2][..], &vec![0; 100 << 20]];
    assert!(error("a", &gzip(&zeros.concat())).contains("bytes after its end"));
    let nested = [b"{\"text\": ".to_vec(), b"[".repeat(1 << 20)].concat();
    assert!(error("a.jsonl", &nested).contains("line 1"), "{}", error("a.jsonl", &nested));
}

#[test]
fn what_holds_no_examples_says_so() {
    let cases: [(&str, &[u8], &str); 10] = [
        ("a.npz", b"PK\x03\x04....", "'a.npz' holds an archive: one of the arrays in it is needed"),
        ("a", b"PAR1....", "the Parquet file is damaged"),
        ("a.csv", b"\x89PNG\r\n\x1a\n", "one image: a folder of images is needed"),
        ("a.safetensors", b"\x10\0\0\0\0\0\0\0{}", "bytes of an unknown kind"),
        ("a.txt", b"", "there are no examples in 'a.txt'"),
        ("a.txt", b" \n\n", "there are no examples in 'a.txt'"),
        ("a.csv", b"", "is empty"),
        ("a.csv", b"x,y\n", "there are no examples in 'a.csv'"),
        ("a.csv", b"x,y\n1,2,3\n", "line 2 of the table has 3 fields"),
        ("a.txt", b"\xff\xfe\xfd", "line 1 is not UTF-8"),
    ];
    for (name, bytes, expected) in cases {
        let error = error(name, bytes);
        assert!(error.contains(expected), "{name}: {error}");
    }
    let none = folder("a", std::iter::empty()).unwrap_err().to_string();
    assert!(none.contains("is empty"), "{none}");
    let text = folder("a", [("b/c.png".to_owned(), b"no image".to_vec())].into_iter());
    assert_eq!(text.unwrap_err().to_string(), "image 'a/b/c.png': it is neither PNG nor JPEG");
}

#[test]
fn sorts_are_told_by_content() {
    let rows = |examples: &Examples| matches!(examples, Examples::Rows(_));
    let texts = |examples: &Examples| matches!(examples, Examples::Texts(_));
    let penguins = real("penguins.csv");
    assert!(rows(&read("penguins", &penguins)) && rows(&read("a.csv.gz", &gzip(&penguins))));
    assert!(texts(&read("a.txt", &penguins)) && texts(&read("a", b"One, two.\nThree, four.\n")));
    assert!(rows(&read("a.txt", b"{\"x\": 1}\n")) && rows(&read("a.tsv", b"x y\tz\n1,5\t2\n")));
    let digits = read("a", &gzip(&idx(&kit::digits()[..5])));
    assert_eq!((digits.len(), digits.sort()), (5, "arrays of shape [28, 28]".to_owned()));
    assert_eq!(read("a", &penguins).len(), 344);
    // A first row of numbers is no header.
    assert_eq!(read("a.csv", b"1,2\n3,4\n").len(), 2);
    let named = Reading { header: Some(true), ..Reading::default() };
    assert_eq!(examples("a.csv", b"1,2\n3,4\n", &named).unwrap().len(), 1);
    let paragraphs = Reading { unit: Unit::Paragraph, ..Reading::default() };
    assert_eq!(examples("a.txt", b"a\nb\n\nc\n", &paragraphs).unwrap().len(), 2);
}

/// An array flattened is compared as it is; floats and bytes of equal value are equal.
#[test]
fn arrays_are_compared_by_value() {
    let flat = read("a.npy", &npy("(2, 4)", &[1, 2, 3, 4, 5, 6, 7, 8]));
    let square = read("b.npy", &npy("(1, 2, 2)", &[5, 6, 7, 8]));
    let found = overlap(&flat, &square, &Options::default()).unwrap();
    assert_eq!((found.equal.count, found.pairs[0].train), (1, 1));
    let mut floats = npy("(1, 4)", &[]);
    let descr = floats.windows(3).position(|bytes| bytes == b"|u1").unwrap();
    floats[descr..descr + 3].copy_from_slice(b"<f4");
    [5f32, 6.0, 7.0, 8.0].iter().for_each(|x| floats.extend(x.to_le_bytes()));
    assert_eq!(
        overlap(&flat, &read("c.npy", &floats), &Options::default()).unwrap().equal.count,
        1
    );
    let other = read("b.npy", &npy("(1, 2, 3)", &[5, 6, 7, 8, 9, 0]));
    let error = overlap(&flat, &other, &Options::default()).unwrap_err().to_string();
    assert_eq!(
        error,
        "the training set holds arrays of shape [4], the test set arrays of shape [2, 3]: they \
         cannot be compared"
    );
    let options = Options { leave_out: vec!["id".into()], near: true };
    assert!(overlap(&flat, &flat, &options).is_err());
}

/// Cut off anywhere or damaged anywhere, a file is an error or other examples, never a panic.
#[test]
fn damage_is_survived() {
    let penguins = real("penguins.csv");
    let files = [
        ("a.csv", penguins[..2_000].to_vec()),
        ("a.csv.gz", gzip(&penguins[..2_000])),
        (
            "a.jsonl",
            b"{\"text\": \"a \\u00e9\", \"x\": 1}\n{\"x\": [1, {}], \"text\": null}\n".to_vec(),
        ),
        ("a", idx(&kit::digits()[..2])),
        ("a.npy", npy("(3, 4)", &[7; 12])),
        ("a.txt", "One.\n\nTwo é.\n".as_bytes().to_vec()),
    ];
    let mut draws = Draws(1);
    let mut whole = 0;
    for (name, bytes) in &files {
        let mut look = |bytes: &[u8]| {
            if let Ok(found) = examples(name, bytes, &Reading::default()) {
                whole += 1;
                overlap(&found, &found, &Options::default()).unwrap();
            }
        };
        (0..bytes.len()).for_each(|end| look(&bytes[..end]));
        for _ in 0..500 {
            let mut damaged = bytes.clone();
            for _ in 0..=draws.below(3) {
                let at = draws.below(damaged.len());
                damaged[at] = draws.below(256) as u8;
            }
            look(&damaged);
        }
    }
    assert!(whole > 1_000, "{whole}");
}
