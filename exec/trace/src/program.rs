//! What the kernel itself opens when a file is executed: the interpreter of a script, and the
//! loader of a dynamically linked program. No system call names either.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Most of a first line that the kernel reads (`BINPRM_BUF_SIZE`).
const MAX_LINE: usize = 256;
/// Most program headers that are looked at; real programs have about ten.
const MAX_HEADERS: u64 = 256;
const PT_INTERP: u32 = 3;

/// How a file is executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Image {
    /// By this other file: the interpreter of its first line, or the loader it asks for.
    Through(PathBuf),
    /// On its own: it is linked statically.
    Alone,
    /// As a 32-bit program.
    Narrow,
    /// It is nothing that can be executed, or cannot be read.
    Unknown,
}

/// Looks into a file that is about to be executed.
pub(crate) fn image(path: &Path) -> Image {
    let Ok(mut file) = File::open(path) else { return Image::Unknown };
    let mut start = Vec::new();
    if (&mut file).take(MAX_LINE as u64).read_to_end(&mut start).is_err() {
        return Image::Unknown;
    }
    if let Some(line) = start.strip_prefix(b"#!") {
        let line = line.split(|b| *b == b'\n').next().unwrap_or(line);
        let word = line.split(|b| b.is_ascii_whitespace() || *b == 0).find(|w| !w.is_empty());
        return word.map_or(Image::Unknown, |w| Image::Through(OsStr::from_bytes(w).into()));
    }
    match start.get(..5) {
        Some(b"\x7fELF\x02") => loader(&file, &start).unwrap_or(Image::Unknown),
        Some(b"\x7fELF\x01") => Image::Narrow,
        _ => Image::Unknown,
    }
}

/// The loader that a 64-bit little-endian ELF file asks for (layout: elf(5)).
fn loader(file: &File, start: &[u8]) -> Option<Image> {
    let u16_at = |i: usize| Some(u16::from_le_bytes(start.get(i..i + 2)?.try_into().ok()?));
    let u64_at = |b: &[u8], i: usize| Some(u64::from_le_bytes(b.get(i..i + 8)?.try_into().ok()?));
    let table = u64_at(start, 32)?;
    let (size, count) = (u64::from(u16_at(54)?), u64::from(u16_at(56)?).min(MAX_HEADERS));
    for i in 0..count {
        let mut header = [0; 56];
        file.read_exact_at(&mut header, table.checked_add(i * size)?).ok()?;
        if header[..4] == PT_INTERP.to_le_bytes() {
            let mut name = vec![0; usize::try_from(u64_at(&header, 32)?.min(4096)).ok()?];
            file.read_exact_at(&mut name, u64_at(&header, 8)?).ok()?;
            let name = name.split(|b| *b == 0).next()?;
            return Some(Image::Through(OsStr::from_bytes(name).into()));
        }
    }
    Some(Image::Alone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_executes_a_file_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let write = |bytes: &[u8]| {
            let path = dir.path().join("x");
            std::fs::write(&path, bytes).unwrap();
            image(&path)
        };
        let through = |p: &str| Image::Through(p.into());
        assert_eq!(write(b"#! /bin/sh -e\nexit"), through("/bin/sh"));
        assert_eq!(write(b"#!/usr/bin/env python3"), through("/usr/bin/env"));
        assert_eq!(write(b"#!\n"), Image::Unknown);
        assert_eq!(write(b"\x7fELF\x01"), Image::Narrow);
        assert_eq!(write(b"\x7fELF\x02 cut off"), Image::Unknown);
        assert_eq!(write(b""), Image::Unknown);
        // A header that counts programs beyond the end.
        let mut forged = vec![0xff; 64];
        forged[..5].copy_from_slice(b"\x7fELF\x02");
        assert_eq!(write(&forged), Image::Unknown);
        match image(&std::env::current_exe().unwrap()) {
            Image::Through(loader) => assert!(loader.to_string_lossy().contains("ld-")),
            other => panic!("{other:?}"),
        }
    }
}
