//! Layers become a network: shapes are followed through them, parameters named and counted.
//!
//! What does not fit is refused here, before any data is read a second time: the error names the
//! layer, what reaches it and what it takes.

use std::collections::BTreeMap;

use crate::error::{Result, TensorError};
use crate::layers::Layer;
use crate::settings::MAX_WIDTH;

const MAX_PARAMETERS: u64 = 1 << 28;
/// Floats of one row's or image's values between two layers.
const MAX_SIGNAL: u64 = 1 << 24;

/// What goes from layer to layer, without the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// A row of numbers.
    Features(usize),
    /// Rows, columns and channels.
    Image([usize; 3]),
    /// As many ids of tokens, each below `kinds`.
    Ids { length: usize, kinds: usize },
    /// As many vectors.
    Sequence { length: usize, width: usize },
}

impl std::fmt::Display for Signal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Signal::Features(n) => write!(f, "{n} features"),
            Signal::Image([h, w, c]) => write!(f, "images of {h}x{w}x{c}"),
            Signal::Ids { length, kinds } => write!(f, "sequences of {length} of {kinds} tokens"),
            Signal::Sequence { length, width } => {
                write!(f, "sequences of {length} vectors of {width}")
            }
        }
    }
}

/// How a parameter begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Start {
    Constant(f32),
    /// Within this bound on both sides of zero.
    Uniform(f32),
}

/// A parameter to be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) shape: Vec<usize>,
    pub(crate) start: Start,
    /// Not learned: running moments.
    pub(crate) fixed: bool,
}

/// A layer in its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) layer: Layer,
    /// Kind and number, as in `conv2`; its parameters begin with it.
    pub(crate) name: String,
    pub(crate) number: u32,
    pub(crate) inner: Vec<Node>,
    pub(crate) shortcut: Vec<Node>,
}

/// A network, its parameters by name.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub(crate) nodes: Vec<Node>,
    pub(crate) wanted: BTreeMap<String, Wanted>,
    /// Sequences lie as [place, row], not as [row, place].
    pub(crate) time_first: bool,
    /// Numbers between all layers for one example.
    pub(crate) numbers: u64,
}

struct Builder {
    numbers: u64,
    wanted: BTreeMap<String, Wanted>,
    counts: BTreeMap<&'static str, u32>,
    time_first: bool,
    attends: bool,
}

/// The prefix of parameters' names.
fn prefix(layer: &Layer) -> &'static str {
    match layer {
        Layer::Linear { .. } => "fc",
        Layer::LayerNorm { .. } | Layer::BatchNorm { .. } => "norm",
        layer => layer.kind(),
    }
}

impl Network {
    /// The layers on inputs like `input`, and a last linear layer with so many outputs.
    pub(crate) fn new(layers: &[Layer], input: Signal, outputs: usize) -> Result<Network> {
        let mut builder = Builder {
            numbers: 0,
            wanted: BTreeMap::new(),
            counts: BTreeMap::new(),
            time_first: false,
            attends: false,
        };
        let (mut nodes, signal) = builder.all(layers, input)?;
        let head = Layer::Linear { width: outputs };
        let name = "head".to_owned();
        builder.linear(&name, &head, signal, outputs, 3.0)?;
        nodes.push(Node { layer: head, name, number: 0, inner: vec![], shortcut: vec![] });
        if builder.time_first && builder.attends {
            return Err(TensorError::BadModel(
                "attention and recurrent layers do not go together in one model".into(),
            ));
        }
        let total = |w: &Wanted| w.shape.iter().map(|n| *n as u64).product::<u64>();
        if builder.wanted.values().map(total).sum::<u64>() > MAX_PARAMETERS {
            return Err(TensorError::TooLarge { what: "parameters", limit: MAX_PARAMETERS });
        }
        let Builder { wanted, time_first, numbers, .. } = builder;
        Ok(Network { nodes, wanted, time_first, numbers })
    }
}

impl Builder {
    fn all(&mut self, layers: &[Layer], mut signal: Signal) -> Result<(Vec<Node>, Signal)> {
        let mut nodes = Vec::with_capacity(layers.len());
        for (n, layer) in layers.iter().enumerate() {
            let node;
            (node, signal) = self.one(layer, signal, layers.get(n + 1))?;
            let size = match signal {
                Signal::Features(n) => n as u64,
                Signal::Image(sizes) => sizes.iter().map(|n| *n as u64).product(),
                Signal::Ids { length, .. } => length as u64,
                Signal::Sequence { length, width } => length as u64 * width as u64,
            };
            if size > MAX_SIGNAL {
                return Err(TensorError::TooLarge {
                    what: "numbers of a layer",
                    limit: MAX_SIGNAL,
                });
            }
            self.numbers = self.numbers.saturating_add(match layer {
                // Gates and cells; queries, keys and values.
                Layer::Lstm { .. } => 9 * size,
                Layer::Gru { .. } => 7 * size,
                Layer::Attention { .. } => 5 * size,
                _ => size,
            });
            nodes.push(node);
        }
        Ok((nodes, signal))
    }

    fn one(
        &mut self,
        layer: &Layer,
        signal: Signal,
        next: Option<&Layer>,
    ) -> Result<(Node, Signal)> {
        let prefix = prefix(layer);
        let count = self.counts.entry(prefix).or_insert(0);
        *count += 1;
        let (number, name) = (*count, format!("{prefix}{count}"));
        // What follows decides how large weights begin: He et al. 2015 before a rectifier.
        let gain = match next {
            Some(Layer::Relu {} | Layer::Gelu {} | Layer::Silu {} | Layer::BatchNorm { .. }) => 6.0,
            _ => 3.0,
        };
        let (mut inner, mut shortcut) = (Vec::new(), Vec::new());
        let after = match layer {
            Layer::Residual { layers, shortcut: around } => {
                let through;
                let passed;
                (inner, through) = self.all(layers, signal)?;
                (shortcut, passed) = self.all(around, signal)?;
                if through != passed {
                    return Err(refused(&name, through, &format!("the shortcut's {passed}")));
                }
                through
            }
            layer => self.plain(&name, layer, signal, gain)?,
        };
        Ok((Node { layer: layer.clone(), name, number, inner, shortcut }, after))
    }

    /// What a layer without inner ones makes of a signal.
    fn plain(&mut self, name: &str, layer: &Layer, signal: Signal, gain: f32) -> Result<Signal> {
        match (layer, signal) {
            (Layer::Linear { width }, signal) => self.linear(name, layer, signal, *width, gain),
            (Layer::LayerNorm { eps }, signal) => {
                self.norm(name, layer, signal, *eps)?;
                Ok(signal)
            }
            (Layer::BatchNorm { eps, momentum }, signal) => {
                let width = self.norm(name, layer, signal, *eps)?;
                between(name, "momentum", *momentum, 0.0, 1.0)?;
                self.want(name, "mean", &[width], Start::Constant(0.0), true);
                self.want(name, "variance", &[width], Start::Constant(1.0), true);
                Ok(signal)
            }
            (Layer::Dropout { rate }, signal) => {
                between(name, "rate", *rate, 0.0, 0.95)?;
                Ok(signal)
            }
            (
                Layer::Relu {}
                | Layer::Tanh {}
                | Layer::Sigmoid {}
                | Layer::Gelu {}
                | Layer::Silu {},
                signal,
            ) if !matches!(signal, Signal::Ids { .. }) => Ok(signal),
            (Layer::Conv { .. }, Signal::Image(size)) => self.conv(name, layer, size, gain),
            (
                Layer::MaxPool { size, stride } | Layer::MeanPool { size, stride },
                Signal::Image([rows, cols, channels]),
            ) => {
                let stride = if *stride == 0 { *size } else { *stride };
                let places = |n: usize| places(name, signal, n, *size, stride, 0);
                Ok(Signal::Image([places(rows)?, places(cols)?, channels]))
            }
            (Layer::GlobalMean {}, Signal::Image([.., channels])) => Ok(Signal::Features(channels)),
            (Layer::Flatten {}, Signal::Image([rows, cols, channels])) => {
                Ok(Signal::Features(rows * cols * channels))
            }
            (Layer::Embed { width, places }, Signal::Ids { length, kinds }) => {
                let width = sized(name, "width", *width)?;
                let start = Start::Uniform((3.0 / width as f32).sqrt());
                self.want(name, "weight", &[kinds, width], start, false);
                if *places {
                    self.want(name, "places", &[length, width], start, false);
                }
                Ok(Signal::Sequence { length, width })
            }
            (Layer::Attention { heads, .. }, Signal::Sequence { width, .. }) => {
                if *heads == 0 || !width.is_multiple_of(*heads) {
                    let takes = format!("a width that {heads} heads divide");
                    return Err(refused(name, signal, &takes));
                }
                self.attends = true;
                let start = Start::Uniform((3.0 / width as f32).sqrt());
                self.want(name, "in.weight", &[3 * width, width], start, false);
                self.want(name, "in.bias", &[3 * width], Start::Constant(0.0), false);
                self.want(name, "out.weight", &[width, width], start, false);
                self.want(name, "out.bias", &[width], Start::Constant(0.0), false);
                Ok(signal)
            }
            (Layer::Lstm { width }, Signal::Sequence { length, width: from }) => {
                self.recurrent(name, *width, from, 4)?;
                Ok(Signal::Sequence { length, width: *width })
            }
            (Layer::Gru { width }, Signal::Sequence { length, width: from }) => {
                self.recurrent(name, *width, from, 3)?;
                self.want(name, "state.bias", &[3 * width], Start::Constant(0.0), false);
                Ok(Signal::Sequence { length, width: *width })
            }
            (layer, signal) => Err(refused(name, signal, takes(layer))),
        }
    }

    fn want(&mut self, name: &str, part: &str, shape: &[usize], start: Start, fixed: bool) {
        let wanted = Wanted { shape: shape.to_vec(), start, fixed };
        self.wanted.insert(format!("{name}.{part}"), wanted);
    }

    fn linear(
        &mut self,
        name: &str,
        layer: &Layer,
        signal: Signal,
        width: usize,
        gain: f32,
    ) -> Result<Signal> {
        let width = sized(name, "width", width)?;
        let (from, after) = match signal {
            Signal::Features(n) => (n, Signal::Features(width)),
            Signal::Sequence { length, width: n } => (n, Signal::Sequence { length, width }),
            other => return Err(refused(name, other, takes(layer))),
        };
        let start = Start::Uniform((gain / from as f32).sqrt());
        self.want(name, "weight", &[width, from], start, false);
        self.want(name, "bias", &[width], Start::Constant(0.0), false);
        Ok(after)
    }

    fn norm(&mut self, name: &str, layer: &Layer, signal: Signal, eps: f64) -> Result<usize> {
        let width = match signal {
            Signal::Features(width) | Signal::Sequence { width, .. } => width,
            Signal::Image([.., channels]) => channels,
            Signal::Ids { .. } => return Err(refused(name, signal, takes(layer))),
        };
        between(name, "eps", eps, 1e-12, 1.0)?;
        self.want(name, "weight", &[width], Start::Constant(1.0), false);
        self.want(name, "bias", &[width], Start::Constant(0.0), false);
        Ok(width)
    }

    fn conv(&mut self, name: &str, layer: &Layer, size: [usize; 3], gain: f32) -> Result<Signal> {
        let Layer::Conv { channels, kernel, stride, padding } = *layer else {
            return Err(refused(name, Signal::Image(size), takes(layer)));
        };
        let [rows, cols, depth] = size;
        let channels = sized(name, "channels", channels)?;
        let signal = Signal::Image(size);
        let places = |n: usize| places(name, signal, n, kernel, stride, padding);
        let after = Signal::Image([places(rows)?, places(cols)?, channels]);
        let fan_in = (kernel * kernel * depth) as f32;
        let start = Start::Uniform((gain / fan_in).sqrt());
        self.want(name, "weight", &[channels, kernel, kernel, depth], start, false);
        self.want(name, "bias", &[channels], Start::Constant(0.0), false);
        Ok(after)
    }

    fn recurrent(&mut self, name: &str, width: usize, from: usize, gates: usize) -> Result<()> {
        let width = sized(name, "width", width)?;
        self.time_first = true;
        let start = Start::Uniform(1.0 / (width as f32).sqrt());
        self.want(name, "weight", &[gates * width, from], start, false);
        self.want(name, "bias", &[gates * width], Start::Constant(0.0), false);
        self.want(name, "state.weight", &[gates * width, width], start, false);
        Ok(())
    }
}

/// What a layer is for, where something else reaches it.
fn takes(layer: &Layer) -> &'static str {
    match layer {
        Layer::Conv { .. }
        | Layer::MaxPool { .. }
        | Layer::MeanPool { .. }
        | Layer::GlobalMean {}
        | Layer::Flatten {} => "images (see prepare.shape)",
        Layer::Embed { .. } => "sequences of tokens",
        Layer::Attention { .. } | Layer::Lstm { .. } | Layer::Gru { .. } => {
            "sequences of vectors (begin with embed)"
        }
        Layer::Linear { .. } => "features or sequences of vectors (flatten images, embed tokens)",
        _ => "numbers (embed tokens first)",
    }
}

fn refused(name: &str, signal: Signal, takes: &str) -> TensorError {
    TensorError::BadModel(format!("layer {name} takes {takes}, but {signal} reach it"))
}

/// A width of at least 1 and not absurd.
fn sized(name: &str, what: &str, n: usize) -> Result<usize> {
    match n {
        0 => Err(TensorError::BadModel(format!("layer {name} has {what} 0"))),
        n if n as u64 > MAX_WIDTH as u64 => {
            Err(TensorError::TooLarge { what: "width of a layer", limit: MAX_WIDTH as u64 })
        }
        n => Ok(n),
    }
}

fn between(name: &str, what: &str, x: f64, least: f64, most: f64) -> Result<()> {
    match (least..=most).contains(&x) {
        true => Ok(()),
        false => Err(TensorError::BadModel(format!(
            "layer {name} has {what} = {x}: a number from {least} to {most} is needed"
        ))),
    }
}

/// How often a kernel fits along one side.
fn places(
    name: &str,
    signal: Signal,
    size: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
) -> Result<usize> {
    let sane = (1..=1024).contains(&kernel) && (1..=1024).contains(&stride) && padding < kernel;
    let room = sane.then(|| (size + 2 * padding).checked_sub(kernel)).flatten();
    room.map(|room| room / stride + 1).ok_or_else(|| {
        let takes = format!(
            "images that a kernel of {kernel} in steps of {stride} with a padding of {padding} fits"
        );
        refused(name, signal, &takes)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(json: serde_json::Value) -> Vec<Layer> {
        Layer::list(&json).unwrap()
    }

    #[test]
    fn shapes_are_followed_and_parameters_named() {
        let layers = layers(serde_json::json!([
            { "layer": "conv", "channels": 6, "kernel": 5, "padding": 2 }, "relu",
            { "layer": "max_pool", "size": 2 },
            "flatten",
            { "layer": "linear", "width": 10 },
        ]));
        let network = Network::new(&layers, Signal::Image([28, 28, 1]), 10).unwrap();
        let names: Vec<&str> = network.wanted.keys().map(String::as_str).collect();
        let expected =
            ["conv1.bias", "conv1.weight", "fc1.bias", "fc1.weight", "head.bias", "head.weight"];
        assert_eq!(names, expected);
        assert_eq!(network.wanted["fc1.weight"].shape, [10, 14 * 14 * 6]);
        assert_eq!(network.wanted["conv1.weight"].shape, [6, 5, 5, 1]);
    }

    // proves A-69
    #[test]
    fn names_count_through_the_model() {
        let layers = layers(serde_json::json!([
            { "layer": "linear", "width": 4 }, { "layer": "layer_norm" },
            {
                "layer": "residual",
                "layers": [{ "layer": "linear", "width": 4 }, { "layer": "batch_norm" },
                    { "layer": "residual", "layers": [{ "layer": "linear", "width": 4 }] }],
                "shortcut": [{ "layer": "linear", "width": 4 }],
            },
            { "layer": "linear", "width": 4 },
        ]));
        let network = Network::new(&layers, Signal::Features(2), 3).unwrap();
        let outer = &network.nodes[2];
        let names = |nodes: &[Node]| nodes.iter().map(|n| n.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&network.nodes), ["fc1", "norm1", "residual1", "fc5", "head"]);
        assert_eq!(names(&outer.inner), ["fc2", "norm2", "residual2"]);
        assert_eq!(names(&outer.inner[2].inner), ["fc3"]);
        assert_eq!(names(&outer.shortcut), ["fc4"]);
    }

    // proves A-76
    #[test]
    fn parameters_stand_in_the_order_of_their_names() {
        let layers = layers(serde_json::json!(vec![
            serde_json::json!({ "layer": "linear", "width": 2 });
            10
        ]));
        let network = Network::new(&layers, Signal::Features(2), 3).unwrap();
        let weights = network.wanted.keys().filter_map(|name| name.strip_suffix(".weight"));
        let expected =
            ["fc1", "fc10", "fc2", "fc3", "fc4", "fc5", "fc6", "fc7", "fc8", "fc9", "head"];
        assert!(weights.eq(expected));
    }

    #[test]
    fn what_does_not_fit_is_named_with_both_shapes() {
        let error = |json, signal| Network::new(&layers(json), signal, 3).unwrap_err().to_string();
        let json = serde_json::json!([{ "layer": "conv", "channels": 6, "kernel": 5 }]);
        assert_eq!(
            error(json.clone(), Signal::Features(64)),
            "layer conv1 takes images (see prepare.shape), but 64 features reach it"
        );
        assert_eq!(
            error(json, Signal::Image([4, 9, 1])),
            "layer conv1 takes images that a kernel of 5 in steps of 1 with a padding of 0 fits, \
             but images of 4x9x1 reach it"
        );
        assert_eq!(
            error(serde_json::json!(["relu"]), Signal::Image([4, 9, 1])),
            "layer head takes features or sequences of vectors (flatten images, embed tokens), \
             but images of 4x9x1 reach it"
        );
        let ids = Signal::Ids { length: 8, kinds: 5 };
        let json = serde_json::json!([{ "layer": "embed", "width": 6 }, { "layer": "attention", "heads": 4 }]);
        assert_eq!(
            error(json, ids),
            "layer attention1 takes a width that 4 heads divide, but sequences of 8 vectors of 6 reach it"
        );
        let json = serde_json::json!([{ "layer": "residual", "layers": [{ "layer": "linear", "width": 3 }] }]);
        assert_eq!(
            error(json, Signal::Features(2)),
            "layer residual1 takes the shortcut's 2 features, but 3 features reach it"
        );
    }
}
