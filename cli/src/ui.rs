//! What people see: standard output, standard error, colour, JSON, sizes and times.
//!
//! The only module that writes to the terminal. Standard output carries the answer and nothing
//! else; bars, notes, hints and errors go to standard error. A reader that goes away (`lab ls |
//! head`) ends the program with 0.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use serde_json::Value;

/// How the program talks to its user.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ui {
    /// One JSON document on standard output instead of text.
    pub json: bool,
    /// No bars and no notes.
    pub quiet: bool,
}

/// For hashes.
pub(crate) const HASH: Style = AnsiColor::Yellow.on_default();
/// For names.
pub(crate) const NAME: Style = Style::new().bold();
/// For what went well.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// For what did not.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// For what matters less.
pub(crate) const DIM: Style = Style::new().dimmed();

/// `text` in `style`; the style is dropped again where output is not a terminal.
pub(crate) fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// `text` in `style`, padded with spaces on the right to `width` columns.
pub(crate) fn pad(style: Style, text: &str, width: usize) -> String {
    let space = " ".repeat(width.saturating_sub(text.chars().count()));
    format!("{style}{text}{style:#}{space}")
}

impl Ui {
    /// A line of the answer; silent when the answer is JSON.
    pub(crate) fn line(&self, text: impl Display) {
        if !self.json {
            write_or_leave(&mut anstream::stdout().lock(), format!("{text}\n").as_bytes());
        }
    }

    /// The answer as JSON, if that was asked for.
    pub(crate) fn answer(&self, value: &Value) {
        if self.json {
            let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
            text.push('\n');
            write_or_leave(&mut io::stdout().lock(), text.as_bytes());
        }
    }

    /// Something worth knowing that is not the answer: one indented line on standard error.
    pub(crate) fn note(&self, text: impl Display) {
        if !self.quiet && !self.json {
            say(&format!("  {}     {text}", paint(DIM, "note")));
        }
    }

    /// What to do next: one line on standard error.
    pub(crate) fn hint(&self, text: impl Display) {
        if !self.quiet && !self.json {
            say(&format!("{} {text}", paint(DIM, "hint:")));
        }
    }

    /// Whether moving bars make sense.
    pub(crate) fn has_bars(&self) -> bool {
        !self.quiet && !self.json && io::stderr().is_terminal()
    }
}

/// A line on standard error. If even that cannot be written there is nobody left to tell.
pub(crate) fn say(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Writes to standard output; a reader that has gone away ends the program quietly, and any
/// other failure (a full disk behind `>`) ends it with the exit code for I/O.
pub(crate) fn write_or_leave(out: &mut dyn Write, bytes: &[u8]) {
    if let Err(error) = out.write_all(bytes).and_then(|()| out.flush()) {
        if error.kind() == io::ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        say(&format!("{} cannot write to standard output: {error}", paint(BAD, "error:")));
        std::process::exit(5);
    }
}

/// A word with its article: `a run`, `an evaluation`.
pub(crate) fn a(word: impl Display) -> String {
    let word = word.to_string();
    let article = if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {word}")
}

/// A number of bytes for people, in powers of 1,000: `57.5 KB`.
pub(crate) fn bytes(n: u64) -> String {
    let mut value = n as f64;
    for unit in ["B", "KB", "MB", "GB", "TB"] {
        if value < 999.5 || unit == "TB" {
            return match unit {
                "B" => format!("{n} B"),
                _ if value < 9.995 => format!("{value:.2} {unit}"),
                _ if value < 99.95 => format!("{value:.1} {unit}"),
                _ => format!("{value:.0} {unit}"),
            };
        }
        value /= 1000.0;
    }
    unreachable!("the loop returns at its last unit")
}

/// A duration for people: `0.42 s`, `12.4 s`, `3 min 20 s`, `2 h 5 min`.
pub(crate) fn duration(ms: u64) -> String {
    let s = ms / 1000;
    match s {
        0..10 => format!("{:.2} s", ms as f64 / 1000.0),
        10..100 => format!("{:.1} s", ms as f64 / 1000.0),
        100..3600 => format!("{} min {} s", s / 60, s % 60),
        _ => format!("{} h {} min", s / 3600, s / 60 % 60),
    }
}

/// How long ago `then_ms` was, seen from `now_ms`; from a month on, the date.
pub(crate) fn ago(now_ms: u64, then_ms: u64) -> String {
    let plural = |n: u64, unit: &str| format!("{n} {unit}{} ago", if n == 1 { "" } else { "s" });
    let s = now_ms.saturating_sub(then_ms) / 1000;
    match s {
        0..5 => "just now".to_owned(),
        5..60 => plural(s, "second"),
        60..3600 => plural(s / 60, "minute"),
        3600..86_400 => plural(s / 3600, "hour"),
        86_400..2_592_000 => plural(s / 86_400, "day"),
        _ => iso(then_ms)[..10].to_owned(),
    }
}

/// A time as RFC 3339 in UTC, to the second.
pub(crate) fn iso(ms: u64) -> String {
    let seconds = i64::try_from(ms / 1000).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_second(seconds) {
        Ok(time) => time.to_string(),
        Err(_) => "9999-12-31T23:59:59Z".to_owned(),
    }
}

/// Text of somebody else's that is put into a line: what would move the cursor is written out.
pub(crate) fn plain(text: &str) -> String {
    let one = |c: char| match c.is_control() {
        true => c.escape_debug().to_string(),
        false => c.to_string(),
    };
    text.chars().map(one).collect()
}

/// The first `width` characters, with an ellipsis in the place of the last if there are more.
pub(crate) fn shortened(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// A count with its noun: `1 file`, `2,271 files`.
pub(crate) fn count(n: u64, noun: &str) -> String {
    let digits = n.to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{grouped} {noun}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits() {
        for (n, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 KB"),
            (57_523, "57.5 KB"),
            (999_600, "1.00 MB"),
            (231_000_000, "231 MB"),
            (3 << 30, "3.22 GB"),
        ] {
            assert_eq!(bytes(n), text);
        }
    }

    #[test]
    fn times_are_rough_for_people_and_exact_for_programs() {
        assert_eq!(duration(420), "0.42 s");
        assert_eq!(duration(12_440), "12.4 s");
        assert_eq!(duration(200_000), "3 min 20 s");
        assert_eq!(duration(7_500_000), "2 h 5 min");
        assert_eq!(ago(61_000, 0), "1 minute ago");
        assert_eq!(ago(1_795_000_000_000, 0), "1970-01-01");
        assert_eq!(ago(0, 5), "just now");
        assert_eq!(iso(1_795_000_000_000), "2026-11-18T11:06:40Z");
        iso(u64::MAX);
        assert_eq!(count(1, "file"), "1 file");
        assert_eq!(count(2_271, "file"), "2,271 files");
        assert_eq!(count(100, "run"), "100 runs");
    }
}
