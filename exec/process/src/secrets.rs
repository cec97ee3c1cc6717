//! Files that are made to be kept to oneself.
//!
//! Records are made to be shared, so such files are never part of captured code, tracked or not.
//! Judged by their names alone: a file's bytes say little, and reading keys is nobody's business.

use std::ffi::OsStr;
use std::path::Path;

/// Names of folders that hold keys.
const FOLDERS: [&str; 6] = [".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker"];

/// Names of single files.
const FILES: [&str; 8] = [
    ".env",
    ".netrc",
    ".pgpass",
    ".npmrc",
    ".pypirc",
    ".htpasswd",
    ".git-credentials",
    "kaggle.json",
];

/// How such names start.
const STARTS: [&str; 5] = [".env.", "id_rsa", "id_ed25519", "id_ecdsa", "credentials."];

/// How they end.
const ENDINGS: [&str; 6] = [".pem", ".key", ".p12", ".pfx", ".keystore", ".kdbx"];

/// Templates are made to be shared, and public keys are no secrets.
const HARMLESS: [&str; 5] = [".example", ".sample", ".template", ".dist", ".pub"];

/// Whether the file at this relative path looks like a secret.
pub(crate) fn is_secret_file(path: &Path) -> bool {
    let Some(name) = path.file_name().map(OsStr::to_string_lossy) else { return false };
    let name = name.to_ascii_lowercase();
    if HARMLESS.iter().any(|e| name.ends_with(e)) {
        return false;
    }
    let inside = |folder: &OsStr| FOLDERS.iter().any(|f| folder == *f);
    path.parent().is_some_and(|parent| parent.iter().any(inside))
        || FILES.contains(&name.as_str())
        || STARTS.iter().any(|s| name.starts_with(s))
        || ENDINGS.iter().any(|e| name.ends_with(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_secrets_and_their_templates_are_not() {
        for secret in
            [".env", "a/.env.local", "id_rsa", ".ssh/config", "server.PEM", "x/credentials.json"]
        {
            assert!(is_secret_file(Path::new(secret)), "{secret}");
        }
        for plain in [
            ".env.example",
            "id_rsa.pub",
            "env.py",
            "keys.py",
            "monkey",
            "ssh/config",
            "model.pt",
            "",
        ] {
            assert!(!is_secret_file(Path::new(plain)), "{plain}");
        }
    }
}
