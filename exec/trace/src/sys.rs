//! The system calls that the standard library lacks. The only unsafe code of this crate.
//!
//! Each function wraps one call and says why it is sound. [`become_watched`] runs between fork
//! and exec, so it neither allocates nor takes a lock.
#![expect(
    unsafe_code,
    reason = "seccomp, its ioctls and memory of other processes have no safe form in std"
)]

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// One system call that waits for an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notice {
    /// Which notice; goes back in the answer.
    pub(crate) id: u64,
    /// The thread that made the call, as its own number in our process namespace.
    pub(crate) thread: i32,
    /// The number of the call.
    pub(crate) number: i32,
    /// The architecture whose numbers are meant (`AUDIT_ARCH_…`).
    pub(crate) arch: u32,
    /// Its arguments.
    pub(crate) args: [u64; 6],
}

/// Makes `command` install `filter` just before it becomes the program, and send the descriptor
/// of its listener through `socket`. Must be the last thing that is done to the command: what a
/// later hook calls may be held up by the filter.
pub(crate) fn watch(command: &mut Command, filter: Vec<libc::sock_filter>, socket: RawFd) {
    let hook = move || become_watched(&filter, socket);
    // SAFETY: the hook calls only prctl, seccomp and sendmsg, which are async-signal-safe, on
    // memory that was allocated before the fork; it allocates nothing and takes no lock.
    unsafe { command.pre_exec(hook) };
}

fn become_watched(filter: &[libc::sock_filter], socket: RawFd) -> io::Result<()> {
    let length = u16::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len: length, filter: filter.as_ptr().cast_mut() };
    // SAFETY: PR_SET_NO_NEW_PRIVS takes numbers; the program and the instructions that it points
    // to live through the call, and the kernel only reads them.
    let listener = unsafe {
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        // A notice that the watcher has taken is not interrupted by signals that do not kill
        // (kernel 5.19); before that, an interrupted call is made and noticed again.
        let strong =
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
        match install(strong, &program) {
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => {
                install(libc::SECCOMP_FILTER_FLAG_NEW_LISTENER, &program)?
            }
            other => other?,
        }
    };
    send_descriptor(socket, listener)?;
    // SAFETY: the descriptor was made above and is not used after this. The program must not
    // inherit it: it could answer its own notices.
    unsafe { libc::close(listener) };
    Ok(())
}

/// Makes `command`, just before it becomes the program, say its number through `socket`, wait for a
/// byte in return, and install `filter`, if there is one. Must be the last thing that is done to it.
pub(crate) fn follow(command: &mut Command, filter: Option<Vec<libc::sock_filter>>, socket: RawFd) {
    let hook = move || become_followed(filter.as_deref(), socket);
    // SAFETY: the hook calls only getpid, write, read, prctl and seccomp, which are async-signal-safe,
    // on memory that was allocated before the fork; it allocates nothing and takes no lock.
    unsafe { command.pre_exec(hook) };
}

fn become_followed(filter: Option<&[libc::sock_filter]>, socket: RawFd) -> io::Result<()> {
    // SAFETY: the number and the byte live through the calls, the filter as `install` wants it.
    unsafe {
        let number = libc::getpid().to_le_bytes();
        let mut byte = 0_u8;
        check(libc::write(socket, number.as_ptr().cast(), number.len()) as i32)?;
        loop {
            match check(libc::read(socket, (&raw mut byte).cast(), 1) as i32) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // Who was to watch is not there.
                Ok(0) => return Err(io::Error::from_raw_os_error(libc::ESRCH)),
                read => {
                    read?;
                    break;
                }
            }
        }
        let Some(filter) = filter else { return Ok(()) };
        let length = u16::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let program = libc::sock_fprog { len: length, filter: filter.as_ptr().cast_mut() };
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        install(0, &program).map(drop)
    }
}

/// # Safety
///
/// `program` must point to a valid filter.
unsafe fn install(flags: libc::c_ulong, program: &libc::sock_fprog) -> io::Result<RawFd> {
    // SAFETY: as the caller promises.
    let got =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, program) };
    if got < 0 { Err(io::Error::last_os_error()) } else { Ok(got as RawFd) }
}

/// A control message that holds one descriptor, aligned as the kernel wants it.
#[repr(C, align(8))]
struct Control([u8; 32]);

fn send_descriptor(socket: RawFd, descriptor: RawFd) -> io::Result<()> {
    let mut byte = 0_u8;
    let mut control = Control([0; 32]);
    let mut part = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    // SAFETY: all that the message points to lives through the call; the control buffer has
    // room for one header and one descriptor (CMSG_SPACE(4) is 24).
    unsafe {
        let mut message: libc::msghdr = mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = libc::CMSG_SPACE(4) as _;
        let header = libc::CMSG_FIRSTHDR(&message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(4) as _;
        libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(descriptor);
        check(libc::sendmsg(socket, &message, libc::MSG_NOSIGNAL) as i32).map(drop)
    }
}

/// Waits for the descriptor that [`watch`] sends; none if the other end closed without one.
pub(crate) fn receive_descriptor(socket: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    let mut byte = 0_u8;
    let mut control = Control([0; 32]);
    let mut part = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    // SAFETY: all that the message points to lives through the call; a header is looked at only
    // if the kernel says that there is one, and a descriptor that it holds is ours alone.
    unsafe {
        let mut message: libc::msghdr = mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = control.0.len() as _;
        let flags = libc::MSG_CMSG_CLOEXEC;
        loop {
            match check(libc::recvmsg(socket.as_raw_fd(), &mut message, flags) as i32) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
                Ok(_) => break,
            }
        }
        let header = libc::CMSG_FIRSTHDR(&message);
        if header.is_null() || (*header).cmsg_type != libc::SCM_RIGHTS {
            return Ok(None);
        }
        let descriptor = libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned();
        Ok(Some(OwnedFd::from_raw_fd(descriptor)))
    }
}

/// What a wait for notices ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// A notice can be taken.
    Notice,
    /// No process is watched any more.
    Ended,
    /// The other descriptor was closed or written to: stop.
    Stopped,
}

/// Waits until `listener` has a notice or nobody left to watch, or `stop` becomes readable.
pub(crate) fn wait(listener: BorrowedFd<'_>, stop: BorrowedFd<'_>) -> io::Result<Woken> {
    let one =
        |fd: BorrowedFd<'_>| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let mut both = [one(listener), one(stop)];
    loop {
        // SAFETY: the pointer and length are those of an array that lives through the call.
        match check(unsafe { libc::poll(both.as_mut_ptr(), 2, -1) }) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
            Ok(_) => {}
        }
        if both[0].revents & libc::POLLIN != 0 {
            return Ok(Woken::Notice);
        }
        if both[0].revents != 0 {
            return Ok(Woken::Ended);
        }
        if both[1].revents != 0 {
            return Ok(Woken::Stopped);
        }
    }
}

/// Lets the kernel hand over to the watcher at once (6.6); refused by others, which is fine.
pub(crate) fn wake_synchronously(listener: BorrowedFd<'_>) {
    const SYNC_WAKE_UP: u64 = 1;
    // SAFETY: the request takes a number.
    unsafe {
        libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS as _, SYNC_WAKE_UP)
    };
}

/// Takes the next notice; none if the call that it was about has been given up.
pub(crate) fn receive(listener: BorrowedFd<'_>) -> io::Result<Option<Notice>> {
    // SAFETY: the struct is zeroed, as the kernel demands, lives through the call, and is as
    // large as the number of the request says; all bit patterns of it are valid.
    let notice = unsafe {
        let mut notice: libc::seccomp_notif = mem::zeroed();
        match check(libc::ioctl(
            listener.as_raw_fd(),
            libc::SECCOMP_IOCTL_NOTIF_RECV as _,
            &mut notice,
        )) {
            Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::EINTR)) => {
                return Ok(None);
            }
            Err(e) => return Err(e),
            Ok(_) => notice,
        }
    };
    Ok(Some(Notice {
        id: notice.id,
        thread: notice.pid as i32,
        number: notice.data.nr,
        arch: notice.data.arch,
        args: notice.data.args,
    }))
}

/// Whether the call that a notice is about still waits: only then was what was read of its
/// process really of its process.
pub(crate) fn is_waiting(listener: BorrowedFd<'_>, id: u64) -> bool {
    // SAFETY: the number lives through the call and is only read.
    unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID as _, &id) == 0 }
}

/// Lets a call go on as if nobody had watched.
pub(crate) fn let_go(listener: BorrowedFd<'_>, id: u64) -> io::Result<()> {
    let flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
    let mut answer = libc::seccomp_notif_resp { id, val: 0, error: 0, flags };
    // SAFETY: the struct lives through the call and is as large as the request says.
    let sent = unsafe {
        libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND as _, &mut answer)
    };
    gone(check(sent))
}

/// Answers a call instead of the kernel: with a value, or the negative number of an error.
pub(crate) fn answer(listener: BorrowedFd<'_>, id: u64, value: i64) -> io::Result<()> {
    let (val, error) = if value < 0 { (0, value as i32) } else { (value, 0) };
    let mut answer = libc::seccomp_notif_resp { id, val, error, flags: 0 };
    // SAFETY: the struct lives through the call and is as large as the request says.
    let sent = unsafe {
        libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND as _, &mut answer)
    };
    gone(check(sent))
}

/// Answers a call with a descriptor of a file of ours, which the process gets (Linux 5.14).
pub(crate) fn answer_with_file(
    listener: BorrowedFd<'_>,
    id: u64,
    file: BorrowedFd<'_>,
    closes_at_exec: bool,
) -> io::Result<()> {
    let mut answer = libc::seccomp_notif_addfd {
        id,
        flags: libc::SECCOMP_ADDFD_FLAG_SEND as u32,
        srcfd: file.as_raw_fd() as u32,
        newfd: 0,
        newfd_flags: if closes_at_exec { libc::O_CLOEXEC as u32 } else { 0 },
    };
    // SAFETY: the struct lives through the call and is as large as the request says.
    let sent = unsafe {
        libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ADDFD as _, &mut answer)
    };
    gone(check(sent))
}

/// The process was killed, or interrupted and will come again.
fn gone(sent: io::Result<i32>) -> io::Result<()> {
    match sent {
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(()),
        other => other.map(drop),
    }
}

/// The clock that programs wait by, in nanoseconds.
pub(crate) fn monotonic() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: room for one time is given; this clock is on every machine.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Writes all of `bytes` into memory that a process may write to itself.
pub(crate) fn write_memory(thread: i32, address: u64, bytes: &[u8]) -> io::Result<()> {
    let local = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: bytes.len() };
    // SAFETY: the kernel only reads the bytes; the other address is one of another process and
    // is checked by the kernel.
    let put = unsafe { libc::process_vm_writev(thread, &local, 1, &remote, 1, 0) };
    match put {
        put if put < 0 => Err(io::Error::last_os_error()),
        put if put as usize == bytes.len() => Ok(()),
        _ => Err(io::Error::from_raw_os_error(libc::EFAULT)),
    }
}

/// Reads memory of a process, at most `to.len()` bytes from `address`; says how many came.
pub(crate) fn read_memory(thread: i32, address: u64, to: &mut [u8]) -> io::Result<usize> {
    let local = libc::iovec { iov_base: to.as_mut_ptr().cast(), iov_len: to.len() };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: to.len() };
    // SAFETY: the kernel writes at most `to.len()` bytes to `to`; the other address is one of
    // another process and is checked by the kernel.
    let got = unsafe { libc::process_vm_readv(thread, &local, 1, &remote, 1, 0) };
    if got < 0 { Err(io::Error::last_os_error()) } else { Ok(got as usize) }
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
