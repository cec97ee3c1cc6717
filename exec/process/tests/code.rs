//! What is captured as the code of a project, in every state a repository can be in.
#![allow(clippy::unwrap_used)]

mod common;

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use common::{Bench, slot, tree_paths};
use git2::{Index, IndexAddOption, Repository, RepositoryInitOptions, Signature};
use lab_process::{Captured, NoGit, Note, ProcessError, Result, capture_code};
use tempfile::TempDir;

/// A work tree on branch `trunk`.
fn repository() -> (TempDir, Repository) {
    let dir = tempfile::tempdir().unwrap();
    let repository = init(dir.path());
    (dir, repository)
}

fn init(path: &Path) -> Repository {
    let mut options = RepositoryInitOptions::new();
    Repository::init_opts(path, options.initial_head("trunk")).unwrap()
}

fn write(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Commits all that is there; the commit's id.
fn commit(repository: &Repository) -> String {
    let mut index = repository.index().unwrap();
    index.add_all(["*"], IndexAddOption::DEFAULT, None).unwrap();
    commit_index(repository, &mut index)
}

fn commit_index(repository: &Repository, index: &mut Index) -> String {
    index.write().unwrap();
    let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
    let me = Signature::now("someone", "someone@example.org").unwrap();
    let parent = repository.head().ok().map(|head| head.peel_to_commit().unwrap());
    let parents: Vec<_> = parent.iter().collect();
    repository.commit(Some("HEAD"), &me, &me, "m", &tree, &parents).unwrap().to_string()
}

fn capture(bench: &Bench, dir: &Path, argv: &[&str]) -> Result<Captured> {
    let argv: Vec<String> = argv.iter().map(ToString::to_string).collect();
    let mut writer = bench.store.writer();
    let captured = capture_code(&mut writer, dir, &argv)?;
    writer.finish().unwrap();
    Ok(captured)
}

fn paths(bench: &Bench, captured: &Captured) -> Vec<String> {
    tree_paths(&bench.store, captured.tree.unwrap())
}

#[test]
fn the_files_are_as_they_are_on_disk() {
    let (bench, (dir, repository)) = (Bench::new(), repository());
    let top = dir.path();
    write(top, ".gitignore", "*.log\nbuild/\n");
    for name in ["clean", "edited", "deleted", "staged", "sub/tool"] {
        write(top, name, "1");
    }
    fs::set_permissions(top.join("sub/tool"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("clean", top.join("link")).unwrap();
    let id = commit(&repository);
    write(top, "edited", "2");
    write(top, "staged", "2");
    let mut index = repository.index().unwrap();
    index.add_path(Path::new("staged")).unwrap();
    index.write().unwrap();
    fs::remove_file(top.join("deleted")).unwrap();
    for name in
        ["new/file", "x.log", "build/x", ".lab/packs/p", "sub/.lab/x", "sub/__pycache__/t.pyc"]
    {
        write(top, name, "u");
    }

    let captured = capture(&bench, &top.join("sub"), &["python", "x.py"]).unwrap();
    let expected = [".gitignore", "clean", "edited", "link@", "new/file", "staged", "sub/tool*"];
    assert_eq!(paths(&bench, &captured), expected);
    assert_eq!(captured.directory, Some(slot("sub")));
    assert!(captured.notes.is_empty(), "{:?}", captured.notes);
    let git = captured.git.unwrap();
    assert_eq!(git.commit, Some(id));
    assert_eq!(git.branch.as_deref(), Some("trunk"));
    assert_eq!(git.dirty, ["deleted", "edited", "new/file", "staged"]);
    let tree = bench.fetch(captured.tree.unwrap().into());
    assert_eq!(fs::read_to_string(tree.path().join("it/edited")).unwrap(), "2");

    let at_top = capture(&bench, top, &[]).unwrap();
    assert_eq!((at_top.tree, at_top.directory), (captured.tree, None));
}

#[test]
fn a_head_may_be_unborn_or_detached() {
    let (bench, (dir, repository)) = (Bench::new(), repository());
    write(dir.path(), "a", "1");
    let git = capture(&bench, dir.path(), &[]).unwrap().git.unwrap();
    assert_eq!((git.commit, git.branch.as_deref()), (None, Some("trunk")));
    assert_eq!(git.dirty, ["a"]);

    let id = commit(&repository);
    repository.set_head_detached(repository.head().unwrap().target().unwrap()).unwrap();
    let git = capture(&bench, dir.path(), &[]).unwrap().git.unwrap();
    assert_eq!((git.commit, git.branch), (Some(id), None));
    assert!(git.dirty.is_empty());
}

#[test]
fn an_empty_repository_has_an_empty_tree() {
    let (bench, (dir, _repository)) = (Bench::new(), repository());
    let captured = capture(&bench, dir.path(), &[]).unwrap();
    assert!(paths(&bench, &captured).is_empty());
    assert!(captured.git.unwrap().dirty.is_empty());
}

#[test]
fn paths_that_became_something_else_are_taken_as_they_are() {
    let (bench, (dir, repository)) = (Bench::new(), repository());
    let outside = tempfile::tempdir().unwrap();
    write(outside.path(), "f", "not ours");
    for name in ["folder/f", "file", "gone/f"] {
        write(dir.path(), name, "1");
    }
    commit(&repository);
    fs::remove_dir_all(dir.path().join("folder")).unwrap();
    symlink(outside.path(), dir.path().join("folder")).unwrap();
    fs::remove_file(dir.path().join("file")).unwrap();
    write(dir.path(), "file/inner", "2");
    fs::remove_dir_all(dir.path().join("gone")).unwrap();
    write(dir.path(), "gone", "3");
    let captured = capture(&bench, dir.path(), &[]).unwrap();
    assert_eq!(paths(&bench, &captured), ["file/inner", "folder@", "gone"]);
}

#[test]
fn names_need_not_be_text() {
    use std::os::unix::ffi::OsStrExt;
    let (bench, (dir, repository)) = (Bench::new(), repository());
    let odd = std::ffi::OsStr::from_bytes(b"odd\xff\n");
    fs::write(dir.path().join(odd), "1").unwrap();
    fs::write(dir.path().join("a:b c"), "1").unwrap();
    let captured = capture(&bench, dir.path(), &[]).unwrap();
    assert_eq!(paths(&bench, &captured), ["a:b c", "odd\u{fffd}\\n"]);
    commit(&repository);
    assert_eq!(capture(&bench, dir.path(), &[]).unwrap().tree, captured.tree);
}

#[test]
fn submodules_and_inner_repositories_are_plain_files() {
    let (bench, (dir, repository)) = (Bench::new(), repository());
    write(dir.path(), "main", "1");
    // A repository inside that is no submodule, and one inside that.
    let inner = init(&dir.path().join("inner"));
    write(dir.path(), "inner/a", "1");
    commit(&inner);
    write(dir.path(), "inner/untracked", "1");
    init(&dir.path().join("inner/deep"));
    write(dir.path(), "inner/deep/b", "1");
    let plain = ["inner/a", "inner/deep/b", "inner/untracked", "main"];
    let captured = capture(&bench, dir.path(), &[]).unwrap();
    assert_eq!(paths(&bench, &captured), plain);
    assert_eq!(captured.git.unwrap().dirty, ["inner", "main"]);

    // The same as a submodule: git records its commit only.
    let mut index = repository.index().unwrap();
    index.add_path(Path::new("main")).unwrap();
    let mut entry = index.get_path(Path::new("main"), 0).unwrap();
    entry.mode = 0o160_000;
    entry.path = b"inner".to_vec();
    entry.id = inner.head().unwrap().target().unwrap();
    index.add(&entry).unwrap();
    commit_index(&repository, &mut index);
    let captured = capture(&bench, dir.path(), &[]).unwrap();
    assert_eq!(paths(&bench, &captured), plain);

    // Not checked out.
    fs::remove_dir_all(dir.path().join("inner")).unwrap();
    fs::create_dir(dir.path().join("inner")).unwrap();
    let captured = capture(&bench, dir.path(), &[]).unwrap();
    assert_eq!(paths(&bench, &captured), ["main"]);
    assert_eq!(captured.notes, [Note::SubmoduleAbsent("inner".into())]);
}

#[test]
fn large_untracked_files_and_pipes_are_left_out_by_name() {
    let (bench, (dir, _repository)) = (Bench::new(), repository());
    write(dir.path(), "code", "1");
    File::create(dir.path().join("data.bin")).unwrap().set_len((64 << 20) + 1).unwrap();
    std::process::Command::new("mkfifo").arg(dir.path().join("pipe")).status().unwrap();
    let captured = capture(&bench, dir.path(), &[]).unwrap();
    assert_eq!(paths(&bench, &captured), ["code"]);
    let large = Note::LargeFile { path: "data.bin".into(), bytes: (64 << 20) + 1 };
    assert!(captured.notes.contains(&large), "{:?}", captured.notes);
    assert!(large.to_string().contains("-i"));
}

#[test]
fn without_git_only_what_the_command_line_names() {
    let bench = Bench::new();
    let dir = tempfile::tempdir().unwrap();
    for name in ["train.py", "conf/a.toml", "other.py", "python", ".lab/x", "dir/f"] {
        write(dir.path(), name, name);
    }
    write(dir.path().parent().unwrap(), "sibling-of-project", "x");
    symlink("/etc/passwd", dir.path().join("link")).unwrap();
    let absolute = dir.path().join("other.py");
    let argv = [
        "python",
        "./train.py",
        "--config=conf/a.toml",
        "../sibling-of-project",
        absolute.to_str().unwrap(),
        "absent.py",
        ".lab/x",
        "dir",
        "link",
        "",
        ".",
        "train.py",
    ];
    let captured = capture(&bench, dir.path(), &argv).unwrap();
    fs::remove_file(dir.path().parent().unwrap().join("sibling-of-project")).unwrap();
    assert_eq!(paths(&bench, &captured), ["conf/a.toml", "train.py"]);
    assert_eq!((captured.git, captured.directory), (None, None));
    let files: Vec<PathBuf> = vec!["conf/a.toml".into(), "train.py".into()];
    let note = Note::NotInGit { why: NoGit::NoRepository, captured: files };
    assert_eq!(captured.notes, [note]);

    let captured = capture(&bench, dir.path(), &["python", "-c", "print(1)"]).unwrap();
    assert_eq!(captured.tree, None);
    assert_eq!(captured.notes[0].to_string(), "not in a git repository: no code was recorded");
}

#[test]
fn folders_that_git_does_not_list_are_said_to_be_so() {
    let bench = Bench::new();
    let why = |dir: &Path| match &capture(&bench, dir, &[]).unwrap().notes[..] {
        [Note::NotInGit { why, .. }] => *why,
        other => panic!("{other:?}"),
    };
    let bare = tempfile::tempdir().unwrap();
    Repository::init_bare(bare.path()).unwrap();
    assert_eq!(why(bare.path()), NoGit::Bare);

    let (dir, _repository) = repository();
    write(dir.path(), ".gitignore", "ignored/\n");
    write(dir.path(), "ignored/deep/x.py", "");
    write(dir.path(), ".lab/x", "");
    assert_eq!(why(&dir.path().join("ignored/deep")), NoGit::Ignored);
    assert_eq!(why(&dir.path().join(".lab")), NoGit::Inside);
    assert_eq!(why(&dir.path().join(".git/refs")), NoGit::Inside);
}

#[test]
fn damage_is_an_error_not_a_clean_state() {
    let bench = Bench::new();
    let break_it = |damage: &dyn Fn(&Path)| {
        let (dir, repository) = repository();
        write(dir.path(), "a", "1");
        commit(&repository);
        drop(repository);
        damage(&dir.path().join(".git"));
        let error = capture(&bench, dir.path(), &[]).unwrap_err();
        assert!(matches!(error, ProcessError::Repository { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(dir.path().canonicalize().unwrap().to_str().unwrap()), "{text}");
        text
    };
    assert!(break_it(&|git| fs::write(git.join("index"), "garbage").unwrap()).contains("index"));
    assert!(break_it(&|git| fs::write(git.join("HEAD"), "garbage\n").unwrap()).contains("head"));
    assert!(break_it(&|git| fs::remove_file(git.join("HEAD")).unwrap()).contains("open"));
    let head = break_it(&|git| {
        fs::write(git.join("refs/heads/trunk"), format!("{}\n", "1".repeat(40))).unwrap();
    });
    assert!(head.contains("head"), "{head}");
    break_it(&|git| fs::remove_dir_all(git.join("objects")).unwrap());
    break_it(&|git| {
        fs::remove_dir_all(git).unwrap();
        fs::write(git, "gitdir: /nowhere/at/all\n").unwrap();
    });
}

#[test]
fn a_repository_of_somebody_else_is_refused_as_git_does() {
    let (bench, (dir, _repository)) = (Bench::new(), repository());
    write(dir.path(), "a", "1");
    let other = Some(12_345);
    for path in [dir.path().to_owned(), dir.path().join(".git")] {
        if std::os::unix::fs::chown(&path, other, None).is_err() {
            // Only root can give a file away.
            return;
        }
    }
    let error = capture(&bench, dir.path(), &[]).unwrap_err();
    assert!(matches!(error, ProcessError::RepositoryOwner { .. }), "{error:?}");
    assert!(error.to_string().contains("belongs to another user"));
}

#[test]
fn a_folder_that_cannot_be_written_down_is_refused() {
    let (bench, (dir, _repository)) = (Bench::new(), repository());
    write(dir.path(), "a:b/x", "1");
    let error = capture(&bench, &dir.path().join("a:b"), &[]).unwrap_err();
    assert!(matches!(error, ProcessError::BadDirectory { .. }), "{error}");
    let error = capture(&bench, &dir.path().join("absent"), &[]).unwrap_err();
    assert!(error.to_string().contains("absent"), "{error}");
}

#[test]
fn a_linked_work_tree_is_a_work_tree() {
    let (bench, (dir, repository)) = (Bench::new(), repository());
    write(dir.path(), "a", "1");
    let id = commit(&repository);
    let other = tempfile::tempdir().unwrap();
    repository.worktree("second", &other.path().join("w"), None).unwrap();
    write(&other.path().join("w"), "b", "2");
    let captured = capture(&bench, &other.path().join("w"), &[]).unwrap();
    assert_eq!(paths(&bench, &captured), ["a", "b"]);
    let git = captured.git.unwrap();
    assert_eq!((git.commit, git.branch.as_deref()), (Some(id), Some("second")));
}
