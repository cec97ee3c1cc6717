//! Whether chance explains what two parts of a data set share.
//!
//! That a test example equals a training example is a fact; that it leaked is a conclusion. A table
//! with few distinct values has equal rows, and any honest split puts some of them on both sides.
//! What tells a leak from chance is an asymmetry. Put both parts together, and look at the groups
//! of equal examples in what results. An honest split deals the members of a group out like all
//! other examples: some groups come to lie in the training part alone, some in the test part alone,
//! some in both, in proportions that follow from the sizes of the parts. An example that was copied
//! from one part into the other makes a group that lies in both, always. So a leak is an excess of
//! groups that lie in both over those that lie in one.
//!
//! **Groups of one size at a time.** With n of N examples in the test part, a group of m lies in
//! both parts with the chance 1 - C(n, m)/C(N, m) - C(N-n, m)/C(N, m). For pairs at 80:20 this is
//! 0.32, for groups of 9 it is 0.87: groups that large lie in both anyway and say nothing, so sizes
//! 2 to [`MAX_SIZE`] are looked at. They are judged apart and together, and each p is multiplied by
//! the number of these tests (Bonferroni): where the training part was made larger by repeating
//! rows, its groups all lie in one part, and their lack would cover up the excess among those that
//! leaked; where sizes are mixed, none of them may say enough alone.
//!
//! **Two questions**, to both of which the answer has to be no before anybody is accused:
//!
//! 1. *Could a random split of one pool have done it?* ([`Class::split`]) The number of groups in
//!    both is binomial with the chance above if each example goes to the test part independently;
//!    with parts of fixed sizes the groups hinder each other, which makes large numbers rarer, and
//!    the little that is lost where nearly all examples have an equal the second question covers.
//!    p must be below [`SPLIT_LEVEL`] = 1/1000.
//! 2. *Could any honest split have done it, one whose test part has more of what recurs?*
//!    ([`Class::any`]) A test part that was balanced by class, or gathered later, may have its own
//!    share of repeated examples, and not n/N of them. So the share is taken from the groups
//!    themselves: of the mG members of the G groups, K are in the test part, and all that is asked
//!    is whether they are spread over more groups than if K of mG were drawn at random. If the
//!    share differs from group to group, fewer lie in both, since 1 - p^m - (1-p)^m is concave in
//!    p: no honest split gives more. For pairs this is, word for word, the exact test for an excess
//!    of heterozygotes over Hardy-Weinberg proportions, with parts for alleles (Levene, "On a
//!    matching problem arising in genetics", 1949; Wigginton, Cutler, Abecasis, "A note on exact
//!    tests of Hardy-Weinberg equilibrium", 2005); for larger groups it is binomial with the
//!    exact chance of one group, which is at most a fifth too small (a test counts). p must be below [`ANY_LEVEL`] = 1/100.
//!
//! Both condition on how often each example occurs in the two parts together, so nothing is assumed
//! of the data. An honest random split is accused at most once in a thousand times, and more rarely
//! where few examples recur: fewer than ten groups cannot accuse it at all. Of 22,500 random splits
//! (tests/alarms.rs, with 1,500 of each of 15 kinds) 5 were accused.
//!
//! **From what number on.** Where nothing else recurs, ten copies are found, whatever the sizes of
//! the parts (that nine pairs all lie in both has the chance 0.0105 under 2, of ten 0.0055). Where
//! G honest pairs recur, their number in both varies by about the square root of G/5, and copies
//! are found from three to four times that on: among as many pairs as ggplot2's diamonds have, 146
//! at 80:20, from 40 on, which is 0.4 % of the test part. Where most examples have an equal, copies
//! hide among them: of 2,000 examples with 1,500 values at random, not even those of a fifth of the
//! test part are found. What occurs nine times or more in both parts together accuses nobody. What
//! is not accused is counted and listed all the same, with the number that a random split would
//! share beside it.
//!
//! **What is taken for a leak besides.** A split that keeps equal examples apart on purpose or by
//! its order, such as every second row of a sorted table, shares more than a random one, and is
//! accused; nothing tells it from copies. And not asked is whether a random split was a good idea:
//! if a pool has duplicates, a random split of it has test examples among its training examples.

use crate::law::Law;

/// Below this p a random split is ruled out.
pub const SPLIT_LEVEL: f64 = 0.001;
/// Below this p any honest split is ruled out.
pub const ANY_LEVEL: f64 = 0.01;
/// Larger groups lie in both parts anyway.
pub const MAX_SIZE: usize = 8;

/// How many members of a group of equal examples are in each part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// In the training part.
    pub train: usize,
    /// In the test part.
    pub test: usize,
}

/// The groups of one size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Class {
    /// Members of each, of both parts together.
    pub size: usize,
    /// How many such groups there are.
    pub groups: u64,
    /// How many of them have members in both parts.
    pub both: u64,
    /// How many of their members are in the test part.
    pub in_test: u64,
    /// The chance that a random split puts at least so many into both parts.
    pub split: f64,
    /// The same for any honest split, if as many of the members go to the test part.
    pub any: f64,
}

/// What may be said of examples that are in both parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// None is.
    Apart,
    /// Some are, and chance may have done it.
    Chance,
    /// More are than chance explains.
    Leak,
}

/// A verdict, and what it rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// What may be said.
    pub verdict: Verdict,
    /// How many test examples a random split of the pool would have among the training examples,
    /// on average.
    pub expected: f64,
    /// p of the first question, of the test that speaks most for a leak, times the number of
    /// tests; 1 without groups. Below 1e-30 it may be 0.
    pub split: f64,
    /// p of the second question, of the same test.
    pub any: f64,
    /// Sizes from 2 to [`MAX_SIZE`] that occur, ascending.
    pub classes: Vec<Class>,
}

/// Judges the groups of a pool of `train` and `test` examples; groups of one need not be given.
pub fn judge(groups: impl Iterator<Item = Group>, train: usize, test: usize) -> Judgement {
    let pool = Pool { all: (train + test) as u64, test: test as u64 };
    let mut counted = [(0u64, 0u64, 0u64); MAX_SIZE + 1];
    let (mut expected, mut shared) = (0.0, false);
    for Group { train, test } in groups {
        expected += pool.expected((train + test) as u64);
        shared |= train > 0 && test > 0;
        if let Some((groups, both, in_test)) = counted.get_mut(train + test) {
            *groups += 1;
            *both += u64::from(train > 0 && test > 0);
            *in_test += test as u64;
        }
    }
    let classes = counted.iter().enumerate().skip(2).filter(|(_, (groups, ..))| *groups > 0);
    let class = |(size, &(groups, both, in_test)): (usize, &(u64, u64, u64))| {
        Laws::new(pool, size, groups, in_test).class(size, groups, both, in_test)
    };
    let classes: Vec<Class> = classes.map(class).collect();
    let all = together(pool, &classes);
    let tests = classes.iter().chain(&all).map(|class| (class.split, class.any));
    let number = (classes.len() + usize::from(all.is_some())) as f64;
    let (mut split, mut any) = (1.0, 1.0);
    let far = |split: f64, any: f64| (split / SPLIT_LEVEL).max(any / ANY_LEVEL);
    for (own_split, own_any) in tests {
        let own = ((own_split * number).min(1.0), (own_any * number).min(1.0));
        if far(own.0, own.1) < far(split, any) {
            (split, any) = own;
        }
    }
    let verdict = match (shared, split < SPLIT_LEVEL && any < ANY_LEVEL) {
        (false, _) => Verdict::Apart,
        (true, false) => Verdict::Chance,
        (true, true) => Verdict::Leak,
    };
    Judgement { verdict, expected, split, any, classes }
}

/// Examples of which some are drawn for the test part.
#[derive(Clone, Copy)]
struct Pool {
    all: u64,
    test: u64,
}

impl Pool {
    /// The chance that `members` given examples are all among the `part` that is drawn of `all`.
    fn together(all: u64, part: u64, members: u64) -> f64 {
        let mut chance = 1.0;
        for drawn in 0..members {
            if drawn >= part || chance < 1e-18 {
                return 0.0;
            }
            chance *= (part - drawn) as f64 / (all - drawn) as f64;
        }
        chance
    }

    /// The chance that a group of this size has members in both parts.
    fn both(&self, size: u64) -> f64 {
        let apart = Pool::together(self.all, self.test, size)
            + Pool::together(self.all, self.all - self.test, size);
        (1.0 - apart).clamp(0.0, 1.0)
    }

    /// How many members of a group of this size are in the test part beside one in the training
    /// part, on average: each is in the test part, and not all others are.
    fn expected(&self, size: u64) -> f64 {
        if size < 2 {
            return 0.0;
        }
        let alone = self.test as f64 / self.all as f64;
        size as f64 * (alone - Pool::together(self.all, self.test, size))
    }
}

/// How many of the groups of a size lie in both parts, in two worlds.
struct Laws {
    split: Law,
    any: Law,
}

impl Laws {
    fn new(pool: Pool, size: usize, groups: u64, in_test: u64) -> Laws {
        let any = match size {
            2 => Law::levene(groups, in_test),
            _ => {
                let members = Pool { all: size as u64 * groups, test: in_test };
                Law::binomial(groups, members.both(size as u64))
            }
        };
        Laws { split: Law::binomial(groups, pool.both(size as u64)), any }
    }

    fn class(&self, size: usize, groups: u64, both: u64, in_test: u64) -> Class {
        let (split, any) = (self.split.at_least(both), self.any.at_least(both));
        Class { size, groups, both, in_test, split, any }
    }
}

/// All sizes together, as a class of no size, if there are several.
fn together(pool: Pool, classes: &[Class]) -> Option<Class> {
    if classes.len() < 2 {
        return None;
    }
    let mut sum = Laws { split: Law::none(), any: Law::none() };
    for class in classes {
        let own = Laws::new(pool, class.size, class.groups, class.in_test);
        sum = Laws { split: sum.split.plus(&own.split), any: sum.any.plus(&own.any) };
    }
    let count = |of: fn(&Class) -> u64| classes.iter().map(of).sum();
    let [groups, both, in_test] =
        [count(|class| class.groups), count(|class| class.both), count(|class| class.in_test)];
    Some(sum.class(0, groups, both, in_test))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(train: usize, test: usize) -> Group {
        Group { train, test }
    }

    fn of(groups: &[(usize, usize, usize)], train: usize, test: usize) -> Judgement {
        let groups = groups.iter().flat_map(|(count, a, b)| vec![group(*a, *b); *count]);
        judge(groups, train, test)
    }

    /// The chances that at least 0, 1, ... groups of `size` lie in both parts if `k` of all members
    /// are drawn: counted over all ways to draw, group by group.
    fn counted(size: usize, groups: usize, k: usize) -> Vec<f64> {
        let ways: Vec<f64> = (0..=size)
            .map(|j| (0..j).fold(1.0, |ways, i| ways * (size - i) as f64 / (i + 1) as f64).round())
            .collect();
        // By how many groups lie in both, and how many members were drawn.
        let mut all = vec![vec![0.0; size * groups + 1]; groups + 1];
        all[0][0] = 1.0;
        for group in 0..groups {
            let mut next = vec![vec![0.0; size * groups + 1]; groups + 1];
            for (both, row) in all.iter().enumerate().take(group + 1) {
                for (drawn, count) in row.iter().enumerate().take(size * group + 1) {
                    for (j, ways) in ways.iter().enumerate() {
                        next[both + usize::from(j > 0 && j < size)][drawn + j] += count * ways;
                    }
                }
            }
            all = next;
        }
        let sum: f64 = all.iter().map(|row| row[k]).sum();
        (0..=groups).map(|b| all[b..].iter().map(|row| row[k]).sum::<f64>() / sum).collect()
    }

    #[test]
    fn pairs_are_counted_exactly() {
        for groups in 1..=40u64 {
            for k in 0..=2 * groups {
                let expected = counted(2, groups as usize, k as usize);
                for both in (0..=groups).filter(|b| b % 2 == k % 2 && *b <= k.min(2 * groups - k)) {
                    let found = Law::levene(groups, k).at_least(both);
                    let expected = expected[both as usize];
                    let off = (found - expected).abs();
                    assert!(
                        off < 1e-9 * expected + 1e-13,
                        "{groups} {k} {both}: {found} {expected}"
                    );
                }
            }
        }
    }

    /// The binomial stands in for the exact distribution of larger groups: where it matters, in
    /// the upper tail, it is no smaller than a little below the truth.
    #[test]
    fn larger_groups_are_counted_cautiously() {
        let (mut compared, mut least) = (0, f64::MAX);
        for (size, groups) in [(3, 8), (3, 20), (3, 40), (4, 12), (4, 24), (5, 14), (6, 12), (8, 8)]
        {
            for k in (0..=size * groups).step_by(3) {
                let exact = counted(size, groups, k);
                for (both, exact) in exact.into_iter().enumerate().filter(|(_, p)| *p > 1e-6) {
                    if exact < 0.02 {
                        let pool = Pool { all: 1, test: 1 };
                        let laws = Laws::new(pool, size, groups as u64, k as u64);
                        let found = laws.any.at_least(both as u64);
                        (compared, least) = (compared + 1, (found / exact).min(least));
                    }
                }
            }
        }
        assert!(compared > 100 && least > 0.8, "{compared}: {least}");
    }

    #[test]
    fn ten_copies_are_the_fewest_that_are_found() {
        for (train, test) in [(800, 200), (500, 500), (60_000, 10_000)] {
            for copies in 1..30 {
                let found = of(&[(copies, 1, 1)], train, test);
                let leak = found.verdict == Verdict::Leak;
                assert_eq!(leak, copies >= 10, "{copies} of {train}:{test}: {found:?}");
            }
        }
    }

    #[test]
    fn what_an_honest_split_has_is_chance() {
        // 1000 pairs at 80:20: 640, 320 and 40.
        let found = of(&[(640, 2, 0), (320, 1, 1), (40, 0, 2)], 8_000, 2_000);
        assert_eq!(found.verdict, Verdict::Chance);
        assert!(found.split > 0.3 && (found.expected - 320.0).abs() < 0.1, "{found:?}");
        // The same with ninety copies more, and those with a training part that has every row thrice.
        let found = of(&[(640, 2, 0), (410, 1, 1), (40, 0, 2)], 8_000, 2_000);
        assert_eq!(found.verdict, Verdict::Leak);
        let found = of(&[(5_000, 3, 0), (40, 3, 1)], 15_120, 2_000);
        assert_eq!(found.verdict, Verdict::Leak);
    }

    /// A test part that has five times its share of what recurs: far more groups in both than a
    /// random split gives, and yet no more than drawing them gives.
    #[test]
    fn a_test_part_of_its_own_sort_is_not_accused() {
        for scale in [1, 10, 1000] {
            let groups = [(250 * scale, 2, 0), (500 * scale, 1, 1), (250 * scale, 0, 2)];
            let found = of(&groups, 90_000 * scale, 10_000 * scale);
            assert!(found.classes[0].split < 1e-9 && found.any > 0.4, "{found:?}");
            assert_eq!(found.verdict, Verdict::Chance);
            // Not even where those who recur differ among themselves.
            let groups = [(450 * scale, 2, 0), (300 * scale, 1, 1), (250 * scale, 0, 2)];
            let found = of(&groups, 90_000 * scale, 10_000 * scale);
            assert!(found.any > 0.9 && found.verdict == Verdict::Chance, "{found:?}");
        }
    }

    /// As many pairs as ggplot2's diamonds have, dealt out as a random split does on average.
    #[test]
    fn forty_copies_among_the_pairs_of_diamonds_are_found() {
        let with = |copies: usize| {
            of(&[(93, 2, 0), (47 + copies, 1, 1), (6, 0, 2)], 43_152 + copies, 10_788)
        };
        let fewest = (0..100).find(|copies| with(*copies).verdict == Verdict::Leak);
        assert!(fewest.is_some_and(|fewest| (30..=40).contains(&fewest)), "{fewest:?}");
    }

    /// Groups of two, three and four, of which none says enough alone.
    #[test]
    fn sizes_are_judged_together_too() {
        let groups = [
            (50, 2, 0),
            (48, 1, 1),
            (2, 0, 2),
            (38, 3, 0),
            (56, 2, 1),
            (5, 1, 2),
            (1, 0, 3),
            (28, 4, 0),
            (60, 3, 1),
            (12, 2, 2),
        ];
        let found = of(&groups, 8_000, 2_000);
        assert!(found.classes.iter().all(|class| 4.0 * class.any > ANY_LEVEL), "{found:?}");
        assert_eq!(found.verdict, Verdict::Leak, "{found:?}");
    }

    #[test]
    fn what_is_common_says_nothing() {
        assert_eq!(of(&[(1_000, 8, 2)], 10_000, 2_500).verdict, Verdict::Chance);
        assert_eq!(of(&[(1_000, 3, 0)], 10_000, 2_500).verdict, Verdict::Apart);
        let none = of(&[], 10, 10);
        assert_eq!((none.verdict, none.expected, none.split), (Verdict::Apart, 0.0, 1.0));
    }
}
