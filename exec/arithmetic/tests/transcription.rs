//! The known answers once more, by a program in another language that shares no code with this
//! crate: transcription.cpp computes docs/arithmetic.md one number at a time.
//!
//! Where there is no C++ compiler it is skipped, in words.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may")]

use std::path::Path;
use std::process::Command;

use lab_arithmetic::battery::KNOWN;

// proves
#[test]
fn another_program_has_the_known_answers() {
    if Command::new("c++").arg("--version").output().is_err() {
        eprintln!("skipped: there is no c++ to compile the transcription with");
        return;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcription.cpp");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("transcription");
    let compiled = Command::new("c++")
        .args(["-std=c++17", "-O2", "-ffp-contract=off", "-o"])
        .args([&program, &source])
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let told = Command::new(&program).output().unwrap();
    assert!(told.status.success(), "{:?}", told.status);
    let told = String::from_utf8(told.stdout).unwrap();
    let mut answers: Vec<(&str, u64)> = told
        .lines()
        .map(|line| line.split_once('=').unwrap())
        .map(|(family, hash)| (family, u64::from_str_radix(hash, 16).unwrap()))
        .collect();
    let mut known = KNOWN.to_vec();
    answers.sort_unstable();
    known.sort_unstable();
    assert_eq!(answers, known);
}
