//! A whole training as docs/arithmetic.md has it, one number at a time: a line is fitted to a
//! table, and the weights, losses and digests of states come out with the same bits.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use common::{put, run, store};
use lab_arithmetic::Kernels;
use lab_objects::Store;
use lab_preparation::Draws;
use lab_schema::{ContentId, Digest};
use lab_tensor::Program;

const PROGRAM: &str = r#"
[inputs]
data = "data"
[prepare]
table = "data"
label = -1
target = "number"
[train]
model = "linear"
optimizer = "sgd"
momentum = 0.9
lr = 0.1
schedule = "linear"
clip = 0.5
batch = 7
epochs = 3
state_every = 2
init_seed = 5
shuffle_seed = 6
"#;

fn bytes(store: &Store, runs: &common::Runs, stage: &str, output: &str) -> Vec<u8> {
    let ContentId::Blob(id) = runs[stage].1.outputs[&output.parse().unwrap()] else { panic!() };
    store.read_blob(id, 1 << 26).unwrap()
}

/// The header of a safetensors file, and where its numbers begin.
fn header(file: &[u8]) -> (serde_json::Value, usize) {
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    (serde_json::from_slice(&file[8..8 + length]).unwrap(), 8 + length)
}

fn place(file: &[u8], name: &str) -> std::ops::Range<usize> {
    let (header, start) = header(file);
    let offset = |n: usize| header[name]["data_offsets"][n].as_u64().unwrap() as usize;
    start + offset(0)..start + offset(1)
}

fn tensor(file: &[u8], name: &str) -> Vec<f32> {
    let words = file[place(file, name)].chunks(4);
    words.map(|word| f32::from_le_bytes(word.try_into().unwrap())).collect()
}

/// The sum of up to 32 numbers: a lane for each, folded by halves.
fn row_sum(values: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 32];
    lanes.iter_mut().zip(values).for_each(|(lane, value)| *lane += value);
    for half in [16, 8, 4, 2, 1] {
        (0..half).for_each(|i| lanes[i] += lanes[i + half]);
    }
    lanes[0]
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let lanes: Vec<f32> = a.iter().zip(b).map(|(a, b)| a.mul_add(*b, 0.0)).collect();
    row_sum(&lanes)
}

/// A line: its parameters in the order of their names, and their velocities.
struct Line {
    bias: f32,
    weight: Vec<f32>,
    velocity: Vec<f32>,
}

impl Line {
    /// One step on a batch, and the loss before it.
    fn step(&mut self, x: &[&[f32]], y: &[f32], lr: f32, clip: f32) -> f32 {
        let rows = x.len() as f32;
        let one = |x: &&[f32]| {
            x.iter().zip(&self.weight).fold(0.0f32, |s, (x, w)| x.mul_add(*w, s)) + self.bias
        };
        let d: Vec<f32> = x.iter().zip(y).map(|(x, y)| one(x) - y).collect();
        let loss = dot(&d, &d) / rows;
        let g: Vec<f32> = d.iter().map(|d| d * ((2.0 * 1.0) / rows)).collect();
        let mut gradients = vec![g.iter().fold(0.0f32, |s, g| s + g)];
        for k in 0..self.weight.len() {
            gradients.push(g.iter().zip(x).fold(0.0f32, |s, (g, x)| g.mul_add(x[k], s)));
        }
        let parts = [dot(&gradients[..1], &gradients[..1]), dot(&gradients[1..], &gradients[1..])];
        let norm = row_sum(&parts).sqrt();
        if norm > clip {
            gradients.iter_mut().for_each(|g| *g *= clip / norm);
        }
        let parameters = [&mut self.bias].into_iter().chain(&mut self.weight);
        for ((p, v), g) in parameters.zip(&mut self.velocity).zip(gradients) {
            *v = 0.9f32.mul_add(*v, 0.0f32.mul_add(*p, g));
            *p = (-lr).mul_add(*v, *p);
        }
        loss
    }
}

fn of_tensor(name: &str, shape: &[u64], values: &[f32]) -> Digest {
    let mut bytes = (name.len() as u64).to_le_bytes().to_vec();
    bytes.extend(name.as_bytes());
    bytes.extend((shape.len() as u64).to_le_bytes());
    bytes.extend(shape.iter().flat_map(|size| size.to_le_bytes()));
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    Digest::derive("lab 2026-11-30 tensor of a state", &bytes)
}

// proves A-47, A-56, A-68, A-70, A-73, A-74, A-77, A-79, A-83, A-84
#[test]
fn a_training_goes_step_by_step_as_it_is_written() {
    let table: String = (0..40u32)
        .map(|i| format!("{},{},{}\n", f64::from(i * 7 % 11) / 3.0, i % 5, f64::from(i) / 7.0))
        .collect();
    let store = store();
    let program = Program::parse(PROGRAM).unwrap();
    let input = put(&store, table.as_bytes());
    let runs = run(&store, &program, input, Kernels::detect()).unwrap();
    let rows = bytes(&store, &runs, "prepare", "train.safetensors");
    let (x, y) = (tensor(&rows, "x"), tensor(&rows, "y"));
    let n = y.len();
    assert_eq!((n, x.len()), (32, 64));

    let bound = (3.0f32 / 2.0).sqrt();
    let init = Draws::new(5, "init/head.weight");
    let weight = (0..2).map(|i| (2.0 * init.uniform(0, i) - 1.0) * bound).collect();
    let mut line = Line { bias: 0.0, weight, velocity: vec![0.0; 3] };
    let mut model = bytes(&store, &runs, "train", "model.safetensors");
    let found = model.clone();
    let mut state = Digest::derive("lab 2026-11-30 state of training", &[]);
    let (mut losses, mut states, mut step) = (Vec::new(), Vec::new(), 0u64);
    let total = 3 * n.div_ceil(7) as u64;
    for epoch in 1..=3 {
        let mut places: Vec<usize> = (0..n).collect();
        Draws::new(6, "shuffle").shuffle(epoch, &mut places);
        let mut sum = 0.0f64;
        for batch in places.chunks(7) {
            let of_batch: Vec<&[f32]> = batch.iter().map(|row| &x[2 * row..][..2]).collect();
            let targets: Vec<f32> = batch.iter().map(|row| y[*row]).collect();
            let lr = (0.1f64 * ((total - step) as f64 / total as f64)) as f32;
            let loss = line.step(&of_batch, &targets, lr, 0.5);
            sum += f64::from(loss) * batch.len() as f64;
            step += 1;
            for (name, values) in
                [("head.bias", vec![line.bias]), ("head.weight", line.weight.clone())]
            {
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                let place = place(&model, name);
                model[place].copy_from_slice(&bytes);
            }
            if step % 2 == 0 {
                let tensors = [
                    of_tensor("head.bias", &[1], &[line.bias]),
                    of_tensor("head.weight", &[1, 2], &line.weight),
                ];
                let bytes = [state, tensors[0], tensors[1]].map(|digest| *digest.as_bytes());
                state = Digest::derive("lab 2026-11-30 state of training", &bytes.concat());
                let short = tensors.map(|digest| digest.to_string()[..8].to_owned()).join(" ");
                states.push(serde_json::json!({
                    "step": step, "digest": state.to_string(), "tensors": short
                }));
            }
        }
        losses.push(sum / n as f64);
    }
    assert!(model == found, "{line:?} is not what was left", line = (line.bias, line.weight));
    let history = bytes(&store, &runs, "train", "history.json");
    let history: serde_json::Value = serde_json::from_slice(&history).unwrap();
    assert_eq!(history["states"], serde_json::json!(states));
    let told = history["epochs"].as_array().unwrap().iter();
    let told: Vec<f64> = told.map(|epoch| epoch["loss"].as_f64().unwrap()).collect();
    assert_eq!(told, losses);
}
