//! The mechanics of one child process: start, tee, wait, limit, and leave nothing running.
//!
//! One thread does it all, in a poll loop over the two pipes and the process itself, so there is
//! no thread left to hang on a pipe that some daemon keeps open. Every way out, errors included,
//! ends with the whole process group killed.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lab_schema::Place;
use lab_seal::Seal;
use lab_trace::{Answers, Watch, Watching};

use crate::error::{At, ProcessError, Result};
use crate::guardian::Guardian;
use crate::inherited::Inherited;
use crate::interrupt::Guard;
use crate::launch::{Echo, Ended, Exit, Launch};
use crate::note::Note;
use crate::processors;
use crate::stragglers;
use crate::sys::{self, Reaped};
use crate::tee::Tee;
use crate::told;

/// How long to wait at most before looking at clocks and signals again.
const TICK: Duration = Duration::from_millis(100);
/// The same where the system cannot say at once that a process ended.
const SHORT_TICK: Duration = Duration::from_millis(5);
/// How long helpers have to notice that the command has ended: resource trackers of process
/// pools, for example, end when their pipe closes.
const HELPERS_GRACE: Duration = Duration::from_millis(500);
/// How long killed processes have to disappear, and their pipes to close.
const KILL_GRACE: Duration = Duration::from_secs(2);

/// How a command is started.
#[derive(Clone, Copy)]
enum Way<'a> {
    Plain,
    Watched,
    /// In a box, where it was recorded, with what it inherited then; watched or not.
    Boxed(&'a Seal<'a>, &'a Place, &'a Inherited, bool),
}

/// Runs a prepared command to its end, under watch or not.
pub(crate) fn run(launch: &Launch<'_>, watched: bool) -> Result<Ended> {
    run_as(launch, if watched { Way::Watched } else { Way::Plain })
}

/// Runs a command in a box, as it was in its place, under watch or not.
pub(crate) fn run_in(
    launch: &Launch<'_>,
    seal: &Seal<'_>,
    place: &Place,
    inherited: &Inherited,
    watched: bool,
) -> Result<Ended> {
    run_as(launch, Way::Boxed(seal, place, inherited, watched))
}

fn run_as(launch: &Launch<'_>, way: Way<'_>) -> Result<Ended> {
    let program = launch.argv.first().map_or("", String::as_str);
    let watch =
        |verb| move |source| ProcessError::Watch { verb, program: program.to_owned(), source };
    let guard = Guard::new().map_err(watch("catch signals for"))?;
    let copied = sys::resident_bytes();
    let started_ms = now_ms();
    let started = Instant::now();
    let mut child = Child::start(launch, way)?;
    let registered = guard.register(child.pid);
    if let Some(signal) = guard.arrived() {
        // It came before the handler knew the group.
        sys::signal_group(child.pid, signal).map_err(watch("stop"))?;
    }
    let mut stop = Stop::new(started, launch);

    let reaped = loop {
        if let Some(reaped) = child.try_wait().map_err(watch("wait for"))? {
            break reaped;
        }
        stop.step(child.pid, guard.arrived(), registered.is_listed()).map_err(watch("stop"))?;
        let tick = if child.descriptor.is_some() { TICK } else { SHORT_TICK };
        child.listen(stop.next(tick))?;
    };
    let duration = started.elapsed();
    let mut notes = child.clean_up()?;
    notes.extend(child.finish()?);
    notes.extend(child.hunt());
    // All that could be found has ended; what could not must not keep us.
    let trace = child.watch.take().map(|watch| watch.finish_within(HELPERS_GRACE));
    if let Some(signal) = guard.arrived() {
        return Err(ProcessError::Interrupted { signal });
    }

    let exit = match (stop.timed_out, reaped.status.code(), reaped.status.signal()) {
        (true, ..) => Exit::TimedOut,
        (_, Some(code), _) => Exit::Code(code),
        (.., signal) => Exit::Signal(signal.unwrap_or(0)),
    };
    // Between fork and exec the child is a copy of us, and the system counts that in: what it says
    // at the end holds only above that.
    let peak_memory_bytes = Some(reaped.peak_memory_bytes).filter(|peak| *peak > copied);
    Ok(Ended { exit, started_ms, duration, peak_memory_bytes, notes, trace })
}

/// A child and its two streams. Dropping it kills and reaps.
struct Child<'a> {
    launch: &'a Launch<'a>,
    /// Its process, and its process group.
    pid: i32,
    /// Its start time, for telling its descendants from older processes.
    started: u64,
    reaped: bool,
    /// Whether all that it left running is known to be gone.
    cleaned: bool,
    descriptor: Option<OwnedFd>,
    streams: Vec<Tee<'a>>,
    watch: Option<Watch>,
    /// Ends the run if we are killed.
    guardian: Option<Guardian>,
}

impl<'a> Child<'a> {
    fn start(launch: &'a Launch<'a>, way: Way<'_>) -> Result<Child<'a>> {
        let Some((name, arguments)) = launch.argv.split_first() else {
            return Err(ProcessError::NoProgram { program: String::new(), path: None });
        };
        let mut command = Command::new(launch.program);
        command.arg0(name).args(arguments);
        command.env_clear().envs(launch.variables);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0);
        sys::prepare(&mut command, launch.limits.memory_bytes);
        let mut answers = told::answers(launch.variables)?;
        if !answers.is_empty() {
            lab_trace::can_answer().map_err(ProcessError::CannotAnswer)?;
        }
        let begun = match way {
            Way::Plain => {
                command.current_dir(launch.directory);
                started(&mut command, None, &answers)
            }
            Way::Watched => {
                command.current_dir(launch.directory);
                let watching = Watching { spool: launch.spool, inside: false };
                started(&mut command, Some(&watching), &answers)
            }
            Way::Boxed(seal, place, inherited, watched) => {
                processors::restrict(&mut command, place.cpus);
                if processors::count() < place.cpus && lab_trace::can_answer().is_ok() {
                    answers.processors = Some(place.cpus);
                }
                sys::inherit(&mut command, inherited.limits.clone(), inherited.fixed);
                let sealed = lab_seal::seal(&mut command, seal).at("make a box in", seal.base);
                sealed?;
                // In the box, so that the box itself is made as ever.
                sys::mask_permissions(&mut command, place.umask);
                let watching = Watching { spool: launch.spool, inside: true };
                started(&mut command, Some(&watching).filter(|_| watched), &answers)
            }
        };
        let (mut process, watch) = begun.map_err(|source| match lab_seal::obstacle(&source) {
            Some(obstacle) => ProcessError::NoBox(obstacle),
            None => ProcessError::Start { program: name.clone(), source },
        })?;
        let pid = i32::try_from(process.id()).expect("process ids are positive 32-bit numbers");
        let descriptor = sys::process_descriptor(pid);
        // From here on the drop of this value stops the process if anything fails.
        let mut child = Child {
            launch,
            pid,
            started: stragglers::start_time(pid),
            reaped: false,
            cleaned: false,
            descriptor,
            streams: Vec::new(),
            watch,
            guardian: None,
        };
        if let Some(program) = launch.guardian {
            let started = Guardian::start(program, pid, child.started, launch.scratch);
            let failed =
                |source| ProcessError::Watch { verb: "guard", program: name.clone(), source };
            child.guardian = Some(started.map_err(failed)?);
        }
        if let Some(pipe) = process.stdout.take() {
            child.tee("stdout", pipe.into(), Box::new(io::stdout()))?;
        }
        if let Some(pipe) = process.stderr.take() {
            child.tee("stderr", pipe.into(), Box::new(io::stderr()))?;
        }
        Ok(child)
    }

    fn tee(&mut self, name: &'static str, pipe: OwnedFd, ours: Box<dyn Write>) -> Result<()> {
        let path = if name == "stdout" { self.launch.stdout } else { self.launch.stderr };
        let echo: Option<Box<dyn Write>> = match self.launch.echo {
            Echo::Through => Some(ours),
            Echo::Quiet => None,
        };
        self.streams.push(Tee::new(name, pipe, path, self.launch.max_log_bytes, echo)?);
        Ok(())
    }

    fn try_wait(&mut self) -> io::Result<Option<Reaped>> {
        let reaped = sys::try_wait(self.pid)?;
        if reaped.is_some() {
            self.reaped = true;
            self.descriptor = None;
        }
        Ok(reaped)
    }

    /// Takes in what the streams have, or waits until they have, or the process ends.
    fn listen(&mut self, timeout: Duration) -> Result<()> {
        let streams = self.streams.iter().filter_map(Tee::descriptor);
        let descriptors: Vec<_> =
            streams.chain(self.descriptor.as_ref().map(AsFd::as_fd)).collect();
        let ready = sys::poll(&descriptors, timeout).map_err(|source| ProcessError::Watch {
            verb: "listen to",
            program: self.launch.argv[0].clone(),
            source,
        })?;
        let open = self.streams.iter_mut().filter(|tee| tee.descriptor().is_some());
        // The two lists are equally long but for the process itself, which comes last.
        for (tee, _) in open.zip(ready).filter(|(_, ready)| *ready) {
            tee.pump()?;
        }
        Ok(())
    }

    fn is_open(&self) -> bool {
        self.streams.iter().any(|tee| tee.descriptor().is_some())
    }

    /// After the main process has ended: gives helpers a moment, kills what remains, and takes
    /// in the rest of the output.
    fn clean_up(&mut self) -> Result<Vec<Note>> {
        let mut notes = Vec::new();
        let until = Instant::now() + HELPERS_GRACE;
        let mut left = self.stragglers();
        while !left.is_empty() && Instant::now() < until {
            self.rest()?;
            left = self.stragglers();
        }
        if !left.is_empty() {
            let mut names: Vec<String> = left.iter().map(|process| process.name.clone()).collect();
            names.sort();
            notes.push(Note::LeftBehind(names));
        }
        let until = Instant::now() + KILL_GRACE;
        while !left.is_empty() && Instant::now() < until {
            self.kill(&left);
            self.rest()?;
            left = self.stragglers();
        }
        self.cleaned = true;
        let until = Instant::now() + KILL_GRACE;
        while self.is_open() {
            if Instant::now() >= until {
                notes.push(Note::StreamHeld);
                break;
            }
            self.listen(SHORT_TICK)?;
        }
        Ok(notes)
    }

    /// What is still watched is there, though it was not found: it was about to become a program, and had
    /// nothing by which it is known as ours.
    fn hunt(&self) -> Option<Note> {
        let is_left = || self.watch.as_ref().is_some_and(|watch| !watch.is_finished());
        let until = Instant::now() + HELPERS_GRACE;
        let mut names = std::collections::BTreeSet::new();
        while is_left() && Instant::now() < until {
            std::thread::sleep(SHORT_TICK);
            let left = self.stragglers();
            names.extend(left.iter().map(|process| process.name.clone()));
            self.kill(&left);
        }
        (!names.is_empty()).then(|| Note::LeftBehind(names.into_iter().collect()))
    }

    /// A short pause in which output is still taken in.
    fn rest(&mut self) -> Result<()> {
        if self.is_open() {
            return self.listen(SHORT_TICK);
        }
        std::thread::sleep(SHORT_TICK);
        Ok(())
    }

    fn stragglers(&self) -> Vec<stragglers::Straggler> {
        stragglers::running(self.pid, self.started, self.launch.scratch)
    }

    /// Kills the group and the stragglers. A process that is gone already, or is no longer ours
    /// to kill (setuid), is seen by the next look and named in a note; hence no error here.
    fn kill(&self, stragglers: &[stragglers::Straggler]) {
        // Once it has no member left, the group's number may mean somebody else's.
        if !self.reaped || stragglers.iter().any(|straggler| straggler.in_group) {
            let _ = sys::signal_group(self.pid, libc::SIGKILL);
        }
        for straggler in stragglers {
            let _ = sys::signal_process(straggler.pid, libc::SIGKILL);
        }
    }

    fn finish(&mut self) -> Result<Vec<Note>> {
        let mut notes = Vec::new();
        for tee in self.streams.drain(..) {
            notes.extend(tee.finish()?);
        }
        Ok(notes)
    }
}

/// Starts a command that is watched, or told something, or neither.
fn started(
    command: &mut Command,
    watching: Option<&Watching<'_>>,
    answers: &Answers,
) -> io::Result<(std::process::Child, Option<Watch>)> {
    if answers.is_empty() && watching.is_none() {
        return command.spawn().map(|child| (child, None));
    }
    lab_trace::spawn(command, watching, answers).map(|(child, watch)| (child, Some(watch)))
}

impl Drop for Child<'_> {
    fn drop(&mut self) {
        if self.cleaned {
            return;
        }
        self.kill(&self.stragglers());
        let until = Instant::now() + KILL_GRACE;
        while !self.reaped && matches!(self.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(SHORT_TICK);
        }
        self.kill(&self.stragglers());
    }
}

/// When and how a command is stopped before its own end: SIGTERM, and after a grace SIGKILL.
struct Stop {
    deadline: Option<Instant>,
    grace: Duration,
    timed_out: bool,
    kill_at: Option<Instant>,
}

impl Stop {
    fn new(started: Instant, launch: &Launch<'_>) -> Stop {
        let wall = launch.limits.wall_ms.map(Duration::from_millis);
        let deadline = wall.and_then(|wall| started.checked_add(wall));
        Stop { deadline, grace: launch.grace, timed_out: false, kill_at: None }
    }

    /// Does what is due now. `told`: the signal handler has passed an interruption on already.
    fn step(&mut self, group: i32, interrupted: Option<i32>, told: bool) -> io::Result<()> {
        let now = Instant::now();
        let over = self.deadline.is_some_and(|deadline| now >= deadline);
        match self.kill_at {
            Some(kill_at) if now >= kill_at => {
                sys::signal_group(group, libc::SIGKILL)?;
                // Should it survive even that (a process in the kernel's hands), try again.
                self.kill_at = Some(now + TICK);
            }
            Some(_) => {}
            None if over || interrupted.is_some() => {
                self.timed_out = over && interrupted.is_none();
                if self.timed_out || !told {
                    sys::signal_group(group, interrupted.unwrap_or(libc::SIGTERM))?;
                }
                self.kill_at = Some(now + self.grace);
            }
            None => {}
        }
        Ok(())
    }

    /// How long nothing is due, at most `tick`.
    fn next(&self, tick: Duration) -> Duration {
        let due = self.kill_at.or(self.deadline);
        due.map_or(tick, |due| due.saturating_duration_since(Instant::now()).min(tick))
    }
}

/// Now, in milliseconds since 1970-01-01T00:00:00Z; 0 for a clock that is set before it.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
