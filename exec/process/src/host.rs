//! The machine: facts that can change a result.
//!
//! Read from `/proc` on Linux, at each call: it takes well under a millisecond. What cannot be
//! read is left empty, never guessed, and never a reason to refuse a run. Host name, addresses
//! and owner are not looked at: they identify a person and explain no difference.

use std::fs::File;
use std::io::Read;

use lab_schema::Host;

/// Most bytes of a `/proc` file that are read; 1,024 processors describe themselves in less.
const MAX_PROC_BYTES: u64 = 4 << 20;

/// Flags of `/proc/cpuinfo` that numerical libraries choose their kernels by: exact names.
const FEATURES: [&str; 15] = [
    "sse4_1", "sse4_2", "avx", "avx2", "fma", "f16c", "bmi2", "asimd", "asimdhp", "asimddp",
    "asimdfhm", "neon", "bf16", "i8mm", "fphp",
];

/// Starts of the names of whole families: AVX-512 and AVX-VNNI, AMX, SVE, SME.
const FAMILIES: [&str; 5] = ["avx512", "avx_", "amx", "sve", "sme"];

/// The machine on which this process runs.
pub fn host() -> Host {
    let cpuinfo = proc_file("/proc/cpuinfo");
    Host {
        os: std::env::consts::OS.to_owned(),
        kernel: proc_file("/proc/sys/kernel/osrelease").trim().to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        cpu: cpu_model(&cpuinfo),
        cpu_features: cpu_features(&cpuinfo),
        cpus: std::thread::available_parallelism()
            .map_or(0, |n| u32::try_from(n.get()).unwrap_or(u32::MAX)),
        memory_bytes: memory_bytes(&proc_file("/proc/meminfo")),
        lab: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// The text of a `/proc` file; empty where there is none.
fn proc_file(path: &str) -> String {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|f| f.take(MAX_PROC_BYTES).read_to_end(&mut bytes));
    if read.is_err() {
        return String::new();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The value of the first line that starts with `key`, as in `key : value`.
fn first<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(k, _)| k.trim() == key).map(|(_, value)| value.trim())
}

/// x86 states a name; Arm states numbers, which together are one.
fn cpu_model(cpuinfo: &str) -> String {
    if let Some(model) = first(cpuinfo, "model name") {
        return model.to_owned();
    }
    match (first(cpuinfo, "CPU implementer"), first(cpuinfo, "CPU part")) {
        (Some(implementer), Some(part)) => {
            let variant = first(cpuinfo, "CPU variant").unwrap_or("0x0");
            let revision = first(cpuinfo, "CPU revision").unwrap_or("0");
            format!("arm implementer {implementer} part {part} variant {variant} r{revision}")
        }
        _ => String::new(),
    }
}

fn cpu_features(cpuinfo: &str) -> Vec<String> {
    let flags = first(cpuinfo, "flags").or_else(|| first(cpuinfo, "Features")).unwrap_or_default();
    let mut kept: Vec<String> = flags
        .split_whitespace()
        .filter(|flag| FEATURES.contains(flag) || FAMILIES.iter().any(|f| flag.starts_with(f)))
        .map(str::to_owned)
        .collect();
    kept.sort();
    kept.dedup();
    kept
}

fn memory_bytes(meminfo: &str) -> u64 {
    let kib = first(meminfo, "MemTotal").and_then(|v| v.split_whitespace().next()?.parse().ok());
    kib.map_or(0, |kib: u64| kib.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x86_is_read() {
        let text = "processor\t: 0\nmodel name\t: Maker CPU @ 2.0GHz\nflags\t\t: fpu sse4_2 avx \
                    avx512f fma amx_tile avx_vnni avx\n\nprocessor\t: 1\nmodel name\t: Other\n";
        assert_eq!(cpu_model(text), "Maker CPU @ 2.0GHz");
        let features = ["amx_tile", "avx", "avx512f", "avx_vnni", "fma", "sse4_2"];
        assert_eq!(cpu_features(text), features);
    }

    #[test]
    fn arm_is_read() {
        let text = "Features\t: fp asimd sve2 crc32\nCPU implementer\t: 0x41\nCPU variant\t: 0x1\n\
                    CPU part\t: 0xd40\nCPU revision\t: 1\n";
        assert_eq!(cpu_model(text), "arm implementer 0x41 part 0xd40 variant 0x1 r1");
        assert_eq!(cpu_features(text), ["asimd", "sve2"]);
    }

    #[test]
    fn nonsense_gives_empty_facts() {
        for text in ["", ":::", "flags", "MemTotal: lots kB", "MemTotal:"] {
            assert_eq!(cpu_model(text), "");
            assert!(cpu_features(text).is_empty());
            assert_eq!(memory_bytes(text), 0);
        }
        assert_eq!(memory_bytes("MemTotal: 18446744073709551615 kB"), u64::MAX);
        assert_eq!(memory_bytes("MemTotal:       16 kB\n"), 16384);
    }

    #[test]
    fn this_machine_has_facts() {
        let host = host();
        assert_eq!(host.os, std::env::consts::OS);
        assert!(host.cpus > 0);
        assert_eq!(host.lab, env!("CARGO_PKG_VERSION"));
        if cfg!(target_os = "linux") {
            assert!(!host.kernel.is_empty());
            assert!(host.memory_bytes > 0);
        }
    }
}
