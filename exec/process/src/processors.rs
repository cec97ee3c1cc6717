//! On how many processors a command may run.
#![cfg_attr(target_os = "linux", expect(unsafe_code, reason = "affinity has no safe form in std"))]

#[cfg(target_os = "linux")]
use std::io;
#[cfg(target_os = "linux")]
use std::mem;
#[cfg(target_os = "linux")]
use std::os::unix::process::CommandExt;
use std::process::Command;

/// The processors that we may use.
#[cfg(target_os = "linux")]
fn affinity() -> Option<libc::cpu_set_t> {
    // SAFETY: the set is plain memory, valid in all patterns, and as long as said.
    unsafe {
        let mut ours: libc::cpu_set_t = mem::zeroed();
        let got = libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut ours);
        (got >= 0).then_some(ours)
    }
}

/// How many processors a process that we start is told that it may use. (A share of their time that a
/// control group allows is another thing, which programs read from files.)
pub(crate) fn count() -> u32 {
    #[cfg(target_os = "linux")]
    if let Some(ours) = affinity() {
        // SAFETY: only reads the bits of the set.
        return unsafe { libc::CPU_COUNT(&ours) } as u32;
    }
    std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX))
}

/// Lets the command use only the first `count` of the processors that we may use.
#[cfg(target_os = "linux")]
pub(crate) fn restrict(command: &mut Command, count: u32) {
    let Some(ours) = affinity() else { return };
    // SAFETY: the set is plain memory, valid in all patterns; the macros only read and set its bits.
    let wanted = unsafe {
        let mut wanted: libc::cpu_set_t = mem::zeroed();
        let all = (0..libc::CPU_SETSIZE as usize).filter(|cpu| libc::CPU_ISSET(*cpu, &ours));
        all.take(count as usize).for_each(|cpu| libc::CPU_SET(cpu, &mut wanted));
        wanted
    };
    let hook = move || {
        // SAFETY: the set was copied into the hook and lives as long.
        let set = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &wanted) };
        if set < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    // SAFETY: the hook makes one system call.
    unsafe { command.pre_exec(hook) };
}

/// Elsewhere a command uses what there is.
#[cfg(not(target_os = "linux"))]
pub(crate) fn restrict(_command: &mut Command, _count: u32) {}
