//! Texts as byte pairs: by merges that another has made.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::collections::BTreeMap;

use common::{Runs, put, run_on, store};
use lab_arithmetic::Kernels;
use lab_data::Values;
use lab_objects::{Silent, Store};
use lab_preparation::byte_pairs::BytePairs;
use lab_preparation::tokens::Tokenizer;
use lab_schema::{ContentId, Recipe, Value};
use lab_tensor::{Program, Result, execute};

const MERGES: &[u8] = include_bytes!("../../preparation/tests/fixtures/merges.txt");
const TEXT: &str = "We have come some way, and some more is to come. Have we gone the whole way?\n";

const PROGRAM: &str = r#"
[inputs]
text = "text"
merges = "merges"
[prepare]
form = "text"
text = "text"
tokens = "pairs"
merges = "merges"
"#;

fn on(store: &Store, program: &Program, files: &[(&str, &[u8])]) -> Result<Runs> {
    let inputs: BTreeMap<String, ContentId> =
        files.iter().map(|(name, bytes)| ((*name).to_owned(), put(store, bytes))).collect();
    run_on(store, program, &inputs, Kernels::detect())
}

fn bytes(store: &Store, runs: &Runs, output: &str) -> Vec<u8> {
    let ContentId::Blob(id) = runs["prepare"].1.outputs[&output.parse().unwrap()] else { panic!() };
    store.read_blob(id, 1 << 26).unwrap()
}

fn prepared(merges: &[u8]) -> Result<Runs> {
    let text = TEXT.repeat(20);
    let files = [("text", text.as_bytes()), ("merges", merges)];
    on(&store(), &Program::parse(PROGRAM).unwrap(), &files)
}

#[test]
fn a_text_is_cut_by_the_merges_of_a_file() {
    let store = store();
    let text = TEXT.repeat(20);
    let files = [("text", text.as_bytes()), ("merges", MERGES)];
    let runs = on(&store, &Program::parse(PROGRAM).unwrap(), &files).unwrap();
    let pairs = BytePairs::from_merges(str::from_utf8(MERGES).unwrap()).unwrap();
    let count = pairs.tokens().len();
    let tokenizer = Tokenizer::BytePairs(pairs);
    let arrays = lab_data::safetensors(&bytes(&store, &runs, "test.safetensors")).unwrap();
    let Values::I64(ids) = &arrays["tokens"].values else { panic!() };
    let ids: Vec<u32> = ids.iter().map(|id| u32::try_from(*id).unwrap()).collect();
    // The last fifth.
    let last = &text[text.len() - text.len() / 5..];
    assert_eq!(ids, tokenizer.encode(last.as_bytes()).unwrap());
    assert!(ids.len() < last.len() / 2, "{} tokens of {} bytes", ids.len(), last.len());
    let prepared: serde_json::Value =
        serde_json::from_slice(&bytes(&store, &runs, "prepare.json")).unwrap();
    assert_eq!(prepared["target"]["tokens"].as_array().unwrap().len(), count);
    // Nothing was fitted, so how many there are is no setting.
    let recipe = &runs["prepare"].0;
    assert!(!recipe.params().contains_key("vocabulary"), "{:?}", recipe.params());
    let inputs: Vec<&str> = recipe.inputs().keys().map(|slot| slot.as_str()).collect();
    assert_eq!(inputs, ["merges", "text"]);
    // Other merges, and other ends of lines.
    let fewer: String =
        str::from_utf8(MERGES).unwrap().lines().take(40).flat_map(|l| [l, "\r\n"]).collect();
    assert_ne!(prepared_tokens(fewer.as_bytes()), prepared_tokens(MERGES));
}

fn prepared_tokens(merges: &[u8]) -> String {
    let runs = prepared(merges).unwrap();
    common::id(&runs, "prepare", "train.safetensors")
}

#[test]
fn broken_merges_are_refused_with_the_line() {
    let error = |merges: &[u8]| prepared(merges).unwrap_err().to_string();
    assert_eq!(error(b""), "'merges': it has no merges");
    assert_eq!(error(b"#version: 0.2\n"), "'merges': it has no merges");
    assert_eq!(error(b"a b\nab\n"), "line 2 of the merges: two tokens are needed");
    assert_eq!(error(b"a b\na bc\n"), "line 2 of the merges: no line before has made this token");
    assert_eq!(error(b"a \xff\n"), "'merges': byte 2 is not UTF-8");
    // Every two bytes: more tokens than a model can have outputs.
    let all: Vec<char> =
        (0..324).filter_map(char::from_u32).filter(|c| is_of_the_alphabet(*c)).collect();
    let every: String =
        all.iter().flat_map(|a| all.iter().map(move |b| format!("{a} {b}\n"))).collect();
    assert_eq!(error(every.as_bytes()), "tokens of the merges: the limit is 65536");
    assert!(error(b"\x1f\x8bnot gzip").contains("cannot read input 'merges'"));
}

/// GPT-2's: bytes that can be seen, and from U+0100 on characters for the others.
fn is_of_the_alphabet(c: char) -> bool {
    matches!(u32::from(c), 33..=126 | 161..=172 | 174..=255 | 256..)
}

#[test]
fn merges_and_what_means_nothing_beside_them() {
    let parse = |from: &str, to: &str| {
        Program::parse(&PROGRAM.replacen(from, to, 1)).map(drop).unwrap_err().to_string()
    };
    assert_eq!(
        parse("merges = \"merges\"\n[prepare]", "[prepare]"),
        "prepare.merges is 'merges', but [inputs] has no such entry"
    );
    for tokens in ["characters", "bytes"] {
        let expected = format!("prepare.merges has no meaning with tokens = \"{tokens}\"");
        assert_eq!(parse("\"pairs\"", &format!("\"{tokens}\"")), expected);
    }
    let with = "tokens = \"pairs\"\nvocabulary = 500";
    let expected = "prepare.vocabulary has no meaning with prepare.merges";
    assert_eq!(parse("tokens = \"pairs\"", with), expected);
    let table = "form = \"table\"\ntable = \"text\"\nlabel = 0\nmerges = \"merges\"\n";
    let table = format!("{}{table}", PROGRAM.split("form").next().unwrap());
    assert_eq!(
        Program::parse(&table).unwrap_err().to_string(),
        "prepare.merges has no meaning with form = \"table\""
    );
    // What the program says of vocabularies goes with the merges, and they with other tokens.
    let mut program = Program::parse(PROGRAM).unwrap();
    let error = program.set("prepare.vocabulary", "500").unwrap_err().to_string();
    assert_eq!(error, expected);
    program.set("prepare.tokens", "characters").unwrap();
    assert_eq!(program.stages()[0].sources().len(), 1);
    let changes = [("prepare.tokens", "pairs"), ("prepare.vocabulary", "500")];
    program.set_all(&changes).unwrap();
    program.set("prepare.merges", "merges").unwrap();
    assert_eq!(program, {
        let mut program = Program::parse(PROGRAM).unwrap();
        program.set("prepare.tokens", "pairs").unwrap();
        program
    });
}

#[test]
fn merges_of_strangers_are_checked() {
    let store = store();
    let text = TEXT.repeat(20);
    let files = [("text", text.as_bytes()), ("merges", MERGES)];
    let runs = on(&store, &Program::parse(PROGRAM).unwrap(), &files).unwrap();
    let with = |change: &dyn Fn(&mut lab_schema::recipe::Parts)| {
        let mut parts = runs["prepare"].0.to_parts();
        change(&mut parts);
        execute(&store, &Recipe::new(parts).unwrap(), &Silent).unwrap_err().to_string()
    };
    let merges = "merges".parse().unwrap();
    assert_eq!(
        with(&|p| assert!(p.inputs.remove(&merges).is_some())),
        "the program lacks prepare.vocabulary"
    );
    assert_eq!(
        with(&|p| drop(p.params.insert("vocabulary".into(), Value::Int(500)))),
        "prepare.vocabulary has no meaning with prepare.merges"
    );
    let bytes = Value::Text("bytes".into());
    assert_eq!(
        with(&|p| drop(p.params.insert("tokens".into(), bytes.clone()))),
        "prepare.merges has no meaning with tokens = \"bytes\""
    );
}
