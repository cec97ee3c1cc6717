//! Watches a process tree as a debugger does, where the kernel does not ask us (before Linux 5.5), or
//! asks somebody above us already: a `lab run` in a `lab run`, a container.
//!
//! The thread has seized the processes and is told of their stops. With a filter they stop at the calls
//! that are looked at; where the filter of somebody above us would come first, at every call, which
//! costs several times as much. Nothing can be answered in place of the kernel. A debugger within sees
//! nothing.

use std::collections::{BTreeSet, HashSet};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use crate::calls;
use crate::filter::When;
use crate::observe::Observer;
use crate::ptrace::{self, Go, Side, Stop};
use crate::record::Trace;
use crate::sys::Notice;

/// What a record lacks that holds nothing.
pub(crate) const UNSEEN: &str = "the command was never watched";

/// The processes that are seized, so that they can be ended.
pub(crate) type Seized = Arc<Mutex<BTreeSet<i32>>>;

/// What the thread does.
pub(crate) struct Follower {
    observer: Observer,
    /// The calls that it looks at, sorted by number.
    rules: Vec<(u32, When)>,
    /// Whether it stops tasks at every call.
    every: bool,
    seized: Seized,
    /// What is missing from the record, in words.
    gaps: BTreeSet<String>,
}

impl Follower {
    pub(crate) fn new(observer: Observer, every: bool, seized: Seized) -> Follower {
        let mut rules = calls::rules();
        rules.sort_unstable_by_key(|(number, _)| *number);
        Follower { observer, rules, every, seized, gaps: BTreeSet::new() }
    }

    /// Waits for a process to say who it is, seizes it, lets it go on, and looks at all that it does.
    pub(crate) fn follow(mut self, socket: &mut UnixStream) -> Trace {
        let mut number = [0; 4];
        let failure = match socket.read_exact(&mut number) {
            Ok(()) => self.serve(i32::from_le_bytes(number), socket),
            // It could not be started.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(Some(UNSEEN.to_owned())),
            Err(e) => Err(e),
        };
        // What is still seized when this thread ends is killed by the kernel.
        let failure = failure.unwrap_or_else(|e| Some(format!("the watcher failed: {e}")));
        let mut trace = self.observer.finish(failure);
        trace.gaps.extend(self.gaps);
        trace
    }

    fn serve(&mut self, main: i32, socket: &mut UnixStream) -> io::Result<Option<String>> {
        ptrace::seize(main)?;
        self.meet(main);
        let (mut greeted, mut is_program, mut executes, mut seen) = (false, false, false, false);
        // Tasks of which a call has begun and not ended.
        let mut calling = HashSet::new();
        while let Some((task, stop)) = ptrace::wait()? {
            let mut signal = 0;
            match stop {
                Stop::Ended => {
                    calling.remove(&task);
                    self.forget(task);
                    continue;
                }
                Stop::Held => {
                    if let Some(Side::Begin(notice)) = ptrace::call(task, true)? {
                        seen = true;
                        self.look(&notice)?;
                    }
                }
                Stop::Call => {
                    let began = calling.insert(task);
                    if !began {
                        calling.remove(&task);
                    }
                    match ptrace::call(task, began)? {
                        Some(Side::Begin(notice)) => {
                            if self.every {
                                seen = true;
                                self.look(&notice)?;
                            }
                            executes |= task == main && !is_program && is_execution(&notice);
                        }
                        // The program is not there. What remains of us in the child ends, and is awaited
                        // by who started it: it must not be ours.
                        Some(Side::End(value)) if task == main && executes && !is_program => {
                            executes = false;
                            if value < 0 && value != -i64::from(libc::ENOEXEC) {
                                self.forget(task);
                                ptrace::release(task)?;
                                continue;
                            }
                        }
                        _ => {}
                    }
                }
                Stop::Program => is_program |= task == main,
                // Who started it waits for it; a process that we hold would be ours to await.
                Stop::Ending if task == main => {
                    self.forget(task);
                    ptrace::release(task)?;
                    continue;
                }
                Stop::Ending => {}
                Stop::Suspended => {}
                Stop::Other => self.meet(task),
                Stop::Signal(number) => signal = number,
            }
            let how = match stop {
                Stop::Suspended => Go::Listen,
                // Until it is a program, all is seen that it does, so that it is let go of in time.
                _ if self.every || task == main && !is_program => Go::ToCall,
                _ => Go::On,
            };
            ptrace::go(task, how, signal)?;
            if !greeted {
                greeted = true;
                socket.write_all(&[0])?;
            }
        }
        // Where somebody's filter comes before ours, it never stops for us.
        Ok((!seen).then(|| UNSEEN.to_owned()))
    }

    fn look(&mut self, notice: &Notice) -> io::Result<()> {
        if self.every && notice.number == libc::SYS_io_uring_setup as i32 {
            self.gaps.insert("io_uring was used, which opens files unseen".to_owned());
        }
        // A filter has held only what is to be seen.
        if self.every && !calls::holds(&self.rules, notice) {
            return Ok(());
        }
        match self.observer.see(notice, || true) {
            // It was killed while it was looked at.
            Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            seen => seen,
        }
    }

    fn meet(&self, task: i32) {
        self.seized.lock().unwrap_or_else(PoisonError::into_inner).insert(task);
    }

    fn forget(&self, task: i32) {
        self.seized.lock().unwrap_or_else(PoisonError::into_inner).remove(&task);
    }
}

/// Ends all that is seized; whether there was any.
pub(crate) fn end(seized: &Seized) -> bool {
    let seized = seized.lock().unwrap_or_else(PoisonError::into_inner);
    seized.iter().for_each(|task| ptrace::kill(*task));
    !seized.is_empty()
}

fn is_execution(notice: &Notice) -> bool {
    matches!(calls::action(notice), Some(calls::Action::Execute(..)))
}
