//! How fast bytes may go between machines, if somebody said so.
//!
//! One rate for the whole process, both ways together: whoever is about to send bytes, or has got some,
//! is told how long to wait. What waits is counted in, so that many at once go no faster than one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes per second that may be asked for at least: slower, a single message would take so long that the
/// other side is taken for dead.
pub const LEAST_PACE: u64 = 64_000;

static PACE: Pace = Pace::new();

/// From now on no more than so many bytes a second go; at least [`LEAST_PACE`].
pub fn set_pace(bytes_per_second: u64) {
    PACE.rate.store(bytes_per_second.max(LEAST_PACE), Ordering::Relaxed);
}

/// How long to wait before so many bytes go, or before more are taken after they came.
pub fn pace(bytes: u64) -> Duration {
    PACE.wait(bytes, Instant::now())
}

/// Bytes that should go at a time, so that they flow: at most `most`, and a quarter of a second's.
pub fn paced_piece(most: usize) -> usize {
    match PACE.rate.load(Ordering::Relaxed) {
        0 => most,
        rate => most.min(usize::try_from(rate / 4).unwrap_or(most)).max(1),
    }
}

struct Pace {
    /// Bytes per second; 0: as fast as they can.
    rate: AtomicU64,
    /// When the next ones may go.
    next: Mutex<Option<Instant>>,
}

impl Pace {
    const fn new() -> Pace {
        Pace { rate: AtomicU64::new(0), next: Mutex::new(None) }
    }

    fn wait(&self, bytes: u64, now: Instant) -> Duration {
        let rate = self.rate.load(Ordering::Relaxed);
        if rate == 0 {
            return Duration::ZERO;
        }
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let start = next.map_or(now, |next| next.max(now));
        *next = Some(start + Duration::from_secs_f64(bytes as f64 / rate as f64));
        start - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_a_second_is_what_was_said() {
        let pace = Pace::new();
        let start = Instant::now();
        assert_eq!(pace.wait(1 << 40, start), Duration::ZERO, "nothing was said");
        pace.rate.store(1000, Ordering::Relaxed);
        // Many who ask at once share it.
        let waits: Vec<u128> = (0..5).map(|_| pace.wait(500, start).as_millis()).collect();
        assert_eq!(waits, [0, 500, 1000, 1500, 2000]);
        // Who comes later need not wait for what has gone, and saves nothing up.
        let later = start + Duration::from_secs(60);
        assert_eq!(pace.wait(1000, later), Duration::ZERO);
        assert_eq!(pace.wait(1, later).as_millis(), 1000);
    }
}
