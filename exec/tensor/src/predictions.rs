//! `predictions.csv`: what a model says of each example of the test part, so that two models can be
//! compared row by row.
//!
//! `row,label,predicted` come first; `row` is the index in the table or among the images, in a text
//! the number of the token or pair. Then come the probabilities of classes, or what the model lost
//! at each token. These have the fewest digits that name an f64.

use csv::Writer;

use crate::error::Result;
use crate::examples::{Examples, Targets, pair};
use crate::files::{Inputs, Prepared, Target};
use crate::judge::Judged;
use crate::task::{TEST_ROWS, slot};
use crate::tensors::Tensors;

/// Of more classes only the label and the prediction have their probabilities written down.
const MOST_COLUMNS: usize = 100;

/// The table.
pub(crate) fn predictions(
    inputs: Inputs<'_>,
    prepared: &Prepared,
    examples: &Examples,
    judged: &Judged,
) -> Result<Vec<u8>> {
    let mut table = Table(Writer::from_writer(Vec::new()));
    match (&prepared.target, examples) {
        (Target::Next { tokens }, text) => table.text(tokens, text, judged),
        (target, Examples::Rows { y, .. }) => {
            let slot = slot(TEST_ROWS);
            let mut tensors = Tensors::read(&slot, &inputs.bytes(TEST_ROWS)?)?;
            let rows = tensors.integers("row", Some(examples.len()))?;
            match y {
                Targets::Classes(y) => table.classes(target.classes(), &rows, y, judged),
                Targets::Numbers { exact, .. } => table.numbers(&rows, exact, judged),
            }
        }
        _ => {}
    }
    Ok(table.0.into_inner().expect("memory takes it"))
}

struct Table(Writer<Vec<u8>>);

impl Table {
    fn write<T: AsRef<[u8]>>(&mut self, record: impl IntoIterator<Item = T>) {
        self.0.write_record(record).expect("memory takes it");
    }

    fn head(&mut self, more: &[&str]) {
        self.write([&["row", "label", "predicted"], more].concat());
    }

    fn classes(&mut self, classes: &[String], rows: &[i64], labels: &[u32], judged: &Judged) {
        let (predicted, all) = (judged.classes(classes.len()), judged.probabilities(classes.len()));
        let each = classes.len() <= MOST_COLUMNS;
        match each {
            true => {
                let names: Vec<String> = classes.iter().map(|class| format!("p_{class}")).collect();
                self.head(&names.iter().map(String::as_str).collect::<Vec<_>>());
            }
            false => self.head(&["p_label", "p_predicted"]),
        }
        let said = rows.iter().zip(labels).zip(predicted).zip(all.chunks(classes.len()));
        for (((row, label), predicted), p) in said {
            let (label, predicted) = (*label as usize, predicted as usize);
            let start = [row.to_string(), classes[label].clone(), classes[predicted].clone()];
            let chosen = [p[label], p[predicted]];
            let p = if each { p } else { &chosen };
            self.write(start.into_iter().chain(p.iter().copied().map(shortest)));
        }
    }

    fn numbers(&mut self, rows: &[i64], exact: &[f64], judged: &Judged) {
        self.head(&[]);
        for ((row, y), predicted) in rows.iter().zip(exact).zip(&judged.outputs) {
            self.write([row.to_string(), y.to_string(), predicted.to_string()]);
        }
    }

    fn text(&mut self, tokens: &[String], text: &Examples, judged: &Judged) {
        let beside = match text {
            Examples::Pairs { pairing, judged, .. } => {
                Some(judged.iter().map(|place| pair(*place, pairing.kinds()).0).collect::<Vec<_>>())
            }
            _ => None,
        };
        let more = if beside.is_some() { &["loss", "beside"][..] } else { &["loss"] };
        self.head(more);
        let token = |id: u32| tokens[id as usize].clone();
        let said = text.foretold().into_iter().zip(&judged.outputs).zip(&judged.losses);
        for (n, ((label, predicted), loss)) in said.enumerate() {
            let (row, predicted) = ((n + 1).to_string(), token(*predicted as u32));
            let start = [row, token(label), predicted, shortest(*loss)];
            let beside = beside.as_ref().map(|beside| token(beside[n]));
            self.write(start.into_iter().chain(beside));
        }
    }
}

/// The fewest digits that name a number; with an exponent where zeros would be many.
fn shortest(x: f64) -> String {
    match x == 0.0 || (1e-5..1e16).contains(&x.abs()) {
        true => format!("{x}"),
        false => format!("{x:e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_short_as_can_be_and_come_back() {
        for (x, expected) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (1.0 / 3.0, "0.3333333333333333"),
            (1e-5, "0.00001"),
            (9.5e-6, "9.5e-6"),
            (5e-324, "5e-324"),
            (-1.5e300, "-1.5e300"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(shortest(x), expected);
        }
        let mut bits = 1u64;
        for _ in 0..10_000 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
            let x = f64::from_bits(bits);
            if x.is_finite() {
                assert_eq!(shortest(x).parse::<f64>().unwrap().to_bits(), bits);
            }
        }
    }
}
