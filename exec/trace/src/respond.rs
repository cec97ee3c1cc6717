//! Answers calls instead of the kernel, as [`Answers`] says.

use std::collections::BTreeSet;
use std::io;

use rand_chacha::rand_core::RngCore;

use crate::answers::Answers;
use crate::device;
use crate::family::Family;
use crate::filter::{self, When};
use crate::image;
use crate::masks::Masks;
use crate::memory;
use crate::reply::{Reply, error, put};
use crate::sys::{self, Notice};

/// Most random bytes that the kernel gives at once.
const MAX_DRAW: u64 = (1 << 25) - 1;
/// How many are made at a time.
const PART: usize = 1 << 16;
/// Clocks that tell the time of day, by their numbers: `CLOCK_REALTIME`, its coarse form, and
/// `CLOCK_TAI`. Others count from some start, and programs use them to wait.
pub(crate) const TIME_OF_DAY: [u32; 3] =
    [libc::CLOCK_REALTIME as u32, libc::CLOCK_REALTIME_COARSE as u32, libc::CLOCK_TAI as u32];

const SECOND: u64 = 1_000_000_000;
/// By how much the time of day goes on each time that it is read, the first so many times.
const TICK: u64 = 1_000;
const FEW: u64 = 20;
/// By how much more each time after that, and by how much at most: who waits for a time, by whatever
/// means, gets there.
const GROWTH: u64 = 1_000_000;
const MOST: u64 = 100_000_000;
/// Programs that wait until some time have worked that out a moment ago. What is left of a sleep
/// is taken for the next multiple of this.
const GRAIN: u64 = 10_000_000;

/// Whether what a process starts with has to be changed.
fn change_images(answers: &Answers) -> bool {
    answers.entropy.is_some() || answers.time.is_some()
}

/// The calls that have to be held to answer them, or to know which process is which.
pub(crate) fn rules(answers: &Answers) -> Vec<(u32, When)> {
    let mut rules = Vec::new();
    if answers.processors.is_some() {
        rules.push((libc::SYS_sched_getaffinity, When::Always));
        rules.push((libc::SYS_sched_setaffinity, When::Always));
    }
    if answers.entropy.is_some() {
        rules.push((libc::SYS_getrandom, When::Always));
        rules.push((libc::SYS_openat, When::Always));
        rules.push((libc::SYS_openat2, When::Always));
        #[cfg(target_arch = "x86_64")]
        rules.push((libc::SYS_open, When::Always));
    }
    if answers.time.is_some() {
        rules.push((libc::SYS_clock_gettime, When::IfOneOf(0, TIME_OF_DAY)));
        rules.push((libc::SYS_gettimeofday, When::Always));
        rules.push((libc::SYS_nanosleep, When::Always));
        rules.push((libc::SYS_clock_nanosleep, When::Always));
        // Without files to wait for they sleep.
        rules.push((libc::SYS_pselect6, When::IfOneOf(0, [0; 3])));
        rules.push((libc::SYS_ppoll, When::IfOneOf(1, [0; 3])));
        #[cfg(target_arch = "x86_64")]
        rules.push((libc::SYS_select, When::IfOneOf(0, [0; 3])));
        #[cfg(target_arch = "x86_64")]
        rules.push((libc::SYS_poll, When::IfOneOf(1, [0; 3])));
        #[cfg(target_arch = "x86_64")]
        rules.push((libc::SYS_time, When::Always));
    }
    if change_images(answers) {
        // Both C libraries make this call once when a program starts, before anything of its own.
        rules.push((libc::SYS_set_tid_address, When::Always));
        rules.push((libc::SYS_execve, When::Always));
        rules.push((libc::SYS_execveat, When::Always));
        rules.push((libc::SYS_clone, When::Always));
        rules.push((libc::SYS_clone3, When::Always));
        #[cfg(target_arch = "x86_64")]
        for number in [libc::SYS_fork, libc::SYS_vfork] {
            rules.push((number, When::Always));
        }
    }
    rules.into_iter().map(|(n, when)| (u32::try_from(n).expect("it is small"), when)).collect()
}

/// Who answers.
pub(crate) struct Responder {
    answers: Answers,
    family: Family,
    masks: Masks,
    /// What could not be answered, in words.
    pub(crate) gaps: BTreeSet<String>,
}

impl Responder {
    pub(crate) fn new(answers: Answers) -> Responder {
        let family = Family::new(answers.entropy.unwrap_or(0));
        Responder { answers, family, masks: Masks::default(), gaps: BTreeSet::new() }
    }

    /// What the call of `notice` is answered with; none if the kernel is to answer it. `is_real`
    /// says whether the thread still waits, so that its memory is its own.
    ///
    /// # Errors
    ///
    /// If memory of the process cannot be reached.
    pub(crate) fn answer(
        &mut self,
        notice: &Notice,
        is_real: impl Fn() -> bool,
    ) -> io::Result<Option<Reply>> {
        if self.answers.is_empty() || notice.arch != filter::NATIVE {
            return Ok(None);
        }
        let (thread, args) = (notice.thread, notice.args);
        let number = libc::c_long::from(notice.number);
        if change_images(&self.answers) {
            self.look_at_image(number, thread, &is_real);
        }
        let Answers { processors, entropy, time } = self.answers;
        let wants_time = time.is_some();
        match number {
            libc::SYS_sched_getaffinity => match processors {
                None => Ok(None),
                Some(count) => self.masks.get(thread, args, count, &is_real),
            },
            libc::SYS_sched_setaffinity => match processors {
                None => Ok(None),
                Some(count) => self.masks.set(thread, args, count),
            },
            libc::SYS_getrandom if entropy.is_some() => {
                self.draw(thread, args[0], args[1].min(MAX_DRAW), &is_real)
            }
            libc::SYS_openat if entropy.is_some() => self.open(thread, args[1], args[2], &is_real),
            libc::SYS_openat2 if entropy.is_some() => {
                let flags = memory::number(thread, args[2])?.unwrap_or(0);
                self.open(thread, args[1], flags, &is_real)
            }
            #[cfg(target_arch = "x86_64")]
            libc::SYS_open if entropy.is_some() => self.open(thread, args[0], args[1], &is_real),
            libc::SYS_clone if entropy.is_some() || wants_time => {
                self.family.grows(thread, is_process(args[0]));
                Ok(None)
            }
            libc::SYS_clone3 if entropy.is_some() || wants_time => {
                let flags = memory::number(thread, args[0])?.unwrap_or(0);
                self.family.grows(thread, is_process(flags));
                Ok(None)
            }
            #[cfg(target_arch = "x86_64")]
            libc::SYS_fork | libc::SYS_vfork if entropy.is_some() || wants_time => {
                self.family.grows(thread, true);
                Ok(None)
            }
            libc::SYS_clock_gettime if wants_time && TIME_OF_DAY.contains(&(args[0] as u32)) => {
                let Some((seconds, nanoseconds)) = self.read_time(thread) else { return Ok(None) };
                put(thread, args[1], &pair(seconds, nanoseconds), &is_real)
            }
            libc::SYS_gettimeofday if wants_time => {
                let Some((seconds, nanoseconds)) = self.read_time(thread) else { return Ok(None) };
                // A time zone that the kernel has is nobody's: it has been zero for decades.
                let zone = if args[1] == 0 { &[][..] } else { &[0; 8] };
                if matches!(put(thread, args[1], zone, &is_real)?, Some(Reply::Value(n)) if n < 0) {
                    return Ok(error(libc::EFAULT));
                }
                let time = pair(seconds, nanoseconds / 1000);
                let time = if args[0] == 0 { &[][..] } else { &time };
                put(thread, args[0], time, &is_real)
            }
            #[cfg(target_arch = "x86_64")]
            libc::SYS_time if wants_time => {
                let Some((seconds, _)) = self.read_time(thread) else { return Ok(None) };
                let copy = if args[0] == 0 { &[][..] } else { &seconds.to_le_bytes() };
                match put(thread, args[0], copy, &is_real)? {
                    Some(Reply::Value(0)) => Ok(Some(Reply::Value(seconds))),
                    other => Ok(other),
                }
            }
            libc::SYS_nanosleep if wants_time => {
                self.sleep(thread, duration(thread, args[0], 1)?);
                Ok(None)
            }
            libc::SYS_pselect6 if wants_time && args[0] == 0 => {
                self.sleep(thread, duration(thread, args[4], 1)?);
                Ok(None)
            }
            libc::SYS_ppoll if wants_time && args[1] == 0 => {
                self.sleep(thread, duration(thread, args[2], 1)?);
                Ok(None)
            }
            #[cfg(target_arch = "x86_64")]
            libc::SYS_select if wants_time && args[0] == 0 => {
                self.sleep(thread, duration(thread, args[4], 1000)?);
                Ok(None)
            }
            #[cfg(target_arch = "x86_64")]
            libc::SYS_poll if wants_time && args[1] == 0 => {
                let milliseconds = u64::try_from(args[2] as i32).unwrap_or(0);
                self.sleep(thread, milliseconds * 1_000_000);
                Ok(None)
            }
            libc::SYS_clock_nanosleep if wants_time => {
                self.sleep_by(thread, args)?;
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    /// A process that is about to become a program has a new image at its next call.
    fn look_at_image(&mut self, number: libc::c_long, thread: i32, is_real: &impl Fn() -> bool) {
        let Some((id, process)) = self.family.of(thread) else { return };
        if matches!(number, libc::SYS_execve | libc::SYS_execveat) {
            process.fresh = true;
            return;
        }
        if !process.fresh || !is_real() {
            return;
        }
        process.fresh = false;
        let random = self.answers.entropy.map(|_| process.key.at_start());
        if let Err(e) = image::change(id, random, self.answers.time.is_some()) {
            self.gaps.insert(format!("clock and entropy of a process could not be set: {e}"));
        }
    }

    fn draw(
        &mut self,
        thread: i32,
        to: u64,
        len: u64,
        is_real: &impl Fn() -> bool,
    ) -> io::Result<Option<Reply>> {
        let Some((_, process)) = self.family.of(thread) else { return Ok(None) };
        let mut stream = process.key.draws(process.drawn);
        process.drawn += len.div_ceil(4);
        let mut bytes = vec![0; PART.min(len as usize)];
        let mut done = 0;
        while done < len {
            let part = bytes.len().min((len - done) as usize);
            stream.fill_bytes(&mut bytes[..part]);
            match put(thread, to + done, &bytes[..part], is_real)? {
                Some(Reply::Value(0)) => done += part as u64,
                other => return Ok(other),
            }
        }
        Ok(Some(Reply::Value(done as i64)))
    }

    /// A device of random bytes is replaced by a stream of ours.
    fn open(
        &mut self,
        thread: i32,
        path: u64,
        flags: u64,
        is_real: &impl Fn() -> bool,
    ) -> io::Result<Option<Reply>> {
        let flags = flags as i32;
        let Some(path) = memory::text(thread, path)?.filter(|_| is_real()) else { return Ok(None) };
        // Who only writes to it adds to what is random for others.
        if !device::is_random(&path) || flags & libc::O_ACCMODE == libc::O_WRONLY {
            return Ok(None);
        }
        let Some((_, process)) = self.family.of(thread) else { return Ok(None) };
        let stream = process.key.device(process.devices);
        process.devices += 1;
        let file = device::file(&path, stream)?;
        Ok(Some(Reply::File(file, flags & libc::O_CLOEXEC != 0)))
    }

    /// The time of day of a process, in seconds and nanoseconds, which then goes on.
    fn read_time(&mut self, thread: i32) -> Option<(i64, u64)> {
        let start = self.answers.time?;
        let (id, _) = self.family.of(thread)?;
        self.family.settle(id);
        let (_, process) = self.family.of(thread)?;
        process.reads += 1;
        let more = match process.reads.saturating_sub(FEW) {
            0 => TICK,
            more => more.saturating_mul(GROWTH).min(MOST),
        };
        process.passed = process.passed.saturating_add(more);
        let seconds = start.saturating_add((process.passed / SECOND) as i64);
        Some((seconds, process.passed % SECOND))
    }

    fn sleep(&mut self, thread: i32, nanoseconds: u64) {
        if let Some((_, process)) = self.family.of(thread) {
            process.passed = process.passed.saturating_add(nanoseconds);
        }
    }

    /// `clock_nanosleep`: for so long, or until a clock says so.
    fn sleep_by(&mut self, thread: i32, args: [u64; 6]) -> io::Result<()> {
        let asked = duration(thread, args[2], 1)?;
        if args[1] as i32 & libc::TIMER_ABSTIME == 0 {
            self.sleep(thread, asked);
        } else if TIME_OF_DAY.contains(&(args[0] as u32)) {
            let start = (self.answers.time.unwrap_or(0).max(0) as u64).saturating_mul(SECOND);
            if let Some((_, process)) = self.family.of(thread) {
                process.passed = process.passed.max(asked.saturating_sub(start));
            }
        } else {
            let left = asked.saturating_sub(sys::monotonic());
            self.sleep(thread, left.div_ceil(GRAIN).saturating_mul(GRAIN));
        }
        Ok(())
    }
}

fn is_process(flags: u64) -> bool {
    flags & libc::CLONE_THREAD as u64 == 0
}

/// Two numbers of eight bytes, as the system has times.
fn pair(seconds: i64, rest: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&seconds.to_le_bytes());
    bytes[8..].copy_from_slice(&rest.to_le_bytes());
    bytes
}

/// A time in the memory of a process, in nanoseconds; its second part counts so many of them. Zero for
/// none, and for one that makes no sense, at which the call itself fails.
fn duration(thread: i32, at: u64, unit: u64) -> io::Result<u64> {
    if at == 0 {
        return Ok(0);
    }
    let seconds = memory::number(thread, at)?.unwrap_or(0);
    let rest = memory::number(thread, at.wrapping_add(8))?.unwrap_or(0).saturating_mul(unit);
    let sane = i64::try_from(seconds).is_ok() && rest < SECOND;
    Ok(if sane { seconds.saturating_mul(SECOND).saturating_add(rest) } else { 0 })
}
