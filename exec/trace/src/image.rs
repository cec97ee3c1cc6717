//! What a program finds in its memory when it starts, and would use without asking the kernel: the
//! kernel's own code for reading clocks and drawing random bytes (the vDSO), and the bytes at
//! `AT_RANDOM`.
//!
//! The functions of the vDSO are overwritten so that they ask the kernel, which asks us. The page
//! belongs to the process; what is written there is seen by it and its children alone. vdso(7) names
//! the functions, elf(5) and getauxval(3) the tables.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

const AT_RANDOM: u64 = 25;
const AT_SYSINFO_EHDR: u64 = 33;

const SHT_DYNSYM: u32 = 11;
/// Bytes of a section header, and of a symbol.
const HEADER: usize = 64;
const SYMBOL: usize = 24;

/// What a function of the vDSO becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instead {
    /// The call of the kernel with this number and the same arguments.
    Call(u32),
    /// It fails as on a kernel that does not have it (`ENOSYS`); programs make the call instead.
    Nothing,
}

#[cfg(target_arch = "x86_64")]
const CLOCKS: [(&str, Instead); 3] = [
    ("__vdso_clock_gettime", Instead::Call(libc::SYS_clock_gettime as u32)),
    ("__vdso_gettimeofday", Instead::Call(libc::SYS_gettimeofday as u32)),
    ("__vdso_time", Instead::Call(libc::SYS_time as u32)),
];
#[cfg(target_arch = "x86_64")]
const ENTROPY: (&str, Instead) = ("__vdso_getrandom", Instead::Nothing);

#[cfg(target_arch = "aarch64")]
const CLOCKS: [(&str, Instead); 2] = [
    ("__kernel_clock_gettime", Instead::Call(libc::SYS_clock_gettime as u32)),
    ("__kernel_gettimeofday", Instead::Call(libc::SYS_gettimeofday as u32)),
];
#[cfg(target_arch = "aarch64")]
const ENTROPY: (&str, Instead) = ("__kernel_getrandom", Instead::Nothing);

impl Instead {
    /// As instructions.
    #[cfg(target_arch = "x86_64")]
    fn code(self) -> Vec<u8> {
        match self {
            // mov eax, number; syscall; ret
            Instead::Call(number) => {
                [&[0xb8][..], &number.to_le_bytes(), &[0x0f, 0x05, 0xc3]].concat()
            }
            // mov rax, -ENOSYS; ret
            Instead::Nothing => {
                [&[0x48, 0xc7, 0xc0][..], &(-libc::ENOSYS).to_le_bytes(), &[0xc3]].concat()
            }
        }
    }

    /// As instructions.
    #[cfg(target_arch = "aarch64")]
    fn code(self) -> Vec<u8> {
        let words: Vec<u32> = match self {
            // mov x8, number; svc 0; ret
            Instead::Call(number) => vec![0xd280_0008 | number << 5, 0xd400_0001, 0xd65f_03c0],
            // movn x0, ENOSYS - 1; ret
            Instead::Nothing => vec![0x9280_0000 | (libc::ENOSYS as u32 - 1) << 5, 0xd65f_03c0],
        };
        words.into_iter().flat_map(u32::to_le_bytes).collect()
    }
}

/// Changes the image of a process that has just become a program.
///
/// # Errors
///
/// If its memory cannot be written to. A process that has ended meanwhile is none.
pub(crate) fn change(process: i32, random: Option<[u8; 16]>, clocks: bool) -> io::Result<()> {
    let path = format!("/proc/{process}/mem");
    match OpenOptions::new().write(true).open(path).and_then(|memory| {
        let auxiliary = fs::read(format!("/proc/{process}/auxv"))?;
        let value = |kind| auxiliary_value(&auxiliary, kind);
        if let (Some(bytes), Some(at)) = (random, value(AT_RANDOM)) {
            memory.write_all_at(&bytes, at)?;
        }
        // Without a vDSO every program asks the kernel.
        let Some(base) = value(AT_SYSINFO_EHDR).filter(|base| *base != 0) else { return Ok(()) };
        let entropy = random.is_some().then_some(&ENTROPY);
        let clocks = if clocks { &CLOCKS[..] } else { &[] };
        for (name, instead) in clocks.iter().chain(entropy) {
            // What this kernel does not have is not called.
            if let Some(offset) = offset(name)? {
                memory.write_all_at(&instead.code(), base + offset)?;
            }
        }
        Ok(())
    }) {
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => Ok(()),
        other => other,
    }
}

/// A value of the auxiliary vector: pairs of eight bytes each, to the first of kind 0.
fn auxiliary_value(vector: &[u8], kind: u64) -> Option<u64> {
    let word = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).ok();
    let pairs = vector.chunks_exact(16).map_while(|p| Some((word(&p[..8])?, word(&p[8..])?)));
    pairs.into_iter().find(|(k, _)| *k == kind).map(|(_, value)| value)
}

/// How far into the vDSO a function is. All processes of a kernel have the same one, so we look at
/// our own.
fn offset(name: &str) -> io::Result<Option<u64>> {
    static OWN: OnceLock<Result<Vec<(String, u64)>, String>> = OnceLock::new();
    let own = OWN.get_or_init(|| own_vdso().map_err(|e| e.to_string()));
    match own {
        Ok(symbols) => Ok(symbols.iter().find(|(known, _)| known == name).map(|(_, at)| *at)),
        Err(e) => Err(io::Error::other(format!("the vDSO cannot be read: {e}"))),
    }
}

/// The symbols of our own vDSO.
fn own_vdso() -> io::Result<Vec<(String, u64)>> {
    let maps = fs::read_to_string("/proc/self/maps")?;
    let Some(line) = maps.lines().find(|line| line.ends_with("[vdso]")) else {
        return Ok(Vec::new());
    };
    let range = line.split(' ').next().and_then(|range| {
        let (from, to) = range.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        Some((number(from)?, number(to)?))
    });
    let (from, to) = range.ok_or(io::ErrorKind::InvalidData)?;
    let mut image = vec![0; usize::try_from(to - from).map_err(io::Error::other)?];
    File::open("/proc/self/mem")?.read_exact_at(&mut image, from)?;
    symbols(&image).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The symbols of a small ELF file of 64 bits: names, and where they are.
fn symbols(image: &[u8]) -> Option<Vec<(String, u64)>> {
    let bytes = |at: usize, len: usize| image.get(at..at.checked_add(len)?);
    // Fields by where they are in what begins at `at`.
    let long = |at: usize, field: usize| {
        let bytes = bytes(at.checked_add(field)?, 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?) as usize)
    };
    let word = |at: usize, field: usize| {
        let bytes = bytes(at.checked_add(field)?, 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    let count = u16::from_le_bytes(bytes(0x3c, 2)?.try_into().ok()?);
    let table = long(0, 0x28)?;
    let header = |n: usize| table.checked_add(n.checked_mul(HEADER)?);
    let is_dynamic = |at: &usize| word(*at, 4) == Some(SHT_DYNSYM);
    let dynamic = (0..count.into()).filter_map(header).find(is_dynamic)?;
    let strings = long(header(word(dynamic, 0x28)? as usize)?, 0x18)?;
    let (at, size) = (long(dynamic, 0x18)?, long(dynamic, 0x20)?);
    let mut all = Vec::new();
    for symbol in bytes(at, size)?.chunks_exact(SYMBOL) {
        let name = u32::from_le_bytes(symbol[..4].try_into().ok()?) as usize;
        let value = u64::from_le_bytes(symbol[8..16].try_into().ok()?);
        let name = image.get(strings.checked_add(name)?..)?.split(|b| *b == 0).next()?;
        all.push((String::from_utf8_lossy(name).into_owned(), value));
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_of_the_kernel_are_found() {
        let known = own_vdso().unwrap();
        if known.is_empty() {
            return; // This machine has none.
        }
        for (name, _) in CLOCKS {
            let at = offset(name).unwrap().unwrap_or_else(|| panic!("{name}: {known:?}"));
            assert!(at > 0, "{name} at {at}");
        }
        assert_eq!(offset("nothing of the kind").unwrap(), None);
    }

    #[test]
    fn what_is_no_table_is_none() {
        for image in [&[][..], &[0; 64], &[0xff; 64], &[0xff; 4096]] {
            assert!(symbols(image).is_none_or(|s| s.is_empty()));
        }
    }
}
