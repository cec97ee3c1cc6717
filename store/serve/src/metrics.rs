//! What was done: a line per request for the log, and sums in the text format of Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// A request that was answered.
#[derive(Clone, Debug)]
pub struct Served {
    /// When it came.
    pub at: SystemTime,
    /// From where.
    pub from: Option<IpAddr>,
    /// The id of the token; none without one.
    pub token: Option<String>,
    /// The method.
    pub method: String,
    /// The path, without what follows a question mark.
    pub path: String,
    /// The status that was answered.
    pub status: u16,
    /// Bytes of the body that came.
    pub bytes_in: u64,
    /// Bytes of the body that was answered.
    pub bytes_out: u64,
    /// How long it took to answer.
    pub took: Duration,
    /// What was wrong, in words.
    pub trouble: Option<String>,
}

/// Sums since the start.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: Mutex<BTreeMap<(String, u16), u64>>,
    times: Mutex<Times>,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    pub(crate) connections: AtomicI64,
    pub(crate) under_way: AtomicI64,
    pub(crate) packs_taken: AtomicU64,
    pub(crate) packs_refused: AtomicU64,
}

/// Upper ends of the classes of durations, in seconds.
const CLASSES: [f64; 8] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0];

#[derive(Debug, Default)]
struct Times {
    classes: [u64; CLASSES.len()],
    count: u64,
    sum: f64,
}

impl Metrics {
    pub(crate) fn note(&self, served: &Served) {
        let key = (served.method.clone(), served.status);
        *self.requests.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default() += 1;
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = served.took.as_secs_f64();
        for (class, end) in CLASSES.iter().enumerate() {
            times.classes[class] += u64::from(seconds <= *end);
        }
        times.count += 1;
        times.sum += seconds;
        self.bytes_in.fetch_add(served.bytes_in, Ordering::Relaxed);
        self.bytes_out.fetch_add(served.bytes_out, Ordering::Relaxed);
    }

    /// All of it, in the text format of Prometheus.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a text does not fail.
        let mut head = |name: &str, kind: &str, help: &str, lines: &str| {
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{lines}");
        };
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: String = requests
            .iter()
            .map(|((method, status), n)| {
                format!("lab_requests_total{{method=\"{method}\",status=\"{status}\"}} {n}\n")
            })
            .collect();
        head("lab_requests_total", "counter", "Requests that were answered.", &lines);
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let name = "lab_request_seconds";
        let mut lines = String::new();
        for (end, n) in CLASSES.iter().zip(times.classes) {
            let _ = writeln!(lines, "{name}_bucket{{le=\"{end}\"}} {n}");
        }
        let _ = writeln!(lines, "{name}_bucket{{le=\"+Inf\"}} {}", times.count);
        let _ = writeln!(lines, "{name}_sum {}\n{name}_count {}", times.sum, times.count);
        head(name, "histogram", "How long answers took.", &lines);
        let load = |sum: &AtomicU64| sum.load(Ordering::Relaxed) as i64;
        for (name, kind, help, value) in [
            ("lab_bytes_in_total", "counter", "Bytes of bodies that came.", load(&self.bytes_in)),
            ("lab_bytes_out_total", "counter", "Bytes of bodies answered.", load(&self.bytes_out)),
            ("lab_packs_taken_total", "counter", "Packs that were taken.", load(&self.packs_taken)),
            (
                "lab_packs_refused_total",
                "counter",
                "Packs that were not what they claimed to be, or had no room.",
                load(&self.packs_refused),
            ),
            (
                "lab_connections",
                "gauge",
                "Connections now.",
                self.connections.load(Ordering::Relaxed),
            ),
            (
                "lab_requests_under_way",
                "gauge",
                "Requests being worked on now.",
                self.under_way.load(Ordering::Relaxed),
            ),
        ] {
            head(name, kind, help, &format!("{name} {value}\n"));
        }
        text
    }
}

/// A request that is being worked on, also if its client leaves.
pub(crate) struct UnderWay(Arc<Metrics>);

impl UnderWay {
    pub(crate) fn new(metrics: &Arc<Metrics>) -> UnderWay {
        metrics.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(metrics))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
