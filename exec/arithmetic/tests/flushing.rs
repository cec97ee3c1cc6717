//! A process that flushes subnormal numbers is noticed, in this thread and in those that help.
//!
//! A test of its own, since it changes how a whole process computes.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::unwrap_used, reason = "a test may")]

use lab_arithmetic::battery::keeps_subnormals;

/// The bit that flushes results, in the register that also holds the mode of rounding.
const FLUSH: u32 = 1 << 15;

#[expect(unsafe_code, reason = "only an instruction reaches the register")]
fn change(change: impl Fn(u32) -> u32) {
    let mut register = 0u32;
    unsafe {
        std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut register, options(nostack));
        register = change(register);
        std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const register, options(nostack));
    }
}

// proves A-02
#[test]
fn flushing_is_noticed_in_every_thread() {
    assert!(keeps_subnormals());
    change(|register| register | FLUSH);
    let kept = keeps_subnormals();
    change(|register| register & !FLUSH);
    assert!(!kept);
    assert!(keeps_subnormals());
    // One of the threads among which work is divided, as if a library had changed it.
    let one = |set: bool| {
        rayon::broadcast(|context| {
            if context.index() + 1 == context.num_threads() {
                change(|register| if set { register | FLUSH } else { register & !FLUSH });
            }
        });
    };
    one(true);
    assert!(!keeps_subnormals());
    one(false);
    assert!(keeps_subnormals());
}
