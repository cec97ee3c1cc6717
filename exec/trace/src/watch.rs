//! Starts a command under the filter, and answers its notices in a thread of our own.
//!
//! The thread ends when no watched process is left, or when it is told to stop. Whatever ends it,
//! the listener is closed, and then every call that is looked at fails in what still runs: what
//! is not seen does not happen. A failure is a gap in the record, never a complete record.

use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::calls;
use crate::filter;
use crate::observe::Observer;
use crate::record::Trace;
use crate::sys::{self, Woken};

/// How often to look whether watching has ended.
const TICK: Duration = Duration::from_micros(200);

/// A process tree that is being watched.
#[derive(Debug)]
pub struct Watch {
    thread: JoinHandle<Trace>,
    stop: UnixStream,
}

/// Starts `command` and watches it and all that descends from it.
///
/// `spool` is an empty folder for copies of files that are read and then changed. Privileges that
/// programs gain by being executed (setuid) are not gained under watch. Hooks that the command
/// has already run before.
///
/// # Errors
///
/// If the command cannot be started, or the kernel has no such filter, or another one above us
/// already watches (`EBUSY`): then nothing was started.
pub fn spawn(command: &mut Command, spool: &Path) -> io::Result<(Child, Watch)> {
    let (ours, theirs) = UnixStream::pair()?;
    let (stop, stopped) = UnixStream::pair()?;
    sys::watch(command, filter::build(&calls::rules()), theirs.as_raw_fd());
    let observer = Observer::new(spool.to_owned());
    let builder = std::thread::Builder::new().name("trace".to_owned());
    // Before the start: the program's own execution waits for it already.
    let thread = builder.spawn(move || watch(observer, &ours, &stopped))?;
    let child = command.spawn();
    // Else the thread would wait for a descriptor from a child that never came to send it.
    drop(theirs);
    match child {
        Ok(child) => Ok((child, Watch { thread, stop })),
        Err(e) => {
            drop(stop);
            // What it saw is of no use to anybody.
            let _ = thread.join();
            Err(e)
        }
    }
}

/// Whether processes can be watched here; the reason if not. Tries it.
pub fn probe() -> io::Result<()> {
    // The hook runs before the program is looked for: that it is not there is the best end.
    let mut command = Command::new("/dev/null/nothing");
    match spawn(&mut command, Path::new("/dev/null")) {
        Ok((mut child, watch)) => {
            child.wait()?;
            drop(watch.finish());
            Ok(())
        }
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => Ok(()),
        Err(e) => Err(e),
    }
}

impl Watch {
    /// Waits until no watched process is left, and returns what was seen.
    pub fn finish(self) -> Trace {
        joined(self.thread)
    }

    /// The same, but waits no longer than `grace` for processes that nobody could stop.
    pub fn finish_within(self, grace: Duration) -> Trace {
        let until = Instant::now() + grace;
        while !self.thread.is_finished() {
            if Instant::now() >= until {
                return self.stop();
            }
            std::thread::sleep(TICK);
        }
        self.finish()
    }

    /// Stops watching although processes may be left; the record says so.
    pub fn stop(mut self) -> Trace {
        // If it does not arrive, the thread has ended already.
        let _ = self.stop.write_all(&[0]);
        joined(self.thread)
    }
}

fn joined(thread: JoinHandle<Trace>) -> Trace {
    thread.join().unwrap_or_else(|_| {
        let mut trace = Trace::default();
        trace.gap("the watcher failed");
        trace
    })
}

fn watch(mut observer: Observer, socket: &UnixStream, stopped: &UnixStream) -> Trace {
    let failure = match sys::receive_descriptor(socket.as_fd()) {
        Ok(Some(listener)) => serve(&mut observer, &listener, stopped),
        Ok(None) => Ok(Some("the command was never watched".to_owned())),
        Err(e) => Err(e),
    };
    observer.finish(failure.unwrap_or_else(|e| Some(format!("the watcher failed: {e}"))))
}

/// Answers until nobody is left; says what is missing if it ends before.
fn serve(
    observer: &mut Observer,
    listener: &OwnedFd,
    stopped: &UnixStream,
) -> io::Result<Option<String>> {
    let listener = listener.as_fd();
    sys::wake_synchronously(listener);
    loop {
        match sys::wait(listener, stopped.as_fd())? {
            Woken::Ended => return Ok(None),
            Woken::Stopped => return Ok(Some("processes ran on when watching ended".to_owned())),
            Woken::Notice => {}
        }
        let Some(notice) = sys::receive(listener)? else { continue };
        match observer.see(&notice, || sys::is_waiting(listener, notice.id)) {
            // It was killed while it was looked at: what it was about to do did not happen.
            Err(_) if !sys::is_waiting(listener, notice.id) => continue,
            seen => seen?,
        }
        sys::let_go(listener, notice.id)?;
    }
}
