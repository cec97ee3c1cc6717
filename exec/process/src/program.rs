//! Finds the program that the first word of a command line means.
//!
//! As a shell does: a word with a `/` is a path relative to the folder of the command, any other
//! is searched in `PATH`, and that is the recipe's, not ours. The search is done here, and not
//! left to exec, so that "no such file" can say what is missing: the program, or the interpreter
//! that a script names.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::{ProcessError, Result};

/// Where programs are searched if the recipe has no `PATH`, as in POSIX systems' exec.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Most bytes of a script's first line that the kernel looks at.
const MAX_INTERPRETER_BYTES: u64 = 256;

/// The path to execute for `word`: absolute, or relative to `directory` and with a `/`.
pub(crate) fn find(word: &str, directory: &Path, path: Option<&OsStr>) -> Result<PathBuf> {
    if word.contains('/') {
        let missing = || ProcessError::NoProgram { program: word.to_owned(), path: None };
        let program = PathBuf::from(word);
        fs::metadata(directory.join(&program)).map_err(|_| missing())?;
        return runnable(program, directory);
    }
    let path = path.unwrap_or(OsStr::new(DEFAULT_PATH));
    let mut refused = None;
    for folder in path.as_bytes().split(|b| *b == b':') {
        // An empty entry means the folder of the command.
        let folder = if folder.is_empty() { &b"."[..] } else { folder };
        let program = Path::new(OsStr::from_bytes(folder)).join(word);
        if fs::metadata(directory.join(&program)).is_ok() {
            match runnable(program, directory) {
                Ok(program) => return Ok(program),
                // Like a shell: go on searching, but remember what stood in the way.
                Err(e) => refused = refused.or(Some(e)),
            }
        }
    }
    let path = Some(path.to_string_lossy().into_owned());
    Err(refused.unwrap_or(ProcessError::NoProgram { program: word.to_owned(), path }))
}

fn runnable(program: PathBuf, directory: &Path) -> Result<PathBuf> {
    let refuse = |why| Err(ProcessError::NotExecutable { program: program.clone(), why });
    let full = directory.join(&program);
    match fs::metadata(&full) {
        Ok(meta) if meta.is_dir() => return refuse("it is a folder"),
        Ok(meta) if !meta.is_file() => return refuse("it is not a regular file"),
        Ok(meta) if meta.permissions().mode() & 0o111 == 0 => {
            return refuse("it is not executable (chmod +x makes it so)");
        }
        Ok(_) => {}
        Err(_) => return refuse("it cannot be inspected"),
    }
    match interpreter(&full) {
        Some(interpreter) if fs::metadata(directory.join(&interpreter)).is_err() => {
            Err(ProcessError::NoInterpreter { program, interpreter })
        }
        _ => Ok(program),
    }
}

/// What the `#!` line of a script names. None for everything else, and for what may be executed
/// but not read, which exec will judge.
fn interpreter(program: &Path) -> Option<PathBuf> {
    let mut head = Vec::new();
    File::open(program).ok()?.take(MAX_INTERPRETER_BYTES).read_to_end(&mut head).ok()?;
    let line = head.strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    let word = line.split(|b| matches!(b, b' ' | b'\t')).find(|word| !word.is_empty())?;
    Some(PathBuf::from(OsStr::from_bytes(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str, mode: u32) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn path_is_searched_in_order_and_relative_to_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("a/tool"), "text", 0o644);
        write(&dir.path().join("b/tool"), "text", 0o755);
        write(&dir.path().join("here"), "text", 0o755);
        let search = |word, path: &str| find(word, dir.path(), Some(OsStr::new(path)));
        assert_eq!(search("tool", "a:b").unwrap(), Path::new("b/tool"));
        assert_eq!(search("here", "a::b").unwrap(), Path::new("./here"));
        assert_eq!(find("sh", dir.path(), None).unwrap(), Path::new("/bin/sh"));
        assert!(matches!(search("tool", "a"), Err(ProcessError::NotExecutable { .. })));
        let missing = search("here", "a:b").unwrap_err().to_string();
        assert_eq!(missing, "no program 'here' in the PATH of the recipe ('a:b')");
    }

    #[test]
    fn each_obstacle_has_its_own_words() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("script"), "#! /no/such/interp -x\n", 0o755);
        write(&dir.path().join("plain"), "#!/bin/sh\n", 0o644);
        fs::create_dir(dir.path().join("folder")).unwrap();
        let said = |word| find(word, dir.path(), None).unwrap_err().to_string();
        assert!(said("./script").contains("interpreter '/no/such/interp'"));
        assert!(said("./plain").contains("not executable"));
        assert!(said("./folder").contains("a folder"));
        assert_eq!(said("./absent"), "no program './absent' where the command starts");
        assert!(said("./plain/x").contains("no program"));
    }
}
