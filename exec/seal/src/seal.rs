//! Makes boxes, and tries whether they can be made.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::enter;
use crate::plan::{Plan, ROOT, Seal, WORK};
use crate::step::{Obstacle, obstacle};
use crate::sys;

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
    let plan = Plan::new(seal)?;
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
        tasks: 1000,
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
