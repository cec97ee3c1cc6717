//! Prints the known-answer battery of every path and number of threads of this build, a line per
//! family, and fails if any differs from what det-1 gives.
//!
//! For the matrix of builds in tests/arithmetic/run; `cargo run -p lab-arithmetic --example answers`.

use lab_arithmetic::battery::{KNOWN, all_kernels, answers};

#[expect(clippy::print_stdout, reason = "what an example is for")]
fn main() -> std::process::ExitCode {
    let mut wrong = 0;
    let mut kernels = all_kernels();
    if std::env::args().nth(1).as_deref() == Some("one") {
        kernels.retain(|kernels| kernels.threads().get() == 1);
    }
    for kernels in kernels {
        for ((family, answer), (_, known)) in answers(&kernels).into_iter().zip(KNOWN) {
            let judged = if answer == known { "" } else { "  DIFFERS" };
            wrong += usize::from(answer != known);
            let (path, threads) = (kernels.path().name(), kernels.threads());
            println!("{path:8} {threads} threads  {family:18} {answer:016x}{judged}");
        }
    }
    if wrong == 0 { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE }
}
