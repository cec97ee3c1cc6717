//! The layers that a model is made of, as programs and `model.json` name them.
//!
//! A layer is a table such as `{ layer = "conv", channels = 32, kernel = 5 }`, or a word where the
//! kind says all. What is left out has a default, which the recipe holds.

use serde::{Deserialize, Serialize};

use crate::words::nearest;

/// A layer. Images lie as [row, column, channel].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "layer", rename_all = "snake_case", deny_unknown_fields)]
#[expect(clippy::enum_variant_names, reason = "that is what layer normalisation is called")]
pub(crate) enum Layer {
    /// Every output a weighted sum of all inputs, and a bias.
    Linear {
        width: usize,
    },
    /// x where x > 0, else 0.
    Relu {},
    Tanh {},
    Sigmoid {},
    /// The gaussian error linear unit, in its tanh form.
    Gelu {},
    /// `x sigmoid(x)`.
    Silu {},
    /// Leaves out this share while learning.
    Dropout {
        rate: f64,
    },
    LayerNorm {
        #[serde(default = "eps")]
        eps: f64,
    },
    BatchNorm {
        #[serde(default = "eps")]
        eps: f64,
        /// Share of a new batch in the running moments.
        #[serde(default = "momentum")]
        momentum: f64,
    },
    Conv {
        channels: usize,
        kernel: usize,
        #[serde(default = "one")]
        stride: usize,
        #[serde(default)]
        padding: usize,
    },
    MaxPool {
        size: usize,
        /// 0: as the size.
        #[serde(default)]
        stride: usize,
    },
    MeanPool {
        size: usize,
        /// 0: as the size.
        #[serde(default)]
        stride: usize,
    },
    /// The mean of each channel over the whole image.
    GlobalMean {},
    /// An image becomes a row of features.
    Flatten {},
    /// What the layers make, and what comes in, or what the layers of `shortcut` make of it.
    Residual {
        layers: Vec<Layer>,
        #[serde(default)]
        shortcut: Vec<Layer>,
    },
    /// A vector for each token, and one for each place.
    Embed {
        width: usize,
        #[serde(default)]
        places: bool,
    },
    /// Attention over the places before, with products into and out of it.
    Attention {
        heads: usize,
        #[serde(default = "yes")]
        causal: bool,
    },
    Lstm {
        width: usize,
    },
    Gru {
        width: usize,
    },
}

fn eps() -> f64 {
    1e-5
}

fn momentum() -> f64 {
    0.1
}

fn one() -> usize {
    1
}

fn yes() -> bool {
    true
}

/// What layers are called.
const KINDS: [&str; 19] = [
    "linear",
    "relu",
    "tanh",
    "sigmoid",
    "gelu",
    "silu",
    "dropout",
    "layer_norm",
    "batch_norm",
    "conv",
    "max_pool",
    "mean_pool",
    "global_mean",
    "flatten",
    "residual",
    "embed",
    "attention",
    "lstm",
    "gru",
];

/// Deepest nesting, and most layers.
const MAX_DEPTH: usize = 4;
const MAX_LAYERS: usize = 1024;

impl Layer {
    /// The kind, as programs write it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Layer::Linear { .. } => "linear",
            Layer::Relu {} => "relu",
            Layer::Tanh {} => "tanh",
            Layer::Sigmoid {} => "sigmoid",
            Layer::Gelu {} => "gelu",
            Layer::Silu {} => "silu",
            Layer::Dropout { .. } => "dropout",
            Layer::LayerNorm { .. } => "layer_norm",
            Layer::BatchNorm { .. } => "batch_norm",
            Layer::Conv { .. } => "conv",
            Layer::MaxPool { .. } => "max_pool",
            Layer::MeanPool { .. } => "mean_pool",
            Layer::GlobalMean {} => "global_mean",
            Layer::Flatten {} => "flatten",
            Layer::Residual { .. } => "residual",
            Layer::Embed { .. } => "embed",
            Layer::Attention { .. } => "attention",
            Layer::Lstm { .. } => "lstm",
            Layer::Gru { .. } => "gru",
        }
    }

    /// Reads a list of layers from JSON: tables, or words for layers without settings.
    pub(crate) fn list(value: &serde_json::Value) -> Result<Vec<Layer>, String> {
        let mut count = 0;
        list(value, 0, &mut count)
    }
}

fn list(value: &serde_json::Value, depth: usize, count: &mut usize) -> Result<Vec<Layer>, String> {
    let Some(items) = value.as_array() else { return Err("a list of layers".into()) };
    *count += items.len();
    if depth > MAX_DEPTH || *count > MAX_LAYERS {
        return Err(format!("at most {MAX_LAYERS} layers, nested at most {MAX_DEPTH} deep"));
    }
    let layer = |(n, item): (usize, &serde_json::Value)| {
        let mut table = match item {
            serde_json::Value::String(kind) => serde_json::json!({ "layer": kind }),
            other => other.clone(),
        };
        let kind = table.get("layer").and_then(|kind| kind.as_str());
        let place = format!("layer {}", n + 1);
        match kind {
            None => {
                return Err(format!("{place} is no word, and no table with `layer = \"KIND\"`"));
            }
            Some(kind) if !KINDS.contains(&kind) => {
                let near = nearest(kind, KINDS.into_iter());
                let near = near.map(|near| format!("; did you mean '{near}'?"));
                let kinds = || format!("; there are {}", KINDS.join(", "));
                return Err(format!(
                    "{place}: there is no '{}'{}",
                    kind.chars().take(40).collect::<String>().escape_debug(),
                    near.unwrap_or_else(kinds)
                ));
            }
            Some(_) => {}
        }
        for inner in ["layers", "shortcut"] {
            if let Some(layers) = table.get(inner) {
                let layers = list(layers, depth + 1, count)?;
                table[inner] = serde_json::json!(layers);
            }
        }
        let kind = table["layer"].as_str().unwrap_or_default().to_owned();
        serde_json::from_value(table).map_err(|error| format!("{place} ({kind}): {error}"))
    };
    items.iter().enumerate().map(layer).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn layers_are_words_or_tables_with_every_default() {
        let layers = Layer::list(&json!([
            { "layer": "conv", "channels": 8, "kernel": 3 },
            "relu",
            { "layer": "residual", "layers": ["relu"] },
        ]));
        let layers = layers.unwrap();
        assert_eq!(layers[0], Layer::Conv { channels: 8, kernel: 3, stride: 1, padding: 0 });
        let written = serde_json::to_value(&layers).unwrap();
        assert_eq!(
            written[0],
            json!({ "layer": "conv", "channels": 8, "kernel": 3, "stride": 1, "padding": 0 })
        );
        assert_eq!(Layer::list(&written).unwrap(), layers);
    }

    #[test]
    fn wrong_layers_are_named() {
        let error = |value| Layer::list(&value).unwrap_err();
        assert_eq!(
            error(json!(["relu", "rleu"])),
            "layer 2: there is no 'rleu'; did you mean 'relu'?"
        );
        assert!(error(json!([3])).starts_with("layer 1 is no word"));
        for kind in KINDS {
            // Known to the reader as well: what is missing then is a setting.
            let read = Layer::list(&json!([kind]));
            assert!(
                read.as_ref().is_ok_and(|l| l[0].kind() == kind)
                    || read.is_err_and(|e| e.contains("missing field"))
            );
        }
        assert!(error(json!([{ "layer": "linear", "with": 3 }])).contains("unknown field `with`"));
        assert!(error(json!([{ "layer": "linear" }])).contains("missing field `width`"));
        assert!(error(json!([{ "layer": "linear", "width": -1 }])).contains("layer 1"));
        assert!(error(json!("relu")).contains("a list"));
        let mut deep = json!(["relu"]);
        for _ in 0..10 {
            deep = json!([{ "layer": "residual", "layers": deep }]);
        }
        assert!(error(deep).contains("nested"));
    }
}
