//! How often a difference is claimed that is none.
//!
//!     cargo run --release -p lab-statistics --example false_positives [REPETITIONS]
//!
//! 10,000 repetitions by default, with two threads: three quarters of an hour of processor
//! time, most of it for 20 runs per arm. A share of 5 % of them has a standard error of 0.22 %.
#![allow(clippy::print_stdout)]

#[path = "../tests/kit/mod.rs"]
mod kit;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use kit::{Draws, Scores, Setting, Shares, simulate};
use lab_statistics::{permutation, sign_flip};

const SIZES: [usize; 7] = [4, 5, 6, 8, 10, 15, 20];

/// Simulates all, two at a time, in the order given.
fn all(settings: &[Setting], repetitions: usize, bootstrap: bool) -> Vec<Shares> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(vec![Shares::default(); settings.len()]);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let k = next.fetch_add(1, Ordering::Relaxed);
                    let Some(setting) = settings.get(k) else { break };
                    let shares = simulate(setting, repetitions, 1 + k as u64, bootstrap);
                    done.lock().expect("no thread panics")[k] = shares;
                }
            });
        }
    });
    done.into_inner().expect("no thread panics")
}

fn setting(scores: Scores, (n, m): (usize, usize), spread: f64, gain: f64) -> Setting {
    Setting { scores, n, m, spread, gain }
}

fn percent(share: f64) -> String {
    format!("{:.1}", 100.0 * share)
}

fn row(label: &str, cells: &[String]) {
    println!("| {label} | {} |", cells.join(" | "));
}

fn head(label: &str, columns: &[&str]) {
    println!("| {label} | {} |", columns.join(" | "));
    println!("|{}", "---|".repeat(columns.len() + 1));
}

/// Rows of sizes and columns of kinds of scores, the second arm normal with a third of the spread.
fn even(gain: f64) -> Vec<Setting> {
    let mut settings = Vec::new();
    for n in SIZES {
        settings.extend(Scores::ALL.map(|scores| setting(scores, (n, n), 1.0, gain)));
        settings.push(setting(Scores::Normal, (n, n), 3.0, gain));
    }
    settings
}

fn table(shares: &[Shares], cell: impl Fn(&Shares) -> String) {
    for (n, shares) in SIZES.iter().zip(shares.chunks(4)) {
        row(&n.to_string(), &shares.iter().map(&cell).collect::<Vec<_>>());
    }
}

fn main() {
    let repetitions = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(10_000);
    println!("{repetitions} repetitions\n");
    let kinds = ["normal", "skewed", "15 % fail", "normal, sd 3 : 1"];

    println!("No difference, found at 5 % (in %): default / Welch's t / percentile bootstrap\n");
    let none = all(&even(0.0), repetitions, true);
    head("runs per arm", &kinds);
    table(&none, |s| [s.ours, s.welch, s.bootstrap].map(percent).join(" / "));

    println!(
        "\nA difference of one standard deviation, found (in %): default / Welch's t; a fifth of the repetitions\n"
    );
    let some = all(&even(1.0), repetitions.div_ceil(5), false);
    head("runs per arm", &kinds);
    table(&some, |s| [s.ours, s.welch].map(percent).join(" / "));

    println!("\nTrue value within the 95 % interval (in %), without a difference / with one:");
    println!("Welch's of the mean difference; that of P(A > B)\n");
    head("runs per arm", &kinds);
    let together: Vec<Shares> = none
        .iter()
        .zip(&some)
        .map(|(none, some)| Shares { ours: some.interval, welch: some.superiority, ..*none })
        .collect();
    table(&together, |s| {
        let [a, b, c, d] = [s.interval, s.ours, s.superiority, s.welch].map(percent);
        format!("{a} / {b}; {c} / {d}")
    });

    println!(
        "\nArms of different sizes, no difference, found at 5 % (in %): as above, and default and Welch's t both\n"
    );
    let sizes = [(4, 6), (4, 8), (4, 12), (5, 10), (6, 9), (8, 12)];
    head(
        "runs",
        &["normal", "skewed", "15 % fail", "normal, smaller arm 3 : 1", "normal, larger arm 3 : 1"],
    );
    let mut settings = Vec::new();
    for (n, m) in sizes {
        settings.extend(Scores::ALL.map(|scores| setting(scores, (n, m), 1.0, 0.0)));
        settings.push(setting(Scores::Normal, (n, m), 3.0, 0.0));
        settings.push(setting(Scores::Normal, (m, n), 3.0, 0.0));
    }
    let uneven = all(&settings, repetitions, true);
    for ((n, m), shares) in sizes.iter().zip(uneven.chunks(5)) {
        let cell = |s: &Shares| [s.ours, s.welch, s.bootstrap, s.both].map(percent).join(" / ");
        row(&format!("{n} and {m}"), &shares.iter().map(cell).collect::<Vec<_>>());
    }

    println!("\nHow long a test takes (median of 21)\n");
    head("scores", &["ms"]);
    let mut draws = Draws::new(7);
    for (n, m) in [(10, 10), (15, 15), (20, 20), (10, 12), (25, 25), (50, 50), (12, 20), (40, 60)] {
        let setting = setting(Scores::Normal, (n, m), 1.0, 0.5);
        row(
            &format!("{n} and {m}"),
            &[milliseconds(|| {
                let (a, b) = setting.arms(&mut draws);
                permutation(&a, &b).expect("a test").p
            })],
        );
    }
    for n in [22, 40, 100] {
        let setting = setting(Scores::Normal, (n, n), 1.0, 0.5);
        row(
            &format!("{n} pairs"),
            &[milliseconds(|| {
                let (a, b) = setting.arms(&mut draws);
                sign_flip(&a, &b).expect("a test").p
            })],
        );
    }
}

fn milliseconds(mut work: impl FnMut() -> f64) -> String {
    let mut times: Vec<f64> = (0..21)
        .map(|_| {
            let started = Instant::now();
            std::hint::black_box(work());
            started.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    format!("{:.1}", times[10])
}
