//! From what was typed to what may be said: first the guard, then the statistics.

use lab_lineage::Lineage;
use lab_objects::Store;
use lab_replay::{Guard, Meant, guard};
use lab_schema::RunId;
use lab_statistics::{Comparison, Options, PairKey, compare_several};

use super::arms::{self, Arm};
use super::models::{Models, models};
use super::words;
use crate::failure::{Failure, Outcome};
use crate::ui::count;

/// What is asked.
#[derive(clap::Args, Debug)]
pub(in crate::commands) struct Asked {
    /// The number to compare, such as accuracy [default: the only one that all have]
    #[arg(short, long, value_name = "NAME")]
    metric: Option<String>,
    /// What is meant to differ, such as lr [default: the one parameter that does]
    #[arg(short, long = "factor", value_name = "NAME")]
    factors: Vec<String>,
    /// What else may differ, such as package:numpy or hardware; it is told beside the result
    #[arg(long = "allow", value_name = "LAYER[:NAME]")]
    allowed: Vec<String>,
    /// A lower number is better [default: for losses, errors, perplexities and times]
    #[arg(long, conflicts_with = "higher_is_better")]
    lower_is_better: bool,
    /// A higher number is better
    #[arg(long)]
    higher_is_better: bool,
    /// How large a difference would matter: then it can also be shown that there is none as large
    #[arg(long, value_name = "D", allow_negative_numbers = true)]
    margin: Option<f64>,
    /// Where the runs left predictions for each example, as in out/predictions.csv:predicted,label or
    /// predictions.npy,labels.npy [default: the one output that looks like it]
    #[arg(long, value_name = "OUTPUT[:PRED,LABEL]")]
    examples: Option<String>,
}

impl Asked {
    /// The same question as it is typed, of this number.
    pub(in crate::commands) fn words(&self, metric: &str) -> Vec<String> {
        let mut words = vec!["--metric".to_owned(), metric.to_owned()];
        for (flag, names) in [("--factor", &self.factors), ("--allow", &self.allowed)] {
            words.extend(names.iter().flat_map(|name| [flag.to_owned(), name.clone()]));
        }
        words.extend(self.lower_is_better.then(|| "--lower-is-better".to_owned()));
        words.extend(self.higher_is_better.then(|| "--higher-is-better".to_owned()));
        words.extend(self.margin.into_iter().flat_map(|d| ["--margin".to_owned(), d.to_string()]));
        words.extend(self.examples.iter().flat_map(|at| ["--examples".to_owned(), at.clone()]));
        words
    }
}

/// The runs that were meant, and what each of them reached.
pub(in crate::commands) struct Gathered {
    /// One for each that was typed; the first is what the others are compared with.
    pub(in crate::commands) arms: Vec<Arm>,
    /// The number that is compared.
    pub(in crate::commands) metric: String,
    /// What was left out, in words.
    pub(in crate::commands) notes: Vec<String>,
}

/// What came of it.
pub(in crate::commands) struct Judged {
    /// What differs between the base and each of the others.
    pub(in crate::commands) guards: Vec<Guard>,
    /// What follows.
    pub(in crate::commands) finding: Finding,
}

/// What may be said of arms.
pub(in crate::commands) enum Finding {
    /// Something else differs; the guards say what.
    Confounded,
    /// Runs of an arm are not independent.
    Dependent(Dependent),
    /// They were compared.
    Judged {
        /// How.
        options: Options,
        /// The base with each of the others.
        comparisons: Vec<Comparison>,
        /// How many recorded runs looked at the same data for such a number.
        looks: Option<usize>,
        /// A model of the base and one of each of the others on the same examples, where that can be said.
        models: Vec<Option<Models>>,
    },
}

/// Finds the runs that were typed, an arm each, and reads what they reached.
pub(in crate::commands) fn gather(
    store: &Store,
    lineage: &Lineage,
    typed: &[&str],
    asked: &Asked,
) -> Outcome<Gathered> {
    if let Some(margin) = asked.margin.filter(|margin| !(*margin > 0.0 && margin.is_finite())) {
        return Err(Failure::usage(format!(
            "a margin of {margin} is none: how large a difference would matter is meant"
        )));
    }
    let mut all = Vec::new();
    for typed in typed {
        all.push(arms::arm(store, lineage, typed)?);
    }
    let metric = match &asked.metric {
        Some(metric) => metric.clone(),
        None => arms::only_metric(store, &all)?,
    };
    for arm in &mut all {
        arms::score(store, arm, &metric)?;
    }
    if all.iter().all(|arm| arm.scores().is_empty()) {
        return Err(arms::no_such_metric(store, lineage, &all, &metric)?);
    }
    arms::all_have(&all, &metric)?;
    disjoint(&all)?;
    let notes = arms::count_once(&mut all);
    arms::add_crashed(store, lineage, &mut all)?;
    Ok(Gathered { arms: all, metric, notes })
}

/// Says whether the arms can be compared, and if so, what follows.
pub(in crate::commands) fn judge(
    store: &Store,
    lineage: &Lineage,
    gathered: &Gathered,
    asked: &Asked,
) -> Outcome<Judged> {
    let meant = Meant { factors: asked.factors.clone(), allowed: asked.allowed.clone() };
    let Some((base, others)) = gathered.arms.split_first() else {
        return Err(Failure::usage("nothing was named to be compared"));
    };
    let mut guards = Vec::new();
    for other in others {
        let compared = [&completed(base)[..], &completed(other)[..]];
        guards.push(guard(store, lineage, compared, &meant)?);
    }
    if !guards.iter().all(Guard::holds) {
        return Ok(Judged { guards, finding: Finding::Confounded });
    }
    let dependent = |(other, guard)| Dependent::of([base, other], guard);
    if let Some(dependent) = others.iter().zip(&guards).find_map(dependent) {
        return Ok(Judged { guards, finding: Finding::Dependent(dependent) });
    }

    let metric = &gathered.metric;
    let direction = match (asked.higher_is_better, asked.lower_is_better) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => words::is_better_when_higher(metric),
    };
    let higher_is_better = direction.ok_or_else(|| {
        Failure::usage(format!("is a higher or a lower '{metric}' better?"))
            .hint("say so: `--higher-is-better` or `--lower-is-better`")
    })?;
    let paired = guards.iter().all(can_be_paired);
    let options = Options { higher_is_better, paired, margin: asked.margin, ..Options::default() };
    let keys = guards.first().map(|guard| guard.keys[0].clone()).unwrap_or_default();
    let first = statistic(base, paired.then_some(&keys));
    let compared: Vec<_> = others
        .iter()
        .zip(&guards)
        .map(|(arm, guard)| statistic(arm, paired.then_some(&guard.keys[1])))
        .collect();
    let comparisons = compare_several(&first, &compared, &options)
        .map_err(|error| Failure::usage(error.to_string()))?;
    let pair = base.runs.first().zip(others.first().and_then(|arm| arm.runs.first()));
    let looks = match pair {
        Some((a, b)) => arms::looks(lineage, [a.id, b.id], metric)?,
        None => None,
    };
    let asked = asked.examples.as_deref();
    let pairs = others.iter().zip(&guards);
    let models = pairs
        .map(|(other, guard)| models(store, [base, other], guard, asked, options.level))
        .collect::<Outcome<Vec<_>>>()?;
    Ok(Judged { guards, finding: Finding::Judged { options, comparisons, looks, models } })
}

/// The runs of an arm that came to an end: what the others differ in may be the crash itself.
fn completed(arm: &Arm) -> Vec<RunId> {
    arm.runs.iter().filter(|run| run.score.is_some()).map(|run| run.id).collect()
}

/// Runs that stand on one training tell of one training, however many they are.
pub(in crate::commands) struct Dependent {
    /// The arm.
    pub(in crate::commands) label: String,
    /// How many runs it has.
    pub(in crate::commands) runs: usize,
    /// On how many they stand.
    pub(in crate::commands) origins: usize,
    shown: String,
    factors: String,
}

impl Dependent {
    fn of(arms: [&Arm; 2], guard: &Guard) -> Option<Dependent> {
        arms.into_iter().zip(guard.origins).find_map(|(arm, origins)| {
            let runs = completed(arm).len();
            let origins = origins.filter(|origins| *origins < runs)?;
            let (label, shown) = (arm.label.clone(), arm.shown());
            Some(Dependent { label, runs, origins, shown, factors: words::named(&guard.factors) })
        })
    }

    /// In words.
    pub(in crate::commands) fn words(&self) -> String {
        format!(
            "the {} of {} stand on {} in which {} entered: they are not independent",
            count(self.runs as u64, "run"),
            self.shown,
            count(self.origins as u64, "run"),
            self.factors
        )
    }
}

/// A run that is in two arms, by itself or as its exact repeat, would be compared with itself.
fn disjoint(all: &[Arm]) -> Outcome {
    for (n, arm) in all.iter().enumerate() {
        for other in &all[n + 1..] {
            let mut pairs = arm.runs.iter().flat_map(|a| other.runs.iter().map(move |b| (a, b)));
            let Some((a, b)) = pairs.find(|(a, b)| a.is_one_with(b)) else { continue };
            return Err(if a.id == b.id {
                Failure::usage(format!(
                    "'{}' and '{}' both hold the run {} ({})",
                    arm.label,
                    other.label,
                    a.id.short(),
                    a.name
                ))
                .hint("a run would be compared with itself: leave it out of one of the two")
            } else {
                Failure::usage(format!(
                    "{} ({}) is {} ({}) done again: the same recipe left the same outputs, and there is nothing to compare",
                    b.name,
                    b.id.short(),
                    a.name,
                    a.id.short()
                ))
                .hint(format!("`lab diff {} {}` tells what differed around them", a.name, b.name))
            });
        }
    }
    Ok(())
}

/// Whether each run has another seed, and the other arm has the same ones.
fn can_be_paired(guard: &Guard) -> bool {
    let [mut one, mut other] = guard.keys.clone();
    one.sort();
    other.sort();
    one == other && one.windows(2).all(|pair| pair[0] != pair[1])
}

/// An arm for the statistics. Keys are those of the runs that came to an end; where some crashed there are no pairs.
fn statistic(arm: &Arm, keys: Option<&Vec<String>>) -> lab_statistics::Arm {
    let mut keys = keys.into_iter().flatten();
    let runs = arm.runs.iter().map(|run| {
        let key = run.score.and_then(|_| keys.next());
        let key = key.map(|seed| PairKey { seed: seed.clone(), split: String::new() });
        lab_statistics::Run { key, score: run.score }
    });
    lab_statistics::Arm { runs: runs.collect() }
}
