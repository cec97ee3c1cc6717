//! Writes the corpus that each target starts from: a few small inputs that reach deep, made by the
//! code under test where it can make them. Takes the folder to write to.

#[allow(dead_code)]
#[path = "../../../store/encoding/tests/weights/make.rs"]
mod make;
#[path = "../../../schema/tests/samples/mod.rs"]
mod samples;

use std::fs;
use std::path::Path;

use lab_encoding::float::Element;
use lab_encoding::{patch, plain, planes};
use lab_fuzz::earlier;
use lab_schema::{Kind, Object};

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).expect("the folder to write to");
    let all = [
        ("pack", pack()),
        ("tail", tail()),
        ("list", list()),
        ("journal", journal()),
        ("stat", vec![vec![0; 5], [&[1][..], &[7; 160]].concat()]),
        ("plain", plain()),
        ("planes", planes()),
        ("delta", delta()),
        ("patch", patches()),
        ("roundtrip", roundtrip()),
        ("layout", layout()),
        ("parquet", parquet()),
        ("object", object()),
        ("ranges", ranges()),
        ("range", range()),
        ("path", paths()),
        ("token", tokens()),
        ("inventory", inventories()),
        ("handed", handed()),
        ("part", parts()),
        ("question", questions()),
        ("answer", answers()),
    ];
    for (target, seeds) in all {
        let folder = Path::new(&folder).join(target);
        fs::create_dir_all(&folder)?;
        for (n, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("seed-{n:02}")), seed)?;
        }
    }
    Ok(())
}

/// Files of several writers, the small ones.
fn parquet() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../exec/parquet/tests/files");
    let names =
        ["delta", "duckdb", "empty", "fastparquet", "gzip", "old_times", "polars", "snappy", "split", "truths", "zstd", "deep2", "lz4"];
    let read = |name: &str| fs::read(format!("{folder}/{name}.parquet")).expect("a file of the tests");
    names.iter().map(|name| read(name)).collect()
}

fn floats(count: usize) -> Vec<u8> {
    (0..count).flat_map(|n| ((n as f32 * 0.7).sin() * 0.02).to_le_bytes()).collect()
}

fn pack() -> Vec<Vec<u8>> {
    let mut planes = Vec::new();
    let stored = {
        let raw = floats(200);
        planes::Coder::new().expect("memory").encode(&raw, Element::F32, &mut planes);
        [&[2, 1, 0x20, 0x03, planes.len().min(255) as u8], &planes[..planes.len().min(255)]]
            .concat()
    };
    vec![
        b"\x00\x05hello\x06\x00\x05again".to_vec(),
        b"\x01\x03abc\xff\x01\x01z\x40\x05\x00\x02\x00\x01\x01\x00".to_vec(),
        b"\x00\x01a\x04\x00\x03\x00\x00\x00\x01\x05\x01\x02\x01\x01\x01\x00".to_vec(),
        b"\x00\x01a\x07\x01d\x00\x02\x07\x01x\x01\x00\x07\x01y\x02\x00".to_vec(),
        b"\x01\x10abcdefghijklmnop\x20\x03\x00\x01\x00\x03\x01\x02\x00\x03\x02\x03\x00".to_vec(),
        stored,
    ]
}

fn tail() -> Vec<Vec<u8>> {
    let block = |stored: u32, bytes: u32| {
        [&stored.to_le_bytes()[..], &bytes.to_le_bytes(), &[1, 2, 3, 4, 0, 0]].concat()
    };
    let frame = |kind: u8, block: u32, start: u32, bytes: u32| {
        [&[kind][..], &[9; 32], &block.to_le_bytes(), &start.to_le_bytes(), &bytes.to_le_bytes()]
            .concat()
    };
    vec![
        [&[2, 10, 0, 1, 0, 1][..], &block(10, 10), &frame(0, 0, 0, 10)].concat(),
        [&[2, 10, 0, 1, 0, 2][..], &block(10, 10), &frame(0, 0, 0, 4), &frame(1, 0, 4, 6)].concat(),
        vec![0; 80],
        [&[1, 0, 0, 0, 0, 0][..], &[255; 12], &[0; 90]].concat(),
    ]
}

fn list() -> Vec<Vec<u8>> {
    let entry = |at: u8, bytes: u64| [&[at, 0][..], &[0; 30], &bytes.to_le_bytes()].concat();
    let one = |list: u8, size: u64, body: Vec<u8>| {
        [&[list][..], &size.to_le_bytes(), &[body.len() as u8], &body].concat()
    };
    let flat = |level: u8, entries: &[Vec<u8>]| [&[level][..], &entries.concat()].concat();
    vec![
        one(0, 303, flat(0, &[entry(0, 1), entry(1, 2), entry(2, 300)])),
        [
            one(1, 0, flat(0, &[entry(3, 5000), entry(0, 1)])),
            one(0, 10_002, flat(1, &[entry(4, 5001), entry(4, 5001)])),
        ]
        .concat(),
    ]
}

fn journal() -> Vec<Vec<u8>> {
    let id = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
    let lines = format!("\x01blob {id}\tcode\t1\tada\tfirst\\ttry\n-\tdataset\t2\tbob\t\\\\\n");
    vec![b"\x00nothing\n".to_vec(), b"\x01-\tcode\t0\t\t".to_vec(), lines.into_bytes()]
}

fn plain() -> Vec<Vec<u8>> {
    [b"abc".repeat(100), vec![0; 5000], floats(100)]
        .iter()
        .filter_map(|raw| {
            let mut coder = plain::Coder::new().expect("memory");
            let stored = coder.encode(raw).expect("memory")?;
            Some([&(raw.len() as u16).to_le_bytes(), stored].concat())
        })
        .collect()
}

fn planes() -> Vec<Vec<u8>> {
    let kinds = [Element::F16, Element::BF16, Element::F32, Element::F64, Element::Other];
    let mut seeds = Vec::new();
    for element in kinds {
        for raw in [floats(300), floats(4).repeat(100), vec![7; 800], b"aab".repeat(333)] {
            let mut stored = (raw.len() as u16).to_le_bytes().to_vec();
            if planes::Coder::new().expect("memory").encode(&raw, element, &mut stored) {
                seeds.push(stored);
            }
        }
    }
    seeds
}

fn delta() -> Vec<Vec<u8>> {
    let kinds = [Element::F16, Element::BF16, Element::F32, Element::F64, Element::Other];
    let mut seeds = Vec::new();
    for (element, len) in kinds.into_iter().zip([1200u16, 3000, 4000, 8000, 1000]) {
        let seed = 37;
        let base = earlier(len, seed);
        let mut raw = base.clone();
        for n in (0..raw.len()).step_by(8) {
            raw[n] = raw[n].wrapping_add((n / 8 % 3) as u8);
        }
        let mut stored = Vec::new();
        if planes::Coder::new().expect("memory").encode_delta(&raw, &base, element, &mut stored) {
            let (short, rest) = stored.split_at(stored.len().min(255));
            let head = [&len.to_le_bytes()[..], &[seed, short.len() as u8]].concat();
            seeds.push([&head[..], short, rest].concat());
        }
    }
    seeds
}

fn patches() -> Vec<Vec<u8>> {
    let (len, seed) = (6000u16, 37);
    let base = earlier(len, seed);
    let texts = [
        base.clone(),
        [&base[..2000], b"an edit", &base[1900..]].concat(),
        [b"other words, other words, and then ", &base[4000..]].concat(),
        floats(500),
    ];
    texts
        .iter()
        .filter_map(|raw| {
            let mut coder = patch::Coder::new().expect("memory");
            let stored = coder.encode(raw, &base, raw.len())?;
            let bytes = (raw.len() as u16).to_le_bytes();
            Some([&len.to_le_bytes()[..], &bytes, &[seed], stored].concat())
        })
        .collect()
}

fn roundtrip() -> Vec<Vec<u8>> {
    (0..5u8)
        .flat_map(|element| {
            let head = |times, step, noise: u16| {
                [&[element, times, step][..], &noise.to_le_bytes()].concat()
            };
            [
                [head(0, 0, 7), floats(300)].concat(),
                [head(9, 1, 3), floats(40)].concat(),
                [head(200, 255, 1000), b"text ".to_vec()].concat(),
            ]
        })
        .collect()
}

fn layout() -> Vec<Vec<u8>> {
    let header = r#"{"__metadata__":{"format":"pt"},"a.w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"BF16","shape":[4],"data_offsets":[16,24]}}"#;
    let vector = make::vector("'<f4'", 4, &[0; 16]);
    let doubles =
        make::npy(2, "{'descr': '<f8', 'fortran_order': True, 'shape': (2, 1), }\n", &[0; 16]);
    let metadata = [
        make::entry("general.alignment", 4, &32u32.to_le_bytes()),
        make::entry(
            "tags",
            9,
            &make::array(8, 2, &[make::string("x"), make::string("y")].concat()),
        ),
    ];
    let table: [make::Line<'_>; 2] = [("t", &[4, 2], 0, 0), ("q", &[32], 2, 32)];
    let gguf = make::gguf_with(make::gguf(3, &metadata, &table), 32, &[0; 64]);
    let storages = [("FloatStorage", "0"), ("BFloat16Storage", "1")];
    let data: [(&str, &[u8]); 2] = [("0", &[0; 16]), ("1", &[0; 8])];
    let files = [
        make::safetensors(header, &[0; 24]),
        make::many(3),
        vector.clone(),
        doubles.clone(),
        make::Zip::default().of(&[("a.npy", &vector), ("b.npy", &doubles)]),
        make::Zip { wide: true, comment: 3, ..make::Zip::default() }.of(&[("a.npy", &vector)]),
        make::Zip { method: 8, ..make::Zip::default() }.of(&[("a.npy", &vector)]),
        gguf,
        make::checkpoint(&make::pickle(&storages), Some("little"), &data),
        make::checkpoint(&make::pickle4(&storages), None, &data),
    ];
    files.iter().map(|file| [&[0][..], file].concat()).collect()
}

fn object() -> Vec<Vec<u8>> {
    let one = |kind: Kind, bytes: Vec<u8>| [&[kind as u8][..], &bytes].concat();
    vec![
        one(Kind::Tree, samples::tree().encode()),
        one(Kind::Recipe, samples::recipe().encode()),
        one(Kind::Run, samples::run().encode()),
        one(Kind::Attestation, samples::attestation().encode()),
        one(Kind::Signature, samples::signature().encode()),
        one(Kind::Evaluation, samples::evaluation().encode()),
        one(Kind::Aliases, samples::aliases().encode()),
    ]
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// What stands for words here is said in `served.rs`.
fn ranges() -> Vec<Vec<u8>> {
    let absent = format!("packs/{}.pack 0 9\nformat 3 4\n", "0a".repeat(32));
    let many = "\x02 1 1\n".repeat(256);
    texts(&[
        "\x01 0 10\n\x02 3 8\nnames/other 0 1\n",
        "\x01 5 8388608\r\n",
        &absent,
        &many,
        "\x01 +1 -1\n\x02 1\n",
    ])
}

fn range() -> Vec<Vec<u8>> {
    texts(&[
        "bytes=0-9",
        "bytes=5-",
        "bytes=-5",
        "bytes=0-0,5-9",
        "bytes=9999-",
        "bytes=3-18446744073709551615",
    ])
}

fn paths() -> Vec<Vec<u8>> {
    texts(&[
        "\x00one/format",
        "\x00one/\x01",
        "\x00two/\x02",
        "\x01one/\x02?x",
        "\x00%6fne/names/%6e",
        "\x02one/../two/names/n",
        "\x00one/names/..%2f..%2ftwo%2fformat",
        "\x03one/ranges",
        "\x04one/leases",
        "\x00-/health",
        "\x00-/metrics",
    ])
}

fn tokens() -> Vec<Vec<u8>> {
    texts(&[
        "\x00Bearer \x03",
        "\x02bearer \x04",
        "\x01BEARER  \x05",
        "\x00Bearer \x06",
        "\x02Basic \x03",
        "\x00\x03",
    ])
}

fn inventories() -> Vec<Vec<u8>> {
    let digits = "0a".repeat(32);
    let known = format!("\x01condemned/{digits} 0\npacks/{digits}.pack 4000\nnames/a.b 7\n");
    texts(&[
        &known,
        "\x01locks/x 1\nnames/a 1\nnewer 3\n",
        "\x01names/a 1\nnames/a 2\n",
        "\x00lab inventory 2\n",
    ])
}

fn handed() -> Vec<Vec<u8>> {
    let found = |bytes: &[u8]| [&(bytes.len() as u64).to_le_bytes()[..], bytes].concat();
    let absent = u64::MAX.to_le_bytes();
    vec![
        [&[1, 9, 9, 9][..], &found(b"123456789"), &absent, &found(b"")].concat(),
        [&[0, 200, 3][..], &found(b"less than there could be"), &found(b"abc")].concat(),
        [&[0, 1, 1][..], &found(b"too much"), &absent].concat(),
        [&[0, 1, 1][..], &(u64::MAX - 1).to_le_bytes(), &absent].concat(),
    ]
}

fn parts() -> Vec<Vec<u8>> {
    let part = |server: u8, status: u8, from: u8, len: u16, range: &str, body: &[u8]| {
        let head = [&[server, status, from][..], &len.to_le_bytes(), &[range.len() as u8]].concat();
        [&head[..], range.as_bytes(), body].concat()
    };
    vec![
        part(0, 1, 3, 10, "bytes 3-12/*", b"0123456789"),
        part(1, 1, 3, 4, "bytes 3-6/100", b"0123"),
        part(1, 0, 3, 4, "", b"the whole file"),
        part(0, 1, 3, 4, "bytes 4-7/8", b"0123"),
        part(0, 4, 200, 4, "bytes */8", b""),
        part(1, 2, 0, 4, "", b"<html>"),
    ]
}

fn questions() -> Vec<Vec<u8>> {
    let line = b"-\tcode\t5\tada\tthe end";
    let [zeros, many] = [[0; 8], 80u64.to_le_bytes()];
    vec![
        // A pack as it is; one with a wrong byte; what is read and listed.
        b"\x01\x00\x01\x00\x00\x00".to_vec(),
        b"\x01\x01\x01\x00\x14\x00\x04".to_vec(),
        [&b"\x01\x00\x04\x00\x05\x00"[..], &zeros, &many, b"\x06\x00\x02\x07\x00\x87\x00"].concat(),
        // A journal that goes on, one that is new; an upload; anything; bytes as they are.
        [&b"\x01\x00\x83\x00\x00"[..], &[line.len() as u8], line, b"\x04\x00"].concat(),
        [&b"\x01\x00\x03\x00\x01"[..], &[line.len() as u8], line].concat(),
        b"\x01\x00\x82\x00\x05bytes\x00\x00\x00\x08\x03abc".to_vec(),
        [&[0][..], &lab_fuzz::wire::message(0, 1, 1, &[1, 0, 0])].concat(),
    ]
}

fn answers() -> Vec<Vec<u8>> {
    let name = [&[2, 1, 0, b'n'][..], &7u64.to_le_bytes()].concat();
    let list = [&[5, 0, 0, 1, name.len() as u8][..], &name, b"\x00\x02\x01\x00"].concat();
    vec![
        b"\x00\x00\x00\x01\x0clab store 2\n\x00\x02\x01\x00".to_vec(),
        b"\x01\x08\x00\x05\x00\x00\x01\x04four\x00\x02\x01\x00".to_vec(),
        b"\x02\x00\x00\x02\x01\x00".to_vec(),
        b"\x03\x00\x00\x04\x05\x04\x00\x01\x00x".to_vec(),
        b"\x04\x00\xff\x03\x00\x00\x02\x01\x00".to_vec(),
        list,
    ]
}
