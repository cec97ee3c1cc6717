//! Cutting text into the pieces inside which byte pairs are merged, as GPT-2 does.
//!
//! In this order of preference: an English contraction ('s 't 're 've 'm 'll 'd); an optional
//! space and letters; an optional space and numbers; an optional space and other characters that
//! are no white space; white space without the character before the next piece; white space. The
//! pieces, put together, are the text.

use crate::letters::{is_letter, is_number};

const CONTRACTIONS: [&str; 7] = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Number,
    Space,
    Other,
}

fn class(character: char) -> Class {
    match character {
        c if is_letter(c) => Class::Letter,
        c if is_number(c) => Class::Number,
        // Unicode's White_Space, which has not changed for years.
        c if c.is_whitespace() => Class::Space,
        _ => Class::Other,
    }
}

/// The pieces of a text, in order.
pub(crate) fn pretokens(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, after) = rest.split_at(first_len(rest));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// The length in bytes of a text's first piece; 0 for no text.
fn first_len(text: &str) -> usize {
    if let Some(contraction) = CONTRACTIONS.iter().find(|c| text.starts_with(**c)) {
        return contraction.len();
    }
    let unspaced = text.strip_prefix(' ').unwrap_or(text);
    match unspaced.chars().next().map(class) {
        Some(Class::Space) | None => space_len(text),
        Some(kind) => text.len() - unspaced.len() + run_len(unspaced, kind),
    }
}

/// Bytes of the characters of one class with which the text starts.
fn run_len(text: &str, kind: Class) -> usize {
    text.find(|c| class(c) != kind).unwrap_or(text.len())
}

/// White space up to the end, or without its last character, which goes with what comes after; a
/// single one stays.
fn space_len(text: &str) -> usize {
    let run = run_len(text, Class::Space);
    let last = text[..run].chars().next_back().map_or(0, char::len_utf8);
    match run == text.len() || run == last {
        true => run,
        false => run - last,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn cut(text: &str, expected: &[&str]) {
        assert_eq!(pretokens(text).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn pieces_by_hand() {
        cut("", &[]);
        cut("Hello world", &["Hello", " world"]);
        cut("I'll don't we've", &["I", "'ll", " don", "'t", " we", "'ve"]);
        cut("'sx 'tis", &["'s", "x", " '", "tis"]);
        cut("a1b 23", &["a", "1", "b", " 23"]);
        cut("x = -3.5;", &["x", " =", " -", "3", ".", "5", ";"]);
        cut("a   b", &["a", "  ", " b"]);
        cut("a\n\nb\n", &["a", "\n", "\n", "b", "\n"]);
        cut("a \n b", &["a", " \n", " b"]);
        cut("a  ", &["a", "  "]);
        cut("\tb", &["\t", "b"]);
        cut("\u{a0} \u{a0}é", &["\u{a0} ", "\u{a0}", "é"]);
        cut("été ½中文!", &["été", " ½", "中文", "!"]);
        cut(" 's", &[" '", "s"]);
        cut("don’t", &["don", "’", "t"]);
    }

    #[test]
    fn pieces_are_the_text() {
        let marks = ['a', ' ', '\n', '\'', 's', '1', 'é', '\u{3000}', '!', '\u{301}'];
        for number in 0..20_000usize {
            let mut left = number;
            let mut text = String::new();
            while left > 0 {
                text.push(marks[left % 10]);
                left /= 10;
            }
            assert_eq!(pretokens(&text).collect::<String>(), text);
        }
    }
}
