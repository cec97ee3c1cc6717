//! What a collection would do, and what it did; `collect.rs` decides.
//!
//! Everything that is planned can be shown before it is done: each pack with its fate, and for those
//! that stay the reason. A plan refers to the store as it was when it was made.

use std::time::SystemTime;

use crate::backend::PackId;
use crate::block::Encoding;
use crate::marks::{Encoded, Share};

/// What is to become of a pack.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// It is left alone.
    Stays(Stay),
    /// It gets a mark.
    Condemned,
    /// What is needed of it is copied, and then it gets a mark.
    Repacked,
    /// It has a mark and is removed.
    Removed,
    /// It has a mark, and is needed again: the mark is taken off.
    Spared,
}

/// Why a pack is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stay {
    /// It is needed.
    Needed,
    /// It is too young to be judged.
    Young {
        /// Until when.
        until: SystemTime,
    },
    /// Its mark is too young.
    Grace {
        /// Until when.
        until: SystemTime,
    },
    /// It has a mark that is younger than a command that is at work.
    Leased {
        /// Whose command.
        holder: String,
    },
}

/// A pack, and what is to become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackPlan {
    /// The pack.
    pub pack: PackId,
    /// Its size.
    pub bytes: u64,
    /// Bytes of it that are needed and not kept in a better place.
    pub needed: u64,
    /// What is to become of it.
    pub fate: Fate,
}

/// What a collection would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Every pack, sorted.
    pub packs: Vec<PackPlan>,
    /// What each who was kept needs, in that order.
    pub shares: Vec<Share>,
    /// Bytes before and after encoding of all that lies in the packs, needed or not: raw, zstd, planes,
    /// delta, patch.
    pub encodings: [Encoded; Encoding::COUNT],
}

impl Plan {
    /// Number and bytes of the packs with a fate.
    pub fn sum(&self, of: impl Fn(&Fate) -> bool) -> (u64, u64) {
        let those = self.packs.iter().filter(|pack| of(&pack.fate));
        those.fold((0, 0), |(n, bytes), pack| (n + 1, bytes + pack.bytes))
    }
}

/// What a collection did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Packs that were removed, and their bytes.
    pub removed: (u64, u64),
    /// Packs that got a mark, and their bytes.
    pub condemned: (u64, u64),
    /// Packs that lost their mark.
    pub spared: u64,
    /// Packs that were made of what was needed of condemned ones, and their bytes.
    pub made: (u64, u64),
    /// Packs that could not be copied since something in them is damaged.
    pub damaged: Vec<PackId>,
}
