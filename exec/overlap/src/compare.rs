//! Which test examples are among the training examples.

use lab_schema::Digest;

use crate::chance::{Group, Judgement, Verdict, judge};
use crate::error::{OverlapError, Result};
use crate::examples::{Arrays, Examples, Rows, Texts};
use crate::groups::{Groups, Sets};
use crate::near_images::{MIN_SIDE, near_images};
use crate::near_texts::near_texts;

/// The most pairs that are listed; all are counted.
pub const MAX_PAIRS: usize = 100;

/// What counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Columns of tables that do not count, such as identifiers or the label.
    pub leave_out: Vec<String>,
    /// Whether to look for what is nearly equal: texts and images, not rows.
    pub near: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { leave_out: Vec::new(), near: true }
    }
}

/// How two examples are the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum How {
    /// Equal in all that counts.
    Equal,
    /// Nearly: texts by their resemblance, from 0.7 to 1, images by their correlation, from 0.997.
    Near(f64),
}

/// A test example and a training example that are the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The test example, from 0.
    pub test: usize,
    /// Of the training examples that equal it the first; else the most similar one that was found.
    pub train: usize,
    /// How they are the same.
    pub how: How,
}

/// Test examples that are among the training examples.
#[derive(Clone, Debug, PartialEq)]
pub struct Shared {
    /// How many they are.
    pub count: usize,
    /// Whether chance explains it.
    pub judgement: Judgement,
}

/// What two sets have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Overlap {
    /// Training examples.
    pub train: usize,
    /// Test examples.
    pub test: usize,
    /// The columns that were compared; none unless the examples are rows.
    pub columns: Vec<String>,
    /// What is equal.
    pub equal: Shared,
    /// What is equal or nearly so; nothing if it was not asked for, or cannot be said of such
    /// examples.
    pub near: Option<Shared>,
    /// Each test example that is among the training examples, with one of these; ascending, equal
    /// ones first, at most [`MAX_PAIRS`].
    pub pairs: Vec<Pair>,
}

impl Overlap {
    /// What may be said: a leak if what is equal is one, or what is nearly so.
    pub fn verdict(&self) -> Verdict {
        let shared = [Some(&self.equal), self.near.as_ref()].into_iter().flatten();
        let verdicts: Vec<Verdict> = shared.map(|shared| shared.judgement.verdict).collect();
        [Verdict::Leak, Verdict::Chance]
            .into_iter()
            .find(|verdict| verdicts.contains(verdict))
            .unwrap_or(Verdict::Apart)
    }
}

/// Looks for `test` examples among `train`.
///
/// Rows are compared in the columns that both have, by name, in so far as they are not left out.
///
/// # Errors
/// [`OverlapError`] for sets of different sorts or without examples, rows without a column in
/// common, a column to be left out that neither has.
pub fn overlap(train: &Examples, test: &Examples, options: &Options) -> Result<Overlap> {
    for (set, name) in [(train, "the training set"), (test, "the test set")] {
        if set.is_empty() {
            return Err(OverlapError::Empty(name.to_owned()));
        }
    }
    if let (Some(name), false) = (options.leave_out.first(), matches!(train, Examples::Rows(_))) {
        return Err(OverlapError::NoColumn { name: name.clone(), columns: Vec::new() });
    }
    match (train, test) {
        (Examples::Rows(train), Examples::Rows(test)) => rows(train, test, options),
        (Examples::Texts(train), Examples::Texts(test)) => Ok(texts(train, test, options)),
        (Examples::Arrays(a), Examples::Arrays(b)) if a.each() == b.each() || images(a, b) => {
            Ok(arrays(a, b, options))
        }
        _ => Err(OverlapError::Sorts { train: train.sort(), test: test.sort() }),
    }
}

fn rows(train: &Rows, test: &Rows, options: &Options) -> Result<Overlap> {
    for name in &options.leave_out {
        if !train.columns().contains(name) && !test.columns().contains(name) {
            let columns = train.columns().to_vec();
            return Err(OverlapError::NoColumn { name: name.clone(), columns });
        }
    }
    let places: std::collections::BTreeMap<&String, usize> =
        test.columns().iter().zip(0..).collect();
    let common = train.columns().iter().enumerate().filter_map(|(place, name)| {
        let other = *places.get(name)?;
        (!options.leave_out.contains(name)).then_some((name.clone(), (place, other)))
    });
    let (columns, places): (Vec<String>, Vec<(usize, usize)>) = common.unzip();
    if columns.is_empty() {
        let named = |rows: &Rows| format!("the columns {}", rows.columns().join(", "));
        return Err(OverlapError::Sorts { train: named(train), test: named(test) });
    }
    let (own, other): (Vec<usize>, Vec<usize>) = places.into_iter().unzip();
    let digests = (0..train.len()).map(|row| train.digest(row, &own));
    let digests = digests.chain((0..test.len()).map(|row| test.digest(row, &other)));
    let found = Found::new(digests, train.len(), test.len());
    Ok(found.overlap(columns))
}

fn texts(train: &Texts, test: &Texts, options: &Options) -> Overlap {
    let digests = (0..train.len()).map(|text| train.digest(text));
    let digests = digests.chain((0..test.len()).map(|text| test.digest(text)));
    let mut found = Found::new(digests, train.len(), test.len());
    if options.near {
        let text = |example: usize| match example.checked_sub(train.len()) {
            None => train.get(example),
            Some(example) => test.get(example),
        };
        found.nearly(|groups, near| {
            near_texts(groups.len(), |group| text(groups.first(group)), near);
        });
    }
    found.overlap(Vec::new())
}

fn arrays(train: &Arrays, test: &Arrays, options: &Options) -> Overlap {
    let digests = (0..train.len()).map(|array| train.digest(array));
    let digests = digests.chain((0..test.len()).map(|array| test.digest(array)));
    let mut found = Found::new(digests, train.len(), test.len());
    if options.near && images(train, test) {
        let place = |example: usize| match example.checked_sub(train.len()) {
            None => (0, example),
            Some(example) => (1, example),
        };
        found.nearly(|groups, near| {
            let image = |group| place(groups.first(group));
            near_images(groups.len(), [train, test], image, near);
        });
    }
    found.overlap(Vec::new())
}

/// Whether both are images, large enough to be looked at.
fn images(a: &Arrays, b: &Arrays) -> bool {
    let large = |arrays: &Arrays| {
        arrays.frame().is_some_and(|(height, width, _)| height.min(width) >= MIN_SIDE)
    };
    large(a) && large(b)
}

/// What is found while two sets are compared.
struct Found {
    groups: Groups,
    train: usize,
    test: usize,
    near: Option<Near>,
}

/// What is nearly equal, by groups of what is equal.
struct Near {
    sets: Sets,
    /// For each group the most similar one that has training examples, and how similar it is.
    best: Vec<Option<(f64, usize)>>,
}

impl Found {
    fn new(digests: impl Iterator<Item = Digest>, train: usize, test: usize) -> Found {
        Found { groups: Groups::new(digests, train), train, test, near: None }
    }

    /// Takes in the pairs of groups that `search` tells.
    fn nearly(&mut self, search: impl FnOnce(&Groups, &mut dyn FnMut(usize, usize, f64))) {
        let groups = &self.groups;
        let mut near = Near { sets: Sets::new(groups.len()), best: vec![None; groups.len()] };
        search(groups, &mut |a, b, similarity| {
            near.sets.join(a, b);
            for (own, other) in [(a, b), (b, a)] {
                let Some(train) = groups.first_train(other) else { continue };
                // Of those that are as similar the first.
                let better = |(best, first): (f64, usize)| {
                    similarity > best || similarity == best && train < first
                };
                if near.best[own].is_none_or(better) {
                    near.best[own] = Some((similarity, train));
                }
            }
        });
        self.near = Some(near);
    }

    fn overlap(mut self, columns: Vec<String>) -> Overlap {
        let (train, test) = (self.train, self.test);
        let equal = (0..self.groups.len()).map(|group| self.groups.count(group));
        let judgement = judge(equal, train, test);
        let (mut pairs, mut nearly) = (Vec::new(), Vec::new());
        let (mut equals, mut nears) = (0, 0);
        for example in 0..test {
            let group = self.groups.of_test(example);
            let best = self.near.as_ref().and_then(|near| near.best[group]);
            match (self.groups.first_train(group), best) {
                (Some(train), _) => {
                    equals += 1;
                    pairs.push(Pair { test: example, train, how: How::Equal });
                }
                (None, Some((similarity, train))) => {
                    nears += 1;
                    nearly.push(Pair { test: example, train, how: How::Near(similarity) });
                }
                (None, None) => {}
            }
            pairs.truncate(MAX_PAIRS);
            nearly.truncate(MAX_PAIRS);
        }
        pairs.extend(nearly);
        pairs.truncate(MAX_PAIRS);
        let near = self.near.take().map(|near| Shared {
            count: equals + nears,
            judgement: judge(self.together(near.sets).into_iter(), train, test),
        });
        let equal = Shared { count: equals, judgement };
        Overlap { train, test, columns, equal, near, pairs }
    }

    /// The groups of what is equal or nearly so.
    fn together(&self, mut sets: Sets) -> Vec<Group> {
        let mut all = vec![Group::default(); self.groups.len()];
        for group in 0..self.groups.len() {
            let Group { train, test } = self.groups.count(group);
            let sum = &mut all[sets.find(group)];
            sum.train += train;
            sum.test += test;
        }
        // Those that went into another have no members of their own.
        all.retain(|group| group.train + group.test > 0);
        all
    }
}
