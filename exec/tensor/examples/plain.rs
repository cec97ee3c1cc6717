//! A transformer that is trained by candle's own operations and gradients, as one writes it with
//! candle alone: for tests/bench/tensor.py, which sets the training of `lab` beside it. Layers,
//! loss and AdamW are those of candle-nn 0.11; of its layer norm the form that has a gradient.
//!
//! `cargo run --release -p lab-tensor --example plain PROGRAM EPOCHS [check]` prints the mean loss
//! of each epoch. Weights and batches are those of the program, so that with `check` the losses
//! are held against those of `lab`.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use candle_core::backprop::GradStore;
use candle_core::{D, DType, Device, Result, Tensor, Var, safetensors};
use lab_objects::{Memory, Silent, Store};
use lab_preparation::Draws;
use lab_schema::{ContentId, Outcome, Recipe, Value};
use lab_tensor::{Program, Source, execute};

/// By how much an epoch's loss may differ from that of `lab`, which rounds elsewhere.
const TOLERANCE: f64 = 1e-4;

/// A size or a rate that a recipe has.
fn setting(recipe: &Recipe, name: &str) -> std::result::Result<f64, String> {
    match recipe.params().get(name) {
        Some(Value::Int(n)) => Ok(*n as f64),
        Some(Value::Float(x)) => Ok(x.get()),
        other => Err(format!("{name} is {other:?}, not a number")),
    }
}

/// A linear layer.
struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (rows, places, width) = x.dims3()?;
        let y = x.reshape((rows * places, width))?.matmul(&self.weight.t()?)?;
        y.reshape((rows, places, ()))?.broadcast_add(&self.bias)
    }
}

/// A normalisation over the last axis.
struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
}

impl LayerNorm {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let width = x.dim(D::Minus1)? as f64;
        let x = x.broadcast_sub(&(x.sum_keepdim(D::Minus1)? / width)?)?;
        let variance = (x.sqr()?.sum_keepdim(D::Minus1)? / width)?;
        let normal = x.broadcast_div(&(variance + 1e-5)?.sqrt()?)?;
        normal.broadcast_mul(&self.weight)?.broadcast_add(&self.bias)
    }
}

fn softmax(x: &Tensor) -> Result<Tensor> {
    let powers = x.broadcast_sub(&x.max_keepdim(D::Minus1)?)?.exp()?;
    powers.broadcast_div(&powers.sum_keepdim(D::Minus1)?)
}

/// The mean over rows.
fn cross_entropy(scores: &Tensor, labels: &Tensor) -> Result<Tensor> {
    let below = scores.broadcast_sub(&scores.max_keepdim(1)?)?;
    let logs = below.broadcast_sub(&below.exp()?.sum_keepdim(1)?.log()?)?;
    logs.gather(&labels.unsqueeze(1)?, 1)?.sum_all()?.affine(-1.0 / labels.dim(0)? as f64, 0.0)
}

/// Normalisation first.
struct Block {
    heads: usize,
    norms: [LayerNorm; 2],
    into: Linear,
    out: Linear,
    up: Linear,
    down: Linear,
    /// What is hidden from each place.
    hidden: Tensor,
    nothing: Tensor,
}

impl Block {
    fn attend(&self, x: &Tensor) -> Result<Tensor> {
        let (rows, places, width) = x.dims3()?;
        let size = width / self.heads;
        let all = self.into.forward(x)?;
        let head = |n: usize| {
            let part = all.narrow(D::Minus1, n * width, width)?;
            part.reshape((rows, places, self.heads, size))?.transpose(1, 2)?.contiguous()
        };
        let (q, k, v) = (head(0)?, head(1)?, head(2)?);
        let scores = (q.matmul(&k.t()?)? * (1.0 / (size as f64).sqrt()))?;
        let hidden = self.hidden.broadcast_as(scores.shape())?;
        let scores = hidden.where_cond(&self.nothing.broadcast_as(scores.shape())?, &scores)?;
        let made = softmax(&scores)?.matmul(&v)?;
        self.out.forward(&made.transpose(1, 2)?.reshape((rows, places, width))?)
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = (x + self.attend(&self.norms[0].forward(x)?)?)?;
        let wide = self.up.forward(&self.norms[1].forward(&x)?)?.gelu()?;
        &x + self.down.forward(&wide)?
    }
}

/// The parameters, by the names that `lab` gives them.
struct Parameters {
    seed: u64,
    all: BTreeMap<String, Var>,
}

impl Parameters {
    /// Uniform within the root of `gain` over the fan-in, drawn as `lab` draws.
    fn drawn(&mut self, name: &str, rows: usize, width: usize, gain: f32) -> Result<Tensor> {
        let (draws, bound) = (Draws::new(self.seed, &format!("init/{name}")), gain / width as f32);
        let one = |i| (draws.uniform(0, i) * 2.0 - 1.0) * bound.sqrt();
        let values: Vec<f32> = (0..(rows * width) as u64).map(one).collect();
        self.keep(name, Tensor::from_vec(values, (rows, width), &Device::Cpu)?)
    }

    fn keep(&mut self, name: &str, start: Tensor) -> Result<Tensor> {
        let var = Var::from_tensor(&start)?;
        let tensor = var.as_tensor().clone();
        self.all.insert(name.to_owned(), var);
        Ok(tensor)
    }

    fn linear(&mut self, name: &str, from: usize, to: usize, gain: f32) -> Result<Linear> {
        let weight = self.drawn(&format!("{name}weight"), to, from, gain)?;
        let bias = Tensor::zeros(to, DType::F32, &Device::Cpu)?;
        Ok(Linear { weight, bias: self.keep(&format!("{name}bias"), bias)? })
    }

    fn norm(&mut self, number: usize, width: usize) -> Result<LayerNorm> {
        let start = Tensor::ones(width, DType::F32, &Device::Cpu)?;
        let bias = self.keep(&format!("norm{number}.bias"), start.zeros_like()?)?;
        Ok(LayerNorm { weight: self.keep(&format!("norm{number}.weight"), start)?, bias })
    }
}

struct Transformer {
    embed: Tensor,
    places: Tensor,
    blocks: Vec<Block>,
    norm: LayerNorm,
    head: Linear,
}

impl Transformer {
    fn new(
        p: &mut Parameters,
        tokens: usize,
        [width, heads, depth, context]: [usize; 4],
    ) -> Result<Self> {
        let hidden = (0..context * context).map(|i| u8::from(i % context > i / context));
        let hidden = Tensor::from_iter(hidden, &Device::Cpu)?.reshape((context, context))?;
        let mut block = |n: usize| {
            Ok(Block {
                heads,
                norms: [p.norm(2 * n + 1, width)?, p.norm(2 * n + 2, width)?],
                into: p.linear(&format!("attention{}.in.", n + 1), width, 3 * width, 3.0)?,
                out: p.linear(&format!("attention{}.out.", n + 1), width, width, 3.0)?,
                // A gelu follows.
                up: p.linear(&format!("fc{}.", 2 * n + 1), width, 4 * width, 6.0)?,
                down: p.linear(&format!("fc{}.", 2 * n + 2), 4 * width, width, 3.0)?,
                hidden: hidden.clone(),
                nothing: Tensor::new(f32::NEG_INFINITY, &Device::Cpu)?,
            })
        };
        Ok(Transformer {
            blocks: (0..depth).map(&mut block).collect::<Result<_>>()?,
            embed: p.drawn("embed1.weight", tokens, width, 3.0)?,
            places: p.drawn("embed1.places", context, width, 3.0)?,
            norm: p.norm(2 * depth + 1, width)?,
            head: p.linear("head.", width, tokens, 3.0)?,
        })
    }

    fn forward(&self, ids: &Tensor) -> Result<Tensor> {
        let (rows, places) = ids.dims2()?;
        let vectors = self.embed.index_select(&ids.flatten_all()?, 0)?;
        let mut x = vectors.reshape((rows, places, ()))?.broadcast_add(&self.places)?;
        for block in &self.blocks {
            x = block.forward(&x)?;
        }
        self.head.forward(&self.norm.forward(&x)?)?.flatten_to(1)
    }
}

struct AdamW {
    /// Parameter, first and second moment.
    all: Vec<[Var; 3]>,
    lr: f64,
    beta1: f64,
    beta2: f64,
    eps: f64,
    decay: f64,
    steps: i32,
}

impl AdamW {
    fn new(p: &Parameters, recipe: &Recipe) -> std::result::Result<Self, Box<dyn Error>> {
        let zeros = |var: &Var| Var::from_tensor(&var.zeros_like()?);
        let state = |var: &Var| Ok([var.clone(), zeros(var)?, zeros(var)?]);
        Ok(AdamW {
            all: p.all.values().map(state).collect::<Result<_>>()?,
            lr: setting(recipe, "lr")?,
            beta1: setting(recipe, "beta1")?,
            beta2: setting(recipe, "beta2")?,
            eps: setting(recipe, "eps")?,
            decay: setting(recipe, "weight_decay")?,
            steps: 0,
        })
    }

    fn step(&mut self, gradients: &GradStore) -> Result<()> {
        self.steps += 1;
        let scale1 = 1.0 / (1.0 - self.beta1.powi(self.steps));
        let scale2 = 1.0 / (1.0 - self.beta2.powi(self.steps));
        for [var, first, second] in &self.all {
            let Some(g) = gradients.get(var) else { continue };
            let next1 = ((first.as_tensor() * self.beta1)? + (g * (1.0 - self.beta1))?)?;
            let next2 = ((second.as_tensor() * self.beta2)? + (g.sqr()? * (1.0 - self.beta2))?)?;
            let (hat1, hat2) = ((&next1 * scale1)?, (&next2 * scale2)?);
            let kept = (var.as_tensor() * (1.0 - self.lr * self.decay))?;
            let along = (hat1 / (hat2.sqrt()? + self.eps)?)?;
            first.set(&next1)?;
            second.set(&next2)?;
            var.set(&(kept - (along * self.lr)?)?)?;
        }
        Ok(())
    }
}

/// Where the windows of an epoch begin, batch after batch: docs/arithmetic.md, A-80.
fn epoch(draws: Draws, n: u32, tokens: usize, batch: usize, context: usize) -> Vec<Vec<usize>> {
    let mut places: Vec<usize> = (0..((tokens - 1) / context - 1).max(1)).collect();
    draws.shuffle(n, &mut places);
    let room = tokens - 1 - places.len() * context;
    let offset = draws.also(1).below(n, 0, (room + 1).min(context) as u64) as usize;
    places.iter_mut().for_each(|place| *place = offset + *place * context);
    places.chunks(batch).map(<[usize]>::to_vec).collect()
}

/// The mean loss of each epoch.
fn train(
    recipe: &Recipe,
    text: &[u32],
    kinds: usize,
    epochs: u32,
) -> std::result::Result<Vec<f64>, Box<dyn Error>> {
    let size = |name: &str| setting(recipe, name).map(|n| n as usize);
    let (context, batch) = (size("context")?, size("batch")?);
    let sizes = [size("width")?, size("heads")?, size("depth")?, context];
    let mut parameters = Parameters { seed: size("init_seed")? as u64, all: BTreeMap::new() };
    let model = Transformer::new(&mut parameters, kinds, sizes)?;
    let mut optimizer = AdamW::new(&parameters, recipe)?;
    let shuffle = Draws::new(size("shuffle_seed")? as u64, "shuffle");
    let mut losses = Vec::new();
    for n in 1..=epochs {
        let (mut sum, mut rows) = (0.0, 0);
        for places in epoch(shuffle, n, text.len(), batch, context) {
            let ids = |shift: usize| -> Vec<u32> {
                places.iter().flat_map(|place| &text[place + shift..][..context]).copied().collect()
            };
            let x = Tensor::from_vec(ids(0), (places.len(), context), &Device::Cpu)?;
            let y = Tensor::from_vec(ids(1), places.len() * context, &Device::Cpu)?;
            let loss = cross_entropy(&model.forward(&x)?, &y)?;
            sum += f64::from(loss.to_scalar::<f32>()?) * places.len() as f64;
            rows += places.len();
            optimizer.step(&loss.backward()?)?;
        }
        losses.push(sum / rows as f64);
    }
    Ok(losses)
}

/// What `lab` has made of the program's stages so far, by their names.
struct Stages {
    store: Store,
    made: BTreeMap<String, Outcome>,
}

impl Stages {
    fn recipe(
        &self,
        program: &Program,
        stage: &str,
    ) -> std::result::Result<Recipe, Box<dyn Error>> {
        let stage = program.stages().into_iter().find(|s| s.name() == stage).ok_or("no stage")?;
        let mut inputs = BTreeMap::new();
        for input in stage.inputs() {
            let content: ContentId = match &input.from {
                Source::Stage { stage, output } => self.made[*stage].outputs[output],
                Source::Program(slot) => {
                    let mut writer = self.store.writer();
                    let id = writer.put_bytes(&std::fs::read(&program.inputs()[slot])?)?;
                    writer.finish()?;
                    id.into()
                }
            };
            inputs.insert(input.slot, content);
        }
        Ok(stage.recipe(inputs)?)
    }

    fn file(&self, stage: &str, name: &str) -> std::result::Result<Vec<u8>, Box<dyn Error>> {
        match self.made[stage].outputs[&name.parse()?] {
            ContentId::Blob(id) => Ok(self.store.read_blob(id, 1 << 30)?),
            other => Err(format!("{other} is no file").into()),
        }
    }
}

#[expect(clippy::print_stdout, reason = "what an example is for")]
fn main() -> std::result::Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, epochs, rest @ ..] = arguments.as_slice() else {
        return Err("usage: plain PROGRAM EPOCHS [check]".into());
    };
    let mut program = Program::parse(&std::fs::read_to_string(path)?)?;
    program.set("train.epochs", epochs)?;
    let store = Store::create(Arc::new(Memory::new()))?;
    let mut stages = Stages { store, made: BTreeMap::new() };
    let prepare = stages.recipe(&program, "prepare")?;
    stages.made.insert("prepare".into(), execute(&stages.store, &prepare, &Silent)?);
    let text =
        safetensors::load_buffer(&stages.file("prepare", "train.safetensors")?, &Device::Cpu)?;
    let text: Vec<u32> = text["tokens"].to_dtype(DType::U32)?.to_vec1()?;
    let prepared: serde_json::Value =
        serde_json::from_slice(&stages.file("prepare", "prepare.json")?)?;
    let kinds = prepared["target"]["tokens"].as_array().map_or(0, Vec::len);
    let recipe = stages.recipe(&program, "train")?;
    let losses = train(&recipe, &text, kinds, epochs.parse()?)?;
    println!("{losses:?}");
    if rest == ["check"] {
        stages.made.insert("train".into(), execute(&stages.store, &recipe, &Silent)?);
        let history: serde_json::Value =
            serde_json::from_slice(&stages.file("train", "history.json")?)?;
        for (n, plain) in losses.iter().enumerate() {
            let ours = history["epochs"][n]["loss"].as_f64().ok_or("lab has no such epoch")?;
            println!("epoch {}: {plain} in plain candle, {ours} in lab", n + 1);
            if (plain - ours).abs() > TOLERANCE {
                return Err("that is not the same training".into());
            }
        }
    }
    Ok(())
}
