//! What `serve.toml` says.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::error::{Result, ServeError};

/// How a server serves.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Settings {
    /// Where it listens; a loopback address unless something else is said.
    pub listen: Option<SocketAddr>,
    /// Its certificate; without one it speaks plain HTTP, as behind a proxy.
    pub tls: Option<Tls>,
    /// What it allows of everything.
    pub limits: Limits,
    /// What holds for a space of which nothing else is said.
    pub default: Space,
    /// The spaces of which something is said.
    pub spaces: BTreeMap<String, Space>,
}

/// A certificate and its key, as PEM files.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Tls {
    /// The chain of certificates, the server's own first.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// What one store may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Space {
    /// Whether who has no token may read.
    pub anonymous_read: bool,
    /// Most bytes of packs; none: as many as there is room for.
    pub quota_bytes: Option<u64>,
}

/// Limits for all who ask, together or each.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// Bytes of uploads held in memory at a time; who comes later waits.
    pub upload_memory_bytes: u64,
    /// Bytes of answers held in memory at a time; who asks later waits.
    pub answer_memory_bytes: u64,
    /// Requests a second of one token, or of one address without one.
    pub requests_per_second: u32,
    /// How long a connection may be silent in the middle of something, in seconds.
    pub silence_seconds: u64,
    /// How long those who are at it may go on when the server is to stop, in seconds.
    pub stop_seconds: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 512,
            upload_memory_bytes: 256 << 20,
            answer_memory_bytes: 256 << 20,
            requests_per_second: 1000,
            silence_seconds: 60,
            stop_seconds: 30,
        }
    }
}

impl Limits {
    pub(crate) fn silence(&self) -> Duration {
        Duration::from_secs(self.silence_seconds.max(1))
    }
}

impl Settings {
    /// Reads a file; an absent one says nothing. Paths in it begin in its folder.
    pub fn read(path: &Path) -> Result<Settings> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => {
                return Err(ServeError::Io { verb: "read", path: path.to_owned(), source });
            }
        };
        let bad = |why| ServeError::BadFile { path: path.to_owned(), why };
        let mut settings: Settings =
            toml::from_str(&text).map_err(|error| bad(error.to_string().trim().to_owned()))?;
        let limits = &settings.limits;
        if limits.connections == 0 || limits.requests_per_second == 0 {
            return Err(bad("a limit of none would let nobody in".to_owned()));
        }
        if limits.upload_memory_bytes.min(limits.answer_memory_bytes) < 16 << 20 {
            return Err(bad(
                "memory for uploads and for answers is at least 16 MiB each".to_owned()
            ));
        }
        if let (Some(tls), Some(folder)) = (&mut settings.tls, path.parent()) {
            tls.certificate = folder.join(&tls.certificate);
            tls.key = folder.join(&tls.key);
        }
        Ok(settings)
    }

    /// What holds for a space.
    pub(crate) fn space(&self, name: &str) -> &Space {
        self.spaces.get(name).unwrap_or(&self.default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("serve.toml"), text).unwrap();
        Settings::read(&dir.path().join("serve.toml"))
    }

    #[test]
    fn what_is_said_of_a_space_holds_for_it_alone() {
        let settings = read(
            "[default]\nquota-bytes = 5\n[spaces.open]\nanonymous-read = true\n[limits]\nconnections = 7\n",
        )
        .unwrap();
        assert!(settings.space("open").anonymous_read);
        assert_eq!(settings.space("open").quota_bytes, None);
        assert!(!settings.space("other").anonymous_read);
        assert_eq!(settings.space("other").quota_bytes, Some(5));
        assert_eq!(settings.limits.connections, 7);
        assert_eq!(settings.limits.stop_seconds, 30);
    }

    #[test]
    fn what_is_misspelt_is_refused_with_its_line() {
        for wrong in [
            "listen = \"here\"",
            "[limits]\nconections = 1",
            "[limits]\nconnections = 0",
            "[spaces.a]\nanonymous = true",
            "[tls]\nkey = \"a\"",
        ] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(error.contains("serve.toml is not right"), "{error}");
        }
        let error = read("[limits]\nconections = 1").unwrap_err().to_string();
        assert!(error.contains("conections") && error.contains("connections"), "{error}");
    }
}
