//! What is drawn: rows out of classes, or groups as a whole.
//!
//! A class gives each part its share, by largest remainders, and keeps a row to learn from; with
//! a single class this is a plain draw. Refuses classes with fewer rows than there are parts, and
//! rows without a class or a group.

use super::By;
use crate::classes::{MAX_WORDS, words};
use crate::error::{PreparationError, Result};
use crate::rng::Draws;
use crate::table::{MAX_ROWS, Table};

/// The rows that are split, ascending in each class or group.
pub(super) enum Units {
    /// Classes, of which rows are taken one by one.
    Classes(Vec<Vec<usize>>),
    /// Groups, which are taken whole.
    Groups(Vec<Vec<usize>>),
}

impl Units {
    /// `least` is what each class needs: a row for every part.
    pub(super) fn of(table: &Table, rows: &[usize], by: &By, least: usize) -> Result<Units> {
        let gather = |column: &str, limit: usize| {
            let words = words(table.column(column)?, rows, limit)?;
            let mut units = vec![Vec::new(); words.distinct.len()];
            for (row, code) in rows.iter().zip(words.codes) {
                units[code].push(*row);
            }
            Ok((units, words.distinct))
        };
        match by {
            By::Rows => Ok(Units::Classes(vec![rows.to_vec()])),
            By::Groups(column) => Ok(Units::Groups(gather(column, MAX_ROWS)?.0)),
            By::Classes(column) => {
                let (units, classes) = gather(column, MAX_WORDS)?;
                match classes.into_iter().zip(&units).find(|(_, unit)| unit.len() < least) {
                    Some((class, unit)) => Err(PreparationError::SmallClass {
                        column: column.clone(),
                        class,
                        rows: unit.len(),
                        needed: least,
                    }),
                    None => Ok(Units::Classes(units)),
                }
            }
            By::Key(_) => Err(PreparationError::Option {
                option: "by",
                value: "a key".into(),
                needed: "rows, classes or groups",
            }),
        }
    }

    /// The rows of a part, and what it leaves.
    pub(super) fn take(self, share: f64, wanted: usize, draws: &Draws) -> (Vec<usize>, Units) {
        match self {
            Units::Classes(classes) => {
                let (taken, left) = take_rows(classes, share, wanted, draws);
                (taken, Units::Classes(left))
            }
            Units::Groups(groups) => {
                let (taken, left) = take_groups(groups, wanted, draws);
                (taken, Units::Groups(left))
            }
        }
    }

    /// What the rows for which `gone` holds leave.
    pub(super) fn without(self, gone: &[bool]) -> Units {
        let keep = |units: Vec<Vec<usize>>| -> Vec<Vec<usize>> {
            let kept = |unit: Vec<usize>| unit.into_iter().filter(|row| !gone[*row]).collect();
            units.into_iter().map(kept).collect()
        };
        match self {
            Units::Classes(classes) => Units::Classes(keep(classes)),
            Units::Groups(mut groups) => {
                groups = keep(groups);
                groups.retain(|group| !group.is_empty());
                Units::Groups(groups)
            }
        }
    }

    pub(super) fn into_rows(self) -> Vec<usize> {
        let (Units::Classes(units) | Units::Groups(units)) = self;
        units.into_iter().flatten().collect()
    }
}

fn take_rows(
    classes: Vec<Vec<usize>>,
    share: f64,
    wanted: usize,
    draws: &Draws,
) -> (Vec<usize>, Vec<Vec<usize>>) {
    let sizes: Vec<usize> = classes.iter().map(Vec::len).collect();
    let quotas = quotas(&sizes, share, wanted);
    let (mut taken, mut left) = (Vec::new(), Vec::with_capacity(classes.len()));
    for (lane, (mut class, quota)) in classes.into_iter().zip(quotas).enumerate() {
        draws.shuffle(lane as u32, &mut class);
        let mut kept = class.split_off(quota);
        kept.sort_unstable();
        taken.append(&mut class);
        left.push(kept);
    }
    (taken, left)
}

/// Rows per class: its share rounded down, then one more for the largest remainders until
/// `wanted` is reached. Every class keeps a row to learn from.
fn quotas(sizes: &[usize], share: f64, wanted: usize) -> Vec<usize> {
    let exact = |size: &usize| share * *size as f64;
    let whole = |size: &usize| (exact(size) as usize).min(size.saturating_sub(1));
    let mut quotas: Vec<usize> = sizes.iter().map(whole).collect();
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    // Stable: of equal remainders the first class goes first.
    order.sort_by(|a, b| exact(&sizes[*b]).fract().total_cmp(&exact(&sizes[*a]).fract()));
    let mut lacking = wanted.saturating_sub(quotas.iter().sum());
    for class in order {
        if lacking > 0 && quotas[class] + 1 < sizes[class] {
            quotas[class] += 1;
            lacking -= 1;
        }
    }
    quotas
}

fn take_groups(
    groups: Vec<Vec<usize>>,
    wanted: usize,
    draws: &Draws,
) -> (Vec<usize>, Vec<Vec<usize>>) {
    let mut order: Vec<usize> = (0..groups.len()).collect();
    draws.shuffle(0, &mut order);
    let mut chosen = vec![false; groups.len()];
    let mut count = 0;
    for group in order {
        if count >= wanted {
            break;
        }
        chosen[group] = true;
        count += groups[group].len();
    }
    let (mut taken, mut left) = (Vec::with_capacity(count), Vec::new());
    for (mut group, chosen) in groups.into_iter().zip(chosen) {
        match chosen {
            true => taken.append(&mut group),
            false => left.push(group),
        }
    }
    (taken, left)
}
