//! What memory there is, and how it is asked for.

use crate::error::{Result, TensorError};

/// Refuses what the machine has no memory for, before hours are spent. Where the system does not
/// say what is available (it is Linux's), nothing is refused.
pub(crate) fn check(needed: u64) -> Result<()> {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let number =
        line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok());
    match number {
        Some(kib) if needed / 1024 > kib => {
            Err(TensorError::Memory { needed_mib: needed >> 20, available_mib: kib >> 10 })
        }
        _ => Ok(()),
    }
}

/// Tells the allocator to keep what is freed: a step asks for the same large pieces as the one
/// before, and to have them from the system each time costs a quarter of the time.
pub(crate) fn keep() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(
        unsafe_code,
        reason = "the C library's setting takes two numbers and touches no memory"
    )]
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 30);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 1 << 30);
    }
}
