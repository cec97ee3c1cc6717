//! How much who may ask for.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory is counted in units of so many bytes.
const UNIT: u64 = 64 << 10;
/// Askers that are remembered; those who have been quiet are forgotten first.
const ASKERS: usize = 10_000;
/// A burst is what comes in so many seconds.
const BURST: f64 = 5.0;

/// Counts requests.
#[derive(Debug)]
pub(crate) struct Rate {
    per_second: f64,
    askers: Mutex<HashMap<String, (f64, Instant)>>,
}

impl Rate {
    pub(crate) fn new(per_second: u32) -> Rate {
        Rate { per_second: f64::from(per_second), askers: Mutex::default() }
    }

    /// Lets a request pass, or says how long to wait.
    pub(crate) fn ask(&self, asker: &str, now: Instant) -> Result<(), Duration> {
        let most = self.per_second * BURST;
        let mut askers = self.askers.lock().unwrap_or_else(PoisonError::into_inner);
        if askers.len() >= ASKERS && !askers.contains_key(asker) {
            let full = Duration::from_secs_f64(BURST);
            askers.retain(|_, (_, last)| now.saturating_duration_since(*last) < full);
            if askers.len() >= ASKERS {
                // More addresses than anybody honest has: all wait.
                return Err(full);
            }
        }
        let (left, last) = askers.entry(asker.to_owned()).or_insert((most, now));
        let since = now.saturating_duration_since(*last).as_secs_f64();
        *left = (*left + since * self.per_second).min(most);
        *last = now;
        if *left < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - *left) / self.per_second));
        }
        *left -= 1.0;
        Ok(())
    }
}

/// Whom an address belongs to: of IPv6 a whole network is one customer's.
pub(crate) fn network(address: IpAddr) -> String {
    match address {
        IpAddr::V6(ip) if ip.to_ipv4_mapped().is_none() => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::")
        }
        address => address.to_string(),
    }
}

/// Memory for what is on its way.
#[derive(Debug)]
pub(crate) struct Room {
    units: u32,
    free: Arc<Semaphore>,
}

impl Room {
    pub(crate) fn new(bytes: u64) -> Room {
        let units = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX).clamp(1, 1 << 24);
        Room { units, free: Arc::new(Semaphore::new(units as usize)) }
    }

    /// Waits for so many bytes; what is larger than all of it gets all of it.
    pub(crate) async fn take(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, self.units);
        Arc::clone(&self.free).acquire_many_owned(units).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_too_often_waits_and_others_do_not() {
        let rate = Rate::new(10);
        let start = Instant::now();
        let passed = (0..100).filter(|_| rate.ask("a", start).is_ok()).count();
        assert_eq!(passed, 50);
        let wait = rate.ask("a", start).unwrap_err();
        assert!(wait <= Duration::from_millis(101), "{wait:?}");
        assert!(rate.ask("b", start).is_ok());
        assert!(rate.ask("a", start + wait).is_ok());
        assert!(rate.ask("a", start + wait).is_err());
    }

    #[test]
    fn a_flood_of_addresses_takes_no_memory_without_end() {
        let rate = Rate::new(10);
        let start = Instant::now();
        for n in 0..ASKERS {
            rate.ask(&n.to_string(), start).unwrap();
        }
        assert!(rate.ask("one more", start).is_err());
        assert!(rate.ask("7", start).is_ok(), "who was known goes on");
        assert!(rate.ask("one more", start + Duration::from_secs(10)).is_ok());
        assert_eq!(rate.askers.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_network_of_ipv6_is_one_asker() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2::7"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::7"), of("2001:db8:1:3::7"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_ne!(of("::ffff:192.0.2.1"), of("::ffff:192.0.2.2"));
    }
}
