//! A large file that was interrupted is gone on with, whatever lies where its beginning should.
#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use lab_objects::{
    Backend, Folder, GetOptions, Got, Key, ObjectsError, Result, Room, Silent, Store, add, get,
};
use lab_schema::{BlobId, ContentId, Digest, ObjectId, TreeId};

const MIB: u64 = 1 << 20;

/// A folder that counts the bytes that are read from packs.
#[derive(Debug)]
struct Counting {
    folder: Folder,
    read: AtomicU64,
}

impl Backend for Counting {
    fn location(&self) -> String {
        self.folder.location()
    }
    fn read(&self, key: &Key) -> Result<Option<Vec<u8>>> {
        self.folder.read(key)
    }
    fn read_range(&self, key: &Key, offset: u64, len: u64) -> Result<Option<Vec<u8>>> {
        self.read.fetch_add(len, Ordering::Relaxed);
        self.folder.read_range(key, offset, len)
    }
    fn publish(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        self.folder.publish(key, bytes)
    }
    fn settle(&self) -> Result<()> {
        self.folder.settle()
    }
    fn mend(&self, key: &Key, bytes: &[u8]) -> Result<()> {
        self.folder.mend(key, bytes)
    }
    fn swap(&self, key: &Key, expected: Option<&[u8]>, new: &[u8]) -> Result<bool> {
        self.folder.swap(key, expected, new)
    }
    fn list(&self, room: Room) -> Result<Vec<(Key, u64)>> {
        self.folder.list(room)
    }
    fn remove(&self, key: &Key) -> Result<bool> {
        self.folder.remove(key)
    }
}

/// A store with one large file in it.
struct Bench {
    root: tempfile::TempDir,
    bytes: Vec<u8>,
    id: BlobId,
    content: ContentId,
}

/// What can be encoded, and does not repeat.
fn contents(len: u64) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state & 0x0f0f_0f0f_0f0f_0f0f).to_le_bytes()
    };
    (0..len / 8).flat_map(|_| next()).collect()
}

impl Bench {
    fn new(len: u64) -> Bench {
        let root = tempfile::tempdir().unwrap();
        let bytes = contents(len);
        fs::write(root.path().join("source"), &bytes).unwrap();
        Bench::of(root, bytes, "source")
    }

    /// A folder that holds the large file.
    fn tree(len: u64, more: &[(&str, &[u8])]) -> Bench {
        let root = tempfile::tempdir().unwrap();
        let bytes = contents(len);
        fs::create_dir(root.path().join("source")).unwrap();
        fs::write(root.path().join("source/large"), &bytes).unwrap();
        for (name, bytes) in more {
            fs::write(root.path().join("source").join(name), bytes).unwrap();
        }
        Bench::of(root, bytes, "source")
    }

    fn of(root: tempfile::TempDir, bytes: Vec<u8>, name: &str) -> Bench {
        let folder = Folder::create(&root.path().join("store")).unwrap();
        let store = Store::create(Arc::new(folder)).unwrap();
        let mut writer = store.writer();
        let content = add(&mut writer, &root.path().join(name), &Silent).unwrap().content;
        writer.finish().unwrap();
        fs::create_dir(root.path().join("work")).unwrap();
        let id = BlobId::of(&bytes);
        Bench { root, bytes, id, content }
    }

    fn work(&self, name: &str) -> PathBuf {
        self.root.path().join("work").join(name)
    }

    fn partial(&self) -> PathBuf {
        self.work(&partial_name(self.id))
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.work("")).unwrap();
        let mut names: Vec<String> =
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Gets it, and says how many bytes of packs that took.
    fn get(&self, to: &str) -> (Result<Got>, u64) {
        let folder = Folder::open(&self.root.path().join("store")).unwrap();
        let backend = Arc::new(Counting { folder, read: AtomicU64::new(0) });
        let store = Store::open(backend.clone()).unwrap();
        let got = get(&store, self.content, &self.work(to), &GetOptions::default(), &Silent);
        (got, backend.read.load(Ordering::Relaxed))
    }

    fn gets(&self, to: &str) -> u64 {
        let (got, read) = self.get(to);
        got.unwrap();
        assert!(fs::read(self.work(to)).unwrap() == self.bytes, "wrong bytes");
        read
    }

    /// A process that gets it.
    fn child(&self, to: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "child", "--ignored", "--nocapture"])
            .env("LAB_TEST_STORE", self.root.path().join("store"))
            .env("LAB_TEST_CONTENT", ObjectId::from(self.content).digest().to_string())
            .env("LAB_TEST_TO", self.work(to))
            .stderr(Stdio::null())
            .stdout(Stdio::null());
        if matches!(self.content, ContentId::Tree(_)) {
            command.env("LAB_TEST_TREE", "");
        }
        command
    }
}

fn partial_name(id: BlobId) -> String {
    let word = [ObjectId::from(id).digest().as_bytes(), &[0u8][..]].concat();
    let word = Digest::derive("lab 2026-11-25 partial file", &word).to_string();
    format!(".lab-part-{}", &word[..16])
}

#[test]
#[ignore = "run by the other tests in a process of its own"]
fn child() {
    let Some(store) = std::env::var_os("LAB_TEST_STORE") else { return };
    let content = std::env::var("LAB_TEST_CONTENT").unwrap();
    let content: ContentId = match std::env::var_os("LAB_TEST_TREE") {
        None => content.parse::<BlobId>().unwrap().into(),
        Some(_) => content.parse::<TreeId>().unwrap().into(),
    };
    let to = std::env::var_os("LAB_TEST_TO").unwrap();
    let store = Store::open(Arc::new(Folder::open(Path::new(&store)).unwrap())).unwrap();
    let got = get(&store, content, Path::new(&to), &GetOptions::default(), &Silent);
    match got {
        Ok(_) => std::process::exit(0),
        Err(ObjectsError::Io { source, .. })
            if source.kind() == std::io::ErrorKind::StorageFull =>
        {
            std::process::exit(3)
        }
        Err(_) => std::process::exit(4),
    }
}

// proves L-30
#[test]
fn what_was_written_before_a_kill_is_not_decoded_again() {
    let bench = Bench::new(256 * MIB);
    let start = Instant::now();
    assert!(bench.child("whole").status().unwrap().success());
    let takes = start.elapsed();
    fs::remove_file(bench.work("whole")).unwrap();
    let all = bench.gets("whole");
    fs::remove_file(bench.work("whole")).unwrap();
    let mut hit = 0;
    for round in 0..16u32 {
        let mut child = bench.child("out").spawn().unwrap();
        // Unevenly spread, so that no two meet the same step.
        std::thread::sleep(
            takes * (round * 7 % 16 + 1) / 17 + Duration::from_micros(u64::from(round) * 137),
        );
        child.kill().unwrap();
        child.wait().unwrap();
        let there = fs::metadata(bench.partial()).map_or(0, |meta| meta.len());
        if bench.work("out").exists() {
            assert_eq!(there, 0);
        }
        hit += u32::from(there > 8 * MIB && there < 250 * MIB);
        let read = bench.gets("out");
        let rest = bench.bytes.len() as u64 - there;
        let due = all * rest / bench.bytes.len() as u64 + 6 * MIB;
        assert!(
            read <= due || bench.names() != ["out"],
            "{there} were there, {read} of {all} read"
        );
        assert_eq!(bench.names(), ["out"]);
        fs::remove_file(bench.work("out")).unwrap();
    }
    assert!(hit >= 4, "only {hit} kills met a file half way");
}

// proves L-31
#[test]
fn a_damaged_beginning_gives_the_right_bytes() {
    let bench = Bench::new(24 * MIB);
    let all = bench.gets("out");
    let len = bench.bytes.len() as u64;
    let flipped = |at: u64| {
        move |file: &File| {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ 4], at).unwrap();
        }
    };
    // What was done to it, and which share of the packs it takes at most to put it right.
    type Damage = (&'static str, Box<dyn Fn(&File)>, u64);
    let damages: [Damage; 7] = [
        ("none", Box::new(|_| {}), all / 5),
        ("a bit in the middle", Box::new(flipped(len / 2)), all / 3),
        (
            "the first and the last bit",
            Box::new(move |f| {
                flipped(0)(f);
                flipped(len - 1)(f)
            }),
            all / 2,
        ),
        ("cut off", Box::new(move |f| f.set_len(len * 3 / 4 + 17).unwrap()), all / 2),
        ("longer", Box::new(move |f| f.set_len(len + 12_345).unwrap()), all / 5),
        (
            "a hole of the whole size",
            Box::new(move |f| {
                f.set_len(0).unwrap();
                f.set_len(len).unwrap()
            }),
            all * 2,
        ),
        ("empty", Box::new(|f| f.set_len(0).unwrap()), all * 2),
    ];
    for (what, damage, due) in damages {
        fs::rename(bench.work("out"), bench.partial()).unwrap();
        damage(&File::options().read(true).write(true).open(bench.partial()).unwrap());
        let read = bench.gets("out");
        assert!(read <= due, "{what}: {read} of {all} read, {due} are due");
        assert_eq!(bench.names(), ["out"], "{what}");
    }
}

// proves L-32
#[test]
fn what_is_not_ours_alone_is_left_alone() {
    let bench = Bench::new(20 * MIB);
    let precious = bench.root.path().join("precious");
    let partial = bench.partial();
    let stays = |what: &str| {
        bench.gets("out");
        fs::remove_file(bench.work("out")).unwrap();
        assert_eq!(bench.names(), [partial.file_name().unwrap().to_str().unwrap()], "{what}");
    };
    fs::write(&precious, "precious").unwrap();
    symlink(&precious, &partial).unwrap();
    stays("a link");
    assert!(fs::symlink_metadata(&partial).unwrap().is_symlink());
    fs::remove_file(&partial).unwrap();
    symlink(bench.root.path().join("absent"), &partial).unwrap();
    stays("a link to nothing");
    assert!(!bench.root.path().join("absent").exists());
    fs::remove_file(&partial).unwrap();
    fs::hard_link(&precious, &partial).unwrap();
    stays("another name of a file");
    fs::remove_file(&partial).unwrap();
    assert_eq!(fs::read(&precious).unwrap(), b"precious");
    fs::create_dir(&partial).unwrap();
    stays("a folder");
    fs::remove_dir(&partial).unwrap();
    assert!(Command::new("mkfifo").arg(&partial).status().unwrap().success());
    stays("a pipe");
    fs::remove_file(&partial).unwrap();
    fs::write(&partial, "theirs").unwrap();
    if std::os::unix::fs::chown(&partial, Some(12_345), None).is_ok() {
        stays("another user's");
        assert_eq!(fs::read(&partial).unwrap(), b"theirs");
    }
}

#[test]
fn two_at_once_do_not_write_into_one_file() {
    let bench = Bench::new(24 * MIB);
    // Somebody is at it, and has got so far.
    fs::write(bench.partial(), &bench.bytes[..5_000_000]).unwrap();
    let theirs = File::open(bench.partial()).unwrap();
    theirs.try_lock().unwrap();
    bench.gets("out");
    assert!(fs::read(bench.partial()).unwrap() == bench.bytes[..5_000_000]);
    drop(theirs);
    for round in 0..12 {
        std::thread::scope(|scope| {
            for n in 0..3 {
                let bench = &bench;
                scope.spawn(move || bench.gets(&format!("out {round} {n}")));
            }
        });
        let inodes: std::collections::HashSet<u64> = (0..3)
            .map(|n| fs::metadata(bench.work(&format!("out {round} {n}"))).unwrap().ino())
            .collect();
        assert_eq!(inodes.len(), 3);
    }
    assert!(bench.names().iter().all(|name| name.starts_with("out")), "{:?}", bench.names());
}

// proves L-30
#[test]
fn a_full_disk_leaves_what_is_gone_on_with() {
    for bench in [Bench::new(24 * MIB), Bench::tree(24 * MIB, &[("a", b"small")])] {
        let all = {
            let (got, read) = bench.get("whole");
            got.unwrap();
            read
        };
        let is_tree = bench.work("whole").is_dir();
        let _ = fs::remove_dir_all(bench.work("whole"));
        let _ = fs::remove_file(bench.work("whole"));
        let mut left = 0;
        for step in [1, 2, 3, 8, 14] {
            let status = bench.child("out").env("LAB_FAIL_AT", step.to_string()).status().unwrap();
            assert_eq!(status.code(), Some(3), "step {step}");
            assert!(!bench.work("out").exists());
            left += bench.names().len();
        }
        assert!(left >= 2, "nothing was left");
        let (got, read) = bench.get("out");
        got.unwrap();
        assert!(read < all * 3 / 4, "{read} of {all} read");
        assert_eq!(bench.names(), ["out"]);
        if is_tree {
            let names = fs::read_dir(bench.work("out")).unwrap().count();
            assert!(names == 2 && fs::read(bench.work("out/large")).unwrap() == bench.bytes);
        } else {
            assert!(fs::read(bench.work("out")).unwrap() == bench.bytes);
        }
    }
}

/// The same inside of a folder, which must get nothing that is not in the tree.
#[test]
fn a_killed_get_of_a_folder_goes_on_inside_its_large_file() {
    let bench = Bench::tree(64 * MIB, &[("a", b"small")]);
    let (got, all) = bench.get("out");
    got.unwrap();
    let mut hit = 0;
    for round in 0..24u64 {
        fs::remove_dir_all(bench.work("out")).unwrap();
        let mut child = bench.child("out").spawn().unwrap();
        let large = loop {
            let there = bench.names().into_iter().find(|name| name.starts_with(".lab-"));
            let partial = there.map(|name| bench.work(&name).join(partial_name(bench.id)));
            let len = partial.as_deref().and_then(|path| Some(fs::metadata(path).ok()?.len()));
            match (partial, len) {
                (Some(partial), Some(len)) if len > (8 + 2 * round) * MIB => break partial,
                _ if child.try_wait().unwrap().is_some() => break bench.work("missed"),
                _ => {}
            }
        };
        child.kill().unwrap();
        child.wait().unwrap();
        let there = fs::metadata(&large).map_or(0, |meta| meta.len());
        if round % 4 == 3 && there > 0 {
            // As one is left that had another name too.
            fs::hard_link(&large, bench.root.path().join(format!("name {round}"))).unwrap();
        }
        hit += u32::from(there > 0);
        let (got, read) = bench.get("out");
        got.unwrap();
        let due = all * (64 * MIB - there) / (64 * MIB) + 4 * MIB;
        assert!(there == 0 || round % 4 == 3 || read < due, "{there} were there, {read} read");
        assert_eq!(bench.names(), ["out"]);
        assert_eq!(fs::read_dir(bench.work("out")).unwrap().count(), 2);
        assert!(fs::read(bench.work("out/large")).unwrap() == bench.bytes);
    }
    assert!(hit >= 12, "only {hit} kills met the file half way");
}

/// The real thing, where a small file system can be mounted.
#[test]
fn a_file_system_that_is_really_full() {
    let bench = Bench::new(40 * MIB);
    let exe = std::env::current_exe().unwrap();
    let script = format!(
        "mount -t tmpfs -o size=24m none '{work}' || exit 9; \
         '{exe}' --exact child --ignored; [ $? = 3 ] || exit 1; \
         [ $(stat -c %s '{partial}') -gt 20000000 ] || exit 2; \
         mount -o remount,size=64m '{work}' || exit 9; \
         '{exe}' --exact child --ignored || exit 3; cmp '{work}/out' '{source}' || exit 4; \
         [ $(ls -A '{work}') = out ]",
        work = bench.work("").display(),
        exe = exe.display(),
        partial = bench.partial().display(),
        source = bench.root.path().join("source").display(),
    );
    let like = bench.child("out");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user", "sh", "-c", &script]);
    command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // No namespaces here; the hook in the test above has done the same in small.
    if said.contains("unshare:") || said.contains("mount:") {
        return;
    }
    assert!(output.status.success(), "{:?} {said}", output.status);
}

// proves L-33
#[test]
fn what_nobody_takes_up_goes_after_a_day() {
    let bench = Bench::new(20 * MIB);
    let [old, young, held, letter] =
        ["0123456789abcdef", "1123456789abcdef", "2123456789abcdef", "letter"]
            .map(|word| bench.work(&format!(".lab-part-{word}")));
    let day = Duration::from_secs(25 * 60 * 60);
    for path in [&old, &young, &held, &letter, &bench.partial()] {
        fs::write(path, &bench.bytes[..10_000_000]).unwrap();
        if path != &young {
            let file = File::options().write(true).open(path).unwrap();
            file.set_modified(SystemTime::now() - day).unwrap();
        }
    }
    let theirs = File::open(&held).unwrap();
    theirs.try_lock().unwrap();
    let all = fs::metadata(bench.root.path().join("source")).unwrap().len();
    // The one that is wanted is taken up, however old.
    assert!(bench.gets("out") < all / 2);
    assert!(!old.exists() && young.exists() && held.exists() && letter.exists());
    assert!(!bench.partial().exists());
}

/// Somebody has added a folder where a get had been interrupted: what lies there by the name of a
/// partial file is data like any other.
#[test]
fn a_tree_may_hold_what_looks_like_a_partial_file() {
    let name = partial_name(BlobId::of(&contents(20 * MIB)));
    let bench = Bench::tree(20 * MIB, &[(&name, b"some beginning")]);
    for _ in 0..2 {
        bench.get("out").0.unwrap();
        assert_eq!(fs::read(bench.work("out").join(&name)).unwrap(), b"some beginning");
        assert!(fs::read(bench.work("out/large")).unwrap() == bench.bytes);
        fs::remove_file(bench.work("out/large")).unwrap();
    }
}
