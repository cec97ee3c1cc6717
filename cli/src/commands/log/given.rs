//! A parameter by the words in which it was given: `train.lr=0.1` is `lr` in the record of a stage or a step,
//! and `seed=1` is the seed of each of its draws.

use lab_schema::{Executor, Recipe, Run, Value};

use crate::failure::{Failure, Outcome};
use crate::ui;

/// The seed of a program; the record of a stage has one for each purpose.
const SEED: &str = "seed";
const SEEDS: [&str; 3] = ["init_seed", "shuffle_seed", "split_seed"];

/// The stages of a program.
const STAGES: [&str; 3] = ["prepare", "train", "evaluate"];

/// A parameter that is asked for.
pub(super) struct Given<'a> {
    pub(super) key: &'a str,
    pub(super) value: &'a str,
    /// The stage or step, and what it calls the parameter.
    part: Option<(&'a str, &'a str)>,
    /// Whether some run has a parameter of just this name.
    is_known: bool,
}

impl<'a> Given<'a> {
    pub(super) fn new(typed: &'a str, known: &[String]) -> Outcome<Given<'a>> {
        let (key, value) = typed.split_once('=').ok_or_else(|| {
            Failure::usage(format!("'{typed}' is no parameter"))
                .hint("write KEY=VALUE, as in lr=0.1")
        })?;
        let is_known = known.iter().any(|name| name == key);
        Ok(Given { key, value, part: key.rsplit_once('.'), is_known })
    }

    /// The names that it may have in a record; at least one.
    pub(super) fn names(&self) -> Vec<&'a str> {
        let mut names = vec![self.key];
        names.extend(self.part.map(|(_, name)| name));
        if names.contains(&SEED) {
            names.extend(SEEDS);
        }
        names
    }

    /// Whether a run has it; of a name in other words the index does not know whose it is.
    pub(super) fn is_of(&self, run: &Run, recipe: &Recipe) -> bool {
        let own = |name: &str| {
            let found = [recipe.params().get(name), run.outcome.params.get(name)];
            let is_seed = name == SEED && recipe.seed().is_some_and(|n| self.is(&n.to_string()));
            is_seed || found.into_iter().flatten().any(|value| self.reads(value))
        };
        if own(self.key) {
            return true;
        }
        let name = match (recipe.executor(), self.part) {
            (Executor::Tensor(tensor), Some((stage, name))) if tensor.stage == stage => name,
            (Executor::Tensor(_), None) => self.key,
            // A record does not say of which step it is.
            (Executor::Command(_), Some((_, name))) if !self.is_known => return own(name),
            _ => return false,
        };
        let mut seeds = SEEDS.iter().filter_map(|seed| recipe.params().get(*seed)).peekable();
        match name == SEED && seeds.peek().is_some() {
            true => seeds.all(|seed| self.reads(seed)),
            false => own(name),
        }
    }

    /// That it was looked for by a part of its name, whosever that is.
    pub(super) fn note(&self) -> Option<String> {
        let (part, name) = self.part.filter(|_| !self.is_known)?;
        let (key, name) = (ui::plain(self.key), ui::plain(name));
        (!STAGES.contains(&part))
            .then(|| format!("no record has a parameter called '{key}': shown is who has `{name}`"))
    }

    fn reads(&self, value: &Value) -> bool {
        self.is(&value.to_string())
    }

    /// Whether what is printed so is what was asked for, as the index reads it too.
    fn is(&self, printed: &str) -> bool {
        let number = self.value.parse::<f64>().ok();
        printed == self.value
            || printed == format!("{:?}", self.value)
            || number.is_some_and(|number| printed == format!("{number:?}"))
    }
}
