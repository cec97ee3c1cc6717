//! Archives, checkpoints and images, with one thing changed; and damaged ones. `data/make.py` made those
//! that come from elsewhere.

use proptest::prelude::*;

use super::{at, diff, tolerance};

macro_rules! data {
    ($name:literal) => {
        include_bytes!(concat!("../data/", $name))
    };
}

#[test]
fn checkpoints_are_compared_by_tensor_and_by_value() {
    let (a, b, c) = (data!("a.pt"), data!("b.pt"), data!("c.pt"));
    assert_eq!(diff(a, a, None), None);
    let found = diff(a, b, None).unwrap();
    assert_eq!(at(&found), "optimizer.state.0.exp_avg[1, 2]");
    assert_eq!((found.actual.as_str(), found.tolerated), ("7.0", false));
    assert!(found.share.unwrap() < 0.05 && found.relative_l2.unwrap() > 0.0, "{found:?}");
    assert!(diff(a, b, tolerance(10.0, 0.0)).unwrap().tolerated);
    let found = diff(a, c, None).unwrap();
    assert_eq!((at(&found), found.expected.as_str(), found.actual.as_str()), ("epoch", "5", "6"));
    // One that was turned lies column by column.
    let turned: Vec<u8> = (0..6).flat_map(|n| f64::from(n).to_le_bytes()).collect();
    let place = a.windows(48).position(|window| window == turned).unwrap();
    let mut other = a.to_vec();
    other[place + 8..place + 16].copy_from_slice(&9.5_f64.to_le_bytes());
    let found = diff(a, &other, None).unwrap();
    assert_eq!((at(&found), found.actual.as_str()), ("model.0.turned[1, 0]", "9.5"));
}

#[test]
fn archives_of_arrays_are_compared_by_element() {
    for (a, b) in [
        (&data!("stored-a.npz")[..], &data!("stored-b.npz")[..]),
        (data!("packed-a.npz"), data!("packed-b.npz")),
    ] {
        let found = diff(a, b, None).unwrap();
        assert!(at(&found).starts_with("weights") && at(&found).ends_with("[2, 1]"), "{found:?}");
        assert_eq!((found.expected.as_str(), found.actual.as_str()), ("9.0", "10.0"));
        assert!(diff(a, b, tolerance(2.0, 0.0)).unwrap().tolerated);
    }
    // The same values, packed and not.
    let found = diff(data!("stored-a.npz"), data!("packed-a.npz"), None).unwrap();
    assert!(at(&found).contains("all values are equal"), "{found:?}");
}

/// A zip archive of members that lie there as they are, made at some time.
fn zip(time: u16, members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in members {
        let offset = file.len() as u32;
        let mut fields = vec![20, 0, 0, 0, 0, 0];
        fields.extend(time.to_le_bytes());
        fields.extend([0; 6]);
        let len = (bytes.len() as u32).to_le_bytes();
        fields.extend([len, len].concat());
        fields.extend((name.len() as u16).to_le_bytes());
        fields.extend([0; 2]);
        file.extend(b"PK\x03\x04");
        file.extend(&fields);
        file.extend(name.as_bytes());
        file.extend(*bytes);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&fields);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, len) = (file.len() as u32, directory.len() as u32);
    file.extend(directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend([(members.len() as u16).to_le_bytes(); 2].concat());
    file.extend([len.to_le_bytes(), start.to_le_bytes()].concat());
    file.extend([0; 2]);
    file
}

#[test]
fn other_archives_are_compared_by_member() {
    let of = |members: &[(&str, &[u8])]| zip(1, members);
    let a = of(&[("b.json", b"{\"x\": 1}"), ("a.txt", b"one\n")]);
    let found = diff(&a, &of(&[("b.json", b"{\"x\": 2}"), ("a.txt", b"one\n")]), None).unwrap();
    assert_eq!((at(&found), found.share), ("b.json: x", Some(0.5)));
    let found = diff(&a, &of(&[("b.json", b"{\"x\": 1}")]), None).unwrap();
    assert_eq!((at(&found), found.actual.as_str()), ("a.txt", "no such file"));
    // Times of members and their order are no values, and a declared tolerance covers them.
    let later = zip(2, &[("a.txt", b"one\n"), ("b.json", b"{\"x\": 1}")]);
    let found = diff(&a, &later, None).unwrap();
    assert!(at(&found).contains("all values are equal") && !found.tolerated, "{found:?}");
    assert!(diff(&a, &later, tolerance(0.0, 0.0)).unwrap().tolerated);
    // What is behind a comment of the archive, and an archive in one.
    let outer = of(&[("inner.zip", &a)]);
    let found = diff(&outer, &of(&[("inner.zip", &later)]), None).unwrap();
    assert!(at(&found).starts_with("inner.zip: byte "), "{found:?}");
}

fn png(width: u32, color: png::ColorType, text: &str, pixels: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let height = (pixels.len() / color.samples()) as u32 / width;
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(color);
    encoder.add_text_chunk("Software".to_owned(), text.to_owned()).unwrap();
    encoder.write_header().unwrap().write_image_data(pixels).unwrap();
    file
}

#[test]
fn images_are_compared_by_pixel() {
    let rgb = png::ColorType::Rgb;
    let pixels: Vec<u8> = (0..36).collect();
    let mut others = pixels.clone();
    (others[19], others[35]) = (22, 99);
    let a = png(4, rgb, "one", &pixels);
    let found = diff(&a, &png(4, rgb, "one", &others), None).unwrap();
    assert_eq!((at(&found), found.share), ("column 2, row 1", Some(2.0 / 12.0)));
    assert_eq!((found.expected.as_str(), found.actual.as_str()), ("18 19 20", "18 22 20"));
    let found = diff(&a, &png(4, rgb, "one", &others), tolerance(5.0, 0.0)).unwrap();
    assert_eq!((at(&found), found.tolerated), ("column 3, row 2", false));
    let found = diff(&a, &png(3, rgb, "one", &pixels), None).unwrap();
    assert_eq!((found.at.as_deref(), found.actual.as_str()), (None, "3 x 4, Rgb of 8 bits"));
    let found = diff(&a, &png(4, rgb, "another", &pixels), None).unwrap();
    assert!(at(&found).contains("all values are equal"), "{found:?}");
    // Cut off, it is bytes.
    assert!(at(&diff(&a, &a[..a.len() - 20], None).unwrap()).starts_with("byte "));
}

proptest! {
    #[test]
    fn a_damaged_archive_or_image_is_no_trouble(
        which in 0_usize..6, at in 0_usize..7000, byte: u8, cut in 0_usize..7000
    ) {
        let files: [&[u8]; 6] = [
            data!("a.pt"), data!("b.pt"), data!("stored-a.npz"), data!("packed-b.npz"),
            &zip(1, &[("a", b"b"), ("c", b"d")]),
            &png(4, png::ColorType::Rgba, "x", &[7; 64]),
        ];
        let mut file = files[which].to_vec();
        let len = file.len();
        file[at % len] = byte;
        let damaged = &file[..len - cut % len];
        let found = diff(files[which], damaged, None);
        prop_assert_eq!(found.is_none(), files[which] == damaged);
    }
}
