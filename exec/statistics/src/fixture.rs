//! What SciPy says (`tests/scipy.json`, which `tests/scipy.py` makes), for the tests of parts that
//! are not public.

use serde_json::Value;

pub(crate) fn cases(kind: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("../tests/scipy.json")).unwrap();
    let cases = all[kind].as_array().unwrap().clone();
    assert!(cases.len() >= 10, "{kind}");
    cases
}

/// Asserts that a number is the one of the case, within that part of its own size.
#[track_caller]
pub(crate) fn close(case: &Value, key: &str, found: f64, part: f64) {
    let expected = case[key].as_f64().unwrap();
    let error = (found - expected).abs();
    assert!(error <= part * expected.abs(), "{key}: {found}, not {expected}, of {case}");
}
