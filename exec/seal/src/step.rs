//! The steps into the box, so that a refusal says which of them the machine does not allow.

use std::fmt;
use std::io;

/// A step. Its number is put into the upper half of an error number, the only thing that comes
/// back from a child before it has become the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Step {
    Namespaces = 1,
    Users,
    Private,
    Processes,
    Order,
    Overlay,
    Proc,
    Given,
    Devices,
    Pivot,
    Loopback,
    HostName,
    Directory,
    Privileges,
}

const STEPS: [(Step, &str); 14] = [
    (Step::Namespaces, "make namespaces"),
    (Step::Users, "map its user"),
    (Step::Private, "keep its mounts to itself"),
    (Step::Processes, "start a process of its own"),
    (Step::Order, "lay out the order of its folders"),
    (Step::Overlay, "mount an overlay"),
    (Step::Proc, "mount /proc"),
    (Step::Given, "show files of the machine"),
    (Step::Devices, "make /dev"),
    (Step::Pivot, "enter its root"),
    (Step::Loopback, "bring up its loopback"),
    (Step::HostName, "set its host name"),
    (Step::Directory, "enter the folder of the command"),
    (Step::Privileges, "give up privileges"),
];

impl Step {
    /// The error of a failed call, marked with this step.
    pub(crate) fn failed(self, error: &io::Error) -> io::Error {
        let number = error.raw_os_error().unwrap_or(libc::EIO) & 0xffff;
        io::Error::from_raw_os_error((self as i32) << 16 | number)
    }
}

/// What keeps a box from being made.
#[derive(Debug)]
pub struct Obstacle {
    step: Step,
    /// What the system said.
    pub source: io::Error,
}

/// The step at which a command could not enter its box; none if `error` is about the command
/// itself, such as a program that does not exist.
pub fn obstacle(error: &io::Error) -> Option<Obstacle> {
    let number = error.raw_os_error()?;
    let step = STEPS.iter().find(|(step, _)| *step as i32 == number >> 16)?.0;
    Some(Obstacle { step, source: io::Error::from_raw_os_error(number & 0xffff) })
}

impl Obstacle {
    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self.step {
            Step::Namespaces | Step::Users => {
                "user namespaces are switched off here: an administrator allows them with \
                 `sysctl kernel.apparmor_restrict_unprivileged_userns=0` (Ubuntu), \
                 `sysctl user.max_user_namespaces=10000`, or a container profile that permits \
                 `unshare`"
            }
            Step::Overlay => {
                "the registry lies on a file system that cannot hold an overlay's changes (such as \
                 another overlay or NFS), or the kernel is older than 5.11"
            }
            Step::Proc => "the container that we run in hides parts of /proc",
            _ => "this may be a restriction of a container",
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words =
            STEPS.iter().find(|(step, _)| *step == self.step).map_or("", |(_, words)| words);
        write!(f, "a sealed box cannot {words} here: {}", self.source)
    }
}

impl std::error::Error for Obstacle {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_comes_back_through_an_error_number() {
        for (step, words) in STEPS {
            let marked = step.failed(&io::Error::from_raw_os_error(libc::EPERM));
            let marked = io::Error::from_raw_os_error(marked.raw_os_error().unwrap());
            let found = obstacle(&marked).unwrap();
            assert_eq!(found.step, step);
            assert_eq!(found.source.raw_os_error(), Some(libc::EPERM));
            assert!(found.to_string().contains(words) && !found.hint().is_empty());
        }
        assert!(obstacle(&io::Error::from_raw_os_error(libc::ENOENT)).is_none());
    }
}
