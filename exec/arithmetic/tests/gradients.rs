//! Every hand-written gradient against central differences of the function itself.
//!
//! `definition.rs` shows that a gradient is the formula of docs/arithmetic.md, bit for bit; it
//! cannot show that the formula is the derivative. Here each function is written once more, in f64
//! and from its mathematical definition. A kernel's results must agree with it, so that both speak
//! of the same function; then its gradient of `sum(r * y)`, with fixed random r, must agree with
//! differences of the f64 one, element by element. Where a function has no derivative (relu at
//! zero, equal values in a window) there is nothing to compare, so inputs stay away from there.

use lab_arithmetic::battery::activations;
use lab_arithmetic::{Attention, Function, Kernels, Steps, Window};

/// Half the distance of the two points: the differences are good to about 1e-9 then.
const STEP: f64 = 1e-5;
/// What results may be off, times 1 + their size: about twice the worst, a product of 27 terms.
const FORWARD: f64 = 1e-6;
/// What gradients may be off: about twice the worst, 1.8e-6 in a sum of 243 terms.
const GRADIENT: f64 = 4e-6;
/// Far greater than what is used in practice: a gradient that forgets it must show.
const EPS: f32 = 0.1;
/// Of the recurrent layers.
const STEPS: Steps = Steps { steps: 5, rows: 3, width: 4 };

/// What a function takes: its name, its values, and the gradient in it that a kernel gives.
struct Input<'a>(&'a str, &'a [f32], &'a [f32]);

/// Even small work is divided, so that what a thread takes is the right part shows too.
fn kernels() -> Kernels {
    Kernels::detect().dividing_everything()
}

/// `n` floats that a kernel fills; what it leaves out is no number, and fails.
fn made(n: usize, fill: impl FnOnce(&Kernels, &mut [f32])) -> Vec<f32> {
    let mut out = vec![f32::NAN; n];
    fill(&kernels(), &mut out);
    out
}

fn exact(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

fn near(got: f32, expected: f64, tolerance: f64, what: impl Fn() -> String) {
    let near = (f64::from(got) - expected).abs() <= tolerance * (1.0 + expected.abs());
    assert!(near, "{}: {got:e}, not {expected:e}", what());
}

/// The derivative of `sum(upstream * forward)` in element `i` of input `n`.
fn difference(
    forward: &impl Fn(&[Vec<f64>]) -> Vec<f64>,
    inputs: &mut [Vec<f64>],
    (n, i): (usize, usize),
    upstream: &[f64],
) -> f64 {
    let x = inputs[n][i];
    let mut at = |point: f64| {
        inputs[n][i] = point;
        forward(inputs)
    };
    let (upper, lower) = (at(x + STEP), at(x - STEP));
    inputs[n][i] = x;
    let changes: Vec<f64> = upper.iter().zip(&lower).map(|(upper, lower)| upper - lower).collect();
    dot(&changes, upstream) / ((x + STEP) - (x - STEP))
}

/// Checks `results` and the gradients in all inputs against `forward`, which takes the inputs.
fn check(
    what: &str,
    inputs: &[Input],
    results: &[f32],
    upstream: &[f32],
    forward: impl Fn(&[Vec<f64>]) -> Vec<f64>,
) {
    let mut values: Vec<Vec<f64>> = inputs.iter().map(|input| exact(input.1)).collect();
    let upstream = exact(upstream);
    let expected = forward(&values);
    assert_eq!((results.len(), upstream.len()), (expected.len(), expected.len()), "{what}");
    for (i, (got, expected)) in results.iter().zip(expected).enumerate() {
        near(*got, expected, FORWARD, || format!("{what}, result {i}"));
    }
    for (n, Input(name, values_f32, gradient)) in inputs.iter().enumerate() {
        assert_eq!(values_f32.len(), gradient.len(), "{what}, {name}");
        let mut greatest = 0.0f64;
        for (i, got) in gradient.iter().enumerate() {
            let expected = difference(&forward, &mut values, (n, i), &upstream);
            near(*got, expected, GRADIENT, || format!("{what}, gradient in {name} {i}"));
            greatest = greatest.max(expected.abs());
        }
        assert!(greatest > 0.1, "{what}: the gradient in {name} says nothing");
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// sqrt(2 / pi) (x + 0.044715 x^3), of the tanh form of gelu.
fn gelu_inner(x: f64) -> f64 {
    (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x)
}

fn value(function: Function, x: f64) -> f64 {
    match function {
        Function::Exp => x.exp(),
        Function::Log => x.ln(),
        Function::Tanh => x.tanh(),
        Function::Sigmoid => sigmoid(x),
        Function::Gelu => 0.5 * x * (1.0 + gelu_inner(x).tanh()),
        Function::Silu => x * sigmoid(x),
        Function::Relu => x.max(0.0),
    }
}

#[test]
fn functions_of_one_number() {
    let arguments = [activations(200, 1), vec![-8.0, -5.0, 5.0, 8.0]].concat();
    for function in Function::ALL {
        let suited = |x: &f32| match function {
            Function::Log => x.abs() + 0.1,
            Function::Relu => x + 0.01f32.copysign(*x),
            _ => *x,
        };
        let x: Vec<f32> = arguments.iter().map(suited).collect();
        let r = activations(x.len(), 2);
        let y = made(x.len(), |k, out| k.apply(function, &x, out));
        let dx = made(x.len(), |k, out| k.apply_gradient(function, &x, &y, &r, out));
        check(&format!("{function:?}"), &[Input("x", &x, &dx)], &y, &r, |v| {
            v[0].iter().map(|x| value(function, *x)).collect()
        });
    }
}

/// Where gelu and silu fade, 1 + size hides everything: here the error is relative to the slope.
#[test]
fn tails_of_gelu_and_silu() {
    let x = [-8.0f32, -6.0, -4.0, 4.0, 6.0, 8.0];
    // 1 + tanh(u) is 2 sigmoid(2u); as it is defined, not a digit would be left at -8.
    for function in [Function::Gelu, Function::Silu] {
        let inner = |x: f64| if function == Function::Gelu { 2.0 * gelu_inner(x) } else { x };
        let curve = |x: f64| x * sigmoid(inner(x));
        let y = made(x.len(), |k, out| k.apply(function, &x, out));
        let dx = made(x.len(), |k, out| k.apply_gradient(function, &x, &y, &[1.0; 6], out));
        for (x, slope) in exact(&x).into_iter().zip(dx) {
            let expected = (curve(x + STEP) - curve(x - STEP)) / (2.0 * STEP);
            let error = (f64::from(slope) / expected - 1.0).abs();
            assert!(error <= GRADIENT, "{function:?} at {x}: {slope:e}, not {expected:e}");
        }
    }
}

#[test]
fn biases() {
    let (n, width) = (900, 3);
    let (x, bias, r) = (activations(n, 3), activations(width, 4), activations(n, 5));
    let y = made(x.len(), |k, out| k.add_bias(&x, &bias, out));
    let d_bias = made(width, |k, out| k.column_sums(&r, out));
    let given = [Input("x", &x, &r), Input("bias", &bias, &d_bias)];
    check("bias", &given, &y, &r, |v| {
        v[0].iter().enumerate().map(|(i, x)| x + v[1][i % width]).collect()
    });
}

fn softmax(row: &[f64]) -> Vec<f64> {
    let total: f64 = row.iter().map(|x| x.exp()).sum();
    row.iter().map(|x| x.exp() / total).collect()
}

#[test]
fn softmaxes() {
    for width in [5, 70] {
        let x: Vec<f32> = activations(4 * width, 6).iter().map(|x| 3.0 * x).collect();
        let r = activations(x.len(), 7);
        let y = made(x.len(), |k, out| k.softmax(&x, width, out));
        let dx = made(x.len(), |k, out| k.softmax_gradient(&y, &r, width, out));
        check("softmax", &[Input("x", &x, &dx)], &y, &r, |v| {
            v[0].chunks(width).flat_map(softmax).collect()
        });
    }
}

#[test]
fn cross_entropies() {
    let (rows, classes, upstream) = (3, 7, 2.5);
    let scores = activations(rows * classes, 8);
    let labels = [6u32, 0, 3];
    let loss = made(1, |k, out| out[0] = k.cross_entropy(&scores, classes, &labels));
    let d_scores = made(scores.len(), |k, out| {
        k.cross_entropy_gradient(&scores, classes, &labels, upstream, out);
    });
    check("cross-entropy", &[Input("scores", &scores, &d_scores)], &loss, &[upstream], |v| {
        let rows_of_scores = v[0].chunks(classes).zip(labels);
        let losses = rows_of_scores.map(|(row, label)| -softmax(row)[label as usize].ln());
        vec![losses.sum::<f64>() / rows as f64]
    });
}

/// `(x - mean) / sqrt(variance + eps)`, of a row or a channel.
fn normalised(x: &[f64]) -> Vec<f64> {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let variance = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n;
    x.iter().map(|x| (x - mean) / (variance + f64::from(EPS)).sqrt()).collect()
}

#[test]
fn layer_norms() {
    for (rows, width) in [(4, 6), (300, 2), (2, 70)] {
        let (x, r) = (activations(rows * width, 9), activations(rows * width, 10));
        let (gain, shift) = (activations(width, 11), activations(width, 12));
        let y = made(x.len(), |k, out| k.layer_norm(&x, &gain, &shift, EPS, out));
        let (dx, d_gain, d_shift) = kernels().layer_norm_gradient(&x, &gain, &r, EPS);
        let given =
            [Input("x", &x, &dx), Input("gain", &gain, &d_gain), Input("shift", &shift, &d_shift)];
        check("layer norm", &given, &y, &r, |v| {
            let z = v[0].chunks(width).flat_map(normalised);
            z.enumerate().map(|(i, z)| z * v[1][i % width] + v[2][i % width]).collect()
        });
    }
}

#[test]
fn batch_norms() {
    for (rows, width) in [(5, 4), (300, 3)] {
        let (x, r) = (activations(rows * width, 13), activations(rows * width, 14));
        let (gain, shift) = (activations(width, 15), activations(width, 16));
        let moments = kernels().moments(&x, width);
        let y = made(x.len(), |k, out| k.batch_norm(&x, &moments, &gain, &shift, EPS, out));
        let (dx, d_gain, d_shift) = kernels().batch_norm_gradient(&x, &moments, &gain, &r, EPS);
        let given =
            [Input("x", &x, &dx), Input("gain", &gain, &d_gain), Input("shift", &shift, &d_shift)];
        check("batch norm", &given, &y, &r, |v| {
            let mut y = vec![0.0; rows * width];
            for j in 0..width {
                let channel: Vec<f64> = (0..rows).map(|i| v[0][i * width + j]).collect();
                for (i, z) in normalised(&channel).into_iter().enumerate() {
                    y[i * width + j] = z * v[1][j] + v[2][j];
                }
            }
            y
        });
    }
}

/// With padding, steps over edges, windows that lie outside altogether, and more than a chain.
fn windows() -> [Window; 4] {
    let window =
        Window { images: 2, size: [5, 4], channels: 3, kernel: [3, 3], stride: 1, padding: 1 };
    [
        window,
        Window { size: [7, 6], kernel: [2, 3], stride: 2, padding: 0, ..window },
        Window { kernel: [3, 1], stride: 3, padding: 2, channels: 1, ..window },
        Window { images: 3, size: [10, 10], channels: 2, kernel: [2, 2], stride: 1, padding: 0 },
    ]
}

/// For each place of the kernel the pixels that it covers, by number over all images; none outside.
fn places(w: Window) -> Vec<Vec<Option<usize>>> {
    let pixel = |image: usize, row: usize, col: usize| {
        let row = row.checked_sub(w.padding).filter(|row| *row < w.size[0])?;
        let col = col.checked_sub(w.padding).filter(|col| *col < w.size[1])?;
        Some((image * w.size[0] + row) * w.size[1] + col)
    };
    let ends = [0, 1].map(|axis| w.size[axis] + 2 * w.padding - w.kernel[axis]);
    let mut places = Vec::new();
    for image in 0..w.images {
        for top in (0..=ends[0]).step_by(w.stride) {
            for left in (0..=ends[1]).step_by(w.stride) {
                let rows = top..top + w.kernel[0];
                let row = |row| (left..left + w.kernel[1]).map(move |col| pixel(image, row, col));
                places.push(rows.flat_map(row).collect());
            }
        }
    }
    places
}

fn convolution(w: Window, x: &[f64], weights: &[f64]) -> Vec<f64> {
    let mut y = Vec::new();
    for place in places(w) {
        for weight in weights.chunks(w.kernel[0] * w.kernel[1] * w.channels) {
            let taps = place.iter().zip(weight.chunks(w.channels));
            let inside = taps.filter_map(|(pixel, weight)| Some(((*pixel)? * w.channels, weight)));
            y.push(inside.map(|(start, weight)| dot(&x[start..][..w.channels], weight)).sum());
        }
    }
    y
}

#[test]
fn convolutions() {
    let channels = 4;
    for w in windows() {
        let x = activations(w.images * w.image(), 17);
        let weights = activations(channels * w.patch(), 18);
        let n = places(w).len() * channels;
        let r = activations(n, 19);
        let y = made(n, |k, out| k.convolve(w, &x, &weights, out));
        let dx = made(x.len(), |k, out| k.convolve_images(w, &weights, &r, out));
        let dw = made(weights.len(), |k, out| k.convolve_weights(w, &x, &r, out));
        let given = [Input("images", &x, &dx), Input("weights", &weights, &dw)];
        check(&format!("{w:?}"), &given, &y, &r, |v| convolution(w, &v[0], &v[1]));
    }
}

/// What `of` makes of each window and channel.
fn pooled(w: Window, x: &[f64], of: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let mut y = Vec::new();
    for place in places(w) {
        for channel in 0..w.channels {
            let inside = place.iter().flatten();
            let values: Vec<f64> = inside.map(|pixel| x[pixel * w.channels + channel]).collect();
            y.push(of(&values));
        }
    }
    y
}

#[test]
fn pools() {
    for w in windows() {
        // 10,007 is prime, so that no two are nearer than 1/1000.
        let number = |i: usize| (i * 7919 % 10_007) as f32 / 1000.0 - 5.0;
        let x: Vec<f32> = (0..w.images * w.image()).map(number).collect();
        let n = places(w).len() * w.channels;
        let r = activations(n, 20);
        let y = made(n, |k, out| k.max_pool(w, &x, out));
        let dx = made(x.len(), |k, out| k.max_pool_gradient(w, &x, &r, out));
        check(&format!("greatest of {w:?}"), &[Input("x", &x, &dx)], &y, &r, |v| {
            pooled(w, &v[0], |inside| inside.iter().copied().reduce(f64::max).unwrap_or(0.0))
        });
        let y = made(n, |k, out| k.mean_pool(w, &x, out));
        let dx = made(x.len(), |k, out| k.mean_pool_gradient(w, &r, out));
        let count = (w.kernel[0] * w.kernel[1]) as f64;
        check(&format!("mean of {w:?}"), &[Input("x", &x, &dx)], &y, &r, |v| {
            pooled(w, &v[0], |inside| inside.iter().sum::<f64>() / count)
        });
    }
}

#[test]
fn embeddings() {
    let (rows, width) = (5, 3);
    // Squares mod 4 are 0 and 1, each 300 times; 2 comes once; 3 and 4 never.
    let ids: Vec<u32> = (0..600u32).map(|i| i * i % 4).chain([2]).collect();
    let table = activations(rows * width, 21);
    let r = activations(ids.len() * width, 22);
    let y = made(r.len(), |k, out| k.embed(&table, width, &ids, out));
    let d_table = made(table.len(), |k, out| k.embed_gradient(&ids, width, &r, out));
    check("embedding", &[Input("table", &table, &d_table)], &y, &r, |v| {
        ids.iter().flat_map(|id| v[0][*id as usize * width..][..width].to_vec()).collect()
    });
}

/// Per sequence and head, softmax(Q Kᵀ / sqrt(depth)) V over what a place sees.
fn attention(a: Attention, qkv: &[f64]) -> Vec<f64> {
    let depth = a.width / a.heads;
    let mut y = Vec::new();
    for sequence in qkv.chunks(a.places * 3 * a.width) {
        let part = |which: usize, place: usize, head: usize| {
            &sequence[(place * 3 + which) * a.width + head * depth..][..depth]
        };
        for place in 0..a.places {
            let seen = if a.causal { place + 1 } else { a.places };
            for head in 0..a.heads {
                let fit = |other| dot(part(0, place, head), part(1, other, head));
                let scores: Vec<f64> = (0..seen).map(|k| fit(k) / (depth as f64).sqrt()).collect();
                let weights = softmax(&scores);
                let value = |j: usize| (0..seen).map(|k| weights[k] * part(2, k, head)[j]).sum();
                y.extend((0..depth).map(value).collect::<Vec<f64>>());
            }
        }
    }
    y
}

#[test]
fn attentions() {
    for causal in [true, false] {
        let a = Attention { places: 6, width: 12, heads: 3, causal };
        let n = 2 * a.places * a.width;
        let (qkv, r) = (activations(3 * n, 23), activations(n, 24));
        let y = made(n, |k, out| k.attention(a, &qkv, out));
        let d_qkv = made(3 * n, |k, out| k.attention_gradient(a, &qkv, &r, out));
        check(&format!("{a:?}"), &[Input("qkv", &qkv, &d_qkv)], &y, &r, |v| attention(a, &v[0]));
    }
}

/// The states of all steps. `cell` makes one of what the inputs contribute to each gate, what
/// `U before + bias` does, the state before, and a memory; both begin at zero.
fn states(
    gates: usize,
    [x, u, bias]: [&[f64]; 3],
    cell: impl Fn(&[f64], &[f64], f64, &mut f64) -> f64,
) -> Vec<f64> {
    let (rows, w) = (STEPS.rows, STEPS.width);
    let (mut state, mut memory) = (vec![0.0; rows * w], vec![0.0; rows * w]);
    let mut all = Vec::new();
    for inputs in x.chunks(rows * gates * w) {
        let before = state.clone();
        for i in 0..rows * w {
            let (row, j) = (i / w, i % w);
            let input = |gate: usize| inputs[(row * gates + gate) * w + j];
            let of_u = |n: usize| dot(&u[n * w..][..w], &before[row * w..][..w]) + bias[n];
            let input: Vec<f64> = (0..gates).map(input).collect();
            let inner: Vec<f64> = (0..gates).map(|gate| of_u(gate * w + j)).collect();
            state[i] = cell(&input, &inner, before[i], &mut memory[i]);
        }
        all.extend_from_slice(&state);
    }
    all
}

#[test]
fn lstms() {
    let (w, n) = (STEPS.width, STEPS.steps * STEPS.rows * STEPS.width);
    let (x, u, r) = (activations(4 * n, 25), activations(4 * w * w, 26), activations(n, 27));
    let mut y = vec![f32::NAN; n];
    let tape = kernels().lstm(STEPS, &x, &u, &mut y);
    let (dx, du) = kernels().lstm_gradient(STEPS, &u, &y, &tape, &r);
    let given = [Input("x", &x, &dx), Input("u", &u, &du)];
    check("lstm", &given, &y, &r, |v| {
        states(4, [&v[0], &v[1], &[0.0; 16]], |input, inner, _, memory| {
            let [i, f, g, o] = [0, 1, 2, 3].map(|gate| input[gate] + inner[gate]);
            *memory = sigmoid(f) * *memory + sigmoid(i) * g.tanh();
            sigmoid(o) * memory.tanh()
        })
    });
}

#[test]
fn grus() {
    let (w, n) = (STEPS.width, STEPS.steps * STEPS.rows * STEPS.width);
    let (x, u, r) = (activations(3 * n, 28), activations(3 * w * w, 29), activations(n, 30));
    let bias = activations(3 * w, 31);
    let mut y = vec![f32::NAN; n];
    let tape = kernels().gru(STEPS, &x, &u, &bias, &mut y);
    let (dx, du, d_bias) = kernels().gru_gradient(STEPS, &u, &y, &tape, &r);
    let given = [Input("x", &x, &dx), Input("u", &u, &du), Input("bias", &bias, &d_bias)];
    check("gru", &given, &y, &r, |v| {
        states(3, [&v[0], &v[1], &v[2]], |input, inner, before, _| {
            let [r, z] = [0, 1].map(|gate| sigmoid(input[gate] + inner[gate]));
            let n = (input[2] + r * inner[2]).tanh();
            (1.0 - z) * n + z * before
        })
    });
}
