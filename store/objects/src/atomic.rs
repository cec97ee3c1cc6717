//! The only file that creates, syncs, renames, removes or locks anything on disk; leases are in
//! `held.rs`.
//!
//! What is assumed of the disk: once `fsync` of a file returns, its bytes survive a power cut;
//! `rename` within one file system happens entirely or not at all, and survives once `fsync` of
//! the folder returns; `flock` is seen by every process that shares the folder. What is not
//! assumed: any order among writes that were not synced, that a temporary file survives or is
//! whole, that clocks agree between hosts (to better than a day), that folders can be listed
//! while they change without missing what is being added.
//!
//! A file that a crash leaves in a folder for temporary files is harmless, and is removed by a
//! later writer once it is a day old. The work tree is written without `fsync`: the store still
//! has it.
//!
//! Test hooks, for crash tests: with `LAB_CRASH_AT=n` in the environment the process aborts right
//! after its n-th step here, and with `LAB_FAIL_AT=n` the n-th step is not done and reports a
//! full disk. A step is one of: folder created, temporary file created, written, synced, renamed,
//! folder synced, file removed, lock taken.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::error::{At, ObjectsError, Result};

/// Age at which a temporary file has certainly been abandoned.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// Direct writes are of whole pages.
const PAGE: usize = 4096;
/// Fewer bytes are not worth a direct write.
const WORTH_IT: usize = 4 << 20;
/// Bytes per direct write.
const AT_ONCE: usize = 8 << 20;

/// The steps at which to crash and to fail; 0 is never.
struct Hook {
    crash_at: u64,
    fail_at: u64,
}

static STEPS: AtomicU64 = AtomicU64::new(0);

/// Does one step, under the test hooks.
pub(crate) fn step<T>(action: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    static HOOK: OnceLock<Hook> = OnceLock::new();
    let hook = HOOK.get_or_init(|| {
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
        Hook {
            crash_at: number("LAB_CRASH_AT").unwrap_or(0),
            fail_at: number("LAB_FAIL_AT").unwrap_or(0),
        }
    });
    if hook.crash_at == 0 && hook.fail_at == 0 {
        return action();
    }
    let now = STEPS.fetch_add(1, Ordering::Relaxed) + 1;
    if now == hook.fail_at {
        return Err(io::ErrorKind::StorageFull.into());
    }
    let done = action();
    if now == hook.crash_at {
        std::process::abort();
    }
    done
}

/// A word that no other process uses at the same time.
pub fn unique() -> String {
    format!("{}-{:016x}", std::process::id(), RandomState::new().build_hasher().finish())
}

/// Whether a file can have got its name from [`unique`].
pub(crate) fn is_unique(file_name: &str) -> bool {
    let hexadecimal = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    file_name.split_once('-').is_some_and(|(process, word)| {
        process.parse::<u32>().is_ok() && word.len() == 16 && word.bytes().all(hexadecimal)
    })
}

/// Makes a folder durable, and its parents where they are absent.
pub(crate) fn create_folder(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_folder(parent)?;
    match step(|| fs::create_dir(path)) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        done => done.at("create folder", path)?,
    }
    sync_folder(parent)
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    step(|| if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }).at("sync folder", path)
}

/// Writes `bytes` to `target` entirely or not at all, replacing what is there; durable on return.
/// `temporary` is a folder on the same file system.
pub(crate) fn write(temporary: &Path, target: &Path, bytes: &[u8]) -> Result<()> {
    let temp = temporary.join(unique());
    let written = write_temp(&temp, bytes)
        .and_then(|()| step(|| fs::rename(&temp, target)).at("write", target));
    if let Err(error) = written {
        // What remains is harmless; the first error is the one to tell.
        let _ = fs::remove_file(&temp);
        return Err(error);
    }
    target.parent().map_or(Ok(()), sync_folder)
}

/// Replaces a file that can be lost, entirely or not at all: one that can be made again, and that is
/// checked when it is read. `fill` writes it.
pub(crate) fn replace(
    target: &Path,
    fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<()> {
    let temp = target.with_file_name(unique());
    let written = step(|| {
        let mut out = BufWriter::new(File::create(&temp)?);
        fill(&mut out).and_then(|()| out.flush())
    });
    let written = written.and_then(|()| step(|| fs::rename(&temp, target))).at("write", target);
    if written.is_err() {
        // What remains is harmless; the first error is the one to tell.
        let _ = fs::remove_file(&temp);
    }
    written
}

fn write_temp(temp: &Path, bytes: &[u8]) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    let mut file = step(|| options.open(temp)).at("create", temp)?;
    let written = step(|| {
        let direct = write_direct(temp, bytes)?;
        file.seek(SeekFrom::Start(direct as u64))?;
        file.write_all(&bytes[direct..])
    });
    written.at("write", temp)?;
    step(|| file.sync_all()).at("sync", temp)
}

/// Writes the whole pages of many bytes past the page cache, as far as the file system lets it, and
/// says how many bytes that were. A pack is seldom read soon after it was written; the cache is
/// left to what is, and is not filled by copying what goes to the disk anyway.
#[cfg(target_os = "linux")]
fn write_direct(path: &Path, bytes: &[u8]) -> io::Result<usize> {
    use std::os::unix::fs::{FileExt, OpenOptionsExt};
    let whole = bytes.len() - bytes.len() % PAGE;
    if bytes.len() < WORTH_IT || bytes.as_ptr().align_offset(PAGE) != 0 {
        return Ok(0);
    }
    let direct = rustix::fs::OFlags::DIRECT.bits() as i32;
    // Not every file system knows it; then the bytes are written as always.
    let Ok(file) = OpenOptions::new().write(true).custom_flags(direct).open(path) else {
        return Ok(0);
    };
    let mut written = 0;
    while written < whole {
        let end = whole.min(written + AT_ONCE);
        match file.write_at(&bytes[written..end], written as u64) {
            // Less than a whole page cannot be gone on from.
            Ok(n) if n < PAGE => break,
            Ok(n) => written += n - n % PAGE,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => break,
            Err(e) => return Err(e),
        }
    }
    Ok(written)
}

#[cfg(not(target_os = "linux"))]
fn write_direct(_: &Path, _: &[u8]) -> io::Result<usize> {
    Ok(0)
}

/// Removes a file durably; says whether it was there.
pub(crate) fn remove(path: &Path) -> Result<bool> {
    match step(|| fs::remove_file(path)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        done => {
            done.at("remove", path)?;
            path.parent().map_or(Ok(()), sync_folder)?;
            Ok(true)
        }
    }
}

/// Removes abandoned temporary files. Whatever cannot be removed stays for a later writer; and
/// what has another name than they have, since a link may have led here, into other people's files.
pub(crate) fn sweep(temporary: &Path) -> Result<()> {
    let now = SystemTime::now();
    for entry in fs::read_dir(temporary).at("list", temporary)? {
        let entry = entry.at("list", temporary)?;
        if !entry.file_name().to_str().is_some_and(is_unique) {
            continue;
        }
        let age = entry.metadata().and_then(|m| m.modified()).map(|t| now.duration_since(t));
        if let Ok(Ok(age)) = age
            && age > ABANDONED
        {
            // Another writer may sweep at the same time; either one will do.
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

/// A lock that is held until it is dropped.
#[must_use = "the lock is released when this is dropped"]
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock at `path`, waiting at most `timeout`; then names the holder. The file
    /// stays: removing it would let two processes lock two files of one name. Whoever shares the
    /// store could have put a link there, to have what it leads to overwritten: that is refused.
    pub(crate) fn take(path: &Path, timeout: Duration) -> Result<Lock> {
        let not_plain = || {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file"))
                .at("lock", path)
        };
        if fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
            return not_plain();
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).at("open lock", path)?;
        if !is_at(&file, path).at("inspect", path)? {
            return not_plain();
        }
        let give_up = Instant::now() + timeout;
        let mut pause = Duration::from_millis(1);
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(source)) => return Err(source).at("lock", path),
                Err(TryLockError::WouldBlock) if Instant::now() < give_up => {
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(100));
                }
                Err(TryLockError::WouldBlock) => {
                    let mut holder = String::new();
                    let read = (&file).take(200).read_to_string(&mut holder);
                    if read.is_err() || holder.trim().is_empty() {
                        holder = "another process".into();
                    }
                    let holder = holder.trim().escape_debug().to_string();
                    return Err(ObjectsError::Locked { path: path.to_owned(), holder });
                }
            }
        }
        step(|| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "process {} on {}", std::process::id(), host())
        })
        .at("lock", path)?;
        Ok(Lock { _file: file })
    }
}

impl Lock {
    /// When it was taken, by the clock of the file system.
    pub(crate) fn taken(&self) -> io::Result<SystemTime> {
        self._file.sync_all()?;
        self._file.metadata()?.modified()
    }
}

/// Whether what was opened at `path` is what lies there, and not what a link there leads to.
pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (opened, there) = (file.metadata()?, fs::symlink_metadata(path)?);
    Ok(there.is_file() && (opened.dev(), opened.ino()) == (there.dev(), there.ino()))
}

/// What this machine calls itself.
pub fn host() -> String {
    let read = fs::read_to_string("/proc/sys/kernel/hostname");
    read.map_or_else(|_| "this host".into(), |name| name.trim().to_owned())
}

/// Makes one folder of a work tree; refuses if anything is there.
pub(crate) fn new_folder(path: &Path) -> Result<()> {
    step(|| fs::create_dir(path)).at("create folder", path)
}

/// Makes a file of a work tree; refuses if anything is there.
pub(crate) fn new_file(path: &Path, executable: bool) -> Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, if executable { 0o777 } else { 0o666 });
    step(|| options.open(path)).at("create", path)
}

/// Makes a symbolic link of a work tree; refuses if anything is there.
pub(crate) fn new_link(target: &Path, path: &Path) -> Result<()> {
    step(|| std::os::unix::fs::symlink(target, path)).at("create link", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves L-21
    #[test]
    fn a_lock_waits_times_out_and_names_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = Lock::take(&path, Duration::ZERO).unwrap();
        let refused = Lock::take(&path, Duration::from_millis(20)).unwrap_err().to_string();
        let pid = std::process::id();
        assert!(refused.contains(&format!("is locked by process {pid} on ")), "{refused}");
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || Lock::take(&path, Duration::from_secs(60)).map(drop)
        });
        std::thread::sleep(Duration::from_millis(30));
        drop(held);
        waiting.join().unwrap().unwrap();
    }

    // proves L-05
    #[test]
    fn abandoned_files_are_swept_and_recent_or_foreign_ones_stay() {
        let folder = tempfile::tempdir().unwrap();
        let [old, new, foreign] = [unique(), unique(), "letter.txt".into()]
            .map(|file_name| folder.path().join(file_name));
        fs::write(&new, "x").unwrap();
        for path in [&old, &foreign] {
            let file = File::create(path).unwrap();
            file.set_modified(SystemTime::now() - ABANDONED - Duration::from_secs(60)).unwrap();
        }
        // As where `tmp` is a link to somebody's documents.
        let link = folder.path().join("tmp");
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        sweep(&link).unwrap();
        assert!(!old.exists() && new.exists() && foreign.exists());
    }

    #[test]
    fn a_lock_that_is_a_link_is_refused_and_what_it_leads_to_stays() {
        let folder = tempfile::tempdir().unwrap();
        let [letter, link, absent, loose] =
            ["letter", "link", "absent", "loose"].map(|file_name| folder.path().join(file_name));
        fs::write(&letter, "precious").unwrap();
        std::os::unix::fs::symlink(&letter, &link).unwrap();
        std::os::unix::fs::symlink(&absent, &loose).unwrap();
        for path in [&link, &loose] {
            let refused = Lock::take(path, Duration::ZERO).unwrap_err();
            assert!(refused.to_string().ends_with("it is not a plain file"), "{refused}");
        }
        assert_eq!(fs::read(&letter).unwrap(), b"precious");
        assert!(!absent.exists());
    }
}
