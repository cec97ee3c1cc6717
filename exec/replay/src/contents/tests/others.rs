//! Weights, images and folders of which it is known what was changed.

use lab_objects::{Memory, Store};
use lab_schema::tree::Node;
use lab_schema::{Entry, FileName, Tree, TreeId};
use std::sync::Arc;

use super::*;
use crate::compare::tests::{f32s, npy, safetensors};

fn weights(a: &[u8], b: &[u8]) -> WeightsChange {
    match of(a, b, "") {
        Inside::Weights(change) => *change,
        other => panic!("{other:?}"),
    }
}

#[test]
fn tensors_tell_how_far_they_moved() {
    let bias = ("bias", "F32", &[2_u64][..], f32s(&[1.0, 2.0]));
    let file = |values: &[f32]| {
        safetensors(
            "x",
            &[
                ("w", "F32", &[2, 2], f32s(values)),
                ("small", "F32", &[1], f32s(&values[..1])),
                bias.clone(),
            ],
        )
    };
    let change = weights(&file(&[3.0, 4.0, 0.0, 0.0]), &file(&[3.0, 4.0, 0.0, -0.5]));
    assert_eq!((change.before, change.equal, change.changed.len()), (3, 2, 1));
    let moved = change.changed[0].moved;
    assert_eq!((moved.elements, moved.equal, moved.largest, moved.l2), (4, 3, 0.5, 0.5));
    assert_eq!(moved.relative_l2, Some(0.1));
    assert_eq!((change.total.elements, change.total.equal), (7, 6));
    let expected = 0.5 / (25.0 + 9.0 + 5.0_f64).sqrt();
    assert!((change.total.relative_l2.unwrap() - expected).abs() < 1e-12);
    // The largest relative change comes first.
    let change = weights(&file(&[1.0, 100.0, 0.0, 0.0]), &file(&[2.0, 100.0, 0.0, 0.0]));
    let names: Vec<&str> = change.changed.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["small", "w"]);
    // What is no number counts apart and spoils no norm.
    let change = weights(&file(&[1.0, 1.0, 1.0, 1.0]), &file(&[1.0, f32::NAN, 1.0, 3.0]));
    let moved = change.changed[0].moved;
    assert_eq!((moved.not_finite, moved.largest, moved.equal), (1, 2.0, 2));
}

#[test]
fn tensors_that_came_went_have_another_name_type_or_shape() {
    let a = safetensors(
        "one",
        &[
            ("old", "F32", &[3], f32s(&[1.0, 2.0, 3.0])),
            ("cast", "F32", &[2], f32s(&[1.0, 1.001])),
            ("gone", "F32", &[1], f32s(&[9.0])),
            ("shape", "F32", &[2, 1], f32s(&[1.0, 2.0])),
        ],
    );
    let b = safetensors(
        "two",
        &[
            ("model.old", "F32", &[3], f32s(&[1.0, 2.0, 3.0])),
            ("cast", "BF16", &[2], vec![0x80, 0x3f, 0x80, 0x3f]),
            ("came", "F32", &[2, 2], f32s(&[0.0; 4])),
            ("shape", "F32", &[1, 2], f32s(&[1.0, 2.0])),
        ],
    );
    let change = weights(&a, &b);
    assert_eq!(change.renamed, [("old".to_owned(), "model.old".to_owned())]);
    assert_eq!(change.added, [("came".to_owned(), "F32[2, 2]".to_owned())]);
    assert_eq!(change.removed, [("gone".to_owned(), "F32[1]".to_owned())]);
    assert_eq!(change.reshaped[0].2, "F32[1, 2]");
    let cast = &change.changed[0];
    assert_eq!(
        (cast.before.as_str(), cast.after.as_str(), cast.moved.equal),
        ("F32[2]", "BF16[2]", 1)
    );
    assert!((cast.moved.largest - 0.001).abs() < 1e-6);
    let note = Beside { key: "note".into(), before: Some("one".into()), after: Some("two".into()) };
    assert_eq!(change.beside, [note]);
    let one = weights(
        &npy("<i4", "False", "(2,)", &[1, 0, 0, 0, 5, 0, 0, 0]),
        &npy("<i4", "False", "(2,)", &[1, 0, 0, 0, 2, 0, 0, 0]),
    );
    assert_eq!((one.changed[0].moved.largest, one.changed[0].moved.equal), (3.0, 1));
}

#[test]
fn arrays_that_are_compressed_are_tensors_too() {
    let idx = |labels: &[u8]| [&[0, 0, 8, 1, 0, 0, 0, labels.len() as u8], labels].concat();
    let change = weights(&gzipped(idx(&[3, 4, 5])), &idx(&[3, 9, 5]));
    assert_eq!(
        (change.changed[0].before.as_str(), change.changed[0].moved.largest),
        ("U8[3]", 5.0)
    );
    // A length that is a lie makes it no array.
    assert!(matches!(of(&idx(&[3, 4])[..9], idx(&[3]), ""), Inside::Bytes(_)));
    let packed = |name: &str| {
        std::fs::read(format!("{}/src/compare/data/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    };
    let change = weights(&packed("packed-a.npz"), &packed("packed-b.npz"));
    let stored = weights(&packed("stored-a.npz"), &packed("stored-b.npz"));
    assert_eq!((change.before, change.equal, change.changed.len()), (2, 1, 1));
    assert_eq!(change.total, stored.total);
}

fn png(pixels: &[u8], text: &str) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, pixels.len() as u32, 1);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.add_text_chunk("Comment".into(), text.into()).unwrap();
    encoder.write_header().unwrap().write_image_data(pixels).unwrap();
    file
}

#[test]
fn images_tell_how_many_pixels_differ() {
    let Inside::Image(change) = of(png(&[1, 2, 3], "x"), png(&[1, 9, 3], "x"), "") else {
        panic!()
    };
    assert_eq!((change.pixels, change.differ, change.largest), (Some(3), 1, 7));
    let Inside::Image(change) = of(png(&[1, 2, 3], "x"), png(&[1, 2, 3], "y"), "") else {
        panic!()
    };
    assert_eq!(change.differ, 0);
    let Inside::Image(change) = of(png(&[1, 2, 3], "x"), png(&[1, 2], "x"), "") else { panic!() };
    assert_eq!(change.pixels, None);
}

/// Keeps files under paths with at most one folder.
fn tree(store: &Store, files: &[(&str, &[u8])]) -> TreeId {
    let mut writer = store.writer();
    let mut folders: std::collections::BTreeMap<&str, Vec<Entry>> = Default::default();
    for (path, bytes) in files {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let id = writer.put_bytes(bytes).unwrap();
        let node = Node::File { id, size: bytes.len(), executable: false };
        let name = FileName::new(name).unwrap();
        folders.entry(folder).or_default().push(Entry { name, node });
    }
    let mut top = folders.remove("").unwrap_or_default();
    for (name, entries) in folders {
        let tree = Tree::new(entries).unwrap();
        let (id, size) = (writer.put(&tree).unwrap(), tree.total_bytes());
        top.push(Entry { name: FileName::new(name).unwrap(), node: Node::Directory { id, size } });
    }
    let id = writer.put(&Tree::new(top).unwrap()).unwrap();
    writer.finish().unwrap();
    id
}

fn folder(before: &[(&str, &[u8])], after: &[(&str, &[u8])]) -> FolderChange {
    let store = Store::create(Arc::new(Memory::new())).unwrap();
    let (a, b) = (tree(&store, before), tree(&store, after));
    match inside(&store, a.into(), b.into(), "").unwrap() {
        Inside::Folder(change) => *change,
        other => panic!("{other:?}"),
    }
}

#[test]
fn folders_tell_what_came_went_changed_and_moved() {
    let change = folder(
        &[
            ("a/1.txt", b"one\n"),
            ("a/2.txt", b"two\n"),
            ("gone", b"x"),
            ("t.csv", b"a,b\n1,2\n"),
            ("same", b"s"),
            ("empty", b""),
        ],
        &[
            ("b/1.txt", b"one\n"),
            ("a/2.txt", b"zwei\n"),
            ("new", b"yy"),
            ("t.csv", b"a,b\n1,3\n"),
            ("same", b"s"),
            ("void", b""),
        ],
    );
    assert_eq!(change.moved, [("a/1.txt".to_owned(), "b/1.txt".to_owned())]);
    assert_eq!((change.added.files, change.added.bytes), (2, 2));
    assert_eq!(change.removed.first, ["empty", "gone"]);
    assert_eq!(change.changed.files, 2);
    let inside: Vec<&str> = change.inside.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(inside, ["a/2.txt", "t.csv"]);
    assert!(matches!(change.inside[1].inside, Some(Inside::Table(_))));
    assert_eq!((change.not_looked_into, change.images), (0, None));
}

#[test]
fn folders_of_images_are_summed_up() {
    let (one, other, third) = (png(&[1, 2], ""), png(&[1, 3], ""), png(&[1, 2], "again"));
    let change = folder(
        &[("c/1.png", &one), ("c/2.png", &one), ("c/3.png", &other), ("c/4.png", b"no image")],
        &[("c/1.png", &other), ("c/2.png", &third), ("c/5.png", &third), ("c/4.png", b"no\nimage")],
    );
    let images = change.images.unwrap();
    assert_eq!((images.added, images.removed, images.changed), (1, 1, 3));
    assert_eq!((images.compared, images.same_pixels, images.pixels, images.differ), (2, 1, 4, 1));
    assert!(matches!(change.inside[0].inside, Some(Inside::Text(_))), "{:?}", change.inside);
}

#[test]
fn many_changed_files_are_counted_and_not_all_looked_into() {
    let names: Vec<String> = (0..60).map(|i| format!("{i:02}")).collect();
    let files = |fill: &'static [u8]| -> Vec<(&str, &[u8])> {
        names.iter().map(|name| (name.as_str(), fill)).collect()
    };
    let change = folder(&files(b"a\n"), &files(b"b\n"));
    assert_eq!((change.changed.files, change.inside.len(), change.not_looked_into), (60, 20, 40));
}
