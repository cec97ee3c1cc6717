//! Times and rates as they are typed.

use std::time::Duration;

use lab_objects::LEAST_PACE;

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

/// Bytes a second as they are typed: `500k`, `2M`, `2MB/s`; in powers of 1,000.
pub(crate) fn rate(text: &str) -> Result<u64, String> {
    let least = LEAST_PACE / 1000;
    let bad = || format!("'{text}' is no rate: a number and k, M or G, as in 2M for 2 MB a second");
    let plain = text.strip_suffix("/s").unwrap_or(text);
    let plain = plain.strip_suffix(['B', 'b']).unwrap_or(plain);
    let digits = plain.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match &plain[digits.len()..] {
        "" => 1,
        "k" | "K" => 1000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        _ => return Err(bad()),
    };
    let number: u64 = digits.parse().map_err(|_| bad())?;
    let rate = number.checked_mul(unit).ok_or_else(bad)?;
    match rate >= LEAST_PACE {
        true => Ok(rate),
        false => Err(format!("'{text}' is less than {least}k, which is the least")),
    }
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

    #[test]
    fn rates_are_a_number_and_a_unit() {
        for (text, bytes) in [
            ("64000", 64_000),
            ("64k", 64_000),
            ("2M", 2_000_000),
            ("2MB/s", 2_000_000),
            ("1G", 1_000_000_000),
        ] {
            assert_eq!(rate(text), Ok(bytes), "{text}");
        }
        for text in ["", "k", "-1M", "1.5M", "1T", "63k", "0", "9999999999999999999G", "1 M", "M1"]
        {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
