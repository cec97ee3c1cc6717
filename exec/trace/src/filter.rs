//! The filter that the kernel asks at every system call of a watched process: a program for the
//! kernel's small machine (BPF), built from a table of rules.
//!
//! Most calls are let through unconditionally; the kernel knows those after looking at the
//! filter once (5.11) and does not run it for them. The language of the machine is documented
//! in the kernel's `networking/filter.rst`, what it sees in `userspace-api/seccomp_filter.rst`.

use libc::sock_filter;

/// When a call is held until the watcher has looked at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Always.
    Always,
    /// Unless it is about a descriptor alone: an argument with `AT_EMPTY_PATH`, and another that
    /// is a descriptor and not the current folder. (C libraries do fstat so.)
    UnlessDescriptor {
        /// The argument that holds the folder's descriptor.
        folder: u8,
        /// The argument that holds the flags.
        flags: u8,
    },
    /// If an argument is not zero.
    IfGiven(u8),
    /// If an argument has one of these bits, all below 2^32.
    IfAnyOf(u8, u32),
    /// If the lower half of an argument is one of these.
    IfOneOf(u8, [u32; 3]),
    /// Unless the lower half of an argument is this.
    UnlessIs(u8, u32),
    /// Unless the lower halves of two arguments are these.
    UnlessBoth((u8, u32), (u8, u32)),
    /// It is not let through at all: the kernel answers that it does not know it.
    Refused,
}

/// The architecture whose system calls this crate knows.
#[cfg(target_arch = "x86_64")]
pub(crate) const NATIVE: u32 = 0xc000_003e;
/// The architecture whose system calls this crate knows.
#[cfg(target_arch = "aarch64")]
pub(crate) const NATIVE: u32 = 0xc000_00b7;

/// The other one that the processor may run: 32-bit programs.
#[cfg(target_arch = "x86_64")]
const FOREIGN: u32 = 0x4000_0003;
/// The other one that the processor may run: 32-bit programs.
#[cfg(target_arch = "aarch64")]
const FOREIGN: u32 = 0x4000_0028;

/// Of the other architecture, calls that no program can do without; they betray it.
#[cfg(target_arch = "x86_64")]
const BETRAYING: [u32; 4] = [5, 11, 295, 358]; // open, execve, openat, execveat
/// Of the other architecture, calls that no program can do without; they betray it.
#[cfg(target_arch = "aarch64")]
const BETRAYING: [u32; 4] = [5, 11, 322, 387];

/// Where in what the filter sees the number of the call, the architecture and the arguments are.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGS: u32 = 16;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
/// A call that is held waits for the thread that listens.
pub(crate) const NOTIFY: u32 = libc::SECCOMP_RET_USER_NOTIF;
/// A call that is held stops the task for its debugger.
pub(crate) const STOP: u32 = libc::SECCOMP_RET_TRACE;
const REFUSE: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;

/// Builds the filter. `rules` names each call at most once; `held` is what comes of one that is held.
pub(crate) fn build(rules: &[(u32, When)], held: u32) -> Vec<sock_filter> {
    let mut program = vec![load(ARCH)];
    program.extend([jump_equal(NATIVE, foreign_len(), 0)]);
    program.extend([jump_equal(FOREIGN, 1, 0), give(REFUSE), load(NUMBER)]);
    for number in BETRAYING {
        program.extend([jump_equal(number, 0, 1), give(held)]);
    }
    program.push(give(ALLOW));
    program.push(load(NUMBER));
    #[cfg(target_arch = "x86_64")]
    // The x32 variant of the calls, which hardly any kernel is built with.
    program.extend([jump_at_least(0x4000_0000, 0, 1), give(REFUSE)]);
    for (number, when) in rules {
        let body = body(*when, held);
        let len = u8::try_from(body.len()).expect("a rule is a few instructions");
        program.push(jump_equal(*number, 0, len));
        program.extend(body);
    }
    program.push(give(ALLOW));
    program
}

impl When {
    /// Whether a call with these arguments is held: what the filter answers, for those who have a
    /// call before them that another rule held.
    pub(crate) fn holds(self, args: &[u64; 6]) -> bool {
        let low = |arg: u8| args[usize::from(arg)] as u32;
        match self {
            When::Always => true,
            When::Refused => false,
            When::UnlessDescriptor { folder, flags } => {
                low(flags) & libc::AT_EMPTY_PATH as u32 == 0 || low(folder) == libc::AT_FDCWD as u32
            }
            When::IfGiven(arg) => args[usize::from(arg)] != 0,
            When::IfAnyOf(arg, bits) => low(arg) & bits != 0,
            When::IfOneOf(arg, values) => values.contains(&low(arg)),
            When::UnlessIs(arg, value) => low(arg) != value,
            When::UnlessBoth((arg, value), (other, its)) => low(arg) != value || low(other) != its,
        }
    }
}

/// How many instructions deal with the other architecture.
const fn foreign_len() -> u8 {
    3 + 2 * BETRAYING.len() as u8 + 1
}

fn body(when: When, held: u32) -> Vec<sock_filter> {
    match when {
        When::Always => vec![give(held)],
        When::Refused => vec![give(REFUSE)],
        When::UnlessDescriptor { folder, flags } => vec![
            load(low(flags)),
            jump_any(libc::AT_EMPTY_PATH as u32, 0, 2),
            load(low(folder)),
            jump_equal(libc::AT_FDCWD as u32, 0, 1),
            give(held),
            give(ALLOW),
        ],
        When::IfGiven(arg) => vec![
            load(low(arg)),
            jump_equal(0, 0, 2),
            load(low(arg) + 4),
            jump_equal(0, 1, 0),
            give(held),
            give(ALLOW),
        ],
        When::IfAnyOf(arg, bits) => {
            vec![load(low(arg)), jump_any(bits, 0, 1), give(held), give(ALLOW)]
        }
        When::IfOneOf(arg, [a, b, c]) => vec![
            load(low(arg)),
            jump_equal(a, 2, 0),
            jump_equal(b, 1, 0),
            jump_equal(c, 0, 1),
            give(held),
            give(ALLOW),
        ],
        When::UnlessIs(arg, value) => {
            vec![load(low(arg)), jump_equal(value, 1, 0), give(held), give(ALLOW)]
        }
        When::UnlessBoth((arg, value), (other, its)) => vec![
            load(low(arg)),
            jump_equal(value, 0, 2),
            load(low(other)),
            jump_equal(its, 1, 0),
            give(held),
            give(ALLOW),
        ],
    }
}

/// The lower half of an argument; both architectures are little-endian.
fn low(arg: u8) -> u32 {
    ARGS + 8 * u32::from(arg)
}

fn load(offset: u32) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset)
}

fn give(answer: u32) -> sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, 0, 0, answer)
}

/// Skips `yes` instructions if the loaded word is `value`, else `no`.
fn jump_equal(value: u32, yes: u8, no: u8) -> sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, yes, no, value)
}

#[cfg(target_arch = "x86_64")]
fn jump_at_least(value: u32, yes: u8, no: u8) -> sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, yes, no, value)
}

fn jump_any(bits: u32, yes: u8, no: u8) -> sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, yes, no, bits)
}

fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel's machine, as far as the filter uses it.
    fn answer(program: &[sock_filter], number: u32, arch: u32, args: [u64; 6]) -> u32 {
        let (mut at, mut word) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            let code = u32::from(code);
            let holds = match code & 0xf0 {
                libc::BPF_JEQ => word == k,
                libc::BPF_JGE => word >= k,
                _ => word & k != 0,
            };
            match code & 0x07 {
                libc::BPF_LD => {
                    word = match k {
                        NUMBER => number,
                        ARCH => arch,
                        _ => (args[(k as usize - 16) / 8] >> (8 * (k % 8))) as u32,
                    }
                }
                libc::BPF_RET => return k,
                _ => at += usize::from(if holds { jt } else { jf }),
            }
        }
    }

    #[test]
    fn each_rule_means_what_it_says() {
        let descriptor = When::UnlessDescriptor { folder: 0, flags: 3 };
        let rules = [
            (1, When::Always),
            (2, descriptor),
            (3, When::IfGiven(4)),
            (4, When::IfAnyOf(0, 0x20000)),
            (5, When::UnlessIs(0, 1)),
            (6, When::Refused),
            (8, When::UnlessBoth((1, 8), (2, 1))),
            (9, When::IfOneOf(0, [0, 5, 11])),
        ];
        let program = build(&rules, NOTIFY);
        let ask = |number, args| {
            let answer = answer(&program, number, NATIVE, args);
            if let Some((_, when)) = rules.iter().find(|(n, _)| *n == number) {
                assert_eq!(when.holds(&args), answer == NOTIFY, "{number} {args:?}");
            }
            answer
        };
        let arg = |i: usize, value: u64| {
            let mut args = [0; 6];
            args[i] = value;
            args
        };
        assert_eq!(ask(0, [0; 6]), ALLOW);
        assert_eq!(ask(7, [0; 6]), ALLOW);
        assert_eq!(ask(1, [0; 6]), NOTIFY);
        let here = libc::AT_FDCWD as u32 as u64;
        assert_eq!(ask(2, [5, 0, 0, 0, 0, 0]), NOTIFY);
        assert_eq!(ask(2, [5, 0, 0, 0x1100, 0, 0]), ALLOW);
        assert_eq!(ask(2, [here, 0, 0, 0x1000, 0, 0]), NOTIFY);
        assert_eq!(ask(2, [here, 0, 0, 0x100, 0, 0]), NOTIFY);
        assert_eq!(ask(3, [0; 6]), ALLOW);
        assert_eq!(ask(3, arg(4, 1)), NOTIFY);
        assert_eq!(ask(3, arg(4, 1 << 32)), NOTIFY);
        assert_eq!(ask(4, arg(0, 0x11)), ALLOW);
        assert_eq!(ask(4, arg(0, 0x20011)), NOTIFY);
        assert_eq!(ask(5, arg(0, 1)), ALLOW);
        assert_eq!(ask(5, arg(0, 2)), NOTIFY);
        assert_eq!(ask(6, [0; 6]), REFUSE);
        for (args, answer) in [([0, 8, 1], ALLOW), ([0, 8, 0], NOTIFY), ([0, 9, 1], NOTIFY)] {
            assert_eq!(ask(8, [args[0], args[1], args[2], 0, 0, 0]), answer);
        }
        for (clock, answer) in [(0, NOTIFY), (1, ALLOW), (5, NOTIFY), (11, NOTIFY), (12, ALLOW)] {
            assert_eq!(ask(9, arg(0, clock)), answer);
        }
    }

    #[test]
    fn other_architectures_do_not_slip_past() {
        let program = build(&[(1, When::Always)], NOTIFY);
        for number in BETRAYING {
            assert_eq!(answer(&program, number, FOREIGN, [0; 6]), NOTIFY);
        }
        assert_eq!(answer(&program, 1, FOREIGN, [0; 6]), ALLOW);
        assert_eq!(answer(&program, 1, 0x1234, [0; 6]), REFUSE);
        #[cfg(target_arch = "x86_64")]
        assert_eq!(answer(&program, 0x4000_0001, NATIVE, [0; 6]), REFUSE);
    }
}
