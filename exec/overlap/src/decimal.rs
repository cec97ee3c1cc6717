//! Numbers as they are written, in one form: `1`, `1.0`, `+1` and `10e-1` are equal.
//!
//! Decimals are compared, not floats: two identifiers of twenty digits that differ in the last one
//! are one and the same float.

/// The most characters of a number, and of its exponent.
const MOST_CHARACTERS: usize = 400;
const MOST_EXPONENT_DIGITS: usize = 6;

/// The one form of a decimal number: sign, digits without zeros at either end, and the power of
/// ten of the last digit. None if the text is no such number; what is neither finite nor decimal
/// is text.
pub(crate) fn canonical(text: &str) -> Option<String> {
    if text.len() > MOST_CHARACTERS {
        return None;
    }
    let (negative, text) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, power(exponent)?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let kept = digits.trim_end_matches('0');
    let exponent = exponent - i64::try_from(fraction.len()).ok()?
        + i64::try_from(digits.len() - kept.len()).ok()?;
    match kept.trim_start_matches('0') {
        "" => Some("0".to_owned()),
        kept => Some(format!("{}{kept}e{exponent}", if negative { "-" } else { "" })),
    }
}

fn power(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match whole && digits.len() <= MOST_EXPONENT_DIGITS {
        true => text.parse().ok(),
        false => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_have_one_form() {
        for equal in [
            &["1", "1.0", "+1", "01", "10e-1", "0.1e1", "1.", "1E0"][..],
            &["0", "-0", "0.00", ".0", "0e5"],
            &["-1500", "-1.5e3", "-1500.0", "-15E+2"],
            &["0.001", "1e-3", ".001", "0.0010"],
        ] {
            let forms: Vec<_> = equal.iter().map(|text| canonical(text).unwrap()).collect();
            assert!(forms.windows(2).all(|pair| pair[0] == pair[1]), "{equal:?}: {forms:?}");
        }
    }

    #[test]
    fn different_numbers_have_different_forms() {
        let texts = ["1", "-1", "10", "0.1", "11", "12345678901234567890", "12345678901234567891"];
        let mut forms: Vec<_> = texts.iter().map(|text| canonical(text).unwrap()).collect();
        forms.sort();
        forms.dedup();
        assert_eq!(forms.len(), texts.len());
    }

    #[test]
    fn what_is_no_number_is_text() {
        for text in [
            "",
            "-",
            ".",
            "e5",
            "1e",
            "1e+",
            "1e1234567",
            "inf",
            "nan",
            "1,5",
            "1_0",
            "0x1",
            "1 ",
            "--1",
            "1e1.5",
            "é",
        ] {
            assert_eq!(canonical(text), None, "{text}");
        }
        assert_eq!(canonical(&"1".repeat(MOST_CHARACTERS + 1)), None);
    }
}
