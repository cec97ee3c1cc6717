//! Runs a command, and captures what it runs on: code, variables, machine.
//!
//! The command of a recipe is run in a folder of its own that holds the recipe's code and
//! inputs, with the recipe's variables and few others. What it leaves there becomes the outcome.
//! [`Watcher`] is the seam behind which tracing and sealing stand.
//!
//! The modules stand in dependency order; none uses one that is declared below it.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
mod host;
mod variables;
mod byproducts;
mod secrets;
mod note;
mod beyond;
mod folder;
mod git;
mod code;
mod launch;
mod program;
mod sys;
mod processors;
mod inherited;
mod interrupt;
mod stragglers;
mod told;
mod tee;
mod guardian;
mod child;
mod plain;
mod traced;
mod scratch;
mod layout;
mod snapshot;
mod metrics;
mod params;
mod outputs;
mod sorts;
mod grouped;
mod reads;
mod surroundings;
mod probe;
mod execute;
mod change;
mod standing;
mod wrote;
mod here;
mod replica;
mod boxed;

pub use beyond::Beyond;
pub use boxed::{Boxed, HOST_NAME, Laid, execute_boxed, lay_out};
pub use change::{Change, Standing};
pub use code::{Captured, MAX_UNTRACKED_BYTES, capture_code};
pub use error::{ProcessError, Result};
pub use execute::{APART, Execution, Job, Seen, execute};
pub use guardian::guard;
pub use here::{Here, Planned, Watched, execute_here, plan_here};
pub use host::host;
pub use inherited::{fix_addresses, inherited};
pub use lab_trace::can_answer as can_watch_in_box;
pub use lab_trace::probe as can_watch;
pub use launch::{Echo, Ended, Exit, GRACE, Launch, MAX_LOG_BYTES, Watcher};
pub use note::{NoGit, Note};
pub use params::{params_of_arguments, params_of_config};
pub use plain::Plain;
pub use reads::Summary;
pub use standing::{Intent, standing};
pub use surroundings::{Level, facts_of_place, with_own_variables, with_portable_variables};
pub use told::{ENTROPY, TIME};
pub use traced::Traced;
pub use variables::{PASSED_THROUGH, is_secret, recorded_variables, unrecordable_variables};
