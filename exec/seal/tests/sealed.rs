//! Whether anything gets out of the box, or anything else into it.
//!
//! The commands are the shell and small tools of the machine, copied with the libraries they need,
//! and this test program itself.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use lab_seal::{Seal, is_opaque, is_whiteout, obstacle, probe, seal};

/// A folder with a root in it that holds a few programs.
struct Bench {
    dir: tempfile::TempDir,
}

const TOOLS: [&str; 12] =
    ["sh", "cat", "ls", "id", "hostname", "sleep", "rm", "mkdir", "env", "mount", "setsid", "grep"];

impl Drop for Bench {
    fn drop(&mut self) {
        // The overlay leaves a folder that nobody may look into, and so nobody could remove.
        let inner = self.dir.path().join("work/work");
        let _ = fs::set_permissions(inner, fs::Permissions::from_mode(0o700));
    }
}

impl Bench {
    fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let bench = Bench { dir };
        fs::create_dir(bench.root()).unwrap();
        for tool in TOOLS {
            let found = ["/bin", "/usr/bin"].iter().map(|d| Path::new(d).join(tool));
            let tool = found.into_iter().find(|p| p.exists()).unwrap();
            bench.bring(&tool);
        }
        bench.bring(&std::env::current_exe().unwrap());
        for folder in ["tmp", "etc", "work", "sys"] {
            fs::create_dir_all(bench.root().join(folder)).unwrap();
        }
        fs::write(bench.root().join("work/data"), "recorded\n").unwrap();
        bench
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// Copies a program and what it is linked with to the same paths.
    fn bring(&self, program: &Path) {
        let linked = Command::new("ldd").arg(program).output().unwrap();
        let linked = String::from_utf8(linked.stdout).unwrap();
        let libraries = linked.split_whitespace().filter(|word| word.starts_with('/'));
        for path in libraries.map(Path::new).chain([program]) {
            let to = self.root().join(path.strip_prefix("/").unwrap());
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(path, to).unwrap();
        }
    }

    /// The same root in another folder.
    fn afresh(&self) -> Bench {
        let next = Bench { dir: tempfile::tempdir().unwrap() };
        fs::create_dir(next.root()).unwrap();
        for (path, bytes) in listing(&self.root()) {
            let to = next.root().join(path.strip_prefix(self.root()).unwrap());
            let mode = path.symlink_metadata().unwrap().permissions();
            if path.is_dir() {
                fs::create_dir_all(to).unwrap();
            } else {
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::write(&to, bytes).unwrap();
                fs::set_permissions(to, mode).unwrap();
            }
        }
        next
    }

    fn seal(&self) -> Seal<'_> {
        Seal {
            base: self.dir.path(),
            user: (4242, 4343),
            host_name: "box",
            directory: Path::new("/work"),
            over: &[],
            devices: &[],
        }
    }

    fn command(&self, program: &str, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(words).env_clear().env("PATH", "/usr/bin:/bin");
        seal(&mut command, &self.seal()).unwrap();
        command
    }

    fn shell(&self, script: &str) -> Output {
        self.command("sh", &["-c", script]).output().unwrap()
    }

    fn says(&self, script: &str) -> String {
        let output = self.shell(script);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{script}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }

    fn upper(&self) -> PathBuf {
        self.seal().upper()
    }
}

/// Runs one of the ignored functions below in a box.
fn inside(bench: &Bench, name: &str, given: &str) -> Output {
    let program = std::env::current_exe().unwrap();
    let mut command = bench.command(program.to_str().unwrap(), &["--ignored", "--exact", name]);
    command.env("GIVEN", given).output().unwrap()
}

fn given() -> Option<String> {
    std::env::var("GIVEN").ok()
}

/// Whether any process of the machine has this in its environment.
fn lives(mark: &str) -> bool {
    let has = |entry: std::io::Result<fs::DirEntry>| {
        let environment = fs::read(entry.unwrap().path().join("environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(mark)
    };
    fs::read_dir("/proc").unwrap().any(has)
}

fn soon(what: impl Fn() -> bool) -> bool {
    let started = Instant::now();
    while !what() {
        if started.elapsed() > Duration::from_secs(10) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

/// Whether the machine allows boxes; says why not. `BOX_MUST=1` makes that a failure.
fn allowed() -> bool {
    let dir = tempfile::tempdir().unwrap();
    let answer = probe(dir.path()).unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    if let Err(obstacle) = &answer {
        assert!(std::env::var_os("BOX_MUST").is_none(), "{obstacle}");
        println!("skipped: {obstacle}");
    }
    answer.is_ok()
}

#[test]
fn a_command_finds_what_is_recorded_and_sees_itself_as_it_was() {
    if !allowed() {
        return;
    }
    let bench = Bench::new();
    let text = bench.says("id -u; id -g; hostname; pwd; cat data; ls /");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..5], ["4242", "4343", "box", "/work", "recorded"]);
    for absent in ["home", "root", "mnt", "media", "srv", "var", "boot", "opt"] {
        let ours = bench.root().join(absent).exists();
        assert_eq!(lines[5..].contains(&absent), ours, "{absent}");
    }
}

#[test]
fn what_it_writes_is_in_the_upper_folder_and_nowhere_else() {
    if !allowed() {
        return;
    }
    let bench = Bench::new();
    let before = listing(&bench.root());
    bench.says("echo new > out; echo more >> data; rm /etc/../bin/nothing 2>/dev/null; mkdir -p deep/er; echo x > deep/er/file");
    let mut after = listing(&bench.root());
    after.retain(|(path, _)| !path.ends_with("proc") && !path.ends_with("dev"));
    assert_eq!(before, after);
    let upper = bench.upper().join("work");
    assert_eq!(fs::read_to_string(upper.join("out")).unwrap(), "new\n");
    assert_eq!(fs::read_to_string(upper.join("data")).unwrap(), "recorded\nmore\n");
    assert_eq!(fs::read_to_string(upper.join("deep/er/file")).unwrap(), "x\n");
}

fn listing(top: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut all, mut folders) = (Vec::new(), vec![top.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.symlink_metadata().unwrap().is_dir() {
                folders.push(path.clone());
                all.push((path, Vec::new()));
            } else {
                let bytes = fs::read(&path).unwrap_or_default();
                all.push((path, bytes));
            }
        }
    }
    all.sort();
    all
}

#[test]
fn what_it_removes_is_noted() {
    if !allowed() {
        return;
    }
    let bench = Bench::new();
    fs::create_dir(bench.root().join("work/folder")).unwrap();
    fs::write(bench.root().join("work/folder/file"), "x").unwrap();
    bench.says("rm data; rm -r folder; mkdir folder");
    let upper = bench.upper().join("work");
    assert!(is_whiteout(&upper.join("data").symlink_metadata().unwrap()));
    assert!(is_opaque(&upper.join("folder")) && !is_opaque(&upper));
}

#[test]
fn it_has_no_privileges_and_cannot_get_any() {
    if !allowed() {
        return;
    }
    let bench = Bench::new();
    let text = bench.says("grep -E 'Cap|NoNew' /proc/self/status");
    for line in text.lines() {
        let value = line.split_whitespace().nth(1).unwrap();
        let expected = if line.starts_with("NoNew") { "1" } else { "0000000000000000" };
        assert_eq!(value, expected, "{line}");
    }
    let closed = bench.root().join("closed");
    fs::write(&closed, "x").unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    for refused in ["mount -t tmpfs none /tmp", "hostname other", "cat /closed"] {
        let bench = bench.afresh();
        assert!(!bench.shell(refused).status.success(), "{refused}");
    }
    // Even who sees itself as root has none.
    let mut command = Command::new("sh");
    command.args(["-c", "id -u; grep CapEff /proc/self/status"]).env_clear();
    let again = bench.afresh();
    seal(&mut command, &Seal { user: (0, 0), ..again.seal() }).unwrap();
    let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
    assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["0", "CapEff:", "0000000000000000"]);
}

#[test]
fn it_sees_no_process_but_its_own() {
    if !allowed() {
        return;
    }
    let bench = Bench::new();
    let text = bench.says("ls /proc | grep -E '^[0-9]+$'; ls /proc/1/root 2>&1 | cat; cat /proc/1/environ 2>/dev/null | grep CARGO || true");
    let processes: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
    assert!(processes.contains(&1) && processes.iter().all(|pid| *pid < 10), "{text}");
    assert!(!text.contains("CARGO"), "{text}");
}

#[test]
#[ignore = "run in a box by another test"]
fn reach_out() {
    let Some(given) = given() else { return };
    let (tcp, name) = given.split_once(' ').unwrap();
    assert!(std::net::TcpStream::connect(tcp).is_err(), "reached a listener of the machine");
    assert!(std::net::TcpStream::connect("1.1.1.1:53").is_err(), "reached the network");
    let address =
        <std::os::unix::net::SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(
            name,
        );
    let reached = std::os::unix::net::UnixStream::connect_addr(&address.unwrap());
    assert!(reached.is_err(), "reached a socket of the machine");
    let own = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    std::net::TcpStream::connect(own.local_addr().unwrap()).unwrap();
}

#[test]
fn it_reaches_nobody_but_itself() {
    if !allowed() {
        return;
    }
    let bench = Bench::new();
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let name = format!("lab-seal-{}", std::process::id());
    let address =
        <std::os::unix::net::SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(
            &name,
        );
    let _listener = std::os::unix::net::UnixListener::bind_addr(&address.unwrap()).unwrap();
    let given = format!("{} {name}", tcp.local_addr().unwrap());
    let output = inside(&bench, "reach_out", &given);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

#[test]
fn its_end_is_passed_on() {
    if !allowed() {
        return;
    }
    let bench = Bench::new();
    let again = |script: &str| bench.afresh().shell(script).status;
    assert_eq!(again("exit 7").code(), Some(7));
    assert_eq!(again("kill -9 $$").signal(), Some(9));
    assert_eq!(again("kill -TERM $$").signal(), Some(15));
    assert_eq!(again("true").code(), Some(0));
}

#[test]
fn a_program_that_is_not_there_is_an_error_of_the_start() {
    if !allowed() {
        return;
    }
    let bench = Bench::new();
    let error = bench.command("/no/such/program", &[]).spawn().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert!(obstacle(&error).is_none());
    let bench = Bench::new();
    let mut command = Command::new("sh");
    seal(&mut command, &Seal { directory: Path::new("/no/folder"), ..bench.seal() }).unwrap();
    let found = obstacle(&command.spawn().unwrap_err()).unwrap();
    assert!(found.to_string().contains("enter the folder of the command"), "{found}");
}

#[test]
fn nothing_outlives_the_command() {
    if !allowed() {
        return;
    }
    let bench = Bench::new();
    let mark = format!("lab-seal-daemon-{}", std::process::id());
    let mut command =
        bench.command("sh", &["-c", "setsid sleep 1000 & (setsid sleep 1000 &) ; echo ready"]);
    let output = command.env("MARK", &mark).output().unwrap();
    // That this returned at all shows that nobody holds the streams.
    assert_eq!(output.stdout, b"ready\n");
    assert!(soon(|| !lives(&mark)));
}

/// Not a test: a caller that is killed while its box runs.
#[test]
#[ignore = "run by another test"]
fn caller() {
    let Some(mark) = given() else { return };
    let bench = Bench::new();
    let script = "trap '' TERM HUP; setsid sleep 1000 & sleep 1000";
    let mut child = bench.command("sh", &["-c", script]).env("MARK", mark).spawn().unwrap();
    child.wait().unwrap();
}

#[test]
fn nothing_outlives_the_caller() {
    if !allowed() {
        return;
    }
    let mark = format!("lab-seal-caller-{}", std::process::id());
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "caller"]).env("GIVEN", &mark).stdout(Stdio::null());
    let mut caller = command.spawn().unwrap();
    let boxed = format!("MARK={mark}");
    assert!(soon(|| lives(&boxed)), "the box never came up");
    caller.kill().unwrap();
    caller.wait().unwrap();
    assert!(soon(|| !lives(&boxed)));
}

#[test]
fn a_request_to_end_reaches_the_command() {
    if !allowed() {
        return;
    }
    let bench = Bench::new();
    let script = "trap 'echo asked; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
    let mut command = bench.command("sh", &["-c", script]);
    let mut child = command.process_group(0).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut line = [0; 6];
    stdout.read_exact(&mut line).unwrap();
    let killed = Command::new("kill").args(["-TERM", "--", &format!("-{}", child.id())]).status();
    assert!(killed.unwrap().success());
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!((rest.as_str(), child.wait().unwrap().code()), ("asked\n", Some(3)));
}

/// Not a test: a caller that has inherited an open file.
#[test]
#[ignore = "run by another test"]
fn holder() {
    let Some(path) = given() else { return };
    assert_eq!(fs::read_link("/proc/self/fd/9").unwrap(), Path::new(&path));
    let text = Bench::new().says("ls /proc/self/fd");
    // 0, 1, 2, and the folder that is being listed.
    assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["0", "1", "2", "3"]);
}

#[test]
fn no_open_file_of_the_caller_comes_along() {
    if !allowed() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().canonicalize().unwrap().join("secret");
    fs::write(&secret, "secret").unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "exec 9<\"$GIVEN\"; exec \"$0\" --ignored --exact holder"]);
    let output = command.arg(std::env::current_exe().unwrap()).env("GIVEN", &secret).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

#[test]
fn devices_and_shared_memory_are_there() {
    if !allowed() {
        return;
    }
    let bench = Bench::new();
    let script = "echo x > /dev/null; echo x > /dev/shm/y; cat /dev/shm/y; ls /dev; \
                  echo x > /dev/full 2>/dev/null || echo full";
    let text = bench.says(script);
    let words: Vec<&str> = text.split_whitespace().collect();
    let devices =
        ["fd", "full", "null", "random", "shm", "stderr", "stdin", "stdout", "urandom", "zero"];
    assert_eq!(words[0], "x");
    assert_eq!(words[1..11], devices);
    assert_eq!(words[11..], ["full"]);
    // What is shared in memory is no change.
    assert!(!bench.upper().join("dev").exists());
}

#[test]
fn files_of_the_system_can_be_replaced() {
    if !allowed() {
        return;
    }
    let bench = Bench::new();
    let fake = bench.dir.path().join("cpuinfo");
    fs::write(&fake, "processor : 0\n").unwrap();
    let place = |path: &str| (PathBuf::from(path), fake.clone());
    // Those of processes are not, nor what lies behind their links.
    let over = [
        place("/proc/cpuinfo"),
        place("/proc/1/root/etc/passwd"),
        place("/proc/self/maps"),
        place("/proc/none"),
    ];
    let mut command = Command::new("sh");
    command.args(["-c", "cat /proc/cpuinfo; echo x > /proc/cpuinfo || echo refused; ls /etc"]);
    seal(&mut command, &Seal { over: &over, ..bench.seal() }).unwrap();
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "processor : 0\nrefused\n");
    let bench = bench.afresh();
    let over = [(PathBuf::from("/etc/passwd"), fake.clone())];
    assert!(seal(&mut Command::new("sh"), &Seal { over: &over, ..bench.seal() }).is_err());
}
