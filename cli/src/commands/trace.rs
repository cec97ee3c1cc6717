//! The file of `lab verify --trace-ops`: a line that says of what it is, and a line for each
//! operation. Written if it is not there, else compared with.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use lab_replay::Segment;
use lab_schema::RunId;

use crate::failure::{Failure, Outcome, io_failure};

/// The longest line that is read; those that are written are far shorter.
const MAX_LINE: u64 = 4096;

/// A file of operations, being written or compared with.
pub(super) struct Trace {
    path: PathBuf,
    side: Side,
    lines: u64,
    differs: Option<(String, String)>,
    failed: Option<io::Error>,
}

enum Side {
    /// Into a file beside it, so that no half of a trace lies under its name.
    Write(BufWriter<File>, PathBuf),
    Compare(BufReader<File>),
}

/// What came of it.
pub(super) struct Traced {
    pub(super) path: PathBuf,
    /// Operations written, or found equal.
    pub(super) lines: u64,
    /// The first line that differs: the file's, and what came here.
    pub(super) differs: Option<(String, String)>,
    pub(super) wrote: bool,
}

impl Trace {
    /// Opens the file, or begins it.
    pub(super) fn open(path: &Path, run: RunId, segment: Segment) -> Outcome<Trace> {
        let head = format!("operations of run {run}, steps {}..{}", segment.from + 1, segment.to);
        let side = match File::open(path) {
            Ok(file) => {
                let mut reader = BufReader::new(file);
                let found = line(&mut reader).map_err(|error| io_failure("read", path, &error))?;
                if found.as_deref() != Some(&head) {
                    let what = match found.filter(|found| found.starts_with("operations of run ")) {
                        Some(found) => format!("holds the {found}"),
                        None => "holds no operations".to_owned(),
                    };
                    let why =
                        format!("{} is there, and {what}; here it is the {head}", path.display());
                    return Err(Failure::usage(why)
                        .hint("name a file that is not there to have it written"));
                }
                Side::Compare(reader)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut beside = path.as_os_str().to_owned();
                beside.push(format!(".{}", std::process::id()));
                let beside = PathBuf::from(beside);
                let begin = || -> io::Result<BufWriter<File>> {
                    let mut writer = BufWriter::new(File::create_new(&beside)?);
                    writeln!(writer, "{head}")?;
                    Ok(writer)
                };
                let writer = begin().map_err(|error| io_failure("write", path, &error))?;
                Side::Write(writer, beside)
            }
            Err(error) => return Err(io_failure("read", path, &error)),
        };
        Ok(Trace { path: path.to_owned(), side, lines: 0, differs: None, failed: None })
    }

    /// Takes an operation.
    pub(super) fn take(&mut self, here: &str) -> ControlFlow<()> {
        let theirs = match &mut self.side {
            Side::Write(writer, _) => writeln!(writer, "{here}").map(|()| Some(here.to_owned())),
            Side::Compare(reader) => line(reader),
        };
        match theirs {
            Ok(theirs) if theirs.as_deref() == Some(here) => {
                self.lines += 1;
                ControlFlow::Continue(())
            }
            Ok(theirs) => {
                let ended = || "nothing: it ends here".to_owned();
                self.differs = Some((theirs.unwrap_or_else(ended), here.to_owned()));
                ControlFlow::Break(())
            }
            Err(error) => {
                self.failed = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    /// All operations have been taken.
    pub(super) fn close(mut self) -> Outcome<Traced> {
        let wrote = matches!(self.side, Side::Write(..));
        let ended = match &mut self.side {
            _ if self.failed.is_some() => Ok(None),
            Side::Write(writer, beside) => {
                writer.flush().and_then(|()| std::fs::rename(&*beside, &self.path)).map(|()| None)
            }
            Side::Compare(_) if self.differs.is_some() => Ok(None),
            Side::Compare(reader) => line(reader),
        };
        let verb = if wrote { "write" } else { "read" };
        match (self.failed.take(), ended) {
            (Some(error), _) | (None, Err(error)) => Err(io_failure(verb, &self.path, &error)),
            (None, Ok(more)) => {
                let more = more.map(|theirs| (theirs, "nothing: it ends here".to_owned()));
                let path = std::mem::take(&mut self.path);
                Ok(Traced { path, lines: self.lines, differs: self.differs.take().or(more), wrote })
            }
        }
    }
}

impl Drop for Trace {
    /// What was not finished is no trace.
    fn drop(&mut self) {
        if let Side::Write(_, beside) = &self.side {
            let _ = std::fs::remove_file(beside);
        }
    }
}

/// The next line without its end; none at the end of the file.
fn line(reader: &mut BufReader<File>) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    reader.take(MAX_LINE).read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&bytes);
    // It may be shown on a terminal.
    let shown = |c: char| if c.is_control() { '?' } else { c };
    Ok(Some(text.trim_end_matches('\n').chars().map(shown).collect()))
}
