//! Which system calls are looked at, and what each of them does to files, in one word.
//!
//! The table is the whole of what the tracer can see: a call that is not in it cannot bring in a
//! file, a listing, a peer or chance that is not seen elsewhere. Calls on descriptors are not
//! needed, since the descriptor came from a call that is here. `io_uring` opens files without a
//! call, so programs are told that there is none; all fall back.

use crate::filter::When;
use crate::record::Fact;
use crate::sys::Notice;

/// A path in another process: its address, and what it is relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The descriptor of a folder, or `AT_FDCWD`.
    pub(crate) folder: i32,
    /// Where the path's bytes are; 0 where the call has none.
    pub(crate) path: u64,
}

/// What a process is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Open a file or folder, with these `O_…` flags.
    Open(Place, i32),
    /// The same, with the flags at this address.
    OpenHow(Place, u64),
    /// Look at what is at a path, or ask whether it may be used; the flag follows a last link.
    Examine(Place, bool),
    /// Ask where a link leads.
    ReadLink(Place),
    /// Become a program, with the words at this address.
    Execute(Place, u64),
    /// Move something; with the flag, two things change places.
    Rename(Place, Place, bool),
    /// Give a file a second name.
    Link(Place, Place),
    /// Remove a file, or an empty folder.
    Remove(Place),
    /// Make a folder, pipe, socket, device or symbolic link.
    Make(Place),
    /// Change the length of a file.
    Resize(Place),
    /// Change a file's mode, owner or times.
    Alter(Place),
    /// List the folder behind a descriptor.
    List(i32),
    /// Make a socket of a domain other than Unix.
    Socket(i32),
    /// Give a socket an address of our own: this many bytes at this address.
    Bind(u64, u64),
    /// Reach for another's address: this many bytes at this address.
    Connect(u64, u64),
    /// Take random bytes from the system.
    Entropy,
    /// Ask for a fact about the machine.
    Ask(Fact),
    /// Make a task whose namespaces are told at this address.
    Clone(u64),
    /// Do something after which paths mean something else, or that opens files unseen.
    Escape(&'static str),
    /// Run code of another architecture, whose calls are not known here.
    Foreign,
}

const MOUNTS: u32 = libc::CLONE_NEWNS as u32;
const NEW_ROOT: &str = "a process changed what its paths mean (mount, chroot or a mount namespace)";
const BY_HANDLE: &str = "a process opened a file by a handle instead of a path";

/// The calls that both architectures have.
const COMMON: [(libc::c_long, When); 51] = [
    (libc::SYS_openat, When::Always),
    (libc::SYS_openat2, When::Always),
    (libc::SYS_newfstatat, When::UnlessDescriptor { folder: 0, flags: 3 }),
    (libc::SYS_statx, When::UnlessDescriptor { folder: 0, flags: 2 }),
    (libc::SYS_faccessat, When::Always),
    (libc::SYS_faccessat2, When::UnlessDescriptor { folder: 0, flags: 3 }),
    (libc::SYS_readlinkat, When::Always),
    (libc::SYS_execve, When::Always),
    (libc::SYS_execveat, When::Always),
    (libc::SYS_renameat, When::Always),
    (libc::SYS_renameat2, When::Always),
    (libc::SYS_linkat, When::Always),
    (libc::SYS_unlinkat, When::Always),
    (libc::SYS_mkdirat, When::Always),
    (libc::SYS_mknodat, When::Always),
    (libc::SYS_symlinkat, When::Always),
    (libc::SYS_truncate, When::Always),
    (libc::SYS_fchmodat, When::Always),
    (libc::SYS_fchownat, When::UnlessDescriptor { folder: 0, flags: 4 }),
    // Without a path it is about the descriptor.
    (libc::SYS_utimensat, When::IfGiven(1)),
    (libc::SYS_statfs, When::Always),
    (libc::SYS_getxattr, When::Always),
    (libc::SYS_lgetxattr, When::Always),
    (libc::SYS_listxattr, When::Always),
    (libc::SYS_llistxattr, When::Always),
    (libc::SYS_setxattr, When::Always),
    (libc::SYS_lsetxattr, When::Always),
    (libc::SYS_chdir, When::Always),
    (libc::SYS_getdents64, When::Always),
    (libc::SYS_socket, When::UnlessIs(0, libc::AF_UNIX as u32)),
    (libc::SYS_bind, When::Always),
    (libc::SYS_connect, When::Always),
    (libc::SYS_sendto, When::IfGiven(4)),
    // Every program's memory allocator (glibc's) asks for a key of eight bytes, and does not wait for
    // it; it reaches no result.
    (libc::SYS_getrandom, When::UnlessBoth((1, 8), (2, libc::GRND_NONBLOCK))),
    (libc::SYS_sched_getaffinity, When::Always),
    (libc::SYS_uname, When::Always),
    (libc::SYS_sysinfo, When::Always),
    (libc::SYS_shmget, When::IfGiven(0)),
    (libc::SYS_msgget, When::IfGiven(0)),
    (libc::SYS_semget, When::IfGiven(0)),
    (libc::SYS_clone, When::IfAnyOf(0, MOUNTS)),
    (libc::SYS_clone3, When::Always),
    (libc::SYS_unshare, When::IfAnyOf(0, MOUNTS)),
    (libc::SYS_setns, When::Always),
    (libc::SYS_mount, When::Always),
    (libc::SYS_move_mount, When::Always),
    (libc::SYS_umount2, When::Always),
    (libc::SYS_pivot_root, When::Always),
    (libc::SYS_chroot, When::Always),
    (libc::SYS_open_by_handle_at, When::Always),
    (libc::SYS_io_uring_setup, When::Refused),
];

/// Older calls that only x86-64 has.
#[cfg(target_arch = "x86_64")]
const OLD: [(libc::c_long, When); 20] = [
    (libc::SYS_open, When::Always),
    (libc::SYS_creat, When::Always),
    (libc::SYS_stat, When::Always),
    (libc::SYS_lstat, When::Always),
    (libc::SYS_access, When::Always),
    (libc::SYS_readlink, When::Always),
    (libc::SYS_rename, When::Always),
    (libc::SYS_link, When::Always),
    (libc::SYS_unlink, When::Always),
    (libc::SYS_rmdir, When::Always),
    (libc::SYS_mkdir, When::Always),
    (libc::SYS_mknod, When::Always),
    (libc::SYS_symlink, When::Always),
    (libc::SYS_chmod, When::Always),
    (libc::SYS_chown, When::Always),
    (libc::SYS_lchown, When::Always),
    (libc::SYS_utime, When::Always),
    (libc::SYS_utimes, When::Always),
    (libc::SYS_futimesat, When::IfGiven(1)),
    (libc::SYS_getdents, When::Always),
];
/// Older calls that only x86-64 has.
#[cfg(not(target_arch = "x86_64"))]
const OLD: [(libc::c_long, When); 0] = [];

/// All calls that are looked at, for the filter.
pub(crate) fn rules() -> Vec<(u32, When)> {
    let all = COMMON.iter().chain(&OLD);
    all.map(|(number, when)| (u32::try_from(*number).expect("it is small"), *when)).collect()
}

/// Whether the call would be held by these rules, which are sorted by number, alone.
pub(crate) fn holds(rules: &[(u32, When)], notice: &Notice) -> bool {
    // What another architecture means by a number is not in the table.
    let foreign = notice.arch != crate::filter::NATIVE;
    let found = rules.binary_search_by_key(&(notice.number as u32), |(number, _)| *number);
    foreign || found.is_ok_and(|at| rules[at].1.holds(&notice.args))
}

/// What the call of a notice is about to do; none for a number that is not in the table.
pub(crate) fn action(notice: &Notice) -> Option<Action> {
    if notice.arch != crate::filter::NATIVE {
        return Some(Action::Foreign);
    }
    let args = notice.args;
    let int = |i: usize| args[i] as i32;
    let at = |folder: usize, path: usize| Place { folder: int(folder), path: args[path] };
    let here = |path: usize| Place { folder: libc::AT_FDCWD, path: args[path] };
    let follows = |flags: usize| int(flags) & libc::AT_SYMLINK_NOFOLLOW == 0;
    let number = libc::c_long::from(notice.number);
    #[cfg(target_arch = "x86_64")]
    if let Some(old) = old(number, args) {
        return Some(old);
    }
    Some(match number {
        libc::SYS_openat => Action::Open(at(0, 1), int(2)),
        libc::SYS_openat2 => Action::OpenHow(at(0, 1), args[2]),
        libc::SYS_newfstatat => Action::Examine(at(0, 1), follows(3)),
        libc::SYS_statx => Action::Examine(at(0, 1), follows(2)),
        libc::SYS_faccessat => Action::Examine(at(0, 1), true),
        libc::SYS_faccessat2 => Action::Examine(at(0, 1), follows(3)),
        libc::SYS_statfs | libc::SYS_getxattr | libc::SYS_listxattr | libc::SYS_chdir => {
            Action::Examine(here(0), true)
        }
        libc::SYS_lgetxattr | libc::SYS_llistxattr => Action::Examine(here(0), false),
        libc::SYS_readlinkat => Action::ReadLink(at(0, 1)),
        libc::SYS_execve => Action::Execute(here(0), args[1]),
        libc::SYS_execveat => Action::Execute(at(0, 1), args[2]),
        libc::SYS_renameat => Action::Rename(at(0, 1), at(2, 3), false),
        libc::SYS_renameat2 => {
            let exchange = args[4] as u32 & libc::RENAME_EXCHANGE != 0;
            Action::Rename(at(0, 1), at(2, 3), exchange)
        }
        libc::SYS_linkat => Action::Link(at(0, 1), at(2, 3)),
        libc::SYS_unlinkat => Action::Remove(at(0, 1)),
        libc::SYS_mkdirat | libc::SYS_mknodat => Action::Make(at(0, 1)),
        libc::SYS_symlinkat => Action::Make(at(1, 2)),
        libc::SYS_truncate => Action::Resize(here(0)),
        libc::SYS_fchmodat | libc::SYS_fchownat | libc::SYS_utimensat => Action::Alter(at(0, 1)),
        libc::SYS_setxattr | libc::SYS_lsetxattr => Action::Alter(here(0)),
        libc::SYS_getdents64 => Action::List(int(0)),
        libc::SYS_socket => Action::Socket(int(0)),
        libc::SYS_bind => Action::Bind(args[1], args[2]),
        libc::SYS_connect => Action::Connect(args[1], args[2]),
        libc::SYS_sendto => Action::Connect(args[4], args[5]),
        libc::SYS_getrandom => Action::Entropy,
        libc::SYS_sched_getaffinity => Action::Ask(Fact::Affinity),
        libc::SYS_uname => Action::Ask(Fact::Name),
        libc::SYS_sysinfo => Action::Ask(Fact::Memory),
        libc::SYS_shmget | libc::SYS_msgget | libc::SYS_semget => Action::Ask(Fact::SharedMemory),
        libc::SYS_clone3 => Action::Clone(args[0]),
        libc::SYS_clone
        | libc::SYS_unshare
        | libc::SYS_setns
        | libc::SYS_mount
        | libc::SYS_move_mount
        | libc::SYS_umount2
        | libc::SYS_pivot_root
        | libc::SYS_chroot => Action::Escape(NEW_ROOT),
        libc::SYS_open_by_handle_at => Action::Escape(BY_HANDLE),
        _ => return None,
    })
}

/// Whether flags of `clone3` give the new task mounts of its own.
pub(crate) fn clone_escapes(flags: u64) -> Option<&'static str> {
    (flags & u64::from(MOUNTS) != 0).then_some(NEW_ROOT)
}

#[cfg(target_arch = "x86_64")]
fn old(number: libc::c_long, args: [u64; 6]) -> Option<Action> {
    let here = |path: usize| Place { folder: libc::AT_FDCWD, path: args[path] };
    Some(match number {
        libc::SYS_open => Action::Open(here(0), args[1] as i32),
        libc::SYS_creat => Action::Open(here(0), libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC),
        libc::SYS_stat | libc::SYS_access => Action::Examine(here(0), true),
        libc::SYS_lstat => Action::Examine(here(0), false),
        libc::SYS_readlink => Action::ReadLink(here(0)),
        libc::SYS_rename => Action::Rename(here(0), here(1), false),
        libc::SYS_link => Action::Link(here(0), here(1)),
        libc::SYS_unlink | libc::SYS_rmdir => Action::Remove(here(0)),
        libc::SYS_mkdir | libc::SYS_mknod => Action::Make(here(0)),
        libc::SYS_symlink => Action::Make(here(1)),
        libc::SYS_chmod | libc::SYS_chown | libc::SYS_lchown => Action::Alter(here(0)),
        libc::SYS_utime | libc::SYS_utimes => Action::Alter(here(0)),
        libc::SYS_futimesat => Action::Alter(Place { folder: args[0] as i32, path: args[1] }),
        libc::SYS_getdents => Action::List(args[0] as i32),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_that_is_held_is_understood() {
        let rules = rules();
        for (number, when) in &rules {
            let notice = Notice {
                id: 0,
                thread: 1,
                number: *number as i32,
                arch: crate::filter::NATIVE,
                args: [7; 6],
            };
            let understood = action(&notice).is_some();
            assert_eq!(understood, *when != When::Refused, "system call {number}");
        }
        let mut numbers: Vec<u32> = rules.iter().map(|(number, _)| *number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), rules.len(), "a call has two rules");
    }
}
