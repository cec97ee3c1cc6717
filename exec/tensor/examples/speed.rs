//! Times kernels, ours and candle's: one line per operation, with the least seconds of some
//! repetitions. For tests/bench/tensor.py, which sets them beside PyTorch's of the same minute.
//!
//! `cargo run --release -p lab-tensor --example speed [THREADS]`

use std::num::NonZeroUsize;
use std::time::Instant;

use candle_core::{Device, Tensor};
use lab_arithmetic::battery::activations;
use lab_arithmetic::{Function, Kernels, View};

const ROWS: usize = 1024;
const MILLION: usize = ROWS * ROWS;

#[expect(clippy::print_stdout, reason = "what an example is for")]
fn time(name: &str, repetitions: usize, mut run: impl FnMut()) {
    let mut least = f64::INFINITY;
    for _ in 0..repetitions {
        let start = Instant::now();
        run();
        least = least.min(start.elapsed().as_secs_f64());
    }
    println!("{name} {least:.9}");
}

fn main() -> candle_core::Result<()> {
    let threads = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(NonZeroUsize::MIN);
    let kernels = Kernels::detect();
    let kernels = Kernels::new(kernels.path(), threads).unwrap_or(kernels);
    for n in [256, 1024, 2048] {
        let (a, b) = (activations(n * n, 1), activations(n * n, 2));
        let mut out = vec![0.0; n * n];
        let repetitions = if n == 256 { 40 } else { 6 };
        if let (Some(a), Some(b)) = (View::of(&a, n, n), View::of(&b, n, n)) {
            time(&format!("gemm-{n}"), repetitions, || kernels.matmul(a, b, &mut out));
        }
        let a = Tensor::from_vec(a, (n, n), &Device::Cpu)?;
        let b = Tensor::from_vec(b, (n, n), &Device::Cpu)?;
        let mut failed = None;
        time(&format!("candle-gemm-{n}"), repetitions, || failed = a.matmul(&b).err());
        if let Some(error) = failed {
            return Err(error);
        }
    }
    let x = activations(MILLION, 3);
    let mut out = vec![0.0; MILLION];
    for (name, function) in [
        ("exp", Function::Exp),
        ("log", Function::Log),
        ("tanh", Function::Tanh),
        ("gelu", Function::Gelu),
    ] {
        let x: Vec<f32> =
            if name == "log" { x.iter().map(|x| x.abs()).collect() } else { x.clone() };
        time(name, 20, || kernels.apply(function, &x, &mut out));
    }
    time("softmax", 20, || kernels.softmax(&x, ROWS, &mut out));
    let (gain, shift) = (activations(ROWS, 4), activations(ROWS, 5));
    time("layer-norm", 20, || kernels.layer_norm(&x, &gain, &shift, 1e-5, &mut out));
    Ok(())
}
