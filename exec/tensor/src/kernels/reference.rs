//! The kernels against their definition, written as plainly as it reads.

use super::*;

/// One output of a product: chains of 256, added ascending.
fn product(a: &[f32], b: &[f32]) -> f32 {
    let chain = |(a, b): (&[f32], &[f32])| {
        a.iter().zip(b).fold(0.0f32, |chain, (a, b)| a.mul_add(*b, chain))
    };
    let chains = a.chunks(256).zip(b.chunks(256)).map(chain);
    chains.reduce(|total, chain| total + chain).unwrap_or(0.0)
}

/// A row's sum: 32 strided lanes, folded by halves.
fn row_sum(values: &[f32]) -> f32 {
    if values.len() > 4096 {
        return row_sum(&values.chunks(4096).map(row_sum).collect::<Vec<_>>());
    }
    let lane = |l: usize| values.iter().skip(l).step_by(32).fold(0.0, |sum, v| sum + v);
    let mut lanes: Vec<f32> = (0..32).map(lane).collect();
    while lanes.len() > 1 {
        let upper = lanes.split_off(lanes.len() / 2);
        lanes.iter_mut().zip(upper).for_each(|(low, high)| *low += high);
    }
    lanes[0]
}

/// Numbers of many magnitudes and both signs, some zero and some subnormal.
fn numbers(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        match state >> 28 {
            0 => 0.0,
            1 => -0.0,
            2 => f32::from_bits(state & 0x007f_ffff | state & 0x8000_0000),
            _ => f32::from_bits((state & 0x807f_ffff) | ((110 + (state >> 24 & 31)) << 23)),
        }
    };
    (0..n).map(|_| next()).collect()
}

fn all_kernels() -> Vec<Kernels> {
    let threads = [1, 2, 3, 7].map(|n| NonZeroUsize::new(n).unwrap());
    let paths = Path::ALL.into_iter();
    paths.flat_map(|path| threads.into_iter().filter_map(move |n| Kernels::new(path, n))).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn check_matmul(kernels: &[Kernels], (m, k, n): (usize, usize, usize)) {
    let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
    let transpose = |x: &[f32], rows: usize, cols: usize| -> Vec<f32> {
        (0..rows * cols).map(|i| x[i % rows * cols + i / rows]).collect()
    };
    let (a_t, b_t) = (transpose(&a, m, k), transpose(&b, k, n));
    let element = |i: usize| product(&a[i / n * k..][..k], &b_t[i % n * k..][..k]);
    let expected: Vec<f32> = (0..m * n).map(element).collect();
    for kernels in kernels {
        for (a, a_strides) in [(&a, (k, 1)), (&a_t, (1, m))] {
            for (b, b_strides) in [(&b, (n, 1)), (&b_t, (1, k))] {
                let a = View::new(a, (m, k), a_strides).unwrap();
                let b = View::new(b, (k, n), b_strides).unwrap();
                let mut out = vec![f32::NAN; m * n];
                kernels.matmul(a, b, &mut out);
                assert!(bits(&out) == bits(&expected), "{m}x{k}x{n} on {kernels:?}");
            }
        }
    }
}

#[test]
fn products_equal_the_definition_on_every_path() {
    let one: Vec<_> = all_kernels().into_iter().filter(|k| k.threads.get() == 1).collect();
    for m in [1, 5, 6, 7, 13] {
        for n in [1, 10, 16, 17, 33] {
            for k in [0, 1, 2, 255, 256, 257, 600] {
                check_matmul(&one, (m, k, n));
            }
        }
    }
}

#[test]
fn products_are_large_enough_here_to_be_split_over_seven_threads() {
    let kernels = Kernels::new(Path::Software, NonZeroUsize::new(7).unwrap()).unwrap();
    let parts = std::sync::Mutex::new(Vec::new());
    kernels.split(&mut [0.0; 200 * 300], 300, 300 * 260, ROWS, |first, out| {
        parts.lock().unwrap().push((first, out.len() / 300));
    });
    let mut parts = parts.into_inner().unwrap();
    parts.sort();
    assert_eq!(parts.len(), 7);
    assert!(parts.windows(2).all(|w| w[0].0 + w[0].1 == w[1].0), "{parts:?}");
}

#[test]
fn products_do_not_depend_on_threads() {
    let fast = Kernels::detect().path;
    let kernels: Vec<_> = all_kernels().into_iter().filter(|k| k.path == fast).collect();
    check_matmul(&kernels, (200, 260, 300));
    check_matmul(&kernels, (7, 9000, 256));
}

#[test]
fn row_sums_equal_the_definition() {
    for n in [0, 1, 2, 31, 32, 33, 100, 4095, 4096, 4097, 10_000] {
        let values = numbers(n, n as u32);
        assert_eq!(sum(&values).to_bits(), row_sum(&values).to_bits(), "{n}");
    }
    // The order shows: some other order gives another sum.
    let values = numbers(1000, 5);
    assert_ne!(sum(&values), values.iter().fold(0.0, |s, v| s + v));
}

#[test]
fn column_sums_equal_products_with_ones() {
    for (rows, width) in [(1, 1), (255, 3), (256, 17), (1000, 5), (60_000, 33), (0, 4)] {
        let matrix = numbers(rows * width, 9);
        let ones = vec![1.0; rows];
        let column = |j: usize| matrix.iter().skip(j).step_by(width).copied().collect::<Vec<_>>();
        let expected: Vec<f32> = (0..width).map(|j| product(&ones, &column(j))).collect();
        for kernels in all_kernels() {
            let mut out = vec![f32::NAN; width];
            kernels.column_sums(&matrix, &mut out);
            assert!(bits(&out) == bits(&expected), "{rows}x{width} on {kernels:?}");
        }
    }
}

#[test]
fn cross_entropy_equals_the_definition_on_every_path() {
    let (n, classes) = (40_000, 11);
    let scores: Vec<f32> = numbers(n * classes, 3).iter().map(|v| v * 1e-3).collect();
    let labels: Vec<i64> = (0..n as i64).map(|i| i * 7 % classes as i64).collect();
    let mut losses = Vec::new();
    let mut expected = Vec::new();
    for (row, label) in scores.chunks(classes).zip(&labels) {
        let greatest = row.iter().fold(f32::NEG_INFINITY, |g, v| if *v > g { *v } else { g });
        let e: Vec<f32> = row.iter().map(|v| libm::expf(v - greatest)).collect();
        let total = row_sum(&e);
        losses.push(libm::logf(total) - (row[*label as usize] - greatest));
        for (j, e) in e.iter().enumerate() {
            let hot = if j as i64 == *label { 1.0 } else { 0.0 };
            expected.push((e / total - hot) * (0.5 / n as f32));
        }
    }
    for kernels in all_kernels() {
        let loss = kernels.cross_entropy(&scores, classes, &labels);
        assert_eq!(loss.to_bits(), (row_sum(&losses) / n as f32).to_bits(), "{kernels:?}");
        let mut gradient = vec![f32::NAN; n * classes];
        kernels.cross_entropy_gradient(&scores, classes, &labels, 0.5, &mut gradient);
        assert!(gradient == expected, "{kernels:?}");
    }
}

#[test]
fn updates_equal_the_definition_on_every_path() {
    let n = 1003;
    let (p, g, m) = (numbers(n, 1), numbers(n, 2), numbers(n, 3));
    let v: Vec<f32> = numbers(n, 4).iter().map(|v| v.abs()).collect();
    let sgd = Sgd { lr: 0.1, momentum: 0.9, decay: 0.01 };
    let adamw = AdamW {
        lr: 0.003,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        keep: 0.9997,
        correction1: 0.19,
        correction2: 0.002,
    };
    for kernels in all_kernels() {
        let (mut p1, mut m1) = (p.clone(), m.clone());
        kernels.sgd(sgd, &mut p1, &g, &mut m1);
        let (mut p2, mut m2, mut v2) = (p.clone(), m.clone(), v.clone());
        kernels.adamw(adamw, &mut p2, &g, &mut m2, &mut v2);
        for i in 0..n {
            let velocity = 0.9f32.mul_add(m[i], 0.01f32.mul_add(p[i], g[i]));
            assert_eq!(m1[i].to_bits(), velocity.to_bits(), "{kernels:?}");
            assert_eq!(p1[i].to_bits(), (-0.1f32).mul_add(velocity, p[i]).to_bits());
            let first = 0.9f32.mul_add(m[i], (1.0 - 0.9f32) * g[i]);
            let second = 0.999f32.mul_add(v[i], (1.0 - 0.999f32) * g[i] * g[i]);
            let step = (first / 0.19) / ((second / 0.002).sqrt() + 1e-8);
            assert_eq!((m2[i].to_bits(), v2[i].to_bits()), (first.to_bits(), second.to_bits()));
            assert_eq!(p2[i].to_bits(), (-0.003f32).mul_add(step, p[i] * 0.9997).to_bits());
        }
    }
}

#[test]
fn functions_have_these_bits_for_ever() {
    // A change here is a change of engine: exp, log and tanh come from another crate.
    let mut hash = Vec::new();
    for i in 0..100_000u32 {
        let x = f32::from_bits(i.wrapping_mul(42_949));
        let values = [libm::expf(x), libm::expf(-x), libm::logf(x.abs()), libm::tanhf(x)];
        hash.extend(values.iter().filter(|v| !v.is_nan()).flat_map(|v| v.to_le_bytes()));
    }
    assert_eq!(lab_schema::Digest::derive("lab test functions", &hash).short(), "d56cada8a2a6");
}
