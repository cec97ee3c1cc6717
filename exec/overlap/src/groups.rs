//! Groups of equal examples of two sets.
//!
//! The groups stand in the order of their digests, and so in one that knows nothing of the sets
//! that their members are from: what is done with them one after the other cannot favour a side.
//! Memory: 52 bytes an example while they are sorted, then 16.

use lab_schema::Digest;

use crate::chance::Group;

/// Equal examples of a training and a test set; also those that have no equal.
pub(crate) struct Groups {
    /// Examples by group, ascending in each; test examples count on from the training examples.
    members: Vec<u32>,
    /// Where the members of each group end, and how many of them are training examples.
    ends: Vec<(u32, u32)>,
    /// For each example its group.
    group: Vec<u32>,
    train: usize,
}

impl Groups {
    /// Groups examples by their digests; `train` come first, and all are at most 2^25.
    pub(crate) fn new(digests: impl Iterator<Item = Digest>, train: usize) -> Groups {
        let mut sorted: Vec<(Digest, u32)> = digests.zip(0..).collect();
        sorted.sort_unstable();
        let mut group = vec![0; sorted.len()];
        let mut ends: Vec<(u32, u32)> = Vec::new();
        let mut last = None;
        for (place, (digest, example)) in (1..).zip(&sorted) {
            if last.replace(digest) != Some(digest) {
                ends.push((place, 0));
            }
            group[*example as usize] = (ends.len() - 1) as u32;
            if let Some((end, trained)) = ends.last_mut() {
                *end = place;
                *trained += u32::from((*example as usize) < train);
            }
        }
        let members = sorted.into_iter().map(|(_, example)| example).collect();
        Groups { members, ends, group, train }
    }

    /// How many groups there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    fn members(&self, group: usize) -> &[u32] {
        let start = group.checked_sub(1).map_or(0, |before| self.ends[before].0);
        &self.members[start as usize..self.ends[group].0 as usize]
    }

    /// How many members of a group are of which set.
    pub(crate) fn count(&self, group: usize) -> Group {
        let train = self.ends[group].1 as usize;
        Group { train, test: self.members(group).len() - train }
    }

    /// The first member of a group, counted through both sets.
    pub(crate) fn first(&self, group: usize) -> usize {
        self.members(group)[0] as usize
    }

    /// The first training example of a group.
    pub(crate) fn first_train(&self, group: usize) -> Option<usize> {
        Some(self.first(group)).filter(|first| *first < self.train)
    }

    /// The group of a test example.
    pub(crate) fn of_test(&self, test: usize) -> usize {
        self.group[self.train + test] as usize
    }
}

/// Groups that are put together (disjoint sets with path halving, smaller indices as roots).
pub(crate) struct Sets(Vec<u32>);

impl Sets {
    pub(crate) fn new(count: usize) -> Sets {
        Sets((0..).take(count).collect())
    }

    pub(crate) fn find(&mut self, mut item: usize) -> usize {
        while self.0[item] as usize != item {
            self.0[item] = self.0[self.0[item] as usize];
            item = self.0[item] as usize;
        }
        item
    }

    pub(crate) fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        self.0[a.max(b)] = a.min(b) as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_examples_are_together() {
        let digests = ["a", "b", "a", "c", "b", "a", "d"]
            .map(|text| Digest::derive("a test of lab", text.as_bytes()));
        let groups = Groups::new(digests.into_iter(), 4);
        assert_eq!(groups.len(), 4);
        let of = |example: usize| groups.group[example] as usize;
        assert_eq!(groups.members(of(0)), [0, 2, 5]);
        assert_eq!(groups.count(of(0)), Group { train: 2, test: 1 });
        assert_eq!((groups.of_test(0), groups.first(of(1))), (of(1), 1));
        assert_eq!((groups.first_train(of(3)), groups.first_train(of(6))), (Some(3), None));
        assert_eq!(groups.count(of(6)), Group { train: 0, test: 1 });
    }

    #[test]
    fn sets_grow_together() {
        let mut sets = Sets::new(6);
        [(0, 1), (4, 5), (1, 5), (5, 0)].into_iter().for_each(|(a, b)| sets.join(a, b));
        let roots: Vec<usize> = (0..6).map(|item| sets.find(item)).collect();
        assert_eq!(roots, [0, 0, 2, 3, 0, 0]);
    }
}
