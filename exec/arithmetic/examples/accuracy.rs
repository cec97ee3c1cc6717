//! Measures the error of exp, log and the other functions over all floats, beside f64.
//!
//! The error is in units in the last place of the exact value. f64 functions are those of the
//! platform, whose own error is some 10^-9 of that. `cargo run --release -p lab-arithmetic
//! --example accuracy [EVERY [FUNCTION]...]`: with EVERY = 1 all 2^32 patterns, which takes a
//! minute or more for each function.

use lab_arithmetic::{Function, Kernels};

const BLOCK: usize = 1 << 16;

/// What was found of a function.
#[derive(Clone, Copy, Default)]
struct Found {
    worst: f64,
    at: f32,
    tested: u64,
    rounded_otherwise: u64,
}

fn exact(function: Function, x: f64) -> f64 {
    let sigmoid =
        |x: f64| if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) };
    match function {
        Function::Exp => x.exp(),
        Function::Log => x.ln(),
        Function::Tanh => x.tanh(),
        Function::Sigmoid => sigmoid(x),
        Function::Gelu => {
            let u = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            x * sigmoid(2.0 * u)
        }
        Function::Silu => x * sigmoid(x),
        Function::Relu if x <= 0.0 => 0.0,
        Function::Relu => x,
    }
}

/// The distance between floats around `value`.
fn unit(value: f64) -> f64 {
    let exponent = (value.abs().to_bits() >> 52) as i32 - 1023;
    2f64.powi(exponent.max(-126) - 23)
}

fn measure(function: Function, every: usize, first: u64, last: u64) -> Found {
    let kernels = Kernels::detect();
    let mut found = Found::default();
    let mut out = vec![0.0; BLOCK];
    let mut from = first;
    while from < last {
        let pattern = |i: usize| f32::from_bits((from + (i * every) as u64) as u32);
        let x: Vec<f32> = (0..BLOCK).map(pattern).collect();
        kernels.apply(function, &x, &mut out);
        for (x, y) in x.iter().zip(&out) {
            let exact = exact(function, f64::from(*x));
            let nearest = exact as f32;
            if !nearest.is_finite() || !y.is_finite() {
                let same = nearest.is_nan() == y.is_nan() && (nearest.is_nan() || nearest == *y);
                // At the edge of overflow one may round up and the other not.
                let edge = exact.abs() > 3.4028e38 && exact.abs() < 3.40283e38;
                assert!(same || edge, "{function:?} of {x:e}: {y:e}, not {nearest:e}");
                continue;
            }
            found.tested += 1;
            found.rounded_otherwise += u64::from(nearest != *y);
            let error = (f64::from(*y) - exact).abs() / unit(exact);
            if error > found.worst {
                (found.worst, found.at) = (error, *x);
            }
        }
        from += (BLOCK * every) as u64;
    }
    found
}

#[expect(clippy::print_stdout, reason = "what an example is for")]
fn main() {
    let every = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(61usize);
    let named: Vec<String> = std::env::args().skip(2).map(|name| name.to_lowercase()).collect();
    let wanted = |function: &Function| {
        named.is_empty() || named.contains(&format!("{function:?}").to_lowercase())
    };
    for function in Function::ALL.into_iter().filter(wanted) {
        let all = 1u64 << 32;
        let half = |from: u64| move || measure(function, every, from, from + all / 2);
        let other = std::thread::spawn(half(all / 2));
        let (a, b) = (half(0)(), other.join().unwrap_or_default());
        let worst = if a.worst > b.worst { a } else { b };
        let (tested, otherwise) = (a.tested + b.tested, a.rounded_otherwise + b.rounded_otherwise);
        println!(
            "{function:?}: at most {:.4} units at {:e}; {:.3} % of {tested} rounded otherwise",
            worst.worst,
            worst.at,
            100.0 * otherwise as f64 / tested as f64
        );
    }
}
