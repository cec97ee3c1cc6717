//! A store for others, by HTTP: what `lab serve` is. The interface is specified in `docs/protocol.md`
//! and `docs/openapi.json`.
//!
//! Whoever asks is not trusted: who may do what is decided by tokens of which only hashes are kept; a
//! pack is decoded and hashed to its last frame before it counts, a name only goes on from where it
//! is; time, memory, connections and requests have limits.

mod error;
mod tokens;
mod settings;
mod limits;
mod metrics;
mod steady;
mod spaces;
mod reply;
mod ranges;
mod intake;
mod routes;
mod listen;

pub use error::{Result, ServeError};
pub use listen::{Server, Stop};
pub use metrics::{Metrics, Served};
pub use settings::{Limits, Settings, Space, Tls};
pub use tokens::{Access, ListedToken, Tokens};
