//! A training that was interrupted goes on where it was, to the same bits.
//!
//! Everything that a step depends on is in one file: weights, the optimiser's state, how far the
//! epoch is, what was noted so far. It is named by the recipe, replaced in one step, and ends with
//! its own digest; a file that is torn, damaged or of another recipe counts for nothing, and
//! training begins anew. When it is written depends on the clock, which no result does.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lab_schema::{Digest, RecipeId, Slot};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::tensors::{self, Arrays, Tensors};

/// The context of the digest at the end.
const CONTEXT: &str = "lab 2026-11-30 interrupted training";
const DIGEST: usize = 32;

/// Where and how often a training keeps what it has reached.
#[derive(Clone, Copy, Debug)]
pub struct Resuming<'a> {
    /// A folder for the files of interrupted trainings.
    pub folder: &'a Path,
    /// Time between two files: an interruption costs no more than that.
    pub every: Duration,
}

/// The file of a training.
pub(crate) struct Checkpoints {
    path: Option<PathBuf>,
    every: Duration,
    written: Instant,
}

#[derive(Serialize, Deserialize)]
struct Whole<T> {
    recipe: String,
    state: T,
}

impl Checkpoints {
    /// Of the training of a recipe; none is kept unless it is said where.
    pub(crate) fn new(resuming: Option<Resuming<'_>>, recipe: RecipeId) -> Self {
        let path = resuming.map(|r| r.folder.join(format!("{recipe}.training")));
        let every = resuming.map_or(Duration::MAX, |resuming| resuming.every);
        Checkpoints { path, every, written: Instant::now() }
    }

    /// Whether it is time to write.
    pub(crate) fn are_due(&self) -> bool {
        self.path.is_some() && self.written.elapsed() >= self.every
    }

    /// Writes what has been reached. Where that fails nothing is lost but time: training goes on.
    pub(crate) fn write(&mut self, state: &impl Serialize, arrays: &Arrays) {
        self.written = Instant::now();
        let Some(path) = &self.path else { return };
        let recipe = name(path);
        let Ok(json) = serde_json::to_vec(&Whole { recipe, state }) else { return };
        let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
        bytes.extend(json);
        bytes.extend(tensors::of_arrays(arrays));
        bytes.extend(Digest::derive(CONTEXT, &bytes).as_bytes());
        let beside = path.with_extension(format!("training.{}", std::process::id()));
        let written = std::fs::write(&beside, bytes).and_then(|()| std::fs::rename(&beside, path));
        if written.is_err() {
            let _ = std::fs::remove_file(&beside);
        }
    }

    /// What an earlier process has reached.
    pub(crate) fn read<T: DeserializeOwned>(&self, slot: &Slot) -> Option<(T, Arrays)> {
        let path = self.path.as_ref()?;
        let bytes = std::fs::read(path).ok()?;
        let (body, digest) = bytes.split_at_checked(bytes.len().checked_sub(DIGEST)?)?;
        if Digest::derive(CONTEXT, body).as_bytes() != digest {
            return None;
        }
        let (length, rest) = body.split_first_chunk::<8>()?;
        let (json, file) =
            rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        let whole: Whole<T> = serde_json::from_slice(json).ok()?;
        if whole.recipe != name(path) {
            return None;
        }
        let arrays = Tensors::read(slot, file).ok()?.all_floats().ok()?;
        Some((whole.state, arrays))
    }

    /// What was kept is of no more use: the outputs are stored, or training leads nowhere.
    pub(crate) fn remove(&self) {
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn name(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_whole_counts_for_nothing() {
        let folder = std::env::temp_dir().join(format!("lab-checkpoint-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let recipe = RecipeId::from_digest(Digest::from_bytes([3; 32]));
        let slot = Slot::new("checkpoint").unwrap();
        let resuming = Resuming { folder: &folder, every: Duration::ZERO };
        let mut checkpoints = Checkpoints::new(Some(resuming), recipe);
        let arrays: Arrays = [("a".to_owned(), (vec![2], vec![1.5, -0.0]))].into();
        checkpoints.write(&7u64, &arrays);
        let read = |checkpoints: &Checkpoints| checkpoints.read::<u64>(&slot);
        assert_eq!(read(&checkpoints), Some((7, arrays)));
        let path = checkpoints.path.clone().unwrap();
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            std::fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(read(&checkpoints), None, "cut at {at}");
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(read(&checkpoints), None, "damaged at {at}");
        }
        // Another recipe's file under this one's name.
        let other =
            Checkpoints::new(Some(resuming), RecipeId::from_digest(Digest::from_bytes([4; 32])));
        std::fs::write(other.path.as_ref().unwrap(), &whole).unwrap();
        assert_eq!(read(&other), None);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
