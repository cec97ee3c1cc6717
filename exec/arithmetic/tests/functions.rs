//! The functions of docs/arithmetic.md as they stand there, line by line, beside the kernels.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod plain;

use lab_arithmetic::battery::telling;
use lab_arithmetic::{Function, Kernels, Path};
use plain::bits;

fn number(pattern: u32) -> f32 {
    f32::from_bits(pattern)
}

fn polynomial(coefficients: &[u32], x: f32) -> f32 {
    let (last, rest) = coefficients.split_last().unwrap();
    rest.iter().rev().fold(number(*last), |p, c| p.mul_add(x, number(*c)))
}

const LOG2_E: u32 = 0x3fb8_aa3b;
const LN2_HIGH: u32 = 0x3f31_7200;
const LN2_LOW: u32 = 0x35bf_be8e;

const EXP: [u32; 8] =
    [LN2_HIGH, LN2_LOW, LOG2_E, 0x3eff_fffe, 0x3e2a_aa49, 0x3d2a_ac58, 0x3c09_1cc5, 0x3ab5_26b8];

fn exp(x: f32) -> f32 {
    exp_with(&EXP, x)
}

fn exp_with(constants: &[u32], x: f32) -> f32 {
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    let t = x.mul_add(number(constants[2]), number(0x4b40_0000));
    let k = t - number(0x4b40_0000);
    let r = k.mul_add(-number(constants[0]), x);
    let r = k.mul_add(-number(constants[1]), r);
    let p = polynomial(&constants[3..], r);
    let y = 1.0 + (r * r).mul_add(p, r);
    let n = t.to_bits().wrapping_sub(0x4b40_0000) as i32;
    let h = n >> 1;
    let power = |e: i32| number(((e.clamp(-75, 64) + 127) << 23) as u32);
    let y = y * power(h);
    y * power(n.wrapping_sub(h))
}

const LOG: [u32; 11] = [
    LN2_HIGH,
    LN2_LOW,
    0x3f35_04f3,
    0x3eaa_aaaa,
    0xbe80_0113,
    0x3e4c_d00f,
    0xbe2a_3946,
    0x3e11_6c7c,
    0xbe06_c0fb,
    0x3e02_b01b,
    0xbd9c_6789,
];

fn log(x: f32) -> f32 {
    log_with(&LOG, x)
}

fn log_with(constants: &[u32], x: f32) -> f32 {
    let small = x < number(0x0080_0000);
    let z = if small { x * number(0x4b00_0000) } else { x };
    let b = z.to_bits().wrapping_sub(constants[2]) as i32;
    let k = ((b >> 23) - if small { 23 } else { 0 }) as f32;
    let f = number((b as u32 & 0x007f_ffff) + constants[2]) - 1.0;
    let q = f * f;
    let p = polynomial(&constants[3..], f);
    let t = (p * f) * q;
    let t = k.mul_add(number(constants[1]), t);
    let t = (-0.5f32).mul_add(q, t);
    let y = k.mul_add(number(constants[0]), f + t);
    let y = if x > number(0x7f7f_ffff) { x } else { y };
    let y = if x == 0.0 { f32::NEG_INFINITY } else { y };
    if x >= 0.0 { y } else { f32::NAN }
}

const TANH: [u32; 6] =
    [0x3f20_0000, 0xbeaa_aa99, 0x3e08_837d, 0xbd5c_1b3e, 0x3ca8_ffe7, 0xbbba_98a9];

fn tanh(x: f32) -> f32 {
    tanh_with(&TANH, x)
}

fn tanh_with(constants: &[u32], x: f32) -> f32 {
    let a = x.abs();
    let q = x * x;
    let near = (q * x).mul_add(polynomial(&constants[1..], q), x);
    let far = 1.0 - 2.0 / (exp(a + a) + 1.0);
    if a < number(constants[0]) { near } else { far.copysign(x) }
}

fn sigmoid(x: f32) -> f32 {
    let e = exp(-x.abs());
    (if x < 0.0 { e } else { 1.0 }) / (1.0 + e)
}

const GELU: [u32; 3] = [0x3fcc_422a, 0x3d92_2279, 0x3e5b_33b6];

fn gelu(x: f32) -> f32 {
    let w = x * number(GELU[1]).mul_add(x * x, number(GELU[0]));
    x * sigmoid(w)
}

fn gelu_slope(x: f32) -> f32 {
    let q = x * x;
    let s = sigmoid(x * number(GELU[1]).mul_add(q, number(GELU[0])));
    let inner = number(GELU[2]).mul_add(q, number(GELU[0]));
    let bend = s * (1.0 - s);
    let bent = if bend == 0.0 { 0.0 } else { (x * inner) * bend };
    s + bent
}

fn value(function: Function, x: f32) -> f32 {
    match function {
        Function::Exp => exp(x),
        Function::Log => log(x),
        Function::Tanh => tanh(x),
        Function::Sigmoid => sigmoid(x),
        Function::Gelu => gelu(x),
        Function::Silu => x * sigmoid(x),
        Function::Relu if x <= 0.0 => 0.0,
        Function::Relu => x,
    }
}

fn slope(function: Function, x: f32, y: f32) -> f32 {
    match function {
        Function::Exp => y,
        Function::Log => 1.0 / x,
        Function::Tanh => (-y).mul_add(y, 1.0),
        Function::Sigmoid => y * (1.0 - y),
        Function::Gelu => gelu_slope(x),
        Function::Silu => y.mul_add(1.0 - sigmoid(x), sigmoid(x)),
        Function::Relu if x <= 0.0 => 0.0,
        Function::Relu => 1.0,
    }
}

/// Every 8,209th pattern, and what is near a bound of any function.
fn arguments() -> Vec<f32> {
    let all = (0..=u32::MAX / 8209).map(|n| number(n * 8209));
    let bounds = [0.0, 0.625, 1.0, 88.7, 89.0, 104.0, 103.97, f32::MIN_POSITIVE, f32::MAX, 1.2e13];
    let near = bounds.into_iter().flat_map(|bound: f32| {
        (0..200u32).map(move |n| number((bound.to_bits() + n).saturating_sub(100)))
    });
    all.chain(near.flat_map(|x| [x, -x])).chain([f32::NAN]).collect()
}

fn each_path(check: impl Fn(Kernels)) {
    for path in Path::ALL {
        Kernels::new(path, std::num::NonZeroUsize::MIN).into_iter().for_each(&check);
    }
}

// proves
#[test]
fn functions_are_the_lists_of_operations() {
    let x = arguments();
    for function in Function::ALL {
        let expected: Vec<f32> = x.iter().map(|x| value(function, *x)).collect();
        each_path(|kernels| {
            let mut out = vec![0.0; x.len()];
            kernels.apply(function, &x, &mut out);
            assert!(bits(&out) == bits(&expected), "{function:?} on {kernels:?}");
        });
    }
}

/// A function, its constants in place of those on the page, its argument.
type With = fn(&[u32], f32) -> f32;

// proves
#[test]
fn in_the_battery_the_last_place_of_each_constant_shows() {
    let x = telling();
    let functions: [(&str, &[u32], With); 3] =
        [("exp", &EXP, exp_with), ("log", &LOG, log_with), ("tanh", &TANH, tanh_with)];
    for (name, constants, value) in functions {
        for (i, constant) in constants.iter().enumerate() {
            for changed in [constant + 1, constant - 1] {
                // Just below 0.625 both ways to tanh end at the same float.
                if (name, changed) == ("tanh", TANH[0] - 1) {
                    continue;
                }
                let mut others = constants.to_vec();
                others[i] = changed;
                let shows =
                    x.iter().any(|x| bits(&[value(&others, *x)]) != bits(&[value(constants, *x)]));
                assert!(shows, "{name}: {changed:08x} in place of {constant:08x}");
            }
        }
    }
}

// proves
#[test]
fn slopes_are_the_lists_of_operations() {
    let x = arguments();
    let g: Vec<f32> = (0..x.len()).map(|i| (i % 7) as f32 - 2.5).collect();
    for function in Function::ALL {
        let y: Vec<f32> = x.iter().map(|x| value(function, *x)).collect();
        let one = |i: usize| g[i] * slope(function, x[i], y[i]);
        let expected: Vec<f32> = (0..x.len()).map(one).collect();
        each_path(|kernels| {
            let mut out = vec![0.0; x.len()];
            kernels.apply_gradient(function, &x, &y, &g, &mut out);
            assert!(bits(&out) == bits(&expected), "{function:?} on {kernels:?}");
        });
    }
}

// proves
#[test]
fn far_out_and_for_what_is_no_number() {
    let of = |function, x: f32| {
        let (mut y, mut d) = ([0.0], [0.0]);
        let kernels = Kernels::detect();
        kernels.apply(function, &[x], &mut y);
        kernels.apply_gradient(function, &[x], &y, &[1.0], &mut d);
        (y[0], d[0])
    };
    let infinity = f32::INFINITY;
    assert!(of(Function::Gelu, -infinity).0.is_nan() && of(Function::Silu, -infinity).0.is_nan());
    assert_eq!(of(Function::Relu, -0.0).0.to_bits(), 0);
    let (value, slope) = of(Function::Relu, f32::NAN);
    assert!(value.is_nan() && slope == 1.0);
    // Where x * i overflows, the slope of gelu is still 1 or 0.
    assert_eq!((of(Function::Gelu, 1e20).1, of(Function::Gelu, -1e20).1), (1.0, 0.0));
    assert_eq!((of(Function::Gelu, infinity).1, of(Function::Gelu, -infinity).1), (1.0, 0.0));
}
