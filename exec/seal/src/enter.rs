//! The way into the box, between fork and exec.
//!
//! ```text
//!   outer      the process that our caller waits for: holds nothing open, ends as the command ends
//!   └─ first   process 1 of the box: adopts and reaps, ends when the command ends, and with it all
//!      └─ command
//! ```
//!
//! Each dies when the one above it dies, so that killing the caller leaves nothing behind.

use std::ffi::CStr;
use std::io;

use crate::order::ORDER;
use crate::plan::{self, Plan};
use crate::step::Step;
use crate::sys::{self, Fork};

/// For mounts of the box: no privileged programs, no devices.
const PLAIN: libc::c_ulong = libc::MS_NOSUID | libc::MS_NODEV;
/// And no programs at all.
const QUIET: libc::c_ulong = PLAIN | libc::MS_NOEXEC;
const READ_ONLY: libc::c_ulong = libc::MS_RDONLY;

trait At<T> {
    fn at(self, step: Step) -> io::Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, step: Step) -> io::Result<T> {
        self.map_err(|e| step.failed(&e))
    }
}

/// Enters the box. Who returns from it is the process that becomes the command.
pub(crate) fn enter(plan: &Plan) -> io::Result<()> {
    sys::unshare().at(Step::Namespaces)?;
    // New credentials may have cleared what was asked for before.
    sys::die_with(plan.caller).at(Step::Processes)?;
    // Where there is no such file, groups cannot be set either.
    let _ = sys::write_file(c"/proc/self/setgroups", b"deny");
    sys::write_file(c"/proc/self/gid_map", &plan.group_map).at(Step::Users)?;
    sys::write_file(c"/proc/self/uid_map", &plan.user_map).at(Step::Users)?;
    let private = libc::MS_REC | libc::MS_PRIVATE;
    sys::mount(c"none", c"/", None, private, None).at(Step::Private)?;
    // Those who wait are copies of our caller, with all that it had in memory.
    sys::keep_memory_private(true).at(Step::Processes)?;

    let [status, report] = sys::pipe().at(Step::Processes)?;
    let [alive, life] = sys::pipe().at(Step::Processes)?;
    if let Fork::Parent(first) = sys::fork().at(Step::Processes)? {
        outer(first, status, life);
    }
    sys::close(life);
    sys::close(status);
    sys::die_with_parent(alive).at(Step::Processes)?;
    build(plan)?;
    let [alive, life] = sys::pipe().at(Step::Processes)?;
    if let Fork::Parent(command) = sys::fork().at(Step::Processes)? {
        first(command, report, life);
    }
    sys::close(life);
    sys::close(report);
    sys::die_with_parent(alive).at(Step::Processes)?;
    sys::close_others_at_exec().at(Step::Privileges)?;
    sys::drop_privileges().at(Step::Privileges)?;
    sys::filter(&plan.filter).at(Step::Privileges)?;
    // A tracer, which reads the path of the program, is no more than we are.
    sys::keep_memory_private(false).at(Step::Privileges)
}

/// Waits for the first process of the box, and ends as the command has ended.
fn outer(first: i32, status: i32, life: i32) -> ! {
    sys::ignore_requests();
    sys::close_all_but([status, life]);
    sys::wait_for(first);
    sys::end_like(sys::told(status).unwrap_or(libc::SIGKILL))
}

/// Reaps until the command ends. The end of process 1 is the end of all processes of the box.
fn first(command: i32, report: i32, life: i32) -> ! {
    sys::ignore_requests();
    sys::close_all_but([report, life]);
    let status = sys::wait_for(command);
    sys::tell(report, status);
    sys::exit(0)
}

/// Builds the root, and enters it.
fn build(plan: &Plan) -> io::Result<()> {
    // Relative to the base folder no path needs an escape in the options.
    sys::enter(&plan.base).at(Step::Overlay)?;
    let options = match &plan.order {
        Some(order) => {
            order.lay().at(Step::Order)?;
            c"lowerdir=root:order,upperdir=upper,workdir=work,userxattr"
        }
        None => c"lowerdir=root,upperdir=upper,workdir=work,userxattr",
    };
    let names = [plan::ROOT, plan::UPPER, plan::WORK, ORDER];
    debug_assert!(names == ["root", "upper", "work", "order"]);
    sys::mount(c"overlay", c"merged", Some(c"overlay"), PLAIN, Some(options)).at(Step::Overlay)?;

    // Process 1, which is no part of what was recorded, is not shown: it may not be looked into.
    let hidden = Some(c"hidepid=ptraceable");
    sys::mount(c"proc", c"merged/proc", Some(c"proc"), QUIET, hidden).at(Step::Proc)?;
    // In a user namespace within, a process would have privileges again.
    sys::write_file(c"merged/proc/sys/user/max_user_namespaces", b"0").at(Step::Proc)?;
    if let Some(tasks) = &plan.tasks {
        // Who has all numbers in use gets no more: a process that only multiplies ends there.
        sys::write_file(c"merged/proc/sys/kernel/pid_max", tasks).at(Step::Proc)?;
    }
    for (file, place) in &plan.over {
        bind(file, place, READ_ONLY | QUIET).or_else(not_here).at(Step::Proc)?;
    }
    // If we are root, so is the command to the machine, even without any capability: the owner of
    // the kernel's settings, which are for all of the machine.
    restrict(c"merged/proc", READ_ONLY | QUIET).at(Step::Proc)?;
    for (given, place) in &plan.given {
        bind(given, place, READ_ONLY | PLAIN).at(Step::Given)?;
    }

    let mode = Some(c"mode=755,size=1m");
    sys::mount(c"tmpfs", c"merged/dev", Some(c"tmpfs"), libc::MS_NOSUID, mode).at(Step::Devices)?;
    for folder in &plan.device_folders {
        sys::make_folder(folder, 0o755).or_else(there).at(Step::Devices)?;
    }
    for (device, place) in &plan.devices {
        sys::touch(place).at(Step::Devices)?;
        // Read-only is its entry, so that an owner cannot change its mode; not what it leads to.
        bind(device, place, READ_ONLY | libc::MS_NOSUID | libc::MS_NOEXEC).at(Step::Devices)?;
    }
    for (target, place) in [
        (c"/proc/self/fd", c"merged/dev/fd"),
        (c"/proc/self/fd/0", c"merged/dev/stdin"),
        (c"/proc/self/fd/1", c"merged/dev/stdout"),
        (c"/proc/self/fd/2", c"merged/dev/stderr"),
    ] {
        sys::link(target, place).at(Step::Devices)?;
    }
    sys::make_folder(c"merged/dev/shm", 0o1777).at(Step::Devices)?;
    let shared = Some(c"mode=1777");
    sys::mount(c"tmpfs", c"merged/dev/shm", Some(c"tmpfs"), PLAIN, shared).at(Step::Devices)?;

    sys::enter(c"merged").at(Step::Pivot)?;
    sys::pivot().at(Step::Pivot)?;
    sys::enter(c"/").at(Step::Pivot)?;
    sys::loopback().at(Step::Loopback)?;
    sys::set_host_name(&plan.host_name).at(Step::HostName)?;
    sys::enter(&plan.directory).at(Step::Directory)
}

/// Shows one file at the place of another.
fn bind(file: &CStr, place: &CStr, flags: libc::c_ulong) -> io::Result<()> {
    sys::mount(file, place, None, libc::MS_BIND, None)?;
    restrict(place, flags)
}

/// Sets the flags of what is mounted at a place.
fn restrict(place: &CStr, flags: libc::c_ulong) -> io::Result<()> {
    sys::mount(c"none", place, None, libc::MS_BIND | libc::MS_REMOUNT | flags, None)
}

/// A folder may be there already.
fn there(error: io::Error) -> io::Result<()> {
    if error.raw_os_error() == Some(libc::EEXIST) { Ok(()) } else { Err(error) }
}

/// What this machine does not have is not shown.
fn not_here(error: io::Error) -> io::Result<()> {
    if error.raw_os_error() == Some(libc::ENOENT) { Ok(()) } else { Err(error) }
}
