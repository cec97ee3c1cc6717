//! Times as they are typed.

use std::time::Duration;

/// A duration as it is typed: `0s`, `90m`, `36h`, `14d`, `2w`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("'{text}' is no time: a number and s, m, h, d or w, as in 14d");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        "w" => 7 * 24 * 60 * 60,
        _ => return Err(bad()),
    };
    let number: u64 = digits.parse().map_err(|_| bad())?;
    // A date so far away cannot be told any more.
    let seconds = number.checked_mul(unit).filter(|s| *s <= 1000 * 366 * 24 * 60 * 60);
    seconds.map(Duration::from_secs).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_a_number_and_a_unit() {
        for (text, seconds) in [("0s", 0), ("90m", 5400), ("14d", 1_209_600), ("2w", 1_209_600)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
        }
        for text in ["", "14", "d", "-1d", "1.5h", "1y", "999999999999w", "1dd", "1 d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
