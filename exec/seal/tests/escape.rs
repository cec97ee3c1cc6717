//! Whether anything gets out of the box, or anything else into it.
//!
//! Each attempt is harmless where it should succeed: it writes what is there already.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::Command;

use common::{Bench, given, inside, passed};
use lab_seal::{Seal, probe};

#[test]
fn no_file_of_the_machine_can_be_read() {
    let Some(bench) = Bench::new() else { return };
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().canonicalize().unwrap().join("secret");
    fs::write(&secret, "secret").unwrap();
    // A link in the root leads to what is in the root.
    std::os::unix::fs::symlink(&secret, bench.root().join("link")).unwrap();
    let script = "\
        s=$SECRET; up=../../../../../../../../..; \
        for p in $s /link $up$s /proc/self/root$s /proc/self/root/$up$s /proc/[0-9]*/root$s \
            /proc/[0-9]*/cwd/$up$s /proc/1/root$s /proc/1/cwd/$up$s /proc/self/fd/*$s /dev/fd/*$s \
            /dev/../..$s; \
        do cat $p 2>/dev/null && echo; done; cd /; cd ..; cat .$s 2>/dev/null; true";
    let mut command = bench.command("sh", &["-c", script]);
    let output = command.env("SECRET", &secret).output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}

#[test]
fn it_has_no_privileges_and_cannot_get_any() {
    let Some(bench) = Bench::new() else { return };
    let text = bench.says("grep -E 'Cap|NoNew' /proc/self/status");
    assert_eq!(text.lines().count(), 6);
    for line in text.lines() {
        let value = line.split_whitespace().nth(1).unwrap();
        let expected = if line.starts_with("NoNew") { "1" } else { "0000000000000000" };
        assert_eq!(value, expected, "{line}");
    }
    for refused in [
        "mount -t tmpfs none /tmp",
        "hostname other",
        "cat /closed",
        "unshare --user true",
        "unshare --user --map-root-user --mount true",
        "unshare --mount true",
        "unshare --pid --fork true",
    ] {
        let bench = bench.afresh();
        let closed = bench.root().join("closed");
        fs::write(&closed, "x").unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
        assert!(!bench.shell(refused).status.success(), "{refused}");
    }
    // Even who sees itself as root has none, and gains none by a program of root's.
    let again = bench.afresh();
    let program = again.root().join("mine");
    fs::copy(again.root().join("bin/grep"), &program)
        .or_else(|_| fs::copy(again.root().join("usr/bin/grep"), &program))
        .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o6755)).unwrap();
    let root = Seal { user: (0, 0), ..again.seal() };
    let text = again.says_in(&root, "id -u; /mine -h CapEff /proc/self/status");
    assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["0", "CapEff:", "0000000000000000"]);
}

/// Programs of other users stay what they are: only root can make such a file to try it.
#[test]
fn a_setuid_program_gives_nothing() {
    let Some(bench) = Bench::new() else { return };
    let program = bench.root().join("other");
    let id = ["bin/id", "usr/bin/id"].map(|path| bench.root().join(path));
    fs::copy(id.iter().find(|path| path.exists()).unwrap(), &program).unwrap();
    if std::os::unix::fs::chown(&program, Some(1), Some(1)).is_err() {
        return common::unless("only root can give a file away");
    }
    fs::set_permissions(&program, fs::Permissions::from_mode(0o6755)).unwrap();
    assert_eq!(bench.says("/other -u; /other -g"), "4242\n4343\n");
}

/// If we are root, the command owns what root owns.
#[test]
fn what_is_for_all_of_the_machine_cannot_be_changed() {
    let Some(bench) = Bench::new() else { return };
    let script = "\
        for f in /proc/sys/vm/stat_interval /proc/sys/kernel/core_pattern; do \
            v=$(cat $f); (echo \"$v\" > $f) 2>/dev/null && echo wrote $f; \
        done; \
        (: > /proc/sysrq-trigger) 2>/dev/null && echo opened sysrq-trigger; \
        (: > /proc/self/oom_score_adj) 2>/dev/null && echo opened oom_score_adj; \
        for d in null zero full random urandom; do \
            chmod 666 /dev/$d 2>/dev/null && echo changed $d; \
            rm /dev/$d 2>/dev/null && echo removed $d; \
        done; true";
    assert_eq!(bench.says(script), "");
}

#[test]
fn it_sees_no_process_but_its_own() {
    let Some(bench) = Bench::new() else { return };
    let text = bench.says("ls /proc | grep -E '^[0-9]+$'; echo $$ $PPID; ls -d /proc/1 || true");
    let (processes, own) = text.trim().rsplit_once('\n').unwrap();
    let (own, parent) = own.split_once(' ').unwrap();
    assert_eq!(parent, "1");
    let processes: Vec<u32> = processes.lines().map(|line| line.parse().unwrap()).collect();
    assert!(processes.contains(&own.parse().unwrap()), "{text}");
    assert!(processes.iter().all(|pid| (2..10).contains(pid)), "{text}");
}

/// It can kill all that it sees; the box ends, and nothing else.
#[test]
fn it_does_not_fill_the_machine_with_processes() {
    let Some(bench) = Bench::new() else { return };
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let machine = || fs::read_to_string("/proc/sys/kernel/pid_max").unwrap();
    let before = machine();
    let bounded = Seal { tasks: 400, ..bench.seal() };
    let script = "i=0; while [ $i -lt 1000 ]; do sleep 60 & i=$((i+1)); echo $i; done";
    let output = bench.command_in(&bounded, "sh", &["-c", script]).output().unwrap();
    assert_eq!(machine(), before, "the bound is that of the machine");
    let last: u32 =
        String::from_utf8_lossy(&output.stdout).lines().last().unwrap().parse().unwrap();
    let mut version = release.split('.').map_while(|n| n.parse::<u32>().ok());
    if (version.next(), version.next()) < (Some(6), Some(14)) {
        return common::unless("a kernel before 6.14 bounds no box");
    }
    assert!(!output.status.success() && last < 400, "{last} processes: {output:?}");
}

#[test]
fn it_kills_nobody_but_its_own() {
    let Some(bench) = Bench::new() else { return };
    let mut bystander = Command::new("sleep").arg("1000").spawn().unwrap();
    let status = bench.shell("kill -9 1; sleep 1000 & kill -9 -1; kill -9 $$").status;
    let untouched = bystander.try_wait().unwrap().is_none();
    bystander.kill().unwrap();
    bystander.wait().unwrap();
    assert_eq!(status.signal(), Some(9));
    assert!(untouched);
}

fn refused_with(result: libc::c_long) -> Option<i32> {
    (result < 0).then(|| io::Error::last_os_error().raw_os_error().unwrap())
}

#[test]
#[ignore = "run in a box by another test"]
fn reach_out() {
    let Some(given) = given() else { return };
    let parts: Vec<&str> = given.split(' ').collect();
    assert!(TcpStream::connect(parts[0]).is_err(), "reached a listener of the machine");
    assert!(TcpStream::connect("1.1.1.1:53").is_err(), "reached the network");
    let address = SocketAddr::from_abstract_name(parts[1]).unwrap();
    assert!(UnixStream::connect_addr(&address).is_err(), "reached a socket of the machine");
    assert!(UnixStream::connect(parts[2]).is_err(), "reached a socket by its path");
    // Its own network works.
    for local in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(own) = TcpListener::bind(local) else {
            assert_ne!(local, "127.0.0.1:0");
            continue;
        };
        TcpStream::connect(own.local_addr().unwrap()).unwrap();
    }
    let _own = UnixListener::bind_addr(&SocketAddr::from_abstract_name("own").unwrap()).unwrap();
    UnixStream::connect_addr(&SocketAddr::from_abstract_name("own").unwrap()).unwrap();
}

#[test]
fn it_reaches_nobody_but_itself() {
    let Some(bench) = Bench::new() else { return };
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let name = format!("lab-seal-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _abstract = UnixListener::bind_addr(&address).unwrap();
    let path = bench.dir.path().join("socket");
    let _named = UnixListener::bind(&path).unwrap();
    UnixStream::connect(&path).unwrap();
    // The same file in the root leads to nobody there.
    fs::hard_link(&path, bench.root().join("socket")).unwrap();
    let tcp = tcp.local_addr().unwrap();
    inside(&bench, "reach_out", &format!("{tcp} {name} {}", path.display()));
    inside(&bench.afresh(), "reach_out", &format!("{tcp} {name} /socket"));
}

#[test]
#[ignore = "run in a box by another test"]
#[expect(unsafe_code, reason = "what std does not do is what is tried")]
fn ask_the_kernel() {
    let Some(key) = given() else { return };
    // SAFETY: the calls take numbers, or addresses of which the kernel says that they are none.
    unsafe {
        let vsock = libc::socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0);
        assert_eq!(refused_with(vsock.into()), Some(libc::EAFNOSUPPORT));
        let packet = libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0);
        assert_eq!(refused_with(packet.into()), Some(libc::EAFNOSUPPORT));
        // The session keyring: KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING.
        let keys = libc::syscall(libc::SYS_keyctl, 0, -3, 0);
        assert_eq!(refused_with(keys), Some(libc::ENOSYS));
        let ring = libc::syscall(libc::SYS_io_uring_setup, 1, 0);
        assert_eq!(refused_with(ring), Some(libc::ENOSYS));
        let typed = libc::ioctl(0, libc::TIOCSTI, 0);
        assert_eq!(refused_with(typed.into()), Some(libc::EPERM));
        // The memory of process 1 is a copy of that of the caller.
        let mut byte = 0_u8;
        let local = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
        let remote = libc::iovec { iov_base: ask_the_kernel as *mut _, iov_len: 1 };
        let read = libc::process_vm_readv(1, &local, 1, &remote, 1, 0);
        assert_eq!(refused_with(read as libc::c_long), Some(libc::EPERM));
        let shared = libc::shmget(key.parse().unwrap(), 0, 0);
        assert_eq!(refused_with(shared.into()), Some(libc::ENOENT));
    }
}

#[test]
#[expect(unsafe_code, reason = "std has no memory that is shared by a key")]
fn neither_memory_nor_what_no_namespace_divides_is_shared() {
    let Some(bench) = Bench::new() else { return };
    let key = std::process::id() as i32;
    // SAFETY: both take numbers; nothing is attached.
    let shared = unsafe { libc::shmget(key, 4096, libc::IPC_CREAT | 0o666) };
    assert!(shared >= 0);
    let tried = std::panic::catch_unwind(|| inside(&bench, "ask_the_kernel", &key.to_string()));
    // SAFETY: as above.
    unsafe { libc::shmctl(shared, libc::IPC_RMID, std::ptr::null_mut()) };
    tried.unwrap();
}

/// Who waits for the command is a copy of its caller; the command is none any more, and a tracer may
/// look into it.
#[test]
#[expect(unsafe_code, reason = "a hook of somebody else's is what is tried")]
fn who_waits_keeps_the_memory_of_the_caller_to_itself() {
    let Some(bench) = Bench::new() else { return };
    let mut command = bench.command("sleep", &["1000"]);
    let hook = || {
        // SAFETY: takes numbers, and answers with one.
        match unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) } {
            1 => Ok(()),
            _ => Err(io::ErrorKind::PermissionDenied.into()),
        }
    };
    // SAFETY: the hook makes one system call and allocates nothing.
    unsafe { command.pre_exec(hook) };
    let mut waiting = command.spawn().unwrap();
    let read = fs::read(format!("/proc/{}/environ", waiting.id()));
    waiting.kill().unwrap();
    waiting.wait().unwrap();
    if fs::metadata(bench.dir.path()).unwrap().uid() == 0 {
        return common::unless("root may look into every process");
    }
    // Not what was read: should it fail, others may see what it says.
    assert_eq!(read.map(drop).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
}

#[test]
#[ignore = "run in a box by another test"]
fn box_in_a_box() {
    if given().is_none() {
        return;
    }
    let obstacle = probe(Path::new("/etc")).unwrap().unwrap_err();
    assert!(obstacle.to_string().contains("make namespaces"), "{obstacle}");
    assert!(obstacle.hint().contains("user.max_user_namespaces"), "{}", obstacle.hint());
    assert_eq!(fs::read_dir("/etc").unwrap().count(), 0);
}

/// It is also a machine that allows none.
#[test]
fn there_is_no_box_in_a_box() {
    let Some(bench) = Bench::new() else { return };
    inside(&bench, "box_in_a_box", "all");
}

/// Not a test: a caller that has inherited an open file.
#[test]
#[ignore = "run by another test"]
fn holder() {
    let Some(path) = given() else { return };
    assert_eq!(fs::read_link("/proc/self/fd/9").unwrap(), Path::new(&path));
    let text = Bench::new().unwrap().says("ls /proc/self/fd");
    // 0, 1, 2, and the folder that is being listed.
    assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3"]);
}

#[test]
fn no_open_file_of_the_caller_comes_along() {
    if Bench::new().is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().canonicalize().unwrap().join("secret");
    fs::write(&secret, "secret").unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "exec 9<\"$GIVEN\"; exec \"$0\" --ignored --exact holder"]);
    command.arg(std::env::current_exe().unwrap()).env("GIVEN", &secret);
    passed(&command.output().unwrap());
}
