//! Tables of which nobody has said how they are written.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::collections::BTreeMap;

use common::{DIGITS_CSV, data, put, store};
use lab_objects::{Silent, Store};
use lab_schema::{ContentId, Outcome, Recipe};
use lab_tensor::{Baseline, Program, Result, execute};
use serde_json::{Value, json};

const PROGRAM: &str = "[inputs]\ndata = \"data\"\n[prepare]\ntable = \"data\"\nlabel = -1\n";

/// The program whose stage `prepare` has these settings besides, and its recipe on a table.
fn recipe(input: ContentId, changes: &[(&str, &str)]) -> Recipe {
    let mut program = Program::parse(PROGRAM).unwrap();
    let changes: Vec<(String, &str)> =
        changes.iter().map(|(key, value)| (format!("prepare.{key}"), *value)).collect();
    let changes: Vec<(&str, &str)> = changes.iter().map(|(k, v)| (k.as_str(), *v)).collect();
    program.set_all(&changes).unwrap();
    program.stages()[0].recipe([("table".parse().unwrap(), input)].into()).unwrap()
}

/// Prepares a table.
fn prepared(store: &Store, table: &[u8], changes: &[(&str, &str)]) -> Result<Outcome> {
    execute(store, &recipe(put(store, table), changes), &Silent)
}

fn json(store: &Store, outcome: &Outcome) -> Value {
    let ContentId::Blob(id) = outcome.outputs[&"prepare.json".parse().unwrap()] else { panic!() };
    serde_json::from_slice(&store.read_blob(id, 1 << 20).unwrap()).unwrap()
}

/// What was found out about the table, and the names of its features.
fn found(table: &str, changes: &[(&str, &str)]) -> (Value, Value) {
    let store = store();
    let outcome = prepared(&store, table.as_bytes(), changes).unwrap();
    let json = json(&store, &outcome);
    (json["found"].clone(), json["features"].clone())
}

fn error(table: &str, changes: &[(&str, &str)]) -> String {
    prepared(&store(), table.as_bytes(), changes).unwrap_err().to_string()
}

/// Rows `0 1 a`, `1 4 b`, ..., with something between the cells.
fn rows(n: usize, between: &str) -> String {
    let row = |i: usize| [i.to_string(), (i * i % 7).to_string(), ["a", "b"][i % 2].to_owned()];
    (0..n).map(|i| row(i).join(between) + "\n").collect()
}

#[test]
fn what_is_found_out_is_what_can_be_said() {
    let store = store();
    let (penguins, diamonds) = (data("penguins.csv"), data("diamonds.csv.gz"));
    for (table, label, words, missing, target) in [
        (&penguins, "species", "['island', 'sex']", "median", "class"),
        (&diamonds, "price", "['cut', 'color', 'clarity']", "error", "number"),
    ] {
        let open = [("label", label), ("missing", missing), ("target", target)];
        let said = [&open[..], &[("header", "true"), ("delimiter", "','"), ("categories", words)]];
        let auto = prepared(&store, table, &open).unwrap();
        let said = prepared(&store, table, &said.concat()).unwrap();
        for part in ["train", "validation", "test"] {
            let part = format!("{part}.safetensors").parse().unwrap();
            assert_eq!(auto.outputs[&part], said.outputs[&part], "{label}");
        }
        let (mut auto, said) = (json(&store, &auto), json(&store, &said));
        let words: Value = serde_json::from_str(&words.replace('\'', "\"")).unwrap();
        let found = json!({ "delimiter": ",", "header": true, "categories": words });
        assert_eq!(auto.as_object_mut().unwrap().remove("found"), Some(found));
        // What was said was not found.
        assert_eq!(auto, said);
    }
}

#[test]
fn a_baseline_needs_no_more_than_the_label() {
    let store = store();
    for (baseline, table, label, metric, least) in [
        ("mlp", data("penguins.csv"), "species", "accuracy", 0.95),
        ("linear", data("penguins.csv"), "species", "accuracy", 0.95),
        ("mlp-regression", data("diamonds.csv.gz"), "price", "r2", 0.9),
    ] {
        let mut program = Program::parse(Baseline::find(baseline).unwrap().text).unwrap();
        program.set("prepare.label", label).unwrap();
        if baseline == "mlp-regression" {
            program.set_all(&[("train.epochs", "1"), ("train.hidden", "[32]")]).unwrap();
        }
        let input = put(&store, &table);
        let kernels = lab_arithmetic::Kernels::detect();
        let runs = common::run(&store, &program, input, kernels).unwrap();
        let found = runs["evaluate"].1.metrics[metric].get();
        assert!(found > least, "{baseline}: {found}");
    }
}

/// Numbers between commas leave the same bytes whether it was said or found out, so that results of
/// programs from before anything was found out stay those of today.
#[test]
fn a_plain_table_shows_nothing() {
    let store = store();
    let said = [("header", "false"), ("delimiter", "','"), ("categories", "[]")];
    let auto = prepared(&store, DIGITS_CSV, &[]).unwrap();
    assert_eq!(auto.outputs, prepared(&store, DIGITS_CSV, &said).unwrap().outputs);
    assert!(json(&store, &auto).get("found").is_none());
    // What was asked is another matter: the recipe says it.
    let input = put(&store, DIGITS_CSV);
    let shown = |changes: &[(&str, &str)]| {
        let recipe = recipe(input, changes);
        ["delimiter", "header", "categories"].map(|key| recipe.params()[key].to_string())
    };
    assert_eq!(shown(&[]), ["\"auto\"", "\"auto\"", "\"auto\""]);
    assert_eq!(shown(&said), ["\",\"", "false", "[]"]);
}

#[test]
fn delimiters_are_found() {
    for (delimiter, shown) in [(";", ";"), ("|", "|"), ("\t", "\t"), (",", ",")] {
        let text = format!("{}\n{}", ["x", "y", "kind"].join(delimiter), rows(20, delimiter));
        let (found, features) = found(&text, &[]);
        let expected = json!({ "delimiter": shown, "header": true, "categories": [] });
        assert_eq!((found, features), (expected, json!(["x", "y"])));
    }
    // Only what was left open is said.
    let text = rows(20, ";");
    assert_eq!(found(&text, &[("delimiter", "';'")]).0, Value::Null);
    let (found, _) = found(&text, &[("header", "false"), ("categories", "[]")]);
    assert_eq!(found, json!({ "delimiter": ";" }));
    let both: String = (0..20).map(|i| format!("{i},5;{i},7;a\n")).collect();
    assert_eq!(
        error(&both, &[]),
        "prepare.delimiter cannot be told from the table: ',' and ';' can cut its first lines: say which"
    );
    assert_eq!(
        error("a b c\n1 2 3\n", &[]),
        "prepare.delimiter cannot be told from the table: none of ',', ';', '|' and tab cuts its \
         first line, 'a b c'"
    );
    // A row that is wrong is named, by its line.
    assert_eq!(
        error(&(rows(20, ",") + "1,2\n" + &rows(9, ",")), &[]),
        "line 21 of the table has 2 fields, the lines before it 3"
    );
    assert_eq!(error("", &[]), "too few rows: the table is empty");
    assert_eq!(error("\n\n", &[]), "too few rows: the table is empty");
}

#[test]
fn a_header_is_told_by_what_stands_below_it() {
    let header = |first: &str, rows: &str, changes: &[(&str, &str)]| {
        let (found, features) = found(&format!("{first}\n{rows}"), changes);
        let header = found.get("header").cloned().unwrap_or(false.into());
        (header.as_bool().unwrap(), features)
    };
    let rows = rows(20, ",");
    assert_eq!(header("x,y,kind", &rows, &[]), (true, json!(["x", "y"])));
    assert_eq!(header("7,8,a", &rows, &[]), (false, json!(["0", "1"])));
    // A first cell without a name, as pandas writes it, and one that is missing.
    assert_eq!(header(",y,kind", &rows, &[]), (true, json!(["", "y"])));
    assert!(!header("NA,8,a", &rows, &[("missing", "mean")]).0);
    // Years as names: only a column that is called by its name tells.
    let unclear = "prepare.header cannot be told from the table: its first line has 'x' above \
                   numbers, but also the number '2019': say true if it names the columns, else false";
    assert_eq!(error(&format!("x,2019,kind\n{rows}"), &[]), unclear);
    assert_eq!(header("x,2019,kind", &rows, &[("label", "kind")]), (true, json!(["x", "2019"])));
    assert!(header("x,2019,kind", &rows, &[("ignore", "['kind']"), ("label", "1")]).0);
    assert_eq!(header("x,2019,kind", &rows, &[("header", "true")]).1, json!(["x", "2019"]));
    // A first row with a cell that is wrong is no header.
    assert_eq!(
        error(&format!("1.x,8,a\n{rows}"), &[]),
        unclear.replace("'x'", "'1.x'").replace("2019", "8")
    );
    assert_eq!(
        error(&format!("1.x,8,a\n{rows}"), &[("header", "false")]),
        "line 1 of the table, column 0: '1.x' is not a number (columns of words: see \
         prepare.categories, prepare.ignore)"
    );
    // Words alone: a word twice is no name.
    let words: String = (0..20).map(|i| ["n,y,n,a\n", "y,n,n,b\n"][i % 2]).collect();
    assert!(!header("y,n,n,a", &words, &[]).0);
    assert_eq!(
        error(&format!("one,two,three,kind\n{words}"), &[]),
        "prepare.header cannot be told from the table: its first line has no number, and no word \
         above numbers: say true if it names the columns, else false"
    );
    let (found, features) = header("one,two,three,kind", &words, &[("label", "kind")]);
    assert!(found);
    assert_eq!(features, json!(["one=n", "one=y", "two=n", "two=y", "three=n"]));
    // A name that no column has says so.
    assert_eq!(
        error(&format!("x,y,kind\n{rows}"), &[("label", "sort")]),
        "prepare.label is \"sort\", but the table has the columns x, y, kind"
    );
}

#[test]
fn a_wrong_cell_in_a_column_of_numbers_is_named_and_makes_no_words_of_it() {
    for wrong in [1, 40, 999, 1001, 9_999] {
        let row = |i: usize| match i == wrong {
            true => "12.x,1,a\n".to_owned(),
            false => format!("{i},{},{}\n", i % 5, ["a", "b"][i % 2]),
        };
        let text: String = (0..10_000).map(row).collect();
        assert_eq!(
            error(&format!("x,y,kind\n{text}"), &[]),
            format!(
                "line {} of the table, column x: '12.x' is not a number (columns of words: see \
                 prepare.categories, prepare.ignore)",
                wrong + 2
            )
        );
    }
    // Half words, half numbers: neither is silently made of it.
    let half: String = (0..40).map(|i| format!("{},{i},a\n7,{i},b\n", ["u", "v"][i % 2])).collect();
    assert!(error(&half, &[]).starts_with("line 1 of the table, column 0: 'u' is not a number"));
    assert_eq!(found(&half, &[("categories", "[0]")]).1, json!(["0=7", "0=u", "0=v", "1"]));
    // Where nine of ten are words the others are, too; one less, and none is.
    let most = |words: usize| -> String {
        let cell = |i: usize| if i < words { ["u", "v"][i % 2] } else { "7" };
        (0..40).map(|i| format!("{},{i},{}\n", cell(i), i % 2)).collect()
    };
    let (said, features) = found(&most(36), &[("header", "false")]);
    assert_eq!(said["categories"], json!(["0"]));
    assert_eq!(features, json!(["0=7", "0=u", "0=v", "1"]));
    assert!(error(&most(35), &[("header", "false")]).contains("'u' is not a number"));
    // Numbers with a comma for the point are no words.
    let commas: String = (0..20).map(|i| format!("{i},5;{};a\n{i};1;b\n", i % 3)).collect();
    assert!(error(&commas, &[]).contains("line 1 of the table, column 0: '0,5' is not a number"));
    // What is not known counts for nothing, and a column of nothing else is no words.
    let gaps: String = (0..40)
        .map(|i| format!("NA,{},{}\n", ["?", "u"][usize::from(i % 13 == 0)], i % 2))
        .collect();
    assert_eq!(
        error(&gaps, &[("missing", "mean"), ("header", "false")]),
        "column 0 has no value in the training rows"
    );
    let (found, features) =
        found(&gaps, &[("missing", "mean"), ("header", "false"), ("ignore", "[0]")]);
    assert_eq!(
        (found["categories"].clone(), features),
        (json!(["1"]), json!(["1=missing", "1=u"]))
    );
}

#[test]
fn columns_of_too_many_words_are_left_to_the_person() {
    let advice =
        "leave it out by prepare.ignore, or list all columns of words in prepare.categories";
    let table = |n: usize, names: usize| -> String {
        (0..n).map(|i| format!("n{},{},{}\n", i % names, i % 5, ["a", "b"][i % 2])).collect()
    };
    let error = |n, names| error(&table(n, names), &[]);
    let unclear = |distinct: usize, rows: usize| {
        let said = format!("column 0 has {distinct} different words in {rows} rows: {advice}");
        format!("prepare.categories cannot be told from the table: {said}")
    };
    assert_eq!(error(60, 60), unclear(60, 60));
    assert_eq!(error(60, 31), unclear(31, 60));
    assert_eq!(error(400, 101), unclear(101, 400));
    // Of a long table its first rows tell.
    assert_eq!(error(5000, 4000), unclear(1000, 1000));
    let late: String =
        table(1000, 50) + &(0..1000).map(|i| format!("m{i},1,a\n")).collect::<String>();
    assert_eq!(self::error(&late, &[]), unclear(1050, 2000));
    for (n, names) in [(60, 30), (400, 100)] {
        let (found, features) = found(&table(n, names), &[]);
        assert_eq!(found["categories"], json!(["0"]));
        assert!(features.as_array().unwrap().len() > names / 2);
    }
    // What was asked for is done.
    let (_, features) = found(&table(400, 101), &[("categories", "[0]")]);
    assert!(features.as_array().unwrap().len() > 90);
    assert_eq!(found(&table(400, 400), &[("ignore", "[0]")]).1, json!(["1"]));
    // What is no feature may be what it likes: the label, groups, keys.
    for key in ["group", "key"] {
        assert_eq!(found(&table(400, 200), &[(key, "0")]).1, json!(["1"]));
    }
    assert_eq!(found(&table(400, 200), &[("label", "0"), ("ignore", "[2]")]).1, json!(["1"]));
}

#[test]
fn json_lines_have_columns_of_words_too() {
    let row = |i: usize| {
        format!(
            "{{\"n\": {i}, \"w\": \"{}\", \"b\": {}, \"kind\": {}}}\n",
            i % 3,
            i.is_multiple_of(2),
            i % 2
        )
    };
    let text: String = (0..40).map(row).collect();
    let (said, features) = found(&text, &[("format", "jsonl"), ("label", "kind")]);
    assert_eq!(said, json!({ "categories": ["w"] }));
    assert_eq!(features, json!(["n", "w=0", "w=1", "w=2", "b"]));
    let wrong = text + "{\"n\": \"7\", \"w\": \"1\", \"b\": true, \"kind\": 1}\n";
    let error = error(&wrong, &[("format", "jsonl"), ("label", "kind")]);
    assert!(
        error.starts_with(r#"line 41 of the table, column n: '\"7\"' is not a number"#),
        "{error}"
    );
    let empty = prepared(&store(), b"", &[("format", "jsonl")]).unwrap_err().to_string();
    assert_eq!(empty, "too few rows: the table is empty");
}

#[test]
fn what_is_no_such_setting_is_refused() {
    let set = |key: &str, value: &str| {
        let mut program = Program::parse(PROGRAM).unwrap();
        program.set(&format!("prepare.{key}"), value).unwrap_err().to_string()
    };
    assert_eq!(
        set("header", "maybe"),
        "prepare.header = \"maybe\": true, false or \"auto\" is needed"
    );
    assert_eq!(set("header", "1"), "prepare.header = 1: true, false or \"auto\" is needed");
    for value in ["island", "true", "['']", "[1.5]"] {
        let needed = ": a list of columns' names or indices, or \"auto\" is needed";
        assert!(set("categories", value).ends_with(needed), "{}", set("categories", value));
    }
    assert!(set("ignore", "auto").ends_with("a list of columns' names or indices is needed"));
    assert!(set("delimiter", "' '").starts_with("prepare.delimiter = \" \": one of "));
}

/// The order in which the columns come is that of the table, whatever was found.
#[test]
fn what_is_found_does_not_depend_on_anything_else() {
    let store = store();
    let table = data("penguins.csv");
    let open = [("label", "species"), ("missing", "median")];
    let outputs: Vec<BTreeMap<_, _>> =
        (0..3).map(|_| prepared(&store, &table, &open).unwrap().outputs).collect();
    assert!(outputs.windows(2).all(|two| two[0] == two[1]));
}
