//! Several runs at once, each on a thread of its own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use lab_schema::RecipeId;

use crate::failure::Outcome;

/// Does the first `count` of something, so many `jobs` at a time; what came of them, in their order. After one
/// that failed none is begun, and its failure is the answer: of several the first in their order.
pub(super) fn at_once<T: Send>(
    count: usize,
    jobs: usize,
    one: impl Fn(usize) -> Outcome<T> + Sync,
) -> Outcome<Vec<T>> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Outcome<T>)>> = Mutex::new(Vec::new());
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count {
                return;
            }
            let found = one(at);
            if found.is_err() {
                next.store(count, Ordering::Relaxed);
            }
            lock(&done).push((at, found));
        }
    };
    thread::scope(|scope| {
        for _ in 1..jobs.min(count) {
            scope.spawn(work);
        }
        work();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, found)| found).collect()
}

/// Who does a recipe: one at a time, so that others find what it came to.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<RecipeId, Arc<Mutex<()>>>>);

impl Turns {
    /// What to hold while the recipe is done.
    pub(super) fn of(&self, recipe: RecipeId) -> Arc<Mutex<()>> {
        lock(&self.0).entry(recipe).or_default().clone()
    }
}

/// What a thread that panicked leaves behind is whole: it is changed in one step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;
    use crate::failure::Failure;

    #[test]
    fn all_are_done_in_their_order_and_at_once() {
        for jobs in [1, 3, 50] {
            assert_eq!(at_once(20, jobs, Ok).unwrap(), (0..20).collect::<Vec<_>>());
        }
        assert_eq!(at_once(0, 4, Ok).unwrap(), [0; 0]);
        // Each waits for two others.
        let barrier = Barrier::new(3);
        let waits = |at: usize| Ok((at, barrier.wait().is_leader()));
        assert_eq!(at_once(6, 3, waits).unwrap().len(), 6);
    }

    #[test]
    fn after_a_failure_nothing_is_begun() {
        let begun = AtomicUsize::new(0);
        let one = |at: usize| {
            begun.fetch_add(1, Ordering::Relaxed);
            if at == 2 { Err(Failure::usage("no")) } else { Ok(at) }
        };
        let failure = at_once(1000, 1, one).unwrap_err();
        assert_eq!(failure.message(), Some("no"));
        assert_eq!(begun.load(Ordering::Relaxed), 3);
    }
}
