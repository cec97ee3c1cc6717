//! Signs with a key of the user's.
//!
//! A private key that lies in a file unencrypted, as `ssh-keygen -t ed25519` makes it, is used here.
//! All else goes to `ssh-keygen -Y sign`, which knows what to do: it asks the agent, the terminal for
//! a passphrase, or the security key for a touch. Keys are read where they lie; nothing of a private one is
//! kept, copied or shown.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, IsTerminal, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lab_schema::{Signature, Signed};
use ring::signature::{Ed25519KeyPair, KeyPair};
use ssh_key::private::KeypairData;
use ssh_key::{PrivateKey, PublicKey};

use crate::armour::unarmoured;
use crate::error::{Result, TrustError};
use crate::holds::{Holds, holds, put_string, to_be_signed};

/// Most bytes of a file with a key.
const MAX_KEY_BYTES: u64 = 64 << 10;

/// A key to sign with.
pub struct Signer {
    path: PathBuf,
    /// The public key, as SSH encodes it; none if its file does not say.
    public: Option<Vec<u8>>,
    with: With,
}

/// What signs.
enum With {
    Here(Box<Ed25519KeyPair>),
    Keygen,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Signer {
    /// The key in a file: a private one, or a public one (`.pub`) whose private half the agent holds
    /// or lies beside it.
    pub fn open(path: &Path) -> Result<Signer> {
        let not_a_key = |why| TrustError::NotAKey { path: path.to_owned(), why };
        let keygen = |public| Signer { path: path.to_owned(), public, with: With::Keygen };
        let (bytes, mode) = read(path)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| not_a_key("it is not text"))?;
        if !text.contains("-----BEGIN ") {
            let key = PublicKey::from_openssh(text.trim_end())
                .map_err(|_| not_a_key("it holds neither a private nor a public one"))?;
            let public = key.to_bytes().map_err(|_| not_a_key("its public key is damaged"))?;
            return Ok(keygen(Some(public)));
        }
        // As OpenSSH has it: a key that others may read is theirs as well.
        if mode & 0o077 != 0 {
            return Err(TrustError::Unprotected { path: path.to_owned(), mode });
        }
        let Ok(key) = PrivateKey::from_openssh(text) else {
            // Of an older form, which ssh-keygen may know.
            return match text.contains("PRIVATE KEY-----") {
                true => Ok(keygen(beside(path))),
                false => Err(not_a_key("it holds something else")),
            };
        };
        let public = key.public_key().to_bytes();
        let public = public.map_err(|_| not_a_key("its public key is damaged"))?;
        let KeypairData::Ed25519(pair) = key.key_data() else { return Ok(keygen(Some(public))) };
        let (seed, point) = (pair.private.to_bytes(), pair.public.0);
        let pair = Ed25519KeyPair::from_seed_and_public_key(&seed, &point)
            .map_err(|_| not_a_key("its two halves are not of one key"))?;
        debug_assert_eq!(pair.public_key().as_ref(), point);
        Ok(Signer { path: path.to_owned(), public: Some(public), with: With::Here(Box::new(pair)) })
    }

    /// The public key, as SSH encodes it, if it is known.
    pub fn public(&self) -> Option<&[u8]> {
        self.public.as_deref()
    }

    /// Where the key lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Signs. `scratch` is a folder in which a file may be made for a moment: only what is to be signed
    /// and the signature are written there.
    pub fn sign(&self, of: Signed, signed_ms: u64, scratch: &Path) -> Result<Signature> {
        let sshsig = match (&self.with, &self.public) {
            (With::Here(pair), Some(public)) => made_here(pair, public, of, signed_ms),
            _ => self.made_by_keygen(of, signed_ms, scratch)?,
        };
        let nonsense = |why| TrustError::Nonsense { path: self.path.clone(), why };
        let signature =
            Signature::new(of, signed_ms, sshsig).map_err(|error| nonsense(error.to_string()))?;
        match holds(&signature) {
            Holds::Yes | Holds::Unknown(_) => Ok(signature),
            Holds::No(why) => Err(nonsense(why.to_owned())),
        }
    }

    fn made_by_keygen(&self, of: Signed, signed_ms: u64, scratch: &Path) -> Result<Vec<u8>> {
        let folder = Scratch::new(scratch)?;
        let message = folder.0.join("message");
        fs::write(&message, of.message(signed_ms)).map_err(at("write", &message))?;
        // Its questions go to the terminal, if there is one: then its words may stand there too.
        let asks = io::stdin().is_terminal();
        let mut command = Command::new("ssh-keygen");
        command.args(["-Y", "sign", "-n", of.namespace(), "-f"]).arg(&self.path).arg(&message);
        if !asks {
            command.stdin(Stdio::null());
        }
        // What it writes to standard output must not get into an answer.
        let output = command
            .stdout(Stdio::null())
            .stderr(if asks { Stdio::inherit() } else { Stdio::piped() })
            .output()
            .map_err(TrustError::NoKeygen)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let said: Vec<&str> = said.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
            // What would move the cursor is left out.
            let said = said.join("; ");
            let said = said.chars().filter(|c| !c.is_control()).take(400).collect::<String>();
            return Err(TrustError::NotSigned { path: self.path.clone(), said });
        }
        let (text, _) = read(&folder.0.join("message.sig"))?;
        unarmoured(&text)
    }
}

/// The bytes of a signature with this key.
fn made_here(pair: &Ed25519KeyPair, public: &[u8], of: Signed, signed_ms: u64) -> Vec<u8> {
    let (namespace, message) = (of.namespace(), of.message(signed_ms));
    let signed = to_be_signed(namespace, "sha512", &ring::digest::SHA512, &message);
    let mut made = Vec::new();
    put_string(&mut made, b"ssh-ed25519");
    put_string(&mut made, pair.sign(&signed).as_ref());
    let mut sshsig = b"SSHSIG\0\0\0\x01".to_vec();
    for part in [public, namespace.as_bytes(), b"", b"sha512", &made] {
        put_string(&mut sshsig, part);
    }
    sshsig
}

/// The public key that lies beside a private one, if it does.
fn beside(path: &Path) -> Option<Vec<u8>> {
    let mut name = path.file_name().map(OsStr::to_owned)?;
    name.push(".pub");
    let (bytes, _) = read(&path.with_file_name(name)).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    PublicKey::from_openssh(text.trim_end()).ok()?.to_bytes().ok()
}

/// A small file, and its permissions.
fn read(path: &Path) -> Result<(Vec<u8>, u32)> {
    let file = File::open(path).map_err(at("read", path))?;
    let meta = file.metadata().map_err(at("read", path))?;
    if !meta.is_file() {
        return Err(TrustError::NotAKey { path: path.to_owned(), why: "it is not a file" });
    }
    let mut bytes = Vec::new();
    file.take(MAX_KEY_BYTES + 1).read_to_end(&mut bytes).map_err(at("read", path))?;
    if bytes.len() as u64 > MAX_KEY_BYTES {
        return Err(TrustError::NotAKey { path: path.to_owned(), why: "it is too long for one" });
    }
    Ok((bytes, meta.permissions().mode() & 0o777))
}

fn at<'a>(verb: &'static str, path: &'a Path) -> impl Fn(io::Error) -> TrustError + 'a {
    move |source| TrustError::Io { verb, path: path.to_owned(), source }
}

/// A folder that goes when it is no longer needed. If this is killed, the next run takes it for one of a run
/// that is gone, by the file `lock` in it that nobody holds.
struct Scratch(PathBuf, #[expect(dead_code, reason = "held")] File);

impl Scratch {
    fn new(inside: &Path) -> Result<Scratch> {
        for n in 0.. {
            let path = inside.join(format!("sign-{}-{n}", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => {
                    let lock = path.join("lock");
                    let file = File::create(&lock).map_err(at("create", &lock))?;
                    file.lock().map_err(at("lock", &lock))?;
                    return Ok(Scratch(path, file));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && n < 1000 => {}
                Err(error) => return Err(at("create", &path)(error)),
            }
        }
        unreachable!("it returns at the latest with the thousandth name")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It holds nothing that matters, and the next run tries again.
        let _ = fs::remove_dir_all(&self.0);
    }
}
