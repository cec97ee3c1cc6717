//! Lists of patterns, as OpenSSH reads them: `*@example.org,!bob@*`. A `*` stands for any characters, a `?`
//! for one; what a pattern with `!` in front matches is not meant, whatever else matches.

/// Whether a list of patterns means this text. A list of exceptions alone means nothing.
pub(crate) fn means(list: &str, text: &str) -> bool {
    let mut meant = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches(pattern.as_bytes(), text.as_bytes()) => return false,
            Some(_) => {}
            None => meant |= matches(pattern.as_bytes(), text.as_bytes()),
        }
    }
    meant
}

/// Whether one pattern matches all of a text. Of several `*` only the last needs to be tried anew, so
/// that the time is at most the product of the lengths.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut again = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                again = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match again {
                Some((star, from)) => {
                    again = Some((star, from + 1));
                    p = star + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_openssh() {
        for (list, text, meant) in [
            ("a", "a", true),
            ("a", "A", false),
            ("a", "ab", false),
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("a*c", "abbbc", true),
            ("a*c", "abbbcd", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*ab", "aab", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("x,a", "a", true),
            ("x, a", "a", false),
            ("*@e.org,!b@*", "a@e.org", true),
            ("*@e.org,!b@*", "b@e.org", false),
            ("!b@*,*@e.org", "b@e.org", false),
            ("!b", "a", false),
        ] {
            assert_eq!(means(list, text), meant, "{list:?} {text:?}");
        }
    }

    #[test]
    fn a_pattern_that_invites_backtracking_ends_soon() {
        let (pattern, text) = (format!("{}b", "*a".repeat(2_000)), "a".repeat(20_000));
        assert!(!means(&pattern, &text));
    }
}
