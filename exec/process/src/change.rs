//! Something that is not as a record says, in words.

use std::collections::BTreeSet;
use std::fmt;
use std::io;

use lab_schema::observed::Listed;

/// Something that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What, as its owner calls it.
    pub what: String,
    /// In which way.
    pub how: String,
    /// The name whose coming or going in a folder is the change.
    pub entry: Option<String>,
}

impl Change {
    /// That something is not as it was, in some way.
    pub fn new(what: impl Into<String>, how: impl Into<String>) -> Change {
        Change { what: what.into(), how: how.into(), entry: None }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.how)
    }
}

/// How a record stands.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Standing {
    /// What is not as it was; nothing: the command would find what it found.
    pub changes: Vec<Change>,
    /// Files that hold what they held.
    pub files: u64,
    /// Places where there is still nothing.
    pub absent: u64,
    /// Folders that list what they listed.
    pub listed: u64,
}

/// Most characters of a value that is shown whole.
const SHOWN: usize = 60;

/// In which way a value changed; of a long list like `PATH`, which parts.
pub(crate) fn changed(then: Option<&String>, now: Option<&String>) -> String {
    let is_long = |v: &&String| v.chars().count() > SHOWN;
    if let (Some(then), Some(now)) = (then, now)
        && (is_long(&then) || is_long(&now))
    {
        let only = |a: &str, b: &str| {
            let b: BTreeSet<&str> = b.split(':').collect();
            let only = a.split(':').find(|part| !b.contains(part))?;
            let short: String = only.chars().take(SHOWN).collect();
            let end = if short.len() < only.len() { "…" } else { "" };
            Some(format!("'{}{end}'", short.escape_debug()))
        };
        return match (only(then, now), only(now, then)) {
            (Some(lost), Some(new)) => format!("had {lost} and has {new}"),
            (Some(lost), None) => format!("has {lost} no longer"),
            (None, Some(new)) => format!("now has {new}"),
            (None, None) => "has its parts in another order".to_owned(),
        };
    }
    let show =
        |value: Option<&String>| value.map_or("unset".to_owned(), |v| v.escape_debug().to_string());
    format!("was {} and is {}", show(then), show(now))
}

/// That a file cannot be found or read.
pub(crate) fn gone(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => "is gone".to_owned(),
        _ => format!("cannot be read any more ({error})"),
    }
}

/// In which way a folder's listing changed, and which name came or went.
pub(crate) fn relisted(then: &[&Listed], now: &[&Listed]) -> (String, Option<String>) {
    let names = |all: &[&Listed]| -> BTreeSet<Vec<u8>> {
        all.iter().map(|listed| listed.name.clone()).collect()
    };
    let (then, now) = (names(then), names(now));
    let text = |name: &Vec<u8>| String::from_utf8_lossy(name).escape_debug().to_string();
    let (new, old) = (now.difference(&then).next(), then.difference(&now).next());
    match (new.map(text), old.map(text)) {
        (Some(new), _) => (format!("now also holds '{new}', and it was listed"), Some(new)),
        (_, Some(old)) => (format!("no longer holds '{old}', and it was listed"), Some(old)),
        _ => ("is listed in another order".to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_told_by_their_parts() {
        let long = "/usr/bin:".repeat(10);
        let with = |part: &str| Some(format!("{long}{part}"));
        let how = |a: &Option<String>, b: &Option<String>| changed(a.as_ref(), b.as_ref());
        assert_eq!(how(&with("/a"), &with("/b")), "had '/a' and has '/b'");
        assert_eq!(how(&with("/usr/bin"), &with("/b")), "now has '/b'");
        assert_eq!(how(&Some("1".into()), &None), "was 1 and is unset");
        assert_eq!(how(&Some("a\n".into()), &Some("b".into())), "was a\\n and is b");
    }
}
