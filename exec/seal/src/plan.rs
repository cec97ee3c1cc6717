//! All that the child needs, laid out before the fork: between fork and exec nothing may allocate.

use std::ffi::{CString, OsStr};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

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
    /// The same for devices, which are made first.
    pub(crate) devices: Vec<(CString, CString)>,
}

impl Plan {
    pub(crate) fn new(
        base: &Path,
        user: (u32, u32),
        host_name: &str,
        directory: &Path,
        over: &[(PathBuf, PathBuf)],
        devices: &[PathBuf],
    ) -> io::Result<Plan> {
        let (our_user, our_group) = sys::ids();
        let base = base.canonicalize()?;
        for folder in [UPPER, WORK, MERGED] {
            fs::create_dir(base.join(folder))?;
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
        let mut bound = Vec::new();
        for (inside, host) in over {
            let below = inside.strip_prefix("/proc").map_err(|_| io::ErrorKind::InvalidInput)?;
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
        let mut nodes = Vec::new();
        for device in standard.chain(devices.iter().cloned()) {
            let name = device.strip_prefix("/dev").map_err(|_| io::ErrorKind::InvalidInput)?;
            nodes.push((text(device.as_os_str())?, merged(&Path::new("dev").join(name))?));
        }
        Ok(Plan {
            base: text(base.as_os_str())?,
            caller: std::process::id(),
            user_map: format!("{} {our_user} 1\n", user.0).into_bytes(),
            group_map: format!("{} {our_group} 1\n", user.1).into_bytes(),
            host_name: host_name.as_bytes().to_vec(),
            directory: text(directory.as_os_str())?,
            over: bound,
            devices: nodes,
        })
    }
}

fn text(path: &OsStr) -> io::Result<CString> {
    CString::new(path.as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}
