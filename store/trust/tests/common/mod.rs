//! Keys, and OpenSSH's own word on signatures.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use lab_schema::{Digest, RunId, Signature, Signed};
use lab_trust::{armoured, unarmoured};
use tempfile::TempDir;

/// A folder for keys; none, and said so, where there is no ssh-keygen.
pub fn folder() -> Option<TempDir> {
    if Command::new("ssh-keygen").arg("-?").output().is_err() {
        println!("skipped: no ssh-keygen here");
        return None;
    }
    Some(tempfile::tempdir().unwrap())
}

pub fn run_of(byte: u8) -> Signed {
    Signed::Run(RunId::from_digest(Digest::from_bytes([byte; 32])))
}

pub fn keygen(args: &[&str]) -> Output {
    Command::new("ssh-keygen").args(args).stdin(Stdio::null()).output().unwrap()
}

/// A new key of a kind (`ed25519`, `ecdsa-384`, `rsa-3072`), which is its file's name.
pub fn key(folder: &Path, kind: &str) -> PathBuf {
    key_named(folder, kind, kind)
}

pub fn key_named(folder: &Path, kind: &str, name: &str) -> PathBuf {
    let path = folder.join(name);
    let (kind, bits) = kind.split_once('-').unwrap_or((kind, "256"));
    let file = path.to_str().unwrap();
    let made = keygen(&["-q", "-t", kind, "-b", bits, "-N", "", "-C", "a comment", "-f", file]);
    assert!(made.status.success(), "{made:?}");
    path
}

/// The public half, as it stands in files: a kind, base64 and a comment.
pub fn public(key: &Path) -> String {
    fs::read_to_string(key.with_extension("pub")).unwrap().trim().to_owned()
}

/// What ssh-keygen makes of some bytes.
pub fn sign_bytes(key: &Path, namespace: &str, hash: &str, message: &[u8]) -> Vec<u8> {
    let mut child = Command::new("ssh-keygen")
        .args(["-Y", "sign", "-n", namespace, "-O", &format!("hashalg={hash}"), "-f"])
        .arg(key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(message).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    unarmoured(&output.stdout).unwrap()
}

/// What ssh-keygen makes of something of ours.
pub fn sign(key: &Path, of: Signed, signed_ms: u64) -> Signature {
    let message = of.message(signed_ms);
    let bytes = sign_bytes(key, of.namespace(), "sha512", message.as_bytes());
    Signature::new(of, signed_ms, bytes).unwrap()
}

/// Whether ssh-keygen believes a signature, by a file of allowed signers, at a time such as
/// `20260101000000Z`.
pub fn believes(
    folder: &Path,
    allowed: &str,
    principal: &str,
    signature: &Signature,
    time: &str,
) -> bool {
    let (list, armour) = (folder.join("allowed"), folder.join("armour"));
    fs::write(&list, allowed).unwrap();
    fs::write(&armour, armoured(signature.sshsig())).unwrap();
    let mut child = Command::new("ssh-keygen")
        .args(["-Y", "verify", "-O", &format!("verify-time={time}"), "-n"])
        .args([signature.of().namespace(), "-I", principal, "-f"])
        .arg(&list)
        .arg("-s")
        .arg(&armour)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It may have said no before it reads.
    let _ = child.stdin.take().unwrap().write_all(signature.message().as_bytes());
    child.wait().unwrap().success()
}
