//! A text: tokens, and the last share of them to judge by.

use lab_preparation::byte_pairs::BytePairs;
use lab_preparation::split::Parts;
use lab_preparation::tokens::{Characters, Tokenizer};
use lab_preparation::windows::split_text;

use super::{counted, product};
use crate::error::{Result, TensorError};
use crate::files::{Inputs, Prepared, Product, Target};
use crate::settings::Settings;
use crate::task::{TEXT, slot};
use crate::tensors::{self, Data};

/// Runs the stage on a text.
pub(super) fn prepare(inputs: Inputs<'_>, settings: &Settings<'_>) -> Result<Product> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let read = |source| TensorError::Read { slot: slot(TEXT), source };
    let limit = crate::files::MAX_FILE_BYTES;
    lab_data::gunzipped(inputs.open(TEXT)?).take(limit).read_to_end(&mut bytes).map_err(read)?;
    let text = String::from_utf8(bytes).map_err(|error| TensorError::BadArray {
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
    let mut files = Vec::new();
    let mut counts = Vec::new();
    for part in [train, validation, test] {
        let ids = tokenizer.encode(part.as_bytes())?;
        let ids: Vec<i64> = ids.iter().map(|id| i64::from(*id)).collect();
        counts.push(ids.len());
        files.push(tensors::write(&[("tokens", &[ids.len()], Data::I64(&ids))]));
    }
    let name = |id: usize| {
        let bytes = tokenizer.decode(&[id as u32])?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let tokens = (0..tokenizer.vocabulary()).map(name).collect::<Result<Vec<String>>>()?;
    let part = |n: usize| (0..counts[n]).collect();
    let rows = counted(&Parts { train: part(0), validation: part(1), test: part(2) }, 0);
    let prepared = Prepared {
        sizes: Vec::new(),
        target: Target::Next { tokens },
        features: Vec::new(),
        fitted: serde_json::to_value(&tokenizer).unwrap_or_default(),
        rows,
        split: lab_schema::Digest::derive("lab 2026-11-30 test text", test.as_bytes()).to_string(),
    };
    Ok(product(files.try_into().unwrap_or_default(), &prepared))
}
