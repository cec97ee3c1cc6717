//! Text of somebody else's: made harmless, made visible, and measured.

/// Most marks that may stand above and below one letter: what carries more covers the lines around it.
const MARKS: usize = 3;

/// The text with what could steer a browser, a terminal or a reader's eye written out: control characters, marks
/// that turn the direction of what follows, and characters that nobody sees, as `\u{202e}`.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut marks = 0;
    for c in text.chars() {
        marks = if is_mark(c) { marks + 1 } else { 0 };
        match c {
            _ if c.is_control() || is_hidden(c) || marks > MARKS => out.extend(c.escape_default()),
            _ => out.push(c),
        }
    }
    out
}

/// The text for a place between tags, or in an attribute between double quotes.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in plain(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Whether nobody sees it, though it changes what is seen; and what no XML may hold.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{fdd0}'..='\u{fdef}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
        || u32::from(c) & 0xfffe == 0xfffe
}

/// Whether it is drawn above or below the letter before it.
fn is_mark(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5bd}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}'
        | '\u{e31}' | '\u{e34}'..='\u{e3a}' | '\u{e47}'..='\u{e4e}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// How wide a text is in the unit of its height, by the widest of the usual fonts; never less than it is drawn with.
pub(crate) fn width(text: &str) -> f64 {
    plain(text).chars().map(width_of).sum()
}

fn width_of(c: char) -> f64 {
    match c {
        _ if is_mark(c) => 0.0,
        'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' => 0.34,
        ' ' | 'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '/' | '\\' | '-' => 0.42,
        'm' | 'w' | 'M' | 'W' | '%' | '@' | '…' | '—' | '→' => 1.0,
        'A'..='Z' | '+' | '=' | '<' | '>' | '~' | '−' | '±' | '×' | '&' | '#' => 0.84,
        '\0'..='\u{24f}' => 0.65,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe4f}'
        | '\u{ff00}'..='\u{ffe6}' => 1.05,
        '\u{1f000}'..='\u{3ffff}' => 1.4,
        '\u{250}'..='\u{10ff}' => 0.95,
        _ => 1.4,
    }
}

/// The beginning of a text, made [`plain`], that is no wider than `most`; with an ellipsis if it is not all of it.
pub(crate) fn fitted(text: &str, most: f64) -> String {
    let text = plain(text);
    if width(&text) <= most {
        return text;
    }
    let mut left = most - width_of('…');
    let mut out = String::new();
    for c in text.chars() {
        left -= if is_mark(c) { 0.0 } else { width_of(c) };
        if left < 0.0 {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

/// At most `most` characters, with an ellipsis in the place of the last if there are more.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// A count with its noun: `1 run`, `6 runs`.
pub(crate) fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// How many there are besides: `and 960 more arms`.
pub(crate) fn more(n: usize, noun: &str) -> String {
    format!("and {n} more {noun}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_breaks_out() {
        for (text, safe) in [
            (
                "</script><script>alert(1)</script>",
                "&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;",
            ),
            ("\" onload=\"x", "&quot; onload=&quot;x"),
            ("' x", "&#39; x"),
            ("&lt;", "&amp;lt;"),
            ("]]><b>", "]]&gt;&lt;b&gt;"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("a\u{0}\u{1b}[2J\n", "a\\u{0}\\u{1b}[2J\\n"),
            ("\u{feff}x\u{200b}\u{ffff}", "\\u{feff}x\\u{200b}\\u{ffff}"),
            ("naïve 数据 🙂 שלום", "naïve 数据 🙂 שלום"),
        ] {
            assert_eq!(escaped(text), safe);
        }
    }

    #[test]
    fn marks_do_not_pile_up() {
        let piled = format!("e{}", "\u{301}".repeat(200));
        assert_eq!(plain(&piled).matches('\u{301}').count(), MARKS);
        assert_eq!(plain("e\u{301}e\u{301}e\u{301}e\u{301}"), "e\u{301}e\u{301}e\u{301}e\u{301}");
    }

    #[test]
    fn what_is_cut_fits() {
        assert_eq!(fitted("short", 10.0), "short");
        assert_eq!(fitted("mmmmmmmmmm", 4.0), "mmm…");
        assert_eq!(fitted("x", 0.1), "…");
        assert_eq!(shortened("abcdef", 4), "abc…");
        assert_eq!(shortened("abcd", 4), "abcd");
    }

    proptest! {
        #[test]
        fn no_text_holds_markup_or_what_xml_forbids(text in any::<String>()) {
            let safe = escaped(&text);
            prop_assert!(!safe.contains(['<', '>', '"', '\'']));
            prop_assert!(safe.chars().all(|c| !c.is_control() && !is_hidden(c)));
            for part in safe.split('&').skip(1) {
                let known = ["amp;", "lt;", "gt;", "quot;", "#39;"];
                prop_assert!(known.iter().any(|entity| part.starts_with(entity)), "{}", safe);
            }
        }

        #[test]
        fn texts_fit_where_they_are_to(text in any::<String>(), most in 1.0..40.0f64) {
            prop_assert!(width(&fitted(&text, most)) <= most + 1e-9);
        }
    }
}
