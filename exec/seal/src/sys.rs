//! The system calls of the box, each in a function that neither allocates nor locks: they run
//! between fork and exec. The only unsafe code of this crate.
#![allow(unsafe_code, reason = "namespaces, mounts and capabilities have no safe form in std")]

use std::ffi::CStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;

/// A loop that waits for ever ends with the process itself.
const ALL: i32 = -1;

/// Runs `hook` in the child just before it becomes the program, after the hooks that are there.
pub(crate) fn before_exec(
    command: &mut Command,
    hook: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
) {
    // SAFETY: the hook calls only functions of this module, which make system calls and touch
    // memory that was laid out before.
    unsafe { command.pre_exec(hook) };
}

fn check(returned: libc::c_long) -> io::Result<libc::c_long> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}

fn done(returned: i32) -> io::Result<()> {
    check(returned.into()).map(drop)
}

/// Our effective user and group.
pub(crate) fn ids() -> (u32, u32) {
    // SAFETY: cannot fail and touches nothing.
    unsafe { (libc::geteuid(), libc::getegid()) }
}

/// Namespaces of our own. Processes that are started from now on are in the new process namespace.
pub(crate) fn unshare() -> io::Result<()> {
    let all = libc::CLONE_NEWUSER
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP;
    // SAFETY: changes only this process, which has one thread after fork.
    done(unsafe { libc::unshare(all) })
}

/// Writes a file in one call.
pub(crate) fn write_file(path: &CStr, bytes: &[u8]) -> io::Result<()> {
    // SAFETY: the path ends with NUL, the bytes live through the call.
    unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        done(fd)?;
        let written = check(libc::write(fd, bytes.as_ptr().cast(), bytes.len()) as libc::c_long);
        libc::close(fd);
        written.map(drop)
    }
}

/// Makes an empty file.
pub(crate) fn touch(path: &CStr) -> io::Result<()> {
    // SAFETY: the path ends with NUL.
    unsafe {
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
        let fd = libc::open(path.as_ptr(), flags, 0o644);
        done(fd)?;
        libc::close(fd);
    }
    Ok(())
}

pub(crate) fn make_folder(path: &CStr, mode: u32) -> io::Result<()> {
    // SAFETY: the path ends with NUL.
    done(unsafe { libc::mkdir(path.as_ptr(), mode) })
}

pub(crate) fn link(target: &CStr, path: &CStr) -> io::Result<()> {
    // SAFETY: both end with NUL.
    done(unsafe { libc::symlink(target.as_ptr(), path.as_ptr()) })
}

pub(crate) fn remove(file: &CStr) -> io::Result<()> {
    // SAFETY: the path ends with NUL.
    done(unsafe { libc::unlink(file.as_ptr()) })
}

/// Whether a folder of few names lists one name before another.
pub(crate) fn lists_before(folder: &CStr, one: &CStr, other: &CStr) -> io::Result<bool> {
    let mut room = [0_u8; 1024];
    // SAFETY: the path ends with NUL; the kernel writes no more than there is room.
    let len = unsafe {
        let fd = libc::open(folder.as_ptr(), libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC);
        done(fd)?;
        let len = check(libc::syscall(libc::SYS_getdents64, fd, room.as_mut_ptr(), room.len()));
        libc::close(fd);
        len? as usize
    };
    // Names are told apart with their end.
    let at = |name: &CStr| {
        let name = name.to_bytes_with_nul();
        room[..len].windows(name.len()).position(|window| window == name)
    };
    Ok(at(one) < at(other))
}

pub(crate) fn enter(folder: &CStr) -> io::Result<()> {
    // SAFETY: the path ends with NUL.
    done(unsafe { libc::chdir(folder.as_ptr()) })
}

pub(crate) fn mount(
    source: &CStr,
    target: &CStr,
    kind: Option<&CStr>,
    flags: libc::c_ulong,
    options: Option<&CStr>,
) -> io::Result<()> {
    let pointer = |text: Option<&CStr>| text.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: all texts end with NUL and live through the call.
    done(unsafe {
        libc::mount(source.as_ptr(), target.as_ptr(), pointer(kind), flags, pointer(options).cast())
    })
}

/// Makes the folder that we are in our root, and lets go of the old one.
pub(crate) fn pivot() -> io::Result<()> {
    let here = c".".as_ptr();
    // SAFETY: the texts are static. The old root comes to lie over the new one (pivot_root(2),
    // "pivot_root(".", ".")") and is taken away from there.
    unsafe {
        check(libc::syscall(libc::SYS_pivot_root, here, here))?;
        done(libc::umount2(here, libc::MNT_DETACH))
    }
}

/// Brings up the loopback of our network.
pub(crate) fn loopback() -> io::Result<()> {
    // SAFETY: the struct is plain memory of which all bit patterns are valid; it lives through
    // both calls.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        done(socket)?;
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l' as libc::c_char;
        request.ifr_name[1] = b'o' as libc::c_char;
        let mut result = done(libc::ioctl(socket, libc::SIOCGIFFLAGS as _, &mut request));
        if result.is_ok() {
            request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short;
            result = done(libc::ioctl(socket, libc::SIOCSIFFLAGS as _, &request));
        }
        libc::close(socket);
        result
    }
}

pub(crate) fn set_host_name(name: &[u8]) -> io::Result<()> {
    // SAFETY: the bytes live through the call.
    done(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) })
}

/// The two sides of a fork.
pub(crate) enum Fork {
    Parent(i32),
    Child,
}

/// Forks without the C library, whose hooks may take locks.
pub(crate) fn fork() -> io::Result<Fork> {
    // SAFETY: without CLONE_VM this is fork(2): the child has its own copy of everything, and goes
    // on to make system calls only.
    match check(unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) })? {
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(pid as i32)),
    }
}

/// Both ends of a pipe: to read, to write. They close at exec.
pub(crate) fn pipe() -> io::Result<[i32; 2]> {
    let mut ends = [0; 2];
    // SAFETY: room for two descriptors is given.
    done(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) })?;
    Ok(ends)
}

pub(crate) fn close(descriptor: i32) {
    // SAFETY: closes a descriptor that is ours; there is nothing to do about an error.
    unsafe { libc::close(descriptor) };
}

/// Lets go of the streams that the command has, so that they end when it ends; and of whatever its
/// parent waits on to learn whether it could be started.
pub(crate) fn close_all_but(kept: [i32; 2]) {
    let (low, high) = (kept[0].min(kept[1]) as u32, kept[0].max(kept[1]) as u32);
    let close = |from: u32, to: u32| {
        if from <= to {
            // SAFETY: what is closed is used by nobody in this process any more. An old kernel
            // refuses, and then pipes end when this process does.
            unsafe { libc::syscall(libc::SYS_close_range, from, to, 0) };
        }
    };
    if low > 0 {
        close(0, low - 1);
    }
    if high > low {
        close(low + 1, high - 1);
    }
    close(high + 1, u32::MAX);
}

/// Lets no descriptor but 0, 1 and 2 through exec.
pub(crate) fn close_others_at_exec() -> io::Result<()> {
    // SAFETY: only marks descriptors.
    check(unsafe {
        libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC)
    })
    .map(drop)
}

/// Dies when the parent dies. `alive`: the reading end of a pipe that only the parent holds open.
pub(crate) fn die_with_parent(alive: i32) -> io::Result<()> {
    // SAFETY: prctl changes only this process; poll is given one descriptor.
    unsafe {
        done(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0))?;
        let mut poll = libc::pollfd { fd: alive, events: 0, revents: 0 };
        if libc::poll(&mut poll, 1, 0) > 0 {
            libc::_exit(1);
        }
    }
    Ok(())
}

/// Dies when the process `parent` dies, which started us.
pub(crate) fn die_with(parent: u32) -> io::Result<()> {
    // SAFETY: both change or read numbers of this process only.
    unsafe {
        done(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0))?;
        if libc::getppid() as u32 != parent {
            libc::_exit(1);
        }
    }
    Ok(())
}

/// Whether only privileged processes may look into the memory of this one. A process that is kept
/// private leaves no core either.
pub(crate) fn keep_memory_private(private: bool) -> io::Result<()> {
    let dumpable = libc::c_ulong::from(!private);
    // SAFETY: takes numbers and changes only this process.
    done(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, dumpable, 0, 0, 0) })
}

/// Signals that ask to end are for the command; who waits for it stays.
pub(crate) fn ignore_requests() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT, libc::SIGPIPE] {
        // SAFETY: replaces whatever handler was inherited by none.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Waits for `main`, and for whatever else becomes our child meanwhile.
pub(crate) fn wait_for(main: i32) -> i32 {
    loop {
        let mut status = 0;
        // SAFETY: room for one status is given.
        let ended = unsafe { libc::waitpid(ALL, &mut status, 0) };
        if ended == main {
            return status;
        }
        if ended < 0 && io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            return libc::SIGKILL;
        }
    }
}

/// Tells a status through a pipe.
pub(crate) fn tell(pipe: i32, status: i32) {
    let bytes = status.to_ne_bytes();
    // SAFETY: the bytes live through the call; if nobody listens there is nobody to tell.
    unsafe { libc::write(pipe, bytes.as_ptr().cast(), bytes.len()) };
}

/// What was told; none if the other end was closed before.
pub(crate) fn told(pipe: i32) -> Option<i32> {
    let mut bytes = [0; 4];
    // SAFETY: room for four bytes is given.
    let read = unsafe { libc::read(pipe, bytes.as_mut_ptr().cast(), bytes.len()) };
    (read == 4).then(|| i32::from_ne_bytes(bytes))
}

pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: ends the process at once, without hooks.
    unsafe { libc::_exit(code) }
}

/// Ends as a process with this wait status has ended.
pub(crate) fn end_like(status: i32) -> ! {
    if libc::WIFEXITED(status) {
        exit(libc::WEXITSTATUS(status));
    }
    let signal = libc::WTERMSIG(status);
    // SAFETY: the signal is let through and sent to ourselves; the set is plain memory.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &set, ptr::null_mut());
        libc::kill(libc::getpid(), signal);
    }
    exit(128 + signal)
}

/// Gives up every capability, and every way to get one.
pub(crate) fn drop_privileges() -> io::Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Sets {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    // linux/capability.h, linux/securebits.h.
    const VERSION_3: u32 = 0x2008_0522;
    const NO_ROOT_AND_LOCKED: libc::c_ulong = 0b1110_1111;
    // SAFETY: prctl takes numbers; the structs are laid out as capset(2) says and live through it.
    unsafe {
        for capability in 0..64 {
            // EINVAL: the kernel knows no more.
            if libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) < 0 {
                break;
            }
        }
        done(libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))?;
        done(libc::prctl(libc::PR_SET_SECUREBITS, NO_ROOT_AND_LOCKED, 0, 0, 0))?;
        done(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        let header = Header { version: VERSION_3, pid: 0 };
        let none = [Sets { effective: 0, permitted: 0, inheritable: 0 }; 2];
        check(libc::syscall(libc::SYS_capset, &header, none.as_ptr())).map(drop)
    }
}

/// Lets the kernel ask `filter` at each system call from now on. For who cannot gain privileges.
pub(crate) fn filter(filter: &[libc::sock_filter]) -> io::Result<()> {
    let len = u16::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len, filter: filter.as_ptr().cast_mut() };
    // SAFETY: the program and its instructions live through the call, and are only read.
    check(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &program) })
        .map(drop)
}

/// An extended attribute of a file; none if it has none of that name, or it is longer than `room`.
pub(crate) fn attribute<'a>(path: &CStr, name: &CStr, room: &'a mut [u8]) -> Option<&'a [u8]> {
    // SAFETY: both texts end with NUL, the room is as long as said.
    let len = unsafe {
        libc::lgetxattr(path.as_ptr(), name.as_ptr(), room.as_mut_ptr().cast(), room.len())
    };
    room.get(..usize::try_from(len).ok()?)
}
