//! What a command gets from its parent beside variables and files: bounds on what it may use, and
//! whether the addresses of its memory are drawn at random.
//!
//! Kept among the system's files of a record, under the paths at which a process finds them, in a form
//! that speaks of these facts only: one bound a line, its name, a tab, its value.

use std::collections::BTreeMap;

use lab_schema::observed::Observed;

use crate::sys;

/// Where a process finds its bounds.
const LIMITS: &[u8] = b"/proc/self/limits";
/// Where it finds how it is executed.
const PERSONALITY: &[u8] = b"/proc/self/personality";

/// What addresses are called that are not drawn at random.
const FIXED: &[u8] = b"fixed addresses";

/// What a command inherits.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Inherited {
    /// Bounds: the number of the resource, and the value.
    pub(crate) limits: Vec<(i32, u64)>,
    /// Whether addresses are not drawn at random.
    pub(crate) fixed: bool,
}

/// The facts as records have them: what a child of ours would inherit.
pub(crate) fn facts() -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut text = String::new();
    for (name, resource) in sys::LIMITS {
        if let Some(value) = sys::soft_limit(resource) {
            let value = match value {
                u64::MAX => "unlimited".to_owned(),
                value => value.to_string(),
            };
            text.push_str(&format!("{name}\t{value}\n"));
        }
    }
    let mut facts = BTreeMap::from([(LIMITS.to_vec(), text.into_bytes())]);
    if sys::has_fixed_addresses() {
        facts.insert(PERSONALITY.to_vec(), FIXED.to_vec());
    }
    facts
}

/// The facts by name, of those that a record has of the system.
pub(crate) fn told(system: &BTreeMap<Vec<u8>, Vec<u8>>) -> BTreeMap<String, String> {
    let mut told = BTreeMap::new();
    let text = system.get(LIMITS).map(|text| String::from_utf8_lossy(text).into_owned());
    for (name, value) in text.iter().flat_map(|t| t.lines()).filter_map(|l| l.split_once('\t')) {
        told.insert(format!("limit {name}"), value.to_owned());
    }
    if system.get(PERSONALITY).is_some_and(|text| text == FIXED) {
        told.insert("address layout".to_owned(), "fixed".to_owned());
    }
    told
}

/// What a record says that a command inherited, by name: `limit open files` and the like.
pub fn inherited(observed: &Observed) -> BTreeMap<String, String> {
    told(&observed.system)
}

/// The bounds that a record has and that cannot be given here: name, then and now.
pub(crate) fn lower(observed: &Observed) -> Vec<(&'static str, u64, u64)> {
    if sys::may_raise_limits() {
        return Vec::new();
    }
    let lower = |(resource, then): (i32, u64)| {
        let (name, _) = sys::LIMITS.into_iter().find(|(_, known)| *known == resource)?;
        let now = sys::hard_limit(resource)?;
        (now < then).then_some((name, then, now))
    };
    recorded(observed).limits.into_iter().filter_map(lower).collect()
}

/// Turns round whether addresses of memory are drawn at random; says whether they are fixed now.
pub fn fix_addresses(observed: &mut Observed) -> bool {
    match observed.system.remove(PERSONALITY) {
        Some(_) => false,
        None => {
            observed.system.insert(PERSONALITY.to_vec(), FIXED.to_vec());
            true
        }
    }
}

/// What a record says that a command inherited. What cannot be read is left out.
pub(crate) fn recorded(observed: &Observed) -> Inherited {
    let text = observed.system.get(LIMITS).map(|text| String::from_utf8_lossy(text));
    let limit = |line: &str| {
        let (name, value) = line.split_once('\t')?;
        let (_, resource) = sys::LIMITS.iter().find(|(known, _)| *known == name)?;
        let value = if value == "unlimited" { u64::MAX } else { value.parse().ok()? };
        Some((*resource, value))
    };
    let limits = text.iter().flat_map(|text| text.lines().filter_map(limit)).collect();
    let fixed = observed.system.get(PERSONALITY).is_some_and(|text| text == FIXED);
    Inherited { limits, fixed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_read_and_nonsense_is_not() {
        let mut observed = Observed { system: facts(), ..Observed::default() };
        let here = recorded(&observed);
        assert!(here.limits.len() >= 4, "{here:?}");
        assert!(!here.fixed);
        observed.system.insert(PERSONALITY.to_vec(), FIXED.to_vec());
        let text =
            b"open files\t12\nopen files\tmany\nlives\t3\nstack bytes\tunlimited\n\n\xff".to_vec();
        observed.system.insert(LIMITS.to_vec(), text);
        let there = recorded(&observed);
        assert_eq!(there.limits.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [12, u64::MAX]);
        assert!(there.fixed);
    }
}
