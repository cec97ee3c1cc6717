//! What a model says of examples, batch after batch.

use lab_arithmetic::{Kernels, argmax};

use crate::error::{Result, TensorError};
use crate::examples::Examples;
use crate::files::Target;
use crate::model::{Model, Pass};

/// Numbers that go through the model at a time, about; bounds memory, and no output depends on it.
const NUMBERS_AT_ONCE: usize = 1 << 20;

/// What a model says of some examples.
pub(crate) struct Judged {
    /// Mean cross-entropy, or mean squared distance.
    pub(crate) loss: f64,
    /// Per row or prediction its cross-entropy or squared distance.
    pub(crate) losses: Vec<f64>,
    /// Row after row: a score of each class, whose softmax are the probabilities; the number, in
    /// the unit of the data; or the token.
    pub(crate) outputs: Vec<f64>,
}

impl Judged {
    /// The class of each row that has the greatest score, the first of equals.
    pub(crate) fn classes(&self, classes: usize) -> Vec<u32> {
        let greatest = |scores: &[f64]| {
            let better = |best: usize, n: usize| if scores[n] > scores[best] { n } else { best };
            (0..scores.len()).fold(0, better) as u32
        };
        self.outputs.chunks(classes).map(greatest).collect()
    }

    /// The probabilities of classes, row after row: softmax in f64, ascending; exp is libm's.
    pub(crate) fn probabilities(&self, classes: usize) -> Vec<f64> {
        let row = |row: &[f64]| {
            let greatest = row.iter().fold(f64::NEG_INFINITY, |g, s| s.max(g));
            let all: Vec<f64> = row.iter().map(|s| libm::exp(s - greatest)).collect();
            let total: f64 = all.iter().sum();
            all.into_iter().map(move |p| p / total).collect::<Vec<f64>>()
        };
        self.outputs.chunks(classes).flat_map(row).collect()
    }
}

/// What `model` says of `examples`.
///
/// A text is cut into windows that overlap by half: of each but the first only the second half is
/// judged, so that every token is foretold from at least half a window.
pub(crate) fn judge(
    model: &Model,
    examples: &Examples,
    target: &Target,
    context: usize,
    kernels: Kernels,
) -> Result<Judged> {
    let variables = model.variables(false)?;
    let pass = Pass { kernels, variables: &variables, learning: None, seen: Default::default() };
    let mut judged = Judged { loss: 0.0, losses: Vec::new(), outputs: Vec::new() };
    for (places, window, from) in passes(examples, context) {
        let (x, y) = examples.batch(&places, window, model.time_first()).map_err(operation)?;
        let outputs = model.outputs(&pass, &x)?;
        let values = outputs.values().map_err(operation)?;
        match target {
            Target::Number { shift, scale, .. } => {
                let y = y.values().map_err(operation)?;
                let squares = values.iter().zip(y).map(|(x, y)| {
                    let distance = f64::from(*x) - f64::from(y);
                    distance * distance
                });
                judged.losses.extend(squares);
                judged.outputs.extend(values.iter().map(|x| f64::from(*x) * scale + shift));
            }
            _ => {
                let classes = target.outputs();
                let labels = y.all_ids().map_err(operation)?;
                let mut losses = vec![0.0; labels.len()];
                kernels.cross_entropies(&values, classes, &labels, &mut losses);
                // Row by row, so that a text's predictions come in the order of the text.
                let (rows, steps) = (places.len(), window.max(1));
                for (row, step) in (0..rows).flat_map(|row| (from..steps).map(move |s| (row, s))) {
                    let at = match model.time_first() {
                        true => step * rows + row,
                        false => row * steps + step,
                    };
                    let scores = &values[at * classes..][..classes];
                    judged.losses.push(f64::from(losses[at]));
                    if predicts(target) {
                        judged.outputs.push(argmax(scores) as f64);
                    } else {
                        judged.outputs.extend(scores.iter().map(|score| f64::from(*score)));
                    }
                }
            }
        }
    }
    judged.loss = judged.losses.iter().sum::<f64>() / judged.losses.len() as f64;
    Ok(judged)
}

/// Of a text the outputs are too many to keep: only what is foretold.
fn predicts(target: &Target) -> bool {
    matches!(target, Target::Next { .. })
}

/// Batches to judge: places, the length of their windows, and the first place that is judged.
fn passes(examples: &Examples, context: usize) -> Vec<(Vec<usize>, usize, usize)> {
    let plain = |places: &[usize], rows: usize| {
        places.chunks(rows).map(|places| (places.to_vec(), 0, 0)).collect()
    };
    match examples {
        Examples::Rows { shape, .. } => {
            let rows = (NUMBERS_AT_ONCE / shape.iter().product::<usize>().max(1)).clamp(1, 1024);
            let all: Vec<usize> = (0..examples.len()).collect();
            plain(&all, rows)
        }
        Examples::Pairs { pairing, judged, .. } => {
            plain(judged, (NUMBERS_AT_ONCE / pairing.kinds().max(1)).clamp(1, 1024))
        }
        Examples::Text(_) => {
            let last = examples.len();
            let window = context.min(last);
            let half = (window / 2).max(1);
            let starts: Vec<usize> =
                (half..).step_by(half).take_while(|s| s + window <= last).collect();
            let first = (vec![0], window, 0);
            let rows = (NUMBERS_AT_ONCE / (window * 256).max(1)).clamp(1, 64);
            let rest = starts.chunks(rows).map(|places| (places.to_vec(), window, window - half));
            // What is left at the end is judged in a window that ends there.
            let judged = starts.last().map_or(window, |start| start + window);
            let end =
                (last > judged).then(|| (vec![last - window], window, window + judged - last));
            [first].into_iter().chain(rest).chain(end).collect()
        }
    }
}

fn operation(source: candle_core::Error) -> TensorError {
    TensorError::Operation { what: "the evaluation", source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use lab_arithmetic::battery::activations;
    use serde_json::json;

    use super::*;
    use crate::examples::Targets;
    use crate::layers::Layer;
    use crate::model::Description;
    use crate::network::Signal;
    use crate::task::{MODEL, slot};

    fn model(layers: serde_json::Value, input: Signal, outputs: usize) -> Model {
        let description = Description::new(input, Layer::list(&layers).unwrap(), outputs);
        Model::new(&description, 3, &slot(MODEL)).unwrap()
    }

    /// What a model that is a linear layer gives for a row; its sums here have one part.
    fn scores(model: &Model, row: &[f32]) -> Vec<f32> {
        let (weight, bias) = (&model.weights["head.weight"], &model.weights["head.bias"]);
        let one = |(w, bias): (&[f32], &f32)| {
            row.iter().zip(w).fold(0.0f32, |s, (x, w)| x.mul_add(*w, s)) + bias
        };
        weight.values.chunks(row.len()).zip(&bias.values).map(one).collect()
    }

    fn bits(values: &[f64]) -> Vec<u64> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    fn check(judged: &Judged, losses: &[f64]) {
        assert_eq!(bits(&judged.losses), bits(losses));
        let mean = losses.iter().fold(0.0, |sum, loss| sum + loss) / losses.len() as f64;
        assert_eq!(judged.loss.to_bits(), mean.to_bits());
    }

    // proves A-81: also over more rows than go through a model at a time.
    #[test]
    fn rows_are_judged_one_by_one_in_f64() {
        let (rows, kernels) = (2500, Kernels::detect());
        let (x, y) = (activations(3 * rows, 1), activations(rows, 2));
        let number = Target::Number { column: "y".into(), log: false, shift: 0.0, scale: 1.0 };
        let regression = model(json!([]), Signal::Features(3), 1);
        let squares: Vec<f64> = x
            .chunks(3)
            .zip(&y)
            .map(|(row, y)| f64::from(scores(&regression, row)[0]) - f64::from(*y))
            .map(|distance| distance * distance)
            .collect();
        let y = Targets::Numbers { exact: y.iter().map(|y| f64::from(*y)).collect(), scaled: y };
        let examples = Examples::Rows { x: x.clone(), shape: vec![3], y };
        check(&judge(&regression, &examples, &number, 0, kernels).unwrap(), &squares);

        let classes = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        let class = Target::Class { column: "y".into(), classes };
        let classifier = model(json!([]), Signal::Features(3), 4);
        let labels: Vec<u32> = (0..rows as u32).map(|n| n * n % 4).collect();
        let loss = |(row, label): (&[f32], &u32)| {
            f64::from(kernels.cross_entropy(&scores(&classifier, row), 4, &[*label]))
        };
        let losses: Vec<f64> = x.chunks(3).zip(&labels).map(loss).collect();
        let examples = Examples::Rows { x, shape: vec![3], y: Targets::Classes(labels) };
        check(&judge(&classifier, &examples, &class, 0, kernels).unwrap(), &losses);
    }

    // proves
    #[test]
    fn texts_are_judged_token_by_token() {
        let kernels = Kernels::detect();
        let text: Vec<u32> = (0..38u32).map(|n| n * n % 5).collect();
        let target = Target::Next { tokens: (0..5).map(|n| n.to_string()).collect() };
        let model = model(
            json!([{ "layer": "embed", "width": 3 }]),
            Signal::Ids { length: 8, kinds: 5 },
            5,
        );
        let table = &model.weights["embed1.weight"].values;
        // Without layers that look back, each token alone foretells the next.
        let loss = |pair: &[u32]| {
            let scores = scores(&model, &table[3 * pair[0] as usize..][..3]);
            f64::from(kernels.cross_entropy(&scores, 5, &[pair[1]]))
        };
        let losses: Vec<f64> = text.windows(2).map(loss).collect();
        for context in [8, 100] {
            let examples = Examples::Text(text.clone());
            check(&judge(&model, &examples, &target, context, kernels).unwrap(), &losses);
        }
    }

    // proves A-82
    #[test]
    fn windows_of_a_text_overlap_by_half() {
        for (n, context) in (1..60).flat_map(|n| (1..12).map(move |context| (n, context))) {
            let w = context.min(n);
            let h = (w / 2).max(1);
            // Where each window begins, and the predictions of the text that count in it.
            let mut plain = vec![(0, 0..w)];
            for start in (h..n).step_by(h).take_while(|start| start + w <= n) {
                plain.push((start, start + w - h..start + w));
            }
            let judged = plain.last().unwrap().1.end;
            if judged < n {
                plain.push((n - w, judged..n));
            }
            let all: Vec<usize> = plain.iter().flat_map(|(_, judged)| judged.clone()).collect();
            assert_eq!(all, (0..n).collect::<Vec<_>>());
            let mut found = Vec::new();
            for (places, window, from) in passes(&Examples::Text(vec![0; n + 1]), context) {
                assert_eq!(window, w);
                found.extend(places.iter().map(|start| (*start, start + from..start + window)));
            }
            assert_eq!(found, plain, "{n} predictions, context {context}");
        }
    }
}
