//! On which processors tasks are told that they may run, where there are fewer.

use std::collections::HashMap;
use std::fs;
use std::io;

use crate::memory;
use crate::reply::{Reply, error, put};

/// More than a kernel can be built for; a mask has to fit into what programs have room for.
const MAX_PROCESSORS: u32 = 8192;
/// How many ancestors are asked which processors they chose.
const MOST_ANCESTORS: usize = 16;

/// What tasks have chosen, by their numbers; others have what their ancestors have, or all.
#[derive(Debug, Default)]
pub(crate) struct Masks {
    chosen: HashMap<i32, Vec<u8>>,
}

impl Masks {
    /// `sched_getaffinity`.
    pub(crate) fn get(
        &self,
        thread: i32,
        args: [u64; 6],
        count: u32,
        is_real: &impl Fn() -> bool,
    ) -> io::Result<Option<Reply>> {
        let whole = mask(count);
        if args[1] < whole.len() as u64 || !args[1].is_multiple_of(8) {
            return Ok(error(libc::EINVAL));
        }
        let mask = self.of(asked(thread, args[0])).unwrap_or(&whole);
        match put(thread, args[2], mask, is_real)? {
            Some(Reply::Value(0)) => Ok(Some(Reply::Value(mask.len() as i64))),
            other => Ok(other),
        }
    }

    /// `sched_setaffinity`. The kernel is not asked: it may have none of these processors.
    pub(crate) fn set(
        &mut self,
        thread: i32,
        args: [u64; 6],
        count: u32,
    ) -> io::Result<Option<Reply>> {
        let mut mask = mask(count);
        let len = mask.len().min(usize::try_from(args[1]).unwrap_or(usize::MAX));
        let mut wanted = vec![0; len];
        if !memory::exactly(thread, args[2], &mut wanted)? {
            return Ok(error(libc::EFAULT));
        }
        wanted.resize(mask.len(), 0);
        mask.iter_mut().zip(wanted).for_each(|(there, wanted)| *there &= wanted);
        if mask.iter().all(|byte| *byte == 0) {
            return Ok(error(libc::EINVAL));
        }
        self.chosen.insert(asked(thread, args[0]), mask);
        Ok(Some(Reply::Value(0)))
    }

    /// What a task has chosen, or the process that it belongs to, or the nearest ancestor that has.
    fn of(&self, task: i32) -> Option<&Vec<u8>> {
        let mut at = task;
        for _ in 0..MOST_ANCESTORS {
            if let Some(mask) = self.chosen.get(&at) {
                return Some(mask);
            }
            let text = fs::read_to_string(format!("/proc/{at}/status")).ok()?;
            let number = |name: &str| -> Option<i32> {
                text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
            };
            let process = number("Tgid:")?;
            at = if process == at { number("PPid:")? } else { process };
        }
        None
    }
}

/// Which task is meant: 0 is the one that asks. In a box others have numbers of their own there, which
/// mean nothing here.
fn asked(thread: i32, number: u64) -> i32 {
    if number == 0 { thread } else { number as i32 }
}

/// The first `count` processors, as a mask of whole words.
fn mask(count: u32) -> Vec<u8> {
    let count = count.clamp(1, MAX_PROCESSORS) as usize;
    let bits = |byte: usize| {
        let set = count.saturating_sub(8 * byte).min(8);
        ((1_u16 << set) - 1) as u8
    };
    (0..count.div_ceil(64) * 8).map(bits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_has_as_many_bits() {
        assert_eq!(mask(2), [3, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(mask(8), [255, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(mask(65).len(), 16);
        let ones = |bytes: Vec<u8>| bytes.iter().map(|b| b.count_ones()).sum::<u32>();
        for count in [1, 7, 63, 64, 65, 200, 4096] {
            assert_eq!(ones(mask(count)), count);
        }
    }
}
