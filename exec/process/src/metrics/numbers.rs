//! What one file tells: the last value of each key, and what is wrong with the file.

use std::collections::{BTreeMap, BTreeSet};

use lab_schema::Number;

/// Most metrics of one run.
pub(crate) const MAX_METRICS: usize = 300;

/// Longest key in bytes.
pub(super) const MAX_KEY_BYTES: usize = 200;

/// The last value of each key.
#[derive(Default)]
pub(super) struct Numbers {
    last: BTreeMap<String, Number>,
    /// Those whose value in `last` was followed by one that is not finite.
    lapsed: BTreeSet<String>,
    /// There were more keys than are kept.
    full: bool,
    /// The first thing that is wrong, and how many there are.
    wrong: Option<String>,
    wrongs: usize,
}

impl Numbers {
    /// A later value of the key. One that is not finite is no metric, and does not take the place
    /// of one that is; but [`Self::finish`] says so, or a computation that went astray would seem
    /// to have ended well.
    pub(super) fn set(&mut self, key: &str, value: f64) {
        if key.len() > MAX_KEY_BYTES {
            return;
        }
        let known = self.last.contains_key(key);
        match Number::new(value) {
            Ok(_) if !known && self.last.len() >= MAX_METRICS => self.full = true,
            Ok(number) => {
                self.lapsed.remove(key);
                self.last.insert(key.to_owned(), number);
            }
            Err(_) if known => drop(self.lapsed.insert(key.to_owned())),
            Err(_) => {}
        }
    }

    /// Something is wrong with the file.
    pub(super) fn complain(&mut self, why: impl FnOnce() -> String) {
        self.wrongs += 1;
        self.wrong.get_or_insert_with(why);
    }

    /// The metrics, and what a person should know about them.
    pub(super) fn finish(self) -> (BTreeMap<String, Number>, Vec<String>) {
        let mut said = Vec::new();
        if let Some(wrong) = self.wrong {
            let more = self.wrongs - 1;
            said.push(if more > 0 { format!("{wrong} (and {more} more)") } else { wrong });
        }
        if let Some(key) = self.lapsed.first() {
            let more = match self.lapsed.len() - 1 {
                0 => String::new(),
                more => format!(" and of {more} more"),
            };
            let key = key.escape_debug();
            said.push(format!(
                "the last value of '{key}'{more} is not finite: the last finite one is kept"
            ));
        }
        if self.full {
            said.push(only_so_many());
        }
        (self.last, said)
    }
}

/// That there are too many.
pub(super) fn only_so_many() -> String {
    format!("only {MAX_METRICS} numbers are kept")
}
