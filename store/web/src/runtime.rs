//! The threads on which connections live. Everything above waits, as it does for a disk.

use std::io;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// Threads that carry bytes; what is done with them is done by who waits.
const THREADS: usize = 2;

/// Waits for what comes over the network. Not to be called from one of its threads.
pub(crate) fn wait<F: Future>(what: F) -> io::Result<F::Output> {
    Ok(shared()?.block_on(what))
}

/// Lets something go on while others wait.
pub(crate) fn spawn<F>(what: F) -> io::Result<JoinHandle<F::Output>>
where
    F: Future<Output: Send> + Send + 'static,
{
    Ok(shared()?.spawn(what))
}

/// Waits until more may go, if somebody limited how much does.
pub(crate) async fn keep_pace(bytes: u64) {
    let delay = lab_objects::pace(bytes);
    // A sleep of nothing lasts until the timer ticks.
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}

fn shared() -> io::Result<&'static Runtime> {
    static SHARED: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = SHARED.get() {
        return Ok(runtime);
    }
    // Whoever gives TLS its arithmetic first wins; it is the same for all.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let made = Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("lab-web")
        .enable_all()
        .build()?;
    Ok(SHARED.get_or_init(|| made))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn without_a_limit_nobody_waits() {
        let start = Instant::now();
        let pieces = async {
            for _ in 0..10_000 {
                keep_pace(64 << 10).await;
            }
        };
        wait(pieces).unwrap();
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    }
}
