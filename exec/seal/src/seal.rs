//! What a box is made of.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::enter;
use crate::order::Listing;
use crate::plan::{Plan, ROOT, UPPER, WORK};
use crate::step::{Obstacle, obstacle};
use crate::sys;

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
}

impl Seal<'_> {
    /// Where what the command wrote is.
    pub fn upper(&self) -> PathBuf {
        self.base.join(UPPER)
    }
}

/// Makes `command` run in a box. Hooks that it has already run before, on the machine; those that
/// are added later run in the box.
///
/// The process that is waited for is not the command, but ends as it ends. To end it early, signal
/// its process group, or kill it. It is killed, too, when the thread ends that started it: that
/// thread has to wait for it.
///
/// # Errors
///
/// If the folders cannot be made, or a path is none that can be in a box. That the machine allows no box comes out when the command is
/// started: [`obstacle`](crate::obstacle) tells it from other failures.
pub fn seal(command: &mut Command, seal: &Seal<'_>) -> io::Result<()> {
    let Seal { base, user, host_name, directory, over, devices, listings } = *seal;
    let plan = Plan::new(base, user, host_name, directory, over, devices, listings)?;
    sys::before_exec(command, move || enter::enter(&plan));
    Ok(())
}

/// Whether boxes can be made in `folder`, which is on the disk to be used: tries it, with an empty
/// box.
///
/// # Errors
///
/// What stands in the way; or that `folder` cannot be written to.
pub fn probe(folder: &Path) -> io::Result<Result<(), Obstacle>> {
    let base = folder.join(format!("probe-{}", std::process::id()));
    fs::create_dir_all(base.join(ROOT))?;
    let directory = Path::new("/");
    let over: &[(PathBuf, PathBuf)] = &[];
    let empty = Seal {
        base: &base,
        user: (0, 0),
        host_name: "lab",
        directory,
        over,
        devices: &[],
        listings: &[],
    };
    let mut command = Command::new("/nothing");
    let tried = seal(&mut command, &empty).and_then(|()| command.spawn());
    let answer = match tried {
        Ok(mut child) => child.wait().map(|_| Ok(())),
        Err(e) => match obstacle(&e) {
            Some(obstacle) => Ok(Err(obstacle)),
            // It got in, and found nothing there: as it should be.
            None if e.kind() == io::ErrorKind::NotFound => Ok(Ok(())),
            None => Err(e),
        },
    };
    // The overlay leaves a folder here that nobody may look into.
    let inner = base.join(WORK).join("work");
    if inner.exists() {
        fs::set_permissions(&inner, Permissions::from_mode(0o700))?;
    }
    fs::remove_dir_all(&base)?;
    answer
}
