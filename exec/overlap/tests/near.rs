//! What is nearly equal is found, and what is only alike is not.
#![allow(clippy::unwrap_used)]

mod kit;

use std::f64::consts::PI;

use kit::{digits, idx, idx_of, read, real};
use lab_overlap::{Examples, How, Options, Overlap, Texts, Verdict, folder, overlap};

fn near(train: &Examples, test: &Examples) -> Overlap {
    overlap(train, test, &Options::default()).unwrap()
}

fn each(images: &[Vec<u8>], change: impl Fn(f64) -> f64) -> Vec<Vec<u8>> {
    let byte = |pixel: &u8| change(f64::from(*pixel)).round().clamp(0.0, 255.0) as u8;
    images.iter().map(|image| image.iter().map(byte).collect()).collect()
}

fn moved(images: &[Vec<u8>], down: usize, right: usize) -> Vec<Vec<u8>> {
    let at = |i: usize| ((i / 28).saturating_sub(down) * 28) + (i % 28).saturating_sub(right);
    images.iter().map(|image| (0..784).map(|i| image[at(i)]).collect()).collect()
}

/// Bilinear, by half-pixel centres.
fn resized(images: &[Vec<u8>], side: usize) -> Vec<Vec<u8>> {
    let place = |i: usize| ((i as f64 + 0.5) * 28.0 / side as f64 - 0.5).clamp(0.0, 27.0);
    let pixel = |image: &[u8], i: usize| {
        let (y, x) = (place(i / side), place(i % side));
        let (top, left) = (y.floor(), x.floor());
        let at =
            |y: f64, x: f64| f64::from(image[y.min(27.0) as usize * 28 + x.min(27.0) as usize]);
        let row = |y: f64| at(y, left) + (at(y, left + 1.0) - at(y, left)) * (x - left);
        (row(top) + (row(top + 1.0) - row(top)) * (y - top)).round() as u8
    };
    images.iter().map(|image| (0..side * side).map(|i| pixel(image, i)).collect()).collect()
}

/// What JPEG loses: the cosine transform of blocks of 8 x 8, in steps that grow with frequency.
fn encoded(images: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let cosine = |i: usize, u: usize| {
        let scale = if u == 0 { 0.125f64.sqrt() } else { 0.5 };
        scale * ((2 * i + 1) as f64 * u as f64 * PI / 16.0).cos()
    };
    let encode = |image: &Vec<u8>| {
        let mut found = vec![0f64; 784];
        let at = |y: usize, x: usize| f64::from(image[y.min(27) * 28 + x.min(27)]) - 128.0;
        for (top, left) in (0..4).flat_map(|y| (0..4).map(move |x| (8 * y, 8 * x))) {
            for (u, v) in (0..64).map(|i| (i / 8, i % 8)) {
                let wave = |y: usize, x: usize| cosine(y, u) * cosine(x, v);
                let places = || (0..64).map(|i| (i / 8, i % 8));
                let sum: f64 = places().map(|(y, x)| wave(y, x) * at(top + y, left + x)).sum();
                let step = 12.0 + 6.0 * (u + v) as f64;
                let kept = (sum / step).round() * step;
                for (y, x) in places().filter(|(y, x)| top + y < 28 && left + x < 28) {
                    found[(top + y) * 28 + left + x] += wave(y, x) * kept;
                }
            }
        }
        found.iter().map(|x| (x + 128.0).round().clamp(0.0, 255.0) as u8).collect()
    };
    images.iter().map(encode).collect()
}

#[test]
fn changed_digits_are_found() {
    let digits = digits();
    let train = read("train", &idx(&digits[..3_000]));
    let own = &digits[1_000..1_200];
    let cases = [
        ("brighter", idx(&each(own, |x| x + 40.0)), 195),
        ("darker", idx(&each(own, |x| 0.6 * x)), 195),
        ("of other contrast", idx(&each(own, |x| 1.3 * x - 10.0)), 190),
        ("moved down", idx(&moved(own, 1, 0)), 195),
        ("moved both ways", idx(&moved(own, 1, 1)), 195),
        ("encoded anew", idx(&encoded(own)), 180),
        ("resized to 32", idx_of(&resized(own, 32), 32, 32), 185),
        ("resized to 56", idx_of(&resized(own, 56), 56, 56), 175),
        ("darker and moved", idx(&each(&moved(own, 0, 1), |x| 0.6 * x)), 195),
    ];
    for (change, test, least) in cases {
        let found = near(&train, &read("test", &test));
        assert_eq!((found.verdict(), found.equal.count), (Verdict::Leak, 0), "{change}");
        let shared = found.near.unwrap();
        assert!((least..=200).contains(&shared.count), "{change}: {}", shared.count);
        for pair in found.pairs {
            assert_eq!(pair.train, pair.test + 1_000, "{change}: {pair:?}");
            assert!(matches!(pair.how, How::Near(similarity) if similarity >= 0.997));
        }
    }
}

/// Of 8,000 and 2,000 different digits no two are taken for one, of one class or not.
#[test]
fn different_digits_are_different() {
    let digits = digits();
    let [train, test] =
        [read("train", &idx(&digits[..8_000])), read("test", &idx(&digits[8_000..]))];
    let found = near(&train, &test);
    assert_eq!((found.verdict(), found.near.unwrap().count), (Verdict::Apart, 0));
}

#[test]
fn flat_images_are_not_alike() {
    let flat = |level: u8| idx(&(0..20).map(|i| vec![level + i; 784]).collect::<Vec<_>>());
    let found = near(&read("train", &flat(0)), &read("test", &flat(100)));
    assert_eq!((found.verdict(), found.near.unwrap().count), (Verdict::Apart, 0));
}

fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/../data/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

/// One picture as PNG and as JPEG of several kinds, by other programs.
#[test]
fn pictures_that_were_encoded_anew_are_found() {
    let file = |name: &str| (name.to_owned(), fixture(name));
    let train = folder("train", [file("colour.png")].into_iter()).unwrap();
    let names =
        ["colour_420.jpg", "colour_422.jpg", "colour_444.jpg", "progressive.jpg", "restarts.jpg"];
    let test = folder("test", names.map(file).into_iter()).unwrap();
    let found = near(&train, &test);
    assert_eq!((found.equal.count, found.near.unwrap().count), (0, 5));
    // A grey picture equals itself, in colour or not.
    let grey = folder("grey", [file("grey.png")].into_iter()).unwrap();
    assert_eq!(near(&grey, &grey).equal.count, 1);
    assert_eq!(near(&train, &train).equal.count, 1);
}

fn texts<T: AsRef<str>>(all: impl IntoIterator<Item = T>) -> Examples {
    let mut texts = Texts::new();
    all.into_iter().for_each(|text| texts.push(text.as_ref()).unwrap());
    Examples::Texts(texts)
}

/// What Shakespeare's people say, 60 characters at least.
fn speeches() -> Vec<String> {
    let text = String::from_utf8(real("tinyshakespeare.txt.gz")).unwrap();
    let speeches = text.split("\n\n").filter_map(|speech| speech.split_once(":\n"));
    speeches.map(|(_, said)| said.to_owned()).filter(|said| said.len() >= 60).collect()
}

#[test]
fn changed_texts_are_found() {
    let speeches = speeches();
    assert!(speeches.len() > 3_900, "{}", speeches.len());
    let train = texts(&speeches[..3_000]);
    // One word in twenty is another, capitals, punctuation and line ends are too.
    let change = |text: &String| {
        let words = text.split_whitespace().enumerate();
        let words = words.map(|(at, word)| if at % 20 == 7 { "forsooth" } else { word });
        words.collect::<Vec<_>>().join(" ").to_uppercase().replace(',', ";")
    };
    let changed: Vec<String> = speeches[500..700].iter().map(change).collect();
    let found = near(&train, &texts(&changed));
    assert_eq!((found.verdict(), found.equal.count), (Verdict::Leak, 0));
    let count = found.near.unwrap().count;
    assert!(count >= 190, "{count}");
    assert!(found.pairs.iter().all(|pair| pair.train == pair.test + 500), "{:?}", found.pairs);
    // One word in five is another: that is too much, though half of the shingles are the same.
    let change = |text: &String| {
        let words = text.split_whitespace().enumerate();
        let words = words.map(|(at, word)| if at % 5 == 3 { "forsooth" } else { word });
        words.collect::<Vec<_>>().join(" ")
    };
    let changed: Vec<String> = speeches[500..700].iter().map(change).collect();
    let count = near(&train, &texts(&changed)).near.unwrap().count;
    assert!(count <= 10, "{count}");
}

#[test]
fn different_texts_are_different() {
    let speeches = speeches();
    let found = near(&texts(&speeches[..3_000]), &texts(&speeches[3_000..]));
    let shared = found.near.unwrap();
    assert!(shared.count <= 5, "{shared:?}: {:?}", found.pairs);
    assert_ne!(shared.judgement.verdict, Verdict::Leak);
    // Names differ in a letter, and are names of different people.
    let names = read("names.txt", &real("names.txt.gz"));
    let other = texts(["annabelles", "christophers", "maximiliana", "emma"]);
    let found = near(&names, &other);
    assert_eq!((found.equal.count, found.near.unwrap().count), (1, 1));
}

/// Ten thousand lines of one template take no longer for that, and are no leak.
#[test]
fn templates_are_chance() {
    let line =
        |i: usize| format!("request {i} of the web service was answered in {} ms", i * 7 % 97);
    let found = near(&texts((0..8_000).map(line)), &texts((8_000..10_000).map(line)));
    assert_ne!(found.verdict(), Verdict::Leak);
    assert!(found.near.unwrap().count > 1_000);
}
