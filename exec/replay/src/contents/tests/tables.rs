//! Tables of which it is known what was changed.

use super::*;

fn table(a: &str, b: &str) -> TableChange {
    match of(a, b, "t.csv") {
        Inside::Table(change) => *change,
        other => panic!("{other:?}"),
    }
}

/// Rows added, removed, changed and moved.
fn rows(change: &TableChange) -> (u64, u64, u64, Option<u64>) {
    let rows = &change.rows;
    (rows.added, rows.removed, rows.changed, rows.moved)
}

fn flowers() -> Vec<String> {
    let row = |i: usize| format!("f{i},{}.{},{}", i % 7, i % 10, ["red", "blue"][i % 2]);
    (0..200).map(row).collect()
}

fn csv(header: &str, rows: &[String]) -> String {
    format!("{header}\n{}\n", rows.join("\n"))
}

const HEADER: &str = "name,length,colour";

#[test]
fn rows_that_came_went_and_changed() {
    let before = flowers();
    let mut after = before.clone();
    after.remove(10);
    after[50] = after[50].replace("red", "blue").replace("blue", "green");
    after.push("new,1.0,red".into());
    let change = table(&csv(HEADER, &before), &csv(HEADER, &after));
    assert_eq!((change.before_rows, change.after_rows), (200, 200));
    assert_eq!(rows(&change), (1, 1, 1, Some(0)));
    assert_eq!(change.rows.by, Paired::Key("name".into()));
    assert_eq!(change.cells, [ColumnCells { column: "colour".into(), cells: 1 }]);
    let [changed, removed, added] = change.examples.as_slice() else { panic!() };
    assert_eq!((changed.before_at, changed.after_at), (Some(53), Some(52)));
    assert_eq!(changed.key, Some(("name".into(), "f51".into())));
    assert_eq!(changed.cells[0].after.as_deref(), Some("green"));
    assert_eq!((removed.before_at, removed.cells[0].before.as_deref()), (Some(12), Some("f10")));
    assert_eq!((added.after_at, added.cells[0].after.as_deref()), (Some(201), Some("new")));
}

#[test]
fn an_order_that_changed_is_told() {
    let before = flowers();
    let after: Vec<String> = before.iter().rev().cloned().collect();
    let change = table(&csv(HEADER, &before), &csv(HEADER, &after));
    assert_eq!(rows(&change), (0, 0, 0, Some(199)));
    assert_eq!((change.rows.same, change.examples), (200, vec![]));
    // With an index that was written again, as pandas does, it is the same change.
    let numbered = |rows: &[String]| -> Vec<String> {
        rows.iter().enumerate().map(|(i, row)| format!("{i},{row}")).collect()
    };
    let header = format!("index,{HEADER}");
    let change = table(&csv(&header, &numbered(&before)), &csv(&header, &numbered(&after)));
    assert_eq!(
        (rows(&change), change.columns.numbering),
        ((0, 0, 0, Some(199)), vec!["index".into()])
    );
}

#[test]
fn without_a_key_rows_are_paired_by_where_they_stand() {
    let rows_of = |changed: bool| -> Vec<String> {
        let price = |i: usize| if changed && i % 50 == 3 { i % 4 + 100 } else { i % 4 };
        (0..200).map(|i| format!("{},{}", i % 5, price(i))).collect()
    };
    let (a, b) = (csv("kind,price", &rows_of(false)), csv("kind,price", &rows_of(true)));
    let change = table(&a, &b);
    assert_eq!(rows(&change), (0, 0, 4, Some(0)));
    assert_eq!(change.rows.by, Paired::Place);
    assert_eq!(change.cells, [ColumnCells { column: "price".into(), cells: 4 }]);
}

#[test]
fn every_row_of_one_column_may_change() {
    let scaled = |by: usize| -> Vec<String> {
        (0..300).map(|i| format!("{},{},x", 1000 + (i * 7919) % 3571, i * by)).collect()
    };
    let change = table(&csv("id,length,kind", &scaled(3)), &csv("id,length,kind", &scaled(5)));
    assert_eq!(rows(&change), (0, 0, 299, Some(0)));
    assert_eq!(change.rows.by, Paired::Key("id".into()));
    assert_eq!(change.cells, [ColumnCells { column: "length".into(), cells: 299 }]);
}

#[test]
fn columns_that_came_went_and_have_another_name_or_order() {
    let before = "a,b,c\n1,x,5\n2,y,6\n3,z,7\n";
    let change = table(before, "c,kind,a,new\n5,x,1,0\n6,y,2,0\n7,z,3,1\n");
    assert_eq!(change.columns.renamed, [("b".to_owned(), "kind".to_owned())]);
    assert_eq!(change.columns.added, ["new"]);
    assert_eq!((change.columns.reordered, change.columns.both), (true, 3));
    assert_eq!(rows(&change), (0, 0, 0, Some(0)));
    let change = table(before, "a,b\n1,x\n2,y\n3,z\n");
    assert_eq!((change.columns.removed, change.rows.same), (vec!["c".to_owned()], 3));
}

#[test]
fn numbers_that_are_written_otherwise_are_the_same() {
    let change = table("a,b\n1,1.50\n2,\n", "a,b\n1.0,1.5\n2.0,NA\n");
    assert_eq!(rows(&change), (0, 0, 0, Some(0)));
    assert_eq!(change.columns.rewritten, ["a", "b"]);
    let retyped = Retyped { column: "a".into(), before: Values::Integers, after: Values::Numbers };
    assert_eq!(change.columns.retyped, [retyped]);
    // But these are not: leading zeros, and what only a longer float tells apart.
    let change = table("a,b\n007,12345678901234567\n", "a,b\n7,12345678901234568\n");
    assert_eq!((rows(&change).2, change.cells.len()), (1, 2));
}

#[test]
fn forms_that_differ_are_told() {
    let (a, b) = ("a,b\n1,2\n3,4\n", "a;b\r\n1;2\r\n3;4\r\n");
    let change = table(a, b);
    assert_eq!(
        (change.form.as_slice(), rows(&change)),
        (&["delimiter ',' → ';'".to_owned()][..], (0, 0, 0, Some(0)))
    );
    let change = table("a,b\n1,2\n3,4\n", "1,2\n3,4\n");
    assert_eq!(
        (change.form.as_slice(), change.rows.same),
        (&["only the first names its columns".to_owned()][..], 2)
    );
    let Inside::Table(change) = of(gzipped(a), "a,b\n1,2\n3,5\n", "t.csv.gz") else { panic!() };
    assert_eq!(change.rows.changed, 1);
}

#[test]
fn json_lines_are_tables_too() {
    let a = "{\"id\":1,\"text\":\"a\"}\n{\"id\":3,\"text\":\"b\"}\n";
    let b = "{\"id\":1,\"text\":\"a\"}\n{\"text\":\"c\",\"id\":3,\"new\":true}\n";
    let Inside::Table(change) = of(a, b, "") else { panic!() };
    assert_eq!(
        (change.columns.added.as_slice(), change.rows.changed),
        (&["new".to_owned()][..], 1)
    );
    assert_eq!(change.rows.by, Paired::Key("id".into()));
    // A number is no text that looks like it.
    let Inside::Table(change) = of(a, a.replace("3", "\"3\""), "") else { panic!() };
    assert_eq!((change.rows.same, change.columns.retyped.len()), (1, 1));
}

#[test]
fn what_cannot_be_read_as_a_table_is_compared_as_text_with_the_reason() {
    let even: String = (0..2000).map(|i| format!("{i},{i}\n")).collect();
    let ragged = format!("{even}1,2,3\n");
    let Inside::Text(change) = of(&even, &ragged, "t.csv") else { panic!() };
    assert_eq!(change.added, 1);
    let why = change.why.unwrap();
    assert!(why.contains("line 2001 of the table has 3 fields"), "{why}");
    // Prose and programs are none, whatever stands in their lines.
    for (text, name) in [("Dear all,\nall is well,\nyours,\n", ""), ("1, 2\n3, 4\n", "x.py")] {
        assert!(matches!(of(text, format!("{text}x, y\n"), name), Inside::Text(_)), "{text}");
    }
}

#[test]
fn hostile_tables_end_in_words() {
    let cases = [
        "a,a\n1,2\n".to_owned(),
        "a,b\n\"1,2\n".to_owned(),
        format!("a,b\n{},1\n", "x".repeat(17 << 20)),
        (0..70_000).map(|i| i.to_string()).collect::<Vec<_>>().join(",") + "\n1,2\n",
    ];
    for case in cases {
        assert!(matches!(of(&case, "a,b\n1,2\n", "t.csv"), Inside::Text(_) | Inside::Table(_)));
        assert!(matches!(of("a,b\n1,2\n", &case, "t.csv"), Inside::Text(_) | Inside::Table(_)));
    }
    let change = table("a,b\n", "a,b\n1,2\n");
    assert_eq!((change.before_rows, change.after_rows, change.rows.added), (0, 1, 1));
}

/// Files of `exec/parquet/tests`: ten columns of what `plain` holds, in other pages, and a few of them.
fn parquet(name: &str) -> Vec<u8> {
    let top = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../parquet/tests/files");
    std::fs::read(top.join(name).with_extension("parquet")).unwrap()
}

#[test]
fn parquet_tables_are_compared_by_rows_and_not_by_pages() {
    let Inside::Table(change) = of(parquet("plain"), parquet("pages2"), "") else { panic!() };
    assert_eq!(rows(&change), (0, 0, 0, Some(0)));
    assert_eq!((change.rows.same, change.columns.both, change.cells.len()), (60, 21, 0));
    let Inside::Table(change) = of(parquet("plain"), parquet("snappy"), "") else { panic!() };
    assert_eq!((change.columns.removed.len(), change.rows.same), (18, 60));
    let Inside::Table(change) = of(parquet("empty"), parquet("plain"), "") else { panic!() };
    assert_eq!((change.rows.added, change.columns.both), (60, 21));
    // Other rows: the words and the numbers of another file, by its key.
    let Inside::Table(change) = of(parquet("deep"), parquet("deep2"), "") else { panic!() };
    assert_eq!(change.rows.same + change.rows.changed, 40);
    let Inside::Bytes(bytes) = of(parquet("plain"), parquet("lz4"), "") else { panic!() };
    assert!(bytes.why.unwrap().ends_with("the codec LZ4 is not read here"));
    let Inside::Bytes(bytes) = of(parquet("plain"), "one word\n", "") else { panic!() };
    assert_eq!(bytes.why.unwrap(), "only one of them is a table");
    let Inside::Bytes(bytes) = of(parquet("lz4"), "id\tb\n1\t2\n", "") else { panic!() };
    assert!(bytes.why.unwrap().ends_with("the codec LZ4 is not read here"));
}

/// The rows of penguins.csv, as they are and as Parquet.
#[test]
fn a_table_is_the_same_in_another_format() {
    let data =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/penguins.csv");
    let text = std::fs::read_to_string(data).unwrap();
    let packed = parquet("penguins");
    let Inside::Table(same) = of(&packed, &text, "") else { panic!() };
    assert_eq!(rows(&same), (0, 0, 0, Some(0)));
    assert_eq!((same.rows.same, same.columns.both, same.columns.retyped.len()), (344, 7, 0));
    assert_eq!(
        (same.form.as_slice(), same.counted),
        (["Parquet → CSV".to_owned()].as_slice(), (Counted::Rows, Counted::Lines),)
    );
    // One cell is another, and one row is gone; without names of columns, too, and gzipped.
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains("Torgersen,39.5")).collect();
    let changed = lines.join("\n").replacen("39.1", "39.2", 1);
    let nameless = gzipped(changed.split_once('\n').unwrap().1);
    for (other, name, line) in [(changed.as_bytes(), "", 2), (nameless.as_slice(), "p.csv.gz", 1)] {
        let Inside::Table(change) = of(other, &packed, name) else { panic!() };
        assert_eq!(rows(&change), (1, 0, 1, Some(0)), "{:?}", change.form);
        let example = &change.examples[0];
        assert_eq!((example.before_at, example.after_at), (Some(line), Some(1)));
        assert_eq!(example.cells[0].before.as_deref(), Some("39.2"));
        assert_eq!(change.counted, (Counted::Lines, Counted::Rows));
    }
}

#[test]
fn json_lines_and_csv_are_compared_as_fields() {
    let objects = "{\"id\":\"7\",\"ok\":true,\"at\":\"2024-01-01T00:00:00Z\"}\n{\"id\":\"8\",\"ok\":null,\"at\":\"\"}\n";
    let fields = "id,ok,at\n7,True,2024-01-01 00:00:00+00\n8,,\n";
    let Inside::Table(same) = of(objects, fields, "a.jsonl") else { panic!() };
    assert_eq!((rows(&same), same.rows.same), ((0, 0, 0, Some(0)), 2));
    assert_eq!(same.form, ["JSON lines → CSV"]);
    let other = fields.replace("8,,", "8,false,");
    let Inside::Table(change) = of(&other, objects, "a.jsonl") else { panic!() };
    assert_eq!((rows(&change), change.cells[0].column.as_str()), ((0, 0, 1, Some(0)), "ok"));
    // Prose beside objects is no table.
    assert!(matches!(of(objects, "One, two.\nThree, four.\n", "a.txt"), Inside::Text(_)));
}
