//! What the command may not ask of the kernel, because no namespace divides it: a program for the
//! kernel's small machine (BPF), which it runs at system calls.
//!
//! The machine is documented in the kernel's `networking/filter.rst`, what it sees in
//! `userspace-api/seccomp_filter.rst`.

use libc::sock_filter;

/// Processors as the kernel names them, each with the numbers of the calls that matter here.
struct Machine {
    arch: u32,
    socket: u32,
    ioctl: u32,
    /// Keyrings are a user's, not a namespace's; io_uring does what is refused here without a call.
    refused: &'static [u32],
}

/// `add_key`, `request_key`, `keyctl`, `io_uring_setup`; on x86 in 32 bits also `socketcall`, which
/// hides what it is about.
#[cfg(target_arch = "x86_64")]
const MACHINES: [Machine; 2] = [
    Machine { arch: 0xc000_003e, socket: 41, ioctl: 16, refused: &[248, 249, 250, 425] },
    Machine { arch: 0x4000_0003, socket: 359, ioctl: 54, refused: &[286, 287, 288, 425, 102] },
];
/// `add_key`, `request_key`, `keyctl`, `io_uring_setup`.
#[cfg(target_arch = "aarch64")]
const MACHINES: [Machine; 2] = [
    Machine { arch: 0xc000_00b7, socket: 198, ioctl: 29, refused: &[217, 218, 219, 425] },
    Machine { arch: 0x4000_0028, socket: 281, ioctl: 54, refused: &[309, 310, 311, 425] },
];

/// The kinds of sockets that a network namespace divides. Others (such as those between a virtual
/// machine and its host) would lead out.
const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Requests that type into a terminal, should a stream be one: `TIOCSTI`, `TIOCLINUX`.
const TYPING: [u32; 2] = [0x5412, 0x541c];

/// Where in what the filter sees the number of the call, the architecture and the arguments are.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const FIRST: u32 = 16;
const SECOND: u32 = 24;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

/// Builds the filter.
pub(crate) fn build() -> Vec<sock_filter> {
    let mut program = vec![load(ARCH)];
    for machine in MACHINES {
        let rules = rules(&machine);
        let len = u8::try_from(rules.len()).expect("a few rules of a few instructions");
        program.push(if_equal(machine.arch, 0, len));
        program.extend(rules);
    }
    program.push(refuse(libc::ENOSYS));
    program
}

fn rules(machine: &Machine) -> Vec<sock_filter> {
    let mut rules = vec![load(NUMBER)];
    if cfg!(target_arch = "x86_64") {
        // The x32 variant of the calls, which hardly any kernel is built with.
        rules.extend([if_at_least(0x4000_0000, 0, 1), refuse(libc::ENOSYS)]);
    }
    for number in machine.refused {
        rules.extend([if_equal(*number, 0, 1), refuse(libc::ENOSYS)]);
    }
    rules.extend([if_equal(machine.socket, 0, 2 + 2 * FAMILIES.len() as u8), load(FIRST)]);
    for family in FAMILIES {
        rules.extend([if_equal(family as u32, 0, 1), allow()]);
    }
    rules.extend([refuse(libc::EAFNOSUPPORT)]);
    rules.extend([if_equal(machine.ioctl, 0, 1 + 2 * TYPING.len() as u8), load(SECOND)]);
    for request in TYPING {
        rules.extend([if_equal(request, 0, 1), refuse(libc::EPERM)]);
    }
    rules.push(allow());
    rules
}

fn load(offset: u32) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset)
}

fn allow() -> sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, 0, 0, ALLOW)
}

fn refuse(error: i32) -> sock_filter {
    let answer = libc::SECCOMP_RET_ERRNO | error as u32;
    instruction(libc::BPF_RET | libc::BPF_K, 0, 0, answer)
}

/// Skips `yes` instructions if the loaded word is `value`, else `no`.
fn if_equal(value: u32, yes: u8, no: u8) -> sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, yes, no, value)
}

fn if_at_least(value: u32, yes: u8, no: u8) -> sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, yes, no, value)
}

fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel's machine, as far as the filter uses it.
    fn answer(program: &[sock_filter], number: u32, arch: u32, args: [u64; 2]) -> u32 {
        let (mut at, mut word) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at];
            at += 1;
            let code = u32::from(code);
            let holds = if code & 0xf0 == libc::BPF_JGE { word >= k } else { word == k };
            match code & 0x07 {
                libc::BPF_LD => {
                    word = match k {
                        NUMBER => number,
                        ARCH => arch,
                        _ => args[(k as usize - 16) / 8] as u32,
                    }
                }
                libc::BPF_RET => return k,
                _ => at += usize::from(if holds { jt } else { jf }),
            }
        }
    }

    fn error(number: i32) -> u32 {
        libc::SECCOMP_RET_ERRNO | number as u32
    }

    #[test]
    fn only_what_no_namespace_divides_is_refused() {
        let program = build();
        for machine in MACHINES {
            let ask = |number, args| answer(&program, number, machine.arch, args);
            for number in 0..500 {
                let expected = match number {
                    _ if machine.refused.contains(&number) => error(libc::ENOSYS),
                    _ if number == machine.socket => error(libc::EAFNOSUPPORT),
                    _ => ALLOW,
                };
                assert_eq!(ask(number, [0, 0]), expected, "{number}");
            }
            for family in 0..64 {
                let allowed = [1, 2, 10, 16].contains(&family);
                let expected = if allowed { ALLOW } else { error(libc::EAFNOSUPPORT) };
                assert_eq!(ask(machine.socket, [family, 0]), expected, "{family}");
            }
            for request in 0x5400..0x5500 {
                let allowed = request != 0x5412 && request != 0x541c;
                let expected = if allowed { ALLOW } else { error(libc::EPERM) };
                // The kernel looks at the lower half only.
                assert_eq!(ask(machine.ioctl, [3, request]), expected, "{request:x}");
                assert_eq!(ask(machine.ioctl, [3, 1 << 32 | request]), expected, "{request:x}");
            }
        }
        assert_eq!(answer(&program, 1, 0x1234, [0, 0]), error(libc::ENOSYS));
        if cfg!(target_arch = "x86_64") {
            let socket = MACHINES[0].socket | 0x4000_0000;
            assert_eq!(answer(&program, socket, MACHINES[0].arch, [1, 0]), error(libc::ENOSYS));
        }
    }

    #[test]
    fn the_numbers_are_those_of_this_system() {
        let here = &MACHINES[0];
        assert_eq!(libc::SYS_socket as u32, here.socket);
        assert_eq!(libc::SYS_ioctl as u32, here.ioctl);
        let refused =
            [libc::SYS_add_key, libc::SYS_request_key, libc::SYS_keyctl, libc::SYS_io_uring_setup];
        assert_eq!(here.refused, refused.map(|number| number as u32));
    }
}
