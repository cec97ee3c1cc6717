//! The system calls that the standard library lacks. With `processors`, the only unsafe code of this crate.
//!
//! Each function wraps one call and says why it is sound. What a child does between fork and
//! exec ([`prepare`]) is restricted to calls that are safe there: no allocation, no lock. Linux
//! has more of these calls than other systems; where one is missing, the weaker behaviour is
//! stated at the function.
#![expect(
    unsafe_code,
    reason = "wait4, poll, kill, sigaction and rlimits have no safe form in std"
)]

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus};
use std::time::Duration;

/// Prepares what the child does just before it becomes the program:
///
/// - its address space is bounded by `memory_bytes`;
/// - no core dump, which would look like an output;
/// - umask 022, so that the modes of what it writes do not depend on the caller's;
/// - (Linux) no open file but 0, 1 and 2 survives, whatever `lab` itself has inherited;
/// - (Linux) it dies when the thread that started it dies, as on SIGKILL of `lab`.
///
/// The starting thread must therefore outlive the child.
pub(crate) fn prepare(command: &mut Command, memory_bytes: Option<u64>) {
    let parent = std::process::id();
    let hook = move || {
        if let Some(bytes) = memory_bytes {
            limit(libc::RLIMIT_AS as i32, bytes)?;
        }
        limit(libc::RLIMIT_CORE as i32, 0)?;
        // SAFETY: umask only changes a number of this process and cannot fail.
        unsafe { libc::umask(0o022) };
        only_standard_streams();
        die_with(parent)
    };
    // SAFETY: the hook calls only getrlimit, setrlimit, umask, close_range, prctl and getppid,
    // which are async-signal-safe; it allocates nothing and takes no lock.
    unsafe { command.pre_exec(hook) };
}

/// Bounds that change what a program does, by name.
pub(crate) const LIMITS: [(&str, i32); 5] = [
    ("data bytes", libc::RLIMIT_DATA as i32),
    ("file bytes", libc::RLIMIT_FSIZE as i32),
    ("locked bytes", libc::RLIMIT_MEMLOCK as i32),
    ("open files", libc::RLIMIT_NOFILE as i32),
    ("stack bytes", libc::RLIMIT_STACK as i32),
];

/// The bound that holds for us; the greatest number if there is none.
pub(crate) fn soft_limit(resource: i32) -> Option<u64> {
    limits(resource).map(|(soft, _)| soft)
}

/// The bound above that bound.
pub(crate) fn hard_limit(resource: i32) -> Option<u64> {
    limits(resource).map(|(_, hard)| hard)
}

fn limits(resource: i32) -> Option<(u64, u64)> {
    // SAFETY: the struct lives through the call; all bit patterns of it are valid.
    let now = unsafe {
        let mut now: libc::rlimit = mem::zeroed();
        check(libc::getrlimit(resource as _, &mut now)).ok()?;
        now
    };
    let number = |limit| if limit == libc::RLIM_INFINITY { u64::MAX } else { limit };
    Some((number(now.rlim_cur), number(now.rlim_max)))
}

/// Whether we may lift hard limits: Linux's capability 24, `CAP_SYS_RESOURCE`.
pub(crate) fn may_raise_limits() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = line.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> 24 & 1 == 1)
}

/// Whether addresses of memory are not drawn at random for our children.
#[cfg(target_os = "linux")]
pub(crate) fn has_fixed_addresses() -> bool {
    // SAFETY: with this number the call only tells.
    let now = unsafe { libc::personality(0xffff_ffff) };
    now >= 0 && now & libc::ADDR_NO_RANDOMIZE != 0
}

/// Elsewhere nobody says.
#[cfg(not(target_os = "linux"))]
pub(crate) fn has_fixed_addresses() -> bool {
    false
}

/// Gives the command these bounds, as far as they may be given, and addresses that are drawn at random
/// or are not.
#[cfg(target_os = "linux")]
pub(crate) fn inherit(command: &mut Command, limits: Vec<(i32, u64)>, fixed: bool) {
    let hook = move || {
        for (resource, value) in &limits {
            // SAFETY: the struct lives through both calls; all bit patterns of it are valid.
            unsafe {
                let mut now: libc::rlimit = mem::zeroed();
                check(libc::getrlimit(*resource as _, &mut now))?;
                // Who may lifts the bound above it as well; another gets as much as there is.
                let high = now.rlim_max.max(*value);
                let wanted = libc::rlimit { rlim_cur: *value, rlim_max: high };
                if libc::setrlimit(*resource as _, &wanted) < 0 {
                    now.rlim_cur = (*value).min(now.rlim_max);
                    check(libc::setrlimit(*resource as _, &now))?;
                }
            }
        }
        // SAFETY: the calls tell and change a number of this process.
        unsafe {
            let now = libc::personality(0xffff_ffff);
            let bit = libc::ADDR_NO_RANDOMIZE;
            let wanted = if fixed { now | bit } else { now & !bit };
            if now >= 0 && wanted != now {
                // Some containers refuse that. Then addresses are as they are here.
                libc::personality(wanted as libc::c_ulong);
            }
            Ok(())
        }
    };
    // SAFETY: the hook calls getrlimit, setrlimit and personality, which are async-signal-safe; it
    // allocates nothing and takes no lock.
    unsafe { command.pre_exec(hook) };
}

/// Lets new files of the command lack these permissions.
pub(crate) fn mask_permissions(command: &mut Command, umask: u32) {
    let hook = move || {
        // SAFETY: umask only changes a number of this process and cannot fail.
        unsafe { libc::umask(umask as libc::mode_t) };
        Ok(())
    };
    // SAFETY: the hook makes one system call.
    unsafe { command.pre_exec(hook) };
}

/// Elsewhere there is no box.
#[cfg(not(target_os = "linux"))]
pub(crate) fn inherit(_command: &mut Command, _limits: Vec<(i32, u64)>, _fixed: bool) {}

/// Lowers a resource limit; one that is already lower stays.
fn limit(resource: i32, value: u64) -> io::Result<()> {
    // SAFETY: the struct lives through both calls; all bit patterns of it are valid.
    unsafe {
        let mut now: libc::rlimit = mem::zeroed();
        check(libc::getrlimit(resource as _, &mut now))?;
        let value = libc::rlim_t::try_from(value).unwrap_or(libc::RLIM_INFINITY).min(now.rlim_max);
        check(libc::setrlimit(resource as _, &libc::rlimit { rlim_cur: value, rlim_max: value }))?;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn only_standard_streams() {
    // SAFETY: marks descriptors to be closed at exec. A kernel before 5.11 refuses, and then
    // what was inherited stays open: nothing that could be done better here.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
}

#[cfg(not(target_os = "linux"))]
fn only_standard_streams() {}

#[cfg(target_os = "linux")]
fn die_with(parent: u32) -> io::Result<()> {
    // SAFETY: both calls take and return numbers.
    unsafe {
        check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
        // The parent may have died before the call took effect.
        if u32::try_from(libc::getppid()) != Ok(parent) {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn die_with(_parent: u32) -> io::Result<()> {
    Ok(())
}

/// How a child ended.
pub(crate) struct Reaped {
    pub(crate) status: ExitStatus,
    /// Largest resident set of the child or of any descendant that was awaited, in bytes.
    pub(crate) peak_memory_bytes: u64,
}

/// Whether the child `pid` has ended. Where another thread of ours holds it as a debugger, its stops are
/// reported to every thread that waits for it, and are to be left to that one.
fn has_ended(pid: i32) -> io::Result<bool> {
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: room for one answer is given; all bit patterns of it are valid.
    let ended = unsafe {
        let mut info: libc::siginfo_t = mem::zeroed();
        check(libc::waitid(libc::P_PID, pid as libc::id_t, &mut info, flags))?;
        info.si_code
    };
    Ok(matches!(ended, libc::CLD_EXITED | libc::CLD_KILLED | libc::CLD_DUMPED))
}

/// Reaps the child `pid` if it has ended.
pub(crate) fn try_wait(pid: i32) -> io::Result<Option<Reaped>> {
    use std::os::unix::process::ExitStatusExt;
    if !has_ended(pid)? {
        return Ok(None);
    }
    let mut status = 0;
    // SAFETY: both out-parameters live through the call.
    let (got, usage) = unsafe {
        let mut usage: libc::rusage = mem::zeroed();
        (check(libc::wait4(pid, &mut status, libc::WNOHANG, &mut usage))?, usage)
    };
    if got == 0 {
        return Ok(None);
    }
    let unit = if cfg!(any(target_os = "macos", target_os = "ios")) { 1 } else { 1024 };
    let peak_memory_bytes = u64::try_from(usage.ru_maxrss).unwrap_or(0).saturating_mul(unit);
    Ok(Some(Reaped { status: ExitStatus::from_raw(status), peak_memory_bytes }))
}

/// What this process has in memory now, in bytes: as much as a child copies at its fork, with a
/// little more, since the system counts in batches.
pub(crate) fn resident_bytes() -> u64 {
    const BATCH: u64 = 1 << 20;
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
    };
    resident().unwrap_or_else(peak_bytes).saturating_add(BATCH)
}

/// The most that this process ever had in memory, in bytes; for where there is no `/proc`.
fn peak_bytes() -> u64 {
    // SAFETY: the struct lives through the call, which cannot fail for RUSAGE_SELF.
    let usage = unsafe {
        let mut usage: libc::rusage = mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let unit = if cfg!(any(target_os = "macos", target_os = "ios")) { 1 } else { 1024 };
    u64::try_from(usage.ru_maxrss).unwrap_or(0).saturating_mul(unit)
}

/// Sends `signal` to a process group; false if it has no member left. 0 only asks.
pub(crate) fn signal_group(group: i32, signal: i32) -> io::Result<bool> {
    signal_to(-group, signal)
}

/// Sends `signal` to one process; false if it is gone.
pub(crate) fn signal_process(pid: i32, signal: i32) -> io::Result<bool> {
    signal_to(pid, signal)
}

fn signal_to(target: i32, signal: i32) -> io::Result<bool> {
    // -1 and 0 would mean "everybody" and "us".
    assert!(target != 0 && target != -1, "a signal needs a definite target");
    // SAFETY: kill takes numbers.
    match check(unsafe { libc::kill(target, signal) }) {
        Ok(_) => Ok(true),
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(false),
        Err(e) => Err(e),
    }
}

/// A descriptor that becomes readable when the process ends, where the system has such.
#[cfg(target_os = "linux")]
pub(crate) fn process_descriptor(pid: i32) -> Option<OwnedFd> {
    use std::os::fd::FromRawFd;
    // SAFETY: the call takes numbers; what it returns, if not negative, is a descriptor that
    // nobody else owns.
    unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        i32::try_from(fd).ok().filter(|fd| *fd >= 0).map(|fd| OwnedFd::from_raw_fd(fd))
    }
}

/// A descriptor that becomes readable when the process ends, where the system has such.
#[cfg(not(target_os = "linux"))]
pub(crate) fn process_descriptor(_pid: i32) -> Option<OwnedFd> {
    None
}

/// Waits until one of `descriptors` can be read or has ended, or `timeout` is over, or a signal
/// arrives; says which can be read.
pub(crate) fn poll(descriptors: &[BorrowedFd<'_>], timeout: Duration) -> io::Result<Vec<bool>> {
    let wanted =
        |fd: &BorrowedFd<'_>| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let mut list: Vec<libc::pollfd> = descriptors.iter().map(wanted).collect();
    // Rounded up, so that a wait of less than a millisecond is not a busy loop.
    let millis = i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
    // SAFETY: the pointer and length are those of a vector that lives through the call.
    match check(unsafe { libc::poll(list.as_mut_ptr(), list.len() as libc::nfds_t, millis) }) {
        Ok(_) => Ok(list.iter().map(|fd| fd.revents != 0).collect()),
        Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(vec![false; list.len()]),
        Err(e) => Err(e),
    }
}

/// Calls `handler` when `signal` arrives, if nothing but the system's default is set for it now;
/// says whether it was set. System calls that are under way are restarted.
///
/// The handler may only do what is safe in a signal handler.
pub(crate) fn catch(signal: i32, handler: extern "C" fn(i32)) -> io::Result<bool> {
    // SAFETY: the structs live through the calls; the handler has the signature that the system
    // calls (SA_SIGINFO is not set).
    unsafe {
        let mut now: libc::sigaction = mem::zeroed();
        check(libc::sigaction(signal, std::ptr::null(), &mut now))?;
        if now.sa_sigaction != libc::SIG_DFL {
            return Ok(false);
        }
        let mut new: libc::sigaction = mem::zeroed();
        new.sa_sigaction = handler as *const () as libc::sighandler_t;
        new.sa_flags = libc::SA_RESTART;
        check(libc::sigaction(signal, &new, std::ptr::null_mut()))?;
    }
    Ok(true)
}

/// Gives `signal` back to the system's default.
pub(crate) fn release(signal: i32) -> io::Result<()> {
    // SAFETY: the struct lives through the call; SIG_DFL is always a valid disposition.
    unsafe {
        let mut default: libc::sigaction = mem::zeroed();
        default.sa_sigaction = libc::SIG_DFL;
        check(libc::sigaction(signal, &default, std::ptr::null_mut())).map(drop)
    }
}

/// Sends `signal` to a process group from within a signal handler: no allocation, no error.
pub(crate) fn signal_group_in_handler(group: i32, signal: i32) {
    if group > 1 {
        // SAFETY: kill is async-signal-safe. errno, which it may change, is put back, since the
        // interrupted code may be about to read it.
        unsafe {
            let errno = errno();
            let before = *errno;
            libc::kill(-group, signal);
            *errno = before;
        }
    }
}

#[cfg(target_os = "linux")]
unsafe fn errno() -> *mut i32 {
    // SAFETY: always callable; the pointer is valid for this thread.
    unsafe { libc::__errno_location() }
}

#[cfg(not(target_os = "linux"))]
unsafe fn errno() -> *mut i32 {
    // SAFETY: always callable; the pointer is valid for this thread.
    unsafe { libc::__error() }
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
