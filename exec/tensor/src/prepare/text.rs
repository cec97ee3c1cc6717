//! A text: tokens, fitted to what is learned from or given as merges, and the last share of them to
//! judge by.

use lab_preparation::byte_pairs::BytePairs;
use lab_preparation::tokens::{Characters, Tokenizer};
use lab_preparation::windows::split_text;
use lab_preparation::words::Words;

use super::product;
use crate::error::{Result, TensorError};
use crate::files::{Inputs, Prepared, Product, Rows, Target, to_value};
use crate::settings::{MAX_WIDTH, Settings};
use crate::task::{MERGES, TEXT, slot};
use crate::tensors::{self, Data};

/// Runs the stage on a text.
pub(super) fn prepare(inputs: Inputs<'_>, settings: &Settings<'_>) -> Result<Product> {
    let text = utf8(inputs, TEXT)?;
    let (rest, test) = split_text(&text, settings.float("test")?)?;
    let share = settings.float("validation")? / (1.0 - settings.float("test")?);
    let (train, validation) = match share > 0.0 {
        true => split_text(rest, share)?,
        false => (rest, ""),
    };
    let given = inputs.contents.contains_key(&slot(MERGES));
    let tokenizer = match settings.text("tokens")? {
        "pairs" if given => Tokenizer::BytePairs(merges(inputs)?),
        tokens if given => {
            let (key, other) = ("prepare.merges".into(), format!("tokens = \"{tokens}\""));
            return Err(TensorError::Idle { key, other });
        }
        "bytes" => Tokenizer::Bytes,
        "pairs" => {
            Tokenizer::BytePairs(BytePairs::train(train, settings.int("vocabulary")? as usize)?)
        }
        "words" => Tokenizer::Words(Words::fit(train, settings.int("vocabulary")? as usize)?),
        _ => {
            let reserve = settings.text("unknown")? == "reserve";
            Tokenizer::Characters(Characters::fit(train, reserve))
        }
    };
    let file = |part: &str| -> Result<(usize, Vec<u8>)> {
        let ids = tokenizer.encode(part.as_bytes())?;
        let ids: Vec<i64> = ids.iter().map(|id| i64::from(*id)).collect();
        Ok((ids.len(), tensors::write(&[("tokens", &[ids.len()], Data::I64(&ids))])))
    };
    let files = [file(train)?, file(validation)?, file(test)?];
    let name = |id: usize| {
        let bytes = tokenizer.decode(&[id as u32])?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let tokens = (0..tokenizer.vocabulary()).map(name).collect::<Result<Vec<String>>>()?;
    let [train, validation, judged] = files.each_ref().map(|(count, _)| *count);
    let rows = Rows { train, validation, test: judged, dropped: 0 };
    let prepared = Prepared {
        sizes: Vec::new(),
        target: Target::Next { tokens },
        features: Vec::new(),
        found: None,
        fitted: to_value(&tokenizer),
        rows,
        split: lab_schema::Digest::derive("lab 2026-11-30 test text", test.as_bytes()).to_string(),
    };
    Ok(product(files.map(|(_, bytes)| bytes), &prepared))
}

/// The text in an input.
fn utf8(inputs: Inputs<'_>, name: &str) -> Result<String> {
    String::from_utf8(inputs.unpacked(name)?).map_err(|error| TensorError::BadArray {
        slot: slot(name),
        why: format!("byte {} is not UTF-8", error.utf8_error().valid_up_to()),
    })
}

/// The byte pairs of a merges file.
fn merges(inputs: Inputs<'_>) -> Result<BytePairs> {
    let pairs = BytePairs::from_merges(&utf8(inputs, MERGES)?)?;
    match pairs.tokens().len() {
        // The bytes alone: an empty file is a mistake, and whoever wants bytes can say so.
        256 => Err(TensorError::BadArray { slot: slot(MERGES), why: "it has no merges".into() }),
        tokens if tokens as u64 > MAX_WIDTH as u64 => {
            Err(TensorError::TooLarge { what: "tokens of the merges", limit: MAX_WIDTH as u64 })
        }
        _ => Ok(pairs),
    }
}
