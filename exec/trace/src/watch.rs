//! Starts a command under the filter, and answers its notices in a thread of our own.
//!
//! It writes down what is about to be done, or answers in place of the kernel, or both.
//!
//! The thread ends when no watched process is left, or when it is told to stop. Whatever ends it,
//! the listener is closed, and then every call that is looked at fails in what still runs: what
//! is not seen does not happen. A failure is a gap in the record, never a complete record.

use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::answers::Answers;
use crate::calls;
use crate::filter::{self, When};
use crate::follow::{self, Follower, Seized, UNSEEN};
use crate::observe::Observer;
use crate::record::{Trace, Watching};
use crate::reply::Reply;
use crate::respond::{self, Responder};
use crate::sys::{self, Notice, Woken};

/// A variable that chooses how calls are looked at, for kernels on which the best way that works at all
/// does not work well: `ptrace`, `ptrace-always`.
const CHOICE: &str = "LAB_TRACER";

/// What a record lacks if processes were left.
const RAN_ON: &str = "processes ran on when watching ended";

/// How often to look whether watching has ended.
const TICK: Duration = Duration::from_micros(200);

/// How calls are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The kernel asks us (seccomp user notification).
    Asked,
    /// Tasks stop for us at the calls that a filter holds (ptrace).
    Stopped,
    /// Tasks stop for us at every call (ptrace).
    StoppedAlways,
}

/// A process tree that is being watched.
#[derive(Debug)]
pub struct Watch {
    thread: JoinHandle<Trace>,
    stop: UnixStream,
    /// The processes that only go on if the thread lets them.
    seized: Seized,
}

/// Starts `command` and watches it and all that descends from it. Whoever waits for it must first look
/// whether it has ended (`waitid` with `WNOWAIT`): a stop of it may be for the thread that watches.
///
/// Without `watching` nothing is written down, and calls are only answered as `answers` says. Privileges that
/// programs gain by being executed (setuid) are not gained under watch. Hooks that the command
/// has already run before.
///
/// # Errors
///
/// If the command cannot be started, or cannot be watched here, or not be answered ([`can_answer`]): then
/// nothing was started.
pub fn spawn(
    command: &mut Command,
    watching: Option<&Watching<'_>>,
    answers: &Answers,
) -> io::Result<(Child, Watch)> {
    let only_asked = !answers.is_empty() || watching.is_none_or(|watching| watching.inside);
    let way = if only_asked { Way::Asked } else { way()? };
    spawn_as(way, command, watching, answers)
}

fn spawn_as(
    way: Way,
    command: &mut Command,
    watching: Option<&Watching<'_>>,
    answers: &Answers,
) -> io::Result<(Child, Watch)> {
    let (mut ours, theirs) = UnixStream::pair()?;
    let (stop, stopped) = UnixStream::pair()?;
    let seized = Seized::default();
    let builder = std::thread::Builder::new().name("trace".to_owned());
    // Before the start: the program's own execution waits for the thread already.
    let thread = if way == Way::Asked {
        let watcher = Watcher::new(watching, *answers);
        let filter = filter::build(&watcher.rules(), filter::NOTIFY);
        sys::watch(command, filter, theirs.as_raw_fd());
        builder.spawn(move || watcher.watch(&ours, &stopped))?
    } else {
        let observer = Observer::new(watching.ok_or(io::ErrorKind::Unsupported)?);
        let every = way == Way::StoppedAlways;
        let filter = (!every).then(|| filter::build(&calls::rules(), filter::STOP));
        sys::follow(command, filter, theirs.as_raw_fd());
        let follower = Follower::new(observer, every, seized.clone());
        builder.spawn(move || follower.follow(&mut ours))?
    };
    let child = command.spawn();
    // Else the thread would wait for word from a child that never came to send it.
    drop(theirs);
    match child {
        Ok(child) => Ok((child, Watch { thread, stop, seized })),
        Err(e) => {
            drop(stop);
            // What it saw is of no use to anybody, unless it was nothing.
            match joined(thread).gaps.contains(UNSEEN) {
                true if way != Way::Asked => Err(io::Error::from_raw_os_error(libc::EBUSY)),
                _ => Err(e),
            }
        }
    }
}

/// The best way that there is here. Tries them, once.
fn way() -> io::Result<Way> {
    static FOUND: OnceLock<Result<Way, i32>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let wanted = std::env::var(CHOICE).ok();
        let chosen = match wanted.as_deref() {
            Some("ptrace") => vec![Way::Stopped],
            Some("ptrace-always") => vec![Way::StoppedAlways],
            _ => vec![Way::Asked, Way::Stopped, Way::StoppedAlways],
        };
        let mut first = None;
        for way in chosen {
            match tried(way) {
                Ok(()) => return Ok(way),
                Err(e) => _ = first.get_or_insert(e.raw_os_error().unwrap_or(libc::ENOSYS)),
            }
        }
        Err(first.unwrap_or(libc::ENOSYS))
    });
    found.map_err(io::Error::from_raw_os_error)
}

/// Whether a way works here; the reason if not.
fn tried(way: Way) -> io::Result<()> {
    // The hook runs before the program is looked for: that it is not there is the best end.
    let mut command = Command::new("/dev/null/nothing");
    let watching = Watching { spool: Path::new("/dev/null"), inside: false };
    match spawn_as(way, &mut command, Some(&watching), &Answers::default()) {
        Ok((mut child, watch)) => {
            child.wait()?;
            drop(watch.finish());
            Ok(())
        }
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => Ok(()),
        Err(e) => Err(e),
    }
}

/// Whether processes can be watched here; the reason if not. Tries it.
pub fn probe() -> io::Result<()> {
    way().map(drop)
}

/// Whether calls can also be answered here, and what runs in a root of its own be watched; the reason if
/// not.
pub fn can_answer() -> io::Result<()> {
    match way()? {
        Way::Asked => Ok(()),
        _ => tried(Way::Asked),
    }
}

impl Watch {
    /// Whether no watched process is left.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

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
        let left = follow::end(&self.seized);
        // If it does not arrive, the thread has ended already.
        let _ = self.stop.write_all(&[0]);
        let mut trace = joined(self.thread);
        if left {
            trace.gap(RAN_ON);
        }
        trace
    }
}

fn joined(thread: JoinHandle<Trace>) -> Trace {
    thread.join().unwrap_or_else(|_| {
        let mut trace = Trace::default();
        trace.gap("the watcher failed");
        trace
    })
}

/// What the thread does with each call.
struct Watcher {
    observer: Option<Observer>,
    /// The calls that it looks at.
    observed: Vec<(u32, When)>,
    responder: Responder,
    /// The calls that are answered, or that it takes to answer them.
    answered: Vec<(u32, When)>,
}

impl Watcher {
    fn new(watching: Option<&Watching<'_>>, answers: Answers) -> Watcher {
        let observer = watching.map(Observer::new);
        let mut observed = if observer.is_some() { calls::rules() } else { Vec::new() };
        observed.sort_unstable_by_key(|(number, _)| *number);
        let answered = respond::rules(&answers);
        Watcher { observer, observed, responder: Responder::new(answers), answered }
    }

    /// The rules of the filter: a call that both look at is held whenever one of them may want it.
    fn rules(&self) -> Vec<(u32, When)> {
        let answered = |number| self.answered.iter().any(|(other, _)| *other == number);
        let mut rules = self.observed.clone();
        for (number, when) in &mut rules {
            if answered(*number) {
                *when = When::Always;
            }
        }
        let observed = |number| self.observed.iter().any(|(other, _)| *other == number);
        rules.extend(self.answered.iter().filter(|(number, _)| !observed(*number)));
        rules
    }

    fn watch(mut self, socket: &UnixStream, stopped: &UnixStream) -> Trace {
        let failure = match sys::receive_descriptor(socket.as_fd()) {
            Ok(Some(listener)) => self.serve(&listener, stopped),
            Ok(None) => Ok(Some(UNSEEN.to_owned())),
            Err(e) => Err(e),
        };
        let failure = failure.unwrap_or_else(|e| Some(format!("the watcher failed: {e}")));
        let mut trace = match self.observer {
            Some(observer) => observer.finish(failure),
            None => {
                let mut trace = Trace::default();
                failure.into_iter().for_each(|why| trace.gap(why));
                trace
            }
        };
        trace.gaps.extend(self.responder.gaps);
        trace
    }

    /// Answers until nobody is left; says what is missing if it ends before.
    fn serve(&mut self, listener: &OwnedFd, stopped: &UnixStream) -> io::Result<Option<String>> {
        let listener = listener.as_fd();
        sys::wake_synchronously(listener);
        loop {
            match sys::wait(listener, stopped.as_fd())? {
                Woken::Ended => return Ok(None),
                Woken::Stopped => {
                    return Ok(Some(RAN_ON.to_owned()));
                }
                Woken::Notice => {}
            }
            let Some(notice) = sys::receive(listener)? else { continue };
            let reply = match self.look(&notice, || sys::is_waiting(listener, notice.id)) {
                // It was killed while it was looked at: what it was about to do did not happen.
                Err(_) if !sys::is_waiting(listener, notice.id) => continue,
                reply => reply?,
            };
            match reply {
                None => sys::let_go(listener, notice.id)?,
                Some(Reply::Value(value)) => sys::answer(listener, notice.id, value)?,
                Some(Reply::File(file, closes)) => {
                    sys::answer_with_file(listener, notice.id, file.as_fd(), closes)?;
                }
            }
        }
    }

    fn look(&mut self, notice: &Notice, is_real: impl Fn() -> bool) -> io::Result<Option<Reply>> {
        if let Some(observer) = &mut self.observer {
            // Without answers all that is held is to be seen.
            let seen = self.answered.is_empty() || calls::holds(&self.observed, notice);
            if seen {
                observer.see(notice, &is_real)?;
            }
        }
        self.responder.answer(notice, is_real)
    }
}
