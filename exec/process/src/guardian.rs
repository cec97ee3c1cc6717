//! Ends what a command has started when we are killed.
//!
//! The kernel ends the command itself when its parent dies, and not what the command has started. So
//! a small process of our own program waits on a pipe that only we hold open: what it reads before the
//! end is our good-bye, and if there is none, it ends the run.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::stragglers::running;
use crate::sys;

/// The first argument of a guardian.
const WORD: &str = "__guard-run";

/// How often it looks for what still runs, and how long it waits between.
const LOOKS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(10);

/// A process that ends a run if we do not say good-bye.
pub(crate) struct Guardian(Child);

impl Guardian {
    /// Starts one: `program` is our own, whose `main` asks [`guard`] first.
    pub(crate) fn start(
        program: &Path,
        group: i32,
        since: u64,
        scratch: &Path,
    ) -> io::Result<Guardian> {
        let mut command = Command::new(program);
        command.arg(WORD).arg(group.to_string()).arg(since.to_string()).arg(scratch);
        command.env_clear().stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // What a terminal sends is for the command and for us.
        command.process_group(0);
        command.spawn().map(Guardian)
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        // If it is gone already, nobody has to be told.
        if let Some(mut pipe) = self.0.stdin.take() {
            let _ = pipe.write_all(b".");
        }
        let _ = self.0.wait();
    }
}

/// Does what a guardian does, if the arguments of this program say that it is one, and says so.
/// To be asked before anything else.
pub fn guard(arguments: impl IntoIterator<Item = OsString>) -> bool {
    let mut arguments = arguments.into_iter().skip(1);
    if arguments.next().is_none_or(|word| word != WORD) {
        return false;
    }
    let mut number = || arguments.next()?.to_str()?.parse::<u64>().ok();
    let (Some(group), Some(since)) = (number(), number()) else { return true };
    let (Ok(group), Some(scratch)) = (i32::try_from(group), arguments.next()) else { return true };
    let scratch = PathBuf::from(scratch);
    if group <= 1 || io::stdin().read(&mut [0]).is_ok_and(|read| read > 0) {
        return true;
    }
    for _ in 0..LOOKS {
        let left = running(group, since, &scratch);
        if left.is_empty() {
            break;
        }
        for straggler in left {
            // Who has ended meanwhile needs no signal.
            let _ = sys::signal_process(straggler.pid, libc::SIGKILL);
        }
        sleep(PAUSE);
    }
    true
}
