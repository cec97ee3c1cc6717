//! Dealing rows and groups to folds.
//!
//! Every row is in one fold, and which one does not depend on the fold that is asked for: the
//! folds of one seed fit together. Refuses more folds than rows or groups, and a fold that is not
//! there.

use super::draw::Units;
use super::{By, Folds};
use crate::error::{PreparationError, Result};
use crate::rng::Draws;

/// Refuses folds that do not exist or cannot be filled.
pub(super) fn check(folds: &Folds, rows: usize) -> Result<()> {
    let bad = |option, value: String, needed| PreparationError::Option { option, value, needed };
    match () {
        () if matches!(folds.by, By::Key(_)) => {
            Err(bad("by", "a key".into(), "rows, classes or groups"))
        }
        () if folds.count < 2 => Err(bad("count", folds.count.to_string(), "at least 2")),
        () if folds.fold >= folds.count => {
            Err(bad("fold", folds.fold.to_string(), "a number below that of the folds"))
        }
        () if folds.count > rows => Err(too_many(folds, "rows", rows)),
        () => Ok(()),
    }
}

fn too_many(folds: &Folds, what: &'static str, found: usize) -> PreparationError {
    PreparationError::TooManyFolds { folds: folds.count, what, found }
}

/// The rows of the chosen fold, and what it leaves.
pub(super) fn deal(units: Units, folds: &Folds, draws: &Draws) -> Result<(Vec<usize>, Units)> {
    let test = match &units {
        Units::Classes(classes) => deal_rows(classes, folds, draws),
        Units::Groups(groups) if groups.len() < folds.count => {
            return Err(too_many(folds, "groups", groups.len()));
        }
        Units::Groups(groups) => deal_groups(groups, folds, draws),
    };
    let mut gone = vec![false; last_row(&units) + 1];
    test.iter().for_each(|row| gone[*row] = true);
    Ok((test, units.without(&gone)))
}

fn last_row(units: &Units) -> usize {
    let (Units::Classes(all) | Units::Groups(all)) = units;
    all.iter().flatten().copied().max().unwrap_or(0)
}

fn deal_rows(classes: &[Vec<usize>], folds: &Folds, draws: &Draws) -> Vec<usize> {
    let (mut dealt, mut test) = (0, Vec::new());
    for (lane, class) in classes.iter().enumerate() {
        let mut class = class.clone();
        draws.shuffle(lane as u32, &mut class);
        for row in class {
            if dealt % folds.count == folds.fold {
                test.push(row);
            }
            dealt += 1;
        }
    }
    test
}

fn deal_groups(groups: &[Vec<usize>], folds: &Folds, draws: &Draws) -> Vec<usize> {
    let mut order: Vec<usize> = (0..groups.len()).collect();
    draws.shuffle(0, &mut order);
    // Stable: groups of one size stay as they were shuffled.
    order.sort_by_key(|group| std::cmp::Reverse(groups[*group].len()));
    // Of the folds with the fewest rows the first comes first.
    let mut smallest: std::collections::BTreeSet<(usize, usize)> =
        (0..folds.count).map(|fold| (0, fold)).collect();
    let mut test = Vec::new();
    for group in order {
        let Some((rows, fold)) = smallest.pop_first() else { break };
        smallest.insert((rows + groups[group].len(), fold));
        if fold == folds.fold {
            test.extend_from_slice(&groups[group]);
        }
    }
    test
}
