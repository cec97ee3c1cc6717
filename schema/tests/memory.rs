//! What decoding costs in memory: bounded by the bytes, and little for what is refused. One test
//! alone in its process, since it watches the largest resident set.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;

use lab_schema::codec::MAX_ITEMS;
use lab_schema::{Object, Recipe, Run, Tree};

const MIB: u64 = 1 << 20;

fn kilobytes(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Bytes by which the largest resident set grew while `action` ran.
fn peak<T>(action: impl FnOnce() -> T) -> (T, u64) {
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = kilobytes("VmRSS:");
    let result = action();
    (result, kilobytes("VmHWM:").saturating_sub(before) << 10)
}

fn head(major: u8, number: u32) -> Vec<u8> {
    let first = major << 5;
    match number {
        0..24 => vec![first | number as u8],
        24..256 => vec![first | 24, number as u8],
        256..65536 => [&[first | 25][..], &(number as u16).to_be_bytes()].concat(),
        _ => [&[first | 26][..], &number.to_be_bytes()].concat(),
    }
}

fn string(major: u8, bytes: &[u8]) -> Vec<u8> {
    [head(major, bytes.len() as u32), bytes.to_vec()].concat()
}

/// A tree with so many entries, each made out of its number.
fn tree(count: u32, mut entry: impl FnMut(u32) -> Vec<u8>) -> Vec<u8> {
    let mut bytes = [b"\x83\x64tree\x01".to_vec(), head(4, count)].concat();
    (0..count).for_each(|n| bytes.extend_from_slice(&entry(n)));
    bytes
}

fn file(n: u32) -> Vec<u8> {
    let name = string(2, format!("image-{n:08}.png").as_bytes());
    [b"\x84".to_vec(), name, string(3, b"file"), head(0, 20_000 + n), string(2, &[7; 32])].concat()
}

/// The shortest entry that there is.
fn link(n: u32) -> Vec<u8> {
    let digit = |n: u32| b'0' + (n % 200) as u8;
    let name = [digit(n / 40_000), digit(n / 200), digit(n)];
    [b"\x83".to_vec(), string(2, &name), string(3, b"link"), string(2, b"x")].concat()
}

fn array_of(prefix: &[u8], count: u32, item: &[u8]) -> Vec<u8> {
    [prefix.to_vec(), head(4, count), item.repeat(count as usize)].concat()
}

fn recipe_with(params: &[u8]) -> Vec<u8> {
    let bytes = b"\x83\x66recipe\x01\xa5\x66inputs\xa0\x66limits\xa0\x66params\xa1\x61a".to_vec();
    let rest = b"\x67outputs\xa0\x68executor\xa1\x66tensor\xa2\x65stage\x61s\x66engine\x61e";
    [bytes, params.to_vec(), rest.to_vec()].concat()
}

// proves F-09: memory is bounded by what is there, whatever the bytes claim to be.
#[test]
fn decoding_takes_a_small_multiple_of_the_bytes() {
    let (kept, used) = peak(|| vec![1u8; 64 << 20]);
    assert!(used >= kept.len() as u64, "the measure sees {used} bytes of {}", kept.len());
    drop(kept);
    // 64 MiB of what belongs nowhere.
    let count = 64 << 20;
    let marked = b"\x83\x64tree\x01";
    let run = b"\x83\x63run\x01\xa5\x63git\xa1\x65dirty";
    let refused: [(&str, Vec<u8>); 9] = [
        ("numbers for entries", array_of(marked, 5 << 20, &[0])),
        ("more entries than there may be", array_of(marked, count, &[0])),
        ("numbers in an entry", array_of(b"\x83\x64tree\x01\x81", count, &[0])),
        ("lists for entries", array_of(marked, 5 << 20, &[0x80])),
        (
            "a long name",
            [b"\x83\x64tree\x01\x81\x84".to_vec(), string(2, &vec![0xff; count as usize])].concat(),
        ),
        (
            "a long kind",
            [b"\x83\x64tree\x01\x81\x84\x41a".to_vec(), string(3, &vec![0x7f; count as usize])]
                .concat(),
        ),
        (
            "text for a number",
            [
                b"\x83\x64tree\x01\x81\x84\x41a\x64file".to_vec(),
                string(3, &vec![0x7f; count as usize]),
            ]
            .concat(),
        ),
        ("a long mark", [b"\x83".to_vec(), string(3, &vec![0x7f; count as usize])].concat()),
        ("changed paths by the million", array_of(run, count, &[0x60])),
    ];
    for (what, bytes) in refused {
        let (error, peak) = peak(|| match what {
            "changed paths by the million" => Run::decode(&bytes).unwrap_err(),
            _ => Tree::decode(&bytes).unwrap_err(),
        });
        assert!(error.to_string().len() < 1000, "{what}: the message is as long as the bytes");
        assert!(peak < 16 * MIB, "{what} takes {peak} bytes: {error}");
    }

    // As many items as a recipe may have, at the bottom of as many lists as may lie in each other.
    let deep = [vec![0x81; 115], array_of(&[], MAX_ITEMS as u32 - 200, &[0x20])].concat();
    let bytes = recipe_with(&deep);
    let (recipe, used) = peak(|| Recipe::decode(&bytes));
    assert!(recipe.is_ok(), "{recipe:?}");
    assert!(used < 512 * MIB, "a recipe takes {used} bytes");
    drop(recipe);
    let bytes = recipe_with(&array_of(&[], MAX_ITEMS as u32, &[0x20]));
    assert!(Recipe::decode(&bytes).unwrap_err().to_string().contains("too many items"));

    // Sound trees: of files, and of the shortest entries, of which a tree keeps 72 bytes each, and
    // two pieces that malloc makes 32 bytes of.
    let bytes = tree(1_000_000, file);
    let (sound, used) = peak(|| Tree::decode(&bytes).unwrap());
    assert_eq!(sound.entries().len(), 1_000_000);
    assert!(used < 3 * bytes.len() as u64, "{used} bytes for {}", bytes.len());
    drop(sound);
    let bytes = tree(5 << 20, link);
    let (sound, used) = peak(|| Tree::decode(&bytes).unwrap());
    assert_eq!(sound.entries().len(), 5 << 20);
    assert!(used < 1024 * MIB, "{used} bytes for {}", bytes.len());
    drop(sound);
    let error = Tree::decode(&array_of(marked, (5 << 20) + 1, &[0])).unwrap_err();
    assert!(error.to_string().contains("more than 5242880 entries"), "{error}");
}
