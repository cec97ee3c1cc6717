//! CSV and JSON lines: real tables, and everything that must be refused.
#![allow(clippy::unwrap_used)]

use std::io::Write;

use lab_data::{Cells, CsvForm, DataError, Role, Table, csv, csv_cells, jsonl, jsonl_cells};

const COMMA: CsvForm = CsvForm { header: true, delimiter: b',' };
const BARE: CsvForm = CsvForm { header: false, delimiter: b',' };

/// A file of the real data in the repository.
fn real(path: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../../{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

fn all(role: Role) -> impl FnOnce(&[String]) -> Result<Vec<Role>, DataError> {
    move |names| Ok(vec![role; names.len()])
}

fn numbers<'a>(table: &'a Table, name: &str) -> &'a [f64] {
    match &table.columns.iter().find(|column| column.name == name).unwrap().cells {
        Cells::Numbers(numbers) => numbers,
        other => panic!("{other:?}"),
    }
}

fn text<'a>(table: &'a Table, name: &str) -> (&'a [String], &'a [u32]) {
    match &table.columns.iter().find(|column| column.name == name).unwrap().cells {
        Cells::Text { values, codes } => (values, codes),
        other => panic!("{other:?}"),
    }
}

fn csv_error(bytes: &[u8], form: CsvForm, role: Role) -> String {
    csv(bytes, form, all(role)).unwrap_err().to_string()
}

fn jsonl_error(text: &str, role: Role) -> String {
    jsonl(text.as_bytes(), all(role)).unwrap_err().to_string()
}

#[test]
fn penguins_are_read() {
    let bytes = real("tests/data/penguins.csv");
    for bytes in [gzip(&bytes), bytes] {
        let roles = |names: &[String]| {
            assert_eq!(names[0], "species");
            let word = |name: &String| matches!(name.as_str(), "species" | "sex");
            let role = |name| if word(name) { Role::Text } else { Role::Number };
            let mut roles: Vec<Role> = names.iter().map(role).collect();
            roles[1] = Role::Skip;
            Ok::<_, DataError>(roles)
        };
        let table = csv(bytes.as_slice(), COMMA, roles).unwrap();
        assert_eq!((table.rows, table.columns.len(), table.lines.len()), (344, 7, 344));
        assert_eq!((table.lines[0], table.lines[343]), (2, 345));
        assert!(matches!(table.columns[1].cells, Cells::Skipped));
        let known = |name| numbers(&table, name).iter().filter(|x| !x.is_nan());
        assert_eq!(known("body_mass_g").count(), 342);
        assert_eq!(known("body_mass_g").sum::<f64>(), 1_437_000.0);
        assert_eq!(known("flipper_length_mm").sum::<f64>(), 68_713.0);
        assert_eq!(numbers(&table, "body_mass_g")[3].to_bits(), lab_data::MISSING_F64.to_bits());
        assert_eq!(text(&table, "species").0, ["Adelie", "Chinstrap", "Gentoo"]);
        let (sexes, codes) = text(&table, "sex");
        assert_eq!(sexes, ["MALE", "FEMALE"]);
        assert_eq!(codes.iter().filter(|code| **code == Table::MISSING).count(), 11);
    }
}

#[test]
fn diamonds_and_digits_are_read() {
    let bytes = real("tests/data/diamonds.csv.gz");
    let words = ["cut", "color", "clarity"];
    let role = |name: &String| if words.contains(&&**name) { Role::Text } else { Role::Number };
    let roles = |names: &[String]| Ok::<_, DataError>(names.iter().map(role).collect());
    let table = csv(bytes.as_slice(), COMMA, roles).unwrap();
    assert_eq!(table.rows, 53_940);
    assert_eq!(numbers(&table, "price").iter().sum::<f64>(), 212_135_217.0);
    let cuts = ["Ideal", "Premium", "Good", "Very Good", "Fair"];
    assert_eq!(text(&table, "cut").0, cuts);

    let bytes = real("cli/data/digits.csv.gz");
    let table = csv(bytes.as_slice(), BARE, all(Role::Number)).unwrap();
    assert_eq!((table.rows, table.columns.len()), (1797, 65));
    let sum: f64 = table.columns.iter().flat_map(|c| numbers(&table, &c.name)).sum();
    assert_eq!(sum, DIGITS_SUM);
    assert_eq!(numbers(&table, "64").iter().filter(|x| **x == 3.0).count(), 183);
}

const DIGITS_SUM: f64 = 569_788.0;

#[test]
fn cells_are_trimmed_and_lines_counted() {
    let bytes = b"\xef\xbb\xbfa, b ,\"c\"\r\n\r\n 1 ,+2.5e0,x\n\n\"3\",\" 4 \",\"say \"\"x\"\"\n, y\"\n5,NA, \n6,?,?";
    let roles = |names: &[String]| {
        assert_eq!(names, ["a", "b", "c"]);
        Ok::<_, DataError>(vec![Role::Number, Role::Number, Role::Text])
    };
    let table = csv(&bytes[..], COMMA, roles).unwrap();
    assert_eq!(table.lines, [3, 5, 7, 8]);
    assert_eq!(numbers(&table, "a"), [1.0, 3.0, 5.0, 6.0]);
    assert_eq!(numbers(&table, "b")[..2], [2.5, 4.0]);
    assert!(numbers(&table, "b")[2..].iter().all(|x| x.is_nan()));
    let (values, codes) = text(&table, "c");
    assert_eq!(values, ["x", "say \"x\"\n, y"]);
    assert_eq!(codes, [0, 1, Table::MISSING, Table::MISSING]);
    let tabs = CsvForm { header: false, delimiter: b'\t' };
    let table = csv(&b"1\t\t3\n"[..], tabs, all(Role::Number)).unwrap();
    assert_eq!((numbers(&table, "2"), numbers(&table, "1")[0].is_nan()), (&[3.0][..], true));
}

#[test]
fn csv_errors_say_where() {
    let error = |text: &str| csv_error(text.as_bytes(), BARE, Role::Number);
    assert_eq!(error("1,2\n2,3,3\n"), "line 2 of the table has 3 fields, the lines before it 2");
    assert_eq!(error("1,2\n\n\n3"), "line 4 of the table has 1 fields, the lines before it 2");
    assert_eq!(error("1,2\n1,two\n"), "line 2 of the table, column 1: 'two' is not a number");
    assert_eq!(error("1,inf\n"), "line 1 of the table, column 1: 'inf' is not finite");
    assert_eq!(error("1,1e39\n"), "line 1 of the table, column 1: '1e39' is not finite");
    assert_eq!(error("1,NAN\n"), "line 1 of the table, column 1: 'NAN' is not finite");
    assert_eq!(error("1,0x10\n"), "line 1 of the table, column 1: '0x10' is not a number");
    assert_eq!(error(""), "too few rows: the table is empty");
    assert_eq!(error("\n\n"), "too few rows: the table is empty");
    assert_eq!(error("1,2\n3,\"4\n5,6\n"), "line 2 of the table: a quote is not closed");
    assert_eq!(error("1,\"2\"3\n"), "line 1 of the table: text stands after a closing quote");
    assert_eq!(error("1,2\r3,4\r"), "line 1 of the table: a carriage return stands inside a row");
    let error = |text: &[u8]| csv_error(text, COMMA, Role::Text);
    assert_eq!(error(b"a,b,a\n"), "the table has two columns named 'a': 0 and 2, from 0");
    assert_eq!(error(b"a,b\nx,\xff\n"), "line 2 of the table, column b: '\u{fffd}' is not UTF-8");
    assert_eq!(error(b"a,\xff\n"), "line 1 of the table, column 1: '\u{fffd}' is not UTF-8");
    assert!(
        error(format!("a\n{}\n", "x".repeat(257)).as_bytes()).ends_with("too long for a label")
    );
    for delimiter in [b'"', b'\n', b'\r', b'a', b'0', b'-', 0xe9] {
        let form = CsvForm { header: true, delimiter };
        assert!(csv_error(b"x\n", form, Role::Text).contains("cannot be a delimiter"));
    }
    let few = csv(&b"a,b\n"[..], COMMA, |_| Ok::<_, DataError>(vec![Role::Skip])).unwrap_err();
    assert_eq!(few.to_string(), "1 roles for 2 columns of the table");
}

#[test]
fn skipped_columns_are_not_looked_at() {
    let roles = |_: &[String]| Ok::<_, DataError>(vec![Role::Skip, Role::Number]);
    let table = csv(&b"a,b\n\xff,1\n"[..], COMMA, roles).unwrap();
    assert_eq!((table.rows, numbers(&table, "b")), (1, &[1.0][..]));
    let header = csv(&b"a,b\n"[..], COMMA, all(Role::Number)).unwrap();
    assert_eq!((header.rows, numbers(&header, "b").len()), (0, 0));
}

#[test]
fn the_callers_error_comes_through() {
    #[derive(Debug)]
    enum Mine {
        Data,
        NoLabel,
    }
    impl From<DataError> for Mine {
        fn from(_: DataError) -> Self {
            Mine::Data
        }
    }
    let no = |_: &[String]| Err(Mine::NoLabel);
    assert!(matches!(csv(&b"a\n1\n"[..], COMMA, no), Err(Mine::NoLabel)));
    assert!(matches!(csv(&b""[..], COMMA, no), Err(Mine::Data)));
    assert!(matches!(jsonl(&b"{\"a\":1}"[..], no), Err(Mine::NoLabel)));
}

#[test]
fn rows_without_end_are_stopped() {
    let long = gzip(&vec![b'1'; 40 << 20]);
    let expected = "line 1 of the table: a row of the table is longer than 16777216 bytes";
    assert_eq!(csv_error(&long, BARE, Role::Number), expected);
    assert_eq!(jsonl(long.as_slice(), all(Role::Number)).unwrap_err().to_string(), expected);
    // A quote that is never closed, over many short lines: linear, and stopped as well.
    let quoted = gzip(&[&b"1,\""[..], &b"\n".repeat(40 << 20)].concat());
    assert!(csv_error(&quoted, BARE, Role::Number).contains("longer than"));
    let wide = gzip(&b",".repeat(1 << 16));
    assert_eq!(csv_error(&wide, BARE, Role::Skip), "columns of the table: the limit is 65536");
    let labels: String = (0..=1 << 16).map(|i| format!("{i}\n")).collect();
    let error = csv_error(labels.as_bytes(), BARE, Role::Text);
    assert_eq!(error, "distinct labels of a column: the limit is 65536");
    let cut = &gzip(b"1,2\n3,4\n")[..20];
    assert_eq!(csv_error(cut, BARE, Role::Number), "cannot read the table");
}

#[test]
fn json_lines_are_read() {
    let lines = concat!(
        "{\"z\": 1.5, \"a\": \"x\", \"b\": true}\n\n",
        "{\"a\": 3.0, \"z\": -2e3}\r\n",
        "{\"b\": null, \"a\": \"\\u00e9\\n\", \"z\": 0.1}",
    );
    let roles = |names: &[String]| {
        assert_eq!(names, ["z", "a", "b"]);
        Ok::<_, DataError>(vec![Role::Number, Role::Text, Role::Number])
    };
    for bytes in [gzip(lines.as_bytes()), lines.as_bytes().to_vec()] {
        let table = jsonl(bytes.as_slice(), roles).unwrap();
        assert_eq!(table.lines, [1, 3, 4]);
        assert_eq!(numbers(&table, "z"), [1.5, -2000.0, 0.1]);
        assert_eq!(text(&table, "a").0, ["x", "3.0", "é\n"]);
        let b = numbers(&table, "b");
        assert!(b.len() == 3 && b[0] == 1.0 && b[1].is_nan() && b[2].is_nan());
        assert_eq!((numbers(&table, "z").len(), text(&table, "a").1.len()), (3, 3));
    }
}

#[test]
fn json_numbers_are_the_nearest_floats() {
    // Numbers on which parsers that multiply by powers of ten are one unit off.
    for digits in [
        "0.1",
        "9007199254740993",
        "1.7976931348623157e30",
        "2.2250738585072011e-308",
        "123456789.123456789e-30",
        "0.3333333333333333148",
    ] {
        let line = format!("{{\"a\":{digits}}}");
        let table = jsonl(line.as_bytes(), all(Role::Number)).unwrap();
        let exact: f64 = digits.parse().unwrap();
        assert_eq!(numbers(&table, "a")[0].to_bits(), exact.to_bits());
    }
}

#[test]
fn json_errors_say_where() {
    let error = |text: &str| jsonl_error(text, Role::Number);
    assert_eq!(
        error("{\"a\":1}\n{\"a\":1,\"b\":2}"),
        "line 2 of the table: the first object has no key 'b'"
    );
    assert_eq!(
        error("{\"a\":\"1\"}"),
        "line 1 of the table, column a: '\\\"1\\\"' is not a number"
    );
    assert_eq!(error("{\"a\":[1]}"), "line 1 of the table, column a: '[1]' is not a number");
    assert_eq!(error("{\"a\":1e999}"), "line 1 of the table, column a: '1e999' is not finite");
    assert!(error("{\"a\":1}\n{\"a\":1,\"a\":2}").contains("line 2 of the table"));
    assert!(error("{\"a\":NaN}").contains("not a JSON object"));
    assert!(error("{\"a\":1}{\"a\":2}").contains("not a JSON object"));
    assert!(error("[1]").contains("not a JSON object"));
    assert!(error("{\n\"a\":1}").contains("line 1 of the table: not a JSON object"));
    assert_eq!(error("{}"), "line 1 of the table: the first object has no keys");
    assert_eq!(error(""), "too few rows: the table is empty");
    assert!(jsonl_error("{\"a\":{\"b\":1}}", Role::Text).ends_with("is not a string"));
    assert!(jsonl_error("{\"a\":\"\\ud800\"}", Role::Text).ends_with("is not a string"));
    assert!(jsonl(&b"{\"a\":\"\xff\"}"[..], all(Role::Text)).is_err());
    // Deep nesting is passed over in a skipped column, or refused, but never a stack overflow.
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(1 << 20), "]".repeat(1 << 20));
    let _ = jsonl(deep.as_bytes(), all(Role::Skip));
}

/// The cells of a table, row by row, `-` where missing.
fn written(cells: &[Option<&str>]) -> String {
    cells.iter().map(|cell| cell.unwrap_or("-")).collect::<Vec<_>>().join("|")
}

#[test]
fn cells_are_given_as_they_are_written() {
    let rows = |text: &str, form| {
        let mut rows = Vec::new();
        let names = csv_cells(text.as_bytes(), form, |names, cells| {
            rows.push(format!("{}: {}", names.join(" "), written(cells)));
            Ok::<(), DataError>(())
        });
        names.map(|names| (names, rows))
    };
    let (names, all) = rows("x,y\n1.0,\"a, b\"\nNA, 1 \n", COMMA).unwrap();
    assert_eq!(
        (names.join(","), all),
        ("x,y".into(), vec!["x y: 1.0|a, b".into(), "x y: -|1".into()])
    );
    let (names, all) = rows("x,y\n", BARE).unwrap();
    assert_eq!((names.join(","), all.len()), ("0,1".into(), 1));
    assert_eq!(rows("x,y\n", COMMA).unwrap().1.len(), 0);
    for (text, why) in [
        ("", "is empty"),
        ("x,x\n", "two columns"),
        ("x,y\n1\n", "line 2 of the table has 1 fields"),
        ("x,y\n\"1", "a quote is not closed"),
    ] {
        let error = rows(text, COMMA).unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
    // As many different and long texts as there are: nothing is learned from them.
    let long: String = (0..70_000).map(|i| format!("{i} {}\n", "x".repeat(300))).collect();
    assert_eq!(rows(&long, BARE).unwrap().1.len(), 70_000);
    let bytes = csv_cells(&b"x\n\xff\n"[..], COMMA, |_, _| Ok::<(), DataError>(()));
    assert_eq!(
        bytes.unwrap_err().to_string(),
        "line 2 of the table, column x: '\u{fffd}' is not UTF-8"
    );
}

#[test]
fn values_are_given_as_they_are_written() {
    let rows = |text: &str| {
        let mut rows = Vec::new();
        let names = jsonl_cells(text.as_bytes(), |_, cells| {
            rows.push(written(cells));
            Ok::<(), DataError>(())
        });
        names.map(|names| (names.join(","), rows))
    };
    let text = "{\"a\": 1.0, \"b\": \"\\u00e9\", \"c\": [1, 2]}\n\n{\"c\": true, \"a\": null}\n";
    let found = rows(text).unwrap();
    assert_eq!(found, ("a,b,c".into(), vec!["1.0|é|[1, 2]".into(), "-|-|true".into()]));
    for (text, why) in [
        ("", "is empty"),
        ("{}\n", "no keys"),
        ("{\"a\": 1}\n{\"b\": 1}\n", "no key 'b'"),
        ("{\"a\": 1}\n[1]\n", "line 2 of the table: not a JSON object"),
        ("{\"a\": \"\\ud800\"}\n", "line 1 of the table"),
    ] {
        let error = rows(text).unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}
