//! Layers on sequences.

use std::sync::{Mutex, PoisonError};

use candle_core::{Result, bail};
use lab_arithmetic::{Attention, Kernels, Steps, Tape};

use super::dense::vector;
use super::{Back, Gradients, Input, Operation, with_last};

/// Rows of a table, by id: table [ids, width], ids of any shape.
pub(crate) struct Embed(pub(crate) Kernels);

/// Attention of [sequence, place, 3 width]: queries, keys and values side by side.
pub(crate) struct Attend {
    pub(crate) kernels: Kernels,
    pub(crate) heads: usize,
    pub(crate) causal: bool,
}

/// An LSTM: what the inputs contribute [step, row, 4 width], and U [4 width, width].
pub(crate) struct Lstm {
    kernels: Kernels,
    tape: Mutex<Tape>,
}

/// A GRU: what the inputs contribute [step, row, 3 width], U [3 width, width] and its bias.
pub(crate) struct Gru {
    kernels: Kernels,
    tape: Mutex<Tape>,
}

impl Operation for Embed {
    const NAME: &'static str = "embed";

    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<f32>, Vec<usize>)> {
        let [table, ids] = inputs else { bail!("embed takes two tensors") };
        let (rows, width) = table.rows();
        let mut shape = ids.shape.to_vec();
        let ids = ids.ids(rows, "id")?;
        let mut result = vec![0.0; ids.len() * width];
        self.0.embed(table.floats()?, width, ids, &mut result);
        shape.push(width);
        Ok((result, shape))
    }

    fn backward(&self, inputs: &[Input<'_>], back: Back<'_>) -> Result<Gradients> {
        let (rows, width) = inputs[0].rows();
        let mut table = vec![0.0; rows * width];
        self.0.embed_gradient(inputs[1].ids(rows, "id")?, width, back.upstream, &mut table);
        Ok(vec![Some(table), None])
    }
}

impl Attend {
    fn shape(&self, input: &Input<'_>) -> Result<(usize, Attention)> {
        let &[sequences, places, triple] = input.shape else {
            bail!("attention takes [sequence, place, 3 width], not {:?}", input.shape)
        };
        let width = triple / 3;
        if triple % 3 != 0 || self.heads == 0 || width % self.heads != 0 {
            bail!("{} heads do not divide queries, keys and values of {triple}", self.heads);
        }
        let (heads, causal) = (self.heads, self.causal);
        Ok((sequences, Attention { places, width, heads, causal }))
    }
}

impl Operation for Attend {
    const NAME: &'static str = "attend";

    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<f32>, Vec<usize>)> {
        let (sequences, attention) = self.shape(&inputs[0])?;
        let mut result = vec![0.0; sequences * attention.places * attention.width];
        self.kernels.attention(attention, inputs[0].floats()?, &mut result);
        Ok((result, with_last(inputs[0].shape, attention.width)))
    }

    fn backward(&self, inputs: &[Input<'_>], back: Back<'_>) -> Result<Gradients> {
        let (_, attention) = self.shape(&inputs[0])?;
        let qkv = inputs[0].floats()?;
        let mut gradient = vec![0.0; qkv.len()];
        self.kernels.attention_gradient(attention, qkv, back.upstream, &mut gradient);
        Ok(vec![Some(gradient)])
    }
}

/// The sizes of a recurrent layer with so many gates.
fn steps(inputs: &[Input<'_>], gates: usize) -> Result<Steps> {
    let (x, u) = (inputs[0].shape, inputs[1].shape);
    let (&[steps, rows, wide], &[of_gates, width]) = (x, u) else {
        bail!("a recurrent layer takes [step, row, gates] and [gates, width], not {x:?} and {u:?}")
    };
    if wide != gates * width || of_gates != wide {
        bail!("inputs of shape {x:?} and a weight of shape {u:?} do not fit {gates} gates");
    }
    Ok(Steps { steps, rows, width })
}

impl Lstm {
    pub(crate) fn new(kernels: Kernels) -> Self {
        Lstm { kernels, tape: Mutex::default() }
    }
}

impl Operation for Lstm {
    const NAME: &'static str = "lstm";

    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<f32>, Vec<usize>)> {
        let s = steps(inputs, 4)?;
        let mut states = vec![0.0; s.steps * s.rows * s.width];
        let tape = self.kernels.lstm(s, inputs[0].floats()?, inputs[1].floats()?, &mut states);
        *self.tape.lock().unwrap_or_else(PoisonError::into_inner) = tape;
        Ok((states, vec![s.steps, s.rows, s.width]))
    }

    fn backward(&self, inputs: &[Input<'_>], back: Back<'_>) -> Result<Gradients> {
        let s = steps(inputs, 4)?;
        let tape = self.tape.lock().unwrap_or_else(PoisonError::into_inner);
        let u = inputs[1].floats()?;
        let (dx, du) = self.kernels.lstm_gradient(s, u, back.result, &tape, back.upstream);
        Ok(vec![Some(dx), Some(du)])
    }
}

impl Gru {
    pub(crate) fn new(kernels: Kernels) -> Self {
        Gru { kernels, tape: Mutex::default() }
    }
}

impl Operation for Gru {
    const NAME: &'static str = "gru";

    fn forward(&self, inputs: &[Input<'_>]) -> Result<(Vec<f32>, Vec<usize>)> {
        let s = steps(inputs, 3)?;
        let bias = vector(&inputs[2], 3 * s.width, "a bias")?;
        let mut states = vec![0.0; s.steps * s.rows * s.width];
        let (x, u) = (inputs[0].floats()?, inputs[1].floats()?);
        let tape = self.kernels.gru(s, x, u, bias, &mut states);
        *self.tape.lock().unwrap_or_else(PoisonError::into_inner) = tape;
        Ok((states, vec![s.steps, s.rows, s.width]))
    }

    fn backward(&self, inputs: &[Input<'_>], back: Back<'_>) -> Result<Gradients> {
        let s = steps(inputs, 3)?;
        let tape = self.tape.lock().unwrap_or_else(PoisonError::into_inner);
        let u = inputs[1].floats()?;
        let (dx, du, db) = self.kernels.gru_gradient(s, u, back.result, &tape, back.upstream);
        Ok(vec![Some(dx), Some(du), Some(db)])
    }
}
