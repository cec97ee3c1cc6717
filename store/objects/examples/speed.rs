//! How fast a store takes files in, gives them back and checks them:
//! `speed STORE add PATH [CACHE]`, `speed STORE get ID TARGET`, `speed STORE check`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use lab_objects::{Folder, GetOptions, Silent, StatCache, Store, add_cached, check, get};
use lab_schema::ContentId;

/// User and system time of this process so far, from Linux, in its hundredths of a second.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split(' ');
    fields.skip(12).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

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

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let folder = PathBuf::from(&args[0]);
    let start = Instant::now();
    let store = Store::create(Arc::new(Folder::create(&folder).unwrap())).unwrap();
    let before = disk(&folder);
    let bytes = match args[1].as_str() {
        "add" => {
            let mut cache = args.get(3).map(|path| StatCache::open(Path::new(path)));
            let mut writer = store.writer();
            let added =
                add_cached(&mut writer, Path::new(&args[2]), cache.as_mut(), &Silent).unwrap();
            writer.finish().unwrap();
            if let Some(cache) = cache {
                cache.save().unwrap();
            }
            println!("{:?}, {} files, {} not read", added.content, added.files, added.unchanged);
            added.bytes
        }
        "get" => {
            let digest = args[2].parse().unwrap();
            let tree = ContentId::Tree(lab_schema::TreeId::from_digest(digest));
            let options = GetOptions::default();
            get(&store, tree, Path::new(&args[3]), &options, &Silent).unwrap().bytes
        }
        "check" => {
            let report = check(&store, true, &Silent).unwrap();
            println!("{report:?}");
            report.bytes
        }
        other => panic!("unknown command {other}"),
    };
    let (wall, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds());
    let grown = disk(&folder) - before;
    println!(
        "{:5} {wall:6.2} s wall {cpu:6.2} s CPU {:5} MiB peak; {:.1} MB, {:.0} MB/s per CPU s; stored {:.1} MB, {:.4}",
        args[1],
        peak(),
        bytes as f64 / 1e6,
        bytes as f64 / 1e6 / cpu,
        grown as f64 / 1e6,
        grown as f64 / bytes as f64,
    );
}
