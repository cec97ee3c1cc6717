//! Finds processes that a command left running.
//!
//! Two marks: the process group that the command was started in, and the run's own scratch
//! folder in the environment that descendants inherit. The second finds daemons that left the
//! group (`setsid`). One that left the group and cleared its environment is not found; only a
//! sealed box, with a process namespace, holds that one too.

use std::path::Path;

/// A running process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Straggler {
    pub(crate) pid: i32,
    pub(crate) name: String,
    /// Whether it is still in the group that the command was started in.
    pub(crate) in_group: bool,
}

/// The processes, other than our own, that belong to `group` or have `scratch` in their
/// environment; those that have ended and only wait to be reaped do not count.
///
/// `since` is the [`start_time`] of the command: what is older cannot descend from it. This and
/// the cheapest questions first keep the look short on machines with thousands of processes.
#[cfg(target_os = "linux")]
pub(crate) fn running(group: i32, since: u64, scratch: &Path) -> Vec<Straggler> {
    use std::os::unix::fs::MetadataExt;
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let owner = std::fs::metadata("/proc/self").map(|meta| meta.uid()).ok();
    let group_exists = crate::sys::signal_group(group, 0).unwrap_or(true);
    // A process that vanishes while it is looked at is no straggler, hence no errors here.
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let is_ours = || entry.metadata().is_ok_and(|meta| Some(meta.uid()) == owner);
            if pid == own || !(group_exists || is_ours()) {
                return None;
            }
            let stat = Stat::of(pid)?;
            let in_group = group_exists && stat.group == group;
            let ours = in_group || (stat.started >= since && mentions(pid, scratch));
            (stat.alive && ours).then_some(Straggler { pid, name: stat.name, in_group })
        })
        .collect()
}

/// When a process started, in a unit and from an origin of the system's own; 0 if unknown.
#[cfg(target_os = "linux")]
pub(crate) fn start_time(pid: i32) -> u64 {
    Stat::of(pid).map_or(0, |stat| stat.started)
}

/// Elsewhere only the group is known, and only as a whole.
#[cfg(not(target_os = "linux"))]
pub(crate) fn running(group: i32, _since: u64, _scratch: &Path) -> Vec<Straggler> {
    match crate::sys::signal_group(group, 0) {
        Ok(true) => {
            let name = "a background process".to_owned();
            vec![Straggler { pid: -group, name, in_group: true }]
        }
        _ => Vec::new(),
    }
}

/// When a process started; not known here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn start_time(_pid: i32) -> u64 {
    0
}

/// Whether the environment with which the process was started names the folder.
#[cfg(target_os = "linux")]
fn mentions(pid: i32, folder: &Path) -> bool {
    use std::io::Read;
    use std::os::unix::ffi::OsStrExt;
    const MAX_BYTES: u64 = 4 << 20;
    let mut environment = Vec::new();
    let read = std::fs::File::open(format!("/proc/{pid}/environ"))
        .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut environment));
    let folder = folder.as_os_str().as_bytes();
    read.is_ok()
        && environment.split(|b| *b == 0).any(|variable| {
            let value = variable.splitn(2, |b| *b == b'=').nth(1).unwrap_or_default();
            let inside = value.strip_prefix(folder);
            inside.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        })
}

/// The fields of `/proc/PID/stat` that matter here.
#[cfg(target_os = "linux")]
struct Stat {
    name: String,
    alive: bool,
    group: i32,
    started: u64,
}

#[cfg(target_os = "linux")]
impl Stat {
    fn of(pid: i32) -> Option<Stat> {
        Stat::parse(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// `PID (NAME) STATE PPID PGRP ..` and, 22nd, the start time, where the name may hold spaces and brackets.
    fn parse(bytes: &[u8]) -> Option<Stat> {
        let text = String::from_utf8_lossy(bytes);
        let (head, tail) = text.rsplit_once(')')?;
        let name = head.split_once('(')?.1.to_owned();
        let mut fields = tail.split_whitespace();
        let state = fields.next()?;
        let group = fields.nth(1)?.parse().ok()?;
        let started = fields.nth(16)?.parse().ok()?;
        Some(Stat { name, alive: !matches!(state, "Z" | "X" | "x"), group, started })
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn names_with_brackets_are_read() {
        let line =
            |state| format!("12 (a) (b) {state} 1 77 77 0 -1 4 0 0 0 0 1 2 0 0 20 0 1 0 5150 9 9");
        let stat = Stat::parse(line("S").as_bytes()).unwrap();
        assert_eq!((stat.name.as_str(), stat.alive, stat.group), ("a) (b", true, 77));
        assert_eq!(stat.started, 5150);
        assert!(!Stat::parse(line("Z").as_bytes()).unwrap().alive);
        for bad in [&b""[..], b"12", b"12 (x", b"12 (x) S 1 2", b"12 (x) S 1 y", b")(", b"\xff"] {
            assert!(Stat::parse(bad).is_none());
        }
    }

    /// Looks until it sees what it looks for; a process shows its new name and environment, and its end, only
    /// some time after whoever started or killed it goes on.
    fn soon(look: impl Fn() -> bool) -> bool {
        let started = std::time::Instant::now();
        while !look() {
            if started.elapsed().as_secs() >= 20 {
                return false;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        true
    }

    #[test]
    fn a_process_is_found_by_its_environment() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .env("TMPDIR", dir.path().join("tmp"))
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let found = |s: &Straggler| s.pid == pid && s.name == "sleep";
        assert!(soon(|| running(i32::MAX, 0, dir.path()).iter().any(found)));
        assert!(start_time(pid) > 0);
        assert!(running(i32::MAX, start_time(pid) + 1, dir.path()).is_empty());
        let sibling = format!("{}x", dir.path().display());
        assert!(!running(i32::MAX, 0, Path::new(&sibling)).iter().any(|s| s.pid == pid));
        child.kill().unwrap();
        // Not reaped yet: a zombie does not count.
        assert!(soon(|| running(i32::MAX, 0, dir.path()).is_empty()));
        child.wait().unwrap();
    }
}
