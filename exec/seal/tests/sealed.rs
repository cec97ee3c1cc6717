//! Whether a command finds in its box what it should, and whether its end is the end of all.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{Bench, given, listing, lives, soon, unless};
use lab_seal::{Listing, Seal, is_opaque, is_whiteout, obstacle, probe, seal};

/// Where no box can be made, the other tests are skipped: that must not hide a fault of ours.
#[test]
fn where_the_machine_allows_it_a_box_can_be_made() {
    let dir = tempfile::tempdir().unwrap();
    let tried = probe(dir.path()).unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    let Err(obstacle) = tried else { return };
    // The same with the tools of the system.
    let script = "cd \"$0\" && mkdir l u w m && \
                  mount -t overlay none -o lowerdir=l,upperdir=u,workdir=w,userxattr m";
    let mut tools = Command::new("unshare");
    tools.args(["-Urmnipuf", "--mount-proc", "sh", "-c", script]).arg(dir.path());
    let allowed = tools.status().is_ok_and(|status| status.success());
    let _ = fs::set_permissions(dir.path().join("w/work"), fs::Permissions::from_mode(0o700));
    assert!(!allowed, "{obstacle}");
    unless(&format!("{obstacle}; {}", obstacle.hint()));
}

#[test]
fn a_command_finds_what_is_recorded_and_sees_itself_as_it_was() {
    let Some(bench) = Bench::new() else { return };
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
    let Some(bench) = Bench::new() else { return };
    let work = bench.root().join("work");
    // As those of a store that lies elsewhere.
    let stored = bench.dir.path().join("stored");
    fs::write(&stored, "stored\n").unwrap();
    fs::hard_link(&stored, work.join("link")).unwrap();
    fs::hard_link(&stored, work.join("other")).unwrap();
    // Where a link leads depends on the root.
    std::os::unix::fs::symlink(&stored, work.join("far")).unwrap();
    fs::create_dir_all(bench.root().join(bench.dir.path().strip_prefix("/").unwrap())).unwrap();
    let before = listing(&bench.root());
    bench.says(
        "echo new > out; echo more >> data; chmod 600 link; touch /bin/cat; echo x > far; \
         rm other; mkdir -p deep/er; echo x > deep/er/file",
    );
    let mut after = listing(&bench.root());
    after.retain(|(path, ..)| !path.ends_with("proc") && !path.ends_with("dev"));
    assert_eq!(before, after);
    assert_eq!(fs::read_to_string(&stored).unwrap(), "stored\n");
    let upper = bench.upper().join("work");
    assert_eq!(fs::read_to_string(upper.join("out")).unwrap(), "new\n");
    assert_eq!(fs::read_to_string(upper.join("data")).unwrap(), "recorded\nmore\n");
    assert_eq!(fs::read_to_string(upper.join("deep/er/file")).unwrap(), "x\n");
}

#[test]
fn what_it_removes_is_noted() {
    let Some(bench) = Bench::new() else { return };
    fs::create_dir(bench.root().join("work/folder")).unwrap();
    fs::write(bench.root().join("work/folder/file"), "x").unwrap();
    bench.says("rm data; rm -r folder; mkdir folder");
    let upper = bench.upper().join("work");
    assert!(is_whiteout(&upper.join("data").symlink_metadata().unwrap()));
    assert!(is_opaque(&upper.join("folder")) && !is_opaque(&upper));
}

#[test]
fn its_end_is_passed_on() {
    let Some(bench) = Bench::new() else { return };
    let again = |script: &str| bench.afresh().shell(script).status;
    assert_eq!(again("exit 255").code(), Some(255));
    assert_eq!(again("exit 7").code(), Some(7));
    assert_eq!(again("kill -9 $$").signal(), Some(9));
    assert_eq!(again("kill -TERM $$").signal(), Some(15));
    assert_eq!(again("true").code(), Some(0));
}

#[test]
fn a_program_that_is_not_there_is_an_error_of_the_start() {
    let Some(bench) = Bench::new() else { return };
    let error = bench.command("/no/such/program", &[]).spawn().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert!(obstacle(&error).is_none());
    let bench = bench.afresh();
    let nowhere = Seal { directory: Path::new("/no/folder"), ..bench.seal() };
    let error = bench.command_in(&nowhere, "sh", &[]).spawn().unwrap_err();
    let found = obstacle(&error).unwrap();
    assert!(found.to_string().contains("enter the folder of the command"), "{found}");
}

#[test]
fn nothing_outlives_the_command() {
    let Some(bench) = Bench::new() else { return };
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
    let Some(bench) = Bench::new() else { return };
    let script = "trap '' TERM HUP; setsid sleep 1000 & sleep 1000";
    let mut child = bench.command("sh", &["-c", script]).env("MARK", mark).spawn().unwrap();
    child.wait().unwrap();
}

#[test]
fn nothing_outlives_the_caller() {
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
fn nothing_outlives_the_process_that_is_waited_for() {
    let Some(bench) = Bench::new() else { return };
    let mark = format!("MARK=lab-seal-outer-{}", std::process::id());
    let script = "trap '' TERM HUP; (setsid sleep 1000 &) ; sleep 1000";
    let mut child = bench.command("sh", &["-c", script]).env("MARK", &mark[5..]).spawn().unwrap();
    assert!(soon(|| lives(&mark)), "the box never came up");
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    assert!(soon(|| !lives(&mark)));
}

/// Run where the temporary folder is a small file system.
#[test]
#[ignore = "run by another test"]
fn small_disk() {
    let Some(folder) = given() else { return };
    let bench = Bench::in_folder(Path::new(&folder)).unwrap();
    let text = bench.says(
        "cat /dev/zero > big 2>/dev/shm/err && echo none; grep -c 'No space left' /dev/shm/err; \
         (cat /dev/zero > /tmp/more) 2>/dev/null || echo again",
    );
    assert_eq!(text, "1\nagain\n");
}

#[test]
fn a_full_disk_is_an_error_of_the_command() {
    if Bench::new().is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // A user namespace allows it to plain users, too. The disk may be one that holds no overlay.
    let script = "mount -t tmpfs -o size=48m none \"$GIVEN\" && \
                  exec \"$0\" --ignored --exact small_disk";
    let mut tools = Command::new("unshare");
    tools.args(["-Urm", "sh", "-c", script]).arg(std::env::current_exe().unwrap());
    common::passed(&tools.env("GIVEN", dir.path()).output().unwrap());
}

#[test]
fn a_request_to_end_reaches_the_command() {
    let Some(bench) = Bench::new() else { return };
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

#[test]
fn devices_and_shared_memory_are_there() {
    let Some(bench) = Bench::new() else { return };
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
fn only_devices_that_are_there_and_asked_for_are_shown() {
    let Some(bench) = Bench::new() else { return };
    // In a folder of devices, as those of some graphics cards are; not every machine has one.
    let tunnel = Path::new("/dev/net/tun");
    let devices = ["/dev/net/tun", "/dev/net/none", "/dev/none"].map(PathBuf::from);
    let text = bench.says_in(
        &Seal { devices: &devices, ..bench.seal() },
        "ls -d /dev/n*; ls -d /dev/net/* 2>/dev/null || true",
    );
    let expected = match tunnel.exists() {
        true => "/dev/net\n/dev/null\n/dev/net/tun\n",
        false => "/dev/null\n",
    };
    assert_eq!(text, expected);
    for path in ["/dev/../etc/passwd", "/etc/passwd", "null", "/dev"] {
        let devices = [PathBuf::from(path)];
        let again = bench.afresh();
        let made = Seal { devices: &devices, ..again.seal() };
        assert!(seal(&mut Command::new("sh"), &made).is_err(), "{path}");
    }
}

#[test]
fn files_of_the_system_can_be_replaced() {
    let Some(bench) = Bench::new() else { return };
    let fake = bench.dir.path().join("cpuinfo");
    fs::write(&fake, "processor : 0\n").unwrap();
    let place = |path: &str| (PathBuf::from(path), fake.clone());
    // Those of processes are not, nor what lies behind their links.
    let over = [
        place("/proc/cpuinfo"),
        place("/proc/sys/kernel/osrelease"),
        place("/proc/1/root/etc/passwd"),
        place("/proc/self/maps"),
        place("/proc/none"),
    ];
    let text = bench.says_in(
        &Seal { over: &over, ..bench.seal() },
        "cat /proc/cpuinfo /proc/sys/kernel/osrelease; ls /etc; \
         (echo x > /proc/cpuinfo) 2>/dev/null || echo refused; \
         (chmod 644 /proc/cpuinfo) 2>/dev/null || echo refused",
    );
    assert_eq!(text, "processor : 0\nprocessor : 0\nrefused\nrefused\n");
    assert_eq!(fs::read_to_string(&fake).unwrap(), "processor : 0\n");
}

#[test]
fn files_of_the_machine_can_be_shown() {
    let Some(bench) = Bench::new() else { return };
    let driver = bench.dir.path().join("driver");
    fs::create_dir(&driver).unwrap();
    fs::write(driver.join("lib"), "library\n").unwrap();
    std::os::unix::fs::symlink("/etc", bench.root().join("work/etc")).unwrap();
    let over = [
        ("/new/folder/lib", driver.join("lib")),
        ("/work/data", driver.join("lib")),
        ("/opt/driver", driver.clone()),
    ];
    let over = over.map(|(place, host)| (PathBuf::from(place), host));
    let text = bench.says_in(
        &Seal { over: &over, ..bench.seal() },
        "cat /new/folder/lib data /opt/driver/lib; \
         (echo x > /opt/driver/new) 2>/dev/null || echo refused; \
         (echo x >> data) 2>/dev/null || echo refused; \
         rm /new/folder/lib 2>/dev/null || echo refused",
    );
    assert_eq!(text, "library\nlibrary\nlibrary\nrefused\nrefused\nrefused\n");
    assert_eq!(fs::read_to_string(bench.root().join("work/data")).unwrap(), "recorded\n");
    assert_eq!(fs::read_dir(&driver).unwrap().count(), 1);
    // What was made for it is no change.
    assert_eq!(fs::read_dir(bench.upper()).unwrap().count(), 0);

    let host = driver.join("lib");
    for path in ["/work/etc/x", "/work/../etc/x", "work/x", "/dev/x", "/", "/work", "/work/data/x"]
    {
        let over = [(PathBuf::from(path), host.clone())];
        let again = bench.afresh();
        let made = Seal { over: &over, ..again.seal() };
        assert!(seal(&mut Command::new("sh"), &made).is_err(), "{path}");
    }
    let over = [(PathBuf::from("/work/x"), driver.join("absent"))];
    let again = bench.afresh();
    assert!(seal(&mut Command::new("sh"), &Seal { over: &over, ..again.seal() }).is_err());
}

#[test]
fn folders_are_listed_in_the_order_that_is_asked_for() {
    let Some(bench) = Bench::new() else { return };
    let names = ["m", "b", "z", "a", "y", "c", "k"];
    for name in names {
        fs::write(bench.root().join("work").join(name), name).unwrap();
    }
    fs::create_dir(bench.root().join("work/deep")).unwrap();
    for name in names {
        fs::write(bench.root().join("work/deep").join(name), name).unwrap();
    }
    let mut order: Vec<&str> = names.into_iter().chain(["deep", "data"]).collect();
    for _ in 0..3 {
        // No disk lists in all of these.
        order.rotate_left(4);
        let reversed: Vec<&str> = order.iter().rev().copied().collect();
        for order in [&order, &reversed] {
            let inner: Vec<&str> = order.iter().copied().filter(|n| names.contains(n)).collect();
            let list = |folder: &str, names: &[&str]| Listing {
                folder: folder.into(),
                names: names.iter().map(|name| (name.into(), *name == "deep")).collect(),
            };
            let listings = [list("/work/deep", &inner), list("/work", order)];
            let bench = bench.afresh();
            let made = Seal { listings: &listings, ..bench.seal() };
            let text =
                bench.says_in(&made, "ls -U; ls -U deep; cat deep/m z; echo; echo x > new; ls -U");
            // What the test itself is shown by may lie in a folder of that name.
            let is_known = |word: &&str| order.contains(word) || ["mz", "new"].contains(word);
            let words: Vec<&str> = text.split_whitespace().filter(is_known).collect();
            let after = [order.as_slice(), &inner, &["mz"], order, &["new"]].concat();
            assert_eq!(words, after);
        }
    }
}

#[test]
fn an_order_makes_nothing_outside_the_box() {
    let Some(bench) = Bench::new() else { return };
    for (folder, name) in [("/work", "../out"), ("/../x", "a"), ("/work", ".."), ("work", "a")] {
        let bench = bench.afresh();
        let listings = [Listing { folder: folder.into(), names: vec![(name.into(), false)] }];
        let made = Seal { listings: &listings, ..bench.seal() };
        assert!(seal(&mut Command::new("sh"), &made).is_err(), "{folder} {name}");
    }
}
