//! Several runs at once, each on a thread of its own.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use lab_schema::RecipeId;

use crate::failure::Outcome;

/// Does the first `count` of something, so many `jobs` at a time; what came of them, in their order, in which
/// they are also told, each as soon as those before it are. After one that failed none is begun, and its
/// failure is the answer: of several the first in their order.
pub(super) fn at_once<T: Send>(
    count: usize,
    jobs: usize,
    one: impl Fn(usize) -> Outcome<T> + Sync,
    tell: impl Fn(&T) + Sync,
) -> Outcome<Vec<T>> {
    let next = AtomicUsize::new(0);
    let done: Mutex<(BTreeMap<usize, Outcome<T>>, usize)> = Mutex::new((BTreeMap::new(), 0));
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
            let mut done = lock(&done);
            let (all, told) = &mut *done;
            all.insert(at, found);
            while let Some(Ok(found)) = all.get(told) {
                tell(found);
                *told += 1;
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..jobs.min(count) {
            scope.spawn(work);
        }
        work();
    });
    let (all, _) = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    all.into_values().collect()
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
        let all: Vec<usize> = (0..20).collect();
        for jobs in [1, 3, 50] {
            let told = Mutex::new(Vec::new());
            let found = at_once(20, jobs, Ok, |at| lock(&told).push(*at)).unwrap();
            assert_eq!((found, lock(&told).clone()), (all.clone(), all.clone()));
        }
        assert_eq!(at_once(0, 4, Ok, |_| ()).unwrap(), [0; 0]);
        // Each waits for two others.
        let barrier = Barrier::new(3);
        let waits = |at: usize| Ok((at, barrier.wait().is_leader()));
        assert_eq!(at_once(6, 3, waits, |_| ()).unwrap().len(), 6);
    }

    #[test]
    fn after_a_failure_nothing_is_begun() {
        let begun = AtomicUsize::new(0);
        let one = |at: usize| {
            begun.fetch_add(1, Ordering::Relaxed);
            if at == 2 { Err(Failure::usage("no")) } else { Ok(at) }
        };
        let told = AtomicUsize::new(0);
        let tell = |_: &usize| {
            told.fetch_add(1, Ordering::Relaxed);
        };
        let failure = at_once(1000, 1, one, tell).unwrap_err();
        assert_eq!((failure.message(), told.into_inner()), (Some("no"), 2));
        assert_eq!(begun.load(Ordering::Relaxed), 3);
    }
}
