//! What Ctrl-C does while commands run.
//!
//! A command runs in a process group of its own, so that all its helpers can be stopped together
//! at a time limit and at the end. The price is that the terminal's Ctrl-C reaches only `lab`.
//! So while at least one command runs, `lab` catches the signals that ask it to end, and passes
//! them on to every group. The run then ends as [`ProcessError::Interrupted`], with its scratch
//! folder removed, and `lab` decides what to do next. A second signal kills.
//!
//! Signals that somebody else has set a handler for, or ignores (`nohup`), are left alone.
//! SIGKILL cannot be caught; the command then dies by the death signal that `sys::prepare` sets.
//!
//! [`ProcessError::Interrupted`]: crate::ProcessError::Interrupted

use std::io;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::sys;

const SIGNALS: [i32; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// The most commands that run at one time within this process.
const MAX_GROUPS: usize = 256;

/// The running groups; 0 is free. Read in the handler, hence atomics.
static GROUPS: [AtomicI32; MAX_GROUPS] = [const { AtomicI32::new(0) }; MAX_GROUPS];
/// How many signals have arrived since the first of the running commands was started.
static ARRIVED: AtomicU32 = AtomicU32::new(0);
/// The first of them.
static FIRST: AtomicI32 = AtomicI32::new(0);
/// How many guards exist, and which signals the first one caught.
static GUARDS: Mutex<(usize, Vec<i32>)> = Mutex::new((0, Vec::new()));

extern "C" fn pass_on(signal: i32) {
    let again = ARRIVED.fetch_add(1, Ordering::SeqCst) > 0;
    if !again {
        FIRST.store(signal, Ordering::SeqCst);
    }
    for group in &GROUPS {
        let group = group.load(Ordering::SeqCst);
        sys::signal_group_in_handler(group, if again { libc::SIGKILL } else { signal });
    }
}

/// While it lives, signals that ask `lab` to end are caught.
pub(crate) struct Guard(());

/// A group that caught signals are passed on to, while it lives.
pub(crate) struct Registered<'a> {
    place: Option<&'static AtomicI32>,
    _guard: &'a Guard,
}

impl Guard {
    /// Starts to catch.
    pub(crate) fn new() -> io::Result<Guard> {
        let mut guards = GUARDS.lock().unwrap_or_else(PoisonError::into_inner);
        if guards.0 == 0 {
            ARRIVED.store(0, Ordering::SeqCst);
            for signal in SIGNALS {
                if sys::catch(signal, pass_on)? {
                    guards.1.push(signal);
                }
            }
        }
        guards.0 += 1;
        Ok(Guard(()))
    }

    /// The first signal that arrived, if one did.
    pub(crate) fn arrived(&self) -> Option<i32> {
        (ARRIVED.load(Ordering::SeqCst) > 0).then(|| FIRST.load(Ordering::SeqCst))
    }

    /// Passes signals on to `group` from now on. Ask [`Guard::arrived`] afterwards: a signal may
    /// have come before.
    pub(crate) fn register(&self, group: i32) -> Registered<'_> {
        let free = |place: &&AtomicI32| {
            place.compare_exchange(0, group, Ordering::SeqCst, Ordering::SeqCst).is_ok()
        };
        // With every place taken the group is still stopped by the thread that awaits it.
        Registered { place: GROUPS.iter().find(free), _guard: self }
    }
}

impl Registered<'_> {
    /// Whether the handler knows the group.
    pub(crate) fn is_listed(&self) -> bool {
        self.place.is_some()
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            place.store(0, Ordering::SeqCst);
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut guards = GUARDS.lock().unwrap_or_else(PoisonError::into_inner);
        guards.0 -= 1;
        if guards.0 == 0 {
            for signal in guards.1.drain(..) {
                // It was set before, so it can be unset; and a destructor has nobody to tell.
                let _ = sys::release(signal);
            }
        }
    }
}
