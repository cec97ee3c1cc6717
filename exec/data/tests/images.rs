//! PNG and JPEG: Pillow's pixels, golden values of our own, and what must be refused.
#![allow(clippy::unwrap_used)]

use lab_data::{DataError, Images, images, images_resized};

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Images of the fixtures with these names, by path.
fn read(files: &[(&str, &str)], channels: usize) -> Result<Images, String> {
    let files = files.iter().map(|(path, name)| (path.to_string(), fixture(name)));
    images(files, None, channels).map_err(|error| error.to_string())
}

fn pixels(name: &str, channels: usize) -> Vec<u8> {
    let images = read(&[("x/y", name)], channels).unwrap();
    assert_eq!((images.height, images.width, images.channels), (21, 19, channels), "{name}");
    images.pixels
}

fn error(bytes: &[u8]) -> String {
    let files = [("some/file".to_owned(), bytes.to_vec())];
    images(files.into_iter(), None, 3).unwrap_err().to_string()
}

/// FNV-1a of 64 bits.
fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

const COLOUR_JPEGS: [(&str, u64); 6] = [
    ("colour_444.jpg", 0x0287403cc95db0cc),
    ("colour_422.jpg", 0xddea9c4848a5ffdf),
    ("colour_420.jpg", 0x72269607965760b4),
    ("colour_low.jpg", 0xfe384ffe7f852dbe),
    ("progressive.jpg", 0x3b24832b3f6c8d89),
    ("restarts.jpg", 0x3b24832b3f6c8d89),
];

#[test]
fn png_pixels_are_exact() {
    for (name, channels) in [
        ("colour.png", 3),
        ("palette.png", 3),
        ("opaque.png", 3),
        ("grey.png", 1),
        ("bits.png", 1),
        ("deep.png", 1),
    ] {
        assert_eq!(pixels(name, channels), fixture(&format!("{name}.pixels")), "{name}");
    }
    assert_eq!(pixels("colour.png", 1), fixture("colour.png.luma"));
    let grey = fixture("grey.png.pixels");
    let repeated: Vec<u8> = grey.iter().flat_map(|grey| [*grey; 3]).collect();
    assert_eq!(pixels("grey.png", 3), repeated);
}

#[test]
fn jpeg_pixels_are_pillows_within_rounding() {
    let close = |name: &str, found: &[u8], expected: &[u8]| {
        assert_eq!(found.len(), expected.len());
        let distances = || found.iter().zip(expected).map(|(a, b)| a.abs_diff(*b));
        let far = distances().filter(|distance| *distance > 2).count();
        // Chroma that is scaled up may be one unit further off in a few pixels.
        assert!(distances().max() <= Some(3) && far * 200 <= found.len(), "{name}: {far}");
        let sum: i64 = found.iter().zip(expected).map(|(a, b)| i64::from(*a) - i64::from(*b)).sum();
        assert!(sum.unsigned_abs() as usize * 2 < found.len(), "{name} is off by {sum} in all");
    };
    for (name, _) in COLOUR_JPEGS {
        close(name, &pixels(name, 3), &fixture(&format!("{name}.pixels")));
    }
    close("grey.jpg", &pixels("grey.jpg", 1), &fixture("grey.jpg.pixels"));
    close("luma", &pixels("colour_444.jpg", 1), &fixture("colour_444.jpg.luma"));
}

/// The decoder is part of what a recorded result means: these change with it, or not at all.
#[test]
fn jpeg_pixels_are_golden() {
    let found = COLOUR_JPEGS.map(|(name, _)| (name, hash(&pixels(name, 3))));
    assert_eq!(found, COLOUR_JPEGS);
    assert_eq!(hash(&pixels("grey.jpg", 1)), GREY_JPEG);
}

const GREY_JPEG: u64 = 0x0b154d1d122654ae;

#[test]
fn folders_are_classes_and_paths_the_order() {
    let files = [("t/10/b", "colour.png"), ("t/9/z", "grey.png"), ("t/10/a", "colour_444.jpg")];
    let found = read(&files, 3).unwrap();
    assert_eq!(found.paths, ["t/10/a", "t/10/b", "t/9/z"]);
    // Integers are classes in their own order, not in that of their digits.
    assert_eq!(found.classes, ["9", "10"]);
    assert_eq!(found.labels, [1, 1, 0]);
    let length = 21 * 19 * 3;
    assert_eq!(found.pixels[length..2 * length], pixels("colour.png", 3));
    assert_eq!(found.pixels[2 * length..], pixels("grey.png", 3));
    let sorted = [files[2], files[0], files[1]];
    assert_eq!(read(&sorted, 3).unwrap(), found);
    let words = [("dog/1", "colour.png"), ("x/cat/1", "colour.png"), ("10/1", "colour.png")];
    assert_eq!(read(&words, 1).unwrap().classes, ["10", "cat", "dog"]);
}

#[test]
fn other_folders_are_refused() {
    let refused = |files: &[(&str, &str)]| read(files, 3).unwrap_err();
    assert_eq!(refused(&[]), "too few rows: the folder of images is empty");
    assert!(refused(&[("a.png", "colour.png")]).contains("it lies in no folder"));
    assert!(refused(&[("/a.png", "colour.png")]).contains("it lies in no folder"));
    let twice = refused(&[("a/x", "colour.png"), ("a/x", "grey.png")]);
    assert_eq!(twice, "image 'a/x': the same path twice");
    assert_eq!(refused(&[("a/x", "make.py")]), "image 'a/x': it is neither PNG nor JPEG");
    assert!(read(&[("a/x", "colour.png")], 2).unwrap_err().contains("2 channels"));
    let small = small_png(3, 2);
    let files = || [("a/x".to_owned(), fixture("colour.png")), ("b/y".to_owned(), small.clone())];
    let error = images(files().into_iter(), None, 3).unwrap_err();
    assert_eq!(
        error.to_string(),
        "image 'b/y' is 2 x 3, but 'a/x' is 21 x 19 (height x width): all must have the same size"
    );
    let error = images(files().into_iter(), Some((2, 3)), 3).unwrap_err();
    assert_eq!(
        error.to_string(),
        "image 'a/x' is 21 x 19, but what is asked for is 2 x 3 (height x width): all must have \
         the same size"
    );
    assert_eq!(images(files().into_iter().skip(1), Some((2, 3)), 1).unwrap().pixels, [7; 6]);
}

#[test]
fn images_of_any_size_become_one_size() {
    let files = || [("b/y".to_owned(), small_png(3, 2)), ("a/x".to_owned(), fixture("grey.png"))];
    let mut seen = Vec::new();
    let first = |pixels: Vec<u8>, size: (usize, usize)| {
        assert_eq!(pixels.len(), size.0 * size.1);
        seen.push(size);
        Ok::<_, DataError>(pixels[..2].to_vec())
    };
    let found = images_resized(files().into_iter(), (1, 2), 1, first).unwrap();
    assert_eq!(seen, [(2, 3), (21, 19)]);
    assert_eq!((found.height, found.width, found.classes.len()), (1, 2, 2));
    let grey = fixture("grey.png.pixels");
    assert_eq!(found.pixels, [grey[0], grey[1], 7, 7]);
    let whole = |pixels: Vec<u8>, _| Ok::<_, DataError>(pixels);
    let error = images_resized(files().into_iter(), (1, 2), 1, whole).unwrap_err().to_string();
    assert_eq!(error, "image 'b/y': resized it has 6 samples, not 2");
    let none = |_, _| Err(DataError::Empty("nothing"));
    assert!(images_resized(files().into_iter(), (1, 2), 1, none).is_err());
    let huge = images_resized(files().into_iter(), (1 << 16, 1 << 16), 1, whole).unwrap_err();
    assert_eq!(huge.to_string(), "samples of images: the limit is 2147483648");
}

/// A grey PNG, all 7.
fn small_png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&vec![7; (width * height) as usize]).unwrap();
    drop(writer);
    bytes
}

#[test]
fn what_would_change_pixels_is_refused() {
    assert_eq!(
        error(&fixture("glass.png")),
        "image 'some/file' is not opaque at row 12, column 10: put it on a background first"
    );
    assert!(error(&fixture("cmyk.jpg")).contains("4 channels: 1 or 3 is needed"));
    for name in ["colour.png", "colour_444.jpg"] {
        let more = [fixture(name), vec![0]].concat();
        assert!(error(&more).contains("has bytes after its end"));
    }
    // Every bit of a PNG is under a checksum.
    let png = fixture("grey.png");
    for at in 8..png.len() {
        let mut flipped = png.clone();
        flipped[at] ^= 4;
        error(&flipped);
    }
}

#[test]
fn cut_off_images_are_named() {
    let png = fixture("colour.png");
    let cut = error(&png[..png.len() - 20]);
    assert!(cut.starts_with("image 'some/file' is cut off: the chunk IDAT needs"), "{cut}");
    let cut = error(&png[..png.len() - 12]);
    assert!(cut.contains("is cut off: the head of a chunk needs 8 bytes, there are 0"), "{cut}");
    let jpeg = fixture("colour_444.jpg");
    let cut = error(&jpeg[..jpeg.len() - 40]);
    assert_eq!(cut, "image 'some/file' is cut off: the next marker needs 2 bytes, there are 0");
    let cut = error(&jpeg[..30]);
    assert!(cut.contains("is cut off: the segment 0xdb needs 67 bytes"), "{cut}");
}

#[test]
fn sizes_that_lie_take_no_memory() {
    // A PNG that announces 2^31 - 1 pixels a side, with a right checksum.
    let mut png = small_png(1, 1);
    png[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    let mut checksum = flate2::Crc::new();
    checksum.update(&png[12..29]);
    png[29..33].copy_from_slice(&checksum.sum().to_be_bytes());
    assert_eq!(error(&png), "pixels of an image: the limit is 16777216");
    let mut jpeg = fixture("grey.jpg");
    let frame = jpeg.windows(2).position(|bytes| bytes == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
    assert_eq!(error(&jpeg), "pixels of an image: the limit is 16777216");
    jpeg[frame + 5..frame + 7].copy_from_slice(&[0; 2]);
    assert!(error(&jpeg).contains("its size is 0 x 65535"));
}

#[test]
fn palettes_that_lie_are_refused() {
    let png = fixture("palette.png");
    let at = png.windows(4).position(|bytes| bytes == b"PLTE").unwrap() - 4;
    let length = u32::from_be_bytes([0, 1, 2, 3].map(|i| png[at + i])) as usize;
    let with = |palette: &[u8], alphas: &[u8]| {
        let mut file = png[..at].to_vec();
        file.extend(chunk(b"PLTE", palette));
        if !alphas.is_empty() {
            file.extend(chunk(b"tRNS", alphas));
        }
        file.extend_from_slice(&png[at + 12 + length..]);
        error(&file)
    };
    let palette = &png[at + 8..at + 8 + length];
    assert_eq!(with(&palette[1..], &[]), "image 'some/file': the chunk PLTE of 32 bytes");
    assert_eq!(with(&[0; 771], &[]), "image 'some/file': the chunk PLTE of 771 bytes");
    assert_eq!(with(palette, &[255; 12]), "image 'some/file': the chunk tRNS of 12 bytes");
    assert!(with(palette, &[0; 11]).contains("is not opaque at row 0, column 0"));
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut checksum = flate2::Crc::new();
    checksum.update(kind);
    checksum.update(data);
    let length = (data.len() as u32).to_be_bytes();
    [&length, &kind[..], data, &checksum.sum().to_be_bytes()].concat()
}

#[test]
fn chunks_and_frames_that_do_not_belong_are_refused() {
    let png = fixture("grey.png");
    let with = |extra: &[u8]| [&png[..33], extra, &png[33..]].concat();
    let gamma = chunk(b"gAMA", &[0, 0, 0xb1, 0x8f]);
    let files = [("a/b".to_owned(), with(&gamma))];
    let same = images(files.into_iter(), None, 1).unwrap();
    assert_eq!(same.pixels, fixture("grey.png.pixels"), "gamma is not applied");
    let mut damaged = gamma.clone();
    damaged[9] ^= 1;
    assert!(error(&with(&damaged)).contains("CRC"));
    let frames = chunk(b"acTL", &[0, 0, 0, 1, 0, 0, 0, 0]);
    assert!(error(&with(&frames)).contains("several frames"));

    let jpeg = fixture("grey.jpg");
    let at = jpeg.windows(2).position(|bytes| bytes == [0xff, 0xc0]).unwrap();
    let end = at + 2 + usize::from(jpeg[at + 3]);
    let mut deep = jpeg.clone();
    deep[at + 4] = 12;
    assert!(error(&deep).contains("samples of 12 bits: 8 is needed"));
    deep[at + 1] = 0xc9;
    assert!(error(&deep).contains("the coding 0xc9: baseline or progressive is needed"));
    let twice = [&jpeg[..end], &jpeg[at..]].concat();
    assert_eq!(error(&twice), "image 'some/file': two frames");
    let none = [&jpeg[..at], &jpeg[end..]].concat();
    assert_eq!(error(&none), "image 'some/file': it has no frame with a scan");
}
