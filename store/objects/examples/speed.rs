//! How fast a store takes files in and gives them back: `speed FOLDER MEBIBYTES`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use lab_objects::{Folder, Silent, Store, add};

/// Bytes without structure, or bytes that compress about threefold.
struct Noise {
    state: u64,
    text: bool,
}

impl Read for Noise {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for eight in buffer.chunks_mut(8) {
            self.state =
                self.state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let mixed = (self.state ^ (self.state >> 29)).wrapping_mul(0xbf58476d1ce4e5b9);
            let word = if self.text { mixed >> 44 } else { mixed ^ (mixed >> 32) };
            eight.copy_from_slice(&word.to_le_bytes()[..eight.len()]);
        }
        Ok(buffer.len())
    }
}

fn timed<T>(what: &str, bytes: u64, work: impl FnOnce() -> T) -> T {
    let (start, cpu) = (Instant::now(), cpu_seconds());
    let result = work();
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let rate = |seconds: f64| bytes as f64 / seconds / 1e6;
    println!(
        "{what:28} {seconds:6.2} s {:6.0} MB/s {cpu:6.2} s of CPU {:6.0} MB/s",
        rate(seconds),
        rate(cpu)
    );
    result
}

/// User and system time of this process so far, from Linux, in its hundredths of a second.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split(' ');
    fields.skip(12).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn main() {
    let mut args = std::env::args_os().skip(1);
    let folder = PathBuf::from(args.next().unwrap());
    let bytes = args.next().unwrap().to_str().unwrap().parse::<u64>().unwrap() << 20;
    fs::create_dir(&folder).unwrap();
    let store = Store::create(Arc::new(Folder::create(&folder.join("store")).unwrap())).unwrap();
    for (what, text) in [("random", false), ("compressible", true)] {
        let mut writer = store.writer();
        let source = Noise { state: 7, text };
        timed(&format!("make {what}"), bytes, || {
            io::copy(&mut Noise { state: 7, text }.take(bytes), &mut io::sink()).unwrap()
        });
        let id = timed(&format!("put {what} (with making)"), bytes, || {
            let id = writer.put_blob(&mut source.take(bytes)).unwrap().0;
            writer.finish().unwrap();
            id
        });
        timed(&format!("put {what} again"), bytes, || {
            store.writer().put_blob(&mut Noise { state: 7, text }.take(bytes)).unwrap()
        });
        timed(&format!("read {what}"), bytes, || store.copy(id, &mut io::sink()).unwrap());
    }
    let sparse = folder.join("sparse");
    fs::File::create(&sparse).unwrap().set_len(3 << 30).unwrap();
    timed("add 3 GiB of zeros", 3 << 30, || add(&mut store.writer(), &sparse, &Silent).unwrap());
    let many = folder.join("many");
    for n in 0..10_000 {
        let inner = many.join(format!("{}", n / 500));
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join(format!("{n}.txt")), format!("file number {n}\n").repeat(20)).unwrap();
    }
    let total = 10_000 * 380;
    timed("add 10,000 files", total, || {
        let mut writer = store.writer();
        add(&mut writer, &many, &Silent).unwrap();
        writer.finish().unwrap();
    });
}
