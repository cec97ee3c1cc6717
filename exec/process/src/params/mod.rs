//! Parameters of a computation, found without code: in its command line, and in the files of
//! configuration that it reads.
//!
//! Both are guesses for people to read and to compare runs by; no id depends on them. What
//! smells of a secret by its name, or holds a password in a URL, is left out, and so is text too
//! long to be a setting.

mod found;
mod arguments;
mod yaml;
mod config;

pub use self::arguments::params_of_arguments;
pub use self::config::params_of_config;
