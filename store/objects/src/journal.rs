//! The journal of a name: a text file with one line per move, oldest first.
//!
//! ```text
//! line   = target TAB kind TAB milliseconds TAB who TAB why TAB checksum LF
//! target = "-" (the name was deleted) | kind of object, a space, its id
//! ```
//!
//! Tabs, line breaks and backslashes in `who` and `why` are escaped with a backslash. The
//! checksum, 16 hexadecimal digits, covers the name, the checksum of the line before and the
//! line itself: a line that was changed, swapped, or copied from another name is found.

use std::fmt;
use std::str::FromStr;

use lab_schema::{Digest, Name, ObjectId};

use crate::error::{ObjectsError, Result};
use crate::frame::Parsed;

/// The context of the digest of a journal.
const DIGEST: &str = "lab 2026-11-30 journal of a name";

/// The digest by which who moves a name from far away says which journal of it was seen.
pub fn journal_digest(journal: &[u8]) -> Digest {
    Digest::derive(DIGEST, journal)
}

/// Whether a name has moved as `moved` notes, and perhaps on from there: journals only grow, so that a
/// move whose answer was lost is still to be seen when others have moved the name since.
pub fn has_moved(journal: Option<&[u8]>, moved: &[u8]) -> bool {
    !moved.is_empty() && journal.is_some_and(|journal| journal.starts_with(moved))
}

/// What a name is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NameKind {
    /// Data.
    Dataset,
    /// Source code.
    Code,
    /// A model.
    Weights,
    /// What a run made.
    Result,
    /// What a run needs around it.
    Environment,
}

impl NameKind {
    /// Every kind.
    pub const ALL: [NameKind; 5] = [
        NameKind::Dataset,
        NameKind::Code,
        NameKind::Weights,
        NameKind::Result,
        NameKind::Environment,
    ];

    /// The kind in one word.
    pub const fn as_str(self) -> &'static str {
        match self {
            NameKind::Dataset => "dataset",
            NameKind::Code => "code",
            NameKind::Weights => "weights",
            NameKind::Result => "result",
            NameKind::Environment => "environment",
        }
    }
}

impl fmt::Display for NameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for NameKind {
    type Err = BadNameKind;
    fn from_str(text: &str) -> std::result::Result<NameKind, BadNameKind> {
        let found = NameKind::ALL.into_iter().find(|k| k.as_str() == text);
        found.ok_or_else(|| BadNameKind(text.to_owned()))
    }
}

/// The text is not a [`NameKind`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{}' is not a kind of name: dataset, code, weights, result or environment", .0.escape_debug())]
pub struct BadNameKind(pub String);

/// One move of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Where it points from then on; none: it was deleted.
    pub target: Option<ObjectId>,
    /// What the name is for.
    pub kind: NameKind,
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    pub when_ms: u64,
    /// Who moved it.
    pub who: String,
    /// Why.
    pub why: String,
}

/// Text that cannot break a line or a field.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}

fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => match chars.next()? {
                '\\' => '\\',
                't' => '\t',
                'n' => '\n',
                'r' => '\r',
                _ => return None,
            },
            c => c,
        });
    }
    Some(plain)
}

fn checksum(name: &Name, before: &str, fields: &str) -> String {
    let covered = format!("{name}\n{before}\n{fields}");
    let digest = Digest::derive("lab 2026-11-24 store move", covered.as_bytes());
    digest.to_string()[..16].to_owned()
}

/// The journal `before` with one more move; the caller has parsed `before`.
pub(crate) fn append(name: &Name, before: &[u8], m: &Move) -> Vec<u8> {
    let text = String::from_utf8_lossy(before);
    let last = text.lines().last().and_then(|line| line.rsplit('\t').next()).unwrap_or_default();
    let target = m.target.map_or_else(|| "-".to_owned(), |id| id.to_string());
    let (who, why) = (escape(&m.who), escape(&m.why));
    let fields = format!("{target}\t{}\t{}\t{who}\t{why}", m.kind, m.when_ms);
    let line = format!("{fields}\t{}\n", checksum(name, last, &fields));
    [before, line.as_bytes()].concat()
}

/// The start of a journal up to its first damaged line: every line in it has its checksum.
pub(crate) fn sound_part<'a>(name: &Name, bytes: &'a [u8]) -> &'a [u8] {
    let (mut end, mut before) = (0, "");
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let text = std::str::from_utf8(line).ok().and_then(|text| text.strip_suffix('\n'));
        let Some(Ok((_, sum))) = text.map(|text| parse_line(name, before, text)) else { break };
        (end, before) = (end + line.len(), sum);
    }
    &bytes[..end]
}

/// The moves in the journal of `name`.
pub(crate) fn parse(name: &Name, bytes: &[u8]) -> Result<Vec<Move>> {
    let damaged = |why| ObjectsError::Damaged { what: format!("name {name}"), why };
    let text = std::str::from_utf8(bytes).map_err(|_| damaged("it is not text"))?;
    let lines = text.strip_suffix('\n').ok_or_else(|| damaged("its last line is cut off"))?;
    let mut before = "";
    let mut moves = Vec::new();
    for line in lines.split('\n') {
        let (m, sum) = parse_line(name, before, line).map_err(damaged)?;
        moves.push(m);
        before = sum;
    }
    Ok(moves)
}

/// The move that a line notes, and its checksum; `before` is that of the line before it.
fn parse_line<'a>(name: &Name, before: &str, line: &'a str) -> Parsed<(Move, &'a str)> {
    let (fields, sum) = line.rsplit_once('\t').ok_or("a line is not a move")?;
    if sum != checksum(name, before, fields) {
        return Err("a line has a wrong checksum");
    }
    Ok((parse_fields(fields).ok_or("a line is not a move")?, sum))
}

fn parse_fields(fields: &str) -> Option<Move> {
    let fields: Vec<&str> = fields.split('\t').collect();
    let [target, kind, when_ms, who, why] = fields.try_into().ok()?;
    let target = match target {
        "-" => None,
        id => {
            let (kind, digest) = id.split_once(' ')?;
            Some(ObjectId::new(kind.parse().ok()?, digest.parse().ok()?))
        }
    };
    let (kind, when_ms) = (kind.parse().ok()?, when_ms.parse().ok()?);
    Some(Move { target, kind, when_ms, who: unescape(who)?, why: unescape(why)? })
}

#[cfg(test)]
mod tests {
    use lab_schema::BlobId;
    use proptest::prelude::*;

    use super::*;

    fn a_move(who: &str, why: &str, when_ms: u64) -> Move {
        let target = (!when_ms.is_multiple_of(3)).then(|| BlobId::of(why.as_bytes()).into());
        let kind = NameKind::ALL[when_ms as usize % 5];
        Move { target, kind, when_ms, who: who.into(), why: why.into() }
    }

    // proves L-18: the text of a journal, for ever.
    #[test]
    fn a_journal_is_plain_text() {
        let name = Name::new("mnist").unwrap();
        let m = Move { target: Some(BlobId::of(b"").into()), ..a_move("ada", "first\ttry", 1) };
        let text = String::from_utf8(append(&name, b"", &m)).unwrap();
        let id = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(text, format!("blob {id}\tcode\t1\tada\tfirst\\ttry\td0899f64f1461860\n"));
    }

    // proves L-19
    #[test]
    fn every_flipped_bit_and_every_cut_within_a_line_is_found() {
        let name = Name::new("mnist").unwrap();
        let one = append(&name, b"", &a_move("ada", "one", 1));
        let two = append(&name, &one, &a_move("bob", "two", 3));
        assert_eq!(parse(&name, &two).unwrap().len(), 2);
        for bit in 0..two.len() * 8 {
            let mut bad = two.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(parse(&name, &bad).is_err(), "bit {bit}");
        }
        for cut in (0..two.len()).filter(|cut| *cut != one.len()) {
            assert!(parse(&name, &two[..cut]).is_err(), "cut at {cut}");
        }
        assert!(parse(&Name::new("other").unwrap(), &two).is_err());
        assert!(parse(&name, &two[one.len()..]).is_err());
    }

    // Of whoever moves a name often, and of whoever else may say what its journal is.
    #[test]
    fn the_sound_part_of_a_long_journal_is_found_in_no_time() {
        let name = Name::new("busy").unwrap();
        let (mut journal, mut before) = (String::new(), String::new());
        for n in 0..30_000 {
            let fields = format!("-\tcode\t{n}\tada\t");
            before = checksum(&name, &before, &fields);
            journal += &format!("{fields}\t{before}\n");
        }
        let start = std::time::Instant::now();
        assert_eq!(sound_part(&name, journal.as_bytes()), journal.as_bytes());
        let bad = [journal.as_bytes(), b"-\tcode\t1\tada\t\t0\n", journal.as_bytes()].concat();
        assert_eq!(sound_part(&name, &bad), journal.as_bytes());
        assert!(start.elapsed() < std::time::Duration::from_secs(10), "{:?}", start.elapsed());
    }

    proptest! {
        #[test]
        fn the_sound_part_is_the_longest_that_is_a_journal(cut in 0usize..400, flip in 0usize..400) {
            let name = Name::new("n").unwrap();
            let mut bytes = (0..4).fold(Vec::new(), |b, n| append(&name, &b, &a_move("a", "b", n)));
            bytes.truncate(cut);
            if let Some(byte) = bytes.get_mut(flip) {
                *byte ^= 16;
            }
            let longest = (1..=bytes.len()).rev().find(|end| parse(&name, &bytes[..*end]).is_ok());
            prop_assert_eq!(sound_part(&name, &bytes).len(), longest.unwrap_or(0));
        }

        #[test]
        fn any_text_comes_back(texts in proptest::collection::vec((".*", ".*", any::<u64>()), 1..5)) {
            let name = Name::new("n").unwrap();
            let moves: Vec<Move> = texts.iter().map(|(a, b, n)| a_move(a, b, *n)).collect();
            let bytes = moves.iter().fold(Vec::new(), |bytes, m| append(&name, &bytes, m));
            prop_assert_eq!(bytes.iter().filter(|b| **b == b'\n').count(), moves.len());
            prop_assert_eq!(parse(&name, &bytes).unwrap(), moves);
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
            prop_assert!(parse(&Name::new("n").unwrap(), &bytes).is_err());
        }
    }
}
