//! Honest splits of real data, and splits with copies in them.
#![allow(clippy::unwrap_used)]

mod kit;

use kit::{Draws, digits, idx, read, real, rows};
use lab_overlap::{Examples, How, Options, Overlap, Reading, Texts, Verdict, examples, overlap};

/// What is equal alone.
fn equal(train: &Examples, test: &Examples) -> Overlap {
    overlap(train, test, &Options { near: false, ..Options::default() }).unwrap()
}

/// A split at 80:20 of a table, and so many of its test rows put among the training rows.
fn of_table(name: &str, seed: u64, copies: usize) -> Overlap {
    let bytes = real(name);
    let lines: Vec<&str> = str::from_utf8(&bytes).unwrap().lines().collect();
    let mut draws = Draws(seed);
    let count = lines.len() - 1;
    let (mut train, test) = draws.split(count, count / 5);
    train.extend(&test[..copies]);
    equal(&read("a.csv", &rows(&lines, &train)), &read("b.csv", &rows(&lines, &test)))
}

#[test]
fn honest_splits_of_tables_are_not_accused() {
    for (name, shared) in [("penguins.csv", 0..=0), ("diamonds.csv.gz", 25..=75)] {
        for seed in 0..20 {
            let found = of_table(name, seed, 0);
            assert_ne!(found.verdict(), Verdict::Leak, "{name} {seed}: {:?}", found.equal);
            assert!(shared.contains(&found.equal.count), "{name} {seed}: {:?}", found.equal);
            let off = found.equal.count as f64 - found.equal.judgement.expected;
            assert!(off.abs() < 25.0, "{name} {seed}: {:?}", found.equal);
        }
    }
}

#[test]
fn copied_rows_are_found() {
    for seed in 0..5 {
        // One in a hundred test rows; of the penguins as many as can be told from chance.
        for (name, copies) in [("diamonds.csv.gz", 108), ("penguins.csv", 10)] {
            let found = of_table(name, seed, copies);
            assert_eq!(found.verdict(), Verdict::Leak, "{name} {seed}: {:?}", found.equal);
            assert!(found.equal.count >= copies && found.pairs.len() >= copies.min(100));
        }
        let few = of_table("penguins.csv", seed, 5);
        assert_eq!((few.verdict(), few.equal.count), (Verdict::Chance, 5));
    }
}

/// A coarser table: what recurs is common, and some of it is.
#[test]
fn coarse_tables_are_not_accused() {
    let bytes = real("diamonds.csv.gz");
    let text = str::from_utf8(&bytes).unwrap();
    let cut = |line: &str| line.split(',').take(4).collect::<Vec<_>>().join(",");
    let coarse: Vec<String> = text.lines().map(cut).collect();
    let lines: Vec<&str> = coarse.iter().map(String::as_str).collect();
    for seed in 0..20 {
        let (mut train, test) = Draws(seed).split(lines.len() - 1, 10_788);
        let found = |train: &[usize]| {
            equal(&read("a.csv", &rows(&lines, train)), &read("b.csv", &rows(&lines, &test)))
        };
        let honest = found(&train);
        assert_eq!(honest.verdict(), Verdict::Chance, "{seed}: {:?}", honest.equal);
        assert!(honest.equal.count > 8_000, "{seed}: {:?}", honest.equal);
        if seed == 0 {
            train.extend(&test);
            assert_eq!(found(&train).verdict(), Verdict::Leak);
        }
    }
}

#[test]
fn honest_splits_of_digits_are_not_accused_and_copies_are_found() {
    let digits = digits();
    for seed in 0..20 {
        let (mut train, test) = Draws(seed).split(digits.len(), 2_000);
        let pick = |picked: &[usize]| {
            let images: Vec<Vec<u8>> = picked.iter().map(|i| digits[*i].clone()).collect();
            read("images", &idx(&images))
        };
        // Near ones are looked for in some: it takes longer.
        let options = Options { near: seed < 1, ..Options::default() };
        let honest = overlap(&pick(&train), &pick(&test), &options).unwrap();
        assert_eq!(honest.verdict(), Verdict::Apart, "{seed}: {honest:?}");
        // One in a hundred.
        train.extend(&test[..20]);
        let found = equal(&pick(&train), &pick(&test));
        assert_eq!((found.verdict(), found.equal.count), (Verdict::Leak, 20), "{seed}");
        assert!(found.pairs.iter().zip(0..).all(|(pair, at)| {
            (pair.test, pair.train, pair.how) == (at, 8_000 + at, How::Equal)
        }));
    }
}

#[test]
fn honest_splits_of_lines_are_not_accused_and_copies_are_found() {
    let bytes = real("tinyshakespeare.txt.gz");
    let lines = str::from_utf8(&bytes).unwrap().lines().filter(|line| !line.trim().is_empty());
    let lines: Vec<&str> = lines.collect();
    for seed in 0..20 {
        let (mut train, test) = Draws(seed).split(lines.len(), lines.len() / 5);
        let pick = |picked: &[usize]| {
            let mut texts = Texts::new();
            picked.iter().for_each(|line| texts.push(lines[*line]).unwrap());
            Examples::Texts(texts)
        };
        let options = Options { near: seed < 1, ..Options::default() };
        let honest = overlap(&pick(&train), &pick(&test), &options).unwrap();
        assert_eq!(honest.verdict(), Verdict::Chance, "{seed}: {honest:?}");
        // One in fifty: of these lines a fifth recurs anyway, `ROMEO:` for one.
        train.extend(&test[..test.len() / 50]);
        let found = equal(&pick(&train), &pick(&test));
        assert_eq!(found.verdict(), Verdict::Leak, "{seed}: {:?}", found.equal);
    }
}

#[test]
fn numbers_are_numbers_and_columns_have_names() {
    let train = "id,x,kind\n1,1.0,a\n2,2.50,b\n3,,c\n4,4,d\n";
    let test = "kind,x,id\na,1,9\nb,25e-1,8\nc,NA,3\nd,4.0000001,4\nD,4,4\n";
    let [train, test] = [read("a.csv", train.as_bytes()), read("b.csv", test.as_bytes())];
    let with = |leave_out: &[&str]| {
        let leave_out = leave_out.iter().map(|name| (*name).to_owned()).collect();
        overlap(&train, &test, &Options { leave_out, near: true })
    };
    let pairs = |leave_out: &[&str]| {
        let found = with(leave_out).unwrap();
        found.pairs.iter().map(|pair| (pair.test, pair.train)).collect::<Vec<_>>()
    };
    assert_eq!(pairs(&[]), [(2, 2)]);
    assert_eq!(pairs(&["id"]), [(0, 0), (1, 1), (2, 2)]);
    assert_eq!(pairs(&["id", "kind"]), [(0, 0), (1, 1), (2, 2), (4, 3)]);
    assert_eq!(with(&["id"]).unwrap().columns, ["x", "kind"]);
    assert!(with(&[]).unwrap().near.is_none());
    let error = with(&["name"]).unwrap_err().to_string();
    assert_eq!(error, "there is no column 'name': there are id, x, kind");
    let error = with(&["id", "x", "kind"]).unwrap_err().to_string();
    assert!(error.contains("cannot be compared"), "{error}");
}

#[test]
fn a_test_set_without_labels_is_compared_in_what_it_has() {
    let train = read("a.csv", b"x,y,label\n1,2,a\n3,4,b\n");
    let test = read("b.jsonl", b"{\"y\": 4.0, \"x\": 3}\n{\"y\": 2, \"x\": 2}\n");
    let found = overlap(&train, &test, &Options::default()).unwrap();
    assert_eq!(found.columns, ["x", "y"]);
    assert_eq!((found.pairs.len(), found.pairs[0].test, found.pairs[0].train), (1, 0, 1));
}

#[test]
fn columns_of_texts_are_texts() {
    let csv = b"text,label\nTo be or not to be,1\nthat is the question,0\n";
    let jsonl = b"{\"id\": 1, \"text\": \" that is the question \"}\n{\"id\": 2, \"text\": null}\n";
    let [train, test] = [read("a.csv", csv), read("b", jsonl)];
    let found = overlap(&train, &test, &Options::default()).unwrap();
    assert_eq!((found.equal.count, found.pairs[0].train, found.train, found.test), (1, 1, 2, 2));
    let rows = Reading { rows: true, ..Reading::default() };
    assert!(matches!(examples("a.csv", csv, &rows).unwrap(), Examples::Rows(_)));
    let other = Reading { text: Some("label".into()), ..Reading::default() };
    assert!(matches!(examples("a.csv", csv, &other).unwrap(), Examples::Texts(_)));
    let error = overlap(&train, &examples("a.csv", csv, &rows).unwrap(), &Options::default());
    let error = error.unwrap_err().to_string();
    assert!(error.ends_with("the test set rows of 2 columns: they cannot be compared"), "{error}");
}

/// The order of the examples changes which pairs are listed, and nothing else.
#[test]
fn the_answer_is_one() {
    let bytes = real("tinyshakespeare.txt.gz");
    let lines: Vec<&str> = str::from_utf8(&bytes).unwrap().lines().take(6_000).collect();
    let of = |lines: &[&str]| read("a.txt", lines.join("\n").as_bytes());
    let (train, test) = lines.split_at(4_000);
    let test = &[test, &["Before we proceed any further, hear me speak now!"]].concat()[..];
    let found = overlap(&of(train), &of(test), &Options::default()).unwrap();
    assert_eq!(found, overlap(&of(train), &of(test), &Options::default()).unwrap());
    let [train, test] = [train, test].map(|lines| {
        let turned: Vec<&str> = lines.iter().rev().copied().collect();
        of(&turned)
    });
    let other = overlap(&train, &test, &Options::default()).unwrap();
    assert_eq!((&found.equal, &found.near), (&other.equal, &other.near));
    assert!(found.equal.count > 0 && found.near.unwrap().count > found.equal.count);
}

/// The same rows in another format are the same examples; the file is one of `exec/parquet/tests`.
#[test]
fn a_parquet_table_has_the_examples_of_its_csv() {
    let folder = format!("{}/../parquet/tests/files", env!("CARGO_MANIFEST_DIR"));
    let packed = |name: &str| std::fs::read(format!("{folder}/{name}.parquet")).unwrap();
    let (csv, parquet) = (real("penguins.csv"), packed("penguins"));
    let (lines, rows) = (read("penguins.csv", &csv), read("penguins", &parquet));
    assert_eq!((rows.len(), rows.sort()), (344, "rows of 7 columns".to_owned()));
    let all = overlap(&lines, &lines, &Options::default()).unwrap();
    for (train, test) in [(&lines, &rows), (&rows, &lines), (&rows, &rows)] {
        let found = overlap(train, test, &Options::default()).unwrap();
        assert_eq!((found.equal.count, found.pairs.len()), (344, all.pairs.len()));
    }
    let species = Reading { text: Some("species".to_owned()), ..Reading::default() };
    let texts = examples("a", &parquet, &species).unwrap();
    assert_eq!((texts.len(), texts.sort()), (344, "texts".to_owned()));
    let none = Reading { text: Some("tail".to_owned()), ..Reading::default() };
    let why = examples("a", &parquet, &none).unwrap_err().to_string();
    assert!(why.starts_with("there is no column 'tail': there are species, island"), "{why}");
    // Bytes that are no text, and nothing but a header.
    let bytes = read("a", &packed("plain"));
    let found = overlap(&bytes, &bytes, &Options::default()).unwrap();
    assert_eq!((bytes.len(), found.equal.count), (60, 60));
    assert!(examples("a", &packed("empty"), &Reading::default()).is_err());
    let why = examples("a", &packed("lz4"), &Reading::default()).unwrap_err().to_string();
    assert!(why.contains("the codec LZ4 is not read here"), "{why}");
}
