//! Running a tensor program.

use std::path::Path;

use lab_schema::Name;

use super::Args;
use crate::context::Context;
use crate::failure::{Failure, Outcome};

pub(super) fn run(
    _context: &Context,
    _args: &Args,
    _program: &Path,
    _name: Option<Name>,
) -> Outcome {
    Err(Failure::usage("not yet"))
}
