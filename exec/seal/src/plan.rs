//! What a box is made of, and all that the child needs for it, laid out before the fork: between fork and exec nothing may allocate.

use std::ffi::{CString, OsStr};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::filter;
use crate::order::{Listing, ORDER, Order};
use crate::places::{invalid, plain, text};
use crate::sys;

/// What the command's root is made of, below the base folder.
pub(crate) const ROOT: &str = "root";
/// What it writes.
pub(crate) const UPPER: &str = "upper";
/// The overlay's own.
pub(crate) const WORK: &str = "work";
/// Where the overlay is mounted.
pub(crate) const MERGED: &str = "merged";

/// Devices that are safe to give to anybody.
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// A box.
#[derive(Clone, Copy, Debug)]
pub struct Seal<'a> {
    /// A folder of ours on a local disk. `root` in it becomes the command's `/`; it is not changed,
    /// but for `proc`, `dev` and the places of `over`, which are made if they are absent. What the command
    /// writes is in `upper` afterwards, at the same paths; `work` and `merged` are made too.
    pub base: &'a Path,
    /// The numbers of user and group that the command sees itself as. To the machine it is us.
    pub user: (u32, u32),
    /// The host name that it sees.
    pub host_name: &'a str,
    /// Where it starts: a path in the box. The command's own `current_dir` must not be set.
    pub directory: &'a Path,
    /// What of the machine is shown in the box, read-only: where, and which file or folder of ours.
    /// Below `/proc` files stand in for others; what the kernel does not have there is left out, and
    /// so is what speaks of one process. Elsewhere (the libraries of a driver) the place is made in
    /// `root`, if it is not there; no link may be on the way, and no part of it be `/dev`.
    pub over: &'a [(PathBuf, PathBuf)],
    /// Devices below `/dev` that it may use, beside `null`, `zero`, `full`, `random` and `urandom`,
    /// if the machine has them.
    pub devices: &'a [PathBuf],
    /// In which order folders of the root are listed; others as the disk has it.
    pub listings: &'a [Listing],
    /// How many processes and threads there may be at a time, at least 301: a kernel before 6.14 has
    /// no such bound for a box.
    pub tasks: u32,
}

impl Seal<'_> {
    /// Where what the command wrote is.
    pub fn upper(&self) -> PathBuf {
        self.base.join(UPPER)
    }
}

/// What a box has made in its base folder when it has ended, beside its root; without these another
/// box can be made there.
pub fn leavings(base: &Path) -> [PathBuf; 4] {
    [UPPER, WORK, MERGED, ORDER].map(|folder| base.join(folder))
}

/// Laid out.
pub(crate) struct Plan {
    pub(crate) base: CString,
    /// Our own process.
    pub(crate) caller: u32,
    pub(crate) user_map: Vec<u8>,
    pub(crate) group_map: Vec<u8>,
    pub(crate) host_name: Vec<u8>,
    pub(crate) directory: CString,
    /// Files to be bound: what, and where below the base folder.
    pub(crate) over: Vec<(CString, CString)>,
    /// The same outside `/proc`.
    pub(crate) given: Vec<(CString, CString)>,
    /// The same for devices, which are made first, in these folders.
    pub(crate) devices: Vec<(CString, CString)>,
    pub(crate) device_folders: Vec<CString>,
    /// In which order folders are listed, if any have one.
    pub(crate) order: Option<Order>,
    /// How many tasks there may be, if that can be bounded.
    pub(crate) tasks: Option<Vec<u8>>,
    /// What the command may ask of the kernel.
    pub(crate) filter: Vec<libc::sock_filter>,
}

impl Plan {
    pub(crate) fn new(seal: &Seal<'_>) -> io::Result<Plan> {
        let Seal { base, user, host_name, directory, over, devices, listings, tasks } = *seal;
        let (our_user, our_group) = sys::ids();
        let base = base.canonicalize()?;
        for folder in leavings(&base) {
            fs::create_dir(folder)?;
        }
        // What is mounted needs a place; made in the lower folder, it is no change.
        for folder in ["proc", "dev"] {
            let place = base.join(ROOT).join(folder);
            if place.symlink_metadata().is_err() {
                fs::create_dir(&place)?;
            }
            if !place.symlink_metadata()?.is_dir() {
                return Err(io::Error::new(
                    io::ErrorKind::NotADirectory,
                    place.display().to_string(),
                ));
            }
        }
        let merged = |path: &Path| text(Path::new(MERGED).join(path).as_os_str());
        let (mut bound, mut given) = (Vec::new(), Vec::new());
        for (inside, host) in over {
            let Ok(below) = inside.strip_prefix("/proc") else {
                let host = host.canonicalize()?;
                let below = make_place(&base.join(ROOT), inside, host.is_dir())?;
                given.push((text(host.as_os_str())?, merged(below)?));
                continue;
            };
            // What speaks of a process would speak of another one; and its links lead anywhere.
            let of_process = |name: &OsStr| {
                let name = name.as_bytes();
                name.iter().all(u8::is_ascii_digit) || name.ends_with(b"self") || name == b".."
            };
            if !below.iter().any(of_process) && below.file_name().is_some() {
                let place = merged(&Path::new("proc").join(below))?;
                bound.push((text(host.canonicalize()?.as_os_str())?, place));
            }
        }
        let standard = DEVICES.iter().map(|name| Path::new("/dev").join(name));
        let (mut nodes, mut device_folders) = (Vec::new(), Vec::new());
        for device in standard.chain(devices.iter().cloned()) {
            let name = plain(&device)?.strip_prefix("dev").map_err(|_| invalid(&device))?;
            if name.as_os_str().is_empty() {
                return Err(invalid(&device));
            }
            // What this machine does not have is not shown.
            if !device.exists() {
                continue;
            }
            let place = Path::new("dev").join(name);
            let parents: Vec<&Path> = name.ancestors().skip(1).collect();
            for parent in parents.into_iter().rev().skip(1) {
                device_folders.push(merged(&Path::new("dev").join(parent))?);
            }
            nodes.push((text(device.as_os_str())?, merged(&place)?));
        }
        Ok(Plan {
            base: text(base.as_os_str())?,
            caller: std::process::id(),
            user_map: format!("{} {our_user} 1\n", user.0).into_bytes(),
            group_map: format!("{} {our_group} 1\n", user.1).into_bytes(),
            host_name: host_name.as_bytes().to_vec(),
            directory: text(directory.as_os_str())?,
            over: bound,
            given,
            devices: nodes,
            device_folders,
            order: Order::new(listings)?,
            tasks: bounds_tasks().then(|| tasks.to_string().into_bytes()),
            filter: filter::build(),
        })
    }
}

/// Whether the highest number of a process is that of a namespace (Linux 6.14). Before, it is that of
/// the machine, and root could change it from within.
fn bounds_tasks() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map(|part| part.trim().parse::<u32>());
    let mut next = || numbers.next().and_then(Result::ok).unwrap_or(0);
    (next(), next()) >= (6, 14)
}

/// The place for something to be shown at, made if it is not there. It is named without detours: a
/// link could lead to another place now than in the box.
fn make_place<'a>(root: &Path, inside: &'a Path, folder: bool) -> io::Result<&'a Path> {
    let below = plain(inside)?;
    if below.starts_with("dev") || below.as_os_str().is_empty() {
        return Err(invalid(inside));
    }
    let mut place = root.to_owned();
    let mut parts = below.iter().peekable();
    while let Some(part) = parts.next() {
        place.push(part);
        let folder = folder || parts.peek().is_some();
        match place.symlink_metadata() {
            Ok(meta) if if folder { meta.is_dir() } else { meta.is_file() } => {}
            Ok(_) => return Err(invalid(inside)),
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            Err(_) if folder => fs::create_dir(&place)?,
            Err(_) => drop(fs::File::create_new(&place)?),
        }
    }
    Ok(below)
}
