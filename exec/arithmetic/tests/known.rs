//! The known answers: this build has them, on every path and number of threads.

use lab_arithmetic::battery::{KNOWN, all_kernels, answers};

// proves
#[test]
fn every_path_and_number_of_threads_has_the_known_answers() {
    for kernels in all_kernels() {
        for (answer, known) in answers(&kernels).into_iter().zip(KNOWN) {
            assert_eq!(answer, known, "{kernels:?}");
        }
    }
}
