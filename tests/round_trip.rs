//! Promise 1: same bytes, same hash, and the same tree back.
#![allow(clippy::unwrap_used, missing_docs)]

mod kit;

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use kit::{Place, Said};

/// Path, whether it is executable, target of a link, bytes of a file.
type Entry = (OsString, bool, Option<OsString>, Option<Vec<u8>>);

/// Everything below a folder, sorted.
fn contents(folder: &Path) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(here) = todo.pop() {
        for entry in fs::read_dir(here).unwrap() {
            let path = entry.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            let name = path.strip_prefix(folder).unwrap().as_os_str().to_owned();
            if meta.is_symlink() {
                let target = fs::read_link(&path).unwrap().into_os_string();
                found.push((name, false, Some(target), None));
            } else if meta.is_dir() {
                found.push((name, false, None, None));
                todo.push(path);
            } else {
                let executable = meta.permissions().mode() & 0o100 != 0;
                found.push((name, executable, None, Some(fs::read(&path).unwrap())));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_tree_of_ten_thousand_files_comes_back_as_it_was() {
    let place = Place::registry();
    for i in 0..10_000u32 {
        // Distinct, compressible, and of many sizes.
        place.write(
            format!("data/part-{:02}/{i}.txt", i % 37),
            format!("sample {i}\n").repeat(1 + i as usize % 50),
        );
    }
    place.write("data/empty", "");
    fs::create_dir(place.at("data/no entries")).unwrap();
    place.write("data/naïve name with spaces é.txt", "é");
    fs::write(place.at("data").join(OsString::from_vec(b"not-utf8-\xff\xfe".to_vec())), "x")
        .unwrap();
    fs::write(place.at("data/line\nbreak"), "x").unwrap();
    place.write("data/run.sh", "#!/bin/sh\n");
    fs::set_permissions(place.at("data/run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    symlink("part-00/0.txt", place.at("data/link")).unwrap();
    symlink("../../nowhere/else", place.at("data/dangling")).unwrap();
    symlink("part-01", place.at("data/link-to-folder")).unwrap();

    place.lab(["add", "data", "--name", "data"]).succeeds().says("10,005 files");
    place.lab(["get", "data", "back"]).succeeds();
    assert!(contents(&place.at("data")) == contents(&place.at("back")), "the trees differ");
    // Adding what came back gives the same id, and adds nothing.
    let before = store_bytes(&place);
    place.lab(["add", "back", "--name", "again"]).succeeds();
    assert_eq!(place.id("data"), place.id("again"));
    assert!(
        store_bytes(&place) - before < 4096,
        "an unchanged tree added {} bytes",
        store_bytes(&place) - before
    );
    place.lab(["check"]).succeeds().says("sound");
}

fn store_bytes(place: &Place) -> u64 {
    kit::files(&place.at(".lab/packs"), &[".pack"])
        .iter()
        .map(|f| f.metadata().unwrap().len())
        .sum()
}

#[test]
fn a_sparse_file_of_three_gibibytes_comes_back_and_takes_no_space() {
    let place = Place::registry();
    let len = 3 << 30;
    let file = File::create(place.at("sparse")).unwrap();
    file.set_len(len).unwrap();
    drop(file);
    place.lab(["add", "sparse", "--name", "sparse"]).succeeds().says("3.22 GB");
    assert!(store_bytes(&place) < 4 << 20, "{} bytes stored for zeros", store_bytes(&place));
    // From `b3sum` over a file of 3 GiB of zeros.
    assert_eq!(
        place.id("sparse"),
        "cbd1657052518c204c9a7de4d6203a4f3138f3b14a29500cc0ab95ccce50566f"
    );
    place.lab(["get", "sparse", "back"]).succeeds();
    assert_eq!(place.at("back").metadata().unwrap().len(), len);
    // Hashed again through the store: the same id.
    place.lab(["add", "back", "--name", "back"]).succeeds();
    assert_eq!(place.id("back"), place.id("sparse"));
}

#[test]
fn ids_are_what_b3sum_prints() {
    let place = Place::registry();
    place.write("abc", "abc");
    place.lab(["add", "abc", "--name", "abc"]).succeeds().says("6437b3ac3846");
    assert_eq!(place.id("abc"), "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
}

#[test]
fn get_leaves_what_is_equal_and_refuses_what_differs() {
    let place = Place::registry();
    place.write("data/a", "one");
    place.write("data/b", "two");
    place.lab(["add", "data", "--name", "data"]).succeeds();
    place.lab(["get", "data", "out"]).succeeds().says("2 files");
    let repeated: Said = place.lab(["get", "data", "out"]).succeeds();
    assert!(repeated.out.contains("2 already there"), "{}", repeated.out);
    place.write("out/a", "mine");
    place.lab(["get", "data", "out"]).exits(4).complains("out/a").complains("--force");
    assert_eq!(place.read("out/a"), b"mine");
    place.lab(["get", "data", "out", "--force"]).succeeds();
    assert_eq!(place.read("out/a"), b"one");
}

/// A link that lies in the way must not lead the writer out of the target.
#[test]
fn get_does_not_write_through_links() {
    let place = Place::registry();
    place.write("data/dir/file", "inside");
    place.lab(["add", "data", "--name", "data"]).succeeds();
    fs::create_dir(place.at("elsewhere")).unwrap();
    fs::create_dir(place.at("out")).unwrap();
    symlink(place.at("elsewhere"), place.at("out/dir")).unwrap();
    place.lab(["get", "data", "out"]).exits(4);
    assert!(contents(&place.at("elsewhere")).is_empty());
}

#[test]
fn an_executable_taken_out_of_a_directory_stays_executable() {
    let place = Place::registry();
    place.write("data/run.sh", "#!/bin/sh\n");
    fs::set_permissions(place.at("data/run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    place.lab(["add", "data", "--name", "data"]).succeeds();
    place.lab(["get", "data/run.sh", "copy.sh"]).succeeds();
    assert!(place.at("copy.sh").metadata().unwrap().permissions().mode() & 0o100 != 0);
    place.lab(["cat", "data/run.sh"]).succeeds().says("#!/bin/sh");
    place.lab(["cat", "data/run.sh", "--bytes", "2..5"]).succeeds().says("/bi");
}
