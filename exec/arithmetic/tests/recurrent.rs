//! The gradients of recurrent layers as docs/arithmetic.md has them, one number at a time.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod plain;

use lab_arithmetic::battery::activations;
use lab_arithmetic::{Function, Steps};
use plain::{at, chains, check};

// More steps and rows than a chain has terms.
const S: Steps = Steps { steps: 90, rows: 3, width: 5 };
const N: usize = S.steps * S.rows * S.width;
const W: usize = S.width;

fn sigmoid(x: f32) -> f32 {
    at(Function::Sigmoid, x)
}

fn tanh(x: f32) -> f32 {
    at(Function::Tanh, x)
}

/// Place of a number in [step, row, gate, column].
fn place(t: usize, row: usize, gates: usize, gate: usize, j: usize) -> usize {
    ((t * S.rows + row) * gates + gate) * W + j
}

/// What the state before contributes to a gate: a chain over its columns.
fn of_state(states: &[f32], u: &[f32], t: usize, row: usize, gate: usize, j: usize) -> f32 {
    if t == 0 {
        return 0.0;
    }
    chains((0..W).map(|c| (states[place(t - 1, row, 1, 0, c)], u[(gate * W + j) * W + c])))
}

/// A chain over all gates: what goes to column `j` of the state before.
fn to_state(d: &[f32], u: &[f32], t: usize, row: usize, gates: usize, j: usize) -> f32 {
    chains((0..gates * W).map(|g| (d[place(t, row, gates, 0, g)], u[g * W + j])))
}

/// The gradient in U: chains over (step, row) from the second step on.
fn in_u(d: &[f32], states: &[f32], gates: usize) -> Vec<f32> {
    let rows = (S.steps - 1) * S.rows;
    let one = |i: usize| {
        let (g, j) = (i / W, i % W);
        chains((0..rows).map(|r| (d[(r + S.rows) * gates * W + g], states[r * W + j])))
    };
    (0..gates * W * W).map(one).collect()
}

fn all_places() -> impl Iterator<Item = (usize, usize, usize)> {
    let of_step = |t| (0..S.rows).flat_map(move |row| (0..W).map(move |j| (t, row, j)));
    (0..S.steps).flat_map(of_step)
}

// proves
#[test]
fn lstm() {
    let (x, u, g) = (activations(4 * N, 1), activations(4 * W * W, 2), activations(N, 3));
    let (mut gates, mut cells, mut states) = (vec![0.0; 4 * N], vec![0.0; N], vec![0.0; N]);
    for (t, row, j) in all_places() {
        let here = place(t, row, 1, 0, j);
        let a = |k: usize| of_state(&states, &u, t, row, k, j) + x[place(t, row, 4, k, j)];
        let all = [sigmoid(a(0)), sigmoid(a(1)), tanh(a(2)), sigmoid(a(3))];
        cells[here] = all[0] * all[2];
        if t > 0 {
            cells[here] = all[1].mul_add(cells[place(t - 1, row, 1, 0, j)], cells[here]);
        }
        states[here] = all[3] * tanh(cells[here]);
        (0..4).for_each(|k| gates[place(t, row, 4, k, j)] = all[k]);
    }
    let (mut dx, mut of_state, mut of_cell) = (vec![0.0; 4 * N], [0.0; 3 * W], [0.0; 3 * W]);
    for t in (0..S.steps).rev() {
        for (row, j) in (0..S.rows * W).map(|n| (n / W, n % W)) {
            let (here, n) = (place(t, row, 1, 0, j), row * W + j);
            let [i, f, gate, o] = [0, 1, 2, 3].map(|k| gates[place(t, row, 4, k, j)]);
            let tanh = tanh(cells[here]);
            of_state[n] += g[here];
            let d_o = (of_state[n] * tanh) * (o * (1.0 - o));
            let d = (of_state[n] * o).mul_add((-tanh).mul_add(tanh, 1.0), of_cell[n]);
            let d_i = (d * gate) * (i * (1.0 - i));
            let d_g = (d * i) * (-gate).mul_add(gate, 1.0);
            of_cell[n] = d * f;
            let d_f = match t {
                0 => 0.0,
                t => (d * (f * (1.0 - f))) * cells[place(t - 1, row, 1, 0, j)],
            };
            [d_i, d_f, d_g, d_o].iter().enumerate().for_each(|(k, d)| {
                dx[place(t, row, 4, k, j)] = *d;
            });
        }
        for (n, d) in of_state.iter_mut().enumerate() {
            *d = to_state(&dx, &u, t, n / W, 4, n % W);
        }
    }
    let du = in_u(&dx, &states, 4);
    check(&[states, dx, du].concat(), "lstm", |k, out| {
        let mut states = vec![0.0; N];
        let tape = k.lstm(S, &x, &u, &mut states);
        let (dx, du) = k.lstm_gradient(S, &u, &states, &tape, &g);
        out.copy_from_slice(&[states, dx, du].concat());
    });
}

// proves
#[test]
fn gru() {
    let (x, u, g) = (activations(3 * N, 4), activations(3 * W * W, 5), activations(N, 6));
    let bias = activations(3 * W, 7);
    let (mut gates, mut states) = (vec![[0.0; 4]; N], vec![0.0; N]);
    for (t, row, j) in all_places() {
        let here = place(t, row, 1, 0, j);
        let of_x = |k: usize| x[place(t, row, 3, k, j)];
        let inner = |k: usize| of_state(&states, &u, t, row, k, j) + bias[k * W + j];
        let (r, z) = (sigmoid(of_x(0) + inner(0)), sigmoid(of_x(1) + inner(1)));
        let n = tanh(r.mul_add(inner(2), of_x(2)));
        gates[here] = [r, z, n, inner(2)];
        states[here] = (1.0 - z) * n;
        if t > 0 {
            states[here] = z.mul_add(states[place(t - 1, row, 1, 0, j)], states[here]);
        }
    }
    let (mut dx, mut du_part, mut of_state) = (vec![0.0; 3 * N], vec![0.0; 3 * N], [0.0; 3 * W]);
    for t in (0..S.steps).rev() {
        for (row, j) in (0..S.rows * W).map(|n| (n / W, n % W)) {
            let (here, at) = (place(t, row, 1, 0, j), row * W + j);
            let [r, z, n, inner] = gates[here];
            let before = if t == 0 { 0.0 } else { states[place(t - 1, row, 1, 0, j)] };
            let d = of_state[at] + g[here];
            let d_n = (d * (1.0 - z)) * (-n).mul_add(n, 1.0);
            let d_z = (d * (before - n)) * (z * (1.0 - z));
            let d_r = (d_n * inner) * (r * (1.0 - r));
            for (k, (in_x, in_u)) in [(d_r, d_r), (d_z, d_z), (d_n, d_n * r)].iter().enumerate() {
                dx[place(t, row, 3, k, j)] = *in_x;
                du_part[place(t, row, 3, k, j)] = *in_u;
            }
            of_state[at] = d * z;
        }
        for (n, d) in of_state.iter_mut().enumerate() {
            *d += to_state(&du_part, &u, t, n / W, 3, n % W);
        }
    }
    let du = in_u(&du_part, &states, 3);
    let rows = S.steps * S.rows;
    let column = |g: usize| chains((0..rows).map(|r| (1.0, du_part[r * 3 * W + g])));
    let d_bias: Vec<f32> = (0..3 * W).map(column).collect();
    check(&[states, dx, du, d_bias].concat(), "gru", |k, out| {
        let mut states = vec![0.0; N];
        let tape = k.gru(S, &x, &u, &bias, &mut states);
        let (dx, du, d_bias) = k.gru_gradient(S, &u, &states, &tape, &g);
        out.copy_from_slice(&[states, dx, du, d_bias].concat());
    });
}

// proves: with one step there is no state before, and U has the gradient +0.0.
#[test]
fn one_step() {
    let s = Steps { steps: 1, ..S };
    let n = s.rows * W;
    let (x, u, g) = (activations(4 * n, 8), activations(4 * W * W, 9), activations(n, 10));
    check(&vec![0.0; 7 * W * W], "one step", |k, out| {
        let mut states = vec![0.0; n];
        let tape = k.lstm(s, &x, &u, &mut states);
        let of_lstm = k.lstm_gradient(s, &u, &states, &tape, &g).1;
        let u = &u[..3 * W * W];
        let tape = k.gru(s, &x[..3 * n], u, &x[..3 * W], &mut states);
        out.copy_from_slice(&[of_lstm, k.gru_gradient(s, u, &states, &tape, &g).1].concat());
    });
}
