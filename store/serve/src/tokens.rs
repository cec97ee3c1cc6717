//! Who may do what: tokens, of which only hashes are kept.
//!
//! A token is `lab_<id>_<secret>`: 8 hexadecimal digits to find it by, and 64 of 256 random bits. The
//! file `tokens.toml` holds BLAKE3 of the secret (context `lab 2026-11-30 token`): of so many random
//! bits no slow hash is needed. Hashes are compared in constant time.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lab_schema::Digest;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use crate::error::{Result, ServeError};

/// The context of a secret's hash.
const CONTEXT: &str = "lab 2026-11-30 token";
/// What every token begins with, so that those who search for leaked secrets find it.
const PREFIX: &str = "lab_";
/// How long the file is believed before it is looked at again.
const FRESH: Duration = Duration::from_secs(1);
/// The space of a token for all of them.
pub(crate) const EVERYWHERE: &str = "*";

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// To read.
    Read,
    /// To read and write.
    Write,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Token {
    id: String,
    space: String,
    access: Access,
    hash: String,
    created: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    note: String,
    /// The hash of the secret that it had before it was rotated, and until when that holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Before>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Before {
    hash: String,
    until: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "token")]
    tokens: Vec<Token>,
}

/// A token as it is shown: everything but the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedToken {
    /// What it is found by.
    pub id: String,
    /// The space that it is for; `*` is all.
    pub space: String,
    /// What it allows there.
    pub access: Access,
    /// When it was made, in seconds since 1970-01-01T00:00:00Z.
    pub created: u64,
    /// When it stops to hold, likewise; none: never.
    pub expires: Option<u64>,
    /// What it is for.
    pub note: String,
}

/// What a server makes of a request's token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bearer {
    pub(crate) id: String,
    space: String,
    access: Access,
}

impl Bearer {
    /// What it allows in a space.
    pub(crate) fn access(&self, space: &str) -> Option<Access> {
        (self.space == EVERYWHERE || self.space == space).then_some(self.access)
    }
}

/// The tokens in a file, which may change at any time.
#[derive(Debug)]
pub struct Tokens {
    path: PathBuf,
    seen: Mutex<Option<Seen>>,
}

#[derive(Debug)]
struct Seen {
    at: Instant,
    stamp: Option<(SystemTime, u64)>,
    tokens: Vec<Token>,
}

impl Tokens {
    /// Those in the file at `path`; an absent one has none.
    pub fn at(path: &Path) -> Tokens {
        Tokens { path: path.to_owned(), seen: Mutex::default() }
    }

    /// Makes a token for a space (`*`: for all), and returns it: it cannot be found out again.
    pub fn add(
        &self,
        space: &str,
        access: Access,
        note: &str,
        lifetime: Option<Duration>,
    ) -> Result<String> {
        let _alone = self.alone()?;
        let mut file = self.read()?;
        let (id, secret) = (random(4)?, random(32)?);
        let (created, hash) = (now(), hash(&secret));
        let expires = lifetime.map(|lifetime| created.saturating_add(lifetime.as_secs()));
        let (space, note) = (space.to_owned(), note.to_owned());
        let text = format!("{PREFIX}{id}_{secret}");
        file.tokens.push(Token { id, space, access, hash, created, expires, note, before: None });
        self.write(&file)?;
        Ok(text)
    }

    /// Every token, in the order in which they were made.
    pub fn list(&self) -> Result<Vec<ListedToken>> {
        let listed = self.read()?.tokens.into_iter().map(|token| {
            let Token { id, space, access, created, expires, note, .. } = token;
            ListedToken { id, space, access, created, expires, note }
        });
        Ok(listed.collect())
    }

    /// Removes a token.
    pub fn revoke(&self, id: &str) -> Result<()> {
        let _alone = self.alone()?;
        let mut file = self.read()?;
        let before = file.tokens.len();
        file.tokens.retain(|token| token.id != id);
        if file.tokens.len() == before {
            return Err(ServeError::NoToken(id.to_owned()));
        }
        self.write(&file)
    }

    /// Gives a token a new secret and returns it; the one before holds for `overlap` more.
    pub fn rotate(&self, id: &str, overlap: Duration) -> Result<String> {
        let _alone = self.alone()?;
        let mut file = self.read()?;
        let secret = random(32)?;
        let token = file.tokens.iter_mut().find(|token| token.id == id);
        let token = token.ok_or_else(|| ServeError::NoToken(id.to_owned()))?;
        let old = std::mem::replace(&mut token.hash, hash(&secret));
        let until = now().saturating_add(overlap.as_secs());
        token.before = (!overlap.is_zero()).then_some(Before { hash: old, until });
        self.write(&file)?;
        Ok(format!("{PREFIX}{id}_{secret}"))
    }

    /// Whose token this is; none if it is nobody's, or no more.
    pub(crate) fn bearer(&self, text: &str) -> Result<Option<Bearer>> {
        let Some((id, secret)) = text.strip_prefix(PREFIX).and_then(|t| t.split_once('_')) else {
            return Ok(None);
        };
        let (given, now) = (hash(secret), now());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        self.look(&mut seen)?;
        let tokens = seen.as_ref().map_or(&[][..], |seen| &seen.tokens);
        let Some(token) = tokens.iter().find(|token| token.id == id) else { return Ok(None) };
        let is = |hash: &str| bool::from(hash.as_bytes().ct_eq(given.as_bytes()));
        let was =
            token.before.as_ref().is_some_and(|before| is(&before.hash) && now < before.until);
        let holds = token.expires.is_none_or(|expires| now < expires);
        let bearer =
            || Bearer { id: token.id.clone(), space: token.space.clone(), access: token.access };
        Ok(((is(&token.hash) || was) && holds).then(bearer))
    }

    /// Takes in what has changed, now and then.
    fn look(&self, seen: &mut Option<Seen>) -> Result<()> {
        if seen.as_ref().is_some_and(|seen| seen.at.elapsed() < FRESH) {
            return Ok(());
        }
        let stamp = match fs::metadata(&self.path) {
            Ok(meta) => Some((meta.modified().map_err(|e| self.io("inspect", e))?, meta.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(self.io("inspect", error)),
        };
        match seen {
            Some(seen) if seen.stamp == stamp => seen.at = Instant::now(),
            seen => *seen = Some(Seen { at: Instant::now(), stamp, tokens: self.read()?.tokens }),
        }
        Ok(())
    }

    fn read(&self) -> Result<File> {
        match fs::read_to_string(&self.path) {
            Ok(text) => toml::from_str(&text).map_err(|error| ServeError::BadFile {
                path: self.path.clone(),
                why: error.message().to_owned(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(File::default()),
            Err(error) => Err(self.io("read", error)),
        }
    }

    /// Keeps others from changing the file until this is dropped: what one revokes another must not write
    /// back.
    fn alone(&self) -> Result<fs::File> {
        let path = self.path.with_extension("lock");
        let options = fs::OpenOptions::new().write(true).create(true).truncate(false).clone();
        let file = options.open(&path).and_then(|file| file.lock().map(|()| file));
        file.map_err(|source| ServeError::Io { verb: "lock", path, source })
    }

    /// Replaces the file in one step; nobody else can read it.
    fn write(&self, file: &File) -> Result<()> {
        let text = toml::to_string(file).map_err(|error| ServeError::BadFile {
            path: self.path.clone(),
            why: error.to_string(),
        })?;
        let new = self.path.with_file_name(format!("tokens.toml.{}.new", std::process::id()));
        let written = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut out| out.write_all(text.as_bytes()).and_then(|()| out.sync_all()))
            .and_then(|()| fs::rename(&new, &self.path))
            .and_then(|()| match self.path.parent() {
                // A token that was revoked must not come back after a power cut.
                Some(folder) => fs::File::open(folder)?.sync_all(),
                None => Ok(()),
            });
        written.map_err(|error| {
            let _ = fs::remove_file(&new); // best effort: the write that failed is what matters
            self.io("write", error)
        })
    }

    fn io(&self, verb: &'static str, source: io::Error) -> ServeError {
        ServeError::Io { verb, path: self.path.clone(), source }
    }
}

fn hash(secret: &str) -> String {
    Digest::derive(CONTEXT, secret.as_bytes()).to_string()
}

/// So many random bytes, as hexadecimal digits.
fn random(bytes: usize) -> Result<String> {
    let mut drawn = vec![0; bytes];
    getrandom::fill(&mut drawn).map_err(|error| ServeError::Random(error.to_string()))?;
    Ok(drawn.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn tokens(dir: &Path) -> Tokens {
        Tokens::at(&dir.join("tokens.toml"))
    }

    #[test]
    fn a_token_holds_for_its_space_and_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let text = tokens(dir.path()).add("vision", Access::Write, "ci", None).unwrap();
        let server = tokens(dir.path());
        let bearer = server.bearer(&text).unwrap().unwrap();
        assert_eq!(bearer.access("vision"), Some(Access::Write));
        assert_eq!(bearer.access("visions"), None);
        assert_eq!(bearer.access(""), None);
        let file = fs::read_to_string(dir.path().join("tokens.toml")).unwrap();
        let secret = text.rsplit('_').next().unwrap();
        assert!(!file.contains(secret) && secret.len() == 64);
        let mode = fs::metadata(dir.path().join("tokens.toml")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let everywhere = tokens(dir.path()).add(EVERYWHERE, Access::Read, "", None).unwrap();
        let bearer = tokens(dir.path()).bearer(&everywhere).unwrap().unwrap();
        assert_eq!(bearer.access("any"), Some(Access::Read));
    }

    #[test]
    fn what_is_not_a_token_is_nobodys() {
        let dir = tempfile::tempdir().unwrap();
        let text = tokens(dir.path()).add("a", Access::Read, "", None).unwrap();
        let (start, secret) = text.rsplit_once('_').unwrap();
        let server = tokens(dir.path());
        let upper = secret.to_uppercase();
        for wrong in [
            "",
            "lab_",
            "lab__",
            start,
            &format!("{start}_"),
            &format!("{start}_{}", &secret[1..]),
            &format!("{start}_{secret}0"),
            &format!("{start}_{upper}x"),
            &format!("lab_00000000_{secret}"),
            &text[1..],
        ] {
            assert_eq!(server.bearer(wrong).unwrap(), None, "{wrong}");
        }
        // Nor is its hash one.
        let file = fs::read_to_string(dir.path().join("tokens.toml")).unwrap();
        let hash = file.split("hash = \"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(server.bearer(&format!("{start}_{hash}")).unwrap(), None);
    }

    #[test]
    fn revoked_expired_and_rotated_tokens_stop_to_hold() {
        let dir = tempfile::tempdir().unwrap();
        let owner = tokens(dir.path());
        let holds = |text: &str| tokens(dir.path()).bearer(text).unwrap().is_some();
        let text = owner.add("a", Access::Read, "", None).unwrap();
        let id = owner.list().unwrap()[0].id.clone();
        let newer = owner.rotate(&id, Duration::from_secs(60)).unwrap();
        assert!(holds(&text) && holds(&newer));
        let newest = owner.rotate(&id, Duration::ZERO).unwrap();
        assert!(!holds(&text) && !holds(&newer) && holds(&newest));
        owner.revoke(&id).unwrap();
        assert!(!holds(&newest));
        assert!(matches!(owner.revoke(&id), Err(ServeError::NoToken(_))));
        let short = owner.add("a", Access::Read, "", Some(Duration::ZERO)).unwrap();
        assert!(!holds(&short));
    }

    #[test]
    fn of_many_who_change_tokens_at_once_none_undoes_anothers_change() {
        let dir = tempfile::tempdir().unwrap();
        let first = tokens(dir.path()).add("a", Access::Read, "", None).unwrap();
        let revoked = tokens(dir.path()).list().unwrap()[0].id.clone();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        tokens(dir.path()).add("b", Access::Read, "", None).unwrap();
                    }
                });
            }
            scope.spawn(|| tokens(dir.path()).revoke(&revoked).unwrap());
        });
        assert_eq!(tokens(dir.path()).list().unwrap().len(), 40);
        assert_eq!(tokens(dir.path()).bearer(&first).unwrap(), None);
    }

    #[test]
    fn a_server_that_runs_learns_of_changes() {
        let dir = tempfile::tempdir().unwrap();
        let (owner, server) = (tokens(dir.path()), tokens(dir.path()));
        assert_eq!(server.bearer("lab_0_0").unwrap(), None);
        let text = owner.add("a", Access::Read, "", None).unwrap();
        std::thread::sleep(FRESH);
        assert!(server.bearer(&text).unwrap().is_some());
        owner.revoke(&owner.list().unwrap()[0].id).unwrap();
        std::thread::sleep(FRESH);
        assert!(server.bearer(&text).unwrap().is_none());
        fs::write(dir.path().join("tokens.toml"), "[[token]]\nid = 1\n").unwrap();
        std::thread::sleep(FRESH);
        // What cannot be read allows nothing, and is said.
        assert!(server.bearer(&text).is_err());
    }
}
