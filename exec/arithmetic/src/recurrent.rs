//! Recurrent layers over a whole sequence: LSTM (Hochreiter and Schmidhuber, 1997, with forget
//! gates) and GRU (Cho et al., 2014, in the form of cuDNN and PyTorch).
//!
//! Time comes first: [step, row, ...]. What the inputs contribute, `x Wᵀ + b` for all steps, is
//! one product before; here each step adds `h Uᵀ` (and, for a GRU, the bias of that). The state
//! before the first step is zero. Gates stand in PyTorch's order. The gradient in U is one product
//! over all steps and rows, ascending.

use crate::functions::{sigmoid, tanh};
use crate::kernels::Kernels;
use crate::path::{Fma, Kernel, dispatch};
use crate::product::View;

/// The sizes of a recurrent layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// Steps of time.
    pub steps: usize,
    /// Sequences side by side.
    pub rows: usize,
    /// Floats of a state.
    pub width: usize,
}

/// What happened in each step; the gradient needs it.
#[derive(Clone, Debug, Default)]
pub struct Tape {
    /// Per step, row: for an LSTM i, f, g, o; for a GRU r, z, n and the state's part of n.
    gates: Vec<f32>,
    /// Per step, row: the cell of an LSTM.
    cells: Vec<f32>,
}

/// One step of an LSTM: `gates` holds what the inputs and the state contribute.
struct LstmStep<'a> {
    width: usize,
    input: &'a [f32],
    gates: &'a mut [f32],
    before: Option<&'a [f32]>,
    cell: &'a mut [f32],
    state: &'a mut [f32],
}

impl Kernel for LstmStep<'_> {
    type Output = ();

    #[inline(always)]
    fn run<F: Fma>(self) {
        let width = self.width;
        let rows = self.gates.chunks_exact_mut(4 * width).zip(self.input.chunks_exact(4 * width));
        for (row, (gates, input)) in rows.enumerate() {
            gates.iter_mut().zip(input).for_each(|(gate, input)| *gate += input);
            let part = row * width..(row + 1) * width;
            let (cell, state) = (&mut self.cell[part.clone()], &mut self.state[part.clone()]);
            let (i, rest) = gates.split_at_mut(width);
            let (f, rest) = rest.split_at_mut(width);
            let (g, o) = rest.split_at_mut(width);
            for gate in [&mut *i, &mut *f, &mut *o] {
                gate.iter_mut().for_each(|gate| *gate = sigmoid::<F>(*gate));
            }
            g.iter_mut().for_each(|gate| *gate = tanh::<F>(*gate));
            for j in 0..width {
                cell[j] = i[j] * g[j];
            }
            if let Some(before) = self.before {
                let before = &before[part];
                for j in 0..width {
                    cell[j] = F::fma(f[j], before[j], cell[j]);
                }
            }
            for j in 0..width {
                state[j] = o[j] * tanh::<F>(cell[j]);
            }
        }
    }
}

/// The way back through a step: gates become their gradients, `d_cell` that of the cell before.
struct LstmBack<'a> {
    width: usize,
    d_state: &'a [f32],
    d_cell: &'a mut [f32],
    gates: &'a [f32],
    before: Option<&'a [f32]>,
    cell: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for LstmBack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<F: Fma>(self) {
        let width = self.width;
        let rows = self.gates.chunks_exact(4 * width).zip(self.out.chunks_exact_mut(4 * width));
        for (row, (gates, out)) in rows.enumerate() {
            let part = row * width..(row + 1) * width;
            let (i, f) = (&gates[..width], &gates[width..2 * width]);
            let (g, o) = (&gates[2 * width..3 * width], &gates[3 * width..]);
            let (d_i, rest) = out.split_at_mut(width);
            let (d_f, rest) = rest.split_at_mut(width);
            let (d_g, d_o) = rest.split_at_mut(width);
            let (d_state, cell) = (&self.d_state[part.clone()], &self.cell[part.clone()]);
            let d_cell = &mut self.d_cell[part.clone()];
            for j in 0..width {
                let t = tanh::<F>(cell[j]);
                d_o[j] = d_state[j] * t * (o[j] * (1.0 - o[j]));
                let d = F::fma(d_state[j] * o[j], F::fma(-t, t, 1.0), d_cell[j]);
                d_i[j] = d * g[j] * (i[j] * (1.0 - i[j]));
                d_g[j] = d * i[j] * F::fma(-g[j], g[j], 1.0);
                d_cell[j] = d * f[j];
                d_f[j] = d * (f[j] * (1.0 - f[j]));
            }
            match self.before {
                Some(before) => {
                    d_f.iter_mut().zip(&before[part]).for_each(|(d, before)| *d *= before);
                }
                None => d_f.fill(0.0),
            }
        }
    }
}

/// One step of a GRU: `gates` holds what the inputs contribute, `inner` what the state does.
struct GruStep<'a> {
    width: usize,
    input: &'a [f32],
    inner: &'a [f32],
    bias: &'a [f32],
    gates: &'a mut [f32],
    before: Option<&'a [f32]>,
    state: &'a mut [f32],
}

impl Kernel for GruStep<'_> {
    type Output = ();

    #[inline(always)]
    fn run<F: Fma>(self) {
        let width = self.width;
        let sources = self.input.chunks_exact(3 * width).zip(self.inner.chunks_exact(3 * width));
        for (row, (gates, (x, u))) in
            self.gates.chunks_exact_mut(4 * width).zip(sources).enumerate()
        {
            let part = row * width..(row + 1) * width;
            let state = &mut self.state[part.clone()];
            for j in 0..2 * width {
                gates[j] = sigmoid::<F>(x[j] + (u[j] + self.bias[j]));
            }
            for j in 0..width {
                let of_state = u[2 * width + j] + self.bias[2 * width + j];
                gates[3 * width + j] = of_state;
                gates[2 * width + j] = tanh::<F>(F::fma(gates[j], of_state, x[2 * width + j]));
            }
            for j in 0..width {
                let (z, n) = (gates[width + j], gates[2 * width + j]);
                state[j] = (1.0 - z) * n;
            }
            if let Some(before) = self.before {
                let before = &before[part];
                for j in 0..width {
                    state[j] = F::fma(gates[width + j], before[j], state[j]);
                }
            }
        }
    }
}

/// The way back through a step of a GRU: gradients of the gates as the inputs see them (`out`), as
/// the state sees them (`inner`), and what goes to the state before directly.
struct GruBack<'a> {
    width: usize,
    d_state: &'a mut [f32],
    gates: &'a [f32],
    before: Option<&'a [f32]>,
    inner: &'a mut [f32],
    out: &'a mut [f32],
}

impl Kernel for GruBack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<F: Fma>(self) {
        let width = self.width;
        let made = self.out.chunks_exact_mut(3 * width).zip(self.inner.chunks_exact_mut(3 * width));
        for (row, (gates, (out, inner))) in self.gates.chunks_exact(4 * width).zip(made).enumerate()
        {
            let part = row * width..(row + 1) * width;
            let d_state = &mut self.d_state[part.clone()];
            for j in 0..width {
                let (r, z) = (gates[j], gates[width + j]);
                let (n, of_state) = (gates[2 * width + j], gates[3 * width + j]);
                let before = self.before.map_or(0.0, |before| before[part.start + j]);
                let d = d_state[j];
                let d_n = d * (1.0 - z) * F::fma(-n, n, 1.0);
                let d_z = d * (before - n) * (z * (1.0 - z));
                let d_r = d_n * of_state * (r * (1.0 - r));
                (out[j], out[width + j], out[2 * width + j]) = (d_r, d_z, d_n);
                (inner[j], inner[width + j], inner[2 * width + j]) = (d_r, d_z, d_n * r);
                d_state[j] = d * z;
            }
        }
    }
}

impl Kernels {
    /// The states [step, row, width] of an LSTM whose inputs contribute `x` [step, row, 4 width];
    /// `u` is [4 width, width].
    pub fn lstm(&self, s: Steps, x: &[f32], u: &[f32], out: &mut [f32]) -> Tape {
        let (width, step) = (s.width, s.rows * s.width);
        let u = View::of(u, 4 * width, width).expect("shapes agree");
        let u = self.pack(u.transposed());
        let mut tape = Tape { gates: vec![0.0; 4 * out.len()], cells: vec![0.0; out.len()] };
        for t in 0..s.steps {
            let (done, rest) = out.split_at_mut(t * step);
            let (cells, cell) = tape.cells.split_at_mut(t * step);
            let gates = &mut tape.gates[4 * t * step..][..4 * step];
            if let Some(before) = done.len().checked_sub(step) {
                let before = View::of(&done[before..], s.rows, width).expect("shapes agree");
                self.matmul_packed(before, &u, gates);
            }
            let before = cells.len().checked_sub(step).map(|start| &cells[start..]);
            let input = &x[4 * t * step..][..4 * step];
            let (cell, state) = (&mut cell[..step], &mut rest[..step]);
            dispatch(self.path(), LstmStep { width, input, gates, before, cell, state });
        }
        tape
    }

    /// The gradients of [`Kernels::lstm`] in `x` and `u`, from its states and what it left.
    pub fn lstm_gradient(
        &self,
        s: Steps,
        u: &[f32],
        states: &[f32],
        tape: &Tape,
        upstream: &[f32],
    ) -> (Vec<f32>, Vec<f32>) {
        let (width, step) = (s.width, s.rows * s.width);
        let packed = self.pack(View::of(u, 4 * width, width).expect("shapes agree"));
        let mut dx = vec![0.0; 4 * states.len()];
        let (mut d_state, mut d_cell) = (vec![0.0; step], vec![0.0; step]);
        for t in (0..s.steps).rev() {
            let g = &upstream[t * step..][..step];
            d_state.iter_mut().zip(g).for_each(|(d, g)| *d += g);
            let gates = &tape.gates[4 * t * step..][..4 * step];
            let cell = &tape.cells[t * step..][..step];
            let before = t.checked_sub(1).map(|t| &tape.cells[t * step..][..step]);
            let out = &mut dx[4 * t * step..][..4 * step];
            let (d, c) = (&d_state, &mut d_cell);
            let back = LstmBack { width, d_state: d, d_cell: c, gates, before, cell, out };
            dispatch(self.path(), back);
            let out = View::of(&dx[4 * t * step..][..4 * step], s.rows, 4 * width);
            self.matmul_packed(out.expect("shapes agree"), &packed, &mut d_state);
        }
        let du = self.over_steps(s, 4, states, &dx);
        (dx, du)
    }

    /// The states of a GRU whose inputs contribute `x` [step, row, 3 width]; `u` is [3 width,
    /// width], its bias 3 width.
    pub fn gru(&self, s: Steps, x: &[f32], u: &[f32], bias: &[f32], out: &mut [f32]) -> Tape {
        let (width, step) = (s.width, s.rows * s.width);
        let u = self.pack(View::of(u, 3 * width, width).expect("shapes agree").transposed());
        let mut tape = Tape { gates: vec![0.0; 4 * out.len()], cells: Vec::new() };
        let mut inner = vec![0.0; 3 * step];
        for t in 0..s.steps {
            let (done, rest) = out.split_at_mut(t * step);
            let before = done.len().checked_sub(step).map(|start| &done[start..]);
            if let Some(before) = before {
                let before = View::of(before, s.rows, width).expect("shapes agree");
                self.matmul_packed(before, &u, &mut inner);
            }
            let input = &x[3 * t * step..][..3 * step];
            let gates = &mut tape.gates[4 * t * step..][..4 * step];
            let (inner, state) = (inner.as_slice(), &mut rest[..step]);
            dispatch(self.path(), GruStep { width, input, inner, bias, gates, before, state });
        }
        tape
    }

    /// The gradients of [`Kernels::gru`] in `x`, `u` and its bias.
    pub fn gru_gradient(
        &self,
        s: Steps,
        u: &[f32],
        states: &[f32],
        tape: &Tape,
        upstream: &[f32],
    ) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
        let (width, step) = (s.width, s.rows * s.width);
        let packed = self.pack(View::of(u, 3 * width, width).expect("shapes agree"));
        let (mut dx, mut inner) = (vec![0.0; 3 * states.len()], vec![0.0; 3 * states.len()]);
        let (mut d_state, mut through) = (vec![0.0; step], vec![0.0; step]);
        for t in (0..s.steps).rev() {
            let g = &upstream[t * step..][..step];
            d_state.iter_mut().zip(g).for_each(|(d, g)| *d += g);
            let part = 3 * t * step..3 * (t + 1) * step;
            let gates = &tape.gates[4 * t * step..][..4 * step];
            let before = t.checked_sub(1).map(|t| &states[t * step..][..step]);
            let (out, inner_t) = (&mut dx[part.clone()], &mut inner[part.clone()]);
            let d_state_t = d_state.as_mut_slice();
            let back = GruBack { width, d_state: d_state_t, gates, before, inner: inner_t, out };
            dispatch(self.path(), back);
            let view = View::of(&inner[part], s.rows, 3 * width).expect("shapes agree");
            self.matmul_packed(view, &packed, &mut through);
            d_state.iter_mut().zip(&through).for_each(|(d, through)| *d += through);
        }
        let du = self.over_steps(s, 3, states, &inner);
        let mut d_bias = vec![0.0; 3 * width];
        self.column_sums(&inner, &mut d_bias);
        (dx, du, d_bias)
    }

    /// The gradient in U: gates' gradients, transposed, times the states one step before.
    fn over_steps(&self, s: Steps, gates: usize, states: &[f32], d_gates: &[f32]) -> Vec<f32> {
        let mut du = vec![0.0; gates * s.width * s.width];
        let rows = s.steps.saturating_sub(1) * s.rows;
        let later = &d_gates[d_gates.len() - rows * gates * s.width..];
        let later = View::of(later, rows, gates * s.width).expect("shapes agree");
        let before = View::of(&states[..rows * s.width], rows, s.width).expect("shapes agree");
        self.matmul(later.transposed(), before, &mut du);
        du
    }
}
