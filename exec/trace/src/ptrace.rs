//! The system calls of a debugger (ptrace(2)), each in a function: a thread of ours that has seized a
//! process is told of each of its stops. With `sys`, the only unsafe code of this crate.
#![expect(unsafe_code, reason = "ptrace and waitpid have no safe form in std")]

use std::io;
use std::ptr;

use crate::filter::NATIVE;
use crate::sys::Notice;

/// What a task is stopped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It is gone.
    Ended,
    /// The filter wants it to be looked at.
    Held,
    /// A call begins, or has ended.
    Call,
    /// It has become a program.
    Program,
    /// It is about to end.
    Ending,
    /// It was stopped as a whole (SIGSTOP and its like), and stays so.
    Suspended,
    /// It is new, was interrupted by us, or made a task.
    Other,
    /// It is about to get this signal.
    Signal(i32),
}

/// How a task goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Go {
    /// To the next stop of the filter's.
    On,
    /// To the beginning or the end of the next call.
    ToCall,
    /// Nowhere: it stays suspended.
    Listen,
}

/// What a call is, and whether it begins or ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    /// It is about to be made.
    Begin(Notice),
    /// It gave this: a negative number is that of an error.
    End(i64),
}

const STOP_EVENT: i32 = 128;

/// Makes the calling thread the one that is told of the stops of a process and of all that it starts.
/// When we end, they are killed. The first stop comes at once.
pub(crate) fn seize(process: i32) -> io::Result<()> {
    let options = libc::PTRACE_O_TRACESECCOMP
        | libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK
        | libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACEEXEC
        | libc::PTRACE_O_TRACEEXIT
        | libc::PTRACE_O_TRACESYSGOOD
        | libc::PTRACE_O_EXITKILL;
    request(libc::PTRACE_SEIZE, process, 0, options as usize)?;
    request(libc::PTRACE_INTERRUPT, process, 0, 0)
}

/// Waits for a stop of any task that this thread has seized; none if there is none left.
pub(crate) fn wait() -> io::Result<Option<(i32, Stop)>> {
    let mut status = 0;
    let flags = libc::__WALL | libc::__WNOTHREAD;
    // SAFETY: room for one status is given.
    let task = match unsafe { libc::waitpid(-1, &mut status, flags) } {
        task if task > 0 => task,
        _ => {
            return match io::Error::last_os_error() {
                e if e.raw_os_error() == Some(libc::ECHILD) => Ok(None),
                e if e.kind() == io::ErrorKind::Interrupted => wait(),
                e => Err(e),
            };
        }
    };
    if !libc::WIFSTOPPED(status) {
        return Ok(Some((task, Stop::Ended)));
    }
    let (signal, event) = (libc::WSTOPSIG(status), status >> 16);
    let suspends = matches!(signal, libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU);
    let stop = match event {
        libc::PTRACE_EVENT_SECCOMP => Stop::Held,
        libc::PTRACE_EVENT_EXEC => Stop::Program,
        libc::PTRACE_EVENT_EXIT => Stop::Ending,
        STOP_EVENT if suspends => Stop::Suspended,
        0 if signal == libc::SIGTRAP | 0x80 => Stop::Call,
        0 => Stop::Signal(signal),
        _ => Stop::Other,
    };
    Ok(Some((task, stop)))
}

/// Lets a stopped task go on, with a signal or without (0). One that has been killed meanwhile is none
/// of our business.
pub(crate) fn go(task: i32, how: Go, signal: i32) -> io::Result<()> {
    let what = match how {
        Go::On => libc::PTRACE_CONT,
        Go::ToCall => libc::PTRACE_SYSCALL,
        Go::Listen => libc::PTRACE_LISTEN,
    };
    gone(request(what, task, 0, signal as usize))
}

/// Lets go of a stopped task for good.
pub(crate) fn release(task: i32) -> io::Result<()> {
    gone(request(libc::PTRACE_DETACH, task, 0, 0))
}

/// The call at which a task is stopped; none if it has been killed meanwhile. `began`: what is known of
/// which side it is, for kernels before 5.3 that do not say so.
pub(crate) fn call(task: i32, began: bool) -> io::Result<Option<Side>> {
    // struct ptrace_syscall_info: op, arch, instruction and stack pointer, then number and arguments, or
    // the value.
    const BYTES: usize = 96;
    const END: u8 = 2;
    let mut info = [0_u8; BYTES];
    match request(libc::PTRACE_GET_SYSCALL_INFO, task, BYTES, info.as_mut_ptr() as usize) {
        Ok(()) => {}
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) => return Ok(None),
        Err(e) if e.raw_os_error() == Some(libc::EIO) => return registers(task, began),
        Err(e) => return Err(e),
    }
    let long = |at: usize| u64::from_le_bytes(info[at..at + 8].try_into().expect("eight bytes"));
    if info[0] == END {
        return Ok(Some(Side::End(long(24) as i64)));
    }
    let arch = u32::from_le_bytes(info[4..8].try_into().expect("four bytes"));
    let mut args = [0; 6];
    args.iter_mut().zip(0..).for_each(|(arg, i)| *arg = long(32 + 8 * i));
    Ok(Some(Side::Begin(Notice { id: 0, thread: task, number: long(24) as i32, arch, args })))
}

/// The same from the registers.
#[cfg(target_arch = "x86_64")]
fn registers(task: i32, began: bool) -> io::Result<Option<Side>> {
    /// The code segment of programs of 64 bits.
    const WIDE: u64 = 0x33;
    // SAFETY: plain memory of which all bit patterns are valid.
    let mut all: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    match request(libc::PTRACE_GETREGS, task, 0, &raw mut all as usize) {
        Ok(()) => {}
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) => return Ok(None),
        Err(e) => return Err(e),
    }
    if !began {
        return Ok(Some(Side::End(all.rax as i64)));
    }
    let args = [all.rdi, all.rsi, all.rdx, all.r10, all.r8, all.r9];
    let arch = if all.cs == WIDE { NATIVE } else { 0 };
    Ok(Some(Side::Begin(Notice { id: 0, thread: task, number: all.orig_rax as i32, arch, args })))
}

/// The same from the registers: not written for this processor.
#[cfg(not(target_arch = "x86_64"))]
fn registers(_task: i32, _began: bool) -> io::Result<Option<Side>> {
    Err(io::ErrorKind::Unsupported.into())
}

fn gone(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        done => done,
    }
}

fn request(what: libc::c_uint, task: i32, at: usize, data: usize) -> io::Result<()> {
    let pointer = |number: usize| ptr::without_provenance_mut::<libc::c_void>(number);
    // SAFETY: the callers give numbers, or the address of memory that is as large as the kernel writes
    // and lives through the call.
    let done = unsafe { libc::ptrace(what, task, pointer(at), pointer(data)) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Kills a process.
pub(crate) fn kill(process: i32) {
    // SAFETY: sends a signal; one that is gone gets none.
    unsafe { libc::kill(process, libc::SIGKILL) };
}
