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
    /// What differs and refuses nothing: when files were written, where the work lay, the chance that made two
    /// results of one recipe.
    pub aside: Vec<Difference>,
    /// Factors that were named and do not differ.
    pub absent: Vec<String>,
    /// Factors that could be more than one thing.
    pub unclear: Vec<String>,
    /// How many runs the factor entered in, for each arm, where it entered further back: fewer than there are runs
    /// means that several runs stand on one.
    pub origins: [Option<usize>; 2],
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

    /// What it is called on a command line: without the word for its sort, the hyphens of an option, and places.
    pub fn name(&self) -> &str {
        let sorts = ["package ", "library ", "input ", "interpreter "];
        let bare = sorts.iter().find_map(|sort| self.what.strip_prefix(sort)).unwrap_or(&self.what);
        bare.split(" (").next().unwrap_or(bare).trim_start_matches('-')
    }

    /// Whether people change it to find a better method: a parameter or argument, but not of how data is
    /// prepared, which makes another task of it.
    fn is_of_the_method(&self) -> bool {
        matches!(self.layer, Layer::Parameter | Layer::Argument)
            && !self.what.starts_with("prepare.")
    }

    /// Whether it is meant by this name, the whole of it.
    fn is(&self, name: &str) -> bool {
        self.what == name || self.name() == name.trim_start_matches('-')
    }

    /// Whether it is meant by this name, which may be the part after its last dot.
    fn ends_in(&self, name: &str) -> bool {
        let settings = matches!(self.layer, Layer::Parameter | Layer::Argument | Layer::Split);
        self.is(name)
            || settings && self.name().rsplit('.').next() == Some(name.trim_start_matches('-'))
    }

    fn is_allowed(&self, allowed: &str) -> bool {
        match allowed.split_once(':') {
            Some((layer, what)) => {
                self.layer.word() == layer && (self.ends_in(what) || what == "*")
            }
            None => self.layer.word() == allowed,
        }
    }
}

/// What was found between the first run of an arm and every run of both.
type Found = Vec<Vec<Variable>>;

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
    let from = |first: RunId| -> Result<Found> {
        all.iter().map(|run| variables(store, lineage, first, *run)).collect()
    };
    let (Some(one), Some(other)) = (arms[0].first(), arms[1].first()) else {
        return Ok(Guard::default());
    };
    Ok(sort([&from(*one)?, &from(*other)?], arms[0].len(), meant))
}

/// Sorts what each run was found to differ in from the first one of each arm.
fn sort([found, back]: [&Found; 2], first_arm: usize, meant: &Meant) -> Guard {
    let differs = |variable: &&Variable| !variable.layer.is_consequence();
    // What differs anywhere, in the order of its likelihood, and its value in the first run.
    let mut all: BTreeMap<(Layer, &str), Option<&str>> = BTreeMap::new();
    for variable in found.iter().flatten().filter(differs) {
        all.entry((variable.layer, &variable.what)).or_insert(variable.before.as_deref());
    }
    let mut guard = Guard::default();
    let mut keys = Vec::new();
    let mut between = Vec::new();
    let packages = all.keys().any(|(layer, _)| *layer == Layer::Package);
    for ((layer, what), base) in all {
        let here = |run: &Vec<Variable>| -> Vec<Variable> {
            run.iter().filter(|v| v.layer == layer && v.what == what).cloned().collect()
        };
        let value = |run: &Vec<Variable>| -> Option<String> {
            here(run).first().map_or(base.map(str::to_owned), |v| v.after.clone())
        };
        let each: Vec<Option<String>> = found.iter().map(value).collect();
        let distinct = |values: &[Option<String>]| {
            values.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
        };
        let values = [distinct(&each[..first_arm]), distinct(&each[first_arm..])];
        let difference = Difference { layer, what: what.to_owned(), values };
        let [ours, theirs] = [first_arm, each.len() - first_arm];
        // A seed that stays the same within an arm, and is another one in the other, is no chance any more.
        let fixed =
            difference.values.iter().zip([ours, theirs]).any(|(v, n)| n > 1 && v.len() == 1);
        let is_seed =
            layer == Layer::Seed && (difference.values[0] == difference.values[1] || !fixed);
        if is_seed {
            keys.push((what, each));
            continue;
        }
        // Two stages that call different things by one name hide each other.
        let ambiguous = layer != Layer::Seed && found.iter().any(|run| here(run).len() > 1);
        // What chance made further back, and this arm inherited.
        let inherited =
            layer == Layer::Chance && found.iter().flat_map(here).any(|v| v.at.is_some());
        let listed = layer == Layer::Found && packages && what.contains("site-packages");
        // Folds of one split are not independent of each other, whoever allows them.
        let folds = layer == Layer::Split && !difference.is_between();
        let is_factor = meant.factors.iter().any(|name| difference.ends_in(name));
        let is_allowed = meant.allowed.iter().any(|allowed| difference.is_allowed(allowed));
        if folds || ambiguous && !is_allowed || inherited && !is_allowed {
            guard.confounders.push(difference);
        } else if !is_factor && is_allowed {
            guard.allowed.push(difference);
        } else if !is_factor && (ASIDE.contains(&layer) || listed) {
            guard.aside.push(difference);
        } else if difference.is_between() {
            between.push(difference);
        } else {
            guard.confounders.push(difference);
        }
    }
    guard.within(&back[first_arm..], meant);
    guard.choose(between, meant);
    guard.confounders.sort_by(|a, b| (a.layer, &a.what).cmp(&(b.layer, &b.what)));
    guard.origins =
        [origins(&guard.factors, &back[..first_arm]), origins(&guard.factors, &found[first_arm..])];
    let key = |run: usize| {
        let parts = keys
            .iter()
            .map(|(what, each)| format!("{what}={}", each[run].as_deref().unwrap_or("absent")));
        parts.collect::<Vec<_>>().join(" ")
    };
    let keys: Vec<String> = (0..found.len()).map(key).collect();
    let (one, other) = keys.split_at(first_arm);
    guard.keys = [one.to_vec(), other.to_vec()];
    guard
}

/// In how many runs the factors entered, if they did so further back.
fn origins(factors: &[Difference], runs: &[Vec<Variable>]) -> Option<usize> {
    let is_one = |v: &Variable| factors.iter().any(|f| f.layer == v.layer && f.what == v.what);
    let entered = runs.iter().map(|run| run.iter().find(|v| is_one(v))?.at);
    let entered: Option<BTreeSet<RunId>> = entered.collect();
    entered.filter(|at| !at.is_empty()).map(|at| at.len())
}

impl Guard {
    /// Adds what differs within the second arm and not from the first run of the first, which may lack what both
    /// of them have.
    fn within(&mut self, arm: &[Vec<Variable>], meant: &Meant) {
        for variable in arm.iter().flatten() {
            let Variable { layer, what, before, after, .. } = variable;
            let told = [&self.confounders, &self.allowed, &self.aside];
            let known =
                told.iter().any(|list| list.iter().any(|d| d.layer == *layer && d.what == *what));
            if layer.is_consequence() || *layer == Layer::Seed || ASIDE.contains(layer) || known {
                continue;
            }
            let values = [Vec::new(), vec![before.clone(), after.clone()]];
            let difference = Difference { layer: *layer, what: what.clone(), values };
            match meant.allowed.iter().any(|allowed| difference.is_allowed(allowed)) {
                true => self.allowed.push(difference),
                false => self.confounders.push(difference),
            }
        }
    }

    /// Tells what is meant to differ from what is not.
    fn choose(&mut self, between: Vec<Difference>, meant: &Meant) {
        let mut chosen = BTreeSet::new();
        for name in &meant.factors {
            let places = |is: &dyn Fn(&Difference) -> bool| -> Vec<usize> {
                (0..between.len()).filter(|n| is(&between[*n])).collect()
            };
            let whole = places(&|difference| difference.is(name));
            let found = if whole.is_empty() { places(&|d| d.ends_in(name)) } else { whole };
            match found[..] {
                [] => self.absent.push(name.clone()),
                [one] => drop(chosen.insert(one)),
                _ => self.unclear.push(name.clone()),
            }
        }
        let alone = between.len() == 1 && meant.factors.is_empty() && between[0].is_of_the_method();
        for (n, difference) in between.into_iter().enumerate() {
            match alone || chosen.contains(&n) {
                true => self.factors.push(difference),
                false => self.confounders.push(difference),
            }
        }
    }

    /// Whether the arms can be compared.
    pub fn holds(&self) -> bool {
        self.confounders.is_empty() && self.absent.is_empty() && self.unclear.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMPY: &str = "package numpy (in place and 3 more)";

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

    /// Of two arms of two runs each; nothing is known of the second one alone.
    fn sorted(found: &Found, meant: &Meant) -> Guard {
        sort([found, &vec![Vec::new(); 4]], 2, meant)
    }

    #[test]
    fn a_seed_that_an_arm_shares_is_no_chance() {
        let split = variable(Layer::Seed, "prepare.split_seed", "1", "2");
        let guard = sorted(&arms(&[split]), &Meant::default());
        assert_eq!(names(&guard.confounders), ["prepare.split_seed"]);
        // In arms of one run each there is nothing to tell that by.
        let split = variable(Layer::Seed, "prepare.split_seed", "1", "2");
        let guard = sort([&vec![vec![], vec![split]], &vec![vec![], vec![]]], 1, &Meant::default());
        assert!(guard.confounders.is_empty());
    }

    #[test]
    fn what_an_arm_inherited_by_chance_is_a_confounder() {
        let mut chance = variable(Layer::Chance, "one recipe gave two results", "a", "b");
        let guard = sorted(&arms(&[chance.clone()]), &Meant::default());
        assert_eq!((guard.confounders.len(), guard.aside.len()), (0, 1));
        let run = RunId::from_digest(lab_schema::BlobId::of(b"run").digest());
        chance.at = Some(run);
        let guard = sorted(&arms(&[chance]), &Meant::default());
        assert_eq!((guard.confounders.len(), guard.aside.len()), (1, 0));

        // And runs that stand on one training are counted by it.
        let lr = Variable { at: Some(run), ..variable(Layer::Parameter, "train.lr", "1", "2") };
        let guard = sorted(&arms(std::slice::from_ref(&lr)), &Meant::default());
        assert_eq!(guard.origins, [None, Some(1)]);
        let found = arms(std::slice::from_ref(&lr));
        let back = vec![vec![lr.clone()], vec![lr], vec![], vec![]];
        assert_eq!(sort([&found, &back], 2, &Meant::default()).origins, [Some(1), Some(1)]);
    }

    #[test]
    fn what_differs_within_the_second_arm_alone_is_found() {
        let aug = variable(Layer::Parameter, "aug", "0", "1");
        let extra = variable(Layer::Data, "input e.txt", "x", "y");
        let found = arms(&[aug]);
        let guard =
            sort([&found, &vec![vec![], vec![], vec![], vec![extra]]], 2, &Meant::default());
        assert_eq!(
            (names(&guard.factors), names(&guard.confounders)),
            (vec!["aug"], vec!["input e.txt"])
        );
        assert!(!guard.confounders[0].is_between());
    }

    #[test]
    fn one_name_for_two_things_hides_nothing() {
        let level = |before: &str, after: &str| variable(Layer::Argument, "--level", before, after);
        let found = arms(&[level("1", "2"), level("1", "3")]);
        assert_eq!(names(&sorted(&found, &Meant::default()).confounders), ["--level"]);
        let [one, other] =
            ["pretrain.lr", "train.lr"].map(|what| variable(Layer::Parameter, what, "1", "2"));
        let found = arms(&[one, other]);
        let guard = sorted(&found, &meant(&["lr"], &[]));
        assert_eq!((guard.unclear, guard.confounders.len()), (vec!["lr".to_owned()], 2));
        let guard = sorted(&found, &meant(&["train.lr", "pretrain.lr"], &[]));
        assert_eq!(names(&guard.factors), ["pretrain.lr", "train.lr"]);
    }

    #[test]
    fn folds_are_no_independent_runs() {
        let fold = variable(Layer::Split, "prepare.fold", "0", "1");
        let found = vec![vec![], vec![fold.clone()], vec![], vec![fold]];
        let guard = sorted(&found, &meant(&[], &["split"]));
        assert_eq!(names(&guard.confounders), ["prepare.fold"]);
    }

    #[test]
    fn one_thing_that_differs_is_the_factor() {
        let lr = variable(Layer::Parameter, "train.lr", "0.1", "0.3");
        let metric = variable(Layer::Metric, "accuracy", "0.9", "0.8");
        // What the program told of its optimiser is the factor in other words.
        let told = variable(Layer::Told, "optimiser Adam (train.py:12)", "lr 0.1", "lr 0.3");
        let found = arms(&[lr.clone(), metric, told]);
        let guard = sorted(&found, &Meant::default());
        assert_eq!(names(&guard.factors), ["train.lr"]);
        let value = |text: &str| vec![Some(text.to_owned())];
        assert_eq!(guard.factors[0].values, [value("0.1"), value("0.3")]);
        assert!(guard.confounders.is_empty() && guard.aside.is_empty());
        assert_eq!(guard.keys[0], ["train.seed=1", "train.seed=2"]);
        assert_eq!(guard.keys[0], guard.keys[1]);

        let numpy = variable(Layer::Package, NUMPY, "2.3.1", "2.4.6");
        let found = arms(&[lr, numpy]);
        assert_eq!(names(&sorted(&found, &Meant::default()).confounders), ["train.lr", NUMPY]);
        for factor in ["lr", "train.lr", "--lr"] {
            let guard = sorted(&found, &meant(&[factor], &[]));
            assert_eq!(
                (names(&guard.factors), names(&guard.confounders)),
                (vec!["train.lr"], vec![NUMPY])
            );
        }
        for allowed in ["package:numpy", "package", "package:*"] {
            let guard = sorted(&found, &meant(&[], &[allowed]));
            assert_eq!(
                (names(&guard.factors), names(&guard.allowed)),
                (vec!["train.lr"], vec![NUMPY])
            );
            assert!(guard.confounders.is_empty());
        }
        let guard = sorted(&found, &meant(&["wd"], &["package:num", "data:numpy"]));
        assert_eq!(
            (guard.absent, names(&guard.confounders)),
            (vec!["wd".to_owned()], vec!["train.lr", NUMPY])
        );
    }

    #[test]
    fn what_changes_within_an_arm_is_a_confounder_even_if_it_is_the_factor() {
        let lr = variable(Layer::Parameter, "lr", "0.1", "0.3");
        let found = vec![vec![], vec![lr.clone()], vec![lr.clone()], vec![lr]];
        let guard = sorted(&found, &meant(&["lr"], &[]));
        assert_eq!(names(&guard.confounders), ["lr"]);
        assert_eq!(guard.confounders[0].values.each_ref().map(Vec::len), [2, 1]);
        assert_eq!(guard.absent, ["lr"]);
    }

    #[test]
    fn what_enters_no_result_is_told_and_refuses_nothing() {
        let time = variable(Layer::Time, "train.csv", "1", "2");
        let threads = variable(Layer::Threads, "OMP_NUM_THREADS", "2", "");
        let guard = sorted(&arms(&[time, threads]), &meant(&["OMP_NUM_THREADS"], &[]));
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
            assert_eq!(names(&sorted(&found, &Meant::default()).confounders), [what]);
            assert_eq!(names(&sorted(&found, &meant(&[what], &[])).factors), [what]);
        }
    }

    #[test]
    fn nothing_differs_between_a_set_and_itself() {
        let guard = sorted(&arms(&[]), &Meant::default());
        assert!(guard.factors.is_empty() && guard.confounders.is_empty());
    }
}
