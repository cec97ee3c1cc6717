//! Who came from what: runs, what they read and what they left, as a graph that can be asked.
//!
//! Everything here is derived from the objects in a store. [`Lineage`] keeps it in an SQLite file
//! only so that it need not be read again each time: delete the file, refresh, and every answer is
//! the same. No command may fail because the file is damaged, old or cannot be written.
//!
//! The modules stand in dependency order; none uses one that is declared below it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod graph;
mod key;
mod index;
mod number;
mod links;
mod question;
mod made;
mod count;
mod filter;
mod origin;
mod edges;
mod intake;
mod forget;
mod refresh;
mod query;
mod closure;
mod part;
mod collect;
mod usage;

pub use closure::{Closure, closure, closure_beyond, known_parts};
pub use collect::{Collected, Policy, Reason, Root, collect, plan_collect};
pub use count::Tally;
pub use error::{LineageError, Result};
pub use filter::{Filter, Span};
pub use graph::Node;
pub use index::Lineage;
pub use origin::Origin;
pub use part::{Choice, Only, Part, Sorted, sort};
pub use query::Held;
pub use question::{Consumption, Production, Role, RunRow};
pub use refresh::{Refreshed, Skipped, Unread};
pub use usage::{NameUsage, Usage, usage};
