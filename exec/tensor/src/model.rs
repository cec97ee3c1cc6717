//! Multi-layer perceptrons: parameters, their first values, and scores.
//!
//! Layer n has the weight `fcN.weight` (out by in) and the bias `fcN.bias` (out), the names and
//! shapes that PyTorch uses. Without hidden layers this is logistic regression.

use candle_core::{DType, Device, Tensor, Var};
use lab_schema::Slot;
use serde::{Deserialize, Serialize};

use crate::error::{Result, TensorError};
use crate::forward::Activation;
use crate::ops::Ops;
use crate::rng::Draws;
use crate::settings::MAX_WIDTH;
use crate::tensors::{self, Data, Tensors};

const MAX_PARAMETERS: u64 = 1 << 28;

/// `model.json`: what the weights mean.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shape {
    pub(crate) model: String,
    /// Features, widths of the hidden layers, classes.
    pub(crate) sizes: Vec<usize>,
    pub(crate) activation: String,
}

/// A tensor that is learned.
pub(crate) struct Parameter {
    name: String,
    shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

/// A model: weight and bias of each layer, in order.
pub(crate) struct Model {
    activation: Activation,
    pub(crate) parameters: Vec<Parameter>,
}

impl Shape {
    /// Names and shapes of the parameters.
    fn parameters(&self, slot: &Slot) -> Result<Vec<(String, Vec<usize>)>> {
        let total: u64 = self.sizes.windows(2).map(|s| s[0] as u64 * (s[1] as u64 + 1)).sum();
        let bad = |why: &str| TensorError::BadInput { slot: slot.clone(), why: why.to_owned() };
        if self.sizes.len() < 2 || self.sizes.iter().any(|s| !(1..=MAX_WIDTH as usize).contains(s))
        {
            return Err(bad("sizes are impossible"));
        }
        if total > MAX_PARAMETERS {
            return Err(TensorError::TooLarge { what: "parameters", limit: MAX_PARAMETERS });
        }
        let layer = |(n, s): (usize, &[usize])| {
            let name = |what| format!("fc{}.{what}", n + 1);
            [(name("weight"), vec![s[1], s[0]]), (name("bias"), vec![s[1]])]
        };
        Ok(self.sizes.windows(2).enumerate().flat_map(layer).collect())
    }

    fn activation(&self, slot: &Slot) -> Result<Activation> {
        match (self.model.as_str(), self.activation.as_str()) {
            ("mlp", "relu") => Ok(Activation::Relu),
            ("mlp", "tanh") => Ok(Activation::Tanh),
            (model, function) => Err(TensorError::BadInput {
                slot: slot.clone(),
                why: format!("no model is called {model:?} with activation {function:?}"),
            }),
        }
    }
}

impl Model {
    /// First values: weights uniform within sqrt(6 / in) for relu, sqrt(3 / in) for tanh; biases
    /// zero. Each parameter draws under its own name.
    pub(crate) fn new(shape: &Shape, seed: u64, slot: &Slot) -> Result<Model> {
        let activation = shape.activation(slot)?;
        let gain = match activation {
            Activation::Relu => 6.0,
            Activation::Tanh => 3.0,
        };
        let parameter = |(name, shape): (String, Vec<usize>)| {
            let values = match shape.as_slice() {
                &[outputs, inputs] => {
                    let bound = (gain / inputs as f32).sqrt();
                    let draws = Draws::new(seed, &format!("init/{name}"));
                    let draw = |i| (draws.uniform(0, i) * 2.0 - 1.0) * bound;
                    (0..(outputs * inputs) as u64).map(draw).collect()
                }
                shape => vec![0.0; shape.iter().product()],
            };
            Parameter { name, shape, values }
        };
        let parameters = shape.parameters(slot)?.into_iter().map(parameter).collect();
        Ok(Model { activation, parameters })
    }

    /// The model of this shape with the weights in a file.
    pub(crate) fn read(shape: &Shape, slot: &Slot, bytes: &[u8]) -> Result<Model> {
        let mut tensors = Tensors::read(slot, bytes)?;
        let parameter = |(name, shape): (String, Vec<usize>)| {
            let sizes: Vec<Option<usize>> = shape.iter().copied().map(Some).collect();
            let tensor = tensors.take(&name, DType::F32, &sizes)?;
            let values = tensor.flatten_all().and_then(|t| t.to_vec1()).map_err(operation)?;
            Ok(Parameter { name, shape, values })
        };
        let parameters = shape.parameters(slot)?.into_iter().map(parameter);
        Ok(Model {
            activation: shape.activation(slot)?,
            parameters: parameters.collect::<Result<_>>()?,
        })
    }

    /// The bytes of a file with the weights.
    pub(crate) fn write(&self) -> Vec<u8> {
        let entry = |p: &'_ Parameter| (p.name.clone(), p.shape.clone());
        let names: Vec<_> = self.parameters.iter().map(entry).collect();
        let entries = names.iter().zip(&self.parameters);
        let entries: Vec<_> =
            entries.map(|((n, s), p)| (n.as_str(), s.as_slice(), Data::F32(&p.values))).collect();
        tensors::write(&entries)
    }

    /// The parameters as candle's variables, for one step.
    pub(crate) fn variables(&self) -> Result<Vec<Var>> {
        let var = |p: &Parameter| {
            Var::from_vec(p.values.clone(), p.shape.as_slice(), &Device::Cpu).map_err(operation)
        };
        self.parameters.iter().map(var).collect()
    }

    /// Scores [rows, classes] of x [rows, features].
    pub(crate) fn scores(&self, ops: Ops, variables: &[Var], x: &Tensor) -> Result<Tensor> {
        let mut layer = x.clone();
        let last = variables.len() / 2 - 1;
        for (n, pair) in variables.chunks(2).enumerate() {
            layer = ops.linear(&layer, &pair[0], &pair[1]).map_err(operation)?;
            if n < last {
                layer = ops.activate(&layer, self.activation).map_err(operation)?;
            }
        }
        Ok(layer)
    }
}

fn operation(source: candle_core::Error) -> TensorError {
    TensorError::Operation { what: "the model", source: Box::new(source) }
}
