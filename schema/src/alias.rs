//! Under which digests something is known elsewhere: how DVC, git-lfs, Hugging Face or MLflow called
//! what was imported from them, so that the old hash still finds it.
//!
//! An [`Aliases`] belongs to one object and goes where that goes. The digests stand in a blob, since
//! there may be millions: a line for each, sorted, so that a text tool reads it too.
//!
//! ```text
//! line = scheme ":" digits SP ("blob" | "tree" | "run") SP id LF
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::SchemaError;
use crate::hash::{BlobId, Digest, RunId, TreeId, hex};
use crate::kind::Kind;

/// How a digest of another tool was made. In the order of their names, as lines of a table are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// The id of a git object: SHA-1 of a file with git's header in front, or of a commit.
    Git,
    /// MD5 of a file's bytes, or of the list that DVC keeps of a directory.
    Md5,
    /// The number that MLflow gave a run: drawn at random, and no digest of anything.
    Mlflow,
    /// SHA-256 of a file's bytes.
    Sha256,
}

impl Scheme {
    /// Every scheme.
    pub const ALL: [Scheme; 4] = [Scheme::Git, Scheme::Md5, Scheme::Mlflow, Scheme::Sha256];

    /// What stands before the colon.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Git => "git",
            Scheme::Md5 => "md5",
            Scheme::Mlflow => "mlflow",
            Scheme::Sha256 => "sha256",
        }
    }

    /// How many bytes a digest has.
    pub const fn bytes(self) -> usize {
        match self {
            Scheme::Git => 20,
            Scheme::Md5 | Scheme::Mlflow => 16,
            Scheme::Sha256 => 32,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scheme {
    type Err = ();
    fn from_str(text: &str) -> Result<Scheme, ()> {
        Scheme::ALL.into_iter().find(|scheme| scheme.as_str() == text).ok_or(())
    }
}

/// A digest of another tool, such as `md5:d41d8cd98f00b204e9800998ecf8427e`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alias {
    scheme: Scheme,
    /// Zero beyond the bytes of the scheme.
    bytes: [u8; 32],
}

impl Alias {
    /// The digest with these bytes; none if their number is not that of the scheme.
    pub fn new(scheme: Scheme, digest: &[u8]) -> Option<Alias> {
        let mut bytes = [0; 32];
        bytes.get_mut(..digest.len())?.copy_from_slice(digest);
        (digest.len() == scheme.bytes()).then_some(Alias { scheme, bytes })
    }

    /// The digest with these hexadecimal digits; none if they are not as many as the scheme has.
    pub fn from_hex(scheme: Scheme, digits: &str) -> Option<Alias> {
        if digits.len() != 2 * scheme.bytes() {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let digit = |at: usize| (pair[at] as char).to_digit(16);
            *byte = (digit(0)? * 16 + digit(1)?) as u8;
        }
        Some(Alias { scheme, bytes })
    }

    /// How it was made.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Its bytes.
    pub fn digest(&self) -> &[u8] {
        &self.bytes[..self.scheme.bytes()]
    }
}

impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.scheme, hex(self.digest()))
    }
}

impl fmt::Debug for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The start of an [`Alias`], as people type it: at least four digits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AliasPrefix {
    scheme: Scheme,
    digits: String,
}

impl AliasPrefix {
    /// Fewest digits accepted.
    pub const MIN_DIGITS: usize = 4;

    /// Splits what starts with an alias, such as `md5:d41d8cd9.dir/train`, into it and the rest,
    /// which is empty or starts with `/` or `:`. The `.dir` that DVC puts behind the digest of a
    /// directory is passed over. None if `text` is not of this form.
    pub fn split(text: &str) -> Option<(AliasPrefix, &str)> {
        let (scheme, rest) = text.split_once(':')?;
        let scheme: Scheme = scheme.parse().ok()?;
        let end = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
        let (digits, rest) = rest.split_at(end);
        let rest = rest.strip_prefix(".dir").unwrap_or(rest);
        let fits = (Self::MIN_DIGITS..=2 * scheme.bytes()).contains(&digits.len());
        (fits && (rest.is_empty() || rest.starts_with(['/', ':'])))
            .then(|| (AliasPrefix { scheme, digits: digits.to_ascii_lowercase() }, rest))
    }

    /// How the digest was made.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }
}

impl From<Alias> for AliasPrefix {
    fn from(alias: Alias) -> AliasPrefix {
        AliasPrefix { scheme: alias.scheme, digits: hex(alias.digest()) }
    }
}

impl fmt::Display for AliasPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.scheme, self.digits)
    }
}

/// What can be known by other digests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// A file's bytes.
    Blob(BlobId),
    /// A directory.
    Tree(TreeId),
    /// A run.
    Run(RunId),
}

impl Subject {
    /// The kind of object.
    pub const fn kind(&self) -> Kind {
        match self {
            Subject::Blob(_) => Kind::Blob,
            Subject::Tree(_) => Kind::Tree,
            Subject::Run(_) => Kind::Run,
        }
    }

    /// The digest of its id.
    pub const fn digest(&self) -> Digest {
        match self {
            Subject::Blob(id) => id.digest(),
            Subject::Tree(id) => id.digest(),
            Subject::Run(id) => id.digest(),
        }
    }
}

impl fmt::Display for Subject {
    /// The kind and all 64 digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.digest())
    }
}

/// Under which digests an object, and what is in it, is known elsewhere. Says nothing of when and by
/// whom: importing the same again makes the same object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aliases {
    /// What was imported.
    pub of: Subject,
    /// What it was imported from: `dvc`, `lfs`, `hf`, `mlflow`.
    pub from: String,
    /// What it was called there, such as `data/raw` or `org/name@revision`.
    pub origin: String,
    /// The digests: a blob as [`write_table`] makes it.
    pub table: BlobId,
}

/// The bytes of a table.
pub fn write_table(aliases: &BTreeMap<Alias, Subject>) -> Vec<u8> {
    let line = |(alias, subject): (&Alias, &Subject)| format!("{alias} {subject}\n");
    aliases.iter().map(line).collect::<String>().into_bytes()
}

/// What the table with these bytes says, in its order; refuses any other bytes.
pub fn read_table(bytes: &[u8]) -> Result<Vec<(Alias, Subject)>, SchemaError> {
    let mut all: Vec<(Alias, Subject)> = Vec::new();
    for (number, line) in lines(bytes).enumerate() {
        let bad = |why| SchemaError::BadAliases { line: number as u64 + 1, why };
        let entry = read_line(line).map_err(bad)?;
        if all.last().is_some_and(|(last, _)| *last >= entry.0) {
            return Err(bad("it is out of order"));
        }
        all.push(entry);
    }
    Ok(all)
}

/// What a table says of the aliases that start so. Only their lines are looked at.
pub fn find_in_table(
    bytes: &[u8],
    prefix: &AliasPrefix,
) -> Result<Vec<(Alias, Subject)>, SchemaError> {
    let start = prefix.to_string();
    let mut found = Vec::new();
    for (number, line) in lines(bytes).enumerate() {
        if line.starts_with(start.as_bytes()) {
            let bad = |why| SchemaError::BadAliases { line: number as u64 + 1, why };
            found.push(read_line(line).map_err(bad)?);
        }
    }
    Ok(found)
}

/// The lines with their ends.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n')
}

fn read_line(line: &[u8]) -> Result<(Alias, Subject), &'static str> {
    let text = line.strip_suffix(b"\n").ok_or("it has no end")?;
    let text = std::str::from_utf8(text).map_err(|_| "it is not text")?;
    let parts: Vec<&str> = text.splitn(4, ' ').collect();
    let [alias, kind, id] = parts[..] else { return Err("it does not have three parts") };
    let (scheme, digits) = alias.split_once(':').ok_or("its digest has no scheme")?;
    let scheme = scheme.parse().map_err(|()| "its scheme is not known")?;
    let alias = Alias::from_hex(scheme, digits).ok_or("its digest is none of its scheme")?;
    let digest: Digest = id.parse().map_err(|_| "its id is none")?;
    let subject = match kind.parse() {
        Ok(Kind::Blob) => Subject::Blob(BlobId::from_digest(digest)),
        Ok(Kind::Tree) => Subject::Tree(TreeId::from_digest(digest)),
        Ok(Kind::Run) => Subject::Run(RunId::from_digest(digest)),
        _ => return Err("it names neither a blob nor a tree nor a run"),
    };
    // Digits of the other case, for example.
    if format!("{alias} {subject}") != text {
        return Err("it is not as it would be written");
    }
    Ok((alias, subject))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Option<(String, String)> {
        AliasPrefix::split(text).map(|(alias, rest)| (alias.to_string(), rest.to_owned()))
    }

    #[test]
    fn what_is_typed_is_taken_apart() {
        let part = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(split("md5:D41D8"), part("md5:d41d8", ""));
        assert_eq!(split("md5:d41d8.dir/train/x"), part("md5:d41d8", "/train/x"));
        assert_eq!(split("mlflow:0a1b:model/MLmodel"), part("mlflow:0a1b", ":model/MLmodel"));
        let long = format!("md5:{}", "0".repeat(33));
        for other in ["md5", "md5:", "md5:abc", "md5:abcd.csv", "md5:xyzw", "crc:abcd", &long] {
            assert_eq!(split(other), None, "{other}");
        }
    }

    // proves F-34
    #[test]
    fn a_table_has_one_way_to_be_written() {
        let of = |text: &[u8]| Subject::Blob(BlobId::of(text));
        let alias = |scheme: Scheme, byte| Alias::new(scheme, &vec![byte; scheme.bytes()]).unwrap();
        let all: BTreeMap<Alias, Subject> = [
            (alias(Scheme::Sha256, 1), of(b"a")),
            (alias(Scheme::Md5, 0xab), of(b"a")),
            (alias(Scheme::Md5, 2), of(b"b")),
            (
                alias(Scheme::Git, 9),
                Subject::Tree(TreeId::from_digest(Digest::from_bytes([7; 32]))),
            ),
            (
                alias(Scheme::Mlflow, 3),
                Subject::Run(RunId::from_digest(Digest::from_bytes([8; 32]))),
            ),
        ]
        .into();
        let bytes = write_table(&all);
        let text = String::from_utf8(bytes.clone()).unwrap();
        assert!(text.lines().is_sorted() && text.lines().count() == 5, "{text}");
        assert_eq!(read_table(&bytes).unwrap(), all.clone().into_iter().collect::<Vec<_>>());
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x20;
            if let Ok(read) = read_table(&changed) {
                assert_eq!(write_table(&read.into_iter().collect()), changed, "byte {at}");
            }
            let cut = read_table(&bytes[..at]).is_ok();
            assert_eq!(cut, at == 0 || bytes[at - 1] == b'\n', "cut at {at}");
        }
        let mut swapped: Vec<&str> = text.split_inclusive('\n').collect();
        swapped.swap(0, 1);
        assert!(read_table(swapped.concat().as_bytes()).is_err());
        swapped[1] = swapped[0];
        assert!(read_table(swapped.concat().as_bytes()).is_err());
        let (prefix, _) = AliasPrefix::split("md5:abab").unwrap();
        assert_eq!(find_in_table(&bytes, &prefix).unwrap(), [(alias(Scheme::Md5, 0xab), of(b"a"))]);
    }
}
