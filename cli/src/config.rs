//! `config.toml` in the registry's folder: who you are here, whom you believe, and the remotes.
//!
//! The environment goes first: `LAB_USER` is the name that runs and moves are signed with, else
//! `[user] name`, else `USER`, else the account; `LAB_SIGNING_KEY` goes before `[user] signing-key`, and
//! `LAB_ALLOWED_SIGNERS` before `[trust] allowed-signers`. What a store demands of others is in its file
//! alone. `NO_COLOR` means no colour, as everywhere.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Outcome, io_failure};

/// What the file says.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Who works here.
    #[serde(default, skip_serializing_if = "User::is_empty")]
    pub user: User,
    /// Whom to believe.
    #[serde(default, skip_serializing_if = "Trust::is_empty")]
    pub trust: Trust,
    /// Other stores, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub remotes: BTreeMap<String, String>,
}

/// Who works here.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    /// The name that runs and moves are signed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The SSH key that runs and attestations are signed with: a private one, or a `.pub`.
    #[serde(default, rename = "signing-key", skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<String>,
}

/// Whom to believe.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trust {
    /// What has to be so for something to come in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require: Option<Require>,
    /// The file that says whose keys are believed, in the format of ssh-keygen.
    #[serde(default, rename = "allowed-signers", skip_serializing_if = "Option::is_none")]
    pub allowed_signers: Option<String>,
}

/// What has to be so for something to come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Require {
    /// An allowed signer has signed it.
    Signed,
}

impl Trust {
    fn is_empty(&self) -> bool {
        self.require.is_none() && self.allowed_signers.is_none()
    }
}

impl User {
    fn is_empty(&self) -> bool {
        self.name.is_none() && self.signing_key.is_none()
    }
}

impl Config {
    /// Where the file lies in a registry's folder.
    pub(crate) fn path(folder: &Path) -> PathBuf {
        folder.join("config.toml")
    }

    /// Reads the file; an absent one is an empty one.
    pub(crate) fn read(folder: &Path) -> Outcome<Config> {
        let path = Config::path(folder);
        match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map_err(|error| {
                Failure::usage(format!("cannot read {}: {error}", path.display()))
                    .hint("known keys: [user] name, signing-key; [trust] require = \"signed\", allowed-signers; [remotes] NAME = \"PATH\"")
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Config::default()),
            Err(error) => Err(io_failure("read", &path, &error)),
        }
    }

    /// The name that runs and moves are signed with.
    pub(crate) fn who(&self) -> String {
        let (chosen, login) = user_of_environment();
        let who = chosen.or_else(|| self.user.name.clone()).or(login).or_else(name_of_account);
        who.unwrap_or_else(|| "unknown".to_owned())
    }

    /// Replaces the file in one step.
    pub(crate) fn write(&self, folder: &Path) -> Outcome {
        let path = Config::path(folder);
        let new = folder.join(format!("config.toml.{}.new", std::process::id()));
        let text = toml::to_string(self).expect("maps of text are TOML");
        let written = fs::write(&new, text).and_then(|()| fs::rename(&new, &path));
        written.map_err(|error| {
            let _ = fs::remove_file(&new); // best effort: the write that failed is what matters
            io_failure("write", &path, &error)
        })
    }
}

/// The name of the account that owns this process, where `/etc/passwd` has it.
fn name_of_account() -> Option<String> {
    let uid = fs::metadata("/proc/self").ok()?.uid().to_string();
    let accounts = fs::read_to_string("/etc/passwd").ok()?;
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, id) = (fields.next()?, fields.next()?, fields.next()?);
        (id == uid).then(|| name.to_owned())
    })
}

/// A file that the environment names instead of one that `config.toml` names.
pub(crate) fn file_of_environment(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// A file as it is written in `config.toml`: `~/` is the home folder, and what is relative begins at
/// `root`.
pub(crate) fn file_named(root: &Path, text: &str) -> PathBuf {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    match (text.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => root.join(text),
    }
}

/// Who is at the keyboard, as far as the environment says.
fn user_of_environment() -> (Option<String>, Option<String>) {
    let get = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    (get("LAB_USER"), get("USER"))
}
