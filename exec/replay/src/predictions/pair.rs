//! The predictions of two models beside each other, example by example.
//!
//! Examples are joined by an id that both files have, or by their order. Either way the labels must be the same:
//! where they are not, these are not the same examples, or not in the same order, and nothing follows.

use std::collections::HashMap;

use super::Outcomes;
use super::cells::{Cell, Key, Words};
use crate::contents::stream::Told;

/// The largest whole number up to which floats have all.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// What one file says, in the order of its rows.
#[derive(Debug, Default)]
pub(crate) struct Side {
    /// None if it has no such column.
    pub(crate) ids: Option<Vec<Cell>>,
    pub(crate) labels: Vec<Cell>,
    pub(crate) predictions: Vec<Cell>,
}

/// What both say of each example, and whether they were joined by ids.
pub(crate) fn beside(a: &Side, mut b: Side, words: &Words) -> Told<(Outcomes, bool)> {
    if a.labels.len() != b.labels.len() {
        let (a, b) = (a.labels.len(), b.labels.len());
        return Err(format!("the first has {a} examples, the second {b}"));
    }
    if a.labels.is_empty() {
        return Err("they hold no example".to_owned());
    }
    let mut joined = false;
    if let (Some(one), Some(other)) = (&a.ids, &b.ids) {
        joined = true;
        if one != other {
            let order = order(one, other, words)?;
            b.labels = order.iter().map(|at| b.labels[*at as usize]).collect();
            b.predictions = order.iter().map(|at| b.predictions[*at as usize]).collect();
        }
    }
    // The second file's rows now stand in the order of the first's.
    let labels = a.labels.iter().chain(&b.labels);
    let kind = Kind::of(labels, a.predictions.iter().chain(&b.predictions));
    let known = |cell: &Cell| match kind {
        Kind::Words => cell.key().is_some(),
        Kind::Classes => cell.value().is_some() || cell.is_word(),
        Kind::Numbers => cell.value().is_some(),
    };
    for (row, (one, other)) in a.labels.iter().zip(&b.labels).enumerate() {
        // A word is looked up among all: only for a message.
        let place = || place(a, row, words);
        if let Some(cell) = [one, other].into_iter().find(|cell| !known(cell)) {
            return Err(format!("{}: the label is {}", place(), cell.shown(words)));
        }
        if !kind.same(*one, *other) {
            let (one, other) = (one.shown(words), other.shown(words));
            return Err(format!(
                "{}: the label is {one} in the first, {other} in the second",
                place()
            ));
        }
    }
    let sides = [(&a.predictions, "first"), (&b.predictions, "second")];
    for (predictions, which) in sides {
        if let Some(row) = predictions.iter().position(|cell| !known(cell)) {
            let (place, cell) = (place(a, row, words), predictions[row].shown(words));
            let need = if kind == Kind::Numbers { ", not a number" } else { "" };
            return Err(format!("{place}: the prediction of the {which} is {cell}{need}"));
        }
    }
    let each = sides.map(|(predictions, _)| a.labels.iter().zip(predictions));
    Ok((
        match kind {
            Kind::Numbers => {
                let value = |cell: &Cell| cell.value().unwrap_or(f64::NAN);
                Outcomes::Numbers(each.map(|each| each.map(|(l, p)| value(p) - value(l)).collect()))
            }
            _ => Outcomes::Classes(each.map(|each| each.map(|(l, p)| kind.same(*l, *p)).collect())),
        },
        joined,
    ))
}

/// What labels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Words, with numbers among them or not.
    Words,
    /// Whole numbers.
    Classes,
    /// Numbers that are not all whole, or that predictions only come near to.
    Numbers,
}

impl Kind {
    fn of<'a>(
        mut labels: impl Iterator<Item = &'a Cell> + Clone,
        mut predictions: impl Iterator<Item = &'a Cell>,
    ) -> Kind {
        let part = |cell: &Cell| {
            cell.value().is_some_and(|value| value.fract() != 0.0 || value.abs() >= WHOLE)
        };
        if labels.clone().any(|cell| cell.is_word()) {
            return Kind::Words;
        }
        match labels.any(part) || predictions.any(part) {
            true => Kind::Numbers,
            false => Kind::Classes,
        }
    }

    fn same(self, one: Cell, other: Cell) -> bool {
        match (self, one.value(), other.value()) {
            (Kind::Words, ..) | (_, None, _) | (_, _, None) => one.key() == other.key(),
            (_, Some(one), Some(other)) => one == other,
        }
    }
}

/// Where each example of the first stands in the second.
fn order(one: &[Cell], other: &[Cell], words: &Words) -> Told<Vec<u32>> {
    let mut places: HashMap<Key, u32> = HashMap::with_capacity(other.len());
    let id = |cell: &Cell, row: usize, which: &str| {
        cell.key().ok_or_else(|| format!("row {} of the {which} has no id", row + 1))
    };
    let twice = |cell: &Cell, which: &str| {
        format!("the id {} stands twice in the {which}", cell.shown(words))
    };
    for (row, cell) in other.iter().enumerate() {
        if places.insert(id(cell, row, "second")?, row as u32).is_some() {
            return Err(twice(cell, "second"));
        }
    }
    let mut order = Vec::with_capacity(one.len());
    let mut taken = vec![false; other.len()];
    for (row, cell) in one.iter().enumerate() {
        let Some(place) = places.get(&id(cell, row, "first")?) else {
            let shown = cell.shown(words);
            return Err(format!("the example {shown} of the first is not in the second"));
        };
        if std::mem::replace(&mut taken[*place as usize], true) {
            return Err(twice(cell, "first"));
        }
        order.push(*place);
    }
    Ok(order)
}

/// What an example is called: by its id, or its row, from 1.
fn place(a: &Side, row: usize, words: &Words) -> String {
    match a.ids.as_ref().and_then(|ids| ids.get(row)) {
        Some(id) => format!("row {} of the first (id {})", row + 1, id.shown(words)),
        None => format!("row {}", row + 1),
    }
}
