//! The kernels against their definition in docs/arithmetic.md, written as plainly as it reads: one
//! number at a time, no vectors, no threads, no packing.

#![allow(
    clippy::unwrap_used,
    clippy::needless_range_loop,
    reason = "a test may; indices as in the definition"
)]

mod plain;

use lab_arithmetic::battery::{activations, numbers};
use lab_arithmetic::{
    AdamW, Attention, Function, Kernels, Moments, Path, Sgd, Steps, Stream, View, Window, philox,
    uniform,
};
use plain::{at, bits, chains, check, dot, exp, softmax, sum};

// proves
#[test]
fn products() {
    for m in [1, 5, 8, 9, 13] {
        for n in [1, 10, 16, 33, 65] {
            for k in [0, 1, 2, 255, 256, 257, 600] {
                let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
                let turn = |x: &[f32], rows: usize, cols: usize| -> Vec<f32> {
                    (0..rows * cols).map(|i| x[i % rows * cols + i / rows]).collect()
                };
                let (a_t, b_t) = (turn(&a, m, k), turn(&b, k, n));
                let element =
                    |i: usize| chains((0..k).map(|p| (a[i / n * k + p], b[p * n + i % n])));
                let expected: Vec<f32> = (0..m * n).map(element).collect();
                for a in [View::of(&a, m, k), View::of(&a_t, k, m).map(View::transposed)] {
                    for b in [View::of(&b, k, n), View::of(&b_t, n, k).map(View::transposed)] {
                        let what = format!("{m}x{k}x{n}");
                        check(&expected, &what, |k, out| k.matmul(a.unwrap(), b.unwrap(), out));
                    }
                }
            }
        }
    }
}

// proves A-10
#[test]
fn large_products_on_real_threads() {
    let (m, k, n) = (400, 300, 500);
    let (a, b) = (numbers(m * k, 3), numbers(k * n, 4));
    let mut first: Option<Vec<f32>> = None;
    for path in Path::ALL {
        for threads in [1, 2, 5] {
            let Some(kernels) = Kernels::new(path, threads.try_into().unwrap()) else { continue };
            let mut out = vec![0.0; m * n];
            kernels.matmul(View::of(&a, m, k).unwrap(), View::of(&b, k, n).unwrap(), &mut out);
            let expected = first.get_or_insert_with(|| out.clone());
            assert!(bits(&out) == bits(expected), "{kernels:?}");
        }
    }
}

// proves
#[test]
fn sums() {
    for n in [0, 1, 2, 31, 32, 33, 100, 4095, 4096, 4097, 10_000] {
        let (a, b) = (numbers(n, 5), numbers(n, 6));
        check(&[sum(&a), dot(&a, &b)], &format!("{n}"), |k, out| {
            out.copy_from_slice(&[k.sum(&a), k.dot(&a, &b)]);
        });
    }
    for (rows, width) in [(1, 1), (255, 3), (256, 17), (1000, 5), (3, 40)] {
        let (a, b) = (numbers(rows * width, 7), numbers(rows * width, 8));
        let column = |j: usize, with: &[f32]| -> f32 {
            chains((0..rows).map(|i| (a[i * width + j], with[i * width + j])))
        };
        let sums: Vec<f32> = (0..width).map(|j| column(j, &vec![1.0; rows * width])).collect();
        let dots: Vec<f32> = (0..width).map(|j| column(j, &b)).collect();
        check(&sums, "column sums", |k, out| k.column_sums(&a, out));
        check(&dots, "column dots", |k, out| k.column_dots(&a, &b, out));
    }
    // The order shows: another order gives another sum.
    let values = numbers(1000, 5);
    assert_ne!(sum(&values), values.iter().fold(0.0, |s, v| s + v));
}

// proves
#[test]
fn softmax_and_cross_entropy() {
    let (rows, classes) = (30, 11);
    let scores: Vec<f32> = numbers(rows * classes, 9).iter().map(|v| v * 0.01).collect();
    let labels: Vec<u32> = (0..rows).map(|i| (i * 7 % classes) as u32).collect();
    let y: Vec<f32> = scores.chunks(classes).flat_map(softmax).collect();
    check(&y, "softmax", |k, out| k.softmax(&scores, classes, out));
    let g = activations(rows * classes, 10);
    let mut gradient = Vec::new();
    for (y, g) in y.chunks(classes).zip(g.chunks(classes)) {
        let inner = dot(g, y);
        gradient.extend(y.iter().zip(g).map(|(y, g)| y * (g - inner)));
    }
    check(&gradient, "softmax gradient", |k, out| k.softmax_gradient(&y, &g, classes, out));
    let mut losses = Vec::new();
    let mut gradient = Vec::new();
    for ((row, y), label) in scores.chunks(classes).zip(y.chunks(classes)).zip(&labels) {
        let greatest = row.iter().fold(f32::NEG_INFINITY, |g, v| if *v > g { *v } else { g });
        let total = sum(&row.iter().map(|x| exp(x - greatest)).collect::<Vec<_>>());
        losses.push(at(Function::Log, total) - (row[*label as usize] - greatest));
        for (j, y) in y.iter().enumerate() {
            let hot = if j as u32 == *label { 1.0 } else { 0.0 };
            gradient.push((y - hot) * (0.5 / rows as f32));
        }
    }
    check(&[sum(&losses) / rows as f32], "cross-entropy", |k, out| {
        out[0] = k.cross_entropy(&scores, classes, &labels);
    });
    check(&gradient, "its gradient", |k, out| {
        k.cross_entropy_gradient(&scores, classes, &labels, 0.5, out);
    });
}

// proves
#[test]
fn layer_norms() {
    let (rows, width) = (5, 70);
    let (x, g) = (activations(rows * width, 11), activations(rows * width, 12));
    let (gain, shift) = (activations(width, 13), activations(width, 14));
    let (mut y, mut dx, mut z_all) = (Vec::new(), Vec::new(), Vec::new());
    let n = width as f32;
    for (x, g) in x.chunks(width).zip(g.chunks(width)) {
        let mean = sum(x) / n;
        let d: Vec<f32> = x.iter().map(|x| x - mean).collect();
        let scale = 1.0 / (dot(&d, &d) / n + 1e-5).sqrt();
        let z: Vec<f32> = d.iter().map(|d| d * scale).collect();
        y.extend((0..width).map(|j| z[j].mul_add(gain[j], shift[j])));
        let h: Vec<f32> = (0..width).map(|j| g[j] * gain[j]).collect();
        let (mean, along) = (sum(&h) / n, dot(&h, &z) / n);
        dx.extend((0..width).map(|j| scale * (-z[j]).mul_add(along, h[j] - mean)));
        z_all.extend(z);
    }
    check(&y, "layer norm", |k, out| k.layer_norm(&x, &gain, &shift, 1e-5, out));
    check(&dx, "its gradient", |k, out| {
        out.copy_from_slice(&k.layer_norm_gradient(&x, &gain, &g, 1e-5).0);
    });
    let column =
        |j: usize, with: &[f32]| chains((0..rows).map(|i| (g[i * width + j], with[i * width + j])));
    let d_gain: Vec<f32> = (0..width).map(|j| column(j, &z_all)).collect();
    let d_shift: Vec<f32> = (0..width).map(|j| column(j, &vec![1.0; rows * width])).collect();
    check(&d_gain, "gain", |k, out| {
        out.copy_from_slice(&k.layer_norm_gradient(&x, &gain, &g, 1e-5).1)
    });
    check(&d_shift, "shift", |k, out| {
        out.copy_from_slice(&k.layer_norm_gradient(&x, &gain, &g, 1e-5).2)
    });
}

// proves
#[test]
fn batch_norms() {
    let (rows, width) = (600, 4);
    let (x, g) = (activations(rows * width, 15), activations(rows * width, 16));
    let (gain, shift) = (activations(width, 17), activations(width, 18));
    let n = rows as f32;
    let mut moments = Moments { mean: vec![0.0; width], variance: vec![0.0; width] };
    let (mut y, mut dx) = (vec![0.0; rows * width], vec![0.0; rows * width]);
    let (mut d_gain, mut d_shift) = (Vec::new(), Vec::new());
    for j in 0..width {
        let column: Vec<f32> = (0..rows).map(|i| x[i * width + j]).collect();
        let g: Vec<f32> = (0..rows).map(|i| g[i * width + j]).collect();
        let mean = chains(column.iter().map(|x| (1.0, *x))) / n;
        let d: Vec<f32> = column.iter().map(|x| x - mean).collect();
        let variance = chains(d.iter().map(|d| (*d, *d))) / n;
        let scale = 1.0 / (variance + 1e-5).sqrt();
        let z: Vec<f32> = d.iter().map(|d| d * scale).collect();
        d_shift.push(chains(g.iter().map(|g| (1.0, *g))));
        d_gain.push(chains(g.iter().zip(&z).map(|(g, z)| (*g, *z))));
        let (mean_g, along) = (d_shift[j] / n, d_gain[j] / n);
        for i in 0..rows {
            y[i * width + j] = z[i].mul_add(gain[j], shift[j]);
            dx[i * width + j] = (scale * gain[j]) * (-z[i]).mul_add(along, g[i] - mean_g);
        }
        (moments.mean[j], moments.variance[j]) = (mean, variance);
    }
    check(&moments.mean, "means", |k, out| out.copy_from_slice(&k.moments(&x, width).mean));
    check(&moments.variance, "variances", |k, out| {
        out.copy_from_slice(&k.moments(&x, width).variance)
    });
    check(&y, "batch norm", |k, out| k.batch_norm(&x, &moments, &gain, &shift, 1e-5, out));
    check(&[dx, d_gain, d_shift].concat(), "its gradients", |k, out| {
        let (dx, d_gain, d_shift) = k.batch_norm_gradient(&x, &moments, &gain, &g, 1e-5);
        out.copy_from_slice(&[dx, d_gain, d_shift].concat());
    });
}

/// The value of a pixel, +0.0 outside; and whether it is inside.
fn pixel(w: &Window, x: &[f32], image: usize, y: isize, col: isize, c: usize) -> (f32, bool) {
    let inside = y >= 0 && col >= 0 && (y as usize) < w.size[0] && (col as usize) < w.size[1];
    if !inside {
        return (0.0, false);
    }
    (x[((image * w.size[0] + y as usize) * w.size[1] + col as usize) * w.channels + c], true)
}

fn some_windows() -> Vec<Window> {
    let window =
        Window { images: 2, size: [6, 5], channels: 3, kernel: [3, 3], stride: 1, padding: 1 };
    vec![
        window,
        Window { kernel: [2, 3], stride: 2, padding: 0, ..window },
        Window { kernel: [5, 1], stride: 3, padding: 2, channels: 1, ..window },
        // More patches than a chain has terms.
        Window { images: 3, size: [20, 19], channels: 4, kernel: [1, 1], stride: 1, padding: 0 },
    ]
}

// proves
#[test]
fn convolutions() {
    for w in some_windows() {
        let [rows, cols] = w.output().unwrap();
        let channels = 5;
        let x = activations(w.images * w.image(), 19);
        let weights = activations(channels * w.patch(), 20);
        let g = activations(w.images * rows * cols * channels, 21);
        let taps = |oy: usize, ox: usize| {
            (0..w.kernel[0]).flat_map(move |ky| (0..w.kernel[1]).map(move |kx| (ky, kx))).map(
                move |(ky, kx)| {
                    let y = (oy * w.stride + ky) as isize - w.padding as isize;
                    let x = (ox * w.stride + kx) as isize - w.padding as isize;
                    (ky * w.kernel[1] + kx, y, x)
                },
            )
        };
        let x_ref = x.as_slice();
        let patch = |place: usize| -> Vec<f32> {
            let (image, oy, ox) = (place / (rows * cols), place / cols % rows, place % cols);
            taps(oy, ox)
                .flat_map(|(_, y, col)| {
                    (0..w.channels).map(move |c| pixel(&w, x_ref, image, y, col, c).0)
                })
                .collect()
        };
        let places = w.images * rows * cols;
        let patches: Vec<Vec<f32>> = (0..places).map(patch).collect();
        let mut y = Vec::new();
        for patch in &patches {
            for weight in weights.chunks(w.patch()) {
                y.push(chains(patch.iter().copied().zip(weight.iter().copied())));
            }
        }
        check(&y, &format!("{w:?}"), |k, out| k.convolve(w, &x, &weights, out));
        let mut dw = Vec::new();
        for c in 0..channels {
            let of =
                |tap: usize| chains((0..places).map(|p| (g[p * channels + c], patches[p][tap])));
            dw.extend((0..w.patch()).map(of));
        }
        check(&dw, &format!("weights {w:?}"), |k, out| k.convolve_weights(w, &x, &g, out));
        // For each pixel its taps, in the order of the kernel.
        let mut dx = vec![None; x.len()];
        for ky in 0..w.kernel[0] {
            for kx in 0..w.kernel[1] {
                for place in 0..places {
                    let (image, oy, ox) =
                        (place / (rows * cols), place / cols % rows, place % cols);
                    let y = (oy * w.stride + ky) as isize - w.padding as isize;
                    let col = (ox * w.stride + kx) as isize - w.padding as isize;
                    for c in 0..w.channels {
                        if !pixel(&w, &x, image, y, col, c).1 {
                            continue;
                        }
                        let tap = (ky * w.kernel[1] + kx) * w.channels + c;
                        let of = |o: usize| (g[place * channels + o], weights[o * w.patch() + tap]);
                        let term = chains((0..channels).map(of));
                        let at = ((image * w.size[0] + y as usize) * w.size[1] + col as usize)
                            * w.channels
                            + c;
                        dx[at] = Some(dx[at].map_or(term, |sum: f32| sum + term));
                    }
                }
            }
        }
        let dx: Vec<f32> = dx.into_iter().map(|sum| sum.unwrap_or(0.0)).collect();
        check(&dx, &format!("images {w:?}"), |k, out| k.convolve_images(w, &weights, &g, out));
    }
}

// proves
#[test]
fn convolutions_over_more_patches_than_are_laid_out_at_a_time() {
    let w =
        Window { images: 700, size: [28, 28], channels: 1, kernel: [1, 1], stride: 1, padding: 0 };
    let n = w.images * w.image();
    let (x, g) = (activations(n, 31), activations(n, 32));
    check(&[chains((0..n).map(|p| (g[p], x[p])))], "weights", |k, out| {
        k.convolve_weights(w, &x, &g, out);
    });
    let y: Vec<f32> = x.iter().map(|x| x.mul_add(0.3, 0.0)).collect();
    check(&y, "results", |k, out| k.convolve(w, &x, &[0.3], out));
}

// proves
#[test]
fn pools() {
    for w in some_windows() {
        let [rows, cols] = w.output().unwrap();
        let x: Vec<f32> =
            activations(w.images * w.image(), 22).iter().map(|x| (x * 2.0).round()).collect();
        let g = activations(w.images * rows * cols * w.channels, 23);
        let (mut most, mut mean) = (Vec::new(), Vec::new());
        let (mut d_most, mut d_mean) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        let count = (w.kernel[0] * w.kernel[1]) as f32;
        for place in 0..w.images * rows * cols {
            let (image, oy, ox) = (place / (rows * cols), place / cols % rows, place % cols);
            for c in 0..w.channels {
                let g = g[place * w.channels + c];
                let (mut best, mut sum): (Option<(f32, usize)>, f32) = (None, 0.0);
                for ky in 0..w.kernel[0] {
                    for kx in 0..w.kernel[1] {
                        let y = (oy * w.stride + ky) as isize - w.padding as isize;
                        let col = (ox * w.stride + kx) as isize - w.padding as isize;
                        let (value, inside) = pixel(&w, &x, image, y, col, c);
                        if !inside {
                            continue;
                        }
                        let at = ((image * w.size[0] + y as usize) * w.size[1] + col as usize)
                            * w.channels
                            + c;
                        sum += value;
                        d_mean[at] += g / count;
                        if best.is_none_or(|(best, _)| value > best) {
                            best = Some((value, at));
                        }
                    }
                }
                most.push(best.map_or(0.0, |(best, _)| best));
                mean.push(sum / count);
                if let Some((_, at)) = best {
                    d_most[at] += g;
                }
            }
        }
        check(&most, &format!("greatest {w:?}"), |k, out| k.max_pool(w, &x, out));
        check(&mean, &format!("mean {w:?}"), |k, out| k.mean_pool(w, &x, out));
        check(&d_most, &format!("{w:?}"), |k, out| k.max_pool_gradient(w, &x, &g, out));
        check(&d_mean, &format!("{w:?}"), |k, out| k.mean_pool_gradient(w, &g, out));
    }
}

// proves
#[test]
fn embeddings() {
    let (rows, width) = (5, 3);
    let ids: Vec<u32> = (0..1500u32).map(|i| i * i % 4).collect();
    let g = activations(ids.len() * width, 24);
    let mut expected = Vec::new();
    for row in 0..rows {
        for j in 0..width {
            let places = ids.iter().enumerate().filter(|(_, id)| **id == row);
            expected.push(chains(places.map(|(place, _)| (1.0, g[place * width + j]))));
        }
    }
    check(&expected, "embedding", |k, out| k.embed_gradient(&ids, width, &g, out));
    let table = numbers(rows as usize * width, 33);
    let copied: Vec<f32> =
        ids.iter().flat_map(|id| table[*id as usize * width..][..width].to_vec()).collect();
    check(&copied, "its rows", |k, out| k.embed(&table, width, &ids, out));
}

// proves
#[test]
fn attentions() {
    let (places, width, heads) = (9, 8, 2);
    let depth = width / heads;
    let qkv = activations(3 * places * width, 25);
    let g = activations(places * width, 26);
    let part = |which: usize, head: usize, place: usize, j: usize| {
        qkv[place * 3 * width + which * width + head * depth + j]
    };
    for causal in [true, false] {
        let scale = 1.0 / (depth as f32).sqrt();
        let mut y = vec![0.0; places * width];
        let mut dqkv = vec![0.0; 3 * places * width];
        for head in 0..heads {
            let (mut weights, mut inner) = (vec![vec![0.0; places]; places], Vec::new());
            for i in 0..places {
                let seen = if causal { i + 1 } else { places };
                let score = |k: usize| {
                    chains((0..depth).map(|j| (part(0, head, i, j), part(1, head, k, j)))) * scale
                };
                let row = softmax(&(0..seen).map(score).collect::<Vec<_>>());
                weights[i][..seen].copy_from_slice(&row);
                let at = |j: usize| g[i * width + head * depth + j];
                let back = |k: usize| chains((0..depth).map(|j| (at(j), part(2, head, k, j))));
                let back: Vec<f32> = (0..seen).map(back).collect();
                let along = dot(&back, &row);
                let mut d: Vec<f32> =
                    row.iter().zip(&back).map(|(w, b)| w * (b - along) * scale).collect();
                d.resize(places, 0.0);
                inner.push(d);
                for j in 0..depth {
                    y[i * width + head * depth + j] =
                        chains((0..places).map(|k| (weights[i][k], part(2, head, k, j))));
                }
            }
            for i in 0..places {
                for j in 0..depth {
                    let at = i * 3 * width + head * depth + j;
                    let g = |k: usize| g[k * width + head * depth + j];
                    dqkv[at] = chains((0..places).map(|k| (inner[i][k], part(1, head, k, j))));
                    dqkv[at + width] =
                        chains((0..places).map(|k| (inner[k][i], part(0, head, k, j))));
                    dqkv[at + 2 * width] = chains((0..places).map(|k| (weights[k][i], g(k))));
                }
            }
        }
        let attention = Attention { places, width, heads, causal };
        check(&y, "attention", |k, out| k.attention(attention, &qkv, out));
        check(&dqkv, "its gradient", |k, out| k.attention_gradient(attention, &qkv, &g, out));
    }
}

// proves
#[test]
fn recurrent_layers() {
    let s = Steps { steps: 4, rows: 2, width: 3 };
    let (w, n) = (s.width, s.steps * s.rows * s.width);
    let (sigmoid, tanh) = (|x| at(Function::Sigmoid, x), |x| at(Function::Tanh, x));
    let (x, u) = (activations(4 * n, 27), activations(4 * w * w, 28));
    let bias = activations(3 * w, 29);
    let state = |states: &[f32], t: usize, row: usize, j: usize| match t {
        0 => 0.0,
        t => states[((t - 1) * s.rows + row) * w + j],
    };
    let of_state = |states: &[f32], t: usize, row: usize, gate: usize| match t {
        0 => 0.0,
        t => chains((0..w).map(|j| (state(states, t, row, j), u[gate * w + j]))),
    };
    let (mut lstm, mut gru, mut cells) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    for t in 0..s.steps {
        for row in 0..s.rows {
            for j in 0..w {
                let at = (t * s.rows + row) * w + j;
                let gate = |states: &[f32], gates: usize, g: usize| {
                    x[(t * s.rows + row) * gates * w + g * w + j]
                        + of_state(states, t, row, g * w + j)
                };
                let [i, f, g, o] = [0, 1, 2, 3].map(|g| gate(&lstm, 4, g));
                let new = sigmoid(i) * tanh(g);
                cells[at] = match t {
                    0 => new,
                    _ => sigmoid(f).mul_add(state(&cells, t, row, j), new),
                };
                lstm[at] = sigmoid(o) * tanh(cells[at]);
                let input = |g: usize| x[(t * s.rows + row) * 3 * w + g * w + j];
                let inner = |g: usize| of_state(&gru, t, row, g * w + j) + bias[g * w + j];
                let (r, z) = (sigmoid(input(0) + inner(0)), sigmoid(input(1) + inner(1)));
                let new = tanh(r.mul_add(inner(2), input(2)));
                gru[at] = match t {
                    0 => (1.0 - z) * new,
                    _ => z.mul_add(state(&gru, t, row, j), (1.0 - z) * new),
                };
            }
        }
    }
    check(&lstm, "lstm", |k, out| drop(k.lstm(s, &x, &u, out)));
    check(&gru, "gru", |k, out| drop(k.gru(s, &x[..3 * n], &u[..3 * w * w], &bias, out)));
}

// proves
#[test]
fn updates() {
    let n = 1003;
    let (p, g, m) = (numbers(n, 1), numbers(n, 2), numbers(n, 3));
    let v: Vec<f32> = numbers(n, 4).iter().map(|v| v.abs()).collect();
    let sgd = Sgd { lr: 0.1, momentum: 0.9, decay: 0.01 };
    let velocity: Vec<f32> =
        (0..n).map(|i| 0.9f32.mul_add(m[i], 0.01f32.mul_add(p[i], g[i]))).collect();
    let moved: Vec<f32> = (0..n).map(|i| (-0.1f32).mul_add(velocity[i], p[i])).collect();
    check(&[moved, velocity].concat(), "sgd", |k, out| {
        let (mut p, mut m) = (p.clone(), m.clone());
        k.sgd(sgd, &mut p, &g, &mut m);
        out.copy_from_slice(&[p, m].concat());
    });
    let (keep, correction1, correction2) = (0.9997, 0.19, 0.002);
    let rule =
        AdamW { lr: 0.003, beta1: 0.9, beta2: 0.999, eps: 1e-8, keep, correction1, correction2 };
    let first: Vec<f32> = (0..n).map(|i| 0.9f32.mul_add(m[i], (1.0 - 0.9f32) * g[i])).collect();
    let second: Vec<f32> =
        (0..n).map(|i| 0.999f32.mul_add(v[i], (1.0 - 0.999f32) * g[i] * g[i])).collect();
    let step = |i: usize| (first[i] / 0.19) / ((second[i] / 0.002).sqrt() + 1e-8);
    let moved: Vec<f32> = (0..n).map(|i| (-0.003f32).mul_add(step(i), p[i] * 0.9997)).collect();
    check(&[moved, first, second].concat(), "adamw", |k, out| {
        let (mut p, mut m, mut v) = (p.clone(), m.clone(), v.clone());
        k.adamw(rule, &mut p, &g, &mut m, &mut v);
        out.copy_from_slice(&[p, m, v].concat());
    });
}

// proves A-66
#[test]
fn dropouts() {
    let stream = Stream { key: [1, 2], purpose: [3, 4] };
    let x = activations(1001, 30);
    let keep = |i: usize| {
        let block = philox([i as u32 / 4, 0, 3, 4], [1, 2]);
        uniform(block[i % 4]) >= 0.25
    };
    let expected: Vec<f32> =
        x.iter().enumerate().map(|(i, x)| if keep(i) { x * (1.0 / 0.75) } else { 0.0 }).collect();
    check(&expected, "dropout", |k, out| k.dropout(stream, 0.25, &x, out));
    let left = expected.iter().filter(|x| **x != 0.0).count();
    assert!((700..800).contains(&left), "{left} of 1001 stay");
}
