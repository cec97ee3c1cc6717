//! Whose keys these are: the file of allowed signers, as `ssh-keygen -Y verify -f` and git read it.
//!
//! ```text
//! ana@example.org namespaces="lab-*",valid-before="20270101Z" ssh-ed25519 AAAA... a comment
//! ```
//!
//! A line is understood as a whole or not at all: then it allows nobody, and the [`Problem`] is told.
//! Two things of ssh-keygen are refused by name. Certificates, since a key in `cert-authority` lines
//! stands for keys that nobody wrote down here. And times without a `Z` at the end: they are in the zone of
//! the machine that reads the file, so that two machines would answer differently.

use std::fmt;

use base64ct::{Base64, Encoding};

use crate::holds::string;
use crate::pattern::means;

/// Most bytes of the file, and of a line.
const MAX_BYTES: usize = 4 << 20;
const MAX_LINE_BYTES: usize = 64 << 10;

/// Whose keys are believed, for what and until when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    lines: Vec<Line>,
    problems: Vec<Problem>,
}

/// A line that is not understood, and so allows nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Its number, from 1; 0 for the file.
    pub line: usize,
    /// What is wrong with it.
    pub why: &'static str,
}

/// Why nobody is known to have a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotAllowed {
    /// No line has it.
    Unknown,
    /// Its lines are for other namespaces.
    OtherNamespace,
    /// It was not good yet at that time.
    NotYet,
    /// It was good no more at that time.
    Expired,
}

impl fmt::Display for NotAllowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NotAllowed::Unknown => "unknown",
            NotAllowed::OtherNamespace => "not allowed to sign this kind of thing",
            NotAllowed::NotYet => "not valid yet when it signed",
            NotAllowed::Expired => "expired when it signed",
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    principals: String,
    namespaces: Option<String>,
    /// In seconds since 1970.
    after: Option<u64>,
    before: Option<u64>,
    key: Vec<u8>,
}

impl Line {
    /// Whether the key may sign for a namespace at a time.
    fn allows(&self, namespace: &str, at_ms: u64) -> Result<(), NotAllowed> {
        let at = at_ms / 1000;
        if self.namespaces.as_ref().is_some_and(|list| !means(list, namespace)) {
            return Err(NotAllowed::OtherNamespace);
        }
        if self.after.is_some_and(|after| at < after) {
            return Err(NotAllowed::NotYet);
        }
        if self.before.is_some_and(|before| at > before) {
            return Err(NotAllowed::Expired);
        }
        Ok(())
    }
}

impl Allowed {
    /// Reads the file.
    pub fn parse(bytes: &[u8]) -> Allowed {
        let mut allowed = Allowed::default();
        if bytes.len() > MAX_BYTES {
            allowed.problems.push(Problem { line: 0, why: "the file has more than 4 MiB" });
            return allowed;
        }
        for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            match parse_line(line) {
                Ok(Some(line)) => allowed.lines.push(line),
                Ok(None) => {}
                Err(why) => allowed.problems.push(Problem { line: number + 1, why }),
            }
        }
        allowed
    }

    /// Lines that are not understood, and so allow nobody.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Whether any line has this key, for whatever and whenever.
    pub(crate) fn has(&self, key: &[u8]) -> bool {
        self.lines.iter().any(|line| line.key == key)
    }

    /// Who has this key and may sign for a namespace at a time: the first field of each line that
    /// says so.
    pub fn principals(
        &self,
        key: &[u8],
        namespace: &str,
        at_ms: u64,
    ) -> Result<Vec<&str>, NotAllowed> {
        let mut found = Vec::new();
        let mut why = NotAllowed::Unknown;
        for line in self.lines.iter().filter(|line| line.key == key) {
            match line.allows(namespace, at_ms) {
                Ok(()) => found.push(line.principals.as_str()),
                Err(reason) => why = why.max(reason),
            }
        }
        if found.is_empty() { Err(why) } else { Ok(found) }
    }

    /// Whether this person has this key and may sign for a namespace at a time.
    pub fn allows(&self, principal: &str, key: &[u8], namespace: &str, at_ms: u64) -> bool {
        self.lines.iter().any(|line| {
            line.key == key
                && means(&line.principals, principal)
                && line.allows(namespace, at_ms).is_ok()
        })
    }
}

type Parsed<T> = Result<T, &'static str>;

/// One line; none if it is empty or a comment.
fn parse_line(line: &[u8]) -> Parsed<Option<Line>> {
    if line.len() > MAX_LINE_BYTES {
        return Err("it has more than 64 KiB");
    }
    let line = std::str::from_utf8(line).map_err(|_| "it is not UTF-8")?;
    let line = line.trim_matches([' ', '\t', '\r']);
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (principals, rest) = principals(line)?;
    if principals.split(',').all(|p| p.is_empty() || p.starts_with('!')) {
        return Err("it names nobody");
    }
    let (options, key) = match key(rest) {
        Some(key) => (Options::default(), key),
        None => {
            let end = end_of_options(rest).ok_or("a quote is not closed")?;
            let options = options(&rest[..end])?;
            let key = key(rest[end..].trim_start_matches([' ', '\t']));
            (options, key.ok_or("it has no key that can be read: a kind, and base64")?)
        }
    };
    let Options { authority, namespaces, after, before } = options;
    if authority {
        return Err("certificates are not supported (cert-authority): name the keys themselves");
    }
    if let (Some(after), Some(before)) = (after, before)
        && before <= after
    {
        return Err("valid-before is not after valid-after");
    }
    Ok(Some(Line { principals, namespaces, after, before, key }))
}

/// The first field, which may stand in quotes, and the rest.
fn principals(line: &str) -> Parsed<(String, &str)> {
    let nothing = "it has no key behind the first field";
    let (principals, rest) = match line.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').ok_or("a quote is not closed")?,
        None => line.split_once([' ', '\t']).ok_or(nothing)?,
    };
    // A name with a character that moves the cursor is nobody's name.
    if principals.chars().any(char::is_control) {
        return Err("its first field holds a control character");
    }
    Ok((principals.to_owned(), rest.trim_start_matches([' ', '\t'])))
}

/// The bytes of a key that stands at the beginning: its kind, and base64.
fn key(text: &str) -> Option<Vec<u8>> {
    let mut words = text.split([' ', '\t']).filter(|word| !word.is_empty());
    let (kind, base64) = (words.next()?, words.next()?);
    let bytes = Base64::decode_vec(base64).ok()?;
    let (inside, _) = string(&bytes)?;
    (inside == kind.as_bytes()).then_some(bytes)
}

/// Where the options end: at a space outside of quotes.
fn end_of_options(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut quoted) = (0, false);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b' ' | b'\t' if !quoted => break,
            b'\\' if bytes.get(at + 1) == Some(&b'"') => at += 1,
            b'"' => quoted = !quoted,
            _ => {}
        }
        at += 1;
    }
    (!quoted).then_some(at)
}

#[derive(Default)]
struct Options {
    authority: bool,
    namespaces: Option<String>,
    after: Option<u64>,
    before: Option<u64>,
}

fn options(mut text: &str) -> Parsed<Options> {
    let mut found = Options::default();
    loop {
        let twice = |is_there: bool| if is_there { Err("an option stands twice") } else { Ok(()) };
        if let Some(rest) = strip(text, "cert-authority") {
            found.authority = true;
            text = rest;
        } else if let Some(rest) = strip(text, "namespaces=") {
            twice(found.namespaces.is_some())?;
            let (list, rest) = quoted(rest)?;
            found.namespaces = Some(list);
            text = rest;
        } else if let Some(rest) = strip(text, "valid-after=") {
            twice(found.after.is_some())?;
            let (time, rest) = quoted(rest)?;
            found.after = Some(seconds(&time)?);
            text = rest;
        } else if let Some(rest) = strip(text, "valid-before=") {
            twice(found.before.is_some())?;
            let (time, rest) = quoted(rest)?;
            found.before = Some(seconds(&time)?);
            text = rest;
        } else {
            return Err("it has neither an option that is known nor a key in the second place");
        }
        match text.strip_prefix(',') {
            Some(rest) if !rest.is_empty() => text = rest,
            None if text.is_empty() => return Ok(found),
            _ => return Err("its options are not separated by single commas"),
        }
    }
}

/// What follows a word, in whatever case it is written.
fn strip<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(word.len())?;
    head.eq_ignore_ascii_case(word).then_some(rest)
}

/// A value in quotes, and what follows.
fn quoted(text: &str) -> Parsed<(String, &str)> {
    let bare = "the value of an option stands in quotes";
    let text = text.strip_prefix('"').ok_or(bare)?;
    let mut value = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' if chars.peek().is_some_and(|(_, next)| *next == '"') => {
                chars.next();
                value.push('"');
            }
            char => value.push(char),
        }
    }
    Err("a quote is not closed")
}

/// `YYYYMMDD`, `YYYYMMDDHHMM` or `YYYYMMDDHHMMSS` and a `Z`, in seconds since 1970.
fn seconds(text: &str) -> Parsed<u64> {
    let bad = "a time is written YYYYMMDDZ, YYYYMMDDHHMMZ or YYYYMMDDHHMMSSZ";
    let digits = text.strip_suffix(['Z', 'z']);
    let Some(digits) = digits else {
        return Err(match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => "a time needs a Z at its end: without, each machine takes it for another",
            false => bad,
        });
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) || ![8, 12, 14].contains(&digits.len()) {
        return Err(bad);
    }
    let number = |from: usize, to: usize| digits.get(from..to).map_or(Ok(0), str::parse::<i8>);
    let year = digits[..4].parse().map_err(|_| bad)?;
    let part = |from, to| number(from, to).map_err(|_| bad);
    let time = jiff::civil::DateTime::new(
        year,
        part(4, 6)?,
        part(6, 8)?,
        part(8, 10)?,
        part(10, 12)?,
        part(12, 14)?,
        0,
    );
    let time = time.and_then(|time| jiff::tz::Offset::UTC.to_timestamp(time)).map_err(|_| bad)?;
    u64::try_from(time.as_second()).map_err(|_| bad)
}
