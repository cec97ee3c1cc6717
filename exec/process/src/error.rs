//! The ways in which running a command, or capturing what it runs, can fail.
//!
//! A command that runs and fails is no error: that is an outcome with a status. An error means
//! that there is nothing to record: the command could not be started, was interrupted by the
//! person, or a disk or repository did not answer.

use std::io;
use std::path::{Path, PathBuf};

use lab_objects::ObjectsError;
use lab_schema::SchemaError;

/// Why a command was not run to an outcome, or why its surroundings could not be captured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The program does not exist.
    #[error("no program '{}' {}", .program.escape_debug(), searched(.path))]
    NoProgram {
        /// The first word of the command line.
        program: String,
        /// The value of `PATH` that was searched; none if the program was given as a path.
        path: Option<String>,
    },
    /// The program is there, but is a folder or lacks the executable bit.
    #[error("cannot run '{}': {why}", .program.display())]
    NotExecutable {
        /// What was found.
        program: PathBuf,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The program is a script, and the interpreter that its first line names does not exist.
    #[error(
        "cannot run '{}': its first line names the interpreter '{}', which does not exist",
        .program.display(), .interpreter.display()
    )]
    NoInterpreter {
        /// The script.
        program: PathBuf,
        /// What its `#!` line names.
        interpreter: PathBuf,
    },
    /// The operating system refused to start the program.
    #[error("cannot start '{}': {source}", .program.escape_debug())]
    Start {
        /// The first word of the command line.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// The process could not be watched or awaited.
    #[error("cannot {verb} the process of '{}': {source}", .program.escape_debug())]
    Watch {
        /// What was tried, such as `wait for`.
        verb: &'static str,
        /// The first word of the command line.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// Processes cannot be told another time or other random bytes here.
    #[error(
        "random bytes and the time of day cannot be pinned here, since system calls cannot be \
         watched: {0}"
    )]
    CannotAnswer(io::Error),
    /// A variable that says what a command is told is no number.
    #[error("the variable {name} has to be a whole number, and is '{}'", .value.escape_debug())]
    BadPin {
        /// Its name.
        name: &'static str,
        /// What it is.
        value: String,
    },
    /// A signal to `lab` ended the run; the command was stopped too.
    #[error("interrupted by signal {signal}; the command was stopped and nothing was recorded")]
    Interrupted {
        /// The signal's number.
        signal: i32,
    },
    /// The recipe is for another executor.
    #[error("not a command: this recipe is run by the tensor engine")]
    NotACommand,
    /// A recipe names a folder to start in that leads out of its code tree.
    #[error("the folder '{directory}' leads out of the code tree")]
    DirectoryOutside {
        /// The folder, relative to the code tree.
        directory: String,
    },
    /// The folder in which a command is started cannot be written down.
    #[error("the path of the folder '{}' cannot be recorded: {source}", .path.display())]
    BadDirectory {
        /// The folder.
        path: PathBuf,
        /// The rule that its name breaks.
        source: SchemaError,
    },
    /// A folder lies where no record can say it: its path is not UTF-8, or a name in it holds a
    /// `:`, a control character, or a space at an end.
    #[error("the path of '{}' cannot be recorded: it is not UTF-8, or holds a ':', a control character, or a space at an end of a name", .0.display())]
    UnspeakablePath(PathBuf),
    /// The machine allows no sealed box.
    #[error(transparent)]
    NoBox(lab_seal::Obstacle),
    /// A record has something at a path that leads through a link, or upwards.
    #[error("the record is not to be trusted: its path '{}' leads through a link or upwards", .0.display())]
    Misplaced(PathBuf),
    /// What was read makes no recipe.
    #[error("what the command read cannot be recorded: {0}")]
    Recipe(SchemaError),
    /// A file or folder could not be used.
    #[error("cannot {verb} '{}': {source}", .path.display())]
    Io {
        /// What was tried, such as `read`.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file was written to while it was read.
    #[error("'{}' changed while it was read", .0.display())]
    Changing(PathBuf),
    /// A git repository belongs to somebody else, and git's own rules refuse to trust it.
    #[error("the git repository '{}' belongs to another user: {source}", .path.display())]
    RepositoryOwner {
        /// Where it was looked for.
        path: PathBuf,
        /// What git said.
        source: git2::Error,
    },
    /// A git repository is damaged or cannot be read.
    #[error("cannot {verb} the git repository '{}': {source}", .path.display())]
    Repository {
        /// What was tried, such as `read the index of`.
        verb: &'static str,
        /// The repository.
        path: PathBuf,
        /// What git said.
        source: git2::Error,
    },
    /// Repositories lie inside each other deeper than anybody means them to.
    #[error("git repositories nest too deeply at '{}'", .0.display())]
    TooDeep(PathBuf),
    /// The store refused or lost something.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
}

/// A result of this crate.
pub type Result<T, E = ProcessError> = std::result::Result<T, E>;

/// Puts the path and the verb on an i/o error.
pub(crate) trait At<T> {
    /// `verb` reads after "cannot", as in `read`.
    fn at(self, verb: &'static str, path: &Path) -> Result<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, verb: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| ProcessError::Io { verb, path: path.to_owned(), source })
    }
}

fn searched(path: &Option<String>) -> String {
    match path {
        None => "where the command starts".to_owned(),
        Some(path) => format!("in the PATH of the recipe ('{}')", path.escape_debug()),
    }
}
