//! Whether two sets of runs can be compared: what differs between them, what was meant to, and what else.
//!
//! Every run is compared with the first one. What changes from run to run with its seed is no confounder, and
//! neither is what follows from other differences. All else that differs is one, unless it is the factor, was
//! allowed, or is known to enter no result.

use std::collections::{BTreeMap, BTreeSet};

use lab_lineage::Lineage;
use lab_objects::Store;
use lab_schema::RunId;

use crate::error::Result;
use crate::variables::{Layer, Variable, variables};

/// What the caller means to compare, and what they have argued does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meant {
    /// The names of what is meant to differ, as in `lr` for `train.lr` or `--lr`; if there is none, and just one
    /// thing differs between the arms, and that is a parameter of the method itself, that is it.
    pub factors: Vec<String>,
    /// What may differ: a layer and the name of what, or only the layer (`package:numpy`, `hardware`).
    pub allowed: Vec<String>,
}

/// One thing that differs, and its values in both arms; none where it is not there.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Of which sort it is.
    pub layer: Layer,
    /// What differs, as its owner calls it.
    pub what: String,
    /// The distinct values in the first arm, and in the second.
    pub values: [Vec<Option<String>>; 2],
}

/// What two sets of runs differ in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Guard {
    /// What is meant to differ.
    pub factors: Vec<Difference>,
    /// What is not, the likeliest to change a result first.
    pub confounders: Vec<Difference>,
    /// What the caller allowed.
    pub allowed: Vec<Difference>,
    /// What differs and enters no result: when files were written, where the work lay.
    pub aside: Vec<Difference>,
    /// Factors that were named and do not differ.
    pub absent: Vec<String>,
    /// The seeds of each run of both arms: runs with equal keys had the same ones.
    pub keys: [Vec<String>; 2],
}

/// Layers that describe a run and do not enter its result, or are told by its result alone.
const ASIDE: [Layer; 4] = [Layer::Place, Layer::Time, Layer::Chance, Layer::Record];

impl Difference {
    /// Whether each arm has one value.
    pub fn is_between(&self) -> bool {
        self.values.iter().all(|values| values.len() == 1)
    }

    /// Whether people change it to find a better method: a parameter or argument, but not of how data is
    /// prepared, which makes another task of it.
    fn is_of_the_method(&self) -> bool {
        matches!(self.layer, Layer::Parameter | Layer::Argument)
            && !self.what.starts_with("prepare.")
    }

    /// Whether it is meant by this name: the whole of it, or the part after its last dot, without the hyphens
    /// of an option.
    fn is(&self, name: &str) -> bool {
        let bare = |text: &str| text.trim_start_matches('-').to_owned();
        let (what, name) = (bare(&self.what), bare(name));
        what == name || what.rsplit('.').next() == Some(name.as_str())
    }

    fn is_allowed(&self, allowed: &str) -> bool {
        match allowed.split_once(':') {
            Some((layer, what)) => self.layer.word() == layer && (self.is(what) || what == "*"),
            None => self.layer.word() == allowed,
        }
    }
}

/// What the arms differ in. All runs and their recipes must be in the store, and the lineage be refreshed.
///
/// # Errors
/// What keeps a run, or what is behind it, from being read.
pub fn guard(
    store: &Store,
    lineage: &Lineage,
    arms: [&[RunId]; 2],
    meant: &Meant,
) -> Result<Guard> {
    let all: Vec<RunId> = arms.concat();
    let Some(first) = all.first() else { return Ok(Guard::default()) };
    let mut found = Vec::with_capacity(all.len());
    for run in &all {
        found.push(variables(store, lineage, *first, *run)?);
    }
    Ok(sort(&found, arms[0].len(), meant))
}

/// Sorts what each run was found to differ in from the first one.
fn sort(found: &[Vec<Variable>], first_arm: usize, meant: &Meant) -> Guard {
    let differs = |variable: &&Variable| !variable.layer.is_consequence();
    // What differs anywhere, in the order of its likelihood, and its value in the first run.
    let mut all: BTreeMap<(Layer, &str), Option<&str>> = BTreeMap::new();
    for variable in found.iter().flatten().filter(differs) {
        all.entry((variable.layer, &variable.what)).or_insert(variable.before.as_deref());
    }
    let mut guard = Guard::default();
    let mut seeds = Vec::new();
    let mut between = Vec::new();
    for ((layer, what), base) in all {
        let value = |run: &Vec<Variable>| -> Option<String> {
            let here = run.iter().find(|v| v.layer == layer && v.what == what);
            here.map_or(base.map(str::to_owned), |v| v.after.clone())
        };
        let each: Vec<Option<String>> = found.iter().map(value).collect();
        if layer == Layer::Seed {
            seeds.push((what, each));
            continue;
        }
        let distinct = |values: &[Option<String>]| {
            values.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect()
        };
        let values = [distinct(&each[..first_arm]), distinct(&each[first_arm..])];
        let difference = Difference { layer, what: what.to_owned(), values };
        let is_factor = meant.factors.iter().any(|name| difference.is(name));
        if !is_factor && meant.allowed.iter().any(|allowed| difference.is_allowed(allowed)) {
            guard.allowed.push(difference);
        } else if !is_factor && ASIDE.contains(&layer) {
            guard.aside.push(difference);
        } else if difference.is_between() {
            between.push(difference);
        } else {
            guard.confounders.push(difference);
        }
    }
    for name in &meant.factors {
        if !between.iter().any(|difference| difference.is(name)) {
            guard.absent.push(name.clone());
        }
    }
    let alone = between.len() == 1 && meant.factors.is_empty() && between[0].is_of_the_method();
    for difference in between {
        match alone || meant.factors.iter().any(|name| difference.is(name)) {
            true => guard.factors.push(difference),
            false => guard.confounders.push(difference),
        }
    }
    guard.confounders.sort_by(|a, b| (a.layer, &a.what).cmp(&(b.layer, &b.what)));
    let key = |run: usize| {
        let parts = seeds
            .iter()
            .map(|(what, each)| format!("{what}={}", each[run].as_deref().unwrap_or("absent")));
        parts.collect::<Vec<_>>().join(" ")
    };
    let keys: Vec<String> = (0..found.len()).map(key).collect();
    let (one, other) = keys.split_at(first_arm);
    guard.keys = [one.to_vec(), other.to_vec()];
    guard
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(layer: Layer, what: &str, before: &str, after: &str) -> Variable {
        let value = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let (before, after) = (value(before), value(after));
        Variable { layer, what: what.to_owned(), before, after, delta: None, at: None }
    }

    fn seed(n: u64) -> Variable {
        variable(Layer::Seed, "train.seed", "1", &n.to_string())
    }

    fn meant(factors: &[&str], allowed: &[&str]) -> Meant {
        let own = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
        Meant { factors: own(factors), allowed: own(allowed) }
    }

    fn names(all: &[Difference]) -> Vec<&str> {
        all.iter().map(|difference| difference.what.as_str()).collect()
    }

    /// Two arms of two seeds each, of which the second has these differences.
    fn arms(between: &[Variable]) -> Vec<Vec<Variable>> {
        let with = |more: &[Variable]| [between, more].concat();
        vec![vec![], vec![seed(2)], with(&[]), with(&[seed(2)])]
    }

    #[test]
    fn one_thing_that_differs_is_the_factor() {
        let lr = variable(Layer::Parameter, "train.lr", "0.1", "0.3");
        let metric = variable(Layer::Metric, "accuracy", "0.9", "0.8");
        let found = arms(&[lr.clone(), metric]);
        let guard = sort(&found, 2, &Meant::default());
        assert_eq!(names(&guard.factors), ["train.lr"]);
        let value = |text: &str| vec![Some(text.to_owned())];
        assert_eq!(guard.factors[0].values, [value("0.1"), value("0.3")]);
        assert!(guard.confounders.is_empty() && guard.aside.is_empty());
        assert_eq!(guard.keys[0], ["train.seed=1", "train.seed=2"]);
        assert_eq!(guard.keys[0], guard.keys[1]);

        let numpy = variable(Layer::Package, "numpy", "2.3.1", "2.4.6");
        let found = arms(&[lr, numpy]);
        assert_eq!(names(&sort(&found, 2, &Meant::default()).confounders), ["train.lr", "numpy"]);
        for factor in ["lr", "train.lr", "--lr"] {
            let guard = sort(&found, 2, &meant(&[factor], &[]));
            assert_eq!(
                (names(&guard.factors), names(&guard.confounders)),
                (vec!["train.lr"], vec!["numpy"])
            );
        }
        for allowed in ["package:numpy", "package", "package:*"] {
            let guard = sort(&found, 2, &meant(&[], &[allowed]));
            assert_eq!(
                (names(&guard.factors), names(&guard.allowed)),
                (vec!["train.lr"], vec!["numpy"])
            );
            assert!(guard.confounders.is_empty());
        }
        let guard = sort(&found, 2, &meant(&["wd"], &["package:num", "data:numpy"]));
        assert_eq!(
            (guard.absent, names(&guard.confounders)),
            (vec!["wd".to_owned()], vec!["train.lr", "numpy"])
        );
    }

    #[test]
    fn what_changes_within_an_arm_is_a_confounder_even_if_it_is_the_factor() {
        let lr = variable(Layer::Parameter, "lr", "0.1", "0.3");
        let found = vec![vec![], vec![lr.clone()], vec![lr.clone()], vec![lr]];
        let guard = sort(&found, 2, &meant(&["lr"], &[]));
        assert_eq!(names(&guard.confounders), ["lr"]);
        assert_eq!(guard.confounders[0].values.each_ref().map(Vec::len), [2, 1]);
        assert_eq!(guard.absent, ["lr"]);
    }

    #[test]
    fn what_enters_no_result_is_told_and_refuses_nothing() {
        let time = variable(Layer::Time, "train.csv", "1", "2");
        let threads = variable(Layer::Threads, "OMP_NUM_THREADS", "2", "");
        let guard = sort(&arms(&[time, threads]), 2, &meant(&["OMP_NUM_THREADS"], &[]));
        assert_eq!(names(&guard.aside), ["train.csv"]);
        assert_eq!(names(&guard.factors), ["OMP_NUM_THREADS"]);
        assert_eq!(guard.factors[0].values[1], [None]);
    }

    #[test]
    fn only_a_parameter_of_the_method_is_a_factor_unasked() {
        let others = [
            (Layer::Code, "metric.py"),
            (Layer::Split, "train.split"),
            (Layer::Threads, "OMP_NUM_THREADS"),
            (Layer::Data, "input train.csv"),
            (Layer::Parameter, "prepare.scale"),
        ];
        for (layer, what) in others {
            let found = arms(&[variable(layer, what, "1", "2")]);
            assert_eq!(names(&sort(&found, 2, &Meant::default()).confounders), [what]);
            assert_eq!(names(&sort(&found, 2, &meant(&[what], &[])).factors), [what]);
        }
    }

    #[test]
    fn nothing_differs_between_a_set_and_itself() {
        let guard = sort(&arms(&[]), 2, &Meant::default());
        assert!(guard.factors.is_empty() && guard.confounders.is_empty());
    }
}
