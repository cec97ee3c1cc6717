//! Two stores agree: what one has under a name, the other gets, whole and nothing besides.
//!
//! A remote is a [`Store`](lab_objects::Store) like any other, so everything here works between
//! any two of them; only [`open`] knows what kinds of place there are. What lies on another machine is
//! asked for over a connection ([`Far`]), at whose other end [`answer`] looks nothing up that it was not
//! asked for and believes nothing that it is told. Three steps, always in this
//! order: what belongs to it ([`closure`](lab_lineage::closure())), what of that is lacking ([`transfer()`]), and last the
//! names, by compare-and-swap. Nothing that arrives is believed before it has been hashed.
//!
//! The modules stand in dependency order; none uses one that is declared below it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod message;
mod wire;
mod intake;
mod gate;
mod answer;
mod link;
mod far;
mod ssh;
mod bucket;
mod location;
mod transfer;
mod fetch;
mod resolve;
mod exchange;
mod push;
mod pull;

pub use answer::{Opened, Replaced, answer};
pub use error::{RemoteError, Result, Side};
pub use exchange::{Exchange, Group, Left, NameStep, Options};
pub use far::{Far, Told};
pub use fetch::{Fetcher, Heard, Opens};
pub use gate::{Gate, Guard};
pub use link::{Dial, Ends, Held, Patience};
pub use location::{
    folder_of, has_secret, open, open_for_client, open_for_others, open_or_create, shown, store_in,
};
pub use pull::{Selection, plan_pull, plan_pull_part, pull, pull_part};
pub use push::{plan_push, push};
pub use transfer::{Transfer, transfer};
