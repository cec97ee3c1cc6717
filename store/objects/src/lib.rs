//! Bytes on disk: cut, encode, pack, find, verify.
//!
//! A [`Store`] keeps objects (`lab-schema`) in write-once pack files behind a [`Backend`], and
//! names that point at them. What [`Writer::finish`] reported as done survives a kill, a power
//! cut, a full disk and other processes; no read returns bytes that do not hash to their id.
//! How the files lie on disk is specified in `docs/layout.md`.
//!
//! The modules stand in dependency order; none uses one that is declared below it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod progress;
mod pace;
mod lease;
mod backend;
mod layout;
mod inventory;
mod listings;
mod atomic;
mod promise;
mod sibling;
mod partial;
mod held;
mod source;
mod folder;
mod chunk;
mod frame;
mod block;
mod pack;
mod ends;
mod memory;
mod index;
mod catalog;
mod list;
mod blocks;
mod store;
mod tails;
mod shelf;
mod listed;
mod absent;
mod warm;
mod listing;
mod pipeline;
mod read;
mod heads;
mod keep;
mod bases;
mod upper;
mod recut;
mod waiting;
mod aliases;
mod writer;
mod ahead;
mod carriage;
mod carry;
mod rescue;
mod marks;
mod plan;
mod repack;
mod collect;
mod journal;
mod names;
mod stat;
mod hash;
mod scan;
mod add;
mod restore;
mod raw;
mod place;
mod get;
mod check;
mod pack_bytes;
mod receive;
mod mend;
mod salvage;

pub use add::{Added, Filed, Hearing, Witness, add, add_cached, add_files};
pub use aliases::KnownAs;
pub use atomic::{host, unique};
pub use backend::{Backend, Key, PackId, Room};
pub use carry::{Carried, CarryError};
pub use check::{CheckLog, CheckOptions, Finding, Report, check, check_with};
pub use collect::Collector;
pub use error::{ObjectsError, Result, Unkept};
pub use folder::Folder;
pub use get::{GetOptions, Got, find_in_tree, get};
pub use hash::hash_cached;
pub use inventory::{INVENTORY, MAX_INVENTORY, TOLD, inventory, parse_inventory};
pub use journal::{BadNameKind, Move, NameKind, has_moved, journal_digest};
pub use lab_encoding::weights::{Layout, Tensor};
pub use lease::{Lease, Living};
pub use listings::Listings;
pub use marks::{Encoded, Share};
pub use memory::Memory;
pub use names::{Expected, Names};
pub use pace::{LEAST_PACE, pace, paced_piece, set_pace};
pub use pack_bytes::PackBytes;
pub use plan::{Done, Fate, PackPlan, Plan, Stay};
pub use progress::{Progress, Silent};
pub use promise::{Bring, Offline, Promises, shown};
pub use raw::RawCache;
pub use read::ObjectReader;
pub use receive::Fit;
pub use salvage::{Salvaged, salvage};
pub use stat::StatCache;
pub use store::Store;
pub use writer::Writer;
