//! Every way to fail: message, hints, exit code. The one place where errors of the rooms below
//! become words and numbers that scripts can rely on.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | yes |
//! | 1 | the answer is no: diverged, damaged, differs, the command failed |
//! | 2 | wrong usage or bad input |
//! | 3 | not found |
//! | 4 | refused: a lock, a permission, a policy |
//! | 5 | input, output or a remote failed |
//! | 70 | a bug in lab |
//! | 130 | interrupted (Ctrl-C); other signals: 128 and their number |

mod elsewhere;

use std::io;

use lab_import::ImportError;
use lab_lineage::LineageError;
use lab_objects::{ObjectsError, Unkept};
use lab_process::ProcessError;
use lab_replay::ReplayError;
use lab_schema::SchemaError;
use lab_tensor::TensorError;
use lab_trust::TrustError;
use serde_json::json;

use crate::ui::{self, BAD, DIM, Ui};

/// The result of a command.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// The exit codes; see the table above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The answer is no.
    No = 1,
    /// Wrong usage or bad input.
    Usage = 2,
    /// Not found.
    NotFound = 3,
    /// Refused.
    Refused = 4,
    /// Input, output or a remote failed.
    Io = 5,
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: u8,
    /// None: the command has already said everything.
    message: Option<String>,
    hints: Vec<String>,
}

impl Failure {
    /// The same, of what comes after something that was done. An interruption has nothing more to say.
    pub(crate) fn after(self, done: &str) -> Failure {
        let rest = self.message.filter(|_| self.exit < 128);
        let message = rest.map_or_else(|| done.to_owned(), |rest| format!("{done}: {rest}"));
        Failure { message: Some(message), ..self }
    }

    /// A failure with a message.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Failure { exit: exit as u8, message: Some(message.into()), hints: Vec::new() }
    }

    /// Wrong usage or bad input.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Failure::new(Exit::Usage, message)
    }

    /// Something that was named does not exist.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Failure::new(Exit::NotFound, message)
    }

    /// Whether something that was named does not exist.
    pub(crate) fn is_not_found(&self) -> bool {
        self.exit == Exit::NotFound as u8
    }

    /// Whether the answer is no, and nothing else is wrong.
    pub(crate) fn is_no(&self) -> bool {
        self.exit == Exit::No as u8
    }

    /// The answer is no, and has been printed.
    pub(crate) fn no() -> Self {
        Failure { exit: Exit::No as u8, message: None, hints: Vec::new() }
    }

    /// All could be told but what is damaged, and that has been printed.
    pub(crate) fn damaged(many: usize) -> Self {
        let what = ui::count(many as u64, "damaged or missing object");
        Failure::new(Exit::No, format!("{what}, as said above; all else could be told"))
            .hint("`lab check --repair` puts right what the work tree, a remote or a verified run still has")
    }

    /// What is wrong; none if the command has already said everything.
    pub(crate) fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// What can be done about it.
    pub(crate) fn hints(&self) -> &[String] {
        &self.hints
    }

    /// Adds what the user can do about it.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Says it on standard error and gives the exit code.
    pub(crate) fn report(&self, ui: Ui) -> u8 {
        let code = self.exit;
        let Some(message) = &self.message else { return code };
        if ui.json {
            let error = json!({ "error": message, "hints": self.hints, "exit": code });
            ui::say(&error.to_string());
        } else {
            ui::say(&format!("{} {message}", ui::paint(BAD, "error:")));
            for hint in &self.hints {
                ui::say(&format!("{} {hint}", ui::paint(DIM, "hint:")));
            }
        }
        code
    }
}

/// The exit code for what the operating system said.
fn exit_of(error: &io::Error) -> Exit {
    match error.kind() {
        io::ErrorKind::NotFound => Exit::NotFound,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Exit::Refused,
        _ => Exit::Io,
    }
}

/// What can be done about what the operating system said.
fn hint_of(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(
            "the disk is full; nothing that was stored before is lost. Free some space and run the same command again",
        ),
        io::ErrorKind::PermissionDenied => Some("check who owns it and what its permissions are"),
        io::ErrorKind::ReadOnlyFilesystem => {
            Some("the file system is mounted read-only; commands that only read still work")
        }
        _ => None,
    }
}

/// A failure to do something with a file of the user's.
pub(crate) fn io_failure(verb: &str, path: &std::path::Path, error: &io::Error) -> Failure {
    let failure =
        Failure::new(exit_of(error), format!("cannot {verb} {}: {error}", path.display()));
    match hint_of(error) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

impl From<SchemaError> for Failure {
    fn from(error: SchemaError) -> Self {
        let failure = Failure::usage(error.to_string());
        match error {
            SchemaError::BadName { .. } => {
                failure.hint("names are letters, digits, '.', '_' and '-', as in mnist or base.v2")
            }
            SchemaError::BadReference { .. } | SchemaError::BadPrefix(_) => failure.hint(
                "a reference is a name, NAME@vN or the start of a hash; then :OUTPUT, :INPUT or /PATH",
            ),
            SchemaError::Newer { .. } => failure.hint("upgrade lab to read it"),
            _ => failure,
        }
    }
}

impl From<ObjectsError> for Failure {
    fn from(error: ObjectsError) -> Self {
        let message = error.to_string();
        match error {
            ObjectsError::Io { source, .. } | ObjectsError::Stream { source, .. } => {
                let failure = Failure::new(exit_of(&source), message);
                match hint_of(&source) {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                }
            }
            ObjectsError::NotAStore { .. } => {
                Failure::not_found(message).hint("`lab init` makes a registry")
            }
            ObjectsError::Older { .. } => Failure::new(Exit::Refused, message),
            ObjectsError::Newer { .. } => Failure::new(Exit::Refused, message).hint("upgrade lab to read it"),
            ObjectsError::Damaged { .. } | ObjectsError::Corrupt { .. } => Failure::new(Exit::No, message)
                .hint("`lab check` lists all damage; `lab add --repair PATH` mends what the work tree still has"),
            ObjectsError::Missing { .. } => Failure::not_found(message)
                .hint("`lab pull` brings it from a remote that has it; `lab check` lists all that is missing"),
            ObjectsError::Promised { id, from, why, .. } => {
                let fetch = format!("`lab pull {from} {}`", &id.digest().to_string()[..20]);
                match why {
                    Unkept::Offline => Failure::not_found(message).hint(format!("it is fetched without --offline and LAB_OFFLINE, or beforehand by {fetch}")),
                    Unkept::Unreachable(_) => Failure::new(Exit::Io, message).hint(format!("when it can be reached: the same again, or {fetch}"))
                        .hint("if it has moved, or another remote has it: `lab pull OTHER REF` fetches it from there"),
                    Unkept::Gone => Failure::not_found(message).hint("who still has it can push it there again; `lab pull OTHER HASH` fetches it from another remote"),
                    _ => Failure::new(Exit::No, message).hint("`lab check` there lists all damage; nothing of it was kept"),
                }
            }
            ObjectsError::TooLarge { .. } => Failure::usage(message),
            ObjectsError::OutOfRange { .. } => Failure::usage(message),
            ObjectsError::NameMoved { .. } => {
                Failure::new(Exit::Refused, message).hint("look at it with `lab log NAME`, then try again")
            }
            ObjectsError::Locked { .. } => {
                Failure::new(Exit::Refused, message).hint("wait for it to finish; a lock of a dead process frees itself")
            }
            ObjectsError::Schema(inner) => inner.into(),
            _ => Failure::new(Exit::Refused, message),
        }
    }
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        let message = error.to_string();
        match error {
            ImportError::Io { source, .. } => {
                let failure = Failure::new(exit_of(&source), message);
                match hint_of(&source) {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                }
            }
            ImportError::NotFound { .. } => Failure::not_found(message)
                .hint("name the folder itself, as in `lab import mlruns`, `lab import ~/.cache/huggingface/hub`"),
            ImportError::Objects(inner) => inner.into(),
            ImportError::Schema(inner) => inner.into(),
            _ => Failure::usage(message),
        }
    }
}

impl From<LineageError> for Failure {
    fn from(error: LineageError) -> Self {
        match error {
            LineageError::Objects(inner) => inner.into(),
            LineageError::Uncertain { .. } => Failure::new(Exit::No, error.to_string())
                .hint("`lab check` lists what is damaged or missing, `lab check --repair` puts it right; or point the name elsewhere"),
            LineageError::Missing { .. } => Failure::not_found(error.to_string())
                .hint("`lab pull` brings it from a remote that has it; `lab check` lists all that is missing"),
            LineageError::Unreadable { source, .. } => (*source).into(),
            _ => Failure::new(Exit::Io, error.to_string())
                .hint("the lineage index is only a cache: delete index.db in the registry's folder and try again"),
        }
    }
}

impl From<ProcessError> for Failure {
    fn from(error: ProcessError) -> Self {
        let message = error.to_string();
        match error {
            ProcessError::Objects(inner) => inner.into(),
            ProcessError::NoProgram { path: None, .. } => Failure::not_found(message)
                .hint("with -i or --apart a command runs in a fresh folder: commit its scripts to git, or give them as inputs"),
            ProcessError::NoProgram { path: Some(_), .. } => Failure::not_found(message)
                .hint("install it, or give its path, as in `./train.sh`"),
            ProcessError::NoInterpreter { .. } => Failure::not_found(message)
                .hint("install the interpreter, or name another in the script's first line"),
            ProcessError::NotExecutable { program, .. } => Failure::new(Exit::Refused, message)
                .hint(format!("`chmod +x {}`, or name the interpreter: `-- python {0}`", program.display())),
            ProcessError::Io { source, .. } | ProcessError::Start { source, .. } | ProcessError::Watch { source, .. } => {
                let failure = Failure::new(exit_of(&source), message);
                match hint_of(&source) {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                }
            }
            ProcessError::RepositoryOwner { path, .. } => Failure::new(Exit::Refused, message)
                .hint(format!("if you trust it: `git config --global --add safe.directory {}`", path.display())),
            ProcessError::Repository { .. } => Failure::new(Exit::Io, message).hint("`git fsck` says more"),
            ProcessError::Interrupted { signal } => {
                let exit = u8::try_from(128 + signal).unwrap_or(130);
                Failure { exit, ..Failure::new(Exit::No, message) }
            }
            ProcessError::CannotAnswer(_) => Failure::new(Exit::Refused, message)
                .hint("with `--level 1` the run is recorded without; it may come out otherwise the next time"),
            ProcessError::Changing(_) => Failure::new(Exit::No, message),
            _ => Failure::usage(message),
        }
    }
}

impl From<TrustError> for Failure {
    fn from(error: TrustError) -> Self {
        let message = error.to_string();
        match error {
            TrustError::Objects(inner) => inner.into(),
            TrustError::Lineage(inner) => inner.into(),
            TrustError::Schema(inner) => inner.into(),
            TrustError::Io { source, .. } => Failure::new(exit_of(&source), message),
            TrustError::Unprotected { ref path, .. } => Failure::new(Exit::Refused, message)
                .hint(format!("`chmod 600 {}`; and if others had it, make a new one", path.display())),
            TrustError::NotAKey { .. } => Failure::usage(message)
                .hint("a private key of OpenSSH, or its .pub; `ssh-keygen -t ed25519` makes a pair"),
            TrustError::NoKeygen(_) => Failure::not_found(message)
                .hint("install OpenSSH's client; a key of kind ed25519 that is not encrypted needs none"),
            TrustError::NotSigned { .. } => Failure::new(Exit::Refused, message)
                .hint("`ssh-add` gives the agent a key, so that nobody has to be asked for its passphrase"),
            _ => Failure::usage(message),
        }
    }
}

impl From<ReplayError> for Failure {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Objects(inner) => inner.into(),
            ReplayError::Lineage(inner) => inner.into(),
            ReplayError::Process(inner) => inner.into(),
            ReplayError::Tensor(inner) => inner.into(),
            ReplayError::Schema(inner) => inner.into(),
            ReplayError::NotForked { .. } | ReplayError::NotEvaluated { .. } => {
                Failure::usage(error.to_string())
            }
            ReplayError::NotFollowed { .. } => Failure::usage(error.to_string())
                .hint("`lab verify` without these options does any run again as a whole"),
            ReplayError::Fixed { .. } => Failure::usage(error.to_string())
                .hint("`lab verify` does it again as it was recorded"),
            ReplayError::Missing { .. } => Failure::not_found(error.to_string())
                .hint("`lab pull` brings it from a remote that has it; `lab check` lists all that is missing"),
            _ => Failure::new(Exit::Io, error.to_string()),
        }
    }
}

impl From<TensorError> for Failure {
    fn from(error: TensorError) -> Self {
        let source =
            std::error::Error::source(&error).map(|s| format!(": {s}")).unwrap_or_default();
        let message = format!("{error}{source}");
        match error {
            TensorError::Objects(inner) => (*inner).into(),
            TensorError::Schema(inner) => inner.into(),
            TensorError::UnknownKey { .. }
            | TensorError::BadValue { .. }
            | TensorError::MissingKey(_) => Failure::usage(message)
                .hint("the guide lists the settings of a program: docs/programs.md"),
            TensorError::Read { .. } => Failure::new(Exit::Io, message),
            TensorError::Engine { .. } => {
                Failure::new(Exit::Refused, message).hint("use the version of lab that made it")
            }
            _ => Failure::usage(message),
        }
    }
}
