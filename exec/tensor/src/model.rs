//! Models: parameters, their first values, and what they make of a batch.
//!
//! Parameters are visited by name, in the order of the names. Linear layers have the names and
//! shapes that PyTorch uses; the weights of convolutions lie as [out, row, column, in].

use std::collections::BTreeMap;
use std::sync::Mutex;

use lab_arithmetic::{Function, Kernels, Moments};
use lab_preparation::Draws;
use lab_schema::Slot;
use serde::{Deserialize, Serialize};

use crate::error::{Result, TensorError};
use crate::layers::Layer;
use crate::network::{Network, Node, Signal, Start, Wanted};
use crate::pairing::Pairing;
use crate::tensor::Tensor;
use crate::tensors::{self, Arrays, Data, Tensors};
use crate::trace;

/// The most features, rows, tokens and so on of an input.
const MAX_SIZE: usize = 1 << 20;

/// `model.json`: what the weights mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    /// The sizes of what comes in: features; rows, columns, channels; or length and kinds of
    /// tokens.
    pub(crate) input: Vec<usize>,
    /// What comes in: `features`, `image` or `tokens`.
    pub(crate) form: String,
    pub(crate) layers: Vec<Layer>,
    /// Scores per class or token, or 1 for a number.
    pub(crate) outputs: usize,
    /// Of a model that no gradient leads to: how it was fitted. It has no layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fitted: Option<Method>,
    /// Of a model that learns from pairs of tokens: how these are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pairs: Option<Pairing>,
}

/// How a model without layers is fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Method {
    Neighbours,
    GaussianBayes,
    MultinomialBayes,
}

impl Description {
    pub(crate) fn new(input: Signal, layers: Vec<Layer>, outputs: usize) -> Self {
        let (form, input) = match input {
            Signal::Features(n) => ("features", vec![n]),
            Signal::Image(size) => ("image", size.to_vec()),
            Signal::Ids { length, kinds } => ("tokens", vec![length, kinds]),
            Signal::Sequence { length, width } => ("vectors", vec![length, width]),
        };
        Description { input, form: form.to_owned(), layers, outputs, fitted: None, pairs: None }
    }

    /// What comes in.
    pub(crate) fn signal(&self, slot: &Slot) -> Result<Signal> {
        // Products of these are taken later on; three of them fit.
        if self.input.iter().any(|size| *size > MAX_SIZE) {
            let why = format!("its input has the sizes {:?}", self.input);
            return Err(TensorError::BadInput { slot: slot.clone(), why });
        }
        match (self.form.as_str(), self.input.as_slice()) {
            ("features", &[n]) => Ok(Signal::Features(n)),
            ("image", &[rows, cols, channels]) => Ok(Signal::Image([rows, cols, channels])),
            ("tokens", &[length, kinds]) => Ok(Signal::Ids { length, kinds }),
            (form, sizes) => Err(TensorError::BadInput {
                slot: slot.clone(),
                why: format!("no model takes {form:?} of sizes {sizes:?}"),
            }),
        }
    }
}

/// A tensor of a model.
#[derive(Clone, Debug)]
pub(crate) struct Weights {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
    /// Not learned.
    pub(crate) fixed: bool,
}

/// A network and its parameters.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    network: Network,
    pub(crate) weights: BTreeMap<String, Weights>,
}

/// The parameters as tensors, for one step.
pub(crate) struct Variables(pub(crate) BTreeMap<String, Tensor>);

/// One way through the network.
pub(crate) struct Pass<'a> {
    pub(crate) kernels: Kernels,
    pub(crate) variables: &'a Variables,
    /// While learning: what dropout draws from, and the number of the step.
    pub(crate) learning: Option<(Draws, u32)>,
    /// Moments of each batch normalisation, and of how many rows, by the layer's name.
    pub(crate) seen: Mutex<BTreeMap<String, (Moments, usize)>>,
}

impl Model {
    /// First values. Each parameter draws under its own name, so none moves another.
    pub(crate) fn new(description: &Description, seed: u64, slot: &Slot) -> Result<Model> {
        let network = description.network(slot)?;
        let start = |(name, wanted): (&String, &Wanted)| {
            let n = wanted.shape.iter().product::<usize>() as u64;
            let values = match wanted.start {
                Start::Constant(value) => vec![value; n as usize],
                Start::Uniform(bound) => {
                    let draws = Draws::new(seed, &format!("init/{name}"));
                    (0..n).map(|i| (draws.uniform(0, i) * 2.0 - 1.0) * bound).collect()
                }
            };
            (name.clone(), Weights { shape: wanted.shape.clone(), values, fixed: wanted.fixed })
        };
        let weights = network.wanted.iter().map(start).collect();
        Ok(Model { network, weights })
    }

    /// The model of this description with the weights in a file.
    pub(crate) fn read(
        description: &Description,
        of_description: &Slot,
        slot: &Slot,
        bytes: &[u8],
    ) -> Result<Model> {
        let network = description.network(of_description)?;
        let mut tensors = Tensors::read(slot, bytes)?;
        let weight = |(name, wanted): (&String, &Wanted)| {
            let values = tensors.floats(name, &wanted.shape)?;
            let shape = wanted.shape.clone();
            Ok((name.clone(), Weights { shape, values, fixed: wanted.fixed }))
        };
        let weights = network.wanted.iter().map(weight).collect::<Result<_>>()?;
        Ok(Model { network, weights })
    }

    /// The bytes of a file with the weights.
    pub(crate) fn write(&self) -> Vec<u8> {
        let entry = |(name, weights): (&'_ String, &'_ Weights)| {
            (name.clone(), weights.shape.clone(), weights.values.clone())
        };
        let entries: Vec<_> = self.weights.iter().map(entry).collect();
        let entries: Vec<_> =
            entries.iter().map(|(n, s, v)| (n.as_str(), s.as_slice(), Data::F32(v))).collect();
        tensors::write(&entries)
    }

    /// The parameters, under names that begin with `prefix`.
    pub(crate) fn save(&self, prefix: &str, arrays: &mut Arrays) {
        for (name, weights) in &self.weights {
            let entry = (weights.shape.clone(), weights.values.clone());
            arrays.insert(format!("{prefix}/{name}"), entry);
        }
    }

    /// Takes up what [`Model::save`] has left; none if it is not of this model.
    pub(crate) fn restore(&mut self, prefix: &str, arrays: &mut Arrays) -> Option<()> {
        for (name, weights) in &mut self.weights {
            let (shape, values) = arrays.remove(&format!("{prefix}/{name}"))?;
            if shape != weights.shape {
                return None;
            }
            weights.values = values;
        }
        Some(())
    }

    /// Bytes that learning takes for batches of so many examples, about and at least: what lies
    /// between layers and its gradients; parameters, gradients and moments.
    pub(crate) fn learning_bytes(&self, batch: usize) -> u64 {
        let parameters: usize = self.weights.values().map(|weights| weights.values.len()).sum();
        let between = self.network.numbers.saturating_mul(2).saturating_mul(batch as u64);
        between.saturating_add(5 * parameters as u64).saturating_mul(4)
    }

    /// Whether sequences lie as [place, row].
    pub(crate) fn time_first(&self) -> bool {
        self.network.time_first
    }

    /// The parameters as tensors, to be learned or only to be used.
    pub(crate) fn variables(&self, learning: bool) -> Result<Variables> {
        let variable = |(name, weights): (&String, &Weights)| {
            let values = weights.values.clone();
            let parameter = match weights.fixed || !learning {
                true => Tensor::new(values, &weights.shape),
                false => Tensor::parameter(values, &weights.shape),
            };
            Ok((name.clone(), parameter.map_err(operation)?))
        };
        Ok(Variables(self.weights.iter().map(variable).collect::<Result<_>>()?))
    }

    /// The outputs for a batch.
    pub(crate) fn outputs(&self, pass: &Pass<'_>, x: &Tensor) -> Result<Tensor> {
        pass.through(&self.network.nodes, x.clone()).map_err(operation)
    }

    /// Moves the running moments towards those of a batch.
    pub(crate) fn remember(&mut self, pass: Pass<'_>) {
        let seen = pass.seen.into_inner().unwrap_or_default();
        let nodes = all(&self.network.nodes);
        for node in nodes {
            let (Layer::BatchNorm { momentum, .. }, Some((moments, rows))) =
                (&node.layer, seen.get(&node.name))
            else {
                continue;
            };
            let share = *momentum as f32;
            // As in PyTorch: the running variance is that of the population, estimated.
            let unbiased = *rows as f32 / ((*rows).max(2) - 1) as f32;
            let mut step = |part: &str, values: &[f32], factor: f32| {
                if let Some(running) = self.weights.get_mut(&format!("{}.{part}", node.name)) {
                    for (running, value) in running.values.iter_mut().zip(values) {
                        *running = (1.0 - share) * *running + share * (value * factor);
                    }
                }
            };
            step("mean", &moments.mean, 1.0);
            step("variance", &moments.variance, unbiased);
        }
    }
}

/// The nodes, and those inside them.
fn all(nodes: &[Node]) -> Vec<Node> {
    let inside = |node: &Node| {
        let inner = [all(&node.inner), all(&node.shortcut)].concat();
        [vec![node.clone()], inner].concat()
    };
    nodes.iter().flat_map(inside).collect()
}

impl Description {
    fn network(&self, slot: &Slot) -> Result<Network> {
        Network::new(&self.layers, self.signal(slot)?, self.outputs)
    }
}

impl Pass<'_> {
    fn through(&self, nodes: &[Node], mut x: Tensor) -> candle_core::Result<Tensor> {
        for node in nodes {
            x = self.one(node, &x)?;
        }
        Ok(x)
    }

    /// A parameter of a layer.
    fn get(&self, node: &Node, part: &str) -> candle_core::Result<Tensor> {
        let name = format!("{}.{part}", node.name);
        match self.variables.0.get(&name) {
            Some(parameter) => Ok(parameter.clone()),
            None => candle_core::bail!("there is no parameter {name}"),
        }
    }

    fn linear(&self, node: &Node, part: &str, x: &Tensor) -> candle_core::Result<Tensor> {
        let (weight, bias) = (format!("{part}weight"), format!("{part}bias"));
        x.linear(self.kernels, &self.get(node, &weight)?, &self.get(node, &bias)?)
    }

    fn one(&self, node: &Node, x: &Tensor) -> candle_core::Result<Tensor> {
        let k = self.kernels;
        trace::layer(&node.name);
        match &node.layer {
            Layer::Linear { .. } => self.linear(node, "", x),
            Layer::Relu {} => x.apply(k, Function::Relu),
            Layer::Tanh {} => x.apply(k, Function::Tanh),
            Layer::Sigmoid {} => x.apply(k, Function::Sigmoid),
            Layer::Gelu {} => x.apply(k, Function::Gelu),
            Layer::Silu {} => x.apply(k, Function::Silu),
            Layer::Dropout { rate } => match &self.learning {
                Some((draws, step)) => {
                    let stream = draws.also(node.number).stream(*step);
                    x.dropout(k, stream, *rate as f32)
                }
                None => Ok(x.clone()),
            },
            Layer::LayerNorm { eps } => {
                let (gain, shift) = (self.get(node, "weight")?, self.get(node, "bias")?);
                x.layer_norm(k, &gain, &shift, *eps as f32)
            }
            Layer::BatchNorm { eps, .. } => self.batch_norm(node, x, *eps as f32),
            Layer::Conv { stride, padding, .. } => x
                .convolve(k, &self.get(node, "weight")?, *stride, *padding)?
                .add_bias(k, &self.get(node, "bias")?),
            Layer::MaxPool { size, stride } => x.max_pool(k, [*size; 2], step(*size, *stride)),
            Layer::MeanPool { size, stride } => x.mean_pool(k, [*size; 2], step(*size, *stride)),
            Layer::GlobalMean {} => {
                let &[images, rows, cols, channels] = x.shape() else {
                    candle_core::bail!("images are needed, not {:?}", x.shape())
                };
                x.mean_pool(k, [rows, cols], 1)?.reshape(&[images, channels])
            }
            Layer::Flatten {} => {
                let size = x.shape().iter().skip(1).product();
                x.reshape(&[x.shape()[0], size])
            }
            Layer::Residual { .. } => {
                let through = self.through(&node.inner, x.clone())?;
                let shortcut = self.through(&node.shortcut, x.clone())?;
                trace::layer(&node.name);
                through.add(k, &shortcut)
            }
            Layer::Embed { places, .. } => self.embed(node, x, *places),
            Layer::Attention { heads, causal } => {
                let made = self.linear(node, "in.", x)?.attend(k, *heads, *causal)?;
                self.linear(node, "out.", &made)
            }
            Layer::Lstm { .. } => {
                self.linear(node, "", x)?.lstm(k, &self.get(node, "state.weight")?)
            }
            Layer::Gru { .. } => {
                let (u, bias) = (self.get(node, "state.weight")?, self.get(node, "state.bias")?);
                self.linear(node, "", x)?.gru(k, &u, &bias)
            }
        }
    }

    fn embed(&self, node: &Node, ids: &Tensor, places: bool) -> candle_core::Result<Tensor> {
        let vectors = self.get(node, "weight")?.embed(self.kernels, ids)?;
        if !places {
            return Ok(vectors);
        }
        let &[rows, length] = ids.shape() else {
            candle_core::bail!("tokens lie as [row, place], not {:?}", ids.shape())
        };
        let numbers = (0..rows).flat_map(|_| 0..length as u32).collect();
        let numbers = Tensor::ids(numbers, &[rows, length])?;
        vectors.add(self.kernels, &self.get(node, "places")?.embed(self.kernels, &numbers)?)
    }

    fn batch_norm(&self, node: &Node, x: &Tensor, eps: f32) -> candle_core::Result<Tensor> {
        let (gain, shift) = (self.get(node, "weight")?, self.get(node, "bias")?);
        let given = match self.learning {
            Some(_) => None,
            None => Some(Moments {
                mean: self.get(node, "mean")?.values()?,
                variance: self.get(node, "variance")?.values()?,
            }),
        };
        let (y, seen) = x.batch_norm(self.kernels, &gain, &shift, given, eps)?;
        if let (Some(seen), Ok(mut all)) = (seen, self.seen.lock()) {
            let rows = x.shape().iter().product::<usize>() / seen.mean.len().max(1);
            all.insert(node.name.clone(), (seen, rows));
        }
        Ok(y)
    }
}

/// A step of 0 is as large as the window.
fn step(size: usize, stride: usize) -> usize {
    if stride == 0 { size } else { stride }
}

fn operation(source: candle_core::Error) -> TensorError {
    TensorError::Operation { what: "the model", source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use lab_arithmetic::{philox, uniform};
    use serde_json::json;

    use super::*;
    use crate::task::slot;

    fn model(layers: serde_json::Value, input: Signal, outputs: usize) -> Model {
        let layers = Layer::list(&layers).unwrap();
        let description = Description::new(input, layers, outputs);
        Model::new(&description, 11, &slot("model.json")).unwrap()
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    fn some(n: usize, seed: u32) -> Vec<f32> {
        lab_arithmetic::battery::activations(n, seed)
    }

    /// What the model makes of `x`, and the moments that it saw.
    fn outputs(model: &Model, x: &Tensor, learning: Option<(Draws, u32)>) -> (Vec<f32>, Model) {
        let variables = model.variables(learning.is_some()).unwrap();
        let kernels = Kernels::detect();
        let pass = Pass { kernels, variables: &variables, learning, seen: Default::default() };
        let values = model.outputs(&pass, x).unwrap().values().unwrap();
        let mut after = model.clone();
        after.remember(pass);
        (values, after)
    }

    /// What the last layer, whose sums here have one part, makes of rows.
    fn head(model: &Model, rows: &[f32]) -> Vec<f32> {
        let (weight, bias) = (&model.weights["head.weight"], &model.weights["head.bias"]);
        let width = weight.shape[1];
        let row = |row: &[f32]| -> Vec<f32> {
            let one = |(w, bias): (&[f32], &f32)| {
                row.iter().zip(w).fold(0.0f32, |s, (x, w)| x.mul_add(*w, s)) + bias
            };
            weight.values.chunks(width).zip(&bias.values).map(one).collect()
        };
        rows.chunks(width).flat_map(row).collect()
    }

    // proves A-68
    #[test]
    fn parameters_begin_as_is_written() {
        let features = Signal::Features(3);
        let he = |fan_in: usize| (6.0 / fan_in as f32).sqrt();
        let plain = |fan_in: usize| (3.0 / fan_in as f32).sqrt();
        let wide = |width: usize| 1.0 / (width as f32).sqrt();
        let linear = |width: usize| json!({ "layer": "linear", "width": width });
        let mut expected = Vec::new();
        for (next, bound) in [
            ("relu", he(3)),
            ("gelu", he(3)),
            ("silu", he(3)),
            ("batch_norm", he(3)),
            ("tanh", plain(3)),
            ("sigmoid", plain(3)),
            ("layer_norm", plain(3)),
        ] {
            expected.push((json!([linear(5), next]), features, "fc1.weight", bound));
        }
        // What follows in another list decides nothing.
        let inner = json!([{ "layer": "residual", "layers": [linear(3)] }, "relu"]);
        expected.push((inner, features, "fc1.weight", plain(3)));
        expected.push((json!([linear(5), "relu"]), features, "head.weight", plain(5)));
        let conv = json!([{ "layer": "conv", "channels": 2, "kernel": 3 }, "relu", "flatten"]);
        expected.push((conv, Signal::Image([4, 4, 5]), "conv1.weight", he(45)));
        let ids = Signal::Ids { length: 4, kinds: 7 };
        let embed = json!({ "layer": "embed", "width": 6, "places": true });
        let attend = json!([embed, { "layer": "attention", "heads": 2 }]);
        for name in ["embed1.weight", "embed1.places", "attention1.in.weight"] {
            expected.push((attend.clone(), ids, name, plain(6)));
        }
        expected.push((attend, ids, "attention1.out.weight", plain(6)));
        let embed = json!({ "layer": "embed", "width": 6 });
        for kind in ["lstm", "gru"] {
            let layers = json!([embed, { "layer": kind, "width": 9 }]);
            for part in ["weight", "state.weight"] {
                let name: &str = format!("{kind}1.{part}").leak();
                expected.push((layers.clone(), ids, name, wide(9)));
            }
        }
        for (layers, input, name, bound) in expected {
            let weights = &model(layers, input, 2).weights[name];
            let draws = Draws::new(11, &format!("init/{name}"));
            let one = |i: usize| (2.0 * draws.uniform(0, i as u64) - 1.0) * bound;
            let n: usize = weights.shape.iter().product();
            let plain: Vec<f32> = (0..n).map(one).collect();
            assert_eq!(bits(&weights.values), bits(&plain), "{name}");
        }
    }

    // proves
    #[test]
    fn biases_shifts_and_moments_begin_constant() {
        let layers = json!([{ "layer": "linear", "width": 2 }, "batch_norm", "layer_norm"]);
        let weights = model(layers, Signal::Features(3), 1).weights;
        let constant = |name: &str| weights[name].values.clone();
        for name in ["fc1.bias", "norm1.bias", "norm1.mean", "norm2.bias"] {
            assert_eq!(bits(&constant(name)), [0, 0], "{name}");
        }
        for name in ["norm1.weight", "norm1.variance", "norm2.weight"] {
            assert_eq!(constant(name), [1.0, 1.0], "{name}");
        }
        assert!(weights["norm1.mean"].fixed && weights["norm1.variance"].fixed);
    }

    // proves
    #[test]
    fn dropout_draws_for_its_layer_and_step() {
        let layers = json!([
            { "layer": "dropout", "rate": 0.3 }, { "layer": "dropout", "rate": 0.1 }
        ]);
        let model = model(layers, Signal::Features(6), 2);
        let values = some(30, 1);
        let x = Tensor::new(values.clone(), &[5, 6]).unwrap();
        let (seed, step) = (7u64 << 32 | 9, 1234u32);
        // The start of the digest of the purpose's name; rng.rs holds it against BLAKE3.
        let purpose = Draws::new(seed, "dropout").stream(0).purpose[1];
        let mut expected = values.clone();
        for (number, rate) in [(1, 0.3f32), (2, 0.1f32)] {
            let scale = 1.0 / (1.0 - rate);
            for (e, x) in expected.iter_mut().enumerate() {
                let counter = [e as u32 / 4, 0, step, purpose.wrapping_add(number)];
                let word = philox(counter, [9, 7])[e % 4];
                *x = if uniform(word) >= rate { *x * scale } else { 0.0 };
            }
        }
        let learning = Some((Draws::new(seed, "dropout"), step));
        assert_eq!(bits(&outputs(&model, &x, learning).0), bits(&head(&model, &expected)));
        assert_eq!(bits(&outputs(&model, &x, None).0), bits(&head(&model, &values)));
    }

    // proves
    #[test]
    fn running_moments_follow_those_of_batches() {
        for (input, shape) in [
            (Signal::Features(2), vec![5, 2]),
            (Signal::Features(2), vec![1, 2]),
            // Rows times places count.
            (Signal::Image([2, 3, 2]), vec![4, 2, 3, 2]),
        ] {
            let kernels = Kernels::detect();
            let norm = json!({ "layer": "batch_norm", "momentum": 0.3, "eps": 1e-3 });
            let layers = match input {
                Signal::Image(_) => json!([norm, "global_mean"]),
                _ => json!([norm]),
            };
            let mut model = model(layers, input, 1);
            let (mut mean, mut variance) = (vec![0.0f32; 2], vec![1.0f32; 2]);
            let (share, rows) = (0.3f32, shape.iter().product::<usize>() / 2);
            let learning = Some((Draws::new(1, "dropout"), 1));
            for seed in 0..3 {
                let values = some(2 * rows, seed);
                let of_batch = kernels.moments(&values, 2);
                let unbiased = rows as f32 / (rows.max(2) - 1) as f32;
                for j in 0..2 {
                    let (m, v) = (of_batch.mean[j], of_batch.variance[j]);
                    mean[j] = (1.0 - share) * mean[j] + share * (m * 1.0);
                    variance[j] = (1.0 - share) * variance[j] + share * (v * unbiased);
                }
                let x = Tensor::new(values, &shape).unwrap();
                model = outputs(&model, &x, learning).1;
                assert_eq!(bits(&model.weights["norm1.mean"].values), bits(&mean));
                assert_eq!(bits(&model.weights["norm1.variance"].values), bits(&variance));
            }
            // When judging, the running ones decide, and stay.
            let values = some(2 * rows, 9);
            let x = Tensor::new(values.clone(), &shape).unwrap();
            let (y, after) = outputs(&model, &x, None);
            assert_eq!(after.weights["norm1.mean"].values, mean);
            if let Signal::Features(_) = input {
                let one = |(n, x): (usize, &f32)| {
                    let scale = 1.0 / (variance[n % 2] + 1e-3f32).sqrt();
                    let z = (x - mean[n % 2]) * scale;
                    z.mul_add(1.0, 0.0)
                };
                let normal: Vec<f32> = values.iter().enumerate().map(one).collect();
                assert_eq!(bits(&y), bits(&head(&model, &normal)));
            }
        }
    }

    // proves A-48
    #[test]
    fn places_are_added_to_tokens() {
        let layers = json!([{ "layer": "embed", "width": 3, "places": true }]);
        let model = model(layers, Signal::Ids { length: 4, kinds: 5 }, 2);
        let ids = [3, 0, 4, 4, 1, 2, 0, 3];
        let (tokens, places) =
            (&model.weights["embed1.weight"].values, &model.weights["embed1.places"].values);
        let one = |n: usize| {
            let (place, j) = (n / 3, n % 3);
            tokens[ids[place] * 3 + j] + places[place % 4 * 3 + j]
        };
        let sums: Vec<f32> = (0..24).map(one).collect();
        let x = Tensor::ids(ids.map(|id| id as u32).to_vec(), &[2, 4]).unwrap();
        assert_eq!(bits(&outputs(&model, &x, None).0), bits(&head(&model, &sums)));
    }
}
