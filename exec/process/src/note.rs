//! What a person should know about a capture or a run, although it did not fail.
//!
//! Whatever is left out of a record is named here: silence would read as "there was nothing".
//! The command line prints notes as warnings.

use std::fmt;
use std::path::{Path, PathBuf};

/// Something that a person should know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// The project is not in a git work tree, so that only these files, which the command line
    /// names, were captured as code.
    NotInGit {
        /// Why git does not help here.
        why: NoGit,
        /// What was captured, relative to the folder of the command.
        captured: Vec<PathBuf>,
    },
    /// A file that git does not track is too large to be taken for code, and was left out.
    LargeFile {
        /// The file, relative to the top of the code tree.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// A file looks like a secret, and was left out of the code.
    SecretFile(PathBuf),
    /// A file that looks like a secret was read: its bytes are not kept.
    SecretRead(PathBuf),
    /// The command changed files outside the project.
    WroteOutside(Vec<PathBuf>),
    /// What a command was to be told in place of what the machine says did not reach it.
    Unanswered(String),
    /// The command had more processors when it was recorded.
    FewerProcessors {
        /// How many it had.
        recorded: u32,
        /// How many there are here.
        here: u32,
        /// Whether it was told that it has as many as then.
        told: bool,
    },
    /// A bound is lower than it was when the command was recorded, and cannot be lifted.
    LimitLower {
        /// What is bounded.
        name: &'static str,
        /// What it was.
        recorded: u64,
        /// What it is.
        here: u64,
    },
    /// So many folders were listed in the order of this disk, and not as recorded.
    ListingOrder(usize),
    /// A submodule is not checked out: the code tree lacks its files.
    SubmoduleAbsent(PathBuf),
    /// A socket, pipe or device among the code was left out.
    SpecialFile(PathBuf),
    /// Processes were still running when the command had ended, and were stopped.
    LeftBehind(Vec<String>),
    /// A process that could not be stopped holds an output stream: what it still prints is lost.
    StreamHeld,
    /// A log was cut.
    LogCut {
        /// `stdout` or `stderr`.
        stream: &'static str,
        /// How much was printed.
        bytes: u64,
        /// How much was kept.
        kept: u64,
    },
    /// A file that the command left cannot be an output.
    NotAnOutput {
        /// The file, relative to the folder of the command or, if outside it, to the code tree.
        path: PathBuf,
        /// What stands in the way.
        why: &'static str,
    },
    /// These data files cannot be inputs, since an input cannot have such a name: the record has them elsewhere.
    NotAnInput {
        /// The files.
        paths: Vec<PathBuf>,
        /// What they are recorded with instead.
        with: &'static str,
    },
    /// More files were left than a record can name; none beyond the first `kept` is an output.
    TooManyOutputs {
        /// Files left.
        found: usize,
        /// Files kept.
        kept: usize,
    },
    /// The folder in which the command ran could not be removed.
    ScratchLeft {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// A file with metrics gave none, or not all.
    Metrics {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// Why the files of a project could not be listed by git.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoGit {
    /// No repository here or above.
    NoRepository,
    /// The repository has no work tree.
    Bare,
    /// The folder belongs to a work tree that ignores it.
    Ignored,
    /// The folder is the inside of a `.git` or `.lab`.
    Inside,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::NotInGit { why, captured } => {
                f.write_str(match why {
                    NoGit::NoRepository => "not in a git repository",
                    NoGit::Bare => "the git repository here has no work tree",
                    NoGit::Ignored => "the git repository here ignores this folder",
                    NoGit::Inside => "this folder is part of a repository's own files",
                })?;
                if captured.is_empty() {
                    return f.write_str(": no code was recorded");
                }
                f.write_str(": of the code, only files on the command line were recorded (")?;
                list(f, captured)?;
                f.write_str(")")
            }
            Note::LargeFile { path, bytes } => write!(
                f,
                "'{}' ({} MiB, not tracked by git) was left out of the code: \
                 give it as an input with -i",
                shown(path),
                bytes >> 20
            ),
            Note::SecretFile(path) => write!(
                f,
                "'{}' looks like a secret and was left out of the code: records are made to be shared",
                shown(path)
            ),
            Note::SecretRead(path) => write!(
                f,
                "'{}' looks like a secret: the record holds its hash, and not its bytes",
                shown(path)
            ),
            Note::WroteOutside(paths) => {
                f.write_str("also written outside the project, and not kept: ")?;
                list(f, paths)
            }
            Note::FewerProcessors { recorded, here, told: false } => write!(
                f,
                "it was recorded on {recorded} processors and done again on {here}, and cannot be told \
                 otherwise here: sums over threads may come out differently"
            ),
            Note::FewerProcessors { recorded, here, told: true } => write!(
                f,
                "it was recorded on {recorded} processors and done again on {here}: it was told that \
                 there are {recorded}, and so used as many threads"
            ),
            Note::Unanswered(why) => write!(f, "not as it was recorded: {why}"),
            Note::LimitLower { name, recorded, here } => {
                let shown = |n: &u64| match n {
                    &u64::MAX => "unlimited".to_owned(),
                    n => n.to_string(),
                };
                let (then, now) = (shown(recorded), shown(here));
                write!(f, "the limit of {name} was {then}, and here no more than {now} can be had")
            }
            Note::ListingOrder(count) => write!(
                f,
                "the order of {count} listed folders may be another than recorded: there are too \
                 many names to lay out"
            ),
            Note::SubmoduleAbsent(path) => {
                write!(
                    f,
                    "the submodule '{}' is not checked out: its files are missing",
                    shown(path)
                )
            }
            Note::SpecialFile(path) => {
                write!(f, "'{}' is no regular file and was left out of the code", shown(path))
            }
            Note::LeftBehind(names) => {
                f.write_str("still running when the command had ended, and stopped: ")?;
                list(f, names)
            }
            Note::StreamHeld => f.write_str(
                "a background process holds the output streams: what it still prints is lost",
            ),
            Note::LogCut { stream, bytes, kept } => {
                write!(f, "{stream} was cut: {bytes} bytes printed, {kept} kept")
            }
            Note::NotAnOutput { path, why } => {
                write!(f, "'{}' was left by the command but not kept: {why}", shown(path))
            }
            Note::NotAnInput { paths, with } => {
                write!(f, "read as data, and recorded with the {with}: ")?;
                list(f, paths)?;
                f.write_str(
                    " (the name of an input is UTF-8, with no ':', no control character and no space at \
                     an end)",
                )
            }
            Note::TooManyOutputs { found, kept } => write!(
                f,
                "the command left {found} files; only {kept} were kept: declare folders as outputs"
            ),
            Note::ScratchLeft { path, why } => {
                write!(f, "could not remove '{}': {why}", shown(path))
            }
            Note::Metrics { path, why } => write!(f, "metrics in '{}': {why}", shown(path)),
        }
    }
}

/// The path without control characters, which could steer a terminal.
fn shown(path: &Path) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
    path.to_string_lossy().chars().map(escape).collect()
}

/// The first few, and how many more.
fn list<T: AsRef<Path>>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
    const FEW: usize = 5;
    for (i, item) in items.iter().take(FEW).enumerate() {
        write!(f, "{}{}", if i > 0 { ", " } else { "" }, shown(item.as_ref()))?;
    }
    if items.len() > FEW { write!(f, " and {} more", items.len() - FEW) } else { Ok(()) }
}
