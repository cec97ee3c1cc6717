//! Real texts, against the `tokenizers` library (tests/fixtures/make.py made the expected ids).
#![allow(clippy::unwrap_used, missing_docs)]

mod kit;

use kit::{data, fixture};
use lab_preparation::byte_pairs::BytePairs;
use lab_preparation::skip_gram::{Frequencies, PairPlan};
use lab_preparation::tokens::{Characters, Tokenizer};
use lab_preparation::windows::{Windows, split_text};
use lab_preparation::words::Words;
use serde_json::Value;

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

#[test]
fn byte_pairs_are_those_of_the_tokenizers_library() {
    let text = data("tinyshakespeare.txt");
    let (train, held_out) = split_text(&text, 0.1).unwrap();
    assert_eq!((train.len(), held_out.len()), (1_003_854, 111_540));
    let trained = BytePairs::train(train, 1000).unwrap();
    assert_eq!(trained.to_merges(), fixture("merges.txt"));
    assert_eq!(BytePairs::from_merges(&fixture("merges.txt")).unwrap(), trained);
    let expected: Value = serde_json::from_str(&fixture("tokens.json")).unwrap();
    let tokenizer = Tokenizer::BytePairs(trained);
    let found = tokenizer.encode(held_out.as_bytes()).unwrap();
    assert_eq!(found.len() as u64, expected["held_count"].as_u64().unwrap());
    assert_eq!(found[..300], ids(&expected["held_start"]));
    let sum: u64 = found.iter().zip(1u64..).map(|(id, place)| u64::from(*id) * place).sum();
    assert_eq!(sum, expected["held_sum"].as_u64().unwrap());
    assert_eq!(tokenizer.decode(&found).unwrap(), held_out.as_bytes());
    for case in expected["texts"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        let found = tokenizer.encode(text.as_bytes()).unwrap();
        assert_eq!(found, ids(&case["ids"]), "{text:?}");
        assert_eq!(tokenizer.decode(&found).unwrap(), text.as_bytes());
    }
}

#[test]
fn a_megabyte_is_trained_and_encoded_in_seconds() {
    let text = data("tinyshakespeare.txt");
    let start = std::time::Instant::now();
    let tokenizer = Tokenizer::BytePairs(BytePairs::train(&text, 8192).unwrap());
    let found = tokenizer.encode(text.as_bytes()).unwrap();
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    assert_eq!(tokenizer.decode(&found).unwrap(), text.as_bytes());
    // A piece without end is no trap for encoding.
    let long = "ab".repeat(500_000);
    let found = tokenizer.encode(long.as_bytes()).unwrap();
    assert_eq!(tokenizer.decode(&found).unwrap(), long.as_bytes());
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
}

#[test]
fn what_is_encoded_comes_back() {
    let (text, names) = (data("tinyshakespeare.txt"), data("names.txt"));
    let characters = Tokenizer::Characters(Characters::fit(&text, false));
    assert_eq!(characters.vocabulary(), 65);
    for tokenizer in [Tokenizer::Bytes, characters] {
        for text in [&text, &names] {
            let found = tokenizer.encode(text.as_bytes()).unwrap();
            assert_eq!(tokenizer.decode(&found).unwrap(), text.as_bytes());
        }
    }
    let all: Vec<u8> = (0..=255).collect();
    assert_eq!(Tokenizer::Bytes.decode(&Tokenizer::Bytes.encode(&all).unwrap()).unwrap(), all);
}

/// Whatever the held-out text is, what was fitted to the training text is the same.
#[test]
fn nothing_leaks_from_the_held_out_text() {
    let names = data("names.txt");
    let (train, held_out) = split_text(&names, 0.1).unwrap();
    let other = "Ω".repeat(held_out.chars().count());
    let changed = format!("{train}{other}");
    assert_eq!(split_text(&changed, 0.1).unwrap(), (train, &other[..]));
    let characters = Tokenizer::Characters(Characters::fit(train, false));
    assert_eq!(characters.vocabulary(), 27);
    let error = characters.encode(other.as_bytes()).unwrap_err().to_string();
    assert!(error.starts_with("character 0, 'Ω', is not in the training text"), "{error}");
    let reserved = Tokenizer::Characters(Characters::fit(train, true));
    assert_eq!(reserved.encode("Ω".as_bytes()).unwrap(), [27]);
}

/// Python's `re.findall(r"[A-Za-z0-9]+(?:'[A-Za-z0-9]+)*", text)`, lower case, and `Counter`.
#[test]
fn words_of_a_real_text() {
    let text = data("tinyshakespeare.txt");
    let (train, held_out) = split_text(&text, 0.1).unwrap();
    let all = Tokenizer::Words(Words::fit(train, 1 << 16).unwrap());
    assert_eq!(all.vocabulary(), 11_677 + 1);
    let frequent = Tokenizer::Words(Words::fit(train, 2048).unwrap());
    let expected = "the and to i of my you a that in is not";
    assert_eq!(frequent.decode(&(0..12).collect::<Vec<_>>()).unwrap(), expected.as_bytes());
    assert_eq!(frequent.encode(train.as_bytes()).unwrap().len(), 183_574);
    let found = frequent.encode(held_out.as_bytes()).unwrap();
    assert_eq!(found[..8], [667, 45, 323, 1824, 1233, 1233, 45, 323]);
    let sum: u64 = found.iter().zip(1u64..).map(|(id, place)| u64::from(*id) * place).sum();
    assert_eq!((found.len(), sum), (20_289, 114_200_513_326));
}

#[test]
fn windows_and_pairs_of_a_real_text() {
    let names = data("names.txt");
    let tokens = Tokenizer::Bytes.encode(names.as_bytes()).unwrap();
    let windows = Windows { length: 64, stride: 64 };
    let count = windows.count(tokens.len()).unwrap();
    assert_eq!(count, (tokens.len() - 1) / 64);
    for index in 0..count {
        let (x, y) = windows.window(&tokens, index).unwrap();
        assert_eq!((x[1..].to_vec(), x[0]), (y[..63].to_vec(), tokens[index * 64]));
    }
    let frequencies = Frequencies::fit(&tokens, 256).unwrap();
    let plan = PairPlan { window: 2, subsample: Some(0.05), negatives: 3, seed: 1 };
    let pairs = plan.pairs(&tokens[..20_000], &frequencies, 1).unwrap();
    assert!(pairs.centres.len() > 30_000 && pairs.centres.len() < 79_994);
    let beside = pairs.contexts.iter().zip(pairs.negatives.chunks(3));
    assert!(beside.clone().all(|(context, negatives)| !negatives.contains(context)));
}
