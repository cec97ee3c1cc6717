//! A text: tokens, and the last share of them to judge by.

use lab_preparation::byte_pairs::BytePairs;
use lab_preparation::tokens::{Characters, Tokenizer};
use lab_preparation::windows::split_text;

use super::product;
use crate::error::{Result, TensorError};
use crate::files::{Inputs, Prepared, Product, Rows, Target, to_value};
use crate::settings::Settings;
use crate::task::{TEXT, slot};
use crate::tensors::{self, Data};

/// Runs the stage on a text.
pub(super) fn prepare(inputs: Inputs<'_>, settings: &Settings<'_>) -> Result<Product> {
    let text =
        String::from_utf8(inputs.unpacked(TEXT)?).map_err(|error| TensorError::BadArray {
            slot: slot(TEXT),
            why: format!("byte {} is not UTF-8", error.utf8_error().valid_up_to()),
        })?;
    let (rest, test) = split_text(&text, settings.float("test")?)?;
    let share = settings.float("validation")? / (1.0 - settings.float("test")?);
    let (train, validation) = match share > 0.0 {
        true => split_text(rest, share)?,
        false => (rest, ""),
    };
    let tokenizer = match settings.text("tokens")? {
        "bytes" => Tokenizer::Bytes,
        "pairs" => {
            Tokenizer::BytePairs(BytePairs::train(train, settings.int("vocabulary")? as usize)?)
        }
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
        fitted: to_value(&tokenizer),
        rows,
        split: lab_schema::Digest::derive("lab 2026-11-30 test text", test.as_bytes()).to_string(),
    };
    Ok(product(files.map(|(_, bytes)| bytes), &prepared))
}
