//! How fast a store hashes, cuts, takes files in, gives them back and checks them, on this machine.
//!
//! `cargo bench -p lab-objects` measures made-up text and weights in a folder of its own (TMPDIR says
//! where): megabytes of raw bytes per CPU second of all threads. `cargo bench -p lab-objects --bench
//! speed -- STORE add PATH [CACHE]`, `STORE get ID TARGET` and `STORE check` do that once with
//! what is there, in a new process as in real life, and tell wall time and memory too.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

// Where it cuts is nobody else's business, so it is no public function. (Its tests come along.)
#[allow(dead_code, unused_imports)]
#[path = "../src/chunk.rs"]
mod chunk;
#[path = "../../encoding/benches/kit/mod.rs"]
mod kit;

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use kit::{Kernel, bench, bf16_bytes, cpu_seconds, text, weights};
use lab_objects::{Folder, GetOptions, Silent, StatCache, Store, add, add_cached, check, get};
use lab_schema::{BlobHasher, ContentId};

/// The most memory that this process had, in MiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn disk(path: &Path) -> u64 {
    let meta = fs::symlink_metadata(path).unwrap();
    if !meta.is_dir() {
        return meta.len();
    }
    fs::read_dir(path).unwrap().map(|entry| disk(&entry.unwrap().path())).sum()
}

fn create(folder: &Path) -> Store {
    Store::create(Arc::new(Folder::create(folder).unwrap())).unwrap()
}

fn take_in(store: &Store, path: &Path) -> ContentId {
    let mut writer = store.writer();
    let added = add(&mut writer, path, &Silent).unwrap();
    writer.finish().unwrap();
    added.content
}

/// Cuts as where no layout is known; how many pieces.
fn cut(mut rest: &[u8]) -> usize {
    let (mut cutter, mut pieces) = (chunk::Cutter::default(), 0);
    while let Some(piece) = cutter.next(rest, true) {
        rest = &rest[piece.bytes..];
        pieces += 1;
    }
    pieces
}

/// Bytes of a safetensors file with one tensor.
fn safetensors(tensor: &[u8]) -> Vec<u8> {
    let shape = tensor.len() / 2;
    let mut head = format!(
        "{{\"weight\":{{\"dtype\":\"BF16\",\"shape\":[{shape}],\"data_offsets\":[0,{}]}}}}",
        tensor.len()
    );
    head += &" ".repeat(head.len().next_multiple_of(8) - head.len());
    [&(head.len() as u64).to_le_bytes(), head.as_bytes(), tensor].concat()
}

/// What a store does with one file.
fn kernels<'a>(folder: &'a Path, what: &str, bytes: &'a [u8]) -> Vec<Kernel<'a>> {
    const HASH: &str = "BLAKE3";
    let at = |name: &str| folder.join(format!("{what} {name}"));
    let named = |name: &str| format!("{what}: {name}");
    let (path, fresh, out) = (at("data.safetensors"), at("fresh"), at("out"));
    fs::write(&path, bytes).unwrap();
    let store = Arc::new(create(&at("store")));
    let empty = disk(&at("store"));
    let content = take_in(&store, &path);
    let stored = usize::try_from(disk(&at("store")) - empty).unwrap();
    get(&store, content, &out, &GetOptions::default(), &Silent).unwrap();
    assert!(fs::read(&out).unwrap() == bytes, "what came back differs");
    let (again, taken, checked) = (store.clone(), path.clone(), store.clone());
    let hash = format!("{HASH}, {what}");
    vec![
        Kernel::new(&hash, bytes.len(), || {
            let mut hasher = BlobHasher::new();
            hasher.update(bytes);
            black_box(hasher.finish());
        }),
        Kernel::new(named("cut by content"), bytes.len(), || {
            black_box(cut(bytes));
        })
        .beside(&hash),
        Kernel::new(named("add"), bytes.len(), move || {
            take_in(&create(&fresh), &path);
            fs::remove_dir_all(&fresh).unwrap();
        })
        .stored(stored)
        .beside(&hash),
        Kernel::new(named("add, all known, read again"), bytes.len(), move || {
            assert_eq!(take_in(&again, &taken), content);
        })
        .beside(&hash),
        Kernel::new(named("get"), bytes.len(), move || {
            fs::remove_file(&out).unwrap();
            get(&store, content, &out, &GetOptions::default(), &Silent).unwrap();
        })
        .beside(&hash),
        Kernel::new(named("check"), bytes.len(), move || {
            assert!(check(&checked, true, &Silent).unwrap().findings.is_empty());
        })
        .beside(&hash),
    ]
}

fn main() {
    let args = kit::arguments();
    if let [folder, command, rest @ ..] = args.as_slice() {
        return once(Path::new(folder), command, rest);
    }
    let folder = tempfile::tempdir().unwrap();
    let scale = if kit::in_earnest() { 32 } else { 1 };
    let prose = text(scale << 20);
    let tensor = safetensors(&bf16_bytes(&weights(scale * 512, 1024, 0.0).0));
    let mut all = kernels(folder.path(), "text", &prose);
    all.extend(kernels(folder.path(), "bf16", &tensor));
    bench(all);
}

/// One command on a store that may be there.
fn once(folder: &Path, command: &str, args: &[String]) {
    let start = Instant::now();
    let store = create(folder);
    let before = disk(folder);
    let bytes = match command {
        "add" => {
            let mut cache = args.get(1).map(|path| StatCache::open(Path::new(path)));
            let mut writer = store.writer();
            let added =
                add_cached(&mut writer, Path::new(&args[0]), cache.as_mut(), &Silent).unwrap();
            writer.finish().unwrap();
            if let Some(cache) = cache {
                cache.save().unwrap();
            }
            println!("{:?}, {} files, {} not read", added.content, added.files, added.unchanged);
            added.bytes
        }
        "get" => {
            let digest = args[0].parse().unwrap();
            let tree = ContentId::Tree(lab_schema::TreeId::from_digest(digest));
            let options = GetOptions::default();
            get(&store, tree, &PathBuf::from(&args[1]), &options, &Silent).unwrap().bytes
        }
        "check" => {
            let report = check(&store, true, &Silent).unwrap();
            println!("{report:?}");
            report.bytes
        }
        other => panic!("unknown command {other}"),
    };
    let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds());
    let grown = disk(folder) - before;
    println!(
        "{command:5} {wall:6.2} s wall {cpu:6.2} s CPU {:5} MiB peak; {:.1} MB, {:.0} MB/s per CPU s; stored {:.1} MB, {:.4}",
        peak(),
        bytes as f64 / 1e6,
        bytes as f64 / 1e6 / cpu,
        grown as f64 / 1e6,
        grown as f64 / bytes as f64,
    );
}
