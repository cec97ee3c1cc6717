//! Times, told apart by what they say and not by how they are written.
//!
//! Every writer of tables has its own way: `2024-01-01T00:00:00Z`, `2024-01-01 00:00:00+00` and
//! `2024-01-01 00:00:00.000+0000` are one time. What is written for another zone is another time, though
//! it be the same moment: a program may see which zone a table is in.

/// A time of a day, or of any day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Time<'a> {
    /// Year, month and day, as they are written.
    day: Option<&'a [u8]>,
    hour: u32,
    minute: u32,
    second: u32,
    nanos: u32,
    /// Minutes east of Greenwich.
    zone: Option<i32>,
}

/// The time that a word tells, if it does: `HH:MM:SS`, or a day with `T` or a blank and `HH:MM`, perhaps
/// with seconds, up to nine digits of a fraction, and a zone (ISO 8601, RFC 3339 and what is near to them).
pub(crate) fn time(word: &[u8]) -> Option<Time<'_>> {
    let (day, mut rest) = match word.split_at_checked(10) {
        Some((day, [b'T' | b' ', rest @ ..])) if is_day(day) => (Some(day), rest),
        _ => (None, word),
    };
    let hour = number(&mut rest)?;
    let minute = after(b':', &mut rest)?;
    let second = after(b':', &mut rest);
    if second.is_none() && day.is_none() {
        return None;
    }
    let mut nanos = 0;
    if let (Some(_), [b'.', fraction @ ..]) = (second, rest) {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=9).contains(&digits) {
            return None;
        }
        let padded = fraction[..digits].iter().chain([b'0'; 9].iter()).take(9);
        nanos = padded.fold(0, |sum, byte| 10 * sum + u32::from(byte - b'0'));
        rest = &fraction[digits..];
    }
    let zone = match rest {
        [] => None,
        b"Z" | b"z" | b" UTC" => Some(0),
        [sign @ (b'+' | b'-'), zone @ ..] => {
            rest = zone;
            let hours = number(&mut rest)?;
            let minutes = match rest {
                [] => 0,
                [b':', _, _] => after(b':', &mut rest)?,
                _ => number(&mut rest)?,
            };
            let east = (60 * hours + minutes).cast_signed();
            rest.is_empty().then_some(Some(if *sign == b'-' { -east } else { east }))?
        }
        _ => return None,
    };
    Some(Time { day, hour, minute, second: second.unwrap_or(0), nanos, zone })
}

fn is_day(day: &[u8]) -> bool {
    let mut bytes = day.iter().enumerate();
    bytes.all(|(at, byte)| if matches!(at, 4 | 7) { *byte == b'-' } else { byte.is_ascii_digit() })
}

/// Takes a number of two digits.
fn number(rest: &mut &[u8]) -> Option<u32> {
    let [tens @ b'0'..=b'9', ones @ b'0'..=b'9', left @ ..] = rest else { return None };
    let value = u32::from(tens - b'0') * 10 + u32::from(ones - b'0');
    *rest = left;
    Some(value)
}

/// The same, behind a mark; takes nothing if there is none.
fn after(mark: u8, rest: &mut &[u8]) -> Option<u32> {
    let mut left = rest.strip_prefix(&[mark])?;
    let value = number(&mut left)?;
    *rest = left;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_one_however_it_is_written() {
        let same = |words: &[&str]| {
            let first = time(words[0].as_bytes()).unwrap_or_else(|| panic!("{}", words[0]));
            for word in words {
                assert_eq!(time(word.as_bytes()), Some(first), "{word}");
            }
        };
        same(&[
            "2024-02-29T01:02:03.5Z",
            "2024-02-29 01:02:03.500+00:00",
            "2024-02-29 01:02:03.500000000+0000",
            "2024-02-29T01:02:03.5+00",
            "2024-02-29 01:02:03.50 UTC",
        ]);
        same(&["2024-02-29T01:02:00", "2024-02-29 01:02", "2024-02-29 01:02:00.0"]);
        same(&["01:02:03", "01:02:03.000000000"]);
        let other = [
            "2024-02-29 01:02:03",
            "2024-02-29 01:02:03Z",
            "2024-02-29 01:02:03+01:00",
            "2024-02-29 01:02:03-01:00",
            "2024-02-29 01:02:03+0130",
            "2024-02-29 01:02:03.000000001",
            "2024-02-28 01:02:03",
            "01:02:03",
            "02:02:03",
            "01:03:03",
            "01:02:04",
            "01:02:03.1",
        ];
        for (at, one) in other.iter().enumerate() {
            assert!(time(one.as_bytes()).is_some(), "{one}");
            for two in &other[..at] {
                assert_ne!(time(one.as_bytes()), time(two.as_bytes()), "{one} {two}");
            }
        }
    }

    #[test]
    fn other_words_are_none() {
        for word in [
            "",
            "2024-01-01",
            "01:02",
            "1:02:03",
            "2024-01-01T",
            "2024-01-01T01",
            "2024/01/01 01:02:03",
            "2024-01-01 01:02:03.",
            "2024-01-01 01:02:03.1234567891",
            "2024-01-01 01:02:03+1",
            "2024-01-01 01:02:03+01:0",
            "2024-01-01 01:02:03+01:000",
            "2024-01-01 01:02:03 CET",
            "2024-01-01 01:02.5",
            "01:02:03 or so",
            "ab:cd:ef",
            "2024-01-0é 01:02",
        ] {
            assert_eq!(time(word.as_bytes()), None, "{word}");
        }
    }
}
