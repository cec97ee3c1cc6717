//! What other tools keep: imported whole or not at all, found by its old hash, here and at a colleague's.
//!
//! The fixtures have the layouts that dvc 3.67, git-lfs 3.3, huggingface_hub 2.4 and mlflow 3.17 write; a test
//! at the end asks the tools themselves, where they are.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod kit;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};

use kit::Place;

/// What `md5sum` and its like say of bytes.
fn sum(tool: &str, bytes: &[u8]) -> String {
    let mut child =
        Command::new(tool).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let out = child.wait_with_output().unwrap().stdout;
    String::from_utf8(out).unwrap().split_whitespace().next().unwrap().to_owned()
}

fn md5(bytes: &[u8]) -> String {
    sum("md5sum", bytes)
}

fn sha256(bytes: &[u8]) -> String {
    sum("sha256sum", bytes)
}

/// The id of git's blob.
fn git(bytes: &[u8]) -> String {
    sum("sha1sum", &[format!("blob {}\0", bytes.len()).as_bytes(), bytes].concat())
}

/// A project of DVC in the folder `dvc` of a place.
struct Dvc<'a>(&'a Place);

impl Dvc<'_> {
    fn new(place: &Place) -> Dvc<'_> {
        place.write("dvc/.dvc/config", "");
        Dvc(place)
    }

    /// Puts a file into the cache, and says where.
    fn cache(&self, bytes: &[u8]) -> String {
        let digest = md5(bytes);
        let path = format!("dvc/.dvc/cache/files/md5/{}/{}", &digest[..2], &digest[2..]);
        self.0.write(&path, bytes);
        path
    }

    /// Puts the list of a directory there; its digest.
    fn list(&self, json: &str) -> String {
        let digest = md5(json.as_bytes());
        let path = format!("dvc/.dvc/cache/files/md5/{}/{}.dir", &digest[..2], &digest[2..]);
        self.0.write(path, json);
        digest
    }

    /// Tracks a directory of these files; the digest of its list.
    fn folder(&self, path: &str, files: &[(&str, &[u8])]) -> String {
        let entry = |(relpath, bytes): &(&str, &[u8])| {
            self.cache(bytes);
            format!("{{\"md5\": \"{}\", \"relpath\": \"{relpath}\"}}", md5(bytes))
        };
        let digest =
            self.list(&format!("[{}]", files.iter().map(entry).collect::<Vec<_>>().join(", ")));
        self.track(path, &format!("{digest}.dir"));
        digest
    }

    fn file(&self, path: &str, bytes: &[u8]) -> String {
        self.cache(bytes);
        self.track(path, &md5(bytes));
        md5(bytes)
    }

    fn track(&self, path: &str, digest: &str) {
        let name = path.rsplit('/').next().unwrap();
        self.0.write(
            format!("dvc/{path}.dvc"),
            format!("outs:\n- md5: {digest}\n  hash: md5\n  path: {name}\n"),
        );
    }
}

/// Everything that a registry lists, with all versions: to see that nothing changed.
fn state(place: &Place) -> String {
    let names = place.lab(["ls", "--json"]).succeeds().json();
    let logs: Vec<String> = names
        .as_array()
        .unwrap()
        .iter()
        .map(|n| place.lab(["log", n["name"].as_str().unwrap(), "--json"]).succeeds().out)
        .collect();
    let mut packs: Vec<_> = fs::read_dir(place.at(".lab/packs"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    packs.sort();
    format!("{logs:?} {packs:?}")
}

/// Pushes `name`, clones it elsewhere, and demands that each old hash finds the same there.
fn colleague_finds(place: &Place, name: &str, old: &[String]) {
    place.lab(["push", "./share", name]).succeeds();
    place.lab(["clone", "share", "--into", "colleague"]).succeeds();
    for old in old {
        let here = place.lab(["show", old, "--json"]).succeeds().json();
        let there = place.lab_in("colleague", ["show", old, "--json"]).succeeds().json();
        assert_eq!(here["id"], there["id"], "{old}");
    }
    place.lab_in("colleague", ["check"]).succeeds();
}

#[test]
fn the_old_hashes_of_dvc_find_files_and_directories_here_and_at_a_colleagues() {
    let place = Place::registry();
    let dvc = Dvc::new(&place);
    let raw = dvc.folder("data/raw", &[("a.csv", b"1,2\n"), ("sub/b.csv", b"3,4\n")]);
    let table = dvc.file("table.csv", b"x,y\n");
    place.lab(["import", "dvc", "--dry-run"]).succeeds().says("data.raw").says("2 files");
    place.lab(["ls", "--json"]).succeeds().says("[]");
    place.lab(["import", "dvc"]).succeeds().says("data.raw").says("3 digests").says("table.csv");
    // The directory is what `lab add` would make of it.
    place.write("same/a.csv", b"1,2\n");
    place.write("same/sub/b.csv", b"3,4\n");
    let added = place.lab(["add", "same", "--json"]).succeeds().json();
    assert_eq!(added[0]["id"], place.id("data.raw").as_str());
    let b = md5(b"3,4\n");
    for reference in
        [format!("md5:{b}"), format!("md5:{}", &b[..6]), format!("md5:{raw}.dir/sub/b.csv")]
    {
        assert_eq!(place.lab(["cat", &reference]).succeeds().out, "3,4\n", "{reference}");
    }
    assert_eq!(place.id(&format!("md5:{raw}")), place.id("data.raw"));
    place.lab(["show", "data.raw"]).succeeds().says("from dvc (data/raw)").says(&raw);
    place.lab(["get", &format!("md5:{raw}.dir"), "out"]).succeeds();
    assert_eq!(place.read("out/sub/b.csv"), b"3,4\n");
    place.lab(["cat", "md5:0000"]).exits(3).complains("lab pull REMOTE md5:0000");
    place.lab(["cat", "md5:xyz"]).exits(3).complains("hexadecimal digits");
    colleague_finds(&place, "data.raw", &[format!("md5:{raw}"), format!("md5:{b}")]);
    // What was not pushed is not told of either.
    place.lab_in("colleague", ["show", &format!("md5:{table}")]).exits(3);
}

#[test]
fn one_file_is_fetched_by_its_old_hash_and_found_by_it_afterwards() {
    let place = Place::registry();
    let dvc = Dvc::new(&place);
    dvc.folder("raw", &[("a", b"first file"), ("b", b"second file")]);
    place.lab(["import", "dvc"]).succeeds();
    place.lab(["push", "./share", "raw"]).succeeds();
    fs::create_dir(place.at("other")).unwrap();
    place.lab_in("other", ["init"]).succeeds();
    let (a, b) = (format!("md5:{}", md5(b"first file")), format!("md5:{}", md5(b"second file")));
    place.lab_in("other", ["pull", "../share", &a[..12]]).succeeds();
    assert_eq!(place.lab_in("other", ["cat", &a]).succeeds().out, "first file");
    place.lab_in("other", ["cat", &b]).exits(3);
    place.lab_in("other", ["pull", "../share", &a]).succeeds().says("already there");
    place.lab_in("other", ["pull", "../share", "md5:0123456789"]).exits(3);
}

#[test]
fn importing_again_reads_nothing_and_changes_nothing() {
    let place = Place::registry();
    let dvc = Dvc::new(&place);
    dvc.folder("raw", &[("a", b"one"), ("b", b"two")]);
    place.write("dvc/train.py", "print()");
    dvc.cache(b"weights");
    place.write("dvc/dvc.lock", lock("python train.py", &md5(b"print()"), &md5(b"weights")));
    // What was written just now might change unseen, and is not remembered.
    std::thread::sleep(std::time::Duration::from_millis(300));
    place.lab(["import", "dvc"]).succeeds();
    let before = state(&place);
    let again = place.lab(["import", "dvc", "--json"]).succeeds().json();
    assert_eq!(again["imports"][0]["read"], 0, "{again}");
    assert_eq!(state(&place), before);
    // What does change moves the name on.
    dvc.folder("raw", &[("a", b"one"), ("b", b"three")]);
    place.lab(["import", "dvc"]).succeeds();
    assert_eq!(place.lab(["cat", "raw/b"]).succeeds().out, "three");
    assert_eq!(place.lab(["cat", "raw@v1/b"]).succeeds().out, "two");
}

fn lock(command: &str, code: &str, model: &str) -> String {
    format!(
        "schema: '2.0'\nstages:\n  train:\n    cmd: {command}\n    deps:\n    - path: raw\n      hash: md5\n      \
         md5: {}.dir\n    - path: train.py\n      hash: md5\n      md5: {code}\n    params:\n      params.yaml:\n        \
         lr: 0.1\n    outs:\n    - path: model.bin\n      hash: md5\n      md5: {model}\n",
        md5(format!(
            "[{{\"md5\": \"{}\", \"relpath\": \"a\"}}, {{\"md5\": \"{}\", \"relpath\": \"b\"}}]",
            md5(b"one"),
            md5(b"two")
        )
        .as_bytes()),
    )
}

#[test]
fn a_stage_is_a_run_that_nobody_watched() {
    let place = Place::registry();
    let dvc = Dvc::new(&place);
    dvc.folder("raw", &[("a", b"one"), ("b", b"two")]);
    dvc.cache(b"weights");
    place.write("dvc/train.py", "print()");
    place.write("dvc/dvc.lock", lock("python train.py", &md5(b"print()"), &md5(b"weights")));
    place.lab(["import", "dvc"]).succeeds().says("stage train");
    let shown = place.lab(["show", "train", "--json"]).succeeds().json();
    assert_eq!(shown["complete"], false);
    assert_eq!(shown["recipe_body"]["params"]["lr"], 0.1);
    assert_eq!(shown["recipe_body"]["inputs"]["raw"]["id"], place.id("raw").as_str());
    place
        .lab(["show", "train"])
        .succeeds()
        .says("unknown time")
        .says("incomplete: imported from DVC");
    place.lab(["why", "model.bin"]).succeeds().says("train.py").says("raw");
    place.lab(["verify", "train"]).exits(1).says("unverifiable").says("imported from DVC");
    assert_eq!(place.lab(["cat", &format!("md5:{}", md5(b"print()"))]).succeeds().out, "print()");
    // With the run comes what it read, and what that was called.
    colleague_finds(
        &place,
        "train",
        &[format!("md5:{}", md5(b"two")), format!("md5:{}", md5(b"weights"))],
    );
    // Code that has changed since is not taken for what was read.
    place.write("dvc/train.py", "print(1)");
    place.lab(["import", "dvc"]).succeeds();
    let shown = place.lab(["show", "train"]).succeeds().says("its input train.py is not here");
    assert!(
        !shown.out.contains("input     ") || !shown.out.contains("  train.py\n"),
        "{}",
        shown.out
    );
}

#[test]
fn what_is_missing_or_damaged_is_named_and_the_rest_is_imported() {
    let place = Place::registry();
    let dvc = Dvc::new(&place);
    let whole = dvc.file("whole.csv", b"whole");
    dvc.file("gone.csv", b"gone");
    fs::remove_file(place.at(dvc.cache(b"gone"))).unwrap();
    dvc.folder("raw", &[("a", b"is here"), ("b", b"is damaged")]);
    let path = dvc.cache(b"is damaged");
    place.write(&path, b"is danaged");
    let said = place.lab(["import", "dvc"]).exits(1).says("whole.csv  dataset");
    let said = said.says("gone.csv: md5:").says("not in the cache").complains("dvc pull");
    let damaged = md5(b"is danaged");
    said.says(&path)
        .says(&format!("damaged: it has md5:{damaged}, not md5:{}", md5(b"is damaged")));
    let names = place.lab(["ls", "--json"]).succeeds().json();
    assert_eq!(names.as_array().unwrap().len(), 1, "{names}");
    place.lab(["cat", &format!("md5:{whole}")]).succeeds().says("whole");
    // Not even by the digest that it does have.
    for digest in [md5(b"is damaged"), damaged, md5(b"is here")] {
        place.lab(["cat", &format!("md5:{digest}")]).exits(3);
    }
    // What lies in the work tree is as good, if it is the same.
    place.write("dvc/gone.csv", "gone");
    place.write("dvc/raw/b", "is edited!");
    fs::remove_file(place.at(&path)).unwrap();
    let said = place.lab(["import", "dvc"]).exits(1).says("gone.csv  dataset");
    said.says("raw/b").says("is not in the cache, and this file has");
    place.write("dvc/raw/b", "is damaged");
    place.lab(["import", "dvc"]).succeeds().says("raw  dataset  2 files");
}

#[test]
fn a_list_that_is_damaged_is_not_believed() {
    let place = Place::registry();
    let dvc = Dvc::new(&place);
    dvc.cache(b"x");
    let digest = dvc.folder("raw", &[("a", b"x")]);
    let path = format!("dvc/.dvc/cache/files/md5/{}/{}.dir", &digest[..2], &digest[2..]);
    let list = String::from_utf8(place.read(&path)).unwrap();
    place.write(&path, list.replace("\"a\"", "\"b\""));
    place.lab(["import", "dvc"]).exits(1).says("damaged: the list of raw");
    place.lab(["ls", "--json"]).succeeds().says("[]");
}

#[test]
fn hostile_projects_write_nothing_and_read_nothing_elsewhere() {
    let place = Place::registry();
    place.write("secret", "secret");
    let (x, secret) = (md5(b"x"), md5(b"secret"));
    let entry = |md5: &str, path: &str| format!("{{\"md5\": \"{md5}\", \"relpath\": \"{path}\"}}");
    let long = vec!["d"; 300].join("/");
    for (list, why) in [
        (format!("[{}]", entry(&secret, "../secret")), "lead out"),
        (format!("[{}]", entry(&secret, "/etc/passwd")), "empty"),
        (format!("[{}]", entry(&x, "a/./b")), "lead out"),
        (format!("[{}]", entry(&x, &long)), "too many parts"),
        (format!("[{}]", entry("../../secret", "a")), "is no md5"),
        (format!("[{},{}]", entry(&x, "a"), entry(&x, "a")), "twice"),
        (format!("[{},{}]", entry(&x, "a"), entry(&x, "a/b")), "a file and a folder"),
        (format!("[{}", entry(&x, "a")), "no list of a directory"),
        ("{}".to_owned(), "no list of a directory"),
        (format!("{}1", "[".repeat(100_000)), "no list of a directory"),
    ] {
        let _ = fs::remove_dir_all(place.at("dvc"));
        let dvc = Dvc::new(&place);
        dvc.cache(b"x");
        dvc.cache(b"secret");
        dvc.track("raw", &format!("{}.dir", dvc.list(&list)));
        let said = place.lab(["import", "dvc"]);
        assert!([1, 2].contains(&said.code), "{list}: {said:?}");
        assert!(said.out.contains(why) || said.err.contains(why), "{why}: {said:?}");
        place.lab(["ls", "--json"]).succeeds().says("[]");
    }
    let _ = fs::remove_dir_all(place.at("dvc"));
    let dvc = Dvc::new(&place);
    for text in [
        "a: &a [x]\nb: [*a, *a]\n".to_owned(),
        "outs: [".to_owned(),
        "[".repeat(50_000),
        "\u{0}\u{1}".to_owned(),
    ] {
        place.write("dvc/bad.dvc", text);
        place.lab(["import", "dvc"]).exits(2).complains("bad.dvc");
    }
    // Paths that lead out are passed over, and said.
    for path in ["../secret", "/etc/hostname", "../../x", "s3://bucket/x", "a\\nb\\x1b"] {
        place.write("dvc/bad.dvc", format!("outs:\n- md5: {secret}\n  path: \"{path}\"\n"));
        dvc.cache(b"secret");
        let said = place.lab(["import", "dvc"]);
        assert!(said.code == 0 && !said.err.contains('\x1b'), "{said:?}");
        if !path.contains("\\x1b") {
            said.complains("lies outside the project");
        }
    }
    let names = place.lab(["ls", "--json"]).succeeds().json();
    assert!(names.as_array().unwrap().len() <= 1, "{names}");
}

#[test]
fn dvc_before_its_version_3_is_read_too() {
    let place = Place::registry();
    place.write(
        "dvc/.dvc/config",
        "[core]\n    remote = x\n['remote \"x\"']\n    dir = no\n[cache]\n    dir = ../../shared\n",
    );
    // The digest was that of the text with other line ends.
    let digest = md5(b"a\nb\n");
    place.write(format!("shared/{}/{}", &digest[..2], &digest[2..]), b"a\r\nb\r\n");
    place.write("dvc/old.csv.dvc", format!("outs:\n- md5: {digest}\n  size: 6\n  path: old.csv\n"));
    place.lab(["import", "dvc"]).succeeds().says("old.csv");
    assert_eq!(place.lab(["cat", &format!("md5:{digest}")]).succeeds().out, "a\r\nb\r\n");
    // A lock of that time has no head.
    place.write(
        "dvc/dvc.lock",
        format!("make:\n  cmd: make it\n  outs:\n  - path: old.csv\n    md5: {digest}\n"),
    );
    place.lab(["import", "dvc"]).succeeds().says("stage make");
}

#[test]
fn all_brings_what_nothing_speaks_of_any_more() {
    let place = Place::registry();
    let dvc = Dvc::new(&place);
    dvc.file("table.csv", b"new");
    dvc.cache(b"earlier");
    place.write("dvc/.dvc/cache/runs/ab/abcd/x", "no data");
    place.lab(["import", "dvc"]).succeeds();
    let old = format!("md5:{}", md5(b"earlier"));
    place.lab(["cat", &old]).exits(3);
    place.lab(["import", "dvc", "--all"]).succeeds().says("dvc-others  dataset  1 file");
    assert_eq!(place.lab(["cat", &old]).succeeds().out, "earlier");
    // Directories of earlier commits, if they are whole.
    let before = dvc.folder("raw", &[("a", b"one"), ("b", b"two")]);
    let broken = dvc.folder("raw", &[("a", b"one"), ("b", b"lost")]);
    fs::remove_file(place.at(dvc.cache(b"lost"))).unwrap();
    let now = dvc.folder("raw", &[("a", b"one"), ("b", b"three")]);
    let said = place.lab(["import", "dvc", "--all"]).succeeds().says("dvc-others  dataset  1 file");
    said.complains(&format!("left out: directory md5:{broken}"));
    assert_eq!(place.lab(["cat", &format!("md5:{before}.dir/b")]).succeeds().out, "two");
    assert_eq!(place.lab(["cat", &format!("md5:{now}/b")]).succeeds().out, "three");
    place.lab(["cat", &format!("md5:{broken}/a")]).exits(3);
}

#[test]
fn a_name_that_means_something_else_is_left_alone() {
    let place = Place::registry();
    let dvc = Dvc::new(&place);
    dvc.file("a.csv", b"imported");
    dvc.file("table.csv", b"imported too");
    place.write("mine", "mine");
    place.lab(["add", "mine", "--name", "table.csv"]).succeeds();
    place.lab(["import", "dvc"]).exits(4).complains("'table.csv'").complains("--prefix");
    assert_eq!(place.lab(["cat", "table.csv"]).succeeds().out, "mine");
    place.lab(["cat", "a.csv"]).exits(3);
    place
        .lab(["import", "dvc", "--prefix", "old"])
        .succeeds()
        .says("old.table.csv")
        .says("old.a.csv");
    assert_eq!(place.lab(["cat", "old.table.csv"]).succeeds().out, "imported too");
    place.lab(["import", "dvc", "--prefix", "a/b"]).exits(2);
    // The same content under that name is no conflict.
    place.write("same", "imported too");
    place.lab(["add", "same", "--name", "table.csv"]).succeeds();
    place.lab(["import", "dvc"]).succeeds();
}

#[test]
fn what_cannot_be_told_apart_is_said() {
    let place = Place::registry();
    let dvc = Dvc::new(&place);
    // Two of these many begin alike.
    let mut starts: BTreeMap<String, usize> = BTreeMap::new();
    let twice = (0..2000).map(|n| md5(format!("{n}").as_bytes())).position(|digest| {
        let count = starts.entry(digest[..4].to_owned()).or_default();
        *count += 1;
        *count > 1
    });
    let last = twice.unwrap();
    let start = md5(format!("{last}").as_bytes())[..4].to_owned();
    for n in 0..=last {
        if md5(format!("{n}").as_bytes())[..4] == start {
            dvc.file(&format!("f{n}"), format!("{n}").as_bytes());
        }
    }
    place.lab(["import", "dvc"]).succeeds();
    place
        .lab(["cat", &format!("md5:{start}")])
        .exits(2)
        .complains("may be 2 things")
        .complains("more digits");
    place.lab(["push", "./share"]).succeeds();
    fs::create_dir(place.at("other")).unwrap();
    place.lab_in("other", ["init"]).succeeds();
    place
        .lab_in("other", ["pull", "../share", &format!("md5:{start}")])
        .exits(2)
        .complains("more digits");
}

#[test]
fn the_objects_of_git_lfs_are_found_by_their_sha256() {
    let place = Place::registry();
    let (model, kept, old) =
        (&b"the weights of a model"[..], &b"checked out"[..], &b"of a commit before"[..]);
    let object = |bytes: &[u8]| {
        let oid = sha256(bytes);
        let path = format!("repo/.git/lfs/objects/{}/{}/{oid}", &oid[..2], &oid[2..4]);
        place.write(&path, bytes);
        path
    };
    let pointer = |bytes: &[u8], size: usize| {
        format!(
            "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {size}\n",
            sha256(bytes)
        )
    };
    object(model);
    object(kept);
    object(old);
    place.write("repo/models/m.bin", pointer(model, model.len()));
    place.write("repo/kept.bin", kept);
    fs::set_permissions(place.at("repo/kept.bin"), fs::Permissions::from_mode(0o755)).unwrap();
    place.write("repo/README", "no large file");
    place.lab(["import", "repo"]).succeeds().says("repo  dataset  2 files").complains("--all");
    assert_eq!(place.lab(["cat", "repo/models/m.bin"]).succeeds().out.as_bytes(), model);
    place.lab(["ls", "repo"]).succeeds().says("exec");
    let oids: Vec<String> = [model, kept].map(|b| format!("sha256:{}", sha256(b))).to_vec();
    colleague_finds(&place, "repo", &oids);
    let before = format!("sha256:{}", sha256(old));
    place.lab(["cat", &before]).exits(3);
    place.lab(["import", "repo", "--all"]).succeeds().says("repo.others");
    assert_eq!(place.lab(["cat", &before]).succeeds().out.as_bytes(), old);
    // What is lacking, and pointers that lie, are named; the rest is imported.
    place.write("repo/lost.bin", pointer(b"nowhere", 7));
    place.write("repo/lie.bin", pointer(model, model.len() + 1));
    place.write("repo/cut.bin", &pointer(model, 1)[..60]);
    place.write(object(kept), b"checked oud");
    let said = place.lab(["import", "repo"]).exits(1).complains("git lfs fetch --all");
    let said = said.says("lost.bin: sha256:").says("lie.bin: damaged").says("cut.bin: damaged");
    said.says("repo  dataset  1 file");
    let names = place.lab(["ls", "repo"]).succeeds();
    assert!(names.out.contains("models") && !names.out.contains("kept"), "{}", names.out);
}

#[test]
fn a_snapshot_of_hugging_face_is_found_by_commit_and_by_file() {
    let place = Place::registry();
    let (config, weights) = (&b"{\"hidden\": 8}"[..], &[7u8; 5000][..]);
    let commit = "607a30d783dfa663caf39e06633721c8d4cfcd7e";
    let top = "hub/models--org--tiny";
    place.write(format!("{top}/blobs/{}", git(config)), config);
    place.write(format!("{top}/refs/main"), commit);
    place.write(format!("{top}/refs/pr/1"), commit);
    place.write(format!("{top}/.no_exist/{commit}/added_tokens.json"), "");
    // A large file lies beside all repositories, and is shared.
    place.write("hub/blobs/ab/abcd", weights);
    symlink("../../blobs/ab/abcd", place.at(format!("{top}/blobs/{}", sha256(weights)))).unwrap();
    let snapshot = place.at(format!("{top}/snapshots/{commit}"));
    fs::create_dir_all(snapshot.join("onnx")).unwrap();
    symlink(format!("../../blobs/{}", git(config)), snapshot.join("config.json")).unwrap();
    symlink(format!("../../../blobs/{}", sha256(weights)), snapshot.join("onnx/m.bin")).unwrap();
    place
        .lab(["import", "hub"])
        .succeeds()
        .says("org.tiny  weights  2 files")
        .says("org.tiny.pr.1");
    assert_eq!(place.lab(["cat", "org.tiny/config.json"]).succeeds().out.as_bytes(), config);
    let old = [
        format!("git:{commit}"),
        format!("git:{}", git(config)),
        format!("sha256:{}", sha256(weights)),
    ];
    assert_eq!(place.id(&old[0]), place.id("org.tiny"));
    place.lab(["ls", &format!("git:{}/onnx", &commit[..7])]).succeeds().says("m.bin");
    colleague_finds(&place, "org.tiny", &old);
    // One repository of the cache by itself; and again.
    let before = state(&place);
    place.lab(["import", top]).succeeds();
    assert_eq!(state(&place), before);
}

#[test]
fn links_are_followed_within_a_cache_alone() {
    let commit = "607a30d783dfa663caf39e06633721c8d4cfcd7e";
    let secret = b"secret";
    for (at, target, why) in [
        ("up", "../../../../secret".to_owned(), "leads out of the cache"),
        ("absolute", "/etc/hostname".to_owned(), "leads out of the cache"),
        (
            "root",
            "../../../../../../../../../../../../../../../etc/hostname".to_owned(),
            "leads out",
        ),
        ("deep", format!("../../blobs/../../../secret/{}", git(secret)), "leads out of the cache"),
        ("blob", format!("../../blobs/{}", git(secret)), "leads out of the cache"),
        ("gone", format!("../../blobs/{}", git(b"gone")), "is not in the cache"),
        ("folder", "../../blobs/folder".to_owned(), "is no file"),
        ("loop", "../../blobs/loop".to_owned(), "not imported"),
    ] {
        let place = Place::registry();
        place.write("secret", secret);
        let top = "hub/models--org--evil";
        place.write(format!("{top}/blobs/folder/x"), "x");
        symlink("../../../secret", place.at(format!("{top}/blobs/{}", git(secret)))).unwrap();
        symlink("loop", place.at(format!("{top}/blobs/loop"))).unwrap();
        let snapshot = place.at(format!("{top}/snapshots/{commit}"));
        fs::create_dir_all(&snapshot).unwrap();
        symlink(target, snapshot.join(at)).unwrap();
        // A folder that holds itself is not gone through.
        symlink(".", snapshot.join("self")).unwrap();
        place.lab(["import", "hub"]).exits(1).says(why);
        place.lab(["ls", "--json"]).succeeds().says("[]");
    }
    // Nor are the folders of a cache links to others.
    for link in ["models--org--evil", "models--org--evil/snapshots", "models--org--evil/refs"] {
        let place = Place::registry();
        place.write(format!("elsewhere/{commit}/x"), "secret");
        place.write(format!("elsewhere/snapshots/{commit}/x"), "secret");
        place.write("hub/models--org--good/snapshots/aaaa/x", "x");
        fs::create_dir_all(place.at("hub").join(link).parent().unwrap()).unwrap();
        symlink(place.at("elsewhere"), place.at("hub").join(link)).unwrap();
        place.lab(["import", "hub"]).succeeds();
        let names = place.lab(["ls", "--json"]).succeeds().json();
        assert_eq!(names.as_array().unwrap().len(), 1, "{link}: {names}");
    }
}

#[test]
fn a_blob_that_is_not_what_it_is_called_is_damaged() {
    let place = Place::registry();
    let top = "hub/datasets--org--rows";
    let commit = "607a30d783dfa663caf39e06633721c8d4cfcd7e";
    let blob = format!("{top}/blobs/{}", git(b"rows"));
    place.write(&blob, "r0ws");
    fs::create_dir_all(place.at(format!("{top}/snapshots/{commit}"))).unwrap();
    let link = place.at(format!("{top}/snapshots/{commit}/rows.csv"));
    symlink(format!("../../blobs/{}", git(b"rows")), link).unwrap();
    place.lab(["import", "hub"]).exits(1).says(&blob).says("damaged: it has git:");
    place.write(&blob, "rows");
    place.lab(["import", "hub"]).succeeds().says("org.rows.607a30d783df  dataset");
}

/// A run of MLflow's file store.
fn mlflow(place: &Place, id: &str, name: &str, status: u32, lr: &str) {
    let run = format!("mlruns/123/{id}");
    place.write("mlruns/0/meta.yaml", "experiment_id: '0'\nname: Default\n");
    place.write("mlruns/123/meta.yaml", "experiment_id: '123'\nname: digits\n");
    place.write(
        format!("{run}/meta.yaml"),
        format!(
            "artifact_uri: file:///x\nend_time: 1796040921998\nexperiment_id: '123'\nlifecycle_stage: active\n\
             run_id: {id}\nrun_name: {name}\nstart_time: 1796040921000\nstatus: {status}\ntags: []\nuser_id: root\n"
        ),
    );
    place.write(format!("{run}/params/lr"), lr);
    place.write(format!("{run}/params/opt/name"), "adam");
    let loss: String =
        (0..9).map(|n| format!("179604092199{n} {} {n}\n", 1.0 / f64::from(n + 1))).collect();
    place.write(format!("{run}/metrics/loss"), loss);
    place.write(format!("{run}/metrics/val/acc"), "1796040921995 0.9 0\n");
    place.write(format!("{run}/metrics/bad"), "1796040921995 nan 0\n");
    place.write(format!("{run}/tags/mlflow.source.git.commit"), "4f0c2d1");
    place.write(format!("{run}/tags/mlflow.source.name"), "train.py");
    place.write(format!("{run}/tags/mlflow.user"), "ben");
    place.write(format!("{run}/tags/note"), "try \x1b[2J this");
    place.write(format!("{run}/artifacts/model/w.bin"), "weights");
}

#[test]
fn a_run_of_mlflow_is_found_by_its_id_and_never_taken_for_more_than_it_is() {
    let place = Place::registry();
    let (one, two) = ("f43ec899dbe64a95b3a2c1c68fc0aaa9", "0a1b2c3d4e5f60718293a4b5c6d7e8f9");
    mlflow(&place, one, "my run", 3, "0.1");
    mlflow(&place, two, "my run", 4, "0.2");
    mlflow(&place, "11111111111111111111111111111111", "still", 1, "0.3");
    place.lab(["import", "."]).exits(3).complains("lab import ./mlruns");
    place.lab(["import", "mlruns"]).succeeds().says("my-run").complains("it still runs");
    let id = format!("mlflow:{one}");
    let shown = place.lab(["show", &id, "--json"]).succeeds().json();
    assert_eq!(shown["object"], "run");
    assert_eq!(shown["metrics"]["loss"], 1.0 / 9.0);
    assert_eq!(shown["recipe_body"]["params"]["lr"], 0.1);
    assert_eq!(shown["git"]["commit"], "4f0c2d1");
    assert_eq!((&shown["who"], &shown["complete"]), (&"ben".into(), &false.into()));
    assert_eq!(shown["duration_ms"], 998);
    let text = place.lab(["show", &id]).succeeds().says("logged").says("machine   unknown");
    assert!(!text.out.contains('\x1b'), "{}", text.out);
    assert_eq!(
        place.lab(["cat", &format!("{id}:artifacts/model/w.bin")]).succeeds().out,
        "weights"
    );
    let all = place.lab(["cat", &format!("{id}:metrics.json")]).succeeds().json();
    assert_eq!(all["loss"].as_array().unwrap().len(), 9);
    assert_eq!((&all["bad"][0]["value"], &all["loss"][1]["step"]), (&"NaN".into(), &1.into()));
    place.lab(["log"]).succeeds().says("train.py").says("loss 0.1111");
    place.lab(["show", &format!("mlflow:{two}")]).succeeds().says("exited with 1");
    place.lab(["verify", &id]).exits(1).says("unverifiable").says("imported from MLflow");
    place.lab(["diff", &id, &format!("mlflow:{two}")]).says("lr");
    colleague_finds(&place, "my-run", &["mlflow:0a1b".to_owned()]);
    let before = state(&place);
    place.lab(["import", "mlruns"]).succeeds();
    assert_eq!(state(&place), before);
}

#[test]
fn hostile_runs_are_refused() {
    let id = "f43ec899dbe64a95b3a2c1c68fc0aaa9";
    let run = format!("mlruns/123/{id}");
    for (file, text, why) in [
        ("meta.yaml", "run_id: ../../x\nstatus: 3\n".to_owned(), "lies in"),
        ("meta.yaml", "run_id: &a [*a]\n".to_owned(), "alias"),
        ("metrics/loss", "now 1 0\n".to_owned(), "line 1"),
        ("metrics/loss", "1 2\n1 2 x\n".to_owned(), "line 2"),
        ("params/lr", "x".repeat(2 << 20), "at most"),
        ("tags/note", "\u{0}".to_owned(), ""),
    ] {
        let place = Place::registry();
        mlflow(&place, id, "r", 3, "0.1");
        place.write(format!("{run}/{file}"), text);
        let said = place.lab(["import", "mlruns"]).exits(if why.is_empty() { 0 } else { 2 });
        said.complains(why);
    }
    let place = Place::registry();
    mlflow(&place, id, "r", 3, "0.1");
    fs::remove_dir_all(place.at(format!("{run}/artifacts"))).unwrap();
    place.write("secret/x", "secret");
    symlink("../../../secret", place.at(format!("{run}/artifacts"))).unwrap();
    place.lab(["import", "mlruns"]).succeeds();
    place.lab(["cat", "r:artifacts/x"]).exits(3);
    fs::remove_dir_all(place.at(format!("{run}/params"))).unwrap();
    symlink("../../../secret", place.at(format!("{run}/params"))).unwrap();
    fs::rename(place.at("mlruns/123"), place.at("elsewhere")).unwrap();
    symlink("../elsewhere", place.at("mlruns/123")).unwrap();
    place.lab(["import", "mlruns"]).complains("it is a link");
    place.lab(["import", "elsewhere", "--prefix", "p"]).succeeds();
    let shown = place.lab(["show", "p.r"]).succeeds();
    assert!(!shown.out.contains("secret"), "{}", shown.out);
}

#[test]
fn what_is_nothing_that_is_known_is_said_to_be_so() {
    let place = Place::registry();
    place.write("folder/x", "x");
    place
        .lab(["import", "folder"])
        .exits(3)
        .complains("is none of: DVC project")
        .complains("lab add");
    place.lab(["import", "folder", "--from", "dvc"]).exits(3).complains("it has no .dvc");
    place.lab(["import", "folder", "--from", "lfs"]).exits(3).complains("it has no .git");
    place.lab(["import", "folder", "--from", "svn"]).exits(2).complains("dvc, lfs, hf or mlflow");
    place.lab(["import", "folder/x"]).exits(2).complains("not a folder");
    place.lab(["import", "nowhere"]).exits(3);
    place.write("folder/mlflow.db", "x");
    place.lab(["import", "folder", "--from", "mlflow"]).exits(3).complains("database");
    let empty = Place::empty();
    empty.write("dvc/.dvc/config", "");
    empty.lab(["import", "dvc"]).exits(3).complains("lab init");
}

#[test]
fn old_hashes_stay_as_long_as_what_they_name() {
    let place = Place::registry();
    let dvc = Dvc::new(&place);
    let kept = format!("md5:{}", dvc.file("kept.csv", b"kept"));
    let gone = format!("md5:{}", dvc.file("gone.csv", b"gone"));
    place.lab(["import", "dvc"]).succeeds();
    place.lab(["name", "--delete", "gone.csv"]).succeeds();
    place.lab(["gc", "--grace", "0s", "--history", "0s"]).succeeds();
    place.lab(["gc", "--grace", "0s", "--history", "0s"]).succeeds();
    assert_eq!(place.lab(["cat", &kept]).succeeds().out, "kept");
    place.lab(["cat", &gone]).exits(3);
    place.lab(["check"]).succeeds();
}

/// The tools themselves, where they are.
#[test]
fn real_tools_write_what_is_imported() {
    let has = |tool: &str, args: &[&str]| {
        let found = Command::new(tool).args(args).output().is_ok_and(|out| out.status.success());
        if !found {
            println!("skipped: no {tool} {} here", args.join(" "));
        }
        found
    };
    let place = Place::registry();
    let sh = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-ec", script]).current_dir(place.path()).env("HOME", place.path());
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("DVC_NO_ANALYTICS", "1");
        kit::said(&mut command).succeeds()
    };
    let repository = "git init -q .; git config user.email a@example.org; git config user.name a";
    if has("git", &["lfs", "version"]) {
        sh(&format!(
            "mkdir l; cd l; {repository}; git lfs install --local; git lfs track '*.bin'; \
             printf weights > m.bin; git add -A; git commit -qm x; cd ..; \
             GIT_LFS_SKIP_SMUDGE=1 git clone -q l l2"
        ));
        place.lab(["import", "l2"]).exits(1).says("m.bin").complains("git lfs fetch");
        sh("cd l2; git lfs fetch --all; head -c 7 m.bin | grep -q version");
        place.lab(["import", "l2"]).succeeds();
        let old = format!("sha256:{}", sha256(b"weights"));
        assert_eq!(place.lab(["cat", &old]).succeeds().out, "weights");
        assert_eq!(place.lab(["cat", "l2/m.bin"]).succeeds().out, "weights");
    }
    if has("dvc", &["version"]) {
        sh(&format!(
            "mkdir d; cd d; {repository}; dvc init -q; mkdir raw; echo 1 > raw/a; echo 2 > raw/b; dvc add -q raw; \
             dvc stage add -q -n make -d raw -o out 'cat raw/* > out'; dvc repro -q; rm -r raw out"
        ));
        place.lab(["import", "d"]).succeeds().says("stage make");
        let list = place.read("d/raw.dvc");
        let text = String::from_utf8(list).unwrap();
        let old = text.lines().find_map(|l| l.split_once("md5: ")).unwrap().1.to_owned();
        assert_eq!(place.lab(["cat", &format!("md5:{old}/b")]).succeeds().out, "2\n");
        assert_eq!(place.lab(["cat", &format!("md5:{}", md5(b"1\n2\n"))]).succeeds().out, "1\n2\n");
    }
}

/// A registry's store, to put into it what no import would.
fn store(place: &Place) -> lab_objects::Store {
    lab_objects::Store::open(std::sync::Arc::new(
        lab_objects::Folder::open(&place.at(".lab")).unwrap(),
    ))
    .unwrap()
}

// proves F-35
#[test]
fn a_table_that_lies_is_not_believed() {
    use lab_schema::{Alias, Aliases, Scheme, Subject, alias::write_table};
    let place = Place::registry();
    place.write("evil", "evil");
    place.lab(["add", "evil", "--name", "evil"]).succeeds();
    let store = store(&place);
    let evil = lab_schema::BlobId::of(b"evil");
    let digests = [
        (Scheme::Md5, md5(b"good")),
        (Scheme::Sha256, sha256(b"good")),
        (Scheme::Git, git(b"good")),
    ];
    for from in ["dvc", "hf"] {
        let alias = |(scheme, digits): &(Scheme, String)| Alias::from_hex(*scheme, digits).unwrap();
        let table = digests.iter().map(|d| (alias(d), Subject::Blob(evil))).collect();
        let mut writer = store.writer();
        let table = writer.put_bytes(&write_table(&table)).unwrap();
        let (of, from, origin) = (Subject::Blob(evil), from.to_owned(), "good \x1b[2J".to_owned());
        writer.put(&Aliases { of, from, origin, table }).unwrap();
        writer.finish().unwrap();
    }
    for (scheme, digits) in &digests {
        let reference = format!("{scheme}:{digits}");
        for command in ["cat", "show", "get", "ls"] {
            let said =
                place.lab([command, &reference]).exits(1).complains("which has another digest");
            assert!(!said.err.contains('\x1b') && !said.out.contains("evil"), "{said:?}");
        }
    }
    let shown = place.lab(["show", "evil"]).succeeds();
    assert!(!shown.out.contains('\x1b'), "{}", shown.out);
}

#[test]
fn a_table_that_is_lost_stands_in_nobodys_way() {
    use lab_schema::{Aliases, BlobId, Subject};
    let place = Place::registry();
    let dvc = Dvc::new(&place);
    let good = format!("md5:{}", dvc.file("a.csv", b"good"));
    place.lab(["import", "dvc"]).succeeds();
    let store = store(&place);
    let (lost, rubbish) = (BlobId::of(b"never stored"), b"md5:00 blob\n");
    let mut writer = store.writer();
    let rubbish = writer.put_bytes(rubbish).unwrap();
    for table in [lost, rubbish] {
        let of = Subject::Blob(BlobId::of(b"good"));
        writer.put(&Aliases { of, from: "dvc".into(), origin: "x".into(), table }).unwrap();
    }
    writer.finish().unwrap();
    assert_eq!(place.lab(["cat", &good]).succeeds().out, "good");
    place.lab(["push", "./share", "a.csv"]).succeeds();
    place.lab(["clone", "share", "--into", "colleague"]).succeeds();
    assert_eq!(place.lab_in("colleague", ["cat", &good]).succeeds().out, "good");
    // Who finds nothing is told that not all could be looked at.
    place.lab(["cat", "md5:0123456789"]).exits(3).complains("blob");
    place.lab(["import", "dvc"]).succeeds();
}
