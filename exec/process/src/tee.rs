//! One output stream of a command: into a file, bounded, and on to a person's terminal.
//!
//! Reading never stops before the stream ends, whatever the bound: a command whose pipe fills up
//! would wait for ever.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use crate::error::{At, Result};
use crate::note::Note;

const BUFFER_BYTES: usize = 64 << 10;

/// A stream while it is being recorded.
pub(crate) struct Tee<'a> {
    name: &'static str,
    /// The reading end; none once the stream has ended.
    source: Option<File>,
    log: File,
    path: PathBuf,
    echo: Option<Box<dyn Write + 'a>>,
    max_bytes: u64,
    seen_bytes: u64,
}

impl<'a> Tee<'a> {
    /// Records `source` into a new file at `path`.
    pub(crate) fn new(
        name: &'static str,
        source: OwnedFd,
        path: &Path,
        max_bytes: u64,
        echo: Option<Box<dyn Write + 'a>>,
    ) -> Result<Tee<'a>> {
        let log = File::create_new(path).at("create", path)?;
        let source = Some(File::from(source));
        Ok(Tee { name, source, log, path: path.to_owned(), echo, max_bytes, seen_bytes: 0 })
    }

    /// What to poll; none once the stream has ended.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.source.as_ref().map(AsFd::as_fd)
    }

    /// Takes in what has come: call it when the descriptor can be read, or it waits.
    pub(crate) fn pump(&mut self) -> Result<()> {
        let Some(source) = &mut self.source else { return Ok(()) };
        let mut buffer = [0; BUFFER_BYTES];
        let got = match source.read(&mut buffer) {
            Ok(got) => got,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(e) => return Err(e).at("read the output that goes to", &self.path),
        };
        if got == 0 {
            self.source = None;
            return Ok(());
        }
        let bytes = &buffer[..got];
        let room = self.max_bytes.saturating_sub(self.seen_bytes);
        let kept = usize::try_from(room).unwrap_or(usize::MAX).min(got);
        self.log.write_all(&bytes[..kept]).at("write", &self.path)?;
        self.seen_bytes = self.seen_bytes.saturating_add(got as u64);
        if let Some(echo) = &mut self.echo {
            // Whoever was reading along has gone (`lab run .. | head`): the record goes on.
            if echo.write_all(bytes).and_then(|()| echo.flush()).is_err() {
                self.echo = None;
            }
        }
        Ok(())
    }

    /// Ends the log; adds a note to it and returns one if it was cut.
    pub(crate) fn finish(mut self) -> Result<Option<Note>> {
        if self.seen_bytes <= self.max_bytes {
            return Ok(None);
        }
        let (bytes, kept) = (self.seen_bytes, self.max_bytes);
        let end = format!("\n[lab: cut here: {kept} of {bytes} bytes were kept]\n");
        self.log.write_all(end.as_bytes()).at("write", &self.path)?;
        Ok(Some(Note::LogCut { stream: self.name, bytes, kept }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tee(text: &[u8], max_bytes: u64, echo: Option<Box<dyn Write + '_>>) -> (Vec<u8>, bool) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(text).unwrap();
        drop(writer);
        let mut tee = Tee::new("stdout", reader.into(), &path, max_bytes, echo).unwrap();
        while tee.descriptor().is_some() {
            tee.pump().unwrap();
        }
        let cut = tee.finish().unwrap().is_some();
        (std::fs::read(path).unwrap(), cut)
    }

    #[test]
    fn what_is_printed_is_kept_and_shown() {
        let mut shown = Vec::new();
        let (kept, cut) = tee(b"a\nb\xff\0", 6, Some(Box::new(&mut shown)));
        assert_eq!((kept.as_slice(), cut), (&b"a\nb\xff\0"[..], false));
        assert_eq!(shown, b"a\nb\xff\0");
    }

    #[test]
    fn a_long_log_says_that_it_was_cut() {
        let mut shown = Vec::new();
        let (kept, cut) = tee(b"0123456789", 4, Some(Box::new(&mut shown)));
        assert!(cut);
        assert_eq!(kept, b"0123\n[lab: cut here: 4 of 10 bytes were kept]\n");
        assert_eq!(shown, b"0123456789");
    }

    #[test]
    fn a_reader_that_goes_away_does_not_end_the_record() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        assert_eq!(tee(b"abc", 9, Some(Box::new(Gone))), (b"abc".to_vec(), false));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_an_error_that_names_the_log() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"abc").unwrap();
        let path = PathBuf::from("/dev/full");
        let log = File::options().write(true).open(&path).unwrap();
        let source = Some(File::from(OwnedFd::from(reader)));
        let (echo, max_bytes, seen_bytes) = (None, 9, 0);
        let mut tee = Tee { name: "stdout", source, log, path, echo, max_bytes, seen_bytes };
        let error = tee.pump().unwrap_err().to_string();
        assert!(error.starts_with("cannot write '/dev/full': "), "{error}");
    }

    #[test]
    fn a_log_that_exists_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let (reader, _writer) = io::pipe().unwrap();
        let error = Tee::new("stdout", reader.into(), dir.path(), 1, None).err().unwrap();
        assert!(error.to_string().contains(&dir.path().display().to_string()));
    }
}
