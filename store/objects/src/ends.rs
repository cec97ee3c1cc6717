//! The ends of a far store's packs, kept on this machine.
//!
//! An end is a pack's table of contents, and the pack's name is its checksum: what is kept is believed
//! only if it fits the name. So this is a cache that anybody may empty or fill.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use crate::atomic;
use crate::backend::PackId;
use crate::pack::{Tail, parse_tail};

/// Most bytes that are kept; beyond them those go first that came first.
const MOST: u64 = 256 << 20;
/// A table of contents is no longer.
const LONGEST: u64 = 64 << 20;
/// So many bytes are kept between two looks at how many there are.
const LOOK: u64 = 16 << 20;

/// Ends of packs in a folder.
#[derive(Debug)]
pub(crate) struct Ends {
    folder: PathBuf,
    since: AtomicU64,
}

impl Ends {
    pub(crate) fn in_folder(folder: &Path) -> Ends {
        // The first that is kept has a look.
        Ends { folder: folder.to_owned(), since: AtomicU64::new(LOOK) }
    }

    /// The end of a pack of so many bytes, if it is kept.
    pub(crate) fn find(&self, id: PackId, pack_bytes: u64) -> Option<Tail> {
        let path = self.folder.join(id.to_string());
        let there = fs::metadata(&path).ok()?;
        if !there.is_file() || there.len() > LONGEST {
            return None;
        }
        parse_tail(id, fs::read(&path).ok()?, pack_bytes).ok()
    }

    /// Keeps the end of a pack. That it could not is no harm: then it comes again.
    pub(crate) fn keep(&self, id: PackId, end: &[u8]) {
        if end.len() as u64 > LONGEST {
            return;
        }
        let bytes = end.len() as u64;
        if self.since.fetch_add(bytes, Ordering::Relaxed) >= LOOK {
            self.since.store(0, Ordering::Relaxed);
            self.thin_out();
        }
        let path = self.folder.join(id.to_string());
        let _ = atomic::create_folder(&self.folder)
            .and_then(|()| atomic::replace(&path, |out| out.write_all(end)));
    }

    /// Removes the oldest if there are too many.
    fn thin_out(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let mut all: Vec<(SystemTime, u64, PathBuf)> = entries
            .flatten()
            .filter_map(|entry| {
                let there = entry.metadata().ok().filter(fs::Metadata::is_file)?;
                Some((there.modified().ok()?, there.len(), entry.path()))
            })
            .collect();
        let mut sum: u64 = all.iter().map(|(_, bytes, _)| bytes).sum();
        all.sort();
        for (_, bytes, path) in all {
            if sum <= MOST {
                return;
            }
            sum -= bytes;
            // Somebody else may have removed it.
            let _ = fs::remove_file(path);
        }
    }
}
