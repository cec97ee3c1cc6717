//! Where this machine does not compute det-1, nothing is computed.
//!
//! A test of its own, since it changes how this thread computes: with the register that says how
//! results are rounded and whether subnormal numbers are kept.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::unwrap_used, reason = "a test may")]

mod common;

use std::num::NonZeroUsize;

use common::{DIGITS, DIGITS_CSV, put, run, store};
use lab_arithmetic::{Kernels, Path};
use lab_tensor::Program;

const FLUSH: u32 = 1 << 15;
const TOWARDS_ZERO: u32 = 0b11 << 13;

#[expect(unsafe_code, reason = "only an instruction reaches the register")]
fn change(change: impl Fn(u32) -> u32) {
    let mut register = 0u32;
    unsafe {
        std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut register, options(nostack));
        register = change(register);
        std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const register, options(nostack));
    }
}

// proves
#[test]
fn a_machine_that_computes_otherwise_is_refused() {
    let store = store();
    let input = put(&store, DIGITS_CSV);
    let program = Program::parse(DIGITS).unwrap();
    let kernels = Kernels::new(Path::Generic, NonZeroUsize::MIN).unwrap();
    let with = |bits: u32| {
        change(|register| register | bits);
        let result = run(&store, &program, input, kernels);
        change(|register| register & !bits);
        result.unwrap_err().to_string()
    };
    assert_eq!(
        with(FLUSH),
        "this process flushes subnormal numbers to zero, so results would differ from other \
         machines'"
    );
    let refused = "this machine computes fused otherwise than det-1 says (on its generic path), \
                   so its results would not be those of others";
    assert_eq!(with(TOWARDS_ZERO), refused);
    // The answer is kept: on this path, this process has been found wrong once.
    assert_eq!(with(0), refused);
}
