//! Two single models on the same examples, beside the comparison of the methods that made them.
//!
//! It speaks of one model of each arm, and those are chosen before anybody looks: the first run of the base that
//! came to its end, and of the other arm the run with the same seeds, or else the first. What is found changes no
//! verdict and no exit code.

use lab_objects::Store;
use lab_replay::{Guard, Outcomes, Sought, Unfit, predictions};
use lab_statistics::{
    Bootstrap, Interval, MAX_EXAMPLES, McNemar, StatisticsError, discordant, mcnemar,
    paired_bootstrap,
};
use serde_json::{Value, json};

use super::arms::{Arm, Member};
use super::words::{decimals, short, signed};
use crate::commands::describe::number;
use crate::failure::{Exit, Failure, Outcome};
use crate::ui::{count, plain, shortened};

/// Longest name of a run or a file in a line, in characters.
const NAME: usize = 48;
/// The least p that is written out.
const LEAST: f64 = 0.000_001;

/// Two models, and what is known of them.
pub(in crate::commands) struct Models {
    /// The names and ids of the run of the base and of the other one.
    runs: [(String, String); 2],
    /// What was found.
    said: Said,
}

enum Said {
    /// They left no predictions, as far as can be seen.
    Nothing,
    /// They did, and it cannot be used: where, and why.
    Unfit(String, String),
    /// Examples were put beside each other.
    Beside {
        output: String,
        columns: [String; 2],
        id: Option<String>,
        examples: usize,
        found: Found,
    },
}

enum Found {
    /// Labels are classes.
    Classes { both: usize, only: [u64; 2], none: usize, test: McNemar, accuracy: Mean },
    /// Labels are quantities.
    Numbers { absolute: Mean, squared: Option<Mean> },
}

/// A mean over examples, of both models.
struct Mean {
    of: [f64; 2],
    /// None of too few examples.
    bootstrap: Option<Bootstrap>,
}

impl Mean {
    fn of(base: &[f64], other: &[f64], level: f64) -> Result<Mean, StatisticsError> {
        let bootstrap = match paired_bootstrap(other, base, level) {
            Ok(bootstrap) => Some(bootstrap),
            Err(StatisticsError::TooFew { .. }) => None,
            Err(error) => return Err(error),
        };
        let mean = |scores: &[f64]| scores.iter().sum::<f64>() / scores.len() as f64;
        Ok(Mean { of: [mean(base), mean(other)], bootstrap })
    }

    fn difference(&self) -> f64 {
        self.bootstrap.map_or(self.of[1] - self.of[0], |bootstrap| bootstrap.difference)
    }

    /// From the drawn differences in units of their errors where there are few examples, else from themselves.
    fn interval(&self) -> Option<Interval> {
        self.bootstrap.map(|bootstrap| bootstrap.studentised.unwrap_or(bootstrap.percentile))
    }

    fn words(&self, level: f64) -> String {
        let difference = self.difference();
        let interval = self.interval();
        let digits = decimals(interval.map_or(difference, |at| (at.high - at.low) / 2.0));
        let [base, other] = self.of.map(number);
        let interval = interval.map(|at| {
            let level = number(100.0 * (1.0 - level));
            let (low, high) = (signed(at.low, digits), signed(at.high, digits));
            format!(", {level} % interval over examples {low} … {high}")
        });
        let difference = signed(difference, digits);
        format!("{base} → {other}: difference {difference}{}", interval.unwrap_or_default())
    }

    fn json(&self) -> Value {
        json!({
            "base": self.of[0], "other": self.of[1], "difference": self.difference(),
            "interval": self.interval().map(|at| [at.low, at.high]),
            "studentised": self.bootstrap.map(|bootstrap| bootstrap.studentised.is_some()),
            "draws": self.bootstrap.map(|bootstrap| bootstrap.draws),
        })
    }
}

/// Looks for what a model of each arm said of the same examples; `asked` names where, and then it has to be there.
/// None if no run of an arm came to its end.
pub(super) fn models(
    store: &Store,
    [base, other]: [&Arm; 2],
    guard: &Guard,
    asked: Option<&str>,
    level: f64,
) -> Outcome<Option<Models>> {
    let ended = |arm: &'_ Arm| -> Vec<usize> {
        (0..arm.runs.len()).filter(|at| arm.runs[*at].score.is_some()).collect()
    };
    let (ours, theirs) = (ended(base), ended(other));
    let seed = guard.keys[0].first();
    let same = guard.keys[1].iter().position(|key| Some(key) == seed).unwrap_or(0);
    let Some((one, two)) = ours.first().zip(theirs.get(same)) else { return Ok(None) };
    let pair: [&Member; 2] = [&base.runs[*one], &other.runs[*two]];
    let runs = pair.map(|run| (run.name.clone(), run.id.to_string()));
    let ids = pair.map(|run| run.id);
    let sought = match (predictions(store, ids, asked, MAX_EXAMPLES), asked) {
        (Ok(sought), _) => sought,
        (Err(error), Some(_)) => return Err(error.into()),
        // Nobody asked for it, and the comparison stands without.
        (Err(error), None) => {
            let said = Said::Unfit(String::new(), error.to_string());
            return Ok(Some(Models { runs, said }));
        }
    };
    let said = match sought {
        Sought::Nowhere => Said::Nothing,
        Sought::Unfit(unfit) if asked.is_some() => return Err(refused(&runs, &unfit)),
        Sought::Unfit(unfit) => Said::Unfit(unfit.output, unfit.why),
        Sought::Found(found) => match judged(&found.outcomes, level) {
            Ok((examples, judged)) => Said::Beside {
                output: found.output,
                columns: found.columns,
                id: found.id,
                examples,
                found: judged,
            },
            Err(error) => {
                let (output, why) = (found.output, error.to_string());
                let unfit = Unfit { output, why, is_absent: false };
                if asked.is_some() {
                    return Err(refused(&runs, &unfit));
                }
                Said::Unfit(unfit.output, unfit.why)
            }
        },
    };
    Ok(Some(Models { runs, said }))
}

/// What was asked for cannot be had.
fn refused(runs: &[(String, String); 2], unfit: &Unfit) -> Failure {
    let [base, other] = runs.each_ref().map(|(name, _)| shortened(&plain(name), NAME));
    let what = format!("'{}' of {base} and {other}: {}", plain(&unfit.output), plain(&unfit.why));
    let exit = if unfit.is_absent { Exit::NotFound } else { Exit::Usage };
    Failure::new(exit, what)
}

fn judged(outcomes: &Outcomes, level: f64) -> Result<(usize, Found), StatisticsError> {
    match outcomes {
        Outcomes::Classes([base, other]) => {
            let (only_base, only_other) = discordant(base, other)?;
            let both = base.iter().zip(other).filter(|(base, other)| **base && **other).count();
            let scores = [base, other].map(|right| {
                right.iter().map(|right| f64::from(u8::from(*right))).collect::<Vec<_>>()
            });
            let found = Found::Classes {
                both,
                only: [only_base, only_other],
                none: base.len() - both - (only_base + only_other) as usize,
                test: mcnemar(only_base, only_other)?,
                accuracy: Mean::of(&scores[0], &scores[1], level)?,
            };
            Ok((base.len(), found))
        }
        Outcomes::Numbers(errors) => {
            let [base, other] = errors
                .each_ref()
                .map(|errors| errors.iter().map(|error| error.abs()).collect::<Vec<f64>>());
            let absolute = Mean::of(&base, &other, level)?;
            let squared = [&base, &other]
                .map(|errors| errors.iter().map(|error| error * error).collect::<Vec<f64>>());
            // Squares of large errors may be more than a float holds.
            let squared = Mean::of(&squared[0], &squared[1], level).ok();
            Ok((base.len(), Found::Numbers { absolute, squared }))
        }
    }
}

impl Models {
    /// The two runs, in words.
    fn named(&self) -> [String; 2] {
        self.runs.each_ref().map(|(name, _)| shortened(&plain(name), NAME))
    }

    /// What is said of them, a heading and lines; none if nothing is.
    pub(in crate::commands) fn words(&self, level: f64) -> Option<(String, Vec<String>)> {
        let [base, other] = self.named();
        let Said::Beside { output, examples, found, id, .. } = &self.said else { return None };
        let by = match id {
            Some(id) => format!("joined by {}", shortened(&plain(&named(id)), NAME)),
            None => "joined by their order".to_owned(),
        };
        let head = format!(
            "{base} and {other} on the same {} of {}, {by}: this speaks of these two models, not of the methods",
            count(*examples as u64, "example"),
            shortened(&plain(output), NAME)
        );
        let lines = match found {
            Found::Classes { both, only: [only_base, only_other], none, test, accuracy } => vec![
                format!(
                    "both right {both}, only {base} {only_base}, only {other} {only_other}, both wrong {none}"
                ),
                format!(
                    "accuracy {}, exact McNemar's test {}",
                    accuracy.words(level),
                    p(test.exact)
                ),
            ],
            Found::Numbers { absolute, squared } => {
                let squared = squared.as_ref();
                let line =
                    |what: &str, mean: &Mean| format!("mean {what} error {}", mean.words(level));
                std::iter::once(line("absolute", absolute))
                    .chain(squared.map(|mean| line("squared", mean)))
                    .collect()
            }
        };
        Some((head, lines))
    }

    /// Why nothing is said though there are predictions.
    pub(in crate::commands) fn note(&self) -> Option<String> {
        let Said::Unfit(output, why) = &self.said else { return None };
        let [base, other] = self.named();
        let at = if output.is_empty() { String::new() } else { format!("{}: ", plain(output)) };
        Some(format!("nothing is said of the examples of {base} and {other}: {at}{}", plain(why)))
    }

    /// For programs; null if there is nothing.
    pub(in crate::commands) fn json(&self) -> Value {
        let runs = || {
            let run = |(name, id): &(String, String)| json!({ "id": id, "name": name });
            self.runs.iter().map(run).collect::<Vec<Value>>()
        };
        match &self.said {
            Said::Nothing => Value::Null,
            Said::Unfit(output, why) => json!({ "runs": runs(), "output": output, "why": why }),
            Said::Beside { output, columns, id, examples, found } => {
                let mut answer = json!({
                    "runs": runs(), "output": output, "prediction": columns[0], "label": columns[1],
                    "joined_by": id, "examples": examples,
                });
                match found {
                    Found::Classes { both, only, none, test, accuracy } => {
                        answer["both_right"] = json!(both);
                        answer["only_base_right"] = json!(only[0]);
                        answer["only_other_right"] = json!(only[1]);
                        answer["both_wrong"] = json!(none);
                        answer["mcnemar"] = json!({ "p": test.exact, "mid_p": test.mid });
                        answer["accuracy"] = accuracy.json();
                    }
                    Found::Numbers { absolute, squared } => {
                        answer["absolute_error"] = absolute.json();
                        answer["squared_error"] = squared.as_ref().map_or(Value::Null, Mean::json);
                    }
                }
                answer
            }
        }
    }
}

/// Many examples have a p of which no digit is worth a line.
fn p(p: f64) -> String {
    match p < LEAST {
        true => format!("p < {LEAST}"),
        false => format!("p = {}", short(p)),
    }
}

/// The column that joined, also that without a name which pandas writes.
fn named(id: &str) -> String {
    match id.trim() {
        "" => "the column without a name".to_owned(),
        id => format!("'{id}'"),
    }
}
