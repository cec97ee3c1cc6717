//! Which side is taken where a NaN, a zero or equals meet; and counts that no f32 holds.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod plain;

use lab_arithmetic::battery::numbers;
use lab_arithmetic::{Kernels, View, Window, argmax};
use plain::{bits, check, sum};

const NAN: f32 = f32::NAN;

// proves: of nothing but minus infinities, that is the greatest.
#[test]
fn rows_of_infinities() {
    let row = [f32::NEG_INFINITY; 3];
    check(&[NAN; 3], "minus infinity less itself", |k, out| k.softmax(&row, 3, out));
    let row = [f32::NEG_INFINITY, 0.0, f32::NEG_INFINITY];
    check(&[0.0, 1.0, 0.0], "one number", |k, out| k.softmax(&row, 3, out));
}

// proves A-20
#[test]
fn the_place_of_the_greatest() {
    assert_eq!(argmax(&[1.0, 3.0, 3.0, 2.0]), 1);
    assert_eq!(argmax(&[-0.0, 0.0]), 0);
    assert_eq!(argmax(&[NAN, 5.0, 7.0]), 0);
    assert_eq!(argmax(&[1.0, NAN, 2.0, NAN]), 2);
    assert_eq!(argmax(&[f32::NEG_INFINITY, f32::NEG_INFINITY]), 0);
    assert_eq!(argmax(&[]), 0);
}

// proves
#[test]
fn the_greatest_of_a_window() {
    let w = Window { images: 1, size: [1, 8], channels: 1, kernel: [1, 2], stride: 2, padding: 0 };
    let x = [NAN, 5.0, 5.0, NAN, -0.0, 0.0, 0.0, -0.0];
    let g = [1.0, 2.0, 3.0, 4.0];
    check(&[NAN, 5.0, -0.0, 0.0], "greatest", |k, out| k.max_pool(w, &x, out));
    let taken = [1.0, 0.0, 2.0, 0.0, 3.0, 0.0, 4.0, 0.0];
    check(&taken, "its gradient", |k, out| k.max_pool_gradient(w, &x, &g, out));
    // The first and the last window lie outside.
    let w = Window { images: 1, size: [1, 1], channels: 1, kernel: [1, 1], stride: 1, padding: 1 };
    let mut around = vec![0.0; 9];
    around[4] = -2.0;
    check(&around, "outside", |k, out| k.max_pool(w, &[-2.0], out));
}

// proves
#[test]
fn zeros_keep_their_signs() {
    let product = |a: &[f32], b: &[f32], expected: f32| {
        check(&[expected], "product", |k, out| {
            let (a, b) = (View::of(a, 1, a.len()).unwrap(), View::of(b, b.len(), 1).unwrap());
            k.matmul(a, b, out);
        });
    };
    // From +0.0 on, a part of 256 and one of 1 term: +0.0 each.
    product(&[-0.0; 257], &[1.0; 257], 0.0);
    product(&[], &[], 0.0);
    assert_ne!(bits(&[0.0]), bits(&[-0.0]));
    check(&[-0.0, 0.0], "bias", |k, out| k.add_bias(&[-0.0, -0.0], &[-0.0, 0.0], out));
}

// proves: 4,097 times 4,099 is odd and above 2^24.
#[test]
fn counts_are_rounded_once() {
    let w = Window {
        images: 1,
        size: [1, 1],
        channels: 1,
        kernel: [4097, 4099],
        stride: 1,
        padding: 2049,
    };
    assert_eq!(w.output(), Some([3, 1]));
    let (rounded, exact) = (16_793_604.0f32, 16_793_603.0f64);
    let x = (1..1000u32).map(|n| n as f32).find(|x| x / rounded != (f64::from(*x) / exact) as f32);
    let x = x.unwrap();
    check(&[x / rounded; 3], "mean", |k, out| k.mean_pool(w, &[x], out));
}

// proves A-17: more than 4,096 blocks of 4,096.
#[test]
fn sums_of_sums_of_sums() {
    let block = numbers(4096, 40);
    let values: Vec<f32> =
        (0..4097).flat_map(|n| block.iter().map(move |x| x * n as f32)).collect();
    let partial: Vec<f32> = values.chunks(4096).map(sum).collect();
    let expected = sum(&[sum(&partial[..4096]), sum(&partial[4096..])]);
    let kernels = Kernels::detect();
    assert_eq!(kernels.sum(&values).to_bits(), expected.to_bits());
    let ones = vec![1.0; values.len()];
    assert_eq!(kernels.dot(&values, &ones).to_bits(), expected.to_bits());
}
