//! What a command is told in place of what its machine would say: random bytes that are the same each
//! time, a time of day, a number of processors.
//!
//! Seed and time are variables of the recipe, so that they are part of what was run: `LAB_ENTROPY`, a
//! number, and `LAB_TIME`, in seconds since 1970-01-01T00:00:00Z.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::str::FromStr;

use lab_trace::Answers;

use crate::error::{ProcessError, Result};

/// The seed of the random bytes that the system gives.
pub const ENTROPY: &str = "LAB_ENTROPY";
/// The time of day at which each process starts.
pub const TIME: &str = "LAB_TIME";

/// The time that programs put into what they make, if they follow reproducible-builds.org.
pub(crate) const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// What these variables say.
pub(crate) fn answers(variables: &BTreeMap<OsString, OsString>) -> Result<Answers> {
    let (entropy, time) = (number(variables, ENTROPY)?, number(variables, TIME)?);
    Ok(Answers { processors: None, entropy, time })
}

fn number<T: FromStr>(
    variables: &BTreeMap<OsString, OsString>,
    name: &'static str,
) -> Result<Option<T>> {
    let Some(value) = variables.get(OsStr::new(name)) else { return Ok(None) };
    let number = value.to_str().and_then(|text| text.parse().ok());
    // The time is that of another variable, if it was not set by itself.
    let same = name == TIME && variables.get(OsStr::new(EPOCH)) == Some(value);
    let name = if same { EPOCH } else { name };
    let bad = || ProcessError::BadPin { name, value: value.to_string_lossy().into_owned() };
    number.map(Some).ok_or_else(bad)
}
