//! Words within a line.

use crate::colour::Tone;
use crate::svg::Canvas;
use crate::text::{escaped, shortened};

/// Longest text of a piece, in characters.
const MOST: usize = 4000;

/// A piece of a line. What it says may come from anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inline {
    /// Plain words.
    Text(String),
    /// Words that stand out: names.
    Strong(String),
    /// What is typed or pasted: hashes, commands, paths.
    Code(String),
    /// What matters less.
    Dim(String),
    /// News, with a sign for how good they are.
    Mark(Tone, String),
    /// An arm, with the mark that it has in every picture, counted from 0.
    Arm(usize, String),
}

impl Inline {
    /// Plain words.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Words that stand out.
    pub fn strong(text: impl Into<String>) -> Self {
        Self::Strong(text.into())
    }

    /// What is typed or pasted.
    pub fn code(text: impl Into<String>) -> Self {
        Self::Code(text.into())
    }

    /// What matters less.
    pub fn dim(text: impl Into<String>) -> Self {
        Self::Dim(text.into())
    }
}

/// Pieces one after another. Each is set apart, so that Hebrew or Arabic in one turns nothing beside it.
pub(crate) fn inlines(all: &[Inline]) -> String {
    let one = |piece: &Inline| match piece {
        Inline::Text(text) => safe(text),
        Inline::Strong(text) => format!("<strong><bdi>{}</bdi></strong>", safe(text)),
        Inline::Code(text) => format!("<code><bdi>{}</bdi></code>", safe(text)),
        Inline::Dim(text) => format!("<span class=\"dim\"><bdi>{}</bdi></span>", safe(text)),
        Inline::Mark(tone, text) => {
            let mut sign = Canvas::new();
            sign.sign((0.0, 0.0), *tone);
            let sign = sign.within_words();
            format!("<span class=\"mark {}\">{sign} <bdi>{}</bdi></span>", tone.class(), safe(text))
        }
        Inline::Arm(arm, text) => {
            let mut mark = Canvas::new();
            mark.mark((0.0, 0.0), *arm);
            let mark = mark.within_words();
            format!("<span class=\"arm\">{mark} <bdi>{}</bdi></span>", safe(text))
        }
    };
    all.iter().map(one).collect()
}

/// Text as markup, and no more of it than is a piece of a line.
pub(crate) fn safe(text: &str) -> String {
    escaped(&shortened(text, MOST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_piece_says_it_stays_one() {
        let evil = "</bdi></code><script>\u{202e}&";
        let pieces = [
            Inline::text(evil),
            Inline::strong(evil),
            Inline::code(evil),
            Inline::dim(evil),
            Inline::Mark(Tone::Bad, evil.into()),
            Inline::Arm(99, evil.into()),
        ];
        let html = inlines(&pieces);
        assert!(!html.contains("<script") && !html.contains('\u{202e}'), "{html}");
        assert_eq!((html.matches("<bdi>").count(), html.matches("</bdi>").count()), (5, 5));
        assert!(inlines(&[Inline::text("x".repeat(1_000_000))]).len() < 5000);
    }
}
