//! Two texts: which lines differ, in the form of a unified diff, and of programs in Python in which
//! functions they lie.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::Serialize;

use crate::contents::lines::{Region, regions};

/// Largest text that is compared by lines.
pub(crate) const MAX_BYTES: u64 = 64 << 20;
/// Most lines of a text.
const MAX_LINES: usize = 1 << 22;
/// Lines that are told above and below of what differs.
const CONTEXT: usize = 3;
/// Most lines of a unified diff that are kept, and longest of one in characters.
const KEPT_LINES: usize = 2000;
const KEPT_CHARS: usize = 400;
/// Most functions that are named.
const MAX_TOUCHED: usize = 100;

/// What differs between two texts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TextChange {
    /// Lines that only the second has.
    pub added: u64,
    /// Lines that only the first has.
    pub removed: u64,
    /// Whether no other account of it has fewer lines.
    pub fewest: bool,
    /// Whether lines differ in nothing but their ends (`\r\n` or `\n`) and blanks before these.
    pub blanks_only: bool,
    /// Of Python programs: functions and classes in which lines differ, by indentation.
    pub touched: Vec<String>,
    /// The lines, with those around them; up to a bound.
    pub hunks: Vec<Hunk>,
    /// How many lines of hunks were left out.
    pub left_out: u64,
    /// Why no more is told of them, where they seemed to be more than text.
    pub why: Option<String>,
}

/// A part of a unified diff.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hunk {
    /// Its first line in the first text, from 1; the line before it if it has none there.
    pub before: u64,
    /// How many lines of the first text it tells.
    pub before_lines: u64,
    /// Its first line in the second text.
    pub after: u64,
    /// How many lines of the second text it tells.
    pub after_lines: u64,
    /// The lines, each behind a blank, `-` or `+`. What is not UTF-8 is replaced, long ones are cut.
    pub lines: Vec<String>,
}

/// What differs between two texts whose bytes do; an error, in words, if they have too many lines.
pub(crate) fn change(a: &[u8], b: &[u8], python: bool) -> Result<TextChange, String> {
    let (x, y) = (split(a)?, split(b)?);
    let (found, fewest) = regions(&x, &y);
    let count = |of: fn(&Region) -> &Range<usize>| found.iter().map(|r| of(r).len() as u64).sum();
    let (added, removed) = (count(|r| &r.after), count(|r| &r.before));
    let trimmed = |lines: &[&[u8]]| -> Vec<Vec<u8>> {
        lines.iter().map(|line| line.trim_ascii_end().to_vec()).collect()
    };
    let blanks_only = added == removed
        && found.iter().all(|r| trimmed(&x[r.before.clone()]) == trimmed(&y[r.after.clone()]));
    let touched = if python { touched(&x, &y, &found) } else { Vec::new() };
    let (hunks, left_out) = hunks(&x, &y, &found);
    Ok(TextChange { added, removed, fewest, blanks_only, touched, hunks, left_out, why: None })
}

/// The lines with their ends, so that a last one without it differs from one with it.
fn split(text: &[u8]) -> Result<Vec<&[u8]>, String> {
    let lines: Vec<&[u8]> =
        text.split_inclusive(|byte| *byte == b'\n').take(MAX_LINES + 1).collect();
    match lines.len() <= MAX_LINES {
        true => Ok(lines),
        false => Err(format!("it has more than {MAX_LINES} lines")),
    }
}

fn hunks(x: &[&[u8]], y: &[&[u8]], regions: &[Region]) -> (Vec<Hunk>, u64) {
    let (mut hunks, mut kept, mut left_out) = (Vec::new(), 0, 0_u64);
    let mut rest = regions;
    while let Some(first) = rest.first() {
        // Regions whose surroundings meet are told together.
        let near = |pair: &[Region]| pair[1].before.start - pair[0].before.end <= 2 * CONTEXT;
        let together = 1 + rest.windows(2).take_while(|pair| near(pair)).count();
        let (these, others) = rest.split_at(together);
        rest = others;
        let above = CONTEXT.min(first.before.start);
        let last = these.last().unwrap_or(first);
        let below = CONTEXT.min(x.len() - last.before.end);
        let (p, q) = (
            first.before.start - above..last.before.end + below,
            first.after.start - above..last.after.end + below,
        );
        let mut lines = Vec::new();
        let mut say = |mark: char, line: &[u8]| match kept < KEPT_LINES {
            true => {
                kept += 1;
                lines.push(shown(mark, line));
            }
            false => left_out += 1,
        };
        let mut at = p.start;
        for region in these {
            x[at..region.before.start].iter().for_each(|line| say(' ', line));
            x[region.before.clone()].iter().for_each(|line| say('-', line));
            y[region.after.clone()].iter().for_each(|line| say('+', line));
            at = region.before.end;
        }
        x[at..p.end].iter().for_each(|line| say(' ', line));
        if lines.is_empty() {
            continue;
        }
        // As diff has it, nothing stands behind the line before it.
        let start = |range: &Range<usize>| (range.start + usize::from(!range.is_empty())) as u64;
        hunks.push(Hunk {
            before: start(&p),
            before_lines: p.len() as u64,
            after: start(&q),
            after_lines: q.len() as u64,
            lines,
        });
    }
    (hunks, left_out)
}

fn shown(mark: char, line: &[u8]) -> String {
    let (text, end) = match line.strip_suffix(b"\n") {
        Some(text) => (text, ""),
        None => (line, " (no newline at the end)"),
    };
    // No more is looked at than can be shown.
    let text = String::from_utf8_lossy(&text[..text.len().min(4 * KEPT_CHARS)]);
    let mut out = String::from(mark);
    out.extend(text.chars().take(KEPT_CHARS));
    if text.chars().nth(KEPT_CHARS).is_some() {
        out.push('…');
    }
    out + end
}

/// The functions and classes in which lines were added, removed or replaced: those of the second text
/// in its order, and then those that are only in the first.
fn touched(x: &[&[u8]], y: &[&[u8]], regions: &[Region]) -> Vec<String> {
    let (before, after) = (scopes(x), scopes(y));
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for region in regions {
        for (lines, scopes, range) in [(y, &after, &region.after), (x, &before, &region.before)] {
            for at in range.clone() {
                let blank = lines[at].trim_ascii().is_empty();
                let name = if blank { None } else { scopes.of(at) };
                if let Some(name) = name
                    && !seen.contains(name)
                    && all.len() < MAX_TOUCHED
                {
                    seen.insert(name.to_owned());
                    all.push(name.to_owned());
                }
            }
        }
    }
    all
}

/// For each line the function or class that it lies in.
struct Scopes {
    names: Vec<String>,
    /// Index into `names`, plus one; 0 at the top level.
    lines: Vec<u32>,
}

impl Scopes {
    fn of(&self, line: usize) -> Option<&str> {
        match self.lines.get(line).copied().unwrap_or(0) {
            0 => Some(TOP),
            n => self.names.get(n as usize - 1).map(String::as_str),
        }
    }
}

/// What lines are said to lie in that lie in no function.
const TOP: &str = "top level";
/// Deepest nesting that is told apart, and longest name.
const MAX_NESTING: usize = 32;
const MAX_NAME: usize = 80;

/// By indentation alone: a line lies in the last `def` or `class` above it that is indented less. Lines
/// that only close a bracket and lines in long strings end nothing, and decorators belong to what
/// stands below them.
fn scopes(text: &[&[u8]]) -> Scopes {
    let mut found = Scopes { names: Vec::new(), lines: Vec::with_capacity(text.len()) };
    let mut open: Vec<(usize, u32, String)> = Vec::new();
    let mut quote: Option<&[u8]> = None;
    let mut decorators = 0;
    for line in text {
        let words = line.trim_ascii();
        let inside_string = quote.is_some();
        quote = quote_after(words, quote);
        let ends_nothing = inside_string
            || words.is_empty()
            || words.starts_with(b"#")
            || words.first().is_some_and(|byte| b")]}".contains(byte));
        if !ends_nothing {
            let indent = line.len() - line.trim_ascii_start().len();
            while open.last().is_some_and(|(other, ..)| *other >= indent) {
                open.pop();
            }
            if let Some(name) = defined(words)
                && open.len() < MAX_NESTING
            {
                let path = match open.last() {
                    Some((.., outer)) => format!("{outer}.{name}"),
                    None => name,
                };
                found.names.push(path.clone());
                let number = u32::try_from(found.names.len()).unwrap_or(u32::MAX);
                open.push((indent, number, path));
                let from = found.lines.len() - decorators;
                found.lines[from..].iter_mut().for_each(|line| *line = number);
            }
        }
        decorators = match words.starts_with(b"@") && !inside_string {
            true => decorators + 1,
            false => 0,
        };
        found.lines.push(open.last().map_or(0, |(_, number, _)| *number));
    }
    found
}

/// The name that a line defines.
fn defined(words: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(words).ok()?;
    let rest = text.strip_prefix("async ").unwrap_or(text).trim_start();
    let rest = rest.strip_prefix("def ").or_else(|| rest.strip_prefix("class "))?.trim_start();
    let name: String =
        rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').take(MAX_NAME).collect();
    (!name.is_empty()).then_some(name)
}

/// The kind of long string that is open behind a line.
fn quote_after<'a>(mut line: &'a [u8], mut open: Option<&'a [u8]>) -> Option<&'a [u8]>
where
    'static: 'a,
{
    const QUOTES: [&[u8]; 2] = [b"\"\"\"", b"'''"];
    loop {
        let at = |quote: &[u8]| line.windows(3).position(|part| part == quote);
        let next = match open {
            Some(quote) => at(quote).map(|place| (place, None)),
            None => {
                let found = QUOTES.iter().filter_map(|q| at(q).map(|place| (place, Some(*q))));
                found.min_by_key(|(place, _)| *place)
            }
        };
        let Some((place, after)) = next else { return open };
        open = after;
        line = &line[place + 3..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(a: &str, b: &str) -> TextChange {
        change(a.as_bytes(), b.as_bytes(), true).unwrap()
    }

    #[test]
    fn hunks_are_those_of_a_unified_diff() {
        let before: String = (1..=20).map(|i| format!("line {i}\n")).collect();
        let after = before.replace("line 4\n", "line four\n").replace("line 9\n", "");
        let change = told(&before, &(after.clone() + "line 21"));
        assert_eq!((change.added, change.removed, change.fewest), (2, 2, true));
        let heads: Vec<(u64, u64, u64, u64)> = change
            .hunks
            .iter()
            .map(|h| (h.before, h.before_lines, h.after, h.after_lines))
            .collect();
        assert_eq!(heads, [(1, 12, 1, 11), (18, 3, 17, 4)]);
        assert_eq!(change.hunks[0].lines[3..6], ["-line 4", "+line four", " line 5"]);
        let last = change.hunks[1].lines.last().unwrap();
        assert_eq!(last, "+line 21 (no newline at the end)");
        let new = told("", "x\n");
        assert_eq!((new.hunks[0].before, new.hunks[0].before_lines, new.hunks[0].after), (0, 0, 1));
    }

    #[test]
    fn line_ends_that_changed_are_told_as_such() {
        assert!(told("a\nb\n", "a\r\nb\r\n").blanks_only);
        assert!(told("a\nb\n", "a\nb").blanks_only);
        assert!(!told("a\nb\n", "a\nc\r\n").blanks_only);
    }

    #[test]
    fn long_differences_are_cut() {
        let many = |word: &str| (0..5000).map(|i| format!("{word}{i}\n")).collect::<String>();
        let change = told(&many("a"), &many("b"));
        assert_eq!((change.added, change.removed, change.left_out), (5000, 5000, 8000));
        let line = "x".repeat(1 << 20);
        assert!(told(&line, "y").hunks[0].lines.iter().all(|line| line.len() < 500));
    }

    #[test]
    fn functions_that_were_touched_are_named() {
        let before = "import os\n\nclass Model:\n    def __init__(\n        self,\n    ):\n        self.x = 1\n\n    @property\n    def size(self):\n        \"\"\"Text\nat the left\n\"\"\"\n        return 3\n\ndef train(model):\n    def step():\n        return 1\n    return step()\n";
        let touched = |after: &str| told(before, after).touched;
        assert_eq!(touched(&before.replace("x = 1", "x = 2")), ["Model.__init__"]);
        assert_eq!(touched(&before.replace("return 3", "return 4")), ["Model.size"]);
        assert_eq!(touched(&before.replace("    @property\n", "")), ["Model.size"]);
        assert_eq!(touched(&before.replace("return 1", "return 2")), ["train.step"]);
        assert_eq!(touched(&before.replace("return step", "return 1 + step")), ["train"]);
        assert_eq!(touched(&before.replace("import os", "import sys")), ["top level"]);
        let gone = &before[..before.find("def train").unwrap()];
        assert_eq!(touched(gone), ["train", "train.step"]);
        assert_eq!(touched(&(before.to_owned() + "\nasync def more():\n    pass\n")), ["more"]);
    }
}
