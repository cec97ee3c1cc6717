//! The harness of the suites that try to lose something: `faults`, `power`, `rot`, `contention`.
//!
//! `shim` puts faults between the real binary and the C library, `log` reads what it writes down,
//! `disk` tells what may be left on a disk after a power cut, `sample` has data worth losing and knows whether it is all there.
//! By default each suite takes less than a minute; `LAB_RELIABILITY=long` in the environment runs
//! what `docs/reliability.md` reports.
#![allow(clippy::unwrap_used, clippy::print_stderr, dead_code, missing_docs, unreachable_pub)]

use std::sync::atomic::{AtomicUsize, Ordering};

pub mod sample;

pub mod shim;

pub mod log;

pub mod disk;

/// The short figure, or the long one where it was asked for.
pub fn times(short: u64, long: u64) -> u64 {
    match std::env::var("LAB_RELIABILITY").as_deref() {
        Ok("long") => long,
        Ok(other) => panic!("LAB_RELIABILITY can be `long`, and is {other:?}"),
        Err(_) => short,
    }
}

/// Numbers that look random and are the same each time (splitmix64).
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
}

/// Does the same with each item, on all cores.
pub fn each<T: Sync>(items: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, |n| n.get()) {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(item);
                }
            });
        }
    });
}

/// Says a figure; `--nocapture` shows it.
pub fn figure(text: &str) {
    eprintln!("figure: {text}");
}

/// Makes the folders of this process in memory, where that can be done: faults that are put before
/// the disk do not need one, and hundreds of stores are faster so.
pub fn in_memory() {
    let memory = std::path::Path::new("/dev/shm");
    if tempfile::tempdir_in(memory).is_ok() {
        // It can be set once; who set it first meant the same.
        let _ = tempfile::env::override_temp_dir(memory);
    }
}
