//! Amounts as people write them.

/// `90s`, `10m`, `2h` or plain seconds, in milliseconds; else what is wrong.
pub fn milliseconds(text: &str) -> Result<u64, String> {
    scaled(text, &[("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)], 1000)
        .ok_or_else(|| "a number with s, m or h is needed, as in 90s".to_owned())
}

/// `512M`, `4G` or plain bytes, in bytes, by powers of 1,024; else what is wrong.
pub fn bytes(text: &str) -> Result<u64, String> {
    scaled(text, &[("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30), ("T", 1 << 40)], 1)
        .ok_or_else(|| "a number with K, M or G is needed, as in 512M".to_owned())
}

fn scaled(text: &str, units: &[(&str, u64)], plain: u64) -> Option<u64> {
    let (digits, factor) = units
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))
        .unwrap_or((text, plain));
    digits.parse::<u64>().ok()?.checked_mul(factor).filter(|n| *n > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_with_their_units() {
        assert_eq!(milliseconds("90s"), Ok(90_000));
        assert_eq!(milliseconds("250ms"), Ok(250));
        assert_eq!(milliseconds("10m"), Ok(600_000));
        assert_eq!(milliseconds("3"), Ok(3_000));
        assert_eq!(bytes("4G"), Ok(4 << 30));
        assert_eq!(bytes("17"), Ok(17));
        for bad in ["", "0", "-1s", "1.5h", "9999999999999999999s", "s"] {
            assert!(milliseconds(bad).is_err(), "{bad}");
        }
        assert!(bytes("18446744073709551615K").is_err());
    }
}
